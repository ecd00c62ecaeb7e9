/* SPDX-License-Identifier: MIT */
#include "format/xml_signature.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "codec/base64.h"
#include "crypto/hash.h"

#define DSIG      "http://www.w3.org/2000/09/xmldsig#"
#define DSIG_MORE "http://www.w3.org/2001/04/xmldsig-more#"
#define DSIG_11   "http://www.w3.org/2009/xmldsig11#"
#define XMLENC    "http://www.w3.org/2001/04/xmlenc#"
#define ENVELOPED DSIG "enveloped-signature"

/* Names of algorithms, and what is meant. */
struct name {
    const char *uri;
    int value;
};

static const struct name canonical_names[] = {
    { "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", XML_C14N_1_0 },
    { "http://www.w3.org/2006/12/xml-c14n11", XML_C14N_1_1 },
    { "http://www.w3.org/2001/10/xml-exc-c14n#", XML_C14N_EXCLUSIVE_1_0 },
    { NULL, 0 },
};
static const struct name signature_names[] = {
    { DSIG_MORE "rsa-sha256", CHY_ALG_RSA_PKCS1_SHA256 },
    { DSIG_MORE "rsa-sha384", CHY_ALG_RSA_PKCS1_SHA384 },
    { DSIG_MORE "rsa-sha512", CHY_ALG_RSA_PKCS1_SHA512 },
    { DSIG_MORE "ecdsa-sha256", CHY_ALG_ECDSA_SHA256 },
    { DSIG_MORE "ecdsa-sha384", CHY_ALG_ECDSA_SHA384 },
    { DSIG_MORE "ecdsa-sha512", CHY_ALG_ECDSA_SHA512 },
    { NULL, 0 },
};
static const struct name digest_names[] = {
    { XMLENC "sha256", CHY_HASH_SHA256 },
    { DSIG_MORE "sha384", CHY_HASH_SHA384 },
    { XMLENC "sha512", CHY_HASH_SHA512 },
    { NULL, 0 },
};

struct reading {
    struct chy_arena *arena;
    xmlDoc *doc;
    xmlNode *signature;
    xmlNode *signed_info;
    int signed_info_mode; /* xmlC14NMode */
    int content_mode;
    struct chy_xml_signature *to;
};

static enum chy_err other(struct chy_error *err, const char *what)
{
    return chy_fail(err, CHY_E_UNSUPPORTED, "its signature is of another form: %s", what);
}

/* --- libxml2 --- */

static void ctxt_freep(xmlParserCtxt **c)
{
    xmlFreeParserCtxt(*c);
}

static void doc_freep(xmlDoc **d)
{
    xmlFreeDoc(*d);
}

static void say_nothing(void *ctx, const char *format, ...)
{
    (void)ctx;
    (void)format;
}

/* Before anything of it is read. */
static void refuse_type(void *ctx, const xmlChar *name, const xmlChar *external,
                        const xmlChar *system)
{
    xmlParserCtxt *c = ctx;
    (void)name;
    (void)external;
    (void)system;
    *(bool *)c->_private = true;
    xmlStopParser(c);
}

/* It is not signed, and readers differ in what they make of others: to XML 1.1 more characters end
 * a line. */
static enum chy_err declaration_check(const xmlDoc *doc, struct chy_error *err)
{
    static const char *const encodings[] = { "UTF-8", "UTF-16", "US-ASCII", "ISO-8859-1" };
    bool is_known = doc->encoding == NULL;
    for (size_t i = 0; !is_known && i < CHY_ARRAY_LEN(encodings); i++)
        is_known = strcasecmp((const char *)doc->encoding, encodings[i]) == 0;
    if (!is_known || doc->version == NULL || strcmp((const char *)doc->version, "1.0") != 0)
        return chy_fail(err, CHY_E_UNSUPPORTED, "it is XML of another version, or encoding");
    return CHY_OK;
}

