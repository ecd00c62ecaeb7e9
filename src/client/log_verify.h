/* SPDX-License-Identifier: MIT */
/* Verification of a whole log, offline: everything is computed again from the entries and held
 * against every hash tile, the signed checkpoint, the detail records, what must hold between
 * entries (log_rules.h), and against checkpoints and receipts that somebody kept.
 *
 * A changed byte of any file, a reordered or missing entry, and, with a known head, a removed tail
 * are findings. Findings are told, not returned as errors: a log is verified when there is none. */
#pragma once

#include "base/limits.h"
#include "client/log_rules.h"
#include "client/log_source.h"
#include "tlog/merkle.h"
#include "tlog/note.h"

/* A checkpoint or a receipt from elsewhere; which of the two is seen from its first line. */
struct chy_log_known {
    const char *name; /* of its file */
    struct chy_bytes content;
};

struct chy_log_check {
    struct chy_log_source source;
    const struct chy_tlog_vkey *keys; /* of the log */
    size_t n_keys;
    const struct chy_log_known *known;
    size_t n_known; /* CHY_LIMIT_KNOWN at most */
};

struct chy_log_finding {
    bool has_index; /* it is about one entry */
    uint64_t index;
    char text[224]; /* one sentence; begins with "entry N " when it is about one */
};

struct chy_log_report {
    bool is_verified; /* everything was looked at, and there is no finding */
    char origin[CHY_LIMIT_NAME + 1];
    uint64_t size;    /* of the checkpoint */
    uint64_t checked; /* entries that were read */
    struct chy_tlog_hash root;
    struct chy_log_counts counts;
    uint64_t details;
    uint64_t details_pruned; /* committed to, but not there any more */
    size_t known;            /* checkpoints and receipts that agree */
    struct chy_log_finding findings[CHY_LIMIT_FINDINGS];
    uint64_t n_findings; /* more than fit are counted */
};

/* CHY_OK when the log could be looked at, whatever was found.
 * Errors: CHY_E_NOT_FOUND there is no checkpoint: this is no log; CHY_E_ARG no key;
 *         CHY_E_LIMIT more known heads than CHY_LIMIT_KNOWN; of reading, and CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_log_verify(const struct chy_log_check *check,
                                         struct chy_log_report *ret_report, struct chy_error *err);
