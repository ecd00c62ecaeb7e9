/* SPDX-License-Identifier: MIT */
#include "token/rv.h"

#include <stddef.h>

#define VENDOR_DEFINED 0x80000000UL

enum rv_what {
    RV_FAIL,
    RV_FATAL,
    RV_KEY,
};

struct rv_row {
    const char *name;
    CK_RV rv;
    enum rv_what what;
};

static const struct rv_row rv_rows[] = {
#define X(name, number, what) { #name, (number), RV_##what },
    CK_RV_LIST(X)
#undef X
};

static const struct rv_row *rv_row(CK_RV rv)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(rv_rows); i++)
        if (rv_rows[i].rv == rv)
            return &rv_rows[i];
    return NULL;
}

const char *chy_rv_name(CK_RV rv)
{
    const struct rv_row *row = rv_row(rv);
    if (row != NULL)
        return row->name;
    return rv >= VENDOR_DEFINED ? "a vendor's error" : "an error that the standard does not name";
}

bool chy_rv_is_fatal(CK_RV rv)
{
    const struct rv_row *row = rv_row(rv);
    return row != NULL && row->what == RV_FATAL;
}

bool chy_rv_is_stale(CK_RV rv)
{
    const struct rv_row *row = rv_row(rv);
    return row != NULL && row->what == RV_KEY;
}

enum chy_err chy_rv_error(struct chy_error *err, CK_RV rv, const char *where, const char *function)
{
    bool is_unsupported = rv == CKR_MECHANISM_INVALID || rv == CKR_CURVE_NOT_SUPPORTED ||
                          rv == CKR_KEY_SIZE_RANGE || rv == CKR_FUNCTION_NOT_SUPPORTED;
    return chy_error_set(err, is_unsupported ? CHY_E_UNSUPPORTED : CHY_E_TOKEN, (int64_t)rv, where,
                         "%s answered %s (0x%lx)", function, chy_rv_name(rv), rv);
}
