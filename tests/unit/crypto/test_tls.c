/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/secret.h"
#include "crypto/tls.h"
#include "tls_fixture.h"

#define HOUR      3600L
#define ALPN_BOTH "\x02h2\x08http/1.1"

static struct tls_identity ca, other_ca, server_id;
static struct tls_identity client_id, expired_id, early_id, foreign_id, self_id, not_client_id;

static int set_up(void **state)
{
    (void)state;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    ca = tls_identity_new(TLS_IDENTITY_CA, "client CA", NULL, -HOUR, HOUR);
    other_ca = tls_identity_new(TLS_IDENTITY_CA, "client CA", NULL, -HOUR, HOUR); /* same name */
    server_id = tls_identity_new(TLS_IDENTITY_SERVER, "localhost", NULL, -HOUR, HOUR);
    client_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &ca, -HOUR, HOUR);
    expired_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &ca, -2 * HOUR, -HOUR);
    early_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &ca, HOUR, 2 * HOUR);
    foreign_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", &other_ca, -2 * HOUR, -HOUR);
    self_id = tls_identity_new(TLS_IDENTITY_CLIENT, "alice", NULL, -HOUR, HOUR);
    not_client_id = tls_identity_new(TLS_IDENTITY_SERVER, "alice", &ca, -HOUR, HOUR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct tls_identity *all[] = { &ca,       &other_ca,   &server_id, &client_id,    &expired_id,
                                   &early_id, &foreign_id, &self_id,   &not_client_id };
    for (size_t i = 0; i < CHY_ARRAY_LEN(all); i++)
        tls_identity_done(all[i]);
    SSL_SESSION_free(tls_fixture_take_session());
    return 0;
}

struct link {
    int fds[2];
    struct chy_tls_conn *server;
    SSL *client;
    enum chy_err r;
    enum chy_tls_want want;
    bool is_client_done;
};

static void link_up(struct link *l, struct chy_tls_server *s, const struct tls_identity *identity,
                    const char *alpn, SSL_SESSION *session, int max_version)
{
    *l = (struct link){ .want = CHY_TLS_WANT_READ };
    tls_fixture_pair(l->fds);
    assert_int_equal(chy_tls_conn_new(s, l->fds[0], &l->server, NULL), CHY_OK);
    l->client = tls_fixture_client(l->fds[1], identity, alpn, session, max_version);
    for (int i = 0; i < 20 && (l->want != CHY_TLS_WANT_NOTHING || !l->is_client_done); i++) {
        if (!l->is_client_done)
            l->is_client_done = SSL_do_handshake(l->client) == 1;
        if (l->r == CHY_OK && l->want != CHY_TLS_WANT_NOTHING)
            l->r = chy_tls_handshake(l->server, &l->want, NULL);
    }
}

static void link_down(struct link *l)
{
    chy_tls_conn_free(l->server);
    SSL_set_shutdown(l->client, SSL_SENT_SHUTDOWN); /* else its ticket counts as spoilt */
    SSL_free(l->client);
    close(l->fds[0]);
    close(l->fds[1]);
}

static void assert_connected(const struct link *l)
{
    assert_int_equal(l->r, CHY_OK);
    assert_int_equal(l->want, CHY_TLS_WANT_NOTHING);
    assert_true(l->is_client_done);
}

/* One byte from the server, which also brings the client its ticket. */
static void ping(struct link *l)
{
    size_t n = 0;
    char c = 0;
    enum chy_tls_want want;
    assert_int_equal(
        chy_tls_write(l->server, (struct chy_bytes){ (const uint8_t *)"x", 1 }, &n, &want, NULL),
        CHY_OK);
    assert_int_equal(n, 1);
    assert_int_equal(SSL_read(l->client, &c, 1), 1);
    assert_int_equal(c, 'x');
}

