/* SPDX-License-Identifier: MIT */
/* An archive as it was before its last member was added: what NuGet and MSIX sign, whose signatures
 * are that member. Pure over the source.
 *
 *   … other members │ the member: head, data │ directory │ end records
 *   └─── before ───┘                          └──── behind, as it was ────┘
 *
 * Source: PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.4; NuGet's "Package signatures technical
 * details"; [MS-APPXPKG] */
#pragma once

#include "base/buf.h"
#include "format/place.h"

struct chy_zip_member {
    struct chy_format_range before; /* from the start of the file */
    struct chy_format_range data;   /* of the member, as it is stored */
    bool is_plain;                  /* the data is not compressed */
    bool is_big;                    /* the archive has the records of 64 bits */
};

/* Find the member that is called so and take it out. To `behind` is appended what would stand
 * behind `before`: the directory without it, and the end records.
 * Errors: CHY_E_NOT_FOUND    there is no such member
 *         CHY_E_MALFORMED    no archive, or the member is there twice, or not under this name, or
 *                            parts of the archive overlap or have something between them
 *         CHY_E_UNSUPPORTED  it is not the last in the file, or encrypted
 *         CHY_E_LIMIT        the directory is over CHY_LIMIT_FORMAT_READ or what `behind` takes
 *         CHY_E_NOMEM, of the source */
CHY_MUST_USE enum chy_err chy_zip_member_out(const struct chy_format_source *source,
                                             struct chy_str name, struct chy_buf *behind,
                                             struct chy_zip_member *ret_member,
                                             struct chy_error *err);
