/* SPDX-License-Identifier: MIT */
/* One file: what it is, who verifies it, what is beside it, and the verdict of all that. */
#include "os/file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "cli/verify/verify.h"
#include "client/artifact.h"
#include "os/fd.h"
#include "os/file_stream.h"

#define OWN "chancery"

/* Who verifies what a file holds: we ourselves, or a tool. */
static const struct {
    enum chy_format_kind kind;
    enum chy_verify_form own; /* with a tool: what was signed */
    enum verify_tool_id tool;
} embedded[] = {
    { CHY_FORMAT_JAR, 0, VERIFY_TOOL_JARSIGNER },
    { CHY_FORMAT_WAR, 0, VERIFY_TOOL_JARSIGNER },
    { CHY_FORMAT_EAR, 0, VERIFY_TOOL_JARSIGNER },
    { CHY_FORMAT_APK, 0, VERIFY_TOOL_APKSIGNER },
    { CHY_FORMAT_MSIX, CHY_VERIFY_MSIX, VERIFY_TOOL_NONE },
    { CHY_FORMAT_NUGET, CHY_VERIFY_NUGET, VERIFY_TOOL_NONE },
    { CHY_FORMAT_PE, CHY_VERIFY_PE, VERIFY_TOOL_NONE },
    { CHY_FORMAT_EFI, CHY_VERIFY_PE, VERIFY_TOOL_NONE },
    { CHY_FORMAT_MSI, 0, VERIFY_TOOL_OSSLSIGNCODE },
    { CHY_FORMAT_CAB, 0, VERIFY_TOOL_OSSLSIGNCODE },
    { CHY_FORMAT_CAT, CHY_VERIFY_PKCS7, VERIFY_TOOL_NONE },
    { CHY_FORMAT_POWERSHELL, CHY_VERIFY_SCRIPT, VERIFY_TOOL_NONE },
    { CHY_FORMAT_RPM, CHY_VERIFY_RPM, VERIFY_TOOL_RPMKEYS },
    { CHY_FORMAT_DEB, CHY_VERIFY_DEB, VERIFY_TOOL_DEB },
    { CHY_FORMAT_MODULE, CHY_VERIFY_MODULE, VERIFY_TOOL_NONE },
    { CHY_FORMAT_FIT, 0, VERIFY_TOOL_FIT },
    { CHY_FORMAT_XML, 0, VERIFY_TOOL_XMLSEC },
};

/* --- verdicts --- */

static void verifier_add(struct verify_file *f, const char *verifier)
{
    for (size_t i = 0; i < f->row.verifiers.n; i++) {
        if (chy_str_equal_c(f->verifiers[i], verifier))
            return;
    }
    if (f->row.verifiers.n < CHY_ARRAY_LEN(f->verifiers))
        f->verifiers[f->row.verifiers.n++] = chy_str_of(verifier);
}

/* How much worse than GOOD; none yet is better than all. */
static int badness(enum verify_verdict v)
{
    return v == VERIFY_BAD ? 3 : v == VERIFY_UNKNOWN ? 2 : v == VERIFY_GOOD ? 1 : 0;
}

void verify_say(struct verify_file *f, enum verify_verdict verdict, const char *verifier,
                const char *fmt, ...)
{
    char text[CHY_ERROR_TEXT_BYTES];
    struct chy_error clean;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (verifier != NULL)
        verifier_add(f, verifier);
    if (badness(verdict) <= badness(f->row.verdict))
        return;
    chy_fail(&clean, CHY_E_INTERNAL, "%s", text); /* takes out what steers a terminal */
    f->row.verdict = verdict;
    f->row.detail = chy_arena_str(f->arena, chy_str_of(clean.text));
}

void verify_say_error(struct verify_file *f, enum chy_err r, const char *verifier,
                      const struct chy_error *why)
{
    bool is_unknown = chy_err_exit_code(r) == CHY_CLI_TROUBLE || r == CHY_E_LIMIT;
    verify_say(f, is_unknown ? VERIFY_UNKNOWN : VERIFY_BAD, verifier, "%s", why->text);
}

