/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <fcntl.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "doc/doc.h"
#include "os/file.h"
#include "supervisor/config.h"
#include "supervisor/config_defaults.h"

/* The document beside what was read from it, for the lines of settings that do not fit together. */
struct checker {
    const struct chy_doc *doc;
    struct chy_error *err;
};

/* Where a setting stands: "log" "anchor", or "tokens" 2 "module"; a whole section without
 * `name`. */
struct setting {
    const char *section;
    size_t index;
    const char *name;
};

static uint32_t setting_line(const struct checker *c, const struct setting *s)
{
    const struct chy_doc *at = c->doc;
    CHY_ASSERT(at != NULL); /* nothing is checked before there is a document */
    const struct chy_doc *found = s->section != NULL ? chy_doc_get(at, s->section) : at;
    if (found != NULL && found->kind == CHY_DOC_LIST && s->index < found->n)
        found = &found->items[s->index];
    at = found != NULL ? found : at;
    found = s->name != NULL ? chy_doc_get(at, s->name) : NULL;
    return found != NULL ? found->line : at->line;
}

#define setting_fail(c, s, ...) \
    setting_place((c), (s), chy_fail((c)->err, CHY_E_MALFORMED, __VA_ARGS__))

/* "line 7: tokens[2].module must be ..." */
static enum chy_err setting_place(const struct checker *c, const struct setting *s,
                                  enum chy_err code)
{
    if (c->err == NULL)
        return code;
    char what[CHY_ERROR_TEXT_BYTES];
    memcpy(what, c->err->text, sizeof what);
    const char *section = s->section != NULL ? s->section : "";
    const char *dot = s->section != NULL && s->name != NULL ? "." : "";
    const char *name = s->name != NULL ? s->name : "";
    bool is_token = s->section != NULL && chy_str_equal_c(CHY_STR("tokens"), s->section);
    if (is_token)
        return chy_error_set(c->err, code, 0, c->err->where, "line %u: %s[%zu]%s%s %s",
                             setting_line(c, s), section, s->index, dot, name, what);
    return chy_error_set(c->err, code, 0, c->err->where, "line %u: %s%s%s %s", setting_line(c, s),
                         section, dot, name, what);
}

/* --- single values; texts do not repeat what may be a secret in the wrong place --- */

static enum chy_err path_check(const struct checker *c, const struct setting *s,
                               struct chy_str path)
{
    if (path.n > 0 && path.p[0] != '/')
        return setting_fail(c, s, "must be an absolute path");
    return CHY_OK;
}

static bool port_is_good(struct chy_str port)
{
    uint32_t v = 0;
    if (port.n == 0 || port.n > 5)
        return false;
    for (size_t i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(port.p[i] - '0');
    }
    return v <= UINT16_MAX;
}

static bool host_is_good(struct chy_str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    bool is_six = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (is_six)
        host = (struct chy_str){ host.p + 1, host.n - 2 };
    if (host.n >= sizeof text)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(is_six ? AF_INET6 : AF_INET, text, &address) == 1;
}

static bool address_is_good(struct chy_str address)
{
    if (chy_str_starts(address, "unix:"))
        return chy_str_starts(address, "unix:/");
    const char *colon = memrchr(address.p, ':', address.n);
    if (colon == NULL)
        return false;
    size_t host = (size_t)(colon - address.p);
    return host > 0 && host_is_good((struct chy_str){ address.p, host }) &&
           port_is_good((struct chy_str){ colon + 1, address.n - host - 1 });
}

