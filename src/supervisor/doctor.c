/* SPDX-License-Identifier: MIT */
#include "supervisor/doctor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "crypto/x509.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/machine.h"
#include "os/program.h"
#include "os/user.h"
#include "store/records.h"
#include "supervisor/layout.h"
#include "supervisor/plan.h"

#define MIB         ((uint64_t)1048576)
#define ROOM_WARN   (1024 * MIB) /* the log of a busy year */
#define ROOM_LEAST  (64 * MIB)   /* below it a commit may fail, and signing stops */
#define FILES_LEAST 1000
#define DAY_US      ((int64_t)86400 * 1000000)
#define SOON_DAYS   14 /* to renew a certificate by hand */

struct doctor {
    struct chy_arena *arena;
    struct chy_finding_list list;
    const char *path; /* of the configuration */
    struct chy_plan *plan;
};

#define well(d, ...)          chy_finding_add(&(d)->list, CHY_FINDING_OK, NULL, __VA_ARGS__)
#define warn(d, mend, ...)    chy_finding_add(&(d)->list, CHY_FINDING_WARNING, mend, __VA_ARGS__)
#define problem(d, mend, ...) chy_finding_add(&(d)->list, CHY_FINDING_PROBLEM, mend, __VA_ARGS__)

static void look_at_configuration(struct doctor *d)
{
    struct chy_error err;
    if (chy_plan_load(d->path, &d->plan, &err) == CHY_OK)
        well(d, "%s is right, and so is what it names", d->path);
    else
        problem(d, "put it right; chanceryd.yaml(5) tells what each setting takes", "%s", err.text);
}

/* What was not looked at is not well. */
static void no_memory(struct doctor *d)
{
    problem(d, NULL, "there is no memory to look at it");
}

/* "DATA/part"; "" without memory, where nothing is */
static const char *part(struct doctor *d, const char *name)
{
    struct chy_str path = chy_arena_printf(d->arena, "%s/%s", d->plan->data, name);
    return path.p != NULL ? path.p : "";
}

static void look_at_running(struct doctor *d)
{
    bool is_locked = false;
    struct chy_error err;
    if (chy_file_is_locked(AT_FDCWD, part(d, LAYOUT_LOCK), &is_locked, &err) != CHY_OK)
        problem(d, NULL, "%s", err.text);
    else if (is_locked)
        well(d, "a server runs on %s; whether it is ready is at /readyz", d->plan->data);
    else
        warn(d, "systemctl start chanceryd", "no server runs on %s", d->plan->data);
}

/* --- files --- */

static void look_at_part(struct doctor *d, const char *name, mode_t too_much)
{
    struct stat st;
    const char *path = part(d, name);
    if (path[0] == '\0')
        no_memory(d);
    else if (stat(path, &st) != 0)
        problem(d, "restore it from a backup: chanceryd restore", "%s is not there", path);
    else if ((st.st_mode & too_much) != 0)
        problem(d, "take the rights away: chmod go-rwx (the group of store and anchor reads)",
                "%s is open to others: mode %04o", path, (unsigned)(st.st_mode & 07777));
}

static void look_at_files(struct doctor *d)
{
    static const struct {
        const char *name;
        mode_t too_much; /* see layout.h */
    } parts[] = {
        { CHY_DATA_TLS, 077 },    { CHY_DATA_SECRETS, 077 }, { CHY_DATA_STORE, 027 },
        { CHY_DATA_ANCHOR, 027 }, { CHY_DATA_TOKENS, 066 },  { "", 022 },
    };
    size_t before = d->list.n;
    for (size_t i = 0; i < CHY_ARRAY_LEN(parts); i++)
        look_at_part(d, parts[i].name, parts[i].too_much);
    if (d->list.n == before)
        well(d, "what is secret is closed to others");
}

static void look_at_disk(struct doctor *d)
{
    static const char mend[] = "make room: a log that cannot be written stops signing";
    struct chy_disk_room room;
    struct chy_error err;
    if (chy_disk_room(d->plan->data, &room, &err) != CHY_OK) {
        problem(d, NULL, "%s", err.text);
        return;
    }
    unsigned long long free_mib = room.free_bytes / MIB;
    if (room.free_bytes < ROOM_LEAST || room.free_files < FILES_LEAST)
        problem(d, mend, "%llu MiB are left at %s", free_mib, d->plan->data);
    else if (room.free_bytes < ROOM_WARN)
        warn(d, mend, "%llu MiB are left at %s", free_mib, d->plan->data);
    else
        well(d, "%llu MiB are left", free_mib);
}

/* --- certificates --- */

static void look_at_end(struct doctor *d, const char *what, int64_t not_after_us, const char *mend)
{
    int64_t left_us = not_after_us - chy_clock_realtime_us();
    long long days = (long long)(left_us / DAY_US);
    if (left_us <= 0)
        problem(d, mend, "%s has ended", what);
    else if (days < SOON_DAYS)
        warn(d, mend, "%s ends in %lld days", what, days);
    else
        well(d, "%s is good for %lld days", what, days);
}

static void look_at_tls(struct doctor *d)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct chy_x509_chain *chain = chy_arena_new(d->arena, struct chy_x509_chain);
    struct chy_error err;
    chy_buf_init(&text, (size_t)CHY_LIMIT_CHAIN * 2 * CHY_LIMIT_CERTIFICATE);
    if (chain == NULL) {
        no_memory(d);
        return;
    }
    enum chy_err r = chy_file_read(AT_FDCWD, d->plan->tls_certificate, &text, &err);
    if (r == CHY_OK)
        r = chy_x509_chain_parse(d->arena, chy_buf_bytes(&text), chain, &err);
    if (r != CHY_OK)
        problem(d, "put another there and send the server HUP", "%s", err.text);
    else
        look_at_end(d, "the certificate for TLS", chain->certs[0].summary.not_after_us,
                    "clients that know its key by a pin go on; those that use a CA do not: put a "
                    "new one there and send the server HUP");
}

