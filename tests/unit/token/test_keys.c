/* SPDX-License-Identifier: MIT */
/* Keys in a real SoftHSM: made once for the group, for RSA takes its time. */
#include <stdio.h>
#include <string.h>

#include "../os/kernel_fixture.h"
#include "attack.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/der.h"
#include "token/object.h"
#include "token/rv.h"
#include "token_fixture.h"

struct row {
    enum chy_key_type type;
    const char *id;
    enum chy_sign_alg algorithms[7];
};

static const struct row rows[] = {
    { CHY_KEY_RSA_2048,
      "rsa-2048",
      { CHY_ALG_RSA_PKCS1_SHA256, CHY_ALG_RSA_PKCS1_SHA384, CHY_ALG_RSA_PKCS1_SHA512,
        CHY_ALG_RSA_PSS_SHA256, CHY_ALG_RSA_PSS_SHA384, CHY_ALG_RSA_PSS_SHA512 } },
    { CHY_KEY_RSA_3072,
      "rsa-3072",
      { CHY_ALG_RSA_PKCS1_SHA256, CHY_ALG_RSA_PSS_SHA512, CHY_ALG_RSA_PKCS1_RAW } },
    { CHY_KEY_RSA_4096, "rsa-4096", { CHY_ALG_RSA_PKCS1_SHA512, CHY_ALG_RSA_PSS_SHA256 } },
    { CHY_KEY_P256, "p256", { CHY_ALG_ECDSA_SHA256, CHY_ALG_ECDSA_SHA384, CHY_ALG_ECDSA_SHA512 } },
    { CHY_KEY_P384, "p384", { CHY_ALG_ECDSA_SHA256, CHY_ALG_ECDSA_SHA384, CHY_ALG_ECDSA_SHA512 } },
    { CHY_KEY_P521, "p521", { CHY_ALG_ECDSA_SHA256, CHY_ALG_ECDSA_SHA384, CHY_ALG_ECDSA_SHA512 } },
    { CHY_KEY_ED25519, "ed25519", { CHY_ALG_ED25519 } },
};
#define ROWS CHY_ARRAY_LEN(rows)
#define P256 3

static struct fixture fx;
static struct chy_token_key_reply keys[ROWS];
static struct chy_arena kept; /* what `keys` points to */

static const struct chy_keys_options plain = { .copies = false };
static const struct chy_keys_options copying = { .copies = true };
static const struct chy_keys_options verifying = { .verify_signatures = true };

static int make(void **state)
{
    (void)state;
    fixture_make(&fx);
    chy_arena_init(&kept, CHY_LIMIT_ARENA);
    fixture_open(&fx, fx.softhsm, plain);
    for (size_t i = 0; i < ROWS; i++) {
        struct chy_token_key_reply key = fixture_key(&fx, rows[i].type, rows[i].id, rows[i].id);
        assert_code(chy_schema_copy(&chy_token_key_reply_schema, &key, &kept, &keys[i], NULL),
                    CHY_OK);
    }
    fixture_close(&fx);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    chy_arena_done(&kept);
    fixture_remove(&fx);
    return 0;
}

static int close_and_mend(void **state)
{
    (void)state;
    fixture_fault(&fx, NULL);
    if (fx.module != NULL)
        fixture_close(&fx);
    return 0;
}

static enum chy_err sign(const struct chy_token_sign_item *item, struct chy_signature *signature,
                         struct chy_error *err)
{
    return chy_keys_sign(fx.keys, &fx.session, item, signature, err);
}

static void sign_everything(int rounds)
{
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; rows[i].algorithms[j] != CHY_ALG_NONE; j++)
            for (int round = 0; round < rounds; round++) {
                struct chy_signature signature;
                struct chy_error err = { .text = "" };
                struct chy_token_sign_item item =
                    fixture_item(&keys[i], rows[i].algorithms[j], round);
                if (sign(&item, &signature, &err) != CHY_OK)
                    fail_msg("%s: %s", rows[i].id, err.text);
                fixture_verify(&keys[i], &item, (struct chy_bytes){ signature.p, signature.n });
            }
}

static void test_keys_sign__makes_good_signatures_of_every_kind(void **state)
{
    (void)state;
    fixture_open(&fx, fx.softhsm, plain);
    sign_everything(2);
    assert_int_equal(chy_keys_count(fx.keys), ROWS);
    assert_int_equal(chy_keys_copied(fx.keys), 0);
    assert_int_equal(chy_keys_quarantined(fx.keys), 0);
}

