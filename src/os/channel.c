/* SPDX-License-Identifier: MIT */
/* Which frame do passed descriptors belong to? The sender starts a write of its own with a frame
 * that carries some and writes no other frame along. The kernel attaches them to the first byte of
 * that write and ends a read behind the piece that they came with. So the frame that covers the
 * last byte of such a read is their owner: `mark` is the end of that read. One read may end a frame
 * whose descriptors came before and bring another's, so two sets may wait; never three. */
#include "os/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sys.h"

#define READ_CHUNK      131072
#define READS_PER_EVENT 8       /* then others get their turn */
#define KEEP_BYTES      1048576 /* an empty buffer larger than this is given back */

/* A queued frame with descriptors; places are counted from the first byte ever queued. */
struct fd_frame {
    uint64_t start;
    uint64_t end;
    int fds[CHY_LIMIT_FRAME_FDS];
    size_t fd_count;
};

/* Descriptors that came and wait for their frame. */
struct fd_set_in {
    int fds[CHY_LIMIT_FRAME_FDS];
    size_t count;
    size_t at;   /* the next to take */
    size_t mark; /* in the input: their frame covers the byte before it */
};

struct chy_channel {
    int fd; /* -1 once closed */
    bool takes_fds;
    size_t send_limit;

    struct chy_buf in;
    size_t in_at; /* what is before it was delivered */
    struct fd_set_in in_sets[2];
    size_t in_set_count;
    bool in_set_usable; /* the frame of the first is being delivered */

    struct chy_buf out;
    size_t out_at;      /* what is before it was written */
    uint64_t out_start; /* place of out.p[0] */
    struct fd_frame fd_frames[CHY_LIMIT_FD_FRAMES];
    size_t fd_frame_count;
    bool is_write_broken;

    struct chy_loop *loop; /* NULL until attached */
    struct chy_watch *watch;
    struct chy_deferred deferred;
    struct chy_channel_handler handler;
    bool is_blocked; /* the socket is full; EPOLLOUT tells when it is not */
    unsigned busy;   /* callbacks in progress: memory stays */
    bool is_freed;
};

/* --- making and ending --- */

