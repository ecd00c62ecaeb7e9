/* SPDX-License-Identifier: MIT */
/* A guest's pure parts, each on its own: replies and configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"
#include "guest/config.h"
#include "guest/reply.h"
#include "proto/door.h"
#include "proto/types.h"

#define BYTES(lit)                              \
    {                                           \
        (const uint8_t *)(lit), sizeof(lit) - 1 \
    }

/* --- replies --- */

static struct chy_buf body;
static struct chy_arena arena;

static int setup(void **state)
{
    (void)state;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&body);
    chy_arena_done(&arena);
    return 0;
}

static enum chy_err welcome_read(uint16_t type, struct chy_door_welcome *ret_welcome,
                                 bool *ret_is_answered, struct chy_error *err)
{
    struct chy_frame frame = { .type = type, .id = 1, .body = chy_buf_bytes(&body) };
    return chy_guest_reply_read(&frame, CHY_DOOR_WELCOME, &chy_door_welcome_schema, &arena,
                                ret_welcome, ret_is_answered, err);
}

static void failure_put(uint32_t code, const char *text, const char *request)
{
    struct chy_door_failure failure = { .code = code,
                                        .text = chy_str_of(text),
                                        .request_id = chy_str_of(request) };
    chy_buf_clear(&body);
    assert_int_equal(chy_schema_encode(&chy_door_failure_schema, &failure, &body, NULL), CHY_OK);
}

static void test_reply_read__what_was_asked_for(void **state)
{
    (void)state;
    bool is_answered = true;
    struct chy_door_welcome welcome = { 1, CHY_STR("agent") };
    assert_int_equal(chy_schema_encode(&chy_door_welcome_schema, &welcome, &body, NULL), CHY_OK);
    assert_int_equal(welcome_read(CHY_DOOR_WELCOME, &welcome, &is_answered, NULL), CHY_OK);
    assert_true(chy_str_equal_c(welcome.software, "agent"));
    assert_false(is_answered);
    assert_int_equal(welcome_read(CHY_DOOR_SIGNED, &welcome, &is_answered, NULL), CHY_E_PROTOCOL);
    chy_buf_append_u8(&body, 0);
    assert_int_equal(welcome_read(CHY_DOOR_WELCOME, &welcome, &is_answered, NULL), CHY_E_PROTOCOL);
    assert_false(is_answered);
}

static void test_reply_read__failures(void **state)
{
    (void)state;
    bool is_answered = false;
    struct chy_door_welcome welcome;
    struct chy_error err;
    failure_put(-CHY_E_DENIED, "no", "17");
    assert_int_equal(welcome_read(CHY_DOOR_FAILED, &welcome, &is_answered, &err), CHY_E_DENIED);
    assert_true(is_answered);
    assert_string_equal(err.text, "no (request 17)");
    failure_put(-CHY_E_RATE, "slow down", "");
    assert_int_equal(welcome_read(CHY_DOOR_FAILED, &welcome, &is_answered, &err), CHY_E_RATE);
    assert_string_equal(err.text, "slow down");
}

static void test_reply_read__codes_that_are_none(void **state)
{
    (void)state;
    static const uint32_t codes[] = { 0, 25, 32767, 32768, 0x80000000U, UINT32_MAX };
    for (size_t i = 0; i < CHY_ARRAY_LEN(codes); i++) {
        bool is_answered = true;
        struct chy_door_welcome welcome;
        failure_put(codes[i], "", "");
        assert_int_equal(welcome_read(CHY_DOOR_FAILED, &welcome, &is_answered, NULL),
                         CHY_E_PROTOCOL);
        assert_false(is_answered);
    }
}

/* --- configuration --- */

