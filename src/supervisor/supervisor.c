/* SPDX-License-Identifier: MIT */
#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "os/capability.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/notify.h"
#include "os/sandbox.h"
#include "os/socket.h"
#include "supervisor/child.h"
#include "supervisor/layout.h"
#include "supervisor/plan.h"
#include "token/token.h"

#define MS             INT64_C(1000)
#define LINK_RETRY_US  (5 * MS)
#define ADDRESS_BYTES  1024
#define SETTINGS_BYTES 4096

/* The order in which they end: nobody loses whom it still needs. */
static const enum chy_process_kind end_order[] = {
    CHY_PROCESS_FRONT,   CHY_PROCESS_QUERY, CHY_PROCESS_SIGNER,
    CHY_PROCESS_INSPECT, CHY_PROCESS_TOKEN,
};
/* And in which they start. */
static const enum chy_process_kind start_order[] = {
    CHY_PROCESS_INSPECT, CHY_PROCESS_TOKEN, CHY_PROCESS_SIGNER,
    CHY_PROCESS_QUERY,   CHY_PROCESS_FRONT,
};
static const enum chy_process_kind linked[][2] = {
    { CHY_PROCESS_FRONT, CHY_PROCESS_SIGNER },   { CHY_PROCESS_FRONT, CHY_PROCESS_QUERY },
    { CHY_PROCESS_SIGNER, CHY_PROCESS_INSPECT }, { CHY_PROCESS_QUERY, CHY_PROCESS_INSPECT },
    { CHY_PROCESS_SIGNER, CHY_PROCESS_TOKEN },
};

struct supervisor {
    const char *config_path;
    struct chy_plan *plan;
    struct chy_plan *reloaded; /* where the plan's TLS paths come from after a reload; or NULL */
    struct chy_log log;
    struct chy_notify notify;
    struct chy_loop *loop;
    struct chy_timer *link_timer;
    struct chy_timer *end_timer;
    struct chy_timer *watchdog;
    struct child_events events;

    int *listeners;
    size_t listener_count;
    struct child *children;
    size_t child_count;
    struct link *links;
    size_t link_count;

    bool was_ready; /* all of them, once */
    bool is_ending;
    bool is_killing;  /* what is in flight is not waited for any more */
    size_t end_stage; /* of end_order: those up to here have been asked to end */
    enum chy_err failed;
    struct chy_error failure; /* why it ends, when failed */
};

/* --- ending --- */

static size_t stage_of(enum chy_process_kind process)
{
    size_t i = 0;
    while (i < CHY_ARRAY_LEN(end_order) && end_order[i] != process)
        i++;
    return i;
}

/* Ask the processes of the present stage to end; when none of them is left, those of the next. */
static void end_advance(struct supervisor *s)
{
    for (; s->end_stage < CHY_ARRAY_LEN(end_order); s->end_stage++) {
        bool is_left = false;
        for (size_t i = 0; i < s->child_count; i++) {
            struct child *child = &s->children[i];
            if (child->who.process != end_order[s->end_stage])
                continue;
            chy_timer_clear(child->timer); /* it is neither waited for nor started again */
            child_drain(child);
            is_left |= child_is_running(child);
        }
        if (is_left)
            return;
    }
    chy_loop_stop(s->loop);
}

static void kill_all(struct supervisor *s)
{
    s->is_killing = true;
    for (size_t i = 0; i < s->child_count; i++) {
        s->children[i].is_draining = true;
        child_kill(&s->children[i]);
    }
    end_advance(s);
}

static void on_end_deadline(void *ctx)
{
    struct supervisor *s = ctx;
    chy_log(&s->log, CHY_LOG_WARNING, "server.killed",
            CHY_L_CSTR("why", "what was in flight did not end in time"),
            CHY_L_I64("waited_ms", CHY_LIMIT_DRAIN_MS));
    kill_all(s);
}

static void end_begin(struct supervisor *s)
{
    s->is_ending = true;
    s->end_stage = 0;
    CHY_IGNORE(chy_notify_send(&s->notify, CHY_NOTIFY_STOPPING, NULL)); /* it sees the end anyway */
    chy_timer_set(s->end_timer, chy_clock_monotonic_us() + CHY_LIMIT_DRAIN_MS * MS);
}

