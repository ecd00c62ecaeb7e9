/* SPDX-License-Identifier: MIT */
#include "os/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/sys.h"

struct sets {
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
};

static enum chy_err fail_step(struct chy_error *err, const char *step)
{
    return chy_fail_sys(err, CHY_E_IO, errno, "cannot %s capabilities: %s", step,
                        chy_sys_text(errno));
}

static enum chy_err sets_read(struct sets *ret_sets, struct chy_error *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return fail_step(err, "read");
    *ret_sets = (struct sets){
        .effective = data[0].effective | (uint64_t)data[1].effective << 32,
        .permitted = data[0].permitted | (uint64_t)data[1].permitted << 32,
        .inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32,
    };
    return CHY_OK;
}

static enum chy_err sets_write(const struct sets *sets, struct chy_error *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = {
        { (uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable },
        { (uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32),
          (uint32_t)(sets->inheritable >> 32) },
    };
    return syscall(SYS_capset, &head, data) == 0 ? CHY_OK : fail_step(err, "give up");
}

/* The kernel says EINVAL for the first number that it does not know. A process without CAP_SETPCAP
 * cannot lower its bounding set; what it starts is then held by no_new_privs alone. */
static enum chy_err bounding_drop(uint64_t keep, struct chy_error *err)
{
    for (unsigned long i = 0; i < 64; i++) {
        int has = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
        if (has < 0)
            return CHY_OK;
        if (has == 1 && (keep >> i & 1) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 &&
            errno != EPERM)
            return fail_step(err, "give up");
    }
    return CHY_OK;
}

enum chy_err chy_capability_keep(uint64_t keep, struct chy_error *err)
{
    struct sets sets;
    CHY_TRY(sets_read(&sets, err));
    if ((sets.permitted | sets.inheritable) == 0)
        return CHY_OK;
    CHY_TRY(bounding_drop(keep, err));
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return fail_step(err, "give up ambient");
    struct sets left = { sets.permitted & keep, sets.permitted & keep, 0 };
    CHY_TRY(sets_write(&left, err));
    CHY_TRY(sets_read(&sets, err));
    if (sets.permitted != left.permitted || sets.effective != left.effective ||
        sets.inheritable != 0)
        return chy_fail(err, CHY_E_INTEGRITY, "the kernel kept capabilities that were given up");
    return CHY_OK;
}
