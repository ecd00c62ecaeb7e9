/* SPDX-License-Identifier: MIT */
/* chancery sign --raw and --digest: files are hashed here, digests are signed there. */
#include <fcntl.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/request.h"
#include "cli/sign/files.h"
#include "client/receipt.h"
#include "client/signing.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "os/fd.h"
#include "os/file_stream.h"

#define READ_PART 65536
/* Bytes of JSON of one request, well below CHY_LIMIT_JSON; an item without its message takes less
 * than this. */
#define BATCH_BYTES ((size_t)CHY_LIMIT_JSON / 4 * 3)
#define ITEM_BYTES  ((size_t)3000)

/* What is told of one signature. */
struct outcome {
    struct chy_str file;
    struct chy_str key;
    enum chy_sign_alg algorithm;
    struct chy_bytes digest; /* what was signed; of a message the SHA-256 */
    bool is_signed;
    struct chy_bytes signature;
    struct chy_str signature_file;
    struct chy_str receipt_file;
    struct chy_str problem;
    struct chy_str detail;
    struct chy_strs rules;
    const struct chy_log_index *intent;
    const struct chy_log_index *outcome;
};
struct report {
    CHY_LIST_OF(struct outcome) items;
    uint64_t policy_number;
};

static const struct chy_field leaf_fields[] = {
    CHY_F_U64(struct chy_log_index, index, 0, 0, INT64_MAX, "leaf index in the log"),
};
static const struct chy_schema leaf_schema =
    CHY_SCHEMA("LeafRef", struct chy_log_index, leaf_fields, "An entry of the log.");

#define S struct outcome
static const struct chy_field outcome_fields[] = {
    CHY_F_STR(S, file, 0, 0, CHY_LIMIT_PATH, "the file; none for a digest"),
    CHY_F_STR(S, key, CHY_REQUIRED, 1, CHY_LIMIT_NAME, "the key"),
    CHY_F_ENUM(S, algorithm, &chy_sign_alg_enum, enum chy_sign_alg, 0, "the signature algorithm"),
    CHY_F_HEX(S, digest, 0, 0, CHY_LIMIT_DIGEST, "what was signed; of a message its SHA-256"),
    CHY_F_BOOL(S, is_signed, 0, "whether there is a signature"),
    CHY_F_BYTES(S, signature, 0, 0, CHY_LIMIT_SIGNATURE, "the signature"),
    CHY_F_STR(S, signature_file, 0, 0, CHY_LIMIT_PATH, "where it was written"),
    CHY_F_STR(S, receipt_file, 0, 0, CHY_LIMIT_PATH, "where the receipt was written"),
    CHY_F_STR(S, problem, 0, 0, CHY_LIMIT_NAME, "when not signed: the problem's type"),
    CHY_F_STR(S, detail, 0, 0, CHY_LIMIT_TEXT, "when not signed: why"),
    CHY_F_STRS(S, rules, 0, CHY_LIMIT_REASONS, CHY_LIMIT_NAME, "the rules that decided"),
    CHY_F_OPTION(S, intent, &leaf_schema, struct chy_log_index, 0, "the decision in the log"),
    CHY_F_OPTION(S, outcome, &leaf_schema, struct chy_log_index, 0, "the outcome in the log"),
};
#undef S
static const struct chy_schema outcome_schema =
    CHY_SCHEMA("Signed", struct outcome, outcome_fields, "What became of one file.");
static const struct chy_field report_fields[] = {
    CHY_F_LIST(struct report, items, &outcome_schema, struct outcome, 0, 0, CHY_LIMIT_ARGUMENTS,
               "in the order of the command line"),
    CHY_F_U64(struct report, policy_number, 0, 0, UINT64_MAX, "the policy that decided"),
};
static const struct chy_schema report_schema =
    CHY_SCHEMA("SignReport", struct report, report_fields, "What became of all files.");

