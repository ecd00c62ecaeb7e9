/* SPDX-License-Identifier: MIT */
/* sys, clock, random, fd, notify. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_fixture.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/notify.h"
#include "os/random.h"
#include "os/sys.h"

static void test_sys_code__each_group(void **state)
{
    (void)state;
    static const struct {
        int e;
        enum chy_err code;
    } rows[] = { { ENOENT, CHY_E_NOT_FOUND },
                 { ENOTDIR, CHY_E_NOT_FOUND },
                 { EEXIST, CHY_E_EXISTS },
                 { ENOMEM, CHY_E_NOMEM },
                 { EMFILE, CHY_E_BUSY },
                 { ENFILE, CHY_E_BUSY },
                 { EAGAIN, CHY_E_BUSY },
                 { ENOBUFS, CHY_E_BUSY },
                 { ETIMEDOUT, CHY_E_TIMEOUT },
                 { EACCES, CHY_E_IO },
                 { 0, CHY_E_IO },
                 { -5, CHY_E_IO } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_int_equal(chy_sys_code(rows[i].e), rows[i].code);
}

static void test_sys_text(void **state)
{
    (void)state;
    assert_string_equal(chy_sys_text(ENOENT), "No such file or directory");
    assert_string_equal(chy_sys_text(99999), "unknown system error");
}

static void test_clock__units(void **state)
{
    (void)state;
    int64_t real = chy_clock_realtime_us();
    assert_true(real > 1577836800000000); /* 2020 */
    assert_true(real < 7258118400000000); /* 2200 */
    int64_t before = chy_clock_monotonic_us();
    assert_true(chy_clock_monotonic_us() >= before);
}

static void test_random_fill__all_of_it(void **state)
{
    (void)state;
    static uint8_t a[1000]; /* over what one call of the kernel promises */
    static uint8_t b[1000];
    assert_int_equal(chy_random_fill(a, sizeof a, NULL), CHY_OK);
    assert_int_equal(chy_random_fill(b, sizeof b, NULL), CHY_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 984, b + 984, 16);
    assert_int_equal(chy_random_fill(NULL, 0, NULL), CHY_OK);
}

static void test_random_fill__refused(void **state)
{
    (void)state;
    kernel_require();
    assert_int_equal(chy_random_fill(NULL, 16, NULL), CHY_E_CRYPTO);
}

static void test_fd__owning(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int a = fds[0];
    int b = chy_fd_take(&a);
    assert_int_equal(a, -1);
    assert_int_equal(b, fds[0]);
    errno = 33;
    chy_fd_closep(&b);
    assert_int_equal(b, -1);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    errno = 33;
    chy_fd_closep(&b);
    chy_fd_closep(&fds[1]);
    assert_int_equal(errno, 33);
}

static void test_fd_set__flags(void **state)
{
    (void)state;
    int fds[2];
    int copy = -1;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(chy_fd_set_nonblocking(fds[0], true, NULL), CHY_OK);
    assert_true((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(chy_fd_set_nonblocking(fds[0], false, NULL), CHY_OK);
    assert_true((fcntl(fds[0], F_GETFL) & O_NONBLOCK) == 0);
    assert_int_equal(chy_fd_set_cloexec(fds[0], true, NULL), CHY_OK);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(chy_fd_dup(fds[0], &copy, NULL), CHY_OK);
    assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
    assert_true(copy >= 3);
    close(copy);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(chy_fd_set_nonblocking(-1, true, NULL), CHY_E_IO);
    assert_int_equal(chy_fd_set_cloexec(-1, true, NULL), CHY_E_IO);
    assert_int_equal(chy_fd_dup(-1, &copy, NULL), CHY_E_IO);
}

static void test_fd_wait(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(chy_fd_wait(fds[0], POLLIN, 0, NULL), CHY_E_TIMEOUT);
    int64_t at = chy_clock_monotonic_us() + 2000;
    assert_int_equal(chy_fd_wait(fds[0], POLLIN, at, NULL), CHY_E_TIMEOUT);
    assert_true(chy_clock_monotonic_us() >= at);
    assert_int_equal(chy_fd_write(fds[1], chy_str_bytes(CHY_STR("x")), NULL), CHY_OK);
    assert_int_equal(chy_fd_wait(fds[0], POLLIN, CHY_NO_DEADLINE, NULL), CHY_OK);
    close(fds[1]);
    assert_int_equal(chy_fd_wait(fds[0], POLLIN, CHY_NO_DEADLINE, NULL), CHY_OK);
    close(fds[0]);
    assert_int_equal(chy_fd_wait(fds[0], POLLIN, CHY_NO_DEADLINE, NULL), CHY_E_IO);
}

/* A service manager on an abstract socket. */
static int manager_open(char ret_name[64])
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(ret_name, 64, "@chancery-test-%d", (int)getpid());
    size_t n = strlen(ret_name);
    memcpy(un.sun_path + 1, ret_name + 1, n - 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, len), 0);
    return fd;
}

