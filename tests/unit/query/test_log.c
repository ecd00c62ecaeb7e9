/* SPDX-License-Identifier: MIT */
/* The log as it is shown: lists, receipts, checkpoints and tiles, all checked against what the
 * writer knows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../crypto/key_fixture.h"
#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "query_fixture.h"
#include "tlog/receipt.h"

#define FIRST 600 /* entries: two full tiles and a part of a third */

static struct server *s;
static const struct chy_empty empty;
static const uint8_t digest[] = { 9, 8, 7 };

static void assert_text(const char *part)
{
    if (strstr(fixture_text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, fixture_text);
}

static struct chy_entry signature_entry(enum chy_entry_kind kind, const char *who, const char *key)
{
    return (struct chy_entry){ .kind = kind,
                               .time_us = 1000,
                               .principal = chy_str_of(who),
                               .action = CHY_STR("sign"),
                               .subject = chy_str_of(key),
                               .algorithm = CHY_ALG_ECDSA_SHA256,
                               .digest = { digest, sizeof digest },
                               .decision = CHY_DECISION_ALLOWED };
}

/* 0: bob's intent, with a detail. 1: its outcome. 2: carol's. The rest: starts of the server. */
static int group_setup(void **state)
{
    (void)state;
    s = fixture_start();
    fixture_store(s);
    fixture_user(s, "alice", "administrator");
    fixture_user(s, "audra", "auditor");
    fixture_user(s, "bob", "");
    fixture_user(s, "carol", "");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    fixture_stop(s);
    fixture_keys_free();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_reset(&s->arena);
    return 0;
}

static struct chy_log_page list(struct chy_log_query query)
{
    struct chy_log_page page;
    enum chy_err r = fixture_call(s, CHY_OP_LOG_LIST, "audra", &query, &page);
    if (r != CHY_OK)
        fail_msg("%s: %s", chy_err_name(r), fixture_text);
    return page;
}

static enum chy_err raw(enum chy_op op, const char *who, const char *path, struct chy_raw *ret)
{
    struct chy_tile_path request = { chy_str_of(path) };
    return fixture_call(s, op, who, op == CHY_OP_LOG_CHECKPOINT ? (const void *)&empty : &request,
                        ret);
}

static enum chy_err receipt(const char *who, uint64_t index, struct chy_log_receipt *ret)
{
    struct chy_log_index request = { index };
    return fixture_call(s, CHY_OP_LOG_RECEIPT, who, &request, ret);
}

/* --- before anything was published --- */

static void test_empty(void **state)
{
    (void)state;
    struct chy_raw answer;
    struct chy_log_receipt r;
    struct chy_log_page page = list((struct chy_log_query){ 0 });
    assert_int_equal(page.entries.n, 0);
    assert_int_equal(page.size, 0);
    assert_int_equal(page.next, 0);
    assert_int_equal(raw(CHY_OP_LOG_CHECKPOINT, NULL, "", &answer), CHY_E_NOT_FOUND);
    assert_int_equal(raw(CHY_OP_LOG_TILE, NULL, "0/000.p/1", &answer), CHY_E_NOT_FOUND);
    assert_int_equal(receipt("audra", 0, &r), CHY_E_NOT_FOUND);
}

static void test_receipt__not_covered_yet(void **state)
{
    (void)state;
    struct chy_log_receipt r;
    const struct chy_fact program = { CHY_STR("application.path"), CHY_STR("/usr/bin/jarsigner"),
                                      CHY_BASIS_AGENT };
    const struct chy_entry_detail detail = { .salt = { 1 },
                                             .reason = CHY_STR("release 2"),
                                             .facts = { &program, 1 } };
    fixture_append(s, signature_entry(CHY_ENTRY_SIGN_INTENT, "bob", "release"), &detail);
    assert_int_equal(receipt("bob", 0, &r), CHY_E_STATE);
    struct chy_entry outcome = signature_entry(CHY_ENTRY_SIGN_OUTCOME, "bob", "release");
    outcome.outcome = CHY_OUTCOME_DONE;
    fixture_append(s, outcome, NULL);
    fixture_append(s, signature_entry(CHY_ENTRY_SIGN_INTENT, "carol", "test"), NULL);
    fixture_append_many(s, FIRST - 3);
    fixture_publish(s);
    assert_int_equal(receipt("bob", 0, &r), CHY_OK);
}

/* --- lists --- */

static void test_list__filters(void **state)
{
    (void)state;
    struct chy_log_page page = list((struct chy_log_query){ .key = CHY_STR("release") });
    assert_int_equal(page.entries.n, 2);
    assert_int_equal(page.size, FIRST);
    assert_int_equal(page.next, FIRST);
    assert_true(chy_str_equal_c(page.entries.p[0].kind, "sign.intent"));
    assert_true(chy_str_equal_c(page.entries.p[0].principal, "bob"));
    assert_true(chy_str_equal_c(page.entries.p[0].key, "release"));
    assert_non_null(strstr(chy_arena_str(&s->arena, page.entries.p[0].text).p, "release 2"));
    assert_true(page.entries.p[0].entry.n > 0 && page.entries.p[0].detail.n > 0);
    assert_int_equal(page.entries.p[1].detail.n, 0);
    page = list((struct chy_log_query){ .principal = CHY_STR("carol") });
    assert_int_equal(page.entries.n, 1);
    assert_int_equal(page.entries.p[0].index, 2);
    page = list((struct chy_log_query){ .kind = CHY_STR("sign.outcome") });
    assert_int_equal(page.entries.n, 1);
    assert_int_equal(page.entries.p[0].index, 1);
    page = list((struct chy_log_query){ .digest = { digest, sizeof digest } });
    assert_int_equal(page.entries.n, 3);
    page = list((struct chy_log_query){ .digest = { digest, 2 } });
    assert_int_equal(page.entries.n, 0);
    struct chy_log_query wrong = { .kind = CHY_STR("nonsense") };
    assert_int_equal(fixture_call(s, CHY_OP_LOG_LIST, "audra", &wrong, NULL), CHY_E_ARG);
    assert_text("nonsense");
    assert_int_equal(fixture_call(s, CHY_OP_LOG_LIST, "bob", &wrong, NULL), CHY_E_FORBIDDEN);
}

static void test_list__pages(void **state)
{
    (void)state;
    struct chy_log_query query = { .limit = 0 };
    uint64_t want = 0;
    struct chy_log_page page = list(query);
    assert_int_equal(page.entries.n, 100);
    query.limit = 250;
    do {
        page = list(query);
        for (size_t i = 0; i < page.entries.n; i++)
            assert_int_equal(page.entries.p[i].index, want++);
        assert_int_equal(page.next, want);
        query.after = page.next;
    } while (page.next < page.size);
    assert_int_equal(want, FIRST);
    query.after = FIRST + 1000;
    page = list(query);
    assert_int_equal(page.entries.n, 0);
    assert_int_equal(page.next, page.size);
}

static void test_list__newest_first(void **state)
{
    (void)state;
    struct chy_log_query query = { .limit = 250, .newest_first = true };
    uint64_t want = FIRST;
    do {
        struct chy_log_page page = list(query);
        for (size_t i = 0; i < page.entries.n; i++)
            assert_int_equal(page.entries.p[i].index, --want);
        assert_int_equal(page.next, want);
        assert_int_equal(page.size, FIRST);
        query.before = page.next;
    } while (query.before != 0);
    assert_int_equal(want, 0);
    query = (struct chy_log_query){ .limit = 1, .newest_first = true, .key = CHY_STR("release") };
    struct chy_log_page page = list(query);
    assert_int_equal(page.entries.n, 1);
    assert_int_equal(page.entries.p[0].index, 1);
    query.before = INT64_MAX;
    assert_int_equal(list(query).entries.n, 1);
    query.before = 1;
    assert_int_equal(list(query).entries.p[0].index, 0);
}

/* Of an outcome too, whose intent has the fact. */
static void test_list__names_the_application(void **state)
{
    (void)state;
    struct chy_log_page page = list((struct chy_log_query){ .limit = 3 });
    for (size_t i = 0; i < 2; i++) {
        const struct chy_log_row *row = &page.entries.p[i];
        assert_non_null(row->application);
        assert_true(chy_str_equal_c(row->application->value, "/usr/bin/jarsigner"));
        assert_int_equal(row->application->basis, CHY_BASIS_AGENT);
        char text[256];
        snprintf(text, sizeof text, "%.*s", CHY_STR_ARG(row->text));
        assert_non_null(strstr(text, "with \"jarsigner\" (agent)"));
    }
    assert_null(page.entries.p[2].application);
}

static void test_show(void **state)
{
    (void)state;
    struct chy_log_index index = { 1 };
    struct chy_log_row row;
    assert_int_equal(fixture_call(s, CHY_OP_LOG_SHOW, "alice", &index, &row), CHY_OK);
    assert_int_equal(row.index, 1);
    assert_non_null(row.application);
    assert_true(chy_str_equal_c(row.kind, "sign.outcome"));
    index.index = FIRST;
    assert_int_equal(fixture_call(s, CHY_OP_LOG_SHOW, "alice", &index, &row), CHY_E_NOT_FOUND);
    index.index = INT64_MAX;
    assert_int_equal(fixture_call(s, CHY_OP_LOG_SHOW, "alice", &index, &row), CHY_E_NOT_FOUND);
}

/* --- receipts --- */

static void assert_proves(const char *who, uint64_t index, uint64_t size)
{
    struct chy_log_receipt answer;
    struct chy_tlog_receipt r;
    struct chy_tlog_hash leaf;
    struct chy_tlog_checkpoint cp;
    struct chy_bytes entry;
    enum chy_err code = receipt(who, index, &answer);
    if (code != CHY_OK)
        fail_msg("%s: %s", chy_err_name(code), fixture_text);
    assert_int_equal(chy_store_log_get(s->store, index, &s->arena, &entry, NULL, NULL), CHY_OK);
    chy_tlog_leaf_hash(s->hasher, entry, &leaf);
    assert_int_equal(chy_tlog_receipt_parse(chy_str_bytes(answer.receipt), &r, NULL), CHY_OK);
    assert_int_equal(chy_tlog_receipt_check(s->hasher, &r, &leaf, &s->vkey, 1, &cp, NULL), CHY_OK);
    assert_int_equal(r.index, index);
    assert_int_equal(cp.size, size);
}

static void test_receipt__proves(void **state)
{
    (void)state;
    static const uint64_t indexes[] = { 0, 1, 2, 255, 256, 511, 512, 598, 599 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(indexes); i++)
        assert_proves("audra", indexes[i], FIRST);
    assert_proves("bob", 0, FIRST);
    assert_proves("bob", 1, FIRST);
}

static void test_receipt__of_others_is_not_there(void **state)
{
    (void)state;
    struct chy_log_receipt r;
    assert_int_equal(receipt("bob", 2, &r), CHY_E_NOT_FOUND);
    assert_text("no entry 2 of yours");
    assert_int_equal(receipt("bob", 10, &r), CHY_E_NOT_FOUND);
    assert_int_equal(receipt("bob", 1000000, &r), CHY_E_NOT_FOUND);
    assert_text("no entry 1000000 of yours");
    assert_int_equal(receipt("audra", FIRST, &r), CHY_E_NOT_FOUND);
    assert_int_equal(receipt(NULL, 0, &r), CHY_E_UNAUTHENTICATED);
}

/* --- checkpoint and tiles --- */

static void test_checkpoint(void **state)
{
    (void)state;
    struct chy_raw answer;
    assert_int_equal(raw(CHY_OP_LOG_CHECKPOINT, NULL, "", &answer), CHY_OK);
    assert_true(chy_bytes_equal(answer.body, s->note));
    assert_true(chy_str_starts(answer.content_type, "text/plain"));
    assert_int_equal(answer.max_age_s, 0);
}

static void assert_tile(unsigned level, uint64_t index, unsigned width)
{
    const struct chy_tlog_tile tile = { level, index, width };
    struct chy_tlog_hash hashes[CHY_TLOG_TILE_WIDTH];
    struct chy_raw answer;
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, CHY_LIMIT_NAME);
    assert_true(chy_tlog_tile_path(&path, &tile));
    chy_buf_append_u8(&path, 0);
    enum chy_err r = raw(CHY_OP_LOG_TILE, NULL, (const char *)path.p + 5, &answer);
    if (r != CHY_OK)
        fail_msg("%s: %s", (const char *)path.p, fixture_text);
    assert_int_equal(chy_tlog_tree_tile(s->tree, &tile, hashes, NULL), CHY_OK);
    assert_true(chy_bytes_equal(
        answer.body, (struct chy_bytes){ (const uint8_t *)hashes, width * sizeof hashes[0] }));
    assert_true(answer.max_age_s == (width == 256 ? 31536000 : 3600));
    assert_true(chy_str_equal_c(answer.content_type, "application/octet-stream"));
}