static void on_terminate(void *ctx)
{
    struct supervisor *s = ctx;
    bool is_again = s->is_ending;
    chy_log(&s->log, CHY_LOG_NOTICE, "server.stopping", CHY_L_BOOL("at_once", is_again));
    if (!is_again)
        end_begin(s);
    if (is_again || !s->was_ready)
        kill_all(s);
    else
        end_advance(s);
}

/* The start cannot succeed any more, or the supervisor itself is broken. */
static void end_failed(struct supervisor *s, const struct chy_error *error)
{
    if (s->failed == CHY_OK) {
        s->failed = error->code;
        s->failure = *error;
    }
    if (!s->is_ending)
        end_begin(s);
    kill_all(s);
}

/* --- what a process is sent --- */

static enum chy_err grant_fd(struct child *child, const char *name, int fd, struct chy_error *err)
{
    struct chy_file_grant grant = { .name = chy_str_of(name) };
    return child_send_fd(child, CHY_MSG_FILE, &chy_file_grant_schema, &grant, fd, err);
}

static enum chy_err grant_path(struct child *child, const char *name, const char *path,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_file_open_read(AT_FDCWD, path, &fd, err));
    return grant_fd(child, name, fd, err);
}

static enum chy_err tls_grant(struct child *front, const struct chy_plan *plan,
                              struct chy_error *err)
{
    CHY_TRY(grant_path(front, "tls-certificate", plan->tls_certificate, err));
    return grant_path(front, "tls-key", plan->tls_key, err);
}

static enum chy_err front_equip(struct supervisor *s, struct child *front, struct chy_error *err)
{
    CHY_TRY(child_send(front, CHY_MSG_CONFIG, &chy_front_config_schema, &s->plan->front, err));
    for (size_t i = 0; i < s->listener_count; i++)
        CHY_TRY(grant_fd(front, "listener", s->listeners[i], err));
    return tls_grant(front, s->reloaded != NULL ? s->reloaded : s->plan, err);
}

static const struct chy_plan_token *token_of(const struct supervisor *s, struct chy_str name)
{
    for (size_t i = 0; i < s->plan->token_count; i++)
        if (chy_str_equal(s->plan->tokens[i].config.name, name))
            return &s->plan->tokens[i];
    return NULL;
}

static enum chy_err token_equip(struct supervisor *s, struct child *child, struct chy_error *err)
{
    const struct chy_plan_token *token = token_of(s, child->who.token);
    CHY_ASSERT(token != NULL); /* children are made from the plan */
    struct chy_token_config config = token->config;
    config.worker = child->who.worker;
    CHY_TRY(child_send(child, CHY_MSG_CONFIG, &chy_token_config_schema, &config, err));
    return grant_path(child, "pin", token->pin_path, err);
}

static enum chy_err equip(struct supervisor *s, struct child *child, struct chy_error *err)
{
    switch (child->who.process) {
    case CHY_PROCESS_FRONT:
        return front_equip(s, child, err);
    case CHY_PROCESS_QUERY:
        return child_send(child, CHY_MSG_CONFIG, &chy_query_config_schema, &s->plan->query, err);
    case CHY_PROCESS_INSPECT:
        return child_send(child, CHY_MSG_CONFIG, &chy_inspect_config_schema, &s->plan->inspect,
                          err);
    case CHY_PROCESS_SIGNER:
        return child_send(child, CHY_MSG_CONFIG, &chy_signer_config_schema, &s->plan->signer, err);
    case CHY_PROCESS_TOKEN:
        return token_equip(s, child, err);
    case CHY_PROCESS_SUPERVISOR:
    default:
        return chy_fail(err, CHY_E_INTERNAL, "no process is called %s", child->name);
    }
}

/* --- links --- */

static void on_link_timer(void *ctx)
{
    struct supervisor *s = ctx;
    bool is_done = true;
    struct chy_error error;
    enum chy_err r = CHY_OK;
    for (size_t i = 0; i < s->link_count && r == CHY_OK; i++)
        r = link_advance(&s->links[i], &is_done, &error);
    if (r != CHY_OK)
        chy_log(&s->log, CHY_LOG_ERROR, "process.not_linked", CHY_L_ERR(&error));
    if (r != CHY_OK || !is_done)
        chy_timer_set(s->link_timer, chy_clock_monotonic_us() + LINK_RETRY_US);
}

