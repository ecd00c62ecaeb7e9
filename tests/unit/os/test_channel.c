/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"

#define SOON    (chy_clock_monotonic_us() + 20000000) /* never reached by a test that passes */
#define LOG_MAX 64

/* Two ends; what comes to `b` is noted. */
struct ends {
    struct chy_loop *loop;
    struct chy_channel *a;
    struct chy_channel *b;
    size_t frames;
    uint64_t ids[LOG_MAX];
    size_t body_bytes[LOG_MAX];
    int fds[LOG_MAX]; /* how many each frame had */
    unsigned closes;
    enum chy_err why;
    bool frees_itself;
    bool echoes;
    size_t stop_at;
};

static void note_frame(void *ctx, struct chy_channel *ch, const struct chy_frame *frame)
{
    struct ends *e = ctx;
    size_t i = e->frames % LOG_MAX;
    e->ids[i] = frame->id;
    e->body_bytes[i] = frame->body.n;
    e->fds[i] = 0;
    for (int fd = chy_channel_take_fd(ch); fd >= 0; fd = chy_channel_take_fd(ch)) {
        e->fds[i]++;
        close(fd);
    }
    e->frames++;
    if (e->echoes)
        assert_int_equal(chy_channel_send(ch, frame, NULL), CHY_OK);
    if (e->frees_itself)
        chy_channel_freep(&e->b);
    if (e->frames == e->stop_at)
        chy_loop_stop(e->loop);
}

static void note_close(void *ctx, struct chy_channel *ch, enum chy_err why,
                       const struct chy_error *err)
{
    struct ends *e = ctx;
    (void)ch;
    assert_true((why == CHY_OK) == (err == NULL));
    e->closes++;
    e->why = why;
    if (e->frees_itself)
        chy_channel_freep(&e->b);
    chy_loop_stop(e->loop);
}

static void ends_open(struct ends *e, size_t limit, bool takes_fds, int ret_fds[2])
{
    *e = (struct ends){ .stop_at = SIZE_MAX };
    struct chy_channel_options o = { .send_limit_bytes = limit, .takes_fds = takes_fds };
    assert_int_equal(chy_socket_pair(ret_fds, NULL), CHY_OK);
    assert_int_equal(chy_loop_new(&e->loop, NULL), CHY_OK);
    assert_int_equal(chy_channel_new(ret_fds[0], &o, &e->a, NULL), CHY_OK);
    assert_int_equal(chy_channel_new(ret_fds[1], &o, &e->b, NULL), CHY_OK);
}

static void b_attach(struct ends *e)
{
    struct chy_channel_handler h = { note_frame, note_close, e };
    assert_int_equal(chy_channel_attach(e->b, e->loop, &h, NULL), CHY_OK);
}

static void ends_done(struct ends *e)
{
    chy_channel_free(e->a);
    chy_channel_free(e->b);
    chy_loop_free(e->loop);
}

static struct chy_frame frame_of(uint64_t id, const void *p, size_t n)
{
    return (struct chy_frame){ .type = 7, .id = id, .body = { p, n } };
}

static void run(struct ends *e)
{
    assert_int_equal(chy_loop_run(e->loop, NULL), CHY_OK);
}

static void test_channel_wait__round_trip(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    struct chy_frame f = frame_of(42, "hello", 5);
    struct chy_frame got;
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_pending_bytes(e.a), 21);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    assert_int_equal(chy_channel_pending_bytes(e.a), 0);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK);
    assert_int_equal(got.type, 7);
    assert_int_equal(got.id, 42);
    assert_true(chy_bytes_equal(got.body, f.body));
    ends_done(&e);
}

static void test_channel_new__no_send_limit(void **state)
{
    (void)state;
    struct chy_channel_options o = { .send_limit_bytes = 15 };
    struct chy_channel *ch = NULL;
    assert_int_equal(chy_channel_new(0, &o, &ch, NULL), CHY_E_ARG);
    assert_null(ch);
}

static void test_channel_wait__deadline(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    struct chy_frame got;
    int64_t now = chy_clock_monotonic_us();
    assert_int_equal(chy_channel_receive_wait(e.b, now, &got, NULL), CHY_E_TIMEOUT);
    assert_true(chy_channel_is_open(e.b));
    ends_done(&e);
}

