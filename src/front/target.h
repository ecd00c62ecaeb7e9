/* SPDX-License-Identifier: MIT */
/* The target of a request taken apart: the parts of its path and its parameters, decoded. Pure.
 *
 * The path is split at its slashes before anything is decoded, so a "%2F" is part of a name and
 * never a separator. Refused: empty and dot segments, a parameter that comes twice or has no "=",
 * whatever does not decode to UTF-8 without control characters. In the query "+" is a blank, as
 * HTML forms write it. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/limits.h"

struct chy_target_param {
    struct chy_str name;
    struct chy_str value;
};

struct chy_target {
    struct chy_str path;                              /* as it came, without the query */
    struct chy_str segments[CHY_LIMIT_HTTP_SEGMENTS]; /* "/" has none; "/a/" has "a" and "" */
    size_t segment_count;
    struct chy_target_param params[CHY_LIMIT_HTTP_PARAMS];
    size_t param_count;
};

/* Take `target` (chy_http_is_target()) apart. What is decoded lives in the arena, the rest in
 * `target`. Errors: CHY_E_MALFORMED as above; CHY_E_LIMIT too many segments or parameters;
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_target_parse(struct chy_str target, struct chy_arena *arena,
                                           struct chy_target *ret_target, struct chy_error *err);

/* Decode a piece of a path. Errors: as above */
CHY_MUST_USE enum chy_err chy_target_decode(struct chy_str part, struct chy_arena *arena,
                                            struct chy_str *ret_text, struct chy_error *err);

/* The value of a parameter, or NULL. */
const struct chy_str *chy_target_param(const struct chy_target *t, const char *name);
