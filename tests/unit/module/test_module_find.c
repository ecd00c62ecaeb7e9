/* SPDX-License-Identifier: MIT */
/* Objects and their attributes: what is asked of the agent for a find, and what a tool then
 * sees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "module_fixture.h"

#define REAL_KEYS 6

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    module_open();
    return 0;
}

static CK_OBJECT_HANDLE found[CHY_LIMIT_P11_OBJECTS];

static size_t count_class(CK_OBJECT_CLASS class)
{
    CK_ATTRIBUTE attr = { CKA_CLASS, &class, sizeof class };
    return objects_find(&attr, 1, found, CHY_ARRAY_LEN(found));
}

static size_t count_with(CK_ATTRIBUTE_TYPE type, struct chy_bytes value)
{
    CK_ATTRIBUTE attr = { type, (void *)(uintptr_t)value.p, value.n };
    return objects_find(&attr, 1, found, CHY_ARRAY_LEN(found));
}

/* --- what is asked --- */

static void test_find__everything(void **state)
{
    (void)state;
    assert_int_equal(objects_find(NULL, 0, found, CHY_ARRAY_LEN(found)), 3 * REAL_KEYS + 1);
    assert_int_equal(count_class(CKO_PRIVATE_KEY), REAL_KEYS);
    assert_int_equal(count_class(CKO_PUBLIC_KEY), REAL_KEYS);
    assert_int_equal(count_class(CKO_CERTIFICATE), REAL_KEYS + 1);
}

static void test_find__a_label_asks_for_that_key_alone(void **state)
{
    (void)state;
    object_find(CKO_PRIVATE_KEY, "p256");
    assert_int_equal(log_count("key p256"), 1);
    assert_int_equal(log_count("keys"), 0);
    object_find(CKO_CERTIFICATE, "p256");
    assert_int_equal(log_count("keys"), 0);
}

static void test_find__an_id_asks_for_that_key_alone(void **state)
{
    (void)state;
    CK_BYTE id[16];
    memset(id, 3, sizeof id);
    assert_int_equal(count_with(CKA_ID, (struct chy_bytes){ id, sizeof id }), 3);
    assert_int_equal(log_count("key "), 1);
    assert_int_equal(log_count("keys"), 0);
}

static void test_find__a_label_that_no_key_has(void **state)
{
    (void)state;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attrs[] = { { CKA_CLASS, &class, sizeof class },
                             { CKA_LABEL, (void *)(uintptr_t) "none", 4 } };
    assert_int_equal(objects_find(attrs, 2, found, 4), 0);
    assert_int_equal(log_count("keys"), 0);
}

static void test_find__a_ca_is_found_by_label_id_and_subject(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE ca = object_find(CKO_CERTIFICATE, "Fake CA");
    assert_int_equal(log_count("keys"), 1);
    struct chy_bytes subject = attribute_of(ca, CKA_SUBJECT);
    assert_int_equal(count_with(CKA_SUBJECT, subject), 1);
    assert_int_equal(count_with(CKA_ID, chy_str_bytes(CHY_STR("fake-ca-id"))), 1);
    assert_int_equal(found[0], ca);
}

static void test_find__the_list_is_loaded_once(void **state)
{
    (void)state;
    count_class(CKO_PRIVATE_KEY);
    CK_OBJECT_HANDLE first = found[0];
    size_t before = log_count("key");
    count_class(CKO_PRIVATE_KEY);
    object_find(CKO_PRIVATE_KEY, "p256");
    assert_int_equal(found[0], first);
    /* Each asks whether it is still right, and none for a key. */
    assert_int_equal(log_count("key"), before + 2);
    assert_int_equal(log_count("key "), 0);
}

static void test_find__a_changed_list_keeps_its_handles(void **state)
{
    (void)state;
    folder_write("keys", "700");
    assert_int_equal(count_class(CKO_PRIVATE_KEY), REAL_KEYS + 700);
    assert_int_equal(log_count("keys"), 2);
    CK_OBJECT_HANDLE p256 = object_find(CKO_PRIVATE_KEY, "p256");
    CK_OBJECT_HANDLE last = object_find(CKO_PRIVATE_KEY, "key-00700");
    folder_write("keys", "10");
    folder_write("revision", "1");
    assert_int_equal(count_class(CKO_PRIVATE_KEY), REAL_KEYS + 10);
    assert_int_equal(object_find(CKO_PRIVATE_KEY, "p256"), p256);
    assert_int_equal(count_with(CKA_LABEL, chy_str_bytes(CHY_STR("key-00700"))), 0);
    /* A handle that was given stays, and the key comes back under it. */
    assert_int_equal(number_of(last, CKA_KEY_TYPE), CKK_EC);
    folder_write("keys", "700");
    folder_write("revision", "2");
    assert_int_equal(object_find(CKO_PRIVATE_KEY, "key-00700"), last);
}

