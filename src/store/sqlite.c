/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/store.h"

/* A store of another program must not be taken for ours: "CHRY". */
#define APPLICATION_ID 0x43485259
/* Frames in the write-ahead log before maintain() folds them back: 4,000 pages are 16 MB. */
#define WAL_FRAMES_MAX  4000
#define BUSY_TIMEOUT_MS 5000

enum statement {
    ST_BEGIN_WRITE,
    ST_BEGIN_READ,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_LOG_SIZE,
    ST_LOG_APPEND,
    ST_LOG_GET,
    ST_LOG_WALK,
    ST_LOG_WALK_BACK,
    ST_TILE_PUT,
    ST_TILE_GET,
    ST_PUT,
    ST_GET,
    ST_DELETE,
    ST_WALK,
    ST_COUNT_,
};

static const char *const statements[ST_COUNT_] = {
    [ST_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [ST_BEGIN_READ] = "BEGIN",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_LOG_SIZE] = "SELECT coalesce(max(idx) + 1, 0) FROM leaf",
    [ST_LOG_APPEND] = "INSERT INTO leaf (idx, entry, detail) VALUES (?1, ?2, ?3)",
    [ST_LOG_GET] = "SELECT entry, detail FROM leaf WHERE idx = ?1",
    [ST_LOG_WALK] = "SELECT idx, entry, detail FROM leaf WHERE idx >= ?1 ORDER BY idx LIMIT ?2",
    [ST_LOG_WALK_BACK] =
        "SELECT idx, entry, detail FROM leaf WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2",
    [ST_TILE_PUT] = "INSERT OR REPLACE INTO tile (level, idx, hashes) VALUES (?1, ?2, ?3)",
    [ST_TILE_GET] = "SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2",
    [ST_PUT] = "INSERT OR REPLACE INTO object (kind, name, body) VALUES (?1, ?2, ?3)",
    [ST_GET] = "SELECT body FROM object WHERE kind = ?1 AND name = ?2",
    [ST_DELETE] = "DELETE FROM object WHERE kind = ?1 AND name = ?2",
    [ST_WALK] = "SELECT name, body FROM object WHERE kind = ?1 AND name > ?2 ORDER BY name",
};

/* Migration n brings a store from version n to n + 1. Never change one that was released:
 * append. */
static const char *const migrations[] = {
    "CREATE TABLE leaf (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, detail BLOB);"
    "CREATE TABLE tile (level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL,"
    "                   PRIMARY KEY (level, idx)) WITHOUT ROWID;"
    "CREATE TABLE object (kind INTEGER NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,"
    "                     PRIMARY KEY (kind, name)) WITHOUT ROWID;",
};
#define STORE_VERSION ((int)CHY_ARRAY_LEN(migrations))

struct chy_store {
    sqlite3 *db;
    enum chy_store_mode mode;
    bool in_transaction;
    int wal_frames; /* pages in the write-ahead log after the last commit */
    uint64_t
        next_index; /* inside a writing transaction: what chy_store_log_append() must be given */
    sqlite3_stmt *stmts[ST_COUNT_];
};

/* --- small things --- */

static enum chy_err fail_db(struct chy_store *s, const char *what, struct chy_error *err)
{
    int code = sqlite3_extended_errcode(s->db);
    return chy_fail_sys(err, CHY_E_STORE, code, "%s: %s", what, sqlite3_errmsg(s->db));
}

static enum chy_err exec(struct chy_store *s, const char *sql, struct chy_error *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail_db(s, "the store refused a command", err);
    return CHY_OK;
}

/* A prepared statement, reset; made at its first use. */
static enum chy_err statement_get(struct chy_store *s, enum statement which, sqlite3_stmt **ret,
                                  struct chy_error *err)
{
    if (s->stmts[which] == NULL &&
        sqlite3_prepare_v3(s->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &s->stmts[which], NULL) != SQLITE_OK)
        return fail_db(s, "the store refused a statement", err);
    sqlite3_reset(s->stmts[which]);
    *ret = s->stmts[which];
    return CHY_OK;
}

