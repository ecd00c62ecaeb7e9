/* SPDX-License-Identifier: MIT */
/* The agent keeps receipts for its tools: whatever fails while one is written, a signature is
 * handed out only when its receipt lies there whole, and half a receipt never does. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../os/kernel_fixture.h"
#include "agent_fixture.h"
#include "base/mem.h"
#include "failing_io.h"
#include "key_fixture.h"
#include "log_export.h"
#include "os/file.h"
#include "temp_dir.h"

#define STEPS_MAX 1500 /* a sweep that does not end */
#define NAME      "11.receipt"
_Static_assert(FAKE_OUTCOME == 11, "which names the file");

static struct fixture f;
static struct temp_dir dir;
static char folder[96]; /* of receipts */
static struct export entries;
static struct chy_buf receipt;
static const uint8_t zeros[CHY_HASH_BYTES];

/* A profile that knows the log's key, so that receipts are checked. */
static void put_config(void)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, 1024);
    chy_buf_append_c(&text, "profiles:\n  - name: default\n    url: https://127.0.0.1:1\n"
                            "    log_key: ");
    assert_true(chy_tlog_vkey_append(&text, &entries.key));
    chy_buf_append_u8(&text, '\n');
    assert_int_equal(chy_dir_make(dir.fd, ".config", 0700, NULL), CHY_OK);
    assert_int_equal(chy_dir_make(dir.fd, ".config/chancery", 0700, NULL), CHY_OK);
    assert_int_equal(
        chy_file_replace(dir.fd, ".config/chancery/config.yaml", chy_buf_bytes(&text), 0600, NULL),
        CHY_OK);
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    assert_int_equal(chy_dir_make(dir.fd, "receipts", 0700, NULL), CHY_OK);
    (void)snprintf(folder, sizeof folder, "%s/receipts", dir.path);
    export_init(&entries);
    export_add_pairs(&entries, FAKE_OUTCOME);
    chy_buf_init(&receipt, CHY_LIMIT_RECEIPT);
    export_receipt(&entries, FAKE_OUTCOME, entries.n, &receipt);
    put_config();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chy_buf_done(&receipt);
    export_done(&entries);
    temp_dir_remove(&dir);
    return 0;
}

/* --- what lies in the folder --- */

static size_t count_files(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2 ? 1 : 0;
    (void)closedir(d);
    return n;
}

/* Whether it is there; if it is, it is whole. */
static bool take_receipt(void)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf text;
    chy_buf_init(&text, CHY_LIMIT_RECEIPT);
    enum chy_err r = chy_file_read(dir.fd, "receipts/" NAME, &text, NULL);
    if (r == CHY_E_NOT_FOUND)
        return false;
    assert_int_equal(r, CHY_OK);
    assert_true(chy_bytes_equal(chy_buf_bytes(&text), chy_buf_bytes(&receipt)));
    assert_int_equal(chy_file_remove(dir.fd, "receipts/" NAME, NULL), CHY_OK);
    return true;
}

/* --- one step --- */

static const struct chy_door_watch watch = { { zeros, CHY_ID_BYTES } };

static void watcher_open(struct tool *t)
{
    struct chy_empty answer;
    tool_open(t, &f);
    tool_hello(t, NULL);
    assert_int_equal(tool_ask(t, CHY_DOOR_WATCH, &chy_door_watch_schema, &watch, CHY_DOOR_WATCHING,
                              &chy_empty_schema, &answer),
                     CHY_OK);
}

/* Who watches is told where it lies, or notices that it is told nothing any more. */
static void watcher_check(struct tool *t)
{
    struct chy_door_event event;
    uint64_t id = 0;
    if (tool_is_closed(t))
        return;
    assert_int_equal(tool_receive(t, &id, &chy_door_event_schema, &event), CHY_DOOR_EVENT);
    assert_true(event.is_signed);
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, CHY_LIMIT_PATH);
    chy_buf_printf(&path, "%s/" NAME, folder);
    assert_true(chy_str_equal(event.receipt_file, chy_buf_str(&path)));
}

