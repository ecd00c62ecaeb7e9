/* SPDX-License-Identifier: MIT */
/* Signals that ask a program to end (SIGINT, SIGTERM, SIGHUP), for work that has no event loop:
 * the first is remembered, so that what is under way is finished and tidied up after; the second of
 * a kind ends the process as it always did. Of the whole process. */
#pragma once

/* From here on. A signal that was blocked comes now. */
void chy_interrupt_catch(void);
/* The first that came, or 0. */
int chy_interrupt_number(void);
