/* SPDX-License-Identifier: MIT */
#include "client/stamper.h"

#include <pthread.h>
#include <stdatomic.h>

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

/* One connection, with what is asked on it now. A thread of its own has it until it is joined. */
struct lane {
    struct chy_stamper *stamper;
    struct chy_http_client *http; /* NULL: not made yet */
    enum chy_hash_alg hash;
    struct chy_stamp *stamp; /* its token borrows from `answer` while the lane is asked */
    struct chy_buf answer;
    pthread_t thread;
    bool is_threaded;
};

struct chy_stamper {
    const char *url;
    int64_t timeout_ms;
    atomic_uint failures; /* in a row */
    struct lane lanes[CHY_LIMIT_STAMPS_AT_ONCE];
};

enum chy_err chy_stamper_new(struct chy_str url, struct chy_stamper **ret_stamper,
                             struct chy_error *err)
{
    struct chy_stamper *s = chy_new(struct chy_stamper);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to ask for time stamps");
    s->url = url.p;
    s->timeout_ms = TIMEOUT_MS;
    *ret_stamper = s;
    return CHY_OK;
}

void chy_stamper_free(struct chy_stamper *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < CHY_ARRAY_LEN(s->lanes); i++)
        chy_http_client_free(s->lanes[i].http);
    chy_free(s);
}

void chy_stamper_freep(struct chy_stamper **s)
{
    chy_stamper_free(*s);
}

void chy_stamper_set_timeout(struct chy_stamper *s, int64_t timeout_ms)
{
    s->timeout_ms = timeout_ms;
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

static enum chy_err exchange(struct lane *l, struct chy_bytes request, struct chy_error *err)
{
    struct chy_http_exchange x = {
        .method = "POST",
        .url = l->stamper->url,
        .accept = CHY_STR(ANSWER_TYPE),
        .has_body = true,
        .body = request,
        .body_type = CHY_STR("application/timestamp-query"),
        .timeout_ms = l->stamper->timeout_ms,
        .answer = &l->answer,
    };
    CHY_TRY(chy_http_client_do(l->http, &x, err));
    if (x.status != 200)
        return chy_fail(err, CHY_E_PROTOCOL, "the authority answers with HTTP status %u", x.status);
    if (!chy_str_equal_c(chy_str_of(x.content_type), ANSWER_TYPE))
        return chy_fail(err, CHY_E_PROTOCOL, "the authority's answer is \"%s\", not %s",
                        x.content_type, ANSWER_TYPE);
    return CHY_OK;
}

static enum chy_err reach(struct lane *l, struct chy_bytes request, struct chy_error *err)
{
    atomic_uint *failures = &l->stamper->failures;
    if (atomic_load(failures) >= FAILURES)
        return chy_fail(err, CHY_E_NETWORK,
                        "the authority did not answer %d times in a row, and is not asked again",
                        FAILURES);
    enum chy_err r = exchange(l, request, err);
    if (r == CHY_E_NETWORK || r == CHY_E_TIMEOUT)
        atomic_fetch_add(failures, 1);
    else
        atomic_store(failures, 0);
    return r;
}

static enum chy_err lane_ask(struct lane *l, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf request;
    chy_buf_init(&request, REQUEST_BYTES);
    CHY_TRY(make_request(l->hash, l->stamp->signature, &request, err));
    CHY_TRY(reach(l, chy_buf_bytes(&request), err));
    return chy_time_stamp_answer(chy_buf_bytes(&request), chy_buf_bytes(&l->answer),
                                 &l->stamp->token, err);
}

static void *lane_main(void *ctx)
{
    struct lane *l = ctx;
    l->stamp->code = lane_ask(l, &l->stamp->why);
    return NULL;
}

/* Without a thread it is asked by the caller's, when the others run. */
static void lane_start(struct lane *l, bool wants_thread)
{
    static const struct chy_http_client_options options = {
        .user_agent = "chancery/" CHY_VERSION,
        .is_self_proving = true,
    };
    l->stamp->code = CHY_OK;
    if (l->http == NULL)
        l->stamp->code = chy_http_client_new(&options, &l->http, &l->stamp->why);
    l->is_threaded = wants_thread && l->stamp->code == CHY_OK &&
                     pthread_create(&l->thread, NULL, lane_main, l) == 0;
}

static void lane_finish(struct lane *l, struct chy_arena *arena)
{
    struct chy_stamp *stamp = l->stamp;
    if (l->is_threaded)
        CHY_IGNORE(pthread_join(l->thread, NULL)); /* it was made, and is joined once */
    if (stamp->code == CHY_OK) {
        stamp->token = chy_arena_bytes(arena, stamp->token);
        if (stamp->token.p == NULL)
            stamp->code = chy_fail(&stamp->why, CHY_E_NOMEM, "no memory for a time stamp");
    }
    if (stamp->code != CHY_OK)
        stamp->code =
            chy_error_prefix(&stamp->why, stamp->code, "no time stamp of %s", l->stamper->url);
    chy_buf_done(&l->answer);
}

void chy_stamper_ask(struct chy_stamper *s, enum chy_hash_alg hash, struct chy_stamp *stamps,
                     size_t n, struct chy_arena *arena)
{
    CHY_ASSERT(n <= CHY_LIMIT_STAMPS_AT_ONCE);
    for (size_t i = 0; i < n; i++) {
        struct lane *l = &s->lanes[i];
        l->stamper = s;
        l->hash = hash;
        l->stamp = &stamps[i];
        chy_buf_init(&l->answer, CHY_LIMIT_TIME_STAMP);
        lane_start(l, i + 1 < n);
    }
    for (size_t i = 0; i < n; i++)
        if (!s->lanes[i].is_threaded && stamps[i].code == CHY_OK)
            lane_main(&s->lanes[i]);
    for (size_t i = 0; i < n; i++)
        lane_finish(&s->lanes[i], arena);
}
