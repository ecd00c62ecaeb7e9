/* SPDX-License-Identifier: MIT */
#include "module/find.h"

#include "base/limits.h"
#include "guest/ask.h"
#include "guest/times.h"
#include "module/attributes.h"
#include "module/state.h"

#define LOADS_MAX 3 /* of a list that changes from page to page */

/* --- the template --- */

static CK_RV template_check(const CK_ATTRIBUTE *attrs, CK_ULONG n)
{
    if ((attrs == NULL && n != 0) || n > CHY_LIMIT_P11_TEMPLATE)
        return CKR_ARGUMENTS_BAD;
    for (CK_ULONG i = 0; i < n; i++)
        if ((attrs[i].pValue == NULL && attrs[i].ulValueLen != 0) ||
            attrs[i].ulValueLen > CHY_LIMIT_P11_DATA)
            return CKR_ARGUMENTS_BAD;
    return CKR_OK;
}

static const CK_ATTRIBUTE *attribute_in(const CK_ATTRIBUTE *attrs, CK_ULONG n,
                                        CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (attrs[i].type == type)
            return &attrs[i];
    return NULL;
}

static bool asks_class(const CK_ATTRIBUTE *class, CK_OBJECT_CLASS wanted)
{
    return chy_bytes_equal((struct chy_bytes){ class->pValue, class->ulValueLen },
                           (struct chy_bytes){ (const uint8_t *)&wanted, sizeof wanted });
}

/* Tools look for secret keys, data and objects of the session too: none of them is here, and the
 * agent need not be asked. */
static bool may_match(const CK_ATTRIBUTE *attrs, CK_ULONG n)
{
    const CK_ATTRIBUTE *class = attribute_in(attrs, n, CKA_CLASS);
    const CK_ATTRIBUTE *token = attribute_in(attrs, n, CKA_TOKEN);
    if (class != NULL && !asks_class(class, CKO_PRIVATE_KEY) &&
        !asks_class(class, CKO_PUBLIC_KEY) && !asks_class(class, CKO_CERTIFICATE))
        return false;
    return token == NULL || token->ulValueLen != sizeof(CK_BBOOL) ||
           *(const CK_BBOOL *)token->pValue != CK_FALSE;
}

/* --- asking --- */

static enum chy_err page_ask(struct chy_p11_call *call, const struct chy_door_keys *keys,
                             struct chy_guest_answer *answer, struct chy_door_key_page *ret_page)
{
    struct chy_guest_ask ask = { .type = CHY_DOOR_KEYS,
                                 .schema = &chy_door_keys_schema,
                                 .value = keys,
                                 .reply_type = CHY_DOOR_KEY_PAGE,
                                 .reply_schema = &chy_door_key_page_schema,
                                 .timeout_us = CHY_GUEST_KEYS_US,
                                 .may_repeat = true };
    return chy_p11_ask(call, &ask, answer, ret_page);
}

static enum chy_err page_add(struct chy_p11_call *call, uint64_t look,
                             const struct chy_door_key_page *page)
{
    chy_guest_lock(&call->m->guest);
    enum chy_err r = chy_p11_objects_add_locked(&call->m->objects, look, page, &call->err);
    chy_guest_unlock(&call->m->guest);
    return r;
}

static uint64_t look_begin(struct chy_p11_call *call)
{
    chy_guest_lock(&call->m->guest);
    uint64_t look = chy_p11_objects_look_locked(&call->m->objects);
    chy_guest_unlock(&call->m->guest);
    return look;
}

/* --- one key --- */

static enum chy_err one_load(struct chy_p11_call *call, const struct chy_door_keys *keys,
                             uint64_t *ret_look)
{
    struct chy_door_key_page page;
    struct chy_guest_answer answer;
    chy_guest_answer_init(&answer);
    uint64_t look = look_begin(call);
    enum chy_err r = page_ask(call, keys, &answer, &page);
    if (r == CHY_OK)
        r = page_add(call, look, &page);
    chy_guest_answer_done(&answer);
    if (r == CHY_OK)
        *ret_look = look;
    return r;
}

/* --- all keys --- */

/* One list under way, page by page. */
struct load {
    struct chy_p11_call *call;
    uint64_t look;
    uint64_t revision; /* of the first page */
    size_t keys;
    bool is_unchanged;
    bool is_torn; /* a page was of another revision */
    bool is_last;
};