static void test_keys_sign__makes_them_with_copies_too(void **state)
{
    (void)state;
    fixture_open(&fx, fx.softhsm, copying);
    sign_everything(2);
    assert_int_equal(chy_keys_copied(fx.keys), ROWS);
    /* The copies are nobody's objects in the token. */
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), ROWS);
}

static void test_keys_sign__goes_on_without_a_copy(void **state)
{
    (void)state;
    fixture_fault(&fx, "no-copy");
    fixture_open(&fx, fixture_faulty(), copying);
    sign_everything(1);
    assert_int_equal(chy_keys_copied(fx.keys), 0);
}

static void test_keys_sign__never_copies_a_hardware_key(void **state)
{
    (void)state;
    fixture_fault(&fx, "hardware");
    fixture_open(&fx, fixture_faulty(), copying);
    assert_false(chy_slot_info(fx.slot)->is_software);
    sign_everything(1);
    assert_int_equal(chy_keys_copied(fx.keys), 0);
}

static void test_keys_sign__refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, plain);
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    item.algorithm = CHY_ALG_RSA_PKCS1_SHA256;
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    assert_text(err, "p256 does not sign by rsa-pkcs1-sha256");
    item.algorithm = CHY_ALG_NONE;
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    item.algorithm = CHY_ALG_ECDSA_SHA256;
    item.input.n = 31;
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    assert_text(err, "the digest is 31 bytes, expected 32");
    item.input.n = 33;
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    item.input.n = 32;
    assert_code(sign(&item, &signature, &err), CHY_OK);
    item.key.object_id.n = 0;
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    uint8_t long_id[CHY_LIMIT_NAME + 1] = { 1 };
    item.key.object_id = (struct chy_bytes){ long_id, sizeof long_id };
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    item.key.object_id.n--;
    assert_code(sign(&item, &signature, &err), CHY_E_NOT_FOUND);
}

static void test_keys_sign__takes_an_ed25519_message_up_to_the_limit(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    static uint8_t message[CHY_LIMIT_CONTENT + 1];
    fixture_open(&fx, fx.softhsm, plain);
    struct chy_token_sign_item item = fixture_item(&keys[ROWS - 1], CHY_ALG_ED25519, 1);
    item.input = (struct chy_bytes){ message, 0 };
    assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    item.input.n = sizeof message - 1;
    assert_code(sign(&item, &signature, &err), CHY_OK);
    fixture_verify(&keys[ROWS - 1], &item, (struct chy_bytes){ signature.p, signature.n });
    item.input.n = sizeof message;
    assert_code(sign(&item, &signature, &err), CHY_E_LIMIT);
}

static void test_keys_sign__pads_what_is_shorter_than_the_modulus(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    static uint8_t message[512];
    fixture_open(&fx, fx.softhsm, plain);
    for (size_t row = 0; row < P256; row++) {
        size_t max = chy_key_type_modulus_bytes(rows[row].type) - CHY_RSA_PKCS1_PADDING_BYTES;
        struct chy_token_sign_item item = fixture_item(&keys[row], CHY_ALG_RSA_PKCS1_RAW, 1);
        const size_t lengths[] = { 1, 36, max };
        for (size_t i = 0; i < CHY_ARRAY_LEN(lengths); i++) {
            item.input = (struct chy_bytes){ message, lengths[i] };
            assert_code(sign(&item, &signature, &err), CHY_OK);
            fixture_verify(&keys[row], &item, (struct chy_bytes){ signature.p, signature.n });
        }
        item.input.n = max + 1;
        assert_code(sign(&item, &signature, &err), CHY_E_LIMIT);
        item.input.n = 0;
        assert_code(sign(&item, &signature, &err), CHY_E_ARG);
    }
}

static void test_keys_sign__knows_the_key_by_its_hash(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, plain);
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    item.key.public_key_sha256[31] ^= 1;
    assert_code(sign(&item, &signature, &err), CHY_E_CONFLICT); /* looked up */
    assert_int_equal(chy_keys_count(fx.keys), 0);
    item.key.public_key_sha256[31] ^= 1;
    assert_code(sign(&item, &signature, &err), CHY_OK);
    item.key.public_key_sha256[0] ^= 1;
    assert_code(sign(&item, &signature, &err), CHY_E_CONFLICT); /* kept */
    assert_text(err, "another key");
}

