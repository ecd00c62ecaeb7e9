/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails while a tool is served, for every n, in the loop or in a worker: the
 * tool is answered or its connection closed, what it is answered is right, and whoever comes next
 * is served. Each step has a new agent, so that it is the n-th of the same ones. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "agent/service_internal.h"
#include "agent_fixture.h"
#include "base/mem.h"
#include "codec/frame.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "crypto/signature.h"
#include "key_fixture.h"
#include "os/tree.h"

#define STEPS_MAX 1500 /* a sweep that does not end */
#define FRAME_ID  77

/* What a tool asks. */
struct row {
    const char *name;
    void (*prepare)(struct tool *t); /* NULL: being connected is part of the sweep */
    enum chy_door_msg msg;
    const struct chy_schema *schema;
    const void *value;
    enum chy_door_msg reply; /* CHY_DOOR_FAILED: it is refused, and never granted */
    const struct chy_schema *reply_schema;
    void (*check)(const void *reply); /* that nothing in it is wrong; NULL: there is nothing */
};

union reply {
    struct chy_door_key_page page;
    struct chy_door_status status;
    struct chy_door_called called;
    struct chy_door_signed signature;
    struct chy_door_hashed hashed;
    struct chy_door_welcome welcome;
    struct chy_empty empty;
};

static struct fixture f;
static const struct chy_empty nothing = { 0 };
static const uint8_t zeros[CHY_HASH_BYTES];
static const struct chy_bytes text = { (const uint8_t *)"what is signed", 14 };

/* --- what is right --- */

static void assert_signed(const struct chy_door_signed *got, struct chy_bytes what)
{
    const struct chy_pubkey *key = chy_privkey_public(fixture_key_of(CHY_KEY_P256));
    assert_int_equal(
        chy_pubkey_verify(key, CHY_ALG_ECDSA_SHA256, CHY_SIGNATURE_RAW, what, got->signature, NULL),
        CHY_OK);
}

static void check_signed(const void *reply)
{
    assert_signed(reply, text);
}

/* What the policy was told is whole: the caller's fact, and ours behind it. */
static void check_called(const void *reply)
{
    const struct chy_door_called *got = reply;
    struct chy_sign_response response;
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    assert_int_equal(
        chy_schema_decode(&chy_sign_response_schema, got->response, &arena, &response, NULL),
        CHY_OK);
    assert_int_equal(response.results.n, 1);
    assert_true(response.results.p[0].is_signed);
    assert_true(fake.last.facts.n >= 4);
    assert_int_equal(fake.last.facts.p[0].basis, CHY_BASIS_DECLARED);
    assert_int_equal(fake.last.facts.p[1].basis, CHY_BASIS_AGENT);
    chy_arena_done(&arena);
}

static void check_keys(const void *reply)
{
    const struct chy_door_key_page *got = reply;
    assert_int_equal(got->keys.n, 2);
    assert_true(chy_str_equal_c(got->keys.p[0].name, "p"));
    assert_int_equal(got->authorities.n, 1);
}

static void check_key(const void *reply)
{
    const struct chy_door_key_page *got = reply;
    assert_int_equal(got->keys.n, 1);
    assert_non_null(got->keys.p[0].certificate);
}

static void check_hashed(const void *reply)
{
    const struct chy_door_hashed *got = reply;
    uint8_t digest[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(text, digest, NULL), CHY_OK);
    assert_int_equal(got->digest.n, sizeof digest);
    assert_memory_equal(got->digest.p, digest, sizeof digest);
}

static void check_status(const void *reply)
{
    const struct chy_door_status *got = reply;
    assert_true(chy_str_equal_c(got->url, "https://127.0.0.1:1"));
    assert_true(chy_str_equal_c(got->principal, "alice"));
    assert_int_equal(got->signatures, 1);
}

/* --- what is asked --- */

static const struct chy_door_hello hello = { .version = CHY_DOOR_VERSION,
                                             .reason = { "because", 7 },
                                             .tag = { zeros, CHY_ID_BYTES } };
static const struct chy_door_keys all = { .revision = 0 };
static const struct chy_door_keys one = { .label = { "p", 1 } };
static const struct chy_door_hash_add part = { .stream = 1,
                                               .hash = CHY_HASH_SHA256,
                                               .data = { (const uint8_t *)"what is signed", 14 } };
static const struct chy_door_stream part_end = { 1 };
static const struct chy_door_watch watch = { { zeros, CHY_ID_BYTES } };

