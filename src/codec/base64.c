/* SPDX-License-Identifier: MIT */
#include "codec/base64.h"

#include "base/buf.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool chy_base64_append(struct chy_buf *out, struct chy_bytes in)
{
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t v = (uint32_t)in.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)in.p[i + 1] << 8;
        if (left > 2)
            v |= in.p[i + 2];
        uint8_t *to = chy_buf_room(out, 4);
        if (to == NULL)
            return false;
        to[0] = (uint8_t)alphabet[v >> 18];
        to[1] = (uint8_t)alphabet[v >> 12 & 63];
        to[2] = left > 1 ? (uint8_t)alphabet[v >> 6 & 63] : (uint8_t)'=';
        to[3] = left > 2 ? (uint8_t)alphabet[v & 63] : (uint8_t)'=';
        chy_buf_added(out, 4);
    }
    return true;
}

/* 64 for what is no digit. */
static uint32_t digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : 64;
}

/* Length of what `in` stands for, after a check of everything about it. */
static enum chy_err text_check(struct chy_str in, size_t *ret_n, struct chy_error *err)
{
    if (in.n % 4 != 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "base 64 text has %zu characters, which is no multiple of 4", in.n);
    size_t padding = 0;
    while (padding < 2 && padding < in.n && in.p[in.n - 1 - padding] == '=')
        padding++;
    size_t digits = in.n - padding;
    for (size_t i = 0; i < digits; i++)
        if (digit_value(in.p[i]) > 63)
            return chy_fail(err, CHY_E_MALFORMED, "character %zu is no base 64 digit", i + 1);
    uint32_t spare = padding == 2 ? 15 : padding == 1 ? 3 : 0;
    if (digits > 0 && (digit_value(in.p[digits - 1]) & spare) != 0)
        return chy_fail(err, CHY_E_MALFORMED, "base 64 text is not canonical: spare bits are set");
    *ret_n = in.n / 4 * 3 - padding;
    return CHY_OK;
}

/* `in` has passed text_check(), `n` is its length. */
static void text_decode(struct chy_str in, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *group = in.p + i / 3 * 4;
        uint32_t high = digit_value(group[i % 3]);
        uint32_t low = digit_value(group[i % 3 + 1]);
        out[i] = (uint8_t)(high << (2 * (i % 3) + 2) | low >> (4 - 2 * (i % 3)));
    }
}

enum chy_err chy_base64_decode(struct chy_str in, struct chy_buf *out, struct chy_error *err)
{
    size_t n = 0;
    CHY_TRY(text_check(in, &n, err));
    uint8_t *to = chy_buf_room(out, n);
    if (to == NULL)
        return chy_buf_check(out, err);
    text_decode(in, to, n);
    chy_buf_added(out, n);
    return CHY_OK;
}

enum chy_err chy_base64_decode_exact(struct chy_str in, uint8_t *out, size_t n,
                                     struct chy_error *err)
{
    size_t got = 0;
    CHY_TRY(text_check(in, &got, err));
    if (got != n)
        return chy_fail(err, CHY_E_MALFORMED, "base 64 value is %zu bytes, expected %zu", got, n);
    text_decode(in, out, n);
    return CHY_OK;
}
