/* SPDX-License-Identifier: MIT */
#include "proto/api.h"

#include "base/limits.h"

#define PEM_CHAIN (UINT64_C(2) * CHY_LIMIT_CHAIN * CHY_LIMIT_CERTIFICATE)

/* A name of a thing that an operation makes or finds. */
#define NAME(S, m, flags, doc) CHY_F_STR(S, m, flags, 1, CHY_LIMIT_NAME, doc)
#define TEXT(S, m, flags, doc) CHY_F_STR(S, m, flags, 0, CHY_LIMIT_TEXT, doc)
#define SCHEMA(nm, cname, T, doc) \
    const struct chy_schema chy_##cname##_schema = CHY_SCHEMA(nm, T, cname##_fields, doc)

static const struct chy_field hello_fields[] = {
    NAME(struct chy_hello, server, CHY_REQUIRED, "version of the server"),
    CHY_F_U32(struct chy_hello, api_min, 0, 0, UINT32_MAX, "oldest interface version spoken"),
    CHY_F_U32(struct chy_hello, api_max, 0, 0, UINT32_MAX, "newest interface version spoken"),
    CHY_F_TIME(struct chy_hello, time, CHY_REQUIRED, "the server's clock"),
    TEXT(struct chy_hello, log_vkey, 0, "verifier key of the transparency log"),
};
SCHEMA("Hello", hello, struct chy_hello, "Who the server is and what it speaks.");

static const struct chy_field enroll_request_fields[] = {
    CHY_F_STR(struct chy_enroll_request, code, CHY_REQUIRED | CHY_SECRET, 1, CHY_LIMIT_NAME,
              "the secret part of the one-time enrolment code"),
    CHY_F_STR(struct chy_enroll_request, csr, CHY_REQUIRED | CHY_MULTILINE, 1,
              CHY_LIMIT_CERTIFICATE, "PKCS#10 request of the client's own key, PEM"),
};
SCHEMA("EnrollRequest", enroll_request, struct chy_enroll_request,
       "Turns a one-time code into a client certificate.");

static const struct chy_field renew_request_fields[] = {
    CHY_F_STR(struct chy_renew_request, csr, CHY_REQUIRED | CHY_MULTILINE, 1, CHY_LIMIT_CERTIFICATE,
              "PKCS#10 request, PEM"),
};
SCHEMA("RenewRequest", renew_request, struct chy_renew_request,
       "Asks for a new certificate before the present one ends.");

static const struct chy_field client_certificate_fields[] = {
    NAME(struct chy_client_certificate, principal, CHY_REQUIRED, "whose it is"),
    CHY_F_STR(struct chy_client_certificate, certificate, CHY_REQUIRED | CHY_MULTILINE, 1,
              PEM_CHAIN, "PEM: the certificate, then the client CA"),
    CHY_F_TIME(struct chy_client_certificate, not_after, CHY_REQUIRED, "end of validity"),
};
SCHEMA("ClientCertificate", client_certificate, struct chy_client_certificate,
       "A short-lived client certificate.");

static const struct chy_field whoami_fields[] = {
    NAME(struct chy_whoami, principal, CHY_REQUIRED, "the caller"),
    CHY_F_ENUM(struct chy_whoami, method, &chy_auth_method_enum, enum chy_auth_method, 0,
               "how the caller proved it"),
    CHY_F_STRS(struct chy_whoami, groups, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "groups"),
    CHY_F_STRS(struct chy_whoami, roles, 0, CHY_LIMIT_ROLES, CHY_LIMIT_NAME, "roles"),
    CHY_F_TIME(struct chy_whoami, expires, 0, "end of the credential"),
    CHY_F_BOOL(struct chy_whoami, is_agent, 0, "may state facts of basis agent"),
};
SCHEMA("Whoami", whoami, struct chy_whoami, "Who is asking.");

static const struct chy_field api_token_info_fields[] = {
    CHY_F_ID(struct chy_api_token_info, id, 0, "names the token without revealing it"),
    TEXT(struct chy_api_token_info, description, 0, "what it is for"),
    CHY_F_STRS(struct chy_api_token_info, scopes, 0, CHY_LIMIT_LABELS, CHY_LIMIT_NAME,
               "operations it may call"),
    CHY_F_STRS(struct chy_api_token_info, keys, 0, CHY_LIMIT_LABELS, CHY_LIMIT_NAME,
               "keys it may use (patterns)"),
    CHY_F_TIME(struct chy_api_token_info, created, 0, "when it was made"),
    CHY_F_TIME(struct chy_api_token_info, expires, 0, "when it ends"),
    CHY_F_BOOL(struct chy_api_token_info, is_revoked, 0, "taken back"),
};
SCHEMA("ApiTokenInfo", api_token_info, struct chy_api_token_info,
       "An API token, without its secret.");

