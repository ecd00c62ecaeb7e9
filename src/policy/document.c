/* SPDX-License-Identifier: MIT */
#include "policy/document.h"

#include <stdlib.h>

#include "base/limits.h"
#include "policy/command.h"
#include "policy/facts.h"
#include "policy/glob.h"
#include "policy/network.h"
#include "policy/window.h"

/* --- tables --- */

static const struct chy_enum_value effects[] = {
    { CHY_EFFECT_DENY, "deny", "refuses what it matches; one is enough" },
    { CHY_EFFECT_ALLOW, "allow", "grants what it matches; at least one is needed" },
    { CHY_EFFECT_REQUIRE, "require", "adds an obligation to what it matches" },
};
const struct chy_enum chy_policy_effect_enum = CHY_ENUM("effect", effects);

static const struct chy_enum_value requirements[] = {
    { CHY_REQUIREMENT_NONE, "none", NULL },
    { CHY_REQUIREMENT_REASON, "reason", "the request says why" },
    { CHY_REQUIREMENT_APPROVALS, "approvals", "not built yet" },
    { CHY_REQUIREMENT_RELEASE, "release", "not built yet" },
    { CHY_REQUIREMENT_BUILDERS, "builders", "not built yet" },
    { CHY_REQUIREMENT_PROVENANCE, "provenance", "not built yet" },
    { CHY_REQUIREMENT_SCAN, "scan", "not built yet" },
};
const struct chy_enum chy_requirement_enum = CHY_ENUM("requirement", requirements);

static const struct chy_enum_value bases[] = {
    { CHY_POLICY_BASIS_DEFAULT, "default", "agent where it grants, declared where it refuses" },
    { CHY_POLICY_BASIS_DECLARED, "declared", "believes the caller" },
    { CHY_POLICY_BASIS_AGENT, "agent", "believes the agent and the server" },
    { CHY_POLICY_BASIS_SERVER, "server", "believes the server alone" },
};
const struct chy_enum chy_policy_basis_enum = CHY_ENUM("basis", bases);

/* The values of a matcher; its name says what they are held against. */
#define VALUES(S, m, max_bytes, doc) \
    CHY_F_STRS(S, m, CHY_ONE_OR_MORE, CHY_LIMIT_MATCHER_VALUES, max_bytes, doc)
#define BASIS(S)                                                           \
    CHY_F_ENUM(S, basis, &chy_policy_basis_enum, enum chy_policy_basis, 0, \
               "the weakest basis that is believed")

static const struct chy_field fact_matcher_fields[] = {
    VALUES(struct chy_fact_matcher, value, CHY_LIMIT_PATTERN, "patterns"),
    BASIS(struct chy_fact_matcher),
};
static const struct chy_schema fact_matcher_schema =
    CHY_SCHEMA("FactMatcher", struct chy_fact_matcher, fact_matcher_fields, "Matches a fact.");

static const struct chy_field named_matcher_fields[] = {
    CHY_F_STR(struct chy_named_matcher, name, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "of what"),
    VALUES(struct chy_named_matcher, value, CHY_LIMIT_PATTERN, "patterns"),
    BASIS(struct chy_named_matcher),
};
static const struct chy_schema named_matcher_schema = CHY_SCHEMA(
    "NamedMatcher", struct chy_named_matcher, named_matcher_fields, "Matches a label or a fact.");

static const struct chy_field application_fields[] = {
    VALUES(struct chy_application_matcher, path, CHY_LIMIT_PATTERN, "patterns of its path"),
    VALUES(struct chy_application_matcher, sha256, 64, "SHA-256 of the binary, hex"),
    VALUES(struct chy_application_matcher, command, CHY_LIMIT_PATTERN,
           "regular expressions (PCRE2) for the whole command line"),
    BASIS(struct chy_application_matcher),
};
static const struct chy_schema application_schema =
    CHY_SCHEMA("ApplicationMatcher", struct chy_application_matcher, application_fields,
               "Matches the program that signs.");

