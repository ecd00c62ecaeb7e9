/* SPDX-License-Identifier: MIT */
/* What is learnt of the process at the other end: here that is this very test, or a child of it. */
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "agent/peer.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "os/fd.h"
#include "os/file.h"

static struct chy_programs *programs;
static struct chy_peer_place place;
static struct chy_arena arena;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(chy_programs_new(&programs, NULL), CHY_OK);
    chy_peer_place_init(&place, programs);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    chy_programs_free(programs);
    return 0;
}

static struct chy_str fact(const struct chy_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->n; i++) {
        if (chy_str_equal_c(facts->p[i].name, name))
            return facts->p[i].value;
    }
    return (struct chy_str){ 0 };
}

static void assert_fact(const struct chy_facts *facts, const char *name, const char *expected)
{
    struct chy_str value = fact(facts, name);
    if (!chy_str_equal_c(value, expected))
        fail_msg("%s is \"%.*s\", expected \"%s\"", name, CHY_STR_ARG(value), expected);
}

static void own_path(char path[CHY_LIMIT_PATH])
{
    ssize_t n = readlink("/proc/self/exe", path, CHY_LIMIT_PATH - 1);
    assert_true(n > 0);
    path[n] = '\0';
}

static void own_hash(char hex[CHY_HEX_SIZE(CHY_HASH_BYTES)])
{
    struct chy_buf all;
    uint8_t digest[CHY_HASH_BYTES];
    chy_buf_init(&all, 268435456);
    assert_int_equal(chy_file_read(AT_FDCWD, "/proc/self/exe", &all, NULL), CHY_OK);
    assert_int_equal(chy_sha256(chy_buf_bytes(&all), digest, NULL), CHY_OK);
    chy_hex_encode((struct chy_bytes){ digest, sizeof digest }, hex);
    chy_buf_done(&all);
}

static void test_facts__of_ourselves(void **state)
{
    (void)state;
    kernel_require();
    int fds[2];
    struct chy_peer *peer = NULL;
    struct chy_facts facts;
    char path[CHY_LIMIT_PATH];
    char hex[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    own_path(path);
    own_hash(hex);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(chy_peer_new(fds[1], &place, &peer, NULL), CHY_OK);
    assert_true(chy_peer_is_ours(peer));
    assert_true(chy_str_equal_c(chy_peer_path(peer), path));
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(chy_peer_facts(peer, CHY_BASIS_AGENT, &arena, &facts, NULL), CHY_OK);
        assert_fact(&facts, "application.path", path);
        assert_fact(&facts, "application.sha256", hex);
        assert_true(fact(&facts, "application.command").n != 0);
        assert_fact(&facts, "user", place.user);
        assert_fact(&facts, "host", place.host);
        for (size_t i = 0; i < facts.n; i++)
            assert_int_equal(facts.p[i].basis, CHY_BASIS_AGENT);
    }
    assert_int_equal(chy_peer_facts(peer, CHY_BASIS_DECLARED, &arena, &facts, NULL), CHY_OK);
    assert_int_equal(facts.p[0].basis, CHY_BASIS_DECLARED);
    chy_peer_unref(peer);
    chy_fd_closep(&fds[0]);
    chy_fd_closep(&fds[1]);
}

/* A child that made the pair; it waits for a byte, then does `then`. */
static pid_t child_start(int ret_fds[2], void (*then)(void))
{
    int carry[2];
    int go[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, carry), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fds[2];
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
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
            _exit(1);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fds[1], sizeof(int));
        if (sendmsg(carry[1], &msg, 0) != 1 || close(go[1]) != 0 || read(go[0], &byte, 1) != 1)
            _exit(1);
        then();
        _exit(0);
    }
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
    assert_int_equal(recvmsg(carry[0], &msg, 0), 1);
    memcpy(&ret_fds[0], CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
    ret_fds[1] = go[1];
    (void)close(carry[0]);
    (void)close(carry[1]);
    (void)close(go[0]);
    return pid;
}

static void end_now(void)
{
}

static void become_sleep(void)
{
    (void)execl("/bin/sleep", "sleep", "300", (char *)NULL); /* it is ended by the test */
}

