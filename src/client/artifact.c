/* SPDX-License-Identifier: MIT */
#include "client/artifact.h"

#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_stream.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/socket.h"
#include "os/sys.h"

#define ANSWER_BYTES 4096 /* the facts, with a text of theirs */

/* What the child says: a code of enum chy_err, and the facts or a text. */
struct answer {
    uint32_t code;
    struct chy_str text;
    struct chy_format_facts facts;
};
static const struct chy_field answer_fields[] = {
    CHY_F_U32(struct answer, code, 0, 0, UINT32_MAX, "minus enum chy_err"),
    CHY_F_STR(struct answer, text, 0, 0, CHY_LIMIT_TEXT, "what went wrong"),
    CHY_F_STRUCT(struct answer, facts, &chy_format_facts_schema, struct chy_format_facts, 0,
                 "what the file is"),
};
static const struct chy_schema answer_schema =
    CHY_SCHEMA("ArtifactAnswer", struct answer, answer_fields, "What the child found.");

/* --- the child --- */

/* Of the parent's descriptors none but these. A loose build keeps standard error for what a
 * sanitizer has to say. */
static bool close_others(int a, int b)
{
    unsigned first = chy_sandbox_is_loose() ? STDERR_FILENO + 1 : 0;
    unsigned low = (unsigned)CHY_MIN(a, b);
    unsigned high = (unsigned)(a + b) - low;
    return (low <= first || close_range(first, low - 1, 0) == 0) &&
           (high == low + 1 || close_range(low + 1, high - 1, 0) == 0) &&
           close_range(high + 1, UINT_MAX, 0) == 0;
}

static enum chy_err enter_sandbox(struct chy_error *err)
{
    const struct chy_sandbox sandbox = {
        .name = "artifact",
        .max_memory_bytes = CHY_LIMIT_INSPECT_MEMORY,
        .limits_files = true,
        .limits_calls = true,
    };
    struct chy_sandbox_result result;
    return chy_sandbox_enter(&sandbox, &result, err);
}

static enum chy_err read_file(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                              struct chy_error *err)
{
    return chy_file_pread(*(const int *)ctx, to, n, offset, ret_n, err);
}

static enum chy_err find_out(int fd, uint64_t size, struct chy_str name,
                             struct chy_format_facts *ret_facts, struct chy_error *err)
{
    const struct chy_format_source source = { size, read_file, &fd };
    CHY_TRY(enter_sandbox(err));
    return chy_format_recognize(&source, name, ret_facts, err);
}

static enum chy_err answer_send(int fd, uint64_t size, struct chy_str name, int to)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    struct chy_error err;
    struct answer a = { .code = 0 };
    chy_buf_init(&out, ANSWER_BYTES);
    enum chy_err r = find_out(fd, size, name, &a.facts, &err);
    if (r != CHY_OK)
        a = (struct answer){ .code = (uint32_t) - (int)r, .text = chy_str_of(err.text) };
    CHY_TRY(chy_schema_encode(&answer_schema, &a, &out, NULL));
    CHY_TRY(chy_fd_set_nonblocking(to, false, NULL));
    return chy_fd_write(to, chy_buf_bytes(&out), NULL);
}

/* --- the parent --- */

static enum chy_err answer_read(int fd, int64_t deadline_us, struct chy_buf *out,
                                struct chy_error *err)
{
    CHY_TRY(chy_fd_set_nonblocking(fd, false, err));
    for (;;) {
        size_t n = 0;
        enum chy_err r = chy_fd_wait(fd, POLLIN, deadline_us, err);
        if (r == CHY_E_TIMEOUT)
            return chy_fail(err, r, "what the file is could not be found out within %d ms",
                            CHY_LIMIT_FORMAT_MS);
        if (r != CHY_OK)
            return r;
        uint8_t *room = chy_buf_room(out, ANSWER_BYTES);
        if (room == NULL)
            return chy_buf_check(out, err);
        CHY_TRY(chy_fd_read(fd, room, ANSWER_BYTES, &n, err));
        if (n == 0)
            return CHY_OK;
        chy_buf_added(out, n);
    }
}

/* The child may be in a hostile file's hands: what it says must at least decode. */
static enum chy_err answer_take(struct chy_bytes bytes, struct chy_process_end end,
                                struct chy_arena *arena, struct chy_format_facts *ret_facts,
                                struct chy_error *err)
{
    char text[CHY_PROCESS_END_TEXT_BYTES];
    struct answer a;
    chy_process_end_text(end, text);
    if (end.was_signal || end.value != 0)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the file could not be read: its reader %s", text);
    struct chy_str kept = chy_arena_str(arena, chy_bytes_str(bytes));
    if (kept.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what a file is");
    if (chy_schema_decode(&answer_schema, chy_str_bytes(kept), arena, &a, err) != CHY_OK)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the file's reader gave no proper answer");
    int code = a.code <= INT16_MAX ? -(int)a.code : CHY_E_INTERNAL;
    if (code != CHY_OK)
        return chy_fail(err, chy_err_is_known(code) ? (enum chy_err)code : CHY_E_INTERNAL, "%.*s",
                        CHY_STR_ARG(a.text));
    *ret_facts = a.facts;
    return CHY_OK;
}

static enum chy_err inspect(int fd, uint64_t size, struct chy_str name, struct chy_arena *arena,
                            struct chy_format_facts *ret_facts, struct chy_error *err)
{
    int64_t deadline_us = chy_clock_monotonic_us() + (int64_t)CHY_LIMIT_FORMAT_MS * 1000;
    CHY_CLEANUP(chy_process_endp) struct chy_process child = { -1, -1 };
    CHY_CLEANUP(chy_buf_done) struct chy_buf answer;
    struct chy_process_end end;
    bool is_child;
    int pair[2];
    chy_buf_init(&answer, (size_t)2 * ANSWER_BYTES);
    CHY_TRY(chy_socket_pair(pair, err));
    CHY_CLEANUP(chy_fd_closep) int ours = pair[0];
    CHY_CLEANUP(chy_fd_closep) int its = pair[1];
    CHY_TRY(chy_process_fork(&child, &is_child, err));
    if (is_child)
        chy_process_leave(close_others(fd, its) && answer_send(fd, size, name, its) == CHY_OK ? 0
                                                                                              : 1);
    chy_fd_closep(&its);
    CHY_TRY(answer_read(ours, deadline_us, &answer, err));
    CHY_TRY(chy_process_wait(&child, deadline_us, &end, err));
    return answer_take(chy_buf_bytes(&answer), end, arena, ret_facts, err);
}

enum chy_err chy_artifact_inspect(int fd, struct chy_str name, struct chy_arena *arena,
                                  struct chy_format_facts *ret_facts, struct chy_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_ARG, "what is no file cannot be recognised");
    return inspect(fd, (uint64_t)st.st_size, name, arena, ret_facts, err);
}
