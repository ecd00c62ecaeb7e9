/* SPDX-License-Identifier: MIT */
#include "supervisor/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/tree.h"
#include "os/user.h"

struct part {
    const char *path;
    mode_t dir_mode; /* as root; an ordinary user's are 0700 and 0600 */
    mode_t file_mode;
};

enum {
    PART_TLS,
    PART_SECRETS,
    PART_STORE,
    PART_ANCHOR,
    PART_TOKENS,
    PART_COUNT
};

static const struct part parts[PART_COUNT] = {
    [PART_TLS] = { CHY_DATA_TLS, 0700, 0600 },
    [PART_SECRETS] = { CHY_DATA_SECRETS, 0700, 0600 },
    [PART_STORE] = { CHY_DATA_STORE, 02750, 0640 },
    [PART_ANCHOR] = { CHY_DATA_ANCHOR, 02750, 0640 },
    [PART_TOKENS] = { CHY_DATA_TOKENS, 0711, 0600 },
};

static bool is_root(void)
{
    return geteuid() == 0;
}

/* --- a folder to be filled --- */

void layout_new_end(struct layout_new *new)
{
    if (new->fd < 0)
        return;
    chy_fd_closep(&new->fd);
    if (!new->is_kept)
        /* The first error is the one to tell. */
        CHY_IGNORE(chy_tree_remove(AT_FDCWD, new->path, !new->is_ours, NULL));
}

static enum chy_err empty_check(const char *path, struct chy_error *err)
{
    bool is_empty;
    CHY_TRY(chy_tree_is_empty(AT_FDCWD, path, &is_empty, err));
    if (!is_empty)
        return chy_fail(err, CHY_E_EXISTS, "%s is not empty; name a new folder", path);
    return CHY_OK;
}

enum chy_err layout_new_begin(const char *path, bool is_private, struct layout_new *ret_new,
                              struct chy_error *err)
{
    mode_t mode = is_root() && !is_private ? 0711 : 0700;
    struct layout_new new = { .path = path, .fd = -1, .is_ours = true };
    enum chy_err r = chy_dir_make(AT_FDCWD, path, mode, err);
    if (r == CHY_E_EXISTS) {
        new.is_ours = false;
        r = empty_check(path, err);
    }
    if (r == CHY_OK)
        r = chy_dir_open(AT_FDCWD, path, &new.fd, err);
    if (r == CHY_OK)
        *ret_new = new;
    return r;
}

/* --- what is in it --- */

enum chy_err layout_token(struct chy_str name, char ret_path[LAYOUT_TOKEN_BYTES],
                          struct chy_error *err)
{
    int n = snprintf(ret_path, LAYOUT_TOKEN_BYTES, CHY_DATA_TOKENS "/%.*s", CHY_STR_ARG(name));
    if (n < 0 || n >= LAYOUT_TOKEN_BYTES)
        return chy_fail(err, CHY_E_LIMIT, "a token's name is too long");
    return CHY_OK;
}

enum chy_err layout_make(int dir_fd, const struct chy_config *config, struct chy_error *err)
{
    char path[LAYOUT_TOKEN_BYTES];
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++)
        CHY_TRY(chy_dir_make(dir_fd, parts[i].path, is_root() ? parts[i].dir_mode : 0700, err));
    for (size_t i = 0; i < config->tokens.n; i++) {
        CHY_TRY(layout_token(config->tokens.p[i].name, path, err));
        CHY_TRY(chy_dir_make(dir_fd, path, 0700, err));
    }
    return CHY_OK;
}

static enum chy_err user_find(struct chy_str name, struct chy_user_ids *ret_ids,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *text = chy_strdup(name);
    if (text == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a user's name");
    return chy_user_find(text, ret_ids, err);
}

static enum chy_err tokens_own(int dir_fd, const struct chy_config *config,
                               struct chy_user_ids owner, struct chy_error *err)
{
    char path[LAYOUT_TOKEN_BYTES];
    for (size_t i = 0; i < config->tokens.n; i++) {
        CHY_TRY(layout_token(config->tokens.p[i].name, path, err));
        struct chy_error missing;
        enum chy_err r = chy_tree_own(dir_fd, path, owner, 0700, 0600, &missing);
        if (r == CHY_E_NOT_FOUND)
            continue; /* its files are elsewhere, or it has none */
        if (r != CHY_OK && err != NULL)
            *err = missing;
        CHY_TRY(r);
    }
    return CHY_OK;
}

static enum chy_err own_as_root(int dir_fd, const struct chy_config *config, struct chy_error *err)
{
    struct chy_user_ids signer = { 0, 0 };
    struct chy_user_ids query = { 0, 0 };
    struct chy_user_ids token = { 0, 0 };
    CHY_TRY(user_find(config->run_as.signer, &signer, err));
    CHY_TRY(user_find(config->run_as.query, &query, err));
    CHY_TRY(user_find(config->run_as.token, &token, err));
    struct chy_user_ids root = { 0, 0 };
    struct chy_user_ids shared = { signer.uid, query.gid };
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++) {
        bool is_shared = i == PART_STORE || i == PART_ANCHOR;
        CHY_TRY(chy_tree_own(dir_fd, parts[i].path, is_shared ? shared : root, parts[i].dir_mode,
                             parts[i].file_mode, err));
    }
    return tokens_own(dir_fd, config, token, err);
}

enum chy_err layout_own(int dir_fd, const struct chy_config *config, struct chy_error *err)
{
    if (is_root())
        return own_as_root(dir_fd, config, err);
    struct chy_user_ids own = { geteuid(), getegid() };
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++)
        CHY_TRY(chy_tree_own(dir_fd, parts[i].path, own, 0700, 0600, err));
    return CHY_OK;
}
