/* SPDX-License-Identifier: MIT */
/* The agent's parts without a server: an upstream that answers from here, a porter with its loop
 * and workers, and tools that are the other ends of socket pairs. Everything waits with a
 * deadline; what goes wrong aborts. */
#pragma once

#include <stdbool.h>

#include "agent/porter.h"
#include "base/arena.h"
#include "proto/door.h"

/* What the server of the test knows and does. Threads: `fake` is changed only while no work is in
 * flight, but by fake_hold() and fake_release(). */
struct fake {
    struct chy_key keys[600]; /* n of them; signatures are made by their place's private key */
    size_t n;
    bool is_agent;
    bool has_pages;       /* honours `after` and `limit`; else it answers all at once */
    enum chy_err fails;   /* every call */
    enum chy_err refuses; /* a request with an item of key "wrong", as a whole */
    bool lies;            /* answers signatures that are none */
    unsigned calls[CHY_OP_LAST + 1];
    struct chy_sign_request last; /* copied into `last_arena` */
    size_t most_items;            /* of one request */
    struct chy_str receipt;       /* answered where one is wanted; of entry FAKE_OUTCOME */
    struct chy_arena arena;       /* of keys */
    struct chy_arena last_arena;
};
extern struct fake fake;
#define FAKE_OUTCOME 11
/* Calls hang after a minute. */
extern const struct chy_upstream fake_upstream;
/* After some milliseconds. */
extern const struct chy_upstream fake_upstream_in_a_hurry;

/* Signatures wait from now on, until they are released. */
void fake_hold(void);
void fake_release(void);
/* Until so many calls are held. */
void fake_wait_held(unsigned n);
/* A request whose first item is of key "hangs" waits as if it were held; so from now on. */
void fake_hang(void);
/* Add a key of this type, with or without a certificate and a CA above it. */
void fake_add_key(const char *name, enum chy_key_type type, bool has_chain);

struct fixture {
    struct chy_loop *loop;
    struct chy_client_env env;
    struct chy_settings_options options;
    struct chy_login *login;
    struct chy_programs *programs;
    struct chy_peer_place place;
    struct chy_workers *workers;
    struct chy_porter *porter;
    struct chy_log log;
};

/* A porter with a login at https://127.0.0.1:1, and no keys. */
void fixture_init(struct fixture *f);
void fixture_init_with(struct fixture *f, const struct chy_upstream *upstream);
void fixture_done(struct fixture *f);
/* Turn the loop until it is so. */
void fixture_turn_until(struct fixture *f, bool (*is_so)(void *ctx), void *ctx);
void fixture_turn(struct fixture *f);
/* What is due now, without waiting for more. */
void fixture_poll(struct fixture *f);

/* A tool at the door. */
struct tool {
    struct fixture *f;
    int fd;
    struct chy_buf in;
    uint64_t last_id;
    struct chy_arena arena; /* of the last answer */
};

void tool_open(struct tool *t, struct fixture *f);
void tool_close(struct tool *t);
void tool_bytes(struct tool *t, struct chy_bytes bytes);
uint64_t tool_send(struct tool *t, enum chy_door_msg msg, const struct chy_schema *schema,
                   const void *value);
/* The next frame's kind and number; its body decodes by `schema` unless that is NULL. */
uint16_t tool_receive(struct tool *t, uint64_t *ret_id, const struct chy_schema *schema,
                      void *ret_value);
/* HELLO with this, WELCOME must come. */
void tool_hello(struct tool *t, const struct chy_door_hello *more);
/* CHY_OK with the answer, or the code of FAILED with its text in `failure`. */
extern struct chy_door_failure failure;
enum chy_err tool_ask(struct tool *t, enum chy_door_msg msg, const struct chy_schema *schema,
                      const void *value, enum chy_door_msg reply,
                      const struct chy_schema *reply_schema, void *ret_reply);
/* Whether the porter has closed it; waits for that, or for a frame. */
bool tool_is_closed(struct tool *t);
