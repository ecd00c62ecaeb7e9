/* SPDX-License-Identifier: MIT */
/* Principals, keys, policies, and who may ask for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../crypto/key_fixture.h"
#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "os/clock.h"
#include "query_fixture.h"

static struct server *s;
static const struct chy_empty empty;

static const char policy_1[] = "version: 1\nrules: []\n";
static const char policy_2[] = "version: 1\nrules:\n"
                               "  - name: bob-tests\n"
                               "    effect: allow\n"
                               "    match: {principal: bob, key: test, host: build-1}\n";

static void assert_text(const char *part)
{
    if (strstr(fixture_text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, fixture_text);
}

#define TEXT_IS(str, want) assert_true(chy_str_equal_c((str), (want)))

static void put_keys(void)
{
    static const struct chy_str groups[] = { { "g", 1 } };
    struct chy_key_record release = fixture_key("release", "carol");
    release.key.groups.p = groups;
    release.key.groups.n = 1;
    release.key.guard = CHY_STR("- {principal: dan}\n");
    fixture_put(s, CHY_OBJECT_KEY, "release", &chy_key_record_schema, &release);
    struct chy_key_record test = fixture_key("test", "group:owners");
    test.key.guard = CHY_STR("- {principal: bob}\n");
    fixture_put(s, CHY_OBJECT_KEY, "test", &chy_key_record_schema, &test);
    struct chy_key_record gone = fixture_key("gone", "");
    gone.key.state = CHY_KEY_STATE_DESTROYED;
    fixture_put(s, CHY_OBJECT_KEY, "gone", &chy_key_record_schema, &gone);
}

static void put_token(const char *text, const char *scope, const char *key, bool is_revoked)
{
    const struct chy_str scopes = chy_str_of(scope);
    const struct chy_str keys = chy_str_of(key);
    fixture_credential(s, text,
                       (struct chy_credential_record){
                           .principal = CHY_STR("karl"),
                           .method = CHY_AUTH_API_TOKEN,
                           .info = { .scopes = { &scopes, 1 },
                                     .keys = { &keys, 1 },
                                     .is_revoked = is_revoked,
                                     .expires_us = chy_clock_realtime_us() + 3600000000 } });
}

static int group_setup(void **state)
{
    (void)state;
    s = fixture_start();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    fixture_stop(s);
    fixture_keys_free();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_reset(&s->arena);
    return 0;
}

static bool is_ready(void)
{
    fixture_frame(s->front, CHY_MSG_STATUS, 8, &chy_empty_schema, &empty, -1);
    struct chy_frame frame = fixture_next(s->front);
    struct chy_status status;
    assert_int_equal(frame.type, CHY_MSG_STATUS_REPLY);
    assert_int_equal(frame.id, 8);
    assert_int_equal(chy_schema_decode(&chy_status_schema, frame.body, &s->arena, &status, NULL),
                     CHY_OK);
    assert_true(status.counters.n >= 3);
    assert_true(status.is_ready == (status.text.n == 0));
    return status.is_ready;
}

/* Started before the signer has made the store: busy, and ready as soon as it is there. */
static void test_start__waits_for_the_store(void **state)
{
    (void)state;
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, NULL, &empty, NULL), CHY_E_BUSY);
    assert_text("starting");
    assert_false(is_ready());
    fixture_store(s);
    assert_true(is_ready());
    fixture_user(s, "alice", "administrator");
    fixture_user(s, "audra", "auditor");
    fixture_user(s, "karl", "key-manager");
    fixture_user(s, "paula", "policy-author");
    fixture_user(s, "bob", "");
    fixture_user(s, "carol", "");
    fixture_policy(s, 1, policy_1);
    fixture_policy(s, 2, policy_2);
    put_keys();
    put_token("token:narrow", "keys.*", "rel*", false);
    put_token("token:revoked", "*", "*", true);
}

