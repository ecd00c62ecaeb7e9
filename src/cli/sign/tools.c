/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "cli/sign/files.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define KIND(k)   (1u << CHY_FORMAT_##k)

#define JAVA_ARCHIVES (KIND(JAR) | KIND(WAR) | KIND(EAR))
#define AUTHENTICODE  (KIND(PE) | KIND(MSI) | KIND(CAB) | KIND(CAT))
#define ANYTHING      UINT32_MAX

#define WORDS_MAX 32

/* The first row of a kind whose program is installed signs it, so the better tool stands first. */
const struct sign_tool sign_tools[] = {
    {
        .name = "jarsigner",
        .page = "java.md",
        .kinds = JAVA_ARCHIVES,
        .words = LIST("jarsigner", "{stamp}", "-signedjar", "{out}", "{file}", "{key}"),
        .stamp = LIST("-tsa", "{tsa}"),
        .again = "jarsigner keeps the signatures of other keys and replaces that of the same name",
    },
    {
        .name = "apksigner",
        .page = "java.md",
        .kinds = KIND(APK),
        .words = LIST("apksigner", "sign", "--ks-key-alias", "{key}", "--v4-signing-enabled",
                      "false", "--out", "{out}", "{file}"),
        .again = "apksigner replaces all that are there",
    },
    {
        .name = "sbsign",
        .page = "firmware.md",
        .kinds = KIND(EFI),
        .flags = SIGN_CERTIFICATE,
        .words =
            LIST("sbsign", "--key", "{uri}", "--cert", "{cert}", "--output", "{out}", "{file}"),
        .again = "sbsign adds one beside those that are there",
    },
    {
        .name = "osslsigncode",
        .page = "osslsigncode.md",
        .kinds = AUTHENTICODE | KIND(EFI),
        .flags = SIGN_CERTIFICATE,
        .words = LIST("osslsigncode", "sign", "-h", "sha256", "{stamp}", "{chain}", "-pkcs11cert",
                      "{uri}", "-key", "{uri}", "-in", "{file}", "-out", "{out}"),
        .stamp = LIST("-ts", "{tsa}"),
        .chain = LIST("-ac", "{issuers}"),
        .again = "osslsigncode replaces all that are there",
    },
    {
        .name = "jsign",
        .page = "jsign.md",
        .kinds = AUTHENTICODE | KIND(EFI) | KIND(MSIX) | KIND(POWERSHELL) | KIND(NUGET),
        .flags = SIGN_IN_PLACE,
        .words = LIST("jsign", "--alias", "{key}", "{stamp}", "{force}", "{out}"),
        .stamp = LIST("--tsaurl", "{tsa}", "--tsmode", "RFC3161"),
        .force = LIST("--replace"),
        .again = "jsign replaces all that are there",
    },
    {
        .name = "rpmsign",
        .page = "rpm.md",
        .kinds = KIND(RPM),
        .flags = SIGN_IN_PLACE,
        .words = LIST("rpmsign", "--key-id", "{key}", "--addsign", "{out}"),
        .again = "rpmsign replaces it",
    },
    {
        .name = "debsigs",
        .page = "deb.md",
        .kinds = KIND(DEB),
        .flags = SIGN_IN_PLACE,
        .words = LIST("debsigs", "--sign=origin", "-k", "{key}", "{out}"),
        .again = "debsigs replaces the one of the same role",
    },
    {
        .name = "module",
        .kinds = KIND(MODULE),
        .flags = SIGN_APPENDED | SIGN_CERTIFICATE,
        .again = "another is put behind it, and the kernel reads the last",
    },
    {
        .name = "cms",
        .kinds = ANYTHING,
        .flags = SIGN_DETACHED | SIGN_CERTIFICATE,
        .again = "the file beside it is replaced",
    },
};
const size_t sign_tools_n = CHY_ARRAY_LEN(sign_tools);

/* --- choosing --- */

/* What has a format of its own is not signed beside it unless that is asked for. */
static bool is_for(const struct sign_tool *t, enum chy_format_kind kind, struct chy_str name)
{
    static const uint32_t without_format = KIND(UNKNOWN) | KIND(ZIP) | KIND(XML);
    uint32_t kinds = (t->flags & SIGN_DETACHED) != 0 && name.n == 0 ? without_format : t->kinds;
    return (kinds & 1u << kind) != 0 && (name.n == 0 || chy_str_equal_c(name, t->name));
}

