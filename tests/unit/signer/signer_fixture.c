/* SPDX-License-Identifier: MIT */
#include "signer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "inspect/run.h"
#include "os/clock.h"
#include "os/socket.h"
#include "signer/signer.h"
#include "store/anchor.h"
#include "store/records.h"
#include "tlog/checkpoint.h"
#include "tlog/note.h"

#define WAIT_US INT64_C(20000000)

static char last_text[4096];

static int64_t now_us(void)
{
    return chy_clock_monotonic_us();
}

/* --- the store as `chanceryd init` would leave it --- */

static void credential_of(const char *name, uint8_t ret[CHY_HASH_BYTES])
{
    assert_int_equal(chy_sha256(chy_str_bytes(chy_str_of(name)), ret, NULL), CHY_OK);
}

struct chy_caller fx_caller(const char *name)
{
    struct chy_caller c = { .address = CHY_STR("192.0.2.1"), .user_agent = CHY_STR("test") };
    if (name == NULL)
        return c;
    bool is_token = strncmp(name, "token:", 6) == 0;
    c.method = is_token ? CHY_AUTH_API_TOKEN : CHY_AUTH_CERTIFICATE;
    credential_of(is_token ? name + 6 : name, c.credential);
    return c;
}

static void put_user(struct fixture *f, struct chy_store *store, const char *name, bool is_root)
{
    static const struct chy_str roles[] = {
        { "administrator", 13 }, { "key-manager", 11 }, { "policy-author", 13 }, { "auditor", 7 }
    };
    struct chy_user user = { .name = chy_str_of(name), .created_us = chy_clock_realtime_us() };
    if (is_root)
        user.roles = (struct chy_strs){ roles, CHY_ARRAY_LEN(roles) };
    struct chy_credential_record c = { .principal = user.name, .method = CHY_AUTH_CERTIFICATE };
    c.info.expires_us = chy_clock_realtime_us() + INT64_C(86400000000);
    uint8_t hash[CHY_HASH_BYTES];
    credential_of(name, hash);
    struct chy_str id = chy_record_hash_name(&f->arena, hash);
    assert_int_equal(
        chy_record_put(store, CHY_OBJECT_USER, user.name, &chy_user_schema, &user, NULL), CHY_OK);
    assert_int_equal(
        chy_record_put(store, CHY_OBJECT_CREDENTIAL, id, &chy_credential_record_schema, &c, NULL),
        CHY_OK);
    if (is_root)
        assert_int_equal(chy_record_put(store, CHY_OBJECT_META, CHY_STR(CHY_META_INIT),
                                        &chy_user_schema, &user, NULL),
                         CHY_OK);
}

static void make_store(struct fixture *f)
{
    struct chy_store *store = NULL;
    struct chy_error err;
    /* As the signer makes its files: SQLite would change the mode of those beside this one to its
     * own, which the sandbox forbids. */
    mode_t old = umask(027);
    if (chy_store_open(f->store_path.p, CHY_STORE_CREATE, &store, &err) != CHY_OK)
        fail_msg("%s", err.text);
    umask(old);
    assert_int_equal(chy_store_begin(store, NULL), CHY_OK);
    put_user(f, store, "root", true);
    put_user(f, store, "alice", false);
    put_user(f, store, "bob", false);
    assert_int_equal(chy_store_commit(store, NULL), CHY_OK);
    chy_store_close(store);
}

/* Started by root the signer changes to another user, as in production; SQLite would else set
 * owners, which the sandbox forbids. */
static void give_away(const struct fixture *f)
{
    const struct passwd *nobody = getpwnam("nobody");
    assert_non_null(nobody);
    assert_int_equal(chown(f->dir, nobody->pw_uid, nobody->pw_gid), 0);
    assert_int_equal(chown(f->store_path.p, nobody->pw_uid, nobody->pw_gid), 0);
}

static const struct chy_signer_token tokens[] = {
    { .name = { "soft", 4 }, .workers = FX_WORKERS, .is_software = true },
};

void fx_init(struct fixture *f, fx_config_fn *change)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    memset(f, 0, sizeof *f);
    f->watch_store = true;
    f->next_id = 100;
    chy_arena_init(&f->arena, (size_t)1 << 30);
    snprintf(f->dir, sizeof f->dir, "/tmp/chy-signer-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    static char store[96];
    static char anchor[96];
    snprintf(store, sizeof store, "%s/store.db", f->dir);
    snprintf(anchor, sizeof anchor, "%s/checkpoint", f->dir);
    f->store_path = chy_str_of(store);
    f->anchor_path = chy_str_of(anchor);
    make_store(f);
    bool is_root = geteuid() == 0;
    if (is_root)
        give_away(f);
    f->config = (struct chy_signer_config){
        .version = CHY_STR("1.2.3"),
        .node = CHY_STR("node"),
        .origin = CHY_STR("example.org/log"),
        .store = f->store_path,
        .anchor = f->anchor_path,
        .public_url = CHY_STR("https://example.org"),
        .default_token = CHY_STR("soft"),
        .client_certificate_hours = 24,
        .commit_pace_us = 250,
        .max_queue = 4000,
        .token_timeout_ms = 10000,
        .denials_per_minute = 60,
        .log_level = CHY_STR("error"),
        .user = is_root ? CHY_STR("nobody") : CHY_STR(""),
    };
    f->config.tokens.p = tokens;
    f->config.tokens.n = CHY_ARRAY_LEN(tokens);
    if (change != NULL)
        change(&f->config);
}

