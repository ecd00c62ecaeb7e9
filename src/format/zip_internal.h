/* SPDX-License-Identifier: MIT */
/* Where the directory of a ZIP archive is. Private to src/format. */
#pragma once

#include "format/reader.h"

#define ZIP_END_BYTES     22
#define ZIP_LOCATOR_BYTES 20
#define ZIP_END_64_BYTES  56
#define ZIP_ENTRY_BYTES   46

struct zip_directory {
    uint64_t at;
    uint64_t size;
    uint64_t n;
    uint64_t end;    /* of the end record */
    uint64_t end_64; /* of that of a big one; 0: there is none */
};

/* It lies before the end, without a gap: some readers count back from there, others go by its
 * place. False where there is none such. */
bool zip_find_directory(struct format_reader *r, struct zip_directory *ret);
