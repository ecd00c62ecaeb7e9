/* SPDX-License-Identifier: MIT */
/* RPM packages: rpm's "RPM V4 Package format".
 *
 *   0 lead, 96 bytes: ed ab ee db …
 *  96 header of signatures: 8e ad e8 01, u32 0, u32 number of entries, u32 bytes of data;
 *     entries of 16 bytes: u32 tag, u32 type, u32 place, u32 count
 */
#include "base/limits.h"
#include "format/kinds.h"

#define LEAD  96
#define INTRO 16
#define ENTRY 16

/* DSA and RSA over the header, OpenPGP in base64 (rpm 6); PGP and GPG over header and payload */
static bool is_signature(uint32_t tag)
{
    return tag == 267 || tag == 268 || tag == 278 || tag == 1002 || tag == 1005;
}

bool format_rpm(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    (void)name;
    if (!format_has(r, 0, CHY_STR("\xed\xab\xee\xdb")))
        return false;
    facts->kind = CHY_FORMAT_RPM;
    if (!format_has(r, LEAD, CHY_STR("\x8e\xad\xe8\x01")))
        return FORMAT_BROKEN(facts, "it has no header of signatures");
    uint64_t n = format_u32be(r, LEAD + 8);
    if (n > CHY_LIMIT_FORMAT_STEPS ||
        !format_holds(r, LEAD + INTRO, n * ENTRY + format_u32be(r, LEAD + 12)))
        return FORMAT_BROKEN(facts, "its header of signatures is longer than the file");
    for (uint64_t i = 0; i < n && !facts->is_signed; i++)
        facts->is_signed = is_signature(format_u32be(r, LEAD + INTRO + i * ENTRY));
    return true;
}
