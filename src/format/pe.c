/* SPDX-License-Identifier: MIT */
/* PE and EFI applications: Microsoft's "PE Format".
 *
 *   0  "MZ" … 0x3c u32 place of:
 *      "PE\0\0", file header (20 bytes), optional header: u16 magic … 68 u16 subsystem …
 *        PE32: 92 u32 number of directories, 96 directories; PE32+: 108 and 112
 *      directory 4: u32 place, u32 size of the signatures, as a place in the file
 */
#include "format/kinds.h"

#define PE32          0x10b
#define PE32_PLUS     0x20b
#define SECURITY      4           /* index of the directory of signatures */
#define DIRECTORY     UINT64_C(8) /* its bytes: u32 where, u32 size */
#define EFI_FIRST     10          /* EFI_APPLICATION, boot and runtime drivers, ROM */
#define EFI_LAST      13
#define OPTIONAL_AT   24 /* from "PE" */
#define OPTIONAL_SIZE 20

static bool read_security(struct format_reader *r, uint64_t optional, bool is_plus,
                          struct chy_format_facts *facts)
{
    uint64_t directories = optional + (is_plus ? 112 : 96);
    if (format_u32le(r, directories - 4) <= SECURITY)
        return true;
    uint64_t at = format_u32le(r, directories + SECURITY * DIRECTORY);
    uint64_t size = format_u32le(r, directories + SECURITY * DIRECTORY + 4);
    facts->is_signed = size != 0;
    if (size != 0 && !format_holds(r, at, size))
        return FORMAT_BROKEN(facts, "its signatures lie past the end of the file");
    return true;
}

bool format_pe(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    (void)name;
    if (!format_has(r, 0, CHY_STR("MZ")))
        return false;
    uint64_t pe = format_u32le(r, 0x3c);
    /* Programs for DOS, and for Windows before NT, have no such header. */
    if (pe == 0 || !format_has(r, pe, CHY_STR("PE\0\0")))
        return false;
    uint64_t optional = pe + OPTIONAL_AT;
    uint16_t magic = format_u16le(r, optional);
    facts->kind = CHY_FORMAT_PE;
    if (magic != PE32 && magic != PE32_PLUS)
        return FORMAT_BROKEN(facts, "its optional header is of no known kind");
    uint16_t subsystem = format_u16le(r, optional + 68);
    if (subsystem >= EFI_FIRST && subsystem <= EFI_LAST)
        facts->kind = CHY_FORMAT_EFI;
    if (!format_holds(r, optional, magic == PE32 ? 96 : 112) ||
        !format_holds(r, optional, format_u16le(r, pe + OPTIONAL_SIZE)))
        return FORMAT_BROKEN(facts, "it ends within its headers");
    return read_security(r, optional, magic == PE32_PLUS, facts);
}
