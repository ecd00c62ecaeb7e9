/* SPDX-License-Identifier: MIT */
/* Signatures that this program makes itself: CMS beside a file, or behind a kernel module. Many
 * digests go in one call.
 *
 *   a signed module: content | CMS | 0 0 2 0 0 0 0 0 | u32 length of the CMS, big-endian | mark
 *   Source: struct module_signature of Linux, include/linux/module_signature.h */
#include <fcntl.h>

#include "base/limits.h"
#include "cli/request.h"
#include "cli/sign/files.h"
#include "client/receipt.h"
#include "client/signing.h"
#include "client/stamper.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_draft.h"
#include "os/file_stream.h"
#include "os/interrupt.h"

#define READ_PART   8192
#define SHOWN_BYTES 1024 /* signed attributes */
#define CMS_BYTES                                                            \
    ((size_t)CHY_LIMIT_CHAIN * CHY_LIMIT_CERTIFICATE + CHY_LIMIT_SIGNATURE + \
     CHY_LIMIT_TIME_STAMP + 4096)
#define MODULE_MARK  "~Module signature appended~\n"
#define MODULE_PKCS7 2 /* enum pkey_id_type */

/* One signature of a call. */
struct own {
    struct sign_file *file;
    struct chy_cms cms;
    uint8_t content_digest[CHY_LIMIT_DIGEST];
    struct chy_bytes attributes;
    uint8_t signed_digest[CHY_LIMIT_DIGEST];
    struct chy_bytes signature;
    enum chy_err code;
    struct chy_error why;
};

struct own_run {
    struct sign_run *run;
    struct chy_hasher *hasher;
    struct chy_stamper *stamper;     /* NULL: no time stamps */
    const struct chy_pubkey *pubkey; /* of the key that signs */
    enum chy_sign_alg alg;
    struct own *owns;
    struct chy_sign_item *items;
    size_t n;
    struct chy_str receipts; /* the folder; empty: none are wanted */
};

/* --- before the server is asked --- */

static enum chy_err hash_content(struct own_run *o, struct own *own, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    uint8_t part[READ_PART];
    uint64_t size;
    size_t n = 0;
    CHY_TRY(chy_file_open_stream(AT_FDCWD, own->file->path, &fd, &size, err));
    do {
        CHY_TRY(chy_fd_read(fd, part, sizeof part, &n, err));
        chy_hasher_add(o->hasher, (struct chy_bytes){ part, n });
    } while (n != 0);
    chy_hasher_end(o->hasher, own->content_digest);
    return CHY_OK;
}

