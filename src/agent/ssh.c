/* SPDX-License-Identifier: MIT */
/* SSH: a connection that speaks the SSH agent protocol. What it wants is asked of the door, as any
 * tool would, and the door's answer is put into SSH's words; so keys, decisions, facts and events
 * are the same. One request is answered before the next one is read. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/porter_internal.h"
#include "base/mem.h"
#include "codec/ssh_wire.h"
#include "os/fd.h"
#include "proto/ssh_agent.h"

#define READ_BYTES 4096 /* a request is some hundred */

enum state {
    IDLE,    /* nothing is asked for */
    LISTING, /* keys, to be shown */
    FINDING, /* the key of a signature */
    SIGNING,
};

struct ssh {
    struct conn *conn;
    int fd; /* -1 once closed */
    struct chy_watch *watch;
    uint32_t events; /* that are watched */
    enum state state;
    bool is_going;     /* ssh_go_on() is at it */
    bool is_forwarded; /* by our ssh, for another machine: for good */
    struct chy_buf in;
    size_t message_bytes;           /* of the one that is answered, at the start of `in` */
    struct chy_ssh_request request; /* of it */
    struct chy_door_input input;    /* of its signature: scheme and hash */
    char key[CHY_LIMIT_NAME + 1];   /* its name; "" while it is not known */
    struct chy_buf out;
    struct chy_buf keys; /* what REQUEST_IDENTITIES is answered with */
    uint32_t n_keys;
};

/* --- answering --- */

/* The length is put in when the contents are there. */
static void message_begin(struct chy_buf *out, enum chy_ssh_msg type)
{
    chy_buf_append_u32(out, 0);
    chy_buf_append_u8(out, (uint8_t)type);
}

static void message_end(struct chy_buf *out)
{
    uint32_t n = (uint32_t)(out->n - CHY_SSH_LENGTH_BYTES);
    if (chy_buf_check(out, NULL) != CHY_OK)
        return;
    for (int i = CHY_SSH_LENGTH_BYTES - 1; i >= 0; i--, n >>= 8)
        out->p[i] = (uint8_t)n;
}

/* The answer is in `out`; ssh_go_on() sends it, and takes the next request. */
static void answered(struct ssh *s)
{
    message_end(&s->out);
    chy_buf_consume(&s->in, s->message_bytes);
    s->message_bytes = 0;
    s->state = IDLE;
    if (chy_buf_check(&s->out, NULL) != CHY_OK)
        conn_end(s->conn);
}

static void refuse(struct ssh *s)
{
    chy_buf_clear(&s->out);
    message_begin(&s->out, CHY_SSH_FAILURE);
    answered(s);
}

/* SSH has no words for why; the operators' log has. */
static void refuse_because(struct ssh *s, struct chy_str why)
{
    const struct conn *c = s->conn;
    chy_log(c->porter->options.log, CHY_LOG_WARNING, "agent.ssh_refused",
            CHY_L_STR("key", chy_str_of(s->key)), CHY_L_STR("application", chy_peer_path(c->peer)),
            CHY_L_STR("text", why));
    refuse(s);
}

/* --- keys --- */

static void ask_keys(struct ssh *s, struct chy_str after)
{
    const struct chy_door_keys asked = { .after = after };
    on_keys(s->conn, 0, &asked);
}

static void show_keys(struct ssh *s)
{
    message_begin(&s->out, CHY_SSH_IDENTITIES_ANSWER);
    chy_buf_append_u32(&s->out, s->n_keys);
    chy_buf_append(&s->out, chy_buf_bytes(&s->keys));
    answered(s);
}

/* False when no more keys fit into an answer. */
static bool list_key(struct ssh *s, const struct chy_door_key *key)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf blob;
    chy_buf_init(&blob, CHY_LIMIT_PUBLIC_KEY);
    if (chy_ssh_key_write(key, &blob, NULL) != CHY_OK)
        return true; /* one that SSH cannot say */
    CHY_CLEANUP(chy_buf_done) struct chy_buf one;
    chy_buf_init(&one, CHY_LIMIT_PUBLIC_KEY * (size_t)2);
    chy_ssh_put_string(&one, chy_buf_bytes(&blob));
    chy_ssh_put_string(&one, chy_str_bytes(key->name));
    if (s->n_keys == CHY_LIMIT_SSH_IDENTITIES || chy_buf_check(&one, NULL) != CHY_OK ||
        s->keys.n + one.n > s->keys.max)
        return false;
    s->n_keys++;
    return chy_buf_append(&s->keys, chy_buf_bytes(&one));
}

static void list_page(struct ssh *s, const struct chy_door_key_page *page)
{
    bool has_room = true;
    for (size_t i = 0; has_room && i < page->keys.n; i++)
        has_room = list_key(s, &page->keys.p[i]);
    if (has_room && page->next.n != 0)
        ask_keys(s, page->next);
    else
        show_keys(s);
}

/* --- signatures --- */

