/* SPDX-License-Identifier: MIT */
/* The supervisor with processes that do nothing but tell what they are sent (fake_role.h). */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
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
#include "base/buf.h"
#include "codec/hex.h"
#include "crypto/init.h"
#include "fake_role.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "os/tree.h"
#include "supervisor/config.h"
#include "supervisor/identity.h"
#include "supervisor/init.h"
#include "supervisor/supervisor.h"

#define SOON_US  INT64_C(60000000) /* never reached by a test that passes */
#define TEXT_MAX ((size_t)1048576)
#define ROLES    6 /* front, query, inspect, signer and two tokens */

struct server {
    char folder[PATH_MAX];
    char config[PATH_MAX + 64];
    struct chy_process process;
    int log;             /* standard error of the server; non-blocking */
    int events;          /* the FIFO; non-blocking */
    struct chy_buf text; /* of the log, all so far */
    struct chy_buf told; /* of the events, all so far */
};

/* --- a server --- */

static void file_put(const struct server *s, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    assert_int_equal(chy_file_replace(AT_FDCWD, path, chy_str_bytes(chy_str_of(text)), 0600, NULL),
                     CHY_OK);
}

/* The file that `chanceryd init` writes, and what makes the roles tell. */
static void config_put_token(const struct server *s, const struct chy_config_token *token,
                             const char *more)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    char data[PATH_MAX + 32];
    struct chy_str address = CHY_STR("127.0.0.1:0");
    snprintf(data, sizeof data, "%s/data", s->folder);
    struct chy_config given = {
        .data = chy_str_of(data),
        .listen = { &address, 1 },
        .log = { .origin = CHY_STR("example.org/log") },
        .tokens = { token, 1 },
    };
    chy_buf_init(&text, TEXT_MAX);
    assert_int_equal(chy_config_write(&given, &text, NULL), CHY_OK);
    chy_buf_printf(&text, "\nrun_as: {front: &, query: &, inspect: &, signer: &, token: &}\n%s",
                   more);
    chy_buf_append_u8(&text, '\0');
    /* No YAML aliases: the path is written in each place. */
    CHY_CLEANUP(chy_buf_done) struct chy_buf full;
    chy_buf_init(&full, TEXT_MAX);
    for (const char *p = (const char *)text.p; *p != '\0'; p++)
        if (*p == '&')
            chy_buf_printf(&full, "\"%s/events\"", s->folder);
        else
            chy_buf_append_u8(&full, (uint8_t)*p);
    assert_int_equal(chy_buf_check(&full, NULL), CHY_OK);
    assert_int_equal(chy_file_replace(AT_FDCWD, s->config, chy_buf_bytes(&full), 0600, NULL),
                     CHY_OK);
}

static void config_put(const struct server *s, const char *more)
{
    struct chy_config_token token = { .name = CHY_STR("soft"), .workers = 2 };
    config_put_token(s, &token, more);
}

