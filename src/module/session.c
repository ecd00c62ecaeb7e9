/* SPDX-License-Identifier: MIT */
#include "module/session.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "module/state.h"

struct chy_p11_session {
    UT_hash_handle hh;
    CK_SESSION_HANDLE handle;
    CK_FLAGS flags;
    bool is_busy;
    struct chy_p11_find find;
    struct chy_p11_op ops[CHY_P11_OPS];
};

struct chy_p11_find *chy_p11_session_find(struct chy_p11_session *session)
{
    return &session->find;
}

struct chy_p11_op *chy_p11_session_op(struct chy_p11_session *session, enum chy_p11_op_kind kind)
{
    return &session->ops[kind];
}

void chy_p11_find_done(struct chy_p11_find *find)
{
    chy_free(find->handles);
    *find = (struct chy_p11_find){ 0 };
}

static void session_free(struct chy_p11_session *s)
{
    chy_p11_find_done(&s->find);
    for (size_t i = 0; i < CHY_P11_OPS; i++)
        chy_p11_op_done(&s->ops[i]);
    chy_free(s);
}

/* --- the table --- */

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static struct chy_p11_session *find_locked(const struct chy_p11_sessions *all,
                                           CK_SESSION_HANDLE handle)
{
    struct chy_p11_session *s = NULL;
    HASH_FIND(hh, all->first, &handle, sizeof handle, s);
    return s;
}

struct chy_p11_session *chy_p11_session_take_locked(struct chy_p11 *m, CK_SESSION_HANDLE handle)
{
    for (;;) {
        struct chy_p11_session *s = find_locked(&m->sessions, handle);
        if (s == NULL || !s->is_busy) {
            if (s != NULL)
                s->is_busy = true;
            return s;
        }
        /* The other call ends by its own deadline. */
        if (chy_guest_wait_locked(&m->guest, INT64_MAX, NULL) != CHY_OK)
            return NULL;
    }
}

void chy_p11_session_give_locked(struct chy_p11 *m, struct chy_p11_session *session)
{
    session->is_busy = false;
    chy_guest_changed_locked(&m->guest);
}

static void remove_locked(struct chy_p11_sessions *all, struct chy_p11_session *s)
{
    HASH_DELETE(hh, all->first, s);
    if (--all->count == 0)
        all->is_logged_in = false; /* 2.40 section 5.6: the last session takes the login along */
}

void chy_p11_sessions_disown_locked(struct chy_p11_sessions *sessions)
{
    for (struct chy_p11_session *s = sessions->first; s != NULL; s = s->hh.next) {
        if (!s->is_busy)
            continue;
        s->is_busy = false;
        s->find = (struct chy_p11_find){ 0 }; /* perhaps half changed: not freed */
        for (size_t i = 0; i < CHY_P11_OPS; i++)
            s->ops[i] = (struct chy_p11_op){ 0 };
    }
}

void chy_p11_sessions_done(struct chy_p11_sessions *sessions)
{
    while (sessions->first != NULL) {
        struct chy_p11_session *s = sessions->first;
        remove_locked(sessions, s);
        session_free(s);
    }
}

/* --- the calls --- */

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static CK_RV add_locked(struct chy_p11 *m, struct chy_p11_session *s)
{
    struct chy_p11_sessions *all = &m->sessions;
    if (all->count == CHY_LIMIT_P11_SESSIONS)
        return CKR_SESSION_COUNT;
    s->handle = all->last_handle + 1;
    HASH_ADD(hh, all->first, handle, sizeof s->handle, s);
    if (s->hh.tbl == NULL)
        return CKR_HOST_MEMORY;
    all->last_handle = s->handle;
    all->count++;
    return CKR_OK;
}

/* A session for writing is given, though nothing can be written: OpenSSH asks for no other kind. */
CK_RV chy_p11_session_open(struct chy_p11_call *call, CK_SLOT_ID slot, CK_FLAGS flags,
                           CK_SESSION_HANDLE *ret_handle)
{
    if (ret_handle == NULL)
        return CKR_ARGUMENTS_BAD;
    if (slot != CHY_P11_SLOT)
        return CKR_SLOT_ID_INVALID;
    if ((flags & CKF_SERIAL_SESSION) == 0)
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    struct chy_p11_session *s = chy_new(struct chy_p11_session);
    if (s == NULL)
        return CKR_HOST_MEMORY;
    s->flags = flags & (CKF_SERIAL_SESSION | CKF_RW_SESSION);
    chy_guest_lock(&call->m->guest);
    CK_RV rv = add_locked(call->m, s);
    if (rv == CKR_OK)
        *ret_handle = s->handle;
    chy_guest_unlock(&call->m->guest);
    if (rv != CKR_OK)
        chy_free(s);
    return rv;
}

