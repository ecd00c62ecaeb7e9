/* SPDX-License-Identifier: MIT */
/* Who is calling, remembered from call to call: to read and decode two records from the store is a
 * fifth of the signer's work for a signature. What is remembered is forgotten when any object of
 * the store changes, before anybody is told of the change: so who was disabled is out at once. */
#pragma once

#include "signer/job.h"

/* Fills job->who, which lasts as long as the job. Errors: those of chy_principal_resolve() */
CHY_MUST_USE enum chy_err callers_resolve(struct job *job, struct chy_error *err);
/* The job goes away. */
void callers_release(struct job *job);
/* The store's objects have changed, or the signer ends. */
void callers_forget(struct signer *s);
