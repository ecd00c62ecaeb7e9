/* SPDX-License-Identifier: MIT */
#include "client/log_source.h"

#include "base/limits.h"
#include "os/file.h"
#include "tlog/checkpoint.h"
#include "tlog/note.h"

/* A bundle of 256 entries of the longest kind, each behind two bytes. */
#define BUNDLE_MAX ((size_t)CHY_TLOG_TILE_WIDTH * (CHY_LIMIT_ENTRY + 2))
/* Entries asked for at once: the answer must stay below CHY_LIMIT_JSON with entries of 4 KiB. */
#define PAGE    128
#define DETAILS "details/"
#define TILES   "tile/"
#define ENTRIES "tile/entries/"

enum chy_err chy_log_path(const struct chy_tlog_tile *tile, bool is_detail,
                          char path[CHY_LOG_PATH_BYTES], struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LOG_PATH_BYTES);
    if (is_detail)
        chy_buf_append_c(&text, DETAILS);
    size_t start = text.n;
    chy_tlog_tile_path(&text, tile);
    chy_buf_append_u8(&text, 0);
    CHY_TRY(chy_buf_check(&text, err));
    if (is_detail) {
        size_t skip = sizeof ENTRIES - 1;
        CHY_ASSERT(text.n - start > skip);
        memmove(text.p + start, text.p + start + skip, text.n - start - skip);
        text.n -= skip;
    }
    memcpy(path, text.p, text.n);
    return CHY_OK;
}

/* --- a folder --- */

static enum chy_err folder_read(void *ctx, const char *path, struct chy_buf *to,
                                struct chy_error *err)
{
    const struct chy_log_folder *f = ctx;
    return chy_file_read(f->fd, path, to, err);
}

struct chy_log_source chy_log_folder_source(struct chy_log_folder *folder)
{
    return (struct chy_log_source){ .ctx = folder, .read = folder_read };
}

/* --- a server --- */

static enum chy_err read_raw(struct chy_client *client, enum chy_op op, const void *request,
                             struct chy_buf *to, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, (size_t)CHY_LIMIT_RESPONSE * 2);
    struct chy_raw raw;
    CHY_TRY(chy_client_call(client, op, request, &arena, &raw, err));
    chy_buf_append(to, raw.body);
    return chy_buf_check(to, err);
}

/* The rows `first` to `first + n` of the list, the detail of each as one record of a bundle. */
static enum chy_err append_details(struct chy_client *client, uint64_t first, uint64_t n,
                                   struct chy_buf *to, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    for (uint64_t next = first; next < first + n;) {
        chy_arena_reset(&arena);
        struct chy_log_query query = { .after = next,
                                       .limit =
                                           (uint32_t)CHY_MIN(first + n - next, (uint64_t)PAGE) };
        struct chy_log_page page;
        CHY_TRY(chy_client_call(client, CHY_OP_LOG_LIST, &query, &arena, &page, err));
        for (size_t i = 0; i < page.entries.n; i++, next++) {
            if (page.entries.p[i].index != next || next == first + n)
                return chy_fail(err, CHY_E_PROTOCOL,
                                "the server's list of entries leaves some out");
            chy_tlog_bundle_add(to, page.entries.p[i].detail);
        }
        if (page.entries.n == 0)
            return chy_fail(err, CHY_E_PROTOCOL, "the server's list ends before entry %llu",
                            (unsigned long long)next);
    }
    return chy_buf_check(to, err);
}

static enum chy_err read_details(struct chy_client *client, struct chy_str rest, struct chy_buf *to,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, CHY_LOG_PATH_BYTES);
    chy_buf_append_c(&path, ENTRIES);
    chy_buf_append_str(&path, rest);
    CHY_TRY(chy_buf_check(&path, err));
    struct chy_tlog_tile tile;
    CHY_TRY(chy_tlog_tile_parse(chy_buf_str(&path), &tile, err));
    return append_details(client, tile.index * CHY_TLOG_TILE_WIDTH, tile.width, to, err);
}

/* The first `width` records of a bundle, or hashes of a tile, make the partial one. */
static enum chy_err cut_to_width(const struct chy_tlog_tile *tile, struct chy_buf *to, size_t start,
                                 struct chy_error *err)
{
    struct chy_bytes rest = { to->p + start, to->n - start };
    struct chy_bytes record;
    size_t bytes = tile->width * (size_t)CHY_HASH_BYTES;
    if (tile->level == CHY_TLOG_ENTRIES) {
        for (unsigned i = 0; i < tile->width; i++)
            CHY_TRY(chy_tlog_bundle_next(&rest, &record, err));
        bytes = to->n - start - rest.n;
    }
    if (to->n - start < bytes)
        return chy_fail(err, CHY_E_PROTOCOL, "the server's tile is cut short");
    to->n = start + bytes;
    return CHY_OK;
}

/* `path` begins with "tile/". A partial tile may be gone once the full one is there.
 * Source: c2sp.org/tlog-tiles, partial tiles. */
