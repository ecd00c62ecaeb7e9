/* SPDX-License-Identifier: MIT */
/* What is to run: the configuration as the supervisor needs it, each process with the typed part
 * that it is sent. Made whole or not at all, so that a wrong configuration changes nothing. Not
 * shared. */
#pragma once

#include "base/arena.h"
#include "os/log.h"
#include "proto/internal.h"

struct chy_config;

struct chy_plan_token {
    struct chy_token_config config; /* `worker` is filled in for each process */
    uint32_t workers;
    const char *pin_path;
    const char *softhsm_conf; /* for SOFTHSM2_CONF; NULL: no such variable */
};

struct chy_plan {
    struct chy_arena arena; /* all below lives here */
    const struct chy_config *config;
    const char *data; /* the data directory, absolute */
    const char *tls_certificate;
    const char *tls_key;
    struct chy_strs listen;
    struct chy_front_config front;
    struct chy_query_config query;
    struct chy_inspect_config inspect;
    struct chy_signer_config signer;
    struct chy_plan_token *tokens;
    size_t token_count;
    enum chy_log_level log_level;
};

/* Read the configuration file at `path`, check it, and check what it names: that the TLS
 * certificate and key can be read and belong together, and that nobody else can read the key or a
 * PIN file. Errors: those of chy_config_load(), which name the line; CHY_E_FORBIDDEN a secret that
 * others can read;
 *         CHY_E_CONFLICT certificate and key do not belong together; CHY_E_NOT_FOUND, CHY_E_IO,
 *         CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_plan_load(const char *path, struct chy_plan **ret_plan,
                                        struct chy_error *err);
void chy_plan_free(struct chy_plan *plan);
void chy_plan_freep(struct chy_plan **plan);

/* Called with the name of each setting that differs between the two: "limits.max_connections". */
typedef void chy_plan_differs_fn(void *ctx, struct chy_str setting);
/* Errors: CHY_E_NOMEM, CHY_E_LIMIT */
CHY_MUST_USE enum chy_err chy_plan_compare(const struct chy_plan *old, const struct chy_plan *new,
                                           chy_plan_differs_fn *fn, void *ctx,
                                           struct chy_error *err);