static void test_tile(void **state)
{
    (void)state;
    assert_tile(0, 0, 256);
    assert_tile(0, 1, 256);
    assert_tile(0, 1, 17);
    assert_tile(0, 2, 88);
    assert_tile(0, 2, 1);
    assert_tile(1, 0, 2);
    assert_tile(1, 0, 1);
}

static void test_tile__not_there(void **state)
{
    (void)state;
    static const char *const paths[] = { "0/002",     "0/002.p/89",  "0/003.p/1",  "1/000",
                                         "1/000.p/3", "2/000.p/1",   "0/2.p/1",    "0/002.p/0",
                                         "8/000",     "entries/000", "0/x000/000", "x",
                                         "0/000/",    "0/000.p/256" };
    struct chy_raw answer;
    for (size_t i = 0; i < CHY_ARRAY_LEN(paths); i++)
        if (raw(CHY_OP_LOG_TILE, NULL, paths[i], &answer) != CHY_E_NOT_FOUND)
            fail_msg("%s was answered", paths[i]);
}

static void assert_bundle(const char *path, uint64_t from, size_t n)
{
    struct chy_raw answer;
    struct chy_bytes entry;
    struct chy_bytes want;
    enum chy_err r = raw(CHY_OP_LOG_ENTRIES, "audra", path, &answer);
    if (r != CHY_OK)
        fail_msg("%s: %s", path, fixture_text);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(chy_store_log_get(s->store, from + i, &s->arena, &want, NULL, NULL),
                         CHY_OK);
        assert_int_equal(chy_tlog_bundle_next(&answer.body, &entry, NULL), CHY_OK);
        assert_true(chy_bytes_equal(entry, want));
    }
    assert_int_equal(answer.body.n, 0);
}

