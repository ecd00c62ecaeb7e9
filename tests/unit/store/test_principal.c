/* SPDX-License-Identifier: MIT */
#include "store/principal.h"
#include "store_fixture.h"

#define NOW INT64_C(1800000000000000)

static const struct chy_str auditor[] = { { "auditor", 7 } };
static const struct chy_str everything[] = { { "administrator", 13 },
                                             { "key-manager", 11 },
                                             { "policy-author", 13 },
                                             { "no-such-role", 12 } };

static void add_user(struct fixture *f, const char *name, struct chy_strs roles, bool is_disabled)
{
    struct chy_user u = { .name = chy_str_of(name), .roles = roles, .is_disabled = is_disabled };
    assert_int_equal(
        chy_record_put(f->store, CHY_OBJECT_USER, u.name, &chy_user_schema, &u, &f->err), CHY_OK);
}

static void add_credential(struct fixture *f, uint8_t tag, struct chy_credential_record c)
{
    uint8_t hash[CHY_HASH_BYTES] = { tag };
    struct chy_str name = chy_record_hash_name(&f->arena, hash);
    if (c.info.expires_us == 0)
        c.info.expires_us = NOW + 1;
    assert_int_equal(chy_record_put(f->store, CHY_OBJECT_CREDENTIAL, name,
                                    &chy_credential_record_schema, &c, &f->err),
                     CHY_OK);
}

static enum chy_err resolve(struct fixture *f, enum chy_auth_method method, uint8_t tag,
                            struct chy_principal *ret)
{
    struct chy_caller caller = { .method = method, .credential = { tag } };
    return chy_principal_resolve(f->store, &caller, NOW, &f->arena, ret, &f->err);
}

static int set_up_people(void **state)
{
    if (set_up(state) != 0)
        return -1;
    struct fixture *f = *state;
    static const struct chy_str scopes[] = { { "sign", 4 }, { "keys.*", 6 } };
    static const struct chy_str keys[] = { { "test-*", 6 }, { "one?", 4 } };
    begin(f);
    add_user(f, "eve", (struct chy_strs){ NULL, 0 }, true);
    add_user(f, "ann", (struct chy_strs){ everything, 4 }, false);
    add_user(f, "bob", (struct chy_strs){ auditor, 1 }, false);
    add_credential(f, 1,
                   (struct chy_credential_record){ .principal = CHY_STR("ann"),
                                                   .method = CHY_AUTH_CERTIFICATE,
                                                   .is_agent = true });
    add_credential(
        f, 2,
        (struct chy_credential_record){ .principal = CHY_STR("ann"),
                                        .method = CHY_AUTH_API_TOKEN,
                                        .is_agent = true,
                                        .info = { .scopes = { scopes, 2 }, .keys = { keys, 2 } } });
    add_credential(f, 3,
                   (struct chy_credential_record){ .principal = CHY_STR("eve"),
                                                   .method = CHY_AUTH_CERTIFICATE });
    add_credential(f, 4,
                   (struct chy_credential_record){ .principal = CHY_STR("gone"),
                                                   .method = CHY_AUTH_CERTIFICATE });
    add_credential(f, 5,
                   (struct chy_credential_record){ .principal = CHY_STR("bob"),
                                                   .method = CHY_AUTH_CERTIFICATE,
                                                   .info = { .expires_us = NOW } });
    add_credential(f, 6,
                   (struct chy_credential_record){ .principal = CHY_STR("bob"),
                                                   .method = CHY_AUTH_API_TOKEN,
                                                   .info = { .is_revoked = true } });
    commit(f);
    return 0;
}

static void test_principal_resolve__without_a_credential_is_nobody(void **state)
{
    struct chy_principal p;
    assert_int_equal(resolve(*state, CHY_AUTH_NONE, 0, &p), CHY_OK);
    assert_int_equal(p.name.n, 0);
    assert_int_equal(p.may, CHY_MAY_ANYBODY);
}

static void test_principal_resolve__finds_a_certificate(void **state)
{
    struct chy_principal p;
    assert_int_equal(resolve(*state, CHY_AUTH_CERTIFICATE, 1, &p), CHY_OK);
    assert_true(chy_str_equal_c(p.name, "ann"));
    assert_true(p.is_agent);
    assert_false(p.is_scoped);
    /* a role that nobody knows gives nothing */
    assert_int_equal(p.may, CHY_MAY_ANYBODY | CHY_MAY_KNOWN | CHY_MAY_ADMINISTRATOR |
                                CHY_MAY_KEY_MANAGER | CHY_MAY_POLICY_AUTHOR);
}

