/* SPDX-License-Identifier: MIT */
#include "front/http2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <strings.h>

#include "base/ct.h"
#include "base/mem.h"

#define STREAM_WINDOW      262144  /* bytes a client may send ahead on one stream */
#define CONNECTION_WINDOW  1048576 /* and on all together */
#define RESET_BURST        100     /* streams that may be reset at once (CVE-2023-44487) */
#define RESETS_PER_SECOND  33
#define CONTINUATIONS      8 /* frames that continue one head (CVE-2024-28182) */
#define SETTINGS_ENTRIES   32
#define WAITING_ACKS       100 /* answers to PING and SETTINGS that the peer does not read */
#define FIELDS_WITHOUT_OWN 16  /* of a response: status, date, type, length, the fixed ones */
#define OWN_FIELDS_MAX     8

enum stream_step {
    STREAM_HEAD,
    STREAM_BODY,
    STREAM_ASKED,    /* the handler knows of it */
    STREAM_ANSWERED, /* and has answered */
};

struct span {
    uint32_t at;
    uint32_t n;
};

struct stream {
    struct stream *next;
    struct stream *prev;
    int32_t id;
    enum stream_step step;
    int64_t since_us;
    struct chy_buf head; /* names and values, one behind the other */
    struct span fields[CHY_LIMIT_HTTP_FIELDS][2];
    size_t field_count;
    struct span method_name, target, authority;
    enum chy_http_method method;
    struct chy_http_refusal why; /* status 0: none yet */
    struct chy_buf body;
    struct chy_buf answer;
    size_t answered_n; /* bytes of `answer` that were sent */
};

struct chy_http2 {
    nghttp2_session *session;
    struct chy_http2_handler handler;
    size_t body_max;
    int64_t now_us;
    struct stream *streams;
    size_t stream_count;
    size_t body_bytes;
    struct chy_http_request request; /* scratch of one callback */
};

static void *mem_malloc(size_t n, void *ctx)
{
    (void)ctx;
    return chy_malloc(n);
}

static void mem_free(void *p, void *ctx)
{
    (void)ctx;
    chy_free(p);
}

static void *mem_calloc(size_t count, size_t size, void *ctx)
{
    (void)ctx;
    return chy_calloc(count, size);
}

static void *mem_realloc(void *p, size_t n, void *ctx)
{
    (void)ctx;
    return chy_realloc(p, n);
}

static void stream_free(struct chy_http2 *h, struct stream *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        h->streams = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    h->stream_count--;
    h->body_bytes -= s->body.n;
    chy_wipe(s->head.p, s->head.n); /* an API token may be in it */
    chy_buf_done(&s->head);
    chy_buf_done(&s->body);
    chy_buf_done(&s->answer);
    chy_free(s);
}

static struct chy_str span_in(const struct stream *s, struct span at)
{
    return (struct chy_str){ (const char *)s->head.p + at.at, at.n };
}

static void refuse(struct stream *s, int status, const char *detail)
{
    if (s->why.status == 0)
        s->why = (struct chy_http_refusal){ status, detail };
}

/* --- a head --- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct chy_http2 *h = ctx;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *s = chy_new(struct stream);
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* this stream is reset, the others live */
    s->id = frame->hd.stream_id;
    s->since_us = h->now_us;
    chy_buf_init(&s->head, CHY_LIMIT_HTTP_HEAD);
    chy_buf_init(&s->body, h->body_max);
    chy_buf_init(&s->answer, CHY_LIMIT_HTTP_ANSWER);
    s->next = h->streams;
    if (s->next != NULL)
        s->next->prev = s;
    h->streams = s;
    h->stream_count++;
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static struct span keep(struct stream *s, struct chy_str text)
{
    struct span at = { (uint32_t)s->head.n, (uint32_t)text.n };
    chy_buf_append_str(&s->head, text); /* a failure is seen when the head is complete */
    return at;
}

static void keep_field(struct stream *s, struct chy_str name, struct chy_str value)
{
    if (chy_str_equal_c(name, ":method")) {
        s->method_name = keep(s, value);
    } else if (chy_str_equal_c(name, ":path")) {
        s->target = keep(s, value);
    } else if (chy_str_equal_c(name, ":authority")) {
        s->authority = keep(s, value);
    } else if (name.n > 0 && name.p[0] == ':') {
        return; /* :scheme; nghttp2 refuses those that do not exist */
    } else if (!chy_http_is_token(name) || !chy_http_is_field_value(value)) {
        refuse(s, 400, "The value of a header field is not printable ASCII.");
    } else if (s->field_count == CHY_LIMIT_HTTP_FIELDS) {
        refuse(s, 431, "There are more header fields than this server takes.");
    } else {
        s->fields[s->field_count][0] = keep(s, name);
        s->fields[s->field_count][1] = keep(s, value);
        s->field_count++;
    }
}