static void test_handshake__peer_states(void **state)
{
    (void)state;
    struct {
        const struct tls_identity *id;
        enum chy_tls_peer_state expected;
    } rows[] = {
        { NULL, CHY_TLS_PEER_NONE },           { &client_id, CHY_TLS_PEER_VALID },
        { &expired_id, CHY_TLS_PEER_EXPIRED }, { &early_id, CHY_TLS_PEER_NOT_YET },
        { &foreign_id, CHY_TLS_PEER_FOREIGN }, /* and expired: foreign is what counts */
        { &self_id, CHY_TLS_PEER_FOREIGN },    { &not_client_id, CHY_TLS_PEER_FOREIGN },
    };
    struct chy_tls_server *s = tls_fixture_server(&server_id, &ca, true);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        struct link l;
        link_up(&l, s, rows[i].id, ALPN_BOTH, NULL, 0);
        assert_connected(&l);
        ping(&l);
        const struct chy_tls_peer *peer = chy_tls_peer(l.server);
        assert_int_equal(peer->state, rows[i].expected);
        assert_true(chy_tls_is_http2(l.server));
        assert_int_equal(SSL_version(l.client), TLS1_3_VERSION);
        if (rows[i].id != NULL) {
            unsigned char hash[32];
            assert_int_equal(X509_digest(rows[i].id->certificate, EVP_sha256(), hash, NULL), 1);
            assert_memory_equal(peer->sha256, hash, 32);
        }
        link_down(&l);
    }
    chy_tls_server_free(s);
}

static void test_handshake__expired_ca_makes_a_client_foreign(void **state)
{
    (void)state;
    struct tls_identity old_ca = tls_identity_new(TLS_IDENTITY_CA, "old", NULL, -2 * HOUR, -HOUR);
    struct tls_identity id = tls_identity_new(TLS_IDENTITY_CLIENT, "a", &old_ca, -HOUR, HOUR);
    struct chy_tls_server *s = tls_fixture_server(&server_id, &old_ca, true);
    struct link l;
    link_up(&l, s, &id, NULL, NULL, 0);
    assert_connected(&l);
    assert_int_equal(chy_tls_peer(l.server)->state, CHY_TLS_PEER_FOREIGN);
    link_down(&l);
    chy_tls_server_free(s);
    tls_identity_done(&old_ca);
    tls_identity_done(&id);
}

static void test_handshake__no_client_ca_asks_for_nothing(void **state)
{
    (void)state;
    struct chy_tls_server *s = tls_fixture_server(&server_id, NULL, false);
    struct link l;
    link_up(&l, s, &client_id, ALPN_BOTH, NULL, 0);
    assert_connected(&l);
    assert_int_equal(chy_tls_peer(l.server)->state, CHY_TLS_PEER_NONE);
    assert_false(chy_tls_is_http2(l.server)); /* not offered by this server */
    link_down(&l);
    link_up(&l, s, NULL, NULL, NULL, 0);
    assert_connected(&l);
    assert_false(chy_tls_is_http2(l.server));
    link_down(&l);
    chy_tls_server_free(s);
}

