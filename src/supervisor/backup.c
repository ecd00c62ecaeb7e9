/* SPDX-License-Identifier: MIT */
#include "supervisor/backup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/tree.h"
#include "store/store.h"
#include "supervisor/config.h"
#include "supervisor/copy.h"
#include "supervisor/layout.h"
#include "supervisor/manifest.h"
#include "supervisor/plan.h"

#define LOCK_RETRY_NS 2000000 /* the lock is held for some milliseconds at a time */
#define LEFT_OUT_MAX  (4 + 2 * (size_t)CHY_LIMIT_TOKENS)

#define S struct chy_backup_result
static const struct chy_field result_fields[] = {
    CHY_F_STR(S, to, 0, 0, CHY_LIMIT_PATH, "the folder of the backup"),
    CHY_F_U64(S, files, 0, 0, INT64_MAX, "files in it, the manifest not counted"),
    CHY_F_U64(S, size_bytes, 0, 0, INT64_MAX, "and their size"),
    CHY_F_STRS(S, left_out, 0, LEFT_OUT_MAX, CHY_LIMIT_PATH,
               "what the configuration names outside the data directory: not in the backup"),
};
#undef S
const struct chy_schema chy_backup_result_schema =
    CHY_SCHEMA("BackupMade", struct chy_backup_result, result_fields, "What a backup holds.");

struct backup {
    struct chy_arena *arena;
    const struct chy_plan *plan;
    char data[PATH_MAX]; /* without links */
    int data_fd;
    int to_fd;
    int locks[CHY_LIMIT_TOKENS]; /* of tokens; owned */
    size_t lock_count;
    struct manifest_file *files;
    size_t file_count;
    uint64_t size_bytes;
};

static void backup_done(struct backup *b)
{
    for (size_t i = 0; i < b->lock_count; i++)
        chy_fd_closep(&b->locks[i]);
    chy_fd_closep(&b->data_fd);
    chy_free(b->files);
    b->files = NULL;
}

static enum chy_err fail_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "out of memory for a backup");
}

/* --- what is copied --- */

static bool is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return chy_str_starts(chy_str_of(path), folder) && (path[n] == '/' || path[n] == '\0');
}

static bool is_lock(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash != NULL ? slash + 1 : path, LAYOUT_LOCK) == 0;
}

static enum chy_err on_anchor(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                              struct chy_error *err)
{
    struct backup *b = ctx;
    char to[PATH_MAX];
    int n = snprintf(to, sizeof to, CHY_DATA_ANCHOR "/%s", entry->path);
    if (entry->kind != CHY_TREE_FILE || n < 0 || (size_t)n >= sizeof to)
        return CHY_OK;
    return copy_file(dir_fd, entry->path, b->to_fd, to, err);
}

/* Everything else. Sockets and the like hold nothing. */
static enum chy_err on_rest(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                            struct chy_error *err)
{
    struct backup *b = ctx;
    if (entry->kind != CHY_TREE_FILE || is_in(entry->path, CHY_DATA_STORE) ||
        is_in(entry->path, CHY_DATA_ANCHOR) || is_lock(entry->path) ||
        strcmp(entry->path, LAYOUT_CONFIG) == 0)
        return CHY_OK;
    return copy_file(dir_fd, entry->path, b->to_fd, entry->path, err);
}

static enum chy_err store_copy(struct backup *b, const char *to, struct chy_error *err)
{
    CHY_CLEANUP(chy_store_closep) struct chy_store *store = NULL;
    struct chy_str from;
    struct chy_str copy = chy_arena_printf(b->arena, "%s/" CHY_DATA_STORE_FILE, to);
    CHY_TRY(chy_config_path(b->plan->config, CHY_DATA_STORE_FILE, b->arena, &from, err));
    if (copy.p == NULL)
        return fail_memory(err);
    CHY_TRY(copy_make_parents(b->to_fd, CHY_DATA_STORE_FILE, err));
    CHY_TRY(chy_store_open(from.p, CHY_STORE_READ, &store, err));
    return chy_store_copy(store, copy.p, err);
}

