/* SPDX-License-Identifier: MIT */
/* Of this very process, and of children. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "kernel_fixture.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/proc.h"
#include "os/process.h"
#include "os/user.h"

static int fds[2];
static int proc_fd;
static struct chy_socket_cred cred;

static int setup(void **state)
{
    (void)state;
    proc_fd = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(chy_proc_open_peer(fds[0], &cred, &proc_fd, NULL), CHY_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_fd_closep(&fds[0]);
    chy_fd_closep(&fds[1]);
    chy_fd_closep(&proc_fd);
    return 0;
}

static void test_peer__is_this_process(void **state)
{
    (void)state;
    assert_int_equal(cred.pid, getpid());
    assert_int_equal(cred.uid, getuid());
}

static void test_program(void **state)
{
    (void)state;
    kernel_require();
    struct chy_file_stamp a;
    struct chy_file_stamp b;
    struct chy_buf path;
    char expected[CHY_LIMIT_PATH] = "";
    int fd = -1;
    chy_buf_init(&path, CHY_LIMIT_PATH);
    assert_true(readlink("/proc/self/exe", expected, sizeof expected - 1) > 0);
    assert_int_equal(chy_proc_program(proc_fd, &a, NULL), CHY_OK);
    assert_int_equal(chy_proc_program_open(proc_fd, &fd, &b, NULL), CHY_OK);
    assert_true(chy_file_stamp_is_same(&a, &b));
    assert_int_equal(chy_proc_program_path(proc_fd, &path, NULL), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&path), expected));
    chy_fd_closep(&fd);
    chy_buf_done(&path);
}

static void test_command__is_cut_at_the_maximum(void **state)
{
    (void)state;
    struct chy_buf all;
    struct chy_buf part;
    chy_buf_init(&all, 65536);
    chy_buf_init(&part, 5);
    assert_int_equal(chy_proc_command(proc_fd, &all, NULL), CHY_OK);
    assert_true(all.n > 5 && all.p[all.n - 1] == 0);
    assert_int_equal(chy_proc_command(proc_fd, &part, NULL), CHY_OK);
    assert_int_equal(part.n, 5);
    assert_memory_equal(part.p, all.p, 5);
    chy_buf_done(&all);
    chy_buf_done(&part);
}

static void test_parent(void **state)
{
    (void)state;
    struct chy_file_stamp a;
    struct chy_file_stamp b;
    char path[64];
    int fd = -1;
    enum chy_err r = chy_proc_open_parent(proc_fd, &fd, NULL);
    if (r == CHY_E_NOT_FOUND) /* of the first process of a container */
        skip();
    assert_int_equal(r, CHY_OK);
    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)getppid());
    if (chy_file_stamp(AT_FDCWD, path, &a, NULL) == CHY_OK) {
        assert_int_equal(chy_proc_program(fd, &b, NULL), CHY_OK);
        assert_true(chy_file_stamp_is_same(&a, &b));
    }
    chy_fd_closep(&fd);
}

/* The descriptor is of a process that has ended; whoever has its number then is another. */
static void test_process_that_has_ended(void **state)
{
    (void)state;
    int pair[2];
    int carry[2];
    int of_child = -1;
    struct chy_socket_cred child;
    struct chy_file_stamp stamp;
    struct chy_buf text;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, carry), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .bytes = { 0 } };
        struct iovec iov = { &byte, 1 };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
        byte = 0;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
            _exit(1);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
        _exit(sendmsg(carry[1], &msg, 0) == 1 && read(carry[1], &byte, 1) == 1 ? 0 : 1);
    }
    char byte;
    int theirs = -1;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes };
    assert_int_equal(recvmsg(carry[0], &msg, 0), 1);
    memcpy(&theirs, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
    assert_int_equal(chy_proc_open_peer(theirs, &child, &of_child, NULL), CHY_OK);
    assert_int_equal(child.pid, pid);
    assert_int_equal(write(carry[0], "", 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);

    chy_buf_init(&text, 4096);
    assert_int_equal(chy_proc_program(of_child, &stamp, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_proc_program_path(of_child, &text, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_proc_command(of_child, &text, NULL), CHY_E_NOT_FOUND);
    int none = -1;
    assert_int_equal(chy_proc_open_parent(of_child, &none, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_proc_open_peer(theirs, &child, &none, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(child.pid, pid);
    chy_buf_done(&text);
    chy_fd_closep(&of_child);
    chy_fd_closep(&theirs);
    chy_fd_closep(&carry[0]);
    chy_fd_closep(&carry[1]);
}

static void test_peer__no_socket(void **state)
{
    (void)state;
    int none = -1;
    assert_int_equal(chy_proc_open_peer(proc_fd, &cred, &none, NULL), CHY_E_NETWORK);
    assert_int_equal(none, -1);
}

/* --- names, folders, leaving --- */

static void test_names(void **state)
{
    (void)state;
    char name[CHY_USER_NAME_BYTES];
    char host[CHY_HOST_NAME_BYTES];
    struct chy_user_ids ids;
    assert_int_equal(chy_user_name(0, name, NULL), CHY_OK);
    assert_string_equal(name, "root");
    assert_int_equal(chy_user_find(name, &ids, NULL), CHY_OK);
    assert_int_equal(chy_user_name(4000000000U, name, NULL), CHY_E_NOT_FOUND);
    chy_host_name(host);
    for (const char *p = host; *p != '\0'; p++)
        assert_false(*p >= 'A' && *p <= 'Z');
}

static void test_folder__of_our_own(void **state)
{
    (void)state;
    char path[] = "/tmp/chancery-test-proc-XXXXXX";
    assert_non_null(mkdtemp(path));
    assert_int_equal(chy_dir_check_own(path, NULL), CHY_OK);
    assert_int_equal(chmod(path, 0770), 0);
    assert_int_equal(chy_dir_check_own(path, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(chmod(path, 0707), 0);
    assert_int_equal(chy_dir_check_own(path, NULL), CHY_E_FORBIDDEN);
    assert_int_equal(chmod(path, 01777), 0); /* as /tmp itself */
    assert_int_equal(chy_dir_check_own(path, NULL), CHY_OK);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(chy_dir_check_own(path, NULL), CHY_E_NOT_FOUND);
    assert_int_equal(chy_dir_check_own("/dev/null", NULL), CHY_E_IO);
}

/* Where the parent expects it to be over, another process goes on, in a session of its own and with
 * nothing but what it was to keep. */
static void test_detach(void **state)
{
    (void)state;
    kernel_require();
    int pair[2];
    struct {
        pid_t pid;
        pid_t session;
        int is_other_open;
    } said;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(pair[1], 20) != 20 || dup2(20, 3) != 3 || chy_process_detach(3, NULL) != CHY_OK)
            _exit(1);
        said.pid = getpid();
        said.session = getsid(0);
        said.is_other_open = fcntl(20, F_GETFD) >= 0;
        _exit(write(3, &said, sizeof said) == (ssize_t)sizeof said ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(pair[0], &said, sizeof said), sizeof said);
    assert_int_not_equal(said.pid, pid);
    assert_int_not_equal(said.session, getsid(0));
    assert_int_not_equal(said.session, said.pid); /* which cannot get a terminal */
    assert_false(said.is_other_open);
    assert_int_equal(chy_process_detach(4, NULL), CHY_E_ARG);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_peer__is_this_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command__is_cut_at_the_maximum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_process_that_has_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer__no_socket, setup, teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_folder__of_our_own),
        cmocka_unit_test(test_detach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
