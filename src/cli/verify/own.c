/* SPDX-License-Identifier: MIT */
/* Our own verification; and what was signed, of what tools verify. */
#include "base/limits.h"
#include "cli/verify/verify.h"

#define OWN "chancery"

/* One signer who is trusted is enough; a signature that is wrong is one too many: who else signed
 * may be somebody whom this trust file does not know. Of a JAR each signs some of the entries, and
 * who is trusted may have signed none that is in it: there everybody must be. Of an APK another
 * Android believes another of them. */
static void signers_judge(struct verify_file *f, enum chy_verify_form form,
                          const struct chy_verify_found *found)
{
    const struct chy_verify_signer *good = NULL;
    const struct chy_verify_signer *bad = NULL;
    for (size_t i = 0; i < found->signers.n; i++) {
        const struct chy_verify_signer *s = &found->signers.p[i];
        struct chy_verify_signer *row = verify_add_signer(f);
        if (row != NULL)
            *row = *s;
        bool is_wrong = chy_str_equal_c(s->problem, chy_err_type(CHY_E_INTEGRITY)) ||
                        chy_str_equal_c(s->problem, chy_err_type(CHY_E_MALFORMED)) ||
                        ((form == CHY_VERIFY_JAR || form == CHY_VERIFY_APK) && !s->is_good);
        good = s->is_good ? s : good;
        bad = is_wrong || (bad == NULL && !s->is_good) ? s : bad;
        if (is_wrong)
            verify_say(f, VERIFY_BAD, OWN, "%.*s", CHY_STR_ARG(s->detail));
    }
    if (good != NULL)
        verify_say(f, VERIFY_GOOD, OWN, "%s", "");
    else if (bad != NULL)
        verify_say(f, VERIFY_BAD, OWN, "%.*s", CHY_STR_ARG(bad->detail));
    else
        verify_say(f, VERIFY_BAD, OWN, "%s", "nobody has signed it");
}

static enum chy_err child_run(struct verify_file *f, enum chy_verify_form form,
                              struct chy_bytes signature, struct chy_verify_found *ret_found,
                              struct chy_error *err)
{
    const struct chy_verify_input input = {
        .form = form,
        .fd = f->fd,
        .size_bytes = f->size_bytes,
        .signature = signature,
        .trust = f->v->trust,
        .now_us = f->v->now_us,
    };
    return chy_verify_file(&input, f->arena, ret_found, err);
}

/* What these hold in a way that we do not know may be good to others. */
static bool is_of_others(enum chy_verify_form form, enum chy_err r)
{
    return form >= CHY_VERIFY_APK && form <= CHY_VERIFY_SCRIPT && r == CHY_E_UNSUPPORTED;
}

void verify_own(struct verify_file *f, enum chy_verify_form form, struct chy_bytes signature)
{
    struct chy_verify_found found;
    struct chy_error why;
    f->is_signed = true;
    enum chy_err r = child_run(f, form, signature, &found, &why);
    if (r == CHY_OK) {
        signers_judge(f, form, &found);
        f->certificate = found.certificate;
    } else if (is_of_others(form, r)) {
        verify_say(f, VERIFY_UNKNOWN, OWN, "%s", why.text);
    } else {
        verify_say_error(f, r, OWN, &why);
    }
}

/* --- what tools verify --- */

/* A tool's row gets what is known of the signature, in the order in which both have them. */
static void row_complete(struct chy_verify_signer *row, const struct chy_verify_signer *made)
{
    row->algorithm = made->algorithm;
    row->digest = made->digest;
    memcpy(row->signature_sha256, made->signature_sha256, sizeof row->signature_sha256);
}

/* That the text is the file's no tool looks at; everything else that fails is no verdict. */
static void learn_failed(struct verify_file *f, enum chy_verify_form form, enum chy_err r,
                         const struct chy_error *why)
{
    f->row.log_detail = chy_arena_printf(f->arena, "what was signed is not known (%s)", why->text);
    if (form == CHY_VERIFY_CLEARTEXT && r == CHY_E_UNSUPPORTED)
        verify_say(f, VERIFY_UNKNOWN, OWN, "%s", why->text);
    else if (form == CHY_VERIFY_CLEARTEXT)
        verify_say_error(f, r, OWN, why);
}

void verify_learn(struct verify_file *f, enum chy_verify_form form, struct chy_bytes signature,
                  size_t first)
{
    struct chy_verify_found found;
    struct chy_error why;
    enum chy_err r = child_run(f, form, signature, &found, &why);
    if (r != CHY_OK) {
        learn_failed(f, form, r, &why);
        return;
    }
    for (size_t i = 0; i < found.signers.n && f->n_made < CHY_LIMIT_VERIFY_SIGNERS; i++) {
        f->made[f->n_made++] = found.signers.p[i];
        if (first + i < f->n_signers)
            row_complete(&f->signers[first + i], &found.signers.p[i]);
    }
}

enum chy_err verify_file_digest(struct verify_file *f, struct chy_bytes *ret_digest,
                                struct chy_error *err)
{
    struct chy_verify_found found;
    CHY_TRY(child_run(f, CHY_VERIFY_DIGEST, (struct chy_bytes){ NULL, 0 }, &found, err));
    if (found.signers.n != 1)
        return chy_fail(err, CHY_E_INTERNAL, "a file without a digest");
    *ret_digest = found.signers.p[0].digest;
    return CHY_OK;
}