/* --- sending --- */

static struct chy_channel *channel_of(int fd)
{
    struct chy_channel *c = NULL;
    const struct chy_channel_options options = { .send_limit_bytes = (size_t)64 << 20 };
    assert_int_equal(chy_channel_new(fd, &options, &c, NULL), CHY_OK);
    return c;
}

static void encode(const struct chy_schema *schema, const void *value, struct chy_buf *to)
{
    struct chy_error err;
    if (chy_schema_encode(schema, value, to, &err) != CHY_OK)
        fail_msg("%s", err.text);
}

/* To a peer that may have gone: that is for the test to find out otherwise. */
static void send_frame(struct chy_channel *c, enum chy_msg type, uint64_t id,
                       const struct chy_schema *schema, const void *value)
{
    struct chy_buf b;
    chy_buf_init(&b, CHY_LIMIT_FRAME);
    encode(schema, value, &b);
    struct chy_frame frame = { (uint16_t)type, id, chy_buf_bytes(&b) };
    if (chy_channel_is_open(c) && chy_channel_send(c, &frame, NULL) == CHY_OK)
        CHY_IGNORE(chy_channel_flush_wait(c, now_us() + WAIT_US, NULL));
    chy_buf_done(&b);
}

static void connect_peer(struct fixture *f, const struct chy_peer *peer,
                         struct chy_channel **channel, int *ret_fd)
{
    int fds[2];
    struct chy_buf b;
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    chy_buf_init(&b, 4096);
    encode(&chy_peer_schema, peer, &b);
    struct chy_frame frame = { CHY_MSG_PEER, 0, chy_buf_bytes(&b) };
    assert_int_equal(chy_channel_send_fds(f->supervisor, &frame, &fds[1], 1, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(f->supervisor, now_us() + WAIT_US, NULL), CHY_OK);
    chy_buf_done(&b);
    close(fds[1]);
    chy_channel_free(*channel);
    *channel = channel_of(fds[0]);
    *ret_fd = fds[0];
}

void fx_connect_front(struct fixture *f, size_t i)
{
    const struct chy_peer peer = { .process = CHY_PROCESS_FRONT };
    connect_peer(f, &peer, &f->fronts[i], &f->front_fds[i]);
}

void fx_connect_inspect(struct fixture *f)
{
    const struct chy_peer peer = { .process = CHY_PROCESS_INSPECT };
    connect_peer(f, &peer, &f->inspect, &f->inspect_fd);
}

static void worker_forget(struct worker *w)
{
    chy_channel_free(w->channel);
    w->channel = NULL;
    for (size_t i = 0; i < w->held_n; i++)
        free((void *)(uintptr_t)w->held[i].body.p);
    w->held_n = 0;
}

/* The workers are those of the first token of the configuration, then those of the next. */
static struct chy_peer worker_peer(const struct fixture *f, size_t i)
{
    const struct chy_signer_token *t = f->config.tokens.p;
    while (i >= t->workers) {
        i -= t->workers;
        t++;
    }
    return (struct chy_peer){ CHY_PROCESS_TOKEN, t->name, (uint32_t)i };
}

void fx_connect_worker(struct fixture *f, size_t i)
{
    static const struct chy_str mechanisms[] = { { "ecdsa-sha256", 12 } };
    const struct chy_peer peer = worker_peer(f, i);
    struct worker *w = &f->workers[i];
    worker_forget(w);
    w->mode = WORKER_SIGNS;
    connect_peer(f, &peer, &w->channel, &w->fd);
    struct chy_token_info_msg info = {
        .info = { .name = peer.token, .label = CHY_STR("test"), .is_software = true }
    };
    info.info.mechanisms = (struct chy_strs){ mechanisms, 1 };
    send_frame(w->channel, CHY_MSG_TOKEN_INFO, 0, &chy_token_info_msg_schema, &info);
}

void fx_drop_worker(struct fixture *f, size_t i)
{
    worker_forget(&f->workers[i]);
}

void fx_connect_all(struct fixture *f)
{
    fx_connect_front(f, 0);
    fx_connect_front(f, 1);
    fx_connect_inspect(f);
    for (size_t i = 0; i < FX_WORKERS; i++)
        fx_connect_worker(f, i);
}

/* --- the process --- */

/* In the child: a write past the limit fails, as on a full disk. */
static void limit_disk(const struct fixture *f)
{
    const struct rlimit limit = { f->disk_bytes, f->disk_bytes };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    if (f->disk_bytes != 0 &&
        (sigaction(SIGXFSZ, &ignore, NULL) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0))
        _exit(99);
}

void fx_spawn(struct fixture *f)
{
    int fds[2];
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    fflush(stdout);
    f->is_ready = false;
    f->has_exited = false;
    f->scanned = f->intent_n = 0; /* the store may have been exchanged */
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        /* Out of the way of 3; all else is closed, or ends of connections would stay open. */
        int fd = fcntl(fds[1], F_DUPFD, 200);
        if (fd < 0 || dup2(fd, CHY_SUPERVISOR_FD) < 0)
            _exit(99);
        for (int i = CHY_SUPERVISOR_FD + 1; i <= fd; i++)
            close(i);
        limit_disk(f);
        exit(chy_signer_main()); /* not _exit: the leak checker looks */
    }
    close(fds[1]);
    f->supervisor = channel_of(fds[0]);
    f->supervisor_fd = fds[0];
    send_frame(f->supervisor, CHY_MSG_CONFIG, 0, &chy_signer_config_schema, &f->config);
}

