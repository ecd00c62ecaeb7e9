/* SPDX-License-Identifier: MIT */
#include "client/gnupg_line.h"

#include <stdio.h>

#include "base/buf.h"
#include "os/fd.h"

#define LINE_BYTES 2048

void chy_gnupg_line(int fd, const char *lead, const char *fmt, va_list args)
{
    char text[LINE_BYTES];
    CHY_CLEANUP(chy_buf_done) struct chy_buf line;
    (void)vsnprintf(text, sizeof text, fmt, args);
    for (char *c = text; *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    chy_buf_init(&line, LINE_BYTES + 32);
    chy_buf_printf(&line, "%s%s\n", lead, text);
    /* Where even that cannot be told there is nobody to tell. */
    if (chy_buf_check(&line, NULL) == CHY_OK)
        CHY_IGNORE(chy_fd_write(fd, chy_buf_bytes(&line), NULL));
}
