/* SPDX-License-Identifier: MIT */
#include "supervisor/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "os/file.h"
#include "supervisor/config.h"
#include "supervisor/identity.h"

#define SETTING_BYTES 256

static enum chy_err fail_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "out of memory for the configuration");
}

/* The configuration's texts are NUL-terminated behind their ends, as the arena makes them; these
 * are not all from there. */
static enum chy_err text_terminate(struct chy_plan *plan, struct chy_str text,
                                   const char **ret_text, struct chy_error *err)
{
    struct chy_str copy = chy_arena_str(&plan->arena, text);
    if (copy.p == NULL)
        return fail_memory(err);
    *ret_text = copy.p;
    return CHY_OK;
}

/* --- the TLS certificate --- */

static enum chy_err tls_plan(struct chy_plan *plan, struct chy_error *err)
{
    CHY_TRY(text_terminate(plan, plan->config->tls.certificate, &plan->tls_certificate, err));
    CHY_TRY(text_terminate(plan, plan->config->tls.key, &plan->tls_key, err));
    return chy_identity_check(plan->tls_certificate, plan->tls_key, plan->signer.server_pin, err);
}

/* --- tokens --- */

static enum chy_err pin_path(struct chy_plan *plan, const struct chy_config_token *token,
                             const char **ret_path, struct chy_error *err)
{
    if (token->pin_credential.n == 0)
        return text_terminate(plan, token->pin_file, ret_path, err);
    const char *folder = secure_getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "token %.*s wants the credential %.*s, but there is no "
                        "$CREDENTIALS_DIRECTORY: systemd makes it for LoadCredential=",
                        CHY_STR_ARG(token->name), CHY_STR_ARG(token->pin_credential));
    struct chy_str path =
        chy_arena_printf(&plan->arena, "%s/%.*s", folder, CHY_STR_ARG(token->pin_credential));
    *ret_path = path.p;
    return path.p != NULL ? CHY_OK : fail_memory(err);
}

/* Read and thrown away: what is wrong with it is said now, not when a process dies. */
static enum chy_err pin_check(const char *path, struct chy_error *err)
{
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pin = NULL;
    return chy_file_read_secret(AT_FDCWD, path, &pin, err);
}

static enum chy_err token_plan(struct chy_plan *plan, const struct chy_config_token *from,
                               unsigned core_count, struct chy_plan_token *token,
                               struct chy_error *err)
{
    CHY_TRY(chy_config_token(plan->config, from, &plan->arena, &token->config, err));
    token->workers = chy_config_token_workers(from, core_count);
    CHY_TRY(pin_path(plan, from, &token->pin_path, err));
    CHY_TRY(pin_check(token->pin_path, err));
    struct chy_str conf = chy_arena_printf(&plan->arena, "%.*s/" CHY_TOKEN_SOFTHSM_FILE,
                                           CHY_STR_ARG(from->directory));
    if (conf.p == NULL)
        return fail_memory(err);
    if (access(conf.p, F_OK) == 0)
        token->softhsm_conf = conf.p;
    return CHY_OK;
}

static enum chy_err tokens_plan(struct chy_plan *plan, unsigned core_count, struct chy_error *err)
{
    plan->token_count = plan->config->tokens.n;
    plan->tokens = chy_arena_array(&plan->arena, struct chy_plan_token, plan->token_count);
    if (plan->tokens == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < plan->token_count; i++)
        CHY_TRY(token_plan(plan, &plan->config->tokens.p[i], core_count, &plan->tokens[i], err));
    return CHY_OK;
}

/* --- the whole --- */

static unsigned cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

static enum chy_err processes_plan(struct chy_plan *plan, struct chy_error *err)
{
    const struct chy_config *c = plan->config;
    unsigned core_count = cores();
    chy_config_front(c, &plan->front);
    chy_config_inspect(c, &plan->inspect);
    CHY_TRY(chy_config_query(c, &plan->arena, &plan->query, err));
    CHY_TRY(chy_config_signer(c, core_count, &plan->arena, &plan->signer, err));
    plan->front.version = CHY_STR(CHY_VERSION);
    plan->query.version = CHY_STR(CHY_VERSION);
    plan->signer.version = CHY_STR(CHY_VERSION);
    plan->front.listeners = (uint32_t)c->listen.n;
    plan->listen = c->listen;
    plan->log_level = c->log_level;
    CHY_TRY(tokens_plan(plan, core_count, err));
    return tls_plan(plan, err);
}

