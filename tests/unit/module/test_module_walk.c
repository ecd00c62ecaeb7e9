/* SPDX-License-Identifier: MIT */
/* Every function of the list, as a tool could call it wrongly: before C_Initialize, with a session
 * that is closed or never was, without arguments, with absurd lengths and short buffers. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "module_fixture.h"

/* What a function must know first. */
enum needs {
    ALWAYS,  /* nothing: it answers the same at any time */
    LIBRARY, /* C_Initialize */
    SESSION, /* a session too */
};

typedef void see_fn(const char *name, enum needs needs, CK_RV wanted, CK_RV got);

/* Call each with this session and nothing else; `wanted` is the answer where the session is good.
 * C_Initialize and those that end something have tests of their own. */
static void walk(CK_SESSION_HANDLE s, see_fn *see)
{
    /* clang-format off */
    see("C_GetInfo", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_GetInfo(NULL));
    see("C_GetFunctionList", ALWAYS, CKR_ARGUMENTS_BAD,
        fx.f->C_GetFunctionList(NULL));
    see("C_GetSlotList", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_GetSlotList(0, NULL, NULL));
    see("C_GetSlotInfo", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_GetSlotInfo(0, NULL));
    see("C_GetTokenInfo", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_GetTokenInfo(0, NULL));
    see("C_GetMechanismList", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_GetMechanismList(0, NULL, NULL));
    see("C_GetMechanismInfo", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_GetMechanismInfo(0, 0, NULL));
    see("C_InitToken", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_InitToken(0, NULL, 0, NULL));
    see("C_InitPIN", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_InitPIN(s, NULL, 0));
    see("C_SetPIN", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SetPIN(s, NULL, 0, NULL, 0));
    see("C_OpenSession", LIBRARY, CKR_ARGUMENTS_BAD,
        fx.f->C_OpenSession(0, 0, NULL, NULL, NULL));
    see("C_GetSessionInfo", SESSION, CKR_ARGUMENTS_BAD,
        fx.f->C_GetSessionInfo(s, NULL));
    see("C_GetOperationState", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_GetOperationState(s, NULL, NULL));
    see("C_SetOperationState", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SetOperationState(s, NULL, 0, 0, 0));
    see("C_Login", SESSION, CKR_USER_TYPE_INVALID,
        fx.f->C_Login(s, 0, NULL, 0));
    see("C_Logout", SESSION, CKR_USER_NOT_LOGGED_IN,
        fx.f->C_Logout(s));
    see("C_CreateObject", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_CreateObject(s, NULL, 0, NULL));
    see("C_CopyObject", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_CopyObject(s, 0, NULL, 0, NULL));
    see("C_DestroyObject", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DestroyObject(s, 0));
    see("C_GetObjectSize", SESSION, CKR_OBJECT_HANDLE_INVALID,
        fx.f->C_GetObjectSize(s, 0, NULL));
    see("C_GetAttributeValue", SESSION, CKR_OBJECT_HANDLE_INVALID,
        fx.f->C_GetAttributeValue(s, 0, NULL, 0));
    see("C_SetAttributeValue", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SetAttributeValue(s, 0, NULL, 0));
    see("C_FindObjects", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_FindObjects(s, NULL, 0, NULL));
    see("C_FindObjectsFinal", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_FindObjectsFinal(s));
    see("C_EncryptInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_EncryptInit(s, NULL, 0));
    see("C_Encrypt", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_Encrypt(s, NULL, 0, NULL, NULL));
    see("C_EncryptUpdate", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_EncryptUpdate(s, NULL, 0, NULL, NULL));
    see("C_EncryptFinal", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_EncryptFinal(s, NULL, NULL));
    see("C_DecryptInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptInit(s, NULL, 0));
    see("C_Decrypt", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_Decrypt(s, NULL, 0, NULL, NULL));
    see("C_DecryptUpdate", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptUpdate(s, NULL, 0, NULL, NULL));
    see("C_DecryptFinal", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptFinal(s, NULL, NULL));
    see("C_DigestInit", SESSION, CKR_ARGUMENTS_BAD,
        fx.f->C_DigestInit(s, NULL));
    see("C_Digest", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_Digest(s, NULL, 0, NULL, NULL));
    see("C_DigestUpdate", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_DigestUpdate(s, NULL, 0));
    see("C_DigestKey", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DigestKey(s, 0));
    see("C_DigestFinal", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_DigestFinal(s, NULL, NULL));
    see("C_SignInit", SESSION, CKR_ARGUMENTS_BAD,
        fx.f->C_SignInit(s, NULL, 0));
    see("C_Sign", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_Sign(s, NULL, 0, NULL, NULL));
    see("C_SignUpdate", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_SignUpdate(s, NULL, 0));
    see("C_SignFinal", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_SignFinal(s, NULL, NULL));
    see("C_SignRecoverInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SignRecoverInit(s, NULL, 0));
    see("C_SignRecover", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SignRecover(s, NULL, 0, NULL, NULL));
    see("C_VerifyInit", SESSION, CKR_ARGUMENTS_BAD,
        fx.f->C_VerifyInit(s, NULL, 0));
    see("C_Verify", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_Verify(s, NULL, 0, NULL, 0));
    see("C_VerifyUpdate", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_VerifyUpdate(s, NULL, 0));
    see("C_VerifyFinal", SESSION, CKR_OPERATION_NOT_INITIALIZED,
        fx.f->C_VerifyFinal(s, NULL, 0));
    see("C_VerifyRecoverInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_VerifyRecoverInit(s, NULL, 0));
    see("C_VerifyRecover", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_VerifyRecover(s, NULL, 0, NULL, NULL));
    see("C_DigestEncryptUpdate", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DigestEncryptUpdate(s, NULL, 0, NULL, NULL));
    see("C_DecryptDigestUpdate", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptDigestUpdate(s, NULL, 0, NULL, NULL));
    see("C_SignEncryptUpdate", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SignEncryptUpdate(s, NULL, 0, NULL, NULL));
    see("C_DecryptVerifyUpdate", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptVerifyUpdate(s, NULL, 0, NULL, NULL));
    see("C_GenerateKey", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_GenerateKey(s, NULL, NULL, 0, NULL));
    see("C_GenerateKeyPair", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_GenerateKeyPair(s, NULL, NULL, 0, NULL, 0, NULL, NULL));
    see("C_WrapKey", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_WrapKey(s, NULL, 0, 0, NULL, NULL));
    see("C_UnwrapKey", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_UnwrapKey(s, NULL, 0, NULL, 0, NULL, 0, NULL));
    see("C_DeriveKey", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DeriveKey(s, NULL, 0, NULL, 0, NULL));
    see("C_SeedRandom", SESSION, CKR_RANDOM_SEED_NOT_SUPPORTED,
        fx.f->C_SeedRandom(s, NULL, 0));
    see("C_GenerateRandom", SESSION, CKR_OK,
        fx.f->C_GenerateRandom(s, NULL, 0));
    see("C_GetFunctionStatus", SESSION, CKR_FUNCTION_NOT_PARALLEL,
        fx.f->C_GetFunctionStatus(s));
    see("C_CancelFunction", SESSION, CKR_FUNCTION_NOT_PARALLEL,
        fx.f->C_CancelFunction(s));
    see("C_WaitForSlotEvent", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_WaitForSlotEvent(0, NULL, NULL));
    see("C_GetInterfaceList", ALWAYS, CKR_ARGUMENTS_BAD,
        fx.f->C_GetInterfaceList(NULL, NULL));
    see("C_GetInterface", ALWAYS, CKR_ARGUMENTS_BAD,
        fx.f->C_GetInterface(NULL, NULL, NULL, 0));
    see("C_LoginUser", SESSION, CKR_USER_TYPE_INVALID,
        fx.f->C_LoginUser(s, 0, NULL, 0, NULL, 0));
    see("C_SessionCancel", SESSION, CKR_OK,
        fx.f->C_SessionCancel(s, 0));
    see("C_MessageEncryptInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageEncryptInit(s, NULL, 0));
    see("C_EncryptMessage", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_EncryptMessage(s, NULL, 0, NULL, 0, NULL, 0, NULL, NULL));
    see("C_EncryptMessageBegin", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_EncryptMessageBegin(s, NULL, 0, NULL, 0));
    see("C_EncryptMessageNext", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_EncryptMessageNext(s, NULL, 0, NULL, 0, NULL, NULL, 0));
    see("C_MessageEncryptFinal", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageEncryptFinal(s));
    see("C_MessageDecryptInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageDecryptInit(s, NULL, 0));
    see("C_DecryptMessage", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptMessage(s, NULL, 0, NULL, 0, NULL, 0, NULL, NULL));
    see("C_DecryptMessageBegin", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptMessageBegin(s, NULL, 0, NULL, 0));
    see("C_DecryptMessageNext", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_DecryptMessageNext(s, NULL, 0, NULL, 0, NULL, NULL, 0));
    see("C_MessageDecryptFinal", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageDecryptFinal(s));
    see("C_MessageSignInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageSignInit(s, NULL, 0));
    see("C_SignMessage", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SignMessage(s, NULL, 0, NULL, 0, NULL, NULL));
    see("C_SignMessageBegin", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SignMessageBegin(s, NULL, 0));
    see("C_SignMessageNext", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_SignMessageNext(s, NULL, 0, NULL, 0, NULL, NULL));
    see("C_MessageSignFinal", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageSignFinal(s));
    see("C_MessageVerifyInit", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageVerifyInit(s, NULL, 0));
    see("C_VerifyMessage", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_VerifyMessage(s, NULL, 0, NULL, 0, NULL, 0));
    see("C_VerifyMessageBegin", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_VerifyMessageBegin(s, NULL, 0));
    see("C_VerifyMessageNext", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_VerifyMessageNext(s, NULL, 0, NULL, 0, NULL, 0));
    see("C_MessageVerifyFinal", ALWAYS, CKR_FUNCTION_NOT_SUPPORTED,
        fx.f->C_MessageVerifyFinal(s));
    /* clang-format on */
}

static size_t seen;

static void assert_seen(const char *name, CK_RV got, CK_RV wanted)
{
    seen++;
    if (got != wanted)
        fail_msg("%s answered 0x%lx, expected 0x%lx", name, got, wanted);
}

static void see_uninitialized(const char *name, enum needs needs, CK_RV wanted, CK_RV got)
{
    assert_seen(name, got, needs == ALWAYS ? wanted : CKR_CRYPTOKI_NOT_INITIALIZED);
}

static void see_no_session(const char *name, enum needs needs, CK_RV wanted, CK_RV got)
{
    assert_seen(name, got, needs == SESSION ? CKR_SESSION_HANDLE_INVALID : wanted);
}

static void see_nothing(const char *name, enum needs needs, CK_RV wanted, CK_RV got)
{
    (void)needs;
    assert_seen(name, got, wanted);
}

#define FUNCTIONS 92
#define APART     5

static int setup(void **state)
{
    seen = 0;
    return fixture_setup(state);
}

static void test_walk__before_initialize(void **state)
{
    (void)state;
    module_load();
    walk(1, see_uninitialized);
    assert_int_equal(seen, FUNCTIONS - APART);
    assert_rv(fx.f->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_rv(fx.f->C_CloseSession(1), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_rv(fx.f->C_CloseAllSessions(0), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_rv(fx.f->C_FindObjectsInit(1, NULL, 0), CKR_CRYPTOKI_NOT_INITIALIZED);
}

static void test_walk__after_finalize(void **state)
{
    (void)state;
    module_open();
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    walk(fx.session, see_uninitialized);
}

static void test_walk__closed_session(void **state)
{
    (void)state;
    module_open();
    assert_rv(fx.f->C_CloseSession(fx.session), CKR_OK);
    walk(fx.session, see_no_session);
    assert_rv(fx.f->C_CloseSession(fx.session), CKR_SESSION_HANDLE_INVALID);
    assert_rv(fx.f->C_FindObjectsInit(fx.session, NULL, 0), CKR_SESSION_HANDLE_INVALID);
}

static void test_walk__sessions_that_never_were(void **state)
{
    (void)state;
    module_open();
    walk(0, see_no_session);
    walk(fx.session + 1, see_no_session);
    walk(~0UL, see_no_session);
}

static void test_walk__no_arguments(void **state)
{
    (void)state;
    module_open();
    walk(fx.session, see_nothing);
    assert_int_equal(seen, FUNCTIONS - APART);
}

static void test_walk__every_place_of_both_lists_is_taken(void **state)
{
    (void)state;
    CK_FUNCTION_LIST *old = NULL;
    module_load();
    assert_rv(fx.f->C_GetFunctionList(&old), CKR_OK);
#define X(name, args) assert_non_null(fx.f->name);
    CK_FUNCTIONS_2_40(X)
    CK_FUNCTIONS_3_0(X)
#undef X
#define X(name, args) assert_non_null(old->name);
    CK_FUNCTIONS_2_40(X)
#undef X
    assert_int_equal(old->version.major, 2);
    assert_int_equal(old->version.minor, 40);
    assert_int_equal(fx.f->version.major, 3);
    assert_int_equal(fx.f->version.minor, 0);
}

/* --- interfaces --- */

static void test_interfaces__are_listed(void **state)
{
    (void)state;
    CK_INTERFACE list[2];
    CK_ULONG n = 0;
    module_load();
    assert_rv(fx.f->C_GetInterfaceList(NULL, &n), CKR_OK);
    assert_int_equal(n, 2);
    n = 1;
    assert_rv(fx.f->C_GetInterfaceList(list, &n), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(n, 2);
    assert_rv(fx.f->C_GetInterfaceList(list, &n), CKR_OK);
    assert_string_equal((const char *)list[0].pInterfaceName, "PKCS 11");
    assert_int_equal(list[0].flags, CKF_INTERFACE_FORK_SAFE);
    assert_int_equal(((const CK_VERSION *)list[0].pFunctionList)->major, 3);
    assert_int_equal(((const CK_VERSION *)list[1].pFunctionList)->major, 2);
}

static void test_interfaces__are_found_by_name_version_and_flags(void **state)
{
    (void)state;
    CK_INTERFACE *found = NULL;
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_UTF8CHAR other[] = "Vendor";
    CK_VERSION old = { 2, 40 };
    CK_VERSION none = { 3, 2 };
    module_load();
    assert_rv(fx.f->C_GetInterface(NULL, NULL, &found, 0), CKR_OK);
    assert_ptr_equal(found->pFunctionList, fx.f);
    assert_rv(fx.f->C_GetInterface(name, &old, &found, CKF_INTERFACE_FORK_SAFE), CKR_OK);
    assert_int_equal(((const CK_VERSION *)found->pFunctionList)->minor, 40);
    assert_rv(fx.f->C_GetInterface(other, NULL, &found, 0), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_GetInterface(name, &none, &found, 0), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_GetInterface(name, NULL, &found, 1UL << 40), CKR_ARGUMENTS_BAD);
}

static void test_get_info__tells_the_version_of_its_list(void **state)
{
    (void)state;
    CK_FUNCTION_LIST *old = NULL;
    CK_INFO info;
    module_open();
    assert_rv(fx.f->C_GetFunctionList(&old), CKR_OK);
    assert_rv(fx.f->C_GetInfo(&info), CKR_OK);
    assert_int_equal(info.cryptokiVersion.major, 3);
    assert_memory_equal(info.manufacturerID, "Chancery                        ", 32);
    assert_int_equal(info.flags, 0);
    assert_rv(old->C_GetInfo(&info), CKR_OK);
    assert_int_equal(info.cryptokiVersion.minor, 40);
}

/* --- C_Initialize --- */

static CK_RV mutex_make(void **mutex)
{
    (void)mutex;
    return CKR_OK;
}

static CK_RV mutex_use(void *mutex)
{
    (void)mutex;
    return CKR_OK;
}

static void test_initialize__arguments(void **state)
{
    (void)state;
    CK_C_INITIALIZE_ARGS os = { .flags = CKF_OS_LOCKING_OK };
    CK_C_INITIALIZE_ARGS both = { mutex_make, mutex_use,         mutex_use,
                                  mutex_use,  CKF_OS_LOCKING_OK, NULL };
    CK_C_INITIALIZE_ARGS own = { mutex_make, mutex_use, mutex_use, mutex_use, 0, NULL };
    CK_C_INITIALIZE_ARGS some = { mutex_make, NULL, mutex_use, mutex_use, CKF_OS_LOCKING_OK, NULL };
    CK_C_INITIALIZE_ARGS reserved = { .pReserved = &os };
    module_load();
    assert_rv(fx.f->C_Initialize(&own), CKR_CANT_LOCK);
    assert_rv(fx.f->C_Initialize(&some), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_Initialize(&reserved), CKR_ARGUMENTS_BAD);
    CK_C_INITIALIZE_ARGS *good[] = { NULL, &os, &both };
    for (size_t i = 0; i < CHY_ARRAY_LEN(good); i++) {
        assert_rv(fx.f->C_Initialize(good[i]), CKR_OK);
        assert_rv(fx.f->C_Initialize(good[i]), CKR_CRYPTOKI_ALREADY_INITIALIZED);
        assert_rv(fx.f->C_Finalize(&os), CKR_ARGUMENTS_BAD);
        assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    }
}

static void test_initialize__wrong_environment(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
    } wrong[] = {
        { "CHANCERY_AGENT_SOCK", "agent.sock" },
        { "CHANCERY_HELPER", "chancery" },
        { "CHANCERY_LOG", "log" },
        { "CHANCERY_EXEC_TAG", "0123" },
        { "CHANCERY_EXEC_TAG", "0123456789abcdef0123456789abcdeg" },
        { "CHANCERY_REASON", "two\nlines" },
    };
    module_load();
    for (size_t i = 0; i < CHY_ARRAY_LEN(wrong); i++) {
        setenv(wrong[i].name, wrong[i].value, 1);
        assert_rv(fx.f->C_Initialize(NULL), CKR_GENERAL_ERROR);
        unsetenv(wrong[i].name);
    }
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
}

/* --- slot, token, mechanisms --- */

static void test_slot__one_with_a_token(void **state)
{
    (void)state;
    CK_SLOT_ID slots[2] = { 7, 7 };
    CK_ULONG n = 2;
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;
    module_open();
    for (CK_BBOOL present = CK_FALSE; present <= CK_TRUE; present++) {
        assert_rv(fx.f->C_GetSlotList(present, slots, &n), CKR_OK);
        assert_int_equal(n, 1);
        assert_int_equal(slots[0], 0);
    }
    n = 0;
    assert_rv(fx.f->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
    assert_int_equal(n, 1);
    n = 0;
    assert_rv(fx.f->C_GetSlotList(CK_TRUE, slots, &n), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(n, 1);
    assert_rv(fx.f->C_GetSlotInfo(0, &slot), CKR_OK);
    assert_int_equal(slot.flags, CKF_TOKEN_PRESENT);
    assert_rv(fx.f->C_GetTokenInfo(0, &token), CKR_OK);
    assert_memory_equal(token.label, "Chancery                        ", 32);
    assert_memory_equal(token.serialNumber, "1               ", 16);
    assert_int_equal(token.flags, CKF_TOKEN_INITIALIZED | CKF_WRITE_PROTECTED | CKF_RNG);
    assert_int_equal(token.ulSessionCount, 1);
    assert_int_equal(token.ulRwSessionCount, 0);
    assert_rv(fx.f->C_GetSlotInfo(1, &slot), CKR_SLOT_ID_INVALID);
    assert_rv(fx.f->C_GetTokenInfo(1, &token), CKR_SLOT_ID_INVALID);
    assert_rv(fx.f->C_CloseAllSessions(1), CKR_SLOT_ID_INVALID);
}

static void test_mechanisms__are_listed_and_told_of(void **state)
{
    (void)state;
    CK_MECHANISM_TYPE list[64];
    CK_MECHANISM_INFO info;
    CK_ULONG n = 0;
    module_open();
    assert_rv(fx.f->C_GetMechanismList(1, NULL, &n), CKR_SLOT_ID_INVALID);
    assert_rv(fx.f->C_GetMechanismList(0, NULL, &n), CKR_OK);
    assert_int_equal(n, 16);
    n = 15;
    assert_rv(fx.f->C_GetMechanismList(0, list, &n), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(n, 16);
    assert_rv(fx.f->C_GetMechanismList(0, list, &n), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++) {
        assert_rv(fx.f->C_GetMechanismInfo(0, list[i], &info), CKR_OK);
        assert_true(info.flags == CKF_DIGEST ||
                    (info.flags & (CKF_SIGN | CKF_VERIFY)) == (CKF_SIGN | CKF_VERIFY));
    }
    assert_rv(fx.f->C_GetMechanismInfo(0, CKM_EC_KEY_PAIR_GEN, &info), CKR_MECHANISM_INVALID);
    assert_rv(fx.f->C_GetMechanismInfo(1, CKM_ECDSA, &info), CKR_SLOT_ID_INVALID);
}

/* --- sessions and login --- */

static CK_STATE state_of(CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info;
    assert_rv(fx.f->C_GetSessionInfo(session, &info), CKR_OK);
    assert_int_equal(info.slotID, 0);
    return info.state;
}

static void test_sessions__open_and_close(void **state)
{
    (void)state;
    CK_SESSION_HANDLE rw;
    module_open();
    assert_rv(fx.f->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &rw), CKR_SLOT_ID_INVALID);
    assert_rv(fx.f->C_OpenSession(0, CKF_RW_SESSION, NULL, NULL, &rw),
              CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &rw), CKR_OK);
    assert_int_equal(state_of(fx.session), CKS_RO_PUBLIC_SESSION);
    assert_int_equal(state_of(rw), CKS_RW_PUBLIC_SESSION);
    assert_rv(fx.f->C_CloseAllSessions(0), CKR_OK);
    assert_rv(fx.f->C_CloseSession(rw), CKR_SESSION_HANDLE_INVALID);
    assert_rv(fx.f->C_CloseSession(fx.session), CKR_SESSION_HANDLE_INVALID);
    CK_SESSION_HANDLE again;
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &again), CKR_OK);
    assert_true(again != rw && again != fx.session);
}

static void test_sessions__as_many_as_the_limit(void **state)
{
    (void)state;
    CK_SESSION_HANDLE s = 0;
    module_open();
    for (int i = 1; i < CHY_LIMIT_P11_SESSIONS; i++)
        assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_OK);
    CK_SESSION_HANDLE more = 0;
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &more), CKR_SESSION_COUNT);
    assert_rv(fx.f->C_CloseSession(s), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &more), CKR_OK);
}

static void test_login__any_pin_for_all_sessions(void **state)
{
    (void)state;
    CK_SESSION_HANDLE other;
    CK_UTF8CHAR pin[] = "1234";
    module_open();
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &other),
              CKR_OK);
    assert_rv(fx.f->C_Login(fx.session, CKU_USER, NULL, 4), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_Login(fx.session, CKU_SO, pin, 4), CKR_USER_TYPE_INVALID);
    assert_rv(fx.f->C_Login(fx.session, 99, pin, 4), CKR_USER_TYPE_INVALID);
    assert_rv(fx.f->C_Login(fx.session, CKU_CONTEXT_SPECIFIC, pin, 4),
              CKR_OPERATION_NOT_INITIALIZED);
    assert_rv(fx.f->C_Login(fx.session, CKU_USER, pin, 4), CKR_OK);
    assert_rv(fx.f->C_Login(other, CKU_USER, pin, 4), CKR_USER_ALREADY_LOGGED_IN);
    assert_int_equal(state_of(fx.session), CKS_RO_USER_FUNCTIONS);
    assert_int_equal(state_of(other), CKS_RW_USER_FUNCTIONS);
    assert_rv(fx.f->C_Logout(other), CKR_OK);
    assert_rv(fx.f->C_Logout(other), CKR_USER_NOT_LOGGED_IN);
    assert_int_equal(state_of(fx.session), CKS_RO_PUBLIC_SESSION);
    assert_rv(fx.f->C_LoginUser(other, CKU_USER, NULL, 0, pin, 4), CKR_OK);
    assert_int_equal(state_of(fx.session), CKS_RO_USER_FUNCTIONS);
}

static void test_login__ends_with_the_last_session(void **state)
{
    (void)state;
    module_open();
    assert_rv(fx.f->C_Login(fx.session, CKU_USER, NULL, 0), CKR_OK);
    assert_rv(fx.f->C_CloseSession(fx.session), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    assert_int_equal(state_of(fx.session), CKS_RO_PUBLIC_SESSION);
}

/* --- absurd lengths --- */

static const CK_ULONG absurd[] = { ~0UL, ~0UL >> 1, 1UL << 40, (CK_ULONG)CHY_LIMIT_P11_DATA + 1 };

static void test_lengths__of_random(void **state)
{
    (void)state;
    CK_BYTE zeros[64] = { 0 };
    CK_BYTE random[64] = { 0 };
    module_open();
    for (size_t i = 0; i < CHY_ARRAY_LEN(absurd); i++)
        assert_rv(fx.f->C_GenerateRandom(fx.session, random, absurd[i]), CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_GenerateRandom(fx.session, NULL, 1), CKR_ARGUMENTS_BAD);
    assert_memory_equal(random, zeros, sizeof zeros);
    assert_rv(fx.f->C_GenerateRandom(fx.session, random, sizeof random), CKR_OK);
    assert_memory_not_equal(random, zeros, sizeof zeros);
}

static void test_lengths__of_templates(void **state)
{
    (void)state;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attr = { CKA_CLASS, &class, sizeof class };
    module_open();
    for (size_t i = 0; i < CHY_ARRAY_LEN(absurd); i++) {
        assert_rv(fx.f->C_FindObjectsInit(fx.session, &attr, absurd[i]), CKR_ARGUMENTS_BAD);
        attr.ulValueLen = absurd[i];
        assert_rv(fx.f->C_FindObjectsInit(fx.session, &attr, 1), CKR_ARGUMENTS_BAD);
    }
    assert_rv(fx.f->C_FindObjectsInit(fx.session, &attr, CHY_LIMIT_P11_TEMPLATE + 1),
              CKR_ARGUMENTS_BAD);
    assert_rv(fx.f->C_FindObjectsInit(fx.session, NULL, 1), CKR_ARGUMENTS_BAD);
    attr = (CK_ATTRIBUTE){ CKA_CLASS, NULL, 8 };
    assert_rv(fx.f->C_FindObjectsInit(fx.session, &attr, 1), CKR_ARGUMENTS_BAD);
}

static CK_ATTRIBUTE wide[CHY_LIMIT_P11_TEMPLATE + 1];

static void test_lengths__of_a_template_at_the_limit(void **state)
{
    (void)state;
    static CK_OBJECT_CLASS class = 99; /* not ours: the agent is not asked */
    module_open();
    for (size_t i = 0; i < CHY_ARRAY_LEN(wide); i++)
        wide[i] = (CK_ATTRIBUTE){ CKA_CLASS, &class, sizeof class };
    assert_rv(fx.f->C_FindObjectsInit(fx.session, wide, CHY_LIMIT_P11_TEMPLATE), CKR_OK);
    assert_rv(fx.f->C_FindObjectsFinal(fx.session), CKR_OK);
    assert_rv(fx.f->C_FindObjectsInit(fx.session, wide, CHY_LIMIT_P11_TEMPLATE + 1),
              CKR_ARGUMENTS_BAD);
}

/* Of data that is said to be longer than can be: it is not looked at. */
static void test_lengths__of_data(void **state)
{
    (void)state;
    CK_BYTE byte = 0;
    CK_BYTE out[1024];
    CK_ULONG n = sizeof out;
    CK_MECHANISM digest = { CKM_SHA256, NULL, 0 };
    CK_MECHANISM message = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
    agent_start();
    module_open();
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "rsa-2048");
    CK_OBJECT_HANDLE public = object_find(CKO_PUBLIC_KEY, "rsa-2048");
    for (size_t i = 0; i < CHY_ARRAY_LEN(absurd); i++) {
        assert_rv(fx.f->C_DigestInit(fx.session, &digest), CKR_OK);
        assert_rv(fx.f->C_Digest(fx.session, &byte, absurd[i], out, &n), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_DigestInit(fx.session, &digest), CKR_OK);
        assert_rv(fx.f->C_DigestUpdate(fx.session, &byte, absurd[i]), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_SignInit(fx.session, &message, key), CKR_OK);
        assert_rv(fx.f->C_Sign(fx.session, &byte, absurd[i], out, &n), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_SignInit(fx.session, &raw, key), CKR_OK);
        assert_rv(fx.f->C_Sign(fx.session, &byte, absurd[i], out, &n), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_SignInit(fx.session, &raw, key), CKR_OK);
        assert_rv(fx.f->C_SignUpdate(fx.session, &byte, absurd[i]), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_VerifyInit(fx.session, &message, public), CKR_OK);
        assert_rv(fx.f->C_Verify(fx.session, &byte, absurd[i], out, 256), CKR_DATA_LEN_RANGE);
        assert_rv(fx.f->C_VerifyInit(fx.session, &message, public), CKR_OK);
        assert_rv(fx.f->C_Verify(fx.session, &byte, 1, out, absurd[i]), CKR_SIGNATURE_LEN_RANGE);
    }
    assert_int_equal(log_count("sign"), 0);
    assert_int_equal(log_count("verify"), 0);
}

/* A parameter's length is the caller's word; it is not believed. */
static void test_lengths__of_parameters(void **state)
{
    (void)state;
    agent_start();
    module_open();
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "rsa-2048");
    static const CK_ULONG lengths[] = { 0, 1, sizeof pss_256 - 1, sizeof pss_256 + 1, ~0UL };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lengths); i++) {
        CK_MECHANISM m = { CKM_RSA_PKCS_PSS, (void *)(uintptr_t)&pss_256, lengths[i] };
        assert_rv(fx.f->C_SignInit(fx.session, &m, key), CKR_MECHANISM_PARAM_INVALID);
    }
    CK_MECHANISM none = { CKM_RSA_PKCS_PSS, NULL, sizeof pss_256 };
    assert_rv(fx.f->C_SignInit(fx.session, &none, key), CKR_MECHANISM_PARAM_INVALID);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_walk__before_initialize),
        T(test_walk__after_finalize),
        T(test_walk__closed_session),
        T(test_walk__sessions_that_never_were),
        T(test_walk__no_arguments),
        T(test_walk__every_place_of_both_lists_is_taken),
        T(test_interfaces__are_listed),
        T(test_interfaces__are_found_by_name_version_and_flags),
        T(test_get_info__tells_the_version_of_its_list),
        T(test_initialize__arguments),
        T(test_initialize__wrong_environment),
        T(test_slot__one_with_a_token),
        T(test_mechanisms__are_listed_and_told_of),
        T(test_sessions__open_and_close),
        T(test_sessions__as_many_as_the_limit),
        T(test_login__any_pin_for_all_sessions),
        T(test_login__ends_with_the_last_session),
        T(test_lengths__of_random),
        T(test_lengths__of_templates),
        T(test_lengths__of_a_template_at_the_limit),
        T(test_lengths__of_data),
        T(test_lengths__of_parameters),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
