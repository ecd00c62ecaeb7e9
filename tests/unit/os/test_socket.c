/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_fixture.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/socket.h"

#define SOON (chy_clock_monotonic_us() + 20000000) /* never reached by a test that passes */

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/chancery-socket-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void assert_round_trip(const char *address, const char *expected_start,
                              const char *peer_text)
{
    CHY_CLEANUP(chy_fd_closep) int listener = -1;
    CHY_CLEANUP(chy_fd_closep) int client = -1;
    CHY_CLEANUP(chy_fd_closep) int server = -1;
    char bound[CHY_SOCKET_TEXT_BYTES];
    char peer[CHY_SOCKET_TEXT_BYTES];
    assert_int_equal(chy_socket_listen(chy_str_of(address), 0600, &listener, NULL), CHY_OK);
    assert_int_equal(chy_socket_address(listener, bound, NULL), CHY_OK);
    assert_true(chy_str_starts(chy_str_of(bound), expected_start));
    assert_int_equal(chy_socket_accept(listener, &server, peer, NULL), CHY_OK);
    assert_int_equal(server, -1); /* nobody yet */
    assert_int_equal(chy_socket_connect(chy_str_of(bound), SOON, &client, NULL), CHY_OK);
    assert_int_equal(chy_fd_wait(listener, POLLIN, SOON, NULL), CHY_OK);
    assert_int_equal(chy_socket_accept(listener, &server, peer, NULL), CHY_OK);
    assert_string_equal(peer, peer_text);
    assert_int_equal(fcntl(server, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(server, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(client, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(chy_fd_wait(server, POLLIN, SOON, NULL), CHY_OK);
    char c;
    assert_int_equal(read(server, &c, 1), 1);
}

static void test_socket__ipv4(void **state)
{
    (void)state;
    assert_round_trip("127.0.0.1:0", "127.0.0.1:", "127.0.0.1");
}

static void test_socket__ipv6(void **state)
{
    (void)state;
    assert_round_trip("[::1]:0", "[::1]:", "::1");
}

static void test_socket__unix_and_its_dead_file(void **state)
{
    (void)state;
    char address[96];
    snprintf(address, sizeof address, "unix:%s/s", folder);
    assert_round_trip(address, address, "unix");
    assert_round_trip(address, address, "unix"); /* the file is there still: replaced */
    unlink(address + 5);
}

static void test_socket_listen__unix_mode(void **state)
{
    (void)state;
    char address[96];
    int fd = -1;
    struct stat st;
    snprintf(address, sizeof address, "unix:%s/s", folder);
    umask(077);
    assert_int_equal(chy_socket_listen(chy_str_of(address), 0660, &fd, NULL), CHY_OK);
    assert_int_equal(stat(address + 5, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    int second = -1;
    assert_int_equal(chy_socket_listen(chy_str_of(address), 0660, &second, NULL), CHY_E_EXISTS);
    assert_int_equal(second, -1);
    close(fd);
    unlink(address + 5);
}

static void test_socket_listen__unix_over_a_file(void **state)
{
    (void)state;
    char address[96];
    int fd = -1;
    snprintf(address, sizeof address, "unix:%s/f", folder);
    int file = open(address + 5, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(file);
    assert_int_equal(chy_socket_listen(chy_str_of(address), 0600, &fd, NULL), CHY_E_EXISTS);
    assert_int_equal(unlink(address + 5), 0); /* it was left alone */
}

static void test_socket_listen__address_in_use(void **state)
{
    (void)state;
    int fd = -1;
    int second = -1;
    char bound[CHY_SOCKET_TEXT_BYTES];
    assert_int_equal(chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &fd, NULL), CHY_OK);
    assert_int_equal(chy_socket_address(fd, bound, NULL), CHY_OK);
    assert_int_equal(chy_socket_listen(chy_str_of(bound), 0, &second, NULL), CHY_E_EXISTS);
    close(fd);
}

static void test_socket__addresses_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "1.2.3:1",
        "localhost:1",
        "127.0.0.1:1x",
        "127.0.0.1:-1",
        "127.0.0.1:000001",
        "[::1]",
        "[::1:1",
        "::1:1",
        "[127.0.0.1]:1",
        "[::1]:99999",
        "[]:1",
        "unix:",
        "unix:relative",
        " 127.0.0.1:1",
        "127.0.0.1 :1",
        "[::1%lo]:1",
        "[[::1]]:1",
        "1111:2222:3333:4444:5555:6666:7777:8888:1",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        int fd = -1;
        assert_int_equal(chy_socket_listen(chy_str_of(bad[i]), 0600, &fd, NULL), CHY_E_ARG);
        assert_int_equal(chy_socket_connect(chy_str_of(bad[i]), SOON, &fd, NULL), CHY_E_ARG);
        assert_int_equal(fd, -1);
    }
}

static void test_socket_listen__unix_path_length(void **state)
{
    (void)state;
    char address[5 + 109];
    int fd = -1;
    memset(address, 'x', sizeof address);
    memcpy(address, "unix:/", 6);
    struct chy_str too_long = { address, 5 + 108 };
    struct chy_str longest = { address, 5 + 107 };
    assert_int_equal(chy_socket_connect(too_long, SOON, &fd, NULL), CHY_E_LIMIT);
    assert_int_equal(chy_socket_connect(longest, SOON, &fd, NULL), CHY_E_NETWORK); /* not there */
    assert_int_equal(chy_socket_listen(too_long, 0600, &fd, NULL), CHY_E_LIMIT);
}

static void test_socket_connect__nobody_there(void **state)
{
    (void)state;
    int fd = -1;
    char bound[CHY_SOCKET_TEXT_BYTES];
    assert_int_equal(chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &fd, NULL), CHY_OK);
    assert_int_equal(chy_socket_address(fd, bound, NULL), CHY_OK);
    chy_fd_closep(&fd);
    assert_int_equal(chy_socket_connect(chy_str_of(bound), SOON, &fd, NULL), CHY_E_NETWORK);
    assert_int_equal(fd, -1);
}

static void test_socket_accept__no_descriptors_left(void **state)
{
    (void)state;
    kernel_require();
    int listener = -1;
    int client = -1;
    struct chy_process p = { -1, -1 };
    bool is_child = false;
    char bound[CHY_SOCKET_TEXT_BYTES];
    assert_int_equal(chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &listener, NULL), CHY_OK);
    assert_int_equal(chy_socket_address(listener, bound, NULL), CHY_OK);
    assert_int_equal(chy_socket_connect(chy_str_of(bound), SOON, &client, NULL), CHY_OK);
    assert_int_equal(chy_fd_wait(listener, POLLIN, SOON, NULL), CHY_OK);
    assert_int_equal(chy_process_fork(&p, &is_child, NULL), CHY_OK);
    if (is_child) {
        struct rlimit none = { 0, 0 };
        char peer[CHY_SOCKET_TEXT_BYTES];
        int fd = -1;
        if (setrlimit(RLIMIT_NOFILE, &none) != 0)
            _exit(1);
        _exit(chy_socket_accept(listener, &fd, peer, NULL) == CHY_E_BUSY ? 0 : 2);
    }
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&p, CHY_NO_DEADLINE, &end, NULL), CHY_OK);
    assert_int_equal(end.value, 0);
    close(listener);
    close(client);
}

