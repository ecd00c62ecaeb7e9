/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/tree.h"
#include "supervisor/backup.h"
#include "supervisor/config.h"
#include "supervisor/copy.h"
#include "supervisor/layout.h"
#include "supervisor/manifest.h"
#include "supervisor/plan.h"

#define CONF_BYTES 65536 /* softhsm2.conf has some 200 */
#define TOKENDIR   "directories.tokendir"

#define S struct chy_restore_result
static const struct chy_field result_fields[] = {
    CHY_F_STR(S, data, 0, 0, CHY_LIMIT_PATH, "the new data directory"),
    CHY_F_STR(S, config, 0, 0, CHY_LIMIT_PATH, "its configuration file"),
    CHY_F_STR(S, start, 0, 0, UINT64_C(2) * CHY_LIMIT_PATH, "the command that starts the server"),
    CHY_F_U64(S, files, 0, 0, INT64_MAX, "files restored"),
    CHY_F_TIME(S, created, 0, "when the backup was made"),
    CHY_F_STR(S, problem, 0, 0, CHY_LIMIT_TEXT, "what must be put right before the server starts"),
};
#undef S
const struct chy_schema chy_restore_result_schema =
    CHY_SCHEMA("Restored", struct chy_restore_result, result_fields, "What was restored.");

struct restore {
    struct chy_arena *arena;
    struct manifest manifest;
    int from_fd;
    int data_fd;
    char data[PATH_MAX]; /* absolute, without links */
    struct chy_buf yaml; /* the configuration with the new data directory */
    struct chy_config config;
};

static void restore_done(struct restore *r)
{
    chy_fd_closep(&r->from_fd);
    chy_buf_done(&r->yaml);
}

static enum chy_err fail_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "out of memory for a restore");
}

/* --- texts that name the data directory --- */

/* The next line of `rest` with its end, which is cut off there. */
static struct chy_str line_take(struct chy_str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '\n')
        n++;
    n += n < rest->n ? 1 : 0;
    struct chy_str line = { rest->p, n };
    *rest = (struct chy_str){ rest->p + n, rest->n - n };
    return line;
}

/* All stays as its owner wrote it, comments too, but the one line with the data directory. */
static enum chy_err config_adjust(struct restore *r, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf old;
    const struct chy_doc *doc;
    chy_buf_init(&old, CHY_LIMIT_YAML);
    CHY_TRY(chy_file_read(r->from_fd, LAYOUT_CONFIG, &old, err));
    CHY_TRY(chy_yaml_parse(chy_buf_bytes(&old), r->arena, &doc, err));
    const struct chy_doc *data = chy_doc_get(doc, "data");
    struct chy_str rest = chy_buf_str(&old);
    for (uint32_t line = 1; rest.n > 0; line++) {
        struct chy_str text = line_take(&rest);
        if (data == NULL || line != data->line) {
            chy_buf_append_str(&r->yaml, text);
            continue;
        }
        chy_buf_append_c(&r->yaml, "data: ");
        chy_json_write_text(&r->yaml, chy_str_of(r->data)); /* YAML reads JSON's strings */
        chy_buf_append_c(&r->yaml, "\n");
    }
    CHY_TRY(chy_buf_check(&r->yaml, err));
    CHY_TRY(chy_config_parse(chy_buf_bytes(&r->yaml), r->arena, &r->config, err));
    if (!chy_str_equal_c(r->config.data, r->data))
        return chy_fail(err, CHY_E_MALFORMED,
                        "the backup's " LAYOUT_CONFIG " does not say `data: DIR` on one line");
    return CHY_OK;
}

/* SoftHSM wants an absolute path in its own file. */
static enum chy_err softhsm_adjust(struct restore *r, const struct chy_config_token *token,
                                   struct chy_error *err)
{
    char folder[LAYOUT_TOKEN_BYTES];
    char path[LAYOUT_TOKEN_BYTES + sizeof CHY_TOKEN_SOFTHSM_FILE + 1];
    CHY_TRY(layout_token(token->name, folder, err));
    (void)snprintf(path, sizeof path, "%s/" CHY_TOKEN_SOFTHSM_FILE, folder);
    if (manifest_find(&r->manifest, chy_str_of(path)) == NULL)
        return CHY_OK;
    CHY_CLEANUP(chy_buf_done) struct chy_buf old;
    chy_buf_init(&old, CONF_BYTES);
    CHY_CLEANUP(chy_buf_done) struct chy_buf new;
    chy_buf_init(&new, CONF_BYTES);
    CHY_TRY(chy_file_read(r->data_fd, path, &old, err));
    struct chy_str rest = chy_buf_str(&old);
    while (rest.n > 0) {
        struct chy_str line = line_take(&rest);
        if (chy_str_starts(line, TOKENDIR))
            chy_buf_printf(&new, TOKENDIR " = %s/%s/tokens\n", r->data, folder);
        else
            chy_buf_append_str(&new, line);
    }
    CHY_TRY(chy_buf_check(&new, err));
    return chy_file_replace(r->data_fd, path, chy_buf_bytes(&new), 0600, err);
}

/* --- the whole --- */

