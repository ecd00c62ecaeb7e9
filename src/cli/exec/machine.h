/* SPDX-License-Identifier: MIT */
/* Where things are on this machine that tools need to sign here. All texts are in the arena. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct chy_machine {
    struct chy_str module; /* chancery-pkcs11.so: CHANCERY_MODULE, or beside this build, or where it
                              is installed; it need not be there */
    struct chy_str gpg;    /* chancery-gpg, beside this program; it need not be there */
    struct chy_str engine; /* libp11's engine for OpenSSL; empty: it is not installed */
    struct chy_str provider; /* ours for OpenSSL, CHANCERY_PROVIDER, as the module; but empty if it
                              is neither named nor there */
    struct chy_str openssl_cnf;     /* what OpenSSL reads: OPENSSL_CONF, or its own; empty: none */
    struct chy_str openssl_section; /* that it names by openssl_conf; empty: none */
    struct chy_str openssl_providers; /* that this names by providers; empty: none */
    struct chy_str dir;               /* for private folders: XDG_RUNTIME_DIR, TMPDIR or /tmp */
};

/* `variables` are those of the environment, up to NULL. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_machine_read(const char *const *variables, struct chy_arena *arena,
                                           struct chy_machine *ret_machine, struct chy_error *err);
/* The value of a variable; NULL when it is not set or empty. */
const char *chy_machine_env(const char *const *variables, const char *name);
/* The value of a name in a section of a configuration of OpenSSL, the last if there are several;
 * empty when there is none, or none that is plain text. */
struct chy_str chy_machine_openssl_value(struct chy_str text, struct chy_str section,
                                         const char *name);
