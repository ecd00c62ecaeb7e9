/* SPDX-License-Identifier: MIT */
#include "client/agent_link.h"

#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"

#define HELLO_TIMEOUT_MS 5000
#define SEND_LIMIT       ((size_t)CHY_LIMIT_FRAME + CHY_FRAME_LENGTH_BYTES)

struct chy_agent_link {
    struct chy_channel *channel;
    uint64_t last_id;
    char request_id[CHY_LIMIT_NAME + 1];
};

static enum chy_err connect_own(struct chy_str path, int64_t deadline_us, int *ret_fd,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf address;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct chy_socket_cred cred;
    chy_buf_init(&address, CHY_LIMIT_PATH + sizeof "unix:");
    chy_buf_append_c(&address, "unix:");
    chy_buf_append_str(&address, path);
    CHY_TRY(chy_buf_check(&address, err));
    CHY_TRY(chy_socket_connect(chy_buf_str(&address), deadline_us, &fd, err));
    CHY_TRY(chy_socket_peer_cred(fd, &cred, err));
    if (cred.uid != geteuid() && cred.uid != 0)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "the agent's socket %.*s is user %u's, not ours: it is told nothing",
                        CHY_STR_ARG(path), (unsigned)cred.uid);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

static enum chy_err greet(struct chy_agent_link *l, const struct chy_agent_link_options *options,
                          struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_door_welcome welcome;
    struct chy_door_hello hello = {
        .version = CHY_DOOR_VERSION,
        .software = chy_str_of(options->software),
        .tag = options->tag,
    };
    const struct chy_agent_question question = {
        CHY_DOOR_HELLO,   &chy_door_hello_schema,   &hello,
        CHY_DOOR_WELCOME, &chy_door_welcome_schema, HELLO_TIMEOUT_MS,
    };
    chy_arena_init(&arena, CHY_LIMIT_PATH);
    return chy_agent_link_ask(l, &question, &arena, &welcome, err);
}

enum chy_err chy_agent_link_open(const struct chy_agent_link_options *options,
                                 struct chy_agent_link **ret_link, struct chy_error *err)
{
    CHY_CLEANUP(chy_agent_link_closep) struct chy_agent_link *l = chy_new(struct chy_agent_link);
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    if (l == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a conversation with the agent");
    int64_t deadline_us = chy_clock_monotonic_us() + HELLO_TIMEOUT_MS * INT64_C(1000);
    CHY_TRY(connect_own(options->path, deadline_us, &fd, err));
    const struct chy_channel_options channel = { .send_limit_bytes = SEND_LIMIT };
    CHY_TRY(chy_channel_new(fd, &channel, &l->channel, err));
    CHY_IGNORE(chy_fd_take(&fd)); /* the channel's now */
    CHY_TRY(greet(l, options, err));
    *ret_link = CHY_TAKE(l);
    return CHY_OK;
}

void chy_agent_link_close(struct chy_agent_link *l)
{
    if (l == NULL)
        return;
    chy_channel_free(l->channel);
    chy_free(l);
}

void chy_agent_link_closep(struct chy_agent_link **l)
{
    chy_agent_link_close(*l);
}

const char *chy_agent_link_request_id(const struct chy_agent_link *l)
{
    return l->request_id;
}

static enum chy_err send(struct chy_agent_link *l, const struct chy_agent_question *q,
                         struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(q->schema, q->value, &body, err));
    const struct chy_frame frame = { .type = (uint16_t)q->msg,
                                     .id = ++l->last_id,
                                     .body = chy_buf_bytes(&body) };
    return chy_channel_send(l->channel, &frame, err);
}

static enum chy_err gone(enum chy_err r, struct chy_error *err)
{
    if (r == CHY_E_NOT_FOUND || r == CHY_E_STATE || r == CHY_E_IO)
        return chy_fail(err, CHY_E_NETWORK, "the agent closed the connection");
    return r;
}

static enum chy_err failed(struct chy_agent_link *l, struct chy_bytes body, struct chy_arena *arena,
                           struct chy_error *err)
{
    struct chy_door_failure f;
    if (chy_schema_decode(&chy_door_failure_schema, body, arena, &f, err) != CHY_OK)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent's answer makes no sense");
    int code = f.code > 0 && f.code <= INT32_MAX ? -(int)f.code : 0;
    chy_copy(l->request_id, f.request_id.p, f.request_id.n);
    l->request_id[f.request_id.n] = '\0';
    return chy_fail(err, code != 0 && chy_err_is_known(code) ? (enum chy_err)code : CHY_E_PROTOCOL,
                    "%.*s", CHY_STR_ARG(f.text));
}

/* Answers to questions that were given up may still come first. */
static enum chy_err receive(struct chy_agent_link *l, int64_t timeout_ms,
                            struct chy_frame *ret_frame, struct chy_error *err)
{
    int64_t deadline_us = chy_clock_monotonic_us() + timeout_ms * 1000;
    do {
        enum chy_err r = chy_channel_receive_wait(l->channel, deadline_us, ret_frame, err);
        if (r == CHY_E_TIMEOUT)
            return chy_fail(err, r, "the agent did not answer in time");
        if (r != CHY_OK)
            return gone(r, err);
    } while (ret_frame->id != l->last_id);
    return CHY_OK;
}

enum chy_err chy_agent_link_ask(struct chy_agent_link *l, const struct chy_agent_question *question,
                                struct chy_arena *arena, void *ret_reply, struct chy_error *err)
{
    struct chy_frame frame;
    l->request_id[0] = '\0';
    enum chy_err r = send(l, question, err);
    if (r != CHY_OK)
        return gone(r, err);
    CHY_TRY(receive(l, question->timeout_ms, &frame, err));
    struct chy_bytes body = chy_arena_bytes(arena, frame.body);
    if (body.p == NULL && frame.body.n != 0)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the agent's answer");
    if (frame.type == CHY_DOOR_FAILED)
        return failed(l, body, arena, err);
    if (frame.type != (uint16_t)question->reply)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent answered with a message of type %u",
                        (unsigned)frame.type);
    r = chy_schema_decode(question->reply_schema, body, arena, ret_reply, err);
    if (r == CHY_E_MALFORMED || r == CHY_E_LIMIT)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent's answer makes no sense: %s",
                        err != NULL ? err->text : "");
    return r;
}