/* As root's server runs it: another user, who reads the store by its group alone. */
static void test_start__as_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char path[64];
    char line[256];
    bool is_nobody = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->process.pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        is_nobody |= strcmp(line, "Uid:\t65534\t65534\t65534\t65534\n") == 0;
    fclose(file);
    assert_true(is_nobody);
}

static void test_hello(void **state)
{
    (void)state;
    struct chy_hello hello;
    struct chy_buf vkey;
    chy_buf_init(&vkey, CHY_LIMIT_TEXT);
    assert_true(chy_tlog_vkey_append(&vkey, &s->vkey));
    int64_t before = chy_clock_realtime_us();
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, NULL, &empty, &hello), CHY_OK);
    TEXT_IS(hello.server, "1.2.3");
    assert_int_equal(hello.api_min, CHY_API_MIN);
    assert_int_equal(hello.api_max, CHY_API_MAX);
    assert_true(hello.time_us >= before && hello.time_us <= chy_clock_realtime_us());
    assert_true(chy_str_equal(hello.log_vkey, chy_buf_str(&vkey)));
    /* Anybody may ask, so a credential that is worth nothing does not matter. */
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, "stranger", &empty, &hello), CHY_OK);
    chy_buf_done(&vkey);
}

static void test_whoami(void **state)
{
    (void)state;
    struct chy_whoami who;
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, "karl", &empty, &who), CHY_OK);
    TEXT_IS(who.principal, "karl");
    assert_int_equal(who.method, CHY_AUTH_CERTIFICATE);
    assert_int_equal(who.groups.n, 1);
    TEXT_IS(who.groups.p[0], "staff");
    TEXT_IS(who.roles.p[0], "key-manager");
    assert_true(who.expires_us > chy_clock_realtime_us());
}

static void test_credentials__refused(void **state)
{
    (void)state;
    struct chy_user dora = { .name = CHY_STR("dora"), .is_disabled = true, .created_us = 1 };
    fixture_user(s, "dora", "");
    fixture_put(s, CHY_OBJECT_USER, "dora", &chy_user_schema, &dora);
    fixture_credential(s, "late",
                       (struct chy_credential_record){ .principal = CHY_STR("bob"),
                                                       .method = CHY_AUTH_CERTIFICATE,
                                                       .info = { .expires_us = 1 } });
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, NULL, &empty, NULL), CHY_E_UNAUTHENTICATED);
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, "stranger", &empty, NULL),
                     CHY_E_UNAUTHENTICATED);
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, "dora", &empty, NULL), CHY_E_UNAUTHENTICATED);
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, "late", &empty, NULL), CHY_E_EXPIRED);
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, "token:revoked", &empty, NULL),
                     CHY_E_UNAUTHENTICATED);
    assert_int_equal(fixture_call(s, CHY_OP_WHOAMI, "token:narrow", &empty, NULL), CHY_E_FORBIDDEN);
}

/* Each operation, for somebody without a role, says whether its row asks for one. */
static void test_permissions__as_the_table_says(void **state)
{
    (void)state;
    for (int op = 1; op <= CHY_OP_LAST; op++) {
        const struct chy_op_row *row = chy_op_row(op);
        uint64_t request[256] = { 0 };
        if (row->server != CHY_OP_BY_QUERY || row->request == &chy_tile_path_schema ||
            row->request == &chy_user_name_schema || row->request == &chy_key_name_schema ||
            row->request == &chy_policy_test_schema)
            continue;
        enum chy_err r = fixture_call(s, (enum chy_op)op, "bob", request, NULL);
        bool may = (row->may & (CHY_MAY_ANYBODY | CHY_MAY_KNOWN)) != 0;
        if ((r == CHY_E_FORBIDDEN) == may)
            fail_msg("%s answered %s", row->id, chy_err_name(r));
    }
}

