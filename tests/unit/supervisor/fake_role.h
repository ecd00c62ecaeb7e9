/* SPDX-License-Identifier: MIT */
/* The processes of a server in a test of the supervisor: the test program again, started as
 * "@front" and so on. Each tells what it is sent, a line an event, through a FIFO whose path stands
 * in its configuration where the name of its user would be.
 *
 *   front 4711 CONFIG
 *   front 4711 FILE tls-key
 *   signer 4712 PEER token soft 1
 *   signer 4712 PEER-END token soft 1
 *
 * What it does wrong is said by a file beside the FIFO: "ROLE.does" (or "token.N.does") with one of
 *   die         exit with 7 before it is ready       silent      never be ready
 *   wrong-pin   exit with 2 before it is ready       stubborn    ignore DRAIN
 * and by signals: USR1 lets it accuse token soft 1 of hanging, USR2 send a frame of an unknown
 * type. */
#pragma once

int fake_role_main(const char *role);
