/* SPDX-License-Identifier: MIT */
#include "proto/finding.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"

static const struct chy_enum_value state_values[] = {
    { CHY_FINDING_OK, "ok", "it works" },
    { CHY_FINDING_WARNING, "warning", "it works, and will not for ever, or not for everybody" },
    { CHY_FINDING_PROBLEM, "problem", "it does not work" },
};
const struct chy_enum chy_finding_state_enum = CHY_ENUM("FindingState", state_values);

#define S struct chy_finding
static const struct chy_field finding_fields[] = {
    CHY_F_STR(S, check, 0, 0, CHY_LIMIT_NAME, "what was looked at"),
    CHY_F_ENUM(S, state, &chy_finding_state_enum, enum chy_finding_state, 0, "how it is"),
    CHY_F_STR(S, text, 0, 0, CHY_LIMIT_TEXT, "what was found"),
    CHY_F_STR(S, mend, 0, 0, CHY_LIMIT_TEXT, "what to do about it"),
};
#undef S
static const struct chy_schema finding_schema =
    CHY_SCHEMA("Finding", struct chy_finding, finding_fields, "One thing that was looked at.");
#define S struct chy_findings
static const struct chy_field findings_fields[] = {
    CHY_F_LIST(S, findings, &finding_schema, struct chy_finding, 0, 0, CHY_FINDINGS_MAX,
               "in the order of the checks"),
    CHY_F_U64(S, more, 0, 0, UINT64_MAX, "findings that were too many to be told"),
    CHY_F_BOOL(S, is_well, 0, "whether there is no problem; warnings may be"),
};
#undef S
const struct chy_schema chy_findings_schema = CHY_SCHEMA(
    "Findings", struct chy_findings, findings_fields, "What a look at all of it has found.");

enum chy_err chy_finding_list_init(struct chy_finding_list *list, struct chy_arena *arena,
                                   struct chy_error *err)
{
    struct chy_finding *items = chy_arena_array(arena, struct chy_finding, CHY_FINDINGS_MAX);
    if (items == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what is found");
    *list = (struct chy_finding_list){ .arena = arena, .items = items };
    return CHY_OK;
}

void chy_finding_add(struct chy_finding_list *list, enum chy_finding_state state, const char *mend,
                     const char *fmt, ...)
{
    char text[CHY_LIMIT_TEXT];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    list->has_problem = list->has_problem || state == CHY_FINDING_PROBLEM;
    struct chy_str shown = n >= 0 ? chy_str_of(text) : (struct chy_str){ 0 };
    while (!chy_utf8_is_valid(shown)) /* cut within a character */
        shown.n--;
    struct chy_str copy = chy_arena_str(list->arena, shown);
    if (copy.p == NULL || list->n == CHY_FINDINGS_MAX) {
        list->more++;
        return;
    }
    list->items[list->n++] = (struct chy_finding){
        .check = chy_str_of(list->check),
        .state = state,
        .text = copy,
        .mend = chy_str_of(mend),
    };
}

struct chy_findings chy_finding_list_end(const struct chy_finding_list *list)
{
    struct chy_findings f = { .more = list->more, .is_well = !list->has_problem };
    f.findings.p = list->items;
    f.findings.n = list->n;
    return f;
}

#define STATE_COLUMNS 9
#define CHECK_COLUMNS 15

void chy_findings_write(const struct chy_findings *f, struct chy_buf *out)
{
    for (size_t i = 0; i < f->findings.n; i++) {
        const struct chy_finding *x = &f->findings.p[i];
        const char *state = chy_enum_name(&chy_finding_state_enum, (int)x->state);
        chy_buf_printf(out, "%-*s%-*.*s", STATE_COLUMNS, state, CHECK_COLUMNS,
                       chy_str_print_len(x->check), x->check.p != NULL ? x->check.p : "");
        chy_buf_append_str(out, x->text);
        chy_buf_append_u8(out, '\n');
        if (x->mend.n != 0)
            chy_buf_printf(out, "%*s-> %.*s\n", STATE_COLUMNS + CHECK_COLUMNS, "",
                           CHY_STR_ARG(x->mend));
    }
    if (f->more != 0)
        chy_buf_printf(out, "and %llu more\n", (unsigned long long)f->more);
}