/* --- wrong signatures --- */

static void check_quarantine(const char *fault, size_t row, struct chy_keys_options options)
{
    struct chy_signature signature = { .n = 0 };
    struct chy_error err;
    fixture_fault(&fx, fault);
    fixture_open(&fx, fixture_faulty(), options);
    struct chy_token_sign_item item = fixture_item(&keys[row], rows[row].algorithms[0], 1);
    assert_code(sign(&item, &signature, &err), CHY_E_INTEGRITY);
    assert_text(err, "now in quarantine");
    assert_int_equal(signature.n, 0);
    assert_int_equal(chy_keys_quarantined(fx.keys), 1);

    /* Neither a mended module nor a drop ends it; other keys sign on. */
    fixture_fault(&fx, NULL);
    assert_code(sign(&item, &signature, &err), CHY_E_INTEGRITY);
    assert_text(err, "until the token process is restarted");
    const struct chy_token_drop drop = { .key = item.key };
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_OK);
    assert_code(sign(&item, &signature, &err), CHY_E_INTEGRITY);
    size_t other = (row + 1) % ROWS;
    struct chy_token_sign_item item2 = fixture_item(&keys[other], rows[other].algorithms[0], 1);
    assert_code(sign(&item2, &signature, &err), CHY_OK);
    fixture_close(&fx);

    fixture_open(&fx, fixture_faulty(), options);
    assert_code(sign(&item, &signature, &err), CHY_OK);
    fixture_close(&fx);
}

static void test_keys_sign__lets_no_wrong_signature_out(void **state)
{
    (void)state;
    static const char *const faults[] = { "wrong-signature", "truncated-signature",
                                          "long-signature", "empty-signature" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(faults); i++) {
        check_quarantine(faults[i], 0, plain);
        check_quarantine(faults[i], P256, plain);
        check_quarantine(faults[i], P256, copying);
        check_quarantine(faults[i], ROWS - 1, plain);
    }
}

static void test_keys_sign__lets_no_other_keys_signature_out(void **state)
{
    (void)state;
    fixture_open(&fx, fx.softhsm, plain);
    struct chy_token_key_reply other = fixture_key(&fx, CHY_KEY_P256, "other", "other");
    struct chy_token_drop drop = { .key = fixture_item(&other, CHY_ALG_ECDSA_SHA256, 1).key,
                                   .destroy = true };
    drop.key.object_id = chy_str_bytes(CHY_STR("other")); /* not out of the arena that is closed */
    fixture_close(&fx);
    check_quarantine("other-key", P256, plain);
    fixture_open(&fx, fx.softhsm, plain);
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, NULL), CHY_OK);
}

/* What verify_signatures costs buys this: a fault that begins after the first signature. */
static void test_keys_sign__verifies_later_ones_where_the_rule_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        size_t row;
        struct chy_keys_options options;
        enum chy_err wanted;
    } cases[] = {
        { NULL, P256, { .copies = false }, CHY_OK }, /* software, and the setting is off */
        { NULL, P256, { .verify_signatures = true }, CHY_E_INTEGRITY },
        { NULL, 0, { .copies = false }, CHY_E_INTEGRITY },
        { "hardware", P256, { .copies = false }, CHY_E_INTEGRITY },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct chy_signature signature;
        fixture_fault(&fx, cases[i].mode);
        fixture_open(&fx, fixture_faulty(), cases[i].options);
        struct chy_token_sign_item item =
            fixture_item(&keys[cases[i].row], rows[cases[i].row].algorithms[0], 1);
        assert_code(sign(&item, &signature, NULL), CHY_OK);
        fixture_fault(&fx, "wrong-signature");
        assert_code(sign(&item, &signature, NULL), cases[i].wanted);
        /* The wrong length is found in any case. */
        fixture_fault(&fx, "truncated-signature");
        assert_code(sign(&item, &signature, NULL), CHY_E_INTEGRITY);
        close_and_mend(state);
    }
}

static void test_keys_sign__looks_a_stale_handle_up_once_more(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    fixture_fault(&fx, "stale-handle 1");
    fixture_open(&fx, fixture_faulty(), copying);
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    assert_code(sign(&item, &signature, &err), CHY_OK);
    fixture_verify(&keys[P256], &item, (struct chy_bytes){ signature.p, signature.n });
    fixture_fault(&fx, "stale-handle 100");
    assert_code(sign(&item, &signature, &err), CHY_E_TOKEN);
    assert_text(err, "CKR_KEY_HANDLE_INVALID");
    assert_false(fx.session.is_broken);
}

