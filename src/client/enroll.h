/* SPDX-License-Identifier: MIT */
/* Becoming known to a server, and staying so. docs/client.md tells what people see of it. */
#pragma once

#include "client/client.h"
#include "client/settings.h"

/* Turn an enrolment code into a profile: make a key, have its certificate issued over a connection
 * that is held to the code's pin, note the log's key, and write the credential and the
 * configuration. `url` empty: the code's.
 * Errors: CHY_E_MALFORMED, CHY_E_UNSUPPORTED  the code; CHY_E_ARG no URL is known, or a bad name
 *         CHY_E_INTEGRITY  the server is not the code's; what the server says; of writing files */
CHY_MUST_USE enum chy_err chy_client_enroll(struct chy_str dir, struct chy_str profile_name,
                                            struct chy_str code, struct chy_str url,
                                            struct chy_arena *arena,
                                            struct chy_profile *ret_profile, struct chy_error *err);

/* When the certificate that chancery enroll made ends; 0 for any other credential.
 * Errors: of reading it */
CHY_MUST_USE enum chy_err chy_client_credential_end(const struct chy_settings *settings,
                                                    int64_t *ret_end_us, struct chy_error *err);
/* CHY_E_EXPIRED, in words, if that is past. */
CHY_MUST_USE enum chy_err chy_client_check_end(const struct chy_settings *settings, int64_t end_us,
                                               struct chy_error *err);

/* Renew the certificate that chancery enroll made, if less than a third of its life is left and no
 * other process does it already.
 * Errors: CHY_E_EXPIRED  it has ended: only a new code helps
 *         all others: it could not be renewed now and is still good */
CHY_MUST_USE enum chy_err chy_client_renew(const struct chy_settings *settings,
                                           struct chy_error *err);

/* Connect as the settings say. Where no agent makes the calls the certificate is renewed first; if
 * that cannot be done now, ret_why says why (its code is CHY_OK else) and the old one is used.
 * Settings that named an agent which is not there forget it.
 * Errors: CHY_E_EXPIRED the certificate has ended; of chy_client_open() */
CHY_MUST_USE enum chy_err chy_client_open_renewed(struct chy_settings *settings,
                                                  struct chy_client **ret_client,
                                                  struct chy_error *ret_why, struct chy_error *err);
