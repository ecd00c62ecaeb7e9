/* SPDX-License-Identifier: MIT */
/* chancery doctor: what tools on this machine need. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/doctor.h"
#include "cli/exec/exec.h"
#include "codec/hex.h"
#include "os/file.h"
#include "os/program.h"
#include "os/random.h"
#include "os/tree.h"

static void look_at_module(struct chy_doctor *d)
{
    struct chy_error err;
    if (chy_library_probe(d->machine.module.p, "C_GetFunctionList", &err) == CHY_OK)
        chy_doctor_ok(d, "%s loads", d->machine.module.p);
    else
        chy_doctor_problem(d,
                           "install Chancery whole: make install; another place: CHANCERY_MODULE",
                           "%s", err.text);
}

/* --- the agent and the helper --- */

static void look_at_agent(struct chy_doctor *d)
{
    struct chy_str socket = d->cli->settings.agent_socket;
    struct chy_error err;
    uint8_t tag[CHY_ID_BYTES] = { 0 };
    struct chy_exec_door_options options = {
        .socket = socket,
        .tag = tag,
        .arena = &d->cli->arena,
    };
    CHY_CLEANUP(chy_exec_door_closep) struct chy_exec_door *door = NULL;
    if (socket.n == 0) {
        chy_doctor_ok(d, "none runs; tools get a private helper each");
        return;
    }
    enum chy_err r = chy_exec_door_open(&options, &door, &err);
    if (r == CHY_OK)
        chy_doctor_ok(d, "one answers at %.*s", CHY_STR_ARG(socket));
    else if (d->cli->settings.is_agent_named)
        chy_doctor_problem(d,
                           "start it: systemctl --user start chancery-agent; or take "
                           "CHANCERY_AGENT_SOCK out of the environment",
                           "%s", err.text);
    else if (r == CHY_E_NOMEM)
        chy_doctor_problem(d, NULL, "%s", err.text);
    else
        chy_doctor_ok(d, "none answers at %.*s; tools get a private helper each",
                      CHY_STR_ARG(socket));
}

