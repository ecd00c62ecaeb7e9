/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "doc/doc.h"

#define CELL_MAX    16384 /* bytes: a public key or signature in base 64 */
#define BYTES_SHOWN 48    /* characters of base 64 in a record */
#define COLUMN_GAP  2
#define COLUMNS_MAX 12
#define SHORT_DEPTH 4 /* records inside records */

/* Bytes of the character at the start of `s` that must not reach a terminal; 0 if it may. C0, DEL
 * and C1 controls steer it; marks of direction make a text look like another (U+202A to U+202E,
 * U+2066 to U+2069). */
static size_t steering(struct chy_str s)
{
    unsigned char a = (unsigned char)s.p[0];
    unsigned char b = s.n > 1 ? (unsigned char)s.p[1] : 0;
    unsigned char c = s.n > 2 ? (unsigned char)s.p[2] : 0;
    if (a < 0x20 || a == 0x7f)
        return 1;
    if (a == 0xc2 && b >= 0x80 && b <= 0x9f)
        return 2;
    bool is_mark = a == 0xe2 &&
                   ((b == 0x80 && c >= 0xaa && c <= 0xae) || (b == 0x81 && c >= 0xa6 && c <= 0xa9));
    return is_mark ? 3 : 0;
}

void chy_cli_print_text(FILE *out, struct chy_str text)
{
    while (text.n != 0) {
        size_t n = steering(text);
        bool is_shown = n == 0 || text.p[0] == '\n' || text.p[0] == '\t';
        (void)fputc(is_shown ? text.p[0] : '?', out);
        n = is_shown ? 1 : n;
        text = (struct chy_str){ text.p + n, text.n - n };
    }
}

void chy_cli_print_texts(FILE *out, const struct chy_str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        chy_cli_print_text(out, texts[i]);
}

static void append_line(struct chy_buf *out, struct chy_str s)
{
    while (s.n != 0) {
        size_t n = steering(s);
        chy_buf_append_u8(out, n != 0 ? '?' : (uint8_t)s.p[0]);
        n = CHY_MAX(n, (size_t)1);
        s = (struct chy_str){ s.p + n, s.n - n };
    }
}

static void append_strs(struct chy_buf *out, struct chy_strs s)
{
    for (size_t i = 0; i < s.n; i++) {
        chy_buf_append_c(out, i != 0 ? ", " : "");
        append_line(out, s.p[i]);
    }
}

void chy_cli_write_field(struct chy_buf *out, const struct chy_field *f, const void *value)
{
    const void *at = chy_field_in(f, value);
    if (f->kind != CHY_KIND_BOOL && f->kind != CHY_KIND_ENUM && f->kind != CHY_KIND_U32 &&
        f->kind != CHY_KIND_U64 && chy_field_is_empty(f, value))
        return;
    switch (f->kind) {
    case CHY_KIND_BOOL:
        chy_buf_append_c(out, *(const bool *)at ? "yes" : "no");
        return;
    case CHY_KIND_U32:
        chy_buf_printf(out, "%u", *(const uint32_t *)at);
        return;
    case CHY_KIND_U64:
        chy_buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
        return;
    case CHY_KIND_TIME:
        chy_time_write(out, *(const int64_t *)at);
        return;
    case CHY_KIND_ENUM:
        append_line(out, chy_str_of(chy_enum_name(f->values, chy_field_enum(f, value))));
        return;
    case CHY_KIND_STR:
        append_line(out, *(const struct chy_str *)at);
        return;
    case CHY_KIND_BYTES:
        chy_base64_append(out, *(const struct chy_bytes *)at);
        return;
    case CHY_KIND_HEX:
        chy_hex_append(out, *(const struct chy_bytes *)at);
        return;
    case CHY_KIND_HASH:
        chy_hex_append(out, (struct chy_bytes){ at, CHY_HASH_BYTES });
        return;
    case CHY_KIND_ID:
        chy_hex_append(out, (struct chy_bytes){ at, CHY_ID_BYTES });
        return;
    case CHY_KIND_STRS:
        append_strs(out, *(const struct chy_strs *)at);
        return;
    case CHY_KIND_LIST:
        chy_buf_printf(out, "%zu", ((const struct chy_list *)at)->n);
        return;
    case CHY_KIND_STRUCT:
    case CHY_KIND_OPTION:
        return; /* records inside, told by whoever prints them */
    }
}

/* --- records --- */

static enum chy_err print_record(FILE *out, const struct chy_schema *schema, const void *value,
                                 unsigned depth, struct chy_error *err);

