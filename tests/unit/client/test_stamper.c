/* SPDX-License-Identifier: MIT */
/* Time stamps asked of an authority that a thread plays on loopback: it takes as many connections
 * as it is told to before it answers one. What lies it may tell in its DER is in
 * ../crypto/test_time_stamp.c. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <openssl/ts.h>

#include "base/limits.h"
#include "base/mem.h"
#include "client/stamper.h"
#include "cms_fixture.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file_stream.h"
#include "os/process.h"
#include "os/socket.h"

#define MANY         CHY_LIMIT_STAMPS_AT_ONCE
#define REQUEST_ROOM 4096
#define SOON_US      INT64_C(30000000)

enum says {
    STAMP,
    WRONG_DIGEST,
    STATUS,
    TYPE,
    NOTHING,
    LARGEST,
    TOO_LARGE,
    HANG_UP
};

static struct cms_party root;
static struct cms_party signer;
static struct chy_stamper *stamper;
static struct chy_arena arena;
static struct chy_stamp stamps[MANY];

static struct authority {
    int fd;
    char url[CHY_SOCKET_TEXT_BYTES + 16];
    pthread_t thread;
    size_t together;              /* connections that it takes before it answers */
    _Atomic enum says says[MANY]; /* told between two requests */
    size_t asked;
} authority;

/* --- the authority --- */

static int tell_time(struct TS_resp_ctx *ctx, void *data, long *sec, long *usec)
{
    (void)ctx;
    (void)data;
    *sec = (long)(CMS_NOW_US / 1000000);
    *usec = 0;
    return 1;
}

static struct chy_buf make_answer(struct chy_bytes query)
{
    TS_RESP_CTX *ctx = TS_RESP_CTX_new();
    ASN1_OBJECT *policy = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    BIO *in = BIO_new_mem_buf(query.p, (int)query.n);
    struct chy_buf out;
    uint8_t *der = NULL;
    TS_RESP_CTX_set_signer_cert(ctx, signer.cert);
    TS_RESP_CTX_set_signer_key(ctx, signer.key);
    TS_RESP_CTX_set_signer_digest(ctx, EVP_sha256());
    TS_RESP_CTX_set_ess_cert_id_digest(ctx, EVP_sha256());
    TS_RESP_CTX_set_def_policy(ctx, policy);
    TS_RESP_CTX_add_md(ctx, EVP_sha256());
    TS_RESP_CTX_set_time_cb(ctx, tell_time, NULL);
    TS_RESP *made = TS_RESP_create_response(ctx, in);
    int n = i2d_TS_RESP(made, &der);
    chy_buf_init(&out, CHY_LIMIT_TIME_STAMP);
    chy_buf_append(&out, (struct chy_bytes){ der, (size_t)n });
    OPENSSL_free(der);
    TS_RESP_free(made);
    BIO_free(in);
    ASN1_OBJECT_free(policy);
    TS_RESP_CTX_free(ctx);
    return out;
}

/* The body of a request that is read to its end; it follows an empty line. */
static struct chy_bytes read_query(int fd, char *room)
{
    size_t n = 0;
    for (;;) {
        size_t got = 0;
        if (chy_fd_wait(fd, POLLIN, chy_clock_monotonic_us() + SOON_US, NULL) != CHY_OK ||
            chy_fd_read(fd, room + n, REQUEST_ROOM - 1 - n, &got, NULL) != CHY_OK || got == 0)
            return (struct chy_bytes){ NULL, 0 };
        n += got;
        room[n] = '\0';
        const char *end = strstr(room, "\r\n\r\n");
        const char *length = strstr(room, "Content-Length: ");
        if (end == NULL || length == NULL)
            continue;
        size_t wanted = 0;
        for (length += strlen("Content-Length: "); *length >= '0' && *length <= '9'; length++)
            wanted = wanted * 10 + (size_t)(*length - '0');
        size_t head = (size_t)(end + 4 - room);
        if (n - head >= wanted)
            return (struct chy_bytes){ (uint8_t *)room + head, wanted };
    }
}

