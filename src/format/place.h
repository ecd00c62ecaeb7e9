/* SPDX-License-Identifier: MIT */
/* Where in a file its signatures are, and which parts of it they cover, for the kinds that we
 * verify ourselves. What is not covered is the signatures and what they change. Pure over the
 * source. */
#pragma once

#include "format/format.h"

#define CHY_FORMAT_RANGES     4
#define CHY_FORMAT_SIGNATURES 8 /* CHY_LIMIT_CMS_SIGNERS; a UEFI binary has two at most */

struct chy_format_range {
    uint64_t offset;
    uint64_t size;
};
struct chy_format_place {
    struct chy_format_range covered[CHY_FORMAT_RANGES]; /* in order */
    size_t n_covered;
    struct chy_format_range signatures[CHY_FORMAT_SIGNATURES]; /* CMS, DER, where not said */
    size_t n_signatures;                                       /* 1 at least */
};

/* A PE. Everything up to the table of signatures but the checksum and the table's own place; the
 * table must end the file.
 * Errors: CHY_E_NOT_FOUND  it is not signed
 *         CHY_E_MALFORMED  no PE, or bytes that no signature covers, or headers that overlap
 *         CHY_E_LIMIT      more than CHY_FORMAT_SIGNATURES
 *         of the source
 * Source: "Windows Authenticode Portable Executable Signature Format", calculating the PE image
 * hash; PE Format, "the attribute certificate table". */
CHY_MUST_USE enum chy_err chy_format_pe_place(const struct chy_format_source *source,
                                              struct chy_format_place *ret_place,
                                              struct chy_error *err);

/* A Debian package: the three members of which it is made, without what ar puts between them, and
 * what debsigs adds.
 * Errors: CHY_E_NOT_FOUND  it is not signed; CHY_E_MALFORMED  other members, or no such package;
 *         CHY_E_LIMIT; of the source
 * Source: deb(5), deb-origin(5), debsigs(1) */
CHY_MUST_USE enum chy_err chy_format_deb_place(const struct chy_format_source *source,
                                               struct chy_format_place *ret_place,
                                               struct chy_error *err);

/* A module of the Linux kernel: all in front of the signature is covered.
 * Errors: CHY_E_NOT_FOUND, CHY_E_MALFORMED, of the source
 * Source: linux/include/linux/module_signature.h */
CHY_MUST_USE enum chy_err chy_format_module_place(const struct chy_format_source *source,
                                                  struct chy_format_place *ret_place,
                                                  struct chy_error *err);

/* An RPM: its main header, by the signatures over that alone (OpenPGP).
 * Errors: CHY_E_NOT_FOUND, CHY_E_MALFORMED, CHY_E_LIMIT, of the source */
CHY_MUST_USE enum chy_err chy_format_rpm_place(const struct chy_format_source *source,
                                               struct chy_format_place *ret_place,
                                               struct chy_error *err);

/* An APK: what is in front of its signing block, the directory, and the end record; the signatures
 * are the values in the block of the schemes v2, v3 and v3.1, each behind its number (u32,
 * little-endian). That of the end record which says where the directory is, is covered as if the
 * block were not there.
 * Errors: CHY_E_NOT_FOUND, CHY_E_MALFORMED, CHY_E_LIMIT, of the source
 * Source: Android's "APK Signature Scheme v2", "APK Signing Block" */
CHY_MUST_USE enum chy_err chy_format_apk_place(const struct chy_format_source *source,
                                               struct chy_format_place *ret_place,
                                               struct chy_error *err);
#define CHY_FORMAT_APK_V2   0x7109871a
#define CHY_FORMAT_APK_V3   0xf05368c0
#define CHY_FORMAT_APK_V3_1 0x1b93ad61
