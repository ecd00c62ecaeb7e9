/* SPDX-License-Identifier: MIT */
/* The files of a tool of chancery exec. */
#include "base/limits.h"
#include "cli/exec/exec.h"

#define TEXT_MAX ((size_t)4 * CHY_LIMIT_PATH)

static enum chy_err no_memory(struct chy_error *err)
{
    return chy_fail(err, CHY_E_NOMEM, "no memory for the tool's files");
}

static void write_pkcs11_cfg(const struct chy_exec_setup *setup, unsigned wanted,
                             struct chy_buf *out)
{
    (void)wanted;
    chy_buf_printf(out,
                   "# SunPKCS11 of JDK 9 and later.\n"
                   "name = Chancery\n"
                   "library = %.*s\n"
                   "slotListIndex = 0\n"
                   "showInfo = false\n",
                   CHY_STR_ARG(setup->module));
}

/* JDK 9 to 25 have twelve, the last a SunPKCS11 without a module, which programs may want. */
static void write_java_security(const struct chy_exec_setup *setup, unsigned wanted,
                                struct chy_buf *out)
{
    (void)wanted;
    chy_buf_printf(out, "security.provider.13=SunPKCS11 %.*s/pkcs11.cfg\n",
                   CHY_STR_ARG(setup->dir));
}

static void write_engine(const struct chy_exec_setup *setup, struct chy_buf *out)
{
    chy_buf_printf(out,
                   "[chancery_engines]\n"
                   "pkcs11 = chancery_pkcs11\n"
                   "[chancery_pkcs11]\n"
                   "engine_id = pkcs11\n"
                   "dynamic_path = %.*s\n"
                   "MODULE_PATH = %.*s\n"
                   "init = 0\n",
                   CHY_STR_ARG(setup->engine), CHY_STR_ARG(setup->module));
}

/* OpenSSL's own provider is activated too, and first: without a word it is there only as long as no
 * other is, and the first of two that can make keys makes them. */
static void write_provider(const struct chy_exec_setup *setup, struct chy_str section,
                           struct chy_buf *out)
{
    chy_buf_printf(out,
                   "[%.*s]\n"
                   "default = chancery_default\n"
                   "chancery = chancery_provider\n"
                   "[chancery_default]\n"
                   "activate = 1\n"
                   "[chancery_provider]\n"
                   "module = %.*s\n"
                   "activate = 1\n",
                   CHY_STR_ARG(section), CHY_STR_ARG(setup->provider));
}

/* Behind what OpenSSL reads without us: commands such as req need it. A later setting of a name
 * goes before an earlier one. */
static void write_openssl_cnf(const struct chy_exec_setup *setup, unsigned wanted,
                              struct chy_buf *out)
{
    struct chy_str section =
        setup->openssl_section.n != 0 ? setup->openssl_section : CHY_STR("chancery_openssl");
    struct chy_str providers =
        setup->openssl_providers.n != 0 ? setup->openssl_providers : CHY_STR("chancery_providers");
    if (setup->openssl_cnf.n != 0)
        chy_buf_printf(out, ".include %.*s\n", CHY_STR_ARG(setup->openssl_cnf));
    chy_buf_printf(out,
                   "[default]\n"
                   "openssl_conf = %.*s\n"
                   "[%.*s]\n",
                   CHY_STR_ARG(section), CHY_STR_ARG(section));
    if ((wanted & CHY_EXEC_ENGINE) != 0)
        chy_buf_printf(out, "engines = chancery_engines\n");
    if ((wanted & CHY_EXEC_PROVIDER) != 0)
        chy_buf_printf(out, "providers = %.*s\n", CHY_STR_ARG(providers));
    if ((wanted & CHY_EXEC_ENGINE) != 0)
        write_engine(setup, out);
    if ((wanted & CHY_EXEC_PROVIDER) != 0)
        write_provider(setup, providers, out);
}

static void write_gpg(const struct chy_exec_setup *setup, unsigned wanted, struct chy_buf *out)
{
    (void)wanted;
    chy_buf_append_str(out, setup->gpg);
}

enum chy_err chy_exec_files_make(const struct chy_exec_setup *setup, unsigned wanted,
                                 struct chy_arena *arena, struct chy_exec_plan *plan,
                                 struct chy_error *err)
{
    static const struct {
        unsigned file;
        const char *name;
        void (*write)(const struct chy_exec_setup *setup, unsigned wanted, struct chy_buf *out);
        bool is_link;
    } kinds[] = {
        { CHY_EXEC_OPENSSL, "openssl.cnf", write_openssl_cnf, false },
        { CHY_EXEC_JAVA, "pkcs11.cfg", write_pkcs11_cfg, false },
        { CHY_EXEC_SECURITY, "java.security", write_java_security, false },
        { CHY_EXEC_GPG, CHY_EXEC_BIN "/gpg", write_gpg, true },
    };
    struct chy_exec_file *made = chy_arena_array(arena, struct chy_exec_file, CHY_ARRAY_LEN(kinds));
    if (made == NULL)
        return no_memory(err);
    size_t n = 0;
    for (size_t i = 0; i < CHY_ARRAY_LEN(kinds); i++) {
        if ((wanted & kinds[i].file) == 0)
            continue;
        CHY_CLEANUP(chy_buf_done) struct chy_buf text;
        chy_buf_init(&text, TEXT_MAX);
        kinds[i].write(setup, wanted, &text);
        CHY_TRY(chy_buf_check(&text, err));
        struct chy_exec_file *f = &made[n++];
        f->path = chy_arena_printf(arena, "%.*s/%s", CHY_STR_ARG(setup->dir), kinds[i].name);
        f->text = chy_arena_str(arena, chy_buf_str(&text));
        f->is_link = kinds[i].is_link;
        if (f->path.p == NULL || f->text.p == NULL)
            return no_memory(err);
    }
    plan->files.p = made;
    plan->files.n = n;
    return CHY_OK;
}
