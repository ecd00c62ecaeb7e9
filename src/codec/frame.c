/* SPDX-License-Identifier: MIT */
#include "codec/frame.h"

#define AFTER_LENGTH (CHY_FRAME_HEADER_BYTES - CHY_FRAME_LENGTH_BYTES)

enum chy_err chy_frame_encode(struct chy_buf *to, const struct chy_frame *frame,
                              struct chy_error *err)
{
    if (frame->body.n > CHY_FRAME_BODY_MAX)
        return chy_fail(err, CHY_E_LIMIT, "a frame's body of %zu bytes, expected %zu at most",
                        frame->body.n, CHY_FRAME_BODY_MAX);
    /* One request for all of it: a frame is never half appended. */
    if (chy_buf_room(to, CHY_FRAME_HEADER_BYTES + frame->body.n) == NULL)
        return chy_buf_check(to, err);
    chy_buf_append_u32(to, (uint32_t)(AFTER_LENGTH + frame->body.n));
    chy_buf_append_u16(to, frame->type);
    chy_buf_append_u16(to, 0);
    chy_buf_append_u64(to, frame->id);
    chy_buf_append(to, frame->body);
    return chy_buf_check(to, err);
}

static uint64_t be_read(const uint8_t *p, size_t width)
{
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

enum chy_err chy_frame_decode(struct chy_bytes in, struct chy_frame *ret_frame, size_t *ret_used,
                              struct chy_error *err)
{
    *ret_used = 0;
    if (in.n < CHY_FRAME_LENGTH_BYTES)
        return CHY_OK;
    size_t length = (size_t)be_read(in.p, 4);
    if (length < AFTER_LENGTH)
        return chy_fail(err, CHY_E_MALFORMED, "a frame's length is %zu, expected %d at least",
                        length, AFTER_LENGTH);
    if (length > CHY_LIMIT_FRAME)
        return chy_fail(err, CHY_E_LIMIT, "a frame's length is %zu, expected %d at most", length,
                        CHY_LIMIT_FRAME);
    if (in.n >= 8 && be_read(in.p + 6, 2) != 0)
        return chy_fail(err, CHY_E_MALFORMED, "a frame's flags are %#x, expected 0",
                        (unsigned)be_read(in.p + 6, 2));
    if (in.n - CHY_FRAME_LENGTH_BYTES < length)
        return CHY_OK;
    *ret_frame = (struct chy_frame){
        .type = (uint16_t)be_read(in.p + 4, 2),
        .id = be_read(in.p + 8, 8),
        .body = { in.p + CHY_FRAME_HEADER_BYTES, length - AFTER_LENGTH },
    };
    *ret_used = CHY_FRAME_LENGTH_BYTES + length;
    return CHY_OK;
}