static const struct chy_field user_fields[] = {
    NAME(struct chy_user, name, CHY_REQUIRED, "the principal's name"),
    TEXT(struct chy_user, description, 0, "who or what it is"),
    CHY_F_BOOL(struct chy_user, is_disabled, 0, "may do nothing"),
    CHY_F_STRS(struct chy_user, groups, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "groups"),
    CHY_F_STRS(struct chy_user, roles, 0, CHY_LIMIT_ROLES, CHY_LIMIT_NAME, "roles"),
    CHY_F_TIME(struct chy_user, created, 0, "when it was made"),
    CHY_F_LIST(struct chy_user, api_tokens, &chy_api_token_info_schema, struct chy_api_token_info,
               0, 0, CHY_LIMIT_API_TOKENS, "its API tokens"),
};
SCHEMA("User", user, struct chy_user, "A principal: a person, a machine or a build job.");

static const struct chy_field user_list_fields[] = {
    CHY_F_LIST(struct chy_user_list, users, &chy_user_schema, struct chy_user, 0, 0, CHY_LIMIT_LIST,
               "principals by name"),
};
SCHEMA("UserList", user_list, struct chy_user_list, "All principals.");

static const struct chy_field user_name_fields[] = {
    NAME(struct chy_user_name, name, CHY_REQUIRED | CHY_IN_PATH, "the principal's name"),
};
SCHEMA("UserName", user_name, struct chy_user_name, "Names a principal.");

static const struct chy_field user_create_fields[] = {
    NAME(struct chy_user_create, name, CHY_REQUIRED, "letters, digits and . _ - @ +"),
    TEXT(struct chy_user_create, description, 0, "who or what it is"),
    CHY_F_STRS(struct chy_user_create, groups, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "groups"),
    CHY_F_STRS(struct chy_user_create, roles, 0, CHY_LIMIT_ROLES, CHY_LIMIT_NAME,
               "administrator, key-manager, policy-author, auditor"),
};
SCHEMA("UserCreate", user_create, struct chy_user_create, "A new principal.");

static const struct chy_field texts_fields[] = {
    CHY_F_STRS(struct chy_texts, values, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "the new values"),
};
static SCHEMA("Texts", texts, struct chy_texts, "A list that replaces another.");
static const struct chy_field switch_fields[] = {
    CHY_F_BOOL(struct chy_switch, value, CHY_REQUIRED, "the new value"),
};
static SCHEMA("Switch", switch, struct chy_switch, "A value that replaces another.");

static const struct chy_field user_update_fields[] = {
    NAME(struct chy_user_update, name, CHY_REQUIRED | CHY_IN_PATH, "the principal's name"),
    CHY_F_OPTION(struct chy_user_update, groups, &chy_texts_schema, struct chy_texts, 0,
                 "replaces the groups"),
    CHY_F_OPTION(struct chy_user_update, roles, &chy_texts_schema, struct chy_texts, 0,
                 "replaces the roles"),
    CHY_F_OPTION(struct chy_user_update, is_disabled, &chy_switch_schema, struct chy_switch, 0,
                 "disables or enables"),
};
SCHEMA("UserUpdate", user_update, struct chy_user_update, "Changes of a principal; absent stays.");

static const struct chy_field enrolment_code_request_fields[] = {
    NAME(struct chy_enrolment_code_request, name, CHY_REQUIRED | CHY_IN_PATH, "for whom"),
    CHY_F_U32(struct chy_enrolment_code_request, valid_minutes, 0, 0, 10080,
              "how long the code lives; 0 for an hour"),
    CHY_F_BOOL(struct chy_enrolment_code_request, is_agent, 0,
               "the certificate may state facts of basis agent"),
};
SCHEMA("EnrolmentCodeRequest", enrolment_code_request, struct chy_enrolment_code_request,
       "Asks for a one-time enrolment code.");

static const struct chy_field enrolment_code_fields[] = {
    CHY_F_STR(struct chy_enrolment_code, code, CHY_REQUIRED | CHY_SECRET, 1, CHY_LIMIT_TEXT,
              "give it to the principal over a safe way; it works once"),
    CHY_F_TIME(struct chy_enrolment_code, expires, CHY_REQUIRED, "when it ends"),
};
SCHEMA("EnrolmentCode", enrolment_code, struct chy_enrolment_code, "A one-time enrolment code.");

