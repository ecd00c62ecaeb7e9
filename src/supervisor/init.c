/* SPDX-License-Identifier: MIT */
#include "supervisor/init.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"
#include "supervisor/config.h"
#include "supervisor/identity.h"
#include "supervisor/init_store.h"
#include "supervisor/layout.h"
#include "token/setup.h"

#define DEFAULT_LISTEN "127.0.0.1:8443"
#define CONFIG_BYTES   65536
#define CODE_BYTES     1024
#define HOST_BYTES     254 /* a DNS name and its NUL */
#define TOKEN_NAME     "soft"

#define S struct chy_init_result
static const struct chy_field result_fields[] = {
    CHY_F_STR(S, data, 0, 0, CHY_LIMIT_PATH, "the data directory"),
    CHY_F_STR(S, config, 0, 0, CHY_LIMIT_PATH, "the configuration file"),
    CHY_F_STR(S, start, 0, 0, UINT64_C(2) * CHY_LIMIT_PATH, "the command that starts the server"),
    CHY_F_STR(S, enroll, 0, 0, CHY_LIMIT_TEXT, "the command that asks for the code, on a client"),
    CHY_F_STR(S, enrolment_code, CHY_SECRET, 0, CODE_BYTES,
              "makes one client the administrator \"" INIT_ADMINISTRATOR "\""),
    CHY_F_TIME(S, code_expires, 0, "when the code ends"),
    CHY_F_STR(S, certificate, 0, 0, CHY_LIMIT_PATH, "the TLS certificate"),
    CHY_F_STR(S, server_pin, 0, 0, CHY_LIMIT_NAME,
              "base 64 of the SHA-256 of the TLS key's SubjectPublicKeyInfo"),
    CHY_F_STR(S, token_serial, 0, 0, CHY_LIMIT_NAME, "serial number of the software token"),
    CHY_F_STRS(S, back_up, 0, 8, CHY_LIMIT_PATH, "what holds the keys"),
};
#undef S
const struct chy_schema chy_init_result_schema =
    CHY_SCHEMA("Init", struct chy_init_result, result_fields, "What `chanceryd init` made.");

struct making {
    const struct chy_init_options *options;
    struct chy_arena *arena;
    int dir_fd;
    char data[PATH_MAX]; /* absolute */
    int64_t now_us;
    struct chy_strs listen;
    char host_name[HOST_BYTES];           /* "" when there is none that is a DNS name */
    struct chy_str names[CHY_LIMIT_SANS]; /* "dns:…", "ip:…" */
    size_t name_count;
    struct chy_str url;
    uint8_t pin[CHY_HASH_BYTES];
    struct chy_buf yaml;
    struct chy_config config; /* as a server reads it */
    struct chy_setup_result token;
};

static void making_done(struct making *m)
{
    chy_buf_done(&m->yaml);
}

static enum chy_err fail_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "out of memory for a new server");
}

/* --- addresses and names --- */

static bool is_ip(const char *text)
{
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* "127.0.0.1:8443" or "[::1]:8443" cut in two; the host without brackets. */
static enum chy_err address_cut(const struct making *m, struct chy_str address,
                                struct chy_str *ret_host, struct chy_str *ret_port,
                                struct chy_error *err)
{
    size_t colon = address.n;
    while (colon > 0 && address.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || colon == address.n)
        return chy_fail(err, CHY_E_ARG,
                        "\"%.*s\" is no address; expected 127.0.0.1:8443 or "
                        "[::1]:8443",
                        CHY_STR_ARG(address));
    struct chy_str host = { address.p, colon - 1 };
    if (host.p[0] == '[' && host.n > 2)
        host = (struct chy_str){ host.p + 1, host.n - 2 };
    *ret_host = chy_arena_str(m->arena, host);
    *ret_port = chy_arena_str(m->arena, (struct chy_str){ address.p + colon, address.n - colon });
    if (ret_host->p == NULL || ret_port->p == NULL)
        return fail_memory(err);
    if (!is_ip(ret_host->p))
        return chy_fail(err, CHY_E_ARG, "\"%s\" is no IP address to listen on", ret_host->p);
    return CHY_OK;
}

static bool is_any(struct chy_str host)
{
    return chy_str_equal_c(host, "0.0.0.0") || chy_str_equal_c(host, "::");
}

static enum chy_err name_add(struct making *m, const char *name, struct chy_error *err)
{
    struct chy_str san = chy_arena_printf(m->arena, "%s:%s", is_ip(name) ? "ip" : "dns", name);
    if (san.p == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < m->name_count; i++)
        if (chy_str_equal(m->names[i], san))
            return CHY_OK;
    if (m->name_count == CHY_ARRAY_LEN(m->names))
        return chy_fail(err, CHY_E_LIMIT, "more than %zu names for a certificate", m->name_count);
    m->names[m->name_count++] = san;
    return CHY_OK;
}

static bool is_dns_name(const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        char c = text[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && !(i > 0 && (c == '.' || c == '-')))
            return false;
    }
    return text[0] != '\0';
}

