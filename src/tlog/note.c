/* SPDX-License-Identifier: MIT */
#include "tlog/note.h"

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/hash.h"
#include "tlog/text.h"

#define KEY_KIND_ED25519 0x01
#define SIGNATURE_PREFIX CHY_STR("\xe2\x80\x94 ") /* em dash, space */

/* A signature line; the views are of the note. */
struct signature {
    struct chy_str name;
    struct chy_str base64;
};

bool chy_tlog_name_is_valid(struct chy_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= 0x20 || name.p[i] >= 0x7f || name.p[i] == '+')
            return false;
    return name.n > 0 && name.n <= CHY_LIMIT_NAME;
}

enum chy_err chy_tlog_vkey_make(struct chy_hasher *h, struct chy_str name,
                                const uint8_t public_key[CHY_ED25519_PUBLIC_BYTES],
                                struct chy_tlog_vkey *ret_key, struct chy_error *err)
{
    if (!chy_tlog_name_is_valid(name))
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" cannot be the name of a log key",
                        CHY_STR_ARG(name));
    struct chy_tlog_vkey key = { 0 };
    chy_copy(key.name, name.p, name.n);
    memcpy(key.public_key, public_key, sizeof key.public_key);

    static const uint8_t kind[] = { '\n', KEY_KIND_ED25519 };
    uint8_t digest[CHY_HASH_BYTES];
    chy_hasher_add(h, chy_str_bytes(name));
    chy_hasher_add(h, (struct chy_bytes){ kind, sizeof kind });
    chy_hasher_add(h, (struct chy_bytes){ public_key, CHY_ED25519_PUBLIC_BYTES });
    chy_hasher_end(h, digest);
    memcpy(key.id, digest, sizeof key.id);
    *ret_key = key;
    return CHY_OK;
}

enum chy_err chy_tlog_vkey_parse(struct chy_hasher *h, struct chy_str text,
                                 struct chy_tlog_vkey *ret_key, struct chy_error *err)
{
    const char *plus = text.n > 0 ? memchr(text.p, '+', text.n) : NULL;
    size_t name_n = plus != NULL ? (size_t)(plus - text.p) : 0;
    size_t id_n = (size_t)2 * CHY_TLOG_KEY_ID_BYTES;
    if (plus == NULL || text.n < name_n + id_n + 2 || text.p[name_n + 1 + id_n] != '+' ||
        !chy_tlog_name_is_valid((struct chy_str){ text.p, name_n }))
        return chy_fail(err, CHY_E_MALFORMED,
                        "a log key must have the form name+key id+base 64, not \"%.*s\"",
                        CHY_STR_ARG(text));
    uint8_t id[CHY_TLOG_KEY_ID_BYTES];
    CHY_TRY(chy_hex_decode((struct chy_str){ plus + 1, id_n }, id, sizeof id, err));

    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    chy_buf_init(&raw, CHY_LIMIT_NOTE_LINE);
    CHY_TRY(chy_base64_decode((struct chy_str){ plus + id_n + 2, text.n - name_n - id_n - 2 }, &raw,
                              err));
    if (raw.n > 0 && raw.p[0] != KEY_KIND_ED25519)
        return chy_fail(err, CHY_E_UNSUPPORTED, "log key \"%.*s\" is not an Ed25519 key",
                        CHY_STR_ARG(text));
    if (raw.n != 1 + CHY_ED25519_PUBLIC_BYTES)
        return chy_fail(err, CHY_E_MALFORMED, "log key \"%.*s\" has not the length of a key",
                        CHY_STR_ARG(text));

    struct chy_tlog_vkey key;
    CHY_TRY(chy_tlog_vkey_make(h, (struct chy_str){ text.p, name_n }, raw.p + 1, &key, err));
    if (!chy_bytes_equal((struct chy_bytes){ key.id, sizeof key.id },
                         (struct chy_bytes){ id, sizeof id }))
        return chy_fail(err, CHY_E_MALFORMED, "the key id in log key \"%.*s\" is not that key's",
                        CHY_STR_ARG(text));
    *ret_key = key;
    return CHY_OK;
}

