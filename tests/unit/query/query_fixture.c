/* SPDX-License-Identifier: MIT */
#include "query_fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../crypto/key_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "inspect/run.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"
#include "os/tree.h"
#include "policy/yaml.h"
#include "query/query.h"

#define SOON (chy_clock_monotonic_us() + 30000000) /* never reached by a test that passes */

char fixture_text[CHY_ERROR_TEXT_BYTES];
static struct chy_error why;

#define OK(expr)                                                          \
    do {                                                                  \
        why.text[0] = '\0';                                               \
        enum chy_err ok_r_ = (expr);                                      \
        if (ok_r_ != CHY_OK)                                              \
            fail_msg("%s: %s: %s", #expr, chy_err_name(ok_r_), why.text); \
    } while (0)

int fixture_role(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "@query") == 0 ? chy_query_main() : -1;
}

/* --- frames --- */

void fixture_frame(struct chy_channel *to, enum chy_msg type, uint64_t id,
                   const struct chy_schema *schema, const void *value, int fd)
{
    struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    OK(chy_schema_encode(schema, value, &body, &why));
    struct chy_frame frame = { .type = (uint16_t)type, .id = id, .body = chy_buf_bytes(&body) };
    if (fd < 0)
        OK(chy_channel_send(to, &frame, &why));
    else
        OK(chy_channel_send_fds(to, &frame, &fd, 1, &why));
    OK(chy_channel_flush_wait(to, SOON, &why));
    chy_buf_done(&body);
}

struct chy_frame fixture_next(struct chy_channel *from)
{
    struct chy_frame frame;
    OK(chy_channel_receive_wait(from, SOON, &frame, &why));
    return frame;
}

static struct chy_channel *channel_of(int fd)
{
    const struct chy_channel_options options = { .send_limit_bytes = 4 * CHY_LIMIT_FRAME };
    struct chy_channel *channel;
    OK(chy_channel_new(fd, &options, &channel, &why));
    return channel;
}

void fixture_connect(struct server *s, enum chy_process_kind kind, struct chy_channel **ret)
{
    int fds[2];
    OK(chy_socket_pair(fds, &why));
    struct chy_peer peer = { .process = kind };
    fixture_frame(s->supervisor, CHY_MSG_PEER, 0, &chy_peer_schema, &peer, fds[1]);
    close(fds[1]);
    chy_channel_free(*ret);
    *ret = channel_of(fds[0]);
}

/* --- start and end --- */

static void folder_make(const char *path)
{
    OK(chy_dir_make(AT_FDCWD, path, 0750, &why));
    /* As the supervisor lays it out: files in it take the group that may read them. */
    if (geteuid() == 0 && (chown(path, 0, 65534) != 0 || chmod(path, 02750) != 0))
        fail();
}

