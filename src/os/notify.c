/* SPDX-License-Identifier: MIT */
#include "os/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/sys.h"

#define MESSAGE_BYTES 320
#define STATUS_BYTES  256

static bool number_parse(const char *text, int64_t *ret_value)
{
    int64_t v = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || i >= 18)
            return false;
        v = v * 10 + (text[i] - '0');
    }
    *ret_value = v;
    return n != 0;
}

static enum chy_err watchdog_read(int64_t *ret_us, struct chy_error *err)
{
    const char *usec = secure_getenv("WATCHDOG_USEC");
    const char *pid_text = secure_getenv("WATCHDOG_PID");
    int64_t us = 0;
    int64_t pid = getpid();
    if (usec != NULL && !number_parse(usec, &us))
        return chy_fail(err, CHY_E_ARG, "WATCHDOG_USEC is \"%s\", expected a number", usec);
    if (pid_text != NULL && !number_parse(pid_text, &pid))
        return chy_fail(err, CHY_E_ARG, "WATCHDOG_PID is \"%s\", expected a number", pid_text);
    *ret_us = pid == getpid() ? us : 0; /* another process's dog */
    return CHY_OK;
}

static enum chy_err manager_connect(const char *path, int *ret_fd, struct chy_error *err)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof un.sun_path)
        return chy_fail(err, CHY_E_ARG, "NOTIFY_SOCKET is \"%s\", expected a path", path);
    memcpy(un.sun_path, path, n);
    if (path[0] == '@')
        un.sun_path[0] = '\0'; /* an abstract name has no terminator and counts by its length */
    socklen_t len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/' ? 1 : 0));
    CHY_CLEANUP(chy_fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&un, len) != 0)
        return chy_fail_sys(err, CHY_E_NETWORK, errno, "cannot reach the service manager: %s",
                            chy_sys_text(errno));
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_notify_open(struct chy_notify *ret_notify, struct chy_error *err)
{
    struct chy_notify n = { .fd = -1 };
    const char *path = secure_getenv("NOTIFY_SOCKET");
    enum chy_err r = CHY_OK;
    if (path != NULL)
        r = watchdog_read(&n.watchdog_us, err);
    if (path != NULL && r == CHY_OK)
        r = manager_connect(path, &n.fd, err);
    /* These fail only for names that are none. */
    CHY_IGNORE(unsetenv("NOTIFY_SOCKET")); /* NOLINT: called before there is a second thread */
    CHY_IGNORE(unsetenv("WATCHDOG_USEC")); /* NOLINT: the same */
    CHY_IGNORE(unsetenv("WATCHDOG_PID"));  /* NOLINT: the same */
    if (r == CHY_OK)
        *ret_notify = n;
    return r;
}

void chy_notify_close(struct chy_notify *notify)
{
    chy_fd_closep(&notify->fd);
    notify->watchdog_us = 0;
}

static enum chy_err message_send(struct chy_notify *notify, const char *text, struct chy_error *err)
{
    if (notify->fd < 0)
        return CHY_OK;
    /* The manager is never waited for: it may be waiting for us. */
    if (send(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return chy_fail_sys(err, CHY_E_NETWORK, errno, "the service manager took no message: %s",
                            chy_sys_text(errno));
    return CHY_OK;
}

enum chy_err chy_notify_send(struct chy_notify *notify, enum chy_notify_state state,
                             struct chy_error *err)
{
    char reloading[64];
    switch (state) {
    case CHY_NOTIFY_READY:
        return message_send(notify, "READY=1", err);
    case CHY_NOTIFY_STOPPING:
        return message_send(notify, "STOPPING=1", err);
    case CHY_NOTIFY_WATCHDOG:
        return message_send(notify, "WATCHDOG=1", err);
    case CHY_NOTIFY_RELOADING:
    default:
        snprintf(reloading, sizeof reloading, "RELOADING=1\nMONOTONIC_USEC=%lld",
                 (long long)chy_clock_monotonic_us());
        return message_send(notify, reloading, err);
    }
}

enum chy_err chy_notify_status(struct chy_notify *notify, struct chy_str text,
                               struct chy_error *err)
{
    char line[MESSAGE_BYTES];
    text.n = CHY_MIN(text.n, (size_t)STATUS_BYTES);
    int n = snprintf(line, sizeof line, "STATUS=%.*s", CHY_STR_ARG(text));
    for (int i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?'; /* a line feed would start another variable */
    return message_send(notify, line, err);
}
