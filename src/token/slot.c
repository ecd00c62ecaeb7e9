/* SPDX-License-Identifier: MIT */
#include "token/slot.h"

#include "base/limits.h"
#include "base/mem.h"
#include "token/rv.h"
#include "token/sign.h"

struct chy_slot {
    const CK_FUNCTION_LIST *f;
    CK_SLOT_ID id;
    CK_FLAGS flags; /* of the token */
    struct chy_session anchor;
    struct chy_slot_info info;
    bool signs[CHY_ALG_LAST + 1];
};

struct slot_list {
    CK_SLOT_ID *ids;
    CK_ULONG n;
};

static void slot_list_done(struct slot_list *list)
{
    chy_free(list->ids);
}

/* `to` has room for n + 1. */
static void text_copy(const CK_UTF8CHAR *from, size_t n, char *to)
{
    while (n > 0 && (from[n - 1] == ' ' || from[n - 1] == '\0'))
        n--;
    chy_copy(to, from, n);
    to[n] = '\0';
    for (size_t i = 0; i < n;) {
        size_t length = chy_utf8_char((struct chy_str){ to + i, n - i });
        bool is_plain = length > 1 || (length == 1 && to[i] >= ' ' && to[i] != 0x7f);
        if (!is_plain)
            to[i] = '?';
        i += is_plain ? length : 1;
    }
}

static void info_read(const CK_TOKEN_INFO *from, struct chy_slot_info *to)
{
    text_copy(from->label, sizeof from->label, to->label);
    text_copy(from->serialNumber, sizeof from->serialNumber, to->serial);
    text_copy(from->manufacturerID, sizeof from->manufacturerID, to->manufacturer);
    text_copy(from->model, sizeof from->model, to->model);
}

static bool info_fits(const struct chy_slot_info *info, const struct chy_slot_options *options)
{
    return (options->label.n == 0 || chy_str_equal_c(options->label, info->label)) &&
           (options->serial.n == 0 || chy_str_equal_c(options->serial, info->serial));
}

static enum chy_err slot_list_read(const CK_FUNCTION_LIST *f, struct slot_list *ret_list,
                                   struct chy_error *err)
{
    CK_ULONG n = 0;
    CK_RV rv = f->C_GetSlotList(CK_TRUE, NULL, &n);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_GetSlotList");
    if (n > CHY_LIMIT_TOKEN_SLOTS)
        return chy_fail(err, CHY_E_LIMIT, "the PKCS#11 module lists %lu slots, %d are the most", n,
                        CHY_LIMIT_TOKEN_SLOTS);
    CHY_CLEANUP(slot_list_done) struct slot_list list = { NULL, n };
    list.ids = chy_new_array(CK_SLOT_ID, n + 1);
    if (list.ids == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a list of slots");
    rv = f->C_GetSlotList(CK_TRUE, list.ids, &list.n);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_GetSlotList");
    if (list.n > n)
        return chy_fail(err, CHY_E_TOKEN, "the PKCS#11 module lists more slots than it counted");
    *ret_list = (struct slot_list){ CHY_TAKE(list.ids), list.n };
    return CHY_OK;
}

static enum chy_err fail_count(struct chy_error *err, const struct chy_slot_options *o, unsigned n)
{
    const char *and = o->label.n != 0 && o->serial.n != 0 ? " and " : "";
    return chy_fail(err, n == 0 ? CHY_E_NOT_FOUND : CHY_E_CONFLICT,
                    "%s token has the %s%.*s%s%s%.*s", n == 0 ? "no" : "more than one",
                    o->label.n != 0 ? "label " : "", CHY_STR_ARG(o->label), and,
                    o->serial.n != 0 ? "serial " : "", CHY_STR_ARG(o->serial));
}

static enum chy_err slot_find(struct chy_slot *s, const struct chy_slot_options *options,
                              struct chy_error *err)
{
    CHY_CLEANUP(slot_list_done) struct slot_list list = { NULL, 0 };
    CHY_TRY(slot_list_read(s->f, &list, err));
    unsigned found = 0;
    for (CK_ULONG i = 0; i < list.n; i++) {
        CK_TOKEN_INFO info;
        struct chy_slot_info texts = { .is_software = false };
        CK_RV rv = s->f->C_GetTokenInfo(list.ids[i], &info);
        if (rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_TOKEN_NOT_RECOGNIZED)
            continue; /* somebody else's empty or broken slot */
        if (rv != CKR_OK)
            return chy_fail_rv(err, rv, "C_GetTokenInfo");
        info_read(&info, &texts);
        if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 || !info_fits(&texts, options))
            continue;
        found++;
        s->id = list.ids[i];
        s->flags = info.flags;
        s->info = texts;
    }
    return found == 1 ? CHY_OK : fail_count(err, options, found);
}

