/* SPDX-License-Identifier: MIT */
/* The signature of a PowerShell file: what it covers, and the CMS. Pure.
 *
 *   text                                    UTF-8, or UTF-16 little-endian behind its mark
 *   CR LF # SIG # Begin signature block CR LF
 *   # base64 CR LF …                        in .ps1xml and the like: <!-- … -->
 *   # SIG # End signature block [CR LF]
 *
 * Covered is the text as UTF-16 little-endian, a byte order mark included. Source: about_Signing of
 * PowerShell; osslsigncode's and jsign's files. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_script_signature {
    struct chy_bytes covered; /* in the arena, as is the other */
    struct chy_bytes cms;     /* DER, as far as is known */
};

/* Errors: CHY_E_NOT_FOUND    it has no such block
 *         CHY_E_MALFORMED    the block has no end or another line, or something follows it
 *         CHY_E_UNSUPPORTED  there are two; or the text is neither of these encodings, or one that
 *                            readers do not agree on: XML beyond ASCII without a mark
 *         CHY_E_LIMIT        over CHY_LIMIT_SCRIPT_FILE, CHY_LIMIT_CMS; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_script_signature_read(struct chy_bytes file, struct chy_arena *arena,
                                                    struct chy_script_signature *ret_signature,
                                                    struct chy_error *err);
