/* SPDX-License-Identifier: MIT */
#include "plugin/message.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "os/file_stream.h"

#define READ_PART 65536

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for what is to be signed");
}

/* All of `fd` through the hasher; the first bytes stay in `start`, one more than would be kept. */
static enum chy_err hash_all(int fd, struct chy_hasher *hasher, struct chy_buf *start,
                             struct chy_arena *arena, uint64_t *ret_size, struct chy_error *err)
{
    uint8_t *part = chy_arena_array(arena, uint8_t, READ_PART);
    uint64_t size = 0;
    if (part == NULL)
        return no_memory(err);
    for (;;) {
        size_t n = 0;
        CHY_TRY(chy_fd_read(fd, part, READ_PART, &n, err));
        if (n == 0)
            break;
        chy_hasher_add(hasher, (struct chy_bytes){ part, n });
        size += n;
        if (size <= CHY_LIMIT_CONTENT)
            chy_buf_append(start, (struct chy_bytes){ part, n });
    }
    *ret_size = size;
    return chy_buf_check(start, err);
}

enum chy_err chy_message_read(int fd, enum chy_hash_alg hash, struct chy_arena *arena,
                              struct chy_message *ret_message, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf start;
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    struct chy_message m = { .size_bytes = 0 };
    uint8_t *digest = chy_arena_array(arena, uint8_t, CHY_LIMIT_DIGEST);
    chy_buf_init(&start, CHY_LIMIT_CONTENT);
    if (digest == NULL)
        return no_memory(err);
    CHY_TRY(chy_hasher_new(hash, &hasher, err));
    CHY_TRY(hash_all(fd, hasher, &start, arena, &m.size_bytes, err));
    chy_hasher_end(hasher, digest);
    m.digest = (struct chy_bytes){ digest, chy_hash_alg_bytes(hash) };
    if (m.size_bytes != 0 && m.size_bytes <= CHY_LIMIT_CONTENT) {
        m.content = chy_arena_bytes(arena, chy_buf_bytes(&start));
        if (m.content.p == NULL)
            return no_memory(err);
    }
    *ret_message = m;
    return CHY_OK;
}

enum chy_err chy_message_of(struct chy_bytes bytes, enum chy_hash_alg hash, struct chy_arena *arena,
                            struct chy_message *ret_message, struct chy_error *err)
{
    uint8_t *digest = chy_arena_array(arena, uint8_t, CHY_LIMIT_DIGEST);
    if (digest == NULL)
        return no_memory(err);
    CHY_TRY(chy_hash(hash, bytes, digest, err));
    *ret_message = (struct chy_message){
        .digest = { digest, chy_hash_alg_bytes(hash) },
        .content = bytes.n <= CHY_LIMIT_CONTENT ? bytes : (struct chy_bytes){ 0 },
        .size_bytes = bytes.n,
    };
    return CHY_OK;
}

enum chy_err chy_message_put(const struct chy_message *message, struct chy_sign_item *item,
                             struct chy_error *err)
{
    if (!chy_sign_alg_takes_message(item->algorithm)) {
        item->digest = message->digest;
        item->content = message->content;
        item->hashed_by = CHY_HASHED_BY_CLIENT;
        return CHY_OK;
    }
    if (message->size_bytes > CHY_LIMIT_CONTENT)
        return chy_fail(err, CHY_E_LIMIT, "%s signs %d bytes at most, these are %llu",
                        chy_enum_name(&chy_sign_alg_enum, (int)item->algorithm), CHY_LIMIT_CONTENT,
                        (unsigned long long)message->size_bytes);
    item->message = message->content;
    item->hashed_by = CHY_HASHED_BY_NOBODY;
    return CHY_OK;
}

enum chy_err chy_input_read(int fd, size_t max_bytes, struct chy_arena *arena,
                            struct chy_bytes *ret_bytes, struct chy_error *err)
{
    uint8_t *all = chy_arena_array(arena, uint8_t, max_bytes + 1);
    size_t size = 0;
    if (all == NULL)
        return no_memory(err);
    while (size <= max_bytes) {
        size_t n = 0;
        CHY_TRY(chy_fd_read(fd, all + size, max_bytes + 1 - size, &n, err));
        if (n == 0)
            break;
        size += n;
    }
    if (size > max_bytes)
        return chy_fail(err, CHY_E_LIMIT, "the request is over %zu bytes", max_bytes);
    *ret_bytes = (struct chy_bytes){ all, size };
    return CHY_OK;
}
