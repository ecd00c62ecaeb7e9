/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdarg.h>

#include "base/limits.h"
#include "client/advice.h"
#include "client/gnupg_line.h"
#include "gpgsm/gpgsm.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/file_stream.h"

#define LINE_BYTES 2048
#define READ_BYTES 65536

/* --- what is said --- */

void chy_gpgsm_say(const struct chy_gpgsm *g, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    chy_gnupg_line(g->err, "chancery-gpgsm: ", fmt, args);
    va_end(args);
}

void chy_gpgsm_status(const struct chy_gpgsm *g, const char *fmt, ...)
{
    va_list args;
    if (g->status < 0)
        return;
    va_start(args, fmt);
    chy_gnupg_line(g->status, CHY_GNUPG_STATUS, fmt, args);
    va_end(args);
}

/* --- what is read --- */

static enum chy_err read_input(const struct chy_gpgsm *g, struct chy_buf *to, struct chy_error *err)
{
    size_t n = 0;
    do {
        uint8_t *room = chy_buf_room(to, READ_BYTES);
        if (room == NULL)
            return chy_buf_check(to, err);
        CHY_TRY(chy_fd_read(g->in, room, READ_BYTES, &n, err));
        chy_buf_added(to, n);
    } while (n != 0);
    return CHY_OK;
}

enum chy_err chy_gpgsm_read(const struct chy_gpgsm *g, size_t i, struct chy_buf *to,
                            struct chy_error *err)
{
    const struct chy_strs *words = &g->options.words;
    if (i >= words->n || chy_str_equal_c(words->p[i], "-"))
        return read_input(g, to, err);
    return chy_file_read(AT_FDCWD, words->p[i].p, to, err); /* a word of argv */
}

/* --- small commands --- */

static enum chy_err print(struct chy_gpgsm *g, const struct chy_buf *text, struct chy_error *err)
{
    CHY_TRY(chy_buf_check(text, err));
    return chy_fd_write(g->out, chy_buf_bytes(text), err);
}

static enum chy_err version(struct chy_gpgsm *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, LINE_BYTES);
    chy_buf_append_c(&text, "chancery-gpgsm (Chancery) " CHY_VERSION "\n");
    return print(g, &text, err);
}

static enum chy_err help(struct chy_gpgsm *g, struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, LINE_BYTES);
    chy_buf_append_c(&text, "usage: chancery-gpgsm -bsau KEY [FILE]\n"
                            "       chancery-gpgsm --verify SIGNATURE [FILE]\n\n");
    chy_gnupg_options_help(&chy_gpgsm_table, &text);
    chy_buf_append_c(&text, "\nFor git: git config gpg.x509.program chancery-gpgsm. "
                            "chancery-gpgsm(1) tells more.\n");
    return print(g, &text, err);
}

static enum chy_err nothing(struct chy_gpgsm *g, struct chy_error *err)
{
    (void)g;
    return chy_fail(err, CHY_E_ARG, "say what to do: -bsau KEY, or --verify; see --help");
}

/* --- the program --- */

static const struct {
    enum chy_gnupg_command command;
    enum chy_err (*run)(struct chy_gpgsm *g, struct chy_error *err);
} commands[] = {
    { CHY_GNUPG_NOTHING, nothing },
    { CHY_GNUPG_SIGN, chy_gpgsm_sign },
    { CHY_GNUPG_DETACH_SIGN, chy_gpgsm_sign },
    { CHY_GNUPG_VERIFY, chy_gpgsm_verify },
    { CHY_GNUPG_VERSION, version },
    { CHY_GNUPG_HELP, help },
};

static enum chy_err run(struct chy_gpgsm *g, int argc, char *const *argv, struct chy_error *err)
{
    CHY_TRY(chy_gnupg_options_read(&chy_gpgsm_table, argc, argv, &g->arena, &g->options, err));
    if (g->options.status_fd.n != 0)
        CHY_TRY(chy_fd_of_text(g->options.status_fd, &g->status, err));
    for (size_t i = 0; i < CHY_ARRAY_LEN(commands); i++) {
        if (commands[i].command == g->options.command)
            return commands[i].run(g, err);
    }
    return chy_fail(err, CHY_E_INTERNAL, "a command without a function");
}

static int tell(struct chy_gpgsm *g, const struct chy_error *err)
{
    bool is_sign =
        g->options.command == CHY_GNUPG_SIGN || g->options.command == CHY_GNUPG_DETACH_SIGN;
    /* The advice is about the server, which verifying does not ask. */
    const char *hint = is_sign && g->has_settings ? chy_client_advice(&g->settings, err) : NULL;
    chy_gpgsm_say(g, "%s%s%s", err->text, hint != NULL ? ". " : "", hint != NULL ? hint : "");
    if (is_sign)
        chy_gpgsm_status(g, "FAILURE sign 1"); /* GPG_ERR_GENERAL: it knows no policy */
    return chy_err_exit_code(err->code);
}

int chy_gpgsm_run(int argc, char *const *argv, const struct chy_client_env *env, const char *trust,
                  int in, int out, int err)
{
    struct chy_gpgsm g = {
        .env = *env, .trust_path = chy_str_of(trust), .in = in, .out = out, .err = err, .status = -1
    };
    struct chy_error error;
    chy_arena_init(&g.arena, CHY_LIMIT_ARENA);
    int code = run(&g, argc, argv, &error) == CHY_OK ? 0 : tell(&g, &error);
    chy_client_close(g.client);
    if (g.has_settings)
        chy_settings_done(&g.settings);
    chy_arena_done(&g.arena);
    return code;
}