static void test_keys_sign__tells_a_broken_session_from_a_failed_call(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    fixture_fault(&fx, "function-failed");
    fixture_open(&fx, fixture_faulty(), plain);
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    assert_code(sign(&item, &signature, &err), CHY_E_TOKEN);
    assert_text(err, "C_Sign answered CKR_FUNCTION_FAILED (0x6)");
    assert_false(fx.session.is_broken);
    fixture_fault(&fx, "device-error 2");
    assert_code(sign(&item, &signature, &err), CHY_OK);
    assert_code(sign(&item, &signature, &err), CHY_OK);
    assert_code(sign(&item, &signature, &err), CHY_E_TOKEN);
    assert_text(err, "CKR_DEVICE_ERROR");
    assert_int_equal(err.sys, CKR_DEVICE_ERROR);
    assert_true(fx.session.is_broken);
}

/* --- making --- */

static bool attribute(CK_OBJECT_CLASS class, const char *id, CK_ATTRIBUTE_TYPE type)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct chy_object_query query = { .class = class, .id = chy_str_bytes(chy_str_of(id)) };
    bool with_true = false;
    bool with_false = false;
    assert_code(chy_object_find_one(&fx.session, &query, &object, NULL), CHY_OK);
    assert_code(chy_object_bool(&fx.session, object, type, true, &with_true, NULL), CHY_OK);
    assert_code(chy_object_bool(&fx.session, object, type, false, &with_false, NULL), CHY_OK);
    assert_true(with_true == with_false); /* the token has an answer */
    return with_true;
}

static void test_keys_generate__makes_keys_that_sign_and_cannot_leave(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE on[] = { CKA_TOKEN,           CKA_PRIVATE,
                                            CKA_SENSITIVE,       CKA_SIGN,
                                            CKA_LOCAL,           CKA_NEVER_EXTRACTABLE,
                                            CKA_ALWAYS_SENSITIVE };
    static const CK_ATTRIBUTE_TYPE off[] = { CKA_EXTRACTABLE, CKA_DECRYPT, CKA_UNWRAP,
                                             CKA_SIGN_RECOVER, CKA_DERIVE };
    fixture_open(&fx, fx.softhsm, plain);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < CHY_ARRAY_LEN(on); j++)
            assert_true(attribute(CKO_PRIVATE_KEY, rows[i].id, on[j]));
        for (size_t j = 0; j < CHY_ARRAY_LEN(off); j++)
            assert_false(attribute(CKO_PRIVATE_KEY, rows[i].id, off[j]));
        assert_false(attribute(CKO_PUBLIC_KEY, rows[i].id, CKA_PRIVATE));
        assert_false(attribute(CKO_PUBLIC_KEY, rows[i].id, CKA_WRAP));
        assert_int_equal(keys[i].type, rows[i].type);
        assert_true(keys[i].is_local && keys[i].is_never_extractable && !keys[i].is_extractable);
        assert_true(chy_bytes_equal(keys[i].object_id, chy_str_bytes(chy_str_of(rows[i].id))));
    }
}

