/* SPDX-License-Identifier: MIT */
/* Calls of a server's operations (proto/ops.h) over one kept-open HTTPS connection. Not shared. */
#pragma once

#include "base/arena.h"
#include "client/settings.h"
#include "proto/ops.h"

struct chy_client;

/* Reads the credential; connects at the first call. `settings` are borrowed while the client lives.
 * Errors: CHY_E_STATE      the settings name no server, or a credential's file is wrong
 *         CHY_E_FORBIDDEN  others can read the private key; CHY_E_NOT_FOUND, CHY_E_IO,
 *                          CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_client_open(const struct chy_settings *settings,
                                          struct chy_client **ret_client, struct chy_error *err);
void chy_client_close(struct chy_client *c);
void chy_client_closep(struct chy_client **c);

/* Call an operation. `request` and `response` are structs of the row's schemas; `response` lives as
 * long as the arena. Requests that only read are tried again while the server is busy; others
 * never.
 *
 * Errors: what the server says, with its sentence and its id of the request (its type maps to the
 * code); those of chy_http_client_do(); CHY_E_UNSUPPORTED when client and server have no version in
 * common; CHY_E_PROTOCOL an answer that is not what the operation answers; CHY_E_NOMEM, CHY_E_ARG,
 * CHY_E_LIMIT of the request. */
CHY_MUST_USE enum chy_err chy_client_call(struct chy_client *c, enum chy_op op, const void *request,
                                          struct chy_arena *arena, void *response,
                                          struct chy_error *err);
