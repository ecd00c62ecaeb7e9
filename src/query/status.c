/* SPDX-License-Identifier: MIT */
#include "query/status.h"

#include "base/limits.h"

static const char *const help_calls = "Calls that query has answered, by result.";

static struct chy_counter calls(const char *labels, uint64_t value)
{
    return (struct chy_counter){ .name = CHY_STR("chancery_query_calls_total"),
                                 .labels = chy_str_of(labels),
                                 .help = chy_str_of(help_calls),
                                 .value = value };
}

static enum chy_err status_encode(const struct query *q, struct chy_buf *out, struct chy_error *err)
{
    const struct chy_counter counters[] = {
        calls("result=\"answered\"", q->counters.answered),
        calls("result=\"refused\"", q->counters.refused),
        calls("result=\"failed\"", q->counters.failed),
        { .name = CHY_STR("chancery_query_waiting"),
          .help = CHY_STR("Calls that wait for a document to be read."),
          .is_gauge = true,
          .value = q->waiting_count },
        { .name = CHY_STR("chancery_query_policy_number"),
          .help = CHY_STR("The policy that query has compiled."),
          .is_gauge = true,
          .value = q->policy.number },
    };
    const struct chy_status status = {
        .is_ready = q->store != NULL && !q->is_draining,
        .text = q->store == NULL ? CHY_STR("the store is not open yet")
                : q->is_draining ? CHY_STR("the server is stopping")
                                 : CHY_STR(""),
        .counters = { counters, CHY_ARRAY_LEN(counters) },
    };
    return chy_schema_encode(&chy_status_schema, &status, out, err);
}

void query_status_reply(struct query *q, uint64_t frame_id)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    struct chy_error err;
    chy_buf_init(&out, CHY_LIMIT_JSON);
    enum chy_err r = status_encode(q, &out, &err);
    struct chy_frame frame = { .type = CHY_MSG_STATUS_REPLY,
                               .id = frame_id,
                               .body = chy_buf_bytes(&out) };
    if (r == CHY_OK)
        r = chy_channel_send(q->front, &frame, &err);
    if (r != CHY_OK)
        chy_log(&q->log, CHY_LOG_ERROR, "status.not_sent", CHY_L_ERR(&err));
}
