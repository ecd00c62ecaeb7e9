/* SPDX-License-Identifier: MIT */
/* The module's pure parts, each on its own: replies, objects with their limits, configuration. */
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
#include "base/mem.h"
#include "module/attributes.h"
#include "module/config.h"
#include "module/mechanisms.h"
#include "module/objects.h"
#include "module/reply.h"
#include "module/rv.h"
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
    return chy_p11_reply_read(&frame, CHY_DOOR_WELCOME, &chy_door_welcome_schema, &arena,
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

static void test_rv__of_each_error(void **state)
{
    (void)state;
    assert_int_equal(chy_p11_rv(CHY_OK), CKR_OK);
    assert_int_equal(chy_p11_rv(CHY_E_NOMEM), CKR_HOST_MEMORY);
    assert_int_equal(chy_p11_rv(CHY_E_DENIED), CKR_ACTION_PROHIBITED);
    assert_int_equal(chy_p11_rv(CHY_E_NOT_FOUND), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(chy_p11_rv(CHY_E_STATE), CKR_FUNCTION_REJECTED);
    assert_int_equal(chy_p11_rv(CHY_E_ARG), CKR_DATA_LEN_RANGE);
    assert_int_equal(chy_p11_rv(CHY_E_UNSUPPORTED), CKR_MECHANISM_INVALID);
    for (int code = -24; code < 0; code++)
        assert_string_not_equal(chy_p11_rv_name(chy_p11_rv((enum chy_err)code)), "?");
    assert_string_equal(chy_p11_rv_name(CKR_DEVICE_ERROR), "CKR_DEVICE_ERROR");
    assert_string_equal(chy_p11_rv_name(0x12345), "?");
}

/* --- objects --- */

static const struct chy_door_certificate a_certificate = { .label = { "c", 1 },
                                                           .id = BYTES("id"),
                                                           .der = BYTES("der"),
                                                           .subject = BYTES("subject"),
                                                           .issuer = BYTES("issuer"),
                                                           .serial = BYTES("serial") };

static struct chy_door_key ec_key(const char *name)
{
    return (struct chy_door_key){ .name = chy_str_of(name),
                                  .label = chy_str_of(name),
                                  .id = chy_str_bytes(chy_str_of(name)),
                                  .type = CHY_KEY_P256,
                                  .public_key = BYTES("spki"),
                                  .ec_params = BYTES("params"),
                                  .ec_point = BYTES("point") };
}

static struct chy_door_key rsa_key(size_t modulus_bytes)
{
    static uint8_t modulus[CHY_LIMIT_P11_RSA + 1];
    memset(modulus, 0x7f, sizeof modulus);
    return (struct chy_door_key){ .name = CHY_STR("rsa"),
                                  .label = CHY_STR("rsa"),
                                  .id = BYTES("rsa"),
                                  .type = CHY_KEY_RSA_4096,
                                  .modulus = { modulus, modulus_bytes },
                                  .public_exponent = BYTES("\x03") };
}

static enum chy_err add(struct chy_p11_objects *objects, const struct chy_door_key *key)
{
    struct chy_door_key_page page = { .keys = { key, 1 } };
    return chy_p11_objects_add_locked(objects, chy_p11_objects_look_locked(objects), &page, NULL);
}

static void test_objects_add__a_key_twice_is_one(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    struct chy_door_key key = ec_key("a");
    key.certificate = &a_certificate;
    assert_int_equal(add(&objects, &key), CHY_OK);
    assert_int_equal(objects.n, 3);
    assert_int_equal(add(&objects, &key), CHY_OK);
    assert_int_equal(objects.n, 3);
    assert_int_equal(chy_p11_object_locked(&objects, 3)->seen, 2);
    assert_null(chy_p11_object_locked(&objects, 0));
    assert_null(chy_p11_object_locked(&objects, 4));
    assert_null(chy_p11_object_locked(&objects, ~0UL));
    chy_p11_objects_done(&objects);
}

static void test_objects_add__a_renewed_certificate_is_one_more_object(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    struct chy_door_key key = ec_key("a");
    struct chy_door_certificate renewed = a_certificate;
    renewed.der = (struct chy_bytes)BYTES("newer");
    key.certificate = &a_certificate;
    assert_int_equal(add(&objects, &key), CHY_OK);
    key.certificate = &renewed;
    assert_int_equal(add(&objects, &key), CHY_OK);
    assert_int_equal(objects.n, 4);
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_ATTRIBUTE attr = { CKA_CLASS, &class, sizeof class };
    CK_OBJECT_HANDLE *handles = NULL;
    size_t n = 0;
    assert_int_equal(
        chy_p11_objects_match_locked(&objects, objects.last_look, &attr, 1, &handles, &n, NULL),
        CHY_OK);
    assert_int_equal(n, 1);
    assert_int_equal(handles[0], 4);
    chy_free(handles);
    chy_p11_objects_done(&objects);
}

static void test_objects_add__half_a_key(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    static const size_t needed[] = {
        offsetof(struct chy_door_key, name),     offsetof(struct chy_door_key, label),
        offsetof(struct chy_door_key, id),       offsetof(struct chy_door_key, ec_params),
        offsetof(struct chy_door_key, ec_point),
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(needed); i++) {
        struct chy_door_key key = ec_key("a");
        ((struct chy_bytes *)(void *)((char *)&key + needed[i]))->n = 0;
        assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    }
    struct chy_door_key key = ec_key("a");
    key.type = CHY_KEY_NONE;
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    struct chy_door_certificate half = a_certificate;
    half.issuer.n = 0;
    key = ec_key("a");
    key.certificate = &half;
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    assert_int_equal(objects.n, 0);
    chy_p11_objects_done(&objects);
}

static void test_objects_add__a_modulus_at_the_limit(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    struct chy_door_key key = rsa_key(CHY_LIMIT_P11_RSA);
    assert_int_equal(add(&objects, &key), CHY_OK);
    const struct chy_p11_object *o = chy_p11_object_locked(&objects, 2);
    struct chy_p11_value value;
    assert_int_equal(chy_p11_attribute(o, CKA_MODULUS_BITS, &value), CKR_OK);
    assert_int_equal(value.number, 8 * CHY_LIMIT_P11_RSA - 1);
    assert_int_equal(chy_p11_signature_bytes(o->key), CHY_LIMIT_P11_RSA);
    key = rsa_key(CHY_LIMIT_P11_RSA + 1);
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    key = rsa_key(0);
    assert_int_equal(add(&objects, &key), CHY_E_PROTOCOL);
    chy_p11_objects_done(&objects);
}

/* Each look shows another key, for ever: the objects are not kept without end. */
static void test_objects_add__as_many_as_the_limit(void **state)
{
    (void)state;
    struct chy_p11_objects objects = { 0 };
    char name[16];
    for (int i = 0; i < CHY_LIMIT_P11_OBJECTS / 2; i++) {
        snprintf(name, sizeof name, "%d", i);
        struct chy_door_key key = ec_key(name);
        if (add(&objects, &key) != CHY_OK)
            fail();
    }
    assert_int_equal(objects.n, CHY_LIMIT_P11_OBJECTS);
    struct chy_door_key known = ec_key("0");
    struct chy_door_key more = ec_key("more");
    assert_int_equal(add(&objects, &known), CHY_OK);
    assert_int_equal(add(&objects, &more), CHY_E_LIMIT);
    chy_p11_objects_done(&objects);
}

static void test_signature_bytes__of_each_type(void **state)
{
    (void)state;
    static const struct {
        enum chy_key_type type;
        size_t bytes;
        CK_KEY_TYPE key_type;
    } rows[] = { { CHY_KEY_P256, 64, CKK_EC },
                 { CHY_KEY_P384, 96, CKK_EC },
                 { CHY_KEY_P521, 132, CKK_EC },
                 { CHY_KEY_ED25519, 64, CKK_EC_EDWARDS } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct chy_door_key key = { .type = rows[i].type };
        assert_int_equal(chy_p11_signature_bytes(&key), rows[i].bytes);
        assert_int_equal(chy_p11_key_type(&key), rows[i].key_type);
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

static enum chy_err config_with(const char *name, const char *value, struct chy_p11_config *ret)
{
    environment_clear();
    setenv(name, value, 1);
    enum chy_err r = chy_p11_config_read(ret, NULL);
    environment_clear();
    return r;
}

static enum chy_err config_try(const char *name, const char *value)
{
    struct chy_p11_config config;
    enum chy_err r = config_with(name, value, &config);
    chy_p11_config_done(&config);
    return r;
}

static void test_config__of_nothing(void **state)
{
    (void)state;
    struct chy_p11_config config;
    environment_clear();
    assert_int_equal(chy_p11_config_read(&config, NULL), CHY_OK);
    assert_null(config.sockets[0]);
    assert_null(config.sockets[1]);
    assert_false(config.is_socket_given);
    assert_string_equal(config.helper, CHY_P11_HELPER);
    assert_null(config.log);
    chy_p11_config_done(&config);
}

static void test_config__sockets(void **state)
{
    (void)state;
    struct chy_p11_config config;
    assert_int_equal(config_with("HOME", "/home/x", &config), CHY_OK);
    assert_null(config.sockets[0]);
    assert_string_equal(config.sockets[1], "/home/x/.config/chancery/agent.sock");
    chy_p11_config_done(&config);
    assert_int_equal(config_with("XDG_RUNTIME_DIR", "/run/user/7", &config), CHY_OK);
    assert_string_equal(config.sockets[0], "/run/user/7/chancery/agent.sock");
    chy_p11_config_done(&config);
    assert_int_equal(config_with("XDG_RUNTIME_DIR", "relative", &config), CHY_OK);
    assert_null(config.sockets[0]);
    chy_p11_config_done(&config);
    assert_int_equal(config_with("CHANCERY_AGENT_SOCK", "/a", &config), CHY_OK);
    assert_string_equal(config.sockets[0], "/a");
    assert_true(config.is_socket_given);
    chy_p11_config_done(&config);
    assert_int_equal(config_with("CHANCERY_AGENT_SOCK", "none", &config), CHY_OK);
    assert_null(config.sockets[0]);
    assert_false(config.is_socket_given);
    chy_p11_config_done(&config);
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

/* --- mechanisms --- */

static void test_mechanisms__all_of_a_type_are_allowed_to_it(void **state)
{
    (void)state;
    static const CK_KEY_TYPE types[] = { CKK_RSA, CKK_EC, CKK_EC_EDWARDS };
    for (size_t t = 0; t < CHY_ARRAY_LEN(types); t++) {
        size_t n = 0;
        struct chy_bytes allowed = chy_p11_mechanisms_of(types[t]);
        const struct chy_p11_mechanism *m;
        for (size_t i = 0; (m = chy_p11_mechanism_at(i)) != NULL; i++)
            n += m->key_type == types[t];
        assert_int_equal(allowed.n, n * sizeof(CK_MECHANISM_TYPE));
        for (size_t i = 0; i < n; i++) {
            CK_MECHANISM_TYPE type;
            memcpy(&type, allowed.p + i * sizeof type, sizeof type);
            assert_int_equal(chy_p11_mechanism_find(type)->key_type, types[t]);
        }
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_reply_read__what_was_asked_for),
        T(test_reply_read__failures),
        T(test_reply_read__codes_that_are_none),
        T(test_rv__of_each_error),
        T(test_objects_add__a_key_twice_is_one),
        T(test_objects_add__a_renewed_certificate_is_one_more_object),
        T(test_objects_add__half_a_key),
        T(test_objects_add__a_modulus_at_the_limit),
        T(test_objects_add__as_many_as_the_limit),
        T(test_signature_bytes__of_each_type),
        T(test_config__of_nothing),
        T(test_config__sockets),
        T(test_config__limits),
        T(test_mechanisms__all_of_a_type_are_allowed_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