static enum chy_err names_collect(struct making *m, struct chy_error *err)
{
    static const char *const always[] = { "localhost", "127.0.0.1", "::1" };
    for (size_t i = 0; i < m->options->name_count; i++) {
        const char *name = m->options->names[i];
        if (!is_ip(name) && !is_dns_name(name))
            return chy_fail(err, CHY_E_ARG, "\"%s\" is neither a DNS name nor an IP address", name);
        CHY_TRY(name_add(m, name, err));
    }
    for (size_t i = 0; i < CHY_ARRAY_LEN(always); i++)
        CHY_TRY(name_add(m, always[i], err));
    return m->host_name[0] != '\0' ? name_add(m, m->host_name, err) : CHY_OK;
}

/* Where clients reach the server: the first --name, else the address; nothing when the port is left
 * to the kernel. */
static enum chy_err url_make(struct making *m, struct chy_str host, struct chy_str port,
                             struct chy_error *err)
{
    const char *name = host.p;
    if (m->options->name_count > 0)
        name = m->options->names[0];
    else if (is_any(host))
        name = m->host_name[0] != '\0' ? m->host_name : "localhost";
    m->url = CHY_STR("");
    if (chy_str_equal_c(port, "0"))
        return CHY_OK;
    m->url = chy_arena_printf(
        m->arena, strchr(name, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s", name, port.p);
    return m->url.p != NULL ? CHY_OK : fail_memory(err);
}

static enum chy_err addresses_take(struct making *m, struct chy_error *err)
{
    struct chy_str first_host = CHY_STR("");
    struct chy_str first_port = CHY_STR("");
    size_t n = CHY_MAX(m->options->listen_count, (size_t)1);
    struct chy_str *listen = chy_arena_array(m->arena, struct chy_str, n);
    if (listen == NULL)
        return fail_memory(err);
    if (gethostname(m->host_name, sizeof m->host_name - 1) != 0 || !is_dns_name(m->host_name))
        m->host_name[0] = '\0';
    CHY_TRY(names_collect(m, err));
    for (size_t i = 0; i < n; i++) {
        struct chy_str host = CHY_STR("");
        struct chy_str port = CHY_STR("");
        listen[i] =
            chy_str_of(m->options->listen_count > 0 ? m->options->listen[i] : DEFAULT_LISTEN);
        CHY_TRY(address_cut(m, listen[i], &host, &port, err));
        if (!is_any(host))
            CHY_TRY(name_add(m, host.p, err));
        if (i == 0) {
            first_host = host;
            first_port = port;
        }
    }
    m->listen = (struct chy_strs){ listen, n };
    return url_make(m, first_host, first_port, err);
}

/* --- the parts --- */

/* The name in all checkpoints for ever: this host, and what tells it from others of that name. */
static enum chy_err origin_make(struct making *m, struct chy_str *ret_origin, struct chy_error *err)
{
    uint8_t random[4];
    char hex[CHY_HEX_SIZE(sizeof random)];
    CHY_TRY(chy_random_fill(random, sizeof random, err));
    chy_hex_encode((struct chy_bytes){ random, sizeof random }, hex);
    *ret_origin = chy_arena_printf(m->arena, "%s/chancery/%s",
                                   m->host_name[0] != '\0' ? m->host_name : "localhost", hex);
    return ret_origin->p != NULL ? CHY_OK : fail_memory(err);
}

/* The file's text, and what a server reads in it. */
static enum chy_err config_make(struct making *m, struct chy_error *err)
{
    static const struct chy_config_token token = { .name = { TOKEN_NAME, sizeof TOKEN_NAME - 1 } };
    struct chy_config given = {
        .data = chy_str_of(m->data),
        .listen = m->listen,
        .public_url = m->url,
        .tokens = { &token, 1 },
    };
    CHY_TRY(origin_make(m, &given.log.origin, err));
    CHY_TRY(chy_config_write(&given, &m->yaml, err));
    return chy_config_parse(chy_buf_bytes(&m->yaml), m->arena, &m->config, err);
}

static enum chy_err token_make(struct making *m, struct chy_error *err)
{
    const struct chy_config_token *token = &m->config.tokens.p[0];
    CHY_CLEANUP(chy_freep) char *module = NULL;
    CHY_TRY(chy_setup_find_softhsm(&module, err));
    struct chy_setup_options options = {
        .module = chy_str_of(module),
        .directory = token->directory,
        .label = token->slot_label,
        .pin_file = token->pin_file,
    };
    CHY_TRY(chy_config_path(&m->config, CHY_DATA_SECRETS "/" TOKEN_NAME ".so-pin", m->arena,
                            &options.so_pin_file, err));
    return chy_setup_softhsm(&options, &m->token, err);
}

static enum chy_err parts_make(struct making *m, struct chy_buf *code, struct chy_error *err)
{
    struct chy_str database;
    CHY_TRY(config_make(m, err));
    CHY_TRY(chy_config_path(&m->config, CHY_DATA_STORE_FILE, m->arena, &database, err));
    CHY_TRY(layout_make(m->dir_fd, &m->config, err));
    CHY_TRY(chy_identity_make(m->dir_fd, CHY_DATA_TLS_CERTIFICATE_FILE, CHY_DATA_TLS_KEY_FILE,
                              (struct chy_strs){ m->names, m->name_count }, m->now_us, m->pin,
                              err));
    CHY_TRY(token_make(m, err));
    CHY_TRY(init_store_make(database.p, m->pin, m->url, m->now_us, code, err));
    CHY_TRY(layout_own(m->dir_fd, &m->config, err));
    /* Last: a folder with a configuration is a whole one. */
    return chy_file_create(m->dir_fd, LAYOUT_CONFIG, chy_buf_bytes(&m->yaml), 0600, err);
}

static enum chy_err result_make(struct making *m, const struct chy_buf *code,
                                struct chy_init_result *r, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf pin;
    chy_buf_init(&pin, CHY_LIMIT_NAME);
    struct chy_str *back_up = chy_arena_array(m->arena, struct chy_str, 2);
    if (back_up == NULL || !chy_base64_append(&pin, (struct chy_bytes){ m->pin, sizeof m->pin }))
        return fail_memory(err);
    back_up[0] = m->config.tokens.p[0].directory;
    back_up[1] = m->config.tokens.p[0].pin_file;
    CHY_TRY(chy_config_path(&m->config, LAYOUT_CONFIG, m->arena, &r->config, err));
    r->certificate = m->config.tls.certificate;
    r->data = chy_arena_str(m->arena, chy_str_of(m->data));
    r->start = chy_arena_printf(m->arena, "chanceryd --config %s", r->config.p);
    r->enrolment_code = chy_arena_str(m->arena, chy_buf_str(code));
    r->code_expires_us = m->now_us + INIT_CODE_VALID_US;
    r->enroll =
        chy_arena_str(m->arena, m->url.n > 0 ? CHY_STR("chancery enroll")
                                             : CHY_STR("chancery enroll --url https://HOST:PORT"));
    r->server_pin = chy_arena_str(m->arena, chy_buf_str(&pin));
    r->token_serial = chy_arena_str(m->arena, chy_str_of(m->token.serial));
    r->back_up = (struct chy_strs){ back_up, 2 };
    if (r->data.p == NULL || r->start.p == NULL || r->enrolment_code.p == NULL ||
        r->enroll.p == NULL || r->server_pin.p == NULL || r->token_serial.p == NULL)
        return fail_memory(err);
    return CHY_OK;
}

enum chy_err chy_init(const struct chy_init_options *options, struct chy_arena *arena,
                      struct chy_init_result *ret_result, struct chy_error *err)
{
    CHY_CLEANUP(layout_new_end) struct layout_new dir = { .fd = -1 };
    CHY_CLEANUP(chy_buf_done) struct chy_buf code;
    CHY_CLEANUP(making_done)
    struct making m = { .options = options, .arena = arena, .now_us = chy_clock_realtime_us() };
    struct chy_init_result result = { .data = CHY_STR("") };
    chy_buf_init(&code, CODE_BYTES);
    chy_buf_init(&m.yaml, CONFIG_BYTES);
    CHY_TRY(addresses_take(&m, err));
    CHY_TRY(layout_new_begin(options->data, false, &dir, err));
    m.dir_fd = dir.fd;
    if (realpath(options->data, m.data) == NULL)
        return chy_fail(err, CHY_E_IO, "cannot find %s again", options->data);
    CHY_TRY(parts_make(&m, &code, err));
    CHY_TRY(result_make(&m, &code, &result, err));
    dir.is_kept = true;
    *ret_result = result;
    return CHY_OK;
}

void chy_init_print(const void *value, FILE *out)
{
    const struct chy_init_result *r = value;
    (void)fprintf(
        out,
        "A new Chancery server is in %s:\n"
        "\n"
        "  configuration    %s\n"
        "  TLS certificate  %s (self-signed; clients hold it by its pin)\n"
        "  software token   %s, serial %s\n"
        "\n"
        "The keys will be in the software token, that is, in files of this machine. Who has\n"
        "both of these has the keys, and without them the keys are lost. Back them up, and\n"
        "guard the copy:\n"
        "\n"
        "  %s\n"
        "  %s\n"
        "\n"
        "`chanceryd backup --config %s --to DIR` copies them and\n"
        "everything else.\n"
        "\n"
        "Start the server:\n"
        "\n"
        "  %s\n"
        "\n"
        "Then become its administrator. The code works once, within 24 hours:\n"
        "\n"
        "  %s\n"
        "  %s\n",
        r->data.p, r->config.p, r->certificate.p, r->back_up.p[0].p, r->token_serial.p,
        r->back_up.p[0].p, r->back_up.p[1].p, r->config.p, r->start.p, r->enroll.p,
        r->enrolment_code.p);
}
