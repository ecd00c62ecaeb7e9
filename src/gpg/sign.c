/* SPDX-License-Identifier: MIT */
/* The three forms of a signature. What is signed is read once, part by part; what comes of it is
 * written aside, and gets its name (or goes to standard output) when the signature is there. */
#include <fcntl.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "format/armor.h"
#include "format/cleartext.h"
#include "gpg/gpg.h"
#include "os/fd.h"
#include "os/file_draft.h"
#include "os/file_stream.h"

#define READ_PART ((size_t)65536)
/* What one part can become: every line of it with a dash in front, then base 64. */
#define WRITE_PART (8 * READ_PART)
#define HEAD_BYTES 64 /* of the data, by which its type is told */

struct job;

struct form {
    enum chy_gnupg_command command;
    enum chy_openpgp_class class;
    char letter;      /* in the status line SIG_CREATED */
    const char *name; /* in the fact openpgp.form */
    const char *suffix;
    const char *armor; /* its kind */
    enum chy_err (*begin)(struct job *j, struct chy_error *err);
    enum chy_err (*add)(struct job *j, struct chy_bytes data, struct chy_error *err);
    enum chy_err (*end)(struct job *j, struct chy_error *err);
};

struct job {
    struct chy_gpg *g;
    const struct form *form;
    struct chy_gpg_key key;
    struct chy_openpgp_signature signature;
    struct chy_hasher *hasher;   /* of what is signed */
    struct chy_hasher *artifact; /* of the data */
    struct chy_cleartext text;
    struct chy_openpgp_message message;
    struct chy_armor armor;
    bool is_armored;
    struct chy_buf packets; /* not yet in `written` */
    struct chy_buf written; /* not yet in the draft */
    struct chy_buf content; /* the data, as long as it is short */
    struct chy_file_draft *draft;
    struct chy_str name; /* of the file; empty: it has none */
    uint8_t head[HEAD_BYTES];
    size_t head_n;
    uint64_t size_bytes;
};

/* --- writing --- */

static enum chy_err flush(struct job *j, struct chy_error *err)
{
    CHY_TRY(chy_buf_check(&j->packets, err));
    if (j->is_armored)
        chy_armor_add(&j->armor, chy_buf_bytes(&j->packets), &j->written);
    else
        chy_buf_append(&j->written, chy_buf_bytes(&j->packets));
    CHY_TRY(chy_buf_check(&j->written, err));
    CHY_TRY(chy_fd_write(chy_file_draft_fd(j->draft), chy_buf_bytes(&j->written), err));
    chy_buf_clear(&j->packets);
    chy_buf_clear(&j->written);
    return CHY_OK;
}

static void begin_armor(struct job *j)
{
    j->is_armored = true;
    chy_armor_begin(&j->armor, j->form->armor, &j->written);
}

/* --- a signature beside the file --- */

static enum chy_err detached_begin(struct job *j, struct chy_error *err)
{
    (void)err;
    if (j->g->options.is_armored)
        begin_armor(j);
    return CHY_OK;
}

static enum chy_err detached_add(struct job *j, struct chy_bytes data, struct chy_error *err)
{
    (void)err;
    chy_hasher_add(j->hasher, data);
    return CHY_OK;
}

static enum chy_err detached_end(struct job *j, struct chy_error *err)
{
    (void)j;
    (void)err;
    return CHY_OK;
}

/* --- both in one --- */

static enum chy_err inline_begin(struct job *j, struct chy_error *err)
{
    if (j->g->options.is_armored)
        begin_armor(j);
    return chy_openpgp_message_begin(&j->message, &j->signature, &j->packets, err);
}

static enum chy_err inline_add(struct job *j, struct chy_bytes data, struct chy_error *err)
{
    chy_hasher_add(j->hasher, data);
    return chy_openpgp_message_add(&j->message, data, &j->packets, err);
}

