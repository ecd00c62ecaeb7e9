/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "codec/schema.h"
#include "proto/api.h"
#include "proto/entry.h"
#include "values.h"

#define ROUNDS     12
#define STRUCT_MAX 4096 /* bytes: the largest struct that has a schema */

/* One value with room for what it decodes to. */
struct fixture {
    struct chy_arena arena;
    struct chy_buf bytes;
    struct chy_error err;
    _Alignas(16) char value[STRUCT_MAX];
    _Alignas(16) char back[STRUCT_MAX];
};

static void fixture_init(struct fixture *t)
{
    chy_arena_init(&t->arena, CHY_LIMIT_ARENA);
    chy_buf_init(&t->bytes, CHY_LIMIT_FRAME);
}

static void fixture_done(struct fixture *t)
{
    chy_arena_done(&t->arena);
    chy_buf_done(&t->bytes);
}

static void random_encode(struct fixture *t, const struct chy_schema *schema, uint64_t *seed)
{
    assert_in_range(schema->size, 1, STRUCT_MAX);
    chy_arena_reset(&t->arena);
    chy_buf_clear(&t->bytes);
    values_random(schema, seed, 0, &t->arena, t->value);
    enum chy_err r = chy_schema_encode(schema, t->value, &t->bytes, &t->err);
    if (r != CHY_OK)
        fail_msg("%s: %s", schema->name, t->err.text);
    assert_int_equal(chy_schema_check(schema, t->value, NULL), CHY_OK);
}

static enum chy_err decode(struct fixture *t, const struct chy_schema *schema, struct chy_bytes in)
{
    return chy_schema_decode(schema, in, &t->arena, t->back, &t->err);
}

/* --- all schemas, random values --- */

static void test_schema__every_struct_round_trips(void **state)
{
    (void)state;
    struct fixture t;
    fixture_init(&t);
    uint64_t seed = 1;
    for (size_t i = 0; i < values_schemas_n * ROUNDS; i++) {
        const struct chy_schema *schema = values_schemas[i / ROUNDS];
        random_encode(&t, schema, &seed);
        enum chy_err r = decode(&t, schema, chy_buf_bytes(&t.bytes));
        if (r != CHY_OK || !values_equal(schema, t.value, t.back, 0))
            fail_msg("%s: %s", schema->name, r != CHY_OK ? t.err.text : "differs");
    }
    fixture_done(&t);
}

static void test_schema_copy__borrows_from_the_arena_alone(void **state)
{
    (void)state;
    struct fixture t;
    fixture_init(&t);
    uint64_t seed = 2;
    for (size_t i = 0; i < values_schemas_n; i++) {
        struct chy_arena own;
        chy_arena_init(&own, CHY_LIMIT_ARENA);
        random_encode(&t, values_schemas[i], &seed);
        struct chy_buf again;
        chy_buf_init(&again, CHY_LIMIT_FRAME);
        assert_int_equal(chy_schema_copy(values_schemas[i], t.value, &own, t.back, &t.err), CHY_OK);
        chy_arena_done(&t.arena); /* a copy that pointed in here would be found by a sanitizer */
        chy_arena_init(&t.arena, CHY_LIMIT_ARENA);
        assert_int_equal(chy_schema_encode(values_schemas[i], t.back, &again, &t.err), CHY_OK);
        assert_true(chy_bytes_equal(chy_buf_bytes(&t.bytes), chy_buf_bytes(&again)));
        chy_buf_done(&again);
        chy_arena_done(&own);
    }
    fixture_done(&t);
}

static void test_schema_decode__refuses_every_truncation(void **state)
{
    (void)state;
    struct fixture t;
    fixture_init(&t);
    uint64_t seed = 3;
    for (size_t i = 0; i < values_schemas_n; i++) {
        random_encode(&t, values_schemas[i], &seed);
        for (size_t n = 0; n < t.bytes.n; n++) {
            enum chy_err r = decode(&t, values_schemas[i], (struct chy_bytes){ t.bytes.p, n });
            if (r != CHY_E_MALFORMED)
                fail_msg("%s cut to %zu of %zu bytes: %s", values_schemas[i]->name, n, t.bytes.n,
                         chy_err_name(r));
        }
    }
    fixture_done(&t);
}

