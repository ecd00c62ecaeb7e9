/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "log_fixture.h"
#include "tlog/receipt.h"

#define N     21
#define INDEX 9

static struct chy_hasher *hasher;
static struct chy_tlog_hash leaves[N];
static struct chy_tlog_vkey key;
static struct chy_buf note;

static int group_setup(void **state)
{
    (void)state;
    hasher = fixture_hasher();
    for (size_t i = 0; i < N; i++)
        leaves[i] = fixture_leaf(hasher, i);
    key = fixture_vkey(hasher, "log", 1);
    const struct chy_tlog_checkpoint cp = { CHY_STR("log"), N, fixture_root(hasher, leaves, N) };
    struct chy_buf text;
    chy_buf_init(&text, 256);
    assert_true(chy_tlog_checkpoint_append(&text, &cp));
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    fixture_note(hasher, &note, chy_buf_str(&text), "log", 1);
    chy_buf_done(&text);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    chy_buf_done(&note);
    chy_hasher_free(hasher);
    return 0;
}

static void receipt_make(struct chy_buf *out, struct chy_str extra)
{
    const struct chy_tlog_receipt receipt = { extra, INDEX, fixture_path(hasher, leaves, INDEX, N),
                                              chy_buf_bytes(&note) };
    chy_buf_init(out, CHY_LIMIT_RECEIPT);
    assert_true(chy_tlog_receipt_append(out, &receipt));
}

/* Everything a verifier does. */
static enum chy_err verify(struct chy_bytes text, const struct chy_tlog_hash *leaf)
{
    struct chy_tlog_receipt receipt;
    struct chy_tlog_checkpoint cp;
    enum chy_err r = chy_tlog_receipt_parse(text, &receipt, NULL);
    if (r == CHY_OK)
        r = chy_tlog_receipt_check(hasher, &receipt, leaf, &key, 1, &cp, NULL);
    if (r == CHY_OK)
        assert_true(cp.size == N && receipt.index == INDEX);
    return r;
}

static void test_receipt__round_trips_and_verifies(void **state)
{
    (void)state;
    static const char *const extras[] = { NULL, "", "c29tZXRoaW5n" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(extras); i++) {
        struct chy_buf b;
        receipt_make(&b, (struct chy_str){ extras[i], extras[i] != NULL ? strlen(extras[i]) : 0 });
        assert_int_equal(verify(chy_buf_bytes(&b), &leaves[INDEX]), CHY_OK);
        struct chy_tlog_receipt receipt;
        assert_int_equal(chy_tlog_receipt_parse(chy_buf_bytes(&b), &receipt, NULL), CHY_OK);
        assert_true((receipt.extra.p == NULL) == (extras[i] == NULL));
        struct chy_buf again;
        chy_buf_init(&again, CHY_LIMIT_RECEIPT);
        assert_true(chy_tlog_receipt_append(&again, &receipt));
        assert_true(chy_bytes_equal(chy_buf_bytes(&b), chy_buf_bytes(&again)));
        chy_buf_done(&again);
        chy_buf_done(&b);
    }
}

/* Every bit of every byte of a receipt, and every byte made one that means something there; every
 * bit of the entry's hash; every cut. */
static void test_receipt__any_changed_byte_is_found(void **state)
{
    (void)state;
    struct chy_buf b;
    receipt_make(&b, (struct chy_str){ NULL, 0 });
    assert_int_equal(verify(chy_buf_bytes(&b), &leaves[INDEX]), CHY_OK);
    for (size_t i = 0; i < b.n; i++) {
        static const uint8_t meaning[] = { 0, '\n', ' ', '0', '1', '9', '+', '/', '=', 'A' };
        uint8_t was = b.p[i];
        for (size_t k = 0; k < 8 + sizeof meaning; k++) {
            if (k < 8)
                b.p[i] = (uint8_t)(was ^ 1u << k);
            else
                b.p[i] = meaning[k - 8];
            if (b.p[i] != was)
                assert_int_not_equal(verify(chy_buf_bytes(&b), &leaves[INDEX]), CHY_OK);
        }
        b.p[i] = was;
        assert_int_not_equal(verify((struct chy_bytes){ b.p, i }, &leaves[INDEX]), CHY_OK);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        struct chy_tlog_hash other = leaves[INDEX];
        other.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(verify(chy_buf_bytes(&b), &other), CHY_E_INTEGRITY);
    }
    assert_true(chy_buf_append_c(&b, "\n"));
    assert_int_not_equal(verify(chy_buf_bytes(&b), &leaves[INDEX]), CHY_OK);
    chy_buf_done(&b);
}

