/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "supervisor/config.h"
#include "values.h"

struct fixture {
    struct chy_arena arena;
    struct chy_buf out;
    struct chy_error err;
    struct chy_config config;
};

static int set_up(void **state)
{
    static struct fixture t;
    chy_arena_init(&t.arena, CHY_LIMIT_ARENA);
    chy_buf_init(&t.out, CHY_LIMIT_YAML);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *t = *state;
    chy_arena_done(&t->arena);
    chy_buf_done(&t->out);
    return 0;
}

static enum chy_err parse(struct fixture *t, struct chy_str yaml)
{
    return chy_config_parse(chy_str_bytes(yaml), &t->arena, &t->config, &t->err);
}

#define SMALLEST                       \
    "data: /srv/chancery\n"            \
    "log: {origin: example.org/log}\n" \
    "tokens:\n"                        \
    "- name: soft\n"                   \
    "  module: /opt/libsofthsm2.so\n"

static void assert_text(struct chy_str s, const char *expected)
{
    if (!chy_str_equal_c(s, expected))
        fail_msg("\"%.*s\", expected \"%s\"", CHY_STR_ARG(s), expected);
}

static void test_config__every_default(void **state)
{
    struct fixture *t = *state;
    if (parse(t, CHY_STR(SMALLEST)) != CHY_OK)
        fail_msg("%s", t->err.text);
    const struct chy_config *c = &t->config;
    char host[256] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    assert_text(c->node, host);
    assert_int_equal(c->listen.n, 1);
    assert_text(c->listen.p[0], "127.0.0.1:8443");
    assert_text(c->public_url, "https://127.0.0.1:8443");
    assert_text(c->tls.certificate, "/srv/chancery/tls/certificate.pem");
    assert_text(c->tls.key, "/srv/chancery/tls/key.pem");
    assert_text(c->log.anchor, "/srv/chancery/anchor/checkpoint");
    assert_text(c->log.token, "soft");
    assert_text(c->default_token, "soft");
    assert_int_equal(c->client_certificates.hours, 168);
    assert_int_equal(c->limits.max_connections, 1024);
    assert_int_equal(c->limits.header_timeout_ms, 10000);
    assert_int_equal(c->limits.body_timeout_ms, 30000);
    assert_int_equal(c->limits.idle_timeout_ms, 60000);
    assert_int_equal(c->limits.max_calls, 1024);
    assert_int_equal(c->limits.max_calls_per_connection, 64);
    assert_int_equal(c->limits.max_calls_per_principal, 256);
    assert_int_equal(c->limits.max_queue, 8192);
    assert_int_equal(c->limits.token_timeout_ms, 10000);
    assert_int_equal(c->limits.document_timeout_ms, 5000);
    assert_int_equal(c->limits.denials_per_minute, 60);
    assert_int_equal(c->limits.commit_pace_us, 250);
    assert_false(c->metrics.public);
    assert_false(c->signserver.enabled);
    assert_int_equal(c->log_level, CHY_LOG_NOTICE);
    assert_text(c->run_as.front, "chancery-front");
    assert_text(c->run_as.query, "chancery-query");
    assert_text(c->run_as.inspect, "chancery-inspect");
    assert_text(c->run_as.signer, "chancery-signer");
    assert_text(c->run_as.token, "chancery-token");
    uint8_t sha256[CHY_HASH_BYTES];
    assert_int_equal(chy_sha256(chy_str_bytes(CHY_STR(SMALLEST)), sha256, NULL), CHY_OK);
    assert_memory_equal(c->sha256, sha256, sizeof sha256);
}

static void test_config__a_software_tokens_defaults(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, CHY_STR(SMALLEST)), CHY_OK);
    const struct chy_config_token *k = &t->config.tokens.p[0];
    assert_int_equal(k->software, CHY_CONFIG_YES);
    assert_int_equal(k->copy_keys, CHY_CONFIG_YES);
    assert_int_equal(k->workers, 0);
    assert_int_equal(k->threads, 1);
    assert_false(k->verify_signatures);
    assert_text(k->slot_label, "soft");
    assert_text(k->directory, "/srv/chancery/tokens/soft");
    assert_text(k->pin_file, "/srv/chancery/secrets/soft.pin");
    assert_int_equal(k->pin_credential.n, 0);
    assert_int_equal(chy_config_token_workers(k, 0), 1);
    assert_int_equal(chy_config_token_workers(k, 2), 2);
    assert_int_equal(chy_config_token_workers(k, 1000), CHY_LIMIT_WORKERS);
}

