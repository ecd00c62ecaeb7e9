/* SPDX-License-Identifier: MIT */
#include "token/keys.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/ct.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/pubkey.h"
#include "token/object.h"
#include "token/pair.h"
#include "token/rv.h"
#include "token/sign.h"

#define TRIES 4 /* a key may be dropped between its look-up and its use, again and again */

/* Changed under the write lock alone, but for the atomics. */
struct key_entry {
    uint8_t id[CHY_LIMIT_NAME];
    size_t id_n;
    struct chy_pubkey *public_key;
    pthread_mutex_t verify_mutex; /* the public key is for one thread at a time */
    CK_OBJECT_HANDLE
    handle; /* what signs: the key in the token, or our copy; invalid: look it up */
    bool is_copy;
    atomic_bool is_proven; /* one signature of this handle has been verified */
    atomic_bool is_quarantined;
    atomic_uint_least64_t used_at; /* of keys->clock */
};

struct chy_keys {
    struct chy_slot *slot;
    struct chy_keys_options options;
    bool is_software;
    pthread_rwlock_t lock;
    struct key_entry **entries; /* sorted by id */
    size_t n;
    size_t cap;
    atomic_uint_least64_t clock;
    atomic_size_t quarantined;
};

static void entry_free(struct key_entry *e)
{
    if (e == NULL)
        return;
    chy_pubkey_free(e->public_key);
    CHY_ASSERT(pthread_mutex_destroy(&e->verify_mutex) == 0);
    chy_free(e);
}

static struct chy_bytes entry_id(const struct key_entry *e)
{
    return (struct chy_bytes){ e->id, e->id_n };
}

enum chy_err chy_keys_new(struct chy_slot *slot, const struct chy_keys_options *options,
                          struct chy_keys **ret_keys, struct chy_error *err)
{
    struct chy_keys *keys = chy_new(struct chy_keys);
    if (keys == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the keys of a token");
    keys->slot = slot;
    keys->options = *options;
    keys->is_software = chy_slot_info(slot)->is_software;
    pthread_rwlockattr_t attr;
    /* Readers come all the time; without this a writer would wait for ever. */
    CHY_ASSERT(pthread_rwlockattr_init(&attr) == 0);
    CHY_ASSERT(pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) ==
               0);
    CHY_ASSERT(pthread_rwlock_init(&keys->lock, &attr) == 0);
    CHY_ASSERT(pthread_rwlockattr_destroy(&attr) == 0);
    *ret_keys = keys;
    return CHY_OK;
}

void chy_keys_free(struct chy_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->n; i++)
        entry_free(keys->entries[i]);
    chy_free(keys->entries);
    CHY_ASSERT(pthread_rwlock_destroy(&keys->lock) == 0);
    chy_free(keys);
}

void chy_keys_freep(struct chy_keys **keys)
{
    chy_keys_free(*keys);
}

static void read_lock(struct chy_keys *keys)
{
    CHY_ASSERT(pthread_rwlock_rdlock(&keys->lock) == 0);
}

static void write_lock(struct chy_keys *keys)
{
    CHY_ASSERT(pthread_rwlock_wrlock(&keys->lock) == 0);
}

static void unlock(struct chy_keys *keys)
{
    CHY_ASSERT(pthread_rwlock_unlock(&keys->lock) == 0);
}

