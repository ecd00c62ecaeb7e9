/* SPDX-License-Identifier: MIT */
/* A helper of one tool: the tool's own environment says who to be, its control socket who is
 * served, and it ends when that is closed. */
#include "agent/agent.h"
#include "agent/service_internal.h"
#include "base/limits.h"
#include "os/channel.h"
#include "os/fd.h"
#include "os/process.h"
#include "proto/door.h"

#define CONTROL_SEND 65536 /* bytes: a few short answers */
#define EXIT_TROUBLE 3

struct helper {
    struct service service;
    struct chy_channel *control;
};

static const struct chy_empty nothing = { 0 };

static void answer(struct helper *h, uint64_t frame_id, enum chy_door_msg msg,
                   const struct chy_schema *schema, const void *value)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf body;
    chy_buf_init(&body, CONTROL_SEND / 2);
    if (chy_schema_encode(schema, value, &body, NULL) != CHY_OK)
        return;
    const struct chy_frame frame = { (uint16_t)msg, frame_id, chy_buf_bytes(&body) };
    if (chy_channel_send(h->control, &frame, NULL) != CHY_OK)
        service_end(&h->service); /* whoever started us does not listen */
}

static void on_listen(struct helper *h, const struct chy_frame *frame)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_door_listen listen;
    struct chy_error err;
    chy_arena_init(&arena, CHY_LIMIT_SECRET);
    enum chy_err r = chy_schema_decode(&chy_door_listen_schema, frame->body, &arena, &listen, &err);
    if (r == CHY_OK)
        r = service_listen(&h->service, listen.path, &err);
    if (r == CHY_OK) {
        answer(h, frame->id, CHY_DOOR_LISTENING, &chy_empty_schema, &nothing);
        return;
    }
    const struct chy_door_failure failure = { .code = (uint32_t)-r, .text = chy_str_of(err.text) };
    answer(h, frame->id, CHY_DOOR_FAILED, &chy_door_failure_schema, &failure);
}

static void on_frame(void *ctx, struct chy_channel *channel, const struct chy_frame *frame)
{
    struct helper *h = ctx;
    int fd = -1;
    if (h->service.is_ending)
        return;
    switch (frame->type) {
    case CHY_DOOR_ADOPT:
        fd = chy_channel_take_fd(channel);
        if (fd >= 0)
            chy_porter_admit(h->service.porter, fd);
        else
            service_end(&h->service);
        return;
    case CHY_DOOR_LISTEN:
        on_listen(h, frame);
        return;
    default: /* not what we are for */
        service_end(&h->service);
    }
}

static void on_close(void *ctx, struct chy_channel *channel, enum chy_err why,
                     const struct chy_error *error)
{
    struct helper *h = ctx;
    (void)channel;
    (void)why;
    (void)error;
    service_end(&h->service);
}

static enum chy_err serve(struct helper *h, const struct chy_client_env *env, int control_fd,
                          struct chy_error *err)
{
    static const struct chy_settings_options none = { { 0 }, { 0 } };
    const struct chy_channel_options options = { CONTROL_SEND, true };
    const struct chy_channel_handler handler = { on_frame, on_close, h };
    CHY_CLEANUP(chy_fd_closep) int fd = control_fd;
    CHY_TRY(service_init(&h->service, env, &none, "helper", err));
    CHY_TRY(chy_channel_new(fd, &options, &h->control, err));
    CHY_IGNORE(chy_fd_take(&fd)); /* the channel's now */
    CHY_TRY(chy_channel_attach(h->control, h->service.loop, &handler, err));
    return service_run(&h->service, err);
}

int chy_helper_main(const struct chy_client_env *env)
{
    struct helper h = { .control = NULL };
    struct chy_error err;
    if (chy_process_detach(CHY_DOOR_CONTROL_FD, &err) != CHY_OK)
        return EXIT_TROUBLE;
    enum chy_err r = serve(&h, env, CHY_DOOR_CONTROL_FD, &err);
    if (r != CHY_OK)
        chy_log(&h.service.log, CHY_LOG_ERROR, "helper.failed", CHY_L_ERR(&err));
    if (r == CHY_E_TIMEOUT)
        chy_process_leave(EXIT_TROUBLE); /* threads hang: nobody can wait for them */
    chy_channel_free(h.control);
    service_done(&h.service);
    return r == CHY_OK ? 0 : EXIT_TROUBLE;
}
