/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"

#include "cli/cli.h"
#include "client/agent_link.h"

#define STATUS_TIMEOUT_MS 5000

int chy_cli_run_agent(struct chy_cli *cli, const struct chy_cli_args *args)
{
    const struct chy_agent_options options = {
        .env = &cli->env,
        .settings = { chy_cli_arg(args, "profile"), chy_cli_arg(args, "url") },
        .socket = chy_cli_arg(args, "socket"),
        .ssh_socket = chy_cli_arg(args, "ssh-socket"),
    };
    struct chy_error err;
    return chy_agent_run(&options, &err) == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}

static enum chy_err status_path(struct chy_cli *cli, const struct chy_cli_args *args,
                                struct chy_str *ret_path, struct chy_error *err)
{
    *ret_path = chy_cli_arg(args, "socket");
    if (ret_path->n == 0)
        *ret_path = chy_str_of(cli->env.agent_socket);
    return ret_path->n != 0 ? CHY_OK
                            : chy_agent_socket_default(&cli->env, &cli->arena, ret_path, err);
}

static enum chy_err show_status(struct chy_cli *cli, const struct chy_cli_args *args,
                                struct chy_error *err)
{
    CHY_CLEANUP(chy_agent_link_closep) struct chy_agent_link *link = NULL;
    const struct chy_empty nothing = { 0 };
    struct chy_door_status status;
    struct chy_agent_link_options options = { .software = "chancery " CHY_VERSION };
    const struct chy_agent_question question = {
        CHY_DOOR_STATUS,       &chy_empty_schema,       &nothing,
        CHY_DOOR_STATUS_REPLY, &chy_door_status_schema, STATUS_TIMEOUT_MS,
    };
    CHY_TRY(status_path(cli, args, &options.path, err));
    CHY_TRY(chy_agent_link_open(&options, &link, err));
    CHY_TRY(chy_agent_link_ask(link, &question, &cli->arena, &status, err));
    return chy_cli_print(cli, NULL, &chy_door_status_schema, &status, err);
}

int chy_cli_run_agent_status(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_error err;
    return show_status(cli, args, &err) == CHY_OK ? CHY_CLI_DONE : chy_cli_fail(cli, &err);
}
