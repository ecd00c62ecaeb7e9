/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "log_fixture.h"
#include "tlog/tree.h"

#define N_MAX     70000 /* two full levels of tiles and the beginning of a third */
#define TILES_MAX (N_MAX / 256 + 2)

/* A store of a log: leaf hashes, and the full tiles that the tree has given out. */
struct log_store {
    struct chy_tlog_hash leaves[N_MAX];
    struct chy_tlog_hash tiles[2][TILES_MAX][256];
    uint64_t n_tiles[2];
    size_t reads;
    size_t reads_left;
    size_t writes_left;
};

static struct chy_hasher *hasher;
static struct log_store *store;

static enum chy_err store_read(void *ctx, const struct chy_tlog_tile *tile,
                               struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct log_store *s = ctx;
    if (s->reads_left-- == 0)
        return chy_fail(err, CHY_E_STORE, "no read is left");
    s->reads++;
    if (tile->width < 256) {
        assert_int_equal(tile->level, 0); /* nobody stores higher ones */
        memcpy(hashes, s->leaves + tile->index * 256, tile->width * sizeof *hashes);
        return CHY_OK;
    }
    assert_in_range(tile->level, 0, 1);
    if (tile->index >= s->n_tiles[tile->level])
        return chy_fail(err, CHY_E_NOT_FOUND, "no such tile");
    memcpy(hashes, s->tiles[tile->level][tile->index], sizeof s->tiles[0][0]);
    return CHY_OK;
}

static enum chy_err store_tile(void *ctx, const struct chy_tlog_tile *tile,
                               const struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct log_store *s = ctx;
    if (s->writes_left-- == 0)
        return chy_fail(err, CHY_E_STORE, "no write is left");
    assert_int_equal(tile->width, 256);
    assert_in_range(tile->level, 0, 1);
    assert_int_equal(tile->index, s->n_tiles[tile->level]); /* each once and in order */
    memcpy(s->tiles[tile->level][tile->index], hashes, sizeof s->tiles[0][0]);
    s->n_tiles[tile->level]++;
    return CHY_OK;
}

static const struct chy_tlog_tree_io *store_io(void)
{
    static struct chy_tlog_tree_io io;
    io = (struct chy_tlog_tree_io){ store, store_read, store_tile };
    return &io;
}

static int group_setup(void **state)
{
    (void)state;
    hasher = fixture_hasher();
    store = calloc(1, sizeof *store);
    assert_non_null(store);
    for (size_t i = 0; i < N_MAX; i++)
        store->leaves[i] = fixture_leaf(hasher, i);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    free(store);
    chy_hasher_free(hasher);
    return 0;
}

static int test_setup(void **state)
{
    (void)state;
    store->n_tiles[0] = 0;
    store->n_tiles[1] = 0;
    store->reads = 0;
    store->reads_left = SIZE_MAX;
    store->writes_left = SIZE_MAX;
    return 0;
}

static struct chy_tlog_tree *tree_load(uint64_t size)
{
    struct chy_tlog_tree *t = NULL;
    assert_int_equal(chy_tlog_tree_load(hasher, store_io(), size, &t, NULL), CHY_OK);
    return t;
}

static void tree_grow(struct chy_tlog_tree *t, uint64_t size)
{
    while (chy_tlog_tree_size(t) < size)
        assert_int_equal(chy_tlog_tree_append(t, &store->leaves[chy_tlog_tree_size(t)], NULL),
                         CHY_OK);
}

static void check_root(struct chy_tlog_tree *t)
{
    struct chy_tlog_hash root;
    struct chy_tlog_hash expected = fixture_root(hasher, store->leaves, chy_tlog_tree_size(t));
    assert_int_equal(chy_tlog_tree_root(t, &root, NULL), CHY_OK);
    assert_true(chy_tlog_hash_equal(&root, &expected));
}

static void check_entry(struct chy_tlog_tree *t, uint64_t i)
{
    struct chy_tlog_proof proof;
    struct chy_tlog_hash root;
    assert_int_equal(chy_tlog_tree_root(t, &root, NULL), CHY_OK);
    assert_int_equal(chy_tlog_tree_prove_inclusion(t, i, &proof, NULL), CHY_OK);
    assert_int_equal(chy_tlog_check_inclusion(hasher, i, chy_tlog_tree_size(t), &store->leaves[i],
                                              &proof, &root, NULL),
                     CHY_OK);
}

static void check_growth(struct chy_tlog_tree *t, uint64_t m)
{
    struct chy_tlog_proof proof;
    struct chy_tlog_hash root;
    struct chy_tlog_edge old;
    assert_int_equal(chy_tlog_tree_root(t, &root, NULL), CHY_OK);
    assert_int_equal(chy_tlog_tree_edge_at(t, m, &old, NULL), CHY_OK);
    assert_int_equal(chy_tlog_tree_prove_consistency(t, m, &proof, NULL), CHY_OK);
    assert_int_equal(chy_tlog_check_consistency(hasher, m, chy_tlog_tree_size(t),
                                                chy_tlog_edge_root(&old), &root, &proof, NULL),
                     CHY_OK);
}

