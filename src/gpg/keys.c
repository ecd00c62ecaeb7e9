/* SPDX-License-Identifier: MIT */
/* Which key is meant. */
#include "base/limits.h"
#include "codec/hex.h"
#include "gpg/certificates.h"

#define US 1000000

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for keys");
}

static enum chy_err make(const struct chy_key *key, struct chy_gpg_key *ret, struct chy_error *err)
{
    static const char digits[] = "0123456789ABCDEF";
    *ret = (struct chy_gpg_key){ .key = *key };
    CHY_TRY(
        chy_openpgp_key_make(key->type, key->public_key, key->created_us / US, &ret->openpgp, err));
    for (size_t i = 0; i < CHY_OPENPGP_FINGERPRINT_BYTES; i++) {
        ret->fingerprint[2 * i] = digits[ret->openpgp.fingerprint[i] >> 4];
        ret->fingerprint[2 * i + 1] = digits[ret->openpgp.fingerprint[i] & 15];
    }
    return CHY_OK;
}

static enum chy_err need_scope(enum chy_err r, const char *scope, struct chy_error *err)
{
    if (r == CHY_E_FORBIDDEN)
        return chy_error_prefix(err, r, "keys must be asked for (an API token needs the scope %s)",
                                scope);
    return r;
}

/* --- all of them --- */

/* A server that does not go on would have us ask for ever. */
static enum chy_err go_on(struct chy_key_query *query, struct chy_str next, struct chy_error *err)
{
    if (next.n != 0 && chy_str_compare(next, query->after) <= 0)
        return chy_fail(err, CHY_E_PROTOCOL, "the server's list of keys does not go on behind %.*s",
                        CHY_STR_ARG(query->after));
    query->after = next;
    return CHY_OK;
}

static enum chy_err add_page(const struct chy_key_list *page, struct chy_buf *keys,
                             struct chy_error *err)
{
    for (size_t i = 0; i < page->keys.n; i++) {
        struct chy_gpg_key key;
        CHY_TRY(make(&page->keys.p[i], &key, err));
        chy_buf_append(keys, (struct chy_bytes){ (const uint8_t *)&key, sizeof key });
    }
    return chy_buf_check(keys, err);
}

static enum chy_err read_all(struct chy_gpg *g, struct chy_buf *keys, struct chy_error *err)
{
    struct chy_key_query query = { .usable = true };
    CHY_TRY(chy_gpg_connect(g, err));
    do {
        struct chy_key_list page;
        enum chy_err r =
            chy_client_call(g->client, CHY_OP_KEYS_LIST, &query, &g->arena, &page, err);
        CHY_TRY(need_scope(r, "keys.list", err));
        CHY_TRY(add_page(&page, keys, err));
        CHY_TRY(go_on(&query, page.next, err));
    } while (query.after.n != 0);
    return CHY_OK;
}

enum chy_err chy_gpg_keys_list(struct chy_gpg *g, const struct chy_gpg_key **ret_keys,
                               size_t *ret_n, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf found;
    chy_buf_init(&found, CHY_LIMIT_VISIBLE_KEYS * sizeof(struct chy_gpg_key));
    CHY_TRY(read_all(g, &found, err));
    size_t n = found.n / sizeof(struct chy_gpg_key);
    struct chy_gpg_key *keys = chy_arena_array(&g->arena, struct chy_gpg_key, n);
    if (keys == NULL)
        return no_memory(err);
    chy_copy(keys, found.p, found.n);
    *ret_keys = keys;
    *ret_n = n;
    return CHY_OK;
}

/* --- one --- */

/* Digits of a fingerprint, or the last 16 of them; "0x" may stand before, and "!" behind, which
 * means "this very key" to gpg. */
struct wanted {
    uint8_t bytes[CHY_OPENPGP_FINGERPRINT_BYTES];
    size_t n; /* 0: it is none */
};

static struct wanted read_digits(struct chy_str user)
{
    struct wanted w = { .n = 0 };
    char packed[2 * CHY_OPENPGP_FINGERPRINT_BYTES];
    size_t n = 0;
    if (chy_str_starts(user, "0x") || chy_str_starts(user, "0X"))
        user = (struct chy_str){ user.p + 2, user.n - 2 };
    if (user.n != 0 && user.p[user.n - 1] == '!')
        user.n--;
    for (size_t i = 0; i < user.n; i++) { /* gpg shows fingerprints in groups */
        if (user.p[i] == ' ')
            continue;
        if (n == sizeof packed)
            return w;
        packed[n++] = user.p[i];
    }
    bool is_it = n == sizeof packed || n == (size_t)2 * CHY_OPENPGP_KEY_ID_BYTES;
    if (is_it && chy_hex_decode((struct chy_str){ packed, n }, w.bytes, n / 2, NULL) == CHY_OK)
        w.n = n / 2;
    return w;
}

static bool is_wanted(const struct wanted *w, const struct chy_gpg_key *key)
{
    const uint8_t *end = key->openpgp.fingerprint + CHY_OPENPGP_FINGERPRINT_BYTES;
    return chy_bytes_equal((struct chy_bytes){ w->bytes, w->n },
                           (struct chy_bytes){ end - w->n, w->n });
}