struct chy_verify_signer *verify_add_signer(struct verify_file *f)
{
    if (f->n_signers == CHY_LIMIT_VERIFY_SIGNERS)
        return NULL;
    f->row.signers.p = f->signers;
    f->row.signers.n = ++f->n_signers;
    return &f->signers[f->n_signers - 1];
}

/* --- beside the file --- */

/* Its verdict, and what was signed, for the log; `form` 0: that is not known. */
static void look_by_tool(struct verify_file *f, enum verify_tool_id tool, enum chy_verify_form form,
                         struct chy_bytes signature)
{
    size_t first = f->n_signers;
    f->is_signed = true;
    verify_by_tool(f, tool);
    if (form != 0)
        verify_learn(f, form, signature, first);
}

static void look_cms(struct verify_file *f, struct chy_bytes content)
{
    verify_own(f, CHY_VERIFY_CMS, content);
}

#define CLEARTEXT_MARK  "-----BEGIN PGP SIGNED MESSAGE-----"
#define PUBLIC_KEY_MARK "-----BEGIN PGP PUBLIC KEY BLOCK-----"

/* Detached, or the text again with its signature, which gpgv wants alone. */
static void look_openpgp(struct verify_file *f, struct chy_bytes content)
{
    bool is_text = chy_str_starts(chy_bytes_str(content), CLEARTEXT_MARK);
    f->beside = content;
    look_by_tool(f, is_text ? VERIFY_TOOL_GPGV_TEXT : VERIFY_TOOL_GPGV,
                 is_text ? CHY_VERIFY_CLEARTEXT : CHY_VERIFY_OPENPGP, content);
}

/* Of SSH it has an armour; a packet of OpenPGP begins with a tag whose top bit is set, and so do
 * some bare signatures: those are tried where the trust file has keys. */
static void look_sig(struct verify_file *f, struct chy_bytes content)
{
    struct chy_str text = chy_bytes_str(content);
    f->is_signed = true;
    f->beside = content;
    if (chy_str_starts(text, "-----BEGIN SSH SIGNATURE-----"))
        look_by_tool(f, VERIFY_TOOL_SSH, CHY_VERIFY_SSH, content);
    else if (chy_str_starts(text, "-----BEGIN PGP SIG") || f->v->trust->n_keys == 0)
        look_openpgp(f, content);
    else
        verify_own(f, CHY_VERIFY_RAW, content);
}

static const struct {
    const char *suffix;
    void (*look)(struct verify_file *f, struct chy_bytes content);
} besides[] = {
    { ".p7s", look_cms },
    { ".asc", look_openpgp },
    { ".sig", look_sig },
    { ".receipt", NULL }, /* verify_find_in_log() */
};

bool verify_is_beside(struct chy_str path, struct chy_str *ret_base)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(besides); i++) {
        size_t n = strlen(besides[i].suffix);
        if (path.n == n || !chy_str_ends(path, besides[i].suffix))
            continue;
        *ret_base = (struct chy_str){ path.p, path.n - n };
        return ret_base->p[ret_base->n - 1] != '/';
    }
    return false;
}

static void beside_look(struct verify_file *f, size_t i)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    struct chy_error why;
    struct chy_str path =
        chy_arena_printf(f->arena, "%.*s%s", CHY_STR_ARG(f->path), besides[i].suffix);
    chy_buf_init(&content, CHY_LIMIT_CMS);
    enum chy_err r = path.p != NULL ? chy_file_read(AT_FDCWD, path.p, &content, &why)
                                    : chy_fail(&why, CHY_E_NOMEM, "no memory for a path");
    if (r == CHY_E_NOT_FOUND)
        return;
    f->is_signed = true;
    if (r != CHY_OK)
        verify_say_error(f, r, NULL, &why);
    else
        besides[i].look(f, chy_buf_bytes(&content));
}

/* --- one file --- */

/* A catalogue is CMS from end to end. */
static void verify_own_whole(struct verify_file *f)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    struct chy_error why;
    chy_buf_init(&content, CHY_LIMIT_CMS);
    enum chy_err r = verify_content(f, &content, &why);
    if (r == CHY_OK)
        verify_own(f, CHY_VERIFY_PKCS7, chy_buf_bytes(&content));
    else
        verify_say_error(f, r, NULL, &why);
}

