/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"

struct chy_secret {
    uint8_t *pages;
    size_t pages_bytes;
    size_t cap;
    size_t n;
};

enum chy_err chy_secret_new(size_t cap, struct chy_secret **ret_secret, struct chy_error *err)
{
    if (cap == 0 || cap > CHY_LIMIT_SECRET)
        return chy_fail(err, CHY_E_ARG, "a secret of %zu bytes, expected 1 to %d", cap,
                        CHY_LIMIT_SECRET);
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *s = chy_new(struct chy_secret);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a secret");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (cap + page - 1) / page * page;
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return chy_fail_sys(err, CHY_E_NOMEM, errno, "cannot map memory for a secret");
    s->pages = pages;
    s->pages_bytes = bytes;
    s->cap = cap;
    if (mlock(pages, bytes) != 0)
        return chy_fail_sys(err, CHY_E_NOMEM, errno,
                            "cannot lock memory for a secret; raise RLIMIT_MEMLOCK");
    if (madvise(pages, bytes, MADV_DONTDUMP) != 0 || madvise(pages, bytes, MADV_WIPEONFORK) != 0)
        return chy_fail_sys(err, CHY_E_NOMEM, errno, "cannot keep a secret out of dumps and forks");
    *ret_secret = CHY_TAKE(s);
    return CHY_OK;
}

void chy_secret_free(struct chy_secret *s)
{
    if (s == NULL)
        return;
    if (s->pages != NULL) {
        chy_wipe(s->pages, s->pages_bytes);
        /* Unmapping what was mapped with these very values cannot fail. */
        CHY_IGNORE(munmap(s->pages, s->pages_bytes));
    }
    chy_free(s);
}

void chy_secret_freep(struct chy_secret **s)
{
    chy_secret_free(*s);
    *s = NULL;
}

uint8_t *chy_secret_room(struct chy_secret *s)
{
    return s->pages;
}

size_t chy_secret_cap(const struct chy_secret *s)
{
    return s->cap;
}

void chy_secret_set_len(struct chy_secret *s, size_t n)
{
    CHY_ASSERT(n <= s->cap);
    s->n = n;
}

struct chy_bytes chy_secret_bytes(const struct chy_secret *s)
{
    return (struct chy_bytes){ s->pages, s->n };
}
