/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>

#include "agent/porter_internal.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"

#define HELLO_WAIT_US INT64_C(10000000)

static const struct chy_empty nothing = { 0 };

/* --- answering --- */

static enum chy_err message_send(struct chy_channel *channel, uint64_t frame_id,
                                 enum chy_door_msg msg, const struct chy_schema *schema,
                                 const void *value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(schema, value, &body, err));
    const struct chy_frame frame = { (uint16_t)msg, frame_id, chy_buf_bytes(&body) };
    return chy_channel_send(channel, &frame, err);
}

void conn_reply(struct conn *c, uint64_t frame_id, enum chy_door_msg msg,
                const struct chy_schema *schema, const void *value)
{
    if (c->ssh != NULL)
        ssh_answer(c->ssh, msg, value);
    if (c->channel == NULL)
        return;
    /* A tool that does not read what it asked for, or an answer that no frame can carry. */
    if (message_send(c->channel, frame_id, msg, schema, value, NULL) != CHY_OK)
        conn_end(c);
}

/* The text of a failure, in `text`. */
static struct chy_door_failure failure_of(const struct chy_error *err, const char *mend,
                                          const char *request_id, struct chy_buf *text)
{
    chy_buf_append_c(text, err->text);
    if (mend != NULL)
        chy_buf_printf(text, ". %s", mend);
    return (struct chy_door_failure){
        .code = (uint32_t)-err->code,
        .text = chy_buf_str(text),
        .request_id = chy_str_of(request_id),
    };
}

static void fail_with(struct conn *c, uint64_t frame_id, const struct chy_error *err,
                      const char *mend, const char *request_id)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_TEXT);
    const struct chy_door_failure failure = failure_of(err, mend, request_id, &text);
    conn_reply(c, frame_id, CHY_DOOR_FAILED, &chy_door_failure_schema, &failure);
}

void conn_fail(struct conn *c, uint64_t frame_id, const struct chy_error *err)
{
    fail_with(c, frame_id, err, NULL, NULL);
}

/* --- connections --- */

void conn_unref(struct conn *c)
{
    if (--c->refs != 0)
        return;
    ssh_free(c->ssh);
    chy_peer_unref(c->peer);
    chy_arena_done(&c->arena);
    chy_free(c);
}

static void unwatch(struct conn *c)
{
    c->porter->n_watches -= c->is_watching ? 1 : 0;
    c->is_watching = false;
}

bool conn_is_open(const struct conn *c)
{
    return c->ssh != NULL ? ssh_is_open(c->ssh) : c->channel != NULL;
}

void conn_end(struct conn *c)
{
    struct chy_porter *p = c->porter;
    if (!conn_is_open(c))
        return;
    if (c->ssh != NULL)
        ssh_close(c->ssh);
    chy_channel_free(CHY_TAKE(c->channel));
    chy_listener_close(CHY_TAKE(c->ssh_door));
    unwatch(c);
    streams_free(c);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        p->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    p->n_conns--;
    conn_unref(c);
}

/* --- what is answered at once --- */

static void on_hello(struct conn *c, uint64_t frame_id, const void *value)
{
    const struct chy_door_hello *hello = value;
    struct chy_error err;
    bool is_path = hello->receipts.n == 0 || hello->receipts.p[0] == '/';
    enum chy_err r = CHY_OK;
    if (hello->version != CHY_DOOR_VERSION)
        r = chy_fail(
            &err, CHY_E_UNSUPPORTED,
            "the agent (%s) speaks version %d of its door, not %u: use the same release of "
            "both",
            CHY_VERSION, CHY_DOOR_VERSION, hello->version);
    else if (!is_path || (hello->tag.n != 0 && hello->tag.n != CHY_ID_BYTES))
        r = chy_fail(&err, CHY_E_ARG,
                     is_path ? "a tag has 16 bytes"
                             : "the folder of receipts must be an absolute path");
    else
        r = chy_schema_copy(&chy_door_hello_schema, hello, &c->arena, &c->hello, &err);
    if (r != CHY_OK) {
        conn_fail(c, frame_id, &err);
        return;
    }
    const struct chy_door_welcome welcome = { CHY_DOOR_VERSION, CHY_STR("chancery " CHY_VERSION) };
    c->has_hello = true;
    conn_reply(c, frame_id, CHY_DOOR_WELCOME, &chy_door_welcome_schema, &welcome);
}

