/* SPDX-License-Identifier: MIT */
#include "agent/programs.h"

#include <pthread.h>

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "os/file.h"
#include "os/file_stamp.h"

#define SLOTS     64 /* programs that sign on one machine; past it the oldest is read again */
#define READ_PART 65536

struct slot {
    struct chy_file_stamp file;
    uint8_t digest[CHY_HASH_BYTES];
    bool is_used;
};

struct chy_programs {
    pthread_mutex_t mutex; /* of the slots; nothing is locked under it */
    struct slot slots[SLOTS];
    size_t next;
};

enum chy_err chy_programs_new(struct chy_programs **ret_programs, struct chy_error *err)
{
    struct chy_programs *p = chy_new(struct chy_programs);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for hashes of programs");
    CHY_ASSERT(pthread_mutex_init(&p->mutex, NULL) == 0);
    *ret_programs = p;
    return CHY_OK;
}

void chy_programs_free(struct chy_programs *p)
{
    if (p == NULL)
        return;
    CHY_ASSERT(pthread_mutex_destroy(&p->mutex) == 0);
    chy_free(p);
}

void chy_programs_freep(struct chy_programs **p)
{
    chy_programs_free(*p);
}

static bool find(struct chy_programs *p, const struct chy_file_stamp *file,
                 uint8_t ret_digest[CHY_HASH_BYTES])
{
    bool is_found = false;
    CHY_ASSERT(pthread_mutex_lock(&p->mutex) == 0);
    for (size_t i = 0; i < SLOTS && !is_found; i++) {
        is_found = p->slots[i].is_used && chy_file_stamp_is_same(&p->slots[i].file, file);
        if (is_found)
            chy_copy(ret_digest, p->slots[i].digest, CHY_HASH_BYTES);
    }
    CHY_ASSERT(pthread_mutex_unlock(&p->mutex) == 0);
    return is_found;
}

static void keep(struct chy_programs *p, const struct chy_file_stamp *file,
                 const uint8_t digest[CHY_HASH_BYTES])
{
    CHY_ASSERT(pthread_mutex_lock(&p->mutex) == 0);
    struct slot *slot = &p->slots[p->next];
    p->next = (p->next + 1) % SLOTS;
    slot->file = *file;
    slot->is_used = true;
    chy_copy(slot->digest, digest, CHY_HASH_BYTES);
    CHY_ASSERT(pthread_mutex_unlock(&p->mutex) == 0);
}

static enum chy_err hash_file(int fd, uint64_t size_bytes, uint8_t ret_digest[CHY_HASH_BYTES],
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    CHY_CLEANUP(chy_freep) uint8_t *part = chy_malloc(READ_PART);
    if (part == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to read a program");
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &hasher, err));
    for (uint64_t at = 0; at < size_bytes;) {
        size_t n = 0;
        CHY_TRY(chy_file_pread(fd, part, READ_PART, at, &n, err));
        if (n == 0)
            return chy_fail(err, CHY_E_CONFLICT, "a program became shorter while it was read");
        chy_hasher_add(hasher, (struct chy_bytes){ part, n });
        at += n;
    }
    chy_hasher_end(hasher, ret_digest);
    return CHY_OK;
}

enum chy_err chy_programs_sha256(struct chy_programs *p, int fd, uint8_t ret_digest[CHY_HASH_BYTES],
                                 struct chy_error *err)
{
    struct chy_file_stamp before;
    struct chy_file_stamp after;
    uint8_t digest[CHY_HASH_BYTES];
    CHY_TRY(chy_file_stamp_of(fd, &before, err));
    if (find(p, &before, ret_digest))
        return CHY_OK;
    if (before.size_bytes > CHY_LIMIT_PROGRAM)
        return chy_fail(err, CHY_E_LIMIT, "a program of %llu bytes, %d are the most",
                        (unsigned long long)before.size_bytes, CHY_LIMIT_PROGRAM);
    CHY_TRY(hash_file(fd, before.size_bytes, digest, err));
    CHY_TRY(chy_file_stamp_of(fd, &after, err));
    if (!chy_file_stamp_is_same(&before, &after))
        return chy_fail(err, CHY_E_CONFLICT, "a program changed while it was read");
    keep(p, &before, digest);
    chy_copy(ret_digest, digest, sizeof digest);
    return CHY_OK;
}
