/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_export.h"
#include "os/file.h"
#include "temp_dir.h"

static struct export e;
static struct temp_dir dir;

static int setup(void **state)
{
    (void)state;
    export_init(&e);
    export_add_usual(&e);
    export_add_pairs(&e, 150);
    export_write(&e, e.n);
    temp_dir_make(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    export_done(&e);
    temp_dir_remove(&dir);
    return 0;
}

static void test_path__forms(void **state)
{
    (void)state;
    char path[CHY_LOG_PATH_BYTES];
    struct chy_tlog_tile tile = { .level = CHY_TLOG_ENTRIES, .index = 1234067, .width = 5 };
    assert_int_equal(chy_log_path(&tile, false, path, NULL), CHY_OK);
    assert_string_equal(path, "tile/entries/x001/x234/067.p/5");
    assert_int_equal(chy_log_path(&tile, true, path, NULL), CHY_OK);
    assert_string_equal(path, "details/x001/x234/067.p/5");
    tile = (struct chy_tlog_tile){ .level = 1, .index = 0, .width = 256 };
    assert_int_equal(chy_log_path(&tile, false, path, NULL), CHY_OK);
    assert_string_equal(path, "tile/1/000");
}

/* What is copied verifies from the folder, and holds the same bytes. */
static void test_copy__verifies(void **state)
{
    (void)state;
    struct chy_log_source from = export_source(&e);
    struct chy_log_copied copied;
    assert_int_equal(chy_log_copy(&from, dir.fd, &copied, NULL), CHY_OK);
    assert_int_equal(copied.entries, 305);
    assert_int_equal(copied.files, e.n_files);
    for (size_t i = 0; i < e.n_files; i++) {
        CHY_CLEANUP(chy_buf_done) struct chy_buf content;
        chy_buf_init(&content, (size_t)1 << 20);
        assert_int_equal(chy_file_read(dir.fd, e.files[i].path, &content, NULL), CHY_OK);
        assert_true(chy_bytes_equal(chy_buf_bytes(&content), chy_buf_bytes(&e.files[i].content)));
    }
    struct chy_log_folder folder = { dir.fd };
    static struct chy_log_report report;
    struct chy_log_check check = { .source = chy_log_folder_source(&folder),
                                   .keys = &e.key,
                                   .n_keys = 1 };
    assert_int_equal(chy_log_verify(&check, &report, NULL), CHY_OK);
    assert_true(report.is_verified);
    /* Again over what is there. */
    assert_int_equal(chy_log_copy(&from, dir.fd, &copied, NULL), CHY_OK);
}

static void test_copy__no_checkpoint_without_files(void **state)
{
    (void)state;
    struct chy_log_source from = export_source(&e);
    struct chy_log_copied copied;
    export_remove(&e, "details/001.p/49");
    assert_int_equal(chy_log_copy(&from, dir.fd, &copied, NULL), CHY_E_NOT_FOUND);
    assert_int_not_equal(faccessat(dir.fd, "checkpoint", F_OK, 0), 0);
}

static void test_copy__malformed_checkpoint(void **state)
{
    (void)state;
    struct chy_log_source from = export_source(&e);
    struct chy_log_copied copied;
    chy_buf_clear(&export_find(&e, "checkpoint")->content);
    assert_int_equal(chy_log_copy(&from, dir.fd, &copied, NULL), CHY_E_MALFORMED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_path__forms),
        T(test_copy__verifies),
        T(test_copy__no_checkpoint_without_files),
        T(test_copy__malformed_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
