/* SPDX-License-Identifier: MIT */
/* chancery doctor: the way to the server and back. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "cli/doctor.h"
#include "crypto/hash.h"
#include "doc/doc.h"
#include "os/clock.h"

#define SECOND_US   ((int64_t)1000000)
#define HOUR_US     (3600 * SECOND_US)
#define SKEW_OK_US  (5 * SECOND_US)  /* below it nothing that we compare can differ */
#define SKEW_MAX_US (60 * SECOND_US) /* codes and short certificates begin to fail past it */

/* Whatever a call said: the sentence, and what to do by its kind. */
static void tell(struct chy_doctor *d, const struct chy_error *err, const char *mend)
{
    static const struct {
        enum chy_err code;
        const char *mend;
    } rows[] = {
        { CHY_E_EXPIRED, "ask an administrator for a new code and run chancery enroll" },
        { CHY_E_UNAUTHENTICATED, "chancery enroll, with a code of an administrator; a build job: "
                                 "CHANCERY_TOKEN_FILE" },
        { CHY_E_INTEGRITY, "if its administrator says that it has a new key, enrol again; where a "
                           "CA is used, name it by CHANCERY_CA" },
        { CHY_E_NETWORK, "see that the server runs, that its address is right (chancery help "
                         "enroll) and that nothing between keeps you from it" },
        { CHY_E_TIMEOUT, "see that nothing between you and the server swallows the connection" },
        { CHY_E_FORBIDDEN, "an administrator can give you the role or the scope" },
        { CHY_E_DENIED, "a rule of the policy must allow it: chancery policies test" },
    };
    for (size_t i = 0; mend == NULL && i < CHY_ARRAY_LEN(rows); i++) {
        if (rows[i].code == err->code)
            mend = rows[i].mend;
    }
    chy_doctor_problem(d, mend, "%s", err->text);
}

static enum chy_err call(struct chy_doctor *d, enum chy_op op, const void *request, void *response,
                         struct chy_error *err)
{
    return chy_client_call(d->cli->client, op, request, &d->cli->arena, response, err);
}

/* --- who we are, as far as this machine knows --- */

static void look_at_settings(struct chy_doctor *d)
{
    struct chy_error err;
    if (chy_cli_settings(d->cli, d->args, &err) != CHY_OK) {
        tell(d, &err, "put the configuration right; see chancery-config(5)");
        return;
    }
    const struct chy_settings *s = &d->cli->settings;
    if (s->profile.url.n == 0) {
        chy_doctor_problem(d, "chancery enroll, or set CHANCERY_URL", "no server is named");
        d->cli->has_settings = false;
        chy_settings_done(&d->cli->settings);
        return;
    }
    chy_doctor_ok(d, "profile %.*s, server %.*s, trusted by %s", CHY_STR_ARG(s->profile.name),
                  CHY_STR_ARG(s->profile.url),
                  s->profile.pin.n != 0  ? "the pin of its key"
                  : s->profile.ca.n != 0 ? "a CA file"
                                         : "the system's CAs");
}

static void look_at_credential(struct chy_doctor *d)
{
    const struct chy_settings *s = &d->cli->settings;
    struct stat st;
    if (s->token != NULL) {
        chy_doctor_ok(d, "an API token");
        return;
    }
    struct chy_str key = chy_arena_str(&d->cli->arena, s->profile.key);
    if (key.p == NULL)
        chy_doctor_problem(d, NULL, "no memory to look at it");
    else if (key.n == 0)
        chy_doctor_problem(d, "chancery enroll, or CHANCERY_TOKEN_FILE", "there is none");
    else if (fstatat(AT_FDCWD, key.p, &st, 0) != 0)
        chy_doctor_problem(d, "chancery enroll", "%s is not there", key.p);
    else if ((st.st_mode & 077) != 0)
        chy_doctor_problem(d, "chmod 600 that file, and enrol again if others may have read it",
                           "others can read the private key in %s", key.p);
    else
        chy_doctor_ok(d, "the certificate in %.*s%s", CHY_STR_ARG(s->profile.certificate),
                      chy_settings_is_managed(s) ? ", renewed by itself" : "");
}

