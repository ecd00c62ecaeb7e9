/* SPDX-License-Identifier: MIT */
/* The process "signer": decides, logs, has the token sign, changes the store. It reads no text and
 * no DER from outside, loads no vendor's module, and serves no reads. */
#pragma once

/* Started by the supervisor (proto/internal.h). Returns the exit code: 0 after DRAIN, else 1. */
int chy_signer_main(void);
