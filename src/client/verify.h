/* SPDX-License-Identifier: MIT */
/* Signatures that we verify ourselves, without anybody's tool. The file and its signature are read
 * in a child that can do nothing else (client/confined.h). */
#pragma once

#include "base/arena.h"
#include "client/trust.h"

enum chy_verify_form {
    CHY_VERIFY_CMS = 1, /* `signature` is CMS, DER or PEM, over the whole file */
    CHY_VERIFY_RAW,     /* `signature` is bare, by one of the trust file's keys, over the file */
    CHY_VERIFY_MODULE,  /* a kernel module with CMS behind it */
    CHY_VERIFY_PE,      /* Authenticode; more than one signature, as UEFI has them, too */
    CHY_VERIFY_JAR,     /* the signature files of a JAR, whose manifest its tool has looked at */
    CHY_VERIFY_PKCS7,   /* `signature` is CMS around its content; that the content is of a file, its
                         * tool has found */
    CHY_VERIFY_APK,     /* schemes v2, v3 and v3.1; without those v1, as a JAR; what else Android
                         * asks of a package, its tool has looked at */
    CHY_VERIFY_XML,     /* a signature of the whole document, by a certificate that is in it */
    CHY_VERIFY_NUGET,
    CHY_VERIFY_MSIX,   /* and bundles */
    CHY_VERIFY_SCRIPT, /* PowerShell's */
    /* Verified by tools alone. What is found of these is what was signed, to look for in the log:
     * `digest`, `signature_sha256`, `algorithm`; nobody is good by it. */
    CHY_VERIFY_OPENPGP,   /* `signature` is detached, in armour or not */
    CHY_VERIFY_CLEARTEXT, /* `signature` is a clear-signed text, alone in its file; the file is
                           * that, or has the same text */
    CHY_VERIFY_DEB,       /* by debsigs */
    CHY_VERIFY_RPM,       /* the header's */
    CHY_VERIFY_SSH,       /* `signature` is that of ssh-keygen -Y sign */
    CHY_VERIFY_DIGEST,    /* nothing but the SHA-256 of the file, as `digest` */
};

struct chy_verify_input {
    enum chy_verify_form form;
    int fd; /* of the file; stays the caller's */
    uint64_t size_bytes;
    struct chy_bytes signature;
    const struct chy_trust *trust;
    int64_t now_us;
};

struct chy_verify_signer {
    bool is_good;
    struct chy_str problem; /* when not: the error's type, and why */
    struct chy_str detail;
    struct chy_str name; /* common name, else the subject; of a bare key its hash */
    struct chy_str subject;
    struct chy_str issuer;
    int64_t not_after_us;
    uint8_t certificate_sha256[CHY_HASH_BYTES];
    uint8_t key_sha256[CHY_HASH_BYTES];
    enum chy_sign_alg algorithm;
    struct chy_bytes digest; /* what was signed, as the log has it */
    uint8_t signature_sha256[CHY_HASH_BYTES];
    int64_t time_stamp_us; /* 0: none */
    struct chy_str time_stamp_by;
};
struct chy_verify_found {
    CHY_LIST_OF(struct chy_verify_signer) signers;
    struct chy_bytes certificate; /* of XML: the signer's, DER, when it is good */
};
extern const struct chy_schema chy_verify_signer_schema, chy_verify_found_schema;

/* Everybody who signed, good or not (rather: what was signed, of the forms that tools verify);
 * `ret_found` is in the arena.
 * Errors: CHY_E_NOT_FOUND    there is no signature
 *         CHY_E_MALFORMED    it, or the file around it, is broken
 *         CHY_E_INTEGRITY    no key of the trust file made a bare signature; what Authenticode
 *                            signed is another file; a clear-signed text is another than the file
 *         CHY_E_UNSUPPORTED  an algorithm or a form that we do not know; a clear-signed text
 *                            differs from the file in blanks that are not signed
 *         CHY_E_LIMIT
 *         CHY_E_TIMEOUT, CHY_E_IO, CHY_E_BUSY, CHY_E_NOMEM  nothing was found out */
CHY_MUST_USE enum chy_err chy_verify_file(const struct chy_verify_input *input,
                                          struct chy_arena *arena,
                                          struct chy_verify_found *ret_found,
                                          struct chy_error *err);

/* The same in this very process: what the child does. For tests and fuzzing. */
CHY_MUST_USE enum chy_err chy_verify_here(const struct chy_verify_input *input,
                                          struct chy_arena *arena,
                                          struct chy_verify_found *ret_found,
                                          struct chy_error *err);
