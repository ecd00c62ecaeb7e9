/* SPDX-License-Identifier: MIT */
/* A real SoftHSM token in a folder of its own, by itself or behind the faulty module. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "proto/internal.h"
#include "token/keys.h"
#include "token/module.h"
#include "token/setup.h"
#include "token/slot.h"

#define FIXTURE_LABEL "chancery test"

struct fixture {
    char dir[128]; /* the token's */
    char softhsm[256];
    struct chy_setup_result made;
    struct chy_secret *pin;

    struct chy_module *module;
    struct chy_slot *slot;
    struct chy_keys *keys;
    struct chy_session session;
    struct chy_arena arena;
};

/* The faulty module, built beside the tests. */
const char *fixture_faulty(void);
/* Make the folder and the token, and set SOFTHSM2_CONF. */
void fixture_make(struct fixture *f);
void fixture_remove(struct fixture *f);
/* DIR/name, in static storage until the next call. */
const char *fixture_path(const struct fixture *f, const char *name);
/* NULL: no fault. */
void fixture_fault(const struct fixture *f, const char *fault);

/* Load and log in, as a token process does at its start. */
void fixture_open(struct fixture *f, const char *module, struct chy_keys_options options);
void fixture_close(struct fixture *f);

struct chy_token_generate fixture_request(enum chy_key_type type, const char *label,
                                          const char *id);
/* Make a key pair, which must succeed. */
struct chy_token_key_reply fixture_key(struct fixture *f, enum chy_key_type type, const char *label,
                                       const char *id);
/* One item; the digest is made from `seed`. Borrows from static storage until the next call. */
struct chy_token_sign_item fixture_item(const struct chy_token_key_reply *key,
                                        enum chy_sign_alg algorithm, int seed);
/* Verify with src/crypto. */
void fixture_verify(const struct chy_token_key_reply *key, const struct chy_token_sign_item *item,
                    struct chy_bytes signature);
/* Objects of the class in the token. */
size_t fixture_count(struct fixture *f, CK_OBJECT_CLASS class);

#define assert_code(call, code) assert_string_equal(chy_err_name(call), chy_err_name(code))
#define assert_text(err, part)  assert_non_null(strstr((err).text, (part)))
