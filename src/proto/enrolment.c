/* SPDX-License-Identifier: MIT */
#include "proto/enrolment.h"

#include "base/ct.h"
#include "codec/base64.h"

#define VERSION   "chy1"
#define PIN_CHARS 43
/* The longest part is the URL. */
#define PART_CHARS CHY_BASE64_LEN((size_t)CHY_LIMIT_URL)

static bool is_host_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
}

bool chy_url_is_origin(struct chy_str url)
{
    static const size_t scheme_n = sizeof "https://" - 1;
    if (!chy_str_starts(url, "https://") || url.n == scheme_n)
        return false;
    for (size_t i = scheme_n; i < url.n; i++) {
        if (!is_host_char(url.p[i]))
            return false;
    }
    return true;
}

/* The two alphabets differ in two characters, and one leaves the padding out. */
static bool url64_append(struct chy_buf *out, struct chy_bytes in)
{
    size_t start = out->n;
    if (!chy_base64_append(out, in))
        return false;
    while (out->n > start && out->p[out->n - 1] == '=')
        out->n--;
    for (size_t i = start; i < out->n; i++) {
        if (out->p[i] == '+')
            out->p[i] = '-';
        else if (out->p[i] == '/')
            out->p[i] = '_';
    }
    return true;
}

static enum chy_err url64_decode(struct chy_str in, struct chy_buf *out, struct chy_error *err)
{
    char text[PART_CHARS + 4];
    if (in.n > PART_CHARS)
        return chy_fail(err, CHY_E_LIMIT, "a part of the enrolment code has %zu characters", in.n);
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '+' || in.p[i] == '/' || in.p[i] == '=')
            return chy_fail(err, CHY_E_MALFORMED, "the enrolment code is not base64url");
        text[i] = in.p[i] == '-' ? '+' : in.p[i] == '_' ? '/' : in.p[i];
    }
    size_t n = in.n;
    while (n % 4 != 0)
        text[n++] = '=';
    enum chy_err r = chy_base64_decode((struct chy_str){ text, n }, out, err);
    chy_wipe(text, sizeof text);
    if (r == CHY_E_MALFORMED)
        return chy_fail(err, CHY_E_MALFORMED, "the enrolment code is not base64url");
    return r;
}

enum chy_err chy_enrolment_make(const uint8_t pin[CHY_HASH_BYTES],
                                const uint8_t secret[CHY_ENROLMENT_SECRET_BYTES],
                                struct chy_str url, struct chy_buf *out, struct chy_error *err)
{
    if (url.n > CHY_LIMIT_URL)
        return chy_fail(err, CHY_E_LIMIT, "the URL has %zu bytes, %d are the most", url.n,
                        CHY_LIMIT_URL);
    if (url.n != 0 && !chy_url_is_origin(url))
        return chy_fail(err, CHY_E_ARG, "the URL must be https://host[:port] and no more");
    chy_buf_append_c(out, VERSION ".");
    url64_append(out, (struct chy_bytes){ pin, CHY_HASH_BYTES });
    chy_buf_append_u8(out, '.');
    url64_append(out, (struct chy_bytes){ secret, CHY_ENROLMENT_SECRET_BYTES });
    if (url.n != 0) {
        chy_buf_append_u8(out, '.');
        url64_append(out, chy_str_bytes(url));
    }
    return chy_buf_check(out, err);
}

/* Cut what stands before the next dot off `s`; all of it when there is none. */
static struct chy_str part_take(struct chy_str *s)
{
    const char *dot = s->n != 0 ? memchr(s->p, '.', s->n) : NULL;
    struct chy_str part = { s->p, dot != NULL ? (size_t)(dot - s->p) : s->n };
    size_t used = part.n + (dot != NULL ? 1 : 0);
    *s = (struct chy_str){ s->p + used, s->n - used };
    return part;
}

static enum chy_err part_decode(struct chy_str part, void *to, size_t n, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&bytes, n);
    CHY_TRY(url64_decode(part, &bytes, err));
    if (bytes.n != n)
        return chy_fail(err, CHY_E_MALFORMED, "the enrolment code is cut short or changed");
    memcpy(to, bytes.p, n);
    chy_wipe(bytes.p, bytes.n);
    return CHY_OK;
}

static enum chy_err url_decode(struct chy_str part, char *to, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf bytes;
    chy_buf_init(&bytes, CHY_LIMIT_URL);
    CHY_TRY(url64_decode(part, &bytes, err));
    if (!chy_url_is_origin(chy_buf_str(&bytes)))
        return chy_fail(err, CHY_E_MALFORMED, "the enrolment code names no https:// server");
    memcpy(to, bytes.p, bytes.n);
    to[bytes.n] = '\0';
    return CHY_OK;
}

enum chy_err chy_enrolment_parse(struct chy_str code, struct chy_enrolment *ret_code,
                                 struct chy_error *err)
{
    struct chy_enrolment found = { 0 };
    struct chy_str rest = code;
    struct chy_str version = part_take(&rest);
    if (!chy_str_equal_c(version, VERSION)) {
        if (version.n == 4 && chy_str_starts(version, "chy") && version.p[3] >= '2' &&
            version.p[3] <= '9')
            return chy_fail(err, CHY_E_UNSUPPORTED,
                            "the enrolment code is of a later version; use a newer chancery");
        return chy_fail(err, CHY_E_MALFORMED, "an enrolment code begins with \"" VERSION ".\"");
    }
    struct chy_str pin = part_take(&rest);
    struct chy_str secret = part_take(&rest);
    if (pin.n != PIN_CHARS || secret.n != CHY_ENROLMENT_SECRET_CHARS)
        return chy_fail(err, CHY_E_MALFORMED, "the enrolment code is cut short or changed");
    CHY_TRY(part_decode(pin, found.pin, sizeof found.pin, err));
    uint8_t secret_bytes[CHY_ENROLMENT_SECRET_BYTES];
    CHY_TRY(part_decode(secret, secret_bytes, sizeof secret_bytes, err));
    chy_wipe(secret_bytes, sizeof secret_bytes);
    memcpy(found.secret, secret.p, secret.n);
    /* A dot with nothing behind it is no URL, nor is a second one. */
    bool has_url = secret.p + secret.n != code.p + code.n;
    if (has_url)
        CHY_TRY(url_decode(rest, found.url, err));
    *ret_code = found;
    chy_wipe(found.secret, sizeof found.secret);
    return CHY_OK;
}
