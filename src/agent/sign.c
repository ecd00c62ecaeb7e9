/* SPDX-License-Identifier: MIT */
/* SIGN. Requests that wait for a worker and differ only in what is signed go to the server as one;
 * a request that waits for nobody is sent at once. */
#include "agent/porter_internal.h"
#include "agent/signature_internal.h"
#include "base/mem.h"
#include "crypto/signature.h"

/* Bytes of JSON of an item beside its content and its facts. */
#define ITEM_BYTES  ((size_t)3000)
#define BATCH_ARENA ((size_t)CHY_LIMIT_ARENA)

struct sign_request {
    struct request request;
    struct chy_sign_item item;
    enum chy_key_type type;  /* CHY_KEY_NONE: the server is asked */
    struct chy_bytes spki;   /* of the key; in the arena, or in `key` */
    struct chy_key_set *key; /* what it said */
    struct signature_outcome outcome;
    struct chy_bytes signature;             /* as PKCS#11 has it */
    uint8_t message_sha256[CHY_HASH_BYTES]; /* of what is not hashed, to be told */
};

static struct sign_request *sign_of(struct chy_work *work)
{
    return (struct sign_request *)work;
}

/* --- which go together --- */

static bool labels_equal(const struct chy_door_hello *a, const struct chy_door_hello *b)
{
    if (a->labels.n != b->labels.n)
        return false;
    for (size_t i = 0; i < a->labels.n; i++) {
        if (!chy_str_equal(a->labels.p[i].name, b->labels.p[i].name) ||
            !chy_str_equal(a->labels.p[i].value, b->labels.p[i].value))
            return false;
    }
    return true;
}

static bool sign_joins(const struct chy_work *first, const struct chy_work *other)
{
    const struct chy_door_hello *a = &((const struct sign_request *)first)->request.conn->hello;
    const struct chy_door_hello *b = &((const struct sign_request *)other)->request.conn->hello;
    return a == b || (chy_str_equal(a->reason, b->reason) &&
                      (a->receipts.n == 0) == (b->receipts.n == 0) && labels_equal(a, b));
}

/* --- before the server is asked --- */

/* What it would sign must come back in the tool's form, so the key's type is known first. */
static enum chy_err find_type(struct sign_request *q, struct chy_worker *w, struct chy_error *err)
{
    if (q->type == CHY_KEY_NONE) {
        CHY_TRY(chy_key_set_fetch_one(w, q->item.key, (struct chy_bytes){ 0 }, &q->key, err));
        if (q->key->n == 0)
            return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\" that signs",
                            CHY_STR_ARG(q->item.key));
        q->type = q->key->keys[0].door.type;
        q->spki = q->key->keys[0].door.public_key;
    }
    if (!chy_sign_alg_fits(q->item.algorithm, q->type))
        return chy_fail(err, CHY_E_ARG, "%s is no algorithm of key \"%.*s\", which is %s",
                        chy_enum_name(&chy_sign_alg_enum, (int)q->item.algorithm),
                        CHY_STR_ARG(q->item.key), chy_enum_name(&chy_key_type_enum, (int)q->type));
    return CHY_OK;
}

static enum chy_err prepare(struct sign_request *q, struct chy_worker *w, enum chy_basis basis,
                            struct chy_error *err)
{
    struct chy_facts facts;
    CHY_TRY(find_type(q, w, err));
    CHY_TRY(chy_peer_facts(q->request.conn->peer, basis, &q->request.arena, &facts, err));
    q->item.facts.p = facts.p;
    q->item.facts.n = facts.n;
    return CHY_OK;
}

/* --- what came back --- */

/* The form that PKCS#11 has: ECDSA is r and s, each as long as the curve's order. */
static enum chy_err take_signature(struct sign_request *q, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    size_t order_bytes = chy_key_type_order_bytes(q->type);
    chy_buf_init(&raw, 2 * order_bytes);
    q->signature = q->outcome.result.signature;
    if (order_bytes == 0 || !q->outcome.result.is_signed)
        return CHY_OK;
    CHY_TRY(chy_ecdsa_to_raw(q->outcome.result.signature, order_bytes, &raw, err));
    q->signature = chy_arena_bytes(&q->request.arena, chy_buf_bytes(&raw));
    return q->signature.p != NULL ? CHY_OK
                                  : chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
}

static void take_result(struct sign_request *q, struct chy_worker *w,
                        const struct chy_sign_result *result)
{
    const struct signature_asked asked = { &q->item, q->spki, w };
    struct chy_error err;
    enum chy_err r = signature_take(&q->outcome, &asked, result, &q->request.conn->hello,
                                    chy_worker_log_key(w), &q->request.arena, &err);
    if (r == CHY_OK)
        r = take_signature(q, &err);
    chy_worker_finish(w, &q->request.work, r, &err);
}

/* --- asking --- */

struct batch {
    struct sign_request **requests;
    struct chy_sign_item *items;
    size_t n;
};

static void batch_done(struct batch *b)
{
    chy_free(b->requests);
    chy_free(b->items);
}