enum chy_err chy_plan_load(const char *path, struct chy_plan **ret_plan, struct chy_error *err)
{
    CHY_CLEANUP(chy_plan_freep) struct chy_plan *plan = chy_new(struct chy_plan);
    if (plan == NULL)
        return fail_memory(err);
    chy_arena_init(&plan->arena, CHY_LIMIT_ARENA);
    struct chy_config *config = chy_arena_new(&plan->arena, struct chy_config);
    if (config == NULL)
        return fail_memory(err);
    CHY_TRY(chy_config_load(path, &plan->arena, config, err));
    plan->config = config;
    CHY_TRY(text_terminate(plan, config->data, &plan->data, err));
    CHY_TRY(processes_plan(plan, err));
    *ret_plan = CHY_TAKE(plan);
    return CHY_OK;
}

void chy_plan_free(struct chy_plan *plan)
{
    if (plan == NULL)
        return;
    chy_arena_done(&plan->arena);
    chy_free(plan);
}

void chy_plan_freep(struct chy_plan **plan)
{
    chy_plan_free(*plan);
    *plan = NULL;
}

/* --- comparing --- */

struct comparing {
    chy_plan_differs_fn *fn;
    void *ctx;
    struct chy_error *err;
};

/* Two values of one field are equal when their canonical forms are. */
static enum chy_err field_encode(const struct chy_field *field, const void *value,
                                 struct chy_buf *out, struct chy_error *err)
{
    struct chy_field alone = *field;
    alone.flags = 0;
    struct chy_schema schema = { .name = "setting", .fields = &alone, .n = 1 };
    return chy_schema_encode(&schema, value, out, err);
}

static enum chy_err field_compare(const struct comparing *c, const char *prefix,
                                  const struct chy_field *field, const void *old, const void *new)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf a;
    CHY_CLEANUP(chy_buf_done) struct chy_buf b;
    chy_buf_init(&a, CHY_LIMIT_YAML);
    chy_buf_init(&b, CHY_LIMIT_YAML);
    CHY_TRY(field_encode(field, old, &a, c->err));
    CHY_TRY(field_encode(field, new, &b, c->err));
    if (chy_bytes_equal(chy_buf_bytes(&a), chy_buf_bytes(&b)))
        return CHY_OK;
    char name[SETTING_BYTES];
    int n = snprintf(name, sizeof name, "%s%s", prefix, field->name);
    c->fn(c->ctx, (struct chy_str){ name, n > 0 ? CHY_MIN((size_t)n, sizeof name - 1) : 0 });
    return CHY_OK;
}

/* A section is compared setting by setting; a list, as of tokens, as one. */
static enum chy_err fields_compare(const struct comparing *c, const struct chy_schema *schema,
                                   const void *old, const void *new)
{
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((f->flags & CHY_INTERNAL) != 0)
            continue;
        if (f->kind != CHY_KIND_STRUCT) {
            CHY_TRY(field_compare(c, "", f, old, new));
            continue;
        }
        char prefix[SETTING_BYTES];
        (void)snprintf(prefix, sizeof prefix, "%s.", f->name);
        for (size_t k = 0; k < f->schema->n; k++)
            CHY_TRY(field_compare(c, prefix, &f->schema->fields[k], chy_field_in(f, old),
                                  chy_field_in(f, new)));
    }
    return CHY_OK;
}

enum chy_err chy_plan_compare(const struct chy_plan *old, const struct chy_plan *new,
                              chy_plan_differs_fn *fn, void *ctx, struct chy_error *err)
{
    struct comparing c = { fn, ctx, err };
    return fields_compare(&c, &chy_config_schema, old->config, new->config);
}
