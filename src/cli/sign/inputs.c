/* SPDX-License-Identifier: MIT */
/* The files of chancery sign: each is opened, looked at in a sandbox, given its tool and its
 * place. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "cli/sign/files.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "crypto/x509.h"
#include "doc/doc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_stream.h"
#include "os/program.h"
#include "os/scratch.h"
#include "os/sys.h"

#define READ_PART 65536
#define PEM_BYTES ((size_t)2 * CHY_LIMIT_CHAIN * CHY_LIMIT_CERTIFICATE)

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for so many files");
}

/* --- places --- */

static enum chy_err resolve(struct sign_run *run, struct chy_str path, const char **ret_path,
                            struct chy_error *err)
{
    char full[CHY_LIMIT_PATH]; /* PATH_MAX */
    struct chy_str text = chy_arena_str(&run->cli->arena, path);
    if (text.p == NULL)
        return no_memory(err);
    if (realpath(text.p, full) == NULL)
        return chy_fail_sys(err, chy_sys_code(errno), errno, "%s", chy_sys_text(errno));
    *ret_path = chy_arena_str(&run->cli->arena, chy_str_of(full)).p;
    return *ret_path != NULL ? CHY_OK : no_memory(err);
}

static bool is_folder(struct sign_run *run, struct chy_str path)
{
    struct stat st;
    struct chy_str text = chy_arena_str(&run->cli->arena, path);
    return path.p[path.n - 1] == '/' || run->n > 1 ||
           (text.p != NULL && stat(text.p, &st) == 0 && S_ISDIR(st.st_mode));
}

/* The folder of a path that may not be there itself. */
static enum chy_err resolve_new(struct sign_run *run, struct chy_str path, const char **ret_path,
                                struct chy_error *err)
{
    struct chy_str name = chy_str_base_name(path);
    struct chy_str folder = { path.p, path.n - name.n };
    const char *full = NULL;
    if (folder.n == 0)
        folder = CHY_STR(".");
    enum chy_err r = resolve(run, folder, &full, err);
    if (r != CHY_OK)
        return chy_error_prefix(err, r, "--out %.*s", CHY_STR_ARG(path));
    *ret_path = chy_arena_printf(&run->cli->arena, "%s/%.*s", full, CHY_STR_ARG(name)).p;
    return *ret_path != NULL ? CHY_OK : no_memory(err);
}

/* Beside the place, so that a rename puts it there; the name keeps its ending, by which some tools
 * tell what a file is. */
static enum chy_err choose_aside(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    struct chy_arena *arena = &run->cli->arena;
    struct chy_str out = chy_str_of(f->out);
    struct chy_str name = chy_str_base_name(out);
    struct chy_str suffix;
    uint8_t bytes[8];
    CHY_TRY(chy_exec_random(arena, bytes, sizeof bytes, &suffix, err));
    f->aside = chy_arena_printf(arena, "%.*s" CHY_SCRATCH_PREFIX "%.*s", (int)(out.n - name.n),
                                out.p, CHY_STR_ARG(suffix))
                   .p;
    if (f->aside == NULL)
        return no_memory(err);
    f->unplaced = chy_arena_printf(arena, "%s/%.*s", f->aside, CHY_STR_ARG(name)).p;
    return f->unplaced != NULL ? CHY_OK : no_memory(err);
}

static enum chy_err choose_place(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    struct chy_arena *arena = &run->cli->arena;
    struct chy_str out = chy_cli_arg(run->args, "out");
    const char *ending = (f->tool->flags & SIGN_DETACHED) != 0 ? ".p7s" : "";
    if (out.n == 0) {
        f->out = chy_arena_printf(arena, "%s%s", f->path, ending).p;
    } else if (is_folder(run, out)) {
        const char *folder = NULL;
        enum chy_err r = resolve(run, out, &folder, err);
        if (r != CHY_OK)
            return chy_error_prefix(err, r, "--out %.*s", CHY_STR_ARG(out));
        f->out = chy_arena_printf(arena, "%s/%.*s%s", folder, CHY_STR_ARG(f->name), ending).p;
    } else {
        CHY_TRY(resolve_new(run, out, &f->out, err));
    }
    if (f->out == NULL)
        return no_memory(err);
    f->result.output = chy_str_of(f->out);
    return choose_aside(run, f, err);
}

