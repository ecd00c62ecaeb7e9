/* SPDX-License-Identifier: MIT */
/* Who the server is, who the caller is, and who else there is. */
#include "base/limits.h"
#include "query/handlers.h"

static enum chy_err log_vkey(struct query_call *call, struct chy_str *ret_vkey,
                             struct chy_error *err)
{
    struct query *q = call->q;
    struct chy_key_record record;
    struct chy_tlog_vkey vkey;
    enum chy_err r = chy_record_get(q->store, CHY_OBJECT_KEY, CHY_STR(CHY_KEY_NAME_LOG),
                                    &chy_key_record_schema, &call->arena, &record, err);
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(err, CHY_E_BUSY, "the server is starting for the first time");
    CHY_TRY(r);
    struct chy_bytes spki = record.key.public_key;
    /* RFC 8410: the raw Ed25519 key is the end of the SubjectPublicKeyInfo. */
    if (record.key.type != CHY_KEY_ED25519 || spki.n < CHY_ED25519_PUBLIC_BYTES)
        return chy_fail(err, CHY_E_INTEGRITY, "the log's key is no Ed25519 key");
    CHY_TRY(chy_tlog_vkey_make(q->hasher, q->config.origin,
                               spki.p + spki.n - CHY_ED25519_PUBLIC_BYTES, &vkey, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_TEXT);
    chy_tlog_vkey_append(&text, &vkey);
    CHY_TRY(chy_buf_check(&text, err));
    *ret_vkey = chy_arena_str(&call->arena, chy_buf_str(&text));
    return ret_vkey->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a key");
}

enum chy_err query_hello(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_hello *hello = response;
    *hello = (struct chy_hello){ .server = call->q->config.version,
                                 .api_min = CHY_API_MIN,
                                 .api_max = CHY_API_MAX,
                                 .time_us = call->now_us };
    return log_vkey(call, &hello->log_vkey, err);
}

enum chy_err query_whoami(struct query_call *call, void *response, struct chy_error *err)
{
    (void)err;
    const struct chy_principal *who = &call->who;
    *(struct chy_whoami *)response = (struct chy_whoami){
        .principal = who->name,
        .method = who->method,
        .groups = who->groups,
        .roles = who->roles,
        .expires_us = who->expires_us,
        .is_agent = who->is_agent,
    };
    return CHY_OK;
}

struct user_walk {
    struct query_call *call;
    struct chy_buf users; /* of struct chy_user */
};

static enum chy_err user_add(void *ctx, struct chy_str name, struct chy_bytes body,
                             struct chy_error *err)
{
    struct user_walk *w = ctx;
    struct chy_user user;
    struct chy_bytes own = chy_arena_bytes(&w->call->arena, body);
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of principals");
    CHY_TRY(chy_record_decode(&chy_user_schema, name, own, &w->call->arena, &user, err));
    chy_buf_append(&w->users, (struct chy_bytes){ (const uint8_t *)&user, sizeof user });
    return chy_buf_check(&w->users, err);
}

static void user_walk_done(struct user_walk *w)
{
    chy_buf_done(&w->users);
}

enum chy_err query_users_list(struct query_call *call, void *response, struct chy_error *err)
{
    struct chy_user_list *list = response;
    CHY_CLEANUP(user_walk_done) struct user_walk w = { .call = call };
    chy_buf_init(&w.users, CHY_LIMIT_LIST * sizeof(struct chy_user));
    CHY_TRY(chy_store_walk(call->q->store, CHY_OBJECT_USER, CHY_STR(""), user_add, &w, err));
    struct chy_bytes own = chy_arena_bytes(&call->arena, chy_buf_bytes(&w.users));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of principals");
    list->users.p = (const void *)own.p;
    list->users.n = own.n / sizeof(struct chy_user);
    return CHY_OK;
}

struct token_walk {
    struct query_call *call;
    struct chy_str principal;
    struct chy_buf tokens; /* of struct chy_api_token_info */
};

static void token_walk_done(struct token_walk *w)
{
    chy_buf_done(&w->tokens);
}

static enum chy_err token_add(void *ctx, struct chy_str name, struct chy_bytes body,
                              struct chy_error *err)
{
    struct token_walk *w = ctx;
    struct chy_credential_record c;
    struct chy_api_token_info info;
    CHY_TRY(chy_record_decode(&chy_credential_record_schema, name, body, &w->call->arena, &c, err));
    if (c.method != CHY_AUTH_API_TOKEN || !chy_str_equal(c.principal, w->principal))
        return CHY_OK;
    CHY_TRY(chy_schema_copy(&chy_api_token_info_schema, &c.info, &w->call->arena, &info, err));
    chy_buf_append(&w->tokens, (struct chy_bytes){ (const uint8_t *)&info, sizeof info });
    return chy_buf_check(&w->tokens, err);
}

/* They are kept as credentials, by their hashes: here is where their owner's are put together. */
static enum chy_err user_add_tokens(struct query_call *call, struct chy_user *user,
                                    struct chy_error *err)
{
    CHY_CLEANUP(token_walk_done) struct token_walk w = { .call = call, .principal = user->name };
    chy_buf_init(&w.tokens, CHY_LIMIT_API_TOKENS * sizeof(struct chy_api_token_info));
    CHY_TRY(chy_store_walk(call->q->store, CHY_OBJECT_CREDENTIAL, CHY_STR(""), token_add, &w, err));
    struct chy_bytes own = chy_arena_bytes(&call->arena, chy_buf_bytes(&w.tokens));
    if (own.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a list of API tokens");
    user->api_tokens.p = (const void *)own.p;
    user->api_tokens.n = own.n / sizeof(struct chy_api_token_info);
    return CHY_OK;
}

enum chy_err query_users_show(struct query_call *call, void *response, struct chy_error *err)
{
    const struct chy_user_name *r = call->request;
    enum chy_err code = chy_record_get(call->q->store, CHY_OBJECT_USER, r->name, &chy_user_schema,
                                       &call->arena, response, err);
    if (code == CHY_E_NOT_FOUND)
        return chy_fail(err, code, "there is no principal \"%.*s\"", CHY_STR_ARG(r->name));
    CHY_TRY(code);
    return user_add_tokens(call, response, err);
}
