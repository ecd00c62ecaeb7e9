/* SPDX-License-Identifier: MIT */
/* The token process: one PKCS#11 module, its PIN and its sessions, and nothing else. It speaks
 * proto/internal.h: CONFIG and FILE "pin" from the supervisor on descriptor 3, then TOKEN_* with
 * the signer on the socket that PEER brings; a new PEER takes the place of the old.
 *
 * The supervisor gives SOFTHSM2_CONF, and what else the module reads, in the environment. */
#pragma once

enum {
    CHY_TOKEN_EXIT_DRAINED = 0,
    /* Starting again does not help and may lock the PIN: the configuration, the module's hash, the
     * slot or the PIN is wrong. */
    CHY_TOKEN_EXIT_CONFIG = 2,
    /* Start again: the module, the device or a session failed, or a peer spoke out of turn. */
    CHY_TOKEN_EXIT_TROUBLE = 3,
    /* Start again at once, nothing is wrong: the module has lost too much memory. Requests that
     * were not answered were not begun. */
    CHY_TOKEN_EXIT_RETIRED = 4,
};

/* Never returns: ends with C_Finalize and _exit(), because exit handlers of modules that share our
 * libcrypto crash. */
int chy_token_main(void);