static bool is_ready(struct fixture *f)
{
    return f->is_ready;
}

void fx_start(struct fixture *f)
{
    fx_spawn(f);
    fx_connect_all(f);
    if (!fx_pump(f, WAIT_US, is_ready))
        fail_msg("the signer did not become ready");
}

static void disconnect_all(struct fixture *f)
{
    chy_channel_freep(&f->supervisor);
    chy_channel_freep(&f->inspect);
    for (size_t i = 0; i < FX_FRONTS; i++)
        chy_channel_freep(&f->fronts[i]);
    for (size_t i = 0; i < FX_WORKERS; i++)
        worker_forget(&f->workers[i]);
    chy_store_closep(&f->reader);
}

static bool has_exited(struct fixture *f)
{
    if (!f->has_exited && waitpid(f->pid, &f->exit_status, WNOHANG) == f->pid) {
        f->has_exited = true;
        f->pid = 0;
    }
    return f->has_exited;
}

int fx_wait_exit(struct fixture *f)
{
    if (!fx_pump(f, WAIT_US, has_exited))
        fail_msg("the signer did not end");
    disconnect_all(f);
    return WIFSIGNALED(f->exit_status) ? -WTERMSIG(f->exit_status) : WEXITSTATUS(f->exit_status);
}

void fx_stop(struct fixture *f)
{
    const struct chy_empty empty = { 0 };
    chy_store_closep(
        &f->reader); /* so that the signer, the last one, folds the store into one file */
    send_frame(f->supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &empty);
    assert_int_equal(fx_wait_exit(f), 0);
}

void fx_kill(struct fixture *f)
{
    assert_int_equal(kill(f->pid, SIGKILL), 0);
    assert_int_equal(fx_wait_exit(f), -SIGKILL);
}

static void remove_files(struct fixture *f)
{
    static const char *const names[] = { "store.db", "store.db-wal", "store.db-shm", "checkpoint",
                                         "old.db" };
    char path[128];
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
        CHY_IGNORE(unlink(path)); /* not every test makes all of them */
    }
    CHY_IGNORE(rmdir(f->dir)); /* a file that was left behind shows there */
}

void fx_done(struct fixture *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
        f->pid = 0;
    }
    disconnect_all(f);
    for (size_t i = 0; i < FX_REPLIES; i++)
        free((void *)(uintptr_t)f->replies[i].body.p);
    for (size_t i = 0; i < f->key_n; i++)
        EVP_PKEY_free(f->keys[i].pkey);
    free(f->intents);
    remove_files(f);
    chy_arena_done(&f->arena);
    memset(f, 0, sizeof *f);
}

void fx_reset(struct fixture *f)
{
    chy_arena_reset(&f->arena);
}

/* --- the store, as the token's side reads it --- */

static struct chy_store *reader(struct fixture *f)
{
    struct chy_error err;
    if (f->reader == NULL &&
        chy_store_open(f->store_path.p, CHY_STORE_READ, &f->reader, &err) != CHY_OK)
        fail_msg("%s", err.text);
    return f->reader;
}

struct intent_scan {
    struct fixture *f;
    struct chy_arena arena; /* of one entry */
};

static enum chy_err note_intent(void *ctx, uint64_t index, struct chy_bytes entry,
                                struct chy_bytes detail, struct chy_error *err)
{
    struct intent_scan *scan = ctx;
    struct fixture *f = scan->f;
    struct chy_entry e;
    (void)detail;
    chy_arena_reset(&scan->arena);
    CHY_TRY(chy_schema_decode(&chy_entry_schema, entry, &scan->arena, &e, err));
    f->scanned = index + 1;
    if (e.decision != CHY_DECISION_ALLOWED || e.digest.n < CHY_HASH_BYTES ||
        (e.kind != CHY_ENTRY_SIGN_INTENT && e.kind != CHY_ENTRY_KEY_INTENT))
        return CHY_OK;
    if (f->intent_n % 1024 == 0) {
        f->intents = realloc(f->intents, (f->intent_n + 1024) * sizeof *f->intents);
        assert_non_null(f->intents);
    }
    memcpy(f->intents[f->intent_n++], e.digest.p, CHY_HASH_BYTES);
    return CHY_OK;
}

