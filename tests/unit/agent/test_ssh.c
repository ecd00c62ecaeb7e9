/* SPDX-License-Identifier: MIT */
/* The agent as an SSH agent, with a server that answers from here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent_fixture.h"
#include "base/limits.h"
#include "codec/ssh_wire.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "key_fixture.h"
#include "os/fd.h"
#include "os/socket.h"
#include "proto/ssh_agent.h"

#define BYTES(text) chy_str_bytes(CHY_STR(text))

static struct fixture f;
static struct tool t;
static struct chy_buf message; /* the last one received */
static struct chy_bytes body;  /* of it, behind its type */

static int setup(void **state)
{
    (void)state;
    fixture_init(&f);
    f.log.level = (enum chy_log_level)0; /* refusals are said there */
    fake_add_key("r", CHY_KEY_RSA_2048, false);
    fake_add_key("p", CHY_KEY_P256, true);
    fake_add_key("e", CHY_KEY_ED25519, false);
    fake_add_key("denied", CHY_KEY_P384, false);
    tool_open_ssh(&t, &f);
    chy_buf_init(&message, CHY_LIMIT_SSH_MESSAGE + (size_t)CHY_SSH_LENGTH_BYTES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tool_close(&t);
    chy_buf_done(&message);
    fixture_done(&f);
    return 0;
}

static void tell(uint8_t type, struct chy_bytes contents)
{
    struct chy_buf out;
    chy_buf_init(&out, (size_t)CHY_LIMIT_SSH_MESSAGE * 2);
    chy_buf_append_u32(&out, (uint32_t)contents.n + 1);
    chy_buf_append_u8(&out, type);
    assert_true(chy_buf_append(&out, contents));
    tool_bytes(&t, chy_buf_bytes(&out));
    chy_buf_done(&out);
}

/* The type of the next message. */
static uint8_t hear(void)
{
    size_t n = 0;
    uint8_t type = 0;
    assert_int_equal(chy_ssh_message_size(chy_buf_bytes(&t.in), &n, NULL), CHY_OK);
    while (n == 0) {
        assert_true(tool_read_more(&t));
        assert_int_equal(chy_ssh_message_size(chy_buf_bytes(&t.in), &n, NULL), CHY_OK);
    }
    chy_buf_clear(&message);
    assert_true(chy_buf_append(&message, (struct chy_bytes){ t.in.p, n }));
    chy_buf_consume(&t.in, n);
    body = (struct chy_bytes){ message.p + CHY_SSH_LENGTH_BYTES, n - CHY_SSH_LENGTH_BYTES };
    assert_int_equal(chy_ssh_take_u8(&body, &type, NULL), CHY_OK);
    return type;
}

static uint8_t ask(uint8_t type, struct chy_bytes contents)
{
    tell(type, contents);
    return hear();
}

/* The blob of a key in an answer to REQUEST_IDENTITIES, in memory of its own. */
static struct chy_bytes blob_of(const char *name)
{
    uint32_t n = 0;
    assert_int_equal(ask(CHY_SSH_REQUEST_IDENTITIES, BYTES("")), CHY_SSH_IDENTITIES_ANSWER);
    assert_int_equal(chy_ssh_take_u32(&body, &n, NULL), CHY_OK);
    while (n-- > 0) {
        struct chy_bytes blob;
        struct chy_bytes comment;
        assert_int_equal(chy_ssh_take_string(&body, &blob, NULL), CHY_OK);
        assert_int_equal(chy_ssh_take_string(&body, &comment, NULL), CHY_OK);
        if (chy_str_equal_c(chy_bytes_str(comment), name))
            return chy_arena_bytes(&t.arena, blob);
    }
    return (struct chy_bytes){ 0 };
}

static struct chy_bytes sign_body(struct chy_bytes blob, struct chy_bytes data, uint32_t flags)
{
    struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_SSH_MESSAGE);
    chy_ssh_put_string(&out, blob);
    chy_ssh_put_string(&out, data);
    assert_true(chy_buf_append_u32(&out, flags));
    struct chy_bytes made = chy_arena_bytes(&t.arena, chy_buf_bytes(&out));
    chy_buf_done(&out);
    return made;
}

