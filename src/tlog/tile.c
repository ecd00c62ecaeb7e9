/* SPDX-License-Identifier: MIT */
#include "tlog/tile.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/limits.h"

#define INDEX_PARTS_MAX 7 /* of three digits: 2^63 / 256 has 17 digits */

bool chy_tlog_tile_path(struct chy_buf *out, const struct chy_tlog_tile *tile)
{
    if (tile->level == CHY_TLOG_ENTRIES)
        CHY_IGNORE(chy_buf_append_c(out, "tile/entries")); /* the buffer remembers a failure */
    else
        CHY_IGNORE(chy_buf_printf(out, "tile/%u", tile->level));
    unsigned parts[INDEX_PARTS_MAX];
    size_t n = 0;
    uint64_t index = tile->index;
    do {
        parts[n++] = (unsigned)(index % 1000);
        index /= 1000;
    } while (index > 0);
    while (n > 0) {
        n--;
        CHY_IGNORE(chy_buf_printf(out, n > 0 ? "/x%03u" : "/%03u", parts[n]));
    }
    if (tile->width < CHY_TLOG_TILE_WIDTH)
        CHY_IGNORE(chy_buf_printf(out, ".p/%u", tile->width));
    return chy_buf_check(out, NULL) == CHY_OK;
}

/* Drop `prefix` from the front of `s`; false if it is not there. */
static bool text_skip(struct chy_str *s, const char *prefix)
{
    if (!chy_str_starts(*s, prefix))
        return false;
    size_t n = strlen(prefix);
    s->p += n;
    s->n -= n;
    return true;
}

/* Take exactly `n` digits off `s`. */
static bool digits_take(struct chy_str *s, size_t n, unsigned *ret_v)
{
    if (s->n < n)
        return false;
    unsigned v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s->p[i] - '0');
    }
    s->p += n;
    s->n -= n;
    *ret_v = v;
    return true;
}

static bool level_take(struct chy_str *s, unsigned *ret_level)
{
    if (text_skip(s, "entries")) {
        *ret_level = CHY_TLOG_ENTRIES;
        return true;
    }
    return digits_take(s, 1, ret_level) && *ret_level < CHY_TLOG_TILE_LEVELS;
}

/* A leading "x000" would be a second name of the same tile. */
static bool index_take(struct chy_str *s, uint64_t *ret_index)
{
    uint64_t index = 0;
    for (size_t parts = 0; parts < INDEX_PARTS_MAX; parts++) {
        bool is_last = !text_skip(s, "x");
        unsigned part = 0;
        if (!digits_take(s, 3, &part) || (!is_last && parts == 0 && part == 0))
            return false;
        if (__builtin_mul_overflow(index, 1000, &index) ||
            __builtin_add_overflow(index, part, &index))
            return false;
        if (is_last) {
            *ret_index = index;
            return true;
        }
        if (!text_skip(s, "/"))
            return false;
    }
    return false;
}

/* "" or ".p/<1..255>" */
static bool width_take(struct chy_str *s, unsigned *ret_width)
{
    if (s->n == 0) {
        *ret_width = CHY_TLOG_TILE_WIDTH;
        return true;
    }
    return text_skip(s, ".p/") && s->n > 0 && s->n <= 3 && s->p[0] != '0' &&
           digits_take(s, s->n, ret_width) && *ret_width < CHY_TLOG_TILE_WIDTH;
}

enum chy_err chy_tlog_tile_parse(struct chy_str path, struct chy_tlog_tile *ret_tile,
                                 struct chy_error *err)
{
    struct chy_tlog_tile tile = { 0 };
    struct chy_str s = path;
    if (!text_skip(&s, "tile/") || !level_take(&s, &tile.level) || !text_skip(&s, "/") ||
        !index_take(&s, &tile.index) || !width_take(&s, &tile.width))
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is not the path of a tile",
                        CHY_STR_ARG(path));
    if (chy_tlog_tile_width(tile.level, tile.index, CHY_LIMIT_LOG_SIZE) < tile.width)
        return chy_fail(err, CHY_E_MALFORMED, "no log is so long that it has tile \"%.*s\"",
                        CHY_STR_ARG(path));
    *ret_tile = tile;
    return CHY_OK;
}

unsigned chy_tlog_tile_width(unsigned level, uint64_t index, uint64_t size)
{
    unsigned shift = level == CHY_TLOG_ENTRIES ? 0 : level * CHY_TLOG_TILE_HEIGHT;
    uint64_t hashes = size >> shift;
    if (index < hashes / CHY_TLOG_TILE_WIDTH)
        return CHY_TLOG_TILE_WIDTH;
    return index == hashes / CHY_TLOG_TILE_WIDTH ? (unsigned)(hashes % CHY_TLOG_TILE_WIDTH) : 0;
}

bool chy_tlog_bundle_add(struct chy_buf *out, struct chy_bytes entry)
{
    if (entry.n > CHY_LIMIT_ENTRY)
        return false;
    return chy_buf_append_u16(out, (uint16_t)entry.n) && chy_buf_append(out, entry);
}

enum chy_err chy_tlog_bundle_next(struct chy_bytes *bundle, struct chy_bytes *ret_entry,
                                  struct chy_error *err)
{
    if (bundle->n < 2)
        return chy_fail(err, CHY_E_MALFORMED, "an entry bundle ends within a length");
    size_t n = (size_t)bundle->p[0] << 8 | bundle->p[1];
    if (n > bundle->n - 2)
        return chy_fail(err, CHY_E_MALFORMED, "an entry of %zu bytes, the bundle has only %zu more",
                        n, bundle->n - 2);
    *ret_entry = (struct chy_bytes){ bundle->p + 2, n };
    bundle->p += 2 + n;
    bundle->n -= 2 + n;
    return CHY_OK;
}
