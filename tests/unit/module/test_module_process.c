/* SPDX-License-Identifier: MIT */
/* The module in its process: many threads, forks, C_Finalize and dlclose at any time. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "module_fixture.h"

#define THREADS    32
#define SIGNATURES 20

static CK_MECHANISM ecdsa = { CKM_ECDSA_SHA256, NULL, 0 };
static CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 };
static CK_BYTE message[] = "message";
static CK_BYTE big[100000];

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    module_open();
    return 0;
}

/* --- threads --- */

struct work {
    CK_SESSION_HANDLE session; /* 0: one of its own */
    CK_OBJECT_HANDLE key;
    struct signature last;
    CK_RV rv;
};

static CK_RV sign_once(CK_SESSION_HANDLE session, struct work *w)
{
    CK_RV rv = fx.f->C_SignInit(session, &ecdsa, w->key);
    w->last.n = sizeof w->last.bytes;
    if (rv != CKR_OK)
        return rv;
    return fx.f->C_Sign(session, message, sizeof message, w->last.bytes, &w->last.n);
}

static CK_RV digest_once(CK_SESSION_HANDLE session)
{
    CK_BYTE out[32];
    CK_ULONG n = sizeof out;
    CK_RV rv = fx.f->C_DigestInit(session, &sha256);
    if (rv == CKR_OK)
        rv = fx.f->C_DigestUpdate(session, big, sizeof big);
    return rv == CKR_OK ? fx.f->C_DigestFinal(session, out, &n) : rv;
}

static CK_RV find_once(CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n = 0;
    CK_RV rv = fx.f->C_FindObjectsInit(session, NULL, 0);
    if (rv == CKR_OK)
        rv = fx.f->C_FindObjects(session, found, CHY_ARRAY_LEN(found), &n);
    if (rv == CKR_OK)
        rv = fx.f->C_FindObjectsFinal(session);
    return rv == CKR_OK && n != 19 ? CKR_GENERAL_ERROR : rv;
}

static CK_RV work_all(struct work *w, CK_SESSION_HANDLE session)
{
    CK_RV rv = CKR_OK;
    for (int i = 0; i < SIGNATURES && rv == CKR_OK; i++) {
        rv = sign_once(session, w);
        if (rv == CKR_OK && i % 5 == 0)
            rv = digest_once(session);
        if (rv == CKR_OK && i % 5 == 1)
            rv = find_once(session);
    }
    return rv;
}

static void *work_run(void *arg)
{
    struct work *w = arg;
    CK_SESSION_HANDLE session;
    w->rv = fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (w->rv == CKR_OK)
        w->rv = work_all(w, session);
    if (w->rv == CKR_OK)
        w->rv = fx.f->C_CloseSession(session);
    return NULL;
}

static struct work works[3 * THREADS];
static pthread_t threads[3 * THREADS];

static void threads_start(size_t n, void *(*run)(void *))
{
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    for (size_t i = 0; i < n; i++) {
        works[i] = (struct work){ .key = key, .session = fx.session };
        assert_int_equal(pthread_create(&threads[i], NULL, run, &works[i]), 0);
    }
}

