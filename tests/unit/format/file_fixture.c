/* SPDX-License-Identifier: MIT */
#include "file_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void file_init(struct file *f)
{
    *f = (struct file){ .room = 4096 };
    f->p = calloc(1, f->room);
    assert_non_null(f->p);
}

void file_done(struct file *f)
{
    free(f->p);
    *f = (struct file){ 0 };
}

static uint8_t *add(struct file *f, size_t n)
{
    while (f->n + n > f->room) {
        f->room *= 2;
        f->p = realloc(f->p, f->room);
        assert_non_null(f->p);
    }
    f->n += n;
    return f->p + f->n - n;
}

void file_text(struct file *f, struct chy_str text)
{
    memcpy(add(f, text.n), text.p, text.n);
}

static void put(uint8_t *to, size_t bytes, uint64_t value, bool is_big)
{
    for (size_t i = 0; i < bytes; i++)
        to[is_big ? bytes - 1 - i : i] = (uint8_t)(value >> (8 * i));
}

void file_le(struct file *f, size_t bytes, uint64_t value)
{
    put(add(f, bytes), bytes, value, false);
}

void file_be(struct file *f, size_t bytes, uint64_t value)
{
    put(add(f, bytes), bytes, value, true);
}

void file_pad(struct file *f, size_t to)
{
    assert_true(f->n <= to);
    size_t n = to - f->n;
    memset(add(f, n), 0, n);
}

void file_set_le(struct file *f, size_t at, size_t bytes, uint64_t value)
{
    assert_true(at + bytes <= f->n);
    put(f->p + at, bytes, value, false);
}

void file_set_text(struct file *f, size_t at, struct chy_str text)
{
    assert_true(at + text.n <= f->n);
    memcpy(f->p + at, text.p, text.n);
}

static void zip_member(struct file *f, const char *name)
{
    file_text(f, CHY_STR("PK\3\4\24\0\0\0"));
    file_pad(f, f->n + 18);
    file_le(f, 2, strlen(name));
    file_le(f, 2, 0);
    file_text(f, chy_str_of(name));
}

static void zip_entry(struct file *f, const char *name)
{
    file_text(f, CHY_STR("PK\1\2\24\0\24\0"));
    file_pad(f, f->n + 20);
    file_le(f, 2, strlen(name));
    file_pad(f, f->n + 16);
    file_text(f, chy_str_of(name));
}

void file_zip(struct file *f, const char *const *names, const char *between, const char *comment)
{
    size_t count = 0;
    for (; names[count] != NULL; count++)
        zip_member(f, names[count]);
    file_text(f, chy_str_of(between));
    size_t directory = f->n;
    for (size_t i = 0; i < count; i++)
        zip_entry(f, names[i]);
    size_t size = f->n - directory;
    file_text(f, CHY_STR("PK\5\6\0\0\0\0"));
    file_le(f, 2, count);
    file_le(f, 2, count);
    file_le(f, 4, size);
    file_le(f, 4, directory);
    file_le(f, 2, strlen(comment));
    file_text(f, chy_str_of(comment));
}

static enum chy_err read_counted(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                                 struct chy_error *err)
{
    struct file *f = ctx;
    struct chy_bytes bytes = { f->p, f->n };
    assert_true(offset <= f->n && n <= f->n - offset);
    f->read += n;
    return chy_format_read_memory(&bytes, offset, to, n, ret_n, err);
}

enum chy_err file_recognize(struct file *f, const char *name, struct chy_format_facts *ret_facts,
                            struct chy_error *err)
{
    const struct chy_format_source source = { f->n, read_counted, f };
    return chy_format_recognize(&source, chy_str_of(name), ret_facts, err);
}

static struct chy_format_facts facts_of(struct file *f, const char *name, enum chy_format_kind kind)
{
    struct chy_format_facts facts;
    struct chy_error err;
    assert_int_equal(file_recognize(f, name, &facts, &err), CHY_OK);
    assert_string_equal(chy_enum_name(&chy_format_kind_enum, (int)facts.kind),
                        chy_enum_name(&chy_format_kind_enum, (int)kind));
    return facts;
}

void file_expect(struct file *f, const char *name, enum chy_format_kind kind, bool is_signed)
{
    struct chy_format_facts facts = facts_of(f, name, kind);
    assert_int_equal(facts.fault.n, 0);
    assert_int_equal(facts.is_signed, is_signed);
}

void file_expect_broken(struct file *f, const char *name, enum chy_format_kind kind)
{
    assert_int_not_equal(facts_of(f, name, kind).fault.n, 0);
}
