/* SPDX-License-Identifier: MIT */
#include "crypto/ed25519.h"

#include <openssl/err.h>

#include "crypto/openssl.h"

enum chy_err chy_ed25519_verify(const uint8_t public_key[CHY_ED25519_PUBLIC_BYTES],
                                struct chy_bytes message, struct chy_bytes signature,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_evp_pkey_freep)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public_key, CHY_ED25519_PUBLIC_BYTES);
    if (key == NULL)
        return chy_fail_openssl(err, CHY_E_MALFORMED, "Ed25519 public key was refused");
    CHY_CLEANUP(chy_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) != 1)
        return chy_fail_openssl(err, CHY_E_CRYPTO, "cannot prepare an Ed25519 verification");
    if (EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) != 1) {
        ERR_clear_error();
        return chy_fail(err, CHY_E_INTEGRITY, "Ed25519 signature does not verify");
    }
    return CHY_OK;
}