/* --- the server --- */

/* How far the clocks are apart, whatever the way took. */
static void look_at_clock(struct chy_doctor *d, int64_t before_us, int64_t its_us, int64_t after_us)
{
    int64_t skew_us = its_us < before_us  ? before_us - its_us
                      : its_us > after_us ? its_us - after_us
                                          : 0;
    static const char mend[] = "set it: timedatectl set-ntp true, here or on the server";
    d->list.check = "clock";
    if (skew_us <= SKEW_OK_US)
        chy_doctor_ok(d, "the server's and ours agree");
    else if (skew_us <= SKEW_MAX_US)
        chy_doctor_warn(d, mend, "the server's is %lld s from ours",
                        (long long)(skew_us / SECOND_US));
    else
        chy_doctor_problem(d, mend, "the server's is %lld s from ours: certificates and codes fail",
                           (long long)(skew_us / SECOND_US));
}

/* Who enrols gets the key with the certificate; who logs in by a token has no such moment, and
 * needs none unless receipts are kept. */
static void miss_log_key(struct chy_doctor *d, struct chy_str vkey)
{
    const char *receipts = d->cli->env.receipts;
    if (d->cli->settings.token == NULL)
        chy_doctor_warn(d, "chancery enroll keeps it; or set log_key in the configuration",
                        "no verifier key of the log is kept: receipts are not checked");
    else if (receipts == NULL)
        chy_doctor_ok(d, "no receipts are kept, so nothing of it is checked here");
    else
        chy_doctor_warn(
            d,
            "when an administrator has said that it is the right one, set it as log_key "
            "in the configuration",
            "receipts in %s are not checked: the log's key, as the server says it, is "
            "%.*s",
            receipts, CHY_STR_ARG(vkey));
}

static void look_at_log_key(struct chy_doctor *d, struct chy_str vkey)
{
    struct chy_str known = d->cli->settings.profile.log_key;
    d->list.check = "log";
    if (known.n == 0)
        miss_log_key(d, vkey);
    else if (!chy_str_equal(known, vkey))
        chy_doctor_problem(d, "ask its administrators why; until then trust no receipt",
                           "the server's log has another key than when you enrolled");
    else
        chy_doctor_ok(d, "its key is the one that was enrolled with");
}

static void look_at_server(struct chy_doctor *d)
{
    struct chy_error err;
    struct chy_hello hello;
    if (chy_cli_client(d->cli, d->args, &err) != CHY_OK) {
        tell(d, &err, NULL);
        return;
    }
    int64_t before_us = chy_clock_realtime_us();
    if (call(d, CHY_OP_HELLO, &(struct chy_empty){ 0 }, &hello, &err) != CHY_OK) {
        tell(d, &err, NULL);
        return;
    }
    int64_t after_us = chy_clock_realtime_us();
    d->has_server = true;
    chy_doctor_ok(d, "chanceryd %.*s answers in %lld ms", CHY_STR_ARG(hello.server),
                  (long long)((after_us - before_us) / 1000));
    look_at_clock(d, before_us, hello.time_us, after_us);
    look_at_log_key(d, hello.log_vkey);
}