static enum chy_err page_check(struct load *l, const struct chy_door_keys *asked,
                               const struct chy_door_key_page *page)
{
    struct chy_error *err = &l->call->err;
    bool is_first = asked->after.n == 0;
    l->is_unchanged = page->is_unchanged;
    if (page->is_unchanged && (!is_first || asked->revision == 0))
        return chy_fail(err, CHY_E_PROTOCOL, "the agent knows a list that was never sent");
    l->keys += page->keys.n;
    l->is_last = page->is_unchanged || page->next.n == 0;
    if (!l->is_last && page->keys.n == 0)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent sent a page without keys");
    if (l->keys > CHY_LIMIT_VISIBLE_KEYS)
        return chy_fail(err, CHY_E_LIMIT, "the agent showed over %d keys", CHY_LIMIT_VISIBLE_KEYS);
    if (!page->is_unchanged && page->revision == 0)
        return chy_fail(err, CHY_E_PROTOCOL, "the agent's list has no revision");
    l->is_torn = !is_first && page->revision != l->revision;
    l->revision = page->revision;
    return CHY_OK;
}

static enum chy_err pages_load(struct load *l, uint64_t held)
{
    struct chy_door_key_page page;
    struct chy_guest_answer answers[2]; /* `after` of a request lies in the answer before */
    chy_guest_answer_init(&answers[0]);
    chy_guest_answer_init(&answers[1]);
    struct chy_door_keys keys = { .revision = held };
    enum chy_err r = CHY_OK;
    for (size_t i = 0; r == CHY_OK && !l->is_last && !l->is_torn; i++) {
        r = page_ask(l->call, &keys, &answers[i % 2], &page);
        if (r == CHY_OK)
            r = page_check(l, &keys, &page);
        if (r == CHY_OK && !l->is_unchanged)
            r = page_add(l->call, l->look, &page);
        keys = (struct chy_door_keys){ .after = page.next };
    }
    chy_guest_answer_done(&answers[0]);
    chy_guest_answer_done(&answers[1]);
    return r;
}

/* A list that changes while it is read is read again. */
static enum chy_err list_load(struct load *l, uint64_t held)
{
    for (int i = 0; i < LOADS_MAX; i++) {
        *l = (struct load){ .call = l->call, .look = look_begin(l->call) };
        CHY_TRY(pages_load(l, held));
        if (!l->is_torn)
            return CHY_OK;
        held = 0;
    }
    return chy_fail(&l->call->err, CHY_E_BUSY, "the list of keys changes all the time");
}

/* Mutex held. Wait for another thread's load, if there is one; true if it is as good as our own. */
static enum chy_err others_wait_locked(struct chy_p11 *m, bool *ret_is_loaded,
                                       struct chy_error *err)
{
    uint64_t loads = m->objects.loads;
    *ret_is_loaded = false;
    while (m->objects.is_loading)
        /* it ends by its own deadlines */
        CHY_TRY(chy_guest_wait_locked(&m->guest, INT64_MAX, err));
    /* One that began before this call may have missed what was true then: only the second will
     * do. */
    *ret_is_loaded = m->objects.loads >= loads + 2;
    return CHY_OK;
}

static enum chy_err whole_begin(struct chy_p11_call *call, bool *ret_is_loaded, uint64_t *ret_held)
{
    chy_guest_lock(&call->m->guest);
    enum chy_err r = others_wait_locked(call->m, ret_is_loaded, &call->err);
    if (r == CHY_OK && !*ret_is_loaded)
        call->m->objects.is_loading = true;
    *ret_held = call->m->objects.revision;
    chy_guest_unlock(&call->m->guest);
    return r;
}

static void whole_end(struct chy_p11_call *call, const struct load *l, enum chy_err r)
{
    chy_guest_lock(&call->m->guest);
    struct chy_p11_objects *objects = &call->m->objects;
    objects->is_loading = false;
    if (r == CHY_OK) {
        objects->loads++;
        if (!l->is_unchanged) {
            objects->revision = l->revision;
            objects->whole_look = l->look;
        }
    }
    chy_guest_changed_locked(&call->m->guest);
    chy_guest_unlock(&call->m->guest);
}

static uint64_t whole_look(struct chy_p11_call *call)
{
    chy_guest_lock(&call->m->guest);
    uint64_t look = call->m->objects.whole_look;
    chy_guest_unlock(&call->m->guest);
    return look;
}

static enum chy_err whole_load(struct chy_p11_call *call, uint64_t *ret_look)
{
    bool is_loaded;
    uint64_t held;
    struct load l = { .call = call };
    CHY_TRY(whole_begin(call, &is_loaded, &held));
    if (!is_loaded) {
        enum chy_err r = list_load(&l, held);
        whole_end(call, &l, r);
        if (r != CHY_OK)
            return r;
    }
    *ret_look = whole_look(call);
    return CHY_OK;
}

/* --- the calls --- */

