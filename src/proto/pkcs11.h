/* SPDX-License-Identifier: MIT */
/* PKCS#11, as far as we call it (src/token) or answer it (src/module): names, numbers and layouts
 * are the standard's.
 *
 * Linux alone: CK_ULONG is unsigned long and structs have natural alignment; Windows packs them.
 * Source: PKCS #11 Cryptographic Token Interface Base Specification 2.40 section 3 and 3.0 section
 * 5; Current Mechanisms 3.0. */
#pragma once

typedef unsigned char CK_BYTE;
typedef unsigned char CK_BBOOL;
typedef unsigned char CK_UTF8CHAR;
typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef CK_ULONG CK_FLAGS;
typedef CK_ULONG CK_SLOT_ID;
typedef CK_ULONG CK_SESSION_HANDLE;
typedef CK_ULONG CK_OBJECT_HANDLE;
typedef CK_ULONG CK_OBJECT_CLASS;
typedef CK_ULONG CK_KEY_TYPE;
typedef CK_ULONG CK_ATTRIBUTE_TYPE;
typedef CK_ULONG CK_MECHANISM_TYPE;
typedef CK_ULONG CK_USER_TYPE;
typedef CK_ULONG CK_STATE;
typedef CK_ULONG CK_NOTIFICATION;
typedef CK_RV (*CK_NOTIFY)(CK_SESSION_HANDLE session, CK_NOTIFICATION event, void *application);

#define CK_FALSE                   0
#define CK_TRUE                    1
#define CK_UNAVAILABLE_INFORMATION (~0UL)
#define CK_INVALID_HANDLE          0UL

typedef struct CK_VERSION {
    CK_BYTE major;
    CK_BYTE minor;
} CK_VERSION;

/* Texts are padded with blanks and have no NUL. */
typedef struct CK_INFO {
    CK_VERSION cryptokiVersion;
    CK_UTF8CHAR manufacturerID[32];
    CK_FLAGS flags;
    CK_UTF8CHAR libraryDescription[32];
    CK_VERSION libraryVersion;
} CK_INFO;

typedef struct CK_SLOT_INFO {
    CK_UTF8CHAR slotDescription[64];
    CK_UTF8CHAR manufacturerID[32];
    CK_FLAGS flags;
    CK_VERSION hardwareVersion;
    CK_VERSION firmwareVersion;
} CK_SLOT_INFO;

#define CKF_TOKEN_PRESENT 0x00000001UL

typedef struct CK_TOKEN_INFO {
    CK_UTF8CHAR label[32];
    CK_UTF8CHAR manufacturerID[32];
    CK_UTF8CHAR model[16];
    CK_BYTE serialNumber[16];
    CK_FLAGS flags;
    CK_ULONG ulMaxSessionCount;
    CK_ULONG ulSessionCount;
    CK_ULONG ulMaxRwSessionCount;
    CK_ULONG ulRwSessionCount;
    CK_ULONG ulMaxPinLen;
    CK_ULONG ulMinPinLen;
    CK_ULONG ulTotalPublicMemory;
    CK_ULONG ulFreePublicMemory;
    CK_ULONG ulTotalPrivateMemory;
    CK_ULONG ulFreePrivateMemory;
    CK_VERSION hardwareVersion;
    CK_VERSION firmwareVersion;
    CK_BYTE utcTime[16];
} CK_TOKEN_INFO;

#define CKF_RNG                           0x00000001UL
#define CKF_WRITE_PROTECTED               0x00000002UL
#define CKF_LOGIN_REQUIRED                0x00000004UL
#define CKF_USER_PIN_INITIALIZED          0x00000008UL
#define CKF_PROTECTED_AUTHENTICATION_PATH 0x00000100UL
#define CKF_TOKEN_INITIALIZED             0x00000400UL
#define CKF_USER_PIN_FINAL_TRY            0x00020000UL
#define CKF_USER_PIN_LOCKED               0x00040000UL

#define CKF_RW_SESSION     0x00000002UL
#define CKF_SERIAL_SESSION 0x00000004UL

