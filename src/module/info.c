/* SPDX-License-Identifier: MIT */
#include "module/info.h"

#include <string.h>

#include "base/limits.h"
#include "module/mechanisms.h"
#include "module/state.h"
#include "os/random.h"

#define NAME    "Chancery"
#define SERIAL  "1"
#define PIN_MAX 255 /* any is good, and none is read */

/* Texts are padded with blanks; one too long is cut. */
static void text_set(CK_UTF8CHAR *to, size_t n, const char *text)
{
    memset(to, ' ', n);
    memcpy(to, text, strnlen(text, n));
}

/* "0.1.0" as the two numbers that the standard has room for. */
static CK_VERSION version_of(const char *text)
{
    CK_VERSION v = { 0, 0 };
    for (; *text >= '0' && *text <= '9'; text++)
        v.major = (CK_BYTE)(v.major * 10 + (*text - '0'));
    if (*text == '.')
        text++;
    for (; *text >= '0' && *text <= '9'; text++)
        v.minor = (CK_BYTE)(v.minor * 10 + (*text - '0'));
    return v;
}

CK_RV chy_p11_get_info(CK_VERSION standard, CK_INFO *ret_info)
{
    if (ret_info == NULL)
        return CKR_ARGUMENTS_BAD;
    *ret_info = (CK_INFO){ .cryptokiVersion = standard, .libraryVersion = version_of(CHY_VERSION) };
    text_set(ret_info->manufacturerID, sizeof ret_info->manufacturerID, NAME);
    text_set(ret_info->libraryDescription, sizeof ret_info->libraryDescription,
             "Chancery signing keys");
    return CKR_OK;
}

/* 2.40 section 5.2: how lists of any kind are told. True when there is nothing to copy. */
static bool is_count_only(const void *list, CK_ULONG *n, CK_ULONG have, CK_RV *ret_rv)
{
    *ret_rv = list != NULL && *n < have ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    *n = have;
    return list == NULL || *ret_rv != CKR_OK;
}

CK_RV chy_p11_slot_list(CK_SLOT_ID *list, CK_ULONG *n)
{
    CK_RV rv;
    if (n == NULL)
        return CKR_ARGUMENTS_BAD;
    if (!is_count_only(list, n, 1, &rv))
        list[0] = CHY_P11_SLOT;
    return rv;
}

CK_RV chy_p11_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *ret_info)
{
    if (ret_info == NULL)
        return CKR_ARGUMENTS_BAD;
    if (slot != CHY_P11_SLOT)
        return CKR_SLOT_ID_INVALID;
    *ret_info =
        (CK_SLOT_INFO){ .flags = CKF_TOKEN_PRESENT, .firmwareVersion = version_of(CHY_VERSION) };
    text_set(ret_info->slotDescription, sizeof ret_info->slotDescription, "Chancery agent");
    text_set(ret_info->manufacturerID, sizeof ret_info->manufacturerID, NAME);
    return CKR_OK;
}

/* No CKF_LOGIN_REQUIRED: tools would ask people for a PIN that does not exist. */
CK_RV chy_p11_token_info(struct chy_p11 *m, CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info)
{
    if (ret_info == NULL)
        return CKR_ARGUMENTS_BAD;
    if (slot != CHY_P11_SLOT)
        return CKR_SLOT_ID_INVALID;
    *ret_info = (CK_TOKEN_INFO){
        .flags = CKF_TOKEN_INITIALIZED | CKF_WRITE_PROTECTED | CKF_RNG,
        .ulMaxSessionCount = CHY_LIMIT_P11_SESSIONS,
        .ulSessionCount = chy_p11_session_count(m, false),
        .ulMaxRwSessionCount = CHY_LIMIT_P11_SESSIONS,
        .ulRwSessionCount = chy_p11_session_count(m, true),
        .ulMaxPinLen = PIN_MAX,
        .ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
        .ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
        .firmwareVersion = version_of(CHY_VERSION),
    };
    text_set(ret_info->label, sizeof ret_info->label, NAME);
    text_set(ret_info->manufacturerID, sizeof ret_info->manufacturerID, NAME);
    text_set(ret_info->model, sizeof ret_info->model, "chancery " CHY_VERSION);
    text_set(ret_info->serialNumber, sizeof ret_info->serialNumber, SERIAL);
    text_set(ret_info->utcTime, sizeof ret_info->utcTime, ""); /* no CKF_CLOCK_ON_TOKEN */
    return CKR_OK;
}

CK_RV chy_p11_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
    CK_ULONG have = 0;
    CK_RV rv;
    if (n == NULL)
        return CKR_ARGUMENTS_BAD;
    if (slot != CHY_P11_SLOT)
        return CKR_SLOT_ID_INVALID;
    while (chy_p11_mechanism_at(have) != NULL)
        have++;
    if (is_count_only(list, n, have, &rv))
        return rv;
    for (CK_ULONG i = 0; i < have; i++)
        list[i] = chy_p11_mechanism_at(i)->type;
    return CKR_OK;
}

CK_RV chy_p11_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret_info)
{
    const struct chy_p11_mechanism *mechanism = chy_p11_mechanism_find(type);
    if (ret_info == NULL)
        return CKR_ARGUMENTS_BAD;
    if (slot != CHY_P11_SLOT)
        return CKR_SLOT_ID_INVALID;
    if (mechanism == NULL)
        return CKR_MECHANISM_INVALID;
    *ret_info = mechanism->info;
    return CKR_OK;
}

CK_RV chy_p11_random(CK_BYTE *random, CK_ULONG n)
{
    if ((random == NULL && n != 0) || n > CHY_LIMIT_P11_DATA)
        return CKR_ARGUMENTS_BAD;
    return chy_random_fill(random, n, NULL) == CHY_OK ? CKR_OK : CKR_RANDOM_NO_RNG;
}
