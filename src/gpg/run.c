/* SPDX-License-Identifier: MIT */
#include <stdarg.h>

#include "base/limits.h"
#include "client/advice.h"
#include "client/gnupg_line.h"
#include "gpg/gpg.h"
#include "os/fd.h"

#define LINE_BYTES 2048

/* --- what is said --- */

void chy_gpg_say(const struct chy_gpg *g, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    chy_gnupg_line(g->err, "chancery-gpg: ", fmt, args);
    va_end(args);
}

void chy_gpg_status(const struct chy_gpg *g, const char *fmt, ...)
{
    va_list args;
    if (g->status < 0)
        return;
    va_start(args, fmt);
    chy_gnupg_line(g->status, CHY_GNUPG_STATUS, fmt, args);
    va_end(args);
}

enum chy_err chy_gpg_print(const struct chy_gpg *g, const struct chy_buf *text,
                           struct chy_error *err)
{
    CHY_TRY(chy_buf_check(text, err));
    return chy_fd_write(g->out, chy_buf_bytes(text), err);
}

/* --- small commands --- */

static enum chy_err version(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, LINE_BYTES);
    chy_buf_append_c(&text, "chancery-gpg (Chancery) " CHY_VERSION "\n"
                            "Signs OpenPGP with the keys of a Chancery server.\n"
                            "Pubkey: RSA, ECDSA, EDDSA\n"
                            "Hash: SHA256, SHA384, SHA512\n");
    return chy_gpg_print(g, &text, err);
}

static enum chy_err help(struct chy_gpg *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, (size_t)4 * LINE_BYTES);
    chy_buf_append_c(&text, "usage: chancery-gpg [OPTION]... COMMAND [FILE]\n\n");
    chy_gnupg_options_help(&chy_gpg_table, &text);
    chy_buf_append_c(&text, "\n--verify, --decrypt and other reading is done by the real gpg. "
                            "chancery-gpg(1) tells more.\n");
    return chy_gpg_print(g, &text, err);
}

static enum chy_err nothing(struct chy_gpg *g, struct chy_error *err)
{
    (void)g;
    return chy_fail(err, CHY_E_ARG,
                    "say what to do: --detach-sign, --clear-sign, --sign, --export; see --help");
}

/* --- the program --- */

static const struct {
    enum chy_gnupg_command command;
    enum chy_err (*run)(struct chy_gpg *g, struct chy_error *err);
} commands[] = {
    { CHY_GNUPG_NOTHING, nothing },
    { CHY_GNUPG_SIGN, chy_gpg_sign },
    { CHY_GNUPG_DETACH_SIGN, chy_gpg_sign },
    { CHY_GNUPG_CLEAR_SIGN, chy_gpg_sign },
    { CHY_GNUPG_EXPORT, chy_gpg_export },
    { CHY_GNUPG_IMPORT, chy_gpg_import },
    { CHY_GNUPG_LIST_KEYS, chy_gpg_list },
    { CHY_GNUPG_LIST_SECRET_KEYS, chy_gpg_list },
    { CHY_GNUPG_QUICK_CERTIFY, chy_gpg_quick_certify },
    { CHY_GNUPG_VERSION, version },
    { CHY_GNUPG_HELP, help },
};

static enum chy_err run_command(struct chy_gpg *g, struct chy_error *err)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(commands); i++) {
        if (commands[i].command == g->options.command)
            return commands[i].run(g, err);
    }
    return chy_fail(err, CHY_E_INTERNAL, "a command without a function");
}

static enum chy_err run(struct chy_gpg *g, int argc, char *const *argv, struct chy_error *err)
{
    CHY_TRY(chy_gnupg_options_read(&chy_gpg_table, argc, argv, &g->arena, &g->options, err));
    if (g->options.command == CHY_GNUPG_HAND_OVER)
        return chy_gpg_hand_over(argc, argv, err);
    if (g->options.status_fd.n != 0)
        CHY_TRY(chy_fd_of_text(g->options.status_fd, &g->status, err));
    return run_command(g, err);
}

static int tell(struct chy_gpg *g, const struct chy_error *err)
{
    const char *hint = g->has_settings ? chy_client_advice(&g->settings, err) : NULL;
    bool is_signing =
        g->options.command >= CHY_GNUPG_SIGN && g->options.command <= CHY_GNUPG_CLEAR_SIGN;
    chy_gpg_say(g, "%s%s%s", err->text, hint != NULL ? ". " : "", hint != NULL ? hint : "");
    if (is_signing)
        chy_gpg_status(g, "FAILURE sign 1"); /* GPG_ERR_GENERAL: gpg has no code for a policy */
    return chy_err_exit_code(err->code);
}

int chy_gpg_run(int argc, char *const *argv, const struct chy_client_env *env, int in, int out,
                int err)
{
    struct chy_gpg g = { .env = *env, .in = in, .out = out, .err = err, .status = -1 };
    struct chy_error error;
    chy_arena_init(&g.arena, CHY_LIMIT_ARENA);
    int code = run(&g, argc, argv, &error) == CHY_OK ? CHY_GPG_DONE : tell(&g, &error);
    chy_client_close(g.client);
    if (g.has_settings)
        chy_settings_done(&g.settings);
    chy_arena_done(&g.arena);
    return code;
}
