/* SPDX-License-Identifier: MIT */
/* The records, with what is read or changed in each (all numbers little-endian):
 *
 *   member's head "PK\3\4"  6 u16 flags, 8 u16 method, 26 u16 name, 28 u16 extra, 30 name
 *   directory     "PK\1\2"  8 u16 flags, 10 u16 method, 20 u32 size in the file, 24 u32 size,
 *                           28 u16 name, 30 u16 extra, 32 u16 comment, 42 u32 place, 46 name
 *   end of 64     "PK\6\6"  24 and 32 u64 entries, 40 u64 bytes, 48 u64 place of the directory
 *   locator       "PK\6\7"  8 u64 place of the end of 64
 *   end           "PK\5\6"  8 and 10 u16 entries, 12 u32 bytes, 16 u32 place of the directory
 */
#include "format/zip_member.h"

#include "base/limits.h"
#include "format/zip_internal.h"

struct taking {
    struct format_reader r;
    struct zip_directory d;
    struct chy_str name;
    struct zip_entry member;
    bool is_found;
    uint64_t last; /* where the head of the last member of the others is */
    struct chy_buf *behind;
    struct chy_error *err;
};

static enum chy_err broken(struct taking *t)
{
    return chy_fail(t->err, CHY_E_MALFORMED, "the archive does not hold together");
}

static bool is_called(struct taking *t, uint64_t name_at, size_t n)
{
    return n == t->name.n && format_has(&t->r, name_at, t->name);
}

/* As it stands, in what the reader gives at once. */
static bool keep(struct taking *t, uint64_t at, uint64_t size)
{
    while (size != 0) {
        struct chy_bytes part;
        size_t n = (size_t)CHY_MIN(size, (uint64_t)FORMAT_WINDOW);
        if (!format_at(&t->r, at, n, &part) || !chy_buf_append(t->behind, part))
            return false;
        at += n;
        size -= n;
    }
    return true;
}

static enum chy_err entry_take(struct taking *t, const struct zip_entry *e)
{
    if (is_called(t, e->at + ZIP_ENTRY_BYTES, e->name_size)) {
        if (t->is_found)
            return chy_fail(t->err, CHY_E_MALFORMED, "the archive has two of %.*s",
                            CHY_STR_ARG(t->name));
        t->is_found = true;
        t->member = *e;
        return CHY_OK;
    }
    t->last = CHY_MAX(t->last, e->place);
    return keep(t, e->at, e->size) ? CHY_OK : broken(t);
}

static enum chy_err directory_take(struct taking *t)
{
    uint64_t at = t->d.at;
    struct zip_entry e;
    for (uint64_t i = 0; i < t->d.n; i++) {
        if (!zip_entry_read(&t->r, &t->d, at, &e))
            return broken(t);
        CHY_TRY(entry_take(t, &e));
        at += e.size;
    }
    if (at != t->d.at + t->d.size)
        return broken(t);
    return t->is_found
               ? CHY_OK
               : chy_fail(t->err, CHY_E_NOT_FOUND, "the archive has no %.*s", CHY_STR_ARG(t->name));
}

/* It must be what stands between the others and the directory, so that nothing else reads it as a
 * part of itself. */
