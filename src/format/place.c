/* SPDX-License-Identifier: MIT */
#include "format/place.h"

static enum chy_err read_exactly(const struct chy_format_source *s, uint64_t offset, uint8_t *to,
                                 size_t n, struct chy_error *err)
{
    size_t got = 0;
    if (offset > s->size_bytes || n > s->size_bytes - offset)
        return chy_fail(err, CHY_E_MALFORMED, "the file ends within its headers");
    CHY_TRY(s->read(s->ctx, offset, to, n, &got, err));
    return got == n ? CHY_OK : chy_fail(err, CHY_E_IO, "the file became shorter");
}

static enum chy_err read_u16le(const struct chy_format_source *s, uint64_t offset, uint16_t *ret,
                               struct chy_error *err)
{
    uint8_t b[2];
    CHY_TRY(read_exactly(s, offset, b, sizeof b, err));
    *ret = (uint16_t)(b[0] | b[1] << 8);
    return CHY_OK;
}

static enum chy_err read_u32le(const struct chy_format_source *s, uint64_t offset, uint32_t *ret,
                               struct chy_error *err)
{
    uint8_t b[4];
    CHY_TRY(read_exactly(s, offset, b, sizeof b, err));
    *ret = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return CHY_OK;
}

static bool bytes_are(const uint8_t *p, struct chy_str text)
{
    return chy_str_equal((struct chy_str){ (const char *)p, text.n }, text);
}

static void cover(struct chy_format_place *place, uint64_t from, uint64_t to)
{
    place->covered[place->n_covered++] = (struct chy_format_range){ from, to - from };
}

/* --- PE --- */

#define PE_AT         0x3c /* u32, place of "PE\0\0" */
#define OPTIONAL_AT   24   /* from there: the optional header */
#define MAGIC_PLUS    0x20b
#define MAGIC         0x10b
#define CHECKSUM_AT   64 /* from the optional header, in both kinds */
#define DIRECTORIES   96 /* likewise: the number of directories is before, in four bytes */
#define DIRECTORIES_P 112
#define SECURITY      4           /* which of them is the table of signatures */
#define DIRECTORY     UINT64_C(8) /* its bytes: u32 where, u32 size */
#define ENTRY_BYTES   8           /* u32 length, u16 revision, u16 type */
#define TYPE_PKCS     2
#define ALIGNED(n)    (((n) + 7) & ~(uint64_t)7)

struct pe {
    uint64_t checksum;
    uint64_t directory; /* of the security directory's entry */
    uint64_t table;
    uint64_t table_size;
};

static enum chy_err pe_headers(const struct chy_format_source *s, struct pe *ret,
                               struct chy_error *err)
{
    uint16_t magic;
    uint32_t n;
    uint32_t v;
    uint8_t mark[4];
    CHY_TRY(read_u32le(s, PE_AT, &v, err));
    uint64_t pe = v;
    CHY_TRY(read_exactly(s, pe, mark, sizeof mark, err));
    CHY_TRY(read_u16le(s, pe + OPTIONAL_AT, &magic, err));
    if (!bytes_are(mark, CHY_STR("PE\0\0")) || (magic != MAGIC && magic != MAGIC_PLUS))
        return chy_fail(err, CHY_E_MALFORMED, "it has no header of a PE");
    uint64_t directories = pe + OPTIONAL_AT + (magic == MAGIC ? DIRECTORIES : DIRECTORIES_P);
    CHY_TRY(read_u32le(s, directories - 4, &n, err));
    if (n <= SECURITY)
        return chy_fail(err, CHY_E_NOT_FOUND, "it is not signed");
    ret->checksum = pe + OPTIONAL_AT + CHECKSUM_AT;
    ret->directory = directories + SECURITY * DIRECTORY;
    CHY_TRY(read_u32le(s, ret->directory, &v, err));
    ret->table = v;
    CHY_TRY(read_u32le(s, ret->directory + 4, &v, err));
    ret->table_size = v;
    return CHY_OK;
}

/* What stood behind the table would be in the file, and in no hash. */
static enum chy_err table_check(const struct chy_format_source *s, const struct pe *pe,
                                struct chy_error *err)
{
    if (pe->table == 0 || pe->table_size == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "it is not signed");
    if (pe->table < pe->directory + 8 || pe->table > s->size_bytes ||
        pe->table_size > s->size_bytes - pe->table)
        return chy_fail(err, CHY_E_MALFORMED, "its table of signatures is not within the file");
    if (pe->table + pe->table_size != s->size_bytes)
        return chy_fail(err, CHY_E_MALFORMED,
                        "%llu bytes follow its signatures, which nothing covers",
                        (unsigned long long)(s->size_bytes - pe->table - pe->table_size));
    return CHY_OK;
}

