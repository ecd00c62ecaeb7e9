/* SPDX-License-Identifier: MIT */
/* The URI `chancery:NAME`: the key NAME, its certificate and those of its CAs; `chancery:` is the
 * list of all names. What is there is asked once, when it is opened.
 *
 * Not `pkcs11:`, the other way to name the same keys: that belongs to the engine of libp11 and to
 * pkcs11-provider, and which of several loaders of one scheme is asked depends on the order of
 * loading. A name has no structure of its own. Source: provider-storemgmt(7). */
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/store.h>

#include "base/limits.h"
#include "base/mem.h"
#include "provider/ask.h"
#include "provider/key.h"
#include "provider/provider.h"

#define SCHEME "chancery:"

enum item_kind {
    ITEM_NAME = OSSL_STORE_INFO_NAME,
    ITEM_PUBLIC = OSSL_STORE_INFO_PUBKEY,
    ITEM_PRIVATE = OSSL_STORE_INFO_PKEY,
    ITEM_CERTIFICATE = OSSL_STORE_INFO_CERT,
};

struct item {
    enum item_kind kind;
    struct chy_bytes bytes; /* a name, a SubjectPublicKeyInfo, a certificate; in the answer */
};

struct loader {
    const struct chy_prov *prov;
    struct chy_guest_answer answer; /* of one key */
    struct chy_arena arena;         /* of all names */
    struct chy_prov_key *key;
    struct item *items;
    size_t n;
    size_t at;
    int expected; /* 0: anything */
};

static void loader_free(struct loader *l)
{
    if (l == NULL)
        return;
    chy_prov_key_unref(l->key);
    chy_guest_answer_done(&l->answer);
    chy_arena_done(&l->arena);
    chy_free(l->items);
    chy_free(l);
}

static struct loader *loader_new(const struct chy_prov *prov)
{
    struct loader *l = chy_new(struct loader);
    if (l == NULL)
        return NULL;
    l->prov = prov;
    chy_guest_answer_init(&l->answer);
    chy_arena_init(&l->arena, CHY_LIMIT_ARENA);
    return l;
}

/* --- what there is --- */

static void item_add(struct loader *l, enum item_kind kind, struct chy_bytes bytes)
{
    l->items[l->n++] = (struct item){ kind, bytes };
}

static enum chy_err items_new(struct loader *l, size_t n, struct chy_error *err)
{
    l->items = chy_new_array(struct item, n);
    return l->items != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a key");
}

static enum chy_err one_open(struct loader *l, struct chy_str name, struct chy_error *err)
{
    struct chy_door_key_page page;
    const struct chy_door_keys asked = { .label = name };
    CHY_TRY(chy_prov_ask_keys(&asked, &l->answer, &page, err));
    if (page.keys.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key \"%.*s\" that you may sign with",
                        CHY_STR_ARG(name));
    const struct chy_door_key *door = &page.keys.p[0];
    CHY_TRY(chy_prov_key_of_door(door, &l->key, err));
    CHY_TRY(items_new(l, 3 + page.authorities.n, err));
    item_add(l, ITEM_PRIVATE, (struct chy_bytes){ 0 });
    item_add(l, ITEM_PUBLIC, door->public_key);
    if (door->certificate != NULL)
        item_add(l, ITEM_CERTIFICATE, door->certificate->der);
    for (size_t i = 0; door->certificate != NULL && i < page.authorities.n; i++)
        item_add(l, ITEM_CERTIFICATE, page.authorities.p[i].der);
    return CHY_OK;
}

static enum chy_err name_add(struct loader *l, struct chy_str name, struct chy_error *err)
{
    if (l->n == CHY_LIMIT_VISIBLE_KEYS)
        return chy_fail(err, CHY_E_LIMIT, "the agent showed over %d keys", CHY_LIMIT_VISIBLE_KEYS);
    struct chy_str uri = chy_arena_printf(&l->arena, SCHEME "%.*s", CHY_STR_ARG(name));
    if (uri.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the names of keys");
    item_add(l, ITEM_NAME, chy_str_bytes(uri));
    return CHY_OK;
}

/* Names that come or go between two pages are of no harm in a list for people. */
static enum chy_err all_open(struct loader *l, struct chy_error *err)
{
    struct chy_str after = { 0 };
    CHY_TRY(items_new(l, CHY_LIMIT_VISIBLE_KEYS, err));
    do {
        struct chy_door_key_page page;
        const struct chy_door_keys asked = { .after = after };
        CHY_TRY(chy_prov_ask_keys(&asked, &l->answer, &page, err));
        if (page.next.n != 0 && page.keys.n == 0)
            return chy_fail(err, CHY_E_PROTOCOL, "the agent sent a page without keys");
        for (size_t i = 0; i < page.keys.n; i++)
            CHY_TRY(name_add(l, page.keys.p[i].name, err));
        after = chy_arena_str(&l->arena, page.next);
        if (after.p == NULL && page.next.n != 0)
            return chy_fail(err, CHY_E_NOMEM, "no memory for the names of keys");
    } while (after.n != 0);
    return CHY_OK;
}

static enum chy_err fill(struct loader *l, const char *uri, struct chy_error *err)
{
    struct chy_str name = chy_str_of(uri + sizeof SCHEME - 1);
    if (name.n > CHY_LIMIT_NAME || !chy_text_is_plain(name))
        return chy_fail(err, CHY_E_ARG, "what follows \"chancery:\" is no name of a key");
    return name.n != 0 ? one_open(l, name, err) : all_open(l, err);
}

/* --- the loader --- */

static void *loader_open(void *provctx, const char *uri)
{
    struct chy_error err;
    const struct chy_prov *prov = provctx;
    if (strncasecmp(uri, SCHEME, sizeof SCHEME - 1) != 0)
        return NULL;
    struct loader *l = loader_new(prov);
    enum chy_err r = l != NULL ? fill(l, uri, &err) : chy_fail(&err, CHY_E_NOMEM, "no memory");
    if (r == CHY_OK)
        return l;
    chy_prov_raise(prov, &err);
    loader_free(l);
    return NULL;
}

static const OSSL_PARAM *settable(void *provctx)
{
    (void)provctx;
    static const OSSL_PARAM list[] = { OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL),
                                       OSSL_PARAM_END };
    return list;
}

