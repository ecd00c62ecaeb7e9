/* SPDX-License-Identifier: MIT */
#include "token/session.h"

#include "token/rv.h"

enum chy_err chy_session_error(struct chy_session *session, CK_RV rv, const char *where,
                               const char *function, struct chy_error *err)
{
    session->rv = rv;
    session->is_broken = session->is_broken || chy_rv_is_fatal(rv);
    return chy_rv_error(err, rv, where, function);
}
