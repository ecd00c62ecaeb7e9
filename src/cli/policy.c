/* SPDX-License-Identifier: MIT */
/* chancery policies test: what would the policy answer? */
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/request.h"

static enum chy_err fill_test(struct chy_cli *cli, const struct chy_cli_args *args,
                              struct chy_policy_test *test, struct chy_sign_item *item,
                              struct chy_artifact *artifact, struct chy_error *err)
{
    static const uint8_t zeros[CHY_LIMIT_DIGEST];
    struct chy_key key;
    const struct chy_schema *schema = &chy_policy_test_schema;
    for (size_t i = 0; i < args->n; i++) {
        const struct chy_cli_value *v = &args->values[i];
        if (v->option->field == NULL)
            continue;
        const struct chy_field *f = chy_schema_field(schema, chy_str_of(v->option->field));
        CHY_ASSERT(f != NULL);
        CHY_TRY(chy_cli_read_field(f, v, &cli->arena, test, err));
    }
    if (chy_cli_has(args, "policy"))
        CHY_TRY(chy_cli_read_text(chy_cli_arg(args, "policy"), CHY_LIMIT_YAML, &cli->arena,
                                  &test->policy, err));
    item->key = chy_cli_arg(args, "key");
    CHY_TRY(chy_cli_choose_algorithm(cli, args, &item->algorithm, &key, err));
    size_t n = chy_hash_alg_bytes(chy_sign_alg_hash(item->algorithm));
    item->hashed_by = n != 0 ? CHY_HASHED_BY_CLIENT : CHY_HASHED_BY_NOBODY;
    if (n == 0)
        item->message = chy_str_bytes(CHY_STR("test"));
    else if (chy_cli_has(args, "digest"))
        CHY_TRY(chy_cli_read_digest(cli, chy_cli_arg(args, "digest"), item->algorithm,
                                    &item->digest, err));
    else
        item->digest = (struct chy_bytes){ zeros, n };
    artifact->type = chy_cli_arg(args, "artifact-type");
    item->artifact = artifact->type.n != 0 ? artifact : NULL;
    test->request.items.p = item;
    test->request.items.n = 1;
    return chy_cli_fill_request(cli, args, &test->request, err);
}

static void print_rule(FILE *out, const struct chy_rule_explanation *r)
{
    chy_cli_say(out, r->applies ? CHY_STR("  * ") : CHY_STR("    "), r->effect, CHY_STR(" "),
                r->rule, CHY_STR(": "), r->matched, CHY_STR("\n"));
    for (size_t i = 0; i < r->reasons.n; i++)
        chy_cli_say(out, CHY_STR("      "), r->reasons.p[i], CHY_STR("\n"));
}

static void print_explanation(FILE *out, const void *response)
{
    const struct chy_policy_test_result *result = response;
    if (result->policy_number != 0)
        (void)fprintf(out, "Policy %llu\n", (unsigned long long)result->policy_number);
    for (size_t i = 0; i < result->items.n; i++) {
        const struct chy_policy_explanation *e = &result->items.p[i];
        chy_cli_say(out, e->key, CHY_STR(": "),
                    chy_str_of(chy_enum_name(&chy_decision_enum, (int)e->decision)), CHY_STR(". "),
                    e->summary, CHY_STR("\n"));
        for (size_t k = 0; k < e->rules.n; k++)
            print_rule(out, &e->rules.p[k]);
    }
    (void)fputs("* marks the rules that count.\n", out);
}
static const struct chy_cli_view explanation_view = { .print = print_explanation };

int chy_cli_run_policy_test(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_policy_test test = { 0 };
    struct chy_sign_item item = { 0 };
    struct chy_artifact artifact = { 0 };
    struct chy_policy_test_result result;
    struct chy_error err;
    enum chy_err r = chy_cli_client(cli, args, &err);
    if (r == CHY_OK)
        r = fill_test(cli, args, &test, &item, &artifact, &err);
    if (r == CHY_OK)
        r = chy_client_call(cli->client, CHY_OP_POLICIES_TEST, &test, &cli->arena, &result, &err);
    if (r == CHY_OK)
        r = chy_cli_print(cli, &explanation_view, &chy_policy_test_result_schema, &result, &err);
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    for (size_t i = 0; i < result.items.n; i++) {
        if (result.items.p[i].decision != CHY_DECISION_ALLOWED)
            return CHY_CLI_REFUSED;
    }
    return result.items.n != 0 ? CHY_CLI_DONE : CHY_CLI_REFUSED;
}
