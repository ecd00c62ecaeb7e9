/* SPDX-License-Identifier: MIT */
#include "crypto/name.h"

#include <arpa/inet.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "codec/der.h"
#include "codec/hex.h"

#define NAME_PARTS_MAX 32 /* of one subject; EV certificates have 12 */

enum general_name_tag {
    GN_EMAIL = 1,
    GN_DNS = 2,
    GN_URI = 6,
    GN_IP = 7
};

static const struct attribute {
    const char *name;
    unsigned tag;
    size_t oid_n;
    uint8_t oid[10];
} attributes[] = {
    { "CN", CHY_DER_UTF8_STRING, 3, { 0x55, 4, 3 } },
    { "SERIALNUMBER", CHY_DER_PRINTABLE_STRING, 3, { 0x55, 4, 5 } },
    { "C", CHY_DER_PRINTABLE_STRING, 3, { 0x55, 4, 6 } },
    { "L", CHY_DER_UTF8_STRING, 3, { 0x55, 4, 7 } },
    { "ST", CHY_DER_UTF8_STRING, 3, { 0x55, 4, 8 } },
    { "STREET", CHY_DER_UTF8_STRING, 3, { 0x55, 4, 9 } },
    { "O", CHY_DER_UTF8_STRING, 3, { 0x55, 4, 10 } },
    { "OU", CHY_DER_UTF8_STRING, 3, { 0x55, 4, 11 } },
    { "DC", CHY_DER_IA5_STRING, 10, { 9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25 } },
    { "UID", CHY_DER_UTF8_STRING, 10, { 9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1 } },
    { "emailAddress", CHY_DER_IA5_STRING, 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1 } },
};

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static const struct attribute *attribute_find(struct chy_str name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(attributes); i++) {
        size_t n = strlen(attributes[i].name);
        size_t k = 0;
        while (k < n && k < name.n && upper(attributes[i].name[k]) == upper(name.p[k]))
            k++;
        if (k == n && k == name.n)
            return &attributes[i];
    }
    return NULL;
}

/* One "type=value" of a name, its value unescaped. */
struct name_part {
    const struct attribute *attribute;
    size_t n;
    char value[CHY_LIMIT_NAME];
};

