/* SPDX-License-Identifier: MIT */
/* What the service manager wants to know of a service, as sd_notify(3) describes it; without
 * libsystemd. Without a manager ($NOTIFY_SOCKET unset) everything is a no-op. Not shared. */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

struct chy_notify {
    int fd;              /* -1: nobody listens */
    int64_t watchdog_us; /* 0, or CHY_NOTIFY_WATCHDOG is due at least this often */
};

enum chy_notify_state {
    CHY_NOTIFY_READY,
    CHY_NOTIFY_RELOADING,
    CHY_NOTIFY_STOPPING,
    CHY_NOTIFY_WATCHDOG,
};

/* Connect, and take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. Call
 * before there are threads. Errors: CHY_E_ARG a variable makes no sense; CHY_E_NETWORK nobody is
 * there */
CHY_MUST_USE enum chy_err chy_notify_open(struct chy_notify *ret_notify, struct chy_error *err);
void chy_notify_close(struct chy_notify *notify);

/* Errors: CHY_E_NETWORK the manager did not take it (log it and go on) */
CHY_MUST_USE enum chy_err chy_notify_send(struct chy_notify *notify, enum chy_notify_state state,
                                          struct chy_error *err);
/* One line for `systemctl status`; control characters become '?', and it is cut at 256 bytes. */
CHY_MUST_USE enum chy_err chy_notify_status(struct chy_notify *notify, struct chy_str text,
                                            struct chy_error *err);
