/* SPDX-License-Identifier: MIT */
#include "crypto/pem.h"

#include "base/buf.h"
#include "codec/base64.h"

#define LINE_BYTES 48 /* of content: 64 characters */

bool chy_pem_append(struct chy_buf *out, const char *label, struct chy_bytes der)
{
    /* The buffer remembers the first of these that fails. */
    CHY_IGNORE(chy_buf_printf(out, "-----BEGIN %s-----\n", label));
    for (size_t i = 0; i < der.n; i += LINE_BYTES) {
        const struct chy_bytes part = { der.p + i, CHY_MIN(der.n - i, (size_t)LINE_BYTES) };
        CHY_IGNORE(chy_base64_append(out, part));
        CHY_IGNORE(chy_buf_append_c(out, "\n"));
    }
    return chy_buf_printf(out, "-----END %s-----\n", label);
}

/* The next line without its end and the white space before it; false at the end of the text. */
static bool line_take(struct chy_str *text, struct chy_str *ret_line)
{
    if (text->n == 0)
        return false;
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    size_t taken = end != NULL ? n + 1 : n;
    *ret_line = (struct chy_str){ text->p, n };
    while (ret_line->n > 0 &&
           (ret_line->p[ret_line->n - 1] == '\r' || ret_line->p[ret_line->n - 1] == ' ' ||
            ret_line->p[ret_line->n - 1] == '\t'))
        ret_line->n--;
    text->p += taken;
    text->n -= taken;
    return true;
}

/* Whether `line` is -----<word> <label>----- */
static bool line_is(struct chy_str line, const char *word, const char *label)
{
    const char *const parts[] = { "-----", word, " ", label, "-----" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++) {
        if (!chy_str_starts(line, parts[i]))
            return false;
        line.p += strlen(parts[i]);
        line.n -= strlen(parts[i]);
    }
    return line.n == 0;
}

static bool block_begin(struct chy_str *text, const char *label)
{
    struct chy_str line;
    while (line_take(text, &line))
        if (line_is(line, "BEGIN", label))
            return true;
    return false;
}

bool chy_pem_has(struct chy_bytes text, const char *label)
{
    struct chy_str rest = chy_bytes_str(text);
    return block_begin(&rest, label);
}

enum chy_err chy_pem_take(struct chy_str *text, const char *label, struct chy_buf *der,
                          struct chy_error *err)
{
    if (!block_begin(text, label))
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no PEM block of type %s", label);
    CHY_CLEANUP(chy_buf_done) struct chy_buf base64;
    chy_buf_init(&base64, CHY_BASE64_LEN(der->max));
    struct chy_str line;
    while (line_take(text, &line)) {
        if (line_is(line, "END", label)) {
            CHY_TRY(chy_buf_check(&base64, err));
            chy_buf_clear(der);
            return chy_base64_decode(chy_buf_str(&base64), der, err);
        }
        CHY_IGNORE(chy_buf_append_str(&base64, line)); /* checked at the end */
    }
    return chy_fail(err, CHY_E_MALFORMED, "the PEM block of type %s has no end", label);
}
