/* SPDX-License-Identifier: MIT */
#include "proto/entry.h"

#include "base/limits.h"

static const struct chy_enum_value entry_kinds[] = {
    { CHY_ENTRY_SERVER_START, "server.start", NULL },
    { CHY_ENTRY_SERVER_STOP, "server.stop", NULL },
    { CHY_ENTRY_SIGN_INTENT, "sign.intent", NULL },
    { CHY_ENTRY_SIGN_OUTCOME, "sign.outcome", NULL },
    { CHY_ENTRY_KEY, "key", NULL },
    { CHY_ENTRY_POLICY, "policy", NULL },
    { CHY_ENTRY_USER, "user", NULL },
    { CHY_ENTRY_RECOVERY, "recovery", NULL },
    { CHY_ENTRY_KEY_INTENT, "key.intent", NULL },
};
const struct chy_enum chy_entry_kind_enum = CHY_ENUM("entry kind", entry_kinds);

static const struct chy_enum_value outcomes[] = {
    { CHY_OUTCOME_NONE, "none", NULL },
    { CHY_OUTCOME_DONE, "done", NULL },
    { CHY_OUTCOME_FAILED, "failed", NULL },
    { CHY_OUTCOME_UNKNOWN, "unknown", "closed after a crash; not answered" },
};
const struct chy_enum chy_outcome_enum = CHY_ENUM("outcome", outcomes);

#define S struct chy_entry
static const struct chy_field entry_fields[] = {
    CHY_F_U32(S, version, 0, CHY_ENTRY_VERSION, CHY_ENTRY_VERSION, "version of this layout"),
    CHY_F_ENUM(S, kind, &chy_entry_kind_enum, enum chy_entry_kind, 0, "kind"),
    CHY_F_TIME(S, time, 0, "when; never before the entry before"),
    CHY_F_STR(S, node, 0, 0, CHY_LIMIT_NAME, "the server's node name"),
    CHY_F_ID(S, request_id, 0, "request"),
    CHY_F_U32(S, item, 0, 0, CHY_LIMIT_SIGN_ITEMS, "position in the request"),
    CHY_F_STR(S, principal, 0, 0, CHY_LIMIT_NAME, "who asked"),
    CHY_F_ENUM(S, method, &chy_auth_method_enum, enum chy_auth_method, 0, "how that was proved"),
    CHY_F_STR(S, action, 0, 0, CHY_LIMIT_NAME, "what"),
    CHY_F_STR(S, subject, 0, 0, CHY_LIMIT_NAME, "of what"),
    CHY_F_U64(S, policy_number, 0, 0, UINT64_MAX, "policy in force"),
    CHY_F_HASH(S, policy_hash, 0, "SHA-256 of its canonical form"),
    CHY_F_ENUM(S, decision, &chy_decision_enum, enum chy_decision, 0, "decision"),
    CHY_F_STRS(S, rules, 0, CHY_LIMIT_REASONS, CHY_LIMIT_NAME, "rules that produced it"),
    CHY_F_HASH(S, key_sha256, 0, "SHA-256 of the key's SubjectPublicKeyInfo"),
    CHY_F_ENUM(S, algorithm, &chy_sign_alg_enum, enum chy_sign_alg, 0, "signature algorithm"),
    CHY_F_ENUM(S, hashed_by, &chy_hashed_by_enum, enum chy_hashed_by, 0, "who made the digest"),
    CHY_F_HEX(S, digest, 0, 0, CHY_LIMIT_DIGEST, "signed digest; of a message its SHA-256"),
    CHY_F_HEX(S, artifact_digest, 0, 0, CHY_LIMIT_DIGEST, "digest of the file"),
    CHY_F_STR(S, artifact_type, 0, 0, CHY_LIMIT_NAME, "type of the file"),
    CHY_F_U64(S, artifact_size_bytes, 0, 0, INT64_MAX, "size of the file"),
    CHY_F_LIST(S, facts, &chy_fact_schema, struct chy_fact, 0, 0, UINT64_C(2) * CHY_LIMIT_FACTS,
               "public facts"),
    CHY_F_LIST(S, labels, &chy_label_schema, struct chy_label, CHY_AS_MAP, 0, CHY_LIMIT_LABELS,
               "labels that the caller declared"),
    CHY_F_ENUM(S, outcome, &chy_outcome_enum, enum chy_outcome, 0, "outcome"),
    CHY_F_U64(S, intent_index, 0, 0, UINT64_MAX, "of an outcome: the intent's leaf index"),
    CHY_F_HASH(S, result_sha256, 0, "SHA-256 of what was made"),
    CHY_F_HASH(S, detail_sha256, 0, "SHA-256 of the detail record"),
};
#undef S
const struct chy_schema chy_entry_schema =
    CHY_SCHEMA("Entry", struct chy_entry, entry_fields, "A leaf of the log.");

#define S struct chy_entry_detail
static const struct chy_field detail_fields[] = {
    CHY_F_HASH(S, salt, 0, "random"),
    CHY_F_STR(S, reason, 0, 0, CHY_LIMIT_TEXT, "why it was asked"),
    CHY_F_STR(S, artifact_name, 0, 0, CHY_LIMIT_TEXT, "file name"),
    CHY_F_STR(S, address, 0, 0, CHY_LIMIT_TEXT, "the peer's address"),
    CHY_F_STR(S, user_agent, 0, 0, CHY_LIMIT_TEXT, "the peer's software"),
    CHY_F_LIST(S, facts, &chy_fact_schema, struct chy_fact, 0, 0, UINT64_C(2) * CHY_LIMIT_FACTS,
               "private facts"),
    CHY_F_STR(S, text, CHY_MULTILINE, 0, UINT64_C(4) * CHY_LIMIT_TEXT,
              "an error, a comment, a description"),
};
#undef S
const struct chy_schema chy_entry_detail_schema =
    CHY_SCHEMA("EntryDetail", struct chy_entry_detail, detail_fields,
               "The part of an entry that may be pruned.");
