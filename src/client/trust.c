/* SPDX-License-Identifier: MIT */
#include "client/trust.h"

#include <fcntl.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "doc/doc.h"
#include "os/file.h"
#include "policy/glob.h"

#define TRUST_VERSION 1
#define CRL_LABEL     "X509 CRL"

#define S struct chy_trust_item
static const struct chy_field item_fields[] = {
    CHY_F_STR(S, file, 0, 0, CHY_LIMIT_PATH, "path, from the trust file's folder"),
    CHY_F_STR(S, text, CHY_MULTILINE, 0, CHY_LIMIT_TRUST_FILE, "the same, written here"),
};
#undef S
static const struct chy_schema item_schema =
    CHY_SCHEMA("TrustItem", struct chy_trust_item, item_fields, "A file or its text.");

#define S struct chy_trust_ssh
static const struct chy_field ssh_fields[] = {
    CHY_F_STR(S, principal, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "who signs with it"),
    CHY_F_STR(S, key, CHY_REQUIRED, 1, CHY_LIMIT_PUBLIC_KEY, "the public key, one line"),
};
#undef S
static const struct chy_schema ssh_schema =
    CHY_SCHEMA("TrustSsh", struct chy_trust_ssh, ssh_fields, "An SSH key.");

#define S                  struct chy_trust_document
#define ITEMS(m, max, doc) CHY_F_LIST(S, m, &item_schema, struct chy_trust_item, 0, 0, max, doc)
static const struct chy_field document_fields[] = {
    CHY_F_U32(S, version, CHY_REQUIRED, TRUST_VERSION, TRUST_VERSION, "of the format"),
    ITEMS(roots, CHY_LIMIT_TRUST_FILES, "certificates that a signer's chain must end at, PEM"),
    ITEMS(time_stamp_roots, CHY_LIMIT_TRUST_FILES,
          "the same of time-stamp authorities; not given: roots"),
    ITEMS(crls, CHY_LIMIT_TRUST_FILES, "lists of revoked certificates, PEM or DER"),
    ITEMS(keys, CHY_LIMIT_TRUST_KEYS, "public keys of signatures without a certificate, PEM"),
    ITEMS(openpgp_keys, CHY_LIMIT_TRUST_FILES, "OpenPGP public keys"),
    CHY_F_LIST(S, ssh_keys, &ssh_schema, struct chy_trust_ssh, 0, 0, CHY_LIMIT_TRUST_FILES,
               "SSH public keys"),
    ITEMS(fit_keys, CHY_LIMIT_TRUST_FILES, "device trees with the keys of FIT images"),
    CHY_F_STRS(S, log_keys, CHY_ONE_OR_MORE, CHY_LIMIT_LOG_KEYS, CHY_LIMIT_TEXT,
               "verifier keys of the log"),
    CHY_F_STRS(S, names, CHY_ONE_OR_MORE, CHY_LIMIT_TRUST_FILES, CHY_LIMIT_TEXT,
               "who may sign: common names or subjects, with * and ?"),
    CHY_F_BOOL(S, require_time_stamp, 0, "what has no time stamp is not verified"),
    CHY_F_BOOL(S, require_log, 0, "what is not in the log is not verified"),
};
#undef ITEMS
#undef S
const struct chy_schema chy_trust_document_schema = CHY_SCHEMA(
    "Trust", struct chy_trust_document, document_fields, "Whom chancery verify believes.");

struct loading {
    struct chy_trust *trust;
    struct chy_arena *arena;
    struct chy_str folder; /* of the trust file, with its slash; empty: the working folder */
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a trust file");
}

static enum chy_err file_text(struct chy_arena *arena, const char *path, struct chy_str *ret_text,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_TRUST_FILE);
    CHY_TRY(chy_file_read(AT_FDCWD, path, &text, err));
    *ret_text = chy_arena_str(arena, chy_buf_str(&text));
    return ret_text->p != NULL ? CHY_OK : no_memory(err);
}

/* The text of an item, wherever it is; `ret_name` is what to call it. */
static enum chy_err item_text(struct loading *l, const struct chy_trust_item *item,
                              const char *field, struct chy_str *ret_name, struct chy_str *ret_text,
                              struct chy_error *err)
{
    if ((item->file.n == 0) == (item->text.n == 0))
        return chy_fail(err, CHY_E_MALFORMED, "%s: give either file or text", field);
    *ret_name = item->file.n != 0 ? item->file : chy_str_of(field);
    *ret_text = item->text;
    if (item->file.n == 0)
        return CHY_OK;
    bool is_absolute = item->file.p[0] == '/';
    struct chy_str path =
        chy_arena_printf(l->arena, "%.*s%.*s", is_absolute ? 0 : chy_str_print_len(l->folder),
                         l->folder.p != NULL ? l->folder.p : "", CHY_STR_ARG(item->file));
    if (path.p == NULL)
        return no_memory(err);
    return file_text(l->arena, path.p, ret_text, err);
}

