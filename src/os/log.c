/* SPDX-License-Identifier: MIT */
#include "os/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/clock.h"

/* Always free at the end of the line, so that it can be closed: ,"cut":true}\n */
#define CLOSE_BYTES 16

/* The line as far as it is written; what does not fit sets is_full and is taken back. */
struct line {
    char p[CHY_LIMIT_LOG_LINE];
    size_t n;
    bool is_full;
};

static void put(struct line *l, const char *p, size_t n)
{
    if (l->is_full || n > sizeof l->p - CLOSE_BYTES - l->n) {
        l->is_full = true;
        return;
    }
    chy_copy(l->p + l->n, p, n);
    l->n += n;
}

static CHY_PRINTF(2, 3) void putf(struct line *l, const char *fmt, ...)
{
    char text[96];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    CHY_ASSERT(n >= 0 && (size_t)n < sizeof text);
    put(l, text, (size_t)n);
}

static unsigned long code_point(const char *s, size_t len)
{
    static const uint8_t first_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    unsigned long c = (uint8_t)s[0] & first_mask[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((uint8_t)s[i] & 0x3f);
    return c;
}

/* Characters that steer a terminal, split a line or turn the direction of text. */
static bool is_steering(unsigned long c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0x061c ||
           c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void put_text(struct line *l, struct chy_str s)
{
    bool is_cut = s.n > CHY_LIMIT_LOG_FIELD;
    size_t end = CHY_MIN(s.n, (size_t)CHY_LIMIT_LOG_FIELD);
    put(l, "\"", 1);
    for (size_t i = 0; i < end;) {
        size_t len = chy_utf8_char((struct chy_str){ s.p + i, s.n - i });
        if (len > end - i)
            break; /* the cut would halve a character */
        unsigned long c = len != 0 ? code_point(s.p + i, len) : 0xfffd;
        if (c == '"' || c == '\\')
            putf(l, "\\%c", (int)c);
        else if (len == 0 || is_steering(c))
            putf(l, "\\u%04lx", c);
        else
            put(l, s.p + i, len);
        i += len != 0 ? len : 1;
    }
    if (is_cut)
        put(l, "...", 3);
    put(l, "\"", 1);
}

static void put_name(struct line *l, const char *name, const char *suffix)
{
    putf(l, ",\"%.40s%.20s\":", name, suffix);
}

static void put_hex(struct line *l, struct chy_bytes b)
{
    put(l, "\"", 1);
    for (size_t i = 0; i < CHY_MIN(b.n, (size_t)CHY_LIMIT_LOG_FIELD / 2); i++)
        putf(l, "%02x", b.p[i]);
    put(l, b.n > CHY_LIMIT_LOG_FIELD / 2 ? "...\"" : "\"", b.n > CHY_LIMIT_LOG_FIELD / 2 ? 4 : 1);
}

static void put_err(struct line *l, const struct chy_error *err)
{
    put_name(l, "error", "");
    if (err == NULL) {
        put(l, "null", 4);
        return;
    }
    put_text(l, chy_str_of(chy_err_name(err->code)));
    put_name(l, "error", "_text");
    put_text(l, chy_str_of(err->text));
    put_name(l, "error", "_where");
    put_text(l, chy_str_of(err->where));
    if (err->sys != 0)
        putf(l, ",\"error_sys\":%" PRId64, err->sys);
}

static void put_field(struct line *l, const struct chy_log_field *f)
{
    if (f->kind == CHY_LOG_FIELD_ERR) {
        put_err(l, f->v.err);
        return;
    }
    put_name(l, f->name, "");
    switch (f->kind) {
    case CHY_LOG_FIELD_STR:
        put_text(l, f->v.str);
        break;
    case CHY_LOG_FIELD_U64:
        putf(l, "%" PRIu64, f->v.u64);
        break;
    case CHY_LOG_FIELD_I64:
        putf(l, "%" PRId64, f->v.i64);
        break;
    case CHY_LOG_FIELD_BOOL:
        putf(l, "%s", f->v.boolean ? "true" : "false");
        break;
    case CHY_LOG_FIELD_HEX:
        put_hex(l, f->v.hex);
        break;
    case CHY_LOG_FIELD_ERR:
    case CHY_LOG_FIELD_END:
    default:
        put(l, "null", 4);
        break;
    }
}

static const char *level_name(enum chy_log_level level)
{
    static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
    CHY_ASSERT(level >= CHY_LOG_ERROR && level <= CHY_LOG_DEBUG);
    return names[level - CHY_LOG_ERROR];
}

static void put_head(struct line *l, const struct chy_log *lg, enum chy_log_level level,
                     const char *event)
{
    int64_t now_us = chy_clock_realtime_us();
    time_t now_s = (time_t)(now_us / 1000000);
    struct tm tm = { .tm_mday = 1 };
    CHY_IGNORE(gmtime_r(&now_s, &tm)); /* fails only in years that no int holds */
    if (lg->has_prefix)
        putf(l, "<%d>", (int)level);
    putf(l, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now_us % 1000000));
    putf(l, ",\"level\":\"%s\",\"role\":\"%.30s\",\"pid\":%d", level_name(level), lg->role,
         (int)getpid());
    put(l, ",\"event\":", 9);
    put_text(l, chy_str_of(event));
    if (lg->lost != 0)
        putf(l, ",\"lost_lines\":%" PRIu64, lg->lost);
}

/* A field is there whole or not at all. */
static void put_fields(struct line *l, va_list *ap)
{
    bool is_cut = false;
    for (;;) {
        struct chy_log_field f = va_arg(*ap, struct chy_log_field);
        if (f.kind == CHY_LOG_FIELD_END)
            break;
        size_t before = l->n;
        put_field(l, &f);
        if (l->is_full) {
            l->n = before;
            l->is_full = false;
            is_cut = true;
        }
    }
    const char *close = is_cut ? ",\"cut\":true}\n" : "}\n";
    size_t n = strlen(close);
    CHY_ASSERT(n <= CLOSE_BYTES);
    memcpy(l->p + l->n, close, n);
    l->n += n;
}

bool chy_log_is_journal(int fd)
{
    const char *stream = secure_getenv("JOURNAL_STREAM");
    struct stat st;
    if (stream == NULL || fstat(fd, &st) != 0)
        return false;
    char mine[64];
    snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, mine) == 0;
}

void chy_log_init(struct chy_log *lg, int fd, enum chy_log_level level, const char *role,
                  bool has_prefix)
{
    *lg = (struct chy_log){ .fd = fd, .level = level, .role = role, .has_prefix = has_prefix };
}

enum chy_log_level chy_log_level_of(struct chy_str name)
{
    static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        if (chy_str_equal_c(name, names[i]))
            return (enum chy_log_level)(CHY_LOG_ERROR + i);
    return CHY_LOG_NOTICE;
}

bool chy_log_is_on(const struct chy_log *lg, enum chy_log_level level)
{
    return lg != NULL && level <= lg->level;
}

void chy_log_write(struct chy_log *lg, enum chy_log_level level, const char *event, ...)
{
    if (!chy_log_is_on(lg, level))
        return;
    int kept = errno;
    struct line l;
    l.n = 0;
    l.is_full = false;
    put_head(&l, lg, level, event);
    va_list ap;
    va_start(ap, event);
    put_fields(&l, &ap);
    va_end(ap);
    ssize_t n;
    do
        n = write(lg->fd, l.p, l.n);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)l.n)
        lg->lost = 0;
    else
        lg->lost++;
    errno = kept;
}