static void print_lines(FILE *out, struct chy_str text, unsigned depth)
{
    while (text.n != 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        (void)fprintf(out, "%*s", (int)(2 * depth), "");
        chy_cli_print_text(out, (struct chy_str){ text.p, n });
        (void)fputc('\n', out);
        size_t used = n + (end != NULL ? 1 : 0);
        text = (struct chy_str){ text.p + used, text.n - used };
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a schema, SHORT_DEPTH at most */
static enum chy_err print_inside(FILE *out, const struct chy_field *f, const void *value,
                                 unsigned depth, struct chy_error *err)
{
    const void *at = chy_field_in(f, value);
    const void *first = at;
    size_t n = 1;
    if (f->kind == CHY_KIND_LIST) {
        first = ((const struct chy_list *)at)->p;
        n = ((const struct chy_list *)at)->n;
    } else if (f->kind == CHY_KIND_OPTION) {
        first = *(const void *const *)at;
    }
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(out, "%*s%s", (int)(2 * depth), "", f->name);
        if (f->kind == CHY_KIND_LIST)
            (void)fprintf(out, " %zu", i + 1);
        (void)fputs(":\n", out);
        const void *one = (const char *)first + i * f->schema->size;
        CHY_TRY(print_record(out, f->schema, one, depth + 1, err));
    }
    return CHY_OK;
}

static size_t name_width(const struct chy_schema *schema, const void *value)
{
    size_t width = 0;
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if (!chy_field_is_empty(f, value) && f->schema == NULL)
            width = CHY_MAX(width, strlen(f->name));
    }
    return width;
}

/* Sentences, which commas would run together. */
static bool has_sentences(const struct chy_field *f, const void *value)
{
    const struct chy_strs *s = chy_field_in(f, value);
    for (size_t i = 0; f->kind == CHY_KIND_STRS && i < s->n; i++) {
        if (s->p[i].n != 0 && memchr(s->p[i].p, ' ', s->p[i].n) != NULL)
            return true;
    }
    return false;
}

static enum chy_err print_sentences(FILE *out, const struct chy_field *f, const void *value,
                                    unsigned depth, struct chy_error *err)
{
    const struct chy_strs *s = chy_field_in(f, value);
    (void)fprintf(out, "%*s%s:\n", (int)(2 * depth), "", f->name);
    for (size_t i = 0; i < s->n; i++) {
        CHY_CLEANUP(chy_buf_done) struct chy_buf line;
        chy_buf_init(&line, CELL_MAX);
        append_line(&line, s->p[i]);
        CHY_TRY(chy_buf_check(&line, err));
        (void)fprintf(out, "%*s- %.*s\n", (int)(2 * (depth + 1)), "",
                      CHY_STR_ARG(chy_buf_str(&line)));
    }
    return CHY_OK;
}

