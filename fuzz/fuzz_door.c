/* SPDX-License-Identifier: MIT */
/* What a tool says to the agent's door. With an odd first byte a HELLO is said before the rest, so
 * that requests are reached; the rest is bytes on the socket. The door answers or closes, has
 * nothing in flight in the end, and serves the next one. */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "agent_fixture.h"
#include "os/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct fixture f;

static void start(void)
{
    static bool is_started;
    if (is_started)
        return;
    is_started = true;
    fixture_init(&f);
    f.log.level = (enum chy_log_level)0; /* a fuzzer asks often */
    fake_add_key("p", CHY_KEY_P256, true);
    fake_add_key("e", CHY_KEY_ED25519, false);
    fake_add_key("denied", CHY_KEY_P384, false);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tool t;
    if (n == 0 || n > 65536) /* more than a socket takes at once says nothing new */
        return 0;
    start();
    tool_open(&t, &f);
    if (data[0] % 2 != 0)
        tool_hello(&t, NULL);
    tool_bytes(&t, (struct chy_bytes){ data + 1, n - 1 });
    CHY_ASSERT(shutdown(t.fd, SHUT_WR) == 0);
    fixture_poll(&f);
    fixture_turn_until(&f, is_quiet, NULL);
    drain(&t);
    tool_close(&t);
    fixture_poll(&f);
    return 0;
}