#define CKU_SO               0UL
#define CKU_USER             1UL
#define CKU_CONTEXT_SPECIFIC 2UL

typedef struct CK_SESSION_INFO {
    CK_SLOT_ID slotID;
    CK_STATE state;
    CK_FLAGS flags;
    CK_ULONG ulDeviceError;
} CK_SESSION_INFO;

#define CKS_RO_PUBLIC_SESSION 0UL
#define CKS_RO_USER_FUNCTIONS 1UL
#define CKS_RW_PUBLIC_SESSION 2UL
#define CKS_RW_USER_FUNCTIONS 3UL

typedef struct CK_MECHANISM_INFO {
    CK_ULONG ulMinKeySize;
    CK_ULONG ulMaxKeySize;
    CK_FLAGS flags;
} CK_MECHANISM_INFO;

#define CKF_FIND_OBJECTS      0x00000040UL /* of C_SessionCancel */
#define CKF_DIGEST            0x00000400UL
#define CKF_SIGN              0x00000800UL
#define CKF_VERIFY            0x00002000UL
#define CKF_GENERATE_KEY_PAIR 0x00010000UL
#define CKF_EC_F_P            0x00100000UL
#define CKF_EC_OID            0x00800000UL
#define CKF_EC_UNCOMPRESS     0x01000000UL

typedef struct CK_ATTRIBUTE {
    CK_ATTRIBUTE_TYPE type;
    void *pValue;
    CK_ULONG ulValueLen; /* bytes; CK_UNAVAILABLE_INFORMATION when it may not be read */
} CK_ATTRIBUTE;

typedef struct CK_MECHANISM {
    CK_MECHANISM_TYPE mechanism;
    void *pParameter;
    CK_ULONG ulParameterLen; /* bytes */
} CK_MECHANISM;

typedef struct CK_RSA_PKCS_PSS_PARAMS {
    CK_MECHANISM_TYPE hashAlg;
    CK_ULONG mgf;
    CK_ULONG sLen; /* bytes of salt */
} CK_RSA_PKCS_PSS_PARAMS;

#define CKO_CERTIFICATE 0x00000001UL
#define CKO_PUBLIC_KEY  0x00000002UL
#define CKO_PRIVATE_KEY 0x00000003UL

#define CKK_RSA        0x00000000UL
#define CKK_EC         0x00000003UL
#define CKK_EC_EDWARDS 0x00000040UL

#define CKC_X_509 0x00000000UL

#define CKA_CLASS                0x00000000UL
#define CKA_TOKEN                0x00000001UL
#define CKA_PRIVATE              0x00000002UL
#define CKA_LABEL                0x00000003UL
#define CKA_VALUE                0x00000011UL
#define CKA_CERTIFICATE_TYPE     0x00000080UL
#define CKA_ISSUER               0x00000081UL
#define CKA_SERIAL_NUMBER        0x00000082UL
#define CKA_TRUSTED              0x00000086UL
#define CKA_CERTIFICATE_CATEGORY 0x00000087UL
#define CKA_KEY_TYPE             0x00000100UL
#define CKA_SUBJECT              0x00000101UL
#define CKA_ID                   0x00000102UL
#define CKA_SENSITIVE            0x00000103UL
#define CKA_ENCRYPT              0x00000104UL
#define CKA_DECRYPT              0x00000105UL
#define CKA_WRAP                 0x00000106UL
#define CKA_UNWRAP               0x00000107UL
#define CKA_SIGN                 0x00000108UL
#define CKA_SIGN_RECOVER         0x00000109UL
#define CKA_VERIFY               0x0000010AUL
#define CKA_VERIFY_RECOVER       0x0000010BUL
#define CKA_DERIVE               0x0000010CUL
#define CKA_START_DATE           0x00000110UL
#define CKA_END_DATE             0x00000111UL
#define CKA_MODULUS              0x00000120UL
#define CKA_MODULUS_BITS         0x00000121UL
#define CKA_PUBLIC_EXPONENT      0x00000122UL
#define CKA_PRIVATE_EXPONENT     0x00000123UL
#define CKA_PRIME_1              0x00000124UL
#define CKA_PRIME_2              0x00000125UL
#define CKA_EXPONENT_1           0x00000126UL
#define CKA_EXPONENT_2           0x00000127UL
#define CKA_COEFFICIENT          0x00000128UL
#define CKA_PUBLIC_KEY_INFO      0x00000129UL
#define CKA_EXTRACTABLE          0x00000162UL
#define CKA_LOCAL                0x00000163UL
#define CKA_NEVER_EXTRACTABLE    0x00000164UL
#define CKA_ALWAYS_SENSITIVE     0x00000165UL
#define CKA_KEY_GEN_MECHANISM    0x00000166UL
#define CKA_MODIFIABLE           0x00000170UL
#define CKA_COPYABLE             0x00000171UL
#define CKA_DESTROYABLE          0x00000172UL
#define CKA_EC_PARAMS            0x00000180UL
#define CKA_EC_POINT             0x00000181UL
#define CKA_ALWAYS_AUTHENTICATE  0x00000202UL
#define CKA_WRAP_WITH_TRUSTED    0x00000210UL
#define CKA_ALLOWED_MECHANISMS   0x40000600UL

