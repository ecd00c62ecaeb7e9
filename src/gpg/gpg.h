/* SPDX-License-Identifier: MIT */
/* chancery-gpg: stands as `gpg` for programs that sign with it (rpmsign, debsigs, git, apt's
 * archive tools) and has a Chancery server sign. One run of it: its context, and the parts. Not
 * shared.
 *
 * A key's OpenPGP form follows from the server's record: its numbers and the second when it was
 * made. So its fingerprint is the same everywhere. What is not in the record is a user id: it is
 * signed once (--quick-certify) and kept as a certificate in a folder (certificates.h). */
#pragma once

#include "client/client.h"
#include "client/settings.h"
#include "client/signing.h"
#include "format/openpgp.h"
#include "gpg/options.h"

enum {
    CHY_GPG_DONE = 0,
    CHY_GPG_REFUSED = 1,
    CHY_GPG_USE = 2,
    CHY_GPG_TROUBLE = 3,
};

struct chy_gpg {
    struct chy_client_env env;
    int in;
    int out;
    int err;
    struct chy_arena arena; /* lives as long as the run */
    struct chy_gnupg_options options;
    int status; /* descriptor; -1: none */
    struct chy_settings settings;
    bool has_settings;
    struct chy_client *client; /* once chy_gpg_connect() was called */
};

/* The whole program; answers the exit code. Descriptors are borrowed. */
int chy_gpg_run(int argc, char *const *argv, const struct chy_client_env *env, int in, int out,
                int err);

/* --- what is said --- */

/* "chancery-gpg: ..." on standard error. */
CHY_PRINTF(2, 3) void chy_gpg_say(const struct chy_gpg *g, const char *fmt, ...);
/* A status line of gpg's, as its doc/DETAILS has them: "SIG_CREATED ...". Nothing without
 * --status-fd. */
CHY_PRINTF(2, 3) void chy_gpg_status(const struct chy_gpg *g, const char *fmt, ...);
/* Errors: CHY_E_IO and of the buffer */
CHY_MUST_USE enum chy_err chy_gpg_print(const struct chy_gpg *g, const struct chy_buf *text,
                                        struct chy_error *err);

/* --- the server --- */

CHY_MUST_USE enum chy_err chy_gpg_settings(struct chy_gpg *g, struct chy_error *err);
/* Through the agent where one is to be asked, which then sees who we are and who started us. */
CHY_MUST_USE enum chy_err chy_gpg_connect(struct chy_gpg *g, struct chy_error *err);

/* What it is asked by, once connected. */
static inline struct chy_signing chy_gpg_server(struct chy_gpg *g)
{
    return (struct chy_signing){ g->client, &g->env, &g->arena };
}

struct chy_gpg_key {
    struct chy_key key;
    struct chy_openpgp_key openpgp;
    char fingerprint[2 * CHY_OPENPGP_FINGERPRINT_BYTES + 1]; /* upper case */
};

/* All that may sign, as far as OpenPGP has such keys. In the arena. Errors: of calling the
 * server */
CHY_MUST_USE enum chy_err chy_gpg_keys_list(struct chy_gpg *g, const struct chy_gpg_key **ret_keys,
                                            size_t *ret_n, struct chy_error *err);
/* One, by its name on the server, its fingerprint, its key id (16 digits) or a part of its user id.
 * Errors: CHY_E_NOT_FOUND  there is none
 *         CHY_E_CONFLICT   there are several
 *         of calling the server */
CHY_MUST_USE enum chy_err chy_gpg_key_find(struct chy_gpg *g, struct chy_str user,
                                           struct chy_gpg_key *ret_key, struct chy_error *err);
/* The one of --local-user, else of --default-key, else the only one that there is. */
CHY_MUST_USE enum chy_err chy_gpg_key_choose(struct chy_gpg *g, struct chy_gpg_key *ret_key,
                                             struct chy_error *err);

/* --- a signature --- */

struct chy_gpg_signing {
    const struct chy_gpg_key *key;
    enum chy_hash_alg hash;
    struct chy_bytes digest;
    struct chy_bytes content;      /* what was hashed, where it is short */
    const char *form;              /* fact "openpgp.form" */
    struct chy_artifact *artifact; /* NULL: none */
};

/* Now, and not before the key was made: GnuPG takes no signature that is older than its key. */
uint32_t chy_gpg_time(const struct chy_gpg_key *key);
/* Ask the server. The signature is in the arena.
 * Errors: CHY_E_DENIED and whatever else it says; of receipts; of calling the server */
CHY_MUST_USE enum chy_err chy_gpg_ask(struct chy_gpg *g, const struct chy_gpg_signing *signing,
                                      struct chy_bytes *ret_signature, struct chy_error *err);

/* --- commands --- */

CHY_MUST_USE enum chy_err chy_gpg_sign(struct chy_gpg *g, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_gpg_quick_certify(struct chy_gpg *g, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_gpg_export(struct chy_gpg *g, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_gpg_import(struct chy_gpg *g, struct chy_error *err);
CHY_MUST_USE enum chy_err chy_gpg_list(struct chy_gpg *g, struct chy_error *err);
/* Become the real gpg: the first in PATH that is not this program, and not the one that was tried
 * before and led back to here. Returns on failure alone. */
CHY_MUST_USE enum chy_err chy_gpg_hand_over(int argc, char *const *argv, struct chy_error *err);
