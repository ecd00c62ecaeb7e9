/* SPDX-License-Identifier: MIT */
#include "supervisor/init_store.h"

#include "base/arena.h"
#include "base/ct.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "os/random.h"
#include "proto/enrolment.h"
#include "store/records.h"
#include "store/store.h"

#define RECORD_ARENA 65536

static const struct chy_str all_roles[] = {
    { "administrator", 13 },
    { "key-manager", 11 },
    { "policy-author", 13 },
    { "auditor", 7 },
};

/* The code, and the name under which it is stored: the hash of its secret part. */
static enum chy_err code_make(const uint8_t pin[CHY_HASH_BYTES], struct chy_str url,
                              struct chy_arena *arena, struct chy_buf *code,
                              struct chy_str *ret_name, struct chy_error *err)
{
    uint8_t secret[CHY_ENROLMENT_SECRET_BYTES];
    uint8_t hash[CHY_HASH_BYTES];
    struct chy_enrolment parsed;
    size_t before = code->n;
    CHY_TRY(chy_random_fill(secret, sizeof secret, err));
    enum chy_err r = chy_enrolment_make(pin, secret, url, code, err);
    chy_wipe(secret, sizeof secret);
    CHY_TRY(r);
    struct chy_str text = { (const char *)code->p + before, code->n - before };
    CHY_TRY(chy_enrolment_parse(text, &parsed, err));
    r = chy_sha256(chy_str_bytes(chy_str_of(parsed.secret)), hash, err);
    chy_wipe(&parsed, sizeof parsed);
    CHY_TRY(r);
    *ret_name = chy_record_hash_name(arena, hash);
    return ret_name->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "out of memory for a name");
}

static enum chy_err meta_put(struct chy_store *store, const struct chy_user *admin,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, RECORD_ARENA);
    CHY_TRY(chy_schema_encode(&chy_user_schema, admin, &body, err));
    return chy_store_put(store, CHY_OBJECT_META, CHY_STR("init"), chy_buf_bytes(&body), err);
}

static enum chy_err fill(struct chy_store *store, struct chy_str code_name, int64_t now_us,
                         struct chy_error *err)
{
    struct chy_user admin = {
        .name = CHY_STR(INIT_ADMINISTRATOR),
        .description = CHY_STR("made by chanceryd init"),
        .roles = { all_roles, CHY_ARRAY_LEN(all_roles) },
        .created_us = now_us,
    };
    struct chy_code_record code = {
        .principal = admin.name,
        .expires_us = now_us + INIT_CODE_VALID_US,
    };
    CHY_TRY(chy_store_begin(store, err));
    CHY_TRY(chy_record_put(store, CHY_OBJECT_USER, admin.name, &chy_user_schema, &admin, err));
    CHY_TRY(chy_record_put(store, CHY_OBJECT_CODE, code_name, &chy_code_record_schema, &code, err));
    CHY_TRY(meta_put(store, &admin, err));
    return chy_store_commit(store, err);
}

enum chy_err init_store_make(const char *path, const uint8_t pin[CHY_HASH_BYTES],
                             struct chy_str url, int64_t now_us, struct chy_buf *code,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_store_closep) struct chy_store *store = NULL;
    struct chy_str name;
    chy_arena_init(&arena, RECORD_ARENA);
    CHY_TRY(code_make(pin, url, &arena, code, &name, err));
    CHY_TRY(chy_store_open(path, CHY_STORE_CREATE, &store, err));
    return fill(store, name, now_us, err);
}
