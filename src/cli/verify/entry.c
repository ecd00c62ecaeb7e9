/* SPDX-License-Identifier: MIT */
/* Which entry of the log is that of a file's signature. */
#include "cli/verify/log.h"

static bool hash_equal(const uint8_t a[CHY_HASH_BYTES], const uint8_t b[CHY_HASH_BYTES])
{
    return chy_bytes_equal((struct chy_bytes){ a, CHY_HASH_BYTES },
                           (struct chy_bytes){ b, CHY_HASH_BYTES });
}

static bool is_set(const uint8_t hash[CHY_HASH_BYTES])
{
    static const uint8_t none[CHY_HASH_BYTES];
    return !hash_equal(hash, none);
}

const struct chy_verify_signer *verify_candidate(const struct verify_file *f, size_t i)
{
    if (i < f->n_signers)
        return &f->signers[i];
    return i - f->n_signers < f->n_made ? &f->made[i - f->n_signers] : NULL;
}

bool verify_is_known(const struct chy_verify_signer *s)
{
    return s->digest.n != 0 && is_set(s->signature_sha256);
}

bool verify_is_done(const struct chy_entry *e)
{
    return e->kind == CHY_ENTRY_SIGN_OUTCOME && e->outcome == CHY_OUTCOME_DONE;
}

/* The very signature: what was signed, what came out, and by which key; of OpenPGP, SSH and APK the
 * key is not known as the log names it, and what came out tells. */
static bool is_of(const struct chy_entry *e, const struct chy_verify_signer *s)
{
    return verify_is_done(e) && verify_is_known(s) && chy_bytes_equal(e->digest, s->digest) &&
           (!is_set(s->key_sha256) || hash_equal(e->key_sha256, s->key_sha256)) &&
           hash_equal(e->result_sha256, s->signature_sha256);
}

bool verify_is_of_file(const struct verify_file *f, const struct chy_entry *e)
{
    const struct chy_verify_signer *s;
    for (size_t i = 0; (s = verify_candidate(f, i)) != NULL; i++) {
        if ((i >= f->n_signers || s->is_good) && is_of(e, s))
            return true;
    }
    return false;
}

bool verify_has_known(const struct verify_file *f)
{
    const struct chy_verify_signer *s = verify_candidate(f, 0);
    for (size_t i = 1; s != NULL && !verify_is_known(s); i++)
        s = verify_candidate(f, i);
    return s != NULL;
}

void verify_log_set(struct verify_file *f, const struct chy_entry *e, uint64_t index,
                    struct chy_str proof, struct chy_str receipt_file)
{
    struct verify_log *log = chy_arena_new(f->arena, struct verify_log);
    if (log == NULL) {
        f->row.log_detail = CHY_STR("no memory for an entry of the log");
        return;
    }
    *log = (struct verify_log){ index, e->time_us, e->principal, e->subject, proof, receipt_file };
    f->row.log = log;
    f->row.is_logged = true;
    f->row.log_detail = (struct chy_str){ 0 };
}
