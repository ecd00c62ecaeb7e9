/* SPDX-License-Identifier: MIT */
#include "token/answer.h"

#include "base/limits.h"
#include "base/mem.h"

/* Codes travel as positive numbers. */
static uint32_t wire_code(enum chy_err code)
{
    return (uint32_t) - (int)code;
}

static enum chy_err encode_sign(const struct chy_job *job, struct chy_buf *body,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_freep)
    struct chy_token_sign_result *results = chy_new_array(struct chy_token_sign_result, job->units);
    if (results == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the answer of %zu signatures",
                        job->units);
    for (size_t i = 0; i < job->units; i++) {
        const struct chy_job_signature *from = &job->results[i];
        results[i].code = wire_code(from->code);
        if (from->code == CHY_OK)
            results[i].signature = (struct chy_bytes){ from->signature.p, from->signature.n };
        else
            results[i].text = chy_str_of(from->text);
    }
    const struct chy_token_sign_reply reply = { .results = { results, job->units } };
    return chy_schema_encode(&chy_token_sign_reply_schema, &reply, body, err);
}

static enum chy_err encode_key(const struct chy_job *job, struct chy_buf *body,
                               struct chy_error *err)
{
    struct chy_token_key_reply reply = job->key;
    if (job->code != CHY_OK)
        reply = (struct chy_token_key_reply){ .code = wire_code(job->code),
                                              .text = chy_str_of(job->error.text) };
    return chy_schema_encode(&chy_token_key_reply_schema, &reply, body, err);
}

static enum chy_err encode_drop(const struct chy_job *job, struct chy_buf *body,
                                struct chy_error *err)
{
    struct chy_token_drop_reply reply = { .code = wire_code(job->code) };
    if (job->code != CHY_OK)
        reply.text = chy_str_of(job->error.text);
    return chy_schema_encode(&chy_token_drop_reply_schema, &reply, body, err);
}

enum chy_err chy_answer_encode(const struct chy_job *job, uint16_t *ret_type, struct chy_buf *body,
                               struct chy_error *err)
{
    if (job->type == CHY_MSG_TOKEN_SIGN) {
        *ret_type = CHY_MSG_TOKEN_SIGN_REPLY;
        return encode_sign(job, body, err);
    }
    if (job->type == CHY_MSG_TOKEN_DROP) {
        *ret_type = CHY_MSG_TOKEN_DROP_REPLY;
        return encode_drop(job, body, err);
    }
    *ret_type = CHY_MSG_TOKEN_KEY_REPLY;
    return encode_key(job, body, err);
}

enum chy_err chy_answer_info(struct chy_str name, const struct chy_slot *slot, struct chy_buf *body,
                             struct chy_error *err)
{
    const struct chy_slot_info *info = chy_slot_info(slot);
    struct chy_str mechanisms[CHY_ALG_LAST + 1];
    size_t n = 0;
    for (int alg = CHY_ALG_NONE + 1; alg <= CHY_ALG_LAST; alg++)
        if (chy_slot_signs(slot, (enum chy_sign_alg)alg))
            mechanisms[n++] = chy_str_of(chy_enum_name(&chy_sign_alg_enum, alg));
    const struct chy_token_info_msg msg = {
        .info = {
            .name = name,
            .label = chy_str_of(info->label),
            .serial = chy_str_of(info->serial),
            .manufacturer = chy_str_of(info->manufacturer),
            .model = chy_str_of(info->model),
            .is_software = info->is_software,
            .is_ready = true,
            .workers = 1,
            .mechanisms = { mechanisms, n },
        },
    };
    return chy_schema_encode(&chy_token_info_msg_schema, &msg, body, err);
}
