/* SPDX-License-Identifier: MIT */
#include "guest/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "guest/guest.h"
#include "guest/reply.h"
#include "guest/times.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/sys.h"
#include "proto/door.h"

#define READ_BYTES 65536
#define FRAME_MAX  (CHY_FRAME_LENGTH_BYTES + (size_t)CHY_LIMIT_FRAME)

/* --- frames over one socket --- */

static enum chy_err send_all(int fd, struct chy_bytes bytes, int64_t deadline_us,
                             struct chy_error *err)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            bytes = (struct chy_bytes){ bytes.p + n, bytes.n - (size_t)n };
        } else if (errno == EAGAIN) {
            if (chy_fd_wait(fd, POLLOUT, deadline_us, err) != CHY_OK)
                return chy_fail(err, CHY_E_NETWORK, "the agent does not take a request");
        } else if (errno != EINTR) {
            return chy_fail_sys(err, CHY_E_NETWORK, errno, "cannot send to the agent: %s",
                                chy_sys_text(errno));
        }
    }
    return CHY_OK;
}

static enum chy_err frame_send(struct chy_guest_link *link, uint16_t type, struct chy_bytes body,
                               int64_t deadline_us, struct chy_error *err)
{
    struct chy_frame frame = { .type = type, .id = ++link->last_id, .body = body };
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, FRAME_MAX);
    CHY_TRY(chy_frame_encode(&out, &frame, err));
    return send_all(link->fd, chy_buf_bytes(&out), deadline_us, err);
}

/* More bytes at the end of `in`. */
static enum chy_err receive_some(int fd, int64_t deadline_us, struct chy_buf *in,
                                 struct chy_error *err)
{
    size_t room = CHY_MIN((size_t)READ_BYTES, in->max - in->n);
    uint8_t *to = chy_buf_room(in, room);
    if (to == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an answer");
    for (;;) {
        ssize_t n = recv(fd, to, room, MSG_DONTWAIT);
        if (n > 0) {
            chy_buf_added(in, (size_t)n);
            return CHY_OK;
        }
        if (n == 0)
            return chy_fail(err, CHY_E_IO, "the agent closed the connection without an answer");
        if (errno == EAGAIN)
            CHY_TRY(chy_fd_wait(fd, POLLIN, deadline_us, err));
        else if (errno != EINTR)
            return chy_fail_sys(err, CHY_E_IO, errno, "cannot receive from the agent: %s",
                                chy_sys_text(errno));
    }
}

/* One answer was asked for: whatever comes behind it belongs to nothing. */
static enum chy_err frame_receive(const struct chy_guest_link *link, int64_t deadline_us,
                                  struct chy_buf *in, struct chy_frame *ret_frame,
                                  struct chy_error *err)
{
    size_t used = 0;
    chy_buf_init(in, FRAME_MAX);
    while (used == 0) {
        CHY_TRY(receive_some(link->fd, deadline_us, in, err));
        if (chy_frame_decode(chy_buf_bytes(in), ret_frame, &used, err) != CHY_OK)
            return chy_fail(err, CHY_E_PROTOCOL, "what the agent sent is no frame");
    }
    if (used != in->n || ret_frame->id != link->last_id)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent answered what it was not asked");
    return CHY_OK;
}

enum chy_err chy_guest_link_exchange(struct chy_guest_link *link, uint16_t type,
                                     struct chy_bytes body, int64_t deadline_us,
                                     struct chy_buf *ret_in, struct chy_frame *ret_frame,
                                     struct chy_error *err)
{
    struct chy_buf in = { 0 };
    CHY_TRY(frame_send(link, type, body, deadline_us, err));
    enum chy_err r = frame_receive(link, deadline_us, &in, ret_frame, err);
    if (r == CHY_OK)
        *ret_in = in;
    else
        chy_buf_done(&in);
    return r;
}

/* --- making one --- */

/* Nothing is said to a socket of somebody else, who would be shown what is to be signed. */
static enum chy_err owner_check(int fd, const char *path, struct chy_error *err)
{
    struct chy_socket_cred cred;
    CHY_TRY(chy_socket_peer_cred(fd, &cred, err));
    if (cred.uid != geteuid() && cred.uid != 0)
        return chy_fail(err, CHY_E_FORBIDDEN, "%s belongs to user %u, who is not trusted", path,
                        (unsigned)cred.uid);
    return CHY_OK;
}

static enum chy_err socket_try(const char *path, int64_t deadline_us, int *ret_fd,
                               struct chy_error *err)
{
    char address[CHY_LIMIT_PATH + sizeof "unix:"];
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, sizeof address);
    chy_buf_printf(&text, "unix:%s", path);
    CHY_TRY(chy_buf_check(&text, err));
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_socket_connect(chy_buf_str(&text), deadline_us, &fd, err));
    CHY_TRY(owner_check(fd, path, err));
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

