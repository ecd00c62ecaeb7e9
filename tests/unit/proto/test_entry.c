/* SPDX-License-Identifier: MIT */
/* docs/formats/log.md is what others write verifiers from: its tables are the schemas, its example
 * is what the codec makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "codec/hex.h"
#include "proto/entry.h"

enum {
    PAGE_BYTES = 65536,
    LINE_BYTES = 1024,
    CELLS = 4
};

static char page[PAGE_BYTES];

static int read_page(void **state)
{
    char path[4096];
    (void)state;
    const char *source = getenv("CHANCERY_SOURCE"); /* checksrc: set by the build for tests */
    if (source == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/docs/formats/log.md", source);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return -1;
    size_t n = fread(page, 1, sizeof page - 1, f);
    fclose(f);
    page[n] = '\0';
    return n > 0 && n < sizeof page - 1 ? 0 : -1;
}

/* What follows the heading "### name". */
static const char *section(const char *name)
{
    char heading[LINE_BYTES];
    snprintf(heading, sizeof heading, "\n### %s\n", name);
    const char *at = strstr(page, heading);
    if (at == NULL)
        fail_msg("the page has no section \"%s\"", name);
    return at + strlen(heading);
}

static const char *line_take(const char *at, char line[LINE_BYTES])
{
    const char *end = strchr(at, '\n');
    assert_non_null(end);
    assert_true((size_t)(end - at) < LINE_BYTES);
    memcpy(line, at, (size_t)(end - at));
    line[end - at] = '\0';
    return end + 1;
}

/* The cells of "| a | b | c |", without the blanks around them; false for another line. */
static bool cells_of(char *line, char *cells[CELLS])
{
    if (line[0] != '|')
        return false;
    char *at = line + 1;
    for (size_t i = 0; i < CELLS; i++) {
        char *end = strchr(at, '|');
        cells[i] = end != NULL ? at : line + strlen(line);
        if (end == NULL)
            continue;
        *end = '\0';
        cells[i] += strspn(at, " ");
        for (char *p = end; p > cells[i] && p[-1] == ' '; p--)
            p[-1] = '\0';
        at = end + 1;
    }
    return true;
}

/* Skips the blank lines, the table's head and its rule. */
static const char *table(const char *at)
{
    char line[LINE_BYTES];
    while (at[0] != '|')
        at = line_take(at, line);
    at = line_take(at, line);
    return line_take(at, line);
}

/* --- the tables of fields --- */

static void kind_text(const struct chy_field *f, char *out, size_t size)
{
    switch (f->kind) {
    case CHY_KIND_U32:
        snprintf(out, size, "u32");
        return;
    case CHY_KIND_U64:
        snprintf(out, size, "u64");
        return;
    case CHY_KIND_TIME:
        snprintf(out, size, "time");
        return;
    case CHY_KIND_ENUM:
        snprintf(out, size, "enum");
        return;
    case CHY_KIND_STR:
        snprintf(out, size, "%s", (f->flags & CHY_MULTILINE) != 0 ? "long text" : "text");
        return;
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX:
        snprintf(out, size, "bytes");
        return;
    case CHY_KIND_HASH:
        snprintf(out, size, "hash");
        return;
    case CHY_KIND_ID:
        snprintf(out, size, "id");
        return;
    case CHY_KIND_LIST:
        snprintf(out, size, "list of %s", f->schema->name);
        return;
    case CHY_KIND_STRS:
        snprintf(out, size, "texts");
        return;
    case CHY_KIND_BOOL:
    case CHY_KIND_STRUCT:
    case CHY_KIND_OPTION:
        break;
    }
    fail_msg("%s is of a kind that the page does not describe", f->name);
}

static void limit_text(const struct chy_field *f, char *out, size_t size)
{
    bool has_limit = f->kind != CHY_KIND_TIME && f->kind != CHY_KIND_ENUM &&
                     f->kind != CHY_KIND_HASH && f->kind != CHY_KIND_ID;
    if (f->kind == CHY_KIND_STRS)
        snprintf(out, size, "%llu of %llu", (unsigned long long)f->max, (unsigned long long)f->min);
    else if (has_limit)
        snprintf(out, size, "%llu", (unsigned long long)f->max);
    else
        out[0] = '\0';
}

static void check_table(const struct chy_schema *schema)
{
    char line[LINE_BYTES];
    char *cells[CELLS];
    char want[LINE_BYTES];
    const char *at = table(section(schema->name));
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        at = line_take(at, line);
        if (!cells_of(line, cells))
            fail_msg("the table of %s ends before %s", schema->name, f->name);
        snprintf(want, sizeof want, "`%s`", f->name);
        assert_string_equal(cells[0], want);
        kind_text(f, want, sizeof want);
        assert_string_equal(cells[1], want);
        limit_text(f, want, sizeof want);
        assert_string_equal(cells[2], want);
    }
    assert_false(at[0] == '|');
}