static void test_config__a_hardware_tokens_defaults(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, CHY_STR("data: /srv/chancery/\n"
                                      "log: {origin: l}\n"
                                      "tokens:\n"
                                      "- name: hsm\n"
                                      "  module: /opt/vendor.so\n"
                                      "  slot_serial: 12\n"
                                      "  pin_credential: hsm-pin\n")),
                     CHY_OK);
    const struct chy_config_token *k = &t->config.tokens.p[0];
    assert_int_equal(k->software, CHY_CONFIG_NO);
    assert_int_equal(k->copy_keys, CHY_CONFIG_NO);
    assert_int_equal(k->workers, 1);
    assert_int_equal(k->threads, 4);
    assert_int_equal(k->slot_label.n, 0);
    assert_text(k->slot_serial, "12");
    assert_int_equal(k->pin_file.n, 0);
    assert_text(k->directory, "/srv/chancery/tokens/hsm");
    assert_int_equal(chy_config_token_workers(k, 8), 1);
}

static void test_config__reads_every_setting(void **state)
{
    struct fixture *t = *state;
    enum chy_err r =
        parse(t, CHY_STR("data: /d\n"
                         "listen: ['[::1]:1', 'unix:/run/x.sock', '192.0.2.1:65535']\n"
                         "public_url: https://sign.example.org:444\n"
                         "node: n2\n"
                         "tls: {certificate: /c, key: /k}\n"
                         "log: {origin: o/l, token: b, anchor: /a}\n"
                         "tokens:\n"
                         "- {name: a, module: /usr/lib/softhsm/libsofthsm2.so, workers: 3, "
                         "copy_keys: false, verify_signatures: true, pin_file: /p, directory: /t, "
                         "slot_label: L}\n"
                         "- {name: b, module: /m.so, software: true, threads: 1}\n"
                         "- {name: c, module: /m.so, slot_label: x, workers: 2, threads: 9, "
                         "profile: [network, fork, files], module_sha256: "
                         "0101010101010101010101010101010101010101010101010101010101010101}\n"
                         "default_token: c\n"
                         "client_certificates: {hours: 1}\n"
                         "limits: {max_connections: 1, denials_per_minute: 2}\n"
                         "metrics: {public: true}\n"
                         "signserver: {enabled: true}\n"
                         "log_level: debug\n"
                         "run_as: {front: f}\n"));
    if (r != CHY_OK)
        fail_msg("%s", t->err.text);
    const struct chy_config *c = &t->config;
    assert_int_equal(c->listen.n, 3);
    assert_text(c->public_url, "https://sign.example.org:444");
    assert_text(c->node, "n2");
    assert_text(c->tls.key, "/k");
    assert_text(c->log.token, "b");
    assert_text(c->log.anchor, "/a");
    assert_int_equal(c->tokens.n, 3);
    assert_int_equal(c->tokens.p[0].workers, 3);
    assert_int_equal(c->tokens.p[0].copy_keys, CHY_CONFIG_NO);
    assert_true(c->tokens.p[0].verify_signatures);
    assert_int_equal(c->tokens.p[1].software, CHY_CONFIG_YES);
    assert_int_equal(c->tokens.p[1].copy_keys, CHY_CONFIG_YES);
    assert_int_equal(c->tokens.p[2].threads, 9);
    assert_int_equal(c->tokens.p[2].profile.n, 3);
    assert_int_equal(c->tokens.p[2].module_sha256[31], 1);
    assert_text(c->default_token, "c");
    assert_int_equal(c->client_certificates.hours, 1);
    assert_int_equal(c->limits.max_connections, 1);
    assert_int_equal(c->limits.header_timeout_ms, 10000);
    assert_true(c->metrics.public);
    assert_true(c->signserver.enabled);
    assert_int_equal(c->log_level, CHY_LOG_DEBUG);
    assert_text(c->run_as.front, "f");
    assert_text(c->run_as.query, "chancery-query");
}