/* A path that is too long for a socket cannot be where an agent listens by default. */
static bool is_nobody_there(const struct chy_guest_config *c, enum chy_err r)
{
    return !c->is_socket_given && (r == CHY_E_NETWORK || r == CHY_E_LIMIT);
}

static enum chy_err connect_somewhere(struct chy_guest *g, int64_t deadline_us, int *ret_fd,
                                      struct chy_error *err)
{
    const struct chy_guest_config *c = &g->config;
    for (size_t i = 0; i < CHY_GUEST_SOCKETS; i++) {
        if (c->sockets[i] == NULL)
            continue;
        enum chy_err r = socket_try(c->sockets[i], deadline_us, ret_fd, err);
        if (!is_nobody_there(c, r))
            return r;
    }
    return chy_guest_helper_connect(g, deadline_us, ret_fd, err);
}

static enum chy_err greet(struct chy_guest *g, struct chy_guest_link *link, int64_t deadline_us,
                          struct chy_error *err)
{
    struct chy_frame frame;
    struct chy_door_welcome welcome;
    bool is_answered;
    CHY_CLEANUP(chy_buf_done) struct chy_buf in = { 0 };
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    CHY_TRY(chy_guest_link_exchange(link, CHY_DOOR_HELLO, chy_buf_bytes(&g->config.hello),
                                    deadline_us, &in, &frame, err));
    CHY_TRY(chy_guest_reply_read(&frame, CHY_DOOR_WELCOME, &chy_door_welcome_schema, &arena,
                                 &welcome, &is_answered, err));
    if (welcome.version != CHY_DOOR_VERSION)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent speaks version %u, expected %u",
                        (unsigned)welcome.version, (unsigned)CHY_DOOR_VERSION);
    return CHY_OK;
}

static enum chy_err link_open(struct chy_guest *g, struct chy_guest_link *link, int64_t deadline_us,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    int64_t hello_us = chy_clock_monotonic_us() + CHY_GUEST_HELLO_US;
    deadline_us = CHY_MIN(deadline_us, hello_us);
    CHY_TRY(connect_somewhere(g, deadline_us, &fd, err));
    chy_guest_lock(g); /* from here on the end and fork know it */
    link->fd = chy_fd_take(&fd);
    bool is_ending = g->phase != CHY_GUEST_UP;
    chy_guest_unlock(g);
    if (is_ending)
        return chy_fail(err, CHY_E_STATE, "its use of Chancery was ended meanwhile");
    enum chy_err r = greet(g, link, deadline_us, err);
    if (r == CHY_OK)
        chy_guest_helper_works(g);
    /* No request of the caller went out yet. */
    return r == CHY_E_IO ? CHY_E_NETWORK : r;
}

/* --- the pool --- */

static struct chy_guest_link *link_new(void)
{
    struct chy_guest_link *link = chy_new(struct chy_guest_link);
    if (link == NULL)
        return NULL;
    link->fd = -1;
    link->is_busy = true;
    return link;
}

static void link_free(struct chy_guest_link *link)
{
    if (link == NULL)
        return;
    chy_fd_closep(&link->fd);
    chy_free(link);
}

static void unlink_locked(struct chy_guest_links *links, const struct chy_guest_link *link)
{
    struct chy_guest_link **at = &links->first;
    while (*at != NULL && *at != link)
        at = &(*at)->next;
    if (*at == link) {
        *at = link->next;
        links->count--;
    }
}

/* An idle one, without streams if there is one: their owners may want to go on. The first in the
 * list: the others grow old. */
static struct chy_guest_link *idle_locked(const struct chy_guest_links *links)
{
    struct chy_guest_link *best = NULL;
    for (struct chy_guest_link *l = links->first; l != NULL; l = l->next)
        if (!l->is_busy && (best == NULL || l->streams < best->streams))
            best = l;
    return best;
}

/* One that nobody has needed for a while, unlinked: a burst of threads must not hold connections of
 * the agent for ever. NULL: there is none. */
static struct chy_guest_link *old_unlink_locked(struct chy_guest_links *links, int64_t now_us)
{
    for (struct chy_guest_link *l = links->first; l != NULL; l = l->next)
        if (!l->is_busy && l->streams == 0 && now_us - l->idle_since_us > CHY_GUEST_IDLE_US) {
            unlink_locked(links, l);
            return l;
        }
    return NULL;
}