/* Who opens these looks for an archive's directory at the end of the file, whatever it begins
 * with. */
static bool is_archive_by_name(struct chy_str path)
{
    static const char *const endings[] = {
        ".jar",  ".war",        ".ear",        ".apk",   ".msix",
        ".appx", ".msixbundle", ".appxbundle", ".nupkg", ".zip"
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(endings); i++) {
        size_t n = strlen(endings[i]);
        if (path.n >= n && strncasecmp(path.p + path.n - n, endings[i], n) == 0)
            return true;
    }
    return false;
}

static bool is_archive(enum chy_format_kind kind)
{
    return kind >= CHY_FORMAT_JAR && kind <= CHY_FORMAT_ZIP;
}

/* The signature of a program or an installer does not cover all that may stand behind it. */
static void beginning_check(struct verify_file *f)
{
    if (is_archive_by_name(f->path) && !is_archive(f->facts.kind))
        verify_say(f, VERIFY_BAD, OWN, "by its name it is an archive, which begins otherwise");
}

static void embedded_look(struct verify_file *f)
{
    if (f->facts.is_signed)
        beginning_check(f);
    if (f->facts.fault.n != 0)
        verify_say(f, VERIFY_BAD, OWN, "it is broken: %.*s", CHY_STR_ARG(f->facts.fault));
    for (size_t i = 0; f->facts.is_signed && i < CHY_ARRAY_LEN(embedded); i++) {
        if (embedded[i].kind != f->facts.kind)
            continue;
        f->is_signed = true;
        if (embedded[i].tool != VERIFY_TOOL_NONE)
            look_by_tool(f, embedded[i].tool, embedded[i].own, (struct chy_bytes){ NULL, 0 });
        else if (embedded[i].own == CHY_VERIFY_PKCS7)
            verify_own_whole(f);
        else
            verify_own(f, embedded[i].own, (struct chy_bytes){ NULL, 0 });
    }
}

static bool begins_with(const struct verify_file *f, struct chy_str mark)
{
    uint8_t head[64];
    size_t n = 0;
    return chy_file_pread(f->fd, head, CHY_MIN(mark.n, sizeof head), 0, &n, NULL) == CHY_OK &&
           chy_str_equal(chy_bytes_str((struct chy_bytes){ head, n }), mark);
}

/* Clear-signed, whatever its name is (InRelease, SHA256SUMS.asc). */
static bool cleartext_look(struct verify_file *f)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    struct chy_error why;
    chy_buf_init(&content, CHY_LIMIT_CMS);
    if (!begins_with(f, CHY_STR(CLEARTEXT_MARK)))
        return false;
    f->is_signed = true;
    f->row.kind = CHY_STR("cleartext");
    enum chy_err r = verify_content(f, &content, &why);
    if (r == CHY_OK)
        look_openpgp(f, chy_buf_bytes(&content));
    else
        verify_say_error(f, r, NULL, &why);
    return true;
}

static enum chy_err file_open(struct verify_file *f, struct chy_error *err)
{
    struct chy_str name = chy_arena_str(f->arena, f->path);
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    CHY_TRY(chy_file_open_stream(AT_FDCWD, name.p, &f->fd, &f->size_bytes, err));
    CHY_TRY(chy_file_stamp_of(f->fd, &f->opened, err));
    return chy_artifact_inspect(f->fd, f->path, f->arena, &f->facts, err);
}

static void requirements_check(struct verify_file *f)
{
    const struct chy_trust_document *d = &f->v->trust->document;
    bool is_stamped = false;
    for (size_t i = 0; i < f->n_signers; i++)
        is_stamped = is_stamped || f->signers[i].time_stamp_us != 0;
    if (f->row.verdict != VERIFY_GOOD)
        return;
    if (d->require_time_stamp && !is_stamped)
        verify_say(f, VERIFY_BAD, NULL,
                   "no time stamp of it is known, and the trust file requires one");
    else if (d->require_log && !f->row.is_logged)
        verify_say(f, VERIFY_BAD, NULL,
                   "it is not known to be in the log, as the trust file "
                   "requires: %.*s",
                   CHY_STR_ARG(f->row.log_detail));
}

