/* SPDX-License-Identifier: MIT */
/* Who the agent is at which server: the settings, as the command line, the environment and the
 * configuration say, and what came of using them. Settings are read again when the configuration,
 * the credential or the token's file is another than it was, so that who enrols again need not tell
 * the agent.
 *
 * Threads: shared, guarded by its own mutex; settings that were taken are immutable. */
#pragma once

#include "base/arena.h"
#include "client/settings.h"
#include "proto/api.h"

struct chy_login;
struct chy_login_use; /* settings that somebody uses, counted */

/* `env` and the options must outlive it. Nothing is read yet. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_login_new(const struct chy_client_env *env,
                                        const struct chy_settings_options *options,
                                        struct chy_login **ret_login, struct chy_error *err);
void chy_login_free(struct chy_login *l);
void chy_login_freep(struct chy_login **l);

/* The settings as they are now. Errors: CHY_E_EXPIRED the certificate has ended; of
 * chy_settings_load() and of reading the credential, while there were no good ones yet; CHY_E_STATE
 * they name no server; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_login_take(struct chy_login *l, struct chy_login_use **ret_use,
                                         struct chy_error *err);
/* Read them the next time, whatever the files look like; answers what is wrong with them. */
CHY_MUST_USE enum chy_err chy_login_reload(struct chy_login *l, struct chy_error *err);
void chy_login_use_unref(struct chy_login *l, struct chy_login_use *use); /* NULL is a no-op */
const struct chy_settings *chy_login_settings(const struct chy_login_use *use);

/* What the server says of us, as long as these settings hold. */
void chy_login_set_whoami(struct chy_login *l, struct chy_login_use *use,
                          const struct chy_whoami *whoami);
/* Whether that was said; *ret_is_agent is what it says of facts. */
bool chy_login_is_known(struct chy_login *l, const struct chy_login_use *use, bool *ret_is_agent);
/* What came of the last call: what ails the login or the way to the server is kept until it is
 * over; what ails one request alone is none of it. */
void chy_login_note(struct chy_login *l, enum chy_err r, const struct chy_error *why);

bool chy_login_has_trouble(struct chy_login *l);

struct chy_login_view {
    struct chy_str profile;
    struct chy_str url;
    struct chy_str principal;
    int64_t expires_us;
    bool is_agent;
    struct chy_str trouble; /* with what to do about it */
};
/* All of it, copied into the arena. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_login_look(struct chy_login *l, struct chy_arena *arena,
                                         struct chy_login_view *ret_view, struct chy_error *err);
