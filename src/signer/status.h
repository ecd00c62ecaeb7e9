/* SPDX-License-Identifier: MIT */
/* Readiness and figures, for /readyz and /metrics. */
#pragma once

#include "signer/state.h"

void status_reply(struct signer *s, struct peer *front, uint64_t frame_id);