static void test_tree__grows_and_proves(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0,   1,   2,    3,     255,   256,   257,   511,   512,  513,
                                      767, 768, 1000, 65535, 65536, 65537, 65792, 65793, N_MAX };
    struct chy_tlog_tree *t = tree_load(0);
    for (size_t s = 0; s < CHY_ARRAY_LEN(sizes); s++) {
        uint64_t n = sizes[s];
        tree_grow(t, n);
        assert_int_equal(chy_tlog_tree_size(t), n);
        check_root(t);
        for (uint64_t i = 0; i < n; i += i < 700 || i + 700 > n ? 13 : 997)
            check_entry(t, i);
        for (size_t k = 1; k <= s; k++)
            check_growth(t, sizes[k]);
    }
    assert_int_equal(store->n_tiles[0], N_MAX / 256);
    assert_int_equal(store->n_tiles[1], 1);
    chy_tlog_tree_free(t);
}

/* Proofs of what came last, over the end of a tile, need nothing from the store. */
static void test_tree__recent_entries_are_in_memory(void **state)
{
    (void)state;
    struct chy_tlog_tree *t = tree_load(0);
    tree_grow(t, 2000);
    store->reads = 0;
    for (uint64_t i = 2000 - 2000 % 256 - 256; i < 2000; i++)
        check_entry(t, i);
    assert_int_equal(store->reads, 0);
    check_entry(t, 5);
    check_entry(t, 6);
    assert_int_equal(store->reads, 1);
    chy_tlog_tree_free(t);
}

/* At every size around the ends of tiles: a loaded tree is the one that grew, and grows on. */
static void test_tree_load__goes_on_where_it_was(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 1,   255,   256,   257,   300,   511,   512,  513,
                                      769, 65535, 65536, 65537, 65791, 65792, 66000 };
    struct chy_tlog_tree *grown = tree_load(0);
    for (size_t s = 0; s < CHY_ARRAY_LEN(sizes); s++) {
        tree_grow(grown, sizes[s]);
        struct chy_tlog_tree *t = tree_load(sizes[s]);
        check_root(t);
        check_entry(t, 0);
        check_entry(t, sizes[s] - 1);
        check_entry(t, sizes[s] / 2);
        uint64_t tiles[] = { store->n_tiles[0], store->n_tiles[1] };
        tree_grow(t, sizes[s] + 300);
        check_root(t);
        check_growth(t, sizes[s]);
        store->n_tiles[0] = tiles[0]; /* the grown one stores them too */
        store->n_tiles[1] = tiles[1];
        chy_tlog_tree_free(t);
    }
    chy_tlog_tree_free(grown);
}

static void test_tree_tile__gives_what_it_fills(void **state)
{
    (void)state;
    struct chy_tlog_hash hashes[256];
    struct chy_tlog_tree *t = tree_load(0);
    tree_grow(t, 600);
    static const struct chy_tlog_tile there[] = {
        { 0, 0, 256 }, { 0, 1, 256 }, { 0, 1, 7 }, { 0, 2, 88 }, { 0, 2, 3 }
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(there); i++) {
        assert_int_equal(chy_tlog_tree_tile(t, &there[i], hashes, NULL), CHY_OK);
        assert_memory_equal(hashes, store->leaves + there[i].index * 256,
                            there[i].width * sizeof hashes[0]);
    }
    const struct chy_tlog_tile above = { 1, 0, 2 };
    assert_int_equal(chy_tlog_tree_tile(t, &above, hashes, NULL), CHY_OK);
    struct chy_tlog_hash root = fixture_root(hasher, store->leaves + 256, 256);
    assert_true(chy_tlog_hash_equal(&hashes[1], &root));
    static const struct chy_tlog_tile missing[] = { { 0, 2, 89 }, { 0, 3, 1 }, { 1, 0, 3 },
                                                    { 2, 0, 1 },  { 0, 0, 0 }, { 8, 0, 1 } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(missing); i++)
        assert_int_equal(chy_tlog_tree_tile(t, &missing[i], hashes, NULL), CHY_E_NOT_FOUND);
    chy_tlog_tree_free(t);
}

