/* SPDX-License-Identifier: MIT */
#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"
#include "signer/tokens_internal.h"

enum {
    KEY_TIMEOUT_FACTOR = 10, /* making an RSA-4096 key takes seconds */
};

bool token_is_software(const struct token *t)
{
    return t->config.is_software || t->info.is_software;
}

struct chy_str token_name(const struct token *t)
{
    return t->config.name;
}

struct token *tokens_find(struct signer *s, struct chy_str name)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    if (chy_str_equal(t->config.name, name))
        return t;
    return NULL;
}

bool token_has_worker(const struct token *t)
{
    struct worker *w;
    LL_FOREACH(t->workers, w)
    if (w->is_ready)
        return true;
    return false;
}

size_t token_workers_ready(const struct token *t)
{
    size_t n = 0;
    struct worker *w;
    LL_FOREACH(t->workers, w)
    n += w->is_ready ? 1 : 0;
    return n;
}

static enum chy_err token_new(struct signer *s, const struct chy_signer_token *config,
                              struct chy_error *err)
{
    struct token *t = chy_new(struct token);
    if (t == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a token");
    t->s = s;
    t->config = *config;
    chy_arena_init(&t->info_arena, CHY_LIMIT_FRAME);
    LL_APPEND(s->tokens, t);
    for (uint32_t i = 0; i < config->workers; i++) {
        struct worker *w = chy_new(struct worker);
        if (w == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a worker");
        w->token = t;
        w->number = i;
        LL_APPEND(t->workers, w);
    }
    return CHY_OK;
}

enum chy_err tokens_new(struct signer *s, struct chy_error *err)
{
    for (size_t i = 0; i < s->config.tokens.n; i++)
        CHY_TRY(token_new(s, &s->config.tokens.p[i], err));
    return CHY_OK;
}

void tokens_free(struct signer *s)
{
    struct token *t;
    struct token *next_t;
    LL_FOREACH_SAFE(s->tokens, t, next_t)
    {
        struct worker *w;
        struct worker *next_w;
        LL_FOREACH_SAFE(t->workers, w, next_w)
        {
            struct flight *f;
            struct flight *next_f;
            LL_FOREACH_SAFE(w->flights, f, next_f)
            chy_free(f);
            chy_channel_free(w->channel);
            chy_free(w);
        }
        chy_arena_done(&t->info_arena);
        chy_free(t);
    }
    s->tokens = NULL;
}

struct flight *token_flight_new(struct worker *w, enum chy_msg type)
{
    struct flight *f = chy_new(struct flight);
    if (f == NULL)
        return NULL;
    f->frame_id = ++w->token->s->next_frame_id;
    f->type = type;
    f->sent_us = chy_clock_monotonic_us();
    return f;
}

enum chy_err token_flight_send(struct worker *w, struct flight *f, const struct chy_schema *schema,
                               const void *message, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_encode(schema, message, &out, err));
    struct chy_frame frame = { .type = (uint16_t)f->type,
                               .id = f->frame_id,
                               .body = chy_buf_bytes(&out) };
    CHY_TRY(chy_channel_send(w->channel, &frame, err));
    LL_APPEND(w->flights, f);
    w->flight_count++;
    return CHY_OK;
}

static struct flight *flight_take(struct worker *w, uint64_t frame_id)
{
    struct flight *f;
    LL_SEARCH_SCALAR(w->flights, f, frame_id, frame_id);
    if (f != NULL) {
        LL_DELETE(w->flights, f);
        w->flight_count--;
    }
    return f;
}

static enum chy_err on_info(struct worker *w, struct chy_bytes body, struct chy_error *err)
{
    struct token *t = w->token;
    struct chy_token_info_msg message;
    chy_arena_reset(&t->info_arena);
    t->info = (struct chy_token_info){ 0 };
    struct chy_bytes own = chy_arena_bytes(&t->info_arena, body);
    CHY_TRY(chy_schema_decode(&chy_token_info_msg_schema, own, &t->info_arena, &message, err));
    t->info = message.info;
    w->is_ready = true;
    chy_log(&t->s->log, CHY_LOG_INFO, "token.ready", CHY_L_STR("token", t->config.name),
            CHY_L_U64("worker", w->number), CHY_L_BOOL("software", token_is_software(t)));
    return CHY_OK;
}

static enum chy_err on_answer(struct worker *w, const struct chy_frame *frame,
                              struct chy_error *err)
{
    if (frame->type == CHY_MSG_TOKEN_INFO)
        return on_info(w, frame->body, err);
    struct flight *f = flight_take(w, frame->id);
    if (f == NULL)
        return chy_fail(err, CHY_E_PROTOCOL, "a token process answered what nobody asked");
    enum chy_err r = CHY_E_PROTOCOL;
    struct flight copy = *f;
    if (frame->type == CHY_MSG_TOKEN_SIGN_REPLY)
        r = token_sign_replied(w, &copy, frame->body, err);
    else if (frame->type == CHY_MSG_TOKEN_KEY_REPLY)
        r = token_key_replied(&copy, frame->body, err);
    else if (frame->type == CHY_MSG_TOKEN_DROP_REPLY)
        r = token_drop_replied(&copy, frame->body, err);
    if (r != CHY_OK) {
        /* Put it back: losing the worker, below, treats it as any other. */
        LL_APPEND(w->flights, f);
        w->flight_count++;
        return r;
    }
    chy_free(f);
    return CHY_OK;
}

static void worker_lost(struct worker *w)
{
    struct flight *flights = w->flights;
    w->flights = NULL;
    w->flight_count = 0;
    w->is_ready = false;
    w->is_reported = false;
    struct flight *f;
    struct flight *next;
    LL_FOREACH_SAFE(flights, f, next)
    {
        if (f->type == CHY_MSG_TOKEN_SIGN)
            token_requeue(w, f);
        else
            token_key_lost(f);
        chy_free(f);
    }
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct worker *w = ctx;
    struct chy_error err;
    if (on_answer(w, frame, &err) == CHY_OK)
        return;
    chy_log(&w->token->s->log, CHY_LOG_ERROR, "token.bad_answer",
            CHY_L_STR("token", w->token->config.name), CHY_L_ERR(&err));
    w->channel = NULL;
    chy_channel_free(channel);
    worker_lost(w);
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    struct worker *w = ctx;
    (void)why;
    (void)error; /* the supervisor tells how the process ended */
    if (w->channel == channel)
        w->channel = NULL;
    chy_channel_free(channel);
    worker_lost(w);
}

static struct worker *worker_find(struct token *t, uint32_t number)
{
    struct worker *w;
    LL_SEARCH_SCALAR(t->workers, w, number, number);
    return w;
}

enum chy_err tokens_connect(struct signer *s, const struct chy_peer *peer, int fd,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int own = fd;
    struct token *t = tokens_find(s, peer->token);
    struct worker *w = t != NULL ? worker_find(t, peer->worker) : NULL;
    if (w == NULL)
        return chy_fail(err, CHY_E_PROTOCOL, "there is no worker %u of token \"%.*s\"",
                        peer->worker, CHY_STR_ARG(peer->token));
    if (w->channel != NULL) {
        chy_channel_free(w->channel);
        w->channel = NULL;
        worker_lost(w);
    }
    struct chy_channel_options options = { .send_limit_bytes = (size_t)2 * CHY_LIMIT_FRAME };
    struct chy_channel_handler handler = { .on_frame = on_frame, .on_close = on_close, .ctx = w };
    CHY_TRY(chy_channel_new(own, &options, &w->channel, err));
    own = -1;
    return chy_channel_attach(w->channel, s->loop, &handler, err);
}

static void report_hung(struct worker *w)
{
    struct signer *s = w->token->s;
    struct chy_error err;
    struct chy_peer peer = { CHY_PROCESS_TOKEN, w->token->config.name, w->number };
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_PATH);
    chy_log(&s->log, CHY_LOG_ERROR, "token.hung", CHY_L_STR("token", peer.token),
            CHY_L_U64("worker", peer.worker));
    enum chy_err r = chy_schema_encode(&chy_peer_schema, &peer, &out, &err);
    struct chy_frame frame = { .type = CHY_MSG_HUNG, .body = chy_buf_bytes(&out) };
    if (r == CHY_OK)
        r = chy_channel_send(s->supervisor, &frame, &err);
    if (r != CHY_OK)
        chy_log(&s->log, CHY_LOG_ERROR, "token.hung_not_told", CHY_L_ERR(&err));
    w->is_reported = r == CHY_OK;
}

