/* SPDX-License-Identifier: MIT */
/* Certificates, chains, requests, public keys and names from outside. */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "codec/der.h"
#include "crypto/name.h"
#include "crypto/pubkey.h"
#include "crypto/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void chain_read(struct chy_arena *a, struct chy_bytes in)
{
    struct chy_x509_chain chain;
    if (chy_x509_chain_parse(a, in, &chain, NULL) != CHY_OK)
        return;
    CHY_ASSERT(chain.n >= 1 && chain.n <= CHY_LIMIT_CHAIN);
    for (size_t i = 0; i < chain.n; i++) {
        const struct chy_certificate *cert = &chain.certs[i].summary;
        CHY_ASSERT(chy_utf8_is_valid(cert->subject) && chy_utf8_is_valid(cert->issuer));
        CHY_IGNORE(chy_x509_chain_check(&chain, chain.certs[i].spki, /* any answer will do */
                                        cert->not_before_us, NULL));
    }
}

static void key_read(struct chy_bytes in)
{
    struct chy_pubkey *key = NULL;
    if (chy_pubkey_from_spki(in, &key, NULL) == CHY_OK)
        CHY_ASSERT(chy_pubkey_type(key) != CHY_KEY_NONE);
    chy_pubkey_free(key);
}

/* A name that is taken as text is a well-formed Name. */
static void name_read(struct chy_str in)
{
    struct chy_buf der;
    struct chy_der_writer w;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    chy_der_writer_init(&w, &der);
    if (chy_name_write(&w, in, NULL) == CHY_OK) {
        struct chy_bytes rest = chy_buf_bytes(&der);
        struct chy_bytes seq;
        CHY_ASSERT(chy_der_take(&rest, CHY_DER_SEQUENCE, &seq, NULL) == CHY_OK && rest.n == 0);
    }
    chy_buf_done(&der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct chy_bytes in = { data, n };
    struct chy_arena a;
    struct chy_x509_csr csr;
    struct chy_str *names = NULL;
    size_t n_names = 0;
    chy_arena_init(&a, 1 << 20);
    chain_read(&a, in);
    if (chy_csr_parse(&a, in, &csr, NULL) == CHY_OK)
        CHY_ASSERT(csr.key_type != CHY_KEY_NONE);
    key_read(in);
    name_read(chy_bytes_str(in));
    if (chy_general_names_read(&a, in, &names, &n_names, NULL) == CHY_OK)
        CHY_ASSERT(n_names <= CHY_LIMIT_SANS);
    chy_arena_done(&a);
    return 0;
}
