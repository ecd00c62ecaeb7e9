/* SPDX-License-Identifier: MIT */
#include "gpg/certificates.h"

#include <fcntl.h>

#include "base/limits.h"
#include "format/armor.h"
#include "os/file.h"
#include "os/tree.h"

#define SUFFIX    ".asc"
#define NAME_SIZE ((size_t)2 * CHY_OPENPGP_FINGERPRINT_BYTES + sizeof SUFFIX - 1)

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for an OpenPGP certificate");
}

static enum chy_err folder_of(struct chy_gpg *g, struct chy_str *ret_folder, struct chy_error *err)
{
    struct chy_str dir;
    CHY_TRY(chy_gpg_settings(g, err));
    if (g->env.openpgp != NULL) {
        *ret_folder = chy_str_of(g->env.openpgp);
        return CHY_OK;
    }
    CHY_TRY(chy_client_dir(&g->env, &g->arena, &dir, err));
    *ret_folder = chy_arena_printf(&g->arena, "%.*s/openpgp", CHY_STR_ARG(dir));
    return ret_folder->p != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err path_of(struct chy_gpg *g, const struct chy_gpg_key *key,
                            struct chy_str *ret_path, struct chy_error *err)
{
    struct chy_str folder;
    CHY_TRY(folder_of(g, &folder, err));
    *ret_path =
        chy_arena_printf(&g->arena, "%.*s/%s" SUFFIX, CHY_STR_ARG(folder), key->fingerprint);
    return ret_path->p != NULL ? CHY_OK : no_memory(err);
}

/* --- reading --- */

/* Packets begin with a bit that no letter has. */
enum chy_err chy_gpg_certificate_read(struct chy_gpg *g, struct chy_bytes file,
                                      struct chy_gpg_certificate *ret, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf packets;
    chy_buf_init(&packets, CHY_LIMIT_OPENPGP_CERTIFICATE);
    if (file.n != 0 && file.p[0] >= 0x80)
        chy_buf_append(&packets, file);
    else
        CHY_TRY(chy_armor_read(chy_bytes_str(file), CHY_ARMOR_PUBLIC_KEY, &packets, err));
    CHY_TRY(chy_buf_check(&packets, err));
    ret->packets = chy_arena_bytes(&g->arena, chy_buf_bytes(&packets));
    if (ret->packets.p == NULL)
        return no_memory(err);
    return chy_openpgp_certificate_read(ret->packets, &ret->read, err);
}

static enum chy_err read_at(struct chy_gpg *g, int dir_fd, const char *path,
                            struct chy_gpg_certificate *ret, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf file;
    chy_buf_init(&file, CHY_LIMIT_OPENPGP_CERTIFICATE);
    CHY_TRY(chy_file_read(dir_fd, path, &file, err));
    enum chy_err r = chy_gpg_certificate_read(g, chy_buf_bytes(&file), ret, err);
    return r == CHY_OK ? r : chy_error_prefix(err, r, "%s", path);
}

static enum chy_err check(const struct chy_gpg_certificate *c, const struct chy_gpg_key *key,
                          struct chy_error *err)
{
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *pubkey = NULL;
    CHY_TRY(chy_pubkey_from_spki(key->key.public_key, &pubkey, err));
    return chy_openpgp_certificate_check(&c->read, &key->openpgp, pubkey, err);
}

enum chy_err chy_gpg_certificate_get(struct chy_gpg *g, const struct chy_gpg_key *key,
                                     struct chy_gpg_certificate *ret, struct chy_error *err)
{
    struct chy_str path;
    struct chy_gpg_certificate c;
    CHY_TRY(path_of(g, key, &path, err));
    CHY_TRY(read_at(g, AT_FDCWD, path.p, &c, err));
    enum chy_err r = check(&c, key, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "%s", path.p);
    *ret = c;
    return CHY_OK;
}

/* --- writing --- */

static enum chy_err make_folder(struct chy_gpg *g, struct chy_error *err)
{
    struct chy_str folder;
    CHY_TRY(folder_of(g, &folder, err));
    if (g->env.openpgp == NULL)
        CHY_TRY(chy_client_dir_make(g->settings.dir, &g->arena, err));
    enum chy_err r = chy_dir_make(AT_FDCWD, folder.p, 0755, err);
    return r == CHY_E_EXISTS ? CHY_OK : r;
}

enum chy_err chy_gpg_certificate_put(struct chy_gpg *g, const struct chy_gpg_key *key,
                                     struct chy_bytes packets, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct chy_gpg_certificate c;
    struct chy_armor armor;
    struct chy_str path;
    chy_buf_init(&text, CHY_LIMIT_OPENPGP_CERTIFICATE);
    CHY_TRY(chy_gpg_certificate_read(g, packets, &c, err));
    CHY_TRY(check(&c, key, err));
    chy_armor_begin(&armor, CHY_ARMOR_PUBLIC_KEY, &text);
    chy_armor_add(&armor, packets, &text);
    chy_armor_end(&armor, &text);
    CHY_TRY(chy_buf_check(&text, err));
    CHY_TRY(make_folder(g, err));
    CHY_TRY(path_of(g, key, &path, err));
    if (g->options.is_yes)
        return chy_file_replace(AT_FDCWD, path.p, chy_buf_bytes(&text), 0644, err);
    return chy_file_create(AT_FDCWD, path.p, chy_buf_bytes(&text), 0644, err);
}

/* --- user ids --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_part(struct chy_str part, struct chy_str text)
{
    for (size_t at = 0; at + part.n <= text.n; at++) {
        size_t i = 0;
        while (i < part.n && lower(part.p[i]) == lower(text.p[at + i]))
            i++;
        if (i == part.n)
            return true;
    }
    return false;
}

static bool is_meant(struct chy_str user, struct chy_str user_id)
{
    if (user.n != 0 && user.p[0] == '=')
        return chy_str_equal((struct chy_str){ user.p + 1, user.n - 1 }, user_id);
    return user.n != 0 && is_part(user, user_id);
}

struct search {
    struct chy_gpg *g;
    struct chy_str user;
    struct chy_gpg_fingerprint *found;
    size_t n;
    size_t seen;
};

static enum chy_err look(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                         struct chy_error *err)
{
    struct search *s = ctx;
    struct chy_gpg_certificate c;
    struct chy_str path = chy_str_of(entry->path);
    bool is_one = entry->kind == CHY_TREE_FILE && path.n == NAME_SIZE &&
                  chy_str_equal_c((struct chy_str){ path.p + path.n - 4, 4 }, SUFFIX);
    if (!is_one)
        return CHY_OK;
    if (s->seen++ == CHY_LIMIT_OPENPGP_CERTIFICATES)
        return chy_fail(err, CHY_E_LIMIT, "the folder has more than %d OpenPGP certificates",
                        CHY_LIMIT_OPENPGP_CERTIFICATES);
    enum chy_err r = read_at(s->g, dir_fd, entry->path, &c, err);
    if (r == CHY_E_NOMEM)
        return r;
    if (r != CHY_OK) {
        chy_gpg_say(s->g, "%s", err->text);
        return CHY_OK;
    }
    if (is_meant(s->user, c.read.user_id))
        chy_copy(s->found[s->n++].bytes, c.read.fingerprint, CHY_OPENPGP_FINGERPRINT_BYTES);
    return CHY_OK;
}

enum chy_err chy_gpg_certificates_find(struct chy_gpg *g, struct chy_str user,
                                       struct chy_gpg_fingerprint *ret, size_t *ret_n,
                                       struct chy_error *err)
{
    struct search s = { .g = g, .user = user, .found = ret };
    struct chy_str folder;
    struct chy_error own;
    enum chy_err r = folder_of(g, &folder, err);
    if (r == CHY_OK)
        r = chy_tree_walk(AT_FDCWD, folder.p, look, &s, &own);
    if (r != CHY_OK && r != CHY_E_NOT_FOUND) /* no folder, no user ids */
        return chy_fail(err, r, "%s", own.text);
    *ret_n = s.n;
    return CHY_OK;
}