static const struct chy_field api_token_create_fields[] = {
    NAME(struct chy_api_token_create, name, CHY_REQUIRED | CHY_IN_PATH, "for whom"),
    TEXT(struct chy_api_token_create, description, 0, "what it is for"),
    CHY_F_STRS(struct chy_api_token_create, scopes, CHY_REQUIRED, CHY_LIMIT_LABELS, CHY_LIMIT_NAME,
               "operations it may call, e.g. sign or keys.*"),
    CHY_F_STRS(struct chy_api_token_create, keys, 0, CHY_LIMIT_LABELS, CHY_LIMIT_NAME,
               "keys it may use (patterns); none given: whatever policy allows"),
    CHY_F_U32(struct chy_api_token_create, valid_days, 0, 0, 366,
              "how long it lives; 0 for 30 days"),
};
SCHEMA("ApiTokenCreate", api_token_create, struct chy_api_token_create, "A new API token.");

static const struct chy_field api_token_fields[] = {
    CHY_F_STR(struct chy_api_token, token, CHY_REQUIRED | CHY_SECRET, 1, CHY_LIMIT_NAME,
              "the secret; shown this once"),
    CHY_F_STRUCT(struct chy_api_token, info, &chy_api_token_info_schema, struct chy_api_token_info,
                 0, "the rest"),
};
SCHEMA("ApiToken", api_token, struct chy_api_token, "An API token with its secret.");

static const struct chy_field api_token_ref_fields[] = {
    NAME(struct chy_api_token_ref, name, CHY_REQUIRED | CHY_IN_PATH, "whose"),
    CHY_F_ID(struct chy_api_token_ref, id, CHY_REQUIRED | CHY_IN_PATH, "which"),
};
SCHEMA("ApiTokenRef", api_token_ref, struct chy_api_token_ref, "Names an API token.");

/* --- tokens, keys, certificates --- */

static const struct chy_field token_info_fields[] = {
    NAME(struct chy_token_info, name, CHY_REQUIRED, "its name in the server's configuration"),
    TEXT(struct chy_token_info, label, 0, "CK_TOKEN_INFO label"),
    TEXT(struct chy_token_info, serial, 0, "CK_TOKEN_INFO serial number"),
    TEXT(struct chy_token_info, manufacturer, 0, "CK_TOKEN_INFO manufacturer"),
    TEXT(struct chy_token_info, model, 0, "CK_TOKEN_INFO model"),
    CHY_F_BOOL(struct chy_token_info, is_software, 0, "a software token: its keys are in a file"),
    CHY_F_BOOL(struct chy_token_info, is_ready, 0, "all its processes are up"),
    CHY_F_U32(struct chy_token_info, workers, 0, 0, UINT32_MAX, "processes or sessions that sign"),
    CHY_F_STRS(struct chy_token_info, mechanisms, 0, 64, CHY_LIMIT_NAME,
               "signature algorithms it makes"),
};
SCHEMA("Token", token_info, struct chy_token_info, "One slot of an HSM.");

static const struct chy_field token_list_fields[] = {
    CHY_F_LIST(struct chy_token_list, tokens, &chy_token_info_schema, struct chy_token_info, 0, 0,
               CHY_LIMIT_TOKENS, "tokens"),
};
SCHEMA("TokenList", token_list, struct chy_token_list, "All tokens.");

