/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/redact.h"
#include "base/limits.h"
#include "base/mem.h"

/* `words` is written with '|' for the NUL behind each. */
static void assert_becomes(const char *words, const char *expected)
{
    struct chy_buf in;
    struct chy_buf out;
    chy_buf_init(&in, 65536);
    chy_buf_init(&out, CHY_LIMIT_COMMAND);
    assert_true(chy_buf_append_c(&in, words));
    for (size_t i = 0; i < in.n; i++)
        in.p[i] = in.p[i] == '|' ? 0 : in.p[i];
    assert_true(chy_command_redact(chy_buf_bytes(&in), &out));
    if (!chy_str_equal_c(chy_buf_str(&out), expected))
        fail_msg("%s\nbecomes  %.*s\nexpected %s", words, CHY_STR_ARG(chy_buf_str(&out)), expected);
    chy_buf_done(&in);
    chy_buf_done(&out);
}

static void test_redact__table(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "", "" },
        { "tool|", "tool" },
        { "tool", "tool" },
        { "jarsigner|-storepass|secret|a.jar|alias|", "jarsigner -storepass *** a.jar alias" },
        { "jarsigner|-storepass:env|VARIABLE|a.jar|", "jarsigner -storepass:env VARIABLE a.jar" },
        { "jarsigner|-storepass:file|/a/file|a.jar|", "jarsigner -storepass:file /a/file a.jar" },
        { "jarsigner|-keypass|k|-storepass|s|", "jarsigner -keypass *** -storepass ***" },
        { "keytool|-new|n|", "keytool -new ***" },
        { "make|-new|n|", "make -new n" },
        { "apksigner|sign|--ks-pass|pass:secret|x|", "apksigner sign --ks-pass pass:*** x" },
        { "apksigner|sign|--ks-pass|env:NAME|x|", "apksigner sign --ks-pass env:NAME x" },
        { "apksigner|sign|--ks-pass|stdin|x|", "apksigner sign --ks-pass stdin x" },
        { "openssl|cms|-passin|pass:1 2|-in|f|", "openssl cms -passin 'pass:***' -in f" },
        { "openssl|cms|-passin|file:f|-passout|fd:3|", "openssl cms -passin file:f -passout fd:3" },
        { "osslsigncode|sign|-pass|p|-in|f|", "osslsigncode sign -pass *** -in f" },
        { "osslsigncode|sign|-readpass|f|-askpass|", "osslsigncode sign -readpass f -askpass" },
        { "/usr/bin/pkcs11-tool|-p|1234|-s|", "/usr/bin/pkcs11-tool -p *** -s" },
        { "cp|-p|a|b|", "cp -p a b" },
        { "pkcs11-tool|--pin=1234|--so-pin|5678|", "pkcs11-tool --pin=*** --so-pin ***" },
        { "pkcs11-tool|--pin|env:PIN|", "pkcs11-tool --pin env:PIN" },
        { "pkcs11-tool|--pin-less|x|", "pkcs11-tool --pin-less x" },
        { "t|pkcs11:object=k;type=private?pin-value=1234&x=y|",
          "t pkcs11:object=k;type=private?pin-value=***&x=y" },
        { "t|pkcs11:object=k?pin-source=file:/pin|", "t pkcs11:object=k?pin-source=file:/pin" },
        { "java|-Dkeystore.password=s|-jar|x.jar|", "java -Dkeystore.password=*** -jar x.jar" },
        { "t|CHANCERY_TOKEN=abc|", "t CHANCERY_TOKEN=***" },
        { "t|--auth=token=a;next=b|", "t --auth=token=***;next=b" },
        { "curl|-u|a:b|https://u:pw@h:8/p|", "curl -u *** https://u:***@h:8/p" },
        { "t|https://host:8443/a@b|", "t https://host:8443/a@b" },
        { "t|https://user@host/|", "t https://user@host/" },
        { "t|--storepass|", "t --storepass" },
        { "t||x|", "t '' x" },
        { "t|a b|c'd|", "t 'a b' 'c'\\''d'" },
        { "t|a\x01"
          "b\nc\x7f|\xff\xc3\xa4|",
          "t a?b?c? ?\xc3\xa4" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        assert_becomes(rows[i][0], rows[i][1]);
}

/* At the limit and one past it; never in the middle of a character or of a mark. */
static void test_redact__is_cut(void **state)
{
    (void)state;
    static const char words[] = "tool\0-pin\0secret\0\xc3\xa4\xc3\xa4";
    for (size_t max = 3; max < 40; max++) {
        struct chy_buf out;
        chy_buf_init(&out, max);
        assert_true(chy_command_redact(
            (struct chy_bytes){ (const uint8_t *)words, sizeof words - 1 }, &out));
        assert_true(out.n <= max);
        struct chy_str text = chy_buf_str(&out);
        assert_true(chy_text_is_plain(text));
        assert_null(memmem(text.p, text.n, "secret", 6));
        bool is_cut = text.n >= 3 && memcmp(text.p + text.n - 3, "...", 3) == 0;
        assert_int_equal(is_cut, max < strlen("tool -pin *** \xc3\xa4\xc3\xa4") + 3);
        chy_buf_done(&out);
    }
}

static void test_redact__no_memory(void **state)
{
    (void)state;
    struct chy_buf out;
    chy_buf_init(&out, 64);
    chy_mem_fail_after(0);
    assert_false(chy_command_redact(chy_str_bytes(CHY_STR("tool")), &out));
    chy_mem_fail_after(SIZE_MAX);
    chy_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact__table),
        cmocka_unit_test(test_redact__is_cut),
        cmocka_unit_test(test_redact__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