/* Logging in rewrites a file of SoftHSM's; whoever does it holds the token's lock. */
static enum chy_err token_lock(struct backup *b, const char *path, struct chy_error *err)
{
    int64_t end_us = chy_clock_monotonic_us() + CHY_LIMIT_TOKEN_LOCK_MS * INT64_C(1000);
    if (access(path, F_OK) != 0)
        return CHY_OK; /* it never ran; a lock of ours would be another user's */
    for (;;) {
        enum chy_err r = chy_file_lock(AT_FDCWD, path, &b->locks[b->lock_count], err);
        if (r == CHY_OK)
            b->lock_count++;
        if (r != CHY_E_BUSY)
            return r;
        if (chy_clock_monotonic_us() > end_us)
            return chy_error_prefix(err, CHY_E_TIMEOUT, "a token's lock was not free for %d ms",
                                    CHY_LIMIT_TOKEN_LOCK_MS);
        struct timespec pause = { .tv_nsec = LOCK_RETRY_NS };
        CHY_IGNORE(clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL)); /* shorter is as well */
    }
}

static enum chy_err all_copy(struct backup *b, const char *config, const char *to,
                             struct chy_error *err)
{
    struct chy_error missing;
    enum chy_err r = chy_tree_walk(b->data_fd, CHY_DATA_ANCHOR, on_anchor, b, &missing);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND) {
        if (err != NULL)
            *err = missing;
        return r;
    }
    CHY_TRY(store_copy(b, to, err));
    for (size_t i = 0; i < b->plan->token_count; i++)
        CHY_TRY(token_lock(b, b->plan->tokens[i].config.lock.p, err));
    CHY_TRY(chy_tree_walk(b->data_fd, ".", on_rest, b, err));
    return copy_file(AT_FDCWD, config, b->to_fd, LAYOUT_CONFIG, err);
}

/* --- what it then lists --- */

static enum chy_err on_copied(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                              struct chy_error *err)
{
    struct backup *b = ctx;
    if (entry->kind != CHY_TREE_FILE)
        return CHY_OK;
    if (b->file_count == CHY_LIMIT_BACKUP_FILES)
        return chy_fail(err, CHY_E_LIMIT, "more than %d files for a backup",
                        CHY_LIMIT_BACKUP_FILES);
    struct manifest_file *file = &b->files[b->file_count];
    CHY_TRY(manifest_hash(dir_fd, entry->path, file, err));
    file->path = chy_arena_str(b->arena, file->path);
    if (file->path.p == NULL)
        return fail_memory(err);
    b->size_bytes += file->size_bytes;
    b->file_count++;
    return CHY_OK;
}

static int path_order(const void *a, const void *b)
{
    return chy_str_compare(((const struct manifest_file *)a)->path,
                           ((const struct manifest_file *)b)->path);
}

static enum chy_err manifest_make(struct backup *b, int64_t now_us, struct chy_error *err)
{
    b->files = chy_new_array(struct manifest_file, CHY_LIMIT_BACKUP_FILES);
    if (b->files == NULL)
        return fail_memory(err);
    CHY_TRY(chy_tree_walk(b->to_fd, ".", on_copied, b, err));
    qsort(b->files, b->file_count, sizeof *b->files, path_order);
    struct manifest m = {
        .format = MANIFEST_FORMAT,
        .version = CHY_STR(CHY_VERSION),
        .created_us = now_us,
        .files = { b->files, b->file_count },
    };
    return manifest_write(b->to_fd, &m, err);
}

/* --- what is not in it --- */

static void left_out_add(const struct backup *b, struct chy_str path, struct chy_str *list,
                         size_t *n)
{
    if (path.n > 0 && !copy_is_below(path.p, b->plan->data))
        list[(*n)++] = path;
}

