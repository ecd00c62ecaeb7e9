/* SPDX-License-Identifier: MIT */
/* PowerShell's files, which are known by their names. A signature is a block of comments at the end
 * (Get-AuthenticodeSignature and about_Signing), in the file's own encoding. */
#include "base/limits.h"
#include "format/kinds.h"

static const struct {
    const char *ending;
    const char *mark;
} endings[] = {
    { "ps1", "# SIG # Begin signature block" },
    { "psm1", "# SIG # Begin signature block" },
    { "psd1", "# SIG # Begin signature block" },
    { "ps1xml", "<!-- SIG # Begin signature block -->" },
    { "psc1", "<!-- SIG # Begin signature block -->" },
    { "cdxml", "<!-- SIG # Begin signature block -->" },
};

#define MARK_MAX 64

static bool has_mark(struct format_reader *r, const char *mark, bool is_wide)
{
    char text[2 * MARK_MAX];
    size_t n = 0;
    uint64_t at;
    uint64_t size = r->source->size_bytes;
    uint64_t from = size > CHY_LIMIT_FORMAT_TAIL ? size - CHY_LIMIT_FORMAT_TAIL : 0;
    for (size_t i = 0; i < MARK_MAX && mark[i] != '\0'; i++) {
        text[n++] = mark[i];
        if (is_wide)
            text[n++] = '\0'; /* UTF-16, little-endian */
    }
    return format_find_last(r, from, size - from, (struct chy_str){ text, n }, &at);
}

bool format_script(struct format_reader *r, struct chy_str name, struct chy_format_facts *facts)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(endings); i++) {
        if (!format_name_ends(name, endings[i].ending))
            continue;
        facts->kind = CHY_FORMAT_POWERSHELL;
        facts->is_by_name = true;
        facts->is_signed =
            has_mark(r, endings[i].mark, false) || has_mark(r, endings[i].mark, true);
        return true;
    }
    return false;
}
