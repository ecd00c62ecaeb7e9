/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/view.h"
#include "format/format.h"
#include "proto/door.h"

#define POS(text, fld, flgs)                                    \
    {                                                           \
        .name = (text), .arg = (text), .field = (fld),          \
        .flags = CHY_CLI_POSITIONAL | CHY_CLI_REQUIRED | (flgs) \
    }
#define OPT(nm, text, fld, flgs)                                     \
    {                                                                \
        .name = (nm), .arg = (text), .field = (fld), .flags = (flgs) \
    }
#define SWITCH(nm, fld)              \
    {                                \
        .name = (nm), .field = (fld) \
    }
/* Read by the command's own code. */
#define OWN(nm, text, flgs, hlp)                                    \
    {                                                               \
        .name = (nm), .arg = (text), .flags = (flgs), .help = (hlp) \
    }
#define OWN_ENUM(nm, text, enm, flgs, hlp)                                           \
    {                                                                                \
        .name = (nm), .arg = (text), .flags = (flgs), .help = (hlp), .values = (enm) \
    }
#define OWN_POS(text, flgs, hlp)                                                           \
    {                                                                                      \
        .name = (text), .arg = (text), .flags = CHY_CLI_POSITIONAL | (flgs), .help = (hlp) \
    }
#define OUT_FILE OWN("out", "FILE", CHY_CLI_FILE, "write it to FILE instead of standard output")

const struct chy_cli_option chy_cli_globals[] = {
    OWN("profile", "NAME", CHY_CLI_GLOBAL, "use this profile of the configuration"),
    OWN("url", "URL", CHY_CLI_GLOBAL, "use the server at https://host[:port]"),
    { .name = "json", .flags = CHY_CLI_GLOBAL, .help = "print one JSON document" },
    { .name = "help", .flags = CHY_CLI_GLOBAL, .help = "print help and do nothing" },
};
const size_t chy_cli_globals_n = CHY_ARRAY_LEN(chy_cli_globals);

static const struct chy_cli_option name_options[] = { POS("NAME", "name", 0) };

static const struct chy_cli_option pem_options[] = { POS("NAME", "name", 0), OUT_FILE };

/* --- keys --- */

#define KEY_PROPERTIES                                                                           \
    SWITCH("allow-rsa-2048", "allow_rsa_2048"), OPT("token", "TOKEN", "token", 0),               \
        OPT("purpose", "TEXT", "purpose", 0), OPT("group", "GROUP", "groups", CHY_CLI_REPEATED), \
        OPT("owner", "PRINCIPAL", "owners", CHY_CLI_REPEATED)

static const struct chy_cli_option key_list_options[] = { SWITCH("usable", "usable") };
static const struct chy_cli_option key_create_options[] = {
    POS("NAME", "name", 0),
    OPT("type", "TYPE", "type", CHY_CLI_REQUIRED),
    KEY_PROPERTIES,
};
static const struct chy_cli_option key_adopt_options[] = {
    POS("NAME", "name", 0),
    OPT("label", "LABEL", "label", 0),
    OPT("id", "HEX", "object_id", 0),
    KEY_PROPERTIES,
};
static const struct chy_cli_option key_destroy_options[] = {
    POS("NAME", "name", 0),
    OPT("confirm", "NAME", "confirm", CHY_CLI_REQUIRED),
};
static const struct chy_cli_option key_guard_options[] = {
    POS("NAME", "name", 0),
    OWN_POS("FILE", CHY_CLI_FILE, "the guard, YAML; - is standard input"),
    { .name = "clear", .help = "take the guard away" },
};

/* --- certificates --- */

static const struct chy_cli_option csr_options[] = {
    POS("NAME", "name", 0),
    OPT("subject", "DN", "subject", CHY_CLI_REQUIRED),
    OPT("san", "KIND:NAME", "sans", CHY_CLI_REPEATED),
    OUT_FILE,
};
static const struct chy_cli_option import_options[] = {
    POS("NAME", "name", 0),
    POS("FILE", "chain", CHY_CLI_CONTENT | CHY_CLI_FILE),
};
static const struct chy_cli_option development_options[] = {
    POS("NAME", "name", 0),
    OPT("subject", "DN", "subject", 0),
    OPT("days", "N", "valid_days", 0),
};
static const struct chy_cli_option out_options[] = { OUT_FILE };

/* --- policies --- */

