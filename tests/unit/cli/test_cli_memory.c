/* SPDX-License-Identifier: MIT */
/* Whole commands while memory is short or the disk fails: the n-th allocation fails, or the n-th
 * write, sync or rename, for every n. A command that says it succeeded has said and written all
 * that it says and writes otherwise; whatever it says, it leaves no descriptor open. What it speaks
 * to is an agent in a process of its own. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "agent/agent.h"
#include "agent_server.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "client/agent_link.h"
#include "codec/hex.h"
#include "crypto/init.h"
#include "crypto/pubkey.h"
#include "crypto/signature.h"
#include "failing_io.h"
#include "key_fixture.h"
#include "log_export.h"
#include "os/file.h"
#include "os/tree.h"
#include "temp_dir.h"

#define STEPS_MAX 3000 /* a sweep that does not end */
#define TOOL      "@tool"
#define JARSIGNER "jarsigner" /* a link to this program, which it is by that name */
#define CONTENT   "what is signed"
#define WORDS_MAX 12
#define TEXT_MAX  65536

static struct temp_dir dir;
static struct agent_server server;
static struct export entries;
static struct chy_buf receipt;
static char sock[96];
static char folder[96]; /* where private folders are made */
static char export_dir[96];
static char file[96];
static char signature[96];
static char receipt_file[96];
static char detached[96];
static char report[96];
static char programs[128]; /* PATH */
static char vkey[256];
static char self[CHY_LIMIT_PATH];

/* --- the program that is signed with --- */

static enum chy_err tool_sign(struct chy_error *err)
{
    static const uint8_t digest[CHY_HASH_BYTES] = { 1 };
    const struct chy_door_sign asked = {
        { .key = { "p", 1 }, .scheme = CHY_DOOR_ECDSA, .data = { digest, sizeof digest } }
    };
    struct chy_door_signed got;
    const struct chy_agent_question question = {
        CHY_DOOR_SIGN,   &chy_door_sign_schema,   &asked,
        CHY_DOOR_SIGNED, &chy_door_signed_schema, 60000,
    };
    uint8_t tag[CHY_ID_BYTES];
    struct chy_agent_link *link = NULL;
    struct chy_arena arena;
    const char *hex = secure_getenv("CHANCERY_EXEC_TAG");
    CHY_TRY(chy_hex_decode(chy_str_of(hex), tag, sizeof tag, err));
    const struct chy_agent_link_options options = {
        .path = chy_str_of(secure_getenv("CHANCERY_AGENT_SOCK")),
        .software = "a tool",
        .tag = { tag, sizeof tag },
    };
    chy_arena_init(&arena, CHY_LIMIT_FRAME);
    CHY_TRY(chy_agent_link_open(&options, &link, err));
    enum chy_err r = chy_agent_link_ask(link, &question, &arena, &got, err);
    chy_agent_link_close(link);
    chy_arena_done(&arena);
    return r;
}

/* jarsigner -signedjar OUT IN KEY */
static int be_jarsigner(int argc, char **argv)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf content;
    chy_buf_init(&content, TEXT_MAX);
    if (argc < 4 || tool_sign(NULL) != CHY_OK ||
        chy_file_read(AT_FDCWD, argv[argc - 2], &content, NULL) != CHY_OK)
        return 1;
    chy_buf_append_c(&content, " and signed");
    return chy_file_replace(AT_FDCWD, argv[argc - 3], chy_buf_bytes(&content), 0600, NULL) == CHY_OK
               ? 0
               : 1;
}

/* --- one command --- */

struct result;

struct row {
    const char *name;
    const char *words[WORDS_MAX];          /* up to NULL */
    void (*check)(const struct result *r); /* of one that succeeded; NULL: the usual */
    bool is_alone;                         /* no agent is there */
    bool is_slow;                          /* it starts processes: it is not tried in every way */
    bool has_files;                        /* that it writes: the disk fails as well */
    void (*left)(const struct result *r);  /* what there must be after every run, or NULL */
};

struct result {
    int code;
    bool has_failed; /* an allocation, or a call of the disk */
    char out[TEXT_MAX];
    char err[TEXT_MAX];
};

/* Times and names of folders are never the same: numbers become 0, long ones in hex #. */
static void without_numbers(char *to, const char *text, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k + 1 < TEXT_MAX;) {
        size_t hex = CHY_MIN(strspn(text + i, "0123456789abcdef"), n - i);
        size_t decimal = CHY_MIN(strspn(text + i, "0123456789"), n - i);
        to[k++] = hex >= 16 ? '#' : decimal != 0 ? '0' : text[i];
        i += hex >= 16 ? hex : CHY_MAX(decimal, (size_t)1);
    }
    to[k] = '\0';
}

