/* SPDX-License-Identifier: MIT */
#include "front/http1.h"

#include <string.h>

void chy_http1_init(struct chy_http1 *h, size_t body_max)
{
    *h = (struct chy_http1){ .step = CHY_HTTP1_STEP_HEAD, .body_max = body_max };
}

static bool refuse(struct chy_http1 *h, int status, const char *detail)
{
    h->step = CHY_HTTP1_STEP_REFUSED;
    h->why = (struct chy_http_refusal){ status, detail };
    return false;
}

static struct chy_http1_span span_of(struct chy_bytes in, struct chy_str s)
{
    return (struct chy_http1_span){ (uint32_t)((const uint8_t *)s.p - in.p), (uint32_t)s.n };
}

static struct chy_str span_in(struct chy_bytes in, struct chy_http1_span s)
{
    return (struct chy_str){ (const char *)in.p + s.at, s.n };
}

/* request-line = method SP request-target SP HTTP-version (RFC 9112 section 3): exactly two
 * blanks. */
static bool read_request_line(struct chy_http1 *h, struct chy_bytes in, struct chy_str line)
{
    const char *first = memchr(line.p, ' ', line.n);
    const char *last = memrchr(line.p, ' ', line.n);
    if (first == NULL || first == last)
        return refuse(h, 400, "The request line is not METHOD TARGET HTTP/1.1.");
    struct chy_str method = { line.p, (size_t)(first - line.p) };
    struct chy_str target = { first + 1, (size_t)(last - first) - 1 };
    struct chy_str version = { last + 1, (size_t)(line.p + line.n - last) - 1 };

    if (!chy_http_is_token(method))
        return refuse(h, 400, "The method is not a token.");
    if (!chy_str_equal_c(version, "HTTP/1.1"))
        return refuse(h, 400, "The version is not HTTP/1.1.");
    if (target.n > CHY_LIMIT_HTTP_TARGET)
        return refuse(h, 414, "The target is longer than this server takes.");
    if (!chy_http_method_find(method, &h->method))
        return refuse(h, 501, "This server does not know the method.");
    if (!chy_http_is_target(target))
        return refuse(h, 400, "The target is not an absolute path with an optional query.");
    h->target = span_of(in, target);
    h->has_request_line = true;
    return true;
}

static struct chy_str trim_blanks(struct chy_str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct chy_str){ s.p + 1, s.n - 1 };
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5). The token rule refuses a
 * blank before the colon (5.1) and a folded line (5.2), which begins with one. */
static bool read_field_line(struct chy_http1 *h, struct chy_bytes in, struct chy_str line)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (colon == NULL)
        return refuse(h, 400, "A header line has no colon.");
    struct chy_str name = { line.p, (size_t)(colon - line.p) };
    if (!chy_http_is_token(name))
        return refuse(h, 400, "The name of a header field is not a token.");
    struct chy_str value = trim_blanks((struct chy_str){ colon + 1, line.n - name.n - 1 });
    if (!chy_http_is_field_value(value))
        return refuse(h, 400, "The value of a header field is not printable ASCII.");
    if (h->field_count == CHY_LIMIT_HTTP_FIELDS)
        return refuse(h, 431, "There are more header fields than this server takes.");
    h->fields[h->field_count][0] = span_of(in, name);
    h->fields[h->field_count][1] = span_of(in, value);
    h->field_count++;
    return true;
}

#define REQUEST_LINE_MAX (CHY_LIMIT_HTTP_TARGET + 64) /* the rest is a method and a version */

/* The head has `n` bytes at least; it may be too long before its end has come. */
static bool check_head_size(struct chy_http1 *h, size_t n)
{
    if (!h->has_request_line && n > REQUEST_LINE_MAX)
        return refuse(h, 414, "The request line is longer than this server takes.");
    if (n > CHY_LIMIT_HTTP_HEAD)
        return refuse(h, 431, "The header is longer than this server takes.");
    return true;
}

