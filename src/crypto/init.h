/* SPDX-License-Identifier: MIT */
/* Start of the cryptographic library in a process. */
#pragma once

#include "base/compiler.h"
#include "base/err.h"

/* Once, before anything else of this folder and before the sandbox closes: no configuration file of
 * the system is read, then or later, so that neither OPENSSL_CONF nor openssl.cnf changes what is
 * computed, and what is loaded on first use is loaded. After it nothing here opens a file.
 * Errors: CHY_E_CRYPTO  an algorithm is missing; CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_crypto_init(struct chy_error *err);

/* Where the installed OpenSSL looks for engines, and the configuration that it reads when nobody
 * says otherwise; static storage, NULL when it was built without. */
const char *chy_crypto_engines_dir(void);
const char *chy_crypto_config_dir(void);
