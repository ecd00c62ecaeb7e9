/* SPDX-License-Identifier: MIT */
/* What HTTP/1.1 and HTTP/2 have in common: a request as either of them reads it, a response as
 * either of them writes it, and the rules that hold for both. Pure; nothing here is shared between
 * threads.
 *
 * A request borrows from the connection's buffer: it lives until that buffer is touched. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/ops.h"

struct chy_http_field {
    struct chy_str name;
    struct chy_str value; /* without the blanks around it */
};

struct chy_http_request {
    enum chy_http_method method;
    struct chy_str target; /* origin-form: "/path?query", every byte allowed by RFC 3986 */
    struct chy_str host;
    struct chy_http_field fields[CHY_LIMIT_HTTP_FIELDS];
    size_t field_count;
    size_t content_length; /* bytes that the head announces */
    bool expects_continue; /* the client waits for "100 Continue" before it sends the body */
    bool wants_close;      /* "Connection: close" */
    struct chy_bytes body; /* complete */
};

/* Why a request is refused before anybody looks at what it asks. */
struct chy_http_refusal {
    int status;         /* 400, 413, 414, 417, 431, 501 */
    const char *detail; /* one sentence, static storage; never the client's bytes */
};

struct chy_http_response {
    int status;
    struct chy_str content_type;         /* empty when there is no body */
    const struct chy_http_field *fields; /* names in lower case */
    size_t field_count;
    struct chy_str cache_control; /* empty: "no-store" */
    struct chy_str date;          /* IMF-fixdate, or empty to leave it out */
    struct chy_bytes body;
    bool is_head; /* answer to HEAD: the length is told, the body is not sent */
    bool is_last; /* HTTP/1.1: close after this */
};

/* What a response carries besides its own fields: no caching, no sniffing, no framing, HTTPS only.
 * */
struct chy_http_fixed_field {
    const char *name;
    const char *value;
};
extern const struct chy_http_fixed_field chy_http_security_fields[];
extern const size_t chy_http_security_field_count;

/* The method of this exact name; false for one that we do not know. */
bool chy_http_method_find(struct chy_str name, enum chy_http_method *ret_method);
/* "Not Found"; "Unknown" for a status that we never send. */
const char *chy_http_reason(int status);

/* tchar of RFC 9110 section 5.6.2, and not empty. */
bool chy_http_is_token(struct chy_str s);
/* Printable ASCII, blanks and tabs. Stricter than RFC 9110 section 5.5: bytes over 127 are
 * refused. */
bool chy_http_is_field_value(struct chy_str s);
/* origin-form of RFC 9112 section 3.2.1: starts with "/", only the characters of a path and a
 * query, every '%' followed by two hexadecimal digits. */
bool chy_http_is_target(struct chy_str s);
/* A name, an IPv4 or a bracketed IPv6 address, and perhaps a port (RFC 9110 section 7.2). */
bool chy_http_is_host(struct chy_str s);

/* The first field of this name (case does not matter), or NULL. */
const struct chy_http_field *chy_http_field_find(const struct chy_http_request *r,
                                                 const char *name);

/* The value of a Content-Length: digits alone, no sign, no leading zero.
 * False if it is none, or does not fit into a size_t. */
bool chy_http_content_length(struct chy_str value, size_t *ret_n);

/* What holds for a request whatever brought it, once its head is complete: fields that may come
 * only once came once, only `Expect: 100-continue`, no Transfer-Encoding, a body only where a
 * method takes one and at most `body_max` bytes. Fills content_length, expects_continue and
 * wants_close. False with the reason in `ret_why` when it is to be refused. */
CHY_MUST_USE bool chy_http_request_check(struct chy_http_request *r, size_t body_max,
                                         struct chy_http_refusal *ret_why);

/* IMF-fixdate (RFC 9110 section 5.6.7) of a time in seconds since 1970. */
#define CHY_HTTP_DATE_BYTES 30
void chy_http_date(int64_t unix_s, char ret_text[CHY_HTTP_DATE_BYTES]);
