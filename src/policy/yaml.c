/* SPDX-License-Identifier: MIT */
/* Three steps: the short forms that authors write are spelled out in the tree, the tree is read by
 * the tables of document.c, and what was read is checked and put in order.
 *
 *   host: build-*              host: {value: build-*}
 *   label: {branch: main}      label: [{name: branch, value: main}]
 *   window: {zone: …}          window: [{zone: …}] */
#include "policy/yaml.h"

#include <stdlib.h>

#include "base/limits.h"
#include "doc/doc.h"

struct spelling {
    struct chy_arena *arena;
    struct chy_error *err;
};

static enum chy_err no_memory(const struct spelling *s)
{
    return chy_fail(s->err, CHY_E_NOMEM, "no memory for a policy");
}

static enum chy_err refuse(const struct spelling *s, uint32_t line, struct chy_str name,
                           const char *what)
{
    return chy_fail(s->err, CHY_E_MALFORMED, "line %u: %.*s %s", line, CHY_STR_ARG(name), what);
}

static bool is_nothing(const struct chy_doc *doc)
{
    return doc->kind == CHY_DOC_NULL ||
           (doc->kind == CHY_DOC_TEXT && doc->text.n == 0 && !doc->is_quoted) ||
           ((doc->kind == CHY_DOC_LIST || doc->kind == CHY_DOC_MAP) && doc->n == 0);
}

/* A text or a list becomes {value: …}; a map stays. */
static enum chy_err spell_value(const struct spelling *s, struct chy_doc *doc)
{
    if (doc->kind == CHY_DOC_MAP)
        return CHY_OK;
    struct chy_doc_member *m = chy_arena_new(s->arena, struct chy_doc_member);
    if (m == NULL)
        return no_memory(s);
    *m = (struct chy_doc_member){ .name = CHY_STR("value"), .line = doc->line, .value = *doc };
    *doc = (struct chy_doc){ .kind = CHY_DOC_MAP, .line = doc->line, .members = m, .n = 1 };
    return CHY_OK;
}

/* "branch: main" becomes {name: branch, value: main}. */
static enum chy_err spell_named(const struct spelling *s, const struct chy_doc_member *from,
                                struct chy_doc *to)
{
    struct chy_doc value = from->value;
    if (is_nothing(&value))
        return refuse(s, from->line, from->name, "has no value");
    CHY_TRY(spell_value(s, &value));
    struct chy_doc_member *m = chy_arena_array(s->arena, struct chy_doc_member, value.n + 1);
    if (m == NULL)
        return no_memory(s);
    for (size_t i = 0; i < value.n; i++) {
        m[i + 1] = value.members[i];
        if (chy_str_equal_c(m[i + 1].name, "name"))
            return refuse(s, m[i + 1].line, from->name,
                          "has its name in front: it takes value, basis");
    }
    m[0].name = CHY_STR("name");
    m[0].line = from->line;
    m[0].value = (struct chy_doc){ .kind = CHY_DOC_TEXT, .line = from->line, .text = from->name };
    *to =
        (struct chy_doc){ .kind = CHY_DOC_MAP, .line = from->line, .members = m, .n = value.n + 1 };
    return CHY_OK;
}

static enum chy_err spell_map(const struct spelling *s, struct chy_str name, struct chy_doc *doc)
{
    if (doc->kind != CHY_DOC_MAP)
        return refuse(s, doc->line, name, "is a map of names and values");
    struct chy_doc *items = chy_arena_array(s->arena, struct chy_doc, doc->n);
    if (items == NULL)
        return no_memory(s);
    for (size_t i = 0; i < doc->n; i++)
        CHY_TRY(spell_named(s, &doc->members[i], &items[i]));
    *doc = (struct chy_doc){ .kind = CHY_DOC_LIST, .line = doc->line, .items = items, .n = doc->n };
    return CHY_OK;
}

static enum chy_err spell_list(const struct spelling *s, struct chy_doc *doc)
{
    if (doc->kind == CHY_DOC_LIST)
        return CHY_OK;
    struct chy_doc *item = chy_arena_new(s->arena, struct chy_doc);
    if (item == NULL)
        return no_memory(s);
    *item = *doc;
    *doc = (struct chy_doc){ .kind = CHY_DOC_LIST, .line = doc->line, .items = item, .n = 1 };
    return CHY_OK;
}