static void on_watch(struct conn *c, uint64_t frame_id, const void *value)
{
    const struct chy_door_watch *watch = value;
    struct chy_error err;
    enum chy_err r = CHY_OK;
    if (watch->tag.n != CHY_ID_BYTES)
        r = chy_fail(&err, CHY_E_ARG, "a tag has %d bytes, not %zu", CHY_ID_BYTES, watch->tag.n);
    else if (!c->is_watching && c->porter->n_watches >= CHY_LIMIT_DOOR_WATCHES)
        r = chy_fail(&err, CHY_E_BUSY, "%d tags are watched already", CHY_LIMIT_DOOR_WATCHES);
    if (r != CHY_OK) {
        conn_fail(c, frame_id, &err);
        return;
    }
    c->porter->n_watches += c->is_watching ? 0 : 1;
    c->is_watching = true;
    chy_copy(c->watched, watch->tag.p, CHY_ID_BYTES);
    conn_reply(c, frame_id, CHY_DOOR_WATCHING, &chy_empty_schema, &nothing);
}

static void on_unwatch(struct conn *c, uint64_t frame_id, const void *value)
{
    (void)value;
    unwatch(c);
    conn_reply(c, frame_id, CHY_DOOR_UNWATCHED, &chy_empty_schema, &nothing);
}

static void on_artifact(struct conn *c, uint64_t frame_id, const void *value)
{
    struct chy_error err;
    enum chy_err r = CHY_OK;
    struct chy_artifact *own = chy_arena_new(&c->arena, struct chy_artifact);
    if (!c->is_watching || c->artifact != NULL)
        r = chy_fail(&err, CHY_E_STATE, "what signatures are about is said once, behind WATCH");
    else if (own == NULL)
        r = chy_fail(&err, CHY_E_NOMEM, "no memory for an artifact");
    else
        r = chy_schema_copy(&chy_artifact_schema, value, &c->arena, own, &err);
    if (r != CHY_OK) {
        conn_fail(c, frame_id, &err);
        return;
    }
    c->artifact = own;
    conn_reply(c, frame_id, CHY_DOOR_ARTIFACT_TAKEN, &chy_empty_schema, &nothing);
}

static void on_status(struct conn *c, uint64_t frame_id, const void *value)
{
    struct chy_porter *p = c->porter;
    struct chy_login_view v;
    struct chy_error err;
    (void)value;
    if (chy_login_look(p->options.login, &p->scratch, &v, &err) != CHY_OK) {
        conn_fail(c, frame_id, &err);
        return;
    }
    const struct chy_door_status status = {
        .software = CHY_STR("chancery " CHY_VERSION),
        .profile = v.profile,
        .url = v.url,
        .principal = v.principal,
        .expires_us = v.expires_us,
        .states_facts = v.is_agent,
        .trouble = v.trouble,
        .started_us = p->started_us,
        .connections = p->n_conns,
        .signatures = p->signatures,
        .refusals = p->refusals,
    };
    conn_reply(c, frame_id, CHY_DOOR_STATUS_REPLY, &chy_door_status_schema, &status);
}

void porter_tell(struct chy_porter *p, const struct conn *c, const struct chy_door_event *event)
{
    struct conn *next = NULL;
    if (c->hello.tag.n != CHY_ID_BYTES)
        return;
    for (struct conn *to = p->conns; to != NULL; to = next) {
        const struct chy_bytes watched = { to->watched, CHY_ID_BYTES };
        next = to->next; /* a watcher that does not read is ended */
        if (to->is_watching && chy_bytes_equal(watched, c->hello.tag))
            conn_reply(to, 0, CHY_DOOR_EVENT, &chy_door_event_schema, event);
    }
}

