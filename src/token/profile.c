/* SPDX-License-Identifier: MIT */
#include "token/profile.h"

#include "base/limits.h"
#include "base/mem.h"

#define MAX_FILES 1024 /* SoftHSM opens a file for each object while it lists them */

struct grant {
    const char *word;
    unsigned calls;
};

static const struct grant grants[] = {
    { "network", CHY_CALLS_CONNECT }, { "fork", CHY_CALLS_FORK },     { "files", 0 },
    { "threads", CHY_CALLS_THREADS }, { "device", CHY_CALLS_DEVICE },
};

static const struct grant *grant_find(struct chy_str word)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(grants); i++)
        if (chy_str_equal_c(word, grants[i].word))
            return &grants[i];
    return NULL;
}

static bool has_word(const struct chy_token_config *config, const char *word)
{
    for (size_t i = 0; i < config->profile.n; i++)
        if (chy_str_equal_c(config->profile.p[i], word))
            return true;
    return false;
}

static enum chy_err calls_of(const struct chy_token_config *config, unsigned *ret_calls,
                             struct chy_error *err)
{
    unsigned calls = CHY_CALLS_READ_FILES | CHY_CALLS_WRITE_FILES | CHY_CALLS_DLOPEN;
    /* A hardware token's sessions have a thread each. */
    if (!config->is_software && config->threads > 1)
        calls |= CHY_CALLS_THREADS;
    for (size_t i = 0; i < config->profile.n; i++) {
        const struct grant *grant = grant_find(config->profile.p[i]);
        if (grant == NULL)
            return chy_fail(err, CHY_E_ARG, "\"%.*s\" is nothing that a token's profile can grant",
                            CHY_STR_ARG(config->profile.p[i]));
        calls |= grant->calls;
    }
    *ret_calls = calls;
    return CHY_OK;
}

/* The folder of a path, in the arena of the caller: up to its last slash. */
static void cut_name(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path)
        *slash = '\0';
}

enum chy_err chy_profile_enter(const struct chy_token_config *config, const char *extra_file,
                               struct chy_sandbox_result *ret_result, struct chy_error *err)
{
    unsigned calls = 0;
    CHY_TRY(calls_of(config, &calls, err));
    CHY_CLEANUP(chy_freep) char *directory = chy_strdup(config->directory);
    CHY_CLEANUP(chy_freep) char *lock_folder = chy_strdup(config->lock);
    CHY_CLEANUP(chy_freep) char *user = chy_strdup(config->user);
    if (directory == NULL || lock_folder == NULL || user == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the sandbox of a token");
    cut_name(lock_folder);
    struct chy_sandbox_path paths[] = {
        { "/usr", CHY_PATH_READ, false },
        { "/lib", CHY_PATH_READ, true },
        { "/lib64", CHY_PATH_READ, true },
        { "/etc/ld.so.cache", CHY_PATH_READ, true },
        { "/etc/localtime", CHY_PATH_READ, true },
        { "/dev/urandom", CHY_PATH_READ, true },
        { "/dev/null", CHY_PATH_READ | CHY_PATH_WRITE, true },
        { NULL, 0, false },
        { NULL, 0, false },
        { NULL, 0, false },
    };
    size_t n = CHY_ARRAY_LEN(paths) - 3;
    const unsigned all = CHY_PATH_READ | CHY_PATH_WRITE;
    if (directory[0] != '\0')
        paths[n++] = (struct chy_sandbox_path){ directory, all, false };
    if (lock_folder[0] != '\0')
        paths[n++] = (struct chy_sandbox_path){ lock_folder, all, false };
    if (extra_file != NULL)
        paths[n++] = (struct chy_sandbox_path){ extra_file, CHY_PATH_READ, true };
    const struct chy_sandbox sandbox = {
        .name = "token",
        .user = user[0] != '\0' ? user : NULL,
        .max_files = MAX_FILES,
        .limits_files = !has_word(config, "files"),
        .paths = paths,
        .path_count = n,
        .may_connect_tcp = has_word(config, "network"),
        .limits_calls = true,
        .calls = calls,
    };
    return chy_sandbox_enter(&sandbox, ret_result, err);
}
