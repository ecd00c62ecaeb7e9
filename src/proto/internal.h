/* SPDX-License-Identifier: MIT */
/* The messages between the server's own processes: the type of a frame says which struct its
 * payload is the canonical form of. A frame of an unknown type, or one that its receiver does not
 * expect from that peer, ends the connection.
 *
 * Start: the supervisor's channel is descriptor 3. Its first frame is CONFIG (the role's struct),
 * then PEER and FILE frames with one descriptor each, in any order and again whenever a peer is
 * restarted; the process answers READY when it can work. DRAIN asks it to finish what is in flight
 * and to exit 0. */
#pragma once

#include "proto/api.h"
#include "proto/entry.h"

#define CHY_SUPERVISOR_FD 3

enum chy_msg {
    CHY_MSG_CONFIG = 1, /* struct chy_<role>_config */
    CHY_MSG_PEER,       /* struct chy_peer + descriptor of a stream socket */
    CHY_MSG_FILE,       /* struct chy_file_grant + descriptor */
    CHY_MSG_READY,      /* struct chy_ready */
    CHY_MSG_DRAIN,      /* struct chy_empty */
    CHY_MSG_HUNG,       /* to the supervisor: struct chy_peer that does not answer; kill it */

    CHY_MSG_CALL = 16,    /* front -> signer, query: struct chy_call; same frame id in the reply */
    CHY_MSG_REPLY,        /* struct chy_reply */
    CHY_MSG_TRUST,        /* signer -> front: struct chy_trust, at once and after every change */
    CHY_MSG_STATUS,       /* front -> signer, query: struct chy_empty */
    CHY_MSG_STATUS_REPLY, /* struct chy_status */

    CHY_MSG_TOKEN_SIGN = 32, /* signer -> token: struct chy_token_sign */
    CHY_MSG_TOKEN_SIGN_REPLY,
    CHY_MSG_TOKEN_GENERATE,   /* struct chy_token_generate */
    CHY_MSG_TOKEN_FIND,       /* struct chy_token_find: for adoption */
    CHY_MSG_TOKEN_KEY_REPLY,  /* struct chy_token_key_reply: to GENERATE and FIND */
    CHY_MSG_TOKEN_DROP,       /* struct chy_token_drop: forget cached handles and copies */
    CHY_MSG_TOKEN_DROP_REPLY, /* struct chy_token_drop_reply */
    CHY_MSG_TOKEN_INFO,       /* token -> signer, unasked, when ready: struct chy_token_info_msg */

    CHY_MSG_INSPECT = 48,  /* signer, query -> inspect: struct chy_inspect_request */
    CHY_MSG_INSPECT_REPLY, /* struct chy_inspect_reply */
};

enum chy_process_kind {
    CHY_PROCESS_SUPERVISOR = 1,
    CHY_PROCESS_FRONT,
    CHY_PROCESS_QUERY,
    CHY_PROCESS_INSPECT,
    CHY_PROCESS_SIGNER,
    CHY_PROCESS_TOKEN,
};
extern const struct chy_enum chy_process_enum; /* "front", "query", … */

/* --- supervisor and its children --- */

struct chy_peer {
    enum chy_process_kind process;
    struct chy_str token; /* of a token process: the token's name */
    uint32_t worker;      /* and which of its processes */
};

struct chy_file_grant {
    struct chy_str name; /* "tls-certificate", "tls-key", "pin", "listener" */
};

struct chy_ready {
    struct chy_str text; /* one line for the log: what the sandbox applied, addresses */
};

struct chy_front_config {
    struct chy_str version;
    uint32_t listeners; /* how many FILE "listener" will come */
    uint32_t max_connections;
    uint32_t header_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t max_calls_per_connection; /* in flight */
    uint32_t max_calls;                /* in flight, all connections: past it 503 */
    uint32_t max_calls_per_principal;
    bool metrics_for_everybody; /* else /metrics needs the role auditor */
    bool signserver;            /* SignServer's door is open */
    struct chy_str log_level;
    struct chy_str user; /* system user to change to when started as root; empty: stay */
};

struct chy_query_config {
    struct chy_str version;
    struct chy_str store;  /* path of the SQLite file */
    struct chy_str anchor; /* path of the checkpoint file outside the store */
    struct chy_str origin; /* of the log: the name in checkpoints */
    struct chy_str log_level;
    struct chy_str user;
};

struct chy_inspect_config {
    struct chy_str log_level;
    struct chy_str user;
    uint32_t timeout_ms; /* for one document */
};

