/* SPDX-License-Identifier: MIT */
/* Too much taken out costs a rule that looked for it; too little costs a password in a log that
 * nothing is ever deleted from. */
#include "agent/redact.h"

#include <string.h>

#define CUT "..."

/* Words after which a secret follows: as the next word, behind '=', or behind ':' where that is no
 * name of a place. `program` is the base name of the first word; NULL: any. */
static const struct {
    const char *option;
    const char *program;
} options[] = {
    /* keytool, jarsigner, jsign, apksigner */
    { "-storepass", NULL },
    { "-keypass", NULL },
    { "-new", "keytool" },
    { "-srcstorepass", NULL },
    { "-srckeypass", NULL },
    { "-deststorepass", NULL },
    { "-destkeypass", NULL },
    { "--storepass", NULL },
    { "--keypass", NULL },
    { "--ks-pass", NULL },
    { "--key-pass", NULL },
    /* openssl, osslsigncode */
    { "-pass", NULL },
    { "-passin", NULL },
    { "-passout", NULL },
    { "-passcerts", NULL },
    { "-password", NULL },
    { "-key_pass", NULL },
    { "-k", "openssl" },
    { "-K", "openssl" },
    { "-passwd", NULL },
    /* pkcs11-tool, p11tool, pkcs15-tool, softhsm2-util */
    { "-p", "pkcs11-tool" },
    { "--pin", NULL },
    { "-pin", NULL },
    { "--so-pin", NULL },
    { "--new-pin", NULL },
    { "--puk", NULL },
    { "--set-pin", NULL },
    { "--set-so-pin", NULL },
    { "--auth-pin", NULL },
    /* signtool and the like under wine, mono's signcode */
    { "/p", NULL },
    /* gpg, rpmsign, ssh-keygen, curl, cosign and what people write themselves */
    { "--passphrase", NULL },
    { "-passphrase", NULL },
    { "-N", "ssh-keygen" },
    { "-P", "ssh-keygen" },
    { "-u", "curl" },
    { "--user", "curl" },
    { "--password", NULL },
    { "--pass", NULL },
    { "--passwd", NULL },
    { "--token", NULL },
    { "--api-key", NULL },
    { "--apikey", NULL },
    { "--secret", NULL },
    { "--client-secret", NULL },
    { "--registry-password", NULL },
    { "--identity-token", NULL },
};

/* NAME=VALUE anywhere: assignments, Java properties, PKCS#11 URIs. The value ends at the next of
 * these characters. */
static const struct {
    const char *name; /* the end of it, in lower case */
    const char *ends;
} assignments[] = {
    { "pin-value", "&;?" }, { "password", ";" }, { "passwd", ";" },  { "passphrase", ";" },
    { "secret", ";" },      { "token", ";" },    { "apikey", ";" },  { "api_key", ";" },
    { "storepass", ";" },   { "keypass", ";" },  { "userpin", ";" }, { "access_key", ";" },
};

/* Values that say where the secret is. Source: openssl-passphrase-options(1), apksigner's help,
 * keytool's. */
static const char *const places[] = { "env:", "file:", "fd:", "stdin", "prompt", "ask" };

/* --- finding --- */

static bool is_place(struct chy_str value)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        if (chy_str_starts(value, places[i]))
            return true;
    }
    return false;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool ends_with(struct chy_str text, const char *end)
{
    size_t n = strlen(end);
    if (text.n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (lower(text.p[text.n - n + i]) != end[i])
            return false;
    }
    return true;
}

/* Where the secret of this word begins: its length if there is none in it; *ret_next when the next
 * word is one. */
static size_t option_secret(struct chy_str word, struct chy_str program, bool *ret_next)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(options); i++) {
        size_t n = strlen(options[i].option);
        bool is_it = chy_str_starts(word, options[i].option) &&
                     (options[i].program == NULL || chy_str_equal_c(program, options[i].program));
        if (!is_it)
            continue;
        if (word.n == n) {
            *ret_next = true;
            return word.n;
        }
        if (word.p[n] != '=' && word.p[n] != ':')
            continue;
        /* "-storepass:env NAME" and "-storepass:file NAME" name a place in the next word. */
        struct chy_str rest = { word.p + n + 1, word.n - n - 1 };
        bool names_place = chy_str_equal_c(rest, "env") || chy_str_equal_c(rest, "file");
        return names_place || is_place(rest) ? word.n : n + 1;
    }
    return word.n;
}

