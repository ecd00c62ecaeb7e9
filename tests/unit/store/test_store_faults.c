/* SPDX-License-Identifier: MIT */
/* The n-th allocation, of ours or of SQLite's, or the n-th read, write, cut or sync of a file
 * fails, for every n: a store answers an error, keeps all that it said it has, and no half of a
 * batch. */
#include <stdatomic.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/mem.h"
#include "failing_io.h"
#include "store/anchor.h"
#include "store_fixture.h"

enum {
    BATCH = 5,       /* leaves of a transaction */
    STEPS_MAX = 5000 /* a sweep that does not end */
};

/* --- what fails --- */

static sqlite3_mem_methods sqlite_memory;
static atomic_size_t sqlite_left = SIZE_MAX;
static atomic_bool sqlite_has_failed;

static bool sqlite_may_allocate(void)
{
    size_t left = sqlite_left;
    if (left == SIZE_MAX)
        return true;
    if (left == 0) {
        sqlite_has_failed = true;
        return false;
    }
    sqlite_left = left - 1;
    return true;
}

static void *sqlite_malloc(int n)
{
    return sqlite_may_allocate() ? sqlite_memory.xMalloc(n) : NULL;
}

static void *sqlite_realloc(void *p, int n)
{
    return sqlite_may_allocate() ? sqlite_memory.xRealloc(p, n) : NULL;
}

/* Before SQLite is used: our allocator before its own. */
static int sqlite_set_up(void **state)
{
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK)
        return -1;
    sqlite3_mem_methods ours = sqlite_memory;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK ? 0 : -1;
}

enum fault {
    FAULT_MEMORY,
    FAULT_SQLITE_MEMORY,
    FAULT_IO_ONCE,
    FAULT_IO_EVER,
    FAULTS_,
};

static void fault_after(enum fault fault, size_t n)
{
    switch (fault) {
    case FAULT_MEMORY:
        chy_mem_fail_after(n);
        return;
    case FAULT_SQLITE_MEMORY:
        sqlite_has_failed = false;
        sqlite_left = n;
        return;
    case FAULT_IO_ONCE:
    case FAULT_IO_EVER:
    case FAULTS_:
        failing_io_after(n, fault == FAULT_IO_ONCE ? FAILING_IO_ONCE : FAILING_IO_EVER);
    }
}

/* Whether one was met; none from here on. */
static bool fault_end(enum fault fault)
{
    bool has_failed = chy_mem_has_failed() || sqlite_has_failed || failing_io_has_failed();
    fault_after(fault, SIZE_MAX);
    return has_failed;
}

/* --- what is done meanwhile --- */

struct done {
    uint64_t tried;     /* leaves of the last batch, and all before */
    uint64_t committed; /* leaves that the store said it has */
};

static struct chy_bytes leaf_of(uint64_t index, bool is_detail)
{
    static char text[2][600]; /* of some pages together */
    char *to = text[is_detail];
    memset(to, 'a' + (int)(index % 26), sizeof text[0]);
    snprintf(to, sizeof text[0], "%s %llu", is_detail ? "detail" : "entry",
             (unsigned long long)index);
    return (struct chy_bytes){ (const uint8_t *)to, sizeof text[0] };
}

static enum chy_err write_batch(struct chy_store *s, struct done *done, struct chy_error *err)
{
    static const uint8_t tile[CHY_STORE_TILE_BYTES] = { 1 };
    uint64_t size = 0;
    CHY_TRY(chy_store_begin(s, err));
    CHY_TRY(chy_store_log_size(s, &size, err));
    assert_true(size >= done->committed);
    done->tried = size + BATCH;
    for (uint64_t i = size; i < size + BATCH; i++)
        CHY_TRY(chy_store_log_append(s, i, leaf_of(i, false), leaf_of(i, true), err));
    CHY_TRY(chy_store_put(s, CHY_OBJECT_KEY, CHY_STR("k"), leaf_of(size, false), err));
    CHY_TRY(chy_store_tile_put(s, 0, size, (struct chy_bytes){ tile, sizeof tile }, err));
    CHY_TRY(chy_store_commit(s, err));
    done->committed = size + BATCH;
    return CHY_OK;
}

