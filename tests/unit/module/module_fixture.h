/* SPDX-License-Identifier: MIT */
/* What tests of the module share: a private folder, a fake agent in it, the module loaded as a tool
 * loads it, and OpenSSL to hold its signatures against. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "proto/pkcs11.h"

struct fixture {
    char folder[64];
    char socket[96];
    pid_t agent;  /* 0: none runs */
    int stdin_fd; /* closing it ends the agent */
    void *library;
    CK_FUNCTION_LIST_3_0 *f;
    CK_SESSION_HANDLE session;
};

extern struct fixture fx;

/* For cmocka, once for all tests of a program: a folder for the keys of its agents. */
int fixture_begin(void **state);
int fixture_end(void **state);
/* For each test: an empty folder, an environment without Chancery's variables; all ended and
 * removed. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Start a fake agent on fx.socket, which CHANCERY_AGENT_SOCK then names. */
void agent_start(void);
void agent_stop(void);
/* Let the module start the fake agent as its helper. */
void helper_use(void);
void module_load(void); /* fx.f: by C_GetInterface, 3.0 */
void module_unload(void);
/* Loaded, initialised, with a session. */
void module_open(void);

/* A file of the fake agent's folder; "" removes it. */
void folder_write(const char *name, const char *text);
/* How many lines of the fake agent's log begin with this. */
size_t log_count(const char *start);
void log_clear(void);

#define assert_rv(got, wanted) assert_rv_at((got), (wanted), __FILE__, __LINE__)
void assert_rv_at(CK_RV got, CK_RV wanted, const char *file, int line);

/* The one object of this class and label. */
CK_OBJECT_HANDLE object_find(CK_OBJECT_CLASS class, const char *label);
/* All that fit; at most `max`, returns how many. */
size_t objects_find(CK_ATTRIBUTE *attrs, size_t n, CK_OBJECT_HANDLE *handles, size_t max);
/* A value in static memory, until the next call. */
struct chy_bytes attribute_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
CK_ULONG number_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

struct signature {
    CK_BYTE bytes[1024];
    CK_ULONG n;
};

/* C_SignInit and C_Sign in fx.session. */
CK_RV sign_with(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct chy_bytes data,
                struct signature *ret_signature);
/* What OpenSSL says of a signature over this message with the public key of that label.
 * digest  "SHA256" and so on; NULL for Ed25519. `is_digested`: the data is the digest */
bool is_good(const char *label, const char *digest, bool is_pss, bool is_digested,
             struct chy_bytes data, const struct signature *signature);

extern const CK_RSA_PKCS_PSS_PARAMS pss_256, pss_384, pss_512;
#define PSS(params) ((void *)(uintptr_t) & (params)), sizeof(CK_RSA_PKCS_PSS_PARAMS)
