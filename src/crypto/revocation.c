/* SPDX-License-Identifier: MIT */
/* Lists of revoked certificates, RFC 5280 section 5: whole ones that their authority has signed
 * itself. OpenSSL's own check knows nothing of time stamps: a signature that an authority stamped
 * before its certificate was revoked stays good, unless the key was in the wrong hands: nobody
 * knows since when. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "codec/hex.h"
#include "crypto/openssl.h"
#include "crypto/trust_store_private.h"

#define US   INT64_C(1000000)
#define LIST "the list of revoked certificates of the authority at depth %d"

static void crl_freep(X509_CRL **crl)
{
    X509_CRL_free(*crl);
}

void chy_trust_store_crls_free(struct chy_trust_store *s)
{
    for (size_t i = 0; i < s->n_crls; i++)
        X509_CRL_free(s->crls[i]);
}

/* --- what lists are taken --- */

/* One of changes, or of some certificates or reasons, says so in an extension that is critical. */
static bool has_critical(const X509_CRL *crl)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)) != 0)
            return true;
    }
    return false;
}

static bool is_weak(const X509_CRL *crl)
{
    int hash = NID_undef;
    int key = NID_undef;
    bool is_known = OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &hash, &key) == 1;
    return !is_known ||
           (hash != NID_undef && hash != NID_sha256 && hash != NID_sha384 && hash != NID_sha512);
}

enum chy_err chy_trust_store_add_crl(struct chy_trust_store *s, struct chy_bytes der,
                                     struct chy_error *err)
{
    const uint8_t *p = der.p;
    CHY_CLEANUP(crl_freep) X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
    if (crl == NULL || p != der.p + der.n)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "no list of revoked certificates");
    if (has_critical(crl))
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "a list of changes, or of some certificates: give one of all");
    if (is_weak(crl))
        return chy_fail(err, CHY_E_UNSUPPORTED, "a list that is signed with a weak hash");
    if (s->n_crls == CHY_LIMIT_TRUST_CRLS)
        return chy_fail(err, CHY_E_LIMIT, "more than %d lists of revoked certificates",
                        CHY_LIMIT_TRUST_CRLS);
    s->crls[s->n_crls++] = crl;
    crl = NULL;
    return CHY_OK;
}

/* --- whether a list counts --- */

static bool is_past(const ASN1_TIME *t, int64_t now_us)
{
    return t != NULL && ASN1_TIME_cmp_time_t(t, (time_t)(now_us / US)) < 0;
}

/* The authority of that name may have more than one key, and a list by each. */
static bool is_by(X509_CRL *crl, X509 *issuer)
{
    if ((X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) != 0 &&
        (X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0)
        return false;
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool is_its = key != NULL && X509_CRL_verify(crl, key) == 1;
    ERR_clear_error();
    return is_its;
}

/* The newest of those that are in time; NULL: none, and `ret_why` tells what is wrong with one, if
 * there is one. */
static X509_CRL *list_find(const struct chy_path_terms *terms, X509 *issuer, int depth,
                           struct chy_error *ret_why)
{
    X509_CRL *found = NULL;
    for (size_t i = 0; i < terms->roots->n_crls; i++) {
        X509_CRL *crl = terms->roots->crls[i];
        const ASN1_TIME *last = X509_CRL_get0_lastUpdate(crl);
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0)
            continue;
        if (!is_by(crl, issuer))
            chy_fail(ret_why, CHY_E_FORBIDDEN,
                     LIST " is signed by somebody else, or with a key that may not", depth);
        else if (X509_CRL_get0_nextUpdate(crl) == NULL ||
                 is_past(X509_CRL_get0_nextUpdate(crl), terms->now_us))
            chy_fail(ret_why, CHY_E_EXPIRED, LIST " is out of date", depth);
        else if (!is_past(last, terms->now_us + US))
            chy_fail(ret_why, CHY_E_EXPIRED, LIST " is of the future", depth);
        else if (found == NULL || ASN1_TIME_compare(last, X509_CRL_get0_lastUpdate(found)) > 0)
            found = crl;
    }
    return found;
}

/* --- one certificate --- */

static long reason_of(const X509_REVOKED *revoked)
{
    ASN1_ENUMERATED *value = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, NULL, NULL);
    long reason = value != NULL ? ASN1_ENUMERATED_get(value) : CRL_REASON_UNSPECIFIED;
    ASN1_ENUMERATED_free(value);
    return reason;
}

/* Revoked then, or known to be invalid before. */
static bool was_revoked_by(const X509_REVOKED *revoked, int64_t at_us)
{
    time_t at = (time_t)(at_us / US);
    ASN1_GENERALIZEDTIME *invalid =
        X509_REVOKED_get_ext_d2i(revoked, NID_invalidity_date, NULL, NULL);
    bool is = ASN1_TIME_cmp_time_t(X509_REVOKED_get0_revocationDate(revoked), at) <= 0 ||
              (invalid != NULL && ASN1_TIME_cmp_time_t(invalid, at) <= 0);
    ASN1_GENERALIZEDTIME_free(invalid);
    return is;
}

static bool is_compromise(long reason)
{
    return reason == CRL_REASON_KEY_COMPROMISE || reason == CRL_REASON_CA_COMPROMISE ||
           reason == CRL_REASON_AA_COMPROMISE;
}

static enum chy_err revoked_check(const struct chy_path_terms *terms, X509_CRL *crl, X509 *cert,
                                  int depth, struct chy_error *err)
{
    X509_REVOKED *revoked = NULL;
    int r = X509_CRL_get0_by_cert(crl, &revoked, cert);
    if (r == 0 || revoked == NULL)
        return CHY_OK;
    long reason = reason_of(revoked);
    ERR_clear_error();
    if (terms->stamped_us != 0 && !is_compromise(reason) &&
        !was_revoked_by(revoked, terms->stamped_us))
        return CHY_OK;
    return chy_fail(err, CHY_E_FORBIDDEN, "%s certificate, at depth %d, is revoked%s",
                    terms->is_stamp ? "the time stamp's" : "the signer's", depth,
                    is_compromise(reason)    ? ": its key was in the wrong hands"
                    : terms->stamped_us != 0 ? ", and was when the signature was time-stamped"
                                             : "");
}

/* Of who signs the authority must have a list; those above, and of time stamps, where there is one:
 * few publish any for these. */
static enum chy_err certificate_check(const struct chy_path_terms *terms, X509 *cert, X509 *issuer,
                                      int depth, struct chy_error *err)
{
    struct chy_error why = { .code = CHY_OK };
    X509_CRL *crl = list_find(terms, issuer, depth + 1, &why);
    if (crl != NULL)
        return revoked_check(terms, crl, cert, depth, err);
    if (why.code != CHY_OK)
        return chy_fail(err, why.code, "%s", why.text);
    if (depth == 0 && !terms->is_stamp)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "no list of revoked certificates of the trust file's is by the authority "
                        "of the signer's certificate");
    return CHY_OK;
}

enum chy_err chy_revocation_check(const struct chy_path_terms *terms, STACK_OF(X509) * path,
                                  struct chy_error *err)
{
    if (terms->roots->n_crls == 0)
        return CHY_OK;
    /* OpenSSL goes on past what is trusted as it is. */
    for (int i = 0;
         i + 1 < sk_X509_num(path) && !chy_trust_store_holds(terms->roots, sk_X509_value(path, i));
         i++)
        CHY_TRY(
            certificate_check(terms, sk_X509_value(path, i), sk_X509_value(path, i + 1), i, err));
    return CHY_OK;
}
