/* SPDX-License-Identifier: MIT */
#include "os/user.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sys.h"
#include "os/tree.h"

#define USER_BYTES 16384 /* for getpwnam_r: a line of the user database */

enum chy_err chy_user_find(const char *name, struct chy_user_ids *ret_ids, struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *text = chy_malloc(USER_BYTES);
    if (text == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a user's data");
    struct passwd pw;
    struct passwd *found = NULL;
    int e = getpwnam_r(name, &pw, text, USER_BYTES, &found);
    if (found == NULL)
        return chy_fail_sys(err, CHY_E_NOT_FOUND, e, "there is no system user \"%s\"", name);
    *ret_ids = (struct chy_user_ids){ found->pw_uid, found->pw_gid };
    return CHY_OK;
}

enum chy_err chy_user_name(uid_t uid, char ret_name[CHY_USER_NAME_BYTES], struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *text = chy_malloc(USER_BYTES);
    if (text == NULL)
        return chy_fail(err, CHY_E_NOMEM, "out of memory for a user's data");
    struct passwd pw;
    struct passwd *found = NULL;
    int e = getpwuid_r(uid, &pw, text, USER_BYTES, &found);
    size_t n = found != NULL ? strlen(found->pw_name) : 0;
    if (n == 0 || n >= CHY_USER_NAME_BYTES)
        return chy_fail_sys(err, CHY_E_NOT_FOUND, e, "user %u has no name", (unsigned)uid);
    memcpy(ret_name, found->pw_name, n + 1);
    return CHY_OK;
}

void chy_host_name(char ret_name[CHY_HOST_NAME_BYTES])
{
    if (gethostname(ret_name, CHY_HOST_NAME_BYTES) != 0 ||
        memchr(ret_name, '\0', CHY_HOST_NAME_BYTES) == NULL)
        ret_name[0] = '\0';
    for (char *p = ret_name; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
    if (!chy_text_is_plain(chy_str_of(ret_name)))
        ret_name[0] = '\0';
}

struct owning {
    struct chy_user_ids owner;
    mode_t dir_mode;
    mode_t file_mode;
};

static enum chy_err fail_own(struct chy_error *err, const char *path)
{
    return chy_fail_sys(err, CHY_E_IO, errno, "cannot change the owner of %s: %s", path,
                        chy_sys_text(errno));
}

/* By descriptor: what is changed is what was looked at. The mode comes after the owner, whose
 * change may take bits of it away. */
static enum chy_err entry_own(const struct owning *o, int dir_fd, const char *path, bool is_dir,
                              struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int fd = openat(dir_fd, path,
                    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (is_dir ? O_DIRECTORY : 0));
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_own(err, path);
    if (!is_dir && !S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_IO, "%s is neither a file nor a folder", path);
    if (fchown(fd, o->owner.uid, o->owner.gid) != 0 ||
        fchmod(fd, is_dir ? o->dir_mode : o->file_mode) != 0)
        return fail_own(err, path);
    return CHY_OK;
}

static enum chy_err on_entry(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                             struct chy_error *err)
{
    return entry_own(ctx, dir_fd, entry->path, entry->kind == CHY_TREE_DIR, err);
}

enum chy_err chy_tree_own(int dir_fd, const char *path, struct chy_user_ids owner, mode_t dir_mode,
                          mode_t file_mode, struct chy_error *err)
{
    struct owning o = { owner, dir_mode, file_mode };
    CHY_TRY(chy_tree_walk(dir_fd, path, on_entry, &o, err));
    return entry_own(&o, dir_fd, path, true, err);
}
