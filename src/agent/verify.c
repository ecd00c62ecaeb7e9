/* SPDX-License-Identifier: MIT */
/* VERIFY, with the public key: the server is asked for that, and only if it is not known yet. */
#include "agent/porter_internal.h"
#include "crypto/pubkey.h"

static const struct chy_empty nothing = { 0 };

struct verify_request {
    struct request request;
    struct chy_str key;
    struct signing signing;
    struct chy_bytes signature;
    struct chy_key_set *found;
};

static enum chy_err verify(const struct chy_door_key *key, const struct signing *s,
                           struct chy_bytes signature, struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *public_key = NULL;
    if (!chy_sign_alg_fits(s->algorithm, key->type))
        return chy_fail(err, CHY_E_ARG, "%s is no algorithm of key \"%.*s\"",
                        chy_enum_name(&chy_sign_alg_enum, (int)s->algorithm),
                        CHY_STR_ARG(key->name));
    CHY_TRY(chy_pubkey_from_spki(key->public_key, &public_key, err));
    return chy_pubkey_verify_digest(public_key, s->algorithm, CHY_SIGNATURE_RAW,
                                    s->digest.n != 0 ? s->digest : s->message, signature, err);
}

static void verify_run(struct chy_work *first, struct chy_worker *w)
{
    struct verify_request *q = (struct verify_request *)first;
    struct chy_error err;
    enum chy_err r = chy_key_set_fetch_one(w, q->key, (struct chy_bytes){ 0 }, &q->found, &err);
    if (r == CHY_OK && q->found->n == 0)
        r = chy_fail(&err, CHY_E_NOT_FOUND, "there is no key \"%.*s\" that signs",
                     CHY_STR_ARG(q->key));
    if (r == CHY_OK)
        r = verify(&q->found->keys[0].door, &q->signing, q->signature, &err);
    chy_worker_finish(w, first, r, &err);
    if (r == CHY_E_INTEGRITY)
        first->mend = NULL; /* the advice is about the server */
}

static void verify_done(struct chy_work *work)
{
    struct verify_request *q = (struct verify_request *)work;
    keys_remember(q->request.conn->porter->keys, q->found);
    if (work->code != CHY_OK) {
        request_fail(q);
        return;
    }
    conn_reply(q->request.conn, q->request.frame_id, CHY_DOOR_VERIFIED, &chy_empty_schema,
               &nothing);
    request_free(q);
}

static const struct chy_work_kind verify_kind = { .run = verify_run, .done = verify_done };

static enum chy_err verify_make(struct verify_request *q, const struct chy_door_verify *asked,
                                struct chy_error *err)
{
    struct chy_door_verify own;
    struct chy_arena *arena = &q->request.arena;
    CHY_TRY(chy_schema_copy(&chy_door_verify_schema, asked, arena, &own, err));
    q->key = own.input.key;
    q->signature = own.signature;
    return input_read(q->request.conn, &own.input, arena, &q->signing, err);
}

void on_verify(struct conn *c, uint64_t frame_id, const void *value)
{
    struct verify_request *q = NULL;
    struct chy_error err;
    enum chy_err r = request_new(c, frame_id, sizeof *q, &verify_kind, &q, &err);
    if (r == CHY_OK)
        r = verify_make(q, value, &err);
    const struct chy_held_key *held = r == CHY_OK ? keys_known(c->porter->keys, q->key) : NULL;
    if (r == CHY_OK && held == NULL) {
        request_send(q);
        return;
    }
    if (r == CHY_OK)
        r = verify(&held->door, &q->signing, q->signature, &err);
    if (r == CHY_OK)
        conn_reply(c, frame_id, CHY_DOOR_VERIFIED, &chy_empty_schema, &nothing);
    else
        conn_fail(c, frame_id, &err);
    request_free(q);
}
