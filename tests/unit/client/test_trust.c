/* SPDX-License-Identifier: MIT */
/* The trust file, field by field; and the armour of the OpenPGP keys that it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/pgp_armour.h"
#include "client/trust.h"
#include "cms_fixture.h"
#include "crypto/pem.h"
#include "key_fixture.h"
#include "os/file.h"
#include "temp_dir.h"

static struct temp_dir dir;
static struct chy_arena arena;
static struct chy_trust *trust;
static struct chy_error err;
static struct cms_party root;
static struct chy_str root_pem;
static struct chy_str key_pem;

#define LOG_KEY "log.example.org+9cf67c54+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_trust_free(trust);
    trust = NULL;
    chy_arena_done(&arena);
    temp_dir_remove(&dir);
    return 0;
}

static struct chy_buf root_text;
static struct chy_buf key_text;

static int group_setup(void **state)
{
    (void)state;
    root = cms_party_make(&(struct cms_party_options){ .name = "Root" });
    struct chy_buf der = cms_party_der(&root);
    chy_buf_init(&root_text, 1 << 16);
    chy_buf_init(&key_text, 1 << 16);
    assert_true(chy_pem_append(&root_text, "CERTIFICATE", chy_buf_bytes(&der)));
    assert_true(chy_pem_append(&key_text, "PUBLIC KEY",
                               chy_pubkey_spki(chy_privkey_public(fixture_key_of(CHY_KEY_P256)))));
    root_pem = chy_buf_str(&root_text);
    key_pem = chy_buf_str(&key_text);
    chy_buf_done(&der);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    chy_buf_done(&root_text);
    chy_buf_done(&key_text);
    cms_party_done(&root);
    fixture_keys_free();
    return 0;
}

static void put(const char *name, struct chy_str text)
{
    assert_int_equal(chy_file_replace(dir.fd, name, chy_str_bytes(text), 0600, NULL), CHY_OK);
}

static enum chy_err load(const char *text)
{
    struct chy_str path = chy_arena_printf(&arena, "%s/trust.yaml", dir.path);
    put("trust.yaml", chy_str_of(text));
    chy_trust_free(trust);
    trust = NULL;
    return chy_trust_load(path, &arena, &trust, &err);
}

static void test_load__least(void **state)
{
    (void)state;
    assert_int_equal(load("version: 1\n"), CHY_OK);
    assert_int_equal(chy_trust_store_size(trust->roots), 0);
    assert_true(chy_trust_takes_name(trust, CHY_STR("anybody"), CHY_STR("CN=anybody")));
    assert_false(trust->document.require_log || trust->document.require_time_stamp);
}

static void test_load__version(void **state)
{
    (void)state;
    assert_int_equal(load("roots: []\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 2\n"), CHY_E_LIMIT);
    assert_int_equal(load("version: 1\nrots: []\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 1\nroots: [\n"), CHY_E_MALFORMED);
}

static void test_load__not_there(void **state)
{
    (void)state;
    assert_int_equal(chy_trust_load(CHY_STR("/nonexistent/trust.yaml"), &arena, &trust, &err),
                     CHY_E_NOT_FOUND);
    assert_int_equal(load("version: 1\nroots:\n  - file: none.pem\n"), CHY_E_NOT_FOUND);
}

/* From the folder of the trust file, wherever we are. */
static void test_roots__file(void **state)
{
    (void)state;
    put("root.pem", root_pem);
    assert_int_equal(load("version: 1\nroots:\n  - file: root.pem\n"), CHY_OK);
    assert_int_equal(chy_trust_store_size(trust->roots), 1);
    assert_int_equal(chy_trust_store_size(trust->stamp_roots), 1);
}

static void test_roots__text(void **state)
{
    (void)state;
    struct chy_buf text;
    chy_buf_init(&text, 1 << 16);
    chy_buf_append_c(&text, "version: 1\nroots:\n  - text: \"");
    for (size_t i = 0; i < root_pem.n; i++)
        chy_buf_append_c(&text, root_pem.p[i] == '\n' ? "\\n" : (char[]){ root_pem.p[i], '\0' });
    chy_buf_append_c(&text, "\"\n");
    chy_buf_append_u8(&text, 0);
    assert_int_equal(load((const char *)text.p), CHY_OK);
    assert_int_equal(chy_trust_store_size(trust->roots), 1);
    chy_buf_done(&text);
}