static int server_make(void **state)
{
    struct server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    char data[PATH_MAX + 32];
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_init_result made;
    struct chy_error error;
    chy_arena_init(&arena, TEXT_MAX);
    snprintf(s->folder, sizeof s->folder, "/tmp/chancery-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(chmod(s->folder, 0755), 0);
    snprintf(data, sizeof data, "%s/data", s->folder);
    snprintf(s->config, sizeof s->config, "%s/data/chanceryd.yaml", s->folder);
    struct chy_init_options options = { .data = data };
    if (chy_init(&options, &arena, &made, &error) != CHY_OK)
        fail_msg("%s", error.text);
    char fifo[PATH_MAX + 32];
    snprintf(fifo, sizeof fifo, "%s/events", s->folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    s->events = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(s->events >= 0);
    s->process = (struct chy_process){ -1, -1 };
    s->log = -1;
    chy_buf_init(&s->text, TEXT_MAX);
    chy_buf_init(&s->told, TEXT_MAX);
    config_put(s, "");
    *state = s;
    return 0;
}

static int server_drop(void **state)
{
    struct server *s = *state;
    chy_process_endp(&s->process);
    chy_fd_closep(&s->log);
    chy_fd_closep(&s->events);
    chy_buf_done(&s->text);
    chy_buf_done(&s->told);
    assert_int_equal(chy_tree_remove(AT_FDCWD, s->folder, false, NULL), CHY_OK);
    free(s);
    return 0;
}

static CHY_NORETURN void server_run(const struct server *s, int log, bool accept_older)
{
    struct chy_supervisor_options options = { s->config, accept_older };
    struct chy_error error;
    if (dup2(log, STDERR_FILENO) < 0)
        _exit(90);
    enum chy_err r = chy_supervisor_run(&options, &error);
    if (r != CHY_OK)
        fprintf(stderr, "FAILED %s\n", error.text);
    _exit(r == CHY_OK ? 0 : -(int)r);
}

static void server_launch(struct server *s, bool accept_older)
{
    int ends[2];
    bool is_child = false;
    chy_buf_clear(&s->text);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(chy_process_fork(&s->process, &is_child, NULL), CHY_OK);
    if (is_child)
        server_run(s, ends[1], accept_older);
    close(ends[1]);
    chy_fd_closep(&s->log);
    s->log = ends[0];
    assert_int_equal(chy_fd_set_nonblocking(s->log, true, NULL), CHY_OK);
}

/* Read what there is; the text stays NUL-terminated behind its end. */
static void drain(int fd, struct chy_buf *to)
{
    ssize_t n;
    do {
        uint8_t *p = chy_buf_room(to, 4097);
        assert_non_null(p);
        n = read(fd, p, 4096);
        chy_buf_added(to, n > 0 ? (size_t)n : 0);
        to->p[to->n] = '\0';
    } while (n > 0);
}

static size_t count(const struct chy_buf *in, const char *what)
{
    size_t n = 0;
    const char *p = in->p != NULL ? (const char *)in->p : "";
    while ((p = strstr(p, what)) != NULL) {
        n++;
        p += strlen(what);
    }
    return n;
}

/* Until `what` was there `times` times. */
static void wait_for(struct server *s, int fd, struct chy_buf *in, const char *what, size_t times)
{
    int64_t deadline = chy_clock_monotonic_us() + SOON_US;
    drain(fd, in);
    while (count(in, what) < times) {
        if (chy_fd_wait(fd, POLLIN, deadline, NULL) != CHY_OK)
            fail_msg("never saw %zu times \"%s\" in\n%s\n%s", times, what, (char *)s->text.p,
                     (char *)s->told.p);
        size_t before = in->n;
        drain(fd, in);
        if (in->n == before && fd == s->log && count(in, what) < times)
            fail_msg("the server ended without \"%s\":\n%s\n%s", what, (char *)s->text.p,
                     (char *)s->told.p);
    }
}

static void wait_log(struct server *s, const char *what, size_t times)
{
    wait_for(s, s->log, &s->text, what, times);
}

static void wait_event(struct server *s, const char *what, size_t times)
{
    wait_for(s, s->events, &s->told, what, times);
}

static void server_start(struct server *s)
{
    server_launch(s, false);
    wait_log(s, "\"server.ready\"", 1);
}

static int server_end(struct server *s)
{
    struct chy_process_end end;
    assert_int_equal(chy_process_wait(&s->process, chy_clock_monotonic_us() + SOON_US, &end, NULL),
                     CHY_OK);
    assert_false(end.was_signal);
    drain(s->log, &s->text);
    drain(s->events, &s->told);
    return end.value;
}

static void server_signal(const struct server *s, int number)
{
    assert_int_equal(chy_process_signal(&s->process, number, NULL), CHY_OK);
}

static void server_stop(struct server *s)
{
    server_signal(s, SIGTERM);
    assert_int_equal(server_end(s), 0);
}

/* The process of the role that told something last: "front", "token soft 1". */
static pid_t pid_of(const struct server *s, const char *role)
{
    char start[64];
    int pid = 0;
    snprintf(start, sizeof start, "\n%s ", role);
    for (const char *p = (const char *)s->told.p; (p = strstr(p, start)) != NULL; p++) {
        const char *digits = p + strlen(start);
        for (pid = 0; *digits >= '0' && *digits <= '9'; digits++)
            pid = pid * 10 + (*digits - '0');
    }
    assert_true(pid > 0);
    return pid;
}

/* Where the first line of this event stands. */
static size_t place_of(const struct server *s, const char *role, const char *what)
{
    char line[128];
    for (const char *p = (const char *)s->told.p; *p != '\0';) {
        const char *end = strchr(p, '\n');
        assert_non_null(end);
        snprintf(line, sizeof line, "%.*s", (int)(end - p), p);
        size_t n = strlen(line);
        if (strncmp(line, role, strlen(role)) == 0 && n >= strlen(what) &&
            strcmp(line + n - strlen(what), what) == 0)
            return (size_t)(p - (const char *)s->told.p);
        p = end + 1;
    }
    fail_msg("%s was never told %s in\n%s", role, what, (char *)s->told.p);
    return 0;
}

/* --- starting --- */

static void test_run__every_process_gets_what_it_needs(void **state)
{
    static const char *const expected[][2] = {
        { "front ", "FILE listener" },      { "front ", "FILE tls-certificate" },
        { "front ", "FILE tls-key" },       { "front ", "PEER signer" },
        { "front ", "PEER query" },         { "query ", "PEER front" },
        { "query ", "PEER inspect" },       { "inspect ", "PEER query" },
        { "inspect ", "PEER signer" },      { "signer ", "PEER front" },
        { "signer ", "PEER inspect" },      { "signer ", "PEER token soft 0" },
        { "signer ", "PEER token soft 1" }, { "token soft 0 ", "PEER signer" },
        { "token soft 1 ", "PEER signer" }, { "token soft 0 ", "FILE pin" },
        { "token soft 1 ", "FILE pin" },
    };
    struct server *s = *state;
    server_start(s);
    wait_event(s, " PEER ", 12);
    for (size_t i = 0; i < CHY_ARRAY_LEN(expected); i++) {
        size_t config = place_of(s, expected[i][0], "CONFIG");
        assert_true(config < place_of(s, expected[i][0], expected[i][1]));
    }
    server_stop(s);
    assert_int_equal(count(&s->told, " PEER "), 12);
    assert_int_equal(count(&s->told, " CONFIG\n"), ROLES);
    assert_int_equal(count(&s->told, " FILE "), 5);
    assert_int_equal(count(&s->told, "writable"), 0);
    assert_int_equal(count(&s->told, "unreadable"), 0);
}

static void test_run__the_environment_is_not_handed_on(void **state)
{
    struct server *s = *state;
    assert_int_equal(setenv("CHANCERY_TEST_SECRET", "planted", 1), 0);
    server_start(s);
    server_stop(s);
    assert_int_equal(unsetenv("CHANCERY_TEST_SECRET"), 0);
    assert_int_equal(count(&s->told, "planted"), 0);
    assert_int_equal(count(&s->told, "ENV PATH="), 0);
    assert_int_equal(count(&s->told, "ENV SOFTHSM2_CONF="), 2); /* the tokens' */
    assert_int_equal(count(&s->told, "ENV GLIBC_TUNABLES=glibc.malloc.tcache_count=127\n"), ROLES);
    place_of(s, "token soft 0 ", "/data/tokens/soft/softhsm2.conf");
}

static void test_run__port_0_is_told_to_the_signer(void **state)
{
    struct server *s = *state;
    server_start(s);
    server_stop(s);
    assert_int_equal(count(&s->told, " SIGNER https://127.0.0.1:"), 1);
    assert_int_equal(count(&s->told, " SIGNER https://127.0.0.1:0\n"), 0);
}

static void test_run__an_older_store_is_accepted_once(void **state)
{
    struct server *s = *state;
    server_launch(s, true);
    wait_log(s, "\"server.ready\"", 1);
    wait_event(s, "accepts an older store", 1);
    kill(pid_of(s, "signer"), SIGKILL);
    wait_event(s, " SIGNER ", 2);
    server_stop(s);
    assert_int_equal(count(&s->told, "accepts an older store"), 1);
}

static void test_run__a_death_before_all_are_ready_ends_the_start(void **state)
{
    struct server *s = *state;
    file_put(s, "signer.does", "die");
    server_launch(s, false);
    assert_int_equal(server_end(s), -(int)CHY_E_STATE);
    assert_int_equal(count(&s->text, "FAILED signer ended before the server was ready"), 1);
    assert_int_equal(count(&s->text, "exited with 7"), 1);
    assert_int_equal(count(&s->text, "\"server.ready\""), 0);
    assert_int_equal(count(&s->text, "\"process.waits\""), 0);
}

static void test_run__a_data_directory_has_one_server(void **state)
{
    struct server *s = *state;
    server_start(s);
    struct server second = *s;
    second.log = -1;
    chy_buf_init(&second.text, TEXT_MAX);
    server_launch(&second, false);
    assert_int_equal(server_end(&second), -(int)CHY_E_BUSY);
    assert_int_equal(count(&second.text, "/data is in use: "), 1);
    chy_fd_closep(&second.log);
    chy_buf_done(&second.text);
    s->told = second.told; /* it was read there */
    server_stop(s);
}

static void test_run__a_wrong_configuration_is_told_with_its_line(void **state)
{
    struct server *s = *state;
    config_put(s, "lissten: [\"127.0.0.1:1\"]\n");
    server_launch(s, false);
    assert_int_equal(server_end(s), -(int)CHY_E_MALFORMED);
    assert_int_equal(count(&s->text, "chanceryd.yaml: line "), 1);
    assert_int_equal(count(&s->text, "lissten"), 1);
    assert_int_equal(count(&s->told, " CONFIG"), 0);
}

static void test_run__a_key_that_others_can_read_is_refused(void **state)
{
    struct server *s = *state;
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/data/" CHY_DATA_TLS_KEY_FILE, s->folder);
    assert_int_equal(chmod(path, 0644), 0);
    server_launch(s, false);
    assert_int_equal(server_end(s), -(int)CHY_E_FORBIDDEN);
    assert_int_equal(count(&s->text, "has mode 0644"), 1);
}

/* As systemd hands a credential over: in a folder whose name is in the environment. */
static void test_run__a_pin_may_be_a_credential(void **state)
{
    struct server *s = *state;
    CHY_CLEANUP(chy_fd_closep) int dir = -1;
    struct chy_config_token token = {
        .name = CHY_STR("soft"),
        .workers = 2,
        .pin_credential = CHY_STR("token-pin"),
    };
    config_put_token(s, &token, "");
    assert_int_equal(chy_dir_open(AT_FDCWD, s->folder, &dir, NULL), CHY_OK);
    assert_int_equal(renameat(dir, "data/" CHY_DATA_SECRETS "/soft.pin", dir, "token-pin"), 0);
    server_launch(s, false);
    assert_int_equal(server_end(s), -(int)CHY_E_NOT_FOUND);
    assert_int_equal(count(&s->text, "there is no $CREDENTIALS_DIRECTORY"), 1);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", s->folder, 1), 0);
    server_start(s);
    wait_event(s, " FILE pin\n", 2);
    server_stop(s);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void test_run__the_key_must_be_the_certificates(void **state)
{
    struct server *s = *state;
    CHY_CLEANUP(chy_fd_closep) int dir = -1;
    uint8_t pin[CHY_HASH_BYTES];
    struct chy_str name = CHY_STR("dns:localhost");
    assert_int_equal(chy_dir_open(AT_FDCWD, s->folder, &dir, NULL), CHY_OK);
    assert_int_equal(chy_identity_make(dir, "other.pem", "data/tls/other-key.pem",
                                       (struct chy_strs){ &name, 1 }, chy_clock_realtime_us(), pin,
                                       NULL),
                     CHY_OK);
    assert_int_equal(renameat(dir, "data/tls/other-key.pem", dir, "data/" CHY_DATA_TLS_KEY_FILE),
                     0);
    server_launch(s, false);
    assert_int_equal(server_end(s), -(int)CHY_E_CONFLICT);
    assert_int_equal(count(&s->text, "is not that of the certificate"), 1);
}

/* --- deaths --- */

static void test_run__a_dead_process_is_started_again_and_linked(void **state)
{
    static const struct {
        const char *role;
        size_t peers; /* links that are made anew: two PEER frames each */
    } cases[] = {
        { "front", 2 }, { "query", 2 }, { "inspect", 2 }, { "signer", 4 }, { "token soft 1", 1 },
    };
    struct server *s = *state;
    server_start(s);
    size_t links = 6;
    wait_event(s, " PEER ", 2 * links);
    size_t made = 2 * links;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        pid_t before = pid_of(s, cases[i].role);
        assert_int_equal(kill(before, SIGKILL), 0);
        made += 2 * cases[i].peers;
        wait_event(s, " PEER ", made);
        wait_event(s, " CONFIG\n", ROLES + i + 1);
        assert_int_not_equal(pid_of(s, cases[i].role), before);
    }
    server_stop(s);
    assert_int_equal(count(&s->text, "was killed by SIGKILL"), CHY_ARRAY_LEN(cases));
    assert_int_equal(count(&s->text, "\"server.ready\""), 1);
}

static void test_run__each_wait_is_twice_as_long(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " CONFIG\n", ROLES);
    for (size_t i = 0; i < 3; i++) {
        kill(pid_of(s, "query"), SIGKILL);
        wait_event(s, " CONFIG\n", ROLES + i + 1);
    }
    server_stop(s);
    assert_int_equal(count(&s->text, "\"process\":\"query\",\"wait_ms\":100}"), 1);
    assert_int_equal(count(&s->text, "\"process\":\"query\",\"wait_ms\":200}"), 1);
    assert_int_equal(count(&s->text, "\"process\":\"query\",\"wait_ms\":400}"), 1);
}

static void test_run__a_token_that_hangs_is_killed(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " PEER ", 12);
    pid_t hung = pid_of(s, "token soft 1");
    pid_t other = pid_of(s, "token soft 0");
    kill(pid_of(s, "signer"), SIGUSR1);
    wait_event(s, " PEER ", 14);
    wait_event(s, " PEER-END token soft 1\n", 1);
    assert_int_not_equal(pid_of(s, "token soft 1"), hung);
    assert_int_equal(pid_of(s, "token soft 0"), other);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"process.hung\",\"process\":\"token soft 1\""), 1);
}