static enum chy_err make_dir(struct chy_doctor *d, struct chy_str *ret_dir, struct chy_error *err)
{
    uint8_t bytes[8];
    char hex[CHY_HEX_SIZE(sizeof bytes)];
    CHY_TRY(chy_random_fill(bytes, sizeof bytes, err));
    chy_hex_encode((struct chy_bytes){ bytes, sizeof bytes }, hex);
    struct chy_str dir = chy_arena_printf(&d->cli->arena, "%.*s/chancery-doctor-%s",
                                          CHY_STR_ARG(d->machine.dir), hex);
    if (dir.p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for a path");
    CHY_TRY(chy_dir_make(AT_FDCWD, dir.p, 0700, err));
    *ret_dir = dir;
    return CHY_OK;
}

static enum chy_err try_helper(struct chy_doctor *d, struct chy_str dir, struct chy_error *err)
{
    uint8_t tag[CHY_ID_BYTES] = { 0 };
    const struct chy_exec_agent_options agent_options = {
        .socket = chy_arena_printf(&d->cli->arena, "%.*s/agent.sock", CHY_STR_ARG(dir)),
        .is_helper = true,
        .token = d->cli->env.token,
        .profile = chy_cli_arg(d->args, "profile"),
        .url = chy_cli_arg(d->args, "url"),
        .arena = &d->cli->arena,
    };
    const struct chy_exec_door_options options = {
        .socket = agent_options.socket,
        .tag = tag,
        .arena = &d->cli->arena,
    };
    CHY_CLEANUP(chy_exec_agent_closep) struct chy_exec_agent *agent = NULL;
    CHY_CLEANUP(chy_exec_door_closep) struct chy_exec_door *door = NULL;
    CHY_TRY(chy_exec_agent_open(&agent_options, &agent, err));
    return chy_exec_door_open(&options, &door, err);
}

static void look_at_helper(struct chy_doctor *d)
{
    struct chy_error err;
    struct chy_str dir;
    enum chy_err r = make_dir(d, &dir, &err);
    if (r == CHY_OK) {
        r = try_helper(d, dir, &err);
        CHY_IGNORE(chy_tree_remove(AT_FDCWD, dir.p, false, NULL)); /* what is left says little */
    }
    if (r == CHY_OK)
        chy_doctor_ok(d, "it starts and answers");
    else
        chy_doctor_problem(d,
                           "see that XDG_RUNTIME_DIR or /tmp can be written, and that the "
                           "program itself may be run",
                           "%s", err.text);
}

/* --- other people's programs --- */

static void look_at_engine(struct chy_doctor *d)
{
    static const char mend[] = "Debian: apt install libengine-pkcs11-openssl";
    struct chy_error err;
    if (d->machine.engine.n == 0)
        chy_doctor_warn(d, mend,
                        "OpenSSL has no engine for PKCS#11: osslsigncode, sbsign and their "
                        "like cannot sign");
    else if (chy_library_probe(d->machine.engine.p, "bind_engine", &err) != CHY_OK)
        chy_doctor_problem(d, mend, "%s", err.text);
    else
        chy_doctor_ok(d, "%s loads", d->machine.engine.p);
}

static void look_at_provider(struct chy_doctor *d)
{
    static const char mend[] = "install Chancery's chancery.so among OpenSSL's modules; another "
                               "place: CHANCERY_PROVIDER";
    struct chy_error err;
    if (d->machine.provider.n == 0)
        chy_doctor_warn(d, mend,
                        "OpenSSL's provider of ours is not installed: openssl knows no "
                        "chancery:NAME");
    else if (chy_library_probe(d->machine.provider.p, "OSSL_provider_init", &err) != CHY_OK)
        chy_doctor_problem(d, mend, "%s", err.text);
    else
        chy_doctor_ok(d, "%s loads", d->machine.provider.p);
}

/* The JDK's home is two steps above its real jarsigner. */
static void look_at_java(struct chy_doctor *d)
{
    static const char mend[] = "Debian: apt install default-jdk-headless";
    char path[CHY_LIMIT_PATH];
    const char *search = chy_machine_env((const char *const *)environ, "PATH");
    if (!chy_program_find(search, "jarsigner", path)) {
        chy_doctor_ok(d, "no jarsigner is installed");
        return;
    }
    char *real = realpath(path, NULL);
    struct chy_str home = chy_str_of(real);
    for (int i = 0; i < 2; i++) {
        while (home.n != 0 && home.p[home.n - 1] != '/')
            home.n--;
        home.n -= home.n != 0 ? 1 : 0;
    }
    int n = snprintf(path, sizeof path, "%.*s/lib/libj2pkcs11.so", CHY_STR_ARG(home));
    bool is_there = n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
    if (is_there)
        chy_doctor_ok(d, "%.*s speaks PKCS#11", CHY_STR_ARG(home));
    else
        chy_doctor_warn(d, mend, "%.*s lacks SunPKCS11 (%s)", CHY_STR_ARG(home), path);
    free(real); /* checksrc: realpath allocates as malloc does */
}

/* Of those that chancery exec knows. */
static void look_at_tools(struct chy_doctor *d)
{
    char path[CHY_LIMIT_PATH];
    struct chy_error err;
    const char *search = chy_machine_env((const char *const *)environ, "PATH");
    CHY_CLEANUP(chy_buf_done) struct chy_buf names;
    chy_buf_init(&names, CHY_LIMIT_TEXT);
    for (size_t i = 0; i < chy_exec_tools_n; i++) {
        const struct chy_exec_tool *t = &chy_exec_tools[i];
        if (t->where == NULL && chy_program_find(search, t->name, path))
            chy_buf_printf(&names, "%s%s", names.n != 0 ? ", " : "", t->name);
    }
    if (chy_buf_check(&names, &err) != CHY_OK)
        chy_doctor_problem(d, NULL, "%s", err.text);
    else if (names.n == 0)
        chy_doctor_ok(d, "none that chancery exec has a row for is installed");
    else
        chy_doctor_ok(d, "chancery exec knows %.*s", CHY_STR_ARG(chy_buf_str(&names)));
}

const struct chy_doctor_check chy_doctor_machine_checks[] = {
    { "agent", CHY_DOCTOR_NEEDS_SETTINGS, look_at_agent },
    { "helper", CHY_DOCTOR_NEEDS_SETTINGS, look_at_helper },
    { "module", CHY_DOCTOR_NEEDS_NOTHING, look_at_module },
    { "engine", CHY_DOCTOR_NEEDS_NOTHING, look_at_engine },
    { "provider", CHY_DOCTOR_NEEDS_NOTHING, look_at_provider },
    { "java", CHY_DOCTOR_NEEDS_NOTHING, look_at_java },
    { "tools", CHY_DOCTOR_NEEDS_NOTHING, look_at_tools },
    { NULL, CHY_DOCTOR_NEEDS_NOTHING, NULL },
};
