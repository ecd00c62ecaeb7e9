/* SPDX-License-Identifier: MIT */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/limits.h"

struct chy_policy_doc policy_doc(const char *yaml, struct chy_arena *arena)
{
    struct chy_policy_doc doc = { 0 };
    struct chy_error err = { .text = "" };
    if (chy_policy_from_yaml(chy_str_bytes(chy_str_of(yaml)), arena, &doc, &err) != CHY_OK)
        fail_msg("%s in:\n%s", err.text, yaml);
    return doc;
}

struct chy_policy_rules *policy_of(const char *yaml)
{
    struct chy_policy_rules *rules = NULL;
    struct chy_error err = { .text = "" };
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct chy_policy_doc doc = policy_doc(yaml, &arena);
    if (chy_policy_compile(&doc, NOW_US, &rules, &err) != CHY_OK)
        fail_msg("%s in:\n%s", err.text, yaml);
    chy_arena_done(&arena);
    return rules;
}

struct chy_policy_guard *guard_of(const char *yaml)
{
    struct chy_policy_guard *guard = NULL;
    struct chy_policy_guard_doc doc;
    struct chy_error err = { .text = "" };
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (chy_policy_guard_from_yaml(chy_str_bytes(chy_str_of(yaml)), &arena, &doc, &err) != CHY_OK ||
        chy_policy_guard_compile(&doc, NOW_US, &guard, &err) != CHY_OK)
        fail_msg("%s in:\n%s", err.text, yaml);
    chy_arena_done(&arena);
    return guard;
}

const char *policy_error(const char *yaml)
{
    static struct chy_error err;
    struct chy_policy_doc doc;
    struct chy_arena arena;
    err.text[0] = '\0';
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (chy_policy_from_yaml(chy_str_bytes(chy_str_of(yaml)), &arena, &doc, &err) == CHY_OK)
        err.text[0] = '\0';
    chy_arena_done(&arena);
    return err.text;
}

const char *guard_error(const char *yaml)
{
    static struct chy_error err;
    struct chy_policy_guard_doc doc;
    struct chy_arena arena;
    err.text[0] = '\0';
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (chy_policy_guard_from_yaml(chy_str_bytes(chy_str_of(yaml)), &arena, &doc, &err) == CHY_OK)
        err.text[0] = '\0';
    chy_arena_done(&arena);
    return err.text;
}

struct chy_buf canonical_of(const struct chy_policy_doc *doc)
{
    struct chy_buf b;
    struct chy_error err = { .text = "" };
    chy_buf_init(&b, CHY_LIMIT_POLICY);
    if (chy_policy_doc_encode(doc, &b, &err) != CHY_OK)
        fail_msg("%s", err.text);
    return b;
}

/* --- the second implementation --- */

static bool ref_glob(const char *p, size_t p_n, const char *t, size_t t_n)
{
    if (p_n == 0)
        return t_n == 0;
    if (*p == '*')
        return ref_glob(p + 1, p_n - 1, t, t_n) || (t_n != 0 && ref_glob(p, p_n, t + 1, t_n - 1));
    return t_n != 0 && (*p == '?' || *p == *t) && ref_glob(p + 1, p_n - 1, t + 1, t_n - 1);
}

static bool any_glob(const struct chy_strs *patterns, struct chy_str text)
{
    bool any = false;
    for (size_t i = 0; i < patterns->n; i++)
        any |= ref_glob(patterns->p[i].p, patterns->p[i].n, text.p, text.n);
    return any;
}

static int ref_text(const struct chy_strs *patterns, const char *text)
{
    if (patterns->n == 0)
        return REF_YES;
    if (text == NULL || *text == '\0')
        return REF_UNKNOWN;
    return any_glob(patterns, chy_str_of(text)) ? REF_YES : REF_NO;
}

static int ref_str(const struct chy_strs *patterns, struct chy_str text)
{
    if (patterns->n == 0)
        return REF_YES;
    return text.n == 0 ? REF_UNKNOWN : any_glob(patterns, text) ? REF_YES : REF_NO;
}

static int ref_set(const struct chy_strs *patterns, const struct chy_strs *texts)
{
    if (patterns->n == 0)
        return REF_YES;
    for (size_t i = 0; i < texts->n; i++)
        if (any_glob(patterns, texts->p[i]))
            return REF_YES;
    return REF_NO;
}