static enum chy_err tell_missing(enum chy_format_kind kind, struct chy_str name,
                                 const struct sign_tool *missing, struct chy_error *err)
{
    const char *kind_name = chy_enum_name(&chy_format_kind_enum, (int)kind);
    if (missing != NULL)
        return chy_fail(err, CHY_E_NOT_FOUND,
                        "%s, which signs what is %s, is not in PATH: see docs/tools/%s",
                        missing->name, kind_name, missing->page);
    if (name.n != 0)
        return chy_fail(err, CHY_E_NOT_FOUND, "%.*s is not known to sign what is %s",
                        CHY_STR_ARG(name), kind_name);
    return chy_fail(err, CHY_E_NOT_FOUND,
                    "no tool is known here that signs what is %s: --detached signs it in a file "
                    "beside it",
                    kind_name);
}

enum chy_err sign_tool_choose(enum chy_format_kind kind, struct chy_str name,
                              bool (*is_there)(void *ctx, const char *program), void *ctx,
                              const struct sign_tool **ret_tool, struct chy_error *err)
{
    const struct sign_tool *missing = NULL;
    for (size_t i = 0; i < sign_tools_n; i++) {
        const struct sign_tool *t = &sign_tools[i];
        if (!is_for(t, kind, name))
            continue;
        if (t->words == NULL || is_there(ctx, t->words[0])) {
            *ret_tool = t;
            return CHY_OK;
        }
        missing = missing != NULL ? missing : t;
    }
    return tell_missing(kind, name, missing, err);
}

/* --- words --- */

struct expander {
    const struct sign_run *run;
    const struct sign_file *file;
    struct chy_arena *arena;
    struct chy_str *words;
    size_t n;
    bool is_out_of_memory;
};

/* RFC 7512 section 2.3 lets these stand as they are. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static void append_uri(struct chy_buf *out, struct chy_str key)
{
    chy_buf_append_c(out, "pkcs11:object=");
    for (size_t i = 0; i < key.n; i++) {
        if (is_plain(key.p[i]))
            chy_buf_append_u8(out, (uint8_t)key.p[i]);
        else
            chy_buf_printf(out, "%%%02X", (unsigned)(uint8_t)key.p[i]);
    }
}

static void append_value(const struct expander *x, struct chy_buf *out, struct chy_str name)
{
    const struct {
        const char *name;
        struct chy_str value;
    } values[] = {
        { "{file}", chy_str_of(x->file->path) },
        { "{out}", chy_str_of(x->file->unplaced) },
        { "{key}", x->run->key },
        { "{cert}", x->run->certificates.cert },
        { "{tsa}", x->run->tsa },
        { "{issuers}", x->run->certificates.issuers },
    };
    if (chy_str_equal_c(name, "{uri}"))
        append_uri(out, x->run->key);
    for (size_t i = 0; i < CHY_ARRAY_LEN(values); i++)
        if (chy_str_equal_c(name, values[i].name))
            chy_buf_append_str(out, values[i].value);
}

static void add_word(struct expander *x, const char *word)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    CHY_ASSERT(x->n < WORDS_MAX);
    chy_buf_init(&out, (size_t)2 * CHY_LIMIT_PATH);
    if (word[0] == '{')
        append_value(x, &out, chy_str_of(word));
    else
        chy_buf_append_c(&out, word);
    x->words[x->n] = chy_arena_str(x->arena, chy_buf_str(&out));
    if (x->words[x->n++].p == NULL || chy_buf_check(&out, NULL) != CHY_OK)
        x->is_out_of_memory = true;
}

static void add_words(struct expander *x, const char *const *words, bool is_wanted)
{
    for (size_t i = 0; is_wanted && words != NULL && words[i] != NULL; i++)
        add_word(x, words[i]);
}

static void add_template(struct expander *x, const char *word)
{
    const struct sign_tool *t = x->file->tool;
    if (strcmp(word, "{stamp}") == 0)
        add_words(x, t->stamp, x->run->tsa.n != 0);
    else if (strcmp(word, "{force}") == 0)
        add_words(x, t->force, x->file->result.was_signed);
    else if (strcmp(word, "{chain}") == 0)
        add_words(x, t->chain, x->run->certificates.issuers.n != 0);
    else
        add_word(x, word);
}

enum chy_err sign_tool_words(const struct sign_run *run, const struct sign_file *f,
                             struct chy_arena *arena, struct chy_strs *ret_words,
                             struct chy_error *err)
{
    struct expander x = { .run = run, .file = f, .arena = arena };
    x.words = chy_arena_array(arena, struct chy_str, WORDS_MAX);
    if (x.words == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a tool's words");
    for (size_t i = 0; f->tool->words[i] != NULL; i++)
        add_template(&x, f->tool->words[i]);
    if (x.is_out_of_memory)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a tool's words");
    *ret_words = (struct chy_strs){ x.words, x.n };
    return CHY_OK;
}
