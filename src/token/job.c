/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "base/mem.h"
#include "token/pool.h"

struct request_row {
    enum chy_msg type;
    const struct chy_schema *schema;
};

static const struct request_row request_rows[] = {
    { CHY_MSG_TOKEN_SIGN, &chy_token_sign_schema },
    { CHY_MSG_TOKEN_GENERATE, &chy_token_generate_schema },
    { CHY_MSG_TOKEN_FIND, &chy_token_find_schema },
    { CHY_MSG_TOKEN_DROP, &chy_token_drop_schema },
};

static const struct chy_schema *request_schema(enum chy_msg type)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(request_rows); i++)
        if (request_rows[i].type == type)
            return request_rows[i].schema;
    return NULL;
}

static enum chy_err results_make(struct chy_job *job, struct chy_error *err)
{
    job->units = 1;
    if (job->type != CHY_MSG_TOKEN_SIGN)
        return CHY_OK;
    job->units = job->request.sign.items.n;
    job->results = chy_arena_alloc(&job->arena, job->units, sizeof job->results[0]);
    if (job->results == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the results of %zu signatures",
                        job->units);
    return CHY_OK;
}

enum chy_err chy_job_new(enum chy_msg type, uint64_t frame_id, struct chy_bytes body,
                         struct chy_job **ret_job, struct chy_error *err)
{
    const struct chy_schema *schema = request_schema(type);
    if (schema == NULL)
        return chy_fail(err, CHY_E_PROTOCOL, "a message of type %d is nothing for a token",
                        (int)type);
    CHY_CLEANUP(chy_job_freep) struct chy_job *job = chy_new(struct chy_job);
    if (job == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a job");
    chy_arena_init(&job->arena, CHY_LIMIT_ARENA);
    job->type = type;
    job->frame_id = frame_id;
    struct chy_bytes copy = chy_arena_bytes(&job->arena, body);
    if (copy.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a request of %zu bytes", body.n);
    CHY_TRY(chy_schema_decode(schema, copy, &job->arena, &job->request, err));
    CHY_TRY(results_make(job, err));
    *ret_job = CHY_TAKE(job);
    return CHY_OK;
}

void chy_job_free(struct chy_job *job)
{
    if (job == NULL)
        return;
    chy_arena_done(&job->arena);
    chy_free(job);
}

void chy_job_freep(struct chy_job **job)
{
    chy_job_free(*job);
}

void chy_job_refuse(struct chy_job *job, enum chy_err code, const char *text)
{
    if (job->type != CHY_MSG_TOKEN_SIGN)
        job->code = chy_fail(&job->error, code, "%s", text);
    for (; job->units_taken < job->units; job->units_taken++) {
        if (job->type == CHY_MSG_TOKEN_SIGN) {
            struct chy_job_signature *result = &job->results[job->units_taken];
            result->code = code;
            chy_copy(result->text, text, CHY_MIN(strlen(text), sizeof result->text - 1));
        }
        job->units_done++;
    }
}