#define CKM_RSA_PKCS_KEY_PAIR_GEN   0x00000000UL
#define CKM_RSA_PKCS                0x00000001UL
#define CKM_RSA_PKCS_PSS            0x0000000DUL
#define CKM_SHA256_RSA_PKCS         0x00000040UL
#define CKM_SHA384_RSA_PKCS         0x00000041UL
#define CKM_SHA512_RSA_PKCS         0x00000042UL
#define CKM_SHA256_RSA_PKCS_PSS     0x00000043UL
#define CKM_SHA384_RSA_PKCS_PSS     0x00000044UL
#define CKM_SHA512_RSA_PKCS_PSS     0x00000045UL
#define CKM_SHA256                  0x00000250UL
#define CKM_SHA384                  0x00000260UL
#define CKM_SHA512                  0x00000270UL
#define CKM_EC_KEY_PAIR_GEN         0x00001040UL
#define CKM_ECDSA                   0x00001041UL
#define CKM_ECDSA_SHA256            0x00001044UL
#define CKM_ECDSA_SHA384            0x00001045UL
#define CKM_ECDSA_SHA512            0x00001046UL
#define CKM_EC_EDWARDS_KEY_PAIR_GEN 0x00001055UL
#define CKM_EDDSA                   0x00001057UL

#define CKG_MGF1_SHA256 0x00000002UL
#define CKG_MGF1_SHA384 0x00000003UL
#define CKG_MGF1_SHA512 0x00000004UL

#define CK_CERTIFICATE_CATEGORY_TOKEN_USER 1UL
#define CK_CERTIFICATE_CATEGORY_AUTHORITY  2UL

typedef struct CK_C_INITIALIZE_ARGS {
    CK_RV (*CreateMutex)(void **);
    CK_RV (*DestroyMutex)(void *);
    CK_RV (*LockMutex)(void *);
    CK_RV (*UnlockMutex)(void *);
    CK_FLAGS flags;
    void *pReserved;
} CK_C_INITIALIZE_ARGS;

#define CKF_OS_LOCKING_OK 0x00000002UL

typedef struct CK_FUNCTION_LIST CK_FUNCTION_LIST;
typedef struct CK_FUNCTION_LIST_3_0 CK_FUNCTION_LIST_3_0;

typedef struct CK_INTERFACE {
    CK_UTF8CHAR *pInterfaceName;
    void *pFunctionList; /* begins with a CK_VERSION */
    CK_FLAGS flags;
} CK_INTERFACE;

#define CKF_INTERFACE_FORK_SAFE 0x00000001UL

