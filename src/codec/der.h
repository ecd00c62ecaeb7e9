/* SPDX-License-Identifier: MIT */
/* DER, the part of it that certificates, requests and signatures use: reading over borrowed bytes
 * and writing into a buffer. Pure; not for secrets.
 *
 * A reader is a `struct chy_bytes` that shrinks from the front as elements are taken; on failure it
 * stays where it was. Only the one encoding that DER allows is read: definite and shortest lengths,
 * shortest integers, tags of one byte.
 *
 *   | tag 1 byte | length 1..5 bytes | body |      length < 128: one byte; else 0x80 + n, n bytes
 *
 * Source: X.690 sections 8 and 10. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_buf;

enum chy_der_tag {
    CHY_DER_BOOLEAN = 0x01,
    CHY_DER_INTEGER = 0x02,
    CHY_DER_BIT_STRING = 0x03,
    CHY_DER_OCTET_STRING = 0x04,
    CHY_DER_NULL = 0x05,
    CHY_DER_OID = 0x06,
    CHY_DER_UTF8_STRING = 0x0c,
    CHY_DER_PRINTABLE_STRING = 0x13,
    CHY_DER_IA5_STRING = 0x16,
    CHY_DER_UTC_TIME = 0x17,
    CHY_DER_GENERALIZED_TIME = 0x18,
    CHY_DER_SEQUENCE = 0x30,
    CHY_DER_SET = 0x31,
};

/* [n] IMPLICIT of a primitive type; [n] EXPLICIT, or IMPLICIT of a constructed one. n is 0..30. */
#define CHY_DER_CONTEXT(n)     (0x80u | (n))
#define CHY_DER_CONTEXT_SET(n) (0xa0u | (n))

/* --- reading: every function fails with CHY_E_MALFORMED alone --- */

struct chy_der_item {
    uint8_t tag;
    struct chy_bytes body;
    struct chy_bytes whole; /* with tag and length */
};

/* Take one element, whatever it is. */
CHY_MUST_USE enum chy_err chy_der_next(struct chy_bytes *in, struct chy_der_item *ret_item,
                                       struct chy_error *err);
/* Take one element that must have this tag; answers its body. */
CHY_MUST_USE enum chy_err chy_der_take(struct chy_bytes *in, unsigned tag,
                                       struct chy_bytes *ret_body, struct chy_error *err);
/* True if an element with this tag comes next. */
bool chy_der_is_next(struct chy_bytes in, unsigned tag);
/* Nothing may follow. */
CHY_MUST_USE enum chy_err chy_der_end(struct chy_bytes in, struct chy_error *err);

/* Take an INTEGER that is not negative; answers its magnitude, big-endian without leading zeros
 * (none at all for 0). */
CHY_MUST_USE enum chy_err chy_der_take_uint(struct chy_bytes *in, struct chy_bytes *ret_magnitude,
                                            struct chy_error *err);
CHY_MUST_USE enum chy_err chy_der_take_u64(struct chy_bytes *in, uint64_t *ret_v,
                                           struct chy_error *err);
/* Take an OBJECT IDENTIFIER; answers its body, each arc in shortest form. */
CHY_MUST_USE enum chy_err chy_der_take_oid(struct chy_bytes *in, struct chy_bytes *ret_oid,
                                           struct chy_error *err);
/* Take a BIT STRING of whole bytes. */
CHY_MUST_USE enum chy_err chy_der_take_bits(struct chy_bytes *in, struct chy_bytes *ret_bytes,
                                            struct chy_error *err);

/* --- writing: failures are kept in the buffer, check once at the end with chy_buf_check() --- */

#define CHY_DER_DEPTH 16 /* nested elements being written; a certificate needs 8 */

struct chy_der_writer {
    struct chy_buf *out;
    size_t starts[CHY_DER_DEPTH]; /* where the body of each open element begins */
    size_t depth;
};

void chy_der_writer_init(struct chy_der_writer *w, struct chy_buf *out);
/* Everything until the matching chy_der_close() is the body of this element. Deeper than
 * CHY_DER_DEPTH, or a close too many, is a bug of the caller and asserts. */
void chy_der_open(struct chy_der_writer *w, unsigned tag);
void chy_der_close(struct chy_der_writer *w);

void chy_der_put(struct chy_der_writer *w, unsigned tag, struct chy_bytes body);
void chy_der_put_raw(struct chy_der_writer *w, struct chy_bytes der); /* ready-made DER */
/* Big-endian, leading zeros are dropped. */
void chy_der_put_uint(struct chy_der_writer *w, struct chy_bytes magnitude);
void chy_der_put_u64(struct chy_der_writer *w, uint64_t v);
void chy_der_put_bool(struct chy_der_writer *w, bool v);
void chy_der_put_null(struct chy_der_writer *w);
void chy_der_put_oid(struct chy_der_writer *w, struct chy_bytes oid_body);
void chy_der_put_bits(struct chy_der_writer *w,
                      struct chy_bytes bytes); /* BIT STRING, whole bytes */