static const struct chy_field key_fields[] = {
    NAME(struct chy_key, name, CHY_REQUIRED, "stable name; survives the renewal of certificates"),
    CHY_F_ID(struct chy_key, id, 0, "id"),
    CHY_F_ENUM(struct chy_key, class, &chy_key_class_enum, enum chy_key_class, CHY_INTERNAL,
               "class"),
    CHY_F_ENUM(struct chy_key, type, &chy_key_type_enum, enum chy_key_type, 0, "type"),
    CHY_F_ENUM(struct chy_key, state, &chy_key_state_enum, enum chy_key_state, 0, "state"),
    CHY_F_ENUM(struct chy_key, origin, &chy_key_origin_enum, enum chy_key_origin, 0,
               "how it came here"),
    TEXT(struct chy_key, purpose, 0, "release, test, …"),
    CHY_F_STRS(struct chy_key, groups, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "key groups"),
    CHY_F_STRS(struct chy_key, owners, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME,
               "principals, or group:NAME"),
    NAME(struct chy_key, token, 0, "the token that holds it"),
    CHY_F_BOOL(struct chy_key, token_is_software, 0, "in a software token"),
    TEXT(struct chy_key, evidence, 0, "what is known of where it was made"),
    CHY_F_HEX(struct chy_key, object_id, 0, 0, CHY_LIMIT_NAME, "CKA_ID in the token"),
    CHY_F_BYTES(struct chy_key, public_key, 0, 0, CHY_LIMIT_PUBLIC_KEY,
                "SubjectPublicKeyInfo, DER"),
    CHY_F_HASH(struct chy_key, public_key_sha256, 0, "SHA-256 of it"),
    CHY_F_LIST(struct chy_key, certificates, &chy_certificate_schema, struct chy_certificate, 0, 0,
               CHY_LIMIT_CHAIN, "its certificate and the chain, leaf first"),
    CHY_F_STR(struct chy_key, guard, CHY_MULTILINE, 0, CHY_LIMIT_GUARD,
              "what its owners allow at most"),
    CHY_F_STRS(struct chy_key, warnings, 0, 8, CHY_LIMIT_TEXT, "what needs attention"),
    CHY_F_TIME(struct chy_key, created, 0, "when it came here"),
};
SCHEMA("Key", key, struct chy_key, "A signing key; the private half is in a token.");

static const struct chy_field key_query_fields[] = {
    NAME(struct chy_key_query, after, CHY_IN_QUERY, "names behind this one"),
    CHY_F_U32(struct chy_key_query, limit, CHY_IN_QUERY, 0, CHY_LIMIT_KEY_PAGE,
              "how many; 0 for 500"),
    CHY_F_ID(struct chy_key_query, id, CHY_IN_QUERY, "only the key with this id"),
    CHY_F_BOOL(struct chy_key_query, usable, CHY_IN_QUERY,
               "only active keys that policy might let the caller sign with"),
};
SCHEMA("KeyQuery", key_query, struct chy_key_query, "Which keys to list.");

static const struct chy_field key_list_fields[] = {
    CHY_F_LIST(struct chy_key_list, keys, &chy_key_schema, struct chy_key, 0, 0, CHY_LIMIT_LIST,
               "keys by name"),
    NAME(struct chy_key_list, next, 0, "what to give as `after` to go on; none at the end"),
};
SCHEMA("KeyList", key_list, struct chy_key_list, "Keys.");

static const struct chy_field key_name_fields[] = {
    NAME(struct chy_key_name, name, CHY_REQUIRED | CHY_IN_PATH, "the key's name"),
};
SCHEMA("KeyName", key_name, struct chy_key_name, "Names a key.");

#define KEY_PROPERTIES(S)                                                         \
    CHY_F_BOOL(S, allow_rsa_2048, 0, "RSA 2048 is refused unless this is set"),   \
        NAME(S, token, 0, "the token; none given: the default one"),              \
        TEXT(S, purpose, 0, "release, test, …"),                                  \
        CHY_F_STRS(S, groups, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "key groups"), \
        CHY_F_STRS(S, owners, 0, CHY_LIMIT_GROUPS, CHY_LIMIT_NAME, "principals, or group:NAME")

static const struct chy_field key_create_fields[] = {
    NAME(struct chy_key_create, name, CHY_REQUIRED, "letters, digits and . _ -"),
    CHY_F_ENUM(struct chy_key_create, type, &chy_key_type_enum, enum chy_key_type, CHY_REQUIRED,
               "type"),
    KEY_PROPERTIES(struct chy_key_create),
};
SCHEMA("KeyCreate", key_create, struct chy_key_create, "A new key, generated in the token.");

static const struct chy_field key_adopt_fields[] = {
    NAME(struct chy_key_adopt, name, CHY_REQUIRED, "letters, digits and . _ -"),
    TEXT(struct chy_key_adopt, label, 0, "CKA_LABEL of the private key"),
    CHY_F_HEX(struct chy_key_adopt, object_id, 0, 0, CHY_LIMIT_NAME, "or its CKA_ID"),
    KEY_PROPERTIES(struct chy_key_adopt),
};
SCHEMA("KeyAdopt", key_adopt, struct chy_key_adopt, "Takes on a key that is in the token already.");

static const struct chy_field key_destroy_fields[] = {
    NAME(struct chy_key_destroy, name, CHY_REQUIRED | CHY_IN_PATH, "the key's name"),
    NAME(struct chy_key_destroy, confirm, CHY_REQUIRED, "the key's name again"),
};
SCHEMA("KeyDestroy", key_destroy, struct chy_key_destroy, "Destroys a key for ever.");

