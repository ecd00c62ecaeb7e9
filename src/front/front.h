/* SPDX-License-Identifier: MIT */
/* The front process: TLS, HTTP, JSON, who is asking; nothing of what is decided. `chanceryd
 * @front`. */
#pragma once

/* Serve until the supervisor says DRAIN or goes away. Descriptor CHY_SUPERVISOR_FD is its channel:
 * the
 * first frame is struct chy_front_config, then come FILE frames "tls-certificate", "tls-key" (PEM;
 * a new pair later replaces the first) and "listener" (config.listeners of them), and PEER frames
 * for signer and query. READY goes back once certificate, key and listeners are there. Returns the
 * exit code: 0 after a drain, 3 when something broke. */
int chy_front_main(void);
