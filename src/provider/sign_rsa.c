/* SPDX-License-Identifier: MIT */
/* RSA's paddings, as OpenSSL sets and asks them. Source: provider-signature(7), RSA of
 * EVP_SIGNATURE-RSA(7). */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "provider/sign.h"

#define SALT_MAX 10000 /* longer than any modulus */

static const struct {
    int number;
    const char *name;
    enum chy_door_scheme scheme;
} paddings[] = {
    { RSA_PKCS1_PADDING, OSSL_PKEY_RSA_PAD_MODE_PKCSV15, CHY_DOOR_RSA_PKCS1 },
    { RSA_PKCS1_PSS_PADDING, OSSL_PKEY_RSA_PAD_MODE_PSS, CHY_DOOR_RSA_PSS },
};

/* A number, or one of OpenSSL's words for it. */
struct setting {
    bool is_number;
    int number;
    const char *word;
};

static enum chy_err setting_read(const OSSL_PARAM *p, struct setting *ret, struct chy_error *err)
{
    *ret = (struct setting){ .word = "" };
    if (p->data_type == OSSL_PARAM_UTF8_STRING && p->data != NULL) {
        ret->word = p->data; /* OpenSSL ends them with NUL */
        return CHY_OK;
    }
    ret->is_number = OSSL_PARAM_get_int(p, &ret->number) == 1;
    return ret->is_number ? CHY_OK : chy_fail(err, CHY_E_ARG, "%.32s is of a wrong type", p->key);
}

static enum chy_err padding_set(struct chy_prov_signing *s, const OSSL_PARAM *p,
                                struct chy_error *err)
{
    struct setting set;
    CHY_TRY(setting_read(p, &set, err));
    for (size_t i = 0; i < CHY_ARRAY_LEN(paddings); i++) {
        if (set.is_number ? set.number != paddings[i].number
                          : strcmp(set.word, paddings[i].name) != 0)
            continue;
        s->scheme = paddings[i].scheme;
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_UNSUPPORTED, "RSA keys sign with the paddings pkcs1 and pss alone");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* OpenSSL's commands give a length as text. A number that is no length of any digest stays none. */
static void number_read(struct setting *set)
{
    if (set->is_number || !is_digit(set->word[0]))
        return;
    for (const char *c = set->word; is_digit(*c) && set->number < SALT_MAX; c++)
        set->number = 10 * set->number + (*c - '0');
    set->is_number = true;
}

static bool is_our_choice(const struct setting *set)
{
    if (set->is_number)
        return set->number == RSA_PSS_SALTLEN_DIGEST || set->number == RSA_PSS_SALTLEN_AUTO;
    return strcmp(set->word, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0 ||
           strcmp(set->word, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) == 0;
}

/* Whether a number fits is seen when the digest is known. */
static enum chy_err salt_set(struct chy_prov_signing *s, const OSSL_PARAM *p, struct chy_error *err)
{
    struct setting set;
    CHY_TRY(setting_read(p, &set, err));
    number_read(&set);
    if (is_our_choice(&set))
        s->salt_bytes = CHY_PROV_SALT_AS_DIGEST;
    else if (set.is_number && set.number >= 0)
        s->salt_bytes = set.number;
    else
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "RSA-PSS is made with a salt as long as the digest");
    return CHY_OK;
}

enum chy_err chy_prov_rsa_set(struct chy_prov_signing *s, const OSSL_PARAM params[],
                              struct chy_error *err)
{
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    const OSSL_PARAM *salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    const OSSL_PARAM *mgf1 = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
    const char *name = NULL;
    if (padding != NULL)
        CHY_TRY(padding_set(s, padding, err));
    if (salt != NULL)
        CHY_TRY(salt_set(s, salt, err));
    if (mgf1 == NULL)
        return CHY_OK;
    if (!OSSL_PARAM_get_utf8_string_ptr(mgf1, &name) || name == NULL)
        return chy_fail(err, CHY_E_ARG, "the name of MGF1's digest is none");
    return chy_prov_hash_of(name, &s->mgf1, err);
}

static bool padding_get(const struct chy_prov_signing *s, OSSL_PARAM *p)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(paddings); i++)
        if (paddings[i].scheme == s->scheme)
            return p->data_type == OSSL_PARAM_UTF8_STRING
                       ? OSSL_PARAM_set_utf8_string(p, paddings[i].name)
                       : OSSL_PARAM_set_int(p, paddings[i].number);
    return false;
}

static bool salt_get(OSSL_PARAM *p)
{
    return p->data_type == OSSL_PARAM_UTF8_STRING
               ? OSSL_PARAM_set_utf8_string(p, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST)
               : OSSL_PARAM_set_int(p, RSA_PSS_SALTLEN_DIGEST);
}

bool chy_prov_rsa_get(const struct chy_prov_signing *s, OSSL_PARAM params[])
{
    OSSL_PARAM *padding = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    OSSL_PARAM *salt = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    OSSL_PARAM *mgf1 = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
    const char *name = chy_prov_hash_name(s->mgf1 != CHY_HASH_NONE ? s->mgf1 : s->hash);
    return (padding == NULL || padding_get(s, padding)) && (salt == NULL || salt_get(salt)) &&
           (mgf1 == NULL || OSSL_PARAM_set_utf8_string(mgf1, name));
}