/* The length of the DER element at `offset`; what pads a signature to eight bytes is not its. */
static enum chy_err element_size(const struct chy_format_source *s, uint64_t offset, uint64_t max,
                                 uint64_t *ret_size, struct chy_error *err)
{
    uint8_t head[6] = { 0 };
    size_t n = (size_t)CHY_MIN(max, (uint64_t)sizeof head);
    CHY_TRY(read_exactly(s, offset, head, n, err));
    unsigned long_bytes = head[1] & 0x80 ? head[1] & 0x7f : 0;
    uint64_t size = long_bytes == 0 ? head[1] : 0;
    if (n < 2 || long_bytes > 4 || (long_bytes == 0 && head[1] == 0x80))
        return chy_fail(err, CHY_E_MALFORMED, "its signature is not DER");
    for (unsigned i = 0; i < long_bytes; i++)
        size = size << 8 | head[2 + i];
    size += 2 + long_bytes;
    if (size > max)
        return chy_fail(err, CHY_E_MALFORMED, "its signature is cut off");
    *ret_size = size;
    return CHY_OK;
}

/* Up to seven zeros: more is a place to hide something that is signed by nobody. */
static enum chy_err padding_check(const struct chy_format_source *s, uint64_t offset, uint64_t n,
                                  struct chy_error *err)
{
    uint8_t pad[7] = { 0 };
    uint8_t any = 0;
    if (n > sizeof pad)
        return chy_fail(err, CHY_E_MALFORMED, "%llu bytes follow a signature in its entry",
                        (unsigned long long)n);
    CHY_TRY(read_exactly(s, offset, pad, (size_t)n, err));
    for (size_t i = 0; i < n; i++)
        any |= pad[i];
    return any == 0 ? CHY_OK : chy_fail(err, CHY_E_MALFORMED, "something follows a signature");
}

/* One entry of the table; `at` goes on to the next. */
static enum chy_err entry_read(const struct chy_format_source *s, uint64_t *at, uint64_t end,
                               struct chy_format_place *place, struct chy_error *err)
{
    uint32_t length;
    uint16_t type;
    uint64_t size;
    CHY_TRY(read_u32le(s, *at, &length, err));
    CHY_TRY(read_u16le(s, *at + 6, &type, err));
    if (length < ENTRY_BYTES || length > end - *at)
        return chy_fail(err, CHY_E_MALFORMED, "its table of signatures does not hold together");
    if (type != TYPE_PKCS)
        return chy_fail(err, CHY_E_MALFORMED, "a signature of the unknown type %u in it", type);
    if (place->n_signatures == CHY_FORMAT_SIGNATURES)
        return chy_fail(err, CHY_E_LIMIT, "more than %d signatures", CHY_FORMAT_SIGNATURES);
    CHY_TRY(element_size(s, *at + ENTRY_BYTES, length - ENTRY_BYTES, &size, err));
    uint64_t next = CHY_MIN(*at + ALIGNED((uint64_t)length), end);
    CHY_TRY(padding_check(s, *at + ENTRY_BYTES + size, next - *at - ENTRY_BYTES - size, err));
    place->signatures[place->n_signatures++] = (struct chy_format_range){ *at + ENTRY_BYTES, size };
    *at += ALIGNED((uint64_t)length);
    return CHY_OK;
}

enum chy_err chy_format_pe_place(const struct chy_format_source *source,
                                 struct chy_format_place *ret_place, struct chy_error *err)
{
    struct pe pe;
    struct chy_format_place place = { .n_covered = 0 };
    CHY_TRY(pe_headers(source, &pe, err));
    CHY_TRY(table_check(source, &pe, err));
    cover(&place, 0, pe.checksum);
    cover(&place, pe.checksum + 4, pe.directory);
    cover(&place, pe.directory + 8, pe.table);
    uint64_t end = pe.table + pe.table_size;
    for (uint64_t at = pe.table; at < end;)
        CHY_TRY(entry_read(source, &at, end, &place, err));
    *ret_place = place;
    return CHY_OK;
}

/* --- kernel modules --- */

#define MARK       "~Module signature appended~\n"
#define MARK_BYTES (sizeof MARK - 1)
/* u8 algorithm, hash, kind, name length, key id length, 3 zeros, u32 big-endian length */
#define TAIL_BYTES 12
#define KIND_PKCS7 2

