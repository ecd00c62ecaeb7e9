/* SPDX-License-Identifier: MIT */
/* How long the module waits. No call of a tool waits longer than the sum of its steps. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"

/* Tests build the module in a hurry: all times are divided by this. */
#ifndef CHY_P11_HURRY
#    define CHY_P11_HURRY 1
#endif

#define CHY_P11_SECONDS(n) ((int64_t)(n)*1000000 / CHY_P11_HURRY)

/* To connect and be greeted; a helper's start included, which no test can hurry much. */
#define CHY_P11_HELLO_US (INT64_C(5000000) / (CHY_P11_HURRY < 10 ? 1 : 5))
/* For a page of keys: the agent may have to log in first. */
#define CHY_P11_KEYS_US CHY_P11_SECONDS(30)
/* For a verification, or a part of data that is hashed. */
#define CHY_P11_HASH_US CHY_P11_SECONDS(30)
/* For a signature: the server waits for the log's disk and for the token. */
#define CHY_P11_SIGN_US CHY_P11_SECONDS(150)

/* A connection that nobody needed for so long is closed. */
#define CHY_P11_IDLE_US CHY_P11_SECONDS(10)

/* Between two tries: doubled each time, up to the second. */
#define CHY_P11_BACKOFF_US     (CHY_P11_SECONDS(1) / 50)
#define CHY_P11_BACKOFF_MAX_US CHY_P11_SECONDS(1)
/* Tries of a call whose connection breaks again and again. */
#define CHY_P11_TRIES 4
