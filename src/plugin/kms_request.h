/* SPDX-License-Identifier: MIT */
/* What cosign, or another program with sigstore's library, asks of a KMS plug-in: the protocol
 * "v1" of github.com/sigstore/sigstore, pkg/signature/kms/cliplugin/common/interface.go. Pure. */
#pragma once

#include "base/arena.h"
#include "proto/types.h"

#define CHY_KMS_PROTOCOL "v1"
#define CHY_KMS_SCHEME   "chancery://"

enum chy_kms_method {
    CHY_KMS_DEFAULT_ALGORITHM = 1,
    CHY_KMS_SUPPORTED_ALGORITHMS,
    CHY_KMS_CREATE_KEY,
    CHY_KMS_PUBLIC_KEY,
    CHY_KMS_SIGN_MESSAGE,
    CHY_KMS_VERIFY_SIGNATURE,
};
extern const struct chy_enum chy_kms_method_enum;

struct chy_kms_request {
    enum chy_kms_method method;
    struct chy_str key;         /* its name */
    enum chy_hash_alg hash;     /* CHY_HASH_NONE: nothing was said */
    bool is_inferred;           /* what was said is not the digest's: its length tells */
    struct chy_bytes digest;    /* empty: the message is on standard input */
    struct chy_bytes signature; /* of VERIFY_SIGNATURE */
    int64_t deadline_us;        /* 0: none */
};

/* `version` and `json` are the program's two arguments; the result borrows from the arena.
 * Errors: CHY_E_UNSUPPORTED  another version, method or hash function; a version of a key
 *         CHY_E_MALFORMED    not such a request; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_kms_request_read(struct chy_str version, struct chy_bytes json,
                                               struct chy_arena *arena,
                                               struct chy_kms_request *ret_request,
                                               struct chy_error *err);
