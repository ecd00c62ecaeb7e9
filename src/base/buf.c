/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void chy_buf_init(struct chy_buf *b, size_t max_bytes)
{
    *b = (struct chy_buf){ .max = max_bytes };
}

void chy_buf_done(struct chy_buf *b)
{
    chy_free(b->p);
    *b = (struct chy_buf){ 0 };
}

void chy_buf_clear(struct chy_buf *b)
{
    b->n = 0;
    b->is_over = false;
    b->is_out_of_memory = false;
}

uint8_t *chy_buf_room(struct chy_buf *b, size_t n)
{
    if (b->is_over || b->is_out_of_memory)
        return NULL;
    if (n > b->max || b->n > b->max - n) {
        b->is_over = true;
        return NULL;
    }
    size_t need = b->n + n;
    if (need > b->cap || b->p == NULL) {
        size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;
        cap = CHY_MAX(cap, need);
        if (cap < 64)
            cap = CHY_MIN((size_t)64, b->max);
        uint8_t *p = chy_realloc(b->p, cap);
        if (p == NULL) {
            b->is_out_of_memory = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

void chy_buf_added(struct chy_buf *b, size_t n)
{
    CHY_ASSERT(n <= b->cap - b->n);
    b->n += n;
}

bool chy_buf_append(struct chy_buf *b, struct chy_bytes bytes)
{
    uint8_t *to = chy_buf_room(b, bytes.n);
    if (to == NULL)
        return false;
    chy_copy(to, bytes.p, bytes.n);
    b->n += bytes.n;
    return true;
}

bool chy_buf_append_str(struct chy_buf *b, struct chy_str s)
{
    return chy_buf_append(b, chy_str_bytes(s));
}

bool chy_buf_append_c(struct chy_buf *b, const char *cstr)
{
    return chy_buf_append_str(b, chy_str_of(cstr));
}

static bool append_be(struct chy_buf *b, uint64_t v, size_t width)
{
    uint8_t be[8];
    for (size_t i = 0; i < width; i++)
        be[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    return chy_buf_append(b, (struct chy_bytes){ be, width });
}

bool chy_buf_append_u8(struct chy_buf *b, uint8_t v)
{
    return append_be(b, v, 1);
}

bool chy_buf_append_u16(struct chy_buf *b, uint16_t v)
{
    return append_be(b, v, 2);
}

bool chy_buf_append_u32(struct chy_buf *b, uint32_t v)
{
    return append_be(b, v, 4);
}

bool chy_buf_append_u64(struct chy_buf *b, uint64_t v)
{
    return append_be(b, v, 8);
}

bool chy_buf_printf(struct chy_buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->is_over = true;
        return false;
    }
    if ((size_t)n < sizeof small)
        return chy_buf_append(b, (struct chy_bytes){ (uint8_t *)small, (size_t)n });
    uint8_t *to = chy_buf_room(b, (size_t)n + 1); /* vsnprintf writes a NUL, not counted below */
    if (to == NULL)
        return false;
    va_start(ap, fmt);
    n = vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)CHY_MAX(n, 0);
    return true;
}

void chy_buf_consume(struct chy_buf *b, size_t n)
{
    n = CHY_MIN(n, b->n);
    if (n != 0 && n < b->n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

enum chy_err chy_buf_check(const struct chy_buf *b, struct chy_error *err)
{
    if (b->is_out_of_memory)
        return chy_fail(err, CHY_E_NOMEM, "out of memory while a buffer grew");
    if (b->is_over)
        return chy_fail(err, CHY_E_LIMIT, "a buffer would grow past its limit of %zu bytes",
                        b->max);
    return CHY_OK;
}