static const struct chy_field key_guard_fields[] = {
    NAME(struct chy_key_guard, name, CHY_REQUIRED | CHY_IN_PATH, "the key's name"),
    CHY_F_STR(struct chy_key_guard, guard, CHY_MULTILINE, 0, CHY_LIMIT_GUARD,
              "YAML; none given takes the guard away"),
};
SCHEMA("KeyGuard", key_guard, struct chy_key_guard, "What the owners of a key allow at most.");

static const struct chy_field csr_request_fields[] = {
    NAME(struct chy_csr_request, name, CHY_REQUIRED | CHY_IN_PATH, "the key's name"),
    TEXT(struct chy_csr_request, subject, CHY_REQUIRED, "RFC 4514, e.g. CN=Example,O=Example,C=DE"),
    CHY_F_STRS(struct chy_csr_request, sans, 0, CHY_LIMIT_SANS, CHY_LIMIT_TEXT,
               "subject alternative names: email:, uri: or dns: and the name"),
};
SCHEMA("CsrRequest", csr_request, struct chy_csr_request, "Asks for a certificate request.");

static const struct chy_field csr_fields[] = {
    CHY_F_STR(struct chy_csr, csr, CHY_REQUIRED | CHY_MULTILINE, 1, PEM_CHAIN, "PKCS#10, PEM"),
};
SCHEMA("Csr", csr, struct chy_csr, "A certificate request.");

static const struct chy_field certificate_import_fields[] = {
    NAME(struct chy_certificate_import, name, CHY_REQUIRED | CHY_IN_PATH, "the key's name"),
    CHY_F_STR(struct chy_certificate_import, chain, CHY_REQUIRED | CHY_MULTILINE, 1, PEM_CHAIN,
              "PEM, leaf first"),
};
SCHEMA("CertificateImport", certificate_import, struct chy_certificate_import,
       "The chain that a CA issued for a key.");

static const struct chy_field development_certificate_fields[] = {
    NAME(struct chy_development_certificate, name, CHY_REQUIRED | CHY_IN_PATH, "the key's name"),
    TEXT(struct chy_development_certificate, subject, 0, "RFC 4514; none given: CN=name"),
    CHY_F_U32(struct chy_development_certificate, valid_days, 0, 0, 460, "0 for 365"),
};
SCHEMA("DevelopmentCertificate", development_certificate, struct chy_development_certificate,
       "Asks the built-in development CA; nobody outside trusts it.");

static const struct chy_field pem_fields[] = {
    CHY_F_STR(struct chy_pem, pem, CHY_REQUIRED | CHY_MULTILINE, 1, PEM_CHAIN, "PEM"),
};
SCHEMA("Pem", pem, struct chy_pem, "A PEM text.");

/* --- policies --- */

static const struct chy_field policy_apply_fields[] = {
    CHY_F_STR(struct chy_policy_apply, policy, CHY_REQUIRED | CHY_MULTILINE, 1, CHY_LIMIT_YAML,
              "the policy, YAML"),
    TEXT(struct chy_policy_apply, comment, 0, "why it changes"),
    CHY_F_U64(struct chy_policy_apply, expected_number, 0, 0, UINT64_MAX,
              "refuse unless this version is in force; 0: do not check"),
};
SCHEMA("PolicyApply", policy_apply, struct chy_policy_apply, "A new version of the policy.");

static const struct chy_field policy_number_fields[] = {
    CHY_F_U64(struct chy_policy_number, number, CHY_IN_PATH, 0, INT64_MAX,
              "version; 0: the one in force"),
};
SCHEMA("PolicyNumber", policy_number, struct chy_policy_number, "Names a version of the policy.");

static const struct chy_field policy_fields[] = {
    CHY_F_U64(struct chy_policy, number, 0, 0, UINT64_MAX, "version"),
    CHY_F_HASH(struct chy_policy, hash, 0, "SHA-256 of the canonical form, as in the log"),
    NAME(struct chy_policy, author, 0, "who applied it"),
    TEXT(struct chy_policy, comment, 0, "why"),
    CHY_F_TIME(struct chy_policy, created, 0, "when"),
    CHY_F_U32(struct chy_policy, rules, 0, 0, UINT32_MAX, "number of rules"),
    CHY_F_STR(struct chy_policy, policy, CHY_MULTILINE, 0, CHY_LIMIT_YAML, "YAML as applied"),
};
SCHEMA("Policy", policy, struct chy_policy, "A version of the policy.");

