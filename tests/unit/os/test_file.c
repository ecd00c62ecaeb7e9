/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kernel_fixture.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"

struct fixture {
    char path[64];
    int dir;
    struct chy_error err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (f == NULL)
        return -1;
    snprintf(f->path, sizeof f->path, "/tmp/chancery-file-XXXXXX");
    umask(077); /* modes must come out right in spite of it */
    return mkdtemp(f->path) != NULL && chy_dir_open(AT_FDCWD, f->path, &f->dir, NULL) == CHY_OK
               ? 0
               : -1;
}

/* Also counts what is left, so that a forgotten temporary file shows. */
static size_t names_count(struct fixture *f)
{
    DIR *d = opendir(f->path);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "a", "b", "link", "lock", "sub/a", "fifo" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        unlinkat(f->dir, names[i], 0);
    unlinkat(f->dir, "sub", AT_REMOVEDIR);
    close(f->dir);
    int r = rmdir(f->path);
    free(f);
    return r;
}

static struct chy_bytes text(const char *s)
{
    return chy_str_bytes(chy_str_of(s));
}

static void put(struct fixture *f, const char *name, const char *content, mode_t mode)
{
    assert_int_equal(chy_file_replace(f->dir, name, text(content), mode, &f->err), CHY_OK);
}

static void assert_content(struct fixture *f, const char *name, const char *expected)
{
    struct chy_buf b;
    chy_buf_init(&b, 1000);
    assert_int_equal(chy_file_read(f->dir, name, &b, &f->err), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&b), text(expected)));
    chy_buf_done(&b);
}

static mode_t mode_of(struct fixture *f, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(f->dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

static void test_file_read__at_and_past_the_maximum(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "12345", 0600);
    struct chy_buf b;
    chy_buf_init(&b, 7);
    assert_true(chy_buf_append_c(&b, "x:"));
    assert_int_equal(chy_file_read(f->dir, "a", &b, &f->err), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&b), "x:12345"));
    chy_buf_done(&b);

    chy_buf_init(&b, 6);
    assert_true(chy_buf_append_c(&b, "x:"));
    assert_int_equal(chy_file_read(f->dir, "a", &b, &f->err), CHY_E_LIMIT);
    assert_true(chy_str_equal_c(chy_buf_str(&b), "x:")); /* and it is usable still */
    assert_true(chy_buf_append_c(&b, "ok"));
    chy_buf_done(&b);
}

static void test_file_read__what_is_no_file(void **state)
{
    struct fixture *f = *state;
    struct chy_buf b;
    chy_buf_init(&b, 100);
    assert_int_equal(chy_file_read(f->dir, "a", &b, &f->err), CHY_E_NOT_FOUND);
    assert_int_equal(chy_file_read(f->dir, ".", &b, &f->err), CHY_E_IO);
    assert_int_equal(mkfifoat(f->dir, "fifo", 0600), 0);
    assert_int_equal(chy_file_read(f->dir, "fifo", &b, &f->err), CHY_E_IO); /* does not wait */
    assert_int_equal(chy_file_read(AT_FDCWD, "/dev/zero", &b, &f->err), CHY_E_IO);
    chy_buf_done(&b);
}

static void test_file_read__empty(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "", 0600);
    assert_content(f, "a", "");
}

static void test_file_read_secret__modes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        mode_t mode;
        enum chy_err expected;
    } rows[] = { { 0600, CHY_OK },          { 0400, CHY_OK },          { 0640, CHY_E_FORBIDDEN },
                 { 0604, CHY_E_FORBIDDEN }, { 0620, CHY_E_FORBIDDEN }, { 0440, CHY_E_FORBIDDEN } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_secret *s = NULL;
        put(f, "a", "pin\n", rows[i].mode);
        assert_int_equal(chy_file_read_secret(f->dir, "a", &s, &f->err), rows[i].expected);
        assert_int_equal(s != NULL, rows[i].expected == CHY_OK);
        if (s != NULL)
            assert_true(chy_bytes_equal(chy_secret_bytes(s), text("pin")));
        chy_secret_free(s);
    }
}