/* --- what it is --- */

static bool is_installed(void *ctx, const char *program)
{
    struct sign_run *run = ctx;
    char path[CHY_LIMIT_PATH];
    const char *folders = NULL;
    for (const char *const *e = run->setup.environ; e != NULL && *e != NULL; e++)
        if (chy_str_starts(chy_str_of(*e), "PATH="))
            folders = *e + 5;
    return chy_program_find(folders, program, path);
}

static enum chy_err recognize(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    struct chy_format_facts facts;
    CHY_TRY(chy_artifact_inspect_finish(f->look, &run->cli->arena, &facts, err));
    f->result.kind = facts.kind;
    f->result.was_signed = facts.is_signed;
    if (run->has_type) {
        f->result.was_signed = facts.is_signed && run->type == facts.kind;
        f->result.kind = run->type;
        return CHY_OK;
    }
    if (facts.fault.n != 0 && !chy_cli_has(run->args, "detached"))
        return chy_fail(err, CHY_E_MALFORMED,
                        "it begins as what is %s, but %.*s; --type signs it all the same, "
                        "--detached beside it",
                        chy_enum_name(&chy_format_kind_enum, (int)facts.kind),
                        CHY_STR_ARG(facts.fault));
    return CHY_OK;
}

static enum chy_err choose_tool(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    struct chy_str name =
        chy_cli_has(run->args, "detached") ? CHY_STR("cms") : chy_cli_arg(run->args, "tool");
    CHY_TRY(sign_tool_choose(f->result.kind, name, is_installed, run, &f->tool, err));
    f->result.tool = chy_str_of(f->tool->name);
    return CHY_OK;
}

/* Of a detached signature the one that counts is the file beside it. */
static enum chy_err check_again(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    struct stat st;
    if ((f->tool->flags & SIGN_DETACHED) != 0)
        f->result.was_signed = chy_cli_arg(run->args, "out").n == 0 && stat(f->out, &st) == 0;
    if (!f->result.was_signed || chy_cli_has(run->args, "force"))
        return CHY_OK;
    return chy_fail(err, CHY_E_EXISTS, "it is signed already; with --force %s", f->tool->again);
}

static enum chy_err read_start(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    struct stat st;
    uint64_t size;
    CHY_TRY(resolve(run, f->result.file, &f->path, err));
    f->name = chy_str_base_name(chy_str_of(f->path));
    if (stat(f->path, &st) == 0 && S_ISDIR(st.st_mode))
        return chy_fail(err, CHY_E_ARG, "it is a folder: give the files in it");
    CHY_TRY(chy_file_open_stream(AT_FDCWD, f->path, &fd, &size, err));
    CHY_TRY(chy_file_stamp_of(fd, &f->stamp, err));
    if (fstat(fd, &st) != 0) /* of what is read, whatever stood there before */
        return chy_fail(err, CHY_E_IO, "cannot look at the file");
    f->mode = st.st_mode & 0777;
    return chy_artifact_inspect_start(fd, f->name, &f->look, err);
}

static enum chy_err read_finish(struct sign_run *run, struct sign_file *f, struct chy_error *err)
{
    CHY_TRY(recognize(run, f, err));
    CHY_TRY(choose_tool(run, f, err));
    CHY_TRY(choose_place(run, f, err));
    CHY_TRY(check_again(run, f, err));
    return chy_cli_check_place(run->cli, f->result.output, err);
}

/* --- all of them --- */

static int compare_places(const void *a, const void *b)
{
    const struct sign_file *const *fa = a;
    const struct sign_file *const *fb = b;
    return strcmp((*fa)->out, (*fb)->out);
}

