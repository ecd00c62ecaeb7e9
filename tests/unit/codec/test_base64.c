/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/base64.h"

/* RFC 4648 section 10. */
static const struct {
    const char *plain;
    const char *text;
} vectors[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xff\xbe", "+/++" },
};

static void test_base64__known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(vectors); i++) {
        struct chy_str plain = chy_str_of(vectors[i].plain);
        struct chy_buf b;
        chy_buf_init(&b, 64);
        assert_true(chy_base64_append(&b, chy_str_bytes(plain)));
        assert_true(chy_str_equal_c(chy_buf_str(&b), vectors[i].text));
        assert_int_equal(b.n, CHY_BASE64_LEN(plain.n));

        chy_buf_clear(&b);
        assert_int_equal(chy_base64_decode(chy_str_of(vectors[i].text), &b, NULL), CHY_OK);
        assert_true(chy_str_equal(chy_buf_str(&b), plain));
        uint8_t exact[8];
        assert_int_equal(chy_base64_decode_exact(chy_str_of(vectors[i].text), exact, plain.n, NULL),
                         CHY_OK);
        assert_memory_equal(exact, plain.p, plain.n);
        chy_buf_done(&b);
    }
}

static void test_base64_decode__refuses_what_is_not_canonical(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",    "Zg",       "Zg=",  "Zg==\n", " Zg==",    "Zh==", "Zm9=",  "Zm8",  "====", "Z===",
        "=Zg=", "Zg==Zg==", "Zm-_", "Zm9v=",  "Zm9v====", "Zm 9", "Zm\n9", "Zm9.", "a===",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_buf b;
        chy_buf_init(&b, 64);
        struct chy_error err;
        assert_int_equal(chy_base64_decode(chy_str_of(bad[i]), &b, &err), CHY_E_MALFORMED);
        assert_int_equal(b.n, 0);
        chy_buf_done(&b);
    }
    assert_int_equal(chy_base64_decode((struct chy_str){ "Zm\0v", 4 }, NULL, NULL),
                     CHY_E_MALFORMED);
}

/* What is read is written the same again, and nothing else is read: over all texts of one group
 * whose digits come from a small alphabet that holds every kind of character. */
static void test_base64__one_text_for_each_value(void **state)
{
    (void)state;
    static const char kinds[] = "AZaz09+/QwB=-\n";
    size_t n_kinds = sizeof kinds - 1;
    struct chy_buf plain;
    struct chy_buf again;
    chy_buf_init(&plain, 3);
    chy_buf_init(&again, 4);
    size_t accepted = 0;
    for (size_t v = 0; v < n_kinds * n_kinds * n_kinds * n_kinds; v++) {
        char text[4] = { kinds[v % n_kinds], kinds[v / n_kinds % n_kinds],
                         kinds[v / n_kinds / n_kinds % n_kinds],
                         kinds[v / n_kinds / n_kinds / n_kinds] };
        chy_buf_clear(&plain);
        chy_buf_clear(&again);
        if (chy_base64_decode((struct chy_str){ text, 4 }, &plain, NULL) != CHY_OK)
            continue;
        accepted++;
        assert_true(chy_base64_append(&again, chy_buf_bytes(&plain)));
        assert_memory_equal(again.p, text, 4);
    }
    /* 11 digits: 4 of them; 3, the last with two spare bits of 0 (A, Q, 0, w); 2, the last with
     * four (A, Q, w). */
    assert_int_equal(accepted, 11 * 11 * 11 * 11 + 11 * 11 * 4 + 11 * 3);
    chy_buf_done(&plain);
    chy_buf_done(&again);
}

static void test_base64_decode_exact__refuses_another_length(void **state)
{
    (void)state;
    uint8_t out[4];
    assert_int_equal(chy_base64_decode_exact(CHY_STR("Zm9v"), out, 4, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_base64_decode_exact(CHY_STR("Zm9v"), out, 2, NULL), CHY_E_MALFORMED);
    assert_int_equal(chy_base64_decode_exact(CHY_STR("Zm9v"), out, 3, NULL), CHY_OK);
}

static void test_base64__limits_and_memory(void **state)
{
    (void)state;
    struct chy_buf b;
    chy_buf_init(&b, 3);
    assert_int_equal(chy_base64_decode(CHY_STR("Zm9vYg=="), &b, NULL), CHY_E_LIMIT);
    assert_false(chy_base64_append(&b, chy_str_bytes(CHY_STR("foo"))));
    chy_buf_done(&b);

    chy_buf_init(&b, 64);
    chy_mem_fail_after(0);
    enum chy_err r = chy_base64_decode(CHY_STR("Zm9v"), &b, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64__known_answers),
        cmocka_unit_test(test_base64_decode__refuses_what_is_not_canonical),
        cmocka_unit_test(test_base64__one_text_for_each_value),
        cmocka_unit_test(test_base64_decode_exact__refuses_another_length),
        cmocka_unit_test(test_base64__limits_and_memory),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
