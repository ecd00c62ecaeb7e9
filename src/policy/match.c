/* SPDX-License-Identifier: MIT */
#include "policy/match.h"

#include "base/limits.h"
#include "base/mem.h"
#include "policy/facts.h"
#include "policy/glob.h"

#define US_OF_S INT64_C(1000000)

enum {
    SECONDS_OF_DAY = 24 * 3600,
    WINDOW_DAYS_BACK = 2, /* a clock that is set back a little does not make windows unknown */
};

/* --- compiling --- */

struct chy_zone_slot {
    struct chy_zone_slot *next;
    struct chy_str name;
    struct chy_zone zone;
};

struct chy_window_slot {
    const struct chy_policy_window *window;
    const struct chy_spans *spans;
};

struct test_list {
    struct chy_test p[CHY_TEST_COMMAND + 1 + 2 * CHY_LIMIT_NAMED_MATCHERS];
    size_t n;
};

void chy_match_compiler_done(struct chy_match_compiler *c)
{
    chy_free(c->windows);
    c->windows = NULL;
    c->window_count = 0;
}

static enum chy_err no_memory(const struct chy_match_compiler *c)
{
    return chy_fail(c->err, CHY_E_NOMEM, "the compiled policy takes more memory than there is");
}

static struct chy_test *add_test(struct test_list *list, enum chy_test_kind kind)
{
    CHY_ASSERT(list->n < CHY_ARRAY_LEN(list->p));
    list->p[list->n] = (struct chy_test){ .kind = kind };
    return &list->p[list->n++];
}

static struct chy_pattern classify(struct chy_str text)
{
    struct chy_str fixed = { text.p, text.n != 0 ? text.n - 1 : 0 };
    enum chy_pattern_kind kind = CHY_PATTERN_GLOB;
    if (chy_glob_is_exact(text))
        kind = CHY_PATTERN_EXACT;
    else if (text.p[text.n - 1] == '*' && chy_glob_is_exact(fixed))
        kind = CHY_PATTERN_PREFIX;
    return (struct chy_pattern){ text, fixed, kind };
}

static enum chy_err add_patterns(struct chy_match_compiler *c, struct test_list *list,
                                 enum chy_test_kind kind, const struct chy_strs *values)
{
    if (values->n == 0)
        return CHY_OK;
    struct chy_pattern *p = chy_arena_array(c->arena, struct chy_pattern, values->n);
    if (p == NULL)
        return no_memory(c);
    for (size_t i = 0; i < values->n; i++)
        p[i] = classify(values->p[i]);
    struct chy_test *test = add_test(list, kind);
    test->n = values->n;
    test->values.patterns = p;
    return CHY_OK;
}

static enum chy_err add_algorithms(struct chy_match_compiler *c, struct test_list *list,
                                   const struct chy_strs *values, enum chy_match_use use)
{
    CHY_TRY(add_patterns(c, list, CHY_TEST_ALGORITHM, values));
    if (use != CHY_MATCH_GRANTS)
        return CHY_OK;
    struct chy_test *test =
        values->n != 0 ? &list->p[list->n - 1] : add_test(list, CHY_TEST_ALGORITHM);
    test->is_strict = true;
    return CHY_OK;
}

static enum chy_basis resolve_basis(enum chy_policy_basis basis, enum chy_basis default_need)
{
    switch (basis) {
    case CHY_POLICY_BASIS_DECLARED:
        return CHY_BASIS_DECLARED;
    case CHY_POLICY_BASIS_AGENT:
        return CHY_BASIS_AGENT;
    case CHY_POLICY_BASIS_SERVER:
        return CHY_BASIS_SERVER;
    case CHY_POLICY_BASIS_DEFAULT:
        return default_need;
    }
    return CHY_BASIS_SERVER;
}

/* As add_patterns(), for what is stated of a request. */
static enum chy_err add_fact(struct chy_match_compiler *c, struct test_list *list,
                             enum chy_test_kind kind, const struct chy_strs *values,
                             enum chy_basis need)
{
    CHY_TRY(add_patterns(c, list, kind, values));
    if (values->n != 0)
        list->p[list->n - 1].need = need;
    return CHY_OK;
}

static enum chy_err add_networks(struct chy_match_compiler *c, struct test_list *list,
                                 const struct chy_strs *values)
{
    if (values->n == 0)
        return CHY_OK;
    struct chy_network *p = chy_arena_array(c->arena, struct chy_network, values->n);
    if (p == NULL)
        return no_memory(c);
    for (size_t i = 0; i < values->n; i++)
        CHY_TRY(chy_network_parse(values->p[i], &p[i], c->err));
    struct chy_test *test = add_test(list, CHY_TEST_NETWORK);
    test->n = values->n;
    test->values.networks = p;
    return CHY_OK;
}