static void test_users(void **state)
{
    (void)state;
    struct chy_user_list list;
    struct chy_user user;
    struct chy_user_name name = { CHY_STR("karl") };
    assert_int_equal(fixture_call(s, CHY_OP_USERS_LIST, "audra", &empty, &list), CHY_OK);
    assert_true(list.users.n >= 6);
    TEXT_IS(list.users.p[0].name, "alice");
    assert_int_equal(fixture_call(s, CHY_OP_USERS_SHOW, "alice", &name, &user), CHY_OK);
    TEXT_IS(user.roles.p[0], "key-manager");
    name.name = CHY_STR("nobody");
    assert_int_equal(fixture_call(s, CHY_OP_USERS_SHOW, "alice", &name, &user), CHY_E_NOT_FOUND);
    assert_text("\"nobody\"");
    assert_int_equal(fixture_call(s, CHY_OP_USERS_SHOW, "karl", &name, &user), CHY_E_FORBIDDEN);
}

static struct chy_key_list keys_of(const char *who)
{
    static const struct chy_key_query all_keys = { 0 };
    struct chy_key_list list;
    assert_int_equal(fixture_call(s, CHY_OP_KEYS_LIST, who, &all_keys, &list), CHY_OK);
    return list;
}

static void test_keys_list__who_sees_what(void **state)
{
    (void)state;
    struct chy_key_list list = keys_of("karl");
    assert_int_equal(list.keys.n, 3);
    TEXT_IS(list.keys.p[0].name, "gone");
    TEXT_IS(list.keys.p[1].name, "release");
    TEXT_IS(list.keys.p[1].guard, "- {principal: dan}\n");
    assert_int_equal(list.keys.p[1].warnings.n, 2); /* no certificate; a software token */
    /* Policy may let him use it; what its owners demand is not his to read. */
    list = keys_of("bob");
    assert_int_equal(list.keys.n, 1);
    TEXT_IS(list.keys.p[0].name, "test");
    TEXT_IS(list.keys.p[0].guard, "");
    /* Hers. */
    list = keys_of("carol");
    assert_int_equal(list.keys.n, 1);
    TEXT_IS(list.keys.p[0].name, "release");
    assert_true(list.keys.p[0].guard.n > 0);
    assert_int_equal(keys_of("paula").keys.n, 0);
    /* A key manager's API token that is for some keys only. */
    list = keys_of("token:narrow");
    assert_int_equal(list.keys.n, 1);
    TEXT_IS(list.keys.p[0].name, "release");
}

static enum chy_err key_show(const char *who, const char *name, struct chy_key *key)
{
    struct chy_key_name request = { chy_str_of(name) };
    return fixture_call(s, CHY_OP_KEYS_SHOW, who, &request, key);
}

static void test_keys_show(void **state)
{
    (void)state;
    struct chy_key key;
    assert_int_equal(key_show("audra", "test", &key), CHY_OK);
    TEXT_IS(key.name, "test");
    assert_int_equal(key_show("bob", "test", &key), CHY_OK);
    assert_int_equal(key_show("bob", "release", &key), CHY_E_NOT_FOUND);
    assert_int_equal(key_show("karl", "nothing", &key), CHY_E_NOT_FOUND);
    assert_int_equal(key_show("alice", CHY_KEY_NAME_LOG, &key), CHY_E_NOT_FOUND);
    assert_int_equal(key_show("token:narrow", "test", &key), CHY_E_NOT_FOUND);
}

static void test_development_ca(void **state)
{
    (void)state;
    struct chy_pem pem;
    assert_int_equal(fixture_call(s, CHY_OP_CERTS_DEVELOPMENT_CA, NULL, &empty, &pem),
                     CHY_E_NOT_FOUND);
    const struct chy_certificate certificate = { .der = chy_str_bytes(CHY_STR("certificate")) };
    struct chy_key_record ca = fixture_key(CHY_KEY_NAME_DEVELOPMENT_CA, "");
    ca.key.class = CHY_KEY_CLASS_DEVELOPMENT_CA;
    ca.key.certificates.p = &certificate;
    ca.key.certificates.n = 1;
    fixture_put(s, CHY_OBJECT_KEY, CHY_KEY_NAME_DEVELOPMENT_CA, &chy_key_record_schema, &ca);
    assert_int_equal(fixture_call(s, CHY_OP_CERTS_DEVELOPMENT_CA, NULL, &empty, &pem), CHY_OK);
    TEXT_IS(pem.pem, "-----BEGIN CERTIFICATE-----\nY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n");
}

