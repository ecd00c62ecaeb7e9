/* SPDX-License-Identifier: MIT */
#include "token/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "codec/schema.h"
#include "crypto/hash.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sys.h"
#include "token/rv.h"

#define LOCK_RETRY_NS 2000000 /* the lock is held for some milliseconds at a time */

struct chy_module {
    char *path;
    int image_fd;    /* the sealed copy; -1 once it is loaded, and with that the process's */
    char *lock_path; /* NULL: none */
    int lock_fd;
    uint8_t sha256[CHY_HASH_BYTES];
    const CK_FUNCTION_LIST *functions;
    bool is_initialized;
};

struct mapping {
    void *p;
    size_t n;
};

static void mapping_done(struct mapping *m)
{
    munmap(m->p, m->n);
}

static enum chy_err fail_path(struct chy_error *err, int e, const char *what, const char *path)
{
    return chy_fail_sys(err, chy_sys_code(e), e, "cannot %s the PKCS#11 module %s: %s", what, path,
                        chy_sys_text(e));
}

static enum chy_err file_size(int fd, const char *path, size_t *ret_n, struct chy_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_path(err, errno, "look at", path);
    if (!S_ISREG(st.st_mode))
        return chy_fail(err, CHY_E_IO, "the PKCS#11 module %s is not a regular file", path);
    if (st.st_size > CHY_LIMIT_MODULE)
        return chy_fail(err, CHY_E_LIMIT, "the PKCS#11 module %s is %lld bytes, %d are the most",
                        path, (long long)st.st_size, CHY_LIMIT_MODULE);
    if (st.st_size == 0)
        return chy_fail(err, CHY_E_IO, "the PKCS#11 module %s is empty", path);
    *ret_n = (size_t)st.st_size;
    return CHY_OK;
}