static enum chy_err add_commands(struct chy_match_compiler *c, struct test_list *list,
                                 const struct chy_strs *values, enum chy_basis need)
{
    if (values->n == 0)
        return CHY_OK;
    const struct chy_command **p = chy_arena_array(c->arena, const struct chy_command *, values->n);
    if (p == NULL)
        return no_memory(c);
    for (size_t i = 0; i < values->n; i++)
        CHY_TRY(chy_command_set_add(c->commands, values->p[i], &p[i], c->err));
    struct chy_test *test = add_test(list, CHY_TEST_COMMAND);
    test->need = need;
    test->n = values->n;
    test->values.commands = p;
    test->commands = c->commands;
    return CHY_OK;
}

static enum chy_err find_zone(struct chy_match_compiler *c, struct chy_str name,
                              const struct chy_zone **ret_zone)
{
    for (struct chy_zone_slot *s = c->zones; s != NULL; s = s->next)
        if (chy_str_equal(s->name, name)) {
            *ret_zone = &s->zone;
            return CHY_OK;
        }
    struct chy_zone_slot *s = chy_arena_new(c->arena, struct chy_zone_slot);
    if (s == NULL)
        return no_memory(c);
    int64_t now_s = c->now_us / US_OF_S;
    CHY_TRY(chy_zone_load(
        name, CHY_MAX(now_s - (int64_t)WINDOW_DAYS_BACK * SECONDS_OF_DAY, INT64_C(0)),
        now_s + (int64_t)CHY_LIMIT_WINDOW_DAYS * SECONDS_OF_DAY, c->arena, &s->zone, c->err));
    s->name = name;
    s->next = c->zones;
    c->zones = s;
    *ret_zone = &s->zone;
    return CHY_OK;
}

static enum chy_err make_spans(struct chy_match_compiler *c, const struct chy_policy_window *window,
                               const struct chy_spans **ret_spans)
{
    const struct chy_zone *zone;
    CHY_TRY(find_zone(c, window->zone, &zone));
    struct chy_spans *spans = chy_arena_new(c->arena, struct chy_spans);
    if (spans == NULL)
        return no_memory(c);
    CHY_TRY(chy_window_compile(window, zone, c->arena, spans, c->err));
    *ret_spans = spans;
    return CHY_OK;
}

