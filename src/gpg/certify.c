/* SPDX-License-Identifier: MIT */
/* A user id for a key: signed once, exported, and imported elsewhere. */
#include <fcntl.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "gpg/certificates.h"
#include "os/fd.h"
#include "os/file_stream.h"

/* --- making it --- */

static enum chy_err user_id_check(struct chy_str user_id, struct chy_error *err)
{
    if (user_id.n == 0 || user_id.n > CHY_LIMIT_OPENPGP_USER_ID || !chy_text_is_plain(user_id))
        return chy_fail(err, CHY_E_ARG,
                        "a user id is a text of 1 to %d bytes in one line, such as \"Example Corp "
                        "<release@example.org>\"",
                        CHY_LIMIT_OPENPGP_USER_ID);
    return CHY_OK;
}

/* The key, the user id, and its signature. */
static enum chy_err certify(struct chy_gpg *g, const struct chy_gpg_key *key,
                            struct chy_str user_id, struct chy_buf *out, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_openpgp_signature s = {
        .class = CHY_OPENPGP_CERTIFICATION,
        .key = &key->openpgp,
        .hash = chy_openpgp_hash_least(key->key.type),
        .created_unix_s = chy_gpg_time(key),
    };
    struct chy_bytes signature;
    chy_buf_init(&content, CHY_LIMIT_OPENPGP_CERTIFICATE);
    CHY_TRY(chy_openpgp_certified_write(&key->openpgp, user_id, &content, err));
    CHY_TRY(chy_openpgp_tail_write(&s, &content, err));
    CHY_TRY(chy_hash(s.hash, chy_buf_bytes(&content), digest, err));
    const struct chy_gpg_signing signing = {
        .key = key,
        .hash = s.hash,
        .digest = { digest, chy_hash_alg_bytes(s.hash) },
        .content = chy_buf_bytes(&content),
        .form = "certification",
    };
    CHY_TRY(chy_gpg_ask(g, &signing, &signature, err));
    CHY_TRY(chy_openpgp_key_write(&key->openpgp, out, err));
    CHY_TRY(chy_openpgp_user_id_write(user_id, out, err));
    return chy_openpgp_signature_write(&s, signing.digest, signature, out, err);
}

/* Before anything is signed. */
static enum chy_err absence_check(struct chy_gpg *g, const struct chy_gpg_key *key,
                                  struct chy_error *err)
{
    struct chy_gpg_certificate c;
    if (g->options.is_yes)
        return CHY_OK;
    enum chy_err r = chy_gpg_certificate_get(g, key, &c, err);
    if (r == CHY_E_NOT_FOUND)
        return CHY_OK;
    if (r != CHY_OK)
        return r;
    return chy_fail(err, CHY_E_EXISTS,
                    "key %.*s has the user id \"%.*s\" already; --yes gives it another",
                    CHY_STR_ARG(key->key.name), CHY_STR_ARG(c.read.user_id));
}

static void tell(const struct chy_gpg *g, const struct chy_gpg_key *key, struct chy_str user_id)
{
    if (!g->options.is_quiet)
        chy_gpg_say(g, "key %.*s, %s: \"%.*s\"", CHY_STR_ARG(key->key.name), key->fingerprint,
                    CHY_STR_ARG(user_id));
}

enum chy_err chy_gpg_quick_certify(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf packets;
    struct chy_gpg_key key;
    const struct chy_strs *words = &g->options.words;
    chy_buf_init(&packets, CHY_LIMIT_OPENPGP_CERTIFICATE);
    if (words->n != 2)
        return chy_fail(err, CHY_E_ARG, "--quick-certify takes a KEY and a USER-ID");
    CHY_TRY(user_id_check(words->p[1], err));
    CHY_TRY(chy_gpg_key_find(g, words->p[0], &key, err));
    CHY_TRY(absence_check(g, &key, err));
    CHY_TRY(certify(g, &key, words->p[1], &packets, err));
    CHY_TRY(chy_gpg_certificate_put(g, &key, chy_buf_bytes(&packets), err));
    tell(g, &key, words->p[1]);
    return CHY_OK;
}

/* --- taking it from elsewhere --- */

static enum chy_err read_input(struct chy_gpg *g, struct chy_str path, struct chy_buf *file,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int own = -1;
    bool is_file;
    if (path.n != 0 && !chy_str_equal_c(path, "-"))
        CHY_TRY(chy_file_open_input(AT_FDCWD, path.p, &own, &is_file, err));
    for (;;) {
        size_t n = 0;
        uint8_t *room = chy_buf_room(file, 512);
        if (room == NULL)
            return chy_fail(err, CHY_E_LIMIT,
                            "that is more than the %d bytes of a certificate of ours; other keys "
                            "are for gpg --import",
                            CHY_LIMIT_OPENPGP_CERTIFICATE);
        CHY_TRY(chy_fd_read(own >= 0 ? own : g->in, room, 512, &n, err));
        if (n == 0)
            return CHY_OK;
        chy_buf_added(file, n);
    }
}

static enum chy_err find_key_of(struct chy_gpg *g, const struct chy_gpg_certificate *c,
                                struct chy_gpg_key *ret_key, struct chy_error *err)
{
    const struct chy_gpg_key *keys;
    size_t n;
    CHY_TRY(chy_gpg_keys_list(g, &keys, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (chy_bytes_equal(
                (struct chy_bytes){ c->read.fingerprint, sizeof c->read.fingerprint },
                (struct chy_bytes){ keys[i].openpgp.fingerprint, CHY_OPENPGP_FINGERPRINT_BYTES })) {
            *ret_key = keys[i];
            return CHY_OK;
        }
    }
    return chy_fail(err, CHY_E_NOT_FOUND,
                    "this is the certificate of no key that you may sign with here; other keys are "
                    "for gpg --import");
}

static enum chy_err import_one(struct chy_gpg *g, struct chy_str path, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf file;
    struct chy_gpg_certificate c;
    struct chy_gpg_key key;
    chy_buf_init(&file, CHY_LIMIT_OPENPGP_CERTIFICATE + 512);
    CHY_TRY(read_input(g, path, &file, err));
    CHY_TRY(chy_gpg_certificate_read(g, chy_buf_bytes(&file), &c, err));
    CHY_TRY(find_key_of(g, &c, &key, err));
    CHY_TRY(chy_gpg_certificate_put(g, &key, c.packets, err));
    tell(g, &key, c.read.user_id);
    return CHY_OK;
}

enum chy_err chy_gpg_import(struct chy_gpg *g, struct chy_error *err)
{
    const struct chy_strs *words = &g->options.words;
    if (words->n == 0)
        return import_one(g, (struct chy_str){ 0 }, err);
    for (size_t i = 0; i < words->n; i++) {
        enum chy_err r = import_one(g, words->p[i], err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "%.*s", CHY_STR_ARG(words->p[i]));
    }
    return CHY_OK;
}