static void test_find__as_many_keys_as_the_limit(void **state)
{
    (void)state;
    char text[16];
    snprintf(text, sizeof text, "%d", CHY_LIMIT_VISIBLE_KEYS - REAL_KEYS);
    folder_write("keys", text);
    assert_int_equal(count_class(CKO_PRIVATE_KEY), CHY_LIMIT_VISIBLE_KEYS);
    snprintf(text, sizeof text, "%d", CHY_LIMIT_VISIBLE_KEYS - REAL_KEYS + 1);
    folder_write("keys", text);
    folder_write("revision", "1");
    assert_rv(fx.f->C_FindObjectsInit(fx.session, NULL, 0), CKR_DEVICE_ERROR);
}

static void test_find__what_is_not_here_is_not_asked_for(void **state)
{
    (void)state;
    static const CK_OBJECT_CLASS classes[] = { 0, 4, 5, 0x80000001UL };
    for (size_t i = 0; i < CHY_ARRAY_LEN(classes); i++)
        assert_int_equal(count_class(classes[i]), 0);
    CK_BBOOL no = CK_FALSE;
    assert_int_equal(count_with(CKA_TOKEN, (struct chy_bytes){ &no, 1 }), 0);
    assert_int_equal(log_count("key"), 0);
}

static void test_find__by_any_attribute(void **state)
{
    (void)state;
    CK_KEY_TYPE rsa = CKK_RSA;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ULONG bits = 3072;
    assert_int_equal(count_with(CKA_KEY_TYPE, (struct chy_bytes){ (CK_BYTE *)&rsa, sizeof rsa }),
                     4);
    assert_int_equal(count_with(CKA_MODULUS_BITS, (struct chy_bytes){ (CK_BYTE *)&bits, 8 }), 1);
    assert_int_equal(count_with(CKA_SIGN, (struct chy_bytes){ &yes, 1 }), REAL_KEYS);
    assert_int_equal(count_with(CKA_PRIVATE, (struct chy_bytes){ &yes, 1 }), 0);
    assert_int_equal(count_with(CKA_PRIVATE, (struct chy_bytes){ &no, 1 }), 3 * REAL_KEYS + 1);
    assert_int_equal(count_with(CKA_TRUSTED, (struct chy_bytes){ &yes, 1 }), 0);
    assert_int_equal(count_with(0x12345, (struct chy_bytes){ &yes, 1 }), 0);
    /* What may not be read is no way to search either, not even with an empty value. */
    assert_int_equal(count_with(CKA_PRIVATE_EXPONENT, (struct chy_bytes){ NULL, 0 }), 0);
}

static void test_find__a_label_that_cannot_be_one(void **state)
{
    (void)state;
    char label[CHY_LIMIT_NAME + 1];
    memset(label, 'a', sizeof label);
    assert_int_equal(count_with(CKA_LABEL, chy_str_bytes((struct chy_str){ label, sizeof label })),
                     0);
    assert_int_equal(count_with(CKA_LABEL, chy_str_bytes(CHY_STR("\xff\xfe"))), 0);
    assert_int_equal(count_with(CKA_LABEL, chy_str_bytes(CHY_STR("a\nb"))), 0);
    assert_int_equal(log_count("key "), 0);
}

static void test_find__in_steps(void **state)
{
    (void)state;
    CK_ULONG n = 0;
    CK_OBJECT_HANDLE last = 0;
    assert_rv(fx.f->C_FindObjectsInit(fx.session, NULL, 0), CKR_OK);
    assert_rv(fx.f->C_FindObjectsInit(fx.session, NULL, 0), CKR_OPERATION_ACTIVE);
    assert_rv(fx.f->C_FindObjects(fx.session, found, 1, NULL), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_FindObjects(fx.session, NULL, 1, &n), CKR_ARGUMENTS_BAD);
    size_t all = 0;
    do {
        assert_rv(fx.f->C_FindObjects(fx.session, found, 4, &n), CKR_OK);
        for (CK_ULONG i = 0; i < n; i++) {
            assert_true(found[i] > last);
            last = found[i];
        }
        all += n;
    } while (n == 4);
    assert_int_equal(all, 3 * REAL_KEYS + 1);
    assert_rv(fx.f->C_FindObjects(fx.session, found, ~0UL, &n), CKR_OK);
    assert_int_equal(n, 0);
    assert_rv(fx.f->C_FindObjectsFinal(fx.session), CKR_OK);
    assert_rv(fx.f->C_FindObjectsFinal(fx.session), CKR_OPERATION_NOT_INITIALIZED);
}

