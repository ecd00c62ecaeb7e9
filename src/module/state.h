/* SPDX-License-Identifier: MIT */
/* The module's one piece of state, and the frame around each call.
 *
 * One mutex guards all of it; it is never held while something is sent, received, started or waited
 * for, but on `changed`. What a call works on without the mutex: its own session (`is_busy`), its
 * own link (likewise), objects (immutable once they have a handle) and the configuration; all of
 * it stays until C_Finalize has seen the last call leave.
 *
 * fork: handlers of pthread_atfork take the mutex around it, so that the child gets whole state.
 * The child closes the parent's connections (never shuts them down) and makes its own when it needs
 * them; sessions, handles and results of finds go on in both processes. What another thread was
 * doing at that moment is dropped in the child. glibc takes the handlers back at dlclose. A child
 * made without the handlers (clone, _Fork) is told by its process id. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "module/config.h"
#include "module/link.h"
#include "module/objects.h"
#include "module/private_helper.h"
#include "module/session.h"
#include "proto/pkcs11.h"

enum chy_p11_phase {
    CHY_P11_DOWN,
    CHY_P11_UP,
    CHY_P11_ENDING, /* C_Finalize waits for the calls of other threads */
};

struct chy_p11 {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum chy_p11_phase phase;
    pid_t pid;                 /* whose connections these are */
    bool is_inherited;         /* initialised by the parent of this process */
    pthread_once_t fork_hooks; /* once for as long as the library is loaded */
    bool has_fork_hooks;
    size_t calls; /* inside */
    struct chy_p11_config config;
    struct chy_p11_links links;
    struct chy_p11_helper helper;
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

void chy_p11_lock(struct chy_p11 *m);
void chy_p11_unlock(struct chy_p11 *m);
/* Wait, the mutex held, until something changes or `until_us` of the monotonic clock is past.
 * Errors: CHY_E_TIMEOUT; CHY_E_STATE  C_Finalize was called */
CHY_MUST_USE enum chy_err chy_p11_wait_locked(struct chy_p11 *m, int64_t until_us,
                                              struct chy_error *err);
void chy_p11_changed_locked(struct chy_p11 *m);

/* What a call answers for the error of a request. */
CK_RV chy_p11_call_rv(const struct chy_p11_call *call, enum chy_err r);
