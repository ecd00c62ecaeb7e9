/* SPDX-License-Identifier: MIT */
/* What is read of a signed XML document, and what is not taken for one. Canonical forms are written
 * out here by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "format/xml_signature.h"

#define NS   "http://www.w3.org/2000/09/xmldsig#"
#define EXC  "http://www.w3.org/2001/10/xml-exc-c14n#"
#define C14N "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
#define MORE "http://www.w3.org/2001/04/xmldsig-more#"
#define S256 "http://www.w3.org/2001/04/xmlenc#sha256"

/* AAEC are the bytes 0 1 2. */
#define REFERENCE                                                                        \
    "<Reference URI=\"\"><Transforms><Transform Algorithm=\"" NS "enveloped-signature\"" \
    "/><Transform Algorithm=\"" EXC "\"/></Transforms><DigestMethod Algorithm=\"" S256   \
    "\"/><DigestValue>AAEC</DigestValue></Reference>"
#define SIGNED_INFO                                                                            \
    "<SignedInfo>\n<CanonicalizationMethod Algorithm=\"" EXC "\"/><SignatureMethod Algorithm=" \
    "\"" MORE "rsa-sha256\"/>" REFERENCE "</SignedInfo>"
#define KEY_INFO                                                                      \
    "<KeyInfo><X509Data><X509SubjectName>CN=a</X509SubjectName><X509Certificate>\nAA" \
    "EC\n</X509Certificate></X509Data><KeyName>a</KeyName></KeyInfo>"
#define SIGNATURE                                                                      \
    "<Signature xmlns=\"" NS "\" Id=\"s\">" SIGNED_INFO "<SignatureValue>\nAAECAw==\n" \
    "</SignatureValue>" KEY_INFO "</Signature>"
/* The document's transform is inclusive; SignedInfo's is not. */
#define INCLUSIVE                                                                                 \
    "<Signature xmlns=\"" NS "\"><SignedInfo><CanonicalizationMethod Algorithm=\"" EXC            \
    "\"/><SignatureMethod Algorithm=\"" MORE                                                      \
    "rsa-sha256\"/><Reference URI=\"\"><Transforms><Transform Algorithm=\"" NS                    \
    "enveloped-signature\"/><Transform Algorithm=\"" C14N                                         \
    "\"/></Transforms><DigestMethod Algorithm=\"" S256 "\"/><DigestValue>AAEC</DigestValue></Ref" \
    "erence></SignedInfo><SignatureValue>AAECAw==</SignatureValue>" KEY_INFO "</Signature>"
#define DOCUMENT "<?xml version=\"1.0\"?>\n<r  b='2' a='1'><e/>" SIGNATURE "t</r>\n"

static struct chy_arena arena;
static struct chy_error err;
static struct chy_xml_signature found;

static enum chy_err read_text(struct chy_str text)
{
    return chy_xml_signature_read(chy_str_bytes(text), &arena, &found, &err);
}

/* The document with `what` once replaced. */
static enum chy_err read_changed(const char *what, const char *by)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf b;
    const char *at = strstr(DOCUMENT, what);
    assert_non_null(at);
    chy_buf_init(&b, 1 << 16);
    chy_buf_append(&b, (struct chy_bytes){ (const uint8_t *)DOCUMENT, (size_t)(at - DOCUMENT) });
    chy_buf_append_c(&b, by);
    chy_buf_append_c(&b, at + strlen(what));
    return read_text(chy_buf_str(&b));
}

static void expect_digest(const uint8_t *digest, const char *canonical)
{
    uint8_t want[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(chy_str_bytes(chy_str_of(canonical)), want, NULL), CHY_OK);
    assert_memory_equal(digest, want, sizeof want);
}

