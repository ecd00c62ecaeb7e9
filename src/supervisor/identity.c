/* SPDX-License-Identifier: MIT */
#include "supervisor/identity.h"

#include <fcntl.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "crypto/pem.h"
#include "crypto/privkey.h"
#include "crypto/x509.h"
#include "os/file.h"
#include "os/random.h"

#define DAY_US  (INT64_C(86400) * 1000000)
#define BACK_US (INT64_C(3600) * 1000000) /* for clients whose clocks are behind */
/* clients hold it by its pin; a public certificate may take its place */
#define VALID_DAYS             3650
#define CERTIFICATE_FILE_BYTES ((size_t)CHY_LIMIT_CHAIN * CHY_LIMIT_CERTIFICATE * 2)
#define CHAIN_ARENA            ((size_t)1048576)

static enum chy_err certificate_make(const struct chy_privkey *key, struct chy_strs names,
                                     int64_t now_us, struct chy_buf *pem, struct chy_error *err)
{
    struct chy_cert_request request = {
        .profile = CHY_CERT_TLS_SERVER,
        .subject = CHY_STR("CN=Chancery server"),
        .not_before_us = now_us - BACK_US,
        .not_after_us = now_us + VALID_DAYS * DAY_US,
        .sans = names.p,
        .n_sans = names.n,
    };
    CHY_TRY(chy_random_fill(request.serial, sizeof request.serial, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_privkey_self_signed(key, &request, &der, err));
    chy_pem_append(pem, "CERTIFICATE", chy_buf_bytes(&der));
    return chy_buf_check(pem, err);
}

enum chy_err chy_identity_make(int dir_fd, const char *certificate, const char *key,
                               struct chy_strs names, int64_t now_us,
                               uint8_t ret_pin[CHY_HASH_BYTES], struct chy_error *err)
{
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *k = NULL;
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *key_pem = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf pem;
    chy_buf_init(&pem, CERTIFICATE_FILE_BYTES);
    CHY_TRY(chy_privkey_generate(&k, err));
    CHY_TRY(certificate_make(k, names, now_us, &pem, err));
    CHY_TRY(chy_privkey_to_pem(k, &key_pem, err));
    CHY_TRY(chy_file_create(dir_fd, key, chy_secret_bytes(key_pem), 0600, err));
    CHY_TRY(chy_file_create(dir_fd, certificate, chy_buf_bytes(&pem), 0644, err));
    chy_copy(ret_pin, chy_pubkey_hash(chy_privkey_public(k)), CHY_HASH_BYTES);
    return CHY_OK;
}

static enum chy_err certificate_pin(const char *path, uint8_t ret_pin[CHY_HASH_BYTES],
                                    struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_buf_init(&text, CERTIFICATE_FILE_BYTES);
    chy_arena_init(&arena, CHAIN_ARENA);
    CHY_TRY(chy_file_read(AT_FDCWD, path, &text, err));
    struct chy_x509_chain *chain = chy_arena_new(&arena, struct chy_x509_chain);
    if (chain == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a certificate");
    enum chy_err r = chy_x509_chain_parse(&arena, chy_buf_bytes(&text), chain, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "%s", path);
    chy_copy(ret_pin, chain->certs[0].spki_hash, CHY_HASH_BYTES);
    return CHY_OK;
}

enum chy_err chy_identity_check(const char *certificate, const char *key,
                                uint8_t ret_pin[CHY_HASH_BYTES], struct chy_error *err)
{
    uint8_t pin[CHY_HASH_BYTES];
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *k = NULL;
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pem = NULL;
    CHY_TRY(certificate_pin(certificate, pin, err));
    CHY_TRY(chy_file_read_secret(AT_FDCWD, key, &pem, err));
    enum chy_err r = chy_privkey_from_pem(pem, &k, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "%s", key);
    struct chy_bytes of_key = { chy_pubkey_hash(chy_privkey_public(k)), CHY_HASH_BYTES };
    if (!chy_bytes_equal(of_key, (struct chy_bytes){ pin, sizeof pin }))
        return chy_fail(err, CHY_E_CONFLICT, "the key in %s is not that of the certificate in %s",
                        key, certificate);
    chy_copy(ret_pin, pin, CHY_HASH_BYTES);
    return CHY_OK;
}
