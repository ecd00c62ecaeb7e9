/* SPDX-License-Identifier: MIT */
/* Denials are log entries, and a caller must not be able to fill the log with them: each principal
 * has a bucket of `denials_per_minute`, refilled evenly. Past it a refusal is answered and counted,
 * not logged. */
#pragma once

#include "signer/state.h"

/* Errors: CHY_E_RATE the bucket is empty; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err denials_count(struct signer *s, struct chy_str principal,
                                        struct chy_error *err);
void denials_free(struct signer *s);
