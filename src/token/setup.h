/* SPDX-License-Identifier: MIT */
/* A new SoftHSM token in a folder of its own, made through PKCS#11.
 *
 *     DIR/softhsm2.conf   SOFTHSM2_CONF of every process that uses it; names DIR/tokens
 *     DIR/tokens/         SoftHSM's files, 0700: back these up together with the PINs
 *     DIR/lock            the lock file of its processes
 *     DIR/safe/           a copy of what a killed log-in would tear: see guard.h
 *
 * The module runs in a child process, never in the caller's. The caller has one thread. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_setup_options {
    struct chy_str module;    /* absolute path of libsofthsm2.so, not a symbolic link */
    struct chy_str directory; /* absolute, exists, empty */
    struct chy_str label;     /* of the token: 1 to 32 bytes */
    struct chy_str pin_file;  /* absolute; made with mode 0600 */
    struct chy_str
        so_pin_file; /* the security officer's: to set a new PIN; keep it off the server */
};

struct chy_setup_result {
    char serial[17];
    char module_sha256[65]; /* hex */
};

/* What was made before a failure stays where it is, and is of no use.
 *
 * Errors: CHY_E_ARG       a path is not absolute or has a line feed, or the label is too long
 *         CHY_E_EXISTS    one of the files is there
 *         CHY_E_NOT_FOUND no module, or no such folder
 *         CHY_E_UNSUPPORTED the module is not SoftHSM
 *         CHY_E_TOKEN     the module failed, or took its process with it
 *         CHY_E_TIMEOUT   it hung for a minute
 *         CHY_E_IO, CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_setup_softhsm(const struct chy_setup_options *options,
                                            struct chy_setup_result *ret_result,
                                            struct chy_error *err);

/* Where Debian and others put libsofthsm2.so: the first that is there, with links resolved.
 * Errors: CHY_E_NOT_FOUND; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_setup_find_softhsm(char **ret_path, struct chy_error *err);
