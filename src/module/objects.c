/* SPDX-License-Identifier: MIT */
#include "module/objects.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "module/attributes.h"
#include "proto/types.h"

enum record_kind {
    RECORD_KEY,
    RECORD_OWN,       /* a key's certificate */
    RECORD_AUTHORITY, /* a CA's */
    RECORD_OBJECTS = 2
};

/* What the agent said of a key or a certificate: the canonical form, and the struct that borrows
 * from it. Two that are equal in all bytes are one record. */
struct chy_p11_record {
    UT_hash_handle hh;
    struct chy_door_key key;
    struct chy_door_certificate certificate;
    struct chy_p11_object *objects[RECORD_OBJECTS];
    uint8_t bytes[]; /* the kind, then the canonical form */
};

/* The objects of one value. */
struct chy_p11_index {
    UT_hash_handle hh;
    struct chy_p11_object **objects;
    size_t n;
    size_t cap;
};

uint64_t chy_p11_objects_look_locked(struct chy_p11_objects *objects)
{
    return ++objects->last_look;
}

const struct chy_p11_object *chy_p11_object_locked(const struct chy_p11_objects *objects,
                                                   CK_OBJECT_HANDLE handle)
{
    return handle != 0 && handle <= objects->n ? objects->all[handle - 1] : NULL;
}

/* --- what a key must have --- */

static bool rsa_is_whole(const struct chy_door_key *key)
{
    return key->modulus.n >= 1 && key->modulus.n <= CHY_LIMIT_P11_RSA && key->modulus.p[0] != 0 &&
           key->public_exponent.n != 0;
}

static bool key_is_whole(const struct chy_door_key *key)
{
    if (key->name.n == 0 || key->label.n == 0 || key->id.n == 0 || key->type == CHY_KEY_NONE)
        return false;
    return chy_key_type_is_rsa(key->type) ? rsa_is_whole(key)
                                          : key->ec_params.n != 0 && key->ec_point.n != 0;
}

static bool certificate_is_whole(const struct chy_door_certificate *c)
{
    return c->id.n != 0 && c->der.n != 0 && c->subject.n != 0 && c->issuer.n != 0 &&
           c->serial.n != 0;
}

/* --- adding: all that may fail is done first --- */