/* The same of an entry: its hash is made here, as a verifier makes it. */
static void test_receipt__any_changed_byte_of_the_entry_is_found(void **state)
{
    (void)state;
    struct chy_buf b;
    receipt_make(&b, (struct chy_str){ NULL, 0 });
    struct chy_tlog_hash leaf;
    uint8_t entry[] = { '9', 0 };
    chy_tlog_leaf_hash(hasher, (struct chy_bytes){ entry, 1 }, &leaf);
    assert_int_equal(verify(chy_buf_bytes(&b), &leaf), CHY_OK);
    chy_tlog_leaf_hash(hasher, (struct chy_bytes){ entry, 2 }, &leaf);
    assert_int_equal(verify(chy_buf_bytes(&b), &leaf), CHY_E_INTEGRITY);
    for (unsigned v = 0; v < 256; v++) {
        entry[0] = (uint8_t)v;
        chy_tlog_leaf_hash(hasher, (struct chy_bytes){ entry, 1 }, &leaf);
        assert_int_equal(verify(chy_buf_bytes(&b), &leaf), v == '9' ? CHY_OK : CHY_E_INTEGRITY);
    }
    chy_buf_done(&b);
}

static void test_receipt_parse__refuses_other_forms(void **state)
{
    (void)state;
#define TAIL "\n\nlog\n1\n\n\xe2\x80\x94 n c2lnbmF0dXJl\n"
#define HASH "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="
    static const char *const bad[] = {
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v2\nindex 1" TAIL,
        "c2sp.org/tlog-proof@v1\nindex 01" TAIL,
        "c2sp.org/tlog-proof@v1\nindex" TAIL,
        "c2sp.org/tlog-proof@v1\nindex  1" TAIL,
        "c2sp.org/tlog-proof@v1\nextra c29t" TAIL,
        "c2sp.org/tlog-proof@v1\nextra c29t\n",
        "c2sp.org/tlog-proof@v1\nextra c29\nindex 1" TAIL,
        "c2sp.org/tlog-proof@v1\nindex 1\nextra c29t" TAIL,
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA" TAIL,
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASH,
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASH "\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASH "\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASH "\n\nlog\n",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct chy_tlog_receipt receipt;
        assert_int_equal(chy_tlog_receipt_parse(chy_str_bytes(chy_str_of(bad[i])), &receipt, NULL),
                         CHY_E_MALFORMED);
    }
    for (size_t n = CHY_LIMIT_PROOF; n <= CHY_LIMIT_PROOF + 1; n++) {
        struct chy_buf b;
        chy_buf_init(&b, CHY_LIMIT_RECEIPT);
        assert_true(chy_buf_append_c(&b, "c2sp.org/tlog-proof@v1\nindex 1"));
        for (size_t i = 0; i < n; i++)
            assert_true(chy_buf_append_c(&b, "\n" HASH));
        assert_true(chy_buf_append_c(&b, TAIL));
        struct chy_tlog_receipt receipt;
        assert_int_equal(chy_tlog_receipt_parse(chy_buf_bytes(&b), &receipt, NULL),
                         n == CHY_LIMIT_PROOF ? CHY_OK : CHY_E_LIMIT);
        chy_buf_done(&b);
    }
    static uint8_t big[CHY_LIMIT_RECEIPT + 1];
    struct chy_tlog_receipt receipt;
    assert_int_equal(chy_tlog_receipt_parse((struct chy_bytes){ big, sizeof big }, &receipt, NULL),
                     CHY_E_LIMIT);
}

static void test_receipt__memory_that_fails(void **state)
{
    (void)state;
    struct chy_buf b;
    receipt_make(&b, CHY_STR("c29t"));
    size_t i = 0;
    for (;; i++) {
        chy_mem_fail_after(i);
        enum chy_err r = verify(chy_buf_bytes(&b), &leaves[INDEX]);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        if (!has_failed)
            break;
    }
    assert_true(i > 0);
    chy_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receipt__round_trips_and_verifies),
        cmocka_unit_test(test_receipt__any_changed_byte_is_found),
        cmocka_unit_test(test_receipt__any_changed_byte_of_the_entry_is_found),
        cmocka_unit_test(test_receipt_parse__refuses_other_forms),
        cmocka_unit_test(test_receipt__memory_that_fails),
    };
    return cmocka_run_group_tests_name("receipt", tests, group_setup, group_teardown);
}
