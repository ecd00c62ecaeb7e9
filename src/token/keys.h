/* SPDX-License-Identifier: MIT */
/* The private keys of one slot: handles kept by object id, signing, making, finding and destroying.
 *
 * A key is used only if the public key beside it has the hash that the caller names. A signature
 * leaves only in the exact length of its key, and verified with that public key:
 *   RSA, and every key of a hardware token   every signature
 *   elliptic-curve keys of a software token  the first after a key is looked up; all of them when
 *                                            `verify_signatures` is set
 * A signature that does not verify, or has another length, is wiped and puts the key in quarantine:
 * this process refuses it until it ends, chy_keys_drop() or not.
 *
 * Nothing here can read, wrap or derive a private key's value.
 *
 * Threads: shared; each thread brings its own session. Signing threads run beside each other;
 * looking a key up, making, finding and dropping wait until no signature is being made, so that
 * when chy_keys_drop() has returned, none is in flight. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/internal.h"
#include "token/slot.h"

struct chy_keys;

struct chy_keys_options {
    /* Sign with a copy of the key in our session, which SoftHSM does 1.2 to 1.6 times as fast: it
     * opens no files. Only for software tokens; elsewhere ignored. Where the token refuses the
     * copy, the key itself is used. */
    bool copies;
    bool verify_signatures;
    /* whose lock is held while objects are made or destroyed; NULL: none */
    struct chy_module *module;
};

/* The slot must outlive the keys. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_keys_new(struct chy_slot *slot,
                                       const struct chy_keys_options *options,
                                       struct chy_keys **ret_keys, struct chy_error *err);
void chy_keys_free(struct chy_keys *keys);
void chy_keys_freep(struct chy_keys **keys);

struct chy_signature {
    size_t n;
    uint8_t p[CHY_LIMIT_RAW_SIGNATURE]; /* RSA: as is; ECDSA: DER; Ed25519: 64 bytes */
};

/* Errors: CHY_E_NOT_FOUND   no private key, or no public key, has the object id
 *         CHY_E_CONFLICT    another key stands under it, or more than one
 *         CHY_E_INTEGRITY   the signature was wrong, or the key is in quarantine since one was
 *         CHY_E_ARG         the algorithm does not fit the key, the digest is not as long as its
 *                           hash, or the object id is empty
 *         CHY_E_LIMIT       a message over CHY_LIMIT_CONTENT
 *         CHY_E_UNSUPPORTED the token cannot do it, or wants the PIN for each signature
 *         CHY_E_TOKEN       the module failed; nothing was signed. session->is_broken says whether
 *                           this process should end
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_keys_sign(struct chy_keys *keys, struct chy_session *session,
                                        const struct chy_token_sign_item *item,
                                        struct chy_signature *ret_signature, struct chy_error *err);

/* Make a key pair in the token: private, sensitive, not extractable, good for signing alone. What
 * the token says of the new key is read back; a key that could leave is destroyed at once.
 *
 * request   label and object id are both required, and free
 * ret_key   borrows from the arena; `code` is 0
 *
 * Errors: CHY_E_EXISTS    a private or public key has the label or the object id
 *         CHY_E_ARG       no label, no object id, no type
 *         CHY_E_INTEGRITY the token made something else than it was asked for
 *         CHY_E_UNSUPPORTED, CHY_E_TOKEN, CHY_E_NOMEM as chy_keys_sign() */
CHY_MUST_USE enum chy_err chy_keys_generate(struct chy_keys *keys, struct chy_session *session,
                                            const struct chy_token_generate *request,
                                            struct chy_arena *arena,
                                            struct chy_token_key_reply *ret_key,
                                            struct chy_error *err);

/* Find a key that is in the token already, by label or by object id.
 *
 * ret_key   borrows from the arena; `is_extractable` also when the key is not sensitive: either
 *           lets it leave, and the signer decides. The certificate is the one with the same object
 *           id; when there are several, none is taken and `text` says so.
 *
 * Errors: CHY_E_NOT_FOUND, CHY_E_CONFLICT as chy_keys_sign()
 *         CHY_E_ARG         neither label nor object id, or both
 *         CHY_E_UNSUPPORTED a key that we do not sign with, or one without an object id
 *         CHY_E_LIMIT       an object id or certificate that is too long
 *         CHY_E_TOKEN, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_keys_find(struct chy_keys *keys, struct chy_session *session,
                                        const struct chy_token_find *request,
                                        struct chy_arena *arena,
                                        struct chy_token_key_reply *ret_key, struct chy_error *err);

/* Forget a key, and destroy our copy of it; a key that is not known is no error. With `destroy`
 * also destroy the private key, the public key and the certificates under its object id, in this
 * order: what is repeated after a crash finds the rest.
 *
 * Errors: CHY_E_NOT_FOUND destroy: there is nothing under the object id
 *         CHY_E_CONFLICT  destroy: another key stands under it, or more than one
 *         CHY_E_TOKEN, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_keys_drop(struct chy_keys *keys, struct chy_session *session,
                                        const struct chy_token_drop *request,
                                        struct chy_error *err);

/* Keys in quarantine: each new one should be told to somebody. */
size_t chy_keys_quarantined(struct chy_keys *keys);
/* Keys whose handles are kept; and of them, those that sign with a copy. */
size_t chy_keys_count(struct chy_keys *keys);
size_t chy_keys_copied(struct chy_keys *keys);
