/* SPDX-License-Identifier: MIT */
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

#include "base/limits.h"
#include "base/mem.h"
#include "kernel_fixture.h"
#include "os/capability.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "os/tree.h"
#include "os/user.h"

#define SEEN_BYTES 4096

struct folder {
    char path[64];
    int fd;
};

static int folder_make(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->path, sizeof f->path, "/tmp/chancery-tree-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->fd = -1;
    assert_int_equal(chy_dir_open(AT_FDCWD, f->path, &f->fd, NULL), CHY_OK);
    *state = f;
    return 0;
}

static int folder_drop(void **state)
{
    struct folder *f = *state;
    chy_fd_closep(&f->fd);
    assert_int_equal(chy_tree_remove(AT_FDCWD, f->path, false, NULL), CHY_OK);
    free(f);
    return 0;
}

static void put(const struct folder *f, const char *path, const char *text)
{
    assert_int_equal(chy_file_create(f->fd, path, chy_str_bytes(chy_str_of(text)), 0640, NULL),
                     CHY_OK);
}

/* a/  a/b/  a/b/file  a/link -> nowhere  z */
static void fill(const struct folder *f)
{
    assert_int_equal(chy_dir_make(f->fd, "a", 0750, NULL), CHY_OK);
    assert_int_equal(chy_dir_make(f->fd, "a/b", 0700, NULL), CHY_OK);
    put(f, "a/b/file", "content");
    assert_int_equal(symlinkat("/nowhere", f->fd, "a/link"), 0);
    put(f, "z", "");
}

struct seen {
    char text[SEEN_BYTES];
    size_t n;
    const char *stop_at;
};

static enum chy_err see(void *ctx, int dir_fd, const struct chy_tree_entry *e,
                        struct chy_error *err)
{
    struct seen *s = ctx;
    struct stat st;
    assert_int_equal(fstatat(dir_fd, e->path, &st, AT_SYMLINK_NOFOLLOW), 0);
    const char *kind = e->kind == CHY_TREE_FILE ? "f" : e->kind == CHY_TREE_DIR ? "d" : "o";
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%s %s\n", kind, e->path);
    if (s->stop_at != NULL && strcmp(s->stop_at, e->path) == 0)
        return chy_fail(err, CHY_E_DENIED, "stopped");
    return CHY_OK;
}

static void test_tree_walk__in_order(void **state)
{
    const struct folder *f = *state;
    struct seen s = { .n = 0 };
    fill(f);
    assert_int_equal(chy_tree_walk(AT_FDCWD, f->path, see, &s, NULL), CHY_OK);
    assert_string_equal(s.text, "d a\nd a/b\nf a/b/file\no a/link\nf z\n");
}

static enum chy_err keep_entry(void *ctx, int dir_fd, const struct chy_tree_entry *e,
                               struct chy_error *err)
{
    (void)dir_fd;
    (void)err;
    *(struct chy_tree_entry *)ctx = *e;
    return CHY_OK;
}

static void test_tree_walk__tells_size_and_mode(void **state)
{
    const struct folder *f = *state;
    struct chy_tree_entry got = { .size_bytes = 0 };
    put(f, "file", "12345");
    assert_int_equal(chy_tree_walk(f->fd, ".", keep_entry, &got, NULL), CHY_OK);
    assert_int_equal(got.kind, CHY_TREE_FILE);
    assert_int_equal(got.mode, 0640);
    assert_int_equal(got.size_bytes, 5);
}

static void test_tree_walk__ends_with_the_first_error(void **state)
{
    const struct folder *f = *state;
    struct seen s = { .stop_at = "a/b" };
    fill(f);
    assert_int_equal(chy_tree_walk(f->fd, ".", see, &s, NULL), CHY_E_DENIED);
    assert_string_equal(s.text, "d a\nd a/b\n");
}

static void test_tree_walk__no_folder(void **state)
{
    const struct folder *f = *state;
    struct seen s = { .n = 0 };
    assert_int_equal(chy_tree_walk(f->fd, "none", see, &s, NULL), CHY_E_NOT_FOUND);
    put(f, "file", "");
    assert_int_equal(chy_tree_walk(f->fd, "file", see, &s, NULL), CHY_E_NOT_FOUND);
}

/* Make "d/d/.../d" of `depth` parts; all but the last are there. */
static void nest(const struct folder *f, unsigned depth)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < depth; i++)
        memcpy(path + 2 * i, "d/", 2);
    path[2 * depth - 1] = '\0';
    assert_int_equal(chy_dir_make(f->fd, path, 0700, NULL), CHY_OK);
}

