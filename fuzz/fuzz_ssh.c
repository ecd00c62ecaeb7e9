/* SPDX-License-Identifier: MIT */
/* What a tool says to the agent's SSH socket. The bytes "K0" to "K3" stand for a key that the agent
 * has, as a string with its length, since nobody guesses one; everything else is said as it is. The
 * agent answers or closes, has nothing in flight in the end, and serves the next one. */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "agent_fixture.h"
#include "base/limits.h"
#include "codec/ssh_wire.h"
#include "crypto/attributes.h"
#include "proto/ssh_agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct fixture f;
static struct chy_arena arena; /* of the keys' attributes */
static struct chy_buf blobs[4];

static void learn_blob(size_t i)
{
    const struct chy_key *key = &fake.keys[i];
    struct chy_pubkey_attributes a;
    struct chy_buf blob;
    CHY_ASSERT(chy_pubkey_attributes(key->type, key->public_key, &arena, &a, NULL) == CHY_OK);
    const struct chy_door_key door = { .type = key->type,
                                       .modulus = a.modulus,
                                       .public_exponent = a.public_exponent,
                                       .ec_point = a.ec_point };
    chy_buf_init(&blob, CHY_LIMIT_PUBLIC_KEY);
    chy_buf_init(&blobs[i], CHY_LIMIT_PUBLIC_KEY);
    CHY_ASSERT(chy_ssh_key_write(&door, &blob, NULL) == CHY_OK);
    CHY_ASSERT(chy_ssh_put_string(&blobs[i], chy_buf_bytes(&blob)));
    chy_buf_done(&blob);
}

static void start(void)
{
    static bool is_started;
    if (is_started)
        return;
    is_started = true;
    fixture_init(&f);
    f.log.level = (enum chy_log_level)0; /* a fuzzer asks often */
    chy_arena_init(&arena, CHY_LIMIT_SECRET);
    fake_add_key("p", CHY_KEY_P256, true);
    fake_add_key("e", CHY_KEY_ED25519, false);
    fake_add_key("r", CHY_KEY_RSA_2048, false);
    fake_add_key("denied", CHY_KEY_P384, false);
    for (size_t i = 0; i < CHY_ARRAY_LEN(blobs); i++)
        learn_blob(i);
}

static bool is_quiet(void *ctx)
{
    (void)ctx;
    return chy_porter_is_quiet(f.porter);
}

static void drain(struct tool *t)
{
    uint8_t part[4096];
    while (recv(t->fd, part, sizeof part, MSG_DONTWAIT) > 0)
        ;
}

static void say(const uint8_t *data, size_t n, struct chy_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        bool is_key = i + 1 < n && data[i] == 'K' && data[i + 1] >= '0' && data[i + 1] <= '3';
        if (is_key)
            chy_buf_append(out, chy_buf_bytes(&blobs[data[++i] - '0']));
        else
            chy_buf_append_u8(out, data[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tool t;
    struct chy_buf words;
    if (n > 4096) /* with keys it is more; what a socket does not take at once says nothing new */
        return 0;
    start();
    chy_buf_init(&words, CHY_LIMIT_FRAME);
    say(data, n, &words);
    tool_open_ssh(&t, &f);
    tool_bytes(&t, chy_buf_bytes(&words));
    CHY_ASSERT(shutdown(t.fd, SHUT_WR) == 0);
    fixture_poll(&f);
    fixture_turn_until(&f, is_quiet, NULL);
    drain(&t);
    tool_close(&t);
    fixture_poll(&f);
    chy_buf_done(&words);
    return 0;
}
