/* SPDX-License-Identifier: MIT */
/* Where an RPM has the signature of its header: rpm's "RPM V4 Package format". As in rpm.c; behind
 * the header of signatures, padded to eight bytes, is the main header, whole, which is signed. */
#include "base/limits.h"
#include "format/place.h"
#include "format/reader.h"

#define LEAD        96
#define INTRO       16
#define ENTRY       16
#define TYPE_BINARY 7
#define DSA_HEADER  267 /* EdDSA's, too */
#define RSA_HEADER  268

static const struct chy_str magic = { "\x8e\xad\xe8\x01", 4 };

/* The length of the header at `at`. */
static bool header_size(struct format_reader *r, uint64_t at, uint64_t *ret_size)
{
    uint64_t n = format_u32be(r, at + 8);
    uint64_t data = format_u32be(r, at + 12);
    *ret_size = INTRO + n * ENTRY + data;
    return format_has(r, at, magic) && n <= CHY_LIMIT_FORMAT_STEPS &&
           format_holds(r, at, *ret_size);
}

static bool signature_add(struct format_reader *r, uint64_t entry, uint64_t data, uint64_t end,
                          struct chy_format_place *place)
{
    uint32_t tag = format_u32be(r, entry);
    uint64_t at = data + format_u32be(r, entry + 8);
    uint64_t size = format_u32be(r, entry + 12);
    if (tag != DSA_HEADER && tag != RSA_HEADER)
        return true;
    if (format_u32be(r, entry + 4) != TYPE_BINARY || at > end || size > end - at ||
        place->n_signatures == CHY_FORMAT_SIGNATURES)
        return false;
    place->signatures[place->n_signatures++] = (struct chy_format_range){ at, size };
    return true;
}

static bool place_find(struct format_reader *r, struct chy_format_place *place)
{
    uint64_t size;
    if (!header_size(r, LEAD, &size))
        return false;
    uint64_t n = format_u32be(r, LEAD + 8);
    uint64_t data = LEAD + INTRO + n * ENTRY;
    for (uint64_t i = 0; i < n; i++) {
        if (!signature_add(r, LEAD + INTRO + i * ENTRY, data, LEAD + size, place))
            return false;
    }
    uint64_t main = LEAD + ((size + 7) & ~UINT64_C(7));
    if (!header_size(r, main, &size))
        return false;
    place->covered[place->n_covered++] = (struct chy_format_range){ main, size };
    return true;
}

enum chy_err chy_format_rpm_place(const struct chy_format_source *source,
                                  struct chy_format_place *ret_place, struct chy_error *err)
{
    struct format_reader r;
    struct chy_format_place place = { .n_covered = 0 };
    format_reader_init(&r, source);
    bool is_whole = place_find(&r, &place);
    if (r.result != CHY_OK)
        return chy_fail(err, r.result, "%s", r.error.text);
    if (!is_whole)
        return chy_fail(err, CHY_E_MALFORMED, "the package's headers do not hold together");
    if (place.n_signatures == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "its header is not signed");
    *ret_place = place;
    return CHY_OK;
}