/* Where the id is, or would be. */
static size_t entry_place_locked(const struct chy_keys *keys, struct chy_bytes id)
{
    size_t low = 0;
    size_t high = keys->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chy_bytes_compare(entry_id(keys->entries[middle]), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct key_entry *entry_find_locked(const struct chy_keys *keys, struct chy_bytes id)
{
    size_t place = entry_place_locked(keys, id);
    if (place < keys->n && chy_bytes_equal(entry_id(keys->entries[place]), id))
        return keys->entries[place];
    return NULL;
}

/* Forget the handle, and destroy it when it is our copy. */
static void handle_drop_locked(struct key_entry *e, struct chy_session *session)
{
    if (e->is_copy)
        /* What is left of a copy that cannot be destroyed ends with the session. */
        CHY_IGNORE(chy_object_destroy(session, e->handle, NULL));
    e->handle = CK_INVALID_HANDLE;
    e->is_copy = false;
    atomic_store(&e->is_proven, false);
}

static void entry_remove_locked(struct chy_keys *keys, struct key_entry *e)
{
    size_t place = entry_place_locked(keys, entry_id(e));
    keys->n--;
    for (size_t i = place; i < keys->n; i++)
        keys->entries[i] = keys->entries[i + 1];
    entry_free(e);
}

/* Forget the key that was not used for the longest time. Those in quarantine are kept: that is the
 * point of it. */
static enum chy_err evict_locked(struct chy_keys *keys, struct chy_session *session,
                                 struct chy_error *err)
{
    struct key_entry *oldest = NULL;
    for (size_t i = 0; i < keys->n; i++) {
        struct key_entry *e = keys->entries[i];
        if (!atomic_load(&e->is_quarantined) &&
            (oldest == NULL || atomic_load(&e->used_at) < atomic_load(&oldest->used_at)))
            oldest = e;
    }
    if (oldest == NULL)
        return chy_fail(err, CHY_E_LIMIT, "%d keys are in quarantine", CHY_LIMIT_TOKEN_KEYS);
    handle_drop_locked(oldest, session);
    entry_remove_locked(keys, oldest);
    return CHY_OK;
}

static enum chy_err room_make_locked(struct chy_keys *keys, struct chy_session *session,
                                     struct chy_error *err)
{
    if (keys->n >= CHY_LIMIT_TOKEN_KEYS)
        return evict_locked(keys, session, err);
    if (keys->n < keys->cap)
        return CHY_OK;
    size_t cap = keys->cap == 0 ? 16 : keys->cap * 2;
    struct key_entry **entries = chy_realloc(keys->entries, cap * sizeof(struct key_entry *));
    if (entries == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the table of keys");
    keys->entries = entries;
    keys->cap = cap;
    return CHY_OK;
}

static enum chy_err entry_add_locked(struct chy_keys *keys, struct chy_session *session,
                                     struct chy_bytes id, struct key_entry **ret_entry,
                                     struct chy_error *err)
{
    CHY_TRY(room_make_locked(keys, session, err));
    struct key_entry *e = chy_new(struct key_entry);
    if (e == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a key");
    CHY_ASSERT(pthread_mutex_init(&e->verify_mutex, NULL) == 0);
    chy_copy(e->id, id.p, id.n);
    e->id_n = id.n;
    size_t place = entry_place_locked(keys, id);
    for (size_t i = keys->n; i > place; i--)
        keys->entries[i] = keys->entries[i - 1];
    keys->entries[place] = e;
    keys->n++;
    *ret_entry = e;
    return CHY_OK;
}

/* Look the key up in the token and keep its handle. */
static enum chy_err entry_load_locked(struct chy_keys *keys, struct chy_session *session,
                                      const struct chy_token_key_ref *ref, struct chy_error *err)
{
    struct key_entry *e = entry_find_locked(keys, ref->object_id);
    if (e != NULL && e->handle != CK_INVALID_HANDLE)
        return CHY_OK; /* another thread was first */
    CHY_CLEANUP(chy_pair_done) struct chy_pair pair = { CK_INVALID_HANDLE, NULL };
    CHY_TRY(chy_pair_locate_ref(session, ref, &pair, err));
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    if (keys->options.copies && keys->is_software &&
        chy_pair_copy(session, pair.private_key, &copy, err) != CHY_OK && session->is_broken)
        return CHY_E_TOKEN;
    if (e == NULL)
        CHY_TRY(entry_add_locked(keys, session, ref->object_id, &e, err));
    CHY_ASSERT(e != NULL);
    chy_pubkey_free(e->public_key);
    e->public_key = CHY_TAKE(pair.public_key);
    e->is_copy = copy != CK_INVALID_HANDLE;
    e->handle = e->is_copy ? copy : pair.private_key;
    return CHY_OK;
}

static enum chy_err fail_quarantined(struct chy_error *err)
{
    return chy_fail(
        err, CHY_E_INTEGRITY,
        "the key is in quarantine until the token process is restarted: the token gave a "
        "wrong signature");
}

/* A wrong signature: of another key, of a broken module, or of a fault in the computation, which
 * would tell an RSA key. Nobody gets to see it. */
static enum chy_err quarantine(struct chy_keys *keys, struct key_entry *e,
                               struct chy_raw_signature *raw, const char *what,
                               struct chy_error *err)
{
    chy_wipe(raw->p, sizeof raw->p);
    if (!atomic_exchange(&e->is_quarantined, true))
        atomic_fetch_add(&keys->quarantined, 1);
    return chy_fail(err, CHY_E_INTEGRITY, "the token gave %s: the key is now in quarantine", what);
}

static bool must_verify(const struct chy_keys *keys, const struct key_entry *e)
{
    return !keys->is_software || keys->options.verify_signatures ||
           chy_key_type_is_rsa(chy_pubkey_type(e->public_key)) || !atomic_load(&e->is_proven);
}

static enum chy_err raw_check(struct chy_keys *keys, struct key_entry *e,
                              const struct chy_token_sign_item *item, struct chy_raw_signature *raw,
                              struct chy_error *err)
{
    if (raw->n != chy_sign_raw_bytes(chy_pubkey_type(e->public_key)))
        return quarantine(keys, e, raw, "a signature of the wrong length", err);
    if (!must_verify(keys, e))
        return CHY_OK;
    CHY_ASSERT(pthread_mutex_lock(&e->verify_mutex) == 0);
    enum chy_err r =
        chy_pubkey_verify_digest(e->public_key, item->algorithm, CHY_SIGNATURE_RAW, item->input,
                                 (struct chy_bytes){ raw->p, raw->n }, err);
    CHY_ASSERT(pthread_mutex_unlock(&e->verify_mutex) == 0);
    if (r == CHY_E_NOMEM || r == CHY_E_CRYPTO)
        return r; /* it could not be verified, which says nothing of the signature */
    if (r != CHY_OK)
        return quarantine(keys, e, raw, "a signature that its public key does not verify", err);
    atomic_store(&e->is_proven, true);
    return CHY_OK;
}

static enum chy_err ecdsa_out(struct chy_bytes raw, struct chy_signature *out,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf der;
    chy_buf_init(&der, sizeof out->p);
    CHY_TRY(chy_ecdsa_to_der(raw, &der, err));
    chy_copy(out->p, der.p, der.n);
    out->n = der.n;
    return CHY_OK;
}

static enum chy_err sign_locked(struct chy_keys *keys, struct chy_session *session,
                                struct key_entry *e, const struct chy_token_sign_item *item,
                                struct chy_signature *ret_signature, struct chy_error *err)
{
    if (atomic_load(&e->is_quarantined))
        return fail_quarantined(err);
    if (!chy_bytes_equal((struct chy_bytes){ chy_pubkey_hash(e->public_key), CHY_HASH_BYTES },
                         (struct chy_bytes){ item->key.public_key_sha256, CHY_HASH_BYTES }))
        return chy_fail(err, CHY_E_CONFLICT, "another key than the one named has this object id");
    atomic_store(&e->used_at, atomic_fetch_add(&keys->clock, 1));
    enum chy_key_type type = chy_pubkey_type(e->public_key);
    struct chy_raw_signature raw;
    CHY_TRY(chy_sign_raw(session, e->handle, type, item->algorithm, item->input, &raw, err));
    CHY_TRY(raw_check(keys, e, item, &raw, err));
    if (chy_sign_mechanism(item->algorithm) == CKM_ECDSA)
        return ecdsa_out((struct chy_bytes){ raw.p, raw.n }, ret_signature, err);
    chy_copy(ret_signature->p, raw.p, raw.n);
    ret_signature->n = raw.n;
    return CHY_OK;
}

enum chy_err chy_keys_sign(struct chy_keys *keys, struct chy_session *session,
                           const struct chy_token_sign_item *item,
                           struct chy_signature *ret_signature, struct chy_error *err)
{
    bool was_stale = false;
    for (int i = 0; i < TRIES; i++) {
        read_lock(keys);
        struct key_entry *e = entry_find_locked(keys, item->key.object_id);
        bool is_loaded = e != NULL && e->handle != CK_INVALID_HANDLE;
        enum chy_err r = CHY_E_INTERNAL;
        session->rv = CKR_OK;
        if (e != NULL && atomic_load(&e->is_quarantined))
            is_loaded = true; /* the answer is known */
        if (is_loaded)
            r = sign_locked(keys, session, e, item, ret_signature, err);
        unlock(keys);
        bool is_stale = is_loaded && r == CHY_E_TOKEN && chy_rv_is_stale(session->rv);
        if (is_loaded && !(is_stale && !was_stale))
            return r;
        write_lock(keys);
        e = entry_find_locked(keys, item->key.object_id);
        if (is_stale && e != NULL)
            handle_drop_locked(e, session);
        was_stale = was_stale || is_stale;
        r = entry_load_locked(keys, session, &item->key, err);
        unlock(keys);
        if (r != CHY_OK)
            return r;
    }
    return chy_fail(err, CHY_E_BUSY, "the key was dropped again and again while it was wanted");
}

/* Other processes of the token may be starting: see chy_module_lock(). */
static enum chy_err files_lock(struct chy_keys *keys, struct chy_error *err)
{
    return keys->options.module != NULL ? chy_module_lock(keys->options.module, err) : CHY_OK;
}

static void files_unlock(struct chy_keys *keys)
{
    if (keys->options.module != NULL)
        chy_module_unlock(keys->options.module);
}

enum chy_err chy_keys_generate(struct chy_keys *keys, struct chy_session *session,
                               const struct chy_token_generate *request, struct chy_arena *arena,
                               struct chy_token_key_reply *ret_key, struct chy_error *err)
{
    write_lock(keys);
    enum chy_err r = files_lock(keys, err);
    if (r == CHY_OK)
        r = chy_pair_generate(session, request, arena, ret_key, err);
    files_unlock(keys);
    unlock(keys);
    return r;
}

enum chy_err chy_keys_find(struct chy_keys *keys, struct chy_session *session,
                           const struct chy_token_find *request, struct chy_arena *arena,
                           struct chy_token_key_reply *ret_key, struct chy_error *err)
{
    write_lock(keys);
    enum chy_err r = chy_pair_find(session, request, arena, ret_key, err);
    unlock(keys);
    return r;
}

enum chy_err chy_keys_drop(struct chy_keys *keys, struct chy_session *session,
                           const struct chy_token_drop *request, struct chy_error *err)
{
    write_lock(keys);
    struct key_entry *e = entry_find_locked(keys, request->key.object_id);
    if (e != NULL) {
        handle_drop_locked(e, session);
        if (!atomic_load(&e->is_quarantined))
            entry_remove_locked(keys, e);
    }
    enum chy_err r = CHY_OK;
    if (request->destroy) {
        r = files_lock(keys, err);
        if (r == CHY_OK)
            r = chy_pair_destroy(session, &request->key, err);
        files_unlock(keys);
    }
    unlock(keys);
    return r;
}

size_t chy_keys_quarantined(struct chy_keys *keys)
{
    return atomic_load(&keys->quarantined);
}

size_t chy_keys_count(struct chy_keys *keys)
{
    read_lock(keys);
    size_t n = keys->n;
    unlock(keys);
    return n;
}

size_t chy_keys_copied(struct chy_keys *keys)
{
    size_t n = 0;
    read_lock(keys);
    for (size_t i = 0; i < keys->n; i++)
        n += keys->entries[i]->is_copy;
    unlock(keys);
    return n;
}
