/* SPDX-License-Identifier: MIT */
#include "store/records.h"

#include <stdio.h>

#include "base/limits.h"

#define DAY_US    (INT64_C(86400) * 1000000)
#define WARN_DAYS 90

#define S struct chy_key_record
static const struct chy_field key_record_fields[] = {
    CHY_F_STRUCT(S, key, &chy_key_schema, struct chy_key, 0, NULL),
    CHY_F_BYTES(S, guard, 0, 0, UINT64_C(4) * CHY_LIMIT_GUARD, NULL),
};
#undef S
const struct chy_schema chy_key_record_schema =
    CHY_SCHEMA("KeyRecord", struct chy_key_record, key_record_fields, NULL);

#define S struct chy_credential_record
static const struct chy_field credential_record_fields[] = {
    CHY_F_STR(S, principal, CHY_REQUIRED, 1, CHY_LIMIT_NAME, NULL),
    CHY_F_ENUM(S, method, &chy_auth_method_enum, enum chy_auth_method, 0, NULL),
    CHY_F_STRUCT(S, info, &chy_api_token_info_schema, struct chy_api_token_info, 0, NULL),
    CHY_F_BOOL(S, is_agent, 0, NULL),
    CHY_F_HASH(S, public_key_sha256, 0, NULL),
};
#undef S
const struct chy_schema chy_credential_record_schema =
    CHY_SCHEMA("CredentialRecord", struct chy_credential_record, credential_record_fields, NULL);

#define S struct chy_code_record
static const struct chy_field code_record_fields[] = {
    CHY_F_STR(S, principal, CHY_REQUIRED, 1, CHY_LIMIT_NAME, NULL),
    CHY_F_TIME(S, expires, 0, NULL),
    CHY_F_BOOL(S, is_agent, 0, NULL),
};
#undef S
const struct chy_schema chy_code_record_schema =
    CHY_SCHEMA("CodeRecord", struct chy_code_record, code_record_fields, NULL);

#define S struct chy_policy_record
static const struct chy_field policy_record_fields[] = {
    CHY_F_STRUCT(S, policy, &chy_policy_schema, struct chy_policy, 0, NULL),
    CHY_F_BYTES(S, canonical, 0, 0, CHY_LIMIT_FRAME / 2, NULL),
};
#undef S
const struct chy_schema chy_policy_record_schema =
    CHY_SCHEMA("PolicyRecord", struct chy_policy_record, policy_record_fields, NULL);

enum chy_err chy_record_decode(const struct chy_schema *schema, struct chy_str name,
                               struct chy_bytes body, struct chy_arena *arena, void *ret_record,
                               struct chy_error *err)
{
    enum chy_err r = chy_schema_decode(schema, body, arena, ret_record, err);
    if (r == CHY_E_NOMEM || r == CHY_OK)
        return r;
    return chy_fail(err, CHY_E_INTEGRITY, "the stored %s \"%.*s\" does not decode", schema->name,
                    CHY_STR_ARG(name));
}

enum chy_err chy_record_get(struct chy_store *s, enum chy_object_kind kind, struct chy_str name,
                            const struct chy_schema *schema, struct chy_arena *arena,
                            void *ret_record, struct chy_error *err)
{
    struct chy_bytes body;
    CHY_TRY(chy_store_get(s, kind, name, arena, &body, err));
    return chy_record_decode(schema, name, body, arena, ret_record, err);
}

enum chy_err chy_record_put(struct chy_store *s, enum chy_object_kind kind, struct chy_str name,
                            const struct chy_schema *schema, const void *record,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    CHY_TRY(chy_schema_encode(schema, record, &body, err));
    return chy_store_put(s, kind, name, chy_buf_bytes(&body), err);
}

struct chy_str chy_record_policy_name(struct chy_arena *arena, uint64_t number)
{
    return chy_arena_printf(arena, "%020llu", (unsigned long long)number);
}

struct chy_str chy_record_hash_name(struct chy_arena *arena, const uint8_t hash[CHY_HASH_BYTES])
{
    const size_t n = (size_t)2 * CHY_HASH_BYTES;
    char *text = chy_arena_alloc(arena, n + 1, 1);
    if (text == NULL)
        return (struct chy_str){ NULL, 0 };
    for (size_t i = 0; i < CHY_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return (struct chy_str){ text, n };
}

enum chy_err chy_record_policy_number(struct chy_store *s, uint64_t *ret_number,
                                      struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, 4096);
    struct chy_policy_number in_force = { 0 };
    enum chy_err r = chy_record_get(s, CHY_OBJECT_META, CHY_STR(CHY_META_POLICY_NUMBER),
                                    &chy_policy_number_schema, &arena, &in_force, err);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND)
        return r;
    *ret_number = in_force.number;
    return CHY_OK;
}

/* --- warnings --- */

enum {
    WARNINGS_MAX = 3
};

static struct chy_str certificate_warning(const struct chy_key *key, int64_t now_us,
                                          struct chy_arena *arena)
{
    if (key->certificates.n == 0)
        return CHY_STR("no certificate yet: make a request with `chancery certs csr`");
    const struct chy_certificate *leaf = &key->certificates.p[0];
    if (now_us >= leaf->not_after_us)
        return CHY_STR("its certificate has ended");
    if (now_us < leaf->not_before_us)
        return CHY_STR("its certificate is not valid yet");
    int64_t days = (leaf->not_after_us - now_us) / DAY_US;
    if (days >= WARN_DAYS)
        return (struct chy_str){ "", 0 };
    return chy_arena_printf(arena, "its certificate ends in %lld days: renew it", (long long)days);
}

enum chy_err chy_record_key_warnings(struct chy_key *key, int64_t now_us, struct chy_arena *arena,
                                     struct chy_error *err)
{
    struct chy_str *warnings = chy_arena_array(arena, struct chy_str, WARNINGS_MAX);
    if (warnings == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for warnings");
    size_t n = 0;
    struct chy_str certificate = certificate_warning(key, now_us, arena);
    if (certificate.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for warnings");
    if (certificate.n > 0)
        warnings[n++] = certificate;
    if (key->certificates.n > 0 && key->certificates.p[0].is_development)
        warnings[n++] = CHY_STR("a development certificate: nobody outside trusts it");
    if (key->token_is_software)
        warnings[n++] =
            CHY_STR("in a software token: its protection is that of this machine's files");
    key->warnings.p = warnings;
    key->warnings.n = n;
    return CHY_OK;
}

enum chy_err chy_record_check_name(struct chy_str name, const char *what, struct chy_error *err)
{
    bool ok = name.n >= 1 && name.n <= CHY_LIMIT_NAME;
    for (size_t i = 0; ok && i < name.n; i++) {
        char c = name.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        ok = alnum || (i > 0 && c != '\0' && strchr("._-+@/", c) != NULL);
    }
    if (!ok)
        return chy_fail(err, CHY_E_ARG,
                        "\"%.*s\" is no name of a %s: 1 to %d letters, digits and . _ - + @ /, "
                        "beginning with a letter or digit",
                        CHY_STR_ARG(name), what, CHY_LIMIT_NAME);
    return CHY_OK;
}
