/* SPDX-License-Identifier: MIT */
/* A signer for which something ends at the n-th step of a request, for every n: it may answer an
 * error, not answer, or end; it may not crash, nor sign what is not written, nor lose what it
 * answered, nor leave an intent without outcome. */
#pragma once

#include "signer_fixture.h"

/* In the signer, in a signal handler: let `n` steps pass, or all (SWEEP_ALL). */
typedef void sweep_limit_fn(int n);
enum {
    SWEEP_ALL = INT32_MAX
};

/* Begin the request; its id. */
typedef uint64_t sweep_begin_fn(struct fixture *f);

/* A signer that is ready to sign, and where `limit` will hold. */
void sweep_setup(struct fixture *f, sweep_limit_fn *limit);
/* Try `begin` with every n until it succeeds some times in a row; the signer is stopped then. */
void sweep(struct fixture *f, enum chy_op op, sweep_begin_fn *begin);

/* Three digests, and a receipt. */
uint64_t sweep_begin_sign(struct fixture *f);
/* Key "other", which must be there, is disabled and enabled in turn. */
uint64_t sweep_begin_toggle(struct fixture *f);
uint64_t sweep_begin_policy(struct fixture *f);