/* The tests use these networks only. */
static int ref_network(const struct chy_strs *networks, struct chy_str address)
{
    if (networks->n == 0)
        return REF_YES;
    if (address.n == 0)
        return REF_UNKNOWN;
    for (size_t i = 0; i < networks->n; i++) {
        const char *prefix = chy_str_equal_c(networks->p[i], "10.0.0.0/8")      ? "10."
                             : chy_str_equal_c(networks->p[i], "192.0.2.0/24")  ? "192.0.2."
                             : chy_str_equal_c(networks->p[i], "2001:db8::/32") ? "2001:db8:"
                                                                                : NULL;
        assert_non_null(prefix);
        if (chy_str_starts(address, prefix))
            return REF_YES;
    }
    return REF_NO;
}

/* The tests use these patterns only. */
static bool ref_command(struct chy_str pattern, struct chy_str text)
{
    if (chy_str_equal_c(pattern, "sign .*"))
        return chy_str_starts(text, "sign ");
    if (chy_str_equal_c(pattern, "(?i)sign [ab]"))
        return chy_str_equal_c(text, "sign a") || chy_str_equal_c(text, "SIGN a") ||
               chy_str_equal_c(text, "sign b");
    assert_true(chy_str_equal_c(pattern, "other"));
    return chy_str_equal_c(text, "other");
}

struct said {
    struct chy_str value;
    int best;
    bool twice;
    bool there;
};

static void hear(struct said *s, struct chy_str value, int basis)
{
    if (s->there && !chy_str_equal(s->value, value))
        s->twice = true;
    s->best = s->there && s->best > basis ? s->best : basis;
    s->value = value;
    s->there = true;
}

static struct said what_is_said(const struct chy_policy_request *r, struct chy_str name)
{
    struct said s = { .there = false };
    for (size_t l = 0; l < CHY_POLICY_FACT_LISTS; l++)
        for (size_t i = 0; i < r->facts[l].n; i++)
            if (chy_str_equal(r->facts[l].p[i].name, name))
                hear(&s, r->facts[l].p[i].value, (int)r->facts[l].p[i].basis);
    if (chy_str_equal_c(name, "artifact.type") && r->artifact_type.n != 0)
        hear(&s, r->artifact_type, CHY_BASIS_DECLARED);
    return s;
}

static int ref_said(const struct chy_strs *patterns, struct said s, enum chy_policy_basis basis,
                    bool grants, bool is_command)
{
    int need = basis == CHY_POLICY_BASIS_DEFAULT ? (grants ? 1 : 0) : (int)basis - 1;
    if (patterns->n == 0)
        return REF_YES;
    if (!s.there || s.twice || s.best < need)
        return REF_UNKNOWN;
    if (!is_command)
        return any_glob(patterns, s.value) ? REF_YES : REF_NO;
    for (size_t i = 0; i < patterns->n; i++)
        if (ref_command(patterns->p[i], s.value))
            return REF_YES;
    return REF_NO;
}

static int digits(struct chy_str s, size_t at, size_t n)
{
    int v = 0;
    for (size_t i = at; i < at + n; i++)
        v = v * 10 + (s.p[i] - '0');
    return v;
}

static int date_key(struct chy_str s)
{
    return digits(s, 0, 4) * 10000 + digits(s, 5, 2) * 100 + digits(s, 8, 2);
}

static bool dates_have(const struct chy_strs *dates, int key)
{
    for (size_t i = 0; i < dates->n; i++) {
        struct chy_str d = dates->p[i];
        struct chy_str last = d.n > 10 ? (struct chy_str){ d.p + 12, 10 } : d;
        if (key >= date_key(d) && key <= date_key(last))
            return true;
    }
    return false;
}

static bool days_have(const struct chy_strs *days, int weekday)
{
    static const char names[] = "sunmontuewedthufrisat";
    for (size_t i = 0; i < days->n; i++) {
        int first = -1;
        int last = -1;
        for (int d = 0; d < 7; d++) {
            if (memcmp(names + 3 * d, days->p[i].p, 3) == 0)
                first = d;
            if (memcmp(names + 3 * d, days->p[i].p + days->p[i].n - 3, 3) == 0)
                last = d;
        }
        assert_true(first >= 0 && last >= 0);
        for (int d = first;; d = (d + 1) % 7) {
            if (d == weekday)
                return true;
            if (d == last)
                break;
        }
    }
    return days->n == 0;
}

