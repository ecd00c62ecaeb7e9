/* SPDX-License-Identifier: MIT */
#include "client/settings.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"
#include "os/file.h"
#include "os/socket.h"
#include "proto/enrolment.h"

#define CONFIG_NAME     "config.yaml"
#define DEFAULT_PROFILE "default"

#define S struct chy_profile
static const struct chy_field profile_fields[] = {
    CHY_F_STR(S, name, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "name of the profile"),
    CHY_F_STR(S, url, 0, 0, CHY_LIMIT_URL, "https://host[:port] of the server"),
    CHY_F_STR(S, pin, 0, 0, CHY_LIMIT_NAME,
              "base 64 of the SHA-256 of the server's public key; only that key is trusted"),
    CHY_F_STR(S, ca, 0, 0, CHY_LIMIT_PATH,
              "file with the CA certificates that the server's must come from, PEM"),
    CHY_F_STR(S, certificate, 0, 0, CHY_LIMIT_PATH, "file with the client certificate, PEM"),
    CHY_F_STR(S, key, 0, 0, CHY_LIMIT_PATH, "file with its private key, PEM, mode 0600"),
    CHY_F_STR(S, principal, 0, 0, CHY_LIMIT_NAME, "who the certificate says you are"),
    CHY_F_STR(S, log_key, 0, 0, CHY_LIMIT_TEXT, "verifier key of the server's log"),
    CHY_F_STR(S, timestamp_url, 0, 0, CHY_LIMIT_URL,
              "time-stamp authority (RFC 3161) that chancery sign has its tools ask"),
};
#undef S
const struct chy_schema chy_profile_schema =
    CHY_SCHEMA("Profile", struct chy_profile, profile_fields, "One server and who you are there.");

static const struct chy_field config_fields[] = {
    CHY_F_STR(struct chy_client_config, profile, 0, 0, CHY_LIMIT_NAME,
              "the profile that is used when none is named"),
    CHY_F_LIST(struct chy_client_config, profiles, &chy_profile_schema, struct chy_profile, 0, 0,
               CHY_LIMIT_PROFILES, "the profiles"),
};
const struct chy_schema chy_client_config_schema = CHY_SCHEMA(
    "ClientConfig", struct chy_client_config, config_fields, "The configuration of the client.");

/* Set but empty is as good as not set: scripts clear variables that way. */
static const char *env_get(const char *name)
{
    const char *v = secure_getenv(name);
    return v != NULL && v[0] != '\0' ? v : NULL;
}

void chy_client_env_read(struct chy_client_env *ret_env)
{
    *ret_env = (struct chy_client_env){
        .home = env_get("HOME"),
        .config_home = env_get("XDG_CONFIG_HOME"),
        .runtime_dir = env_get("XDG_RUNTIME_DIR"),
        .profile = env_get("CHANCERY_PROFILE"),
        .url = env_get("CHANCERY_URL"),
        .ca = env_get("CHANCERY_CA"),
        .certificate = env_get("CHANCERY_CERT"),
        .key = env_get("CHANCERY_KEY"),
        .token_file = env_get("CHANCERY_TOKEN_FILE"),
        .token = env_get("CHANCERY_TOKEN"),
        .reason = env_get("CHANCERY_REASON"),
        .receipts = env_get("CHANCERY_RECEIPTS"),
        .timestamp_url = env_get("CHANCERY_TIMESTAMP_URL"),
        .agent_socket = env_get("CHANCERY_AGENT_SOCK"),
        .exec_tag = env_get("CHANCERY_EXEC_TAG"),
        .openpgp = env_get("CHANCERY_OPENPGP"),
    };
    /* What this program may start shall not inherit it. The text itself stays where it is. */
    CHY_IGNORE(unsetenv("CHANCERY_TOKEN")); /* NOLINT: there is one thread */
}

bool chy_profile_name_is_valid(struct chy_str name)
{
    if (name.n == 0 || name.n > CHY_LIMIT_NAME || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '.' || c == '_' || c == '-';
        if (!is_ok)
            return false;
    }
    return true;
}

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for the client's configuration");
}

enum chy_err chy_client_dir(const struct chy_client_env *env, struct chy_arena *arena,
                            struct chy_str *ret_dir, struct chy_error *err)
{
    struct chy_str dir;
    if (env->config_home != NULL && env->config_home[0] == '/')
        dir = chy_arena_printf(arena, "%s/chancery", env->config_home);
    else if (env->home != NULL)
        dir = chy_arena_printf(arena, "%s/.config/chancery", env->home);
    else
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "HOME is not set, so there is no configuration folder");
    if (dir.p == NULL)
        return no_memory(err);
    *ret_dir = dir;
    return CHY_OK;
}

