/* SPDX-License-Identifier: MIT */
/* A PKCS#11 module that behaves badly on demand: it passes everything on to SoftHSM but for the one
 * fault that the file $SOFTHSM2_CONF.fault names; without the file it is SoftHSM. The file is read
 * at each call that could go wrong, so a fault may begin and end while the module runs.
 *
 *   crash-at-load            dies in its constructor
 *   hang-at-load             never comes back from C_Initialize
 *   crash                    dies in C_Sign
 *   hang                     never comes back from C_Sign
 *   wrong-signature          one bit of it is changed
 *   truncated-signature      its last byte is missing
 *   long-signature           says that it is longer than the room for it
 *   empty-signature          has no bytes
 *   other-key                signs with another key of the same type in the token
 *   device-error N           C_Sign answers CKR_DEVICE_ERROR after N signatures
 *   function-failed          C_Sign answers CKR_FUNCTION_FAILED
 *   stale-handle N           C_SignInit answers CKR_KEY_HANDLE_INVALID N times
 *   no-copy                  C_CopyObject answers CKR_FUNCTION_NOT_SUPPORTED
 *   hardware                 calls itself "Faulty Inc.", as a hardware token might
 *   pin-final-try, pin-locked, no-pin   flags of the token
 *   extractable              says that every key is extractable
 *   leak                     C_Sign loses 1 MiB
 *   one-session              C_OpenSession works once
 *   exec, socket             C_Sign starts a program, makes an Internet socket: must not be
 *   survived read-outside             C_Sign fails with CKR_FUNCTION_FAILED unless it can read
 *   /etc/group
 *
 * FAULTY_TARGET (set by meson) is the module behind it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "token/pkcs11.h"

#define VISIBLE __attribute__((visibility("default")))

VISIBLE CK_C_GetFunctionList C_GetFunctionList;

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static atomic_ulong signed_count;
static atomic_ulong stale_count;
static atomic_ulong session_count;
static void *volatile leaked; /* the last one alone */

/* Whether this fault is on; its number, if it has one. */
static bool is_on(const char *fault, unsigned long *ret_number)
{
    char path[4200];
    char text[64] = "";
    const char *conf = secure_getenv("SOFTHSM2_CONF");
    snprintf(path, sizeof path, "%s.fault", conf != NULL ? conf : "");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    size_t n = strlen(fault);
    if (strncmp(text, fault, n) != 0 || (text[n] != '\0' && text[n] != ' '))
        return false;
    unsigned long number = 0;
    for (const char *p = text + n; *p != '\0'; p++)
        if (*p >= '0' && *p <= '9')
            number = number * 10 + (unsigned long)(*p - '0');
    if (ret_number != NULL)
        *ret_number = number;
    return true;
}

static void hang(void)
{
    for (;;)
        poll(NULL, 0, -1);
}

__attribute__((constructor)) static void on_load(void)
{
    if (is_on("crash-at-load", NULL))
        abort();
}

static CK_RV faulty_initialize(void *args)
{
    if (is_on("hang-at-load", NULL))
        hang();
    return real->C_Initialize(args);
}

static void name_put(CK_UTF8CHAR *to, size_t n, const char *name)
{
    memset(to, ' ', n);
    memcpy(to, name, strlen(name));
}

static CK_RV faulty_get_info(CK_INFO *info)
{
    CK_RV rv = real->C_GetInfo(info);
    if (rv == CKR_OK && is_on("hardware", NULL))
        name_put(info->manufacturerID, sizeof info->manufacturerID, "Faulty Inc.");
    return rv;
}

static CK_RV faulty_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = real->C_GetTokenInfo(slot, info);
    if (rv != CKR_OK)
        return rv;
    if (is_on("hardware", NULL))
        name_put(info->manufacturerID, sizeof info->manufacturerID, "Faulty\x01\xff Inc.");
    if (is_on("pin-final-try", NULL))
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (is_on("pin-locked", NULL))
        info->flags |= CKF_USER_PIN_LOCKED;
    if (is_on("no-pin", NULL))
        info->flags &= ~CKF_USER_PIN_INITIALIZED;
    return rv;
}

static CK_RV faulty_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application,
                                 CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
    if (is_on("one-session", NULL) && session_count > 0)
        return CKR_SESSION_COUNT;
    session_count++;
    return real->C_OpenSession(slot, flags, application, notify, session);
}

static CK_RV faulty_copy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                CK_ATTRIBUTE *attrs, CK_ULONG count, CK_OBJECT_HANDLE *copy)
{
    if (is_on("no-copy", NULL))
        return CKR_FUNCTION_NOT_SUPPORTED;
    return real->C_CopyObject(session, object, attrs, count, copy);
}

