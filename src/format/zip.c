/* SPDX-License-Identifier: MIT */
/* ZIP archives, told apart by the names in their directory: PKWARE's APPNOTE 6.3.10.
 *
 *   the end, up to 65,557 bytes before the file's: "PK\5\6" … 10 u16 entries, 12 u32 bytes and
 *     16 u32 place of the directory, 20 u16 length of a comment, which ends the file
 *   of a big one, before that: "PK\6\7", u32, u64 place of "PK\6\6" … 32 u64 entries, 40 u64 bytes,
 *     48 u64 place
 *   the directory's entries: "PK\1\2" … 28 u16 name, 30 u16 extra, 32 u16 comment, 46 name
 *   an APK signing block ends where the directory begins, by "APK Sig Block 42"
 */
#include "base/limits.h"
#include "format/kinds.h"
#include "format/place.h"
#include "format/zip_internal.h"

#define COMMENT_MAX 65535

/* What the names say; one bit each. */
enum {
    HAS_MANIFEST = 1 << 0,
    HAS_JAR_SIGNATURE = 1 << 1,
    HAS_WEB = 1 << 2,
    HAS_ENTERPRISE = 1 << 3,
    HAS_ANDROID = 1 << 4,
    HAS_CONTENT_TYPES = 1 << 5,
    HAS_APPX = 1 << 6,
    HAS_APPX_SIGNATURE = 1 << 7,
    HAS_NUSPEC = 1 << 8,
    HAS_NUGET_SIGNATURE = 1 << 9,
};

/* Names in the directory that tell. */
static const struct {
    const char *folder;
    const char *name; /* "": anything below the folder; "*.x": by its ending */
    unsigned bit;
} names[] = {
    { "META-INF/", "MANIFEST.MF", HAS_MANIFEST },
    { "META-INF/", "*.sf", HAS_JAR_SIGNATURE },
    { "WEB-INF/", "", HAS_WEB },
    { "META-INF/", "application.xml", HAS_ENTERPRISE },
    { "", "AndroidManifest.xml", HAS_ANDROID },
    { "", "[Content_Types].xml", HAS_CONTENT_TYPES },
    { "", "AppxManifest.xml", HAS_APPX },
    { "AppxMetadata/", "AppxBundleManifest.xml", HAS_APPX },
    { "", "AppxSignature.p7x", HAS_APPX_SIGNATURE },
    { "", "*.nuspec", HAS_NUSPEC },
    { "", ".signature.p7s", HAS_NUGET_SIGNATURE },
};

static bool is_name(struct chy_str name, const char *folder, const char *want)
{
    size_t n = strlen(folder);
    if (!chy_str_starts(name, folder))
        return false;
    struct chy_str rest = { name.p + n, name.n - n };
    if (want[0] == '\0')
        return true;
    if (want[0] != '*')
        return chy_str_equal_c(rest, want);
    return memchr(rest.p, '/', rest.n) == NULL && format_name_ends(rest, want + 2);
}

static unsigned bits_of(struct chy_str name)
{
    unsigned bits = 0;
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        if (is_name(name, names[i].folder, names[i].name))
            bits |= names[i].bit;
    return bits;
}

/* The last end record, whose comment ends the file. A comment that holds one more is an archive of
 * its own to some readers, and to others not: such a file has no end. */
static bool find_end(struct format_reader *r, uint64_t *ret_at)
{
    uint64_t size = r->source->size_bytes;
    uint64_t from = size > ZIP_END_BYTES + COMMENT_MAX ? size - ZIP_END_BYTES - COMMENT_MAX : 0;
    return format_find_last(r, from, size - from, CHY_STR("PK\5\6"), ret_at) &&
           format_holds(r, *ret_at, ZIP_END_BYTES) &&
           *ret_at + ZIP_END_BYTES + format_u16le(r, *ret_at + 20) == size;
}

