/* SPDX-License-Identifier: MIT */
/* Versions of the policy, and what one of them (or a draft) would answer. */
#include "base/limits.h"
#include "query/handlers.h"
#include "query/policy.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define LIST_BYTES \
    (4 * (size_t)CHY_LIMIT_FRAME) /* read for one list: versions before are left out */

/* --- the one in force --- */

static enum chy_err record_get(struct query_call *call, uint64_t number, struct chy_arena *arena,
                               struct chy_policy_record *ret_record, struct chy_error *err)
{
    struct chy_str name = chy_record_policy_name(arena, number);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    enum chy_err r = chy_record_get(call->q->store, CHY_OBJECT_POLICY, name,
                                    &chy_policy_record_schema, arena, ret_record, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, r, "there is no policy %llu", (unsigned long long)number);
    return r;
}

/* Of number 0: no rules, so nothing is allowed. */
static enum chy_err stored_compile(struct query_call *call, uint64_t number, int64_t for_us,
                                   struct chy_policy_rules **ret_rules, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_policy_record record = { .canonical = { NULL, 0 } };
    struct chy_policy_doc doc = { .version = CHY_POLICY_VERSION };
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (number != 0) {
        CHY_TRY(record_get(call, number, &arena, &record, err));
        CHY_TRY(chy_policy_doc_decode(record.canonical, &arena, &doc, err));
    }
    return chy_policy_compile(&doc, for_us, ret_rules, err);
}

enum chy_err query_policy_get(struct query_call *call, const struct chy_policy_rules **ret_rules,
                              struct chy_error *err)
{
    struct query_policy *p = &call->q->policy;
    uint64_t number;
    CHY_TRY(chy_record_policy_number(call->q->store, &number, err));
    bool is_old = call->now_us - p->compiled_us > DAY_US || call->now_us < p->compiled_us;
    if (p->rules == NULL || p->number != number || is_old) {
        struct chy_policy_rules *rules;
        CHY_TRY(stored_compile(call, number, call->now_us, &rules, err));
        chy_policy_rules_free(p->rules);
        *p = (struct query_policy){ rules, number, call->now_us };
    }
    *ret_rules = p->rules;
    return CHY_OK;
}

/* --- versions --- */

enum chy_err query_policies_list(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_policy_list *list = response;
    struct chy_policy *policies = chy_arena_array(&call->arena, struct chy_policy, CHY_LIMIT_PAGE);
    CHY_CLEANUP(chy_arena_done) struct chy_arena scratch;
    chy_arena_init(&scratch, CHY_LIMIT_ARENA);
    if (policies == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of policies");
    uint64_t number;
    size_t n = 0;
    size_t read_bytes = 0;
    CHY_TRY(chy_record_policy_number(call->q->store, &number, err));
    for (; number > 0 && n < CHY_LIMIT_PAGE && read_bytes < LIST_BYTES; number--) {
        struct chy_policy_record record;
        chy_arena_reset(&scratch);
        CHY_TRY(record_get(call, number, &scratch, &record, err));
        read_bytes += record.canonical.n + record.policy.policy.n;
        record.policy.policy = CHY_STR("");
        CHY_TRY(
            chy_schema_copy(&chy_policy_schema, &record.policy, &call->arena, &policies[n++], err));
    }
    list->policies.p = policies;
    list->policies.n = n;
    return CHY_OK;
}

enum chy_err query_policies_show(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_policy_number *r = call->request;
    uint64_t number = r->number;
    struct chy_policy_record record;
    if (number == 0)
        CHY_TRY(chy_record_policy_number(call->q->store, &number, err));
    if (number == 0)
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "no policy was ever applied, so nothing is allowed; see `chancery policies "
                        "apply`");
    CHY_TRY(record_get(call, number, &call->arena, &record, err));
    *(struct chy_policy *)response = record.policy;
    return CHY_OK;
}

/* --- a test --- */

struct test {
    struct query_call *call;
    const struct chy_policy_test *asked;
    const struct chy_policy_rules *rules;
    struct chy_principal who;
    struct chy_str address;
    int64_t time_us;
};

static enum chy_err who_is_tested(struct test *t, struct chy_error *err)
{
    struct query_call *call = t->call;
    struct chy_str name = t->asked->principal;
    if (name.n == 0 || chy_str_equal(name, call->who.name)) {
        t->who = call->who;
        return CHY_OK;
    }
    enum chy_err r = chy_principal_by_name(call->q->store, name, &call->arena, &t->who, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, r, "there is no principal \"%.*s\"", CHY_STR_ARG(name));
    if (r == CHY_E_UNAUTHENTICATED)
        return chy_fail(err, CHY_E_STATE, "principal \"%.*s\" is disabled: nothing is allowed",
                        CHY_STR_ARG(name));
    return r;
}

static enum chy_err guard_compile(const struct test *t, const struct chy_key_record *record,
                                  struct chy_policy_guard **ret_guard, struct chy_error *err)
{
    struct chy_policy_guard_doc doc;
    if (record->guard.n == 0)
        return CHY_OK;
    CHY_TRY(chy_policy_guard_decode(record->guard, &t->call->arena, &doc, err));
    return chy_policy_guard_compile(&doc, t->time_us, ret_guard, err);
}

