/* SPDX-License-Identifier: MIT */
/* What must hold of every policy and every request, tried on random ones. A run tries a fixed seed
 * and one of the clock; CHANCERY_SEED repeats one that failed. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/limits.h"
#include "policy_fixture.h"

enum {
    POLICIES = 400, /* of one seed */
    REQUESTS = 25,  /* of one policy */
    RULES_MAX = 10,
    RULE_BYTES = 2048,
    FACTS_MAX = 6,
};

static uint64_t random_state;

/* splitmix64 */
static uint64_t next(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(size_t n)
{
    return (size_t)(next() % n);
}

static bool one_in(size_t n)
{
    return below(n) == 0;
}

#define PICK(list) ((list)[below(CHY_ARRAY_LEN(list))])

/* --- random rules, as text --- */

static const char *const key_names[] = { "rel-a", "rel-b", "test-a" };
static const char *const key_patterns[] = {
    "rel-a", "rel-b", "test-a", "rel-*", "*-a", "*", "rel-?"
};
static const char *const groups[] = { "g1", "g2", "g3" };
static const char *const group_patterns[] = { "g1", "g2", "g?", "g*" };
static const char *const purposes[] = { "release", "test", "" };
static const char *const purpose_patterns[] = { "release", "test", "*", "t*" };
static const char *const principals[] = { "alice", "bob", "ci-1" };
static const char *const principal_patterns[] = { "alice", "bob", "ci-1", "ci-*", "*", "?????" };
static const char *const role_patterns[] = { "auditor", "key-*", "administrator" };
static const char *const alg_patterns[] = { "ecdsa-sha256", "rsa-*",         "ed25519",
                                            "*-sha256",     "rsa-pkcs1-raw", "*" };
static const char *const type_patterns[] = { "p256", "rsa-*", "ed25519" };
static const char *const methods[] = { "certificate", "api-token" };
static const char *const networks[] = { "10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32" };
static const char *const hosts[] = { "build-1", "build-2", "laptop" };
static const char *const host_patterns[] = { "build-*", "laptop", "build-1", "*" };
static const char *const paths[] = { "/usr/bin/jarsigner", "/tmp/x" };
static const char *const path_patterns[] = { "/usr/*", "/tmp/x", "*" };
static const char *const hashes[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "1111111111111111111111111111111111111111111111111111111111111111"
};
static const char *const commands[] = { "sign a", "SIGN a", "sign -x y", "other" };
static const char *const command_patterns[] = { "'sign .*'", "'(?i)sign [ab]'", "'other'" };
static const char *const types[] = { "jar", "pe" };
static const char *const values[] = { "x", "y", "xy" };
static const char *const value_patterns[] = { "x", "y", "x*", "*" };
static const char *const bases[] = { "declared", "agent", "server" };
static const char *const windows[] = {
    "{zone: Europe/Berlin, days: mon-fri, from: 08:00, to: 18:00}",
    "{zone: America/New_York, from: 22:00, to: 06:00}",
    "{zone: UTC, days: [sat, sun]}",
    "{zone: Europe/Berlin, dates: 2027-03-01..2027-03-31, except: 2027-03-28}",
};
static const char *const fact_names[] = { "host",
                                          "application.path",
                                          "application.sha256",
                                          "application.command",
                                          "artifact.type",
                                          "ci.branch",
                                          "ci.job" };

static void write_list(struct chy_buf *b, const char *name, const char *const *from, size_t n)
{
    size_t count = 1 + below(2);
    chy_buf_printf(b, "%s: [", name);
    for (size_t i = 0; i < count; i++)
        chy_buf_printf(b, "%s%s%s%s", i != 0 ? ", " : "", *from[0] == '\'' ? "" : "\"",
                       from[below(n)], *from[0] == '\'' ? "" : "\"");
    chy_buf_append_c(b, "], ");
}
#define WRITE(b, name, list) write_list((b), (name), (list), CHY_ARRAY_LEN(list))

static void write_basis(struct chy_buf *b)
{
    if (one_in(2))
        chy_buf_printf(b, "basis: %s, ", PICK(bases));
}

static void write_named(struct chy_buf *b, const char *kind, const char *const *names, size_t n)
{
    size_t first = below(n);
    chy_buf_printf(b, "%s: {%s: {", kind, names[first]);
    WRITE(b, "value", value_patterns);
    write_basis(b);
    chy_buf_append_c(b, "}, ");
    if (one_in(3)) {
        chy_buf_printf(b, "%s: {", names[(first + 1) % n]);
        WRITE(b, "value", value_patterns);
        write_basis(b);
        chy_buf_append_c(b, "}, ");
    }
    chy_buf_append_c(b, "}, ");
}

static void write_fact_matchers(struct chy_buf *b, size_t rarity)
{
    static const char *const labels[] = { "app", "branch" };
    static const char *const facts[] = { "ci.branch", "ci.job" };
    if (one_in(rarity)) {
        chy_buf_append_c(b, "host: {");
        WRITE(b, "value", host_patterns);
        write_basis(b);
        chy_buf_append_c(b, "}, ");
    }
    if (one_in(rarity)) {
        chy_buf_append_c(b, "artifact_type: {");
        WRITE(b, "value", types);
        write_basis(b);
        chy_buf_append_c(b, "}, ");
    }
    if (one_in(rarity)) {
        size_t what = 1 + below(7);
        chy_buf_append_c(b, "application: {");
        if ((what & 1) != 0)
            WRITE(b, "path", path_patterns);
        if ((what & 2) != 0)
            WRITE(b, "sha256", hashes);
        if ((what & 4) != 0)
            WRITE(b, "command", command_patterns);
        write_basis(b);
        chy_buf_append_c(b, "}, ");
    }
    if (one_in(rarity))
        write_named(b, "label", labels, CHY_ARRAY_LEN(labels));
    if (one_in(rarity))
        write_named(b, "fact", facts, CHY_ARRAY_LEN(facts));
    if (one_in(rarity))
        chy_buf_printf(b, "window: [%s, %s], ", PICK(windows), PICK(windows));
}

/* One matcher at least, for an unless must have one. */
static void write_match(struct chy_buf *b)
{
    size_t rarity = 4 + below(8);
    chy_buf_append_c(b, "{");
    size_t before = b->n;
    while (b->n == before) {
        if (one_in(3))
            WRITE(b, "key", key_patterns);
        if (one_in(4))
            WRITE(b, "principal", principal_patterns);
        if (one_in(rarity))
            WRITE(b, "key_group", group_patterns);
        if (one_in(rarity))
            WRITE(b, "group", group_patterns);
        if (one_in(rarity))
            WRITE(b, "purpose", purpose_patterns);
        if (one_in(rarity))
            WRITE(b, "role", role_patterns);
        if (one_in(rarity))
            WRITE(b, "algorithm", alg_patterns);
        if (one_in(rarity))
            WRITE(b, "key_type", type_patterns);
        if (one_in(rarity))
            WRITE(b, "method", methods);
        if (one_in(rarity))
            WRITE(b, "network", networks);
        write_fact_matchers(b, rarity);
    }
    chy_buf_append_c(b, "}");
}

struct rule_text {
    char p[RULE_BYTES];
};

static void make_rule(struct rule_text *rule, size_t number, bool may_allow)
{
    struct chy_buf b;
    size_t effect = below(may_allow ? 4 : 2);
    chy_buf_init(&b, RULE_BYTES - 1);
    chy_buf_printf(&b, "- {name: r%zu, effect: %s, ", number,
                   effect == 0   ? "deny"
                   : effect == 1 ? "require, requirement: reason"
                                 : "allow");
    if (!one_in(8)) {
        chy_buf_append_c(&b, "match: ");
        write_match(&b);
        chy_buf_append_c(&b, ", ");
    }
    if (effect < 2 && one_in(2)) {
        chy_buf_append_c(&b, "unless: ");
        write_match(&b);
    }
    chy_buf_append_c(&b, "}\n");
    assert_int_equal(chy_buf_check(&b, NULL), CHY_OK);
    memcpy(rule->p, b.p, b.n);
    rule->p[b.n] = '\0';
    chy_buf_done(&b);
}

/* In the order of `order`; NULL: as they stand. */
static struct chy_buf write_policy(const struct rule_text *rules, size_t n, const size_t *order)
{
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_YAML);
    chy_buf_append_c(&b, n != 0 ? "version: 1\nrules:\n" : "version: 1\nrules: []\n");
    for (size_t i = 0; i < n; i++)
        chy_buf_append_c(&b, rules[order != NULL ? order[i] : i].p);
    chy_buf_append_u8(&b, 0);
    return b;
}

