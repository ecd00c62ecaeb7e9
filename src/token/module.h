/* SPDX-License-Identifier: MIT */
/* A PKCS#11 module: the shared library of a token's vendor. Opening it reads and checks the file
 * and runs none of its code; loading it runs it in this process, which should be prepared for the
 * worst (sandbox, no other secrets). Once loaded it stays until the process ends: unloading C++
 * libraries that share our libcrypto is not safe.
 *
 * What is loaded is a sealed copy in memory, so the bytes that were hashed are the bytes that run.
 * The price: a module cannot find files beside itself ($ORIGIN, dladdr); it needs its configuration
 * by environment or fixed path. Threads: one thread opens, loads and ends; the functions are any
 * thread's. */
#pragma once

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "token/pkcs11.h"

struct chy_module;

/* path        absolute; the last part may not be a symbolic link
 * sha256_hex  64 digits that the file must hash to; empty: not checked
 *
 * Errors: CHY_E_ARG       the path is not absolute, or the hash is not one
 *         CHY_E_NOT_FOUND no such file
 *         CHY_E_INTEGRITY the file has another hash
 *         CHY_E_LIMIT     over CHY_LIMIT_MODULE
 *         CHY_E_IO        not a regular file, a symbolic link, or unreadable; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_module_open(struct chy_str path, struct chy_str sha256_hex,
                                          struct chy_module **ret_module, struct chy_error *err);
void chy_module_free(struct chy_module *module); /* chy_module_end() included */
void chy_module_freep(struct chy_module **module);

/* Load and initialise, ready for threads.
 * lock_path   a lock file, made when absent, that all processes of one token share: initialisation
 *             and log-in race with each other in SoftHSM. Held from here to chy_module_unlock().
 *             Empty: none.
 *
 * Errors: CHY_E_STATE    loaded already
 *         CHY_E_TIMEOUT  the lock was not free for CHY_LIMIT_TOKEN_LOCK_MS
 *         CHY_E_TOKEN    not a shared library for this machine, not a PKCS#11 2.x or 3.x module, or
 *                        its C_Initialize failed
 *         CHY_E_IO, CHY_E_NOT_FOUND the lock file; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_module_load(struct chy_module *module, struct chy_str lock_path,
                                          struct chy_error *err);
void chy_module_unlock(struct chy_module *module);
/* Take the lock before the load, for what must be done before it; the load then has it.
 * Errors: CHY_E_TIMEOUT, CHY_E_IO, CHY_E_NOT_FOUND, CHY_E_NOMEM as above */
CHY_MUST_USE enum chy_err chy_module_lock_at(struct chy_module *module, struct chy_str lock_path,
                                             struct chy_error *err);
/* Take the lock of chy_module_load() again, for what changes the token's files: SoftHSM reads them
 * all when it starts, and does not find a token whose files are being written. One thread at a
 * time. Errors: CHY_E_TIMEOUT, CHY_E_IO, CHY_E_NOT_FOUND as above */
CHY_MUST_USE enum chy_err chy_module_lock(struct chy_module *module, struct chy_error *err);
/* C_Finalize; a module that was not loaded, or has ended, is left alone. */
void chy_module_end(struct chy_module *module);

/* NULL before chy_module_load(). */
const CK_FUNCTION_LIST *chy_module_functions(const struct chy_module *module);
/* SHA-256 of the file. */
const uint8_t *chy_module_sha256(const struct chy_module *module);
