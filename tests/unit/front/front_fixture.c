/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/secret.h"
#include "front/front.h"
#include "front/http.h"
#include "os/clock.h"
#include "os/socket.h"

#define HOUR    3600L
#define WAIT_US 10000000

static int64_t deadline(void)
{
    return chy_clock_monotonic_us() + WAIT_US;
}

static void make_identities(struct fixture *f)
{
    f->ca = tls_identity_new(TLS_IDENTITY_CA, "client CA", NULL, -HOUR, HOUR);
    f->other_ca = tls_identity_new(TLS_IDENTITY_CA, "other CA", NULL, -HOUR, HOUR);
    f->server_id = tls_identity_new(TLS_IDENTITY_SERVER, "localhost", NULL, -HOUR, HOUR);
    f->second_server_id = tls_identity_new(TLS_IDENTITY_SERVER, "second", NULL, -HOUR, HOUR);
    f->client_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &f->ca, -HOUR, HOUR);
    f->expired_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &f->ca, -2 * HOUR, -HOUR);
    f->foreign_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &f->other_ca, -HOUR, HOUR);
}

static struct chy_channel *channel_of(int fd)
{
    struct chy_channel *c = NULL;
    const struct chy_channel_options options = { .send_limit_bytes = 1 << 24 };
    assert_int_equal(chy_channel_new(fd, &options, &c, NULL), CHY_OK);
    return c;
}

void fixture_send(struct chy_channel *c, enum chy_msg type, uint64_t id,
                  const struct chy_schema *schema, const void *value)
{
    struct chy_buf b;
    struct chy_error err;
    chy_buf_init(&b, 1 << 24);
    if (chy_schema_encode(schema, value, &b, &err) != CHY_OK)
        fail_msg("%s", err.text);
    struct chy_frame frame = { (uint16_t)type, id, chy_buf_bytes(&b) };
    assert_int_equal(chy_channel_send(c, &frame, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(c, deadline(), NULL), CHY_OK);
    chy_buf_done(&b);
}

static void send_with_fd(struct fixture *f, enum chy_msg type, const struct chy_schema *schema,
                         const void *value, int fd)
{
    struct chy_buf b;
    chy_buf_init(&b, 4096);
    assert_int_equal(chy_schema_encode(schema, value, &b, NULL), CHY_OK);
    struct chy_frame frame = { (uint16_t)type, 0, chy_buf_bytes(&b) };
    assert_int_equal(chy_channel_send_fds(f->supervisor, &frame, &fd, 1, NULL), CHY_OK);
    assert_int_equal(chy_channel_flush_wait(f->supervisor, deadline(), NULL), CHY_OK);
    chy_buf_done(&b);
}

static void send_file(struct fixture *f, const char *name, int fd)
{
    struct chy_file_grant grant = { chy_str_of(name) };
    send_with_fd(f, CHY_MSG_FILE, &chy_file_grant_schema, &grant, fd);
}

static void send_bytes(struct fixture *f, const char *name, struct chy_bytes bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    send_file(f, name, fd);
    close(fd);
}

void fixture_send_tls(struct fixture *f, const struct tls_identity *certificate,
                      const struct tls_identity *key)
{
    struct chy_bytes chain = tls_fixture_chain_pem(certificate);
    struct chy_secret *pem = tls_fixture_key_pem(key);
    send_bytes(f, "tls-certificate", chain);
    send_bytes(f, "tls-key", chy_secret_bytes(pem));
    OPENSSL_free((void *)(uintptr_t)chain.p);
    chy_secret_free(pem);
}

void fixture_send_peer(struct fixture *f, enum chy_process_kind kind,
                       struct chy_channel **ret_channel)
{
    int fds[2];
    struct chy_peer peer = { .process = kind };
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    send_with_fd(f, CHY_MSG_PEER, &chy_peer_schema, &peer, fds[1]);
    close(fds[1]);
    chy_channel_free(*ret_channel);
    *ret_channel = channel_of(fds[0]);
}

void fixture_send_trust(struct fixture *f, const struct tls_identity *ca)
{
    unsigned char *der = NULL;
    int n = i2d_X509(ca->certificate, &der);
    assert_true(n > 0);
    struct chy_trust trust = { { der, (size_t)n } };
    fixture_send(f->signer, CHY_MSG_TRUST, 0, &chy_trust_schema, &trust);
    OPENSSL_free(der);
}

static struct chy_frame receive(struct chy_channel *c)
{
    struct chy_frame frame;
    struct chy_error err;
    if (chy_channel_receive_wait(c, deadline(), &frame, &err) != CHY_OK)
        fail_msg("%s", err.text);
    return frame;
}

static void start_process(struct fixture *f)
{
    int fds[2];
    assert_int_equal(chy_socket_pair(fds, NULL), CHY_OK);
    fflush(stdout);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        int fd = fcntl(fds[1], F_DUPFD, 200); /* out of the way of 3 */
        if (fd < 0 || dup2(fd, CHY_SUPERVISOR_FD) < 0)
            _exit(99);
        for (int i = CHY_SUPERVISOR_FD + 1; i <= fd; i++)
            close(i);
        exit(chy_front_main()); /* not _exit: the leak checker looks */
    }
    close(fds[1]);
    f->supervisor = channel_of(fds[0]);
}

