/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "cli/cli.h"
#include "crypto/init.h"

int main(int argc, char **argv)
{
    struct chy_client_env env;
    struct chy_error err;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    /* A server that closes, or `chancery ... | head`, is an error to be told and not a death. */
    CHY_IGNORE(sigaction(SIGPIPE, &ignore, NULL));
#ifndef CHY_SANDBOX_LOOSE /* a leak checker must see our memory */
    /* The private key and the API token are in our memory. */
    CHY_IGNORE(prctl(PR_SET_DUMPABLE, 0));
#endif
    chy_client_env_read(&env);
    if (chy_crypto_init(&err) != CHY_OK) {
        (void)fprintf(stderr, "chancery: %s\n", err.text);
        return CHY_CLI_TROUBLE;
    }
    return chy_cli_run(argc, argv, &env, stdout, stderr);
}