struct job {
    struct chy_cli *cli;
    const struct chy_cli_args *args;
    enum chy_sign_alg alg;
    struct chy_key key;        /* without a name where it may not be shown to us, */
    struct chy_pubkey *pubkey; /* which is NULL then */
    struct chy_hasher *hasher;
    uint8_t *part;                  /* READ_PART bytes of the file that is read */
    struct outcome *outcomes;       /* n of them, */
    struct chy_sign_item *items;    /* with what is sent for each, */
    struct chy_artifact *artifacts; /* and the file behind it */
    size_t n;
    bool wants_receipt;
    uint64_t policy_number;
};

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for so many files");
}

/* --- what is to be signed --- */

/* The digest of all that `fd` gives, part by part. */
static enum chy_err hash_file(struct job *j, int fd, uint8_t *digest, uint64_t *ret_size,
                              struct chy_error *err)
{
    uint64_t size = 0;
    for (;;) {
        size_t n = 0;
        CHY_TRY(chy_fd_read(fd, j->part, READ_PART, &n, err));
        if (n == 0)
            break;
        chy_hasher_add(j->hasher, (struct chy_bytes){ j->part, n });
        size += n;
    }
    chy_hasher_end(j->hasher, digest);
    *ret_size = size;
    return CHY_OK;
}

/* Of what signs the message itself all of it must travel. */
static enum chy_err read_message(struct job *j, size_t i, struct chy_error *err)
{
    struct chy_str text;
    struct outcome *o = &j->outcomes[i];
    enum chy_err r = chy_cli_read_text(o->file, CHY_LIMIT_CONTENT, &j->cli->arena, &text, err);
    if (r == CHY_E_LIMIT)
        return chy_fail(err, CHY_E_ARG, "%.*s is longer than %d bytes, the most that %s signs here",
                        CHY_STR_ARG(o->file), CHY_LIMIT_CONTENT,
                        chy_enum_name(&chy_sign_alg_enum, (int)j->alg));
    if (r != CHY_OK)
        return r;
    uint8_t *digest = chy_arena_array(&j->cli->arena, uint8_t, CHY_HASH_BYTES);
    if (digest == NULL)
        return no_memory(err);
    chy_hasher_add(j->hasher, chy_str_bytes(text));
    chy_hasher_end(j->hasher, digest);
    j->items[i].message = chy_str_bytes(text);
    j->items[i].hashed_by = CHY_HASHED_BY_NOBODY;
    o->digest = (struct chy_bytes){ digest, CHY_HASH_BYTES };
    j->artifacts[i].size_bytes = text.n;
    return CHY_OK;
}

static enum chy_err read_digest_of(struct job *j, size_t i, struct chy_error *err)
{
    struct outcome *o = &j->outcomes[i];
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    uint64_t size;
    size_t n = chy_hash_alg_bytes(chy_sign_alg_hash(j->alg));
    struct chy_str path = chy_arena_str(&j->cli->arena, o->file);
    uint8_t *digest = chy_arena_array(&j->cli->arena, uint8_t, n);
    if (path.p == NULL || digest == NULL)
        return no_memory(err);
    CHY_TRY(chy_file_open_stream(AT_FDCWD, path.p, &fd, &size, err));
    CHY_TRY(hash_file(j, fd, digest, &j->artifacts[i].size_bytes, err));
    o->digest = (struct chy_bytes){ digest, n };
    j->items[i].digest = o->digest;
    j->items[i].hashed_by = CHY_HASHED_BY_CLIENT;
    return CHY_OK;
}

static enum chy_err read_file(struct job *j, size_t i, struct chy_error *err)
{
    enum chy_hash_alg hash = chy_sign_alg_hash(j->alg);
    struct chy_artifact *a = &j->artifacts[i];
    if (hash == CHY_HASH_NONE)
        CHY_TRY(read_message(j, i, err));
    else
        CHY_TRY(read_digest_of(j, i, err));
    a->digest = j->outcomes[i].digest;
    a->hash = hash == CHY_HASH_NONE ? CHY_HASH_SHA256 : hash;
    a->type = chy_cli_arg(j->args, "artifact-type");
    a->name = chy_str_base_name(j->outcomes[i].file);
    j->items[i].artifact = a;
    return CHY_OK;
}

