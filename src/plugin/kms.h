/* SPDX-License-Identifier: MIT */
/* sigstore-kms-chancery: cosign's way to keys that are named chancery://NAME. */
#pragma once

#include "plugin/plugin.h"

/* Answer the question of the command line, one JSON document on `out`, an error too: the tool looks
 * at nothing else. A message to be signed is read from `in`. The exit code is that of the error,
 * for people. */
int chy_kms_run(int argc, char *const *argv, const struct chy_client_env *env,
                const struct chy_plugin_streams *streams);