static const struct chy_field window_fields[] = {
    CHY_F_STR(struct chy_policy_window, zone, CHY_REQUIRED, 1, CHY_LIMIT_NAME,
              "time zone, e.g. Europe/Berlin"),
    CHY_F_STRS(struct chy_policy_window, days, CHY_ONE_OR_MORE, 7, 7, "mon or mon-fri"),
    CHY_F_STR(struct chy_policy_window, from, 0, 5, 5, "08:00; none given: 00:00"),
    CHY_F_STR(struct chy_policy_window, to, 0, 5, 5, "18:00; none given: 24:00"),
    CHY_F_STRS(struct chy_policy_window, dates, CHY_ONE_OR_MORE, CHY_LIMIT_WINDOW_DATES, 22,
               "2026-12-24 or 2026-12-24..2027-01-01; none given: every date"),
    CHY_F_STRS(struct chy_policy_window, except, CHY_ONE_OR_MORE, CHY_LIMIT_WINDOW_DATES, 22,
               "dates that are left out"),
};
static const struct chy_schema window_schema = CHY_SCHEMA(
    "Window", struct chy_policy_window, window_fields, "Matches a time of the calendar.");

#define NAMES(m, doc) VALUES(struct chy_policy_match, m, CHY_LIMIT_NAME, doc)

static const struct chy_field match_fields[] = {
    NAMES(key, "names of keys"),
    NAMES(key_group, "groups of keys"),
    NAMES(key_type, "types of keys"),
    VALUES(struct chy_policy_match, purpose, CHY_LIMIT_PATTERN, "purposes of keys"),
    NAMES(algorithm, "signature algorithms"),
    NAMES(principal, "who asks"),
    NAMES(group, "groups of who asks"),
    NAMES(role, "roles of who asks"),
    NAMES(method, "how who asks proved it"),
    NAMES(network, "networks of who asks, CIDR"),
    CHY_F_OPTION(struct chy_policy_match, host, &fact_matcher_schema, struct chy_fact_matcher, 0,
                 "names of machines"),
    CHY_F_OPTION(struct chy_policy_match, application, &application_schema,
                 struct chy_application_matcher, 0, "the program that signs"),
    CHY_F_OPTION(struct chy_policy_match, artifact_type, &fact_matcher_schema,
                 struct chy_fact_matcher, 0, "what is signed: jar, pe, …"),
    CHY_F_LIST(struct chy_policy_match, label, &named_matcher_schema, struct chy_named_matcher, 0,
               0, CHY_LIMIT_NAMED_MATCHERS, "labels that the caller declares"),
    CHY_F_LIST(struct chy_policy_match, fact, &named_matcher_schema, struct chy_named_matcher, 0, 0,
               CHY_LIMIT_NAMED_MATCHERS, "any other facts"),
    CHY_F_LIST(struct chy_policy_match, window, &window_schema, struct chy_policy_window, 0, 0,
               CHY_LIMIT_NAMED_MATCHERS, "times of the calendar"),
};
const struct chy_schema chy_policy_match_schema =
    CHY_SCHEMA("PolicyMatch", struct chy_policy_match, match_fields, "A set of matchers.");

static const struct chy_field rule_fields[] = {
    CHY_F_STR(struct chy_policy_rule, name, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "unique name"),
    CHY_F_ENUM(struct chy_policy_rule, effect, &chy_policy_effect_enum, enum chy_policy_effect,
               CHY_REQUIRED, "deny, allow or require"),
    CHY_F_ENUM(struct chy_policy_rule, requirement, &chy_requirement_enum, enum chy_requirement, 0,
               "what a require asks for"),
    CHY_F_STR(struct chy_policy_rule, description, 0, 0, CHY_LIMIT_TEXT,
              "why; shown to who is refused"),
    CHY_F_STRUCT(struct chy_policy_rule, match, &chy_policy_match_schema, struct chy_policy_match,
                 0, "what it is about; none given: everything"),
    CHY_F_OPTION(struct chy_policy_rule, unless, &chy_policy_match_schema, struct chy_policy_match,
                 0, "what it is not about"),
};
const struct chy_schema chy_policy_rule_schema =
    CHY_SCHEMA("PolicyRule", struct chy_policy_rule, rule_fields, "A rule of the policy.");

