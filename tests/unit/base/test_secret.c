/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"

static void test_secret__holds_what_is_written(void **state)
{
    (void)state;
    struct chy_secret *s = NULL;
    assert_int_equal(chy_secret_new(10, &s, NULL), CHY_OK);
    assert_int_equal(chy_secret_cap(s), 10);
    assert_int_equal(chy_secret_bytes(s).n, 0);
    memcpy(chy_secret_room(s), "0123456789", 10);
    chy_secret_set_len(s, 4);
    struct chy_bytes b = chy_secret_bytes(s);
    assert_int_equal(b.n, 4);
    assert_memory_equal(b.p, "0123", 4);
    chy_secret_freep(&s);
    assert_null(s);
    chy_secret_free(NULL);
}

static void test_secret_new__stands_at_its_limits(void **state)
{
    (void)state;
    struct chy_secret *s = NULL;
    struct chy_error err;
    assert_int_equal(chy_secret_new(0, &s, &err), CHY_E_ARG);
    assert_int_equal(chy_secret_new(CHY_LIMIT_SECRET + 1, &s, &err), CHY_E_ARG);
    assert_null(s);
    assert_int_equal(chy_secret_new(1, &s, &err), CHY_OK);
    chy_secret_freep(&s);
    assert_int_equal(chy_secret_new(CHY_LIMIT_SECRET, &s, &err), CHY_OK);
    memset(chy_secret_room(s), 'x', CHY_LIMIT_SECRET);
    chy_secret_freep(&s);
}

/* The VmFlags line of the mapping that holds `p`; false if there is none. */
static bool mapping_flags(const void *p, char *flags, int size)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    char line[512];
    bool is_inside = false;
    bool found = false;
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f) != NULL) {
        char *end = NULL;
        uintmax_t from = strtoumax(line, &end, 16);
        if (*end == '-') {
            uintmax_t to = strtoumax(end + 1, NULL, 16);
            is_inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        }
        found = is_inside && strncmp(line, "VmFlags:", 8) == 0;
    }
    fclose(f);
    if (found)
        snprintf(flags, (size_t)size, "%s ", line + 8);
    return found;
}

/* Sanitizers put an mlock() that does nothing in the place of the real one. */
static bool mlock_is_real(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char flags[600] = "";
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    bool is_real = mlock(p, page) == 0 && mapping_flags(p, flags, sizeof flags) &&
                   strstr(flags, " lo ") != NULL;
    munmap(p, page);
    return is_real;
}

static void test_secret__pages_are_locked_out_of_dumps_and_wiped_on_fork(void **state)
{
    (void)state;
    struct chy_secret *s = NULL;
    char flags[600];
    assert_int_equal(chy_secret_new(CHY_LIMIT_SECRET, &s, NULL), CHY_OK);
    const uint8_t *ends[] = { chy_secret_room(s), chy_secret_room(s) + CHY_LIMIT_SECRET - 1 };
    for (size_t i = 0; i < 2; i++) {
        assert_true(mapping_flags(ends[i], flags, sizeof flags));
        assert_true(!mlock_is_real() || strstr(flags, " lo ") != NULL);
        assert_non_null(strstr(flags, " dd "));
        assert_non_null(strstr(flags, " wf "));
    }
    chy_secret_free(s);
}

static void test_secret__a_forked_child_sees_zeros(void **state)
{
    (void)state;
    struct chy_secret *s = NULL;
    assert_int_equal(chy_secret_new(16, &s, NULL), CHY_OK);
    memset(chy_secret_room(s), 's', 16);
    chy_secret_set_len(s, 16);
    pid_t child = fork();
    if (child == 0) {
        uint8_t any = 0;
        for (size_t i = 0; i < 16; i++)
            any |= chy_secret_bytes(s).p[i];
        _exit(any == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(chy_secret_bytes(s).p[15], 's');
    chy_secret_free(s);
}

/* Where locking fails, there is no secret in memory that could be swapped out. As root the limit
 * does not hold, so the child gives up being root. */
static void test_secret_new__fails_when_pages_cannot_be_locked(void **state)
{
    (void)state;
    bool is_real = mlock_is_real();
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        struct chy_secret *s = NULL;
        struct chy_error err;
        bool ready =
            setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || setuid(65534) == 0);
        enum chy_err r = chy_secret_new(16, &s, &err);
        bool is_refused = r == CHY_E_NOMEM && s == NULL && err.sys != 0;
        _exit(!ready ? 2 : is_refused || !is_real ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_secret_new__survives_a_failed_allocation(void **state)
{
    (void)state;
    struct chy_secret *s = NULL;
    chy_mem_fail_after(0);
    assert_int_equal(chy_secret_new(16, &s, NULL), CHY_E_NOMEM);
    chy_mem_fail_after(SIZE_MAX);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret__holds_what_is_written),
        cmocka_unit_test(test_secret_new__stands_at_its_limits),
        cmocka_unit_test(test_secret__pages_are_locked_out_of_dumps_and_wiped_on_fork),
        cmocka_unit_test(test_secret__a_forked_child_sees_zeros),
        cmocka_unit_test(test_secret_new__fails_when_pages_cannot_be_locked),
        cmocka_unit_test(test_secret_new__survives_a_failed_allocation),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