/* --- what is told to the agent --- */

static void test_hello__says_what_the_environment_does(void **state)
{
    (void)state;
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    setenv("CHANCERY_KEYS", " p256,rsa-*  ed25519,", 1);
    setenv("CHANCERY_REASON", "release 1.2", 1);
    setenv("CHANCERY_RECEIPTS", "receipts/here", 1);
    setenv("CHANCERY_EXEC_TAG", "30313233343536373839414243444546", 1);
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    object_find(CKO_PRIVATE_KEY, "p256");
    char here[4096]; /* as realpath wants it */
    char wanted[4200];
    assert_non_null(realpath(".", here));
    snprintf(wanted, sizeof wanted, "receipts %s/receipts/here", here);
    assert_int_equal(log_count(wanted), 1);
    assert_int_equal(log_count("hello release 1.2"), 1);
    assert_int_equal(log_count("show"), 3);
    assert_int_equal(log_count("show rsa-*"), 1);
    assert_int_equal(log_count("tag 0123456789ABCDEF"), 1);
}

/* --- attributes --- */

struct expected {
    CK_ATTRIBUTE_TYPE type;
    int truth; /* -1: no such attribute */
};

static void assert_truths(CK_OBJECT_HANDLE object, const struct expected *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CK_BBOOL value = 7;
        CK_ATTRIBUTE attr = { rows[i].type, &value, 1 };
        CK_RV rv = fx.f->C_GetAttributeValue(fx.session, object, &attr, 1);
        if (rows[i].truth < 0) {
            assert_rv(rv, CKR_ATTRIBUTE_TYPE_INVALID);
            assert_int_equal(attr.ulValueLen, CK_UNAVAILABLE_INFORMATION);
            continue;
        }
        assert_rv(rv, CKR_OK);
        assert_int_equal(value, rows[i].truth);
    }
}

static void test_attributes__of_a_private_key(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        { CKA_TOKEN, 1 },
        { CKA_PRIVATE, 0 },
        { CKA_MODIFIABLE, 0 },
        { CKA_COPYABLE, 0 },
        { CKA_DESTROYABLE, 0 },
        { CKA_SENSITIVE, 1 },
        { CKA_EXTRACTABLE, 0 },
        { CKA_ALWAYS_SENSITIVE, 0 },
        { CKA_NEVER_EXTRACTABLE, 0 },
        { CKA_LOCAL, 0 },
        { CKA_SIGN, 1 },
        { CKA_SIGN_RECOVER, 0 },
        { CKA_DECRYPT, 0 },
        { CKA_UNWRAP, 0 },
        { CKA_DERIVE, 0 },
        { CKA_VERIFY, -1 },
        { CKA_ENCRYPT, -1 },
        { CKA_ALWAYS_AUTHENTICATE, 0 },
        { CKA_TRUSTED, -1 },
        { CKA_MODULUS_BITS, -1 },
        { CKA_ISSUER, -1 },
        { CKA_WRAP_WITH_TRUSTED, 0 },
    };
    static const CK_ATTRIBUTE_TYPE secret[] = { CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                                CKA_PRIME_2,          CKA_EXPONENT_1,
                                                CKA_EXPONENT_2,       CKA_COEFFICIENT };
    CK_OBJECT_HANDLE rsa = object_find(CKO_PRIVATE_KEY, "rsa-2048");
    assert_truths(rsa, rows, CHY_ARRAY_LEN(rows));
    assert_int_equal(number_of(rsa, CKA_CLASS), CKO_PRIVATE_KEY);
    assert_int_equal(number_of(rsa, CKA_KEY_TYPE), CKK_RSA);
    assert_int_equal(number_of(rsa, CKA_KEY_GEN_MECHANISM), CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(attribute_of(rsa, CKA_MODULUS).n, 256);
    assert_true(chy_bytes_equal(attribute_of(rsa, CKA_PUBLIC_EXPONENT),
                                (struct chy_bytes){ (const uint8_t *)"\x01\x00\x01", 3 }));
    assert_int_equal(attribute_of(rsa, CKA_ALLOWED_MECHANISMS).n, 8 * sizeof(CK_MECHANISM_TYPE));
    for (size_t i = 0; i < CHY_ARRAY_LEN(secret); i++) {
        CK_BYTE room[512] = { 0 };
        CK_ATTRIBUTE attr = { secret[i], room, sizeof room };
        assert_rv(fx.f->C_GetAttributeValue(fx.session, rsa, &attr, 1), CKR_ATTRIBUTE_SENSITIVE);
        assert_int_equal(attr.ulValueLen, CK_UNAVAILABLE_INFORMATION);
        assert_int_equal(room[0], 0);
    }
    CK_OBJECT_HANDLE ec = object_find(CKO_PRIVATE_KEY, "p384");
    CK_ATTRIBUTE value = { CKA_VALUE, NULL, 0 };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, ec, &value, 1), CKR_ATTRIBUTE_SENSITIVE);
    assert_int_equal(attribute_of(ec, CKA_EC_POINT).n, 2 + 97);
    value.type = CKA_MODULUS;
    assert_rv(fx.f->C_GetAttributeValue(fx.session, ec, &value, 1), CKR_ATTRIBUTE_TYPE_INVALID);
}

