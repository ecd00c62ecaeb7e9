/* SPDX-License-Identifier: MIT */
/* One run of the command: its context, and what every command does the same way. Not shared. */
#pragma once

#include <stdio.h>

#include "cli/args.h"
#include "cli/output.h"
#include "client/client.h"
#include "client/settings.h"

enum {
    CHY_CLI_DONE = 0,
    CHY_CLI_REFUSED = 1, /* or not verified */
    CHY_CLI_USE = 2,
    CHY_CLI_TROUBLE = 3,
};

struct chy_cli {
    FILE *out;
    FILE *err;
    struct chy_client_env env;
    struct chy_arena arena; /* lives as long as the run */
    bool is_json;
    struct chy_settings settings; /* once chy_cli_settings() was called */
    bool has_settings;
    struct chy_client *client; /* once chy_cli_client() was called */
};

/* The whole program: reads the command line, does it, answers the exit code. `out` and `err` are
 * borrowed. */
int chy_cli_run(int argc, char *const *argv, const struct chy_client_env *env, FILE *out,
                FILE *err);

/* Say what is wrong in one sentence, with the server's request id and what to do about it; answers
 * the exit code of its kind. */
int chy_cli_fail(struct chy_cli *cli, const struct chy_error *err);

CHY_MUST_USE enum chy_err chy_cli_settings(struct chy_cli *cli, const struct chy_cli_args *args,
                                           struct chy_error *err);
/* Connected with the settings; a certificate that ends soon is renewed first. */
CHY_MUST_USE enum chy_err chy_cli_client(struct chy_cli *cli, const struct chy_cli_args *args,
                                         struct chy_error *err);
/* One JSON document on standard output. */
CHY_MUST_USE enum chy_err chy_cli_print_json(struct chy_cli *cli, const struct chy_schema *schema,
                                             const void *value, struct chy_error *err);
/* JSON or the view, as asked. */
CHY_MUST_USE enum chy_err chy_cli_print(struct chy_cli *cli, const struct chy_cli_view *view,
                                        const struct chy_schema *schema, const void *value,
                                        struct chy_error *err);
/* Whether a file of a result can be written there, before there is one: nothing is left of it.
 * Errors: CHY_E_IO it cannot, or what is there is no regular file; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_check_place(struct chy_cli *cli, struct chy_str path,
                                              struct chy_error *err);
/* The same for receipts in a folder; an empty path is none. */
CHY_MUST_USE enum chy_err chy_cli_check_receipts(struct chy_cli *cli, struct chy_str folder,
                                                 struct chy_error *err);
/* Write a file of a result, atomically. Errors: of writing; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_write_file(struct chy_cli *cli, struct chy_str path,
                                             struct chy_bytes content, unsigned mode,
                                             struct chy_error *err);

/* --- what commands run; each answers the exit code --- */

/* Fill the request of the row's operation, call it, show the response. */
int chy_cli_run_operation(struct chy_cli *cli, const struct chy_cli_args *args);
/* The same; a text of the response goes to the file of --out, if given. */
int chy_cli_run_to_file(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_keys_list(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_key_public(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_cert_show(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_guard(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_user_update(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_roles(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_version(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_enroll(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_policy_test(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_sign(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_verify(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_exec(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_log_show(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_log_export(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_log_verify(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_doctor(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_agent(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_agent_status(struct chy_cli *cli, const struct chy_cli_args *args);
int chy_cli_run_help(struct chy_cli *cli, const struct chy_cli_args *args);

/* --- help.c --- */

CHY_MUST_USE enum chy_err chy_cli_print_help(FILE *out, const struct chy_cli_args *args,
                                             struct chy_error *err);
/* chancery(1) in mdoc, the section about the configuration file excepted. */
void chy_cli_print_man(FILE *out);
void chy_cli_print_config_man(FILE *out);
/* False for a shell that is not known. */
bool chy_cli_print_completion(FILE *out, struct chy_str shell);
