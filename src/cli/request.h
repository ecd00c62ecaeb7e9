/* SPDX-License-Identifier: MIT */
/* Parts of a sign request that several commands read from the command line. */
#pragma once

#include "cli/cli.h"

/* "name=value" of --label and --fact, the machine's name as fact "host" unless it was given, and
 * --reason or CHANCERY_REASON. Errors: CHY_E_ARG no "="; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_fill_request(struct chy_cli *cli, const struct chy_cli_args *args,
                                               struct chy_sign_request *request,
                                               struct chy_error *err);
/* --algorithm; or the key's own with --hash: asks the server for the key then, which is in
 * `ret_key`; else that has no name.
 * Errors: CHY_E_ARG the two do not fit; what the server says */
CHY_MUST_USE enum chy_err chy_cli_choose_algorithm(struct chy_cli *cli,
                                                   const struct chy_cli_args *args,
                                                   enum chy_sign_alg *ret_alg,
                                                   struct chy_key *ret_key, struct chy_error *err);
/* Hex of a digest that fits the algorithm, in the arena. Errors: CHY_E_ARG, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_read_digest(struct chy_cli *cli, struct chy_str hex,
                                              enum chy_sign_alg alg, struct chy_bytes *ret_digest,
                                              struct chy_error *err);