/* Rules tend to say the same few windows: each is compiled once. */
static enum chy_err find_window(struct chy_match_compiler *c,
                                const struct chy_policy_window *window,
                                const struct chy_spans **ret_spans)
{
    size_t low = 0;
    size_t high = c->window_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = chy_policy_window_compare(c->windows[middle].window, window);
        if (order == 0) {
            *ret_spans = c->windows[middle].spans;
            return CHY_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (c->window_count == CHY_LIMIT_WINDOWS)
        return chy_fail(c->err, CHY_E_LIMIT, "there are over %d different windows",
                        CHY_LIMIT_WINDOWS);
    if (c->windows == NULL)
        c->windows = chy_new_array(struct chy_window_slot, CHY_LIMIT_WINDOWS);
    if (c->windows == NULL)
        return no_memory(c);
    CHY_TRY(make_spans(c, window, ret_spans));
    memmove(&c->windows[low + 1], &c->windows[low], (c->window_count - low) * sizeof c->windows[0]);
    c->windows[low] = (struct chy_window_slot){ window, *ret_spans };
    c->window_count++;
    return CHY_OK;
}

static enum chy_err add_windows(struct chy_match_compiler *c, struct test_list *list,
                                const struct chy_policy_match *match)
{
    if (match->window.n == 0)
        return CHY_OK;
    const struct chy_spans **p =
        chy_arena_array(c->arena, const struct chy_spans *, match->window.n);
    if (p == NULL)
        return no_memory(c);
    for (size_t i = 0; i < match->window.n; i++)
        CHY_TRY(find_window(c, &match->window.p[i], &p[i]));
    struct chy_test *test = add_test(list, CHY_TEST_WINDOW);
    test->n = match->window.n;
    test->values.windows = p;
    return CHY_OK;
}

static enum chy_err add_named(struct chy_match_compiler *c, struct test_list *list,
                              enum chy_test_kind kind, const struct chy_named_matcher *p, size_t n,
                              enum chy_basis default_need)
{
    for (size_t i = 0; i < n; i++) {
        enum chy_basis need = resolve_basis(p[i].basis, default_need);
        CHY_TRY(add_fact(c, list, kind, &p[i].value, need));
        list->p[list->n - 1].name = p[i].name;
    }
    return CHY_OK;
}

static enum chy_err add_facts(struct chy_match_compiler *c, struct test_list *list,
                              const struct chy_policy_match *m, enum chy_basis default_need)
{
    if (m->host != NULL)
        CHY_TRY(add_fact(c, list, CHY_TEST_HOST, &m->host->value,
                         resolve_basis(m->host->basis, default_need)));
    if (m->artifact_type != NULL)
        CHY_TRY(add_fact(c, list, CHY_TEST_ARTIFACT_TYPE, &m->artifact_type->value,
                         resolve_basis(m->artifact_type->basis, default_need)));
    if (m->application != NULL) {
        enum chy_basis need = resolve_basis(m->application->basis, default_need);
        CHY_TRY(add_fact(c, list, CHY_TEST_APPLICATION_PATH, &m->application->path, need));
        CHY_TRY(add_fact(c, list, CHY_TEST_APPLICATION_SHA256, &m->application->sha256, need));
    }
    CHY_TRY(add_named(c, list, CHY_TEST_LABEL, m->label.p, m->label.n, default_need));
    CHY_TRY(add_named(c, list, CHY_TEST_FACT, m->fact.p, m->fact.n, default_need));
    CHY_TRY(add_windows(c, list, m));
    if (m->application != NULL)
        return add_commands(c, list, &m->application->command,
                            resolve_basis(m->application->basis, default_need));
    return CHY_OK;
}

enum chy_err chy_match_compile(struct chy_match_compiler *c, const struct chy_policy_match *match,
                               enum chy_match_use use, struct chy_test_set *ret_set)
{
    struct test_list list = { .n = 0 };
    enum chy_basis default_need = use == CHY_MATCH_REFUSES ? CHY_BASIS_DECLARED : CHY_BASIS_AGENT;
    CHY_TRY(add_patterns(c, &list, CHY_TEST_KEY, &match->key));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_PRINCIPAL, &match->principal));
    CHY_TRY(add_algorithms(c, &list, &match->algorithm, use));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_KEY_TYPE, &match->key_type));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_METHOD, &match->method));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_PURPOSE, &match->purpose));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_KEY_GROUP, &match->key_group));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_GROUP, &match->group));
    CHY_TRY(add_patterns(c, &list, CHY_TEST_ROLE, &match->role));
    CHY_TRY(add_networks(c, &list, &match->network));
    CHY_TRY(add_facts(c, &list, match, default_need));
    struct chy_test *p = chy_arena_array(c->arena, struct chy_test, list.n);
    uint16_t *answers = chy_arena_array(c->arena, uint16_t, list.n);
    if (p == NULL || answers == NULL)
        return no_memory(c);
    chy_copy(p, list.p, list.n * sizeof *p);
    *ret_set = (struct chy_test_set){ p, list.n, answers };
    return CHY_OK;
}

/* --- asking --- */

static void state(struct chy_statement *s, struct chy_str value, enum chy_basis basis)
{
    if (!s->is_stated) {
        *s = (struct chy_statement){ .value = value, .basis = basis, .is_stated = true };
        return;
    }
    if (!chy_str_equal(s->value, value))
        s->is_contradictory = true;
    s->basis = CHY_MAX(s->basis, basis);
}

static struct chy_statement find_fact(const struct chy_policy_request *request, struct chy_str name)
{
    struct chy_statement s = { .is_stated = false };
    for (size_t l = 0; l < CHY_POLICY_FACT_LISTS; l++)
        for (size_t i = 0; i < request->facts[l].n; i++)
            if (chy_str_equal(request->facts[l].p[i].name, name))
                state(&s, request->facts[l].p[i].value, request->facts[l].p[i].basis);
    if (request->artifact_type.n != 0 && chy_str_equal_c(name, CHY_FACT_ARTIFACT_TYPE))
        state(&s, request->artifact_type, CHY_BASIS_DECLARED);
    return s;
}

static struct chy_statement find_label(const struct chy_policy_request *request,
                                       struct chy_str name)
{
    struct chy_statement s = { .is_stated = false };
    for (size_t i = 0; i < request->labels.n; i++)
        if (chy_str_equal(request->labels.p[i].name, name))
            state(&s, request->labels.p[i].value, CHY_BASIS_DECLARED);
    return s;
}

static void set_single(struct chy_asked *a, enum chy_test_kind kind, struct chy_str text)
{
    a->singles[kind] = text;
    a->subjects[kind] = (struct chy_strs){ &a->singles[kind], 1 };
    a->is_known[kind] = text.n != 0;
}

