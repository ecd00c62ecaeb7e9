/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "plugin/kms.h"
#include "plugin/plugin.h"

int main(int argc, char **argv)
{
    const struct chy_plugin_streams streams = { STDIN_FILENO, stdout, stderr };
    struct chy_client_env env;
    struct chy_error err;
    chy_client_env_read(&env);
    if (chy_plugin_start(&err) != CHY_OK) {
        (void)fprintf(stderr, "sigstore-kms-chancery: %s\n", err.text);
        return chy_err_exit_code(err.code);
    }
    return chy_kms_run(argc, argv, &env, &streams);
}