static void test_attributes__of_a_public_key(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        { CKA_TOKEN, 1 },  { CKA_PRIVATE, 0 },           { CKA_VERIFY, 1 },     { CKA_ENCRYPT, 0 },
        { CKA_WRAP, 0 },   { CKA_VERIFY_RECOVER, 0 },    { CKA_DERIVE, 0 },     { CKA_TRUSTED, 0 },
        { CKA_SIGN, -1 },  { CKA_SENSITIVE, -1 },        { CKA_MODIFIABLE, 0 }, { CKA_LOCAL, 0 },
        { CKA_VALUE, -1 }, { CKA_PRIVATE_EXPONENT, -1 },
    };
    CK_OBJECT_HANDLE rsa = object_find(CKO_PUBLIC_KEY, "rsa-3072");
    assert_truths(rsa, rows, CHY_ARRAY_LEN(rows));
    assert_int_equal(number_of(rsa, CKA_MODULUS_BITS), 3072);
    CK_OBJECT_HANDLE ed = object_find(CKO_PUBLIC_KEY, "ed25519");
    assert_int_equal(number_of(ed, CKA_KEY_TYPE), CKK_EC_EDWARDS);
    assert_int_equal(attribute_of(ed, CKA_EC_POINT).n, 34);
    CK_MECHANISM_TYPE eddsa = CKM_EDDSA;
    assert_true(chy_bytes_equal(attribute_of(ed, CKA_ALLOWED_MECHANISMS),
                                (struct chy_bytes){ (CK_BYTE *)&eddsa, sizeof eddsa }));
}

static void test_attributes__of_certificates(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        { CKA_TOKEN, 1 }, { CKA_PRIVATE, 0 }, { CKA_TRUSTED, 0 },    { CKA_MODIFIABLE, 0 },
        { CKA_SIGN, -1 }, { CKA_VERIFY, -1 }, { CKA_SENSITIVE, -1 }, { CKA_KEY_TYPE, -1 },
    };
    CK_OBJECT_HANDLE own = object_find(CKO_CERTIFICATE, "p256");
    CK_OBJECT_HANDLE ca = object_find(CKO_CERTIFICATE, "Fake CA");
    assert_truths(own, rows, CHY_ARRAY_LEN(rows));
    assert_int_equal(number_of(own, CKA_CERTIFICATE_TYPE), CKC_X_509);
    assert_int_equal(number_of(own, CKA_CERTIFICATE_CATEGORY), 1);
    assert_int_equal(number_of(ca, CKA_CERTIFICATE_CATEGORY), 2);
    struct chy_bytes der = attribute_of(own, CKA_VALUE);
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    assert_non_null(x);
    unsigned char *issuer = NULL;
    int n = i2d_X509_NAME(X509_get_issuer_name(x), &issuer);
    assert_true(
        chy_bytes_equal(attribute_of(own, CKA_ISSUER), (struct chy_bytes){ issuer, (size_t)n }));
    /* A chain is built like this. */
    assert_int_equal(count_with(CKA_SUBJECT, (struct chy_bytes){ issuer, (size_t)n }), 1);
    assert_int_equal(found[0], ca);
    OPENSSL_free(issuer);
    X509_free(x);
    assert_int_equal(attribute_of(own, CKA_SERIAL_NUMBER).n, 3);
}

static void test_attributes__ids_bind_the_three(void **state)
{
    (void)state;
    CK_BYTE id[64];
    struct chy_bytes value = attribute_of(object_find(CKO_PRIVATE_KEY, "p521"), CKA_ID);
    assert_int_equal(value.n, 16);
    memcpy(id, value.p, value.n);
    assert_int_equal(count_with(CKA_ID, (struct chy_bytes){ id, 16 }), 3);
}