/* Each leaf is the one that was written, whole. */
static enum chy_err check_leaf(void *ctx, uint64_t index, struct chy_bytes entry,
                               struct chy_bytes detail, struct chy_error *err)
{
    (void)err;
    assert_int_equal(index, (*(uint64_t *)ctx)++);
    assert_true(chy_bytes_equal(entry, leaf_of(index, false)));
    assert_true(chy_bytes_equal(detail, leaf_of(index, true)));
    return CHY_OK;
}

static enum chy_err read_all(struct chy_store *s, struct chy_error *err)
{
    uint64_t count = 0;
    uint64_t size = 0;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_bytes entry;
    struct chy_bytes detail;
    uint8_t tile[CHY_STORE_TILE_BYTES];
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_store_log_size(s, &size, err));
    CHY_TRY(chy_store_log_walk(s, 0, UINT64_MAX, check_leaf, &count, err));
    assert_int_equal(count, size);
    CHY_TRY(chy_store_log_get(s, size - 1, &arena, &entry, &detail, err));
    assert_true(chy_bytes_equal(detail, leaf_of(size - 1, true)));
    CHY_TRY(chy_store_get(s, CHY_OBJECT_KEY, CHY_STR("k"), &arena, &entry, err));
    return chy_store_tile_get(s, 0, size - BATCH, tile, err);
}

static enum chy_err work(struct chy_store **store, const char *path, struct done *done,
                         struct chy_error *err)
{
    CHY_TRY(chy_store_open(path, CHY_STORE_WRITE, store, err));
    CHY_TRY(write_batch(*store, done, err));
    CHY_TRY(read_all(*store, err));
    CHY_TRY(write_batch(*store, done, err));
    return chy_store_maintain(*store, err);
}

static void check_integrity(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
    sqlite3_finalize(st);
    sqlite3_close(db);
}

/* Of the last batch all or nothing, of those before it all. */
static void check_kept(struct fixture *f, const struct done *done)
{
    uint64_t size = 0;
    check_integrity(f->path);
    assert_int_equal(chy_store_open(f->path, CHY_STORE_WRITE, &f->store, &f->err), CHY_OK);
    assert_int_equal(chy_store_log_size(f->store, &size, &f->err), CHY_OK);
    assert_true(size == done->committed || size == done->tried);
    assert_int_equal(read_all(f->store, &f->err), CHY_OK);
    chy_store_closep(&f->store);
}