static void sign_with(struct ssh *s, const struct chy_door_key *key)
{
    struct chy_error err;
    struct chy_door_sign asked;
    (void)snprintf(s->key, sizeof s->key, "%.*s", CHY_STR_ARG(key->name));
    if (chy_ssh_sign_input(key, &s->request, &asked.input, &err) != CHY_OK) {
        refuse_because(s, chy_str_of(err.text));
        return;
    }
    s->state = SIGNING;
    s->input = (struct chy_door_input){ .scheme = asked.input.scheme, .hash = asked.input.hash };
    on_sign(s->conn, 0, &asked);
}

static bool is_asked(const struct ssh *s, const struct chy_door_key *key)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf blob;
    chy_buf_init(&blob, CHY_LIMIT_PUBLIC_KEY);
    return chy_ssh_key_write(key, &blob, NULL) == CHY_OK &&
           chy_bytes_equal(chy_buf_bytes(&blob), s->request.key);
}

static void find_in_page(struct ssh *s, const struct chy_door_key_page *page)
{
    for (size_t i = 0; i < page->keys.n; i++) {
        if (is_asked(s, &page->keys.p[i])) {
            sign_with(s, &page->keys.p[i]);
            return;
        }
    }
    if (page->next.n != 0)
        ask_keys(s, page->next);
    else
        refuse_because(s, CHY_STR("no key of ours was asked for"));
}

static void take_signature(struct ssh *s, const struct chy_door_signed *answer)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf signature;
    struct chy_error err;
    chy_buf_init(&signature, CHY_LIMIT_SIGNATURE);
    if (chy_ssh_signature_write(&s->input, answer->signature, &signature, &err) != CHY_OK) {
        refuse_because(s, chy_str_of(err.text));
        return;
    }
    message_begin(&s->out, CHY_SSH_SIGN_RESPONSE);
    chy_ssh_put_string(&s->out, chy_buf_bytes(&signature));
    answered(s);
}

static void take_answer(struct ssh *s, enum chy_door_msg msg, const void *value)
{
    if (msg == CHY_DOOR_KEY_PAGE && s->state == LISTING)
        list_page(s, value);
    else if (msg == CHY_DOOR_KEY_PAGE && s->state == FINDING)
        find_in_page(s, value);
    else if (msg == CHY_DOOR_SIGNED && s->state == SIGNING)
        take_signature(s, value);
    else if (msg == CHY_DOOR_FAILED)
        refuse_because(s, ((const struct chy_door_failure *)value)->text);
    else
        conn_end(s->conn); /* nothing else is asked for */
}

/* --- requests --- */

/* draft-miller-ssh-agent-14 section 3.8.1: "query" names the extensions that are known, which is
 * itself alone. */
static void answer_extension(struct ssh *s)
{
    static const char query[] = "query";
    s->is_forwarded |= s->request.is_forwarded;
    if (!chy_str_equal_c(chy_bytes_str(s->request.extension), query)) {
        refuse(s);
        return;
    }
    message_begin(&s->out, CHY_SSH_EXTENSION_RESPONSE);
    chy_ssh_put_text(&s->out, query);
    chy_ssh_put_text(&s->out, query);
    answered(s);
}

/* With `ssh -A` the machine that was logged in to asks, and its administrator with it: what signs
 * there has a login there, and is looked at there. OpenSSH says so since 8.9. */
static bool is_from_elsewhere(struct ssh *s)
{
    if (!s->is_forwarded || s->request.type == CHY_SSH_EXTENSION)
        return false;
    refuse_because(s, CHY_STR("another machine asks, by agent forwarding (ssh -A)"));
    return true;
}

static void request_answer(struct ssh *s)
{
    if (is_from_elsewhere(s))
        return;
    switch (s->request.type) {
    case CHY_SSH_REQUEST_IDENTITIES:
        s->state = LISTING;
        s->n_keys = 0;
        chy_buf_clear(&s->keys);
        ask_keys(s, (struct chy_str){ 0 });
        return;
    case CHY_SSH_SIGN_REQUEST:
        s->state = FINDING;
        ask_keys(s, (struct chy_str){ 0 });
        return;
    case CHY_SSH_EXTENSION:
        answer_extension(s);
        return;
    default: /* keys are added and removed at the server; there is nothing to lock */
        refuse(s);
    }
}

/* Whether a whole request was there; an answer that was not read yet comes first. */
static bool request_take(struct ssh *s)
{
    size_t n = 0;
    if (s->fd < 0 || s->state != IDLE || s->out.n != 0)
        return false;
    if (chy_ssh_message_size(chy_buf_bytes(&s->in), &n, NULL) != CHY_OK) {
        conn_end(s->conn); /* where the next one begins nobody knows */
        return false;
    }
    if (n == 0)
        return false;
    s->message_bytes = n;
    s->key[0] = '\0';
    chy_arena_reset(&s->conn->porter->scratch); /* as for a frame */
    if (chy_ssh_request_read((struct chy_bytes){ s->in.p, n }, &s->request, NULL) == CHY_OK)
        request_answer(s);
    else
        refuse(s);
    return true;
}