static enum chy_err member_check(struct taking *t, struct chy_zip_member *ret)
{
    struct format_reader *r = &t->r;
    const struct zip_entry *e = &t->member;
    if (t->last >= e->place)
        return chy_fail(t->err, CHY_E_UNSUPPORTED, "%.*s is not the last in the archive",
                        CHY_STR_ARG(t->name));
    uint64_t name_size = format_u16le(r, e->place + 26);
    uint64_t data = e->place + ZIP_HEAD_BYTES + name_size + format_u16le(r, e->place + 28);
    if (!format_has(r, e->place, CHY_STR("PK\3\4")) ||
        !is_called(t, e->place + ZIP_HEAD_BYTES, (size_t)name_size) ||
        format_u16le(r, e->place + 6) != e->flags || format_u16le(r, e->place + 8) != e->method ||
        data > t->d.at || e->data_size > t->d.at - data)
        return broken(t);
    if ((e->flags & ZIP_FLAG_ENCRYPTED) != 0)
        return chy_fail(t->err, CHY_E_UNSUPPORTED, "%.*s is encrypted", CHY_STR_ARG(t->name));
    uint64_t rest = t->d.at - data - e->data_size;
    bool is_sizes = (e->flags & ZIP_FLAG_SIZES) != 0 && rest >= 12 && rest <= 24 && rest % 4 == 0;
    if (rest != 0 && !is_sizes)
        return chy_fail(t->err, CHY_E_UNSUPPORTED, "%.*s is not the last in the archive",
                        CHY_STR_ARG(t->name));
    ret->before = (struct chy_format_range){ 0, e->place };
    ret->data = (struct chy_format_range){ data, e->data_size };
    ret->is_plain = e->method == 0 && rest == 0 && e->full_size == e->data_size;
    return CHY_OK;
}

/* --- the end records, as they were --- */

static void le_put(uint8_t *to, size_t bytes, uint64_t v)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

/* A number that a record of 64 bits has is all ones here, and stays so. */
static void le_change(uint8_t *to, size_t bytes, uint64_t v)
{
    bool is_elsewhere = true;
    for (size_t i = 0; i < bytes; i++)
        is_elsewhere = is_elsewhere && to[i] == 0xff;
    if (!is_elsewhere)
        le_put(to, bytes, v);
}

/* All that follows the directory, with its number of entries, its size and its place as they were.
 */
static enum chy_err ends_take(struct taking *t)
{
    uint64_t first = t->d.end_64 != 0 ? t->d.end_64 : t->d.end;
    uint64_t size = t->d.size - t->member.size;
    uint64_t n = t->d.n - 1;
    size_t at = t->behind->n;
    bool is_close =
        first == t->d.at + t->d.size &&
        (t->d.end_64 == 0 || t->d.end - t->d.end_64 == ZIP_END_64_BYTES + ZIP_LOCATOR_BYTES);
    if (!is_close || !keep(t, first, t->r.source->size_bytes - first))
        return broken(t);
    uint8_t *p = t->behind->p + at;
    if (t->d.end_64 != 0) {
        le_put(p + 24, 8, n);
        le_put(p + 32, 8, n);
        le_put(p + 40, 8, size);
        le_put(p + 48, 8, t->member.place);
        le_put(p + ZIP_END_64_BYTES + 8, 8, t->member.place + size);
        p += ZIP_END_64_BYTES + ZIP_LOCATOR_BYTES;
    }
    le_change(p + 8, 2, n);
    le_change(p + 10, 2, n);
    le_change(p + 12, 4, size);
    le_change(p + 16, 4, t->member.place);
    return CHY_OK;
}

static enum chy_err take_out(struct taking *t, struct chy_zip_member *ret)
{
    struct chy_zip_member member = { .is_plain = false };
    if (!zip_find_directory(&t->r, &t->d) || t->d.n == 0)
        return broken(t);
    CHY_TRY(directory_take(t));
    CHY_TRY(member_check(t, &member));
    CHY_TRY(ends_take(t));
    member.is_big = t->d.end_64 != 0;
    *ret = member;
    return CHY_OK;
}

enum chy_err chy_zip_member_out(const struct chy_format_source *source, struct chy_str name,
                                struct chy_buf *behind, struct chy_zip_member *ret_member,
                                struct chy_error *err)
{
    struct taking t = { .name = name, .behind = behind, .err = err };
    format_reader_init(&t.r, source);
    enum chy_err r = take_out(&t, ret_member);
    /* What was not read looks broken. */
    if (t.r.result != CHY_OK)
        return chy_fail(err, t.r.result, "%s", t.r.error.text);
    CHY_TRY(chy_buf_check(behind, err));
    return r;
}
