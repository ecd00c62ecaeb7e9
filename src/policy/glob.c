/* SPDX-License-Identifier: MIT */
#include "policy/glob.h"

#include "base/compiler.h"

/* Bytes of the character at `at`; a byte that is no UTF-8 counts as a character. */
static size_t char_bytes(struct chy_str s, size_t at)
{
    size_t n = chy_utf8_char((struct chy_str){ s.p + at, s.n - at });
    return CHY_MAX(n, (size_t)1);
}

/* Only the last star is ever taken back: what an earlier one could still reach, the last one
 * reaches as well. So there is no exponential case. */
bool chy_glob_match(struct chy_str pattern, struct chy_str text)
{
    size_t p = 0;
    size_t t = 0;
    bool has_star = false;
    size_t behind_star = 0; /* in the pattern */
    size_t star_end = 0;    /* in the text: what the last star has swallowed so far */
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            has_star = true;
            behind_star = ++p;
            star_end = t;
        } else if (p < pattern.n && pattern.p[p] == '?') {
            p++;
            t += char_bytes(text, t);
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (has_star) {
            star_end += char_bytes(text, star_end);
            p = behind_star;
            t = star_end;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool chy_glob_is_exact(struct chy_str pattern)
{
    for (size_t i = 0; i < pattern.n; i++)
        if (pattern.p[i] == '*' || pattern.p[i] == '?')
            return false;
    return true;
}
