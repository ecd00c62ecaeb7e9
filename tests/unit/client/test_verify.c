/* SPDX-License-Identifier: MIT */
/* Our own verification, here and in its child; what the child may not do; what receipts prove. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "base/mem.h"
#include "client/confined.h"
#include "client/receipt.h"
#include "client/verify.h"
#include "cms_fixture.h"
#include "codec/base64.h"
#include "codec/ssh_wire.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/pem.h"
#include "log_export.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sandbox.h"
#include "temp_dir.h"

static struct temp_dir dir;
static struct chy_arena arena;
static struct chy_error err;
static struct cms_party root;
static struct cms_party signer;
static struct chy_trust trust;
static int fd = -1;
static const struct chy_bytes content = { (const uint8_t *)"what is signed", 14 };

static int group_setup(void **state)
{
    (void)state;
    assert_int_equal(chy_crypto_init(NULL), CHY_OK);
    root = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    signer = cms_party_make(
        &(struct cms_party_options){ .name = "Signer", .issuer = &root, .usage = "codeSigning" });
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    cms_party_done(&root);
    cms_party_done(&signer);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    trust = (struct chy_trust){ .n_keys = 0 };
    assert_int_equal(chy_trust_store_new(&trust.roots, NULL), CHY_OK);
    assert_int_equal(chy_trust_store_new(&trust.stamp_roots, NULL), CHY_OK);
    struct chy_buf der = cms_party_der(&root);
    assert_int_equal(chy_trust_store_add(trust.roots, chy_buf_bytes(&der), NULL), CHY_OK);
    chy_buf_done(&der);
    assert_int_equal(chy_file_replace(dir.fd, "f", content, 0600, NULL), CHY_OK);
    assert_int_equal(chy_file_open_read(dir.fd, "f", &fd, NULL), CHY_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_fd_closep(&fd);
    chy_trust_store_free(trust.roots);
    chy_trust_store_free(trust.stamp_roots);
    chy_arena_done(&arena);
    temp_dir_remove(&dir);
    return 0;
}

static struct chy_verify_found found;

/* valgrind knows no way into a child: there all is verified here. */
static enum chy_err verify(enum chy_verify_form form, struct chy_bytes signature, bool in_child)
{
    const struct chy_verify_input input = {
        .form = form,
        .fd = fd,
        .size_bytes = content.n,
        .signature = signature,
        .trust = &trust,
        .now_us = CMS_NOW_US,
    };
    return in_child && kernel_is_bare() ? chy_verify_file(&input, &arena, &found, &err)
                                        : chy_verify_here(&input, &arena, &found, &err);
}

static void test_cms__here_and_in_the_child(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    for (int in_child = 0; in_child < 2; in_child++) {
        assert_int_equal(verify(CHY_VERIFY_CMS, chy_buf_bytes(&cms), in_child != 0), CHY_OK);
        assert_int_equal(found.signers.n, 1);
        assert_true(found.signers.p[0].is_good);
        assert_true(chy_str_equal_c(found.signers.p[0].name, "Signer"));
    }
    chy_buf_done(&cms);
}

static void test_pkcs7__its_own_content(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, 0, EVP_sha256());
    assert_int_equal(verify(CHY_VERIFY_PKCS7, chy_buf_bytes(&cms), true), CHY_OK);
    assert_true(found.signers.p[0].is_good);
    chy_buf_done(&cms);
    cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    assert_int_equal(verify(CHY_VERIFY_PKCS7, chy_buf_bytes(&cms), true), CHY_E_MALFORMED);
    chy_buf_done(&cms);
}

/* The front of the file tells. */
static void test_cms__attributes_as_content(void **state)
{
    (void)state;
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    struct chy_buf attributes;
    struct chy_buf forged = cms_confuse(&signer, &cms, &attributes);
    CHY_CLEANUP(chy_fd_closep) int file = -1;
    assert_int_equal(chy_file_replace(dir.fd, "a", chy_buf_bytes(&attributes), 0600, NULL), CHY_OK);
    assert_int_equal(chy_file_open_read(dir.fd, "a", &file, NULL), CHY_OK);
    const struct chy_verify_input input = { CHY_VERIFY_CMS,         file,   attributes.n,
                                            chy_buf_bytes(&forged), &trust, CMS_NOW_US };
    assert_int_equal(chy_verify_here(&input, &arena, &found, &err), CHY_OK);
    assert_false(found.signers.p[0].is_good);
    assert_true(chy_str_equal_c(found.signers.p[0].problem, chy_err_type(CHY_E_INTEGRITY)));
    chy_buf_done(&forged);
    chy_buf_done(&attributes);
    chy_buf_done(&cms);
}

