/* SPDX-License-Identifier: MIT */
#include "os/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "base/compiler.h"

static volatile sig_atomic_t first;

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static void on_signal(int number)
{
    if (first == 0)
        first = number;
}

/* One that is ignored, as nohup does, stays ignored. */
static void catch_one(int number)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_IGN)
        return;
    action =
        (struct sigaction){ .sa_handler = on_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND) };
    sigemptyset(&action.sa_mask);
    CHY_IGNORE(sigaction(number, &action, NULL)); /* cannot fail with these */
}

void chy_interrupt_catch(void)
{
    sigset_t all;
    sigemptyset(&all);
    for (size_t i = 0; i < CHY_ARRAY_LEN(numbers); i++) {
        if (first == 0)
            catch_one(numbers[i]);
        sigaddset(&all, numbers[i]);
    }
    CHY_IGNORE(pthread_sigmask(SIG_UNBLOCK, &all, NULL)); /* nor this */
}

int chy_interrupt_number(void)
{
    return first;
}
