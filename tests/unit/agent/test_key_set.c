/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/key_set.h"
#include "agent_fixture.h"
#include "base/mem.h"
#include "crypto/pubkey.h"
#include "key_fixture.h"

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_done(&f);
    return 0;
}

static const struct chy_bytes no_id = { 0 };

/* What the attributes say is that very key. */
static void assert_same_key(const struct chy_door_key *door)
{
    struct chy_pubkey *k = NULL;
    enum chy_err r;
    if (chy_key_type_is_rsa(door->type))
        r = chy_pubkey_from_rsa(door->modulus, door->public_exponent, &k, NULL);
    else if (door->type == CHY_KEY_ED25519)
        r = chy_pubkey_from_ed25519(door->ec_point, &k, NULL);
    else
        r = chy_pubkey_from_ec(door->ec_params, door->ec_point, &k, NULL);
    assert_int_equal(r, CHY_OK);
    assert_true(chy_bytes_equal(chy_pubkey_spki(k), door->public_key));
    assert_int_equal(chy_pubkey_type(k), door->type);
    chy_pubkey_free(k);
}

static void test_make__every_type(void **state)
{
    (void)state;
    static const enum chy_key_type types[] = {
        CHY_KEY_RSA_2048, CHY_KEY_RSA_3072, CHY_KEY_RSA_4096, CHY_KEY_P256,
        CHY_KEY_P384,     CHY_KEY_P521,     CHY_KEY_ED25519,
    };
    struct chy_key_set *set = NULL;
    char name[] = "key-0";
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        name[4] = (char)('9' - (int)i); /* against the order of names */
        fake_add_key(name, types[i], i % 2 == 0);
    }
    assert_int_equal(chy_key_set_make(fake.keys, fake.n, &set, NULL), CHY_OK);
    assert_int_equal(set->n, CHY_ARRAY_LEN(types));
    assert_int_equal(set->left_out, 0);
    assert_int_not_equal(set->revision, 0);
    for (size_t i = 0; i < set->n; i++) {
        const struct chy_door_key *door = &set->keys[i].door;
        assert_int_equal(door->type, types[set->n - 1 - i]);
        assert_same_key(door);
        assert_true(chy_str_equal(door->label, door->name));
        assert_true((door->certificate != NULL) == ((set->n - 1 - i) % 2 == 0));
        if (door->certificate != NULL) {
            assert_ptr_equal(door->certificate, &set->keys[i].certificate);
            assert_true(chy_bytes_equal(door->certificate->id, door->id));
            assert_int_equal(door->certificate->subject.p[0], 0x30);
            assert_int_equal(door->certificate->serial.p[0], 0x02);
        }
    }
    /* The CA of all of them is there once, by the CN of its subject. */
    assert_int_equal(set->n_authorities, 1);
    assert_true(chy_str_equal_c(set->authorities[0].label, "Root, one"));
    assert_int_equal(set->authorities[0].id.n, CHY_ID_BYTES);
    chy_key_set_free(set);
}

static void test_make__only_what_signs(void **state)
{
    (void)state;
    struct chy_key_set *set = NULL;
    fake_add_key("a", CHY_KEY_P256, false);
    fake_add_key("b", CHY_KEY_P256, false);
    fake_add_key("c", CHY_KEY_P256, true);
    fake.keys[0].state = CHY_KEY_STATE_DISABLED;
    fake.keys[1].type = CHY_KEY_P384; /* which its public key is not */
    ((struct chy_certificate *)(uintptr_t)fake.keys[2].certificates.p)[0].der =
        chy_str_bytes(CHY_STR("no certificate"));
    assert_int_equal(chy_key_set_make(fake.keys, fake.n, &set, NULL), CHY_OK);
    assert_int_equal(set->n, 1);
    assert_int_equal(set->left_out, 1);
    assert_true(chy_str_equal_c(set->keys[0].door.name, "c"));
    assert_null(set->keys[0].door.certificate);
    chy_key_set_free(set);
}

static uint64_t revision(void)
{
    struct chy_key_set *set = NULL;
    assert_int_equal(chy_key_set_make(fake.keys, fake.n, &set, NULL), CHY_OK);
    uint64_t r = set->revision;
    chy_key_set_free(set);
    return r;
}

static void test_make__revision_is_of_the_content(void **state)
{
    (void)state;
    fake_add_key("a", CHY_KEY_P256, true);
    fake_add_key("b", CHY_KEY_P384, true);
    uint64_t first = revision();
    assert_int_equal(revision(), first);
    fake.keys[0].purpose = CHY_STR("not shown");
    assert_int_equal(revision(), first);
    struct chy_key swapped = fake.keys[0];
    fake.keys[0] = fake.keys[1];
    fake.keys[1] = swapped;
    assert_int_equal(revision(), first);
    fake.keys[0].certificates.n = 1; /* its CA is still the other key's */
    uint64_t shorter = revision();
    assert_int_not_equal(shorter, first);
    fake.keys[1].name = CHY_STR("c");
    assert_int_not_equal(revision(), shorter);
}

static void test_find(void **state)
{
    (void)state;
    struct chy_key_set *set = NULL;
    fake_add_key("b", CHY_KEY_P256, false);
    fake_add_key("a", CHY_KEY_P256, false);
    fake_add_key("c", CHY_KEY_P256, false);
    assert_int_equal(chy_key_set_make(fake.keys, fake.n, &set, NULL), CHY_OK);
    const struct chy_bytes id_of_a = { fake.keys[1].id, CHY_ID_BYTES };
    assert_ptr_equal(chy_key_set_find(set, CHY_STR("a"), no_id), &set->keys[0]);
    assert_ptr_equal(chy_key_set_find(set, CHY_STR("c"), no_id), &set->keys[2]);
    assert_ptr_equal(chy_key_set_find(set, CHY_STR(""), id_of_a), &set->keys[0]);
    assert_ptr_equal(chy_key_set_find(set, CHY_STR("a"), id_of_a), &set->keys[0]);
    assert_null(chy_key_set_find(set, CHY_STR("b"), id_of_a));
    assert_null(chy_key_set_find(set, CHY_STR("bb"), no_id));
    assert_null(chy_key_set_find(set, CHY_STR("0"), no_id));
    assert_int_equal(chy_key_set_after(set, CHY_STR("")), 0);
    assert_int_equal(chy_key_set_after(set, CHY_STR("a")), 1);
    assert_int_equal(chy_key_set_after(set, CHY_STR("b0")), 2);
    assert_int_equal(chy_key_set_after(set, CHY_STR("c")), 3);
    chy_key_set_free(set);
    assert_int_equal(chy_key_set_make(NULL, 0, &set, NULL), CHY_OK);
    assert_null(chy_key_set_find(set, CHY_STR("a"), no_id));
    chy_key_set_free(set);
}

static void test_make__no_memory(void **state)
{
    (void)state;
    fake_add_key("a", CHY_KEY_P256, true);
    fake_add_key("b", CHY_KEY_RSA_2048, true);
    bool is_over = false;
    for (size_t n = 0; !is_over; n++) {
        struct chy_key_set *set = NULL;
        chy_mem_fail_after(n);
        enum chy_err r = chy_key_set_make(fake.keys, fake.n, &set, NULL);
        is_over = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM || r == CHY_E_LIMIT);
        assert_true((r == CHY_OK) == (set != NULL));
        chy_key_set_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_make__every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make__only_what_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make__revision_is_of_the_content, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make__no_memory, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_keys_free();
    return failed;
}