static struct chy_str trim(struct chy_str s)
{
    while (s.n > 0 && s.p[0] == ' ') {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

/* RFC 4514 section 3: a backslash before one of these, or before two hexadecimal digits. */
static size_t escape_take(struct chy_str s, size_t i, char *ret_c)
{
    static const char specials[] = "\"+,;<>\\ #=";
    uint8_t v = 0;
    if (i + 1 < s.n && memchr(specials, s.p[i + 1], sizeof specials - 1) != NULL) {
        *ret_c = s.p[i + 1];
        return 2;
    }
    if (i + 2 < s.n && chy_hex_decode((struct chy_str){ s.p + i + 1, 2 }, &v, 1, NULL) == CHY_OK) {
        *ret_c = (char)v;
        return 3;
    }
    return 0;
}

/* Unescape the value that begins at `s` up to a comma; how much of `s` that was, 0 if it is none.
 *  */
static size_t value_take(struct chy_str s, struct name_part *part)
{
    static const char forbidden[] = "\"+;<>=";
    size_t i = 0;
    size_t kept = 0; /* without unescaped spaces at the end */
    while (i < s.n && s.p[i] == ' ')
        i++;
    if (i < s.n && s.p[i] == '#')
        return 0;
    while (i < s.n && s.p[i] != ',') {
        char c = s.p[i];
        size_t taken = c == '\\' ? escape_take(s, i, &c) : 1;
        if (taken == 0 || part->n == sizeof part->value ||
            (taken == 1 && memchr(forbidden, c, sizeof forbidden - 1) != NULL))
            return 0;
        part->value[part->n++] = c;
        if (taken > 1 || c != ' ')
            kept = part->n;
        i += taken;
    }
    part->n = kept;
    return kept > 0 ? i : 0;
}

/* PrintableString (X.680): what C and SERIALNUMBER may have. */
static bool is_printable(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_alnum = (upper(c) >= 'A' && upper(c) <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (c == '\0' || strchr(" '()+,-./:=?", c) == NULL))
            return false;
    }
    return true;
}

static bool is_ascii(struct chy_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return true;
}

static bool part_is_valid(const struct name_part *part)
{
    const struct chy_str value = { part->value, part->n };
    if (part->attribute->tag == CHY_DER_PRINTABLE_STRING)
        return is_printable(value) && (strcmp(part->attribute->name, "C") != 0 || value.n == 2);
    if (part->attribute->tag == CHY_DER_IA5_STRING)
        return is_ascii(value);
    return chy_text_is_plain(value);
}

/* Take "type=value" and the comma behind it off `s`. */
static enum chy_err part_take(struct chy_str *s, struct name_part *part, struct chy_error *err)
{
    const char *equals = s->n > 0 ? memchr(s->p, '=', s->n) : NULL;
    if (equals == NULL)
        return chy_fail(err, CHY_E_ARG, "a part of a name is not type=value: \"%.*s\"",
                        CHY_STR_ARG(*s));
    struct chy_str type = trim((struct chy_str){ s->p, (size_t)(equals - s->p) });
    part->n = 0;
    part->attribute = attribute_find(type);
    if (part->attribute == NULL)
        return chy_fail(err, CHY_E_ARG, "a name cannot have the part \"%.*s\"", CHY_STR_ARG(type));
    struct chy_str rest = { equals + 1, s->n - (size_t)(equals + 1 - s->p) };
    size_t taken = value_take(rest, part);
    if (taken == 0 || !part_is_valid(part))
        return chy_fail(err, CHY_E_ARG,
                        "the value of %s in a name is empty, too long or not allowed",
                        part->attribute->name);
    bool has_more = taken < rest.n;
    *s = (struct chy_str){ rest.p + taken + has_more, rest.n - taken - has_more };
    if (has_more && trim(*s).n == 0)
        return chy_fail(err, CHY_E_ARG, "a name ends with a comma");
    return CHY_OK;
}

static void part_write(struct chy_der_writer *w, const struct name_part *part)
{
    chy_der_open(w, CHY_DER_SET);
    chy_der_open(w, CHY_DER_SEQUENCE);
    chy_der_put_oid(w, (struct chy_bytes){ part->attribute->oid, part->attribute->oid_n });
    chy_der_put(w, part->attribute->tag, chy_str_bytes((struct chy_str){ part->value, part->n }));
    chy_der_close(w);
    chy_der_close(w);
}

enum chy_err chy_name_write(struct chy_der_writer *w, struct chy_str text, struct chy_error *err)
{
    struct name_part parts[NAME_PARTS_MAX];
    size_t n = 0;
    struct chy_str rest = text;
    while (trim(rest).n > 0) {
        if (n == NAME_PARTS_MAX)
            return chy_fail(err, CHY_E_ARG, "a name has more than %d parts", NAME_PARTS_MAX);
        CHY_TRY(part_take(&rest, &parts[n++], err));
    }
    chy_der_open(w, CHY_DER_SEQUENCE);
    while (n > 0)
        part_write(w, &parts[--n]); /* the text has the last one first */
    chy_der_close(w);
    return CHY_OK;
}

static const struct general_name {
    const char *prefix;
    enum general_name_tag tag;
} general_names[] = {
    { "dns:", GN_DNS },
    { "ip:", GN_IP },
    { "uri:", GN_URI },
    { "email:", GN_EMAIL },
};

static enum chy_err ip_write(struct chy_der_writer *w, struct chy_str value, struct chy_error *err)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t address[16];
    if (value.n >= sizeof text)
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" is no IP address", CHY_STR_ARG(value));
    chy_copy(text, value.p, value.n);
    text[value.n] = '\0';
    size_t n = inet_pton(AF_INET, text, address) == 1    ? 4
               : inet_pton(AF_INET6, text, address) == 1 ? 16
                                                         : 0;
    if (n == 0 || memchr(value.p, '\0', value.n) != NULL)
        return chy_fail(err, CHY_E_ARG, "\"%.*s\" is no IP address", CHY_STR_ARG(value));
    chy_der_put(w, CHY_DER_CONTEXT(GN_IP), (struct chy_bytes){ address, n });
    return CHY_OK;
}

