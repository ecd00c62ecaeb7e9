/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct err_row {
    enum chy_err code;
    int http;
    unsigned long ck_rv;
    int exit_code;
    const char *name;
    const char *type;
    const char *title;
};

static const struct err_row err_rows[] = {
#define X(name, code, http, ckr, exit, type, title) \
    { CHY_##name, (http), (ckr), (exit), #name, (type), (title) },
    CHY_ERR_LIST(X)
#undef X
};

static const struct err_row *row_find(int code)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(err_rows); i++)
        if ((int)err_rows[i].code == code)
            return &err_rows[i];
    return NULL;
}

static const struct err_row *row_of(enum chy_err code)
{
    const struct err_row *row = row_find((int)code);
    if (row == NULL)
        row = row_find(CHY_E_INTERNAL);
    CHY_ASSERT(row != NULL);
    return row;
}

/* Text ends up in terminals and logs: no control characters, only whole UTF-8 characters. */
static void text_clean(char *text)
{
    size_t i = 0;
    size_t n = strlen(text);
    while (i < n) {
        size_t len = chy_utf8_char((struct chy_str){ text + i, n - i });
        if (len == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            text[i] = '?';
            len = 1;
        }
        i += len;
    }
}

enum chy_err chy_error_set(struct chy_error *err, enum chy_err code, int64_t sys, const char *where,
                           const char *fmt, ...)
{
    if (err == NULL)
        return code;
    err->code = code;
    err->sys = sys;
    err->where = where;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n < 0)
        err->text[0] = '\0';
    text_clean(err->text);
    return code;
}

enum chy_err chy_error_prefix(struct chy_error *err, enum chy_err code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    char old[CHY_ERROR_TEXT_BYTES];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    size_t at = CHY_MIN((size_t)n, sizeof err->text - 1);
    int cut = snprintf(err->text + at, sizeof err->text - at, ": %s", old);
    if (cut < 0)
        err->text[at] = '\0';
    text_clean(err->text);
    return err->code;
}

int chy_err_http_status(enum chy_err code)
{
    return row_of(code)->http;
}

unsigned long chy_err_ck_rv(enum chy_err code)
{
    return row_of(code)->ck_rv;
}

int chy_err_exit_code(enum chy_err code)
{
    return row_of(code)->exit_code;
}

const char *chy_err_name(enum chy_err code)
{
    return row_of(code)->name;
}

const char *chy_err_type(enum chy_err code)
{
    return row_of(code)->type;
}

const char *chy_err_title(enum chy_err code)
{
    return row_of(code)->title;
}

bool chy_err_is_known(int code)
{
    return row_find(code) != NULL;
}

enum chy_err chy_err_from_type(const char *type)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(err_rows); i++)
        if (strcmp(err_rows[i].type, type) == 0)
            return err_rows[i].code;
    return CHY_E_INTERNAL;
}

void chy_assert_failed(const char *what, const char *where)
{
    fprintf(stderr, "assertion failed: %s (%s)\n", what, where);
    abort();
}
