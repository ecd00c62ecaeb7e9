/* SPDX-License-Identifier: MIT */
#include "agent/key_set.h"

#include <stdlib.h>

#include "base/mem.h"
#include "codec/hex.h"
#include "crypto/attributes.h"
#include "crypto/hash.h"

#define SET_BYTES  ((size_t)CHY_LIMIT_ARENA * 4) /* 16,384 keys with chains of their own */
#define KEY_BYTES  256                           /* of a key in a page beside its contents */
#define CERT_BYTES 64

/* A set that grows. `table` finds authorities: places + 1, 0 where none is. */
struct maker {
    struct chy_key_set *set;
    struct chy_hasher *sha256;
    struct chy_door_certificate *authorities;
    size_t capacity; /* of keys */
    size_t authority_capacity;
    uint32_t *table;
    size_t table_size; /* a power of two */
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for the list of keys");
}

void chy_key_set_free(struct chy_key_set *set)
{
    if (set == NULL)
        return;
    chy_arena_done(&set->arena);
    chy_free(set);
}

void chy_key_set_freep(struct chy_key_set **set)
{
    chy_key_set_free(*set);
}

/* --- certificates --- */

/* The value of the first CN of a name after RFC 4514, else all of it. */
static struct chy_str common_name(struct chy_str subject, struct chy_arena *arena)
{
    size_t at = 0;
    while (at < subject.n) {
        struct chy_str rest = { subject.p + at, subject.n - at };
        size_t end = 0;
        while (end < rest.n && rest.p[end] != ',' && rest.p[end] != '+')
            end += rest.p[end] == '\\' && end + 1 < rest.n ? 2 : 1;
        if (chy_str_starts(rest, "CN="))
            return chy_arena_str(arena, (struct chy_str){ rest.p + 3, end - 3 });
        at += end + 1;
    }
    return chy_arena_str(arena, subject);
}

/* The label's escapes are left as they are but for the plain ones ("\,"). */
static struct chy_str unescaped(struct chy_str text, struct chy_arena *arena)
{
    const struct chy_str plain = CHY_STR(" #\"+,;<=>\\");
    char *to = chy_arena_array(arena, char, text.n + 1);
    size_t n = 0;
    if (to == NULL)
        return (struct chy_str){ 0 };
    for (size_t i = 0; i < text.n; i++) {
        bool is_escape =
            text.p[i] == '\\' && i + 1 < text.n && memchr(plain.p, text.p[i + 1], plain.n) != NULL;
        to[n++] = text.p[is_escape ? ++i : i];
    }
    return (struct chy_str){ to, n };
}

/* Errors: CHY_E_MALFORMED it cannot be taken apart; CHY_E_NOMEM */
static enum chy_err certificate_make(const struct chy_certificate *c, struct chy_arena *arena,
                                     struct chy_door_certificate *ret, struct chy_bytes *ret_spki,
                                     struct chy_error *err)
{
    struct chy_x509_attributes a;
    struct chy_bytes der = chy_arena_bytes(arena, c->der);
    if (der.p == NULL)
        return no_memory(err);
    CHY_TRY(chy_x509_attributes(der, &a, err));
    if (a.serial.n > CHY_LIMIT_NAME)
        return chy_fail(err, CHY_E_MALFORMED, "a serial number of %zu bytes", a.serial.n);
    *ret = (struct chy_door_certificate){
        .der = der, .subject = a.subject, .issuer = a.issuer, .serial = a.serial
    };
    *ret_spki = a.spki;
    return CHY_OK;
}

/* FNV-1a */
static size_t slot_of(const struct maker *m, struct chy_bytes der)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < der.n; i++)
        h = (h ^ der.p[i]) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 32) & (m->table_size - 1);
}

/* Where it stands, or an empty slot. */
static uint32_t *authority_slot(struct maker *m, struct chy_bytes der)
{
    size_t at = slot_of(m, der);
    while (m->table[at] != 0 && !chy_bytes_equal(m->authorities[m->table[at] - 1].der, der))
        at = (at + 1) & (m->table_size - 1);
    return &m->table[at];
}

