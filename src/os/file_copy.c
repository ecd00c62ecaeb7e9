/* SPDX-License-Identifier: MIT */
#include "os/file_copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "os/file.h"
#include "os/sys.h"

#define KERNEL_BYTES ((size_t)1 << 30) /* of one call: it cannot be interrupted */
#define PART_BYTES   8192

static enum chy_err fail(struct chy_error *err)
{
    return chy_fail_sys(err, CHY_E_IO, errno, "cannot copy a file: %s", chy_sys_text(errno));
}

static bool clone(int from, int to, uint64_t *ret_size)
{
    struct stat st;
    if (ioctl(to, FICLONE, from) != 0 || fstat(to, &st) != 0)
        return false;
    *ret_size = (uint64_t)st.st_size;
    return true;
}

/* Between these two the kernel does not. */
static bool is_refused(int e)
{
    return e == EXDEV || e == EINVAL || e == ENOSYS || e == EOPNOTSUPP || e == EBADF || e == EPERM;
}

static enum chy_err part_write(int to, const uint8_t *part, size_t n, uint64_t at,
                               struct chy_error *err)
{
    for (size_t done = 0; done != n;) {
        ssize_t w = pwrite(to, part + done, n - done, (off_t)(at + done));
        if (w < 0 && errno != EINTR)
            return fail(err);
        done += w > 0 ? (size_t)w : 0;
    }
    return CHY_OK;
}

static enum chy_err part_copy(int from, int to, uint64_t at, size_t want, size_t *ret_n,
                              struct chy_error *err)
{
    uint8_t part[PART_BYTES];
    off_t in = (off_t)at;
    off_t out = (off_t)at;
    ssize_t n = copy_file_range(from, &in, to, &out, want, 0);
    if (n > 0) {
        *ret_n = (size_t)n;
        return CHY_OK;
    }
    if (n < 0 && !is_refused(errno))
        return fail(err);
    /* Some file systems of the kernel's own say that there is nothing, and there is. */
    CHY_TRY(chy_file_pread(from, part, CHY_MIN(want, sizeof part), at, ret_n, err));
    return part_write(to, part, *ret_n, at, err);
}

enum chy_err chy_fd_copy(int from, int to, uint64_t max_bytes, uint64_t *ret_size_bytes,
                         struct chy_error *err)
{
    uint64_t size = 0;
    bool is_cloned = clone(from, to, &size);
    for (size_t n = 1; !is_cloned && n != 0 && size <= max_bytes; size += n) {
        /* One byte past the most tells that there is more. */
        size_t want = (size_t)CHY_MIN(max_bytes - size + 1, (uint64_t)KERNEL_BYTES);
        CHY_TRY(part_copy(from, to, size, want, &n, err));
    }
    if (size > max_bytes)
        return chy_fail(err, CHY_E_LIMIT, "a file of more than %llu bytes",
                        (unsigned long long)max_bytes);
    *ret_size_bytes = size;
    return CHY_OK;
}
