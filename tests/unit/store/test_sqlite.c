/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include <sqlite3.h>

#include "store_fixture.h"

static void append(struct fixture *f, uint64_t index, const char *entry)
{
    assert_int_equal(chy_store_log_append(f->store, index, text_bytes(entry),
                                          (struct chy_bytes){ NULL, 0 }, &f->err),
                     CHY_OK);
}

static void reopen(struct fixture *f, enum chy_store_mode mode)
{
    chy_store_closep(&f->store);
    assert_int_equal(chy_store_open(f->path, mode, &f->store, &f->err), CHY_OK);
}

/* --- opening --- */

static void test_store_open__refuses_to_make_a_second_one(void **state)
{
    struct fixture *f = *state;
    struct chy_store *s = NULL;
    assert_int_equal(chy_store_open(f->path, CHY_STORE_CREATE, &s, &f->err), CHY_E_EXISTS);
    assert_null(s);
}

static void test_store_open__says_that_there_is_none(void **state)
{
    struct fixture *f = *state;
    struct chy_store *s = NULL;
    assert_int_equal(chy_store_open(f->other, CHY_STORE_WRITE, &s, &f->err), CHY_E_NOT_FOUND);
    assert_int_equal(chy_store_open(f->other, CHY_STORE_READ, &s, &f->err), CHY_E_NOT_FOUND);
    assert_int_not_equal(access(f->other, F_OK), 0);
}

static void raw_exec(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_store_open__refuses_a_newer_version(void **state)
{
    struct fixture *f = *state;
    struct chy_store *s = NULL;
    chy_store_closep(&f->store);
    raw_exec(f->path, "PRAGMA user_version = 9999");
    assert_int_equal(chy_store_open(f->path, CHY_STORE_WRITE, &s, &f->err), CHY_E_UNSUPPORTED);
    assert_non_null(strstr(f->err.text, "newer chanceryd"));
}

static void test_store_open__refuses_a_foreign_database(void **state)
{
    struct fixture *f = *state;
    struct chy_store *s = NULL;
    raw_exec(f->other, "CREATE TABLE mine (x)");
    assert_int_equal(chy_store_open(f->other, CHY_STORE_WRITE, &s, &f->err), CHY_E_STORE);
    assert_non_null(strstr(f->err.text, "no Chancery store"));
}

static void test_store_open__refuses_bytes_that_are_no_database(void **state)
{
    struct fixture *f = *state;
    struct chy_store *s = NULL;
    FILE *file = fopen(f->other, "w");
    assert_non_null(file);
    for (int i = 0; i < 4096; i++)
        fputs("not a database ", file);
    fclose(file);
    assert_int_equal(chy_store_open(f->other, CHY_STORE_WRITE, &s, &f->err), CHY_E_STORE);
}

static off_t wal_bytes(const struct fixture *f)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", f->path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* As a process leaves it that was killed, or ended because a commit had failed. */
static void test_store_open__trusts_nothing_of_an_old_write_ahead_file(void **state)
{
    struct fixture *f = *state;
    struct chy_store *next = NULL;
    uint64_t size = 0;
    begin(f);
    append(f, 0, "a");
    commit(f);
    assert_true(wal_bytes(f) > 0);
    assert_int_equal(chy_store_open(f->path, CHY_STORE_WRITE, &next, &f->err), CHY_OK);
    assert_int_equal(wal_bytes(f), 0);
    assert_int_equal(chy_store_log_size(next, &size, &f->err), CHY_OK);
    assert_int_equal(size, 1);
    chy_store_close(next);
}

static void test_store_open__says_that_a_reader_does_not_end(void **state)
{
    struct fixture *f = *state;
    struct chy_store *next = NULL;
    sqlite3 *reader = NULL;
    assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM leaf", NULL, NULL, NULL),
                     SQLITE_OK);
    begin(f);
    append(f, 0, "behind what the reader sees");
    commit(f);
    assert_int_equal(chy_store_open(f->path, CHY_STORE_WRITE, &next, &f->err), CHY_E_STORE);
    assert_non_null(strstr(f->err.text, "reading the store"));
    sqlite3_close(reader);
    assert_int_equal(chy_store_open(f->path, CHY_STORE_WRITE, &next, &f->err), CHY_OK);
    chy_store_close(next);
}

/* --- transactions --- */

static void test_store_commit__keeps_and_abort_drops(void **state)
{
    struct fixture *f = *state;
    uint64_t size = 0;
    begin(f);
    append(f, 0, "kept");
    commit(f);
    begin(f);
    append(f, 1, "dropped");
    chy_store_abort(f->store);
    reopen(f, CHY_STORE_WRITE);
    assert_int_equal(chy_store_log_size(f->store, &size, &f->err), CHY_OK);
    assert_int_equal(size, 1);
}

