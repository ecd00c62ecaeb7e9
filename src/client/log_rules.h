/* SPDX-License-Identifier: MIT */
/* What must hold between the entries of a log, beyond their hashes: time never goes back, an
 * outcome answers an intent that exists and was allowed, an intent has one outcome at most. Entries
 * are fed in order. Not shared. */
#pragma once

#include "proto/entry.h"

struct chy_log_rules;

/* Called with a sentence for each rule that an entry breaks; it must not fail. */
typedef void (*chy_log_fault_fn)(void *ctx, uint64_t index, const char *text);

struct chy_log_counts {
    uint64_t signatures; /* outcomes "done" */
    uint64_t failures;   /* outcomes "failed" and "unknown" */
    uint64_t refusals;   /* intents that were denied or held */
    uint64_t open;       /* allowed intents without an outcome */
    uint64_t first_open; /* index of the first of these */
    int64_t first_us;    /* time of the first entry */
    int64_t last_us;
};

/* Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_log_rules_new(chy_log_fault_fn fault, void *ctx,
                                            struct chy_log_rules **ret_rules,
                                            struct chy_error *err);
void chy_log_rules_free(struct chy_log_rules *r);
void chy_log_rules_freep(struct chy_log_rules **r);

/* The entry at `index`, the one after the last that was fed. One that could not be read is fed as
 * NULL. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_log_rules_feed(struct chy_log_rules *r, uint64_t index,
                                             const struct chy_entry *entry, struct chy_error *err);
struct chy_log_counts chy_log_rules_counts(const struct chy_log_rules *r);
