/* SPDX-License-Identifier: MIT */
/* Other people's vectors and a log that other people's software wrote, from $CHANCERY_SAMPLES/tlog;
 * skipped where that folder is absent. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "log_fixture.h"
#include "tlog/checkpoint.h"
#include "tlog/tile.h"
#include "tlog/tree.h"

#define LOG_SIZE 15
#define LOG_VKEY "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"

static struct chy_hasher *hasher;
static const char *samples;

static int group_setup(void **state)
{
    (void)state;
    hasher = fixture_hasher();
    samples = secure_getenv("CHANCERY_SAMPLES");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    chy_hasher_free(hasher);
    return 0;
}

/* The file below the folder of samples, or a skip. */
static FILE *sample_open(const char *path)
{
    char name[512];
    int n = snprintf(name, sizeof name, "%s/tlog/%s", samples != NULL ? samples : "", path);
    assert_in_range(n, 0, sizeof name - 1);
    FILE *f = samples != NULL ? fopen(name, "re") : NULL;
    if (f == NULL) {
        print_message("samples folder absent\n");
        skip();
    }
    return f;
}

static struct chy_buf sample_read(const char *path)
{
    FILE *f = sample_open(path);
    struct chy_buf b;
    chy_buf_init(&b, 1 << 20);
    uint8_t part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        assert_true(chy_buf_append(&b, (struct chy_bytes){ part, n }));
    assert_int_equal(fclose(f), 0);
    return b;
}

/* A hash, or false for what a caller could not even pass to us. */
static bool hash_of(const json_t *value, struct chy_tlog_hash *ret)
{
    if (!json_is_string(value)) /* null stands for no bytes */
        return false;
    struct chy_str text = { json_string_value(value), json_string_length(value) };
    return chy_base64_decode_exact(text, ret->b, sizeof ret->b, NULL) == CHY_OK;
}

static bool proof_of(const json_t *list, struct chy_tlog_proof *ret)
{
    ret->n = 0;
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value)
    {
        if (ret->n == CHY_LIMIT_PROOF || !hash_of(value, &ret->hashes[ret->n++]))
            return false;
    }
    return true;
}

/* Numbers are unsigned 64-bit; jansson has signed ones, so what does not fit is read as a real. */
static uint64_t number_of(const json_t *row, const char *name)
{
    const json_t *v = json_object_get(row, name);
    assert_true(json_is_number(v));
    return json_is_integer(v) ? (uint64_t)json_integer_value(v) : UINT64_MAX;
}

static bool inclusion_holds(const json_t *row)
{
    struct chy_tlog_hash leaf;
    struct chy_tlog_hash root;
    struct chy_tlog_proof proof;
    return hash_of(json_object_get(row, "leafHash"), &leaf) &&
           hash_of(json_object_get(row, "root"), &root) &&
           proof_of(json_object_get(row, "proof"), &proof) &&
           chy_tlog_check_inclusion(hasher, number_of(row, "leafIdx"), number_of(row, "treeSize"),
                                    &leaf, &proof, &root, NULL) == CHY_OK;
}

static bool consistency_holds(const json_t *row)
{
    struct chy_tlog_hash old_root;
    struct chy_tlog_hash new_root;
    struct chy_tlog_proof proof;
    return hash_of(json_object_get(row, "root1"), &old_root) &&
           hash_of(json_object_get(row, "root2"), &new_root) &&
           proof_of(json_object_get(row, "proof"), &proof) &&
           chy_tlog_check_consistency(hasher, number_of(row, "size1"), number_of(row, "size2"),
                                      &old_root, &new_root, &proof, NULL) == CHY_OK;
}

/* The one vector that is good there and not here: its roots are words of 12 bytes. */
#define SHORT_ROOTS "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"

static void run_vectors(const char *path, bool (*holds)(const json_t *row))
{
    FILE *f = sample_open(path);
    char line[8192];
    size_t n = 0;
    size_t good = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        json_error_t error;
        json_t *row = json_loads(line, 0, &error);
        if (row == NULL && strstr(line, "18446744073709551615") != NULL)
            row = json_loads(line, JSON_DECODE_INT_AS_REAL, &error);
        assert_non_null(row);
        const char *name = json_string_value(json_object_get(row, "file"));
        bool is_good =
            !json_is_true(json_object_get(row, "wantErr")) && strcmp(name, SHORT_ROOTS) != 0;
        if (holds(row) != is_good)
            fail_msg("%s", name);
        n++;
        good += is_good;
        json_decref(row);
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(n, 98);
    assert_in_range(good, 5, 97);
}

