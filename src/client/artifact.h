/* SPDX-License-Identifier: MIT */
/* What a file is, found out where a hostile one can do no harm: in a child of this process that has
 * the file's descriptor, may compute and answer once (os/sandbox.h), and is killed after
 * CHY_LIMIT_FORMAT_MS. Call from a process with one thread. */
#pragma once

#include "base/arena.h"
#include "client/confined.h"
#include "format/format.h"

/* Begin to look; several looks may be under way. `fd` is a regular file, open for reading; where it
 * stands is of no matter and stays so; it may be closed behind this. `name` is the file's, for
 * kinds that are known by it. Errors: CHY_E_ARG no regular file; CHY_E_IO, CHY_E_BUSY,
 * CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_artifact_inspect_start(int fd, struct chy_str name,
                                                     struct chy_confined_child **ret_child,
                                                     struct chy_error *err);
/* Wait for the facts, once; they borrow from the arena.
 * Errors: CHY_E_LIMIT       of chy_format_recognize()
 *         CHY_E_TIMEOUT     it took too long
 *         CHY_E_UNSUPPORTED the child was ended by what it read, or said nothing proper
 *         CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_artifact_inspect_finish(struct chy_confined_child *child,
                                                      struct chy_arena *arena,
                                                      struct chy_format_facts *ret_facts,
                                                      struct chy_error *err);
/* Both. */
CHY_MUST_USE enum chy_err chy_artifact_inspect(int fd, struct chy_str name, struct chy_arena *arena,
                                               struct chy_format_facts *ret_facts,
                                               struct chy_error *err);