static void test_channel_wait__peer_closed_between_frames(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    struct chy_frame f = frame_of(1, "x", 1);
    struct chy_frame got;
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    chy_channel_freep(&e.a);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_NOT_FOUND);
    assert_false(chy_channel_is_open(e.b));
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_STATE);
    assert_int_equal(chy_channel_send(e.b, &f, NULL), CHY_E_STATE);
    assert_int_equal(chy_channel_flush_wait(e.b, SOON, NULL), CHY_E_STATE);
    ends_done(&e);
}

static void test_channel_wait__peer_closed_within_a_frame(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    struct chy_frame got;
    assert_int_equal(write(fds[0], "\0\0\0\x0c\0", 5), 5);
    chy_channel_freep(&e.a);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_PROTOCOL);
    ends_done(&e);
}

static void test_channel_wait__malformed_closes(void **state)
{
    (void)state;
    static const char *const bad[] = { "\0\0\0\x0b", "\xff\xff\xff\xff", "\0\0\0\x0c\0\1\0\1" };
    static const size_t sizes[] = { 4, 4, 8 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(bad); i++) {
        struct ends e;
        int fds[2];
        ends_open(&e, 1000, false, fds);
        struct chy_frame got;
        assert_int_equal(write(fds[0], bad[i], sizes[i]), (int)sizes[i]);
        assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_PROTOCOL);
        assert_false(chy_channel_is_open(e.b));
        ends_done(&e);
    }
}

static void test_channel_flush_wait__a_peer_that_is_gone(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    struct chy_frame f = frame_of(1, "x", 1);
    struct chy_frame last = frame_of(2, "bye", 3);
    struct chy_frame got;
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_send(e.b, &last, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.b, SOON, NULL), CHY_OK);
    chy_channel_freep(&e.b);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_E_IO); /* and no SIGPIPE */
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_E_STATE);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_E_STATE);
    assert_int_equal(chy_channel_receive_wait(e.a, SOON, &got, NULL), CHY_OK);
    assert_int_equal(got.id, last.id);
    assert_int_equal(chy_channel_receive_wait(e.a, SOON, &got, NULL), CHY_E_NOT_FOUND);
    assert_false(chy_channel_is_open(e.a));
    ends_done(&e);
}

static void test_channel_flush_wait__a_peer_that_does_not_read(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    size_t n = 8 << 20; /* more than a socket holds */
    ends_open(&e, n + 100, false, fds);
    uint8_t *p = calloc(1, n);
    struct chy_frame f = frame_of(1, p, n);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, chy_clock_monotonic_us(), NULL), CHY_E_TIMEOUT);
    assert_true(chy_channel_is_open(e.a));
    assert_true(chy_channel_pending_bytes(e.a) > 0);
    free(p);
    ends_done(&e);
}

static void test_channel_send__at_and_past_the_queue_limit(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 40, false, fds);
    char body[25] = { 0 };
    struct chy_frame f = frame_of(1, body, 25);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_E_LIMIT); /* could never leave */
    f.body.n = 4;
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK); /* 40 bytes: full */
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_E_BUSY);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    f.body.n = 24;
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    ends_done(&e);
}

static void test_channel_loop__many_frames_leave_in_one_write_in_order(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 100000, false, fds);
    b_attach(&e);
    struct chy_channel_handler h = { note_frame, note_close, &e };
    assert_int_equal(chy_channel_attach(e.a, e.loop, &h, NULL), CHY_OK);
    for (uint64_t i = 0; i < 50; i++) {
        struct chy_frame f = frame_of(i, "abc", 3);
        assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    }
    assert_int_equal(chy_loop_turn(e.loop, 0, NULL), CHY_OK); /* writes at its end */
    int waiting = 0;
    assert_int_equal(ioctl(fds[1], FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 50 * 19);
    e.stop_at = 50;
    run(&e);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(e.ids[i], i);
    ends_done(&e);
}