static enum chy_err config_path(struct chy_str dir, struct chy_arena *arena, const char **ret_path,
                                struct chy_error *err)
{
    struct chy_str path = chy_arena_printf(arena, "%.*s/" CONFIG_NAME, CHY_STR_ARG(dir));
    if (path.p == NULL)
        return no_memory(err);
    *ret_path = path.p;
    return CHY_OK;
}

static enum chy_err config_check(const struct chy_client_config *config, struct chy_error *err)
{
    for (size_t i = 0; i < config->profiles.n; i++) {
        const struct chy_profile *p = &config->profiles.p[i];
        if (!chy_profile_name_is_valid(p->name))
            return chy_fail(err, CHY_E_MALFORMED,
                            "profile \"%.*s\": a name has letters, digits and . _ - only",
                            CHY_STR_ARG(p->name));
        if (p->url.n != 0 && !chy_url_is_origin(p->url))
            return chy_fail(err, CHY_E_MALFORMED,
                            "profile \"%.*s\": url must be https://host[:port] and no more",
                            CHY_STR_ARG(p->name));
        if ((p->certificate.n == 0) != (p->key.n == 0))
            return chy_fail(err, CHY_E_MALFORMED,
                            "profile \"%.*s\": certificate and key stand together or not at all",
                            CHY_STR_ARG(p->name));
        for (size_t k = 0; k < i; k++) {
            if (chy_str_equal(config->profiles.p[k].name, p->name))
                return chy_fail(err, CHY_E_MALFORMED, "there are two profiles \"%.*s\"",
                                CHY_STR_ARG(p->name));
        }
    }
    return CHY_OK;
}

enum chy_err chy_client_config_load(struct chy_str dir, struct chy_arena *arena,
                                    struct chy_client_config *ret_config, struct chy_error *err)
{
    const char *path = NULL;
    CHY_TRY(config_path(dir, arena, &path, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_CONFIG);
    enum chy_err r = chy_file_read(AT_FDCWD, path, &text, err);
    if (r == CHY_E_NOT_FOUND) {
        *ret_config = (struct chy_client_config){ 0 };
        return CHY_OK;
    }
    if (r != CHY_OK)
        return r;
    const struct chy_doc *doc;
    struct chy_client_config config;
    r = chy_yaml_parse(chy_buf_bytes(&text), arena, &doc, err);
    if (r == CHY_OK)
        r = chy_doc_read(&chy_client_config_schema, doc, arena, &config, err);
    if (r == CHY_OK)
        r = config_check(&config, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "%s", path);
    /* Texts may lie in `text`, which ends here. */
    return chy_schema_copy(&chy_client_config_schema, &config, arena, ret_config, err);
}

static const struct chy_profile *find_profile(const struct chy_client_config *config,
                                              struct chy_str name)
{
    for (size_t i = 0; i < config->profiles.n; i++) {
        if (chy_str_equal(config->profiles.p[i].name, name))
            return &config->profiles.p[i];
    }
    return NULL;
}

static enum chy_err choose_profile(const struct chy_client_env *env,
                                   const struct chy_settings_options *options,
                                   const struct chy_client_config *config, struct chy_settings *s,
                                   struct chy_error *err)
{
    struct chy_str name = options->profile.n != 0  ? options->profile
                          : env->profile != NULL   ? chy_str_of(env->profile)
                          : config->profile.n != 0 ? config->profile
                                                   : CHY_STR(DEFAULT_PROFILE);
    if (!chy_profile_name_is_valid(name))
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" cannot be the name of a profile",
                        CHY_STR_ARG(name));
    const struct chy_profile *p = find_profile(config, name);
    s->has_profile_entry = p != NULL;
    /* One that is not in the file may be about to be made, or all comes from above. */
    s->profile = p != NULL ? *p : (struct chy_profile){ .name = name };
    return CHY_OK;
}

/* A credential and a pin are of one server. */
static enum chy_err apply_url(struct chy_str url, struct chy_settings *s, struct chy_error *err)
{
    if (url.n == 0)
        return CHY_OK;
    if (url.p[url.n - 1] == '/')
        url.n--;
    if (url.n > CHY_LIMIT_URL || !chy_url_is_origin(url))
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" is no server: https://host[:port] is one",
                        CHY_STR_ARG(url));
    if (!chy_str_equal(url, s->profile.url))
        s->profile = (struct chy_profile){ .name = s->profile.name, .url = url };
    return CHY_OK;
}