/* Each is one line behind SMALLEST (which has 5), or replaces all of it. */
static const struct {
    const char *yaml;
    const char *why;
    bool is_whole;
} wrong[] = {
    { "data: x\n", "line 6: \"data\" is here already, in line 1", false },
    { "datum: x\n", "line 6: datum is not known; known here: data, listen, public_url", false },
    { "sha256: x\n", "line 6: sha256 is not known", false },
    { "listen: 8443\n", "line 6: listen must be ADDRESS:PORT", false },
    { "listen: localhost:8443\n", "line 6: listen must be", false },
    { "listen: '127.0.0.1:65536'\n", "line 6: listen must be", false },
    { "listen: '127.0.0.1:-1'\n", "line 6: listen must be", false },
    { "listen: '127.0.0.1:'\n", "line 6: listen must be", false },
    { "listen: '::1:80'\n", "line 6: listen must be", false },
    { "listen: '[127.0.0.1]:80'\n", "line 6: listen must be", false },
    { "listen: 'unix:relative'\n", "line 6: listen must be", false },
    { "listen: {a: b}\n", "line 6: listen is a map", false },
    { "public_url: http://a\n", "line 6: public_url must be https://", false },
    { "public_url: https://\n", "line 6: public_url must be https://", false },
    { "public_url: https://a/b\n", "line 6: public_url must be https://", false },
    { "public_url: https://u@a\n", "line 6: public_url must be https://", false },
    { "tls: {certificate: a.pem}\n", "line 6: tls.certificate must be an absolute path", false },
    { "tls:\n  key: a.pem\n", "line 7: tls.key must be an absolute path", false },
    { "default_token: hard\n", "line 6: default_token is no token of these", false },
    { "client_certificates: {hours: 0}\n", "line 6: client_certificates.hours is 0", false },
    { "limits:\n  max_queue: 0\n", "line 7: limits.max_queue is 0, expected 1 to", false },
    { "limits: {max_queues: 1}\n", "line 6: limits.max_queues is not known", false },
    { "limits:\n", "line 6: limits is empty", false },
    { "metrics: {public: yes}\n", "line 6: metrics.public is \"yes\"", false },
    { "signserver: {enabled: 1}\n", "line 6: signserver.enabled is \"1\"", false },
    { "log_level: loud\n", "line 6: log_level is \"loud\", expected one of: error, warning",
      false },
    { "run_as: {root: root}\n", "line 6: run_as.root is not known", false },
    { "  slot_label: a\n  slot_serial: b\n",
      "line 7: tokens[0].slot_serial and slot_label are two ways", false },
    { "  pin_file: /a\n  pin_credential: b\n",
      "line 7: tokens[0].pin_credential and pin_file are two ways", false },
    { "  pin_credential: ../b\n", "line 6: tokens[0].pin_credential must be the name", false },
    { "  directory: b\n", "line 6: tokens[0].directory must be an absolute path", false },
    { "  threads: 2\n", "line 6: tokens[0].threads must be 1", false },
    { "  threads: 257\n", "line 6: tokens[0].threads is 257, expected 0 to 256", false },
    { "  workers: 65\n", "line 6: tokens[0].workers is 65, expected 0 to 64", false },
    { "  software: false\n", "line 6: tokens[0].software cannot be false: SoftHSM", false },
    { "  software: maybe\n", "line 6: tokens[0].software is \"maybe\"", false },
    { "  profile: [disk]\n", "line 6: tokens[0].profile knows network, fork and files", false },
    { "  module_sha256: 00\n", "line 6: tokens[0].module_sha256 is wrong", false },
    { "- name: soft\n", "line 6: tokens[1].name is that of tokens[0] already", false },
    { "- name: ../soft\n", "line 6: tokens[1].name may have letters", false },
    { "- name: .soft\n", "line 6: tokens[1].name may have letters", false },
    { "- {}\n", "line 6: tokens[1].name is missing", false },
    { "- name: h\n  module: /m.so\n", "line 6: tokens[1] needs a slot_label or a slot_serial",
      false },
    { "- name: h\n  module: m.so\n", "line 7: tokens[1].module must be an absolute path", false },
    { "- name: h\n  module: /m.so\n  slot_label: l\n  copy_keys: true\n",
      "line 9: tokens[1].copy_keys cannot be true", false },
    { "", "line 1: the YAML is empty", true },
    { "[]", "line 1: the document is a list, expected a map", true },
    { "data: /d\n", "line 1: log is missing", true },
    { "data: /d\nlog: {}\n", "line 2: log.origin is missing", true },
    { "data: /d\nlog: {origin: a b}\ntokens: [{name: a, module: /libsofthsm2.so}]\n",
      "line 2: log.origin may have no blank", true },
    { "data: /d\nlog: {origin: a, anchor: b}\ntokens: [{name: a}]\n",
      "line 2: log.anchor must be an absolute path", true },
    { "data: /d\nlog:\n  origin: a\n  token: b\ntokens: [{name: a}]\n",
      "line 4: log.token is no token of these", true },
    { "data: d\nlog: {origin: a}\ntokens: [{name: a}]\n", "line 1: data must be an absolute path",
      true },
    { "data: /d\nlog: {origin: a}\ntokens: []\n", "line 3: tokens has 0 elements", true },
};

