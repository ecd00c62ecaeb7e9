/* SPDX-License-Identifier: MIT */
#include "front/signserver_api.h"

#include <strings.h>

#include "base/ct.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/hash.h"
#include "doc/doc.h"
#include "front/api.h"
#include "policy/facts.h"

#define CREDENTIALS_MAX 512 /* bytes of "user:token" */

enum encoding {
    ENCODING_NONE = 0, /* the text's own bytes */
    ENCODING_BASE64 = 1,
};

struct request {
    struct chy_str data;
    enum encoding encoding;
    CHY_LIST_OF(struct chy_label) metaData;
};

static const struct chy_enum_value encodings[] = {
    { ENCODING_NONE, "NONE", "the text as it is" },
    { ENCODING_BASE64, "BASE64", NULL },
};
static const struct chy_enum encoding_enum = CHY_ENUM("encoding", encodings);

#define S struct request
static const struct chy_field request_fields[] = {
    CHY_F_STR(S, data, CHY_MULTILINE, 0, CHY_LIMIT_JSON,
              "What is signed, or its digest; empty, or the digest of nothing, asks for the "
              "certificate."),
    CHY_F_ENUM(S, encoding, &encoding_enum, enum encoding, 0, "How data is written."),
    CHY_F_LIST(
        S, metaData, &chy_label_schema, struct chy_label, CHY_AS_MAP, 0, CHY_LIMIT_LABELS,
        "USING_CLIENTSUPPLIED_HASH (true or false), CLIENTSIDE_HASHDIGESTALGORITHM, REASON."),
};
#undef S
const struct chy_schema chy_signserver_request_schema =
    CHY_SCHEMA("SignServerRequest", struct request, request_fields,
               "A signature, asked for as of SignServer.");

#define S struct chy_signserver_answer
static const struct chy_field answer_fields[] = {
    CHY_F_STR(S, archiveId, 0, 0, CHY_LIMIT_NAME, "Index of the signature's outcome in the log."),
    CHY_F_BYTES(S, data, 0, 0, CHY_LIMIT_SIGNATURE, "The signature."),
    CHY_F_LIST(S, metaData, &chy_label_schema, struct chy_label, CHY_AS_MAP, 0, CHY_LIMIT_LABELS,
               "Empty."),
    CHY_F_STR(S, requestId, 0, 0, CHY_LIMIT_NAME, "The request in the server's logs."),
    CHY_F_BYTES(S, signerCertificate, 0, 0, CHY_LIMIT_CERTIFICATE, "The key's certificate, DER."),
};
#undef S
const struct chy_schema chy_signserver_answer_schema = CHY_SCHEMA(
    "SignServerAnswer", struct chy_signserver_answer, answer_fields, "As SignServer answers.");

static const struct chy_field error_fields[] = {
    CHY_F_STR(struct chy_signserver_error, error, CHY_REQUIRED, 1, CHY_LIMIT_TEXT,
              "What is wrong."),
};
const struct chy_schema chy_signserver_error_schema =
    CHY_SCHEMA("SignServerError", struct chy_signserver_error, error_fields,
               "How SignServer says that it refused or failed.");

/* --- the path --- */

