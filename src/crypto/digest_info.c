/* SPDX-License-Identifier: MIT */
#include "crypto/digest_info.h"

#include "codec/der.h"

/* Everything before the digest. RFC 8017 section 9.2, note 1; without NULL as section A.2.4 has
 * verifiers take it. */
#define OID_BYTES(last) 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, (last)
#define WHOLE(n, last)                                                     \
    {                                                                      \
        0x30, 17 + (n), 0x30, 0x0d, OID_BYTES(last), 0x05, 0x00, 0x04, (n) \
    }
#define VARIANT(n, last)                                       \
    {                                                          \
        0x30, 15 + (n), 0x30, 0x0b, OID_BYTES(last), 0x04, (n) \
    }
#define WHOLE_BYTES   19
#define VARIANT_BYTES 17

static const struct {
    enum chy_hash_alg hash;
    uint8_t whole[WHOLE_BYTES];
    uint8_t variant[VARIANT_BYTES];
} rows[] = {
    { CHY_HASH_SHA256, WHOLE(32, 1), VARIANT(32, 1) },
    { CHY_HASH_SHA384, WHOLE(48, 2), VARIANT(48, 2) },
    { CHY_HASH_SHA512, WHOLE(64, 3), VARIANT(64, 3) },
};

static bool splits(struct chy_bytes data, struct chy_bytes prefix, enum chy_hash_alg hash,
                   struct chy_bytes *ret_digest)
{
    size_t n = chy_hash_alg_bytes(hash);
    if (data.n != prefix.n + n || !chy_bytes_equal((struct chy_bytes){ data.p, prefix.n }, prefix))
        return false;
    *ret_digest = (struct chy_bytes){ data.p + prefix.n, n };
    return true;
}

enum chy_digest_info_kind chy_digest_info_read(struct chy_bytes data, enum chy_hash_alg *ret_hash,
                                               struct chy_bytes *ret_digest)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        const struct chy_bytes whole = { rows[i].whole, WHOLE_BYTES };
        const struct chy_bytes variant = { rows[i].variant, VARIANT_BYTES };
        *ret_hash = rows[i].hash;
        if (splits(data, whole, rows[i].hash, ret_digest))
            return CHY_DIGEST_INFO_WHOLE;
        if (splits(data, variant, rows[i].hash, ret_digest))
            return CHY_DIGEST_INFO_VARIANT;
    }
    return CHY_DIGEST_INFO_NONE;
}