static void test_run__only_the_signer_may_accuse(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " PEER ", 12);
    kill(pid_of(s, "front"), SIGUSR1);
    wait_log(s, "\"process.accuses\",\"process\":\"front\"", 1);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"process.hung\""), 0);
    assert_int_equal(count(&s->told, " CONFIG\n"), ROLES);
}

static void test_run__a_process_that_misbehaves_is_replaced(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " PEER ", 12);
    kill(pid_of(s, "front"), SIGUSR2);
    wait_event(s, " CONFIG\n", ROLES + 1);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"process.misbehaves\",\"process\":\"front\""), 1);
}

static void test_run__a_wrong_pin_is_not_tried_again_but_on_hangup(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " PEER ", 12);
    file_put(s, "token soft 1.does", "wrong-pin");
    kill(pid_of(s, "token soft 1"), SIGKILL);
    wait_log(s, "\"process.given_up\",\"process\":\"token soft 1\"", 1);
    file_put(s, "token soft 1.does", "nothing");
    server_signal(s, SIGHUP);
    wait_event(s, " PEER ", 14);
    server_stop(s);
    /* One for the death by SIGKILL, none for the wrong PIN. */
    assert_int_equal(count(&s->text, "\"process.waits\""), 1);
}

/* --- reload --- */

static void test_reload__a_new_certificate(void **state)
{
    struct server *s = *state;
    CHY_CLEANUP(chy_fd_closep) int dir = -1;
    uint8_t pin[CHY_HASH_BYTES];
    char told[CHY_HEX_SIZE(CHY_HASH_BYTES) + 8] = " PIN ";
    struct chy_str name = CHY_STR("dns:localhost");
    server_start(s);
    wait_event(s, " FILE ", 5);
    assert_int_equal(chy_dir_open(AT_FDCWD, s->folder, &dir, NULL), CHY_OK);
    assert_int_equal(chy_identity_make(dir, "new.pem", "new-key.pem", (struct chy_strs){ &name, 1 },
                                       chy_clock_realtime_us(), pin, NULL),
                     CHY_OK);
    assert_int_equal(renameat(dir, "new.pem", dir, "data/" CHY_DATA_TLS_CERTIFICATE_FILE), 0);
    assert_int_equal(renameat(dir, "new-key.pem", dir, "data/" CHY_DATA_TLS_KEY_FILE), 0);
    server_signal(s, SIGHUP);
    wait_event(s, " FILE tls-certificate\n", 2);
    wait_event(s, " FILE tls-key\n", 2);
    wait_log(s, "\"server.reloaded\"", 1);
    /* Front goes on with it; signer, who makes enrolment codes, begins anew with its pin. */
    chy_hex_encode((struct chy_bytes){ pin, sizeof pin }, told + strlen(told));
    wait_event(s, told, 1);
    wait_event(s, " PEER ", 12 + 8);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"server.new_tls_key\""), 1);
    assert_int_equal(count(&s->text, "\"server.restart_needed\""), 0);
    assert_int_equal(count(&s->told, " CONFIG\n"), ROLES + 1);
    assert_int_equal(count(&s->told, " DRAIN\n"), ROLES + 1);
}

