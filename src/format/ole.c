/* SPDX-License-Identifier: MIT */
/* Compound files, of which Windows Installer's are signed: Microsoft's [MS-CFB] section 2.
 *
 *   0 d0 cf 11 e0 a1 b1 1a e1   30 u16 log2 of the sector size   48 u32 first sector of the
 *                               directory
 *  44 u32 number of FAT sectors   68 u32 first sector of the list of FAT sectors
 *  76 u32[109] FAT sectors
 *  Sector s lies at (s + 1) * size. The FAT has for each sector the number of the next one.
 *  The directory has entries of 128 bytes: 0 name in UTF-16, 64 u16 its bytes, 80 class of the
 *  root.
 */
#include "base/limits.h"
#include "format/kinds.h"

#define ENTRY      128
#define FAT_FIRST  109 /* FAT sectors that the header names */
#define SECTOR_MAX 0xfffffffau
#define FREE       0xffffffffu /* in the FAT */

struct ole {
    struct format_reader *r;
    unsigned shift; /* log2 of the sector size: 9 or 12 */
};

static uint64_t sector_at(const struct ole *o, uint32_t sector)
{
    return ((uint64_t)sector + 1) << o->shift;
}

/* The number of the i-th FAT sector. */
static uint32_t fat_sector(const struct ole *o, uint32_t i)
{
    if (i < FAT_FIRST)
        return format_u32le(o->r, 76 + (uint64_t)i * 4);
    uint32_t each = (1u << (o->shift - 2)) - 1; /* the last word of a list names the next list */
    uint32_t list = format_u32le(o->r, 68);
    for (i -= FAT_FIRST; i >= each && list < SECTOR_MAX; i -= each)
        list = format_u32le(o->r, sector_at(o, list) + (uint64_t)each * 4);
    return list < SECTOR_MAX ? format_u32le(o->r, sector_at(o, list) + (uint64_t)i * 4)
                             : SECTOR_MAX;
}

static uint32_t next_sector(const struct ole *o, uint32_t sector)
{
    uint32_t fat = fat_sector(o, sector >> (o->shift - 2));
    uint32_t in = sector & ((1u << (o->shift - 2)) - 1);
    return fat < SECTOR_MAX ? format_u32le(o->r, sector_at(o, fat) + (uint64_t)in * 4) : SECTOR_MAX;
}

/* "\5DigitalSignature", the stream in which Windows Installer keeps one. */
static bool is_signature(struct format_reader *r, uint64_t entry)
{
    static const char name[] = "\5\0D\0i\0g\0i\0t\0a\0l\0S\0i\0g\0n\0a\0t\0u\0r\0e\0\0";
    /* The zero that C adds is half of the one that ends the name. */
    return format_u16le(r, entry + 64) == sizeof name &&
           format_has(r, entry, (struct chy_str){ name, sizeof name });
}

/* A directory may go round in circles: so many sectors and no more. */
static bool has_signature(const struct ole *o, uint32_t sector)
{
    for (size_t i = 0; i < CHY_LIMIT_FORMAT_STEPS && sector < SECTOR_MAX; i++) {
        uint64_t at = sector_at(o, sector);
        if (!format_holds(o->r, at, (uint64_t)1 << o->shift))
            return false;
        for (uint64_t entry = at; entry < at + ((uint64_t)1 << o->shift); entry += ENTRY)
            if (is_signature(o->r, entry))
                return true;
        sector = next_sector(o, sector);
    }
    return false;
}

/* Where the last sector ends that is not free: streams, of which a signature is, have none behind
 * it. 0: all are free, or there is no FAT. */
static uint64_t last_end(const struct ole *o)
{
    uint32_t each = 1u << (o->shift - 2);
    uint64_t sectors = o->r->source->size_bytes >> o->shift;
    uint64_t most = sectors / each + 1; /* that the FAT of such a file needs */
    for (uint32_t i = (uint32_t)CHY_MIN(most, (uint64_t)format_u32le(o->r, 44)); i > 0; i--) {
        uint32_t fat = fat_sector(o, i - 1);
        for (uint32_t in = each; in > 0 && fat < SECTOR_MAX; in--)
            if (format_u32le(o->r, sector_at(o, fat) + (uint64_t)(in - 1) * 4) != FREE)
                return sector_at(o, (i - 1) * each + in);
    }
    return 0;
}

/* {000C1084-…} a package, {000C1086-…} a patch, {000C1082-…} a transform */
static bool is_installer(struct format_reader *r, uint64_t root)
{
    uint32_t first = format_u32le(r, root + 80);
    return (first == 0x000c1084 || first == 0x000c1086 || first == 0x000c1082) &&
           format_has(r, root + 84, CHY_STR("\0\0\0\0\xc0\0\0\0\0\0\0\x46"));
}

bool format_ole(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    struct ole o = { .r = r };
    bool is_named = format_name_ends(name, "msi") || format_name_ends(name, "msp") ||
                    format_name_ends(name, "mst");
    if (!format_has(r, 0, CHY_STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")))
        return false;
    facts->kind = CHY_FORMAT_MSI;
    o.shift = format_u16le(r, 30);
    uint32_t first = format_u32le(r, 48);
    if ((o.shift != 9 && o.shift != 12) || first >= SECTOR_MAX ||
        !format_holds(r, sector_at(&o, first), ENTRY))
        return is_named && FORMAT_BROKEN(facts, "it has no directory");
    if (!is_installer(r, sector_at(&o, first)) && !is_named)
        return false; /* an old Office document, a thumbnail cache, … */
    facts->is_signed = has_signature(&o, first);
    if (facts->is_signed && r->source->size_bytes > last_end(&o))
        return FORMAT_BROKEN(facts, "something lies behind its last sector");
    return true;
}
