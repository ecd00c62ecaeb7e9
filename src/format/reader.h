/* SPDX-License-Identifier: MIT */
/* Reads at offsets, counted. What cannot be read (past the end, past the budget, an error of the
 * source) answers false and reads as zero; an error stays, and is told once at the end. Private to
 * src/format. */
#pragma once

#include "format/format.h"

#define FORMAT_WINDOW 4096 /* bytes that can be had at once */

struct format_reader {
    const struct chy_format_source *source;
    uint64_t budget; /* bytes that may still be read */
    uint64_t at;     /* of the window */
    size_t n;
    enum chy_err result; /* of the source, or CHY_E_LIMIT */
    struct chy_error error;
    uint8_t window[FORMAT_WINDOW];
};

void format_reader_init(struct format_reader *r, const struct chy_format_source *source);

/* `n` bytes (up to FORMAT_WINDOW) at `offset`, borrowed until the next read. */
bool format_at(struct format_reader *r, uint64_t offset, size_t n, struct chy_bytes *ret_bytes);
/* Whether `text` stands there. */
bool format_has(struct format_reader *r, uint64_t offset, struct chy_str text);
/* Numbers; 0 where there is none. */
uint8_t format_u8(struct format_reader *r, uint64_t offset);
uint16_t format_u16le(struct format_reader *r, uint64_t offset);
uint32_t format_u32le(struct format_reader *r, uint64_t offset);
uint64_t format_u64le(struct format_reader *r, uint64_t offset);
uint32_t format_u32be(struct format_reader *r, uint64_t offset);

/* Whether `n` bytes at `offset` lie within the file. */
static inline bool format_holds(const struct format_reader *r, uint64_t offset, uint64_t n)
{
    return offset <= r->source->size_bytes && n <= r->source->size_bytes - offset;
}

/* Look for `text` (not empty) in the `n` bytes from `offset` on, cut at the file's end: the first
 * place or the last. */
bool format_find(struct format_reader *r, uint64_t offset, uint64_t n, struct chy_str text,
                 uint64_t *ret_offset);
bool format_find_last(struct format_reader *r, uint64_t offset, uint64_t n, struct chy_str text,
                      uint64_t *ret_offset);
