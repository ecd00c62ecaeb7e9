/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/init.h"
#include "gpgsm/gpgsm.h"
#include "os/process.h"

int main(int argc, char **argv)
{
    struct chy_client_env env;
    struct chy_error err;
    chy_process_ignore_sigpipe();
    chy_client_env_read(&env);
    if (chy_crypto_init(&err) != CHY_OK) {
        (void)fprintf(stderr, "chancery-gpgsm: %s\n", err.text);
        return chy_err_exit_code(err.code);
    }
    return chy_gpgsm_run(argc, argv, &env, secure_getenv("CHANCERY_TRUST"), STDIN_FILENO,
                         STDOUT_FILENO, STDERR_FILENO);
}
