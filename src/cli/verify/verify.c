/* SPDX-License-Identifier: MIT */
/* chancery verify: files and folders against a trust file. */
#include "cli/verify/verify.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "os/clock.h"
#include "os/tree.h"

#define TRUST_NAME "trust.yaml"

/* --- folders --- */

struct walk {
    struct verify *v;
    struct chy_str folder;
    struct chy_error err; /* what ended it, told whole */
};

static bool is_there(struct walk *w, int dir_fd, struct chy_str base)
{
    struct chy_str name = chy_arena_str(&w->v->cli->arena, base);
    struct stat st;
    return name.p != NULL && fstatat(dir_fd, name.p, &st, 0) == 0 && S_ISREG(st.st_mode);
}

/* What is beside a file is looked at with it, what is beside anything else is a file of its own;
 * links lead out of the folder, or round in it, so only those to files are followed. */
static enum chy_err walk_entry(void *ctx, int dir_fd, const struct chy_tree_entry *entry,
                               struct chy_error *err)
{
    struct walk *w = ctx;
    struct chy_str base;
    if (entry->kind == CHY_TREE_DIR)
        return CHY_OK;
    if (verify_is_beside(chy_str_of(entry->path), &base) && is_there(w, dir_fd, base))
        return CHY_OK;
    bool has_slash = w->folder.n != 0 && w->folder.p[w->folder.n - 1] == '/';
    struct chy_str path = chy_arena_printf(&w->v->cli->arena, "%.*s%s%s", CHY_STR_ARG(w->folder),
                                           has_slash ? "" : "/", entry->path);
    if (path.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for so many files");
    w->v->parent_fd = entry->parent_fd;
    w->v->name = entry->name;
    enum chy_err r = verify_path(w->v, path, err);
    w->v->name = NULL;
    return r;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum chy_err verify_argument(struct verify *v, struct chy_str path, struct chy_error *err)
{
    struct chy_str base;
    struct chy_str name = chy_arena_str(&v->cli->arena, path);
    struct walk walk = { .v = v, .folder = name };
    struct stat st;
    if (name.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    if (is_folder(name.p))
        return chy_tree_walk(AT_FDCWD, name.p, walk_entry, &walk, err);
    /* The name of a signature stands for its file. */
    bool is_beside = verify_is_beside(name, &base);
    struct chy_str file = is_beside ? chy_arena_str(&v->cli->arena, base) : name;
    if (file.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    return verify_path(v, is_beside && stat(file.p, &st) == 0 ? file : name, err);
}

/* --- the run --- */

static enum chy_err trust_path(struct verify *v, struct chy_str *ret_path, struct chy_error *err)
{
    struct chy_arena *arena = &v->cli->arena;
    struct chy_str dir;
    *ret_path = chy_cli_arg(v->args, "trust");
    if (ret_path->n != 0)
        return CHY_OK;
    CHY_TRY(chy_client_dir(&v->cli->env, arena, &dir, err));
    *ret_path = chy_arena_printf(arena, "%.*s/" TRUST_NAME, CHY_STR_ARG(dir));
    return ret_path->p != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "no memory for a path");
}

static enum chy_err trust_load(struct verify *v, struct chy_error *err)
{
    struct chy_str path;
    CHY_TRY(trust_path(v, &path, err));
    struct chy_error why;
    enum chy_err r = chy_trust_load(path, &v->cli->arena, &v->trust, &why);
    if (r == CHY_E_NOT_FOUND && !chy_cli_has(v->args, "trust"))
        return chy_fail(err, CHY_E_ARG,
                        "there is no trust file: give one with --trust, or make %.*s "
                        "(docs/formats/trust.md)",
                        CHY_STR_ARG(path));
    /* Without it nothing is verified, and nothing is said to be bad. */
    return r == CHY_OK ? CHY_OK : chy_fail(err, r == CHY_E_NOMEM ? r : CHY_E_ARG, "%s", why.text);
}

static enum chy_err prepare(struct verify *v, struct chy_error *err)
{
    v->now_us = chy_clock_realtime_us();
    v->skips_unsigned = chy_cli_has(v->args, "skip-unsigned");
    v->is_offline = chy_cli_has(v->args, "offline");
    v->rows = chy_arena_array(&v->cli->arena, struct verify_row, CHY_LIMIT_VERIFY_FILES);
    if (v->rows == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for so many files");
    CHY_TRY(trust_load(v, err));
    CHY_TRY(chy_cli_settings(v->cli, v->args, err));
    return verify_receipts_load(v, err);
}

static enum chy_err verify_all(struct verify *v, struct chy_error *err)
{
    struct chy_strs paths;
    CHY_TRY(chy_cli_arg_all(v->args, "FILE", &v->cli->arena, &paths, err));
    CHY_TRY(prepare(v, err));
    for (size_t i = 0; i < paths.n; i++)
        CHY_TRY(verify_argument(v, paths.p[i], err));
    if (v->n_rows == 0 && !v->skips_unsigned)
        return chy_fail(err, CHY_E_ARG, "there is no file in it");
    if (v->cli->is_json)
        return verify_print_json(v, err);
    verify_print_counts(v->cli->out, &v->counts);
    return CHY_OK;
}

/* Something bad is certain, whatever else could not be told. */
static int exit_code(const struct verify_counts *c)
{
    if (c->not_verified != 0 || c->unsigned_files != 0)
        return CHY_CLI_REFUSED;
    return c->cannot_tell != 0 ? CHY_CLI_TROUBLE : CHY_CLI_DONE;
}

int chy_cli_run_verify(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct verify v = { .cli = cli, .args = args };
    struct chy_error err;
    enum chy_err r = verify_all(&v, &err);
    verify_tools_free(v.tools);
    chy_trust_free(v.trust);
    if (r == CHY_OK)
        return exit_code(&v.counts);
    (void)chy_cli_fail(cli, &err);
    return r == CHY_E_ARG ? CHY_CLI_USE : CHY_CLI_TROUBLE;
}
