/* SPDX-License-Identifier: MIT */
#include "client/confined.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file_stream.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/socket.h"

#define PART_BYTES 65536
#define CODE_BYTES 4

/* An answer is a code of enum chy_err, negated, in four bytes; then what was found, or a text. */

struct chy_confined_child {
    struct chy_confined asked; /* of it the parent needs no context */
    struct chy_process process;
    int fd; /* its answer */
    int64_t deadline_us;
};

/* --- the child --- */

/* Of the parent's descriptors none but these. A loose build keeps standard error for what a
 * sanitizer has to say. */
static bool close_others(int a, int b)
{
    unsigned first = chy_sandbox_is_loose() ? STDERR_FILENO + 1 : 0;
    unsigned low = (unsigned)CHY_MIN(a, b);
    unsigned high = (unsigned)CHY_MAX(a, b);
    return (low <= first || close_range(first, low - 1, 0) == 0) &&
           (high == low + 1 || close_range(low + 1, high - 1, 0) == 0) &&
           close_range(high + 1, UINT_MAX, 0) == 0;
}

static enum chy_err enter_sandbox(struct chy_error *err)
{
    const struct chy_sandbox sandbox = {
        .name = "confined",
        .max_memory_bytes = CHY_LIMIT_INSPECT_MEMORY,
        .limits_files = true,
        .limits_calls = true,
        .computes_only = true,
    };
    struct chy_sandbox_result result;
    return chy_sandbox_enter(&sandbox, &result, err);
}

static enum chy_err answer_make(const struct chy_confined *c, struct chy_buf *out)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_error err;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_append_u32(out, 0);
    enum chy_err r = enter_sandbox(&err);
    if (r == CHY_OK)
        r = c->work(c->ctx, c->fd, &arena, out, &err);
    if (r != CHY_OK) {
        chy_buf_clear(out);
        chy_buf_append_u32(out, (uint32_t) - (int)r);
        chy_buf_append_c(out, err.text);
    }
    return chy_buf_check(out, NULL);
}

static enum chy_err child_run(const struct chy_confined *c, int to)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, CODE_BYTES + CHY_MAX(c->max_bytes, (size_t)CHY_ERROR_TEXT_BYTES));
    if (!close_others(c->fd, to))
        return CHY_E_IO;
    CHY_TRY(chy_fd_set_nonblocking(to, false, NULL));
    CHY_TRY(answer_make(c, &out));
    return chy_fd_write(to, chy_buf_bytes(&out), NULL);
}

/* --- the parent --- */

static enum chy_err answer_read(const struct chy_confined *c, int fd, int64_t deadline_us,
                                struct chy_buf *answer, struct chy_error *err)
{
    CHY_TRY(chy_fd_set_nonblocking(fd, false, err));
    for (;;) {
        size_t n = 0;
        enum chy_err r = chy_fd_wait(fd, POLLIN, deadline_us, err);
        if (r == CHY_E_TIMEOUT)
            return chy_fail(err, r, "reading %s took more than %u ms", c->what, c->timeout_ms);
        if (r != CHY_OK)
            return r;
        uint8_t *room = chy_buf_room(answer, PART_BYTES);
        if (room == NULL)
            return chy_buf_check(answer, err);
        CHY_TRY(chy_fd_read(fd, room, PART_BYTES, &n, err));
        if (n == 0)
            return CHY_OK;
        chy_buf_added(answer, n);
    }
}

static enum chy_err answer_take(const struct chy_confined *c, struct chy_bytes answer,
                                struct chy_process_end end, struct chy_buf *out,
                                struct chy_error *err)
{
    char text[CHY_PROCESS_END_TEXT_BYTES];
    chy_process_end_text(end, text);
    if (end.was_signal || end.value != 0 || answer.n < CODE_BYTES)
        return chy_fail(err, CHY_E_UNSUPPORTED, "%s could not be read: its reader %s", c->what,
                        text);
    uint32_t code = (uint32_t)answer.p[2] << 8 | answer.p[3];
    struct chy_bytes rest = { answer.p + CODE_BYTES, answer.n - CODE_BYTES };
    if (code != 0)
        return chy_fail(err,
                        chy_err_is_known(-(int)code) ? (enum chy_err) - (int)code : CHY_E_INTERNAL,
                        "%.*s", CHY_STR_ARG(chy_bytes_str(rest)));
    chy_buf_append(out, rest);
    return chy_buf_check(out, err);
}

enum chy_err chy_confined_start(const struct chy_confined *c, struct chy_confined_child **ret_child,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_confined_freep)
    struct chy_confined_child *child = chy_new(struct chy_confined_child);
    bool is_child;
    int pair[2];
    if (child == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to read %s", c->what);
    child->process = (struct chy_process){ -1, -1 };
    child->fd = -1;
    child->asked = *c;
    child->deadline_us = chy_clock_monotonic_us() + (int64_t)c->timeout_ms * 1000;
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int its = pair[1];
    child->fd = pair[0];
    CHY_TRY(chy_process_fork(&child->process, &is_child, err));
    if (is_child)
        chy_process_leave(child_run(c, its) == CHY_OK ? 0 : 1);
    *ret_child = CHY_TAKE(child);
    return CHY_OK;
}

enum chy_err chy_confined_finish(struct chy_confined_child *child, struct chy_buf *out,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf answer;
    struct chy_process_end end;
    chy_buf_init(&answer, child->asked.max_bytes + (size_t)2 * PART_BYTES);
    CHY_TRY(answer_read(&child->asked, child->fd, child->deadline_us, &answer, err));
    CHY_TRY(chy_process_wait(&child->process, child->deadline_us, &end, err));
    return answer_take(&child->asked, chy_buf_bytes(&answer), end, out, err);
}

void chy_confined_free(struct chy_confined_child *child)
{
    if (child == NULL)
        return;
    chy_process_endp(&child->process);
    chy_fd_closep(&child->fd);
    chy_free(child);
}

void chy_confined_freep(struct chy_confined_child **child)
{
    chy_confined_free(*child);
    *child = NULL;
}

enum chy_err chy_confined_run(const struct chy_confined *c, struct chy_buf *out,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_confined_freep) struct chy_confined_child *child = NULL;
    CHY_TRY(chy_confined_start(c, &child, err));
    return chy_confined_finish(child, out, err);
}
