/* SPDX-License-Identifier: MIT */
#include "guest/ask.h"

#include "base/limits.h"
#include "guest/guest.h"
#include "guest/link.h"
#include "guest/reply.h"
#include "guest/times.h"
#include "os/clock.h"

/* One request under way. */
struct course {
    struct chy_guest *g;
    struct chy_guest_ask *ask;
    struct chy_guest_answer *answer;
    struct chy_buf body;
    struct chy_error *err;
    int64_t deadline_us;
    unsigned tries;
    bool is_connected; /* in this try */
};

void chy_guest_answer_init(struct chy_guest_answer *answer)
{
    *answer = (struct chy_guest_answer){ 0 };
    chy_arena_init(&answer->arena, CHY_LIMIT_ARENA);
}

void chy_guest_answer_done(struct chy_guest_answer *answer)
{
    chy_buf_done(&answer->in);
    chy_arena_done(&answer->arena);
}

static enum chy_err exchange(const struct course *c, struct chy_guest_link *link, void *ret_reply)
{
    struct chy_frame frame;
    struct chy_error *err = c->err;
    chy_buf_done(&c->answer->in);
    chy_arena_reset(&c->answer->arena);
    CHY_TRY(chy_guest_link_exchange(link, c->ask->type, chy_buf_bytes(&c->body), c->deadline_us,
                                    &c->answer->in, &frame, err));
    return chy_guest_reply_read(&frame, c->ask->reply_type, c->ask->reply_schema, &c->answer->arena,
                                ret_reply, &c->answer->is_failure, err);
}

static enum chy_err try_once(struct course *c, void *ret_reply)
{
    struct chy_guest *g = c->g;
    struct chy_guest_link *link;
    c->is_connected = false;
    CHY_TRY(chy_guest_link_take(g, c->ask->serial, c->deadline_us, &link, c->err));
    c->is_connected = true;
    enum chy_err r = exchange(c, link, ret_reply);
    if (r == CHY_OK || c->answer->is_failure) {
        c->ask->serial = link->serial;
        if (r == CHY_OK)
            link->streams += (size_t)c->ask->streams; /* -1 wraps as it should */
        chy_guest_link_give(g, link);
    } else {
        chy_guest_link_drop(g, link);
    }
    return r;
}

static bool is_worth_another(const struct course *c, enum chy_err r)
{
    bool is_given = c->g->config.is_socket_given;
    if (r == CHY_OK || c->answer->is_failure || c->ask->serial != 0 ||
        chy_clock_monotonic_us() >= c->deadline_us)
        return false;
    /* No greeting yet: it may be on its way up, or the machine has much to do. */
    bool is_late = !c->is_connected && r == CHY_E_TIMEOUT;
    if (!c->is_connected && is_given && (r == CHY_E_NETWORK || is_late))
        return true; /* nobody stands in for it */
    if (c->tries >= CHY_GUEST_TRIES)
        return false;
    return r == CHY_E_NETWORK || is_late ||
           (r == CHY_E_IO && c->is_connected && c->ask->may_repeat);
}

/* Longer each time; the end cuts it short. */
static enum chy_err pause(const struct course *c)
{
    struct chy_guest *g = c->g;
    int64_t pause_us = CHY_GUEST_BACKOFF_US << CHY_MIN(c->tries, 8U);
    int64_t until_us = chy_clock_monotonic_us() + CHY_MIN(pause_us, CHY_GUEST_BACKOFF_MAX_US);
    until_us = CHY_MIN(until_us, c->deadline_us);
    enum chy_err r = CHY_OK;
    chy_guest_lock(g);
    while (r == CHY_OK && chy_clock_monotonic_us() < until_us)
        r = chy_guest_wait_locked(g, until_us, NULL);
    chy_guest_unlock(g);
    return r == CHY_E_STATE ? r : CHY_OK;
}

static enum chy_err run(struct course *c, void *ret_reply)
{
    CHY_TRY(chy_schema_encode(c->ask->schema, c->ask->value, &c->body, c->err));
    for (;;) {
        c->tries++;
        enum chy_err r = try_once(c, ret_reply);
        if (!is_worth_another(c, r))
            return r;
        CHY_TRY(pause(c));
    }
}

enum chy_err chy_guest_ask(struct chy_guest *g, struct chy_guest_ask *ask,
                           struct chy_guest_answer *answer, void *ret_reply, struct chy_error *err)
{
    struct course c = { .g = g,
                        .err = err,
                        .ask = ask,
                        .answer = answer,
                        .deadline_us = chy_clock_monotonic_us() + ask->timeout_us };
    answer->is_failure = false;
    chy_buf_init(&c.body, CHY_FRAME_BODY_MAX);
    enum chy_err r = run(&c, ret_reply);
    chy_buf_done(&c.body);
    return r;
}
