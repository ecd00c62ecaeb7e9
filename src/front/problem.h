/* SPDX-License-Identifier: MIT */
/* Errors as clients see them: RFC 9457 problem documents. Pure. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "codec/schema.h"

#define CHY_PROBLEM_CONTENT_TYPE "application/problem+json"
#define CHY_PROBLEM_TYPE         "urn:chancery:problem:" /* and chy_err_type() */

struct chy_problem {
    int status; /* 0: chy_err_http_status(code) */
    enum chy_err code;
    struct chy_str detail;     /* one sentence; left out where chy_problem_is_public() says so */
    const uint8_t *request_id; /* CHY_ID_BYTES */
    struct chy_str result;     /* JSON of an answer that comes with the error; may be empty */
};

int chy_problem_status(const struct chy_problem *p);
/* Whether the text of such an error is meant for the caller. What tells of our inside is not: the
 * document says to look for the request id in the log instead. */
bool chy_problem_is_public(enum chy_err code);
/* The code that stands for a status that HTTP itself demands. */
enum chy_err chy_problem_code_of(int status);

/* Append the document. A failure shows in chy_buf_check(). */
void chy_problem_write(const struct chy_problem *p, struct chy_buf *out);
