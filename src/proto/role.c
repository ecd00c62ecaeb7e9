/* SPDX-License-Identifier: MIT */
#include "proto/role.h"

#include "base/limits.h"
#include "os/clock.h"
#include "os/process.h"
#include "proto/internal.h"

enum chy_err chy_role_open(size_t send_limit_bytes, struct chy_channel **ret_channel,
                           struct chy_error *err)
{
    const struct chy_channel_options options = { .send_limit_bytes = send_limit_bytes,
                                                 .takes_fds = true };
    CHY_TRY(chy_process_inherit(1, err));
    return chy_channel_new(CHY_SUPERVISOR_FD, &options, ret_channel, err);
}

enum chy_err chy_role_config(struct chy_channel *channel, const struct chy_schema *schema,
                             struct chy_arena *arena, void *ret_config, struct chy_error *err)
{
    struct chy_frame frame;
    int64_t deadline_us = chy_clock_monotonic_us() + CHY_LIMIT_START_MS * INT64_C(1000);
    CHY_TRY(chy_channel_receive_wait(channel, deadline_us, &frame, err));
    if (frame.type != CHY_MSG_CONFIG)
        return chy_fail(err, CHY_E_PROTOCOL, "the first frame is of type %u, not the configuration",
                        frame.type);
    struct chy_bytes own = chy_arena_bytes(arena, frame.body);
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the configuration");
    return chy_schema_decode(schema, own, arena, ret_config, err);
}

struct chy_str chy_role_folder(struct chy_str path, struct chy_arena *arena)
{
    size_t n = path.n;
    while (n > 1 && path.p[n - 1] != '/')
        n--;
    return chy_arena_str(arena, (struct chy_str){ path.p, n > 1 ? n - 1 : n });
}

enum chy_err chy_role_ready(struct chy_channel *channel, struct chy_str text, struct chy_error *err)
{
    const struct chy_ready ready = { .text = text };
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_schema_encode(&chy_ready_schema, &ready, &body, err));
    const struct chy_frame frame = { .type = CHY_MSG_READY, .body = chy_buf_bytes(&body) };
    return chy_channel_send(channel, &frame, err);
}
