/* SPDX-License-Identifier: MIT */
#include "agent/login.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/advice.h"
#include "client/enroll.h"
#include "os/file_stamp.h"

#define FILES          3 /* that settings come from */
#define SETTINGS_BYTES ((size_t)CHY_LIMIT_CONFIG * 16)

struct chy_login_use {
    unsigned refs; /* guarded by the login's mutex, and so is what the server said: */
    bool is_known;
    bool is_agent;
    int64_t expires_us;
    char principal[CHY_LIMIT_NAME + 1];

    struct chy_arena arena;
    struct chy_settings settings;
    int64_t end_us; /* of a certificate that can be renewed; 0: not known */
    struct chy_str files[FILES];
    struct chy_file_stamp stamps[FILES]; /* zero for one that is not there */
};

struct chy_login {
    const struct chy_client_env *env;
    const struct chy_settings_options *options;
    pthread_mutex_t mutex; /* nothing is locked under it; settings are read under it */
    struct chy_login_use *use;
    bool must_reload;
    char trouble[2 * CHY_ERROR_TEXT_BYTES];
};

static void lock(struct chy_login *l)
{
    CHY_ASSERT(pthread_mutex_lock(&l->mutex) == 0);
}

static void unlock(struct chy_login *l)
{
    CHY_ASSERT(pthread_mutex_unlock(&l->mutex) == 0);
}

