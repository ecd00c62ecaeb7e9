/* SPDX-License-Identifier: MIT */
/* The table of tools. What is known of each is in docs/tools; what a release of a tool does
 * differently is said there too. */
#include "cli/exec/exec.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
/* Put in unless the option is there already. */
#define OPTION(option, value)                              \
    {                                                      \
        .words = { option, value }, .unless = LIST(option) \
    }
/* Likewise, of an authority for time stamps. */
#define STAMP(others, ...)                                             \
    {                                                                  \
        .words = { __VA_ARGS__ }, .unless = (others), .is_stamp = true \
    }
#define NO_MORE           \
    {                     \
        .words = { NULL } \
    }

#define PKCS11_CFG "{dir}/pkcs11.cfg"
#define OPENSSL_CNF                         \
    {                                       \
        "OPENSSL_CONF", "{dir}/openssl.cnf" \
    }
/* Read by the launcher `java` of JDK 9 and later, whoever starts it. */
#define JAVA_OPTIONS                                                               \
    {                                                                              \
        "JDK_JAVA_OPTIONS", "{old} -Djava.security.properties={dir}/java.security" \
    }

static const struct chy_exec_variable no_variables[] = { { 0 } };
static const struct chy_exec_insert no_inserts[] = { NO_MORE };
static const struct chy_exec_variable openssl_variables[] = { OPENSSL_CNF, { 0 } };
static const struct chy_exec_variable java_variables[] = { JAVA_OPTIONS, { 0 } };

/* --- Java --- */

/* -addprovider takes a name since JDK 9; -providerClass with -providerArg, as in JDK 8, still works
 * but warns. `-protected` keeps the tools from asking for a PIN. */
static const struct chy_exec_insert jdk_inserts[] = {
    { .words = { "-addprovider", "SunPKCS11", "-providerArg", PKCS11_CFG },
      .unless = LIST("-addprovider", "-providerclass", "-providerarg") },
    OPTION("-keystore", "NONE"),
    OPTION("-storetype", "PKCS11"),
    { .words = { "-protected" },
      .unless = LIST("-protected", "-storepass", "-storepass:env", "-storepass:file") },
    STAMP(LIST("-tsa", "-tsacert"), "-tsa", "{tsa}"),
    NO_MORE,
};

/* Of a key's own password keytool knows better: with -protected it asks for one at a terminal, with
 * any password for the store it does not. Ours is any. */
static const struct chy_exec_insert keytool_inserts[] = {
    { .words = { "-addprovider", "SunPKCS11", "-providerArg", PKCS11_CFG },
      .unless = LIST("-addprovider", "-providerclass", "-providerarg") },
    OPTION("-keystore", "NONE"),
    OPTION("-storetype", "PKCS11"),
    { .words = { "-storepass", "none" },
      .unless = LIST("-protected", "-storepass", "-storepass:env", "-storepass:file") },
    NO_MORE,
};

/* A password is asked for when none is given. */
static const struct chy_exec_insert apksigner_inserts[] = {
    OPTION("--ks", "NONE"),
    OPTION("--ks-type", "PKCS11"),
    OPTION("--ks-pass", "pass:none"),
    NO_MORE,
};

static const struct chy_exec_insert jsign_inserts[] = {
    OPTION("--storetype", "PKCS11"),
    OPTION("--keystore", PKCS11_CFG),
    OPTION("--storepass", "none"),
    STAMP(LIST("--tsaurl", "-t"), "--tsaurl", "{tsa}"),
    /* Its own default is a way of asking that authorities have given up. */
    STAMP(LIST("--tsaurl", "-t", "--tsmode", "-m"), "--tsmode", "RFC3161"),
    NO_MORE,
};
/* Those of its commands that use no key, and keys that are not ours. */
#define JSIGN_EXCEPT                                                                               \
    LIST("timestamp", "extract", "remove", "tag", "--help", "-h", "--version", "--keystore", "-s", \
         "--keyfile", "--storetype=PKCS11")

/* --- OpenSSL's engine --- */

#define OPENSSL_KEYS "-inkey", "-sign", "-key", "-signkey", "-keyfile"
static const struct chy_exec_insert openssl_inserts[] = {
    { .words = { "-engine", "pkcs11" },
      .unless = LIST("-engine"),
      .uri_of = LIST(OPENSSL_KEYS, "-CAkey"),
      .is_engine = true },
    { .words = { "-keyform", "engine" }, .unless = LIST("-keyform"), .uri_of = LIST(OPENSSL_KEYS) },
    { .words = { "-CAkeyform", "engine" }, .unless = LIST("-CAkeyform"), .uri_of = LIST("-CAkey") },
    NO_MORE,
};

