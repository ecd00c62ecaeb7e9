/* SPDX-License-Identifier: MIT */
#include "client/enroll.h"

#include <fcntl.h>

#include "base/ct.h"
#include "base/limits.h"
#include "client/client.h"
#include "client/credential.h"
#include "codec/base64.h"
#include "crypto/privkey.h"
#include "doc/doc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/http_client.h"
#include "proto/enrolment.h"

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory to enrol");
}

static enum chy_err pin_text(const uint8_t pin[CHY_HASH_BYTES], struct chy_arena *arena,
                             struct chy_str *ret_text, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_HTTP_PIN_CHARS);
    chy_base64_append(&text, (struct chy_bytes){ pin, CHY_HASH_BYTES });
    CHY_TRY(chy_buf_check(&text, err));
    *ret_text = chy_arena_str(arena, chy_buf_str(&text));
    return ret_text->p != NULL ? CHY_OK : no_memory(err);
}

/* Where the server is and how it is known, before there is a credential. */
static enum chy_err start_profile(struct chy_str name, const struct chy_enrolment *code,
                                  struct chy_str url, struct chy_arena *arena,
                                  struct chy_profile *profile, struct chy_error *err)
{
    struct chy_str from_code = chy_str_of(code->url);
    *profile = (struct chy_profile){
        .name = name,
        .url = chy_arena_str(arena, url.n != 0 ? url : from_code),
    };
    if (profile->url.p == NULL)
        return no_memory(err);
    if (profile->url.n == 0)
        return chy_fail(err, CHY_E_ARG, "the code does not say where the server is: give --url");
    if (!chy_url_is_origin(profile->url))
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" is no server: https://host[:port] is one",
                        CHY_STR_ARG(profile->url));
    return pin_text(code->pin, arena, &profile->pin, err);
}

static enum chy_err ask_certificate(struct chy_client *client, const struct chy_enrolment *code,
                                    struct chy_str csr, struct chy_arena *arena,
                                    struct chy_client_certificate *ret_certificate,
                                    struct chy_hello *ret_hello, struct chy_error *err)
{
    struct chy_empty nothing = { 0 };
    struct chy_enroll_request request = { .code = chy_str_of(code->secret), .csr = csr };
    /* First what needs no code: a server that does not answer this must not use it up. */
    CHY_TRY(chy_client_call(client, CHY_OP_HELLO, &nothing, arena, ret_hello, err));
    return chy_client_call(client, CHY_OP_ENROLL, &request, arena, ret_certificate, err);
}

static enum chy_err make_parts(struct chy_str dir, const struct chy_enrolment *code,
                               struct chy_profile *profile, struct chy_arena *arena,
                               struct chy_error *err)
{
    struct chy_settings settings = { .dir = dir, .profile = *profile };
    CHY_CLEANUP(chy_client_closep) struct chy_client *client = NULL;
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *key = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf csr;
    struct chy_client_certificate certificate;
    struct chy_hello hello;
    chy_buf_init(&csr, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_client_open(&settings, &client, err));
    CHY_TRY(chy_credential_make(&key, &csr, err));
    CHY_TRY(ask_certificate(client, code, chy_buf_str(&csr), arena, &certificate, &hello, err));

    struct chy_str path =
        chy_arena_printf(arena, "%.*s/%.*s.pem", CHY_STR_ARG(dir), CHY_STR_ARG(profile->name));
    if (path.p == NULL)
        return no_memory(err);
    profile->principal = certificate.principal;
    profile->log_key = hello.log_vkey;
    profile->certificate = path;
    profile->key = path;
    CHY_TRY(chy_client_dir_make(dir, arena, err));
    CHY_TRY(chy_credential_write(path.p, key, certificate.certificate, err));
    return chy_client_config_save(dir, profile, arena, err);
}

enum chy_err chy_client_enroll(struct chy_str dir, struct chy_str profile_name, struct chy_str code,
                               struct chy_str url, struct chy_arena *arena,
                               struct chy_profile *ret_profile, struct chy_error *err)
{
    struct chy_enrolment parts;
    struct chy_profile profile;
    if (!chy_profile_name_is_valid(profile_name))
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" cannot be the name of a profile",
                        CHY_STR_ARG(profile_name));
    CHY_TRY(chy_enrolment_parse(code, &parts, err));
    enum chy_err r = start_profile(profile_name, &parts, url, arena, &profile, err);
    if (r == CHY_OK)
        r = make_parts(dir, &parts, &profile, arena, err);
    chy_wipe(&parts, sizeof parts);
    if (r == CHY_OK)
        *ret_profile = profile;
    return r;
}

