/* SPDX-License-Identifier: MIT */
#include "format/format.h"

#include "base/limits.h"
#include "format/kinds.h"

static const struct chy_enum_value kind_values[] = {
    { CHY_FORMAT_UNKNOWN, "unknown", "anything else" },
    { CHY_FORMAT_JAR, "jar", "Java archive" },
    { CHY_FORMAT_WAR, "war", "Java web application" },
    { CHY_FORMAT_EAR, "ear", "Java enterprise application" },
    { CHY_FORMAT_APK, "apk", "Android application" },
    { CHY_FORMAT_MSIX, "msix", "MSIX or APPX package or bundle" },
    { CHY_FORMAT_NUGET, "nuget", "NuGet package" },
    { CHY_FORMAT_ZIP, "zip", "other ZIP archive" },
    { CHY_FORMAT_PE, "pe", "Windows program, library or driver" },
    { CHY_FORMAT_EFI, "efi", "UEFI application or driver" },
    { CHY_FORMAT_MSI, "msi", "Windows Installer package, patch or transform" },
    { CHY_FORMAT_CAB, "cab", "Windows cabinet" },
    { CHY_FORMAT_CAT, "cat", "Windows catalogue" },
    { CHY_FORMAT_POWERSHELL, "powershell", "PowerShell script, module or manifest" },
    { CHY_FORMAT_RPM, "rpm", "RPM package" },
    { CHY_FORMAT_DEB, "deb", "Debian package" },
    { CHY_FORMAT_MODULE, "module", "Linux kernel module" },
    { CHY_FORMAT_FIT, "fit", "U-Boot image tree" },
    { CHY_FORMAT_XML, "xml", "XML document" },
};
const struct chy_enum chy_format_kind_enum = CHY_ENUM("FormatKind", kind_values);

#define S struct chy_format_facts
static const struct chy_field facts_fields[] = {
    CHY_F_ENUM(S, kind, &chy_format_kind_enum, enum chy_format_kind, 0, "what the file is"),
    CHY_F_BOOL(S, is_signed, 0, "whether it holds a signature, good or not"),
    CHY_F_BOOL(S, is_by_name, 0, "whether its name alone says so"),
    CHY_F_STR(S, fault, 0, 0, CHY_LIMIT_TEXT, "what is broken of it"),
};
#undef S
const struct chy_schema chy_format_facts_schema =
    CHY_SCHEMA("FormatFacts", struct chy_format_facts, facts_fields, "What a file is.");

/* Those with a header before those without: what a file says of itself counts more than its
 * name. */
static format_recognize_fn *const families[] = {
    format_zip,     /* "PK", or a directory at the end */
    format_pe,      /* "MZ" */
    format_ole,     /* d0 cf 11 e0 */
    format_cab,     /* "MSCF" */
    format_rpm,     /* ed ab ee db */
    format_deb,     /* "!<arch>" */
    format_elf,     /* 7f "ELF" */
    format_fit,     /* d0 0d fe ed */
    format_catalog, /* DER: no magic of its own */
    format_script,  /* by name */
    format_xml,     /* "<" */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool format_name_ends(struct chy_str name, const char *ending)
{
    size_t n = strlen(ending);
    if (name.n <= n || name.p[name.n - n - 1] != '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower(name.p[name.n - n + i]) != ending[i])
            return false;
    return true;
}

enum chy_err chy_format_recognize(const struct chy_format_source *source, struct chy_str name,
                                  struct chy_format_facts *ret_facts, struct chy_error *err)
{
    struct chy_format_facts facts = { .kind = CHY_FORMAT_UNKNOWN };
    struct format_reader r;
    format_reader_init(&r, source);
    for (size_t i = 0; i < CHY_ARRAY_LEN(families); i++) {
        bool is_it = families[i](&r, name, &facts);
        if (r.result != CHY_OK)
            return chy_fail(err, r.result, "%s", r.error.text);
        if (is_it)
            break;
        facts = (struct chy_format_facts){ .kind = CHY_FORMAT_UNKNOWN };
    }
    *ret_facts = facts;
    return CHY_OK;
}
