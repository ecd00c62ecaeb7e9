/* SPDX-License-Identifier: MIT */
#include "supervisor/config_defaults.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"

enum {
    HARDWARE_THREADS = 4,
    /* a laptop that was off over a long weekend still renews by itself */
    CLIENT_CERTIFICATE_HOURS = 168,
};

static const struct chy_config_limits limits_default = {
    .max_connections = 1024,
    .header_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .idle_timeout_ms = 60000,
    .max_calls = 1024,
    .max_calls_per_connection = 64,
    .max_calls_per_principal = 256,
    .max_queue = 8192,
    .token_timeout_ms = 10000,
    .document_timeout_ms = 5000,
    .denials_per_minute = 60,
    .commit_pace_us = 250,
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for the configuration");
}

static void text_default(struct chy_str *s, const char *text)
{
    if (s->n == 0)
        *s = chy_str_of(text);
}

static void number_default(uint32_t *v, uint32_t number)
{
    if (*v == 0)
        *v = number;
}

enum chy_err chy_config_path(const struct chy_config *c, const char *rest, struct chy_arena *arena,
                             struct chy_str *ret, struct chy_error *err)
{
    const char *slash = c->data.n > 0 && c->data.p[c->data.n - 1] == '/' ? "" : "/";
    struct chy_str path = chy_arena_printf(arena, "%.*s%s%s", CHY_STR_ARG(c->data), slash, rest);
    if (path.p == NULL)
        return no_memory(err);
    *ret = path;
    return CHY_OK;
}

static enum chy_err path_default(const struct chy_config *c, const char *rest,
                                 struct chy_arena *arena, struct chy_str *path,
                                 struct chy_error *err)
{
    return path->n > 0 ? CHY_OK : chy_config_path(c, rest, arena, path, err);
}

bool chy_config_module_is_softhsm(struct chy_str path)
{
    const char *slash = path.n > 0 ? memrchr(path.p, '/', path.n) : NULL;
    size_t at = slash != NULL ? (size_t)(slash - path.p) + 1 : 0;
    return chy_str_starts((struct chy_str){ path.p + at, path.n - at }, "libsofthsm");
}

/* Where Debian, Fedora and a build of one's own put SoftHSM, with links resolved, for the token
 * process follows none; empty if it is in none of these. */
static enum chy_err softhsm_find(struct chy_arena *arena, struct chy_str *ret_path,
                                 struct chy_error *err)
{
    static const char *const places[] = {
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    };
    char resolved[PATH_MAX];
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        if (access(places[i], R_OK) != 0 || realpath(places[i], resolved) == NULL)
            continue;
        *ret_path = chy_arena_str(arena, chy_str_of(resolved));
        return ret_path->p != NULL ? CHY_OK : no_memory(err);
    }
    *ret_path = (struct chy_str){ NULL, 0 };
    return CHY_OK;
}

static enum chy_err token_complete(const struct chy_config *c, struct chy_arena *arena,
                                   struct chy_config_token *t, struct chy_error *err)
{
    if (t->module.n == 0)
        CHY_TRY(softhsm_find(arena, &t->module, err));
    if (t->software == CHY_CONFIG_AUTO)
        t->software = chy_config_module_is_softhsm(t->module) ? CHY_CONFIG_YES : CHY_CONFIG_NO;
    bool is_software = t->software == CHY_CONFIG_YES;
    if (t->copy_keys == CHY_CONFIG_AUTO)
        t->copy_keys = is_software ? CHY_CONFIG_YES : CHY_CONFIG_NO;
    number_default(&t->workers, is_software ? 0 : 1);
    number_default(&t->threads, is_software ? 1 : HARDWARE_THREADS);
    if (is_software && t->slot_label.n == 0 && t->slot_serial.n == 0)
        t->slot_label = (struct chy_str){ t->name.p, CHY_MIN(t->name.n, (size_t)32) };

    struct chy_str folder = chy_arena_printf(arena, CHY_DATA_TOKENS "/%.*s", CHY_STR_ARG(t->name));
    struct chy_str pin =
        chy_arena_printf(arena, CHY_DATA_SECRETS "/%.*s.pin", CHY_STR_ARG(t->name));
    if (folder.p == NULL || pin.p == NULL)
        return no_memory(err);
    CHY_TRY(path_default(c, folder.p, arena, &t->directory, err));
    return t->pin_credential.n > 0 ? CHY_OK : path_default(c, pin.p, arena, &t->pin_file, err);
}

