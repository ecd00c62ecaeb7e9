/* SPDX-License-Identifier: MIT */
/* Files of the forms that chancery verify reads itself: who may sign them, and what is found. */
#pragma once

#include "client/verify.h"
#include "cms_fixture.h"

struct forms {
    struct chy_arena arena;
    struct chy_error err;
    struct cms_party root;
    struct cms_party signer; /* by the root */
    struct cms_party other;  /* by itself */
    struct chy_trust trust;  /* the root */
    struct chy_verify_found found;
};

/* Once, for all tests: parties take time to make. Then for each. */
void forms_make(struct forms *f);
void forms_done(struct forms *f);
void forms_begin(struct forms *f);
void forms_end(struct forms *f);

void forms_trust(struct forms *f, const struct cms_party *party);
/* CMS by the party over `content` (inside) of this type, "1.2.840.113549.1.7.1" for plain data. */
struct chy_buf forms_sign(const struct cms_party *party, struct chy_bytes content,
                          const char *type);
/* What is found of a file with this content, here and in the child, which must agree. */
enum chy_err forms_verify(struct forms *f, enum chy_verify_form form, struct chy_bytes file);
/* Asserts one signer at least, and that the first is good; or not, with this problem. */
void forms_expect_good(struct forms *f, enum chy_verify_form form, struct chy_bytes file);
void forms_expect_bad(struct forms *f, enum chy_verify_form form, struct chy_bytes file,
                      enum chy_err problem);
