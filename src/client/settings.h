/* SPDX-License-Identifier: MIT */
/* Which server, how it is known, and who we are there.
 *
 * From first to last: the command line, the environment (CHANCERY_...), the profile in
 * ~/.config/chancery/config.yaml. A profile's pin, CA and credential go to that profile's server
 * alone: with another URL from above they are left out. Plain values that borrow from the arena;
 * the API token is owned. Source: docs/client.md. */
#pragma once

#include "base/arena.h"
#include "base/secret.h"
#include "codec/schema.h"

/* What the environment says; NULL where it says nothing. The texts live as long as the process. */
struct chy_client_env {
    const char *home;
    const char *config_home; /* XDG_CONFIG_HOME */
    const char *runtime_dir; /* XDG_RUNTIME_DIR */
    const char *profile;
    const char *url;
    const char *ca;
    const char *certificate;
    const char *key;
    const char *token_file;
    const char
        *token; /* the secret itself; taken out of the environment by chy_client_env_read() */
    const char *reason;
    const char *receipts;
    const char *timestamp_url;
    const char *agent_socket;
    const char *exec_tag; /* hex */
    const char *openpgp;  /* CHANCERY_OPENPGP, a folder */
};

/* Once, at the start of a program. */
void chy_client_env_read(struct chy_client_env *ret_env);

struct chy_profile {
    struct chy_str name;
    struct chy_str url;
    struct chy_str pin;         /* base 64 of the SHA-256 of the server's SubjectPublicKeyInfo */
    struct chy_str ca;          /* path */
    struct chy_str certificate; /* path */
    struct chy_str key;         /* path; equal to `certificate` when chancery enroll made it */
    struct chy_str principal;
    struct chy_str log_key;       /* verifier key of the server's log */
    struct chy_str timestamp_url; /* of an authority (RFC 3161) that tools ask for time stamps */
};

struct chy_client_config {
    struct chy_str profile; /* the one that is used when none is named */
    CHY_LIST_OF(struct chy_profile) profiles;
};

extern const struct chy_schema chy_profile_schema;
extern const struct chy_schema chy_client_config_schema;

/* What the command line says; empty where it says nothing. */
struct chy_settings_options {
    struct chy_str profile;
    struct chy_str url;
};

struct chy_settings {
    struct chy_str dir; /* of the configuration */
    struct chy_profile profile;
    bool has_profile_entry;      /* it is in the file */
    struct chy_secret *token;    /* NULL: none */
    struct chy_str agent_socket; /* of the agent that is to be asked; empty: none */
    bool is_agent_named;         /* by the environment: it is that agent or nothing */
    struct chy_str exec_tag;     /* CHANCERY_EXEC_TAG, hex */
};

/* Errors: CHY_E_MALFORMED  the file, with its line
 *         CHY_E_ARG        a URL that is not https://; one of CHANCERY_CERT and CHANCERY_KEY alone
 *         CHY_E_FORBIDDEN  the token's file can be read by others; CHY_E_IO, CHY_E_LIMIT,
 *                          CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_settings_load(const struct chy_client_env *env,
                                            const struct chy_settings_options *options,
                                            struct chy_arena *arena,
                                            struct chy_settings *ret_settings,
                                            struct chy_error *err);
void chy_settings_done(struct chy_settings *s);

/* Where an agent listens when nothing else is said: in XDG_RUNTIME_DIR, else in the folder of the
 * configuration. Errors: CHY_E_NOT_FOUND neither is known; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_agent_socket_default(const struct chy_client_env *env,
                                                   struct chy_arena *arena,
                                                   struct chy_str *ret_path, struct chy_error *err);

/* Whether chancery enroll made the credential, so that it may be renewed in place. */
bool chy_settings_is_managed(const struct chy_settings *s);

/* The whole file; an absent one is empty. Errors: CHY_E_MALFORMED, CHY_E_IO, CHY_E_LIMIT,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_client_config_load(struct chy_str dir, struct chy_arena *arena,
                                                 struct chy_client_config *ret_config,
                                                 struct chy_error *err);
/* Put the profile into the file in the place of one with its name, as the default if there is none
 * yet. The folder is made when it is absent. Errors: CHY_E_IO, CHY_E_LIMIT, CHY_E_NOMEM, and of
 * loading */
CHY_MUST_USE enum chy_err chy_client_config_save(struct chy_str dir,
                                                 const struct chy_profile *profile,
                                                 struct chy_arena *arena, struct chy_error *err);

/* The folder and the one it is in, 0700 where they are made. Errors: CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_client_dir_make(struct chy_str dir, struct chy_arena *arena,
                                              struct chy_error *err);
/* `dir` and what the environment makes of it. Errors: CHY_E_NOT_FOUND no home folder;
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_client_dir(const struct chy_client_env *env, struct chy_arena *arena,
                                         struct chy_str *ret_dir, struct chy_error *err);
/* Letters, digits and . _ -, not beginning with a dot: it becomes a file's name. */
bool chy_profile_name_is_valid(struct chy_str name);