static void test_file_read_secret__credentials_folder_may_show_a_group(void **state)
{
    struct fixture *f = *state;
    struct chy_secret *s = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/a", f->path);
    put(f, "a", "pin", 0440);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->path, 1), 0);
    assert_int_equal(chy_file_read_secret(AT_FDCWD, path, &s, &f->err), CHY_OK);
    chy_secret_freep(&s);
    put(f, "a", "pin", 0444);
    assert_int_equal(chy_file_read_secret(AT_FDCWD, path, &s, &f->err), CHY_E_FORBIDDEN);
    put(f, "a", "pin", 0460);
    assert_int_equal(chy_file_read_secret(AT_FDCWD, path, &s, &f->err), CHY_E_FORBIDDEN);
    assert_int_equal(chy_dir_make(f->dir, "sub", 0700, &f->err), CHY_OK);
    put(f, "sub/a", "pin", 0440);
    assert_int_equal(chy_file_read_secret(f->dir, "sub/a", &s, &f->err), CHY_E_FORBIDDEN);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void test_file_read_secret__links_and_emptiness(void **state)
{
    struct fixture *f = *state;
    struct chy_secret *s = NULL;
    put(f, "a", "pin", 0600);
    assert_int_equal(symlinkat("a", f->dir, "link"), 0);
    assert_int_equal(chy_file_read_secret(f->dir, "link", &s, &f->err), CHY_E_IO);
    put(f, "b", "\n", 0600);
    assert_int_equal(chy_file_read_secret(f->dir, "b", &s, &f->err), CHY_E_MALFORMED);
    assert_int_equal(chy_file_read_secret(f->dir, "none", &s, &f->err), CHY_E_NOT_FOUND);
    assert_null(s);
}

static void test_file_read_secret__another_owner(void **state)
{
    struct fixture *f = *state;
    kernel_require();
    if (geteuid() != 0)
        skip(); /* only root can give files away */
    struct chy_process p = { -1, -1 };
    bool is_child = false;
    put(f, "a", "pin", 0600);
    assert_int_equal(chy_file_chown(f->dir, "a", 12345, 12345, &f->err), CHY_OK);
    assert_int_equal(chmod(f->path, 0755), 0);
    assert_int_equal(chy_process_fork(&p, &is_child, &f->err), CHY_OK);
    if (is_child) { /* may read any file by its capability, but is not root */
        struct chy_secret *s = NULL;
        if (setresuid((uid_t)-1, 54321, (uid_t)-1) != 0)
            _exit(1);
        enum chy_err other = chy_file_read_secret(f->dir, "a", &s, NULL);
        if (seteuid(0) != 0 || seteuid(12345) != 0)
            _exit(2);
        _exit(other != CHY_OK && chy_file_read_secret(f->dir, "a", &s, NULL) == CHY_OK ? 0 : 3);
    }
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&p, CHY_NO_DEADLINE, &end, &f->err), CHY_OK);
    assert_false(end.was_signal);
    assert_int_equal(end.value, 0);
}

static void secret_of(struct fixture *f, size_t n, enum chy_err expected)
{
    char *p = malloc(n);
    struct chy_secret *s = NULL;
    memset(p, 'x', n);
    assert_int_equal(
        chy_file_replace(f->dir, "a", (struct chy_bytes){ (uint8_t *)p, n }, 0600, &f->err),
        CHY_OK);
    assert_int_equal(chy_file_read_secret(f->dir, "a", &s, &f->err), expected);
    if (expected == CHY_OK)
        assert_int_equal(chy_secret_bytes(s).n, n);
    chy_secret_free(s);
    free(p);
}

static void test_file_read_secret__at_and_past_the_limit(void **state)
{
    struct fixture *f = *state;
    secret_of(f, CHY_LIMIT_SECRET, CHY_OK);
    secret_of(f, CHY_LIMIT_SECRET + 1, CHY_E_LIMIT);
}

static void test_file_read_secret_fd__pipe(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    struct chy_secret *s = NULL;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "pin", 3), 3);
    close(fds[1]);
    assert_int_equal(chy_file_read_secret_fd(fds[0], &s, &f->err), CHY_OK);
    assert_true(chy_bytes_equal(chy_secret_bytes(s), text("pin")));
    chy_secret_free(s);
    close(fds[0]);
}

