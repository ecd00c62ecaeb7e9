/* SPDX-License-Identifier: MIT */
#include "front/http.h"

#include <stdint.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

static const struct {
    enum chy_http_method method;
    bool takes_body;
} methods[] = {
    { CHY_HTTP_GET, false }, { CHY_HTTP_HEAD, false },  { CHY_HTTP_POST, true },
    { CHY_HTTP_PUT, true },  { CHY_HTTP_DELETE, true },
};

/* Fields whose meaning would be a matter of taste if they came twice. */
static const char *const single_fields[] = {
    "authorization",
    "chancery-api",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "origin",
    "referer",
    "sec-fetch-site",
    "transfer-encoding",
    "user-agent",
};

const struct chy_http_fixed_field chy_http_security_fields[] = {
    { "content-security-policy", "default-src 'none'; frame-ancestors 'none'" },
    { "referrer-policy", "no-referrer" },
    { "strict-transport-security", "max-age=31536000" },
    { "x-content-type-options", "nosniff" },
};
const size_t chy_http_security_field_count = CHY_ARRAY_LEN(chy_http_security_fields);

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
};

bool chy_http_method_find(struct chy_str name, enum chy_http_method *ret_method)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(methods); i++) {
        if (!chy_str_equal_c(name, chy_http_method_name(methods[i].method)))
            continue;
        *ret_method = methods[i].method;
        return true;
    }
    return false;
}

static bool method_takes_body(enum chy_http_method m)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(methods); i++)
        if (methods[i].method == m)
            return methods[i].takes_body;
    return false;
}

const char *chy_http_reason(int status)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* strchr() finds the terminator too; this does not. */
static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

bool chy_http_is_token(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "!#$%&'*+-.^_`|~"))
            return false;
    return s.n > 0;
}

bool chy_http_is_field_value(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' || s.p[i] > '~') && s.p[i] != '\t')
            return false;
    return true;
}

bool chy_http_is_target(struct chy_str s)
{
    if (s.n == 0 || s.p[0] != '/')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || !is_hex_digit(s.p[i + 1]) || !is_hex_digit(s.p[i + 2]))
                return false;
        } else if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "-._~!$&'()*+,;=:@/?")) {
            return false;
        }
    }
    return true;
}

static bool is_port(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n >= 1 && s.n <= 5;
}

static bool is_made_of(struct chy_str s, const char *besides_alnum)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], besides_alnum))
            return false;
    return s.n > 0;
}

bool chy_http_is_host(struct chy_str s)
{
    struct chy_str name = s;
    if (s.n > 0 && s.p[0] == '[') {
        const char *end = memchr(s.p, ']', s.n);
        if (end == NULL)
            return false;
        name.n = (size_t)(end - s.p) + 1;
        if (!is_made_of((struct chy_str){ s.p + 1, name.n - 2 }, ":."))
            return false;
    } else {
        const char *colon = s.n > 0 ? memchr(s.p, ':', s.n) : NULL;
        if (colon != NULL)
            name.n = (size_t)(colon - s.p);
        if (!is_made_of(name, "-._"))
            return false;
    }
    if (name.n == s.n)
        return true;
    return s.p[name.n] == ':' && is_port((struct chy_str){ s.p + name.n + 1, s.n - name.n - 1 });
}

static bool is_named(const struct chy_http_field *f, const char *name)
{
    return f->name.n == strlen(name) && strncasecmp(f->name.p, name, f->name.n) == 0;
}

const struct chy_http_field *chy_http_field_find(const struct chy_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->field_count; i++)
        if (is_named(&r->fields[i], name))
            return &r->fields[i];
    return NULL;
}

static size_t count_fields(const struct chy_http_request *r, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < r->field_count; i++)
        n += is_named(&r->fields[i], name);
    return n;
}

bool chy_http_content_length(struct chy_str value, size_t *ret_n)
{
    if (value.n == 0 || (value.n > 1 && value.p[0] == '0'))
        return false;
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (size_t)(value.p[i] - '0'), &n))
            return false;
    }
    *ret_n = n;
    return true;
}

