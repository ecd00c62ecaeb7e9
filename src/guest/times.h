/* SPDX-License-Identifier: MIT */
/* How long a guest waits. No call of a tool waits longer than the sum of its steps. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"

/* Tests build a guest in a hurry: all times are divided by this. */
#ifndef CHY_GUEST_HURRY
#    define CHY_GUEST_HURRY 1
#endif

#define CHY_GUEST_SECONDS(n) ((int64_t)(n)*1000000 / CHY_GUEST_HURRY)

/* To connect and be greeted; a helper's start included, which no test can hurry much. */
#define CHY_GUEST_HELLO_US (INT64_C(5000000) / (CHY_GUEST_HURRY < 10 ? 1 : 5))
/* For a page of keys: the agent may have to log in first. */
#define CHY_GUEST_KEYS_US CHY_GUEST_SECONDS(30)
/* For a verification, or a part of data that is hashed. */
#define CHY_GUEST_HASH_US CHY_GUEST_SECONDS(30)
/* For a signature: the server waits for the log's disk and for the token. */
#define CHY_GUEST_SIGN_US CHY_GUEST_SECONDS(150)

/* A connection that nobody needed for so long is closed. */
#define CHY_GUEST_IDLE_US CHY_GUEST_SECONDS(10)

/* Between two tries: doubled each time, up to the second. */
#define CHY_GUEST_BACKOFF_US     (CHY_GUEST_SECONDS(1) / 50)
#define CHY_GUEST_BACKOFF_MAX_US CHY_GUEST_SECONDS(1)
/* Tries of a call whose connection breaks again and again. */
#define CHY_GUEST_TRIES 4
