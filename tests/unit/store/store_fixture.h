/* SPDX-License-Identifier: MIT */
/* A folder of its own for a test, with a new store in it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "store/records.h"

struct fixture {
    char folder[64];
    char path[96];
    char other[96];
    struct chy_store *store;
    struct chy_arena arena;
    struct chy_error err;
};

static inline struct chy_bytes text_bytes(const char *s)
{
    return chy_str_bytes(chy_str_of(s));
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (f == NULL)
        return -1;
    snprintf(f->folder, sizeof f->folder, "/tmp/chancery-store-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->path, sizeof f->path, "%s/store.db", f->folder);
    snprintf(f->other, sizeof f->other, "%s/other.db", f->folder);
    chy_arena_init(&f->arena, CHY_LIMIT_ARENA);
    return chy_store_open(f->path, CHY_STORE_CREATE, &f->store, &f->err) == CHY_OK ? 0 : -1;
}

/* With what SQLite has beside it. */
static inline void store_remove(const struct fixture *f, const char *name)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(suffixes); i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s%s", f->folder, name, suffixes[i]);
        unlink(path);
    }
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    chy_store_close(f->store);
    store_remove(f, "store.db");
    store_remove(f, "other.db");
    store_remove(f, "anchor");
    rmdir(f->folder);
    chy_arena_done(&f->arena);
    free(f);
    return 0;
}

static inline void begin(struct fixture *f)
{
    assert_int_equal(chy_store_begin(f->store, &f->err), CHY_OK);
}

static inline void commit(struct fixture *f)
{
    assert_int_equal(chy_store_commit(f->store, &f->err), CHY_OK);
}