/* NOLINTNEXTLINE(readability-function-size): nghttp2's parameters */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
    (void)flags;
    (void)ctx;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    keep_field(s, (struct chy_str){ (const char *)name, name_n },
               (struct chy_str){ (const char *)value, value_n });
    if (s->head.is_out_of_memory)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (s->head.is_over)
        refuse(s, 431, "The header is longer than this server takes.");
    return 0;
}

/* What nghttp2 would pass over in silence: a name or a value that cannot be in a field. */
/* NOLINTNEXTLINE(readability-function-size): nghttp2's parameters */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_n, const uint8_t *value,
                             size_t value_n, uint8_t flags, void *ctx)
{
    (void)name;
    (void)name_n;
    (void)value;
    (void)value_n;
    (void)flags;
    (void)ctx;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s != NULL)
        refuse(s, 400, "A header field is not a token with a printable value.");
    return 0;
}

static void fill_request(const struct stream *s, struct chy_http_request *r)
{
    r->target = span_in(s, s->target);
    r->field_count = s->field_count;
    for (size_t i = 0; i < s->field_count; i++)
        r->fields[i] =
            (struct chy_http_field){ span_in(s, s->fields[i][0]), span_in(s, s->fields[i][1]) };
    const struct chy_http_field *host = chy_http_field_find(r, "host");
    r->host = s->authority.n == 0 && host != NULL ? host->value : span_in(s, s->authority);
}

/* The rules of HTTP/1.1's request line, and those that hold for both. */
static void check_head(struct chy_http2 *h, struct stream *s)
{
    struct chy_http_request *r = &h->request;
    if (s->why.status != 0)
        return;
    fill_request(s, r);
    const struct chy_http_field *host = chy_http_field_find(r, "host");
    if (!chy_http_method_find(span_in(s, s->method_name), &s->method))
        refuse(s, 501, "This server does not know the method.");
    else if (r->target.n > CHY_LIMIT_HTTP_TARGET)
        refuse(s, 414, "The target is longer than this server takes.");
    else if (!chy_http_is_target(r->target))
        refuse(s, 400, "The target is not an absolute path with an optional query.");
    else if (host != NULL && !chy_str_equal(host->value, r->host))
        refuse(s, 400, "Host and :authority differ.");
    if (s->why.status != 0)
        return;
    r->method = s->method;
    CHY_IGNORE(chy_http_request_check(r, h->body_max, &s->why)); /* why.status says the same */
}

static void hand_over_refused(struct chy_http2 *h, struct stream *s)
{
    h->body_bytes -= s->body.n;
    chy_buf_done(&s->body);
    s->step = STREAM_ASKED;
    h->handler.on_refused(h->handler.ctx, s->id, &s->why);
}

static void hand_over(struct chy_http2 *h, struct stream *s)
{
    struct chy_http_request *r = &h->request;
    int32_t id = s->id;
    struct chy_buf body = s->body; /* the handler may answer, and so on until the stream is gone */
    h->body_bytes -= s->body.n;
    chy_buf_init(&s->body, 0);
    fill_request(s, r);
    r->method = s->method;
    r->body = chy_buf_bytes(&body);
    r->content_length = body.n;
    r->expects_continue = false;
    r->wants_close = false;
    s->step = STREAM_ASKED;
    h->handler.on_request(h->handler.ctx, id, r);
    chy_buf_done(&body);
}

static int say_continue(nghttp2_session *session, int32_t id)
{
    static uint8_t name[] = ":status";
    static uint8_t value[] = "100";
    nghttp2_nv nv = { name, value, sizeof name - 1, sizeof value - 1, NGHTTP2_NV_FLAG_NONE };
    return nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id, NULL, &nv, 1, NULL);
}

/* --- frames --- */