/* Every function in the order of the lists: name, arguments. */
#define CK_FUNCTIONS_2_40(X)                                                                       \
    X(C_Initialize, (void *args))                                                                  \
    X(C_Finalize, (void *reserved))                                                                \
    X(C_GetInfo, (CK_INFO * info))                                                                 \
    X(C_GetFunctionList, (CK_FUNCTION_LIST * *list))                                               \
    X(C_GetSlotList, (CK_BBOOL token_present, CK_SLOT_ID * list, CK_ULONG * count))                \
    X(C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO * info))                                       \
    X(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO * info))                                     \
    X(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE * list, CK_ULONG * count))           \
    X(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO * info))     \
    X(C_InitToken, (CK_SLOT_ID slot, CK_UTF8CHAR * pin, CK_ULONG pin_len, CK_UTF8CHAR * label))    \
    X(C_InitPIN, (CK_SESSION_HANDLE session, CK_UTF8CHAR * pin, CK_ULONG pin_len))                 \
    X(C_SetPIN, (CK_SESSION_HANDLE session, CK_UTF8CHAR * old_pin, CK_ULONG old_len,               \
                 CK_UTF8CHAR * new_pin, CK_ULONG new_len))                                         \
    X(C_OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,        \
                      CK_SESSION_HANDLE *session))                                                 \
    X(C_CloseSession, (CK_SESSION_HANDLE session))                                                 \
    X(C_CloseAllSessions, (CK_SLOT_ID slot))                                                       \
    X(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO * info))                       \
    X(C_GetOperationState, (CK_SESSION_HANDLE session, CK_BYTE * state, CK_ULONG * state_len))     \
    X(C_SetOperationState, (CK_SESSION_HANDLE session, CK_BYTE * state, CK_ULONG state_len,        \
                            CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentication_key)) \
    X(C_Login,                                                                                     \
      (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR * pin, CK_ULONG pin_len))         \
    X(C_Logout, (CK_SESSION_HANDLE session))                                                       \
    X(C_CreateObject, (CK_SESSION_HANDLE session, CK_ATTRIBUTE * attrs, CK_ULONG count,            \
                       CK_OBJECT_HANDLE * object))                                                 \
    X(C_CopyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE * attrs,     \
                     CK_ULONG count, CK_OBJECT_HANDLE * copy))                                     \
    X(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object))                       \
    X(C_GetObjectSize, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG * size))      \
    X(C_GetAttributeValue,                                                                         \
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE * attrs, CK_ULONG count))  \
    X(C_SetAttributeValue,                                                                         \
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE * attrs, CK_ULONG count))  \
    X(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE * attrs, CK_ULONG count))        \
    X(C_FindObjects,                                                                               \
      (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE * objects, CK_ULONG max, CK_ULONG * count))     \
    X(C_FindObjectsFinal, (CK_SESSION_HANDLE session))                                             \
    X(C_EncryptInit, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))  \
    X(C_Encrypt, (CK_SESSION_HANDLE session, CK_BYTE * data, CK_ULONG data_len, CK_BYTE * out,     \
                  CK_ULONG * out_len))                                                             \
    X(C_EncryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len,              \
                        CK_BYTE * out, CK_ULONG * out_len))                                        \
    X(C_EncryptFinal, (CK_SESSION_HANDLE session, CK_BYTE * out, CK_ULONG * out_len))              \
    X(C_DecryptInit, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))  \
    X(C_Decrypt, (CK_SESSION_HANDLE session, CK_BYTE * data, CK_ULONG data_len, CK_BYTE * out,     \
                  CK_ULONG * out_len))                                                             \
    X(C_DecryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len,              \
                        CK_BYTE * out, CK_ULONG * out_len))                                        \
    X(C_DecryptFinal, (CK_SESSION_HANDLE session, CK_BYTE * out, CK_ULONG * out_len))              \
    X(C_DigestInit, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism))                         \
    X(C_Digest, (CK_SESSION_HANDLE session, CK_BYTE * data, CK_ULONG data_len, CK_BYTE * digest,   \
                 CK_ULONG * digest_len))                                                           \
    X(C_DigestUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len))              \
    X(C_DigestKey, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key))                              \
    X(C_DigestFinal, (CK_SESSION_HANDLE session, CK_BYTE * digest, CK_ULONG * digest_len))         \
    X(C_SignInit, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))     \
    X(C_Sign, (CK_SESSION_HANDLE session, CK_BYTE * data, CK_ULONG data_len, CK_BYTE * signature,  \
               CK_ULONG * signature_len))                                                          \
    X(C_SignUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len))                \
    X(C_SignFinal, (CK_SESSION_HANDLE session, CK_BYTE * signature, CK_ULONG * signature_len))     \
    X(C_SignRecoverInit,                                                                           \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))                 \
    X(C_SignRecover, (CK_SESSION_HANDLE session, CK_BYTE * data, CK_ULONG data_len,                \
                      CK_BYTE * signature, CK_ULONG * signature_len))                              \
    X(C_VerifyInit, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))   \
    X(C_Verify, (CK_SESSION_HANDLE session, CK_BYTE * data, CK_ULONG data_len,                     \
                 CK_BYTE * signature, CK_ULONG signature_len))                                     \
    X(C_VerifyUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len))              \
    X(C_VerifyFinal, (CK_SESSION_HANDLE session, CK_BYTE * signature, CK_ULONG signature_len))     \
    X(C_VerifyRecoverInit,                                                                         \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))                 \
    X(C_VerifyRecover, (CK_SESSION_HANDLE session, CK_BYTE * signature, CK_ULONG signature_len,    \
                        CK_BYTE * data, CK_ULONG * data_len))                                      \
    X(C_DigestEncryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len,        \
                              CK_BYTE * out, CK_ULONG * out_len))                                  \
    X(C_DecryptDigestUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len,        \
                              CK_BYTE * out, CK_ULONG * out_len))                                  \
    X(C_SignEncryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len,          \
                            CK_BYTE * out, CK_ULONG * out_len))                                    \
    X(C_DecryptVerifyUpdate, (CK_SESSION_HANDLE session, CK_BYTE * part, CK_ULONG part_len,        \
                              CK_BYTE * out, CK_ULONG * out_len))                                  \
    X(C_GenerateKey, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_ATTRIBUTE * attrs,   \
                      CK_ULONG count, CK_OBJECT_HANDLE * key))                                     \
    X(C_GenerateKeyPair,                                                                           \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_ATTRIBUTE * public_attrs,           \
       CK_ULONG public_count, CK_ATTRIBUTE * private_attrs, CK_ULONG private_count,                \
       CK_OBJECT_HANDLE * public_key, CK_OBJECT_HANDLE * private_key))                             \
    X(C_WrapKey,                                                                                   \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE wrapping_key,         \
       CK_OBJECT_HANDLE key, CK_BYTE * wrapped, CK_ULONG * wrapped_len))                           \
    X(C_UnwrapKey, (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism,                           \
                    CK_OBJECT_HANDLE unwrapping_key, CK_BYTE * wrapped, CK_ULONG wrapped_len,      \
                    CK_ATTRIBUTE * attrs, CK_ULONG count, CK_OBJECT_HANDLE * key))                 \
    X(C_DeriveKey,                                                                                 \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE base_key,             \
       CK_ATTRIBUTE * attrs, CK_ULONG count, CK_OBJECT_HANDLE * key))                              \
    X(C_SeedRandom, (CK_SESSION_HANDLE session, CK_BYTE * seed, CK_ULONG seed_len))                \
    X(C_GenerateRandom, (CK_SESSION_HANDLE session, CK_BYTE * random, CK_ULONG random_len))        \
    X(C_GetFunctionStatus, (CK_SESSION_HANDLE session))                                            \
    X(C_CancelFunction, (CK_SESSION_HANDLE session))                                               \
    X(C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID * slot, void *reserved))

