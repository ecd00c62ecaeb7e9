/* SPDX-License-Identifier: MIT */
#include "agent_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/frame.h"
#include "crypto/hash.h"
#include "crypto/privkey.h"
#include "crypto/signature.h"
#include "key_fixture.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"

#define SOON_US INT64_C(60000000)

struct fake fake;
struct chy_door_failure failure;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the fake and of what follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_held;
static bool is_hung; /* what is of key "hangs" */
static unsigned held;

/* --- the server --- */

void fake_hold(void)
{
    pthread_mutex_lock(&mutex);
    is_held = true;
    pthread_mutex_unlock(&mutex);
}

void fake_hang(void)
{
    pthread_mutex_lock(&mutex);
    is_hung = true;
    pthread_mutex_unlock(&mutex);
}

void fake_release(void)
{
    pthread_mutex_lock(&mutex);
    is_held = false;
    is_hung = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void fake_wait_held(unsigned n)
{
    pthread_mutex_lock(&mutex);
    while (held < n)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static enum chy_err fake_open(const struct chy_settings *settings, void **ret_client,
                              struct chy_error *err)
{
    (void)settings;
    (void)err;
    *ret_client = &fake;
    return CHY_OK;
}

static void fake_close(void *client)
{
    (void)client;
}

static const char *fake_request_id(const void *client)
{
    (void)client;
    return "0123456789abcdef";
}

static void fake_patience(void *client, int64_t patience_ms)
{
    (void)client;
    (void)patience_ms;
}

static enum chy_err fake_renew(const struct chy_settings *settings, struct chy_error *err)
{
    (void)settings;
    (void)err;
    return CHY_OK;
}

static const struct chy_key *find_key(struct chy_str name)
{
    for (size_t i = 0; i < fake.n; i++) {
        if (chy_str_equal(fake.keys[i].name, name))
            return &fake.keys[i];
    }
    return NULL;
}

static bool is_any_id(const uint8_t id[CHY_ID_BYTES])
{
    static const uint8_t zero[CHY_ID_BYTES];
    return memcmp(id, zero, sizeof zero) == 0;
}

static enum chy_err list_keys(const struct chy_key_query *query, struct chy_arena *arena,
                              struct chy_key_list *ret, struct chy_error *err)
{
    struct chy_key *keys = chy_arena_array(arena, struct chy_key, fake.n + 1);
    size_t n = 0;
    *ret = (struct chy_key_list){ 0 };
    if (keys == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory");
    for (size_t i = 0; i < fake.n; i++) {
        const struct chy_key *k = &fake.keys[i];
        if (fake.has_pages && n == 7 && is_any_id(query->id)) {
            ret->next = keys[n - 1].name;
            break;
        }
        if ((!fake.has_pages || chy_str_compare(k->name, query->after) > 0) &&
            (is_any_id(query->id) || memcmp(k->id, query->id, sizeof k->id) == 0))
            keys[n++] = *k;
    }
    ret->keys.p = keys;
    ret->keys.n = n;
    return CHY_OK;
}

static void hold(const struct chy_sign_item *first)
{
    bool may_hang = chy_str_equal_c(first->key, "hangs");
    pthread_mutex_lock(&mutex);
    held++;
    pthread_cond_broadcast(&changed);
    while (is_held || (may_hang && is_hung))
        pthread_cond_wait(&changed, &mutex);
    held--;
    pthread_mutex_unlock(&mutex);
}

/* In the server's form. */
static enum chy_err sign_item(const struct chy_sign_item *item, struct chy_arena *arena,
                              struct chy_sign_result *ret, struct chy_error *err)
{
    static const struct chy_log_index intent = { 10 };
    static const struct chy_log_index outcome = { FAKE_OUTCOME };
    const struct chy_key *key = find_key(item->key);
    *ret = (struct chy_sign_result){ .intent = &intent };
    if (key == NULL || chy_str_equal_c(item->key, "denied")) {
        static const struct chy_str rules[] = { { "not-that", 8 } };
        ret->problem = CHY_STR("denied-by-policy");
        ret->detail = CHY_STR("no rule allows this");
        ret->rules = (struct chy_strs){ rules, 1 };
        return CHY_OK;
    }
    CHY_CLEANUP(chy_buf_done) struct chy_buf signature;
    struct chy_bytes signed_ = item->digest.n != 0 ? item->digest : item->message;
    chy_buf_init(&signature, CHY_LIMIT_SIGNATURE);
    if (!fixture_key_sign(key->type, item->algorithm, signed_, &signature))
        return chy_fail(err, CHY_E_NOMEM, "no memory");
    if (fake.lies) /* its form is good */
        signature.p[signature.n - 1] ^= 1;
    ret->is_signed = true;
    ret->outcome = &outcome;
    ret->signature = chy_arena_bytes(arena, chy_buf_bytes(&signature));
    return ret->signature.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory");
}

static enum chy_err sign(const struct chy_sign_request *request, struct chy_arena *arena,
                         struct chy_sign_response *ret, struct chy_error *err)
{
    hold(request->items.p);
    pthread_mutex_lock(&mutex);
    chy_arena_reset(&fake.last_arena);
    enum chy_err r =
        chy_schema_copy(&chy_sign_request_schema, request, &fake.last_arena, &fake.last, err);
    fake.most_items = CHY_MAX(fake.most_items, request->items.n);
    struct chy_sign_result *results =
        chy_arena_array(arena, struct chy_sign_result, request->items.n);
    if (r == CHY_OK && results == NULL)
        r = chy_fail(err, CHY_E_NOMEM, "no memory");
    for (size_t i = 0; r == CHY_OK && i < request->items.n; i++) {
        if (chy_str_equal_c(request->items.p[i].key, "wrong"))
            r = chy_fail(err, CHY_E_MALFORMED, "items[%zu]: it is wrong", i);
        else
            r = sign_item(&request->items.p[i], arena, &results[i], err);
        if (r == CHY_OK && results[i].is_signed && request->receipt == CHY_RECEIPT_FULL)
            results[i].receipt = fake.receipt;
    }
    pthread_mutex_unlock(&mutex);
    *ret =
        (struct chy_sign_response){ .results = { results, request->items.n }, .policy_number = 3 };
    return r;
}

static enum chy_err show_key(const struct chy_key_name *asked, struct chy_key *ret,
                             struct chy_error *err)
{
    const struct chy_key *key = find_key(asked->name);
    if (key == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no such key");
    *ret = *key;
    return CHY_OK;
}

static void say_hello(struct chy_hello *ret)
{
    *ret = (struct chy_hello){ .server = CHY_STR("fake"),
                               .api_min = CHY_API_MIN,
                               .api_max = CHY_API_MAX,
                               .time_us = chy_clock_realtime_us() };
}

static void say_whoami(struct chy_whoami *ret)
{
    *ret = (struct chy_whoami){ .principal = CHY_STR("alice"),
                                .method = CHY_AUTH_CERTIFICATE,
                                .is_agent = fake.is_agent };
}

static void list_tokens(struct chy_token_list *ret)
{
    static const struct chy_token_info token = { .name = { "soft", 4 },
                                                 .is_ready = true,
                                                 .workers = 1 };
    *ret = (struct chy_token_list){ .tokens = { &token, 1 } };
}

static void test_policy(struct chy_policy_test_result *ret)
{
    static const struct chy_policy_explanation x = { .key = { "p", 1 },
                                                     .decision = CHY_DECISION_ALLOWED,
                                                     .summary = { "allowed", 7 } };
    *ret = (struct chy_policy_test_result){ .policy_number = 3, .items = { &x, 1 } };
}

static enum chy_err fake_call(void *client, enum chy_op op, const void *request,
                              struct chy_arena *arena, void *response, struct chy_error *err)
{
    (void)client;
    pthread_mutex_lock(&mutex);
    fake.calls[op]++;
    enum chy_err fails = fake.fails;
    pthread_mutex_unlock(&mutex);
    if (fails != CHY_OK)
        return chy_fail(err, fails, "the server fails");
    if (op == CHY_OP_SIGN)
        return sign(request, arena, response, err);
    if (op == CHY_OP_KEYS_LIST)
        return list_keys(request, arena, response, err);
    if (op == CHY_OP_KEYS_SHOW)
        return show_key(request, response, err);
    if (op == CHY_OP_HELLO)
        say_hello(response);
    else if (op == CHY_OP_WHOAMI)
        say_whoami(response);
    else if (op == CHY_OP_TOKENS_LIST)
        list_tokens(response);
    else if (op == CHY_OP_POLICIES_TEST)
        test_policy(response);
    else
        return chy_fail(err, CHY_E_UNSUPPORTED, "not in this test");
    return CHY_OK;
}

#define FAKE_UPSTREAM                                                                         \
    .open = fake_open, .close = fake_close, .call = fake_call, .request_id = fake_request_id, \
    .set_patience = fake_patience, .renew = fake_renew

const struct chy_upstream fake_upstream = { FAKE_UPSTREAM, .slow_us = 60000000 };
const struct chy_upstream fake_upstream_in_a_hurry = { FAKE_UPSTREAM, .slow_us = 20000 };

/* --- keys --- */

static struct chy_bytes root; /* of all chains; lives in the fake's arena */

static struct chy_bytes certificate_of(struct chy_privkey *key, const char *subject)
{
    struct chy_buf der;
    const struct chy_cert_request request = {
        .profile = CHY_CERT_TLS_SERVER,
        .serial = { 0x80, 2, 3 },
        .subject = chy_str_of(subject),
        .not_before_us = 1700000000000000,
        .not_after_us = 1800000000000000,
    };
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    CHY_ASSERT(chy_privkey_self_signed(key, &request, &der, NULL) == CHY_OK);
    struct chy_bytes copy = chy_arena_bytes(&fake.arena, chy_buf_bytes(&der));
    CHY_ASSERT(copy.p != NULL);
    chy_buf_done(&der);
    return copy;
}

void fake_add_key(const char *name, enum chy_key_type type, bool has_chain)
{
    struct chy_privkey *key = fixture_key_of(type);
    struct chy_key *k = &fake.keys[fake.n++];
    *k = (struct chy_key){
        .name = chy_arena_str(&fake.arena, chy_str_of(name)),
        .class = CHY_KEY_CLASS_SIGNING,
        .type = type,
        .state = CHY_KEY_STATE_ACTIVE,
        .origin = CHY_KEY_ORIGIN_GENERATED,
        .public_key = chy_pubkey_spki(chy_privkey_public(key)),
    };
    CHY_ASSERT(k->name.p != NULL && fake.n < CHY_ARRAY_LEN(fake.keys));
    CHY_ASSERT(chy_hash(CHY_HASH_SHA256, chy_str_bytes(k->name), k->public_key_sha256, NULL) ==
               CHY_OK);
    memcpy(k->id, k->public_key_sha256, sizeof k->id);
    if (!has_chain)
        return;
    struct chy_certificate *chain = chy_arena_array(&fake.arena, struct chy_certificate, 2);
    CHY_ASSERT(chain != NULL);
    chain[0].der = certificate_of(key, "CN=leaf");
    chain[0].subject = CHY_STR("CN=leaf");
    if (root.p == NULL)
        root = certificate_of(fixture_key_of(CHY_KEY_P384), "O=Example,CN=Root\\, one");
    chain[1].der = root;
    chain[1].subject = CHY_STR("O=Example,CN=Root\\, one");
    k->certificates.p = chain;
    k->certificates.n = 2;
}

/* --- the porter --- */

void fixture_init(struct fixture *f)
{
    fixture_init_with(f, &fake_upstream);
}

void fixture_init_with(struct fixture *f, const struct chy_upstream *upstream)
{
    *f = (struct fixture){ .env = { .url = "https://127.0.0.1:1" } };
    fake = (struct fake){ .n = 0 };
    root = (struct chy_bytes){ 0 };
    chy_arena_init(&fake.arena, CHY_LIMIT_ARENA);
    chy_arena_init(&fake.last_arena, CHY_LIMIT_ARENA);
    chy_log_init(&f->log, STDERR_FILENO, CHY_LOG_ERROR, "agent", false);
    CHY_ASSERT(chy_loop_new(&f->loop, NULL) == CHY_OK);
    CHY_ASSERT(chy_login_new(&f->env, &f->options, &f->login, NULL) == CHY_OK);
    CHY_ASSERT(chy_programs_new(&f->programs, NULL) == CHY_OK);
    chy_peer_place_init(&f->place, f->programs);
    CHY_ASSERT(chy_workers_new(f->loop, f->login, upstream, &f->workers, NULL) == CHY_OK);
    const struct chy_porter_options options = {
        f->loop, f->login, f->workers, &f->place, &f->log,
    };
    CHY_ASSERT(chy_porter_new(&options, &f->porter, NULL) == CHY_OK);
}

void fixture_done(struct fixture *f)
{
    fake_release();
    chy_workers_free(f->workers);
    chy_porter_free(f->porter);
    chy_programs_free(f->programs);
    chy_login_free(f->login);
    chy_loop_free(f->loop);
    chy_arena_done(&fake.arena);
    chy_arena_done(&fake.last_arena);
}

void fixture_turn(struct fixture *f)
{
    CHY_ASSERT(chy_loop_turn(f->loop, chy_clock_monotonic_us() + 5000, NULL) == CHY_OK);
}

void fixture_turn_until(struct fixture *f, bool (*is_so)(void *ctx), void *ctx)
{
    int64_t deadline_us = chy_clock_monotonic_us() + SOON_US;
    while (!is_so(ctx)) {
        CHY_ASSERT(chy_clock_monotonic_us() < deadline_us);
        fixture_turn(f);
    }
}

void fixture_poll(struct fixture *f)
{
    for (int i = 0; i < 3; i++) /* read, work, write */
        CHY_ASSERT(chy_loop_turn(f->loop, chy_clock_monotonic_us(), NULL) == CHY_OK);
}

/* --- tools --- */

static int open_pair(struct tool *t, struct fixture *f)
{
    int fds[2];
    CHY_ASSERT(chy_socket_pair(fds, NULL) == CHY_OK);
    *t = (struct tool){ .f = f, .fd = fds[0] };
    chy_buf_init(&t->in, (size_t)CHY_LIMIT_FRAME * 3);
    chy_arena_init(&t->arena, CHY_LIMIT_ARENA);
    return fds[1];
}

void tool_open(struct tool *t, struct fixture *f)
{
    chy_porter_admit(f->porter, open_pair(t, f));
}

void tool_open_ssh(struct tool *t, struct fixture *f)
{
    chy_porter_admit_ssh(f->porter, open_pair(t, f));
}

void tool_close(struct tool *t)
{
    chy_fd_closep(&t->fd);
    chy_buf_done(&t->in);
    chy_arena_done(&t->arena);
}

void tool_bytes(struct tool *t, struct chy_bytes bytes)
{
    int64_t deadline_us = chy_clock_monotonic_us() + SOON_US;
    while (bytes.n != 0) {
        ssize_t n = send(t->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EPIPE)
            return;
        CHY_ASSERT(n >= 0 || errno == EAGAIN);
        CHY_ASSERT(chy_clock_monotonic_us() < deadline_us);
        if (n > 0)
            bytes = (struct chy_bytes){ bytes.p + n, bytes.n - (size_t)n };
        else
            fixture_turn(t->f);
    }
}

uint64_t tool_send(struct tool *t, enum chy_door_msg msg, const struct chy_schema *schema,
                   const void *value)
{
    struct chy_buf body;
    struct chy_buf bytes;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    chy_buf_init(&bytes, (size_t)CHY_LIMIT_FRAME + CHY_FRAME_LENGTH_BYTES);
    CHY_ASSERT(chy_schema_encode(schema, value, &body, NULL) == CHY_OK);
    const struct chy_frame frame = { (uint16_t)msg, ++t->last_id, chy_buf_bytes(&body) };
    CHY_ASSERT(chy_frame_encode(&bytes, &frame, NULL) == CHY_OK);
    tool_bytes(t, chy_buf_bytes(&bytes));
    chy_buf_done(&body);
    chy_buf_done(&bytes);
    return t->last_id;
}

bool tool_read_more(struct tool *t)
{
    static uint8_t part[65536];
    ssize_t n = recv(t->fd, part, sizeof part, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        fixture_turn(t->f);
        return true;
    }
    if (n <= 0)
        return false;
    CHY_ASSERT(chy_buf_append(&t->in, (struct chy_bytes){ part, (size_t)n }));
    return true;
}

uint16_t tool_receive(struct tool *t, uint64_t *ret_id, const struct chy_schema *schema,
                      void *ret_value)
{
    int64_t deadline_us = chy_clock_monotonic_us() + SOON_US;
    struct chy_frame frame;
    size_t used = 0;
    for (;;) {
        CHY_ASSERT(chy_frame_decode(chy_buf_bytes(&t->in), &frame, &used, NULL) == CHY_OK);
        if (used != 0)
            break;
        CHY_ASSERT(tool_read_more(t) && chy_clock_monotonic_us() < deadline_us);
    }
    *ret_id = frame.id;
    uint16_t type = frame.type;
    if (schema != NULL || type == CHY_DOOR_FAILED) {
        const struct chy_schema *by = type == CHY_DOOR_FAILED ? &chy_door_failure_schema : schema;
        void *to = type == CHY_DOOR_FAILED ? (void *)&failure : ret_value;
        struct chy_bytes body = chy_arena_bytes(&t->arena, frame.body);
        CHY_ASSERT(chy_schema_decode(by, body, &t->arena, to, NULL) == CHY_OK);
    }
    chy_buf_consume(&t->in, used);
    return type;
}

enum chy_err tool_ask(struct tool *t, enum chy_door_msg msg, const struct chy_schema *schema,
                      const void *value, enum chy_door_msg reply,
                      const struct chy_schema *reply_schema, void *ret_reply)
{
    uint64_t id = tool_send(t, msg, schema, value);
    uint64_t got = 0;
    uint16_t type = tool_receive(t, &got, reply_schema, ret_reply);
    CHY_ASSERT(got == id);
    if (type == CHY_DOOR_FAILED)
        return (enum chy_err) - (int)failure.code;
    CHY_ASSERT(type == (uint16_t)reply);
    return CHY_OK;
}

void tool_hello(struct tool *t, const struct chy_door_hello *more)
{
    struct chy_door_hello hello = more != NULL ? *more : (struct chy_door_hello){ 0 };
    struct chy_door_welcome welcome;
    hello.version = CHY_DOOR_VERSION;
    CHY_ASSERT(tool_ask(t, CHY_DOOR_HELLO, &chy_door_hello_schema, &hello, CHY_DOOR_WELCOME,
                        &chy_door_welcome_schema, &welcome) == CHY_OK);
}

bool tool_is_closed(struct tool *t)
{
    int64_t deadline_us = chy_clock_monotonic_us() + SOON_US;
    size_t before = t->in.n;
    while (t->in.n == before) {
        if (!tool_read_more(t))
            return true;
        CHY_ASSERT(chy_clock_monotonic_us() < deadline_us);
    }
    return false;
}
