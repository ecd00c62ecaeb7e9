/* SPDX-License-Identifier: MIT */
#include "values.h"

#include "base/err.h"
#include "proto/entry.h"
#include "proto/internal.h"

#define TEXT_MAX   40 /* bytes of a random text: long enough to cross an arena block now and then */
#define COUNT_MAX  3  /* elements of a random list */
#define NESTED_MAX 6

const struct chy_schema *const values_schemas[] = {
    &chy_fact_schema,
    &chy_label_schema,
    &chy_certificate_schema,
    &chy_empty_schema,
    &chy_entry_schema,
    &chy_entry_detail_schema,
    &chy_hello_schema,
    &chy_enroll_request_schema,
    &chy_renew_request_schema,
    &chy_client_certificate_schema,
    &chy_whoami_schema,
    &chy_api_token_info_schema,
    &chy_user_schema,
    &chy_user_list_schema,
    &chy_user_name_schema,
    &chy_user_create_schema,
    &chy_user_update_schema,
    &chy_enrolment_code_request_schema,
    &chy_enrolment_code_schema,
    &chy_api_token_create_schema,
    &chy_api_token_schema,
    &chy_api_token_ref_schema,
    &chy_token_info_schema,
    &chy_token_list_schema,
    &chy_key_schema,
    &chy_key_list_schema,
    &chy_key_name_schema,
    &chy_key_create_schema,
    &chy_key_adopt_schema,
    &chy_key_destroy_schema,
    &chy_key_guard_schema,
    &chy_csr_request_schema,
    &chy_csr_schema,
    &chy_certificate_import_schema,
    &chy_development_certificate_schema,
    &chy_pem_schema,
    &chy_policy_apply_schema,
    &chy_policy_number_schema,
    &chy_policy_schema,
    &chy_policy_list_schema,
    &chy_artifact_schema,
    &chy_sign_item_schema,
    &chy_sign_request_schema,
    &chy_sign_result_schema,
    &chy_sign_response_schema,
    &chy_policy_test_schema,
    &chy_rule_explanation_schema,
    &chy_policy_explanation_schema,
    &chy_policy_test_result_schema,
    &chy_log_index_schema,
    &chy_log_query_schema,
    &chy_log_row_schema,
    &chy_log_page_schema,
    &chy_log_receipt_schema,
    &chy_raw_schema,
    &chy_tile_path_schema,
    &chy_peer_schema,
    &chy_file_grant_schema,
    &chy_ready_schema,
    &chy_front_config_schema,
    &chy_query_config_schema,
    &chy_inspect_config_schema,
    &chy_signer_config_schema,
    &chy_token_config_schema,
    &chy_caller_schema,
    &chy_call_schema,
    &chy_reply_schema,
    &chy_trust_schema,
    &chy_status_schema,
    &chy_token_sign_schema,
    &chy_token_sign_reply_schema,
    &chy_token_generate_schema,
    &chy_token_find_schema,
    &chy_token_key_reply_schema,
    &chy_token_drop_schema,
    &chy_token_drop_reply_schema,
    &chy_token_info_msg_schema,
    &chy_inspect_request_schema,
    &chy_inspect_reply_schema,
};
const size_t values_schemas_n = CHY_ARRAY_LEN(values_schemas);

struct maker {
    uint64_t *seed;
    unsigned flags;
    struct chy_arena *arena;
};

uint64_t values_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* low to high, both included; the ends come often. */
static uint64_t number_within(const struct maker *m, uint64_t low, uint64_t high)
{
    uint64_t span = high - low;
    switch (values_next(m->seed) % 8) {
    case 0:
        return low;
    case 1:
        return high;
    default:
        return span == UINT64_MAX ? values_next(m->seed) : low + values_next(m->seed) % (span + 1);
    }
}

static uint8_t *bytes_make(const struct maker *m, size_t n)
{
    uint8_t *p = chy_arena_array(m->arena, uint8_t, n);
    CHY_ASSERT(p != NULL);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)values_next(m->seed);
    return p;
}

