/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/hex.h"
#include "crypto/hash.h"
#include "log_fixture.h"
#include "tlog/merkle.h"

#define N_MAX 130 /* two levels of a tile and a bit, every shape of right edge on the way */

static struct chy_hasher *hasher;
static struct chy_tlog_hash leaves[N_MAX];
static struct chy_tlog_hash whole[8][N_MAX]; /* node (level, index), from the definition */

static int group_setup(void **state)
{
    (void)state;
    hasher = fixture_hasher();
    for (size_t i = 0; i < N_MAX; i++)
        leaves[i] = fixture_leaf(hasher, i);
    for (size_t level = 0; level < CHY_ARRAY_LEN(whole); level++)
        for (size_t i = 0; (i + 1) << level <= N_MAX; i++)
            whole[level][i] = fixture_root(hasher, leaves + (i << level), (size_t)1 << level);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    chy_hasher_free(hasher);
    return 0;
}

/* chy_tlog_nodes.read over `whole`. */
static enum chy_err leaf_node_read(void *ctx, unsigned level, uint64_t index,
                                   struct chy_tlog_hash *ret, struct chy_error *err)
{
    size_t size = *(size_t *)ctx;
    assert_true((index + 1) << level <= size); /* only whole nodes are ever asked for */
    (void)err;
    *ret = whole[level][index];
    return CHY_OK;
}

static enum chy_err failing_read(void *ctx, unsigned level, uint64_t index,
                                 struct chy_tlog_hash *ret, struct chy_error *err)
{
    (void)level;
    (void)index;
    size_t *left = ctx;
    if (*left == 0)
        return chy_fail(err, CHY_E_STORE, "no more");
    (*left)--;
    *ret = leaves[0];
    return CHY_OK;
}