static void test_principal_resolve__refuses(void **state)
{
    struct fixture *f = *state;
    struct chy_principal p;
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 99, &p), CHY_E_UNAUTHENTICATED);
    assert_int_equal(resolve(f, CHY_AUTH_API_TOKEN, 1, &p), CHY_E_UNAUTHENTICATED);
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 2, &p), CHY_E_UNAUTHENTICATED);
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 3, &p), CHY_E_UNAUTHENTICATED);
    assert_non_null(strstr(f->err.text, "disabled"));
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 4, &p), CHY_E_UNAUTHENTICATED);
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 5, &p), CHY_E_EXPIRED);
    assert_int_equal(resolve(f, CHY_AUTH_API_TOKEN, 6, &p), CHY_E_UNAUTHENTICATED);
    assert_non_null(strstr(f->err.text, "revoked"));
}

static void test_principal_resolve__an_api_token_is_never_an_agent(void **state)
{
    struct chy_principal p;
    assert_int_equal(resolve(*state, CHY_AUTH_API_TOKEN, 2, &p), CHY_OK);
    assert_false(p.is_agent);
    assert_true(p.is_scoped);
}

static void test_principal_resolve__says_when_the_store_is_broken(void **state)
{
    struct fixture *f = *state;
    struct chy_principal p;
    uint8_t hash[CHY_HASH_BYTES] = { 7 };
    begin(f);
    assert_int_equal(chy_store_put(f->store, CHY_OBJECT_CREDENTIAL,
                                   chy_record_hash_name(&f->arena, hash), text_bytes("rubbish"),
                                   &f->err),
                     CHY_OK);
    commit(f);
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 7, &p), CHY_E_INTEGRITY);
}

static void test_principal_check__asks_for_role_and_scope(void **state)
{
    struct fixture *f = *state;
    struct chy_principal nobody;
    struct chy_principal ann;
    struct chy_principal token;
    assert_int_equal(resolve(f, CHY_AUTH_NONE, 0, &nobody), CHY_OK);
    assert_int_equal(resolve(f, CHY_AUTH_CERTIFICATE, 1, &ann), CHY_OK);
    assert_int_equal(resolve(f, CHY_AUTH_API_TOKEN, 2, &token), CHY_OK);
    const struct chy_op_row *hello = chy_op_row(CHY_OP_HELLO);
    const struct chy_op_row *sign = chy_op_row(CHY_OP_SIGN);
    const struct chy_op_row *create = chy_op_row(CHY_OP_KEYS_CREATE);
    const struct chy_op_row *users = chy_op_row(CHY_OP_USERS_CREATE);
    const struct chy_op_row *log = chy_op_row(CHY_OP_LOG_ENTRIES);
    assert_int_equal(chy_principal_check(&nobody, hello, &f->err), CHY_OK);
    assert_int_equal(chy_principal_check(&nobody, sign, &f->err), CHY_E_UNAUTHENTICATED);
    assert_int_equal(chy_principal_check(&ann, users, &f->err), CHY_OK);
    assert_int_equal(chy_principal_check(&token, sign, &f->err), CHY_OK);
    assert_int_equal(chy_principal_check(&token, create, &f->err), CHY_OK);
    assert_int_equal(chy_principal_check(&token, users, &f->err), CHY_E_FORBIDDEN);
    struct chy_principal by_name;
    assert_int_equal(chy_principal_by_name(f->store, CHY_STR("bob"), &f->arena, &by_name, &f->err),
                     CHY_OK);
    assert_int_equal(chy_principal_check(&by_name, log, &f->err), CHY_OK);
    assert_int_equal(chy_principal_check(&by_name, create, &f->err), CHY_E_FORBIDDEN);
}

static void test_principal_may_key__follows_the_patterns(void **state)
{
    struct chy_principal token;
    struct chy_principal ann;
    assert_int_equal(resolve(*state, CHY_AUTH_API_TOKEN, 2, &token), CHY_OK);
    assert_int_equal(resolve(*state, CHY_AUTH_CERTIFICATE, 1, &ann), CHY_OK);
    assert_true(chy_principal_may_key(&token, CHY_STR("test-1")));
    assert_true(chy_principal_may_key(&token, CHY_STR("test-")));
    assert_true(chy_principal_may_key(&token, CHY_STR("one1")));
    assert_false(chy_principal_may_key(&token, CHY_STR("one")));
    assert_false(chy_principal_may_key(&token, CHY_STR("one12")));
    assert_false(chy_principal_may_key(&token, CHY_STR("release")));
    assert_true(chy_principal_may_key(&ann, CHY_STR("release")));
}

