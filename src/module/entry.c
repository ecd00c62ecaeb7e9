/* SPDX-License-Identifier: MIT */
/* The functions that a tool calls, and the lists in which it finds them. One line says of each
 * whether it needs a session (`IN`) or only C_Initialize (`ANY`), and what does it; the rest is
 * behind. What has no such line answers CKR_FUNCTION_NOT_SUPPORTED. */
#include "module/entry.h"

#include "base/compiler.h"
#include "module/find.h"
#include "module/info.h"
#include "module/operation.h"
#include "module/session.h"
#include "module/state.h"

/* Some functions are not supported, and some have arguments for nothing. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define NOT_SUPPORTED(name, args)          \
    CHY_UNUSED static CK_RV no_##name args \
    {                                      \
        return CKR_FUNCTION_NOT_SUPPORTED; \
    }
/* NOLINTNEXTLINE(readability-function-size): the standard's parameters */
CK_FUNCTIONS_2_40(NOT_SUPPORTED)
/* NOLINTNEXTLINE(readability-function-size): the standard's parameters */
CK_FUNCTIONS_3_0(NOT_SUPPORTED)

#define ANY(name, args, does)                                           \
    static CK_RV do_##name args                                         \
    {                                                                   \
        struct chy_p11_call c;                                          \
        return chy_p11_begin(&c, #name) ? chy_p11_end(&c, does) : c.rv; \
    }
#define IN(name, args, does)                                                        \
    static CK_RV do_##name args                                                     \
    {                                                                               \
        struct chy_p11_call c;                                                      \
        return chy_p11_begin_in(&c, #name, session) ? chy_p11_end(&c, does) : c.rv; \
    }

/* clang-format off */
ANY(C_GetSlotList, (CK_BBOOL token_present, CK_SLOT_ID *list, CK_ULONG *count),
   chy_p11_slot_list(list, count))
ANY(C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO *info),
   chy_p11_slot_info(slot, info))
ANY(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *info),
   chy_p11_token_info(c.m, slot, info))
ANY(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count),
   chy_p11_mechanism_list(slot, list, count))
ANY(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info),
   chy_p11_mechanism_info(slot, type, info))
ANY(C_OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *session),
   chy_p11_session_open(&c, slot, flags, session))
IN(C_CloseSession, (CK_SESSION_HANDLE session),
   chy_p11_session_close(&c))
ANY(C_CloseAllSessions, (CK_SLOT_ID slot),
   chy_p11_session_close_all(&c, slot))
IN(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO *info),
   chy_p11_session_info(&c, info))
IN(C_Login, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len),
   chy_p11_login(&c, user, pin, pin_len))
IN(C_Logout, (CK_SESSION_HANDLE session),
   chy_p11_logout(&c))
IN(C_GetObjectSize, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size),
   chy_p11_get_size(&c, object, size))
IN(C_GetAttributeValue, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attrs, CK_ULONG count),
   chy_p11_get_attributes(&c, object, attrs, count))
IN(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *attrs, CK_ULONG count),
   chy_p11_find_init(&c, attrs, count))
IN(C_FindObjects, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count),
   chy_p11_find(&c, objects, max, count))
IN(C_FindObjectsFinal, (CK_SESSION_HANDLE session),
   chy_p11_find_final(&c))
IN(C_DigestInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism),
   chy_p11_digest_init(&c, mechanism))
IN(C_Digest, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *digest, CK_ULONG *digest_len),
   chy_p11_digest(&c, data, data_len, digest, digest_len))
IN(C_DigestUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len),
   chy_p11_digest_update(&c, part, part_len))
IN(C_DigestFinal, (CK_SESSION_HANDLE session, CK_BYTE *digest, CK_ULONG *digest_len),
   chy_p11_digest_final(&c, digest, digest_len))
IN(C_SignInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
   chy_p11_sign_init(&c, mechanism, key))
IN(C_Sign, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *signature_len),
   chy_p11_sign(&c, data, data_len, signature, signature_len))
IN(C_SignUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len),
   chy_p11_sign_update(&c, part, part_len))
IN(C_SignFinal, (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG *signature_len),
   chy_p11_sign_final(&c, signature, signature_len))
IN(C_VerifyInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
   chy_p11_verify_init(&c, mechanism, key))
IN(C_Verify, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len),
   chy_p11_verify(&c, data, data_len, signature, signature_len))
IN(C_VerifyUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len),
   chy_p11_verify_update(&c, part, part_len))
IN(C_VerifyFinal, (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len),
   chy_p11_verify_final(&c, signature, signature_len))
IN(C_SeedRandom, (CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG seed_len),
   CKR_RANDOM_SEED_NOT_SUPPORTED)
IN(C_GenerateRandom, (CK_SESSION_HANDLE session, CK_BYTE *random, CK_ULONG random_len),
   chy_p11_random(random, random_len))
IN(C_GetFunctionStatus, (CK_SESSION_HANDLE session),
   CKR_FUNCTION_NOT_PARALLEL)