static void test_roots__wrong(void **state)
{
    (void)state;
    put("key.pem", key_pem);
    put("broken.pem", CHY_STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    assert_int_equal(load("version: 1\nroots:\n  - file: key.pem\n"), CHY_E_MALFORMED);
    assert_non_null(strstr(err.text, "key.pem"));
    assert_int_equal(load("version: 1\nroots:\n  - file: broken.pem\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 1\nroots:\n  - {}\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 1\nroots:\n  - {file: a, text: b}\n"), CHY_E_MALFORMED);
}

static void test_time_stamp_roots(void **state)
{
    (void)state;
    put("root.pem", root_pem);
    assert_int_equal(load("version: 1\ntime_stamp_roots:\n  - file: root.pem\n"), CHY_OK);
    assert_int_equal(chy_trust_store_size(trust->roots), 0);
    assert_int_equal(chy_trust_store_size(trust->stamp_roots), 1);
}

/* PEM, with more than one in it, or DER. */
static void test_crls(void **state)
{
    (void)state;
    struct chy_buf der = cms_crl_make(&(struct cms_crl_options){ .issuer = &root, .reason = -1 });
    struct chy_buf pem;
    chy_buf_init(&pem, 1 << 16);
    for (int i = 0; i < 2; i++)
        assert_true(chy_pem_append(&pem, "X509 CRL", chy_buf_bytes(&der)));
    put("a.crl", chy_buf_str(&der));
    put("b.pem", chy_buf_str(&pem));
    put("c.pem", chy_str_of("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"));
    put("d.pem", chy_str_of("-----BEGIN X509 CRL-----\nAAAA\n"));
    assert_int_equal(load("version: 1\ncrls:\n  - file: a.crl\n  - file: b.pem\n"), CHY_OK);
    assert_int_equal(load("version: 1\ncrls:\n  - file: c.pem\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 1\ncrls:\n  - file: d.pem\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 1\ncrls:\n  - text: none\n"), CHY_E_MALFORMED);
    chy_buf_done(&pem);
    chy_buf_done(&der);
}

static void test_keys(void **state)
{
    (void)state;
    put("key.pem", key_pem);
    put("root.pem", root_pem);
    assert_int_equal(load("version: 1\nkeys:\n  - file: key.pem\n"), CHY_OK);
    assert_int_equal(trust->n_keys, 1);
    assert_int_equal(chy_pubkey_type(trust->keys[0]), CHY_KEY_P256);
    assert_int_equal(load("version: 1\nkeys:\n  - file: root.pem\n"), CHY_E_NOT_FOUND);
}

static enum chy_err load_many(const char *head, const char *line, size_t n)
{
    struct chy_buf text;
    chy_buf_init(&text, 1 << 22);
    chy_buf_append_c(&text, head);
    for (size_t i = 0; i < n; i++)
        chy_buf_append_c(&text, line);
    chy_buf_append_u8(&text, 0);
    assert_int_equal(chy_buf_check(&text, NULL), CHY_OK);
    enum chy_err r = load((const char *)text.p);
    chy_buf_done(&text);
    return r;
}

static void test_limits(void **state)
{
    (void)state;
    put("key.pem", key_pem);
    put("root.pem", root_pem);
    static const struct {
        const char *head;
        const char *line;
        size_t max;
    } lists[] = {
        { "version: 1\nroots:\n", "  - file: root.pem\n", CHY_LIMIT_TRUST_FILES },
        { "version: 1\ntime_stamp_roots:\n", "  - file: root.pem\n", CHY_LIMIT_TRUST_FILES },
        { "version: 1\nkeys:\n", "  - file: key.pem\n", CHY_LIMIT_TRUST_KEYS },
        { "version: 1\nopenpgp_keys:\n", "  - file: key.pem\n", CHY_LIMIT_TRUST_FILES },
        { "version: 1\nfit_keys:\n", "  - file: key.pem\n", CHY_LIMIT_TRUST_FILES },
        { "version: 1\nssh_keys:\n", "  - {principal: a, key: ssh-ed25519 AAAA}\n",
          CHY_LIMIT_TRUST_FILES },
        { "version: 1\nlog_keys:\n", "  - " LOG_KEY "\n", CHY_LIMIT_LOG_KEYS },
        { "version: 1\nnames:\n", "  - a\n", CHY_LIMIT_TRUST_FILES },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lists); i++) {
        assert_int_equal(load_many(lists[i].head, lists[i].line, lists[i].max), CHY_OK);
        assert_int_equal(load_many(lists[i].head, lists[i].line, lists[i].max + 1), CHY_E_LIMIT);
    }
}