static enum chy_err spell_matcher(const struct spelling *s, struct chy_doc_member *m)
{
    /* A list that a script filled with nobody must not come to mean everybody. */
    if (is_nothing(&m->value))
        return refuse(s, m->line, m->name,
                      "has no value; to match everything leave the matcher out");
    if (chy_str_equal_c(m->name, "host") || chy_str_equal_c(m->name, "artifact_type"))
        return spell_value(s, &m->value);
    if (chy_str_equal_c(m->name, "label") || chy_str_equal_c(m->name, "fact"))
        return spell_map(s, m->name, &m->value);
    if (chy_str_equal_c(m->name, "window"))
        return spell_list(s, &m->value);
    return CHY_OK;
}

/* A copy of the map's members that may be changed. Not a map: what reads it will say so. */
static enum chy_err own_members(const struct spelling *s, struct chy_doc *doc,
                                struct chy_doc_member **ret)
{
    *ret = NULL;
    if (doc->kind != CHY_DOC_MAP)
        return CHY_OK;
    struct chy_doc_member *m = chy_arena_array(s->arena, struct chy_doc_member, doc->n);
    if (m == NULL)
        return no_memory(s);
    chy_copy(m, doc->members, doc->n * sizeof *m);
    doc->members = m;
    *ret = m;
    return CHY_OK;
}

static enum chy_err own_items(const struct spelling *s, struct chy_doc *doc, struct chy_doc **ret)
{
    *ret = NULL;
    if (doc->kind != CHY_DOC_LIST)
        return CHY_OK;
    struct chy_doc *items = chy_arena_array(s->arena, struct chy_doc, doc->n);
    if (items == NULL)
        return no_memory(s);
    chy_copy(items, doc->items, doc->n * sizeof *items);
    doc->items = items;
    *ret = items;
    return CHY_OK;
}

static enum chy_err spell_match(const struct spelling *s, struct chy_doc *doc)
{
    struct chy_doc_member *m;
    CHY_TRY(own_members(s, doc, &m));
    for (size_t i = 0; m != NULL && i < doc->n; i++)
        CHY_TRY(spell_matcher(s, &m[i]));
    return CHY_OK;
}

static enum chy_err spell_rule(const struct spelling *s, struct chy_doc *doc)
{
    struct chy_doc_member *m;
    CHY_TRY(own_members(s, doc, &m));
    for (size_t i = 0; m != NULL && i < doc->n; i++)
        if (chy_str_equal_c(m[i].name, "match") || chy_str_equal_c(m[i].name, "unless"))
            CHY_TRY(spell_match(s, &m[i].value));
    return CHY_OK;
}

static enum chy_err spell_rules(const struct spelling *s, struct chy_doc *doc)
{
    struct chy_doc_member *m;
    CHY_TRY(own_members(s, doc, &m));
    for (size_t i = 0; m != NULL && i < doc->n; i++) {
        struct chy_doc *rules;
        if (!chy_str_equal_c(m[i].name, "rules"))
            continue;
        if (m[i].value.kind == CHY_DOC_LIST && m[i].value.n > CHY_LIMIT_RULES)
            return chy_fail(s->err, CHY_E_LIMIT,
                            "line %u: there are %zu rules, at most %d are allowed", m[i].line,
                            m[i].value.n, CHY_LIMIT_RULES);
        CHY_TRY(own_items(s, &m[i].value, &rules));
        for (size_t k = 0; rules != NULL && k < m[i].value.n; k++)
            CHY_TRY(spell_rule(s, &rules[k]));
    }
    return CHY_OK;
}

/* --- checks and order --- */

struct placed_rule {
    struct chy_policy_rule rule;
    uint32_t line;
};

static int compare_placed(const void *va, const void *vb)
{
    const struct placed_rule *a = va;
    const struct placed_rule *b = vb;
    int c = chy_str_compare(a->rule.name, b->rule.name);
    return c != 0 ? c : (a->line > b->line) - (a->line < b->line);
}

