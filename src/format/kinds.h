/* SPDX-License-Identifier: MIT */
/* The functions of the table, one for each family of kinds. Private to src/format. */
#pragma once

#include "format/reader.h"

/* Whether the file is of this family; then `facts` says what exactly. What cannot be read is taken
 * for not there: format.c tells an error of the reader. */
typedef bool format_recognize_fn(struct format_reader *r, struct chy_str name,
                                 struct chy_format_facts *facts);

format_recognize_fn format_zip;
format_recognize_fn format_pe;
format_recognize_fn format_ole;
format_recognize_fn format_cab;
format_recognize_fn format_catalog;
format_recognize_fn format_rpm;
format_recognize_fn format_deb;
format_recognize_fn format_elf;
format_recognize_fn format_fit;
format_recognize_fn format_script;
format_recognize_fn format_xml;

/* Whether a name ends with ".ending", in either case. */
bool format_name_ends(struct chy_str name, const char *ending);

/* It is one of these, and broken. `text` is a literal. */
#define FORMAT_BROKEN(facts, text) ((facts)->fault = CHY_STR(text), true)
