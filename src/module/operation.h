/* SPDX-License-Identifier: MIT */
/* An operation of a session: a digest, a signature or a verification. What is given to it in parts
 * is gathered here; past CHY_LIMIT_CONTENT it goes to the agent, which hashes it, part by part: a
 * stream of one link. A stream does not outlive its link, nor a fork in the child: the operation
 * then fails. Each belongs to the call that has its session. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "module/mechanisms.h"
#include "module/objects.h"
#include "proto/pkcs11.h"

struct chy_p11_call;

struct chy_p11_op {
    const struct chy_p11_mechanism *mechanism; /* NULL: none is under way */
    const struct chy_p11_object *key;
    enum chy_hash_alg hash;
    bool has_parts; /* an Update was called */
    struct chy_buf data;
    uint64_t stream; /* 0: none */
    uint64_t serial; /* of its link */
};

void chy_p11_op_done(struct chy_p11_op *op); /* leaves it zeroed */
/* The same, and the agent forgets its stream. */
void chy_p11_op_drop(struct chy_p11_call *call, struct chy_p11_op *op);

CK_RV chy_p11_digest_init(struct chy_p11_call *call, const CK_MECHANISM *mechanism);
CK_RV chy_p11_digest(struct chy_p11_call *call, const CK_BYTE *data, CK_ULONG n, CK_BYTE *digest,
                     CK_ULONG *digest_n);
CK_RV chy_p11_digest_update(struct chy_p11_call *call, const CK_BYTE *part, CK_ULONG n);
CK_RV chy_p11_digest_final(struct chy_p11_call *call, CK_BYTE *digest, CK_ULONG *digest_n);

CK_RV chy_p11_sign_init(struct chy_p11_call *call, const CK_MECHANISM *mechanism,
                        CK_OBJECT_HANDLE key);
CK_RV chy_p11_sign(struct chy_p11_call *call, const CK_BYTE *data, CK_ULONG n, CK_BYTE *signature,
                   CK_ULONG *signature_n);
CK_RV chy_p11_sign_update(struct chy_p11_call *call, const CK_BYTE *part, CK_ULONG n);
CK_RV chy_p11_sign_final(struct chy_p11_call *call, CK_BYTE *signature, CK_ULONG *signature_n);

CK_RV chy_p11_verify_init(struct chy_p11_call *call, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE key);
CK_RV chy_p11_verify(struct chy_p11_call *call, const CK_BYTE *data, CK_ULONG n,
                     const CK_BYTE *signature, CK_ULONG signature_n);
CK_RV chy_p11_verify_update(struct chy_p11_call *call, const CK_BYTE *part, CK_ULONG n);
CK_RV chy_p11_verify_final(struct chy_p11_call *call, const CK_BYTE *signature,
                           CK_ULONG signature_n);
