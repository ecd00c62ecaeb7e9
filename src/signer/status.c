/* SPDX-License-Identifier: MIT */
#include "signer/status.h"

#include <utlist.h>

#include "base/limits.h"
#include "os/clock.h"
#include "signer/ledger.h"
#include "signer/tokens.h"

enum {
    COUNTERS_MAX = CHY_LIMIT_COUNTERS
};

struct counter_list {
    struct chy_counter *p;
    size_t n;
};

static void add(struct counter_list *list, const char *name, const char *help, bool is_gauge,
                struct chy_str labels, uint64_t value)
{
    if (list->n < COUNTERS_MAX)
        list->p[list->n++] = (struct chy_counter){ .name = chy_str_of(name),
                                                   .labels = labels,
                                                   .help = chy_str_of(help),
                                                   .is_gauge = is_gauge,
                                                   .value = value };
}

static const char *const help_signatures = "Signatures asked of tokens, by result.";
static const char *const help_end = "When a key's certificate ends, Unix time.";

static void add_keys(struct signer *s, struct counter_list *list, struct chy_arena *arena)
{
    struct key *key;
    LL_FOREACH(s->keys, key)
    {
        const struct chy_key *k = &key->record.key;
        if (k->class != CHY_KEY_CLASS_SIGNING || k->certificates.n == 0 ||
            k->state == CHY_KEY_STATE_DESTROYED)
            continue;
        /* Names of keys hold no quote and no backslash: chy_record_check_name(). */
        struct chy_str labels = chy_arena_printf(arena, "key=\"%.*s\"", CHY_STR_ARG(k->name));
        if (labels.p != NULL)
            add(list, "chancery_certificate_end_seconds", help_end, true, labels,
                (uint64_t)(k->certificates.p[0].not_after_us / 1000000));
    }
}

static void add_all(struct signer *s, struct counter_list *list, struct chy_arena *arena)
{
    const struct counters *c = &s->counters;
    struct chy_str none = { "", 0 };
    add(list, "chancery_signatures_total", help_signatures, false, CHY_STR("result=\"signed\""),
        c->signed_ok);
    add(list, "chancery_signatures_total", help_signatures, false, CHY_STR("result=\"failed\""),
        c->sign_failed);
    add(list, "chancery_denials_total", "Requests that policy refused or held.", false, none,
        c->denied);
    add(list, "chancery_denials_not_logged_total", "Refusals past a principal's rate.", false, none,
        c->denials_not_logged);
    add(list, "chancery_calls_total", "Calls that reached the signer.", false, none, c->calls);
    add(list, "chancery_commits_total", "Commits of log and store.", false, none, c->commits);
    add(list, "chancery_checkpoints_total", "Checkpoints published.", false, none, c->checkpoints);
    add(list, "chancery_log_entries", "Entries of the log.", true, none, ledger_size(s->ledger));
    add(list, "chancery_log_published", "Entries under the newest checkpoint.", true, none,
        ledger_published(s->ledger));
    add(list, "chancery_policy_number", "Version of the policy in force.", true, none,
        s->policy_record.policy.number);
    add(list, "chancery_in_flight", "Digests at the tokens.", true, none, tokens_in_flight(s));
    add_keys(s, list, arena);
}

static struct chy_str why_not_ready(struct signer *s, struct chy_arena *arena)
{
    struct chy_str token;
    struct chy_str text = { "", 0 };
    if (!tokens_are_ready(s, &token))
        text = chy_arena_printf(arena, "token \"%.*s\" is not ready", CHY_STR_ARG(token));
    else if (s->inspect == NULL)
        text = CHY_STR("inspect is not there");
    else if (!s->is_bootstrapped)
        text = CHY_STR("the signer is starting");
    else if (s->is_draining)
        text = CHY_STR("the server is stopping");
    return text.p != NULL ? text : CHY_STR("out of memory");
}

static enum chy_err status_encode(struct signer *s, struct chy_arena *arena, struct chy_buf *out,
                                  struct chy_error *err)
{
    struct counter_list list = { chy_arena_array(arena, struct chy_counter, COUNTERS_MAX), 0 };
    if (list.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for figures");
    add_all(s, &list, arena);
    struct chy_status status = { .text = why_not_ready(s, arena), .counters = { list.p, list.n } };
    status.is_ready = status.text.n == 0;
    return chy_schema_encode(&chy_status_schema, &status, out, err);
}

void status_reply(struct signer *s, struct peer *front, uint64_t frame_id)
{
    struct chy_error err;
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    chy_buf_init(&out, CHY_LIMIT_FRAME);
    enum chy_err r = status_encode(s, &arena, &out, &err);
    struct chy_frame frame = { .type = CHY_MSG_STATUS_REPLY,
                               .id = frame_id,
                               .body = chy_buf_bytes(&out) };
    if (r == CHY_OK)
        r = chy_channel_send(front->channel, &frame, &err);
    if (r != CHY_OK)
        chy_log(&s->log, CHY_LOG_ERROR, "status.not_told", CHY_L_ERR(&err));
}