static const struct chy_field doc_fields[] = {
    CHY_F_U32(struct chy_policy_doc, version, CHY_REQUIRED, CHY_POLICY_VERSION, CHY_POLICY_VERSION,
              "version of this format"),
    CHY_F_LIST(struct chy_policy_doc, rules, &chy_policy_rule_schema, struct chy_policy_rule,
               CHY_REQUIRED, 0, CHY_LIMIT_RULES, "rules; their order means nothing"),
};
const struct chy_schema chy_policy_doc_schema =
    CHY_SCHEMA("PolicyDocument", struct chy_policy_doc, doc_fields, "A policy.");

static const struct chy_field guard_fields[] = {
    CHY_F_U32(struct chy_policy_guard_doc, version, CHY_REQUIRED, CHY_POLICY_VERSION,
              CHY_POLICY_VERSION, "version of this format"),
    CHY_F_LIST(struct chy_policy_guard_doc, alternatives, &chy_policy_match_schema,
               struct chy_policy_match, CHY_REQUIRED, 1, CHY_LIMIT_GUARD_ALTERNATIVES,
               "sets of matchers; one of them must match"),
};
const struct chy_schema chy_policy_guard_doc_schema =
    CHY_SCHEMA("GuardDocument", struct chy_policy_guard_doc, guard_fields,
               "What a key's owners allow at most.");

/* --- checks --- */

static bool is_rule_name(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
            return false;
    }
    return s.n != 0;
}

static enum chy_err check_sorted(const char *name, const struct chy_strs *s, struct chy_error *err)
{
    for (size_t i = 1; i < s->n; i++)
        if (chy_str_compare(s->p[i - 1], s->p[i]) >= 0)
            return chy_fail(err, CHY_E_MALFORMED, "%s: the values are not in order", name);
    return CHY_OK;
}

static enum chy_err check_all_sorted(const struct chy_schema *schema, const void *value,
                                     struct chy_error *err)
{
    for (size_t i = 0; i < schema->n; i++)
        if (schema->fields[i].kind == CHY_KIND_STRS)
            CHY_TRY(
                check_sorted(schema->fields[i].name, chy_field_in(&schema->fields[i], value), err));
    return CHY_OK;
}

/* A name that nothing can ever match is a slip of the pen. */
static enum chy_err check_known(const char *matcher, const struct chy_strs *values,
                                const struct chy_enum *known, struct chy_error *err)
{
    for (size_t i = 0; i < values->n; i++) {
        bool found = false;
        for (size_t k = 0; k < known->n && !found; k++)
            found = known->values[k].value != 0 &&
                    chy_glob_match(values->p[i], chy_str_of(known->values[k].name));
        if (found)
            continue;
        char list[160] = "";
        size_t n = 0;
        for (size_t k = 0; k < known->n && n < sizeof list - 32; k++)
            if (known->values[k].value != 0) {
                struct chy_str name = chy_str_of(known->values[k].name);
                chy_copy(list + n, n != 0 ? ", " : "", n != 0 ? 2 : 0);
                n += n != 0 ? 2 : 0;
                chy_copy(list + n, name.p, CHY_MIN(name.n, (size_t)28));
                n += CHY_MIN(name.n, (size_t)28);
            }
        return chy_fail(err, CHY_E_MALFORMED, "%s: there is no \"%.*s\"; there are %.*s", matcher,
                        CHY_STR_ARG(values->p[i]), (int)n, list);
    }
    return CHY_OK;
}

static enum chy_err check_networks(const struct chy_strs *values, struct chy_error *err)
{
    struct chy_network unused;
    for (size_t i = 0; i < values->n; i++)
        if (chy_network_parse(values->p[i], &unused, err) != CHY_OK)
            return chy_error_prefix(err, CHY_E_MALFORMED, "network");
    return CHY_OK;
}

static enum chy_err check_fact_matcher(const char *name, const struct chy_fact_matcher *m,
                                       struct chy_error *err)
{
    if (m == NULL)
        return CHY_OK;
    if (m->value.n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "%s: no value is given", name);
    return check_sorted(name, &m->value, err);
}