static void test_policies(void **state)
{
    (void)state;
    struct chy_policy_list list;
    struct chy_policy policy;
    struct chy_policy_number number = { 0 };
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_LIST, "karl", &empty, &list), CHY_OK);
    assert_int_equal(list.policies.n, 2);
    assert_int_equal(list.policies.p[0].number, 2);
    assert_int_equal(list.policies.p[1].number, 1);
    TEXT_IS(list.policies.p[0].policy, "");
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_SHOW, "paula", &number, &policy), CHY_OK);
    assert_int_equal(policy.number, 2);
    TEXT_IS(policy.policy, policy_2);
    number.number = 1;
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_SHOW, "paula", &number, &policy), CHY_OK);
    TEXT_IS(policy.policy, policy_1);
    number.number = 3;
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_SHOW, "paula", &number, &policy),
                     CHY_E_NOT_FOUND);
    assert_text("no policy 3");
}

static struct chy_policy_test a_test(const char *principal, enum chy_basis basis)
{
    static struct chy_fact fact;
    static struct chy_sign_item item;
    fact = (struct chy_fact){ CHY_STR("host"), CHY_STR("build-1"), basis };
    item = (struct chy_sign_item){ .key = CHY_STR("test"),
                                   .algorithm = CHY_ALG_ECDSA_SHA256,
                                   .hashed_by = CHY_HASHED_BY_TOOL,
                                   .facts = { &fact, 1 } };
    return (struct chy_policy_test){ .principal = chy_str_of(principal),
                                     .request = { .items = { &item, 1 } } };
}

static void test_policies_test__stored(void **state)
{
    (void)state;
    struct chy_policy_test_result result;
    struct chy_policy_test test = a_test("bob", CHY_BASIS_AGENT);
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, &result), CHY_OK);
    assert_int_equal(result.policy_number, 2);
    assert_int_equal(result.items.n, 1);
    assert_int_equal(result.items.p[0].decision, CHY_DECISION_ALLOWED);
    TEXT_IS(result.items.p[0].key, "test");
    TEXT_IS(result.items.p[0].rules.p[0].rule, "bob-tests");
    TEXT_IS(result.items.p[0].rules.p[0].matched, "yes");
    /* An allow does not believe what is declared. */
    test = a_test("bob", CHY_BASIS_DECLARED);
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, &result), CHY_OK);
    assert_int_equal(result.items.p[0].decision, CHY_DECISION_DENIED);
    TEXT_IS(result.items.p[0].rules.p[0].matched, "unknown");
    /* Without a name it is the caller. */
    test = a_test("", CHY_BASIS_AGENT);
    test.time_us = 1;
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, &result), CHY_OK);
    assert_int_equal(result.items.p[0].decision, CHY_DECISION_DENIED);
    TEXT_IS(result.items.p[0].rules.p[0].matched, "no");
}

static const char draft[] = "version: 1\nrules:\n"
                            "  - name: draft\n    effect: allow\n"
                            "    match: {network: 192.0.2.0/24, window: {zone: Europe/Berlin}}\n";

static void test_policies_test__draft(void **state)
{
    (void)state;
    struct chy_policy_test_result result;
    struct chy_policy_test test = a_test("carol", CHY_BASIS_DECLARED);
    test.policy = chy_str_of(draft);
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, &result), CHY_OK);
    assert_int_equal(result.policy_number, 0);
    assert_int_equal(result.items.p[0].decision, CHY_DECISION_ALLOWED);
    test.address = CHY_STR("198.51.100.1");
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, &result), CHY_OK);
    assert_int_equal(result.items.p[0].decision, CHY_DECISION_DENIED);
}

