/* SPDX-License-Identifier: MIT */
#include "agent/upstream.h"

#include "client/enroll.h"

static enum chy_err server_open(const struct chy_settings *settings, void **ret_client,
                                struct chy_error *err)
{
    struct chy_client *c = NULL;
    CHY_TRY(chy_client_open(settings, &c, err));
    *ret_client = c;
    return CHY_OK;
}

static void server_close(void *client)
{
    chy_client_close(client);
}

static enum chy_err server_call(void *client, enum chy_op op, const void *request,
                                struct chy_arena *arena, void *response, struct chy_error *err)
{
    return chy_client_call(client, op, request, arena, response, err);
}

static const char *server_request_id(const void *client)
{
    return chy_client_request_id(client);
}

static void server_set_patience(void *client, int64_t patience_ms)
{
    chy_client_set_patience(client, patience_ms);
}

const struct chy_upstream chy_upstream_server = {
    .open = server_open,
    .close = server_close,
    .call = server_call,
    .request_id = server_request_id,
    .set_patience = server_set_patience,
    .renew = chy_client_renew,
    .slow_us = 5000000, /* a signature takes milliseconds; a key of RSA 4096 may count as hung */
};
