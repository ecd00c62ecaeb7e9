/* SPDX-License-Identifier: MIT */
/* Data that is too long for one frame is hashed as it comes. */
#include "agent/porter_internal.h"
#include "base/mem.h"

static const struct chy_empty nothing = { 0 };

static struct stream **stream_find(struct conn *c, uint64_t number)
{
    struct stream **at = &c->streams;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void stream_drop(struct conn *c, struct stream **at)
{
    struct stream *s = *at;
    *at = s->next;
    chy_hasher_free(s->hasher);
    chy_free(s);
    c->n_streams--;
}

void streams_free(struct conn *c)
{
    while (c->streams != NULL)
        stream_drop(c, &c->streams);
}

static enum chy_err stream_new(struct conn *c, const struct chy_door_hash_add *add,
                               struct stream **ret_stream, struct chy_error *err)
{
    if (add->stream == 0)
        return chy_fail(err, CHY_E_ARG, "0 is no number of a stream");
    if (c->n_streams >= CHY_LIMIT_DOOR_STREAMS)
        return chy_fail(err, CHY_E_BUSY, "%d streams of one connection are open already",
                        CHY_LIMIT_DOOR_STREAMS);
    CHY_CLEANUP(chy_freep) struct stream *s = chy_new(struct stream);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a stream");
    s->number = add->stream;
    s->hash = add->hash;
    CHY_TRY(chy_hasher_new(add->hash, &s->hasher, err));
    s->next = c->streams;
    c->streams = *ret_stream = CHY_TAKE(s);
    c->n_streams++;
    return CHY_OK;
}

static enum chy_err stream_add(struct conn *c, const struct chy_door_hash_add *add,
                               struct chy_error *err)
{
    struct stream *s = *stream_find(c, add->stream);
    if (s == NULL)
        CHY_TRY(stream_new(c, add, &s, err));
    if (s->hash != add->hash)
        return chy_fail(err, CHY_E_ARG, "stream %llu began with another hash",
                        (unsigned long long)add->stream);
    chy_hasher_add(s->hasher, add->data);
    return CHY_OK;
}

void on_hash_add(struct conn *c, uint64_t frame_id, const void *value)
{
    struct chy_error err;
    if (stream_add(c, value, &err) == CHY_OK)
        conn_reply(c, frame_id, CHY_DOOR_HASH_ADDED, &chy_empty_schema, &nothing);
    else
        conn_fail(c, frame_id, &err);
}

void on_hash_end(struct conn *c, uint64_t frame_id, const void *value)
{
    const struct chy_door_stream *end = value;
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_door_hashed hashed = { 0 };
    struct stream **at = stream_find(c, end->stream);
    if (*at != NULL) {
        hashed.digest = (struct chy_bytes){ digest, chy_hash_alg_bytes((*at)->hash) };
        chy_hasher_end((*at)->hasher, digest);
        stream_drop(c, at);
    }
    conn_reply(c, frame_id, CHY_DOOR_HASHED, &chy_door_hashed_schema, &hashed);
}

enum chy_err stream_end(struct conn *c, uint64_t number, enum chy_hash_alg hash,
                        uint8_t *ret_digest, struct chy_error *err)
{
    struct stream **at = stream_find(c, number);
    if (*at == NULL)
        return chy_fail(err, CHY_E_ARG, "there is no stream %llu", (unsigned long long)number);
    bool is_right = (*at)->hash == hash;
    if (is_right)
        chy_hasher_end((*at)->hasher, ret_digest);
    stream_drop(c, at);
    return is_right ? CHY_OK : chy_fail(err, CHY_E_ARG, "the stream began with another hash");
}