/* What fails, the n-th of its kind. */
struct fault {
    void (*limit)(size_t n, unsigned how); /* SIZE_MAX: nothing fails */
    bool (*has_failed)(void);
};

static void limit_io(size_t n, unsigned how)
{
    failing_io_after(n, (enum failing_io_mode)how);
}

static const struct fault memory = { chy_mem_fail_from, chy_mem_has_failed };
static const struct fault disk = { limit_io, failing_io_has_failed };

static void run(const struct row *row, const struct fault *fault, size_t n, unsigned how,
                struct result *ret)
{
    const struct chy_client_env env = { .home = dir.path,
                                        .url = "https://127.0.0.1:1",
                                        .token = "a token",
                                        .agent_socket = row->is_alone ? NULL : sock };
    char *argv[WORDS_MAX + 1] = { self };
    char *out_text = NULL;
    char *err_text = NULL;
    size_t out_n;
    size_t err_n;
    int argc = 1;
    for (; row->words[argc - 1] != NULL; argc++)
        argv[argc] = strdup(row->words[argc - 1]);
    FILE *out = open_memstream(&out_text, &out_n);
    FILE *err = open_memstream(&err_text, &err_n);
    assert_true(out != NULL && err != NULL);
    fault->limit(n, how);
    ret->code = chy_cli_run(argc, argv, &env, out, err);
    ret->has_failed = fault->has_failed();
    fault->limit(SIZE_MAX, 0);
    (void)fclose(out);
    (void)fclose(err);
    without_numbers(ret->out, out_text, out_n);
    without_numbers(ret->err, err_text, err_n);
    free(out_text);
    free(err_text);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
}

/* --- what is right --- */

static struct result usual; /* with all the memory that is wanted */
static struct {
    size_t n;
    unsigned how;
} step; /* to be told */

static void check_usual(const struct result *r)
{
    size_t i = 0;
    while (r->out[i] == usual.out[i] && usual.out[i] != '\0')
        i++;
    if (r->out[i] != usual.out[i])
        fail_msg("fault %zu, way %u: \"%.80s\" in place of \"%.80s\"", step.n, step.how, r->out + i,
                 usual.out + i);
}

static void check_files(const struct result *r)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf got;
    CHY_CLEANUP(chy_buf_done) struct chy_buf proof;
    chy_buf_init(&got, CHY_LIMIT_SIGNATURE);
    chy_buf_init(&proof, CHY_LIMIT_RECEIPT);
    check_usual(r);
    assert_int_equal(chy_file_read(AT_FDCWD, signature, &got, NULL), CHY_OK);
    assert_int_equal(chy_file_read(AT_FDCWD, receipt_file, &proof, NULL), CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&proof), chy_buf_bytes(&receipt)));
}

/* A signature that was made is told, or that something cannot be told; and so it stands in the
 * report, whole. */
static void check_report(const struct result *r)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, TEXT_MAX);
    if (strstr(r->err, "signed: key p") == NULL && strstr(r->err, "more\n") == NULL &&
        strstr(r->err, "the agent was lost") == NULL)
        fail_msg("fault %zu, way %u: %s", step.n, step.how, r->err);
    if (chy_file_read(AT_FDCWD, report, &text, NULL) != CHY_OK)
        fail_msg("fault %zu, way %u: no report: %s", step.n, step.how, r->err);
    assert_true(text.n > 3);
    assert_memory_equal(text.p + text.n - 2, "}\n", 2);
}

/* The file as it was or the signed one, whole; nothing of what was made on the way; and whoever is
 * told that it succeeded has what it was to make. */
static bool is_signed_file(const char *name, bool is_new)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf got;
    struct chy_str text = CHY_STR(CONTENT);
    chy_buf_init(&got, TEXT_MAX);
    if (chy_file_read(AT_FDCWD, name, &got, NULL) != CHY_OK)
        return false;
    bool is_long = got.n > text.n + strlen(" and signe");
    if (is_new)
        return is_long;
    assert_true(chy_str_starts(chy_buf_str(&got), CONTENT));
    assert_true(got.n == text.n || is_long);
    return is_long;
}

static void check_none_aside(void)
{
    const struct dirent *e;
    DIR *d = opendir(dir.path);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (chy_str_starts(chy_str_of(e->d_name), ".chancery-"))
            fail_msg("fault %zu, way %u: %s is left", step.n, step.how, e->d_name);
    (void)closedir(d);
}

/* One that is there is told, and one that is told is there. */
static void check_placed(const struct result *r, bool is_placed)
{
    bool is_told = strstr(r->err, "chancery: 0 signed\n") != NULL; /* numbers are 0 here */
    check_none_aside();
    if (r->code == CHY_CLI_DONE && !(is_placed && is_told))
        fail_msg("fault %zu, way %u: not signed, and said so: %s", step.n, step.how, r->err);
    if (is_placed && strstr(r->err, "FAILED file") != NULL)
        fail_msg("fault %zu, way %u: signed, and not said so: %s", step.n, step.how, r->err);
}