IN(C_CancelFunction, (CK_SESSION_HANDLE session),
   CKR_FUNCTION_NOT_PARALLEL)
IN(C_LoginUser, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,
                 CK_UTF8CHAR *name, CK_ULONG name_len),
   chy_p11_login(&c, user, pin, pin_len))
IN(C_SessionCancel, (CK_SESSION_HANDLE session, CK_FLAGS flags),
   chy_p11_session_cancel(&c, flags))
/* clang-format on */

/* Each list tells its own version of the standard. */
static CK_RV do_C_GetInfo(CK_INFO *info)
{
    struct chy_p11_call c;
    CK_VERSION standard = { 2, 40 };
    return chy_p11_begin(&c, "C_GetInfo") ? chy_p11_end(&c, chy_p11_get_info(standard, info))
                                          : c.rv;
}

static CK_RV do_C_GetInfo_3_0(CK_INFO *info)
{
    struct chy_p11_call c;
    CK_VERSION standard = { 3, 0 };
    return chy_p11_begin(&c, "C_GetInfo") ? chy_p11_end(&c, chy_p11_get_info(standard, info))
                                          : c.rv;
}

/* clang-format off */
#define FUNCTIONS_2_40(get_info)                                \
    .C_Initialize = chy_p11_initialize,                         \
    .C_Finalize = chy_p11_finalize,                             \
    .C_GetInfo = (get_info),                                    \
    .C_GetFunctionList = C_GetFunctionList,                     \
    .C_GetSlotList = do_C_GetSlotList,                          \
    .C_GetSlotInfo = do_C_GetSlotInfo,                          \
    .C_GetTokenInfo = do_C_GetTokenInfo,                        \
    .C_GetMechanismList = do_C_GetMechanismList,                \
    .C_GetMechanismInfo = do_C_GetMechanismInfo,                \
    .C_InitToken = no_C_InitToken,                              \
    .C_InitPIN = no_C_InitPIN,                                  \
    .C_SetPIN = no_C_SetPIN,                                    \
    .C_OpenSession = do_C_OpenSession,                          \
    .C_CloseSession = do_C_CloseSession,                        \
    .C_CloseAllSessions = do_C_CloseAllSessions,                \
    .C_GetSessionInfo = do_C_GetSessionInfo,                    \
    .C_GetOperationState = no_C_GetOperationState,              \
    .C_SetOperationState = no_C_SetOperationState,              \
    .C_Login = do_C_Login,                                      \
    .C_Logout = do_C_Logout,                                    \
    .C_CreateObject = no_C_CreateObject,                        \
    .C_CopyObject = no_C_CopyObject,                            \
    .C_DestroyObject = no_C_DestroyObject,                      \
    .C_GetObjectSize = do_C_GetObjectSize,                      \
    .C_GetAttributeValue = do_C_GetAttributeValue,              \
    .C_SetAttributeValue = no_C_SetAttributeValue,              \
    .C_FindObjectsInit = do_C_FindObjectsInit,                  \
    .C_FindObjects = do_C_FindObjects,                          \
    .C_FindObjectsFinal = do_C_FindObjectsFinal,                \
    .C_EncryptInit = no_C_EncryptInit,                          \
    .C_Encrypt = no_C_Encrypt,                                  \
    .C_EncryptUpdate = no_C_EncryptUpdate,                      \
    .C_EncryptFinal = no_C_EncryptFinal,                        \
    .C_DecryptInit = no_C_DecryptInit,                          \
    .C_Decrypt = no_C_Decrypt,                                  \
    .C_DecryptUpdate = no_C_DecryptUpdate,                      \
    .C_DecryptFinal = no_C_DecryptFinal,                        \
    .C_DigestInit = do_C_DigestInit,                            \
    .C_Digest = do_C_Digest,                                    \
    .C_DigestUpdate = do_C_DigestUpdate,                        \
    .C_DigestKey = no_C_DigestKey,                              \
    .C_DigestFinal = do_C_DigestFinal,                          \
    .C_SignInit = do_C_SignInit,                                \
    .C_Sign = do_C_Sign,                                        \
    .C_SignUpdate = do_C_SignUpdate,                            \
    .C_SignFinal = do_C_SignFinal,                              \
    .C_SignRecoverInit = no_C_SignRecoverInit,                  \
    .C_SignRecover = no_C_SignRecover,                          \
    .C_VerifyInit = do_C_VerifyInit,                            \
    .C_Verify = do_C_Verify,                                    \
    .C_VerifyUpdate = do_C_VerifyUpdate,                        \
    .C_VerifyFinal = do_C_VerifyFinal,                          \
    .C_VerifyRecoverInit = no_C_VerifyRecoverInit,              \
    .C_VerifyRecover = no_C_VerifyRecover,                      \
    .C_DigestEncryptUpdate = no_C_DigestEncryptUpdate,          \
    .C_DecryptDigestUpdate = no_C_DecryptDigestUpdate,          \
    .C_SignEncryptUpdate = no_C_SignEncryptUpdate,              \
    .C_DecryptVerifyUpdate = no_C_DecryptVerifyUpdate,          \
    .C_GenerateKey = no_C_GenerateKey,                          \
    .C_GenerateKeyPair = no_C_GenerateKeyPair,                  \
    .C_WrapKey = no_C_WrapKey,                                  \
    .C_UnwrapKey = no_C_UnwrapKey,                              \
    .C_DeriveKey = no_C_DeriveKey,                              \
    .C_SeedRandom = do_C_SeedRandom,                            \
    .C_GenerateRandom = do_C_GenerateRandom,                    \
    .C_GetFunctionStatus = do_C_GetFunctionStatus,              \
    .C_CancelFunction = do_C_CancelFunction,                    \
    .C_WaitForSlotEvent = no_C_WaitForSlotEvent,

