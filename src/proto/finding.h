/* SPDX-License-Identifier: MIT */
/* What a look at oneself has found: `chancery doctor` on a client, `chanceryd doctor` on a server
 * say the same of theirs. Pure; not shared. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "codec/schema.h"

enum chy_finding_state {
    CHY_FINDING_OK = 1,
    CHY_FINDING_WARNING, /* it works, and will not for ever, or not for everybody */
    CHY_FINDING_PROBLEM, /* it does not work */
};

struct chy_finding {
    struct chy_str check; /* what was looked at */
    enum chy_finding_state state;
    struct chy_str text; /* one sentence */
    struct chy_str mend; /* what to do; empty where nothing is to be done */
};

#define CHY_FINDINGS_MAX 256 /* a key with trouble is one; past it they are counted */

struct chy_findings {
    CHY_LIST_OF(struct chy_finding) findings;
    uint64_t more;
    bool is_well; /* no problem among them; warnings may be */
};

extern const struct chy_enum chy_finding_state_enum;
extern const struct chy_schema chy_findings_schema;

/* Gathers findings. */
struct chy_finding_list {
    struct chy_arena *arena;
    struct chy_finding *items; /* CHY_FINDINGS_MAX of them */
    size_t n;
    uint64_t more;
    bool has_problem;
    const char *check; /* what is being looked at now; static storage */
};

/* Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_finding_list_init(struct chy_finding_list *list,
                                                struct chy_arena *arena, struct chy_error *err);
/* `mend` may be NULL; it is static or lives as long as the arena. One that there is no memory for
 * still counts. */
CHY_PRINTF(4, 5)
void chy_finding_add(struct chy_finding_list *list, enum chy_finding_state state, const char *mend,
                     const char *fmt, ...);
struct chy_findings chy_finding_list_end(const struct chy_finding_list *list);

/* For people: one line each, its mend below. Foreign bytes are those of the texts: escape them on
 * the way to a terminal. Failure is left in `out`. */
void chy_findings_write(const struct chy_findings *findings, struct chy_buf *out);
