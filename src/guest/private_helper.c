/* SPDX-License-Identifier: MIT */
#include "guest/private_helper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "codec/frame.h"
#include "guest/guest.h"
#include "guest/times.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/spawn.h"
#include "os/sys.h"
#include "proto/door.h"

#define BACKOFF_SHIFT_MAX 16

static void lost_locked(struct chy_guest *g)
{
    struct chy_guest_helper *h = &g->helper;
    h->is_running = false;
    unsigned shift = CHY_MIN(h->failures, (unsigned)BACKOFF_SHIFT_MAX);
    int64_t pause_us = h->failures == 0 ? 0 : CHY_GUEST_BACKOFF_US << shift;
    h->not_before_us = chy_clock_monotonic_us() + CHY_MIN(pause_us, CHY_GUEST_BACKOFF_MAX_US);
    h->failures++;
    chy_guest_changed_locked(g);
}

/* It says nothing unasked on the control socket: whatever can be read there is its end. */
static bool is_gone(int control_fd)
{
    char byte;
    ssize_t n = recv(control_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static enum chy_err start(struct chy_guest *g, int64_t deadline_us, int *ret_control_fd,
                          struct chy_error *err)
{
    char name[] = "chancery";
    char role[] = CHY_DOOR_HELPER_ROLE;
    char *const argv[] = { name, role, NULL };
    int pair[2];
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int ours = pair[0];
    CHY_CLEANUP(chy_fd_closep) int theirs = pair[1];
    CHY_TRY(chy_fd_set_nonblocking(theirs, false, err));
    enum chy_err r = chy_spawn_apart(g->config.helper, argv, theirs, deadline_us, err);
    if (r != CHY_OK)
        return r == CHY_E_NOMEM || r == CHY_E_BUSY || r == CHY_E_TIMEOUT ? r : CHY_E_IO;
    *ret_control_fd = chy_fd_take(&ours);
    return CHY_OK;
}

/* The mutex is held before and after, not during. */
static enum chy_err start_locked(struct chy_guest *g, int64_t deadline_us, struct chy_error *err)
{
    int fd = -1;
    g->helper.is_starting = true;
    chy_guest_unlock(g);
    enum chy_err r = start(g, deadline_us, &fd, err);
    chy_guest_lock(g);
    g->helper.is_starting = false;
    if (r == CHY_OK) {
        g->helper.control_fd = fd;
        g->helper.is_running = true;
    }
    chy_guest_changed_locked(g);
    return r;
}

/* Until it runs and nothing was told of its end. */
static enum chy_err run_locked(struct chy_guest *g, int64_t deadline_us, struct chy_error *err)
{
    struct chy_guest_helper *h = &g->helper;
    for (;;) {
        if (g->phase != CHY_GUEST_UP)
            return chy_fail(err, CHY_E_STATE, "its use of Chancery was ended meanwhile");
        if (h->is_running && is_gone(h->control_fd))
            lost_locked(g);
        if (h->is_running)
            return CHY_OK;
        if (h->control_fd >= 0 && h->users == 0)
            chy_fd_closep(&h->control_fd);
        int64_t now_us = chy_clock_monotonic_us();
        if (!h->is_starting && h->control_fd < 0 && now_us >= h->not_before_us) {
            CHY_TRY(start_locked(g, deadline_us, err));
            continue;
        }
        int64_t until_us = CHY_MAX(h->not_before_us, now_us + CHY_GUEST_BACKOFF_US);
        if (now_us >= deadline_us)
            return chy_fail(err, CHY_E_TIMEOUT, "the helper did not start in time");
        enum chy_err r = chy_guest_wait_locked(g, CHY_MIN(until_us, deadline_us), err);
        if (r != CHY_OK && r != CHY_E_TIMEOUT)
            return r;
    }
}

/* One message carries the frame and the descriptor: 16 bytes are never cut in two. */
static enum chy_err adopt_send(int control_fd, int fd, int64_t deadline_us, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf frame;
    chy_buf_init(&frame, CHY_FRAME_HEADER_BYTES);
    CHY_TRY(chy_frame_encode(&frame, &(struct chy_frame){ .type = CHY_DOOR_ADOPT, .id = 1 }, err));
    union {
        char room[CMSG_SPACE(sizeof fd)];
        struct cmsghdr align;
    } control = { .room = { 0 } };
    struct iovec part = { frame.p, frame.n };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof control.room };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    while (sendmsg(control_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN)
            CHY_TRY(chy_fd_wait(control_fd, POLLOUT, deadline_us, err));
        else if (errno != EINTR)
            return chy_fail_sys(err, CHY_E_NETWORK, errno, "cannot reach the helper: %s",
                                chy_sys_text(errno));
    }
    return CHY_OK;
}

static void release(struct chy_guest *g, bool is_lost)
{
    chy_guest_lock(g);
    g->helper.users--;
    if (is_lost && g->helper.is_running)
        lost_locked(g);
    chy_guest_changed_locked(g);
    chy_guest_unlock(g);
}

enum chy_err chy_guest_helper_connect(struct chy_guest *g, int64_t deadline_us, int *ret_fd,
                                      struct chy_error *err)
{
    int pair[2];
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int ours = pair[0];
    CHY_CLEANUP(chy_fd_closep) int theirs = pair[1];
    chy_guest_lock(g);
    enum chy_err r = run_locked(g, deadline_us, err);
    if (r == CHY_OK)
        g->helper.users++;
    int control_fd = g->helper.control_fd;
    chy_guest_unlock(g);
    if (r != CHY_OK)
        return r;
    r = adopt_send(control_fd, theirs, deadline_us, err);
    release(g, r == CHY_E_NETWORK);
    if (r == CHY_OK)
        *ret_fd = chy_fd_take(&ours);
    return r;
}

void chy_guest_helper_works(struct chy_guest *g)
{
    chy_guest_lock(g);
    g->helper.failures = 0;
    chy_guest_unlock(g);
}

void chy_guest_helper_forget_locked(struct chy_guest_helper *helper)
{
    chy_fd_closep(&helper->control_fd);
    *helper = (struct chy_guest_helper){ .control_fd = -1 };
}
