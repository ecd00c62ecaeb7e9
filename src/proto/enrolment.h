/* SPDX-License-Identifier: MIT */
/* Enrolment codes: what an administrator hands over so that a client can make itself known. The
 * code carries the server's public-key pin, so the first connection is as safe as the way the code
 * took.
 *
 *   chy1.<pin>.<secret>[.<url>]
 *
 *   pin     SHA-256 of the server certificate's SubjectPublicKeyInfo     43 characters
 *   secret  20 random bytes; works once                                  27 characters
 *   url     "https://host[:port]", where the server is reached
 *
 * Each part is base64url (RFC 4648 section 5) without padding, in its one canonical form. The
 * secret travels and is stored (hashed) in its text form. Pure. */
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "codec/schema.h"

#define CHY_ENROLMENT_SECRET_BYTES 20
#define CHY_ENROLMENT_SECRET_CHARS 27

struct chy_enrolment {
    uint8_t pin[CHY_HASH_BYTES];
    char secret[CHY_ENROLMENT_SECRET_CHARS + 1];
    char url[CHY_LIMIT_URL + 1]; /* "" when the code names none */
};

/* Append the code to `out`. `url` may be empty.
 * Errors: CHY_E_ARG  the URL is not https://, or holds characters that a URL may not
 *         CHY_E_LIMIT  it is over CHY_LIMIT_URL, or `out` is full; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_enrolment_make(const uint8_t pin[CHY_HASH_BYTES],
                                             const uint8_t secret[CHY_ENROLMENT_SECRET_BYTES],
                                             struct chy_str url, struct chy_buf *out,
                                             struct chy_error *err);
/* Errors: CHY_E_MALFORMED  not such a code; the text never repeats it
 *         CHY_E_UNSUPPORTED  a code of a later version
 *         CHY_E_LIMIT  its URL is over CHY_LIMIT_URL; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_enrolment_parse(struct chy_str code, struct chy_enrolment *ret_code,
                                              struct chy_error *err);

/* Whether this is "https://host[:port]", and nothing behind it: no path, no user, no query. */
bool chy_url_is_origin(struct chy_str url);