/* Two files at one place would spoil each other. */
static enum chy_err check_places(struct sign_run *run, struct chy_error *err)
{
    size_t n = 0;
    struct sign_file **sorted = chy_arena_array(&run->cli->arena, struct sign_file *, run->n);
    if (sorted == NULL)
        return no_memory(err);
    for (size_t i = 0; i < run->n; i++)
        if (run->files[i].result.state == SIGN_WAITING)
            sorted[n++] = &run->files[i];
    if (n != 0)
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
        qsort(sorted, n, sizeof *sorted, compare_places);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->out, sorted[i]->out) == 0)
            return chy_fail(err, CHY_E_ARG, "%.*s and %.*s would both become %s",
                            CHY_STR_ARG(sorted[i - 1]->result.file),
                            CHY_STR_ARG(sorted[i]->result.file), sorted[i]->out);
    return CHY_OK;
}

/* Up to `jobs` are looked at at once. */
static void read_all(struct sign_run *run)
{
    struct chy_error why;
    for (size_t i = 0; i < run->n + run->jobs; i++) {
        struct sign_file *next = i < run->n ? &run->files[i] : NULL;
        struct sign_file *last = i >= run->jobs ? &run->files[i - run->jobs] : NULL;
        if (last != NULL && last->look != NULL && read_finish(run, last, &why) != CHY_OK)
            sign_file_fail(last, &run->cli->arena, &why);
        if (last != NULL)
            chy_confined_freep(&last->look);
        if (next != NULL && read_start(run, next, &why) != CHY_OK)
            sign_file_fail(next, &run->cli->arena, &why);
    }
}

enum chy_err sign_inputs_read(struct sign_run *run, struct chy_error *err)
{
    struct chy_strs names;
    CHY_TRY(chy_cli_arg_all(run->args, "FILE", &run->cli->arena, &names, err));
    run->n = names.n;
    run->files = chy_arena_array(&run->cli->arena, struct sign_file, names.n);
    if (run->files == NULL)
        return no_memory(err);
    for (size_t i = 0; i < names.n; i++)
        run->files[i].result.file = names.p[i];
    read_all(run);
    return check_places(run, err);
}

/* --- what is told of a file --- */

enum chy_err sign_file_hash(struct sign_file *f, struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    CHY_CLEANUP(chy_hasher_freep) struct chy_hasher *hasher = NULL;
    uint8_t part[READ_PART / 8];
    uint64_t size;
    size_t n = 0;
    CHY_TRY(chy_hasher_new(CHY_HASH_SHA256, &hasher, err));
    CHY_TRY(chy_file_open_stream(AT_FDCWD, f->path, &fd, &size, err));
    do {
        CHY_TRY(chy_fd_read(fd, part, sizeof part, &n, err));
        chy_hasher_add(hasher, (struct chy_bytes){ part, n });
    } while (n != 0);
    chy_hasher_end(hasher, f->sha256);
    f->artifact = (struct chy_artifact){
        .digest = { f->sha256, sizeof f->sha256 },
        .hash = CHY_HASH_SHA256,
        .size_bytes = size,
        .type = chy_str_of(chy_enum_name(&chy_format_kind_enum, (int)f->result.kind)),
        .name = f->name,
    };
    return CHY_OK;
}

/* --- the key's certificates --- */

static bool needs_certificates(const struct sign_run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (run->files[i].result.state == SIGN_WAITING &&
            (run->files[i].tool->flags & SIGN_CERTIFICATE) != 0)
            return true;
    return false;
}

/* A root says nothing that a verifier does not have. */
static enum chy_err append_issuers(struct sign_run *run, struct chy_buf *out, struct chy_error *err)
{
    const struct chy_key *key = &run->certificates.key;
    for (size_t i = 1; i < key->certificates.n; i++) {
        struct chy_x509 cert;
        CHY_TRY(chy_x509_parse(&run->cli->arena, key->certificates.p[i].der, &cert, err));
        if (!cert.is_self_issued)
            chy_pem_append(out, "CERTIFICATE", key->certificates.p[i].der);
    }
    return chy_buf_check(out, err);
}