static void test_entries(void **state)
{
    (void)state;
    struct chy_raw answer;
    assert_bundle("000", 0, 256);
    assert_bundle("000.p/3", 0, 3);
    assert_bundle("002.p/88", 512, 88);
    assert_int_equal(raw(CHY_OP_LOG_ENTRIES, "audra", "002", &answer), CHY_E_NOT_FOUND);
    assert_int_equal(raw(CHY_OP_LOG_ENTRIES, "audra", "0/000", &answer), CHY_E_NOT_FOUND);
    assert_int_equal(raw(CHY_OP_LOG_ENTRIES, "bob", "000", &answer), CHY_E_FORBIDDEN);
    assert_int_equal(raw(CHY_OP_LOG_ENTRIES, NULL, "000", &answer), CHY_E_UNAUTHENTICATED);
}

/* What is in the store but under no checkpoint is in no tile. */
static void test_tiles__follow_the_checkpoint(void **state)
{
    (void)state;
    struct chy_raw answer;
    fixture_append_many(s, 300);
    assert_int_equal(raw(CHY_OP_LOG_TILE, NULL, "0/002", &answer), CHY_E_NOT_FOUND);
    assert_int_equal(raw(CHY_OP_LOG_ENTRIES, "audra", "002", &answer), CHY_E_NOT_FOUND);
    assert_proves("audra", 599, FIRST);
    fixture_publish(s);
    assert_tile(0, 2, 256);
    assert_tile(0, 3, 132);
    assert_tile(1, 0, 3);
    assert_proves("audra", 599, FIRST + 300);
    assert_proves("audra", 899, FIRST + 300);
    assert_bundle("002", 512, 256);
}

