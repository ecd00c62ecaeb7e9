/* SPDX-License-Identifier: MIT */
/* The real process query over a store in a temporary folder, laid out as a server's is: it belongs
 * to the writer, and query (as root: the user nobody) reads it by its group. The test is the signer
 * that writes, the front that calls and the inspect that reads documents. */
#pragma once

#include "os/channel.h"
#include "os/process.h"
#include "proto/internal.h"
#include "proto/ops.h"
#include "store/anchor.h"
#include "store/records.h"
#include "store/store.h"
#include "tlog/checkpoint.h"
#include "tlog/tree.h"

#define ORIGIN "log.example.org/test"

struct server {
    char folder[32];
    char store_path[64];
    char anchor_path[64];
    struct chy_process process;
    struct chy_channel *supervisor;
    struct chy_channel *front;
    struct chy_channel *inspect;
    struct chy_arena arena; /* of one test */
    uint64_t next_id;

    struct chy_store *store;
    struct chy_anchor *anchor;
    struct chy_hasher *hasher;
    struct chy_tlog_tree *tree;
    struct chy_tlog_vkey vkey;
    struct chy_bytes note; /* the newest that was published, in `note_bytes` */
    uint8_t note_bytes[CHY_ANCHOR_NOTE_BYTES];
};

/* For main(): the exit code of the process when this is it, else -1. */
int fixture_role(int argc, char **argv);

/* Start query over a folder without a store; it is not ready. */
struct server *fixture_start(void);
void fixture_stop(struct server *s); /* kills it, if it still runs */
/* Ask it to end, and wait: its exit code. */
int fixture_drain(struct server *s);
int fixture_exit_code(struct server *s);
/* Make the store; when it returns query has said that it is ready. */
void fixture_store(struct server *s);

/* What the signer writes. */
void fixture_append(struct server *s, struct chy_entry entry,
                    const struct chy_entry_detail *detail);
void fixture_append_many(struct server *s, size_t n);
/* Sign a checkpoint of the tree as it is, and publish it. */
void fixture_publish(struct server *s);
void fixture_publish_wrong(struct server *s, uint64_t size, bool has_right_root);
void fixture_put(struct server *s, enum chy_object_kind kind, const char *name,
                 const struct chy_schema *schema, const void *record);
/* A principal with one role ("" for none) and a certificate: the hash of its name. */
void fixture_user(struct server *s, const char *name, const char *role);
void fixture_credential(struct server *s, const char *text, struct chy_credential_record record);
void fixture_policy(struct server *s, uint64_t number, const char *yaml);
struct chy_key_record fixture_key(const char *name, const char *owner);

/* Who calls: NULL nobody; "token:X" the API token X; else the certificate of that name. */
struct chy_str fixture_send(struct server *s, enum chy_op op, const char *who, const void *request);
/* The call's answer; `ret_response` is the struct of the row and may be NULL. The text of an error
 * is in fixture_text. */
enum chy_err fixture_receive(struct server *s, enum chy_op op, void *ret_response);
enum chy_err fixture_call(struct server *s, enum chy_op op, const char *who, const void *request,
                          void *ret_response);
extern char fixture_text[CHY_ERROR_TEXT_BYTES];
/* Answer one document as inspect does. */
void fixture_inspect(struct server *s);
void fixture_frame(struct chy_channel *to, enum chy_msg type, uint64_t id,
                   const struct chy_schema *schema, const void *value, int fd);
/* The next frame, whose body lives until the next. */
struct chy_frame fixture_next(struct chy_channel *from);
void fixture_connect(struct server *s, enum chy_process_kind kind, struct chy_channel **ret);