static bool refuse(struct chy_http_refusal *ret_why, int status, const char *detail)
{
    *ret_why = (struct chy_http_refusal){ status, detail };
    return false;
}

/* Our own connection options are "close" and "keep-alive"; what else is listed (TE, Upgrade, a
 * field to be dropped) asks a proxy for something that we do not do, so ignoring it is right. */
static bool connection_says_close(const struct chy_http_request *r)
{
    for (size_t i = 0; i < r->field_count; i++) {
        if (!is_named(&r->fields[i], "connection"))
            continue;
        struct chy_str left = r->fields[i].value;
        while (left.n > 0) {
            const char *comma = memchr(left.p, ',', left.n);
            struct chy_str item = { left.p, comma != NULL ? (size_t)(comma - left.p) : left.n };
            size_t used = comma != NULL ? item.n + 1 : item.n;
            while (item.n > 0 && (item.p[0] == ' ' || item.p[0] == '\t'))
                item = (struct chy_str){ item.p + 1, item.n - 1 };
            while (item.n > 0 && (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == '\t'))
                item.n--;
            if (item.n == 5 && strncasecmp(item.p, "close", 5) == 0)
                return true;
            left = (struct chy_str){ left.p + used, left.n - used };
        }
    }
    return false;
}

static bool check_expect(struct chy_http_request *r, struct chy_http_refusal *ret_why)
{
    const struct chy_http_field *f = chy_http_field_find(r, "expect");
    r->expects_continue = f != NULL;
    if (f == NULL || (f->value.n == 12 && strncasecmp(f->value.p, "100-continue", 12) == 0))
        return true;
    return refuse(ret_why, 417, "The only expectation that is understood is 100-continue.");
}

static bool check_length(struct chy_http_request *r, size_t body_max,
                         struct chy_http_refusal *ret_why)
{
    const struct chy_http_field *f = chy_http_field_find(r, "content-length");
    r->content_length = 0;
    if (f != NULL && !chy_http_content_length(f->value, &r->content_length))
        return refuse(ret_why, 400, "Content-Length is not a plain decimal number.");
    if (r->content_length > 0 && !method_takes_body(r->method))
        return refuse(ret_why, 400, "A GET or HEAD request must not have a body.");
    if (r->content_length > body_max)
        return refuse(ret_why, 413, "The body is larger than this server takes.");
    return true;
}

bool chy_http_request_check(struct chy_http_request *r, size_t body_max,
                            struct chy_http_refusal *ret_why)
{
    /* RFC 9112 section 6.1: a server may refuse a coding that it does not know; refusing them all
     * leaves one way to tell where a body ends. */
    if (chy_http_field_find(r, "transfer-encoding") != NULL)
        return refuse(ret_why, 400, "Transfer-Encoding is not taken; send Content-Length.");
    for (size_t i = 0; i < CHY_ARRAY_LEN(single_fields); i++)
        if (count_fields(r, single_fields[i]) > 1)
            return refuse(ret_why, 400, "A header field that may come once came more than once.");
    if (r->host.n == 0)
        return refuse(ret_why, 400, "There is no Host.");
    if (!chy_http_is_host(r->host))
        return refuse(ret_why, 400, "Host is not a name or address with an optional port.");
    r->wants_close = connection_says_close(r);
    return check_length(r, body_max, ret_why) && check_expect(r, ret_why);
}

void chy_http_date(int64_t unix_s, char ret_text[CHY_HTTP_DATE_BYTES])
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t t = (time_t)unix_s;
    struct tm tm;
    ret_text[0] = '\0';
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < 0 || tm.tm_year > 8099)
        return;
    CHY_IGNORE(snprintf(ret_text, CHY_HTTP_DATE_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                        days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                        tm.tm_hour, tm.tm_min, tm.tm_sec)); /* 29 characters by the check above */
}
