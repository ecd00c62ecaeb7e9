/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "cli/exec/exec.h"

#define LINES_MAX 20 /* signatures told one by one; --report FILE has all */

#define S struct chy_exec_report
static const struct chy_field report_fields[] = {
    CHY_F_STR(S, tool, 0, 0, CHY_LIMIT_PATH, "the tool, as it was called"),
    CHY_F_U32(S, exit_code, 0, 0, 255,
              "its exit code; 128 and more: the number of the signal that ended it"),
    CHY_F_LIST(S, signatures, &chy_door_event_schema, struct chy_door_event, 0, 0,
               CHY_LIMIT_EXEC_EVENTS, "what became of each signature that it asked for"),
    CHY_F_U64(S, more, 0, 0, UINT64_MAX, "signatures that were too many to be told"),
    CHY_F_STR(S, trouble, 0, 0, CHY_LIMIT_TEXT, "why the agent could not work; empty: it could"),
};
#undef S
const struct chy_schema chy_exec_report_schema =
    CHY_SCHEMA("ExecReport", struct chy_exec_report, report_fields,
               "What became of the signatures that a tool asked for.");

static void print_log_entry(FILE *out, const struct chy_door_event *e)
{
    const struct chy_log_index *leaf = e->outcome != NULL ? e->outcome : e->intent;
    if (leaf != NULL)
        (void)fprintf(out, ", log entry %llu", (unsigned long long)leaf->index);
}

static void print_refusal(FILE *out, const struct chy_door_event *e)
{
    chy_cli_say(out, CHY_STR("\nchancery:   "), e->problem,
                e->detail.n != 0 ? CHY_STR(": ") : CHY_STR(""), e->detail);
    for (size_t i = 0; i < e->rules.n; i++)
        chy_cli_say(out, i == 0 ? CHY_STR("\nchancery:   decided by rule ") : CHY_STR(", "),
                    e->rules.p[i]);
    if (e->request_id.n != 0)
        chy_cli_say(out, CHY_STR("\nchancery:   request "), e->request_id);
}

static void print_event(FILE *out, const struct chy_door_event *e)
{
    const char *alg = chy_enum_name(&chy_sign_alg_enum, (int)e->algorithm);
    chy_cli_say(
        out, e->is_signed ? CHY_STR("chancery: signed: key ") : CHY_STR("chancery: REFUSED: key "),
        e->key, CHY_STR(", "), chy_str_of(alg));
    print_log_entry(out, e);
    if (e->receipt_file.n != 0)
        chy_cli_say(out, CHY_STR(", receipt in "), e->receipt_file);
    if (!e->is_signed)
        print_refusal(out, e);
    (void)fputc('\n', out);
}

/* So many of each kind: signatures must not hide the refusal for which a tool failed. */
static void print_events(FILE *out, const struct chy_exec_report *r)
{
    size_t left[] = { LINES_MAX, LINES_MAX };
    uint64_t hidden = r->more;
    for (size_t i = 0; i < r->signatures.n; i++) {
        const struct chy_door_event *e = &r->signatures.p[i];
        size_t *kind = &left[e->is_signed ? 0 : 1];
        if (*kind == 0) {
            hidden++;
            continue;
        }
        (*kind)--;
        print_event(out, e);
    }
    if (hidden != 0)
        (void)fprintf(out, "chancery: and %llu more\n", (unsigned long long)hidden);
}

void chy_exec_report_print(FILE *out, const struct chy_exec_report *r)
{
    print_events(out, r);
    if (r->signatures.n == 0 && r->more == 0)
        chy_cli_say(out, CHY_STR("chancery: "), r->tool, CHY_STR(" asked for no signature\n"));
    if (r->signatures.n == 0 && r->more == 0 && r->exit_code != 0 && r->trouble.n == 0)
        (void)fputs(
            "chancery: the keys that it could find: chancery keys list --usable; what may be "
            "missing here: chancery doctor\n",
            out);
    if (r->trouble.n != 0)
        chy_cli_say(out, CHY_STR("chancery: "), r->trouble, CHY_STR("\n"));
}
