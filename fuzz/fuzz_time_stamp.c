/* SPDX-License-Identifier: MIT */
/* What an authority answers when it is asked for a time stamp, always for the same one. A token
 * that is taken stands in the answer and can be taken again. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/time_stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void ask(struct chy_buf *out)
{
    static const uint8_t nonce[CHY_TIME_STAMP_NONCE] = { 1 };
    uint8_t digest[CHY_HASH_BYTES];
    CHY_ASSERT(chy_sha256(chy_str_bytes(CHY_STR("data")), digest, NULL) == CHY_OK);
    CHY_ASSERT(chy_time_stamp_request(CHY_HASH_SHA256, (struct chy_bytes){ digest, sizeof digest },
                                      (struct chy_bytes){ nonce, sizeof nonce }, out,
                                      NULL) == CHY_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf request;
    struct chy_bytes token;
    struct chy_bytes again;
    const struct chy_bytes answer = { data, n };
    chy_buf_init(&request, 256);
    CHY_ASSERT(chy_crypto_init(NULL) == CHY_OK);
    ask(&request);
    if (chy_time_stamp_answer(chy_buf_bytes(&request), answer, &token, NULL) != CHY_OK)
        return 0;
    CHY_ASSERT(token.p > data && token.p + token.n <= data + n);
    CHY_ASSERT(chy_time_stamp_answer(chy_buf_bytes(&request), answer, &again, NULL) == CHY_OK);
    return 0;
}
