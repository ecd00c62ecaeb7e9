/* SPDX-License-Identifier: MIT */
/* Tiny files of each kind, made byte by byte. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "format/format.h"

struct file {
    uint8_t *p;
    size_t n;
    size_t room;
    size_t read; /* bytes that were asked for */
};

void file_init(struct file *f);
void file_done(struct file *f);

void file_text(struct file *f, struct chy_str text);
void file_le(struct file *f, size_t bytes, uint64_t value);
void file_be(struct file *f, size_t bytes, uint64_t value);
/* Zeros up to this place. */
void file_pad(struct file *f, size_t to);
/* Change what stands there. */
void file_set_le(struct file *f, size_t at, size_t bytes, uint64_t value);
void file_set_text(struct file *f, size_t at, struct chy_str text);

/* An archive with a member of each name (empty, stored) and `between` before the directory. */
void file_zip(struct file *f, const char *const *names, const char *between, const char *comment);

enum chy_err file_recognize(struct file *f, const char *name, struct chy_format_facts *ret_facts,
                            struct chy_error *err);
/* Asserts the kind, that nothing is broken, and whether it is signed. */
void file_expect(struct file *f, const char *name, enum chy_format_kind kind, bool is_signed);
/* Asserts the kind and that it is broken. */
void file_expect_broken(struct file *f, const char *name, enum chy_format_kind kind);