static struct chy_str text_make(const struct maker *m, size_t n, bool is_multiline)
{
    static const char plain[] = "abc.XYZ-0123 \"\\/{}[]:,'<>&%";
    static const char wild[] = "abc\n\t\r\x01\x1f\x7f\"\\ \b\f#";
    const char *from = is_multiline ? wild : plain;
    size_t kinds = is_multiline ? sizeof wild - 1 : sizeof plain - 1;
    char *p = (char *)bytes_make(m, n);
    size_t i = 0;
    while (i < n) {
        if (n - i >= 4 && values_next(m->seed) % 8 == 0) {
            memcpy(p + i, "\xf0\x9f\x94\x91", 4);
            i += 4;
        } else {
            p[i++] = from[values_next(m->seed) % kinds];
        }
    }
    return (struct chy_str){ p, n };
}

static size_t length_make(const struct maker *m, const struct chy_field *f, uint64_t min,
                          uint64_t max)
{
    bool may_be_empty = (f->flags & CHY_REQUIRED) == 0;
    if (may_be_empty && values_next(m->seed) % 4 == 0)
        return 0;
    uint64_t low = CHY_MAX(min, (uint64_t)1);
    return (size_t)number_within(m, low, CHY_MAX(low, CHY_MIN(max, (uint64_t)TEXT_MAX)));
}

static void struct_make(const struct maker *m, const struct chy_schema *schema, int depth,
                        void *value);

static void strs_make(const struct maker *m, const struct chy_field *f, struct chy_strs *to)
{
    size_t n = (size_t)number_within(m, 0, CHY_MIN(f->max, (uint64_t)COUNT_MAX));
    struct chy_str *p = chy_arena_array(m->arena, struct chy_str, n);
    CHY_ASSERT(p != NULL);
    for (size_t i = 0; i < n; i++)
        p[i] =
            text_make(m, (size_t)number_within(m, 1, CHY_MIN(f->min, (uint64_t)TEXT_MAX)), false);
    *to = (struct chy_strs){ p, n };
}

static void list_make(const struct maker *m, const struct chy_field *f, int depth,
                      struct chy_list *to)
{
    uint64_t high = depth >= NESTED_MAX ? f->min : CHY_MIN(f->max, (uint64_t)COUNT_MAX);
    size_t n = (size_t)number_within(m, f->min, CHY_MAX(f->min, high));
    char *p = chy_arena_alloc(m->arena, n, f->schema->size);
    CHY_ASSERT(p != NULL);
    for (size_t i = 0; i < n; i++) {
        void *element = p + i * f->schema->size;
        struct_make(m, f->schema, depth + 1, element);
        if ((f->flags & CHY_AS_MAP) != 0) {
            struct chy_str *name = chy_field_at(&f->schema->fields[0], element);
            *name = chy_arena_printf(m->arena, "%zu-%.*s", i, 20, "names of a map differ");
            CHY_ASSERT(name->p != NULL);
        }
    }
    *to = (struct chy_list){ p, n };
}

static void option_make(const struct maker *m, const struct chy_field *f, int depth, void *at)
{
    if ((f->flags & CHY_REQUIRED) == 0 && values_next(m->seed) % 2 == 0)
        return;
    void *target = chy_arena_alloc(m->arena, 1, f->schema->size);
    CHY_ASSERT(target != NULL);
    struct_make(m, f->schema, depth + 1, target);
    memcpy(at, &target, sizeof target);
}

static void enum_make(const struct maker *m, const struct chy_field *f, void *at)
{
    int v = f->values->values[values_next(m->seed) % f->values->n].value;
    memcpy(at, &v, sizeof v);
}

