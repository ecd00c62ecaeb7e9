/* SPDX-License-Identifier: MIT */
/* The real process, with readers of the test's own: each does what a document that has taken a
 * reader over would like to do. It must come to nothing, and inspect must answer and go on. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "inspect/inspect.h"
#include "inspect/serve.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/socket.h"

#define SOON       (chy_clock_monotonic_us() + 30000000) /* never reached by a test that passes */
#define TIMEOUT_MS 60000 /* nothing but what never ends takes as long */
#define BRIEF_MS   1500

static char marker[] = "/tmp/chancery-inspect-XXXXXX"; /* what no reader may make */
static struct chy_error why;

/* --- readers that do harm --- */

static void touch_marker(void)
{
    int fd = open(marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static enum chy_err harm_open(struct chy_error *err)
{
    touch_marker();
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return chy_fail(err, CHY_E_IO, "refused");
    return chy_fail(err, CHY_E_INTERNAL, "a reader could open a file");
}

static enum chy_err harm_socket(struct chy_error *err)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return chy_fail(err, CHY_E_INTERNAL, "a reader has socket %d", fd);
}

static enum chy_err harm_socket_pair(struct chy_error *err)
{
    int fds[2];
    int r = socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    return chy_fail(err, CHY_E_INTERNAL, "a reader has a socket pair: %d", r);
}

static enum chy_err harm_fork(struct chy_error *err)
{
    pid_t pid = fork();
    return chy_fail(err, CHY_E_INTERNAL, "a reader has a child: %d", (int)pid);
}

static enum chy_err harm_exec(struct chy_error *err)
{
    char *const argv[] = { (char[]){ "touch" }, marker, NULL };
    execv("/usr/bin/touch", argv);
    return chy_fail(err, CHY_E_INTERNAL, "exec came back");
}

static enum chy_err harm_signal(struct chy_error *err)
{
    int r = kill(getppid(), SIGKILL);
    return chy_fail(err, CHY_E_INTERNAL, "a reader sent a signal: %d", r);
}

static enum chy_err harm_sandbox(struct chy_error *err)
{
    const struct chy_sandbox sandbox = { .name = "again", .limits_calls = true };
    struct chy_sandbox_result result;
    enum chy_err r = chy_sandbox_enter(&sandbox, &result, err);
    return chy_fail(err, CHY_E_INTERNAL, "a reader could enter a sandbox: %d", (int)r);
}

/* Speak for inspect: any descriptor but its own is closed. */
static enum chy_err harm_descriptors(struct chy_error *err)
{
    size_t n = 0;
    for (int fd = chy_sandbox_is_loose() ? 3 : 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return chy_fail(err, CHY_E_STATE, "%zu descriptors", n);
}

static enum chy_err harm_memory(struct chy_error *err)
{
    size_t got = 0;
    const size_t step = 16 << 20;
    for (;;) {
        volatile uint8_t *p = chy_malloc(step);
        if (p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "memory ended after %zu MiB", got >> 20);
        for (size_t i = 0; i < step; i += 4096)
            p[i] = 1; /* it is not given back: that is the attack */
        got += step;
    }
}

static enum chy_err harm_forever(struct chy_error *err)
{
    for (volatile unsigned i = 0; i < 2; i = 0)
        ;
    return chy_fail(err, CHY_E_INTERNAL, "for ever has passed");
}

static enum chy_err harm_crash(struct chy_error *err)
{
    (void)err;
    raise(SIGABRT);
    _exit(0);
}

static enum chy_err harm_exit(struct chy_error *err)
{
    (void)err;
    _exit(0); /* without an answer */
}

static enum chy_err harm_garbage(struct chy_error *err)
{
    (void)err;
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && write(fd, "\xff\xff\xff\xff garbage", 12) != 12)
            _exit(1);
    _exit(0);
}

/* More than a frame can hold. */
static enum chy_err harm_flood(struct chy_error *err)
{
    static const uint8_t zeros[65536];
    (void)err;
    for (int fd = 3; fd < 1024; fd++)
        while (fcntl(fd, F_GETFD) >= 0 && write(fd, zeros, sizeof zeros) > 0)
            ;
    _exit(0);
}

static enum chy_err harm_nap(struct chy_error *err)
{
    struct timespec t = { .tv_nsec = 100000000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    return chy_fail(err, CHY_E_STATE, "rested");
}

/* As "forever", but leaves the processor to the others. */
static enum chy_err harm_sleep(struct chy_error *err)
{
    struct timespec t = { .tv_sec = 3600 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    return chy_fail(err, CHY_E_INTERNAL, "an hour has passed");
}

static const struct {
    const char *text;
    enum chy_err (*fn)(struct chy_error *err);
} harms[] = {
    { "open", harm_open },        { "socket", harm_socket },
    { "pair", harm_socket_pair }, { "fork", harm_fork },
    { "exec", harm_exec },        { "signal", harm_signal },
    { "sandbox", harm_sandbox },  { "descriptors", harm_descriptors },
    { "memory", harm_memory },    { "forever", harm_forever },
    { "crash", harm_crash },      { "exit", harm_exit },
    { "garbage", harm_garbage },  { "flood", harm_flood },
    { "nap", harm_nap },          { "sleep", harm_sleep },
};

static enum chy_err run_harm(const struct chy_inspect_request *request, struct chy_arena *arena,
                             struct chy_inspect_reply *reply, struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(harms); i++)
        if (chy_str_equal_c(request->text, harms[i].text))
            return harms[i].fn(err);
    return chy_inspect_run(request, arena, reply, err);
}

/* --- the process --- */

struct served {
    struct chy_process process;
    struct chy_channel *supervisor;
    struct chy_channel *signer;
};

static void send_struct(struct chy_channel *channel, enum chy_msg type, uint64_t id,
                        const struct chy_schema *schema, const void *value, int fd)
{
    struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    assert_int_equal(chy_schema_encode(schema, value, &body, &why), CHY_OK);
    struct chy_frame frame = { .type = (uint16_t)type, .id = id, .body = chy_buf_bytes(&body) };
    enum chy_err r = fd < 0 ? chy_channel_send(channel, &frame, &why)
                            : chy_channel_send_fds(channel, &frame, &fd, 1, &why);
    assert_int_equal(r, CHY_OK);
    assert_int_equal(chy_channel_flush_wait(channel, SOON, &why), CHY_OK);
    chy_buf_done(&body);
}

static struct chy_channel *channel_of(int fd)
{
    const struct chy_channel_options options = { .send_limit_bytes = 4 * CHY_LIMIT_FRAME };
    struct chy_channel *channel;
    assert_int_equal(chy_channel_new(fd, &options, &channel, &why), CHY_OK);
    return channel;
}

static struct chy_channel *peer_connect(struct chy_channel *supervisor, enum chy_process_kind kind)
{
    int fds[2];
    assert_int_equal(chy_socket_pair(fds, &why), CHY_OK);
    struct chy_peer peer = { .process = kind };
    send_struct(supervisor, CHY_MSG_PEER, 0, &chy_peer_schema, &peer, fds[1]);
    close(fds[1]);
    return channel_of(fds[0]);
}

static struct served serve_with(uint32_t timeout_ms)
{
    struct served s = { .process = { -1, -1 } };
    int fds[2];
    static const char *const keep[] = { "CHANCERY_TEST_MARKER", NULL };
    assert_int_equal(chy_socket_pair(fds, &why), CHY_OK);
    const struct chy_process_spec spec = {
        .role = "@inspect", .fds = &fds[1], .fd_count = 1, .env_keep = keep
    };
    assert_int_equal(chy_process_spawn(&spec, &s.process, &why), CHY_OK);
    close(fds[1]);
    s.supervisor = channel_of(fds[0]);
    const struct chy_inspect_config config = { .log_level = CHY_STR("error"),
                                               .timeout_ms = timeout_ms };
    send_struct(s.supervisor, CHY_MSG_CONFIG, 0, &chy_inspect_config_schema, &config, -1);
    struct chy_frame frame;
    if (chy_channel_receive_wait(s.supervisor, SOON, &frame, &why) != CHY_OK)
        fail_msg("%s", why.text);
    assert_int_equal(frame.type, CHY_MSG_READY);
    s.signer = peer_connect(s.supervisor, CHY_PROCESS_SIGNER);
    return s;
}

static struct served serve(void)
{
    return serve_with(TIMEOUT_MS);
}

static int exit_code(struct served *s)
{
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&s->process, SOON, &end, &why), CHY_OK);
    assert_false(end.was_signal);
    chy_channel_free(s->signer);
    chy_channel_free(s->supervisor);
    return end.value;
}

