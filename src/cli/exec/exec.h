/* SPDX-License-Identifier: MIT */
/* chancery exec: what a tool that knows nothing of us gets so that it signs through Chancery. A
 * plan is pure: it is made from a row of the table, the user's words and the environment, and says
 * which variables, files and words the tool gets; --dry-run shows it. */
#pragma once

#include "cli/cli.h"
#include "os/loop.h"
#include "proto/door.h"

enum {
    CHY_EXEC_ENGINE = 1 << 0,   /* openssl.cnf, which loads the engine */
    CHY_EXEC_JAVA = 1 << 1,     /* pkcs11.cfg, of SunPKCS11 */
    CHY_EXEC_SECURITY = 1 << 2, /* java.security, which registers it; needs CHY_EXEC_JAVA */
    CHY_EXEC_PROVIDER = 1 << 3, /* openssl.cnf, which loads our provider */
    CHY_EXEC_OPENSSL = CHY_EXEC_ENGINE | CHY_EXEC_PROVIDER, /* one of them: plan.c */
    CHY_EXEC_GPG = 1 << 4,                                  /* bin/gpg, which is chancery-gpg */
};

/* Words of the tool are templates: {module}, {dir} (of the files), {gpg} (chancery-gpg), {ssh}
 * (socket), {tsa} (URL), {old} (the variable's value so far). Lists end with NULL. */
struct chy_exec_variable {
    const char *name;
    const char *value;
};

/* Words put in, unless one of `unless` is among the user's words. With `uri_of`, only if the value
 * of one of those options is a pkcs11: URI; with `with`, only if one of those words is there. */
struct chy_exec_insert {
    const char *words[4];
    const char *const *unless;
    const char *const *uri_of;
    const char *const *with;
    bool is_engine; /* without libp11's engine the tool cannot sign, and is not run */
    bool is_stamp;  /* put in where an authority for time stamps is known; else that is told */
};

struct chy_exec_tool {
    const char *name;    /* of the program, without its folder */
    const char *where;   /* word that must be among the user's, such as a JAR's name; NULL: none */
    const char *program; /* a template: what is run in its place; NULL: what the user named */
    unsigned files;
    unsigned flags;
    const struct chy_exec_variable *variables; /* the last has no name */
    const struct chy_exec_insert *inserts;     /* the last has no words */
    /* With one of these words the tool signs nothing of ours: nothing is put in. "-x=y" stands for
     * the option -x with any value but y. */
    const char *const *except;
    const char *hint; /* what to know, shown by --dry-run; may be NULL */
};

enum {
    CHY_EXEC_AFTER_COMMAND = 1 << 0, /* the words go behind the tool's own subcommand */
    CHY_EXEC_ANY_CASE = 1 << 1,      /* the tool reads -keyStore as -keystore */
    CHY_EXEC_BY_URI = 1 << 2, /* OpenSSL's engine for a pkcs11: URI or -engine, else our provider;
                                 without it the engine, or the provider where there is none */
    CHY_EXEC_SSH = 1 << 3,    /* it asks an SSH agent: {ssh} is the socket of ours */
};

extern const struct chy_exec_tool chy_exec_tools[];
extern const size_t chy_exec_tools_n;
/* For whatever no row names. */
extern const struct chy_exec_tool chy_exec_any_tool;

/* Never NULL. `words` are the tool and its arguments. */
const struct chy_exec_tool *chy_exec_tool_find(const struct chy_strs *words);

/* What is known of this machine and of what the user asked for. */
struct chy_exec_setup {
    struct chy_strs words;            /* tool and arguments */
    const char *const *environ;       /* ends with NULL */
    struct chy_str dir;               /* the private folder; need not be there yet */
    struct chy_str module;            /* path of chancery-pkcs11.so */
    struct chy_str gpg;               /* path of chancery-gpg */
    struct chy_str engine;            /* path of libp11's engine; empty: none is installed */
    struct chy_str provider;          /* path of ours for OpenSSL; empty: there is none */
    struct chy_str openssl_cnf;       /* what OpenSSL reads without us; empty: nothing */
    struct chy_str openssl_section;   /* that it names by openssl_conf; empty: none */
    struct chy_str openssl_providers; /* that this names by providers; empty: none */
    struct chy_str socket;            /* CHANCERY_AGENT_SOCK */
    struct chy_str tag;               /* CHANCERY_EXEC_TAG, hex */
    struct chy_str reason;            /* empty: as the environment says */
    struct chy_str receipts;          /* likewise */
    struct chy_strs keys;             /* likewise */
    struct chy_str naming;            /* likewise */
    struct chy_str tsa;               /* URL of the authority for time stamps; empty: none */
};

