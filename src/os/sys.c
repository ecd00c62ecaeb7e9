/* SPDX-License-Identifier: MIT */
#include "os/sys.h"

#include <errno.h>
#include <string.h>

enum chy_err chy_sys_code(int sys_errno)
{
    switch (sys_errno) {
    case ENOENT:
    case ENOTDIR:
        return CHY_E_NOT_FOUND;
    case EEXIST:
        return CHY_E_EXISTS;
    case ENOMEM:
        return CHY_E_NOMEM;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case EAGAIN:
        return CHY_E_BUSY;
    case ETIMEDOUT:
        return CHY_E_TIMEOUT;
    default:
        return CHY_E_IO;
    }
}

const char *chy_sys_text(int sys_errno)
{
    const char *text = strerrordesc_np(sys_errno);
    return text != NULL ? text : "unknown system error";
}
