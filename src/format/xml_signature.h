/* SPDX-License-Identifier: MIT */
/* The signature of an XML document, when it is one of the whole document: what it says and what the
 * document is, before anything of it is believed. Read by libxml2, which is given no document type,
 * so that there are no entities, no defaults and nothing to fetch. Pure.
 *
 *   <root> … <Signature><SignedInfo/><SignatureValue/><KeyInfo><X509Data/></KeyInfo></Signature>
 *
 * All that stands in the document must be signed, and what a reader could take for a part of it
 * must not hide in the signature: one Signature, below the root; one Reference, of URI "", by the
 * transform enveloped-signature and canonical XML; no Object; no comments, which are not hashed.
 * What canonical XML leaves out must not change what is read: XML 1.0 in a well-known encoding; no
 * text that a CDATA section or the signature cuts in two; by Exclusive, no namespace that is not
 * that of a name.
 * Source: XML Signature Syntax and Processing 1.1; Canonical XML 1.0, 1.1, Exclusive. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/types.h"

struct chy_xml_signature {
    enum chy_sign_alg alg;                   /* RSA PKCS#1 v1.5, or ECDSA */
    uint8_t signed_digest[CHY_LIMIT_DIGEST]; /* of SignedInfo, by the hash of `alg` */
    struct chy_bytes value;                  /* of ECDSA r || s; in the arena */
    enum chy_hash_alg hash;
    uint8_t digest[CHY_LIMIT_DIGEST];               /* of the document without the signature */
    struct chy_bytes said;                          /* what SignedInfo says that this is */
    struct chy_bytes certificates[CHY_LIMIT_CHAIN]; /* in any order, DER; one at least */
    size_t n_certificates;
};

/* Errors: CHY_E_NOT_FOUND    it has no signature
 *         CHY_E_MALFORMED    it is no XML; or what should be base 64 or a digest is not
 *         CHY_E_UNSUPPORTED  it is not as said above, or by another algorithm; the text says what
 *         CHY_E_LIMIT        over CHY_LIMIT_XML_FILE, deeper than CHY_LIMIT_XML_DEPTH, more than
 *                            CHY_LIMIT_CHAIN certificates, or what libxml2 takes for too much
 *         CHY_E_NOMEM, CHY_E_CRYPTO */
CHY_MUST_USE enum chy_err chy_xml_signature_read(struct chy_bytes document, struct chy_arena *arena,
                                                 struct chy_xml_signature *ret_signature,
                                                 struct chy_error *err);
