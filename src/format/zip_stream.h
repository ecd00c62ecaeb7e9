/* SPDX-License-Identifier: MIT */
/* Whether an archive reads the same from its front as by its directory. Who unpacks from a pipe
 * (java.util.zip.ZipInputStream, bsdtar) goes from head to head and never sees the directory, by
 * which a signature was verified: in a gap, or in a head that says something else, it finds members
 * that nobody signed. Pure over the source. Source: PKWARE's APPNOTE 6.3.10, section 4.3 */
#pragma once

#include "format/place.h"

enum chy_zip_descriptors {
    CHY_ZIP_DESCRIPTORS_JAVA, /* behind deflated data alone, of 64 bits where a size needs them: as
                               * java.util.zip reads and writes */
    CHY_ZIP_DESCRIPTORS_ANY,  /* of any form: behind data of which every byte is signed */
};

/* One member, as both find it. That the data is what is said here is for the function to see: a
 * streaming reader ends a member where its deflated data ends. */
struct chy_zip_piece {
    struct chy_format_range data;
    uint64_t full_size; /* once it is inflated */
    uint32_t crc;       /* of that */
    bool is_deflated;   /* else it is stored */
};
typedef enum chy_err chy_zip_piece_fn(void *ctx, const struct chy_zip_piece *piece,
                                      struct chy_error *err);

/* Heads and data must fill the file up to the directory, or to the signing block of an APK, in
 * which nothing looks like a head; each head must say what the directory does. Extra fields may
 * differ: zipalign pads them in heads alone. `fn` is called for each member, in the order of the
 * file.
 * Errors: CHY_E_MALFORMED    no archive, or the two readings differ
 *         CHY_E_UNSUPPORTED  a member is encrypted, or neither stored nor deflated
 *         CHY_E_LIMIT        a directory over CHY_LIMIT_FORMAT_READ
 *         CHY_E_NOMEM, of the source and of `fn` */
CHY_MUST_USE enum chy_err chy_zip_stream_check(const struct chy_format_source *source,
                                               enum chy_zip_descriptors descriptors,
                                               chy_zip_piece_fn *fn, void *ctx,
                                               struct chy_error *err);
