/* SPDX-License-Identifier: MIT */
/* An archive whose members are what its heads say (format/zip_stream.h), to the last byte: who
 * reads it from its front takes deflated data to end where it says so, and what follows for the
 * next member. */
#include <zlib.h>

#include "client/verify_internal.h"
#include "os/file.h"

struct inflating {
    z_stream z;
    const struct chy_zip_piece *piece;
    uint32_t crc;
    uint64_t size;
    bool is_ended;
    uint8_t part[VERIFY_PART_BYTES];
};

struct looking {
    const struct verify_run *run;
    struct inflating *inflating;
};

static enum chy_err differs(struct chy_error *err)
{
    return chy_fail(err, CHY_E_MALFORMED,
                    "a member of the archive does not end where its directory says");
}

static bool add(struct inflating *i, struct chy_bytes b)
{
    i->crc = (uint32_t)crc32(i->crc, b.p, (uInt)b.n);
    i->size += b.n;
    return i->size <= i->piece->full_size;
}

/* False where the data goes on behind its end, or is none, or more than it should be. */
static bool inflate_part(struct inflating *i, struct chy_bytes in)
{
    z_stream *z = &i->z;
    z->next_in = CHY_UNCONST(Bytef, in.p);
    z->avail_in = (uInt)in.n;
    do {
        z->next_out = i->part;
        z->avail_out = sizeof i->part;
        int r = i->is_ended ? Z_DATA_ERROR : inflate(z, Z_NO_FLUSH);
        if ((r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) ||
            !add(i, (struct chy_bytes){ i->part, sizeof i->part - z->avail_out }))
            return false;
        i->is_ended = r == Z_STREAM_END;
    } while (z->avail_in != 0 || (z->avail_out == 0 && !i->is_ended));
    return true;
}

static enum chy_err data_read(const struct verify_run *run, struct inflating *i,
                              struct chy_error *err)
{
    struct chy_format_range rest = i->piece->data;
    while (rest.size != 0) {
        size_t n = 0;
        size_t want = (size_t)CHY_MIN(rest.size, (uint64_t)VERIFY_PART_BYTES);
        CHY_TRY(chy_file_pread(run->input->fd, run->part, want, rest.offset, &n, err));
        if (n != want)
            return chy_fail(err, CHY_E_IO, "the file became shorter while it was read");
        struct chy_bytes part = { run->part, n };
        if (!(i->piece->is_deflated ? inflate_part(i, part) : add(i, part)))
            return differs(err);
        rest = (struct chy_format_range){ rest.offset + n, rest.size - n };
    }
    return CHY_OK;
}

static enum chy_err piece_check(void *ctx, const struct chy_zip_piece *piece, struct chy_error *err)
{
    struct looking *l = ctx;
    struct inflating *i = l->inflating;
    i->piece = piece;
    i->crc = 0;
    i->size = 0;
    i->is_ended = !piece->is_deflated;
    if (inflateReset(&i->z) != Z_OK)
        return chy_fail(err, CHY_E_INTERNAL, "zlib cannot begin again");
    CHY_TRY(data_read(l->run, i, err));
    return i->is_ended && i->size == piece->full_size && i->crc == piece->crc ? CHY_OK
                                                                              : differs(err);
}

enum chy_err verify_stream(const struct verify_run *run, enum chy_zip_descriptors descriptors,
                           struct chy_error *err)
{
    const struct chy_format_source source = verify_source(run);
    struct looking l = { run, chy_arena_new(run->arena, struct inflating) };
    if (l.inflating == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to read an archive");
    l.inflating->z = (z_stream){ .next_in = NULL };
    if (inflateInit2(&l.inflating->z, -MAX_WBITS) != Z_OK) /* without the head of zlib's form */
        return chy_fail(err, CHY_E_NOMEM, "no memory to read an archive");
    enum chy_err r = chy_zip_stream_check(&source, descriptors, piece_check, &l, err);
    CHY_IGNORE(inflateEnd(&l.inflating->z)); /* frees, and tells what we know */
    return r;
}