static void test_reload__the_same_key_disturbs_nobody(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " FILE ", 5);
    server_signal(s, SIGHUP);
    wait_event(s, " FILE tls-key\n", 2);
    wait_log(s, "\"server.reloaded\"", 1);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"server.new_tls_key\""), 0);
    assert_int_equal(count(&s->told, " CONFIG\n"), ROLES);
}

static void test_reload__a_wrong_configuration_changes_nothing(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " FILE ", 5);
    config_put(s, "limits: {max_calls: none}\n");
    server_signal(s, SIGHUP);
    wait_log(s, "\"server.not_reloaded\"", 1);
    server_stop(s);
    assert_int_equal(count(&s->text, "limits.max_calls"), 1);
    assert_int_equal(count(&s->told, " FILE "), 5);
}

static void test_reload__says_what_needs_a_restart(void **state)
{
    struct server *s = *state;
    server_start(s);
    config_put(s, "node: other\nlog_level: info\nlimits: {max_calls: 7}\n");
    server_signal(s, SIGHUP);
    wait_log(s, "\"server.reloaded\"", 1);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"settings\":\"node, limits.max_calls, log_level\""), 1);
    /* The supervisor's own level holds at once. */
    assert_true(count(&s->text, "\"process.ended\"") >= 1);
}