static enum chy_err print_field(FILE *out, const struct chy_field *f, const void *value,
                                size_t width, unsigned depth, struct chy_error *err)
{
    const struct chy_str *text = chy_field_in(f, value);
    if (f->kind == CHY_KIND_STR && memchr(text->p, '\n', text->n) != NULL) {
        (void)fprintf(out, "%*s%s:\n", (int)(2 * depth), "", f->name);
        print_lines(out, *text, depth + 1);
        return CHY_OK;
    }
    if (has_sentences(f, value))
        return print_sentences(out, f, value, depth, err);
    CHY_CLEANUP(chy_buf_done) struct chy_buf cell;
    chy_buf_init(&cell, CELL_MAX);
    chy_cli_write_field(&cell, f, value);
    CHY_TRY(chy_buf_check(&cell, err));
    struct chy_str shown = chy_buf_str(&cell);
    bool is_cut = f->kind == CHY_KIND_BYTES && shown.n > BYTES_SHOWN;
    shown.n = is_cut ? BYTES_SHOWN : shown.n;
    (void)fprintf(out, "%*s%s:%*s%.*s%s\n", (int)(2 * depth), "", f->name,
                  (int)(width - strlen(f->name) + 1), "", CHY_STR_ARG(shown),
                  is_cut ? "... (whole with --json)" : "");
    return CHY_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a schema, SHORT_DEPTH at most */
static enum chy_err print_record(FILE *out, const struct chy_schema *schema, const void *value,
                                 unsigned depth, struct chy_error *err)
{
    size_t width = name_width(schema, value);
    for (size_t i = 0; i < schema->n && depth <= SHORT_DEPTH; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((f->flags & CHY_INTERNAL) != 0 || chy_field_is_empty(f, value))
            continue;
        CHY_TRY(f->schema != NULL ? print_inside(out, f, value, depth, err)
                                  : print_field(out, f, value, width, depth, err));
    }
    return CHY_OK;
}

enum chy_err chy_cli_print_record(FILE *out, const struct chy_schema *schema, const void *value,
                                  struct chy_error *err)
{
    return print_record(out, schema, value, 0, err);
}

/* --- tables --- */

static void write_cell(struct chy_buf *out, const struct chy_cli_column *column,
                       const struct chy_schema *schema, const void *row)
{
    if (column->write != NULL) {
        column->write(out, row);
        return;
    }
    const struct chy_field *f = chy_schema_field(schema, chy_str_of(column->field));
    CHY_ASSERT(f != NULL);
    chy_cli_write_field(out, f, row);
}

/* Characters, near enough: bytes that begin one. */
static size_t shown_width(struct chy_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80 ? 1 : 0;
    return n;
}

static enum chy_err cell_make(const struct chy_cli_column *column, const struct chy_schema *schema,
                              const void *row, struct chy_buf *cell, struct chy_error *err)
{
    chy_buf_clear(cell);
    write_cell(cell, column, schema, row);
    return chy_buf_check(cell, err);
}

static void append_cell(struct chy_buf *line, struct chy_str text, size_t width)
{
    chy_buf_append_str(line, text);
    for (size_t n = shown_width(text); n < width + COLUMN_GAP; n++)
        chy_buf_append_u8(line, ' ');
}

static enum chy_err print_line(FILE *out, struct chy_buf *line, struct chy_error *err)
{
    CHY_TRY(chy_buf_check(line, err));
    while (line->n != 0 && line->p[line->n - 1] == ' ')
        line->n--;
    (void)fprintf(out, "%.*s\n", CHY_STR_ARG(chy_buf_str(line)));
    chy_buf_clear(line);
    return CHY_OK;
}

/* The rows of a table, and where its parts are put together. */
struct table {
    const struct chy_cli_view *view;
    const struct chy_schema *schema;
    const struct chy_list *rows;
    size_t widths[COLUMNS_MAX];
    struct chy_buf cell;
    struct chy_buf line;
};

static void table_done(struct table *t)
{
    chy_buf_done(&t->cell);
    chy_buf_done(&t->line);
}

static const void *row_of(const struct table *t, size_t i)
{
    return (const char *)t->rows->p + i * t->schema->size;
}

static enum chy_err measure(struct table *t, size_t c, struct chy_error *err)
{
    const struct chy_cli_column *column = &t->view->columns[c];
    t->widths[c] = strlen(column->title);
    for (size_t i = 0; i < t->rows->n; i++) {
        CHY_TRY(cell_make(column, t->schema, row_of(t, i), &t->cell, err));
        t->widths[c] = CHY_MAX(t->widths[c], shown_width(chy_buf_str(&t->cell)));
    }
    return CHY_OK;
}

static enum chy_err print_row(FILE *out, struct table *t, size_t i, struct chy_error *err)
{
    for (size_t c = 0; c < t->view->n_columns; c++) {
        CHY_TRY(cell_make(&t->view->columns[c], t->schema, row_of(t, i), &t->cell, err));
        append_cell(&t->line, chy_buf_str(&t->cell), t->widths[c]);
    }
    return print_line(out, &t->line, err);
}

static enum chy_err print_table(FILE *out, const struct chy_cli_view *view,
                                const struct chy_schema *schema, const struct chy_list *rows,
                                struct chy_error *err)
{
    CHY_CLEANUP(table_done) struct table t = { .view = view, .schema = schema, .rows = rows };
    chy_buf_init(&t.cell, CELL_MAX);
    chy_buf_init(&t.line, (size_t)COLUMNS_MAX * (CELL_MAX + COLUMN_GAP));
    CHY_ASSERT(view->n_columns <= COLUMNS_MAX);
    for (size_t c = 0; c < view->n_columns; c++)
        CHY_TRY(measure(&t, c, err));
    for (size_t c = 0; c < view->n_columns; c++)
        append_cell(&t.line, chy_str_of(view->columns[c].title), t.widths[c]);
    CHY_TRY(print_line(out, &t.line, err));
    for (size_t i = 0; i < rows->n; i++)
        CHY_TRY(print_row(out, &t, i, err));
    return CHY_OK;
}

enum chy_err chy_cli_print_view(FILE *out, const struct chy_cli_view *view,
                                const struct chy_schema *schema, const void *response,
                                struct chy_error *err)
{
    if (view != NULL && view->print != NULL) {
        view->print(out, response);
        return CHY_OK;
    }
    if (view == NULL || view->list == NULL)
        return chy_cli_print_record(out, schema, response, err);
    const struct chy_field *f = chy_schema_field(schema, chy_str_of(view->list));
    CHY_ASSERT(f != NULL && f->kind == CHY_KIND_LIST);
    const struct chy_list *rows = chy_field_in(f, response);
    if (rows->n != 0)
        return print_table(out, view, f->schema, rows, err);
    (void)fprintf(out, "%s\n", view->empty);
    return CHY_OK;
}