static enum chy_err document_parse(struct chy_bytes in, xmlDoc **ret_doc, struct chy_error *err)
{
    CHY_CLEANUP(ctxt_freep) xmlParserCtxt *c = xmlNewParserCtxt();
    bool has_type = false;
    if (in.n > CHY_LIMIT_XML_FILE)
        return chy_fail(err, CHY_E_LIMIT, "XML of %zu bytes, %d are the most", in.n,
                        CHY_LIMIT_XML_FILE);
    if (c == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for XML");
    xmlSetGenericErrorFunc(NULL, say_nothing);
    c->_private = &has_type;
    c->sax->internalSubset = refuse_type;
    CHY_CLEANUP(doc_freep)
    xmlDoc *doc = xmlCtxtReadMemory(c, (const char *)in.p, (int)in.n, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (has_type)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "it has a document type, which may change what is read");
    if (doc == NULL || xmlDocGetRootElement(doc) == NULL)
        return chy_fail(err, CHY_E_MALFORMED, "it is not well-formed XML (line %d)",
                        c->lastError.line);
    CHY_TRY(declaration_check(doc, err));
    *ret_doc = CHY_TAKE(doc);
    return CHY_OK;
}

static bool is_element(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && n->ns != NULL &&
           strcmp((const char *)n->ns->href, DSIG) == 0 && strcmp((const char *)n->name, name) == 0;
}

/* The next in the order of the document. */
static xmlNode *following(xmlNode *n, size_t *depth)
{
    if (n->type == XML_ELEMENT_NODE && n->children != NULL) {
        ++*depth;
        return n->children;
    }
    while (n != NULL && n->next == NULL && n->type != XML_DOCUMENT_NODE) {
        n = n->parent;
        --*depth;
    }
    return n != NULL && n->type != XML_DOCUMENT_NODE ? n->next : NULL;
}

static bool is_blank(const xmlNode *n)
{
    return xmlIsBlankNode(n) != 0;
}

/* Of text, but for what may stand in it and is not signed. */
static bool is_piece(const xmlNode *n)
{
    return n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE ||
           is_element(n, "Signature");
}

/* Canonical XML knows neither CDATA sections nor the signature: "admin<![CDATA[.evil]]>" is one
 * text to it, and two to many who read it. */
static enum chy_err pieces_check(const struct reading *r, const xmlNode *first,
                                 struct chy_error *err)
{
    size_t n = 0;
    size_t most = 1;
    if (first->prev != NULL && is_piece(first->prev))
        return CHY_OK;
    for (const xmlNode *at = first; at != NULL && is_piece(at); at = at->next) {
        bool is_signature = at->type == XML_ELEMENT_NODE;
        if (is_signature && at->parent != xmlDocGetRootElement(r->doc))
            most = 0;
        n += !is_signature && !is_blank(at) ? 1 : 0;
    }
    return n <= most ? CHY_OK
                     : chy_fail(err, CHY_E_UNSUPPORTED,
                                "it has a text in pieces (line %ld), and no signature covers where "
                                "they end",
                                xmlGetLineNo(first));
}

/* Canonical XML walks up to the root for each node, and down by recursion. */
static enum chy_err signature_find(struct reading *r, struct chy_error *err)
{
    size_t depth = 1;
    for (xmlNode *n = r->doc->children; n != NULL; n = following(n, &depth)) {
        if (depth > CHY_LIMIT_XML_DEPTH)
            return chy_fail(err, CHY_E_LIMIT, "XML deeper than %d elements", CHY_LIMIT_XML_DEPTH);
        if (n->type == XML_COMMENT_NODE)
            return chy_fail(err, CHY_E_UNSUPPORTED,
                            "it has a comment (line %ld), which no signature covers",
                            xmlGetLineNo(n));
        if (is_piece(n))
            CHY_TRY(pieces_check(r, n, err));
        if (!is_element(n, "Signature"))
            continue;
        if (r->signature != NULL)
            return other(err, "there are two");
        r->signature = n;
    }
    if (r->signature == NULL)
        return chy_fail(err, CHY_E_NOT_FOUND, "it has no signature");
    if (r->signature == xmlDocGetRootElement(r->doc))
        return other(err, "it is around what is signed");
    return CHY_OK;
}

/* Exclusive canonical XML leaves out a namespace that no name is in, though a value may be
 * ("xs:string"): whoever changes such a one changes what that means. Inclusive has them all. */
static enum chy_err namespaces_check(const struct reading *r, struct chy_error *err)
{
    size_t depth = 0;
    for (xmlNode *n = r->doc->children; n != NULL; n = following(n, &depth)) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (n->ns != NULL)
            n->ns->_private = n->ns;
        for (const xmlAttr *a = n->properties; a != NULL; a = a->next) {
            if (a->ns != NULL)
                a->ns->_private = a->ns;
        }
    }
    for (xmlNode *n = r->doc->children; n != NULL; n = following(n, &depth)) {
        for (const xmlNs *ns = n->type == XML_ELEMENT_NODE ? n->nsDef : NULL; ns != NULL;
             ns = ns->next) {
            bool is_none = ns->prefix == NULL && n->ns == NULL; /* xmlns="" */
            if (ns->_private == NULL && !is_none)
                return chy_fail(err, CHY_E_UNSUPPORTED,
                                "it has a namespace that no name is in (line %ld), which its "
                                "signature (exclusive canonical XML) does not cover",
                                xmlGetLineNo(n));
        }
    }
    return CHY_OK;
}

