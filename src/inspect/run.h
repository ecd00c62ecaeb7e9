/* SPDX-License-Identifier: MIT */
/* One document read: a request in, an answer out. Pure; after chy_crypto_init(). */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "proto/internal.h"

/* Fill the fields of the reply that the kind of request calls for; it borrows from the request and
 * from the arena. On failure the reply is worth nothing; the error's text is for the caller's eyes.
 * Errors: CHY_E_ARG      the request lacks what its kind needs
 *         CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_UNSUPPORTED, CHY_E_CONFLICT, CHY_E_EXPIRED,
 *         CHY_E_INTEGRITY  what is wrong with the document
 *         CHY_E_NOMEM, CHY_E_CRYPTO */
typedef enum chy_err inspect_run_fn(const struct chy_inspect_request *request,
                                    struct chy_arena *arena, struct chy_inspect_reply *ret_reply,
                                    struct chy_error *err);

CHY_MUST_USE enum chy_err chy_inspect_run(const struct chy_inspect_request *request,
                                          struct chy_arena *arena,
                                          struct chy_inspect_reply *ret_reply,
                                          struct chy_error *err);

/* One for each enum chy_inspect_what. */
enum chy_err inspect_policy(const struct chy_inspect_request *request, struct chy_arena *arena,
                            struct chy_inspect_reply *reply, struct chy_error *err);
enum chy_err inspect_guard(const struct chy_inspect_request *request, struct chy_arena *arena,
                           struct chy_inspect_reply *reply, struct chy_error *err);
enum chy_err inspect_chain(const struct chy_inspect_request *request, struct chy_arena *arena,
                           struct chy_inspect_reply *reply, struct chy_error *err);
enum chy_err inspect_csr(const struct chy_inspect_request *request, struct chy_arena *arena,
                         struct chy_inspect_reply *reply, struct chy_error *err);
enum chy_err inspect_content(const struct chy_inspect_request *request, struct chy_arena *arena,
                             struct chy_inspect_reply *reply, struct chy_error *err);
enum chy_err inspect_build_csr(const struct chy_inspect_request *request, struct chy_arena *arena,
                               struct chy_inspect_reply *reply, struct chy_error *err);
enum chy_err inspect_build_certificate(const struct chy_inspect_request *request,
                                       struct chy_arena *arena, struct chy_inspect_reply *reply,
                                       struct chy_error *err);