static void threads_join(size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static bool is_good_of(const struct work *w)
{
    return is_good("p256", "SHA256", false, false, (struct chy_bytes){ message, sizeof message },
                   &w->last);
}

static void test_threads__with_sessions_of_their_own(void **state)
{
    (void)state;
    threads_start(THREADS, work_run);
    threads_join(THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        assert_rv(works[i].rv, CKR_OK);
        assert_true(is_good_of(&works[i]));
    }
    assert_true(log_count("hello") <= THREADS + 1);
}

/* More threads than connections: some wait. */
static void test_threads__more_than_connections(void **state)
{
    (void)state;
    assert_true(CHY_ARRAY_LEN(threads) > CHY_LIMIT_GUEST_LINKS);
    threads_start(CHY_ARRAY_LEN(threads), work_run);
    threads_join(CHY_ARRAY_LEN(threads));
    for (size_t i = 0; i < CHY_ARRAY_LEN(threads); i++)
        assert_rv(works[i].rv, CKR_OK);
}

static void *share_run(void *arg)
{
    struct work *w = arg;
    for (int i = 0; i < SIGNATURES; i++) {
        CK_RV rv = sign_once(w->session, w);
        if (rv == CKR_OK) {
            w->rv = CKR_OK;
        } else if (rv != CKR_OPERATION_ACTIVE && rv != CKR_OPERATION_NOT_INITIALIZED) {
            w->rv = rv;
            return NULL;
        }
    }
    return NULL;
}

/* They disturb each other's operations, as the standard says, and nothing else. */
static void test_threads__in_one_session(void **state)
{
    (void)state;
    threads_start(8, share_run);
    threads_join(8);
    for (size_t i = 0; i < 8; i++)
        assert_rv(works[i].rv, CKR_OK);
    CK_MECHANISM *none = NULL;
    fx.f->C_SignInit(fx.session, none, 0); /* ends what the last may have left */
    struct work w = { .key = works[0].key };
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_true(is_good_of(&w));
}

static void *until_finalized_run(void *arg)
{
    struct work *w = arg;
    do {
        CK_SESSION_HANDLE session;
        w->rv = fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session);
        if (w->rv == CKR_OK)
            w->rv = work_all(w, session);
    } while (w->rv == CKR_OK);
    return NULL;
}

static void test_finalize__while_others_are_in_calls(void **state)
{
    (void)state;
    folder_write("fault", "hash never"); /* so that some are for certain */
    threads_start(THREADS, until_finalized_run);
    while (log_count("fault") < 3)
        sched_yield();
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    threads_join(THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_rv(works[i].rv, CKR_CRYPTOKI_NOT_INITIALIZED);
    folder_write("fault", "");
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    assert_rv(sign_once(fx.session, &w), CKR_OK);
}

static void *finalize_run(void *arg)
{
    struct work *w = arg;
    for (int i = 0; i < 50; i++) {
        CK_RV rv = fx.f->C_Initialize(NULL);
        if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
            w->rv = rv;
        rv = fx.f->C_Finalize(NULL);
        if (rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED)
            w->rv = rv;
    }
    return NULL;
}

static void test_finalize__and_initialize_from_many_threads(void **state)
{
    (void)state;
    threads_start(8, finalize_run);
    threads_join(8);
    for (size_t i = 0; i < 8; i++)
        assert_rv(works[i].rv, CKR_OK);
}

/* --- descriptors --- */

static size_t sockets_open(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char link[64];
        ssize_t got = readlinkat(dirfd(dir), e->d_name, link, sizeof link - 1);
        n += got > 0 && strncmp(link, "socket:", 7) == 0;
    }
    closedir(dir);
    return n;
}

static void test_finalize__leaves_nothing_open(void **state)
{
    (void)state;
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    size_t before = sockets_open();
    for (int i = 0; i < 5; i++) {
        assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
        assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
        struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
        assert_rv(sign_once(fx.session, &w), CKR_OK);
        assert_true(sockets_open() > before);
        assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
        assert_int_equal(sockets_open(), before);
    }
}

/* --- fork --- */

#define CHILD_CHECK(cond)              \
    do {                               \
        if (!(cond))                   \
            _exit(__LINE__ % 250 + 1); \
    } while (0)

static void child_join(pid_t child)
{
    int status = 0;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("the child ended with %#x", (unsigned)status);
}

static void test_fork__both_go_on(void **state)
{
    (void)state;
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            CHILD_CHECK(sign_once(fx.session, &w) == CKR_OK);
            CHILD_CHECK(find_once(fx.session) == CKR_OK);
            CHILD_CHECK(digest_once(fx.session) == CKR_OK);
            _exit(0);
        }
        assert_rv(sign_once(fx.session, &w), CKR_OK);
        child_join(child);
        assert_true(is_good_of(&w));
        assert_rv(sign_once(fx.session, &w), CKR_OK);
    }
    /* One connection is the parent's, and one each of the children's. */
    assert_int_equal(log_count("hello"), 4);
}