static void test_samples__inclusion_vectors(void **state)
{
    (void)state;
    run_vectors("merkle/inclusion.jsonl", inclusion_holds);
}

static void test_samples__consistency_vectors(void **state)
{
    (void)state;
    run_vectors("merkle/consistency.jsonl", consistency_holds);
}

static enum chy_err no_tile(void *ctx, const struct chy_tlog_tile *tile,
                            struct chy_tlog_hash *hashes, struct chy_error *err)
{
    (void)ctx;
    (void)tile;
    (void)hashes;
    return chy_fail(err, CHY_E_NOT_FOUND, "fifteen entries fill no tile");
}

/* Grow our tree from the entries of the log that Tessera wrote: leaf hashes, every root and every
 * signed checkpoint are the same, and every proof of ours leads to them. */
static void test_samples__tessera_log(void **state)
{
    (void)state;
    struct chy_tlog_vkey key;
    assert_int_equal(chy_tlog_vkey_parse(hasher, CHY_STR(LOG_VKEY), &key, NULL), CHY_OK);
    struct chy_buf bundle = sample_read("tessera-log/tile/entries/000.p/15");
    struct chy_buf tile = sample_read("tessera-log/tile/0/000.p/15");
    assert_int_equal(tile.n, LOG_SIZE * 32);
    struct chy_bytes rest = chy_buf_bytes(&bundle);
    const struct chy_tlog_tree_io io = { NULL, no_tile, NULL };
    struct chy_tlog_tree *tree = NULL;
    struct chy_tlog_hash roots[LOG_SIZE + 1];
    struct chy_tlog_hash leaves[LOG_SIZE];
    assert_int_equal(chy_tlog_tree_load(hasher, &io, 0, &tree, NULL), CHY_OK);
    for (size_t n = 0; n <= LOG_SIZE; n++) {
        if (n > 0) {
            struct chy_bytes entry;
            assert_int_equal(chy_tlog_bundle_next(&rest, &entry, NULL), CHY_OK);
            chy_tlog_leaf_hash(hasher, entry, &leaves[n - 1]);
            assert_memory_equal(leaves[n - 1].b, tile.p + (n - 1) * 32, 32);
            assert_int_equal(chy_tlog_tree_append(tree, &leaves[n - 1], NULL), CHY_OK);
        }
        assert_int_equal(chy_tlog_tree_root(tree, &roots[n], NULL), CHY_OK);
        char path[64];
        assert_true(snprintf(path, sizeof path, "tessera-log/checkpoint.%zu", n) > 0);
        struct chy_buf note = sample_read(path);
        struct chy_tlog_checkpoint cp;
        assert_int_equal(chy_tlog_checkpoint_open(chy_buf_bytes(&note), &key, 1, &cp, NULL),
                         CHY_OK);
        assert_true(cp.size == n);
        assert_true(chy_tlog_hash_equal(&cp.root, &roots[n]));
        chy_buf_done(&note);
        for (size_t i = 0; i < n; i++) {
            struct chy_tlog_proof proof;
            assert_int_equal(chy_tlog_tree_prove_inclusion(tree, i, &proof, NULL), CHY_OK);
            assert_int_equal(
                chy_tlog_check_inclusion(hasher, i, n, &leaves[i], &proof, &roots[n], NULL),
                CHY_OK);
            assert_int_equal(chy_tlog_tree_prove_consistency(tree, i + 1, &proof, NULL), CHY_OK);
            assert_int_equal(chy_tlog_check_consistency(hasher, i + 1, n, &roots[i + 1], &roots[n],
                                                        &proof, NULL),
                             CHY_OK);
        }
    }
    assert_int_equal(rest.n, 0);
    chy_tlog_tree_free(tree);
    chy_buf_done(&tile);
    chy_buf_done(&bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples__inclusion_vectors),
        cmocka_unit_test(test_samples__consistency_vectors),
        cmocka_unit_test(test_samples__tessera_log),
    };
    return cmocka_run_group_tests_name("samples", tests, group_setup, group_teardown);
}
