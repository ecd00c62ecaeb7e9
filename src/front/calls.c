/* SPDX-License-Identifier: MIT */
#include "front/calls.h"

#include "base/mem.h"

#define INDEX_BITS 32 /* of an id; the rest counts the uses of the slot, from 1 */

struct chy_calls {
    struct chy_call_slot *slots;
    uint32_t *uses;
    size_t *free; /* a stack of indexes */
    size_t free_n;
    size_t max;
};

enum chy_err chy_calls_new(size_t max, struct chy_calls **ret_calls, struct chy_error *err)
{
    CHY_CLEANUP(chy_calls_freep) struct chy_calls *c = chy_new(struct chy_calls);
    if (c != NULL) {
        c->slots = chy_new_array(struct chy_call_slot, max);
        c->uses = chy_new_array(uint32_t, max);
        c->free = chy_new_array(size_t, max);
    }
    if (c == NULL || c->slots == NULL || c->uses == NULL || c->free == NULL)
        return chy_fail(err, CHY_E_NOMEM, "there is no memory for %zu calls", max);
    c->max = max;
    for (size_t i = max; i > 0; i--)
        c->free[c->free_n++] = i - 1;
    *ret_calls = CHY_TAKE(c);
    return CHY_OK;
}

static void drop_state(struct chy_call_slot *slot)
{
    if (slot->state != NULL)
        slot->state_free(slot->state);
    slot->state = NULL;
}

void chy_calls_free(struct chy_calls *calls)
{
    if (calls == NULL)
        return;
    for (size_t i = 0; calls->slots != NULL && i < calls->max; i++)
        drop_state(&calls->slots[i]);
    chy_free(calls->slots);
    chy_free(calls->uses);
    chy_free(calls->free);
    chy_free(calls);
}

void chy_calls_freep(struct chy_calls **calls)
{
    chy_calls_free(*calls);
}

struct chy_call_slot *chy_calls_take(struct chy_calls *calls)
{
    if (calls->free_n == 0)
        return NULL;
    size_t i = calls->free[--calls->free_n];
    if (++calls->uses[i] == 0)
        calls->uses[i] = 1;
    calls->slots[i] = (struct chy_call_slot){ .id = (uint64_t)calls->uses[i] << INDEX_BITS | i };
    return &calls->slots[i];
}

void chy_calls_release(struct chy_calls *calls, struct chy_call_slot *slot)
{
    CHY_ASSERT(slot->id != 0);
    drop_state(slot);
    slot->id = 0;
    calls->free[calls->free_n++] = (size_t)(slot - calls->slots);
}

struct chy_call_slot *chy_calls_find(struct chy_calls *calls, uint64_t id)
{
    uint64_t i = id & UINT32_MAX;
    return id != 0 && i < calls->max && calls->slots[i].id == id ? &calls->slots[i] : NULL;
}

size_t chy_calls_count(const struct chy_calls *calls)
{
    return calls->max - calls->free_n;
}

size_t chy_calls_count_of(const struct chy_calls *calls, uint64_t caller)
{
    size_t n = 0;
    for (size_t i = 0; i < calls->max; i++)
        n += calls->slots[i].id != 0 && calls->slots[i].caller == caller;
    return n;
}

struct chy_call_slot *chy_calls_next(struct chy_calls *calls, const struct chy_call_slot *slot)
{
    for (size_t i = slot != NULL ? (size_t)(slot - calls->slots) + 1 : 0; i < calls->max; i++)
        if (calls->slots[i].id != 0)
            return &calls->slots[i];
    return NULL;
}