/* Variables that one plan sets: some for every tool, and those of a row. */
#define CHY_EXEC_VARIABLES 16

struct chy_exec_file {
    struct chy_str path;
    struct chy_str text; /* of a link, what it leads to */
    bool is_link;
};

struct chy_exec_plan {
    const struct chy_exec_tool *tool;
    struct chy_str hint;
    struct chy_str ssh_socket; /* where the agent shall serve SSH for it; empty: nowhere */
    struct chy_strs argv;
    struct chy_strs set;   /* NAME=VALUE, what is added or changed */
    struct chy_strs unset; /* names that are taken out */
    bool lacks_stamp;      /* the tool would have time stamps, and no authority is known */
    CHY_LIST_OF(struct chy_exec_file) files;
    const char *const *env; /* all of the tool's, up to NULL */
};

extern const struct chy_schema chy_exec_plan_schema;

/* The folder of the links, in that of the files. */
#define CHY_EXEC_BIN "bin"

/* All in the arena. Errors: CHY_E_NOT_FOUND the tool needs libp11's engine and there is none;
 * CHY_E_LIMIT, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_exec_plan_make(const struct chy_exec_setup *setup,
                                             struct chy_arena *arena,
                                             struct chy_exec_plan *ret_plan, struct chy_error *err);
/* The files alone: part of chy_exec_plan_make(). */
CHY_MUST_USE enum chy_err chy_exec_files_make(const struct chy_exec_setup *setup, unsigned wanted,
                                              struct chy_arena *arena, struct chy_exec_plan *plan,
                                              struct chy_error *err);
/* A command line as a shell reads it back. */
void chy_exec_words_print(FILE *out, const struct chy_strs *words);
void chy_exec_plan_print(FILE *out, const struct chy_exec_plan *plan);

/* --- what runs it --- */

/* What to do where there are no time stamps. */
#define CHY_EXEC_AUTHORITY_HINT                                                      \
    "Name an authority by --timestamp-url, CHANCERY_TIMESTAMP_URL or the profile's " \
    "timestamp_url, or say --no-timestamp\n"

/* Of this machine, the command line (--reason, --receipts, --timestamp-url), the environment and
 * the profile, which was read: all but words, tag, keys and naming. The private folder has a name
 * that nothing has. Errors: CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_exec_setup_make(struct chy_cli *cli, const struct chy_cli_args *args,
                                              struct chy_exec_setup *ret_setup,
                                              struct chy_error *err);
/* The path from the root, in the arena; empty stays empty. Errors: CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_exec_absolute(struct chy_arena *arena, struct chy_str path,
                                            struct chy_str *ret_path, struct chy_error *err);
/* Random bytes (CHY_ID_BYTES at most) and their hex in the arena. Errors: CHY_E_IO, CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_exec_random(struct chy_arena *arena, uint8_t *bytes, size_t n,
                                          struct chy_str *ret_hex, struct chy_error *err);
/* The folder with the plan's files, all of it or nothing. It is in use until `ret_lock_fd` is
 * closed; what runs that were killed have left beside it is removed (os/scratch.h).
 * Errors: CHY_E_EXISTS, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_exec_dir_make(struct chy_str dir, const struct chy_exec_plan *plan,
                                            int *ret_lock_fd, struct chy_error *err);
/* Says what goes wrong on standard error. Closes the lock; -1: there is none. */
void chy_exec_dir_remove(struct chy_cli *cli, struct chy_str dir, int *lock_fd);

/* What became of the tool's signatures. */
struct chy_exec_report {
    struct chy_str tool;
    uint32_t exit_code; /* 128 and the signal's number, as shells say, when a signal ended it */
    CHY_LIST_OF(struct chy_door_event) signatures;
    uint64_t more;          /* that were too many to be told */
    struct chy_str trouble; /* why the agent could not work, or was lost; empty: neither */
};

extern const struct chy_schema chy_exec_report_schema;

/* One line for each signature, on standard error as a rule. */
void chy_exec_report_print(FILE *out, const struct chy_exec_report *report);

/* The agent that runs, or a private helper until this is closed. Not shared. */
struct chy_exec_agent;

