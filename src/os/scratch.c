/* SPDX-License-Identifier: MIT */
#include "os/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sys.h"
#include "os/tree.h"

#define DIGITS  16
#define STALE_S 60 /* longer than anybody takes between making a folder and locking it */
#define US      INT64_C(1000000)

static enum chy_err folder_lock(const char *path, int *ret_fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_TRY(chy_dir_open(AT_FDCWD, path, &fd, err));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot lock the folder %s: %s", path,
                            chy_sys_text(errno));
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

enum chy_err chy_scratch_make(const char *path, int *ret_fd, struct chy_error *err)
{
    CHY_TRY(chy_dir_make(AT_FDCWD, path, 0700, err));
    enum chy_err r = folder_lock(path, ret_fd, err);
    if (r != CHY_OK)
        CHY_IGNORE(rmdir(path)); /* nothing is in it */
    return r;
}

static bool is_name(const char *name)
{
    static const char *const prefixes[] = { CHY_SCRATCH_PREFIX, CHY_SCRATCH_EXEC_PREFIX };
    for (size_t i = 0; i < CHY_ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (chy_str_starts(chy_str_of(name), prefixes[i]) && strlen(name) == n + DIGITS &&
            strspn(name + n, "0123456789abcdef") == DIGITS)
            return true;
    }
    return false;
}

/* Never what is locked, nor what was changed a moment ago. */
static void remove_stale(int dir_fd, const char *name)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct stat st;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0)
        return;
    if (st.st_uid == geteuid() && st.st_mtime < chy_clock_realtime_us() / US - STALE_S)
        CHY_IGNORE(chy_tree_remove(dir_fd, name, false, NULL)); /* nobody asked for it */
}

static void dir_closep(DIR **d)
{
    if (*d != NULL)
        CHY_IGNORE(closedir(*d));
}

enum chy_err chy_scratch_sweep(const char *folder, struct chy_error *err)
{
    CHY_CLEANUP(dir_closep) DIR *d = NULL;
    int fd = -1;
    CHY_TRY(chy_dir_open(AT_FDCWD, folder, &fd, err));
    d = fdopendir(fd); /* the descriptor is the stream's from here on */
    if (d == NULL) {
        chy_fd_closep(&fd);
        return chy_fail_sys(err, CHY_E_IO, errno, "cannot read the folder %s", folder);
    }
    for (;;) {
        const struct dirent *e = readdir(d); /* NOLINT: the stream is ours alone */
        if (e == NULL)
            return CHY_OK;
        if (is_name(e->d_name))
            remove_stale(fd, e->d_name);
    }
}
