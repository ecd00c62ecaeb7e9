/* SPDX-License-Identifier: MIT */
/* The operators' log: one JSON object a line on standard error. May be lost; evidence goes to the
 * transparency log instead. Libraries do not log: processes do, once, where an error is handled.
 *
 *     chy_log(lg, CHY_LOG_NOTICE, "sign.done", CHY_L_STR("key", name), CHY_L_U64("items", n));
 *
 * Event and field names are literals of [a-z0-9_.]; field values are escaped here and never by the
 * caller: no byte of them can end the line, forge a field or steer a terminal. Threads: one writer;
 * each line is one write. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

enum chy_log_level {
    CHY_LOG_ERROR = 3, /* an operation failed, somebody should look (numbers as in syslog) */
    CHY_LOG_WARNING = 4,
    CHY_LOG_NOTICE = 5,
    CHY_LOG_INFO = 6,
    CHY_LOG_DEBUG = 7,
};

enum chy_log_field_kind {
    CHY_LOG_FIELD_END,
    CHY_LOG_FIELD_STR,
    CHY_LOG_FIELD_U64,
    CHY_LOG_FIELD_I64,
    CHY_LOG_FIELD_BOOL,
    CHY_LOG_FIELD_HEX,
    CHY_LOG_FIELD_ERR,
};

struct chy_log_field {
    enum chy_log_field_kind kind;
    const char *name;
    union {
        struct chy_str str;
        uint64_t u64;
        int64_t i64;
        bool boolean;
        struct chy_bytes hex;
        const struct chy_error *err;
    } v;
};

#define CHY_L_STR(field, value) \
    ((struct chy_log_field){ CHY_LOG_FIELD_STR, "" field, { .str = (value) } })
#define CHY_L_CSTR(field, value) CHY_L_STR(field, chy_str_of(value))
#define CHY_L_U64(field, value) \
    ((struct chy_log_field){ CHY_LOG_FIELD_U64, "" field, { .u64 = (value) } })
#define CHY_L_I64(field, value) \
    ((struct chy_log_field){ CHY_LOG_FIELD_I64, "" field, { .i64 = (value) } })
#define CHY_L_BOOL(field, value) \
    ((struct chy_log_field){ CHY_LOG_FIELD_BOOL, "" field, { .boolean = (value) } })
/* Ids and hashes. */
#define CHY_L_HEX(field, value) \
    ((struct chy_log_field){ CHY_LOG_FIELD_HEX, "" field, { .hex = (value) } })
/* The fields error, error_text, error_where, and error_sys when there is one. */
#define CHY_L_ERR(value) ((struct chy_log_field){ CHY_LOG_FIELD_ERR, "error", { .err = (value) } })
#define CHY_L_END        ((struct chy_log_field){ CHY_LOG_FIELD_END, "", { .u64 = 0 } })

struct chy_log {
    int fd; /* borrowed */
    enum chy_log_level level;
    const char *role; /* static storage: "signer" */
    bool has_prefix;  /* "<5>" in front of each line, as sd-daemon(3) has it */
    uint64_t lost;    /* lines that could not be written since the last that could */
};

/* Whether `fd` leads to the journal ($JOURNAL_STREAM names it): the answer for `has_prefix`. */
bool chy_log_is_journal(int fd);
/* Lines less important than `level` are left out. The caller ignores SIGPIPE. */
void chy_log_init(struct chy_log *lg, int fd, enum chy_log_level level, const char *role,
                  bool has_prefix);
/* "error" to "debug"; CHY_LOG_NOTICE for what is no level. */
enum chy_log_level chy_log_level_of(struct chy_str name);
bool chy_log_is_on(const struct chy_log *lg, enum chy_log_level level);

/* By the macro: the event, then the fields, CHY_L_END last. A text over CHY_LIMIT_LOG_FIELD is cut
 * and ends in "..."; fields that would pass CHY_LIMIT_LOG_LINE are left out, and "cut":true says
 * so. `lg` may be NULL. errno stays as it was. */
void chy_log_write(struct chy_log *lg, enum chy_log_level level, const char *event, ...);
#define chy_log(lg, level, ...) chy_log_write((lg), (level), __VA_ARGS__, CHY_L_END)
