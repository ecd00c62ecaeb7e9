/* SPDX-License-Identifier: MIT */
#include "format/reader.h"

#include "base/limits.h"

void format_reader_init(struct format_reader *r, const struct chy_format_source *source)
{
    r->source = source;
    r->budget = CHY_LIMIT_FORMAT_READ;
    r->at = 0;
    r->n = 0;
    r->result = CHY_OK;
}

enum chy_err chy_format_read_memory(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                                    struct chy_error *err)
{
    const struct chy_bytes *bytes = ctx;
    (void)err;
    *ret_n = 0;
    if (offset >= bytes->n)
        return CHY_OK;
    *ret_n = CHY_MIN(n, bytes->n - (size_t)offset);
    chy_copy(to, bytes->p + offset, *ret_n);
    return CHY_OK;
}

static bool is_in_window(const struct format_reader *r, uint64_t offset, size_t n)
{
    return offset >= r->at && offset - r->at <= r->n && n <= r->n - (offset - r->at);
}

/* As much as the window holds: what follows is mostly wanted next. */
static bool fill(struct format_reader *r, uint64_t offset)
{
    size_t want = (size_t)CHY_MIN((uint64_t)FORMAT_WINDOW, r->source->size_bytes - offset);
    r->n = 0;
    r->at = offset;
    if (want > r->budget) {
        r->result = chy_fail(&r->error, CHY_E_LIMIT,
                             "more than %d bytes would have to be read to say what this file is",
                             CHY_LIMIT_FORMAT_READ);
        return false;
    }
    r->budget -= want;
    size_t n = 0;
    r->result = r->source->read(r->source->ctx, offset, r->window, want, &n, &r->error);
    if (r->result != CHY_OK)
        return false;
    r->n = CHY_MIN(n, want);
    return true;
}

bool format_at(struct format_reader *r, uint64_t offset, size_t n, struct chy_bytes *ret_bytes)
{
    if (r->result != CHY_OK || n > FORMAT_WINDOW || !format_holds(r, offset, n))
        return false;
    if (!is_in_window(r, offset, n) && (!fill(r, offset) || r->n < n))
        return false;
    *ret_bytes = (struct chy_bytes){ r->window + (offset - r->at), n };
    return true;
}

bool format_has(struct format_reader *r, uint64_t offset, struct chy_str text)
{
    struct chy_bytes b;
    return format_at(r, offset, text.n, &b) && chy_bytes_equal(b, chy_str_bytes(text));
}

/* --- numbers --- */

static uint64_t number(struct format_reader *r, uint64_t offset, size_t n, bool is_big)
{
    struct chy_bytes b;
    uint64_t v = 0;
    if (!format_at(r, offset, n, &b))
        return 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | b.p[is_big ? i : n - 1 - i];
    return v;
}

uint8_t format_u8(struct format_reader *r, uint64_t offset)
{
    return (uint8_t)number(r, offset, 1, false);
}

uint16_t format_u16le(struct format_reader *r, uint64_t offset)
{
    return (uint16_t)number(r, offset, 2, false);
}

uint32_t format_u32le(struct format_reader *r, uint64_t offset)
{
    return (uint32_t)number(r, offset, 4, false);
}

uint64_t format_u64le(struct format_reader *r, uint64_t offset)
{
    return number(r, offset, 8, false);
}

uint32_t format_u32be(struct format_reader *r, uint64_t offset)
{
    return (uint32_t)number(r, offset, 4, true);
}

/* --- looking for a text --- */

/* The last place of `text`. Each place is looked at once, so that a hostile file gains nothing by
 * repeating the text. */
static const uint8_t *find_last_in(struct chy_bytes in, struct chy_str text)
{
    for (size_t i = in.n - text.n + 1; i > 0; i--)
        if (chy_bytes_equal((struct chy_bytes){ in.p + i - 1, text.n }, chy_str_bytes(text)))
            return in.p + i - 1;
    return NULL;
}

static uint64_t end_of(const struct format_reader *r, uint64_t offset, uint64_t n)
{
    return offset + CHY_MIN(n, r->source->size_bytes - offset);
}

/* Parts overlap by the text's length less one, so that none hides a text. */
bool format_find(struct format_reader *r, uint64_t offset, uint64_t n, struct chy_str text,
                 uint64_t *ret_offset)
{
    if (offset > r->source->size_bytes)
        return false;
    uint64_t end = end_of(r, offset, n);
    while (end - offset >= text.n) {
        struct chy_bytes part;
        size_t want = (size_t)CHY_MIN((uint64_t)FORMAT_WINDOW, end - offset);
        if (!format_at(r, offset, want, &part))
            return false;
        const uint8_t *p = memmem(part.p, part.n, text.p, text.n);
        if (p != NULL) {
            *ret_offset = offset + (uint64_t)(p - part.p);
            return true;
        }
        offset += want - (text.n - 1);
    }
    return false;
}

bool format_find_last(struct format_reader *r, uint64_t offset, uint64_t n, struct chy_str text,
                      uint64_t *ret_offset)
{
    if (offset > r->source->size_bytes)
        return false;
    uint64_t end = end_of(r, offset, n);
    while (end - offset >= text.n) {
        struct chy_bytes part;
        size_t want = (size_t)CHY_MIN((uint64_t)FORMAT_WINDOW, end - offset);
        if (!format_at(r, end - want, want, &part))
            return false;
        const uint8_t *p = find_last_in(part, text);
        if (p != NULL) {
            *ret_offset = end - want + (uint64_t)(p - part.p);
            return true;
        }
        end -= want - (text.n - 1);
    }
    return false;
}