static bool is_day_of(const struct chy_policy_window *w, const struct tm *day)
{
    int key = (day->tm_year + 1900) * 10000 + (day->tm_mon + 1) * 100 + day->tm_mday;
    return days_have(&w->days, day->tm_wday) && (w->dates.n == 0 || dates_have(&w->dates, key)) &&
           !dates_have(&w->except, key);
}

int ref_window(const struct chy_policy_window *w, int64_t time_us)
{
    char zone[64] = "";
    memcpy(zone, w->zone.p, w->zone.n);
    setenv("TZ", zone, 1);
    tzset();
    time_t t = (time_t)(time_us / 1000000);
    struct tm shown;
    localtime_r(&t, &shown);
    /* The day before, by the calendar alone: noon of it, so that no change of the clock is near. */
    struct tm before = { .tm_year = shown.tm_year,
                         .tm_mon = shown.tm_mon,
                         .tm_mday = shown.tm_mday };
    before.tm_hour = 12;
    time_t noon = timegm(&before) - 86400;
    gmtime_r(&noon, &before);

    int minute = shown.tm_hour * 60 + shown.tm_min;
    int from = w->from.n != 0 ? digits(w->from, 0, 2) * 60 + digits(w->from, 3, 2) : 0;
    int to = w->to.n != 0 ? digits(w->to, 0, 2) * 60 + digits(w->to, 3, 2) : 24 * 60;
    if (from < to)
        return is_day_of(w, &shown) && minute >= from && minute < to ? REF_YES : REF_NO;
    bool inside =
        (is_day_of(w, &shown) && minute >= from) || (is_day_of(w, &before) && minute < to);
    return inside ? REF_YES : REF_NO;
}

static int ref_windows(const struct chy_policy_match *m, int64_t time_us)
{
    if (m->window.n == 0)
        return REF_YES;
    if (time_us < NOW_US - 2 * DAY_US || time_us >= NOW_US + CHY_LIMIT_WINDOW_DAYS * DAY_US)
        return REF_UNKNOWN;
    for (size_t i = 0; i < m->window.n; i++)
        if (ref_window(&m->window.p[i], time_us) == REF_YES)
            return REF_YES;
    return REF_NO;
}

static int both(int a, int b)
{
    return a < b ? a : b;
}

static struct said label_said(const struct chy_policy_request *r, struct chy_str name)
{
    struct said s = { .there = false };
    for (size_t i = 0; i < r->labels.n; i++)
        if (chy_str_equal(r->labels.p[i].name, name))
            hear(&s, r->labels.p[i].value, CHY_BASIS_DECLARED);
    return s;
}

static int ref_facts(const struct chy_policy_match *m, const struct chy_policy_request *r,
                     bool grants)
{
    int v = REF_YES;
    if (m->host != NULL)
        v = both(v, ref_said(&m->host->value, what_is_said(r, CHY_STR("host")), m->host->basis,
                             grants, false));
    if (m->artifact_type != NULL)
        v = both(v, ref_said(&m->artifact_type->value, what_is_said(r, CHY_STR("artifact.type")),
                             m->artifact_type->basis, grants, false));
    const struct chy_application_matcher *a = m->application;
    if (a != NULL) {
        v = both(v, ref_said(&a->path, what_is_said(r, CHY_STR("application.path")), a->basis,
                             grants, false));
        v = both(v, ref_said(&a->sha256, what_is_said(r, CHY_STR("application.sha256")), a->basis,
                             grants, false));
        v = both(v, ref_said(&a->command, what_is_said(r, CHY_STR("application.command")), a->basis,
                             grants, true));
    }
    for (size_t i = 0; i < m->label.n; i++)
        v = both(v, ref_said(&m->label.p[i].value, label_said(r, m->label.p[i].name),
                             m->label.p[i].basis, grants, false));
    for (size_t i = 0; i < m->fact.n; i++)
        v = both(v, ref_said(&m->fact.p[i].value, what_is_said(r, m->fact.p[i].name),
                             m->fact.p[i].basis, grants, false));
    return v;
}

static const char *named(const struct chy_enum *e, int value)
{
    return value == 0 ? NULL : chy_enum_name(e, value);
}

