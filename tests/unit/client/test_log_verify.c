/* SPDX-License-Identifier: MIT */
/* A log that was changed anywhere must not verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "log_export.h"

static struct export e;
static struct chy_log_report report;

static int setup_usual(void **state)
{
    (void)state;
    export_init(&e);
    export_add_usual(&e);
    export_write(&e, e.n);
    return 0;
}

/* 5 + 2 * 300 entries: two full tiles, one of them at level 1 partial. */
static int setup_long(void **state)
{
    (void)state;
    export_init(&e);
    export_add_usual(&e);
    export_add_pairs(&e, 300);
    export_write(&e, e.n);
    return 0;
}

static int setup_empty(void **state)
{
    (void)state;
    export_init(&e);
    export_write(&e, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    export_done(&e);
    return 0;
}

static void verify(void)
{
    export_verify(&e, NULL, 0, &report);
}

static bool finds(const char *part)
{
    for (uint64_t i = 0; i < report.n_findings && i < CHY_LIMIT_FINDINGS; i++) {
        if (strstr(report.findings[i].text, part) != NULL)
            return true;
    }
    return false;
}

static bool finds_index(uint64_t index)
{
    for (uint64_t i = 0; i < report.n_findings && i < CHY_LIMIT_FINDINGS; i++) {
        if (report.findings[i].has_index && report.findings[i].index == index)
            return true;
    }
    return false;
}

static void assert_good(void)
{
    if (report.n_findings != 0)
        fail_msg("%s", report.findings[0].text);
    assert_true(report.is_verified);
}

static void assert_found(const char *part)
{
    assert_false(report.is_verified);
    assert_true(report.n_findings > 0);
    if (!finds(part))
        fail_msg("no \"%s\" but: %s", part, report.findings[0].text);
}

static void test_verify__good(void **state)
{
    (void)state;
    verify();
    assert_good();
    assert_string_equal(report.origin, EXPORT_ORIGIN);
    assert_int_equal(report.size, 5);
    assert_int_equal(report.checked, 5);
    assert_int_equal(report.counts.signatures, 1);
    assert_int_equal(report.counts.refusals, 1);
    assert_int_equal(report.counts.failures, 0);
    assert_int_equal(report.counts.open, 1);
    assert_int_equal(report.counts.first_open, 4);
    assert_int_equal(report.details, 2);
    assert_int_equal(report.details_pruned, 0);
}

static void test_verify__good_long(void **state)
{
    (void)state;
    verify();
    assert_good();
    assert_int_equal(report.checked, 605);
    assert_int_equal(report.counts.signatures, 301);
    assert_non_null(export_find(&e, "tile/1/000.p/2"));
}

static void test_verify__empty_log(void **state)
{
    (void)state;
    verify();
    assert_good();
    assert_int_equal(report.size, 0);
}

/* Flip bits of each byte (every `step`-th) of each file and verify again. */
static void flip_all(size_t step)
{
    static const uint8_t flips[] = { 0x01, 0x80, 0xff };
    for (size_t f = 0; f < e.n_files; f++) {
        struct chy_buf *content = &e.files[f].content;
        for (size_t i = 0; i < content->n; i += step) {
            for (size_t k = 0; k < CHY_ARRAY_LEN(flips); k++) {
                content->p[i] ^= flips[k];
                verify();
                content->p[i] ^= flips[k];
                if (report.is_verified || report.n_findings == 0)
                    fail_msg("%s: byte %zu changed by %02x was not found", e.files[f].path, i,
                             flips[k]);
            }
        }
    }
    verify();
    assert_good();
}

static void test_verify__every_byte(void **state)
{
    (void)state;
    flip_all(1);
}

static void test_verify__many_bytes_of_long(void **state)
{
    (void)state;
    flip_all(2999);
}

/* Every changed byte inside an entry is told as a fault of that entry. */
static void test_verify__names_the_entry(void **state)
{
    (void)state;
    struct chy_buf *bundle = &export_find(&e, "tile/entries/000.p/5")->content;
    size_t at = 0;
    for (size_t i = 0; i < e.n; i++) {
        at += 2;
        for (size_t k = 0; k < e.entries[i].n; k++) {
            bundle->p[at + k] ^= 0x10;
            verify();
            bundle->p[at + k] ^= 0x10;
            assert_false(report.is_verified);
            assert_true(finds_index(i));
        }
        at += e.entries[i].n;
    }
}

static void test_verify__longer_and_shorter_files(void **state)
{
    (void)state;
    for (size_t f = 0; f < e.n_files; f++) {
        struct chy_buf *content = &e.files[f].content;
        assert_true(chy_buf_append_u8(content, 0));
        verify();
        assert_false(report.is_verified);
        for (size_t cut = content->n - 1; cut > 0; cut--) {
            content->n = cut - 1;
            verify();
            assert_false(report.is_verified);
            content->n = cut;
        }
        export_write(&e, e.n);
    }
    verify();
    assert_good();
}

static void test_verify__file_over_every_limit(void **state)
{
    (void)state;
    struct chy_buf *tile = &export_find(&e, "tile/0/000.p/5")->content;
    while (tile->n <= CHY_TLOG_TILE_BYTES)
        assert_true(chy_buf_append_u64(tile, 0));
    verify();
    assert_found("longer than any such file");
}

static void test_verify__missing_files(void **state)
{
    (void)state;
    static const char *const paths[] = { "tile/0/000", "tile/0/002.p/93", "tile/1/000.p/2",
                                         "tile/entries/001" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(paths); i++) {
        export_remove(&e, paths[i]);
        verify();
        assert_found("is missing");
        assert_true(finds(paths[i]));
        export_write(&e, e.n);
    }
}

static void test_verify__no_checkpoint(void **state)
{
    (void)state;
    struct chy_log_check check = { .source = export_source(&e), .keys = &e.key, .n_keys = 1 };
    export_remove(&e, "checkpoint");
    assert_int_equal(chy_log_verify(&check, &report, NULL), CHY_E_NOT_FOUND);
    assert_false(report.is_verified);
}

static void test_verify__no_key(void **state)
{
    (void)state;
    struct chy_log_check check = { .source = export_source(&e) };
    assert_int_equal(chy_log_verify(&check, &report, NULL), CHY_E_ARG);
    assert_false(report.is_verified);
}

static void test_verify__another_key(void **state)
{
    (void)state;
    e.key = fixture_vkey(e.hasher, EXPORT_ORIGIN, EXPORT_SEED + 1);
    verify();
    assert_found("not signed by the log's key");
}

static void test_verify__pruned_details(void **state)
{
    (void)state;
    export_remove(&e, "details/000.p/5");
    verify();
    assert_good();
    assert_int_equal(report.details_pruned, 2);
    /* One alone. */
    export_write(&e, e.n);
    struct chy_buf *details = &export_find(&e, "details/000.p/5")->content;
    chy_buf_clear(details);
    for (size_t i = 0; i < e.n; i++) {
        struct chy_bytes none = { 0 };
        assert_true(chy_tlog_bundle_add(details, i == 1 ? none : chy_buf_bytes(&e.details[i])));
    }
    verify();
    assert_good();
    assert_int_equal(report.details, 1);
    assert_int_equal(report.details_pruned, 1);
}

static void test_verify__detail_without_commitment(void **state)
{
    (void)state;
    assert_true(chy_buf_append(&e.details[0], chy_buf_bytes(&e.details[1])));
    export_write(&e, e.n);
    verify();
    assert_found("commits to none");
    assert_true(finds_index(0));
}

/* The tree stands, the bundle is in another order. */
static void test_verify__reordered_entries(void **state)
{
    (void)state;
    struct chy_buf *bundle = &export_find(&e, "tile/entries/000.p/5")->content;
    static const size_t order[] = { 0, 1, 3, 2, 4 };
    chy_buf_clear(bundle);
    for (size_t i = 0; i < e.n; i++)
        assert_true(chy_tlog_bundle_add(bundle, chy_buf_bytes(&e.entries[order[i]])));
    verify();
    assert_found("does not hash to");
    assert_true(finds_index(2));
    assert_true(finds_index(3));
    assert_false(finds_index(1));
    assert_true(finds("do not make the root"));
}

static struct chy_log_known known_of(const char *name, const struct chy_buf *b)
{
    return (struct chy_log_known){ name, chy_buf_bytes(b) };
}

/* Whoever has the log's key can cut the tail; a kept checkpoint or receipt shows it. */
static void test_verify__removed_tail(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf head;
    CHY_CLEANUP(chy_buf_done) struct chy_buf receipt;
    chy_buf_init(&head, CHY_LIMIT_NOTE);
    chy_buf_init(&receipt, CHY_LIMIT_RECEIPT);
    export_checkpoint(&e, 5, &head);
    export_receipt(&e, 4, 5, &receipt);
    export_write(&e, 3);
    verify();
    assert_good(); /* nothing shows it without that */
    struct chy_log_known known[] = { known_of("head", &head), known_of("receipt", &receipt) };
    export_verify(&e, &known[0], 1, &report);
    assert_found("its tail is missing");
    export_verify(&e, &known[1], 1, &report);
    assert_found("its tail is missing");
}

static void test_verify__known_heads(void **state)
{
    (void)state;
    struct chy_buf heads[6];
    struct chy_log_known known[6];
    for (size_t i = 0; i < 6; i++) {
        chy_buf_init(&heads[i], CHY_LIMIT_NOTE);
        export_checkpoint(&e, 5 - i, &heads[i]); /* the newest first */
        known[i] = known_of("head", &heads[i]);
    }
    export_verify(&e, known, 6, &report);
    assert_good();
    assert_int_equal(report.known, 6);
    for (size_t i = 0; i < 6; i++)
        chy_buf_done(&heads[i]);
}

static void test_verify__receipts(void **state)
{
    (void)state;
    for (size_t index = 0; index < 5; index++) {
        for (size_t size = index + 1; size <= 5; size++) {
            CHY_CLEANUP(chy_buf_done) struct chy_buf receipt;
            chy_buf_init(&receipt, CHY_LIMIT_RECEIPT);
            export_receipt(&e, index, size, &receipt);
            struct chy_log_known known = known_of("receipt", &receipt);
            export_verify(&e, &known, 1, &report);
            assert_good();
            assert_int_equal(report.known, 1);
        }
    }
}

/* The log was written anew with another entry 2, and signed. */
static void test_verify__rewritten(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf head;
    CHY_CLEANUP(chy_buf_done) struct chy_buf receipt;
    chy_buf_init(&head, CHY_LIMIT_NOTE);
    chy_buf_init(&receipt, CHY_LIMIT_RECEIPT);
    export_checkpoint(&e, 4, &head);
    export_receipt(&e, 2, 4, &receipt);
    struct chy_buf *entry = &e.entries[2];
    entry->p[entry->n - CHY_HASH_BYTES - 1] ^= 1; /* the end of result_sha256 */
    export_write(&e, e.n);
    verify();
    assert_good();
    struct chy_log_known known[] = { known_of("head", &head), known_of("receipt", &receipt) };
    export_verify(&e, &known[0], 1, &report);
    assert_found("which was rewritten");
    export_verify(&e, &known[1], 1, &report);
    assert_found("is not the one of the receipt");
    assert_true(finds_index(2));
}

static void test_verify__foreign_known(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf head;
    chy_buf_init(&head, CHY_LIMIT_NOTE);
    export_checkpoint(&e, 4, &head);
    head.p[head.n - 10] ^= 1;
    struct chy_log_known known[] = { known_of("head", &head),
                                     { "empty", { (const uint8_t *)"", 0 } },
                                     { "cut",
                                       chy_str_bytes(CHY_STR("c2sp.org/tlog-proof@v1\n")) } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(known); i++) {
        export_verify(&e, &known[i], 1, &report);
        assert_found(known[i].name);
    }
}

static void test_verify__known_limit(void **state)
{
    (void)state;
    CHY_CLEANUP(chy_buf_done) struct chy_buf head;
    chy_buf_init(&head, CHY_LIMIT_NOTE);
    export_checkpoint(&e, 4, &head);
    static struct chy_log_known known[CHY_LIMIT_KNOWN + 1];
    for (size_t i = 0; i < CHY_ARRAY_LEN(known); i++)
        known[i] = known_of("head", &head);
    struct chy_log_check check = { .source = export_source(&e),
                                   .keys = &e.key,
                                   .n_keys = 1,
                                   .known = known,
                                   .n_known = CHY_LIMIT_KNOWN };
    assert_int_equal(chy_log_verify(&check, &report, NULL), CHY_OK);
    assert_int_equal(report.known, CHY_LIMIT_KNOWN);
    check.n_known++;
    assert_int_equal(chy_log_verify(&check, &report, NULL), CHY_E_LIMIT);
    assert_false(report.is_verified);
}

/* A rule between entries that is broken shows, although every hash fits. */
static void test_verify__broken_rule(void **state)
{
    (void)state;
    struct chy_entry second = { .version = CHY_ENTRY_VERSION,
                                .kind = CHY_ENTRY_SIGN_OUTCOME,
                                .time_us = 1700000000000100,
                                .outcome = CHY_OUTCOME_DONE,
                                .result_sha256 = { 1 },
                                .intent_index = 1 };
    export_add(&e, &second, NULL);
    export_write(&e, e.n);
    verify();
    assert_found("has an outcome already");
    assert_true(finds_index(5));
}

static void test_verify__counts_all_findings(void **state)
{
    (void)state;
    struct chy_buf *tile = &export_find(&e, "tile/0/000")->content;
    for (size_t i = 0; i < tile->n; i++)
        tile->p[i] ^= 1;
    verify();
    assert_int_equal(report.n_findings, CHY_TLOG_TILE_WIDTH);
}

static void test_verify__no_memory(void **state)
{
    (void)state;
    struct chy_log_check check = { .source = export_source(&e), .keys = &e.key, .n_keys = 1 };
    size_t n = 0;
    enum chy_err r;
    do {
        chy_mem_fail_after(n++);
        r = chy_log_verify(&check, &report, NULL);
        chy_mem_fail_after(SIZE_MAX);
        if (r != CHY_OK) {
            assert_int_equal(r, CHY_E_NOMEM);
            assert_false(report.is_verified);
        }
    } while (r != CHY_OK);
    assert_good();
    assert_true(n > 5);
}

#define T(name, setup) cmocka_unit_test_setup_teardown(test_verify__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(good, setup_usual),
        T(good_long, setup_long),
        T(empty_log, setup_empty),
        T(every_byte, setup_usual),
        T(many_bytes_of_long, setup_long),
        T(names_the_entry, setup_usual),
        T(longer_and_shorter_files, setup_usual),
        T(file_over_every_limit, setup_usual),
        T(missing_files, setup_long),
        T(no_checkpoint, setup_usual),
        T(no_key, setup_usual),
        T(another_key, setup_usual),
        T(pruned_details, setup_usual),
        T(detail_without_commitment, setup_usual),
        T(reordered_entries, setup_usual),
        T(removed_tail, setup_usual),
        T(known_heads, setup_usual),
        T(receipts, setup_usual),
        T(rewritten, setup_usual),
        T(foreign_known, setup_usual),
        T(known_limit, setup_usual),
        T(broken_rule, setup_usual),
        T(counts_all_findings, setup_long),
        T(no_memory, setup_usual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