static void test_config__refuses_and_says_the_line(void **state)
{
    struct fixture *t = *state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrong); i++) {
        struct chy_str yaml =
            chy_arena_printf(&t->arena, "%s%s", wrong[i].is_whole ? "" : SMALLEST, wrong[i].yaml);
        enum chy_err r = parse(t, yaml);
        bool ok = r == CHY_E_MALFORMED || r == CHY_E_LIMIT;
        if (!ok || strncmp(t->err.text, wrong[i].why, strlen(wrong[i].why)) != 0)
            fail_msg("%s: %s \"%s\", expected \"%s\"", wrong[i].yaml, chy_err_name(r),
                     r == CHY_OK ? "" : t->err.text, wrong[i].why);
    }
}

/* A PIN where it does not belong is refused, and not shown again. */
static void test_config__no_pin_in_the_file_or_in_a_text(void **state)
{
    struct fixture *t = *state;
    static const char *const wrong_places[] = { "  pin: 73914680\n", "  pin_file: 73914680\n",
                                                "  pin_credential: a/73914680\n" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrong_places); i++) {
        struct chy_str yaml = chy_arena_printf(&t->arena, "%s%s", SMALLEST, wrong_places[i]);
        assert_int_equal(parse(t, yaml), CHY_E_MALFORMED);
        assert_null(strstr(t->err.text, "73914680"));
    }
}

static void test_config_load__names_the_file(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(chy_config_load("/nonexistent/c.yaml", &t->arena, &t->config, &t->err),
                     CHY_E_NOT_FOUND);
    char path[] = "/tmp/chy-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "data: x\n", 8), 8);
    enum chy_err r = chy_config_load(path, &t->arena, &t->config, &t->err);
    unlink(path);
    close(fd);
    assert_int_equal(r, CHY_E_MALFORMED);
    assert_memory_equal(t->err.text, path, sizeof path - 1);
    assert_non_null(strstr(t->err.text, ": line 1: log is missing"));
}

/* --- the file that init writes --- */

static const struct chy_config_token given_token = {
    .name = { "soft", 4 },
    .module = { "/opt/libsofthsm2.so", 19 },
};

static struct chy_config given(void)
{
    return (struct chy_config){
        .data = CHY_STR("/srv/\"chancery\""),
        .log.origin = CHY_STR("example.org/log"),
        .tokens = { &given_token, 1 },
    };
}

static void write_given(struct fixture *t)
{
    struct chy_config g = given();
    if (chy_config_write(&g, &t->out, &t->err) != CHY_OK)
        fail_msg("%s", t->err.text);
}

static void test_config_write__is_read_back_as_the_defaults(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, CHY_STR("data: '/srv/\"chancery\"'\n"
                                      "log: {origin: example.org/log}\n"
                                      "tokens: [{name: soft, module: /opt/libsofthsm2.so}]\n")),
                     CHY_OK);
    struct chy_config defaults = t->config;
    write_given(t);
    if (parse(t, chy_buf_str(&t->out)) != CHY_OK)
        fail_msg("%s\n%.*s", t->err.text, CHY_STR_ARG(chy_buf_str(&t->out)));
    assert_true(values_equal(&chy_config_schema, &defaults, &t->config, CHY_INTERNAL));
}

