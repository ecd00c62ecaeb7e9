/* SPDX-License-Identifier: MIT */
/* DER: what is read and written again is the same bytes, whatever they were. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/der.h"
#include "crypto/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define DEPTH_MAX 8

/* Write the elements of `in` again, those inside constructed ones too. */
static bool copy_elements(struct chy_bytes in, struct chy_der_writer *w, size_t depth)
{
    while (in.n > 0) {
        struct chy_der_item item;
        if (chy_der_next(&in, &item, NULL) != CHY_OK)
            return false;
        if ((item.tag & 0x20) == 0 || depth == DEPTH_MAX) {
            chy_der_put(w, item.tag, item.body);
            continue;
        }
        chy_der_open(w, item.tag);
        bool is_whole = copy_elements(item.body, w, depth + 1);
        chy_der_close(w);
        if (!is_whole)
            return false;
    }
    return true;
}

static void read_values(struct chy_bytes in)
{
    struct chy_bytes rest = in;
    struct chy_bytes v;
    uint64_t number;
    CHY_IGNORE(chy_der_take_u64(&rest, &number, NULL)); /* each may fail, none may misbehave */
    CHY_IGNORE(chy_der_take_oid(&rest, &v, NULL));
    CHY_IGNORE(chy_der_take_bits(&rest, &v, NULL));
    CHY_ASSERT(rest.n <= in.n && rest.p + rest.n == in.p + in.n);
    if (chy_der_take_uint(&rest, &v, NULL) == CHY_OK)
        CHY_ASSERT(v.n == 0 || v.p[0] != 0);
}

static void ecdsa_forms(struct chy_bytes in)
{
    struct chy_buf raw;
    struct chy_buf der;
    chy_buf_init(&raw, 64);
    chy_buf_init(&der, 128);
    if (chy_ecdsa_to_raw(in, 32, &raw, NULL) == CHY_OK) {
        CHY_ASSERT(chy_ecdsa_to_der(chy_buf_bytes(&raw), &der, NULL) == CHY_OK);
        CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&der), in));
    }
    chy_buf_done(&raw);
    chy_buf_done(&der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct chy_bytes in = { data, n };
    struct chy_buf out;
    struct chy_der_writer w;
    chy_buf_init(&out, n + 64);
    chy_der_writer_init(&w, &out);
    if (copy_elements(in, &w, 0))
        CHY_ASSERT(chy_bytes_equal(chy_buf_bytes(&out), in));
    chy_buf_done(&out);
    read_values(in);
    ecdsa_forms(in);
    return 0;
}
