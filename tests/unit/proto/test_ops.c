/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "proto/ops.h"
#include "values.h"

static enum chy_http_method methods[] = { CHY_HTTP_GET, CHY_HTTP_HEAD, CHY_HTTP_POST, CHY_HTTP_PUT,
                                          CHY_HTTP_DELETE };

/* The row's path with each {…} replaced: "/v1/keys/{name}/csr" -> "/v1/keys/v0/csr". */
static size_t path_fill(const char *pattern, char *out, size_t size)
{
    size_t n = 0;
    int params = 0;
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p != '{') {
            assert_true(n + 1 < size);
            out[n++] = *p;
            continue;
        }
        int w = snprintf(out + n, size - n, strstr(p, "...}") == NULL ? "v%d" : "0/x%d", params++);
        assert_true(w > 0 && (size_t)w < size - n);
        n += (size_t)w;
        p = strchr(p, '}');
        assert_non_null(p);
    }
    out[n] = '\0';
    return n;
}

static struct chy_op_match find(enum chy_http_method method, const char *path)
{
    struct chy_op_match m;
    bool found = chy_op_find(method, chy_str_of(path), &m);
    assert_int_equal(found, m.row != NULL);
    return m;
}

/* --- the table --- */

static void test_ops__rows_are_whole_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(chy_op_rows_n, CHY_OP_LAST);
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        const struct chy_op_row *row = &chy_op_rows[i];
        assert_int_equal(row->op, i + 1);
        assert_ptr_equal(chy_op_row((int)i + 1), row);
        assert_true(row->may != 0 && row->may < CHY_MAY_AUDITOR * 2);
        assert_non_null(row->request);
        assert_non_null(row->response);
        assert_true(strlen(row->doc) > 0 && row->doc[strlen(row->doc) - 1] == '.');
        assert_int_equal(row->is_raw, row->response == &chy_raw_schema);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(row->id, chy_op_rows[k].id);
            assert_false(row->method == chy_op_rows[k].method &&
                         strcmp(row->path, chy_op_rows[k].path) == 0);
        }
    }
    assert_null(chy_op_row(0));
    assert_null(chy_op_row(-1));
    assert_null(chy_op_row(CHY_OP_LAST + 1));
}

/* Nothing that writes is served by the process that may only read, nor is a reading GET logged. */
static void test_ops__methods_and_servers_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        const struct chy_op_row *row = &chy_op_rows[i];
        bool is_read = row->method == CHY_HTTP_GET || row->op == CHY_OP_POLICIES_TEST;
        bool asks_tokens = row->op == CHY_OP_TOKENS_LIST; /* signer alone knows them */
        assert_int_equal(row->server, is_read && !asks_tokens ? CHY_OP_BY_QUERY : CHY_OP_BY_SIGNER);
    }
}

/* What may be called without a credential is a short list that is not to grow by accident. */
static void test_ops__only_these_are_open_to_anybody(void **state)
{
    (void)state;
    static const enum chy_op open[] = { CHY_OP_HELLO, CHY_OP_ENROLL, CHY_OP_CERTS_DEVELOPMENT_CA,
                                        CHY_OP_LOG_CHECKPOINT, CHY_OP_LOG_TILE };
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        bool expected = false;
        for (size_t k = 0; k < CHY_ARRAY_LEN(open); k++)
            expected = expected || chy_op_rows[i].op == open[k];
        if (((chy_op_rows[i].may & CHY_MAY_ANYBODY) != 0) != expected)
            fail_msg("%s", chy_op_rows[i].id);
    }
}

/* GET and DELETE carry no body: all that they need is in the URL. */
static void test_ops__requests_without_a_body_are_in_the_url(void **state)
{
    (void)state;
    const uint32_t in_url = CHY_IN_PATH | CHY_IN_QUERY | CHY_INTERNAL;
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        const struct chy_op_row *row = &chy_op_rows[i];
        if (row->method != CHY_HTTP_GET && row->method != CHY_HTTP_DELETE)
            continue;
        for (size_t k = 0; k < row->request->n; k++)
            if ((row->request->fields[k].flags & in_url) == 0)
                fail_msg("%s: %s", row->id, row->request->fields[k].name);
    }
}