static CK_RV faulty_get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                        CK_ATTRIBUTE *attrs, CK_ULONG count)
{
    CK_RV rv = real->C_GetAttributeValue(session, object, attrs, count);
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
        if (attrs[i].type == CKA_EXTRACTABLE && attrs[i].pValue != NULL &&
            is_on("extractable", NULL))
            *(CK_BBOOL *)attrs[i].pValue = CK_TRUE;
    return rv;
}

/* Another private key of the same type in the token; `key` itself when there is none. */
static CK_OBJECT_HANDLE other_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_BYTE id[128];
    CK_BYTE other_id[128];
    CK_KEY_TYPE type = 0;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE own[] = { { CKA_ID, id, sizeof id }, { CKA_KEY_TYPE, &type, sizeof type } };
    if (real->C_GetAttributeValue(session, key, own, 2) != CKR_OK)
        return key;
    CK_ATTRIBUTE query[] = { { CKA_CLASS, &class, sizeof class },
                             { CKA_TOKEN, &yes, sizeof yes },
                             { CKA_KEY_TYPE, &type, sizeof type } };
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n = 0;
    if (real->C_FindObjectsInit(session, query, 3) != CKR_OK)
        return key;
    if (real->C_FindObjects(session, found, 64, &n) != CKR_OK)
        n = 0;
    if (real->C_FindObjectsFinal(session) != CKR_OK)
        return key;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_ATTRIBUTE other = { CKA_ID, other_id, sizeof other_id };
        if (real->C_GetAttributeValue(session, found[i], &other, 1) == CKR_OK &&
            (other.ulValueLen != own[0].ulValueLen || memcmp(other_id, id, other.ulValueLen) != 0))
            return found[i];
    }
    return key;
}

static CK_RV faulty_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                              CK_OBJECT_HANDLE key)
{
    unsigned long times = 0;
    if (is_on("stale-handle", &times) && stale_count < times) {
        stale_count++;
        return CKR_KEY_HANDLE_INVALID;
    }
    if (is_on("other-key", NULL))
        key = other_key(session, key);
    return real->C_SignInit(session, mechanism, key);
}

static CK_RV faulty_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len,
                         CK_BYTE *signature, CK_ULONG *signature_len)
{
    unsigned long after = 0;
    if (is_on("crash", NULL))
        abort();
    if (is_on("hang", NULL))
        hang();
    if (is_on("exec", NULL))
        execl("/bin/true", "true", (char *)NULL);
    if (is_on("socket", NULL) && socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0)
        return CKR_OK;
    if (is_on("read-outside", NULL) && open("/etc/group", O_RDONLY | O_CLOEXEC) < 0)
        return CKR_FUNCTION_FAILED;
    if (is_on("leak", NULL))
        leaked = memset(malloc(1u << 20), 0, 1u << 20);
    CK_RV rv = real->C_Sign(session, data, data_len, signature, signature_len);
    if (rv != CKR_OK)
        return rv;
    if (is_on("device-error", &after) && signed_count++ >= after)
        return CKR_DEVICE_ERROR;
    if (is_on("function-failed", NULL))
        return CKR_FUNCTION_FAILED;
    if (is_on("wrong-signature", NULL))
        signature[*signature_len / 2] ^= 0x10;
    if (is_on("truncated-signature", NULL))
        (*signature_len)--;
    if (is_on("long-signature", NULL))
        *signature_len = 1u << 20;
    if (is_on("empty-signature", NULL))
        *signature_len = 0;
    return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret_list)
{
    void *library = dlopen(FAULTY_TARGET, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, "C_GetFunctionList") : NULL;
    CK_C_GetFunctionList *get_list = NULL;
    memcpy(&get_list, &symbol, sizeof get_list);
    if (get_list == NULL)
        return CKR_LIBRARY_LOAD_FAILED;
    CK_RV rv = get_list(&real);
    if (rv != CKR_OK)
        return rv;
    list = *real;
    list.C_Initialize = faulty_initialize;
    list.C_GetInfo = faulty_get_info;
    list.C_GetFunctionList = C_GetFunctionList;
    list.C_GetTokenInfo = faulty_get_token_info;
    list.C_OpenSession = faulty_open_session;
    list.C_CopyObject = faulty_copy_object;
    list.C_GetAttributeValue = faulty_get_attribute_value;
    list.C_SignInit = faulty_sign_init;
    list.C_Sign = faulty_sign;
    *ret_list = &list;
    return CKR_OK;
}