static enum chy_err look_at_key(void *ctx, struct chy_str name, struct chy_bytes body,
                                struct chy_error *err)
{
    struct doctor *d = ctx;
    struct chy_key_record record;
    CHY_TRY(chy_schema_decode(&chy_key_record_schema, body, d->arena, &record, err));
    struct chy_key *k = &record.key;
    if (k->state == CHY_KEY_STATE_DESTROYED || k->certificates.n == 0)
        return CHY_OK;
    const struct chy_certificate *leaf = &k->certificates.p[0];
    int64_t left_us = leaf->not_after_us - chy_clock_realtime_us();
    static const char ours[] = "restart the server: it issues a new one";
    static const char theirs[] = "chancery certs csr and import";
    const char *mend = k->class == CHY_KEY_CLASS_SIGNING ? theirs : ours;
    if (left_us <= 0)
        problem(d, mend, "the certificate of key %.*s has ended", CHY_STR_ARG(name));
    else if (left_us < SOON_DAYS * DAY_US)
        warn(d, mend, "the certificate of key %.*s ends in %lld days", CHY_STR_ARG(name),
             (long long)(left_us / DAY_US));
    return CHY_OK;
}

static void look_at_keys(struct doctor *d)
{
    CHY_CLEANUP(chy_store_closep) struct chy_store *store = NULL;
    struct chy_error err;
    uint64_t size = 0;
    size_t before = d->list.n;
    enum chy_err r = chy_store_open(part(d, CHY_DATA_STORE_FILE), CHY_STORE_READ, &store, &err);
    if (r == CHY_OK)
        r = chy_store_log_size(store, &size, &err);
    if (r == CHY_OK)
        r = chy_store_walk(store, CHY_OBJECT_KEY, (struct chy_str){ 0 }, look_at_key, d, &err);
    if (r != CHY_OK)
        problem(d, "run this as root; a broken store: chanceryd restore", "%s", err.text);
    else if (d->list.n == before)
        well(d, "%llu log entries; no certificate ends soon", (unsigned long long)size);
}

/* --- tokens, users, clock --- */

static void look_at_tokens(struct doctor *d)
{
    for (size_t i = 0; i < d->plan->config->tokens.n; i++) {
        const struct chy_config_token *t = &d->plan->config->tokens.p[i];
        struct chy_str module = chy_arena_str(d->arena, t->module);
        struct chy_error err;
        if (module.p == NULL)
            no_memory(d);
        else if (chy_library_probe(module.p, "C_GetFunctionList", &err) != CHY_OK)
            problem(d, "install the vendor's module; module: in the configuration names it",
                    "%.*s: %s", CHY_STR_ARG(t->name), err.text);
        else
            well(d, "%.*s: its module loads, its PIN is there%s", CHY_STR_ARG(t->name),
                 t->software == CHY_CONFIG_YES ? "; it is a software token" : "");
    }
}

static void look_at_users(struct doctor *d)
{
    const struct chy_config_run_as *as = &d->plan->config->run_as;
    const struct chy_str names[] = { as->front, as->query, as->inspect, as->signer, as->token };
    size_t before = d->list.n;
    if (geteuid() != 0) {
        warn(d, "start it as root: each process then has a user of its own",
             "as an ordinary user all processes may read each other's files");
        return;
    }
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++) {
        struct chy_user_ids ids;
        struct chy_str name = chy_arena_str(d->arena, names[i]);
        if (name.p == NULL)
            no_memory(d);
        else if (name.n != 0 && chy_user_find(name.p, &ids, NULL) != CHY_OK)
            problem(d, "systemd-sysusers, or tools/install-packages", "there is no user %s",
                    name.p);
    }
    if (d->list.n == before)
        well(d, "each process has its own");
}

static void look_at_clock(struct doctor *d)
{
    if (chy_clock_is_kept())
        well(d, "it is kept right");
    else
        warn(d, "timedatectl set-ntp true", "nothing keeps it right, as far as the kernel knows");
}

static const struct {
    const char *name;
    void (*look)(struct doctor *d);
} checks[] = {
    { "configuration", look_at_configuration },
    { "server", look_at_running },
    { "files", look_at_files },
    { "disk", look_at_disk },
    { "tls", look_at_tls },
    { "store", look_at_keys },
    { "tokens", look_at_tokens },
    { "users", look_at_users },
    { "clock", look_at_clock },
};

enum chy_err chy_doctor(const char *config, struct chy_arena *arena,
                        struct chy_findings *ret_findings, struct chy_error *err)
{
    struct doctor d = { .arena = arena, .path = config };
    CHY_TRY(chy_finding_list_init(&d.list, arena, err));
    for (size_t i = 0; i < CHY_ARRAY_LEN(checks); i++) {
        d.list.check = checks[i].name;
        checks[i].look(&d);
        if (d.plan == NULL)
            break; /* nothing more is known of it */
    }
    chy_plan_free(d.plan);
    *ret_findings = chy_finding_list_end(&d.list);
    return CHY_OK;
}

void chy_doctor_print(const void *findings, FILE *out)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_RESPONSE);
    chy_findings_write(findings, &text);
    (void)fprintf(out, "%.*s", CHY_STR_ARG(chy_buf_str(&text)));
}
