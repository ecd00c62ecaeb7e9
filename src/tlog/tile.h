/* SPDX-License-Identifier: MIT */
/* Tiles: how a log is cut into files that never change. Hash j of tile n at level L is node
 * (8 * L, 256 * n + j) of the tree; the entries themselves are in bundles of 256.
 *
 *   tile/<L>/<N>[.p/<W>]       W hashes of 32 bytes; L 0..7 here; a full tile has no .p/<W>
 *   tile/entries/<N>[.p/<W>]   W times: u16 big-endian length | entry
 *   <N>                        three digits a part, all parts but the last with an x: x001/x234/067
 *
 * Pure. Source: c2sp.org/tlog-tiles. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf;

#define CHY_TLOG_TILE_WIDTH  256u /* hashes of a full tile, entries of a full bundle */
#define CHY_TLOG_TILE_HEIGHT 8    /* levels of the tree that a tile holds */
#define CHY_TLOG_TILE_LEVELS 8    /* 256^8 is more entries than can be counted */
#define CHY_TLOG_TILE_BYTES  (CHY_TLOG_TILE_WIDTH * CHY_HASH_BYTES)
#define CHY_TLOG_ENTRIES     CHY_TLOG_TILE_LEVELS /* stands for the level of an entry bundle */

struct chy_tlog_tile {
    unsigned level; /* 0..7, or CHY_TLOG_ENTRIES */
    uint64_t index;
    unsigned width; /* 1..256; 256 is a full tile */
};

/* The path below the log's prefix. False as chy_buf_append(). */
bool chy_tlog_tile_path(struct chy_buf *out, const struct chy_tlog_tile *tile);

/* Errors: CHY_E_MALFORMED  not a path in its one canonical form, or of a tile that no log has */
CHY_MUST_USE enum chy_err chy_tlog_tile_parse(struct chy_str path, struct chy_tlog_tile *ret_tile,
                                              struct chy_error *err);

/* How much of tile `index` at `level` a log of `size` entries fills: 0 (there is no such tile) to
 * 256. CHY_TLOG_ENTRIES answers as level 0. */
unsigned chy_tlog_tile_width(unsigned level, uint64_t index, uint64_t size);

/* One entry at the end of a bundle. False as chy_buf_append(), and for more than CHY_LIMIT_ENTRY
 * bytes. */
bool chy_tlog_bundle_add(struct chy_buf *out, struct chy_bytes entry);
/* Take the next entry off a bundle.
 * Errors: CHY_E_MALFORMED  the bundle ends within an entry, or there is none */
CHY_MUST_USE enum chy_err chy_tlog_bundle_next(struct chy_bytes *bundle,
                                               struct chy_bytes *ret_entry, struct chy_error *err);