enum chy_err porter_artifact(const struct conn *c, struct chy_arena *arena,
                             const struct chy_artifact **ret_artifact, struct chy_error *err)
{
    *ret_artifact = NULL;
    if (c->hello.tag.n != CHY_ID_BYTES)
        return CHY_OK;
    for (const struct conn *from = c->porter->conns; from != NULL; from = from->next) {
        const struct chy_bytes watched = { from->watched, CHY_ID_BYTES };
        if (!from->is_watching || from->artifact == NULL || !chy_bytes_equal(watched, c->hello.tag))
            continue;
        struct chy_artifact *own = chy_arena_new(arena, struct chy_artifact);
        if (own == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for an artifact");
        CHY_TRY(chy_schema_copy(&chy_artifact_schema, from->artifact, arena, own, err));
        *ret_artifact = own;
        return CHY_OK;
    }
    return CHY_OK;
}

/* --- frames --- */

static const struct row {
    enum chy_door_msg msg;
    const struct chy_schema *schema;
    conn_handler_fn *handler;
} rows[] = {
    { CHY_DOOR_HELLO, &chy_door_hello_schema, on_hello },
    { CHY_DOOR_KEYS, &chy_door_keys_schema, on_keys },
    { CHY_DOOR_SIGN, &chy_door_sign_schema, on_sign },
    { CHY_DOOR_VERIFY, &chy_door_verify_schema, on_verify },
    { CHY_DOOR_HASH_ADD, &chy_door_hash_add_schema, on_hash_add },
    { CHY_DOOR_HASH_END, &chy_door_stream_schema, on_hash_end },
    { CHY_DOOR_CALL, &chy_door_call_schema, on_call },
    { CHY_DOOR_WATCH, &chy_door_watch_schema, on_watch },
    { CHY_DOOR_UNWATCH, &chy_empty_schema, on_unwatch },
    { CHY_DOOR_STATUS, &chy_empty_schema, on_status },
    { CHY_DOOR_ARTIFACT, &chy_artifact_schema, on_artifact },
    { CHY_DOOR_SSH, &chy_door_listen_schema, on_ssh },
};

/* HELLO comes first, and once. */
static const struct row *row_find(const struct conn *c, uint16_t type)
{
    if (c->has_hello == (type == CHY_DOOR_HELLO))
        return NULL;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        if (rows[i].msg == (enum chy_door_msg)type)
            return &rows[i];
    }
    return NULL;
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct conn *c = ctx;
    struct chy_porter *p = c->porter;
    struct chy_error err;
    const struct row *row = row_find(c, frame->type);
    (void)channel;
    chy_arena_reset(&p->scratch);
    void *value = row != NULL ? chy_arena_alloc(&p->scratch, 1, row->schema->size) : NULL;
    enum chy_err r = value != NULL
                         ? chy_schema_decode(row->schema, frame->body, &p->scratch, value, &err)
                         : CHY_E_MALFORMED;
    if (r == CHY_OK) {
        row->handler(c, frame->id, value);
        return;
    }
    conn_end(c);
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    (void)channel;
    (void)why;
    (void)error;
    conn_end(ctx);
}

/* --- admitting --- */

/* Says why, as far as the socket takes it at once. */
static void turn_away(int *fd, const struct chy_error *why)
{
    const struct chy_channel_options options = { .send_limit_bytes = CHY_LIMIT_TEXT * (size_t)4 };
    CHY_CLEANUP(chy_channel_freep) struct chy_channel *channel = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_TEXT);
    if (chy_channel_new(*fd, &options, &channel, NULL) != CHY_OK)
        return;
    *fd = -1; /* the channel's now */
    const struct chy_door_failure failure = failure_of(why, NULL, NULL, &text);
    if (message_send(channel, 0, CHY_DOOR_FAILED, &chy_door_failure_schema, &failure, NULL) ==
        CHY_OK)
        CHY_IGNORE(chy_channel_flush_wait(channel, 0, NULL)); /* it is closed either way */
}

static void conn_link(struct conn *c)
{
    struct chy_porter *p = c->porter;
    c->next = p->conns;
    if (p->conns != NULL)
        p->conns->prev = c;
    p->conns = c;
    p->n_conns++;
}

static void conn_unrefp(struct conn **c)
{
    if (*c != NULL)
        conn_unref(*c);
}