static int on_head_complete(struct chy_http2 *h, struct stream *s, bool is_last)
{
    check_head(h, s);
    if (s->why.status != 0) {
        hand_over_refused(h, s);
        return 0;
    }
    s->step = STREAM_BODY;
    if (!is_last && h->request.expects_continue)
        return say_continue(h->session, s->id) == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                                    : 0;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct chy_http2 *h = ctx;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s == NULL)
        return 0;
    bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    int r = 0;
    if (s->step == STREAM_HEAD)
        r = on_head_complete(h, s, is_last);
    if (r == 0 && is_last && s->step == STREAM_BODY)
        hand_over(h, s);
    return r;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *ctx)
{
    (void)flags;
    struct chy_http2 *h = ctx;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s == NULL || s->step != STREAM_BODY)
        return 0; /* refused already: what still comes is dropped */
    if (n > CHY_LIMIT_HTTP2_BODIES - h->body_bytes)
        refuse(s, 503, "This connection has too many unfinished requests.");
    else if (chy_buf_append(&s->body, (struct chy_bytes){ data, n }))
        h->body_bytes += n;
    else if (s->body.is_out_of_memory)
        refuse(s, 503, "There is no memory for the body.");
    else
        refuse(s, 413, "The body is larger than this server takes.");
    if (s->why.status != 0)
        hand_over_refused(h, s);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    (void)code;
    struct chy_http2 *h = ctx;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s == NULL)
        return 0;
    bool is_owed = s->step == STREAM_ASKED;
    stream_free(h, s);
    if (is_owed)
        h->handler.on_gone(h->handler.ctx, id);
    return 0;
}

/* --- set-up --- */

static bool set_callbacks(nghttp2_session_callbacks **ret_callbacks)
{
    nghttp2_session_callbacks *c = NULL;
    if (nghttp2_session_callbacks_new(&c) != 0)
        return false;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    *ret_callbacks = c;
    return true;
}

static bool set_options(nghttp2_option **ret_option)
{
    nghttp2_option *o = NULL;
    if (nghttp2_option_new(&o) != 0)
        return false;
    nghttp2_option_set_stream_reset_rate_limit(o, RESET_BURST, RESETS_PER_SECOND);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS);
    nghttp2_option_set_max_settings(o, SETTINGS_ENTRIES);
    nghttp2_option_set_max_outbound_ack(o, WAITING_ACKS);
    nghttp2_option_set_no_closed_streams(o, 1);
    *ret_option = o;
    return true;
}

static int session_new(struct chy_http2 *h)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_mem mem = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };
    int r = NGHTTP2_ERR_NOMEM;
    if (set_callbacks(&callbacks) && set_options(&option))
        r = nghttp2_session_server_new3(&h->session, callbacks, h, option, &mem);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return r;
}

static int submit_settings(nghttp2_session *session)
{
    const nghttp2_settings_entry entries[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, CHY_LIMIT_HTTP2_STREAMS },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CHY_LIMIT_HTTP_HEAD },
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
    };
    int r = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, CHY_ARRAY_LEN(entries));
    if (r != 0)
        return r;
    return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

static enum chy_err fail(struct chy_error *err, int code)
{
    enum chy_err r = code == NGHTTP2_ERR_NOMEM || code == NGHTTP2_ERR_CALLBACK_FAILURE
                         ? CHY_E_NOMEM
                         : CHY_E_PROTOCOL;
    return chy_fail_sys(err, r, code, "HTTP/2: %s", nghttp2_strerror(code));
}

enum chy_err chy_http2_new(const struct chy_http2_handler *handler, size_t body_max,
                           struct chy_http2 **ret_h2, struct chy_error *err)
{
    CHY_CLEANUP(chy_http2_freep) struct chy_http2 *h = chy_new(struct chy_http2);
    if (h == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for an HTTP/2 connection");
    h->handler = *handler;
    h->body_max = body_max;
    int r = session_new(h);
    if (r == 0)
        r = submit_settings(h->session);
    if (r != 0)
        return fail(err, r);
    *ret_h2 = CHY_TAKE(h);
    return CHY_OK;
}

void chy_http2_free(struct chy_http2 *h)
{
    if (h == NULL)
        return;
    nghttp2_session_del(h->session);
    while (h->streams != NULL)
        stream_free(h, h->streams);
    chy_free(h);
}

void chy_http2_freep(struct chy_http2 **h)
{
    chy_http2_free(*h);
}

enum chy_err chy_http2_receive(struct chy_http2 *h, struct chy_bytes in, int64_t now_us,
                               struct chy_error *err)
{
    h->now_us = now_us;
    ssize_t n = nghttp2_session_mem_recv(h->session, in.p, in.n);
    if (n < 0)
        return fail(err, (int)n);
    /* It stops early when it has decided to end the connection. */
    if ((size_t)n < in.n && nghttp2_session_want_read(h->session) == 0)
        return chy_fail(err, CHY_E_PROTOCOL, "HTTP/2: the peer was told to go away");
    return CHY_OK;
}

enum chy_err chy_http2_send(struct chy_http2 *h, struct chy_buf *out, size_t enough_bytes,
                            struct chy_error *err)
{
    while (out->n < enough_bytes) {
        const uint8_t *data = NULL;
        ssize_t n = nghttp2_session_mem_send(h->session, &data);
        if (n < 0)
            return fail(err, (int)n);
        if (n == 0)
            break;
        chy_buf_append(out, (struct chy_bytes){ data, (size_t)n });
    }
    return chy_buf_check(out, err);
}

/* --- a response --- */

static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *to, size_t n,
                           uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)session;
    (void)id;
    (void)ctx;
    struct stream *s = source->ptr;
    size_t left = CHY_MIN(s->answer.n - s->answered_n, n);
    chy_copy(to, s->answer.p + s->answered_n, left);
    s->answered_n += left;
    if (s->answered_n == s->answer.n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)left;
}

