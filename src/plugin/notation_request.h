/* SPDX-License-Identifier: MIT */
/* What notation asks of a signing plug-in: contract version 1.0 of the Notary Project's
 * specifications/plugin-extensibility.md. Pure. */
#pragma once

#include "base/arena.h"
#include "proto/types.h"

#define CHY_NOTATION_CONTRACT "1.0"

enum chy_notation_command {
    CHY_NOTATION_GET_METADATA = 1,
    CHY_NOTATION_DESCRIBE_KEY,
    CHY_NOTATION_GENERATE_SIGNATURE,
};
extern const struct chy_enum chy_notation_command_enum;

/* The specification's names of key types and hashes. Ed25519 has none. */
extern const struct chy_enum chy_notation_key_spec_enum;
extern const struct chy_enum chy_notation_hash_enum;

struct chy_notation_request {
    struct chy_str key;         /* its name; empty for GET_METADATA, like what follows */
    enum chy_key_type key_type; /* of GENERATE_SIGNATURE, like what follows */
    enum chy_hash_alg hash;
    struct chy_bytes payload; /* what is signed, to be hashed */
};

/* `json` is what came on standard input; the result borrows from the arena.
 * Errors: CHY_E_UNSUPPORTED  another contract version
 *         CHY_E_MALFORMED    not such a request, a member is missing; CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_notation_request_read(enum chy_notation_command command,
                                                    struct chy_bytes json, struct chy_arena *arena,
                                                    struct chy_notation_request *ret_request,
                                                    struct chy_error *err);