static void answer(int fd, enum says says, struct chy_bytes query)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf made = make_answer(query);
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    static const uint8_t zeros[CHY_LIMIT_TIME_STAMP + 1];
    struct chy_bytes body = chy_buf_bytes(&made);
    chy_buf_init(&out, (size_t)2 * CHY_LIMIT_TIME_STAMP);
    if (says == HANG_UP)
        return;
    if (says == NOTHING)
        body.n = 0;
    if (says == LARGEST || says == TOO_LARGE)
        body = (struct chy_bytes){ zeros, CHY_LIMIT_TIME_STAMP + (says == TOO_LARGE ? 1 : 0) };
    chy_buf_printf(&out,
                   "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n",
                   says == STATUS ? "503 Busy" : "200 OK",
                   says == TYPE ? "text/html" : "application/timestamp-reply", body.n);
    chy_buf_append(&out, body);
    CHY_IGNORE(chy_fd_set_nonblocking(fd, false, NULL)); /* the test sees what is missing */
    CHY_IGNORE(chy_fd_write(fd, chy_buf_bytes(&out), NULL));
}

static void serve_together(struct authority *a)
{
    static char rooms[MANY][REQUEST_ROOM];
    struct chy_bytes queries[MANY] = { { NULL, 0 } };
    int fds[MANY];
    size_t n = 0;
    for (; n < a->together; n++) {
        char peer[CHY_SOCKET_TEXT_BYTES];
        fds[n] = -1;
        while (fds[n] < 0) /* accepting fails when the test ends */
            if (chy_fd_wait(a->fd, POLLIN, CHY_NO_DEADLINE, NULL) != CHY_OK ||
                chy_socket_accept(a->fd, &fds[n], peer, NULL) != CHY_OK)
                break;
        if (fds[n] < 0)
            break;
        queries[n] = read_query(fds[n], rooms[n]);
    }
    for (size_t i = 0; i < n; i++) {
        if (n == a->together && queries[i].n > 40 && a->says[i] == WRONG_DIGEST)
            ((uint8_t *)rooms[i])[queries[i].p - (uint8_t *)rooms[i] + 40] ^= 1;
        if (n == a->together)
            answer(fds[i], a->says[i], queries[i]);
        chy_fd_closep(&fds[i]);
    }
    a->asked += n;
    if (n < a->together)
        a->together = 0;
}

static void *authority_main(void *ctx)
{
    struct authority *a = ctx;
    while (a->together != 0)
        serve_together(a);
    return NULL;
}

static void authority_start(size_t together)
{
    authority.together = together;
    authority.asked = 0;
    assert_int_equal(pthread_create(&authority.thread, NULL, authority_main, &authority), 0);
}

/* It has answered all that was asked. */
static void authority_end(void)
{
    assert_int_equal(shutdown(authority.fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(authority.thread, NULL), 0);
}

/* --- fixture --- */

static int make_parties(void **state)
{
    (void)state;
    chy_process_ignore_sigpipe();
    root = cms_party_make(&(struct cms_party_options){ .name = "root" });
    signer = cms_party_make(&(struct cms_party_options){
        .name = "authority", .issuer = &root, .usage = "critical,timeStamping" });
    return 0;
}

static int drop_parties(void **state)
{
    (void)state;
    cms_party_done(&signer);
    cms_party_done(&root);
    return 0;
}

static int setup(void **state)
{
    char address[CHY_SOCKET_TEXT_BYTES];
    (void)state;
    assert_int_equal(chy_socket_listen(CHY_STR("127.0.0.1:0"), 0, &authority.fd, NULL), CHY_OK);
    assert_int_equal(chy_socket_address(authority.fd, address, NULL), CHY_OK);
    (void)snprintf(authority.url, sizeof authority.url, "http://%s/", address);
    assert_int_equal(chy_stamper_new(chy_str_of(authority.url), &stamper, NULL), CHY_OK);
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    for (size_t i = 0; i < MANY; i++) {
        stamps[i] = (struct chy_stamp){ .signature = { (const uint8_t *)&stamps[i], 1 + i } };
        authority.says[i] = STAMP;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_stamper_freep(&stamper);
    chy_arena_done(&arena);
    chy_fd_closep(&authority.fd);
    return 0;
}

static void ask(size_t n)
{
    chy_stamper_ask(stamper, CHY_HASH_SHA256, stamps, n, &arena);
}

/* --- tests --- */

static void test_ask__one(void **state)
{
    (void)state;
    authority_start(1);
    ask(1);
    assert_int_equal(stamps[0].code, CHY_OK);
    assert_true(stamps[0].token.n > 100);
    authority_end();
    assert_int_equal(authority.asked, 1);
}

static void test_ask__none(void **state)
{
    (void)state;
    ask(0); /* nobody serves */
}

/* It answers none before all have come: whoever asks one after the other waits in vain. */
static void test_ask__as_many_as_there_may_be_at_once(void **state)
{
    (void)state;
    authority_start(MANY);
    for (int again = 0; again < 2; again++) {
        ask(MANY);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal(stamps[i].code, CHY_OK);
            assert_true(i == 0 || !chy_bytes_equal(stamps[i].token, stamps[0].token));
        }
    }
    authority_end();
    assert_int_equal(authority.asked, 2 * MANY);
}

static void test_ask__errors(void **state)
{
    static const struct {
        enum says says;
        enum chy_err code;
        const char *text;
    } rows[] = {
        { STATUS, CHY_E_PROTOCOL, "HTTP status 503" },
        { TYPE, CHY_E_PROTOCOL, "text/html" },
        { WRONG_DIGEST, CHY_E_INTEGRITY, "not the one that was asked for" },
        { NOTHING, CHY_E_MALFORMED, "no time stamp" },
        { LARGEST, CHY_E_MALFORMED, "no time stamp" },
        { TOO_LARGE, CHY_E_LIMIT, "longer than 65536" },
        { HANG_UP, CHY_E_NETWORK, "no time stamp of http://127" },
    };
    (void)state;
    authority_start(1);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        authority.says[0] = rows[i].says;
        ask(1);
        assert_int_equal(stamps[0].code, rows[i].code);
        assert_non_null(strstr(stamps[0].why.text, rows[i].text));
    }
    authority_end();
}

