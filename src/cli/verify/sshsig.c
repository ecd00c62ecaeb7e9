/* SPDX-License-Identifier: MIT */
/* SSH signatures, by ssh-keygen. */
#include "cli/verify/tools.h"

static struct chy_str first_line(const struct verify_tool_run *run)
{
    struct chy_str line = chy_buf_str(&run->said);
    const char *end = line.n != 0 ? memchr(line.p, '\n', line.n) : NULL;
    line.n = end != NULL ? (size_t)(end - line.p) : line.n;
    return chy_arena_str(run->f->arena, line);
}

void verify_run_ssh(struct verify_tool_run *run)
{
    struct chy_error why;
    bool was_run;
    enum chy_err r = verify_make_ssh_signers(run, &why);
    if (r != CHY_OK) {
        verify_tool_unready(run, r, &why);
        return;
    }
    const char *signature = verify_tool_beside(run);
    if (signature == NULL)
        return;
    const char *signers = run->tools->signers.p;
    bool is_found = verify_tool_exec(
        run, WORDS("ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", signers), -1,
        &was_run);
    if (!was_run)
        return;
    struct chy_str name = first_line(run);
    if (!is_found || name.p == NULL) {
        verify_say(run->f, VERIFY_BAD, run->program,
                   "no SSH key of the trust file's made this signature");
        return;
    }
    bool is_good = verify_tool_exec(run,
                                    WORDS("ssh-keygen", "-Y", "verify", "-n", "file", "-s",
                                          signature, "-f", signers, "-I", name.p),
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
