/* SPDX-License-Identifier: MIT */
/* A front process in a child of the test, with the test as its supervisor, signer, query and
 * clients. Everything waits with a deadline; failures end the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../crypto/tls_fixture.h"
#include "base/arena.h"
#include "os/channel.h"
#include "proto/internal.h"

struct fixture {
    pid_t pid;
    struct chy_channel *supervisor;
    struct chy_channel *signer;
    struct chy_channel *query;
    int listener;
    int port;
    struct chy_arena arena; /* of what was received last */
    struct tls_identity ca, other_ca, server_id, second_server_id;
    struct tls_identity client_id, expired_id, foreign_id;
};

/* What a test would change of the configuration before the start; may be NULL. */
typedef void fixture_config_fn(struct chy_front_config *config);

/* Identities and process; `trust` sends the client CA as the signer would. */
void fixture_start(struct fixture *f, fixture_config_fn *change);
/* DRAIN, and the exit code must be 0. */
void fixture_stop(struct fixture *f);
/* The exit code of a process that ends by itself. */
int fixture_wait(struct fixture *f);
void fixture_done(struct fixture *f);

void fixture_send(struct chy_channel *c, enum chy_msg type, uint64_t id,
                  const struct chy_schema *schema, const void *value);
void fixture_send_tls(struct fixture *f, const struct tls_identity *certificate,
                      const struct tls_identity *key);
void fixture_send_peer(struct fixture *f, enum chy_process_kind kind,
                       struct chy_channel **ret_channel);
void fixture_send_trust(struct fixture *f, const struct tls_identity *ca);

/* The next CALL on this channel, STATUS questions passed over. Borrows from the arena. */
uint64_t fixture_take_call(struct fixture *f, struct chy_channel *c, struct chy_call *ret_call);
/* Answer STATUS questions until `n` were answered, each with this. */
void fixture_answer_status(struct fixture *f, struct chy_channel *c,
                           const struct chy_status *status, size_t n);
void fixture_reply(struct chy_channel *c, uint64_t id, enum chy_err code, const char *text,
                   const struct chy_schema *schema, const void *response);

/* A client's connection: TLS, blocking with a timeout. */
struct client {
    int fd;
    SSL *ssl;
    char *text; /* what was read and not consumed */
    size_t n;
};

void client_open(struct client *c, const struct fixture *f, const struct tls_identity *identity,
                 const char *alpn);
void client_close(struct client *c);
void client_send(struct client *c, const void *text, size_t n);
/* True if the server closes without sending more than was read already. */
bool client_is_closed(struct client *c);

struct response {
    int status;
    char head[4096];
    char *body; /* NUL-terminated; free() */
    size_t body_n;
};

/* The next HTTP/1.1 response (100 Continue counts as one). */
void client_read(struct client *c, struct response *r);
void response_done(struct response *r);
/* The value of a header into `to`; "" if there is none. */
void response_field(const struct response *r, const char *name, char to[256]);