static enum chy_err add_locked(struct chy_guest_links *links, struct chy_guest_link **ret_link,
                               struct chy_error *err)
{
    struct chy_guest_link *link = link_new();
    if (link == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a connection");
    link->serial = ++links->last_serial;
    link->next = links->first;
    links->first = link;
    links->count++;
    *ret_link = link;
    return CHY_OK;
}

static enum chy_err any_locked(struct chy_guest *g, int64_t deadline_us,
                               struct chy_guest_link **ret_link, struct chy_error *err)
{
    for (;;) {
        struct chy_guest_link *link = idle_locked(&g->links);
        if (link != NULL) {
            link->is_busy = true;
            *ret_link = link;
            return CHY_OK;
        }
        if (g->links.count < CHY_LIMIT_GUEST_LINKS)
            return add_locked(&g->links, ret_link, err);
        CHY_TRY(chy_guest_wait_locked(g, deadline_us, err));
    }
}

static enum chy_err that_locked(struct chy_guest *g, uint64_t serial, int64_t deadline_us,
                                struct chy_guest_link **ret_link, struct chy_error *err)
{
    for (;;) {
        struct chy_guest_link *link = g->links.first;
        while (link != NULL && link->serial != serial)
            link = link->next;
        if (link == NULL)
            return chy_fail(err, CHY_E_NETWORK, "the connection of this operation is gone");
        if (!link->is_busy) {
            link->is_busy = true;
            *ret_link = link;
            return CHY_OK;
        }
        CHY_TRY(chy_guest_wait_locked(g, deadline_us, err));
    }
}

static enum chy_err take(struct chy_guest *g, uint64_t serial, int64_t deadline_us,
                         struct chy_guest_link **ret_link, struct chy_error *err)
{
    chy_guest_lock(g);
    enum chy_err r = g->phase != CHY_GUEST_UP
                         ? chy_fail(err, CHY_E_STATE, "its use of Chancery was ended meanwhile")
                     : serial == 0 ? any_locked(g, deadline_us, ret_link, err)
                                   : that_locked(g, serial, deadline_us, ret_link, err);
    chy_guest_unlock(g);
    return r;
}

/* Nothing may have come unasked, and the other side must not have closed. */
static bool is_alive(const struct chy_guest_link *link)
{
    char byte;
    ssize_t n = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

enum chy_err chy_guest_link_take(struct chy_guest *g, uint64_t serial, int64_t deadline_us,
                                 struct chy_guest_link **ret_link, struct chy_error *err)
{
    for (;;) {
        struct chy_guest_link *link = NULL;
        CHY_TRY(take(g, serial, deadline_us, &link, err));
        bool is_new = link->last_id == 0;
        if (!is_new && is_alive(link)) {
            *ret_link = link;
            return CHY_OK;
        }
        enum chy_err r = is_new ? link_open(g, link, deadline_us, err) : CHY_E_NETWORK;
        if (r == CHY_OK) {
            *ret_link = link;
            return CHY_OK;
        }
        chy_guest_link_drop(g, link);
        if (is_new)
            return r;
    }
}

void chy_guest_link_give(struct chy_guest *g, struct chy_guest_link *link)
{
    int64_t now_us = chy_clock_monotonic_us();
    chy_guest_lock(g);
    link->is_busy = false;
    link->idle_since_us = now_us;
    struct chy_guest_link *old = old_unlink_locked(&g->links, now_us);
    chy_guest_changed_locked(g);
    chy_guest_unlock(g);
    link_free(old);
}

void chy_guest_link_drop(struct chy_guest *g, struct chy_guest_link *link)
{
    chy_guest_lock(g);
    unlink_locked(&g->links, link);
    chy_guest_changed_locked(g);
    chy_guest_unlock(g);
    link_free(link);
}

void chy_guest_links_shut_locked(struct chy_guest_links *links)
{
    for (const struct chy_guest_link *l = links->first; l != NULL; l = l->next)
        if (l->fd >= 0)
            CHY_IGNORE(shutdown(l->fd, SHUT_RDWR)); /* closed by the other side: as good */
}

void chy_guest_links_disown_locked(struct chy_guest_links *links)
{
    struct chy_guest_link *next;
    for (struct chy_guest_link *l = links->first; l != NULL; l = next) {
        next = l->next;
        chy_fd_closep(&l->fd);
        /* A thread of the parent may have been in the middle of a busy one: its memory is lost. */
        if (!l->is_busy)
            link_free(l);
    }
    links->first = NULL;
    links->count = 0;
}

void chy_guest_links_done(struct chy_guest_links *links)
{
    while (links->first != NULL) {
        struct chy_guest_link *next = links->first->next;
        link_free(links->first);
        links->first = next;
    }
    uint64_t serial = links->last_serial;
    *links = (struct chy_guest_links){ .last_serial = serial };
}