static void test_channel_loop__frames_larger_than_the_socket(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, (size_t)CHY_LIMIT_FRAME + 100, false, fds);
    b_attach(&e);
    struct chy_channel_handler h = { note_frame, note_close, &e };
    assert_int_equal(chy_channel_attach(e.a, e.loop, &h, NULL), CHY_OK);
    uint8_t *p = calloc(1, CHY_FRAME_BODY_MAX);
    struct chy_frame f = frame_of(5, p, CHY_FRAME_BODY_MAX);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    e.stop_at = 1;
    run(&e);
    assert_int_equal(e.body_bytes[0], CHY_FRAME_BODY_MAX);
    assert_int_equal(chy_channel_pending_bytes(e.a), 0);
    free(p);
    ends_done(&e);
}

static void test_channel_loop__bytes_one_by_one(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    static const char bytes[] = "\0\0\0\x0e\0\1\0\0\0\0\0\0\0\0\0\x09hi";
    for (size_t i = 0; i < 18; i++) {
        assert_int_equal(e.frames, 0);
        assert_int_equal(write(fds[0], bytes + i, 1), 1);
        assert_int_equal(chy_loop_turn(e.loop, SOON, NULL), CHY_OK);
    }
    assert_int_equal(e.frames, 1);
    assert_int_equal(e.ids[0], 9);
    ends_done(&e);
}

static void test_channel_loop__close_after_the_last_frame(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    struct chy_frame f = frame_of(1, "x", 1);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    chy_channel_freep(&e.a);
    run(&e);
    assert_int_equal(e.frames, 1);
    assert_int_equal(e.closes, 1);
    assert_int_equal(e.why, CHY_OK);
    assert_false(chy_channel_is_open(e.b));
    ends_done(&e);
}

static void test_channel_loop__malformed_after_a_good_frame(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    static const char bytes[] = "\0\0\0\x0c\0\1\0\0\0\0\0\0\0\0\0\x09\0\0\0\0";
    assert_int_equal(write(fds[0], bytes, 20), 20);
    run(&e);
    assert_int_equal(e.frames, 1);
    assert_int_equal(e.closes, 1);
    assert_int_equal(e.why, CHY_E_PROTOCOL);
    ends_done(&e);
}

static void test_channel_loop__last_words_are_read_when_writing_fails(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    struct chy_frame f = frame_of(3, "x", 1);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    chy_channel_freep(&e.a);
    assert_int_equal(chy_channel_send(e.b, &f, NULL), CHY_OK); /* fails at the end of the turn */
    run(&e);
    assert_int_equal(e.frames, 1);
    assert_int_equal(e.closes, 1);
    ends_done(&e);
}

static void test_channel_loop__write_only_shutdown_ends_it(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    assert_int_equal(shutdown(fds[0], SHUT_RD), 0); /* reads no more, and does not close */
    struct chy_frame f = frame_of(3, "x", 1);
    assert_int_equal(chy_channel_send(e.b, &f, NULL), CHY_OK);
    run(&e);
    assert_int_equal(e.closes, 1);
    assert_int_equal(e.why, CHY_E_IO);
    ends_done(&e);
}

static void test_channel_loop__freed_in_its_own_callback(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    e.frees_itself = true;
    struct chy_frame f = frame_of(1, "x", 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    assert_int_equal(chy_loop_turn(e.loop, SOON, NULL), CHY_OK);
    assert_int_equal(e.frames, 1); /* the other two are not delivered */
    assert_int_equal(e.closes, 0); /* who frees is not told */
    assert_null(e.b);
    ends_done(&e);
}

static void test_channel_loop__freed_when_told_of_the_close(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    b_attach(&e);
    e.frees_itself = true;
    chy_channel_freep(&e.a);
    run(&e);
    assert_int_equal(e.closes, 1);
    assert_null(e.b);
    ends_done(&e);
}

static void test_channel_attach__delivers_what_was_read_ahead(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 1000, false, fds);
    for (uint64_t i = 1; i <= 3; i++) {
        struct chy_frame f = frame_of(i, "x", 1);
        assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    }
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    struct chy_frame got;
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK);
    assert_int_equal(got.id, 1);
    b_attach(&e);
    e.stop_at = 2;
    run(&e);
    assert_int_equal(e.ids[0], 2);
    assert_int_equal(e.ids[1], 3);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_STATE);
    struct chy_channel_handler h = { note_frame, note_close, &e };
    assert_int_equal(chy_channel_attach(e.b, e.loop, &h, NULL), CHY_E_STATE);
    ends_done(&e);
}

