/* SPDX-License-Identifier: MIT */
#include "supervisor/manifest.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "doc/doc.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_stream.h"
#include "os/tree.h"

#define S struct manifest_file
static const struct chy_field file_fields[] = {
    CHY_F_STR(S, path, CHY_REQUIRED, 1, CHY_LIMIT_PATH, "below the folder of the backup"),
    CHY_F_U64(S, size_bytes, 0, 0, INT64_MAX, "its length"),
    CHY_F_HASH(S, sha256, CHY_REQUIRED, "SHA-256 of its content"),
};
#undef S
const struct chy_schema manifest_file_schema =
    CHY_SCHEMA("BackupFile", struct manifest_file, file_fields, "One file of a backup.");

#define S struct manifest
static const struct chy_field manifest_fields[] = {
    CHY_F_U32(S, format, CHY_REQUIRED, 1, UINT32_MAX, "of the backup"),
    CHY_F_STR(S, version, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "of the program that wrote it"),
    CHY_F_TIME(S, created, CHY_REQUIRED, "when the backup was begun"),
    CHY_F_LIST(S, files, &manifest_file_schema, struct manifest_file, CHY_REQUIRED, 1,
               CHY_LIMIT_BACKUP_FILES, "every file but this one"),
};
#undef S
const struct chy_schema manifest_schema =
    CHY_SCHEMA("Backup", struct manifest, manifest_fields, "What a backup holds.");

enum chy_err manifest_write(int dir_fd, const struct manifest *m, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_JSON);
    CHY_TRY(chy_json_write(&manifest_schema, m, 2, &text, err));
    chy_buf_append_c(&text, "\n");
    CHY_TRY(chy_buf_check(&text, err));
    return chy_file_create(dir_fd, MANIFEST_NAME, chy_buf_bytes(&text), 0600, err);
}

/* Relative, and every part a plain name: it cannot lead out of the folder. */
static bool path_is_inside(struct chy_str path)
{
    while (path.n > 0) {
        size_t n = 0;
        while (n < path.n && path.p[n] != '/')
            n++;
        struct chy_str part = { path.p, n };
        if (n == 0 || n == path.n - 1 || chy_str_equal_c(part, ".") || chy_str_equal_c(part, ".."))
            return false;
        n += n < path.n ? 1 : 0;
        path = (struct chy_str){ path.p + n, path.n - n };
    }
    return true;
}

static enum chy_err paths_check(const struct manifest *m, struct chy_error *err)
{
    for (size_t i = 0; i < m->files.n; i++) {
        struct chy_str path = m->files.p[i].path;
        if (!path_is_inside(path))
            return chy_fail(err, CHY_E_MALFORMED,
                            "the manifest names \"%.*s\", which is no file "
                            "below its folder",
                            CHY_STR_ARG(path));
        if (i > 0 && chy_str_compare(m->files.p[i - 1].path, path) >= 0)
            return chy_fail(err, CHY_E_MALFORMED, "the manifest is not in order at \"%.*s\"",
                            CHY_STR_ARG(path));
    }
    return CHY_OK;
}

static enum chy_err manifest_parse(struct chy_bytes text, struct chy_arena *arena,
                                   struct manifest *ret_manifest, struct chy_error *err)
{
    const struct chy_doc *doc;
    CHY_TRY(chy_json_parse(text, arena, &doc, err));
    /* Before the rest, which a later format may have otherwise. */
    const struct chy_doc *format = chy_doc_get(doc, "format");
    if (format != NULL && format->kind == CHY_DOC_INTEGER && format->integer > MANIFEST_FORMAT)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "the backup has format %lld, this program knows up to %d",
                        (long long)format->integer, MANIFEST_FORMAT);
    CHY_TRY(chy_doc_read(&manifest_schema, doc, arena, ret_manifest, err));
    CHY_TRY(chy_schema_check(&manifest_schema, ret_manifest, err));
    return paths_check(ret_manifest, err);
}

enum chy_err manifest_read(int dir_fd, struct chy_arena *arena, struct manifest *ret_manifest,
                           struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_JSON);
    CHY_TRY(chy_file_read(dir_fd, MANIFEST_NAME, &text, err));
    struct chy_bytes copy = chy_arena_bytes(arena, chy_buf_bytes(&text));
    if (copy.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a manifest");
    enum chy_err r = manifest_parse(copy, arena, ret_manifest, err);
    return r == CHY_OK ? r : chy_error_prefix(err, r, MANIFEST_NAME);
}

enum chy_err manifest_hash(int dir_fd, const char *path, struct manifest_file *ret_file,
                           struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &hasher, err));
    CHY_TRY(chy_file_open_read(dir_fd, path, &fd, err));
    uint64_t done = 0;
    for (;;) {
        uint8_t block[8192];
        size_t n;
        CHY_TRY(chy_fd_read(fd, block, sizeof block, &n, err));
        if (n == 0)
            break;
        chy_hasher_add(hasher, (struct chy_bytes){ block, n });
        done += n;
    }
    ret_file->path = chy_str_of(path);
    ret_file->size_bytes = done;
    chy_hasher_end(hasher, ret_file->sha256);
    return CHY_OK;
}

static int path_order(const void *key, const void *file)
{
    return chy_str_compare(*(const struct chy_str *)key,
                           ((const struct manifest_file *)file)->path);
}

const struct manifest_file *manifest_find(const struct manifest *m, struct chy_str path)
{
    return m->files.n == 0 ? NULL
                           : bsearch(&path, m->files.p, m->files.n, sizeof *m->files.p, path_order);
}

struct verifying {
    const struct manifest *manifest;
    size_t found;
};

static enum chy_err on_entry(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                             struct chy_error *err)
{
    struct verifying *v = ctx;
    struct chy_str path = chy_str_of(entry->path);
    if (entry->kind == CHY_TREE_DIR || chy_str_equal_c(path, MANIFEST_NAME))
        return CHY_OK;
    const struct manifest_file *listed =
        entry->kind == CHY_TREE_FILE ? manifest_find(v->manifest, path) : NULL;
    if (listed == NULL)
        return chy_fail(err, CHY_E_INTEGRITY,
                        "the backup holds %s, which its manifest does not list", entry->path);
    struct manifest_file now;
    CHY_TRY(manifest_hash(dir_fd, entry->path, &now, err));
    if (now.size_bytes != listed->size_bytes ||
        !chy_bytes_equal((struct chy_bytes){ now.sha256, CHY_HASH_BYTES },
                         (struct chy_bytes){ listed->sha256, CHY_HASH_BYTES }))
        return chy_fail(err, CHY_E_INTEGRITY, "%s is not what the backup's manifest lists",
                        entry->path);
    v->found++;
    return CHY_OK;
}

enum chy_err manifest_verify(int dir_fd, const struct manifest *m, struct chy_error *err)
{
    struct verifying v = { m, 0 };
    CHY_TRY(chy_tree_walk(dir_fd, ".", on_entry, &v, err));
    if (v.found != m->files.n)
        return chy_fail(err, CHY_E_INTEGRITY, "the backup lists %zu files and has %zu of them",
                        m->files.n, v.found);
    return CHY_OK;
}