typedef enum chy_err item_fn(struct loading *l, struct chy_str text, struct chy_error *err);

static enum chy_err items_each(struct loading *l, const struct chy_trust_item *items, size_t n,
                               const char *field, item_fn *each, struct chy_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct chy_str name;
        struct chy_str text;
        CHY_TRY(item_text(l, &items[i], field, &name, &text, err));
        enum chy_err r = each(l, text, err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "%.*s", CHY_STR_ARG(name));
    }
    return CHY_OK;
}

/* --- certificates --- */

static enum chy_err certificates_add(struct chy_trust_store *store, struct chy_str text,
                                     struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_CERTIFICATE);
    if (!chy_pem_has(chy_str_bytes(text), "CERTIFICATE"))
        return chy_fail(err, CHY_E_MALFORMED, "there is no certificate in it (BEGIN CERTIFICATE)");
    for (;;) {
        enum chy_err r = chy_pem_take(&text, "CERTIFICATE", &der, err);
        if (r == CHY_E_NOT_FOUND)
            return CHY_OK;
        if (r != CHY_OK)
            return r;
        CHY_TRY(chy_trust_store_add(store, chy_buf_bytes(&der), err));
    }
}

static enum chy_err root_add(struct loading *l, struct chy_str text, struct chy_error *err)
{
    return certificates_add(l->trust->roots, text, err);
}

static enum chy_err stamp_root_add(struct loading *l, struct chy_str text, struct chy_error *err)
{
    return certificates_add(l->trust->stamp_roots, text, err);
}

/* --- lists of revoked certificates --- */

static enum chy_err crl_keep(struct loading *l, struct chy_bytes der, struct chy_error *err)
{
    CHY_TRY(chy_trust_store_add_crl(l->trust->roots, der, err));
    return chy_trust_store_add_crl(l->trust->stamp_roots, der, err);
}

static enum chy_err crl_add(struct loading *l, struct chy_str text, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_TRUST_FILE);
    if (!chy_pem_has(chy_str_bytes(text), CRL_LABEL))
        return crl_keep(l, chy_str_bytes(text), err);
    for (;;) {
        enum chy_err r = chy_pem_take(&text, CRL_LABEL, &der, err);
        if (r == CHY_E_NOT_FOUND)
            return CHY_OK;
        if (r != CHY_OK)
            return r;
        CHY_TRY(crl_keep(l, chy_buf_bytes(&der), err));
    }
}

/* --- keys --- */

static enum chy_err key_add(struct loading *l, struct chy_str text, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, CHY_LIMIT_PUBLIC_KEY);
    CHY_TRY(chy_pem_take(&text, "PUBLIC KEY", &der, err));
    struct chy_trust *t = l->trust;
    CHY_TRY(chy_pubkey_from_spki(chy_buf_bytes(&der), &t->keys[t->n_keys], err));
    t->n_keys++;
    return CHY_OK;
}

static enum chy_err log_keys_read(struct chy_trust *t, struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &hasher, err));
    for (size_t i = 0; i < t->document.log_keys.n; i++) {
        CHY_TRY(chy_tlog_vkey_parse(hasher, t->document.log_keys.p[i], &t->log_keys[i], err));
        t->n_log_keys++;
    }
    return CHY_OK;
}

/* They become lines of a file of allowed signers, where a blank ends a name. */
static enum chy_err ssh_keys_check(const struct chy_trust_document *d, struct chy_error *err)
{
    for (size_t i = 0; i < d->ssh_keys.n; i++) {
        struct chy_str name = d->ssh_keys.p[i].principal;
        for (size_t k = 0; k < name.n; k++) {
            if (strchr(" \"#,!*?", name.p[k]) != NULL)
                return chy_fail(err, CHY_E_MALFORMED, "ssh_keys: \"%.*s\" is no plain name",
                                CHY_STR_ARG(name));
        }
    }
    return CHY_OK;
}

/* What we hand on to a tool, and do not read ourselves. */
static enum chy_err items_copy(struct loading *l, const struct chy_trust_item *items, size_t n,
                               const char *field, chy_trust_items *to, struct chy_error *err)
{
    struct chy_trust_item *copies = chy_arena_array(l->arena, struct chy_trust_item, n);
    if (copies == NULL)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        CHY_TRY(item_text(l, &items[i], field, &copies[i].file, &copies[i].text, err));
    to->p = copies;
    to->n = n;
    return CHY_OK;
}

/* --- the file --- */