static void test_names_and_stamps(void **state)
{
    (void)state;
    static const struct chy_str names[] = { { "Somebody", 8 } };
    struct chy_buf cms = cms_make(&signer, content, CMS_DETACHED, EVP_sha256());
    trust.document.names = (struct chy_strs){ names, 1 };
    assert_int_equal(verify(CHY_VERIFY_CMS, chy_buf_bytes(&cms), true), CHY_OK);
    assert_false(found.signers.p[0].is_good);
    assert_true(chy_str_equal_c(found.signers.p[0].problem, "forbidden"));
    trust.document.names.n = 0;
    trust.document.require_time_stamp = true;
    assert_int_equal(verify(CHY_VERIFY_CMS, chy_buf_bytes(&cms), true), CHY_OK);
    assert_false(found.signers.p[0].is_good);
    chy_buf_done(&cms);
}

static void test_other_forms__nothing_there(void **state)
{
    (void)state;
    const struct chy_bytes none = { NULL, 0 };
    assert_int_equal(verify(CHY_VERIFY_MODULE, none, true), CHY_E_NOT_FOUND);
    assert_int_equal(verify(CHY_VERIFY_PE, none, true), CHY_E_MALFORMED);
    assert_int_equal(verify(CHY_VERIFY_JAR, none, true), CHY_E_MALFORMED);
    assert_int_equal(verify(CHY_VERIFY_APK, none, true), CHY_E_MALFORMED);
    assert_int_equal(verify(CHY_VERIFY_RAW, none, true), CHY_E_INTEGRITY);
    assert_int_equal(verify(CHY_VERIFY_CMS, none, true), CHY_E_MALFORMED);
    assert_int_equal(verify((enum chy_verify_form)99, none, true), CHY_E_ARG);
    for (enum chy_verify_form f = CHY_VERIFY_OPENPGP; f <= CHY_VERIFY_SSH; f++)
        assert_int_equal(verify(f, none, true),
                         f == CHY_VERIFY_SSH ? CHY_E_NOT_FOUND : CHY_E_MALFORMED);
}

static void test_digest(void **state)
{
    uint8_t sha256[CHY_HASH_BYTES];
    (void)state;
    assert_int_equal(verify(CHY_VERIFY_DIGEST, (struct chy_bytes){ NULL, 0 }, true), CHY_OK);
    assert_int_equal(found.signers.n, 1);
    assert_false(found.signers.p[0].is_good);
    assert_int_equal(chy_sha256(content, sha256, NULL), CHY_OK);
    assert_true(
        chy_bytes_equal(found.signers.p[0].digest, (struct chy_bytes){ sha256, sizeof sha256 }));
}

/* --- what tools verify --- */

static enum chy_err verify_text(enum chy_verify_form form, const char *text)
{
    return verify(form, chy_str_bytes(chy_str_of(text)), false);
}

/* A text whose signature has no packet: as far as the armour it is whole. */
#define ARMOR "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"
#define HEAD  "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"

static void test_cleartext(void **state)
{
    (void)state;
    assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, HEAD "what is signed\n" ARMOR), CHY_OK);
    assert_int_equal(found.signers.n, 0);
    assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, HEAD "what is signed \n" ARMOR),
                     CHY_E_UNSUPPORTED);
    assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, HEAD "what is signed\t\r\n" ARMOR),
                     CHY_E_UNSUPPORTED);
    assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, HEAD "- what is signed\n" ARMOR), CHY_OK);
    assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, HEAD "what is\nsigned\n" ARMOR),
                     CHY_E_INTEGRITY);
    assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, HEAD "what is signed\n\n" ARMOR),
                     CHY_E_INTEGRITY);
}

static void test_cleartext__broken(void **state)
{
    static const char *const texts[] = {
        "x" HEAD "what is signed\n" ARMOR,
        HEAD "what is signed\n",
        HEAD "what is signed\n" ARMOR "more",
        HEAD "-what is signed\n" ARMOR,
        "-----BEGIN PGP SIGNED MESSAGE-----\nNotDashEscaped: yes\n\nwhat is signed\n" ARMOR,
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256 what\n\nwhat is signed\n" ARMOR,
        "-----BEGIN PGP SIGNED MESSAGE-----\n\t\n\nwhat is signed\n" ARMOR,
    };
    static const char zero[] = HEAD "what is\0 signed\n" ARMOR;
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(texts); i++)
        assert_int_equal(verify_text(CHY_VERIFY_CLEARTEXT, texts[i]), CHY_E_MALFORMED);
    assert_int_equal(verify(CHY_VERIFY_CLEARTEXT,
                            (struct chy_bytes){ (const uint8_t *)zero, sizeof zero - 1 }, false),
                     CHY_E_MALFORMED);
}

