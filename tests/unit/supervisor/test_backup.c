/* SPDX-License-Identifier: MIT */
/* Init, backup and restore of a server that does not run, with every allocation failed in turn.
 * What comes of a copy of one that runs is seen by tests/system/test_backup.py. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/mem.h"
#include "crypto/init.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/tree.h"
#include "supervisor/backup.h"
#include "supervisor/init.h"
#include "supervisor/manifest.h"

#define PATH_BYTES 128

struct place {
    char folder[64];
    char data[PATH_BYTES];
    char copy[PATH_BYTES];
    char again[PATH_BYTES];
    struct chy_arena arena;
};

static int place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    struct chy_init_result made;
    struct chy_error error;
    snprintf(p->folder, sizeof p->folder, "/tmp/chancery-backup-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->data, sizeof p->data, "%s/data", p->folder);
    snprintf(p->copy, sizeof p->copy, "%s/copy", p->folder);
    snprintf(p->again, sizeof p->again, "%s/again", p->folder);
    chy_arena_init(&p->arena, CHY_BACKUP_ARENA);
    struct chy_init_options options = { .data = p->data };
    if (chy_init(&options, &p->arena, &made, &error) != CHY_OK)
        fail_msg("%s", error.text);
    *state = p;
    return 0;
}

static int place_drop(void **state)
{
    struct place *p = *state;
    assert_int_equal(chy_tree_remove(AT_FDCWD, p->folder, false, NULL), CHY_OK);
    chy_arena_done(&p->arena);
    free(p);
    return 0;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void test_backup__and_restore(void **state)
{
    struct place *p = *state;
    struct chy_backup_result copied;
    struct chy_restore_result restored;
    assert_int_equal(chy_backup(NULL, p->data, p->copy, &p->arena, &copied, NULL), CHY_OK);
    assert_true(copied.files >= 8);
    assert_int_equal(copied.left_out.n, 0);
    assert_int_equal(chy_restore(p->copy, p->again, &p->arena, &restored, NULL), CHY_OK);
    assert_int_equal(restored.files, copied.files);
    assert_int_equal(restored.problem.n, 0);
    assert_string_equal(restored.data.p, p->again);
    /* SoftHSM looks in the new place. */
    CHY_CLEANUP(chy_buf_done) struct chy_buf conf;
    char path[2 * PATH_BYTES];
    char expected[2 * PATH_BYTES];
    chy_buf_init(&conf, 65536);
    snprintf(path, sizeof path, "%s/tokens/soft/softhsm2.conf", p->again);
    snprintf(expected, sizeof expected, "directories.tokendir = %s/tokens/soft/tokens\n", p->again);
    assert_int_equal(chy_file_read(AT_FDCWD, path, &conf, NULL), CHY_OK);
    chy_buf_append_u8(&conf, '\0');
    assert_non_null(strstr((const char *)conf.p, expected));
    assert_null(strstr((const char *)conf.p, p->data));
}

