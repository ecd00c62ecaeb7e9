/* SPDX-License-Identifier: MIT */
#include "store/anchor.h"

#include <fcntl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "os/fd.h"
#include "os/file.h"

#define MAGIC       "CHYANCH1"
#define MAGIC_BYTES 8

struct chy_anchor {
    int fd;
    uint64_t number; /* of the newest whole slot */
};

struct slot {
    uint64_t number;
    struct chy_bytes note;
};

static uint64_t be_read(const uint8_t *p, size_t width)
{
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

enum chy_err chy_anchor_open(const char *path, bool for_writing, struct chy_anchor **ret_anchor,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_anchor_closep) struct chy_anchor *a = chy_new(struct chy_anchor);
    if (a == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the anchor");
    a->fd = -1;
    if (for_writing)
        CHY_TRY(chy_file_open_anchor(AT_FDCWD, path, 0640, &a->fd, err));
    else
        CHY_TRY(chy_file_open_read(AT_FDCWD, path, &a->fd, err));
    *ret_anchor = CHY_TAKE(a);
    return CHY_OK;
}

void chy_anchor_close(struct chy_anchor *a)
{
    if (a == NULL)
        return;
    chy_fd_closep(&a->fd);
    chy_free(a);
}

void chy_anchor_closep(struct chy_anchor **a)
{
    chy_anchor_close(*a);
    *a = NULL;
}

static enum chy_err slot_sum(uint64_t number, struct chy_bytes note, uint8_t ret[CHY_HASH_BYTES],
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf b;
    chy_buf_init(&b, CHY_ANCHOR_SLOT_BYTES);
    chy_buf_append_u64(&b, number);
    chy_buf_append_u32(&b, (uint32_t)note.n);
    chy_buf_append(&b, note);
    CHY_TRY(chy_buf_check(&b, err));
    return chy_sha256(chy_buf_bytes(&b), ret, err);
}

/* CHY_E_NOT_FOUND for a slot that is not whole. */
static enum chy_err slot_parse(struct chy_bytes raw, uint64_t index, struct slot *ret,
                               struct chy_error *err)
{
    enum {
        HEAD = MAGIC_BYTES + 8 + 4 + CHY_HASH_BYTES
    };
    if (raw.n < HEAD || !chy_str_starts(chy_bytes_str(raw), MAGIC))
        return chy_fail(err, CHY_E_NOT_FOUND, "no slot");
    struct slot s = { .number = be_read(raw.p + MAGIC_BYTES, 8) };
    s.note = (struct chy_bytes){ raw.p + HEAD, (size_t)be_read(raw.p + MAGIC_BYTES + 8, 4) };
    if (s.note.n > raw.n - HEAD || s.number % 2 != index)
        return chy_fail(err, CHY_E_NOT_FOUND, "a torn slot");
    uint8_t sum[CHY_HASH_BYTES];
    CHY_TRY(slot_sum(s.number, s.note, sum, err));
    struct chy_bytes stored = { raw.p + MAGIC_BYTES + 12, sizeof sum };
    if (!chy_bytes_equal(stored, (struct chy_bytes){ sum, sizeof sum }))
        return chy_fail(err, CHY_E_NOT_FOUND, "a torn slot");
    *ret = s;
    return CHY_OK;
}

enum chy_err chy_anchor_read(struct chy_anchor *a, struct chy_arena *arena,
                             struct chy_bytes *ret_note, struct chy_error *err)
{
    const size_t size = (size_t)2 * CHY_ANCHOR_SLOT_BYTES;
    uint8_t *raw = chy_arena_alloc(arena, size, 1);
    if (raw == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the anchor");
    size_t n = 0;
    CHY_TRY(chy_file_pread(a->fd, raw, size, 0, &n, err));
    struct slot best = { 0 };
    for (uint64_t i = 0; i < 2; i++) {
        size_t at = (size_t)i * CHY_ANCHOR_SLOT_BYTES;
        size_t have = n > at ? CHY_MIN(n - at, (size_t)CHY_ANCHOR_SLOT_BYTES) : 0;
        struct slot s = { 0 };
        enum chy_err r = slot_parse((struct chy_bytes){ raw + at, have }, i, &s, err);
        if (r == CHY_OK && s.number > best.number)
            best = s;
        else if (r != CHY_OK && r != CHY_E_NOT_FOUND)
            return r;
    }
    bool is_blank = true;
    for (size_t i = 0; i < n; i++)
        is_blank = is_blank && raw[i] == 0;
    if (best.number == 0 && !is_blank)
        return chy_fail(err, CHY_E_INTEGRITY,
                        "the checkpoint file outside the store is damaged: neither slot is whole");
    a->number = best.number;
    *ret_note = best.note;
    return CHY_OK;
}

enum chy_err chy_anchor_write(struct chy_anchor *a, struct chy_bytes note, struct chy_error *err)
{
    if (note.n > CHY_ANCHOR_NOTE_BYTES)
        return chy_fail(err, CHY_E_LIMIT, "a checkpoint of %zu bytes, at most %d fit the anchor",
                        note.n, CHY_ANCHOR_NOTE_BYTES);
    uint64_t number = a->number + 1;
    uint8_t sum[CHY_HASH_BYTES];
    CHY_TRY(slot_sum(number, note, sum, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf b;
    chy_buf_init(&b, CHY_ANCHOR_SLOT_BYTES);
    chy_buf_append_c(&b, MAGIC);
    chy_buf_append_u64(&b, number);
    chy_buf_append_u32(&b, (uint32_t)note.n);
    chy_buf_append(&b, (struct chy_bytes){ sum, sizeof sum });
    chy_buf_append(&b, note);
    CHY_TRY(chy_buf_check(&b, err));
    CHY_TRY(
        chy_file_pwrite_sync(a->fd, chy_buf_bytes(&b), number % 2 * CHY_ANCHOR_SLOT_BYTES, err));
    a->number = number;
    return CHY_OK;
}
