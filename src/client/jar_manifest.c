/* SPDX-License-Identifier: MIT */
#include "client/jar_manifest.h"

#include <strings.h>

#include "base/buf.h"
#include "base/limits.h"

#define NAME   "Name: "
#define DIGEST "-Digest"

struct section {
    struct chy_buf name;
    bool has_digest;
    bool is_name; /* the attribute that may go on */
    chy_jar_entry_fn *each;
    void *ctx;
};

/* Up to a line end: CR LF, LF or CR. */
static struct chy_str line_take(struct chy_str *text)
{
    size_t n = 0;
    while (n < text->n && text->p[n] != '\r' && text->p[n] != '\n')
        n++;
    size_t end = n;
    if (end < text->n)
        end += end + 1 < text->n && text->p[end] == '\r' && text->p[end + 1] == '\n' ? 2 : 1;
    struct chy_str line = { text->p, n };
    *text = (struct chy_str){ text->p + end, text->n - end };
    return line;
}

static bool begins(struct chy_str line, const char *with)
{
    size_t n = strlen(with);
    return line.n >= n && strncasecmp(line.p, with, n) == 0;
}

/* "SHA-256-Digest: ..." and "SHA-256-Digest-fr: ..." */
static bool is_digest(struct chy_str line)
{
    const char *colon = line.n != 0 ? memchr(line.p, ':', line.n) : NULL;
    for (size_t i = 0; colon != NULL && i < (size_t)(colon - line.p); i++) {
        if (begins((struct chy_str){ line.p + i, line.n - i }, DIGEST))
            return true;
    }
    return false;
}

/* The name of an attribute stands in its first line. */
static enum chy_err line_read(struct section *s, struct chy_str line, struct chy_error *err)
{
    s->is_name = begins(line, NAME);
    s->has_digest |= is_digest(line);
    if (!s->is_name)
        return CHY_OK;
    if (s->name.n != 0)
        return chy_fail(err, CHY_E_MALFORMED, "a section of the manifest has two names");
    chy_buf_append_str(&s->name, (struct chy_str){ line.p + strlen(NAME), line.n - strlen(NAME) });
    return chy_buf_check(&s->name, err);
}

static enum chy_err line_goes_on(struct section *s, struct chy_str line, struct chy_error *err)
{
    if (!s->is_name)
        return CHY_OK;
    chy_buf_append_str(&s->name, (struct chy_str){ line.p + 1, line.n - 1 });
    return chy_buf_check(&s->name, err);
}

static enum chy_err section_end(struct section *s, struct chy_error *err)
{
    if (s->name.n != 0 && s->has_digest)
        CHY_TRY(s->each(s->ctx, chy_buf_str(&s->name), err));
    chy_buf_clear(&s->name);
    s->has_digest = false;
    s->is_name = false;
    return CHY_OK;
}

static enum chy_err text_read(struct section *s, struct chy_str text, struct chy_error *err)
{
    while (text.n != 0) {
        struct chy_str line = line_take(&text);
        if (line.n == 0)
            CHY_TRY(section_end(s, err));
        else if (line.p[0] == ' ')
            CHY_TRY(line_goes_on(s, line, err));
        else
            CHY_TRY(line_read(s, line, err));
    }
    return section_end(s, err);
}

enum chy_err chy_jar_manifest_read(struct chy_str text, chy_jar_entry_fn *each, void *ctx,
                                   struct chy_error *err)
{
    struct section s = { .has_digest = false, .each = each, .ctx = ctx };
    chy_buf_init(&s.name, CHY_LIMIT_PATH);
    enum chy_err r = text_read(&s, text, err);
    chy_buf_done(&s.name);
    return r;
}

static bool is_attribute(struct chy_str line, const char *name, struct chy_str *ret_value)
{
    size_t n = strlen(name);
    if (!begins(line, name) || line.n < n + 2 || line.p[n] != ':' || line.p[n + 1] != ' ')
        return false;
    *ret_value = (struct chy_str){ line.p + n + 2, line.n - n - 2 };
    return true;
}

enum chy_err chy_jar_manifest_value(struct chy_str text, const char *name,
                                    struct chy_buf *ret_value, struct chy_error *err)
{
    bool is_found = false;
    bool is_it = false; /* may go on */
    while (text.n != 0) {
        struct chy_str line = line_take(&text);
        if (line.n == 0)
            break;
        struct chy_str value = { line.p + 1, line.n - 1 };
        if (line.p[0] != ' ') {
            is_it = is_attribute(line, name, &value);
            if (is_it && is_found)
                return chy_fail(err, CHY_E_MALFORMED, "there are two of %s", name);
            is_found |= is_it;
        }
        if (is_it)
            chy_buf_append_str(ret_value, value);
    }
    CHY_TRY(chy_buf_check(ret_value, err));
    return is_found ? CHY_OK : chy_fail(err, CHY_E_NOT_FOUND, "there is no %s", name);
}