static void test_file_replace__content_and_mode(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old", 0600);
    put(f, "a", "new", 0644);
    assert_content(f, "a", "new");
    assert_int_equal(mode_of(f, "a"), 0644);
    assert_int_equal(names_count(f), 1);
}

static void test_file_replace__in_a_folder_and_absolute(void **state)
{
    struct fixture *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/b", f->path);
    assert_int_equal(chy_dir_make(f->dir, "sub", 0700, &f->err), CHY_OK);
    put(f, "sub/a", "1", 0600);
    assert_content(f, "sub/a", "1");
    assert_int_equal(chy_file_replace(AT_FDCWD, path, text("2"), 0600, &f->err), CHY_OK);
    assert_content(f, "b", "2");
}

static void test_file_replace__replaces_a_link_not_its_target(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "target", 0600);
    assert_int_equal(symlinkat("a", f->dir, "link"), 0);
    put(f, "link", "new", 0600);
    assert_content(f, "a", "target");
    assert_content(f, "link", "new");
}

static void test_file_replace__bad_names(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { "", "sub/", ".", "..", "/", "x/.." };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_int_equal(chy_file_replace(f->dir, bad[i], text("x"), 0600, &f->err), CHY_E_ARG);
    assert_int_equal(chy_file_replace(f->dir, "no/a", text("x"), 0600, &f->err), CHY_E_NOT_FOUND);
}

static void test_file_replace__onto_a_folder_leaves_no_temporary(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_dir_make(f->dir, "sub", 0700, &f->err), CHY_OK);
    assert_int_equal(chy_file_replace(f->dir, "sub", text("x"), 0600, &f->err), CHY_E_IO);
    assert_int_equal(names_count(f), 1);
}

/* A write that stops half way: a limit on the size of files stands in for the full disk. */
static int write_too_much(struct fixture *f)
{
    struct rlimit small = { 4, 4 };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    if (sigaction(SIGXFSZ, &ignore, NULL) != 0 || setrlimit(RLIMIT_FSIZE, &small) != 0)
        return 1;
    if (chy_file_replace(f->dir, "a", text("new content"), 0600, NULL) != CHY_E_IO)
        return 2;
    int fd = -1;
    if (chy_file_open_anchor(f->dir, "b", 0600, &fd, NULL) != CHY_OK)
        return 3;
    if (chy_file_append_sync(fd, text("123"), NULL) != CHY_OK ||
        chy_file_append_sync(fd, text("456"), NULL) != CHY_E_IO)
        return 4;
    return chy_file_pwrite_sync(fd, text("x"), 10, NULL) == CHY_E_IO ? 0 : 5;
}

static void test_file__a_full_disk_keeps_what_was_there(void **state)
{
    struct fixture *f = *state;
    kernel_require();
    struct chy_process p = { -1, -1 };
    bool is_child = false;
    put(f, "a", "old", 0600);
    assert_int_equal(chy_process_fork(&p, &is_child, &f->err), CHY_OK);
    if (is_child)
        _exit(write_too_much(f));
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&p, CHY_NO_DEADLINE, &end, &f->err), CHY_OK);
    assert_false(end.was_signal);
    assert_int_equal(end.value, 0);
    assert_content(f, "a", "old");
    assert_content(f, "b", "123"); /* the half-written append was cut off */
    assert_int_equal(names_count(f), 2);
}

static void test_file_create__only_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_file_create(f->dir, "a", text("1"), 0640, &f->err), CHY_OK);
    assert_int_equal(mode_of(f, "a"), 0640);
    assert_int_equal(chy_file_create(f->dir, "a", text("2"), 0600, &f->err), CHY_E_EXISTS);
    assert_content(f, "a", "1");
    assert_int_equal(names_count(f), 1);
}