static enum chy_err read_items(struct job *j, const struct chy_strs *files,
                               const struct chy_strs *digests, struct chy_error *err)
{
    for (size_t i = 0; i < j->n; i++) {
        struct outcome *o = &j->outcomes[i];
        o->key = chy_cli_arg(j->args, "key");
        o->algorithm = j->alg;
        j->items[i].key = o->key;
        j->items[i].algorithm = j->alg;
        if (i < files->n) {
            o->file = files->p[i];
            CHY_TRY(read_file(j, i, err));
            continue;
        }
        /* Who made it, and of what, is not known here. */
        CHY_TRY(chy_cli_read_digest(j->cli, digests->p[i - files->n], j->alg, &o->digest, err));
        j->items[i].digest = o->digest;
        j->items[i].hashed_by = CHY_HASHED_BY_TOOL;
    }
    return CHY_OK;
}

/* --- what came back --- */

static enum chy_err write_named(struct job *j, struct chy_str path, struct chy_bytes content,
                                struct chy_str *ret_path, struct chy_error *err)
{
    if (path.p == NULL)
        return no_memory(err);
    CHY_TRY(chy_cli_write_file(j->cli, path, content, 0644, err));
    *ret_path = path;
    return CHY_OK;
}

static enum chy_err write_receipt(struct job *j, struct outcome *o, struct chy_str text,
                                  struct chy_error *err)
{
    if (!j->wants_receipt)
        return CHY_OK;
    enum chy_err r = chy_receipt_check(text, o->outcome, chy_client_log_key(j->cli->client), err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "the receipt of %.*s is not good", CHY_STR_ARG(o->file));
    struct chy_str path = chy_cli_arg(j->args, "receipt");
    if (path.n == 0)
        path = chy_arena_printf(&j->cli->arena, "%s/%llu.receipt", j->cli->env.receipts,
                                (unsigned long long)o->outcome->index);
    return write_named(j, path, chy_str_bytes(text), &o->receipt_file, err);
}

/* Empty for a digest, with --json: its signature is in the document. */
static struct chy_str signature_place(struct job *j, const struct outcome *o)
{
    struct chy_str path = chy_cli_arg(j->args, "out");
    if (path.n == 0 && o->file.n != 0)
        return chy_arena_printf(&j->cli->arena, "%.*s.sig", CHY_STR_ARG(o->file));
    return path.n != 0 ? path : CHY_STR("");
}

static enum chy_err write_signature(struct job *j, struct outcome *o, struct chy_error *err)
{
    struct chy_str path = signature_place(j, o);
    if (path.p != NULL && path.n == 0)
        return CHY_OK;
    return write_named(j, path, o->signature, &o->signature_file, err);
}

/* A login that may sign and not ask for keys knows nothing to hold it against. */
static enum chy_err check_signature(const struct job *j, size_t i, struct chy_error *err)
{
    if (j->pubkey != NULL)
        return chy_signing_check_by(j->pubkey, &j->items[i], j->outcomes[i].signature, err);
    if (j->outcomes[i].signature.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL,
                        "the server says that it signed and gives no signature");
    return CHY_OK;
}

static enum chy_err take_result(struct job *j, size_t i, const struct chy_sign_result *result,
                                struct chy_error *err)
{
    struct outcome *o = &j->outcomes[i];
    o->is_signed = result->is_signed;
    o->signature = result->signature;
    o->problem = result->problem;
    o->detail = result->detail;
    o->rules = result->rules;
    o->intent = result->intent;
    o->outcome = result->outcome;
    if (!o->is_signed)
        return CHY_OK;
    CHY_TRY(check_signature(j, i, err));
    /* First the proof: a signature whose receipt is not good is not handed out. */
    CHY_TRY(write_receipt(j, o, result->receipt, err));
    return write_signature(j, o, err);
}

