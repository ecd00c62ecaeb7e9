/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <limits.h>

struct chy_str chy_str_of(const char *cstr)
{
    return (struct chy_str){ cstr, cstr != NULL ? strlen(cstr) : 0 };
}

int chy_str_print_len(struct chy_str s)
{
    return s.n > INT_MAX ? INT_MAX : (int)s.n;
}

bool chy_bytes_equal(struct chy_bytes a, struct chy_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int chy_bytes_compare(struct chy_bytes a, struct chy_bytes b)
{
    size_t n = CHY_MIN(a.n, b.n);
    int r = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (r != 0 || a.n == b.n)
        return r;
    return a.n < b.n ? -1 : 1;
}

bool chy_str_equal(struct chy_str a, struct chy_str b)
{
    return chy_bytes_equal(chy_str_bytes(a), chy_str_bytes(b));
}

bool chy_str_equal_c(struct chy_str a, const char *b)
{
    return chy_str_equal(a, chy_str_of(b));
}

bool chy_str_starts(struct chy_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool chy_str_ends(struct chy_str s, const char *suffix)
{
    size_t n = strlen(suffix);
    struct chy_str end = { n <= s.n && n != 0 ? s.p + s.n - n : suffix, n };
    return n <= s.n && chy_str_equal_c(end, suffix);
}

struct chy_str chy_str_base_name(struct chy_str path)
{
    size_t from = path.n;
    while (from > 0 && path.p[from - 1] != '/')
        from--;
    return path.n == 0 ? path : (struct chy_str){ path.p + from, path.n - from };
}

int chy_str_compare(struct chy_str a, struct chy_str b)
{
    return chy_bytes_compare(chy_str_bytes(a), chy_str_bytes(b));
}

void chy_copy(void *to, const void *from, size_t n)
{
    if (n != 0)
        memcpy(to, from, n);
}

size_t chy_utf8_char(struct chy_str s)
{
    if (s.n == 0)
        return 0;
    const uint8_t *p = (const uint8_t *)s.p;
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.n < len)
        return 0;
    /* The second byte's range depends on the first: it keeps out overlong forms and surrogates. */
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static bool utf8_walk(struct chy_str s, bool controls_allowed)
{
    while (s.n > 0) {
        size_t len = chy_utf8_char(s);
        if (len == 0)
            return false;
        uint8_t c = (uint8_t)s.p[0];
        if (!controls_allowed && (c < 0x20 || c == 0x7f))
            return false;
        s.p += len;
        s.n -= len;
    }
    return true;
}

bool chy_utf8_is_valid(struct chy_str s)
{
    return utf8_walk(s, true);
}

bool chy_text_is_plain(struct chy_str s)
{
    return utf8_walk(s, false);
}
