/* SPDX-License-Identifier: MIT */
/* The configuration, chanceryd.yaml: one struct and one schema for each section. From the table
 * come the reading with its bounds and lines, the commented file that `chanceryd init` writes, and
 * the manual page.
 *
 * A setting that the file leaves out is filled in with its default when it is loaded, so nobody
 * behind chy_config_load() deals with absence. Times and sizes are plain numbers whose unit is in
 * the name. No secret stands in the file: PINs and keys are in files of their own or in systemd
 * credentials. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "codec/schema.h"
#include "os/log.h"
#include "proto/internal.h"

/* What a setting is when nothing is said: decided by what it is about. */
enum chy_config_choice {
    CHY_CONFIG_AUTO = 0,
    CHY_CONFIG_YES = 1,
    CHY_CONFIG_NO = 2,
};

struct chy_config_tls {
    struct chy_str certificate; /* paths */
    struct chy_str key;
};

struct chy_config_log {
    struct chy_str origin;
    struct chy_str token;
    struct chy_str anchor; /* path */
};

struct chy_config_token {
    struct chy_str name;
    struct chy_str module;                 /* path */
    uint8_t module_sha256[CHY_HASH_BYTES]; /* all zero: not checked */
    struct chy_str slot_label;
    struct chy_str slot_serial;
    struct chy_str pin_file; /* path; empty when there is a pin_credential */
    struct chy_str pin_credential;
    enum chy_config_choice software; /* never AUTO once loaded; nor is copy_keys */
    uint32_t workers;                /* 0 once loaded: one for each core */
    uint32_t threads;
    struct chy_str directory; /* path */
    enum chy_config_choice copy_keys;
    bool verify_signatures;
    struct chy_strs profile;
};

struct chy_config_clients {
    uint32_t hours;
};

struct chy_config_limits {
    uint32_t max_connections;
    uint32_t header_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t max_calls;
    uint32_t max_calls_per_connection;
    uint32_t max_calls_per_principal;
    uint32_t max_queue;
    uint32_t token_timeout_ms;
    uint32_t document_timeout_ms;
    uint32_t denials_per_minute;
    uint32_t commit_pace_us;
};

struct chy_config_metrics {
    bool public;
};

struct chy_config_signserver {
    bool enabled;
};

struct chy_config_run_as {
    struct chy_str front;
    struct chy_str query;
    struct chy_str inspect;
    struct chy_str signer;
    struct chy_str token;
};

struct chy_config {
    struct chy_str data; /* path */
    struct chy_strs listen;
    struct chy_str public_url;
    struct chy_str node;
    struct chy_config_tls tls;
    struct chy_config_log log;
    CHY_LIST_OF(struct chy_config_token) tokens;
    struct chy_str default_token;
    struct chy_config_clients client_certificates;
    struct chy_config_limits limits;
    struct chy_config_metrics metrics;
    struct chy_config_signserver signserver;
    enum chy_log_level log_level;
    struct chy_config_run_as run_as;
    uint8_t sha256[CHY_HASH_BYTES]; /* of the file's bytes; goes to the log when a server starts */
};

extern const struct chy_schema chy_config_schema;

/* Read the file at `path`, check it and fill in the defaults. The result borrows from the arena.
 *
 * Error texts begin with the path, then "line N: " where a line is to blame. They never repeat a
 * value that might be a PIN in the wrong place.
 * Errors: CHY_E_MALFORMED an unknown or wrong setting, or two that do not fit together; CHY_E_LIMIT
 * a bound;
 *         CHY_E_NOT_FOUND, CHY_E_IO of the file; CHY_E_CRYPTO; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_config_load(const char *path, struct chy_arena *arena,
                                          struct chy_config *ret_config, struct chy_error *err);
/* The same for bytes that are there already; texts begin with the line. */
CHY_MUST_USE enum chy_err chy_config_parse(struct chy_bytes yaml, struct chy_arena *arena,
                                           struct chy_config *ret_config, struct chy_error *err);

/* Append the commented file: what is set in `given` as a setting, everything else as a comment with
 * the default that then holds. `given` needs `data`, `log.origin` and one token's name at least.
 * Errors: CHY_E_ARG, CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_config_write(const struct chy_config *given, struct chy_buf *out,
                                           struct chy_error *err);

/* --- what each process is sent (proto/internal.h) ---
 *
 * The config is one that was loaded. Left at zero, for the supervisor to fill in: every `version`,
 * front's `listeners`, signer's `server_pin` and `accept_older_store`, token's `worker`. */

void chy_config_front(const struct chy_config *c, struct chy_front_config *ret);
void chy_config_inspect(const struct chy_config *c, struct chy_inspect_config *ret);
/* Errors: CHY_E_NOMEM, as of the two below */
CHY_MUST_USE enum chy_err chy_config_query(const struct chy_config *c, struct chy_arena *arena,
                                           struct chy_query_config *ret, struct chy_error *err);
/* core_count  for tokens with one worker for each core */
CHY_MUST_USE enum chy_err chy_config_signer(const struct chy_config *c, unsigned core_count,
                                            struct chy_arena *arena, struct chy_signer_config *ret,
                                            struct chy_error *err);
CHY_MUST_USE enum chy_err chy_config_token(const struct chy_config *c,
                                           const struct chy_config_token *token,
                                           struct chy_arena *arena, struct chy_token_config *ret,
                                           struct chy_error *err);
uint32_t chy_config_token_workers(const struct chy_config_token *token, unsigned core_count);

/* --- the data directory's layout, which init, backup and the processes share: see layout.h --- */

#define CHY_DATA_STORE                "store"
#define CHY_DATA_STORE_FILE           "store/chancery.db"
#define CHY_DATA_ANCHOR               "anchor"
#define CHY_DATA_ANCHOR_FILE          "anchor/checkpoint"
#define CHY_DATA_TLS                  "tls"
#define CHY_DATA_TLS_CERTIFICATE_FILE "tls/certificate.pem"
#define CHY_DATA_TLS_KEY_FILE         "tls/key.pem"
#define CHY_DATA_SECRETS              "secrets" /* NAME.pin of each token */
#define CHY_DATA_TOKENS               "tokens"  /* a folder for each token, its process's own */
#define CHY_TOKEN_LOCK_FILE           "lock"    /* in a token's folder, as is the next */
#define CHY_TOKEN_SOFTHSM_FILE        "softhsm2.conf"

/* "DATA/rest", NUL-terminated behind its end. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_config_path(const struct chy_config *c, const char *rest,
                                          struct chy_arena *arena, struct chy_str *ret,
                                          struct chy_error *err);
