/* SPDX-License-Identifier: MIT */
#include "module/state.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "module/rv.h"
#include "os/fd.h"
#include "os/file_stream.h"
#include "os/log.h"

#define LOG_MODE 0600

/* The only mutable state of the module. */
static struct chy_p11 module_state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
    .fork_hooks = PTHREAD_ONCE_INIT,
    .helper = { .control_fd = -1 },
};

void chy_p11_lock(struct chy_p11 *m)
{
    CHY_IGNORE(pthread_mutex_lock(&m->lock)); /* of the default kind: it has no failure */
}

void chy_p11_unlock(struct chy_p11 *m)
{
    CHY_IGNORE(pthread_mutex_unlock(&m->lock)); /* likewise */
}

void chy_p11_changed_locked(struct chy_p11 *m)
{
    CHY_IGNORE(pthread_cond_broadcast(&m->changed)); /* likewise */
}

static struct timespec timespec_of(int64_t us)
{
    return (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
}

enum chy_err chy_p11_wait_locked(struct chy_p11 *m, int64_t until_us, struct chy_error *err)
{
    struct timespec until = timespec_of(until_us);
    int e = pthread_cond_clockwait(&m->changed, &m->lock, CLOCK_MONOTONIC, &until);
    if (m->phase != CHY_P11_UP)
        return chy_fail(err, CHY_E_STATE, "C_Finalize was called meanwhile");
    return e == 0 ? CHY_OK : chy_fail(err, CHY_E_TIMEOUT, "another call took too long");
}

/* --- fork --- */

static void disown_locked(struct chy_p11 *m)
{
    chy_p11_links_disown_locked(&m->links);
    chy_p11_helper_forget_locked(&m->helper);
    chy_p11_sessions_disown_locked(&m->sessions);
    chy_p11_objects_disown_locked(&m->objects);
    m->calls = 0;
    m->pid = getpid();
    m->is_inherited = true;
    if (m->phase == CHY_P11_ENDING) /* the thread that ended it is not here: all is lost memory */
        *m = (struct chy_p11){ .fork_hooks = m->fork_hooks,
                               .has_fork_hooks = m->has_fork_hooks,
                               .helper = { .control_fd = -1 } };
}

static void fork_prepare(void)
{
    chy_p11_lock(&module_state);
}

static void fork_parent(void)
{
    chy_p11_unlock(&module_state);
}

/* No other thread is here, so nobody waits for either. */
static void fork_child(void)
{
    if (module_state.phase != CHY_P11_DOWN)
        disown_locked(&module_state);
    module_state.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    module_state.changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

/* Not under the mutex, which the handlers take: glibc has a lock of its own around the list. */
static void fork_hooks_set(void)
{
    module_state.has_fork_hooks = pthread_atfork(fork_prepare, fork_parent, fork_child) == 0;
}

static void pid_check_locked(struct chy_p11 *m)
{
    if (m->phase == CHY_P11_UP && m->pid != getpid())
        disown_locked(m);
}

/* --- the log --- */

static void log_failure(const struct chy_p11_call *call, const struct chy_p11_config *config,
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
static CK_RV up_locked(struct chy_p11 *m, struct chy_p11_config *config)
{
    while (m->phase == CHY_P11_ENDING)
        CHY_IGNORE(pthread_cond_wait(&m->changed, &m->lock)); /* it has no failure */
    pid_check_locked(m);
    if (m->phase == CHY_P11_UP && !m->is_inherited)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    if (m->phase == CHY_P11_DOWN) {
        m->config = *config;
        *config = (struct chy_p11_config){ 0 };
    }
    m->phase = CHY_P11_UP;
    m->pid = getpid();
    m->is_inherited = false; /* 2.40 section 5.4: a child initialises for itself */
    return CKR_OK;
}

static CK_RV up(struct chy_p11 *m, struct chy_p11_config *config)
{
    CHY_IGNORE(pthread_once(&m->fork_hooks, fork_hooks_set)); /* it has no failure */
    if (!m->has_fork_hooks)
        return CKR_HOST_MEMORY;
    chy_p11_lock(m);
    CK_RV rv = up_locked(m, config);
    chy_p11_unlock(m);
    return rv;
}

CK_RV chy_p11_initialize(void *args)
{
    struct chy_p11_call call = { .m = &module_state, .function = "C_Initialize" };
    CK_RV rv = arguments_check(args);
    if (rv != CKR_OK)
        return rv;
    struct chy_p11_config config;
    enum chy_err r = chy_p11_config_read(&config, &call.err);
    if (r == CHY_OK)
        rv = up(&module_state, &config);
    else
        rv = r == CHY_E_NOMEM ? CKR_HOST_MEMORY : CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        log_failure(&call, &config, rv);
    chy_p11_config_done(&config);
    return rv;
}

static void release_locked(struct chy_p11 *m)
{
    chy_p11_sessions_done(&m->sessions);
    chy_p11_objects_done(&m->objects);
    chy_p11_links_done(&m->links);
    chy_p11_helper_forget_locked(&m->helper);
    chy_p11_config_done(&m->config);
    m->phase = CHY_P11_DOWN;
}

/* Calls of other threads are not waited for longer than it takes to tell them: their connections
 * are shut, and whoever waits is woken. */
static CK_RV down_locked(struct chy_p11 *m)
{
    pid_check_locked(m);
    if (m->phase != CHY_P11_UP)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    m->phase = CHY_P11_ENDING;
    chy_p11_links_shut_locked(&m->links);
    chy_p11_changed_locked(m);
    while (m->calls != 0)
        CHY_IGNORE(pthread_cond_wait(&m->changed, &m->lock)); /* it has no failure */
    release_locked(m);
    chy_p11_changed_locked(m);
    return CKR_OK;
}

CK_RV chy_p11_finalize(void *reserved)
{
    struct chy_p11 *m = &module_state;
    if (reserved != NULL)
        return CKR_ARGUMENTS_BAD;
    chy_p11_lock(m);
    CK_RV rv = down_locked(m);
    chy_p11_unlock(m);
    return rv;
}

/* --- the frame around a call --- */

static CK_RV enter_locked(struct chy_p11 *m)
{
    pid_check_locked(m);
    if (m->phase != CHY_P11_UP)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    m->calls++;
    return CKR_OK;
}

/* Whether C_Finalize waits for it. */
static bool leave(struct chy_p11_call *call)
{
    struct chy_p11 *m = call->m;
    chy_p11_lock(m);
    bool is_ending = m->phase == CHY_P11_ENDING;
    if (call->session != NULL)
        chy_p11_session_give_locked(m, call->session);
    if (--m->calls == 0)
        chy_p11_changed_locked(m);
    chy_p11_unlock(m);
    return is_ending;
}

static void call_init(struct chy_p11_call *call, const char *function)
{
    *call = (struct chy_p11_call){ .m = &module_state, .function = function };
}

bool chy_p11_begin(struct chy_p11_call *call, const char *function)
{
    call_init(call, function);
    chy_p11_lock(call->m);
    call->rv = enter_locked(call->m);
    chy_p11_unlock(call->m);
    return call->rv == CKR_OK;
}

bool chy_p11_begin_in(struct chy_p11_call *call, const char *function, CK_SESSION_HANDLE session)
{
    if (!chy_p11_begin(call, function))
        return false;
    chy_p11_lock(call->m);
    call->session = chy_p11_session_take_locked(call->m, session);
    chy_p11_unlock(call->m);
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
        log_failure(call, &call->m->config, rv);
    bool is_ending = leave(call);
    return rv != CKR_OK && is_ending ? CKR_CRYPTOKI_NOT_INITIALIZED : rv;
}

/* Where the agent did not say what is wrong, the way to it is. */
CK_RV chy_p11_call_rv(const struct chy_p11_call *call, enum chy_err r)
{
    if (r == CHY_OK || r == CHY_E_NOMEM || call->is_refused)
        return chy_p11_rv(r);
    return CKR_DEVICE_ERROR;
}
