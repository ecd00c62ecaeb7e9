/* SPDX-License-Identifier: MIT */
/* What a token process answers, as frames. Threads: pure. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "token/pool.h"
#include "token/slot.h"

/* The answer to a job that is done. Errors: CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_answer_encode(const struct chy_job *job, uint16_t *ret_type,
                                            struct chy_buf *body, struct chy_error *err);
/* TOKEN_INFO. Errors: CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_answer_info(struct chy_str name, const struct chy_slot *slot,
                                          struct chy_buf *body, struct chy_error *err);
