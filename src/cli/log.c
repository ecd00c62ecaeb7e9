/* SPDX-License-Identifier: MIT */
/* chancery log show, export, verify. */
#include <fcntl.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "client/log_verify.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "doc/doc.h"
#include "os/fd.h"
#include "os/file.h"
#include "proto/entry.h"

/* --- show --- */

static enum chy_err print_part(FILE *out, const char *title, const struct chy_schema *schema,
                               struct chy_bytes bytes, struct chy_arena *arena,
                               struct chy_error *err)
{
    struct chy_error why;
    void *value = chy_arena_alloc(arena, 1, schema->size);
    enum chy_err r = value != NULL ? chy_schema_decode(schema, bytes, arena, value, &why)
                                   : chy_fail(&why, CHY_E_NOMEM, "no memory to show an entry");
    if (r == CHY_E_NOMEM)
        return chy_fail(err, r, "%s", why.text);
    (void)fprintf(out, "%s\n", title);
    if (r == CHY_OK)
        return chy_cli_print_record(out, schema, value, err);
    (void)fprintf(out, "(%zu bytes that cannot be read: %s)\n", bytes.n, why.text);
    return CHY_OK;
}

/* Decoded here, from the bytes that are hashed: what is shown is what the log commits to. */
static enum chy_err print_row(struct chy_cli *cli, const struct chy_log_row *row,
                              struct chy_error *err)
{
    char title[32];
    (void)snprintf(title, sizeof title, "entry %llu", (unsigned long long)row->index);
    CHY_TRY(print_part(cli->out, title, &chy_entry_schema, row->entry, &cli->arena, err));
    if (row->detail.n != 0)
        CHY_TRY(print_part(cli->out, "\ndetail record", &chy_entry_detail_schema, row->detail,
                           &cli->arena, err));
    if (row->application == NULL)
        return CHY_OK;
    (void)fputs("\nsigned with\n", cli->out);
    return chy_cli_print_record(cli->out, &chy_fact_schema, row->application, err);
}

int chy_cli_run_log_show(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_log_index request = { 0 };
    struct chy_log_row row;
    struct chy_error err;
    enum chy_err r = chy_cli_args_fill(args, &chy_log_index_schema, &cli->arena, &request, &err);
    if (r == CHY_OK)
        r = chy_cli_client(cli, args, &err);
    if (r == CHY_OK)
        r = chy_client_call(cli->client, CHY_OP_LOG_SHOW, &request, &cli->arena, &row, &err);
    if (r == CHY_OK && cli->is_json)
        r = chy_cli_print_json(cli, &chy_log_row_schema, &row, &err);
    else if (r == CHY_OK)
        r = print_row(cli, &row, &err);
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

/* --- export --- */

static enum chy_err open_dir(struct chy_cli *cli, struct chy_str path, bool is_made, int *ret_fd,
                             struct chy_error *err)
{
    struct chy_str name = chy_arena_str(&cli->arena, path);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a folder's name");
    if (is_made) {
        enum chy_err r = chy_dir_make(AT_FDCWD, name.p, 0755, err);
        if (r != CHY_OK && r != CHY_E_EXISTS)
            return r;
    }
    return chy_dir_open(AT_FDCWD, name.p, ret_fd, err);
}

struct exported {
    struct chy_str folder;
    uint64_t entries;
    uint64_t files;
    struct chy_str log_key;
};
static const struct chy_field exported_fields[] = {
    CHY_F_STR(struct exported, folder, 0, 0, CHY_LIMIT_PATH, "where it is"),
    CHY_F_U64(struct exported, entries, 0, 0, UINT64_MAX, "entries"),
    CHY_F_U64(struct exported, files, 0, 0, UINT64_MAX, "files"),
    CHY_F_STR(struct exported, log_key, 0, 0, CHY_LIMIT_TEXT, "what it is verified with"),
};
static const struct chy_schema exported_schema =
    CHY_SCHEMA("Exported", struct exported, exported_fields, "An export of the log.");

static void print_exported(FILE *out, const void *response)
{
    const struct exported *e = response;
    (void)fprintf(out, "%llu entries in %llu files in %.*s\n", (unsigned long long)e->entries,
                  (unsigned long long)e->files, CHY_STR_ARG(e->folder));
    if (e->log_key.n != 0)
        (void)fprintf(out, "Verify: chancery log verify %.*s --key '%.*s'\n",
                      CHY_STR_ARG(e->folder), CHY_STR_ARG(e->log_key));
}
static const struct chy_cli_view exported_view = { .print = print_exported };

int chy_cli_run_log_export(struct chy_cli *cli, const struct chy_cli_args *args)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct exported e = { .folder = chy_cli_arg(args, "DIR") };
    struct chy_log_copied copied;
    struct chy_error err;
    enum chy_err r = chy_cli_client(cli, args, &err);
    if (r == CHY_OK)
        r = open_dir(cli, e.folder, true, &fd, &err);
    if (r == CHY_OK) {
        struct chy_log_server server = { cli->client };
        struct chy_log_source from = chy_log_server_source(&server);
        r = chy_log_copy(&from, fd, &copied, &err);
    }
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    e.entries = copied.entries;
    e.files = copied.files;
    e.log_key = cli->settings.profile.log_key;
    r = chy_cli_print(cli, &exported_view, &exported_schema, &e, &err);
    return r == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

/* --- verify --- */

static enum chy_err read_keys(struct chy_cli *cli, const struct chy_cli_args *args,
                              struct chy_tlog_vkey *keys, size_t *ret_n, struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    struct chy_strs texts;
    CHY_TRY(chy_cli_arg_all(args, "key", &cli->arena, &texts, err));
    if (texts.n == 0) {
        CHY_TRY(chy_cli_settings(cli, args, err));
        texts = (struct chy_strs){ &cli->settings.profile.log_key, 1 };
        if (texts.p[0].n == 0)
            return chy_fail(err, CHY_E_ARG,
                            "the profile knows no key of the log: give it with --key");
    }
    if (texts.n > CHY_LIMIT_LOG_KEYS)
        return chy_fail(err, CHY_E_ARG, "%zu keys, %d are the most", texts.n, CHY_LIMIT_LOG_KEYS);
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &hasher, err));
    for (size_t i = 0; i < texts.n; i++) {
        enum chy_err r = chy_tlog_vkey_parse(hasher, texts.p[i], &keys[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "the key of the log");
    }
    *ret_n = texts.n;
    return CHY_OK;
}

