/* SPDX-License-Identifier: MIT */
#include "codec/der.h"

#include "base/buf.h"

#define LENGTH_BYTES_MAX 4 /* of the long form: elements up to 4 GiB */

enum chy_err chy_der_next(struct chy_bytes *in, struct chy_der_item *ret_item,
                          struct chy_error *err)
{
    if (in->n < 2)
        return chy_fail(err, CHY_E_MALFORMED, "DER ends within an element");
    uint8_t tag = in->p[0];
    if ((tag & 0x1f) == 0x1f)
        return chy_fail(err, CHY_E_MALFORMED, "DER tag of more than one byte");

    size_t head = 2;
    size_t len = in->p[1];
    if (len >= 0x80) {
        size_t n = len & 0x7f;
        if (n == 0 || n > LENGTH_BYTES_MAX || n > in->n - 2)
            return chy_fail(err, CHY_E_MALFORMED, "DER length is indefinite, too long or cut off");
        len = 0;
        for (size_t i = 0; i < n; i++)
            len = len << 8 | in->p[2 + i];
        if (len < 0x80 || in->p[2] == 0)
            return chy_fail(err, CHY_E_MALFORMED, "DER length is not in its shortest form");
        head += n;
    }
    if (len > in->n - head)
        return chy_fail(err, CHY_E_MALFORMED, "DER element of %zu bytes, only %zu are left", len,
                        in->n - head);

    *ret_item = (struct chy_der_item){
        .tag = tag,
        .body = { in->p + head, len },
        .whole = { in->p, head + len },
    };
    in->p += head + len;
    in->n -= head + len;
    return CHY_OK;
}

enum chy_err chy_der_take(struct chy_bytes *in, unsigned tag, struct chy_bytes *ret_body,
                          struct chy_error *err)
{
    struct chy_bytes rest = *in;
    struct chy_der_item item = { 0 };
    CHY_TRY(chy_der_next(&rest, &item, err));
    if (item.tag != tag)
        return chy_fail(err, CHY_E_MALFORMED, "DER tag is 0x%02x, expected 0x%02x", item.tag, tag);
    *in = rest;
    *ret_body = item.body;
    return CHY_OK;
}

bool chy_der_is_next(struct chy_bytes in, unsigned tag)
{
    return in.n > 0 && in.p[0] == tag;
}

enum chy_err chy_der_end(struct chy_bytes in, struct chy_error *err)
{
    if (in.n != 0)
        return chy_fail(err, CHY_E_MALFORMED, "%zu bytes follow the end of the DER element", in.n);
    return CHY_OK;
}

enum chy_err chy_der_take_uint(struct chy_bytes *in, struct chy_bytes *ret_magnitude,
                               struct chy_error *err)
{
    struct chy_bytes rest = *in;
    struct chy_bytes v = { NULL, 0 };
    CHY_TRY(chy_der_take(&rest, CHY_DER_INTEGER, &v, err));
    if (v.n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "DER integer is empty");
    if ((v.p[0] & 0x80) != 0)
        return chy_fail(err, CHY_E_MALFORMED, "DER integer is negative");
    if (v.p[0] == 0) {
        if (v.n > 1 && (v.p[1] & 0x80) == 0)
            return chy_fail(err, CHY_E_MALFORMED, "DER integer is not in its shortest form");
        v.p++;
        v.n--;
    }
    *in = rest;
    *ret_magnitude = v;
    return CHY_OK;
}

enum chy_err chy_der_take_u64(struct chy_bytes *in, uint64_t *ret_v, struct chy_error *err)
{
    struct chy_bytes rest = *in;
    struct chy_bytes magnitude = { NULL, 0 };
    CHY_TRY(chy_der_take_uint(&rest, &magnitude, err));
    if (magnitude.n > sizeof(uint64_t))
        return chy_fail(err, CHY_E_MALFORMED, "DER integer has more than 64 bits");
    uint64_t v = 0;
    for (size_t i = 0; i < magnitude.n; i++)
        v = v << 8 | magnitude.p[i];
    *in = rest;
    *ret_v = v;
    return CHY_OK;
}

enum chy_err chy_der_take_oid(struct chy_bytes *in, struct chy_bytes *ret_oid,
                              struct chy_error *err)
{
    struct chy_bytes rest = *in;
    struct chy_bytes oid = { NULL, 0 };
    CHY_TRY(chy_der_take(&rest, CHY_DER_OID, &oid, err));
    bool is_arc_start = true;
    for (size_t i = 0; i < oid.n; i++) {
        if (is_arc_start && oid.p[i] == 0x80)
            return chy_fail(err, CHY_E_MALFORMED,
                            "DER object identifier is not in its shortest form");
        is_arc_start = (oid.p[i] & 0x80) == 0;
    }
    if (oid.n == 0 || !is_arc_start)
        return chy_fail(err, CHY_E_MALFORMED, "DER object identifier is empty or cut off");
    *in = rest;
    *ret_oid = oid;
    return CHY_OK;
}