/* What 3.0 adds behind them. */
#define CK_FUNCTIONS_3_0(X)                                                                       \
    X(C_GetInterfaceList, (CK_INTERFACE * list, CK_ULONG * count))                                \
    X(C_GetInterface,                                                                             \
      (CK_UTF8CHAR * name, CK_VERSION * version, CK_INTERFACE * *interface, CK_FLAGS flags))      \
    X(C_LoginUser, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR * pin,              \
                    CK_ULONG pin_len, CK_UTF8CHAR * name, CK_ULONG name_len))                     \
    X(C_SessionCancel, (CK_SESSION_HANDLE session, CK_FLAGS flags))                               \
    X(C_MessageEncryptInit,                                                                       \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))                \
    X(C_EncryptMessage, (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len,      \
                         CK_BYTE *associated, CK_ULONG associated_len, CK_BYTE *plain,            \
                         CK_ULONG plain_len, CK_BYTE *cipher, CK_ULONG *cipher_len))              \
    X(C_EncryptMessageBegin, (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, \
                              CK_BYTE *associated, CK_ULONG associated_len))                      \
    X(C_EncryptMessageNext,                                                                       \
      (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, CK_BYTE *plain,        \
       CK_ULONG plain_len, CK_BYTE *cipher, CK_ULONG *cipher_len, CK_FLAGS flags))                \
    X(C_MessageEncryptFinal, (CK_SESSION_HANDLE session))                                         \
    X(C_MessageDecryptInit,                                                                       \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))                \
    X(C_DecryptMessage, (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len,      \
                         CK_BYTE *associated, CK_ULONG associated_len, CK_BYTE *cipher,           \
                         CK_ULONG cipher_len, CK_BYTE *plain, CK_ULONG *plain_len))               \
    X(C_DecryptMessageBegin, (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, \
                              CK_BYTE *associated, CK_ULONG associated_len))                      \
    X(C_DecryptMessageNext,                                                                       \
      (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, CK_BYTE *cipher,       \
       CK_ULONG cipher_len, CK_BYTE *plain, CK_ULONG *plain_len, CK_FLAGS flags))                 \
    X(C_MessageDecryptFinal, (CK_SESSION_HANDLE session))                                         \
    X(C_MessageSignInit,                                                                          \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))                \
    X(C_SignMessage,                                                                              \
      (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, CK_BYTE *data,         \
       CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *signature_len))                           \
    X(C_SignMessageBegin, (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len))   \
    X(C_SignMessageNext,                                                                          \
      (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, CK_BYTE *data,         \
       CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *signature_len))                           \
    X(C_MessageSignFinal, (CK_SESSION_HANDLE session))                                            \
    X(C_MessageVerifyInit,                                                                        \
      (CK_SESSION_HANDLE session, CK_MECHANISM * mechanism, CK_OBJECT_HANDLE key))                \
    X(C_VerifyMessage,                                                                            \
      (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, CK_BYTE *data,         \
       CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len))                            \
    X(C_VerifyMessageBegin, (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len)) \
    X(C_VerifyMessageNext,                                                                        \
      (CK_SESSION_HANDLE session, void *parameter, CK_ULONG parameter_len, CK_BYTE *data,         \
       CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len))                            \
    X(C_MessageVerifyFinal, (CK_SESSION_HANDLE session))

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name, and parameters that have theirs */
#define CK_FUNCTION_POINTER(name, args) CK_RV(*name) args;

