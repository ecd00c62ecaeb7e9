/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "cli/exec/talk_internal.h"
#include "os/clock.h"

enum chy_err exec_send(struct chy_channel *channel, uint16_t type, uint64_t id,
                       const struct chy_schema *schema, const void *value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(schema, value, &body, err));
    struct chy_frame frame = { type, id, chy_buf_bytes(&body) };
    return chy_channel_send(channel, &frame, err);
}

static enum chy_err tell_failure(const struct chy_frame *frame, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_door_failure failure;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_decode(&chy_door_failure_schema, frame->body, &arena, &failure, err));
    int code = failure.code <= INT16_MAX ? -(int)failure.code : 0;
    if (code == 0 || !chy_err_is_known(code))
        code = CHY_E_INTERNAL;
    return chy_fail(err, (enum chy_err)code, "%.*s", CHY_STR_ARG(failure.text));
}

enum chy_err exec_ask(struct chy_channel *channel, uint16_t type, const struct chy_schema *schema,
                      const void *value, uint16_t answer, struct chy_error *err)
{
    int64_t deadline = chy_clock_monotonic_us() + EXEC_SOON_US;
    struct chy_frame frame;
    CHY_TRY(exec_send(channel, type, 1, schema, value, err));
    CHY_TRY(chy_channel_receive_wait(channel, deadline, &frame, err));
    if (frame.type == CHY_DOOR_FAILED)
        return tell_failure(&frame, err);
    if (frame.type != answer || frame.id != 1)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent answered %u, expected %u", frame.type,
                        answer);
    return CHY_OK;
}

enum chy_err exec_channel(int *fd, struct chy_channel **ret_channel, struct chy_error *err)
{
    struct chy_channel_options options = { .send_limit_bytes = EXEC_SEND_BYTES };
    CHY_TRY(chy_channel_new(*fd, &options, ret_channel, err));
    *fd = -1;
    return CHY_OK;
}
