/* SPDX-License-Identifier: MIT */
/* What chancery sign tells: a bar while it works, a line for each file that was not signed, one
 * summary. */
#include <unistd.h>

#include "base/limits.h"
#include "cli/sign/files.h"

#define BAR 30 /* columns */

static const struct chy_enum_value states[] = {
    { SIGN_WAITING, "waiting", "not begun" },
    { SIGN_SIGNED, "signed", NULL },
    { SIGN_REFUSED, "refused", "policy said no" },
    { SIGN_FAILED, "failed", "something went wrong" },
};
static const struct chy_enum state_enum = CHY_ENUM("SignState", states);

#define S struct sign_result
static const struct chy_field result_fields[] = {
    CHY_F_STR(S, file, 0, 0, CHY_LIMIT_PATH, "as it was given"),
    CHY_F_ENUM(S, kind, &chy_format_kind_enum, enum chy_format_kind, 0, "what it is"),
    CHY_F_STR(S, tool, 0, 0, CHY_LIMIT_NAME, "what signs it"),
    CHY_F_ENUM(S, state, &state_enum, enum sign_state, 0, "what became of it"),
    CHY_F_STR(S, output, 0, 0, CHY_LIMIT_PATH, "the signed file, or the signature beside it"),
    CHY_F_BOOL(S, was_signed, 0, "whether there was a signature before"),
    CHY_F_STR(S, detail, 0, 0, CHY_LIMIT_TEXT, "why it was not signed"),
    CHY_F_LIST(S, signatures, &chy_door_event_schema, struct chy_door_event, 0, 0,
               CHY_LIMIT_EXEC_EVENTS, "what became of each signature that was asked for"),
};
#undef S
static const struct chy_schema result_schema =
    CHY_SCHEMA("SignedFile", struct sign_result, result_fields, "What became of one file.");

struct summary {
    CHY_LIST_OF(struct sign_result) files;
    uint64_t n_signed;
    uint64_t n_refused;
    uint64_t n_failed;
    bool is_stamped;
};
#define S struct summary
static const struct chy_field summary_fields[] = {
    CHY_F_LIST(S, files, &result_schema, struct sign_result, 0, 0, CHY_LIMIT_ARGUMENTS,
               "in the order of the command line"),
    CHY_F_U64(S, n_signed, 0, 0, UINT64_MAX, "how many were signed"),
    CHY_F_U64(S, n_refused, 0, 0, UINT64_MAX, "how many policy refused"),
    CHY_F_U64(S, n_failed, 0, 0, UINT64_MAX, "how many failed"),
    CHY_F_BOOL(S, is_stamped, 0, "whether an authority for time stamps was used"),
};
#undef S
const struct chy_schema sign_report_schema =
    CHY_SCHEMA("SignFilesReport", struct summary, summary_fields, "What became of all files.");

/* A plan of one file, for --dry-run. */
struct planned {
    struct chy_str file;
    enum chy_format_kind kind;
    struct chy_str tool;
    struct chy_strs argv;
    struct chy_str output;
    struct chy_str problem;
};
struct plan {
    CHY_LIST_OF(struct planned) files;
};
#define S struct planned
static const struct chy_field planned_fields[] = {
    CHY_F_STR(S, file, 0, 0, CHY_LIMIT_PATH, "as it was given"),
    CHY_F_ENUM(S, kind, &chy_format_kind_enum, enum chy_format_kind, 0, "what it is"),
    CHY_F_STR(S, tool, 0, 0, CHY_LIMIT_NAME, "what signs it"),
    CHY_F_STRS(S, argv, 0, CHY_LIMIT_ARGUMENTS, (size_t)2 * CHY_LIMIT_PATH,
               "the tool and its arguments; none: this program signs it"),
    CHY_F_STR(S, output, 0, 0, CHY_LIMIT_PATH, "where the result goes"),
    CHY_F_STR(S, problem, 0, 0, CHY_LIMIT_TEXT, "why it would not be signed"),
};
#undef S
static const struct chy_schema planned_schema =
    CHY_SCHEMA("SignPlanned", struct planned, planned_fields, "What would be run for one file.");
static const struct chy_field plan_fields[] = {
    CHY_F_LIST(struct plan, files, &planned_schema, struct planned, 0, 0, CHY_LIMIT_ARGUMENTS,
               "in the order of the command line"),
};
static const struct chy_schema plan_schema =
    CHY_SCHEMA("SignPlan", struct plan, plan_fields, "What would be run.");

