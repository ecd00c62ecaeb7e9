/* SPDX-License-Identifier: MIT */
/* The module's pure parts, each on its own: return values, objects with their limits,
 * mechanisms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "module/attributes.h"
#include "module/mechanisms.h"
#include "module/objects.h"
#include "module/rv.h"
#include "proto/door.h"
#include "proto/types.h"

#define BYTES(lit)                              \
    {                                           \
        (const uint8_t *)(lit), sizeof(lit) - 1 \
    }

static void test_rv__of_each_error(void **state)
{
    (void)state;
    assert_int_equal(chy_p11_rv(CHY_OK), CKR_OK);
    assert_int_equal(chy_p11_rv(CHY_E_NOMEM), CKR_HOST_MEMORY);
    assert_int_equal(chy_p11_rv(CHY_E_DENIED), CKR_ACTION_PROHIBITED);
    assert_int_equal(chy_p11_rv(CHY_E_NOT_FOUND), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(chy_p11_rv(CHY_E_STATE), CKR_FUNCTION_REJECTED);
    assert_int_equal(chy_p11_rv(CHY_E_ARG), CKR_DATA_LEN_RANGE);
    assert_int_equal(chy_p11_rv(CHY_E_UNSUPPORTED), CKR_MECHANISM_INVALID);
    for (int code = -24; code < 0; code++)
        assert_string_not_equal(chy_p11_rv_name(chy_p11_rv((enum chy_err)code)), "?");
    assert_string_equal(chy_p11_rv_name(CKR_DEVICE_ERROR), "CKR_DEVICE_ERROR");
    assert_string_equal(chy_p11_rv_name(0x12345), "?");
}

/* --- objects --- */

static const struct chy_door_certificate a_certificate = { .label = { "c", 1 },
                                                           .id = BYTES("id"),
                                                           .der = BYTES("der"),
                                                           .subject = BYTES("subject"),
                                                           .issuer = BYTES("issuer"),
                                                           .serial = BYTES("serial") };

static struct chy_door_key ec_key(const char *name)
{
    return (struct chy_door_key){ .name = chy_str_of(name),
                                  .label = chy_str_of(name),
                                  .id = chy_str_bytes(chy_str_of(name)),
                                  .type = CHY_KEY_P256,
                                  .public_key = BYTES("spki"),
                                  .ec_params = BYTES("params"),
                                  .ec_point = BYTES("point") };
}

static struct chy_door_key rsa_key(size_t modulus_bytes)
{
    static uint8_t modulus[CHY_LIMIT_P11_RSA + 1];
    memset(modulus, 0x7f, sizeof modulus);
    return (struct chy_door_key){ .name = CHY_STR("rsa"),
                                  .label = CHY_STR("rsa"),
                                  .id = BYTES("rsa"),
                                  .type = CHY_KEY_RSA_4096,
                                  .modulus = { modulus, modulus_bytes },
                                  .public_exponent = BYTES("\x03") };
}

static enum chy_err add(struct chy_p11_objects *objects, const struct chy_door_key *key)
{
    struct chy_door_key_page page = { .keys = { key, 1 } };
    return chy_p11_objects_add_locked(objects, chy_p11_objects_look_locked(objects), &page, NULL);
}

static void test_objects_add__a_key_twice_is_one(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    struct chy_door_key key = ec_key("a");
    key.certificate = &a_certificate;
    assert_int_equal(add(&objects, &key), CHY_OK);
    assert_int_equal(objects.n, 3);
    assert_int_equal(add(&objects, &key), CHY_OK);
    assert_int_equal(objects.n, 3);
    assert_int_equal(chy_p11_object_locked(&objects, 3)->seen, 2);
    assert_null(chy_p11_object_locked(&objects, 0));
    assert_null(chy_p11_object_locked(&objects, 4));
    assert_null(chy_p11_object_locked(&objects, ~0UL));
    chy_p11_objects_done(&objects);
}

static void test_objects_add__a_renewed_certificate_is_one_more_object(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    struct chy_door_key key = ec_key("a");
    struct chy_door_certificate renewed = a_certificate;
    renewed.der = (struct chy_bytes)BYTES("newer");
    key.certificate = &a_certificate;
    assert_int_equal(add(&objects, &key), CHY_OK);
    key.certificate = &renewed;
    assert_int_equal(add(&objects, &key), CHY_OK);
    assert_int_equal(objects.n, 4);
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_ATTRIBUTE attr = { CKA_CLASS, &class, sizeof class };
    CK_OBJECT_HANDLE *handles = NULL;
    size_t n = 0;
    assert_int_equal(
        chy_p11_objects_match_locked(&objects, objects.last_look, &attr, 1, &handles, &n, NULL),
        CHY_OK);
    assert_int_equal(n, 1);
    assert_int_equal(handles[0], 4);
    chy_free(handles);
    chy_p11_objects_done(&objects);
}

