/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/entry.h"
#include "proto/types.h"
#include "values.h"

/* Names and numbers are in logs, policies and other people's scripts: this list only grows. */
struct golden {
    const struct chy_enum *e;
    const char *text;
};
static const struct golden goldens[] = {
    { &chy_key_type_enum,
      "0=none 1=rsa-2048 2=rsa-3072 3=rsa-4096 4=p256 5=p384 6=p521 7=ed25519" },
    { &chy_hash_alg_enum, "0=none 1=sha256 2=sha384 3=sha512" },
    { &chy_sign_alg_enum,
      "0=none 1=rsa-pkcs1-sha256 2=rsa-pkcs1-sha384 3=rsa-pkcs1-sha512 4=rsa-pss-sha256 "
      "5=rsa-pss-sha384 6=rsa-pss-sha512 7=ecdsa-sha256 8=ecdsa-sha384 9=ecdsa-sha512 10=ed25519 "
      "11=rsa-pkcs1-raw" },
    { &chy_hashed_by_enum, "0=nobody 1=tool 2=client 3=inferred 4=server" },
    { &chy_receipt_kind_enum, "0=index 1=none 2=full" },
    { &chy_basis_enum, "0=declared 1=agent 2=server" },
    { &chy_role_enum, "1=administrator 2=key-manager 3=policy-author 4=auditor" },
    { &chy_key_state_enum, "1=active 2=disabled 3=destroyed" },
    { &chy_key_origin_enum, "1=generated 2=adopted" },
    { &chy_key_class_enum, "0=none 1=signing 2=log 3=client-ca 4=development-ca" },
    { &chy_auth_method_enum, "0=none 1=certificate 2=api-token 3=server" },
    { &chy_decision_enum, "0=none 1=allowed 2=denied 3=held" },
    { &chy_entry_kind_enum,
      "1=server.start 2=server.stop 3=sign.intent 4=sign.outcome 5=key 6=policy 7=user 8=recovery "
      "9=key.intent" },
    { &chy_outcome_enum, "0=none 1=done 2=failed 3=unknown" },
};

static void test_enums__names_and_numbers_are_stable(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(goldens); i++) {
        struct chy_buf b;
        chy_buf_init(&b, 1024);
        for (size_t k = 0; k < goldens[i].e->n; k++)
            chy_buf_printf(&b, "%s%d=%s", k > 0 ? " " : "", goldens[i].e->values[k].value,
                           goldens[i].e->values[k].name);
        assert_true(chy_buf_append_u8(&b, 0));
        assert_string_equal((const char *)b.p, goldens[i].text);
        chy_buf_done(&b);
    }
}

static void test_enums__names_and_numbers_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(goldens); i++) {
        const struct chy_enum *e = goldens[i].e;
        for (size_t k = 0; k < e->n; k++) {
            int v = -1;
            assert_int_equal(chy_enum_find(e, chy_str_of(e->values[k].name), &v, NULL), CHY_OK);
            assert_int_equal(v, e->values[k].value);
            assert_string_equal(chy_enum_name(e, v), e->values[k].name);
            assert_in_range(v, 0, UINT16_MAX);
        }
    }
}

/* Every algorithm: its hash, and the types of key that can make it. */
static const struct {
    enum chy_sign_alg alg;
    enum chy_hash_alg hash;
    const char *fits; /* one digit for each enum chy_key_type */
} algs[] = {
    { CHY_ALG_NONE, CHY_HASH_NONE, "00000000" },
    { CHY_ALG_RSA_PKCS1_SHA256, CHY_HASH_SHA256, "01110000" },
    { CHY_ALG_RSA_PKCS1_SHA384, CHY_HASH_SHA384, "01110000" },
    { CHY_ALG_RSA_PKCS1_SHA512, CHY_HASH_SHA512, "01110000" },
    { CHY_ALG_RSA_PSS_SHA256, CHY_HASH_SHA256, "01110000" },
    { CHY_ALG_RSA_PSS_SHA384, CHY_HASH_SHA384, "01110000" },
    { CHY_ALG_RSA_PSS_SHA512, CHY_HASH_SHA512, "01110000" },
    { CHY_ALG_ECDSA_SHA256, CHY_HASH_SHA256, "00001110" },
    { CHY_ALG_ECDSA_SHA384, CHY_HASH_SHA384, "00001110" },
    { CHY_ALG_ECDSA_SHA512, CHY_HASH_SHA512, "00001110" },
    { CHY_ALG_ED25519, CHY_HASH_NONE, "00000001" },
    { CHY_ALG_RSA_PKCS1_RAW, CHY_HASH_NONE, "01110000" },
};

static void test_sign_alg__hash_and_keys(void **state)
{
    (void)state;
    assert_int_equal(CHY_ARRAY_LEN(algs), chy_sign_alg_enum.n);
    for (size_t i = 0; i < CHY_ARRAY_LEN(algs); i++) {
        assert_int_equal(chy_sign_alg_hash(algs[i].alg), algs[i].hash);
        assert_true(algs[i].alg <= CHY_ALG_LAST);
        assert_int_equal(chy_sign_alg_takes_message(algs[i].alg),
                         algs[i].hash == CHY_HASH_NONE && algs[i].alg != CHY_ALG_NONE);
        for (size_t k = 0; k < chy_key_type_enum.n; k++)
            assert_int_equal(chy_sign_alg_fits(algs[i].alg, (enum chy_key_type)k),
                             algs[i].fits[k] == '1');
    }
    assert_int_equal(chy_sign_alg_hash((enum chy_sign_alg)99), CHY_HASH_NONE);
    assert_false(chy_sign_alg_fits((enum chy_sign_alg)99, CHY_KEY_ED25519));
}

