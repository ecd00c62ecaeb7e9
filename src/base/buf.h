/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a maximum that is set when it is made. Not for secrets. Not shared.
 *
 * The appending functions answer false when the maximum would be passed or memory is out, and leave
 * the buffer marked as failed: every later append answers false too, so that a run of appends may
 * be checked once, by chy_buf_check(). Pointers into it live until the next append. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max; /* bytes */
    bool is_over;
    bool is_out_of_memory;
};

void chy_buf_init(struct chy_buf *b, size_t max_bytes);
void chy_buf_done(struct chy_buf *b);  /* leaves it zeroed */
void chy_buf_clear(struct chy_buf *b); /* keeps memory and maximum, forgets a failure */

/* Room for `n` more bytes, returned as a place to write to; NULL as above. Count what was written
 * with chy_buf_added(). */
uint8_t *chy_buf_room(struct chy_buf *b, size_t n);
void chy_buf_added(struct chy_buf *b, size_t n);

bool chy_buf_append(struct chy_buf *b, struct chy_bytes bytes);
bool chy_buf_append_str(struct chy_buf *b, struct chy_str s);
bool chy_buf_append_c(struct chy_buf *b, const char *cstr);
bool chy_buf_append_u8(struct chy_buf *b, uint8_t v);
/* Big-endian. */
bool chy_buf_append_u16(struct chy_buf *b, uint16_t v);
bool chy_buf_append_u32(struct chy_buf *b, uint32_t v);
bool chy_buf_append_u64(struct chy_buf *b, uint64_t v);
CHY_PRINTF(2, 3) bool chy_buf_printf(struct chy_buf *b, const char *fmt, ...);
/* Drop the first `n` bytes (all, if there are fewer). */
void chy_buf_consume(struct chy_buf *b, size_t n);

/* CHY_OK; CHY_E_LIMIT or CHY_E_NOMEM after a failed append. */
CHY_MUST_USE enum chy_err chy_buf_check(const struct chy_buf *b, struct chy_error *err);

static inline struct chy_bytes chy_buf_bytes(const struct chy_buf *b)
{
    return (struct chy_bytes){ b->p, b->n };
}

static inline struct chy_str chy_buf_str(const struct chy_buf *b)
{
    return (struct chy_str){ (const char *)b->p, b->n };
}
