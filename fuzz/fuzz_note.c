/* SPDX-License-Identifier: MIT */
/* The text formats of the log: notes, checkpoints, receipts, verifier keys and tile paths. What is
 * read is written again as the same bytes, and the check of signatures takes anything. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "tlog/receipt.h"
#include "tlog/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void checkpoint_again(struct chy_str text)
{
    struct chy_tlog_checkpoint cp;
    struct chy_buf out;
    chy_buf_init(&out, text.n + 1);
    if (chy_tlog_checkpoint_parse(text, &cp, NULL) == CHY_OK) {
        CHY_ASSERT(chy_tlog_checkpoint_append(&out, &cp));
        CHY_ASSERT(out.n <= text.n); /* extension lines are left out */
        CHY_ASSERT(chy_str_equal(chy_buf_str(&out), (struct chy_str){ text.p, out.n }));
    }
    chy_buf_done(&out);
}

static void receipt_again(struct chy_bytes in)
{
    struct chy_tlog_receipt receipt;
    struct chy_buf out;
    chy_buf_init(&out, in.n + 1);
    if (chy_tlog_receipt_parse(in, &receipt, NULL) == CHY_OK) {
        CHY_ASSERT(chy_tlog_receipt_append(&out, &receipt));
        CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&out), in));
    }
    chy_buf_done(&out);
}

static void vkey_again(struct chy_hasher *h, struct chy_str in)
{
    struct chy_tlog_vkey key;
    struct chy_tlog_vkey again;
    struct chy_buf out;
    chy_buf_init(&out, in.n + 1);
    if (chy_tlog_vkey_parse(h, in, &key, NULL) == CHY_OK) {
        CHY_ASSERT(chy_tlog_vkey_append(&out, &key) && out.n == in.n); /* but for hex in capitals */
        CHY_ASSERT(chy_tlog_vkey_parse(h, chy_buf_str(&out), &again, NULL) == CHY_OK);
    }
    chy_buf_done(&out);
}

static void tile_again(struct chy_str in)
{
    struct chy_tlog_tile tile;
    struct chy_buf out;
    chy_buf_init(&out, in.n + 1);
    if (chy_tlog_tile_parse(in, &tile, NULL) == CHY_OK) {
        CHY_ASSERT(chy_tlog_tile_path(&out, &tile));
        CHY_ASSERT(chy_str_equal(chy_buf_str(&out), in));
    }
    chy_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct chy_bytes in = { data, n };
    struct chy_hasher *h = NULL;
    struct chy_tlog_vkey key;
    struct chy_tlog_checkpoint cp;
    struct chy_str text;
    static const uint8_t nobody[CHY_ED25519_PUBLIC_BYTES] = { 1 };
    CHY_ASSERT(chy_hasher_new(CHY_HASH_SHA256, &h, NULL) == CHY_OK);
    CHY_ASSERT(chy_tlog_vkey_make(h, CHY_STR("log"), nobody, &key, NULL) == CHY_OK);
    if (chy_tlog_note_text(in, &text, NULL) == CHY_OK)
        checkpoint_again(text);
    CHY_IGNORE(chy_tlog_checkpoint_open(in, &key, 1, &cp, NULL)); /* must not misbehave */
    checkpoint_again(chy_bytes_str(in));
    receipt_again(in);
    vkey_again(h, chy_bytes_str(in));
    tile_again(chy_bytes_str(in));
    struct chy_bytes bundle = in;
    struct chy_bytes entry;
    while (chy_tlog_bundle_next(&bundle, &entry, NULL) == CHY_OK)
        CHY_ASSERT(entry.p + entry.n == bundle.p);
    chy_hasher_free(h);
    return 0;
}