static void test_store_begin__is_not_nested(void **state)
{
    struct fixture *f = *state;
    begin(f);
    assert_int_equal(chy_store_begin(f->store, &f->err), CHY_E_STATE);
    chy_store_abort(f->store);
    chy_store_abort(f->store); /* does nothing */
    assert_int_equal(chy_store_commit(f->store, &f->err), CHY_E_STATE);
}

static void test_store__changes_only_within_a_writing_transaction(void **state)
{
    struct fixture *f = *state;
    struct chy_bytes b = text_bytes("x");
    struct chy_bytes none = { NULL, 0 };
    uint8_t tile[CHY_STORE_TILE_BYTES] = { 0 };
    assert_int_equal(chy_store_log_append(f->store, 0, b, none, &f->err), CHY_E_STATE);
    assert_int_equal(chy_store_put(f->store, CHY_OBJECT_KEY, CHY_STR("k"), b, &f->err),
                     CHY_E_STATE);
    assert_int_equal(chy_store_delete(f->store, CHY_OBJECT_KEY, CHY_STR("k"), &f->err),
                     CHY_E_STATE);
    assert_int_equal(
        chy_store_tile_put(f->store, 0, 0, (struct chy_bytes){ tile, sizeof tile }, &f->err),
        CHY_E_STATE);
    reopen(f, CHY_STORE_READ);
    begin(f);
    assert_int_equal(chy_store_log_append(f->store, 0, b, none, &f->err), CHY_E_STATE);
    chy_store_abort(f->store);
    assert_int_equal(chy_store_maintain(f->store, &f->err), CHY_E_STATE);
}

/* --- the log --- */

static void test_store_log_append__takes_only_the_next_index(void **state)
{
    struct fixture *f = *state;
    struct chy_bytes none = { NULL, 0 };
    begin(f);
    assert_int_equal(chy_store_log_append(f->store, 1, text_bytes("a"), none, &f->err),
                     CHY_E_CONFLICT);
    append(f, 0, "a");
    assert_int_equal(chy_store_log_append(f->store, 0, text_bytes("b"), none, &f->err),
                     CHY_E_CONFLICT);
    append(f, 1, "b");
    commit(f);
}

static void test_store_log_append__has_a_limit(void **state)
{
    struct fixture *f = *state;
    static const uint8_t big[CHY_LIMIT_ENTRY + 1] = { 1 };
    struct chy_bytes at = { big, CHY_LIMIT_ENTRY };
    struct chy_bytes past = { big, CHY_LIMIT_ENTRY + 1 };
    begin(f);
    assert_int_equal(chy_store_log_append(f->store, 0, at, at, &f->err), CHY_OK);
    assert_int_equal(chy_store_log_append(f->store, 1, past, at, &f->err), CHY_E_LIMIT);
    assert_int_equal(chy_store_log_append(f->store, 1, at, past, &f->err), CHY_E_LIMIT);
    commit(f);
}

static void test_store_log_get__gives_entry_and_detail(void **state)
{
    struct fixture *f = *state;
    struct chy_bytes entry;
    struct chy_bytes detail;
    begin(f);
    assert_int_equal(
        chy_store_log_append(f->store, 0, text_bytes("entry"), text_bytes("detail"), &f->err),
        CHY_OK);
    append(f, 1, "alone");
    commit(f);
    assert_int_equal(chy_store_log_get(f->store, 0, &f->arena, &entry, &detail, &f->err), CHY_OK);
    assert_true(chy_bytes_equal(entry, text_bytes("entry")));
    assert_true(chy_bytes_equal(detail, text_bytes("detail")));
    assert_int_equal(chy_store_log_get(f->store, 1, &f->arena, &entry, &detail, &f->err), CHY_OK);
    assert_int_equal(detail.n, 0);
    assert_int_equal(chy_store_log_get(f->store, 2, &f->arena, &entry, NULL, &f->err),
                     CHY_E_NOT_FOUND);
    assert_int_equal(chy_store_log_get(f->store, UINT64_MAX, &f->arena, &entry, NULL, &f->err),
                     CHY_E_NOT_FOUND);
}

struct walked {
    uint64_t first;
    size_t n;
    enum chy_err answer;
    size_t stop_after;
};

static enum chy_err walk_leaf(void *ctx, uint64_t index, struct chy_bytes entry,
                              struct chy_bytes detail, struct chy_error *err)
{
    struct walked *w = ctx;
    (void)entry;
    (void)detail;
    (void)err;
    w->first = w->n == 0 ? index : w->first;
    w->n++;
    return w->n == w->stop_after ? w->answer : CHY_OK;
}