/* As tool_send(), before anything fails: what it allocates is none of the agent's. */
static uint64_t send_sign(struct tool *t)
{
    static const struct chy_door_sign asked = {
        { .key = { "p", 1 }, .scheme = CHY_DOOR_ECDSA, .data = { zeros, CHY_HASH_BYTES } }
    };
    return tool_send(t, CHY_DOOR_SIGN, &chy_door_sign_schema, &asked);
}

static bool is_answered(void *ctx)
{
    const struct tool *t = ctx;
    struct pollfd p = { .fd = t->fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static bool is_quiet(void *ctx)
{
    (void)ctx;
    return chy_porter_is_quiet(f.porter);
}

static bool is_signed(struct tool *t, uint64_t asked)
{
    struct chy_door_signed got;
    uint64_t id = 0;
    if (tool_is_closed(t))
        return false;
    uint16_t type = tool_receive(t, &id, &chy_door_signed_schema, &got);
    assert_int_equal(id, asked);
    assert_true(type == CHY_DOOR_SIGNED || type == CHY_DOOR_FAILED);
    return type == CHY_DOOR_SIGNED;
}

typedef void limit_fn(size_t n, unsigned how);
typedef bool has_failed_fn(void);

struct fault {
    limit_fn *limit; /* SIZE_MAX: nothing fails */
    has_failed_fn *has_failed;
    unsigned how;
};

/* Whether something was made to fail. */
static bool step(const struct fault *fault, size_t n)
{
    const struct chy_door_hello hello = { .receipts = chy_str_of(folder),
                                          .tag = { zeros, CHY_ID_BYTES } };
    struct tool watcher;
    struct tool t;
    fixture_init(&f);
    f.env.home = dir.path;
    fake_add_key("p", CHY_KEY_P256, false);
    fake.receipt = chy_buf_str(&receipt);
    watcher_open(&watcher);
    tool_open(&t, &f);
    tool_hello(&t, &hello);
    uint64_t asked = send_sign(&t);
    fault->limit(n, fault->how);
    fixture_turn_until(&f, is_answered, &t);
    fixture_turn_until(&f, is_quiet, NULL);
    bool has_failed = fault->has_failed();
    fault->limit(SIZE_MAX, 0);
    bool was_signed = is_signed(&t, asked);
    assert_true(was_signed || has_failed);
    assert_true(take_receipt() || !was_signed);
    assert_true(count_files() == 0);
    if (was_signed)
        watcher_check(&watcher);
    tool_close(&t);
    tool_close(&watcher);
    fixture_done(&f);
    return has_failed;
}

/* valgrind, which is slow, looks at each fifth: the paths are the same. */
static void sweep(const struct fault *fault)
{
    size_t n = 0;
    size_t stride = kernel_is_bare() ? 1 : 5;
    while (step(fault, n))
        assert_true((n += stride) < STEPS_MAX);
    assert_true(n > 2);
}

/* --- what fails --- */

static void limit_io(size_t n, unsigned how)
{
    failing_io_after(n, (enum failing_io_mode)how);
}

static void test_receipts__no_disk(void **state)
{
    (void)state;
    for (unsigned how = 0; how <= FAILING_IO_EVER; how++)
        sweep(&(struct fault){ limit_io, failing_io_has_failed, how });
}

static void test_receipts__no_memory(void **state)
{
    static const unsigned ways[] = { 0, CHY_MEM_ONCE, CHY_MEM_ARENAS,
                                     CHY_MEM_ARENAS | CHY_MEM_ONCE };
    (void)state;
    for (size_t i = 0; i < CHY_ARRAY_LEN(ways); i++)
        sweep(&(struct fault){ chy_mem_fail_from, chy_mem_has_failed, ways[i] });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_receipts__no_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receipts__no_memory, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_keys_free();
    return failed;
}