static void set_many(struct chy_asked *a, enum chy_test_kind kind, struct chy_strs texts)
{
    a->subjects[kind] = texts;
    a->is_known[kind] = true;
}

/* A value without a name, and "none", is empty: not known. */
static struct chy_str name_of(const struct chy_enum *e, int value)
{
    return value != 0 ? chy_str_of(chy_enum_name(e, value)) : CHY_STR("");
}

/* The facts that are looked up once for all rules. */
static const char *const stated_names[CHY_TEST_KINDS] = {
    [CHY_TEST_HOST] = CHY_FACT_HOST,
    [CHY_TEST_ARTIFACT_TYPE] = CHY_FACT_ARTIFACT_TYPE,
    [CHY_TEST_APPLICATION_PATH] = CHY_FACT_APPLICATION_PATH,
    [CHY_TEST_APPLICATION_SHA256] = CHY_FACT_APPLICATION_SHA256,
    [CHY_TEST_COMMAND] = CHY_FACT_APPLICATION_COMMAND,
};

void chy_asked_init(struct chy_asked *asked, const struct chy_policy_request *request)
{
    const struct chy_policy_key *key = &request->key;
    const struct chy_policy_caller *caller = &request->caller;
    asked->request = request;
    memset(asked->answers, 0, sizeof asked->answers);
    memset(asked->is_heard, 0, sizeof asked->is_heard);
    asked->is_raw = request->algorithm == CHY_ALG_RSA_PKCS1_RAW;
    set_single(asked, CHY_TEST_KEY, key->name);
    set_single(asked, CHY_TEST_PRINCIPAL, caller->principal);
    set_single(asked, CHY_TEST_ALGORITHM, name_of(&chy_sign_alg_enum, (int)request->algorithm));
    set_single(asked, CHY_TEST_KEY_TYPE, name_of(&chy_key_type_enum, (int)key->type));
    set_single(asked, CHY_TEST_METHOD, name_of(&chy_auth_method_enum, (int)caller->method));
    set_single(asked, CHY_TEST_PURPOSE, key->purpose);
    asked->is_known[CHY_TEST_PURPOSE] = true; /* of no purpose */
    set_many(asked, CHY_TEST_KEY_GROUP, key->groups);
    set_many(asked, CHY_TEST_GROUP, caller->groups);
    set_many(asked, CHY_TEST_ROLE, caller->roles);
    asked->has_address = chy_address_parse(request->address, asked->address);
    for (size_t i = CHY_TEST_HOST; i < CHY_TEST_KINDS; i++)
        if (stated_names[i] != NULL)
            asked->stated[i] = find_fact(request, chy_str_of(stated_names[i]));
}

static bool pattern_has(const struct chy_pattern *pattern, struct chy_str text)
{
    struct chy_str begin = { text.p, pattern->fixed.n };
    switch (pattern->kind) {
    case CHY_PATTERN_EXACT:
        return chy_str_equal(pattern->text, text);
    case CHY_PATTERN_PREFIX:
        return text.n >= begin.n && chy_str_equal(pattern->fixed, begin);
    case CHY_PATTERN_GLOB:
        return chy_glob_match(pattern->text, text);
    }
    return false;
}

static bool patterns_have(const struct chy_test *test, struct chy_str text)
{
    for (size_t i = 0; i < test->n; i++)
        if (pattern_has(&test->values.patterns[i], text))
            return true;
    return false;
}

static enum chy_truth truth_of(bool b)
{
    return b ? CHY_TRUTH_YES : CHY_TRUTH_NO;
}

/* Whether the algorithm's very name stands there. */
static bool names(const struct chy_test *test, struct chy_str algorithm)
{
    for (size_t i = 0; i < test->n; i++)
        if (chy_str_equal(test->values.patterns[i].text, algorithm))
            return true;
    return false;
}

static enum chy_truth ask_subject(const struct chy_test *test, const struct chy_asked *asked)
{
    const struct chy_strs *subjects = &asked->subjects[test->kind];
    if (!asked->is_known[test->kind])
        return CHY_TRUTH_UNKNOWN;
    if (test->is_strict && asked->is_raw)
        return truth_of(names(test, subjects->p[0]));
    if (test->is_strict && test->n == 0)
        return CHY_TRUTH_YES;
    for (size_t i = 0; i < subjects->n; i++)
        if (patterns_have(test, subjects->p[i]))
            return CHY_TRUTH_YES;
    return CHY_TRUTH_NO;
}

