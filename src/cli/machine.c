/* SPDX-License-Identifier: MIT */
#include "cli/machine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "crypto/init.h"
#include "os/file.h"

#define ENGINE_NAME "pkcs11.so" /* libengine-pkcs11-openssl makes it a link to libpkcs11.so */
#define MODULE_NAME "chancery-pkcs11.so"
#define GPG_NAME    "chancery-gpg"

const char *chy_machine_env(const char *const *variables, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        if (chy_str_starts(chy_str_of(variables[i]), name) && variables[i][n] == '=')
            return variables[i][n + 1] != '\0' ? variables[i] + n + 1 : NULL;
    }
    return NULL;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* `rest` from the folder of this program, if there is such a file. */
static struct chy_str find_beside(struct chy_arena *arena, const char *rest)
{
    char path[CHY_LIMIT_PATH];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    while (n > 0 && path[n - 1] != '/')
        n--;
    struct chy_str found = n > 0 && n < CHY_LIMIT_PATH
                               ? chy_arena_printf(arena, "%.*s%s", (int)n, path, rest)
                               : (struct chy_str){ 0 };
    return found.p != NULL && is_file(found.p) ? found : (struct chy_str){ 0 };
}

static struct chy_str find_module(const char *const *variables, struct chy_arena *arena)
{
    const char *named = chy_machine_env(variables, "CHANCERY_MODULE");
    if (named != NULL)
        return chy_str_of(named);
    /* In a tree that is not installed it lies beside the program. */
    struct chy_str built = find_beside(arena, "../module/" MODULE_NAME);
    return built.n != 0 ? built : CHY_STR(CHY_MODULE_DIR "/" MODULE_NAME);
}

static struct chy_str find_gpg(struct chy_arena *arena)
{
    struct chy_str installed = find_beside(arena, GPG_NAME);
    return installed.n != 0 ? installed : find_beside(arena, "../gpg/" GPG_NAME);
}

/* `name` in the folder, if there is such a file. */
static struct chy_str find_in(struct chy_arena *arena, const char *dir, const char *name)
{
    if (dir == NULL)
        return (struct chy_str){ 0 };
    struct chy_str path = chy_arena_printf(arena, "%s/%s", dir, name);
    return path.p != NULL && is_file(path.p) ? path : (struct chy_str){ 0 };
}

/* --- OpenSSL's configuration --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct chy_str trim(struct chy_str s)
{
    while (s.n != 0 && is_blank(s.p[0]))
        s = (struct chy_str){ s.p + 1, s.n - 1 };
    while (s.n != 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static struct chy_str until(struct chy_str s, char end)
{
    const char *found = s.n != 0 ? memchr(s.p, end, s.n) : NULL;
    return found != NULL ? (struct chy_str){ s.p, (size_t)(found - s.p) } : s;
}

/* It stands before the first section. */
struct chy_str chy_machine_openssl_section(struct chy_str text)
{
    struct chy_str section = { 0 };
    while (text.n != 0) {
        struct chy_str line = until(text, '\n');
        size_t n = line.n < text.n ? line.n + 1 : line.n;
        text = (struct chy_str){ text.p + n, text.n - n };
        line = trim(until(line, '#'));
        struct chy_str name = trim(until(line, '='));
        if (line.n != 0 && line.p[0] == '[' &&
            !chy_str_equal_c(trim((struct chy_str){ line.p + 1, line.n - 1 }), "default]"))
            break;
        if (chy_str_equal_c(name, "openssl_conf") && name.n < line.n) {
            struct chy_str rest = { name.p + name.n, (size_t)(line.p + line.n - name.p) - name.n };
            rest = trim(rest);
            section = trim((struct chy_str){ rest.p + 1, rest.n - 1 });
        }
    }
    return chy_text_is_plain(section) ? section : (struct chy_str){ 0 };
}

static struct chy_str read_section(struct chy_arena *arena, struct chy_str path)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_CONFIG);
    if (path.n == 0 || chy_file_read(AT_FDCWD, path.p, &text, NULL) != CHY_OK)
        return (struct chy_str){ 0 };
    return chy_arena_str(arena, chy_machine_openssl_section(chy_buf_str(&text)));
}

/* --- all of it --- */

static struct chy_str find_dir(const char *const *variables)
{
    static const char *const names[] = { "XDG_RUNTIME_DIR", "TMPDIR" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++) {
        const char *dir = chy_machine_env(variables, names[i]);
        if (dir != NULL && dir[0] == '/' && access(dir, W_OK | X_OK) == 0)
            return chy_str_of(dir);
    }
    return CHY_STR("/tmp");
}

enum chy_err chy_machine_read(const char *const *variables, struct chy_arena *arena,
                              struct chy_machine *ret_machine, struct chy_error *err)
{
    const char *conf = chy_machine_env(variables, "OPENSSL_CONF");
    struct chy_machine m = {
        .module = find_module(variables, arena),
        .gpg = find_gpg(arena),
        .engine = find_in(arena, chy_crypto_engines_dir(), ENGINE_NAME),
        .openssl_cnf = conf != NULL ? chy_str_of(conf)
                                    : find_in(arena, chy_crypto_config_dir(), "openssl.cnf"),
        .dir = find_dir(variables),
    };
    m.openssl_section = read_section(arena, m.openssl_cnf);
    if (m.module.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    *ret_machine = m;
    return CHY_OK;
}