static enum chy_err make_attributes(struct own_run *o, struct own *own, struct chy_sign_item *item,
                                    struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf set;
    chy_buf_init(&set, SHOWN_BYTES);
    CHY_TRY(chy_cms_attributes(&own->cms, &set, err));
    own->attributes = chy_arena_bytes(&o->run->cli->arena, chy_buf_bytes(&set));
    if (own->attributes.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a signature");
    chy_hasher_add(o->hasher, own->attributes);
    chy_hasher_end(o->hasher, own->signed_digest);
    item->digest = (struct chy_bytes){ own->signed_digest, own->cms.content_digest.n };
    item->content = own->attributes;
    return CHY_OK;
}

static enum chy_err prepare(struct own_run *o, struct sign_file *f, struct chy_error *err)
{
    struct own *own = &o->owns[o->n];
    struct chy_sign_item *item = &o->items[o->n];
    const struct chy_key *key = &o->run->certificates.key;
    bool is_module = (f->tool->flags & SIGN_APPENDED) != 0;
    *own = (struct own){ .file = f };
    CHY_TRY(sign_file_hash(f, err));
    CHY_TRY(hash_content(o, own, err));
    own->cms = (struct chy_cms){
        .alg = o->alg,
        .content_digest = { own->content_digest, chy_hash_alg_bytes(chy_sign_alg_hash(o->alg)) },
        .certificates = key->certificates.p,
        .n_certificates = key->certificates.n,
        .has_attributes = !is_module,
        .holds_certificates = !is_module,
        .time_us = chy_clock_realtime_us(),
    };
    *item = (struct chy_sign_item){
        .key = o->run->key,
        .algorithm = o->alg,
        .digest = own->cms.content_digest,
        .hashed_by = CHY_HASHED_BY_CLIENT,
        .artifact = &f->artifact,
    };
    return is_module ? CHY_OK : make_attributes(o, own, item, err);
}

/* --- what came back --- */

static enum chy_err copy_content(const struct sign_file *f, int to_fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    uint8_t part[READ_PART];
    uint64_t size;
    size_t n = 0;
    CHY_TRY(chy_file_open_stream(AT_FDCWD, f->path, &fd, &size, err));
    do {
        CHY_TRY(chy_fd_read(fd, part, sizeof part, &n, err));
        CHY_TRY(chy_fd_write(to_fd, (struct chy_bytes){ part, n }, err));
    } while (n != 0);
    return CHY_OK;
}

static enum chy_err write_module(const struct sign_file *f, struct chy_bytes cms, int to_fd,
                                 struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf tail;
    static const uint8_t info[] = { 0, 0, MODULE_PKCS7, 0, 0, 0, 0, 0 };
    chy_buf_init(&tail, CMS_BYTES + 64);
    chy_buf_append(&tail, cms);
    chy_buf_append(&tail, (struct chy_bytes){ info, sizeof info });
    chy_buf_append_u32(&tail, (uint32_t)cms.n);
    chy_buf_append_c(&tail, MODULE_MARK);
    CHY_TRY(chy_buf_check(&tail, err));
    CHY_TRY(copy_content(f, to_fd, err));
    return chy_fd_write(to_fd, chy_buf_bytes(&tail), err);
}

/* A draft has no name until it is whole, so nothing lies about when we are killed. */
static enum chy_err write_signature(const struct own *own, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf cms;
    CHY_CLEANUP(chy_file_draft_freep) struct chy_file_draft *draft = NULL;
    const struct sign_file *f = own->file;
    const struct chy_file_draft_options options = { f->out, 0600, true, true };
    chy_buf_init(&cms, CMS_BYTES);
    CHY_TRY(chy_cms_assemble(&own->cms, own->attributes, own->signature, &cms, err));
    CHY_TRY(chy_file_draft_new(&options, &draft, err));
    if ((f->tool->flags & SIGN_APPENDED) != 0)
        CHY_TRY(write_module(f, chy_buf_bytes(&cms), chy_file_draft_fd(draft), err));
    else
        CHY_TRY(chy_fd_write(chy_file_draft_fd(draft), chy_buf_bytes(&cms), err));
    CHY_TRY(chy_file_draft_set_mode(draft, (mode_t)f->mode, err));
    CHY_TRY(sign_file_check_same(f, err));
    return chy_file_draft_keep(draft, err);
}

static enum chy_err keep_event(struct own_run *o, struct own *own,
                               const struct chy_sign_result *result,
                               struct chy_door_event **ret_event, struct chy_error *err)
{
    struct chy_door_event *event = chy_arena_new(&o->run->cli->arena, struct chy_door_event);
    if (event == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what was signed");
    *event = (struct chy_door_event){
        .key = o->run->key,
        .algorithm = o->alg,
        .digest = own->attributes.n == 0
                      ? own->cms.content_digest
                      : (struct chy_bytes){ own->signed_digest, own->cms.content_digest.n },
        .is_signed = result->is_signed,
        .problem = result->problem,
        .detail = result->detail,
        .rules = result->rules,
        .intent = result->intent,
        .outcome = result->outcome,
    };
    own->file->result.signatures.p = event;
    own->file->result.signatures.n = 1;
    *ret_event = event;
    return CHY_OK;
}

/* First the proof: a signature whose receipt is not good is not handed out. */
static enum chy_err take_result(struct own_run *o, struct own *own,
                                const struct chy_sign_result *result, struct chy_error *err)
{
    struct chy_door_event *event = NULL;
    CHY_TRY(keep_event(o, own, result, &event, err));
    if (!result->is_signed)
        return sign_refusal(event, err);
    CHY_TRY(chy_signing_check_by(o->pubkey, &o->items[own - o->owns], result->signature, err));
    own->signature = result->signature;
    return chy_receipt_keep(result->receipt, result->outcome,
                            chy_client_log_key(o->run->cli->client), o->receipts,
                            &o->run->cli->arena, &event->receipt_file, err);
}

static void finish(struct own_run *o, struct sign_file *f, enum chy_err r,
                   const struct chy_error *why)
{
    if (r == CHY_OK)
        f->result.state = SIGN_SIGNED;
    else
        sign_file_fail(f, &o->run->cli->arena, why);
    sign_file_done(o->run, f);
}

/* --- asking --- */

static enum chy_err ask(struct own_run *o, const struct chy_sign_request *common,
                        struct chy_sign_response *ret_response, struct chy_error *err)
{
    struct chy_sign_request request = *common;
    request.items.p = o->items;
    request.items.n = o->n;
    CHY_TRY(chy_client_call(o->run->cli->client, CHY_OP_SIGN, &request, &o->run->cli->arena,
                            ret_response, err));
    if (ret_response->results.n != o->n)
        return chy_fail(err, CHY_E_PROTOCOL, "%zu signatures were asked for, %zu answers came",
                        o->n, ret_response->results.n);
    return CHY_OK;
}

/* The kernel reads none, and a signature without attributes has no place for one. */
static bool wants_stamp(const struct own_run *o, const struct own *own)
{
    return own->code == CHY_OK && o->stamper != NULL &&
           (own->file->tool->flags & SIGN_DETACHED) != 0;
}

static void stamp(struct own_run *o, struct own *owns, size_t n)
{
    struct chy_stamp stamps[CHY_LIMIT_STAMPS_AT_ONCE];
    struct own *of[CHY_LIMIT_STAMPS_AT_ONCE];
    size_t n_stamps = 0;
    for (size_t i = 0; i < n; i++) {
        if (!wants_stamp(o, &owns[i]))
            continue;
        stamps[n_stamps] = (struct chy_stamp){ .signature = owns[i].signature };
        of[n_stamps++] = &owns[i];
    }
    chy_stamper_ask(o->stamper, chy_sign_alg_hash(o->alg), stamps, n_stamps, &o->run->cli->arena);
    for (size_t i = 0; i < n_stamps; i++) {
        of[i]->cms.time_stamp = stamps[i].token;
        of[i]->code = stamps[i].code;
        of[i]->why = stamps[i].why;
    }
}

static void end_before_stamp(struct own_run *o, struct own *owns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wants_stamp(o, &owns[i]))
            owns[i].code =
                chy_fail(&owns[i].why, CHY_E_STATE, "a signal ended the run before its time stamp");
}

/* As many as are stamped at once: what has its stamp is written before others are asked for. */
static void sign_part(struct own_run *o, struct own *owns, const struct chy_sign_result *results,
                      size_t n)
{
    for (size_t i = 0; results != NULL && i < n; i++)
        owns[i].code = take_result(o, &owns[i], &results[i], &owns[i].why);
    if (chy_interrupt_number() != 0)
        end_before_stamp(o, owns, n);
    else if (o->stamper != NULL)
        stamp(o, owns, n);
    for (size_t i = 0; i < n; i++) {
        if (owns[i].code == CHY_OK)
            owns[i].code = write_signature(&owns[i], &owns[i].why);
        finish(o, owns[i].file, owns[i].code, &owns[i].why);
    }
}

static void sign_batch(struct own_run *o, const struct chy_sign_request *common)
{
    struct chy_sign_response response;
    struct chy_error err;
    const struct chy_sign_result *results = NULL;
    enum chy_err r = ask(o, common, &response, &err);
    if (r == CHY_OK)
        results = response.results.p;
    for (size_t i = 0; r != CHY_OK && i < o->n; i++) {
        o->owns[i].code = r;
        o->owns[i].why = err;
    }
    for (size_t i = 0; i < o->n; i += CHY_LIMIT_STAMPS_AT_ONCE)
        sign_part(o, &o->owns[i], results != NULL ? results + i : NULL,
                  CHY_MIN(o->n - i, (size_t)CHY_LIMIT_STAMPS_AT_ONCE));
    o->n = 0;
}

static void sign_all(struct own_run *o, const struct chy_sign_request *common)
{
    for (size_t i = 0; i < o->run->n && chy_interrupt_number() == 0; i++) {
        struct sign_file *f = &o->run->files[i];
        struct chy_error err;
        if (f->result.state != SIGN_WAITING || f->tool->words != NULL)
            continue;
        enum chy_err r = prepare(o, f, &err);
        if (r == CHY_OK)
            o->n++;
        else
            finish(o, f, r, &err);
        if (o->n == CHY_LIMIT_SIGN_ITEMS)
            sign_batch(o, common);
    }
    if (o->n != 0)
        sign_batch(o, common);
}

static size_t count_own(const struct sign_run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n; i++)
        n +=
            run->files[i].result.state == SIGN_WAITING && run->files[i].tool->words == NULL ? 1 : 0;
    return CHY_MIN(n, (size_t)CHY_LIMIT_SIGN_ITEMS);
}

