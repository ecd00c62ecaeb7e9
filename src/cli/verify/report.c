/* SPDX-License-Identifier: MIT */
/* What chancery verify tells: a few lines a file, or one JSON document. */
#include "base/limits.h"
#include "cli/verify/verify.h"
#include "codec/hex.h"
#include "doc/doc.h"

static const struct chy_enum_value verdict_values[] = {
    { VERIFY_GOOD, "verified", "signed, and all that is required holds" },
    { VERIFY_BAD, "not-verified", "a signature is not good, or what is required does not hold" },
    { VERIFY_UNSIGNED, "unsigned", "there is no signature" },
    { VERIFY_UNKNOWN, "cannot-tell", "no tool, no right or no time to find out" },
};
const struct chy_enum verify_verdict_enum = CHY_ENUM("Verdict", verdict_values);

#define S struct verify_log
static const struct chy_field log_fields[] = {
    CHY_F_U64(S, index, 0, 0, INT64_MAX, "of the entry"),
    CHY_F_TIME(S, time, 0, "when it was signed, as the log says"),
    CHY_F_STR(S, principal, 0, 0, CHY_LIMIT_NAME, "who asked for it"),
    CHY_F_STR(S, key, 0, 0, CHY_LIMIT_NAME, "name of the key"),
    CHY_F_STR(S, proof, 0, 0, CHY_LIMIT_NAME, "receipt: offline; server: it gave a receipt"),
    CHY_F_STR(S, receipt_file, 0, 0, CHY_LIMIT_PATH, "the receipt"),
};
#undef S
static const struct chy_schema log_schema =
    CHY_SCHEMA("VerifyLog", struct verify_log, log_fields, "The entry of a signature.");

#define S struct verify_row
static const struct chy_field row_fields[] = {
    CHY_F_STR(S, file, 0, 0, CHY_LIMIT_PATH, "the file"),
    CHY_F_STR(S, kind, 0, 0, CHY_LIMIT_NAME, "what it is"),
    CHY_F_ENUM(S, verdict, &verify_verdict_enum, enum verify_verdict, 0, "the verdict"),
    CHY_F_STR(S, detail, 0, 0, CHY_LIMIT_TEXT, "why it is not verified"),
    CHY_F_STRS(S, verifiers, 0, 8, CHY_LIMIT_NAME, "who looked at it"),
    CHY_F_LIST(S, signers, &chy_verify_signer_schema, struct chy_verify_signer, 0, 0,
               CHY_LIMIT_VERIFY_SIGNERS, "who signed"),
    CHY_F_BOOL(S, is_logged, 0, "the signature is in the log"),
    CHY_F_OPTION(S, log, &log_schema, struct verify_log, 0, "its entry"),
    CHY_F_STR(S, log_detail, 0, 0, CHY_LIMIT_TEXT, "when not: why that is not known"),
};
#undef S
const struct chy_schema verify_row_schema =
    CHY_SCHEMA("VerifyRow", struct verify_row, row_fields, "One file.");

struct report {
    CHY_LIST_OF(struct verify_row) files;
    struct verify_counts counts;
};
#define S struct verify_counts
static const struct chy_field count_fields[] = {
    CHY_F_U64(S, verified, 0, 0, UINT64_MAX, "files that are verified"),
    CHY_F_U64(S, not_verified, 0, 0, UINT64_MAX, "that are not"),
    CHY_F_U64(S, unsigned_files, 0, 0, UINT64_MAX, "without a signature"),
    CHY_F_U64(S, cannot_tell, 0, 0, UINT64_MAX, "of which that cannot be told"),
};
#undef S
static const struct chy_schema counts_schema =
    CHY_SCHEMA("VerifyCounts", struct verify_counts, count_fields, "How many of each.");
