/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"
#include "proto/internal.h"
#include "proto/role.h"

/* The role's end is descriptor 3, as the supervisor leaves it; the other end is ours. */
struct world {
    struct chy_channel *supervisor;
    struct chy_channel *role;
    struct chy_arena arena;
};

static int set_up(void **state)
{
    static struct world w;
    const struct chy_channel_options options = { .send_limit_bytes = CHY_LIMIT_FRAME };
    int fds[2];
    w = (struct world){ 0 };
    chy_arena_init(&w.arena, CHY_LIMIT_FRAME);
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    if (fds[0] == CHY_SUPERVISOR_FD) {
        int moved = fcntl(fds[0], F_DUPFD_CLOEXEC, CHY_SUPERVISOR_FD + 1);
        assert_true(moved > CHY_SUPERVISOR_FD);
        fds[0] = moved;
    }
    if (fds[1] != CHY_SUPERVISOR_FD) {
        assert_int_equal(dup2(fds[1], CHY_SUPERVISOR_FD), CHY_SUPERVISOR_FD);
        close(fds[1]);
    }
    assert_int_equal(chy_channel_new(fds[0], &options, &w.supervisor, NULL), CHY_OK);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    chy_channel_free(w->supervisor);
    chy_channel_free(w->role);
    chy_arena_done(&w->arena);
    return 0;
}

static void send(struct world *w, uint16_t type, const struct chy_schema *schema, const void *value)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    assert_int_equal(chy_schema_encode(schema, value, &body, NULL), CHY_OK);
    const struct chy_frame frame = { .type = type, .body = chy_buf_bytes(&body) };
    assert_int_equal(chy_channel_send(w->supervisor, &frame, NULL), CHY_OK);
    assert_int_equal(
        chy_channel_flush_wait(w->supervisor, chy_clock_monotonic_us() + 1000000, NULL), CHY_OK);
}

static void test_config__is_the_first_frame(void **state)
{
    struct world *w = *state;
    const struct chy_inspect_config sent = { .log_level = CHY_STR("info"), .timeout_ms = 7 };
    struct chy_inspect_config got;
    assert_int_equal(chy_role_open(CHY_LIMIT_FRAME, &w->role, NULL), CHY_OK);
    send(w, CHY_MSG_CONFIG, &chy_inspect_config_schema, &sent);
    assert_int_equal(chy_role_config(w->role, &chy_inspect_config_schema, &w->arena, &got, NULL),
                     CHY_OK);
    assert_int_equal(got.timeout_ms, 7);
    assert_true(chy_str_equal_c(got.log_level, "info"));
}

static void test_config__refuses_any_other_frame(void **state)
{
    struct world *w = *state;
    const struct chy_empty empty = { 0 };
    struct chy_inspect_config got;
    assert_int_equal(chy_role_open(CHY_LIMIT_FRAME, &w->role, NULL), CHY_OK);
    send(w, CHY_MSG_DRAIN, &chy_empty_schema, &empty);
    assert_int_equal(chy_role_config(w->role, &chy_inspect_config_schema, &w->arena, &got, NULL),
                     CHY_E_PROTOCOL);
}

static void test_config__must_decode(void **state)
{
    struct world *w = *state;
    const struct chy_empty empty = { 0 };
    struct chy_inspect_config got;
    assert_int_equal(chy_role_open(CHY_LIMIT_FRAME, &w->role, NULL), CHY_OK);
    send(w, CHY_MSG_CONFIG, &chy_empty_schema, &empty);
    assert_int_equal(chy_role_config(w->role, &chy_inspect_config_schema, &w->arena, &got, NULL),
                     CHY_E_MALFORMED);
}

static void test_open__needs_the_supervisor(void **state)
{
    struct world *w = *state;
    close(CHY_SUPERVISOR_FD);
    assert_int_equal(chy_role_open(CHY_LIMIT_FRAME, &w->role, NULL), CHY_E_STATE);
    assert_null(w->role);
}

static void test_ready__says_one_line(void **state)
{
    struct world *w = *state;
    struct chy_frame frame;
    struct chy_ready got;
    assert_int_equal(chy_role_open(CHY_LIMIT_FRAME, &w->role, NULL), CHY_OK);
    assert_int_equal(chy_role_ready(w->role, CHY_STR("all is well"), NULL), CHY_OK);
    int64_t deadline_us = chy_clock_monotonic_us() + 1000000;
    assert_int_equal(chy_channel_flush_wait(w->role, deadline_us, NULL), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(w->supervisor, deadline_us, &frame, NULL), CHY_OK);
    assert_int_equal(frame.type, CHY_MSG_READY);
    assert_int_equal(chy_schema_decode(&chy_ready_schema, frame.body, &w->arena, &got, NULL),
                     CHY_OK);
    assert_true(chy_str_equal_c(got.text, "all is well"));
}

static void test_folder__is_what_a_path_is_in(void **state)
{
    struct world *w = *state;
    static const char *const rows[][2] = {
        { "/var/lib/chancery/store.db", "/var/lib/chancery" },
        { "/a/b", "/a" },
        { "/a", "/" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_str folder = chy_role_folder(chy_str_of(rows[i][0]), &w->arena);
        assert_string_equal(folder.p, rows[i][1]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config__is_the_first_frame), TEST(test_config__refuses_any_other_frame),
        TEST(test_config__must_decode),        TEST(test_open__needs_the_supervisor),
        TEST(test_ready__says_one_line),       TEST(test_folder__is_what_a_path_is_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
