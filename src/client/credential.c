/* SPDX-License-Identifier: MIT */
#include "client/credential.h"

#include <fcntl.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "crypto/pem.h"
#include "crypto/privkey.h"
#include "crypto/x509.h"
#include "os/file.h"

#define SUBJECT "CN=chancery client"

static enum chy_err csr_append(const struct chy_privkey *key, struct chy_buf *csr,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_privkey_csr(key, CHY_STR(SUBJECT), NULL, 0, &der, err));
    chy_pem_append(csr, "CERTIFICATE REQUEST", chy_buf_bytes(&der));
    return chy_buf_check(csr, err);
}

enum chy_err chy_credential_make(struct chy_privkey **ret_key, struct chy_buf *csr,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *key = NULL;
    CHY_TRY(chy_privkey_generate(&key, err));
    CHY_TRY(csr_append(key, csr, err));
    *ret_key = CHY_TAKE(key);
    return CHY_OK;
}

enum chy_err chy_credential_again(const char *path, struct chy_privkey **ret_key,
                                  struct chy_buf *csr, struct chy_error *err)
{
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pem = NULL;
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *key = NULL;
    CHY_TRY(chy_file_read_secret(AT_FDCWD, path, &pem, err));
    CHY_TRY(chy_privkey_from_pem(pem, &key, err));
    CHY_TRY(csr_append(key, csr, err));
    *ret_key = CHY_TAKE(key);
    return CHY_OK;
}

static enum chy_err check_pair(const struct chy_privkey *key, struct chy_str certificate_pem,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, (size_t)CHY_LIMIT_SECRET * 4);
    struct chy_x509_chain chain;
    struct chy_error why;
    enum chy_err r = chy_x509_chain_parse(&arena, chy_str_bytes(certificate_pem), &chain, &why);
    if (r == CHY_E_NOMEM)
        return chy_fail(err, r, "%s", why.text);
    if (r != CHY_OK)
        return chy_fail(err, CHY_E_PROTOCOL, "the server's certificate for us cannot be read: %s",
                        why.text);
    if (!chy_bytes_equal(chain.certs[0].spki, chy_pubkey_spki(chy_privkey_public(key))))
        return chy_fail(err, CHY_E_PROTOCOL,
                        "the server answered with a certificate of another key");
    return CHY_OK;
}

enum chy_err chy_credential_write(const char *path, const struct chy_privkey *key,
                                  struct chy_str certificate_pem, struct chy_error *err)
{
    CHY_TRY(check_pair(key, certificate_pem, err));
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *key_pem = NULL;
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *both = NULL;
    CHY_TRY(chy_privkey_to_pem(key, &key_pem, err));
    struct chy_bytes first = chy_secret_bytes(key_pem);
    CHY_TRY(chy_secret_new(first.n + certificate_pem.n, &both, err));
    chy_copy(chy_secret_room(both), first.p, first.n);
    chy_copy(chy_secret_room(both) + first.n, certificate_pem.p, certificate_pem.n);
    chy_secret_set_len(both, first.n + certificate_pem.n);
    return chy_file_replace(AT_FDCWD, path, chy_secret_bytes(both), 0600, err);
}

enum chy_err chy_credential_times(const char *path, struct chy_credential_times *ret_times,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pem = NULL;
    CHY_TRY(chy_file_read_secret(AT_FDCWD, path, &pem, err));
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, (size_t)CHY_LIMIT_SECRET * 4);
    struct chy_x509_chain chain;
    struct chy_error why;
    enum chy_err r = chy_x509_chain_parse(&arena, chy_secret_bytes(pem), &chain, &why);
    if (r != CHY_OK)
        return chy_fail(err, r == CHY_E_NOMEM ? r : CHY_E_STATE, "%s holds no certificate: %s",
                        path, why.text);
    ret_times->not_before_us = chain.certs[0].summary.not_before_us;
    ret_times->not_after_us = chain.certs[0].summary.not_after_us;
    return CHY_OK;
}

bool chy_credential_is_due(const struct chy_credential_times *times, int64_t now_us)
{
    return times->not_after_us - now_us < (times->not_after_us - times->not_before_us) / 3;
}