static const struct chy_field report_fields[] = {
    CHY_F_LIST(struct report, files, &verify_row_schema, struct verify_row, 0, 0,
               CHY_LIMIT_VERIFY_FILES, "in the order in which they were looked at"),
    CHY_F_STRUCT(struct report, counts, &counts_schema, struct verify_counts, 0,
                 "how many of each"),
};
static const struct chy_schema report_schema =
    CHY_SCHEMA("VerifyReport", struct report, report_fields, "What chancery verify found.");

enum chy_err verify_print_json(struct verify *v, struct chy_error *err)
{
    const struct report report = { { v->rows, v->n_rows }, v->counts };
    return chy_cli_print_json(v->cli, &report_schema, &report, err);
}

/* --- for people --- */

static void print_time(FILE *out, int64_t time_us)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_NAME);
    chy_time_write(&text, time_us);
    (void)fprintf(out, "%.*s", CHY_STR_ARG(chy_buf_str(&text)));
}

static void print_signer(FILE *out, const struct chy_verify_signer *s)
{
    const char *alg = chy_enum_name(&chy_sign_alg_enum, (int)s->algorithm);
    chy_cli_say(out, CHY_STR("  signed by "), s->name.n != 0 ? s->name : CHY_STR("somebody"));
    if (s->issuer.n != 0)
        chy_cli_say(out, CHY_STR(", issued by "), s->issuer);
    if (s->algorithm != CHY_ALG_NONE && alg != NULL)
        (void)fprintf(out, ", %s", alg);
    (void)fputc('\n', out);
    if (s->time_stamp_us != 0) {
        (void)fputs("  time-stamped ", out);
        print_time(out, s->time_stamp_us);
        chy_cli_say(out, CHY_STR(" by "), s->time_stamp_by, CHY_STR("\n"));
    }
    if (!s->is_good)
        chy_cli_say(out, CHY_STR("  NOT GOOD: "), s->detail, CHY_STR("\n"));
}

static void print_log(FILE *out, const struct verify_row *row)
{
    const struct verify_log *log = row->log;
    if (log == NULL) {
        if (row->log_detail.n != 0)
            chy_cli_say(out, CHY_STR("  log: "), row->log_detail, CHY_STR("\n"));
        return;
    }
    (void)fprintf(out, "  log entry %llu, ", (unsigned long long)log->index);
    print_time(out, log->time_us);
    chy_cli_say(out, CHY_STR(": "), log->principal, CHY_STR(" with key "), log->key,
                CHY_STR(", proved by "),
                log->receipt_file.n != 0 ? log->receipt_file : CHY_STR("the server's receipt"),
                CHY_STR("\n"));
}

void verify_print_row(FILE *out, const struct verify_row *row)
{
    static const char *const titles[] = {
        [VERIFY_GOOD] = "verified",
        [VERIFY_BAD] = "NOT VERIFIED",
        [VERIFY_UNSIGNED] = "UNSIGNED",
        [VERIFY_UNKNOWN] = "CANNOT TELL",
    };
    (void)fprintf(out, "%s ", titles[row->verdict]);
    chy_cli_say(out, row->file, CHY_STR(": "), row->kind);
    for (size_t i = 0; i < row->verifiers.n; i++)
        chy_cli_say(out, i == 0 ? CHY_STR(", by ") : CHY_STR(" and "), row->verifiers.p[i]);
    (void)fputc('\n', out);
    if (row->detail.n != 0 && row->verdict != VERIFY_GOOD)
        chy_cli_say(out, CHY_STR("  "), row->detail, CHY_STR("\n"));
    for (size_t i = 0; i < row->signers.n; i++)
        print_signer(out, &row->signers.p[i]);
    if (row->verdict != VERIFY_UNSIGNED)
        print_log(out, row);
}

void verify_print_counts(FILE *out, const struct verify_counts *c)
{
    (void)fprintf(out, "%llu verified, %llu not verified, %llu unsigned, %llu cannot tell\n",
                  (unsigned long long)c->verified, (unsigned long long)c->not_verified,
                  (unsigned long long)c->unsigned_files, (unsigned long long)c->cannot_tell);
}
