/* SPDX-License-Identifier: MIT */
#include "query/entry_text.h"

#include "base/limits.h"
#include "codec/hex.h"
#include "policy/facts.h"

enum {
    TEXT_MAX = 4 * CHY_LIMIT_TEXT,
    RULES_SHOWN = 4,
    DIGEST_SHOWN = 8, /* bytes: enough to compare by eye, the whole is in the entry */
    PROGRAM_MAX = 64, /* bytes of a program's name */
};

struct chy_str query_entry_key(const struct chy_entry *entry)
{
    bool may_be = entry->kind == CHY_ENTRY_SIGN_INTENT || entry->kind == CHY_ENTRY_SIGN_OUTCOME ||
                  entry->kind == CHY_ENTRY_KEY || entry->kind == CHY_ENTRY_KEY_INTENT;
    /* A certificate for a principal is about him, though our CA's key is used for it. */
    return may_be && !chy_str_starts(entry->action, "user.") ? entry->subject : CHY_STR("");
}

static void say_quoted(struct chy_buf *out, struct chy_str name)
{
    chy_buf_printf(out, "\"%.*s\"", CHY_STR_ARG(name));
}

static void say_rules(struct chy_buf *out, const struct chy_entry *e)
{
    for (size_t i = 0; i < e->rules.n && i < RULES_SHOWN; i++) {
        chy_buf_append_c(out, i == 0 ? (e->rules.n == 1 ? " by rule " : " by rules ") : ", ");
        say_quoted(out, e->rules.p[i]);
    }
    if (e->rules.n > RULES_SHOWN)
        chy_buf_printf(out, " and %zu more", e->rules.n - RULES_SHOWN);
}

static void say_digest(struct chy_buf *out, const struct chy_entry *e)
{
    const char *algorithm = chy_enum_name(&chy_sign_alg_enum, (int)e->algorithm);
    if (e->digest.n == 0)
        return;
    chy_buf_printf(out, " (%s, digest ", algorithm != NULL ? algorithm : "?");
    chy_hex_append(out,
                   (struct chy_bytes){ e->digest.p, CHY_MIN(e->digest.n, (size_t)DIGEST_SHOWN) });
    chy_buf_append_c(out, e->digest.n > DIGEST_SHOWN ? "…)" : ")");
}

const struct chy_fact *query_entry_application(const struct chy_entry_detail *detail)
{
    const struct chy_fact *best = NULL;
    for (size_t i = 0; i < detail->facts.n; i++) {
        const struct chy_fact *f = &detail->facts.p[i];
        if (chy_str_equal_c(f->name, CHY_FACT_APPLICATION_PATH) &&
            (best == NULL || f->basis > best->basis))
            best = f;
    }
    return best;
}

/* "/usr/bin/jarsigner" gives "jarsigner"; of Windows' paths alike. */
static struct chy_str base_name(struct chy_str path)
{
    size_t from = path.n;
    while (from > 0 && path.p[from - 1] != '/' && path.p[from - 1] != '\\')
        from--;
    struct chy_str left = { path.p + from, path.n - from };
    struct chy_str name = { left.p, 0 };
    while (name.n < left.n) {
        size_t n = chy_utf8_char((struct chy_str){ left.p + name.n, left.n - name.n });
        if (n == 0 || name.n + n > PROGRAM_MAX)
            break;
        name.n += n;
    }
    return name;
}

/* ` with "jarsigner" (agent)`: who says so is part of it. */
static void say_application(struct chy_buf *out, const struct chy_fact *application)
{
    if (application == NULL)
        return;
    chy_buf_append_c(out, " with ");
    say_quoted(out, base_name(application->value));
    chy_buf_printf(out, " (%s)", chy_enum_name(&chy_basis_enum, (int)application->basis));
}

static void say_who(struct chy_buf *out, const struct chy_entry *e)
{
    if (e->principal.n > 0)
        chy_buf_append_str(out, e->principal);
    else
        chy_buf_append_c(out, "somebody");
}

static void say_decision(struct chy_buf *out, const struct chy_entry *e)
{
    switch (e->decision) {
    case CHY_DECISION_ALLOWED:
        chy_buf_append_c(out, ": allowed");
        break;
    case CHY_DECISION_DENIED:
        chy_buf_append_c(out, ": denied");
        break;
    case CHY_DECISION_HELD:
        chy_buf_append_c(out, ": held");
        break;
    case CHY_DECISION_NONE:
        return;
    }
    say_rules(out, e);
}

