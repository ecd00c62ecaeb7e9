/* SPDX-License-Identifier: MIT */
#include "store/principal.h"

#include "base/limits.h"

bool chy_principal_has(struct chy_strs set, struct chy_str element)
{
    for (size_t i = 0; i < set.n; i++)
        if (chy_str_equal(set.p[i], element))
            return true;
    return false;
}

static unsigned may_of_roles(struct chy_strs roles)
{
    static const unsigned may_of[] = {
        [CHY_ROLE_ADMINISTRATOR] = CHY_MAY_ADMINISTRATOR,
        [CHY_ROLE_KEY_MANAGER] = CHY_MAY_KEY_MANAGER,
        [CHY_ROLE_POLICY_AUTHOR] = CHY_MAY_POLICY_AUTHOR,
        [CHY_ROLE_AUDITOR] = CHY_MAY_AUDITOR,
    };
    unsigned may = CHY_MAY_ANYBODY | CHY_MAY_KNOWN;
    for (size_t i = 0; i < roles.n; i++) {
        int role;
        /* A role that this program does not know gives nothing. */
        if (chy_enum_find(&chy_role_enum, roles.p[i], &role, NULL) == CHY_OK && role > 0 &&
            (size_t)role < CHY_ARRAY_LEN(may_of))
            may |= may_of[role];
    }
    return may;
}

enum chy_err chy_principal_by_name(struct chy_store *s, struct chy_str name,
                                   struct chy_arena *arena, struct chy_principal *ret_principal,
                                   struct chy_error *err)
{
    struct chy_user user;
    CHY_TRY(chy_record_get(s, CHY_OBJECT_USER, name, &chy_user_schema, arena, &user, err));
    if (user.is_disabled)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "principal %.*s is disabled",
                        CHY_STR_ARG(user.name));
    *ret_principal = (struct chy_principal){
        .name = user.name,
        .method = CHY_AUTH_CERTIFICATE,
        .groups = user.groups,
        .roles = user.roles,
        .may = may_of_roles(user.roles),
    };
    return CHY_OK;
}

static enum chy_err credential_check(const struct chy_credential_record *c,
                                     const struct chy_caller *caller, int64_t now_us,
                                     struct chy_error *err)
{
    const char *what = c->method == CHY_AUTH_API_TOKEN ? "API token" : "client certificate";
    if (c->method != caller->method)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "the credential is no %s",
                        caller->method == CHY_AUTH_API_TOKEN ? "API token" : "client certificate");
    if (c->info.is_revoked)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "this %s was revoked", what);
    if (now_us >= c->info.expires_us)
        return chy_fail(err, CHY_E_EXPIRED,
                        "this %s has expired; ask an administrator for a new %s", what,
                        c->method == CHY_AUTH_API_TOKEN ? "one" : "enrolment code");
    return CHY_OK;
}

enum chy_err chy_principal_resolve(struct chy_store *s, const struct chy_caller *caller,
                                   int64_t now_us, struct chy_arena *arena,
                                   struct chy_principal *ret_principal, struct chy_error *err)
{
    if (caller->method == CHY_AUTH_NONE) {
        *ret_principal = (struct chy_principal){ .may = CHY_MAY_ANYBODY };
        return CHY_OK;
    }
    struct chy_credential_record c;
    struct chy_str name = chy_record_hash_name(arena, caller->credential);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a credential");
    enum chy_err r = chy_record_get(s, CHY_OBJECT_CREDENTIAL, name, &chy_credential_record_schema,
                                    arena, &c, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "this server knows no such %s",
                        caller->method == CHY_AUTH_API_TOKEN ? "API token" : "client certificate");
    CHY_TRY(r);
    CHY_TRY(credential_check(&c, caller, now_us, err));
    struct chy_principal p;
    r = chy_principal_by_name(s, c.principal, arena, &p, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "the principal of this credential is gone");
    CHY_TRY(r);
    p.method = c.method;
    p.is_agent = c.is_agent && c.method == CHY_AUTH_CERTIFICATE;
    p.is_scoped = c.method == CHY_AUTH_API_TOKEN;
    p.scopes = c.info.scopes;
    p.keys = c.info.keys;
    memcpy(p.credential_id, c.info.id, sizeof p.credential_id);
    memcpy(p.public_key_sha256, c.public_key_sha256, sizeof p.public_key_sha256);
    p.expires_us = c.info.expires_us;
    *ret_principal = p;
    return CHY_OK;
}

enum chy_err chy_principal_check(const struct chy_principal *p, const struct chy_op_row *row,
                                 struct chy_error *err)
{
    if ((row->may & CHY_MAY_ANYBODY) != 0)
        return CHY_OK;
    if (p->name.n == 0)
        return chy_fail(err, CHY_E_UNAUTHENTICATED,
                        "%s needs a client certificate or an API token; see `chancery enroll`",
                        row->id);
    if ((row->may & p->may) == 0)
        return chy_fail(err, CHY_E_FORBIDDEN, "%.*s has no role that allows %s",
                        CHY_STR_ARG(p->name), row->id);
    if (p->is_scoped && !chy_op_in_scopes(row, p->scopes))
        return chy_fail(err, CHY_E_FORBIDDEN, "this API token's scopes do not cover %s", row->id);
    return CHY_OK;
}

/* Glob with * (any run) and ? (any one byte), without recursion: on a mismatch go back to the last
 * star. */
static bool glob_matches(struct chy_str pattern, struct chy_str text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX;
    size_t star_t = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            star_t = t;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool chy_principal_may_key(const struct chy_principal *p, struct chy_str key)
{
    if (!p->is_scoped || p->keys.n == 0)
        return true;
    for (size_t i = 0; i < p->keys.n; i++)
        if (glob_matches(p->keys.p[i], key))
            return true;
    return false;
}

bool chy_principal_owns(const struct chy_principal *p, struct chy_strs owners)
{
    static const char group[] = "group:";
    for (size_t i = 0; i < owners.n; i++) {
        struct chy_str o = owners.p[i];
        if (chy_str_equal(o, p->name))
            return true;
        if (chy_str_starts(o, group) &&
            chy_principal_has(p->groups,
                              (struct chy_str){ o.p + sizeof group - 1, o.n - (sizeof group - 1) }))
            return true;
    }
    return false;
}