/* As the signer asks, but that facts have the basis which the test says they have. */
static struct chy_policy_request policy_request(const struct test *t,
                                                const struct chy_sign_item *item,
                                                const struct chy_key *key,
                                                const struct chy_policy_guard *guard)
{
    const struct chy_sign_request *whole = &t->asked->request;
    struct chy_policy_request r = {
        .key = { .name = key->name,
                 .groups = key->groups,
                 .purpose = key->purpose,
                 .type = key->type,
                 .guard = guard },
        .caller = { .principal = t->who.name,
                    .groups = t->who.groups,
                    .roles = t->who.roles,
                    .method = t->who.method },
        .algorithm = item->algorithm,
        .address = t->address,
        .time_us = t->time_us,
        .reason = whole->reason,
    };
    r.facts[0].p = item->facts.p;
    r.facts[0].n = item->facts.n;
    r.facts[1].p = whole->facts.p;
    r.facts[1].n = whole->facts.n;
    r.labels.p = whole->labels.p;
    r.labels.n = whole->labels.n;
    if (item->artifact != NULL)
        r.artifact_type = item->artifact->type;
    return r;
}

static enum chy_err item_explain(const struct test *t, const struct chy_sign_item *item,
                                 struct chy_policy_explanation *ret, struct chy_error *err)
{
    struct query_call *call = t->call;
    struct chy_key_record record;
    CHY_CLEANUP(chy_policy_guard_freep) struct chy_policy_guard *guard = NULL;
    enum chy_err r = chy_record_get(call->q->store, CHY_OBJECT_KEY, item->key,
                                    &chy_key_record_schema, &call->arena, &record, err);
    if (r == CHY_E_NOT_FOUND || (r == CHY_OK && record.key.class != CHY_KEY_CLASS_SIGNING))
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\"", CHY_STR_ARG(item->key));
    CHY_TRY(r);
    CHY_TRY(guard_compile(t, &record, &guard, err));
    struct chy_policy_request request = policy_request(t, item, &record.key, guard);
    return chy_policy_explain(t->rules, &request, &call->arena, ret, err);
}

static enum chy_err explain_all(const struct test *t, struct chy_policy_test_result *result,
                                struct chy_error *err)
{
    size_t n = t->asked->request.items.n;
    size_t rules = chy_policy_rules_count(t->rules) + 1;
    if (n > 1 && n * rules > CHY_LIMIT_EXPLAINED)
        return chy_fail(
            err, CHY_E_LIMIT,
            "%zu items and %zu rules are too much to explain at once; test %zu items at "
            "most",
            n, rules - 1, CHY_MAX((size_t)1, CHY_LIMIT_EXPLAINED / rules));
    struct chy_policy_explanation *items =
        chy_arena_array(&t->call->arena, struct chy_policy_explanation, n);
    if (items == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for explanations");
    for (size_t i = 0; i < n; i++) {
        enum chy_err r = item_explain(t, &t->asked->request.items.p[i], &items[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "items[%zu]", i);
    }
    result->items.p = items;
    result->items.n = n;
    return CHY_OK;
}

static enum chy_err test_begin(struct query_call *call, struct test *ret, struct chy_error *err)
{
    const struct chy_policy_test *asked = call->request;
    *ret = (struct test){
        .call = call,
        .asked = asked,
        .address = asked->address.n > 0 ? asked->address : call->call.caller.address,
        .time_us = asked->time_us != 0 ? asked->time_us : call->now_us,
    };
    return who_is_tested(ret, err);
}

static enum chy_err draft_test(struct query_call *call, void *response, struct chy_error *err)
{
    struct test t;
    struct chy_policy_doc doc;
    CHY_TRY(test_begin(call, &t, err));
    CHY_TRY(chy_policy_doc_decode(call->inspected->made, &call->arena, &doc, err));
    CHY_TRY(chy_policy_compile(&doc, t.time_us, &call->rules, err));
    t.rules = call->rules;
    return explain_all(&t, response, err);
}

static enum chy_err stored_test(struct query_call *call, struct chy_policy_test_result *result,
                                struct chy_error *err)
{
    struct test t;
    CHY_TRY(test_begin(call, &t, err));
    CHY_TRY(query_policy_get(call, &t.rules, err));
    result->policy_number = call->q->policy.number;
    if (t.asked->time_us != 0) {
        /* Windows are laid out from a day on: this day is another one. */
        CHY_TRY(stored_compile(call, result->policy_number, t.time_us, &call->rules, err));
        t.rules = call->rules;
    }
    return explain_all(&t, result, err);
}

enum chy_err query_policies_test(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_policy_test *asked = call->request;
    if (asked->policy.n == 0)
        return stored_test(call, response, err);
    struct chy_inspect_request request = { .what = CHY_INSPECT_POLICY,
                                           .now_us = call->now_us,
                                           .text = asked->policy };
    return query_inspect(call, &request, draft_test, err);
}
