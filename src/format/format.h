/* SPDX-License-Identifier: MIT */
/* What a file is that somebody wants signed or verified: one table, one small function a kind. What
 * is looked at is headers, directories and tails, through a reader that counts what it reads; a
 * hostile file costs a bounded time, and no memory but the stack.
 *
 * Recognition is no verification: `is_signed` says that a signature has its place in the file, not
 * that it is good. Pure over the source; files of strangers are read in a sandbox
 * (client/artifact.h). */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/schema.h"

enum chy_format_kind {
    CHY_FORMAT_UNKNOWN, /* anything else */
    CHY_FORMAT_JAR,
    CHY_FORMAT_WAR,
    CHY_FORMAT_EAR,
    CHY_FORMAT_APK,
    CHY_FORMAT_MSIX, /* and APPX, and bundles of either */
    CHY_FORMAT_NUGET,
    CHY_FORMAT_ZIP, /* none of those above */
    CHY_FORMAT_PE,
    CHY_FORMAT_EFI, /* a PE whose subsystem is one of UEFI's */
    CHY_FORMAT_MSI, /* and patches and transforms */
    CHY_FORMAT_CAB,
    CHY_FORMAT_CAT,
    CHY_FORMAT_POWERSHELL,
    CHY_FORMAT_RPM,
    CHY_FORMAT_DEB,
    CHY_FORMAT_MODULE, /* of the Linux kernel */
    CHY_FORMAT_FIT,
    CHY_FORMAT_XML,
};
/* Their names, as policies call them (artifact.type): "jar", "pe", … */
extern const struct chy_enum chy_format_kind_enum;

/* Where the bytes come from. `read` puts up to `n` bytes at `offset` into `to`; fewer only at the
 * end. */
typedef enum chy_err chy_format_read_fn(void *ctx, uint64_t offset, void *to, size_t n,
                                        size_t *ret_n, struct chy_error *err);

struct chy_format_source {
    uint64_t size_bytes;
    chy_format_read_fn *read;
    void *ctx;
};

/* A source in memory: `ctx` is a struct chy_bytes *. */
chy_format_read_fn chy_format_read_memory;

struct chy_format_facts {
    enum chy_format_kind kind;
    bool is_signed;       /* there is something where this kind keeps its signature */
    bool is_by_name;      /* the name alone says what it is: scripts have no header */
    struct chy_str fault; /* it begins as its kind and is broken; empty: it is not. Static */
};
extern const struct chy_schema chy_format_facts_schema;

/* `name` is the file's, for kinds that are known by it; may be empty.
 * Errors: CHY_E_LIMIT  the file makes a reader go on past CHY_LIMIT_FORMAT_READ
 *         of the source's `read` */
CHY_MUST_USE enum chy_err chy_format_recognize(const struct chy_format_source *source,
                                               struct chy_str name,
                                               struct chy_format_facts *ret_facts,
                                               struct chy_error *err);