static uint8_t sign(const char *name, struct chy_bytes data, uint32_t flags)
{
    return ask(CHY_SSH_SIGN_REQUEST, sign_body(blob_of(name), data, flags));
}

/* --- what is asked --- */

static void test_list__all_types(void **state)
{
    (void)state;
    assert_true(blob_of("r").n > 256);
    assert_true(blob_of("p").n > 65);
    assert_true(blob_of("e").n > 32);
    assert_int_equal(fake.calls[CHY_OP_KEYS_LIST], 1); /* asked for once, shown three times */
}

static void test_list__more_than_a_page_and_less_than_all(void **state)
{
    (void)state;
    char name[16];
    uint32_t n = 0;
    for (int i = 0; i < 560; i++) {
        (void)snprintf(name, sizeof name, "k%03d", i);
        fake_add_key(name, CHY_KEY_P256, false);
    }
    fake_add_key("z", CHY_KEY_P521, false); /* the others are all alike */
    assert_int_equal(ask(CHY_SSH_REQUEST_IDENTITIES, BYTES("")), CHY_SSH_IDENTITIES_ANSWER);
    assert_int_equal(chy_ssh_take_u32(&body, &n, NULL), CHY_OK);
    assert_int_equal(n, 565);
    assert_int_equal(sign("z", BYTES("data"), 0), CHY_SSH_SIGN_RESPONSE); /* of the second */
    assert_true(chy_str_equal_c(fake.last.items.p[0].key, "z"));
}

static void test_list__what_an_answer_cannot_hold_is_left_out(void **state)
{
    (void)state;
    char name[CHY_LIMIT_NAME + 1];
    uint32_t n = 0;
    for (int i = 0; i < 590; i++) { /* 590 keys of 535 bytes */
        (void)snprintf(name, sizeof name, "%0*d", CHY_LIMIT_NAME, i);
        fake_add_key(name, CHY_KEY_RSA_3072, false);
    }
    assert_int_equal(ask(CHY_SSH_REQUEST_IDENTITIES, BYTES("")), CHY_SSH_IDENTITIES_ANSWER);
    assert_int_equal(chy_ssh_take_u32(&body, &n, NULL), CHY_OK);
    assert_true(n > 400 && n < 590);
    assert_true(message.n <= CHY_LIMIT_SSH_MESSAGE + (size_t)CHY_SSH_LENGTH_BYTES);
}

/* An agent of nobody but SSH: what the answers are made in is given back. */
static void test_list__again_and_again(void **state)
{
    (void)state;
    const size_t of_one = sizeof(struct chy_door_key) * CHY_LIMIT_KEY_PAGE;
    char name[16];
    for (int i = 0; i < CHY_LIMIT_KEY_PAGE; i++) {
        (void)snprintf(name, sizeof name, "k%03d", i);
        fake_add_key(name, CHY_KEY_P256, false);
    }
    for (size_t used = 0; used <= CHY_LIMIT_ARENA; used += of_one)
        assert_int_equal(ask(CHY_SSH_REQUEST_IDENTITIES, BYTES("")), CHY_SSH_IDENTITIES_ANSWER);
}

