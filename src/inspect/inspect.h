/* SPDX-License-Identifier: MIT */
/* The process `inspect`: it reads what comes from outside (policy YAML, certificates, requests for
 * them, bytes to be signed) for signer and query, which take typed answers only. Every document has
 * a process of its own, forked for it, that can do nothing but compute and answer once: what a
 * hostile document takes over is that process, for the time that the configuration grants it.
 *
 *   signer, query ──INSPECT──▶ inspect ──fork──▶ reader: no files, no network, no processes
 *                 ◀─ REPLY ──          ◀─ pipe ── its answer, which must decode
 */
#pragma once

/* In the role @inspect: serves on descriptor 3 until DRAIN; answers the exit code. */
int chy_inspect_main(void);
