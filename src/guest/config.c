/* SPDX-License-Identifier: MIT */
#include "guest/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "proto/door.h"

/* An empty variable is as good as none. */
static struct chy_str env(const char *name)
{
    return chy_str_of(secure_getenv(name));
}

static enum chy_err copy_to(char **to, struct chy_str s, struct chy_error *err)
{
    *to = chy_strdup(s);
    return *to != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for the configuration");
}

static enum chy_err path_copy(const char *name, struct chy_str path, char **to,
                              struct chy_error *err)
{
    if (path.p[0] != '/')
        return chy_fail(err, CHY_E_ARG, "%s must be an absolute path, not \"%.*s\"", name,
                        CHY_STR_ARG(path));
    return copy_to(to, path, err);
}

/* --- where the agent is --- */

static bool says_who_to_be(void)
{
    static const char *const names[] = { "CHANCERY_PROFILE", "CHANCERY_URL", "CHANCERY_TOKEN",
                                         "CHANCERY_TOKEN_FILE", "CHANCERY_CERT" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        if (env(names[i]).n != 0)
            return true;
    return false;
}

/* The place that `folder` and `below` make; one that is not absolute is no place. */
static enum chy_err socket_add(struct chy_guest_config *c, size_t i, struct chy_str folder,
                               const char *below, struct chy_error *err)
{
    if (folder.n == 0 || folder.p[0] != '/')
        return CHY_OK;
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, CHY_LIMIT_PATH);
    chy_buf_append_str(&path, folder);
    chy_buf_append_c(&path, below);
    CHY_TRY(chy_buf_check(&path, err));
    return copy_to(&c->sockets[i], chy_buf_str(&path), err);
}

static enum chy_err sockets_read(struct chy_guest_config *c, struct chy_error *err)
{
    struct chy_str given = env("CHANCERY_AGENT_SOCK");
    if (chy_str_equal_c(given, "none"))
        return CHY_OK;
    if (given.n != 0) {
        c->is_socket_given = true;
        return path_copy("CHANCERY_AGENT_SOCK", given, &c->sockets[0], err);
    }
    if (says_who_to_be())
        return CHY_OK;
    CHY_TRY(socket_add(c, 0, env("XDG_RUNTIME_DIR"), "/chancery/agent.sock", err));
    struct chy_str home = env("XDG_CONFIG_HOME");
    if (home.n != 0)
        return socket_add(c, 1, home, "/chancery/agent.sock", err);
    return socket_add(c, 1, env("HOME"), "/.config/chancery/agent.sock", err);
}

static enum chy_err files_read(struct chy_guest_config *c, struct chy_error *err)
{
    struct chy_str helper = env("CHANCERY_HELPER");
    if (helper.n == 0)
        helper = CHY_STR(CHY_GUEST_HELPER);
    struct chy_str log = env("CHANCERY_LOG");
    if (log.n != 0)
        CHY_TRY(path_copy("CHANCERY_LOG", log, &c->log, err));
    return path_copy("CHANCERY_HELPER", helper, &c->helper, err);
}

/* --- what is said to it --- */

static bool is_between(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n';
}

/* The next word of `*text`, which is cut off from it; empty at the end. */
static struct chy_str word_next(struct chy_str *text)
{
    while (text->n != 0 && is_between(text->p[0]))
        *text = (struct chy_str){ text->p + 1, text->n - 1 };
    size_t n = 0;
    while (n < text->n && !is_between(text->p[n]))
        n++;
    struct chy_str word = { text->p, n };
    *text = (struct chy_str){ text->p + n, text->n - n };
    return word;
}