/* --- ending --- */

static void test_end__in_order(void **state)
{
    static const char *const order[] = { "front ", "query ", "signer ", "inspect ", "token " };
    struct server *s = *state;
    server_start(s);
    wait_event(s, " CONFIG\n", ROLES);
    server_stop(s);
    assert_int_equal(count(&s->told, " DRAIN\n"), ROLES);
    for (size_t i = 1; i < CHY_ARRAY_LEN(order); i++)
        assert_true(place_of(s, order[i - 1], "DRAIN") < place_of(s, order[i], "DRAIN"));
    assert_int_equal(count(&s->text, "\"server.stopped\""), 1);
}

static void test_end__a_second_signal_does_not_wait(void **state)
{
    struct server *s = *state;
    file_put(s, "front.does", "stubborn");
    server_start(s);
    wait_event(s, " CONFIG\n", ROLES);
    server_signal(s, SIGTERM);
    wait_event(s, " DRAIN\n", 1);
    server_stop(s);
    assert_int_equal(count(&s->told, " DRAIN\n"), 1);
}

/* What is still needed for what is in flight is started again also at the end. */
static void test_end__a_process_that_is_still_needed_is_started_again(void **state)
{
    struct server *s = *state;
    file_put(s, "front.does", "stubborn");
    server_start(s);
    wait_event(s, " CONFIG\n", ROLES);
    server_signal(s, SIGTERM);
    wait_event(s, " DRAIN\n", 1);
    kill(pid_of(s, "signer"), SIGKILL);
    wait_event(s, " CONFIG\n", ROLES + 1);
    kill(pid_of(s, "front"), SIGKILL);
    assert_int_equal(server_end(s), 0);
    assert_int_equal(count(&s->told, " DRAIN\n"), ROLES);
}