static void wait_ready(struct fixture *f)
{
    struct chy_frame frame = receive(f->supervisor);
    struct chy_ready ready;
    assert_int_equal(frame.type, CHY_MSG_READY);
    chy_arena_reset(&f->arena);
    assert_int_equal(chy_schema_decode(&chy_ready_schema, frame.body, &f->arena, &ready, NULL),
                     CHY_OK);
    char text[CHY_SOCKET_TEXT_BYTES];
    char expected[CHY_SOCKET_TEXT_BYTES + 16];
    assert_int_equal(chy_socket_address(f->listener, text, NULL), CHY_OK);
    snprintf(expected, sizeof expected, "listening on %s", text);
    assert_true(chy_str_equal_c(ready.text, expected));
    size_t port = 0;
    assert_true(chy_http_content_length(chy_str_of(strrchr(text, ':') + 1), &port));
    f->port = (int)port;
}

void fixture_start(struct fixture *f, fixture_config_fn *change)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    *f = (struct fixture){ 0 };
    chy_arena_init(&f->arena, 1 << 24);
    make_identities(f);
    struct chy_front_config config = {
        .version = CHY_STR("1.2.3"),
        .listeners = 1,
        .max_connections = 100,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 10000,
        .max_calls_per_connection = 8,
        .max_calls = 16,
        .max_calls_per_principal = 12,
        .log_level = CHY_STR("error"),
    };
    if (change != NULL)
        change(&config);
    start_process(f);
    assert_int_equal(chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &f->listener, NULL), CHY_OK);
    fixture_send(f->supervisor, CHY_MSG_CONFIG, 0, &chy_front_config_schema, &config);
    fixture_send_peer(f, CHY_PROCESS_SIGNER, &f->signer);
    fixture_send_peer(f, CHY_PROCESS_QUERY, &f->query);
    fixture_send_trust(f, &f->ca);
    fixture_send_tls(f, &f->server_id, &f->server_id);
    send_file(f, "listener", f->listener);
    wait_ready(f);
}

