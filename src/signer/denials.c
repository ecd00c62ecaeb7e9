/* SPDX-License-Identifier: MIT */
#include "signer/denials.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "os/clock.h"

#define MINUTE_US INT64_C(60000000)

struct denial_bucket {
    UT_hash_handle hh;
    int64_t level_us; /* time that is used up; a denial takes a minute's part of it */
    int64_t at_us;    /* monotonic */
    size_t n;
    char principal[CHY_LIMIT_NAME];
};

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static struct denial_bucket *bucket_get(struct signer *s, struct chy_str principal, int64_t now_us)
{
    struct denial_bucket *b = NULL;
    size_t n = CHY_MIN(principal.n, (size_t)CHY_LIMIT_NAME);
    HASH_FIND(hh, s->denials, principal.p, n, b);
    if (b != NULL)
        return b;
    b = chy_new(struct denial_bucket);
    if (b == NULL)
        return NULL;
    chy_copy(b->principal, principal.p, n);
    b->n = n;
    b->at_us = now_us;
    HASH_ADD_KEYPTR(hh, s->denials, b->principal, b->n, b);
    if (b->hh.tbl != NULL)
        return b;
    chy_free(b);
    return NULL;
}

enum chy_err denials_count(struct signer *s, struct chy_str principal, struct chy_error *err)
{
    int64_t now = chy_clock_monotonic_us();
    struct denial_bucket *b = bucket_get(s, principal, now);
    if (b == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to count denials");
    int64_t share = MINUTE_US / (int64_t)CHY_MAX(s->config.denials_per_minute, 1u);
    b->level_us = CHY_MAX(b->level_us - (now - b->at_us), (int64_t)0);
    b->at_us = now;
    if (b->level_us + share > MINUTE_US)
        return chy_fail(
            err, CHY_E_RATE,
            "more than %u requests of %.*s were refused within a minute; this one is refused too",
            s->config.denials_per_minute, CHY_STR_ARG(principal));
    b->level_us += share;
    return CHY_OK;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
void denials_free(struct signer *s)
{
    struct denial_bucket *b;
    struct denial_bucket *next;
    HASH_ITER(hh, s->denials, b, next)
    {
        HASH_DEL(s->denials, b);
        chy_free(b);
    }
}
