/* SPDX-License-Identifier: MIT */
/* How query is: for /readyz and /metrics. Private to src/query. */
#pragma once

#include "query/state.h"

void query_status_reply(struct query *q, uint64_t frame_id);