/* "  #name: value" -> "  name: value"; a setting without a value stays commented. */
static struct chy_str uncomment(struct chy_arena *arena, struct chy_str in)
{
    char *out = chy_arena_array(arena, char, in.n);
    assert_non_null(out);
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        const char *end = memchr(in.p + i, '\n', in.n - i);
        bool at_line_start = i == 0 || in.p[i - 1] == '\n';
        bool is_setting = in.p[i] == '#' && in.p[i + 1] != ' ' && end != NULL;
        bool is_bare = is_setting && end[-1] == ':' && !at_line_start;
        if (!is_setting || is_bare)
            out[n++] = in.p[i];
    }
    return (struct chy_str){ out, n };
}

static void test_config_write__what_is_commented_are_the_defaults(void **state)
{
    struct fixture *t = *state;
    write_given(t);
    assert_int_equal(parse(t, chy_buf_str(&t->out)), CHY_OK);
    struct chy_config as_written = t->config;
    struct chy_str all = uncomment(&t->arena, chy_buf_str(&t->out));
    assert_true(all.n + 30 < t->out.n);
    if (parse(t, all) != CHY_OK)
        fail_msg("%s\n%.*s", t->err.text, CHY_STR_ARG(all));
    assert_true(values_equal(&chy_config_schema, &as_written, &t->config, CHY_INTERNAL));
}

static bool text_has(struct chy_str text, const char *part)
{
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static void assert_all_are_named(struct chy_str text, const struct chy_schema *schema)
{
    for (size_t i = 0; i < schema->n; i++) {
        const struct chy_field *f = &schema->fields[i];
        char name[80];
        if ((f->flags & CHY_INTERNAL) != 0)
            continue;
        assert_true(snprintf(name, sizeof name, "%s:", f->name) > 0);
        if (!text_has(text, name) || f->doc == NULL)
            fail_msg("%s is not in the file, or says nothing", f->name);
        if (f->schema != NULL)
            assert_all_are_named(text, f->schema);
    }
}

static void test_config_write__shows_every_setting(void **state)
{
    struct fixture *t = *state;
    write_given(t);
    assert_all_are_named(chy_buf_str(&t->out), &chy_config_schema);
    assert_true(text_has(chy_buf_str(&t->out), "\ndata: \"/srv/\\\"chancery\\\"\"\n"));
    assert_true(text_has(chy_buf_str(&t->out), "\n#listen: [\"127.0.0.1:8443\"]\n"));
    assert_true(text_has(chy_buf_str(&t->out), "\n  #max_connections: 1024\n"));
    struct chy_str rest = chy_buf_str(&t->out);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        assert_non_null(end);
        assert_in_range((uintptr_t)(end - rest.p), 0, 100);
        rest.n -= (size_t)(end + 1 - rest.p);
        rest.p = end + 1;
    }
}

static void test_config_write__needs_what_has_no_default(void **state)
{
    struct fixture *t = *state;
    struct chy_config g = given();
    g.data.n = 0;
    assert_int_equal(chy_config_write(&g, &t->out, &t->err), CHY_E_ARG);
    g = given();
    g.log.origin.n = 0;
    assert_int_equal(chy_config_write(&g, &t->out, &t->err), CHY_E_ARG);
    g = given();
    g.tokens.n = 0;
    assert_int_equal(chy_config_write(&g, &t->out, &t->err), CHY_E_ARG);
    g = given();
    struct chy_buf small;
    chy_buf_init(&small, 100);
    assert_int_equal(chy_config_write(&g, &small, &t->err), CHY_E_LIMIT);
    chy_buf_done(&small);
}

/* --- for the processes --- */

static void assert_valid(const struct chy_schema *schema, const void *value)
{
    struct chy_error err;
    if (chy_schema_check(schema, value, &err) != CHY_OK)
        fail_msg("%s: %s", schema->name, err.text);
}

