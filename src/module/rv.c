/* SPDX-License-Identifier: MIT */
#include "module/rv.h"

#include <stddef.h>

const char *chy_p11_rv_name(CK_RV rv)
{
    static const struct {
        CK_RV rv;
        const char *name;
    } rows[] = {
#define X(name, number, what) { (number), #name },
        CK_RV_LIST(X)
#undef X
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (rows[i].rv == rv)
            return rows[i].name;
    return "?";
}

CK_RV chy_p11_rv(enum chy_err code)
{
    static const struct {
        enum chy_err code;
        CK_RV rv;
    } rows[] = {
        { CHY_E_NOT_FOUND, CKR_KEY_HANDLE_INVALID }, /* all that is asked for by name is a key */
        { CHY_E_STATE, CKR_FUNCTION_REJECTED },      /* not "session closed": the key is disabled */
        { CHY_E_ARG, CKR_DATA_LEN_RANGE },           /* of all that travels only data may be odd */
        { CHY_E_UNSUPPORTED, CKR_MECHANISM_INVALID },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            return rows[i].rv;
    return chy_err_ck_rv(code);
}
