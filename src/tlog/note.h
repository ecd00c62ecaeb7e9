/* SPDX-License-Identifier: MIT */
/* Signed notes: a text, a blank line, and signatures of the text. Ed25519 only; lines of other keys
 * and kinds are skipped, as the format demands.
 *
 *   <text, ends in a newline>
 *   <blank line>
 *   — <name> <base64(key id, 4 bytes || signature)>          1..CHY_LIMIT_NOTE_SIGNATURES times
 *
 *   key id = SHA-256(name || 0A || 01 || public key)[0..4]
 *   verifier key: <name>+<key id, 8 hex digits>+<base64(01 || public key)>
 *
 * Pure. Source: c2sp.org/signed-note. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "crypto/ed25519.h"

struct chy_buf;
struct chy_hasher;

#define CHY_TLOG_KEY_ID_BYTES 4

/* A verifier key. */
struct chy_tlog_vkey {
    char name[CHY_LIMIT_NAME + 1]; /* printable ASCII without space and plus */
    uint8_t id[CHY_TLOG_KEY_ID_BYTES];
    uint8_t public_key[CHY_ED25519_PUBLIC_BYTES];
};

/* Whether a key, and so a log, may bear this name. */
bool chy_tlog_name_is_valid(struct chy_str name);
/* Errors: CHY_E_ARG  the name is not valid */
CHY_MUST_USE enum chy_err chy_tlog_vkey_make(struct chy_hasher *h, struct chy_str name,
                                             const uint8_t public_key[CHY_ED25519_PUBLIC_BYTES],
                                             struct chy_tlog_vkey *ret_key, struct chy_error *err);
/* Errors: CHY_E_MALFORMED  not a verifier key, or its id is not the key's
 *         CHY_E_UNSUPPORTED  of another kind than Ed25519 */
CHY_MUST_USE enum chy_err chy_tlog_vkey_parse(struct chy_hasher *h, struct chy_str text,
                                              struct chy_tlog_vkey *ret_key, struct chy_error *err);
/* The text form, without a newline. False as chy_buf_append(). */
bool chy_tlog_vkey_append(struct chy_buf *out, const struct chy_tlog_vkey *key);

/* The text of a note whose form is right; no signature is checked.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT */
CHY_MUST_USE enum chy_err chy_tlog_note_text(struct chy_bytes note, struct chy_str *ret_text,
                                             struct chy_error *err);

/* Check a note and give out its text, a view of it. Every signature by one of `keys` must be good,
 * and at least one of them must be by a key of the name `signer`.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT  of the form
 *         CHY_E_INTEGRITY  a signature of a known key is wrong, or none is by `signer`
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_tlog_note_open(struct chy_bytes note,
                                             const struct chy_tlog_vkey *keys, size_t n_keys,
                                             struct chy_str signer, struct chy_str *ret_text,
                                             struct chy_error *err);

/* Append the note of `text` with one signature, made outside over exactly the bytes of `text`.
 * Errors: CHY_E_ARG  the text has no newline at its end, or bytes that a note may not have
 *         CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_tlog_note_make(struct chy_buf *out, struct chy_str text,
                                             const struct chy_tlog_vkey *key,
                                             const uint8_t signature[CHY_ED25519_SIGNATURE_BYTES],
                                             struct chy_error *err);