static void test_fork__in_the_middle_of_operations(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n = 0;
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256"),
                      .last = { .n = sizeof w.last.bytes } };
    assert_rv(fx.f->C_SignInit(fx.session, &ecdsa, w.key), CKR_OK);
    assert_rv(fx.f->C_SignUpdate(fx.session, message, 3), CKR_OK);
    assert_rv(fx.f->C_FindObjectsInit(fx.session, NULL, 0), CKR_OK);
    assert_rv(fx.f->C_FindObjects(fx.session, found, 10, &n), CKR_OK);
    assert_rv(fx.f->C_DigestInit(fx.session, &sha256), CKR_OK);
    assert_rv(fx.f->C_DigestUpdate(fx.session, big, sizeof big), CKR_OK);
    pid_t child = fork();
    /* Both finish; but the agent has begun to hash for the parent alone. */
    CK_RV sign = fx.f->C_SignUpdate(fx.session, message + 3, sizeof message - 3);
    if (sign == CKR_OK)
        sign = fx.f->C_SignFinal(fx.session, w.last.bytes, &w.last.n);
    CK_RV find = fx.f->C_FindObjects(fx.session, found, 64, &n);
    CK_BYTE digest[32];
    CK_ULONG digest_n = sizeof digest;
    CK_RV hash = fx.f->C_DigestFinal(fx.session, digest, &digest_n);
    if (child == 0) {
        CHILD_CHECK(sign == CKR_OK && find == CKR_OK && n == 9);
        CHILD_CHECK(hash == CKR_DEVICE_ERROR);
        _exit(0);
    }
    child_join(child);
    assert_rv(find, CKR_OK);
    assert_int_equal(n, 9);
    assert_rv(fx.f->C_FindObjectsFinal(fx.session), CKR_OK);
    assert_rv(sign, CKR_OK);
    assert_true(is_good_of(&w));
    assert_rv(hash, CKR_OK);
}

/* Connections of the parent are closed in the child, and go on in the parent. */
static void test_fork__the_child_has_none_of_the_parents_connections(void **state)
{
    (void)state;
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_int_equal(sockets_open(), 1);
    pid_t child = fork();
    if (child == 0)
        _exit(sockets_open() == 0 ? 0 : 1);
    child_join(child);
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_int_equal(log_count("hello"), 1);
}

static void test_fork__a_child_may_initialize_and_finalize(void **state)
{
    (void)state;
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(fx.f->C_Initialize(NULL) == CKR_OK);
        CHILD_CHECK(fx.f->C_Initialize(NULL) == CKR_CRYPTOKI_ALREADY_INITIALIZED);
        CHILD_CHECK(sign_once(fx.session, &w) == CKR_OK);
        CHILD_CHECK(fx.f->C_Finalize(NULL) == CKR_OK);
        CHILD_CHECK(fx.f->C_Initialize(NULL) == CKR_OK);
        CHILD_CHECK(sign_once(fx.session, &w) == CKR_SESSION_HANDLE_INVALID);
        _exit(0);
    }
    child_join(child);
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_rv(fx.f->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
}

static void test_fork__of_a_fork(void **state)
{
    (void)state;
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(sign_once(fx.session, &w) == CKR_OK);
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(sign_once(fx.session, &w) == CKR_OK ? 0 : 1);
        int status = 1;
        CHILD_CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        CHILD_CHECK(sign_once(fx.session, &w) == CKR_OK);
        _exit(0);
    }
    child_join(child);
}

static atomic_bool is_over;

static void *busy_run(void *arg)
{
    struct work *w = arg;
    CK_SESSION_HANDLE session;
    w->rv = fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session);
    while (w->rv == CKR_OK && !atomic_load(&is_over))
        w->rv = work_all(w, session);
    return NULL;
}

