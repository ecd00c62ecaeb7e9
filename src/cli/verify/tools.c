/* SPDX-License-Identifier: MIT */
/* The table of other people's verifiers. Each says for itself whether a file is good. */
#include "cli/verify/tools.h"

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
    bool takes_path; /* to a copy; else it is given what it needs otherwise */
    void (*run)(struct verify_tool_run *run);
} tools[] = {
    { VERIFY_TOOL_OSSLSIGNCODE, "osslsigncode", true, verify_run_osslsigncode },
    { VERIFY_TOOL_JARSIGNER, "jarsigner", true, verify_run_jarsigner },
    { VERIFY_TOOL_APKSIGNER, "apksigner", true, verify_run_apksigner },
    { VERIFY_TOOL_RPMKEYS, "rpmkeys", true, verify_run_rpmkeys },
    { VERIFY_TOOL_DEB, "gpgv", true, verify_run_deb },
    { VERIFY_TOOL_GPGV, "gpgv", false, verify_run_gpgv },
    { VERIFY_TOOL_GPGV_TEXT, "gpgv", false, verify_run_gpgv_text },
    { VERIFY_TOOL_SSH, "ssh-keygen", false, verify_run_ssh },
    { VERIFY_TOOL_FIT, "fit_check_sign", true, verify_run_fit },
    { VERIFY_TOOL_XMLSEC, "xmlsec1", true, verify_run_xmlsec },
};

void verify_by_tool(struct verify_file *f, enum verify_tool_id id)
{
    size_t i = 0;
    while (tools[i].id != id)
        i++;
    struct verify_tool_run run = { .f = f, .program = tools[i].program };
    struct chy_error why;
    enum chy_err r = verify_tools_ready(f, &why);
    if (r == CHY_OK && tools[i].takes_path)
        r = verify_copy_make(f, &why);
    if (r != CHY_OK) {
        verify_say(f, VERIFY_UNKNOWN, NULL, "%s", why.text);
        return;
    }
    run.tools = f->v->tools;
    chy_buf_init(&run.said, CHY_LIMIT_VERIFY_OUTPUT);
    tools[i].run(&run);
    chy_buf_done(&run.said);
}
