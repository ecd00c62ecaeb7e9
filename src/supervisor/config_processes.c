/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "codec/hex.h"
#include "supervisor/config.h"

static struct chy_str level_name(const struct chy_config *c)
{
    const struct chy_field *f = chy_schema_field(&chy_config_schema, CHY_STR("log_level"));
    return chy_str_of(chy_enum_name(f->values, (int)c->log_level));
}

void chy_config_front(const struct chy_config *c, struct chy_front_config *ret)
{
    *ret = (struct chy_front_config){
        .max_connections = c->limits.max_connections,
        .header_timeout_ms = c->limits.header_timeout_ms,
        .body_timeout_ms = c->limits.body_timeout_ms,
        .idle_timeout_ms = c->limits.idle_timeout_ms,
        .max_calls_per_connection = c->limits.max_calls_per_connection,
        .max_calls = c->limits.max_calls,
        .max_calls_per_principal = c->limits.max_calls_per_principal,
        .metrics_for_everybody = c->metrics.public,
        .signserver = c->signserver.enabled,
        .log_level = level_name(c),
        .user = c->run_as.front,
    };
}

void chy_config_inspect(const struct chy_config *c, struct chy_inspect_config *ret)
{
    *ret = (struct chy_inspect_config){
        .log_level = level_name(c),
        .user = c->run_as.inspect,
        .timeout_ms = c->limits.document_timeout_ms,
    };
}

enum chy_err chy_config_query(const struct chy_config *c, struct chy_arena *arena,
                              struct chy_query_config *ret, struct chy_error *err)
{
    *ret = (struct chy_query_config){
        .anchor = c->log.anchor,
        .origin = c->log.origin,
        .log_level = level_name(c),
        .user = c->run_as.query,
    };
    return chy_config_path(c, CHY_DATA_STORE_FILE, arena, &ret->store, err);
}

uint32_t chy_config_token_workers(const struct chy_config_token *token, unsigned core_count)
{
    if (token->workers > 0)
        return token->workers;
    return CHY_MAX(1u, CHY_MIN(core_count, (unsigned)CHY_LIMIT_WORKERS));
}

enum chy_err chy_config_signer(const struct chy_config *c, unsigned core_count,
                               struct chy_arena *arena, struct chy_signer_config *ret,
                               struct chy_error *err)
{
    struct chy_signer_token *tokens = chy_arena_array(arena, struct chy_signer_token, c->tokens.n);
    if (tokens == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for %zu tokens", c->tokens.n);
    for (size_t i = 0; i < c->tokens.n; i++)
        tokens[i] = (struct chy_signer_token){
            .name = c->tokens.p[i].name,
            .workers = chy_config_token_workers(&c->tokens.p[i], core_count),
            .is_software = c->tokens.p[i].software == CHY_CONFIG_YES,
        };
    *ret = (struct chy_signer_config){
        .node = c->node,
        .origin = c->log.origin,
        .anchor = c->log.anchor,
        .log_token = c->log.token,
        .public_url = c->public_url,
        .tokens = { tokens, c->tokens.n },
        .default_token = c->default_token,
        .client_certificate_hours = c->client_certificates.hours,
        .commit_pace_us = c->limits.commit_pace_us,
        .max_queue = c->limits.max_queue,
        .token_timeout_ms = c->limits.token_timeout_ms,
        .denials_per_minute = c->limits.denials_per_minute,
        .log_level = level_name(c),
        .user = c->run_as.signer,
    };
    memcpy(ret->config_sha256, c->sha256, sizeof ret->config_sha256);
    return chy_config_path(c, CHY_DATA_STORE_FILE, arena, &ret->store, err);
}

static bool hash_is_zero(const uint8_t hash[CHY_HASH_BYTES])
{
    uint8_t any = 0;
    for (size_t i = 0; i < CHY_HASH_BYTES; i++)
        any |= hash[i];
    return any == 0;
}

enum chy_err chy_config_token(const struct chy_config *c, const struct chy_config_token *token,
                              struct chy_arena *arena, struct chy_token_config *ret,
                              struct chy_error *err)
{
    char hex[CHY_HEX_SIZE(CHY_HASH_BYTES)] = "";
    if (!hash_is_zero(token->module_sha256))
        chy_hex_encode((struct chy_bytes){ token->module_sha256, CHY_HASH_BYTES }, hex);
    struct chy_str sha256 = chy_arena_str(arena, chy_str_of(hex));
    struct chy_str lock =
        chy_arena_printf(arena, "%.*s/" CHY_TOKEN_LOCK_FILE, CHY_STR_ARG(token->directory));
    if (sha256.p == NULL || lock.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a token's configuration");
    *ret = (struct chy_token_config){
        .name = token->name,
        .module = token->module,
        .module_sha256 = sha256,
        .slot_label = token->slot_label,
        .slot_serial = token->slot_serial,
        .lock = lock,
        .directory = token->directory,
        .is_software = token->software == CHY_CONFIG_YES,
        .copy_keys = token->copy_keys == CHY_CONFIG_YES,
        .verify_signatures = token->verify_signatures,
        .threads = token->threads,
        .profile = token->profile,
        .log_level = level_name(c),
        .user = c->run_as.token,
    };
    return CHY_OK;
}
