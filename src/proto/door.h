/* SPDX-License-Identifier: MIT */
/* The agent's door: what the PKCS#11 module, plug-ins and commands say to the agent, over a Unix
 * socket and in frames (codec/frame.h). A private helper, which the module starts where no agent
 * runs, speaks the same.
 *
 * A conversation: HELLO first, WELCOME back. Then any request; each is answered by its own kind of
 * reply or by FAILED, with the frame id of the request. Requests of one connection may overlap and
 * are then answered in any order; a caller that wants many signatures at once opens one connection
 * for each, or sends on. A frame of an unknown kind, or one that does not decode, ends the
 * connection.
 *
 * The agent holds the login, does all cryptography that is not the token's (hashing, verifying),
 * knows DER and JSON, and learns from the kernel who is asking. The other side needs libc alone. */
#pragma once

#include "proto/api.h"

/* Spoken on both sides; another version is refused by FAILED (CHY_E_UNSUPPORTED). Within a version
 * messages are only added. */
#define CHY_DOOR_VERSION 1

/* A private helper is the program `chancery` with this role as its only argument, a stream socket
 * as descriptor 3 (the control socket), and the environment of whoever starts it. On the control
 * socket it is told ADOPT and LISTEN; when that is closed it finishes what is in flight and
 * ends. */
#define CHY_DOOR_HELPER_ROLE "@helper"
#define CHY_DOOR_CONTROL_FD  3

enum chy_door_msg {
    CHY_DOOR_HELLO = 512, /* struct chy_door_hello */
    CHY_DOOR_WELCOME,     /* struct chy_door_welcome */
    CHY_DOOR_FAILED,      /* struct chy_door_failure: in place of any reply */

    CHY_DOOR_KEYS,     /* struct chy_door_keys */
    CHY_DOOR_KEY_PAGE, /* struct chy_door_key_page */
    CHY_DOOR_SIGN,     /* struct chy_door_sign */
    CHY_DOOR_SIGNED,   /* struct chy_door_signed */
    CHY_DOOR_VERIFY,   /* struct chy_door_verify */
    CHY_DOOR_VERIFIED, /* struct chy_empty: it is good. If it is not: FAILED with CHY_E_INTEGRITY */
    CHY_DOOR_HASH_ADD, /* struct chy_door_hash_add: makes the stream when it is not there */
    CHY_DOOR_HASH_ADDED, /* struct chy_empty */
    CHY_DOOR_HASH_END,   /* struct chy_door_stream: ends and forgets it */
    CHY_DOOR_HASHED,     /* struct chy_door_hashed; empty for a stream that was not there */

    CHY_DOOR_CALL,   /* struct chy_door_call: any operation of proto/ops.h in the agent's name */
    CHY_DOOR_CALLED, /* struct chy_door_called */

    CHY_DOOR_WATCH,     /* struct chy_door_watch: EVENTs of this tag follow, with frame id 0 */
    CHY_DOOR_WATCHING,  /* struct chy_empty */
    CHY_DOOR_EVENT,     /* struct chy_door_event */
    CHY_DOOR_UNWATCH,   /* struct chy_empty */
    CHY_DOOR_UNWATCHED, /* struct chy_empty: behind the last EVENT */

    CHY_DOOR_STATUS,       /* struct chy_empty */
    CHY_DOOR_STATUS_REPLY, /* struct chy_door_status */

    /* struct chy_artifact: what the signatures of the watched tag are about; behind WATCH, once */
    CHY_DOOR_ARTIFACT,
    CHY_DOOR_ARTIFACT_TAKEN, /* struct chy_empty */
    /* struct chy_door_listen: serve the SSH agent protocol (proto/ssh_agent.h) at this path in the
     * name of this connection's HELLO, for as long as it lasts */
    CHY_DOOR_SSH,
    CHY_DOOR_SSH_OPENED, /* struct chy_empty */

    /* On a helper's control socket only. */
    CHY_DOOR_ADOPT = 768, /* struct chy_empty + one descriptor, which is a new connection */
    CHY_DOOR_LISTEN,      /* struct chy_door_listen: also serve a socket at this path */
    CHY_DOOR_LISTENING,   /* struct chy_empty, or FAILED */
};

/* How objects are named to PKCS#11. */
enum chy_door_naming {
    CHY_DOOR_NAMING_PLAIN = 0, /* label: the key's name; CKA_ID: the key's id, 16 bytes */
    /* As Signum's agent has it. CKA_ID: the SHA-1 of the certificate, 20 bytes; label: that in hex,
     * with " - Certificate" or, of the key, " - Private key". A key without a certificate:
     * plain. */
    CHY_DOOR_NAMING_SIGNUM = 1,
};

struct chy_door_hello {
    uint32_t version;
    struct chy_str software; /* who speaks: "chancery-pkcs11 0.1.0" */
    enum chy_door_naming naming;
    /* CHANCERY_KEYS: names or patterns (* and ?) of the keys to show; empty: all but Ed25519 ones,
     * which some tools choke on. One that stands here is shown whatever its type. */
    struct chy_strs keys;
    /* CHANCERY_REASON: of all signatures of this connection */
    struct chy_str reason;
    /* CHANCERY_RECEIPTS: absolute path of a folder, or empty */
    struct chy_str receipts;
    CHY_LIST_OF(struct chy_label) labels; /* declared */
    /* CHANCERY_EXEC_TAG: 0 or 16 random bytes by which `chancery exec` knows its tool's
     * signatures */
    struct chy_bytes tag;
};

struct chy_door_welcome {
    uint32_t version;
    struct chy_str software; /* "chancery 0.1.0" */
};

