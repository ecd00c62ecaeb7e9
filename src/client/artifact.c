/* SPDX-License-Identifier: MIT */
#include "client/artifact.h"

#include <sys/stat.h>

#include "base/limits.h"
#include "os/file.h"

#define ANSWER_BYTES 4096 /* the facts, with a text of theirs */

struct job {
    uint64_t size_bytes;
    struct chy_str name;
};

static enum chy_err read_file(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                              struct chy_error *err)
{
    return chy_file_pread(*(const int *)ctx, to, n, offset, ret_n, err);
}

static enum chy_err recognize(const void *ctx, int fd, struct chy_arena *arena, struct chy_buf *out,
                              struct chy_error *err)
{
    const struct job *job = ctx;
    const struct chy_format_source source = { job->size_bytes, read_file, &fd };
    struct chy_format_facts facts;
    (void)arena;
    CHY_TRY(chy_format_recognize(&source, job->name, &facts, err));
    return chy_schema_encode(&chy_format_facts_schema, &facts, out, err);
}

enum chy_err chy_artifact_inspect_start(int fd, struct chy_str name,
                                        struct chy_confined_child **ret_child,
                                        struct chy_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_ARG, "what is no file cannot be recognised");
    const struct job job = { (uint64_t)st.st_size, name };
    const struct chy_confined confined = {
        .work = recognize,
        .ctx = &job,
        .fd = fd,
        .timeout_ms = CHY_LIMIT_FORMAT_MS,
        .max_bytes = ANSWER_BYTES,
        .what = "the file",
    };
    return chy_confined_start(&confined, ret_child, err);
}

enum chy_err chy_artifact_inspect_finish(struct chy_confined_child *child, struct chy_arena *arena,
                                         struct chy_format_facts *ret_facts, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_buf_init(&out, ANSWER_BYTES);
    CHY_TRY(chy_confined_finish(child, &out, err));
    struct chy_bytes kept = chy_arena_bytes(arena, chy_buf_bytes(&out));
    if (kept.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what a file is");
    if (chy_schema_decode(&chy_format_facts_schema, kept, arena, ret_facts, err) != CHY_OK)
        return chy_fail(err, CHY_E_UNSUPPORTED, "the file's reader gave no proper answer");
    return CHY_OK;
}

enum chy_err chy_artifact_inspect(int fd, struct chy_str name, struct chy_arena *arena,
                                  struct chy_format_facts *ret_facts, struct chy_error *err)
{
    CHY_CLEANUP(chy_confined_freep) struct chy_confined_child *child = NULL;
    CHY_TRY(chy_artifact_inspect_start(fd, name, &child, err));
    return chy_artifact_inspect_finish(child, arena, ret_facts, err);
}