static bool is_within(const xmlNode *n, const xmlNode *parent, const xmlNode *top)
{
    if (n->type == XML_NAMESPACE_DECL)
        n = parent;
    while (n != NULL && n != top)
        n = n->parent;
    return n == top;
}

/* --- its elements, in order; nothing may stand between them --- */

static bool is_space(const xmlNode *n)
{
    return n->type == XML_TEXT_NODE && is_blank(n);
}

static xmlNode *take(xmlNode **at, const char *name)
{
    while (*at != NULL && is_space(*at))
        *at = (*at)->next;
    xmlNode *n = *at;
    if (n == NULL || !is_element(n, name))
        return NULL;
    *at = n->next;
    return n;
}

static bool is_end(xmlNode *at)
{
    while (at != NULL && is_space(at))
        at = at->next;
    return at == NULL;
}

/* What SignedInfo does not hold is not signed: there an attribute names a thing, and no more. */
static bool has_id_alone(const xmlNode *n)
{
    for (const xmlAttr *a = n->properties; a != NULL; a = a->next) {
        if (a->ns != NULL || strcmp((const char *)a->name, "Id") != 0)
            return false;
    }
    return true;
}

/* The only text in it; empty for anything else. Lives as long as the document. */
static struct chy_str text_of(const xmlNode *children)
{
    bool is_text = children != NULL && children->next == NULL &&
                   (children->type == XML_TEXT_NODE || children->type == XML_CDATA_SECTION_NODE);
    return chy_str_of(is_text ? (const char *)children->content : NULL);
}

static struct chy_str attribute(const xmlNode *n, const char *name)
{
    for (const xmlAttr *a = n->properties; a != NULL; a = a->next) {
        if (a->ns == NULL && strcmp((const char *)a->name, name) == 0)
            return text_of(a->children);
    }
    return (struct chy_str){ 0 };
}

/* It is there, and holds nothing. */
static bool has_empty(const xmlNode *n, const char *name)
{
    for (const xmlAttr *a = n->properties; a != NULL; a = a->next) {
        if (a->ns == NULL && strcmp((const char *)a->name, name) == 0)
            return a->children == NULL ||
                   (text_of(a->children).p != NULL && text_of(a->children).n == 0);
    }
    return false;
}

/* An algorithm without parameters. */
static bool algorithm(const xmlNode *n, const struct name *names, int *ret)
{
    if (n == NULL || n->children != NULL)
        return false;
    for (size_t i = 0; names[i].uri != NULL; i++) {
        if (!chy_str_equal_c(attribute(n, "Algorithm"), names[i].uri))
            continue;
        *ret = names[i].value;
        return true;
    }
    return false;
}

/* Base 64 in lines. */
static enum chy_err bytes_of(struct reading *r, const xmlNode *n, size_t max, struct chy_bytes *ret,
                             struct chy_error *err)
{
    struct chy_str text = text_of(n->children);
    if (text.p == NULL)
        return other(err, "something that is no text stands in it");
    CHY_CLEANUP(chy_buf_done) struct chy_buf plain;
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&plain, CHY_BASE64_LEN(max));
    chy_buf_init(&bytes, max);
    for (size_t i = 0; i < text.n; i++) {
        if (strchr(" \t\r\n", text.p[i]) == NULL)
            chy_buf_append_u8(&plain, (uint8_t)text.p[i]);
    }
    CHY_TRY(chy_buf_check(&plain, err));
    CHY_TRY(chy_base64_decode(chy_buf_str(&plain), &bytes, err));
    *ret = chy_arena_bytes(r->arena, chy_buf_bytes(&bytes));
    return ret->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
}

