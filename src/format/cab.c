/* SPDX-License-Identifier: MIT */
/* Cabinets: Microsoft's [MS-CAB] section 2.1.
 *
 *   0 "MSCF"  8 u32 size of the cabinet  30 u16 flags (4: reserved fields follow)
 *  36 u16 size of the reserved field; 20 for a signed one, which then holds at
 *  44 u32 place and 48 u32 size of the signature
 */
#include "format/kinds.h"

#define FLAGS_RESERVED  4
#define RESERVED_SIGNED 20
#define HEADER          36

bool format_cab(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    (void)name;
    if (!format_has(r, 0, CHY_STR("MSCF\0\0\0\0")))
        return false;
    facts->kind = CHY_FORMAT_CAB;
    if (!format_holds(r, 0, HEADER) || !format_holds(r, 0, format_u32le(r, 8)))
        return FORMAT_BROKEN(facts, "it is shorter than its header says");
    if ((format_u16le(r, 30) & FLAGS_RESERVED) == 0 || format_u16le(r, 36) != RESERVED_SIGNED)
        return true;
    uint64_t at = format_u32le(r, 44);
    uint64_t size = format_u32le(r, 48);
    facts->is_signed = size != 0;
    if (size != 0 && !format_holds(r, at, size))
        return FORMAT_BROKEN(facts, "its signature lies past the end of the file");
    if (size != 0 && at + size != r->source->size_bytes)
        return FORMAT_BROKEN(facts, "something lies behind its signature");
    return true;
}