/* rsa-pkcs1-raw is allowed by its name alone: a pattern, or nothing, may mean it or not. */
static int ref_algorithm(const struct chy_policy_match *m, const struct chy_policy_request *r,
                         bool allows)
{
    if (allows && r->algorithm == CHY_ALG_NONE)
        return REF_UNKNOWN;
    if (!allows || r->algorithm != CHY_ALG_RSA_PKCS1_RAW)
        return ref_text(&m->algorithm, named(&chy_sign_alg_enum, (int)r->algorithm));
    for (size_t i = 0; i < m->algorithm.n; i++)
        if (chy_str_equal_c(m->algorithm.p[i], "rsa-pkcs1-raw"))
            return REF_YES;
    return REF_NO;
}

static int ref_match(const struct chy_policy_match *m, const struct chy_policy_request *r,
                     bool grants, bool allows)
{
    int v = REF_YES;
    v = both(v, ref_str(&m->key, r->key.name));
    v = both(v, ref_set(&m->key_group, &r->key.groups));
    v = both(v, ref_text(&m->key_type, named(&chy_key_type_enum, (int)r->key.type)));
    v = both(v, ref_set(&m->purpose, &(struct chy_strs){ &r->key.purpose, 1 }));
    v = both(v, ref_algorithm(m, r, allows));
    v = both(v, ref_str(&m->principal, r->caller.principal));
    v = both(v, ref_set(&m->group, &r->caller.groups));
    v = both(v, ref_set(&m->role, &r->caller.roles));
    v = both(v, ref_text(&m->method, named(&chy_auth_method_enum, (int)r->caller.method)));
    v = both(v, ref_network(&m->network, r->address));
    v = both(v, ref_facts(m, r, grants));
    return both(v, ref_windows(m, r->time_us));
}

int ref_guard(const struct chy_policy_guard_doc *guard, const struct chy_policy_request *request)
{
    int best = REF_NO;
    for (size_t i = 0; i < guard->alternatives.n; i++) {
        int v = ref_match(&guard->alternatives.p[i], request, true, true);
        best = best > v ? best : v;
    }
    return best;
}

int ref_rule(const struct chy_policy_rule *rule, const struct chy_policy_request *request)
{
    bool allows = rule->effect == CHY_EFFECT_ALLOW;
    int v = ref_match(&rule->match, request, allows, allows);
    if (rule->unless != NULL)
        v = both(v, REF_YES - ref_match(rule->unless, request, true, false));
    return v;
}

static size_t collect(const struct chy_policy_doc *doc, const struct chy_policy_request *request,
                      enum chy_policy_effect effect, struct chy_str *rules, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < doc->rules.n; i++) {
        const struct chy_policy_rule *rule = &doc->rules.p[i];
        int v = ref_rule(rule, request);
        bool applies = effect == CHY_EFFECT_ALLOW ? v == REF_YES : v != REF_NO;
        if (rule->effect == effect && applies)
            rules[n + found++] = rule->name;
    }
    return found;
}

static int by_name(const void *a, const void *b)
{
    return chy_str_compare(*(const struct chy_str *)a, *(const struct chy_str *)b);
}

enum chy_decision ref_decide(const struct chy_policy_doc *doc,
                             const struct chy_policy_guard_doc *guard,
                             const struct chy_policy_request *request, struct chy_str *rules,
                             size_t *rule_count)
{
    bool has_reason = false;
    for (size_t i = 0; i < request->reason.n; i++)
        has_reason |= request->reason.p[i] != ' ';

    *rule_count = collect(doc, request, CHY_EFFECT_DENY, rules, 0);
    if (*rule_count != 0)
        return CHY_DECISION_DENIED;
    if (guard != NULL && ref_guard(guard, request) != REF_YES)
        return CHY_DECISION_DENIED;
    size_t allow_n = collect(doc, request, CHY_EFFECT_ALLOW, rules, 0);
    if (allow_n == 0)
        return CHY_DECISION_DENIED;
    if (has_reason) {
        *rule_count = allow_n + collect(doc, request, CHY_EFFECT_REQUIRE, rules, allow_n);
        qsort(rules, *rule_count, sizeof *rules, by_name);
        return CHY_DECISION_ALLOWED;
    }
    *rule_count = collect(doc, request, CHY_EFFECT_REQUIRE, rules, 0);
    if (*rule_count != 0)
        return CHY_DECISION_HELD;
    *rule_count = collect(doc, request, CHY_EFFECT_ALLOW, rules, 0);
    return CHY_DECISION_ALLOWED;
}
