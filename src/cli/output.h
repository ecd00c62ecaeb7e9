/* SPDX-License-Identifier: MIT */
/* What people read: tables and records of structs by their schema. Control characters of foreign
 * texts are shown as '?', so that no answer can steer a terminal. */
#pragma once

#include <stdio.h>

#include "base/buf.h"
#include "codec/schema.h"

struct chy_cli_column {
    const char *title;
    const char *field;
    /* Instead of the field's own form; `value` is the row's struct. NULL: the field's own. */
    void (*write)(struct chy_buf *out, const void *value);
};

struct chy_cli_view {
    const char
        *list; /* the LIST of the response that makes the rows; NULL: the response is one record */
    const struct chy_cli_column *columns;
    size_t n_columns;
    const char *empty; /* said instead of a table without rows */
    /* Instead of all that. */
    void (*print)(FILE *out, const void *response);
};

/* Errors: CHY_E_NOMEM, CHY_E_LIMIT something is not shown */
CHY_MUST_USE enum chy_err chy_cli_print_view(FILE *out, const struct chy_cli_view *view,
                                             const struct chy_schema *schema, const void *response,
                                             struct chy_error *err);
/* Every field that is not empty, one a line; lists of structs as records of their own. Errors: as
 * of a view */
CHY_MUST_USE enum chy_err chy_cli_print_record(FILE *out, const struct chy_schema *schema,
                                               const void *value, struct chy_error *err);
/* One field in its human form, in one line. */
void chy_cli_write_field(struct chy_buf *out, const struct chy_field *field, const void *value);
/* A text that may have lines; what steers a terminal, newlines and tabs excepted, becomes '?'. */
void chy_cli_print_text(FILE *out, struct chy_str text);
/* The same of several texts, one behind the other. */
void chy_cli_print_texts(FILE *out, const struct chy_str *texts, size_t n);
#define chy_cli_say(out, ...)                                           \
    chy_cli_print_texts((out), (const struct chy_str[]){ __VA_ARGS__ }, \
                        CHY_ARRAY_LEN(((const struct chy_str[]){ __VA_ARGS__ })))