bool chy_tlog_vkey_append(struct chy_buf *out, const struct chy_tlog_vkey *key)
{
    uint8_t raw[1 + CHY_ED25519_PUBLIC_BYTES] = { KEY_KIND_ED25519 };
    memcpy(raw + 1, key->public_key, sizeof key->public_key);
    return chy_buf_append_c(out, key->name) && chy_buf_append_c(out, "+") &&
           chy_hex_append(out, (struct chy_bytes){ key->id, sizeof key->id }) &&
           chy_buf_append_c(out, "+") &&
           chy_base64_append(out, (struct chy_bytes){ raw, sizeof raw });
}

/* Take the next signature line off `s`. */
static bool signature_take(struct chy_str *s, struct signature *ret)
{
    struct chy_str line;
    if (!tlog_line_take(s, &line) || line.n > CHY_LIMIT_NOTE_LINE ||
        !tlog_text_skip(&line, SIGNATURE_PREFIX))
        return false;
    const char *space = line.n > 0 ? memchr(line.p, ' ', line.n) : NULL;
    if (space == NULL || space == line.p)
        return false;
    size_t n = (size_t)(space - line.p);
    *ret = (struct signature){ { line.p, n }, { space + 1, line.n - n - 1 } };
    return memchr(line.p, '+', n) == NULL;
}

/* Part a note at its last blank line. */
static enum chy_err note_split(struct chy_bytes note, struct chy_str *ret_text,
                               struct chy_str *ret_signatures, struct chy_error *err)
{
    struct chy_str s = chy_bytes_str(note);
    if (s.n > CHY_LIMIT_NOTE)
        return chy_fail(err, CHY_E_LIMIT, "a signed note of %zu bytes, %d are the most", s.n,
                        CHY_LIMIT_NOTE);
    if (!tlog_text_is_valid(s))
        return chy_fail(err, CHY_E_MALFORMED,
                        "a signed note must be UTF-8 without control characters");
    size_t at = s.n;
    while (at >= 2 && !(s.p[at - 1] == '\n' && s.p[at - 2] == '\n'))
        at--;
    if (at < 2)
        return chy_fail(err, CHY_E_MALFORMED, "a signed note has no blank line before signatures");
    *ret_text = (struct chy_str){ s.p, at - 1 };
    *ret_signatures = (struct chy_str){ s.p + at, s.n - at };
    return CHY_OK;
}

/* The key that a signature line names, or NULL. The line's signature, key id included, must be base
 * 64 even of a key that is not known. */
static enum chy_err signature_find_key(const struct signature *sig,
                                       const struct chy_tlog_vkey *keys, size_t n_keys,
                                       struct chy_buf *raw, const struct chy_tlog_vkey **ret_key,
                                       struct chy_error *err)
{
    chy_buf_clear(raw);
    CHY_TRY(chy_base64_decode(sig->base64, raw, err));
    if (raw->n <= CHY_TLOG_KEY_ID_BYTES)
        return chy_fail(err, CHY_E_MALFORMED, "a signature of a note is too short");
    *ret_key = NULL;
    for (size_t i = 0; i < n_keys; i++)
        if (chy_str_equal_c(sig->name, keys[i].name) &&
            chy_bytes_equal((struct chy_bytes){ raw->p, CHY_TLOG_KEY_ID_BYTES },
                            (struct chy_bytes){ keys[i].id, CHY_TLOG_KEY_ID_BYTES }))
            *ret_key = &keys[i];
    return CHY_OK;
}

