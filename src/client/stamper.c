/* SPDX-License-Identifier: MIT */
#include "client/stamper.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/time_stamp.h"
#include "os/http_client.h"
#include "os/random.h"

#define TIMEOUT_MS    15000 /* as jarsigner has it */
#define REQUEST_BYTES 256
/* in a row: then the authority is down, and a thousand files need not wait */
#define FAILURES    3
#define ANSWER_TYPE "application/timestamp-reply"

struct chy_stamper {
    struct chy_http_client *http;
    const char *url;
    unsigned failures; /* in a row */
};

enum chy_err chy_stamper_new(struct chy_str url, struct chy_stamper **ret_stamper,
                             struct chy_error *err)
{
    const struct chy_http_client_options options = {
        .user_agent = "chancery/" CHY_VERSION,
        .is_self_proving = true,
    };
    CHY_CLEANUP(chy_stamper_freep) struct chy_stamper *s = chy_new(struct chy_stamper);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to ask for time stamps");
    s->url = url.p;
    CHY_TRY(chy_http_client_new(&options, &s->http, err));
    *ret_stamper = CHY_TAKE(s);
    return CHY_OK;
}

void chy_stamper_free(struct chy_stamper *s)
{
    if (s == NULL)
        return;
    chy_http_client_free(s->http);
    chy_free(s);
}

void chy_stamper_freep(struct chy_stamper **s)
{
    chy_stamper_free(*s);
}

static enum chy_err make_request(enum chy_hash_alg hash, struct chy_bytes signature,
                                 struct chy_buf *out, struct chy_error *err)
{
    uint8_t nonce[CHY_TIME_STAMP_NONCE];
    uint8_t digest[CHY_LIMIT_DIGEST];
    CHY_TRY(chy_random_fill(nonce, sizeof nonce, err));
    CHY_TRY(chy_hash(hash, signature, digest, err));
    return chy_time_stamp_request(hash, (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) },
                                  (struct chy_bytes){ nonce, sizeof nonce }, out, err);
}

static enum chy_err exchange(struct chy_stamper *s, struct chy_bytes request,
                             struct chy_buf *answer, struct chy_error *err)
{
    struct chy_http_exchange x = {
        .method = "POST",
        .url = s->url,
        .accept = CHY_STR(ANSWER_TYPE),
        .has_body = true,
        .body = request,
        .body_type = CHY_STR("application/timestamp-query"),
        .timeout_ms = TIMEOUT_MS,
        .answer = answer,
    };
    CHY_TRY(chy_http_client_do(s->http, &x, err));
    if (x.status != 200)
        return chy_fail(err, CHY_E_PROTOCOL, "the authority answers with HTTP status %u", x.status);
    if (!chy_str_equal_c(chy_str_of(x.content_type), ANSWER_TYPE))
        return chy_fail(err, CHY_E_PROTOCOL, "the authority's answer is \"%s\", not %s",
                        x.content_type, ANSWER_TYPE);
    return CHY_OK;
}

static enum chy_err reach(struct chy_stamper *s, struct chy_bytes request, struct chy_buf *answer,
                          struct chy_error *err)
{
    if (s->failures == FAILURES)
        return chy_fail(err, CHY_E_NETWORK,
                        "the authority did not answer %d times in a row, and is not asked again",
                        FAILURES);
    enum chy_err r = exchange(s, request, answer, err);
    s->failures = r == CHY_E_NETWORK || r == CHY_E_TIMEOUT ? s->failures + 1 : 0;
    return r;
}

static enum chy_err ask(struct chy_stamper *s, enum chy_hash_alg hash, struct chy_bytes signature,
                        struct chy_arena *arena, struct chy_bytes *ret_token, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf request;
    CHY_CLEANUP(chy_buf_done) struct chy_buf answer;
    struct chy_bytes token;
    chy_buf_init(&request, REQUEST_BYTES);
    chy_buf_init(&answer, CHY_LIMIT_TIME_STAMP);
    CHY_TRY(make_request(hash, signature, &request, err));
    CHY_TRY(reach(s, chy_buf_bytes(&request), &answer, err));
    CHY_TRY(chy_time_stamp_answer(chy_buf_bytes(&request), chy_buf_bytes(&answer), &token, err));
    *ret_token = chy_arena_bytes(arena, token);
    if (ret_token->p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a time stamp");
    return CHY_OK;
}

enum chy_err chy_stamper_ask(struct chy_stamper *s, enum chy_hash_alg hash,
                             struct chy_bytes signature, struct chy_arena *arena,
                             struct chy_bytes *ret_token, struct chy_error *err)
{
    enum chy_err r = ask(s, hash, signature, arena, ret_token, err);
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "no time stamp of %s", s->url);
}
