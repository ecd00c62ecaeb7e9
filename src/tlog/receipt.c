/* SPDX-License-Identifier: MIT */
#include "tlog/receipt.h"

#include <inttypes.h>

#include "base/buf.h"
#include "codec/base64.h"
#include "tlog/text.h"

#define RECEIPT_HEADER "c2sp.org/tlog-proof@v1"

static enum chy_err receipt_fail(struct chy_error *err, const char *what)
{
    return chy_fail(err, CHY_E_MALFORMED, "a receipt's %s is missing or malformed", what);
}

static enum chy_err extra_check(struct chy_str base64, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    chy_buf_init(&raw, CHY_LIMIT_RECEIPT);
    return chy_base64_decode(base64, &raw, err);
}

/* The lines up to and with the blank one. */
static enum chy_err hashes_take(struct chy_str *s, struct chy_tlog_proof *proof,
                                struct chy_error *err)
{
    proof->n = 0;
    for (;;) {
        struct chy_str line;
        if (!tlog_line_take(s, &line))
            return receipt_fail(err, "blank line");
        if (line.n == 0)
            return CHY_OK;
        if (proof->n == CHY_LIMIT_PROOF)
            return chy_fail(err, CHY_E_LIMIT, "a receipt with more than %d hashes",
                            CHY_LIMIT_PROOF);
        CHY_TRY(chy_base64_decode_exact(line, proof->hashes[proof->n].b, CHY_HASH_BYTES, err));
        proof->n++;
    }
}

enum chy_err chy_tlog_receipt_parse(struct chy_bytes in, struct chy_tlog_receipt *ret_receipt,
                                    struct chy_error *err)
{
    if (in.n > CHY_LIMIT_RECEIPT)
        return chy_fail(err, CHY_E_LIMIT, "a receipt of %zu bytes, %d are the most", in.n,
                        CHY_LIMIT_RECEIPT);
    struct chy_tlog_receipt receipt = { 0 };
    struct chy_str s = chy_bytes_str(in);
    struct chy_str line;
    if (!tlog_line_take(&s, &line) || !chy_str_equal_c(line, RECEIPT_HEADER))
        return receipt_fail(err, "first line \"" RECEIPT_HEADER "\"");
    if (!tlog_line_take(&s, &line))
        return receipt_fail(err, "index");
    if (tlog_text_skip(&line, CHY_STR("extra "))) {
        CHY_TRY(extra_check(line, err));
        receipt.extra = line;
        if (!tlog_line_take(&s, &line))
            return receipt_fail(err, "index");
    }
    if (!tlog_text_skip(&line, CHY_STR("index ")) || !tlog_number_parse(line, &receipt.index))
        return receipt_fail(err, "index");
    CHY_TRY(hashes_take(&s, &receipt.proof, err));
    struct chy_str text;
    receipt.checkpoint = chy_str_bytes(s);
    CHY_TRY(chy_tlog_note_text(receipt.checkpoint, &text, err));
    *ret_receipt = receipt;
    return CHY_OK;
}

bool chy_tlog_receipt_append(struct chy_buf *out, const struct chy_tlog_receipt *receipt)
{
    /* The buffer remembers the first of these that fails. */
    CHY_IGNORE(chy_buf_append_c(out, RECEIPT_HEADER "\n"));
    if (receipt->extra.p != NULL) {
        CHY_IGNORE(chy_buf_append_c(out, "extra "));
        CHY_IGNORE(chy_buf_append_str(out, receipt->extra));
        CHY_IGNORE(chy_buf_append_c(out, "\n"));
    }
    CHY_IGNORE(chy_buf_printf(out, "index %" PRIu64 "\n", receipt->index));
    for (size_t i = 0; i < receipt->proof.n; i++) {
        const struct chy_bytes hash = { receipt->proof.hashes[i].b, CHY_HASH_BYTES };
        CHY_IGNORE(chy_base64_append(out, hash));
        CHY_IGNORE(chy_buf_append_c(out, "\n"));
    }
    CHY_IGNORE(chy_buf_append_c(out, "\n"));
    return chy_buf_append(out, receipt->checkpoint);
}

enum chy_err chy_tlog_receipt_check(struct chy_hasher *h, const struct chy_tlog_receipt *receipt,
                                    const struct chy_tlog_hash *leaf,
                                    const struct chy_tlog_vkey *keys, size_t n_keys,
                                    struct chy_tlog_checkpoint *ret_checkpoint,
                                    struct chy_error *err)
{
    struct chy_tlog_checkpoint cp;
    CHY_TRY(chy_tlog_checkpoint_open(receipt->checkpoint, keys, n_keys, &cp, err));
    CHY_TRY(
        chy_tlog_check_inclusion(h, receipt->index, cp.size, leaf, &receipt->proof, &cp.root, err));
    *ret_checkpoint = cp;
    return CHY_OK;
}