static void test_handshake__refuses(void **state)
{
    (void)state;
    struct chy_tls_server *s = tls_fixture_server(&server_id, &ca, true);
    struct link l;
    link_up(&l, s, NULL, NULL, NULL, TLS1_2_VERSION);
    assert_int_equal(l.r, CHY_E_PROTOCOL);
    link_down(&l);
    link_up(&l, s, NULL, "\x05spdy9", NULL, 0);
    assert_int_equal(l.r, CHY_E_PROTOCOL);
    link_down(&l);

    int fds[2];
    tls_fixture_pair(fds);
    struct chy_tls_conn *c = NULL;
    enum chy_tls_want want;
    struct chy_error err;
    assert_int_equal(chy_tls_conn_new(s, fds[0], &c, NULL), CHY_OK);
    assert_int_equal(chy_tls_handshake(c, &want, &err), CHY_OK);
    assert_int_equal(want, CHY_TLS_WANT_READ);
    assert_int_equal(write(fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_int_equal(chy_tls_handshake(c, &want, &err), CHY_E_PROTOCOL);
    assert_non_null(strstr(err.text, "http request"));
    chy_tls_conn_free(c);

    assert_int_equal(chy_tls_conn_new(s, fds[0], &c, NULL), CHY_OK);
    close(fds[1]);
    assert_int_equal(chy_tls_handshake(c, &want, &err), CHY_OK);
    assert_int_equal(want, CHY_TLS_WANT_CLOSE);
    chy_tls_close(c); /* of a handshake that never was: nothing to say */
    chy_tls_conn_free(c);
    close(fds[0]);
    chy_tls_server_free(s);
}

static void test_tickets__keep_the_identity_and_its_verdict(void **state)
{
    (void)state;
    const struct tls_identity *ids[] = { &client_id, &expired_id, &foreign_id, NULL };
    struct chy_tls_server *s = tls_fixture_server(&server_id, &ca, true);
    for (size_t i = 0; i < CHY_ARRAY_LEN(ids); i++) {
        struct link l;
        link_up(&l, s, ids[i], NULL, NULL, 0);
        assert_connected(&l);
        assert_false(chy_tls_is_resumed(l.server));
        struct chy_tls_peer first = *chy_tls_peer(l.server);
        ping(&l);
        link_down(&l);

        SSL_SESSION *session = tls_fixture_take_session();
        assert_non_null(session);
        link_up(&l, s, NULL, NULL, session, 0);
        assert_connected(&l);
        assert_true(chy_tls_is_resumed(l.server));
        const struct chy_tls_peer *again = chy_tls_peer(l.server);
        assert_int_equal(again->state, first.state);
        assert_int_equal(again->not_after_us, first.not_after_us);
        assert_memory_equal(again->sha256, first.sha256, sizeof first.sha256);
        link_down(&l);
        SSL_SESSION_free(session);
    }
    chy_tls_server_free(s);
}

static void test_tickets__end_with_their_server(void **state)
{
    (void)state;
    struct chy_tls_server *s = tls_fixture_server(&server_id, &ca, true);
    struct link l;
    link_up(&l, s, &client_id, NULL, NULL, 0);
    ping(&l);
    SSL_SESSION *session = tls_fixture_take_session();
    assert_non_null(session);

    /* A new certificate or CA: a new server. The old connection goes on, its ticket resumes
     * nothing. */
    chy_tls_server_free(s);
    s = tls_fixture_server(&server_id, &other_ca, true);
    ping(&l);
    link_down(&l);
    link_up(&l, s, NULL, NULL, session, 0);
    assert_connected(&l);
    assert_false(chy_tls_is_resumed(l.server));
    assert_int_equal(chy_tls_peer(l.server)->state, CHY_TLS_PEER_NONE);
    link_down(&l);
    SSL_SESSION_free(session);
    chy_tls_server_free(s);
}

static void test_peer__state_at_a_time(void **state)
{
    (void)state;
    struct chy_tls_peer p = { .state = CHY_TLS_PEER_VALID,
                              .not_before_us = 10,
                              .not_after_us = 20 };
    assert_int_equal(chy_tls_peer_state_at(&p, 9), CHY_TLS_PEER_NOT_YET);
    assert_int_equal(chy_tls_peer_state_at(&p, 10), CHY_TLS_PEER_VALID);
    assert_int_equal(chy_tls_peer_state_at(&p, 20), CHY_TLS_PEER_VALID);
    assert_int_equal(chy_tls_peer_state_at(&p, 21), CHY_TLS_PEER_EXPIRED);
    p.state = CHY_TLS_PEER_FOREIGN;
    assert_int_equal(chy_tls_peer_state_at(&p, 15), CHY_TLS_PEER_FOREIGN);
    p.state = CHY_TLS_PEER_NONE;
    assert_int_equal(chy_tls_peer_state_at(&p, 15), CHY_TLS_PEER_NONE);
}

/* A megabyte there, and back again: more than sockets and records hold, in whatever pieces they
 * take. */
static void test_io__large_both_ways(void **state)
{
    (void)state;
    enum {
        SIZE = 1 << 20
    };
    struct chy_tls_server *s = tls_fixture_server(&server_id, NULL, false);
    struct link l;
    link_up(&l, s, NULL, NULL, NULL, 0);
    assert_connected(&l);
    uint8_t *out = chy_malloc(SIZE);
    uint8_t *in = chy_malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        out[i] = (uint8_t)(i * 7 + i / 251);

    size_t n = 0;
    enum chy_tls_want want = CHY_TLS_WANT_NOTHING;
    for (size_t sent = 0, received = 0; received < SIZE;) {
        if (sent < SIZE &&
            SSL_write_ex(l.client, out + sent, CHY_MIN(SIZE - sent, 99999u), &n) == 1)
            sent += n;
        assert_int_equal(chy_tls_read(l.server, in + received, SIZE - received, &n, &want, NULL),
                         CHY_OK);
        assert_int_equal(want, n > 0 ? CHY_TLS_WANT_NOTHING : CHY_TLS_WANT_READ);
        received += n;
    }
    assert_memory_equal(in, out, SIZE);
    assert_false(chy_tls_has_more(l.server));

    bool was_full = false;
    for (size_t sent = 0, received = 0; received < SIZE;) {
        assert_int_equal(
            chy_tls_write(l.server, (struct chy_bytes){ out + sent, SIZE - sent }, &n, &want, NULL),
            CHY_OK);
        was_full = was_full || want == CHY_TLS_WANT_WRITE;
        sent += n;
        if (want != CHY_TLS_WANT_WRITE && sent < SIZE)
            continue;
        while (SSL_read_ex(l.client, in + received, SIZE - received, &n) == 1)
            received += n;
    }
    assert_true(was_full);
    assert_memory_equal(in, out, SIZE);
    chy_free(out);
    chy_free(in);
    link_down(&l);
    chy_tls_server_free(s);
}

static void test_io__close_in_order_and_not(void **state)
{
    (void)state;
    struct chy_tls_server *s = tls_fixture_server(&server_id, NULL, false);
    struct link l;
    uint8_t byte;
    size_t n;
    enum chy_tls_want want;
    link_up(&l, s, NULL, NULL, NULL, 0);
    assert_int_equal(chy_tls_read(l.server, &byte, 1, &n, &want, NULL), CHY_OK);
    assert_int_equal(want, CHY_TLS_WANT_READ);
    SSL_shutdown(l.client);
    assert_int_equal(chy_tls_read(l.server, &byte, 1, &n, &want, NULL), CHY_OK);
    assert_int_equal(want, CHY_TLS_WANT_CLOSE);
    chy_tls_close(l.server);
    link_down(&l);

    link_up(&l, s, NULL, NULL, NULL, 0);
    assert_int_equal(shutdown(l.fds[1], SHUT_WR), 0);
    assert_int_equal(chy_tls_read(l.server, &byte, 1, &n, &want, NULL), CHY_OK);
    assert_int_equal(want, CHY_TLS_WANT_CLOSE);
    link_down(&l);

    link_up(&l, s, NULL, NULL, NULL, 0);
    static const char garbage[64] = "\x17\x03\x03\x00\x20garbage";
    assert_int_equal(write(l.fds[1], garbage, sizeof garbage), sizeof garbage);
    assert_int_equal(chy_tls_read(l.server, &byte, 1, &n, &want, NULL), CHY_E_PROTOCOL);
    link_down(&l);
    chy_tls_server_free(s);
}

static enum chy_err new_server(struct chy_bytes chain, const struct chy_secret *key,
                               struct chy_bytes client_ca)
{
    struct chy_tls_settings settings = {
        .chain_pem = chain,
        .key_pem = key,
        .client_cas = &client_ca,
        .client_ca_count = client_ca.p != NULL ? 1 : 0,
    };
    struct chy_tls_server *s = NULL;
    enum chy_err r = chy_tls_server_new(&settings, &s, NULL);
    if (r != CHY_OK)
        assert_null(s);
    else
        assert_true(chy_tls_server_not_after_us(s) > (int64_t)time(NULL) * 1000000);
    chy_tls_server_free(s);
    return r;
}

static struct chy_bytes repeat(struct chy_bytes text, size_t times)
{
    uint8_t *p = chy_malloc(text.n * times);
    for (size_t i = 0; i < times; i++)
        memcpy(p + i * text.n, text.p, text.n);
    return (struct chy_bytes){ p, text.n * times };
}

static void test_server_new__errors_and_limits(void **state)
{
    (void)state;
    struct chy_bytes chain = tls_fixture_chain_pem(&server_id);
    struct chy_secret *key = tls_fixture_key_pem(&server_id);
    struct chy_secret *other_key = tls_fixture_key_pem(&client_id);
    struct chy_bytes none = { 0 };
    struct chy_bytes junk = { (const uint8_t *)"junk", 4 };
    struct chy_secret *junk_key = NULL;
    assert_int_equal(chy_secret_new(4, &junk_key, NULL), CHY_OK);
    memcpy(chy_secret_room(junk_key), "junk", 4);
    chy_secret_set_len(junk_key, 4);

    assert_int_equal(new_server(chain, key, none), CHY_OK);
    assert_int_equal(new_server(chain, other_key, none), CHY_E_ARG);
    assert_int_equal(new_server(chain, junk_key, none), CHY_E_MALFORMED);
    assert_int_equal(new_server(junk, key, none), CHY_E_MALFORMED);
    assert_int_equal(new_server((struct chy_bytes){ chain.p, chain.n - 30 }, key, none),
                     CHY_E_MALFORMED);
    assert_int_equal(new_server(chain, key, junk), CHY_E_MALFORMED);
    struct chy_bytes many = repeat(chain, 8);
    assert_int_equal(new_server(many, key, none), CHY_OK);
    chy_free((void *)(uintptr_t)many.p);
    many = repeat(chain, 9);
    assert_int_equal(new_server(many, key, none), CHY_E_LIMIT);
    chy_free((void *)(uintptr_t)many.p);

    chy_mem_fail_after(0);
    assert_int_equal(new_server(chain, key, none), CHY_E_NOMEM);
    chy_mem_fail_after(SIZE_MAX);
    struct chy_tls_server *s = tls_fixture_server(&server_id, NULL, false);
    struct chy_tls_conn *c = NULL;
    chy_mem_fail_after(0);
    assert_int_equal(chy_tls_conn_new(s, 0, &c, NULL), CHY_E_NOMEM);
    chy_mem_fail_after(SIZE_MAX);
    assert_null(c);
    chy_tls_server_free(s);
    chy_secret_free(key);
    chy_secret_free(other_key);
    chy_secret_free(junk_key);
    OPENSSL_free((void *)(uintptr_t)chain.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake__peer_states),
        cmocka_unit_test(test_handshake__expired_ca_makes_a_client_foreign),
        cmocka_unit_test(test_handshake__no_client_ca_asks_for_nothing),
        cmocka_unit_test(test_handshake__refuses),
        cmocka_unit_test(test_tickets__keep_the_identity_and_its_verdict),
        cmocka_unit_test(test_tickets__end_with_their_server),
        cmocka_unit_test(test_peer__state_at_a_time),
        cmocka_unit_test(test_io__large_both_ways),
        cmocka_unit_test(test_io__close_in_order_and_not),
        cmocka_unit_test(test_server_new__errors_and_limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