#define EACH(field, fn) CHY_TRY(items_each(l, d->field.p, d->field.n, #field, fn, err))

static enum chy_err parts_load(struct loading *l, struct chy_error *err)
{
    struct chy_trust *t = l->trust;
    const struct chy_trust_document *d = &t->document;
    EACH(roots, root_add);
    EACH(time_stamp_roots, stamp_root_add);
    EACH(crls, crl_add);
    EACH(keys, key_add);
    if (d->time_stamp_roots.n == 0)
        EACH(roots, stamp_root_add);
    CHY_TRY(
        items_copy(l, d->openpgp_keys.p, d->openpgp_keys.n, "openpgp_keys", &t->openpgp_keys, err));
    CHY_TRY(items_copy(l, d->fit_keys.p, d->fit_keys.n, "fit_keys", &t->fit_keys, err));
    CHY_TRY(ssh_keys_check(d, err));
    return log_keys_read(t, err);
}

static enum chy_err document_load(struct chy_str path, struct chy_arena *arena,
                                  struct chy_trust_document *to, struct chy_error *err)
{
    const struct chy_doc *doc;
    struct chy_str text;
    struct chy_str name = chy_arena_str(arena, path);
    if (name.p == NULL)
        return no_memory(err);
    CHY_TRY(file_text(arena, name.p, &text, err));
    enum chy_err r = chy_yaml_parse(chy_str_bytes(text), arena, &doc, err);
    if (r == CHY_OK)
        r = chy_doc_read(&chy_trust_document_schema, doc, arena, to, err);
    if (r == CHY_OK)
        r = chy_schema_check(&chy_trust_document_schema, to, err);
    return r == CHY_OK ? CHY_OK : chy_error_prefix(err, r, "%.*s", CHY_STR_ARG(path));
}

enum chy_err chy_trust_load(struct chy_str path, struct chy_arena *arena,
                            struct chy_trust **ret_trust, struct chy_error *err)
{
    CHY_CLEANUP(chy_trust_freep) struct chy_trust *t = chy_calloc(1, sizeof *t);
    if (t == NULL)
        return no_memory(err);
    const char *slash = path.n != 0 ? memrchr(path.p, '/', path.n) : NULL;
    struct loading l = { t, arena, { path.p, slash != NULL ? (size_t)(slash - path.p) + 1 : 0 } };
    CHY_TRY(document_load(path, arena, &t->document, err));
    CHY_TRY(chy_trust_store_new(&t->roots, err));
    CHY_TRY(chy_trust_store_new(&t->stamp_roots, err));
    enum chy_err r = parts_load(&l, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "%.*s", CHY_STR_ARG(path));
    *ret_trust = CHY_TAKE(t);
    return CHY_OK;
}

void chy_trust_free(struct chy_trust *t)
{
    if (t == NULL)
        return;
    chy_trust_store_free(t->roots);
    chy_trust_store_free(t->stamp_roots);
    for (size_t i = 0; i < t->n_keys; i++)
        chy_pubkey_free(t->keys[i]);
    chy_free(t);
}

void chy_trust_freep(struct chy_trust **t)
{
    chy_trust_free(*t);
}

#define ESCAPED '\1' /* stands for what is escaped; no name has it, as it is no text */

/* A value may hold what separates values, escaped (RFC 4514 section 2.4): that is no separator.
 * NULL: no memory. */
static char *separators_only(struct chy_str subject)
{
    char *to = chy_malloc(subject.n + 1);
    for (size_t i = 0; to != NULL && i < subject.n; i++) {
        bool is_escaped = i != 0 && to[i - 1] == '\\';
        to[i] = is_escaped ? ESCAPED : subject.p[i];
    }
    return to;
}

/* With the same marks in both; a pattern of a subject is of no name that looks like one. */
static bool subject_fits(struct chy_str pattern, struct chy_str subject)
{
    char *marked_pattern = separators_only(pattern);
    char *marked = separators_only(subject);
    bool fits = marked_pattern != NULL && marked != NULL && chy_glob_match(pattern, subject) &&
                chy_glob_match((struct chy_str){ marked_pattern, pattern.n },
                               (struct chy_str){ marked, subject.n });
    chy_free(marked_pattern);
    chy_free(marked);
    return fits;
}

bool chy_trust_takes_name(const struct chy_trust *t, struct chy_str name, struct chy_str subject)
{
    const struct chy_strs *names = &t->document.names;
    for (size_t i = 0; i < names->n; i++) {
        struct chy_str pattern = names->p[i];
        bool is_of_subject = pattern.n != 0 && memchr(pattern.p, '=', pattern.n) != NULL;
        if ((!is_of_subject && chy_glob_match(pattern, name)) || subject_fits(pattern, subject))
            return true;
    }
    return names->n == 0;
}