static void put_sshsig(struct chy_buf *text, uint32_t version, const char *hash, const char *type,
                       size_t value)
{
    static const uint8_t zeros[600];
    struct chy_buf blob;
    struct chy_buf inner;
    chy_buf_init(&blob, 4096);
    chy_buf_init(&inner, 2048);
    chy_ssh_put_text(&inner, type);
    chy_ssh_put_string(&inner, (struct chy_bytes){ zeros, value });
    chy_buf_append_c(&blob, "SSHSIG");
    chy_buf_append_u32(&blob, version);
    chy_ssh_put_text(&blob, "key");
    chy_ssh_put_text(&blob, "file");
    chy_ssh_put_text(&blob, "");
    chy_ssh_put_text(&blob, hash);
    chy_ssh_put_string(&blob, chy_buf_bytes(&inner));
    chy_buf_init(text, 8192);
    assert_true(chy_pem_append(text, "SSH SIGNATURE", chy_buf_bytes(&blob)));
    chy_buf_done(&blob);
    chy_buf_done(&inner);
}

static void test_ssh(void **state)
{
    static const struct {
        uint32_t version;
        const char *hash;
        const char *type;
        size_t value;
        enum chy_err r;
    } cases[] = {
        { 1, "sha512", "ssh-ed25519", 64, CHY_OK },
        { 1, "sha256", "rsa-sha2-512", 384, CHY_OK },
        { 1, "sha512", "rsa-sha2-512", 512, CHY_OK },
        { 2, "sha512", "ssh-ed25519", 64, CHY_E_UNSUPPORTED },
        { 1, "sha1", "ssh-ed25519", 64, CHY_E_UNSUPPORTED },
        { 1, "sha512", "sk-ssh-ed25519@openssh.com", 64, CHY_E_UNSUPPORTED },
        { 1, "sha512", "ecdsa-sha2-nistp256", 3, CHY_E_MALFORMED },
    };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct chy_buf text;
        put_sshsig(&text, cases[i].version, cases[i].hash, cases[i].type, cases[i].value);
        assert_int_equal(verify(CHY_VERIFY_SSH, chy_buf_bytes(&text), false), cases[i].r);
        assert_true(cases[i].r != CHY_OK || found.signers.n == 1);
        chy_buf_done(&text);
    }
    assert_int_equal(verify_text(CHY_VERIFY_SSH, "-----BEGIN SSH SIGNATURE-----\nU1NI\n"
                                                 "-----END SSH SIGNATURE-----\n"),
                     CHY_E_MALFORMED);
}

static void test_size(void **state)
{
    (void)state;
    struct chy_verify_input input = {
        .form = CHY_VERIFY_MODULE,
        .fd = fd,
        .size_bytes = CHY_LIMIT_VERIFY_FILE,
        .trust = &trust,
    };
    assert_int_equal(chy_verify_file(&input, &arena, &found, &err), CHY_E_IO); /* it is shorter */
    input.size_bytes++;
    assert_int_equal(chy_verify_file(&input, &arena, &found, &err), CHY_E_LIMIT);
}

/* --- the child --- */

static enum chy_err work_answer(const void *ctx, int file, struct chy_arena *a, struct chy_buf *out,
                                struct chy_error *e)
{
    (void)file;
    (void)a;
    (void)e;
    chy_buf_append_c(out, ctx);
    return CHY_OK;
}

static enum chy_err work_fail(const void *ctx, int file, struct chy_arena *a, struct chy_buf *out,
                              struct chy_error *e)
{
    (void)ctx;
    (void)file;
    (void)a;
    chy_buf_append_c(out, "not to be seen");
    return chy_fail(e, CHY_E_EXPIRED, "told in the child");
}

static enum chy_err work_hang(const void *ctx, int file, struct chy_arena *a, struct chy_buf *out,
                              struct chy_error *e)
{
    (void)ctx;
    (void)file;
    (void)a;
    (void)out;
    (void)e;
    for (volatile bool goes_on = true; goes_on;)
        ;
    return CHY_OK;
}

static enum chy_err work_die(const void *ctx, int file, struct chy_arena *a, struct chy_buf *out,
                             struct chy_error *e)
{
    (void)ctx;
    (void)file;
    (void)a;
    (void)out;
    (void)e;
    _exit(0);
}

/* Files, but the one it has. */
static enum chy_err work_open(const void *ctx, int file, struct chy_arena *a, struct chy_buf *out,
                              struct chy_error *e)
{
    char byte;
    (void)a;
    (void)e;
    bool reads_its_own = pread(file, &byte, 1, 0) == 1;
    int other = openat(AT_FDCWD, ctx, O_RDONLY | O_CLOEXEC);
    chy_buf_printf(out, "%d %d", reads_its_own, other >= 0);
    return CHY_OK;
}

