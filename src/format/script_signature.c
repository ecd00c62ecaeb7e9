/* SPDX-License-Identifier: MIT */
#include "format/script_signature.h"

#include "base/buf.h"
#include "base/limits.h"
#include "codec/base64.h"

#define BEGIN   "SIG # Begin signature block"
#define END     "SIG # End signature block"
#define NEWLINE "\r\n"

/* How a line of comment looks. */
struct style {
    const char *open;
    const char *close;
    bool is_xml;
};
static const struct style styles[] = {
    { "# ", "", false },
    { "<!-- ", " -->", true },
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a script");
}

/* --- text as UTF-16 --- */

static bool begins(struct chy_bytes in, const char *bytes, size_t n)
{
    return in.n >= n && chy_bytes_equal((struct chy_bytes){ in.p, n },
                                        (struct chy_bytes){ (const uint8_t *)bytes, n });
}

static size_t unit_put(uint8_t *to, unsigned unit)
{
    to[0] = (uint8_t)unit;
    to[1] = (uint8_t)(unit >> 8);
    return 2;
}

static unsigned long char_of(const uint8_t *p, size_t n)
{
    unsigned long c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    return c;
}

static size_t char_put(uint8_t *to, unsigned long c)
{
    if (c < 0x10000)
        return unit_put(to, (unsigned)c);
    c -= 0x10000;
    unit_put(to, 0xd800u | (unsigned)(c >> 10));
    unit_put(to + 2, 0xdc00u | (unsigned)(c & 0x3ff));
    return 4;
}

/* No character takes more than twice as much. */
static enum chy_err utf8_widen(struct chy_bytes in, struct chy_arena *arena, struct chy_bytes *ret,
                               bool *ret_is_ascii, struct chy_error *err)
{
    uint8_t *to = chy_arena_array(arena, uint8_t, 2 * in.n + 1);
    size_t at = 0;
    if (to == NULL)
        return no_memory(err);
    *ret_is_ascii = true;
    for (size_t i = 0; i < in.n;) {
        size_t n = chy_utf8_char((struct chy_str){ (const char *)in.p + i, in.n - i });
        if (n == 0)
            return chy_fail(err, CHY_E_UNSUPPORTED, "its text is neither UTF-8 nor UTF-16");
        *ret_is_ascii = *ret_is_ascii && n == 1;
        at += char_put(to + at, char_of(in.p + i, n));
        i += n;
    }
    *ret = (struct chy_bytes){ to, at };
    return CHY_OK;
}

static enum chy_err text_read(struct chy_bytes in, struct chy_arena *arena, struct chy_bytes *ret,
                              bool *ret_is_certain, struct chy_error *err)
{
    bool is_ascii = true;
    if (begins(in, "\xfe\xff", 2))
        return chy_fail(err, CHY_E_UNSUPPORTED, "its text is UTF-16 in big-endian order");
    if (begins(in, "\xff\xfe", 2)) {
        *ret = (struct chy_bytes){ in.p, in.n & ~(size_t)1 };
        *ret_is_certain = true;
        return in.n % 2 == 0 ? CHY_OK
                             : chy_fail(err, CHY_E_MALFORMED, "half a character ends the file");
    }
    CHY_TRY(utf8_widen(in, arena, ret, &is_ascii, err));
    *ret_is_certain = is_ascii || begins(in, "\xef\xbb\xbf", 3);
    return CHY_OK;
}

static unsigned unit_at(struct chy_bytes text, size_t at)
{
    return at + 2 <= text.n ? text.p[at] | (unsigned)text.p[at + 1] << 8 : 0;
}

/* --- its lines --- */

/* Take `ascii` off the front. */
static bool take(struct chy_bytes *text, const char *ascii)
{
    size_t n = strlen(ascii);
    if (text->n < 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (unit_at(*text, 2 * i) != (unsigned char)ascii[i])
            return false;
    }
    *text = (struct chy_bytes){ text->p + 2 * n, text->n - 2 * n };
    return true;
}

/* The next place of `ascii` from `at` on. */
static bool find(struct chy_bytes text, const char *ascii, size_t *at)
{
    for (size_t i = *at; i < text.n; i += 2) {
        struct chy_bytes rest = { text.p + i, text.n - i };
        if (!take(&rest, ascii))
            continue;
        *at = i;
        return true;
    }
    return false;
}