/* --- renewal --- */

static enum chy_err ended(const struct chy_settings *settings, int64_t when_us,
                          struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, 64);
    chy_time_write(&text, when_us);
    return chy_fail(err, CHY_E_EXPIRED, "the client certificate of profile \"%.*s\" ended %.*s",
                    CHY_STR_ARG(settings->profile.name), CHY_STR_ARG(chy_buf_str(&text)));
}

enum chy_err chy_client_credential_end(const struct chy_settings *settings, int64_t *ret_end_us,
                                       struct chy_error *err)
{
    struct chy_credential_times times = { 0 };
    if (chy_settings_is_managed(settings) && settings->token == NULL)
        CHY_TRY(chy_credential_times(settings->profile.key.p, &times, err));
    *ret_end_us = times.not_after_us;
    return CHY_OK;
}

enum chy_err chy_client_check_end(const struct chy_settings *settings, int64_t end_us,
                                  struct chy_error *err)
{
    bool has_ended = end_us != 0 && chy_clock_realtime_us() >= end_us;
    return has_ended ? ended(settings, end_us, err) : CHY_OK;
}

/* Holds the lock. */
static enum chy_err renew_now(const struct chy_settings *settings, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    CHY_CLEANUP(chy_client_closep) struct chy_client *client = NULL;
    CHY_CLEANUP(chy_privkey_freep) struct chy_privkey *key = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf csr;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    chy_buf_init(&csr, CHY_LIMIT_CERTIFICATE);
    CHY_TRY(chy_credential_again(settings->profile.key.p, &key, &csr, err));
    struct chy_settings own = *settings; /* whoever renews is the agent, or has none */
    own.agent_socket = (struct chy_str){ 0 };
    CHY_TRY(chy_client_open(&own, &client, err));
    struct chy_renew_request request = { .csr = chy_buf_str(&csr) };
    struct chy_client_certificate certificate;
    CHY_TRY(chy_client_call(client, CHY_OP_RENEW, &request, &arena, &certificate, err));
    return chy_credential_write(settings->profile.key.p, key, certificate.certificate, err);
}

enum chy_err chy_client_renew(const struct chy_settings *settings, struct chy_error *err)
{
    struct chy_credential_times times;
    int64_t now_us = chy_clock_realtime_us();
    if (!chy_settings_is_managed(settings) || settings->token != NULL)
        return CHY_OK;
    CHY_TRY(chy_credential_times(settings->profile.key.p, &times, err));
    CHY_TRY(chy_client_check_end(settings, times.not_after_us, err));
    if (!chy_credential_is_due(&times, now_us))
        return CHY_OK;

    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, (size_t)CHY_LIMIT_PATH * 2);
    struct chy_str lock = chy_arena_printf(&arena, "%.*s.lock", CHY_STR_ARG(settings->profile.key));
    if (lock.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to renew the certificate");
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    enum chy_err r = chy_file_lock(AT_FDCWD, lock.p, &fd, err);
    if (r == CHY_E_BUSY)
        return CHY_OK; /* another process renews; ours is good until it has */
    if (r != CHY_OK)
        return r;
    /* That process may have ended between our look and our lock. */
    CHY_TRY(chy_credential_times(settings->profile.key.p, &times, err));
    return chy_credential_is_due(&times, now_us) ? renew_now(settings, err) : CHY_OK;
}

enum chy_err chy_client_open_renewed(struct chy_settings *settings, struct chy_client **ret_client,
                                     struct chy_error *ret_why, struct chy_error *err)
{
    CHY_CLEANUP(chy_client_closep) struct chy_client *client = NULL;
    ret_why->code = CHY_OK;
    if (settings->agent_socket.n != 0)
        CHY_TRY(chy_client_open(settings, &client, err));
    if (client != NULL && chy_client_is_agent(client)) {
        *ret_client = CHY_TAKE(client);
        return CHY_OK;
    }
    settings->agent_socket = (struct chy_str){ 0 };
    enum chy_err r = chy_client_renew(settings, ret_why);
    if (r == CHY_E_EXPIRED)
        return chy_fail(err, r, "%s", ret_why->text);
    if (r == CHY_OK)
        ret_why->code = CHY_OK;
    return chy_client_open(settings, ret_client, err);
}
