/* SPDX-License-Identifier: MIT */
/* What a tool sees of the keys: for each a private key, a public key and its certificate; and the
 * certificates of their CAs. Guarded by the module's mutex.
 *
 * An object that has a handle stays, unchanged, for the life of the process (until C_Finalize). A
 * key that is no longer listed is only not found any more; a certificate that was renewed is
 * another object. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proto/door.h"
#include "proto/pkcs11.h"

struct chy_p11_record;
struct chy_p11_index;

struct chy_p11_object {
    CK_OBJECT_HANDLE handle;
    CK_OBJECT_CLASS class;
    bool is_authority;
    const struct chy_door_key *key;                 /* of the two keys */
    const struct chy_door_certificate *certificate; /* of a certificate */
    uint64_t seen;                                  /* the last look that showed it */
};

/* By what objects are found without looking at each. */
enum chy_p11_index_kind {
    CHY_P11_INDEX_LABEL,
    CHY_P11_INDEX_ID,
    CHY_P11_INDEX_SUBJECT, /* of certificates: chains are built by it */
    CHY_P11_INDEXES,
};

struct chy_p11_objects {
    struct chy_p11_object **all; /* by handle, less 1 */
    size_t n;
    size_t cap;
    struct chy_p11_record *records;
    struct chy_p11_index *indexes[CHY_P11_INDEXES];
    uint64_t last_look;

    uint64_t revision;   /* of the whole list, as the agent numbers it; 0: not loaded */
    uint64_t whole_look; /* the look that loaded it */
    bool is_loading;     /* by some thread */
    uint64_t loads;      /* that came to an end */
};

/* A new look at the keys: a number greater than that of any before. */
uint64_t chy_p11_objects_look_locked(struct chy_p11_objects *objects);
/* Take over a page of this look. Either all of it or, where memory ends, the keys before.
 * Errors: CHY_E_PROTOCOL a key lacks what PKCS#11 shows of its type
 *         CHY_E_LIMIT    over CHY_LIMIT_P11_OBJECTS
 *         CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_p11_objects_add_locked(struct chy_p11_objects *objects, uint64_t look,
                                                     const struct chy_door_key_page *page,
                                                     struct chy_error *err);
/* NULL: no such handle. */
const struct chy_p11_object *chy_p11_object_locked(const struct chy_p11_objects *objects,
                                                   CK_OBJECT_HANDLE handle);
/* Those that this look or a later one showed and that fit the template, by handle. `ret_handles` is
 * the caller's; chy_free() it. Errors: CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_p11_objects_match_locked(const struct chy_p11_objects *objects,
                                                       uint64_t look, const CK_ATTRIBUTE *attrs,
                                                       size_t n, CK_OBJECT_HANDLE **ret_handles,
                                                       size_t *ret_n, struct chy_error *err);
/* In a forked child: the parent's thread that was loading is not here. */
void chy_p11_objects_disown_locked(struct chy_p11_objects *objects);
void chy_p11_objects_done(struct chy_p11_objects *objects);
