/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "codec/hex.h"
#include "doc/doc.h"
#include "supervisor/config.h"
#include "supervisor/config_defaults.h"

/* Comments are "# text", a setting that is left out is "#name: default": taking the # away sets
 * it. */

#define TEXT_WIDTH 90 /* of comments */
#define INDENT     2

struct writer {
    struct chy_buf *out; /* remembers a failure */
    struct chy_error *err;
};

static void spaces_put(const struct writer *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        chy_buf_append_u8(w->out, ' ');
}

static void comment_put(const struct writer *w, unsigned indent, const char *text)
{
    struct chy_str rest = chy_str_of(text);
    while (rest.n > 0) {
        size_t n = rest.n;
        if (n > TEXT_WIDTH) {
            const char *space = memrchr(rest.p, ' ', TEXT_WIDTH);
            n = space != NULL ? (size_t)(space - rest.p) : n;
        }
        spaces_put(w, indent);
        chy_buf_append_c(w->out, "# ");
        chy_buf_append_str(w->out, (struct chy_str){ rest.p, n });
        chy_buf_append_u8(w->out, '\n');
        n += n < rest.n ? 1 : 0;
        rest = (struct chy_str){ rest.p + n, rest.n - n };
    }
}

/* Whether the writer's caller has set it. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the table of the configuration */
static bool field_is_given(const struct chy_field *f, const void *value)
{
    const void *at = chy_field_in(f, value);
    if (f->kind == CHY_KIND_BOOL)
        return *(const bool *)at;
    if (f->kind == CHY_KIND_U32)
        return *(const uint32_t *)at != 0;
    if (f->kind == CHY_KIND_ENUM)
        return chy_field_enum(f, value) != 0;
    if (f->kind != CHY_KIND_STRUCT)
        return !chy_field_is_empty(f, value);
    for (size_t i = 0; i < f->schema->n; i++)
        if (field_is_given(&f->schema->fields[i], at))
            return true;
    return false;
}

static enum chy_err value_put(const struct writer *w, const struct chy_field *f, const void *value)
{
    const void *at = chy_field_in(f, value);
    if (f->kind == CHY_KIND_BOOL) {
        chy_buf_append_c(w->out, *(const bool *)at ? "true" : "false");
    } else if (f->kind == CHY_KIND_U32) {
        chy_buf_printf(w->out, "%u", *(const uint32_t *)at);
    } else if (f->kind == CHY_KIND_STR) {
        chy_json_write_text(w->out, *(const struct chy_str *)at); /* YAML reads JSON's strings */
    } else if (f->kind == CHY_KIND_HASH) {
        chy_hex_append(w->out, (struct chy_bytes){ at, CHY_HASH_BYTES });
    } else if (f->kind == CHY_KIND_STRS) {
        const struct chy_strs *strs = at;
        chy_buf_append_u8(w->out, '[');
        for (size_t i = 0; i < strs->n; i++) {
            chy_buf_append_c(w->out, i > 0 ? ", " : "");
            chy_json_write_text(w->out, strs->p[i]);
        }
        chy_buf_append_u8(w->out, ']');
    } else if (f->kind == CHY_KIND_ENUM) {
        const char *name = chy_enum_name(f->values, chy_field_enum(f, value));
        if (name == NULL)
            return chy_fail(w->err, CHY_E_ARG, "%s has no value %d", f->name,
                            chy_field_enum(f, value));
        chy_buf_append_c(w->out, name);
    } else {
        return chy_fail(w->err, CHY_E_INTERNAL, "%s is of no kind that a setting has", f->name);
    }
    return CHY_OK;
}

static enum chy_err fields_put(const struct writer *w, const struct chy_schema *schema,
                               const void *given, const void *complete, unsigned indent);

static enum chy_err scalar_put(const struct writer *w, const struct chy_field *f, const void *given,
                               const void *complete, unsigned indent)
{
    bool has_value = f->kind == CHY_KIND_STRS || !chy_field_is_empty(f, complete);
    spaces_put(w, indent);
    chy_buf_printf(w->out, "%s%s:%s", field_is_given(f, given) ? "" : "#", f->name,
                   has_value ? " " : "");
    if (has_value)
        CHY_TRY(value_put(w, f, complete));
    chy_buf_append_u8(w->out, '\n');
    return CHY_OK;
}

/* A list of sections; the dash stands where the first setting's indentation would. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the table of the configuration */
static enum chy_err list_put(const struct writer *w, const struct chy_field *f, const void *given,
                             const void *complete, unsigned indent)
{
    const struct chy_list *ours = chy_field_in(f, given);
    const struct chy_list *filled = chy_field_in(f, complete);
    chy_buf_printf(w->out, "%s:\n", f->name);
    for (size_t i = 0; i < ours->n; i++) {
        spaces_put(w, indent);
        chy_buf_append_c(w->out, "-\n");
        CHY_TRY(fields_put(w, f->schema, (const char *)ours->p + i * f->schema->size,
                           (const char *)filled->p + i * f->schema->size, indent + INDENT));
    }
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the table of the configuration */
static enum chy_err fields_put(const struct writer *w, const struct chy_schema *schema,
                               const void *given, const void *complete, unsigned indent)
{
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((f->flags & CHY_INTERNAL) != 0)
            continue;
        if (indent == 0)
            chy_buf_append_u8(w->out, '\n');
        comment_put(w, indent, f->doc);
        if (f->kind == CHY_KIND_STRUCT) {
            chy_buf_printf(w->out, "%s%s:\n", field_is_given(f, given) ? "" : "#", f->name);
            CHY_TRY(fields_put(w, f->schema, chy_field_in(f, given), chy_field_in(f, complete),
                               indent + INDENT));
        } else if (f->kind == CHY_KIND_LIST) {
            CHY_TRY(list_put(w, f, given, complete, indent));
        } else {
            CHY_TRY(scalar_put(w, f, given, complete, indent));
        }
    }
    return CHY_OK;
}

enum chy_err chy_config_write(const struct chy_config *given, struct chy_buf *out,
                              struct chy_error *err)
{
    if (given->data.n == 0 || given->log.origin.n == 0 || given->tokens.n == 0)
        return chy_fail(err, CHY_E_ARG, "a configuration needs data, log.origin and a token");
    struct writer w = { out, err };
    struct chy_config complete = *given;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_config_complete(&complete, &arena, err));
    comment_put(&w, 0, "The configuration of chanceryd; see chanceryd.yaml(5).");
    comment_put(&w, 0,
                "What is commented out shows its default. After a change: systemctl restart "
                "chanceryd, or kill -HUP for TLS.");
    CHY_TRY(fields_put(&w, &chy_config_schema, given, &complete, 0));
    return chy_buf_check(out, err);
}