static void test_principal_owns__by_name_and_by_group(void **state)
{
    static const struct chy_str groups[] = { { "core", 4 } };
    static const struct chy_str by_name[] = { { "ann", 3 } };
    static const struct chy_str by_group[] = { { "group:core", 10 } };
    static const struct chy_str others[] = { { "core", 4 }, { "group:other", 11 } };
    struct chy_principal p = { .name = CHY_STR("ann"), .groups = { groups, 1 } };
    (void)state;
    assert_true(chy_principal_owns(&p, (struct chy_strs){ by_name, 1 }));
    assert_true(chy_principal_owns(&p, (struct chy_strs){ by_group, 1 }));
    assert_false(chy_principal_owns(&p, (struct chy_strs){ others, 2 }));
    assert_false(chy_principal_owns(&p, (struct chy_strs){ NULL, 0 }));
}

/* --- records --- */

static void test_record_policy_number__is_0_before_the_first(void **state)
{
    struct fixture *f = *state;
    uint64_t number = 7;
    assert_int_equal(chy_record_policy_number(f->store, &number, &f->err), CHY_OK);
    assert_int_equal(number, 0);
    struct chy_policy_number in_force = { 41 };
    begin(f);
    assert_int_equal(chy_record_put(f->store, CHY_OBJECT_META, CHY_STR(CHY_META_POLICY_NUMBER),
                                    &chy_policy_number_schema, &in_force, &f->err),
                     CHY_OK);
    commit(f);
    assert_int_equal(chy_record_policy_number(f->store, &number, &f->err), CHY_OK);
    assert_int_equal(number, 41);
}

static bool has_warning(const struct chy_key *key, const char *text)
{
    for (size_t i = 0; i < key->warnings.n; i++)
        if (strstr(key->warnings.p[i].p, text) != NULL)
            return true;
    return false;
}

static void test_record_key_warnings__begin_90_days_before_the_end(void **state)
{
    struct fixture *f = *state;
    const int64_t day = INT64_C(86400) * 1000000;
    struct chy_certificate cert = { .not_before_us = NOW, .not_after_us = NOW + 100 * day };
    struct chy_key key = { .certificates = { &cert, 1 } };
    assert_int_equal(chy_record_key_warnings(&key, NOW + 10 * day, &f->arena, &f->err), CHY_OK);
    assert_int_equal(key.warnings.n, 0);
    assert_int_equal(chy_record_key_warnings(&key, NOW + 10 * day + 1, &f->arena, &f->err), CHY_OK);
    assert_true(has_warning(&key, "ends in 89 days"));
    assert_int_equal(chy_record_key_warnings(&key, NOW + 100 * day, &f->arena, &f->err), CHY_OK);
    assert_true(has_warning(&key, "has ended"));
    assert_int_equal(chy_record_key_warnings(&key, NOW - 1, &f->arena, &f->err), CHY_OK);
    assert_true(has_warning(&key, "not valid yet"));
    key.certificates.n = 0;
    key.token_is_software = true;
    assert_int_equal(chy_record_key_warnings(&key, NOW, &f->arena, &f->err), CHY_OK);
    assert_true(has_warning(&key, "no certificate"));
    assert_true(has_warning(&key, "software token"));
}

static void test_record_check_name__refuses_what_would_confuse(void **state)
{
    struct fixture *f = *state;
    static const char *const good[] = { "a", "Release-2026.1", "ci/build+x", "a@example.org", "9" };
    static const char *const bad[] = { "",     "@log",     "-x",  ".x",   "a b", "a\"b",
                                       "a\nb", "\xc3\xa4", "a:b", "a\\b", "a*" };
    char longest[CHY_LIMIT_NAME + 2];
    memset(longest, 'a', sizeof longest);
    for (size_t i = 0; i < CHY_ARRAY_LEN(good); i++)
        assert_int_equal(chy_record_check_name(chy_str_of(good[i]), "key", &f->err), CHY_OK);
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++)
        assert_int_equal(chy_record_check_name(chy_str_of(bad[i]), "key", &f->err), CHY_E_ARG);
    assert_int_equal(
        chy_record_check_name((struct chy_str){ longest, CHY_LIMIT_NAME }, "key", &f->err), CHY_OK);
    assert_int_equal(
        chy_record_check_name((struct chy_str){ longest, CHY_LIMIT_NAME + 1 }, "key", &f->err),
        CHY_E_ARG);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up_people, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_principal_resolve__without_a_credential_is_nobody),
        T(test_principal_resolve__finds_a_certificate),
        T(test_principal_resolve__refuses),
        T(test_principal_resolve__an_api_token_is_never_an_agent),
        T(test_principal_resolve__says_when_the_store_is_broken),
        T(test_principal_check__asks_for_role_and_scope),
        T(test_principal_may_key__follows_the_patterns),
        T(test_principal_owns__by_name_and_by_group),
        T(test_record_policy_number__is_0_before_the_first),
        T(test_record_key_warnings__begin_90_days_before_the_end),
        T(test_record_check_name__refuses_what_would_confuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