struct server *fixture_start(void)
{
    struct server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    int fds[2];
    char path[64];
    umask(027);
    chy_process_ignore_sigpipe();
    chy_arena_init(&s->arena, CHY_LIMIT_ARENA);
    snprintf(s->folder, sizeof s->folder, "/tmp/chancery-query-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(chmod(s->folder, 0711), 0);
    snprintf(path, sizeof path, "%s/store", s->folder);
    folder_make(path);
    snprintf(path, sizeof path, "%s/anchor", s->folder);
    folder_make(path);
    snprintf(s->store_path, sizeof s->store_path, "%s/store/chancery.db", s->folder);
    snprintf(s->anchor_path, sizeof s->anchor_path, "%s/anchor/checkpoint", s->folder);
    OK(chy_socket_pair(fds, &why));
    const struct chy_process_spec spec = { .role = "@query", .fds = &fds[1], .fd_count = 1 };
    OK(chy_process_spawn(&spec, &s->process, &why));
    close(fds[1]);
    s->supervisor = channel_of(fds[0]);
    const struct chy_query_config config = {
        .version = CHY_STR("1.2.3"),
        .store = chy_str_of(s->store_path),
        .anchor = chy_str_of(s->anchor_path),
        .origin = CHY_STR(ORIGIN),
        .log_level = CHY_STR("error"),
        .user = geteuid() == 0 ? CHY_STR("nobody") : CHY_STR(""),
    };
    fixture_frame(s->supervisor, CHY_MSG_CONFIG, 0, &chy_query_config_schema, &config, -1);
    fixture_connect(s, CHY_PROCESS_FRONT, &s->front);
    fixture_connect(s, CHY_PROCESS_INSPECT, &s->inspect);
    return s;
}

void fixture_stop(struct server *s)
{
    chy_process_endp(&s->process);
    chy_channel_free(s->supervisor);
    chy_channel_free(s->front);
    chy_channel_free(s->inspect);
    chy_store_close(s->store);
    chy_anchor_close(s->anchor);
    chy_tlog_tree_free(s->tree);
    chy_hasher_free(s->hasher);
    chy_arena_done(&s->arena);
    OK(chy_tree_remove(AT_FDCWD, s->folder, false, &why));
    free(s);
}

int fixture_exit_code(struct server *s)
{
    struct chy_process_end end;
    OK(chy_process_wait(&s->process, SOON, &end, &why));
    s->process = (struct chy_process){ -1, -1 };
    return end.was_signal ? -end.value : end.value;
}

int fixture_drain(struct server *s)
{
    fixture_frame(s->supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &(struct chy_empty){ 0 }, -1);
    return fixture_exit_code(s);
}

/* --- what the signer does --- */

static enum chy_err tile_done(void *ctx, const struct chy_tlog_tile *tile,
                              const struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct server *s = ctx;
    return chy_store_tile_put(s->store, tile->level, tile->index,
                              (struct chy_bytes){ (const uint8_t *)hashes, CHY_STORE_TILE_BYTES },
                              err);
}

static enum chy_err read_tile(void *ctx, const struct chy_tlog_tile *tile,
                              struct chy_tlog_hash *hashes, struct chy_error *err)
{
    struct server *s = ctx;
    return chy_store_tile_get(s->store, tile->level, tile->index, (uint8_t *)hashes, err);
}

void fixture_store(struct server *s)
{
    const struct chy_tlog_tree_io io = { s, read_tile, tile_done };
    struct chy_key_record log = fixture_key(CHY_KEY_NAME_LOG, "");
    struct chy_bytes spki = chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_ED25519)));
    OK(chy_store_open(s->store_path, CHY_STORE_CREATE, &s->store, &why));
    OK(chy_hasher_new(CHY_HASH_SHA256, &s->hasher, &why));
    OK(chy_tlog_tree_load(s->hasher, &io, 0, &s->tree, &why));
    OK(chy_tlog_vkey_make(s->hasher, CHY_STR(ORIGIN), spki.p + spki.n - CHY_ED25519_PUBLIC_BYTES,
                          &s->vkey, &why));
    log.key.class = CHY_KEY_CLASS_LOG;
    log.key.type = CHY_KEY_ED25519;
    log.key.public_key = spki;
    fixture_put(s, CHY_OBJECT_KEY, CHY_KEY_NAME_LOG, &chy_key_record_schema, &log);
    assert_int_equal(fixture_next(s->supervisor).type, CHY_MSG_READY);
}

static void append_inside(struct server *s, const struct chy_entry *entry,
                          const struct chy_entry_detail *detail)
{
    struct chy_buf e;
    struct chy_buf d;
    struct chy_tlog_hash leaf;
    chy_buf_init(&e, CHY_LIMIT_ENTRY);
    chy_buf_init(&d, CHY_LIMIT_ENTRY);
    OK(chy_schema_encode(&chy_entry_schema, entry, &e, &why));
    if (detail != NULL)
        OK(chy_schema_encode(&chy_entry_detail_schema, detail, &d, &why));
    OK(chy_store_log_append(s->store, chy_tlog_tree_size(s->tree), chy_buf_bytes(&e),
                            chy_buf_bytes(&d), &why));
    chy_tlog_leaf_hash(s->hasher, chy_buf_bytes(&e), &leaf);
    OK(chy_tlog_tree_append(s->tree, &leaf, &why));
    chy_buf_done(&e);
    chy_buf_done(&d);
}

void fixture_append(struct server *s, struct chy_entry entry, const struct chy_entry_detail *detail)
{
    entry.version = CHY_ENTRY_VERSION;
    OK(chy_store_begin(s->store, &why));
    append_inside(s, &entry, detail);
    OK(chy_store_commit(s->store, &why));
}