static const struct chy_cli_option policy_apply_options[] = {
    POS("FILE", "policy", CHY_CLI_CONTENT | CHY_CLI_FILE),
    OPT("comment", "TEXT", "comment", 0),
    OPT("expected", "N", "expected_number", 0),
};
static const struct chy_cli_option policy_show_options[] = {
    { .name = "N", .arg = "N", .field = "number", .flags = CHY_CLI_POSITIONAL },
};
static const struct chy_cli_option policy_test_options[] = {
    OWN("key", "NAME", CHY_CLI_REQUIRED, "the key that would sign"),
    OWN_ENUM("algorithm", "ALGORITHM", &chy_sign_alg_enum, 0,
             "the signature algorithm; not given: the one of the key's type"),
    OWN("digest", "HEX", 0, "the digest that would be signed; not given: zeros"),
    OWN("policy", "FILE", CHY_CLI_FILE, "a draft, YAML; not given: the policy in force"),
    OPT("principal", "NAME", "principal", 0),
    OPT("address", "ADDRESS", "address", 0),
    OPT("time", "TIME", "time", 0),
    OWN("reason", "TEXT", 0, "the reason that would be given"),
    OWN("label", "NAME=VALUE", CHY_CLI_REPEATED, "a label that would be declared"),
    OWN("fact", "NAME=VALUE", CHY_CLI_REPEATED, "a fact that would be declared"),
    OWN("artifact-type", "TYPE", 0, "the type of the file: jar, pe, ..."),
};

/* --- users --- */

static const struct chy_cli_option user_create_options[] = {
    POS("NAME", "name", 0),
    OPT("description", "TEXT", "description", 0),
    OPT("group", "GROUP", "groups", CHY_CLI_REPEATED),
    OPT("role", "ROLE", "roles", CHY_CLI_REPEATED),
};
static const struct chy_cli_option user_update_options[] = {
    POS("NAME", "name", 0),
    OWN("group", "GROUP", CHY_CLI_REPEATED, "the groups from now on, all of them"),
    OWN("role", "ROLE", CHY_CLI_REPEATED, "the roles from now on, all of them"),
    { .name = "no-groups", .help = "take all groups away" },
    { .name = "no-roles", .help = "take all roles away" },
    { .name = "disable", .help = "let the principal do nothing any more" },
    { .name = "enable", .help = "end that" },
};
static const struct chy_cli_option user_code_options[] = {
    POS("NAME", "name", 0),
    OPT("minutes", "N", "valid_minutes", 0),
    SWITCH("agent", "is_agent"),
};
static const struct chy_cli_option token_add_options[] = {
    POS("NAME", "name", 0),
    OPT("scope", "OPERATION", "scopes", CHY_CLI_REPEATED | CHY_CLI_REQUIRED),
    OPT("key", "PATTERN", "keys", CHY_CLI_REPEATED),
    OPT("days", "N", "valid_days", 0),
    OPT("description", "TEXT", "description", 0),
    OWN("out", "FILE", CHY_CLI_FILE, "write the token to FILE, mode 0600, instead of showing it"),
};
static const struct chy_cli_option token_revoke_options[] = {
    POS("NAME", "name", 0),
    POS("ID", "id", 0),
};

/* --- signing --- */

#define STAMP_OPTIONS                                                                         \
    OWN("timestamp-url", "URL", 0,                                                            \
        "the authority for time stamps; not given: CHANCERY_TIMESTAMP_URL or the profile's"), \
    {                                                                                         \
        .name = "no-timestamp", .help = "sign without time stamps"                            \
    }