static enum chy_err left_out_find(const struct backup *b, struct chy_strs *ret_paths,
                                  struct chy_error *err)
{
    const struct chy_config *c = b->plan->config;
    struct chy_str *list = chy_arena_array(b->arena, struct chy_str, LEFT_OUT_MAX);
    size_t n = 0;
    if (list == NULL)
        return fail_memory(err);
    left_out_add(b, c->tls.certificate, list, &n);
    left_out_add(b, c->tls.key, list, &n);
    left_out_add(b, c->log.anchor, list, &n);
    for (size_t i = 0; i < b->plan->token_count; i++) {
        left_out_add(b, chy_str_of(b->plan->tokens[i].pin_path), list, &n);
        left_out_add(b, c->tokens.p[i].directory, list, &n);
    }
    for (size_t i = 0; i < n; i++) {
        list[i] = chy_arena_str(b->arena, list[i]); /* the plan goes away */
        if (list[i].p == NULL)
            return fail_memory(err);
    }
    *ret_paths = (struct chy_strs){ list, n };
    return CHY_OK;
}

static enum chy_err backup_run(struct backup *b, const char *config, const char *to,
                               struct chy_backup_result *result, struct chy_error *err)
{
    char to_path[PATH_MAX];
    int64_t now_us = chy_clock_realtime_us();
    if (realpath(b->plan->data, b->data) == NULL || realpath(to, to_path) == NULL)
        return chy_fail(err, CHY_E_IO, "cannot find %s or %s again", b->plan->data, to);
    if (copy_is_below(to_path, b->data))
        return chy_fail(err, CHY_E_ARG, "%s is in the data directory; name a folder elsewhere", to);
    CHY_TRY(chy_dir_open(AT_FDCWD, b->data, &b->data_fd, err));
    CHY_TRY(all_copy(b, config, to_path, err));
    CHY_TRY(manifest_make(b, now_us, err));
    CHY_TRY(left_out_find(b, &result->left_out, err));
    result->to = chy_arena_str(b->arena, chy_str_of(to_path));
    result->files = b->file_count;
    result->size_bytes = b->size_bytes;
    return result->to.p != NULL ? chy_fd_sync(b->to_fd, err) : fail_memory(err);
}

enum chy_err chy_backup(const char *config, const char *data, const char *to,
                        struct chy_arena *arena, struct chy_backup_result *ret_result,
                        struct chy_error *err)
{
    CHY_CLEANUP(chy_plan_freep) struct chy_plan *plan = NULL;
    CHY_CLEANUP(layout_new_end) struct layout_new new = { .fd = -1 };
    CHY_CLEANUP(backup_done) struct backup b = { .arena = arena, .data_fd = -1 };
    struct chy_backup_result result = { .files = 0 };
    if (config == NULL) {
        struct chy_str path = chy_arena_printf(arena, "%s/" LAYOUT_CONFIG, data);
        if (path.p == NULL)
            return fail_memory(err);
        config = path.p;
    }
    CHY_TRY(chy_plan_load(config, &plan, err));
    CHY_TRY(layout_new_begin(to, true, &new, err));
    b.plan = plan;
    b.to_fd = new.fd;
    CHY_TRY(backup_run(&b, config, to, &result, err));
    new.is_kept = true;
    *ret_result = result;
    return CHY_OK;
}

void chy_backup_print(const void *value, FILE *out)
{
    const struct chy_backup_result *r = value;
    (void)fprintf(
        out,
        "A backup of %llu files, %llu bytes, is in %s.\n"
        "It holds the keys of the software token and its PIN: guard it like the server.\n",
        (unsigned long long)r->files, (unsigned long long)r->size_bytes, r->to.p);
    for (size_t i = 0; i < r->left_out.n; i++)
        (void)fprintf(out, "%s%s\n",
                      i == 0 ? "Not in it, for it is outside the data directory:\n  " : "  ",
                      r->left_out.p[i].p);
    (void)fprintf(out, "To use it: chanceryd restore --from %s --data NEWDIR\n", r->to.p);
}