static enum chy_err check_application(const struct chy_application_matcher *a,
                                      struct chy_error *err)
{
    if (a == NULL)
        return CHY_OK;
    if (a->path.n == 0 && a->sha256.n == 0 && a->command.n == 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "application: neither path nor sha256 nor command is given");
    for (size_t i = 0; i < a->sha256.n; i++) {
        bool ok = a->sha256.p[i].n == 64;
        for (size_t k = 0; ok && k < 64; k++) {
            char c = a->sha256.p[i].p[k];
            ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        }
        if (!ok)
            return chy_fail(err, CHY_E_MALFORMED,
                            "application.sha256: expected 64 lower-case hex digits");
    }
    for (size_t i = 0; i < a->command.n; i++) {
        enum chy_err r = chy_command_check(a->command.p[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "application.command");
    }
    return check_all_sorted(&application_schema, a, err);
}

static enum chy_err check_named(const char *kind, const struct chy_named_matcher *p, size_t n,
                                struct chy_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (i != 0 && chy_str_compare(p[i - 1].name, p[i].name) >= 0)
            return chy_fail(err, CHY_E_MALFORMED, "%s: \"%.*s\" is there twice or out of order",
                            kind, CHY_STR_ARG(p[i].name));
        if (p[i].value.n == 0)
            return chy_fail(err, CHY_E_MALFORMED, "%s: no value is given for \"%.*s\"", kind,
                            CHY_STR_ARG(p[i].name));
        CHY_TRY(check_sorted(kind, &p[i].value, err));
    }
    return CHY_OK;
}

static enum chy_err check_facts(const struct chy_policy_match *match, struct chy_error *err)
{
    for (size_t i = 0; i < match->fact.n; i++) {
        struct chy_str name = match->fact.p[i].name;
        if (!chy_fact_name_is_valid(name))
            return chy_fail(err, CHY_E_MALFORMED,
                            "fact: \"%.*s\" is no name of a fact such as ci.branch",
                            CHY_STR_ARG(name));
    }
    return check_named("fact", match->fact.p, match->fact.n, err);
}

static int compare_strs(const struct chy_strs *a, const struct chy_strs *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        int c = chy_str_compare(a->p[i], b->p[i]);
        if (c != 0)
            return c;
    }
    return (a->n > b->n) - (a->n < b->n);
}

int chy_policy_window_compare(const struct chy_policy_window *a, const struct chy_policy_window *b)
{
    int c = chy_str_compare(a->zone, b->zone);
    c = c != 0 ? c : compare_strs(&a->days, &b->days);
    c = c != 0 ? c : chy_str_compare(a->from, b->from);
    c = c != 0 ? c : chy_str_compare(a->to, b->to);
    c = c != 0 ? c : compare_strs(&a->dates, &b->dates);
    return c != 0 ? c : compare_strs(&a->except, &b->except);
}

static int compare_windows(const void *a, const void *b)
{
    return chy_policy_window_compare(a, b);
}

static enum chy_err check_windows(const struct chy_policy_match *match, struct chy_error *err)
{
    for (size_t i = 0; i < match->window.n; i++) {
        const struct chy_policy_window *w = &match->window.p[i];
        enum chy_err r = chy_window_check(w, err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "window");
        if (i != 0 && compare_windows(w - 1, w) >= 0)
            return chy_fail(err, CHY_E_MALFORMED, "window: one is there twice or out of order");
        CHY_TRY(check_all_sorted(&window_schema, w, err));
    }
    return CHY_OK;
}

enum chy_err chy_policy_match_check(const struct chy_policy_match *match, struct chy_error *err)
{
    CHY_TRY(check_all_sorted(&chy_policy_match_schema, match, err));
    CHY_TRY(check_known("algorithm", &match->algorithm, &chy_sign_alg_enum, err));
    CHY_TRY(check_known("key_type", &match->key_type, &chy_key_type_enum, err));
    CHY_TRY(check_known("role", &match->role, &chy_role_enum, err));
    CHY_TRY(check_known("method", &match->method, &chy_auth_method_enum, err));
    CHY_TRY(check_networks(&match->network, err));
    CHY_TRY(check_fact_matcher("host", match->host, err));
    CHY_TRY(check_fact_matcher("artifact_type", match->artifact_type, err));
    CHY_TRY(check_application(match->application, err));
    CHY_TRY(check_named("label", match->label.p, match->label.n, err));
    CHY_TRY(check_facts(match, err));
    return check_windows(match, err);
}

bool chy_policy_match_is_open(const struct chy_policy_match *match)
{
    for (size_t i = 0; i < chy_policy_match_schema.n; i++)
        if (!chy_field_is_empty(&chy_policy_match_schema.fields[i], match))
            return false;
    return true;
}