/* Elements open and close, attributes are in order, the namespace stands where it is first used. */
#define CANONICAL_REFERENCE                                                               \
    "<Reference URI=\"\"><Transforms><Transform Algorithm=\"" NS "enveloped-signature\""  \
    "></Transform><Transform Algorithm=\"" EXC "\"></Transform></Transforms><DigestMetho" \
    "d Algorithm=\"" S256 "\"></DigestMethod><DigestValue>AAEC</DigestValue></Reference>"

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(read_text(CHY_STR(DOCUMENT)), CHY_OK);
    assert_int_equal(found.alg, CHY_ALG_RSA_PKCS1_SHA256);
    assert_int_equal(found.value.n, 4);
    assert_int_equal(found.said.n, 3);
    assert_int_equal(found.n_certificates, 1);
    assert_int_equal(found.certificates[0].n, 3);
    assert_int_equal(found.hash, CHY_HASH_SHA256);
    expect_digest(found.digest, "<r a=\"1\" b=\"2\"><e></e>t</r>");
    expect_digest(found.signed_digest,
                  "<SignedInfo xmlns=\"" NS "\">\n<CanonicalizationMethod Algorithm=\"" EXC
                  "\"></CanonicalizationMethod><SignatureMethod Algorithm=\"" MORE
                  "rsa-sha256\"></SignatureMethod>" CANONICAL_REFERENCE "</SignedInfo>");
}

/* Inclusive canonical XML gives SignedInfo the namespaces around it; without a second transform the
 * document is in that, too. */
static void test_other_canonical_xml(void **state)
{
    (void)state;
    assert_int_equal(read_changed("<Transform Algorithm=\"" EXC "\"/>", ""), CHY_OK);
    expect_digest(found.digest, "<r a=\"1\" b=\"2\"><e></e>t</r>");
    assert_int_equal(read_changed("CanonicalizationMethod Algorithm=\"" EXC,
                                  "CanonicalizationMethod Algorithm=\"" C14N),
                     CHY_OK);
    assert_int_equal(read_changed(MORE "rsa-sha256", MORE "ecdsa-sha512"), CHY_OK);
    assert_int_equal(found.alg, CHY_ALG_ECDSA_SHA512);
}

static void test_other_forms(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *by;
    } changes[] = {
        { "URI=\"\"", "URI=\"#a\"" },
        { "URI=\"\"", "" },
        { "<Transform Algorithm=\"" NS "enveloped-signature\"/>", "" },
        { "<Transform Algorithm=\"" EXC "\"/>", "<Transform Algorithm=\"" NS "base64\"/>" },
        { "<Transform Algorithm=\"" EXC "\"/>",
          "<Transform Algorithm=\"" EXC "\"/><Transform Algorithm=\"" EXC "\"/>" },
        { "<Transform Algorithm=\"" EXC "\"/>",
          "<Transform Algorithm=\"" EXC "\"><a xmlns=\"" EXC "\"/></Transform>" },
        { "</Reference>", "</Reference>" REFERENCE },
        { S256, NS "sha1" },
        { MORE "rsa-sha256", NS "rsa-sha1" },
        { MORE "rsa-sha256", NS "hmac-sha1" },
        { "CanonicalizationMethod Algorithm=\"" EXC, "CanonicalizationMethod Algorithm=\"a" },
        { "</Signature>", "<Object/></Signature>" },
        { "</Signature>", "evil</Signature>" },
        { "</Signature>", "<?evil?></Signature>" },
        { "</KeyInfo>", "<e xmlns=\"\"/></KeyInfo>" },
        { "</X509Data>", "evil</X509Data>" },
        { "<KeyInfo>", "<KeyInfo evil=\"1\">" },
        { "Id=\"s\"", "evil=\"s\"" },
        { KEY_INFO, "" },
        { "<X509Certificate>\nAAEC\n</X509Certificate>", "" },
        { "<KeyName>a</KeyName>", "<KeyName><e xmlns=\"\"/></KeyName>" },
        { "<KeyName>a</KeyName>", "<KeyName xml:id=\"a\">a</KeyName>" },
        { "AAECAw==", "AAEC<a/>" },
        { "t</r>", "t<!-- --></r>" },
        { "t</r>", "t" SIGNATURE "</r>" },
        { "<r ", "<!DOCTYPE r [<!ENTITY e 'x'>]><r " },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(changes); i++) {
        if (read_changed(changes[i].what, changes[i].by) != CHY_E_UNSUPPORTED)
            fail_msg("%s -> %s: %s", changes[i].what, changes[i].by, err.text);
    }
    assert_int_equal(read_text(CHY_STR(SIGNATURE)), CHY_E_UNSUPPORTED);
}