#define MESSAGE(of)                                                                       \
    {                                                                                     \
        .key = { of, sizeof(of) - 1 }, .scheme = CHY_DOOR_ECDSA, .hash = CHY_HASH_SHA256, \
        .is_message = true, .data = {                                                     \
            (const uint8_t *)"what is signed",                                            \
            14                                                                            \
        }                                                                                 \
    }
static const struct chy_door_sign message = { MESSAGE("p") };
static const struct chy_door_sign denied = { MESSAGE("denied") };
static const struct chy_door_sign stream = { { .key = { "p", 1 },
                                               .scheme = CHY_DOOR_ECDSA,
                                               .hash = CHY_HASH_SHA256,
                                               .is_message = true,
                                               .stream = 1 } };
static uint8_t signature[64]; /* of the text */
static const struct chy_door_verify verify_good = { MESSAGE("p"), { signature, sizeof signature } };
static const struct chy_door_verify verify_bad = { MESSAGE("p"), { signature, 63 } };
static struct chy_buf sign_body; /* what CALL asks for */
static struct chy_buf keys_body;
static struct chy_door_call call_sign = { .op = CHY_OP_SIGN };
static struct chy_door_call call_keys = { .op = CHY_OP_KEYS_LIST };

static void greet(struct tool *t)
{
    tool_hello(t, NULL);
}

static void be_agent(struct tool *t)
{
    fake.is_agent = true;
    tool_hello(t, NULL);
}

static void put_part(struct tool *t)
{
    struct chy_empty answer;
    tool_hello(t, NULL);
    assert_int_equal(tool_ask(t, CHY_DOOR_HASH_ADD, &chy_door_hash_add_schema, &part,
                              CHY_DOOR_HASH_ADDED, &chy_empty_schema, &answer),
                     CHY_OK);
}

static void sign_one(struct tool *t)
{
    struct chy_door_signed got;
    tool_hello(t, NULL);
    assert_int_equal(tool_ask(t, CHY_DOOR_SIGN, &chy_door_sign_schema, &message, CHY_DOOR_SIGNED,
                              &chy_door_signed_schema, &got),
                     CHY_OK);
    check_signed(&got);
}

static const struct row rows[] = {
    { "connection", NULL, CHY_DOOR_HELLO, &chy_door_hello_schema, &hello, CHY_DOOR_WELCOME,
      &chy_door_welcome_schema, NULL },
    { "all_keys", greet, CHY_DOOR_KEYS, &chy_door_keys_schema, &all, CHY_DOOR_KEY_PAGE,
      &chy_door_key_page_schema, check_keys },
    { "one_key", greet, CHY_DOOR_KEYS, &chy_door_keys_schema, &one, CHY_DOOR_KEY_PAGE,
      &chy_door_key_page_schema, check_key },
    { "sign_message", be_agent, CHY_DOOR_SIGN, &chy_door_sign_schema, &message, CHY_DOOR_SIGNED,
      &chy_door_signed_schema, check_signed },
    { "sign_stream", put_part, CHY_DOOR_SIGN, &chy_door_sign_schema, &stream, CHY_DOOR_SIGNED,
      &chy_door_signed_schema, check_signed },
    { "sign_refused", greet, CHY_DOOR_SIGN, &chy_door_sign_schema, &denied, CHY_DOOR_FAILED,
      &chy_door_failure_schema, NULL },
    { "verify_good", greet, CHY_DOOR_VERIFY, &chy_door_verify_schema, &verify_good,
      CHY_DOOR_VERIFIED, &chy_empty_schema, NULL },
    { "verify_bad", greet, CHY_DOOR_VERIFY, &chy_door_verify_schema, &verify_bad, CHY_DOOR_FAILED,
      &chy_door_failure_schema, NULL },
    { "hash_add", greet, CHY_DOOR_HASH_ADD, &chy_door_hash_add_schema, &part, CHY_DOOR_HASH_ADDED,
      &chy_empty_schema, NULL },
    { "hash_end", put_part, CHY_DOOR_HASH_END, &chy_door_stream_schema, &part_end, CHY_DOOR_HASHED,
      &chy_door_hashed_schema, check_hashed },
    { "call_sign", be_agent, CHY_DOOR_CALL, &chy_door_call_schema, &call_sign, CHY_DOOR_CALLED,
      &chy_door_called_schema, check_called },
    { "call_keys", greet, CHY_DOOR_CALL, &chy_door_call_schema, &call_keys, CHY_DOOR_CALLED,
      &chy_door_called_schema, NULL },
    { "watch", greet, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch, CHY_DOOR_WATCHING,
      &chy_empty_schema, NULL },
    { "unwatch", greet, CHY_DOOR_UNWATCH, &chy_empty_schema, &nothing, CHY_DOOR_UNWATCHED,
      &chy_empty_schema, NULL },
    { "status", sign_one, CHY_DOOR_STATUS, &chy_empty_schema, &nothing, CHY_DOOR_STATUS_REPLY,
      &chy_door_status_schema, check_status },
};