static enum chy_err check_requirement(const struct chy_policy_rule *rule, struct chy_error *err)
{
    bool requires = rule->effect == CHY_EFFECT_REQUIRE;
    if (requires != (rule->requirement != CHY_REQUIREMENT_NONE))
        return chy_fail(err, CHY_E_MALFORMED,
                        requires ? "a require needs a requirement: reason"
                                 : "only a require has a requirement");
    if (rule->requirement > CHY_REQUIREMENT_REASON)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "the requirement \"%s\" is not built yet; there is: reason",
                        chy_enum_name(&chy_requirement_enum, (int)rule->requirement));
    return CHY_OK;
}

enum chy_err chy_policy_rule_check(const struct chy_policy_rule *rule, struct chy_error *err)
{
    if (!is_rule_name(rule->name))
        return chy_fail(
            err, CHY_E_MALFORMED,
            "a rule's name is of letters, digits, '.', '_' and '-', one of the first two "
            "in front");
    CHY_TRY(check_requirement(rule, err));
    CHY_TRY(chy_policy_match_check(&rule->match, err));
    if (rule->unless == NULL)
        return CHY_OK;
    if (rule->effect == CHY_EFFECT_ALLOW)
        return chy_fail(err, CHY_E_MALFORMED,
                        "an allow has no unless: write a deny, or a narrower match");
    if (chy_policy_match_is_open(rule->unless))
        return chy_fail(
            err, CHY_E_MALFORMED,
            "an unless without matchers matches everything: the rule would never apply");
    enum chy_err r = chy_policy_match_check(rule->unless, err);
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "unless");
}

static enum chy_err check_doc(const struct chy_policy_doc *doc, struct chy_error *err)
{
    for (size_t i = 0; i < doc->rules.n; i++) {
        const struct chy_policy_rule *rule = &doc->rules.p[i];
        enum chy_err r = chy_policy_rule_check(rule, err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "rule \"%.*s\"", CHY_STR_ARG(rule->name));
        if (i != 0 && chy_str_compare(rule[-1].name, rule->name) >= 0)
            return chy_fail(err, CHY_E_MALFORMED, "rule \"%.*s\" is there twice or out of order",
                            CHY_STR_ARG(rule->name));
    }
    return CHY_OK;
}

static enum chy_err check_guard(const struct chy_policy_guard_doc *doc, struct chy_error *err)
{
    for (size_t i = 0; i < doc->alternatives.n; i++) {
        enum chy_err r = chy_policy_match_check(&doc->alternatives.p[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "alternative %zu", i + 1);
    }
    return CHY_OK;
}

/* --- order --- */

static int compare_texts(const void *a, const void *b)
{
    return chy_str_compare(*(const struct chy_str *)a, *(const struct chy_str *)b);
}

static int compare_named(const void *a, const void *b)
{
    return chy_str_compare(((const struct chy_named_matcher *)a)->name,
                           ((const struct chy_named_matcher *)b)->name);
}

static enum chy_err sort_strs(struct chy_strs *s, struct chy_arena *arena, struct chy_error *err)
{
    if (s->n < 2)
        return CHY_OK;
    struct chy_str *p = chy_arena_array(arena, struct chy_str, s->n);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    chy_copy(p, s->p, s->n * sizeof *p);
    qsort(p, s->n, sizeof *p, compare_texts);
    size_t n = 1;
    for (size_t i = 1; i < s->n; i++)
        if (!chy_str_equal(p[i], p[n - 1]))
            p[n++] = p[i];
    *s = (struct chy_strs){ p, n };
    return CHY_OK;
}

static enum chy_err sort_all_strs(const struct chy_schema *schema, void *value,
                                  struct chy_arena *arena, struct chy_error *err)
{
    for (size_t i = 0; i < schema->n; i++)
        if (schema->fields[i].kind == CHY_KIND_STRS)
            CHY_TRY(sort_strs(chy_field_at(&schema->fields[i], value), arena, err));
    return CHY_OK;
}

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
}

