/* SPDX-License-Identifier: MIT */
#include "cli/view.h"

#include "codec/hex.h"
#include "doc/doc.h"
#include "proto/api.h"

#define COLUMNS(c) .columns = (c), .n_columns = CHY_ARRAY_LEN(c)

/* A software token is called one wherever a key shows. */
static void write_key_token(struct chy_buf *out, const void *value)
{
    const struct chy_key *k = value;
    chy_buf_append_str(out, k->token);
    if (k->token_is_software)
        chy_buf_append_c(out, " (software)");
}

static void write_key_certificate(struct chy_buf *out, const void *value)
{
    const struct chy_key *k = value;
    if (k->certificates.n == 0) {
        chy_buf_append_c(out, "none");
        return;
    }
    chy_buf_append_c(out, k->certificates.p[0].is_development ? "development, until " : "until ");
    chy_time_write(out, k->certificates.p[0].not_after_us);
}

/* How many: their texts are long, and keys show tells them. */
static void write_key_warnings(struct chy_buf *out, const void *value)
{
    const struct chy_key *k = value;
    if (k->warnings.n != 0)
        chy_buf_printf(out, "%zu", k->warnings.n);
}

static const struct chy_cli_column key_columns[] = {
    { "NAME", "name", NULL },
    { "TYPE", "type", NULL },
    { "STATE", "state", NULL },
    { "PURPOSE", "purpose", NULL },
    { "TOKEN", NULL, write_key_token },
    { "CERTIFICATE", NULL, write_key_certificate },
    { "WARNINGS", NULL, write_key_warnings },
};
const struct chy_cli_view chy_view_keys = {
    .list = "keys",
    COLUMNS(key_columns),
    .empty = "There are no keys that you may see.",
};

static void write_token_kind(struct chy_buf *out, const void *value)
{
    const struct chy_token_info *t = value;
    chy_buf_append_c(out, t->is_software ? "software" : "hardware");
}

static void write_token_state(struct chy_buf *out, const void *value)
{
    const struct chy_token_info *t = value;
    chy_buf_append_c(out, t->is_ready ? "ready" : "NOT READY");
}

static const struct chy_cli_column token_columns[] = {
    { "NAME", "name", NULL },
    { "KIND", NULL, write_token_kind },
    { "STATE", NULL, write_token_state },
    { "LABEL", "label", NULL },
    { "SERIAL", "serial", NULL },
    { "MODEL", "model", NULL },
    { "WORKERS", "workers", NULL },
};
const struct chy_cli_view chy_view_tokens = {
    .list = "tokens",
    COLUMNS(token_columns),
    .empty = "The server has no tokens.",
};

static void write_policy_hash(struct chy_buf *out, const void *value)
{
    const struct chy_policy *p = value;
    chy_hex_append(out, (struct chy_bytes){ p->hash, 8 }); /* enough to tell versions apart */
}

static const struct chy_cli_column policy_columns[] = {
    { "VERSION", "number", NULL },       { "RULES", "rules", NULL },
    { "AUTHOR", "author", NULL },        { "CREATED", "created", NULL },
    { "HASH", NULL, write_policy_hash }, { "COMMENT", "comment", NULL },
};
const struct chy_cli_view chy_view_policies = {
    .list = "policies",
    COLUMNS(policy_columns),
    .empty = "No policy was ever applied: everything is refused.",
};

/* As it was applied, so that it can be changed and applied again. */
static void print_policy(FILE *out, const void *response)
{
    const struct chy_policy *p = response;
    chy_cli_print_text(out, p->policy);
    if (p->policy.n != 0 && p->policy.p[p->policy.n - 1] != '\n')
        (void)fputc('\n', out);
}
const struct chy_cli_view chy_view_policy = { .print = print_policy };

static void print_applied(FILE *out, const void *response)
{
    const struct chy_policy *p = response;
    char hash[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    chy_hex_encode((struct chy_bytes){ p->hash, sizeof p->hash }, hash);
    (void)fprintf(out, "Policy %llu is in force: %u %s, hash %s.\n", (unsigned long long)p->number,
                  p->rules, p->rules == 1 ? "rule" : "rules", hash);
}
const struct chy_cli_view chy_view_applied = { .print = print_applied };

static void write_user_state(struct chy_buf *out, const void *value)
{
    const struct chy_user *u = value;
    chy_buf_append_c(out, u->is_disabled ? "disabled" : "active");
}

static const struct chy_cli_column user_columns[] = {
    { "NAME", "name", NULL },         { "STATE", NULL, write_user_state },
    { "ROLES", "roles", NULL },       { "GROUPS", "groups", NULL },
    { "TOKENS", "api_tokens", NULL }, { "DESCRIPTION", "description", NULL },
};
const struct chy_cli_view chy_view_users = {
    .list = "users",
    COLUMNS(user_columns),
    .empty = "There are no principals.",
};

static void print_until(FILE *out, const char *before, int64_t time_us)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, 64);
    bool is_written = chy_time_write(&text, time_us);
    struct chy_str shown = is_written ? chy_buf_str(&text) : CHY_STR("a time untold: no memory");
    (void)fprintf(out, "%s%.*s", before, CHY_STR_ARG(shown));
}

static void print_code(FILE *out, const void *response)
{
    const struct chy_enrolment_code *c = response;
    chy_cli_print_text(out, c->code);
    print_until(out, "\nIt works once, until ", c->expires_us);
    (void)fputs(": chancery enroll asks for it.\n", out);
}
const struct chy_cli_view chy_view_code = { .print = print_code };

static void print_api_token(FILE *out, const void *response)
{
    const struct chy_api_token *t = response;
    char id[CHY_HEX_SIZE(CHY_ID_BYTES)];
    chy_hex_encode((struct chy_bytes){ t->info.id, sizeof t->info.id }, id);
    chy_cli_print_text(out, t->token);
    (void)fprintf(out, "\nIt is given this once. Its id is %s", id);
    print_until(out, ", it ends ", t->info.expires_us);
    (void)fputs(".\n", out);
}
const struct chy_cli_view chy_view_api_token = { .print = print_api_token };

static void print_revoked(FILE *out, const void *response)
{
    (void)response;
    (void)fputs("The token is revoked.\n", out);
}
const struct chy_cli_view chy_view_revoked = { .print = print_revoked };

static const struct chy_cli_column log_columns[] = {
    { "INDEX", "index", NULL },         { "TIME", "time", NULL }, { "KIND", "kind", NULL },
    { "PRINCIPAL", "principal", NULL }, { "KEY", "key", NULL },   { "WHAT HAPPENED", "text", NULL },
};
const struct chy_cli_view chy_view_log = {
    .list = "entries",
    COLUMNS(log_columns),
    .empty = "No entry is like that.",
};