static const struct chy_field policy_list_fields[] = {
    CHY_F_LIST(struct chy_policy_list, policies, &chy_policy_schema, struct chy_policy, 0, 0,
               CHY_LIMIT_LIST, "versions, newest first"),
};
SCHEMA("PolicyList", policy_list, struct chy_policy_list, "Versions of the policy.");

/* --- signing --- */

static const struct chy_field artifact_fields[] = {
    CHY_F_HEX(struct chy_artifact, digest, 0, 0, CHY_LIMIT_DIGEST,
              "digest of the file; not what is signed"),
    CHY_F_ENUM(struct chy_artifact, hash, &chy_hash_alg_enum, enum chy_hash_alg, 0,
               "its algorithm"),
    CHY_F_U64(struct chy_artifact, size_bytes, 0, 0, INT64_MAX, "size of the file"),
    NAME(struct chy_artifact, type, 0, "jar, pe, …"),
    TEXT(struct chy_artifact, name, 0, "file name"),
};
SCHEMA("Artifact", artifact, struct chy_artifact, "The file that a signature is about.");

static const struct chy_field sign_item_fields[] = {
    NAME(struct chy_sign_item, key, CHY_REQUIRED, "name of the key"),
    CHY_F_ENUM(struct chy_sign_item, algorithm, &chy_sign_alg_enum, enum chy_sign_alg, CHY_REQUIRED,
               "signature algorithm"),
    CHY_F_HEX(struct chy_sign_item, digest, 0, 0, CHY_LIMIT_DIGEST, "the digest that is signed"),
    CHY_F_BYTES(
        struct chy_sign_item, message, 0, 0, CHY_LIMIT_CONTENT,
        "what ed25519 and rsa-pkcs1-raw sign; the latter at most 11 bytes less than the key"),
    CHY_F_BYTES(struct chy_sign_item, content, 0, 0, CHY_LIMIT_CONTENT,
                "the bytes to be signed; the server checks that they hash to the digest"),
    CHY_F_ENUM(struct chy_sign_item, hashed_by, &chy_hashed_by_enum, enum chy_hashed_by,
               CHY_REQUIRED, "who made the digest"),
    CHY_F_OPTION(struct chy_sign_item, artifact, &chy_artifact_schema, struct chy_artifact, 0,
                 "the file that the signature is about, where it is known"),
    CHY_F_LIST(struct chy_sign_item, facts, &chy_fact_schema, struct chy_fact, 0, 0,
               CHY_LIMIT_FACTS, "facts of this item"),
};
SCHEMA("SignItem", sign_item, struct chy_sign_item, "One signature that is asked for.");

static const struct chy_field sign_request_fields[] = {
    CHY_F_LIST(struct chy_sign_request, items, &chy_sign_item_schema, struct chy_sign_item,
               CHY_REQUIRED, 1, CHY_LIMIT_SIGN_ITEMS, "1 to 1,000 signatures"),
    TEXT(struct chy_sign_request, reason, 0, "why; a policy may require it"),
    CHY_F_LIST(struct chy_sign_request, facts, &chy_fact_schema, struct chy_fact, 0, 0,
               CHY_LIMIT_FACTS, "facts of all items"),
    CHY_F_LIST(struct chy_sign_request, labels, &chy_label_schema, struct chy_label, CHY_AS_MAP, 0,
               CHY_LIMIT_LABELS, "labels that the caller declares"),
    CHY_F_ENUM(struct chy_sign_request, receipt, &chy_receipt_kind_enum, enum chy_receipt_kind, 0,
               "what proof of the log entry to answer with"),
};
SCHEMA("SignRequest", sign_request, struct chy_sign_request, "Asks for signatures.");

static const struct chy_field log_index_fields[] = {
    CHY_F_U64(struct chy_log_index, index, CHY_IN_PATH, 0, INT64_MAX, "leaf index in the log"),
};
SCHEMA("LogIndex", log_index, struct chy_log_index, "Names an entry of the log.");

static const struct chy_field leaf_ref_fields[] = {
    CHY_F_U64(struct chy_log_index, index, 0, 0, INT64_MAX, "leaf index in the log"),
};
static const struct chy_schema leaf_ref_schema =
    CHY_SCHEMA("LeafRef", struct chy_log_index, leaf_ref_fields, "An entry of the log.");