static void test_file_anchor__write_append_and_read_in_place(void **state)
{
    struct fixture *f = *state;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    char back[8];
    size_t n = 0;
    assert_int_equal(chy_file_open_anchor(f->dir, "a", 0600, &fd, &f->err), CHY_OK);
    assert_int_equal(chy_file_append_sync(fd, text("abc"), &f->err), CHY_OK);
    assert_int_equal(chy_file_append_sync(fd, text("def"), &f->err), CHY_OK);
    assert_int_equal(chy_file_pwrite_sync(fd, text("XY"), 1, &f->err), CHY_OK);
    assert_int_equal(chy_file_pread(fd, back, sizeof back, 0, &n, &f->err), CHY_OK);
    assert_int_equal(n, 6);
    assert_memory_equal(back, "aXYdef", 6);
    assert_int_equal(chy_file_pread(fd, back, 2, 4, &n, &f->err), CHY_OK);
    assert_int_equal(n, 2);
    assert_int_equal(chy_file_pread(fd, back, 2, 100, &n, &f->err), CHY_OK);
    assert_int_equal(n, 0);
    assert_int_equal(chy_file_pread(fd, back, 2, UINT64_MAX, &n, &f->err), CHY_E_ARG);
    assert_int_equal(chy_file_pwrite_sync(fd, text("x"), INT64_MAX, &f->err), CHY_E_ARG);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void test_file_open_anchor__no_link_no_fifo(void **state)
{
    struct fixture *f = *state;
    int fd = -1;
    put(f, "a", "x", 0600);
    assert_int_equal(symlinkat("a", f->dir, "link"), 0);
    assert_int_equal(mkfifoat(f->dir, "fifo", 0600), 0);
    assert_int_equal(chy_file_open_anchor(f->dir, "link", 0600, &fd, &f->err), CHY_E_IO);
    assert_int_equal(chy_file_open_anchor(f->dir, "fifo", 0600, &fd, &f->err), CHY_E_IO);
    assert_int_equal(fd, -1);
}

static void test_file__descriptors_that_cannot(void **state)
{
    struct fixture *f = *state;
    char back[4];
    size_t n;
    assert_int_equal(chy_file_append_sync(-1, text("x"), &f->err), CHY_E_IO);
    assert_int_equal(chy_file_pwrite_sync(f->dir, text("x"), 0, &f->err), CHY_E_IO);
    assert_int_equal(chy_file_pread(f->dir, back, 4, 0, &n, &f->err), CHY_E_IO);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(chy_fd_write(full, text("x"), &f->err), CHY_E_IO);
    close(full);
}

static void test_file_remove(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "x", 0600);
    assert_int_equal(chy_file_remove(f->dir, "a", &f->err), CHY_OK);
    assert_int_equal(chy_file_remove(f->dir, "a", &f->err), CHY_E_NOT_FOUND);
}

