/* SPDX-License-Identifier: MIT */
/* Names in certificates as text: the subject's name after RFC 4514, and alternative names with
 * their kind in front ("dns:example.com", "ip:192.0.2.1", "ip:2001:db8::1", "uri:https://...",
 * "email:a@example.com"). Pure. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_arena;
struct chy_der_writer;

/* Write the Name (RFC 5280 section 4.1.2.4) of a text such as "CN=Example\, Inc.,O=Example,C=DE":
 * most specific part first, as RFC 4514 has it and certificates show it. Known are CN, O, OU, L,
 * ST, C, STREET, SERIALNUMBER, DC, UID and emailAddress; values are escaped by backslash; parts
 * with several values, "#..." and quotes are refused. Empty text is the empty name.
 * Errors: CHY_E_ARG  not that, or a value over CHY_LIMIT_NAME bytes */
CHY_MUST_USE enum chy_err chy_name_write(struct chy_der_writer *w, struct chy_str text,
                                         struct chy_error *err);

/* Write GeneralNames (RFC 5280 section 4.2.1.6) of these texts.
 * Errors: CHY_E_ARG    a text is none of the kinds, or its value is none
 *         CHY_E_LIMIT  more than CHY_LIMIT_SANS */
CHY_MUST_USE enum chy_err chy_general_names_write(struct chy_der_writer *w,
                                                  const struct chy_str *names, size_t n,
                                                  struct chy_error *err);

/* The texts of GeneralNames in DER, in the arena; kinds that are not known are left out.
 * Errors: CHY_E_MALFORMED; CHY_E_LIMIT  more than CHY_LIMIT_SANS, or the arena is full */
CHY_MUST_USE enum chy_err chy_general_names_read(struct chy_arena *a, struct chy_bytes der,
                                                 struct chy_str **ret_names, size_t *ret_n,
                                                 struct chy_error *err);
