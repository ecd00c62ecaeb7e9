/* SPDX-License-Identifier: MIT */
/* --export and --list-keys. */
#include "base/limits.h"
#include "doc/doc.h"
#include "format/armor.h"
#include "gpg/certificates.h"
#include "os/fd.h"
#include "os/file_draft.h"

/* --- which --- */

/* Those that the words name, or all. */
static enum chy_err choose(struct chy_gpg *g, const struct chy_gpg_key **ret_keys, size_t *ret_n,
                           struct chy_error *err)
{
    const struct chy_strs *words = &g->options.words;
    if (words->n == 0)
        return chy_gpg_keys_list(g, ret_keys, ret_n, err);
    struct chy_gpg_key *keys = chy_arena_array(&g->arena, struct chy_gpg_key, words->n);
    if (keys == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for keys");
    for (size_t i = 0; i < words->n; i++)
        CHY_TRY(chy_gpg_key_find(g, words->p[i], &keys[i], err));
    *ret_keys = keys;
    *ret_n = words->n;
    return CHY_OK;
}

/* --- export --- */

/* Of all keys only those are exported that have a user id; one that is named must have it. */
static enum chy_err add_key(struct chy_gpg *g, const struct chy_gpg_key *key, struct chy_buf *out,
                            struct chy_error *err)
{
    struct chy_gpg_certificate c;
    enum chy_err r = chy_gpg_certificate_get(g, key, &c, err);
    if (r == CHY_E_NOT_FOUND && g->options.words.n == 0)
        return CHY_OK;
    if (r == CHY_E_NOT_FOUND)
        return chy_fail(
            err, r,
            "key %.*s has no user id on this machine: make one once, with "
            "chancery-gpg --quick-certify %.*s 'NAME <MAIL>', or --import it from where "
            "it was made",
            CHY_STR_ARG(key->key.name), CHY_STR_ARG(key->key.name));
    if (r != CHY_OK)
        return r;
    chy_buf_append(out, c.packets);
    return chy_buf_check(out, err);
}

static void put_armor(const struct chy_buf *packets, struct chy_buf *out)
{
    struct chy_armor armor;
    chy_armor_begin(&armor, CHY_ARMOR_PUBLIC_KEY, out);
    chy_armor_add(&armor, chy_buf_bytes(packets), out);
    chy_armor_end(&armor, out);
}

static enum chy_err write_out(struct chy_gpg *g, const struct chy_buf *content,
                              struct chy_error *err)
{
    struct chy_str path = g->options.output;
    if (path.n == 0 || chy_str_equal_c(path, "-"))
        return chy_gpg_print(g, content, err);
    CHY_CLEANUP(chy_file_draft_freep) struct chy_file_draft *draft = NULL;
    const struct chy_file_draft_options options = { path.p, 0666, g->options.is_yes, false };
    CHY_TRY(chy_file_draft_new(&options, &draft, err));
    CHY_TRY(chy_fd_write(chy_file_draft_fd(draft), chy_buf_bytes(content), err));
    return chy_file_draft_keep(draft, err);
}

enum chy_err chy_gpg_export(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf packets;
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    const struct chy_gpg_key *keys;
    size_t n;
    const size_t most = (size_t)CHY_LIMIT_OPENPGP_CERTIFICATES * CHY_LIMIT_OPENPGP_CERTIFICATE;
    chy_buf_init(&packets, most);
    chy_buf_init(&text, 2 * most);
    CHY_TRY(choose(g, &keys, &n, err));
    for (size_t i = 0; i < n; i++)
        CHY_TRY(add_key(g, &keys[i], &packets, err));
    if (packets.n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "no key has a user id on this machine: see "
                        "--quick-certify and --import");
    if (g->options.is_armored)
        put_armor(&packets, &text);
    return write_out(g, g->options.is_armored ? &text : &packets, err);
}

/* --- lists --- */

static const struct {
    enum chy_key_type type;
    const char *name;
    const char *curve;
    unsigned bits;
} shown[] = {
    { CHY_KEY_RSA_2048, "rsa2048", "", 2048 },      { CHY_KEY_RSA_3072, "rsa3072", "", 3072 },
    { CHY_KEY_RSA_4096, "rsa4096", "", 4096 },      { CHY_KEY_P256, "nistp256", "nistp256", 256 },
    { CHY_KEY_P384, "nistp384", "nistp384", 384 },  { CHY_KEY_P521, "nistp521", "nistp521", 521 },
    { CHY_KEY_ED25519, "ed25519", "ed25519", 255 },
};

static size_t shown_at(enum chy_key_type type)
{
    size_t i = 0;
    while (i + 1 < CHY_ARRAY_LEN(shown) && shown[i].type != type)
        i++;
    return i;
}

/* As gpg's doc/DETAILS has them; a colon in a text would be the end of its field. */
static void put_colons(const struct chy_gpg *g, const struct chy_gpg_key *k, struct chy_str user_id,
                       struct chy_buf *out)
{
    size_t at = shown_at(k->key.type);
    bool is_secret = g->options.command == CHY_GNUPG_LIST_SECRET_KEYS;
    chy_buf_printf(out, "%s:u:%u:%u:%s:%u:::u:::scSC:::%s::%s::0:\n", is_secret ? "sec" : "pub",
                   shown[at].bits, (unsigned)chy_openpgp_algorithm_number(k->key.type),
                   k->fingerprint + sizeof k->fingerprint - 1 -
                       (size_t)2 * CHY_OPENPGP_KEY_ID_BYTES,
                   k->openpgp.created_unix_s, is_secret ? "+" : "", shown[at].curve);
    chy_buf_printf(out, "fpr:::::::::%s:\n", k->fingerprint);
    if (user_id.n == 0)
        return;
    chy_buf_printf(out, "uid:u::::%u::::", k->openpgp.created_unix_s);
    for (size_t i = 0; i < user_id.n; i++) {
        bool is_escaped = user_id.p[i] == ':' || user_id.p[i] == '\\';
        if (is_escaped)
            chy_buf_printf(out, "\\x%02x", (unsigned)user_id.p[i]);
        else
            chy_buf_append_u8(out, (uint8_t)user_id.p[i]);
    }
    chy_buf_append_c(out, "::::::::::0:\n");
}

static void put_lines(const struct chy_gpg *g, const struct chy_gpg_key *k, struct chy_str user_id,
                      struct chy_buf *out)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf time;
    chy_buf_init(&time, 64);
    chy_time_write(&time, (int64_t)k->openpgp.created_unix_s * 1000000);
    bool is_secret = g->options.command == CHY_GNUPG_LIST_SECRET_KEYS;
    chy_buf_printf(out, "%s   %s %.*s [SC]\n      %s\n", is_secret ? "sec" : "pub",
                   shown[shown_at(k->key.type)].name, (int)CHY_MIN(time.n, (size_t)10),
                   time.n != 0 ? (const char *)time.p : "", k->fingerprint);
    if (user_id.n != 0)
        chy_buf_printf(out, "uid   %.*s\n", CHY_STR_ARG(user_id));
    chy_buf_printf(out, "key   %.*s\n\n", CHY_STR_ARG(k->key.name));
}

enum chy_err chy_gpg_list(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    const struct chy_gpg_key *keys;
    size_t n;
    chy_buf_init(&text, CHY_LIMIT_PRINTED);
    CHY_TRY(choose(g, &keys, &n, err));
    for (size_t i = 0; i < n; i++) {
        struct chy_gpg_certificate c = { .packets = { NULL, 0 } };
        enum chy_err r = chy_gpg_certificate_get(g, &keys[i], &c, err);
        if (r != CHY_OK && r != CHY_E_NOT_FOUND)
            return r;
        (g->options.is_colons ? put_colons : put_lines)(g, &keys[i], c.read.user_id, &text);
    }
    return chy_gpg_print(g, &text, err);
}
