/* SPDX-License-Identifier: MIT */
#include "guest/reply.h"

#include "proto/door.h"

static enum chy_err decode(const struct chy_frame *frame, const struct chy_schema *schema,
                           struct chy_arena *arena, void *ret_value, struct chy_error *err)
{
    enum chy_err r = chy_schema_decode(schema, frame->body, arena, ret_value, err);
    if (r == CHY_OK || r == CHY_E_NOMEM)
        return r;
    return chy_fail(err, CHY_E_PROTOCOL, "the agent's answer of kind %u does not decode",
                    (unsigned)frame->type);
}

static enum chy_err failure_read(const struct chy_frame *frame, struct chy_arena *arena,
                                 bool *ret_is_answered, struct chy_error *err)
{
    struct chy_door_failure failure;
    CHY_TRY(decode(frame, &chy_door_failure_schema, arena, &failure, err));
    int code = failure.code <= INT16_MAX ? -(int)failure.code : CHY_OK;
    if (code == CHY_OK || !chy_err_is_known(code))
        return chy_fail(err, CHY_E_PROTOCOL, "the agent failed with the unknown code %u",
                        (unsigned)failure.code);
    *ret_is_answered = true;
    if (failure.request_id.n != 0)
        return chy_fail(err, (enum chy_err)code, "%.*s (request %.*s)", CHY_STR_ARG(failure.text),
                        CHY_STR_ARG(failure.request_id));
    return chy_fail(err, (enum chy_err)code, "%.*s", CHY_STR_ARG(failure.text));
}

enum chy_err chy_guest_reply_read(const struct chy_frame *frame, uint16_t type,
                                  const struct chy_schema *schema, struct chy_arena *arena,
                                  void *ret_value, bool *ret_is_answered, struct chy_error *err)
{
    *ret_is_answered = false;
    if (frame->type == CHY_DOOR_FAILED)
        return failure_read(frame, arena, ret_is_answered, err);
    if (frame->type != type)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent answered by kind %u, expected %u",
                        (unsigned)frame->type, (unsigned)type);
    return decode(frame, schema, arena, ret_value, err);
}