static void test_get_attribute_value__two_calls_and_all_faults_at_once(void **state)
{
    (void)state;
    CK_BYTE small[4] = { 9, 9, 9, 9 };
    CK_BYTE label[32];
    CK_BBOOL truth = 7;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "rsa-2048");
    CK_ATTRIBUTE lengths[] = { { CKA_MODULUS, NULL, 0 }, { CKA_LABEL, NULL, 77 } };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, lengths, 2), CKR_OK);
    assert_int_equal(lengths[0].ulValueLen, 256);
    assert_int_equal(lengths[1].ulValueLen, 8);
    CK_ATTRIBUTE mixed[] = { { CKA_MODULUS, small, sizeof small },
                             { CKA_LABEL, label, sizeof label },
                             { CKA_PRIME_1, label, sizeof label },
                             { 0x99999, small, sizeof small },
                             { CKA_SIGN, &truth, 1 } };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, mixed, 5), CKR_ATTRIBUTE_SENSITIVE);
    assert_int_equal(mixed[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(mixed[1].ulValueLen, 8);
    assert_memory_equal(label, "rsa-2048", 8);
    assert_int_equal(mixed[2].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(mixed[3].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(mixed[4].ulValueLen, 1);
    assert_int_equal(truth, CK_TRUE);
    assert_int_equal(small[0], 9);
    CK_ATTRIBUTE exact = { CKA_LABEL, label, 8 };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, &exact, 1), CKR_OK);
    exact.ulValueLen = 7;
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, &exact, 1), CKR_BUFFER_TOO_SMALL);
    exact = (CK_ATTRIBUTE){ CKA_SUBJECT, label, 0 };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, &exact, 1), CKR_OK);
    assert_int_equal(exact.ulValueLen, 0);
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, NULL, 1), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, mixed, 0), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, mixed, ~0UL), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_GetAttributeValue(fx.session, 9999, mixed, 1), CKR_OBJECT_HANDLE_INVALID);
}

static void test_get_object_size__is_that_of_its_values(void **state)
{
    (void)state;
    CK_ULONG n = 0;
    CK_OBJECT_HANDLE own = object_find(CKO_CERTIFICATE, "p256");
    size_t der = attribute_of(own, CKA_VALUE).n;
    assert_rv(fx.f->C_GetObjectSize(fx.session, own, &n), CKR_OK);
    assert_true(n > der && n < der + 1024);
    assert_rv(fx.f->C_GetObjectSize(fx.session, own, NULL), CKR_ARGUMENTS_BAD);
}

/* Nothing can be written, whatever kind of session it is. */
static void test_objects__are_not_changed(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    CK_ATTRIBUTE attr = { CKA_LABEL, (void *)(uintptr_t) "x", 1 };
    CK_OBJECT_HANDLE other;
    assert_rv(fx.f->C_SetAttributeValue(fx.session, key, &attr, 1), CKR_FUNCTION_NOT_SUPPORTED);
    assert_rv(fx.f->C_DestroyObject(fx.session, key), CKR_FUNCTION_NOT_SUPPORTED);
    assert_rv(fx.f->C_CopyObject(fx.session, key, &attr, 1, &other), CKR_FUNCTION_NOT_SUPPORTED);
    assert_rv(fx.f->C_CreateObject(fx.session, &attr, 1, &other), CKR_FUNCTION_NOT_SUPPORTED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_find__everything),
        T(test_find__a_label_asks_for_that_key_alone),
        T(test_find__an_id_asks_for_that_key_alone),
        T(test_find__a_label_that_no_key_has),
        T(test_find__a_ca_is_found_by_label_id_and_subject),
        T(test_find__the_list_is_loaded_once),
        T(test_find__a_changed_list_keeps_its_handles),
        T(test_find__as_many_keys_as_the_limit),
        T(test_find__what_is_not_here_is_not_asked_for),
        T(test_find__by_any_attribute),
        T(test_find__a_label_that_cannot_be_one),
        T(test_find__in_steps),
        T(test_hello__says_what_the_environment_does),
        T(test_attributes__of_a_private_key),
        T(test_attributes__of_a_public_key),
        T(test_attributes__of_certificates),
        T(test_attributes__ids_bind_the_three),
        T(test_get_attribute_value__two_calls_and_all_faults_at_once),
        T(test_get_object_size__is_that_of_its_values),
        T(test_objects__are_not_changed),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
