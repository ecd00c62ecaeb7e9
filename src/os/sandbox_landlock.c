/* SPDX-License-Identifier: MIT */
/* Landlock by its three system calls. Debian 12's kernel headers (6.1) end at ABI 2, running
 * kernels do not; the numbers here are from the kernel's include/uapi/linux/landlock.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/sandbox_parts.h"
#include "os/sys.h"

#define CREATE_VERSION    1u
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE          (1ull << 0)
#define FS_WRITE_FILE       (1ull << 1)
#define FS_READ_FILE        (1ull << 2)
#define FS_READ_DIR         (1ull << 3)
#define FS_REMOVE_DIR       (1ull << 4)
#define FS_REMOVE_FILE      (1ull << 5)
#define FS_MAKE_DIR         (1ull << 7)
#define FS_MAKE_REG         (1ull << 8)
#define FS_MAKE_SOCK        (1ull << 9)
#define FS_ALL_1            ((1ull << 13) - 1) /* ABI 1: with devices, FIFOs and symbolic links */
#define FS_REFER            (1ull << 13)       /* ABI 2 */
#define FS_TRUNCATE         (1ull << 14)       /* ABI 3 */
#define FS_IOCTL_DEV        (1ull << 15)       /* ABI 5 */
#define NET_BIND_TCP        (1ull << 0)        /* ABI 4 */
#define NET_CONNECT_TCP     (1ull << 1)
#define SCOPE_ABSTRACT_UNIX (1ull << 0) /* ABI 6 */
#define SCOPE_SIGNAL        (1ull << 1)

/* Rights that a rule for a single file, not a folder, may have. */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed)); /* the kernel's layout */

static int abi_ask(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t fs_known(int abi)
{
    uint64_t known = FS_ALL_1;
    if (abi >= 2)
        known |= FS_REFER;
    if (abi >= 3)
        known |= FS_TRUNCATE;
    if (abi >= 5)
        known |= FS_IOCTL_DEV;
    return known;
}

static uint64_t fs_of_rights(unsigned rights)
{
    uint64_t fs = 0;
    if ((rights & CHY_PATH_READ) != 0)
        fs |= FS_READ_FILE | FS_READ_DIR;
    if ((rights & CHY_PATH_WRITE) != 0)
        fs |= FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
              FS_MAKE_SOCK | FS_REFER | FS_TRUNCATE | FS_IOCTL_DEV;
    if ((rights & CHY_PATH_EXEC) != 0)
        fs |= FS_EXECUTE;
    return fs;
}

static enum chy_err rule_add(int ruleset_fd, const struct chy_sandbox *s,
                             const struct chy_sandbox_path *path, uint64_t handled,
                             struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && path->is_optional)
        return CHY_OK;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "sandbox of %s: cannot open %s: %s",
                            s->name, path->path, chy_sys_text(errno));
    struct path_beneath_attr rule = { .allowed_access = fs_of_rights(path->rights) & handled,
                                      .parent_fd = fd };
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= FS_OF_FILES;
    if (rule.allowed_access == 0)
        return CHY_OK;
    if (syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "sandbox of %s: no rule for %s: %s", s->name,
                            path->path, chy_sys_text(errno));
    return CHY_OK;
}

static struct ruleset_attr attr_make(const struct chy_sandbox *s, int abi)
{
    struct ruleset_attr attr = { .handled_access_fs = 0 };
    if (s->limits_files && !chy_sandbox_is_loose())
        attr.handled_access_fs = fs_known(abi);
    if (abi >= 4 && !s->may_bind_tcp)
        attr.handled_access_net |= NET_BIND_TCP;
    if (abi >= 4 && !s->may_connect_tcp)
        attr.handled_access_net |= NET_CONNECT_TCP;
    if (abi >= 6)
        attr.scoped = SCOPE_SIGNAL | (s->may_use_abstract_sockets ? 0 : SCOPE_ABSTRACT_UNIX);
    return attr;
}

enum chy_err chy_sandbox_landlock_make(const struct chy_sandbox *sandbox, int *ret_fd,
                                       struct chy_sandbox_result *result, struct chy_error *err)
{
    int abi = abi_ask();
    struct ruleset_attr attr = attr_make(sandbox, abi);
    result->landlock_abi = abi;
    if (abi == 0 || (attr.handled_access_fs | attr.handled_access_net | attr.scoped) == 0)
        return CHY_OK;
    /* An older kernel takes a longer struct whose tail is zero; so one size does for all. */
    CHY_CLEANUP(chy_fd_closep)
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "sandbox of %s: no Landlock rules: %s",
                            sandbox->name, chy_sys_text(errno));
    for (size_t i = 0; attr.handled_access_fs != 0 && i < sandbox->path_count; i++)
        CHY_TRY(rule_add(fd, sandbox, &sandbox->paths[i], attr.handled_access_fs, err));
    result->limits_files = attr.handled_access_fs != 0;
    result->limits_tcp = attr.handled_access_net != 0;
    result->limits_scope = attr.scoped != 0;
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_sandbox_landlock_enter(int ruleset_fd, struct chy_error *err)
{
    if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot enter the Landlock rules: %s",
                            chy_sys_text(errno));
    return CHY_OK;
}
