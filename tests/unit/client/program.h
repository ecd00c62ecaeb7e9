/* SPDX-License-Identifier: MIT */
/* A program's whole run in a test: words and standard input in; exit code, standard output and
 * error out. Its home is a folder of its own, and no variable is set. */
#pragma once

#include <stdio.h>

#include "client/client.h"

struct program_streams {
    int in;
    FILE *out; /* files, so that fileno() works */
    FILE *err;
};
typedef int program_fn(int argc, char *const *argv, const struct chy_client_env *env,
                       const struct program_streams *streams);

/* What the last run said; until the next one. */
extern char *out_text;
extern char *err_text;

/* The words, which are copied, end with NULL; the program's name comes before them. */
int program_run(program_fn *program, const char *home, const char *input, const char *const *words);
/* Free what was said. */
void program_done(void);
