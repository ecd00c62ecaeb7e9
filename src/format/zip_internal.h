/* SPDX-License-Identifier: MIT */
/* Where the directory of a ZIP archive is, and what one entry of it says. Private to src/format. */
#pragma once

#include "format/reader.h"

#define ZIP_END_BYTES     22
#define ZIP_LOCATOR_BYTES 20
#define ZIP_END_64_BYTES  56
#define ZIP_ENTRY_BYTES   46
#define ZIP_HEAD_BYTES    30

#define ZIP_FLAG_ENCRYPTED 1
/* they stand behind the data, in 12 to 24 bytes, and not in the head */
#define ZIP_FLAG_SIZES 8

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

struct zip_entry {
    uint64_t at; /* in the directory */
    uint64_t size;
    uint64_t place; /* of its head */
    uint64_t data_size;
    uint64_t full_size;
    uint32_t crc;
    uint16_t flags;
    uint16_t method;
    size_t name_size;
};
/* False where there is none, or it ends behind the directory. */
bool zip_entry_read(struct format_reader *r, const struct zip_directory *d, uint64_t at,
                    struct zip_entry *ret);

/* In the `n` bytes of extra fields at `at`: what stands for those of `numbers` that have no room in
 * 32 bits, in their order (APPNOTE, section 4.5.3). False where it is too short. */
bool zip_extra_64_read(struct format_reader *r, uint64_t at, uint64_t n, uint64_t *const *numbers,
                       size_t n_numbers);

/* Where the signing block of an APK begins, which ends at the directory; the directory's own place
 * where there is none. False: what is there does not hold together. */
bool zip_signing_block(struct format_reader *r, uint64_t directory, uint64_t *ret_start);