static void environment_clear(void)
{
    static const char *const names[] = {
        "CHANCERY_AGENT_SOCK", "CHANCERY_HELPER",   "CHANCERY_LOG",      "CHANCERY_KEYS",
        "CHANCERY_REASON",     "CHANCERY_RECEIPTS", "CHANCERY_EXEC_TAG", "CHANCERY_PROFILE",
        "CHANCERY_URL",        "XDG_RUNTIME_DIR",   "XDG_CONFIG_HOME",   "HOME"
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

static enum chy_err config_with(const char *name, const char *value, struct chy_guest_config *ret)
{
    environment_clear();
    setenv(name, value, 1);
    enum chy_err r = chy_guest_config_read(ret, "test 1", NULL, NULL);
    environment_clear();
    return r;
}

static enum chy_err config_try(const char *name, const char *value)
{
    struct chy_guest_config config;
    enum chy_err r = config_with(name, value, &config);
    chy_guest_config_done(&config);
    return r;
}

static void test_config__of_nothing(void **state)
{
    (void)state;
    struct chy_guest_config config;
    environment_clear();
    assert_int_equal(chy_guest_config_read(&config, "test 1", NULL, NULL), CHY_OK);
    assert_null(config.sockets[0]);
    assert_null(config.sockets[1]);
    assert_false(config.is_socket_given);
    assert_string_equal(config.helper, CHY_GUEST_HELPER);
    assert_null(config.log);
    chy_guest_config_done(&config);
}

static void test_config__sockets(void **state)
{
    (void)state;
    struct chy_guest_config config;
    assert_int_equal(config_with("HOME", "/home/x", &config), CHY_OK);
    assert_null(config.sockets[0]);
    assert_string_equal(config.sockets[1], "/home/x/.config/chancery/agent.sock");
    chy_guest_config_done(&config);
    assert_int_equal(config_with("XDG_RUNTIME_DIR", "/run/user/7", &config), CHY_OK);
    assert_string_equal(config.sockets[0], "/run/user/7/chancery/agent.sock");
    chy_guest_config_done(&config);
    assert_int_equal(config_with("XDG_RUNTIME_DIR", "relative", &config), CHY_OK);
    assert_null(config.sockets[0]);
    chy_guest_config_done(&config);
    assert_int_equal(config_with("CHANCERY_AGENT_SOCK", "/a", &config), CHY_OK);
    assert_string_equal(config.sockets[0], "/a");
    assert_true(config.is_socket_given);
    chy_guest_config_done(&config);
    assert_int_equal(config_with("CHANCERY_AGENT_SOCK", "none", &config), CHY_OK);
    assert_null(config.sockets[0]);
    assert_false(config.is_socket_given);
    chy_guest_config_done(&config);
    assert_int_equal(config_try("CHANCERY_AGENT_SOCK", "a"), CHY_E_ARG);
}

/* `n` times `word`, in static memory. */
static const char *many(const char *word, size_t n)
{
    static char text[65536];
    size_t len = strlen(word);
    assert_true(n * len < sizeof text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, word, len);
    text[n * len] = '\0';
    return text;
}

static void test_config__limits(void **state)
{
    (void)state;
    assert_int_equal(config_try("CHANCERY_KEYS", many("a,", CHY_LIMIT_DOOR_PATTERNS)), CHY_OK);
    assert_int_equal(config_try("CHANCERY_KEYS", many("a ", CHY_LIMIT_DOOR_PATTERNS + 1)),
                     CHY_E_LIMIT);
    assert_int_equal(config_try("CHANCERY_KEYS", many("k", CHY_LIMIT_NAME)), CHY_OK);
    assert_int_equal(config_try("CHANCERY_KEYS", many("k", CHY_LIMIT_NAME + 1)), CHY_E_LIMIT);
    assert_int_equal(config_try("CHANCERY_REASON", many("r", CHY_LIMIT_TEXT)), CHY_OK);
    assert_int_equal(config_try("CHANCERY_REASON", many("r", CHY_LIMIT_TEXT + 1)), CHY_E_LIMIT);
    assert_int_equal(config_try("CHANCERY_REASON", "a\x1b"), CHY_E_ARG);
    assert_int_equal(config_try("CHANCERY_RECEIPTS", many("/", CHY_LIMIT_PATH)), CHY_OK);
    assert_int_equal(config_try("CHANCERY_RECEIPTS", many("/", CHY_LIMIT_PATH + 1)), CHY_E_LIMIT);
    assert_int_equal(config_try("CHANCERY_EXEC_TAG", many("0", 32)), CHY_OK);
    assert_int_equal(config_try("CHANCERY_EXEC_TAG", many("0", 31)), CHY_E_ARG);
    assert_int_equal(config_try("CHANCERY_EXEC_TAG", many("0", 33)), CHY_E_ARG);
}

/* Whoever starts the guest may choose the keys; the environment knows better. */
static void test_config__keys_otherwise(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "a b" };
    static const size_t words[] = { 1, 2 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(texts); i++) {
        struct chy_guest_config config;
        struct chy_door_hello hello;
        environment_clear();
        setenv("CHANCERY_KEYS", texts[i], 1);
        assert_int_equal(chy_guest_config_read(&config, "test 1", "*", NULL), CHY_OK);
        assert_int_equal(chy_schema_decode(&chy_door_hello_schema, chy_buf_bytes(&config.hello),
                                           &arena, &hello, NULL),
                         CHY_OK);
        assert_int_equal(hello.keys.n, words[i]);
        assert_true(chy_str_equal_c(hello.keys.p[0], i == 0 ? "*" : "a"));
        assert_true(chy_str_equal_c(hello.software, "test 1"));
        chy_guest_config_done(&config);
    }
    environment_clear();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_reply_read__what_was_asked_for),
        T(test_reply_read__failures),
        T(test_reply_read__codes_that_are_none),
        T(test_config__of_nothing),
        T(test_config__sockets),
        T(test_config__limits),
        T(test_config__keys_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