static enum chy_err copy_all(int from, int to, size_t n, const char *path, struct chy_error *err)
{
    for (size_t done = 0; done < n;) {
        uint8_t block[8192];
        ssize_t got = read(from, block, CHY_MIN(sizeof block, n - done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_path(err, errno, "read", path);
        if (got == 0)
            return chy_fail(err, CHY_E_IO, "the PKCS#11 module %s became shorter while it was read",
                            path);
        CHY_TRY(chy_fd_write(to, (struct chy_bytes){ block, (size_t)got }, err));
        done += (size_t)got;
    }
    return CHY_OK;
}

/* A copy that nobody can change any more, this process included. */
static enum chy_err image_make(int file_fd, size_t n, const char *path, int *ret_fd,
                               struct chy_error *err)
{
    CHY_CLEANUP(chy_fd_closep)
    int fd = memfd_create("pkcs11-module", /* checksrc: one use, not worth a place in os */
                          MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return fail_path(err, errno, "copy", path);
    CHY_TRY(copy_all(file_fd, fd, n, path, err));
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return fail_path(err, errno, "seal the copy of", path);
    *ret_fd = chy_fd_take(&fd);
    return CHY_OK;
}

static enum chy_err image_hash(struct chy_module *m, size_t n, struct chy_error *err)
{
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, m->image_fd, 0);
    if (p == MAP_FAILED)
        return fail_path(err, errno, "map", m->path);
    CHY_CLEANUP(mapping_done) struct mapping mapping = { p, n };
    return chy_sha256((struct chy_bytes){ p, n }, m->sha256, err);
}

static enum chy_err image_check(const struct chy_module *m, struct chy_str sha256_hex,
                                struct chy_error *err)
{
    if (sha256_hex.n == 0)
        return CHY_OK;
    uint8_t wanted[CHY_HASH_BYTES];
    if (chy_hex_decode(sha256_hex, wanted, sizeof wanted, NULL) != CHY_OK)
        return chy_fail(err, CHY_E_ARG, "the SHA-256 of the PKCS#11 module %s is not 64 hex digits",
                        m->path);
    if (chy_bytes_equal((struct chy_bytes){ wanted, sizeof wanted },
                        (struct chy_bytes){ m->sha256, sizeof m->sha256 }))
        return CHY_OK;
    char found[CHY_HEX_SIZE(CHY_HASH_BYTES)];
    chy_hex_encode((struct chy_bytes){ m->sha256, sizeof m->sha256 }, found);
    return chy_fail(err, CHY_E_INTEGRITY,
                    "the PKCS#11 module %s has the SHA-256 %s, not the one set", m->path, found);
}

enum chy_err chy_module_open(struct chy_str path, struct chy_str sha256_hex,
                             struct chy_module **ret_module, struct chy_error *err)
{
    if (!chy_str_starts(path, "/"))
        return chy_fail(err, CHY_E_ARG, "the PKCS#11 module \"%.*s\" is not an absolute path",
                        CHY_STR_ARG(path));
    CHY_CLEANUP(chy_module_freep) struct chy_module *m = chy_new(struct chy_module);
    if (m == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate a PKCS#11 module");
    m->image_fd = -1;
    m->lock_fd = -1;
    m->path = chy_strdup(path);
    if (m->path == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the path of a PKCS#11 module");

    CHY_CLEANUP(chy_fd_closep)
    int fd = open(m->path, /* checksrc: the one file that becomes code */
                  O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ELOOP)
        return chy_fail_sys(err, CHY_E_IO, ELOOP,
                            "the PKCS#11 module %s is a symbolic link: name the file itself",
                            m->path);
    if (fd < 0)
        return fail_path(err, errno, "open", m->path);
    size_t n = 0;
    CHY_TRY(file_size(fd, m->path, &n, err));
    CHY_TRY(image_make(fd, n, m->path, &m->image_fd, err));
    CHY_TRY(image_hash(m, n, err));
    CHY_TRY(image_check(m, sha256_hex, err));
    *ret_module = CHY_TAKE(m);
    return CHY_OK;
}

void chy_module_free(struct chy_module *module)
{
    if (module == NULL)
        return;
    chy_module_end(module);
    chy_fd_closep(&module->image_fd);
    chy_free(module->path);
    chy_free(module->lock_path);
    chy_free(module);
}

void chy_module_freep(struct chy_module **module)
{
    chy_module_free(*module);
}

enum chy_err chy_module_lock(struct chy_module *m, struct chy_error *err)
{
    if (m->lock_path == NULL)
        return CHY_OK;
    int64_t end_us = chy_clock_monotonic_us() + CHY_LIMIT_TOKEN_LOCK_MS * INT64_C(1000);
    for (;;) {
        enum chy_err r = chy_file_lock(AT_FDCWD, m->lock_path, &m->lock_fd, err);
        if (r != CHY_E_BUSY)
            return r;
        if (chy_clock_monotonic_us() > end_us)
            return chy_error_set(err, CHY_E_TIMEOUT, 0, CHY_WHERE,
                                 "another process held the token's lock %s for %d ms", m->lock_path,
                                 CHY_LIMIT_TOKEN_LOCK_MS);
        struct timespec pause = { .tv_nsec = LOCK_RETRY_NS };
        CHY_IGNORE(clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL)); /* shorter is as well */
    }
}

enum chy_err chy_module_lock_at(struct chy_module *module, struct chy_str lock_path,
                                struct chy_error *err)
{
    if (lock_path.n == 0)
        return CHY_OK;
    chy_freep(&module->lock_path);
    module->lock_path = chy_strdup(lock_path);
    if (module->lock_path == NULL)
        return chy_fail(err, CHY_E_NOMEM, "cannot allocate the path of a lock");
    return chy_module_lock(module, err);
}

void chy_module_unlock(struct chy_module *module)
{
    chy_fd_closep(&module->lock_fd);
}

static enum chy_err fail_dl(struct chy_error *err, const char *path)
{
    const char *text = dlerror(); /* NOLINT: glibc keeps it for each thread */
    return chy_fail(err, CHY_E_TOKEN, "cannot load the PKCS#11 module %s: %s", path,
                    text != NULL ? text : "for no reason that the loader names");
}

static enum chy_err image_load(struct chy_module *m, struct chy_error *err)
{
    char path[64];
    int n = snprintf(path, sizeof path, "/proc/self/fd/%d", m->image_fd);
    CHY_ASSERT(n > 0 && (size_t)n < sizeof path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return fail_dl(err, m->path);
    /* The loader knows libraries by the path that they were loaded from. So this descriptor is
     * never closed: another image under its number would be taken for this one. */
    m->image_fd = -1;
    void *symbol = dlsym(library, "C_GetFunctionList");
    if (symbol == NULL)
        return fail_dl(err, m->path);
    /* POSIX has both kinds of pointer alike; ISO C has no cast between them. */
    CK_C_GetFunctionList *get_list = NULL;
    memcpy(&get_list, &symbol, sizeof get_list);

    CK_FUNCTION_LIST *list = NULL;
    CK_RV rv = get_list(&list);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_GetFunctionList");
    if (list == NULL || (list->version.major != 2 && list->version.major != 3))
        return chy_fail(err, CHY_E_TOKEN, "%s is not a PKCS#11 module of version 2 or 3", m->path);
    m->functions = list;
    return CHY_OK;
}

enum chy_err chy_module_load(struct chy_module *module, struct chy_str lock_path,
                             struct chy_error *err)
{
    if (module->functions != NULL)
        return chy_fail(err, CHY_E_STATE, "the PKCS#11 module %s is loaded already", module->path);
    if (module->lock_fd < 0)
        CHY_TRY(chy_module_lock_at(module, lock_path, err));
    CHY_TRY(image_load(module, err));
    CHY_ASSERT(module->functions != NULL);
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv = module->functions->C_Initialize(&args);
    if (rv != CKR_OK)
        return chy_fail_rv(err, rv, "C_Initialize");
    module->is_initialized = true;
    return CHY_OK;
}

void chy_module_end(struct chy_module *module)
{
    if (module->is_initialized)
        CHY_IGNORE(module->functions->C_Finalize(NULL)); /* nobody is left to tell */
    module->is_initialized = false;
    chy_module_unlock(module);
}

const CK_FUNCTION_LIST *chy_module_functions(const struct chy_module *module)
{
    return module->functions;
}

const uint8_t *chy_module_sha256(const struct chy_module *module)
{
    return module->sha256;
}
