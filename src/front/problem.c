/* SPDX-License-Identifier: MIT */
#include "front/problem.h"

#include "codec/hex.h"
#include "doc/doc.h"

int chy_problem_status(const struct chy_problem *p)
{
    return p->status != 0 ? p->status : chy_err_http_status(p->code);
}

bool chy_problem_is_public(enum chy_err code)
{
    switch (code) {
    case CHY_E_NOMEM:
    case CHY_E_IO:
    case CHY_E_NETWORK:
    case CHY_E_PROTOCOL:
    case CHY_E_STORE:
    case CHY_E_CRYPTO:
    case CHY_E_INTEGRITY:
    case CHY_E_INTERNAL:
        return false;
    case CHY_OK:
    case CHY_E_ARG:
    case CHY_E_MALFORMED:
    case CHY_E_LIMIT:
    case CHY_E_NOT_FOUND:
    case CHY_E_EXISTS:
    case CHY_E_CONFLICT:
    case CHY_E_DENIED:
    case CHY_E_FORBIDDEN:
    case CHY_E_UNAUTHENTICATED:
    case CHY_E_EXPIRED:
    case CHY_E_STATE:
    case CHY_E_BUSY:
    case CHY_E_TIMEOUT:
    case CHY_E_RATE:
    case CHY_E_TOKEN:
    case CHY_E_UNSUPPORTED:
        return true;
    }
    return false;
}

enum chy_err chy_problem_code_of(int status)
{
    switch (status) {
    case 404:
        return CHY_E_NOT_FOUND;
    case 408:
        return CHY_E_TIMEOUT;
    case 413:
    case 414:
    case 431:
        return CHY_E_LIMIT;
    case 405:
    case 415:
    case 417:
    case 501:
        return CHY_E_UNSUPPORTED;
    case 503:
        return CHY_E_BUSY;
    default:
        return CHY_E_MALFORMED;
    }
}

void chy_problem_write(const struct chy_problem *p, struct chy_buf *out)
{
    bool is_public = chy_problem_is_public(p->code) && p->detail.n > 0;
    chy_buf_printf(out, "{\"type\":\"" CHY_PROBLEM_TYPE "%s\",\"title\":\"%s\",\"status\":%d",
                   chy_err_type(p->code), chy_err_title(p->code), chy_problem_status(p));
    chy_buf_append_c(out, ",\"detail\":");
    chy_json_write_text(
        out, is_public ? p->detail : CHY_STR("The server's log says more under this request id."));
    chy_buf_append_c(out, ",\"request_id\":\"");
    chy_hex_append(out, (struct chy_bytes){ p->request_id, CHY_ID_BYTES });
    chy_buf_append_c(out, "\"");
    if (p->result.n > 0) {
        chy_buf_append_c(out, ",\"result\":");
        chy_buf_append_str(out, p->result);
    }
    chy_buf_append_c(out, "}\n");
}
