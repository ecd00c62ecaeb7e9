/* SPDX-License-Identifier: MIT */
#include "client/pgp_armour.h"

#include "base/limits.h"
#include "codec/base64.h"

#define BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----"
#define END   "-----END PGP PUBLIC KEY BLOCK-----"

static bool line_take(struct chy_str *text, struct chy_str *ret_line)
{
    if (text->n == 0)
        return false;
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    size_t used = end != NULL ? n + 1 : n;
    *ret_line = (struct chy_str){ text->p, n != 0 && text->p[n - 1] == '\r' ? n - 1 : n };
    *text = (struct chy_str){ text->p + used, text->n - used };
    return true;
}

static enum chy_err fail_end(struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED, "an OpenPGP key has no end (" END ")");
}

/* Headers up to a blank line, lines of base 64, a checksum behind '=', the end. */
static enum chy_err block_take(struct chy_str *text, struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf base64;
    struct chy_str line;
    chy_buf_init(&base64, CHY_LIMIT_TRUST_FILE);
    do {
        if (!line_take(text, &line))
            return fail_end(err);
    } while (line.n != 0);
    for (;;) {
        if (!line_take(text, &line))
            return fail_end(err);
        if (chy_str_equal_c(line, END))
            break;
        if (!chy_str_starts(line, "="))
            chy_buf_append_str(&base64, line);
    }
    CHY_TRY(chy_buf_check(&base64, err));
    return chy_base64_decode(chy_buf_str(&base64), out, err);
}

enum chy_err chy_pgp_armour_take(struct chy_str text, struct chy_buf *out, struct chy_error *err)
{
    struct chy_str rest = text;
    struct chy_str line;
    bool is_armoured = false;
    while (line_take(&rest, &line)) {
        if (!chy_str_equal_c(line, BEGIN))
            continue;
        is_armoured = true;
        CHY_TRY(block_take(&rest, out, err));
    }
    if (!is_armoured)
        chy_buf_append_str(out, text);
    return chy_buf_check(out, err);
}
