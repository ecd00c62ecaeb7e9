/* SPDX-License-Identifier: MIT */
/* Private to src/agent: connections, requests, and who answers which. */
#pragma once

#include "agent/key_set.h"
#include "agent/porter.h"
#include "crypto/hash.h"
#include "os/channel.h"

/* How long a request may wait for a worker: the module gives up after 150 s, and a call of the
 * server may take 120 of them. */
#define PORTER_WAIT_US INT64_C(30000000)

struct keys; /* keys.c */

struct stream {
    uint64_t number;
    enum chy_hash_alg hash;
    struct chy_hasher *hasher;
    struct stream *next;
};

struct conn {
    struct chy_porter *porter;
    struct conn *next; /* of all that are open */
    struct conn *prev;
    unsigned refs;               /* being open is one, each request in flight another */
    struct chy_channel *channel; /* NULL once closed */
    struct chy_peer *peer;
    int64_t since_us;
    bool has_hello;
    struct chy_arena arena;      /* of the hello */
    struct chy_door_hello hello; /* immutable once it was said: workers read it */
    struct stream *streams;
    size_t n_streams;
    size_t in_flight;
    uint8_t watched[CHY_ID_BYTES];
    bool is_watching;
};

struct chy_porter {
    struct chy_porter_options options;
    struct conn *conns;
    size_t n_conns;
    size_t n_watches;
    size_t in_flight;
    struct keys *keys;
    struct chy_arena scratch; /* of the frame that is answered */
    bool is_closed;
    bool is_upkeep_running;
    enum chy_err upkeep_code; /* of the last one */
    int64_t started_us;
    uint64_t signatures;
    uint64_t refusals;
};

/* A request that a worker answers; first member of what each kind adds. */
struct request {
    struct chy_work work;
    struct conn *conn;
    uint64_t frame_id;
    struct chy_arena arena;
};

/* `size` is of the struct that begins with the request. Errors: CHY_E_BUSY too many in flight;
 * CHY_E_STATE the agent ends; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err request_new(struct conn *c, uint64_t frame_id, size_t size,
                                      const struct chy_work_kind *kind, void *ret_request,
                                      struct chy_error *err);
void request_free(void *request);
/* Hand it to a worker; on failure it is answered and gone. */
void request_send(void *request);
/* Answer what failed, and free it. */
void request_fail(void *request);

/* Each answers its frame, or keeps a request for later. `value` lives until it returns. */
typedef void conn_handler_fn(struct conn *c, uint64_t frame_id, const void *value);
conn_handler_fn on_keys, on_sign, on_verify, on_hash_add, on_hash_end, on_call;

void conn_reply(struct conn *c, uint64_t frame_id, enum chy_door_msg msg,
                const struct chy_schema *schema, const void *value);
void conn_fail(struct conn *c, uint64_t frame_id, const struct chy_error *err);
void conn_end(struct conn *c);

/* What became of a signature, to those who watch the connection's tag. */
void porter_tell(struct chy_porter *p, const struct conn *c, const struct chy_door_event *event);

/* --- streams.c --- */

void streams_free(struct conn *c);
/* End a stream; its digest has room for CHY_LIMIT_DIGEST bytes.
 * Errors: CHY_E_ARG there is no such stream, or it has another hash */
CHY_MUST_USE enum chy_err stream_end(struct conn *c, uint64_t number, enum chy_hash_alg hash,
                                     uint8_t *ret_digest, struct chy_error *err);

/* --- input.c --- */

/* What a tool wants signed, as the server is asked for it. Borrows from the input and the arena. */
struct signing {
    enum chy_sign_alg algorithm;
    enum chy_hashed_by hashed_by;
    struct chy_bytes digest;
    struct chy_bytes message; /* of what is not hashed */
    struct chy_bytes content;
};

/* Errors: CHY_E_ARG          no such combination, a length that fits no hash, no such stream
 *         CHY_E_UNSUPPORTED  a DigestInfo that the token would not make so
 *         CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err input_read(struct conn *c, const struct chy_door_input *input,
                                     struct chy_arena *arena, struct signing *ret_signing,
                                     struct chy_error *err);

/* --- keys.c --- */

CHY_MUST_USE enum chy_err keys_new(struct chy_porter *p, struct keys **ret_keys,
                                   struct chy_error *err);
void keys_free(struct keys *k);
/* A key that was listed within a minute: another of its name is not made so soon. NULL: ask the
 * server. Lives until the loop turns. */
const struct chy_held_key *keys_known(const struct keys *k, struct chy_str name);
/* Keep a key that was asked for alone; takes the set. */
void keys_remember(struct keys *k, struct chy_key_set *set);
