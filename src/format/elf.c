/* SPDX-License-Identifier: MIT */
/* Kernel modules: relocatable ELF files with a section .modinfo, signed ones with a trailer
 * (scripts/sign-file.c of Linux). Other ELF files are of no kind that has a signature of its own.
 *
 *   0 7f "ELF", 4 class (1: 32 bits, 2: 64), 5 order (1: little, 2: big), 16 u16 type (1:
 *   relocatable)
 *     32 bits: 32 u32 sections' place, 46 u16 size of one, 48 u16 number, 50 u16 that of the names
 *     64 bits: 40 u64,                 58,                 60,            62
 *   a section: u32 name; 32 bits: 16 u32 place, 20 u32 size; 64 bits: 24 u64, 32 u64
 */
#include "base/limits.h"
#include "format/kinds.h"

#define TRAILER     CHY_STR("~Module signature appended~\n")
#define RELOCATABLE 1

struct elf {
    struct format_reader *r;
    bool is_64;
    bool is_big;
};

static uint64_t word(const struct elf *e, uint64_t at, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | format_u8(e->r, at + (e->is_big ? i : n - 1 - i));
    return v;
}

static uint64_t field(const struct elf *e, uint64_t base, unsigned at_32, unsigned at_64)
{
    return e->is_64 ? word(e, base + at_64, 8) : word(e, base + at_32, 4);
}

static bool has_modinfo(const struct elf *e)
{
    uint64_t sections = field(e, 0, 32, 40);
    uint64_t size = word(e, e->is_64 ? 58 : 46, 2);
    uint64_t n = word(e, e->is_64 ? 60 : 48, 2);
    uint64_t names_index = word(e, e->is_64 ? 62 : 50, 2);
    if (!format_holds(e->r, sections, n * size) || names_index >= n)
        return false;
    uint64_t names = field(e, sections + names_index * size, 16, 24);
    if (!format_holds(e->r, names, 0))
        return false;
    for (uint64_t i = 0; i < CHY_MIN(n, (uint64_t)CHY_LIMIT_FORMAT_SECTIONS); i++)
        if (format_has(e->r, names + word(e, sections + i * size, 4), CHY_STR(".modinfo\0")))
            return true;
    return false;
}

bool format_elf(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    struct elf e = { .r = r, .is_64 = format_u8(r, 4) == 2, .is_big = format_u8(r, 5) == 2 };
    if (!format_has(r, 0,
                    CHY_STR("\x7f"
                            "ELF")))
        return false;
    bool is_relocatable = word(&e, 16, 2) == RELOCATABLE;
    bool is_module = is_relocatable && has_modinfo(&e);
    if (!is_module && !format_name_ends(name, "ko"))
        return false;
    facts->kind = CHY_FORMAT_MODULE;
    if (!is_module)
        return FORMAT_BROKEN(facts, "it has no section .modinfo");
    facts->is_signed = r->source->size_bytes >= TRAILER.n &&
                       format_has(r, r->source->size_bytes - TRAILER.n, TRAILER);
    return true;
}