/* The length of a secret that begins at `at`, by what stands before it; 0: none. */
static size_t assigned_secret(struct chy_str word, size_t at)
{
    struct chy_str before = { word.p, at - 1 };
    for (size_t i = 0; i < CHY_ARRAY_LEN(assignments); i++) {
        if (!ends_with(before, assignments[i].name))
            continue;
        size_t n = 0;
        while (at + n < word.n && strchr(assignments[i].ends, word.p[at + n]) == NULL)
            n++;
        return is_place((struct chy_str){ word.p + at, n }) ? 0 : n;
    }
    return 0;
}

/* "scheme://user:SECRET@host": the length of what stands between ':' and '@'. */
static size_t userinfo_secret(struct chy_str word, size_t at)
{
    const char *scheme = memmem(word.p, at, "://", 3);
    if (scheme == NULL || memchr(scheme + 3, '/', (size_t)(word.p + at - scheme - 3)) != NULL ||
        memchr(scheme + 3, ':', (size_t)(word.p + at - 1 - scheme - 3)) != NULL)
        return 0;
    size_t n = 0;
    while (at + n < word.n && word.p[at + n] != '@' && word.p[at + n] != '/')
        n++;
    return at + n < word.n && word.p[at + n] == '@' ? n : 0;
}

/* --- writing --- */

/* All or nothing of one piece: false once the line is full. */
static bool put(struct chy_buf *out, const char *p, size_t n)
{
    return out->max - out->n >= n + strlen(CUT) &&
           chy_buf_append(out, (struct chy_bytes){ (const uint8_t *)p, n });
}

static bool needs_quotes(struct chy_str word)
{
    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];
        if (c == ' ' || c == '\'' || c == '"' || c == '\\')
            return true;
    }
    return word.n == 0;
}

static bool put_character(struct chy_buf *out, struct chy_str rest, size_t *ret_n)
{
    size_t n = chy_utf8_char(rest);
    *ret_n = n != 0 ? n : 1;
    unsigned char c = (unsigned char)rest.p[0];
    if (n == 0 || c < 0x20 || c == 0x7f)
        return put(out, "?", 1);
    if (c == '\'')
        return put(out, "'\\''", 4);
    return put(out, rest.p, n);
}

static bool put_word(struct chy_buf *out, struct chy_str word, size_t secret_at)
{
    size_t secret_n = secret_at < word.n ? word.n - secret_at : 0;
    for (size_t i = 0; i < word.n;) {
        bool is_behind = i > 0 && secret_n == 0;
        if (is_behind && word.p[i - 1] == '=')
            secret_n = assigned_secret(word, i);
        else if (is_behind && word.p[i - 1] == ':')
            secret_n = userinfo_secret(word, i);
        if (secret_n != 0 && (secret_at >= word.n || i == secret_at)) {
            if (!put(out, CHY_REDACTED, strlen(CHY_REDACTED)))
                return false;
            i += secret_n;
            secret_n = 0;
            secret_at = word.n;
            continue;
        }
        size_t n;
        if (!put_character(out, (struct chy_str){ word.p + i, word.n - i }, &n))
            return false;
        i += n;
    }
    return true;
}

static bool put_quoted(struct chy_buf *out, struct chy_str word, size_t secret_at)
{
    bool has_quotes = needs_quotes(word);
    return (!has_quotes || put(out, "'", 1)) && put_word(out, word, secret_at) &&
           (!has_quotes || put(out, "'", 1));
}

/* A word that is a secret as a whole: its "pass:" is none. */
static size_t value_secret(struct chy_str word)
{
    if (is_place(word))
        return word.n;
    return chy_str_starts(word, "pass:") ? strlen("pass:") : 0;
}

bool chy_command_redact(struct chy_bytes command, struct chy_buf *out)
{
    struct chy_str rest = chy_bytes_str(command);
    struct chy_str program = { 0 };
    bool is_secret = false;
    for (size_t at = 0; rest.n != 0; at++) {
        struct chy_str word = { rest.p, strnlen(rest.p, rest.n) };
        size_t used = CHY_MIN(word.n + 1, rest.n);
        rest = (struct chy_str){ rest.p + used, rest.n - used };
        if (at == 0)
            program = chy_str_base_name(word);
        bool is_next = false;
        size_t secret_at = is_secret ? value_secret(word) : option_secret(word, program, &is_next);
        is_secret = is_next;
        if ((at != 0 && !put(out, " ", 1)) || !put_quoted(out, word, secret_at)) {
            CHY_IGNORE(chy_buf_append_c(out, CUT)); /* room was left for it */
            break;
        }
    }
    return !out->is_out_of_memory;
}