static enum chy_err sort_match(struct chy_policy_match *match,
                               const struct chy_policy_match **unless, struct chy_arena *arena,
                               struct chy_error *err)
{
    CHY_TRY(chy_policy_match_sort(match, arena, err));
    if (unless == NULL || *unless == NULL)
        return CHY_OK;
    struct chy_policy_match *own = chy_arena_new(arena, struct chy_policy_match);
    if (own == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    *own = **unless;
    *unless = own;
    return chy_policy_match_sort(own, arena, err);
}

static enum chy_err finish_rule(struct placed_rule *r, struct chy_arena *arena,
                                struct chy_error *err)
{
    CHY_TRY(sort_match(&r->rule.match, &r->rule.unless, arena, err));
    enum chy_err result = chy_policy_rule_check(&r->rule, err);
    if (result == CHY_OK)
        return CHY_OK;
    return chy_error_prefix(err, result, "line %u: rule \"%.*s\"", r->line,
                            CHY_STR_ARG(r->rule.name));
}

/* `list` is the document's "rules", from which the lines come. */
static enum chy_err finish_rules(struct chy_policy_doc *doc, const struct chy_doc *list,
                                 struct chy_arena *arena, struct chy_error *err)
{
    struct placed_rule *placed = chy_arena_array(arena, struct placed_rule, doc->rules.n);
    struct chy_policy_rule *rules = chy_arena_array(arena, struct chy_policy_rule, doc->rules.n);
    if (placed == NULL || rules == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    for (size_t i = 0; i < doc->rules.n; i++) {
        placed[i] = (struct placed_rule){ doc->rules.p[i], list->items[i].line };
        CHY_TRY(finish_rule(&placed[i], arena, err));
    }
    if (doc->rules.n != 0)
        qsort(placed, doc->rules.n, sizeof *placed, compare_placed);
    for (size_t i = 0; i < doc->rules.n; i++) {
        if (i != 0 && chy_str_equal(placed[i - 1].rule.name, placed[i].rule.name))
            return chy_fail(err, CHY_E_MALFORMED,
                            "line %u: rule \"%.*s\" is there already, in line %u", placed[i].line,
                            CHY_STR_ARG(placed[i].rule.name), placed[i - 1].line);
        rules[i] = placed[i].rule;
    }
    doc->rules.p = rules;
    return CHY_OK;
}

enum chy_err chy_policy_from_yaml(struct chy_bytes text, struct chy_arena *arena,
                                  struct chy_policy_doc *ret_doc, struct chy_error *err)
{
    const struct chy_doc *parsed;
    struct chy_policy_doc doc;
    CHY_TRY(chy_yaml_parse(text, arena, &parsed, err));
    struct chy_doc tree = *parsed;
    CHY_TRY(spell_rules(&(struct spelling){ arena, err }, &tree));
    CHY_TRY(chy_doc_read(&chy_policy_doc_schema, &tree, arena, &doc, err));
    const struct chy_doc *list = chy_doc_get(&tree, "rules");
    if (list == NULL || list->n != doc.rules.n)
        return chy_fail(err, CHY_E_MALFORMED,
                        "rules is missing; a policy without rules has rules: []");
    CHY_TRY(finish_rules(&doc, list, arena, err));
    *ret_doc = doc;
    return CHY_OK;
}

enum chy_err chy_policy_guard_from_yaml(struct chy_bytes text, struct chy_arena *arena,
                                        struct chy_policy_guard_doc *ret_doc, struct chy_error *err)
{
    const struct chy_doc *parsed;
    CHY_TRY(chy_yaml_parse(text, arena, &parsed, err));
    if (parsed->kind != CHY_DOC_LIST || parsed->n == 0)
        return chy_fail(err, CHY_E_MALFORMED,
                        "line %u: a guard is a list of sets of matchers, at least one",
                        parsed->line);
    if (parsed->n > CHY_LIMIT_GUARD_ALTERNATIVES)
        return chy_fail(err, CHY_E_LIMIT, "a guard has %zu alternatives, at most %d are allowed",
                        parsed->n, CHY_LIMIT_GUARD_ALTERNATIVES);
    struct spelling s = { arena, err };
    struct chy_doc list = *parsed;
    struct chy_doc *items;
    CHY_TRY(own_items(&s, &list, &items));
    struct chy_policy_match *matches = chy_arena_array(arena, struct chy_policy_match, list.n);
    if (matches == NULL || items == NULL)
        return no_memory(&s);
    for (size_t i = 0; i < list.n; i++) {
        CHY_TRY(spell_match(&s, &items[i]));
        CHY_TRY(chy_doc_read(&chy_policy_match_schema, &items[i], arena, &matches[i], err));
        CHY_TRY(sort_match(&matches[i], NULL, arena, err));
        enum chy_err r = chy_policy_match_check(&matches[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "line %u", items[i].line);
        /* Guards that were stored when this was let through still hold. */
        if (chy_policy_match_is_open(&matches[i]))
            return chy_fail(err, CHY_E_MALFORMED,
                            "line %u: an alternative without matchers lets everybody in: take the "
                            "guard away instead",
                            items[i].line);
    }
    *ret_doc = (struct chy_policy_guard_doc){ .version = CHY_POLICY_VERSION };
    ret_doc->alternatives.p = matches;
    ret_doc->alternatives.n = list.n;
    return CHY_OK;
}