static enum chy_err run_own(struct own_run *o, const struct chy_sign_request *common,
                            struct chy_error *err)
{
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    CHY_CLEANUP(chy_stamper_freep) struct chy_stamper *stamper = NULL;
    const struct sign_run *run = o->run;
    CHY_TRY(chy_hasher_new(chy_sign_alg_hash(o->alg), &hasher, err));
    if (run->tsa.n != 0)
        CHY_TRY(chy_stamper_new(run->tsa, &stamper, err));
    o->hasher = hasher;
    o->stamper = stamper;
    chy_interrupt_catch();
    sign_all(o, common);
    return CHY_OK;
}

enum chy_err sign_run_own(struct sign_run *run, struct chy_error *err)
{
    struct own_run o = { .run = run, .receipts = run->receipts };
    struct chy_sign_request common = {
        .receipt = o.receipts.n != 0 ? CHY_RECEIPT_FULL : CHY_RECEIPT_INDEX,
    };
    size_t n = count_own(run);
    if (n == 0)
        return CHY_OK;
    o.alg = chy_key_type_default_alg(run->certificates.key.type);
    o.owns = chy_arena_array(&run->cli->arena, struct own, n);
    o.items = chy_arena_array(&run->cli->arena, struct chy_sign_item, n);
    if (o.owns == NULL || o.items == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for so many files");
    if (chy_sign_alg_hash(o.alg) == CHY_HASH_NONE)
        return chy_fail(err, CHY_E_UNSUPPORTED,
                        "a key of type %s makes no CMS signature: use an RSA or elliptic-curve "
                        "key, or --raw",
                        chy_enum_name(&chy_key_type_enum, (int)run->certificates.key.type));
    CHY_TRY(chy_cli_fill_request(run->cli, run->args, &common, err));
    CHY_CLEANUP(chy_pubkey_freep) struct chy_pubkey *pubkey = NULL;
    CHY_TRY(chy_pubkey_from_spki(run->certificates.key.public_key, &pubkey, err));
    o.pubkey = pubkey;
    return run_own(&o, &common, err);
}