static void test_schema_decode__refuses_a_trailing_byte(void **state)
{
    (void)state;
    struct fixture t;
    fixture_init(&t);
    uint64_t seed = 4;
    for (size_t i = 0; i < values_schemas_n; i++) {
        random_encode(&t, values_schemas[i], &seed);
        chy_buf_append_u8(&t.bytes, 0);
        assert_int_equal(decode(&t, values_schemas[i], chy_buf_bytes(&t.bytes)), CHY_E_MALFORMED);
    }
    fixture_done(&t);
}

/* A changed byte is another value or none: never a second spelling of the same or of a third. */
static void test_schema_decode__takes_one_encoding_of_a_value(void **state)
{
    (void)state;
    struct fixture t;
    struct chy_buf again;
    fixture_init(&t);
    chy_buf_init(&again, CHY_LIMIT_FRAME);
    uint64_t seed = 5;
    size_t accepted = 0;
    for (size_t i = 0; i < values_schemas_n; i++) {
        random_encode(&t, values_schemas[i], &seed);
        for (size_t at = 0; at < t.bytes.n; at++) {
            uint8_t old = t.bytes.p[at];
            t.bytes.p[at] ^= (uint8_t)(1u << values_next(&seed) % 8);
            if (decode(&t, values_schemas[i], chy_buf_bytes(&t.bytes)) == CHY_OK) {
                chy_buf_clear(&again);
                assert_int_equal(chy_schema_encode(values_schemas[i], t.back, &again, NULL),
                                 CHY_OK);
                assert_true(chy_bytes_equal(chy_buf_bytes(&t.bytes), chy_buf_bytes(&again)));
                assert_false(values_equal(values_schemas[i], t.value, t.back, 0));
                accepted++;
            }
            t.bytes.p[at] = old;
        }
    }
    assert_true(accepted > 1000);
    chy_buf_done(&again);
    fixture_done(&t);
}

static void test_schema_decode__survives_each_failed_allocation(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (size_t i = 0; i < values_schemas_n; i++) {
        struct fixture t;
        fixture_init(&t);
        random_encode(&t, values_schemas[i], &seed);
        enum chy_err r = CHY_E_NOMEM;
        for (size_t n = 0; r != CHY_OK; n++) {
            struct chy_arena own;
            chy_arena_init(&own, CHY_LIMIT_ARENA);
            chy_mem_fail_after(n);
            r = chy_schema_decode(values_schemas[i], chy_buf_bytes(&t.bytes), &own, t.back, &t.err);
            bool has_failed = chy_mem_has_failed();
            chy_mem_fail_after(SIZE_MAX);
            assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
            chy_arena_done(&own);
        }
        fixture_done(&t);
    }
}

static void test_schema_encode__survives_each_failed_allocation(void **state)
{
    (void)state;
    uint64_t seed = 7;
    struct fixture t;
    fixture_init(&t);
    for (size_t i = 0; i < values_schemas_n; i++) {
        random_encode(&t, values_schemas[i], &seed);
        enum chy_err r = CHY_E_NOMEM;
        for (size_t n = 0; r != CHY_OK; n++) {
            struct chy_buf out;
            chy_buf_init(&out, CHY_LIMIT_FRAME);
            chy_mem_fail_after(n);
            r = chy_schema_encode(values_schemas[i], t.value, &out, &t.err);
            bool has_failed = chy_mem_has_failed();
            chy_mem_fail_after(SIZE_MAX);
            assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
            chy_buf_done(&out);
        }
    }
    fixture_done(&t);
}

/* --- frozen layouts: logs that are out in the world are read by these --- */