/* One line further: false when there is no whole line, or it is refused. */
static bool read_line(struct chy_http1 *h, struct chy_bytes in)
{
    const uint8_t *from = in.p + h->searched;
    const uint8_t *lf = in.n > h->searched ? memchr(from, '\n', in.n - h->searched) : NULL;
    if (lf == NULL) {
        h->searched = in.n;
        CHY_IGNORE(check_head_size(h, in.n + 1)); /* the answer is in h->step */
        return false;
    }
    size_t end = (size_t)(lf - in.p);
    if (!check_head_size(h, end + 1))
        return false;
    if (end == h->line_at || in.p[end - 1] != '\r')
        return refuse(h, 400, "A line does not end in CR LF.");

    /* A CR inside the line, and every other control character, fails the checks of what it is part
     * of. */
    struct chy_str line = { (const char *)in.p + h->line_at, end - 1 - h->line_at };
    h->line_at = h->searched = end + 1;
    if (!h->has_request_line)
        return read_request_line(h, in, line);
    if (line.n > 0)
        return read_field_line(h, in, line);
    h->head_n = end + 1;
    return true;
}

static void fill_request(const struct chy_http1 *h, struct chy_bytes in, struct chy_http_request *r)
{
    r->method = h->method;
    r->target = span_in(in, h->target);
    r->field_count = h->field_count;
    for (size_t i = 0; i < h->field_count; i++)
        r->fields[i] =
            (struct chy_http_field){ span_in(in, h->fields[i][0]), span_in(in, h->fields[i][1]) };
    const struct chy_http_field *host = chy_http_field_find(r, "host");
    r->host = host != NULL ? host->value : (struct chy_str){ 0 };
    r->body = (struct chy_bytes){ 0 };
}

enum chy_http1_step chy_http1_read(struct chy_http1 *h, struct chy_bytes in,
                                   struct chy_http_request *ret_request, size_t *ret_used)
{
    if (h->step == CHY_HTTP1_STEP_REFUSED)
        return h->step;
    while (h->head_n == 0)
        if (!read_line(h, in))
            return h->step;

    fill_request(h, in, ret_request);
    if (!chy_http_request_check(ret_request, h->body_max, &h->why)) {
        h->step = CHY_HTTP1_STEP_REFUSED;
        return h->step;
    }
    h->body_n = ret_request->content_length;
    if (in.n - h->head_n < h->body_n) {
        h->step = CHY_HTTP1_STEP_BODY;
        return h->step;
    }
    ret_request->body = (struct chy_bytes){ in.p + h->head_n, h->body_n };
    *ret_used = h->head_n + h->body_n;
    h->step = CHY_HTTP1_STEP_READY;
    return h->step;
}

static void write_field(struct chy_buf *out, const struct chy_http_field *f)
{
    CHY_ASSERT(chy_http_is_token(f->name) && chy_http_is_field_value(f->value));
    chy_buf_append_str(out, f->name);
    chy_buf_append_c(out, ": ");
    chy_buf_append_str(out, f->value);
    chy_buf_append_c(out, "\r\n");
}

void chy_http1_write(struct chy_buf *out, const struct chy_http_response *response)
{
    chy_buf_printf(out, "HTTP/1.1 %d %s\r\n", response->status, chy_http_reason(response->status));
    if (response->date.n > 0)
        write_field(out, &(struct chy_http_field){ CHY_STR("date"), response->date });
    if (response->content_type.n > 0)
        write_field(out,
                    &(struct chy_http_field){ CHY_STR("content-type"), response->content_type });
    if (response->status != 204) /* RFC 9110 section 8.6: not in a 204 */
        chy_buf_printf(out, "content-length: %zu\r\n", response->body.n);
    struct chy_str caching =
        response->cache_control.n > 0 ? response->cache_control : CHY_STR("no-store");
    write_field(out, &(struct chy_http_field){ CHY_STR("cache-control"), caching });
    for (size_t i = 0; i < chy_http_security_field_count; i++)
        chy_buf_printf(out, "%s: %s\r\n", chy_http_security_fields[i].name,
                       chy_http_security_fields[i].value);
    for (size_t i = 0; i < response->field_count; i++)
        write_field(out, &response->fields[i]);
    if (response->is_last)
        chy_buf_append_c(out, "connection: close\r\n");
    chy_buf_append_c(out, "\r\n");
    if (!response->is_head && response->status != 204)
        chy_buf_append(out, response->body);
}

void chy_http1_write_continue(struct chy_buf *out)
{
    chy_buf_append_c(out, "HTTP/1.1 100 Continue\r\n\r\n");
}
