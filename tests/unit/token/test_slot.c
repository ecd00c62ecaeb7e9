/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "../os/kernel_fixture.h"
#include "base/mem.h"
#include "token/rv.h"
#include "token_fixture.h"

static struct fixture fx;
static struct chy_module *module;

static int make(void **state)
{
    (void)state;
    fixture_make(&fx);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    fixture_remove(&fx);
    return 0;
}

static int end(void **state)
{
    (void)state;
    chy_module_free(module);
    module = NULL;
    fixture_fault(&fx, NULL);
    return 0;
}

static void load(const char *path)
{
    assert_code(chy_module_open(chy_str_of(path), (struct chy_str){ NULL, 0 }, &module, NULL),
                CHY_OK);
    assert_code(chy_module_load(module, chy_str_of(fixture_path(&fx, "lock")), NULL), CHY_OK);
}

static enum chy_err try_slot(const char *label, const char *serial, const struct chy_secret *pin,
                             bool is_software, struct chy_slot_info *ret_info,
                             struct chy_error *err)
{
    const struct chy_slot_options options = { chy_str_of(label), chy_str_of(serial), pin,
                                              is_software };
    struct chy_slot *slot = NULL;
    enum chy_err r = chy_slot_open(module, &options, &slot, err);
    if (r == CHY_OK && ret_info != NULL)
        *ret_info = *chy_slot_info(slot);
    chy_slot_free(slot);
    return r;
}

static void test_slot_open__finds_by_label_and_by_serial(void **state)
{
    (void)state;
    struct chy_slot_info info;
    struct chy_error err;
    load(fx.softhsm);
    assert_code(try_slot(FIXTURE_LABEL, NULL, fx.pin, false, &info, &err), CHY_OK);
    assert_string_equal(info.label, FIXTURE_LABEL);
    assert_string_equal(info.serial, fx.made.serial);
    assert_string_equal(info.manufacturer, "SoftHSM project");
    assert_string_equal(info.model, "SoftHSM v2");
    assert_code(try_slot(NULL, fx.made.serial, fx.pin, false, &info, &err), CHY_OK);
    assert_code(try_slot(FIXTURE_LABEL, fx.made.serial, fx.pin, false, &info, &err), CHY_OK);
}

static void test_slot_open__calls_softhsm_software_whatever_is_configured(void **state)
{
    (void)state;
    struct chy_slot_info info;
    load(fx.softhsm);
    assert_code(try_slot(FIXTURE_LABEL, NULL, fx.pin, false, &info, NULL), CHY_OK);
    assert_true(info.is_software);
}

static void test_slot_open__believes_the_configuration_of_others(void **state)
{
    (void)state;
    struct chy_slot_info info;
    fixture_fault(&fx, "hardware");
    load(fixture_faulty());
    assert_code(try_slot(FIXTURE_LABEL, NULL, fx.pin, false, &info, NULL), CHY_OK);
    assert_false(info.is_software);
    assert_string_equal(info.manufacturer, "Faulty?? Inc."); /* bytes that are no plain text */
    assert_code(try_slot(FIXTURE_LABEL, NULL, fx.pin, true, &info, NULL), CHY_OK);
    assert_true(info.is_software);
}

static void test_slot_open__names_what_it_did_not_find(void **state)
{
    (void)state;
    struct chy_error err;
    load(fx.softhsm);
    assert_code(try_slot("nobody", NULL, fx.pin, false, NULL, &err), CHY_E_NOT_FOUND);
    assert_string_equal(err.text, "no token has the label nobody");
    assert_code(try_slot(FIXTURE_LABEL, "0", fx.pin, false, NULL, &err), CHY_E_NOT_FOUND);
    assert_string_equal(err.text, "no token has the label " FIXTURE_LABEL " and serial 0");
    assert_code(try_slot("", "", fx.pin, false, NULL, &err), CHY_E_ARG);
    assert_code(try_slot(FIXTURE_LABEL, NULL, NULL, false, NULL, &err), CHY_E_ARG);
}

static void test_slot_open__takes_two_tokens_of_one_label_for_an_error(void **state)
{
    (void)state;
    struct chy_error err;
    load(fx.softhsm);
    const CK_FUNCTION_LIST *f = chy_module_functions(module);
    CK_SLOT_ID ids[8];
    CK_ULONG n = 8;
    assert_int_equal(f->C_GetSlotList(CK_TRUE, ids, &n), CKR_OK);
    CK_UTF8CHAR label[32];
    memset(label, ' ', sizeof label);
    memcpy(label, FIXTURE_LABEL, strlen(FIXTURE_LABEL));
    CK_UTF8CHAR pin[] = "1234";
    /* The last slot is the one without a token. */
    assert_int_equal(f->C_InitToken(ids[n - 1], pin, 4, label), CKR_OK);
    end(state);
    load(fx.softhsm);
    assert_code(try_slot(FIXTURE_LABEL, NULL, fx.pin, false, NULL, &err), CHY_E_CONFLICT);
    assert_string_equal(err.text, "more than one token has the label " FIXTURE_LABEL);
    assert_code(try_slot(FIXTURE_LABEL, fx.made.serial, fx.pin, false, NULL, &err), CHY_OK);
}

