/* SPDX-License-Identifier: MIT */
/* How the answers of operations look to people. */
#pragma once

#include "cli/output.h"

extern const struct chy_cli_view chy_view_keys;
extern const struct chy_cli_view chy_view_tokens;
extern const struct chy_cli_view chy_view_policies;
extern const struct chy_cli_view chy_view_policy;
extern const struct chy_cli_view chy_view_applied;
extern const struct chy_cli_view chy_view_users;
extern const struct chy_cli_view chy_view_code;
extern const struct chy_cli_view chy_view_api_token;
extern const struct chy_cli_view chy_view_revoked;
extern const struct chy_cli_view chy_view_log;