static enum chy_err files_copy(struct restore *r, struct chy_error *err)
{
    for (size_t i = 0; i < r->manifest.files.n; i++) {
        const char *path = chy_arena_str(r->arena, r->manifest.files.p[i].path).p;
        if (path == NULL)
            return fail_memory(err);
        if (strcmp(path, LAYOUT_CONFIG) != 0)
            CHY_TRY(copy_file(r->from_fd, path, r->data_fd, path, err));
    }
    for (size_t i = 0; i < r->config.tokens.n; i++)
        CHY_TRY(softhsm_adjust(r, &r->config.tokens.p[i], err));
    return CHY_OK;
}

/* What was read is what the manifest lists, also if somebody changed the backup meanwhile. */
static enum chy_err copies_verify(struct restore *r, struct chy_error *err)
{
    for (size_t i = 0; i < r->manifest.files.n; i++) {
        const struct manifest_file *listed = &r->manifest.files.p[i];
        const char *path = chy_arena_str(r->arena, listed->path).p;
        struct manifest_file now;
        if (path == NULL)
            return fail_memory(err);
        if (strcmp(path, LAYOUT_CONFIG) == 0 || strstr(path, CHY_TOKEN_SOFTHSM_FILE) != NULL)
            continue; /* these were adjusted */
        CHY_TRY(manifest_hash(r->data_fd, path, &now, err));
        if (!chy_bytes_equal((struct chy_bytes){ now.sha256, CHY_HASH_BYTES },
                             (struct chy_bytes){ listed->sha256, CHY_HASH_BYTES }))
            return chy_fail(err, CHY_E_INTEGRITY, "%s changed while it was restored", path);
    }
    return CHY_OK;
}

static enum chy_err data_fill(struct restore *r, struct chy_error *err)
{
    CHY_TRY(config_adjust(r, err));
    CHY_TRY(layout_make(r->data_fd, &r->config, err));
    CHY_TRY(files_copy(r, err));
    CHY_TRY(copies_verify(r, err));
    CHY_TRY(layout_own(r->data_fd, &r->config, err));
    /* Last: a folder with a configuration is a whole one. */
    return chy_file_create(r->data_fd, LAYOUT_CONFIG, chy_buf_bytes(&r->yaml), 0600, err);
}

/* The new machine may lack what is outside the data directory: that is told, and no reason to give
 * up. */
static enum chy_err result_make(struct restore *r, struct chy_restore_result *result,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_plan_freep) struct chy_plan *plan = NULL;
    struct chy_error problem;
    result->data = chy_arena_str(r->arena, chy_str_of(r->data));
    result->config = chy_arena_printf(r->arena, "%s/" LAYOUT_CONFIG, r->data);
    result->start = chy_arena_printf(r->arena, "chanceryd --config %s/" LAYOUT_CONFIG, r->data);
    result->files = r->manifest.files.n;
    result->created_us = r->manifest.created_us;
    if (result->data.p == NULL || result->config.p == NULL || result->start.p == NULL)
        return fail_memory(err);
    if (chy_plan_load(result->config.p, &plan, &problem) == CHY_OK)
        return CHY_OK;
    result->problem = chy_arena_str(r->arena, chy_str_of(problem.text));
    return result->problem.p != NULL ? CHY_OK : fail_memory(err);
}

static enum chy_err restore_run(struct restore *r, const char *data,
                                struct chy_restore_result *result, struct chy_error *err)
{
    CHY_CLEANUP(layout_new_end) struct layout_new new = { .fd = -1 };
    CHY_TRY(layout_new_begin(data, false, &new, err));
    r->data_fd = new.fd;
    if (realpath(data, r->data) == NULL)
        return chy_fail(err, CHY_E_IO, "cannot find %s again", data);
    CHY_TRY(data_fill(r, err));
    CHY_TRY(chy_fd_sync(r->data_fd, err));
    CHY_TRY(result_make(r, result, err));
    new.is_kept = true;
    return CHY_OK;
}

enum chy_err chy_restore(const char *from, const char *data, struct chy_arena *arena,
                         struct chy_restore_result *ret_result, struct chy_error *err)
{
    CHY_CLEANUP(restore_done) struct restore r = { .arena = arena, .from_fd = -1 };
    struct chy_restore_result result = { .files = 0 };
    chy_buf_init(&r.yaml, CHY_LIMIT_YAML);
    CHY_TRY(chy_dir_open(AT_FDCWD, from, &r.from_fd, err));
    CHY_TRY(manifest_read(r.from_fd, arena, &r.manifest, err));
    CHY_TRY(manifest_verify(r.from_fd, &r.manifest, err));
    CHY_TRY(restore_run(&r, data, &result, err));
    *ret_result = result;
    return CHY_OK;
}

void chy_restore_print(const void *value, FILE *out)
{
    const struct chy_restore_result *r = value;
    (void)fprintf(out, "%llu files were checked and restored to %s.\n",
                  (unsigned long long)r->files, r->data.p);
    if (r->problem.n > 0)
        (void)fprintf(out, "Before the server starts, put this right:\n  %s\n", r->problem.p);
    (void)fprintf(out,
                  "Never run two servers from one backup: their logs would contradict each other.\n"
                  "Start it: %s\n",
                  r->start.p);
}