static const struct chy_field sign_result_fields[] = {
    CHY_F_BOOL(struct chy_sign_result, is_signed, 0, "whether there is a signature"),
    CHY_F_BYTES(struct chy_sign_result, signature, 0, 0, CHY_LIMIT_SIGNATURE,
                "RSA: big-endian number; ECDSA: DER of RFC 3279; Ed25519: 64 bytes"),
    NAME(struct chy_sign_result, problem, 0, "when not signed: the problem's type"),
    TEXT(struct chy_sign_result, detail, 0, "when not signed: why"),
    CHY_F_STRS(struct chy_sign_result, rules, 0, CHY_LIMIT_REASONS, CHY_LIMIT_NAME,
               "the rules that decided"),
    CHY_F_OPTION(struct chy_sign_result, intent, &leaf_ref_schema, struct chy_log_index, 0,
                 "the decision in the log"),
    CHY_F_OPTION(struct chy_sign_result, outcome, &leaf_ref_schema, struct chy_log_index, 0,
                 "the outcome in the log"),
    CHY_F_STR(struct chy_sign_result, receipt, CHY_MULTILINE, 0, CHY_LIMIT_RECEIPT,
              "proof of the outcome: c2sp.org/tlog-proof@v1"),
};
SCHEMA("SignResult", sign_result, struct chy_sign_result, "What became of one item.");

static const struct chy_field sign_response_fields[] = {
    CHY_F_LIST(struct chy_sign_response, results, &chy_sign_result_schema, struct chy_sign_result,
               0, 0, CHY_LIMIT_SIGN_ITEMS, "in the order of the items"),
    CHY_F_U64(struct chy_sign_response, policy_number, 0, 0, UINT64_MAX, "the policy that decided"),
};
SCHEMA("SignResponse", sign_response, struct chy_sign_response, "Signatures and refusals.");

static const struct chy_field policy_test_fields[] = {
    CHY_F_STR(struct chy_policy_test, policy, CHY_MULTILINE, 0, CHY_LIMIT_YAML,
              "a draft, YAML; none given: the policy in force"),
    NAME(struct chy_policy_test, principal, 0, "who would ask; none given: the caller"),
    TEXT(struct chy_policy_test, address, 0, "from where; none given: the caller's address"),
    CHY_F_TIME(struct chy_policy_test, time, 0, "when; none given: now"),
    CHY_F_STRUCT(struct chy_policy_test, request, &chy_sign_request_schema, struct chy_sign_request,
                 CHY_REQUIRED, "what would be asked"),
};
SCHEMA("PolicyTest", policy_test, struct chy_policy_test,
       "What would the policy answer? Nothing is signed or logged.");

static const struct chy_field rule_explanation_fields[] = {
    NAME(struct chy_rule_explanation, rule, CHY_REQUIRED, "the rule"),
    NAME(struct chy_rule_explanation, effect, CHY_REQUIRED, "deny, allow, require"),
    CHY_F_BOOL(struct chy_rule_explanation, applies, 0, "it counts in the decision"),
    NAME(struct chy_rule_explanation, matched, CHY_REQUIRED, "yes, no, unknown"),
    CHY_F_STRS(struct chy_rule_explanation, reasons, 0, 32, CHY_LIMIT_TEXT,
               "which matcher failed on which value"),
};
SCHEMA("RuleExplanation", rule_explanation, struct chy_rule_explanation, "What one rule said.");

static const struct chy_field policy_explanation_fields[] = {
    NAME(struct chy_policy_explanation, key, CHY_REQUIRED, "the item's key"),
    CHY_F_ENUM(struct chy_policy_explanation, decision, &chy_decision_enum, enum chy_decision, 0,
               "the answer"),
    TEXT(struct chy_policy_explanation, summary, 0, "in one sentence"),
    CHY_F_LIST(struct chy_policy_explanation, rules, &chy_rule_explanation_schema,
               struct chy_rule_explanation, 0, 0, CHY_LIMIT_RULES + 1,
               "rule by rule; a key's guard in front"),
};
SCHEMA("PolicyExplanation", policy_explanation, struct chy_policy_explanation,
       "What the policy says of one item.");

static const struct chy_field policy_test_result_fields[] = {
    CHY_F_U64(struct chy_policy_test_result, policy_number, 0, 0, UINT64_MAX, "0 for a draft"),
    CHY_F_LIST(struct chy_policy_test_result, items, &chy_policy_explanation_schema,
               struct chy_policy_explanation, 0, 0, CHY_LIMIT_SIGN_ITEMS,
               "in the order of the items"),
};
SCHEMA("PolicyTestResult", policy_test_result, struct chy_policy_test_result,
       "What the policy would answer.");

