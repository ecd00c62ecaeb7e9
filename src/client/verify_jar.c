/* SPDX-License-Identifier: MIT */
/* The signatures of a JAR: META-INF/X.SF, and X.RSA, X.EC or X.DSA, which is CMS over it. That the
 * files are what X.SF says is for jarsigner to find; who signed it we see here. Source: JAR File
 * Specification, "Signed JAR File". */
#include <strings.h>
#include <zip.h>

#include "base/limits.h"
#include "client/jar_manifest.h"
#include "client/verify_internal.h"
#include "codec/base64.h"
#include "os/fd.h"

#define MANIFEST "META-INF/MANIFEST.MF"

struct jar {
    struct verify_run *run;
    zip_t *z;
    struct chy_bytes manifest;
    size_t n_signing; /* files of signatures so far */
    bool is_whole;    /* a signature is of all of the manifest */
};

void verify_archive_closep(zip_t **z)
{
    if (*z != NULL)
        zip_discard(*z);
}

static void zip_fclosep(zip_file_t **f)
{
    if (*f != NULL)
        CHY_IGNORE(zip_fclose(*f)); /* was only read */
}

enum chy_err verify_archive_open(const struct verify_run *run, zip_t **ret_zip,
                                 struct chy_error *err)
{
    int why = 0;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_fd_dup(run->input->fd, &fd, err));
    zip_t *z = zip_fdopen(fd, 0, &why);
    if (z == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "the archive cannot be read (libzip: %d)", why);
    fd = -1; /* the archive's */
    *ret_zip = z;
    return CHY_OK;
}