/* Whether a number of the end says what the 64-bit one does, or leaves it to that. */
static bool agrees(uint64_t small, uint64_t big, uint64_t most)
{
    return small == big || small == most;
}

/* The record of a big archive. Some readers look at it only where the end leaves something to it:
 * the two may not speak of two directories. */
static bool find_big_directory(struct format_reader *r, uint64_t big, struct zip_directory *d)
{
    const struct zip_directory small = *d;
    if (!format_holds(r, big, ZIP_END_64_BYTES) || !format_has(r, big, CHY_STR("PK\6\6")))
        return false;
    *d = (struct zip_directory){ .at = format_u64le(r, big + 48),
                                 .size = format_u64le(r, big + 40),
                                 .n = format_u64le(r, big + 32),
                                 .end = small.end,
                                 .end_64 = big };
    return agrees(small.at, d->at, UINT32_MAX) && agrees(small.size, d->size, UINT32_MAX) &&
           agrees(small.n, d->n, UINT16_MAX) && format_u64le(r, big + 24) == d->n;
}

bool zip_find_directory(struct format_reader *r, struct zip_directory *ret)
{
    uint64_t end;
    if (!find_end(r, &end))
        return false;
    uint64_t behind = end;
    *ret = (struct zip_directory){ .at = format_u32le(r, end + 16),
                                   .size = format_u32le(r, end + 12),
                                   .n = format_u16le(r, end + 10),
                                   .end = end };
    if (end >= ZIP_LOCATOR_BYTES && format_has(r, end - ZIP_LOCATOR_BYTES, CHY_STR("PK\6\7"))) {
        behind = format_u64le(r, end - ZIP_LOCATOR_BYTES + 8);
        if (!find_big_directory(r, behind, ret))
            return false;
    }
    /* Entries on this disk, of archives that were cut over many: some readers go by that. */
    return agrees(format_u16le(r, end + 8), ret->n, UINT16_MAX) &&
           format_holds(r, ret->at, ret->size) && ret->at + ret->size == behind;
}

/* --- one entry --- */

#define EXTRA_64 1

bool zip_extra_64_read(struct format_reader *r, uint64_t at, uint64_t n, uint64_t *const *numbers,
                       size_t n_numbers)
{
    uint64_t end = at + n;
    size_t wanted = 0;
    for (size_t i = 0; i < n_numbers; i++)
        wanted += *numbers[i] == UINT32_MAX ? 8 : 0;
    while (wanted != 0 && end - at >= 4) {
        uint64_t size = format_u16le(r, at + 2);
        bool is_it = format_u16le(r, at) == EXTRA_64;
        at += 4;
        if (size > end - at || (is_it && size < wanted))
            return false;
        for (size_t i = 0; is_it && i < n_numbers; i++) {
            if (*numbers[i] != UINT32_MAX)
                continue;
            *numbers[i] = format_u64le(r, at);
            at += 8;
        }
        if (is_it)
            return true;
        at += size;
    }
    return true;
}

bool zip_entry_read(struct format_reader *r, const struct zip_directory *d, uint64_t at,
                    struct zip_entry *ret)
{
    uint64_t rest = d->at + d->size - at;
    if (rest < ZIP_ENTRY_BYTES || !format_has(r, at, CHY_STR("PK\1\2")))
        return false;
    struct zip_entry e = {
        .at = at,
        .place = format_u32le(r, at + 42),
        .data_size = format_u32le(r, at + 20),
        .full_size = format_u32le(r, at + 24),
        .crc = format_u32le(r, at + 16),
        .flags = format_u16le(r, at + 8),
        .method = format_u16le(r, at + 10),
        .name_size = format_u16le(r, at + 28),
    };
    uint64_t extra_size = format_u16le(r, at + 30);
    e.size = ZIP_ENTRY_BYTES + e.name_size + extra_size + format_u16le(r, at + 32);
    if (e.size > rest)
        return false;
    uint64_t *const numbers[] = { &e.full_size, &e.data_size, &e.place };
    bool is_whole = zip_extra_64_read(r, at + ZIP_ENTRY_BYTES + e.name_size, extra_size, numbers,
                                      CHY_ARRAY_LEN(numbers));
    *ret = e;
    return is_whole;
}