static enum chy_err inline_end(struct job *j, struct chy_error *err)
{
    return chy_openpgp_message_end(&j->message, &j->packets, err);
}

/* --- a text --- */

static enum chy_err text_begin(struct job *j, struct chy_error *err)
{
    return chy_cleartext_begin(j->signature.hash, &j->written, err);
}

static enum chy_err text_add(struct job *j, struct chy_bytes data, struct chy_error *err)
{
    return chy_cleartext_add(&j->text, data, j->hasher, &j->written, err);
}

static enum chy_err text_end(struct job *j, struct chy_error *err)
{
    CHY_TRY(chy_cleartext_end(&j->text, j->hasher, &j->written, err));
    begin_armor(j);
    return CHY_OK;
}

static const struct form forms[] = {
    { CHY_GNUPG_DETACH_SIGN, CHY_OPENPGP_BINARY, 'D', "detached", ".sig", CHY_ARMOR_SIGNATURE,
      detached_begin, detached_add, detached_end },
    { CHY_GNUPG_SIGN, CHY_OPENPGP_BINARY, 'S', "message", ".gpg", CHY_ARMOR_MESSAGE, inline_begin,
      inline_add, inline_end },
    { CHY_GNUPG_CLEAR_SIGN, CHY_OPENPGP_TEXT, 'C', "cleartext", ".asc", CHY_ARMOR_SIGNATURE,
      text_begin, text_add, text_end },
};

/* --- what is signed --- */

/* A hash in hex stands at `at`, and a line end behind it: as Git's objects begin. */
static bool is_object(const struct job *j, const char *lead)
{
    size_t at = strlen(lead);
    return chy_str_starts((struct chy_str){ (const char *)j->head, j->head_n }, lead) &&
           ((j->head_n > at + 40 && j->head[at + 40] == '\n') || j->head_n == HEAD_BYTES);
}

/* What the tools that call us let sign, by how it begins: declared, as all that we say. */
static struct chy_str type_of(const struct job *j)
{
    struct chy_str head = { (const char *)j->head, j->head_n };
    if (chy_str_starts(head, "\x8e\xad\xe8\x01")) /* a header; the payload may follow */
        return CHY_STR("rpm");
    if (chy_str_starts(head, "2.0\n")) /* debian-binary, and the other members behind it */
        return CHY_STR("deb");
    if (is_object(j, "tree "))
        return CHY_STR("git-commit");
    if (is_object(j, "object "))
        return CHY_STR("git-tag");
    if (chy_str_equal_c(j->name, "Release"))
        return CHY_STR("apt-release");
    return (struct chy_str){ 0 };
}

static void take_head(struct job *j, struct chy_bytes data)
{
    size_t n = CHY_MIN(data.n, sizeof j->head - j->head_n);
    chy_copy(j->head + j->head_n, data.p, n);
    j->head_n += n;
}