/* The folder that is named is the first of them. */
static void test_tree_walk__depth_at_the_limit_and_past_it(void **state)
{
    const struct folder *f = *state;
    struct seen s = { .n = 0 };
    for (unsigned depth = 1; depth < CHY_LIMIT_TREE_DEPTH; depth++)
        nest(f, depth);
    assert_int_equal(chy_tree_walk(f->fd, ".", see, &s, NULL), CHY_OK);
    nest(f, CHY_LIMIT_TREE_DEPTH);
    s.n = 0;
    assert_int_equal(chy_tree_walk(f->fd, ".", see, &s, NULL), CHY_E_LIMIT);
    assert_int_equal(chy_tree_remove(f->fd, "d", false, NULL), CHY_OK);
}

static void test_tree_walk__every_allocation_may_fail(void **state)
{
    const struct folder *f = *state;
    enum chy_err r = CHY_E_NOMEM;
    fill(f);
    for (size_t n = 0; r != CHY_OK; n++) {
        struct seen s = { .n = 0 };
        assert_true(n < 1000);
        chy_mem_fail_after(n);
        r = chy_tree_walk(f->fd, ".", see, &s, NULL);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
    }
}

static void test_tree_is_empty(void **state)
{
    const struct folder *f = *state;
    bool is_empty = false;
    assert_int_equal(chy_tree_is_empty(AT_FDCWD, f->path, &is_empty, NULL), CHY_OK);
    assert_true(is_empty);
    put(f, ".hidden", "");
    assert_int_equal(chy_tree_is_empty(AT_FDCWD, f->path, &is_empty, NULL), CHY_OK);
    assert_false(is_empty);
    assert_int_equal(chy_tree_is_empty(f->fd, "none", &is_empty, NULL), CHY_E_NOT_FOUND);
}