/* --- random requests --- */

struct request {
    struct chy_policy_request r;
    struct chy_fact facts[FACTS_MAX];
    struct chy_label labels[2];
    struct chy_str key_groups[2];
    struct chy_str caller_groups[2];
    struct chy_str roles[1];
};

static struct chy_str value_of(const char *fact)
{
    const char *v = PICK(values);
    if (strcmp(fact, "host") == 0)
        v = PICK(hosts);
    else if (strcmp(fact, "application.path") == 0)
        v = PICK(paths);
    else if (strcmp(fact, "application.sha256") == 0)
        v = PICK(hashes);
    else if (strcmp(fact, "application.command") == 0)
        v = PICK(commands);
    else if (strcmp(fact, "artifact.type") == 0)
        v = PICK(types);
    return chy_str_of(v);
}

static void spread_facts(struct request *q, size_t n)
{
    size_t first = below(n + 1);
    for (size_t l = 0; l < CHY_POLICY_FACT_LISTS; l++)
        q->r.facts[l].n = 0;
    q->r.facts[0].p = q->facts;
    q->r.facts[0].n = first;
    q->r.facts[2].p = q->facts + first;
    q->r.facts[2].n = n - first;
}

static void make_request(struct request *q)
{
    static const char *const addresses[] = { "10.1.2.3", "192.0.2.9", "198.51.100.1", "2001:db8::1",
                                             "" };
    static const char *const reasons[] = { "", " ", "because" };
    static const char *const labels[] = { "app", "branch" };
    static const enum chy_sign_alg algs[] = { CHY_ALG_ECDSA_SHA256, CHY_ALG_RSA_PSS_SHA384,
                                              CHY_ALG_ED25519, CHY_ALG_NONE,
                                              CHY_ALG_RSA_PKCS1_RAW };
    static const enum chy_key_type key_types[] = { CHY_KEY_P256, CHY_KEY_RSA_3072, CHY_KEY_ED25519,
                                                   CHY_KEY_NONE };
    *q = (struct request){ .r = { .algorithm = PICK(algs) } };
    q->r.key = (struct chy_policy_key){ .name = chy_str_of(PICK(key_names)),
                                        .purpose = chy_str_of(PICK(purposes)),
                                        .type = PICK(key_types) };
    q->r.caller.principal = chy_str_of(PICK(principals));
    if (one_in(20))
        q->r.caller.principal = CHY_STR("");
    q->r.caller.method = one_in(2) ? CHY_AUTH_CERTIFICATE : CHY_AUTH_API_TOKEN;
    for (size_t i = 0; i < 2; i++) {
        q->key_groups[i] = chy_str_of(PICK(groups));
        q->caller_groups[i] = chy_str_of(PICK(groups));
    }
    q->roles[0] = one_in(2) ? CHY_STR("auditor") : CHY_STR("key-manager");
    q->r.key.groups = (struct chy_strs){ q->key_groups, below(3) };
    q->r.caller.groups = (struct chy_strs){ q->caller_groups, below(3) };
    q->r.caller.roles = (struct chy_strs){ q->roles, below(2) };
    q->r.address = chy_str_of(PICK(addresses));
    q->r.reason = chy_str_of(PICK(reasons));
    q->r.artifact_type = one_in(2) ? chy_str_of(PICK(types)) : CHY_STR("");
    q->r.time_us = NOW_US - 3 * DAY_US + (int64_t)(next() % (uint64_t)(405 * DAY_US));
    size_t n = below(FACTS_MAX + 1);
    for (size_t i = 0; i < n; i++) {
        const char *name = PICK(fact_names);
        q->facts[i] =
            (struct chy_fact){ chy_str_of(name), value_of(name), (enum chy_basis)below(3) };
    }
    spread_facts(q, n);
    q->r.labels.p = q->labels;
    q->r.labels.n = below(3);
    for (size_t i = 0; i < 2; i++)
        q->labels[i] = (struct chy_label){ chy_str_of(PICK(labels)), chy_str_of(PICK(values)) };
}

