/* SPDX-License-Identifier: MIT */
/* notation-chancery: the Notary Project's way to our keys, which have a certificate. */
#pragma once

#include <stdio.h>

#include "client/settings.h"

struct chy_notation_streams {
    int in; /* the request; borrowed, like the others */
    FILE *out;
    FILE *err; /* a failure, in JSON */
};

/* Answer the question of the command line and of `in`. The exit code is that of the error. */
int chy_notation_run(int argc, char *const *argv, const struct chy_client_env *env,
                     const struct chy_notation_streams *streams);