/* The engine is where OpenSSL looks for it. -pkcs11engine with a path fails in 2.5, Debian 12's. */
static const struct chy_exec_insert osslsigncode_inserts[] = {
    { .words = { "-pkcs11module", "{module}" },
      .unless = LIST("-pkcs11module"),
      .is_engine = true },
    STAMP(LIST("-ts", "-t", "-TSA-certs"), "-ts", "{tsa}"),
    NO_MORE,
};

static const struct chy_exec_insert sbsign_inserts[] = {
    { .words = { "--engine", "pkcs11" },
      .unless = LIST("--engine"),
      .uri_of = LIST("--key"),
      .is_engine = true },
    NO_MORE,
};

static const struct chy_exec_variable rauc_variables[] = {
    OPENSSL_CNF,
    { "RAUC_PKCS11_MODULE", "{module}" },
    { 0 },
};

/* --- those that load a module by themselves --- */

static const struct chy_exec_insert pkcs11_tool_inserts[] = { OPTION("--module", "{module}"),
                                                              NO_MORE };
static const struct chy_exec_insert p11tool_inserts[] = { OPTION("--provider", "{module}"),
                                                          NO_MORE };
/* A CA's key signs certificates; its public half is the file of -s. With -U the SSH agent does
 * it. */
static const struct chy_exec_insert ssh_keygen_inserts[] = {
    { .words = { "-D", "{module}" }, .unless = LIST("-D", "-U"), .with = LIST("-s") },
    NO_MORE,
};
static const struct chy_exec_variable ssh_variables[] = {
    { "SSH_AUTH_SOCK", "{ssh}" },
    { 0 },
};
static const struct chy_exec_variable cosign_variables[] = {
    { "COSIGN_PKCS11_MODULE_PATH", "{module}" },
    { 0 },
};

/* --- OpenPGP, by chancery-gpg --- */

/* Later settings go before earlier ones: who names another program has it. */
static const struct chy_exec_insert rpmsign_inserts[] = {
    { .words = { "--define", "__gpg {gpg}" } },
    NO_MORE,
};
/* They run whatever `gpg` is in PATH. */
static const struct chy_exec_variable gpg_variables[] = {
    { "PATH", "{dir}/" CHY_EXEC_BIN ":{old}" },
    { 0 },
};

/* --- the rest --- */

/* A script may call any of the above. Its SSH agent stays what it is: it may log in with that. */
static const struct chy_exec_variable any_variables[] = {
    OPENSSL_CNF,
    { "CHANCERY_SUNPKCS11", PKCS11_CFG },
    { "CHANCERY_SSH_AUTH_SOCK", "{ssh}" },
    { 0 },
};

#define SCD_HINT                                                                  \
    "gpg-agent outlives the tool, so it needs an agent of ours that stays, too: " \
    "see docs/tools/gpg.md"

