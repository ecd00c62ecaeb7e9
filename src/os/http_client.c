/* SPDX-License-Identifier: MIT */
#include "os/http_client.h"

#include <curl/curl.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"

#define CONNECT_TIMEOUT_MS 10000L
#define HEADER_LINE        512 /* bytes of a header line of ours; an API token has at most 128 */

struct chy_http_client {
    CURL *curl;
    char reason[CURL_ERROR_SIZE];  /* what the library says of the last failure */
    struct chy_http_exchange *now; /* during chy_http_client_do() */
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct chy_http_client *c = ctx;
    return chy_buf_append(c->now->answer, (struct chy_bytes){ (const uint8_t *)p, size * n })
               ? size * n
               : 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The value of the header `name` (lower case), without blanks around it; false if it is another. */
static bool header_value(struct chy_str line, const char *name, struct chy_str *ret_value)
{
    size_t n = strlen(name);
    if (line.n <= n || line.p[n] != ':')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (lower(line.p[i]) != name[i])
            return false;
    }
    struct chy_str v = { line.p + n + 1, line.n - n - 1 };
    while (v.n != 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
        v = (struct chy_str){ v.p + 1, v.n - 1 };
    while (v.n != 0 && (v.p[v.n - 1] == '\r' || v.p[v.n - 1] == '\n' || v.p[v.n - 1] == ' '))
        v.n--;
    *ret_value = v;
    return true;
}

/* Left empty when it does not fit: half a value is worse than none. */
static void keep_value(struct chy_str v, char *to, size_t cap)
{
    to[0] = '\0';
    if (v.n >= cap || !chy_text_is_plain(v))
        return;
    for (size_t i = 0; i < v.n; i++)
        to[i] = lower(v.p[i]);
    to[v.n] = '\0';
}

static uint32_t parse_seconds(struct chy_str v)
{
    uint32_t s = 0;
    if (v.n == 0 || v.n > 6)
        return 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return 0;
        s = s * 10 + (uint32_t)(v.p[i] - '0');
    }
    return s;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct chy_http_client *c = ctx;
    struct chy_str line = { p, size * n };
    struct chy_str v;
    if (header_value(line, "content-type", &v)) {
        const char *end = memchr(v.p, ';', v.n);
        if (end != NULL)
            v.n = (size_t)(end - v.p);
        keep_value(v, c->now->content_type, sizeof c->now->content_type);
    } else if (header_value(line, "chancery-request-id", &v)) {
        keep_value(v, c->now->request_id, sizeof c->now->request_id);
    } else if (header_value(line, "retry-after", &v)) {
        c->now->retry_after_s = parse_seconds(v);
    }
    return size * n;
}

/* Every option must be taken: one that the library lacks may be the one that protects. */
#define SET(option, value)                                                       \
    do {                                                                         \
        if (curl_easy_setopt(c->curl, (option), (value)) != CURLE_OK)            \
            return chy_fail(err, CHY_E_UNSUPPORTED, "libcurl refuses " #option); \
    } while (0)

/* The library borrows: the key is never copied out of its locked pages by us. */
static struct curl_blob blob_of(struct chy_bytes b)
{
    union {
        const void *in;
        void *out; /* struct curl_blob has no const */
    } p = { .in = b.p };
    return (struct curl_blob){ .data = p.out, .len = b.n, .flags = CURL_BLOB_NOCOPY };
}

static enum chy_err set_identity(struct chy_http_client *c,
                                 const struct chy_http_client_options *options,
                                 struct chy_error *err)
{
    if (options->key_pem == NULL)
        return CHY_OK;
    struct curl_blob key = blob_of(chy_secret_bytes(options->key_pem));
    struct curl_blob certificate = blob_of(options->certificate_pem);
    SET(CURLOPT_SSLKEYTYPE, "PEM");
    SET(CURLOPT_SSLCERTTYPE, "PEM");
    SET(CURLOPT_SSLKEY_BLOB, &key);
    SET(CURLOPT_SSLCERT_BLOB, &certificate);
    return CHY_OK;
}

static enum chy_err set_trust(struct chy_http_client *c,
                              const struct chy_http_client_options *options, struct chy_error *err)
{
    if (options->ca_file != NULL)
        SET(CURLOPT_CAINFO, options->ca_file);
    if (options->pin == NULL)
        return CHY_OK;
    char pin[sizeof "sha256//" + CHY_HTTP_PIN_CHARS];
    if (chy_str_of(options->pin).n != CHY_HTTP_PIN_CHARS)
        return chy_fail(err, CHY_E_ARG, "the pin is not %d characters long", CHY_HTTP_PIN_CHARS);
    (void)snprintf(pin, sizeof pin, "sha256//%s", options->pin);
    SET(CURLOPT_PINNEDPUBLICKEY, pin);
    if (options->ca_file == NULL) {
        /* The pin names the key itself; nothing is left for a chain or a host name to say. */
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return CHY_OK;
}

static enum chy_err set_basics(struct chy_http_client *c,
                               const struct chy_http_client_options *options, struct chy_error *err)
{
    SET(CURLOPT_ERRORBUFFER, c->reason);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, options->is_self_proving ? "http,https" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_SSLVERSION,
        (long)(options->is_self_proving ? CURL_SSLVERSION_TLSv1_2 : CURL_SSLVERSION_TLSv1_3));
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_USERAGENT, options->user_agent);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, c);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, c);
    return CHY_OK;
}