static const struct chy_cli_option sign_options[] = {
    OWN_POS("FILE", CHY_CLI_REPEATED | CHY_CLI_FILE, "a file to be signed"),
    OWN("key", "NAME", CHY_CLI_REQUIRED, "the key to sign with"),
    OWN("out", "FILE|DIR", CHY_CLI_FILE,
        "where the signed file goes, a folder for many; not given: in the place of the file"),
    { .name = "detached", .help = "leave the files as they are, and make FILE.p7s (CMS)" },
    { .name = "force", .help = "sign what is signed already; the tool adds or replaces" },
    OWN("tool", "NAME", 0,
        "have this tool sign: jarsigner, apksigner, osslsigncode, jsign, sbsign, "
        "rpmsign, debsigs, cms"),
    OWN_ENUM("type", "KIND", &chy_format_kind_enum, 0,
             "take the files for this, whatever they are"),
    STAMP_OPTIONS,
    OWN("jobs", "N", 0, "run so many tools at once; not given: two for each core"),
    { .name = "dry-run", .help = "print what would be run for each file, and sign nothing" },
    OWN("receipts", "DIR", CHY_CLI_FILE, "write a receipt of every signature into DIR"),
    { .name = "raw", .help = "make FILE.sig, the signature of the digest without a format" },
    OWN_ENUM("algorithm", "ALGORITHM", &chy_sign_alg_enum, 0,
             "the signature algorithm; not given: the one of the key's type and --hash"),
    OWN_ENUM("hash", "HASH", &chy_hash_alg_enum, 0,
             "the hash of the algorithm, where the key's type leaves it open"),
    OWN("digest", "HEX", CHY_CLI_REPEATED, "sign this digest instead of a file"),
    OWN("receipt", "FILE", CHY_CLI_FILE,
        "with --raw or --digest, of one file: write the receipt, which proves the log entry"),
    OWN("reason", "TEXT", 0, "why; a policy may require it"),
    OWN("label", "NAME=VALUE", CHY_CLI_REPEATED, "a label that you declare"),
    OWN("fact", "NAME=VALUE", CHY_CLI_REPEATED, "a fact about the request that you declare"),
    OWN("artifact-type", "TYPE", 0, "the type of the file: jar, pe, ..."),
};

static const struct chy_cli_option verify_options[] = {
    OWN_POS("FILE", CHY_CLI_REQUIRED | CHY_CLI_REPEATED | CHY_CLI_FILE,
            "a file, a folder with all that is in it, or a receipt"),
    OWN("trust", "FILE", CHY_CLI_FILE,
        "whom to believe; not given: trust.yaml beside the configuration"),
    OWN("receipts", "DIR", CHY_CLI_FILE, "where receipts are that are not beside their files"),
    { .name = "offline", .help = "ask no server whether a signature is in its log" },
    { .name = "skip-unsigned", .help = "pass over files that have no signature" },
};

static const struct chy_cli_option exec_options[] = {
    OWN("reason", "TEXT", 0, "why; a policy may require it"),
    OWN("key", "NAME", CHY_CLI_REPEATED,
        "show the tool this key alone; Ed25519 keys are shown only so"),
    OWN_ENUM("naming", "NAMING", &chy_door_naming_enum, 0,
             "how keys are named: plain, by their names; signum, by their certificates' SHA-1"),
    STAMP_OPTIONS,
    OWN("receipts", "DIR", CHY_CLI_FILE, "write a receipt of every signature into DIR"),
    OWN("report", "FILE", CHY_CLI_FILE, "write what became of the signatures to FILE, JSON"),
    { .name = "dry-run", .help = "print what the tool would get, and run nothing" },
    OWN_POS("TOOL", CHY_CLI_REQUIRED | CHY_CLI_REPEATED,
            "behind --: the tool and its arguments, as without us"),
};

/* --- the log --- */

static const struct chy_cli_option log_list_options[] = {
    OPT("after", "INDEX", "after", 0), OPT("limit", "N", "limit", 0),
    OPT("key", "NAME", "key", 0),      OPT("principal", "NAME", "principal", 0),
    OPT("kind", "KIND", "kind", 0),    OPT("digest", "HEX", "digest", 0),
    SWITCH("newest", "newest_first"),  OPT("before", "INDEX", "before", 0),
};
static const struct chy_cli_option log_show_options[] = { POS("INDEX", "index", 0) };
static const struct chy_cli_option log_receipt_options[] = { POS("INDEX", "index", 0), OUT_FILE };
static const struct chy_cli_option log_export_options[] = {
    OWN_POS("DIR", CHY_CLI_REQUIRED | CHY_CLI_FILE, "the folder; made when it is not there"),
};
static const struct chy_cli_option log_verify_options[] = {
    OWN_POS("DIR", CHY_CLI_FILE, "the folder of an export"),
    { .name = "server", .help = "verify the log of the server instead of an export" },
    OWN("known", "FILE", CHY_CLI_REPEATED | CHY_CLI_FILE,
        "a checkpoint or receipt that was kept: the log must go on from it"),
    OWN("key", "VKEY", CHY_CLI_REPEATED,
        "a verifier key of the log; not given: the one of the profile"),
};

static const struct chy_cli_option doctor_options[] = {
    OWN("sign", "NAME", 0, "have this key sign a sample, which is logged as any signature is"),
};
/* --- the agent --- */

