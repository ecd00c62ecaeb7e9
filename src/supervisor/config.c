/* SPDX-License-Identifier: MIT */
#include "supervisor/config.h"

#include "base/limits.h"

static const struct chy_enum_value choices[] = {
    { CHY_CONFIG_AUTO, "auto", NULL },
    { CHY_CONFIG_YES, "true", NULL },
    { CHY_CONFIG_NO, "false", NULL },
};
static const struct chy_enum choice_enum = CHY_ENUM("choice", choices);

static const struct chy_enum_value levels[] = {
    { CHY_LOG_ERROR, "error", NULL },   { CHY_LOG_WARNING, "warning", NULL },
    { CHY_LOG_NOTICE, "notice", NULL }, { CHY_LOG_INFO, "info", NULL },
    { CHY_LOG_DEBUG, "debug", NULL },
};
static const struct chy_enum level_enum = CHY_ENUM("log level", levels);

#define PATH(S, m, flags, doc)   CHY_F_STR(S, m, flags, 1, CHY_LIMIT_PATH, doc)
#define NAME(S, m, flags, doc)   CHY_F_STR(S, m, flags, 1, CHY_LIMIT_NAME, doc)
#define COUNT(S, m, lo, hi, doc) CHY_F_U32(S, m, 0, lo, hi, doc)
#define SCHEMA(nm, T, rows, doc) \
    static const struct chy_schema rows##_schema = CHY_SCHEMA(nm, T, rows, doc)

#define S struct chy_config_tls
static const struct chy_field tls[] = {
    PATH(S, certificate, 0,
         "PEM file: the server's certificate, then its chain. Read again on SIGHUP."),
    PATH(S, key, 0, "PEM file: its private key. Nobody but its owner may read it."),
};
#undef S
SCHEMA("tls", struct chy_config_tls, tls, "The server's TLS certificate.");

#define S struct chy_config_log
static const struct chy_field log_rows[] = {
    NAME(S, origin, CHY_REQUIRED,
         "Name of the transparency log in its checkpoints, e.g. example.org/chancery. It can "
         "never change."),
    NAME(S, token, 0, "The token that holds the log's own key, and those of the built-in CAs."),
    PATH(S, anchor, 0,
         "File for the last published checkpoint, best on another disk than the data: a store "
         "that is older than it is refused."),
};
#undef S
SCHEMA("log", struct chy_config_log, log_rows, "The transparency log.");

#define S struct chy_config_token
static const struct chy_field token_rows[] = {
    NAME(S, name, CHY_REQUIRED, "Its name here: letters, digits and . _ -"),
    PATH(S, module, 0,
         "PKCS#11 module: an absolute path. Default: SoftHSM's, where Debian has it."),
    CHY_F_HASH(S, module_sha256, 0,
               "SHA-256 that the module must have, hexadecimal. Default: not checked."),
    CHY_F_STR(S, slot_label, 0, 1, 32, "Label of the token in its slot."),
    CHY_F_STR(S, slot_serial, 0, 1, 16, "Or its serial number."),
    PATH(S, pin_file, 0, "File with the user PIN. Nobody but its owner may read it."),
    NAME(S, pin_credential, 0, "Or the systemd credential that has it (LoadCredential=)."),
    CHY_F_ENUM(
        S, software, &choice_enum, enum chy_config_choice, 0,
        "Whether its keys are in files of this machine: true, false, or auto, by the module."),
    COUNT(
        S, workers, 0, CHY_LIMIT_WORKERS,
        "Processes that sign with it. 0: one for each core in a software token, one in hardware."),
    COUNT(S, threads, 0, CHY_LIMIT_SESSIONS,
          "Sessions of each process that sign at once. 0: one in a software token, 4 in hardware."),
    PATH(S, directory, 0, "The only files that the module may write."),
    CHY_F_ENUM(
        S, copy_keys, &choice_enum, enum chy_config_choice, 0,
        "Sign with copies that live in the session, which is faster: true, false, or auto, in "
        "software tokens."),
    CHY_F_BOOL(
        S, verify_signatures, 0,
        "Also check elliptic-curve signatures of a software token before they are given out. Those "
        "of RSA keys and of hardware always are."),
    CHY_F_STRS(S, profile, 0, 8, CHY_LIMIT_NAME,
               "What the vendor's module needs beyond its files: network, fork, files."),
};
#undef S
SCHEMA("token", struct chy_config_token, token_rows, "One slot of a PKCS#11 module.");

static const struct chy_field clients[] = {
    COUNT(struct chy_config_clients, hours, 1, 8760, "How long a client certificate is valid."),
};
SCHEMA("client_certificates", struct chy_config_clients, clients,
       "Certificates that clients get when they enrol, and renew by themselves.");