enum chy_err chy_http_client_new(const struct chy_http_client_options *options,
                                 struct chy_http_client **ret_client, struct chy_error *err)
{
    CHY_CLEANUP(chy_http_client_freep) struct chy_http_client *c = chy_new(struct chy_http_client);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a connection");
    c->curl = curl_easy_init();
    if (c->curl == NULL)
        return chy_fail(err, CHY_E_NOMEM, "libcurl could not start");
    CHY_TRY(set_basics(c, options, err));
    CHY_TRY(set_trust(c, options, err));
    CHY_TRY(set_identity(c, options, err));
    *ret_client = CHY_TAKE(c);
    return CHY_OK;
}

void chy_http_client_free(struct chy_http_client *c)
{
    if (c == NULL)
        return;
    if (c->curl != NULL)
        curl_easy_cleanup(c->curl);
    chy_free(c);
}

void chy_http_client_freep(struct chy_http_client **c)
{
    chy_http_client_free(*c);
}

static void slist_freep(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

/* libcurl copies the token into memory of its own; that is why the process has no core dumps. */
static enum chy_err make_headers(const struct chy_http_exchange *x, struct curl_slist **list,
                                 struct chy_error *err)
{
    char line[HEADER_LINE];
    bool is_ok = true;
    if (x->api_version != 0) {
        (void)snprintf(line, sizeof line, "Chancery-Api: %u", x->api_version);
        is_ok = add_header(list, line);
    }
    if (x->accept.n != 0) {
        (void)snprintf(line, sizeof line, "Accept: %.*s", CHY_STR_ARG(x->accept));
        is_ok = is_ok && add_header(list, line);
    }
    if (x->has_body) { /* "Expect:" takes out the wait for 100-continue */
        struct chy_str type = x->body_type.n != 0 ? x->body_type : CHY_STR("application/json");
        (void)snprintf(line, sizeof line, "Content-Type: %.*s", CHY_STR_ARG(type));
        is_ok = is_ok && add_header(list, line) && add_header(list, "Expect:");
    }
    if (!is_ok)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
    return CHY_OK;
}

static enum chy_err set_bearer(struct chy_http_client *c, const struct chy_secret *bearer,
                               struct chy_error *err)
{
    if (bearer == NULL) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_NONE);
        SET(CURLOPT_XOAUTH2_BEARER, NULL);
        return CHY_OK;
    }
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *text = NULL;
    struct chy_bytes b = chy_secret_bytes(bearer);
    CHY_TRY(chy_secret_new(b.n + 1, &text, err));
    chy_copy(chy_secret_room(text), b.p, b.n);
    chy_secret_room(text)[b.n] = 0;
    SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    SET(CURLOPT_XOAUTH2_BEARER, (const char *)chy_secret_room(text));
    return CHY_OK;
}