/* nghttp2 takes pointers to bytes that it does not change, and copies them. */
static uint8_t *unconst(const void *p)
{
    return CHY_UNCONST(uint8_t, p);
}

struct nv_list {
    nghttp2_nv nv[FIELDS_WITHOUT_OWN + OWN_FIELDS_MAX];
    size_t n;
};

static void add(struct nv_list *l, struct chy_str name, struct chy_str value)
{
    CHY_ASSERT(l->n < CHY_ARRAY_LEN(l->nv) && chy_http_is_field_value(value));
    l->nv[l->n++] =
        (nghttp2_nv){ unconst(name.p), unconst(value.p), name.n, value.n, NGHTTP2_NV_FLAG_NONE };
}

static int submit(struct chy_http2 *h, struct stream *s, const struct chy_http_response *r)
{
    struct nv_list l = { .n = 0 };
    char status[16];
    char length[24];
    CHY_IGNORE(snprintf(status, sizeof status, "%d", r->status));  /* three digits */
    CHY_IGNORE(snprintf(length, sizeof length, "%zu", r->body.n)); /* twenty at most */
    add(&l, CHY_STR(":status"), chy_str_of(status));
    if (r->date.n > 0)
        add(&l, CHY_STR("date"), r->date);
    if (r->content_type.n > 0)
        add(&l, CHY_STR("content-type"), r->content_type);
    if (r->status != 204)
        add(&l, CHY_STR("content-length"), chy_str_of(length));
    add(&l, CHY_STR("cache-control"),
        r->cache_control.n > 0 ? r->cache_control : CHY_STR("no-store"));
    for (size_t i = 0; i < chy_http_security_field_count; i++)
        add(&l, chy_str_of(chy_http_security_fields[i].name),
            chy_str_of(chy_http_security_fields[i].value));
    for (size_t i = 0; i < r->field_count; i++)
        add(&l, r->fields[i].name, r->fields[i].value);
    nghttp2_data_provider provider = { .source.ptr = s, .read_callback = read_answer };
    return nghttp2_submit_response(h->session, s->id, l.nv, l.n,
                                   s->answer.n > 0 ? &provider : NULL);
}

enum chy_err chy_http2_respond(struct chy_http2 *h, int32_t stream,
                               const struct chy_http_response *response, struct chy_error *err)
{
    struct stream *s = nghttp2_session_get_stream_user_data(h->session, stream);
    if (s == NULL)
        return CHY_OK;
    if (s->step == STREAM_ANSWERED)
        return chy_fail(err, CHY_E_STATE, "HTTP/2: a stream was answered twice");
    if (!response->is_head && response->status != 204)
        chy_buf_append(&s->answer, response->body);
    CHY_TRY(chy_buf_check(&s->answer, err));
    int r = submit(h, s, response);
    if (r != 0)
        return fail(err, r);
    s->step = STREAM_ANSWERED;
    return CHY_OK;
}

enum chy_err chy_http2_drain(struct chy_http2 *h, struct chy_error *err)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
    int r = nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
    return r == 0 ? CHY_OK : fail(err, r);
}

bool chy_http2_is_over(const struct chy_http2 *h)
{
    return nghttp2_session_want_read(h->session) == 0 &&
           nghttp2_session_want_write(h->session) == 0;
}

size_t chy_http2_stream_count(const struct chy_http2 *h)
{
    return h->stream_count;
}

int64_t chy_http2_waiting_since_us(const struct chy_http2 *h)
{
    int64_t oldest = INT64_MAX;
    for (const struct stream *s = h->streams; s != NULL; s = s->next)
        if (s->step < STREAM_ASKED)
            oldest = CHY_MIN(oldest, s->since_us);
    return oldest;
}

size_t chy_http2_body_bytes(const struct chy_http2 *h)
{
    return h->body_bytes;
}
