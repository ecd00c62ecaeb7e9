/* SPDX-License-Identifier: MIT */
/* What OpenPGP signed: a file, a text that stays readable, the members of a Debian package, the
 * header of an RPM. */
#include "base/limits.h"
#include "client/verify_internal.h"
#include "format/armor.h"
#include "format/cleartext.h"
#include "format/openpgp_read.h"

#define CLEARTEXT_MARK  "-----BEGIN PGP SIGNED MESSAGE-----"
#define SIGNATURE_MARK  "-----BEGIN PGP SIGNATURE-----"
#define SIGNATURE_FIRST 0x80 /* the bit that every packet begins with */

/* --- signatures --- */

/* What is hashed behind the data, and the row. `hasher` has the data. */
static enum chy_err seal_add(struct verify_run *run, const struct chy_openpgp_seal *s,
                             struct chy_hasher *hasher, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf tail;
    CHY_CLEANUP(chy_buf_done) struct chy_buf value;
    uint8_t digest[CHY_LIMIT_DIGEST];
    chy_buf_init(&tail, CHY_LIMIT_CMS);
    chy_buf_init(&value, CHY_LIMIT_RAW_SIGNATURE);
    chy_buf_append(&tail, s->hashed);
    chy_buf_append_u16(&tail, 0x04ff);
    chy_buf_append_u32(&tail, (uint32_t)s->hashed.n);
    CHY_TRY(chy_buf_check(&tail, err));
    chy_hasher_add(hasher, chy_buf_bytes(&tail));
    chy_hasher_end(hasher, digest);
    CHY_TRY(chy_openpgp_seal_value(s, &value, err));
    size_t n = chy_hash_alg_bytes(chy_openpgp_seal_hash(s));
    return verify_signed_add(run, chy_openpgp_seal_alg(s), (struct chy_bytes){ digest, n },
                             chy_buf_bytes(&value), err);
}

static enum chy_err seal_hasher(const struct chy_openpgp_seal *s, struct chy_hasher **ret,
                                struct chy_error *err)
{
    if (chy_openpgp_seal_alg(s) == CHY_ALG_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "OpenPGP's algorithm %u with hash %u is none of ours",
                        (unsigned)s->algorithm, (unsigned)s->hash);
    return chy_hasher_new(chy_openpgp_seal_hash(s), ret, err);
}

/* Of text every program has line ends of its own: those are for clear-signed ones. */
static enum chy_err seals_of(struct verify_run *run, struct chy_bytes packets,
                             const struct verify_ranges *ranges, struct chy_error *err)
{
    while (packets.n != 0) {
        CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
        struct chy_openpgp_seal s;
        CHY_TRY(chy_openpgp_seal_take(&packets, &s, err));
        if (s.class != CHY_OPENPGP_BINARY)
            return chy_fail(err, CHY_E_UNSUPPORTED, "an OpenPGP signature of class 0x%02x",
                            (unsigned)s.class);
        CHY_TRY(seal_hasher(&s, &hasher, err));
        CHY_TRY(verify_hash_add(run, ranges, hasher, err));
        CHY_TRY(seal_add(run, &s, hasher, err));
    }
    return CHY_OK;
}

/* With or without armour. */
static enum chy_err signature_of(struct verify_run *run, struct chy_bytes in,
                                 const struct verify_ranges *ranges, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf packets;
    chy_buf_init(&packets, CHY_LIMIT_CMS);
    if (in.n != 0 && (in.p[0] & SIGNATURE_FIRST) != 0)
        return seals_of(run, in, ranges, err);
    CHY_TRY(chy_armor_read(chy_bytes_str(in), CHY_ARMOR_SIGNATURE, &packets, err));
    return seals_of(run, chy_buf_bytes(&packets), ranges, err);
}

enum chy_err verify_openpgp(struct verify_run *run, struct chy_error *err)
{
    const struct verify_ranges all = verify_whole(run);
    return signature_of(run, run->input->signature, &all, err);
}

/* --- packages --- */

typedef enum chy_err place_fn(const struct chy_format_source *source,
                              struct chy_format_place *ret_place, struct chy_error *err);

