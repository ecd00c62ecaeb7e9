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
#include "format/fit.h"

#include "base/limits.h"
#include "format/kinds.h"

#define MAGIC          "\xd0\x0d\xfe\xed"
#define BEGIN          1
#define END            2
#define PROPERTY       3
#define NOTHING        4
#define ALL_END        9
#define NAME_MAX_BYTES 256 /* of a node; the specification has 31 and U-Boot more */

/* The nodes below the root that say something. */
enum part {
    PART_NONE,
    PART_IMAGES,
    PART_CONFIGURATIONS,
    PART_KEYS,
    PART_TWOFOLD, /* "images@1": libfdt may take it for "images" */
};
#define WHOLE(text) text, sizeof(text)
#define FRONT(text) text, sizeof(text) - 1
static const struct {
    const char *name;
    size_t n;
    enum part part;
} parts[] = {
    { WHOLE("images"), PART_IMAGES },           { WHOLE("configurations"), PART_CONFIGURATIONS },
    { WHOLE("signature"), PART_KEYS },          { FRONT("images@"), PART_TWOFOLD },
    { FRONT("configurations@"), PART_TWOFOLD },
};

struct tree {
    struct format_reader *r;
    uint64_t at;
    uint64_t end; /* of the structure */
    uint64_t names;
    unsigned depth;
    unsigned signature_depth; /* of the signature node that is open; 0: none */
    enum part part;
    bool has_images;
    bool is_signed;
    struct chy_format_fit *fit; /* NULL: it is not asked for */
    enum chy_err result;        /* of what is kept there */
};

static uint64_t padded(uint64_t n)
{
    return (n + 3) & ~UINT64_C(3);
}

/* --- configurations and keys --- */

static bool configuration_keep(struct tree *t, size_t n)
{
    struct chy_format_fit *fit = t->fit;
    struct chy_bytes name;
    if (n > CHY_LIMIT_FIT_NAME || fit->n_configurations == CHY_LIMIT_FIT_CONFIGURATIONS) {
        t->result = CHY_E_LIMIT;
        return false;
    }
    if (n == 0 || !format_at(t->r, t->at, n, &name))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == '/')
            return false;
        fit->configurations[fit->n_configurations].text[i] = (char)name.p[i];
    }
    fit->configurations[fit->n_configurations++].text[n] = '\0';
    return true;
}

/* Whether a value is one string. */
static bool is_one(struct tree *t, uint64_t at, uint64_t length)
{
    uint64_t end;
    return format_find(t->r, at, length, CHY_STR("\0"), &end) && end + 1 == at + length;
}

/* Whatever is not known here may name images. */
static void configuration_property(struct tree *t, uint64_t name, uint64_t value, uint64_t length)
{
    static const struct {
        const char *name;
        size_t n;
        bool is_image;
    } known[] = {
        { WHOLE("description"), false }, { WHOLE("compatible"), false }, { WHOLE("kernel"), true },
        { WHOLE("fdt"), true },          { WHOLE("ramdisk"), true },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(known); i++) {
        if (!format_has(t->r, name, (struct chy_str){ known[i].name, known[i].n }))
            continue;
        if (known[i].is_image && !is_one(t, value, length))
            t->fit->has_more = true;
        return;
    }
    t->fit->has_more = true;
}

static void fit_property(struct tree *t, uint64_t name, uint64_t value, uint64_t length)
{
    if (t->depth != 3)
        return;
    if (t->part == PART_CONFIGURATIONS)
        configuration_property(t, name, value, length);
    else if (t->part == PART_KEYS && length == 5 && format_has(t->r, name, CHY_STR("required\0")) &&
             format_has(t->r, value, CHY_STR("conf\0")))
        t->fit->requires_signature = true;
}

/* --- the tree --- */

static void begin_part(struct tree *t)
{
    t->part = PART_NONE;
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++) {
        if (format_has(t->r, t->at, (struct chy_str){ parts[i].name, parts[i].n }))
            t->part = parts[i].part;
    }
    t->has_images = t->has_images || t->part == PART_IMAGES;
    if (t->fit != NULL && t->part == PART_TWOFOLD)
        t->fit->has_more = true;
}

static bool begin_node(struct tree *t)
{
    uint64_t end;
    if (!format_find(t->r, t->at, NAME_MAX_BYTES, CHY_STR("\0"), &end))
        return false;
    t->depth++;
    if (t->depth == 2)
        begin_part(t);
    if (t->fit != NULL && t->depth == 3 && t->part == PART_CONFIGURATIONS &&
        !configuration_keep(t, (size_t)(end - t->at)))
        return false;
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
    if (t->fit != NULL)
        fit_property(t, name, t->at + 8, length);
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

static bool tree_read(struct tree *t)
{
    t->at = format_u32be(t->r, 8);
    t->names = format_u32be(t->r, 12);
    uint64_t size = format_u32be(t->r, 36);
    t->end = t->at + size;
    return format_holds(t->r, 0, format_u32be(t->r, 4)) && format_holds(t->r, t->at, size) &&
           walk(t);
}

bool format_fit(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    if (!format_has(r, 0, CHY_STR(MAGIC)))
        return false;
    struct tree t = { .r = r };
    bool is_whole = tree_read(&t);
    facts->kind = CHY_FORMAT_FIT;
    facts->is_signed = t.is_signed;
    if (!is_whole)
        return (t.has_images || format_name_ends(name, "itb")) &&
               FORMAT_BROKEN(facts, "its tree does not hold together");
    return t.has_images; /* else a device tree */
}

enum chy_err chy_format_fit_read(const struct chy_format_source *source,
                                 struct chy_format_fit *ret_fit, struct chy_error *err)
{
    struct format_reader r;
    struct chy_format_fit fit = { 0 };
    format_reader_init(&r, source);
    struct tree t = { .r = &r, .fit = &fit };
    bool is_whole = format_has(&r, 0, CHY_STR(MAGIC)) && tree_read(&t);
    if (r.result != CHY_OK)
        return chy_fail(err, r.result, "%s", r.error.text);
    if (t.result == CHY_E_LIMIT)
        return chy_fail(err, CHY_E_LIMIT,
                        "more than %d configurations, or a name of more than %d bytes",
                        CHY_LIMIT_FIT_CONFIGURATIONS, CHY_LIMIT_FIT_NAME);
    if (!is_whole)
        return chy_fail(err, CHY_E_MALFORMED, "its tree does not hold together");
    *ret_fit = fit;
    return CHY_OK;
}
