/* SPDX-License-Identifier: MIT */
/* Borrowed views by value: bytes and text that somebody else owns. A view lives as long as its
 * owner says; nothing here allocates. `struct chy_str` is text with a length, not
 * NUL-terminated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct chy_bytes {
    const uint8_t *p;
    size_t n;
};

struct chy_str {
    const char *p;
    size_t n;
};

/* A view of a string literal. */
#define CHY_STR(lit) ((struct chy_str){ "" lit, sizeof(lit) - 1 })
/* For printf: `"%.*s", CHY_STR_ARG(s)`; views longer than INT_MAX are cut. */
#define CHY_STR_ARG(s) chy_str_print_len(s), ((s).p != NULL ? (s).p : "")

struct chy_str chy_str_of(const char *cstr); /* NULL gives the empty view */
int chy_str_print_len(struct chy_str s);

bool chy_str_equal(struct chy_str a, struct chy_str b);
bool chy_str_equal_c(struct chy_str a, const char *b);
bool chy_str_starts(struct chy_str s, const char *prefix);
bool chy_str_ends(struct chy_str s, const char *suffix);
/* What stands behind the last slash: all of it where there is none. */
struct chy_str chy_str_base_name(struct chy_str path);
/* <0, 0, >0 like memcmp, the shorter first among equals. */
int chy_str_compare(struct chy_str a, struct chy_str b);
/* Not for secrets: time depends on the content. chy_ct_equal() is for those. */
bool chy_bytes_equal(struct chy_bytes a, struct chy_bytes b);
int chy_bytes_compare(struct chy_bytes a, struct chy_bytes b);

static inline struct chy_bytes chy_str_bytes(struct chy_str s)
{
    return (struct chy_bytes){ (const uint8_t *)s.p, s.n };
}

static inline struct chy_str chy_bytes_str(struct chy_bytes b)
{
    return (struct chy_str){ (const char *)b.p, b.n };
}

/* memcpy that takes (NULL, 0). */
void chy_copy(void *to, const void *from, size_t n);

/* Length in bytes of the well-formed UTF-8 character at the start of `s`; 0 if there is none.
 * Source: RFC 3629 section 4 (no surrogates, no overlong forms, at most U+10FFFF). */
size_t chy_utf8_char(struct chy_str s);
bool chy_utf8_is_valid(struct chy_str s);
/* Valid UTF-8 without control characters (U+0000 to U+001F, U+007F): a name or a one-line text. */
bool chy_text_is_plain(struct chy_str s);