static void test_store_log_walk__goes_in_order_and_stops(void **state)
{
    struct fixture *f = *state;
    begin(f);
    for (uint64_t i = 0; i < 10; i++)
        append(f, i, "leaf");
    commit(f);
    struct walked all = { 0 };
    assert_int_equal(chy_store_log_walk(f->store, 3, 100, walk_leaf, &all, &f->err), CHY_OK);
    assert_int_equal(all.first, 3);
    assert_int_equal(all.n, 7);
    struct walked some = { 0 };
    assert_int_equal(chy_store_log_walk(f->store, 0, 4, walk_leaf, &some, &f->err), CHY_OK);
    assert_int_equal(some.n, 4);
    struct walked stopped = { .answer = CHY_E_EXISTS, .stop_after = 2 };
    assert_int_equal(chy_store_log_walk(f->store, 0, 10, walk_leaf, &stopped, &f->err), CHY_OK);
    assert_int_equal(stopped.n, 2);
    struct walked broken = { .answer = CHY_E_NOMEM, .stop_after = 2 };
    assert_int_equal(chy_store_log_walk(f->store, 0, 10, walk_leaf, &broken, &f->err), CHY_E_NOMEM);
    struct walked none = { 0 };
    assert_int_equal(chy_store_log_walk(f->store, UINT64_MAX, 1, walk_leaf, &none, &f->err),
                     CHY_OK);
    assert_int_equal(none.n, 0);
    struct walked back = { 0 };
    assert_int_equal(chy_store_log_walk_back(f->store, 7, 3, walk_leaf, &back, &f->err), CHY_OK);
    assert_int_equal(back.first, 6);
    assert_int_equal(back.n, 3);
    back = (struct walked){ 0 };
    assert_int_equal(chy_store_log_walk_back(f->store, UINT64_MAX, 100, walk_leaf, &back, &f->err),
                     CHY_OK);
    assert_int_equal(back.first, 9);
    assert_int_equal(back.n, 10);
    assert_int_equal(chy_store_log_walk_back(f->store, 0, 1, walk_leaf, &none, &f->err), CHY_OK);
    assert_int_equal(none.n, 0);
}

static void test_store_tile__comes_back_whole(void **state)
{
    struct fixture *f = *state;
    static uint8_t tile[CHY_STORE_TILE_BYTES];
    static uint8_t back[CHY_STORE_TILE_BYTES];
    for (size_t i = 0; i < sizeof tile; i++)
        tile[i] = (uint8_t)(i * 7);
    begin(f);
    assert_int_equal(
        chy_store_tile_put(f->store, 1, 5, (struct chy_bytes){ tile, sizeof tile }, &f->err),
        CHY_OK);
    assert_int_equal(
        chy_store_tile_put(f->store, 1, 6, (struct chy_bytes){ tile, sizeof tile - 1 }, &f->err),
        CHY_E_ARG);
    commit(f);
    assert_int_equal(chy_store_tile_get(f->store, 1, 5, back, &f->err), CHY_OK);
    assert_memory_equal(tile, back, sizeof tile);
    assert_int_equal(chy_store_tile_get(f->store, 0, 5, back, &f->err), CHY_E_NOT_FOUND);
}

/* --- objects --- */

static enum chy_err collect(void *ctx, struct chy_str name, struct chy_bytes body,
                            struct chy_error *err)
{
    struct chy_buf *names = ctx;
    (void)body;
    (void)err;
    chy_buf_append_str(names, name);
    chy_buf_append_c(names, " ");
    return CHY_OK;
}

static void test_store_objects__are_put_replaced_walked_and_deleted(void **state)
{
    struct fixture *f = *state;
    struct chy_buf names;
    struct chy_bytes body;
    chy_buf_init(&names, 64);
    begin(f);
    assert_int_equal(
        chy_store_put(f->store, CHY_OBJECT_KEY, CHY_STR("b"), text_bytes("1"), &f->err), CHY_OK);
    assert_int_equal(
        chy_store_put(f->store, CHY_OBJECT_KEY, CHY_STR("a"), text_bytes("2"), &f->err), CHY_OK);
    assert_int_equal(
        chy_store_put(f->store, CHY_OBJECT_USER, CHY_STR("c"), text_bytes("3"), &f->err), CHY_OK);
    assert_int_equal(
        chy_store_put(f->store, CHY_OBJECT_KEY, CHY_STR("b"), text_bytes("4"), &f->err), CHY_OK);
    commit(f);
    assert_int_equal(
        chy_store_walk(f->store, CHY_OBJECT_KEY, CHY_STR(""), collect, &names, &f->err), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&names), "a b "));
    chy_buf_clear(&names);
    assert_int_equal(
        chy_store_walk(f->store, CHY_OBJECT_KEY, CHY_STR("a"), collect, &names, &f->err), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&names), "b "));
    assert_int_equal(
        chy_store_walk(f->store, CHY_OBJECT_KEY, CHY_STR("b"), collect, &names, &f->err), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&names), "b "));
    chy_buf_done(&names);
    assert_int_equal(
        chy_store_get(f->store, CHY_OBJECT_KEY, CHY_STR("b"), &f->arena, &body, &f->err), CHY_OK);
    assert_true(chy_bytes_equal(body, text_bytes("4")));
    begin(f);
    assert_int_equal(chy_store_delete(f->store, CHY_OBJECT_KEY, CHY_STR("b"), &f->err), CHY_OK);
    assert_int_equal(chy_store_delete(f->store, CHY_OBJECT_KEY, CHY_STR("b"), &f->err),
                     CHY_E_NOT_FOUND);
    commit(f);
    assert_int_equal(
        chy_store_get(f->store, CHY_OBJECT_KEY, CHY_STR("b"), &f->arena, &body, &f->err),
        CHY_E_NOT_FOUND);
}

