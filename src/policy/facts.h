/* SPDX-License-Identifier: MIT */
/* The names of facts. A name outside the table is as good as one inside; the table says which
 * names the server itself knows, and what of a request may be read by everybody who may read the
 * log. Threads: pure. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

#define CHY_FACT_HOST                "host" /* of the machine that asks, in lower case */
#define CHY_FACT_APPLICATION_PATH    "application.path"
#define CHY_FACT_APPLICATION_SHA256  "application.sha256"  /* of the binary, lower-case hex */
#define CHY_FACT_APPLICATION_COMMAND "application.command" /* its command line, secrets taken out */
#define CHY_FACT_APPLICATION_PARENT  "application.parent"  /* path of the program that started it */
#define CHY_FACT_USER                "user"                /* whom the program runs as */
#define CHY_FACT_ARTIFACT_TYPE       "artifact.type"
/* Of the program that started it, lower-case hex. */
#define CHY_FACT_APPLICATION_PARENT_SHA256 "application.parent.sha256"
/* Found by the server in the bytes to be signed, where the caller shows them. */
#define CHY_FACT_CONTENT_TYPE   "content.type"   /* one of CHY_CONTENT_... */
#define CHY_FACT_CONTENT_SHA256 "content.sha256" /* lower-case hex */
#define CHY_FACT_CI_PREFIX      "ci." /* "ci.repository", "ci.branch", …: any name behind it */

/* Values of content.type: what the bytes to be signed are, by their shape. A rule that denies the
 * first four keeps a signing key from being used as a certificate authority's. */
#define CHY_CONTENT_X509_TBS      "x509-tbs"      /* a certificate */
#define CHY_CONTENT_CSR_INFO      "csr-info"      /* a request for one, PKCS#10 */
#define CHY_CONTENT_X509_CRL      "x509-crl"      /* a list of revoked certificates */
#define CHY_CONTENT_OCSP_RESPONSE "ocsp-response" /* the state of certificates */
#define CHY_CONTENT_CMS_SIGNED_ATTRIBUTES \
    "cms-signed-attributes" /* of a CMS, Authenticode or JAR signature */
#define CHY_CONTENT_JAR_SIGNATURE_FILE "jar-signature-file" /* META-INF/X.SF itself */
#define CHY_CONTENT_OTHER              "other"

/* 1 to CHY_LIMIT_NAME bytes of a-z, 0-9, '.', '_' and '-', a letter first. */
bool chy_fact_name_is_valid(struct chy_str name);

/* Whether a fact belongs into the leaf of the log. What is not known here does not: its value goes
 * to the detail record, which can be pruned. */
bool chy_fact_is_public(struct chy_str name);
