/* SPDX-License-Identifier: MIT */
/* Where the log's entry of a signature is looked for. Private to log.c and what it asks. */
#pragma once

#include "cli/verify/verify.h"

/* --- entry.c --- */

/* The signer that is looked for: who was verified by us, then what a tool's was; NULL past all. */
const struct chy_verify_signer *verify_candidate(const struct verify_file *f, size_t i);
/* The log can be searched for it; for one of the file's. */
bool verify_is_known(const struct chy_verify_signer *s);
bool verify_has_known(const struct verify_file *f);
bool verify_is_done(const struct chy_entry *e);
/* Whether the entry is of one of the file's signatures.
 *
 * Of several signers each one's own entry counts, and that of one who is not believed does not:
 * else a key for tests, whose signatures are logged as well, would vouch for another's. */
bool verify_is_of_file(const struct verify_file *f, const struct chy_entry *e);
/* This is the entry. */
void verify_log_set(struct verify_file *f, const struct chy_entry *e, uint64_t index,
                    struct chy_str proof, struct chy_str receipt_file);

/* --- receipt.c --- */

/* What a receipt proves. Errors: CHY_E_STATE nobody told a key of the log; as
 * chy_receipt_prove() */
CHY_MUST_USE enum chy_err verify_receipt_prove(const struct verify *v, struct chy_str text,
                                               struct chy_arena *arena, struct verify_receipt *ret,
                                               struct chy_error *err);
/* Among those of --receipts; beside the file. True: nothing else is to be asked. */
bool verify_find_in_folder(struct verify_file *f);
bool verify_find_beside(struct verify_file *f);

/* --- server.c --- */

bool verify_has_profile(const struct verify *v);
void verify_find_at_server(struct verify_file *f);
/* What it answered once it answers again: no other file waits for that. */
void verify_server_give_up(struct verify_file *f, const struct chy_error *why);