static void print_outcome(FILE *out, const struct outcome *o)
{
    const char *alg = chy_enum_name(&chy_sign_alg_enum, (int)o->algorithm);
    (void)fprintf(out, "%s ", o->is_signed ? "signed" : "REFUSED");
    if (o->file.n != 0) {
        chy_cli_print_text(out, o->file);
    } else {
        char hex[CHY_HEX_SIZE(CHY_LIMIT_DIGEST)];
        chy_hex_encode(o->digest, hex);
        (void)fputs(hex, out);
    }
    chy_cli_say(out, CHY_STR(": key "), o->key, CHY_STR(", "), chy_str_of(alg));
    const struct chy_log_index *leaf = o->outcome != NULL ? o->outcome : o->intent;
    if (leaf != NULL)
        (void)fprintf(out, ", log entry %llu", (unsigned long long)leaf->index);
    if (o->signature_file.n != 0)
        chy_cli_say(out, CHY_STR(", written to "), o->signature_file);
    if (o->receipt_file.n != 0)
        chy_cli_say(out, CHY_STR(", receipt in "), o->receipt_file);
    (void)fputc('\n', out);
    if (o->is_signed)
        return;
    chy_cli_say(out, CHY_STR("  "), o->problem, o->detail.n != 0 ? CHY_STR(": ") : CHY_STR(""),
                o->detail, CHY_STR("\n"));
    for (size_t i = 0; i < o->rules.n; i++)
        chy_cli_say(out, CHY_STR("  by rule "), o->rules.p[i], CHY_STR("\n"));
}

/* --- asking --- */

/* As many of the items from `first` on as one request may hold. */
static size_t batch_size(const struct job *j, size_t first)
{
    size_t bytes = 0;
    size_t n = 0;
    while (first + n < j->n && n < CHY_LIMIT_SIGN_ITEMS) {
        bytes += ITEM_BYTES + j->items[first + n].message.n / 3 * 4;
        if (n != 0 && bytes > BATCH_BYTES)
            break;
        n++;
    }
    return n;
}

static enum chy_err sign_batch(struct job *j, size_t first, size_t n,
                               const struct chy_sign_request *common, struct chy_error *err)
{
    struct chy_sign_request request = *common;
    struct chy_sign_response response;
    request.items.p = j->items + first;
    request.items.n = n;
    CHY_TRY(chy_client_call(j->cli->client, CHY_OP_SIGN, &request, &j->cli->arena, &response, err));
    if (response.results.n != n)
        return chy_fail(err, CHY_E_PROTOCOL, "%zu signatures were asked for, %zu answers came", n,
                        response.results.n);
    j->policy_number = response.policy_number;
    for (size_t i = 0; i < n; i++) {
        CHY_TRY(take_result(j, first + i, &response.results.p[i], err));
        if (!j->cli->is_json)
            print_outcome(j->cli->out, &j->outcomes[first + i]);
    }
    return CHY_OK;
}

static enum chy_err sign_all(struct job *j, struct chy_error *err)
{
    struct chy_sign_request common = {
        .receipt = j->wants_receipt ? CHY_RECEIPT_FULL : CHY_RECEIPT_INDEX,
    };
    CHY_TRY(chy_cli_fill_request(j->cli, j->args, &common, err));
    for (size_t first = 0; first < j->n;) {
        size_t n = batch_size(j, first);
        CHY_TRY(sign_batch(j, first, n, &common, err));
        first += n;
    }
    return CHY_OK;
}

static enum chy_err check_use(const struct job *j, const struct chy_strs *digests,
                              struct chy_error *err)
{
    static const char *const files_only[] = { "detached",      "tool",         "type", "force",
                                              "timestamp-url", "no-timestamp", "jobs", "dry-run" };
    if (j->n == 0)
        return chy_fail(err, CHY_E_ARG, "give a FILE or a --digest to sign");
    for (size_t i = 0; i < CHY_ARRAY_LEN(files_only); i++)
        if (chy_cli_has(j->args, files_only[i]))
            return chy_fail(err, CHY_E_ARG, "--%s does not go with --raw or --digest",
                            files_only[i]);
    if (j->n > 1 && (chy_cli_has(j->args, "out") || chy_cli_has(j->args, "receipt")))
        return chy_fail(err, CHY_E_ARG, "--out and --receipt are for one file; %zu are given",
                        j->n);
    if (digests->n != 0 && !chy_cli_has(j->args, "out") && !j->cli->is_json)
        return chy_fail(err, CHY_E_ARG,
                        "say with --out where the signature of the digest goes, "
                        "or have it printed with --json");
    return CHY_OK;
}