enum chy_err chy_login_new(const struct chy_client_env *env,
                           const struct chy_settings_options *options, struct chy_login **ret_login,
                           struct chy_error *err)
{
    struct chy_login *l = chy_new(struct chy_login);
    if (l == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a login");
    l->env = env;
    l->options = options;
    CHY_ASSERT(pthread_mutex_init(&l->mutex, NULL) == 0);
    *ret_login = l;
    return CHY_OK;
}

static void use_free(struct chy_login_use *use)
{
    if (use == NULL)
        return;
    chy_settings_done(&use->settings);
    chy_arena_done(&use->arena);
    chy_free(use);
}

static void use_freep(struct chy_login_use **use)
{
    use_free(*use);
}

static void unref_locked(struct chy_login_use *use)
{
    if (use != NULL && --use->refs == 0)
        use_free(use);
}

void chy_login_free(struct chy_login *l)
{
    if (l == NULL)
        return;
    unref_locked(l->use); /* nobody else is left */
    CHY_ASSERT(pthread_mutex_destroy(&l->mutex) == 0);
    chy_free(l);
}

void chy_login_freep(struct chy_login **l)
{
    chy_login_free(*l);
}

/* --- reading settings --- */

static void stamps_take(const struct chy_login_use *use, struct chy_file_stamp stamps[FILES])
{
    for (size_t i = 0; i < FILES; i++) {
        stamps[i] = (struct chy_file_stamp){ 0 };
        if (use->files[i].n != 0)
            CHY_IGNORE(chy_file_stamp(AT_FDCWD, use->files[i].p, &stamps[i], NULL)); /* not there */
    }
}

static bool is_current(const struct chy_login_use *use)
{
    struct chy_file_stamp now[FILES];
    stamps_take(use, now);
    for (size_t i = 0; i < FILES; i++) {
        if (!chy_file_stamp_is_same(&now[i], &use->stamps[i]))
            return false;
    }
    return true;
}

static void name_files(const struct chy_client_env *env, struct chy_login_use *use)
{
    struct chy_str config = { 0 };
    if (use->settings.dir.n != 0)
        config = chy_arena_printf(&use->arena, "%.*s/config.yaml", CHY_STR_ARG(use->settings.dir));
    use->files[0] = config.p != NULL ? config : (struct chy_str){ 0 };
    use->files[1] = use->settings.profile.key;
    use->files[2] = chy_str_of(env->token_file);
}

/* Stamps are taken before the contents are read by whoever opens the files next: what changes in
 * between is read twice, never missed. */
static enum chy_err use_load(const struct chy_login *l, struct chy_login_use **ret_use,
                             struct chy_error *err)
{
    CHY_CLEANUP(use_freep) struct chy_login_use *use = chy_new(struct chy_login_use);
    if (use == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for settings");
    chy_arena_init(&use->arena, SETTINGS_BYTES);
    CHY_TRY(chy_settings_load(l->env, l->options, &use->arena, &use->settings, err));
    use->settings.agent_socket = (struct chy_str){ 0 }; /* that is us */
    if (use->settings.profile.url.n == 0)
        return chy_fail(err, CHY_E_STATE, "profile \"%.*s\" names no server",
                        CHY_STR_ARG(use->settings.profile.name));
    name_files(l->env, use);
    stamps_take(use, use->stamps);
    CHY_TRY(chy_client_credential_end(&use->settings, &use->end_us, err));
    use->refs = 1;
    *ret_use = CHY_TAKE(use);
    return CHY_OK;
}

static enum chy_err reload_locked(struct chy_login *l, struct chy_error *err)
{
    struct chy_login_use *use = NULL;
    CHY_TRY(use_load(l, &use, err));
    unref_locked(l->use);
    l->use = use;
    l->must_reload = false;
    return CHY_OK;
}

enum chy_err chy_login_take(struct chy_login *l, struct chy_login_use **ret_use,
                            struct chy_error *err)
{
    enum chy_err r = CHY_OK;
    lock(l);
    if (l->use == NULL || l->must_reload || !is_current(l->use))
        r = reload_locked(l, err);
    /* A file that is being written may make no sense for a moment: the old settings go on. */
    if (r != CHY_OK && l->use != NULL && r != CHY_E_NOMEM)
        r = CHY_OK;
    if (r == CHY_OK)
        r = chy_client_check_end(&l->use->settings, l->use->end_us, err);
    if (r == CHY_OK) {
        l->use->refs++;
        *ret_use = l->use;
    }
    unlock(l);
    return r;
}

enum chy_err chy_login_reload(struct chy_login *l, struct chy_error *err)
{
    lock(l);
    enum chy_err r = reload_locked(l, err);
    l->must_reload = r != CHY_OK;
    unlock(l);
    return r;
}

void chy_login_use_unref(struct chy_login *l, struct chy_login_use *use)
{
    lock(l);
    unref_locked(use);
    unlock(l);
}

const struct chy_settings *chy_login_settings(const struct chy_login_use *use)
{
    return &use->settings;
}

/* --- what came of it --- */

void chy_login_set_whoami(struct chy_login *l, struct chy_login_use *use,
                          const struct chy_whoami *whoami)
{
    lock(l);
    use->is_known = true;
    use->is_agent = whoami->is_agent;
    use->expires_us = whoami->expires_us;
    (void)snprintf(use->principal, sizeof use->principal, "%.*s", CHY_STR_ARG(whoami->principal));
    unlock(l);
}

bool chy_login_is_known(struct chy_login *l, const struct chy_login_use *use, bool *ret_is_agent)
{
    lock(l);
    bool is_known = use->is_known;
    *ret_is_agent = use->is_agent;
    unlock(l);
    return is_known;
}

/* Else the server did answer, about this one request. */
static bool is_of_login(enum chy_err r)
{
    static const enum chy_err codes[] = {
        CHY_E_UNAUTHENTICATED, CHY_E_EXPIRED,  CHY_E_NETWORK,     CHY_E_TIMEOUT,
        CHY_E_INTEGRITY,       CHY_E_PROTOCOL, CHY_E_UNSUPPORTED,
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(codes); i++) {
        if (codes[i] == r)
            return true;
    }
    return false;
}

void chy_login_note(struct chy_login *l, enum chy_err r, const struct chy_error *why)
{
    static const struct chy_settings none = { 0 };
    lock(l);
    l->trouble[0] = '\0';
    if (r != CHY_OK && (l->use == NULL || is_of_login(r))) {
        const char *mend = chy_client_advice(l->use != NULL ? &l->use->settings : &none, why);
        (void)snprintf(l->trouble, sizeof l->trouble, "%s%s%s", why->text, mend != NULL ? ". " : "",
                       mend != NULL ? mend : "");
    }
    unlock(l);
}

bool chy_login_has_trouble(struct chy_login *l)
{
    lock(l);
    bool has_trouble = l->trouble[0] != '\0';
    unlock(l);
    return has_trouble;
}

enum chy_err chy_login_look(struct chy_login *l, struct chy_arena *arena,
                            struct chy_login_view *ret_view, struct chy_error *err)
{
    struct chy_login_view v = { 0 };
    lock(l);
    v.trouble = chy_arena_str(arena, chy_str_of(l->trouble));
    if (l->use != NULL) {
        v.profile = chy_arena_str(arena, l->use->settings.profile.name);
        v.url = chy_arena_str(arena, l->use->settings.profile.url);
        v.principal = chy_arena_str(arena, chy_str_of(l->use->principal));
        v.expires_us = l->use->expires_us;
        v.is_agent = l->use->is_known && l->use->is_agent;
    }
    bool is_whole =
        v.trouble.p != NULL &&
        (l->use == NULL || (v.profile.p != NULL && v.url.p != NULL && v.principal.p != NULL));
    unlock(l);
    if (!is_whole)
        return chy_fail(err, CHY_E_NOMEM, "no memory to tell of the login");
    *ret_view = v;
    return CHY_OK;
}
