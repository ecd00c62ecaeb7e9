/* SPDX-License-Identifier: MIT */
#include "module/operation.h"

#include <stdatomic.h>

#include "base/limits.h"
#include "guest/ask.h"
#include "guest/times.h"
#include "module/attributes.h"
#include "module/state.h"
#include "proto/types.h"

/* How an operation ends: what it asks, and where the result goes. */
struct ending {
    struct chy_p11_call *call;
    struct chy_p11_op *op;
    enum chy_err (*ask)(const struct ending *end, const struct chy_door_input *input);
    bool may_repeat;
    CK_BYTE *out;               /* of a digest or a signature */
    struct chy_bytes signature; /* that is verified */
};

static struct chy_p11_op *op_of(const struct chy_p11_call *call, enum chy_p11_op_kind kind)
{
    return chy_p11_session_op(call->session, kind);
}

void chy_p11_op_done(struct chy_p11_op *op)
{
    chy_buf_done(&op->data);
    *op = (struct chy_p11_op){ 0 };
}

/* --- streams --- */

/* Numbers are the link's own; one that no link has is simplest. */
static uint64_t stream_number(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

static enum chy_err stream_add_part(struct chy_p11_call *call, struct chy_p11_op *op,
                                    struct chy_bytes part)
{
    bool is_first = op->stream == 0;
    uint64_t stream = is_first ? stream_number() : op->stream;
    struct chy_door_hash_add add = { .stream = stream, .hash = op->hash, .data = part };
    struct chy_guest_ask ask = { .type = CHY_DOOR_HASH_ADD,
                                 .schema = &chy_door_hash_add_schema,
                                 .value = &add,
                                 .reply_type = CHY_DOOR_HASH_ADDED,
                                 .reply_schema = &chy_empty_schema,
                                 .timeout_us = CHY_GUEST_HASH_US,
                                 .may_repeat = is_first,
                                 .streams = is_first,
                                 .serial = op->serial };
    struct chy_guest_answer answer;
    struct chy_empty empty;
    chy_guest_answer_init(&answer);
    enum chy_err r = chy_p11_ask(call, &ask, &answer, &empty);
    chy_guest_answer_done(&answer);
    if (r == CHY_OK) {
        op->stream = stream;
        op->serial = ask.serial;
    }
    return r;
}

/* One part at least: it makes the stream. */
static enum chy_err stream_add(struct chy_p11_call *call, struct chy_p11_op *op,
                               struct chy_bytes data)
{
    do {
        size_t n = CHY_MIN(data.n, (size_t)CHY_LIMIT_DOOR_PART);
        CHY_TRY(stream_add_part(call, op, (struct chy_bytes){ data.p, n }));
        if (n != 0)
            data = (struct chy_bytes){ data.p + n, data.n - n };
    } while (data.n != 0);
    return CHY_OK;
}

static enum chy_err stream_end(struct chy_p11_call *call, struct chy_p11_op *op, int64_t timeout_us,
                               CK_BYTE *ret_digest)
{
    struct chy_door_stream stream = { op->stream };
    struct chy_guest_ask ask = { .type = CHY_DOOR_HASH_END,
                                 .schema = &chy_door_stream_schema,
                                 .value = &stream,
                                 .reply_type = CHY_DOOR_HASHED,
                                 .reply_schema = &chy_door_hashed_schema,
                                 .timeout_us = timeout_us,
                                 .streams = -1,
                                 .serial = op->serial };
    struct chy_door_hashed hashed;
    struct chy_guest_answer answer;
    chy_guest_answer_init(&answer);
    enum chy_err r = chy_p11_ask(call, &ask, &answer, &hashed);
    if (r == CHY_OK)
        op->stream = 0;
    if (r == CHY_OK && ret_digest != NULL) {
        if (hashed.digest.n == chy_hash_alg_bytes(op->hash))
            chy_copy(ret_digest, hashed.digest.p, hashed.digest.n);
        else
            r = chy_fail(&call->err, CHY_E_PROTOCOL, "a digest of %zu bytes, expected %zu",
                         hashed.digest.n, chy_hash_alg_bytes(op->hash));
    }
    chy_guest_answer_done(&answer);
    return r;
}

void chy_p11_op_drop(struct chy_p11_call *call, struct chy_p11_op *op)
{
    struct chy_error kept = call->err;
    bool was_refused = call->is_refused;
    if (op->stream != 0)
        /* A link that is gone has taken its streams along. */
        CHY_IGNORE(stream_end(call, op, CHY_GUEST_HELLO_US, NULL));
    call->err = kept;
    call->is_refused = was_refused;
    chy_p11_op_done(op);
}

static CK_RV op_end(struct chy_p11_call *call, struct chy_p11_op *op, CK_RV rv)
{
    chy_p11_op_drop(call, op);
    return rv;
}

/* --- the beginning --- */

static CK_RV key_find(struct chy_p11_call *call, CK_OBJECT_HANDLE handle, CK_FLAGS flag,
                      const struct chy_p11_object **ret_key)
{
    chy_guest_lock(&call->m->guest);
    const struct chy_p11_object *key = chy_p11_object_locked(&call->m->objects, handle);
    chy_guest_unlock(&call->m->guest);
    if (key == NULL || key->key == NULL)
        return CKR_KEY_HANDLE_INVALID;
    if (key->class != (flag == CKF_SIGN ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    *ret_key = key;
    return CKR_OK;
}

static CK_RV op_begin(struct chy_p11_op *op, const CK_MECHANISM *mechanism, CK_FLAGS flag,
                      const struct chy_p11_object *key)
{
    struct chy_p11_op made = { .key = key };
    CK_RV rv = chy_p11_mechanism_check(mechanism, flag, key != NULL ? key->key : NULL,
                                       &made.mechanism, &made.hash);
    if (rv != CKR_OK)
        return rv;
    chy_buf_init(&made.data, CHY_LIMIT_CONTENT);
    *op = made;
    return CKR_OK;
}

/* Without a mechanism what is under way ends: 3.0 section 5.13.1. */
static CK_RV op_may_begin(struct chy_p11_call *call, struct chy_p11_op *op,
                          const CK_MECHANISM *mechanism, bool *ret_is_done)
{
    *ret_is_done = true;
    if (mechanism == NULL && op->mechanism != NULL)
        return op_end(call, op, CKR_OK);
    if (mechanism == NULL)
        return CKR_ARGUMENTS_BAD;
    if (op->mechanism != NULL)
        return CKR_OPERATION_ACTIVE;
    *ret_is_done = false;
    return CKR_OK;
}

static CK_RV keyed_begin(struct chy_p11_call *call, struct chy_p11_op *op,
                         const CK_MECHANISM *mechanism, CK_FLAGS flag, CK_OBJECT_HANDLE handle)
{
    bool is_done;
    const struct chy_p11_object *key = NULL;
    CK_RV rv = op_may_begin(call, op, mechanism, &is_done);
    if (is_done)
        return rv;
    rv = key_find(call, handle, flag, &key);
    return rv == CKR_OK ? op_begin(op, mechanism, flag, key) : rv;
}

CK_RV chy_p11_sign_init(struct chy_p11_call *call, const CK_MECHANISM *mechanism,
                        CK_OBJECT_HANDLE key)
{
    return keyed_begin(call, op_of(call, CHY_P11_OP_SIGN), mechanism, CKF_SIGN, key);
}

CK_RV chy_p11_verify_init(struct chy_p11_call *call, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE key)
{
    return keyed_begin(call, op_of(call, CHY_P11_OP_VERIFY), mechanism, CKF_VERIFY, key);
}

CK_RV chy_p11_digest_init(struct chy_p11_call *call, const CK_MECHANISM *mechanism)
{
    struct chy_p11_op *op = op_of(call, CHY_P11_OP_DIGEST);
    bool is_done;
    CK_RV rv = op_may_begin(call, op, mechanism, &is_done);
    return is_done ? rv : op_begin(op, mechanism, CKF_DIGEST, NULL);
}

/* --- parts --- */

/* Small parts are gathered in front of a stream too: a tool's parts may be of any size. */
static enum chy_err overflow(struct chy_p11_call *call, struct chy_p11_op *op,
                             struct chy_bytes part)
{
    if (op->data.n != 0)
        CHY_TRY(stream_add(call, op, chy_buf_bytes(&op->data)));
    chy_buf_clear(&op->data);
    if (part.n > CHY_LIMIT_CONTENT)
        return stream_add(call, op, part);
    chy_buf_append(&op->data, part);
    return chy_buf_check(&op->data, &call->err);
}

static CK_RV gather(struct chy_p11_call *call, struct chy_p11_op *op, struct chy_bytes part)
{
    if (part.n <= CHY_LIMIT_CONTENT - op->data.n)
        return chy_buf_append(&op->data, part) ? CKR_OK : CKR_HOST_MEMORY;
    if (!op->mechanism->is_message)
        return CKR_DATA_LEN_RANGE;
    return chy_p11_call_rv(call, overflow(call, op, part));
}

static CK_RV op_update(struct chy_p11_call *call, struct chy_p11_op *op, const CK_BYTE *part,
                       CK_ULONG n)
{
    if (op->mechanism == NULL)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (part == NULL && n != 0)
        return op_end(call, op, CKR_ARGUMENTS_BAD);
    if (n > CHY_LIMIT_P11_DATA)
        return op_end(call, op, CKR_DATA_LEN_RANGE);
    op->has_parts = true;
    CK_RV rv = n != 0 ? gather(call, op, (struct chy_bytes){ part, n }) : CKR_OK;
    return rv == CKR_OK ? rv : op_end(call, op, rv);
}

CK_RV chy_p11_digest_update(struct chy_p11_call *call, const CK_BYTE *part, CK_ULONG n)
{
    return op_update(call, op_of(call, CHY_P11_OP_DIGEST), part, n);
}

CK_RV chy_p11_sign_update(struct chy_p11_call *call, const CK_BYTE *part, CK_ULONG n)
{
    return op_update(call, op_of(call, CHY_P11_OP_SIGN), part, n);
}

CK_RV chy_p11_verify_update(struct chy_p11_call *call, const CK_BYTE *part, CK_ULONG n)
{
    return op_update(call, op_of(call, CHY_P11_OP_VERIFY), part, n);
}

/* --- the end --- */

static enum chy_err ask_digest(const struct ending *end, const struct chy_door_input *input)
{
    (void)input;
    return stream_end(end->call, end->op, CHY_GUEST_HASH_US, end->out);
}

static enum chy_err signature_take(const struct ending *end, struct chy_bytes signature)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only a digest has no key */
    size_t n = chy_p11_signature_bytes(end->op->key->key);
    if (signature.n != n)
        return chy_fail(&end->call->err, CHY_E_PROTOCOL, "a signature of %zu bytes, expected %zu",
                        signature.n, n);
    chy_copy(end->out, signature.p, n);
    return CHY_OK;
}

static enum chy_err ask_sign(const struct ending *end, const struct chy_door_input *input)
{
    struct chy_door_sign request = { *input };
    struct chy_guest_ask ask = { .type = CHY_DOOR_SIGN,
                                 .schema = &chy_door_sign_schema,
                                 .value = &request,
                                 .reply_type = CHY_DOOR_SIGNED,
                                 .reply_schema = &chy_door_signed_schema,
                                 .timeout_us = CHY_GUEST_SIGN_US,
                                 .streams = input->stream != 0 ? -1 : 0,
                                 .serial = end->op->serial };
    struct chy_door_signed reply;
    struct chy_guest_answer answer;
    chy_guest_answer_init(&answer);
    enum chy_err r = chy_p11_ask(end->call, &ask, &answer, &reply);
    if (r == CHY_OK) {
        end->op->stream = 0; /* it went into the signature */
        r = signature_take(end, reply.signature);
    }
    chy_guest_answer_done(&answer);
    return r;
}

static enum chy_err ask_verify(const struct ending *end, const struct chy_door_input *input)
{
    struct chy_door_verify request = { *input, end->signature };
    struct chy_guest_ask ask = { .type = CHY_DOOR_VERIFY,
                                 .schema = &chy_door_verify_schema,
                                 .value = &request,
                                 .reply_type = CHY_DOOR_VERIFIED,
                                 .reply_schema = &chy_empty_schema,
                                 .timeout_us = CHY_GUEST_HASH_US,
                                 .may_repeat = true,
                                 .streams = input->stream != 0 ? -1 : 0,
                                 .serial = end->op->serial };
    struct chy_empty reply;
    struct chy_guest_answer answer;
    chy_guest_answer_init(&answer);
    enum chy_err r = chy_p11_ask(end->call, &ask, &answer, &reply);
    chy_guest_answer_done(&answer);
    if (r == CHY_OK)
        end->op->stream = 0;
    return r;
}

static enum chy_err ask_with(const struct ending *end, struct chy_bytes data)
{
    struct chy_p11_op *op = end->op;
    struct chy_door_input input = { .scheme = op->mechanism->scheme,
                                    .hash = op->hash,
                                    .is_message = op->mechanism->is_message,
                                    .data = data,
                                    .stream = op->stream };
    if (op->key != NULL)
        input.key = op->key->key->name;
    return end->ask(end, &input);
}

/* All data is at hand, so that a link that breaks on the way is no harm: only a signature that may
 * have been made is not asked for again. */
static enum chy_err ask_by_stream(const struct ending *end, struct chy_bytes data)
{
    for (unsigned tries = 1;; tries++) {
        bool is_asked = false;
        enum chy_err r = stream_add(end->call, end->op, data);
        if (r == CHY_OK) {
            is_asked = true;
            r = ask_with(end, (struct chy_bytes){ NULL, 0 });
        }
        bool may_repeat = r == CHY_E_NETWORK || (r == CHY_E_IO && (!is_asked || end->may_repeat));
        if (!may_repeat || end->call->is_refused || tries >= CHY_GUEST_TRIES)
            return r;
        end->op->stream = 0; /* it went with its link */
        end->op->serial = 0;
    }
}

static CK_RV finish(const struct ending *end, struct chy_bytes data)
{
    struct chy_p11_op *op = end->op;
    enum chy_err r = CHY_OK;
    if (op->stream != 0) {
        if (data.n != 0)
            r = stream_add(end->call, op, data);
        if (r == CHY_OK)
            r = ask_with(end, (struct chy_bytes){ NULL, 0 });
    } else if (op->key == NULL || data.n > CHY_LIMIT_CONTENT) {
        r = ask_by_stream(end, data);
    } else {
        r = ask_with(end, data);
    }
    if (r == CHY_E_INTEGRITY && end->call->is_refused && end->out == NULL)
        return CKR_SIGNATURE_INVALID;
    return chy_p11_call_rv(end->call, r);
}

/* 2.40 section 5.2: asked for the length, or given a short buffer, the operation goes on; and the
 * agent is not asked. True when that is all. */
static bool is_length_only(const CK_BYTE *out, CK_ULONG *n, size_t need, CK_RV *ret_rv)
{
    if (out == NULL || *n < need) {
        *ret_rv = out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
        *n = need;
        return true;
    }
    return false;
}

static size_t result_bytes(const struct chy_p11_op *op)
{
    return op->key != NULL ? chy_p11_signature_bytes(op->key->key) : chy_hash_alg_bytes(op->hash);
}

static CK_RV data_check(const struct chy_p11_op *op, const CK_BYTE *data, CK_ULONG n)
{
    if (data == NULL && n != 0)
        return CKR_ARGUMENTS_BAD;
    if (n > CHY_LIMIT_P11_DATA)
        return CKR_DATA_LEN_RANGE;
    return op->key != NULL ? chy_p11_mechanism_takes(op->mechanism, op->hash, op->key->key, n)
                           : CKR_OK;
}

static CK_RV make_end(const struct ending *end, CK_RV rv, CK_ULONG *out_n)
{
    if (rv == CKR_OK)
        *out_n = result_bytes(end->op);
    return op_end(end->call, end->op, rv);
}

/* A digest or a signature in one part. */
static CK_RV make_one(const struct ending *end, const CK_BYTE *data, CK_ULONG n, CK_ULONG *out_n)
{
    struct chy_p11_op *op = end->op;
    CK_RV rv;
    if (op->mechanism == NULL)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (op->has_parts)
        return op_end(end->call, op, CKR_OPERATION_ACTIVE);
    if (out_n == NULL)
        return op_end(end->call, op, CKR_ARGUMENTS_BAD);
    if (is_length_only(end->out, out_n, result_bytes(op), &rv))
        return rv;
    rv = data_check(op, data, n);
    if (rv == CKR_OK)
        rv = finish(end, (struct chy_bytes){ data, n });
    return make_end(end, rv, out_n);
}

/* The same of what was gathered. */
static CK_RV make_final(const struct ending *end, CK_ULONG *out_n)
{
    struct chy_p11_op *op = end->op;
    CK_RV rv;
    if (op->mechanism == NULL)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (out_n == NULL)
        return op_end(end->call, op, CKR_ARGUMENTS_BAD);
    if (is_length_only(end->out, out_n, result_bytes(op), &rv))
        return rv;
    rv = data_check(op, op->data.p, op->data.n);
    if (rv == CKR_OK)
        rv = finish(end, chy_buf_bytes(&op->data));
    return make_end(end, rv, out_n);
}

static struct ending digest_ending(struct chy_p11_call *call, CK_BYTE *digest)
{
    return (struct ending){ .call = call,
                            .op = op_of(call, CHY_P11_OP_DIGEST),
                            .ask = ask_digest,
                            .may_repeat = true,
                            .out = digest };
}

static struct ending sign_ending(struct chy_p11_call *call, CK_BYTE *signature)
{
    return (struct ending){
        .call = call, .op = op_of(call, CHY_P11_OP_SIGN), .ask = ask_sign, .out = signature
    };
}

CK_RV chy_p11_digest(struct chy_p11_call *call, const CK_BYTE *data, CK_ULONG n, CK_BYTE *digest,
                     CK_ULONG *digest_n)
{
    struct ending end = digest_ending(call, digest);
    return make_one(&end, data, n, digest_n);
}

CK_RV chy_p11_digest_final(struct chy_p11_call *call, CK_BYTE *digest, CK_ULONG *digest_n)
{
    struct ending end = digest_ending(call, digest);
    return make_final(&end, digest_n);
}

CK_RV chy_p11_sign(struct chy_p11_call *call, const CK_BYTE *data, CK_ULONG n, CK_BYTE *signature,
                   CK_ULONG *signature_n)
{
    struct ending end = sign_ending(call, signature);
    return make_one(&end, data, n, signature_n);
}

CK_RV chy_p11_sign_final(struct chy_p11_call *call, CK_BYTE *signature, CK_ULONG *signature_n)
{
    struct ending end = sign_ending(call, signature);
    return make_final(&end, signature_n);
}

static CK_RV verify_with(const struct ending *end, const CK_BYTE *data, CK_ULONG n)
{
    struct chy_p11_op *op = end->op;
    CK_RV rv = data_check(op, data, n);
    if (rv == CKR_OK && end->signature.p == NULL)
        rv = CKR_ARGUMENTS_BAD;
    if (rv == CKR_OK && end->signature.n != result_bytes(op))
        rv = CKR_SIGNATURE_LEN_RANGE;
    if (rv == CKR_OK)
        rv = finish(end, (struct chy_bytes){ data, n });
    return op_end(end->call, op, rv);
}

static struct ending verify_ending(struct chy_p11_call *call, const CK_BYTE *signature, CK_ULONG n)
{
    return (struct ending){ .call = call,
                            .op = op_of(call, CHY_P11_OP_VERIFY),
                            .ask = ask_verify,
                            .may_repeat = true,
                            .signature = { signature, n } };
}

CK_RV chy_p11_verify(struct chy_p11_call *call, const CK_BYTE *data, CK_ULONG n,
                     const CK_BYTE *signature, CK_ULONG signature_n)
{
    struct ending end = verify_ending(call, signature, signature_n);
    if (end.op->mechanism == NULL)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (end.op->has_parts)
        return op_end(call, end.op, CKR_OPERATION_ACTIVE);
    return verify_with(&end, data, n);
}

CK_RV chy_p11_verify_final(struct chy_p11_call *call, const CK_BYTE *signature,
                           CK_ULONG signature_n)
{
    struct ending end = verify_ending(call, signature, signature_n);
    if (end.op->mechanism == NULL)
        return CKR_OPERATION_NOT_INITIALIZED;
    return verify_with(&end, end.op->data.p, end.op->data.n);
}
