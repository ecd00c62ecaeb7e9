/* SPDX-License-Identifier: MIT */
/* Between HTTP and messages, by the table of operations: path, query and body become a request
 * struct, a reply becomes a body. No I/O; not shared. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/tls.h"
#include "front/http.h"
#include "front/target.h"
#include "proto/internal.h"

/* The body, if there is one, says that it is JSON. */
bool chy_api_body_is_json(const struct chy_http_request *request);

/* Read a request into the struct of its operation and append that in canonical form to `out`.
 *
 * `arena` holds what was decoded; the caller resets it.
 * Errors: CHY_E_MALFORMED, CHY_E_LIMIT, CHY_E_ARG  what is wrong with path, query or body
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_api_read_request(const struct chy_op_match *match,
                                               const struct chy_http_request *request,
                                               const struct chy_target *target,
                                               struct chy_arena *arena, struct chy_buf *out,
                                               struct chy_error *err);

/* Who is asking: by `Authorization: Bearer TOKEN`, else by the client certificate, else nobody.
 *
 * An operation that nobody needs a credential for is served to the holder of a bad certificate as
 * to anybody; for all others: Errors: CHY_E_UNAUTHENTICATED no credential, another scheme, a
 * certificate that is not ours
 *         CHY_E_EXPIRED          our certificate, after its end
 *         CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_api_read_caller(const struct chy_http_request *request,
                                              const struct chy_tls_peer *peer, int64_t now_us,
                                              unsigned may, struct chy_caller *ret_caller,
                                              struct chy_error *err);

/* The caller who shows this API token. Errors: CHY_E_UNAUTHENTICATED it is empty or too long for
 * one; CHY_E_CRYPTO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_api_token_caller(struct chy_bytes token,
                                               struct chy_caller *ret_caller,
                                               struct chy_error *err);

/* The API version that the client wants is one that we speak; a request that names none is served.
 * Errors: CHY_E_UNSUPPORTED, with what we speak */
CHY_MUST_USE enum chy_err chy_api_check_version(const struct chy_http_request *request,
                                                struct chy_error *err);

/* A browser adds its user's client certificate, or name and password, to what pages of other sites
 * have it send, and says where that came from. What only reads is served: such a page is not shown
 * the answer. Errors: CHY_E_FORBIDDEN  it came from another site.
 * Source: Fetch Metadata Request Headers, section 2.2; RFC 6454 section 7 */
CHY_MUST_USE enum chy_err chy_api_check_site(const struct chy_http_request *request,
                                             struct chy_error *err);

struct chy_api_answer {
    struct chy_str content_type;
    struct chy_bytes body; /* within `out`, or the arena for a raw one */
    uint32_t max_age_s;
};

/* Turn the canonical response of `row` into a body: JSON appended to `out`, or raw bytes.
 * Errors: CHY_E_PROTOCOL  it is not what the row promises; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_api_write_response(const struct chy_op_row *row,
                                                 struct chy_bytes response, struct chy_arena *arena,
                                                 struct chy_buf *out,
                                                 struct chy_api_answer *ret_answer,
                                                 struct chy_error *err);
