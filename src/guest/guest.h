/* SPDX-License-Identifier: MIT */
/* A guest is a library of ours in somebody else's program: the PKCS#11 module, the OpenSSL
 * provider. It never prints, aborts, or changes what belongs to the process, and asks the agent (or
 * a private helper) for all that it does. Here is the state that each of them has once.
 *
 * One mutex guards all of it; it is never held while something is sent, received, started or waited
 * for, but on `changed`. What a call works on without the mutex: its own link (`is_busy`) and the
 * configuration; both stay until the end has seen the last call leave.
 *
 * fork: handlers of pthread_atfork take the mutex around it, so that the child gets whole state.
 * The child closes the parent's connections (never shuts them down) and makes its own when it needs
 * them. What another thread was doing at that moment is dropped in the child. glibc takes the
 * handlers back at dlclose. A child made without the handlers (clone, _Fork) is told by its process
 * id. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "guest/config.h"
#include "guest/link.h"
#include "guest/private_helper.h"

enum chy_guest_phase {
    CHY_GUEST_DOWN,
    CHY_GUEST_UP,
    CHY_GUEST_ENDING, /* the end waits for the calls of other threads */
};

struct chy_guest {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum chy_guest_phase phase;
    pid_t pid;    /* whose connections these are */
    size_t calls; /* inside */
    struct chy_guest_config config;
    struct chy_guest_links links;
    struct chy_guest_helper helper;
    /* What else the owner has to drop in a forked child, the mutex held; may be NULL. With phase
     * CHY_GUEST_ENDING the thread that was ending it is not here: all is lost memory. */
    void (*disown_locked)(struct chy_guest *g);
};

#define CHY_GUEST_INITIALIZER(on_fork)                                          \
    {                                                                           \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, \
        .helper = { .control_fd = -1 }, .disown_locked = (on_fork)              \
    }

void chy_guest_lock(struct chy_guest *g);
void chy_guest_unlock(struct chy_guest *g);
/* Wait, the mutex held, until something changes or `until_us` of the monotonic clock is past.
 * Errors: CHY_E_TIMEOUT; CHY_E_STATE  the end began */
CHY_MUST_USE enum chy_err chy_guest_wait_locked(struct chy_guest *g, int64_t until_us,
                                                struct chy_error *err);
void chy_guest_changed_locked(struct chy_guest *g);

/* Before the first start, the mutex not held: forks are seen from now on. A library has one guest:
 * the first that is given. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_guest_watch_forks(struct chy_guest *g, struct chy_error *err);
/* Wait until no end is under way, and see whether this is a child that no handler told of. Then the
 * phase is up or down. */
void chy_guest_settle_locked(struct chy_guest *g);
/* Up, from down. Takes the configuration. */
void chy_guest_start_locked(struct chy_guest *g, struct chy_guest_config *config);
/* From up to ending: calls of other threads are not waited for longer than it takes to tell them:
 * their connections are shut, and whoever waits is woken. */
void chy_guest_stop_locked(struct chy_guest *g);
/* From ending to down, when the owner has freed what is its own. */
void chy_guest_release_locked(struct chy_guest *g);

/* Begin a call; false: it is not up. Each that began is to leave, which answers whether the end
 * waits for it. */
bool chy_guest_enter_locked(struct chy_guest *g);
bool chy_guest_leave_locked(struct chy_guest *g);