/* --- the log --- */

static const struct chy_field log_query_fields[] = {
    CHY_F_U64(struct chy_log_query, after, CHY_IN_QUERY, 0, INT64_MAX, "first index"),
    CHY_F_U32(struct chy_log_query, limit, CHY_IN_QUERY, 0, CHY_LIMIT_PAGE, "how many; 0 for 100"),
    NAME(struct chy_log_query, key, CHY_IN_QUERY, "only of this key"),
    NAME(struct chy_log_query, principal, CHY_IN_QUERY, "only of this principal"),
    NAME(struct chy_log_query, kind, CHY_IN_QUERY, "only of this kind"),
    CHY_F_HEX(struct chy_log_query, digest, CHY_IN_QUERY, 0, CHY_LIMIT_DIGEST,
              "only of this signed digest"),
    CHY_F_BOOL(struct chy_log_query, newest_first, CHY_IN_QUERY, "the newest first"),
    CHY_F_U64(struct chy_log_query, before, CHY_IN_QUERY, 0, INT64_MAX,
              "with newest_first: only what stands before this index; 0 for all"),
};
SCHEMA("LogQuery", log_query, struct chy_log_query, "Which entries.");

static const struct chy_field log_row_fields[] = {
    CHY_F_U64(struct chy_log_row, index, 0, 0, INT64_MAX, "leaf index"),
    CHY_F_TIME(struct chy_log_row, time, 0, "when"),
    NAME(struct chy_log_row, kind, 0, "kind of entry"),
    NAME(struct chy_log_row, principal, 0, "who"),
    NAME(struct chy_log_row, key, 0, "which key"),
    CHY_F_ENUM(struct chy_log_row, decision, &chy_decision_enum, enum chy_decision, 0, "decision"),
    CHY_F_STRS(struct chy_log_row, rules, 0, CHY_LIMIT_REASONS, CHY_LIMIT_NAME,
               "rules that decided"),
    CHY_F_STR(struct chy_log_row, text, 0, 0, UINT64_C(4) * CHY_LIMIT_TEXT,
              "what happened, in one line"),
    CHY_F_OPTION(struct chy_log_row, application, &chy_fact_schema, struct chy_fact, 0,
                 "the program that signed, and who says so; in the intent's detail record"),
    CHY_F_BYTES(struct chy_log_row, entry, 0, 0, CHY_LIMIT_ENTRY, "the leaf's bytes"),
    CHY_F_BYTES(struct chy_log_row, detail, 0, 0, CHY_LIMIT_ENTRY, "the detail record"),
};
SCHEMA("LogEntry", log_row, struct chy_log_row, "An entry of the log.");

static const struct chy_field log_page_fields[] = {
    CHY_F_LIST(struct chy_log_page, entries, &chy_log_row_schema, struct chy_log_row, 0, 0,
               CHY_LIMIT_PAGE, "entries by index"),
    CHY_F_U64(struct chy_log_page, size, 0, 0, INT64_MAX, "size of the log"),
    CHY_F_U64(struct chy_log_page, next, 0, 0, INT64_MAX,
              "give it as `after` (newest first: `before`) to go on"),
};
SCHEMA("LogPage", log_page, struct chy_log_page, "Entries of the log.");

static const struct chy_field log_receipt_fields[] = {
    CHY_F_STR(struct chy_log_receipt, receipt, CHY_REQUIRED | CHY_MULTILINE, 1, CHY_LIMIT_RECEIPT,
              "c2sp.org/tlog-proof@v1"),
};
SCHEMA("LogReceipt", log_receipt, struct chy_log_receipt, "Proof that an entry is in the log.");

static const struct chy_field raw_fields[] = {
    NAME(struct chy_raw, content_type, CHY_REQUIRED, "media type"),
    CHY_F_BYTES(struct chy_raw, body, 0, 0, CHY_LIMIT_FRAME / 2, "body"),
    CHY_F_U32(struct chy_raw, max_age_s, 0, 0, UINT32_MAX, "how long it may be cached"),
};
SCHEMA("Raw", raw, struct chy_raw, "A body that is not JSON.");

static const struct chy_field tile_path_fields[] = {
    CHY_F_STR(struct chy_tile_path, path, CHY_REQUIRED | CHY_IN_PATH, 1, CHY_LIMIT_NAME,
              "level/index or entries/index, as in c2sp.org/tlog-tiles"),
};
SCHEMA("TilePath", tile_path, struct chy_tile_path, "Names a tile of the log.");