static enum chy_err transforms_read(struct reading *r, xmlNode *transforms, struct chy_error *err)
{
    static const struct name enveloped[] = { { ENVELOPED, 1 }, { NULL, 0 } };
    int is_enveloped = 0;
    xmlNode *at = transforms->children;
    if (!algorithm(take(&at, "Transform"), enveloped, &is_enveloped))
        return other(err, "its first transform is not enveloped-signature");
    r->content_mode = XML_C14N_1_0; /* what becomes of nodes without one: section 4.4.3.2 */
    if (!is_end(at) && !algorithm(take(&at, "Transform"), canonical_names, &r->content_mode))
        return other(err, "its second transform is not canonical XML, or has parameters");
    return is_end(at) ? CHY_OK : other(err, "it has more transforms");
}

static enum chy_err reference_read(struct reading *r, xmlNode *reference, struct chy_error *err)
{
    xmlNode *at = reference->children;
    if (!has_empty(reference, "URI"))
        return other(err, "it is not of the whole document (URI=\"\")");
    xmlNode *transforms = take(&at, "Transforms");
    if (transforms == NULL)
        return other(err, "its first transform is not enveloped-signature");
    CHY_TRY(transforms_read(r, transforms, err));
    int hash = 0;
    if (!algorithm(take(&at, "DigestMethod"), digest_names, &hash))
        return other(err, "its digest is none of SHA-256, SHA-384, SHA-512");
    r->to->hash = (enum chy_hash_alg)hash;
    xmlNode *value = take(&at, "DigestValue");
    if (value == NULL || !is_end(at))
        return other(err, "something is beside its digest");
    return bytes_of(r, value, CHY_LIMIT_DIGEST, &r->to->said, err);
}

static enum chy_err signed_info_read(struct reading *r, struct chy_error *err)
{
    xmlNode *at = r->signed_info->children;
    int alg = 0;
    if (!algorithm(take(&at, "CanonicalizationMethod"), canonical_names, &r->signed_info_mode))
        return other(err, "SignedInfo is not in canonical XML, or that has parameters");
    if (!algorithm(take(&at, "SignatureMethod"), signature_names, &alg))
        return other(err, "its algorithm is none of RSA and ECDSA with SHA-2");
    r->to->alg = (enum chy_sign_alg)alg;
    xmlNode *reference = take(&at, "Reference");
    if (reference == NULL || !is_end(at))
        return other(err, "it is not of one thing alone");
    return reference_read(r, reference, err);
}

/* It cannot be taken for a part of the document: nothing in it has another's name. */
static bool holds_no_more(xmlNode *top)
{
    size_t depth = 0;
    for (xmlNode *n = top->children; n != NULL && is_within(n, NULL, top);
         n = following(n, &depth)) {
        if (n->type == XML_TEXT_NODE)
            continue;
        if (n->type != XML_ELEMENT_NODE || n->ns == NULL ||
            (strcmp((const char *)n->ns->href, DSIG) != 0 &&
             strcmp((const char *)n->ns->href, DSIG_11) != 0))
            return false;
        for (const xmlAttr *a = n->properties; a != NULL; a = a->next) {
            if (a->ns != NULL)
                return false;
        }
    }
    return true;
}

/* What else may name the key says nothing here. */
static bool take_name_of_key(xmlNode **at, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (take(at, names[i]) != NULL)
            return true;
    }
    return false;
}

static enum chy_err certificates_read(struct reading *r, xmlNode *data, struct chy_error *err)
{
    static const char *const names[] = { "X509SubjectName", "X509IssuerSerial", "X509SKI", NULL };
    struct chy_xml_signature *to = r->to;
    xmlNode *at = data->children;
    while (!is_end(at)) {
        const xmlNode *one = take(&at, "X509Certificate");
        if (one == NULL && !take_name_of_key(&at, names))
            return other(err, "something unknown stands in X509Data");
        if (one == NULL)
            continue;
        if (to->n_certificates == CHY_LIMIT_CHAIN)
            return chy_fail(err, CHY_E_LIMIT, "more than %d certificates", CHY_LIMIT_CHAIN);
        CHY_TRY(
            bytes_of(r, one, CHY_LIMIT_CERTIFICATE, &to->certificates[to->n_certificates], err));
        to->n_certificates++;
    }
    return CHY_OK;
}