int fixture_wait(struct fixture *f)
{
    int status = 0;
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void fixture_done(struct fixture *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    chy_channel_free(f->supervisor);
    chy_channel_free(f->signer);
    chy_channel_free(f->query);
    close(f->listener);
    chy_arena_done(&f->arena);
    struct tls_identity *all[] = { &f->ca,        &f->other_ca,
                                   &f->server_id, &f->second_server_id,
                                   &f->client_id, &f->expired_id,
                                   &f->foreign_id };
    for (size_t i = 0; i < CHY_ARRAY_LEN(all); i++)
        tls_identity_done(all[i]);
    SSL_SESSION_free(tls_fixture_take_session());
}

void fixture_stop(struct fixture *f)
{
    static const struct chy_empty nothing;
    fixture_send(f->supervisor, CHY_MSG_DRAIN, 0, &chy_empty_schema, &nothing);
    assert_int_equal(fixture_wait(f), 0);
    fixture_done(f);
}

uint64_t fixture_take_call(struct fixture *f, struct chy_channel *c, struct chy_call *ret_call)
{
    int64_t until_us = deadline();
    struct chy_frame frame = receive(c);
    while (frame.type == CHY_MSG_STATUS) {
        if (chy_clock_monotonic_us() > until_us)
            fail_msg("no call came");
        frame = receive(c);
    }
    assert_int_equal(frame.type, CHY_MSG_CALL);
    chy_arena_reset(&f->arena);
    struct chy_bytes copy = chy_arena_bytes(&f->arena, frame.body);
    assert_int_equal(chy_schema_decode(&chy_call_schema, copy, &f->arena, ret_call, NULL), CHY_OK);
    return frame.id;
}

void fixture_answer_status(struct fixture *f, struct chy_channel *c,
                           const struct chy_status *status, size_t n)
{
    (void)f;
    for (size_t i = 0; i < n; i++) {
        struct chy_frame frame = receive(c);
        assert_int_equal(frame.type, CHY_MSG_STATUS);
        fixture_send(c, CHY_MSG_STATUS_REPLY, frame.id, &chy_status_schema, status);
    }
}

void fixture_reply(struct chy_channel *c, uint64_t id, enum chy_err code, const char *text,
                   const struct chy_schema *schema, const void *response)
{
    struct chy_buf b;
    chy_buf_init(&b, 1 << 24);
    if (schema != NULL)
        assert_int_equal(chy_schema_encode(schema, response, &b, NULL), CHY_OK);
    struct chy_reply reply = { .code = (uint32_t)-code,
                               .text = chy_str_of(text),
                               .retry_after_s = 7,
                               .principal = CHY_STR("alice"),
                               .response = chy_buf_bytes(&b) };
    fixture_send(c, CHY_MSG_REPLY, id, &chy_reply_schema, &reply);
    chy_buf_done(&b);
}

/* --- clients --- */

void client_open(struct client *c, const struct fixture *f, const struct tls_identity *identity,
                 const char *alpn)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)f->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval timeout = { .tv_sec = 20 };
    *c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_true(c->fd >= 0);
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(connect(c->fd, (const struct sockaddr *)&to, sizeof to), 0);
    c->ssl = tls_fixture_client(c->fd, identity, alpn, NULL, 0);
    assert_int_equal(SSL_do_handshake(c->ssl), 1);
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c->text);
    *c = (struct client){ .fd = -1 };
}

void client_send(struct client *c, const void *text, size_t n)
{
    size_t sent = 0;
    assert_int_equal(SSL_write_ex(c->ssl, text, n, &sent), 1);
    assert_int_equal(sent, n);
}

/* Some more bytes; false at the end. */
static bool client_more(struct client *c)
{
    size_t n = 0;
    c->text = realloc(c->text, c->n + 16384 + 1);
    assert_non_null(c->text);
    if (SSL_read_ex(c->ssl, c->text + c->n, 16384, &n) != 1)
        return false;
    c->n += n;
    c->text[c->n] = '\0';
    return true;
}

bool client_is_closed(struct client *c)
{
    return c->n == 0 && !client_more(c);
}

void client_read(struct client *c, struct response *r)
{
    char length[256];
    *r = (struct response){ 0 };
    const char *end = NULL;
    while (c->n == 0 || (end = strstr(c->text, "\r\n\r\n")) == NULL)
        if (!client_more(c))
            fail_msg("the connection ended within a head");
    size_t head_n = (size_t)(end - c->text) + 4;
    assert_true(head_n < sizeof r->head);
    memcpy(r->head, c->text, head_n);
    assert_int_equal(strncmp(r->head, "HTTP/1.1 ", 9), 0);
    size_t status = 0;
    assert_true(chy_http_content_length((struct chy_str){ r->head + 9, 3 }, &status));
    r->status = (int)status;
    response_field(r, "content-length", length);
    if (length[0] != '\0')
        assert_true(chy_http_content_length(chy_str_of(length), &r->body_n));
    while (c->n < head_n + r->body_n)
        if (!client_more(c))
            fail_msg("the connection ended within a body");
    r->body = strndup(c->text + head_n, r->body_n);
    c->n -= head_n + r->body_n;
    memmove(c->text, c->text + head_n + r->body_n, c->n + 1);
}

void response_done(struct response *r)
{
    free(r->body);
    *r = (struct response){ 0 };
}

void response_field(const struct response *r, const char *name, char to[256])
{
    size_t n = strlen(name);
    to[0] = '\0';
    for (const char *line = strstr(r->head, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
            continue;
        const char *end = strstr(line + 2, "\r\n");
        snprintf(to, 256, "%.*s", (int)(end - (line + 2 + n + 2)), line + 2 + n + 2);
        return;
    }
}