static void test_log_page__has_every_field_in_order(void **state)
{
    (void)state;
    check_table(&chy_entry_schema);
    check_table(&chy_fact_schema);
    check_table(&chy_label_schema);
    check_table(&chy_entry_detail_schema);
}

/* --- the table of numbers --- */

static void enum_text(const struct chy_enum *e, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%d `%s`", i > 0 ? ", " : "", e->values[i].value,
                              e->values[i].name);
        assert_true(n < size);
    }
}

static bool is_used(const struct chy_enum *e)
{
    const struct chy_schema *schemas[] = { &chy_entry_schema, &chy_fact_schema,
                                           &chy_entry_detail_schema };
    for (size_t s = 0; s < CHY_ARRAY_LEN(schemas); s++)
        for (size_t i = 0; i < schemas[s]->n; i++)
            if (schemas[s]->fields[i].values == e)
                return true;
    return false;
}

static void test_log_page__has_every_number_of_an_enum(void **state)
{
    (void)state;
    const struct chy_enum *enums[] = { &chy_entry_kind_enum, &chy_auth_method_enum,
                                       &chy_decision_enum,   &chy_sign_alg_enum,
                                       &chy_hashed_by_enum,  &chy_basis_enum,
                                       &chy_outcome_enum };
    char line[LINE_BYTES];
    char *cells[CELLS];
    char want[LINE_BYTES];
    const char *at = table(section("Numbers"));
    for (size_t i = 0; i < CHY_ARRAY_LEN(enums); i++) {
        assert_true(is_used(enums[i]));
        at = line_take(at, line);
        assert_true(cells_of(line, cells));
        assert_string_equal(cells[0], enums[i]->name);
        enum_text(enums[i], want, sizeof want);
        assert_string_equal(cells[1], want);
    }
    assert_false(at[0] == '|');
}

/* --- the example --- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Hex digits with single blanks between them; two blanks begin the remark. */
static void example_line(const char *line, struct chy_buf *out)
{
    char digits[LINE_BYTES];
    size_t n = 0;
    for (; is_hex(*line) || (*line == ' ' && is_hex(line[1])); line++)
        if (*line != ' ')
            digits[n++] = *line;
    uint8_t bytes[LINE_BYTES / 2];
    assert_true(n > 0);
    assert_int_equal(chy_hex_decode((struct chy_str){ digits, n }, bytes, n / 2, NULL), CHY_OK);
    assert_true(chy_buf_append(out, (struct chy_bytes){ bytes, n / 2 }));
}

static void example_bytes(struct chy_buf *out)
{
    char line[LINE_BYTES];
    const char *at = section("Example");
    do
        at = line_take(at, line);
    while (strcmp(line, "```text") != 0);
    for (at = line_take(at, line); strcmp(line, "```") != 0; at = line_take(at, line))
        example_line(line, out);
}

static void test_log_page__example_is_an_entry_and_its_only_encoding(void **state)
{
    (void)state;
    struct chy_buf bytes;
    struct chy_buf again;
    struct chy_arena arena;
    struct chy_entry e;
    chy_buf_init(&bytes, CHY_LIMIT_ENTRY);
    chy_buf_init(&again, CHY_LIMIT_ENTRY);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    example_bytes(&bytes);
    assert_int_equal(chy_schema_decode(&chy_entry_schema, chy_buf_bytes(&bytes), &arena, &e, NULL),
                     CHY_OK);
    assert_int_equal(chy_schema_encode(&chy_entry_schema, &e, &again, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&bytes), chy_buf_bytes(&again)));
    assert_int_equal(e.kind, CHY_ENTRY_SIGN_OUTCOME);
    assert_int_equal(e.item, 7);
    assert_true(chy_str_equal_c(e.principal, "alice"));
    assert_int_equal(e.decision, CHY_DECISION_HELD);
    assert_int_equal(e.rules.n, 2);
    assert_int_equal(e.artifact_size_bytes, 65536);
    assert_int_equal(e.intent_index, 41);
    chy_arena_done(&arena);
    chy_buf_done(&again);
    chy_buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_page__has_every_field_in_order),
        cmocka_unit_test(test_log_page__has_every_number_of_an_enum),
        cmocka_unit_test(test_log_page__example_is_an_entry_and_its_only_encoding),
    };
    return cmocka_run_group_tests(tests, read_page, NULL);
}
