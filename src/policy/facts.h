/* SPDX-License-Identifier: MIT */
/* The names of facts. A name outside the table is as good as one inside; the table says which names the
 * server itself knows, and what of a request may be read by everybody who may read the log. Threads: pure. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

#define CHY_FACT_HOST                "host" /* name of the machine that asks; the client writes it in lower case */
#define CHY_FACT_APPLICATION_PATH    "application.path"
#define CHY_FACT_APPLICATION_SHA256  "application.sha256"  /* of the binary, lower-case hex */
#define CHY_FACT_APPLICATION_COMMAND "application.command" /* its command line, secrets taken out */
#define CHY_FACT_ARTIFACT_TYPE       "artifact.type"
#define CHY_FACT_CI_PREFIX           "ci." /* "ci.repository", "ci.branch", …: any name behind it */

/* 1 to CHY_LIMIT_NAME bytes of a-z, 0-9, '.', '_' and '-', a letter first. */
bool chy_fact_name_is_valid(struct chy_str name);

/* Whether a fact belongs into the leaf of the log. What is not known here does not: its value goes to the
 * detail record, which can be pruned. */
bool chy_fact_is_public(struct chy_str name);
