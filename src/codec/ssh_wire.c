/* SPDX-License-Identifier: MIT */
#include "codec/ssh_wire.h"

#include "base/buf.h"

static enum chy_err take(struct chy_bytes *in, size_t n, struct chy_bytes *ret_part,
                         struct chy_error *err)
{
    if (in->n < n)
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes are missing at the end", n - in->n);
    *ret_part = (struct chy_bytes){ in->p, n };
    *in = (struct chy_bytes){ in->p + n, in->n - n };
    return CHY_OK;
}

enum chy_err chy_ssh_take_u8(struct chy_bytes *in, uint8_t *ret_v, struct chy_error *err)
{
    struct chy_bytes part;
    CHY_TRY(take(in, 1, &part, err));
    *ret_v = part.p[0];
    return CHY_OK;
}

enum chy_err chy_ssh_take_u32(struct chy_bytes *in, uint32_t *ret_v, struct chy_error *err)
{
    struct chy_bytes part;
    CHY_TRY(take(in, 4, &part, err));
    *ret_v = (uint32_t)part.p[0] << 24 | (uint32_t)part.p[1] << 16 | (uint32_t)part.p[2] << 8 |
             part.p[3];
    return CHY_OK;
}

enum chy_err chy_ssh_take_string(struct chy_bytes *in, struct chy_bytes *ret_content,
                                 struct chy_error *err)
{
    struct chy_bytes rest = *in;
    uint32_t n = 0;
    CHY_TRY(chy_ssh_take_u32(&rest, &n, err));
    CHY_TRY(take(&rest, n, ret_content, err));
    *in = rest;
    return CHY_OK;
}

enum chy_err chy_ssh_end(struct chy_bytes in, struct chy_error *err)
{
    return in.n == 0 ? CHY_OK
                     : chy_fail(err, CHY_E_MALFORMED, "%zu bytes too many at the end", in.n);
}

/* What no uint32 can say is past every buffer's maximum as well. */
static bool put_length(struct chy_buf *out, size_t n)
{
    return n <= UINT32_MAX ? chy_buf_append_u32(out, (uint32_t)n) : chy_buf_room(out, n) != NULL;
}

bool chy_ssh_put_string(struct chy_buf *out, struct chy_bytes content)
{
    return put_length(out, content.n) && chy_buf_append(out, content);
}

bool chy_ssh_put_text(struct chy_buf *out, const char *text)
{
    return chy_ssh_put_string(out, chy_str_bytes(chy_str_of(text)));
}

bool chy_ssh_put_mpint(struct chy_buf *out, struct chy_bytes magnitude)
{
    while (magnitude.n != 0 && magnitude.p[0] == 0)
        magnitude = (struct chy_bytes){ magnitude.p + 1, magnitude.n - 1 };
    bool is_high = magnitude.n != 0 && (magnitude.p[0] & 0x80) != 0;
    return put_length(out, magnitude.n + (is_high ? 1 : 0)) &&
           (!is_high || chy_buf_append_u8(out, 0)) && chy_buf_append(out, magnitude);
}
