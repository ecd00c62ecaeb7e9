/* SPDX-License-Identifier: MIT */
/* The private folder of a run, and in it one for each file that a tool looks at, with a copy of
 * that file: tools open what they look at by its name, more than once, and whoever may write there
 * would show them one file and us another. */
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/exec/machine.h"
#include "cli/verify/tools.h"
#include "client/artifact.h"
#include "codec/hex.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_copy.h"
#include "os/file_stream.h"
#include "os/random.h"
#include "os/scratch.h"
#include "os/tree.h"

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for what a tool needs");
}

/* --- the folder of all --- */

/* English, because what they say is read; no configuration of the user's, and no key of his. */
static enum chy_err env_make(struct verify *v, struct verify_tools *t, struct chy_error *err)
{
    static const char *const kept[] = { "PATH", "JAVA_HOME", "LD_LIBRARY_PATH", "ASAN_OPTIONS" };
    const char **env = chy_arena_array(&v->cli->arena, const char *, CHY_ARRAY_LEN(kept) + 5);
    size_t n = 0;
    if (env == NULL)
        return no_memory(err);
    for (size_t i = 0; i < CHY_ARRAY_LEN(kept); i++) {
        const char *value = chy_machine_env((const char *const *)environ, kept[i]);
        if (value != NULL)
            env[n++] = chy_arena_printf(&v->cli->arena, "%s=%s", kept[i], value).p;
    }
    env[n++] = "LC_ALL=C.UTF-8";
    env[n++] = chy_arena_printf(&v->cli->arena, "HOME=%.*s", CHY_STR_ARG(t->dir)).p;
    env[n++] = chy_arena_printf(&v->cli->arena, "GNUPGHOME=%.*s", CHY_STR_ARG(t->dir)).p;
    env[n++] = chy_arena_printf(&v->cli->arena, "TMPDIR=%.*s", CHY_STR_ARG(t->dir)).p;
    for (size_t i = 0; i < n; i++) {
        if (env[i] == NULL)
            return no_memory(err);
    }
    t->env = env;
    return CHY_OK;
}

/* On a disk, if there is one: files may be large, and /tmp be memory. */
static const char *parent_find(void)
{
    const char *given = chy_machine_env((const char *const *)environ, "TMPDIR");
    const char *const dirs[] = { given, "/var/tmp" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(dirs); i++) {
        if (dirs[i] != NULL && dirs[i][0] == '/' && access(dirs[i], W_OK | X_OK) == 0)
            return dirs[i];
    }
    return "/tmp";
}

static enum chy_err tools_make(struct verify *v, struct chy_error *err)
{
    uint8_t random[8];
    char hex[CHY_HEX_SIZE(sizeof random)];
    const char *parent = parent_find();
    struct verify_tools *t = chy_arena_new(&v->cli->arena, struct verify_tools);
    if (t == NULL)
        return no_memory(err);
    CHY_TRY(chy_random_fill(random, sizeof random, err));
    chy_hex_encode((struct chy_bytes){ random, sizeof random }, hex);
    t->dir = chy_arena_printf(&v->cli->arena, "%s/" CHY_SCRATCH_PREFIX "%s", parent, hex);
    if (t->dir.p == NULL)
        return no_memory(err);
    CHY_TRY(env_make(v, t, err));
    CHY_IGNORE(chy_scratch_sweep(parent, NULL)); /* what others left there harms nobody */
    CHY_TRY(chy_scratch_make(t->dir.p, &t->lock_fd, err));
    v->tools = t;
    return CHY_OK;
}

void verify_tools_free(struct verify_tools *t)
{
    if (t == NULL)
        return;
    CHY_IGNORE(chy_tree_remove(AT_FDCWD, t->dir.p, false, NULL)); /* a temporary folder */
    chy_fd_closep(&t->lock_fd);
}

/* --- that of one file --- */

enum chy_err verify_tools_ready(struct verify_file *f, struct chy_error *err)
{
    if (f->v->tools == NULL)
        CHY_TRY(tools_make(f->v, err));
    if (f->folder != NULL)
        return CHY_OK;
    struct verify_tools *t = f->v->tools;
    struct verify_folder *folder = chy_arena_new(f->arena, struct verify_folder);
    if (folder == NULL)
        return no_memory(err);
    folder->path = chy_arena_printf(f->arena, "%.*s/file-%llu", CHY_STR_ARG(t->dir),
                                    (unsigned long long)t->files++);
    if (folder->path.p == NULL)
        return no_memory(err);
    CHY_TRY(chy_dir_make(AT_FDCWD, folder->path.p, 0700, err));
    f->folder = folder;
    return CHY_OK;
}

void verify_folder_free(struct verify_file *f)
{
    if (f->folder != NULL)
        CHY_IGNORE(chy_tree_remove(AT_FDCWD, f->folder->path.p, false, NULL)); /* likewise */
    f->folder = NULL;
}

