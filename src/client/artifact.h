/* SPDX-License-Identifier: MIT */
/* What a file is, found out where a hostile one can do no harm: in a child of this process that has
 * the file's descriptor, may compute and answer once (os/sandbox.h), and is killed after
 * CHY_LIMIT_FORMAT_MS. Call from a process with one thread. */
#pragma once

#include "base/arena.h"
#include "format/format.h"

/* `fd` is a regular file, open for reading; where it stands is of no matter and stays so. `name` is
 * the file's, for kinds that are known by it. The facts borrow from the arena.
 * Errors: CHY_E_ARG         no regular file
 *         CHY_E_LIMIT       of chy_format_recognize()
 *         CHY_E_TIMEOUT     it took too long
 *         CHY_E_UNSUPPORTED the child was ended by what it read, or said nothing proper
 *         CHY_E_IO, CHY_E_BUSY, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_artifact_inspect(int fd, struct chy_str name, struct chy_arena *arena,
                                               struct chy_format_facts *ret_facts,
                                               struct chy_error *err);
