/* SPDX-License-Identifier: MIT */
/* Every size, count and depth that something from outside could stretch has its limit here, with
 * its unit and its reason. A parser takes its limit from this file and a test stands at it and one
 * past it. */
#pragma once

/* --- base --- */

#define CHY_LIMIT_SECRET 65536 /* bytes; PINs, API tokens, PEM keys of TLS */

/* --- names and texts --- */

#define CHY_LIMIT_NAME    128  /* bytes; keys, principals, groups, rules, tokens */
#define CHY_LIMIT_TEXT    1024 /* bytes; a reason, a description, one fact's value */
#define CHY_LIMIT_PATH    4096 /* bytes; PATH_MAX of Linux */
#define CHY_LIMIT_COMMAND 8192 /* bytes; a command line as a fact */
#define CHY_LIMIT_GROUPS  256  /* groups of one principal, of one key */
#define CHY_LIMIT_ROLES   16   /* roles of one principal; there are four kinds today */
#define CHY_LIMIT_FACTS   64   /* facts of one request: tools send a dozen */
#define CHY_LIMIT_LABELS  32   /* declared labels of one request */

/* --- frames between processes --- */

#define CHY_LIMIT_FRAME     16777216 /* bytes; 1,000 sign items with 8 KiB of content each fit */
#define CHY_LIMIT_FRAME_FDS 8  /* descriptors passed with one frame: listeners and a key file */
#define CHY_LIMIT_FD_FRAMES 16 /* frames with descriptors that wait in one channel */
/* elements of one list in a message: a policy of 10,000 rules fits */
#define CHY_LIMIT_LIST  16384
#define CHY_LIMIT_DEPTH 16       /* nested structures in a schema and in JSON or YAML documents */
#define CHY_LIMIT_ARENA 67108864 /* bytes that one decoded message may take in memory */

/* --- JSON and YAML documents --- */

#define CHY_LIMIT_JSON      4194304 /* bytes; a sign request of 1,000 items is below 1 MB */
#define CHY_LIMIT_YAML      4194304 /* bytes; a policy of 10,000 rules is about 2 MB */
#define CHY_LIMIT_DOC_NODES 400000  /* nodes of one document: 10,000 rules of 40 nodes */

/* --- operators' log --- */

/* bytes of one line, its line feed included; two pages of a pipe */
#define CHY_LIMIT_LOG_LINE  8192
#define CHY_LIMIT_LOG_FIELD 1024 /* bytes of one text, before it is escaped */

/* --- signing --- */

#define CHY_LIMIT_SIGN_ITEMS  1000  /* items of one sign request */
#define CHY_LIMIT_DIGEST      64    /* bytes; SHA-512 */
#define CHY_LIMIT_CONTENT     65536 /* bytes to be signed, where the tool shows them */
#define CHY_LIMIT_SIGNATURE   16384 /* bytes; RSA-4096 is 512, ML-DSA-87 is 4,627 */
#define CHY_LIMIT_PUBLIC_KEY  8192  /* bytes of SubjectPublicKeyInfo */
#define CHY_LIMIT_CERTIFICATE 16384 /* bytes of one DER certificate */
#define CHY_LIMIT_CHAIN       8     /* certificates of one chain */
#define CHY_LIMIT_SANS        32    /* subject alternative names of one request */

/* --- signatures that are verified --- */

/* bytes of one signature with its certificates and stamp */
#define CHY_LIMIT_CMS 1048576
/* bytes of a JAR's manifest: some 100,000 entries */
#define CHY_LIMIT_JAR_MANIFEST 16777216
/* of one JAR: the manifest, and what CHY_LIMIT_VERIFY_SIGNERS take; each is compared with all
 * names */
#define CHY_LIMIT_JAR_SIGNATURE_FILES 128
#define CHY_LIMIT_TIME_STAMP          65536 /* bytes of an authority's answer; most have 7,000 */
#define CHY_LIMIT_CMS_CERTIFICATES    32    /* that come with it; five are many */
#define CHY_LIMIT_CMS_SIGNERS         8     /* of one signature; two are rare */
/* certificates of one trust file: the Microsoft programme has some 400 roots */
#define CHY_LIMIT_TRUST_CERTIFICATES 1024
#define CHY_LIMIT_VERIFY_FILES       16384   /* of one command; a distribution's build has fewer */
#define CHY_LIMIT_VERIFY_RECEIPTS    16384   /* of one folder: one for each file */
#define CHY_LIMIT_VERIFY_OUTPUT      1048576 /* bytes of what a tool says that are read */
#define CHY_LIMIT_VERIFY_SIGNERS     32      /* of one file; UEFI binaries have two */
#define CHY_LIMIT_VERIFY_FILE        68719476736 /* bytes of a file that is verified: 64 GiB */
#define CHY_LIMIT_VERIFY_COPY        17179869184 /* bytes of one that a tool is given: 16 GiB */
#define CHY_LIMIT_VERIFY_MS          600000      /* for one file: 64 GiB at 110 MB/s */
#define CHY_LIMIT_TRUST_FILES        256         /* files of one kind that a trust file names */
/* lists of revoked certificates of one trust file */
#define CHY_LIMIT_TRUST_CRLS 256
#define CHY_LIMIT_TRUST_KEYS 64      /* bare public keys of one trust file */
#define CHY_LIMIT_TRUST_FILE 4194304 /* bytes of a trust file, of one that it names */