static void say_outcome(struct chy_buf *out, const struct chy_entry *e)
{
    switch (e->outcome) {
    case CHY_OUTCOME_NONE:
        return;
    case CHY_OUTCOME_DONE:
        chy_buf_append_c(out, ": done");
        break;
    case CHY_OUTCOME_FAILED:
        chy_buf_append_c(out, ": failed");
        break;
    case CHY_OUTCOME_UNKNOWN:
        chy_buf_append_c(out, ": unknown, not answered");
        break;
    }
    chy_buf_printf(out, " (intent %llu)", (unsigned long long)e->intent_index);
}

/* "alice: certificate.import of key "release": done" */
static void say_action(struct chy_buf *out, const struct chy_entry *e, const char *noun)
{
    say_who(out, e);
    chy_buf_printf(out, ": %.*s", CHY_STR_ARG(e->action));
    if (e->subject.n > 0) {
        chy_buf_printf(out, " of %s ", noun);
        say_quoted(out, e->subject);
    }
}

static void say_entry(struct chy_buf *out, const struct chy_entry *e,
                      const struct chy_fact *application)
{
    bool is_about_key = query_entry_key(e).n > 0;
    switch (e->kind) {
    case CHY_ENTRY_SERVER_START:
        chy_buf_printf(out, "node \"%.*s\" began to serve", CHY_STR_ARG(e->node));
        return;
    case CHY_ENTRY_SERVER_STOP:
        chy_buf_printf(out, "node \"%.*s\" stopped", CHY_STR_ARG(e->node));
        return;
    case CHY_ENTRY_SIGN_INTENT:
        say_who(out, e);
        chy_buf_append_c(out, " asked for a signature by key ");
        say_quoted(out, e->subject);
        say_application(out, application);
        say_digest(out, e);
        say_decision(out, e);
        return;
    case CHY_ENTRY_SIGN_OUTCOME:
        chy_buf_append_c(out, "signature by key ");
        say_quoted(out, e->subject);
        chy_buf_append_c(out, " for ");
        say_who(out, e);
        say_application(out, application);
        say_digest(out, e);
        say_outcome(out, e);
        return;
    case CHY_ENTRY_POLICY:
        say_who(out, e);
        chy_buf_printf(out, " put policy %llu in force", (unsigned long long)e->policy_number);
        return;
    case CHY_ENTRY_KEY:
    case CHY_ENTRY_USER:
        say_action(out, e, is_about_key ? "key" : "principal");
        say_outcome(out, e);
        return;
    case CHY_ENTRY_KEY_INTENT:
        say_action(out, e, is_about_key ? "key" : "principal");
        say_digest(out, e);
        chy_buf_append_c(out, ": about to be done");
        return;
    case CHY_ENTRY_RECOVERY:
        say_who(out, e);
        chy_buf_append_c(out, " accepted an older store");
        return;
    }
    chy_buf_printf(out, "entry of kind %d", (int)e->kind);
}

/* Free text is of many lines and of any length: one line of it, as far as there is room. */
static void say_free(struct chy_buf *out, const char *what, struct chy_str text)
{
    if (text.n == 0 || out->n + 16 > TEXT_MAX)
        return;
    chy_buf_append_c(out, what);
    while (text.n > 0) {
        size_t n = chy_utf8_char(text);
        bool is_plain = n > 0 && chy_text_is_plain((struct chy_str){ text.p, n });
        if (out->n + 4 > TEXT_MAX)
            return;
        if (is_plain)
            chy_buf_append_str(out, (struct chy_str){ text.p, n });
        else
            chy_buf_append_u8(out, ' ');
        n = n > 0 ? n : 1;
        text.p += n;
        text.n -= n;
    }
}

struct chy_str query_entry_text(const struct chy_entry *entry,
                                const struct chy_entry_detail *detail,
                                const struct chy_fact *application, struct chy_arena *arena)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, TEXT_MAX);
    say_entry(&out, entry, application);
    if (detail != NULL) {
        say_free(&out, "; file ", detail->artifact_name);
        say_free(&out, "; reason: ", detail->reason);
        say_free(&out, "; ", detail->text);
    }
    /* Names are short: what an entry can say without its detail always fits. */
    if (chy_buf_check(&out, NULL) != CHY_OK)
        return (struct chy_str){ NULL, 0 };
    return chy_arena_str(arena, chy_buf_str(&out));
}