static void assert_encodes_as(const struct chy_schema *schema, const void *value, const char *hex)
{
    struct chy_buf b;
    struct chy_buf text;
    struct chy_error err;
    chy_buf_init(&b, CHY_LIMIT_FRAME);
    chy_buf_init(&text, CHY_LIMIT_FRAME);
    if (chy_schema_encode(schema, value, &b, &err) != CHY_OK)
        fail_msg("%s", err.text);
    assert_true(chy_hex_append(&text, chy_buf_bytes(&b)));
    chy_buf_append_u8(&text, 0);
    assert_string_equal((const char *)text.p, hex);
    chy_buf_done(&b);
    chy_buf_done(&text);
}

static void test_schema_encode__fact_is_frozen(void **state)
{
    (void)state;
    struct chy_fact fact = { CHY_STR("host"), CHY_STR("b1"), CHY_BASIS_AGENT };
    assert_encodes_as(&chy_fact_schema, &fact,
                      "00000004"
                      "686f7374"
                      "00000002"
                      "6231"
                      "0001");
}

#define H4(b)  b b b b
#define H16(b) H4(H4(b))
#define H32(b) H16(b) H16(b)

/* docs/formats/log.md. Whoever changes these bytes makes every log that exists unreadable. */
static void test_schema_encode__log_entry_version_1_is_frozen(void **state)
{
    (void)state;
    static const struct chy_str rules[] = { { "r1", 2 }, { "r22", 3 } };
    static const struct chy_fact facts[] = { { { "host", 4 }, { "b1", 2 }, CHY_BASIS_SERVER } };
    static const struct chy_label labels[] = { { { "ci", 2 }, { "", 0 } } };
    struct chy_entry e = {
        .version = 1,
        .kind = CHY_ENTRY_SIGN_OUTCOME,
        .time_us = INT64_C(0x0006462f1a2b3c4d),
        .node = CHY_STR("n1"),
        .item = 7,
        .principal = CHY_STR("alice"),
        .method = CHY_AUTH_API_TOKEN,
        .action = CHY_STR("sign"),
        .subject = CHY_STR("k1"),
        .policy_number = 42,
        .decision = CHY_DECISION_HELD,
        .rules = { rules, 2 },
        .algorithm = CHY_ALG_ED25519,
        .hashed_by = CHY_HASHED_BY_SERVER,
        .digest = { (const uint8_t *)"\xde\xad", 2 },
        .artifact_digest = { (const uint8_t *)"\xbe", 1 },
        .artifact_type = CHY_STR("pe"),
        .artifact_size_bytes = 65536,
        .facts = { facts, 1 },
        .labels = { labels, 1 },
        .outcome = CHY_OUTCOME_UNKNOWN,
        .intent_index = 41,
    };
    memset(e.request_id, 0x11, sizeof e.request_id);
    memset(e.policy_hash, 0x22, sizeof e.policy_hash);
    memset(e.key_sha256, 0x33, sizeof e.key_sha256);
    memset(e.result_sha256, 0x44, sizeof e.result_sha256);
    memset(e.detail_sha256, 0x55, sizeof e.detail_sha256);
    assert_encodes_as(&chy_entry_schema, &e,
                      "00000001"           /* version */
                      "0004"               /* kind */
                      "0006462f1a2b3c4d"   /* time */
                      "000000026e31"       /* node */
                      H16("11")            /* request_id */
                      "00000007"           /* item */
                      "00000005616c696365" /* principal */
                      "0002"               /* method */
                      "000000047369676e"   /* action */
                      "000000026b31"       /* subject */
                      "000000000000002a"   /* policy_number */
                      H32("22")            /* policy_hash */
                      "0003"               /* decision */
                      "000000020000000272310000000372"
                      "3232"             /* rules */
                      H32("33")          /* key_sha256 */
                      "000a"             /* algorithm */
                      "0004"             /* hashed_by */
                      "00000002dead"     /* digest */
                      "00000001be"       /* artifact_digest */
                      "000000027065"     /* artifact_type */
                      "0000000000010000" /* artifact_size_bytes */
                      "0000000100000004686f7374"
                      "0000000262310002"             /* facts */
                      "0000000100000002636900000000" /* labels */
                      "0003"                         /* outcome */
                      "0000000000000029"             /* intent_index */
                      H32("44")                      /* result_sha256 */
                      H32("55"));                    /* detail_sha256 */
}

