/* SPDX-License-Identifier: MIT */
/* notation-chancery: the Notary Project's way to our keys, which have a certificate. */
#pragma once

#include "plugin/plugin.h"

/* Answer the question of the command line and of `in`; a failure is JSON on `err`. The exit code is
 * that of the error. */
int chy_notation_run(int argc, char *const *argv, const struct chy_client_env *env,
                     const struct chy_plugin_streams *streams);