/* Either it is whole, or nothing of it is left. */
static void test_init__every_allocation_may_fail(void **state)
{
    struct place *p = *state;
    enum chy_err r = CHY_E_NOMEM;
    /* SoftHSM's part takes half a second and fails in a child; the rest has some 120
     * allocations. */
    for (size_t n = 0; r != CHY_OK; n += 7) {
        CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
        struct chy_init_options options = { .data = p->again };
        struct chy_init_result made;
        assert_true(n < 3000);
        chy_arena_init(&arena, 1048576);
        chy_mem_fail_after(n);
        r = chy_init(&options, &arena, &made, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(exists(p->again), r == CHY_OK);
    }
}

static void test_backup__every_allocation_may_fail(void **state)
{
    struct place *p = *state;
    enum chy_err r = CHY_E_NOMEM;
    for (size_t n = 0; r != CHY_OK; n++) {
        CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
        struct chy_backup_result copied;
        assert_true(n < 3000);
        chy_arena_init(&arena, CHY_BACKUP_ARENA);
        chy_mem_fail_after(n);
        r = chy_backup(NULL, p->data, p->copy, &arena, &copied, NULL);
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(exists(p->copy), r == CHY_OK);
    }
}

static void test_restore__every_allocation_may_fail(void **state)
{
    struct place *p = *state;
    struct chy_backup_result copied;
    enum chy_err r = CHY_E_NOMEM;
    assert_int_equal(chy_backup(NULL, p->data, p->copy, &p->arena, &copied, NULL), CHY_OK);
    for (size_t n = 0; r != CHY_OK; n++) {
        CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
        struct chy_restore_result restored;
        assert_true(n < 3000);
        chy_arena_init(&arena, CHY_BACKUP_ARENA);
        chy_mem_fail_after(n);
        r = chy_restore(p->copy, p->again, &arena, &restored, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(exists(p->again), r == CHY_OK);
        /* The last check may fail and be told as a problem. */
        assert_true(r != CHY_OK || !has_failed || restored.problem.n > 0);
        if (r == CHY_OK && has_failed) {
            assert_int_equal(chy_tree_remove(AT_FDCWD, p->again, false, NULL), CHY_OK);
            r = CHY_E_NOMEM;
        }
    }
}

/* --- the manifest --- */

static enum chy_err manifest_try(const struct place *p, const char *text, struct manifest *m,
                                 struct chy_arena *arena)
{
    CHY_CLEANUP(chy_fd_closep) int dir = -1;
    assert_int_equal(chy_dir_open(AT_FDCWD, p->folder, &dir, NULL), CHY_OK);
    assert_int_equal(
        chy_file_replace(dir, MANIFEST_NAME, chy_str_bytes(chy_str_of(text)), 0600, NULL), CHY_OK);
    return manifest_read(dir, arena, m, NULL);
}

#define ZEROS              "0000000000000000000000000000000000000000000000000000000000000000"
#define FILE_OF(path)      "{\"path\": \"" path "\", \"size_bytes\": 1, \"sha256\": \"" ZEROS "\"}"
#define TIME_OF            "\"created\": \"2026-11-21T00:00:00Z\", "
#define HEAD_OF            "{\"format\": 1, \"version\": \"1\", " TIME_OF
#define MANIFEST_OF(files) HEAD_OF "\"files\": [" files "]}"

static void test_manifest_read__paths_stay_inside(void **state)
{
    static const struct {
        const char *text;
        enum chy_err expected;
    } cases[] = {
        { MANIFEST_OF(FILE_OF("a")), CHY_OK },
        { MANIFEST_OF(FILE_OF("a/b.c")), CHY_OK },
        { MANIFEST_OF(FILE_OF("..a/b..")), CHY_OK },
        { MANIFEST_OF(FILE_OF("a") "," FILE_OF("b")), CHY_OK },
        { MANIFEST_OF(FILE_OF("/a")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("a/")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("..")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("a/../b")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("./a")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("a//b")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("b") "," FILE_OF("a")), CHY_E_MALFORMED },
        { MANIFEST_OF(FILE_OF("a") "," FILE_OF("a")), CHY_E_MALFORMED },
        { "{\"format\": 2, \"what\": \"later\"}", CHY_E_UNSUPPORTED },
        { "{\"format\": 1}", CHY_E_MALFORMED },
        { "", CHY_E_MALFORMED },
    };
    struct place *p = *state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct manifest m;
        enum chy_err r = manifest_try(p, cases[i].text, &m, &p->arena);
        if (r != cases[i].expected)
            fail_msg("%s: %s", cases[i].text, chy_err_name(r));
    }
}

static void test_manifest_find(void **state)
{
    struct place *p = *state;
    struct manifest m;
    assert_int_equal(manifest_try(p,
                                  MANIFEST_OF(FILE_OF("a") "," FILE_OF("a-b") "," FILE_OF("a/b")),
                                  &m, &p->arena),
                     CHY_OK);
    assert_ptr_equal(manifest_find(&m, CHY_STR("a")), &m.files.p[0]);
    assert_ptr_equal(manifest_find(&m, CHY_STR("a/b")), &m.files.p[2]);
    assert_null(manifest_find(&m, CHY_STR("b")));
    assert_null(manifest_find(&m, CHY_STR("")));
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_backup__and_restore),
        PLACE_TEST(test_init__every_allocation_may_fail),
        PLACE_TEST(test_backup__every_allocation_may_fail),
        PLACE_TEST(test_restore__every_allocation_may_fail),
        PLACE_TEST(test_manifest_read__paths_stay_inside),
        PLACE_TEST(test_manifest_find),
    };
    if (chy_crypto_init(NULL) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
