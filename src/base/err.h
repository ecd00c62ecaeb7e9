/* SPDX-License-Identifier: MIT */
/* Errors: one list of codes, grouped by what the caller does next, and a detail struct that the
 * caller owns and passes explicitly. There is no global or thread-local "last error".
 *
 * Every fallible function returns `enum chy_err` and takes `struct chy_error *err` last (may be
 * NULL). Set the text where the cause is known, pass it up unchanged. Threads: plain values. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* name, code, HTTP status, CK_RV, exit code of the command, RFC 9457 type (last part), title */
#define CHY_ERR_LIST(X)                                                              \
    X(OK, 0, 200, 0x000, 0, "ok", "Done")                                            \
    X(E_NOMEM, -1, 503, 0x002, 3, "out-of-memory", "Out of memory")                  \
    X(E_ARG, -2, 400, 0x007, 2, "bad-argument", "Wrong argument")                    \
    X(E_MALFORMED, -3, 400, 0x021, 2, "malformed", "Malformed input")                \
    X(E_LIMIT, -4, 413, 0x021, 2, "over-limit", "Over a limit")                      \
    X(E_NOT_FOUND, -5, 404, 0x082, 1, "not-found", "Not found")                      \
    X(E_EXISTS, -6, 409, 0x005, 1, "exists", "Exists already")                       \
    X(E_CONFLICT, -7, 409, 0x005, 1, "conflict", "Conflict with the present state")  \
    X(E_DENIED, -8, 403, 0x01B, 1, "denied-by-policy", "Refused by policy")          \
    X(E_FORBIDDEN, -9, 403, 0x01B, 1, "forbidden", "Not permitted by your roles")    \
    X(E_UNAUTHENTICATED, -10, 401, 0x101, 1, "unauthenticated", "Not authenticated") \
    X(E_EXPIRED, -11, 403, 0x101, 1, "expired", "Expired")                           \
    X(E_STATE, -12, 409, 0x0B0, 1, "wrong-state", "Not possible in this state")      \
    X(E_BUSY, -13, 503, 0x200, 3, "busy", "Busy, try again later")                   \
    X(E_TIMEOUT, -14, 504, 0x030, 3, "timeout", "Took too long")                     \
    X(E_RATE, -15, 429, 0x200, 3, "rate-limited", "Too many requests")               \
    X(E_IO, -16, 500, 0x030, 3, "io", "Input or output failed")                      \
    X(E_NETWORK, -17, 502, 0x030, 3, "network", "Network failed")                    \
    X(E_PROTOCOL, -18, 500, 0x030, 3, "protocol", "A peer spoke out of turn")        \
    X(E_STORE, -19, 500, 0x030, 3, "store", "The store failed")                      \
    X(E_TOKEN, -20, 502, 0x030, 3, "token", "The token failed")                      \
    X(E_CRYPTO, -21, 500, 0x005, 3, "crypto", "Cryptography failed")                 \
    X(E_INTEGRITY, -22, 500, 0x005, 1, "integrity", "Integrity is broken")           \
    X(E_UNSUPPORTED, -23, 400, 0x054, 2, "unsupported", "Not supported")             \
    X(E_INTERNAL, -24, 500, 0x005, 3, "internal", "Internal error")

enum chy_err {
#define X(name, code, http, ckr, exit, type, title) CHY_##name = (code),
    CHY_ERR_LIST(X)
#undef X
};

#define CHY_ERROR_TEXT_BYTES 256

/* Safe to leave uninitialised while the result is CHY_OK. */
struct chy_error {
    enum chy_err code;
    int64_t sys;                     /* errno, CK_RV, SQLite or OpenSSL code; 0 if none */
    const char *where;               /* "src/store/sqlite.c:214", static storage */
    char text[CHY_ERROR_TEXT_BYTES]; /* one sentence; no secrets; foreign bytes escaped */
};

/* Fill `err` (when not NULL) and return `code`. Control characters and bytes that are not UTF-8 in
 * the formatted text are replaced by '?', a text too long is cut at a character. */
CHY_PRINTF(5, 6)
enum chy_err chy_error_set(struct chy_error *err, enum chy_err code, int64_t sys, const char *where,
                           const char *fmt, ...);

/* Put "prefix: " in front of the text; for a boundary that knows what was being done. Returns
 * err->code, or `code` when err is NULL. */
CHY_PRINTF(3, 4)
enum chy_err chy_error_prefix(struct chy_error *err, enum chy_err code, const char *fmt, ...);

/* What a code means outside; an unknown code answers as CHY_E_INTERNAL does. */
int chy_err_http_status(enum chy_err code);
unsigned long chy_err_ck_rv(enum chy_err code);
int chy_err_exit_code(enum chy_err code);
const char *chy_err_name(enum chy_err code);  /* "E_DENIED" */
const char *chy_err_type(enum chy_err code);  /* "denied-by-policy" */
const char *chy_err_title(enum chy_err code); /* "Refused by policy" */
bool chy_err_is_known(int code);
/* The code whose chy_err_type() this is; CHY_E_INTERNAL if there is none. */
enum chy_err chy_err_from_type(const char *type);

#define CHY_WHERE __FILE__ ":" CHY_STRINGIFY(__LINE__)

/* What fails never says CHY_OK: for the reader, and for analyzers, which see no other file. */
static inline enum chy_err chy_failed(enum chy_err code)
{
    return code != CHY_OK ? code : CHY_E_INTERNAL;
}

/* The three macros of this tree that may hide a return or take the place in the source. */
#define chy_fail(err, code, ...) chy_failed(chy_error_set((err), (code), 0, CHY_WHERE, __VA_ARGS__))
#define chy_fail_sys(err, code, sys, ...) \
    chy_failed(chy_error_set((err), (code), (int64_t)(sys), CHY_WHERE, __VA_ARGS__))
#define CHY_TRY(expr)                 \
    do {                              \
        enum chy_err try_r_ = (expr); \
        if (try_r_ != CHY_OK)         \
            return try_r_;            \
    } while (0)

/* For our own bugs only; ends the process. Never in src/guest and what is made of it. */
CHY_NORETURN void chy_assert_failed(const char *what, const char *where);
#define CHY_ASSERT(cond) ((cond) ? (void)0 : chy_assert_failed(#cond, CHY_WHERE))
