/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/interrupt.h"

/* Whoever runs the tests may have them ignored, as nohup does. */
static void heed_all(void)
{
    const struct sigaction usual = { .sa_handler = SIG_DFL };
    sigaction(SIGINT, &usual, NULL);
    sigaction(SIGTERM, &usual, NULL);
    sigaction(SIGHUP, &usual, NULL);
}

/* Each in a process of its own, which answers what it saw; or that a signal ended it. */
static int in_child(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        heed_all();
        _exit(fn());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int nothing(void)
{
    chy_interrupt_catch();
    return chy_interrupt_number();
}

static int one(void)
{
    chy_interrupt_catch();
    raise(SIGTERM);
    chy_interrupt_catch(); /* does not forget, nor take back that a second one ends us */
    raise(SIGHUP);
    return chy_interrupt_number();
}

static int twice(void)
{
    chy_interrupt_catch();
    raise(SIGINT);
    raise(SIGINT);
    return 0;
}

static int blocked(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(SIGHUP);
    chy_interrupt_catch();
    return chy_interrupt_number();
}

static int ignored(void)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGHUP, &ignore, NULL);
    chy_interrupt_catch();
    raise(SIGHUP);
    return chy_interrupt_number();
}

static void test_interrupt_number__is_the_first(void **state)
{
    (void)state;
    assert_int_equal(in_child(nothing), 0);
    assert_int_equal(in_child(one), SIGTERM);
}

static void test_interrupt_catch__once(void **state)
{
    (void)state;
    assert_int_equal(in_child(twice), -SIGINT);
}

static void test_interrupt_catch__what_was_blocked_or_ignored(void **state)
{
    (void)state;
    assert_int_equal(in_child(blocked), SIGHUP);
    assert_int_equal(in_child(ignored), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupt_number__is_the_first),
        cmocka_unit_test(test_interrupt_catch__once),
        cmocka_unit_test(test_interrupt_catch__what_was_blocked_or_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
