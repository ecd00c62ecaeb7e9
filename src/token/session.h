/* SPDX-License-Identifier: MIT */
/* A session of a token, and what its calls answered last. Used by one thread at a time. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "base/err.h"
#include "token/pkcs11.h"

struct chy_session {
    const CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE handle;
    CK_RV rv;       /* of the last call that failed */
    bool is_broken; /* an answer that only a new process mends came: chy_rv_is_fatal() */
};

/* Take note of `rv` and fill `err`: as chy_fail_rv(). */
#define chy_session_fail(session, rv, function, err) \
    chy_session_error((session), (rv), CHY_WHERE, (function), (err))
enum chy_err chy_session_error(struct chy_session *session, CK_RV rv, const char *where,
                               const char *function, struct chy_error *err);