/* The names are frozen as well: they are how people, exports and policies speak of the fields. */
static void test_schema__log_entry_fields_are_frozen(void **state)
{
    (void)state;
    static const char *const names[] = {
        "version",
        "kind",
        "time",
        "node",
        "request_id",
        "item",
        "principal",
        "method",
        "action",
        "subject",
        "policy_number",
        "policy_hash",
        "decision",
        "rules",
        "key_sha256",
        "algorithm",
        "hashed_by",
        "digest",
        "artifact_digest",
        "artifact_type",
        "artifact_size_bytes",
        "facts",
        "labels",
        "outcome",
        "intent_index",
        "result_sha256",
        "detail_sha256",
    };
    assert_int_equal(chy_entry_schema.n, CHY_ARRAY_LEN(names));
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        assert_string_equal(chy_entry_schema.fields[i].name, names[i]);
}

/* --- bounds: one struct that has a field of every kind --- */

enum color {
    COLOR_RED = 1,
    COLOR_BLUE = 65535
};
static const struct chy_enum_value colors[] = { { COLOR_RED, "red", NULL },
                                                { COLOR_BLUE, "blue", NULL } };
static const struct chy_enum color_enum = CHY_ENUM("color", colors);

struct inner {
    uint32_t n;
};
static const struct chy_field inner_fields[] = { CHY_F_U32(struct inner, n, 0, 2, 5, "n") };
static const struct chy_schema inner_schema =
    CHY_SCHEMA("Inner", struct inner, inner_fields, "inner");

struct all {
    bool flag;
    uint32_t u32;
    uint64_t u64;
    int64_t when_us;
    enum color color;
    struct chy_str str;
    struct chy_str wild;
    struct chy_bytes bytes;
    uint8_t hash[CHY_HASH_BYTES];
    struct inner in;
    const struct inner *option;
    CHY_LIST_OF(struct inner) list;
    struct chy_strs strs;
};
static const struct chy_field all_fields[] = {
    CHY_F_BOOL(struct all, flag, 0, "flag"),
    CHY_F_U32(struct all, u32, 0, 10, 20, "u32"),
    CHY_F_U64(struct all, u64, 0, 10, 20, "u64"),
    CHY_F_TIME(struct all, when, 0, "when"),
    CHY_F_ENUM(struct all, color, &color_enum, enum color, 0, "color"),
    CHY_F_STR(struct all, str, CHY_REQUIRED, 2, 4, "str"),
    CHY_F_STR(struct all, wild, CHY_MULTILINE, 2, 4, "wild"),
    CHY_F_BYTES(struct all, bytes, 0, 2, 4, "bytes"),
    CHY_F_HASH(struct all, hash, 0, "hash"),
    CHY_F_STRUCT(struct all, in, &inner_schema, struct inner, 0, "in"),
    CHY_F_OPTION(struct all, option, &inner_schema, struct inner, CHY_REQUIRED, "option"),
    CHY_F_LIST(struct all, list, &inner_schema, struct inner, 0, 1, 2, "list"),
    CHY_F_STRS(struct all, strs, 0, 2, 3, "strs"),
};
static const struct chy_schema all_schema = CHY_SCHEMA("All", struct all, all_fields, "all");

static const struct inner three[] = { { 2 }, { 3 }, { 4 } };
static const struct chy_str texts[] = { { "abc", 3 }, { "d", 1 }, { "ef", 2 } };

static struct all all_good(void)
{
    return (struct all){
        .u32 = 10,
        .u64 = 20,
        .color = COLOR_BLUE,
        .str = CHY_STR("ab"),
        .wild = CHY_STR("\n\x01"),
        .bytes = { (const uint8_t *)"\xff\xff", 2 },
        .in = { 5 },
        .option = &three[0],
        .list = { three, 2 },
        .strs = { texts, 2 },
    };
}