/* In the path of the row if and only if the field says so, and of a kind that a URL can carry. */
static void test_ops__path_parameters_are_the_requests_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        const struct chy_op_row *row = &chy_op_rows[i];
        char path[CHY_LIMIT_NAME];
        path_fill(row->path, path, sizeof path);
        struct chy_op_match m = find(row->method, path);
        assert_ptr_equal(m.row, row);
        size_t in_path = 0;
        for (size_t k = 0; k < row->request->n; k++)
            in_path += (row->request->fields[k].flags & CHY_IN_PATH) != 0;
        assert_int_equal(m.n, in_path);
        for (size_t k = 0; k < m.n; k++) {
            const struct chy_field *f = chy_schema_field(row->request, m.names[k]);
            assert_non_null(f);
            assert_true((f->flags & CHY_IN_PATH) != 0);
            assert_true(f->kind == CHY_KIND_STR || f->kind == CHY_KIND_U64 ||
                        f->kind == CHY_KIND_ID);
        }
    }
}

/* --- routing --- */

static void test_op_find__every_row_by_its_own_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        char path[CHY_LIMIT_NAME];
        char longer[CHY_LIMIT_NAME + 2];
        path_fill(chy_op_rows[i].path, path, sizeof path);
        assert_ptr_equal(find(chy_op_rows[i].method, path).row, &chy_op_rows[i]);
        assert_true(snprintf(longer, sizeof longer, "%s/", path) > 0);
        assert_null(find(chy_op_rows[i].method, longer).row);
        assert_true(snprintf(longer, sizeof longer, "/%s", path) > 0);
        assert_null(find(chy_op_rows[i].method, longer).row);
        assert_null(find(chy_op_rows[i].method, path + 1).row);
    }
}

static void test_op_find__another_method_is_told_which_are_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < chy_op_rows_n; i++) {
        char path[CHY_LIMIT_NAME];
        path_fill(chy_op_rows[i].path, path, sizeof path);
        for (size_t k = 0; k < CHY_ARRAY_LEN(methods); k++) {
            struct chy_op_match m = find(methods[k], path);
            if (m.row != NULL)
                continue;
            assert_non_null(strstr(m.allow, chy_http_method_name(chy_op_rows[i].method)));
            assert_null(strstr(m.allow, chy_http_method_name(methods[k])));
        }
    }
    assert_string_equal(find(CHY_HTTP_DELETE, "/v1/users").allow, "GET, POST");
    assert_string_equal(find(CHY_HTTP_POST, "/v1/users/a").allow, "GET, PUT");
    assert_string_equal(find(CHY_HTTP_GET, "/v1/keys/k/csr").allow, "POST");
}

static void test_op_find__unknown_paths_match_nothing(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "",
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v2/hello",
        "/v1/hell",
        "/v1/hello2",
        "/V1/hello",
        "/v1//hello",
        "/v1/users/",
        "/v1/users//api-tokens",
        "/v1/users/a/api-tokens/b/c",
        "/v1/keys/k/unknown",
        "/v1/log/1/receipt/2",
        "/log",
        "/log/tile",
        "/log/tile/",
        "/log/tile/entries/",
        "/log/checkpoint/x",
        "/v1/hello?x",
        "v1/hello",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(unknown); i++)
        for (size_t k = 0; k < CHY_ARRAY_LEN(methods); k++) {
            struct chy_op_match m = find(methods[k], unknown[i]);
            if (m.row != NULL || m.allow[0] != '\0')
                fail_msg("%s", unknown[i]);
        }
}

static void test_op_find__fixed_parts_win_over_parameters(void **state)
{
    (void)state;
    assert_int_equal(find(CHY_HTTP_POST, "/v1/keys/adopt").row->op, CHY_OP_KEYS_ADOPT);
    assert_int_equal(find(CHY_HTTP_GET, "/v1/keys/adopt").row->op, CHY_OP_KEYS_SHOW);
    assert_int_equal(find(CHY_HTTP_POST, "/v1/policies/test").row->op, CHY_OP_POLICIES_TEST);
    assert_int_equal(find(CHY_HTTP_GET, "/log/tile/entries/x001/067").row->op, CHY_OP_LOG_ENTRIES);
    assert_int_equal(find(CHY_HTTP_GET, "/log/tile/0/x001/067.p/8").row->op, CHY_OP_LOG_TILE);
}

static void test_op_find__parameters_are_views_into_the_path(void **state)
{
    (void)state;
    const char *path = "/v1/users/a%2Fb/api-tokens/00ff";
    struct chy_op_match m = find(CHY_HTTP_DELETE, path);
    assert_int_equal(m.row->op, CHY_OP_API_TOKENS_REVOKE);
    assert_int_equal(m.n, 2);
    assert_true(chy_str_equal_c(m.names[0], "name") && chy_str_equal_c(m.names[1], "id"));
    assert_true(chy_str_equal_c(m.values[0], "a%2Fb") && m.values[0].p == path + 10);
    assert_true(chy_str_equal_c(m.values[1], "00ff"));
    m = find(CHY_HTTP_GET, "/log/tile/entries/x001/067");
    assert_int_equal(m.n, 1);
    assert_true(chy_str_equal_c(m.names[0], "path"));
    assert_true(chy_str_equal_c(m.values[0], "x001/067"));
}

