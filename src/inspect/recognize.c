/* SPDX-License-Identifier: MIT */
#include "inspect/recognize.h"

#include "codec/der.h"
#include "inspect/recognize_ssh.h"
#include "policy/facts.h"

#define CHILDREN_MAX 8 /* that tell one shape from another */
#define TAG_LONG     0x1f
#define LENGTH_OPEN  0x80

/* --- a reader of BER that forgives: X.690 section 8.1 --- */

struct element {
    uint8_t tag;
    struct chy_bytes body; /* of an open-ended one: all that follows */
    bool is_open;          /* of indefinite length: two zero bytes end it */
};

static bool take_u8(struct chy_bytes *in, uint8_t *ret)
{
    if (in->n == 0)
        return false;
    *ret = *in->p++;
    in->n--;
    return true;
}

static bool take_tag(struct chy_bytes *in, uint8_t *ret)
{
    uint8_t more = 0x80;
    if (!take_u8(in, ret))
        return false;
    while ((*ret & TAG_LONG) == TAG_LONG && (more & 0x80) != 0)
        if (!take_u8(in, &more))
            return false;
    return true;
}

/* Take tag and length; what the length promises too much is not there. */
static bool take_head(struct chy_bytes *in, struct element *ret)
{
    uint8_t first;
    if (!take_tag(in, &ret->tag) || !take_u8(in, &first))
        return false;
    uint64_t length = first;
    ret->is_open = first == LENGTH_OPEN;
    if ((first & 0x80) != 0) {
        length = 0;
        for (unsigned i = first & 0x7f; i > 0; i--) {
            uint8_t digit;
            if (!take_u8(in, &digit))
                return false;
            length = length > UINT32_MAX ? length : length << 8 | digit;
        }
    }
    ret->body =
        (struct chy_bytes){ in->p, ret->is_open || length > in->n ? in->n : (size_t)length };
    return true;
}

