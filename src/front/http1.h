/* SPDX-License-Identifier: MIT */
/* HTTP/1.1, the strict part of RFC 9112 that a client of ours needs, incremental over the bytes
 * that have come so far. Bodies have a Content-Length or there is none; where a recipient "may" be
 * lenient this one is not, because two parsers that are lenient in different ways are how requests
 * are smuggled.
 *
 *   METHOD SP /path?query SP HTTP/1.1 CRLF
 *   Name: value CRLF            (no blank before the colon, no folded lines, printable ASCII)
 *   CRLF
 *   Content-Length bytes
 *
 * Refused with 400: anything else, leading empty lines, a bare CR or LF, HTTP/1.0, absolute-form.
 * Owns
 * nothing, allocates nothing. */
#pragma once

#include <stdint.h>

#include "front/http.h"

enum chy_http1_step {
    CHY_HTTP1_STEP_HEAD,    /* the head is not complete: give more */
    CHY_HTTP1_STEP_BODY,    /* the head is complete and accepted, the body is not: give more */
    CHY_HTTP1_STEP_READY,   /* one whole request */
    CHY_HTTP1_STEP_REFUSED, /* chy_http1.why says why; then close */
};

/* Offsets into the buffer, which may move between two calls. */
struct chy_http1_span {
    uint32_t at;
    uint32_t n;
};

struct chy_http1 {
    enum chy_http1_step step;
    size_t body_max;
    size_t line_at;  /* where the line being read begins */
    size_t searched; /* how far its end was looked for */
    size_t head_n;   /* bytes of the head, once it is complete */
    size_t body_n;
    bool has_request_line;
    enum chy_http_method method;
    struct chy_http1_span target;
    struct chy_http1_span fields[CHY_LIMIT_HTTP_FIELDS][2]; /* name, value */
    size_t field_count;
    struct chy_http_refusal why;
};

/* Ready for the first or the next request; a body may have `body_max` bytes. */
void chy_http1_init(struct chy_http1 *h, size_t body_max);

/* Read on. `in` is everything from the first byte of this request on, the bytes of earlier calls
 * included.
 *
 * ret_request  filled from CHY_HTTP1_STEP_BODY on (without the body until READY); borrows from `in`
 * ret_used     READY: how many bytes of `in` the request takes; what follows is the next one's */
enum chy_http1_step chy_http1_read(struct chy_http1 *h, struct chy_bytes in,
                                   struct chy_http_request *ret_request, size_t *ret_used);

/* Append one whole response. A failure shows in chy_buf_check(). A field name or value that cannot
 * be in a response (a line break in it) ends the process: it is ours, not the client's. */
void chy_http1_write(struct chy_buf *out, const struct chy_http_response *response);
void chy_http1_write_continue(struct chy_buf *out);
