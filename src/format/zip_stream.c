/* SPDX-License-Identifier: MIT */
/* The records (all numbers little-endian):
 *
 *   member's head  "PK\3\4"  6 u16 flags, 8 u16 method, 14 u32 CRC, 18 u32 size in the file,
 *                            22 u32 size, 26 u16 name, 28 u16 extra, 30 name, extra, data
 *   descriptor     maybe "PK\7\10"; u32 CRC, u32 or u64 size in the file, the same for the size
 */
#include "format/zip_stream.h"

#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "format/zip_internal.h"

#define FLAGS_COMPARED \
    (ZIP_FLAG_ENCRYPTED | ZIP_FLAG_SIZES | 1 << 11 /* UTF-8 */ | 1 << 13 /* a hidden head */)
#define STORED     0
#define DEFLATED   8
#define NAME_SHOWN 80 /* bytes of a member's name in an error */

struct member {
    uint64_t place;
    uint64_t at; /* in the directory */
    struct member *next;
};

struct stream {
    struct format_reader directory;
    struct format_reader heads;
    struct zip_directory d;
    uint64_t end; /* where the last member ends */
    enum chy_zip_descriptors descriptors;
    chy_zip_piece_fn *fn;
    void *ctx;
    struct chy_error *err;
};

static enum chy_err broken(struct stream *s)
{
    return chy_fail(s->err, CHY_E_MALFORMED, "the archive does not hold together");
}

/* With the member's name. */
static enum chy_err member_fail(struct stream *s, const struct zip_entry *e, enum chy_err code,
                                const char *what)
{
    struct chy_bytes name = { NULL, 0 };
    size_t n = CHY_MIN(e->name_size, (size_t)NAME_SHOWN);
    if (!format_at(&s->directory, e->at + ZIP_ENTRY_BYTES, n, &name))
        return broken(s);
    return chy_fail(s->err, code, "%.*s%s", CHY_STR_ARG(chy_bytes_str(name)), what);
}

static enum chy_err differs(struct stream *s, const struct zip_entry *e)
{
    return member_fail(s, e, CHY_E_MALFORMED,
                       " is something else to who reads the archive from its front");
}

/* --- heads --- */

static bool is_same_name(struct stream *s, const struct zip_entry *e)
{
    uint64_t here = e->at + ZIP_ENTRY_BYTES;
    uint64_t there = e->place + ZIP_HEAD_BYTES;
    for (size_t left = e->name_size; left != 0;) {
        struct chy_bytes a;
        struct chy_bytes b;
        size_t n = CHY_MIN(left, (size_t)FORMAT_WINDOW);
        if (!format_at(&s->directory, here, n, &a) || !format_at(&s->heads, there, n, &b) ||
            !chy_bytes_equal(a, b))
            return false;
        here += n;
        there += n;
        left -= n;
    }
    return true;
}

/* Where a descriptor has them, the head has nothing, or the same. */
static bool is_same_number(const struct zip_entry *e, uint64_t head, uint64_t directory)
{
    bool is_elsewhere = (e->flags & ZIP_FLAG_SIZES) != 0;
    return head == directory || (is_elsewhere && (head == 0 || head == UINT32_MAX));
}

static bool is_same_head(struct stream *s, const struct zip_entry *e, uint64_t extra_size)
{
    struct format_reader *r = &s->heads;
    uint64_t size = format_u32le(r, e->place + 22);
    uint64_t data_size = format_u32le(r, e->place + 18);
    uint64_t *const numbers[] = { &size, &data_size };
    if (!format_has(r, e->place, CHY_STR("PK\3\4")) ||
        ((format_u16le(r, e->place + 6) ^ e->flags) & FLAGS_COMPARED) != 0 ||
        format_u16le(r, e->place + 8) != e->method ||
        !is_same_number(e, format_u32le(r, e->place + 14), e->crc) ||
        format_u16le(r, e->place + 26) != e->name_size || !is_same_name(s, e))
        return false;
    return zip_extra_64_read(r, e->place + ZIP_HEAD_BYTES + e->name_size, extra_size, numbers,
                             CHY_ARRAY_LEN(numbers)) &&
           is_same_number(e, size, e->full_size) && is_same_number(e, data_size, e->data_size);
}

/* --- descriptors --- */

/* It has `n` bytes, or there is none. */
static bool is_same_descriptor(struct stream *s, const struct zip_entry *e, uint64_t at, uint64_t n)
{
    struct format_reader *r = &s->heads;
    if ((e->flags & ZIP_FLAG_SIZES) == 0)
        return n == 0;
    bool is_marked = n == 16 || n == 24;
    bool is_big = n == 20 || n == 24;
    bool must_be_big = e->data_size > UINT32_MAX || e->full_size > UINT32_MAX;
    if ((!is_marked && n != 12 && n != 20) || format_has(r, at, CHY_STR("PK\7\10")) != is_marked)
        return false;
    if (s->descriptors == CHY_ZIP_DESCRIPTORS_JAVA &&
        (is_big != must_be_big || e->method != DEFLATED))
        return false;
    at += is_marked ? 4 : 0;
    return format_u32le(r, at) == e->crc && (is_big ? format_u64le(r, at + 4) == e->data_size &&
                                                          format_u64le(r, at + 12) == e->full_size
                                                    : format_u32le(r, at + 4) == e->data_size &&
                                                          format_u32le(r, at + 8) == e->full_size);
}