/* Every line must be a signature and those of `keys` good. */
static enum chy_err signatures_check(struct chy_str text, struct chy_str lines,
                                     const struct chy_tlog_vkey *keys, size_t n_keys,
                                     struct chy_str signer, bool *ret_has_signer,
                                     struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf raw;
    chy_buf_init(&raw, CHY_LIMIT_NOTE_LINE);
    bool has_signer = false;
    size_t n = 0;
    for (; lines.n > 0; n++) {
        struct signature sig;
        if (n == CHY_LIMIT_NOTE_SIGNATURES)
            return chy_fail(err, CHY_E_LIMIT, "a note with more than %d signatures",
                            CHY_LIMIT_NOTE_SIGNATURES);
        if (!signature_take(&lines, &sig))
            return chy_fail(err, CHY_E_MALFORMED, "signature line %zu of a note is malformed",
                            n + 1);
        const struct chy_tlog_vkey *key = NULL;
        CHY_TRY(signature_find_key(&sig, keys, n_keys, &raw, &key, err));
        if (key == NULL)
            continue;
        const struct chy_bytes value = { raw.p + CHY_TLOG_KEY_ID_BYTES,
                                         raw.n - CHY_TLOG_KEY_ID_BYTES };
        if (chy_ed25519_verify(key->public_key, chy_str_bytes(text), value, err) != CHY_OK)
            return chy_error_prefix(err, CHY_E_INTEGRITY, "the note's signature by %s", key->name);
        has_signer = has_signer || chy_str_equal_c(signer, key->name);
    }
    if (n == 0)
        return chy_fail(err, CHY_E_MALFORMED, "a note without signatures");
    *ret_has_signer = has_signer;
    return CHY_OK;
}

static enum chy_err note_check(struct chy_bytes note, const struct chy_tlog_vkey *keys,
                               size_t n_keys, struct chy_str signer, struct chy_str *ret_text,
                               bool *ret_has_signer, struct chy_error *err)
{
    struct chy_str text;
    struct chy_str lines;
    CHY_TRY(note_split(note, &text, &lines, err));
    CHY_TRY(signatures_check(text, lines, keys, n_keys, signer, ret_has_signer, err));
    *ret_text = text;
    return CHY_OK;
}

enum chy_err chy_tlog_note_text(struct chy_bytes note, struct chy_str *ret_text,
                                struct chy_error *err)
{
    bool has_signer = false;
    return note_check(note, NULL, 0, CHY_STR(""), ret_text, &has_signer, err);
}

enum chy_err chy_tlog_note_open(struct chy_bytes note, const struct chy_tlog_vkey *keys,
                                size_t n_keys, struct chy_str signer, struct chy_str *ret_text,
                                struct chy_error *err)
{
    struct chy_str text;
    bool has_signer = false;
    CHY_TRY(note_check(note, keys, n_keys, signer, &text, &has_signer, err));
    if (!has_signer)
        return chy_fail(err, CHY_E_INTEGRITY,
                        "the note has no signature by a known key of \"%.*s\"",
                        CHY_STR_ARG(signer));
    *ret_text = text;
    return CHY_OK;
}

enum chy_err chy_tlog_note_make(struct chy_buf *out, struct chy_str text,
                                const struct chy_tlog_vkey *key,
                                const uint8_t signature[CHY_ED25519_SIGNATURE_BYTES],
                                struct chy_error *err)
{
    if (text.n == 0 || text.p[text.n - 1] != '\n' || !tlog_text_is_valid(text))
        return chy_fail(err, CHY_E_ARG, "a note's text must be lines of UTF-8, the last one ended");
    uint8_t raw[CHY_TLOG_KEY_ID_BYTES + CHY_ED25519_SIGNATURE_BYTES];
    memcpy(raw, key->id, sizeof key->id);
    memcpy(raw + sizeof key->id, signature, CHY_ED25519_SIGNATURE_BYTES);
    /* The buffer remembers the first of these that fails. */
    CHY_IGNORE(chy_buf_append_str(out, text));
    CHY_IGNORE(chy_buf_append_c(out, "\n"));
    CHY_IGNORE(chy_buf_append_str(out, SIGNATURE_PREFIX));
    CHY_IGNORE(chy_buf_printf(out, "%s ", key->name));
    CHY_IGNORE(chy_base64_append(out, (struct chy_bytes){ raw, sizeof raw }));
    CHY_IGNORE(chy_buf_append_c(out, "\n"));
    return chy_buf_check(out, err);
}
