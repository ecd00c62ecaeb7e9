/* SPDX-License-Identifier: MIT */
#include "inspect/recognize_ssh.h"

#include "codec/ssh_wire.h"
#include "policy/facts.h"

#define MESSAGE_USERAUTH_REQUEST 50 /* RFC 4252 section 6 */

static bool ends_in(struct chy_bytes text, const char *end)
{
    const struct chy_bytes e = chy_str_bytes(chy_str_of(end));
    return text.n >= e.n && chy_bytes_equal((struct chy_bytes){ text.p + text.n - e.n, e.n }, e);
}

/* OpenSSH's PROTOCOL.sshsig, section 3: a preamble of its own, and what is signed as a digest. */
static bool is_signature(struct chy_bytes content)
{
    return chy_str_starts(chy_bytes_str(content), "SSHSIG");
}

/* OpenSSH's PROTOCOL.certkeys: the certificate's type, then a nonce; the signature is not part of
 * it. */
static bool is_certificate(struct chy_bytes content)
{
    struct chy_bytes type;
    struct chy_bytes nonce;
    return chy_ssh_take_string(&content, &type, NULL) == CHY_OK &&
           (ends_in(type, "-cert-v01@openssh.com") || ends_in(type, "-cert-v00@openssh.com")) &&
           chy_ssh_take_string(&content, &nonce, NULL) == CHY_OK;
}

/* RFC 4252 section 7: the session's identifier, then the request that is signed. */
static bool is_login(struct chy_bytes content)
{
    struct chy_bytes session;
    struct chy_bytes user;
    uint8_t message = 0;
    return chy_ssh_take_string(&content, &session, NULL) == CHY_OK &&
           chy_ssh_take_u8(&content, &message, NULL) == CHY_OK &&
           message == MESSAGE_USERAUTH_REQUEST &&
           chy_ssh_take_string(&content, &user, NULL) == CHY_OK;
}

const char *inspect_recognize_ssh(struct chy_bytes content)
{
    static const struct {
        bool (*is_it)(struct chy_bytes content);
        const char *name;
    } shapes[] = {
        { is_signature, CHY_CONTENT_SSH_SIGNATURE },
        { is_certificate, CHY_CONTENT_SSH_CERTIFICATE },
        { is_login, CHY_CONTENT_SSH_LOGIN },
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(shapes); i++) {
        if (shapes[i].is_it(content))
            return shapes[i].name;
    }
    return NULL;
}
