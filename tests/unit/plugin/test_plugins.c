/* SPDX-License-Identifier: MIT */
/* The programs as they are called, where no server is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "crypto/init.h"
#include "plugin/kms.h"
#include "plugin/notation.h"
#include "program.h"
#include "temp_dir.h"

static struct temp_dir dir;

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    program_done();
    temp_dir_remove(&dir);
    return 0;
}

static int kms(int argc, char *const *argv, const struct chy_client_env *env,
               const struct program_streams *s)
{
    const struct chy_plugin_streams streams = { s->in, s->out, s->err };
    return chy_kms_run(argc, argv, env, &streams);
}

static int notation(int argc, char *const *argv, const struct chy_client_env *env,
                    const struct program_streams *s)
{
    const struct chy_plugin_streams streams = { s->in, s->out, s->err };
    return chy_notation_run(argc, argv, env, &streams);
}

#define RUN(program, input, ...) \
    program_run((program), dir.path, (input), (const char *const[]){ __VA_ARGS__, NULL })
#define ASK(method, more)                                                                  \
    "{\"initOptions\":{\"protocolVersion\":\"v1\",\"keyResourceID\":\"release\"" more "}," \
    "\"methodName\":\"" method "\"}"

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* --- sigstore-kms-chancery --- */

static void test_kms__what_needs_no_server(void **state)
{
    (void)state;
    assert_int_equal(RUN(kms, "", "v1", ASK("defaultAlgorithm", "")), 0);
    assert_string_equal(out_text, "{\"defaultAlgorithm\":{\"defaultAlgorithm\":\"p256\"}}");
    assert_int_equal(RUN(kms, "", "v1", ASK("supportedAlgorithms", "")), 0);
    assert_string_equal(out_text, "{\"supportedAlgorithms\":{\"supportedAlgorithms\":[\"rsa-2048\","
                                  "\"rsa-3072\",\"rsa-4096\",\"p256\",\"p384\",\"p521\","
                                  "\"ed25519\"]}}");
    assert_string_equal(err_text, "");
}

static void test_kms__keys_are_made_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(RUN(kms, "", "v1", ASK("createKey", "")), 2);
    assert_has(out_text, "{\"errorMessage\":\"keys are not made by cosign");
    assert_has(out_text, "chancery keys create release");
}

static void test_kms__errors_are_answers(void **state)
{
    (void)state;
    assert_int_equal(RUN(kms, "", "v2", ASK("publicKey", "")), 2);
    assert_has(out_text, "{\"errorMessage\":\"protocol version \\\"v2\\\"");
    assert_int_equal(RUN(kms, "", "v1", "{"), 2);
    assert_has(out_text, "{\"errorMessage\":\"");
    assert_int_equal(RUN(kms, "", "v1", ASK("publicKey", "")), 1);
    assert_has(out_text, "names no server");
    assert_has(out_text, "Enrol with chancery enroll");
    assert_int_equal(
        RUN(kms, "", "v1", ASK("publicKey", ",\"ctxDeadline\":\"2001-01-01T00:00:00Z\"")), 3);
    assert_has(out_text, "the time that was given for the answer is over");
    assert_string_equal(err_text, "");
}

static void test_kms__an_answer_that_is_not_taken(void **state)
{
    (void)state;
    static char name[] = "program";
    static char version[] = "v1";
    static char question[] = ASK("defaultAlgorithm", "");
    char *argv[] = { name, version, question, NULL };
    const struct chy_client_env env = { .home = dir.path };
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    const struct chy_plugin_streams streams = { -1, full, stderr };
    assert_int_equal(chy_kms_run(3, argv, &env, &streams), 3);
    (void)fclose(full);
}

/* --- notation-chancery --- */

static void test_notation__metadata(void **state)
{
    (void)state;
    assert_int_equal(RUN(notation, "{}", "get-plugin-metadata"), 0);
    assert_string_equal(out_text,
                        "{\"name\":\"chancery\",\"description\":\"signs with keys that a Chancery "
                        "server keeps\",\"version\":\"" CHY_VERSION
                        "\",\"url\":\"man:notation-chancery(1)\","
                        "\"supportedContractVersions\":[\"1.0\"],"
                        "\"capabilities\":[\"SIGNATURE_GENERATOR.RAW\"]}");
    assert_string_equal(err_text, "");
}