/* Reads what was committed, and that alone: another connection. */
static bool is_intended(struct fixture *f, struct chy_bytes input, bool is_message)
{
    uint8_t hash[CHY_HASH_BYTES];
    struct intent_scan scan = { .f = f };
    chy_arena_init(&scan.arena, 1 << 20);
    assert_int_equal(
        chy_store_log_walk(reader(f), f->scanned, UINT64_MAX, note_intent, &scan, NULL), CHY_OK);
    chy_arena_done(&scan.arena);
    if (is_message)
        assert_int_equal(chy_sha256(input, hash, NULL), CHY_OK);
    else
        memcpy(hash, input.p, CHY_HASH_BYTES);
    for (size_t i = f->intent_n; i-- > 0;)
        if (memcmp(f->intents[i], hash, CHY_HASH_BYTES) == 0)
            return true;
    return false;
}

/* --- the token --- */

static struct fake_key *key_by_id(struct fixture *f, struct chy_bytes id)
{
    for (size_t i = 0; i < f->key_n; i++)
        if (!f->keys[i].is_destroyed &&
            chy_bytes_equal((struct chy_bytes){ f->keys[i].object_id, f->keys[i].object_id_n }, id))
            return &f->keys[i];
    return NULL;
}

static struct chy_bytes key_spki(struct fixture *f, const struct fake_key *k)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(k->pkey, &der);
    assert_true(n > 0);
    struct chy_bytes own = chy_arena_bytes(&f->arena, (struct chy_bytes){ der, (size_t)n });
    OPENSSL_free(der);
    return own;
}

static struct fake_key *key_make(struct fixture *f, const struct chy_token_generate *g)
{
    assert_true(f->key_n < FX_KEYS);
    struct fake_key *k = &f->keys[f->key_n++];
    k->pkey = g->type == CHY_KEY_ED25519    ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
              : g->type == CHY_KEY_RSA_3072 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072)
                                            : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(k->pkey);
    assert_true(g->object_id.n <= sizeof k->object_id);
    memcpy(k->object_id, g->object_id.p, g->object_id.n);
    k->object_id_n = g->object_id.n;
    snprintf(k->label, sizeof k->label, "%.*s", CHY_STR_ARG(g->label));
    return k;
}

static struct chy_bytes key_sign(struct fixture *f, struct fake_key *k, enum chy_sign_alg alg,
                                 struct chy_bytes input)
{
    unsigned char *out = chy_arena_alloc(&f->arena, 1, 1024);
    size_t n = 1024;
    if (alg == CHY_ALG_ED25519) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey), 1);
        assert_int_equal(EVP_DigestSign(ctx, out, &n, input.p, input.n), 1);
        EVP_MD_CTX_free(ctx);
        return (struct chy_bytes){ out, n };
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, out, &n, input.p, input.n), 1);
    EVP_PKEY_CTX_free(ctx);
    return (struct chy_bytes){ out, n };
}

static struct chy_token_sign_result sign_one(struct fixture *f, const struct worker *w,
                                             const struct chy_token_sign_item *item)
{
    struct chy_token_sign_result r = { 0 };
    struct fake_key *k = key_by_id(f, item->key.object_id);
    f->signatures++;
    if (k == NULL)
        return (struct chy_token_sign_result){ .code = (uint32_t)-CHY_E_NOT_FOUND,
                                               .text = CHY_STR("no such object") };
    /* A checkpoint has no intent: it says only what the log says. */
    if (f->watch_store && strcmp(k->label, "@log") != 0 &&
        !is_intended(f, item->input, chy_sign_alg_takes_message(item->algorithm)))
        f->unlogged++;
    if (w->mode == WORKER_FAILS)
        return (struct chy_token_sign_result){ .code = (uint32_t)-CHY_E_TOKEN,
                                               .text = CHY_STR("CKR_DEVICE_ERROR") };
    if (w->mode == WORKER_EMPTY)
        return r;
    r.signature = key_sign(f, k, item->algorithm, item->input);
    if (w->mode == WORKER_BABBLES)
        r.code = 0x80000000u;
    if (w->mode == WORKER_FORGES && strcmp(k->label, "@log") == 0)
        r.signature.n--;
    return r;
}

static void answer_sign(struct fixture *f, struct worker *w, uint64_t id, struct chy_bytes body)
{
    struct chy_token_sign message;
    struct chy_error err;
    if (chy_schema_decode(&chy_token_sign_schema, body, &f->arena, &message, &err) != CHY_OK)
        fail_msg("%s", err.text);
    size_t n = message.items.n;
    struct chy_token_sign_result *r =
        chy_arena_array(&f->arena, struct chy_token_sign_result, n + 1);
    for (size_t i = 0; i < n; i++)
        r[i] = sign_one(f, w, &message.items.p[i]);
    if (w->mode == WORKER_MISCOUNTS) {
        r[n] = r[0];
        n = n > 1 ? n - 1 : n + 1;
    }
    struct chy_token_sign_reply reply = { .results = { r, n } };
    send_frame(w->channel, CHY_MSG_TOKEN_SIGN_REPLY, id, &chy_token_sign_reply_schema, &reply);
}

static struct fake_key *key_find(struct fixture *f, const struct chy_token_find *find)
{
    if (find->object_id.n > 0)
        return key_by_id(f, find->object_id);
    for (size_t i = 0; i < f->key_n; i++)
        if (!f->keys[i].is_destroyed && chy_str_equal_c(find->label, f->keys[i].label))
            return &f->keys[i];
    return NULL;
}