enum chy_err verify_make_name(struct verify_tool_run *run, struct chy_str *ret_path,
                              struct chy_error *err)
{
    struct verify_folder *folder = run->f->folder;
    *ret_path = chy_arena_printf(run->f->arena, "%.*s/part-%llu", CHY_STR_ARG(folder->path),
                                 (unsigned long long)folder->names++);
    return ret_path->p != NULL ? CHY_OK : no_memory(err);
}

enum chy_err verify_make_file(struct verify_tool_run *run, struct chy_bytes content,
                              struct chy_str *ret_path, struct chy_error *err)
{
    CHY_TRY(verify_make_name(run, ret_path, err));
    return chy_file_create(AT_FDCWD, ret_path->p, content, 0600, err);
}

/* --- the copy --- */

/* Some tools know a kind by the ending of its name. */
static struct chy_str ending_of(struct chy_str path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t n = 0;
    while (n < path.n && memchr(plain, path.p[path.n - 1 - n], sizeof plain - 1) != NULL)
        n++;
    bool is_ending = n != 0 && n <= 16 && n < path.n && path.p[path.n - 1 - n] == '.';
    return is_ending ? (struct chy_str){ path.p + path.n - 1 - n, n + 1 } : (struct chy_str){ 0 };
}

static enum chy_err copy_fill(struct verify_file *f, const char *path, int *ret_fd,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int to = -1;
    uint64_t size;
    CHY_TRY(chy_file_make(AT_FDCWD, path, 0600, &to, err));
    CHY_TRY(chy_fd_copy(f->fd, to, CHY_LIMIT_VERIFY_COPY, &size, err));
    return chy_file_open_stream(AT_FDCWD, path, ret_fd, &f->size_bytes, err);
}

static enum chy_err fail_changed(struct chy_error *err)
{
    return chy_fail(err, CHY_E_STATE, "it was changed while it was looked at");
}

/* What was found out so far is of what the copy has, too. */
static enum chy_err copy_recognise(struct verify_file *f, int fd, struct chy_error *err)
{
    struct chy_format_facts facts;
    CHY_TRY(chy_artifact_inspect(fd, f->path, f->arena, &facts, err));
    bool is_same = facts.kind == f->facts.kind && facts.is_signed == f->facts.is_signed &&
                   chy_str_equal(facts.fault, f->facts.fault);
    return is_same ? CHY_OK : fail_changed(err);
}

enum chy_err verify_copy_make(struct verify_file *f, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    if (f->folder->copy.p != NULL)
        return CHY_OK;
    struct chy_str path = chy_arena_printf(f->arena, "%.*s/copy%.*s", CHY_STR_ARG(f->folder->path),
                                           CHY_STR_ARG(ending_of(f->path)));
    if (path.p == NULL)
        return no_memory(err);
    CHY_TRY(copy_fill(f, path.p, &fd, err));
    CHY_TRY(copy_recognise(f, fd, err));
    f->folder->copy = path;
    f->opened_fd = f->fd;
    f->fd = chy_fd_take(&fd);
    return CHY_OK;
}

/* --- the file itself --- */

enum chy_err verify_content(const struct verify_file *f, struct chy_buf *to, struct chy_error *err)
{
    size_t n = 0;
    if (f->size_bytes > CHY_LIMIT_CMS)
        return chy_fail(err, CHY_E_LIMIT, "a signature of %llu bytes, %d are the most",
                        (unsigned long long)f->size_bytes, CHY_LIMIT_CMS);
    uint8_t *room = chy_buf_room(to, (size_t)f->size_bytes);
    if (room == NULL)
        return chy_buf_check(to, err);
    CHY_TRY(chy_file_pread(f->fd, room, (size_t)f->size_bytes, 0, &n, err));
    chy_buf_added(to, n);
    return CHY_OK;
}

/* In the folder that is walked: a link may lead elsewhere where one was a moment ago. */
static bool is_in_folder(struct verify_file *f)
{
    struct chy_file_stamp there;
    return f->v->name == NULL ||
           (chy_file_stamp(f->v->parent_fd, f->v->name, &there, NULL) == CHY_OK &&
            chy_file_stamp_is_same(&there, &f->opened));
}

/* The verdict is about what was read; the row names a path, whose content may be another by now. */
void verify_still_there(struct verify_file *f)
{
    struct chy_file_stamp file;
    struct chy_file_stamp there;
    struct chy_str path = chy_arena_str(f->arena, f->path);
    int fd = f->opened_fd >= 0 ? f->opened_fd : f->fd;
    bool is_same = path.p != NULL && chy_file_stamp_of(fd, &file, NULL) == CHY_OK &&
                   chy_file_stamp(AT_FDCWD, path.p, &there, NULL) == CHY_OK &&
                   chy_file_stamp_is_same(&file, &f->opened) &&
                   chy_file_stamp_is_same(&there, &f->opened) && is_in_folder(f);
    if (!is_same)
        verify_say(f, VERIFY_UNKNOWN, NULL, "it was changed while it was looked at");
}
