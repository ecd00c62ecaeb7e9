/* SPDX-License-Identifier: MIT */
/* Who asks for a signature, where no agent looks at it. */
#pragma once

#include "client/client.h"

/* Put facts about this very process, as an agent would state them, to a request: of basis `agent`
 * where the credential is an agent's, else declared. Nothing is added where an agent makes the
 * calls: that looks for itself.
 * Errors: those of asking the server who we are; CHY_E_NOMEM, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_caller_facts(struct chy_client *client, struct chy_arena *arena,
                                           struct chy_sign_request *request, struct chy_error *err);