/* Room for one more element of an array that doubles. */
static bool grow(void *array_at, size_t n, size_t *cap)
{
    void **array = array_at;
    if (n < *cap)
        return true;
    size_t more = *cap != 0 ? 2 * *cap : 1;
    void *p = chy_realloc(*array, more * sizeof(void *)); /* as many as objects: bounded */
    if (p == NULL)
        return false;
    *array = p;
    *cap = more;
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static struct chy_p11_index *index_find(struct chy_p11_index *table, struct chy_bytes value)
{
    struct chy_p11_index *entry = NULL;
    HASH_FIND(hh, table, value.p, value.n, entry);
    return entry;
}

/* The entry of this value, with room for one more object. An entry without objects does no harm. */
/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static struct chy_p11_index *index_room(struct chy_p11_index **table, struct chy_bytes value)
{
    struct chy_p11_index *entry = index_find(*table, value);
    if (entry == NULL) {
        entry = chy_new(struct chy_p11_index);
        if (entry == NULL)
            return NULL;
        HASH_ADD_KEYPTR(hh, *table, value.p, value.n, entry);
        if (entry->hh.tbl == NULL) {
            chy_free(entry);
            return NULL;
        }
    }
    return grow(&entry->objects, entry->n, &entry->cap) ? entry : NULL;
}

static struct chy_bytes index_value(const struct chy_p11_object *o, enum chy_p11_index_kind kind)
{
    switch (kind) {
    case CHY_P11_INDEX_LABEL:
        return chy_str_bytes(o->key != NULL ? o->key->label : o->certificate->label);
    case CHY_P11_INDEX_ID:
        return o->key != NULL ? o->key->id : o->certificate->id;
    case CHY_P11_INDEX_SUBJECT:
        return o->key != NULL ? (struct chy_bytes){ NULL, 0 } : o->certificate->subject;
    case CHY_P11_INDEXES:
        break;
    }
    return (struct chy_bytes){ NULL, 0 };
}

/* Takes `o` when it is true. */
static bool object_link(struct chy_p11_objects *objects, struct chy_p11_object *o)
{
    struct chy_p11_index *entries[CHY_P11_INDEXES] = { NULL };
    if (!grow(&objects->all, objects->n, &objects->cap))
        return false;
    for (size_t i = 0; i < CHY_P11_INDEXES; i++) {
        struct chy_bytes value = index_value(o, (enum chy_p11_index_kind)i);
        if (value.n == 0)
            continue;
        entries[i] = index_room(&objects->indexes[i], value);
        if (entries[i] == NULL)
            return false;
    }
    for (size_t i = 0; i < CHY_P11_INDEXES; i++)
        if (entries[i] != NULL)
            entries[i]->objects[entries[i]->n++] = o;
    objects->all[objects->n++] = o;
    o->handle = objects->n;
    return true;
}

static enum chy_err object_add(struct chy_p11_objects *objects, const struct chy_p11_object *like,
                               struct chy_p11_object **ret_object, struct chy_error *err)
{
    if (objects->n == CHY_LIMIT_P11_OBJECTS)
        return chy_fail(err, CHY_E_LIMIT, "the agent showed over %d objects",
                        CHY_LIMIT_P11_OBJECTS);
    struct chy_p11_object *o = chy_new(struct chy_p11_object);
    if (o == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for an object");
    *o = *like;
    if (!object_link(objects, o)) {
        chy_free(o);
        return chy_fail(err, CHY_E_NOMEM, "no memory for an object");
    }
    *ret_object = o;
    return CHY_OK;
}

/* Objects that a record lacks because memory ended the last time are made now. */
static enum chy_err record_show(struct chy_p11_objects *objects, struct chy_p11_record *record,
                                uint64_t look, struct chy_error *err)
{
    static const CK_OBJECT_CLASS of_key[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
    bool is_key = record->bytes[0] == RECORD_KEY;
    for (size_t i = 0; i < (is_key ? 2 : 1); i++) {
        struct chy_p11_object like = { .class = is_key ? of_key[i] : CKO_CERTIFICATE,
                                       .key = is_key ? &record->key : NULL,
                                       .certificate = is_key ? NULL : &record->certificate,
                                       .is_authority = record->bytes[0] == RECORD_AUTHORITY };
        if (record->objects[i] == NULL)
            CHY_TRY(object_add(objects, &like, &record->objects[i], err));
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): object_add() has made it */
        record->objects[i]->seen = CHY_MAX(record->objects[i]->seen, look);
    }
    return CHY_OK;
}

static const struct chy_schema *schema_of(uint8_t kind)
{
    return kind == RECORD_KEY ? &chy_door_key_schema : &chy_door_certificate_schema;
}

static void *value_of(struct chy_p11_record *record)
{
    return record->bytes[0] == RECORD_KEY ? (void *)&record->key : (void *)&record->certificate;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static enum chy_err record_add(struct chy_p11_objects *objects, struct chy_bytes bytes,
                               struct chy_p11_record **ret_record, struct chy_error *err)
{
    struct chy_p11_record *record = chy_calloc(1, sizeof *record + bytes.n);
    if (record == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    chy_copy(record->bytes, bytes.p, bytes.n);
    struct chy_arena none; /* neither struct has lists */
    chy_arena_init(&none, 0);
    enum chy_err r = chy_schema_decode(schema_of(bytes.p[0]),
                                       (struct chy_bytes){ record->bytes + 1, bytes.n - 1 }, &none,
                                       value_of(record), err);
    if (r == CHY_OK) {
        HASH_ADD_KEYPTR(hh, objects->records, record->bytes, bytes.n, record);
        if (record->hh.tbl == NULL)
            r = chy_fail(err, CHY_E_NOMEM, "no memory for a key");
    }
    if (r != CHY_OK) {
        chy_free(record);
        return r;
    }
    *ret_record = record;
    return CHY_OK;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static enum chy_err record_take(struct chy_p11_objects *objects, uint64_t look,
                                enum record_kind kind, const void *value, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&bytes, CHY_LIMIT_FRAME);
    chy_buf_append_u8(&bytes, (uint8_t)kind);
    CHY_TRY(chy_schema_encode(schema_of((uint8_t)kind), value, &bytes, err));
    struct chy_p11_record *record = NULL;
    HASH_FIND(hh, objects->records, bytes.p, bytes.n, record);
    if (record == NULL)
        CHY_TRY(record_add(objects, chy_buf_bytes(&bytes), &record, err));
    return record_show(objects, record, look, err);
}

/* The certificate is a record of its own: a renewed one makes no new key. */
static enum chy_err key_take(struct chy_p11_objects *objects, uint64_t look,
                             const struct chy_door_key *key, struct chy_error *err)
{
    struct chy_door_key alone = *key;
    alone.certificate = NULL;
    if (!key_is_whole(key) || (key->certificate != NULL && !certificate_is_whole(key->certificate)))
        return chy_fail(err, CHY_E_PROTOCOL, "the agent showed half a key, \"%.*s\"",
                        CHY_STR_ARG(key->name));
    CHY_TRY(record_take(objects, look, RECORD_KEY, &alone, err));
    return key->certificate != NULL ? record_take(objects, look, RECORD_OWN, key->certificate, err)
                                    : CHY_OK;
}

enum chy_err chy_p11_objects_add_locked(struct chy_p11_objects *objects, uint64_t look,
                                        const struct chy_door_key_page *page, struct chy_error *err)
{
    for (size_t i = 0; i < page->keys.n; i++)
        CHY_TRY(key_take(objects, look, &page->keys.p[i], err));
    for (size_t i = 0; i < page->authorities.n; i++) {
        if (!certificate_is_whole(&page->authorities.p[i]))
            return chy_fail(err, CHY_E_PROTOCOL, "the agent showed half a certificate");
        CHY_TRY(record_take(objects, look, RECORD_AUTHORITY, &page->authorities.p[i], err));
    }
    return CHY_OK;
}

/* --- finding --- */

static bool is_match(const struct chy_p11_object *o, const CK_ATTRIBUTE *attrs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct chy_p11_value value;
        struct chy_bytes wanted = { attrs[i].pValue, attrs[i].ulValueLen };
        if (chy_p11_attribute(o, attrs[i].type, &value) != CKR_OK ||
            !chy_bytes_equal(value.bytes, wanted))
            return false;
    }
    return true;
}

struct candidates {
    struct chy_p11_object *const *p;
    size_t n;
};

/* All, or those of an attribute that has an index. An empty value is in none. */
static struct candidates candidates_of(const struct chy_p11_objects *objects,
                                       const CK_ATTRIBUTE *attrs, size_t n)
{
    static const CK_ATTRIBUTE_TYPE types[CHY_P11_INDEXES] = { CKA_LABEL, CKA_ID, CKA_SUBJECT };
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < CHY_P11_INDEXES; k++) {
            struct chy_bytes value = { attrs[i].pValue, attrs[i].ulValueLen };
            if (attrs[i].type != types[k] || value.n == 0)
                continue;
            const struct chy_p11_index *entry = index_find(objects->indexes[k], value);
            return entry != NULL ? (struct candidates){ entry->objects, entry->n }
                                 : (struct candidates){ NULL, 0 };
        }
    return (struct candidates){ objects->all, objects->n };
}

enum chy_err chy_p11_objects_match_locked(const struct chy_p11_objects *objects, uint64_t look,
                                          const CK_ATTRIBUTE *attrs, size_t n,
                                          CK_OBJECT_HANDLE **ret_handles, size_t *ret_n,
                                          struct chy_error *err)
{
    struct candidates all = candidates_of(objects, attrs, n);
    CK_OBJECT_HANDLE *handles = chy_new_array(CK_OBJECT_HANDLE, all.n);
    if (handles == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what was found");
    size_t found = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.p[i]->seen >= look && is_match(all.p[i], attrs, n))
            handles[found++] = all.p[i]->handle;
    *ret_handles = handles;
    *ret_n = found;
    return CHY_OK;
}

/* --- the end --- */

void chy_p11_objects_disown_locked(struct chy_p11_objects *objects)
{
    objects->is_loading = false;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
static void index_done(struct chy_p11_index **table)
{
    while (*table != NULL) {
        struct chy_p11_index *entry = *table;
        HASH_DELETE(hh, *table, entry);
        chy_free(entry->objects);
        chy_free(entry);
    }
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros */
void chy_p11_objects_done(struct chy_p11_objects *objects)
{
    for (size_t i = 0; i < CHY_P11_INDEXES; i++)
        index_done(&objects->indexes[i]); /* its keys lie in the records */
    while (objects->records != NULL) {
        struct chy_p11_record *record = objects->records;
        HASH_DELETE(hh, objects->records, record);
        chy_free(record);
    }
    for (size_t i = 0; i < objects->n; i++)
        chy_free(objects->all[i]);
    chy_free(objects->all);
    *objects = (struct chy_p11_objects){ 0 };
}