/* --- one step --- */

static void step_begin(void)
{
    fixture_init(&f);
    fake_add_key("p", CHY_KEY_P256, true);
    fake_add_key("q", CHY_KEY_P384, false);
    fake_add_key("denied", CHY_KEY_ED25519, false); /* not shown, and refused */
}

static bool is_quiet(void *ctx)
{
    (void)ctx;
    return chy_porter_is_quiet(f.porter);
}

/* Somebody else is served. */
static void step_end(struct tool *t)
{
    struct tool other;
    tool_close(t);
    fixture_turn_until(&f, is_quiet, NULL);
    tool_open(&other, &f);
    sign_one(&other);
    tool_close(&other);
    fixture_done(&f);
}

/* The tool has an answer, or its end. */
static bool is_answered(void *ctx)
{
    const struct tool *t = ctx;
    struct pollfd p = { .fd = t->fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void frame_of(const struct row *row, struct chy_buf *bytes)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    chy_buf_init(bytes, (size_t)CHY_LIMIT_FRAME + CHY_FRAME_LENGTH_BYTES);
    assert_int_equal(chy_schema_encode(row->schema, row->value, &body, NULL), CHY_OK);
    const struct chy_frame frame = { (uint16_t)row->msg, FRAME_ID, chy_buf_bytes(&body) };
    assert_int_equal(chy_frame_encode(bytes, &frame, NULL), CHY_OK);
}

/* Whether the right answer came; a failure and a closed connection are none. */
static bool take_answer(const struct row *row, struct tool *t)
{
    union reply reply;
    uint64_t id = 0;
    if (tool_is_closed(t))
        return false;
    uint16_t type = tool_receive(t, &id, row->reply_schema, &reply);
    assert_int_equal(id, FRAME_ID);
    if (type == CHY_DOOR_FAILED)
        return row->reply == CHY_DOOR_FAILED && failure.code != -CHY_E_NOMEM;
    assert_int_equal(type, row->reply);
    if (row->check != NULL)
        row->check(&reply);
    return true;
}

/* Whether an allocation was refused. */
static bool step(const struct row *row, size_t n, unsigned how)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    struct tool t;
    step_begin();
    frame_of(row, &bytes); /* from here to the answer the tool itself allocates nothing */
    if (row->prepare != NULL) {
        tool_open(&t, &f);
        row->prepare(&t);
        chy_mem_fail_from(n, how);
    } else {
        chy_mem_fail_from(n, how);
        tool_open(&t, &f);
    }
    tool_bytes(&t, chy_buf_bytes(&bytes));
    fixture_turn_until(&f, is_answered, &t);
    fixture_turn_until(&f, is_quiet, NULL);
    bool has_failed = chy_mem_has_failed();
    chy_mem_fail_after(SIZE_MAX);
    assert_true(take_answer(row, &t) || has_failed);
    step_end(&t);
    return has_failed;
}

static const unsigned ways[] = { 0, CHY_MEM_ONCE, CHY_MEM_ARENAS, CHY_MEM_ARENAS | CHY_MEM_ONCE };

/* valgrind, which is slow, looks at one way and at each third allocation: the paths are the
 * same. */
static size_t count_ways(void)
{
    return kernel_is_bare() ? CHY_ARRAY_LEN(ways) : 1;
}

static size_t stride(void)
{
    return kernel_is_bare() ? 1 : 3;
}

static void test_memory(void **state)
{
    const struct row *row = *state;
    for (size_t i = 0; i < count_ways(); i++) {
        size_t n = 0;
        while (step(row, n, ways[i]))
            assert_true((n += stride()) < STEPS_MAX);
    }
}

/* --- what nobody asks for --- */