/* Hashes that stand with the agent are ended there, not left. */
static void operations_drop(struct chy_p11_call *call)
{
    for (size_t i = 0; i < CHY_P11_OPS; i++)
        chy_p11_op_drop(call, &call->session->ops[i]);
}

CK_RV chy_p11_session_close(struct chy_p11_call *call)
{
    struct chy_p11_session *s = call->session;
    operations_drop(call);
    chy_guest_lock(&call->m->guest);
    remove_locked(&call->m->sessions, s);
    chy_guest_changed_locked(&call->m->guest); /* who waited for it learns that it is gone */
    chy_guest_unlock(&call->m->guest);
    call->session = NULL;
    session_free(s);
    return CKR_OK;
}

static struct chy_p11_session *take_any(struct chy_p11 *m)
{
    chy_guest_lock(&m->guest);
    struct chy_p11_session *s = m->sessions.first;
    if (s != NULL)
        s = chy_p11_session_take_locked(m, s->handle);
    chy_guest_unlock(&m->guest);
    return s;
}

CK_RV chy_p11_session_close_all(struct chy_p11_call *call, CK_SLOT_ID slot)
{
    if (slot != CHY_P11_SLOT)
        return CKR_SLOT_ID_INVALID;
    while ((call->session = take_any(call->m)) != NULL)
        chy_p11_session_close(call);
    return CKR_OK;
}

CK_RV chy_p11_session_info(struct chy_p11_call *call, CK_SESSION_INFO *ret_info)
{
    if (ret_info == NULL)
        return CKR_ARGUMENTS_BAD;
    bool is_rw = (call->session->flags & CKF_RW_SESSION) != 0;
    chy_guest_lock(&call->m->guest);
    bool is_user = call->m->sessions.is_logged_in;
    chy_guest_unlock(&call->m->guest);
    CK_STATE state = is_rw ? (is_user ? CKS_RW_USER_FUNCTIONS : CKS_RW_PUBLIC_SESSION)
                           : (is_user ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION);
    *ret_info =
        (CK_SESSION_INFO){ .slotID = CHY_P11_SLOT, .state = state, .flags = call->session->flags };
    return CKR_OK;
}

/* 3.0 section 5.6.8. */
CK_RV chy_p11_session_cancel(struct chy_p11_call *call, CK_FLAGS flags)
{
    static const struct {
        CK_FLAGS flag;
        enum chy_p11_op_kind kind;
    } rows[] = { { CKF_DIGEST, CHY_P11_OP_DIGEST },
                 { CKF_SIGN, CHY_P11_OP_SIGN },
                 { CKF_VERIFY, CHY_P11_OP_VERIFY } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if ((flags & rows[i].flag) != 0)
            chy_p11_op_drop(call, chy_p11_session_op(call->session, rows[i].kind));
    if ((flags & CKF_FIND_OBJECTS) != 0)
        chy_p11_find_done(&call->session->find);
    return CKR_OK;
}

static CK_RV login_as(struct chy_p11_call *call, CK_USER_TYPE user)
{
    if (user == CKU_CONTEXT_SPECIFIC) /* no key asks for a PIN of its own */
        return call->session->ops[CHY_P11_OP_SIGN].mechanism != NULL
                   ? CKR_OK
                   : CKR_OPERATION_NOT_INITIALIZED;
    if (user != CKU_USER)
        return CKR_USER_TYPE_INVALID; /* there is no security officer */
    chy_guest_lock(&call->m->guest);
    CK_RV rv = call->m->sessions.is_logged_in ? CKR_USER_ALREADY_LOGGED_IN : CKR_OK;
    call->m->sessions.is_logged_in = true;
    chy_guest_unlock(&call->m->guest);
    return rv;
}

CK_RV chy_p11_login(struct chy_p11_call *call, CK_USER_TYPE user, const CK_UTF8CHAR *pin,
                    CK_ULONG pin_len)
{
    if (pin == NULL && pin_len != 0)
        return CKR_ARGUMENTS_BAD;
    return login_as(call, user);
}

CK_RV chy_p11_logout(struct chy_p11_call *call)
{
    chy_guest_lock(&call->m->guest);
    CK_RV rv = call->m->sessions.is_logged_in ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
    call->m->sessions.is_logged_in = false;
    chy_guest_unlock(&call->m->guest);
    return rv;
}

CK_ULONG chy_p11_session_count(struct chy_p11 *m, bool is_rw)
{
    CK_ULONG n = 0;
    chy_guest_lock(&m->guest);
    for (const struct chy_p11_session *s = m->sessions.first; s != NULL; s = s->hh.next)
        n += !is_rw || (s->flags & CKF_RW_SESSION) != 0;
    chy_guest_unlock(&m->guest);
    return n;
}