static void assert_good(const char *name, enum chy_key_type type, enum chy_sign_alg alg,
                        uint32_t flags)
{
    assert_int_equal(sign(name, BYTES("what is signed"), flags), CHY_SSH_SIGN_RESPONSE);
    const struct chy_sign_item *item = &fake.last.items.p[0];
    assert_int_equal(item->algorithm, alg);
    struct chy_bytes shown = item->content.n != 0 ? item->content : item->message;
    assert_true(chy_bytes_equal(shown, BYTES("what is signed")));
    assert_true(item->facts.n >= 2);
    struct chy_bytes all;
    struct chy_bytes algorithm;
    struct chy_bytes signature;
    assert_int_equal(chy_ssh_take_string(&body, &all, NULL), CHY_OK);
    assert_int_equal(chy_ssh_take_string(&all, &algorithm, NULL), CHY_OK);
    assert_int_equal(chy_ssh_take_string(&all, &signature, NULL), CHY_OK);
    assert_int_equal(all.n, 0);
    if (type == CHY_KEY_P256)
        return; /* two mpints: ssh-keygen verifies them in tests/interop */
    const struct chy_pubkey *public_key = chy_privkey_public(fixture_key_of(type));
    assert_int_equal(chy_pubkey_verify(public_key, alg, CHY_SIGNATURE_RAW, shown, signature, NULL),
                     CHY_OK);
}

static void test_sign__each_kind(void **state)
{
    (void)state;
    assert_good("r", CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA256, CHY_SSH_RSA_SHA2_256);
    assert_good("r", CHY_KEY_RSA_2048, CHY_ALG_RSA_PKCS1_SHA512, CHY_SSH_RSA_SHA2_512);
    assert_good("p", CHY_KEY_P256, CHY_ALG_ECDSA_SHA256, 0);
    assert_good("e", CHY_KEY_ED25519, CHY_ALG_ED25519, 0);
}

static void test_sign__refusals_leave_the_connection(void **state)
{
    (void)state;
    assert_int_equal(sign("denied", BYTES("d"), 0), CHY_SSH_FAILURE);
    assert_int_equal(sign("r", BYTES("d"), 0), CHY_SSH_FAILURE);
    assert_int_equal(sign("none", BYTES("d"), 0), CHY_SSH_FAILURE);
    assert_int_equal(ask(CHY_SSH_SIGN_REQUEST, BYTES("\0\0\0\x09")), CHY_SSH_FAILURE);
    assert_int_equal(ask(CHY_SSH_REQUEST_IDENTITIES, BYTES("x")), CHY_SSH_FAILURE);
    assert_int_equal(ask(CHY_SSH_EXTENSION, BYTES("")), CHY_SSH_FAILURE);
    assert_int_equal(ask(17, BYTES("a key")), CHY_SSH_FAILURE);
    assert_int_equal(body.n, 0);
    fake.fails = CHY_E_NETWORK;
    assert_int_equal(ask(CHY_SSH_SIGN_REQUEST, sign_body(blob_of("p"), BYTES("d"), 0)),
                     CHY_SSH_FAILURE);
    fake.fails = CHY_OK;
    assert_int_equal(sign("p", BYTES("d"), 0), CHY_SSH_SIGN_RESPONSE);
    fake.lies = true;
    assert_int_equal(sign("p", BYTES("d"), 0), CHY_SSH_FAILURE);
}

static void test_extension__query_names_itself(void **state)
{
    (void)state;
    assert_int_equal(ask(CHY_SSH_EXTENSION, BYTES("\0\0\0\x05query")), CHY_SSH_EXTENSION_RESPONSE);
    assert_true(chy_bytes_equal(body, BYTES("\0\0\0\x05query\0\0\0\x05query")));
    assert_int_equal(ask(CHY_SSH_EXTENSION, BYTES("\0\0\0\x06query2")), CHY_SSH_FAILURE);
}