void fixture_append_many(struct server *s, size_t n)
{
    OK(chy_store_begin(s->store, &why));
    for (size_t i = 0; i < n; i++) {
        const struct chy_entry e = { .version = CHY_ENTRY_VERSION,
                                     .kind = CHY_ENTRY_SERVER_START,
                                     .time_us = 1 + (int64_t)chy_tlog_tree_size(s->tree) };
        append_inside(s, &e, NULL);
    }
    OK(chy_store_commit(s->store, &why));
}

static void publish(struct server *s, const struct chy_tlog_checkpoint *cp)
{
    struct chy_buf text;
    struct chy_buf signature;
    struct chy_buf note;
    chy_buf_init(&text, CHY_ANCHOR_NOTE_BYTES);
    chy_buf_init(&signature, CHY_LIMIT_SIGNATURE);
    chy_buf_init(&note, CHY_ANCHOR_NOTE_BYTES);
    assert_true(chy_tlog_checkpoint_append(&text, cp));
    OK(chy_privkey_sign(fixture_key_of(CHY_KEY_ED25519), CHY_ALG_ED25519, chy_buf_bytes(&text),
                        &signature, &why));
    OK(chy_tlog_note_make(&note, chy_buf_str(&text), &s->vkey, signature.p, &why));
    if (s->anchor == NULL)
        OK(chy_anchor_open(s->anchor_path, true, &s->anchor, &why));
    OK(chy_anchor_write(s->anchor, chy_buf_bytes(&note), &why));
    memcpy(s->note_bytes, note.p, note.n);
    s->note = (struct chy_bytes){ s->note_bytes, note.n };
    chy_buf_done(&text);
    chy_buf_done(&signature);
    chy_buf_done(&note);
}

void fixture_publish(struct server *s)
{
    struct chy_tlog_checkpoint cp = { CHY_STR(ORIGIN), chy_tlog_tree_size(s->tree), { { 0 } } };
    OK(chy_tlog_tree_root(s->tree, &cp.root, &why));
    publish(s, &cp);
}

void fixture_publish_wrong(struct server *s, uint64_t size, bool has_right_root)
{
    struct chy_tlog_checkpoint cp = { CHY_STR(ORIGIN), size, { { 0 } } };
    if (has_right_root)
        OK(chy_tlog_tree_root(s->tree, &cp.root, &why));
    publish(s, &cp);
}

void fixture_put(struct server *s, enum chy_object_kind kind, const char *name,
                 const struct chy_schema *schema, const void *record)
{
    OK(chy_store_begin(s->store, &why));
    OK(chy_record_put(s->store, kind, chy_str_of(name), schema, record, &why));
    OK(chy_store_commit(s->store, &why));
}

static void hash_of(const char *text, uint8_t ret[CHY_HASH_BYTES])
{
    OK(chy_sha256(chy_str_bytes(chy_str_of(text)), ret, &why));
}

void fixture_credential(struct server *s, const char *text, struct chy_credential_record record)
{
    uint8_t hash[CHY_HASH_BYTES];
    hash_of(text, hash);
    struct chy_str name = chy_record_hash_name(&s->arena, hash);
    fixture_put(s, CHY_OBJECT_CREDENTIAL, name.p, &chy_credential_record_schema, &record);
}

void fixture_user(struct server *s, const char *name, const char *role)
{
    const struct chy_str r = chy_str_of(role);
    const struct chy_str group = CHY_STR("staff");
    const struct chy_user user = { .name = chy_str_of(name),
                                   .groups = { &group, 1 },
                                   .roles = { &r, r.n > 0 ? 1 : 0 },
                                   .created_us = 1 };
    fixture_put(s, CHY_OBJECT_USER, name, &chy_user_schema, &user);
    fixture_credential(s, name,
                       (struct chy_credential_record){
                           .principal = chy_str_of(name),
                           .method = CHY_AUTH_CERTIFICATE,
                           .info = { .expires_us = chy_clock_realtime_us() + 3600000000 } });
}