/* --- what kind of archive it is --- */

static bool read_directory(struct format_reader *r, const struct zip_directory *d,
                           unsigned *ret_bits)
{
    uint64_t at = d->at;
    unsigned bits = 0;
    for (uint64_t i = 0; i < d->n; i++) {
        struct chy_bytes name;
        if (at + ZIP_ENTRY_BYTES > d->at + d->size || !format_has(r, at, CHY_STR("PK\1\2")))
            return false;
        size_t n = format_u16le(r, at + 28);
        uint64_t next =
            at + ZIP_ENTRY_BYTES + n + format_u16le(r, at + 30) + format_u16le(r, at + 32);
        /* Names that matter are short. */
        if (n <= CHY_LIMIT_FORMAT_NAME && format_at(r, at + ZIP_ENTRY_BYTES, n, &name))
            bits |= bits_of(chy_bytes_str(name));
        if (r->result != CHY_OK)
            return false;
        at = next;
    }
    *ret_bits = bits;
    return at <= d->at + d->size;
}

static bool has_signing_block(struct format_reader *r, uint64_t directory)
{
    static const struct chy_str mark = { "APK Sig Block 42", 16 };
    return directory >= mark.n && format_has(r, directory - mark.n, mark);
}

/* In this order: an APK has a JAR's manifest when it is signed for old Androids. */
static const struct {
    enum chy_format_kind kind;
    unsigned all;          /* of these bits, or */
    const char *ending;    /* of the name */
    unsigned is_signed_by; /* one of these */
} kinds[] = {
    { CHY_FORMAT_APK, HAS_ANDROID, "apk", HAS_JAR_SIGNATURE },
    { CHY_FORMAT_MSIX, HAS_CONTENT_TYPES | HAS_APPX, "msix", HAS_APPX_SIGNATURE },
    { CHY_FORMAT_MSIX, HAS_CONTENT_TYPES | HAS_APPX, "appx", HAS_APPX_SIGNATURE },
    { CHY_FORMAT_NUGET, HAS_CONTENT_TYPES | HAS_NUSPEC, "nupkg", HAS_NUGET_SIGNATURE },
    { CHY_FORMAT_WAR, HAS_WEB, "war", HAS_JAR_SIGNATURE },
    { CHY_FORMAT_EAR, HAS_MANIFEST | HAS_ENTERPRISE, "ear", HAS_JAR_SIGNATURE },
    { CHY_FORMAT_JAR, HAS_MANIFEST, "jar", HAS_JAR_SIGNATURE },
};

static void choose_kind(unsigned bits, struct chy_str name, struct chy_format_facts *facts)
{
    facts->kind = CHY_FORMAT_ZIP;
    for (size_t i = 0; i < CHY_ARRAY_LEN(kinds); i++) {
        if ((bits & kinds[i].all) != kinds[i].all && !format_name_ends(name, kinds[i].ending))
            continue;
        facts->kind = kinds[i].kind;
        facts->is_by_name = (bits & kinds[i].all) != kinds[i].all;
        facts->is_signed = (bits & kinds[i].is_signed_by) != 0;
        return;
    }
}

bool format_zip(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    struct zip_directory d;
    unsigned bits = 0;
    bool begins = format_has(r, 0, CHY_STR("PK\3\4")) || format_has(r, 0, CHY_STR("PK\5\6"));
    /* A program in front of an archive is that program. */
    if (!begins)
        return false;
    choose_kind(0, name, facts);
    if (!zip_find_directory(r, &d))
        return FORMAT_BROKEN(facts, "the archive's directory is not there");
    if (!read_directory(r, &d, &bits))
        return FORMAT_BROKEN(facts, "the archive's directory does not hold together");
    choose_kind(bits, name, facts);
    if (facts->kind == CHY_FORMAT_APK)
        facts->is_signed = facts->is_signed || has_signing_block(r, d.at);
    return true;
}

