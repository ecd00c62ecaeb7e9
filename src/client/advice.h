/* SPDX-License-Identifier: MIT */
/* What to do about an error, where the server's sentence cannot know. Pure. */
#pragma once

#include "client/settings.h"

/* A sentence in static storage; NULL: nothing to advise. */
const char *chy_client_advice(const struct chy_settings *settings, const struct chy_error *err);