enum chy_err chy_channel_new(int fd, const struct chy_channel_options *options,
                             struct chy_channel **ret_channel, struct chy_error *err)
{
    if (options->send_limit_bytes < CHY_FRAME_HEADER_BYTES)
        return chy_fail(err, CHY_E_ARG, "a channel with a send limit of %zu bytes",
                        options->send_limit_bytes);
    CHY_CLEANUP(chy_freep) struct chy_channel *ch = chy_new(struct chy_channel);
    if (ch == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a channel");
    CHY_TRY(chy_fd_set_nonblocking(fd, true, err));
    CHY_TRY(chy_fd_set_cloexec(fd, true, err));
    ch->fd = fd;
    ch->takes_fds = options->takes_fds;
    ch->send_limit = options->send_limit_bytes;
    chy_buf_init(&ch->in, (size_t)CHY_LIMIT_FRAME + CHY_FRAME_LENGTH_BYTES + READ_CHUNK);
    chy_buf_init(&ch->out, options->send_limit_bytes);
    *ret_channel = CHY_TAKE(ch);
    return CHY_OK;
}

static void in_set_drop(struct chy_channel *ch)
{
    struct fd_set_in *set = &ch->in_sets[0];
    for (size_t i = set->at; i < set->count; i++)
        chy_fd_closep(&set->fds[i]);
    ch->in_sets[0] = ch->in_sets[1];
    ch->in_set_count--;
    ch->in_set_usable = false;
}

static void in_fds_drop(struct chy_channel *ch)
{
    while (ch->in_set_count > 0)
        in_set_drop(ch);
}

static void fd_frame_pop(struct chy_channel *ch)
{
    for (size_t i = 0; i < ch->fd_frames[0].fd_count; i++)
        chy_fd_closep(&ch->fd_frames[0].fds[i]);
    ch->fd_frame_count--;
    memmove(&ch->fd_frames[0], &ch->fd_frames[1], ch->fd_frame_count * sizeof ch->fd_frames[0]);
}

static void out_drop(struct chy_channel *ch)
{
    while (ch->fd_frame_count > 0)
        fd_frame_pop(ch);
    ch->out_start += ch->out.n;
    ch->out_at = 0;
    chy_buf_clear(&ch->out);
}

void chy_channel_close(struct chy_channel *channel)
{
    if (channel->loop != NULL)
        chy_loop_undefer(channel->loop, &channel->deferred);
    chy_watch_freep(&channel->watch);
    chy_fd_closep(&channel->fd);
    out_drop(channel);
    if (channel->busy == 0) /* else a frame that is being delivered may still be asked for them */
        in_fds_drop(channel);
}

static void busy_end(struct chy_channel *ch)
{
    ch->busy--;
    if (ch->busy == 0 && ch->is_freed)
        chy_channel_free(ch);
}

void chy_channel_free(struct chy_channel *channel)
{
    if (channel == NULL)
        return;
    chy_channel_close(channel);
    channel->is_freed = true;
    if (channel->busy > 0)
        return;
    chy_buf_done(&channel->in);
    chy_buf_done(&channel->out);
    chy_free(channel);
}

void chy_channel_freep(struct chy_channel **channel)
{
    chy_channel_free(*channel);
    *channel = NULL;
}

bool chy_channel_is_open(const struct chy_channel *channel)
{
    return channel->fd >= 0;
}

/* The channel is over on a loop: tell the owner, unless the owner ended it. */
static void channel_end(struct chy_channel *ch, enum chy_err why, const struct chy_error *error)
{
    if (ch->fd < 0)
        return;
    chy_channel_close(ch);
    /* The owner may make work for the before-sleep hook, which may have had its turn. */
    chy_loop_wake(ch->loop);
    ch->busy++;
    ch->handler.on_close(ch->handler.ctx, ch, why, error);
    busy_end(ch);
}

/* --- receiving --- */

/* Take the descriptors out of what came; CHY_E_PROTOCOL when they were not to come. */
static enum chy_err fds_collect(struct chy_channel *ch, struct msghdr *msg, struct chy_error *err)
{
    struct fd_set_in set = { .mark = ch->in.n };
    bool is_too_many = (msg->msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (set.count < CHY_ARRAY_LEN(set.fds)) {
                set.fds[set.count++] = fd;
            } else {
                is_too_many = true;
                chy_fd_closep(&fd);
            }
        }
    }
    if (set.count == 0 && !is_too_many)
        return CHY_OK;
    if (is_too_many || ch->in_set_count == CHY_ARRAY_LEN(ch->in_sets)) {
        for (size_t i = 0; i < set.count; i++)
            chy_fd_closep(&set.fds[i]);
        return chy_fail(err, CHY_E_PROTOCOL, "the peer passed descriptors that were not to come");
    }
    ch->in_sets[ch->in_set_count++] = set;
    return CHY_OK;
}

static void in_compact(struct chy_channel *ch)
{
    if (ch->in_at == 0)
        return;
    for (size_t i = 0; i < ch->in_set_count; i++)
        ch->in_sets[i].mark -= ch->in_at; /* their frames are still to be delivered */
    chy_buf_consume(&ch->in, ch->in_at);
    ch->in_at = 0;
    if (ch->in.n == 0 && ch->in.cap > KEEP_BYTES) {
        size_t max = ch->in.max;
        chy_buf_done(&ch->in);
        chy_buf_init(&ch->in, max);
    }
}

/* One read. *ret_got is 0 when nothing waits; *ret_is_end when the peer has closed. */
static enum chy_err in_read(struct chy_channel *ch, size_t *ret_got, bool *ret_is_end,
                            struct chy_error *err)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(CHY_LIMIT_FRAME_FDS * sizeof(int))];
    } control;
    *ret_got = 0;
    *ret_is_end = false;
    in_compact(ch);
    uint8_t *room = chy_buf_room(&ch->in, READ_CHUNK);
    if (room == NULL)
        return chy_buf_check(&ch->in, err);
    struct iovec iov = { .iov_base = room, .iov_len = READ_CHUNK };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (ch->takes_fds) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
    }
    ssize_t n;
    do
        n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return CHY_OK;
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        *ret_is_end = true;
        return CHY_OK;
    }
    if (n < 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot read from a peer: %s",
                            chy_sys_text(errno));
    chy_buf_added(&ch->in, (size_t)n);
    *ret_got = (size_t)n;
    return fds_collect(ch, &msg, err);
}

