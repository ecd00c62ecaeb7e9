/* SPDX-License-Identifier: MIT */
/* A certificate of a key, with or without its armor: what is read of it lies in it, and armor that
 * is written around any bytes gives them back. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/armor.h"
#include "format/openpgp_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct chy_bytes part, struct chy_bytes all)
{
    return part.p >= all.p && part.n <= all.n && (size_t)(part.p - all.p) <= all.n - part.n;
}

static void read_packets(struct chy_bytes in)
{
    struct chy_openpgp_certificate c;
    if (chy_openpgp_certificate_read(in, &c, NULL) != CHY_OK)
        return;
    CHY_ASSERT(is_within(c.key_body, in) && is_within(chy_str_bytes(c.user_id), in));
    CHY_ASSERT(is_within(c.hashed, in) && is_within(c.numbers, in));
    CHY_ASSERT(chy_text_is_plain(c.user_id) && c.user_id.n != 0);
    /* Against a key that has these very bytes: as far as the numbers of its signature. */
    struct chy_openpgp_key key = { .type = CHY_KEY_ED25519, .body_n = c.key_body.n };
    chy_copy(key.body, c.key_body.p, c.key_body.n);
    static const uint8_t spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
                                    0x03, 0x21, 0x00, 0x3f, 0x09, 0x89, 0x94, 0xbd, 0xd9,
                                    0x16, 0xed, 0x40, 0x53, 0x19, 0x79, 0x34, 0xe4, 0xa8,
                                    0x7c, 0x80, 0x73, 0x3a, 0x12, 0x80, 0xd6, 0x2f, 0x80,
                                    0x10, 0x99, 0x2e, 0x43, 0xee, 0x3b, 0x24, 0x06 };
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *pubkey = NULL;
    CHY_ASSERT(chy_pubkey_from_spki((struct chy_bytes){ spki, sizeof spki }, &pubkey, NULL) ==
               CHY_OK);
    CHY_IGNORE(chy_openpgp_certificate_check(&c, &key, pubkey, NULL)); /* that it ends */
}

static void armor_gives_back(struct chy_bytes in)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    CHY_CLEANUP(chy_buf_done) struct chy_buf back;
    struct chy_armor armor;
    chy_buf_init(&text, 2 * in.n + 256);
    chy_buf_init(&back, in.n);
    chy_armor_begin(&armor, CHY_ARMOR_PUBLIC_KEY, &text);
    chy_armor_add(&armor, in, &text);
    chy_armor_end(&armor, &text);
    CHY_ASSERT(chy_armor_read(chy_buf_str(&text), CHY_ARMOR_PUBLIC_KEY, &back, NULL) == CHY_OK);
    CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&back), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chy_bytes in = { data, size };
    CHY_CLEANUP(chy_buf_done) struct chy_buf packets;
    chy_buf_init(&packets, CHY_LIMIT_OPENPGP_CERTIFICATE);
    if (chy_armor_read(chy_bytes_str(in), CHY_ARMOR_PUBLIC_KEY, &packets, NULL) == CHY_OK)
        read_packets(chy_buf_bytes(&packets));
    read_packets(in);
    armor_gives_back(in);
    return 0;
}