static enum chy_err tokens_complete(struct chy_config *c, struct chy_arena *arena,
                                    struct chy_error *err)
{
    struct chy_config_token *tokens = chy_arena_array(arena, struct chy_config_token, c->tokens.n);
    if (tokens == NULL)
        return no_memory(err);
    chy_copy(tokens, c->tokens.p, c->tokens.n * sizeof *tokens);
    for (size_t i = 0; i < c->tokens.n; i++)
        CHY_TRY(token_complete(c, arena, &tokens[i], err));
    c->tokens.p = tokens;
    if (c->tokens.n > 0 && c->default_token.n == 0)
        c->default_token = tokens[0].name;
    if (c->log.token.n == 0)
        c->log.token = c->default_token;
    return CHY_OK;
}

static void limits_complete(struct chy_config_limits *l)
{
    const struct chy_config_limits *d = &limits_default;
    number_default(&l->max_connections, d->max_connections);
    number_default(&l->header_timeout_ms, d->header_timeout_ms);
    number_default(&l->body_timeout_ms, d->body_timeout_ms);
    number_default(&l->idle_timeout_ms, d->idle_timeout_ms);
    number_default(&l->max_calls, d->max_calls);
    number_default(&l->max_calls_per_connection, d->max_calls_per_connection);
    number_default(&l->max_calls_per_principal, d->max_calls_per_principal);
    number_default(&l->max_queue, d->max_queue);
    number_default(&l->token_timeout_ms, d->token_timeout_ms);
    number_default(&l->document_timeout_ms, d->document_timeout_ms);
    number_default(&l->denials_per_minute, d->denials_per_minute);
    number_default(&l->commit_pace_us, d->commit_pace_us);
}

static enum chy_err listen_complete(struct chy_config *c, struct chy_arena *arena,
                                    struct chy_error *err)
{
    static const struct chy_str loopback = { "127.0.0.1:8443", 14 };
    if (c->listen.n == 0)
        c->listen = (struct chy_strs){ &loopback, 1 };
    if (c->public_url.n > 0)
        return CHY_OK;
    /* A Unix socket is behind a proxy, whose name nobody can guess. */
    bool is_unix = chy_str_starts(c->listen.p[0], "unix:");
    struct chy_str host = is_unix ? CHY_STR("localhost") : c->listen.p[0];
    c->public_url = chy_arena_printf(arena, "https://%.*s", CHY_STR_ARG(host));
    return c->public_url.p != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err node_complete(struct chy_config *c, struct chy_arena *arena,
                                  struct chy_error *err)
{
    char host[HOST_NAME_MAX + 1] = "";
    if (c->node.n > 0)
        return CHY_OK;
    if (gethostname(host, sizeof host - 1) != 0 || !chy_text_is_plain(chy_str_of(host)))
        host[0] = '\0';
    c->node = chy_arena_str(arena, chy_str_of(host[0] != '\0' ? host : "localhost"));
    return c->node.p != NULL ? CHY_OK : no_memory(err);
}

enum chy_err chy_config_complete(struct chy_config *c, struct chy_arena *arena,
                                 struct chy_error *err)
{
    CHY_TRY(listen_complete(c, arena, err));
    CHY_TRY(node_complete(c, arena, err));
    CHY_TRY(path_default(c, CHY_DATA_TLS_CERTIFICATE_FILE, arena, &c->tls.certificate, err));
    CHY_TRY(path_default(c, CHY_DATA_TLS_KEY_FILE, arena, &c->tls.key, err));
    CHY_TRY(path_default(c, CHY_DATA_ANCHOR_FILE, arena, &c->log.anchor, err));
    CHY_TRY(tokens_complete(c, arena, err));
    number_default(&c->client_certificates.hours, CLIENT_CERTIFICATE_HOURS);
    limits_complete(&c->limits);
    if (c->log_level == 0)
        c->log_level = CHY_LOG_NOTICE;
    text_default(&c->run_as.front, "chancery-front");
    text_default(&c->run_as.query, "chancery-query");
    text_default(&c->run_as.inspect, "chancery-inspect");
    text_default(&c->run_as.signer, "chancery-signer");
    text_default(&c->run_as.token, "chancery-token");
    return CHY_OK;
}