/* With room for all of the chain. */
static enum chy_err batch_init(struct batch *b, const struct chy_work *first, struct chy_error *err)
{
    size_t n = 0;
    for (const struct chy_work *work = first; work != NULL; work = work->next)
        n++;
    b->requests = chy_new_array(struct sign_request *, n);
    b->items = chy_new_array(struct chy_sign_item, n);
    if (b->requests == NULL || b->items == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to ask for signatures");
    return CHY_OK;
}

static enum chy_err ask(struct batch *b, size_t first, size_t n, struct chy_worker *w,
                        struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    const struct chy_door_hello *hello = &b->requests[first]->request.conn->hello;
    const struct chy_sign_request request = {
        .items = { b->items + first, n },
        .reason = hello->reason,
        .labels = { hello->labels.p, hello->labels.n },
        .receipt = hello->receipts.n != 0 ? CHY_RECEIPT_FULL : CHY_RECEIPT_INDEX,
    };
    struct chy_sign_response response;
    chy_arena_init(&arena, BATCH_ARENA);
    CHY_TRY(chy_worker_call(w, CHY_OP_SIGN, &request, &arena, &response, err));
    if (response.results.n != n)
        return chy_fail(err, CHY_E_PROTOCOL, "%zu signatures were asked for, %zu answers came", n,
                        response.results.n);
    for (size_t i = 0; i < n; i++)
        take_result(b->requests[first + i], w, &response.results.p[i]);
    return CHY_OK;
}

static void fail_all(struct batch *b, size_t first, size_t n, const struct chy_worker *w,
                     enum chy_err r, const struct chy_error *err)
{
    for (size_t i = first; i < first + n; i++)
        chy_worker_finish(w, &b->requests[i]->request.work, r, err);
}

/* A request that is wrong as a whole was neither decided nor logged; so that one tool's does not
 * spoil the others', each is sent again alone. */
static void ask_all(struct batch *b, struct chy_worker *w)
{
    struct chy_error err;
    enum chy_err r = b->n != 0 ? ask(b, 0, b->n, w, &err) : CHY_OK;
    bool is_wrong = r == CHY_E_MALFORMED || r == CHY_E_ARG || r == CHY_E_LIMIT;
    if (r != CHY_OK && (!is_wrong || b->n == 1))
        fail_all(b, 0, b->n, w, r, &err);
    for (size_t i = 0; r != CHY_OK && is_wrong && b->n > 1 && i < b->n; i++) {
        enum chy_err one = ask(b, i, 1, w, &err);
        if (one != CHY_OK)
            fail_all(b, i, 1, w, one, &err);
    }
}

static void sign_run(struct chy_work *first, struct chy_worker *w)
{
    struct chy_error err;
    enum chy_basis basis = CHY_BASIS_DECLARED;
    CHY_CLEANUP(batch_done) struct batch b = { .n = 0 };
    enum chy_err all = batch_init(&b, first, &err);
    if (all == CHY_OK)
        all = chy_worker_basis(w, &basis, &err);
    for (struct chy_work *work = first; work != NULL; work = work->next) {
        struct sign_request *q = sign_of(work);
        enum chy_err r = all == CHY_OK ? prepare(q, w, basis, &err) : all;
        if (r != CHY_OK) {
            chy_worker_finish(w, work, r, &err);
            continue;
        }
        b.items[b.n] = q->item;
        b.requests[b.n++] = q;
    }
    if (all == CHY_OK)
        ask_all(&b, w);
}

/* --- answering --- */

static void sign_done(struct chy_work *work)
{
    struct sign_request *q = sign_of(work);
    struct conn *c = q->request.conn;
    const struct chy_door_signed answer = { q->signature };
    const struct chy_bytes of_message = { q->message_sha256, CHY_HASH_BYTES };
    const struct chy_bytes shown = q->item.digest.n != 0 ? q->item.digest : of_message;
    if (q->key != NULL)
        keys_remember(c->porter->keys, CHY_TAKE(q->key));
    signature_tell(c, &q->item, shown, &q->outcome, work);
    if (work->code != CHY_OK) {
        request_fail(q);
    } else if (!q->outcome.result.is_signed) {
        signature_refuse(c, q->request.frame_id, &q->outcome, work->request_id);
        request_free(q);
    } else {
        conn_reply(c, q->request.frame_id, CHY_DOOR_SIGNED, &chy_door_signed_schema, &answer);
        request_free(q);
    }
}

static const struct chy_work_kind sign_kind = { .run = sign_run,
                                                .done = sign_done,
                                                .joins = sign_joins };

static enum chy_err sign_make(struct sign_request *q, const struct chy_door_sign *asked,
                              struct chy_error *err)
{
    struct conn *c = q->request.conn;
    struct chy_arena *arena = &q->request.arena;
    struct chy_door_sign own;
    struct signing s;
    CHY_TRY(chy_schema_copy(&chy_door_sign_schema, asked, arena, &own, err));
    CHY_TRY(input_read(c, &own.input, arena, &s, err));
    const struct chy_held_key *held = keys_known(c->porter->keys, own.input.key);
    if (held != NULL) {
        q->type = held->door.type;
        q->spki = chy_arena_bytes(arena, held->door.public_key);
        if (q->spki.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a public key");
    }
    q->item = (struct chy_sign_item){
        .key = own.input.key,
        .algorithm = s.algorithm,
        .digest = s.digest,
        .message = s.message,
        .content = s.content,
        .hashed_by = s.hashed_by,
    };
    CHY_TRY(porter_artifact(c, arena, &q->item.artifact, err));
    q->request.work.bytes =
        ITEM_BYTES + chy_peer_bytes(c->peer) + (s.message.n + s.content.n + 2) / 3 * 4;
    return s.digest.n != 0 ? CHY_OK : chy_sha256(s.message, q->message_sha256, err);
}

void on_sign(struct conn *c, uint64_t frame_id, const void *value)
{
    struct sign_request *q = NULL;
    struct chy_error err;
    enum chy_err r = request_new(c, frame_id, sizeof *q, &sign_kind, &q, &err);
    if (r == CHY_OK)
        r = sign_make(q, value, &err);
    if (r == CHY_OK) {
        request_send(q);
        return;
    }
    conn_fail(c, frame_id, &err);
    request_free(q);
}