/* A copy in the arena of an array of structs, with the texts of each in order; NULL: no memory. */
static void *copy_sorted(const struct chy_schema *schema, const void *p, size_t n,
                         struct chy_arena *arena)
{
    char *copy = chy_arena_alloc(arena, n, schema->size);
    if (copy == NULL)
        return NULL;
    chy_copy(copy, p, n * schema->size);
    for (size_t i = 0; i < n; i++)
        if (sort_all_strs(schema, copy + i * schema->size, arena, NULL) != CHY_OK)
            return NULL;
    return copy;
}

static enum chy_err sort_fact(const struct chy_fact_matcher **m, struct chy_arena *arena,
                              struct chy_error *err)
{
    if (*m == NULL)
        return CHY_OK;
    struct chy_fact_matcher *copy = copy_sorted(&fact_matcher_schema, *m, 1, arena);
    if (copy == NULL)
        return no_memory(err);
    *m = copy;
    return CHY_OK;
}

static enum chy_err sort_application(const struct chy_application_matcher **m,
                                     struct chy_arena *arena, struct chy_error *err)
{
    if (*m == NULL)
        return CHY_OK;
    struct chy_application_matcher *copy = copy_sorted(&application_schema, *m, 1, arena);
    if (copy == NULL)
        return no_memory(err);
    *m = copy;
    return CHY_OK;
}

static enum chy_err sort_named(const struct chy_named_matcher **list, size_t n,
                               struct chy_arena *arena, struct chy_error *err)
{
    if (n == 0)
        return CHY_OK;
    struct chy_named_matcher *copy = copy_sorted(&named_matcher_schema, *list, n, arena);
    if (copy == NULL)
        return no_memory(err);
    qsort(copy, n, sizeof *copy, compare_named);
    *list = copy;
    return CHY_OK;
}

static enum chy_err sort_windows(struct chy_policy_match *match, struct chy_arena *arena,
                                 struct chy_error *err)
{
    if (match->window.n == 0)
        return CHY_OK;
    struct chy_policy_window *p =
        copy_sorted(&window_schema, match->window.p, match->window.n, arena);
    if (p == NULL)
        return no_memory(err);
    qsort(p, match->window.n, sizeof *p, compare_windows);
    size_t n = 1;
    for (size_t i = 1; i < match->window.n; i++)
        if (compare_windows(&p[i], &p[n - 1]) != 0)
            p[n++] = p[i];
    match->window.p = p;
    match->window.n = n;
    return CHY_OK;
}

enum chy_err chy_policy_match_sort(struct chy_policy_match *match, struct chy_arena *arena,
                                   struct chy_error *err)
{
    CHY_TRY(sort_all_strs(&chy_policy_match_schema, match, arena, err));
    CHY_TRY(sort_fact(&match->host, arena, err));
    CHY_TRY(sort_fact(&match->artifact_type, arena, err));
    CHY_TRY(sort_application(&match->application, arena, err));
    CHY_TRY(sort_named(&match->label.p, match->label.n, arena, err));
    CHY_TRY(sort_named(&match->fact.p, match->fact.n, arena, err));
    return sort_windows(match, arena, err);
}

/* --- bytes --- */

enum chy_err chy_policy_doc_encode(const struct chy_policy_doc *doc, struct chy_buf *out,
                                   struct chy_error *err)
{
    CHY_TRY(check_doc(doc, err));
    return chy_schema_encode(&chy_policy_doc_schema, doc, out, err);
}

enum chy_err chy_policy_doc_decode(struct chy_bytes in, struct chy_arena *arena,
                                   struct chy_policy_doc *ret_doc, struct chy_error *err)
{
    CHY_TRY(chy_schema_decode(&chy_policy_doc_schema, in, arena, ret_doc, err));
    return check_doc(ret_doc, err);
}

enum chy_err chy_policy_guard_encode(const struct chy_policy_guard_doc *doc, struct chy_buf *out,
                                     struct chy_error *err)
{
    CHY_TRY(check_guard(doc, err));
    return chy_schema_encode(&chy_policy_guard_doc_schema, doc, out, err);
}

enum chy_err chy_policy_guard_decode(struct chy_bytes in, struct chy_arena *arena,
                                     struct chy_policy_guard_doc *ret_doc, struct chy_error *err)
{
    CHY_TRY(chy_schema_decode(&chy_policy_guard_doc_schema, in, arena, ret_doc, err));
    return check_guard(ret_doc, err);
}