/* The next whole frame of what was read. */
static enum chy_err in_next(struct chy_channel *ch, struct chy_frame *ret_frame,
                            bool *ret_has_frame, struct chy_error *err)
{
    struct chy_bytes rest = { ch->in.p, ch->in.n - ch->in_at };
    if (rest.n != 0)
        rest.p += ch->in_at;
    size_t used;
    struct chy_error cause;
    *ret_has_frame = false;
    if (chy_frame_decode(rest, ret_frame, &used, &cause) != CHY_OK)
        return chy_fail(err, CHY_E_PROTOCOL, "a peer sent a malformed frame: %s", cause.text);
    size_t end = used != 0 ? ch->in_at + used : ch->in.n;
    if (ch->in_set_count == 2 && ch->in_sets[1].mark <= end)
        return chy_fail(err, CHY_E_PROTOCOL, "a peer passed descriptors twice with one frame");
    if (used == 0)
        return CHY_OK;
    ch->in_set_usable = ch->in_set_count > 0 && ch->in_sets[0].mark <= end;
    ch->in_at = end;
    *ret_has_frame = true;
    return CHY_OK;
}

static void in_delivered(struct chy_channel *ch)
{
    if (ch->in_set_usable)
        in_set_drop(ch);
}

int chy_channel_take_fd(struct chy_channel *channel)
{
    struct fd_set_in *set = &channel->in_sets[0];
    if (!channel->in_set_usable || set->at == set->count)
        return -1;
    return chy_fd_take(&set->fds[set->at++]);
}

/* What it means that the peer has closed now. */
static enum chy_err end_code(const struct chy_channel *ch, struct chy_error *err)
{
    if (ch->in.n == ch->in_at)
        return CHY_OK;
    return chy_fail(err, CHY_E_PROTOCOL, "the peer closed within a frame, after %zu bytes of it",
                    ch->in.n - ch->in_at);
}

/* --- sending --- */

size_t chy_channel_pending_bytes(const struct chy_channel *channel)
{
    return channel->out.n - channel->out_at;
}

static void out_compact(struct chy_channel *ch)
{
    ch->out_start += ch->out_at;
    chy_buf_consume(&ch->out, ch->out_at);
    ch->out_at = 0;
    if (ch->out.n == 0 && ch->out.cap > KEEP_BYTES) {
        size_t max = ch->out.max;
        chy_buf_done(&ch->out);
        chy_buf_init(&ch->out, max);
    }
}

static enum chy_err out_room(struct chy_channel *ch, size_t body_bytes, struct chy_error *err)
{
    if (ch->fd < 0 || ch->is_write_broken)
        return chy_fail(err, CHY_E_STATE, "the channel is closed");
    if (body_bytes > CHY_FRAME_BODY_MAX || body_bytes > ch->send_limit - CHY_FRAME_HEADER_BYTES)
        return chy_fail(err, CHY_E_LIMIT, "a frame's body of %zu bytes, expected %zu at most",
                        body_bytes,
                        CHY_MIN(CHY_FRAME_BODY_MAX, ch->send_limit - CHY_FRAME_HEADER_BYTES));
    size_t all = CHY_FRAME_HEADER_BYTES + body_bytes;
    if (all > ch->send_limit - chy_channel_pending_bytes(ch))
        return chy_fail(err, CHY_E_BUSY, "%zu bytes wait for a peer that does not read",
                        chy_channel_pending_bytes(ch));
    if (all > ch->send_limit - ch->out.n)
        out_compact(ch);
    return CHY_OK;
}

enum chy_err chy_channel_send(struct chy_channel *channel, const struct chy_frame *frame,
                              struct chy_error *err)
{
    CHY_TRY(out_room(channel, frame->body.n, err));
    enum chy_err r = chy_frame_encode(&channel->out, frame, err);
    if (r != CHY_OK) {
        channel->out.is_out_of_memory = false; /* nothing was appended: the queue stays whole */
        return r;
    }
    if (channel->loop != NULL && !channel->is_blocked)
        chy_loop_defer(channel->loop, &channel->deferred);
    return CHY_OK;
}