static enum chy_err key_info_read(struct reading *r, xmlNode *info, struct chy_error *err)
{
    static const char *const names[] = { "KeyName", "KeyValue", NULL };
    xmlNode *at = info->children;
    while (!is_end(at)) {
        xmlNode *data = take(&at, "X509Data");
        if (data == NULL && !take_name_of_key(&at, names))
            return other(err, "something unknown stands in KeyInfo");
        if (data != NULL)
            CHY_TRY(certificates_read(r, data, err));
    }
    return r->to->n_certificates != 0 ? CHY_OK : other(err, "there is no certificate in it");
}

static enum chy_err signature_read(struct reading *r, struct chy_error *err)
{
    xmlNode *at = r->signature->children;
    r->signed_info = take(&at, "SignedInfo");
    const xmlNode *value = r->signed_info != NULL ? take(&at, "SignatureValue") : NULL;
    xmlNode *info = value != NULL ? take(&at, "KeyInfo") : NULL;
    if (info == NULL || !is_end(at))
        return other(err, "it is not SignedInfo, SignatureValue and KeyInfo alone");
    if (!has_id_alone(r->signature) || !has_id_alone(value) || !has_id_alone(info))
        return other(err, "it has an attribute that is not known");
    if (!holds_no_more(info))
        return other(err, "something unknown stands in KeyInfo");
    CHY_TRY(signed_info_read(r, err));
    CHY_TRY(bytes_of(r, value, CHY_LIMIT_RAW_SIGNATURE, &r->to->value, err));
    return key_info_read(r, info, err);
}

/* --- canonical XML --- */

static int in_signed_info(void *ctx, xmlNode *n, xmlNode *parent)
{
    const struct reading *r = ctx;
    return is_within(n, parent, r->signed_info);
}

static int outside_signature(void *ctx, xmlNode *n, xmlNode *parent)
{
    const struct reading *r = ctx;
    return !is_within(n, parent, r->signature);
}

static int hash_write(void *ctx, const char *bytes, int n)
{
    chy_hasher_add(ctx, (struct chy_bytes){ (const uint8_t *)bytes, (size_t)n });
    return n;
}

static enum chy_err canonical_hash(struct reading *r, xmlC14NIsVisibleCallback is_visible, int mode,
                                   enum chy_hash_alg hash, uint8_t *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    CHY_TRY(chy_hasher_new(hash, &hasher, err));
    xmlOutputBuffer *to = xmlOutputBufferCreateIO(hash_write, NULL, hasher, NULL);
    if (to == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for canonical XML");
    int n = xmlC14NExecute(r->doc, is_visible, r, mode, NULL, 0, to);
    bool is_whole = xmlOutputBufferClose(to) >= 0 && n >= 0;
    if (!is_whole)
        return chy_fail(err, CHY_E_MALFORMED, "it has no canonical form");
    chy_hasher_end(hasher, out);
    return CHY_OK;
}

enum chy_err chy_xml_signature_read(struct chy_bytes document, struct chy_arena *arena,
                                    struct chy_xml_signature *ret_signature, struct chy_error *err)
{
    CHY_CLEANUP(doc_freep) xmlDoc *doc = NULL;
    struct chy_xml_signature made = { .n_certificates = 0 };
    CHY_TRY(document_parse(document, &doc, err));
    struct reading r = { .arena = arena, .doc = doc, .to = &made };
    CHY_TRY(signature_find(&r, err));
    CHY_TRY(signature_read(&r, err));
    if (r.content_mode == XML_C14N_EXCLUSIVE_1_0)
        CHY_TRY(namespaces_check(&r, err));
    CHY_TRY(canonical_hash(&r, in_signed_info, r.signed_info_mode, chy_sign_alg_hash(made.alg),
                           made.signed_digest, err));
    CHY_TRY(canonical_hash(&r, outside_signature, r.content_mode, made.hash, made.digest, err));
    *ret_signature = made;
    return CHY_OK;
}