/* SoftHSM calls itself "SoftHSM project", in the library's and in the token's information. */
static enum chy_err software_find(struct chy_slot *s, bool is_configured, struct chy_error *err)
{
    CK_INFO info;
    char manufacturer[33];
    CK_RV rv = s->f->C_GetInfo(&info);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_GetInfo");
    text_copy(info.manufacturerID, sizeof info.manufacturerID, manufacturer);
    s->info.is_software = is_configured || chy_str_starts(chy_str_of(manufacturer), "SoftHSM") ||
                          chy_str_starts(chy_str_of(s->info.manufacturer), "SoftHSM");
    return CHY_OK;
}

static enum chy_err mechanisms_read(struct chy_slot *s, struct chy_error *err)
{
    for (int alg = CHY_ALG_NONE + 1; alg <= CHY_ALG_LAST; alg++) {
        CK_MECHANISM_INFO info = { 0 };
        CK_RV rv =
            s->f->C_GetMechanismInfo(s->id, chy_sign_mechanism((enum chy_sign_alg)alg), &info);
        if (rv != CKR_OK && rv != CKR_MECHANISM_INVALID)
            return chy_fail_rv(err, rv, "C_GetMechanismInfo");
        s->signs[alg] = rv == CKR_OK && (info.flags & CKF_SIGN) != 0;
    }
    return CHY_OK;
}

static enum chy_err slot_login(struct chy_slot *s, const struct chy_secret *pin,
                               struct chy_error *err)
{
    if ((s->flags & CKF_USER_PIN_INITIALIZED) == 0)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "the token %s has no user PIN", s->info.label);
    if ((s->flags & CKF_USER_PIN_LOCKED) != 0)
        return chy_fail(err, CHY_E_UNAUTHENTICATED, "the PIN of the token %s is locked",
                        s->info.label);
    if ((s->flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return chy_fail(err, CHY_E_UNAUTHENTICATED,
                        "the token %s locks at the next wrong PIN: log in once by its own tools",
                        s->info.label);
    struct chy_bytes bytes = chy_secret_bytes(pin);
    CK_RV rv = s->f->C_Login(s->anchor.handle, CKU_USER, CHY_UNCONST(void, bytes.p), bytes.n);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
        return CHY_OK;
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
        rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED || rv == CKR_USER_PIN_NOT_INITIALIZED)
        return chy_fail_sys(err, CHY_E_UNAUTHENTICATED, rv,
                            "the token %s refused the PIN: C_Login answered %s", s->info.label,
                            chy_rv_name(rv));
    return chy_fail_rv(err, rv, "C_Login");
}

enum chy_err chy_slot_open(const struct chy_module *module, const struct chy_slot_options *options,
                           struct chy_slot **ret_slot, struct chy_error *err)
{
    if (options->label.n == 0 && options->serial.n == 0)
        return chy_fail(err, CHY_E_ARG, "a token needs the label or the serial of its slot");
    if (options->pin == NULL)
        return chy_fail(err, CHY_E_ARG, "a token needs its PIN");
    CHY_CLEANUP(chy_slot_freep) struct chy_slot *s = chy_new(struct chy_slot);
    if (s == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a slot");
    s->f = chy_module_functions(module);
    CHY_ASSERT(s->f != NULL);
    CHY_TRY(slot_find(s, options, err));
    CHY_TRY(software_find(s, options->is_software, err));
    CHY_TRY(mechanisms_read(s, err));
    CHY_TRY(chy_slot_session(s, &s->anchor, err));
    CHY_TRY(slot_login(s, options->pin, err));
    *ret_slot = CHY_TAKE(s);
    return CHY_OK;
}

void chy_slot_free(struct chy_slot *slot)
{
    chy_free(slot);
}

void chy_slot_freep(struct chy_slot **slot)
{
    chy_slot_free(*slot);
}

const struct chy_slot_info *chy_slot_info(const struct chy_slot *slot)
{
    return &slot->info;
}

bool chy_slot_signs(const struct chy_slot *slot, enum chy_sign_alg alg)
{
    return alg > CHY_ALG_NONE && alg <= CHY_ALG_LAST && slot->signs[alg];
}

enum chy_err chy_slot_session(const struct chy_slot *slot, struct chy_session *ret_session,
                              struct chy_error *err)
{
    CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
    CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    CK_RV rv = slot->f->C_OpenSession(slot->id, flags, NULL, NULL, &handle);
    if (rv == CKR_TOKEN_WRITE_PROTECTED)
        rv = slot->f->C_OpenSession(slot->id, CKF_SERIAL_SESSION, NULL, NULL, &handle);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_OpenSession");
    *ret_session = (struct chy_session){ .f = slot->f, .handle = handle };
    return CHY_OK;
}
