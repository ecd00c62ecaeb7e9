/* SPDX-License-Identifier: MIT */
#include "policy/network.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    MAPPED_BITS = 96 /* of ::ffff:0:0/96, in front of an IPv4 address */
};

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool parse_address(struct chy_str text, uint8_t ret[CHY_ADDRESS_BYTES], bool *ret_is_v4)
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    *ret_is_v4 = inet_pton(AF_INET, z, ret + sizeof mapped_prefix) == 1;
    if (*ret_is_v4) {
        memcpy(ret, mapped_prefix, sizeof mapped_prefix);
        return true;
    }
    return inet_pton(AF_INET6, z, ret) == 1;
}

bool chy_address_parse(struct chy_str text, uint8_t ret_address[CHY_ADDRESS_BYTES])
{
    bool is_v4;
    return parse_address(text, ret_address, &is_v4);
}

/* "0" to "128" without leading zeros. */
static bool parse_bits(struct chy_str text, unsigned max, unsigned *ret)
{
    unsigned v = 0;
    if (text.n == 0 || text.n > 3 || (text.n > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text.p[i] - '0');
    }
    *ret = v;
    return v <= max;
}

static bool host_bits_are_zero(const struct chy_network *n)
{
    for (unsigned bit = n->bits; bit < CHY_ADDRESS_BYTES * 8; bit++)
        if ((n->address[bit / 8] & 0x80u >> bit % 8) != 0)
            return false;
    return true;
}

enum chy_err chy_network_parse(struct chy_str text, struct chy_network *ret_network,
                               struct chy_error *err)
{
    struct chy_network n = { .bits = CHY_ADDRESS_BYTES * 8 };
    const char *slash = text.n != 0 ? memchr(text.p, '/', text.n) : NULL;
    size_t address_n = slash != NULL ? (size_t)(slash - text.p) : text.n;
    bool is_v4;
    if (!parse_address((struct chy_str){ text.p, address_n }, n.address, &is_v4))
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no network such as 10.0.0.0/8",
                        CHY_STR_ARG(text));
    if (slash != NULL) {
        unsigned offset = is_v4 ? MAPPED_BITS : 0;
        struct chy_str bits = { slash + 1, text.n - address_n - 1 };
        if (!parse_bits(bits, CHY_ADDRESS_BYTES * 8 - offset, &n.bits))
            return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" is no network: the prefix is 0 to %u",
                            CHY_STR_ARG(text), CHY_ADDRESS_BYTES * 8 - offset);
        n.bits += offset;
    }
    if (!host_bits_are_zero(&n))
        return chy_fail(err, CHY_E_MALFORMED, "\"%.*s\" has bits set behind its prefix",
                        CHY_STR_ARG(text));
    *ret_network = n;
    return CHY_OK;
}

bool chy_network_has(const struct chy_network *network, const uint8_t address[CHY_ADDRESS_BYTES])
{
    unsigned whole = network->bits / 8;
    for (unsigned i = 0; i < whole; i++)
        if (network->address[i] != address[i])
            return false;
    unsigned rest = network->bits % 8;
    return rest == 0 || ((network->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}