static void test_policies_test__errors(void **state)
{
    (void)state;
    struct chy_policy_test test = a_test("nobody", CHY_BASIS_AGENT);
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, NULL), CHY_E_NOT_FOUND);
    assert_text("no principal");
    test = a_test("dora", CHY_BASIS_AGENT);
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, NULL), CHY_E_STATE);
    test = a_test("bob", CHY_BASIS_AGENT);
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "bob", &test, NULL), CHY_E_FORBIDDEN);
    struct chy_sign_item item = { .key = CHY_STR(CHY_KEY_NAME_LOG),
                                  .algorithm = CHY_ALG_ED25519,
                                  .hashed_by = CHY_HASHED_BY_TOOL };
    test.request.items.p = &item;
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, NULL), CHY_E_NOT_FOUND);
    assert_text("items[0]");
    test = a_test("bob", CHY_BASIS_AGENT);
    test.policy = CHY_STR("version: 1\nrules:\n  - nonsense\n");
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, NULL), CHY_E_MALFORMED);
    assert_text("line 3");
    test.policy = CHY_STR("version: 1\nrules:\n  - {name: a, effect: deny, match: {window: {zone: "
                          "Europe/Atlantis}}}\n");
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, NULL), CHY_E_MALFORMED);
    assert_text("Atlantis");
}

static void test_policies_test__inspect_ends(void **state)
{
    (void)state;
    struct chy_policy_test test = a_test("bob", CHY_BASIS_AGENT);
    test.policy = chy_str_of(draft);
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    assert_int_equal(fixture_next(s->inspect).type, CHY_MSG_INSPECT);
    chy_channel_close(s->inspect);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, NULL), CHY_E_BUSY);
    assert_text("restarted");
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, NULL), CHY_E_BUSY);
    fixture_connect(s, CHY_PROCESS_INSPECT, &s->inspect);
    /* Once this is answered, the new peer has been taken as well. */
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, NULL, &empty, NULL), CHY_OK);
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, NULL), CHY_OK);
}

static void test_policies_test__too_many_wait(void **state)
{
    (void)state;
    struct chy_policy_test test = a_test("bob", CHY_BASIS_AGENT);
    test.policy = chy_str_of(draft);
    for (int i = 0; i < CHY_LIMIT_QUERY_WAITING; i++)
        fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    assert_int_equal(fixture_call(s, CHY_OP_POLICIES_TEST, "paula", &test, NULL), CHY_E_BUSY);
    assert_text("too many");
    chy_channel_close(s->inspect);
    for (int i = 0; i < CHY_LIMIT_QUERY_WAITING; i++)
        assert_int_equal(fixture_next(s->front).type, CHY_MSG_REPLY);
    fixture_connect(s, CHY_PROCESS_INSPECT, &s->inspect);
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, NULL, &empty, NULL), CHY_OK);
}

/* A rule for each of so many items would take the answer apart. */
static void test_policies_test__too_much_to_explain(void **state)
{
    (void)state;
    struct chy_policy_test test = a_test("bob", CHY_BASIS_AGENT);
    struct chy_sign_item *items =
        chy_arena_array(&s->arena, struct chy_sign_item, CHY_LIMIT_SIGN_ITEMS);
    for (size_t i = 0; i < CHY_LIMIT_SIGN_ITEMS; i++)
        items[i] = test.request.items.p[0];
    struct chy_buf yaml;
    chy_buf_init(&yaml, CHY_LIMIT_YAML);
    chy_buf_append_c(&yaml, "version: 1\nrules:\n");
    for (int i = 0; i < 100; i++)
        chy_buf_printf(&yaml, "  - {name: r%d, effect: deny}\n", i);
    test.policy = chy_buf_str(&yaml);
    test.request.items.p = items;
    test.request.items.n = CHY_LIMIT_SIGN_ITEMS;
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, NULL), CHY_E_LIMIT);
    assert_text("495 items");
    test.request.items.n = 495;
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    fixture_inspect(s);
    if (fixture_receive(s, CHY_OP_POLICIES_TEST, NULL) != CHY_OK)
        fail_msg("%s", fixture_text);
    chy_buf_done(&yaml);
}