static void left_beside(const struct result *r)
{
    check_placed(r, is_signed_file(detached, true));
    assert_false(is_signed_file(file, false));
}

static void left_in_place(const struct result *r)
{
    check_placed(r, is_signed_file(file, false));
}

/* What there is no memory to tell is counted: "and 1 more". */
static void check_findings(const struct result *r)
{
    if (strstr(r->out, "more\n") == NULL)
        check_usual(r);
}

static const struct row rows[] = {
    { .name = "whoami", .words = { "whoami" } },
    { .name = "version", .words = { "version" } },
    { .name = "agent_status", .words = { "agent", "status" } },
    { .name = "keys_list", .words = { "keys", "list" } },
    { .name = "keys_list_json", .words = { "keys", "list", "--json" } },
    { .name = "keys_public", .words = { "keys", "public", "p" } },
    { .name = "certs_show", .words = { "certs", "show", "p" } },
    { .name = "policies_test", .words = { "policies", "test", "--key", "p" } },
    { .name = "sign",
      .words = { "sign", "--raw", file, "--key", "p", "--out", signature, "--receipt",
                 receipt_file },
      .check = check_files,
      .has_files = true },
    { .name = "sign_beside_the_file",
      .words = { "sign", "--key", "p", "--no-timestamp", file },
      .is_slow = true,
      .has_files = true,
      .left = left_beside },
    { .name = "sign_in_place_of_the_file",
      .words = { "sign", "--key", "p", "--type", "module", file },
      .is_slow = true,
      .has_files = true,
      .left = left_in_place },
    { .name = "sign_by_a_tool",
      .words = { "sign", "--key", "p", "--no-timestamp", "--type", "jar", file },
      .is_slow = true,
      .has_files = true,
      .left = left_in_place },
    { .name = "log_verify",
      .words = { "log", "verify", export_dir, vkey, "--known", receipt_file },
      .is_alone = true },
    { .name = "exec_plan_of_openssl",
      .words = { "exec", "--dry-run", "--", "openssl", "cms", "-inkey", "pkcs11:object=p" } },
    { .name = "exec_plan_of_java",
      .words = { "exec", "--dry-run", "--json", "--", "apksigner", "sign", "a.apk" } },
    { .name = "exec",
      .words = { "exec", "--report", report, "--", self, TOOL },
      .check = check_report,
      .is_slow = true,
      .has_files = true },
    { .name = "exec_with_a_helper",
      .words = { "exec", "--", "true" },
      .is_alone = true,
      .is_slow = true },
    { .name = "doctor", .words = { "doctor" }, .check = check_findings, .is_slow = true },
    { .name = "help", .words = { "help", "sign" } },
};

/* --- the sweep --- */

static void put(const char *name, struct chy_bytes content)
{
    assert_int_equal(chy_file_replace(AT_FDCWD, name, content, 0644, NULL), CHY_OK);
}

static size_t count_entries(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n;
}

/* What is left in the place of private folders was said to be left. */
static void check_left(const struct result *r)
{
    if (count_entries(folder) == 2) /* "." and ".." */
        return;
    assert_true(r->err[0] != '\0');
    assert_int_equal(chy_tree_remove(AT_FDCWD, folder, true, NULL), CHY_OK);
}

static void check(const struct row *row, const struct result *r)
{
    if (row->left != NULL)
        row->left(r);
    if (r->code == CHY_CLI_DONE)
        (row->check != NULL ? row->check : check_usual)(r);
    else
        assert_true(r->err[0] != '\0' || r->out[0] != '\0'); /* it says something */
    check_left(r);
}

static void sweep(const struct row *row, const struct fault *fault, unsigned how)
{
    static struct result r;
    size_t n = 0;
    size_t fds = count_entries("/proc/self/fd");
    do {
        assert_true(n < STEPS_MAX);
        (void)unlink(signature);
        (void)unlink(report);
        (void)unlink(detached);
        put(file, chy_str_bytes(CHY_STR(CONTENT)));
        step.n = n;
        step.how = how;
        run(row, fault, n++, how, &r);
        check(row, &r);
        assert_int_equal(count_entries("/proc/self/fd"), fds);
    } while (r.has_failed || r.code != usual.code); /* it may be a child that failed */
}

/* Nobody is told that a file is there which a power cut may take away again. */
static void sweep_syncs(const struct row *row)
{
    static struct result r;
    for (size_t n = 0;; n++) {
        assert_true(n < STEPS_MAX);
        put(file, chy_str_bytes(CHY_STR(CONTENT)));
        (void)unlink(detached);
        run(row, &disk, n, FAILING_IO_SYNC, &r);
        if (!r.has_failed)
            break;
        if (r.code == CHY_CLI_DONE)
            fail_msg("sync %zu failed: %s", n, r.err);
    }
}