static enum chy_err confined(chy_confined_fn *work, const void *ctx, struct chy_buf *out)
{
    const struct chy_confined c = { work, ctx, fd, 2000, 64, "the thing" };
    chy_buf_init(out, 64);
    return chy_confined_run(&c, out, &err);
}

static void test_confined(void **state)
{
    struct chy_buf out;
    (void)state;
    kernel_require();
    assert_int_equal(confined(work_answer, "an answer", &out), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&out), "an answer"));
    chy_buf_done(&out);
    assert_int_equal(confined(work_fail, NULL, &out), CHY_E_EXPIRED);
    assert_string_equal(err.text, "told in the child");
    assert_int_equal(out.n, 0);
    chy_buf_done(&out);
    assert_int_equal(confined(work_die, NULL, &out), CHY_E_UNSUPPORTED);
    chy_buf_done(&out);
    assert_int_equal(confined(work_hang, NULL, &out), CHY_E_TIMEOUT);
    chy_buf_done(&out);
}

static void test_confined__opens_nothing(void **state)
{
    struct chy_buf out;
    (void)state;
    if (chy_sandbox_is_loose()) {
        print_message("a loose build has no seccomp filter\n");
        skip();
    }
    assert_int_equal(confined(work_open, "/etc/passwd", &out), CHY_OK);
    assert_true(chy_str_equal_c(chy_buf_str(&out), "1 0"));
    chy_buf_done(&out);
}

/* --- receipts --- */

#define INDEX 2

static struct export *log_make(struct chy_buf *receipt, bool has_entry)
{
    struct export *e = calloc(1, sizeof *e);
    struct chy_buf bare;
    assert_non_null(e);
    export_init(e);
    export_add_usual(e);
    chy_buf_init(&bare, CHY_LIMIT_RECEIPT);
    chy_buf_init(receipt, CHY_LIMIT_RECEIPT);
    export_receipt(e, INDEX, 5, &bare);
    struct chy_str text = chy_buf_str(&bare);
    size_t head = sizeof "c2sp.org/tlog-proof@v1\n" - 1;
    chy_buf_append_str(receipt, (struct chy_str){ text.p, head });
    if (has_entry) {
        chy_buf_append_c(receipt, "extra ");
        chy_base64_append(receipt, chy_buf_bytes(&e->entries[INDEX]));
        chy_buf_append_c(receipt, "\n");
    }
    chy_buf_append_str(receipt, (struct chy_str){ text.p + head, text.n - head });
    assert_int_equal(chy_buf_check(receipt, NULL), CHY_OK);
    chy_buf_done(&bare);
    return e;
}

static void test_receipt_prove(void **state)
{
    struct chy_buf receipt;
    struct chy_entry entry;
    uint64_t index = 0;
    (void)state;
    struct export *e = log_make(&receipt, true);
    assert_int_equal(
        chy_receipt_prove(chy_buf_str(&receipt), &e->key, 1, &arena, &index, &entry, &err), CHY_OK);
    assert_int_equal(index, INDEX);
    assert_int_equal(entry.kind, CHY_ENTRY_SIGN_OUTCOME);
    assert_int_equal(
        chy_receipt_prove(chy_buf_str(&receipt), NULL, 0, &arena, &index, &entry, &err),
        CHY_E_INTEGRITY);
    for (size_t i = 0; i < receipt.n; i++) { /* whatever is changed, it is refused */
        receipt.p[i] ^= 1;
        assert_int_not_equal(
            chy_receipt_prove(chy_buf_str(&receipt), &e->key, 1, &arena, &index, &entry, &err),
            CHY_OK);
        receipt.p[i] ^= 1;
    }
    chy_buf_done(&receipt);
    export_done(e);
    free(e);
}

static void test_receipt_prove__without_its_entry(void **state)
{
    struct chy_buf receipt;
    struct chy_entry entry;
    uint64_t index;
    (void)state;
    struct export *e = log_make(&receipt, false);
    assert_int_equal(
        chy_receipt_prove(chy_buf_str(&receipt), &e->key, 1, &arena, &index, &entry, &err),
        CHY_E_NOT_FOUND);
    assert_int_equal(chy_receipt_prove(CHY_STR("x"), &e->key, 1, &arena, &index, &entry, &err),
                     CHY_E_MALFORMED);
    chy_buf_done(&receipt);
    export_done(e);
    free(e);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_cms__here_and_in_the_child),
        T(test_pkcs7__its_own_content),
        T(test_cms__attributes_as_content),
        T(test_names_and_stamps),
        T(test_other_forms__nothing_there),
        T(test_size),
        T(test_digest),
        T(test_cleartext),
        T(test_cleartext__broken),
        T(test_ssh),
        T(test_confined),
        T(test_confined__opens_nothing),
        T(test_receipt_prove),
        T(test_receipt_prove__without_its_entry),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