static void test_channel_loop__echo_both_ways(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 100000, false, fds);
    b_attach(&e);
    e.echoes = true;
    e.stop_at = 30;
    for (uint64_t i = 0; i < 30; i++) {
        struct chy_frame f = frame_of(i, "x", 1);
        assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    }
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    run(&e);
    for (uint64_t i = 0; i < 30; i++) {
        struct chy_frame got;
        assert_int_equal(chy_channel_receive_wait(e.a, SOON, &got, NULL), CHY_OK);
        assert_int_equal(got.id, i);
    }
    ends_done(&e);
}

/* --- descriptors --- */

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_channel_fds__come_with_their_own_frame(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 100000, true, fds);
    b_attach(&e);
    int zero[2] = { 0, 0 };
    for (uint64_t i = 0; i < 9; i++) {
        struct chy_frame f = frame_of(i, "abcd", 4);
        enum chy_err r = i % 3 == 1 ? chy_channel_send_fds(e.a, &f, zero, i == 4 ? 2 : 1, NULL)
                                    : chy_channel_send(e.a, &f, NULL);
        assert_int_equal(r, CHY_OK);
    }
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    e.stop_at = 9;
    run(&e);
    static const int expected[] = { 0, 1, 0, 0, 2, 0, 0, 1, 0 };
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(e.fds[i], expected[i]);
    ends_done(&e);
}

static void test_channel_fds__with_a_frame_in_many_pieces(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    size_t n = 4 << 20;
    ends_open(&e, n + 1000, true, fds);
    b_attach(&e);
    struct chy_channel_handler h = { note_frame, note_close, &e };
    assert_int_equal(chy_channel_attach(e.a, e.loop, &h, NULL), CHY_OK);
    uint8_t *p = calloc(1, n);
    int zero = 0;
    struct chy_frame big = frame_of(1, p, n);
    struct chy_frame small = frame_of(2, "x", 1);
    assert_int_equal(chy_channel_send(e.a, &small, NULL), CHY_OK);
    assert_int_equal(chy_channel_send_fds(e.a, &big, &zero, 1, NULL), CHY_OK);
    assert_int_equal(chy_channel_send(e.a, &small, NULL), CHY_OK);
    assert_int_equal(chy_channel_send_fds(e.a, &small, &zero, 1, NULL), CHY_OK);
    e.stop_at = 4;
    run(&e);
    assert_int_equal(e.fds[0], 0);
    assert_int_equal(e.fds[1], 1);
    assert_int_equal(e.fds[2], 0);
    assert_int_equal(e.fds[3], 1);
    free(p);
    ends_done(&e);
}