/* The store as it was after the first batch. */
static void start_anew(const struct fixture *f)
{
    static char bytes[1 << 20];
    FILE *in = fopen(f->other, "rb");
    FILE *out = fopen(f->path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t n = fread(bytes, 1, sizeof bytes, in);
    assert_true(n > 0 && n < sizeof bytes);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

static void test_store__every_step_fails(void **state)
{
    struct fixture *f = *state;
    struct done first = { 0 };
    assert_int_equal(write_batch(f->store, &first, &f->err), CHY_OK);
    chy_store_closep(&f->store);
    assert_int_equal(rename(f->path, f->other), 0);
    for (enum fault fault = 0; fault < FAULTS_; fault++) {
        size_t n = 0;
        for (bool has_failed = true; has_failed; n++) {
            struct done done = first;
            assert_true(n < STEPS_MAX);
            start_anew(f);
            fault_after(fault, n);
            enum chy_err r = work(&f->store, f->path, &done, &f->err);
            chy_store_closep(&f->store); /* while it still fails */
            has_failed = fault_end(fault);
            assert_true(r == CHY_OK || (has_failed && (r == CHY_E_STORE || r == CHY_E_NOMEM)));
            check_kept(f, &done);
            store_remove(f, "store.db");
        }
        assert_true(n > 1);
    }
}

/* What a commit said is on the disk, and not only with the kernel: each syncs, and says when that
 * fails. */
static void test_store_commit__is_synced(void **state)
{
    struct fixture *f = *state;
    struct done done = { 0 };
    assert_int_equal(write_batch(f->store, &done, &f->err), CHY_OK);
    for (size_t i = 0; i < 3; i++) {
        failing_io_after(0, FAILING_IO_SYNC);
        enum chy_err r = write_batch(f->store, &done, &f->err);
        assert_true(failing_io_has_failed());
        assert_int_equal(r, CHY_E_STORE);
        chy_store_abort(f->store);
        assert_int_equal(write_batch(f->store, &done, &f->err), CHY_OK);
    }
}

/* Each checkpoint that was said to be written is the newest; one that was not is that, or the one
 * before it. */
static void test_anchor_write__every_step_fails(void **state)
{
    struct fixture *f = *state;
    struct chy_anchor *a = NULL;
    bool has_failed = true;
    assert_int_equal(chy_anchor_open(f->other, true, &a, &f->err), CHY_OK);
    assert_int_equal(chy_anchor_write(a, leaf_of(STEPS_MAX, false), &f->err), CHY_OK);
    chy_anchor_closep(&a);
    for (size_t n = 0; has_failed; n++) {
        struct chy_bytes old;
        struct chy_bytes note;
        assert_true(n < STEPS_MAX);
        assert_int_equal(chy_anchor_open(f->other, true, &a, &f->err), CHY_OK);
        assert_int_equal(chy_anchor_read(a, &f->arena, &old, &f->err), CHY_OK);
        failing_io_after(n, FAILING_IO_ONCE);
        enum chy_err r = chy_anchor_write(a, leaf_of(n, false), &f->err);
        has_failed = failing_io_has_failed();
        failing_io_after(SIZE_MAX, FAILING_IO_ONCE);
        assert_int_equal(r, has_failed ? CHY_E_IO : CHY_OK);
        chy_anchor_closep(&a);
        assert_int_equal(chy_anchor_open(f->other, false, &a, &f->err), CHY_OK);
        assert_int_equal(chy_anchor_read(a, &f->arena, &note, &f->err), CHY_OK);
        chy_anchor_closep(&a);
        assert_true(chy_bytes_equal(note, leaf_of(n, false)) ||
                    (has_failed && chy_bytes_equal(note, old)));
        assert_true(has_failed || n >= 2); /* a write and a sync, at least */
    }
}

/* A store that could not be made is either none, or one that can be used. */
static void test_store_open__creation_fails_at_every_step(void **state)
{
    struct fixture *f = *state;
    for (enum fault fault = 0; fault < FAULTS_; fault++) {
        size_t n = 0;
        for (bool has_failed = true; has_failed; n++) {
            struct chy_store *s = NULL;
            assert_true(n < STEPS_MAX);
            fault_after(fault, n);
            enum chy_err r = chy_store_open(f->other, CHY_STORE_CREATE, &s, &f->err);
            chy_store_closep(&s);
            has_failed = fault_end(fault);
            assert_true(r == CHY_OK || (has_failed && (r == CHY_E_STORE || r == CHY_E_NOMEM)));
            enum chy_err again = chy_store_open(f->other, CHY_STORE_WRITE, &s, &f->err);
            assert_true(again == CHY_OK ||
                        (r != CHY_OK && (again == CHY_E_STORE || again == CHY_E_NOT_FOUND)));
            chy_store_closep(&s);
            store_remove(f, "other.db");
        }
    }
}

/* A copy that was said to be made has everything. */
static void test_store_copy__every_step_fails(void **state)
{
    struct fixture *f = *state;
    struct done done = { 0 };
    assert_int_equal(write_batch(f->store, &done, &f->err), CHY_OK);
    for (enum fault fault = FAULT_SQLITE_MEMORY; fault < FAULTS_; fault++) {
        size_t n = 0;
        for (bool has_failed = true; has_failed; n++) {
            struct chy_store *s = NULL;
            assert_true(n < STEPS_MAX);
            fault_after(fault, n);
            enum chy_err r = chy_store_copy(f->store, f->other, &f->err);
            has_failed = fault_end(fault);
            assert_true(r == CHY_OK || (has_failed && r == CHY_E_STORE));
            if (r == CHY_OK) {
                assert_int_equal(chy_store_open(f->other, CHY_STORE_READ, &s, &f->err), CHY_OK);
                assert_int_equal(read_all(s, &f->err), CHY_OK);
            }
            chy_store_closep(&s);
            store_remove(f, "other.db");
        }
        assert_true(n > 1);
        assert_int_equal(read_all(f->store, &f->err), CHY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_store__every_step_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_commit__is_synced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_anchor_write__every_step_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_open__creation_fails_at_every_step, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_store_copy__every_step_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, sqlite_set_up, NULL);
}
