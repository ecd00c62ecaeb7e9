/* SPDX-License-Identifier: MIT */
/* What the plug-ins of other people's tools share: a program that is started for one question,
 * asks the server, through the agent where there is one, and ends. A tool that can load a PKCS#11
 * module needs none of this.
 *
 * Of the caller the agent states what it sees; without one the plug-in looks at itself in the same
 * way, so that a policy finds the same facts. Not shared. */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "client/client.h"
#include "client/settings.h"
#include "proto/api.h"

struct chy_plugin {
    const char *name; /* of the program, for what is told on standard error */
    struct chy_client_env env;
    struct chy_arena arena; /* what is read and answered lives here */
    struct chy_settings settings;
    bool has_settings;
    struct chy_client *client; /* once something was asked */
};

/* What a plug-in reads and writes; borrowed. */
struct chy_plugin_streams {
    int in;
    FILE *out;
    FILE *err;
};

/* At the start of a program: no core dumps, closed pipes are errors. Errors: CHY_E_CRYPTO,
 * CHY_E_IO */
CHY_MUST_USE enum chy_err chy_plugin_start(struct chy_error *err);

void chy_plugin_init(struct chy_plugin *p, const char *name, const struct chy_client_env *env);
void chy_plugin_done(struct chy_plugin *p);

/* The key that a tool names, also one that signs no more; nothing is connected before. Errors:
 * those of chy_settings_load(), chy_signing_connect() and chy_signing_key() */
CHY_MUST_USE enum chy_err chy_plugin_key(struct chy_plugin *p, struct chy_str name,
                                         struct chy_key *ret_key, struct chy_error *err);

/* Have one item signed by this key; facts, reason and receipt are seen to here.
 * Errors: those of chy_signing_ask() and of connecting */
CHY_MUST_USE enum chy_err chy_plugin_sign(struct chy_plugin *p, const struct chy_key *key,
                                          const struct chy_sign_item *item,
                                          struct chy_bytes *ret_signature, struct chy_error *err);

/* The algorithm of these for a key of this type: without a hash the key's usual one.
 * Errors: CHY_E_ARG PSS without a hash */
CHY_MUST_USE enum chy_err chy_plugin_algorithm(const struct chy_key *key, enum chy_hash_alg hash,
                                               bool is_pss, enum chy_sign_alg *ret_alg,
                                               struct chy_error *err);

/* What is wrong in words for the tool's user, with what to do about it; in the arena. */
struct chy_str chy_plugin_advise(struct chy_plugin *p, const struct chy_error *err);

/* What a person is told who calls the program by hand, with --version or --help or anything else
 * that is no question. Answers the exit code. */
int chy_plugin_use(const struct chy_plugin_streams *streams, const char *program, const char *usage,
                   int argc, char *const *argv);
/* One JSON document; false if it did not get there. */
CHY_MUST_USE bool chy_plugin_print(FILE *to, const struct chy_schema *schema, const void *value);