static void links_drop(struct supervisor *s, const struct child *child)
{
    for (size_t i = 0; i < s->link_count; i++)
        if (s->links[i].ends[0] == child || s->links[i].ends[1] == child)
            link_reset(&s->links[i]);
}

/* --- what happens to a process --- */

static enum chy_err on_child_start(void *ctx, struct child *child, struct chy_error *err)
{
    struct supervisor *s = ctx;
    CHY_TRY(equip(s, child, err));
    /* Not before its configuration is queued: that is the first frame. */
    chy_timer_set(s->link_timer, 0);
    return CHY_OK;
}

static bool are_all_ready(const struct supervisor *s)
{
    for (size_t i = 0; i < s->child_count; i++)
        if (s->children[i].state != CHILD_READY)
            return false;
    return true;
}

static void addresses_print(const struct supervisor *s, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < s->listener_count && n < size; i++) {
        char one[CHY_SOCKET_TEXT_BYTES];
        if (chy_socket_address(s->listeners[i], one, NULL) == CHY_OK)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? " " : "", one);
    }
}

static void status_tell(struct supervisor *s)
{
    char text[ADDRESS_BYTES + 32];
    char addresses[ADDRESS_BYTES];
    size_t ready = 0;
    for (size_t i = 0; i < s->child_count; i++)
        ready += s->children[i].state == CHILD_READY ? 1 : 0;
    addresses_print(s, addresses, sizeof addresses);
    (void)snprintf(text, sizeof text, "%zu of %zu processes ready; %s", ready, s->child_count,
                   addresses);
    /* For people alone; the manager may be gone. */
    CHY_IGNORE(chy_notify_status(&s->notify, chy_str_of(text), NULL));
}

static void on_child_ready(void *ctx, struct child *child)
{
    struct supervisor *s = ctx;
    if (child->who.process == CHY_PROCESS_SIGNER)
        s->plan->signer.accept_older_store = false; /* once; a later loss is told again */
    status_tell(s);
    if (s->was_ready || s->is_ending || !are_all_ready(s))
        return;
    s->was_ready = true;
    char addresses[ADDRESS_BYTES];
    addresses_print(s, addresses, sizeof addresses);
    chy_log(&s->log, CHY_LOG_NOTICE, "server.ready", CHY_L_CSTR("address", addresses),
            CHY_L_STR("version", s->plan->signer.version));
    struct chy_error error;
    if (chy_notify_send(&s->notify, CHY_NOTIFY_READY, &error) != CHY_OK)
        chy_log(&s->log, CHY_LOG_WARNING, "server.not_notified", CHY_L_ERR(&error));
}

/* A token whose PIN is wrong is not tried again by itself: that would lock it. */
static bool is_given_up(struct supervisor *s, const struct child *child, struct chy_process_end end)
{
    if (child->who.process != CHY_PROCESS_TOKEN || end.was_signal ||
        end.value != CHY_TOKEN_EXIT_CONFIG)
        return false;
    chy_log(&s->log, CHY_LOG_ERROR, "process.given_up", CHY_L_CSTR("process", child->name),
            CHY_L_CSTR("text", "put right what its own line says, then send HUP"));
    return true;
}

static bool on_child_end(void *ctx, struct child *child, struct chy_process_end end)
{
    struct supervisor *s = ctx;
    links_drop(s, child);
    status_tell(s);
    if (s->is_killing || (s->is_ending && stage_of(child->who.process) <= s->end_stage)) {
        end_advance(s);
        return false;
    }
    if (s->was_ready || s->is_ending)
        return !is_given_up(s, child, end);
    struct chy_error error;
    chy_fail(&error, CHY_E_STATE, "%s ended before the server was ready; its own line says why",
             child->name);
    end_failed(s, &error);
    return false;
}

/* Signer alone watches the clock of the others, and only of tokens and inspect. */
static void on_child_hung(void *ctx, struct child *child, const struct chy_peer *peer)
{
    struct supervisor *s = ctx;
    if (child->who.process != CHY_PROCESS_SIGNER ||
        (peer->process != CHY_PROCESS_TOKEN && peer->process != CHY_PROCESS_INSPECT)) {
        chy_log(&s->log, CHY_LOG_WARNING, "process.accuses", CHY_L_CSTR("process", child->name));
        return;
    }
    for (size_t i = 0; i < s->child_count; i++) {
        struct child *other = &s->children[i];
        if (other->who.process == peer->process && other->who.worker == peer->worker &&
            chy_str_equal(other->who.token, peer->token)) {
            chy_log(&s->log, CHY_LOG_ERROR, "process.hung", CHY_L_CSTR("process", other->name),
                    CHY_L_I64("child", other->process.pid));
            child_kill(other);
        }
    }
}