static enum chy_err read_known(struct chy_cli *cli, const struct chy_cli_args *args,
                               struct chy_log_check *check, struct chy_error *err)
{
    struct chy_strs paths;
    CHY_TRY(chy_cli_arg_all(args, "known", &cli->arena, &paths, err));
    struct chy_log_known *known = chy_arena_array(&cli->arena, struct chy_log_known, paths.n);
    if (known == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what is known");
    for (size_t i = 0; i < paths.n; i++) {
        struct chy_str text;
        struct chy_str name = chy_arena_str(&cli->arena, paths.p[i]);
        if (name.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for what is known");
        CHY_TRY(chy_cli_read_text(paths.p[i], CHY_LIMIT_RECEIPT, &cli->arena, &text, err));
        known[i] = (struct chy_log_known){ name.p, chy_str_bytes(text) };
    }
    check->known = known;
    check->n_known = paths.n;
    return CHY_OK;
}

struct verified {
    bool is_verified;
    struct chy_str origin;
    uint64_t size;
    uint8_t root[CHY_HASH_BYTES];
    uint64_t signatures;
    uint64_t failures;
    uint64_t refusals;
    uint64_t open_intents;
    uint64_t details;
    uint64_t details_pruned;
    uint64_t known;
    uint64_t findings_count;
    struct chy_strs findings;
};
#define S struct verified
static const struct chy_field verified_fields[] = {
    CHY_F_BOOL(S, is_verified, 0, "nothing is wrong"),
    CHY_F_STR(S, origin, 0, 0, CHY_LIMIT_NAME, "name of the log"),
    CHY_F_U64(S, size, 0, 0, UINT64_MAX, "entries"),
    CHY_F_HASH(S, root, 0, "root of the tree"),
    CHY_F_U64(S, signatures, 0, 0, UINT64_MAX, "signatures that were made"),
    CHY_F_U64(S, failures, 0, 0, UINT64_MAX, "allowed, but failed or unknown"),
    CHY_F_U64(S, refusals, 0, 0, UINT64_MAX, "refusals"),
    CHY_F_U64(S, open_intents, 0, 0, UINT64_MAX, "allowed, without an outcome so far"),
    CHY_F_U64(S, details, 0, 0, UINT64_MAX, "detail records"),
    CHY_F_U64(S, details_pruned, 0, 0, UINT64_MAX, "detail records that are pruned"),
    CHY_F_U64(S, known, 0, 0, UINT64_MAX, "checkpoints and receipts that agree"),
    CHY_F_U64(S, findings_count, 0, 0, UINT64_MAX, "how much is wrong"),
    CHY_F_STRS(S, findings, 0, CHY_LIMIT_FINDINGS, CHY_LIMIT_TEXT,
               "what is wrong, the first of it"),
};
#undef S
static const struct chy_schema verified_schema =
    CHY_SCHEMA("Verified", struct verified, verified_fields, "What verifying a log found.");

#define U(x) ((unsigned long long)(x))

static void print_verified(FILE *out, const void *response)
{
    const struct verified *v = response;
    char root[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    chy_hex_encode((struct chy_bytes){ v->root, sizeof v->root }, root);
    for (size_t i = 0; i < v->findings.n; i++) {
        chy_cli_print_text(out, v->findings.p[i]);
        (void)fputc('\n', out);
    }
    if (v->findings_count > v->findings.n)
        (void)fprintf(out, "... and %llu more\n", U(v->findings_count - v->findings.n));
    if (!v->is_verified) {
        (void)fputs("NOT VERIFIED\n", out);
        return;
    }
    (void)fprintf(out, "verified %.*s: %llu entries, root %s\n", CHY_STR_ARG(v->origin), U(v->size),
                  root);
    (void)fprintf(out,
                  "  %llu signatures, %llu refusals, %llu failed or unknown, %llu without an "
                  "outcome so far\n",
                  U(v->signatures), U(v->refusals), U(v->failures), U(v->open_intents));
    (void)fprintf(out, "  %llu detail records, %llu pruned\n", U(v->details), U(v->details_pruned));
    if (v->known != 0)
        (void)fprintf(out, "  goes on from all %llu known checkpoints and receipts\n", U(v->known));
    else
        (void)fputs(
            "  held against no earlier checkpoint: a removed tail would not show (--known)\n", out);
}
static const struct chy_cli_view verified_view = { .print = print_verified };

static enum chy_err print_report(struct chy_cli *cli, const struct chy_log_report *report,
                                 struct chy_error *err)
{
    struct chy_str findings[CHY_LIMIT_FINDINGS];
    size_t n = (size_t)CHY_MIN(report->n_findings, (uint64_t)CHY_LIMIT_FINDINGS);
    for (size_t i = 0; i < n; i++)
        findings[i] = chy_str_of(report->findings[i].text);
    struct verified v = {
        .is_verified = report->is_verified,
        .origin = chy_str_of(report->origin),
        .size = report->size,
        .signatures = report->counts.signatures,
        .failures = report->counts.failures,
        .refusals = report->counts.refusals,
        .open_intents = report->counts.open,
        .details = report->details,
        .details_pruned = report->details_pruned,
        .known = report->known,
        .findings_count = report->n_findings,
        .findings = { findings, n },
    };
    memcpy(v.root, report->root.b, sizeof v.root);
    return chy_cli_print(cli, &verified_view, &verified_schema, &v, err);
}

static enum chy_err run_verify(struct chy_cli *cli, const struct chy_cli_args *args,
                               struct chy_log_report *report, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct chy_tlog_vkey keys[CHY_LIMIT_LOG_KEYS];
    struct chy_log_check check = { .keys = keys };
    struct chy_log_folder folder;
    struct chy_log_server server;
    if (chy_cli_has(args, "DIR") == chy_cli_has(args, "server"))
        return chy_fail(err, CHY_E_ARG, "give either the DIR of an export or --server");
    CHY_TRY(read_keys(cli, args, keys, &check.n_keys, err));
    CHY_TRY(read_known(cli, args, &check, err));
    if (chy_cli_has(args, "server")) {
        CHY_TRY(chy_cli_client(cli, args, err));
        server.client = cli->client;
        check.source = chy_log_server_source(&server);
    } else {
        CHY_TRY(open_dir(cli, chy_cli_arg(args, "DIR"), false, &fd, err));
        folder.fd = fd;
        check.source = chy_log_folder_source(&folder);
    }
    return chy_log_verify(&check, report, err);
}

int chy_cli_run_log_verify(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err;
    CHY_CLEANUP(chy_freep) struct chy_log_report *report = chy_new(struct chy_log_report);
    enum chy_err r = report != NULL ? run_verify(cli, args, report, &err)
                                    : chy_fail(&err, CHY_E_NOMEM, "no memory to verify");
    if (r == CHY_OK)
        r = print_report(cli, report, &err);
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    return report->is_verified ? CHY_CLI_DONE : CHY_CLI_REFUSED;
}