static void test_channel_fds__most_per_frame_and_one_more(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    int zeros[CHY_LIMIT_FRAME_FDS + 1] = { 0 };
    ends_open(&e, 1000, true, fds);
    struct chy_frame f = frame_of(1, NULL, 0);
    struct chy_frame got;
    assert_int_equal(chy_channel_send_fds(e.a, &f, zeros, CHY_LIMIT_FRAME_FDS + 1, NULL),
                     CHY_E_ARG);
    assert_int_equal(chy_channel_send_fds(e.a, &f, zeros, 0, NULL), CHY_E_ARG);
    assert_int_equal(chy_channel_send_fds(e.a, &f, zeros, CHY_LIMIT_FRAME_FDS, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK);
    for (int i = 0; i < CHY_LIMIT_FRAME_FDS; i++) {
        int fd = chy_channel_take_fd(e.b);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
    }
    assert_int_equal(chy_channel_take_fd(e.b), -1);
    ends_done(&e);
}

static void test_channel_fds__queue_of_frames_with_them_is_bounded(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    int zero = 0;
    ends_open(&e, 100000, true, fds);
    struct chy_frame f = frame_of(1, NULL, 0);
    for (int i = 0; i < CHY_LIMIT_FD_FRAMES; i++)
        assert_int_equal(chy_channel_send_fds(e.a, &f, &zero, 1, NULL), CHY_OK);
    assert_int_equal(chy_channel_send_fds(e.a, &f, &zero, 1, NULL), CHY_E_BUSY);
    assert_int_equal(chy_channel_send(e.a, &f, NULL), CHY_OK);
    ends_done(&e);
}

static void test_channel_fds__nothing_leaks(void **state)
{
    (void)state;
    int before = count_fds();
    struct ends e;
    int fds[2];
    int zeros[2] = { 0, 0 };
    int bad[2] = { 0, 9999 };
    ends_open(&e, 1000, true, fds);
    struct chy_frame f = frame_of(1, NULL, 0);
    struct chy_frame got;
    assert_int_not_equal(chy_channel_send_fds(e.a, &f, bad, 2, NULL), CHY_OK);
    assert_int_equal(chy_channel_pending_bytes(e.a), 0);
    assert_int_equal(chy_channel_send_fds(e.a, &f, zeros, 2, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    assert_int_equal(chy_channel_send_fds(e.a, &f, zeros, 2, NULL), CHY_OK);   /* never written */
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK); /* never taken */
    ends_done(&e);
    assert_int_equal(count_fds(), before);
}

static void test_channel_fds__uninvited_end_the_channel(void **state)
{
    (void)state;
    int before = count_fds();
    struct ends e;
    int fds[2];
    int zero = 0;
    ends_open(&e, 1000, false, fds);
    struct chy_frame f = frame_of(1, NULL, 0);
    struct chy_frame got;
    assert_int_equal(chy_channel_send_fds(e.a, &f, &zero, 1, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_PROTOCOL);
    ends_done(&e);
    assert_int_equal(count_fds(), before);
}

/* A peer that does not keep to our rules: descriptors on each byte of one frame, or too many. */
static void raw_send(int fd, const void *p, size_t n, size_t fd_count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(32 * sizeof(int))];
    } control = { .bytes = { 0 } };
    char copy[64];
    memcpy(copy, p, n);
    struct iovec iov = { copy, n };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = CMSG_SPACE(fd_count * sizeof(int)) };
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int)); /* descriptor 0, fd_count times */
    assert_int_equal(sendmsg(fd, &msg, 0), (int)n);
}

static void test_channel_fds__hostile_peers(void **state)
{
    (void)state;
    int before = count_fds();
    struct chy_frame got;
    for (int kind = 0; kind < 2; kind++) {
        struct ends e;
        int fds[2];
        ends_open(&e, 1000, true, fds);
        if (kind == 0) {
            raw_send(fds[0], "\0\0", 2, 1);
            raw_send(fds[0], "\0\x0c", 2, 1);
        } else {
            raw_send(fds[0], "\0\0\0\x0c", 4, CHY_LIMIT_FRAME_FDS + 1);
        }
        assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_E_PROTOCOL);
        ends_done(&e);
    }
    assert_int_equal(count_fds(), before);
}

/* --- allocation sweep --- */

/* Everything that allocates, once; false when an allocation was refused. */
static bool sweep_once(struct chy_loop *loop, int fds[2])
{
    struct chy_channel_options o = { .send_limit_bytes = 100000, .takes_fds = true };
    struct ends e = { .stop_at = SIZE_MAX, .loop = loop };
    struct chy_channel_handler h = { note_frame, note_close, &e };
    bool is_done = false;
    char body[1000] = { 0 };
    struct chy_frame f = frame_of(1, body, sizeof body);
    struct chy_frame got;
    if (chy_channel_new(fds[0], &o, &e.a, NULL) == CHY_OK &&
        chy_channel_new(fds[1], &o, &e.b, NULL) == CHY_OK &&
        chy_channel_send(e.a, &f, NULL) == CHY_OK &&
        chy_channel_send_fds(e.a, &f, fds, 1, NULL) == CHY_OK &&
        chy_channel_flush_wait(e.a, SOON, NULL) == CHY_OK &&
        chy_channel_receive_wait(e.b, SOON, &got, NULL) == CHY_OK &&
        chy_channel_attach(e.b, loop, &h, NULL) == CHY_OK)
        is_done = chy_loop_turn(loop, SOON, NULL) == CHY_OK && e.frames == 1;
    if (e.a == NULL)
        close(fds[0]);
    if (e.b == NULL)
        close(fds[1]);
    chy_channel_free(e.a);
    chy_channel_free(e.b);
    return is_done;
}

