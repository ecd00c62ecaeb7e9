/* SPDX-License-Identifier: MIT */
/* Keys, as far as the caller may know of them: all, for those who manage or audit; else those that
 * he owns, or that policy might let him use. An API token that is limited to some keys sees no
 * other. */
#include "base/limits.h"
#include "crypto/pem.h"
#include "query/handlers.h"
#include "query/policy.h"

enum {
    SEES_ALL = CHY_MAY_KEY_MANAGER | CHY_MAY_AUDITOR | CHY_MAY_ADMINISTRATOR
};

static bool owns(const struct query_call *call, const struct chy_key *key)
{
    return chy_principal_owns(&call->who, key->owners);
}

/* Its guard is left out of the question: whether it lets somebody in is said when he signs. */
static enum chy_err may_use(struct query_call *call, const struct chy_key *key, bool *ret,
                            struct chy_error *err)
{
    const struct chy_policy_rules *rules;
    CHY_TRY(query_policy_get(call, &rules, err));
    const struct chy_policy_key k = {
        .name = key->name, .groups = key->groups, .purpose = key->purpose, .type = key->type
    };
    const struct chy_policy_caller caller = { .principal = call->who.name,
                                              .groups = call->who.groups,
                                              .roles = call->who.roles,
                                              .method = call->who.method };
    *ret = chy_policy_may_use(rules, &k, &caller);
    return CHY_OK;
}

static enum chy_err is_visible(struct query_call *call, const struct chy_key *key, bool *ret,
                               struct chy_error *err)
{
    *ret = false;
    if (key->class != CHY_KEY_CLASS_SIGNING || !chy_principal_may_key(&call->who, key->name))
        return CHY_OK;
    *ret = query_has_role(call, SEES_ALL) || owns(call, key);
    if (*ret || key->state == CHY_KEY_STATE_DESTROYED)
        return CHY_OK;
    return may_use(call, key, ret, err);
}

/* What a key's owners demand is for them, and for those who read policies anyway. */
static enum chy_err key_finish(struct query_call *call, struct chy_key *key, struct chy_error *err)
{
    if (!query_has_role(call, SEES_ALL | CHY_MAY_POLICY_AUTHOR) && !owns(call, key))
        key->guard = CHY_STR("");
    return chy_record_key_warnings(key, call->now_us, &call->arena, err);
}

struct key_walk {
    struct query_call *call;
    struct chy_arena scratch; /* for one record; most need not be kept */
    struct chy_buf keys;      /* of struct chy_key */
};

static void key_walk_done(struct key_walk *w)
{
    chy_arena_done(&w->scratch);
    chy_buf_done(&w->keys);
}

static enum chy_err key_add(void *ctx, struct chy_str name, struct chy_bytes body,
                            struct chy_error *err)
{
    struct key_walk *w = ctx;
    struct chy_key_record record;
    struct chy_key key;
    bool sees;
    chy_arena_reset(&w->scratch);
    if (chy_schema_decode(&chy_key_record_schema, body, &w->scratch, &record, err) != CHY_OK)
        return chy_fail(err, CHY_E_INTEGRITY, "the stored key \"%.*s\" does not decode",
                        CHY_STR_ARG(name));
    CHY_TRY(is_visible(w->call, &record.key, &sees, err));
    if (!sees)
        return CHY_OK;
    CHY_TRY(chy_schema_copy(&chy_key_schema, &record.key, &w->call->arena, &key, err));
    CHY_TRY(key_finish(w->call, &key, err));
    chy_buf_append(&w->keys, (struct chy_bytes){ (const uint8_t *)&key, sizeof key });
    return chy_buf_check(&w->keys, err);
}

enum chy_err query_keys_list(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_key_list *list = response;
    CHY_CLEANUP(key_walk_done) struct key_walk w = { .call = call };
    chy_arena_init(&w.scratch, CHY_LIMIT_FRAME);
    chy_buf_init(&w.keys, CHY_LIMIT_LIST * sizeof(struct chy_key));
    CHY_TRY(chy_store_walk(call->q->store, CHY_OBJECT_KEY, CHY_STR(""), key_add, &w, err));
    struct chy_bytes own = chy_arena_bytes(&call->arena, chy_buf_bytes(&w.keys));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of keys");
    list->keys.p = (const void *)own.p;
    list->keys.n = own.n / sizeof(struct chy_key);
    return CHY_OK;
}

enum chy_err query_keys_show(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_key_name *r = call->request;
    struct chy_key_record record;
    bool sees = false;
    enum chy_err code = chy_record_get(call->q->store, CHY_OBJECT_KEY, r->name,
                                       &chy_key_record_schema, &call->arena, &record, err);
    if (code == CHY_OK)
        CHY_TRY(is_visible(call, &record.key, &sees, err));
    else if (code != CHY_E_NOT_FOUND)
        return code;
    if (!sees)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\" that you may see",
                        CHY_STR_ARG(r->name));
    CHY_TRY(key_finish(call, &record.key, err));
    *(struct chy_key *)response = record.key;
    return CHY_OK;
}

enum chy_err query_development_ca(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_pem *answer = response;
    struct chy_key_record record;
    enum chy_err r =
        chy_record_get(call->q->store, CHY_OBJECT_KEY, CHY_STR(CHY_KEY_NAME_DEVELOPMENT_CA),
                       &chy_key_record_schema, &call->arena, &record, err);
    if (r == CHY_E_NOT_FOUND || (r == CHY_OK && record.key.certificates.n == 0))
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "there is no development CA yet; it comes with its first certificate");
    CHY_TRY(r);
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, 2 * CHY_LIMIT_CERTIFICATE);
    chy_pem_append(&pem, "CERTIFICATE", record.key.certificates.p[0].der);
    CHY_TRY(chy_buf_check(&pem, err));
    answer->pem = chy_arena_str(&call->arena, chy_buf_str(&pem));
    return answer->pem.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for PEM");
}
