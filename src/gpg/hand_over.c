/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "gpg/gpg.h"
#include "os/program.h"

/* The gpg that was handed over to. One that comes back to us, as a script that says `exec
 * chancery-gpg` does, would do so for ever: it is not asked again, but the next one in PATH. */
#define TRIED "CHANCERY_GPG_TRIED"

/* We may stand as `gpg` in PATH ourselves, by whatever name or link. */
static bool is_us(const char *path)
{
    struct stat own;
    struct stat other;
    return stat("/proc/self/exe", &own) != 0 || stat(path, &other) != 0 ||
           (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

static bool find_gpg(char *ret_path)
{
    const char *path = secure_getenv("PATH");
    const char *tried = secure_getenv(TRIED);
    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");
        char folder[CHY_LIMIT_PATH];
        if (n != 0 && n < sizeof folder) {
            chy_copy(folder, path, n);
            folder[n] = '\0';
            bool is_one = chy_program_find(folder, "gpg", ret_path) && !is_us(ret_path);
            if (is_one && tried == NULL)
                return true;
            if (is_one && chy_str_equal_c(chy_str_of(tried), ret_path))
                tried = NULL;
        }
        path += n + (path[n] == ':' ? 1 : 0);
    }
    return false;
}

enum chy_err chy_gpg_hand_over(int argc, char *const *argv, struct chy_error *err)
{
    char path[CHY_LIMIT_PATH];
    (void)argc;
    if (!find_gpg(path))
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "this is done by the real gpg, and there is none in PATH (Debian: gpg)");
    if (setenv(TRIED, path, 1) != 0) /* NOLINT: there is one thread */
        return chy_fail(err, CHY_E_NOMEM, "no memory for a variable");
    return chy_program_become(path, argv, err);
}
