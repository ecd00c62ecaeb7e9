/* SPDX-License-Identifier: MIT */
/* What the provider asks the agent. Any thread. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "guest/ask.h"
#include "proto/door.h"

/* A page of keys, which borrows from `answer`, the caller's.
 * Errors: CHY_E_PROTOCOL  more than was asked for; of chy_prov_ask() */
CHY_MUST_USE enum chy_err chy_prov_ask_keys(const struct chy_door_keys *keys,
                                            struct chy_guest_answer *answer,
                                            struct chy_door_key_page *ret_page,
                                            struct chy_error *err);
/* A signature in the agent's form, appended to `out`.
 * Errors: CHY_E_DENIED refused by policy; CHY_E_LIMIT (it does not fit); of chy_prov_ask() */
CHY_MUST_USE enum chy_err chy_prov_ask_sign(const struct chy_door_input *input, struct chy_buf *out,
                                            struct chy_error *err);
/* Errors: CHY_E_INTEGRITY it is not good; of chy_prov_ask() */
CHY_MUST_USE enum chy_err chy_prov_ask_verify(const struct chy_door_input *input,
                                              struct chy_bytes signature, struct chy_error *err);
