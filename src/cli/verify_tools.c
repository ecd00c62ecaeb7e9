/* SPDX-License-Identifier: MIT */
/* The table of other people's verifiers. Each says for itself whether a file is good. */
#include "cli/verify_tools.h"

#include "base/limits.h"

void verify_tool_unready(struct verify_tool_run *run, enum chy_err r, const struct chy_error *why)
{
    if (r == CHY_E_STATE)
        verify_say(run->f, VERIFY_BAD, run->program, "%s", why->text);
    else
        verify_say(run->f, VERIFY_UNKNOWN, run->program, "%s", why->text);
}

void verify_tool_good(struct verify_tool_run *run)
{
    verify_say(run->f, VERIFY_GOOD, run->program, "%s", "");
}

static const struct {
    enum verify_tool_id id;
    const char *program;
    void (*run)(struct verify_tool_run *run);
} tools[] = {
    { VERIFY_TOOL_OSSLSIGNCODE, "osslsigncode", verify_run_osslsigncode },
    { VERIFY_TOOL_JARSIGNER, "jarsigner", verify_run_jarsigner },
    { VERIFY_TOOL_APKSIGNER, "apksigner", verify_run_apksigner },
    { VERIFY_TOOL_RPMKEYS, "rpmkeys", verify_run_rpmkeys },
    { VERIFY_TOOL_DEB, "gpgv", verify_run_deb },
    { VERIFY_TOOL_GPGV, "gpgv", verify_run_gpgv },
    { VERIFY_TOOL_GPGV_TEXT, "gpgv", verify_run_gpgv_text },
    { VERIFY_TOOL_SSH, "ssh-keygen", verify_run_ssh },
    { VERIFY_TOOL_FIT, "fit_check_sign", verify_run_fit },
    { VERIFY_TOOL_XMLSEC, "xmlsec1", verify_run_xmlsec },
    { VERIFY_TOOL_NUGET, "dotnet nuget verify", verify_run_nuget },
};

void verify_by_tool(struct verify_file *f, enum verify_tool_id id)
{
    struct verify_tool_run run = { .f = f };
    struct chy_error why;
    enum chy_err r = verify_tools_ready(f->v, &run.tools, &why);
    if (r != CHY_OK) {
        verify_say(f, VERIFY_UNKNOWN, NULL, "%s", why.text);
        return;
    }
    chy_buf_init(&run.said, CHY_LIMIT_VERIFY_OUTPUT);
    for (size_t i = 0; i < CHY_ARRAY_LEN(tools); i++) {
        if (tools[i].id != id)
            continue;
        run.program = tools[i].program;
        tools[i].run(&run);
    }
    chy_buf_done(&run.said);
}