static enum chy_err write_pem(struct sign_run *run, const char *name, const struct chy_buf *text,
                              struct chy_str *ret_path, struct chy_error *err)
{
    struct chy_str path =
        chy_arena_printf(&run->cli->arena, "%.*s/%s", CHY_STR_ARG(run->setup.dir), name);
    if (path.p == NULL)
        return no_memory(err);
    if (!chy_cli_has(run->args, "dry-run"))
        CHY_TRY(chy_file_create(AT_FDCWD, path.p, chy_buf_bytes(text), 0600, err));
    *ret_path = path;
    return CHY_OK;
}

bool sign_takes_stamp(const struct sign_file *f)
{
    return f->result.state == SIGN_WAITING &&
           (f->tool->stamp != NULL || (f->tool->flags & SIGN_DETACHED) != 0);
}

static bool has_dates(const struct sign_run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (sign_takes_stamp(&run->files[i]))
            return true;
    return false;
}

/* Who looks when a signature was made asks whether its certificate was good then. What boots, and
 * Android, do not. */
static void fail_outside(struct sign_run *run, const char *what, int64_t time_us)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf time;
    struct chy_error why;
    chy_buf_init(&time, CHY_LIMIT_NAME);
    (void)chy_time_write(&time, time_us);
    for (size_t i = 0; i < run->n; i++) {
        struct sign_file *f = &run->files[i];
        if (!sign_takes_stamp(f))
            continue;
        why.code = chy_fail(&why, CHY_E_STATE, "the certificate of key \"%.*s\" %s %.*s",
                            CHY_STR_ARG(run->key), what, CHY_STR_ARG(chy_buf_str(&time)));
        sign_file_fail(f, &run->cli->arena, &why);
        sign_file_done(run, f);
    }
}

static enum chy_err check_dates(struct sign_run *run, struct chy_error *err)
{
    struct chy_x509 cert;
    int64_t now = chy_clock_realtime_us();
    CHY_TRY(
        chy_x509_parse(&run->cli->arena, run->certificates.key.certificates.p[0].der, &cert, err));
    if (now > cert.summary.not_after_us)
        fail_outside(run, "has ended, on", cert.summary.not_after_us);
    else if (now < cert.summary.not_before_us)
        fail_outside(run, "begins only on", cert.summary.not_before_us);
    return CHY_OK;
}

/* What the tools get, of those that take it. */
static enum chy_err certificates_write(struct sign_run *run, struct chy_error *err)
{
    struct sign_certificates *c = &run->certificates;
    CHY_CLEANUP(chy_buf_done) struct chy_buf leaf;
    chy_buf_init(&leaf, PEM_BYTES);
    CHY_CLEANUP(chy_buf_done) struct chy_buf issuers;
    chy_buf_init(&issuers, PEM_BYTES);
    chy_pem_append(&leaf, "CERTIFICATE", c->key.certificates.p[0].der);
    CHY_TRY(append_issuers(run, &issuers, err));
    CHY_TRY(write_pem(run, "cert.pem", &leaf, &c->cert, err));
    return issuers.n == 0 ? CHY_OK : write_pem(run, "issuers.pem", &issuers, &c->issuers, err);
}

/* A login that may not see keys still signs by tools that ask for the certificate themselves. */
enum chy_err sign_certificates_read(struct sign_run *run, struct chy_error *err)
{
    const struct chy_key_name name = { run->key };
    struct chy_key *key = &run->certificates.key;
    bool is_needed = needs_certificates(run);
    if (!is_needed && !has_dates(run))
        return CHY_OK;
    CHY_TRY(chy_cli_client(run->cli, run->args, err));
    enum chy_err r =
        chy_client_call(run->cli->client, CHY_OP_KEYS_SHOW, &name, &run->cli->arena, key, err);
    if (r == CHY_E_DENIED && !is_needed)
        return CHY_OK;
    CHY_TRY(r);
    if (key->certificates.n == 0 && is_needed)
        return chy_fail(err, CHY_E_STATE, "key \"%.*s\" has no certificate yet",
                        CHY_STR_ARG(run->key));
    if (key->certificates.n != 0)
        CHY_TRY(check_dates(run, err));
    return is_needed ? certificates_write(run, err) : CHY_OK;
}