bool chy_signserver_find(const struct chy_target *target, struct chy_str *ret_worker)
{
    static const char *const parts[] = { "rest", "v1", "workers", NULL, "process" };
    size_t n = CHY_ARRAY_LEN(parts);
    const struct chy_str *found = target->segments;
    if (target->segment_count == n + 1 && chy_str_equal_c(found[0], "signserver"))
        found++;
    else if (target->segment_count != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (parts[i] != NULL && !chy_str_equal_c(found[i], parts[i]))
            return false;
    *ret_worker = found[3];
    return true;
}

/* --- the body --- */

static struct chy_str metadata(const struct request *r, const char *name)
{
    for (size_t i = 0; i < r->metaData.n; i++)
        if (chy_str_equal_c(r->metaData.p[i].name, name))
            return r->metaData.p[i].value;
    return (struct chy_str){ 0 };
}

static bool is_word(struct chy_str text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

static enum chy_err read_hash_name(struct chy_str name, enum chy_hash_alg *ret_hash,
                                   struct chy_error *err)
{
    static const struct {
        const char *name;
        enum chy_hash_alg hash;
    } rows[] = {
        { "SHA-256", CHY_HASH_SHA256 }, { "SHA256", CHY_HASH_SHA256 },
        { "SHA-384", CHY_HASH_SHA384 }, { "SHA384", CHY_HASH_SHA384 },
        { "SHA-512", CHY_HASH_SHA512 }, { "SHA512", CHY_HASH_SHA512 },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        if (!is_word(name, rows[i].name))
            continue;
        *ret_hash = rows[i].hash;
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_UNSUPPORTED,
                    "CLIENTSIDE_HASHDIGESTALGORITHM is \"%.*s\", not SHA-256, SHA-384 or SHA-512",
                    CHY_STR_ARG(name));
}

static enum chy_err read_flag(struct chy_str text, bool *ret_flag, struct chy_error *err)
{
    if (text.n != 0 && !is_word(text, "true") && !is_word(text, "false"))
        return chy_fail(err, CHY_E_MALFORMED,
                        "USING_CLIENTSUPPLIED_HASH is \"%.*s\", not true or false",
                        CHY_STR_ARG(text));
    *ret_flag = is_word(text, "true");
    return CHY_OK;
}

static enum chy_err read_data(const struct request *r, struct chy_arena *arena,
                              struct chy_bytes *ret_data, struct chy_error *err)
{
    *ret_data = chy_str_bytes(r->data);
    if (r->encoding == ENCODING_NONE)
        return CHY_OK;
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&bytes, CHY_LIMIT_JSON);
    enum chy_err e = chy_base64_decode(r->data, &bytes, err);
    if (e != CHY_OK)
        return chy_error_prefix(err, e, "data, which is BASE64 as \"encoding\" says");
    *ret_data = chy_arena_bytes(arena, chy_buf_bytes(&bytes));
    return ret_data->p != NULL || bytes.n == 0
               ? CHY_OK
               : chy_fail(err, CHY_E_NOMEM, "there is no memory for the data");
}

/* The digest of the data, or of nothing at all, into the arena. */
static enum chy_err hash_into(enum chy_hash_alg hash, struct chy_bytes data,
                              struct chy_arena *arena, struct chy_bytes *ret_digest,
                              struct chy_error *err)
{
    size_t n = chy_hash_alg_bytes(hash);
    uint8_t *digest = chy_arena_alloc(arena, 1, n);
    if (digest == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for a digest");
    *ret_digest = (struct chy_bytes){ digest, n };
    return chy_hash(hash, data, digest, err);
}

static enum chy_err read_digest(const struct request *r, struct chy_bytes data,
                                struct chy_arena *arena, struct chy_signserver_ask *ask,
                                struct chy_error *err)
{
    struct chy_bytes of_nothing;
    CHY_TRY(read_hash_name(metadata(r, "CLIENTSIDE_HASHDIGESTALGORITHM"), &ask->hash, err));
    if (data.n != chy_hash_alg_bytes(ask->hash))
        return chy_fail(err, CHY_E_MALFORMED, "data has %zu bytes, %s has %zu", data.n,
                        chy_enum_name(&chy_hash_alg_enum, (int)ask->hash),
                        chy_hash_alg_bytes(ask->hash));
    CHY_TRY(hash_into(ask->hash, (struct chy_bytes){ 0 }, arena, &of_nothing, err));
    ask->is_empty = chy_bytes_equal(data, of_nothing);
    ask->digest = data;
    return CHY_OK;
}

static enum chy_err read_message(struct chy_bytes data, struct chy_arena *arena,
                                 struct chy_signserver_ask *ask, struct chy_error *err)
{
    ask->hash = CHY_HASH_SHA256;
    ask->is_empty = data.n == 0;
    if (data.n <= CHY_LIMIT_CONTENT)
        ask->data = data;
    return hash_into(ask->hash, data, arena, &ask->digest, err);
}

enum chy_err chy_signserver_read(struct chy_bytes body, struct chy_arena *arena,
                                 struct chy_signserver_ask *ret_ask, struct chy_error *err)
{
    const struct chy_doc *doc = NULL;
    struct request r;
    struct chy_signserver_ask ask = { 0 };
    struct chy_bytes data;
    CHY_TRY(chy_json_parse(body, arena, &doc, err));
    CHY_TRY(chy_doc_read(&chy_signserver_request_schema, doc, arena, &r, err));
    CHY_TRY(read_flag(metadata(&r, "USING_CLIENTSUPPLIED_HASH"), &ask.is_hashed, err));
    CHY_TRY(read_data(&r, arena, &data, err));
    CHY_TRY(ask.is_hashed ? read_digest(&r, data, arena, &ask, err)
                          : read_message(data, arena, &ask, err));
    ask.reason = metadata(&r, "REASON");
    *ret_ask = ask;
    return CHY_OK;
}

/* --- our request --- */

static enum chy_sign_alg algorithm_of(enum chy_key_type type, enum chy_hash_alg hash)
{
    static const enum chy_sign_alg rsa[] = {
        [CHY_HASH_SHA256] = CHY_ALG_RSA_PKCS1_SHA256,
        [CHY_HASH_SHA384] = CHY_ALG_RSA_PKCS1_SHA384,
        [CHY_HASH_SHA512] = CHY_ALG_RSA_PKCS1_SHA512,
    };
    static const enum chy_sign_alg ec[] = {
        [CHY_HASH_SHA256] = CHY_ALG_ECDSA_SHA256,
        [CHY_HASH_SHA384] = CHY_ALG_ECDSA_SHA384,
        [CHY_HASH_SHA512] = CHY_ALG_ECDSA_SHA512,
    };
    if (type == CHY_KEY_ED25519)
        return CHY_ALG_ED25519;
    return chy_key_type_is_rsa(type) ? rsa[hash] : ec[hash];
}

static enum chy_err message_item(const struct chy_signserver_ask *ask, struct chy_sign_item *item,
                                 struct chy_error *err)
{
    if (ask->is_hashed)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "an Ed25519 key signs data, not a digest: USING_CLIENTSUPPLIED_HASH=false");
    if (ask->data.n == 0)
        return chy_fail(err, CHY_E_LIMIT, "an Ed25519 key signs at most %d bytes of data",
                        CHY_LIMIT_CONTENT);
    item->message = ask->data;
    item->hashed_by = CHY_HASHED_BY_NOBODY;
    return CHY_OK;
}

/* "Jsign (https://...)" is Jsign, "curl/8.0" is curl: what RFC 9110 section 10.1.5 calls a
 * product. */
static struct chy_str product_of(struct chy_str agent)
{
    size_t n = 0;
    while (n < agent.n && n < CHY_LIMIT_NAME && strchr("/ ;(", agent.p[n]) == NULL)
        n++;
    return (struct chy_str){ agent.p, n };
}

enum chy_err chy_signserver_sign(const struct chy_signserver_ask *ask, enum chy_key_type type,
                                 struct chy_str agent, struct chy_arena *arena, struct chy_buf *out,
                                 struct chy_error *err)
{
    struct chy_sign_item *item = chy_arena_new(arena, struct chy_sign_item);
    struct chy_fact *fact = chy_arena_new(arena, struct chy_fact);
    if (item == NULL || fact == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for the request");
    *item = (struct chy_sign_item){
        .key = ask->worker,
        .algorithm = algorithm_of(type, ask->hash),
        .hashed_by = ask->is_hashed ? CHY_HASHED_BY_TOOL : CHY_HASHED_BY_CLIENT,
    };
    if (item->algorithm == CHY_ALG_ED25519)
        CHY_TRY(message_item(ask, item, err));
    else {
        item->digest = ask->digest;
        item->content = ask->data;
    }
    *fact = (struct chy_fact){ .name = CHY_STR(CHY_FACT_APPLICATION_PATH),
                               .value = product_of(agent),
                               .basis = CHY_BASIS_DECLARED };
    const struct chy_sign_request request = {
        .items = { item, 1 },
        .reason = ask->reason,
        .facts = { fact, fact->value.n > 0 ? 1 : 0 },
    };
    return chy_schema_encode(&chy_sign_request_schema, &request, out, err);
}

/* --- who asks --- */

enum chy_err chy_signserver_password(struct chy_str text, struct chy_caller *caller,
                                     struct chy_error *err)
{
    uint8_t plain[CREDENTIALS_MAX];
    size_t n = text.n / 4 * 3;
    for (size_t i = 0; i < 2 && text.n > i && text.p[text.n - 1 - i] == '='; i++)
        n--;
    enum chy_err r = CHY_E_LIMIT;
    if (n <= sizeof plain)
        r = chy_base64_decode_exact(text, plain, n, NULL);
    const uint8_t *colon = r == CHY_OK ? memchr(plain, ':', n) : NULL;
    if (colon != NULL)
        r = chy_api_token_caller((struct chy_bytes){ colon + 1, n - (size_t)(colon + 1 - plain) },
                                 caller, err);
    chy_wipe(plain, sizeof plain);
    return colon != NULL ? r
                         : chy_fail(err, CHY_E_UNAUTHENTICATED,
                                    "Authorization is not \"Basic\" and a name with an API token");
}