enum chy_err chy_channel_send_fds(struct chy_channel *channel, const struct chy_frame *frame,
                                  const int *fds, size_t fd_count, struct chy_error *err)
{
    if (fd_count < 1 || fd_count > CHY_LIMIT_FRAME_FDS)
        return chy_fail(err, CHY_E_ARG, "a frame with %zu descriptors, expected 1 to %d", fd_count,
                        CHY_LIMIT_FRAME_FDS);
    if (channel->fd_frame_count == CHY_LIMIT_FD_FRAMES)
        return chy_fail(err, CHY_E_BUSY, "%d frames with descriptors wait already",
                        CHY_LIMIT_FD_FRAMES);
    CHY_TRY(out_room(channel, frame->body.n, err));
    struct fd_frame *f = &channel->fd_frames[channel->fd_frame_count];
    f->fd_count = 0;
    f->start = channel->out_start + channel->out.n;
    f->end = f->start + CHY_FRAME_HEADER_BYTES + frame->body.n;
    enum chy_err r = CHY_OK;
    while (r == CHY_OK && f->fd_count < fd_count) {
        r = chy_fd_dup(fds[f->fd_count], &f->fds[f->fd_count], err);
        if (r == CHY_OK)
            f->fd_count++;
    }
    if (r == CHY_OK)
        r = chy_channel_send(channel, frame, err);
    if (r == CHY_OK)
        channel->fd_frame_count++;
    for (size_t i = 0; r != CHY_OK && i < f->fd_count; i++)
        chy_fd_closep(&f->fds[i]);
    return r;
}

/* One write: up to the next frame with descriptors, or such a frame alone. */
static ssize_t out_write_once(struct chy_channel *ch)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(CHY_LIMIT_FRAME_FDS * sizeof(int))];
    } control = { .bytes = { 0 } };
    uint64_t place = ch->out_start + ch->out_at;
    struct iovec iov = { .iov_base = ch->out.p + ch->out_at, .iov_len = ch->out.n - ch->out_at };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    const struct fd_frame *f = ch->fd_frame_count != 0 ? &ch->fd_frames[0] : NULL;
    if (f != NULL && f->start == place) {
        iov.iov_len = (size_t)(f->end - f->start);
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(f->fd_count * sizeof(int));
        struct cmsghdr *c = &control.header;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(f->fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), f->fds, f->fd_count * sizeof(int));
    } else if (f != NULL) {
        iov.iov_len = (size_t)(f->start - place);
    }
    ssize_t n;
    do
        n = sendmsg(ch->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0 && msg.msg_control != NULL)
        fd_frame_pop(ch);
    return n;
}

/* Write what the socket takes. CHY_E_IO when it takes nothing any more. */
static enum chy_err out_write(struct chy_channel *ch, struct chy_error *err)
{
    while (chy_channel_pending_bytes(ch) > 0) {
        ssize_t n = out_write_once(ch);
        if (n < 0 && errno == EAGAIN)
            return CHY_OK;
        if (n < 0) {
            ch->is_write_broken = true;
            int e = errno;
            out_drop(ch);
            return chy_fail_sys(err, CHY_E_IO, e, "cannot write to a peer: %s", chy_sys_text(e));
        }
        ch->out_at += (size_t)n;
    }
    out_compact(ch);
    return CHY_OK;
}

/* --- on a loop --- */

/* Deliver the whole frames that were read; false when the channel ended. */
static bool frames_deliver(struct chy_channel *ch)
{
    struct chy_error err;
    struct chy_frame frame;
    bool has_frame = true;
    while (ch->fd >= 0) {
        enum chy_err r = in_next(ch, &frame, &has_frame, &err);
        if (r != CHY_OK)
            channel_end(ch, r, &err);
        if (r != CHY_OK || !has_frame)
            break;
        ch->handler.on_frame(ch->handler.ctx, ch, &frame);
        in_delivered(ch);
    }
    return ch->fd >= 0;
}

static void socket_read(struct chy_channel *ch)
{
    for (int i = 0; i < READS_PER_EVENT; i++) {
        struct chy_error err;
        size_t got;
        bool is_end;
        enum chy_err r = in_read(ch, &got, &is_end, &err);
        if (r != CHY_OK) {
            channel_end(ch, r, &err);
            return;
        }
        if (is_end) {
            r = end_code(ch, &err);
            channel_end(ch, r, r != CHY_OK ? &err : NULL);
            return;
        }
        if (got == 0 || !frames_deliver(ch))
            return;
    }
}

