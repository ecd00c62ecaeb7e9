/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include "crypto/init.h"
#include "gpg/gpg.h"
#include "os/process.h"

int main(int argc, char **argv)
{
    struct chy_client_env env;
    struct chy_error err;
    /* A reader that closes, or a server, is an error to be told and not a death. */
    chy_process_ignore_sigpipe();
    chy_client_env_read(&env);
    if (chy_crypto_init(&err) != CHY_OK) {
        (void)fprintf(stderr, "chancery-gpg: %s\n", err.text);
        return CHY_GPG_TROUBLE;
    }
    return chy_gpg_run(argc, argv, &env, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
}