/* --- HTTP --- */

#define CHY_LIMIT_HTTP_HEAD     16384 /* bytes of request line and fields; browsers send 2 KiB */
#define CHY_LIMIT_HTTP_TARGET   4096  /* bytes of path and query */
#define CHY_LIMIT_HTTP_FIELDS   64    /* header fields of one request; tools send 10 */
#define CHY_LIMIT_HTTP_SEGMENTS 16    /* parts of a path between slashes; our longest has 7 */
#define CHY_LIMIT_HTTP_PARAMS   32    /* parameters of one query */
#define CHY_LIMIT_HTTP_BUFFERED 268435456 /* bytes of unfinished requests, all connections */
#define CHY_LIMIT_HTTP_ANSWER   33554432  /* bytes to be sent on one connection: two frames */
/* requests in flight on one connection; RFC 9113: 100 or more */
#define CHY_LIMIT_HTTP2_STREAMS 128
/* bytes of bodies of one connection's unfinished requests */
#define CHY_LIMIT_HTTP2_BODIES 8388608
#define CHY_LIMIT_TOKENS       64 /* tokens of one server */
/* processes of one token; more cores than that sign no faster */
#define CHY_LIMIT_WORKERS 64
/* threads of one token process; a network HSM takes some hundred */
#define CHY_LIMIT_SESSIONS   256
#define CHY_LIMIT_API_TOKENS 256   /* API tokens of one principal, ended ones included */
#define CHY_LIMIT_GUARD      65536 /* bytes of one key's guard */

/* --- policy --- */

#define CHY_LIMIT_RULES   10000   /* rules of one policy */
#define CHY_LIMIT_REASONS 64      /* rules named in one decision */
#define CHY_LIMIT_POLICY  8388608 /* bytes of a policy's canonical form; half a frame */
/* bytes of one pattern; PCRE2 ones of command lines get long */
#define CHY_LIMIT_PATTERN        1024
#define CHY_LIMIT_MATCHER_VALUES 256 /* values of one matcher: past it, make a group */
#define CHY_LIMIT_NAMED_MATCHERS 16  /* label, fact or window matchers of one rule */
#define CHY_LIMIT_WINDOW_DATES   128 /* dates of one window: ten years of holidays */
/* different windows of one policy; each takes 13 KB compiled */
#define CHY_LIMIT_WINDOWS            1024
#define CHY_LIMIT_GUARD_ALTERNATIVES 32       /* ways in which one guard can be met */
#define CHY_LIMIT_COMPILED_PATTERNS  16777216 /* bytes of one policy's PCRE2 patterns, compiled */
/* PCRE2 steps of one decision, shared by its patterns: some 5 ms */
#define CHY_LIMIT_MATCH_STEPS     400000
#define CHY_LIMIT_MATCH_STEPS_MAX 20000 /* PCRE2 steps of one pattern on one command line */
#define CHY_LIMIT_MATCH_STEPS_MIN 1000  /* what a pattern gets however many there are */
#define CHY_LIMIT_MATCH_HEAP_KIB  1024  /* KiB that one PCRE2 match may take */
/* days ahead that windows are compiled for; renewed daily */
#define CHY_LIMIT_WINDOW_DAYS 400

/* --- the log --- */

#define CHY_LIMIT_LOG_SIZE INT64_MAX /* entries of one log; what the store can count */
/* hashes of one proof: a tree of 2^63 entries needs no more */
#define CHY_LIMIT_PROOF 63
/* bytes of a leaf that the signer writes: a bundle of 256 fits an answer */
#define CHY_LIMIT_LEAF 16384
/* bytes of one log entry; the length field of an entry bundle */
#define CHY_LIMIT_ENTRY           65535
#define CHY_LIMIT_NOTE            65536 /* bytes of a signed note: 16 ML-DSA signatures are 52 KB */
#define CHY_LIMIT_NOTE_SIGNATURES 32    /* signature lines of one note; C2SP asks for 16 at least */
#define CHY_LIMIT_NOTE_LINE       8192  /* bytes of one line of a note: an ML-DSA-44 one is 3,300 */
#define CHY_LIMIT_LOG_KEYS        32    /* keys that a verifier of one log is given */
#define CHY_LIMIT_RECEIPT         73728 /* bytes of a receipt: a note, 63 hashes, some extra */
#define CHY_LIMIT_PAGE            1000  /* entries of one answer */

