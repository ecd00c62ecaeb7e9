/* SPDX-License-Identifier: MIT */
/* The module's one piece of state, and the frame around each call.
 *
 * The mutex and what guest/guest.h says of it hold here too. What a call works on without the mutex
 * is also its own session (`is_busy`) and objects (immutable once they have a handle); all of it
 * stays until C_Finalize has seen the last call leave. Sessions, handles and results of finds go on
 * in both processes of a fork. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"
#include "guest/guest.h"
#include "module/objects.h"
#include "module/session.h"
#include "proto/pkcs11.h"

struct chy_guest_ask;
struct chy_guest_answer;

struct chy_p11 {
    struct chy_guest guest;
    bool is_inherited; /* initialised by the parent of this process */
    struct chy_p11_sessions sessions;
    struct chy_p11_objects objects;
};

/* One call of a tool, from its entry to its return. */
struct chy_p11_call {
    struct chy_p11 *m;
    const char *function;
    struct chy_p11_session *session; /* NULL: the call has none */
    struct chy_error err;            /* why it failed; no text if nothing more is known */
    bool is_refused;                 /* the last request failed because the agent said so */
    CK_RV rv;
};

/* C_Initialize and C_Finalize. */
CK_RV chy_p11_initialize(void *args);
CK_RV chy_p11_finalize(void *reserved);

/* Begin a call: true if it may go on. Else `rv` tells why not, and is already logged:
 * CKR_CRYPTOKI_NOT_INITIALIZED, or CKR_SESSION_HANDLE_INVALID. A session that is in another
 * thread's call is waited for. */
bool chy_p11_begin(struct chy_p11_call *call, const char *function);
bool chy_p11_begin_in(struct chy_p11_call *call, const char *function, CK_SESSION_HANDLE session);
/* End it: the line in the log if `rv` is a failure. Returns `rv`. */
CK_RV chy_p11_end(struct chy_p11_call *call, CK_RV rv);

/* chy_guest_ask() for a call: the error is call->err. */
CHY_MUST_USE enum chy_err chy_p11_ask(struct chy_p11_call *call, struct chy_guest_ask *ask,
                                      struct chy_guest_answer *answer, void *ret_reply);
/* What a call answers for the error of a request. */
CK_RV chy_p11_call_rv(const struct chy_p11_call *call, enum chy_err r);