void fixture_policy(struct server *s, uint64_t number, const char *yaml)
{
    struct chy_policy_doc doc;
    struct chy_buf out;
    chy_buf_init(&out, CHY_LIMIT_POLICY);
    OK(chy_policy_from_yaml(chy_str_bytes(chy_str_of(yaml)), &s->arena, &doc, &why));
    OK(chy_policy_doc_encode(&doc, &out, &why));
    struct chy_policy_record record = {
        .policy = { .number = number,
                    .author = CHY_STR("paula"),
                    .created_us = 1,
                    .rules = (uint32_t)doc.rules.n,
                    .policy = chy_str_of(yaml) },
        .canonical = chy_buf_bytes(&out),
    };
    OK(chy_sha256(record.canonical, record.policy.hash, &why));
    struct chy_str name = chy_record_policy_name(&s->arena, number);
    fixture_put(s, CHY_OBJECT_POLICY, name.p, &chy_policy_record_schema, &record);
    const struct chy_policy_number in_force = { number };
    fixture_put(s, CHY_OBJECT_META, CHY_META_POLICY_NUMBER, &chy_policy_number_schema, &in_force);
    chy_buf_done(&out);
}

struct chy_key_record fixture_key(const char *name, const char *owner)
{
    static struct chy_str owners[1];
    owners[0] = chy_str_of(owner);
    return (struct chy_key_record){
        .key = { .name = chy_str_of(name),
                 .class = CHY_KEY_CLASS_SIGNING,
                 .type = CHY_KEY_P256,
                 .state = CHY_KEY_STATE_ACTIVE,
                 .origin = CHY_KEY_ORIGIN_GENERATED,
                 .owners = { owners, owners[0].n > 0 ? 1 : 0 },
                 .token = CHY_STR("soft"),
                 .token_is_software = true,
                 .public_key = chy_str_bytes(CHY_STR("a key")),
                 .created_us = 1 },
    };
}

/* --- calls --- */

struct chy_str fixture_send(struct server *s, enum chy_op op, const char *who, const void *request)
{
    const struct chy_op_row *row = chy_op_row((int)op);
    struct chy_buf body;
    struct chy_call call = { .op = (uint32_t)op, .caller = { .address = CHY_STR("192.0.2.7") } };
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    if (who != NULL) {
        bool is_token = strncmp(who, "token:", 6) == 0;
        call.caller.method = is_token ? CHY_AUTH_API_TOKEN : CHY_AUTH_CERTIFICATE;
        hash_of(who, call.caller.credential);
    }
    OK(chy_schema_encode(row->request, request, &body, &why));
    call.request = chy_buf_bytes(&body);
    fixture_frame(s->front, CHY_MSG_CALL, ++s->next_id, &chy_call_schema, &call, -1);
    chy_buf_done(&body);
    return chy_str_of(row->id);
}

enum chy_err fixture_receive(struct server *s, enum chy_op op, void *ret_response)
{
    struct chy_frame frame = fixture_next(s->front);
    struct chy_reply reply;
    assert_int_equal(frame.type, CHY_MSG_REPLY);
    assert_int_equal(frame.id, s->next_id);
    struct chy_bytes own = chy_arena_bytes(&s->arena, frame.body);
    OK(chy_schema_decode(&chy_reply_schema, own, &s->arena, &reply, &why));
    snprintf(fixture_text, sizeof fixture_text, "%.*s", CHY_STR_ARG(reply.text));
    if (reply.code == 0 && ret_response != NULL)
        OK(chy_schema_decode(chy_op_row((int)op)->response, reply.response, &s->arena, ret_response,
                             &why));
    return (enum chy_err) - (int)reply.code;
}

enum chy_err fixture_call(struct server *s, enum chy_op op, const char *who, const void *request,
                          void *ret_response)
{
    fixture_send(s, op, who, request);
    return fixture_receive(s, op, ret_response);
}

void fixture_inspect(struct server *s)
{
    struct chy_frame frame = fixture_next(s->inspect);
    struct chy_inspect_request request;
    struct chy_inspect_reply reply = { .code = 0 };
    assert_int_equal(frame.type, CHY_MSG_INSPECT);
    OK(chy_schema_decode(&chy_inspect_request_schema, frame.body, &s->arena, &request, &why));
    struct chy_error wrong;
    enum chy_err r = chy_inspect_run(&request, &s->arena, &reply, &wrong);
    reply.code = (uint32_t) - (int)r;
    if (r != CHY_OK)
        reply.text = chy_str_of(wrong.text);
    fixture_frame(s->inspect, CHY_MSG_INSPECT_REPLY, frame.id, &chy_inspect_reply_schema, &reply,
                  -1);
}