/* What encode refuses, check refuses alike, and decode refuses when it is spelled out. */
static void assert_refused(const struct all *value, enum chy_err encoding, const char *text)
{
    struct chy_buf out;
    struct chy_error err = { 0 };
    chy_buf_init(&out, 4096);
    assert_int_equal(chy_schema_encode(&all_schema, value, &out, &err), encoding);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(chy_schema_check(&all_schema, value, &err), encoding);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(chy_schema_check(&all_schema, value, NULL), encoding);
    chy_buf_done(&out);
}

static void assert_accepted(const struct all *value)
{
    struct chy_error err = { 0 };
    enum chy_err r = chy_schema_check(&all_schema, value, &err);
    if (r != CHY_OK)
        fail_msg("%s", err.text);
}

/* One member of all_good() is another. */
struct change {
    size_t offset;
    size_t size;
    const void *value;
};
#define SET(member, T, ...)                                            \
    {                                                                  \
        offsetof(struct all, member), sizeof(T), &(const T)__VA_ARGS__ \
    }

static struct all all_with(const struct change *c)
{
    struct all value = all_good();
    memcpy((char *)&value + c->offset, c->value, c->size);
    return value;
}

static void test_schema_check__stands_at_each_bound(void **state)
{
    (void)state;
    const struct change good[] = {
        SET(u32, uint32_t, { 20 }),
        SET(u64, uint64_t, { 10 }),
        SET(when_us, int64_t, { INT64_MAX }),
        SET(color, enum color, { COLOR_RED }),
        SET(str, struct chy_str, { "abcd", 4 }),
        SET(str, struct chy_str, { "\xc3\xa4", 2 }),
        SET(wild, struct chy_str, { NULL, 0 }),
        SET(wild, struct chy_str, { "abcd", 4 }),
        SET(bytes, struct chy_bytes, { NULL, 0 }),
        SET(bytes, struct chy_bytes, { (const uint8_t *)"abcd", 4 }),
        SET(in.n, uint32_t, { 2 }),
        SET(list.n, size_t, { 1 }),
        SET(strs.n, size_t, { 0 }),
    };
    struct all value = all_good();
    assert_accepted(&value);
    for (size_t i = 0; i < CHY_ARRAY_LEN(good); i++) {
        value = all_with(&good[i]);
        assert_accepted(&value);
    }
}

static void test_schema_check__refuses_past_each_bound(void **state)
{
    (void)state;
    const struct {
        struct change change;
        enum chy_err code;
        const char *text;
    } bad[] = {
        { SET(u32, uint32_t, { 9 }), CHY_E_LIMIT, "u32 is 9, expected 10 to 20" },
        { SET(u32, uint32_t, { 21 }), CHY_E_LIMIT, "u32 is 21, expected 10 to 20" },
        { SET(u64, uint64_t, { 9 }), CHY_E_LIMIT, "u64 is 9" },
        { SET(u64, uint64_t, { UINT64_MAX }), CHY_E_LIMIT, "u64 is 18446744073709551615" },
        { SET(when_us, int64_t, { -1 }), CHY_E_ARG, "when is before 1970" },
        { SET(color, enum color, { 2 }), CHY_E_ARG, "color has no value 2" },
        { SET(color, int, { -1 }), CHY_E_ARG, "color has no value -1" },
        { SET(color, enum color, { 65537 }), CHY_E_ARG, "color has no value 65537" },
        { SET(str, struct chy_str, { NULL, 0 }), CHY_E_ARG, "str is missing" },
        { SET(str, struct chy_str, { "a", 1 }), CHY_E_ARG, "str has 1 bytes, at least 2" },
        { SET(str, struct chy_str, { "abcde", 5 }), CHY_E_LIMIT, "str has 5 bytes, at most 4" },
        { SET(str, struct chy_str, { "a\n", 2 }), CHY_E_ARG, "str is not plain" },
        { SET(str, struct chy_str, { "a\xff", 2 }), CHY_E_ARG, "str is not plain" },
        { SET(wild, struct chy_str, { "\xff\xff", 2 }), CHY_E_ARG, "wild is not valid UTF-8" },
        { SET(bytes, struct chy_bytes, { (const uint8_t *)"a", 1 }), CHY_E_ARG,
          "bytes has 1 bytes" },
        { SET(bytes, struct chy_bytes, { (const uint8_t *)"abcde", 5 }), CHY_E_LIMIT,
          "bytes has 5 bytes" },
        { SET(in.n, uint32_t, { 6 }), CHY_E_LIMIT, "n is 6, expected 2 to 5" },
        { SET(option, struct inner *, { NULL }), CHY_E_ARG, "option is missing" },
        { SET(list.n, size_t, { 0 }), CHY_E_ARG, "list has 0 elements, at least 1" },
        { SET(list.n, size_t, { 3 }), CHY_E_LIMIT, "list has 3 elements, at most 2" },
        { SET(strs.n, size_t, { 3 }), CHY_E_LIMIT, "strs has 3 elements, at most 2" },
        { SET(strs, struct chy_strs, { (const struct chy_str[]){ { "abcd", 4 } }, 1 }), CHY_E_LIMIT,
          "strs has an element of 4 bytes, expected 1 to 3" },
        { SET(strs, struct chy_strs, { (const struct chy_str[]){ { "", 0 } }, 1 }), CHY_E_ARG,
          "strs has an element of 0 bytes" },
        { SET(strs, struct chy_strs, { (const struct chy_str[]){ { "\t", 1 } }, 1 }), CHY_E_ARG,
          "strs is not plain" },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct all value = all_with(&bad[i].change);
        assert_refused(&value, bad[i].code, bad[i].text);
    }
}

