/* SPDX-License-Identifier: MIT */
#include "crypto/init.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "crypto/hash.h"
#include "crypto/openssl.h"

enum chy_err chy_crypto_init(struct chy_error *err)
{
    const uint64_t options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
                             OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS;
    if (OPENSSL_init_crypto(options, NULL) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "OpenSSL does not start");
    /* The first fetch loads the built-in provider; the first random byte seeds the generator. */
    static const enum chy_hash_alg algs[] = { CHY_HASH_SHA256, CHY_HASH_SHA384, CHY_HASH_SHA512 };
    uint8_t digest[64];
    for (size_t i = 0; i < CHY_ARRAY_LEN(algs); i++)
        CHY_TRY(chy_hash(algs[i], (struct chy_bytes){ NULL, 0 }, digest, err));
    if (RAND_bytes(digest, 1) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "OpenSSL has no random numbers");
    /* The C library opens /etc/localtime the first time it is asked for a date, even one in UTC. */
    ASN1_TIME *t = ASN1_TIME_set(NULL, 0);
    if (t == NULL)
        return chy_fail_openssl(err, CHY_E_NOMEM, "OpenSSL cannot make a date");
    ASN1_TIME_free(t);
    return CHY_OK;
}

const char *chy_crypto_engines_dir(void)
{
    return OPENSSL_info(OPENSSL_INFO_ENGINES_DIR);
}

const char *chy_crypto_config_dir(void)
{
    return OPENSSL_info(OPENSSL_INFO_CONFIG_DIR);
}
