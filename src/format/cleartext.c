/* SPDX-License-Identifier: MIT */
#include "format/cleartext.h"

#include "base/limits.h"
#include "format/openpgp.h"

void chy_cleartext_init(struct chy_cleartext *c)
{
    *c = (struct chy_cleartext){ .has_lines = false };
    chy_buf_init(&c->line, CHY_LIMIT_CLEARTEXT_LINE);
}

void chy_cleartext_done(struct chy_cleartext *c)
{
    chy_buf_done(&c->line);
}

enum chy_err chy_cleartext_begin(enum chy_hash_alg hash, struct chy_buf *out, struct chy_error *err)
{
    chy_buf_printf(out, "-----BEGIN PGP SIGNED MESSAGE-----\nHash: %s\n\n",
                   chy_openpgp_hash_name(hash));
    return chy_buf_check(out, err);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static enum chy_err end_line(struct chy_cleartext *c, struct chy_hasher *hasher,
                             struct chy_buf *out, struct chy_error *err)
{
    struct chy_bytes line = chy_buf_bytes(&c->line);
    if (c->has_lines)
        chy_hasher_add(hasher, chy_str_bytes(CHY_STR("\r\n")));
    c->has_lines = true;
    chy_buf_append_c(out, line.n != 0 && line.p[0] == '-' ? "- " : "");
    chy_buf_append(out, line);
    chy_buf_append_u8(out, '\n');
    while (line.n != 0 && is_blank(line.p[line.n - 1]))
        line.n--;
    chy_hasher_add(hasher, line);
    chy_buf_clear(&c->line);
    return chy_buf_check(out, err);
}

enum chy_err chy_cleartext_add(struct chy_cleartext *c, struct chy_bytes text,
                               struct chy_hasher *hasher, struct chy_buf *out,
                               struct chy_error *err)
{
    while (text.n != 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        if (!chy_buf_append(&c->line, (struct chy_bytes){ text.p, n }) && c->line.is_over)
            return chy_fail(err, CHY_E_LIMIT,
                            "a line of the text has more than %d bytes: GnuPG could not verify it; "
                            "make a detached signature",
                            CHY_LIMIT_CLEARTEXT_LINE);
        CHY_TRY(chy_buf_check(&c->line, err));
        if (end == NULL)
            return CHY_OK;
        CHY_TRY(end_line(c, hasher, out, err));
        text.p += n + 1;
        text.n -= n + 1;
    }
    return CHY_OK;
}

/* A text without any line is written as one that is empty. */
enum chy_err chy_cleartext_end(struct chy_cleartext *c, struct chy_hasher *hasher,
                               struct chy_buf *out, struct chy_error *err)
{
    return c->line.n != 0 || !c->has_lines ? end_line(c, hasher, out, err) : CHY_OK;
}