/* Where each field of all_good() begins. */
enum {
    AT_FLAG = 0,
    AT_U32 = 1,
    AT_U64 = 5,
    AT_WHEN = 13,
    AT_COLOR = 21,
    AT_STR = 23,
    AT_WILD = 29,
    AT_BYTES = 35,
    AT_HASH = 41,
    AT_IN = 73,
    AT_OPTION = 77,
    AT_LIST = 82,
    AT_STRS = 94,
    ALL_BYTES = 94 + 4 + 7 + 5,
};

static void test_schema_decode__refuses_what_encode_refuses(void **state)
{
    (void)state;
    const struct {
        size_t at;
        uint8_t byte;
        enum chy_err code;
        const char *text;
    } bad[] = {
        { AT_FLAG, 2, CHY_E_MALFORMED, "flag is 2, expected 0 or 1" },
        { AT_U32 + 3, 9, CHY_E_LIMIT, "u32 is 9" },
        { AT_U32 + 3, 21, CHY_E_LIMIT, "u32 is 21" },
        { AT_U64, 1, CHY_E_LIMIT, "u64 is" },
        { AT_WHEN, 0x80, CHY_E_MALFORMED, "when is before 1970" },
        { AT_COLOR, 0, CHY_E_MALFORMED, "color has no value 255" },
        { AT_STR + 3, 1, CHY_E_MALFORMED, "str has 1 bytes" },
        { AT_STR + 3, 0, CHY_E_MALFORMED, "str is missing" },
        { AT_STR + 3, 5, CHY_E_LIMIT, "str has 5 bytes" },
        { AT_STR, 0xff, CHY_E_MALFORMED, "str is cut off" },
        { AT_STR + 4, '\n', CHY_E_MALFORMED, "str is not plain" },
        { AT_WILD + 4, 0xff, CHY_E_MALFORMED, "wild is not valid UTF-8" },
        { AT_BYTES + 3, 1, CHY_E_MALFORMED, "bytes has 1 bytes" },
        { AT_IN + 3, 1, CHY_E_LIMIT, "n is 1" },
        { AT_OPTION, 0, CHY_E_MALFORMED, "option is missing" },
        { AT_OPTION, 2, CHY_E_MALFORMED, "option is 2, expected 0 or 1" },
        { AT_LIST + 3, 0, CHY_E_MALFORMED, "list has 0 elements" },
        { AT_LIST + 3, 3, CHY_E_LIMIT, "list has 3 elements" },
        { AT_STRS + 3, 3, CHY_E_LIMIT, "strs has 3 elements" },
        { AT_STRS + 7, 0, CHY_E_MALFORMED, "strs has an element of 0 bytes" },
        { AT_STRS + 7, 4, CHY_E_LIMIT, "strs has an element of 4 bytes" },
    };
    struct fixture t;
    fixture_init(&t);
    struct all value = all_good();
    assert_int_equal(chy_schema_encode(&all_schema, &value, &t.bytes, NULL), CHY_OK);
    assert_int_equal(t.bytes.n, ALL_BYTES);
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        uint8_t old = t.bytes.p[bad[i].at];
        t.bytes.p[bad[i].at] = bad[i].byte;
        assert_int_equal(decode(&t, &all_schema, chy_buf_bytes(&t.bytes)), bad[i].code);
        if (strstr(t.err.text, bad[i].text) == NULL)
            fail_msg("\"%s\", expected \"%s\"", t.err.text, bad[i].text);
        t.bytes.p[bad[i].at] = old;
    }
    fixture_done(&t);
}