static void test_notation__errors_are_json(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        const char *input;
        int code;
        const char *said;
    } rows[] = {
        { "verify-signature", "{}", 2, "{\"errorCode\":\"VALIDATION_ERROR\"" },
        { "describe-key", "{", 2, "{\"errorCode\":\"VALIDATION_ERROR\"" },
        { "describe-key", "{\"contractVersion\":\"9\"}", 2,
          "{\"errorCode\":\"UNSUPPORTED_CONTRACT_VERSION\"" },
        { "describe-key", "{\"contractVersion\":\"1.0\",\"keyId\":\"a\"}", 1,
          "{\"errorCode\":\"VALIDATION_ERROR\",\"errorMessage\":\"profile \\\"default\\\" names no "
          "server. Enrol with chancery enroll" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        assert_int_equal(RUN(notation, rows[i].input, rows[i].command), rows[i].code);
        assert_has(err_text, rows[i].said);
        assert_string_equal(out_text, "");
    }
}

static void test_notation__input_over_its_limit(void **state)
{
    (void)state;
    char *input = malloc(CHY_LIMIT_JSON + 2);
    assert_non_null(input);
    memset(input, ' ', CHY_LIMIT_JSON + 1);
    input[CHY_LIMIT_JSON + 1] = '\0';
    input[0] = '{';
    input[1] = '}';
    assert_int_equal(RUN(notation, input, "get-plugin-metadata"), 2);
    assert_has(err_text, "VALIDATION_ERROR");
    assert_has(err_text, "over 4194304 bytes");
    input[CHY_LIMIT_JSON] = '\0';
    assert_int_equal(RUN(notation, input, "get-plugin-metadata"), 0);
    free(input);
}

/* --- both --- */

static void test_use(void **state)
{
    (void)state;
    program_fn *programs[] = { kms, notation };
    for (size_t i = 0; i < CHY_ARRAY_LEN(programs); i++) {
        assert_int_equal(program_run(programs[i], dir.path, "", (const char *const[]){ NULL }), 2);
        assert_has(err_text, "usage: ");
        assert_string_equal(out_text, "");
        assert_int_equal(RUN(programs[i], "", "--help"), 0);
        assert_has(out_text, "usage: ");
        assert_int_equal(RUN(programs[i], "", "--version"), 0);
        assert_has(out_text, "-chancery " CHY_VERSION "\n");
        assert_int_equal(RUN(programs[i], "", "a", "b", "c"), 2);
    }
}

static void test_algorithm__of_a_key(void **state)
{
    (void)state;
    static const struct {
        enum chy_key_type type;
        enum chy_hash_alg hash;
        bool is_pss;
        enum chy_sign_alg alg;
    } rows[] = {
        { CHY_KEY_RSA_3072, CHY_HASH_SHA256, false, CHY_ALG_RSA_PKCS1_SHA256 },
        { CHY_KEY_RSA_2048, CHY_HASH_SHA512, false, CHY_ALG_RSA_PKCS1_SHA512 },
        { CHY_KEY_RSA_4096, CHY_HASH_SHA384, true, CHY_ALG_RSA_PSS_SHA384 },
        { CHY_KEY_RSA_4096, CHY_HASH_NONE, false, CHY_ALG_RSA_PKCS1_SHA256 },
        { CHY_KEY_P256, CHY_HASH_SHA256, true, CHY_ALG_ECDSA_SHA256 },
        { CHY_KEY_P384, CHY_HASH_SHA512, false, CHY_ALG_ECDSA_SHA512 },
        { CHY_KEY_P384, CHY_HASH_NONE, false, CHY_ALG_ECDSA_SHA384 },
        { CHY_KEY_ED25519, CHY_HASH_SHA512, false, CHY_ALG_ED25519 },
    };
    enum chy_sign_alg alg;
    struct chy_error err;
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        const struct chy_key key = { .name = CHY_STR("k"), .type = rows[i].type };
        assert_int_equal(chy_plugin_algorithm(&key, rows[i].hash, rows[i].is_pss, &alg, &err),
                         CHY_OK);
        assert_int_equal(alg, rows[i].alg);
    }
    const struct chy_key rsa = { .name = CHY_STR("k"), .type = CHY_KEY_RSA_3072 };
    assert_int_equal(chy_plugin_algorithm(&rsa, CHY_HASH_NONE, true, &alg, &err), CHY_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kms__what_needs_no_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kms__keys_are_made_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kms__errors_are_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kms__an_answer_that_is_not_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notation__metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notation__errors_are_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notation__input_over_its_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_use, setup, teardown),
        cmocka_unit_test(test_algorithm__of_a_key),
    };
    if (chy_crypto_init(NULL) != CHY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
