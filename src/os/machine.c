/* SPDX-License-Identifier: MIT */
#include "os/machine.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include "os/sys.h"

enum chy_err chy_disk_room(const char *path, struct chy_disk_room *ret_room, struct chy_error *err)
{
    struct statvfs s;
    if (statvfs(path, &s) != 0)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "cannot ask for the room at %s: %s",
                            path, chy_sys_text(errno));
    *ret_room = (struct chy_disk_room){
        .free_bytes = (uint64_t)s.f_bavail * s.f_frsize,
        .size_bytes = (uint64_t)s.f_blocks * s.f_frsize,
        .free_files = s.f_files != 0 ? s.f_favail : UINT64_MAX,
    };
    return CHY_OK;
}

bool chy_clock_is_kept(void)
{
    struct timex t = { .modes = 0 };
    int state = adjtimex(&t);
    return state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0;
}
