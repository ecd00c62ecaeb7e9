/* SPDX-License-Identifier: MIT */
/* Manifests and signature files of JARs: which entries they say a digest of. Pure.
 *
 *   Name: a/very/long/na     section = its attributes, up to an empty line; the first one is of the
 *    me.class                whole and has no name
 *   SHA-256-Digest: ...      a line that begins with a blank goes on with the one above
 *
 * Source: JAR File Specification, "Name-Value pairs and Sections", "Signature File". */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

/* The name lives during the call. */
typedef enum chy_err chy_jar_entry_fn(void *ctx, struct chy_str name, struct chy_error *err);

/* Call `each` for every section with a name and a digest, in their order; its first failure ends
 * it. Lines that are no attribute are passed over.
 * Errors: CHY_E_LIMIT     a name over CHY_LIMIT_PATH bytes
 *         CHY_E_MALFORMED a section with two names
 *         CHY_E_NOMEM, those of `each` */
CHY_MUST_USE enum chy_err chy_jar_manifest_read(struct chy_str text, chy_jar_entry_fn *each,
                                                void *ctx, struct chy_error *err);
/* Append the value of the attribute that is called so ("SHA-256-Digest-Manifest") in the first
 * section.
 * Errors: CHY_E_NOT_FOUND there is none
 *         CHY_E_MALFORMED there are two
 *         CHY_E_LIMIT, CHY_E_NOMEM of `ret_value` */
CHY_MUST_USE enum chy_err chy_jar_manifest_value(struct chy_str text, const char *name,
                                                 struct chy_buf *ret_value, struct chy_error *err);
