/* SPDX-License-Identifier: MIT */
/* What chancery exec and chancery sign do before tools run. */
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/exec/exec.h"
#include "cli/exec/machine.h"
#include "codec/hex.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/random.h"
#include "os/scratch.h"
#include "os/socket.h"
#include "os/tree.h"

#define LOOK_US ((int64_t)2000000) /* for the kernel to say whether an agent listens */

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for what the tool needs");
}

enum chy_err chy_exec_random(struct chy_arena *arena, uint8_t *bytes, size_t n,
                             struct chy_str *ret_hex, struct chy_error *err)
{
    char hex[CHY_HEX_SIZE(CHY_ID_BYTES)];
    CHY_ASSERT(n <= CHY_ID_BYTES);
    CHY_TRY(chy_random_fill(bytes, n, err));
    chy_hex_encode((struct chy_bytes){ bytes, n }, hex);
    *ret_hex = chy_arena_str(arena, chy_str_of(hex));
    return ret_hex->p != NULL ? CHY_OK : no_memory(err);
}

/* Tools may change their folder. */
enum chy_err chy_exec_absolute(struct chy_arena *arena, struct chy_str path,
                               struct chy_str *ret_path, struct chy_error *err)
{
    char here[CHY_LIMIT_PATH];
    *ret_path = path;
    if (path.n == 0 || path.p[0] == '/')
        return CHY_OK;
    if (getcwd(here, sizeof here) == NULL)
        return chy_fail(err, CHY_E_IO, "the working folder is not there any more");
    *ret_path = chy_arena_printf(arena, "%s/%.*s", here, CHY_STR_ARG(path));
    return ret_path->p != NULL ? CHY_OK : no_memory(err);
}

/* The command line, the environment, the profile, in this order. */
static struct chy_str choose_tsa(const struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_str url = chy_cli_arg(args, "timestamp-url");
    if (chy_cli_has(args, "no-timestamp"))
        return (struct chy_str){ 0 };
    if (url.n == 0)
        url = chy_str_of(cli->env.timestamp_url);
    return url.n != 0 ? url : cli->settings.profile.timestamp_url;
}

enum chy_err chy_exec_setup_make(struct chy_cli *cli, const struct chy_cli_args *args,
                                 struct chy_exec_setup *ret_setup, struct chy_error *err)
{
    struct chy_exec_setup s = { .environ = (const char *const *)environ,
                                .reason = chy_cli_arg(args, "reason"),
                                .tsa = choose_tsa(cli, args) };
    struct chy_machine machine;
    uint8_t name[8];
    struct chy_str suffix;
    CHY_TRY(chy_machine_read(s.environ, &cli->arena, &machine, err));
    CHY_TRY(chy_exec_random(&cli->arena, name, sizeof name, &suffix, err));
    CHY_TRY(chy_exec_absolute(&cli->arena, chy_cli_arg(args, "receipts"), &s.receipts, err));
    s.module = machine.module;
    s.gpg = machine.gpg;
    s.engine = machine.engine;
    s.openssl_cnf = machine.openssl_cnf;
    s.openssl_section = machine.openssl_section;
    s.openssl_providers = machine.openssl_providers;
    s.provider = machine.provider;
    s.dir = chy_arena_printf(&cli->arena, "%.*s/" CHY_SCRATCH_EXEC_PREFIX "%.*s",
                             CHY_STR_ARG(machine.dir), CHY_STR_ARG(suffix));
    if (s.dir.p == NULL)
        return no_memory(err);
    *ret_setup = s;
    return CHY_OK;
}

/* One that was named is used or nothing; one at the usual place if it is there. */
static bool is_answered(struct chy_cli *cli, struct chy_str socket)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct chy_str address = chy_arena_printf(&cli->arena, "unix:%.*s", CHY_STR_ARG(socket));
    return cli->settings.is_agent_named ||
           (socket.n != 0 && address.p != NULL &&
            chy_socket_connect(address, chy_clock_monotonic_us() + LOOK_US, &fd, NULL) == CHY_OK);
}

enum chy_err chy_exec_agent_choose(struct chy_cli *cli, const struct chy_cli_args *args,
                                   struct chy_exec_setup *setup,
                                   struct chy_exec_agent_options *ret_options,
                                   struct chy_error *err)
{
    struct chy_str socket = cli->settings.agent_socket;
    if (!is_answered(cli, socket))
        socket = (struct chy_str){ 0 };
    bool is_helper = socket.n == 0;
    if (is_helper)
        socket = chy_arena_printf(&cli->arena, "%.*s/agent.sock", CHY_STR_ARG(setup->dir));
    if (socket.p == NULL)
        return no_memory(err);
    if (is_helper && !chy_cli_has(args, "dry-run") && cli->settings.profile.url.n == 0)
        return chy_fail(err, CHY_E_STATE, "nothing names the server that is to sign");
    setup->socket = socket;
    *ret_options = (struct chy_exec_agent_options){
        .socket = socket,
        .is_helper = is_helper,
        .token = cli->env.token,
        .profile = chy_cli_arg(args, "profile"),
        .url = chy_cli_arg(args, "url"),
        .arena = &cli->arena,
    };
    return CHY_OK;
}

static enum chy_err make_file(struct chy_str dir, const struct chy_exec_file *f,
                              struct chy_error *err)
{
    char bin[CHY_LIMIT_PATH];
    if (!f->is_link)
        return chy_file_create(AT_FDCWD, f->path.p, chy_str_bytes(f->text), 0600, err);
    int n = snprintf(bin, sizeof bin, "%.*s/" CHY_EXEC_BIN, CHY_STR_ARG(dir));
    if (n < 0 || (size_t)n >= sizeof bin)
        return chy_fail(err, CHY_E_LIMIT, "the private folder's path is too long");
    enum chy_err r = chy_dir_make(AT_FDCWD, bin, 0700, err);
    if (r != CHY_OK && r != CHY_E_EXISTS)
        return r;
    return chy_link_make(f->text.p, AT_FDCWD, f->path.p, err);
}

static void sweep_beside(struct chy_str dir)
{
    char parent[CHY_LIMIT_PATH];
    const char *slash = memrchr(dir.p, '/', dir.n);
    size_t n = slash != NULL ? (size_t)(slash - dir.p) + 1 : 0;
    if (n == 0 || n >= sizeof parent)
        return;
    chy_copy(parent, dir.p, n);
    parent[n] = '\0';
    CHY_IGNORE(chy_scratch_sweep(parent, NULL)); /* making the folder will say what is wrong */
}

enum chy_err chy_exec_dir_make(struct chy_str dir, const struct chy_exec_plan *plan,
                               int *ret_lock_fd, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int lock_fd = -1;
    sweep_beside(dir);
    CHY_TRY(chy_scratch_make(dir.p, &lock_fd, err));
    for (size_t i = 0; i < plan->files.n; i++) {
        enum chy_err r = make_file(dir, &plan->files.p[i], err);
        if (r != CHY_OK) {
            CHY_IGNORE(chy_tree_remove(AT_FDCWD, dir.p, false, NULL)); /* the first error counts */
            return r;
        }
    }
    *ret_lock_fd = chy_fd_take(&lock_fd);
    return CHY_OK;
}

void chy_exec_dir_remove(struct chy_cli *cli, struct chy_str dir, int *lock_fd)
{
    struct chy_error err;
    if (chy_tree_remove(AT_FDCWD, dir.p, false, &err) != CHY_OK && err.code != CHY_E_NOT_FOUND)
        (void)fprintf(cli->err, "chancery: %s\n", err.text);
    chy_fd_closep(lock_fd);
}
