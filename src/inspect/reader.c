/* SPDX-License-Identifier: MIT */
#include "inspect/reader.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/frame.h"
#include "inspect/child.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/sys.h"

#define READ_BYTES 65536

struct document {
    struct document *prev;
    struct document *next;
    unsigned peer;
    uint64_t id;
    size_t n;
    uint8_t bytes[];
};

struct reader {
    struct reader *prev;
    struct reader *next;
    struct inspect_readers *all;
    unsigned peer;
    uint64_t id;
    bool is_wanted; /* its peer waits for the answer */
    struct chy_process process;
    struct chy_process_end end;
    int fd; /* its answer comes here */
    struct chy_watch *answer_watch;
    struct chy_watch *end_watch;
    struct chy_timer *timer;
    struct chy_buf answer;
    bool has_answered; /* nothing more will come on `fd` */
    bool has_ended;
    bool is_late;
};

struct inspect_readers {
    struct inspect_readers_options options;
    struct reader *running;
    struct document *waiting;
    size_t running_count[INSPECT_PEERS];
    size_t waiting_count[INSPECT_PEERS];
    size_t waiting_bytes[INSPECT_PEERS];
    struct chy_deferred next; /* a reader has ended: start others */
};

static void start_next(void *ctx);

/* --- answering --- */

static void answer_error(struct inspect_readers *r, unsigned peer, uint64_t id,
                         const struct chy_error *why)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CHY_FRAME_BODY_MAX);
    struct chy_inspect_reply reply = { .code = (uint32_t) - (int)why->code,
                                       .text = chy_str_of(why->text) };
    struct chy_error err;
    if (chy_schema_encode(&chy_inspect_reply_schema, &reply, &out, &err) == CHY_OK)
        r->options.answer(r->options.ctx, peer, id, chy_buf_bytes(&out));
    else
        chy_log(r->options.log, CHY_LOG_ERROR, "document.not_answered", CHY_L_ERR(&err));
}

/* A reader may be in a hostile document's hands: what it says must at least decode. */
static enum chy_err answer_check(const struct reader *rd, struct chy_error *err)
{
    char text[CHY_PROCESS_END_TEXT_BYTES];
    chy_process_end_text(rd->end, text);
    if (rd->is_late)
        return chy_fail(err, CHY_E_TIMEOUT, "the document could not be read within %u ms",
                        rd->all->options.timeout_ms);
    if (rd->end.was_signal || rd->end.value != 0)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the document could not be read: its reader %s",
                        text);
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_inspect_reply reply;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_buf_check(&rd->answer, err);
    if (r == CHY_OK)
        r = chy_schema_decode(&chy_inspect_reply_schema, chy_buf_bytes(&rd->answer), &arena, &reply,
                              err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "the document's reader gave no proper answer");
    return CHY_OK;
}

/* --- one reader --- */

static void reader_free(struct reader *rd)
{
    struct inspect_readers *r = rd->all;
    DL_DELETE(r->running, rd);
    r->running_count[rd->peer]--;
    chy_watch_free(rd->answer_watch);
    chy_watch_free(rd->end_watch);
    chy_timer_free(rd->timer);
    chy_process_endp(&rd->process);
    chy_fd_closep(&rd->fd);
    chy_buf_done(&rd->answer);
    chy_free(rd);
    chy_loop_defer(r->options.loop, &r->next);
}

static void reader_conclude(struct reader *rd)
{
    struct inspect_readers *r = rd->all;
    struct chy_error why;
    if (!rd->has_answered || !rd->has_ended)
        return;
    enum chy_err verdict = answer_check(rd, &why);
    if (verdict != CHY_OK) {
        why.code = verdict == CHY_E_TIMEOUT ? verdict : CHY_E_UNSUPPORTED;
        chy_log(r->options.log, CHY_LOG_WARNING, "document.failed",
                CHY_L_CSTR("peer", rd->peer == 0 ? "signer" : "query"), CHY_L_ERR(&why));
    }
    if (rd->is_wanted && verdict == CHY_OK)
        r->options.answer(r->options.ctx, rd->peer, rd->id, chy_buf_bytes(&rd->answer));
    else if (rd->is_wanted)
        answer_error(r, rd->peer, rd->id, &why);
    reader_free(rd);
}