static enum chy_err package_of(struct verify_run *run, place_fn *find, struct chy_error *err)
{
    const struct chy_format_source source = verify_source(run);
    struct chy_format_place place;
    struct verify_ranges ranges = { .n = 0 };
    CHY_TRY(find(&source, &place, err));
    for (; ranges.n < place.n_covered; ranges.n++) {
        ranges.p[ranges.n].offset = place.covered[ranges.n].offset;
        ranges.p[ranges.n].size = place.covered[ranges.n].size;
    }
    for (size_t i = 0; i < place.n_signatures; i++) {
        struct chy_bytes in;
        CHY_TRY(verify_read(run, place.signatures[i].offset, place.signatures[i].size, &in, err));
        CHY_TRY(signature_of(run, in, &ranges, err));
    }
    return CHY_OK;
}

enum chy_err verify_deb(struct verify_run *run, struct chy_error *err)
{
    return package_of(run, chy_format_deb_place, err);
}

enum chy_err verify_rpm(struct verify_run *run, struct chy_error *err)
{
    return package_of(run, chy_format_rpm_place, err);
}

/* --- clear-signed texts --- */

struct cleartext {
    struct chy_str body; /* lines as they stand there, dashes and all */
    struct chy_str armor;
};

/* A line without its end. */
static bool line_take(struct chy_str *text, struct chy_str *ret_line)
{
    if (text->n == 0)
        return false;
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end != NULL ? (size_t)(end - text->p) : text->n;
    size_t taken = end != NULL ? n + 1 : n;
    *ret_line = (struct chy_str){ text->p, n };
    *text = (struct chy_str){ text->p + taken, text->n - taken };
    return true;
}

