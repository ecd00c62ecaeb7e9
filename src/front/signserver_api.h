/* SPDX-License-Identifier: MIT */
/* How programs ask SignServer for a signature, turned into what they would ask of us: a worker is a
 * key that makes plain signatures. No I/O; not shared.
 *
 * POST /rest/v1/workers/NAME/process, also below /signserver, with {"data": ..., "encoding": "NONE"
 * or "BASE64", "metaData": {...}}. With the metadata USING_CLIENTSUPPLIED_HASH the data is a digest
 * by CLIENTSIDE_HASHDIGESTALGORITHM, else it is hashed here, by SHA-256 as SignServer does unless
 * told otherwise. Metadata of other names means nothing here.
 *
 * Clients ask for a worker's certificate by having nothing signed: an empty text, or the digest of
 * one. That is answered with the certificate and no signature.
 *
 * Source: SignServer's OpenAPI description 1.3, and its manual on client-side hashing; jsign's
 * SignServerSigningService. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "front/target.h"
#include "proto/internal.h"

#define CHY_SIGNSERVER_PATH "/rest/v1/workers/{name}/process"

/* Where a client says which path it means: the worker's name. False: it is another path. */
bool chy_signserver_find(const struct chy_target *target, struct chy_str *ret_worker);

struct chy_signserver_ask {
    struct chy_str worker;
    struct chy_str reason; /* metadata REASON, which SignServer does not know */
    bool is_empty;         /* nothing is to be signed: the certificate is wanted */
    bool is_hashed;        /* by the client */
    enum chy_hash_alg hash;
    struct chy_bytes digest;
    struct chy_bytes data; /* what was hashed here, up to CHY_LIMIT_CONTENT; else empty */
};

/* Read a body; `worker` is set by the caller. All that it says is in the arena.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT  what is wrong with it
 *         CHY_E_UNSUPPORTED  a hash that is not SHA-2
 *         CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_signserver_read(struct chy_bytes body, struct chy_arena *arena,
                                              struct chy_signserver_ask *ret_ask,
                                              struct chy_error *err);

/* Append POST /v1/sign's request in canonical form; `agent` is the caller's User-Agent, whose first
 * word names the program in the log.
 * Errors: CHY_E_UNSUPPORTED  a digest for a key that signs messages
 *         CHY_E_LIMIT        a message that is too long for one
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_signserver_sign(const struct chy_signserver_ask *ask,
                                              enum chy_key_type type, struct chy_str agent,
                                              struct chy_arena *arena, struct chy_buf *out,
                                              struct chy_error *err);

/* What follows "Basic " in Authorization (RFC 7617): the password is an API token; the name before
 * it is what such clients insist on having, and says nothing.
 * Errors: CHY_E_UNAUTHENTICATED  it is not that; CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_signserver_password(struct chy_str text,
                                                  struct chy_caller *ret_caller,
                                                  struct chy_error *err);

/* Members of documents are called as SignServer calls them. */
struct chy_signserver_answer {
    struct chy_str archiveId; /* index of the outcome in the log; empty: nothing was signed */
    struct chy_bytes data;    /* the signature */
    CHY_LIST_OF(struct chy_label) metaData; /* none */
    struct chy_str requestId;
    struct chy_bytes signerCertificate; /* DER; empty: the key has none */
};

struct chy_signserver_error {
    struct chy_str error;
};

extern const struct chy_schema chy_signserver_request_schema, chy_signserver_answer_schema,
    chy_signserver_error_schema;
