/* SPDX-License-Identifier: MIT */
#include "format/armor.h"

#include <stdio.h>

#include "codec/base64.h"

#define CHECKSUM_START 0xb704ceu
#define CHECKSUM_POLY  0x1864cfbu
#define LINE_CHARS     76 /* of one line that is read; the most that RFC 4880 allows */

/* CRC-24. Source: RFC 4880 section 6.1 */
static uint32_t checksum_add(uint32_t sum, struct chy_bytes data)
{
    for (size_t i = 0; i < data.n; i++) {
        sum ^= (uint32_t)data.p[i] << 16;
        for (int bit = 0; bit < 8; bit++) {
            sum <<= 1;
            if ((sum & 0x1000000) != 0)
                sum ^= CHECKSUM_POLY;
        }
    }
    return sum;
}

static void put_checksum(uint32_t sum, struct chy_buf *out)
{
    const uint8_t bytes[] = { (uint8_t)(sum >> 16), (uint8_t)(sum >> 8), (uint8_t)sum };
    chy_buf_append_u8(out, '=');
    chy_base64_append(out, (struct chy_bytes){ bytes, sizeof bytes });
}

/* --- writing --- */

void chy_armor_begin(struct chy_armor *a, const char *kind, struct chy_buf *out)
{
    *a = (struct chy_armor){ .kind = kind, .checksum = CHECKSUM_START };
    chy_buf_printf(out, "-----BEGIN PGP %s-----\n\n", kind);
}

static void put_line(struct chy_armor *a, struct chy_buf *out)
{
    chy_base64_append(out, (struct chy_bytes){ a->line, a->line_n });
    chy_buf_append_u8(out, '\n');
    a->line_n = 0;
}

void chy_armor_add(struct chy_armor *a, struct chy_bytes data, struct chy_buf *out)
{
    a->checksum = checksum_add(a->checksum, data);
    while (data.n != 0) {
        size_t n = CHY_MIN(data.n, sizeof a->line - a->line_n);
        chy_copy(a->line + a->line_n, data.p, n);
        a->line_n += n;
        data.p += n;
        data.n -= n;
        if (a->line_n == sizeof a->line)
            put_line(a, out);
    }
}

void chy_armor_end(struct chy_armor *a, struct chy_buf *out)
{
    if (a->line_n != 0)
        put_line(a, out);
    put_checksum(a->checksum, out);
    chy_buf_printf(out, "\n-----END PGP %s-----\n", a->kind);
}

/* --- reading --- */

/* The next line without its end and without blanks behind it; false when there is none. */
static bool take_line(struct chy_str *text, struct chy_str *ret_line)
{
    if (text->n == 0)
        return false;
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    size_t taken = end != NULL ? n + 1 : n;
    *ret_line = (struct chy_str){ text->p, n };
    *text = (struct chy_str){ text->p + taken, text->n - taken };
    while (ret_line->n != 0 && memchr(" \t\r", ret_line->p[ret_line->n - 1], 3) != NULL)
        ret_line->n--;
    return true;
}

static enum chy_err no_armor(const char *kind, const char *what, struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED, "no OpenPGP %s in ASCII armor: %s", kind, what);
}

static bool is_border(struct chy_str line, const char *which, const char *kind)
{
    char border[64];
    int n = snprintf(border, sizeof border, "-----%s PGP %s-----", which, kind);
    return n > 0 && chy_str_equal_c(line, border);
}

/* Up to the blank line behind the headers. */
static enum chy_err skip_head(struct chy_str *text, const char *kind, struct chy_error *err)
{
    struct chy_str line = { 0 };
    do {
        if (!take_line(text, &line))
            return no_armor(kind, "it is empty", err);
    } while (line.n == 0);
    if (!is_border(line, "BEGIN", kind))
        return no_armor(kind, "it begins otherwise", err);
    while (take_line(text, &line)) {
        if (line.n == 0)
            return CHY_OK;
        if (memchr(line.p, ':', line.n) == NULL)
            break;
    }
    return no_armor(kind, "no blank line stands before the data", err);
}

static enum chy_err check_end(struct chy_str text, struct chy_str line, const char *kind,
                              struct chy_error *err)
{
    if (!is_border(line, "END", kind))
        return no_armor(kind, "it ends otherwise", err);
    while (take_line(&text, &line)) {
        if (line.n != 0)
            return no_armor(kind, "something stands behind it", err);
    }
    return CHY_OK;
}

static enum chy_err check_sum(struct chy_str line, struct chy_bytes data, const char *kind,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf want;
    chy_buf_init(&want, 16);
    put_checksum(checksum_add(CHECKSUM_START, data), &want);
    CHY_TRY(chy_buf_check(&want, err));
    if (!chy_str_equal(chy_buf_str(&want), line))
        return no_armor(kind, "its checksum is wrong", err);
    return CHY_OK;
}

/* The characters of all data lines become one text. `ret_line` is the line that ended them. */
static enum chy_err gather(struct chy_str *text, struct chy_buf *chars, struct chy_str *ret_line,
                           const char *kind, struct chy_error *err)
{
    while (take_line(text, ret_line)) {
        if (ret_line->n == 0 || ret_line->p[0] == '=' || ret_line->p[0] == '-')
            return chy_buf_check(chars, err);
        if (ret_line->n > LINE_CHARS)
            return no_armor(kind, "a line is too long", err);
        chy_buf_append_str(chars, *ret_line);
    }
    return no_armor(kind, "it ends in the middle", err);
}

enum chy_err chy_armor_read(struct chy_str text, const char *kind, struct chy_buf *out,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf chars;
    struct chy_str line = { 0 };
    size_t before = out->n;
    chy_buf_init(&chars, text.n);
    CHY_TRY(skip_head(&text, kind, err));
    CHY_TRY(gather(&text, &chars, &line, kind, err));
    CHY_TRY(chy_base64_decode(chy_buf_str(&chars), out, err));
    if (line.n != 0 && line.p[0] == '=') {
        CHY_TRY(check_sum(line, (struct chy_bytes){ out->p + before, out->n - before }, kind, err));
        if (!take_line(&text, &line))
            return no_armor(kind, "it ends in the middle", err);
    }
    return check_end(text, line, kind, err);
}
