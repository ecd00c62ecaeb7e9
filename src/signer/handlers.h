/* SPDX-License-Identifier: MIT */
/* The operations that the signer serves, one function each; handlers.c puts them into a table. */
#pragma once

#include "signer/job.h"

enum chy_err enroll_begin(struct job *job, struct chy_error *err);
enum chy_err renew_begin(struct job *job, struct chy_error *err);
enum chy_err users_create(struct job *job, struct chy_error *err);
enum chy_err users_update(struct job *job, struct chy_error *err);
enum chy_err users_enrolment_code(struct job *job, struct chy_error *err);
enum chy_err api_tokens_create(struct job *job, struct chy_error *err);
enum chy_err api_tokens_revoke(struct job *job, struct chy_error *err);
enum chy_err tokens_list_begin(struct job *job, struct chy_error *err);
enum chy_err keys_create(struct job *job, struct chy_error *err);
enum chy_err keys_adopt(struct job *job, struct chy_error *err);
enum chy_err keys_enable(struct job *job, struct chy_error *err);
enum chy_err keys_disable(struct job *job, struct chy_error *err);
enum chy_err keys_destroy(struct job *job, struct chy_error *err);
enum chy_err keys_guard(struct job *job, struct chy_error *err);
enum chy_err certs_csr(struct job *job, struct chy_error *err);
enum chy_err certs_import(struct job *job, struct chy_error *err);
enum chy_err certs_development(struct job *job, struct chy_error *err);
enum chy_err policies_apply(struct job *job, struct chy_error *err);

/* Write a changed key with its entry, and answer with it once that is durable. `entry` may be
 * completed by the caller. */
CHY_MUST_USE enum chy_err keys_write(struct job *job, const struct chy_key_record *record,
                                     struct chy_entry *entry, struct chy_str text,
                                     struct chy_error *err);
/* The key of this name if it may be managed: of the signing class, not destroyed.
 * Errors: CHY_E_NOT_FOUND, CHY_E_STATE */
CHY_MUST_USE enum chy_err keys_find(struct job *job, struct chy_str name, struct key **ret_key,
                                    struct chy_error *err);
