/* SPDX-License-Identifier: MIT */
#include "token_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"

#define WAIT_US INT64_C(30000000)

static const struct chy_channel_options options = { .send_limit_bytes = 2 * CHY_LIMIT_FRAME };

static int64_t deadline(void)
{
    return chy_clock_monotonic_us() + WAIT_US;
}

static char lock_path[256];

struct chy_token_config token_config(const struct fixture *f, const char *module)
{
    snprintf(lock_path, sizeof lock_path, "%s", fixture_path(f, "lock"));
    return (struct chy_token_config){
        .name = CHY_STR("soft"),
        .module = chy_str_of(module),
        .slot_label = CHY_STR(FIXTURE_LABEL),
        .lock = chy_str_of(lock_path),
        .directory = chy_str_of(f->dir),
        .is_software = true,
        .copy_keys = true,
        .threads = 1,
        .log_level = CHY_STR("error"),
    };
}

static void send_frame(struct chy_channel *channel, enum chy_msg type,
                       const struct chy_schema *schema, const void *value, uint64_t id, int fd)
{
    struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    struct chy_error err = { .text = "" };
    if (chy_schema_encode(schema, value, &body, &err) != CHY_OK)
        fail_msg("%s", err.text);
    const struct chy_frame frame = { .type = (uint16_t)type,
                                     .id = id,
                                     .body = chy_buf_bytes(&body) };
    enum chy_err r = fd < 0 ? chy_channel_send(channel, &frame, &err)
                            : chy_channel_send_fds(channel, &frame, &fd, 1, &err);
    assert_code(r, CHY_OK);
    chy_buf_done(&body);
    CHY_IGNORE(chy_channel_flush_wait(channel, deadline(), NULL)); /* it may have ended already */
}

static void child(int fd)
{
    if (fd != 3 && dup2(fd, 3) != 3)
        _exit(99);
    close_range(4, ~0u, 0);
    _exit(chy_token_main());
}

void token_begin(struct token_process *p, const struct chy_token_config *config)
{
    int pair[2];
    bool is_child = false;
    *p = (struct token_process){ .signer = NULL };
    chy_arena_init(&p->arena, CHY_LIMIT_ARENA);
    assert_code(chy_socket_pair(pair, NULL), CHY_OK);
    assert_code(chy_process_fork(&p->process, &is_child, NULL), CHY_OK);
    if (is_child)
        child(pair[1]);
    close(pair[1]);
    assert_code(chy_channel_new(pair[0], &options, &p->supervisor, NULL), CHY_OK);
    send_frame(p->supervisor, CHY_MSG_CONFIG, &chy_token_config_schema, config, 0, -1);
}

void token_send_pin(struct token_process *p, const char *path)
{
    const struct chy_file_grant grant = { CHY_STR("pin") };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    send_frame(p->supervisor, CHY_MSG_FILE, &chy_file_grant_schema, &grant, 0, fd);
    close(fd);
}

void token_send_peer(struct token_process *p)
{
    const struct chy_peer peer = { .process = CHY_PROCESS_SIGNER };
    int pair[2];
    assert_code(chy_socket_pair(pair, NULL), CHY_OK);
    send_frame(p->supervisor, CHY_MSG_PEER, &chy_peer_schema, &peer, 0, pair[1]);
    close(pair[1]);
    chy_channel_free(p->signer);
    assert_code(chy_channel_new(pair[0], &options, &p->signer, NULL), CHY_OK);
}

static bool receive(struct token_process *p, struct chy_channel *channel, enum chy_msg type,
                    const struct chy_schema *schema, uint64_t id, void *ret_value)
{
    struct chy_frame frame;
    struct chy_error err = { .text = "" };
    enum chy_err r = chy_channel_receive_wait(channel, deadline(), &frame, &err);
    if (r == CHY_E_TIMEOUT)
        fail_msg("no answer came");
    if (r != CHY_OK)
        return false;
    assert_int_equal(frame.type, type);
    assert_int_equal(frame.id, id);
    struct chy_bytes copy = chy_arena_bytes(&p->arena, frame.body);
    assert_non_null(copy.p);
    if (chy_schema_decode(schema, copy, &p->arena, ret_value, &err) != CHY_OK)
        fail_msg("%s", err.text);
    return true;
}

struct chy_str token_start(struct token_process *p, const struct fixture *f,
                           const struct chy_token_config *config, struct chy_token_info *ret_info)
{
    struct chy_ready ready;
    struct chy_token_info_msg msg;
    token_begin(p, config);
    token_send_peer(p);
    token_send_pin(p, fixture_path(f, "pin"));
    assert_true(receive(p, p->supervisor, CHY_MSG_READY, &chy_ready_schema, 0, &ready));
    assert_true(receive(p, p->signer, CHY_MSG_TOKEN_INFO, &chy_token_info_msg_schema, 0, &msg));
    if (ret_info != NULL)
        *ret_info = msg.info;
    return ready.text;
}

void token_drain(struct token_process *p)
{
    const struct chy_empty empty = { false };
    send_frame(p->supervisor, CHY_MSG_DRAIN, &chy_empty_schema, &empty, 0, -1);
}

struct chy_process_end token_end(struct token_process *p)
{
    struct chy_process_end end;
    assert_code(chy_process_wait(&p->process, deadline(), &end, NULL), CHY_OK);
    chy_channel_free(p->supervisor);
    chy_channel_free(p->signer);
    chy_arena_done(&p->arena);
    return end;
}

void token_ask(struct token_process *p, enum chy_msg type, const struct chy_schema *schema,
               const void *request)
{
    send_frame(p->signer, type, schema, request, ++p->last_id, -1);
}

bool token_answer(struct token_process *p, enum chy_msg type, const struct chy_schema *schema,
                  void *ret_answer)
{
    return receive(p, p->signer, type, schema, p->last_id, ret_answer);
}

struct chy_token_sign_reply token_sign(struct token_process *p,
                                       const struct chy_token_sign_item *items, size_t n)
{
    const struct chy_token_sign request = { .items = { items, n } };
    struct chy_token_sign_reply reply;
    token_ask(p, CHY_MSG_TOKEN_SIGN, &chy_token_sign_schema, &request);
    assert_true(token_answer(p, CHY_MSG_TOKEN_SIGN_REPLY, &chy_token_sign_reply_schema, &reply));
    assert_int_equal(reply.results.n, n);
    return reply;
}
