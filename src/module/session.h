/* SPDX-License-Identifier: MIT */
/* Sessions and the login of the one token. A session is one thread's at a time: another call for it
 * waits. Its operations are independent of each other: a find, a digest, a signature and a
 * verification may be under way in one session. Guarded by the module's mutex, but what is in a
 * session belongs to the call that has it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "module/operation.h"
#include "proto/pkcs11.h"

#define CHY_P11_SLOT 0UL /* the only one */

struct chy_p11;
struct chy_p11_call;

struct chy_p11_find {
    bool is_active;
    CK_OBJECT_HANDLE *handles; /* found, by handle */
    size_t n;
    size_t at; /* told already */
};

struct chy_p11_session; /* session.c has its place in the table */

struct chy_p11_sessions {
    struct chy_p11_session *first;
    size_t count;
    CK_SESSION_HANDLE last_handle; /* handles are not used again */
    bool is_logged_in;
};

enum chy_p11_op_kind {
    CHY_P11_OP_DIGEST,
    CHY_P11_OP_SIGN,
    CHY_P11_OP_VERIFY,
    CHY_P11_OPS,
};

struct chy_p11_find *chy_p11_session_find(struct chy_p11_session *session);
struct chy_p11_op *chy_p11_session_op(struct chy_p11_session *session, enum chy_p11_op_kind kind);
void chy_p11_find_done(struct chy_p11_find *find); /* leaves it zeroed */

/* Mutex held. The session for this call alone; NULL: there is none of this handle, or C_Finalize
 * was called. */
struct chy_p11_session *chy_p11_session_take_locked(struct chy_p11 *m, CK_SESSION_HANDLE handle);
void chy_p11_session_give_locked(struct chy_p11 *m, struct chy_p11_session *session);
/* Mutex held. In a forked child: what other threads of the parent were doing is dropped. */
void chy_p11_sessions_disown_locked(struct chy_p11_sessions *sessions);
void chy_p11_sessions_done(struct chy_p11_sessions *sessions);

CK_RV chy_p11_session_open(struct chy_p11_call *call, CK_SLOT_ID slot, CK_FLAGS flags,
                           CK_SESSION_HANDLE *ret_handle);
/* Closes the call's own. */
CK_RV chy_p11_session_close(struct chy_p11_call *call);
CK_RV chy_p11_session_close_all(struct chy_p11_call *call, CK_SLOT_ID slot);
CK_RV chy_p11_session_info(struct chy_p11_call *call, CK_SESSION_INFO *ret_info);
CK_RV chy_p11_session_cancel(struct chy_p11_call *call, CK_FLAGS flags);
/* Any PIN is good and none is read: the agent has the login. C_Login exists for tools that do
 * nothing without it. */
CK_RV chy_p11_login(struct chy_p11_call *call, CK_USER_TYPE user, const CK_UTF8CHAR *pin,
                    CK_ULONG pin_len);
CK_RV chy_p11_logout(struct chy_p11_call *call);
/* Sessions that are open now; `is_rw`: those for reading and writing alone. */
CK_ULONG chy_p11_session_count(struct chy_p11 *m, bool is_rw);