static void skip(struct chy_bytes *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

/* Leave the body of an open-ended element behind, with everything open inside. */
static void skip_open(struct chy_bytes *in)
{
    size_t depth = 1;
    struct element e;
    while (depth > 0 && take_head(in, &e)) {
        if (e.is_open)
            depth++;
        else if (e.tag == 0 && e.body.n == 0)
            depth--;
        else
            skip(in, e.body.n);
    }
    if (depth > 0)
        skip(in, in->n);
}

/* The next element of a body; false at its end. */
static bool next_element(struct chy_bytes *in, struct element *ret)
{
    if (!take_head(in, ret) || (ret->tag == 0 && ret->body.n == 0 && !ret->is_open))
        return false;
    if (ret->is_open)
        skip_open(in);
    else
        skip(in, ret->body.n);
    return true;
}

struct shape {
    struct element children[CHILDREN_MAX]; /* the first ones */
    size_t n;
};

static struct shape shape_of(struct chy_bytes body)
{
    struct shape s = { .n = 0 };
    while (s.n < CHILDREN_MAX && next_element(&body, &s.children[s.n]))
        s.n++;
    return s;
}

static bool has_tags(const struct shape *s, size_t at, const uint8_t *tags, size_t n)
{
    if (s->n < at + n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s->children[at + i].tag != tags[i])
            return false;
    return true;
}
#define HAS_TAGS(s, at, ...) \
    has_tags((s), (at), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static bool is_time(const struct shape *s, size_t at)
{
    return HAS_TAGS(s, at, CHY_DER_UTC_TIME) || HAS_TAGS(s, at, CHY_DER_GENERALIZED_TIME);
}

/* --- the shapes --- */

/* [version,] serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo: RFC 5280
 * section 4.1 */
static bool is_certificate(const struct shape *s)
{
    size_t at = HAS_TAGS(s, 0, CHY_DER_CONTEXT_SET(0u)) ? 1 : 0;
    return HAS_TAGS(s, at, CHY_DER_INTEGER, CHY_DER_SEQUENCE, CHY_DER_SEQUENCE, CHY_DER_SEQUENCE,
                    CHY_DER_SEQUENCE, CHY_DER_SEQUENCE);
}

/* version, subject, subjectPKInfo, attributes: RFC 2986 section 4.1 */
static bool is_request(const struct shape *s)
{
    if (!HAS_TAGS(s, 0, CHY_DER_INTEGER, CHY_DER_SEQUENCE, CHY_DER_SEQUENCE))
        return false;
    struct shape key = shape_of(s->children[2].body);
    return HAS_TAGS(&key, 0, CHY_DER_SEQUENCE, CHY_DER_BIT_STRING);
}

/* [version,] signature, issuer, thisUpdate: RFC 5280 section 5.1 */
static bool is_revocation_list(const struct shape *s)
{
    size_t at = HAS_TAGS(s, 0, CHY_DER_INTEGER) ? 1 : 0;
    return HAS_TAGS(s, at, CHY_DER_SEQUENCE, CHY_DER_SEQUENCE) && is_time(s, at + 2);
}

/* [version,] responderID, producedAt, responses: RFC 6960 section 4.2.1 */
static bool is_ocsp_response(const struct shape *s)
{
    size_t at = HAS_TAGS(s, 0, CHY_DER_CONTEXT_SET(0u)) ? 1 : 0;
    bool has_responder =
        HAS_TAGS(s, at, CHY_DER_CONTEXT_SET(1u)) || HAS_TAGS(s, at, CHY_DER_CONTEXT_SET(2u));
    return has_responder && HAS_TAGS(s, at + 1, CHY_DER_GENERALIZED_TIME, CHY_DER_SEQUENCE);
}

/* 1.2.840.113549.1.9.3: content-type, which every set of signed attributes has; RFC 5652 section
 * 11.1 */
static bool is_content_type(const struct element *attribute)
{
    static const uint8_t oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03 };
    struct shape s = shape_of(attribute->body);
    return HAS_TAGS(&s, 0, CHY_DER_OID, CHY_DER_SET) &&
           chy_bytes_equal(s.children[0].body, (struct chy_bytes){ oid, sizeof oid });
}

static bool is_signed_attributes(struct chy_bytes body)
{
    struct element e;
    while (next_element(&body, &e))
        if (e.tag == CHY_DER_SEQUENCE && is_content_type(&e))
            return true;
    return false;
}

/* The first line of a signature file; the names of its headers are read in either case. */
static bool is_jar_signature_file(struct chy_bytes content)
{
    static const char want[] = "signature-version:";
    if (content.n < sizeof want - 1)
        return false;
    for (size_t i = 0; i < sizeof want - 1; i++) {
        uint8_t c = content.p[i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != want[i])
            return false;
    }
    return true;
}

static const struct {
    bool (*is_it)(const struct shape *s);
    const char *name;
} sequences[] = {
    { is_certificate, CHY_CONTENT_X509_TBS },
    { is_request, CHY_CONTENT_CSR_INFO },
    { is_revocation_list, CHY_CONTENT_X509_CRL },
    { is_ocsp_response, CHY_CONTENT_OCSP_RESPONSE },
};

const char *inspect_recognize(struct chy_bytes content)
{
    struct chy_bytes in = content;
    struct element outer;
    const char *ssh = inspect_recognize_ssh(content);
    if (ssh != NULL)
        return ssh;
    if (is_jar_signature_file(content))
        return CHY_CONTENT_JAR_SIGNATURE_FILE;
    if (!take_head(&in, &outer))
        return CHY_CONTENT_OTHER;
    if (outer.tag == CHY_DER_SET && is_signed_attributes(outer.body))
        return CHY_CONTENT_CMS_SIGNED_ATTRIBUTES;
    if (outer.tag != CHY_DER_SEQUENCE)
        return CHY_CONTENT_OTHER;
    struct shape s = shape_of(outer.body);
    for (size_t i = 0; i < CHY_ARRAY_LEN(sequences); i++)
        if (sequences[i].is_it(&s))
            return sequences[i].name;
    return CHY_CONTENT_OTHER;
}
