/* SPDX-License-Identifier: MIT */
#include "signer/callers.h"

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"

struct caller {
    unsigned refs; /* the table's and each job's */
    struct chy_arena arena;
    enum chy_auth_method method;
    uint8_t credential[CHY_HASH_BYTES];
    struct chy_principal who; /* in the arena */
};

static void caller_unref(struct caller *c)
{
    if (c == NULL || --c->refs > 0)
        return;
    chy_arena_done(&c->arena);
    chy_free(c);
}

/* The place of a credential is chosen by its hash, and who comes later takes it. */
static struct caller **place_of(struct signer *s, const struct chy_caller *asked)
{
    return &s->callers[asked->credential[0] % CHY_ARRAY_LEN(s->callers)];
}

static bool is_the_same(const struct caller *c, const struct chy_caller *asked, int64_t now_us)
{
    return c != NULL && c->method == asked->method && now_us < c->who.expires_us &&
           chy_bytes_equal((struct chy_bytes){ c->credential, sizeof c->credential },
                           (struct chy_bytes){ asked->credential, sizeof asked->credential });
}

static enum chy_err caller_read(struct signer *s, const struct chy_caller *asked, int64_t now_us,
                                struct caller **ret_caller, struct chy_error *err)
{
    struct caller *c = chy_new(struct caller);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a caller");
    c->refs = 1;
    c->method = asked->method;
    memcpy(c->credential, asked->credential, sizeof c->credential);
    chy_arena_init(&c->arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_principal_resolve(s->store, asked, now_us, &c->arena, &c->who, err);
    if (r != CHY_OK) {
        caller_unref(c);
        return r;
    }
    *ret_caller = c;
    return CHY_OK;
}

enum chy_err callers_resolve(struct job *job, struct chy_error *err)
{
    struct signer *s = job->s;
    const struct chy_caller *asked = &job->call.caller;
    int64_t now = chy_clock_realtime_us();
    struct caller **place = place_of(s, asked);
    if (asked->method == CHY_AUTH_NONE)
        return chy_principal_resolve(s->store, asked, now, &job->arena, &job->who, err);
    if (!is_the_same(*place, asked, now)) {
        struct caller *found = NULL;
        CHY_TRY(caller_read(s, asked, now, &found, err));
        caller_unref(*place);
        *place = found;
    }
    job->caller = *place;
    job->caller->refs++;
    job->who = job->caller->who;
    return CHY_OK;
}

void callers_release(struct job *job)
{
    caller_unref(CHY_TAKE(job->caller));
}

void callers_forget(struct signer *s)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(s->callers); i++)
        caller_unref(CHY_TAKE(s->callers[i]));
}
