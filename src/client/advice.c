/* SPDX-License-Identifier: MIT */
#include "client/advice.h"

static const struct {
    enum chy_err code;
    const char *text;
} rows[] = {
    { CHY_E_EXPIRED, "Enrol again: ask an administrator for a new code." },
    { CHY_E_UNAUTHENTICATED,
      "Enrol this machine with chancery enroll, or set CHANCERY_TOKEN_FILE." },
    { CHY_E_BUSY, "Try again in a while." },
    { CHY_E_RATE, "Try again in a while." },
};

/* The connection was refused here: the server could not prove who it is. */
static const char *server_advice(const struct chy_settings *settings)
{
    if (settings->profile.pin.n != 0)
        return "If its administrator says that it has a new key, enrol again with a new code.";
    return "Name the CA of its certificate with CHANCERY_CA, or enrol with a code.";
}

const char *chy_client_advice(const struct chy_settings *settings, const struct chy_error *err)
{
    bool is_of_credential = err->code == CHY_E_EXPIRED || err->code == CHY_E_UNAUTHENTICATED;
    if (is_of_credential && settings->token != NULL)
        return "Ask an administrator for a new API token.";
    if (err->code == CHY_E_INTEGRITY && err->sys != 0)
        return server_advice(settings);
    if (err->code == CHY_E_STATE && settings->profile.url.n == 0)
        return "Enrol with chancery enroll, or set CHANCERY_URL.";
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++) {
        if (rows[i].code == err->code)
            return rows[i].text;
    }
    return NULL;
}
