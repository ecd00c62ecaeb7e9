/* SPDX-License-Identifier: MIT */
/* A new policy: read by inspect, compiled here on trial, written, in force. */
#include "crypto/hash.h"
#include "os/clock.h"
#include "policy/policy.h"
#include "signer/handlers.h"
#include "signer/ledger.h"

struct applying {
    struct chy_policy_record record;
};

static enum chy_err applied(struct job *job, struct chy_error *err)
{
    struct applying *a = job->state;
    CHY_TRY(signer_must(job->s, signer_policy_put(job->s, &a->record, err), err));
    a->record.policy.policy = CHY_STR(""); /* the caller has it */
    return job_done(job, &a->record.policy);
}

static enum chy_err number_check(const struct job *job, struct chy_error *err)
{
    const struct chy_policy_apply *r = job->request;
    uint64_t now = job->s->policy_record.policy.number;
    if (r->expected_number != 0 && r->expected_number != now)
        return chy_fail(
            err, CHY_E_CONFLICT,
            "policy %llu is in force, not %llu: somebody was faster; look at it and try again",
            (unsigned long long)now, (unsigned long long)r->expected_number);
    return CHY_OK;
}

static enum chy_err policy_read(struct job *job, struct chy_error *err)
{
    const struct chy_policy_apply *r = job->request;
    struct signer *s = job->s;
    struct chy_bytes canonical = job->inspected->made;
    struct applying *a = chy_arena_new(&job->arena, struct applying);
    if (a == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    CHY_TRY(number_check(job, err));
    struct chy_policy_doc doc;
    CHY_CLEANUP(chy_policy_rules_freep) struct chy_policy_rules *trial = NULL;
    CHY_TRY(chy_policy_doc_decode(canonical, &job->arena, &doc, err));
    CHY_TRY(chy_policy_compile(&doc, chy_clock_realtime_us(), &trial, err));
    a->record = (struct chy_policy_record){
        .policy = { .number = s->policy_record.policy.number + 1,
                    .author = job->who.name,
                    .comment = r->comment,
                    .created_us = chy_clock_realtime_us(),
                    .rules = (uint32_t)doc.rules.n,
                    .policy = r->policy },
        .canonical = canonical,
    };
    CHY_TRY(chy_sha256(canonical, a->record.policy.hash, err));
    struct chy_str name = chy_record_policy_name(&job->arena, a->record.policy.number);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a policy");
    struct chy_entry e = job_entry(job, CHY_ENTRY_POLICY, "policy.apply", name);
    e.policy_number = a->record.policy.number;
    memcpy(e.policy_hash, a->record.policy.hash, sizeof e.policy_hash);
    memcpy(e.result_sha256, a->record.policy.hash, sizeof e.result_sha256);
    struct chy_entry_detail d = job_detail(job, r->comment);
    CHY_TRY(ledger_add(s->ledger, &e, &d, NULL, err));
    CHY_TRY(
        ledger_put(s->ledger, CHY_OBJECT_POLICY, name, &chy_policy_record_schema, &a->record, err));
    struct chy_policy_number in_force = { a->record.policy.number };
    CHY_TRY(ledger_put(s->ledger, CHY_OBJECT_META, CHY_STR(CHY_META_POLICY_NUMBER),
                       &chy_policy_number_schema, &in_force, err));
    job->state = a;
    ledger_wait(s->ledger, job, applied);
    return CHY_OK;
}

enum chy_err policies_apply(struct job *job, struct chy_error *err)
{
    const struct chy_policy_apply *r = job->request;
    CHY_TRY(number_check(job, err));
    CHY_TRY(job_lock(job, "policy", CHY_STR("one"), err));
    struct chy_inspect_request request = { .what = CHY_INSPECT_POLICY,
                                           .now_us = chy_clock_realtime_us(),
                                           .text = r->policy };
    return job_inspect(job, &request, policy_read, err);
}