/* A request for one key, where the template names one and it can be asked for. */
static bool names_one(const CK_ATTRIBUTE *attrs, CK_ULONG n, struct chy_door_keys *ret_keys)
{
    const CK_ATTRIBUTE *label = attribute_in(attrs, n, CKA_LABEL);
    const CK_ATTRIBUTE *id = attribute_in(attrs, n, CKA_ID);
    *ret_keys = (struct chy_door_keys){ .revision = 0 };
    if (label != NULL)
        ret_keys->label = (struct chy_str){ label->pValue, label->ulValueLen };
    if (id != NULL)
        ret_keys->id = (struct chy_bytes){ id->pValue, id->ulValueLen };
    return (ret_keys->label.n != 0 || ret_keys->id.n != 0) &&
           chy_schema_check(&chy_door_keys_schema, ret_keys, NULL) == CHY_OK;
}

static enum chy_err match(struct chy_p11_call *call, uint64_t look, const CK_ATTRIBUTE *attrs,
                          CK_ULONG n, struct chy_p11_find *find)
{
    chy_guest_lock(&call->m->guest);
    enum chy_err r = chy_p11_objects_match_locked(&call->m->objects, look, attrs, n, &find->handles,
                                                  &find->n, &call->err);
    chy_guest_unlock(&call->m->guest);
    return r;
}

/* A CA's certificate, which is no key, is found in the whole list alone. */
static bool may_be_authority(const CK_ATTRIBUTE *attrs, CK_ULONG n)
{
    const CK_ATTRIBUTE *class = attribute_in(attrs, n, CKA_CLASS);
    return class == NULL || asks_class(class, CKO_CERTIFICATE);
}

static enum chy_err search(struct chy_p11_call *call, const CK_ATTRIBUTE *attrs, CK_ULONG n,
                           struct chy_p11_find *find)
{
    struct chy_door_keys one;
    uint64_t look = 0;
    if (whole_look(call) == 0 && names_one(attrs, n, &one)) {
        CHY_TRY(one_load(call, &one, &look));
        CHY_TRY(match(call, look, attrs, n, find));
        if (find->n != 0 || !may_be_authority(attrs, n))
            return CHY_OK;
        chy_p11_find_done(find);
    }
    CHY_TRY(whole_load(call, &look));
    return match(call, look, attrs, n, find);
}

CK_RV chy_p11_find_init(struct chy_p11_call *call, const CK_ATTRIBUTE *attrs, CK_ULONG n)
{
    struct chy_p11_find *find = chy_p11_session_find(call->session);
    CK_RV rv = template_check(attrs, n);
    if (rv != CKR_OK)
        return rv;
    if (find->is_active)
        return CKR_OPERATION_ACTIVE;
    enum chy_err r = may_match(attrs, n) ? search(call, attrs, n, find) : CHY_OK;
    if (r != CHY_OK)
        chy_p11_find_done(find);
    find->is_active = r == CHY_OK;
    return chy_p11_call_rv(call, r);
}

CK_RV chy_p11_find(struct chy_p11_call *call, CK_OBJECT_HANDLE *handles, CK_ULONG max,
                   CK_ULONG *ret_n)
{
    struct chy_p11_find *find = chy_p11_session_find(call->session);
    if (!find->is_active)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (ret_n == NULL || (handles == NULL && max != 0))
        return CKR_ARGUMENTS_BAD;
    CK_ULONG n = CHY_MIN(max, (CK_ULONG)(find->n - find->at));
    for (CK_ULONG i = 0; i < n; i++)
        handles[i] = find->handles[find->at++];
    *ret_n = n;
    return CKR_OK;
}

CK_RV chy_p11_find_final(struct chy_p11_call *call)
{
    struct chy_p11_find *find = chy_p11_session_find(call->session);
    if (!find->is_active)
        return CKR_OPERATION_NOT_INITIALIZED;
    chy_p11_find_done(find);
    return CKR_OK;
}

static const struct chy_p11_object *object_of(struct chy_p11_call *call, CK_OBJECT_HANDLE handle)
{
    chy_guest_lock(&call->m->guest);
    const struct chy_p11_object *object = chy_p11_object_locked(&call->m->objects, handle);
    chy_guest_unlock(&call->m->guest);
    return object;
}

CK_RV chy_p11_get_attributes(struct chy_p11_call *call, CK_OBJECT_HANDLE object,
                             CK_ATTRIBUTE *attrs, CK_ULONG n)
{
    const struct chy_p11_object *o = object_of(call, object);
    if (o == NULL)
        return CKR_OBJECT_HANDLE_INVALID;
    if (attrs == NULL || n == 0 || n > CHY_LIMIT_P11_TEMPLATE)
        return CKR_ARGUMENTS_BAD;
    return chy_p11_attributes_get(o, attrs, n);
}

CK_RV chy_p11_get_size(struct chy_p11_call *call, CK_OBJECT_HANDLE object, CK_ULONG *ret_size)
{
    const struct chy_p11_object *o = object_of(call, object);
    if (o == NULL)
        return CKR_OBJECT_HANDLE_INVALID;
    if (ret_size == NULL)
        return CKR_ARGUMENTS_BAD;
    *ret_size = chy_p11_attributes_size(o);
    return CKR_OK;
}