/* 4 bytes that ask for 16,384 elements must not get the memory for them. */
static void test_schema_decode__no_list_is_larger_than_its_bytes(void **state)
{
    (void)state;
    static const uint8_t in[] = { 0, 0, 0x40, 0 };
    struct fixture t;
    fixture_init(&t);
    assert_int_equal(decode(&t, &chy_key_list_schema, (struct chy_bytes){ in, sizeof in }),
                     CHY_E_MALFORMED);
    assert_int_equal(t.arena.used, 0);
    fixture_done(&t);
}

static void test_schema_decode__stops_at_the_arenas_maximum(void **state)
{
    (void)state;
    struct fixture t;
    fixture_init(&t);
    struct all value = all_good();
    assert_int_equal(chy_schema_encode(&all_schema, &value, &t.bytes, NULL), CHY_OK);
    struct chy_arena small;
    chy_arena_init(&small, 16);
    assert_int_equal(
        chy_schema_decode(&all_schema, chy_buf_bytes(&t.bytes), &small, t.back, &t.err),
        CHY_E_NOMEM);
    chy_arena_done(&small);
    fixture_done(&t);
}

static void test_schema_encode__stops_at_the_buffers_maximum(void **state)
{
    (void)state;
    struct all value = all_good();
    struct chy_buf b;
    chy_buf_init(&b, ALL_BYTES);
    assert_int_equal(chy_schema_encode(&all_schema, &value, &b, NULL), CHY_OK);
    chy_buf_done(&b);
    chy_buf_init(&b, ALL_BYTES - 1);
    assert_int_equal(chy_schema_encode(&all_schema, &value, &b, NULL), CHY_E_LIMIT);
    chy_buf_done(&b);
}

/* A schema that holds itself: the depth alone ends it. */
struct nest {
    const struct nest *next;
};
extern const struct chy_schema nest_schema;
static const struct chy_field nest_fields[] = {
    CHY_F_OPTION(struct nest, next, &nest_schema, struct nest, 0, "next"),
};
const struct chy_schema nest_schema = CHY_SCHEMA("Nest", struct nest, nest_fields, "nest");