static void test_keys_generate__gives_no_private_value_away(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE values[] = { CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1 };
    fixture_open(&fx, fx.softhsm, copying);
    const CK_FUNCTION_LIST *f = fx.session.f;
    for (size_t i = 0; i < ROWS; i++) {
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
        CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
        struct chy_object_query query = { .class = CKO_PRIVATE_KEY,
                                          .id = chy_str_bytes(chy_str_of(rows[i].id)) };
        assert_code(chy_object_find_one(&fx.session, &query, &object, NULL), CHY_OK);
        query.class = CKO_PUBLIC_KEY;
        query.id = chy_str_bytes(chy_str_of("rsa-4096"));
        assert_code(chy_object_find_one(&fx.session, &query, &public_key, NULL), CHY_OK);
        CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
        CK_BBOOL no = CK_FALSE;
        CK_BBOOL yes = CK_TRUE;
        CK_ATTRIBUTE session_object = { CKA_TOKEN, &no, sizeof no };
        assert_int_equal(f->C_CopyObject(fx.session.handle, object, &session_object, 1, &copy),
                         CKR_OK);
        const CK_OBJECT_HANDLE handles[] = { object, copy };
        for (size_t j = 0; j < CHY_ARRAY_LEN(handles); j++) {
            for (size_t k = 0; k < CHY_ARRAY_LEN(values); k++) {
                CK_BYTE value[1024];
                CK_ATTRIBUTE attr = { values[k], value, sizeof value };
                assert_int_not_equal(
                    f->C_GetAttributeValue(fx.session.handle, handles[j], &attr, 1), CKR_OK);
            }
            CK_BYTE wrapped[8192];
            CK_ULONG n = sizeof wrapped;
            CK_MECHANISM mechanism = { .mechanism = CKM_RSA_PKCS };
            assert_int_not_equal(
                attack_wrap(f, fx.session.handle, &mechanism, public_key, handles[j], wrapped, &n),
                CKR_OK);
            CK_ATTRIBUTE extractable = { CKA_EXTRACTABLE, &yes, sizeof yes };
            CK_ATTRIBUTE sensitive = { CKA_SENSITIVE, &no, sizeof no };
            assert_int_not_equal(attack_set(f, fx.session.handle, handles[j], &extractable, 1),
                                 CKR_OK);
            assert_int_not_equal(attack_set(f, fx.session.handle, handles[j], &sensitive, 1),
                                 CKR_OK);
            CK_OBJECT_HANDLE open = CK_INVALID_HANDLE;
            assert_int_not_equal(
                f->C_CopyObject(fx.session.handle, handles[j], &sensitive, 1, &open), CKR_OK);
        }
    }
}

static void test_keys_generate__wants_what_it_needs(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    char long_name[CHY_LIMIT_NAME + 2];
    memset(long_name, 'x', sizeof long_name);
    long_name[CHY_LIMIT_NAME + 1] = '\0';
    fixture_open(&fx, fx.softhsm, plain);
    const struct chy_token_generate bad[] = {
        fixture_request(CHY_KEY_NONE, "a", "a"),
        fixture_request((enum chy_key_type)8, "a", "a"),
        fixture_request(CHY_KEY_P256, "", "a"),
        fixture_request(CHY_KEY_P256, "a", ""),
        fixture_request(CHY_KEY_P256, long_name, "a"),
        fixture_request(CHY_KEY_P256, "a", long_name),
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_code(chy_keys_generate(fx.keys, &fx.session, &bad[i], &fx.arena, &key, &err),
                    CHY_E_ARG);
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), ROWS);
}

static void test_keys_generate__takes_no_name_twice(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, plain);
    struct chy_token_generate same_id = fixture_request(CHY_KEY_P256, "new", "p384");
    assert_code(chy_keys_generate(fx.keys, &fx.session, &same_id, &fx.arena, &key, &err),
                CHY_E_EXISTS);
    assert_text(err, "70333834");
    struct chy_token_generate same_label = fixture_request(CHY_KEY_P256, "p384", "new");
    assert_code(chy_keys_generate(fx.keys, &fx.session, &same_label, &fx.arena, &key, &err),
                CHY_E_EXISTS);
    assert_text(err, "label p384");
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), ROWS);
}

static void test_keys_generate__destroys_a_key_that_could_leave(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    fixture_fault(&fx, "extractable");
    fixture_open(&fx, fixture_faulty(), plain);
    struct chy_token_generate request = fixture_request(CHY_KEY_P256, "leaky", "leaky");
    assert_code(chy_keys_generate(fx.keys, &fx.session, &request, &fx.arena, &key, &err),
                CHY_E_INTEGRITY);
    assert_text(err, "can be taken out");
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), ROWS);
    assert_int_equal(fixture_count(&fx, CKO_PUBLIC_KEY), ROWS);
}

/* --- finding --- */

static enum chy_err find(const char *label, const char *id, struct chy_token_key_reply *ret_key,
                         struct chy_error *err)
{
    const struct chy_token_find request = { chy_str_of(label), chy_str_bytes(chy_str_of(id)) };
    return chy_keys_find(fx.keys, &fx.session, &request, &fx.arena, ret_key, err);
}