/* --- all of them --- */

/* `end` is where the next one begins. */
static enum chy_err member_check(struct stream *s, const struct zip_entry *e, uint64_t end)
{
    if ((e->flags & ZIP_FLAG_ENCRYPTED) != 0 || (e->method != STORED && e->method != DEFLATED))
        return member_fail(s, e, CHY_E_UNSUPPORTED, " is encrypted, or compressed in an odd way");
    uint64_t extra_size = format_u16le(&s->heads, e->place + 28);
    uint64_t data = e->place + ZIP_HEAD_BYTES + e->name_size + extra_size;
    if (!is_same_head(s, e, extra_size) || data > end || e->data_size > end - data ||
        (e->method == STORED && e->data_size != e->full_size) ||
        !is_same_descriptor(s, e, data + e->data_size, end - data - e->data_size))
        return differs(s, e);
    const struct chy_zip_piece piece = {
        .data = { data, e->data_size },
        .full_size = e->full_size,
        .crc = e->crc,
        .is_deflated = e->method == DEFLATED,
    };
    return s->fn(s->ctx, &piece, s->err);
}

static enum chy_err members_read(struct stream *s, struct member *members)
{
    uint64_t at = s->d.at;
    for (uint64_t i = 0; i < s->d.n; i++) {
        struct zip_entry e;
        if (!zip_entry_read(&s->directory, &s->d, at, &e))
            return broken(s);
        members[i] = (struct member){ e.place, at, i + 1 < s->d.n ? &members[i + 1] : NULL };
        at += e.size;
    }
    return at == s->d.at + s->d.size ? CHY_OK : broken(s);
}

static int place_compare(const struct member *a, const struct member *b)
{
    return (a->place > b->place) - (a->place < b->place);
}

/* By place. qsort() asks the system, which a sandbox refuses. */
/* NOLINTNEXTLINE(readability-function-size): utlist's macro */
static struct member *sorted(struct member *list)
{
    LL_SORT(list, place_compare);
    return list;
}

/* Each begins where the one before it ends, and the first where the file does. */
static enum chy_err members_check(struct stream *s, const struct member *first)
{
    uint64_t begin = first != NULL ? first->place : s->end;
    if (begin != 0)
        return chy_fail(s->err, CHY_E_MALFORMED, "%llu bytes are in front of its first member",
                        (unsigned long long)begin);
    for (const struct member *m = first; m != NULL; m = m->next) {
        struct zip_entry e;
        if (!zip_entry_read(&s->directory, &s->d, m->at, &e))
            return broken(s);
        CHY_TRY(member_check(s, &e, m->next != NULL ? m->next->place : s->end));
    }
    return CHY_OK;
}

/* What looks for the next head, and does not stop at what is none, finds none in the block. */
static bool find_end(struct stream *s)
{
    uint64_t head;
    return zip_signing_block(&s->heads, s->d.at, &s->end) &&
           !format_find(&s->heads, s->end, s->d.at - s->end, CHY_STR("PK\3\4"), &head);
}

static enum chy_err stream_check(struct stream *s)
{
    if (!zip_find_directory(&s->directory, &s->d) || !find_end(s))
        return broken(s);
    if (s->d.size > CHY_LIMIT_FORMAT_READ)
        return chy_fail(s->err, CHY_E_LIMIT, "a directory of %llu bytes, %d are the most",
                        (unsigned long long)s->d.size, CHY_LIMIT_FORMAT_READ);
    if (s->d.n > s->d.size / ZIP_ENTRY_BYTES)
        return broken(s);
    CHY_CLEANUP(chy_freep) struct member *members = chy_new_array(struct member, s->d.n + 1);
    if (members == NULL)
        return chy_fail(s->err, CHY_E_NOMEM, "no memory for the members of an archive");
    CHY_TRY(members_read(s, members));
    return members_check(s, sorted(s->d.n != 0 ? members : NULL));
}

enum chy_err chy_zip_stream_check(const struct chy_format_source *source,
                                  enum chy_zip_descriptors descriptors, chy_zip_piece_fn *fn,
                                  void *ctx, struct chy_error *err)
{
    struct stream s = { .descriptors = descriptors, .fn = fn, .ctx = ctx, .err = err };
    format_reader_init(&s.directory, source);
    format_reader_init(&s.heads, source);
    /* The directory has a bounded number of heads, and each of them is read twice. */
    s.heads.budget = UINT64_MAX;
    s.directory.budget = UINT64_MAX;
    enum chy_err r = stream_check(&s);
    /* What was not read looks broken. */
    if (s.directory.result != CHY_OK)
        return chy_fail(err, s.directory.result, "%s", s.directory.error.text);
    if (s.heads.result != CHY_OK)
        return chy_fail(err, s.heads.result, "%s", s.heads.error.text);
    return r;
}