struct chy_signer_token {
    struct chy_str name;
    uint32_t workers; /* token processes for it */
    bool is_software;
};

struct chy_signer_config {
    struct chy_str version;
    struct chy_str node;
    struct chy_str origin;              /* of the log: the name in checkpoints */
    struct chy_str store;               /* path of the SQLite file */
    struct chy_str anchor;              /* path of the checkpoint file outside the store */
    uint8_t server_pin[CHY_HASH_BYTES]; /* SHA-256 of the TLS key's SPKI, for enrolment codes */
    struct chy_str public_url;          /* https://host:port, for enrolment codes */
    uint8_t config_sha256[CHY_HASH_BYTES];
    CHY_LIST_OF(struct chy_signer_token) tokens;
    struct chy_str default_token;
    struct chy_str log_token; /* that holds the log's key; empty: the default one */
    uint32_t client_certificate_hours;
    uint32_t commit_pace_us;     /* perf.md: 250 */
    uint32_t max_queue;          /* digests waiting for one token; past it: busy */
    uint32_t token_timeout_ms;   /* a token process that holds a batch longer is killed */
    uint32_t denials_per_minute; /* of one principal; past it: 429, and no more leaves */
    bool accept_older_store;
    struct chy_str log_level;
    struct chy_str user;
};

struct chy_token_config {
    struct chy_str name;
    uint32_t worker;
    struct chy_str module;        /* absolute path */
    struct chy_str module_sha256; /* hex; empty: not checked */
    struct chy_str slot_label;
    struct chy_str slot_serial;
    struct chy_str lock;      /* path of the lock file around C_Initialize and C_Login */
    struct chy_str directory; /* the token's files, which it may read and write; empty: none */
    bool is_software;
    bool copy_keys;          /* sign with a session-object copy */
    bool verify_signatures;  /* also software elliptic-curve ones; RSA and hardware always */
    uint32_t threads;        /* sessions that sign at once: 1 for a software token */
    struct chy_strs profile; /* what the module needs besides: "network", "fork", "files" */
    struct chy_str log_level;
    struct chy_str user;
};

/* --- calls --- */

/* What front found out about the caller; who that is, and whether he still may, the serving process
 * looks up by the credential. */
struct chy_caller {
    enum chy_auth_method method;
    uint8_t credential[CHY_HASH_BYTES]; /* SHA-256 of the certificate's DER, or of the API token */
    struct chy_str address;             /* "192.0.2.1", "2001:db8::1"; of the TCP peer */
    struct chy_str user_agent;
};

struct chy_call {
    uint32_t op; /* enum chy_op */
    uint8_t request_id[CHY_ID_BYTES];
    int64_t deadline_us; /* monotonic clock; the caller has gone by then */
    struct chy_caller caller;
    struct chy_bytes request; /* canonical form of the row's request schema */
};

struct chy_reply {
    uint32_t code;            /* minus enum chy_err; 0 is CHY_OK */
    struct chy_str text;      /* one sentence for the caller */
    uint32_t retry_after_s;   /* with busy and rate-limited */
    struct chy_str principal; /* who it was, once known: for front's limits */
    /* canonical form of the row's response schema; may come with an error */
    struct chy_bytes response;
};

struct chy_trust {
    struct chy_bytes client_ca; /* DER */
};

struct chy_counter {
    struct chy_str name;   /* Prometheus name */
    struct chy_str labels; /* key="value",…, without braces */
    struct chy_str help;
    bool is_gauge;
    uint64_t value;
};

struct chy_status {
    bool is_ready;
    struct chy_str text; /* when not: why */
    CHY_LIST_OF(struct chy_counter) counters;
};

/* --- token --- */

/* Names a key in a token: the object's CKA_ID, and the hash of the public key that it must have. A
 * token process that finds another key under the id refuses. */
struct chy_token_key_ref {
    struct chy_bytes object_id;
    uint8_t public_key_sha256[CHY_HASH_BYTES];
};

struct chy_token_sign_item {
    struct chy_token_key_ref key;
    enum chy_sign_alg algorithm;
    struct chy_bytes input; /* the digest, or the message */
};

struct chy_token_sign {
    CHY_LIST_OF(struct chy_token_sign_item) items;
};

struct chy_token_sign_result {
    uint32_t code; /* minus enum chy_err */
    struct chy_str text;
    struct chy_bytes signature; /* RSA: as PKCS#11 gives it; ECDSA: DER; Ed25519: 64 bytes */
};

