/* SPDX-License-Identifier: MIT */
/* `chanceryd doctor`: what is wrong with a server on this machine, or will soon be. It changes
 * nothing; the server may run. Private to this folder. */
#pragma once

#include <stdio.h>

#include "proto/finding.h"

/* `config` is the path of the configuration. What is wrong is a finding, not an error.
 * Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_doctor(const char *config, struct chy_arena *arena,
                                     struct chy_findings *ret_findings, struct chy_error *err);
void chy_doctor_print(const void *findings, FILE *out);