/* --- client --- */

#define CHY_LIMIT_URL      512    /* bytes of a server's address; a DNS name has 253 at most */
#define CHY_LIMIT_PROFILES 64     /* profiles of one configuration */
#define CHY_LIMIT_CONFIG   262144 /* bytes of the client's configuration */
/* bytes of one answer of a server: 1,000 log entries of 16 KiB */
#define CHY_LIMIT_RESPONSE 33554432
/* bytes of JSON that one command prints: 16,384 keys with two certificates each are 80 MB */
#define CHY_LIMIT_PRINTED 268435456
/* checkpoints and receipts that one verification is held against */
#define CHY_LIMIT_KNOWN 1024
/* faults of a log that are told one by one; more are counted */
#define CHY_LIMIT_FINDINGS  32
#define CHY_LIMIT_ARGUMENTS 16384 /* words of one command line: files of a big build */

/* bytes that chancery-gpgsm signs or verifies; git's commits and tags are some hundred */
#define CHY_LIMIT_GPGSM_DATA 67108864

/* --- the agent's door --- */

#define CHY_LIMIT_KEY_PAGE      500     /* keys of one page: with their chains well below a frame */
#define CHY_LIMIT_VISIBLE_KEYS  16384   /* keys of one principal that an agent lists */
#define CHY_LIMIT_DOOR_PART     1048576 /* bytes of one part of data that is hashed */
#define CHY_LIMIT_DOOR_ID       64      /* bytes of a CKA_ID; ours have 16, Signum's 20 */
#define CHY_LIMIT_DOOR_PATTERNS 256     /* names or patterns of CHANCERY_KEYS */
#define CHY_LIMIT_DOOR_STREAMS  64      /* of one connection; a tool hashes one file at a time */
/* requests in flight on one connection; past it the agent reads on when one is answered */
#define CHY_LIMIT_DOOR_REQUESTS 1024
/* of one agent: each thread of each tool has one while it signs */
#define CHY_LIMIT_DOOR_CONNECTIONS 1024
/* signatures of one tool that chancery exec tells one by one; more are counted */
#define CHY_LIMIT_EXEC_EVENTS 65536
/* tools that chancery sign runs at once; each is watched */
#define CHY_LIMIT_SIGN_JOBS 32
/* requests to one time-stamp authority at once; it is somebody else's */
#define CHY_LIMIT_STAMPS_AT_ONCE 8
/* bytes that wait to be sent to one tool: two frames */
#define CHY_LIMIT_DOOR_SEND 33554432
/* requests for the server that wait in one agent: some seconds of work */
#define CHY_LIMIT_DOOR_WAITING 16384
/* bytes of them; a tool that shows 64 KiB of each message has 4,000 in flight */
#define CHY_LIMIT_DOOR_WAITING_BYTES 268435456
#define CHY_LIMIT_DOOR_WATCHES       64 /* tags that are watched in one agent */
/* bytes of a program that is hashed: a second of work */
#define CHY_LIMIT_PROGRAM 1073741824
/* bytes of a message of the SSH agent protocol: what OpenSSH takes */
#define CHY_LIMIT_SSH_MESSAGE    262144
#define CHY_LIMIT_SSH_IDENTITIES 2048 /* keys that an SSH client is shown: more OpenSSH refuses */

/* --- the PKCS#11 module and the OpenSSL provider --- */

/* connections to the agent: one for each thread that is in a call; past it calls wait */
#define CHY_LIMIT_GUEST_LINKS  64
#define CHY_LIMIT_P11_SESSIONS 4096   /* SunPKCS11 opens one for each thread and signature */
#define CHY_LIMIT_P11_OBJECTS  131072 /* shown in a process's life: all keys, changed once */
#define CHY_LIMIT_P11_TEMPLATE 256    /* attributes of one template; there are 60 kinds */
/* bytes of one call's data, of a signature, of random bytes: no Java array is longer */
#define CHY_LIMIT_P11_DATA 2147483647
#define CHY_LIMIT_P11_RSA  1024 /* bytes of a modulus; RSA-4096 has 512 */

/* --- metrics --- */

#define CHY_LIMIT_COUNTERS 256 /* metrics of one process */

/* --- tokens --- */