static enum chy_err authority_add(struct maker *m, const struct chy_certificate *c,
                                  uint32_t *ret_place, bool *ret_is_there, struct chy_error *err)
{
    struct chy_arena *arena = &m->set->arena;
    uint32_t *slot = authority_slot(m, c->der);
    *ret_is_there = false;
    if (*slot == 0) {
        struct chy_door_certificate *to = &m->authorities[m->set->n_authorities];
        struct chy_bytes spki;
        uint8_t digest[CHY_HASH_BYTES];
        enum chy_err r = certificate_make(c, arena, to, &spki, err);
        if (r != CHY_OK)
            return r == CHY_E_MALFORMED ? CHY_OK : r;
        chy_hasher_add(m->sha256, spki);
        chy_hasher_end(m->sha256, digest);
        to->id = chy_arena_bytes(arena, (struct chy_bytes){ digest, CHY_ID_BYTES });
        to->label = unescaped(common_name(c->subject, arena), arena);
        if (to->id.p == NULL || to->label.p == NULL)
            return no_memory(err);
        *slot = (uint32_t)++m->set->n_authorities;
    }
    *ret_place = *slot - 1;
    *ret_is_there = true;
    return CHY_OK;
}

/* --- keys --- */

static enum chy_err signum_name(struct chy_held_key *held, struct chy_arena *arena,
                                struct chy_error *err)
{
    uint8_t sha1[CHY_SHA1_BYTES];
    char hex[CHY_HEX_SIZE(CHY_SHA1_BYTES)];
    held->signum = held->door;
    if (held->door.certificate == NULL)
        return CHY_OK;
    CHY_TRY(chy_sha1(held->certificate.der, sha1, err));
    chy_hex_encode((struct chy_bytes){ sha1, sizeof sha1 }, hex);
    for (char *c = hex; *c != '\0'; c++)
        *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    held->signum_certificate = held->certificate;
    held->signum.certificate = &held->signum_certificate;
    held->signum.id = chy_arena_bytes(arena, (struct chy_bytes){ sha1, sizeof sha1 });
    held->signum.label = chy_arena_printf(arena, "%s - Private key", hex);
    held->signum_certificate.id = held->signum.id;
    held->signum_certificate.label = chy_arena_printf(arena, "%s - Certificate", hex);
    held->bytes += sizeof hex + sizeof hex;
    return held->signum.id.p != NULL && held->signum.label.p != NULL &&
                   held->signum_certificate.label.p != NULL
               ? CHY_OK
               : no_memory(err);
}

static enum chy_err chain_add(struct maker *m, const struct chy_key *key, struct chy_held_key *held,
                              struct chy_error *err)
{
    struct chy_bytes spki;
    size_t n = key->certificates.n;
    enum chy_err r = n != 0 ? certificate_make(&key->certificates.p[0], &m->set->arena,
                                               &held->certificate, &spki, err)
                            : CHY_E_MALFORMED;
    if (r != CHY_OK) /* a key without a certificate can be used as well */
        return r == CHY_E_MALFORMED ? CHY_OK : r;
    held->certificate.label = held->door.label;
    held->certificate.id = held->door.id;
    held->door.certificate = &held->certificate;
    held->bytes += CERT_BYTES + 2 * held->certificate.der.n;
    uint32_t *places = chy_arena_array(&m->set->arena, uint32_t, n);
    if (places == NULL)
        return no_memory(err);
    for (size_t i = 1; i < n; i++) {
        bool is_there = false;
        CHY_TRY(authority_add(m, &key->certificates.p[i], &places[held->n], &is_there, err));
        held->n += is_there ? 1 : 0;
    }
    held->authorities = places;
    return CHY_OK;
}

/* The server lists no keys but signing ones. */
static bool is_for_signing(const struct chy_key *key)
{
    return key->state == CHY_KEY_STATE_ACTIVE &&
           chy_key_type_default_alg(key->type) != CHY_ALG_NONE;
}