static void reader_kill(struct reader *rd)
{
    /* One that has ended already is no error, and another one there is not. */
    CHY_IGNORE(chy_process_signal(&rd->process, SIGKILL, NULL));
}

static void answer_end(struct reader *rd)
{
    chy_watch_freep(&rd->answer_watch);
    chy_fd_closep(&rd->fd);
    rd->has_answered = true;
    reader_conclude(rd);
}

static void on_answer(void *ctx, uint32_t events)
{
    struct reader *rd = ctx;
    (void)events;
    uint8_t *room = chy_buf_room(&rd->answer, READ_BYTES);
    if (room == NULL) {
        /* Too much, or no memory for it: chy_buf_check() will tell which. */
        reader_kill(rd);
        answer_end(rd);
        return;
    }
    ssize_t n = read(rd->fd, room, READ_BYTES);
    if (n > 0) {
        chy_buf_added(&rd->answer, (size_t)n);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        answer_end(rd); /* a reset is as good as an end: the answer must decode anyway */
    }
}

static void on_end(void *ctx, uint32_t events)
{
    struct reader *rd = ctx;
    (void)events;
    chy_watch_freep(&rd->end_watch);
    struct chy_error err;
    if (chy_process_wait(&rd->process, 0, &rd->end, &err) != CHY_OK) {
        chy_log(rd->all->options.log, CHY_LOG_ERROR, "reader.lost", CHY_L_ERR(&err));
        rd->end = (struct chy_process_end){ true, SIGKILL };
    }
    rd->has_ended = true;
    reader_conclude(rd);
}

static void on_late(void *ctx)
{
    struct reader *rd = ctx;
    rd->is_late = true;
    reader_kill(rd);
}

/* --- starting one --- */

static enum chy_err reader_fork(struct reader *rd, struct chy_bytes body, struct chy_error *err)
{
    int fds[2];
    bool is_child;
    CHY_TRY(chy_socket_pair(fds, err));
    rd->fd = fds[0];
    CHY_CLEANUP(chy_fd_closep) int theirs = fds[1];
    CHY_TRY(chy_process_fork(&rd->process, &is_child, err));
    if (is_child)
        inspect_child_run(rd->all->options.run, body, theirs);
    return CHY_OK;
}

static enum chy_err reader_watch(struct reader *rd, struct chy_error *err)
{
    struct chy_loop *loop = rd->all->options.loop;
    CHY_TRY(chy_watch_new(loop, rd->fd, EPOLLIN, on_answer, rd, &rd->answer_watch, err));
    CHY_TRY(chy_watch_new(loop, rd->process.pidfd, EPOLLIN, on_end, rd, &rd->end_watch, err));
    CHY_TRY(chy_timer_new(loop, on_late, rd, &rd->timer, err));
    chy_timer_set(rd->timer,
                  chy_clock_monotonic_us() + (int64_t)rd->all->options.timeout_ms * 1000);
    return CHY_OK;
}

static void reader_start(struct inspect_readers *r, unsigned peer, uint64_t id,
                         struct chy_bytes body)
{
    struct chy_error err;
    struct reader *rd = chy_new(struct reader);
    if (rd == NULL) {
        chy_fail(&err, CHY_E_NOMEM, "no memory for the reader of a document");
        answer_error(r, peer, id, &err);
        return;
    }
    *rd = (struct reader){
        .all = r, .peer = peer, .id = id, .is_wanted = true, .fd = -1, .process = { -1, -1 }
    };
    chy_buf_init(&rd->answer, CHY_FRAME_BODY_MAX + READ_BYTES);
    DL_APPEND(r->running, rd);
    r->running_count[peer]++;
    enum chy_err e = reader_fork(rd, body, &err);
    if (e == CHY_OK)
        e = reader_watch(rd, &err);
    if (e == CHY_OK)
        return;
    chy_log(r->options.log, CHY_LOG_ERROR, "reader.not_started", CHY_L_ERR(&err));
    chy_fail(&err, CHY_E_BUSY, "no process could be started to read the document");
    answer_error(r, peer, id, &err);
    reader_free(rd);
}

