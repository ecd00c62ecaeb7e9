/* SPDX-License-Identifier: MIT */
#include "token/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "codec/hex.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/random.h"
#include "os/sys.h"
#include "proto/types.h"
#include "token/guard.h"
#include "token/module.h"
#include "token/rv.h"
#include "token/session.h"

#define PIN_RANDOM_BYTES 16
#define LABEL_BYTES      32
#define CHILD_US         INT64_C(60000000)

/* What the child tells the parent, in memory that they share. */
struct report {
    bool is_done;
    enum chy_err code;
    struct chy_error error;
    struct chy_setup_result result;
};

struct paths {
    char *directory;
    char *conf;
    char *lock;
    char *pin_file;
    char *so_pin_file;
};

static void paths_done(struct paths *p)
{
    chy_free(p->directory);
    chy_free(p->conf);
    chy_free(p->lock);
    chy_free(p->pin_file);
    chy_free(p->so_pin_file);
}

static void report_unmap(struct report **report)
{
    if (*report != NULL)
        munmap(*report, sizeof **report);
}

/* --- the child: the module runs here --- */

struct maker {
    const CK_FUNCTION_LIST *f;
    struct chy_secret *pin;
    struct chy_secret *so_pin;
};

static CK_UTF8CHAR *pin_p(const struct chy_secret *pin)
{
    return CHY_UNCONST(void, chy_secret_bytes(pin).p);
}

static CK_ULONG pin_n(const struct chy_secret *pin)
{
    return chy_secret_bytes(pin).n;
}

static enum chy_err check_softhsm(const struct maker *m, struct chy_error *err)
{
    CK_INFO info;
    CK_RV rv = m->f->C_GetInfo(&info);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_GetInfo");
    struct chy_str name = { (const char *)info.manufacturerID, sizeof info.manufacturerID };
    if (!chy_str_starts(name, "SoftHSM"))
        return chy_fail(err, CHY_E_UNSUPPORTED, "the PKCS#11 module is not SoftHSM");
    return CHY_OK;
}

/* SoftHSM always shows one slot more than it has tokens. */
static enum chy_err slot_find(const struct maker *m, bool is_initialized, CK_SLOT_ID *ret_slot,
                              CK_TOKEN_INFO *ret_info, struct chy_error *err)
{
    CK_SLOT_ID ids[16];
    CK_ULONG n = CHY_ARRAY_LEN(ids);
    CK_RV rv = m->f->C_GetSlotList(CK_TRUE, NULL, &n); /* SoftHSM looks for tokens when asked so */
    n = CHY_ARRAY_LEN(ids);
    if (rv == CKR_OK)
        rv = m->f->C_GetSlotList(CK_TRUE, ids, &n);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_GetSlotList");
    for (CK_ULONG i = 0; i < n; i++) {
        rv = m->f->C_GetTokenInfo(ids[i], ret_info);
        if (rv != CKR_OK)
            return chy_fail_rv(err, rv, "C_GetTokenInfo");
        if (((ret_info->flags & CKF_TOKEN_INITIALIZED) != 0) == is_initialized) {
            *ret_slot = ids[i];
            return CHY_OK;
        }
    }
    return chy_fail(err, CHY_E_TOKEN, "SoftHSM shows no slot to make a token in");
}

/* The security officer logs in to the new token and sets the user's PIN. */
static enum chy_err pin_set(const struct maker *m, CK_SLOT_ID slot, struct chy_error *err)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_RV rv = m->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_OpenSession");
    rv = m->f->C_Login(session, CKU_SO, pin_p(m->so_pin), pin_n(m->so_pin));
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_Login");
    rv = m->f->C_InitPIN(session, pin_p(m->pin), pin_n(m->pin));
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_InitPIN");
    rv = m->f->C_Logout(session);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_Logout");
    return CHY_OK;
}

static enum chy_err token_make(const struct maker *m, struct chy_str label,
                               struct chy_setup_result *result, struct chy_error *err)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;
    CHY_TRY(check_softhsm(m, err));
    CHY_TRY(slot_find(m, false, &slot, &info, err));
    CK_UTF8CHAR padded[LABEL_BYTES];
    for (size_t i = 0; i < sizeof padded; i++)
        padded[i] = i < label.n ? (CK_UTF8CHAR)label.p[i] : ' ';
    CK_RV rv = m->f->C_InitToken(slot, pin_p(m->so_pin), pin_n(m->so_pin), padded);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_InitToken");
    CHY_TRY(slot_find(m, true, &slot, &info, err));
    CHY_TRY(pin_set(m, slot, err));
    chy_copy(result->serial, info.serialNumber, sizeof info.serialNumber);
    for (size_t n = sizeof info.serialNumber; n > 0 && result->serial[n - 1] == ' '; n--)
        result->serial[n - 1] = '\0';
    return CHY_OK;
}