static void test_file_chown__of_a_link_itself(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chy_file_chown(f->dir, "a", 0, 0, &f->err), CHY_E_NOT_FOUND);
    if (geteuid() != 0)
        return;
    struct stat st;
    put(f, "a", "x", 0600);
    assert_int_equal(symlinkat("a", f->dir, "link"), 0);
    assert_int_equal(chy_file_chown(f->dir, "link", 12345, 12346, &f->err), CHY_OK);
    assert_int_equal(fstatat(f->dir, "a", &st, 0), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(fstatat(f->dir, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 12346);
}

static void test_dir_make__mode_and_errors(void **state)
{
    struct fixture *f = *state;
    int fd = -1;
    assert_int_equal(chy_dir_make(f->dir, "sub", 0750, &f->err), CHY_OK);
    assert_int_equal(mode_of(f, "sub"), 0750);
    assert_int_equal(chy_dir_make(f->dir, "sub", 0700, &f->err), CHY_E_EXISTS);
    assert_int_equal(chy_dir_make(f->dir, "no/sub", 0700, &f->err), CHY_E_NOT_FOUND);
    put(f, "a", "x", 0600);
    assert_int_equal(chy_dir_open(f->dir, "a", &fd, &f->err), CHY_E_NOT_FOUND);
    assert_int_equal(chy_dir_open(f->dir, "no", &fd, &f->err), CHY_E_NOT_FOUND);
}

static void test_file_lock__second_is_told_who(void **state)
{
    struct fixture *f = *state;
    int first = -1;
    int second = -1;
    char expected[64];
    assert_int_equal(chy_file_lock(f->dir, "lock", &first, &f->err), CHY_OK);
    assert_int_equal(chy_file_lock(f->dir, "lock", &second, &f->err), CHY_E_BUSY);
    snprintf(expected, sizeof expected, "lock is locked by process %d", (int)getpid());
    assert_string_equal(f->err.text, expected);
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(chy_file_lock(f->dir, "lock", &second, &f->err), CHY_OK);
    close(second);
}

static void test_file_is_locked__by_whom_ever(void **state)
{
    struct fixture *f = *state;
    bool is_locked = true;
    int fd;
    assert_int_equal(chy_file_is_locked(f->dir, "lock", &is_locked, &f->err), CHY_OK);
    assert_false(is_locked);
    assert_int_equal(faccessat(f->dir, "lock", F_OK, 0), -1); /* it was not made */
    assert_int_equal(chy_file_lock(f->dir, "lock", &fd, &f->err), CHY_OK);
    assert_int_equal(chy_file_is_locked(f->dir, "lock", &is_locked, &f->err), CHY_OK);
    assert_true(is_locked);
    chy_fd_closep(&fd);
    assert_int_equal(chy_file_is_locked(f->dir, "lock", &is_locked, &f->err), CHY_OK);
    assert_false(is_locked);
}

static void test_file_lock__holder_unknown(void **state)
{
    struct fixture *f = *state;
    int first = -1;
    int second = -1;
    assert_int_equal(chy_file_lock(f->dir, "lock", &first, &f->err), CHY_OK);
    assert_int_equal(chy_file_pwrite_sync(first, text("\x1b[31m"), 0, &f->err), CHY_OK);
    assert_int_equal(chy_file_lock(f->dir, "lock", &second, &f->err), CHY_E_BUSY);
    assert_string_equal(f->err.text, "lock is locked by another process");
    close(first);
}

static void test_file__allocation_sweep(void **state)
{
    struct fixture *f = *state;
    bool is_done = false;
    put(f, "a", "old", 0600);
    for (size_t n = 0; !is_done; n++) {
        assert_true(n < 20);
        struct chy_buf b;
        struct chy_secret *s = NULL;
        chy_buf_init(&b, 100);
        chy_mem_fail_after(n);
        enum chy_err r = chy_file_read(f->dir, "a", &b, NULL);
        if (r == CHY_OK)
            r = chy_file_read_secret(f->dir, "a", &s, NULL);
        if (r == CHY_OK)
            r = chy_file_replace(f->dir, "a", text("new"), 0600, NULL);
        is_done = r == CHY_OK;
        assert_true(is_done != chy_mem_has_failed());
        chy_mem_fail_after(SIZE_MAX);
        if (!is_done)
            assert_int_equal(r, CHY_E_NOMEM);
        assert_content(f, "a", is_done ? "new" : "old");
        chy_secret_free(s);
        chy_buf_done(&b);
    }
    assert_int_equal(names_count(f), 1);
}

static void test_link_make__and_not_twice(void **state)
{
    struct fixture *f = *state;
    char to[16] = "";
    assert_int_equal(chy_link_make("/some/where", f->dir, "link", &f->err), CHY_OK);
    assert_true(readlinkat(f->dir, "link", to, sizeof to - 1) == 11);
    assert_string_equal(to, "/some/where");
    assert_int_equal(chy_link_make("/else", f->dir, "link", &f->err), CHY_E_EXISTS);
    assert_int_equal(chy_link_make("/else", f->dir, "no/link", &f->err), CHY_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_read__at_and_past_the_maximum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read__what_is_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read__empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_secret__modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_secret__credentials_folder_may_show_a_group,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_secret__links_and_emptiness, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_secret__another_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_secret__at_and_past_the_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_secret_fd__pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_replace__content_and_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_replace__in_a_folder_and_absolute, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_replace__replaces_a_link_not_its_target, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_replace__bad_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_replace__onto_a_folder_leaves_no_temporary,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file__a_full_disk_keeps_what_was_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_create__only_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_anchor__write_append_and_read_in_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_open_anchor__no_link_no_fifo, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file__descriptors_that_cannot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_chown__of_a_link_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dir_make__mode_and_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_lock__second_is_told_who, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_is_locked__by_whom_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_lock__holder_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link_make__and_not_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file__allocation_sweep, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