static void test_memory(void **state)
{
    static const unsigned ways[] = { CHY_MEM_ARENAS, CHY_MEM_ARENAS | CHY_MEM_ONCE, 0,
                                     CHY_MEM_ONCE };
    const struct row *row = *state;
    if (row->is_slow)
        kernel_require();
    put(file, chy_str_bytes(CHY_STR(CONTENT)));
    (void)unlink(detached);
    run(row, &memory, SIZE_MAX, 0, &usual);
    if (usual.code != CHY_CLI_DONE)
        fail_msg("%s%s", usual.out, usual.err);
    for (size_t i = 0; i < (row->is_slow ? 2 : CHY_ARRAY_LEN(ways)); i++)
        sweep(row, &memory, ways[i]);
    for (unsigned how = 0; row->has_files && how <= FAILING_IO_EVER; how++)
        sweep(row, &disk, how);
    if (row->has_files)
        sweep_syncs(row);
}

/* --- the program --- */

static void make_keys(void)
{
    fake_add_key("p", CHY_KEY_P256, true);
    fake_add_key("q", CHY_KEY_P384, false);
    fake.receipt = chy_buf_str(&receipt);
}

static void make_log(void)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    struct chy_log_copied copied;
    struct chy_error err;
    chy_buf_init(&text, sizeof vkey);
    export_init(&entries);
    export_add_pairs(&entries, FAKE_OUTCOME);
    export_write(&entries, entries.n);
    assert_int_equal(chy_dir_make(dir.fd, "log", 0700, NULL), CHY_OK);
    int fd = openat(dir.fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct chy_log_source from = export_source(&entries);
    assert_int_equal(chy_log_copy(&from, fd, &copied, &err), CHY_OK);
    (void)close(fd);
    assert_true(chy_tlog_vkey_append(&text, &entries.key));
    (void)snprintf(vkey, sizeof vkey, "--key=%.*s", CHY_STR_ARG(chy_buf_str(&text)));
    chy_buf_init(&receipt, CHY_LIMIT_RECEIPT);
    export_receipt(&entries, FAKE_OUTCOME, entries.n, &receipt);
}

static void name_places(void)
{
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    (void)snprintf(sock, sizeof sock, "%s/agent.sock", dir.path);
    (void)snprintf(folder, sizeof folder, "%s/folders", dir.path);
    (void)snprintf(export_dir, sizeof export_dir, "%s/log", dir.path);
    (void)snprintf(file, sizeof file, "%s/file", dir.path);
    (void)snprintf(signature, sizeof signature, "%s/file.sig", dir.path);
    (void)snprintf(detached, sizeof detached, "%s/file.p7s", dir.path);
    (void)snprintf(programs, sizeof programs, "%s/bin:/usr/bin:/bin", dir.path);
    (void)snprintf(report, sizeof report, "%s/report.json", dir.path);
    (void)snprintf(receipt_file, sizeof receipt_file, "%s/receipt", dir.path);
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    name_places();
    make_log();
    put(receipt_file, chy_buf_bytes(&receipt));
    assert_int_equal(chy_dir_make(dir.fd, "folders", 0700, NULL), CHY_OK);
    assert_int_equal(chy_dir_make(dir.fd, "bin", 0700, NULL), CHY_OK);
    assert_int_equal(symlinkat(self, dir.fd, "bin/" JARSIGNER), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
    assert_int_equal(setenv("PATH", programs, 1), 0);
    agent_server_start(&server, sock, make_keys);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    agent_server_end(&server);
    export_done(&entries);
    chy_buf_done(&receipt);
    fixture_keys_free();
    temp_dir_remove(&dir);
    return 0;
}

static bool is_role(int argc, char **argv, const char *role)
{
    return argc == 2 && strcmp(argv[1], role) == 0;
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[CHY_ARRAY_LEN(rows)];
    struct chy_client_env env;
    struct chy_error err;
    chy_client_env_read(&env);
    assert_int_equal(chy_crypto_init(&err), CHY_OK);
    if (strcmp(argv[0], JARSIGNER) == 0)
        return be_jarsigner(argc, argv);
    if (is_role(argc, argv, TOOL))
        return tool_sign(&err) == CHY_OK ? 0 : 1;
    if (is_role(argc, argv, CHY_DOOR_HELPER_ROLE))
        return chy_helper_main(&env);
    for (size_t i = 0; i < CHY_ARRAY_LEN(rows); i++)
        tests[i] = (struct CMUnitTest){ rows[i].name, test_memory, NULL, NULL,
                                        (void *)(uintptr_t)&rows[i] };
    return cmocka_run_group_tests(tests, setup, teardown);
}
