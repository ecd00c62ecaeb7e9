/* SPDX-License-Identifier: MIT */
#include "codec/hex.h"

#include "base/buf.h"

static const char hex_digits[] = "0123456789abcdef";

void chy_hex_encode(struct chy_bytes in, char *out)
{
    for (size_t i = 0; i < in.n; i++) {
        out[2 * i] = hex_digits[in.p[i] >> 4];
        out[2 * i + 1] = hex_digits[in.p[i] & 15];
    }
    out[2 * in.n] = '\0';
}

bool chy_hex_append(struct chy_buf *out, struct chy_bytes in)
{
    for (size_t i = 0; i < in.n; i++) {
        uint8_t *to = chy_buf_room(out, 2);
        if (to == NULL)
            return false;
        to[0] = (uint8_t)hex_digits[in.p[i] >> 4];
        to[1] = (uint8_t)hex_digits[in.p[i] & 15];
        chy_buf_added(out, 2);
    }
    return true;
}

/* -1 for what is no digit. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum chy_err chy_hex_decode(struct chy_str in, uint8_t *out, size_t n, struct chy_error *err)
{
    if (in.n % 2 != 0 || in.n / 2 != n)
        return chy_fail(err, CHY_E_MALFORMED, "hexadecimal text has %zu digits, expected %zu", in.n,
                        2 * n);
    for (size_t i = 0; i < in.n; i++)
        if (digit_value(in.p[i]) < 0)
            return chy_fail(err, CHY_E_MALFORMED, "character %zu is no hexadecimal digit", i + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(digit_value(in.p[2 * i]) << 4 | digit_value(in.p[2 * i + 1]));
    return CHY_OK;
}
