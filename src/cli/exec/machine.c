/* SPDX-License-Identifier: MIT */
#include "cli/exec/machine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "crypto/init.h"
#include "os/file.h"

#define ENGINE_NAME   "pkcs11.so" /* libengine-pkcs11-openssl makes it a link to libpkcs11.so */
#define MODULE_NAME   "chancery-pkcs11.so"
#define PROVIDER_NAME "chancery.so"
#define GPG_NAME      "chancery-gpg"

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

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
}

/* `rest` from the folder of this program, if there is such a file; else empty. */
static enum chy_err find_beside(struct chy_arena *arena, const char *rest, struct chy_str *ret_path,
                                struct chy_error *err)
{
    char path[CHY_LIMIT_PATH];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    while (n > 0 && path[n - 1] != '/')
        n--;
    *ret_path = (struct chy_str){ 0 };
    if (n <= 0)
        return CHY_OK;
    struct chy_str found = chy_arena_printf(arena, "%.*s%s", (int)n, path, rest);
    if (found.p == NULL)
        return no_memory(err);
    if (is_file(found.p))
        *ret_path = found;
    return CHY_OK;
}

/* Whether a variable names it, be it there or not: what was named is used or nothing. */
static bool is_named(const char *const *variables, const char *name, struct chy_str *ret_path)
{
    *ret_path = chy_str_of(chy_machine_env(variables, name));
    return ret_path->n != 0;
}

static enum chy_err find_module(const char *const *variables, struct chy_arena *arena,
                                struct chy_str *ret_path, struct chy_error *err)
{
    if (is_named(variables, "CHANCERY_MODULE", ret_path))
        return CHY_OK;
    /* In a tree that is not installed it lies in a folder beside the program's. */
    CHY_TRY(find_beside(arena, "../module/" MODULE_NAME, ret_path, err));
    if (ret_path->n == 0)
        *ret_path = CHY_STR(CHY_MODULE_DIR "/" MODULE_NAME);
    return CHY_OK;
}

static enum chy_err find_gpg(struct chy_arena *arena, struct chy_str *ret_path,
                             struct chy_error *err)
{
    CHY_TRY(find_beside(arena, GPG_NAME, ret_path, err));
    return ret_path->n != 0 ? CHY_OK : find_beside(arena, "../gpg/" GPG_NAME, ret_path, err);
}

/* `name` in the folder, if there is such a file; else empty. */
static enum chy_err find_in(struct chy_arena *arena, const char *dir, const char *name,
                            struct chy_str *ret_path, struct chy_error *err)
{
    *ret_path = (struct chy_str){ 0 };
    if (dir == NULL)
        return CHY_OK;
    struct chy_str path = chy_arena_printf(arena, "%s/%s", dir, name);
    if (path.p == NULL)
        return no_memory(err);
    if (is_file(path.p))
        *ret_path = path;
    return CHY_OK;
}

static enum chy_err find_provider(const char *const *variables, struct chy_arena *arena,
                                  struct chy_str *ret_path, struct chy_error *err)
{
    if (is_named(variables, "CHANCERY_PROVIDER", ret_path))
        return CHY_OK;
    CHY_TRY(find_beside(arena, "../provider/" PROVIDER_NAME, ret_path, err));
    return ret_path->n != 0 ? CHY_OK
                            : find_in(arena, CHY_PROVIDER_DIR, PROVIDER_NAME, ret_path, err);
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

/* The next line of `*text`, which is cut off from it, without its comment. */
static struct chy_str line_next(struct chy_str *text)
{
    struct chy_str line = until(*text, '\n');
    size_t n = line.n < text->n ? line.n + 1 : line.n;
    *text = (struct chy_str){ text->p + n, text->n - n };
    return trim(until(line, '#'));
}

/* "name = value"; false for any other line. */
static bool setting_read(struct chy_str line, struct chy_str *ret_name, struct chy_str *ret_value)
{
    struct chy_str name = until(line, '=');
    if (name.n == line.n)
        return false;
    *ret_name = trim(name);
    *ret_value = trim((struct chy_str){ line.p + name.n + 1, line.n - name.n - 1 });
    return true;
}

/* What stands before the first section is in that of the name `default`. */
struct chy_str chy_machine_openssl_value(struct chy_str text, struct chy_str section,
                                         const char *name)
{
    struct chy_str found = { 0 };
    struct chy_str here = CHY_STR("default");
    while (text.n != 0) {
        struct chy_str own;
        struct chy_str value;
        struct chy_str line = line_next(&text);
        if (line.n != 0 && line.p[0] == '[')
            here = trim(until((struct chy_str){ line.p + 1, line.n - 1 }, ']'));
        else if (chy_str_equal(here, section) && setting_read(line, &own, &value) &&
                 chy_str_equal_c(own, name))
            found = value;
    }
    return chy_text_is_plain(found) ? found : (struct chy_str){ 0 };
}

/* A file that cannot be read names none. */
static enum chy_err read_sections(struct chy_machine *m, struct chy_arena *arena,
                                  struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_CONFIG);
    enum chy_err r = m->openssl_cnf.n != 0 ? chy_file_read(AT_FDCWD, m->openssl_cnf.p, &text, err)
                                           : CHY_E_NOT_FOUND;
    if (r != CHY_OK)
        return r == CHY_E_NOMEM ? r : CHY_OK;
    struct chy_str all = chy_buf_str(&text);
    struct chy_str section = chy_machine_openssl_value(all, CHY_STR("default"), "openssl_conf");
    struct chy_str providers = chy_machine_openssl_value(all, section, "providers");
    m->openssl_section = chy_arena_str(arena, section);
    m->openssl_providers = chy_arena_str(arena, providers);
    return m->openssl_section.p != NULL && m->openssl_providers.p != NULL ? CHY_OK : no_memory(err);
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
    struct chy_machine m = { .openssl_cnf = chy_str_of(conf), .dir = find_dir(variables) };
    CHY_TRY(find_module(variables, arena, &m.module, err));
    CHY_TRY(find_gpg(arena, &m.gpg, err));
    CHY_TRY(find_in(arena, chy_crypto_engines_dir(), ENGINE_NAME, &m.engine, err));
    if (conf == NULL)
        CHY_TRY(find_in(arena, chy_crypto_config_dir(), "openssl.cnf", &m.openssl_cnf, err));
    CHY_TRY(find_provider(variables, arena, &m.provider, err));
    CHY_TRY(read_sections(&m, arena, err));
    *ret_machine = m;
    return CHY_OK;
}