static const CK_FUNCTION_LIST list_2_40 = {
    .version = { 2, 40 },
    FUNCTIONS_2_40(do_C_GetInfo)
};

static const CK_FUNCTION_LIST_3_0 list_3_0 = {
    .version = { 3, 0 },
    FUNCTIONS_2_40(do_C_GetInfo_3_0)
    .C_GetInterfaceList = C_GetInterfaceList,
    .C_GetInterface = C_GetInterface,
    .C_LoginUser = do_C_LoginUser,
    .C_SessionCancel = do_C_SessionCancel,
    .C_MessageEncryptInit = no_C_MessageEncryptInit,
    .C_EncryptMessage = no_C_EncryptMessage,
    .C_EncryptMessageBegin = no_C_EncryptMessageBegin,
    .C_EncryptMessageNext = no_C_EncryptMessageNext,
    .C_MessageEncryptFinal = no_C_MessageEncryptFinal,
    .C_MessageDecryptInit = no_C_MessageDecryptInit,
    .C_DecryptMessage = no_C_DecryptMessage,
    .C_DecryptMessageBegin = no_C_DecryptMessageBegin,
    .C_DecryptMessageNext = no_C_DecryptMessageNext,
    .C_MessageDecryptFinal = no_C_MessageDecryptFinal,
    .C_MessageSignInit = no_C_MessageSignInit,
    .C_SignMessage = no_C_SignMessage,
    .C_SignMessageBegin = no_C_SignMessageBegin,
    .C_SignMessageNext = no_C_SignMessageNext,
    .C_MessageSignFinal = no_C_MessageSignFinal,
    .C_MessageVerifyInit = no_C_MessageVerifyInit,
    .C_VerifyMessage = no_C_VerifyMessage,
    .C_VerifyMessageBegin = no_C_VerifyMessageBegin,
    .C_VerifyMessageNext = no_C_VerifyMessageNext,
    .C_MessageVerifyFinal = no_C_MessageVerifyFinal,
};
/* clang-format on */

/* The standard's types are not const. What a tool writes there ends the tool, as it should. */
static const char interface_name[] = "PKCS 11";

/* The newest first: it is what a tool gets that asks for no version. */
static const CK_INTERFACE interfaces[] = {
    { CHY_UNCONST(CK_UTF8CHAR, interface_name), CHY_UNCONST(void, &list_3_0),
      CKF_INTERFACE_FORK_SAFE },
    { CHY_UNCONST(CK_UTF8CHAR, interface_name), CHY_UNCONST(void, &list_2_40),
      CKF_INTERFACE_FORK_SAFE },
};

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    if (list == NULL)
        return CKR_ARGUMENTS_BAD;
    *list = CHY_UNCONST(CK_FUNCTION_LIST, &list_2_40);
    return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
    if (count == NULL)
        return CKR_ARGUMENTS_BAD;
    CK_ULONG room = *count;
    *count = CHY_ARRAY_LEN(interfaces);
    if (list == NULL)
        return CKR_OK;
    if (room < CHY_ARRAY_LEN(interfaces))
        return CKR_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < CHY_ARRAY_LEN(interfaces); i++)
        list[i] = interfaces[i];
    return CKR_OK;
}

static bool is_wanted(const CK_INTERFACE *i, const CK_UTF8CHAR *name, const CK_VERSION *version,
                      CK_FLAGS flags)
{
    const CK_VERSION *own = i->pFunctionList;
    if (name != NULL && !chy_str_equal_c(chy_str_of(interface_name), (const char *)name))
        return false;
    if (version != NULL && (version->major != own->major || version->minor != own->minor))
        return false;
    return (flags & ~i->flags) == 0;
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface,
                     CK_FLAGS flags)
{
    if (interface == NULL)
        return CKR_ARGUMENTS_BAD;
    for (size_t i = 0; i < CHY_ARRAY_LEN(interfaces); i++)
        if (is_wanted(&interfaces[i], name, version, flags)) {
            *interface = CHY_UNCONST(CK_INTERFACE, &interfaces[i]);
            return CKR_OK;
        }
    return CKR_ARGUMENTS_BAD;
}