static enum chy_err keys_read(struct chy_door_hello *hello, const char *otherwise,
                              struct chy_arena *arena, struct chy_error *err)
{
    struct chy_str text = env("CHANCERY_KEYS");
    if (text.n == 0)
        text = chy_str_of(otherwise);
    struct chy_str *words = chy_arena_array(arena, struct chy_str, CHY_LIMIT_DOOR_PATTERNS);
    if (words == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the configuration");
    size_t n = 0;
    for (struct chy_str w = word_next(&text); w.n != 0; w = word_next(&text)) {
        if (n == CHY_LIMIT_DOOR_PATTERNS)
            return chy_fail(err, CHY_E_LIMIT, "CHANCERY_KEYS has more than %d words",
                            CHY_LIMIT_DOOR_PATTERNS);
        words[n++] = w;
    }
    hello->keys = (struct chy_strs){ words, n };
    return CHY_OK;
}

/* The helper may have another working directory than the tool. */
static enum chy_err receipts_read(struct chy_door_hello *hello, struct chy_arena *arena,
                                  struct chy_error *err)
{
    hello->receipts = env("CHANCERY_RECEIPTS");
    if (hello->receipts.n == 0 || hello->receipts.p[0] == '/')
        return CHY_OK;
    char here[CHY_LIMIT_PATH];
    if (getcwd(here, sizeof here) == NULL)
        return chy_fail(err, CHY_E_IO, "CHANCERY_RECEIPTS is relative to a folder without a path");
    hello->receipts = chy_arena_printf(arena, "%s/%.*s", here, CHY_STR_ARG(hello->receipts));
    return hello->receipts.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a path");
}

static enum chy_err tag_read(struct chy_door_hello *hello, uint8_t tag[CHY_ID_BYTES],
                             struct chy_error *err)
{
    struct chy_str text = env("CHANCERY_EXEC_TAG");
    if (text.n == 0)
        return CHY_OK;
    if (chy_hex_decode(text, tag, CHY_ID_BYTES, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "CHANCERY_EXEC_TAG is not %d hexadecimal digits",
                        2 * CHY_ID_BYTES);
    hello->tag = (struct chy_bytes){ tag, CHY_ID_BYTES };
    return CHY_OK;
}

static enum chy_err naming_read(struct chy_door_hello *hello, struct chy_error *err)
{
    int naming = CHY_DOOR_NAMING_PLAIN;
    struct chy_str text = env("CHANCERY_NAMING");
    if (text.n != 0 && chy_enum_find(&chy_door_naming_enum, text, &naming, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "CHANCERY_NAMING is neither plain nor signum");
    hello->naming = (enum chy_door_naming)naming;
    return CHY_OK;
}

static enum chy_err hello_make(struct chy_guest_config *c, const char *software, const char *keys,
                               struct chy_arena *arena, struct chy_error *err)
{
    uint8_t tag[CHY_ID_BYTES];
    struct chy_door_hello hello = {
        .version = CHY_DOOR_VERSION,
        .software = chy_str_of(software),
        .reason = env("CHANCERY_REASON"),
    };
    CHY_TRY(naming_read(&hello, err));
    CHY_TRY(keys_read(&hello, keys, arena, err));
    CHY_TRY(receipts_read(&hello, arena, err));
    CHY_TRY(tag_read(&hello, tag, err));
    return chy_schema_encode(&chy_door_hello_schema, &hello, &c->hello, err);
}

enum chy_err chy_guest_config_read(struct chy_guest_config *config, const char *software,
                                   const char *keys, struct chy_error *err)
{
    *config = (struct chy_guest_config){ 0 };
    chy_buf_init(&config->hello, CHY_LIMIT_CONFIG);
    CHY_TRY(files_read(config, err));
    CHY_TRY(sockets_read(config, err));
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_CONFIG);
    return hello_make(config, software, keys, &arena, err);
}

void chy_guest_config_done(struct chy_guest_config *config)
{
    for (size_t i = 0; i < CHY_GUEST_SOCKETS; i++)
        chy_free(config->sockets[i]);
    chy_free(config->helper);
    chy_free(config->log);
    chy_buf_done(&config->hello);
    *config = (struct chy_guest_config){ 0 };
}