bool verify_is_name(struct chy_str path)
{
    return path.n <= CHY_LIMIT_PATH && chy_text_is_plain(path);
}

/* Each byte that is none of a text becomes '?'. */
static struct chy_str name_shown(struct verify_file *f)
{
    struct chy_str name = { f->path.p, CHY_MIN(f->path.n, (size_t)CHY_LIMIT_PATH) };
    char *to = chy_arena_array(f->arena, char, name.n + 1);
    if (to == NULL)
        return CHY_STR("?");
    for (size_t i = 0; i < name.n; i++)
        to[i] = name.p[i] >= 0x20 && name.p[i] < 0x7f ? name.p[i] : '?';
    return (struct chy_str){ to, name.n };
}

/* Of a name that forges a line of ours, or that cannot be told, nothing is said to be verified. */
static bool name_check(struct verify_file *f)
{
    if (verify_is_name(f->path))
        return true;
    f->row.file = name_shown(f);
    verify_say(f, VERIFY_UNKNOWN, NULL, "its name is too long, or no plain UTF-8 text");
    return false;
}

static void file_look(struct verify_file *f)
{
    struct chy_error why;
    if (!name_check(f))
        return;
    enum chy_err r = file_open(f, &why);
    if (r != CHY_OK) {
        verify_say(f, VERIFY_UNKNOWN, NULL, "%s", why.text);
        return;
    }
    f->row.kind = chy_str_of(chy_enum_name(&chy_format_kind_enum, (int)f->facts.kind));
    struct chy_str base;
    bool is_text = cleartext_look(f);
    bool is_key = begins_with(f, CHY_STR(PUBLIC_KEY_MARK)); /* people keep it as NAME.asc too */
    if (!is_text && !is_key && verify_is_beside(f->path, &base)) {
        verify_receipt_alone(f);
        return;
    }
    embedded_look(f);
    for (size_t i = 0; i < CHY_ARRAY_LEN(besides); i++) {
        if (besides[i].look != NULL)
            beside_look(f, i);
    }
    if (!f->is_signed && f->row.verdict == 0) {
        f->row.verdict = VERIFY_UNSIGNED;
        f->row.detail = CHY_STR("it has no signature");
        return;
    }
    verify_find_in_log(f);
    requirements_check(f);
}

static enum chy_err row_keep(struct verify *v, const struct verify_row *row, struct chy_error *err)
{
    uint64_t *counts[] = {
        [VERIFY_GOOD] = &v->counts.verified,
        [VERIFY_BAD] = &v->counts.not_verified,
        [VERIFY_UNSIGNED] = &v->counts.unsigned_files,
        [VERIFY_UNKNOWN] = &v->counts.cannot_tell,
    };
    if (row->verdict == VERIFY_UNSIGNED && v->skips_unsigned)
        return CHY_OK;
    if (v->n_rows == CHY_LIMIT_VERIFY_FILES)
        return chy_fail(err, CHY_E_LIMIT, "more than %d files", CHY_LIMIT_VERIFY_FILES);
    ++*counts[row->verdict];
    if (!v->cli->is_json)
        verify_print_row(v->cli->out, row);
    return chy_schema_copy(&verify_row_schema, row, &v->cli->arena, &v->rows[v->n_rows++], err);
}

enum chy_err verify_path(struct verify *v, struct chy_str path, struct chy_error *err)
{
    CHY_CLEANUP(chy_arena_done) struct chy_arena arena;
    chy_arena_init(&arena, CHY_LIMIT_ARENA);
    struct verify_file *f = chy_arena_new(&arena, struct verify_file);
    if (f == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a file");
    *f = (struct verify_file){ .v = v, .arena = &arena, .path = path, .fd = -1, .opened_fd = -1 };
    f->row.file = path;
    f->row.kind = CHY_STR("unknown");
    f->row.verifiers.p = f->verifiers;
    file_look(f);
    if (f->fd >= 0)
        verify_still_there(f);
    verify_folder_free(f);
    chy_fd_closep(&f->opened_fd);
    chy_fd_closep(&f->fd);
    return row_keep(v, &f->row, err);
}
