/* SPDX-License-Identifier: MIT */
/* The folder of OpenPGP certificates: FINGERPRINT.asc, a file each, public. It is CHANCERY_OPENPGP,
 * or `openpgp` beside the client's configuration. */
#pragma once

#include "format/openpgp_read.h"
#include "gpg/gpg.h"

struct chy_gpg_certificate {
    struct chy_bytes packets;
    struct chy_openpgp_certificate read; /* borrows from them */
};

/* That of a key, found good. In the arena.
 * Errors: CHY_E_NOT_FOUND there is none; CHY_E_INTEGRITY it is not good; those of reading */
CHY_MUST_USE enum chy_err chy_gpg_certificate_get(struct chy_gpg *g, const struct chy_gpg_key *key,
                                                  struct chy_gpg_certificate *ret,
                                                  struct chy_error *err);
/* Check it, and keep it. Errors: CHY_E_EXISTS there is one, and no --yes; CHY_E_INTEGRITY; of
 * writing */
CHY_MUST_USE enum chy_err chy_gpg_certificate_put(struct chy_gpg *g, const struct chy_gpg_key *key,
                                                  struct chy_bytes packets, struct chy_error *err);
/* What a file, armored or not, holds. In the arena. Errors: of chy_openpgp_certificate_read() */
CHY_MUST_USE enum chy_err chy_gpg_certificate_read(struct chy_gpg *g, struct chy_bytes file,
                                                   struct chy_gpg_certificate *ret,
                                                   struct chy_error *err);

/* Fingerprints of those whose user id `user` is a part of (as gpg has it: "=all of it", "<mail>",
 * else any part, in any case). What cannot be read is told and passed over. Nothing is checked yet.
 * `ret` has room for CHY_LIMIT_OPENPGP_CERTIFICATES. Errors: CHY_E_LIMIT, CHY_E_IO, CHY_E_NOMEM */
struct chy_gpg_fingerprint {
    uint8_t bytes[CHY_OPENPGP_FINGERPRINT_BYTES];
};
CHY_MUST_USE enum chy_err chy_gpg_certificates_find(struct chy_gpg *g, struct chy_str user,
                                                    struct chy_gpg_fingerprint *ret, size_t *ret_n,
                                                    struct chy_error *err);