/* https://host[:port]: no path, for clients put their own behind it, and no user. */
static bool url_is_good(struct chy_str url)
{
    static const char scheme[] = "https://";
    size_t n = sizeof scheme - 1;
    if (!chy_str_starts(url, scheme) || url.n == n)
        return false;
    for (size_t i = n; i < url.n; i++) {
        char ch = url.p[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || strchr(".-:[]", ch) != NULL;
        if (!ok || ch == '\0')
            return false;
    }
    return true;
}

/* It is a part of paths. */
static bool name_is_good(struct chy_str name)
{
    if (name.n == 0 || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == '-';
        if (!ok)
            return false;
    }
    return true;
}

/* --- what must fit together --- */

static enum chy_err profile_check(const struct checker *c, size_t i,
                                  const struct chy_config_token *t)
{
    static const char *const known[] = { "network", "fork", "files" };
    for (size_t k = 0; k < t->profile.n; k++) {
        bool found = false;
        for (size_t j = 0; j < CHY_ARRAY_LEN(known); j++)
            found = found || chy_str_equal_c(t->profile.p[k], known[j]);
        if (!found)
            return setting_fail(c, (&(struct setting){ "tokens", i, "profile" }),
                                "knows network, fork and files, not \"%.*s\"",
                                CHY_STR_ARG(t->profile.p[k]));
    }
    return CHY_OK;
}

static enum chy_err token_paths_check(const struct checker *c, size_t i,
                                      const struct chy_config_token *t)
{
    CHY_TRY(path_check(c, &(struct setting){ "tokens", i, "module" }, t->module));
    CHY_TRY(path_check(c, &(struct setting){ "tokens", i, "pin_file" }, t->pin_file));
    return path_check(c, &(struct setting){ "tokens", i, "directory" }, t->directory);
}

/* Before the defaults are filled in: what the file itself says. */
static enum chy_err token_check(const struct checker *c, const struct chy_config *config, size_t i)
{
    const struct chy_config_token *t = &config->tokens.p[i];
    const struct setting name = { "tokens", i, "name" };
    if (!name_is_good(t->name))
        return setting_fail(c, &name, "may have letters, digits and . _ -, and no . in front");
    for (size_t k = 0; k < i; k++)
        if (chy_str_equal(t->name, config->tokens.p[k].name))
            return setting_fail(c, &name, "is that of tokens[%zu] already", k);
    CHY_TRY(token_paths_check(c, i, t));
    CHY_TRY(profile_check(c, i, t));
    if (t->slot_label.n > 0 && t->slot_serial.n > 0)
        return setting_fail(c, (&(struct setting){ "tokens", i, "slot_serial" }),
                            "and slot_label are two ways to say the same: give one");
    if (t->pin_file.n > 0 && t->pin_credential.n > 0)
        return setting_fail(c, (&(struct setting){ "tokens", i, "pin_credential" }),
                            "and pin_file are two ways to say the same: give one");
    if (t->pin_credential.n > 0 && !name_is_good(t->pin_credential))
        return setting_fail(c, (&(struct setting){ "tokens", i, "pin_credential" }),
                            "must be the name of a credential");
    return CHY_OK;
}

static enum chy_err token_complete_check(const struct checker *c, size_t i,
                                         const struct chy_config_token *t)
{
    bool is_software = t->software == CHY_CONFIG_YES;
    if (t->module.n == 0)
        return setting_fail(c, (&(struct setting){ "tokens", i, "module" }),
                            "is missing, and SoftHSM's is not installed");
    if (!is_software && chy_config_module_is_softhsm(t->module))
        return setting_fail(c, (&(struct setting){ "tokens", i, "software" }),
                            "cannot be false: SoftHSM keeps keys in files of this machine");
    if (!is_software && t->slot_label.n == 0 && t->slot_serial.n == 0)
        return setting_fail(c, (&(struct setting){ "tokens", i, NULL }),
                            "needs a slot_label or a slot_serial");
    if (is_software && t->threads > 1)
        return setting_fail(c, (&(struct setting){ "tokens", i, "threads" }),
                            "must be 1: threads in a software token make it slower; use workers");
    if (!is_software && t->copy_keys == CHY_CONFIG_YES)
        return setting_fail(c, (&(struct setting){ "tokens", i, "copy_keys" }),
                            "cannot be true: a copy may leave what a hardware token protects");
    return CHY_OK;
}

static bool token_exists(const struct chy_config *config, struct chy_str name)
{
    bool found = false;
    for (size_t i = 0; i < config->tokens.n; i++)
        found = found || chy_str_equal(config->tokens.p[i].name, name);
    return found;
}

static enum chy_err given_check(const struct checker *c, const struct chy_config *config)
{
    CHY_TRY(path_check(c, &(struct setting){ NULL, 0, "data" }, config->data));
    CHY_TRY(path_check(c, &(struct setting){ "tls", 0, "certificate" }, config->tls.certificate));
    CHY_TRY(path_check(c, &(struct setting){ "tls", 0, "key" }, config->tls.key));
    CHY_TRY(path_check(c, &(struct setting){ "log", 0, "anchor" }, config->log.anchor));
    for (size_t i = 0; i < config->listen.n; i++)
        if (!address_is_good(config->listen.p[i]))
            return setting_fail(c, (&(struct setting){ NULL, 0, "listen" }),
                                "must be ADDRESS:PORT, [IPv6]:PORT or unix:/PATH, not \"%.*s\"",
                                CHY_STR_ARG(config->listen.p[i]));
    if (config->public_url.n > 0 && !url_is_good(config->public_url))
        return setting_fail(c, (&(struct setting){ NULL, 0, "public_url" }),
                            "must be https://host or https://host:port, nothing behind it");
    for (size_t i = 0; i < config->log.origin.n; i++)
        if (config->log.origin.p[i] == ' ' || config->log.origin.p[i] == '+')
            return setting_fail(c, (&(struct setting){ "log", 0, "origin" }),
                                "may have no blank and no plus sign");
    for (size_t i = 0; i < config->tokens.n; i++)
        CHY_TRY(token_check(c, config, i));
    if (config->default_token.n > 0 && !token_exists(config, config->default_token))
        return setting_fail(c, (&(struct setting){ NULL, 0, "default_token" }),
                            "is no token of these");
    if (config->log.token.n > 0 && !token_exists(config, config->log.token))
        return setting_fail(c, (&(struct setting){ "log", 0, "token" }), "is no token of these");
    return CHY_OK;
}

enum chy_err chy_config_parse(struct chy_bytes yaml, struct chy_arena *arena,
                              struct chy_config *ret_config, struct chy_error *err)
{
    struct checker c = { .err = err };
    struct chy_config config;
    CHY_TRY(chy_yaml_parse(yaml, arena, &c.doc, err));
    CHY_TRY(chy_doc_read(&chy_config_schema, c.doc, arena, &config, err));
    CHY_TRY(given_check(&c, &config));
    CHY_TRY(chy_config_complete(&config, arena, err));
    for (size_t i = 0; i < config.tokens.n; i++)
        CHY_TRY(token_complete_check(&c, i, &config.tokens.p[i]));
    CHY_TRY(chy_sha256(yaml, config.sha256, err));
    CHY_TRY(chy_schema_check(&chy_config_schema, &config, err));
    *ret_config = config;
    return CHY_OK;
}

enum chy_err chy_config_load(const char *path, struct chy_arena *arena,
                             struct chy_config *ret_config, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf yaml;
    chy_buf_init(&yaml, CHY_LIMIT_YAML);
    CHY_TRY(chy_file_read(AT_FDCWD, path, &yaml, err));
    enum chy_err r = chy_config_parse(chy_buf_bytes(&yaml), arena, ret_config, err);
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "%s", path);
}
