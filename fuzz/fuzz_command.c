/* SPDX-License-Identifier: MIT */
/* The command line of a stranger's process, as the agent makes a fact of it: one line of plain
 * UTF-8 within its limit, and the secret behind a known option is not in it whatever else is. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/redact.h"
#include "base/err.h"

#define OUT_MAX 512
#define SECRET  "qXz7-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const struct chy_buf *out)
{
    struct chy_str line = chy_buf_str(out);
    CHY_ASSERT(line.n <= OUT_MAX && chy_utf8_is_valid(line));
    for (size_t i = 0; i < line.n; i++)
        CHY_ASSERT((unsigned char)line.p[i] >= ' ' && line.p[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "jarsigner\0-storepass\0" SECRET; /* and its NUL */
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    CHY_CLEANUP(chy_buf_done) struct chy_buf command;
    chy_buf_init(&out, OUT_MAX);
    CHY_ASSERT(chy_command_redact((struct chy_bytes){ data, size }, &out));
    check_line(&out);
    chy_buf_clear(&out);
    chy_buf_init(&command, sizeof head + size);
    chy_buf_append(&command, (struct chy_bytes){ (const uint8_t *)head, sizeof head });
    chy_buf_append(&command, (struct chy_bytes){ data, size });
    CHY_ASSERT(chy_command_redact(chy_buf_bytes(&command), &out));
    check_line(&out);
    if (size == 0 || memmem(data, size, SECRET, strlen(SECRET)) == NULL)
        CHY_ASSERT(memmem(chy_buf_str(&out).p, out.n, SECRET, strlen(SECRET)) == NULL);
    return 0;
}