static enum chy_err token_of_text(const char *text, struct chy_secret **ret_token,
                                  struct chy_error *err)
{
    size_t n = strlen(text);
    if (n > CHY_LIMIT_NAME)
        return chy_fail(err, CHY_E_ARG, "CHANCERY_TOKEN is no API token: it is too long");
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *token = NULL;
    CHY_TRY(chy_secret_new(n, &token, err));
    chy_copy(chy_secret_room(token), text, n);
    chy_secret_set_len(token, n);
    *ret_token = CHY_TAKE(token);
    return CHY_OK;
}

static enum chy_err apply_env(const struct chy_client_env *env, struct chy_settings *s,
                              struct chy_error *err)
{
    if ((env->certificate == NULL) != (env->key == NULL))
        return chy_fail(err, CHY_E_ARG,
                        "CHANCERY_CERT and CHANCERY_KEY stand together or not at all");
    if (env->certificate != NULL) {
        s->profile.certificate = chy_str_of(env->certificate);
        s->profile.key = chy_str_of(env->key);
        s->profile.principal = (struct chy_str){ 0 };
    }
    if (env->ca != NULL)
        s->profile.ca = chy_str_of(env->ca);
    if (env->token_file != NULL)
        return chy_file_read_secret(AT_FDCWD, env->token_file, &s->token, err);
    if (env->token != NULL)
        return token_of_text(env->token, &s->token, err);
    return CHY_OK;
}

/* --- the agent --- */

static enum chy_err socket_in(const char *dir, const char *rest, struct chy_arena *arena,
                              struct chy_str *ret_path, struct chy_error *err)
{
    struct chy_str path = chy_arena_printf(arena, "%s%s/agent.sock", dir, rest);
    if (path.p == NULL)
        return no_memory(err);
    *ret_path = path;
    return CHY_OK;
}

enum chy_err chy_agent_socket_default(const struct chy_client_env *env, struct chy_arena *arena,
                                      struct chy_str *ret_path, struct chy_error *err)
{
    struct chy_str dir = { 0 };
    if (env->runtime_dir != NULL && env->runtime_dir[0] == '/')
        return socket_in(env->runtime_dir, "/chancery", arena, ret_path, err);
    CHY_TRY(chy_client_dir(env, arena, &dir, err));
    return socket_in(dir.p, "", arena, ret_path, err);
}

/* Somebody said who to be; the agent that runs may be somebody else. */
static bool is_login_named(const struct chy_client_env *env,
                           const struct chy_settings_options *options)
{
    return options->profile.n != 0 || options->url.n != 0 || env->profile != NULL ||
           env->url != NULL || env->token != NULL || env->token_file != NULL ||
           env->certificate != NULL;
}

/* The first of the usual places where there is a socket; whose it is, is asked of the kernel once
 * it is connected. */
static enum chy_err find_socket(const struct chy_client_env *env, struct chy_arena *arena,
                                struct chy_settings *s, struct chy_error *err)
{
    struct chy_client_env in_config = *env;
    const struct chy_client_env *places[] = { env, &in_config };
    in_config.runtime_dir = NULL;
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        struct chy_str path = { 0 };
        enum chy_err r = chy_agent_socket_default(places[i], arena, &path, err);
        if (r == CHY_E_NOMEM)
            return r;
        if (r == CHY_OK && chy_socket_is_there(path.p)) {
            s->agent_socket = path;
            return CHY_OK;
        }
    }
    return CHY_OK;
}

static enum chy_err choose_agent(const struct chy_client_env *env,
                                 const struct chy_settings_options *options,
                                 struct chy_arena *arena, struct chy_settings *s,
                                 struct chy_error *err)
{
    s->exec_tag = chy_str_of(env->exec_tag);
    if (env->agent_socket != NULL) {
        if (chy_str_equal_c(CHY_STR("none"), env->agent_socket))
            return CHY_OK;
        s->agent_socket = chy_str_of(env->agent_socket);
        s->is_agent_named = true;
        return CHY_OK;
    }
    return is_login_named(env, options) ? CHY_OK : find_socket(env, arena, s, err);
}

