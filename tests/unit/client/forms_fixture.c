/* SPDX-License-Identifier: MIT */
#include "forms_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "crypto/init.h"
#include "os/fd.h"

void forms_make(struct forms *f)
{
    assert_int_equal(chy_crypto_init(NULL), CHY_OK);
    f->root = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    f->signer = cms_party_make(&(struct cms_party_options){
        .name = "Signer", .issuer = &f->root, .usage = "codeSigning" });
    f->other = cms_party_make(&(struct cms_party_options){
        .name = "Other", .key_usage = "critical,digitalSignature", .usage = "codeSigning" });
}

void forms_done(struct forms *f)
{
    cms_party_done(&f->root);
    cms_party_done(&f->signer);
    cms_party_done(&f->other);
}

void forms_begin(struct forms *f)
{
    chy_arena_init(&f->arena, CHY_LIMIT_ARENA);
    f->trust = (struct chy_trust){ .n_keys = 0 };
    assert_int_equal(chy_trust_store_new(&f->trust.roots, NULL), CHY_OK);
    assert_int_equal(chy_trust_store_new(&f->trust.stamp_roots, NULL), CHY_OK);
    forms_trust(f, &f->root);
}

void forms_end(struct forms *f)
{
    chy_trust_store_free(f->trust.roots);
    chy_trust_store_free(f->trust.stamp_roots);
    chy_arena_done(&f->arena);
}

void forms_trust(struct forms *f, const struct cms_party *party)
{
    struct chy_buf der = cms_party_der(party);
    assert_int_equal(chy_trust_store_add(f->trust.roots, chy_buf_bytes(&der), NULL), CHY_OK);
    chy_buf_done(&der);
}

struct chy_buf forms_sign(const struct cms_party *party, struct chy_bytes content, const char *type)
{
    struct chy_buf b;
    uint8_t *der = NULL;
    BIO *in = BIO_new_mem_buf(content.p, (int)content.n);
    ASN1_OBJECT *oid = OBJ_txt2obj(type, 1);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, in, CMS_PARTIAL | CMS_BINARY);
    assert_non_null(cms);
    assert_int_equal(CMS_set1_eContentType(cms, oid), 1);
    assert_non_null(CMS_add1_signer(cms, party->cert, party->key, EVP_sha256(), CMS_BINARY));
    assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
    int n = i2d_CMS_ContentInfo(cms, &der);
    assert_true(n > 0);
    chy_buf_init(&b, 1 << 20);
    assert_true(chy_buf_append(&b, (struct chy_bytes){ der, (size_t)n }));
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    ASN1_OBJECT_free(oid);
    BIO_free(in);
    return b;
}

enum chy_err forms_verify(struct forms *f, enum chy_verify_form form, struct chy_bytes file)
{
    CHY_CLEANUP(chy_fd_closep) int fd = memfd_create("file", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.p, file.n), file.n);
    const struct chy_verify_input input = {
        .form = form,
        .fd = fd,
        .size_bytes = file.n,
        .trust = &f->trust,
        .now_us = CMS_NOW_US,
    };
    enum chy_err here = chy_verify_here(&input, &f->arena, &f->found, &f->err);
    if (!kernel_is_bare())
        return here; /* its child makes no sandbox under valgrind */
    size_t n = here == CHY_OK ? f->found.signers.n : 0;
    enum chy_err there = chy_verify_file(&input, &f->arena, &f->found, &f->err);
    assert_int_equal(there, here);
    if (here == CHY_OK)
        assert_int_equal(f->found.signers.n, n);
    return there;
}

void forms_expect_good(struct forms *f, enum chy_verify_form form, struct chy_bytes file)
{
    enum chy_err r = forms_verify(f, form, file);
    if (r != CHY_OK)
        fail_msg("%s", f->err.text);
    assert_true(f->found.signers.n >= 1);
    if (!f->found.signers.p[0].is_good)
        fail_msg("%.*s", CHY_STR_ARG(f->found.signers.p[0].detail));
}

void forms_expect_bad(struct forms *f, enum chy_verify_form form, struct chy_bytes file,
                      enum chy_err problem)
{
    assert_int_equal(forms_verify(f, form, file), CHY_OK);
    assert_true(f->found.signers.n >= 1);
    assert_false(f->found.signers.p[0].is_good);
    assert_true(chy_str_equal_c(f->found.signers.p[0].problem, chy_err_type(problem)));
}