/* Statements must not stay open: an open read holds the write-ahead log. */
static void statement_reset(sqlite3_stmt **st)
{
    if (*st != NULL)
        sqlite3_reset(*st);
}

static void bind_bytes(sqlite3_stmt *st, int at, struct chy_bytes b)
{
    /* A failed bind shows as a failed step: NOT NULL columns and lengths catch it. The static
     * binding is safe because every statement is stepped before its caller returns. */
    CHY_IGNORE(
        sqlite3_bind_blob64(st, at, b.p != NULL ? (const void *)b.p : "", b.n, SQLITE_STATIC));
}

static void bind_name(sqlite3_stmt *st, int at, struct chy_str s)
{
    CHY_IGNORE(
        sqlite3_bind_text64(st, at, s.p != NULL ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8));
}

static struct chy_bytes column_bytes(sqlite3_stmt *st, int at)
{
    const void *p = sqlite3_column_blob(st, at);
    return (struct chy_bytes){ p, (size_t)sqlite3_column_bytes(st, at) };
}

static enum chy_err step_done(struct chy_store *s, enum statement which, const char *what,
                              struct chy_error *err)
{
    int rc = sqlite3_step(s->stmts[which]);
    enum chy_err r = rc == SQLITE_DONE ? CHY_OK : fail_db(s, what, err);
    sqlite3_reset(s->stmts[which]);
    return r;
}

static enum chy_err need_transaction(const struct chy_store *s, struct chy_error *err)
{
    if (!s->in_transaction || s->mode == CHY_STORE_READ)
        return chy_fail(err, CHY_E_STATE, "the store is changed only within a writing transaction");
    return CHY_OK;
}

/* --- open and close --- */

static enum chy_err pragma_int(struct chy_store *s, const char *sql, int *ret,
                               struct chy_error *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        return fail_db(s, "the store cannot be read", err);
    enum chy_err r = CHY_OK;
    if (sqlite3_step(st) == SQLITE_ROW)
        *ret = sqlite3_column_int(st, 0);
    else
        r = fail_db(s, "the store cannot be read", err);
    sqlite3_finalize(st);
    return r;
}

static enum chy_err migrate(struct chy_store *s, int from, struct chy_error *err)
{
    for (int v = from; v < STORE_VERSION; v++) {
        char version[64];
        snprintf(version, sizeof version, "PRAGMA user_version = %d", v + 1);
        CHY_TRY(exec(s, "BEGIN IMMEDIATE", err));
        enum chy_err r = exec(s, migrations[v], err);
        if (r == CHY_OK)
            r = exec(s, version, err);
        if (r == CHY_OK)
            r = exec(s, "COMMIT", err);
        if (r != CHY_OK) {
            CHY_IGNORE(exec(s, "ROLLBACK", NULL)); /* the first error is the one to tell */
            return r;
        }
    }
    return CHY_OK;
}

static enum chy_err check_version(struct chy_store *s, struct chy_error *err)
{
    int app = 0;
    int version = 0;
    CHY_TRY(pragma_int(s, "PRAGMA application_id", &app, err));
    CHY_TRY(pragma_int(s, "PRAGMA user_version", &version, err));
    if (app != APPLICATION_ID)
        return chy_fail(err, CHY_E_STORE, "the file is no Chancery store");
    if (version > STORE_VERSION)
        return chy_fail(
            err, CHY_E_UNSUPPORTED,
            "the store has version %d, this program knows up to %d; use a newer chanceryd", version,
            STORE_VERSION);
    if (version == STORE_VERSION)
        return CHY_OK;
    if (s->mode == CHY_STORE_READ)
        return chy_fail(err, CHY_E_STATE, "the store has version %d and waits to be brought to %d",
                        version, STORE_VERSION);
    return migrate(s, version, err);
}

static int note_wal_frames(void *ctx, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    ((struct chy_store *)ctx)->wal_frames = frames;
    return SQLITE_OK;
}