static enum chy_err read_tile(struct chy_client *client, const char *path, struct chy_buf *to,
                              struct chy_error *err)
{
    struct chy_tlog_tile tile;
    char full[CHY_LOG_PATH_BYTES];
    size_t start = to->n;
    CHY_TRY(chy_tlog_tile_parse(chy_str_of(path), &tile, err));
    bool is_entries = tile.level == CHY_TLOG_ENTRIES;
    enum chy_op op = is_entries ? CHY_OP_LOG_ENTRIES : CHY_OP_LOG_TILE;
    size_t skip = is_entries ? sizeof ENTRIES - 1 : sizeof TILES - 1;
    struct chy_tile_path request = { chy_str_of(path + skip) };
    enum chy_err r = read_raw(client, op, &request, to, err);
    if (r != CHY_E_NOT_FOUND || tile.width == CHY_TLOG_TILE_WIDTH)
        return r;
    struct chy_tlog_tile whole = tile;
    whole.width = CHY_TLOG_TILE_WIDTH;
    CHY_TRY(chy_log_path(&whole, false, full, err));
    request.path = chy_str_of(full + skip);
    CHY_TRY(read_raw(client, op, &request, to, err));
    return cut_to_width(&tile, to, start, err);
}

static enum chy_err server_read(void *ctx, const char *path, struct chy_buf *to,
                                struct chy_error *err)
{
    const struct chy_log_server *s = ctx;
    struct chy_str all = chy_str_of(path);
    if (chy_str_starts(all, TILES))
        return read_tile(s->client, path, to, err);
    if (chy_str_starts(all, DETAILS))
        return read_details(s->client, chy_str_of(path + sizeof DETAILS - 1), to, err);
    struct chy_empty nothing = { 0 };
    return read_raw(s->client, CHY_OP_LOG_CHECKPOINT, &nothing, to, err);
}

struct chy_log_source chy_log_server_source(struct chy_log_server *server)
{
    return (struct chy_log_source){ .ctx = server, .read = server_read };
}

/* --- copying --- */

/* Every folder on the way to `path`. */
static enum chy_err make_parents(int fd, const char *path, struct chy_error *err)
{
    char part[CHY_LOG_PATH_BYTES];
    for (size_t i = 0; path[i] != '\0'; i++) {
        if (path[i] == '/') {
            part[i] = '\0';
            enum chy_err r = chy_dir_make(fd, part, 0755, err);
            if (r != CHY_OK && r != CHY_E_EXISTS)
                return r;
        }
        part[i] = path[i];
    }
    return CHY_OK;
}

static enum chy_err copy_tile(const struct chy_log_source *from, int fd,
                              const struct chy_tlog_tile *tile, bool is_detail,
                              struct chy_log_copied *copied, struct chy_error *err)
{
    char path[CHY_LOG_PATH_BYTES];
    CHY_TRY(chy_log_path(tile, is_detail, path, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    chy_buf_init(&content, BUNDLE_MAX);
    CHY_TRY(from->read(from->ctx, path, &content, err));
    CHY_TRY(make_parents(fd, path, err));
    CHY_TRY(chy_file_replace(fd, path, chy_buf_bytes(&content), 0644, err));
    copied->files++;
    return CHY_OK;
}

static enum chy_err copy_level(const struct chy_log_source *from, int fd, unsigned level,
                               uint64_t size, bool is_detail, struct chy_log_copied *copied,
                               struct chy_error *err)
{
    for (uint64_t index = 0;; index++) {
        struct chy_tlog_tile tile = { .level = level, .index = index };
        tile.width = chy_tlog_tile_width(level, index, size);
        if (tile.width == 0)
            return CHY_OK;
        CHY_TRY(copy_tile(from, fd, &tile, is_detail, copied, err));
    }
}

enum chy_err chy_log_copy(const struct chy_log_source *from, int fd,
                          struct chy_log_copied *ret_copied, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf note;
    chy_buf_init(&note, CHY_LIMIT_NOTE);
    CHY_TRY(from->read(from->ctx, "checkpoint", &note, err));
    struct chy_str text;
    struct chy_tlog_checkpoint head;
    CHY_TRY(chy_tlog_note_text(chy_buf_bytes(&note), &text, err));
    CHY_TRY(chy_tlog_checkpoint_parse(text, &head, err));
    struct chy_log_copied copied = { .entries = head.size, .files = 1 };
    for (unsigned level = 0; level < CHY_TLOG_TILE_LEVELS; level++)
        CHY_TRY(copy_level(from, fd, level, head.size, false, &copied, err));
    CHY_TRY(copy_level(from, fd, CHY_TLOG_ENTRIES, head.size, false, &copied, err));
    CHY_TRY(copy_level(from, fd, CHY_TLOG_ENTRIES, head.size, true, &copied, err));
    CHY_TRY(chy_file_replace(fd, "checkpoint", chy_buf_bytes(&note), 0644, err));
    *ret_copied = copied;
    return CHY_OK;
}