static void test_keys_find__finds_by_label_and_by_id(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, plain);
    for (size_t i = 0; i < ROWS; i++) {
        assert_code(find(rows[i].id, NULL, &key, &err), CHY_OK);
        assert_true(chy_bytes_equal(key.public_key, keys[i].public_key));
        assert_int_equal(key.type, rows[i].type);
        assert_int_equal(key.certificate.n, 0);
        assert_code(find(NULL, rows[i].id, &key, &err), CHY_OK);
        assert_true(chy_bytes_equal(key.public_key, keys[i].public_key));
        assert_true(key.is_local && key.is_never_extractable && !key.is_extractable);
    }
    assert_code(find("nobody", NULL, &key, &err), CHY_E_NOT_FOUND);
    assert_text(err, "label nobody");
    assert_code(find(NULL, "nobody", &key, &err), CHY_E_NOT_FOUND);
    assert_code(find(NULL, NULL, &key, &err), CHY_E_ARG);
    assert_code(find("p256", "p256", &key, &err), CHY_E_ARG);
}

struct raw_key {
    CK_OBJECT_HANDLE private_key;
    CK_OBJECT_HANDLE public_key;
};

static const uint8_t curve_p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t curve_k256[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a };

/* A key as somebody else's tool might make it: with `extra` set, on any curve, with any names. */
static struct raw_key raw_key(const char *label, const char *id, struct chy_bytes curve,
                              CK_ATTRIBUTE_TYPE extra, bool extra_value)
{
    struct raw_key key = { CK_INVALID_HANDLE, CK_INVALID_HANDLE };
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL value = extra_value ? CK_TRUE : CK_FALSE;
    CK_ATTRIBUTE public_attrs[] = { { CKA_TOKEN, &yes, 1 },
                                    { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
                                    { CKA_ID, (void *)(uintptr_t)id, strlen(id) },
                                    { CKA_EC_PARAMS, (void *)(uintptr_t)curve.p, curve.n } };
    CK_ATTRIBUTE private_attrs[] = { { CKA_TOKEN, &yes, 1 },
                                     { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
                                     { CKA_ID, (void *)(uintptr_t)id, strlen(id) },
                                     { extra, &value, 1 } };
    CK_MECHANISM mechanism = { .mechanism = CKM_EC_KEY_PAIR_GEN };
    CK_RV rv = fx.session.f->C_GenerateKeyPair(fx.session.handle, &mechanism, public_attrs, 4,
                                               private_attrs, 4, &key.public_key, &key.private_key);
    if (rv != CKR_OK)
        fail_msg("%s", chy_rv_name(rv));
    return key;
}

static void raw_key_destroy(struct raw_key key)
{
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, key.private_key), CKR_OK);
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, key.public_key), CKR_OK);
}

#define CURVE(c) ((struct chy_bytes){ (c), sizeof(c) })

static void test_keys_find__takes_ambiguity_for_an_error(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    struct chy_signature signature;
    fixture_open(&fx, fx.softhsm, plain);
    struct raw_key twin = raw_key("p256", "twin", CURVE(curve_p256), CKA_SENSITIVE, true);
    assert_code(find("p256", NULL, &key, &err), CHY_E_CONFLICT);
    assert_text(err, "more than one private key with the label p256");
    raw_key_destroy(twin);
    twin = raw_key("twin", "p256", CURVE(curve_p256), CKA_SENSITIVE, true);
    assert_code(find(NULL, "p256", &key, &err), CHY_E_CONFLICT);
    assert_code(find("p256", NULL, &key, &err), CHY_E_CONFLICT); /* its id is not its own */
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    assert_code(sign(&item, &signature, &err), CHY_E_CONFLICT);
    raw_key_destroy(twin);
    assert_code(sign(&item, &signature, &err), CHY_OK);
}

static void test_keys_find__reports_keys_that_could_leave(void **state)
{
    (void)state;
    static const struct {
        CK_ATTRIBUTE_TYPE extra;
        bool value;
        bool is_extractable;
    } cases[] = {
        { CKA_EXTRACTABLE, true, true },
        { CKA_SENSITIVE, false, true },
        { CKA_SENSITIVE, true, false },
    };
    fixture_open(&fx, fx.softhsm, plain);
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct chy_token_key_reply key;
        struct raw_key raw =
            raw_key("raw", "raw", CURVE(curve_p256), cases[i].extra, cases[i].value);
        assert_code(find("raw", NULL, &key, NULL), CHY_OK);
        assert_int_equal(key.is_extractable, cases[i].is_extractable);
        raw_key_destroy(raw);
    }
}