static void test_log_keys(void **state)
{
    (void)state;
    assert_int_equal(load("version: 1\nlog_keys: " LOG_KEY "\n"), CHY_OK);
    assert_int_equal(trust->n_log_keys, 1);
    assert_string_equal(trust->log_keys[0].name, "log.example.org");
    assert_int_equal(load("version: 1\nlog_keys: log.example.org+9cf67c55"
                          "+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"),
                     CHY_E_MALFORMED);
}

static void test_ssh_keys(void **state)
{
    (void)state;
    assert_int_equal(load("version: 1\nssh_keys:\n  - {principal: a@b, key: ssh-ed25519 AAAA}\n"),
                     CHY_OK);
    assert_int_equal(trust->document.ssh_keys.n, 1);
    assert_int_equal(load("version: 1\nssh_keys:\n  - {principal: a@b}\n"), CHY_E_MALFORMED);
    assert_int_equal(load("version: 1\nssh_keys:\n  - {principal: a b, key: x}\n"),
                     CHY_E_MALFORMED);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(load("version: 1\nnames: [\"Example *\", \"*,O=Other\"]\n"), CHY_OK);
    assert_true(chy_trust_takes_name(trust, CHY_STR("Example Corp"), CHY_STR("CN=Example Corp")));
    assert_true(chy_trust_takes_name(trust, CHY_STR("X"), CHY_STR("CN=X,O=Other")));
    assert_false(chy_trust_takes_name(trust, CHY_STR("X"), CHY_STR("CN=X")));
    assert_false(chy_trust_takes_name(trust, CHY_STR(""), CHY_STR("")));
}

static void test_names__that_look_like_subjects(void **state)
{
    (void)state;
    assert_int_equal(load("version: 1\nnames: [\"*,O=Other\", 'CN=A,O=B\\, C,*']\n"), CHY_OK);
    assert_false(chy_trust_takes_name(trust, CHY_STR("X,O=Other"), CHY_STR("CN=X\\,O=Other")));
    assert_true(chy_trust_takes_name(trust, CHY_STR("X,O"), CHY_STR("CN=X\\,O,O=Other")));
    assert_true(chy_trust_takes_name(trust, CHY_STR("A"), CHY_STR("CN=A,O=B\\, C,C=DE")));
    assert_false(chy_trust_takes_name(trust, CHY_STR("A"), CHY_STR("CN=A,O=B\\, D,C=DE")));
}

static void test_requirements(void **state)
{
    (void)state;
    assert_int_equal(load("version: 1\nrequire_time_stamp: true\nrequire_log: true\n"), CHY_OK);
    assert_true(trust->document.require_log && trust->document.require_time_stamp);
    assert_int_equal(load("version: 1\nrequire_log: maybe\n"), CHY_E_MALFORMED);
}

/* --- armour --- */

#define BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
#define END   "-----END PGP PUBLIC KEY BLOCK-----\n"

static void test_armour(void **state)
{
    static const struct {
        const char *text;
        enum chy_err result;
        const char *bytes;
    } cases[] = {
        { "bare", CHY_OK, "bare" },
        { BEGIN "\nYWJj\n=abcd\n" END, CHY_OK, "abc" },
        { "words\n" BEGIN "Comment: x\r\n\r\nYWJj\r\nZGVm\r\n" END BEGIN "\nZ2hp\n" END, CHY_OK,
          "abcdefghi" },
        { BEGIN "\nYWJj\n", CHY_E_MALFORMED, NULL },
        { BEGIN "Comment: x\n", CHY_E_MALFORMED, NULL },
        { BEGIN "\n!!!!\n" END, CHY_E_MALFORMED, NULL },
    };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(cases); i++) {
        struct chy_buf out;
        chy_buf_init(&out, 64);
        assert_int_equal(chy_pgp_armour_take(chy_str_of(cases[i].text), &out, &err),
                         cases[i].result);
        if (cases[i].bytes != NULL)
            assert_true(chy_str_equal_c(chy_buf_str(&out), cases[i].bytes));
        chy_buf_done(&out);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_load__least),
        T(test_load__version),
        T(test_load__not_there),
        T(test_roots__file),
        T(test_roots__text),
        T(test_roots__wrong),
        T(test_crls),
        T(test_time_stamp_roots),
        T(test_keys),
        T(test_limits),
        T(test_log_keys),
        T(test_ssh_keys),
        T(test_names),
        T(test_requirements),
        T(test_armour),
        T(test_names__that_look_like_subjects),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
