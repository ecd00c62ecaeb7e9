/* SPDX-License-Identifier: MIT */
/* The trust file: whom `chancery verify` believes. One YAML document; docs/formats/trust.md has
 * every field. What it names is read at once and kept; the result is only read after that. */
#pragma once

#include "base/arena.h"
#include "codec/schema.h"
#include "crypto/pubkey.h"
#include "crypto/signature_check.h"
#include "tlog/note.h"

/* A file, relative to the trust file's folder, or its text: exactly one of them. */
struct chy_trust_item {
    struct chy_str file;
    struct chy_str text;
};

/* Who may sign with an SSH key, as in a file of allowed signers. */
struct chy_trust_ssh {
    struct chy_str principal;
    struct chy_str key; /* "ssh-ed25519 AAAA…" */
};

typedef CHY_LIST_OF(struct chy_trust_item) chy_trust_items;

struct chy_trust_document {
    uint32_t version;
    CHY_LIST_OF(struct chy_trust_item) roots;
    CHY_LIST_OF(struct chy_trust_item) time_stamp_roots;
    CHY_LIST_OF(struct chy_trust_item) crls;
    CHY_LIST_OF(struct chy_trust_item) keys;
    CHY_LIST_OF(struct chy_trust_item) openpgp_keys;
    CHY_LIST_OF(struct chy_trust_ssh) ssh_keys;
    CHY_LIST_OF(struct chy_trust_item) fit_keys;
    struct chy_strs log_keys;
    struct chy_strs names;
    bool require_time_stamp;
    bool require_log;
};

extern const struct chy_schema chy_trust_document_schema;

struct chy_trust {
    struct chy_trust_document document;
    struct chy_trust_store *roots;
    struct chy_trust_store *stamp_roots; /* those of time_stamp_roots; without any: roots */
    struct chy_pubkey *keys[CHY_LIMIT_TRUST_KEYS];
    size_t n_keys;
    struct chy_tlog_vkey log_keys[CHY_LIMIT_LOG_KEYS];
    size_t n_log_keys;
    /* What other people's verifiers are given, with the content as `text`. */
    chy_trust_items openpgp_keys;
    chy_trust_items fit_keys;
};

/* Errors: CHY_E_NOT_FOUND  the file, or one that it names, is not there
 *         CHY_E_MALFORMED  with the line of the trust file, or the name of the file
 *         CHY_E_LIMIT, CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_trust_load(struct chy_str path, struct chy_arena *arena,
                                         struct chy_trust **ret_trust, struct chy_error *err);
void chy_trust_free(struct chy_trust *t);
void chy_trust_freep(struct chy_trust **t);

/* Whether somebody of this name or subject may have signed: no names, or one of them fits. */
bool chy_trust_takes_name(const struct chy_trust *t, struct chy_str name, struct chy_str subject);