#define S struct chy_config_limits
static const struct chy_field limits[] = {
    COUNT(S, max_connections, 1, 65000, "Connections at once; more wait to be accepted."),
    COUNT(S, header_timeout_ms, 100, 600000,
          "From the first byte of a request to the end of its header."),
    COUNT(S, body_timeout_ms, 100, 600000, "From the end of the header to the end of the body."),
    COUNT(S, idle_timeout_ms, 100, 3600000, "Between two requests of a connection."),
    COUNT(S, max_calls, 1, 65000, "Requests in work; more are answered 503."),
    COUNT(S, max_calls_per_connection, 1, CHY_LIMIT_HTTP2_STREAMS, "The same of one connection."),
    COUNT(S, max_calls_per_principal, 1, 65000,
          "The same of one principal; more are answered 429."),
    COUNT(S, max_queue, 1, 1000000, "Digests that wait for one token; more are answered 503."),
    COUNT(S, token_timeout_ms, 100, 600000,
          "A token process that holds digests longer is taken to hang, and is killed."),
    COUNT(S, document_timeout_ms, 100, 600000, "For the inspection of one document."),
    COUNT(S, denials_per_minute, 1, 1000000,
          "Refusals of one principal that are logged; after them it is answered 429."),
    COUNT(S, commit_pace_us, 1, 100000,
          "How long a batch of log entries is gathered while tokens sign, and twenty times as long "
          "where it only holds what waits for a token whose processes are all busy. Microseconds."),
};
#undef S
SCHEMA("limits", struct chy_config_limits, limits, "Limits. Times are in milliseconds.");

static const struct chy_field metrics[] = {
    CHY_F_BOOL(struct chy_config_metrics, public, 0,
               "Whether /metrics is open to everybody; else it needs the role auditor."),
};
SCHEMA("metrics", struct chy_config_metrics, metrics, "Figures for Prometheus.");

static const struct chy_field signserver[] = {
    CHY_F_BOOL(struct chy_config_signserver, enabled, 0,
               "Whether /rest/v1/workers/NAME/process answers programs made for SignServer."),
};
SCHEMA("signserver", struct chy_config_signserver, signserver,
       "SignServer's way of asking for signatures, a worker being a key.");

#define S struct chy_config_run_as
static const struct chy_field run_as[] = {
    NAME(S, front, 0, "Network and HTTP."),      NAME(S, query, 0, "Reads of the store."),
    NAME(S, inspect, 0, "Parser of documents."), NAME(S, signer, 0, "Decisions, store and log."),
    NAME(S, token, 0, "PKCS#11 modules."),
};
#undef S
SCHEMA("run_as", struct chy_config_run_as, run_as,
       "System users that the processes change to when the server is started as root.");

#define S struct chy_config
static const struct chy_field config_rows[] = {
    PATH(S, data, CHY_REQUIRED, "Folder of the store, the software tokens and the secrets."),
    CHY_F_STRS(S, listen, CHY_ONE_OR_MORE, 16, CHY_LIMIT_NAME,
               "Where to listen: ADDRESS:PORT, [IPv6]:PORT or unix:PATH; one, or a list."),
    CHY_F_STR(S, public_url, 0, 1, CHY_LIMIT_URL,
              "How clients reach the server, https://host[:port]; stands in enrolment codes."),
    NAME(S, node, 0, "This server's name in log entries. Default: the host's name."),
    CHY_F_STRUCT(S, tls, &tls_schema, struct chy_config_tls, 0, "The server's TLS certificate."),
    CHY_F_STRUCT(S, log, &log_rows_schema, struct chy_config_log, CHY_REQUIRED,
                 "The transparency log."),
    CHY_F_LIST(S, tokens, &token_rows_schema, struct chy_config_token, CHY_REQUIRED, 1,
               CHY_LIMIT_TOKENS, "Tokens: slots of PKCS#11 modules, which hold the keys."),
    NAME(S, default_token, 0, "Where a new key is made when nothing is said. Default: the first."),
    CHY_F_STRUCT(S, client_certificates, &clients_schema, struct chy_config_clients, 0,
                 "Certificates that clients get when they enrol, and renew by themselves."),
    CHY_F_STRUCT(S, limits, &limits_schema, struct chy_config_limits, 0,
                 "Limits. Times are in milliseconds where the name says so."),
    CHY_F_STRUCT(S, metrics, &metrics_schema, struct chy_config_metrics, 0,
                 "Figures for Prometheus."),
    CHY_F_STRUCT(S, signserver, &signserver_schema, struct chy_config_signserver, 0,
                 "SignServer's way of asking for signatures, a worker being a key."),
    CHY_F_ENUM(S, log_level, &level_enum, enum chy_log_level, 0,
               "What the operators' log shows: error, warning, notice, info or debug."),
    CHY_F_STRUCT(S, run_as, &run_as_schema, struct chy_config_run_as, 0,
                 "System users that the processes change to when the server is started as root."),
    CHY_F_HASH(S, sha256, CHY_INTERNAL, NULL),
};
#undef S
const struct chy_schema chy_config_schema =
    CHY_SCHEMA("chanceryd.yaml", struct chy_config, config_rows, "The configuration of chanceryd.");