static void test_ask__errors_are_of_one_and_not_of_the_others(void **state)
{
    size_t n_good = 0;
    (void)state;
    authority.says[1] = STATUS;
    authority.says[2] = TOO_LARGE;
    authority_start(MANY);
    ask(MANY);
    authority_end();
    for (size_t i = 0; i < MANY; i++)
        n_good += stamps[i].code == CHY_OK ? 1 : 0;
    assert_int_equal(n_good, MANY - 2);
}

static void test_ask__urls(void **state)
{
    (void)state;
    chy_stamper_freep(&stamper);
    assert_int_equal(chy_stamper_new(CHY_STR("ftp://127.0.0.1/"), &stamper, NULL), CHY_OK);
    ask(1);
    assert_int_equal(stamps[0].code, CHY_E_ARG);
}

/* Three times in a row, and then no more; an answer, be it a bad one, begins the count anew. */
static void test_ask__one_that_does_not_answer_is_left_alone(void **state)
{
    static const enum says says[] = { HANG_UP, HANG_UP, STATUS, HANG_UP, HANG_UP, HANG_UP };
    (void)state;
    authority_start(1);
    for (size_t i = 0; i < CHY_ARRAY_LEN(says); i++) {
        authority.says[0] = says[i];
        ask(1);
        assert_null(strstr(stamps[0].why.text, "is not asked again"));
    }
    ask(2);
    authority_end();
    assert_int_equal(authority.asked, CHY_ARRAY_LEN(says));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(stamps[i].code, CHY_E_NETWORK);
        assert_non_null(strstr(stamps[i].why.text, "is not asked again"));
    }
}

/* It has taken the connections, and waits for one more that nobody makes. */
static void test_ask__one_that_says_nothing(void **state)
{
    (void)state;
    chy_stamper_set_timeout(stamper, 50);
    authority_start(4);
    for (int i = 0; i < 3; i++) {
        ask(1);
        assert_int_equal(stamps[0].code, CHY_E_TIMEOUT);
        assert_non_null(strstr(stamps[0].why.text, "no time stamp of http://127"));
    }
    ask(1);
    assert_int_equal(stamps[0].code, CHY_E_NETWORK);
    assert_non_null(strstr(stamps[0].why.text, "is not asked again"));
    authority_end();
}

static void test_ask__no_room_for_a_token(void **state)
{
    (void)state;
    chy_arena_done(&arena);
    chy_arena_init(&arena, 16);
    authority_start(1);
    ask(1);
    authority_end();
    assert_int_equal(stamps[0].code, CHY_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ask__one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__as_many_as_there_may_be_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__errors_are_of_one_and_not_of_the_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask__urls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__one_that_does_not_answer_is_left_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask__one_that_says_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__no_room_for_a_token, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_parties, drop_parties);
}