static bool line_is(struct chy_str line, const char *text)
{
    while (line.n != 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return chy_str_equal_c(line, text);
}

/* Of headers gpg has been seen to pass over what was none: only names of hashes may stand there. */
static bool is_hash_header(struct chy_str line)
{
    if (!chy_str_starts(line, "Hash: "))
        return false;
    struct chy_str names = { line.p + 6, line.n - 6 };
    for (size_t i = 0; i < names.n; i++) {
        if (names.p[i] == '\0' ||
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, \r", names.p[i]) == NULL)
            return false;
    }
    return true;
}

/* What begins with a dash is escaped, or ends the text. */
static bool is_text_line(struct chy_str line)
{
    return memchr(line.p, '\0', line.n) == NULL &&
           (!chy_str_starts(line, "-") || chy_str_starts(line, "- "));
}

static enum chy_err cleartext_read(struct chy_str text, struct cleartext *ret,
                                   struct chy_error *err)
{
    struct chy_str line = { 0 };
    bool is_one = line_take(&text, &line) && line_is(line, CLEARTEXT_MARK);
    while (is_one && line_take(&text, &line) && !line_is(line, "")) {
        is_one = is_hash_header(line);
    }
    ret->body = (struct chy_str){ text.p, 0 };
    ret->armor = text;
    while (is_one && line_take(&text, &line)) {
        if (line_is(line, SIGNATURE_MARK))
            return CHY_OK;
        is_one = is_text_line(line);
        ret->body.n = (size_t)(text.p - ret->body.p);
        ret->armor = text;
    }
    return chy_fail(err, CHY_E_MALFORMED, "no text that OpenPGP has signed, and nothing else");
}

/* Hash lines as they are signed; those of a text that is not signed yet have no dashes before
 * them. */
static enum chy_err lines_hash(struct chy_str text, bool has_dashes, struct chy_hasher *hasher,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf unused;
    CHY_CLEANUP(chy_cleartext_done) struct chy_cleartext c;
    struct chy_str line;
    chy_buf_init(&unused, (size_t)2 * CHY_LIMIT_CLEARTEXT_LINE);
    chy_cleartext_init(&c);
    while (line_take(&text, &line)) {
        bool is_escaped = has_dashes && chy_str_starts(line, "- ");
        struct chy_str plain = { line.p + (is_escaped ? 2 : 0), line.n - (is_escaped ? 2 : 0) };
        CHY_TRY(chy_cleartext_add(&c, chy_str_bytes(plain), hasher, &unused, err));
        CHY_TRY(chy_cleartext_add(&c, chy_str_bytes(CHY_STR("\n")), hasher, &unused, err));
        chy_buf_clear(&unused);
    }
    return chy_cleartext_end(&c, hasher, &unused, err);
}

/* To the last byte, but for the line end that the signature is behind. */
static bool is_exactly(struct chy_str body, struct chy_str file)
{
    while (body.n != 0) {
        size_t dash = chy_str_starts(body, "- ") ? 2 : 0;
        const char *end = memchr(body.p, '\n', body.n);
        size_t n = (end != NULL ? (size_t)(end - body.p) + 1 : body.n) - dash;
        struct chy_str line = { body.p + dash, n };
        body = (struct chy_str){ line.p + n, body.n - dash - n };
        if (body.n == 0 && file.n + 1 == n)
            line.n--;
        if (file.n < line.n || !chy_str_equal(line, (struct chy_str){ file.p, line.n }))
            return false;
        file = (struct chy_str){ file.p + line.n, file.n - line.n };
    }
    return file.n == 0;
}

/* The file may be the clear-signed one itself; if not, it must have the same text. Blanks at the
 * ends of lines are not signed (RFC 4880 section 7.1), and some files mean something by them. */
static enum chy_err text_compare(struct verify_run *run, const struct cleartext *c,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    uint8_t digests[2][CHY_HASH_BYTES];
    struct chy_bytes file;
    CHY_TRY(verify_read(run, 0, run->input->size_bytes, &file, err));
    if (chy_bytes_equal(file, run->input->signature) || is_exactly(c->body, chy_bytes_str(file)))
        return CHY_OK;
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &hasher, err));
    CHY_TRY(lines_hash(c->body, true, hasher, err));
    chy_hasher_end(hasher, digests[0]);
    CHY_TRY(lines_hash(chy_bytes_str(file), false, hasher, err));
    chy_hasher_end(hasher, digests[1]);
    if (!chy_bytes_equal((struct chy_bytes){ digests[0], CHY_HASH_BYTES },
                         (struct chy_bytes){ digests[1], CHY_HASH_BYTES }))
        return chy_fail(err, CHY_E_INTEGRITY, "the clear-signed text is another than the file's");
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "the clear-signed text and the file's differ in blanks at the ends of lines, "
                    "which are not signed");
}

static enum chy_err cleartext_seal(struct verify_run *run, const struct cleartext *c,
                                   const struct chy_openpgp_seal *s, struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    if (s->class != CHY_OPENPGP_TEXT && s->class != CHY_OPENPGP_BINARY)
        return chy_fail(err, CHY_E_UNSUPPORTED, "an OpenPGP signature of class 0x%02x",
                        (unsigned)s->class);
    /* Which none of ours is: the log has nothing of it, and a tool says if it is good. */
    if (chy_openpgp_seal_alg(s) == CHY_ALG_NONE)
        return CHY_OK;
    CHY_TRY(seal_hasher(s, &hasher, err));
    CHY_TRY(lines_hash(c->body, true, hasher, err));
    return seal_add(run, s, hasher, err);
}

enum chy_err verify_cleartext(struct verify_run *run, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf packets;
    struct cleartext c;
    chy_buf_init(&packets, CHY_LIMIT_CMS);
    CHY_TRY(cleartext_read(chy_bytes_str(run->input->signature), &c, err));
    CHY_TRY(text_compare(run, &c, err));
    CHY_TRY(chy_armor_read(c.armor, CHY_ARMOR_SIGNATURE, &packets, err));
    struct chy_bytes rest = chy_buf_bytes(&packets);
    while (rest.n != 0) {
        struct chy_openpgp_seal s;
        CHY_TRY(chy_openpgp_seal_take(&rest, &s, err));
        CHY_TRY(cleartext_seal(run, &c, &s, err));
    }
    return CHY_OK;
}
