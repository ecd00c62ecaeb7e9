/* SPDX-License-Identifier: MIT */
/* What a restore, as root, and a start read of files that somebody may have made: the manifest of a
 * backup, whose paths stay below its folder, and the anchor, of which only a whole slot is
 * taken. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "store/anchor.h"
#include "supervisor/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/chancery-fuzz-backup-XXXXXX";

static void clean_up(void)
{
    char path[sizeof folder + sizeof MANIFEST_NAME];
    snprintf(path, sizeof path, "%s/%s", folder, MANIFEST_NAME);
    CHY_IGNORE(unlink(path)); /* the process ends */
    CHY_IGNORE(rmdir(folder));
}

static int folder_open(void)
{
    static int fd = -1;
    if (fd >= 0)
        return fd;
    CHY_ASSERT(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHY_ASSERT(fd >= 0);
    return fd;
}

static void write_all(int fd, const uint8_t *data, size_t size)
{
    CHY_ASSERT(ftruncate(fd, 0) == 0);
    CHY_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
}

static void check_path(struct chy_str path)
{
    CHY_ASSERT(path.n > 0 && path.p[0] != '/' && memchr(path.p, 0, path.n) == NULL);
    for (size_t at = 0; at < path.n;) {
        const char *slash = memchr(path.p + at, '/', path.n - at);
        size_t n = (slash != NULL ? (size_t)(slash - path.p) : path.n) - at;
        CHY_ASSERT(n != 0 && !(n == 1 && path.p[at] == '.') &&
                   !(n == 2 && path.p[at] == '.' && path.p[at + 1] == '.'));
        at += n + 1;
    }
}

static void manifest_try(const uint8_t *data, size_t size, struct chy_arena *arena)
{
    struct manifest m;
    int dir = folder_open();
    int fd = openat(dir, MANIFEST_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHY_ASSERT(fd >= 0);
    write_all(fd, data, size);
    close(fd);
    if (manifest_read(dir, arena, &m, NULL) != CHY_OK)
        return;
    for (size_t i = 0; i < m.files.n; i++)
        check_path(m.files.p[i].path);
}

static void anchor_try(const uint8_t *data, size_t size, struct chy_arena *arena)
{
    char path[32];
    struct chy_anchor *anchor = NULL;
    struct chy_bytes note;
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("anchor", MFD_CLOEXEC);
    CHY_ASSERT(fd >= 0);
    write_all(fd, data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (chy_anchor_open(path, false, &anchor, NULL) != CHY_OK)
        return;
    if (chy_anchor_read(anchor, arena, &note, NULL) == CHY_OK)
        CHY_ASSERT(note.n <= CHY_ANCHOR_NOTE_BYTES);
    chy_anchor_close(anchor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    manifest_try(data, size, &arena);
    anchor_try(data, size, &arena);
    return 0;
}