/* For the rest of its life, whatever is said of it then. */
static void test_extension__a_forwarded_connection_gets_nothing(void **state)
{
    (void)state;
#define BIND "\0\0\0\x18session-bind@openssh.com\0\0\0\x01h\0\0\0\x01i\0\0\0\x01s"
    struct chy_bytes p = sign_body(blob_of("p"), BYTES("d"), 0);
    assert_int_equal(ask(CHY_SSH_EXTENSION, BYTES(BIND "\0")), CHY_SSH_FAILURE);
    assert_int_equal(ask(CHY_SSH_SIGN_REQUEST, p), CHY_SSH_SIGN_RESPONSE);
    assert_int_equal(ask(CHY_SSH_EXTENSION, BYTES(BIND "\x01")), CHY_SSH_FAILURE);
    unsigned signed_before = fake.calls[CHY_OP_SIGN];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(CHY_SSH_SIGN_REQUEST, p), CHY_SSH_FAILURE);
        assert_int_equal(ask(CHY_SSH_REQUEST_IDENTITIES, BYTES("")), CHY_SSH_FAILURE);
        assert_int_equal(ask(CHY_SSH_EXTENSION, BYTES(BIND "\0")), CHY_SSH_FAILURE);
    }
    assert_int_equal(fake.calls[CHY_OP_SIGN], signed_before);
}

/* --- the connection --- */

static void test_limits__at_and_past(void **state)
{
    (void)state;
    uint8_t *large = test_calloc(1, CHY_LIMIT_SSH_MESSAGE);
    struct chy_bytes contents = { large, CHY_LIMIT_SSH_MESSAGE - 1 };
    assert_int_equal(ask(99, contents), CHY_SSH_FAILURE);
    test_free(large);
    tool_bytes(&t, BYTES("\0\x04\0\x01"));
    assert_true(tool_is_closed(&t));
}

static void test_length_zero_ends_it(void **state)
{
    (void)state;
    tool_bytes(&t, BYTES("\0\0\0\0"));
    assert_true(tool_is_closed(&t));
}

static void test_requests_together__are_answered_in_order(void **state)
{
    (void)state;
    struct chy_bytes p = sign_body(blob_of("p"), BYTES("d"), 0);
    tell(CHY_SSH_SIGN_REQUEST, p);
    tell(99, BYTES(""));
    tell(CHY_SSH_REQUEST_IDENTITIES, BYTES(""));
    tell(CHY_SSH_SIGN_REQUEST, p);
    assert_int_equal(hear(), CHY_SSH_SIGN_RESPONSE);
    assert_int_equal(hear(), CHY_SSH_FAILURE);
    assert_int_equal(hear(), CHY_SSH_IDENTITIES_ANSWER);
    assert_int_equal(hear(), CHY_SSH_SIGN_RESPONSE);
}

static bool is_quiet(void *ctx)
{
    (void)ctx;
    return chy_porter_is_quiet(f.porter);
}

static void test_tool_is_gone__while_its_signature_is_made(void **state)
{
    (void)state;
    struct chy_bytes p = sign_body(blob_of("p"), BYTES("d"), 0);
    fake_hold();
    tell(CHY_SSH_SIGN_REQUEST, p);
    fixture_poll(&f);
    fake_wait_held(1);
    chy_fd_closep(&t.fd);
    fixture_poll(&f);
    assert_false(chy_porter_is_quiet(f.porter));
    fake_release();
    fixture_turn_until(&f, is_quiet, NULL);
    tool_close(&t);
    tool_open_ssh(&t, &f);
    assert_int_equal(sign("p", BYTES("d"), 0), CHY_SSH_SIGN_RESPONSE);
}

static void test_close__what_comes_then_is_refused(void **state)
{
    (void)state;
    struct chy_bytes p = sign_body(blob_of("p"), BYTES("d"), 0);
    chy_porter_close(f.porter);
    assert_int_equal(ask(CHY_SSH_SIGN_REQUEST, p), CHY_SSH_FAILURE);
}

static void test_connections__past_the_limit_are_closed(void **state)
{
    (void)state;
    struct tool more[8];
    int fds[CHY_LIMIT_DOOR_CONNECTIONS][2];
    for (size_t i = 0; i + 1 < CHY_LIMIT_DOOR_CONNECTIONS; i++) {
        assert_int_equal(chy_socket_pair(fds[i], NULL), CHY_OK);
        chy_porter_admit_ssh(f.porter, fds[i][1]);
    }
    assert_int_equal(sign("p", BYTES("d"), 0), CHY_SSH_SIGN_RESPONSE);
    tool_open_ssh(&more[0], &f);
    assert_true(tool_is_closed(&more[0]));
    tool_close(&more[0]);
    for (size_t i = 0; i + 1 < CHY_LIMIT_DOOR_CONNECTIONS; i++)
        chy_fd_closep(&fds[i][0]);
}

