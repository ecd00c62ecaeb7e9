/* SPDX-License-Identifier: MIT */
/* Every size, count and depth that something from outside could stretch has its limit here, with its
 * unit and its reason. A parser takes its limit from this file and a test stands at it and one past it. */
#pragma once

/* --- base --- */

#define CHY_LIMIT_SECRET 65536 /* bytes; PINs, API tokens, PEM keys of TLS */

/* --- names and texts --- */

#define CHY_LIMIT_NAME 128       /* bytes; keys, principals, groups, rules, tokens */
#define CHY_LIMIT_TEXT 1024      /* bytes; a reason, a description, one fact's value */
#define CHY_LIMIT_PATH 4096      /* bytes; PATH_MAX of Linux */
#define CHY_LIMIT_COMMAND 8192   /* bytes; a command line as a fact */
#define CHY_LIMIT_GROUPS 256     /* groups of one principal, of one key */
#define CHY_LIMIT_ROLES 16       /* roles of one principal; there are four kinds today */
#define CHY_LIMIT_FACTS 64       /* facts of one request: tools send a dozen */
#define CHY_LIMIT_LABELS 32      /* declared labels of one request */

/* --- frames between processes --- */

#define CHY_LIMIT_FRAME 16777216 /* bytes; 1,000 sign items with 8 KiB of content each fit */
#define CHY_LIMIT_LIST 16384     /* elements of one list in a message: a policy of 10,000 rules fits */
#define CHY_LIMIT_DEPTH 16       /* nested structures in a schema and in JSON or YAML documents */
#define CHY_LIMIT_ARENA 67108864 /* bytes that one decoded message may take in memory */

/* --- JSON and YAML documents --- */

#define CHY_LIMIT_JSON 4194304     /* bytes; a sign request of 1,000 items is below 1 MB */
#define CHY_LIMIT_YAML 4194304     /* bytes; a policy of 10,000 rules is about 2 MB */
#define CHY_LIMIT_DOC_NODES 400000 /* nodes of one document: 10,000 rules of 40 nodes */

/* --- signing --- */

#define CHY_LIMIT_SIGN_ITEMS 1000    /* items of one sign request */
#define CHY_LIMIT_DIGEST 64          /* bytes; SHA-512 */
#define CHY_LIMIT_CONTENT 65536      /* bytes to be signed, where the tool shows them */
#define CHY_LIMIT_SIGNATURE 16384    /* bytes; RSA-4096 is 512, ML-DSA-87 is 4,627 */
#define CHY_LIMIT_PUBLIC_KEY 8192    /* bytes of SubjectPublicKeyInfo */
#define CHY_LIMIT_CERTIFICATE 16384  /* bytes of one DER certificate */
#define CHY_LIMIT_CHAIN 8            /* certificates of one chain */
#define CHY_LIMIT_SANS 32            /* subject alternative names of one request */
