/* SPDX-License-Identifier: MIT */
/* What chancery verify reads of a stranger's file: CMS, where a file has its signatures, and what
 * was signed of the forms that tools verify. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "client/jar_manifest.h"
#include "client/pgp_armour.h"
#include "client/verify.h"
#include "crypto/signed_data.h"
#include "format/fit.h"
#include "format/openpgp_read.h"
#include "format/place.h"
#include "format/script_signature.h"
#include "format/zip_member.h"
#include "format/zip_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef enum chy_err place_fn(const struct chy_format_source *source,
                              struct chy_format_place *ret_place, struct chy_error *err);

static bool lies_in(struct chy_bytes part, struct chy_bytes whole)
{
    return part.p == NULL ||
           (part.p >= whole.p && part.n <= whole.n && part.p + part.n <= whole.p + whole.n);
}

static void cms_read(struct chy_bytes in)
{
    struct chy_signed_data d;
    struct chy_arena arena;
    if (chy_signed_data_parse(in, &d, NULL) == CHY_OK) {
        CHY_ASSERT(d.n_signers >= 1 && d.n_signers <= CHY_LIMIT_CMS_SIGNERS);
        CHY_ASSERT(lies_in(d.content, in));
        for (size_t i = 0; i < d.n_certificates; i++)
            CHY_ASSERT(lies_in(d.certificates[i], in));
        for (size_t i = 0; i < d.n_signers; i++)
            CHY_ASSERT(lies_in(d.signers[i].signature, in) &&
                       lies_in(d.signers[i].signed_attrs, in) &&
                       lies_in(d.signers[i].time_stamp, in));
    }
    chy_arena_init(&arena, 1 << 22);
    CHY_IGNORE(chy_signed_data_read(in, &arena, &d, NULL)); /* any answer will do */
    chy_arena_done(&arena);
}

static void place_read(place_fn *fn, struct chy_bytes in)
{
    const struct chy_format_source source = { in.n, chy_format_read_memory, &in };
    struct chy_format_place place;
    uint64_t at = 0;
    if (fn(&source, &place, NULL) != CHY_OK)
        return;
    CHY_ASSERT(place.n_covered >= 1 && place.n_covered <= CHY_FORMAT_RANGES);
    CHY_ASSERT(place.n_signatures >= 1 && place.n_signatures <= CHY_FORMAT_SIGNATURES);
    for (size_t i = 0; i < place.n_covered; i++) {
        CHY_ASSERT(place.covered[i].offset >= at);
        at = place.covered[i].offset + place.covered[i].size;
        CHY_ASSERT(at <= in.n);
    }
    for (size_t i = 0; i < place.n_signatures; i++) {
        const struct chy_format_range *s = &place.signatures[i];
        CHY_ASSERT(s->offset <= in.n && s->size <= in.n - s->offset);
        cms_read((struct chy_bytes){ in.p + s->offset, (size_t)s->size });
    }
}

static void seals_read(struct chy_bytes in)
{
    struct chy_openpgp_seal s;
    struct chy_buf value;
    for (struct chy_bytes rest = in; chy_openpgp_seal_take(&rest, &s, NULL) == CHY_OK;) {
        CHY_ASSERT(lies_in(s.hashed, in) && lies_in(s.numbers, in));
        chy_buf_init(&value, 1024);
        CHY_IGNORE(chy_openpgp_seal_value(&s, &value, NULL)); /* any answer will do */
        chy_buf_done(&value);
    }
}

/* The input is the file, and the signature that is beside it. Nobody is trusted. */
static void signed_read(struct chy_bytes in)
{
    static const enum chy_verify_form forms[] = {
        CHY_VERIFY_OPENPGP, CHY_VERIFY_CLEARTEXT, CHY_VERIFY_DEB,    CHY_VERIFY_RPM,
        CHY_VERIFY_SSH,     CHY_VERIFY_DIGEST,    CHY_VERIFY_APK,    CHY_VERIFY_XML,
        CHY_VERIFY_NUGET,   CHY_VERIFY_MSIX,      CHY_VERIFY_SCRIPT,
    };
    struct chy_trust trust = { .n_keys = 0 };
    int fd = memfd_create("file", MFD_CLOEXEC);
    CHY_ASSERT(fd >= 0 && write(fd, in.p, in.n) == (ssize_t)in.n);
    CHY_ASSERT(chy_trust_store_new(&trust.roots, NULL) == CHY_OK &&
               chy_trust_store_new(&trust.stamp_roots, NULL) == CHY_OK);
    for (size_t i = 0; i < CHY_ARRAY_LEN(forms); i++) {
        const struct chy_verify_input input = {
            .form = forms[i], .fd = fd, .size_bytes = in.n, .signature = in, .trust = &trust
        };
        struct chy_verify_found found;
        struct chy_arena arena;
        chy_arena_init(&arena, 1 << 25);
        if (chy_verify_here(&input, &arena, &found, NULL) == CHY_OK) {
            for (size_t k = 0; k < found.signers.n; k++)
                CHY_ASSERT(!found.signers.p[k].is_good);
        }
        chy_arena_done(&arena);
    }
    chy_trust_store_free(trust.roots);
    chy_trust_store_free(trust.stamp_roots);
    (void)close(fd);
}

