/* SPDX-License-Identifier: MIT */
/* The OpenSSL 3 provider: keys of the server, by the URI `chancery:NAME`, that sign. It is a guest
 * (guest/guest.h): programs load it, by -provider or by their configuration, and it asks the agent.
 *
 * One struct for each library context that loaded it; immutable after its start, and there for as
 * long as any object of it is: OpenSSL counts. The guest behind them is the process's. It starts at
 * the first request and not before, so that a configuration which loads the provider is no harm to
 * programs that never sign. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "guest/ask.h"

struct chy_prov {
    const OSSL_CORE_HANDLE *core;
    /* where digests come from: no configuration of the program's reaches it */
    OSSL_LIB_CTX *hashes;
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
};

/* What OpenSSL calls, and openssl/core.h declares, is OSSL_provider_init(): the only name that the
 * library shows. */

/* chy_guest_ask() of the process's guest, which is started when it is not up.
 * Errors: of chy_guest_ask() and of chy_guest_config_read() */
CHY_MUST_USE enum chy_err chy_prov_ask(struct chy_guest_ask *ask, struct chy_guest_answer *answer,
                                       void *ret_reply, struct chy_error *err);

/* Put an error into OpenSSL's queue and, where CHANCERY_LOG names one, into a file. The reason is
 * the code's, the text goes along. */
void chy_prov_raise(const struct chy_prov *prov, const struct chy_error *err);

/* Tables of functions for OpenSSL. */
extern const OSSL_ALGORITHM chy_prov_keymgmts[], chy_prov_signatures[], chy_prov_stores[];

/* One row of a table that OpenSSL casts back to the function's type. */
#define CHY_PROV_FUNCTION(id, function)  \
    {                                    \
        (id), (void (*)(void))(function) \
    }
#define CHY_PROV_FUNCTIONS_END \
    {                          \
        0, NULL                \
    }