static enum chy_truth ask_network(const struct chy_test *test, const struct chy_asked *asked)
{
    if (!asked->has_address)
        return CHY_TRUTH_UNKNOWN;
    for (size_t i = 0; i < test->n; i++)
        if (chy_network_has(&test->values.networks[i], asked->address))
            return CHY_TRUTH_YES;
    return CHY_TRUTH_NO;
}

static enum chy_truth ask_window(const struct chy_test *test, const struct chy_asked *asked)
{
    enum chy_truth any = CHY_TRUTH_NO;
    for (size_t i = 0; i < test->n && any != CHY_TRUTH_YES; i++) {
        enum chy_truth t = chy_spans_have(test->values.windows[i], asked->request->time_us);
        any = CHY_MAX(any, t);
    }
    return any;
}

static enum chy_truth ask_command(const struct chy_test *test, struct chy_str text)
{
    enum chy_truth any = CHY_TRUTH_NO;
    for (size_t i = 0; i < test->n && any != CHY_TRUTH_YES; i++) {
        enum chy_truth t = chy_command_match(test->commands, test->values.commands[i], text);
        any = CHY_MAX(any, t);
    }
    return any;
}

static struct chy_statement find_named(const struct chy_test *test, const struct chy_asked *asked)
{
    return test->kind == CHY_TEST_LABEL ? find_label(asked->request, test->name)
                                        : find_fact(asked->request, test->name);
}

struct chy_statement chy_test_statement(const struct chy_test *test, struct chy_asked *asked)
{
    if (test->statement != 0) {
        struct chy_statement *kept = &asked->statements[test->statement];
        if (!asked->is_heard[test->statement])
            *kept = find_named(test, asked);
        asked->is_heard[test->statement] = true;
        return *kept;
    }
    if (test->kind == CHY_TEST_LABEL || test->kind == CHY_TEST_FACT)
        return find_named(test, asked);
    CHY_ASSERT(stated_names[test->kind] != NULL);
    return asked->stated[test->kind];
}

enum chy_truth chy_test_ask(const struct chy_test *test, struct chy_asked *asked)
{
    if (test->kind < CHY_TEST_SUBJECTS)
        return ask_subject(test, asked);
    if (test->kind == CHY_TEST_NETWORK)
        return ask_network(test, asked);
    if (test->kind == CHY_TEST_WINDOW)
        return ask_window(test, asked);
    struct chy_statement s = chy_test_statement(test, asked);
    if (!s.is_stated || s.is_contradictory || s.basis < test->need)
        return CHY_TRUTH_UNKNOWN;
    return test->kind == CHY_TEST_COMMAND ? ask_command(test, s.value)
                                          : truth_of(patterns_have(test, s.value));
}

enum chy_truth chy_test_set_ask(const struct chy_test_set *set, struct chy_asked *asked)
{
    enum chy_truth all = CHY_TRUTH_YES;
    for (size_t i = 0; i < set->n && all != CHY_TRUTH_NO; i++) {
        uint8_t *kept = &asked->answers[set->answers[i]];
        enum chy_truth t =
            *kept != 0 ? (enum chy_truth)(*kept - 1) : chy_test_ask(&set->p[i], asked);
        if (set->answers[i] != 0)
            *kept = (uint8_t)(t + 1);
        all = CHY_MIN(all, t);
    }
    return all;
}

const char *chy_test_name(enum chy_test_kind kind)
{
    static const char *const names[] = {
        [CHY_TEST_KEY] = "key",
        [CHY_TEST_PRINCIPAL] = "principal",
        [CHY_TEST_ALGORITHM] = "algorithm",
        [CHY_TEST_KEY_TYPE] = "key_type",
        [CHY_TEST_METHOD] = "method",
        [CHY_TEST_PURPOSE] = "purpose",
        [CHY_TEST_KEY_GROUP] = "key_group",
        [CHY_TEST_GROUP] = "group",
        [CHY_TEST_ROLE] = "role",
        [CHY_TEST_NETWORK] = "network",
        [CHY_TEST_HOST] = "host",
        [CHY_TEST_ARTIFACT_TYPE] = "artifact_type",
        [CHY_TEST_APPLICATION_PATH] = "application.path",
        [CHY_TEST_APPLICATION_SHA256] = "application.sha256",
        [CHY_TEST_LABEL] = "label",
        [CHY_TEST_FACT] = "fact",
        [CHY_TEST_WINDOW] = "window",
        [CHY_TEST_COMMAND] = "application.command",
    };
    return names[kind];
}

bool chy_test_is_of_fact(enum chy_test_kind kind)
{
    return kind >= CHY_TEST_HOST && kind != CHY_TEST_WINDOW;
}