struct chy_exec_agent_options {
    struct chy_str socket; /* of the agent; where a helper shall listen if `is_helper` */
    bool is_helper;
    const char *token;      /* CHANCERY_TOKEN for the helper; may be NULL */
    struct chy_str profile; /* for the helper; empty: as the environment says */
    struct chy_str url;     /* likewise */
    struct chy_arena *arena;
};

/* The agent that runs, else a helper in the setup's folder; sets the setup's socket.
 * Errors: CHY_E_STATE no server is named (--dry-run needs none); CHY_E_NOMEM */
CHY_MUST_USE enum chy_err chy_exec_agent_choose(struct chy_cli *cli,
                                                const struct chy_cli_args *args,
                                                struct chy_exec_setup *setup,
                                                struct chy_exec_agent_options *ret_options,
                                                struct chy_error *err);

/* Errors: CHY_E_STATE the helper ended at once; CHY_E_TIMEOUT, CHY_E_PROTOCOL, CHY_E_NOMEM; what
 * the helper said */
CHY_MUST_USE enum chy_err chy_exec_agent_open(const struct chy_exec_agent_options *options,
                                              struct chy_exec_agent **ret_agent,
                                              struct chy_error *err);
void chy_exec_agent_close(struct chy_exec_agent *agent);
void chy_exec_agent_closep(struct chy_exec_agent **agent);

/* A tool, and a connection to an agent that tells what became of the signatures of its tag. Not
 * shared. */
struct chy_exec_door;

struct chy_exec_door_options {
    struct chy_str socket;               /* of the agent */
    const uint8_t *tag;                  /* 16 bytes; borrowed while the door is open */
    const struct chy_artifact *artifact; /* what the tool signs; NULL: not known */
    struct chy_door_hello hello;         /* of what goes by SSH: tag, reason, keys, receipts */
    struct chy_str ssh_socket; /* where the agent shall serve SSH in that name; empty: nowhere */
    struct chy_arena *arena;   /* of what is told */
};

/* Errors: CHY_E_NETWORK nobody listens, CHY_E_FORBIDDEN it is somebody else's socket;
 * CHY_E_TIMEOUT, CHY_E_PROTOCOL, CHY_E_NOMEM; what the agent said */
CHY_MUST_USE enum chy_err chy_exec_door_open(const struct chy_exec_door_options *options,
                                             struct chy_exec_door **ret_door,
                                             struct chy_error *err);
void chy_exec_door_close(struct chy_exec_door *door); /* kills a tool that runs */
void chy_exec_door_closep(struct chy_exec_door **door);

#define CHY_EXEC_LOCKS 2

struct chy_exec_start {
    struct chy_loop *loop;
    int output_fd; /* where standard output and error go, with /dev/null as input; -1: ours */
    void (*done)(void *ctx); /* once; the door may be closed in it */
    void *ctx;
    /* Of folders that the tool uses. It holds them too: when we are killed and it runs on, nobody
     * else removes them. */
    int locks[CHY_EXEC_LOCKS];
    size_t n_locks;
};

/* Start the tool and gather what is told of its signatures; `done` is called when all was.
 * Errors: of chy_program_start(); CHY_E_NOMEM, CHY_E_IO */
CHY_MUST_USE enum chy_err chy_exec_door_start(struct chy_exec_door *door,
                                              const struct chy_exec_plan *plan,
                                              const struct chy_exec_start *start,
                                              struct chy_error *err);
/* After `done`. The loss of the agent is no error: it is in the report. Errors: CHY_E_IO */
CHY_MUST_USE enum chy_err chy_exec_door_result(struct chy_exec_door *door,
                                               struct chy_exec_report *ret_report,
                                               struct chy_error *err);
/* Hand a signal on to the tool, if it runs. */
void chy_exec_door_signal(struct chy_exec_door *door, int number);
/* Give up loop and agent; nothing more is told. Part of chy_exec_door_close(). */
void chy_exec_door_detach(struct chy_exec_door *door);

/* The same for one tool in the place of this process: signals are handed on to it until it ends.
 * `lock_fd` is of its folder.
 * Errors: of start and result */
CHY_MUST_USE enum chy_err chy_exec_door_run(struct chy_exec_door *door,
                                            const struct chy_exec_plan *plan, int lock_fd,
                                            struct chy_exec_report *ret_report,
                                            struct chy_error *err);