/* Of a peer that may speak to us; it is not open yet. */
static enum chy_err conn_new(struct chy_porter *p, int fd, struct conn **ret_conn,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_peer_unrefp) struct chy_peer *peer = NULL;
    CHY_TRY(chy_peer_new(fd, p->options.place, &peer, err));
    if (!chy_peer_is_ours(peer))
        return chy_fail(err, CHY_E_FORBIDDEN, "a connection of another user");
    struct conn *c = chy_new(struct conn);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a connection");
    chy_arena_init(&c->arena, CHY_LIMIT_SECRET * (size_t)4);
    c->porter = p;
    c->refs = 1;
    c->peer = CHY_TAKE(peer);
    c->since_us = chy_clock_monotonic_us();
    *ret_conn = c;
    return CHY_OK;
}

static enum chy_err admit(struct chy_porter *p, int *fd, struct chy_error *err)
{
    const struct chy_channel_options options = { .send_limit_bytes = CHY_LIMIT_DOOR_SEND };
    CHY_CLEANUP(conn_unrefp) struct conn *c = NULL;
    CHY_CLEANUP(chy_channel_freep) struct chy_channel *channel = NULL;
    CHY_TRY(conn_new(p, *fd, &c, err));
    CHY_TRY(chy_channel_new(*fd, &options, &channel, err));
    *fd = -1;
    const struct chy_channel_handler handler = { on_frame, on_close, c };
    CHY_TRY(chy_channel_attach(channel, p->options.loop, &handler, err));
    c->channel = CHY_TAKE(channel);
    conn_link(CHY_TAKE(c));
    return CHY_OK;
}

static enum chy_err admit_ssh(struct chy_porter *p, int *fd, const struct chy_door_hello *hello,
                              struct chy_error *err)
{
    CHY_CLEANUP(conn_unrefp) struct conn *c = NULL;
    CHY_TRY(conn_new(p, *fd, &c, err));
    CHY_TRY(chy_schema_copy(&chy_door_hello_schema, hello, &c->arena, &c->hello, err));
    c->has_hello = true;
    CHY_TRY(ssh_new(c, *fd, &c->ssh, err));
    *fd = -1;
    conn_link(CHY_TAKE(c));
    return CHY_OK;
}

static void log_turned_away(struct chy_porter *p, const struct chy_error *err)
{
    chy_log(p->options.log, CHY_LOG_WARNING, "agent.turned_away", CHY_L_ERR(err));
}

static enum chy_err check_room(const struct chy_porter *p, struct chy_error *err)
{
    if (p->n_conns >= CHY_LIMIT_DOOR_CONNECTIONS)
        return chy_fail(err, CHY_E_BUSY, "the agent has %zu connections already", p->n_conns);
    return CHY_OK;
}

void chy_porter_admit(struct chy_porter *p, int fd)
{
    CHY_CLEANUP(chy_fd_closep) int owned = fd;
    struct chy_error err;
    if (p->is_closed)
        return;
    if (check_room(p, &err) != CHY_OK)
        turn_away(&owned, &err);
    else if (admit(p, &owned, &err) != CHY_OK)
        log_turned_away(p, &err);
}

void porter_admit_ssh(struct chy_porter *p, int fd, const struct chy_door_hello *hello)
{
    CHY_CLEANUP(chy_fd_closep) int owned = fd;
    struct chy_error err;
    if (p->is_closed)
        return;
    enum chy_err r = check_room(p, &err);
    if (r == CHY_OK)
        r = admit_ssh(p, &owned, hello, &err);
    if (r != CHY_OK)
        log_turned_away(p, &err);
}

void chy_porter_admit_ssh(struct chy_porter *p, int fd)
{
    static const struct chy_door_hello nothing_asked = { 0 };
    porter_admit_ssh(p, fd, &nothing_asked);
}

/* --- requests --- */

