/* SPDX-License-Identifier: MIT */
#include "front/target.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static enum chy_err decode(struct chy_str in, bool plus_is_blank, struct chy_arena *arena,
                           struct chy_str *ret_text, struct chy_error *err)
{
    struct chy_str text = in;
    if (in.n > 0 && (memchr(in.p, '%', in.n) != NULL || memchr(in.p, '+', in.n) != NULL)) {
        char *to = chy_arena_alloc(arena, in.n, 1);
        if (to == NULL)
            return chy_fail(err, CHY_E_NOMEM, "there is no memory to decode a target");
        text = (struct chy_str){ to, 0 };
        for (size_t i = 0; i < in.n; i++) {
            int high = in.p[i] == '%' && in.n - i > 2 ? hex_value(in.p[i + 1]) : -1;
            int low = high >= 0 ? hex_value(in.p[i + 2]) : -1;
            if (in.p[i] == '%' && low < 0)
                return chy_fail(err, CHY_E_MALFORMED, "a %% is not followed by two hex digits");
            if (low >= 0) {
                to[text.n++] = (char)(high * 16 + low);
                i += 2;
            } else {
                to[text.n++] = in.p[i] == '+' && plus_is_blank ? ' ' : in.p[i];
            }
        }
    }
    if (!chy_text_is_plain(text))
        return chy_fail(err, CHY_E_MALFORMED,
                        "a part of the target is not UTF-8 without control characters");
    *ret_text = text;
    return CHY_OK;
}

/* Cut `in` at the first `at`: what is before it comes back, `in` becomes what is behind it. */
static struct chy_str cut(struct chy_str *in, char at)
{
    const char *found = in->n > 0 ? memchr(in->p, at, in->n) : NULL;
    struct chy_str head = *in;
    if (found == NULL) {
        *in = (struct chy_str){ in->p + in->n, 0 };
        return head;
    }
    head.n = (size_t)(found - in->p);
    *in = (struct chy_str){ found + 1, in->n - head.n - 1 };
    return head;
}

static enum chy_err parse_segment(struct chy_target *t, struct chy_str raw, bool is_last,
                                  struct chy_arena *arena, struct chy_error *err)
{
    if (raw.n == 0 && !is_last)
        return chy_fail(err, CHY_E_MALFORMED, "the path has an empty part");
    if (t->segment_count == CHY_LIMIT_HTTP_SEGMENTS)
        return chy_fail(err, CHY_E_LIMIT, "the path has more than %d parts",
                        CHY_LIMIT_HTTP_SEGMENTS);
    struct chy_str *segment = &t->segments[t->segment_count];
    CHY_TRY(decode(raw, false, arena, segment, err));
    if (chy_str_equal_c(*segment, ".") || chy_str_equal_c(*segment, ".."))
        return chy_fail(err, CHY_E_MALFORMED, "the path has a dot segment");
    t->segment_count++;
    return CHY_OK;
}

static enum chy_err parse_path(struct chy_target *t, struct chy_arena *arena, struct chy_error *err)
{
    if (t->path.n == 0 || t->path.p[0] != '/')
        return chy_fail(err, CHY_E_MALFORMED, "the target does not begin with a slash");
    if (t->path.n == 1)
        return CHY_OK;
    struct chy_str left = { t->path.p + 1, t->path.n - 1 };
    bool is_last = false;
    while (!is_last) {
        is_last = memchr(left.p, '/', left.n) == NULL;
        CHY_TRY(parse_segment(t, cut(&left, '/'), is_last, arena, err));
    }
    return CHY_OK;
}

static enum chy_err parse_param(struct chy_target *t, struct chy_str raw, struct chy_arena *arena,
                                struct chy_error *err)
{
    if (raw.n == 0 || memchr(raw.p, '=', raw.n) == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "a parameter of the query is not name=value");
    if (t->param_count == CHY_LIMIT_HTTP_PARAMS)
        return chy_fail(err, CHY_E_LIMIT, "the query has more than %d parameters",
                        CHY_LIMIT_HTTP_PARAMS);
    struct chy_target_param *p = &t->params[t->param_count];
    struct chy_str name = cut(&raw, '=');
    CHY_TRY(decode(name, true, arena, &p->name, err));
    CHY_TRY(decode(raw, true, arena, &p->value, err));
    if (p->name.n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "a parameter of the query has no name");
    for (size_t i = 0; i < t->param_count; i++)
        if (chy_str_equal(t->params[i].name, p->name))
            return chy_fail(err, CHY_E_MALFORMED, "the parameter \"%.*s\" comes twice",
                            CHY_STR_ARG(p->name));
    t->param_count++;
    return CHY_OK;
}

enum chy_err chy_target_parse(struct chy_str target, struct chy_arena *arena,
                              struct chy_target *ret_target, struct chy_error *err)
{
    struct chy_target *t = ret_target;
    t->segment_count = 0;
    t->param_count = 0;
    bool has_query = target.n > 0 && memchr(target.p, '?', target.n) != NULL;
    t->path = cut(&target, '?');
    CHY_TRY(parse_path(t, arena, err));
    if (!has_query)
        return CHY_OK;
    /* "?" with nothing behind it is a query without parameters; "a=1&" is not well-formed. */
    bool is_last = target.n == 0;
    while (!is_last) {
        is_last = memchr(target.p, '&', target.n) == NULL;
        CHY_TRY(parse_param(t, cut(&target, '&'), arena, err));
    }
    return CHY_OK;
}

enum chy_err chy_target_decode(struct chy_str part, struct chy_arena *arena,
                               struct chy_str *ret_text, struct chy_error *err)
{
    return decode(part, false, arena, ret_text, err);
}

const struct chy_str *chy_target_param(const struct chy_target *t, const char *name)
{
    for (size_t i = 0; i < t->param_count; i++)
        if (chy_str_equal_c(t->params[i].name, name))
            return &t->params[i].value;
    return NULL;
}