static enum chy_err general_name_write(struct chy_der_writer *w, struct chy_str name,
                                       struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(general_names); i++) {
        if (!chy_str_starts(name, general_names[i].prefix))
            continue;
        size_t skip = strlen(general_names[i].prefix);
        struct chy_str value = { name.p + skip, name.n - skip };
        if (value.n == 0 || value.n > CHY_LIMIT_TEXT || !is_ascii(value))
            break;
        if (general_names[i].tag == GN_IP)
            return ip_write(w, value, err);
        chy_der_put(w, CHY_DER_CONTEXT((unsigned)general_names[i].tag), chy_str_bytes(value));
        return CHY_OK;
    }
    return chy_fail(err, CHY_E_ARG,
                    "alternative name \"%.*s\" is none of dns:, ip:, uri: and email: with a value",
                    CHY_STR_ARG(name));
}

enum chy_err chy_general_names_write(struct chy_der_writer *w, const struct chy_str *names,
                                     size_t n, struct chy_error *err)
{
    if (n > CHY_LIMIT_SANS)
        return chy_fail(err, CHY_E_LIMIT, "%zu alternative names, %d are the most", n,
                        CHY_LIMIT_SANS);
    chy_der_open(w, CHY_DER_SEQUENCE);
    for (size_t i = 0; i < n; i++)
        CHY_TRY(general_name_write(w, names[i], err));
    chy_der_close(w);
    return CHY_OK;
}

static struct chy_str ip_text(struct chy_arena *a, struct chy_bytes body)
{
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(body.n == 4 ? AF_INET : AF_INET6, body.p, text, sizeof text) == NULL)
        return (struct chy_str){ NULL, 0 };
    return chy_arena_printf(a, "ip:%s", text);
}

/* The text of one name, `p` NULL when the arena is full; n is 0 for a kind that is left out. */
static enum chy_err general_name_read(struct chy_arena *a, const struct chy_der_item *item,
                                      struct chy_str *ret, struct chy_error *err)
{
    *ret = CHY_STR("");
    for (size_t i = 0; i < CHY_ARRAY_LEN(general_names); i++) {
        if (item->tag != CHY_DER_CONTEXT((unsigned)general_names[i].tag))
            continue;
        struct chy_str value = chy_bytes_str(item->body);
        if (general_names[i].tag == GN_IP) {
            if (value.n != 4 && value.n != 16)
                return chy_fail(err, CHY_E_MALFORMED, "an IP address of %zu bytes", value.n);
            *ret = ip_text(a, item->body);
        } else if (is_ascii(value) && value.n > 0) {
            *ret = chy_arena_printf(a, "%s%.*s", general_names[i].prefix, CHY_STR_ARG(value));
        } else {
            return chy_fail(err, CHY_E_MALFORMED, "an alternative name is not ASCII text");
        }
    }
    if (ret->p == NULL)
        return chy_fail(err, CHY_E_LIMIT, "alternative names do not fit into memory");
    return CHY_OK;
}

enum chy_err chy_general_names_read(struct chy_arena *a, struct chy_bytes der,
                                    struct chy_str **ret_names, size_t *ret_n,
                                    struct chy_error *err)
{
    struct chy_bytes seq;
    CHY_TRY(chy_der_take(&der, CHY_DER_SEQUENCE, &seq, err));
    CHY_TRY(chy_der_end(der, err));
    struct chy_str *names = chy_arena_array(a, struct chy_str, CHY_LIMIT_SANS);
    if (names == NULL)
        return chy_fail(err, CHY_E_LIMIT, "alternative names do not fit into memory");
    size_t n = 0;
    for (size_t seen = 0; seq.n > 0; seen++) {
        if (seen == CHY_LIMIT_SANS)
            return chy_fail(err, CHY_E_LIMIT, "more than %d alternative names", CHY_LIMIT_SANS);
        struct chy_der_item item;
        CHY_TRY(chy_der_next(&seq, &item, err));
        CHY_TRY(general_name_read(a, &item, &names[n], err));
        if (names[n].n > 0)
            n++;
    }
    *ret_names = names;
    *ret_n = n;
    return CHY_OK;
}
