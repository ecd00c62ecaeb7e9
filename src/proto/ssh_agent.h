/* SPDX-License-Identifier: MIT */
/* The SSH agent protocol, as far as an agent speaks it that holds no keys of its own: the keys are
 * the door's (proto/door.h), and so is signing. Pure.
 *
 *   | length u32 | type u8 | contents |      length counts the type and the contents
 *
 *   REQUEST_IDENTITIES   nothing
 *   IDENTITIES_ANSWER    u32 count, then of each: string key, string comment
 *   SIGN_REQUEST         string key, string data, u32 flags
 *   SIGN_RESPONSE        string signature
 *   EXTENSION            string type, contents of its own; of "session-bind@openssh.com": string
 *                        host key, string session, string signature, u8 is forwarded
 *   FAILURE              nothing
 *
 * Source: draft-miller-ssh-agent-14; session-bind: OpenSSH's PROTOCOL.agent section 1; keys and
 * signatures: RFC 4253 section 6.6, RFC 5656 section 3, RFC 8332 section 3, RFC 8709 sections 4 and
 * 6. */
#pragma once

#include "proto/door.h"

enum chy_ssh_msg {
    CHY_SSH_FAILURE = 5,
    CHY_SSH_REQUEST_IDENTITIES = 11,
    CHY_SSH_IDENTITIES_ANSWER = 12,
    CHY_SSH_SIGN_REQUEST = 13,
    CHY_SSH_SIGN_RESPONSE = 14,
    CHY_SSH_EXTENSION = 27,
    CHY_SSH_EXTENSION_RESPONSE = 29,
};

enum {
    CHY_SSH_RSA_SHA2_256 = 2,
    CHY_SSH_RSA_SHA2_512 = 4,
};

#define CHY_SSH_LENGTH_BYTES 4

struct chy_ssh_request {
    uint8_t type; /* enum chy_ssh_msg; of others, nothing more is read */
    struct chy_bytes key;
    struct chy_bytes data;
    uint32_t flags;
    struct chy_bytes extension; /* its type */
    bool is_forwarded;          /* session-bind: from now on another machine asks */
};

/* The size of the first message in `in`, its length included; 0 when more bytes must come first.
 * Errors: CHY_E_LIMIT     over CHY_LIMIT_SSH_MESSAGE
 *         CHY_E_MALFORMED a message without a type */
CHY_MUST_USE enum chy_err chy_ssh_message_size(struct chy_bytes in, size_t *ret_size,
                                               struct chy_error *err);
/* One message, its length included; views into it.
 * Errors: CHY_E_MALFORMED of a type that is known, and not formed like that */
CHY_MUST_USE enum chy_err chy_ssh_request_read(struct chy_bytes message,
                                               struct chy_ssh_request *ret_request,
                                               struct chy_error *err);

/* Append a public key as SSH has it.
 * Errors: CHY_E_UNSUPPORTED SSH knows none of that type; CHY_E_MALFORMED its parts are wrong;
 * CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_ssh_key_write(const struct chy_door_key *key, struct chy_buf *out,
                                            struct chy_error *err);
/* What the door is asked for so that this key answers the request; borrows from both. The hash is
 * the key's own (RFC 5656 section 6.2.1), and RSA's by the flags.
 * Errors: CHY_E_UNSUPPORTED flags that mean nothing for this key, RSA with SHA-1; CHY_E_LIMIT more
 * data than CHY_LIMIT_CONTENT; CHY_E_ARG no data */
CHY_MUST_USE enum chy_err chy_ssh_sign_input(const struct chy_door_key *key,
                                             const struct chy_ssh_request *request,
                                             struct chy_door_input *ret_input,
                                             struct chy_error *err);
/* Append a signature that the door gave for that input.
 * Errors: CHY_E_ARG no input of the above; CHY_E_MALFORMED an ECDSA signature of an odd length;
 * CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_ssh_signature_write(const struct chy_door_input *input,
                                                  struct chy_bytes signature, struct chy_buf *out,
                                                  struct chy_error *err);