/* --- reload --- */

static void on_change(void *ctx, struct chy_str setting)
{
    struct chy_buf *restart = ctx; /* names of settings, ", " between them */
    if (chy_str_starts(setting, "tls."))
        return; /* read again at every reload */
    if (restart->n > 0)
        chy_buf_append_c(restart, ", ");
    chy_buf_append_str(restart, setting);
}

static struct child *child_of(struct supervisor *s, enum chy_process_kind process)
{
    size_t i = 0;
    while (s->children[i].who.process != process)
        i++; /* there is one of each */
    return &s->children[i];
}

/* Enrolment codes carry the pin of the TLS key, so signer must know a new one: it finishes what it
 * has in hand, and is started again. */
static void pin_renew(struct supervisor *s, const struct chy_plan *new)
{
    uint8_t *pin = s->plan->signer.server_pin;
    if (chy_bytes_equal((struct chy_bytes){ pin, CHY_HASH_BYTES },
                        (struct chy_bytes){ new->signer.server_pin, CHY_HASH_BYTES }))
        return;
    chy_copy(pin, new->signer.server_pin, CHY_HASH_BYTES);
    chy_log(&s->log, CHY_LOG_WARNING, "server.new_tls_key",
            CHY_L_CSTR("text", "clients that hold the old key by its pin must enrol again"));
    child_drain(child_of(s, CHY_PROCESS_SIGNER));
}

/* Those that nobody else will start again. */
static void given_up_start(struct supervisor *s)
{
    for (size_t i = 0; i < s->child_count; i++)
        if (s->children[i].state == CHILD_DOWN && !chy_timer_is_set(s->children[i].timer))
            chy_timer_set(s->children[i].timer, 0);
}