/* --- the signing block --- */

/* u64 size of what follows; pairs of u64 size, u32 number, value; u64 size; the mark. */
#define BLOCK_MARK  16
#define BLOCK_TAIL  (8 + BLOCK_MARK)
#define PAIR_HEAD   12
#define NUMBER_SIZE 4

static bool is_scheme(uint32_t number)
{
    return number == CHY_FORMAT_APK_V2 || number == CHY_FORMAT_APK_V3 ||
           number == CHY_FORMAT_APK_V3_1;
}

/* Of two of one number a tool verifies the first alone. */
static bool is_known(struct format_reader *r, const struct chy_format_place *place, uint32_t number)
{
    for (size_t i = 0; i < place->n_signatures; i++) {
        if (format_u32le(r, place->signatures[i].offset - NUMBER_SIZE) == number)
            return true;
    }
    return false;
}

static bool pairs_read(struct format_reader *r, uint64_t at, uint64_t end,
                       struct chy_format_place *place)
{
    while (at != end) {
        uint64_t size = format_u64le(r, at);
        if (end - at < PAIR_HEAD || size < NUMBER_SIZE || size > end - at - 8)
            return false;
        uint32_t number = format_u32le(r, at + 8);
        if (is_scheme(number)) {
            if (place->n_signatures == CHY_FORMAT_SIGNATURES || is_known(r, place, number))
                return false;
            place->signatures[place->n_signatures++] =
                (struct chy_format_range){ at + PAIR_HEAD, size - NUMBER_SIZE };
        }
        at += 8 + size;
    }
    return true;
}

bool zip_signing_block(struct format_reader *r, uint64_t directory, uint64_t *ret_start)
{
    *ret_start = directory;
    if (directory < BLOCK_TAIL || !has_signing_block(r, directory))
        return true;
    uint64_t size = format_u64le(r, directory - BLOCK_TAIL);
    if (size < BLOCK_TAIL || size > directory - 8)
        return false;
    *ret_start = directory - size - 8;
    return format_u64le(r, *ret_start) == size;
}

static bool block_read(struct format_reader *r, uint64_t directory, uint64_t end,
                       struct chy_format_place *place)
{
    uint64_t start;
    if (!zip_signing_block(r, directory, &start))
        return false;
    place->covered[0] = (struct chy_format_range){ 0, start };
    place->covered[1] = (struct chy_format_range){ directory, end - directory };
    place->covered[2] = (struct chy_format_range){ end, r->source->size_bytes - end };
    place->n_covered = 3;
    return pairs_read(r, start + 8, directory - BLOCK_TAIL, place);
}

enum chy_err chy_format_apk_place(const struct chy_format_source *source,
                                  struct chy_format_place *ret_place, struct chy_error *err)
{
    struct format_reader r;
    struct zip_directory d = { .at = 0 };
    struct chy_format_place place = { .n_covered = 0 };
    format_reader_init(&r, source);
    /* Android reads none of 64 bits. */
    bool is_archive = zip_find_directory(&r, &d) && d.end_64 == 0;
    bool has_block = is_archive && d.at >= BLOCK_TAIL && has_signing_block(&r, d.at);
    bool is_whole = has_block && block_read(&r, d.at, d.end, &place);
    if (r.result != CHY_OK)
        return chy_fail(err, r.result, "%s", r.error.text);
    if (!is_archive || (has_block && !is_whole))
        return chy_fail(err, CHY_E_MALFORMED, "the package does not hold together");
    if (place.n_signatures == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "it is not signed by scheme v2, v3 or v3.1");
    *ret_place = place;
    return CHY_OK;
}