struct CK_FUNCTION_LIST {
    CK_VERSION version;
    CK_FUNCTIONS_2_40(CK_FUNCTION_POINTER)
};

struct CK_FUNCTION_LIST_3_0 {
    CK_VERSION version;
    CK_FUNCTIONS_2_40(CK_FUNCTION_POINTER)
    CK_FUNCTIONS_3_0(CK_FUNCTION_POINTER)
};

#undef CK_FUNCTION_POINTER

typedef CK_RV CK_C_GetFunctionList(CK_FUNCTION_LIST **list);
typedef CK_RV CK_C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count);
typedef CK_RV CK_C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface,
                                CK_FLAGS flags);

/* Every return value of 2.40, and what a token process does when it comes:
 *   FATAL    the module, the device or our session is gone: the process ends and is started anew
 *   KEY      the handle is stale: it is looked up once more
 *   FAIL     this one call failed
 * name, number, what */
#define CK_RV_LIST(X)                                    \
    X(CKR_OK, 0x000, FAIL)                               \
    X(CKR_CANCEL, 0x001, FAIL)                           \
    X(CKR_HOST_MEMORY, 0x002, FATAL)                     \
    X(CKR_SLOT_ID_INVALID, 0x003, FATAL)                 \
    X(CKR_GENERAL_ERROR, 0x005, FATAL)                   \
    X(CKR_FUNCTION_FAILED, 0x006, FAIL)                  \
    X(CKR_ARGUMENTS_BAD, 0x007, FAIL)                    \
    X(CKR_NO_EVENT, 0x008, FAIL)                         \
    X(CKR_NEED_TO_CREATE_THREADS, 0x009, FAIL)           \
    X(CKR_CANT_LOCK, 0x00A, FAIL)                        \
    X(CKR_ATTRIBUTE_READ_ONLY, 0x010, FAIL)              \
    X(CKR_ATTRIBUTE_SENSITIVE, 0x011, FAIL)              \
    X(CKR_ATTRIBUTE_TYPE_INVALID, 0x012, FAIL)           \
    X(CKR_ATTRIBUTE_VALUE_INVALID, 0x013, FAIL)          \
    X(CKR_ACTION_PROHIBITED, 0x01B, FAIL)                \
    X(CKR_DATA_INVALID, 0x020, FAIL)                     \
    X(CKR_DATA_LEN_RANGE, 0x021, FAIL)                   \
    X(CKR_DEVICE_ERROR, 0x030, FATAL)                    \
    X(CKR_DEVICE_MEMORY, 0x031, FAIL)                    \
    X(CKR_DEVICE_REMOVED, 0x032, FATAL)                  \
    X(CKR_ENCRYPTED_DATA_INVALID, 0x040, FAIL)           \
    X(CKR_ENCRYPTED_DATA_LEN_RANGE, 0x041, FAIL)         \
    X(CKR_FUNCTION_CANCELED, 0x050, FAIL)                \
    X(CKR_FUNCTION_NOT_PARALLEL, 0x051, FAIL)            \
    X(CKR_FUNCTION_NOT_SUPPORTED, 0x054, FAIL)           \
    X(CKR_KEY_HANDLE_INVALID, 0x060, KEY)                \
    X(CKR_KEY_SIZE_RANGE, 0x062, FAIL)                   \
    X(CKR_KEY_TYPE_INCONSISTENT, 0x063, FAIL)            \
    X(CKR_KEY_NOT_NEEDED, 0x064, FAIL)                   \
    X(CKR_KEY_CHANGED, 0x065, FAIL)                      \
    X(CKR_KEY_NEEDED, 0x066, FAIL)                       \
    X(CKR_KEY_INDIGESTIBLE, 0x067, FAIL)                 \
    X(CKR_KEY_FUNCTION_NOT_PERMITTED, 0x068, FAIL)       \
    X(CKR_KEY_NOT_WRAPPABLE, 0x069, FAIL)                \
    X(CKR_KEY_UNEXTRACTABLE, 0x06A, FAIL)                \
    X(CKR_MECHANISM_INVALID, 0x070, FAIL)                \
    X(CKR_MECHANISM_PARAM_INVALID, 0x071, FAIL)          \
    X(CKR_OBJECT_HANDLE_INVALID, 0x082, KEY)             \
    X(CKR_OPERATION_ACTIVE, 0x090, FATAL)                \
    X(CKR_OPERATION_NOT_INITIALIZED, 0x091, FATAL)       \
    X(CKR_PIN_INCORRECT, 0x0A0, FAIL)                    \
    X(CKR_PIN_INVALID, 0x0A1, FAIL)                      \
    X(CKR_PIN_LEN_RANGE, 0x0A2, FAIL)                    \
    X(CKR_PIN_EXPIRED, 0x0A3, FAIL)                      \
    X(CKR_PIN_LOCKED, 0x0A4, FAIL)                       \
    X(CKR_SESSION_CLOSED, 0x0B0, FATAL)                  \
    X(CKR_SESSION_COUNT, 0x0B1, FATAL)                   \
    X(CKR_SESSION_HANDLE_INVALID, 0x0B3, FATAL)          \
    X(CKR_SESSION_PARALLEL_NOT_SUPPORTED, 0x0B4, FATAL)  \
    X(CKR_SESSION_READ_ONLY, 0x0B5, FAIL)                \
    X(CKR_SESSION_EXISTS, 0x0B6, FAIL)                   \
    X(CKR_SESSION_READ_ONLY_EXISTS, 0x0B7, FAIL)         \
    X(CKR_SESSION_READ_WRITE_SO_EXISTS, 0x0B8, FAIL)     \
    X(CKR_SIGNATURE_INVALID, 0x0C0, FAIL)                \
    X(CKR_SIGNATURE_LEN_RANGE, 0x0C1, FAIL)              \
    X(CKR_TEMPLATE_INCOMPLETE, 0x0D0, FAIL)              \
    X(CKR_TEMPLATE_INCONSISTENT, 0x0D1, FAIL)            \
    X(CKR_TOKEN_NOT_PRESENT, 0x0E0, FATAL)               \
    X(CKR_TOKEN_NOT_RECOGNIZED, 0x0E1, FATAL)            \
    X(CKR_TOKEN_WRITE_PROTECTED, 0x0E2, FAIL)            \
    X(CKR_UNWRAPPING_KEY_HANDLE_INVALID, 0x0F0, FAIL)    \
    X(CKR_UNWRAPPING_KEY_SIZE_RANGE, 0x0F1, FAIL)        \
    X(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, 0x0F2, FAIL) \
    X(CKR_USER_ALREADY_LOGGED_IN, 0x100, FAIL)           \
    X(CKR_USER_NOT_LOGGED_IN, 0x101, FATAL)              \
    X(CKR_USER_PIN_NOT_INITIALIZED, 0x102, FAIL)         \
    X(CKR_USER_TYPE_INVALID, 0x103, FAIL)                \
    X(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, 0x104, FAIL)   \
    X(CKR_USER_TOO_MANY_TYPES, 0x105, FAIL)              \
    X(CKR_WRAPPED_KEY_INVALID, 0x110, FAIL)              \
    X(CKR_WRAPPED_KEY_LEN_RANGE, 0x112, FAIL)            \
    X(CKR_WRAPPING_KEY_HANDLE_INVALID, 0x113, FAIL)      \
    X(CKR_WRAPPING_KEY_SIZE_RANGE, 0x114, FAIL)          \
    X(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, 0x115, FAIL)   \
    X(CKR_RANDOM_SEED_NOT_SUPPORTED, 0x120, FAIL)        \
    X(CKR_RANDOM_NO_RNG, 0x121, FAIL)                    \
    X(CKR_DOMAIN_PARAMS_INVALID, 0x130, FAIL)            \
    X(CKR_CURVE_NOT_SUPPORTED, 0x140, FAIL)              \
    X(CKR_BUFFER_TOO_SMALL, 0x150, FATAL)                \
    X(CKR_SAVED_STATE_INVALID, 0x160, FAIL)              \
    X(CKR_INFORMATION_SENSITIVE, 0x170, FAIL)            \
    X(CKR_STATE_UNSAVEABLE, 0x180, FAIL)                 \
    X(CKR_CRYPTOKI_NOT_INITIALIZED, 0x190, FATAL)        \
    X(CKR_CRYPTOKI_ALREADY_INITIALIZED, 0x191, FAIL)     \
    X(CKR_MUTEX_BAD, 0x1A0, FATAL)                       \
    X(CKR_MUTEX_NOT_LOCKED, 0x1A1, FATAL)                \
    X(CKR_NEW_PIN_MODE, 0x1B0, FAIL)                     \
    X(CKR_NEXT_OTP, 0x1B1, FAIL)                         \
    X(CKR_EXCEEDED_MAX_ITERATIONS, 0x1B5, FAIL)          \
    X(CKR_FIPS_SELF_TEST_FAILED, 0x1B6, FATAL)           \
    X(CKR_LIBRARY_LOAD_FAILED, 0x1B7, FATAL)             \
    X(CKR_PIN_TOO_WEAK, 0x1B8, FAIL)                     \
    X(CKR_PUBLIC_KEY_INVALID, 0x1B9, FAIL)               \
    X(CKR_FUNCTION_REJECTED, 0x200, FAIL)

enum {
#define X(name, number, what) name = (number),
    CK_RV_LIST(X)
#undef X
};
