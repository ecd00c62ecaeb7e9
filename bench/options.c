/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NUMBER_MAX = 1000000000
};

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned number_read(const char *name, const char *text)
{
    unsigned long value = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            die("--%s is a number, not %s", name, text);
        value = value * 10 + (unsigned long)(*p - '0');
        if (value > NUMBER_MAX)
            die("--%s is at most %d", name, NUMBER_MAX);
    }
    return (unsigned)value;
}

static void option_read(const char *name, const char *value, const struct option_row *rows,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        if (rows[i].text != NULL)
            *rows[i].text = value;
        else
            *rows[i].number = number_read(name, value);
        return;
    }
    die("there is no option --%s", name);
}

void options_read(int count, char **arguments, const struct option_row *rows, size_t n)
{
    for (int i = 1; i < count; i += 2) {
        if (strncmp(arguments[i], "--", 2) != 0 || i + 1 >= count)
            die("options are --NAME VALUE, not %s", arguments[i]);
        option_read(arguments[i] + 2, arguments[i + 1], rows, n);
    }
    for (size_t i = 0; i < n; i++)
        if (rows[i].text != NULL && *rows[i].text == NULL)
            die("--%s is missing", rows[i].name);
}
