/* SPDX-License-Identifier: MIT */
/* A small log as an export, in memory: what the tests of the verifier change, byte by byte. */
#pragma once

#include "client/log_verify.h"
#include "log_fixture.h"
#include "proto/entry.h"

#define EXPORT_FILES   64
#define EXPORT_ORIGIN  "log.example/test"
#define EXPORT_SEED    7 /* of the log's key */
#define EXPORT_ENTRIES 700

struct export_file {
    char path[CHY_LOG_PATH_BYTES];
    struct chy_buf content;
};

struct export
{
    struct chy_hasher *hasher;
    struct chy_tlog_vkey key;
    struct export_file files[EXPORT_FILES];
    size_t n_files;
    struct chy_buf entries[EXPORT_ENTRIES]; /* the canonical bytes */
    struct chy_buf details[EXPORT_ENTRIES];
    size_t n;
};

void export_init(struct export *e);
void export_done(struct export *e);
/* The entry, with its detail record when `detail` is not NULL; sets what commits to it. */
void export_add(struct export *e, const struct chy_entry *entry,
                const struct chy_entry_detail *detail);
/* The usual five: start, an allowed intent, its outcome, a refusal, an intent without outcome. */
void export_add_usual(struct export *e);
/* `n` pairs of intent and outcome. */
void export_add_pairs(struct export *e, size_t n);
/* Write all files of the first `size` entries anew, signed. */
void export_write(struct export *e, size_t size);
struct export_file *export_find(struct export *e, const char *path); /* NULL: there is none */
void export_remove(struct export *e, const char *path);
struct chy_log_source export_source(struct export *e);

/* The signed checkpoint of the first `size` entries; the receipt of `index` at that size. */
void export_checkpoint(struct export *e, size_t size, struct chy_buf *out);
void export_receipt(struct export *e, size_t index, size_t size, struct chy_buf *out);

/* What verifying finds; the test fails when it cannot run. */
void export_verify(struct export *e, const struct chy_log_known *known, size_t n_known,
                   struct chy_log_report *report);
