/* SPDX-License-Identifier: MIT */
/* The program's own definitions stand before those of libc, for libsqlite3 as well. Offsets of 64
 * bits make pwrite() and the like these. */
#include "failing_io.h"

#undef _FORTIFY_SOURCE /* it has the headers define what is defined here */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

static atomic_size_t calls_left = SIZE_MAX;
static atomic_bool is_over; /* one failure was enough */
static atomic_bool is_sync; /* no other calls fail */
static atomic_bool has_failed;

void failing_io_after(size_t n, enum failing_io_mode mode)
{
    atomic_store(&has_failed, false);
    atomic_store(&is_over, mode != FAILING_IO_EVER);
    atomic_store(&is_sync, mode == FAILING_IO_SYNC);
    atomic_store(&calls_left, n);
}

bool failing_io_has_failed(void)
{
    return atomic_load(&has_failed);
}

static bool next_fails(void)
{
    size_t left = atomic_load(&calls_left);
    if (left == SIZE_MAX)
        return false;
    if (left != 0) {
        atomic_store(&calls_left, left - 1);
        return false;
    }
    atomic_store(&has_failed, true);
    if (atomic_load(&is_over))
        atomic_store(&calls_left, SIZE_MAX);
    errno = EIO;
    return true;
}

static bool fails(void)
{
    return !atomic_load(&is_sync) && next_fails();
}

/* libc's own; a cast from void * to a function is no C. */
#define LIBC(name)                                           \
    static __typeof__(&(name)) real;                         \
    if (real == NULL) {                                      \
        void *symbol = dlsym(RTLD_NEXT, #name);              \
        if (symbol == NULL)                                  \
            abort();                                         \
        memcpy((void *)&real, (void *)&symbol, sizeof real); \
    }

CHY_PUBLIC ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
    LIBC(pwrite64)
    if (!fails())
        return real(fd, bytes, n, offset);
    CHY_IGNORE(real(fd, bytes, n / 2, offset)); /* it fails either way */
    errno = EIO;
    return -1;
}

CHY_PUBLIC ssize_t pread64(int fd, void *bytes, size_t n, off64_t offset)
{
    LIBC(pread64)
    return fails() ? -1 : real(fd, bytes, n, offset);
}

/* Sockets, pipes and event descriptors are no disks. */
CHY_PUBLIC ssize_t write(int fd, const void *bytes, size_t n)
{
    LIBC(write)
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !fails())
        return real(fd, bytes, n);
    CHY_IGNORE(real(fd, bytes, n / 2)); /* it fails either way */
    errno = EIO;
    return -1;
}

CHY_PUBLIC int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    LIBC(renameat2)
    return fails() ? -1 : real(from_fd, from, to_fd, to, flags);
}

CHY_PUBLIC int rename(const char *from, const char *to)
{
    LIBC(rename)
    return fails() ? -1 : real(from, to);
}

CHY_PUBLIC int ftruncate64(int fd, off64_t size)
{
    LIBC(ftruncate64)
    return fails() ? -1 : real(fd, size);
}

/* Counted, and no more: nobody cuts the power here, and a slow disk would make the tests slow. */
CHY_PUBLIC int fsync(int fd)
{
    (void)fd;
    return next_fails() ? -1 : 0;
}

CHY_PUBLIC int fdatasync(int fd)
{
    (void)fd;
    return next_fails() ? -1 : 0;
}