static void test_keys_find__names_what_it_does_not_support(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, plain);
    struct raw_key raw = raw_key("k256", "k256", CURVE(curve_k256), CKA_SENSITIVE, true);
    assert_code(find("k256", NULL, &key, &err), CHY_E_UNSUPPORTED);
    assert_text(err, "curve");
    raw_key_destroy(raw);
    raw = raw_key("no-id", "", CURVE(curve_p256), CKA_SENSITIVE, true);
    assert_code(find("no-id", NULL, &key, &err), CHY_E_UNSUPPORTED);
    assert_text(err, "CKA_ID");
    raw_key_destroy(raw);
    raw = raw_key("ask", "ask", CURVE(curve_p256), CKA_ALWAYS_AUTHENTICATE, true);
    assert_code(find("ask", NULL, &key, &err), CHY_E_UNSUPPORTED);
    assert_text(err, "PIN for each signature");
    raw_key_destroy(raw);
    raw = raw_key("bald", "bald", CURVE(curve_p256), CKA_SENSITIVE, true);
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, raw.public_key), CKR_OK);
    assert_code(find("bald", NULL, &key, &err), CHY_E_NOT_FOUND);
    assert_text(err, "no public key");
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, raw.private_key), CKR_OK);
}

static CK_OBJECT_HANDLE certificate_make(const char *id, const char *value, size_t n)
{
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_ULONG type = CKC_X_509;
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ATTRIBUTE attrs[] = {
        { CKA_CLASS, &class, sizeof class },          { CKA_TOKEN, &yes, 1 },
        { CKA_CERTIFICATE_TYPE, &type, sizeof type }, { CKA_ID, (void *)(uintptr_t)id, strlen(id) },
        { CKA_SUBJECT, (void *)(uintptr_t) "0", 1 },  { CKA_VALUE, (void *)(uintptr_t)value, n }
    };
    assert_int_equal(
        attack_create(fx.session.f, fx.session.handle, attrs, CHY_ARRAY_LEN(attrs), &object),
        CKR_OK);
    return object;
}

static void test_keys_find__brings_the_certificate(void **state)
{
    (void)state;
    struct chy_token_key_reply key;
    struct chy_error err;
    static char large[CHY_LIMIT_CERTIFICATE + 1];
    fixture_open(&fx, fx.softhsm, plain);
    CK_OBJECT_HANDLE first = certificate_make("p521", "first", 5);
    assert_code(find("p521", NULL, &key, &err), CHY_OK);
    assert_true(chy_bytes_equal(key.certificate, chy_str_bytes(CHY_STR("first"))));
    assert_int_equal(key.text.n, 0);
    CK_OBJECT_HANDLE second = certificate_make("p521", "second", 6);
    assert_code(find("p521", NULL, &key, &err), CHY_OK);
    assert_int_equal(key.certificate.n, 0);
    assert_true(chy_str_starts(key.text, "2 certificates"));
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, first), CKR_OK);
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, second), CKR_OK);
    first = certificate_make("p521", large, sizeof large);
    assert_code(find("p521", NULL, &key, &err), CHY_E_LIMIT);
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, first), CKR_OK);
}

/* --- dropping --- */

static void test_keys_drop__forgets_and_finds_again(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, copying);
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    const struct chy_token_drop drop = { .key = item.key };
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_OK); /* never known */
    for (int i = 0; i < 3; i++) {
        assert_code(sign(&item, &signature, &err), CHY_OK);
        assert_int_equal(chy_keys_copied(fx.keys), 1);
        assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_OK);
        assert_int_equal(chy_keys_count(fx.keys), 0);
    }
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), ROWS);
}

static void test_keys_drop__destroys_key_and_certificate(void **state)
{
    (void)state;
    struct chy_signature signature;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, copying);
    struct chy_token_key_reply key = fixture_key(&fx, CHY_KEY_P256, "doomed", "doomed");
    certificate_make("doomed", "one", 3);
    certificate_make("doomed", "two", 3);
    struct chy_token_sign_item item = fixture_item(&key, CHY_ALG_ECDSA_SHA256, 1);
    assert_code(sign(&item, &signature, &err), CHY_OK);
    struct chy_token_drop drop = { .key = item.key, .destroy = true };
    drop.key.public_key_sha256[3] ^= 1;
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_E_CONFLICT);
    assert_code(sign(&item, &signature, &err), CHY_OK);
    drop.key = item.key;
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_OK);
    assert_code(sign(&item, &signature, &err), CHY_E_NOT_FOUND);
    assert_int_equal(fixture_count(&fx, CKO_PRIVATE_KEY), ROWS);
    assert_int_equal(fixture_count(&fx, CKO_PUBLIC_KEY), ROWS);
    assert_int_equal(fixture_count(&fx, CKO_CERTIFICATE), 0);
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_E_NOT_FOUND);
}

