/* SPDX-License-Identifier: MIT */
/* HTTP/2 on the server's side, by libnghttp2: the same requests and responses as HTTP/1.1, many at
 * once. Bytes in, bytes out: no socket and no clock of its own (RFC 9113; push, priorities and
 * trailers' content are ignored). Not shared.
 *
 * Limits: CHY_LIMIT_HTTP2_STREAMS requests at once, the head as in HTTP/1.1,
 * CHY_LIMIT_HTTP2_BODIES for all
 * bodies together; a peer that resets streams, sends settings, pings or CONTINUATION frames in
 * floods is told to go away. */
#pragma once

#include <stdint.h>

#include "front/http.h"

struct chy_http2;

struct chy_http2_handler {
    /* A whole request, borrowed until this returns. Answer now or later, with chy_http2_respond().
     * */
    void (*on_request)(void *ctx, int32_t stream, const struct chy_http_request *request);
    /* One that is refused as it stands: answer at once. */
    void (*on_refused)(void *ctx, int32_t stream, const struct chy_http_refusal *why);
    /* The stream of an earlier call is closed, answered or not: its number means nothing any more.
     * */
    void (*on_gone)(void *ctx, int32_t stream);
    void *ctx;
};

/* `handler` is copied; `body_max` in bytes for one request. Errors: CHY_E_NOMEM, CHY_E_INTERNAL */
CHY_MUST_USE enum chy_err chy_http2_new(const struct chy_http2_handler *handler, size_t body_max,
                                        struct chy_http2 **ret_h2, struct chy_error *err);
/* Calls on_gone for no stream. */
void chy_http2_free(struct chy_http2 *h);
void chy_http2_freep(struct chy_http2 **h);

/* Bytes from the peer. `now_us` is any clock that does not go back.
 * Errors: CHY_E_PROTOCOL  it is not HTTP/2, or floods: send what is left and close; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_http2_receive(struct chy_http2 *h, struct chy_bytes in,
                                            int64_t now_us, struct chy_error *err);

/* Append what is to be sent, until `out` has at least `enough_bytes` or nothing is left.
 * Errors: CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_http2_send(struct chy_http2 *h, struct chy_buf *out,
                                         size_t enough_bytes, struct chy_error *err);

/* The answer to a stream's request; copied. A stream that is gone is passed over.
 * Errors: CHY_E_NOMEM, CHY_E_STATE it was answered already */
CHY_MUST_USE enum chy_err chy_http2_respond(struct chy_http2 *h, int32_t stream,
                                            const struct chy_http_response *response,
                                            struct chy_error *err);

/* No more requests; those begun are finished (GOAWAY). */
CHY_MUST_USE enum chy_err chy_http2_drain(struct chy_http2 *h, struct chy_error *err);

/* Nothing will come or go any more: close. */
bool chy_http2_is_over(const struct chy_http2 *h);
/* Streams that are open, for whatever reason. */
size_t chy_http2_stream_count(const struct chy_http2 *h);
/* When the oldest request began that is not complete; INT64_MAX if there is none. */
int64_t chy_http2_waiting_since_us(const struct chy_http2 *h);
/* Bytes held for requests that are not complete. */
size_t chy_http2_body_bytes(const struct chy_http2 *h);