static enum chy_key_type type_of(const struct fake_key *k)
{
    int id = EVP_PKEY_get_base_id(k->pkey);
    return id == EVP_PKEY_ED25519 ? CHY_KEY_ED25519
           : id == EVP_PKEY_RSA   ? CHY_KEY_RSA_3072
                                  : CHY_KEY_P256;
}

static void answer_key(struct fixture *f, struct worker *w, const struct held *h)
{
    struct chy_token_generate generate;
    struct chy_token_find find;
    struct fake_key *k = NULL;
    struct chy_token_key_reply reply = { .code = (uint32_t)-CHY_E_NOT_FOUND,
                                         .text = CHY_STR("no such object") };
    if (h->type == CHY_MSG_TOKEN_GENERATE) {
        assert_int_equal(
            chy_schema_decode(&chy_token_generate_schema, h->body, &f->arena, &generate, NULL),
            CHY_OK);
        k = w->mode == WORKER_FAILS ? NULL : key_make(f, &generate);
    } else {
        assert_int_equal(chy_schema_decode(&chy_token_find_schema, h->body, &f->arena, &find, NULL),
                         CHY_OK);
        k = key_find(f, &find);
    }
    if (k != NULL) {
        reply = (struct chy_token_key_reply){ .type = type_of(k),
                                              .public_key = key_spki(f, k),
                                              .object_id = { k->object_id, k->object_id_n },
                                              .is_local = true,
                                              .is_never_extractable = true };
    }
    send_frame(w->channel, CHY_MSG_TOKEN_KEY_REPLY, h->id, &chy_token_key_reply_schema, &reply);
}

static void answer_drop(struct fixture *f, struct worker *w, const struct held *h)
{
    struct chy_token_drop drop;
    struct chy_token_drop_reply reply = { 0 };
    assert_int_equal(chy_schema_decode(&chy_token_drop_schema, h->body, &f->arena, &drop, NULL),
                     CHY_OK);
    f->drops += drop.destroy ? 0 : 1;
    f->destroys += drop.destroy ? 1 : 0;
    if (w->mode == WORKER_FAILS) {
        reply.code = (uint32_t)-CHY_E_TOKEN;
        reply.text = CHY_STR("CKR_DEVICE_ERROR");
    } else if (drop.destroy) {
        struct fake_key *k = key_by_id(f, drop.key.object_id);
        if (k != NULL)
            k->is_destroyed = true;
        else
            reply.code = (uint32_t)-CHY_E_NOT_FOUND;
    }
    send_frame(w->channel, CHY_MSG_TOKEN_DROP_REPLY, h->id, &chy_token_drop_reply_schema, &reply);
}

static void worker_answer(struct fixture *f, struct worker *w, const struct held *h)
{
    if (h->type == CHY_MSG_TOKEN_SIGN)
        answer_sign(f, w, h->id, h->body);
    else if (h->type == CHY_MSG_TOKEN_DROP)
        answer_drop(f, w, h);
    else
        answer_key(f, w, h);
}

static struct chy_bytes bytes_own(struct chy_bytes b)
{
    uint8_t *p = malloc(b.n + 1);
    assert_non_null(p);
    memcpy(p, b.p, b.n);
    return (struct chy_bytes){ p, b.n };
}

static void worker_frame(struct fixture *f, struct worker *w, const struct chy_frame *frame)
{
    struct held h = { frame->type, frame->id, frame->body };
    f->sign_frames += frame->type == CHY_MSG_TOKEN_SIGN ? 1 : 0;
    if (w->mode == WORKER_DIES) {
        w->mode = WORKER_SIGNS;
        worker_forget(w);
    } else if (w->mode == WORKER_HOLDS) {
        assert_true(w->held_n < FX_HELD);
        h.body = bytes_own(frame->body);
        w->held[w->held_n++] = h;
    } else {
        worker_answer(f, w, &h);
    }
}

void fx_release(struct fixture *f, size_t worker)
{
    struct worker *w = &f->workers[worker];
    w->mode = WORKER_SIGNS;
    for (size_t i = 0; i < w->held_n; i++) {
        worker_answer(f, w, &w->held[i]);
        free((void *)(uintptr_t)w->held[i].body.p);
    }
    w->held_n = 0;
}

/* --- inspect --- */

static void inspect_frame(struct fixture *f, const struct chy_frame *frame)
{
    struct chy_inspect_request request;
    struct chy_inspect_reply reply = { 0 };
    struct chy_error err;
    assert_int_equal(frame->type, CHY_MSG_INSPECT);
    if (f->inspect_is_silent)
        return;
    assert_int_equal(
        chy_schema_decode(&chy_inspect_request_schema, frame->body, &f->arena, &request, NULL),
        CHY_OK);
    enum chy_err r = chy_inspect_run(&request, &f->arena, &reply, &err);
    if (r != CHY_OK)
        reply = (struct chy_inspect_reply){ .code = (uint32_t)-r, .text = chy_str_of(err.text) };
    send_frame(f->inspect, CHY_MSG_INSPECT_REPLY, frame->id, &chy_inspect_reply_schema, &reply);
}