static enum chy_err line_read(struct chy_bytes *rest, const struct style *style,
                              struct chy_buf *base64, struct chy_error *err)
{
    while (rest->n != 0 && unit_at(*rest, 0) != '\r' && unit_at(*rest, 0) != ' ') {
        unsigned unit = unit_at(*rest, 0);
        if (unit > 0x7f)
            break;
        if (!chy_buf_append_u8(base64, (uint8_t)unit))
            return chy_buf_check(base64, err);
        *rest = (struct chy_bytes){ rest->p + 2, rest->n - 2 };
    }
    if (!take(rest, style->close) || !take(rest, NEWLINE))
        return chy_fail(err, CHY_E_MALFORMED, "its signature has a line that is none of it");
    return CHY_OK;
}

static enum chy_err block_read(struct chy_bytes rest, const struct style *style,
                               struct chy_buf *base64, struct chy_error *err)
{
    for (;;) {
        if (!take(&rest, style->open))
            return chy_fail(err, CHY_E_MALFORMED, "its signature has no end");
        if (take(&rest, END))
            break;
        CHY_TRY(line_read(&rest, style, base64, err));
    }
    bool is_ended = take(&rest, style->close);
    CHY_IGNORE(take(&rest, NEWLINE)); /* not everybody writes it */
    return is_ended && rest.n == 0
               ? CHY_OK
               : chy_fail(err, CHY_E_MALFORMED, "something follows its signature");
}

/* Where the block begins, and how it is written. */
static enum chy_err block_find(struct chy_bytes text, size_t *ret_at, struct chy_bytes *ret_rest,
                               const struct style **ret_style, struct chy_error *err)
{
    size_t at = 0;
    if (!find(text, BEGIN, &at))
        return chy_fail(err, CHY_E_NOT_FOUND, "it has no signature");
    size_t more = at + 2;
    if (find(text, BEGIN, &more))
        return chy_fail(err, CHY_E_UNSUPPORTED, "it has two signatures");
    for (size_t i = 0; i < CHY_ARRAY_LEN(styles); i++) {
        size_t back = 2 * (strlen(NEWLINE) + strlen(styles[i].open));
        struct chy_bytes rest = { text.p + at - CHY_MIN(at, back),
                                  text.n - at + CHY_MIN(at, back) };
        if (at < back || !take(&rest, NEWLINE) || !take(&rest, styles[i].open) ||
            !take(&rest, BEGIN) || !take(&rest, styles[i].close) || !take(&rest, NEWLINE))
            continue;
        *ret_at = at - back;
        *ret_rest = rest;
        *ret_style = &styles[i];
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_MALFORMED, "its signature does not begin on a line of its own");
}

enum chy_err chy_script_signature_read(struct chy_bytes file, struct chy_arena *arena,
                                       struct chy_script_signature *ret_signature,
                                       struct chy_error *err)
{
    struct chy_bytes text;
    struct chy_bytes rest;
    const struct style *style = NULL;
    bool is_certain = false;
    size_t at = 0;
    if (file.n > CHY_LIMIT_SCRIPT_FILE)
        return chy_fail(err, CHY_E_LIMIT, "a script of %zu bytes, %d are the most", file.n,
                        CHY_LIMIT_SCRIPT_FILE);
    CHY_TRY(text_read(file, arena, &text, &is_certain, err));
    CHY_TRY(block_find(text, &at, &rest, &style, err));
    if (style->is_xml && !is_certain)
        return chy_fail(err, CHY_E_UNSUPPORTED, "its text has no byte order mark and is not ASCII");
    CHY_CLEANUP(chy_buf_done) struct chy_buf base64;
    CHY_CLEANUP(chy_buf_done) struct chy_buf cms;
    chy_buf_init(&base64, CHY_BASE64_LEN((size_t)CHY_LIMIT_CMS));
    chy_buf_init(&cms, CHY_LIMIT_CMS);
    CHY_TRY(block_read(rest, style, &base64, err));
    CHY_TRY(chy_base64_decode(chy_buf_str(&base64), &cms, err));
    ret_signature->covered = (struct chy_bytes){ text.p, at };
    ret_signature->cms = chy_arena_bytes(arena, chy_buf_bytes(&cms));
    return ret_signature->cms.p != NULL ? CHY_OK : no_memory(err);
}
