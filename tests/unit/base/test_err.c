/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"

struct row {
    const char *name;
    int code;
    int http;
    unsigned long ck_rv;
    int exit_code;
    const char *type;
    const char *title;
};

static const struct row rows[] = {
#define X(name, code, http, ckr, exit, type, title) { #name, code, http, ckr, exit, type, title },
    CHY_ERR_LIST(X)
#undef X
};

static void test_err__table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        assert_int_equal(r->code, -(int)i); /* no gap, nothing twice: replies carry the number */
        assert_true(i == 0 ? r->http == 200 : r->http >= 400 && r->http <= 599);
        assert_true(i == 0 ? r->exit_code == 0 : r->exit_code >= 1 && r->exit_code <= 3);
        assert_int_equal(r->ck_rv == 0, i == 0);
        assert_true(r->title[0] >= 'A' && r->title[0] <= 'Z');
        for (const char *p = r->type; *p != '\0'; p++)
            assert_true((*p >= 'a' && *p <= 'z') || *p == '-');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(r->type, rows[k].type);
            assert_string_not_equal(r->name, rows[k].name);
            assert_string_not_equal(r->title, rows[k].title);
        }
    }
}

static void test_err__functions_answer_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        enum chy_err code = (enum chy_err)rows[i].code;
        assert_true(chy_err_is_known(rows[i].code));
        assert_int_equal(chy_err_http_status(code), rows[i].http);
        assert_int_equal(chy_err_ck_rv(code), rows[i].ck_rv);
        assert_int_equal(chy_err_exit_code(code), rows[i].exit_code);
        assert_string_equal(chy_err_name(code), rows[i].name);
        assert_string_equal(chy_err_type(code), rows[i].type);
        assert_string_equal(chy_err_title(code), rows[i].title);
        assert_int_equal(chy_err_from_type(rows[i].type), code);
    }
}

static void test_err__what_is_unknown_is_internal(void **state)
{
    (void)state;
    static const int unknown[] = { 1, -99, INT32_MAX, INT32_MIN, -(int)CHY_ARRAY_LEN(rows) };
    for (size_t i = 0; i < CHY_ARRAY_LEN(unknown); i++) {
        assert_false(chy_err_is_known(unknown[i]));
        assert_int_equal(chy_err_http_status((enum chy_err)unknown[i]), 500);
        assert_int_equal(chy_err_exit_code((enum chy_err)unknown[i]), 3);
        assert_string_equal(chy_err_name((enum chy_err)unknown[i]), "E_INTERNAL");
    }
    assert_int_equal(chy_err_from_type("nothing"), CHY_E_INTERNAL);
    assert_int_equal(chy_err_from_type(""), CHY_E_INTERNAL);
}

static void test_error_set__fills_all(void **state)
{
    (void)state;
    struct chy_error err;
    assert_int_equal(chy_fail_sys(&err, CHY_E_IO, 5, "read %d", 3), CHY_E_IO);
    assert_int_equal(err.code, CHY_E_IO);
    assert_int_equal(err.sys, 5);
    assert_string_equal(err.text, "read 3");
    assert_non_null(strstr(err.where, "test_err.c:"));
    assert_int_equal(chy_fail(&err, CHY_E_ARG, "x"), CHY_E_ARG);
    assert_int_equal(err.sys, 0);
    assert_int_equal(chy_fail(NULL, CHY_E_BUSY, "x"), CHY_E_BUSY);
}

static void test_error_set__text_is_clean_and_cut_at_a_character(void **state)
{
    (void)state;
    struct chy_error err;
    assert_int_equal(chy_fail(&err, CHY_E_ARG, "a\nb\x1b[31m\x7f\xff\xc3%s", ""), CHY_E_ARG);
    assert_string_equal(err.text, "a?b?[31m???");
    char text[CHY_ERROR_TEXT_BYTES + 10];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', sizeof text);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[sizeof text - 1] = '\0';
        assert_int_equal(chy_fail(&err, CHY_E_ARG, "%s", text), CHY_E_ARG);
        assert_int_equal(strlen(err.text), CHY_ERROR_TEXT_BYTES - 1);
        assert_true(chy_text_is_plain(chy_str_of(err.text)));
    }
}

static void test_error_prefix(void **state)
{
    (void)state;
    struct chy_error err;
    assert_int_equal(chy_fail(&err, CHY_E_NOT_FOUND, "no such file"), CHY_E_NOT_FOUND);
    const char *where = err.where;
    assert_int_equal(chy_error_prefix(&err, CHY_E_INTERNAL, "%s", "a.yaml"), CHY_E_NOT_FOUND);
    assert_string_equal(err.text, "a.yaml: no such file");
    assert_ptr_equal(err.where, where);
    assert_int_equal(chy_error_prefix(NULL, CHY_E_BUSY, "x"), CHY_E_BUSY);
    for (int i = 0; i < 200; i++)
        assert_int_equal(chy_error_prefix(&err, CHY_E_INTERNAL, "\xe2\x82\xac"), CHY_E_NOT_FOUND);
    assert_true(strlen(err.text) < CHY_ERROR_TEXT_BYTES);
    assert_true(chy_text_is_plain(chy_str_of(err.text)));
}

static enum chy_err tries(enum chy_err inner, int *ret_after)
{
    CHY_TRY(inner);
    *ret_after = 1;
    return CHY_OK;
}

static void test_try__returns_at_once(void **state)
{
    (void)state;
    int after = 0;
    assert_int_equal(tries(CHY_E_RATE, &after), CHY_E_RATE);
    assert_int_equal(after, 0);
    assert_int_equal(tries(CHY_OK, &after), CHY_OK);
    assert_int_equal(after, 1);
}

static void test_assert__ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        CHY_ASSERT(child != 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__table_is_sound),
        cmocka_unit_test(test_err__functions_answer_by_the_table),
        cmocka_unit_test(test_err__what_is_unknown_is_internal),
        cmocka_unit_test(test_error_set__fills_all),
        cmocka_unit_test(test_error_set__text_is_clean_and_cut_at_a_character),
        cmocka_unit_test(test_error_prefix),
        cmocka_unit_test(test_try__returns_at_once),
        cmocka_unit_test(test_assert__ends_the_process),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