static void test_end__while_starting(void **state)
{
    struct server *s = *state;
    file_put(s, "signer.does", "silent");
    server_launch(s, false);
    wait_event(s, " CONFIG\n", ROLES);
    server_stop(s);
    assert_int_equal(count(&s->text, "\"server.ready\""), 0);
}

/* The processes have nobody to answer to, and the lock must not stay. */
static void test_end__processes_die_with_the_supervisor(void **state)
{
    struct server *s = *state;
    server_start(s);
    wait_event(s, " CONFIG\n", ROLES);
    pid_t signer = pid_of(s, "signer");
    chy_process_endp(&s->process);
    int64_t deadline = chy_clock_monotonic_us() + SOON_US;
    while (kill(signer, 0) == 0)
        assert_true(chy_clock_monotonic_us() < deadline);
    server_start(s);
    server_stop(s);
}

#define SERVER_TEST(f) cmocka_unit_test_setup_teardown(f, server_make, server_drop)

int main(int argc, char **argv)
{
    if (argc == 2 && argv[1][0] == '@')
        return fake_role_main(argv[1]);
    if (kernel_skips_all())
        return 0;
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_run__every_process_gets_what_it_needs),
        SERVER_TEST(test_run__the_environment_is_not_handed_on),
        SERVER_TEST(test_run__port_0_is_told_to_the_signer),
        SERVER_TEST(test_run__an_older_store_is_accepted_once),
        SERVER_TEST(test_run__a_death_before_all_are_ready_ends_the_start),
        SERVER_TEST(test_run__a_data_directory_has_one_server),
        SERVER_TEST(test_run__a_wrong_configuration_is_told_with_its_line),
        SERVER_TEST(test_run__a_key_that_others_can_read_is_refused),
        SERVER_TEST(test_run__a_pin_may_be_a_credential),
        SERVER_TEST(test_run__the_key_must_be_the_certificates),
        SERVER_TEST(test_run__a_dead_process_is_started_again_and_linked),
        SERVER_TEST(test_run__each_wait_is_twice_as_long),
        SERVER_TEST(test_run__a_token_that_hangs_is_killed),
        SERVER_TEST(test_run__only_the_signer_may_accuse),
        SERVER_TEST(test_run__a_process_that_misbehaves_is_replaced),
        SERVER_TEST(test_run__a_wrong_pin_is_not_tried_again_but_on_hangup),
        SERVER_TEST(test_reload__a_new_certificate),
        SERVER_TEST(test_reload__the_same_key_disturbs_nobody),
        SERVER_TEST(test_reload__a_wrong_configuration_changes_nothing),
        SERVER_TEST(test_reload__says_what_needs_a_restart),
        SERVER_TEST(test_end__in_order),
        SERVER_TEST(test_end__a_second_signal_does_not_wait),
        SERVER_TEST(test_end__a_process_that_is_still_needed_is_started_again),
        SERVER_TEST(test_end__while_starting),
        SERVER_TEST(test_end__processes_die_with_the_supervisor),
    };
    if (chy_crypto_init(NULL) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
