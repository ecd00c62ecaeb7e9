/* SPDX-License-Identifier: MIT */
/* chancery doctor: what works of a client and what does not, and what to do about it. */
#pragma once

#include "cli/cli.h"
#include "cli/exec/machine.h"
#include "proto/finding.h"

/* What checks leave for those behind them in the table. */
struct chy_doctor {
    struct chy_cli *cli;
    const struct chy_cli_args *args;
    struct chy_finding_list list;
    struct chy_machine machine;
    bool has_server;    /* it answers */
    bool has_login;     /* it knows us */
    struct chy_str key; /* that may be used; of --sign if that was given */
    enum chy_key_type key_type;
};

enum chy_doctor_need {
    CHY_DOCTOR_NEEDS_NOTHING,
    CHY_DOCTOR_NEEDS_SETTINGS,
    CHY_DOCTOR_NEEDS_SERVER,
    CHY_DOCTOR_NEEDS_LOGIN,
    CHY_DOCTOR_NEEDS_KEY,
};

struct chy_doctor_check {
    const char *name;
    enum chy_doctor_need needs; /* without it there is nothing to look at */
    void (*look)(struct chy_doctor *d);
};

extern const struct chy_doctor_check chy_doctor_server_checks[]; /* the last has no name */
extern const struct chy_doctor_check chy_doctor_machine_checks[];

#define chy_doctor_ok(d, ...) chy_finding_add(&(d)->list, CHY_FINDING_OK, NULL, __VA_ARGS__)
#define chy_doctor_warn(d, mend, ...) \
    chy_finding_add(&(d)->list, CHY_FINDING_WARNING, (mend), __VA_ARGS__)
#define chy_doctor_problem(d, mend, ...) \
    chy_finding_add(&(d)->list, CHY_FINDING_PROBLEM, (mend), __VA_ARGS__)