/* After fsync(2) has failed, the kernel shows pages that the disk does not have and holds them for
 * clean: no later fsync(2) writes them. Such a page in the middle of the write-ahead file, and all
 * that is committed behind it is gone after a power cut. So whoever begins to write trusts none of
 * it: the file is folded into the store, whose pages are thereby written anew, and begins anew. */
static enum chy_err fold_all(struct chy_store *s, struct chy_error *err)
{
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc == SQLITE_BUSY)
        return chy_fail(err, CHY_E_STORE,
                        "another process has been reading the store for %d ms (a backup?), so it "
                        "cannot be opened for writing",
                        BUSY_TIMEOUT_MS);
    if (rc != SQLITE_OK)
        return fail_db(s, "the write-ahead log could not be folded back", err);
    return CHY_OK;
}

static enum chy_err set_up(struct chy_store *s, struct chy_error *err)
{
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    /* Nothing in the file may make SQLite run code: no triggers or views with functions of ours. */
    CHY_TRY(exec(s, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", err));
    if (s->mode == CHY_STORE_READ)
        return check_version(s, err);
    if (s->mode == CHY_STORE_CREATE)
        CHY_TRY(exec(s, "PRAGMA application_id = " CHY_STRINGIFY(APPLICATION_ID), err));
    /* What is deleted is overwritten; SQLite does not keep this in the file. */
    CHY_TRY(exec(s, "PRAGMA secure_delete = ON", err));
    /* FULL: a commit is on the disk when it returns. maintain() checkpoints between batches,
     * because SQLite's own checkpoints fall into somebody's latency. */
    CHY_TRY(
        exec(s,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
             "PRAGMA foreign_keys = ON",
             err));
    sqlite3_wal_hook(s->db, note_wal_frames, s);
    CHY_TRY(check_version(s, err));
    return fold_all(s, err);
}

enum chy_err chy_store_open(const char *path, enum chy_store_mode mode,
                            struct chy_store **ret_store, struct chy_error *err)
{
    bool is_there = access(path, F_OK) == 0;
    if (mode == CHY_STORE_CREATE && is_there)
        return chy_fail(err, CHY_E_EXISTS, "there is a store at %s already", path);
    if (mode != CHY_STORE_CREATE && !is_there)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no store at %s", path);

    CHY_CLEANUP(chy_store_closep) struct chy_store *s = chy_new(struct chy_store);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the store");
    s->mode = mode;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW;
    flags |= mode == CHY_STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    flags |= mode == CHY_STORE_CREATE ? SQLITE_OPEN_CREATE : 0;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
        if (s->db == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for the store");
        return fail_db(s, path, err);
    }
    CHY_TRY(set_up(s, err));
    *ret_store = CHY_TAKE(s);
    return CHY_OK;
}

void chy_store_close(struct chy_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < ST_COUNT_; i++)
        sqlite3_finalize(s->stmts[i]);
    sqlite3_close(s->db);
    chy_free(s);
}

void chy_store_closep(struct chy_store **s)
{
    chy_store_close(*s);
    *s = NULL;
}

/* --- transactions --- */

enum chy_err chy_store_begin(struct chy_store *s, struct chy_error *err)
{
    if (s->in_transaction)
        return chy_fail(err, CHY_E_STATE, "a transaction within a transaction");
    enum statement which = s->mode == CHY_STORE_READ ? ST_BEGIN_READ : ST_BEGIN_WRITE;
    sqlite3_stmt *st;
    CHY_TRY(statement_get(s, which, &st, err));
    CHY_TRY(step_done(s, which, "no transaction could begin", err));
    s->in_transaction = true;
    if (s->mode == CHY_STORE_READ)
        return CHY_OK;
    enum chy_err r = chy_store_log_size(s, &s->next_index, err);
    if (r != CHY_OK)
        chy_store_abort(s);
    return r;
}

enum chy_err chy_store_commit(struct chy_store *s, struct chy_error *err)
{
    CHY_TRY(need_transaction(s, err));
    sqlite3_stmt *st;
    CHY_TRY(statement_get(s, ST_COMMIT, &st, err));
    CHY_TRY(step_done(s, ST_COMMIT, "the log and the store could not be written", err));
    s->in_transaction = false;
    return CHY_OK;
}

void chy_store_abort(struct chy_store *s)
{
    sqlite3_stmt *st;
    if (!s->in_transaction)
        return;
    s->in_transaction = false;
    if (statement_get(s, ST_ROLLBACK, &st, NULL) == CHY_OK)
        /* After an I/O error SQLite may have rolled back by itself; there is nothing more to do. */
        CHY_IGNORE(step_done(s, ST_ROLLBACK, "", NULL));
}

/* --- the log --- */

enum chy_err chy_store_log_size(struct chy_store *s, uint64_t *ret_size, struct chy_error *err)
{
    CHY_CLEANUP(statement_reset) sqlite3_stmt *st = NULL;
    CHY_TRY(statement_get(s, ST_LOG_SIZE, &st, err));
    if (sqlite3_step(st) != SQLITE_ROW)
        return fail_db(s, "the log's size cannot be read", err);
    *ret_size = (uint64_t)sqlite3_column_int64(st, 0);
    return CHY_OK;
}

enum chy_err chy_store_log_append(struct chy_store *s, uint64_t index, struct chy_bytes entry,
                                  struct chy_bytes detail, struct chy_error *err)
{
    CHY_TRY(need_transaction(s, err));
    if (entry.n > CHY_LIMIT_ENTRY || detail.n > CHY_LIMIT_ENTRY)
        return chy_fail(err, CHY_E_LIMIT,
                        "a log entry of %zu and %zu bytes, at most %d are allowed", entry.n,
                        detail.n, CHY_LIMIT_ENTRY);
    if (index != s->next_index)
        return chy_fail(err, CHY_E_CONFLICT, "log entry %llu is not the next one, %llu is",
                        (unsigned long long)index, (unsigned long long)s->next_index);
    sqlite3_stmt *st;
    CHY_TRY(statement_get(s, ST_LOG_APPEND, &st, err));
    CHY_IGNORE(sqlite3_bind_int64(st, 1, (sqlite3_int64)index)); /* see bind_bytes() */
    bind_bytes(st, 2, entry);
    if (detail.n == 0)
        CHY_IGNORE(sqlite3_bind_null(st, 3)); /* see bind_bytes() */
    else
        bind_bytes(st, 3, detail);
    CHY_TRY(step_done(s, ST_LOG_APPEND, "the log could not be written", err));
    s->next_index = index + 1;
    return CHY_OK;
}

enum chy_err chy_store_log_get(struct chy_store *s, uint64_t index, struct chy_arena *arena,
                               struct chy_bytes *ret_entry, struct chy_bytes *ret_detail,
                               struct chy_error *err)
{
    CHY_CLEANUP(statement_reset) sqlite3_stmt *st = NULL;
    CHY_TRY(statement_get(s, ST_LOG_GET, &st, err));
    CHY_IGNORE(sqlite3_bind_int64(st, 1, (sqlite3_int64)index)); /* a failed bind finds nothing */
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return chy_fail(err, CHY_E_NOT_FOUND, "the log has no entry %llu",
                        (unsigned long long)index);
    if (rc != SQLITE_ROW)
        return fail_db(s, "the log cannot be read", err);
    struct chy_bytes entry = chy_arena_bytes(arena, column_bytes(st, 0));
    struct chy_bytes detail = chy_arena_bytes(arena, column_bytes(st, 1));
    if (entry.p == NULL || detail.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a log entry");
    *ret_entry = entry;
    if (ret_detail != NULL)
        *ret_detail = detail;
    return CHY_OK;
}

static enum chy_err leaves_walk(struct chy_store *s, enum statement which, uint64_t from,
                                uint64_t count, chy_store_leaf_fn *fn, void *ctx,
                                struct chy_error *err)
{
    CHY_CLEANUP(statement_reset) sqlite3_stmt *st = NULL;
    CHY_TRY(statement_get(s, which, &st, err));
    CHY_IGNORE(sqlite3_bind_int64(st, 1, (sqlite3_int64)from)); /* a failed bind finds nothing */
    CHY_IGNORE(sqlite3_bind_int64(st, 2, (sqlite3_int64)CHY_MIN(count, (uint64_t)INT64_MAX)));
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        enum chy_err r = fn(ctx, (uint64_t)sqlite3_column_int64(st, 0), column_bytes(st, 1),
                            column_bytes(st, 2), err);
        if (r != CHY_OK)
            return r == CHY_E_EXISTS ? CHY_OK : r;
    }
    return rc == SQLITE_DONE ? CHY_OK : fail_db(s, "the log cannot be read", err);
}

enum chy_err chy_store_log_walk(struct chy_store *s, uint64_t from, uint64_t count,
                                chy_store_leaf_fn *fn, void *ctx, struct chy_error *err)
{
    if (from > INT64_MAX)
        return CHY_OK;
    return leaves_walk(s, ST_LOG_WALK, from, count, fn, ctx, err);
}

enum chy_err chy_store_log_walk_back(struct chy_store *s, uint64_t before, uint64_t count,
                                     chy_store_leaf_fn *fn, void *ctx, struct chy_error *err)
{
    return leaves_walk(s, ST_LOG_WALK_BACK, CHY_MIN(before, (uint64_t)INT64_MAX), count, fn, ctx,
                       err);
}

enum chy_err chy_store_tile_put(struct chy_store *s, unsigned level, uint64_t index,
                                struct chy_bytes hashes, struct chy_error *err)
{
    CHY_TRY(need_transaction(s, err));
    if (hashes.n != CHY_STORE_TILE_BYTES)
        return chy_fail(err, CHY_E_ARG, "a tile of %zu bytes, expected %d", hashes.n,
                        CHY_STORE_TILE_BYTES);
    sqlite3_stmt *st;
    CHY_TRY(statement_get(s, ST_TILE_PUT, &st, err));
    CHY_IGNORE(sqlite3_bind_int(st, 1, (int)level)); /* see bind_bytes() */
    CHY_IGNORE(sqlite3_bind_int64(st, 2, (sqlite3_int64)index));
    bind_bytes(st, 3, hashes);
    return step_done(s, ST_TILE_PUT, "a tile could not be written", err);
}

enum chy_err chy_store_tile_get(struct chy_store *s, unsigned level, uint64_t index,
                                uint8_t ret_hashes[CHY_STORE_TILE_BYTES], struct chy_error *err)
{
    CHY_CLEANUP(statement_reset) sqlite3_stmt *st = NULL;
    CHY_TRY(statement_get(s, ST_TILE_GET, &st, err));
    CHY_IGNORE(sqlite3_bind_int(st, 1, (int)level)); /* a failed bind finds nothing */
    CHY_IGNORE(sqlite3_bind_int64(st, 2, (sqlite3_int64)index));
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return chy_fail(err, CHY_E_NOT_FOUND, "the log has no full tile %llu at level %u",
                        (unsigned long long)index, level);
    if (rc != SQLITE_ROW)
        return fail_db(s, "a tile cannot be read", err);
    struct chy_bytes b = column_bytes(st, 0);
    if (b.n != CHY_STORE_TILE_BYTES)
        return chy_fail(err, CHY_E_INTEGRITY, "tile %llu at level %u has %zu bytes",
                        (unsigned long long)index, level, b.n);
    memcpy(ret_hashes, b.p, b.n);
    return CHY_OK;
}

/* --- objects --- */

static enum chy_err object_bind(struct chy_store *s, enum statement which,
                                enum chy_object_kind kind, struct chy_str name,
                                sqlite3_stmt **ret_st, struct chy_error *err)
{
    CHY_TRY(statement_get(s, which, ret_st, err));
    CHY_IGNORE(sqlite3_bind_int(*ret_st, 1, (int)kind)); /* see bind_bytes() */
    bind_name(*ret_st, 2, name);
    return CHY_OK;
}

enum chy_err chy_store_put(struct chy_store *s, enum chy_object_kind kind, struct chy_str name,
                           struct chy_bytes body, struct chy_error *err)
{
    CHY_TRY(need_transaction(s, err));
    sqlite3_stmt *st;
    CHY_TRY(object_bind(s, ST_PUT, kind, name, &st, err));
    bind_bytes(st, 3, body);
    return step_done(s, ST_PUT, "an object could not be written", err);
}

enum chy_err chy_store_get(struct chy_store *s, enum chy_object_kind kind, struct chy_str name,
                           struct chy_arena *arena, struct chy_bytes *ret_body,
                           struct chy_error *err)
{
    CHY_CLEANUP(statement_reset) sqlite3_stmt *st = NULL;
    CHY_TRY(object_bind(s, ST_GET, kind, name, &st, err));
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no \"%.*s\"", CHY_STR_ARG(name));
    if (rc != SQLITE_ROW)
        return fail_db(s, "an object cannot be read", err);
    struct chy_bytes body = chy_arena_bytes(arena, column_bytes(st, 0));
    if (body.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for \"%.*s\"", CHY_STR_ARG(name));
    *ret_body = body;
    return CHY_OK;
}

