/* SPDX-License-Identifier: MIT */
/* Frames, one after another: what is read encodes to the same bytes, no more than was given is
 * used, and a refusal comes no later when all bytes are there. */
#include <stddef.h>
#include <stdint.h>

#include "codec/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A frame is told complete by its last byte and by no earlier one; a refusal stays one. */
static void check_prefixes(struct chy_bytes in, enum chy_err whole, size_t used)
{
    bool was_refused = false;
    for (size_t n = 0; n <= in.n && n <= 2 * CHY_FRAME_HEADER_BYTES; n++) {
        struct chy_frame frame;
        size_t got = 0;
        enum chy_err r = chy_frame_decode((struct chy_bytes){ in.p, n }, &frame, &got, NULL);
        CHY_ASSERT(r == CHY_OK || whole == r);
        CHY_ASSERT(r != CHY_OK || !was_refused);
        CHY_ASSERT(r != CHY_OK || got == (used != 0 && n >= used ? used : 0));
        was_refused = r != CHY_OK;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct chy_bytes in = { data, n };
    while (in.n > 0) {
        struct chy_frame frame;
        struct chy_buf out;
        size_t used = 0;
        enum chy_err r = chy_frame_decode(in, &frame, &used, NULL);
        check_prefixes(in, r, used);
        if (r != CHY_OK || used == 0)
            break;
        CHY_ASSERT(used >= CHY_FRAME_HEADER_BYTES && used <= in.n);
        chy_buf_init(&out, CHY_LIMIT_FRAME + CHY_FRAME_LENGTH_BYTES);
        CHY_ASSERT(chy_frame_encode(&out, &frame, NULL) == CHY_OK);
        CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&out), (struct chy_bytes){ in.p, used }));
        chy_buf_done(&out);
        in = (struct chy_bytes){ in.p + used, in.n - used };
    }
    return 0;
}