static enum chy_err reload(struct supervisor *s, struct chy_error *err)
{
    CHY_CLEANUP(chy_plan_freep) struct chy_plan *new = NULL;
    CHY_TRY(chy_plan_load(s->config_path, &new, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf restart;
    chy_buf_init(&restart, SETTINGS_BYTES);
    CHY_TRY(chy_plan_compare(s->plan, new, on_change, &restart, err));
    struct child *front = child_of(s, CHY_PROCESS_FRONT);
    if (child_is_running(front))
        CHY_TRY(tls_grant(front, new, err));
    if (restart.n > 0)
        chy_log(&s->log, CHY_LOG_WARNING, "server.restart_needed",
                CHY_L_STR("settings", chy_buf_str(&restart)));
    pin_renew(s, new);
    s->log.level = new->log_level; /* the others take theirs when they start */
    chy_plan_freep(&s->reloaded);
    s->reloaded = CHY_TAKE(new);
    given_up_start(s);
    return CHY_OK;
}

static void on_hangup(void *ctx)
{
    struct supervisor *s = ctx;
    if (s->is_ending || !s->was_ready)
        return;
    struct chy_error error;
    CHY_IGNORE(chy_notify_send(&s->notify, CHY_NOTIFY_RELOADING, NULL)); /* READY follows anyway */
    if (reload(s, &error) == CHY_OK)
        chy_log(&s->log, CHY_LOG_NOTICE, "server.reloaded", CHY_L_CSTR("config", s->config_path));
    else
        chy_log(&s->log, CHY_LOG_ERROR, "server.not_reloaded", CHY_L_CSTR("config", s->config_path),
                CHY_L_ERR(&error));
    CHY_IGNORE(chy_notify_send(&s->notify, CHY_NOTIFY_READY, NULL)); /* as above */
}

static void on_watchdog(void *ctx)
{
    struct supervisor *s = ctx;
    CHY_IGNORE(chy_notify_send(&s->notify, CHY_NOTIFY_WATCHDOG, NULL)); /* then it kills us */
    chy_timer_set(s->watchdog, chy_clock_monotonic_us() + s->notify.watchdog_us / 2);
}

/* --- making --- */

static enum chy_err listeners_open(struct supervisor *s, struct chy_error *err)
{
    s->listeners = chy_new_array(int, s->plan->listen.n);
    if (s->listeners == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for listeners");
    for (size_t i = 0; i < s->plan->listen.n; i++) {
        CHY_TRY(chy_socket_listen(s->plan->listen.p[i], 0666, &s->listeners[i], err));
        s->listener_count++;
    }
    return CHY_OK;
}

/* "https://127.0.0.1:0" comes from an address whose port was left to the kernel: say the one it
 * gave. */
static enum chy_err public_url_complete(struct supervisor *s, struct chy_error *err)
{
    struct chy_str *url = &s->plan->signer.public_url;
    char address[CHY_SOCKET_TEXT_BYTES];
    if (url->n < 2 || url->p[url->n - 1] != '0' || url->p[url->n - 2] != ':')
        return CHY_OK;
    CHY_TRY(chy_socket_address(s->listeners[0], address, err));
    const char *colon = strrchr(address, ':');
    struct chy_str full = chy_arena_printf(&s->plan->arena, "%.*s%s", chy_str_print_len(*url) - 2,
                                           url->p, colon != NULL ? colon : ":0");
    if (full.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for an address");
    *url = full;
    return CHY_OK;
}

static enum chy_err child_add(struct supervisor *s, const struct chy_peer *who,
                              const char *environment, struct chy_error *err)
{
    CHY_TRY(child_init(&s->children[s->child_count], s->loop, &s->log, &s->events, who, environment,
                       err));
    s->child_count++;
    return CHY_OK;
}

static enum chy_err tokens_add(struct supervisor *s, struct chy_error *err)
{
    for (size_t i = 0; i < s->plan->token_count; i++) {
        const struct chy_plan_token *token = &s->plan->tokens[i];
        for (uint32_t worker = 0; worker < token->workers; worker++) {
            struct chy_peer who = { CHY_PROCESS_TOKEN, token->config.name, worker };
            CHY_TRY(child_add(s, &who, token->softhsm_conf, err));
        }
    }
    return CHY_OK;
}

static enum chy_err children_make(struct supervisor *s, struct chy_error *err)
{
    size_t n = CHY_ARRAY_LEN(start_order) - 1;
    for (size_t i = 0; i < s->plan->token_count; i++)
        n += s->plan->tokens[i].workers;
    s->children = chy_new_array(struct child, n);
    if (s->children == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for %zu processes", n);
    for (size_t i = 0; i < CHY_ARRAY_LEN(start_order); i++) {
        struct chy_peer who = { .process = start_order[i] };
        if (who.process == CHY_PROCESS_TOKEN)
            CHY_TRY(tokens_add(s, err));
        else
            CHY_TRY(child_add(s, &who, NULL, err));
    }
    return CHY_OK;
}

static bool is_linked(const struct child *a, const struct child *b)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(linked); i++)
        if (a->who.process == linked[i][0] && b->who.process == linked[i][1])
            return true;
    return false;
}

static enum chy_err links_make(struct supervisor *s, struct chy_error *err)
{
    s->links = chy_new_array(struct link, CHY_ARRAY_LEN(linked) + s->child_count);
    if (s->links == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for links");
    for (size_t a = 0; a < s->child_count; a++)
        for (size_t b = 0; b < s->child_count; b++)
            if (is_linked(&s->children[a], &s->children[b]))
                s->links[s->link_count++] =
                    (struct link){ { &s->children[a], &s->children[b] }, { -1, -1 }, false };
    return CHY_OK;
}

static enum chy_err loop_make(struct supervisor *s, struct chy_error *err)
{
    CHY_TRY(chy_loop_new(&s->loop, err));
    CHY_TRY(chy_timer_new(s->loop, on_link_timer, s, &s->link_timer, err));
    CHY_TRY(chy_timer_new(s->loop, on_end_deadline, s, &s->end_timer, err));
    CHY_TRY(chy_timer_new(s->loop, on_watchdog, s, &s->watchdog, err));
    CHY_TRY(chy_loop_signal(s->loop, SIGTERM, on_terminate, s, err));
    CHY_TRY(chy_loop_signal(s->loop, SIGINT, on_terminate, s, err));
    return chy_loop_signal(s->loop, SIGHUP, on_hangup, s, err);
}

/* Root must stay root to start others as their own users; it keeps nothing else of root's rights.
 * Its rules are inherited by what it starts, so they are no stricter than the loosest of them. */
static enum chy_err rights_drop(struct supervisor *s, struct chy_error *err)
{
    static const struct chy_sandbox sandbox = {
        .name = "supervisor",
        .may_bind_tcp = true,
        .may_connect_tcp = true,
        .may_use_abstract_sockets = true,
    };
    struct chy_sandbox_result result;
    CHY_TRY(chy_sandbox_enter(&sandbox, &result, err));
    /* A process that is started names its files in Landlock's rules before it changes its user. */
    CHY_TRY(chy_capability_keep(CHY_CAPABILITY_SETUID | CHY_CAPABILITY_SETGID |
                                    CHY_CAPABILITY_KILL | CHY_CAPABILITY_DAC_READ_SEARCH,
                                err));
    chy_log(&s->log, CHY_LOG_NOTICE, "server.starting", CHY_L_CSTR("config", s->config_path),
            CHY_L_BOOL("as_root", geteuid() == 0), CHY_L_BOOL("loose_build", result.is_loose),
            CHY_L_I64("landlock", result.landlock_abi));
    return CHY_OK;
}

static void supervisor_done(struct supervisor *s)
{
    for (size_t i = 0; i < s->link_count; i++)
        link_reset(&s->links[i]);
    for (size_t i = 0; i < s->child_count; i++)
        child_done(&s->children[i]);
    for (size_t i = 0; i < s->listener_count; i++)
        chy_fd_closep(&s->listeners[i]);
    chy_free(s->links);
    chy_free(s->children);
    chy_free(s->listeners);
    chy_timer_freep(&s->link_timer);
    chy_timer_freep(&s->end_timer);
    chy_timer_freep(&s->watchdog);
    chy_loop_freep(&s->loop);
    chy_notify_close(&s->notify);
    chy_plan_freep(&s->reloaded);
    chy_plan_freep(&s->plan);
}

static enum chy_err run(struct supervisor *s, struct chy_error *err)
{
    CHY_TRY(rights_drop(s, err));
    for (size_t i = 0; i < s->child_count; i++)
        CHY_TRY(child_start(&s->children[i], err));
    if (s->notify.watchdog_us > 0)
        chy_timer_set(s->watchdog, 0);
    CHY_TRY(chy_loop_run(s->loop, err));
    if (s->failed != CHY_OK) {
        if (err != NULL)
            *err = s->failure;
        return s->failed;
    }
    chy_log(&s->log, CHY_LOG_NOTICE, "server.stopped");
    return CHY_OK;
}

/* The lock's file is left behind: who removed it could remove one that another has taken since. */
static enum chy_err lock_take(const struct chy_plan *plan, int *ret_fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int dir = -1;
    CHY_TRY(chy_dir_open(AT_FDCWD, plan->data, &dir, err));
    enum chy_err r = chy_file_lock(dir, LAYOUT_LOCK, ret_fd, err);
    return r == CHY_OK ? r : chy_error_prefix(err, r, "%s is in use", plan->data);
}

enum chy_err chy_supervisor_run(const struct chy_supervisor_options *options, struct chy_error *err)
{
    CHY_CLEANUP(supervisor_done)
    struct supervisor s = { .config_path = options->config, .notify = { .fd = -1 } };
    CHY_CLEANUP(chy_fd_closep) int lock = -1;
    s.events =
        (struct child_events){ on_child_start, on_child_ready, on_child_end, on_child_hung, &s };
    chy_process_ignore_sigpipe();
    CHY_TRY(chy_plan_load(options->config, &s.plan, err));
    s.plan->signer.accept_older_store = options->accept_older_store;
    chy_log_init(&s.log, STDERR_FILENO, s.plan->log_level, "supervisor",
                 chy_log_is_journal(STDERR_FILENO));
    CHY_TRY(lock_take(s.plan, &lock, err));
    CHY_TRY(chy_notify_open(&s.notify, err));
    CHY_TRY(listeners_open(&s, err));
    CHY_TRY(public_url_complete(&s, err));
    CHY_TRY(loop_make(&s, err));
    CHY_TRY(children_make(&s, err));
    CHY_TRY(links_make(&s, err));
    return run(&s, err);
}
