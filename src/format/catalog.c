/* SPDX-License-Identifier: MIT */
/* Windows catalogues: a PKCS#7 SignedData (RFC 2315 section 9.1) around a certificate trust list
 * (1.3.6.1.4.1.311.10.1). An unsigned one has no signers.
 *
 *   SEQUENCE { OID signedData, [0] { SEQUENCE {
 *       INTEGER version, SET digestAlgorithms, SEQUENCE { OID, … }, [0] certificates?, [1] crls?,
 *       SET signerInfos } } }
 */
#include "format/kinds.h"

#define SIGNED_DATA CHY_STR("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
#define TRUST_LIST  CHY_STR("\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x0a\x01")

struct element {
    uint8_t tag;
    uint64_t body;
    uint64_t end;
};

/* DER, X.690 section 10.1: lengths of up to four bytes, within the file. */
static bool head_at(struct format_reader *r, uint64_t at, struct element *ret)
{
    uint8_t first = format_u8(r, at + 1);
    unsigned more = first & 0x80 ? first & 0x7f : 0;
    uint64_t length = more == 0 ? first : 0;
    if (!format_holds(r, at, 2) || more > 4 || first == 0x80)
        return false;
    for (unsigned i = 0; i < more; i++)
        length = length << 8 | format_u8(r, at + 2 + i);
    *ret = (struct element){ format_u8(r, at), at + 2 + more, at + 2 + more + length };
    return format_holds(r, ret->body, length);
}

static bool enter(struct format_reader *r, uint64_t *at, uint8_t tag)
{
    struct element e;
    if (!head_at(r, *at, &e) || e.tag != tag)
        return false;
    *at = e.body;
    return true;
}

static bool skip(struct format_reader *r, uint64_t *at, uint8_t tag)
{
    struct element e;
    if (!head_at(r, *at, &e) || e.tag != tag)
        return false;
    *at = e.end;
    return true;
}

bool format_catalog(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    uint64_t at = 0;
    struct element content;
    struct element signers;
    (void)name;
    if (!enter(r, &at, 0x30) || !format_has(r, at, SIGNED_DATA))
        return false;
    at += SIGNED_DATA.n;
    if (!enter(r, &at, 0xa0) || !enter(r, &at, 0x30) || !skip(r, &at, 0x02) ||
        !skip(r, &at, 0x31) || !head_at(r, at, &content) || content.tag != 0x30 ||
        !format_has(r, content.body, TRUST_LIST))
        return false;
    facts->kind = CHY_FORMAT_CAT;
    at = content.end;
    for (uint8_t tag = 0xa0; tag <= 0xa1; tag++)
        (void)skip(r, &at, tag); /* they are optional */
    if (!head_at(r, at, &signers) || signers.tag != 0x31)
        return FORMAT_BROKEN(facts, "it ends before its signers");
    facts->is_signed = signers.end > signers.body;
    return true;
}