/* What is left of an archive is shorter than it was, and none of it is from elsewhere. */
static void member_read(struct chy_bytes in, struct chy_str name)
{
    const struct chy_format_source source = { in.n, chy_format_read_memory, &in };
    struct chy_zip_member m;
    struct chy_buf behind;
    chy_buf_init(&behind, 1 << 24);
    if (chy_zip_member_out(&source, name, &behind, &m, NULL) == CHY_OK) {
        CHY_ASSERT(m.before.offset == 0 && m.before.size < m.data.offset);
        CHY_ASSERT(m.data.size <= in.n - m.data.offset);
        CHY_ASSERT(m.before.size + behind.n < in.n);
    }
    chy_buf_done(&behind);
}

/* Members follow each other, within the file. */
static enum chy_err piece_see(void *ctx, const struct chy_zip_piece *piece, struct chy_error *err)
{
    uint64_t *at = ctx;
    CHY_ASSERT(err == NULL && piece->data.offset >= *at + 30);
    CHY_ASSERT(piece->is_deflated || piece->data.size == piece->full_size);
    *at = piece->data.offset + piece->data.size;
    return CHY_OK;
}

static void stream_read(struct chy_bytes in, enum chy_zip_descriptors descriptors)
{
    const struct chy_format_source source = { in.n, chy_format_read_memory, &in };
    uint64_t at = 0;
    if (chy_zip_stream_check(&source, descriptors, piece_see, &at, NULL) == CHY_OK)
        CHY_ASSERT(at < in.n);
}

static void script_read(struct chy_bytes in)
{
    struct chy_script_signature s;
    struct chy_arena arena;
    chy_arena_init(&arena, 1 << 24);
    if (chy_script_signature_read(in, &arena, &s, NULL) == CHY_OK)
        CHY_ASSERT(s.covered.n % 2 == 0 && s.covered.n < 2 * in.n && s.cms.n < in.n);
    chy_arena_done(&arena);
}

static void fit_read(struct chy_bytes in)
{
    const struct chy_format_source source = { in.n, chy_format_read_memory, &in };
    struct chy_format_fit fit;
    if (chy_format_fit_read(&source, &fit, NULL) != CHY_OK)
        return;
    CHY_ASSERT(fit.n_configurations <= CHY_LIMIT_FIT_CONFIGURATIONS);
    for (size_t i = 0; i < fit.n_configurations; i++) {
        size_t length = strnlen(fit.configurations[i].text, CHY_LIMIT_FIT_NAME + 1);
        CHY_ASSERT(length >= 1 && length <= CHY_LIMIT_FIT_NAME);
    }
}

static enum chy_err entry_see(void *ctx, struct chy_str name, struct chy_error *err)
{
    CHY_ASSERT(ctx == NULL && err == NULL);
    CHY_ASSERT(name.n >= 1 && name.n <= CHY_LIMIT_PATH);
    return CHY_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct chy_bytes in = { data, n };
    struct chy_buf key;
    cms_read(in);
    place_read(chy_format_pe_place, in);
    place_read(chy_format_module_place, in);
    place_read(chy_format_deb_place, in);
    place_read(chy_format_rpm_place, in);
    place_read(chy_format_apk_place, in);
    seals_read(in);
    if (n <= 1 << 20)
        signed_read(in);
    fit_read(in);
    CHY_IGNORE(chy_jar_manifest_read(chy_bytes_str(in), entry_see, NULL, NULL)); /* any answer */
    member_read(in, CHY_STR(".signature.p7s"));
    member_read(in, CHY_STR("AppxSignature.p7x"));
    stream_read(in, CHY_ZIP_DESCRIPTORS_JAVA);
    stream_read(in, CHY_ZIP_DESCRIPTORS_ANY);
    script_read(in);
    chy_buf_init(&key, 1 << 20);
    CHY_IGNORE(chy_pgp_armour_take(chy_bytes_str(in), &key, NULL)); /* any answer will do */
    chy_buf_done(&key);
    return 0;
}