/* RFC 6962's well-known tree of eight entries. */
static void test_merkle__known_roots(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        const char *root;
    } rows[] = {
        { "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
        { "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
        { "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
        { "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
        { "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
        { "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
        { "5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
        { "606162636465666768696a6b6c6d6e6f",
          "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
    };
    struct chy_tlog_hash tree[CHY_ARRAY_LEN(rows)];
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        uint8_t entry[16];
        size_t n = strlen(rows[i].entry) / 2;
        uint8_t root[32];
        assert_int_equal(chy_hex_decode(chy_str_of(rows[i].entry), entry, n, NULL), CHY_OK);
        assert_int_equal(chy_hex_decode(chy_str_of(rows[i].root), root, 32, NULL), CHY_OK);
        chy_tlog_leaf_hash(hasher, (struct chy_bytes){ entry, n }, &tree[i]);
        struct chy_tlog_hash got = fixture_root(hasher, tree, i + 1);
        assert_memory_equal(got.b, root, 32);
    }
    static const uint8_t empty[] = { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14 };
    struct chy_tlog_hash none;
    chy_tlog_empty_hash(hasher, &none);
    assert_memory_equal(none.b, empty, sizeof empty);
}

static void test_edge__root_of_every_size(void **state)
{
    (void)state;
    for (size_t n = 0; n <= N_MAX; n++) {
        const struct chy_tlog_nodes nodes = { leaf_node_read, &n };
        struct chy_tlog_edge edge;
        assert_int_equal(chy_tlog_edge_make(hasher, &nodes, n, &edge, NULL), CHY_OK);
        struct chy_tlog_hash root = fixture_root(hasher, leaves, n);
        assert_true(chy_tlog_hash_equal(chy_tlog_edge_root(&edge), &root));
    }
    struct chy_tlog_edge edge;
    assert_int_equal(
        chy_tlog_edge_make(hasher, NULL, (uint64_t)CHY_LIMIT_LOG_SIZE + 1, &edge, NULL), CHY_E_ARG);
}

static void proof_equal(const struct chy_tlog_proof *a, const struct chy_tlog_proof *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        assert_true(chy_tlog_hash_equal(&a->hashes[i], &b->hashes[i]));
}

static void test_inclusion__every_entry_of_every_size(void **state)
{
    (void)state;
    for (size_t n = 1; n <= N_MAX; n++) {
        const struct chy_tlog_nodes nodes = { leaf_node_read, &n };
        struct chy_tlog_edge edge;
        assert_int_equal(chy_tlog_edge_make(hasher, &nodes, n, &edge, NULL), CHY_OK);
        const struct chy_tlog_hash *root = chy_tlog_edge_root(&edge);
        struct chy_tlog_proof proof;
        assert_int_equal(chy_tlog_prove_inclusion(&nodes, &edge, n, &proof, NULL), CHY_E_ARG);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(chy_tlog_prove_inclusion(&nodes, &edge, i, &proof, NULL), CHY_OK);
            struct chy_tlog_proof expected = fixture_path(hasher, leaves, i, n);
            proof_equal(&proof, &expected);
            assert_int_equal(chy_tlog_check_inclusion(hasher, i, n, &leaves[i], &proof, root, NULL),
                             CHY_OK);
            /* The same proof shows nothing else. */
            for (size_t j = 0; j <= n; j++) {
                if (j == i || (n > 36 && n < 127))
                    continue;
                assert_int_equal(
                    chy_tlog_check_inclusion(hasher, j, n, &leaves[i], &proof, root, NULL),
                    CHY_E_INTEGRITY);
            }
        }
    }
}

static void test_inclusion__changed_proofs_are_refused(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        struct chy_tlog_hash root = fixture_root(hasher, leaves, n);
        for (size_t i = 0; i < n; i++) {
            const struct chy_tlog_proof good = fixture_path(hasher, leaves, i, n);
            struct chy_tlog_proof bad = good;
            bad.hashes[bad.n++] = root;
            assert_int_equal(chy_tlog_check_inclusion(hasher, i, n, &leaves[i], &bad, &root, NULL),
                             CHY_E_INTEGRITY);
            for (size_t j = 0; j < good.n; j++) {
                bad = good;
                bad.hashes[j].b[n % 32] ^= 0x10;
                assert_int_equal(
                    chy_tlog_check_inclusion(hasher, i, n, &leaves[i], &bad, &root, NULL),
                    CHY_E_INTEGRITY);
                bad = good;
                bad.n = j;
                assert_int_equal(
                    chy_tlog_check_inclusion(hasher, i, n, &leaves[i], &bad, &root, NULL),
                    CHY_E_INTEGRITY);
            }
            struct chy_tlog_hash other = leaves[i];
            other.b[0] ^= 1;
            assert_int_equal(chy_tlog_check_inclusion(hasher, i, n, &other, &good, &root, NULL),
                             CHY_E_INTEGRITY);
        }
    }
    struct chy_tlog_proof longer = { .n = CHY_LIMIT_PROOF + 1 };
    assert_int_equal(chy_tlog_check_inclusion(hasher, 0, 1, &leaves[0], &longer, &leaves[0], NULL),
                     CHY_E_INTEGRITY);
}

static void test_consistency__every_pair_of_sizes(void **state)
{
    (void)state;
    struct chy_tlog_hash roots[N_MAX + 1];
    for (size_t n = 0; n <= N_MAX; n++)
        roots[n] = fixture_root(hasher, leaves, n);
    for (size_t n = 1; n <= N_MAX; n++) {
        const struct chy_tlog_nodes nodes = { leaf_node_read, &n };
        struct chy_tlog_edge edge;
        assert_int_equal(chy_tlog_edge_make(hasher, &nodes, n, &edge, NULL), CHY_OK);
        struct chy_tlog_proof proof;
        assert_int_equal(chy_tlog_prove_consistency(&nodes, &edge, 0, &proof, NULL), CHY_E_ARG);
        assert_int_equal(chy_tlog_prove_consistency(&nodes, &edge, n + 1, &proof, NULL), CHY_E_ARG);
        for (size_t m = 1; m <= n; m++) {
            assert_int_equal(chy_tlog_prove_consistency(&nodes, &edge, m, &proof, NULL), CHY_OK);
            struct chy_tlog_proof expected = fixture_consistency(hasher, leaves, m, n);
            proof_equal(&proof, &expected);
            assert_int_equal(
                chy_tlog_check_consistency(hasher, m, n, &roots[m], &roots[n], &proof, NULL),
                CHY_OK);
            /* Another old head is not the beginning of this log. */
            assert_int_equal(
                chy_tlog_check_consistency(hasher, m, n, &roots[m - 1], &roots[n], &proof, NULL),
                CHY_E_INTEGRITY);
            assert_int_equal(
                chy_tlog_check_consistency(hasher, m, n, &roots[m], &roots[n - 1], &proof, NULL),
                CHY_E_INTEGRITY);
        }
    }
}

static void test_consistency__changed_proofs_are_refused(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        struct chy_tlog_hash root = fixture_root(hasher, leaves, n);
        for (size_t m = 1; m <= n; m++) {
            struct chy_tlog_hash old = fixture_root(hasher, leaves, m);
            const struct chy_tlog_proof good = fixture_consistency(hasher, leaves, m, n);
            struct chy_tlog_proof bad = good;
            bad.hashes[bad.n++] = root;
            assert_int_equal(chy_tlog_check_consistency(hasher, m, n, &old, &root, &bad, NULL),
                             CHY_E_INTEGRITY);
            for (size_t j = 0; j < good.n; j++) {
                bad = good;
                bad.hashes[j].b[m % 32] ^= 1;
                assert_int_equal(chy_tlog_check_consistency(hasher, m, n, &old, &root, &bad, NULL),
                                 CHY_E_INTEGRITY);
                bad = good;
                bad.n = j;
                assert_int_equal(chy_tlog_check_consistency(hasher, m, n, &old, &root, &bad, NULL),
                                 CHY_E_INTEGRITY);
            }
        }
    }
    const struct chy_tlog_proof none = { .n = 0 };
    struct chy_tlog_hash empty;
    chy_tlog_empty_hash(hasher, &empty);
    assert_int_equal(chy_tlog_check_consistency(hasher, 0, 1, &empty, &leaves[0], &none, NULL),
                     CHY_E_INTEGRITY);
    assert_int_equal(chy_tlog_check_consistency(hasher, 2, 1, &empty, &leaves[0], &none, NULL),
                     CHY_E_INTEGRITY);
    const struct chy_tlog_proof longer = { .n = CHY_LIMIT_PROOF + 1 };
    assert_int_equal(chy_tlog_check_consistency(hasher, 1, 2, &empty, &leaves[0], &longer, NULL),
                     CHY_E_INTEGRITY);
}

static void test_prove__errors_of_the_source_come_through(void **state)
{
    (void)state;
    size_t size = 11;
    const struct chy_tlog_nodes nodes = { leaf_node_read, &size };
    struct chy_tlog_edge edge;
    struct chy_tlog_edge other;
    assert_int_equal(chy_tlog_edge_make(hasher, &nodes, size, &edge, NULL), CHY_OK);
    for (size_t i = 0; i < 3;
         i++) { /* 11 = 8 + 2 + 1: three reads for the edge, four or more else */
        size_t left = i;
        const struct chy_tlog_nodes failing = { failing_read, &left };
        struct chy_tlog_proof proof;
        assert_int_equal(chy_tlog_edge_make(hasher, &failing, size, &other, NULL), CHY_E_STORE);
        left = i;
        assert_int_equal(chy_tlog_prove_inclusion(&failing, &edge, 4, &proof, NULL), CHY_E_STORE);
        left = i;
        assert_int_equal(chy_tlog_prove_consistency(&failing, &edge, 7, &proof, NULL), CHY_E_STORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merkle__known_roots),
        cmocka_unit_test(test_edge__root_of_every_size),
        cmocka_unit_test(test_inclusion__every_entry_of_every_size),
        cmocka_unit_test(test_inclusion__changed_proofs_are_refused),
        cmocka_unit_test(test_consistency__every_pair_of_sizes),
        cmocka_unit_test(test_consistency__changed_proofs_are_refused),
        cmocka_unit_test(test_prove__errors_of_the_source_come_through),
    };
    return cmocka_run_group_tests_name("merkle", tests, group_setup, group_teardown);
}