/* --- properties --- */

static int rank(enum chy_decision d)
{
    assert_true(d == CHY_DECISION_DENIED || d == CHY_DECISION_HELD || d == CHY_DECISION_ALLOWED);
    return d == CHY_DECISION_DENIED ? 0 : d == CHY_DECISION_HELD ? 1 : 2;
}

static enum chy_decision decide(const struct chy_policy_rules *rules,
                                const struct chy_policy_request *r)
{
    struct chy_policy_decision d;
    chy_policy_evaluate(rules, r, &d);
    return d.decision;
}

struct subject {
    struct rule_text texts[RULES_MAX + 1];
    size_t n;
    struct chy_arena arena;
    struct chy_policy_doc doc;
    struct chy_buf bytes;
    struct chy_policy_rules *rules;
    struct chy_policy_rules *shuffled;
    struct chy_policy_rules *stricter; /* with one deny or require more */
    struct chy_policy_guard *guard;
    struct chy_policy_guard *open_guard;
    struct chy_policy_guard_doc guard_doc;
    struct chy_buf guard_text;
    struct chy_buf text;
};

static struct chy_policy_rules *compile_texts(struct subject *s, size_t n, const size_t *order)
{
    struct chy_buf text = write_policy(s->texts, n, order);
    struct chy_policy_rules *rules = policy_of((const char *)text.p);
    chy_buf_done(&text);
    return rules;
}

