/* SPDX-License-Identifier: MIT */
/* SSH signatures, by ssh-keygen. */
#include "cli/verify_tools.h"

void verify_run_ssh(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_ssh_signers(run, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    const char *signature = verify_tool_path(run, run->f->beside);
    const char *signers = run->tools->signers.p;
    bool is_found = verify_tool_exec(
        run, WORDS("ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", signers), -1,
        &was_run);
    if (!was_run)
        return;
    struct chy_str said = chy_arena_str(run->f->arena, chy_buf_str(&run->said));
    if (!is_found || said.p == NULL) {
        verify_say(run->f, VERIFY_BAD, run->program,
                   "no SSH key of the trust file's made this signature");
        return;
    }
    struct chy_str name = { said.p, strcspn(said.p, "\n") };
    const char *principal = verify_tool_path(run, name);
    bool is_good = verify_tool_exec(run,
                                    WORDS("ssh-keygen", "-Y", "verify", "-n", "file", "-s",
                                          signature, "-f", signers, "-I", principal),
                                    run->f->fd, &was_run);
    struct chy_verify_signer *s = verify_add_signer(run->f);
    if (!is_good || s == NULL || !verify_tool_said(run, "Good \"file\" signature")) {
        verify_tool_refused(run);
        return;
    }
    s->is_good = true;
    s->name = name;
    verify_tool_good(run);
}
