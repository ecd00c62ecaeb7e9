/* SPDX-License-Identifier: MIT */
#include "module/state.h"

#include <fcntl.h>

#include "guest/ask.h"
#include "module/rv.h"
#include "os/fd.h"
#include "os/file_stream.h"
#include "os/log.h"

#define SOFTWARE "chancery-pkcs11 " CHY_VERSION
#define LOG_MODE 0600

static void disown_locked(struct chy_guest *g);

/* The only mutable state of the module. */
static struct chy_p11 module_state = { .guest = CHY_GUEST_INITIALIZER(disown_locked) };

static void disown_locked(struct chy_guest *g)
{
    struct chy_p11 *m = CHY_CONTAINER_OF(g, struct chy_p11, guest);
    bool is_lost = g->phase == CHY_GUEST_ENDING;
    chy_p11_sessions_disown_locked(&m->sessions);
    chy_p11_objects_disown_locked(&m->objects);
    m->is_inherited = !is_lost;
    if (!is_lost)
        return;
    m->sessions = (struct chy_p11_sessions){ 0 };
    m->objects = (struct chy_p11_objects){ 0 };
}

/* --- the log --- */

static void log_failure(const struct chy_p11_call *call, const struct chy_guest_config *config,
                        CK_RV rv)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    if (config->log == NULL ||
        chy_file_open_append(AT_FDCWD, config->log, LOG_MODE, &fd, NULL) != CHY_OK)
        return; /* there is nobody else to tell */
    struct chy_log lg;
    chy_log_init(&lg, fd, CHY_LOG_ERROR, "module", false);
    chy_log(&lg, CHY_LOG_ERROR, "module.failed", CHY_L_CSTR("function", call->function),
            CHY_L_CSTR("rv", chy_p11_rv_name(rv)), CHY_L_CSTR("text", call->err.text));
}

/* --- up and down --- */

/* 2.40 section 5.4. Functions of the tool for mutexes are not used: where the tool insists on
 * them, there is no way. */
static CK_RV arguments_check(const CK_C_INITIALIZE_ARGS *args)
{
    if (args == NULL)
        return CKR_OK;
    int n = (args->CreateMutex != NULL) + (args->DestroyMutex != NULL) + (args->LockMutex != NULL) +
            (args->UnlockMutex != NULL);
    if (args->pReserved != NULL || (n != 0 && n != 4))
        return CKR_ARGUMENTS_BAD;
    if (n == 4 && (args->flags & CKF_OS_LOCKING_OK) == 0)
        return CKR_CANT_LOCK;
    return CKR_OK;
}

/* Takes the configuration on CKR_OK. */
static CK_RV up_locked(struct chy_p11 *m, struct chy_guest_config *config)
{
    chy_guest_settle_locked(&m->guest);
    if (m->guest.phase == CHY_GUEST_UP && !m->is_inherited)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    if (m->guest.phase == CHY_GUEST_DOWN)
        chy_guest_start_locked(&m->guest, config);
    m->is_inherited = false; /* 2.40 section 5.4: a child initialises for itself */
    return CKR_OK;
}

static CK_RV up(struct chy_p11 *m, struct chy_guest_config *config, struct chy_error *err)
{
    if (chy_guest_watch_forks(&m->guest, err) != CHY_OK)
        return CKR_HOST_MEMORY;
    chy_guest_lock(&m->guest);
    CK_RV rv = up_locked(m, config);
    chy_guest_unlock(&m->guest);
    return rv;
}

CK_RV chy_p11_initialize(void *args)
{
    struct chy_p11_call call = { .m = &module_state, .function = "C_Initialize" };
    CK_RV rv = arguments_check(args);
    if (rv != CKR_OK)
        return rv;
    struct chy_guest_config config;
    enum chy_err r = chy_guest_config_read(&config, SOFTWARE, NULL, &call.err);
    if (r == CHY_OK)
        rv = up(&module_state, &config, &call.err);
    else
        rv = r == CHY_E_NOMEM ? CKR_HOST_MEMORY : CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        log_failure(&call, &config, rv);
    chy_guest_config_done(&config);
    return rv;
}

static CK_RV down_locked(struct chy_p11 *m)
{
    chy_guest_settle_locked(&m->guest);
    if (m->guest.phase != CHY_GUEST_UP)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    chy_guest_stop_locked(&m->guest);
    chy_p11_sessions_done(&m->sessions);
    chy_p11_objects_done(&m->objects);
    chy_guest_release_locked(&m->guest);
    return CKR_OK;
}

CK_RV chy_p11_finalize(void *reserved)
{
    struct chy_p11 *m = &module_state;
    if (reserved != NULL)
        return CKR_ARGUMENTS_BAD;
    chy_guest_lock(&m->guest);
    CK_RV rv = down_locked(m);
    chy_guest_unlock(&m->guest);
    return rv;
}

/* --- the frame around a call --- */

/* Whether C_Finalize waits for it. */
static bool leave(struct chy_p11_call *call)
{
    struct chy_p11 *m = call->m;
    chy_guest_lock(&m->guest);
    if (call->session != NULL)
        chy_p11_session_give_locked(m, call->session);
    bool is_ending = chy_guest_leave_locked(&m->guest);
    chy_guest_unlock(&m->guest);
    return is_ending;
}

static void call_init(struct chy_p11_call *call, const char *function)
{
    *call = (struct chy_p11_call){ .m = &module_state, .function = function };
}

bool chy_p11_begin(struct chy_p11_call *call, const char *function)
{
    call_init(call, function);
    chy_guest_lock(&call->m->guest);
    call->rv = chy_guest_enter_locked(&call->m->guest) ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
    chy_guest_unlock(&call->m->guest);
    return call->rv == CKR_OK;
}

bool chy_p11_begin_in(struct chy_p11_call *call, const char *function, CK_SESSION_HANDLE session)
{
    if (!chy_p11_begin(call, function))
        return false;
    chy_guest_lock(&call->m->guest);
    call->session = chy_p11_session_take_locked(call->m, session);
    chy_guest_unlock(&call->m->guest);
    if (call->session != NULL)
        return true;
    call->rv = chy_p11_end(call, CKR_SESSION_HANDLE_INVALID);
    return false;
}

/* What tools ask just to see: whether a buffer is long enough, whether an object has an
 * attribute. */
static bool is_failure(CK_RV rv)
{
    return rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL && rv != CKR_ATTRIBUTE_TYPE_INVALID &&
           rv != CKR_ATTRIBUTE_SENSITIVE;
}

CK_RV chy_p11_end(struct chy_p11_call *call, CK_RV rv)
{
    if (is_failure(rv))
        log_failure(call, &call->m->guest.config, rv);
    bool is_ending = leave(call);
    return rv != CKR_OK && is_ending ? CKR_CRYPTOKI_NOT_INITIALIZED : rv;
}

enum chy_err chy_p11_ask(struct chy_p11_call *call, struct chy_guest_ask *ask,
                         struct chy_guest_answer *answer, void *ret_reply)
{
    enum chy_err r = chy_guest_ask(&call->m->guest, ask, answer, ret_reply, &call->err);
    call->is_refused = answer->is_failure;
    return r;
}

/* Where the agent did not say what is wrong, the way to it is. */
CK_RV chy_p11_call_rv(const struct chy_p11_call *call, enum chy_err r)
{
    if (r == CHY_OK || r == CHY_E_NOMEM || call->is_refused)
        return chy_p11_rv(r);
    return CKR_DEVICE_ERROR;
}