static void look_at_login(struct chy_doctor *d)
{
    struct chy_whoami me;
    struct chy_error err;
    char until[64] = "";
    if (call(d, CHY_OP_WHOAMI, &(struct chy_empty){ 0 }, &me, &err) != CHY_OK) {
        tell(d, &err, NULL);
        return;
    }
    d->has_login = true;
    CHY_CLEANUP(chy_buf_done) struct chy_buf time;
    chy_buf_init(&time, sizeof until);
    int64_t left_us = me.expires_us - chy_clock_realtime_us();
    if (me.expires_us != 0 && chy_time_write(&time, me.expires_us))
        (void)snprintf(until, sizeof until, " until %.*s", CHY_STR_ARG(chy_buf_str(&time)));
    else if (me.expires_us != 0)
        (void)snprintf(until, sizeof until, " until a time untold: no memory");
    if (me.expires_us != 0 && left_us < HOUR_US)
        chy_doctor_warn(d, "enrol again, or ask for a new token, in time",
                        "you are \"%.*s\"%s: within the hour that ends", CHY_STR_ARG(me.principal),
                        until);
    else
        chy_doctor_ok(d, "you are \"%.*s\"%s%s", CHY_STR_ARG(me.principal), until,
                      me.is_agent ? "; what you see of tools is believed" : "");
}

/* --- keys and policy --- */

static void look_at_key(struct chy_doctor *d, const struct chy_key *k)
{
    for (size_t i = 0; i < k->warnings.n; i++)
        chy_doctor_warn(d, NULL, "%.*s: %.*s", CHY_STR_ARG(k->name), CHY_STR_ARG(k->warnings.p[i]));
    if (d->key.n == 0 || chy_str_equal(d->key, k->name)) {
        d->key = k->name;
        d->key_type = k->type;
    }
}

/* How many of one page may be used; the first is what the next checks take. */
static size_t look_at_page(struct chy_doctor *d, const struct chy_key_list *page, size_t *n_ed25519)
{
    size_t n = 0;
    for (size_t i = 0; i < page->keys.n; i++) {
        const struct chy_key *k = &page->keys.p[i];
        n++;
        *n_ed25519 += k->type == CHY_KEY_ED25519 ? 1 : 0;
        look_at_key(d, k);
    }
    return n;
}

static void look_at_keys(struct chy_doctor *d)
{
    struct chy_key_query query = { .usable = true };
    struct chy_error err;
    size_t n = 0;
    size_t n_ed25519 = 0;
    do {
        struct chy_key_list page;
        if (call(d, CHY_OP_KEYS_LIST, &query, &page, &err) != CHY_OK) {
            tell(d, &err, NULL);
            return;
        }
        n += look_at_page(d, &page, &n_ed25519);
        query.after = page.next;
    } while (query.after.n != 0 && n < CHY_LIMIT_VISIBLE_KEYS);
    if (n == 0)
        chy_doctor_warn(d, "a rule of the policy must allow it: chancery policies test --key NAME",
                        "there is no key that you may sign with");
    else
        chy_doctor_ok(d, "%zu that you may sign with", n);
    if (n_ed25519 != 0)
        chy_doctor_ok(d,
                      "%zu of them are Ed25519: tools see those only by CHANCERY_KEYS or "
                      "chancery exec --key",
                      n_ed25519);
}

static void look_at_tokens(struct chy_doctor *d)
{
    struct chy_token_list tokens;
    struct chy_error err;
    if (call(d, CHY_OP_TOKENS_LIST, &(struct chy_empty){ 0 }, &tokens, &err) != CHY_OK) {
        if (err.code != CHY_E_FORBIDDEN) /* it is for administrators */
            tell(d, &err, NULL);
        return;
    }
    for (size_t i = 0; i < tokens.tokens.n; i++) {
        const struct chy_token_info *t = &tokens.tokens.p[i];
        if (t->is_ready)
            chy_doctor_ok(d, "%.*s is ready%s", CHY_STR_ARG(t->name),
                          t->is_software ? "; it is a software token" : "");
        else
            chy_doctor_problem(d, "the server's log says why: journalctl -u chanceryd",
                               "%.*s is not ready", CHY_STR_ARG(t->name));
    }
}

