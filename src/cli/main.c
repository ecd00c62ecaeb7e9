/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "agent/agent.h"
#include "cli/cli.h"
#include "crypto/init.h"
#include "os/process.h"
#include "proto/door.h"

/* What the module starts where no agent runs. */
static bool is_helper(int argc, char **argv)
{
    return argc == 2 && chy_str_equal_c(chy_str_of(argv[1]), CHY_DOOR_HELPER_ROLE);
}

int main(int argc, char **argv)
{
    struct chy_client_env env;
    struct chy_error err;
    /* A server that closes, or `chancery ... | head`, is an error to be told and not a death. */
    chy_process_ignore_sigpipe();
    /* The private key and the API token are in our memory. */
    chy_process_hide_memory();
    chy_client_env_read(&env);
    if (chy_crypto_init(&err) != CHY_OK) {
        (void)fprintf(stderr, "chancery: %s\n", err.text);
        return CHY_CLI_TROUBLE;
    }
    if (is_helper(argc, argv))
        return chy_helper_main(&env);
    return chy_cli_run(argc, argv, &env, stdout, stderr);
}