static void socket_write(struct chy_channel *ch)
{
    struct chy_error err;
    enum chy_err r = out_write(ch, &err);
    if (r == CHY_OK) {
        ch->is_blocked = chy_channel_pending_bytes(ch) > 0;
        r = chy_watch_modify(ch->watch, EPOLLIN | (ch->is_blocked ? (uint32_t)EPOLLOUT : 0), &err);
    } else {
        socket_read(ch); /* its last words may be there */
    }
    if (r != CHY_OK)
        channel_end(ch, r, &err);
}

static void socket_ready(void *ctx, uint32_t events)
{
    struct chy_channel *ch = ctx;
    ch->busy++;
    if ((events & EPOLLOUT) != 0)
        socket_write(ch);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && ch->fd >= 0)
        socket_read(ch);
    if (ch->fd < 0)
        in_fds_drop(ch);
    busy_end(ch);
}

static void channel_deferred(void *ctx)
{
    struct chy_channel *ch = ctx;
    ch->busy++;
    if (ch->in.n != ch->in_at) { /* read ahead before it was attached, or part of a frame */
        size_t before = ch->in_at;
        if (frames_deliver(ch) && ch->in_at != before)
            chy_loop_wake(ch->loop); /* the before-sleep hook has had its turn */
    }
    if (ch->fd >= 0)
        socket_write(ch);
    if (ch->fd < 0)
        in_fds_drop(ch);
    busy_end(ch);
}

enum chy_err chy_channel_attach(struct chy_channel *channel, struct chy_loop *loop,
                                const struct chy_channel_handler *handler, struct chy_error *err)
{
    if (channel->fd < 0 || channel->loop != NULL)
        return chy_fail(err, CHY_E_STATE, "the channel is closed, or attached already");
    in_delivered(channel);
    CHY_TRY(chy_watch_new(loop, channel->fd, EPOLLIN, socket_ready, channel, &channel->watch, err));
    channel->loop = loop;
    channel->handler = *handler;
    channel->deferred = (struct chy_deferred){ .fn = channel_deferred, .ctx = channel };
    if (channel->in.n != channel->in_at || chy_channel_pending_bytes(channel) > 0)
        chy_loop_defer(loop, &channel->deferred);
    return CHY_OK;
}

/* --- waiting --- */

enum chy_err chy_channel_flush_wait(struct chy_channel *channel, int64_t deadline_us,
                                    struct chy_error *err)
{
    if (channel->fd < 0 || channel->is_write_broken)
        return chy_fail(err, CHY_E_STATE, "the channel is closed");
    for (;;) {
        enum chy_err r = out_write(channel, err);
        if (r != CHY_OK || chy_channel_pending_bytes(channel) == 0)
            return r;
        CHY_TRY(chy_fd_wait(channel->fd, POLLOUT, deadline_us, err));
    }
}

/* Wait for the socket, write what it takes, read once. */
static enum chy_err wait_and_read(struct chy_channel *ch, int64_t deadline_us, bool *ret_is_end,
                                  struct chy_error *err)
{
    size_t got;
    if (chy_channel_pending_bytes(ch) > 0)
        CHY_IGNORE(out_write(ch, NULL)); /* a peer that is gone is told by the read */
    bool has_more = chy_channel_pending_bytes(ch) > 0;
    CHY_TRY(chy_fd_wait(ch->fd, (short)(POLLIN | (has_more ? POLLOUT : 0)), deadline_us, err));
    enum chy_err r = in_read(ch, &got, ret_is_end, err);
    if (r != CHY_OK)
        chy_channel_close(ch);
    return r;
}

enum chy_err chy_channel_receive_wait(struct chy_channel *channel, int64_t deadline_us,
                                      struct chy_frame *ret_frame, struct chy_error *err)
{
    if (channel->fd < 0 || channel->loop != NULL)
        return chy_fail(err, CHY_E_STATE, "the channel is closed, or attached to a loop");
    in_delivered(channel);
    for (;;) {
        bool has_frame;
        enum chy_err r = in_next(channel, ret_frame, &has_frame, err);
        if (r != CHY_OK)
            chy_channel_close(channel);
        if (r != CHY_OK || has_frame)
            return r;
        bool is_end = false;
        CHY_TRY(wait_and_read(channel, deadline_us, &is_end, err));
        if (is_end) {
            r = end_code(channel, err);
            chy_channel_close(channel);
            return r != CHY_OK ? r : chy_fail(err, CHY_E_NOT_FOUND, "the peer has closed");
        }
    }
}