enum chy_err verify_member_read(struct verify_run *run, zip_t *z, const char *name, size_t max,
                                struct chy_bytes *ret, struct chy_error *err)
{
    zip_stat_t st;
    CHY_CLEANUP(zip_fclosep) zip_file_t *file = NULL;
    if (zip_stat(z, name, 0, &st) != 0 || (st.valid & ZIP_STAT_SIZE) == 0)
        return chy_fail(err, CHY_E_MALFORMED, "the archive has no %s", name);
    if (st.size > max)
        return chy_fail(err, CHY_E_LIMIT, "%s has %llu bytes, %zu are the most", name,
                        (unsigned long long)st.size, max);
    uint8_t *bytes = chy_arena_array(run->arena, uint8_t, (size_t)st.size + 1);
    if (bytes == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for %s", name);
    file = zip_fopen(z, name, 0);
    zip_int64_t n = file != NULL ? zip_fread(file, bytes, st.size + 1) : -1;
    if (n < 0 || (zip_uint64_t)n != st.size)
        return chy_fail(err, CHY_E_MALFORMED, "%s cannot be read", name);
    *ret = (struct chy_bytes){ bytes, (size_t)n };
    return CHY_OK;
}

/* What is signed and gone is a file as much changed as any: jarsigner warns, and verifies. */
static enum chy_err entry_check(void *ctx, struct chy_str name, struct chy_error *err)
{
    zip_t *z = ctx;
    char text[CHY_LIMIT_PATH + 1];
    (void)snprintf(text, sizeof text, "%.*s", CHY_STR_ARG(name));
    if (strlen(text) == name.n && zip_name_locate(z, text, 0) >= 0)
        return CHY_OK;
    return chy_fail(err, CHY_E_INTEGRITY, "%s is signed, and is not in it any more", text);
}

/* Of a manifest that was changed jarsigner takes the sections whose digest is signed, and does not
 * say that others are new. One signature must be of the whole: who signs later may add digests. */
static enum chy_err manifest_compare(struct jar *jar, struct chy_str sf, struct chy_error *err)
{
    static const struct {
        const char *name;
        enum chy_hash_alg alg;
    } digests[] = {
        { "SHA-256-Digest-Manifest", CHY_HASH_SHA256 },
        { "SHA-384-Digest-Manifest", CHY_HASH_SHA384 },
        { "SHA-512-Digest-Manifest", CHY_HASH_SHA512 },
    };
    uint8_t said[CHY_LIMIT_DIGEST];
    uint8_t digest[CHY_LIMIT_DIGEST];
    for (size_t i = 0; i < CHY_ARRAY_LEN(digests); i++) {
        CHY_CLEANUP(chy_buf_done) struct chy_buf value;
        size_t n = chy_hash_alg_bytes(digests[i].alg);
        chy_buf_init(&value, CHY_BASE64_LEN(n));
        enum chy_err r = chy_jar_manifest_value(sf, digests[i].name, &value, err);
        if (r == CHY_E_NOT_FOUND)
            continue;
        CHY_TRY(r);
        CHY_TRY(chy_base64_decode_exact(chy_buf_str(&value), said, n, err));
        CHY_TRY(chy_hash(digests[i].alg, jar->manifest, digest, err));
        jar->is_whole |=
            chy_bytes_equal((struct chy_bytes){ said, n }, (struct chy_bytes){ digest, n });
    }
    return CHY_OK;
}

enum chy_err verify_member_hash(const struct verify_run *run, zip_t *z, const char *name,
                                struct chy_hasher *hasher, struct chy_error *err)
{
    CHY_CLEANUP(zip_fclosep) zip_file_t *file = zip_fopen(z, name, 0);
    zip_int64_t n = 0;
    if (file == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "the archive has no %s", name);
    while ((n = zip_fread(file, run->part, VERIFY_PART_BYTES)) > 0)
        chy_hasher_add(hasher, (struct chy_bytes){ run->part, (size_t)n });
    return n == 0 ? CHY_OK : chy_fail(err, CHY_E_MALFORMED, "%s cannot be read", name);
}

/* "META-INF/X.RSA": the length of what is in front of the ending; 0 for another name. */
static size_t block_stem(const char *name)
{
    static const char *const endings[] = { ".RSA", ".EC", ".DSA" };
    size_t n = strlen(name);
    if (strncasecmp(name, "META-INF/", 9) != 0 || strchr(name + 9, '/') != NULL)
        return 0;
    for (size_t i = 0; i < CHY_ARRAY_LEN(endings); i++) {
        size_t e = strlen(endings[i]);
        if (n > 9 + e && strcasecmp(name + n - e, endings[i]) == 0)
            return n - e;
    }
    return 0;
}

static enum chy_err block_verify(struct jar *jar, const char *name, size_t stem,
                                 struct chy_error *err)
{
    struct verify_run *run = jar->run;
    zip_t *z = jar->z;
    struct chy_bytes block;
    struct chy_bytes content;
    struct chy_signed_data data;
    struct chy_str sf = chy_arena_printf(run->arena, "%.*s.SF", (int)stem, name);
    if (sf.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a name");
    CHY_TRY(verify_member_read(run, z, name, CHY_LIMIT_CMS, &block, err));
    CHY_TRY(verify_member_read(run, z, sf.p, CHY_LIMIT_JAR_MANIFEST, &content, err));
    CHY_TRY(chy_jar_manifest_read(chy_bytes_str(content), entry_check, z, err));
    CHY_TRY(manifest_compare(jar, chy_bytes_str(content), err));
    CHY_TRY(chy_signed_data_read(block, run->arena, &data, err));
    return verify_signed_data(run, &data, content, NULL, err);
}

static bool is_of_signature(const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(name, "META-INF/", 9) == 0 &&
           (block_stem(name) != 0 || strcasecmp(name, MANIFEST) == 0 ||
            strcasecmp(name + n - 3, ".SF") == 0);
}

/* Of two of one name jarsigner has seen one, and who reads from the front gets both; and it takes
 * the names of what signs in any case, for which all names are looked through. */
static enum chy_err name_check(struct jar *jar, const char *name, zip_int64_t i,
                               struct chy_error *err)
{
    bool is_signing = is_of_signature(name);
    if (is_signing && ++jar->n_signing > CHY_LIMIT_JAR_SIGNATURE_FILES)
        return chy_fail(err, CHY_E_LIMIT, "more than %d files of signatures in META-INF",
                        CHY_LIMIT_JAR_SIGNATURE_FILES);
    return zip_name_locate(jar->z, name, is_signing ? ZIP_FL_NOCASE : 0) == i
               ? CHY_OK
               : chy_fail(err, CHY_E_MALFORMED, "a name is there twice");
}

static enum chy_err blocks_verify(struct jar *jar, struct chy_error *err)
{
    zip_int64_t n = zip_get_num_entries(jar->z, 0);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(jar->z, (zip_uint64_t)i, 0);
        size_t stem = name != NULL ? block_stem(name) : 0;
        if (name != NULL)
            CHY_TRY(name_check(jar, name, i, err));
        if (stem != 0)
            CHY_TRY(block_verify(jar, name, stem, err));
    }
    return CHY_OK;
}

enum chy_err verify_jar(struct verify_run *run, struct chy_error *err)
{
    CHY_CLEANUP(verify_archive_closep) zip_t *z = NULL;
    CHY_TRY(verify_stream(run, CHY_ZIP_DESCRIPTORS_JAVA, err));
    CHY_TRY(verify_archive_open(run, &z, err));
    struct jar jar = { .run = run, .z = z };
    CHY_TRY(verify_member_read(run, z, MANIFEST, CHY_LIMIT_JAR_MANIFEST, &jar.manifest, err));
    CHY_TRY(blocks_verify(&jar, err));
    if (run->n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "it has no signature that can be read");
    if (!jar.is_whole)
        return chy_fail(err, CHY_E_INTEGRITY, "its manifest is none that a signature is of");
    return chy_jar_manifest_read(chy_bytes_str(jar.manifest), entry_check, z, err);
}
