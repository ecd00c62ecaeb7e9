/* SPDX-License-Identifier: MIT */
/* An enrolment code that is read is written again as the same text: no code has two texts. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/base64.h"
#include "proto/enrolment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes behind the text form of the secret. */
static void secret_bytes(const char *text, uint8_t out[CHY_ENROLMENT_SECRET_BYTES])
{
    char padded[CHY_ENROLMENT_SECRET_CHARS + 1];
    for (size_t i = 0; i < CHY_ENROLMENT_SECRET_CHARS; i++)
        padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    padded[CHY_ENROLMENT_SECRET_CHARS] = '=';
    struct chy_str s = { padded, sizeof padded };
    CHY_ASSERT(chy_base64_decode_exact(s, out, CHY_ENROLMENT_SECRET_BYTES, NULL) == CHY_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chy_str in = { (const char *)data, size };
    struct chy_enrolment e;
    if (chy_enrolment_parse(in, &e, NULL) != CHY_OK)
        return 0;
    uint8_t secret[CHY_ENROLMENT_SECRET_BYTES];
    secret_bytes(e.secret, secret);
    CHY_CLEANUP(chy_buf_done) struct chy_buf again;
    chy_buf_init(&again, 2048);
    CHY_ASSERT(chy_enrolment_make(e.pin, secret, chy_str_of(e.url), &again, NULL) == CHY_OK);
    CHY_ASSERT(chy_str_equal(chy_buf_str(&again), in));
    return 0;
}