/* --- front and supervisor --- */

static void front_frame(struct fixture *f, const struct chy_frame *frame)
{
    if (frame->type == CHY_MSG_TRUST) {
        f->has_trust = true;
        return;
    }
    for (size_t i = 0; i < FX_REPLIES; i++)
        if (f->replies[i].id == 0) {
            f->replies[i].id = frame->id;
            f->replies[i].body = bytes_own(frame->body);
            return;
        }
    fail_msg("too many answers that nobody takes");
}

static void supervisor_frame(struct fixture *f, const struct chy_frame *frame)
{
    if (frame->type == CHY_MSG_READY) {
        f->is_ready = true;
        return;
    }
    assert_int_equal(frame->type, CHY_MSG_HUNG);
    f->hung_count++;
    assert_int_equal(chy_schema_decode(&chy_peer_schema, frame->body, &f->arena, &f->hung, NULL),
                     CHY_OK);
}

/* --- the pump --- */

/* The next frame that is there already. */
static bool next_frame(struct chy_channel *c, struct chy_frame *ret)
{
    return c != NULL && chy_channel_is_open(c) &&
           chy_channel_receive_wait(c, now_us(), ret, NULL) == CHY_OK;
}

static bool serve_once(struct fixture *f)
{
    struct chy_frame frame;
    bool any = false;
    while (next_frame(f->supervisor, &frame)) {
        supervisor_frame(f, &frame);
        any = true;
    }
    while (next_frame(f->inspect, &frame)) {
        inspect_frame(f, &frame);
        any = true;
    }
    for (size_t i = 0; i < FX_FRONTS; i++)
        while (next_frame(f->fronts[i], &frame)) {
            front_frame(f, &frame);
            any = true;
        }
    for (size_t i = 0; i < FX_WORKERS; i++)
        while (next_frame(f->workers[i].channel, &frame)) {
            worker_frame(f, &f->workers[i], &frame);
            any = true;
        }
    return any;
}