static void test_keys_drop__finishes_what_a_crash_left(void **state)
{
    (void)state;
    struct chy_error err;
    fixture_open(&fx, fx.softhsm, plain);
    struct chy_token_key_reply key = fixture_key(&fx, CHY_KEY_P256, "half", "half");
    struct chy_token_drop drop = { .key = fixture_item(&key, CHY_ALG_ECDSA_SHA256, 1).key,
                                   .destroy = true };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct chy_object_query query = { .class = CKO_PRIVATE_KEY, .id = drop.key.object_id };
    assert_code(chy_object_find_one(&fx.session, &query, &object, NULL), CHY_OK);
    assert_int_equal(fx.session.f->C_DestroyObject(fx.session.handle, object), CKR_OK);
    drop.key.public_key_sha256[0] ^= 1;
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_E_CONFLICT);
    drop.key.public_key_sha256[0] ^= 1;
    assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, &err), CHY_OK);
    assert_int_equal(fixture_count(&fx, CKO_PUBLIC_KEY), ROWS);
}

static void test_keys__survive_every_failed_allocation(void **state)
{
    (void)state;
    struct chy_token_sign_item item = fixture_item(&keys[P256], CHY_ALG_ECDSA_SHA256, 1);
    const struct chy_token_drop drop = { .key = item.key };
    fixture_open(&fx, fx.softhsm, verifying);
    size_t n = 0;
    for (;; n++) {
        struct chy_signature signature;
        assert_code(chy_keys_drop(fx.keys, &fx.session, &drop, NULL), CHY_OK);
        chy_mem_fail_after(n);
        enum chy_err r = sign(&item, &signature, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        if (!has_failed) {
            assert_code(r, CHY_OK);
            break;
        }
        assert_code(r, CHY_E_NOMEM);
        assert_int_equal(chy_keys_quarantined(fx.keys), 0);
    }
    assert_true(n > 3);
    for (n = 0;; n++) {
        struct chy_token_key_reply key;
        const struct chy_token_find request = { CHY_STR("p256"), { NULL, 0 } };
        struct chy_arena arena;
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
        chy_mem_fail_after(n);
        enum chy_err r = chy_keys_find(fx.keys, &fx.session, &request, &arena, &key, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        chy_arena_done(&arena);
        assert_code(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, close_and_mend)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(test_keys_sign__makes_good_signatures_of_every_kind),
        TEST(test_keys_sign__makes_them_with_copies_too),
        TEST(test_keys_sign__goes_on_without_a_copy),
        TEST(test_keys_sign__never_copies_a_hardware_key),
        TEST(test_keys_sign__refuses_what_does_not_fit),
        TEST(test_keys_sign__takes_an_ed25519_message_up_to_the_limit),
        TEST(test_keys_sign__pads_what_is_shorter_than_the_modulus),
        TEST(test_keys_sign__knows_the_key_by_its_hash),
        TEST(test_keys_sign__lets_no_wrong_signature_out),
        TEST(test_keys_sign__lets_no_other_keys_signature_out),
        TEST(test_keys_sign__verifies_later_ones_where_the_rule_says_so),
        TEST(test_keys_sign__looks_a_stale_handle_up_once_more),
        TEST(test_keys_sign__tells_a_broken_session_from_a_failed_call),
        TEST(test_keys_generate__makes_keys_that_sign_and_cannot_leave),
        TEST(test_keys_generate__gives_no_private_value_away),
        TEST(test_keys_generate__wants_what_it_needs),
        TEST(test_keys_generate__takes_no_name_twice),
        TEST(test_keys_generate__destroys_a_key_that_could_leave),
        TEST(test_keys_find__finds_by_label_and_by_id),
        TEST(test_keys_find__takes_ambiguity_for_an_error),
        TEST(test_keys_find__reports_keys_that_could_leave),
        TEST(test_keys_find__names_what_it_does_not_support),
        TEST(test_keys_find__brings_the_certificate),
        TEST(test_keys_drop__forgets_and_finds_again),
        TEST(test_keys_drop__destroys_key_and_certificate),
        TEST(test_keys_drop__finishes_what_a_crash_left),
        TEST(test_keys__survive_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