static void test_channel__allocation_sweep(void **state)
{
    (void)state;
    int before = count_fds();
    bool is_done = false;
    for (size_t n = 0; !is_done; n++) {
        assert_true(n < 100);
        struct chy_loop *loop;
        int fds[2];
        assert_int_equal(chy_loop_new(&loop, NULL), CHY_OK);
        assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
        chy_mem_fail_after(n);
        is_done = sweep_once(loop, fds);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_true(is_done != has_failed);
        chy_loop_free(loop);
        assert_int_equal(count_fds(), before);
    }
}

static void test_channel_send__out_of_memory_keeps_the_queue_whole(void **state)
{
    (void)state;
    struct ends e;
    int fds[2];
    ends_open(&e, 100000, false, fds);
    char body[5000] = { 0 };
    struct chy_frame small = frame_of(1, "x", 1);
    struct chy_frame big = frame_of(2, body, sizeof body);
    struct chy_frame got;
    assert_int_equal(chy_channel_send(e.a, &small, NULL), CHY_OK);
    chy_mem_fail_after(0);
    enum chy_err r = chy_channel_send(e.a, &big, NULL);
    chy_mem_fail_after(SIZE_MAX);
    assert_int_equal(r, CHY_E_NOMEM);
    small.id = 3;
    assert_int_equal(chy_channel_send(e.a, &small, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(e.a, SOON, NULL), CHY_OK);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK);
    assert_int_equal(got.id, 1);
    assert_int_equal(chy_channel_receive_wait(e.b, SOON, &got, NULL), CHY_OK);
    assert_int_equal(got.id, 3);
    ends_done(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_wait__round_trip),
        cmocka_unit_test(test_channel_new__no_send_limit),
        cmocka_unit_test(test_channel_wait__deadline),
        cmocka_unit_test(test_channel_wait__peer_closed_between_frames),
        cmocka_unit_test(test_channel_wait__peer_closed_within_a_frame),
        cmocka_unit_test(test_channel_wait__malformed_closes),
        cmocka_unit_test(test_channel_flush_wait__a_peer_that_is_gone),
        cmocka_unit_test(test_channel_flush_wait__a_peer_that_does_not_read),
        cmocka_unit_test(test_channel_send__at_and_past_the_queue_limit),
        cmocka_unit_test(test_channel_loop__many_frames_leave_in_one_write_in_order),
        cmocka_unit_test(test_channel_loop__frames_larger_than_the_socket),
        cmocka_unit_test(test_channel_loop__bytes_one_by_one),
        cmocka_unit_test(test_channel_loop__close_after_the_last_frame),
        cmocka_unit_test(test_channel_loop__malformed_after_a_good_frame),
        cmocka_unit_test(test_channel_loop__last_words_are_read_when_writing_fails),
        cmocka_unit_test(test_channel_loop__write_only_shutdown_ends_it),
        cmocka_unit_test(test_channel_loop__freed_in_its_own_callback),
        cmocka_unit_test(test_channel_loop__freed_when_told_of_the_close),
        cmocka_unit_test(test_channel_attach__delivers_what_was_read_ahead),
        cmocka_unit_test(test_channel_loop__echo_both_ways),
        cmocka_unit_test(test_channel_fds__come_with_their_own_frame),
        cmocka_unit_test(test_channel_fds__with_a_frame_in_many_pieces),
        cmocka_unit_test(test_channel_fds__most_per_frame_and_one_more),
        cmocka_unit_test(test_channel_fds__queue_of_frames_with_them_is_bounded),
        cmocka_unit_test(test_channel_fds__nothing_leaks),
        cmocka_unit_test(test_channel_fds__uninvited_end_the_channel),
        cmocka_unit_test(test_channel_fds__hostile_peers),
        cmocka_unit_test(test_channel__allocation_sweep),
        cmocka_unit_test(test_channel_send__out_of_memory_keeps_the_queue_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
