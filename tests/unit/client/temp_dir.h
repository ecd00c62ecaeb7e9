/* SPDX-License-Identifier: MIT */
/* A folder of a test's own, removed with all that is in it. */
#pragma once

struct temp_dir {
    char path[64];
    int fd;
};

void temp_dir_make(struct temp_dir *d);
void temp_dir_remove(struct temp_dir *d);
