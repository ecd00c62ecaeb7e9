/* SPDX-License-Identifier: MIT */
#include "token_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/pubkey.h"
#include "os/file.h"
#include "token/object.h"

const char *fixture_faulty(void)
{
    const char *path = secure_getenv("CHANCERY_FAULTY_MODULE");
    assert_non_null(path);
    return path;
}

const char *fixture_path(const struct fixture *f, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return path;
}

void fixture_fault(const struct fixture *f, const char *fault)
{
    const char *path = fixture_path(f, "softhsm2.conf.fault");
    if (fault == NULL)
        unlink(path);
    else
        assert_code(chy_file_replace(AT_FDCWD, path, chy_str_bytes(chy_str_of(fault)), 0600, NULL),
                    CHY_OK);
}

void fixture_make(struct fixture *f)
{
    *f = (struct fixture){ .dir = "/tmp/chy-token-XXXXXX" };
    assert_code(chy_crypto_init(NULL), CHY_OK);
    assert_non_null(mkdtemp(f->dir));
    char *softhsm = NULL;
    assert_code(chy_setup_find_softhsm(&softhsm, NULL), CHY_OK);
    snprintf(f->softhsm, sizeof f->softhsm, "%s", softhsm);
    chy_free(softhsm);
    char pin[256];
    char so_pin[256];
    snprintf(pin, sizeof pin, "%s/pin", f->dir);
    snprintf(so_pin, sizeof so_pin, "%s/so-pin", f->dir);
    const struct chy_setup_options options = {
        .module = chy_str_of(f->softhsm),
        .directory = chy_str_of(f->dir),
        .label = CHY_STR(FIXTURE_LABEL),
        .pin_file = chy_str_of(pin),
        .so_pin_file = chy_str_of(so_pin),
    };
    struct chy_error err = { .text = "" };
    if (chy_setup_softhsm(&options, &f->made, &err) != CHY_OK)
        fail_msg("%s", err.text);
    assert_code(chy_file_read_secret(AT_FDCWD, pin, &f->pin, NULL), CHY_OK);
    assert_int_equal(setenv("SOFTHSM2_CONF", fixture_path(f, "softhsm2.conf"), 1), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_remove(struct fixture *f)
{
    chy_secret_free(f->pin);
    assert_int_equal(nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void fixture_open(struct fixture *f, const char *module, struct chy_keys_options options)
{
    struct chy_error err = { .text = "" };
    const struct chy_slot_options slot = { .label = CHY_STR(FIXTURE_LABEL), .pin = f->pin };
    if (chy_module_open(chy_str_of(module), (struct chy_str){ NULL, 0 }, &f->module, &err) !=
            CHY_OK ||
        chy_module_load(f->module, chy_str_of(fixture_path(f, "lock")), &err) != CHY_OK ||
        chy_slot_open(f->module, &slot, &f->slot, &err) != CHY_OK ||
        chy_keys_new(f->slot, &options, &f->keys, &err) != CHY_OK ||
        chy_slot_session(f->slot, &f->session, &err) != CHY_OK)
        fail_msg("%s", err.text);
    chy_module_unlock(f->module);
    chy_arena_init(&f->arena, CHY_LIMIT_ARENA);
}

void fixture_close(struct fixture *f)
{
    chy_arena_done(&f->arena);
    chy_keys_free(f->keys);
    chy_slot_free(f->slot);
    chy_module_free(f->module);
    f->keys = NULL;
    f->slot = NULL;
    f->module = NULL;
}

struct chy_token_generate fixture_request(enum chy_key_type type, const char *label, const char *id)
{
    return (struct chy_token_generate){ .type = type,
                                        .label = chy_str_of(label),
                                        .object_id = chy_str_bytes(chy_str_of(id)) };
}

struct chy_token_key_reply fixture_key(struct fixture *f, enum chy_key_type type, const char *label,
                                       const char *id)
{
    struct chy_error err = { .text = "" };
    struct chy_token_key_reply key;
    struct chy_token_generate request = fixture_request(type, label, id);
    if (chy_keys_generate(f->keys, &f->session, &request, &f->arena, &key, &err) != CHY_OK)
        fail_msg("%s", err.text);
    return key;
}

struct chy_token_sign_item fixture_item(const struct chy_token_key_reply *key,
                                        enum chy_sign_alg algorithm, int seed)
{
    static uint8_t input[CHY_LIMIT_DIGEST];
    struct chy_token_sign_item item = { .key.object_id = key->object_id, .algorithm = algorithm };
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)(seed + (int)i * 7);
    enum chy_hash_alg hash = chy_sign_alg_hash(algorithm);
    item.input = (struct chy_bytes){ input, hash == CHY_HASH_NONE ? 11 : chy_hash_alg_bytes(hash) };
    assert_code(chy_sha256(key->public_key, item.key.public_key_sha256, NULL), CHY_OK);
    return item;
}

void fixture_verify(const struct chy_token_key_reply *key, const struct chy_token_sign_item *item,
                    struct chy_bytes signature)
{
    struct chy_error err = { .text = "" };
    struct chy_pubkey *public_key = NULL;
    assert_code(chy_pubkey_from_spki(key->public_key, &public_key, &err), CHY_OK);
    enum chy_err r = chy_pubkey_verify_digest(public_key, item->algorithm, CHY_SIGNATURE_DER,
                                              item->input, signature, &err);
    chy_pubkey_free(public_key);
    if (r != CHY_OK)
        fail_msg("%s", err.text);
}

size_t fixture_count(struct fixture *f, CK_OBJECT_CLASS class)
{
    CK_OBJECT_HANDLE found[64];
    size_t n = 0;
    struct chy_object_query query = { .class = class };
    assert_code(chy_object_find(&f->session, &query, 64, found, &n, NULL), CHY_OK);
    return n;
}
