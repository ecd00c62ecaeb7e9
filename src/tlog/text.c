/* SPDX-License-Identifier: MIT */
#include "tlog/text.h"

#include "base/limits.h"

bool tlog_line_take(struct chy_str *s, struct chy_str *ret_line)
{
    const char *end = s->n > 0 ? memchr(s->p, '\n', s->n) : NULL;
    if (end == NULL)
        return false;
    size_t n = (size_t)(end - s->p);
    *ret_line = (struct chy_str){ s->p, n };
    s->p += n + 1;
    s->n -= n + 1;
    return true;
}

bool tlog_text_skip(struct chy_str *s, struct chy_str prefix)
{
    if (s->n < prefix.n || !chy_str_equal((struct chy_str){ s->p, prefix.n }, prefix))
        return false;
    s->p += prefix.n;
    s->n -= prefix.n;
    return true;
}

bool tlog_number_parse(struct chy_str s, uint64_t *ret_v)
{
    if (s.n == 0 || (s.p[0] == '0' && s.n > 1))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *ret_v = v;
    return v <= CHY_LIMIT_LOG_SIZE;
}

bool tlog_text_is_valid(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n')
            return false;
    return chy_utf8_is_valid(s);
}
