/* SPDX-License-Identifier: MIT */
#include "os/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

#include "os/sys.h"

enum chy_err chy_random_fill(void *p, size_t n, struct chy_error *err)
{
    uint8_t *to = p;
    while (n > 0) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return chy_fail_sys(err, CHY_E_CRYPTO, errno, "no random bytes: %s",
                                chy_sys_text(errno));
        to += got;
        n -= (size_t)got;
    }
    return CHY_OK;
}
