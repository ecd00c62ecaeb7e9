/* SPDX-License-Identifier: MIT */
/* sigstore-kms-chancery: cosign's way to keys that are named chancery://NAME. */
#pragma once

#include <stdio.h>

#include "client/settings.h"

struct chy_kms_streams {
    int in; /* the message; borrowed, like the others */
    FILE *out;
    FILE *err;
};

/* Answer the question of the command line, one JSON document on `out`, an error too: the tool looks
 * at nothing else. The exit code is that of the error, for people. */
int chy_kms_run(int argc, char *const *argv, const struct chy_client_env *env,
                const struct chy_kms_streams *streams);