static enum chy_err not_there(struct chy_gpg *g, struct chy_str user, struct chy_error *err)
{
    chy_gpg_status(g, "INV_SGNR 9 %.*s", CHY_STR_ARG(user)); /* 9: no secret key */
    return chy_fail(
        err, CHY_E_NOT_FOUND,
        "no key that you may sign with is \"%.*s\", by its name, fingerprint, key id or "
        "user id; chancery-gpg --list-keys shows them",
        CHY_STR_ARG(user));
}

static enum chy_err several(struct chy_str user, struct chy_error *err)
{
    return chy_fail(err, CHY_E_CONFLICT,
                    "several keys are \"%.*s\": say which by its name or fingerprint",
                    CHY_STR_ARG(user));
}

/* Any of the `n` wanted ones. Two names cannot be of one key. */
static enum chy_err find_wanted(struct chy_gpg *g, struct chy_str user, const struct wanted *wanted,
                                size_t n, struct chy_gpg_key *ret_key, struct chy_error *err)
{
    const struct chy_gpg_key *keys;
    const struct chy_gpg_key *found = NULL;
    size_t n_keys;
    CHY_TRY(chy_gpg_keys_list(g, &keys, &n_keys, err));
    for (size_t i = 0; i < n_keys; i++) {
        for (size_t k = 0; k < n; k++) {
            if (!is_wanted(&wanted[k], &keys[i]))
                continue;
            if (found != NULL && found != &keys[i])
                return several(user, err);
            found = &keys[i];
        }
    }
    if (found == NULL)
        return not_there(g, user, err);
    *ret_key = *found;
    return CHY_OK;
}

static enum chy_err find_by_user_id(struct chy_gpg *g, struct chy_str user,
                                    struct chy_gpg_key *ret_key, struct chy_error *err)
{
    struct chy_gpg_fingerprint *found =
        chy_arena_array(&g->arena, struct chy_gpg_fingerprint, CHY_LIMIT_OPENPGP_CERTIFICATES);
    size_t n;
    if (found == NULL)
        return no_memory(err);
    CHY_TRY(chy_gpg_certificates_find(g, user, found, &n, err));
    struct wanted *wanted = chy_arena_array(&g->arena, struct wanted, n);
    if (wanted == NULL)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        chy_copy(wanted[i].bytes, found[i].bytes, CHY_OPENPGP_FINGERPRINT_BYTES);
        wanted[i].n = CHY_OPENPGP_FINGERPRINT_BYTES;
    }
    if (n == 0)
        return not_there(g, user, err);
    CHY_TRY(find_wanted(g, user, wanted, n, ret_key, err));
    /* A user id counts only where the key itself says so. */
    struct chy_gpg_certificate certificate;
    return chy_gpg_certificate_get(g, ret_key, &certificate, err);
}

/* Letters, digits and . _ - + @ /, as the server has it; anything else is not asked for. */
static bool can_be_name(struct chy_str user)
{
    static const char others[] = "._-+@/";
    if (user.n == 0 || user.n > CHY_LIMIT_NAME)
        return false;
    for (size_t i = 0; i < user.n; i++) {
        char c = user.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_alnum && memchr(others, c, sizeof others - 1) == NULL)
            return false;
    }
    return true;
}

static enum chy_err find_by_name(struct chy_gpg *g, struct chy_str user,
                                 struct chy_gpg_key *ret_key, struct chy_error *err)
{
    const struct chy_signing s = chy_gpg_server(g);
    struct chy_key key;
    CHY_TRY(need_scope(chy_signing_key(&s, user, &key, err), "keys.show", err));
    if (key.state != CHY_KEY_STATE_ACTIVE)
        return chy_fail(err, CHY_E_STATE, "key \"%.*s\" is %s", CHY_STR_ARG(user),
                        chy_enum_name(&chy_key_state_enum, (int)key.state));
    return make(&key, ret_key, err);
}

enum chy_err chy_gpg_key_find(struct chy_gpg *g, struct chy_str user, struct chy_gpg_key *ret_key,
                              struct chy_error *err)
{
    CHY_TRY(chy_gpg_connect(g, err));
    if (can_be_name(user)) {
        enum chy_err r = find_by_name(g, user, ret_key, err);
        if (r != CHY_E_NOT_FOUND)
            return r;
    }
    const struct wanted wanted = read_digits(user);
    if (wanted.n != 0)
        return find_wanted(g, user, &wanted, 1, ret_key, err);
    return find_by_user_id(g, user, ret_key, err);
}

enum chy_err chy_gpg_key_choose(struct chy_gpg *g, struct chy_gpg_key *ret_key,
                                struct chy_error *err)
{
    const struct chy_gnupg_options *o = &g->options;
    struct chy_str user = o->local_user.n != 0 ? o->local_user : o->default_key;
    const struct chy_gpg_key *keys;
    size_t n;
    if (user.n != 0)
        return chy_gpg_key_find(g, user, ret_key, err);
    CHY_TRY(chy_gpg_keys_list(g, &keys, &n, err));
    if (n == 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "there is no key that you may sign with");
    if (n > 1)
        return chy_fail(err, CHY_E_ARG, "you may sign with %zu keys: say which with --local-user",
                        n);
    *ret_key = keys[0];
    return CHY_OK;
}