static enum chy_err key_add(struct maker *m, const struct chy_key *key, struct chy_error *err)
{
    struct chy_arena *arena = &m->set->arena;
    struct chy_held_key *held = &m->set->keys[m->set->n];
    struct chy_pubkey_attributes a;
    *held = (struct chy_held_key){ .bytes = KEY_BYTES + 3 * key->public_key.n + 2 * key->name.n };
    held->door = (struct chy_door_key){
        .name = chy_arena_str(arena, key->name),
        .id = chy_arena_bytes(arena, (struct chy_bytes){ key->id, CHY_ID_BYTES }),
        .type = key->type,
        .public_key = chy_arena_bytes(arena, key->public_key),
    };
    if (held->door.name.p == NULL || held->door.id.p == NULL || held->door.public_key.p == NULL)
        return no_memory(err);
    held->door.label = held->door.name;
    enum chy_err r = chy_pubkey_attributes(key->type, held->door.public_key, arena, &a, err);
    if (r == CHY_E_MALFORMED) {
        m->set->left_out++;
        return CHY_OK;
    }
    if (r != CHY_OK)
        return r;
    held->door.modulus = a.modulus;
    held->door.public_exponent = a.public_exponent;
    held->door.ec_params = a.ec_params;
    held->door.ec_point = a.ec_point;
    CHY_TRY(chain_add(m, key, held, err));
    CHY_TRY(signum_name(held, arena, err));
    m->set->n++;
    return CHY_OK;
}

/* --- making --- */

static void maker_done(struct maker *m)
{
    chy_key_set_free(m->set);
    chy_hasher_free(m->sha256);
    chy_free(m->authorities);
    chy_free(m->table);
}

static enum chy_err maker_init(struct maker *m, struct chy_error *err)
{
    m->set = chy_new(struct chy_key_set);
    if (m->set == NULL)
        return no_memory(err);
    chy_arena_init(&m->set->arena, SET_BYTES);
    return chy_hasher_new(CHY_HASH_SHA256, &m->sha256, err);
}

/* A larger table of the same places. */
static enum chy_err table_grow(struct maker *m, size_t authorities, struct chy_error *err)
{
    size_t size = 64;
    while (size < 2 * authorities)
        size *= 2;
    if (size <= m->table_size)
        return CHY_OK;
    uint32_t *table = chy_new_array(uint32_t, size);
    if (table == NULL)
        return no_memory(err);
    chy_free(m->table);
    m->table = table;
    m->table_size = size;
    for (size_t i = 0; i < m->set->n_authorities; i++)
        *authority_slot(m, m->authorities[i].der) = (uint32_t)i + 1;
    return CHY_OK;
}

/* `array` with room for `want` elements, in memory of its own. */
static enum chy_err grow(void **array, size_t *capacity, size_t want, size_t size,
                         struct chy_error *err)
{
    size_t n = CHY_MAX(*capacity * 2, want);
    if (want <= *capacity)
        return CHY_OK;
    void *larger = n <= SIZE_MAX / size ? chy_realloc(*array, n * size) : NULL;
    if (larger == NULL)
        return no_memory(err);
    *array = larger;
    *capacity = n;
    return CHY_OK;
}

/* Room for all authorities that these keys may bring. */
static enum chy_err make_room(struct maker *m, const struct chy_key *keys, size_t n,
                              struct chy_error *err)
{
    size_t authorities = m->set->n_authorities;
    for (size_t i = 0; i < n; i++)
        authorities += keys[i].certificates.n;
    void *a = m->authorities;
    enum chy_err r = grow(&a, &m->authority_capacity, authorities, sizeof *m->authorities, err);
    m->authorities = a;
    return r != CHY_OK ? r : table_grow(m, authorities, err);
}