/* --- scopes of API tokens --- */

static bool in_scopes(enum chy_op op, const char *scope)
{
    struct chy_str s = chy_str_of(scope);
    return chy_op_in_scopes(chy_op_row((int)op), (struct chy_strs){ &s, 1 });
}

static void test_op_in_scopes(void **state)
{
    (void)state;
    assert_true(in_scopes(CHY_OP_SIGN, "sign"));
    assert_true(in_scopes(CHY_OP_SIGN, "*"));
    assert_true(in_scopes(CHY_OP_KEYS_SHOW, "keys.show"));
    assert_true(in_scopes(CHY_OP_KEYS_SHOW, "keys.*"));
    static const char *const not_sign[] = { "",     "sig",   "signs", "sign.*", "s*",
                                            "Sign", " sign", ".*",    "**",     "keys.*" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(not_sign); i++)
        assert_false(in_scopes(CHY_OP_SIGN, not_sign[i]));
    static const char *const not_keys[] = { "keys",    "keys.", "key.*",      "keys*",
                                            "keys.s*", ".*",    "keys.show.*" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(not_keys); i++)
        assert_false(in_scopes(CHY_OP_KEYS_SHOW, not_keys[i]));
    assert_false(in_scopes(CHY_OP_CERTS_CSR, "keys.*"));
    const struct chy_str two[] = { { "sign", 4 }, { "log.*", 5 } };
    const struct chy_strs scopes = { two, 2 };
    assert_true(chy_op_in_scopes(chy_op_row(CHY_OP_LOG_SHOW), scopes));
    assert_false(chy_op_in_scopes(chy_op_row(CHY_OP_HELLO), scopes));
    assert_false(chy_op_in_scopes(chy_op_row(CHY_OP_SIGN), (struct chy_strs){ NULL, 0 }));
}

/* --- paths for the client --- */

static void assert_path(enum chy_op op, const void *request, const char *expected)
{
    struct chy_buf b;
    struct chy_error err;
    chy_buf_init(&b, CHY_LIMIT_PATH);
    if (chy_op_path(chy_op_row((int)op), request, &b, &err) != CHY_OK)
        fail_msg("%s", err.text);
    assert_true(chy_buf_append_u8(&b, 0));
    assert_string_equal((const char *)b.p, expected);
    chy_buf_done(&b);
}

static void test_op_path__fills_and_escapes(void **state)
{
    (void)state;
    struct chy_empty empty = { false };
    assert_path(CHY_OP_HELLO, &empty, "/v1/hello");
    struct chy_key_name key = { CHY_STR("rel-1.2_x~") };
    assert_path(CHY_OP_KEYS_ENABLE, &key, "/v1/keys/rel-1.2_x~/enable");
    key.name = CHY_STR("a/b c%?#\xc3\xa4");
    assert_path(CHY_OP_KEYS_SHOW, &key, "/v1/keys/a%2Fb%20c%25%3F%23%C3%A4");
    struct chy_api_token_ref token = { CHY_STR("u@x"), { 0, 0xff } };
    assert_path(CHY_OP_API_TOKENS_REVOKE, &token,
                "/v1/users/u%40x/api-tokens/00ff0000000000000000000000000000");
    struct chy_tile_path tile = { CHY_STR("0/x001/067.p/8") };
    assert_path(CHY_OP_LOG_TILE, &tile, "/log/tile/0/x001/067.p/8");
    struct chy_log_index leaf = { INT64_MAX };
    assert_path(CHY_OP_LOG_RECEIPT, &leaf, "/v1/log/9223372036854775807/receipt");
    leaf.index = 0;
    assert_path(CHY_OP_LOG_SHOW, &leaf, "/v1/log/0");
    struct chy_log_query query = { 0 };
    assert_path(CHY_OP_LOG_LIST, &query, "/v1/log");
    query = (struct chy_log_query){
        .after = 7, .limit = 5, .key = CHY_STR("a&b"), .digest = { (const uint8_t *)"\xab\x01", 2 }
    };
    assert_path(CHY_OP_LOG_LIST, &query, "/v1/log?after=7&limit=5&key=a%26b&digest=ab01");
}

