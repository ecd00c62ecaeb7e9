/* SPDX-License-Identifier: MIT */
/* `chanceryd init`: a working single-node server in a new folder. Everything or nothing. Private to
 * this folder. */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "codec/schema.h"

struct chy_init_options {
    const char *data;
    const char *const *listen; /* none: 127.0.0.1:8443 */
    size_t listen_count;
    const char *const *names; /* of the TLS certificate, beside this host's and the loopback's */
    size_t name_count;
};

struct chy_init_result {
    struct chy_str data;
    struct chy_str config;         /* path */
    struct chy_str start;          /* the command that starts the server */
    struct chy_str enroll;         /* the command for a client, which asks for the code */
    struct chy_str enrolment_code; /* of the principal "admin"; secret */
    int64_t code_expires_us;
    struct chy_str certificate; /* path */
    struct chy_str server_pin;  /* base 64 of the SHA-256 of the TLS key's SubjectPublicKeyInfo */
    struct chy_str token_serial;
    struct chy_strs back_up; /* paths that hold the keys */
};

extern const struct chy_schema chy_init_result_schema;

/* The result lives in the arena.
 * Errors: CHY_E_EXISTS the folder is not empty; CHY_E_ARG an address or a name is none;
 * CHY_E_NOT_FOUND no
 *         SoftHSM, or no system users; CHY_E_TOKEN, CHY_E_STORE, CHY_E_CRYPTO, CHY_E_IO,
 *         CHY_E_LIMIT, CHY_E_NOMEM. What was made is removed. */
CHY_MUST_USE enum chy_err chy_init(const struct chy_init_options *options, struct chy_arena *arena,
                                   struct chy_init_result *ret_result, struct chy_error *err);
/* For people; `result` is a struct chy_init_result. */
void chy_init_print(const void *result, FILE *out);