static char *path_join(const char *directory, const char *name)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, 2 * (size_t)CHY_LIMIT_PATH);
    CHY_IGNORE(chy_buf_printf(&path, "%s/%s", directory, name)); /* checked below */
    return chy_buf_check(&path, NULL) == CHY_OK ? chy_strdup(chy_buf_str(&path)) : NULL;
}

static enum chy_err files_make(const struct paths *p, struct chy_error *err)
{
    CHY_CLEANUP(chy_freep) char *tokens = path_join(p->directory, "tokens");
    if (tokens == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the paths of a token");
    CHY_TRY(chy_dir_make(AT_FDCWD, tokens, 0700, err));
    CHY_CLEANUP(chy_buf_done) struct chy_buf conf;
    chy_buf_init(&conf, 2 * (size_t)CHY_LIMIT_PATH);
    /* A fork must not reset the library: a token process never forks. "db" is not in Debian's
     * build. */
    CHY_IGNORE(chy_buf_printf(&conf,
                              "# The software token of Chancery; SOFTHSM2_CONF names this file.\n"
                              "directories.tokendir = %s\n"
                              "objectstore.backend = file\n"
                              "log.level = ERROR\n"
                              "slots.removable = false\n"
                              "slots.mechanisms = ALL\n"
                              "library.reset_on_fork = false\n",
                              tokens)); /* checked in the next line */
    CHY_TRY(chy_buf_check(&conf, err));
    return chy_file_create(AT_FDCWD, p->conf, chy_buf_bytes(&conf), 0600, err);
}

static enum chy_err pin_make(const char *path, struct chy_secret **ret_pin, struct chy_error *err)
{
    uint8_t random[PIN_RANDOM_BYTES];
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pin = NULL;
    CHY_TRY(chy_secret_new(CHY_HEX_SIZE(PIN_RANDOM_BYTES), &pin, err));
    CHY_TRY(chy_random_fill(random, sizeof random, err));
    chy_hex_encode((struct chy_bytes){ random, sizeof random }, (char *)chy_secret_room(pin));
    chy_wipe(random, sizeof random);
    chy_secret_set_len(pin, sizeof random * 2);
    CHY_TRY(chy_file_create(AT_FDCWD, path, chy_secret_bytes(pin), 0600, err));
    *ret_pin = CHY_TAKE(pin);
    return CHY_OK;
}

static enum chy_err module_start(struct chy_str path, const struct paths *paths,
                                 struct chy_module **ret_module, struct chy_error *err)
{
    CHY_CLEANUP(chy_module_freep) struct chy_module *module = NULL;
    CHY_ASSERT(paths->conf != NULL);
    if (setenv("SOFTHSM2_CONF", paths->conf, 1) != 0) /* NOLINT: a child with one thread */
        return chy_fail(err, CHY_E_NOMEM, "cannot set SOFTHSM2_CONF");
    CHY_TRY(chy_module_open(path, (struct chy_str){ NULL, 0 }, &module, err));
    CHY_TRY(chy_module_load(module, chy_str_of(paths->lock), err));
    *ret_module = CHY_TAKE(module);
    return CHY_OK;
}

static enum chy_err child_work(const struct chy_setup_options *options, const struct paths *paths,
                               struct chy_setup_result *result, struct chy_error *err)
{
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *pin = NULL;
    CHY_CLEANUP(chy_secret_freep) struct chy_secret *so_pin = NULL;
    CHY_CLEANUP(chy_module_freep) struct chy_module *module = NULL;
    CHY_TRY(files_make(paths, err));
    CHY_TRY(pin_make(paths->pin_file, &pin, err));
    CHY_TRY(pin_make(paths->so_pin_file, &so_pin, err));
    CHY_TRY(module_start(options->module, paths, &module, err));
    chy_hex_encode((struct chy_bytes){ chy_module_sha256(module), CHY_HASH_BYTES },
                   result->module_sha256);
    const struct maker m = { chy_module_functions(module), pin, so_pin };
    return token_make(&m, options->label, result, err);
}

static void child_main(const struct chy_setup_options *options, const struct paths *paths,
                       struct report *report)
{
    report->code = child_work(options, paths, &report->result, &report->error);
    report->is_done = true;
    _exit(0); /* checksrc: a child that ran a module runs no exit handlers */
}

/* --- the parent --- */

static enum chy_err check_path(struct chy_str path, const char *what, struct chy_error *err)
{
    if (chy_str_starts(path, "/") && path.n <= CHY_LIMIT_PATH && chy_text_is_plain(path))
        return CHY_OK;
    return chy_fail(err, CHY_E_ARG, "the path of %s is not absolute, or has control characters",
                    what);
}

static enum chy_err check_options(const struct chy_setup_options *o, struct chy_error *err)
{
    CHY_TRY(check_path(o->module, "the module", err));
    CHY_TRY(check_path(o->directory, "the token's folder", err));
    CHY_TRY(check_path(o->pin_file, "the PIN", err));
    CHY_TRY(check_path(o->so_pin_file, "the security officer's PIN", err));
    if (o->label.n == 0 || o->label.n > LABEL_BYTES || !chy_text_is_plain(o->label))
        return chy_fail(err, CHY_E_ARG, "the label of a token is 1 to %d bytes of text",
                        LABEL_BYTES);
    return CHY_OK;
}

static enum chy_err paths_make(const struct chy_setup_options *o, struct paths *p,
                               struct chy_error *err)
{
    p->directory = chy_strdup(o->directory);
    p->pin_file = chy_strdup(o->pin_file);
    p->so_pin_file = chy_strdup(o->so_pin_file);
    if (p->directory != NULL) {
        p->conf = path_join(p->directory, "softhsm2.conf");
        p->lock = path_join(p->directory, "lock");
    }
    if (p->pin_file == NULL || p->so_pin_file == NULL || p->conf == NULL || p->lock == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the paths of a token");
    return CHY_OK;
}

static enum chy_err child_run(const struct chy_setup_options *options, const struct paths *paths,
                              struct report *report, struct chy_error *err)
{
    struct chy_process child;
    struct chy_process_end end;
    bool is_child = false;
    CHY_TRY(chy_process_fork(&child, &is_child, err));
    if (is_child)
        child_main(options, paths, report);
    enum chy_err r = chy_process_wait(&child, chy_clock_monotonic_us() + CHILD_US, &end, err);
    if (r != CHY_OK) {
        chy_process_endp(&child);
        return r;
    }
    if (!report->is_done) {
        char text[CHY_PROCESS_END_TEXT_BYTES];
        chy_process_end_text(end, text);
        return chy_fail(err, CHY_E_TOKEN, "the process that makes a token %s", text);
    }
    if (report->code != CHY_OK)
        return chy_error_set(err, report->code, report->error.sys, report->error.where, "%s",
                             report->error.text);
    return CHY_OK;
}

enum chy_err chy_setup_softhsm(const struct chy_setup_options *options,
                               struct chy_setup_result *ret_result, struct chy_error *err)
{
    CHY_TRY(check_options(options, err));
    CHY_CLEANUP(paths_done) struct paths paths = { NULL, NULL, NULL, NULL, NULL };
    CHY_TRY(paths_make(options, &paths, err));
    CHY_CLEANUP(report_unmap) struct report *report = NULL;
    void *shared =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return chy_fail_sys(err, CHY_E_NOMEM, errno, "cannot map memory to share with a child");
    report = shared;
    CHY_TRY(child_run(options, &paths, report, err));
    CHY_TRY(chy_guard_save(options->directory, err));
    *ret_result = report->result;
    return CHY_OK;
}

enum chy_err chy_setup_find_softhsm(char **ret_path, struct chy_error *err)
{
    static const char *const places[] = {
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    };
    char resolved[PATH_MAX];
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        if (realpath(places[i], resolved) == NULL)
            continue;
        *ret_path = chy_strdup(chy_str_of(resolved));
        return *ret_path != NULL ? CHY_OK : chy_fail(err, CHY_E_NOMEM, "cannot allocate a path");
    }
    return chy_fail(err, CHY_E_NOT_FOUND, "SoftHSM is not installed: there is no libsofthsm2.so");
}