static void test_slot_open__tries_a_wrong_pin_once_and_locks_nothing(void **state)
{
    (void)state;
    struct chy_error err;
    struct chy_secret *wrong = NULL;
    assert_code(chy_secret_new(16, &wrong, NULL), CHY_OK);
    memcpy(chy_secret_room(wrong), "s3cret-and-wrong", 16);
    chy_secret_set_len(wrong, 16);
    load(fx.softhsm);
    for (int i = 0; i < 10; i++) {
        assert_code(try_slot(NULL, fx.made.serial, wrong, false, NULL, &err),
                    CHY_E_UNAUTHENTICATED);
        assert_text(err, "CKR_PIN_INCORRECT");
        assert_int_equal(err.sys, CKR_PIN_INCORRECT);
        assert_null(strstr(err.text, "s3cret"));
    }
    assert_code(try_slot(NULL, fx.made.serial, fx.pin, false, NULL, &err), CHY_OK);
    chy_secret_set_len(wrong,
                       1); /* CKR_PIN_LEN_RANGE or CKR_PIN_INCORRECT: both are the PIN's fault */
    end(state);
    load(fx.softhsm);
    assert_code(try_slot(NULL, fx.made.serial, wrong, false, NULL, &err), CHY_E_UNAUTHENTICATED);
    chy_secret_free(wrong);
}

static void test_slot_open__does_not_use_up_the_last_try(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        const char *text;
    } cases[] = {
        { "pin-final-try", "locks at the next wrong PIN" },
        { "pin-locked", "is locked" },
        { "no-pin", "has no user PIN" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct chy_error err;
        fixture_fault(&fx, cases[i].fault);
        load(fixture_faulty());
        assert_code(try_slot(NULL, fx.made.serial, fx.pin, false, NULL, &err),
                    CHY_E_UNAUTHENTICATED);
        assert_text(err, cases[i].text);
        end(state);
    }
}

static void test_slot__lists_what_it_signs(void **state)
{
    (void)state;
    struct chy_slot *slot = NULL;
    const struct chy_slot_options options = { .serial = chy_str_of(fx.made.serial), .pin = fx.pin };
    load(fx.softhsm);
    assert_code(chy_slot_open(module, &options, &slot, NULL), CHY_OK);
    for (int alg = CHY_ALG_NONE + 1; alg <= CHY_ALG_LAST; alg++)
        assert_true(chy_slot_signs(slot, (enum chy_sign_alg)alg));
    assert_false(chy_slot_signs(slot, CHY_ALG_NONE));
    assert_false(chy_slot_signs(slot, (enum chy_sign_alg)(CHY_ALG_LAST + 1)));
    chy_slot_free(slot);
}

static void test_slot_session__tells_when_there_is_none_left(void **state)
{
    (void)state;
    struct chy_slot *slot = NULL;
    struct chy_session session;
    struct chy_error err;
    const struct chy_slot_options options = { .serial = chy_str_of(fx.made.serial), .pin = fx.pin };
    fixture_fault(&fx, "one-session");
    load(fixture_faulty());
    assert_code(chy_slot_open(module, &options, &slot, NULL), CHY_OK);
    assert_code(chy_slot_session(slot, &session, &err), CHY_E_TOKEN);
    assert_text(err, "CKR_SESSION_COUNT");
    chy_slot_free(slot);
}

static void test_slot_open__survives_every_failed_allocation(void **state)
{
    (void)state;
    load(fx.softhsm);
    size_t n = 0;
    for (;; n++) {
        chy_mem_fail_after(n);
        enum chy_err r = try_slot(NULL, fx.made.serial, fx.pin, false, NULL, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_code(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
    assert_int_equal(n, 2);
}

static void test_rv__names_and_sorts_every_answer(void **state)
{
    (void)state;
    struct chy_error err;
    assert_string_equal(chy_rv_name(CKR_OK), "CKR_OK");
    assert_string_equal(chy_rv_name(CKR_FUNCTION_REJECTED), "CKR_FUNCTION_REJECTED");
    assert_string_equal(chy_rv_name(0x80000001UL), "a vendor's error");
    assert_string_equal(chy_rv_name(0x12345UL), "an error that the standard does not name");
    assert_true(chy_rv_is_fatal(CKR_DEVICE_ERROR) && chy_rv_is_fatal(CKR_GENERAL_ERROR));
    assert_true(chy_rv_is_fatal(CKR_SESSION_HANDLE_INVALID) && !chy_rv_is_fatal(CKR_OK));
    assert_true(!chy_rv_is_fatal(CKR_KEY_HANDLE_INVALID) && !chy_rv_is_fatal(0x80000001UL));
    assert_true(chy_rv_is_stale(CKR_KEY_HANDLE_INVALID) &&
                chy_rv_is_stale(CKR_OBJECT_HANDLE_INVALID));
    assert_false(chy_rv_is_stale(CKR_DEVICE_ERROR));
    assert_code(chy_fail_rv(&err, CKR_CURVE_NOT_SUPPORTED, "C_GenerateKeyPair"), CHY_E_UNSUPPORTED);
    assert_string_equal(err.text, "C_GenerateKeyPair answered CKR_CURVE_NOT_SUPPORTED (0x140)");
    assert_code(chy_fail_rv(&err, CKR_HOST_MEMORY, "C_Sign"), CHY_E_TOKEN);
    assert_int_equal(err.sys, CKR_HOST_MEMORY);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(test_slot_open__finds_by_label_and_by_serial),
        TEST(test_slot_open__calls_softhsm_software_whatever_is_configured),
        TEST(test_slot_open__believes_the_configuration_of_others),
        TEST(test_slot_open__names_what_it_did_not_find),
        TEST(test_slot_open__takes_two_tokens_of_one_label_for_an_error),
        TEST(test_slot_open__tries_a_wrong_pin_once_and_locks_nothing),
        TEST(test_slot_open__does_not_use_up_the_last_try),
        TEST(test_slot__lists_what_it_signs),
        TEST(test_slot_session__tells_when_there_is_none_left),
        TEST(test_slot_open__survives_every_failed_allocation),
        TEST(test_rv__names_and_sorts_every_answer),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
