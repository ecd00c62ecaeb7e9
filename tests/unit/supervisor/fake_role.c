/* SPDX-License-Identifier: MIT */
#include "fake_role.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/hex.h"
#include "os/channel.h"
#include "os/fd.h"
#include "os/process.h"
#include "proto/internal.h"
#include "token/token.h"

#define PEERS_MAX 16

extern char **environ;

static struct {
    char name[64]; /* "front", "token soft 1" */
    char folder[PATH_MAX];
    int events;
    struct chy_loop *loop;
    struct chy_channel *supervisor;
    struct chy_arena arena;
    bool is_stubborn;
    struct {
        int fd;
        char name[64];
        struct chy_watch *watch;
    } peers[PEERS_MAX];
    size_t peer_count;
} role;

static CHY_PRINTF(1, 2) void tell(const char *fmt, ...)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%s %d ", role.name, (int)getpid());
    va_list args;
    va_start(args, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, args);
    va_end(args);
    line[n++] = '\n';
    if (write(role.events, line, (size_t)n) != n) /* short: no other line gets between */
        _exit(90);
}

static bool does(const char *what)
{
    char path[PATH_MAX + 80];
    char text[32] = "";
    snprintf(path, sizeof path, "%s/%s.does", role.folder, role.name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    bool has_text = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    return has_text && strcmp(text, what) == 0;
}

static void send_frame(enum chy_msg type, const struct chy_schema *schema, const void *value)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CHY_FRAME_BODY_MAX);
    if (chy_schema_encode(schema, value, &body, NULL) != CHY_OK)
        _exit(91);
    struct chy_frame frame = { .type = (uint16_t)type, .body = chy_buf_bytes(&body) };
    if (chy_channel_send(role.supervisor, &frame, NULL) != CHY_OK)
        _exit(92);
}

static void on_peer_end(void *ctx, uint32_t events)
{
    size_t i = (size_t)(uintptr_t)ctx;
    (void)events;
    tell("PEER-END %s", role.peers[i].name);
    chy_watch_freep(&role.peers[i].watch);
    chy_fd_closep(&role.peers[i].fd);
}

static void take_peer(const struct chy_frame *frame)
{
    struct chy_peer peer;
    if (chy_schema_decode(&chy_peer_schema, frame->body, &role.arena, &peer, NULL) != CHY_OK ||
        role.peer_count == PEERS_MAX)
        _exit(93);
    size_t i = role.peer_count++;
    const char *name = chy_enum_name(&chy_process_enum, (int)peer.process);
    if (peer.token.n > 0)
        snprintf(role.peers[i].name, sizeof role.peers[i].name, "%s %.*s %u", name,
                 CHY_STR_ARG(peer.token), peer.worker);
    else
        snprintf(role.peers[i].name, sizeof role.peers[i].name, "%s", name);
    role.peers[i].fd = chy_channel_take_fd(role.supervisor);
    if (role.peers[i].fd < 0 ||
        chy_watch_new(role.loop, role.peers[i].fd, EPOLLRDHUP | EPOLLHUP, on_peer_end,
                      (void *)(uintptr_t)i, &role.peers[i].watch, NULL) != CHY_OK)
        _exit(94);
    tell("PEER %s", role.peers[i].name);
}

static void take_file(const struct chy_frame *frame)
{
    struct chy_file_grant grant;
    char byte;
    CHY_CLEANUP(chy_fd_closep) int fd = chy_channel_take_fd(role.supervisor);
    if (chy_schema_decode(&chy_file_grant_schema, frame->body, &role.arena, &grant, NULL) != CHY_OK)
        _exit(95);
    bool is_listener = chy_str_equal_c(grant.name, "listener");
    bool can_read = is_listener || read(fd, &byte, 1) == 1;
    bool can_write = !is_listener && write(fd, "x", 1) == 1;
    tell("FILE %.*s%s%s", CHY_STR_ARG(grant.name), can_read ? "" : " unreadable",
         can_write ? " writable" : "");
}

/* The first field that all configurations have is found by its name. */
static struct chy_str config_text(const struct chy_schema *schema, const void *config,
                                  const char *name)
{
    const struct chy_field *f = chy_schema_field(schema, chy_str_of(name));
    return f != NULL ? *(const struct chy_str *)chy_field_in(f, config) : CHY_STR("");
}

