/* SPDX-License-Identifier: MIT */
/* A command line, read by the table. Values are views of argv. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "cli/command.h"

struct chy_cli_value {
    const struct chy_cli_option *option;
    struct chy_str text;
};

struct chy_cli_args {
    const struct chy_cli_command *command; /* NULL with wants_help: of everything */
    struct chy_str noun;                   /* as given; for help about a noun */
    bool wants_help;
    const struct chy_cli_value *values; /* in the order of the command line */
    size_t n;
};

/* Options may stand anywhere behind the command's words, as "--name value" or "--name=value"; after
 * "--" all is positional. Errors: CHY_E_ARG with a sentence that says what is known; CHY_E_LIMIT
 * over CHY_LIMIT_ARGUMENTS words; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_args_parse(int argc, char *const *argv, struct chy_arena *arena,
                                             struct chy_cli_args *ret_args, struct chy_error *err);

/* The first value of the option, empty if it was not given (or given empty). */
struct chy_str chy_cli_arg(const struct chy_cli_args *args, const char *name);
bool chy_cli_has(const struct chy_cli_args *args, const char *name);
size_t chy_cli_arg_count(const struct chy_cli_args *args, const char *name);
/* All values of a repeated option, in the arena. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_arg_all(const struct chy_cli_args *args, const char *name,
                                          struct chy_arena *arena, struct chy_strs *ret_texts,
                                          struct chy_error *err);

/* Put the values of options that name a field into the request (zeroed by the caller).
 * Errors: CHY_E_ARG a value that the field does not take; those of reading a file; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_args_fill(const struct chy_cli_args *args,
                                            const struct chy_schema *schema,
                                            struct chy_arena *arena, void *request,
                                            struct chy_error *err);

/* One of them. */
CHY_MUST_USE enum chy_err chy_cli_read_field(const struct chy_field *f,
                                             const struct chy_cli_value *v, struct chy_arena *arena,
                                             void *request, struct chy_error *err);

/* The text of a file, "-" for standard input, in the arena. Errors: of reading; CHY_E_LIMIT,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_cli_read_text(struct chy_str path, size_t max_bytes,
                                            struct chy_arena *arena, struct chy_str *ret_text,
                                            struct chy_error *err);
