/* SPDX-License-Identifier: MIT */
/* Private to src/agent: what an agent and a helper are both made of. */
#pragma once

#include "agent/agent.h"
#include "agent/listener.h"
#include "agent/porter.h"

struct service {
    struct chy_settings_options settings;
    struct chy_loop *loop;
    struct chy_log log;
    struct chy_login *login;
    struct chy_programs *programs;
    struct chy_peer_place place;
    struct chy_workers *workers;
    struct chy_porter *porter;
    struct chy_timer *tick;
    struct chy_timer *deadline; /* of ending */
    bool is_ending;

    struct chy_listener *door; /* NULL: it listens nowhere */
    struct chy_listener *ssh;
    struct chy_arena arena; /* of paths */
};

/* `s` is zeroed by this; done() takes what was made so far. Errors: CHY_E_NOMEM, CHY_E_IO,
 * CHY_E_BUSY */
CHY_MUST_USE enum chy_err service_init(struct service *s, const struct chy_client_env *env,
                                       const struct chy_settings_options *settings,
                                       const char *role, struct chy_error *err);
void service_done(struct service *s);

/* Listen at a path that nobody else listens at, in a folder that is ours; the socket's file goes
 * with service_done(). Errors: as chy_agent_run() */
CHY_MUST_USE enum chy_err service_listen(struct service *s, struct chy_str path,
                                         struct chy_error *err);
/* The same for the SSH agent protocol. */
CHY_MUST_USE enum chy_err service_listen_ssh(struct service *s, struct chy_str path,
                                             struct chy_error *err);

/* Turn until service_end() was called and what was in flight is answered.
 * Errors: CHY_E_IO the loop breaks; CHY_E_TIMEOUT what was in flight took too long: threads are
 * still at it, so leave without waiting for them */
CHY_MUST_USE enum chy_err service_run(struct service *s, struct chy_error *err);
void service_end(struct service *s);