/* --- one file --- */

void sign_file_fail(struct sign_file *f, struct chy_arena *arena, const struct chy_error *why)
{
    bool is_decided = false;
    for (size_t i = 0; i < f->result.signatures.n; i++)
        is_decided = is_decided || !f->result.signatures.p[i].is_signed;
    f->result.state =
        is_decided && chy_err_exit_code(why->code) == CHY_CLI_REFUSED ? SIGN_REFUSED : SIGN_FAILED;
    f->result.detail = chy_arena_str(arena, chy_str_of(why->text));
    if (f->result.detail.p == NULL)
        f->result.detail = CHY_STR("no memory to say why");
}

enum chy_err sign_refusal(const struct chy_door_event *refused, struct chy_error *err)
{
    char type[CHY_LIMIT_NAME + 1] = { 0 };
    chy_copy(type, refused->problem.p, CHY_MIN(refused->problem.n, (size_t)CHY_LIMIT_NAME));
    enum chy_err code = chy_err_from_type(type);
    return chy_fail(err, code == CHY_OK ? CHY_E_DENIED : code, "%.*s",
                    CHY_STR_ARG(refused->detail.n != 0 ? refused->detail : refused->problem));
}

static const struct chy_log_index *log_entry(const struct sign_result *r)
{
    for (size_t i = r->signatures.n; i > 0; i--) {
        const struct chy_door_event *e = &r->signatures.p[i - 1];
        const struct chy_log_index *leaf = e->outcome != NULL ? e->outcome : e->intent;
        if (leaf != NULL)
            return leaf;
    }
    return NULL;
}

static void print_rules(FILE *out, const struct sign_result *r)
{
    for (size_t i = 0; i < r->signatures.n; i++) {
        const struct chy_door_event *e = &r->signatures.p[i];
        for (size_t j = 0; !e->is_signed && j < e->rules.n; j++)
            chy_cli_say(out, CHY_STR("chancery:   by rule "), e->rules.p[j], CHY_STR("\n"));
    }
}

static void print_result(FILE *out, const struct sign_result *r)
{
    static const struct chy_str words[] = {
        { "WAITING ", 8 }, { "signed ", 7 }, { "REFUSED ", 8 }, { "FAILED ", 7 }
    };
    const struct chy_log_index *leaf = log_entry(r);
    chy_cli_say(out, CHY_STR("chancery: "), words[r->state], r->file);
    if (r->kind != CHY_FORMAT_UNKNOWN)
        chy_cli_say(out, CHY_STR(": "),
                    chy_str_of(chy_enum_name(&chy_format_kind_enum, (int)r->kind)));
    if (r->tool.n != 0)
        chy_cli_say(out, CHY_STR(" by "), r->tool);
    if (leaf != NULL)
        (void)fprintf(out, ", log entry %llu", (unsigned long long)leaf->index);
    if (r->detail.n != 0)
        chy_cli_say(out, CHY_STR(": "), r->detail);
    (void)fputc('\n', out);
    print_rules(out, r);
}

/* --- while it works --- */

static void draw_bar(const struct sign_run *run)
{
    size_t filled = run->n_done * BAR / run->n;
    (void)fprintf(run->cli->err, "\r[%.*s%*s] %zu of %zu", (int)filled,
                  "##############################", (int)(BAR - filled), "", run->n_done, run->n);
    (void)fflush(run->cli->err);
}

static void clear_bar(const struct sign_run *run)
{
    if (run->shows_progress)
        (void)fputs("\r\033[K", run->cli->err);
}

void sign_file_done(struct sign_run *run, struct sign_file *f)
{
    run->n_done++;
    clear_bar(run);
    if (!run->cli->is_json)
        print_result(run->cli->err, &f->result);
    if (run->shows_progress)
        draw_bar(run);
}

void sign_tell_interrupted(struct sign_run *run, int signal_number)
{
    struct chy_error why;
    chy_fail(&why, CHY_E_STATE, "it was not begun: a signal ended the run");
    for (size_t i = 0; signal_number != 0 && i < run->n; i++) {
        struct sign_file *f = &run->files[i];
        if (f->result.state != SIGN_WAITING)
            continue;
        sign_file_fail(f, &run->cli->arena, &why);
        sign_file_done(run, f);
    }
}

/* --- at the end --- */