static bool is_late(const struct worker *w, const struct flight *f, int64_t now_us)
{
    int64_t limit = (int64_t)w->token->s->config.token_timeout_ms * 1000;
    if (f->type != CHY_MSG_TOKEN_SIGN)
        limit *= KEY_TIMEOUT_FACTOR;
    return now_us - f->sent_us > limit;
}

void tokens_check(struct signer *s, int64_t now_us)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    {
        struct worker *w;
        LL_FOREACH(t->workers, w)
        {
            struct flight *f;
            LL_FOREACH(w->flights, f)
            if (is_late(w, f, now_us) && !w->is_reported) {
                report_hung(w);
                break;
            }
        }
        if (token_has_worker(t))
            t->served_us = now_us;
        token_queue_expire(t, now_us);
    }
}

size_t tokens_in_flight(const struct signer *s)
{
    size_t n = 0;
    struct token *t;
    LL_FOREACH(s->tokens, t)
    n += t->in_flight;
    return n;
}

bool tokens_are_full_for(struct signer *s, const struct key *key)
{
    const struct token *t = tokens_find(s, key->record.key.token);
    return t != NULL && t->queue != NULL;
}

bool tokens_are_full(const struct signer *s)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    if (t->in_flight > 0 && t->queue == NULL)
        return false;
    return tokens_in_flight(s) > 0;
}

bool tokens_are_ready(const struct signer *s, struct chy_str *ret_missing)
{
    struct token *t;
    LL_FOREACH(s->tokens, t)
    if (!token_has_worker(t)) {
        *ret_missing = t->config.name;
        return false;
    }
    return true;
}

enum chy_err tokens_list(struct signer *s, struct chy_arena *arena, struct chy_token_list *ret_list,
                         struct chy_error *err)
{
    struct token *t;
    size_t n = 0;
    struct chy_token_info *list = chy_arena_array(arena, struct chy_token_info, s->config.tokens.n);
    if (list == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of tokens");
    LL_FOREACH(s->tokens, t)
    {
        list[n] = t->info;
        list[n].name = t->config.name;
        list[n].is_software = token_is_software(t);
        list[n].workers = t->config.workers;
        list[n].is_ready = token_workers_ready(t) == t->config.workers;
        n++;
    }
    ret_list->tokens.p = list;
    ret_list->tokens.n = n;
    return CHY_OK;
}
