/* SPDX-License-Identifier: MIT */
/* U-Boot's images, by fit_check_sign. It asks only for what a tree of keys requires, of one
 * configuration, and looks at the kernel, the device tree and the RAM disk of that: where there is
 * more, that it finds nothing wrong does not say that all is signed. */
#include "format/fit.h"

#include "cli/verify/tools.h"
#include "os/file.h"

static enum chy_err read_file(void *ctx, uint64_t offset, void *to, size_t n, size_t *ret_n,
                              struct chy_error *err)
{
    return chy_file_pread(*(const int *)ctx, to, n, offset, ret_n, err);
}

/* A tree in the file's arena; NULL: there is none, and `why` says the reason. */
static const struct chy_format_fit *fit_of(struct verify_tool_run *run,
                                           const struct chy_format_source *source,
                                           enum chy_err *ret_result, struct chy_error *why)
{
    struct chy_format_fit *fit = chy_arena_new(run->f->arena, struct chy_format_fit);
    *ret_result = fit != NULL ? chy_format_fit_read(source, fit, why)
                              : chy_fail(why, CHY_E_NOMEM, "no memory for a tree");
    return *ret_result == CHY_OK ? fit : NULL;
}

static bool keys_require(struct verify_tool_run *run, struct chy_str tree)
{
    struct chy_bytes content = chy_str_bytes(tree);
    const struct chy_format_source source = { content.n, chy_format_read_memory, &content };
    struct chy_error why;
    enum chy_err r;
    const struct chy_format_fit *keys = fit_of(run, &source, &r, &why);
    return keys != NULL && keys->requires_signature;
}

/* Whether every configuration is signed by what this tree requires. */
static bool configurations_check(struct verify_tool_run *run, const struct chy_format_fit *fit,
                                 const char *tree, bool *ret_was_run)
{
    const char *file = verify_tool_file(run);
    bool is_good = fit->n_configurations != 0;
    for (size_t i = 0; is_good && i < fit->n_configurations; i++)
        is_good = verify_tool_exec(run,
                                   WORDS("fit_check_sign", "-f", file, "-k", tree, "-c",
                                         fit->configurations[i].text),
                                   -1, ret_was_run) &&
                  verify_tool_said(run, "Signature check OK");
    return is_good;
}

static void say_signed(struct verify_tool_run *run, const struct chy_format_fit *fit)
{
    if (fit->has_more)
        verify_say(run->f, VERIFY_UNKNOWN, run->program,
                   "of a configuration %s looks at no more than a kernel, a device tree and a RAM "
                   "disk, and there is more",
                   run->program);
    else
        verify_say(run->f, VERIFY_GOOD, run->program, "%s", "");
}

/* One tree that requires its key is enough. */
static void trees_try(struct verify_tool_run *run, const struct chy_format_fit *fit)
{
    const struct chy_trust *t = run->f->v->trust;
    bool was_run = false;
    for (size_t i = 0; i < t->fit_keys.n; i++) {
        struct chy_str tree;
        struct chy_error why;
        if (!keys_require(run, t->fit_keys.p[i].text))
            continue;
        enum chy_err r = verify_make_file(run, chy_str_bytes(t->fit_keys.p[i].text), &tree, &why);
        if (r != CHY_OK) {
            verify_say_error(run->f, r, run->program, &why);
            return;
        }
        bool is_good = configurations_check(run, fit, tree.p, &was_run);
        if (!was_run)
            return;
        if (is_good) {
            say_signed(run, fit);
            return;
        }
    }
    if (was_run)
        verify_tool_refused(run);
    else
        verify_say(run->f, VERIFY_UNKNOWN, run->program,
                   "no key of fit_keys must have signed a configuration: mkimage -r says so of one "
                   "that signs configurations");
}

void verify_run_fit(struct verify_tool_run *run)
{
    struct verify_file *f = run->f;
    const struct chy_format_source source = { f->size_bytes, read_file, &f->fd };
    struct chy_error why;
    enum chy_err r;
    if (f->v->trust->fit_keys.n == 0) {
        verify_say(f, VERIFY_BAD, run->program, "the trust file has no fit_keys");
        return;
    }
    const struct chy_format_fit *fit = fit_of(run, &source, &r, &why);
    if (fit == NULL)
        verify_say_error(f, r, run->program, &why);
    else if (fit->n_configurations == 0)
        verify_say(f, VERIFY_UNKNOWN, run->program,
                   "it has no configuration, and %s looks at nothing else", run->program);
    else
        trees_try(run, fit);
}
