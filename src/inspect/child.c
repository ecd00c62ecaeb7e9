/* SPDX-License-Identifier: MIT */
#include "inspect/child.h"

#include <limits.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/frame.h"
#include "os/fd.h"
#include "os/sandbox.h"

enum {
    NO_ANSWER = 1
};

/* Of the parent's descriptors none but this: a document that takes the reader over must not speak
 * for inspect to anybody. A loose build keeps standard error for what a sanitizer has to say. */
static bool close_others(int fd)
{
    unsigned first = chy_sandbox_is_loose() ? STDERR_FILENO + 1 : 0;
    unsigned kept = (unsigned)fd;
    return (kept == first || close_range(first, kept - 1, 0) == 0) &&
           close_range(kept + 1, UINT_MAX, 0) == 0;
}

static enum chy_err enter_sandbox(struct chy_error *err)
{
    const struct chy_sandbox sandbox = {
        .name = "reader",
        .max_memory_bytes = CHY_LIMIT_INSPECT_MEMORY,
        .limits_files = true,
        .limits_calls = true,
    };
    struct chy_sandbox_result result;
    return chy_sandbox_enter(&sandbox, &result, err);
}

static enum chy_err read_document(inspect_run_fn *run, struct chy_bytes body,
                                  struct chy_arena *arena, struct chy_buf *out,
                                  struct chy_error *err)
{
    struct chy_inspect_request request;
    struct chy_inspect_reply reply = { .code = 0 };
    CHY_TRY(enter_sandbox(err));
    CHY_TRY(chy_schema_decode(&chy_inspect_request_schema, body, arena, &request, err));
    CHY_TRY(run(&request, arena, &reply, err));
    return chy_schema_encode(&chy_inspect_reply_schema, &reply, out, err);
}

static enum chy_err answer_error(enum chy_err code, const struct chy_error *why,
                                 struct chy_buf *out)
{
    struct chy_inspect_reply reply = { .code = (uint32_t) - (int)code,
                                       .text = chy_str_of(why->text) };
    chy_buf_clear(out);
    return chy_schema_encode(&chy_inspect_reply_schema, &reply, out, NULL);
}

static enum chy_err child_run(inspect_run_fn *run, struct chy_bytes body, int fd)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    struct chy_error err;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_init(&out, CHY_FRAME_BODY_MAX);
    CHY_TRY(chy_fd_set_nonblocking(fd, false, NULL));
    enum chy_err r = read_document(run, body, &arena, &out, &err);
    if (r != CHY_OK)
        CHY_TRY(answer_error(r, &err, &out));
    return chy_fd_write(fd, chy_buf_bytes(&out), NULL);
}

void inspect_child_run(inspect_run_fn *run, struct chy_bytes body, int fd)
{
    bool is_done = close_others(fd) && child_run(run, body, fd) == CHY_OK;
    _exit(is_done ? 0 : NO_ANSWER); /* checksrc: a fork ends where its work ends */
}