static void test_objects_add__half_a_key(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    static const size_t needed[] = {
        offsetof(struct chy_door_key, name),     offsetof(struct chy_door_key, label),
        offsetof(struct chy_door_key, id),       offsetof(struct chy_door_key, ec_params),
        offsetof(struct chy_door_key, ec_point),
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(needed); i++) {
        struct chy_door_key key = ec_key("a");
        ((struct chy_bytes *)(void *)((char *)&key + needed[i]))->n = 0;
        assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    }
    struct chy_door_key key = ec_key("a");
    key.type = CHY_KEY_NONE;
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    struct chy_door_certificate half = a_certificate;
    half.issuer.n = 0;
    key = ec_key("a");
    key.certificate = &half;
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    assert_int_equal(objects.n, 0);
    chy_p11_objects_done(&objects);
}

static void test_objects_add__a_modulus_at_the_limit(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    struct chy_door_key key = rsa_key(CHY_LIMIT_P11_RSA);
    assert_int_equal(add(&objects, &key), CHY_OK);
    const struct chy_p11_object *o = chy_p11_object_locked(&objects, 2);
    struct chy_p11_value value;
    assert_int_equal(chy_p11_attribute(o, CKA_MODULUS_BITS, &value), CKR_OK);
    assert_int_equal(value.number, 8 * CHY_LIMIT_P11_RSA - 1);
    assert_int_equal(chy_p11_signature_bytes(o->key), CHY_LIMIT_P11_RSA);
    key = rsa_key(CHY_LIMIT_P11_RSA + 1);
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    key = rsa_key(0);
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    chy_p11_objects_done(&objects);
}

/* Each look shows another key, for ever: the objects are not kept without end. */
static void test_objects_add__as_many_as_the_limit(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    char name[16];
    for (int i = 0; i < CHY_LIMIT_P11_OBJECTS / 2; i++) {
        snprintf(name, sizeof name, "%d", i);
        struct chy_door_key key = ec_key(name);
        if (add(&objects, &key) != CHY_OK)
            fail();
    }
    assert_int_equal(objects.n, CHY_LIMIT_P11_OBJECTS);
    struct chy_door_key known = ec_key("0");
    struct chy_door_key more = ec_key("more");
    assert_int_equal(add(&objects, &known), CHY_OK);
    assert_int_equal(add(&objects, &more), CHY_E_LIMIT);
    chy_p11_objects_done(&objects);
}

static void test_signature_bytes__of_each_type(void **state)
{
    (void)state;
    static const struct {
        enum chy_key_type type;
        size_t bytes;
        CK_KEY_TYPE key_type;
    } rows[] = { { CHY_KEY_P256, 64, CKK_EC },
                 { CHY_KEY_P384, 96, CKK_EC },
                 { CHY_KEY_P521, 132, CKK_EC },
                 { CHY_KEY_ED25519, 64, CKK_EC_EDWARDS } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_door_key key = { .type = rows[i].type };
        assert_int_equal(chy_p11_signature_bytes(&key), rows[i].bytes);
        assert_int_equal(chy_p11_key_type(&key), rows[i].key_type);
    }
}

/* --- mechanisms --- */

static void test_mechanisms__all_of_a_type_are_allowed_to_it(void **state)
{
    (void)state;
    static const CK_KEY_TYPE types[] = { CKK_RSA, CKK_EC, CKK_EC_EDWARDS };
    for (size_t t = 0; t < CHY_ARRAY_LEN(types); t++) {
        size_t n = 0;
        struct chy_bytes allowed = chy_p11_mechanisms_of(types[t]);
        const struct chy_p11_mechanism *m;
        for (size_t i = 0; (m = chy_p11_mechanism_at(i)) != NULL; i++)
            n += m->key_type == types[t];
        assert_int_equal(allowed.n, n * sizeof(CK_MECHANISM_TYPE));
        for (size_t i = 0; i < n; i++) {
            CK_MECHANISM_TYPE type;
            memcpy(&type, allowed.p + i * sizeof type, sizeof type);
            assert_int_equal(chy_p11_mechanism_find(type)->key_type, types[t]);
        }
    }
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_rv__of_each_error),
        T(test_objects_add__a_key_twice_is_one),
        T(test_objects_add__a_renewed_certificate_is_one_more_object),
        T(test_objects_add__half_a_key),
        T(test_objects_add__a_modulus_at_the_limit),
        T(test_objects_add__as_many_as_the_limit),
        T(test_signature_bytes__of_each_type),
        T(test_mechanisms__all_of_a_type_are_allowed_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