static enum chy_err read_data(struct job *j, int fd, struct chy_error *err)
{
    uint8_t *part = chy_arena_array(&j->g->arena, uint8_t, READ_PART);
    if (part == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a part of the data");
    for (;;) {
        struct chy_bytes data = { part, 0 };
        CHY_TRY(chy_fd_read(fd, part, READ_PART, &data.n, err));
        if (data.n == 0)
            return j->form->end(j, err);
        take_head(j, data);
        j->size_bytes += data.n;
        chy_hasher_add(j->artifact, data);
        chy_buf_append(&j->content, data);
        CHY_TRY(j->form->add(j, data, err));
        CHY_TRY(flush(j, err));
    }
}

static enum chy_err read_input(struct job *j, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int own = -1;
    const struct chy_strs *words = &j->g->options.words;
    bool is_file = false;
    if (words->n == 0 || chy_str_equal_c(words->p[0], "-"))
        return read_data(j, j->g->in, err);
    CHY_TRY(chy_file_open_input(AT_FDCWD, words->p[0].p, &own, &is_file, err));
    /* The name of a FIFO says nothing of what comes through it; one that no fact may have is not
     * told. */
    if (is_file && chy_text_is_plain(chy_str_base_name(words->p[0])))
        j->name = chy_str_base_name(words->p[0]);
    return read_data(j, own, err);
}

/* --- the signature --- */

/* The data is shown to the server where it is short, and nothing of it was changed on the way. */
static struct chy_bytes shown(struct job *j, const struct chy_buf *tail)
{
    if (j->form->class == CHY_OPENPGP_TEXT || !chy_buf_append(&j->content, chy_buf_bytes(tail)))
        return (struct chy_bytes){ NULL, 0 };
    return chy_buf_bytes(&j->content);
}

static enum chy_err ask(struct job *j, uint8_t *digest, struct chy_bytes *ret_signature,
                        struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf tail;
    uint8_t sha256[CHY_HASH_BYTES];
    chy_hasher_end(j->artifact, sha256);
    struct chy_artifact artifact = {
        .digest = { sha256, sizeof sha256 },
        .hash = CHY_HASH_SHA256,
        .size_bytes = j->size_bytes,
        .type = type_of(j),
        .name = j->name,
    };
    chy_buf_init(&tail, UINT8_MAX);
    CHY_TRY(chy_openpgp_tail_write(&j->signature, &tail, err));
    chy_hasher_add(j->hasher, chy_buf_bytes(&tail));
    chy_hasher_end(j->hasher, digest);
    const struct chy_gpg_signing signing = {
        .key = &j->key,
        .hash = j->signature.hash,
        .digest = { digest, chy_hash_alg_bytes(j->signature.hash) },
        .content = shown(j, &tail),
        .form = j->form->name,
        .artifact = &artifact,
    };
    return chy_gpg_ask(j->g, &signing, ret_signature, err);
}

static enum chy_err put_signature(struct job *j, struct chy_error *err)
{
    uint8_t digest[CHY_LIMIT_DIGEST];
    struct chy_bytes signature;
    CHY_TRY(ask(j, digest, &signature, err));
    CHY_TRY(chy_openpgp_signature_write(
        &j->signature, (struct chy_bytes){ digest, chy_hash_alg_bytes(j->signature.hash) },
        signature, &j->packets, err));
    CHY_TRY(flush(j, err));
    if (!j->is_armored)
        return CHY_OK;
    chy_armor_end(&j->armor, &j->written);
    j->is_armored = false;
    return flush(j, err);
}

/* --- where it goes --- */

/* NULL: standard output. */
static enum chy_err output_path(const struct job *j, const char **ret_path, struct chy_error *err)
{
    const struct chy_gnupg_options *o = &j->g->options;
    bool is_stdin = o->words.n == 0 || chy_str_equal_c(o->words.p[0], "-");
    *ret_path = NULL;
    if (o->output.n != 0) {
        *ret_path = chy_str_equal_c(o->output, "-") ? NULL : o->output.p;
        return CHY_OK;
    }
    if (is_stdin)
        return CHY_OK;
    struct chy_str path = chy_arena_printf(&j->g->arena, "%.*s%s", CHY_STR_ARG(o->words.p[0]),
                                           o->is_armored ? ".asc" : j->form->suffix);
    *ret_path = path.p;
    return path.p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a file's name");
}

static enum chy_err sign_to(struct job *j, const char *path, struct chy_error *err)
{
    const struct chy_file_draft_options options = { path, 0666, j->g->options.is_yes, false };
    enum chy_err r = chy_file_draft_new(&options, &j->draft, err);
    if (r == CHY_E_EXISTS)
        return chy_fail(err, r, "%s is there already; --yes replaces it", path);
    if (r != CHY_OK)
        return r;
    CHY_TRY(j->form->begin(j, err));
    CHY_TRY(read_input(j, err));
    CHY_TRY(put_signature(j, err));
    return path != NULL ? chy_file_draft_keep(j->draft, err)
                        : chy_file_draft_copy(j->draft, j->g->out, err);
}

/* --- the command --- */

static enum chy_err choose_hash(struct job *j, struct chy_error *err)
{
    struct chy_str asked = j->g->options.digest_algo;
    enum chy_hash_alg least = chy_openpgp_hash_least(j->key.key.type);
    enum chy_hash_alg hash = j->key.key.type == CHY_KEY_ED25519 ? CHY_HASH_SHA512 : least;
    if (asked.n != 0)
        hash = chy_openpgp_hash_find(asked);
    if (hash == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "--digest-algo \"%.*s\": nothing is signed by that; SHA256, SHA384 and "
                        "SHA512 are there",
                        CHY_STR_ARG(asked));
    if (hash < least)
        return chy_fail(err, CHY_E_ARG,
                        "a key of type %s needs %s at least, not %s: GnuPG would "
                        "not take the signature",
                        chy_enum_name(&chy_key_type_enum, (int)j->key.key.type),
                        chy_openpgp_hash_name(least), chy_openpgp_hash_name(hash));
    j->signature.hash = hash;
    return CHY_OK;
}

static enum chy_err check_use(const struct job *j, struct chy_error *err)
{
    if (j->g->options.words.n > 1)
        return chy_fail(err, CHY_E_ARG, "one file is signed at a time; %zu are given",
                        j->g->options.words.n);
    if (j->g->options.is_text && j->form->class != CHY_OPENPGP_TEXT)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "--textmode is for --clear-sign alone: other signatures are of the bytes "
                        "as they are");
    return CHY_OK;
}

