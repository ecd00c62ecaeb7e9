/* SPDX-License-Identifier: MIT */
#include "tlog/checkpoint.h"

#include <inttypes.h>

#include "base/buf.h"
#include "codec/base64.h"
#include "tlog/text.h"

enum chy_err chy_tlog_checkpoint_parse(struct chy_str text,
                                       struct chy_tlog_checkpoint *ret_checkpoint,
                                       struct chy_error *err)
{
    struct chy_tlog_checkpoint cp;
    struct chy_str rest = text;
    struct chy_str size;
    struct chy_str root;
    if (!tlog_line_take(&rest, &cp.origin) || !tlog_line_take(&rest, &size) ||
        !tlog_line_take(&rest, &root))
        return chy_fail(err, CHY_E_MALFORMED, "a checkpoint has less than three lines");
    if (cp.origin.n == 0 || !tlog_text_is_valid(text))
        return chy_fail(err, CHY_E_MALFORMED, "a checkpoint without origin, or not plain text");
    if (!tlog_number_parse(size, &cp.size))
        return chy_fail(err, CHY_E_MALFORMED, "a checkpoint's size is \"%.*s\", expected a number",
                        CHY_STR_ARG(size));
    CHY_TRY(chy_base64_decode_exact(root, cp.root.b, sizeof cp.root.b, err));
    while (rest.n > 0) {
        struct chy_str extension;
        if (!tlog_line_take(&rest, &extension) || extension.n == 0)
            return chy_fail(err, CHY_E_MALFORMED, "a checkpoint has an empty or an open line");
    }
    *ret_checkpoint = cp;
    return CHY_OK;
}

bool chy_tlog_checkpoint_append(struct chy_buf *out, const struct chy_tlog_checkpoint *checkpoint)
{
    return chy_buf_append_str(out, checkpoint->origin) &&
           chy_buf_printf(out, "\n%" PRIu64 "\n", checkpoint->size) &&
           chy_base64_append(out, (struct chy_bytes){ checkpoint->root.b, CHY_HASH_BYTES }) &&
           chy_buf_append_c(out, "\n");
}

enum chy_err chy_tlog_checkpoint_open(struct chy_bytes note, const struct chy_tlog_vkey *keys,
                                      size_t n_keys, struct chy_tlog_checkpoint *ret_checkpoint,
                                      struct chy_error *err)
{
    struct chy_str text;
    struct chy_tlog_checkpoint cp;
    CHY_TRY(chy_tlog_note_text(note, &text, err));
    CHY_TRY(chy_tlog_checkpoint_parse(text, &cp, err));
    CHY_TRY(chy_tlog_note_open(note, keys, n_keys, cp.origin, &text, err));
    *ret_checkpoint = cp;
    return CHY_OK;
}