struct chy_door_failure {
    uint32_t code; /* minus enum chy_err */
    struct chy_str text;
    struct chy_str request_id; /* the server's, where it was asked */
    struct chy_strs rules;     /* that decided */
};

/* --- keys --- */

/* With a label or an id (or both: then both must fit): that key alone, in one page. Else a page of
 * all that may be used. */
struct chy_door_keys {
    struct chy_str label;
    struct chy_bytes id;
    uint64_t revision;    /* of the list the asker holds; 0: none. For the first page of all */
    struct chy_str after; /* `next` of the page before */
};

/* In the encodings that PKCS#11 wants of the attributes. */
struct chy_door_certificate {
    struct chy_str label;
    struct chy_bytes id;
    struct chy_bytes der;
    struct chy_bytes subject; /* DER of the Name */
    struct chy_bytes issuer;
    struct chy_bytes serial; /* DER of the INTEGER */
};

struct chy_door_key {
    struct chy_str name; /* by which SIGN calls it */
    struct chy_str label;
    struct chy_bytes id;
    enum chy_key_type type;
    struct chy_bytes public_key;                    /* SubjectPublicKeyInfo, DER */
    struct chy_bytes modulus;                       /* RSA: big-endian, no leading zero */
    struct chy_bytes public_exponent;               /* RSA */
    struct chy_bytes ec_params;                     /* EC, Ed25519: DER */
    struct chy_bytes ec_point;                      /* EC, Ed25519: DER OCTET STRING of the point */
    const struct chy_door_certificate *certificate; /* its own; NULL: none yet */
};

struct chy_door_key_page {
    uint64_t revision; /* of the list of all; never 0 there. 0 for a single key */
    bool is_unchanged; /* the asker's list is still right; nothing else is set */
    CHY_LIST_OF(struct chy_door_key) keys;
    /* CA certificates of their chains, each once in a page. */
    CHY_LIST_OF(struct chy_door_certificate) authorities;
    struct chy_str next; /* empty: this was the last page */
};

/* --- signing and verifying --- */

enum chy_door_scheme {
    CHY_DOOR_RSA_PKCS1 = 1, /* without `hash` the data is a DigestInfo */
    CHY_DOOR_RSA_PSS,       /* without `is_message` the data is a digest of `hash`; MGF1 with the
                               same hash, salt as long as the hash */
    CHY_DOOR_ECDSA,         /* without `hash` the data is a digest, told by its length */
    CHY_DOOR_ED25519,       /* the data is the message */
};

/* What is signed: either the data here, or what went into a stream of this connection, which is
 * thereby ended. */
struct chy_door_input {
    struct chy_str key; /* name */
    enum chy_door_scheme scheme;
    enum chy_hash_alg hash;
    bool is_message; /* the data is to be hashed with `hash` */
    struct chy_bytes data;
    uint64_t stream; /* 0: none. Its hash must be `hash` */
};

struct chy_door_sign {
    struct chy_door_input input;
};

struct chy_door_signed {
    struct chy_bytes signature; /* as PKCS#11 has it: ECDSA is r and s of equal length */
};

struct chy_door_verify {
    struct chy_door_input input;
    struct chy_bytes signature; /* likewise */
};

/* Streams are the connection's own; their numbers are the caller's, not 0. */
struct chy_door_hash_add {
    uint64_t stream;
    enum chy_hash_alg hash; /* with the first part; the same later */
    struct chy_bytes data;
};

struct chy_door_stream {
    uint64_t stream;
};

struct chy_door_hashed {
    struct chy_bytes digest;
};

/* --- other operations --- */

struct chy_door_call {
    uint32_t op;              /* enum chy_op */
    struct chy_bytes request; /* canonical form of the row's request */
};

struct chy_door_called {
    struct chy_bytes response; /* canonical form of the row's response */
    struct chy_str request_id; /* the server's */
};

/* --- what became of signatures --- */

struct chy_door_watch {
    struct chy_bytes tag; /* 16 bytes */
};

struct chy_door_event {
    struct chy_str key;
    enum chy_sign_alg algorithm;
    struct chy_bytes digest;
    struct chy_str application; /* path of the program that asked, as the kernel told */
    bool is_signed;
    struct chy_str problem; /* when not: the problem's type, why, and who decided */
    struct chy_str detail;
    struct chy_strs rules;
    struct chy_str request_id;
    const struct chy_log_index *intent;
    const struct chy_log_index *outcome;
    struct chy_str receipt_file; /* where the receipt was written */
};

struct chy_door_status {
    struct chy_str software;
    struct chy_str profile;
    struct chy_str url;
    struct chy_str principal; /* empty: the server has not been reached yet */
    int64_t expires_us;       /* of the credential; 0: not known */
    bool states_facts;        /* what it sees is believed as basis `agent` */
    struct chy_str trouble;   /* why the last call of the server failed; empty: it did not */
    int64_t started_us;
    uint64_t connections; /* now */
    uint64_t signatures;  /* since it was started */
    uint64_t refusals;
};

struct chy_door_listen {
    struct chy_str path;
};

extern const struct chy_enum chy_door_naming_enum, chy_door_scheme_enum;
extern const struct chy_schema chy_door_hello_schema, chy_door_welcome_schema,
    chy_door_failure_schema, chy_door_keys_schema, chy_door_certificate_schema, chy_door_key_schema,
    chy_door_key_page_schema, chy_door_input_schema, chy_door_sign_schema, chy_door_signed_schema,
    chy_door_verify_schema, chy_door_hash_add_schema, chy_door_stream_schema,
    chy_door_hashed_schema, chy_door_call_schema, chy_door_called_schema, chy_door_watch_schema,
    chy_door_event_schema, chy_door_status_schema, chy_door_listen_schema;
