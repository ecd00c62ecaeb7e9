/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "client/trust.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "crypto/signed_data.h"
#include "gpgsm/gpgsm.h"
#include "os/clock.h"

#define TRUST_NAME "trust.yaml"

/* --- what is read --- */

/* In PEM as git has it or as other tools name it, else as it is. */
static enum chy_err unarmor(struct chy_bytes file, struct chy_buf *der, struct chy_error *err)
{
    static const char *const labels[] = { "SIGNED MESSAGE", "CMS", "PKCS7" };
    struct chy_str text = chy_bytes_str(file);
    for (size_t i = 0; i < CHY_ARRAY_LEN(labels); i++) {
        if (chy_pem_has(file, labels[i]))
            return chy_pem_take(&text, labels[i], der, err);
    }
    chy_buf_append(der, file);
    return chy_buf_check(der, err);
}

static enum chy_err read_signature(struct chy_gpgsm *g, struct chy_signed_data *ret_data,
                                   struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf file;
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&file, (size_t)CHY_LIMIT_CMS * 3 / 2);
    chy_buf_init(&der, CHY_LIMIT_CMS);
    CHY_TRY(chy_gpgsm_read(g, 0, &file, err));
    CHY_TRY(unarmor(chy_buf_bytes(&file), &der, err));
    struct chy_bytes kept = chy_arena_bytes(&g->arena, chy_buf_bytes(&der));
    if (kept.p == NULL && der.n != 0)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
    CHY_TRY(chy_signed_data_read(kept, &g->arena, ret_data, err));
    if (ret_data->content.p != NULL)
        return chy_fail(err, CHY_E_MALFORMED, "the signature brings its own data along");
    if (ret_data->n_signers != 1)
        return chy_fail(err, CHY_E_MALFORMED, "it has %zu signers, and one is taken",
                        ret_data->n_signers);
    return CHY_OK;
}

static enum chy_err read_trust(struct chy_gpgsm *g, struct chy_trust **ret_trust,
                               struct chy_error *err)
{
    struct chy_str path = g->trust_path;
    struct chy_str dir;
    struct chy_error why;
    if (path.n == 0) {
        CHY_TRY(chy_client_dir(&g->env, &g->arena, &dir, err));
        path = chy_arena_printf(&g->arena, "%.*s/" TRUST_NAME, CHY_STR_ARG(dir));
        if (path.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    }
    enum chy_err r = chy_trust_load(path, &g->arena, ret_trust, &why);
    if (r == CHY_E_NOT_FOUND && g->trust_path.n == 0)
        return chy_fail(err, CHY_E_ARG,
                        "there is no trust file %.*s: make it, or name one by CHANCERY_TRUST",
                        CHY_STR_ARG(path));
    /* Without it nothing is verified, and nothing is said to be bad. */
    return r == CHY_OK ? CHY_OK : chy_fail(err, r == CHY_E_NOMEM ? r : CHY_E_ARG, "%s", why.text);
}

/* --- whom it is believed --- */

/* What the trust file wants beyond a good signature with a good certificate. */
static enum chy_err check_terms(const struct chy_trust *trust,
                                const struct chy_checked_signer *signer, struct chy_error *err)
{
    const struct chy_x509 *c = signer->certificate;
    if (!chy_trust_takes_name(trust, c->common_name, c->summary.subject))
        return chy_fail(err, CHY_E_FORBIDDEN, "%.*s is none of the names in the trust file",
                        CHY_STR_ARG(c->summary.subject));
    if (trust->document.require_time_stamp && signer->stamped_us == 0)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "the trust file wants a time stamp, and there is none");
    if (trust->document.require_log)
        return chy_fail(err, CHY_E_FORBIDDEN,
                        "the trust file wants the log to be asked, which is not done here: use "
                        "another by CHANCERY_TRUST");
    return CHY_OK;
}