static void test_facts__of_a_process_that_has_ended(void **state)
{
    (void)state;
    kernel_require();
    int fds[2];
    struct chy_peer *before = NULL;
    struct chy_peer *after = NULL;
    struct chy_facts facts;
    pid_t pid = child_start(fds, end_now);
    assert_int_equal(chy_peer_new(fds[0], &place, &before, NULL), CHY_OK);
    assert_int_equal(chy_peer_facts(before, CHY_BASIS_AGENT, &arena, &facts, NULL), CHY_OK);
    assert_true(fact(&facts, "application.path").n != 0);
    char path[CHY_LIMIT_PATH];
    char hex[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    own_path(path);
    own_hash(hex);
    assert_fact(&facts, "application.parent", path); /* that is us */
    assert_fact(&facts, "application.parent.sha256", hex);
    assert_int_equal(write(fds[1], "", 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(chy_peer_new(fds[0], &place, &after, NULL), CHY_OK);
    struct chy_peer *peers[] = { before, after };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(chy_peer_facts(peers[i], CHY_BASIS_AGENT, &arena, &facts, NULL), CHY_OK);
        assert_fact(&facts, "user", place.user);
        assert_int_equal(fact(&facts, "application.path").n, 0);
        assert_int_equal(fact(&facts, "application.sha256").n, 0);
        assert_int_equal(fact(&facts, "application.command").n, 0);
        assert_int_equal(fact(&facts, "application.parent").n, 0);
        assert_int_equal(fact(&facts, "application.parent.sha256").n, 0);
        chy_peer_unref(peers[i]);
    }
    chy_fd_closep(&fds[0]);
    chy_fd_closep(&fds[1]);
}

static void test_facts__of_a_process_that_became_another(void **state)
{
    (void)state;
    kernel_require();
    int fds[2];
    char link[64];
    char path[CHY_LIMIT_PATH];
    struct chy_peer *peer = NULL;
    struct chy_facts facts;
    pid_t pid = child_start(fds, become_sleep);
    own_path(path);
    assert_int_equal(chy_peer_new(fds[0], &place, &peer, NULL), CHY_OK);
    assert_int_equal(write(fds[1], "", 1), 1);
    (void)snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    for (;;) { /* until it has */
        char now[CHY_LIMIT_PATH] = "";
        if (readlink(link, now, sizeof now - 1) > 0 && strcmp(now, path) != 0)
            break;
    }
    assert_int_equal(chy_peer_facts(peer, CHY_BASIS_AGENT, &arena, &facts, NULL), CHY_OK);
    assert_int_equal(fact(&facts, "application.path").n, 0);
    assert_int_equal(fact(&facts, "application.sha256").n, 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    chy_peer_unref(peer);
    chy_fd_closep(&fds[0]);
    chy_fd_closep(&fds[1]);
}

static void test_peer__no_socket(void **state)
{
    (void)state;
    struct chy_peer *peer = NULL;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(chy_peer_new(fd, &place, &peer, NULL), CHY_E_NETWORK);
    assert_null(peer);
    chy_fd_closep(&fd);
}

static void test_peer__no_memory(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    bool is_over = false;
    for (size_t n = 0; !is_over; n++) {
        struct chy_peer *peer = NULL;
        struct chy_facts facts;
        chy_mem_fail_after(n);
        enum chy_err r = chy_peer_new(fds[1], &place, &peer, NULL);
        if (r == CHY_OK)
            r = chy_peer_facts(peer, CHY_BASIS_AGENT, &arena, &facts, NULL);
        is_over = !chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
        chy_peer_unref(peer);
        chy_arena_done(&arena);
        chy_arena_init(&arena, CHY_LIMIT_ARENA);
    }
    chy_fd_closep(&fds[0]);
    chy_fd_closep(&fds[1]);
}

/* --- hashes of programs --- */

static void test_programs__are_read_again_when_they_change(void **state)
{
    (void)state;
    char path[] = "/tmp/chancery-test-program-XXXXXX";
    int fd = mkstemp(path);
    uint8_t first[CHY_HASH_BYTES];
    uint8_t again[CHY_HASH_BYTES];
    uint8_t expected[CHY_HASH_BYTES];
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one", 3), 3);
    assert_int_equal(chy_programs_sha256(programs, fd, first, NULL), CHY_OK);
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("one")), expected, NULL), CHY_OK);
    assert_memory_equal(first, expected, sizeof first);
    assert_int_equal(chy_programs_sha256(programs, fd, again, NULL), CHY_OK);
    assert_memory_equal(first, again, sizeof first);
    assert_int_equal(pwrite(fd, "other", 5, 0), 5);
    assert_int_equal(chy_programs_sha256(programs, fd, again, NULL), CHY_OK);
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR("other")), expected, NULL), CHY_OK);
    assert_memory_equal(again, expected, sizeof again);
    chy_fd_closep(&fd);
    (void)unlink(path);
}

static void test_programs__limit(void **state)
{
    (void)state;
    char path[] = "/tmp/chancery-test-program-XXXXXX";
    int fd = mkstemp(path);
    uint8_t digest[CHY_HASH_BYTES];
    assert_true(fd >= 0);
    (void)unlink(path);
    assert_int_equal(ftruncate(fd, (off_t)CHY_LIMIT_PROGRAM + 1), 0);
    assert_int_equal(chy_programs_sha256(programs, fd, digest, NULL), CHY_E_LIMIT);
    chy_fd_closep(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_facts__of_ourselves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts__of_a_process_that_has_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts__of_a_process_that_became_another, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_peer__no_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer__no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_programs__are_read_again_when_they_change, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_programs__limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