static enum chy_err add_page(struct maker *m, const struct chy_key *keys, size_t n,
                             struct chy_error *err)
{
    CHY_TRY(make_room(m, keys, n, err));
    for (size_t i = 0; i < n; i++) {
        if (!is_for_signing(&keys[i]))
            continue;
        if (m->set->n == m->capacity) {
            m->set->is_cut = true;
            return CHY_OK;
        }
        CHY_TRY(key_add(m, &keys[i], err));
    }
    return CHY_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct chy_held_key *x = a;
    const struct chy_held_key *y = b;
    return chy_str_compare(x->door.name, y->door.name);
}

/* What differs in anything that the door shows has another one. */
static enum chy_err revise(struct maker *m, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf form;
    uint8_t digest[CHY_HASH_BYTES];
    chy_buf_init(&form, CHY_LIMIT_FRAME);
    for (size_t i = 0; i < m->set->n; i++) {
        const struct chy_held_key *held = &m->set->keys[i];
        chy_buf_clear(&form);
        CHY_TRY(chy_schema_encode(&chy_door_key_schema, &held->door, &form, err));
        for (size_t k = 0; k < held->n; k++)
            CHY_TRY(chy_schema_encode(&chy_door_certificate_schema,
                                      &m->set->authorities[held->authorities[k]], &form, err));
        chy_hasher_add(m->sha256, chy_buf_bytes(&form));
    }
    chy_hasher_end(m->sha256, digest);
    for (size_t i = 0; i < sizeof m->set->revision; i++)
        m->set->revision = m->set->revision << 8 | digest[i];
    if (m->set->revision == 0)
        m->set->revision = 1;
    return CHY_OK;
}

static enum chy_err finish(struct maker *m, struct chy_key_set **ret_set, struct chy_error *err)
{
    struct chy_key_set *set = m->set;
    struct chy_door_certificate *authorities =
        chy_arena_array(&set->arena, struct chy_door_certificate, set->n_authorities);
    if (authorities == NULL)
        return no_memory(err);
    chy_copy(authorities, m->authorities, set->n_authorities * sizeof *authorities);
    set->authorities = authorities;
    qsort(set->keys, set->n, sizeof *set->keys, by_name);
    for (size_t i = 0; i < set->n; i++) {
        if (set->keys[i].door.certificate != NULL)
            set->keys[i].door.certificate = &set->keys[i].certificate;
    }
    CHY_TRY(revise(m, err));
    *ret_set = CHY_TAKE(m->set);
    return CHY_OK;
}

static enum chy_err key_room(struct maker *m, size_t n, struct chy_error *err)
{
    m->capacity = n;
    m->set->keys = chy_arena_array(&m->set->arena, struct chy_held_key, n);
    return m->set->keys != NULL ? CHY_OK : no_memory(err);
}

enum chy_err chy_key_set_make(const struct chy_key *keys, size_t n, struct chy_key_set **ret_set,
                              struct chy_error *err)
{
    CHY_CLEANUP(maker_done) struct maker m = { 0 };
    CHY_TRY(maker_init(&m, err));
    CHY_TRY(key_room(&m, CHY_MIN(n, (size_t)CHY_LIMIT_VISIBLE_KEYS), err));
    CHY_TRY(add_page(&m, keys, n, err));
    return finish(&m, ret_set, err);
}