static void check_same_bytes(struct subject *s, const size_t *order)
{
    struct chy_buf text = write_policy(s->texts, s->n, order);
    struct chy_policy_doc doc = policy_doc((const char *)text.p, &s->arena);
    struct chy_buf bytes = canonical_of(&doc);
    assert_true(chy_bytes_equal(chy_buf_bytes(&bytes), chy_buf_bytes(&s->bytes)));
    chy_buf_done(&bytes);

    struct chy_policy_doc again;
    assert_int_equal(chy_policy_doc_decode(chy_buf_bytes(&s->bytes), &s->arena, &again, NULL),
                     CHY_OK);
    bytes = canonical_of(&again);
    assert_true(chy_bytes_equal(chy_buf_bytes(&bytes), chy_buf_bytes(&s->bytes)));
    chy_buf_done(&bytes);
    chy_buf_done(&text);
}

static void make_subject(struct subject *s)
{
    size_t order[RULES_MAX];
    s->n = below(RULES_MAX + 1);
    for (size_t i = 0; i < s->n; i++) {
        make_rule(&s->texts[i], i, true);
        order[i] = i;
    }
    for (size_t i = s->n; i > 1; i--) {
        size_t k = below(i);
        size_t t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
    make_rule(&s->texts[s->n], s->n, false);
    chy_arena_init(&s->arena, CHY_LIMIT_ARENA);
    s->text = write_policy(s->texts, s->n, NULL);
    s->doc = policy_doc((const char *)s->text.p, &s->arena);
    s->bytes = canonical_of(&s->doc);
    check_same_bytes(s, order);
    s->rules = compile_texts(s, s->n, NULL);
    s->shuffled = compile_texts(s, s->n, order);
    s->stricter = compile_texts(s, s->n + 1, NULL);

    chy_buf_init(&s->guard_text, CHY_LIMIT_GUARD);
    for (size_t i = 0, n = 1 + below(3); i < n; i++) {
        chy_buf_append_c(&s->guard_text, "- ");
        write_match(&s->guard_text);
        chy_buf_append_c(&s->guard_text, "\n");
    }
    chy_buf_append_u8(&s->guard_text, 0);
    s->guard = guard_of((const char *)s->guard_text.p);
    s->open_guard = guard_of("- {algorithm: [\"*\", rsa-pkcs1-raw]}\n");
    struct chy_bytes text = { s->guard_text.p, s->guard_text.n - 1 };
    assert_int_equal(chy_policy_guard_from_yaml(text, &s->arena, &s->guard_doc, NULL), CHY_OK);
}

static void free_subject(struct subject *s)
{
    chy_policy_rules_free(s->rules);
    chy_policy_rules_free(s->shuffled);
    chy_policy_rules_free(s->stricter);
    chy_policy_guard_free(s->guard);
    chy_policy_guard_free(s->open_guard);
    chy_buf_done(&s->bytes);
    chy_buf_done(&s->text);
    chy_buf_done(&s->guard_text);
    chy_arena_done(&s->arena);
}

static void check_reference(struct subject *s, const struct chy_policy_guard_doc *guard,
                            const struct chy_policy_request *r)
{
    struct chy_str names[RULES_MAX * 2];
    size_t n = 0;
    struct chy_policy_decision d;
    struct chy_policy_decision d2;
    chy_policy_evaluate(s->rules, r, &d);
    assert_int_equal(d.decision, ref_decide(&s->doc, guard, r, names, &n));
    assert_int_equal(d.rule_count, n);
    assert_int_equal(d.rule_total, n);
    for (size_t i = 0; i < n; i++)
        assert_true(chy_str_equal(d.rules[i], names[i]));

    chy_policy_evaluate(s->shuffled, r, &d2);
    assert_int_equal(d.decision, d2.decision);
    assert_int_equal(d.rule_count, d2.rule_count);
    for (size_t i = 0; i < d.rule_count; i++)
        assert_true(chy_str_equal(d.rules[i], d2.rules[i]));
}

/* What the rows say, put together again, is the decision. */
static void check_explanation(struct subject *s, const struct chy_policy_request *r)
{
    struct chy_policy_explanation e;
    struct chy_arena arena;
    bool denied = false;
    bool allowed = false;
    bool held = false;
    bool guarded = false;
    size_t rule = 0;
    chy_arena_init(&arena, 1 << 20);
    assert_int_equal(chy_policy_explain(s->rules, r, &arena, &e, NULL), CHY_OK);
    assert_int_equal(chy_schema_check(&chy_policy_explanation_schema, &e, NULL), CHY_OK);
    for (size_t i = 0; i < e.rules.n; i++) {
        const struct chy_rule_explanation *row = &e.rules.p[i];
        guarded |= chy_str_equal_c(row->effect, "guard") && row->applies;
        denied |= chy_str_equal_c(row->effect, "deny") && row->applies;
        allowed |= chy_str_equal_c(row->effect, "allow") && row->applies;
        for (size_t k = 0; k < row->reasons.n; k++)
            held |= chy_str_equal_c(row->reasons.p[k], "requirement: reason is not met");
        if (chy_str_equal_c(row->effect, "guard"))
            continue;
        static const char *const truths[] = { "no", "unknown", "yes" };
        int expected = ref_rule(&s->doc.rules.p[rule++], r);
        assert_true(chy_str_equal_c(row->matched, truths[expected]));
        /* What does not plainly match has a reason. */
        if (expected != REF_YES)
            assert_int_not_equal(row->reasons.n, 0);
    }
    assert_int_equal(rule, s->doc.rules.n);
    enum chy_decision expected = denied || guarded || !allowed ? CHY_DECISION_DENIED
                                 : held                        ? CHY_DECISION_HELD
                                                               : CHY_DECISION_ALLOWED;
    assert_int_equal(e.decision, expected);
    chy_arena_done(&arena);
}

/* Takes out all that is said of one fact. */
static void forget(struct request *q, struct chy_str name)
{
    size_t total = q->r.facts[0].n + q->r.facts[2].n;
    size_t n = 0;
    for (size_t i = 0; i < total; i++)
        if (!chy_str_equal(q->facts[i].name, name))
            q->facts[n++] = q->facts[i];
    spread_facts(q, n);
    if (chy_str_equal_c(name, "artifact.type"))
        q->r.artifact_type = CHY_STR("");
}

static void check_monotone(struct subject *s, const struct request *q)
{
    int before = rank(decide(s->rules, &q->r));
    assert_true(rank(decide(s->stricter, &q->r)) <= before);

    for (size_t i = 0; i < CHY_ARRAY_LEN(fact_names); i++) {
        struct request less = *q;
        less.r.labels.p = less.labels;
        forget(&less, chy_str_of(fact_names[i]));
        assert_true(rank(decide(s->rules, &less.r)) <= before);
    }
    size_t total = q->r.facts[0].n + q->r.facts[2].n;
    for (size_t i = 0; i < total; i++) {
        struct request weaker = *q;
        if (weaker.facts[i].basis == CHY_BASIS_DECLARED)
            continue;
        weaker.facts[i].basis = (enum chy_basis)(weaker.facts[i].basis - 1);
        spread_facts(&weaker, total);
        assert_true(rank(decide(s->rules, &weaker.r)) <= before);
    }
    struct chy_policy_request r = q->r;
    r.labels.n = 0;
    assert_true(rank(decide(s->rules, &r)) <= before);
    r = q->r;
    r.address = CHY_STR("");
    assert_true(rank(decide(s->rules, &r)) <= before);
    r = q->r;
    r.time_us = 0;
    assert_true(rank(decide(s->rules, &r)) <= before);
    r = q->r;
    r.algorithm = CHY_ALG_NONE;
    assert_true(rank(decide(s->rules, &r)) <= before);
    r = q->r;
    r.reason = CHY_STR("");
    assert_true(rank(decide(s->rules, &r)) <= before);
}

static void check_guard(struct subject *s, const struct request *q)
{
    struct chy_policy_request r = q->r;
    int before = rank(decide(s->rules, &r));
    r.key.guard = s->open_guard;
    assert_int_equal(rank(decide(s->rules, &r)), before);
    r.key.guard = s->guard;
    assert_true(rank(decide(s->rules, &r)) <= before);
    check_reference(s, &s->guard_doc, &r);
    check_explanation(s, &r);
    struct request guarded = *q;
    spread_facts(&guarded, q->r.facts[0].n + q->r.facts[2].n);
    guarded.r.key.guard = s->guard;
    check_monotone(s, &guarded);
}

static size_t counts[3];

static void check_request(struct subject *s, const struct request *q)
{
    check_reference(s, NULL, &q->r);
    check_explanation(s, &q->r);
    check_monotone(s, q);
    check_guard(s, q);
    enum chy_decision d = decide(s->rules, &q->r);
    counts[rank(d)]++;
    if (d != CHY_DECISION_DENIED)
        assert_true(chy_policy_may_use(s->rules, &q->r.key, &q->r.caller));
}

static void run_seed(uint64_t seed)
{
    static struct subject s;
    static struct request q;
    print_message("# CHANCERY_SEED=%" PRIu64 "\n", seed);
    random_state = seed;
    for (size_t i = 0; i < POLICIES; i++) {
        make_subject(&s);
        for (size_t k = 0; k < REQUESTS; k++) {
            make_request(&q);
            check_request(&s, &q);
        }
        free_subject(&s);
    }
}

static void test_properties__hold_of_random_policies(void **state)
{
    (void)state;
    const char *given = getenv("CHANCERY_SEED"); /* checksrc: a test reads what its user says */
    if (given != NULL) {
        uint64_t seed = 0;
        for (const char *c = given; *c >= '0' && *c <= '9'; c++)
            seed = seed * 10 + (uint64_t)(*c - '0');
        run_seed(seed);
        return;
    }
    run_seed(1);
    run_seed((uint64_t)time(NULL));
    /* A generator that only ever makes denials would prove nothing. */
    for (size_t i = 0; i < 3; i++)
        assert_true(counts[i] > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_properties__hold_of_random_policies),
    };
    return cmocka_run_group_tests_name("policy properties", tests, NULL, NULL);
}