static void test_schema__depth_is_limited_both_ways(void **state)
{
    (void)state;
    struct nest chain[CHY_LIMIT_DEPTH + 2] = { { NULL } };
    for (size_t i = 0; i + 1 < CHY_ARRAY_LEN(chain); i++)
        chain[i].next = &chain[i + 1];
    struct fixture t;
    fixture_init(&t);
    assert_int_equal(chy_schema_encode(&nest_schema, &chain[1], &t.bytes, &t.err), CHY_OK);
    assert_int_equal(decode(&t, &nest_schema, chy_buf_bytes(&t.bytes)), CHY_OK);
    chy_buf_clear(&t.bytes);
    assert_int_equal(chy_schema_encode(&nest_schema, &chain[0], &t.bytes, &t.err), CHY_E_LIMIT);
    uint8_t deep[CHY_LIMIT_DEPTH + 2];
    memset(deep, 1, sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_int_equal(decode(&t, &nest_schema, (struct chy_bytes){ deep + 1, sizeof deep - 1 }),
                     CHY_OK);
    assert_int_equal(decode(&t, &nest_schema, (struct chy_bytes){ deep, sizeof deep }),
                     CHY_E_LIMIT);
    fixture_done(&t);
}

/* --- names and access --- */

static void test_enum__names_and_values(void **state)
{
    (void)state;
    int v = 7;
    struct chy_error err;
    assert_string_equal(chy_enum_name(&color_enum, COLOR_BLUE), "blue");
    assert_null(chy_enum_name(&color_enum, 2));
    assert_int_equal(chy_enum_find(&color_enum, CHY_STR("red"), &v, NULL), CHY_OK);
    assert_int_equal(v, COLOR_RED);
    v = 7;
    assert_int_equal(chy_enum_find(&color_enum, CHY_STR("Red"), &v, &err), CHY_E_NOT_FOUND);
    assert_string_equal(err.text, "\"Red\" is no color");
    assert_int_equal(v, 7);
}

static void test_schema_field__finds_whole_names_only(void **state)
{
    (void)state;
    assert_ptr_equal(chy_schema_field(&all_schema, CHY_STR("u32")), &all_fields[1]);
    assert_ptr_equal(chy_schema_field(&all_schema, CHY_STR("when")), &all_fields[3]);
    assert_null(chy_schema_field(&all_schema, CHY_STR("u3")));
    assert_null(chy_schema_field(&all_schema, CHY_STR("u321")));
    assert_null(chy_schema_field(&all_schema, CHY_STR("")));
}

static void test_field_is_empty__as_a_document_sees_it(void **state)
{
    (void)state;
    struct all none = { 0 };
    struct all some = all_good();
    some.when_us = 1;
    some.hash[31] = 1;
    static const char *const may_be_absent[] = { "when", "str",    "wild", "bytes",
                                                 "hash", "option", "list", "strs" };
    for (size_t i = 0; i < all_schema.n; i++) {
        bool may = false;
        for (size_t j = 0; j < CHY_ARRAY_LEN(may_be_absent); j++)
            may = may || strcmp(all_fields[i].name, may_be_absent[j]) == 0;
        assert_int_equal(chy_field_is_empty(&all_fields[i], &none), may);
        assert_false(chy_field_is_empty(&all_fields[i], &some));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema__every_struct_round_trips),
        cmocka_unit_test(test_schema_copy__borrows_from_the_arena_alone),
        cmocka_unit_test(test_schema_decode__refuses_every_truncation),
        cmocka_unit_test(test_schema_decode__refuses_a_trailing_byte),
        cmocka_unit_test(test_schema_decode__takes_one_encoding_of_a_value),
        cmocka_unit_test(test_schema_decode__survives_each_failed_allocation),
        cmocka_unit_test(test_schema_encode__survives_each_failed_allocation),
        cmocka_unit_test(test_schema_encode__fact_is_frozen),
        cmocka_unit_test(test_schema_encode__log_entry_version_1_is_frozen),
        cmocka_unit_test(test_schema__log_entry_fields_are_frozen),
        cmocka_unit_test(test_schema_check__stands_at_each_bound),
        cmocka_unit_test(test_schema_check__refuses_past_each_bound),
        cmocka_unit_test(test_schema_decode__refuses_what_encode_refuses),
        cmocka_unit_test(test_schema_decode__no_list_is_larger_than_its_bytes),
        cmocka_unit_test(test_schema_decode__stops_at_the_arenas_maximum),
        cmocka_unit_test(test_schema_encode__stops_at_the_buffers_maximum),
        cmocka_unit_test(test_schema__depth_is_limited_both_ways),
        cmocka_unit_test(test_enum__names_and_values),
        cmocka_unit_test(test_schema_field__finds_whole_names_only),
        cmocka_unit_test(test_field_is_empty__as_a_document_sees_it),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