static void test_hash_alg_bytes(void **state)
{
    (void)state;
    assert_int_equal(chy_hash_alg_bytes(CHY_HASH_NONE), 0);
    assert_int_equal(chy_hash_alg_bytes(CHY_HASH_SHA256), 32);
    assert_int_equal(chy_hash_alg_bytes(CHY_HASH_SHA384), 48);
    assert_int_equal(chy_hash_alg_bytes(CHY_HASH_SHA512), 64);
    assert_int_equal(chy_hash_alg_bytes((enum chy_hash_alg)99), 0);
}

static void test_key_type_modulus_bytes(void **state)
{
    (void)state;
    static const size_t bytes[] = { 0, 256, 384, 512, 0, 0, 0, 0 };
    assert_int_equal(CHY_ARRAY_LEN(bytes), chy_key_type_enum.n);
    for (size_t k = 0; k < CHY_ARRAY_LEN(bytes); k++)
        assert_int_equal(chy_key_type_modulus_bytes((enum chy_key_type)k), bytes[k]);
    assert_int_equal(chy_key_type_modulus_bytes((enum chy_key_type)99), 0);
}

static void test_key_type__default_fits(void **state)
{
    (void)state;
    for (size_t k = 1; k < chy_key_type_enum.n; k++) {
        enum chy_key_type type = (enum chy_key_type)k;
        assert_true(chy_sign_alg_fits(chy_key_type_default_alg(type), type));
        assert_int_equal(chy_key_type_is_rsa(type), k <= CHY_KEY_RSA_4096);
    }
    assert_int_equal(chy_key_type_default_alg(CHY_KEY_NONE), CHY_ALG_NONE);
    assert_int_equal(chy_key_type_default_alg((enum chy_key_type)99), CHY_ALG_NONE);
    assert_false(chy_key_type_is_rsa(CHY_KEY_NONE));
    /* FIPS 186-5 section 6.4: the hash is no shorter than the curve's order, as far as there is
     * one */
    assert_int_equal(chy_key_type_default_alg(CHY_KEY_P384), CHY_ALG_ECDSA_SHA384);
    assert_int_equal(chy_key_type_default_alg(CHY_KEY_P521), CHY_ALG_ECDSA_SHA512);
}

/* --- every schema is well formed: OpenAPI, documents and the walkers rely on it --- */

static void check_field(const struct chy_schema *schema, const struct chy_field *f, bool is_public)
{
    bool has_schema =
        f->kind == CHY_KIND_STRUCT || f->kind == CHY_KIND_OPTION || f->kind == CHY_KIND_LIST;
    bool has_length =
        f->kind == CHY_KIND_STR || f->kind == CHY_KIND_BYTES || f->kind == CHY_KIND_HEX;
    if (has_schema != (f->schema != NULL) || (f->kind == CHY_KIND_ENUM) != (f->values != NULL))
        fail_msg("%s.%s", schema->name, f->name);
    assert_true(f->offset < schema->size);
    assert_ptr_equal(chy_schema_field(schema, chy_str_of(f->name)), f);
    if (has_length && (f->max == 0 || f->min > f->max))
        fail_msg("%s.%s has no maximum", schema->name, f->name);
    if (f->kind == CHY_KIND_STRS && (f->max == 0 || f->min == 0))
        fail_msg("%s.%s has no maximum", schema->name, f->name);
    if ((f->flags & CHY_AS_MAP) != 0)
        assert_true(f->kind == CHY_KIND_LIST && f->schema->n >= 2 &&
                    f->schema->fields[0].kind == CHY_KIND_STR &&
                    f->schema->fields[1].kind == CHY_KIND_STR);
    if ((f->flags & CHY_ONE_OR_MORE) != 0)
        assert_int_equal(f->kind, CHY_KIND_STRS);
    if (is_public && (f->doc == NULL || f->doc[0] == '\0'))
        fail_msg("%s.%s is not documented", schema->name, f->name);
}

static void test_schemas__are_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < values_schemas_n; i++) {
        const struct chy_schema *schema = values_schemas[i];
        bool is_public = schema->doc != NULL;
        assert_true(schema->n > 0 && schema->n <= 64);
        for (size_t k = 0; k < schema->n; k++)
            check_field(schema, &schema->fields[k], is_public);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(schema->name, values_schemas[k]->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enums__names_and_numbers_are_stable),
        cmocka_unit_test(test_enums__names_and_numbers_are_unique),
        cmocka_unit_test(test_sign_alg__hash_and_keys),
        cmocka_unit_test(test_hash_alg_bytes),
        cmocka_unit_test(test_key_type_modulus_bytes),
        cmocka_unit_test(test_key_type__default_fits),
        cmocka_unit_test(test_schemas__are_well_formed),
    };
    return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