static const struct chy_cli_option agent_options[] = {
    OWN("socket", "PATH", CHY_CLI_FILE, "the agent's socket; not given: the usual place"),
    OWN("ssh-socket", "PATH", CHY_CLI_FILE,
        "the socket of its SSH agent (SSH_AUTH_SOCK); none: no such socket; not given: "
        "agent.ssh.sock beside agent.sock"),
};
static const struct chy_cli_option agent_status_options[] = {
    OWN("socket", "PATH", CHY_CLI_FILE, "the agent's socket; not given: the usual place"),
};

static const struct chy_cli_option help_options[] = {
    OWN_POS("COMMAND", CHY_CLI_REPEATED, "a command, or its first word"),
    { .name = "man", .help = "print the manual page chancery(1), mdoc" },
    { .name = "man-config", .help = "print the manual page chancery-config(5), mdoc" },
    OWN("completion", "SHELL", 0, "print completion for bash, zsh or fish"),
};

#define OPTIONS(o) (o), CHY_ARRAY_LEN(o)
#define NO_OPTIONS NULL, 0
#define CALL(noun, verb, summary, options, op, view)                                 \
    {                                                                                \
        noun, verb, summary, NULL, options, CHY_OP_##op, view, chy_cli_run_operation \
    }
#define RUN(noun, verb, summary, details, options, op, view, run) \
    {                                                             \
        noun, verb, summary, details, options, op, view, run      \
    }