static enum chy_err check(struct chy_gpgsm *g, const struct chy_signed_data *data,
                          const struct chy_trust *trust, struct chy_bytes content,
                          struct chy_checked_signer *ret_signer, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    enum chy_hash_alg hash = data->signers[0].hash;
    const struct chy_check_terms terms = {
        .roots = trust->roots,
        .stamp_roots = trust->stamp_roots,
        .now_us = chy_clock_realtime_us(),
    };
    CHY_TRY(chy_hash(hash, content, digest, err));
    const struct chy_signed_content what = {
        .digest = { digest, chy_hash_alg_bytes(hash) },
        .head = content,
        .size_bytes = content.n,
    };
    CHY_TRY(chy_signer_check(&terms, data, 0, &what, &g->arena, ret_signer, err));
    return check_terms(trust, ret_signer, err);
}

/* --- what is said of it --- */

/* GOODSIG says that the signature fits the data; whether its maker is known, TRUST_... says. */
static const struct {
    enum chy_err code;
    const char *word;
    const char *trust; /* NULL: nothing is said */
} verdicts[] = {
    { CHY_OK, "GOODSIG", "TRUST_FULLY 0 shell" },
    { CHY_E_FORBIDDEN, "GOODSIG", "TRUST_NEVER" },
    { CHY_E_EXPIRED, "EXPKEYSIG", NULL },
    { CHY_E_INTEGRITY, "BADSIG", NULL },
};

static void say_verdict(const struct chy_gpgsm *g, enum chy_err r,
                        const struct chy_checked_signer *signer)
{
    const struct chy_x509 *c = signer->certificate;
    char fingerprint[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    for (size_t i = 0; c != NULL && i < CHY_ARRAY_LEN(verdicts); i++) {
        if (verdicts[i].code != r)
            continue;
        chy_hex_encode((struct chy_bytes){ c->summary.sha256, CHY_HASH_BYTES }, fingerprint);
        chy_gpgsm_status(g, "%s %s %.*s", verdicts[i].word, fingerprint,
                         CHY_STR_ARG(c->summary.subject));
        if (verdicts[i].trust == NULL)
            return;
        chy_gpgsm_status(g, "VALIDSIG %s", fingerprint);
        chy_gpgsm_status(g, "%s", verdicts[i].trust);
        return;
    }
    chy_gpgsm_status(g, "ERRSIG 0 0 0 00 0 9");
}

static enum chy_err verify(struct chy_gpgsm *g, const struct chy_signed_data *data,
                           const struct chy_trust *trust, struct chy_bytes content,
                           struct chy_error *err)
{
    struct chy_checked_signer signer = { .certificate = NULL };
    enum chy_err r = check(g, data, trust, content, &signer, err);
    say_verdict(g, r, &signer);
    if (r == CHY_OK)
        chy_gpgsm_say(g, "good signature of %.*s",
                      CHY_STR_ARG(signer.certificate->summary.subject));
    return r == CHY_E_FORBIDDEN ? chy_error_prefix(err, r, "good signature, and not trusted") : r;
}

enum chy_err chy_gpgsm_verify(struct chy_gpgsm *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_trust_freep) struct chy_trust *trust = NULL;
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    struct chy_signed_data *data = chy_arena_new(&g->arena, struct chy_signed_data);
    chy_buf_init(&content, CHY_LIMIT_GPGSM_DATA);
    if (g->options.words.n == 0 || g->options.words.n > 2)
        return chy_fail(err, CHY_E_ARG,
                        "--verify takes the file of the signature, and that of the data, not %zu",
                        g->options.words.n);
    if (data == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
    chy_gpgsm_status(g, "NEWSIG");
    CHY_TRY(read_trust(g, &trust, err));
    enum chy_err r = read_signature(g, data, err);
    if (r != CHY_OK) {
        chy_gpgsm_status(g, r == CHY_E_UNSUPPORTED ? "ERRSIG 0 0 0 00 0 9" : "NODATA 4");
        return r;
    }
    CHY_TRY(chy_gpgsm_read(g, 1, &content, err));
    return verify(g, data, trust, chy_buf_bytes(&content), err);
}