enum chy_err chy_settings_load(const struct chy_client_env *env,
                               const struct chy_settings_options *options, struct chy_arena *arena,
                               struct chy_settings *ret_settings, struct chy_error *err)
{
    CHY_CLEANUP(chy_settings_done) struct chy_settings s = { 0 };
    struct chy_client_config config = { 0 };
    /* A build job may have no home: everything is in its environment then. */
    if (env->home != NULL || env->config_home != NULL) {
        CHY_TRY(chy_client_dir(env, arena, &s.dir, err));
        CHY_TRY(chy_client_config_load(s.dir, arena, &config, err));
    }
    CHY_TRY(choose_profile(env, options, &config, &s, err));
    struct chy_str url = options->url.n != 0 ? options->url : chy_str_of(env->url);
    CHY_TRY(apply_url(url, &s, err));
    CHY_TRY(apply_env(env, &s, err));
    CHY_TRY(choose_agent(env, options, arena, &s, err));
    *ret_settings = s;
    s.token = NULL;
    return CHY_OK;
}

void chy_settings_done(struct chy_settings *s)
{
    chy_secret_free(s->token);
    *s = (struct chy_settings){ 0 };
}

bool chy_settings_is_managed(const struct chy_settings *s)
{
    return s->has_profile_entry && s->profile.certificate.n != 0 && s->dir.n != 0 &&
           chy_str_equal(s->profile.certificate, s->profile.key) &&
           s->profile.certificate.n > s->dir.n &&
           chy_str_equal((struct chy_str){ s->profile.certificate.p, s->dir.n }, s->dir);
}

static void write_profile(struct chy_buf *out, const struct chy_profile *p)
{
    const char *lead = "  - ";
    for (size_t i = 0; i < chy_profile_schema.n; i++) {
        const struct chy_field *f = &chy_profile_schema.fields[i];
        if (chy_field_is_empty(f, p))
            continue;
        /* A JSON string is a double-quoted YAML scalar. */
        chy_buf_printf(out, "%s%s: ", lead, f->name);
        chy_json_write_text(out, *(const struct chy_str *)chy_field_in(f, p));
        chy_buf_append_u8(out, '\n');
        lead = "    ";
    }
}

static enum chy_err write_config(const struct chy_client_config *old,
                                 const struct chy_profile *profile, struct chy_buf *out,
                                 struct chy_error *err)
{
    chy_buf_append_c(out, "# The configuration of chancery: see chancery-config(5).\n"
                          "# chancery enroll rewrites this file; comments are then lost.\n"
                          "profile: ");
    chy_json_write_text(out, old->profile.n != 0 ? old->profile : profile->name);
    chy_buf_append_c(out, "\nprofiles:\n");
    bool is_written = false;
    for (size_t i = 0; i < old->profiles.n; i++) {
        bool is_it = chy_str_equal(old->profiles.p[i].name, profile->name);
        write_profile(out, is_it ? profile : &old->profiles.p[i]);
        is_written = is_written || is_it;
    }
    if (!is_written)
        write_profile(out, profile);
    return chy_buf_check(out, err);
}

enum chy_err chy_client_dir_make(struct chy_str dir, struct chy_arena *arena, struct chy_error *err)
{
    struct chy_str parent = dir;
    while (parent.n > 1 && parent.p[parent.n - 1] != '/')
        parent.n--;
    while (parent.n > 1 && parent.p[parent.n - 1] == '/')
        parent.n--;
    const struct chy_str paths[] = { chy_arena_str(arena, parent), chy_arena_str(arena, dir) };
    for (size_t i = 0; i < CHY_ARRAY_LEN(paths); i++) {
        if (paths[i].p == NULL)
            return no_memory(err);
        enum chy_err r = chy_dir_make(AT_FDCWD, paths[i].p, 0700, err);
        if (r != CHY_OK && r != CHY_E_EXISTS)
            return r;
    }
    return CHY_OK;
}

enum chy_err chy_client_config_save(struct chy_str dir, const struct chy_profile *profile,
                                    struct chy_arena *arena, struct chy_error *err)
{
    const char *path = NULL;
    struct chy_client_config old;
    CHY_TRY(chy_client_dir_make(dir, arena, err));
    CHY_TRY(config_path(dir, arena, &path, err));
    CHY_TRY(chy_client_config_load(dir, arena, &old, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_CONFIG);
    CHY_TRY(write_config(&old, profile, &text, err));
    return chy_file_replace(AT_FDCWD, path, chy_buf_bytes(&text), 0600, err);
}