/* In the order of help. */
/* clang-format off */
const struct chy_cli_command chy_cli_commands[] = {
    RUN("enroll", NULL, "turn an enrolment code into a client certificate of this machine",
        "An administrator makes the code with chancery users code. It is a line of standard input, asked for at a "
        "terminal, and no argument: other users of the machine see those. The private key is made here and never "
        "leaves; the certificate is short-lived and renewed by itself whenever chancery runs. When it has "
        "ended, ask an administrator for a new code.",
        NO_OPTIONS, 0, NULL, chy_cli_run_enroll),
    CALL("whoami", NULL, "show who the server takes you for", NO_OPTIONS, WHOAMI, NULL),
    RUN("version", NULL, "show the versions of this program and of the server", NULL, NO_OPTIONS, 0, NULL,
        chy_cli_run_version),
    RUN("sign", NULL, "sign files or digests, as far as policy allows",
        "Each file is recognised by its header, in a sandbox, and signed by the tool that people use for its kind: "
        "jarsigner signs JAR, WAR and EAR, apksigner APK, osslsigncode or jsign PE, MSI, CAB and CAT, jsign MSIX, "
        "PowerShell and NuGet, sbsign EFI, rpmsign RPM, debsigs DEB. Kernel modules and whatever has no format of "
        "its own are signed by this program: behind the module, or in FILE.p7s beside the file (CMS, with a time "
        "stamp where there is an authority for them: a file whose stamp cannot be had fails). A tool works on a copy "
        "beside the file; the signed file takes the file's place when all went well, and stays away otherwise. "
        "Exit code 0: all are signed; 1: policy refused some; 3: some failed. With --raw "
        "or --digest the signature alone is made: with RSA and ECDSA keys a file is hashed here and its digest is "
        "sent; with Ed25519 keys the file itself is sent, 64 KiB at most; the algorithm rsa-pkcs1-raw signs a file "
        "as it is, at most 11 bytes less than the key's modulus, where a policy names it. All files of one command "
        "are asked for together. A refusal names the rules that made it.",
        OPTIONS(sign_options), 0, NULL, chy_cli_run_sign),
    RUN("verify", NULL, "say of files who signed them, when, and whether the log knows of it",
        "Signatures in a file, and beside it as FILE.p7s, FILE.asc and FILE.sig, are held against the trust file: by "
        "our own verification for CMS, PE and UEFI binaries, catalogues, kernel modules, NuGet, MSIX and PowerShell, "
        "and by jarsigner, apksigner, osslsigncode, rpmkeys, gpgv, ssh-keygen, fit_check_sign and xmlsec1 for the "
        "rest. A certificate "
        "that has ended is good when a time stamp shows that it had not when it signed. Whether a signature is in "
        "the log, a receipt tells offline (FILE.receipt, or --receipts), or the server of the profile. Exit code 0 "
        "when everything is verified, 1 when something is not, or is not signed, 3 when of something that cannot be "
        "told, as when a verifier is not installed.",
        OPTIONS(verify_options), 0, NULL, chy_cli_run_verify),
    RUN("exec", NULL, "run a signing tool that knows nothing of Chancery, so that it signs here",
        "The tool gets the PKCS#11 module with what it needs to load it, and an agent: the one that runs, or a "
        "private one until the tool ends. It gets no credential. No PIN is asked for, and no terminal is needed. "
        "jarsigner, jsign and osslsigncode get the authority for time stamps as well, unless they are given one. "
        "When it has ended, standard error tells what was signed or refused, with the log's entries. The exit code "
        "is the tool's; 128 and the number of a signal that ended it.",
        OPTIONS(exec_options), 0, NULL, chy_cli_run_exec),

    RUN("agent", "status", "show what the agent that runs says of itself", NULL,
        OPTIONS(agent_status_options), 0, NULL, chy_cli_run_agent_status),
    RUN("agent", NULL, "keep the login and a connection for tools of this user",
        "It serves the PKCS#11 module and this command on a socket that its user alone can open, and says of each "
        "signature which program asked. On a second one it is an SSH agent, for ssh-keygen, git and ssh. It runs in "
        "the foreground, as systemd wants it; SIGHUP reads the configuration again, SIGTERM finishes what is in "
        "flight. The certificate is renewed by itself.",
        OPTIONS(agent_options), 0, NULL, chy_cli_run_agent),

    RUN("keys", "list", "list the keys", NULL, OPTIONS(key_list_options), CHY_OP_KEYS_LIST, &chy_view_keys,
        chy_cli_run_keys_list),
    CALL("keys", "show", "show a key with its certificates", OPTIONS(name_options), KEYS_SHOW, NULL),
    RUN("keys", "public", "print the public key of a key, PEM", "It is what openssl verifies a signature with.",
        OPTIONS(pem_options), CHY_OP_KEYS_SHOW, NULL, chy_cli_run_key_public),
    CALL("keys", "create", "make a key in a token", OPTIONS(key_create_options), KEYS_CREATE, NULL),
    CALL("keys", "adopt", "take on a key that is in a token already", OPTIONS(key_adopt_options), KEYS_ADOPT,
         NULL),
    CALL("keys", "enable", "let a disabled key sign again", OPTIONS(name_options), KEYS_ENABLE, NULL),
    CALL("keys", "disable", "keep a key from signing", OPTIONS(name_options), KEYS_DISABLE, NULL),
    RUN("keys", "destroy", "destroy a key for ever",
        "The name is given twice so that no other key is destroyed by mistake.",
        OPTIONS(key_destroy_options), CHY_OP_KEYS_DESTROY, NULL, chy_cli_run_operation),
    RUN("keys", "guard", "set what the owners of a key allow at most", NULL, OPTIONS(key_guard_options),
        CHY_OP_KEYS_GUARD, NULL, chy_cli_run_guard),
    CALL("keys", "tokens", "list the tokens that hold keys", NO_OPTIONS, TOKENS_LIST, &chy_view_tokens),

    RUN("certs", "csr", "make a certificate request for a key, to be sent to a CA", NULL, OPTIONS(csr_options),
        CHY_OP_CERTS_CSR, NULL, chy_cli_run_to_file),
    CALL("certs", "import", "give a key the certificate chain that a CA issued", OPTIONS(import_options),
         CERTS_IMPORT, NULL),
    RUN("certs", "show", "print the certificate of a key and its chain, PEM", NULL, OPTIONS(pem_options),
        CHY_OP_KEYS_SHOW, NULL, chy_cli_run_cert_show),
    CALL("certs", "development", "have the built-in CA issue a certificate that nobody outside trusts",
         OPTIONS(development_options), CERTS_DEVELOPMENT, NULL),
    RUN("certs", "ca", "print the certificate of the built-in development CA", NULL, OPTIONS(out_options),
        CHY_OP_CERTS_DEVELOPMENT_CA, NULL, chy_cli_run_to_file),

    CALL("policies", "list", "list the versions of the policy", NO_OPTIONS, POLICIES_LIST, &chy_view_policies),
    RUN("policies", "show", "print a version of the policy; not given: the one in force", NULL,
        OPTIONS(policy_show_options), CHY_OP_POLICIES_SHOW, &chy_view_policy, chy_cli_run_operation),
    CALL("policies", "apply", "put a policy in force", OPTIONS(policy_apply_options), POLICIES_APPLY,
         &chy_view_applied),
    RUN("policies", "test", "explain rule by rule what the policy, or a draft, would answer",
        "Nothing is signed or logged. Exit code 1 when the answer is not \"allowed\".",
        OPTIONS(policy_test_options), CHY_OP_POLICIES_TEST, NULL, chy_cli_run_policy_test),

    CALL("users", "list", "list the principals", NO_OPTIONS, USERS_LIST, &chy_view_users),
    CALL("users", "show", "show a principal and its API tokens", OPTIONS(name_options), USERS_SHOW, NULL),
    CALL("users", "create", "make a principal: a person, a machine or a build job",
         OPTIONS(user_create_options), USERS_CREATE, NULL),
    RUN("users", "update", "change groups, roles or state of a principal", NULL, OPTIONS(user_update_options),
        CHY_OP_USERS_UPDATE, NULL, chy_cli_run_user_update),
    CALL("users", "code", "make a one-time enrolment code", OPTIONS(user_code_options), USERS_ENROLMENT_CODE,
         &chy_view_code),
    RUN("users", "add-token", "make an API token", NULL, OPTIONS(token_add_options), CHY_OP_API_TOKENS_CREATE,
        &chy_view_api_token, chy_cli_run_to_file),
    CALL("users", "revoke-token", "take an API token back", OPTIONS(token_revoke_options), API_TOKENS_REVOKE,
         &chy_view_revoked),
    RUN("roles", "list", "list the roles and what they may do", NULL, NO_OPTIONS, 0, NULL, chy_cli_run_roles),

    CALL("log", "list", "list entries of the log", OPTIONS(log_list_options), LOG_LIST, &chy_view_log),
    RUN("log", "show", "show an entry of the log with its detail record", NULL, OPTIONS(log_show_options),
        CHY_OP_LOG_SHOW, NULL, chy_cli_run_log_show),
    RUN("log", "receipt", "print the receipt of an entry", NULL, OPTIONS(log_receipt_options),
        CHY_OP_LOG_RECEIPT, NULL, chy_cli_run_to_file),
    RUN("log", "export", "copy the whole log into a folder",
        "The folder has the layout of c2sp.org/tlog-tiles, and the detail records beside it in details/.",
        OPTIONS(log_export_options), 0, NULL, chy_cli_run_log_export),
    RUN("log", "verify", "verify a whole log, offline",
        "Everything is computed again from the entries: hashes, tiles, the signed checkpoint, detail records, the "
        "order of time, and that every signature answers a decision that allowed it. Whoever kept a checkpoint or a "
        "receipt gives it with --known: a log that was rewritten or cut since then is found out. Exit code 1 when "
        "anything is wrong; each finding names the entry.",
        OPTIONS(log_verify_options), 0, NULL, chy_cli_run_log_verify),

    RUN("doctor", NULL, "find out what does not work on this machine, and what to do about it",
        "Looks at the configuration, the way to the server, clock, login, keys, policy, the agent and the private "
        "helper, the module, OpenSSL's engine and provider, and Java. Nothing is signed without --sign. A server looks "
        "at itself by chanceryd doctor. Exit code 1 when there is a problem; warnings are none.",
        OPTIONS(doctor_options), 0, NULL, chy_cli_run_doctor),
    RUN("help", NULL, "print help about a command", NULL, OPTIONS(help_options), 0, NULL, chy_cli_run_help),
};
/* clang-format on */
const size_t chy_cli_commands_n = CHY_ARRAY_LEN(chy_cli_commands);