/* One text to the signature, and to a reader of the first piece another. */
static void test_text_in_pieces(void **state)
{
    (void)state;
    static const char *const in_pieces[] = {
        "<r><e>admin" SIGNATURE ".evil</e></r>",
        "<r><e>" SIGNATURE "admin</e></r>",
        "<r>a" SIGNATURE "b</r>",
        "<r><e>admin<![CDATA[.evil]]></e>" SIGNATURE "</r>",
        "<r><e><![CDATA[admin]]>.evil</e>" SIGNATURE "</r>",
        "<r><e>admin<![CDATA[]]>.evil</e>" SIGNATURE "</r>",
        "<r><e><![CDATA[admin]]> <![CDATA[.evil]]></e>" SIGNATURE "</r>",
    };
    static const char *const whole[] = {
        "<r>\n <e><![CDATA[admin]]></e>\n" SIGNATURE "\n</r>",
        "<r><e>\n<![CDATA[admin]]>\n</e>a\n" SIGNATURE "\n</r>",
        "<r><e>\n" SIGNATURE "\n<f>a</f>b</e></r>",
        "<r>a<e/><![CDATA[b]]><f/>c" SIGNATURE "</r>",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(in_pieces); i++) {
        if (read_text(chy_str_of(in_pieces[i])) != CHY_E_UNSUPPORTED)
            fail_msg("%s: %s", in_pieces[i], err.text);
    }
    for (size_t i = 0; i < CHY_ARRAY_LEN(whole); i++) {
        if (read_text(chy_str_of(whole[i])) != CHY_OK)
            fail_msg("%s: %s", whole[i], err.text);
    }
}

/* Exclusive canonical XML leaves out the namespaces that no name is in; a value may be in one. */
static void test_namespaces_not_covered(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        { "<e/>", "<e xmlns:x=\"urn:evil\" type=\"x:a\"/>" },
        { "<e/>", "<x:e xmlns:x=\"urn:a\"><f xmlns:x=\"urn:evil\" type=\"x:a\"/></x:e>" },
        { "<e/>", "<x:e xmlns:x=\"urn:a\" xmlns=\"urn:evil\"/>" },
        { "<r ", "<r xmlns:x=\"urn:evil\" " },
    };
    static const char *const covered[][2] = {
        { "<e/>", "<x:e xmlns:x=\"urn:a\" type=\"x:a\"/>" },
        { "<e/>", "<e xmlns:x=\"urn:a\"><f x:type=\"x:a\"/></e>" },
        { "<e/>", "<e xmlns=\"urn:a\"><f xmlns=\"\"/></e>" },
        { "<Transform Algorithm=\"" EXC "\"/>", "" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(changes); i++) {
        if (read_changed(changes[i][0], changes[i][1]) != CHY_E_UNSUPPORTED)
            fail_msg("%s: %s", changes[i][1], err.text);
    }
    for (size_t i = 0; i < CHY_ARRAY_LEN(covered); i++) {
        if (read_changed(covered[i][0], covered[i][1]) != CHY_OK)
            fail_msg("%s: %s", covered[i][1], err.text);
    }
    /* Inclusive canonical XML has them all. */
    assert_int_equal(read_text(CHY_STR("<r xmlns:x=\"urn:a\">" INCLUSIVE "</r>")), CHY_OK);
}