/* Before anything is signed. */
static enum chy_err check_places(struct job *j, struct chy_error *err)
{
    struct chy_str receipt = chy_cli_arg(j->args, "receipt");
    if (receipt.n != 0)
        CHY_TRY(chy_cli_check_place(j->cli, receipt, err));
    else
        CHY_TRY(chy_cli_check_receipts(j->cli, chy_str_of(j->cli->env.receipts), err));
    for (size_t i = 0; i < j->n; i++) {
        struct chy_str path = signature_place(j, &j->outcomes[i]);
        if (path.n != 0)
            CHY_TRY(chy_cli_check_place(j->cli, path, err));
    }
    return CHY_OK;
}

/* With --algorithm nobody has asked for it. */
static enum chy_err find_key(struct job *j, struct chy_error *err)
{
    const struct chy_key_name name = { chy_cli_arg(j->args, "key") };
    struct chy_key key;
    if (j->key.name.n != 0)
        return CHY_OK;
    CHY_TRY(chy_cli_client(j->cli, j->args, err));
    enum chy_err r =
        chy_client_call(j->cli->client, CHY_OP_KEYS_SHOW, &name, &j->cli->arena, &key, err);
    if (r == CHY_OK)
        j->key = key;
    return r == CHY_E_FORBIDDEN ? CHY_OK : r;
}

static enum chy_err prepare(struct job *j, struct chy_error *err)
{
    struct chy_strs files;
    struct chy_strs digests;
    CHY_TRY(chy_cli_arg_all(j->args, "FILE", &j->cli->arena, &files, err));
    CHY_TRY(chy_cli_arg_all(j->args, "digest", &j->cli->arena, &digests, err));
    j->n = files.n + digests.n;
    j->wants_receipt = chy_cli_has(j->args, "receipt") || j->cli->env.receipts != NULL;
    CHY_TRY(check_use(j, &digests, err));
    j->outcomes = chy_arena_array(&j->cli->arena, struct outcome, j->n);
    j->items = chy_arena_array(&j->cli->arena, struct chy_sign_item, j->n);
    j->artifacts = chy_arena_array(&j->cli->arena, struct chy_artifact, j->n);
    j->part = chy_arena_array(&j->cli->arena, uint8_t, READ_PART);
    if (j->outcomes == NULL || j->items == NULL || j->artifacts == NULL || j->part == NULL)
        return no_memory(err);
    CHY_TRY(chy_cli_choose_algorithm(j->cli, j->args, &j->alg, &j->key, err));
    enum chy_hash_alg hash = chy_sign_alg_hash(j->alg);
    CHY_TRY(chy_hasher_new(hash == CHY_HASH_NONE ? CHY_HASH_SHA256 : hash, &j->hasher, err));
    CHY_TRY(read_items(j, &files, &digests, err));
    CHY_TRY(check_places(j, err));
    CHY_TRY(find_key(j, err));
    return j->key.name.n != 0 ? chy_pubkey_from_spki(j->key.public_key, &j->pubkey, err) : CHY_OK;
}

static enum chy_err sign(struct job *j, struct chy_error *err)
{
    CHY_TRY(prepare(j, err));
    CHY_TRY(sign_all(j, err));
    struct report report = { { j->outcomes, j->n }, j->policy_number };
    return j->cli->is_json ? chy_cli_print_json(j->cli, &report_schema, &report, err) : CHY_OK;
}

int chy_cli_run_sign_raw(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct job j = { .cli = cli, .args = args };
    struct chy_error err;
    enum chy_err r = sign(&j, &err);
    chy_hasher_free(j.hasher);
    chy_pubkey_free(j.pubkey);
    if (r != CHY_OK)
        return chy_cli_fail(cli, &err);
    for (size_t i = 0; i < j.n; i++) {
        if (!j.outcomes[i].is_signed)
            return CHY_CLI_REFUSED;
    }
    return CHY_CLI_DONE;
}