static int drain(struct served *s)
{
    send_struct(s->supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &(struct chy_empty){ 0 }, -1);
    return exit_code(s);
}

static void ask(struct chy_channel *channel, uint64_t id, const char *text)
{
    struct chy_inspect_request request = { .what = CHY_INSPECT_GUARD, .text = chy_str_of(text) };
    send_struct(channel, CHY_MSG_INSPECT, id, &chy_inspect_request_schema, &request, -1);
}

struct answer {
    uint64_t id;
    enum chy_err code;
    char text[CHY_LIMIT_TEXT + 1];
    size_t made_n;
};

static struct answer receive(struct chy_channel *channel)
{
    struct answer a = { .id = 0 };
    struct chy_frame frame;
    struct chy_arena arena;
    struct chy_inspect_reply reply;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    if (chy_channel_receive_wait(channel, SOON, &frame, &why) != CHY_OK)
        fail_msg("%s", why.text);
    assert_int_equal(frame.type, CHY_MSG_INSPECT_REPLY);
    assert_int_equal(chy_schema_decode(&chy_inspect_reply_schema, frame.body, &arena, &reply, &why),
                     CHY_OK);
    a.id = frame.id;
    a.code = (enum chy_err) - (int)reply.code;
    a.made_n = reply.made.n;
    memcpy(a.text, reply.text.p, reply.text.n);
    chy_arena_done(&arena);
    return a;
}