enum chy_err request_new(struct conn *c, uint64_t frame_id, size_t size,
                         const struct chy_work_kind *kind, void *ret_request, struct chy_error *err)
{
    if (c->porter->is_closed)
        return chy_fail(err, CHY_E_STATE, "the agent ends");
    if (c->in_flight >= CHY_LIMIT_DOOR_REQUESTS)
        return chy_fail(err, CHY_E_BUSY, "%zu requests of one connection are in flight already",
                        c->in_flight);
    struct request *q = chy_calloc(1, size);
    if (q == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a request");
    q->work.kind = kind;
    q->work.deadline_us = chy_clock_monotonic_us() + PORTER_WAIT_US;
    q->conn = c;
    q->frame_id = frame_id;
    chy_arena_init(&q->arena, CHY_LIMIT_ARENA);
    c->refs++;
    c->in_flight++;
    c->porter->in_flight++;
    *(struct request **)ret_request = q;
    return CHY_OK;
}

void request_free(void *request)
{
    struct request *q = request;
    if (q == NULL)
        return;
    q->conn->in_flight--;
    q->conn->porter->in_flight--;
    conn_unref(q->conn);
    chy_arena_done(&q->arena);
    chy_free(q);
}

void request_fail(void *request)
{
    struct request *q = request;
    fail_with(q->conn, q->frame_id, &q->work.error, q->work.mend, q->work.request_id);
    request_free(q);
}

void request_send(void *request)
{
    struct request *q = request;
    struct chy_error err;
    /* Once it is taken, the work is a worker's. */
    if (chy_workers_add(q->conn->porter->options.workers, &q->work, &err) == CHY_OK)
        return;
    q->work.error = err;
    request_fail(q);
}

/* --- upkeep --- */

struct upkeep {
    struct chy_work work;
    struct chy_porter *porter;
};

static void upkeep_run(struct chy_work *first, struct chy_worker *w)
{
    struct chy_error err;
    enum chy_err r = chy_worker_upkeep(w, &err);
    chy_worker_finish(w, first, r, &err);
}

static void upkeep_done(struct chy_work *work)
{
    struct upkeep *u = (struct upkeep *)work;
    u->porter->is_upkeep_running = false;
    /* Said once, not every ten seconds while it lasts. */
    if (work->code != CHY_OK && work->code != u->porter->upkeep_code)
        chy_log(u->porter->options.log, CHY_LOG_WARNING, "agent.upkeep_failed",
                CHY_L_ERR(&work->error));
    u->porter->upkeep_code = work->code;
    chy_free(u);
}

static const struct chy_work_kind upkeep_kind = { .run = upkeep_run, .done = upkeep_done };

static void upkeep_start(struct chy_porter *p)
{
    struct upkeep *u = p->is_upkeep_running || p->is_closed ? NULL : chy_new(struct upkeep);
    if (u == NULL)
        return; /* the next tick tries again */
    u->porter = p;
    u->work.kind = &upkeep_kind;
    u->work.deadline_us = chy_clock_monotonic_us() + PORTER_WAIT_US;
    p->is_upkeep_running = chy_workers_add(p->options.workers, &u->work, NULL) == CHY_OK;
    if (!p->is_upkeep_running)
        chy_free(u);
}

void chy_porter_tick(struct chy_porter *p)
{
    int64_t now_us = chy_clock_monotonic_us();
    struct conn *next = NULL;
    for (struct conn *c = p->conns; c != NULL; c = next) {
        next = c->next;
        if (!c->has_hello && now_us - c->since_us > HELLO_WAIT_US)
            conn_end(c);
    }
    upkeep_start(p);
}

/* --- life --- */

enum chy_err chy_porter_new(const struct chy_porter_options *options,
                            struct chy_porter **ret_porter, struct chy_error *err)
{
    CHY_CLEANUP(chy_porter_freep) struct chy_porter *p = chy_new(struct chy_porter);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the agent");
    p->options = *options;
    p->started_us = chy_clock_realtime_us();
    chy_arena_init(&p->scratch, CHY_LIMIT_ARENA);
    CHY_TRY(keys_new(p, &p->keys, err));
    *ret_porter = CHY_TAKE(p);
    return CHY_OK;
}

void chy_porter_free(struct chy_porter *p)
{
    if (p == NULL)
        return;
    while (p->conns != NULL)
        conn_end(p->conns);
    keys_free(p->keys);
    chy_arena_done(&p->scratch);
    chy_free(p);
}

void chy_porter_freep(struct chy_porter **p)
{
    chy_porter_free(*p);
}

void chy_porter_close(struct chy_porter *p)
{
    p->is_closed = true;
}

bool chy_porter_is_quiet(const struct chy_porter *p)
{
    for (const struct conn *c = p->conns; c != NULL; c = c->next) {
        if ((c->ssh != NULL ? ssh_pending_bytes(c->ssh) : chy_channel_pending_bytes(c->channel)) !=
            0)
            return false;
    }
    return p->in_flight == 0 && chy_workers_pending(p->options.workers) == 0;
}