static void test_op_path__refuses(void **state)
{
    (void)state;
    struct chy_buf b;
    struct chy_error err;
    struct chy_key_name key = { { NULL, 0 } };
    chy_buf_init(&b, 16);
    assert_int_equal(chy_op_path(chy_op_row(CHY_OP_KEYS_SHOW), &key, &b, &err), CHY_E_ARG);
    assert_string_equal(err.text, "name is missing");
    assert_int_equal(b.n, 0);
    key.name = CHY_STR("12345678");
    assert_int_equal(chy_op_path(chy_op_row(CHY_OP_KEYS_SHOW), &key, &b, &err), CHY_E_LIMIT);
    chy_buf_clear(&b);
    key.name = CHY_STR("1234567");
    assert_int_equal(chy_op_path(chy_op_row(CHY_OP_KEYS_SHOW), &key, &b, &err), CHY_OK);
    chy_buf_clear(&b);
    chy_mem_fail_after(0);
    assert_int_equal(chy_op_path(chy_op_row(CHY_OP_KEYS_SHOW), &key, &b, &err), CHY_E_NOMEM);
    chy_mem_fail_after(SIZE_MAX);
    chy_buf_done(&b);
}

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static size_t percent_decode(struct chy_str in, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        out[n] = in.p[i];
        if (in.p[i] == '%') {
            out[n] = (char)(hex_value(in.p[i + 1]) << 4 | hex_value(in.p[i + 2]));
            i += 2;
        }
        n++;
    }
    return n;
}

/* What the client builds, the server finds, with the same texts in it. */
static void test_op_path__is_found_again(void **state)
{
    (void)state;
    struct chy_arena arena;
    static _Alignas(16) char request[4096];
    uint64_t seed = 21;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    for (size_t i = 0; i < chy_op_rows_n * 20; i++) {
        const struct chy_op_row *row = &chy_op_rows[i % chy_op_rows_n];
        struct chy_buf b;
        chy_buf_init(&b, CHY_LIMIT_PATH);
        chy_arena_reset(&arena);
        values_random(row->request, &seed, 0, &arena, request);
        assert_int_equal(chy_op_path(row, request, &b, NULL), CHY_OK);
        struct chy_str path = chy_buf_str(&b);
        const char *query = memchr(path.p, '?', path.n);
        path.n = query != NULL ? (size_t)(query - path.p) : path.n;
        struct chy_op_match m;
        bool found = chy_op_find(row->method, path, &m);
        bool is_free = row->request == &chy_tile_path_schema; /* "entries/…" is another row's */
        assert_true(is_free || (found && m.row == row));
        for (size_t k = 0; found && !is_free && k < m.n; k++) {
            const struct chy_field *f = chy_schema_field(row->request, m.names[k]);
            char text[3 * CHY_LIMIT_NAME];
            struct chy_str got = { text, percent_decode(m.values[k], text) };
            if (f->kind == CHY_KIND_STR)
                assert_true(chy_str_equal(got, *(struct chy_str *)chy_field_at(f, request)));
        }
        chy_buf_done(&b);
    }
    chy_arena_done(&arena);
}

static void test_http_method_name(void **state)
{
    (void)state;
    static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "DELETE" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(methods); i++)
        assert_string_equal(chy_http_method_name(methods[i]), names[i]);
    assert_string_equal(chy_http_method_name((enum chy_http_method)0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops__rows_are_whole_and_in_order),
        cmocka_unit_test(test_ops__methods_and_servers_agree),
        cmocka_unit_test(test_ops__only_these_are_open_to_anybody),
        cmocka_unit_test(test_ops__requests_without_a_body_are_in_the_url),
        cmocka_unit_test(test_ops__path_parameters_are_the_requests_fields),
        cmocka_unit_test(test_op_find__every_row_by_its_own_path),
        cmocka_unit_test(test_op_find__another_method_is_told_which_are_allowed),
        cmocka_unit_test(test_op_find__unknown_paths_match_nothing),
        cmocka_unit_test(test_op_find__fixed_parts_win_over_parameters),
        cmocka_unit_test(test_op_find__parameters_are_views_into_the_path),
        cmocka_unit_test(test_op_in_scopes),
        cmocka_unit_test(test_op_path__fills_and_escapes),
        cmocka_unit_test(test_op_path__refuses),
        cmocka_unit_test(test_op_path__is_found_again),
        cmocka_unit_test(test_http_method_name),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