/* The worst of all files: trouble before wrong use before a refusal. */
static int exit_code(const struct sign_run *run)
{
    int worst = CHY_CLI_DONE;
    for (size_t i = 0; i < run->n; i++) {
        const struct sign_file *f = &run->files[i];
        int code = f->result.state == SIGN_REFUSED  ? CHY_CLI_REFUSED
                   : f->result.state == SIGN_SIGNED ? CHY_CLI_DONE
                                                    : CHY_CLI_TROUBLE;
        worst = code > worst ? code : worst;
    }
    return worst;
}

static enum chy_err summarize(struct sign_run *run, struct summary *s, struct chy_error *err)
{
    struct sign_result *all = chy_arena_array(&run->cli->arena, struct sign_result, run->n);
    if (all == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a report");
    *s = (struct summary){ .files = { all, run->n }, .is_stamped = run->tsa.n != 0 };
    for (size_t i = 0; i < run->n; i++) {
        all[i] = run->files[i].result;
        s->n_signed += all[i].state == SIGN_SIGNED ? 1 : 0;
        s->n_refused += all[i].state == SIGN_REFUSED ? 1 : 0;
        s->n_failed += all[i].state == SIGN_FAILED || all[i].state == SIGN_WAITING ? 1 : 0;
    }
    return CHY_OK;
}

int sign_report(struct sign_run *run)
{
    struct summary s;
    struct chy_error err;
    clear_bar(run);
    if (summarize(run, &s, &err) != CHY_OK)
        return chy_cli_fail(run->cli, &err);
    if (run->cli->is_json && chy_cli_print_json(run->cli, &sign_report_schema, &s, &err) != CHY_OK)
        return chy_cli_fail(run->cli, &err);
    (void)fprintf(run->cli->err, "chancery: %llu signed", (unsigned long long)s.n_signed);
    if (s.n_refused != 0)
        (void)fprintf(run->cli->err, ", %llu REFUSED", (unsigned long long)s.n_refused);
    if (s.n_failed != 0)
        (void)fprintf(run->cli->err, ", %llu FAILED", (unsigned long long)s.n_failed);
    (void)fputc('\n', run->cli->err);
    return exit_code(run);
}

/* --- --dry-run --- */

static enum chy_err plan_one(struct sign_run *run, struct sign_file *f, struct planned *p,
                             struct chy_error *err)
{
    struct chy_exec_setup setup = run->setup;
    struct chy_exec_plan plan;
    *p = (struct planned){ .file = f->result.file,
                           .kind = f->result.kind,
                           .tool = f->result.tool,
                           .output = f->result.output,
                           .problem = f->result.detail };
    if (f->result.state != SIGN_WAITING || f->tool->words == NULL)
        return CHY_OK;
    CHY_TRY(sign_tool_words(run, f, &run->cli->arena, &setup.words, err));
    CHY_TRY(chy_exec_plan_make(&setup, &run->cli->arena, &plan, err));
    p->argv = plan.argv;
    return CHY_OK;
}

static void print_planned(FILE *out, const struct planned *p)
{
    chy_cli_say(out, CHY_STR("# "), p->file, CHY_STR(": "),
                chy_str_of(chy_enum_name(&chy_format_kind_enum, (int)p->kind)));
    if (p->problem.n != 0)
        chy_cli_say(out, CHY_STR(": not signed: "), p->problem);
    else if (p->argv.n == 0)
        chy_cli_say(out, CHY_STR(", signed by this program in "), p->output);
    else
        chy_cli_say(out, CHY_STR(", becomes "), p->output);
    (void)fputc('\n', out);
    if (p->argv.n != 0)
        chy_exec_words_print(out, &p->argv);
}

int sign_dry_run(struct sign_run *run)
{
    struct chy_error err;
    struct planned *all = chy_arena_array(&run->cli->arena, struct planned, run->n);
    enum chy_err r =
        all != NULL ? CHY_OK : chy_fail(&err, CHY_E_NOMEM, "no memory for so many files");
    for (size_t i = 0; r == CHY_OK && i < run->n; i++)
        r = plan_one(run, &run->files[i], &all[i], &err);
    const struct plan plan = { { all, run->n } };
    if (r == CHY_OK && run->cli->is_json)
        r = chy_cli_print_json(run->cli, &plan_schema, &plan, &err);
    for (size_t i = 0; r == CHY_OK && !run->cli->is_json && i < run->n; i++)
        print_planned(run->cli->out, &all[i]);
    for (size_t i = 0; i < run->n; i++)
        if (r == CHY_OK && run->files[i].result.state == SIGN_FAILED)
            return CHY_CLI_TROUBLE;
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(run->cli, &err);
}