static void test_socket_peer_cred(void **state)
{
    (void)state;
    int fds[2];
    int tcp = -1;
    struct chy_socket_cred cred;
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    assert_int_equal(chy_socket_peer_cred(fds[0], &cred, NULL), CHY_OK);
    assert_int_equal(cred.pid, getpid());
    assert_int_equal(cred.uid, geteuid());
    assert_int_equal(cred.gid, getegid());
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &tcp, NULL), CHY_OK);
    assert_int_equal(chy_socket_peer_cred(tcp, &cred, NULL), CHY_E_NETWORK);
    close(tcp);
}

static void test_socket_address__of_what_is_none(void **state)
{
    (void)state;
    char bound[CHY_SOCKET_TEXT_BYTES];
    assert_int_equal(chy_socket_address(-1, bound, NULL), CHY_E_NETWORK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket__ipv4),
        cmocka_unit_test(test_socket__ipv6),
        cmocka_unit_test(test_socket__unix_and_its_dead_file),
        cmocka_unit_test(test_socket_listen__unix_mode),
        cmocka_unit_test(test_socket_listen__unix_over_a_file),
        cmocka_unit_test(test_socket_listen__address_in_use),
        cmocka_unit_test(test_socket__addresses_that_are_none),
        cmocka_unit_test(test_socket_listen__unix_path_length),
        cmocka_unit_test(test_socket_connect__nobody_there),
        cmocka_unit_test(test_socket_accept__no_descriptors_left),
        cmocka_unit_test(test_socket_peer_cred),
        cmocka_unit_test(test_socket_address__of_what_is_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
