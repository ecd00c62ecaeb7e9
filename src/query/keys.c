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

/* Of one answer, past which no key is added: as JSON, in base 64 and with names of fields, it must
 * be below CHY_LIMIT_JSON, or no client reads it. */
#define PAGE_BYTES ((size_t)1048576 * 3 / 2)

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

/* What the query leaves of it. `usable` asks for less than being seen: roles and ownership let
 * nobody sign. */
static enum chy_err is_asked(struct query_call *call, const struct chy_key_query *asked,
                             const struct chy_key *key, bool *ret, struct chy_error *err)
{
    *ret = false;
    if (key->class != CHY_KEY_CLASS_SIGNING || !chy_principal_may_key(&call->who, key->name))
        return CHY_OK;
    if (asked->usable && key->state != CHY_KEY_STATE_ACTIVE)
        return CHY_OK;
    *ret = !asked->usable && (query_has_role(call, SEES_ALL) || owns(call, key));
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
    const struct chy_key_query *asked;
    struct chy_arena scratch; /* for one record; most need not be kept */
    struct chy_buf keys;      /* of struct chy_key */
    size_t n;
    size_t bytes;
    struct chy_str last; /* name of the last that was added */
    bool is_cut;         /* there are more behind it, seen or not */
};

static void key_walk_done(struct key_walk *w)
{
    chy_arena_done(&w->scratch);
    chy_buf_done(&w->keys);
}

static enum chy_err key_keep(struct key_walk *w, const struct chy_key_record *record,
                             size_t record_bytes, struct chy_error *err)
{
    struct chy_key key;
    CHY_TRY(chy_schema_copy(&chy_key_schema, &record->key, &w->call->arena, &key, err));
    CHY_TRY(key_finish(w->call, &key, err));
    chy_buf_append(&w->keys, (struct chy_bytes){ (const uint8_t *)&key, sizeof key });
    w->n++;
    w->bytes += record_bytes;
    w->last = key.name;
    return chy_buf_check(&w->keys, err);
}

static enum chy_err key_add(void *ctx, struct chy_str name, struct chy_bytes body,
                            struct chy_error *err)
{
    struct key_walk *w = ctx;
    struct chy_key_record record;
    bool is_wanted;
    size_t limit = w->asked->limit != 0 ? w->asked->limit : CHY_LIMIT_KEY_PAGE;
    w->is_cut = w->n == limit || w->bytes > PAGE_BYTES;
    if (w->is_cut)
        return CHY_E_EXISTS; /* enough */
    chy_arena_reset(&w->scratch);
    CHY_TRY(chy_record_decode(&chy_key_record_schema, name, body, &w->scratch, &record, err));
    CHY_TRY(is_asked(w->call, w->asked, &record.key, &is_wanted, err));
    return is_wanted ? key_keep(w, &record, body.n, err) : CHY_OK;
}

/* That an id is in no key's record any more is as good as no key. */
static enum chy_err key_add_by_id(struct key_walk *w, struct chy_error *err)
{
    struct query *q = w->call->q;
    struct chy_str name;
    struct chy_key_record record;
    bool is_wanted;
    CHY_TRY(query_key_ids_find(&q->key_ids, q->store, w->asked->id, &name, err));
    if (name.n == 0 || chy_str_compare(name, w->asked->after) <= 0)
        return CHY_OK;
    enum chy_err r = chy_record_get(q->store, CHY_OBJECT_KEY, name, &chy_key_record_schema,
                                    &w->scratch, &record, err);
    if (r == CHY_E_NOT_FOUND)
        return CHY_OK;
    CHY_TRY(r);
    CHY_TRY(is_asked(w->call, w->asked, &record.key, &is_wanted, err));
    is_wanted &= chy_bytes_equal((struct chy_bytes){ record.key.id, CHY_ID_BYTES },
                                 (struct chy_bytes){ w->asked->id, CHY_ID_BYTES });
    return is_wanted ? key_keep(w, &record, 0, err) : CHY_OK;
}

static bool asks_for_id(const struct chy_key_query *asked)
{
    static const uint8_t none[CHY_ID_BYTES];
    return !chy_bytes_equal((struct chy_bytes){ asked->id, CHY_ID_BYTES },
                            (struct chy_bytes){ none, CHY_ID_BYTES });
}

enum chy_err query_keys_list(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_key_list *list = response;
    CHY_CLEANUP(key_walk_done) struct key_walk w = { .call = call, .asked = call->request };
    chy_arena_init(&w.scratch, CHY_LIMIT_FRAME);
    chy_buf_init(&w.keys, CHY_LIMIT_KEY_PAGE * sizeof(struct chy_key));
    if (asks_for_id(w.asked))
        CHY_TRY(key_add_by_id(&w, err));
    else
        CHY_TRY(chy_store_walk(call->q->store, CHY_OBJECT_KEY, w.asked->after, key_add, &w, err));
    struct chy_bytes own = chy_arena_bytes(&call->arena, chy_buf_bytes(&w.keys));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of keys");
    list->keys.p = (const void *)own.p;
    list->keys.n = w.n;
    list->next = w.is_cut ? w.last : CHY_STR("");
    return CHY_OK;
}

enum chy_err query_keys_show(struct query_call *call, void *response, struct chy_error *err)
{
    static const struct chy_key_query any;
    const struct chy_key_name *r = call->request;
    struct chy_key_record record;
    bool sees = false;
    enum chy_err code = chy_record_get(call->q->store, CHY_OBJECT_KEY, r->name,
                                       &chy_key_record_schema, &call->arena, &record, err);
    if (code == CHY_OK)
        CHY_TRY(is_asked(call, &any, &record.key, &sees, err));
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
    chy_buf_init(&pem, (size_t)2 * CHY_LIMIT_CERTIFICATE);
    chy_pem_append(&pem, "CERTIFICATE", record.key.certificates.p[0].der);
    CHY_TRY(chy_buf_check(&pem, err));
    answer->pem = chy_arena_str(&call->arena, chy_buf_str(&pem));
    return answer->pem.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for PEM");
}