/* --- the queue --- */

static size_t running_all(const struct inspect_readers *r)
{
    size_t n = 0;
    for (unsigned i = 0; i < INSPECT_PEERS; i++)
        n += r->running_count[i];
    return n;
}

static void document_drop(struct inspect_readers *r, struct document *d)
{
    DL_DELETE(r->waiting, d);
    r->waiting_count[d->peer]--;
    r->waiting_bytes[d->peer] -= d->n;
    chy_free(d);
}

/* The oldest document of the peer that has the fewest readers: neither can starve the other. */
static struct document *document_choose(struct inspect_readers *r)
{
    struct document *best = NULL;
    struct document *d;
    DL_FOREACH(r->waiting, d)
    if (best == NULL || r->running_count[d->peer] < r->running_count[best->peer])
        best = d;
    return best;
}

static void start_next(void *ctx)
{
    struct inspect_readers *r = ctx;
    while (r->waiting != NULL && running_all(r) < CHY_LIMIT_INSPECT_READERS) {
        struct document *d = document_choose(r);
        reader_start(r, d->peer, d->id, (struct chy_bytes){ d->bytes, d->n });
        document_drop(r, d);
    }
}

static void document_queue(struct inspect_readers *r, unsigned peer, uint64_t id,
                           struct chy_bytes body)
{
    struct chy_error err;
    struct document *d = NULL;
    if (r->waiting_count[peer] < CHY_LIMIT_INSPECT_QUEUE &&
        r->waiting_bytes[peer] + body.n <= CHY_LIMIT_INSPECT_QUEUE_BYTES)
        d = chy_malloc(sizeof *d + body.n);
    if (d == NULL) {
        chy_fail(&err, CHY_E_BUSY, "too many documents wait to be read");
        answer_error(r, peer, id, &err);
        return;
    }
    *d = (struct document){ .peer = peer, .id = id, .n = body.n };
    chy_copy(d->bytes, body.p, body.n);
    DL_APPEND(r->waiting, d);
    r->waiting_count[peer]++;
    r->waiting_bytes[peer] += body.n;
}

void inspect_readers_add(struct inspect_readers *r, unsigned peer, uint64_t id,
                         struct chy_bytes body)
{
    CHY_ASSERT(peer < INSPECT_PEERS);
    if (r->waiting == NULL && running_all(r) < CHY_LIMIT_INSPECT_READERS)
        reader_start(r, peer, id, body);
    else
        document_queue(r, peer, id, body);
}

void inspect_readers_drop(struct inspect_readers *r, unsigned peer)
{
    struct document *d;
    struct document *after;
    DL_FOREACH_SAFE(r->waiting, d, after)
    if (d->peer == peer)
        document_drop(r, d);
    struct reader *rd;
    DL_FOREACH(r->running, rd)
    if (rd->peer == peer) {
        rd->is_wanted = false;
        reader_kill(rd);
    }
}

size_t inspect_readers_pending(const struct inspect_readers *r)
{
    size_t n = running_all(r);
    for (unsigned i = 0; i < INSPECT_PEERS; i++)
        n += r->waiting_count[i];
    return n;
}

enum chy_err inspect_readers_new(const struct inspect_readers_options *options,
                                 struct inspect_readers **ret_readers, struct chy_error *err)
{
    struct inspect_readers *r = chy_new(struct inspect_readers);
    if (r == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the readers of documents");
    r->options = *options;
    r->next = (struct chy_deferred){ .fn = start_next, .ctx = r };
    *ret_readers = r;
    return CHY_OK;
}

void inspect_readers_free(struct inspect_readers *r)
{
    if (r == NULL)
        return;
    struct reader *rd;
    struct reader *next_rd;
    DL_FOREACH_SAFE(r->running, rd, next_rd)
    reader_free(rd);
    struct document *d;
    struct document *next_d;
    DL_FOREACH_SAFE(r->waiting, d, next_d)
    document_drop(r, d);
    chy_loop_undefer(r->options.loop, &r->next);
    chy_free(r);
}