/* --- two connections, upkeep, copies --- */

static void test_store_read__sees_one_view_while_another_writes(void **state)
{
    struct fixture *f = *state;
    struct chy_store *reader = NULL;
    uint64_t size = 0;
    begin(f);
    append(f, 0, "a");
    commit(f);
    assert_int_equal(chy_store_open(f->path, CHY_STORE_READ, &reader, &f->err), CHY_OK);
    assert_int_equal(chy_store_begin(reader, &f->err), CHY_OK);
    assert_int_equal(chy_store_log_size(reader, &size, &f->err), CHY_OK);
    begin(f);
    append(f, 1, "b");
    commit(f);
    assert_int_equal(chy_store_log_size(reader, &size, &f->err), CHY_OK);
    assert_int_equal(size, 1);
    chy_store_abort(reader);
    assert_int_equal(chy_store_log_size(reader, &size, &f->err), CHY_OK);
    assert_int_equal(size, 2);
    chy_store_close(reader);
}

static void test_store_maintain__folds_a_grown_log_back(void **state)
{
    struct fixture *f = *state;
    static const uint8_t big[60000] = { 1 };
    char wal[128];
    struct stat before;
    struct stat after;
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    /* 4,000 pages are 16 MB; each round writes more than 60 kB */
    for (int round = 0; round < 3; round++)
        for (uint64_t i = 0; i < 300; i++) {
            char name[32];
            snprintf(name, sizeof name, "%d-%llu", round, (unsigned long long)i);
            begin(f);
            assert_int_equal(chy_store_put(f->store, CHY_OBJECT_META, chy_str_of(name),
                                           (struct chy_bytes){ big, sizeof big }, &f->err),
                             CHY_OK);
            commit(f);
            assert_int_equal(chy_store_maintain(f->store, &f->err), CHY_OK);
            if (round == 1 && i == 0)
                assert_int_equal(stat(wal, &before), 0);
        }
    assert_int_equal(stat(wal, &after), 0);
    /* 900 objects are 54 MB: without folding the log would be as long */
    assert_true(after.st_size < 40 * 1000 * 1000);
    assert_true(before.st_size > 0);
}

static void test_store_copy__is_a_store_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct chy_store *copy = NULL;
    uint64_t size = 0;
    begin(f);
    append(f, 0, "a");
    commit(f);
    assert_int_equal(chy_store_copy(f->store, f->other, &f->err), CHY_OK);
    assert_int_equal(chy_store_copy(f->store, f->other, &f->err), CHY_E_EXISTS);
    assert_int_equal(chy_store_open(f->other, CHY_STORE_WRITE, &copy, &f->err), CHY_OK);
    assert_int_equal(chy_store_log_size(copy, &size, &f->err), CHY_OK);
    assert_int_equal(size, 1);
    chy_store_close(copy);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_store_open__refuses_to_make_a_second_one),
        T(test_store_open__says_that_there_is_none),
        T(test_store_open__refuses_a_newer_version),
        T(test_store_open__refuses_a_foreign_database),
        T(test_store_open__refuses_bytes_that_are_no_database),
        T(test_store_open__trusts_nothing_of_an_old_write_ahead_file),
        T(test_store_open__says_that_a_reader_does_not_end),
        T(test_store_commit__keeps_and_abort_drops),
        T(test_store_begin__is_not_nested),
        T(test_store__changes_only_within_a_writing_transaction),
        T(test_store_log_append__takes_only_the_next_index),
        T(test_store_log_append__has_a_limit),
        T(test_store_log_get__gives_entry_and_detail),
        T(test_store_log_walk__goes_in_order_and_stops),
        T(test_store_tile__comes_back_whole),
        T(test_store_objects__are_put_replaced_walked_and_deleted),
        T(test_store_read__sees_one_view_while_another_writes),
        T(test_store_maintain__folds_a_grown_log_back),
        T(test_store_copy__is_a_store_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