static void test_tree__refuses_what_is_not_there(void **state)
{
    (void)state;
    struct chy_tlog_tree *t = NULL;
    struct chy_tlog_proof proof;
    struct chy_tlog_edge edge;
    assert_int_equal(
        chy_tlog_tree_load(hasher, store_io(), (uint64_t)CHY_LIMIT_LOG_SIZE + 1, &t, NULL),
        CHY_E_ARG);
    t = tree_load(0);
    assert_int_equal(chy_tlog_tree_prove_inclusion(t, 0, &proof, NULL), CHY_E_ARG);
    tree_grow(t, 10);
    assert_int_equal(chy_tlog_tree_prove_inclusion(t, 10, &proof, NULL), CHY_E_ARG);
    assert_int_equal(chy_tlog_tree_prove_consistency(t, 0, &proof, NULL), CHY_E_ARG);
    assert_int_equal(chy_tlog_tree_prove_consistency(t, 11, &proof, NULL), CHY_E_ARG);
    assert_int_equal(chy_tlog_tree_edge_at(t, 11, &edge, NULL), CHY_E_ARG);
    const struct chy_tlog_nodes nodes = chy_tlog_tree_nodes(t);
    struct chy_tlog_hash hash;
    assert_int_equal(nodes.read(nodes.ctx, 1, 5, &hash, NULL), CHY_E_ARG);
    assert_int_equal(nodes.read(nodes.ctx, 64, 0, &hash, NULL), CHY_E_ARG);
    chy_tlog_tree_free(t);
}

static void test_tree__a_failed_append_breaks_it(void **state)
{
    (void)state;
    struct chy_tlog_tree *t = tree_load(0);
    tree_grow(t, 255);
    store->writes_left = 0;
    struct chy_tlog_hash root;
    struct chy_tlog_edge edge;
    const struct chy_tlog_tile tile = { 0, 0, 1 };
    assert_int_equal(chy_tlog_tree_append(t, &store->leaves[255], NULL), CHY_E_STORE);
    assert_int_equal(chy_tlog_tree_size(t), 255);
    assert_int_equal(chy_tlog_tree_append(t, &store->leaves[255], NULL), CHY_E_STATE);
    assert_int_equal(chy_tlog_tree_root(t, &root, NULL), CHY_E_STATE);
    assert_int_equal(chy_tlog_tree_edge_at(t, 3, &edge, NULL), CHY_E_STATE);
    assert_int_equal(chy_tlog_tree_tile(t, &tile, &root, NULL), CHY_E_STATE);
    chy_tlog_tree_free(t);
}

/* Every read that a load or a proof does may fail, and the next try is whole. */
static void test_tree__reads_that_fail(void **state)
{
    (void)state;
    struct chy_tlog_tree *grown = tree_load(0);
    tree_grow(grown, 65536 + 600);
    chy_tlog_tree_free(grown);
    size_t failures = 0;
    for (size_t i = 0;; i++) {
        struct chy_tlog_tree *t = NULL;
        store->reads_left = i;
        enum chy_err r = chy_tlog_tree_load(hasher, store_io(), 65536 + 600, &t, NULL);
        store->reads_left = SIZE_MAX;
        if (r == CHY_OK) {
            struct chy_tlog_proof proof;
            store->reads_left = 0;
            assert_int_equal(chy_tlog_tree_prove_inclusion(t, 700, &proof, NULL), CHY_E_STORE);
            store->reads_left = SIZE_MAX;
            check_entry(t, 700);
            chy_tlog_tree_free(t);
            break;
        }
        assert_int_equal(r, CHY_E_STORE);
        assert_null(t);
        failures++;
    }
    assert_true(failures >= 4);
}

static void test_tree__memory_that_fails(void **state)
{
    (void)state;
    for (size_t i = 0;; i++) {
        struct chy_tlog_tree *t = NULL;
        test_setup(NULL);
        chy_mem_fail_after(i);
        enum chy_err r = chy_tlog_tree_load(hasher, store_io(), 0, &t, NULL);
        for (size_t n = 0; r == CHY_OK && n < 257; n++)
            r = chy_tlog_tree_append(t, &store->leaves[n], NULL);
        struct chy_tlog_hash root;
        struct chy_tlog_proof proof;
        if (r == CHY_OK)
            r = chy_tlog_tree_root(t, &root, NULL);
        if (r == CHY_OK)
            r = chy_tlog_tree_prove_inclusion(t, 100, &proof, NULL);
        if (r == CHY_OK)
            r = chy_tlog_tree_prove_consistency(t, 256, &proof, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        chy_tlog_tree_free(t);
        if (!has_failed) {
            assert_int_equal(r, CHY_OK);
            assert_int_equal(i, 3); /* the tree and two levels */
            break;
        }
        assert_int_equal(r, CHY_E_NOMEM);
    }
    chy_tlog_tree_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_tree__grows_and_proves, test_setup),
        cmocka_unit_test_setup(test_tree__recent_entries_are_in_memory, test_setup),
        cmocka_unit_test_setup(test_tree_load__goes_on_where_it_was, test_setup),
        cmocka_unit_test_setup(test_tree_tile__gives_what_it_fills, test_setup),
        cmocka_unit_test_setup(test_tree__refuses_what_is_not_there, test_setup),
        cmocka_unit_test_setup(test_tree__a_failed_append_breaks_it, test_setup),
        cmocka_unit_test_setup(test_tree__reads_that_fail, test_setup),
        cmocka_unit_test_setup(test_tree__memory_that_fails, test_setup),
    };
    return cmocka_run_group_tests_name("tree", tests, group_setup, group_teardown);
}