const struct chy_cli_command *chy_cli_find(struct chy_str noun, struct chy_str verb)
{
    for (size_t i = 0; i < chy_cli_commands_n; i++) {
        const struct chy_cli_command *c = &chy_cli_commands[i];
        if (chy_str_equal_c(noun, c->noun) &&
            (c->verb == NULL || (verb.n != 0 && chy_str_equal_c(verb, c->verb))))
            return c;
    }
    return NULL;
}

const struct chy_field *chy_cli_option_field(const struct chy_cli_command *command,
                                             const struct chy_cli_option *option)
{
    const struct chy_op_row *row = chy_op_row((int)command->op);
    if (row == NULL || option->field == NULL)
        return NULL;
    return chy_schema_field(row->request, chy_str_of(option->field));
}

const char *chy_cli_option_help(const struct chy_cli_command *command,
                                const struct chy_cli_option *option)
{
    const struct chy_field *f = chy_cli_option_field(command, option);
    if (option->help != NULL)
        return option->help;
    return f != NULL && f->doc != NULL ? f->doc : "";
}

const struct chy_enum *chy_cli_option_values(const struct chy_cli_command *command,
                                             const struct chy_cli_option *option)
{
    const struct chy_field *f = chy_cli_option_field(command, option);
    return option->values != NULL ? option->values : f != NULL ? f->values : NULL;
}