/* A server that knows no pages answers all of them, and no `next`. */
enum chy_err chy_key_set_fetch(struct chy_worker *w, struct chy_key_set **ret_set,
                               struct chy_error *err)
{
    CHY_CLEANUP(maker_done) struct maker m = { 0 };
    CHY_CLEANUP(chy_arena_done) struct chy_arena page;
    CHY_CLEANUP(chy_buf_done) struct chy_buf next;
    chy_arena_init(&page, CHY_LIMIT_ARENA * (size_t)4);
    chy_buf_init(&next, CHY_LIMIT_NAME);
    CHY_TRY(maker_init(&m, err));
    CHY_TRY(key_room(&m, CHY_LIMIT_VISIBLE_KEYS, err));
    do {
        struct chy_key_query query = { .after = chy_buf_str(&next), .usable = true };
        struct chy_key_list list;
        chy_arena_reset(&page);
        CHY_TRY(chy_worker_call(w, CHY_OP_KEYS_LIST, &query, &page, &list, err));
        if (list.next.n != 0 && chy_str_compare(list.next, chy_buf_str(&next)) <= 0)
            return chy_fail(err, CHY_E_PROTOCOL, "the server's pages of keys have no end");
        CHY_TRY(add_page(&m, list.keys.p, list.keys.n, err));
        chy_buf_clear(&next);
        chy_buf_append_str(&next, list.next);
        CHY_TRY(chy_buf_check(&next, err));
    } while (next.n != 0 && !m.set->is_cut);
    return finish(&m, ret_set, err);
}

static bool fits(const struct chy_key *key, struct chy_str name, struct chy_bytes id)
{
    return (name.n == 0 || chy_str_equal(key->name, name)) &&
           (id.n == 0 || chy_bytes_equal((struct chy_bytes){ key->id, CHY_ID_BYTES }, id));
}

enum chy_err chy_key_set_fetch_one(struct chy_worker *w, struct chy_str name, struct chy_bytes id,
                                   struct chy_key_set **ret_set, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    struct chy_key_query query = { .usable = true };
    struct chy_key_list list = { 0 };
    struct chy_key_name asked = { name };
    struct chy_key key;
    enum chy_err r = CHY_OK;
    chy_arena_init(&arena, CHY_LIMIT_ARENA * (size_t)4);
    if (name.n != 0) {
        r = chy_worker_call(w, CHY_OP_KEYS_SHOW, &asked, &arena, &key, err);
        list.keys.p = &key;
        list.keys.n = r == CHY_OK ? 1 : 0;
    } else if (id.n == CHY_ID_BYTES) {
        chy_copy(query.id, id.p, sizeof query.id);
        r = chy_worker_call(w, CHY_OP_KEYS_LIST, &query, &arena, &list, err);
    } /* else no key has such an id */
    if (r != CHY_OK && r != CHY_E_NOT_FOUND)
        return r;
    for (size_t i = 0; i < list.keys.n; i++) {
        if (fits(&list.keys.p[i], name, id))
            return chy_key_set_make(&list.keys.p[i], 1, ret_set, err);
    }
    return chy_key_set_make(NULL, 0, ret_set, err);
}

/* --- looking --- */

const struct chy_door_key *chy_held_key_named(const struct chy_held_key *held,
                                              enum chy_door_naming naming)
{
    return naming == CHY_DOOR_NAMING_SIGNUM ? &held->signum : &held->door;
}

const struct chy_held_key *chy_key_set_find_signum(const struct chy_key_set *set,
                                                   struct chy_str label, struct chy_bytes id)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct chy_door_key *key = &set->keys[i].signum;
        bool is_label = label.n == 0 || chy_str_equal(key->label, label) ||
                        chy_str_equal(key->name, label) ||
                        (key->certificate != NULL && chy_str_equal(key->certificate->label, label));
        if (is_label && (id.n == 0 || chy_bytes_equal(key->id, id)))
            return &set->keys[i];
    }
    return NULL;
}

const struct chy_held_key *chy_key_set_find(const struct chy_key_set *set, struct chy_str name,
                                            struct chy_bytes id)
{
    for (size_t i = name.n != 0 ? chy_key_set_after(set, name) : set->n; i > 0; i--) {
        const struct chy_held_key *held = &set->keys[i - 1];
        if (name.n != 0 && !chy_str_equal(held->door.name, name))
            break;
        if (id.n == 0 || chy_bytes_equal(held->door.id, id))
            return held;
    }
    return NULL;
}

size_t chy_key_set_after(const struct chy_key_set *set, struct chy_str after)
{
    size_t low = 0;
    size_t high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chy_str_compare(set->keys[middle].door.name, after) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
