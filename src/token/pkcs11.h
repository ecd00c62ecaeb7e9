/* SPDX-License-Identifier: MIT */
/* What a token process may say to a vendor's module: proto/pkcs11.h without the functions that are
 * never called from here. Their names do not compile in a file that includes this header, so no
 * code of ours can wrap, unwrap, derive, decrypt or digest a key; and the only object whose
 * CKA_VALUE is read is a certificate (keys.c). */
#pragma once

#include "proto/pkcs11.h"

#pragma GCC poison C_GetSlotInfo C_SetPIN C_CloseAllSessions C_GetSessionInfo C_GetOperationState
#pragma GCC poison C_SetOperationState C_CreateObject C_GetObjectSize C_SetAttributeValue
#pragma GCC poison C_EncryptInit C_Encrypt C_EncryptUpdate C_EncryptFinal C_DecryptInit C_Decrypt
#pragma GCC poison C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest C_DigestUpdate
#pragma GCC poison C_DigestKey C_DigestFinal C_SignUpdate C_SignFinal C_SignRecoverInit
#pragma GCC poison C_SignRecover C_VerifyInit C_Verify C_VerifyUpdate C_VerifyFinal
#pragma GCC poison C_VerifyRecoverInit C_VerifyRecover C_DigestEncryptUpdate
#pragma GCC poison C_DecryptDigestUpdate C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey
#pragma GCC poison C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom C_GenerateRandom
#pragma GCC poison C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent C_GetInterfaceList
#pragma GCC poison C_GetInterface C_LoginUser C_SessionCancel C_MessageEncryptInit
#pragma GCC poison C_EncryptMessage C_EncryptMessageBegin C_EncryptMessageNext
#pragma GCC poison C_MessageEncryptFinal C_MessageDecryptInit C_DecryptMessage
#pragma GCC poison C_DecryptMessageBegin C_DecryptMessageNext C_MessageDecryptFinal
#pragma GCC poison C_MessageSignInit C_SignMessage C_SignMessageBegin C_SignMessageNext
#pragma GCC poison C_MessageSignFinal C_MessageVerifyInit C_VerifyMessage C_VerifyMessageBegin
#pragma GCC poison C_VerifyMessageNext C_MessageVerifyFinal
