/* SPDX-License-Identifier: MIT */
/* One request on its way to an answer, for the files of this folder that answer: what every answer
 * has, and who is asking. Same thread, same lifetime as server.h. */
#pragma once

#include "codec/hex.h"
#include "front/server.h"

#define ANSWER_FIELDS 8

/* One request on its way to an answer. */
struct exchange {
    struct front *front;
    struct chy_conn *conn;
    int32_t stream;
    bool is_head;
    const uint8_t *request_id;
};

/* An answer being put together: its own fields, whose texts live here. */
struct answer {
    struct chy_http_response response;
    struct chy_http_field fields[ANSWER_FIELDS];
    char request_id[CHY_HEX_SIZE(CHY_ID_BYTES)];
    char api[8];
    char retry_after[16];
    char cache_control[48];
};

/* What goes with a refusal besides its body. */
struct refusal {
    struct chy_str challenge; /* of a 401 */
    struct chy_str allow;     /* of a 405; else empty */
    uint32_t retry_after_s;   /* of a 429 or a 503 */
};

void answer_add_field(struct answer *a, struct chy_str name, struct chy_str value);
void answer_add_refusal(struct answer *a, int status, const struct refusal *why);
/* The answer is sent, counted and done with. */
void exchange_send(const struct exchange *x, struct answer *a, int status);
/* 200 with this body; `max_age_s` 0: not to be cached. */
void exchange_send_body(const struct exchange *x, struct chy_str type, struct chy_bytes body,
                        uint32_t max_age_s);

/* The caller's address and program; who it is, is not looked at. */
void exchange_caller(const struct exchange *x, const struct chy_http_request *request,
                     struct chy_caller *ret_caller);
/* Credentials are a matter of 401, also when they have expired (RFC 9110 section 15.5.2); 0 for
 * what chy_err_http_status() knows. */
int exchange_status_of(enum chy_err code);
void exchange_log_failure(struct front *f, const uint8_t *request_id, enum chy_err code,
                          struct chy_str text);

/* --- signserver.c --- */

/* True: the path is SignServer's and the door is open, so this one is answered now or later. */
bool signserver_request(const struct exchange *x, const struct chy_http_request *request);
/* A reply to, or the failure of, one of its calls. */
void signserver_reply(const struct exchange *x, struct chy_call_slot *slot,
                      const struct chy_reply *reply);
void signserver_failure(const struct exchange *x, const struct chy_error *err);