#define GOOD_GUARD "- principal: alice\n"

static void assert_lives(struct served *s)
{
    ask(s->signer, 77, GOOD_GUARD);
    struct answer a = receive(s->signer);
    assert_int_equal(a.id, 77);
    assert_int_equal(a.code, CHY_OK);
    assert_true(a.made_n > 0);
}

/* One harm, one answer, and the next document is read. */
static void assert_harmless_within(uint32_t timeout_ms, const char *harm, enum chy_err code,
                                   const char *text)
{
    struct served s = serve_with(timeout_ms);
    ask(s.signer, 5, harm);
    struct answer a = receive(s.signer);
    assert_int_equal(a.id, 5);
    if (strstr(a.text, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, a.text);
    assert_int_equal(a.code, code);
    assert_lives(&s);
    assert_int_equal(access(marker, F_OK), -1);
    assert_int_equal(drain(&s), INSPECT_EXIT_DRAINED);
}

static void assert_harmless(const char *harm, enum chy_err code, const char *text)
{
    assert_harmless_within(TIMEOUT_MS, harm, code, text);
}

static void need_sandbox(void)
{
    if (chy_sandbox_is_loose()) {
        print_message("a loose build has no seccomp filter\n");
        skip();
    }
}

/* --- tests --- */

static void test_serve__reads_and_drains(void **state)
{
    (void)state;
    struct served s = serve();
    assert_lives(&s);
    ask(s.signer, 9, "- nonsense: x\n");
    struct answer a = receive(s.signer);
    assert_int_equal(a.id, 9);
    assert_int_equal(a.code, CHY_E_MALFORMED);
    assert_non_null(strstr(a.text, "line 1"));
    assert_int_equal(drain(&s), INSPECT_EXIT_DRAINED);
}

static void test_serve__drains_what_is_in_flight(void **state)
{
    (void)state;
    struct served s = serve();
    for (uint64_t id = 1; id <= 60; id++)
        ask(s.signer, id, "nap");
    /* By the time that the first has rested, all have come. */
    assert_string_equal(receive(s.signer).text, "rested");
    send_struct(s.supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &(struct chy_empty){ 0 }, -1);
    for (int i = 1; i < 60; i++)
        assert_string_equal(receive(s.signer).text, "rested");
    assert_int_equal(exit_code(&s), INSPECT_EXIT_DRAINED);
}

static void test_hostile__opens_files(void **state)
{
    (void)state;
    need_sandbox();
    assert_harmless("open", CHY_E_IO, "refused");
}

static void test_hostile__makes_sockets(void **state)
{
    (void)state;
    need_sandbox();
    assert_harmless("socket", CHY_E_UNSUPPORTED, "SIGSYS");
    assert_harmless("pair", CHY_E_UNSUPPORTED, "SIGSYS");
}

static void test_hostile__starts_processes(void **state)
{
    (void)state;
    need_sandbox();
    assert_harmless("fork", CHY_E_UNSUPPORTED, "SIGSYS");
    assert_harmless("exec", CHY_E_UNSUPPORTED, "SIGSYS");
}

static void test_hostile__signals_its_parent(void **state)
{
    (void)state;
    need_sandbox();
    assert_harmless("signal", CHY_E_UNSUPPORTED, "SIGSYS");
}

static void test_hostile__changes_its_sandbox(void **state)
{
    (void)state;
    need_sandbox();
    assert_harmless("sandbox", CHY_E_UNSUPPORTED, "SIGSYS");
}

static void test_hostile__looks_for_descriptors(void **state)
{
    (void)state;
    assert_harmless("descriptors", CHY_E_STATE, "1 descriptors");
}

static void test_hostile__takes_all_memory(void **state)
{
    (void)state;
    need_sandbox();
    assert_harmless("memory", CHY_E_NOMEM, "memory ended");
}

static void test_hostile__never_ends(void **state)
{
    (void)state;
    assert_harmless_within(BRIEF_MS, "forever", CHY_E_TIMEOUT, "within 1500 ms");
}

static void test_hostile__crashes(void **state)
{
    (void)state;
    assert_harmless("crash", CHY_E_UNSUPPORTED, "its reader");
    assert_harmless("exit", CHY_E_UNSUPPORTED, "no proper answer");
}

static void test_hostile__answers_garbage(void **state)
{
    (void)state;
    need_sandbox(); /* in a loose build standard error is open as well */
    assert_harmless("garbage", CHY_E_UNSUPPORTED, "no proper answer");
    assert_harmless("flood", CHY_E_UNSUPPORTED, "the document could not be read");
}

static void test_hostile__malformed_request(void **state)
{
    (void)state;
    struct served s = serve();
    struct chy_frame frame = { .type = CHY_MSG_INSPECT,
                               .id = 3,
                               .body = { (const uint8_t *)"\xff\xff\xff", 3 } };
    assert_int_equal(chy_channel_send(s.signer, &frame, &why), CHY_OK);
    struct answer a = receive(s.signer);
    assert_int_equal(a.id, 3);
    assert_int_equal(a.code, CHY_E_MALFORMED);
    assert_lives(&s);
    assert_int_equal(drain(&s), INSPECT_EXIT_DRAINED);
}

static void test_many__100_at_once(void **state)
{
    (void)state;
    struct served s = serve();
    bool seen[101] = { false };
    for (uint64_t id = 1; id <= 100; id++)
        ask(s.signer, id, id % 2 != 0 ? GOOD_GUARD : "nap");
    for (int i = 0; i < 100; i++) {
        struct answer a = receive(s.signer);
        assert_in_range(a.id, 1, 100);
        assert_false(seen[a.id]);
        seen[a.id] = true;
        assert_int_equal(a.code, a.id % 2 != 0 ? CHY_OK : CHY_E_STATE);
    }
    assert_int_equal(drain(&s), INSPECT_EXIT_DRAINED);
}

/* While query fills every reader with documents that never end, signer's are still read. */
static void test_many__one_peer_does_not_starve_the_other(void **state)
{
    (void)state;
    struct served s = serve_with(3 * BRIEF_MS); /* a loaded machine reads one in it */
    struct chy_channel *query = peer_connect(s.supervisor, CHY_PROCESS_QUERY);
    for (uint64_t id = 1; id <= 2 * CHY_LIMIT_INSPECT_READERS; id++)
        ask(query, id, "sleep");
    ask(s.signer, 1, GOOD_GUARD);
    assert_int_equal(receive(s.signer).code, CHY_OK);
    /* The first batch may have had to be killed; the second did not go first. */
    struct chy_frame frame;
    size_t killed = 0;
    while (chy_channel_receive_wait(query, chy_clock_monotonic_us(), &frame, NULL) == CHY_OK)
        killed++;
    assert_true(killed < 2 * CHY_LIMIT_INSPECT_READERS);
    chy_channel_free(query);
    assert_lives(&s);
    assert_int_equal(drain(&s), INSPECT_EXIT_DRAINED);
}

static void test_many__past_the_queue_is_busy(void **state)
{
    (void)state;
    struct served s = serve_with(600000); /* nothing leaves the queue meanwhile */
    const uint64_t n = CHY_LIMIT_INSPECT_READERS + CHY_LIMIT_INSPECT_QUEUE + 10;
    size_t busy = 0;
    for (uint64_t id = 1; id <= n; id++)
        ask(s.signer, id, "sleep");
    for (int i = 0; i < 10; i++)
        busy += receive(s.signer).code == CHY_E_BUSY ? 1 : 0;
    assert_int_equal(busy, 10);
    chy_process_endp(&s.process);
    chy_channel_free(s.signer);
    chy_channel_free(s.supervisor);
}

static void test_peer__wrong_frame_ends_it_alone(void **state)
{
    (void)state;
    struct served s = serve();
    struct chy_channel *query = peer_connect(s.supervisor, CHY_PROCESS_QUERY);
    struct chy_frame frame = { .type = CHY_MSG_CALL };
    assert_int_equal(chy_channel_send(query, &frame, &why), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(query, SOON, &frame, &why), CHY_E_NOT_FOUND);
    chy_channel_free(query);
    assert_lives(&s);
    assert_int_equal(drain(&s), INSPECT_EXIT_DRAINED);
}

static void test_supervisor__wrong_frame_and_wrong_peer_end_it(void **state)
{
    (void)state;
    struct served s = serve();
    send_struct(s.supervisor, CHY_MSG_READY, 0, &chy_empty_schema, &(struct chy_empty){ 0 }, -1);
    assert_int_equal(exit_code(&s), INSPECT_EXIT_TROUBLE);
    s = serve();
    chy_channel_free(peer_connect(s.supervisor, CHY_PROCESS_FRONT));
    assert_int_equal(exit_code(&s), INSPECT_EXIT_TROUBLE);
}

static int group_setup(void **state)
{
    (void)state;
    chy_process_ignore_sigpipe();
    int fd = mkstemp(marker);
    if (fd < 0 || close(fd) != 0 || unlink(marker) != 0)
        return -1;
    return setenv("CHANCERY_TEST_MARKER", marker, 1);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "@inspect") == 0) {
        const char *path = secure_getenv("CHANCERY_TEST_MARKER");
        if (path == NULL || strlen(path) >= sizeof marker)
            return 90;
        snprintf(marker, sizeof marker, "%s", path);
        return inspect_serve(run_harm);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serve__reads_and_drains),
        cmocka_unit_test(test_serve__drains_what_is_in_flight),
        cmocka_unit_test(test_hostile__opens_files),
        cmocka_unit_test(test_hostile__makes_sockets),
        cmocka_unit_test(test_hostile__starts_processes),
        cmocka_unit_test(test_hostile__signals_its_parent),
        cmocka_unit_test(test_hostile__changes_its_sandbox),
        cmocka_unit_test(test_hostile__looks_for_descriptors),
        cmocka_unit_test(test_hostile__takes_all_memory),
        cmocka_unit_test(test_hostile__never_ends),
        cmocka_unit_test(test_hostile__crashes),
        cmocka_unit_test(test_hostile__answers_garbage),
        cmocka_unit_test(test_hostile__malformed_request),
        cmocka_unit_test(test_many__100_at_once),
        cmocka_unit_test(test_many__one_peer_does_not_starve_the_other),
        cmocka_unit_test(test_many__past_the_queue_is_busy),
        cmocka_unit_test(test_peer__wrong_frame_ends_it_alone),
        cmocka_unit_test(test_supervisor__wrong_frame_and_wrong_peer_end_it),
    };
    if (kernel_skips_all())
        return 0;
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