static void test_config__maps_to_what_the_processes_are_sent(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(parse(t, CHY_STR(SMALLEST)), CHY_OK);
    const struct chy_config *c = &t->config;
    struct chy_front_config front;
    struct chy_query_config query;
    struct chy_inspect_config inspect;
    struct chy_signer_config signer;
    struct chy_token_config token;
    chy_config_front(c, &front);
    chy_config_inspect(c, &inspect);
    assert_int_equal(chy_config_query(c, &t->arena, &query, &t->err), CHY_OK);
    assert_int_equal(chy_config_signer(c, 3, &t->arena, &signer, &t->err), CHY_OK);
    assert_int_equal(chy_config_token(c, &c->tokens.p[0], &t->arena, &token, &t->err), CHY_OK);
    assert_valid(&chy_front_config_schema, &front);
    assert_valid(&chy_query_config_schema, &query);
    assert_valid(&chy_inspect_config_schema, &inspect);
    assert_valid(&chy_signer_config_schema, &signer);
    assert_valid(&chy_token_config_schema, &token);

    assert_int_equal(front.max_connections, 1024);
    assert_int_equal(front.max_calls_per_principal, 256);
    assert_text(front.log_level, "notice");
    assert_text(front.user, "chancery-front");
    assert_text(query.store, "/srv/chancery/store/chancery.db");
    assert_text(query.user, "chancery-query");
    assert_int_equal(inspect.timeout_ms, 5000);
    assert_text(inspect.user, "chancery-inspect");
    assert_text(signer.store, "/srv/chancery/store/chancery.db");
    assert_text(signer.anchor, "/srv/chancery/anchor/checkpoint");
    assert_text(signer.origin, "example.org/log");
    assert_int_equal(signer.tokens.n, 1);
    assert_int_equal(signer.tokens.p[0].workers, 3);
    assert_true(signer.tokens.p[0].is_software);
    assert_int_equal(signer.client_certificate_hours, 168);
    assert_memory_equal(signer.config_sha256, c->sha256, CHY_HASH_BYTES);
    assert_text(signer.user, "chancery-signer");
    assert_text(token.name, "soft");
    assert_text(token.module, "/opt/libsofthsm2.so");
    assert_text(token.module_sha256, "");
    assert_text(token.lock, "/srv/chancery/tokens/soft/lock");
    assert_text(token.directory, "/srv/chancery/tokens/soft");
    assert_true(token.is_software && token.copy_keys && !token.verify_signatures);
    assert_int_equal(token.threads, 1);
    assert_text(token.user, "chancery-token");

    struct chy_config_token hashed = c->tokens.p[0];
    hashed.module_sha256[0] = 0xab;
    assert_int_equal(chy_config_token(c, &hashed, &t->arena, &token, &t->err), CHY_OK);
    assert_int_equal(token.module_sha256.n, 64);
    assert_true(chy_str_starts(token.module_sha256, "ab00"));
}

static void test_config__survives_each_failed_allocation(void **state)
{
    struct fixture *t = *state;
    enum chy_err r = CHY_E_NOMEM;
    for (size_t n = 0; r != CHY_OK; n++) {
        struct chy_arena own;
        /* the arena's own maximum fails where its blocks would hide it */
        chy_arena_init(&own, n * 64);
        r = chy_config_parse(chy_str_bytes(CHY_STR(SMALLEST)), &own, &t->config, &t->err);
        assert_true(r == CHY_OK || r == CHY_E_NOMEM);
        chy_arena_done(&own);
    }
    r = CHY_E_NOMEM;
    struct chy_config g = given();
    for (size_t n = 0; r != CHY_OK; n++) {
        struct chy_buf out;
        chy_buf_init(&out, 65536);
        chy_mem_fail_after(n);
        r = chy_config_write(&g, &out, &t->err);
        bool has_failed = chy_mem_has_failed();
        chy_mem_fail_after(SIZE_MAX);
        assert_int_equal(r, has_failed ? CHY_E_NOMEM : CHY_OK);
        chy_buf_done(&out);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_config__every_default),
        TEST(test_config__a_software_tokens_defaults),
        TEST(test_config__a_hardware_tokens_defaults),
        TEST(test_config__reads_every_setting),
        TEST(test_config__refuses_and_says_the_line),
        TEST(test_config__no_pin_in_the_file_or_in_a_text),
        TEST(test_config_load__names_the_file),
        TEST(test_config_write__is_read_back_as_the_defaults),
        TEST(test_config_write__what_is_commented_are_the_defaults),
        TEST(test_config_write__shows_every_setting),
        TEST(test_config_write__needs_what_has_no_default),
        TEST(test_config__maps_to_what_the_processes_are_sent),
        TEST(test_config__survives_each_failed_allocation),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