static struct chy_sign_request sample(const struct chy_doctor *d, struct chy_sign_item *item,
                                      uint8_t digest[CHY_LIMIT_DIGEST])
{
    static const char text[] = "chancery doctor: a sample, good for nothing\n";
    struct chy_bytes message = { (const uint8_t *)text, sizeof text - 1 };
    enum chy_hash_alg hash;
    *item =
        (struct chy_sign_item){ .key = d->key, .algorithm = chy_key_type_default_alg(d->key_type) };
    hash = chy_sign_alg_hash(item->algorithm);
    if (hash == CHY_HASH_NONE) {
        item->message = message;
        item->hashed_by = CHY_HASHED_BY_NOBODY;
    } else if (chy_hash(hash, message, digest, NULL) == CHY_OK) {
        item->digest = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
        item->hashed_by = CHY_HASHED_BY_CLIENT;
    }
    struct chy_sign_request r = { .reason = CHY_STR("chancery doctor") };
    r.items.p = item;
    r.items.n = 1;
    return r;
}

/* What policy would answer; nothing is signed or logged. */
static void look_at_policy(struct chy_doctor *d)
{
    struct chy_sign_item item;
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_policy_test test = { .request = sample(d, &item, digest) };
    struct chy_policy_test_result result;
    struct chy_error err;
    if (d->key_type == CHY_KEY_NONE)
        return;
    if (call(d, CHY_OP_POLICIES_TEST, &test, &result, &err) != CHY_OK) {
        if (err.code != CHY_E_FORBIDDEN)
            tell(d, &err, NULL);
        return;
    }
    for (size_t i = 0; i < result.items.n; i++) {
        const struct chy_policy_explanation *x = &result.items.p[i];
        if (x->decision == CHY_DECISION_ALLOWED)
            chy_doctor_ok(d, "%.*s may sign a sample", CHY_STR_ARG(d->key));
        else
            chy_doctor_warn(d, "chancery policies test --key NAME explains it rule by rule",
                            "%.*s would not sign a sample: %.*s", CHY_STR_ARG(d->key),
                            CHY_STR_ARG(x->summary));
    }
}

static void look_at_signature(struct chy_doctor *d)
{
    struct chy_sign_item item;
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_sign_request request = sample(d, &item, digest);
    struct chy_sign_response response;
    struct chy_error err;
    if (!chy_cli_has(d->args, "sign"))
        return;
    if (d->key_type == CHY_KEY_NONE) {
        chy_doctor_problem(d, "chancery keys list --usable shows those that are",
                           "%.*s is no key that you may sign with", CHY_STR_ARG(d->key));
        return;
    }
    if (call(d, CHY_OP_SIGN, &request, &response, &err) != CHY_OK) {
        tell(d, &err, NULL);
        return;
    }
    const struct chy_sign_result *r = &response.results.p[0];
    if (response.results.n == 1 && r->is_signed && r->outcome != NULL)
        chy_doctor_ok(d, "%.*s signed a sample: log entry %llu", CHY_STR_ARG(d->key),
                      (unsigned long long)r->outcome->index);
    else if (response.results.n == 1)
        chy_doctor_problem(d, NULL, "%.*s: %.*s", CHY_STR_ARG(r->problem), CHY_STR_ARG(r->detail));
}

const struct chy_doctor_check chy_doctor_server_checks[] = {
    { "configuration", CHY_DOCTOR_NEEDS_NOTHING, look_at_settings },
    { "credential", CHY_DOCTOR_NEEDS_SETTINGS, look_at_credential },
    { "server", CHY_DOCTOR_NEEDS_SETTINGS, look_at_server },
    { "login", CHY_DOCTOR_NEEDS_SERVER, look_at_login },
    { "keys", CHY_DOCTOR_NEEDS_LOGIN, look_at_keys },
    { "tokens", CHY_DOCTOR_NEEDS_LOGIN, look_at_tokens },
    { "policy", CHY_DOCTOR_NEEDS_KEY, look_at_policy },
    { "signature", CHY_DOCTOR_NEEDS_KEY, look_at_signature },
    { NULL, CHY_DOCTOR_NEEDS_NOTHING, NULL },
};