static int set_params(void *ctx, const OSSL_PARAM params[])
{
    struct loader *l = ctx;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);
    return p == NULL || OSSL_PARAM_get_int(p, &l->expected);
}

/* Whoever takes anything wants the key with its private half: the public one is in it. */
static bool is_wanted(const struct loader *l, enum item_kind kind)
{
    return l->expected == 0 ? kind != ITEM_PUBLIC : l->expected == (int)kind;
}

static int at_end(void *ctx)
{
    struct loader *l = ctx;
    while (l->at < l->n && !is_wanted(l, l->items[l->at].kind))
        l->at++;
    return l->at == l->n;
}

/* By reference: OpenSSL has our keymgmt take the key from it. */
static void give_private(struct loader *l, OSSL_PARAM *p)
{
    static const char *const types[] = {
        [CHY_PROV_RSA] = "RSA", [CHY_PROV_EC] = "EC", [CHY_PROV_ED25519] = "ED25519"
    };
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE,
                                            CHY_UNCONST(char, types[l->key->kind]), 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &l->key,
                                             sizeof(struct chy_prov_key *));
    *p = OSSL_PARAM_construct_end();
}

static void give_data(const struct item *item, const char *structure, OSSL_PARAM *p)
{
    if (structure != NULL)
        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE,
                                                CHY_UNCONST(char, structure), 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA,
                                             CHY_UNCONST(uint8_t, item->bytes.p), item->bytes.n);
    *p = OSSL_PARAM_construct_end();
}

static void give_name(const struct item *item, OSSL_PARAM *p)
{
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA,
                                            CHY_UNCONST(char, item->bytes.p), item->bytes.n);
    *p = OSSL_PARAM_construct_end();
}

static int type_of(enum item_kind kind)
{
    if (kind == ITEM_NAME)
        return OSSL_OBJECT_NAME;
    return kind == ITEM_CERTIFICATE ? OSSL_OBJECT_CERT : OSSL_OBJECT_PKEY;
}

static int load(void *ctx, OSSL_CALLBACK *callback, void *arg, OSSL_PASSPHRASE_CALLBACK *ask,
                void *ask_arg)
{
    OSSL_PARAM params[4];
    struct loader *l = ctx;
    (void)ask; /* nothing is locked */
    (void)ask_arg;
    if (at_end(l))
        return 0;
    const struct item *item = &l->items[l->at++];
    int type = type_of(item->kind);
    params[0] = OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type);
    if (item->kind == ITEM_PRIVATE)
        give_private(l, params + 1);
    else if (item->kind == ITEM_NAME)
        give_name(item, params + 1);
    else
        give_data(item, item->kind == ITEM_PUBLIC ? "SubjectPublicKeyInfo" : NULL, params + 1);
    return callback(params, arg);
}

static int loader_close(void *ctx)
{
    loader_free(ctx);
    return 1;
}

static const OSSL_DISPATCH functions[] = {
    CHY_PROV_FUNCTION(OSSL_FUNC_STORE_OPEN, loader_open),
    CHY_PROV_FUNCTION(OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, settable),
    CHY_PROV_FUNCTION(OSSL_FUNC_STORE_SET_CTX_PARAMS, set_params),
    CHY_PROV_FUNCTION(OSSL_FUNC_STORE_LOAD, load),
    CHY_PROV_FUNCTION(OSSL_FUNC_STORE_EOF, at_end),
    CHY_PROV_FUNCTION(OSSL_FUNC_STORE_CLOSE, loader_close),
    CHY_PROV_FUNCTIONS_END,
};

const OSSL_ALGORITHM chy_prov_stores[] = {
    { "chancery", "provider=chancery", functions, "Keys of a Chancery server" },
    { NULL, NULL, NULL, NULL },
};
