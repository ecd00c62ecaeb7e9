/* SPDX-License-Identifier: MIT */
/* The defaults of the configuration, for its loader and its writer. Private to this folder. */
#pragma once

#include "supervisor/config.h"

/* Fill in what is absent. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_config_complete(struct chy_config *c, struct chy_arena *arena,
                                              struct chy_error *err);
bool chy_config_module_is_softhsm(struct chy_str path);