const struct chy_exec_tool chy_exec_tools[] = {
    {
        .name = "jarsigner",
        .files = CHY_EXEC_JAVA,
        .flags = CHY_EXEC_ANY_CASE,
        .variables = no_variables,
        .inserts = jdk_inserts,
        .except = LIST("-verify", "-help", "-keystore=NONE"),
    },
    {
        .name = "keytool",
        .files = CHY_EXEC_JAVA,
        .flags = CHY_EXEC_ANY_CASE | CHY_EXEC_AFTER_COMMAND,
        .variables = no_variables,
        .inserts = keytool_inserts,
        .except = LIST("-printcert", "-printcrl", "-printcertreq", "-importkeystore", "-showinfo",
                       "-help", "-cacerts", "-keystore=NONE"),
    },
    {
        .name = "apksigner",
        .files = CHY_EXEC_JAVA | CHY_EXEC_SECURITY,
        .flags = CHY_EXEC_AFTER_COMMAND,
        .variables = java_variables,
        .inserts = apksigner_inserts,
        .except = LIST("verify", "rotate", "lineage", "version", "help", "--key", "--ks=NONE"),
    },
    {
        .name = "java",
        .where = "jsign",
        .files = CHY_EXEC_JAVA,
        .flags = CHY_EXEC_AFTER_COMMAND,
        .variables = no_variables,
        .inserts = jsign_inserts,
        .except = JSIGN_EXCEPT,
    },
    {
        .name = "jsign",
        .files = CHY_EXEC_JAVA,
        .flags = CHY_EXEC_AFTER_COMMAND,
        .variables = no_variables,
        .inserts = jsign_inserts,
        .except = JSIGN_EXCEPT,
    },
    {
        .name = "java",
        .files = CHY_EXEC_JAVA | CHY_EXEC_SECURITY,
        .variables = java_variables,
        .inserts = no_inserts,
        .hint = "KeyStore.getInstance(\"PKCS11\") is ours; load it without a password",
    },
    {
        .name = "mvn",
        .files = CHY_EXEC_JAVA | CHY_EXEC_SECURITY,
        .variables = java_variables,
        .inserts = no_inserts,
    },
    {
        .name = "ant",
        .files = CHY_EXEC_JAVA | CHY_EXEC_SECURITY,
        .variables = java_variables,
        .inserts = no_inserts,
    },
    {
        .name = "openssl",
        .files = CHY_EXEC_OPENSSL,
        .flags = CHY_EXEC_AFTER_COMMAND | CHY_EXEC_BY_URI,
        .variables = openssl_variables,
        .inserts = openssl_inserts,
        .hint =
            "a key, or a certificate, is named by a URI: chancery:NAME goes through our provider, "
            "pkcs11:object=NAME through the engine of libp11",
    },
    {
        .name = "osslsigncode",
        .flags = CHY_EXEC_AFTER_COMMAND,
        .variables = no_variables,
        .inserts = osslsigncode_inserts,
        .except = LIST("verify", "extract-signature", "extract-data", "remove-signature",
                       "attach-signature", "add", "-pkcs12"),
        .hint = "-pkcs11cert and -key take URIs, such as pkcs11:object=NAME",
    },
    {
        .name = "sbsign",
        .files = CHY_EXEC_ENGINE,
        .variables = openssl_variables,
        .inserts = sbsign_inserts,
    },
    {
        .name = "rauc",
        .files = CHY_EXEC_ENGINE,
        .variables = rauc_variables,
        .inserts = no_inserts,
    },
    {
        .name = "mkimage",
        .files = CHY_EXEC_ENGINE,
        .variables = openssl_variables,
        .inserts = no_inserts,
        .hint = "-N pkcs11; the key is the name of key-name-hint",
    },
    {
        .name = "evmctl",
        .files = CHY_EXEC_ENGINE,
        .variables = openssl_variables,
        .inserts = no_inserts,
        .hint = "--key takes a URI, such as pkcs11:object=NAME",
    },
    {
        .name = "pkcs11-tool",
        .variables = no_variables,
        .inserts = pkcs11_tool_inserts,
    },
    {
        .name = "p11tool",
        .variables = no_variables,
        .inserts = p11tool_inserts,
    },
    {
        .name = "certtool",
        .variables = no_variables,
        .inserts = p11tool_inserts,
    },
    {
        .name = "ssh-keygen",
        .flags = CHY_EXEC_SSH,
        .variables = ssh_variables,
        .inserts = ssh_keygen_inserts,
    },
    {
        .name = "ssh",
        .flags = CHY_EXEC_SSH,
        .variables = ssh_variables,
        .inserts = no_inserts,
    },
    {
        .name = "ssh-add",
        .flags = CHY_EXEC_SSH,
        .variables = ssh_variables,
        .inserts = no_inserts,
    },
    {
        .name = "git",
        .flags = CHY_EXEC_SSH,
        .variables = ssh_variables,
        .inserts = no_inserts,
        .hint = "the SSH agent is ours: push and fetch without chancery exec",
    },
    {
        .name = "cosign",
        .variables = cosign_variables,
        .inserts = no_inserts,
        .hint =
            "--key chancery://NAME; of the build with PKCS#11 'pkcs11:token=Chancery;object=NAME'",
    },
    {
        .name = "notation",
        .variables = no_variables,
        .inserts = no_inserts,
        .hint = "--plugin chancery --id NAME, once the plug-in is installed",
    },
    {
        .name = "rpmsign",
        .variables = no_variables,
        .inserts = rpmsign_inserts,
        .except = LIST("--delsign"),
        .hint = "--key-id takes the key's name",
    },
    {
        .name = "debsigs",
        .files = CHY_EXEC_GPG,
        .variables = gpg_variables,
        .inserts = no_inserts,
        .hint = "-k takes the key's name",
    },
    { .name = "chancery-gpg", .variables = no_variables, .inserts = no_inserts },
    /* What it does not do itself chancery-gpg hands to gpg, but for what changes gpg's own keys. */
    {
        .name = "gpg",
        .program = "{gpg}",
        .variables = no_variables,
        .inserts = no_inserts,
        .except =
            LIST("--verify", "--decrypt", "-d", "--encrypt", "-e", "--symmetric", "-c", "--import",
                 "--gen-key", "--generate-key", "--full-generate-key", "--quick-generate-key",
                 "--edit-key", "--delete-keys", "--recv-keys", "--card-status", "--list-packets"),
        .hint = "-u takes the key's name; chancery-gpg is run in the place of gpg",
    },
    { .name = "gpgsm", .variables = no_variables, .inserts = no_inserts, .hint = SCD_HINT },
};
const size_t chy_exec_tools_n = CHY_ARRAY_LEN(chy_exec_tools);

const struct chy_exec_tool chy_exec_any_tool = {
    .name = "",
    .files = CHY_EXEC_OPENSSL | CHY_EXEC_JAVA,
    .flags = CHY_EXEC_SSH,
    .variables = any_variables,
    .inserts = no_inserts,
};