enum chy_err chy_store_delete(struct chy_store *s, enum chy_object_kind kind, struct chy_str name,
                              struct chy_error *err)
{
    CHY_TRY(need_transaction(s, err));
    sqlite3_stmt *st;
    CHY_TRY(object_bind(s, ST_DELETE, kind, name, &st, err));
    CHY_TRY(step_done(s, ST_DELETE, "an object could not be removed", err));
    if (sqlite3_changes(s->db) == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no \"%.*s\"", CHY_STR_ARG(name));
    return CHY_OK;
}

enum chy_err chy_store_walk(struct chy_store *s, enum chy_object_kind kind, struct chy_str after,
                            chy_store_object_fn *fn, void *ctx, struct chy_error *err)
{
    CHY_CLEANUP(statement_reset) sqlite3_stmt *st = NULL;
    CHY_TRY(object_bind(s, ST_WALK, kind, after, &st, err)); /* no name is empty */
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        enum chy_err r = fn(ctx, chy_bytes_str(column_bytes(st, 0)), column_bytes(st, 1), err);
        if (r != CHY_OK)
            return r == CHY_E_EXISTS ? CHY_OK : r;
    }
    return rc == SQLITE_DONE ? CHY_OK : fail_db(s, "objects cannot be read", err);
}

/* --- upkeep --- */

enum chy_err chy_store_copy(struct chy_store *s, const char *path, struct chy_error *err)
{
    if (access(path, F_OK) == 0)
        return chy_fail(err, CHY_E_EXISTS, "there is a file at %s already", path);
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, "VACUUM INTO ?1", -1, &st, NULL) != SQLITE_OK)
        return fail_db(s, "the store cannot be copied", err);
    bind_name(st, 1, chy_str_of(path));
    int rc = sqlite3_step(st);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? CHY_OK : fail_db(s, "the store cannot be copied", err);
}

enum chy_err chy_store_maintain(struct chy_store *s, struct chy_error *err)
{
    if (s->in_transaction || s->mode == CHY_STORE_READ)
        return chy_fail(err, CHY_E_STATE, "upkeep is for a writer between transactions");
    if (s->wal_frames < WAL_FRAMES_MAX)
        return CHY_OK;
    /* PASSIVE waits for no reader: what they hold back is folded the next time. */
    if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK)
        return fail_db(s, "the write-ahead log could not be folded back", err);
    s->wal_frames = 0;
    return CHY_OK;
}