/* No signature covers the declaration, by which the rest is read. */
static void test_declarations(void **state)
{
    (void)state;
    static const char *const others[] = { "version=\"1.1\"", "version=\"1.0\" encoding=\"UTF-7\"",
                                          "version=\"1.0\" encoding=\"windows-1252\"" };
    static const char *const ours[] = { "version=\"1.0\" encoding=\"utf-8\"",
                                        "version=\"1.0\" encoding=\"US-ASCII\"",
                                        "version='1.0' standalone='yes'" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(others); i++)
        assert_int_equal(read_changed("version=\"1.0\"", others[i]), CHY_E_UNSUPPORTED);
    for (size_t i = 0; i < CHY_ARRAY_LEN(ours); i++)
        assert_int_equal(read_changed("version=\"1.0\"", ours[i]), CHY_OK);
}

static void test_broken(void **state)
{
    (void)state;
    assert_int_equal(read_text(CHY_STR("<r/>")), CHY_E_NOT_FOUND);
    assert_int_equal(read_changed(SIGNATURE, ""), CHY_E_NOT_FOUND);
    assert_int_equal(read_text(CHY_STR("")), CHY_E_MALFORMED);
    assert_int_equal(read_text(CHY_STR("<r>")), CHY_E_MALFORMED);
    assert_int_equal(read_text(CHY_STR("<r>&e;</r>")), CHY_E_MALFORMED);
    assert_int_equal(read_changed("AAECAw==", "AAECAw="), CHY_E_MALFORMED);
}

static struct chy_buf nested(size_t depth)
{
    struct chy_buf b;
    chy_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < depth; i++)
        chy_buf_append_c(&b, "<e>");
    for (size_t i = 0; i < depth; i++)
        chy_buf_append_c(&b, "</e>");
    return b;
}

static void test_limits(void **state)
{
    (void)state;
    struct chy_buf b = nested(CHY_LIMIT_XML_DEPTH);
    assert_int_equal(read_text(chy_buf_str(&b)), CHY_E_NOT_FOUND);
    chy_buf_done(&b);
    b = nested(CHY_LIMIT_XML_DEPTH + 1);
    assert_int_equal(read_text(chy_buf_str(&b)), CHY_E_LIMIT);
    chy_buf_done(&b);
    char *big = malloc(CHY_LIMIT_XML_FILE + 1);
    assert_non_null(big);
    memset(big, ' ', CHY_LIMIT_XML_FILE + 1);
    chy_copy(big, "<r/>", 4);
    assert_int_equal(read_text((struct chy_str){ big, CHY_LIMIT_XML_FILE }), CHY_E_NOT_FOUND);
    assert_int_equal(read_text((struct chy_str){ big, CHY_LIMIT_XML_FILE + 1 }), CHY_E_LIMIT);
    free(big);
}

#define CERTIFICATE "<X509Certificate>AAEC</X509Certificate>"
#define CERTIFICATE8 \
    CERTIFICATE CERTIFICATE CERTIFICATE CERTIFICATE CERTIFICATE CERTIFICATE CERTIFICATE CERTIFICATE

static void test_number_of_certificates(void **state)
{
    (void)state;
    _Static_assert(CHY_LIMIT_CHAIN == 8, "as many as CERTIFICATE8");
    assert_int_equal(read_changed("<X509Certificate>\nAAEC\n</X509Certificate>", CERTIFICATE8),
                     CHY_OK);
    assert_int_equal(found.n_certificates, 8);
    assert_int_equal(
        read_changed("<X509Certificate>\nAAEC\n</X509Certificate>", CERTIFICATE8 CERTIFICATE),
        CHY_E_LIMIT);
}

static int setup(void **state)
{
    (void)state;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good),           TEST(test_other_canonical_xml),    TEST(test_other_forms),
        TEST(test_text_in_pieces), TEST(test_namespaces_not_covered), TEST(test_declarations),
        TEST(test_broken),         TEST(test_number_of_certificates), TEST(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