enum chy_err chy_der_take_bits(struct chy_bytes *in, struct chy_bytes *ret_bytes,
                               struct chy_error *err)
{
    struct chy_bytes rest = *in;
    struct chy_bytes bits = { NULL, 0 };
    CHY_TRY(chy_der_take(&rest, CHY_DER_BIT_STRING, &bits, err));
    if (bits.n == 0 || bits.p[0] != 0)
        return chy_fail(err, CHY_E_MALFORMED, "DER bit string is not made of whole bytes");
    *in = rest;
    *ret_bytes = (struct chy_bytes){ bits.p + 1, bits.n - 1 };
    return CHY_OK;
}

void chy_der_writer_init(struct chy_der_writer *w, struct chy_buf *out)
{
    *w = (struct chy_der_writer){ .out = out };
}

/* The length octets of `len` at `to` (5 bytes of room); answers how many there are. */
static size_t length_encode(size_t len, uint8_t *to)
{
    if (len < 0x80) {
        to[0] = (uint8_t)len;
        return 1;
    }
    size_t n = 0;
    for (size_t v = len; v != 0; v >>= 8)
        n++;
    CHY_ASSERT(n <= LENGTH_BYTES_MAX); /* no buffer has so high a maximum */
    to[0] = (uint8_t)(0x80 | n);
    for (size_t i = 0; i < n; i++)
        to[1 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
    return 1 + n;
}

void chy_der_open(struct chy_der_writer *w, unsigned tag)
{
    CHY_ASSERT(w->depth < CHY_DER_DEPTH);
    CHY_IGNORE(chy_buf_append_u8(w->out, (uint8_t)tag)); /* the buffer remembers a failure */
    w->starts[w->depth++] = w->out->n;
}

/* The body is there already: move it to make room for its length. */
void chy_der_close(struct chy_der_writer *w)
{
    CHY_ASSERT(w->depth > 0);
    size_t start = w->starts[--w->depth];
    size_t len = w->out->n - start;
    uint8_t head[1 + LENGTH_BYTES_MAX];
    size_t n = length_encode(len, head);
    if (chy_buf_room(w->out, n) == NULL)
        return;
    memmove(w->out->p + start + n, w->out->p + start, len);
    memcpy(w->out->p + start, head, n);
    chy_buf_added(w->out, n);
}

void chy_der_put(struct chy_der_writer *w, unsigned tag, struct chy_bytes body)
{
    chy_der_open(w, tag);
    chy_der_put_raw(w, body);
    chy_der_close(w);
}

void chy_der_put_raw(struct chy_der_writer *w, struct chy_bytes der)
{
    CHY_IGNORE(chy_buf_append(w->out, der)); /* the buffer remembers a failure */
}

void chy_der_put_uint(struct chy_der_writer *w, struct chy_bytes magnitude)
{
    while (magnitude.n > 0 && magnitude.p[0] == 0) {
        magnitude.p++;
        magnitude.n--;
    }
    static const uint8_t zero[] = { 0 };
    chy_der_open(w, CHY_DER_INTEGER);
    if (magnitude.n == 0 || (magnitude.p[0] & 0x80) != 0)
        chy_der_put_raw(w, (struct chy_bytes){ zero, 1 });
    chy_der_put_raw(w, magnitude);
    chy_der_close(w);
}

void chy_der_put_u64(struct chy_der_writer *w, uint64_t v)
{
    uint8_t be[8];
    for (size_t i = 0; i < sizeof be; i++)
        be[i] = (uint8_t)(v >> 8 * (7 - i));
    chy_der_put_uint(w, (struct chy_bytes){ be, sizeof be });
}

void chy_der_put_bool(struct chy_der_writer *w, bool v)
{
    const uint8_t body[] = { v ? 0xff : 0x00 };
    chy_der_put(w, CHY_DER_BOOLEAN, (struct chy_bytes){ body, 1 });
}

void chy_der_put_null(struct chy_der_writer *w)
{
    chy_der_put(w, CHY_DER_NULL, (struct chy_bytes){ NULL, 0 });
}

void chy_der_put_oid(struct chy_der_writer *w, struct chy_bytes oid_body)
{
    chy_der_put(w, CHY_DER_OID, oid_body);
}

void chy_der_put_bits(struct chy_der_writer *w, struct chy_bytes bytes)
{
    static const uint8_t no_spare_bits[] = { 0 };
    chy_der_open(w, CHY_DER_BIT_STRING);
    chy_der_put_raw(w, (struct chy_bytes){ no_spare_bits, 1 });
    chy_der_put_raw(w, bytes);
    chy_der_close(w);
}
