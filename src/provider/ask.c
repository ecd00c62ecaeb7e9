/* SPDX-License-Identifier: MIT */
#include "provider/ask.h"

#include "guest/times.h"
#include "provider/provider.h"

enum chy_err chy_prov_ask_keys(const struct chy_door_keys *keys, struct chy_guest_answer *answer,
                               struct chy_door_key_page *ret_page, struct chy_error *err)
{
    struct chy_guest_ask ask = { .type = CHY_DOOR_KEYS,
                                 .schema = &chy_door_keys_schema,
                                 .value = keys,
                                 .reply_type = CHY_DOOR_KEY_PAGE,
                                 .reply_schema = &chy_door_key_page_schema,
                                 .timeout_us = CHY_GUEST_KEYS_US,
                                 .may_repeat = true };
    CHY_TRY(chy_prov_ask(&ask, answer, ret_page, err));
    if (ret_page->is_unchanged || (keys->label.n != 0 && ret_page->keys.n > 1))
        return chy_fail(err, CHY_E_PROTOCOL, "the agent showed other keys than were asked for");
    return CHY_OK;
}

enum chy_err chy_prov_ask_sign(const struct chy_door_input *input, struct chy_buf *out,
                               struct chy_error *err)
{
    struct chy_door_sign request = { *input };
    struct chy_guest_ask ask = { .type = CHY_DOOR_SIGN,
                                 .schema = &chy_door_sign_schema,
                                 .value = &request,
                                 .reply_type = CHY_DOOR_SIGNED,
                                 .reply_schema = &chy_door_signed_schema,
                                 .timeout_us = CHY_GUEST_SIGN_US };
    struct chy_door_signed reply;
    struct chy_guest_answer answer;
    chy_guest_answer_init(&answer);
    enum chy_err r = chy_prov_ask(&ask, &answer, &reply, err);
    if (r == CHY_OK) {
        chy_buf_append(out, reply.signature);
        r = chy_buf_check(out, err);
    }
    chy_guest_answer_done(&answer);
    return r;
}

enum chy_err chy_prov_ask_verify(const struct chy_door_input *input, struct chy_bytes signature,
                                 struct chy_error *err)
{
    struct chy_door_verify request = { *input, signature };
    struct chy_guest_ask ask = { .type = CHY_DOOR_VERIFY,
                                 .schema = &chy_door_verify_schema,
                                 .value = &request,
                                 .reply_type = CHY_DOOR_VERIFIED,
                                 .reply_schema = &chy_empty_schema,
                                 .timeout_us = CHY_GUEST_HASH_US,
                                 .may_repeat = true };
    struct chy_empty reply;
    struct chy_guest_answer answer;
    chy_guest_answer_init(&answer);
    enum chy_err r = chy_prov_ask(&ask, &answer, &reply, err);
    chy_guest_answer_done(&answer);
    return r;
}