static void assert_told(int fd, const char *expected)
{
    char text[512];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_true(chy_str_starts(chy_str_of(text), expected));
}

static void test_fd_of_text(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", "x", "-1", "1x", " 1", "00001", "9999" };
    int fd = -1;
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrong); i++)
        assert_int_equal(chy_fd_of_text(chy_str_of(wrong[i]), &fd, NULL), CHY_E_ARG);
    assert_int_equal(fd, -1);
    assert_int_equal(chy_fd_of_text(CHY_STR("0001"), &fd, NULL), CHY_OK);
    assert_int_equal(fd, 1);
}

static void test_notify__what_the_manager_hears(void **state)
{
    (void)state;
    char name[64];
    char pid[16];
    struct chy_notify n;
    int fd = manager_open(name);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(chy_notify_open(&n, NULL), CHY_OK);
    assert_null(secure_getenv("NOTIFY_SOCKET"));
    assert_null(secure_getenv("WATCHDOG_USEC"));
    assert_int_equal(n.watchdog_us, 30000000);
    assert_int_equal(chy_notify_send(&n, CHY_NOTIFY_READY, NULL), CHY_OK);
    assert_told(fd, "READY=1");
    assert_int_equal(chy_notify_send(&n, CHY_NOTIFY_RELOADING, NULL), CHY_OK);
    assert_told(fd, "RELOADING=1\nMONOTONIC_USEC=");
    assert_int_equal(chy_notify_send(&n, CHY_NOTIFY_STOPPING, NULL), CHY_OK);
    assert_told(fd, "STOPPING=1");
    assert_int_equal(chy_notify_send(&n, CHY_NOTIFY_WATCHDOG, NULL), CHY_OK);
    assert_told(fd, "WATCHDOG=1");
    assert_int_equal(chy_notify_status(&n, CHY_STR("fine\nREADY=1"), NULL), CHY_OK);
    assert_told(fd, "STATUS=fine?READY=1");
    close(fd);
    assert_int_equal(chy_notify_send(&n, CHY_NOTIFY_READY, NULL), CHY_E_NETWORK);
    chy_notify_close(&n);
    assert_int_equal(chy_notify_send(&n, CHY_NOTIFY_READY, NULL), CHY_OK);
}

static void test_notify_open__without_a_manager(void **state)
{
    (void)state;
    struct chy_notify n;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(chy_notify_open(&n, NULL), CHY_OK);
    assert_int_equal(n.fd, -1);
    assert_int_equal(chy_notify_status(&n, CHY_STR("x"), NULL), CHY_OK);
}

static void test_notify_open__wrong_variables(void **state)
{
    (void)state;
    struct chy_notify n;
    char name[64];
    int fd = manager_open(name);
    static const char *const bad_sockets[] = { "relative", "@", "/", "" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad_sockets); i++) {
        setenv("NOTIFY_SOCKET", bad_sockets[i], 1);
        assert_int_equal(chy_notify_open(&n, NULL), CHY_E_ARG);
    }
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    assert_int_equal(chy_notify_open(&n, NULL), CHY_E_NETWORK);
    static const char *const bad_numbers[] = { "", "x", "-1", "1 ", "9999999999999999999" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad_numbers); i++) {
        setenv("NOTIFY_SOCKET", name, 1);
        setenv("WATCHDOG_USEC", bad_numbers[i], 1);
        assert_int_equal(chy_notify_open(&n, NULL), CHY_E_ARG);
    }
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "5", 1);
    setenv("WATCHDOG_PID", "1", 1); /* somebody else's */
    assert_int_equal(chy_notify_open(&n, NULL), CHY_OK);
    assert_int_equal(n.watchdog_us, 0);
    chy_notify_close(&n);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sys_code__each_group),
        cmocka_unit_test(test_sys_text),
        cmocka_unit_test(test_clock__units),
        cmocka_unit_test(test_random_fill__all_of_it),
        cmocka_unit_test(test_random_fill__refused),
        cmocka_unit_test(test_fd__owning),
        cmocka_unit_test(test_fd_set__flags),
        cmocka_unit_test(test_fd_wait),
        cmocka_unit_test(test_fd_of_text),
        cmocka_unit_test(test_notify__what_the_manager_hears),
        cmocka_unit_test(test_notify_open__without_a_manager),
        cmocka_unit_test(test_notify_open__wrong_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