static void open_events(struct chy_str path)
{
    char fifo[PATH_MAX];
    snprintf(fifo, sizeof fifo, "%.*s", CHY_STR_ARG(path));
    role.events = open(fifo, O_WRONLY | O_CLOEXEC);
    char *slash = strrchr(fifo, '/');
    if (role.events < 0 || slash == NULL)
        _exit(96);
    *slash = '\0';
    memcpy(role.folder, fifo, sizeof fifo);
}

static void tell_signer(const struct chy_signer_config *config)
{
    char pin[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    chy_hex_encode((struct chy_bytes){ config->server_pin, CHY_HASH_BYTES }, pin);
    tell("SIGNER %.*s%s", CHY_STR_ARG(config->public_url),
         config->accept_older_store ? " accepts an older store" : "");
    tell("PIN %s", pin);
}

static void take_config(const struct chy_frame *frame)
{
    union {
        struct chy_front_config front;
        struct chy_query_config query;
        struct chy_inspect_config inspect;
        struct chy_signer_config signer;
        struct chy_token_config token;
    } config;
    const struct chy_schema *schema = strcmp(role.name, "front") == 0   ? &chy_front_config_schema
                                      : strcmp(role.name, "query") == 0 ? &chy_query_config_schema
                                      : strcmp(role.name, "inspect") == 0
                                          ? &chy_inspect_config_schema
                                      : strcmp(role.name, "signer") == 0 ? &chy_signer_config_schema
                                                                         : &chy_token_config_schema;
    if (chy_schema_decode(schema, frame->body, &role.arena, &config, NULL) != CHY_OK)
        _exit(97);
    open_events(config_text(schema, &config, "user"));
    if (schema == &chy_token_config_schema)
        snprintf(role.name, sizeof role.name, "token %.*s %u", CHY_STR_ARG(config.token.name),
                 config.token.worker);
    tell("CONFIG");
    if (schema == &chy_signer_config_schema)
        tell_signer(&config.signer);
    for (size_t i = 0; environ[i] != NULL; i++)
        tell("ENV %s", environ[i]);
    if (does("die"))
        _exit(7);
    if (does("wrong-pin"))
        _exit(CHY_TOKEN_EXIT_CONFIG);
    role.is_stubborn = does("stubborn");
    struct chy_ready ready = { .text = CHY_STR("fake") };
    if (!does("silent"))
        send_frame(CHY_MSG_READY, &chy_ready_schema, &ready);
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    (void)ctx;
    (void)channel;
    switch (frame->type) {
    case CHY_MSG_CONFIG:
        take_config(frame);
        break;
    case CHY_MSG_PEER:
        take_peer(frame);
        break;
    case CHY_MSG_FILE:
        take_file(frame);
        break;
    case CHY_MSG_DRAIN:
        tell("DRAIN");
        if (!role.is_stubborn)
            _exit(0);
        break;
    default:
        _exit(98);
    }
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    (void)ctx;
    (void)channel;
    (void)why;
    (void)error;
    _exit(99);
}

static void on_accuse(void *ctx)
{
    (void)ctx;
    struct chy_peer hung = { CHY_PROCESS_TOKEN, CHY_STR("soft"), 1 };
    send_frame(CHY_MSG_HUNG, &chy_peer_schema, &hung);
}

static void on_misbehave(void *ctx)
{
    (void)ctx;
    struct chy_empty empty = { .unused = false };
    send_frame(CHY_MSG_CALL, &chy_empty_schema, &empty);
}

int fake_role_main(const char *name)
{
    struct chy_channel_options options = { .send_limit_bytes = 65536, .takes_fds = true };
    struct chy_channel_handler handler = { on_frame, on_close, NULL };
    chy_arena_init(&role.arena, CHY_LIMIT_ARENA);
    snprintf(role.name, sizeof role.name, "%s", name + 1);
    role.events = -1;
    if (chy_process_inherit(1, NULL) != CHY_OK || chy_loop_new(&role.loop, NULL) != CHY_OK ||
        chy_loop_signal(role.loop, SIGUSR1, on_accuse, NULL, NULL) != CHY_OK ||
        chy_loop_signal(role.loop, SIGUSR2, on_misbehave, NULL, NULL) != CHY_OK ||
        chy_channel_new(CHY_SUPERVISOR_FD, &options, &role.supervisor, NULL) != CHY_OK ||
        chy_channel_attach(role.supervisor, role.loop, &handler, NULL) != CHY_OK)
        return 89;
    return chy_loop_run(role.loop, NULL) == CHY_OK ? 0 : 88;
}