static enum chy_err prepare(struct job *j, struct chy_error *err)
{
    CHY_TRY(check_use(j, err));
    CHY_TRY(chy_gpg_key_choose(j->g, &j->key, err));
    j->signature.class = j->form->class;
    j->signature.key = &j->key.openpgp;
    CHY_TRY(choose_hash(j, err));
    CHY_TRY(chy_hasher_new(j->signature.hash, &j->hasher, err));
    return chy_hasher_new(CHY_HASH_SHA256, &j->artifact, err);
}

static enum chy_err run(struct job *j, struct chy_error *err)
{
    const char *path = NULL;
    CHY_TRY(prepare(j, err));
    CHY_TRY(output_path(j, &path, err));
    uint8_t hash = chy_openpgp_hash_number(j->signature.hash);
    chy_gpg_status(j->g, "BEGIN_SIGNING H%u", (unsigned)hash);
    j->signature.created_unix_s = chy_gpg_time(&j->key);
    CHY_TRY(sign_to(j, path, err));
    chy_gpg_status(j->g, "SIG_CREATED %c %u %u %02x %u %s", j->form->letter,
                   (unsigned)chy_openpgp_algorithm_number(j->key.key.type), (unsigned)hash,
                   (unsigned)j->form->class, j->signature.created_unix_s, j->key.fingerprint);
    return CHY_OK;
}

static void job_done(struct job *j)
{
    chy_file_draft_free(j->draft);
    chy_buf_done(&j->content);
    chy_buf_done(&j->written);
    chy_buf_done(&j->packets);
    chy_openpgp_message_done(&j->message);
    chy_cleartext_done(&j->text);
    chy_hasher_free(j->artifact);
    chy_hasher_free(j->hasher);
}

enum chy_err chy_gpg_sign(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(job_done) struct job j = { .g = g };
    for (size_t i = 0; i < CHY_ARRAY_LEN(forms); i++) {
        if (forms[i].command == g->options.command)
            j.form = &forms[i];
    }
    chy_cleartext_init(&j.text);
    chy_openpgp_message_init(&j.message);
    chy_buf_init(&j.packets, WRITE_PART);
    chy_buf_init(&j.written, WRITE_PART);
    chy_buf_init(&j.content, CHY_LIMIT_CONTENT);
    return run(&j, err);
}
