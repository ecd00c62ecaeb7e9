/* SPDX-License-Identifier: MIT */
/* What bytes to be signed are, by their shape. Meant to refuse: who may sign a file with a key must
 * not thereby make a certificate with it. So whatever a verifier might take for a certificate is
 * called one: lengths that DER forbids and some parsers read are read here too, and what stands
 * behind the end is ignored.
 *
 * Pure, takes no memory; the names are in policy/facts.h. */
#pragma once

#include "base/bytes.h"

/* One of CHY_CONTENT_..., never NULL. */
const char *inspect_recognize(struct chy_bytes content);
