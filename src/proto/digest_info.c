/* SPDX-License-Identifier: MIT */
#include "proto/digest_info.h"

static const uint8_t heads[][CHY_DIGEST_INFO_HEAD_BYTES] = {
    [CHY_HASH_SHA256] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
                          0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 },
    [CHY_HASH_SHA384] = { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
                          0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30 },
    [CHY_HASH_SHA512] = { 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
                          0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40 },
};

enum {
    SEQUENCE = 0x30,
    OID_AT = 6, /* the value of the hash's object identifier */
    OID_BYTES = 9,
};

struct chy_bytes chy_digest_info_head(enum chy_hash_alg hash)
{
    if (hash == CHY_HASH_NONE || (size_t)hash >= CHY_ARRAY_LEN(heads))
        return (struct chy_bytes){ NULL, 0 };
    return (struct chy_bytes){ heads[hash], sizeof heads[hash] };
}

static bool names_hash(struct chy_bytes in, enum chy_hash_alg hash)
{
    struct chy_bytes oid = { heads[hash] + OID_AT, OID_BYTES };
    for (size_t i = 0; i + OID_BYTES <= in.n; i++)
        if (chy_bytes_equal((struct chy_bytes){ in.p + i, OID_BYTES }, oid))
            return true;
    return false;
}

bool chy_digest_info_is_like(struct chy_bytes in)
{
    return in.n > 0 && in.p[0] == SEQUENCE &&
           (names_hash(in, CHY_HASH_SHA256) || names_hash(in, CHY_HASH_SHA384) ||
            names_hash(in, CHY_HASH_SHA512));
}
