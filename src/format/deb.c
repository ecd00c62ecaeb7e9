/* SPDX-License-Identifier: MIT */
/* Debian packages: deb(5), an ar archive whose first member is debian-binary. debsigs adds members
 * whose names begin with _gpg.
 *
 *   0 "!<arch>\n", then members: 16 bytes name, 12 time, 6 owner, 6 group, 8 mode, 10 decimal size,
 *     "`\n", data, one byte if its size is odd
 */
#include "base/limits.h"
#include "format/kinds.h"

#define HEADER        60
#define MEMBERS_LEAST 3 /* debian-binary, control.tar and data.tar */
#define SIZE_AT       48
#define SIZE_N        10

static bool size_of(struct format_reader *r, uint64_t at, uint64_t *ret_size)
{
    struct chy_bytes digits;
    uint64_t size = 0;
    if (!format_has(r, at + SIZE_AT + SIZE_N, CHY_STR("`\n")) ||
        !format_at(r, at + SIZE_AT, SIZE_N, &digits))
        return false;
    for (size_t i = 0; i < digits.n && digits.p[i] != ' '; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
        size = size * 10 + (uint64_t)(digits.p[i] - '0');
    }
    *ret_size = size;
    return true;
}

/* Where the next member begins; false: there is none, or not all of it. */
static bool pass_member(struct format_reader *r, uint64_t *at, struct chy_format_facts *facts)
{
    uint64_t size;
    if (!size_of(r, *at, &size) || !format_holds(r, *at + HEADER, size))
        return false;
    facts->is_signed = facts->is_signed || format_has(r, *at, CHY_STR("_gpg"));
    *at += HEADER + size + (size & 1);
    return true;
}

bool format_deb(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    uint64_t at = 8;
    size_t n = 0;
    (void)name;
    if (!format_has(r, 0, CHY_STR("!<arch>\ndebian-binary")))
        return false;
    facts->kind = CHY_FORMAT_DEB;
    while (n < CHY_LIMIT_FORMAT_MEMBERS && at < r->source->size_bytes) {
        if (!pass_member(r, &at, facts))
            return FORMAT_BROKEN(facts, "it ends within a member");
        n++;
    }
    /* debsigs signs what is there of them, be it nothing. */
    return n >= MEMBERS_LEAST || FORMAT_BROKEN(facts, "it has no data");
}
