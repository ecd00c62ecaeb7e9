/* SPDX-License-Identifier: MIT */
/* U-Boot's image trees: a flattened device tree (Devicetree Specification, chapter 5) whose root
 * has a node "images". A node "signature…" that has a property "value" is a signature that was
 * made.
 *
 *   0 d0 0d fe ed, u32 size of all, u32 place of the structure, u32 place of the names … 36 u32
 *   size
 *     of the structure
 *   structure: u32 tokens. 1 a node begins: its name, zero, padded to four. 2 it ends.
 *     3 a property: u32 length, u32 place of its name, value, padded. 4 nothing. 9 the end
 */
#include "base/limits.h"
#include "format/kinds.h"

#define BEGIN          1
#define END            2
#define PROPERTY       3
#define NOTHING        4
#define ALL_END        9
#define NAME_MAX_BYTES 256 /* of a node; the specification has 31 and U-Boot more */

struct tree {
    struct format_reader *r;
    uint64_t at;
    uint64_t end; /* of the structure */
    uint64_t names;
    unsigned depth;
    unsigned signature_depth; /* of the signature node that is open; 0: none */
    bool has_images;
    bool is_signed;
};

static uint64_t padded(uint64_t n)
{
    return (n + 3) & ~UINT64_C(3);
}

static bool begin_node(struct tree *t)
{
    uint64_t end;
    if (!format_find(t->r, t->at, NAME_MAX_BYTES, CHY_STR("\0"), &end))
        return false;
    t->depth++;
    if (t->depth == 2 && format_has(t->r, t->at, CHY_STR("images\0")))
        t->has_images = true;
    if (t->signature_depth == 0 && format_has(t->r, t->at, CHY_STR("signature")))
        t->signature_depth = t->depth;
    t->at += padded(end + 1 - t->at);
    return true;
}

static bool end_node(struct tree *t)
{
    if (t->depth == 0)
        return false;
    if (t->signature_depth == t->depth)
        t->signature_depth = 0;
    t->depth--;
    return true;
}

static bool property(struct tree *t)
{
    uint64_t length = format_u32be(t->r, t->at);
    uint64_t name = t->names + format_u32be(t->r, t->at + 4);
    if (!format_holds(t->r, t->at, 8 + padded(length)))
        return false;
    if (t->signature_depth == t->depth && t->depth != 0 &&
        format_has(t->r, name, CHY_STR("value\0")))
        t->is_signed = true;
    t->at += 8 + padded(length);
    return true;
}

static bool walk(struct tree *t)
{
    for (size_t i = 0; i < CHY_LIMIT_FORMAT_STEPS && t->at < t->end; i++) {
        uint32_t token = format_u32be(t->r, t->at);
        t->at += 4;
        if (token == ALL_END)
            return t->depth == 0;
        bool is_good = token == BEGIN      ? begin_node(t)
                       : token == END      ? end_node(t)
                       : token == PROPERTY ? property(t)
                                           : token == NOTHING;
        if (!is_good)
            return false;
    }
    return false;
}

bool format_fit(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    if (!format_has(r, 0, CHY_STR("\xd0\x0d\xfe\xed")))
        return false;
    struct tree t = { .r = r, .at = format_u32be(r, 8), .names = format_u32be(r, 12) };
    uint64_t size = format_u32be(r, 36);
    t.end = t.at + size;
    facts->kind = CHY_FORMAT_FIT;
    bool is_whole =
        format_holds(r, 0, format_u32be(r, 4)) && format_holds(r, t.at, size) && walk(&t);
    facts->is_signed = t.is_signed;
    if (!is_whole)
        return (t.has_images || format_name_ends(name, "itb")) &&
               FORMAT_BROKEN(facts, "its tree does not hold together");
    return t.has_images; /* else a device tree */
}
