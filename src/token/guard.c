/* SPDX-License-Identifier: MIT */
#include "token/guard.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/tree.h"

#define TOKEN_FILE "/token.object"

enum {
    TOKEN_FILE_MAX = 1 << 20, /* bytes; it is some 300 */
    HEAD_BYTES = 16, /* a generation number and the first attribute's type, never all zero */
};

struct guarded {
    char *safe; /* DIR/safe */
    bool is_restoring;
    size_t restored;
};

static bool is_token_file(const struct chy_tree_entry *entry)
{
    const char *slash = strchr(entry->path, '/');
    return entry->kind == CHY_TREE_FILE && slash != NULL &&
           chy_str_equal_c(chy_str_of(slash), TOKEN_FILE);
}

static bool is_blank(struct chy_bytes b)
{
    uint8_t any = 0;
    for (size_t i = 0; i < CHY_MIN(b.n, (size_t)HEAD_BYTES); i++)
        any |= b.p[i];
    return any == 0;
}

/* An absent copy reads as empty. */
static enum chy_err safe_read(const char *path, struct chy_buf *to, struct chy_error *err)
{
    enum chy_err r = chy_file_read(AT_FDCWD, path, to, err);
    return r == CHY_E_NOT_FOUND ? CHY_OK : r;
}

static enum chy_err guard_one(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                              struct chy_error *err)
{
    struct guarded *g = ctx;
    if (!is_token_file(entry))
        return CHY_OK;
    CHY_CLEANUP(chy_buf_done) struct chy_buf now;
    CHY_CLEANUP(chy_buf_done) struct chy_buf safe;
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&now, TOKEN_FILE_MAX);
    chy_buf_init(&safe, TOKEN_FILE_MAX);
    chy_buf_init(&path, 4096);
    struct chy_str id = { entry->path, (size_t)(strchr(entry->path, '/') - entry->path) };
    chy_buf_printf(&path, "%s/%.*s", g->safe, CHY_STR_ARG(id));
    chy_buf_append_u8(&path, 0);
    CHY_TRY(chy_buf_check(&path, err));
    CHY_TRY(chy_file_read(dir_fd, entry->path, &now, err));
    CHY_TRY(safe_read((const char *)path.p, &safe, err));
    bool is_torn = now.n < safe.n || is_blank(chy_buf_bytes(&now));
    if (chy_bytes_equal(chy_buf_bytes(&now), chy_buf_bytes(&safe)))
        return CHY_OK;
    if (!g->is_restoring)
        return is_torn ? CHY_OK
                       : chy_file_replace(AT_FDCWD, (const char *)path.p, chy_buf_bytes(&now), 0600,
                                          err);
    if (!is_torn || safe.n == 0)
        return CHY_OK;
    g->restored++;
    return chy_file_replace(dir_fd, entry->path, chy_buf_bytes(&safe), 0600, err);
}

static char *join(struct chy_str directory, const char *name)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, 4096);
    chy_buf_printf(&path, "%.*s/%s", CHY_STR_ARG(directory), name);
    return chy_buf_check(&path, NULL) == CHY_OK ? chy_strdup(chy_buf_str(&path)) : NULL;
}

static enum chy_err guard_all(struct chy_str directory, struct guarded *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *tokens = join(directory, "tokens");
    if (tokens == NULL || g->safe == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the path of a token's files");
    enum chy_err r = g->is_restoring ? CHY_OK : chy_dir_make(AT_FDCWD, g->safe, 0700, err);
    if (r != CHY_OK && r != CHY_E_EXISTS)
        return r;
    return chy_tree_walk(AT_FDCWD, tokens, guard_one, g, err);
}

enum chy_err chy_guard_save(struct chy_str directory, struct chy_error *err)
{
    struct guarded g = { .safe = join(directory, "safe") };
    enum chy_err r = guard_all(directory, &g, err);
    chy_free(g.safe);
    return r;
}

enum chy_err chy_guard_restore(struct chy_str directory, size_t *ret_count, struct chy_error *err)
{
    struct guarded g = { .safe = join(directory, "safe"), .is_restoring = true };
    enum chy_err r = guard_all(directory, &g, err);
    chy_free(g.safe);
    if (r == CHY_OK)
        *ret_count = g.restored;
    return r;
}
