/* SPDX-License-Identifier: MIT */
/* Which entry of the log is a file's: that of one who signed it and is believed, by the digest, the
 * signature and, where it is known, the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cli/verify/log.h"

static struct verify_file file;
static struct chy_entry entry;
static const struct chy_bytes digest = { (const uint8_t *)"digest", 6 };

/* One who signed, of a number that his signature and key have. */
static struct chy_verify_signer signer(uint8_t number, bool is_good)
{
    struct chy_verify_signer s = { .is_good = is_good, .digest = digest };
    memset(s.signature_sha256, number, sizeof s.signature_sha256);
    memset(s.key_sha256, number, sizeof s.key_sha256);
    return s;
}

static void entry_set(uint8_t number)
{
    entry = (struct chy_entry){ .kind = CHY_ENTRY_SIGN_OUTCOME,
                                .outcome = CHY_OUTCOME_DONE,
                                .digest = digest };
    memset(entry.result_sha256, number, sizeof entry.result_sha256);
    memset(entry.key_sha256, number, sizeof entry.key_sha256);
}

static int setup(void **state)
{
    (void)state;
    file = (struct verify_file){ .n_signers = 1 };
    file.signers[0] = signer(1, true);
    entry_set(1);
    return 0;
}

static void test_is_of_file__his_entry(void **state)
{
    (void)state;
    assert_true(verify_has_known(&file));
    assert_true(verify_is_of_file(&file, &entry));
}

static void test_is_of_file__every_part_must_fit(void **state)
{
    (void)state;
    entry.result_sha256[31] ^= 1;
    assert_false(verify_is_of_file(&file, &entry));
    entry_set(1);
    entry.key_sha256[31] ^= 1;
    assert_false(verify_is_of_file(&file, &entry));
    entry_set(1);
    entry.digest = (struct chy_bytes){ (const uint8_t *)"Digest", 6 };
    assert_false(verify_is_of_file(&file, &entry));
    entry_set(1);
    entry.outcome = CHY_OUTCOME_FAILED;
    assert_false(verify_is_of_file(&file, &entry));
    entry_set(1);
    entry.kind = CHY_ENTRY_SIGN_INTENT;
    assert_false(verify_is_of_file(&file, &entry));
}

/* An entry of a key for tests, whose signature stands in the file as well. */
static void test_is_of_file__nobody_who_is_not_believed(void **state)
{
    (void)state;
    file.signers[1] = signer(2, false);
    file.n_signers = 2;
    entry_set(2);
    assert_false(verify_is_of_file(&file, &entry));
    file.signers[1].is_good = true;
    assert_true(verify_is_of_file(&file, &entry));
}

/* Of what a tool verified the key is not known, nor is it said that it is good. */
static void test_is_of_file__a_tools(void **state)
{
    (void)state;
    file.n_signers = 0;
    file.made[0] = signer(3, false);
    memset(file.made[0].key_sha256, 0, CHY_HASH_BYTES);
    file.n_made = 1;
    entry_set(3);
    memset(entry.key_sha256, 9, sizeof entry.key_sha256);
    assert_true(verify_is_of_file(&file, &entry));
    entry.result_sha256[0] ^= 1;
    assert_false(verify_is_of_file(&file, &entry));
}

/* An entry of zeros is not that of a signer of whom nothing is known. */
static void test_is_of_file__nothing_is_known(void **state)
{
    (void)state;
    file.signers[0] = (struct chy_verify_signer){ .is_good = true };
    entry_set(0);
    entry.digest = (struct chy_bytes){ NULL, 0 };
    assert_false(verify_has_known(&file));
    assert_false(verify_is_of_file(&file, &entry));
    file.signers[0].digest = digest;
    entry.digest = digest;
    assert_false(verify_has_known(&file)); /* the signature is not */
    assert_false(verify_is_of_file(&file, &entry));
}

static void test_candidate__past_all(void **state)
{
    (void)state;
    file.made[0] = signer(3, false);
    file.n_made = 1;
    assert_ptr_equal(verify_candidate(&file, 0), &file.signers[0]);
    assert_ptr_equal(verify_candidate(&file, 1), &file.made[0]);
    assert_null(verify_candidate(&file, 2));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(test_is_of_file__his_entry),
        T(test_is_of_file__every_part_must_fit),
        T(test_is_of_file__nobody_who_is_not_believed),
        T(test_is_of_file__a_tools),
        T(test_is_of_file__nothing_is_known),
        T(test_candidate__past_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