static enum chy_err set_request(struct chy_http_client *c, const struct chy_http_exchange *x,
                                struct curl_slist *headers, struct chy_error *err)
{
    SET(CURLOPT_URL, x->url);
    /* A body is sent as libcurl sends a POST, whatever the method is called. */
    if (x->has_body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, x->body.n != 0 ? (const void *)x->body.p : (const void *)"");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.n);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, x->method);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_TIMEOUT_MS, (long)x->timeout_ms);
    return set_bearer(c, x->bearer, err);
}

static enum chy_err code_of(CURLcode code)
{
    /* The codes that are not named say that the connection did not carry the exchange. */
    static const struct {
        CURLcode curl;
        enum chy_err ours;
    } codes[] = {
        { CURLE_OUT_OF_MEMORY, CHY_E_NOMEM },
        { CURLE_OPERATION_TIMEDOUT, CHY_E_TIMEOUT },
        { CURLE_URL_MALFORMAT, CHY_E_ARG },
        { CURLE_UNSUPPORTED_PROTOCOL, CHY_E_ARG },
        { CURLE_PEER_FAILED_VERIFICATION, CHY_E_INTEGRITY },
        { CURLE_SSL_PINNEDPUBKEYNOTMATCH, CHY_E_INTEGRITY },
        { CURLE_SSL_ISSUER_ERROR, CHY_E_INTEGRITY },
        { CURLE_SSL_CACERT_BADFILE, CHY_E_ARG },
        { CURLE_SSL_CERTPROBLEM, CHY_E_ARG },
        { CURLE_WEIRD_SERVER_REPLY, CHY_E_PROTOCOL },
        { CURLE_SSL_CONNECT_ERROR, CHY_E_PROTOCOL },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(codes); i++) {
        if (codes[i].curl == code)
            return codes[i].ours;
    }
    return CHY_E_NETWORK;
}

static enum chy_err explain(const struct chy_http_client *c, CURLcode code, struct chy_error *err)
{
    const struct chy_http_exchange *x = c->now;
    if (x->answer->is_out_of_memory)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the server's answer");
    if (x->answer->is_over)
        return chy_fail(err, CHY_E_LIMIT, "the server's answer is longer than %zu bytes",
                        x->answer->max);
    if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        return chy_fail_sys(err, CHY_E_INTEGRITY, code,
                            "the server's key is not the pinned one: this is another server, or "
                            "somebody stands between");
    return chy_fail_sys(err, code_of(code), code, "%s",
                        c->reason[0] != '\0' ? c->reason : curl_easy_strerror(code));
}

static enum chy_err perform(struct chy_http_client *c, struct chy_error *err)
{
    c->reason[0] = '\0';
    CURLcode code = curl_easy_perform(c->curl);
    long sent_bytes = 0;
    c->now->is_unsent =
        code != CURLE_OK &&
        curl_easy_getinfo(c->curl, CURLINFO_REQUEST_SIZE, &sent_bytes) == CURLE_OK &&
        sent_bytes == 0;
    if (code != CURLE_OK)
        return explain(c, code, err);
    long status = 0;
    if (curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status < 100 ||
        status > 999)
        return chy_fail(err, CHY_E_PROTOCOL, "the server's answer has no status");
    c->now->status = (unsigned)status;
    return CHY_OK;
}

enum chy_err chy_http_client_do(struct chy_http_client *c, struct chy_http_exchange *exchange,
                                struct chy_error *err)
{
    exchange->status = 0;
    exchange->content_type[0] = '\0';
    exchange->request_id[0] = '\0';
    exchange->retry_after_s = 0;
    exchange->is_unsent = false;
    chy_buf_clear(exchange->answer);
    CHY_CLEANUP(slist_freep) struct curl_slist *headers = NULL;
    CHY_TRY(make_headers(exchange, &headers, err));
    CHY_TRY(set_request(c, exchange, headers, err));
    c->now = exchange;
    enum chy_err r = perform(c, err);
    c->now = NULL;
    /* The list ends with this call; the handle must not remember it. */
    CHY_IGNORE(curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL));
    return r;
}
