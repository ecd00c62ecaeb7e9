/* SPDX-License-Identifier: MIT */
/* For tests and fuzz targets: every schema of src/proto, random values of them, and their
 * comparison. */
#pragma once

#include "base/arena.h"
#include "codec/schema.h"

extern const struct chy_schema *const values_schemas[];
extern const size_t values_schemas_n;

enum {
    /* What JSON can carry: fields of the path and of ours alone stay zero, numbers are at most
     * INT64_MAX, times within the year 9999, names of maps differ. */
    VALUES_FOR_DOCUMENT = 1u << 0,
};

/* splitmix64: the same numbers from the same seed, everywhere. */
uint64_t values_next(uint64_t *seed);

/* Fill `ret_value` with what the schema allows. Aborts when the arena is full. */
void values_random(const struct chy_schema *schema, uint64_t *seed, unsigned flags,
                   struct chy_arena *arena, void *ret_value);

/* Field by field, following pointers; fields with a flag of `but` are not looked at. */
bool values_equal(const struct chy_schema *schema, const void *a, const void *b, uint32_t but);