/* Threads are in calls, and hold sessions and connections, whenever the fork comes. */
static void test_fork__while_threads_are_in_calls(void **state)
{
    (void)state;
    kernel_require(); /* what the other threads held is lost in the child */
    atomic_store(&is_over, false);
    threads_start(8, busy_run);
    struct work w = { .key = works[0].key };
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            CHILD_CHECK(sign_once(fx.session, &w) == CKR_OK);
            CHILD_CHECK(find_once(fx.session) == CKR_OK);
            CHILD_CHECK(fx.f->C_CloseAllSessions(0) == CKR_OK);
            CHILD_CHECK(fx.f->C_Finalize(NULL) == CKR_OK);
            _exit(0);
        }
        child_join(child);
    }
    atomic_store(&is_over, true);
    threads_join(8);
    for (size_t i = 0; i < 8; i++)
        assert_rv(works[i].rv, CKR_OK);
}

static void test_fork__with_a_helper(void **state)
{
    (void)state;
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    helper_use();
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    pid_t child = fork();
    if (child == 0) {
        CHILD_CHECK(sign_once(fx.session, &w) == CKR_OK);
        _exit(0);
    }
    child_join(child);
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_int_equal(log_count("helper"), 2);
}

/* --- dlclose --- */

static void test_dlclose__then_fork(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
        assert_rv(sign_once(fx.session, &w), CKR_OK);
        module_unload();
        /* The library is gone, and its fork handlers with it. */
        assert_null(dlopen(getenv("CHANCERY_TEST_MODULE"), /* checksrc: a test's own variable */
                           RTLD_NOW | RTLD_NOLOAD));
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        child_join(child);
        module_open();
    }
}

static void test_dlclose__without_finalize(void **state)
{
    (void)state;
    kernel_require(); /* what the child leaves behind is lost */
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_rv(fx.f->C_CloseSession(fx.session), CKR_OK);
    pid_t child = fork();
    if (child == 0) { /* what it leaves behind is no matter in a process that ends */
        CHILD_CHECK(dlclose(fx.library) == 0);
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(0);
        int status = 1;
        CHILD_CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        _exit(0);
    }
    child_join(child);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    assert_rv(sign_once(fx.session, &w), CKR_OK);
}

/* --- what is the process's --- */

/* The agent closes while a request is written: with SIGPIPE at its default, the tool would end. */
static void test_signals__sigpipe_does_not_reach_the_tool(void **state)
{
    (void)state;
    struct work w = { .key = object_find(CKO_PRIVATE_KEY, "p256") };
    struct sigaction action = { .sa_handler = SIG_DFL };
    struct sigaction old;
    assert_int_equal(sigaction(SIGPIPE, &action, &old), 0);
    assert_rv(digest_once(fx.session), CKR_OK);
    folder_write("fault", "hash close");
    for (int i = 0; i < 5; i++)
        assert_rv(digest_once(fx.session), CKR_DEVICE_ERROR);
    folder_write("fault", "");
    assert_rv(sign_once(fx.session, &w), CKR_OK);
    assert_int_equal(sigaction(SIGPIPE, &old, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_threads__with_sessions_of_their_own),
        T(test_threads__more_than_connections),
        T(test_threads__in_one_session),
        T(test_finalize__while_others_are_in_calls),
        T(test_finalize__and_initialize_from_many_threads),
        T(test_finalize__leaves_nothing_open),
        T(test_fork__both_go_on),
        T(test_fork__in_the_middle_of_operations),
        T(test_fork__the_child_has_none_of_the_parents_connections),
        T(test_fork__a_child_may_initialize_and_finalize),
        T(test_fork__of_a_fork),
        T(test_fork__while_threads_are_in_calls),
        T(test_fork__with_a_helper),
        T(test_dlclose__then_fork),
        T(test_dlclose__without_finalize),
        T(test_signals__sigpipe_does_not_reach_the_tool),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
