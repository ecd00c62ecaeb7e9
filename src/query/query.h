/* SPDX-License-Identifier: MIT */
/* The process `query`: it answers everything that only reads. It has the store open for reading and
 * the file of the newest checkpoint; it writes nothing, signs nothing and reaches no network.
 * Lists, keys, policy tests, entries of the log, receipts, tiles. */
#pragma once

/* In the role @query: serves on descriptor 3 until DRAIN; answers the exit code. */
int chy_query_main(void);