/* --- the socket --- */

/* False when it has ended. */
static bool ssh_write(struct ssh *s)
{
    while (s->fd >= 0 && s->out.n != 0) {
        ssize_t n = send(s->fd, s->out.p, s->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            conn_end(s->conn);
            return false;
        }
        chy_buf_consume(&s->out, (size_t)n);
    }
    return s->fd >= 0;
}

/* What is asked for while a request is being answered waits in the kernel. */
static void ssh_watch(struct ssh *s)
{
    bool may_read = s->state == IDLE && s->out.n == 0;
    uint32_t events = (may_read ? EPOLLIN : 0u) | (s->out.n != 0 ? EPOLLOUT : 0u);
    if (s->fd < 0 || events == s->events)
        return;
    s->events = events;
    if (chy_watch_modify(s->watch, events, NULL) != CHY_OK)
        conn_end(s->conn);
}

static void ssh_go_on(struct ssh *s)
{
    if (s->is_going)
        return; /* the one that is at it goes on */
    s->is_going = true;
    while (ssh_write(s) && request_take(s))
        ;
    s->is_going = false;
    ssh_watch(s);
}

void ssh_answer(struct ssh *s, enum chy_door_msg msg, const void *value)
{
    if (s->fd < 0)
        return;
    take_answer(s, msg, value);
    ssh_go_on(s);
}

/* False when there is nothing more to read, now or ever. */
static bool ssh_read(struct ssh *s)
{
    uint8_t *room = chy_buf_room(&s->in, READ_BYTES);
    if (room == NULL) {
        conn_end(s->conn);
        return false;
    }
    ssize_t n = recv(s->fd, room, READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        conn_end(s->conn);
        return false;
    }
    chy_buf_added(&s->in, (size_t)n);
    return true;
}

static void on_ready(void *ctx, uint32_t events)
{
    struct ssh *s = ctx;
    struct conn *c = s->conn;
    bool is_gone = (events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0;
    c->refs++; /* whatever ends the connection, `s` is there until we are through */
    if (is_gone)
        conn_end(c);
    else if ((events & EPOLLIN) == 0 || ssh_read(s))
        ssh_go_on(s);
    conn_unref(c);
}

/* --- life --- */

enum chy_err ssh_new(struct conn *c, int fd, struct ssh **ret_ssh, struct chy_error *err)
{
    struct ssh *s = chy_new(struct ssh);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a connection");
    s->conn = c;
    s->fd = -1;
    s->events = EPOLLIN;
    chy_buf_init(&s->in, CHY_SSH_LENGTH_BYTES + (size_t)CHY_LIMIT_SSH_MESSAGE + READ_BYTES);
    chy_buf_init(&s->out, CHY_SSH_LENGTH_BYTES + (size_t)CHY_LIMIT_SSH_MESSAGE);
    chy_buf_init(&s->keys, CHY_LIMIT_SSH_MESSAGE - 1 - (size_t)CHY_SSH_LENGTH_BYTES);
    enum chy_err r =
        chy_watch_new(c->porter->options.loop, fd, EPOLLIN, on_ready, s, &s->watch, err);
    if (r != CHY_OK) {
        ssh_free(s);
        return r;
    }
    s->fd = fd;
    *ret_ssh = s;
    return CHY_OK;
}

void ssh_close(struct ssh *s)
{
    chy_watch_freep(&s->watch);
    chy_fd_closep(&s->fd);
    chy_buf_clear(&s->out);
}

void ssh_free(struct ssh *s)
{
    if (s == NULL)
        return;
    ssh_close(s);
    chy_buf_done(&s->in);
    chy_buf_done(&s->out);
    chy_buf_done(&s->keys);
    chy_free(s);
}

bool ssh_is_open(const struct ssh *s)
{
    return s->fd >= 0;
}

size_t ssh_pending_bytes(const struct ssh *s)
{
    return s->out.n;
}

/* --- the door's own way in: SSH in the name of a tool that chancery exec runs --- */

static void admit_for(void *ctx, int fd)
{
    struct conn *c = ctx;
    porter_admit_ssh(c->porter, fd, &c->hello);
}

void on_ssh(struct conn *c, uint64_t frame_id, const void *value)
{
    static const struct chy_empty nothing = { 0 };
    const struct chy_door_listen *asked = value;
    const struct chy_listener_options options = { c->porter->options.loop, c->porter->options.log,
                                                  asked->path, admit_for, c };
    struct chy_error err;
    enum chy_err r = c->ssh_door == NULL
                         ? chy_listener_open(&options, &c->ssh_door, &err)
                         : chy_fail(&err, CHY_E_STATE, "SSH is served for this connection already");
    if (r == CHY_OK)
        conn_reply(c, frame_id, CHY_DOOR_SSH_OPENED, &chy_empty_schema, &nothing);
    else
        conn_fail(c, frame_id, &err);
}