#define CHY_LIMIT_MODULE 134217728 /* bytes of a PKCS#11 module; vendors' are up to 50 MB */
/* wait for other processes of the token to start or log in */
#define CHY_LIMIT_TOKEN_LOCK_MS 30000
#define CHY_LIMIT_TOKEN_KEYS    16384 /* keys that one token process keeps handles of */
#define CHY_LIMIT_TOKEN_SLOTS   1024  /* slots of one module that are looked at */
#define CHY_LIMIT_TOKEN_THREADS 256   /* sessions of one token process that sign at once */
/* bytes of heap; past it a token process retires, SoftHSM leaks */
#define CHY_LIMIT_TOKEN_HEAP 268435456
/* signatures between two looks at the heap, which cost 1 us */
#define CHY_LIMIT_TOKEN_LOOK 256
#define CHY_LIMIT_TOKEN_JOBS 1024 /* requests that wait in one token process */
/* bytes of a signature as a token gives it; RSA-4096 is 512 */
#define CHY_LIMIT_RAW_SIGNATURE 1024

/* --- OpenPGP --- */

/* bytes of a v4 public key's packet: RSA-4096 with its exponent is 525 */
#define CHY_LIMIT_OPENPGP_KEY     640
#define CHY_LIMIT_OPENPGP_USER_ID 255 /* bytes; the length that fits into one */
/* bytes of a certificate: a key, a user id, its signature, and base 64 of that all */
#define CHY_LIMIT_OPENPGP_CERTIFICATE 8192
/* bytes of one line that is clear-signed; GnuPG cuts lines at 20,000 when it verifies */
#define CHY_LIMIT_CLEARTEXT_LINE 19900
/* certificates in the folder that chancery-gpg keeps */
#define CHY_LIMIT_OPENPGP_CERTIFICATES 1024

/* --- supervisor --- */

#define CHY_LIMIT_TREE_DEPTH 32 /* nested folders of a data directory; ours has 4 */
/* entries of one folder: SoftHSM has a file or two for each object */
#define CHY_LIMIT_TREE_ENTRIES 65536
/* from the start of a process until it is ready; HSMs log in for seconds */
#define CHY_LIMIT_START_MS 60000
/* for what is in flight when the server ends; systemd waits for 30 s */
#define CHY_LIMIT_DRAIN_MS 25000
/* files of one backup: a soft token has one for each of its objects */
#define CHY_LIMIT_BACKUP_FILES 16384

/* --- inspect --- */

#define CHY_LIMIT_INSPECT_READERS 32   /* documents that are read at once, a process each */
#define CHY_LIMIT_INSPECT_QUEUE   1024 /* documents of one peer that wait */
/* of one peer's documents that wait: eight frames */
#define CHY_LIMIT_INSPECT_QUEUE_BYTES 134217728
/* bytes of one reader: an arena, a frame, a policy's YAML nodes */
#define CHY_LIMIT_INSPECT_MEMORY 805306368

/* --- formats of files --- */

/* bytes read to say what a file is: the directory of a ZIP of 500,000 members */
#define CHY_LIMIT_FORMAT_READ 67108864
/* bytes at a file's end in which a script's signature begins: chains of 8 certificates in base64 */
#define CHY_LIMIT_FORMAT_TAIL  262144
#define CHY_LIMIT_FORMAT_STEPS 100000 /* entries of one header, tokens of one tree */
/* members of a Debian package: it has three, and signatures */
#define CHY_LIMIT_FORMAT_MEMBERS 64
/* sections of a kernel module: the biggest have some 1,000 */
#define CHY_LIMIT_FORMAT_SECTIONS 4096
#define CHY_LIMIT_FORMAT_NAME     255 /* bytes of a name in a ZIP that tells what it is */
/* bytes of a configuration's name; mkimage makes "conf-1" */
#define CHY_LIMIT_FIT_NAME 63
/* configurations of a FIT image: one for each board; distributions have some dozens */
#define CHY_LIMIT_FIT_CONFIGURATIONS 128
/* bytes of a PowerShell file whose signature is verified; modules of 100,000 lines have half */
#define CHY_LIMIT_SCRIPT_FILE 8388608
/* bytes of an XML document whose signature is verified; in memory it is some thirty times that */
#define CHY_LIMIT_XML_FILE 8388608
/* elements within each other there, which is libxml2's own limit */
#define CHY_LIMIT_XML_DEPTH 128   /* elements within each other there; libxml2 stops at 256 */
#define CHY_LIMIT_FORMAT_MS 10000 /* for the process that reads one file */

/* --- query --- */

#define CHY_LIMIT_QUERY_WAITING 64    /* calls that wait for inspect; each holds a draft */
#define CHY_LIMIT_SCAN          20000 /* log entries that one call looks at: some 50 ms */
#define CHY_LIMIT_EXPLAINED     50000 /* rules times items of a policy test: some 8 MB */