static void field_make(const struct maker *m, const struct chy_field *f, int depth, void *at)
{
    bool for_document = (m->flags & VALUES_FOR_DOCUMENT) != 0;
    uint64_t max = for_document ? CHY_MIN(f->max, (uint64_t)INT64_MAX) : f->max;
    switch (f->kind) {
    case CHY_KIND_BOOL:
        *(bool *)at = values_next(m->seed) % 2 == 0;
        break;
    case CHY_KIND_U32:
        *(uint32_t *)at = (uint32_t)number_within(m, f->min, max);
        break;
    case CHY_KIND_U64:
        *(uint64_t *)at = number_within(m, f->min, max);
        break;
    case CHY_KIND_TIME:
        *(int64_t *)at =
            (int64_t)number_within(m, 0, for_document ? UINT64_C(253402300799999999) : INT64_MAX);
        break;
    case CHY_KIND_ENUM:
        enum_make(m, f, at);
        break;
    case CHY_KIND_STR:
        *(struct chy_str *)at =
            text_make(m, length_make(m, f, f->min, f->max), (f->flags & CHY_MULTILINE) != 0);
        break;
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX: {
        size_t n = length_make(m, f, f->min, f->max);
        *(struct chy_bytes *)at = (struct chy_bytes){ bytes_make(m, n), n };
        break;
    }
    case CHY_KIND_HASH:
        memcpy(at, bytes_make(m, CHY_HASH_BYTES), CHY_HASH_BYTES);
        break;
    case CHY_KIND_ID:
        memcpy(at, bytes_make(m, CHY_ID_BYTES), CHY_ID_BYTES);
        break;
    case CHY_KIND_STRUCT:
        struct_make(m, f->schema, depth + 1, at);
        break;
    case CHY_KIND_OPTION:
        option_make(m, f, depth, at);
        break;
    case CHY_KIND_LIST:
        list_make(m, f, depth, at);
        break;
    case CHY_KIND_STRS:
        strs_make(m, f, at);
        break;
    }
}

static void struct_make(const struct maker *m, const struct chy_schema *schema, int depth,
                        void *value)
{
    const uint32_t elsewhere = CHY_INTERNAL | CHY_IN_PATH | CHY_IN_QUERY;
    memset(value, 0, schema->size);
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((m->flags & VALUES_FOR_DOCUMENT) == 0 || (f->flags & elsewhere) == 0)
            field_make(m, f, depth, chy_field_at(f, value));
    }
}

void values_random(const struct chy_schema *schema, uint64_t *seed, unsigned flags,
                   struct chy_arena *arena, void *ret_value)
{
    struct maker m = { seed, flags, arena };
    struct_make(&m, schema, 0, ret_value);
}

/* --- comparison --- */

static bool strs_equal(const struct chy_strs *a, const struct chy_strs *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = chy_str_equal(a->p[i], b->p[i]);
    return same;
}

static bool list_equal(const struct chy_schema *schema, const struct chy_list *a,
                       const struct chy_list *b, uint32_t but)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = values_equal(schema, (const char *)a->p + i * schema->size,
                            (const char *)b->p + i * schema->size, but);
    return same;
}

static bool field_equal(const struct chy_field *f, const void *a, const void *b, uint32_t but)
{
    switch (f->kind) {
    case CHY_KIND_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CHY_KIND_U32:
        return *(const uint32_t *)a == *(const uint32_t *)b;
    case CHY_KIND_U64:
    case CHY_KIND_TIME:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case CHY_KIND_ENUM:
        return memcmp(a, b, sizeof(int)) == 0;
    case CHY_KIND_STR:
    case CHY_KIND_BYTES:
    case CHY_KIND_HEX:
        return chy_bytes_equal(*(const struct chy_bytes *)a, *(const struct chy_bytes *)b);
    case CHY_KIND_HASH:
        return memcmp(a, b, CHY_HASH_BYTES) == 0;
    case CHY_KIND_ID:
        return memcmp(a, b, CHY_ID_BYTES) == 0;
    case CHY_KIND_STRUCT:
        return values_equal(f->schema, a, b, but);
    case CHY_KIND_OPTION: {
        const void *x = *(const void *const *)a;
        const void *y = *(const void *const *)b;
        return x != NULL && y != NULL ? values_equal(f->schema, x, y, but) : x == y;
    }
    case CHY_KIND_LIST:
        return list_equal(f->schema, a, b, but);
    case CHY_KIND_STRS:
        return strs_equal(a, b);
    }
    return false;
}

bool values_equal(const struct chy_schema *schema, const void *a, const void *b, uint32_t but)
{
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        if ((f->flags & but) == 0 && !field_equal(f, chy_field_in(f, a), chy_field_in(f, b), but))
            return false;
    }
    return true;
}