static void add_poll(struct pollfd *fds, nfds_t *n, const struct chy_channel *c, int fd)
{
    if (c != NULL && chy_channel_is_open(c))
        fds[(*n)++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void sleep_until_something(struct fixture *f, int64_t until)
{
    struct pollfd fds[2 + FX_FRONTS + FX_WORKERS];
    nfds_t n = 0;
    add_poll(fds, &n, f->supervisor, f->supervisor_fd);
    add_poll(fds, &n, f->inspect, f->inspect_fd);
    for (size_t i = 0; i < FX_FRONTS; i++)
        add_poll(fds, &n, f->fronts[i], f->front_fds[i]);
    for (size_t i = 0; i < FX_WORKERS; i++)
        add_poll(fds, &n, f->workers[i].channel, f->workers[i].fd);
    int64_t ms = (until - now_us() + 999) / 1000;
    /* Looks up now and then: the end of the process is no event here. */
    poll(fds, n, (int)CHY_MAX(CHY_MIN(ms, (int64_t)20), (int64_t)0));
}

bool fx_pump(struct fixture *f, int64_t wait_us, fx_until_fn *until)
{
    int64_t end = now_us() + wait_us;
    for (;;) {
        bool any = serve_once(f);
        if (until != NULL && until(f))
            return true;
        if (now_us() >= end)
            return until == NULL;
        if (!any)
            sleep_until_something(f, end);
    }
}

/* --- calls --- */

uint64_t fx_call_raw(struct fixture *f, size_t front, const struct chy_call *call,
                     const void *request)
{
    struct chy_buf body;
    struct chy_call own = *call;
    uint64_t id = ++f->next_id;
    chy_buf_init(&body, CHY_LIMIT_FRAME);
    encode(chy_op_row((int)call->op)->request, request, &body);
    own.request = chy_buf_bytes(&body);
    memcpy(own.request_id, &id, sizeof id);
    if (own.deadline_us == 0)
        own.deadline_us = now_us() + 2 * WAIT_US;
    send_frame(f->fronts[front], CHY_MSG_CALL, id, &chy_call_schema, &own);
    chy_buf_done(&body);
    return id;
}

uint64_t fx_call(struct fixture *f, enum chy_op op, const char *caller, const void *request)
{
    const struct chy_call call = { .op = (uint32_t)op, .caller = fx_caller(caller) };
    return fx_call_raw(f, 0, &call, request);
}

static uint64_t wanted_id;

static struct fx_reply *reply_find(struct fixture *f, uint64_t id)
{
    for (size_t i = 0; i < FX_REPLIES; i++)
        if (f->replies[i].id == id)
            return &f->replies[i];
    return NULL;
}

bool fx_has_reply(struct fixture *f, uint64_t id)
{
    return reply_find(f, id) != NULL;
}

static bool wanted_is_there(struct fixture *f)
{
    return reply_find(f, wanted_id) != NULL;
}

static struct chy_bytes reply_take(struct fixture *f, uint64_t id)
{
    wanted_id = id;
    if (!fx_pump(f, WAIT_US, wanted_is_there))
        fail_msg("no answer");
    struct fx_reply *r = reply_find(f, id);
    struct chy_bytes body = chy_arena_bytes(&f->arena, r->body);
    free((void *)(uintptr_t)r->body.p);
    *r = (struct fx_reply){ 0 };
    return body;
}

/* Whoever holds a signature can read in the log that it was made. */
static void check_outcomes(struct fixture *f, const struct chy_sign_response *response)
{
    for (size_t i = 0; i < response->results.n; i++) {
        const struct chy_sign_result *r = &response->results.p[i];
        struct chy_bytes raw;
        struct chy_entry e;
        uint8_t hash[CHY_HASH_BYTES];
        if (!r->is_signed || r->outcome == NULL)
            continue;
        assert_int_equal(
            chy_store_log_get(reader(f), r->outcome->index, &f->arena, &raw, NULL, NULL), CHY_OK);
        assert_int_equal(chy_schema_decode(&chy_entry_schema, raw, &f->arena, &e, NULL), CHY_OK);
        assert_int_equal(e.outcome, CHY_OUTCOME_DONE);
        assert_int_equal(e.intent_index, r->intent->index);
        assert_int_equal(chy_sha256(r->signature, hash, NULL), CHY_OK);
        assert_memory_equal(e.result_sha256, hash, sizeof hash);
    }
}

enum chy_err fx_reply(struct fixture *f, uint64_t id, enum chy_op op, void *ret_response)
{
    struct chy_reply reply;
    struct chy_error err;
    struct chy_bytes body = reply_take(f, id);
    if (chy_schema_decode(&chy_reply_schema, body, &f->arena, &reply, &err) != CHY_OK)
        fail_msg("%s", err.text);
    snprintf(last_text, sizeof last_text, "%.*s", CHY_STR_ARG(reply.text));
    const struct chy_schema *schema = chy_op_row((int)op)->response;
    void *response = ret_response;
    if (response == NULL)
        response = chy_arena_alloc(&f->arena, 1, schema->size);
    memset(response, 0, schema->size);
    if ((reply.code == 0 || reply.response.n > 0) &&
        chy_schema_decode(schema, reply.response, &f->arena, response, &err) != CHY_OK)
        fail_msg("%s", err.text);
    if (op == CHY_OP_SIGN && f->watch_store)
        check_outcomes(f, response);
    return (enum chy_err) - (int)reply.code;
}

enum chy_err fx_do(struct fixture *f, enum chy_op op, const char *caller, const void *request,
                   void *ret_response)
{
    return fx_reply(f, fx_call(f, op, caller, request), op, ret_response);
}

const char *fx_text(void)
{
    return last_text;
}

/* --- short cuts --- */

static void must(enum chy_err r)
{
    if (r != CHY_OK)
        fail_msg("%s: %s", chy_err_name(r), last_text);
}

void fx_policy(struct fixture *f, const char *yaml)
{
    const struct chy_policy_apply apply = { .policy = chy_str_of(yaml) };
    must(fx_do(f, CHY_OP_POLICIES_APPLY, "root", &apply, NULL));
}

void fx_create_key(struct fixture *f, const char *name, enum chy_key_type type)
{
    const struct chy_key_create create = { .name = chy_str_of(name), .type = type };
    must(fx_do(f, CHY_OP_KEYS_CREATE, "root", &create, NULL));
}

void fx_ready_to_sign(struct fixture *f)
{
    fx_policy(f, "version: 1\n"
                 "rules:\n"
                 "  - name: alice\n"
                 "    effect: allow\n"
                 "    match:\n"
                 "      principal: alice\n");
    fx_create_key(f, "k", CHY_KEY_P256);
}

struct chy_sign_request fx_sign_request(struct fixture *f, const char *key, size_t n)
{
    static uint64_t serial;
    struct chy_sign_item *items = chy_arena_array(&f->arena, struct chy_sign_item, n);
    for (size_t i = 0; i < n; i++) {
        uint8_t *digest = chy_arena_alloc(&f->arena, 1, 32);
        serial++;
        memcpy(digest, &serial, sizeof serial);
        items[i] = (struct chy_sign_item){ .key = chy_str_of(key),
                                           .algorithm = CHY_ALG_ECDSA_SHA256,
                                           .digest = { digest, 32 },
                                           .hashed_by = CHY_HASHED_BY_TOOL };
    }
    return (struct chy_sign_request){ .items = { items, n } };
}

uint64_t fx_sign(struct fixture *f, const char *key, size_t n)
{
    const struct chy_sign_request request = fx_sign_request(f, key, n);
    return fx_call(f, CHY_OP_SIGN, "alice", &request);
}

enum chy_err fx_signed(struct fixture *f, uint64_t id, struct chy_sign_response *ret)
{
    return fx_reply(f, id, CHY_OP_SIGN, ret);
}

bool fx_verifies(struct fixture *f, const char *key, enum chy_sign_alg alg, struct chy_bytes input,
                 struct chy_bytes signature)
{
    struct chy_key_record record;
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *pub = NULL;
    assert_int_equal(chy_record_get(reader(f), CHY_OBJECT_KEY, chy_str_of(key),
                                    &chy_key_record_schema, &f->arena, &record, NULL),
                     CHY_OK);
    assert_int_equal(chy_pubkey_from_spki(record.key.public_key, &pub, NULL), CHY_OK);
    return chy_pubkey_verify_digest(pub, alg, CHY_SIGNATURE_DER, input, signature, NULL) == CHY_OK;
}

uint64_t fx_counter(struct fixture *f, const char *name)
{
    const struct chy_empty empty = { 0 };
    struct chy_status status;
    uint64_t id = ++f->next_id;
    send_frame(f->fronts[0], CHY_MSG_STATUS, id, &chy_empty_schema, &empty);
    assert_int_equal(
        chy_schema_decode(&chy_status_schema, reply_take(f, id), &f->arena, &status, NULL), CHY_OK);
    for (size_t i = 0; i < status.counters.n; i++)
        if (chy_str_equal_c(status.counters.p[i].name, name))
            return status.counters.p[i].value;
    fail_msg("there is no counter %s", name);
    return 0;
}

void fx_settle(struct fixture *f)
{
    int64_t end = now_us() + WAIT_US;
    while (fx_counter(f, "chancery_log_published") != fx_counter(f, "chancery_log_entries"))
        if (now_us() > end)
            fail_msg("no checkpoint is made");
}

void fx_renew_workers(struct fixture *f)
{
    const struct chy_empty empty = { 0 };
    struct chy_token_list list = { 0 };
    int64_t end = now_us() + WAIT_US;
    for (size_t i = 0; i < FX_WORKERS; i++)
        fx_connect_worker(f, i);
    do {
        must(fx_do(f, CHY_OP_TOKENS_LIST, "root", &empty, &list));
        assert_true(now_us() < end);
    } while (!list.tokens.p[0].is_ready);
}

/* --- the log --- */

uint64_t fx_published(struct fixture *f)
{
    struct chy_anchor *a = NULL;
    struct chy_bytes note;
    struct chy_tlog_checkpoint cp;
    struct chy_str text;
    must(chy_anchor_open(f->anchor_path.p, false, &a, NULL));
    must(chy_anchor_read(a, &f->arena, &note, NULL));
    chy_anchor_close(a);
    must(chy_tlog_note_text(note, &text, NULL));
    must(chy_tlog_checkpoint_parse(text, &cp, NULL));
    return cp.size;
}

static enum chy_err collect(void *ctx, uint64_t index, struct chy_bytes entry,
                            struct chy_bytes detail, struct chy_error *err)
{
    struct fixture *f = ((void **)ctx)[0];
    struct fx_log *log = ((void **)ctx)[1];
    (void)index;
    (void)detail;
    size_t at = log->n++;
    log->raw[at] = chy_arena_bytes(&f->arena, entry);
    return chy_schema_decode(&chy_entry_schema, log->raw[at], &f->arena, &log->entries[at], err);
}

struct fx_log fx_log(struct fixture *f)
{
    uint64_t size = 0;
    struct fx_log log = { 0 };
    void *ctx[] = { f, &log };
    assert_int_equal(chy_store_log_size(reader(f), &size, NULL), CHY_OK);
    log.entries = chy_arena_array(&f->arena, struct chy_entry, (size_t)size);
    log.raw = chy_arena_array(&f->arena, struct chy_bytes, (size_t)size);
    assert_int_equal(chy_store_log_walk(reader(f), 0, size, collect, ctx, NULL), CHY_OK);
    return log;
}

void fx_check_log(struct fixture *f, size_t *ret_open)
{
    struct fx_log log = fx_log(f);
    bool *is_answered = chy_arena_array(&f->arena, bool, log.n);
    size_t open = 0;
    for (size_t i = 0; i < log.n; i++) {
        const struct chy_entry *e = &log.entries[i];
        if (i > 0)
            assert_true(e->time_us >= log.entries[i - 1].time_us);
        if (e->outcome == CHY_OUTCOME_NONE) {
            open += (e->kind == CHY_ENTRY_SIGN_INTENT || e->kind == CHY_ENTRY_KEY_INTENT) &&
                            e->decision == CHY_DECISION_ALLOWED
                        ? 1
                        : 0;
            continue;
        }
        assert_true(e->intent_index < i);
        const struct chy_entry *intent = &log.entries[e->intent_index];
        assert_false(is_answered[e->intent_index]);
        is_answered[e->intent_index] = true;
        assert_int_equal(intent->decision, CHY_DECISION_ALLOWED);
        assert_true(intent->kind == CHY_ENTRY_SIGN_INTENT || intent->kind == CHY_ENTRY_KEY_INTENT);
        assert_true(chy_bytes_equal(intent->digest, e->digest));
        open--;
    }
    *ret_open = open;
}

size_t fx_count(struct fixture *f, enum chy_entry_kind kind, const char *action,
                enum chy_outcome outcome)
{
    struct fx_log log = fx_log(f);
    size_t n = 0;
    for (size_t i = 0; i < log.n; i++)
        n += log.entries[i].kind == kind && log.entries[i].outcome == outcome &&
                     (action == NULL || chy_str_equal_c(log.entries[i].action, action))
                 ? 1
                 : 0;
    return n;
}