struct chy_token_sign_reply {
    CHY_LIST_OF(struct chy_token_sign_result) results;
};

struct chy_token_generate {
    enum chy_key_type type;
    struct chy_str label;       /* CKA_LABEL */
    struct chy_bytes object_id; /* CKA_ID */
};

struct chy_token_find {
    struct chy_str label; /* one of the two */
    struct chy_bytes object_id;
};

struct chy_token_key_reply {
    uint32_t code; /* minus enum chy_err */
    struct chy_str text;
    enum chy_key_type type;
    struct chy_bytes public_key; /* SubjectPublicKeyInfo, DER */
    struct chy_bytes object_id;
    struct chy_bytes certificate; /* FIND: of the same CKA_ID in the token, DER; empty: none */
    /* As the module claims; hints, not evidence. */
    bool is_local;
    bool is_never_extractable;
    bool is_extractable;
};

struct chy_token_drop {
    struct chy_token_key_ref key;
    /* also destroy the objects in the token; asked of one process, after all dropped */
    bool destroy;
};

struct chy_token_drop_reply {
    uint32_t code;
    struct chy_str text;
};

struct chy_token_info_msg {
    struct chy_token_info info;
};

/* --- inspect --- */

enum chy_inspect_what {
    CHY_INSPECT_POLICY = 1, /* text -> canonical policy */
    CHY_INSPECT_GUARD,      /* text -> canonical guard */
    CHY_INSPECT_CHAIN,      /* text (PEM) or bytes (one DER), public_key, now -> certificates */
    CHY_INSPECT_CSR,        /* text (PEM, PKCS#10) -> public_key, subject; signature checked */
    CHY_INSPECT_CONTENT,    /* contents -> content_results */
    CHY_INSPECT_BUILD_CSR,  /* subject, sans, public_key -> made (to be signed) */
    /* profile, issuer, subject, public_key, … -> made (to be signed) */
    CHY_INSPECT_BUILD_CERTIFICATE,
};

enum chy_certificate_profile {
    CHY_PROFILE_NONE = 0,
    CHY_PROFILE_CLIENT_CA = 1,
    CHY_PROFILE_CLIENT = 2,
    CHY_PROFILE_DEVELOPMENT_CA = 3,
    CHY_PROFILE_DEVELOPMENT_SIGNING = 4,
};

struct chy_content {
    enum chy_hash_alg hash;
    struct chy_bytes digest;
    struct chy_bytes content;
};

struct chy_content_result {
    bool matches;                       /* the content hashes to the digest */
    CHY_LIST_OF(struct chy_fact) facts; /* basis server */
};

struct chy_inspect_request {
    enum chy_inspect_what what;
    int64_t now_us;
    struct chy_str text;
    struct chy_bytes bytes;
    struct chy_bytes public_key; /* SubjectPublicKeyInfo */
    struct chy_str subject;
    struct chy_strs sans;
    enum chy_certificate_profile profile;
    enum chy_sign_alg signed_by; /* the algorithm that will sign what is built */
    struct chy_bytes issuer;     /* certificate of the issuer, DER; empty: self-signed */
    struct chy_bytes serial;     /* 16 random bytes */
    int64_t not_before_us;
    int64_t not_after_us;
    CHY_LIST_OF(struct chy_content) contents;
};

struct chy_inspect_reply {
    uint32_t code; /* minus enum chy_err */
    struct chy_str text;
    struct chy_bytes made; /* canonical policy or guard; DER to be signed */
    struct chy_bytes public_key;
    struct chy_str subject;
    CHY_LIST_OF(struct chy_certificate) certificates;
    CHY_LIST_OF(struct chy_content_result) content_results;
};

extern const struct chy_schema chy_peer_schema, chy_file_grant_schema, chy_ready_schema,
    chy_front_config_schema, chy_query_config_schema, chy_inspect_config_schema,
    chy_signer_config_schema, chy_token_config_schema, chy_caller_schema, chy_call_schema,
    chy_reply_schema, chy_trust_schema, chy_status_schema;
extern const struct chy_schema chy_token_sign_schema, chy_token_sign_reply_schema,
    chy_token_generate_schema, chy_token_find_schema, chy_token_key_reply_schema,
    chy_token_drop_schema, chy_token_drop_reply_schema, chy_token_info_msg_schema,
    chy_inspect_request_schema, chy_inspect_reply_schema;
