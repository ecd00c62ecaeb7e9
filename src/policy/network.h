/* SPDX-License-Identifier: MIT */
/* Addresses and networks of IPv4 and IPv6, as texts. An IPv4 address is kept as the IPv6 address
 * that maps it (RFC 4291 section 2.5.5.2), so that both forms of one peer match the same networks.
 * Threads: pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define CHY_ADDRESS_BYTES 16

struct chy_network {
    uint8_t address[CHY_ADDRESS_BYTES];
    unsigned bits; /* 0 to 128; of a.b.c.d/n it is 96 + n */
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. Errors: CHY_E_MALFORMED: no such thing, or bits
 * behind the prefix are set, which is mostly a slip of the pen. */
CHY_MUST_USE enum chy_err chy_network_parse(struct chy_str text, struct chy_network *ret_network,
                                            struct chy_error *err);
/* False if the text is no address; a zone id ("%eth0") is none. */
bool chy_address_parse(struct chy_str text, uint8_t ret_address[CHY_ADDRESS_BYTES]);
bool chy_network_has(const struct chy_network *network, const uint8_t address[CHY_ADDRESS_BYTES]);
