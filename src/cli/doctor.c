/* SPDX-License-Identifier: MIT */
#include "cli/doctor.h"

#include <unistd.h>

#include "base/limits.h"

static bool is_possible(const struct chy_doctor *d, enum chy_doctor_need need)
{
    switch (need) {
    case CHY_DOCTOR_NEEDS_NOTHING:
        return true;
    case CHY_DOCTOR_NEEDS_SETTINGS:
        return d->cli->has_settings;
    case CHY_DOCTOR_NEEDS_SERVER:
        return d->has_server;
    case CHY_DOCTOR_NEEDS_LOGIN:
        return d->has_login;
    case CHY_DOCTOR_NEEDS_KEY:
        return d->has_login && d->key.n != 0;
    }
    return false;
}

static void look(struct chy_doctor *d, const struct chy_doctor_check *checks)
{
    for (const struct chy_doctor_check *c = checks; c->name != NULL; c++) {
        d->list.check = c->name;
        if (is_possible(d, c->needs))
            c->look(d);
    }
}

static enum chy_err show(struct chy_doctor *d, const struct chy_findings *found,
                         struct chy_error *err)
{
    if (d->cli->is_json)
        return chy_cli_print_json(d->cli, &chy_findings_schema, found, err);
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_RESPONSE);
    chy_findings_write(found, &text);
    CHY_TRY(chy_buf_check(&text, err));
    chy_cli_print_text(d->cli->out, chy_buf_str(&text));
    return CHY_OK;
}

int chy_cli_run_doctor(struct chy_cli *cli, const struct chy_cli_args *args)
{
    struct chy_doctor d = { .cli = cli, .args = args, .key = chy_cli_arg(args, "sign") };
    struct chy_error err;
    if (chy_finding_list_init(&d.list, &cli->arena, &err) != CHY_OK ||
        chy_machine_read((const char *const *)environ, &cli->arena, &d.machine, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    look(&d, chy_doctor_server_checks);
    look(&d, chy_doctor_machine_checks);
    struct chy_findings found = chy_finding_list_end(&d.list);
    if (show(&d, &found, &err) != CHY_OK)
        return chy_cli_fail(cli, &err);
    return found.is_well ? CHY_CLI_DONE : CHY_CLI_REFUSED;
}
