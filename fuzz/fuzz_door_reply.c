/* SPDX-License-Identifier: MIT */
/* What the agent answers, as the PKCS#11 module reads it. The first byte picks what was asked; the
 * rest is what comes over the socket. Of keys, all objects are made, read, sized and found
 * again. */
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/frame.h"
#include "guest/reply.h"
#include "module/attributes.h"
#include "module/objects.h"
#include "proto/door.h"

#define ATTRIBUTES_END 0x220 /* behind the highest number that is no array */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Room for any of them. */
union reply {
    struct chy_door_welcome welcome;
    struct chy_door_key_page page;
    struct chy_door_signed sign;
    struct chy_door_hashed hashed;
    struct chy_empty empty;
};

static const struct {
    uint16_t type;
    const struct chy_schema *schema;
} replies[] = {
    { CHY_DOOR_KEY_PAGE, &chy_door_key_page_schema },
    { CHY_DOOR_WELCOME, &chy_door_welcome_schema },
    { CHY_DOOR_SIGNED, &chy_door_signed_schema },
    { CHY_DOOR_HASHED, &chy_door_hashed_schema },
    { CHY_DOOR_VERIFIED, &chy_empty_schema },
    { CHY_DOOR_HASH_ADDED, &chy_empty_schema },
};

static volatile uint8_t sink; /* so that each byte is read */

/* By what it says of itself, it is found. */
static void check_found(const struct chy_p11_objects *objects, const struct chy_p11_object *o)
{
    static const CK_ATTRIBUTE_TYPE types[] = { CKA_LABEL, CKA_ID, CKA_SUBJECT, CKA_CLASS };
    for (size_t i = 0; i < CHY_ARRAY_LEN(types); i++) {
        struct chy_p11_value value;
        CK_OBJECT_HANDLE *handles = NULL;
        size_t n = 0;
        bool is_there = false;
        CHY_ASSERT(chy_p11_attribute(o, types[i], &value) == CKR_OK);
        CK_ATTRIBUTE attr = { types[i], (void *)(uintptr_t)value.bytes.p, value.bytes.n };
        CHY_ASSERT(chy_p11_objects_match_locked(objects, 1, &attr, 1, &handles, &n, NULL) ==
                   CHY_OK);
        for (size_t k = 0; k < n; k++)
            is_there |= handles[k] == o->handle;
        CHY_ASSERT(is_there);
        chy_free(handles);
    }
}

static void check_object(const struct chy_p11_objects *objects, CK_OBJECT_HANDLE handle)
{
    const struct chy_p11_object *o = chy_p11_object_locked(objects, handle);
    CK_ULONG all = 0;
    CHY_ASSERT(o != NULL && o->handle == handle);
    for (CK_ATTRIBUTE_TYPE type = 0; type < ATTRIBUTES_END; type++) {
        struct chy_p11_value value = { .bytes = { NULL, 0 } };
        if (chy_p11_attribute(o, type, &value) != CKR_OK)
            continue;
        for (size_t i = 0; i < value.bytes.n; i++)
            sink = value.bytes.p[i];
        all += value.bytes.n;
    }
    CHY_ASSERT(chy_p11_attributes_size(o) >= all);
    CHY_ASSERT(o->key == NULL || chy_p11_signature_bytes(o->key) <= CHY_LIMIT_P11_RSA);
    check_found(objects, o);
}

/* Taken twice it is the same as once. */
static void check_page(const struct chy_door_key_page *page)
{
    struct chy_p11_objects objects = { 0 };
    uint64_t look = chy_p11_objects_look_locked(&objects);
    enum chy_err r = chy_p11_objects_add_locked(&objects, look, page, NULL);
    size_t n = objects.n;
    CHY_ASSERT(chy_p11_objects_add_locked(&objects, look, page, NULL) == r && objects.n == n);
    for (size_t i = 1; i <= n && i <= 64; i++)
        check_object(&objects, i);
    CHY_ASSERT(chy_p11_object_locked(&objects, n + 1) == NULL);
    chy_p11_objects_done(&objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct chy_frame frame;
    union reply reply;
    size_t used = 0;
    bool is_answered = false;
    struct chy_error err = { 0 };
    if (n == 0 ||
        chy_frame_decode((struct chy_bytes){ data + 1, n - 1 }, &frame, &used, NULL) != CHY_OK)
        return 0;
    if (used == 0)
        return 0;
    size_t i = data[0] % CHY_ARRAY_LEN(replies);
    struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    enum chy_err r = chy_guest_reply_read(&frame, replies[i].type, replies[i].schema, &arena,
                                          &reply, &is_answered, &err);
    CHY_ASSERT(r == CHY_OK || (r == err.code && chy_utf8_is_valid(chy_str_of(err.text))));
    CHY_ASSERT(!is_answered || (r != CHY_OK && frame.type == CHY_DOOR_FAILED));
    if (r == CHY_OK && replies[i].type == CHY_DOOR_KEY_PAGE)
        check_page(&reply.page);
    chy_arena_done(&arena);
    return 0;
}
