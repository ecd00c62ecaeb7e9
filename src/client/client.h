/* SPDX-License-Identifier: MIT */
/* Calls of a server's operations (proto/ops.h): over one kept-open HTTPS connection, or through the
 * agent where the settings name its socket. Not shared. */
#pragma once

#include "base/arena.h"
#include "client/settings.h"
#include "proto/ops.h"

struct chy_client;

/* Reads the credential; connects at the first call. `settings` are borrowed while the client lives.
 * With an agent nothing is read here: the login is the agent's. One that was not named and is not
 * there, or is of another server, is passed over.
 * Errors: CHY_E_STATE      the settings name no server, or a credential's file is wrong
 *         CHY_E_FORBIDDEN  others can read the private key, or the agent is somebody else's;
 *         CHY_E_NOT_FOUND, CHY_E_IO, CHY_E_NOMEM; of chy_agent_link_open() for one that was
 *         named */
CHY_MUST_USE enum chy_err chy_client_open(const struct chy_settings *settings,
                                          struct chy_client **ret_client, struct chy_error *err);
void chy_client_close(struct chy_client *c);
void chy_client_closep(struct chy_client **c);

/* For how long a call that finds no server tries again, which cannot do anything twice; 0 at
 * first. Over HTTPS alone. */
void chy_client_set_patience(struct chy_client *c, int64_t patience_ms);
/* The server's id of the last request, "" if it named none; lives until the next call. */
const char *chy_client_request_id(const struct chy_client *c);
/* Whether the agent makes the calls. */
bool chy_client_is_agent(const struct chy_client *c);
/* The verifier key of the server's log, as far as the profile is of that server. */
struct chy_str chy_client_log_key(const struct chy_client *c);

/* Call an operation. `request` and `response` are structs of the row's schemas; `response` lives as
 * long as the arena. Requests that only read are tried again while the server is busy; others
 * never.
 *
 * SIGN answers CHY_OK when no item was signed, too, if the server says what became of each.
 *
 * Errors: what the server says, with its sentence and its id of the request (its type maps to the
 * code); those of chy_http_client_do(); CHY_E_UNSUPPORTED when client and server have no version in
 * common; CHY_E_PROTOCOL an answer that is not what the operation answers; CHY_E_NOMEM, CHY_E_ARG,
 * CHY_E_LIMIT of the request. */
CHY_MUST_USE enum chy_err chy_client_call(struct chy_client *c, enum chy_op op, const void *request,
                                          struct chy_arena *arena, void *response,
                                          struct chy_error *err);