/* --- other people's eyes --- */

static void export_file(const char *folder, const char *name, struct chy_bytes body)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; *p != '\0'; p++)
        if (*p == '/') {
            *p = '\0';
            assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
            *p = '/';
        }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(body.p, 1, body.n, file), body.n);
    assert_int_equal(fclose(file), 0);
}

static void export_tile(const char *folder, unsigned level, uint64_t index)
{
    const struct chy_tlog_tile tile = {
        level, index, chy_tlog_tile_width(level, index, chy_tlog_tree_size(s->tree))
    };
    struct chy_raw answer;
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, CHY_LIMIT_NAME);
    assert_true(chy_tlog_tile_path(&path, &tile));
    chy_buf_append_u8(&path, 0);
    bool is_bundle = level == CHY_TLOG_ENTRIES;
    assert_int_equal(raw(is_bundle ? CHY_OP_LOG_ENTRIES : CHY_OP_LOG_TILE, "audra",
                         (const char *)path.p + (is_bundle ? strlen("tile/entries/") : 5), &answer),
                     CHY_OK);
    export_file(folder, (const char *)path.p, answer.body);
}

static int go_verify(const char *folder, const char *vkey, const char *receipt_path)
{
    char program[512];
    char cache[128];
    snprintf(program, sizeof program, "%s/tests/interop/tlog/verify.go",
             secure_getenv("CHANCERY_SOURCE"));
    snprintf(cache, sizeof cache, "%s/cache", s->folder);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("GO111MODULE", "off", 1);
        setenv("GOPATH", "/usr/share/gocode", 1);
        setenv("GOFLAGS", "", 1);
        setenv("GOCACHE", cache, 1);
        execl("/usr/bin/go", "go", "run", program, folder, vkey, receipt_path, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What is served, put into files, is a log to a verifier that shares no code with ours. */
static void test_export__independent_verifier(void **state)
{
    (void)state;
    struct chy_raw answer;
    struct chy_log_receipt r;
    char folder[64];
    char receipt_path[96];
    if (access("/usr/bin/go", X_OK) != 0 ||
        access("/usr/share/gocode/src/golang.org/x/mod", F_OK) ||
        secure_getenv("CHANCERY_SOURCE") == NULL)
        skip();
    snprintf(folder, sizeof folder, "%s/export", s->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(raw(CHY_OP_LOG_CHECKPOINT, NULL, "", &answer), CHY_OK);
    export_file(folder, "checkpoint", answer.body);
    for (uint64_t i = 0; i * CHY_TLOG_TILE_WIDTH < chy_tlog_tree_size(s->tree); i++) {
        export_tile(folder, 0, i);
        export_tile(folder, CHY_TLOG_ENTRIES, i);
    }
    export_tile(folder, 1, 0);
    assert_int_equal(receipt("bob", 1, &r), CHY_OK);
    export_file(s->folder, "receipt", chy_str_bytes(r.receipt));
    snprintf(receipt_path, sizeof receipt_path, "%s/receipt", s->folder);
    CHY_CLEANUP(chy_buf_done) struct chy_buf vkey;
    chy_buf_init(&vkey, CHY_LIMIT_TEXT);
    assert_true(chy_tlog_vkey_append(&vkey, &s->vkey));
    chy_buf_append_u8(&vkey, 0);
    assert_int_equal(go_verify(folder, (const char *)vkey.p, receipt_path), 0);
    vkey.p[0] ^= 1; /* another log's name */
    assert_int_equal(go_verify(folder, (const char *)vkey.p, receipt_path), 1);
}

/* One call looks at so many entries; the next goes on from there. */
static void test_list__bounded_scan(void **state)
{
    (void)state;
    fixture_append_many(s, CHY_LIMIT_SCAN);
    fixture_append(s, signature_entry(CHY_ENTRY_SIGN_INTENT, "bob", "late"), NULL);
    fixture_publish(s);
    struct chy_log_query query = { .key = CHY_STR("late") };
    struct chy_log_page page = list(query);
    assert_int_equal(page.entries.n, 0);
    assert_int_equal(page.next, CHY_LIMIT_SCAN);
    assert_int_equal(page.size, FIRST + 300 + CHY_LIMIT_SCAN + 1);
    query.after = page.next;
    page = list(query);
    assert_int_equal(page.entries.n, 1);
    assert_int_equal(page.next, page.size);
    assert_proves("bob", page.size - 1, page.size);
    assert_proves("audra", 3, page.size);
    assert_tile(0, 80, 256);
    assert_tile(1, 0, 81);
}

/* A log that grew by more than is followed step by step is loaded anew. */
static void test_tree__loaded_anew(void **state)
{
    (void)state;
    fixture_append_many(s, 66000);
    fixture_publish(s);
    uint64_t size = chy_tlog_tree_size(s->tree);
    assert_proves("audra", 0, size);
    assert_proves("audra", size - 1, size);
    assert_proves("audra", 65536, size);
    assert_tile(1, 0, 256);
    assert_tile(2, 0, 1);
}

/* Entries so large that not all of them fit an answer: said so, and a partial bundle comes. */
static void test_entries__too_large(void **state)
{
    (void)state;
    static char host[8000];
    memset(host, 'h', sizeof host);
    struct chy_fact facts[8];
    for (size_t i = 0; i < CHY_ARRAY_LEN(facts); i++)
        facts[i] = (struct chy_fact){ CHY_STR("ci.x"), { host, sizeof host }, CHY_BASIS_DECLARED };
    struct chy_entry e = signature_entry(CHY_ENTRY_SIGN_INTENT, "bob", "large");
    e.facts.p = facts;
    e.facts.n = CHY_ARRAY_LEN(facts);
    while (chy_tlog_tree_size(s->tree) % 256 != 0)
        fixture_append_many(s, 1);
    uint64_t from = chy_tlog_tree_size(s->tree);
    for (int i = 0; i < 256; i++)
        fixture_append(s, e, NULL);
    fixture_publish(s);
    char path[64];
    struct chy_raw answer;
    snprintf(path, sizeof path, "%03d", (int)(from / 256));
    assert_int_equal(raw(CHY_OP_LOG_ENTRIES, "audra", path, &answer), CHY_E_LIMIT);
    assert_text("partial");
    snprintf(path, sizeof path, "%03d.p/100", (int)(from / 256));
    assert_bundle(path, from, 100);
    /* A page is cut where it would get too long for an answer. */
    struct chy_log_page page = list((struct chy_log_query){ .after = from, .limit = 1000 });
    assert_in_range(page.entries.n, 20, 60);
    assert_int_equal(page.next, from + page.entries.n);
}

/* An entry of a version to come is shown as what it is: bytes. */
static void test_list__entry_of_another_version(void **state)
{
    (void)state;
    struct chy_bytes bytes = chy_str_bytes(CHY_STR("from the future"));
    struct chy_tlog_hash leaf;
    uint64_t index = chy_tlog_tree_size(s->tree);
    assert_int_equal(chy_store_begin(s->store, NULL), CHY_OK);
    assert_int_equal(
        chy_store_log_append(s->store, index, bytes, (struct chy_bytes){ NULL, 0 }, NULL), CHY_OK);
    chy_tlog_leaf_hash(s->hasher, bytes, &leaf);
    assert_int_equal(chy_tlog_tree_append(s->tree, &leaf, NULL), CHY_OK);
    assert_int_equal(chy_store_commit(s->store, NULL), CHY_OK);
    fixture_publish(s);
    struct chy_log_page page = list((struct chy_log_query){ .after = index });
    assert_int_equal(page.entries.n, 1);
    assert_true(chy_bytes_equal(page.entries.p[0].entry, bytes));
    assert_non_null(strstr(chy_arena_str(&s->arena, page.entries.p[0].text).p, "cannot read"));
    assert_proves("audra", index, index + 1);
}

/* --- a store that is not the published log --- */

static void test_integrity(void **state)
{
    (void)state;
    struct chy_log_receipt r;
    struct chy_raw answer;
    uint64_t size = chy_tlog_tree_size(s->tree);
    fixture_publish_wrong(s, size, false);
    assert_int_equal(receipt("audra", 0, &r), CHY_E_INTEGRITY);
    assert_int_equal(raw(CHY_OP_LOG_TILE, NULL, "0/000", &answer), CHY_E_INTEGRITY);
    fixture_publish_wrong(s, size + 1, true);
    assert_int_equal(receipt("audra", 0, &r), CHY_E_INTEGRITY);
    assert_text("was published");
    /* Put right, it is served again. */
    fixture_publish(s);
    assert_proves("audra", 0, size);
    assert_int_equal(fixture_drain(s), 0);
}

int main(int argc, char **argv)
{
    int code = fixture_role(argc, argv);
    if (code >= 0)
        return code;
    if (kernel_skips_all())
        return 0;
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_receipt__not_covered_yet),
        TEST(test_list__filters),
        TEST(test_list__pages),
        TEST(test_list__newest_first),
        TEST(test_list__names_the_application),
        TEST(test_show),
        TEST(test_receipt__proves),
        TEST(test_receipt__of_others_is_not_there),
        TEST(test_checkpoint),
        TEST(test_tile),
        TEST(test_tile__not_there),
        TEST(test_entries),
        TEST(test_tiles__follow_the_checkpoint),
        TEST(test_export__independent_verifier),
        TEST(test_list__bounded_scan),
        TEST(test_tree__loaded_anew),
        TEST(test_entries__too_large),
        TEST(test_list__entry_of_another_version),
        TEST(test_integrity),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