enum chy_err chy_format_module_place(const struct chy_format_source *source,
                                     struct chy_format_place *ret_place, struct chy_error *err)
{
    uint8_t b[TAIL_BYTES + MARK_BYTES];
    struct chy_format_place place = { .n_signatures = 1 };
    if (source->size_bytes < sizeof b)
        return chy_fail(err, CHY_E_NOT_FOUND, "it is not signed");
    uint64_t tail = source->size_bytes - sizeof b;
    CHY_TRY(read_exactly(source, tail, b, sizeof b, err));
    if (!bytes_are(b + TAIL_BYTES, CHY_STR(MARK)))
        return chy_fail(err, CHY_E_NOT_FOUND, "it is not signed");
    uint64_t size = (uint64_t)b[8] << 24 | (uint64_t)b[9] << 16 | (uint64_t)b[10] << 8 | b[11];
    bool is_plain = b[0] == 0 && b[1] == 0 && b[3] == 0 && b[4] == 0;
    if (b[2] != KIND_PKCS7 || !is_plain || size == 0 || size > tail)
        return chy_fail(err, CHY_E_MALFORMED, "its signature is of no known kind, or cut off");
    place.signatures[0] = (struct chy_format_range){ tail - size, size };
    cover(&place, 0, tail - size);
    *ret_place = place;
    return CHY_OK;
}

/* --- Debian packages --- */

#define AR_MARK     "!<arch>\n"
#define AR_HEADER   60 /* 16 name, 12 time, 6 owner, 6 group, 8 mode, 10 size in decimal, "`\n" */
#define AR_NAME     16
#define AR_SIZE_AT  48
#define AR_SIZE     10
#define DEB_MEMBERS 3

static enum chy_err member_size(const uint8_t header[AR_HEADER], uint64_t *ret_size,
                                struct chy_error *err)
{
    uint64_t size = 0;
    size_t n = 0;
    const uint8_t *digits = header + AR_SIZE_AT;
    for (; n < AR_SIZE && digits[n] >= '0' && digits[n] <= '9'; n++)
        size = size * 10 + (uint64_t)(digits[n] - '0');
    if (n == 0 || (n < AR_SIZE && digits[n] != ' ') || header[58] != '`' || header[59] != '\n')
        return chy_fail(err, CHY_E_MALFORMED, "a member of the package has no proper header");
    *ret_size = size;
    return CHY_OK;
}

/* In the order in which dpkg reads them; anything else that dpkg may read, and no signature covers,
 * must not be there. */
static enum chy_err member_add(struct chy_format_place *place, const uint8_t *header,
                               uint64_t offset, uint64_t size, struct chy_error *err)
{
    static const char *const names[DEB_MEMBERS] = { "debian-binary", "control.tar", "data.tar" };
    struct chy_str name = { (const char *)header, AR_NAME };
    if (chy_str_starts(name, "_gpg")) {
        if (place->n_signatures == CHY_FORMAT_SIGNATURES)
            return chy_fail(err, CHY_E_LIMIT, "more than %d signatures", CHY_FORMAT_SIGNATURES);
        place->signatures[place->n_signatures++] = (struct chy_format_range){ offset, size };
        return CHY_OK;
    }
    if (place->n_covered == DEB_MEMBERS || !chy_str_starts(name, names[place->n_covered]))
        return chy_fail(err, CHY_E_MALFORMED, "a member of the package is out of place");
    place->covered[place->n_covered++] = (struct chy_format_range){ offset, size };
    return CHY_OK;
}

enum chy_err chy_format_deb_place(const struct chy_format_source *source,
                                  struct chy_format_place *ret_place, struct chy_error *err)
{
    uint8_t mark[sizeof AR_MARK - 1];
    struct chy_format_place place = { .n_covered = 0 };
    CHY_TRY(read_exactly(source, 0, mark, sizeof mark, err));
    if (!bytes_are(mark, CHY_STR(AR_MARK)))
        return chy_fail(err, CHY_E_MALFORMED, "it is no package of Debian's");
    for (uint64_t at = sizeof mark; at < source->size_bytes;) {
        uint8_t header[AR_HEADER];
        uint64_t size;
        CHY_TRY(read_exactly(source, at, header, sizeof header, err));
        CHY_TRY(member_size(header, &size, err));
        at += sizeof header;
        if (size > source->size_bytes - at)
            return chy_fail(err, CHY_E_MALFORMED, "the package ends within a member");
        CHY_TRY(member_add(&place, header, at, size, err));
        at += size + (size & 1);
    }
    if (place.n_covered != DEB_MEMBERS)
        return chy_fail(err, CHY_E_MALFORMED, "a member of the package is missing");
    if (place.n_signatures == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "it is not signed");
    *ret_place = place;
    return CHY_OK;
}
