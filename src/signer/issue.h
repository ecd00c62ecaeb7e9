/* SPDX-License-Identifier: MIT */
/* The use of one of the signer's own keys, or of a signing key for its certificate request:
 * something to be signed is built by inspect, the intent is written, the token signs, the result is
 * put together. The operation goes on in `then` and writes the outcome; until it does, the job owes
 * it (job_owe()). */
#pragma once

#include "signer/job.h"

struct issue {
    /* Given. All views live as long as the job. */
    struct chy_inspect_request build; /* BUILD_CSR or BUILD_CERTIFICATE, filled in */
    struct key *signer;               /* whose private key signs */
    const char *action;               /* of the log entries */
    struct chy_str subject;           /* of the log entries */
    enum chy_entry_kind outcome_kind; /* of the outcome: KEY or USER */
    job_fn *then;

    /* Made. */
    struct chy_bytes to_be_signed;
    struct chy_bytes digest; /* of it; what the log shows */
    struct chy_bytes der;    /* the signed thing */
};

/* job->state must point to a struct that begins with `struct issue`. */
CHY_MUST_USE enum chy_err issue_begin(struct job *job, struct chy_error *err);
/* The outcome of an issue that succeeded, for `then` to complete and add. */
struct chy_entry issue_outcome(struct job *job, const struct issue *is);
/* A self-signed certificate has an issuer that is not there yet: empty. 16 random bytes for
 * `serial`. */
CHY_MUST_USE enum chy_err issue_serial(struct job *job, struct chy_bytes *ret_serial,
                                       struct chy_error *err);
/* One or two certificates as PEM, in the arena. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err issue_pem(struct job *job, const char *label, struct chy_bytes first,
                                    struct chy_bytes second, struct chy_str *ret_pem,
                                    struct chy_error *err);