/* Renewal and who we are: what could not be learnt is learnt at the next tick. */
static bool upkeep_step(size_t n, unsigned how)
{
    struct tool t;
    fixture_init(&f);
    chy_mem_fail_from(n, how);
    chy_porter_tick(f.porter);
    fixture_turn_until(&f, is_quiet, NULL);
    bool has_failed = chy_mem_has_failed();
    chy_mem_fail_after(SIZE_MAX);
    chy_porter_tick(f.porter);
    fixture_turn_until(&f, is_quiet, NULL);
    assert_true(fake.calls[CHY_OP_WHOAMI] >= 1);
    tool_open(&t, &f);
    tool_hello(&t, NULL);
    tool_close(&t);
    fixture_done(&f);
    return has_failed;
}

static void test_upkeep(void **state)
{
    (void)state;
    for (size_t i = 0; i < count_ways(); i++) {
        size_t n = 0;
        while (upkeep_step(n, ways[i]))
            assert_true((n += stride()) < STEPS_MAX);
    }
}

/* An agent that cannot start says so, and leaves no descriptor and no socket. */
static bool start_step(const char *path, size_t n, unsigned how)
{
    const struct chy_client_env env = { .url = "https://127.0.0.1:1" };
    const struct chy_settings_options none = { { 0 }, { 0 } };
    struct service s;
    struct chy_error err;
    chy_mem_fail_from(n, how);
    enum chy_err r = service_init(&s, &env, &none, "agent", &err);
    if (r == CHY_OK)
        r = service_listen(&s, chy_str_of(path), &err);
    bool has_failed = chy_mem_has_failed();
    chy_mem_fail_after(SIZE_MAX);
    assert_true(r == CHY_OK || (r == CHY_E_NOMEM && has_failed));
    assert_true(r != CHY_OK || access(path, F_OK) == 0);
    service_done(&s);
    assert_int_not_equal(access(path, F_OK), 0);
    return has_failed;
}

static void test_start(void **state)
{
    char folder[] = "/tmp/chancery-test-XXXXXX";
    char path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/agent.sock", folder);
    int before = dup(STDERR_FILENO);
    for (size_t i = 0; i < count_ways(); i++) {
        size_t n = 0;
        while (start_step(path, n, ways[i]))
            assert_true((n += stride()) < STEPS_MAX);
        assert_true(n > 5);
    }
    int after = dup(STDERR_FILENO);
    assert_int_equal(after, before + 1); /* the lowest that is free */
    (void)close(before);
    (void)close(after);
    assert_int_equal(chy_tree_remove(AT_FDCWD, folder, false, NULL), CHY_OK);
}

/* --- the program --- */

static int setup(void **state)
{
    static const struct chy_fact fact = { { "host", 4 }, { "x", 1 }, CHY_BASIS_DECLARED };
    static struct chy_sign_item item = { .key = { "p", 1 },
                                         .algorithm = CHY_ALG_ECDSA_SHA256,
                                         .digest = { zeros, CHY_HASH_BYTES },
                                         .hashed_by = CHY_HASHED_BY_TOOL };
    const struct chy_sign_request request = { .items = { &item, 1 }, .facts = { &fact, 1 } };
    const struct chy_key_query query = { .usable = true };
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    (void)state;
    chy_buf_init(&raw, sizeof signature);
    chy_buf_init(&sign_body, CHY_LIMIT_FRAME);
    chy_buf_init(&keys_body, CHY_LIMIT_FRAME);
    assert_int_equal(chy_schema_encode(&chy_sign_request_schema, &request, &sign_body, NULL),
                     CHY_OK);
    assert_int_equal(chy_schema_encode(&chy_key_query_schema, &query, &keys_body, NULL), CHY_OK);
    call_sign.request = chy_buf_bytes(&sign_body);
    call_keys.request = chy_buf_bytes(&keys_body);
    assert_int_equal(
        chy_privkey_sign(fixture_key_of(CHY_KEY_P256), CHY_ALG_ECDSA_SHA256, text, &raw, NULL),
        CHY_OK);
    chy_copy(signature, raw.p, sizeof signature);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&sign_body);
    chy_buf_done(&keys_body);
    fixture_keys_free();
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[CHY_ARRAY_LEN(rows) + 2] = {
        cmocka_unit_test(test_upkeep),
        cmocka_unit_test(test_start),
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        tests[i + 2] = (struct CMUnitTest){ rows[i].name, test_memory, NULL, NULL,
                                            (void *)(uintptr_t)&rows[i] };
    return cmocka_run_group_tests(tests, setup, teardown);
}
