/* SPDX-License-Identifier: MIT */
/* CALL: any operation in the agent's name. A request for signatures gets the facts about whoever
 * asks. */
#include "agent/porter_internal.h"
#include "agent/signature_internal.h"

struct call_request {
    struct request request;
    const struct chy_op_row *row;
    struct chy_bytes asked;
    struct chy_sign_request sign; /* of SIGN, with our facts */
    struct chy_sign_response signed_;
    struct chy_buf answer;
};

/* Not through the door: the agent's own credential is nobody else's to replace. */
static bool is_ours_alone(enum chy_op op)
{
    return op == CHY_OP_RENEW || op == CHY_OP_ENROLL;
}

static enum chy_err check_facts(const struct chy_fact *facts, size_t n, struct chy_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (facts[i].basis != CHY_BASIS_DECLARED)
            return chy_fail(err, CHY_E_FORBIDDEN,
                            "fact %.*s: what a caller says is declared; the agent says itself what "
                            "it sees",
                            CHY_STR_ARG(facts[i].name));
    }
    return CHY_OK;
}

static enum chy_err add_facts(struct call_request *q, struct chy_worker *w, struct chy_error *err)
{
    struct chy_sign_request *s = &q->sign;
    struct chy_arena *arena = &q->request.arena;
    enum chy_basis basis;
    struct chy_facts ours;
    CHY_TRY(check_facts(s->facts.p, s->facts.n, err));
    for (size_t i = 0; i < s->items.n; i++)
        CHY_TRY(check_facts(s->items.p[i].facts.p, s->items.p[i].facts.n, err));
    CHY_TRY(chy_worker_basis(w, &basis, err));
    CHY_TRY(chy_peer_facts(q->request.conn->peer, basis, arena, &ours, err));
    struct chy_fact *all = chy_arena_array(arena, struct chy_fact, s->facts.n + ours.n);
    if (all == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    chy_copy(all, s->facts.p, s->facts.n * sizeof *all);
    chy_copy(all + s->facts.n, ours.p, ours.n * sizeof *all);
    s->facts.p = all;
    s->facts.n += ours.n;
    return CHY_OK;
}

static enum chy_err call(struct call_request *q, struct chy_worker *w, struct chy_error *err)
{
    struct chy_arena *arena = &q->request.arena;
    bool is_sign = q->row->op == CHY_OP_SIGN;
    void *request = is_sign ? &q->sign : chy_arena_alloc(arena, 1, q->row->request->size);
    void *response = is_sign ? &q->signed_ : chy_arena_alloc(arena, 1, q->row->response->size);
    if (request == NULL || response == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
    CHY_TRY(chy_schema_decode(q->row->request, q->asked, arena, request, err));
    if (is_sign)
        CHY_TRY(add_facts(q, w, err));
    CHY_TRY(chy_worker_call(w, q->row->op, request, arena, response, err));
    return chy_schema_encode(q->row->response, response, &q->answer, err);
}

static void call_run(struct chy_work *first, struct chy_worker *w)
{
    struct call_request *q = (struct call_request *)first;
    struct chy_error err;
    enum chy_err r = call(q, w, &err);
    chy_worker_finish(w, first, r, &err);
}

static void tell_all(const struct call_request *q)
{
    size_t n = CHY_MIN(q->sign.items.n, q->signed_.results.n);
    for (size_t i = 0; i < n; i++) {
        const struct signature_outcome outcome = { .result = q->signed_.results.p[i] };
        signature_tell(q->request.conn, &q->sign.items.p[i], q->sign.items.p[i].digest, &outcome,
                       &q->request.work);
    }
}

static void call_free(struct call_request *q)
{
    if (q != NULL)
        chy_buf_done(&q->answer);
    request_free(q);
}

static void call_done(struct chy_work *work)
{
    struct call_request *q = (struct call_request *)work;
    const struct chy_door_called called = { chy_buf_bytes(&q->answer),
                                            chy_str_of(work->request_id) };
    if (work->code != CHY_OK) {
        chy_buf_done(&q->answer);
        request_fail(q);
        return;
    }
    tell_all(q);
    conn_reply(q->request.conn, q->request.frame_id, CHY_DOOR_CALLED, &chy_door_called_schema,
               &called);
    call_free(q);
}

static const struct chy_work_kind call_kind = { .run = call_run, .done = call_done };

static enum chy_err call_make(struct call_request *q, const struct chy_door_call *asked,
                              struct chy_error *err)
{
    const struct chy_op_row *row = asked->op <= CHY_OP_LAST ? chy_op_row((int)asked->op) : NULL;
    chy_buf_init(&q->answer, CHY_FRAME_BODY_MAX);
    if (row == NULL)
        return chy_fail(err, CHY_E_UNSUPPORTED, "there is no operation %u", asked->op);
    if (is_ours_alone(row->op))
        return chy_fail(err, CHY_E_FORBIDDEN, "%s is not called through the agent", row->id);
    q->row = row;
    q->asked = chy_arena_bytes(&q->request.arena, asked->request);
    q->request.work.bytes = asked->request.n;
    return q->asked.p != NULL || asked->request.n == 0
               ? CHY_OK
               : chy_fail(err, CHY_E_NOMEM, "no memory for a request");
}

void on_call(struct conn *c, uint64_t frame_id, const void *value)
{
    struct call_request *q = NULL;
    struct chy_error err;
    enum chy_err r = request_new(c, frame_id, sizeof *q, &call_kind, &q, &err);
    if (r == CHY_OK)
        r = call_make(q, value, &err);
    if (r == CHY_OK) {
        request_send(q);
        return;
    }
    conn_fail(c, frame_id, &err);
    call_free(q);
}