static void test_tree_remove__never_follows_a_link(void **state)
{
    const struct folder *f = *state;
    assert_int_equal(chy_dir_make(f->fd, "kept", 0700, NULL), CHY_OK);
    put(f, "kept/file", "precious");
    assert_int_equal(chy_dir_make(f->fd, "gone", 0700, NULL), CHY_OK);
    assert_int_equal(symlinkat("../kept", f->fd, "gone/link"), 0);
    assert_int_equal(chy_tree_remove(f->fd, "gone", false, NULL), CHY_OK);
    assert_int_equal(faccessat(f->fd, "kept/file", F_OK, 0), 0);
    assert_int_not_equal(faccessat(f->fd, "gone", F_OK, 0), 0);
    assert_int_equal(symlinkat("kept", f->fd, "link"), 0);
    assert_int_equal(chy_tree_remove(f->fd, "link", false, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(faccessat(f->fd, "kept/file", F_OK, 0), 0);
}

static void test_tree_remove__may_keep_the_folder(void **state)
{
    const struct folder *f = *state;
    bool is_empty = false;
    fill(f);
    assert_int_equal(chy_tree_remove(f->fd, "a", true, NULL), CHY_OK);
    assert_int_equal(chy_tree_is_empty(f->fd, "a", &is_empty, NULL), CHY_OK);
    assert_true(is_empty);
    assert_int_equal(chy_tree_remove(f->fd, "none", true, NULL), CHY_E_NOT_FOUND);
}

static void test_file_make(void **state)
{
    const struct folder *f = *state;
    int fd = -1;
    struct stat st;
    mode_t before = umask(077);
    assert_int_equal(chy_file_make(f->fd, "new", 0644, &fd, NULL), CHY_OK);
    umask(before);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(chy_fd_write(fd, chy_str_bytes(CHY_STR("x")), NULL), CHY_OK);
    assert_int_equal(chy_fd_sync(fd, NULL), CHY_OK);
    chy_fd_closep(&fd);
    assert_int_equal(chy_file_make(f->fd, "new", 0644, &fd, NULL), CHY_E_EXISTS);
    assert_int_equal(chy_file_make(f->fd, "none/new", 0644, &fd, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(fd, -1);
    assert_int_equal(chy_fd_sync(-1, NULL), CHY_E_IO);
}

/* --- owners --- */

static void test_user_find(void **state)
{
    struct chy_user_ids ids = { 1, 1 };
    struct chy_error err;
    (void)state;
    assert_int_equal(chy_user_find("root", &ids, &err), CHY_OK);
    assert_int_equal(ids.uid, 0);
    assert_int_equal(ids.gid, 0);
    assert_int_equal(chy_user_find("no-such-user-here", &ids, &err), CHY_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "no-such-user-here"));
}

static void test_tree_own__sets_modes_of_files_and_folders(void **state)
{
    const struct folder *f = *state;
    struct chy_user_ids me = { geteuid(), getegid() };
    struct stat st;
    fill(f);
    assert_int_equal(unlinkat(f->fd, "a/link", 0), 0);
    assert_int_equal(chy_tree_own(f->fd, "a", me, 02710, 0600, NULL), CHY_OK);
    static const char *const dirs[] = { "a", "a/b" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(dirs); i++) {
        assert_int_equal(fstatat(f->fd, dirs[i], &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 02710);
    }
    assert_int_equal(fstatat(f->fd, "a/b/file", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

/* What it points to would change its owner. */
static void test_tree_own__refuses_links_and_pipes(void **state)
{
    const struct folder *f = *state;
    struct chy_user_ids me = { geteuid(), getegid() };
    fill(f);
    assert_int_not_equal(chy_tree_own(f->fd, "a", me, 0700, 0600, NULL), CHY_OK);
    assert_int_equal(unlinkat(f->fd, "a/link", 0), 0);
    assert_int_equal(mkfifoat(f->fd, "a/pipe", 0600), 0);
    assert_int_equal(chy_tree_own(f->fd, "a", me, 0700, 0600, NULL), CHY_E_IO);
    assert_int_equal(chy_tree_own(f->fd, "none", me, 0700, 0600, NULL), CHY_E_NOT_FOUND);
}

/* --- capabilities --- */

static uint64_t capabilities(const char *kind)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, 65536);
    assert_int_equal(chy_file_read(AT_FDCWD, "/proc/self/status", &text, NULL), CHY_OK);
    chy_buf_append_u8(&text, '\0');
    const char *line = strstr((const char *)text.p, kind);
    assert_non_null(line);
    uint64_t v = 0;
    for (line += strlen(kind); *line != '\n'; line++)
        if (*line >= '0')
            v = v << 4 | (uint64_t)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
    return v;
}

/* In a child, for there is no way back: 0, or the number of the step that failed. */
static int capabilities_drop(void)
{
    uint64_t before = capabilities("CapPrm:\t");
    uint64_t keep = CHY_CAPABILITY_SETUID | CHY_CAPABILITY_KILL;
    if (chy_capability_keep(keep, NULL) != CHY_OK)
        return 1;
    if (capabilities("CapPrm:\t") != (before & keep) ||
        capabilities("CapEff:\t") != (before & keep))
        return 2;
    if (before != 0 && (capabilities("CapBnd:\t") & ~keep) != 0)
        return 3;
    if (chy_capability_keep(keep | CHY_CAPABILITY_SETGID, NULL) != CHY_OK)
        return 4;
    /* Nothing is gained. */
    return capabilities("CapPrm:\t") == (before & keep) ? 0 : 5;
}

static void test_capability_keep(void **state)
{
    struct chy_process child;
    struct chy_process_end end;
    bool is_child = false;
    (void)state;
    kernel_require();
    assert_int_equal(chy_process_fork(&child, &is_child, NULL), CHY_OK);
    if (is_child)
        _exit(capabilities_drop());
    assert_int_equal(chy_process_wait(&child, CHY_NO_DEADLINE, &end, NULL), CHY_OK);
    assert_false(end.was_signal);
    assert_int_equal(end.value, 0);
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_tree_walk__in_order),
        FOLDER_TEST(test_tree_walk__tells_size_and_mode),
        FOLDER_TEST(test_tree_walk__ends_with_the_first_error),
        FOLDER_TEST(test_tree_walk__no_folder),
        FOLDER_TEST(test_tree_walk__depth_at_the_limit_and_past_it),
        FOLDER_TEST(test_tree_walk__every_allocation_may_fail),
        FOLDER_TEST(test_tree_is_empty),
        FOLDER_TEST(test_tree_remove__never_follows_a_link),
        FOLDER_TEST(test_tree_remove__may_keep_the_folder),
        FOLDER_TEST(test_file_make),
        cmocka_unit_test(test_user_find),
        FOLDER_TEST(test_tree_own__sets_modes_of_files_and_folders),
        FOLDER_TEST(test_tree_own__refuses_links_and_pipes),
        cmocka_unit_test(test_capability_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