/* What is not a call of query's: the answer says so, and the next is answered. */
static void test_calls__not_ours(void **state)
{
    (void)state;
    const struct chy_call wrong[] = {
        { .op = CHY_OP_SIGN },
        { .op = CHY_OP_LAST + 1 },
        { .op = CHY_OP_KEYS_SHOW, .request = chy_str_bytes(CHY_STR("x")) },
        { .op = CHY_OP_HELLO, .deadline_us = 1, .request = { (const uint8_t *)"\0", 1 } },
    };
    const enum chy_err want[] = { CHY_E_PROTOCOL, CHY_E_PROTOCOL, CHY_E_MALFORMED, CHY_E_TIMEOUT };
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrong); i++) {
        fixture_frame(s->front, CHY_MSG_CALL, ++s->next_id, &chy_call_schema, &wrong[i], -1);
        assert_int_equal(fixture_receive(s, CHY_OP_HELLO, NULL), want[i]);
    }
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, NULL, &empty, NULL), CHY_OK);
}

static void test_front__wrong_frame_ends_it_alone(void **state)
{
    (void)state;
    fixture_frame(s->front, CHY_MSG_TRUST, 0, &chy_empty_schema, &empty, -1);
    struct chy_frame frame;
    assert_int_equal(
        chy_channel_receive_wait(s->front, chy_clock_monotonic_us() + 30000000, &frame, NULL),
        CHY_E_NOT_FOUND);
    fixture_connect(s, CHY_PROCESS_FRONT, &s->front);
    assert_int_equal(fixture_call(s, CHY_OP_HELLO, NULL, &empty, NULL), CHY_OK);
}

/* What waits when the end is asked for is still answered. */
static void test_drain__finishes_what_waits(void **state)
{
    (void)state;
    struct chy_policy_test test = a_test("bob", CHY_BASIS_AGENT);
    test.policy = chy_str_of(draft);
    fixture_send(s, CHY_OP_POLICIES_TEST, "paula", &test);
    struct chy_frame frame = fixture_next(s->inspect);
    uint64_t id = frame.id;
    fixture_frame(s->supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &empty, -1);
    struct chy_inspect_reply reply = { .code = (uint32_t) - (int)CHY_E_MALFORMED,
                                       .text = CHY_STR("a wrong draft") };
    fixture_frame(s->inspect, CHY_MSG_INSPECT_REPLY, id, &chy_inspect_reply_schema, &reply, -1);
    assert_int_equal(fixture_receive(s, CHY_OP_POLICIES_TEST, NULL), CHY_E_MALFORMED);
    assert_text("a wrong draft");
    assert_int_equal(fixture_exit_code(s), 0);
}

int main(int argc, char **argv)
{
    int code = fixture_role(argc, argv);
    if (code >= 0)
        return code;
    if (kernel_skips_all())
        return 0;
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_start__waits_for_the_store),
        TEST(test_start__as_another_user),
        TEST(test_hello),
        TEST(test_whoami),
        TEST(test_credentials__refused),
        TEST(test_permissions__as_the_table_says),
        TEST(test_users),
        TEST(test_keys_list__who_sees_what),
        TEST(test_keys_show),
        TEST(test_development_ca),
        TEST(test_policies),
        TEST(test_policies_test__stored),
        TEST(test_policies_test__draft),
        TEST(test_policies_test__errors),
        TEST(test_policies_test__inspect_ends),
        TEST(test_policies_test__too_many_wait),
        TEST(test_policies_test__too_much_to_explain),
        TEST(test_calls__not_ours),
        TEST(test_front__wrong_frame_ends_it_alone),
        TEST(test_drain__finishes_what_waits),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
