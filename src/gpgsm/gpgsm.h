/* SPDX-License-Identifier: MIT */
/* chancery-gpgsm: stands as gpgsm for git (gpg.format=x509), which has it sign with the certificate
 * of a key on a Chancery server, and verify against the trust file. One run of it: its context, and
 * the parts. Not shared.
 *
 *   --status-fd=2 -bsau KEY             data on standard input; the signature in PEM on standard
 *                                       output, "[GNUPG:] SIG_CREATED ..." on descriptor 2
 *   --status-fd=1 --verify FILE -       data on standard input; "[GNUPG:] GOODSIG ..." or what else
 *                                       there is to say on descriptor 1
 *
 * Source: git's gpg-interface.c; GnuPG's doc/DETAILS, section "Format of the --status-fd output" */
#pragma once

#include "client/client.h"
#include "client/settings.h"
#include "gpgsm/options.h"

struct chy_gpgsm {
    struct chy_client_env env;
    struct chy_str trust_path; /* CHANCERY_TRUST; empty: the usual place */
    int in;
    int out;
    int err;
    int status; /* descriptor; -1: none */
    struct chy_arena arena;
    struct chy_gnupg_options options;
    struct chy_settings settings;
    bool has_settings;
    struct chy_client *client; /* once it was asked for */
};

/* The whole program; answers the exit code. Descriptors are borrowed; what is written is
 * unbuffered. `trust` is the value of CHANCERY_TRUST or NULL. */
int chy_gpgsm_run(int argc, char *const *argv, const struct chy_client_env *env, const char *trust,
                  int in, int out, int err);

/* "chancery-gpgsm: ..." on standard error, one line. */
CHY_PRINTF(2, 3) void chy_gpgsm_say(const struct chy_gpgsm *g, const char *fmt, ...);
/* A status line. Nothing without --status-fd. */
CHY_PRINTF(2, 3) void chy_gpgsm_status(const struct chy_gpgsm *g, const char *fmt, ...);
/* All of the file that the word `i` names, or of standard input for "-" or no such word. In the
 * arena's buffer `to`, whose maximum is the data's. Errors: CHY_E_NOT_FOUND, CHY_E_LIMIT, CHY_E_IO,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_gpgsm_read(const struct chy_gpgsm *g, size_t i, struct chy_buf *to,
                                         struct chy_error *err);

/* Errors: CHY_E_STATE        the key has no certificate, or one that has ended
 *         CHY_E_UNSUPPORTED  a kind of key that does not sign so
 *         CHY_E_DENIED and what else the server says; CHY_E_IO */
CHY_MUST_USE enum chy_err chy_gpgsm_sign(struct chy_gpgsm *g, struct chy_error *err);
/* CHY_OK only for a good signature of somebody who is trusted.
 * Errors: CHY_E_INTEGRITY    the signature is wrong
 *         CHY_E_EXPIRED      the certificate was not in time
 *         CHY_E_FORBIDDEN    it is good, and nobody whom the trust file knows made it
 *         CHY_E_MALFORMED    that is no signature; CHY_E_NOT_FOUND, CHY_E_UNSUPPORTED, CHY_E_ARG
 *                            (of the trust file), CHY_E_LIMIT, CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_gpgsm_verify(struct chy_gpgsm *g, struct chy_error *err);
