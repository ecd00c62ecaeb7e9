/* SPDX-License-Identifier: MIT */
#include "client/signing.h"

#include "base/arena.h"
#include "base/limits.h"
#include "client/enroll.h"
#include "client/receipt.h"
#include "crypto/pubkey.h"
#include "os/process.h"

/* --- the server --- */

enum chy_err chy_signing_connect(struct chy_settings *settings, struct chy_client **ret_client,
                                 struct chy_error *ret_why, struct chy_error *err)
{
    CHY_CLEANUP(chy_client_closep) struct chy_client *client = NULL;
    /* Before a credential of ours is read, as far as that can be known. */
    if (settings->agent_socket.n == 0 || settings->token != NULL)
        chy_process_hide_memory();
    CHY_TRY(chy_client_open_renewed(settings, &client, ret_why, err));
    if (!chy_client_is_agent(client))
        chy_process_hide_memory();
    *ret_client = CHY_TAKE(client);
    return CHY_OK;
}

enum chy_err chy_signing_key(const struct chy_signing *s, struct chy_str name,
                             struct chy_key *ret_key, struct chy_error *err)
{
    const struct chy_key_name asked = { name };
    struct chy_key key;
    CHY_TRY(chy_client_call(s->client, CHY_OP_KEYS_SHOW, &asked, s->arena, &key, err));
    if (!chy_str_equal(key.name, name))
        return chy_fail(err, CHY_E_PROTOCOL, "asked for key %.*s, the server showed another",
                        CHY_STR_ARG(name));
    *ret_key = key;
    return CHY_OK;
}

/* --- a signature --- */

/* Types end in a name of our list of errors; see RFC 9457 section 3.1 for the type. */
static enum chy_err code_of_problem(const struct chy_signing *s, struct chy_str problem)
{
    struct chy_str name = chy_arena_str(s->arena, problem);
    enum chy_err code = name.n != 0 ? chy_err_from_type(name.p) : CHY_E_DENIED;
    return code == CHY_OK ? CHY_E_DENIED : code;
}

static enum chy_err refused(const struct chy_signing *s, const struct chy_key *key,
                            const struct chy_sign_result *result, struct chy_error *err)
{
    const char *request = chy_client_request_id(s->client);
    CHY_CLEANUP(chy_buf_done) struct chy_buf rules;
    chy_buf_init(&rules, CHY_LIMIT_TEXT);
    for (size_t i = 0; i < result->rules.n; i++)
        chy_buf_printf(&rules, "%s%.*s", i == 0 ? " by rule " : ", ",
                       CHY_STR_ARG(result->rules.p[i]));
    return chy_fail(err, code_of_problem(s, result->problem), "key %.*s: refused%.*s: %.*s%s%s%s",
                    CHY_STR_ARG(key->name), CHY_STR_ARG(chy_buf_str(&rules)),
                    CHY_STR_ARG(result->detail), request[0] != '\0' ? " (request " : "", request,
                    request[0] != '\0' ? ")" : "");
}

enum chy_err chy_signing_check_by(const struct chy_pubkey *key, const struct chy_sign_item *item,
                                  struct chy_bytes signature, struct chy_error *err)
{
    if (signature.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL,
                        "the server says that it signed and gives no signature");
    enum chy_err r = chy_pubkey_verify_digest(key, item->algorithm, CHY_SIGNATURE_DER,
                                              item->digest.n != 0 ? item->digest : item->message,
                                              signature, err);
    if (r == CHY_E_INTEGRITY)
        return chy_fail(err, r, "the server's signature is none by key %.*s",
                        CHY_STR_ARG(item->key));
    return r;
}

enum chy_err chy_signing_check(struct chy_bytes spki, const struct chy_sign_item *item,
                               struct chy_bytes signature, struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *pub = NULL;
    CHY_TRY(chy_pubkey_from_spki(spki, &pub, err));
    return chy_signing_check_by(pub, item, signature, err);
}

enum chy_err chy_signing_ask(const struct chy_signing *s, const struct chy_key *key,
                             struct chy_sign_request *request,
                             const struct chy_sign_result **ret_result, struct chy_error *err)
{
    struct chy_sign_response response;
    request->reason = chy_str_of(s->env->reason);
    request->receipt = s->env->receipts != NULL ? CHY_RECEIPT_FULL : CHY_RECEIPT_INDEX;
    CHY_TRY(chy_client_call(s->client, CHY_OP_SIGN, request, s->arena, &response, err));
    if (response.results.n != 1)
        return chy_fail(err, CHY_E_PROTOCOL, "one signature was asked for, %zu answers came",
                        response.results.n);
    const struct chy_sign_result *result = &response.results.p[0];
    if (!result->is_signed)
        return refused(s, key, result, err);
    CHY_TRY(chy_signing_check(key->public_key, &request->items.p[0], result->signature, err));
    CHY_TRY(chy_receipt_keep(result->receipt, result->outcome, chy_client_log_key(s->client),
                             chy_str_of(s->env->receipts), s->arena, NULL, err));
    *ret_result = result;
    return CHY_OK;
}