/* --- in the name of a connection of the door --- */

static void test_door__opens_ssh_in_its_name(void **state)
{
    (void)state;
    static const struct chy_str patterns[] = { { "p", 1 } };
    char folder[] = "/tmp/chancery-ssh-XXXXXX";
    char path[64];
    struct tool door;
    struct chy_empty nothing;
    const struct chy_door_hello hello = { .reason = CHY_STR("why"), .keys = { patterns, 1 } };
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "unix:%s/s", folder);
    const struct chy_door_listen listen = { chy_str_of(path + strlen("unix:")) };
    tool_open(&door, &f);
    tool_hello(&door, &hello);
    assert_int_equal(tool_ask(&door, CHY_DOOR_SSH, &chy_door_listen_schema, &listen,
                              CHY_DOOR_SSH_OPENED, &chy_empty_schema, &nothing),
                     CHY_OK);
    assert_int_equal(tool_ask(&door, CHY_DOOR_SSH, &chy_door_listen_schema, &listen,
                              CHY_DOOR_SSH_OPENED, &chy_empty_schema, &nothing),
                     CHY_E_STATE);
    chy_fd_closep(&t.fd);
    assert_int_equal(chy_socket_connect(chy_str_of(path), CHY_NO_DEADLINE, &t.fd, NULL), CHY_OK);
    assert_int_equal(blob_of("r").n, 0);
    assert_int_equal(sign("p", BYTES("d"), 0), CHY_SSH_SIGN_RESPONSE);
    assert_true(chy_str_equal_c(fake.last.reason, "why"));
    tool_close(&door); /* with it goes its socket; who is connected stays */
    fixture_poll(&f);
    assert_int_equal(access(path + strlen("unix:"), F_OK), -1);
    assert_int_equal(sign("p", BYTES("d"), 0), CHY_SSH_SIGN_RESPONSE);
    (void)snprintf(path, sizeof path, "%s/s.lock", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_door__refuses_paths(void **state)
{
    (void)state;
    struct tool door;
    struct chy_empty nothing;
    struct chy_door_listen listen = { CHY_STR("relative") };
    tool_open(&door, &f);
    tool_hello(&door, NULL);
    assert_int_equal(tool_ask(&door, CHY_DOOR_SSH, &chy_door_listen_schema, &listen,
                              CHY_DOOR_SSH_OPENED, &chy_empty_schema, &nothing),
                     CHY_E_ARG);
    listen.path = CHY_STR("/nowhere/at/all/s");
    assert_int_equal(tool_ask(&door, CHY_DOOR_SSH, &chy_door_listen_schema, &listen,
                              CHY_DOOR_SSH_OPENED, &chy_empty_schema, &nothing),
                     CHY_E_NOT_FOUND);
    tool_close(&door);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list__all_types),
        TEST(test_list__more_than_a_page_and_less_than_all),
        TEST(test_list__what_an_answer_cannot_hold_is_left_out),
        TEST(test_list__again_and_again),
        TEST(test_sign__each_kind),
        TEST(test_sign__refusals_leave_the_connection),
        TEST(test_extension__query_names_itself),
        TEST(test_extension__a_forwarded_connection_gets_nothing),
        TEST(test_limits__at_and_past),
        TEST(test_length_zero_ends_it),
        TEST(test_requests_together__are_answered_in_order),
        TEST(test_tool_is_gone__while_its_signature_is_made),
        TEST(test_close__what_comes_then_is_refused),
        TEST(test_connections__past_the_limit_are_closed),
        TEST(test_door__opens_ssh_in_its_name),
        TEST(test_door__refuses_paths),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_keys_free();
    return failed;
}
