/* SPDX-License-Identifier: MIT */
/* The way to the agent and what can go wrong on it. The module here is in a hurry: its times are a
 * fraction of the real ones, see module/times.h. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../os/kernel_fixture.h"
#include "base/limits.h"
#include "module_fixture.h"
#include "os/socket.h"

#define NOBODY 65534

static CK_MECHANISM ecdsa = { CKM_ECDSA_SHA256, NULL, 0 };
static CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 };
static CK_BYTE big[200000];

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    agent_start();
    module_open();
    return 0;
}

static struct chy_bytes data(void)
{
    return chy_str_bytes(CHY_STR("data"));
}

static CK_RV find_all(void)
{
    CK_RV rv = fx.f->C_FindObjectsInit(fx.session, NULL, 0);
    return rv == CKR_OK ? fx.f->C_FindObjectsFinal(fx.session) : rv;
}

static CK_RV digest_big(void)
{
    CK_BYTE out[32];
    CK_ULONG n = sizeof out;
    CK_RV rv = fx.f->C_DigestInit(fx.session, &sha256);
    return rv == CKR_OK ? fx.f->C_Digest(fx.session, big, sizeof big, out, &n) : rv;
}

static CK_RV verify(const struct signature *s)
{
    CK_RV rv = fx.f->C_VerifyInit(fx.session, &ecdsa, object_find(CKO_PUBLIC_KEY, "p256"));
    CK_BYTE text[] = "data";
    return rv == CKR_OK ? fx.f->C_Verify(fx.session, text, 4, (CK_BYTE *)(uintptr_t)s->bytes, s->n)
                        : rv;
}

static void start_again(void)
{
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
}

/* The module works on, whatever was before. */
static void assert_works(void)
{
    struct signature s;
    folder_write("fault", "");
    assert_rv(sign_with(&ecdsa, object_find(CKO_PRIVATE_KEY, "p256"), data(), &s), CKR_OK);
    assert_true(is_good("p256", "SHA256", false, false, data(), &s));
    assert_rv(verify(&s), CKR_OK);
    assert_rv(digest_big(), CKR_OK);
}

/* --- an agent that answers nonsense --- */

static const char *const nonsense[] = {
    "garbage", "long", "kind", "id", "body", "behind", "unknown"
};

static void test_nonsense__in_place_of_keys(void **state)
{
    (void)state;
    char fault[32];
    for (size_t i = 0; i < CHY_ARRAY_LEN(nonsense); i++) {
        snprintf(fault, sizeof fault, "keys %s", nonsense[i]);
        folder_write("fault", fault);
        assert_rv(find_all(), CKR_DEVICE_ERROR);
        assert_works();
    }
}

static void test_nonsense__in_place_of_a_signature(void **state)
{
    (void)state;
    char fault[32];
    for (size_t i = 0; i < CHY_ARRAY_LEN(nonsense); i++) {
        struct signature s;
        CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
        snprintf(fault, sizeof fault, "sign %s", nonsense[i]);
        folder_write("fault", fault);
        log_clear();
        assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_DEVICE_ERROR);
        assert_int_equal(log_count("fault"), 1); /* it is not asked for twice */
        assert_works();
    }
}

static void test_nonsense__in_the_greeting(void **state)
{
    (void)state;
    char fault[32];
    for (size_t i = 0; i < CHY_ARRAY_LEN(nonsense); i++) {
        snprintf(fault, sizeof fault, "hello %s", nonsense[i]);
        folder_write("fault", fault);
        assert_rv(find_all(), CKR_DEVICE_ERROR);
    }
    assert_works();
}

static void test_nonsense__of_hashes_and_lists(void **state)
{
    (void)state;
    static const char *const faults[] = { "hash kind", "hash garbage", "end short", "end body",
                                          "end id" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(faults); i++) {
        folder_write("fault", faults[i]);
        assert_rv(digest_big(), CKR_DEVICE_ERROR);
        assert_works();
    }
    static const char *const lists[] = { "keys half", "keys endless" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(lists); i++) {
        folder_write("fault", lists[i]);
        assert_rv(find_all(), CKR_DEVICE_ERROR);
    }
    assert_works();
}

static void test_nonsense__a_signature_of_another_length(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign short");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_DEVICE_ERROR);
    assert_works();
}

/* --- an agent that is slow, or never answers --- */

static void test_slow__is_waited_for(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign slow");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_OK);
    assert_works();
}

static void test_never__ends_by_the_deadline(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    static const char *const faults[] = { "keys never", "hello never" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(faults); i++) {
        start_again();
        folder_write("fault", faults[i]);
        assert_rv(find_all(), CKR_DEVICE_ERROR);
        folder_write("fault", "");
    }
    key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign never");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_DEVICE_ERROR);
    folder_write("fault", "hash never");
    assert_rv(digest_big(), CKR_DEVICE_ERROR);
    assert_works();
}

/* --- connections that break --- */

static void test_broken__what_may_be_repeated_is(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_OK);
    folder_write("fault", "keys close-once");
    assert_rv(find_all(), CKR_OK);
    object_find(CKO_PUBLIC_KEY, "p256");
    folder_write("fault", "verify close-once");
    assert_rv(verify(&s), CKR_OK);
    folder_write("fault", "hash close-once");
    assert_rv(digest_big(), CKR_OK);
    folder_write("fault", "end close-once");
    assert_rv(digest_big(), CKR_OK);
    start_again();
    folder_write("fault", "hello close-once");
    assert_rv(find_all(), CKR_OK);
    assert_int_equal(log_count("fault"), 5);
    assert_works();
}

static void test_broken__a_signature_is_not_asked_for_twice(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign close-once");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_DEVICE_ERROR);
    assert_int_equal(log_count("fault"), 1);
    assert_int_equal(log_count("sign"), 0);
    assert_works();
}

/* Its data is hashed again, but the signature itself is asked for once. */
static void test_broken__a_long_message(void **state)
{
    (void)state;
    struct signature s;
    struct chy_bytes message = { big, sizeof big };
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "hash close-once");
    assert_rv(sign_with(&ecdsa, key, message, &s), CKR_OK);
    assert_true(is_good("p256", "SHA256", false, false, message, &s));
    folder_write("fault", "sign close-once");
    assert_rv(sign_with(&ecdsa, key, message, &s), CKR_DEVICE_ERROR);
    assert_works();
}

static void test_broken__a_message_in_parts_is_lost(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    assert_rv(fx.f->C_SignInit(fx.session, &ecdsa, key), CKR_OK);
    assert_rv(fx.f->C_SignUpdate(fx.session, big, 70000), CKR_OK);
    folder_write("fault", "hash close-once");
    assert_rv(fx.f->C_SignUpdate(fx.session, big, 70000), CKR_DEVICE_ERROR);
    assert_rv(fx.f->C_SignUpdate(fx.session, big, 70000), CKR_OPERATION_NOT_INITIALIZED);
    assert_works();
}

static void test_broken__again_and_again(void **state)
{
    (void)state;
    folder_write("fault", "keys close");
    assert_rv(find_all(), CKR_DEVICE_ERROR);
    assert_int_equal(log_count("fault"), 4);
    assert_works();
}

static void test_restart__between_calls_is_not_noticed(void **state)
{
    (void)state;
    assert_works();
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    assert_rv(fx.f->C_SignInit(fx.session, &ecdsa, key), CKR_OK);
    agent_stop();
    agent_start();
    struct signature s = { .n = sizeof s.bytes };
    CK_BYTE text[] = "data";
    assert_rv(fx.f->C_Sign(fx.session, text, 4, s.bytes, &s.n), CKR_OK);
    assert_true(is_good("p256", "SHA256", false, false, data(), &s));
}

/* CHANCERY_AGENT_SOCK says where the agent is: it is waited for. */
static void test_restart__is_waited_for(void **state)
{
    (void)state;
    assert_works();
    agent_stop();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct signature s;
        fx.agent = 0;
        CK_RV rv = fx.f->C_FindObjectsInit(fx.session, NULL, 0);
        if (rv == CKR_OK)
            rv = sign_with(&ecdsa, 1, data(), &s);
        _exit(rv == CKR_OK ? 0 : 1);
    }
    agent_start();
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_gone__for_good(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    agent_stop();
    /* It is no answer to start a helper, which may be somebody else. */
    setenv("CHANCERY_HELPER", getenv("CHANCERY_FAKE_AGENT"), /* checksrc: a test's own variable */
           1);
    assert_rv(find_all(), CKR_DEVICE_ERROR);
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_DEVICE_ERROR);
    assert_int_equal(log_count("helper"), 0);
}

/* --- refusals, and the log --- */

static size_t lines_in_log(const char *what)
{
    char path[128];
    char line[1024];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/failures", fx.folder);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        n += strstr(line, what) != NULL;
    if (file != NULL)
        fclose(file);
    return n;
}

static void test_log__a_line_for_each_failed_call(void **state)
{
    (void)state;
    char path[128];
    struct signature s;
    snprintf(path, sizeof path, "%s/failures", fx.folder);
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    setenv("CHANCERY_LOG", path, 1);
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign refuse");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_ACTION_PROHIBITED);
    assert_int_equal(lines_in_log("\"event\":\"module.failed\""), 1);
    assert_int_equal(lines_in_log("\"function\":\"C_Sign\",\"rv\":\"CKR_ACTION_PROHIBITED\","
                                  "\"text\":\"rule 7 says no (request 7)\""),
                     1);
    assert_rv(fx.f->C_Logout(fx.session), CKR_USER_NOT_LOGGED_IN);
    assert_rv(fx.f->C_CloseSession(77), CKR_SESSION_HANDLE_INVALID);
    /* To look for what is not there, or not to be seen, is no failure. */
    CK_ATTRIBUTE attr = { CKA_VALUE, NULL, 0 };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, &attr, 1), CKR_ATTRIBUTE_SENSITIVE);
    attr.type = CKA_MODULUS;
    assert_rv(fx.f->C_GetAttributeValue(fx.session, key, &attr, 1), CKR_ATTRIBUTE_TYPE_INVALID);
    assert_int_equal(lines_in_log("module.failed"), 3);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    setenv("CHANCERY_EXEC_TAG", "x", 1);
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    assert_rv(fx.f->C_Initialize(NULL), CKR_GENERAL_ERROR);
    assert_int_equal(lines_in_log("C_Initialize"), 1);
    assert_int_equal(lines_in_log("CHANCERY_EXEC_TAG is not 32 hexadecimal digits"), 1);
}

/* A broken chain of evidence is no wrong signature. */
static void test_refused__integrity_means_the_signature_only_when_verified(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    struct signature none;
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_OK);
    folder_write("fault", "sign integrity");
    assert_rv(sign_with(&ecdsa, key, data(), &none), CKR_GENERAL_ERROR);
    folder_write("fault", "verify integrity");
    assert_rv(verify(&s), CKR_SIGNATURE_INVALID);
    assert_works();
}

/* --- idle connections --- */

static void *sign_run(void *arg)
{
    CK_SESSION_HANDLE session;
    struct signature s = { .n = sizeof s.bytes };
    CK_BYTE text[] = "data";
    (void)arg;
    for (int i = 0; i < 10; i++) {
        if (fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK ||
            fx.f->C_SignInit(session, &ecdsa, 1) != CKR_OK ||
            fx.f->C_Sign(session, text, 4, s.bytes, &s.n) != CKR_OK ||
            fx.f->C_CloseSession(session) != CKR_OK)
            return arg;
    }
    return NULL;
}

static size_t sockets_open(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char link[64];
        ssize_t got = readlinkat(dirfd(dir), e->d_name, link, sizeof link - 1);
        n += got > 0 && strncmp(link, "socket:", 7) == 0;
    }
    closedir(dir);
    return n;
}

/* What a burst of threads left behind is closed by the calls that come later. */
static void test_idle__connections_are_not_kept_for_ever(void **state)
{
    (void)state;
    pthread_t threads[24];
    size_t before = sockets_open();
    object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign slow"); /* so that they do need one each */
    for (size_t i = 0; i < CHY_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_run, fx.folder), 0);
    for (size_t i = 0; i < CHY_ARRAY_LEN(threads); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    folder_write("fault", "");
    assert_true(sockets_open() > before + 8);
    size_t hellos = log_count("hello");
    assert_true(hellos <= CHY_ARRAY_LEN(threads) + 1);
    for (int i = 0; i < 100000 && sockets_open() > before + 1; i++)
        assert_rv(find_all(), CKR_OK);
    assert_int_equal(sockets_open(), before + 1);
    assert_int_equal(log_count("hello"), hellos);
}

/* --- whose socket --- */

static void test_owner__somebody_else_is_not_spoken_to(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    agent_stop();
    int ready[2];
    int quit[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(quit), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* Whoever was connected tells whether a single byte was sent. */
        char address[128];
        char peer[CHY_SOCKET_TEXT_BYTES];
        char byte;
        int fd = -1;
        int conn = -1;
        close(quit[1]);
        snprintf(address, sizeof address, "unix:%s", fx.socket);
        if (setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
            chy_socket_listen(chy_str_of(address), 0777, &fd, NULL) != CHY_OK)
            _exit(2);
        if (write(ready[1], "r", 1) != 1)
            _exit(3);
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, -1) != 1 || chy_socket_accept(fd, &conn, peer, NULL) != CHY_OK)
            _exit(4);
        p = (struct pollfd){ .fd = conn, .events = POLLIN };
        _exit(poll(&p, 1, -1) == 1 && recv(conn, &byte, 1, 0) == 0 ? 0 : 5);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    assert_rv(find_all(), CKR_DEVICE_ERROR);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(quit[i]);
    }
    unlink(fx.socket);
}

/* --- where the agent is --- */

/* The fake agent's socket, at a place where one is looked for. */
static void place(const char *below)
{
    char folder[256];
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fx.folder, below);
    for (char *p = path + strlen(fx.folder) + 1; (p = strchr(p, '/')) != NULL; p++) {
        snprintf(folder, sizeof folder, "%.*s", (int)(p - path), path);
        assert_true(mkdir(folder, 0700) == 0 || errno == EEXIST);
    }
    assert_int_equal(symlink(fx.socket, path), 0);
}

static void unplace(const char *below)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fx.folder, below);
    unlink(path);
    for (char *p; (p = strrchr(path, '/')) != NULL && strlen(path) > strlen(fx.folder);) {
        *p = '\0';
        rmdir(path);
    }
}

static void test_socket__is_looked_for_in_its_places(void **state)
{
    (void)state;
    static const struct {
        const char *variable; /* names the folder */
        const char *below;
    } places[] = { { "XDG_RUNTIME_DIR", "chancery/agent.sock" },
                   { "XDG_CONFIG_HOME", "chancery/agent.sock" },
                   { "HOME", ".config/chancery/agent.sock" } };
    unsetenv("CHANCERY_AGENT_SOCK");
    unsetenv("HOME");
    for (size_t i = 0; i < CHY_ARRAY_LEN(places); i++) {
        setenv(places[i].variable, fx.folder, 1);
        start_again();
        assert_rv(find_all(), CKR_DEVICE_ERROR); /* and there is no helper */
        place(places[i].below);
        assert_rv(find_all(), CKR_OK);
        unplace(places[i].below);
        unsetenv(places[i].variable);
    }
}

static void test_socket__is_not_meant_by_who_says_who_to_be(void **state)
{
    (void)state;
    static const char *const names[] = { "CHANCERY_PROFILE", "CHANCERY_URL", "CHANCERY_TOKEN",
                                         "CHANCERY_TOKEN_FILE", "CHANCERY_CERT" };
    unsetenv("CHANCERY_AGENT_SOCK");
    setenv("XDG_RUNTIME_DIR", fx.folder, 1);
    place("chancery/agent.sock");
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++) {
        setenv(names[i], "x", 1);
        start_again();
        assert_rv(find_all(), CKR_DEVICE_ERROR);
        unsetenv(names[i]);
    }
    setenv("CHANCERY_URL", "x", 1);
    setenv("CHANCERY_AGENT_SOCK", fx.socket, 1);
    start_again();
    assert_rv(find_all(), CKR_OK);
    unplace("chancery/agent.sock");
}

/* --- the helper --- */

static int setup_helper(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    helper_use();
    module_open();
    return 0;
}

/* The number of the newest. */
static pid_t helper_pid(void)
{
    char path[128];
    char line[256];
    pid_t pid = 0;
    snprintf(path, sizeof path, "%s/log", fx.folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "helper ", 7) == 0) {
            pid = 0;
            for (const char *p = line + 7; *p >= '0' && *p <= '9'; p++)
                pid = pid * 10 + (*p - '0');
        }
    fclose(file);
    return pid;
}

/* It is nobody's child here: wait until its number is gone. */
static void helper_wait_gone(pid_t pid)
{
    for (int i = 0; i < 30000 && kill(pid, 0) == 0; i++)
        poll(NULL, 0, 1);
    assert_int_equal(kill(pid, 0), -1);
}

static void test_helper__is_started_and_shared_and_ends(void **state)
{
    (void)state;
    assert_works();
    assert_int_equal(log_count("helper"), 1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* the tool has no child by it */
    assert_int_equal(errno, ECHILD);
    pid_t pid = helper_pid();
    assert_int_equal(getpgid(pid) != getpgid(0), 1);
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    helper_wait_gone(pid);
}

static void helper_kill(void)
{
    pid_t pid = helper_pid();
    assert_int_equal(kill(pid, SIGKILL), 0);
    helper_wait_gone(pid);
}

static void test_helper__that_died_is_started_anew(void **state)
{
    (void)state;
    assert_works();
    for (size_t i = 0; i < 3; i++) {
        helper_kill();
        assert_works();
        assert_int_equal(log_count("helper"), i + 2);
    }
}

/* As on a machine with much to do: the greeting does not come in time, and nothing is lost. */
static void test_helper__greets_late(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    helper_kill();
    folder_write("fault", "hello never-once");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_OK);
    assert_int_equal(log_count("fault"), 1);
    assert_int_equal(log_count("helper"), 2);
}

/* A program that does not even start. */
static void test_helper__starts_late(void **state)
{
    (void)state;
    kernel_require(); /* valgrind is too slow for these times */
    struct signature s;
    char path[128];
    snprintf(path, sizeof path, "%s/helper", fx.folder);
    folder_write("helper", "#!/bin/sh\n"
                           "rm \"$FAKE_AGENT_DIR/hangs\" 2>/dev/null && exec tail -f /dev/null\n"
                           "exec \"$CHANCERY_FAKE_AGENT\" \"$@\"\n");
    assert_int_equal(chmod(path, 0700), 0);
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    setenv("CHANCERY_HELPER", path, 1);
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    helper_kill();
    folder_write("hangs", "once");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_OK);
    snprintf(path, sizeof path, "%s/hangs", fx.folder);
    assert_int_equal(access(path, F_OK), -1); /* it did */
}

static void test_helper__dies_in_a_call(void **state)
{
    (void)state;
    struct signature s;
    CK_OBJECT_HANDLE key = object_find(CKO_PRIVATE_KEY, "p256");
    folder_write("fault", "sign exit-once");
    assert_rv(sign_with(&ecdsa, key, data(), &s), CKR_DEVICE_ERROR);
    folder_write("fault", "keys exit-once");
    assert_rv(find_all(), CKR_OK);
    assert_works();
    assert_int_equal(log_count("helper"), 3);
}

static void test_helper__always_dies(void **state)
{
    (void)state;
    folder_write("fault", "hello exit");
    assert_rv(find_all(), CKR_DEVICE_ERROR);
    /* Not for ever. A try may still find the one before dying, and starts none. */
    assert_in_range(log_count("helper"), 2, 4);
    assert_works();
}

static void test_helper__is_no_program(void **state)
{
    (void)state;
    assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    static const char *const programs[] = { "/nonexistent/chancery", "/etc/passwd", "/bin/false",
                                            "/bin/true" };
    for (size_t i = 0; i < CHY_ARRAY_LEN(programs); i++) {
        setenv("CHANCERY_HELPER", programs[i], 1);
        assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
        assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
        assert_rv(find_all(), CKR_DEVICE_ERROR);
        assert_rv(fx.f->C_Finalize(NULL), CKR_OK);
    }
}

#define T(name)                      \
    cmocka_unit_test_setup_teardown( \
        name, strstr(#name, "test_helper") != NULL ? setup_helper : setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_nonsense__in_place_of_keys),
        T(test_nonsense__in_place_of_a_signature),
        T(test_nonsense__in_the_greeting),
        T(test_nonsense__of_hashes_and_lists),
        T(test_nonsense__a_signature_of_another_length),
        T(test_slow__is_waited_for),
        T(test_never__ends_by_the_deadline),
        T(test_broken__what_may_be_repeated_is),
        T(test_broken__a_signature_is_not_asked_for_twice),
        T(test_broken__a_long_message),
        T(test_broken__a_message_in_parts_is_lost),
        T(test_broken__again_and_again),
        T(test_restart__between_calls_is_not_noticed),
        T(test_restart__is_waited_for),
        T(test_gone__for_good),
        T(test_log__a_line_for_each_failed_call),
        T(test_refused__integrity_means_the_signature_only_when_verified),
        T(test_idle__connections_are_not_kept_for_ever),
        T(test_owner__somebody_else_is_not_spoken_to),
        T(test_socket__is_looked_for_in_its_places),
        T(test_socket__is_not_meant_by_who_says_who_to_be),
        T(test_helper__is_started_and_shared_and_ends),
        T(test_helper__that_died_is_started_anew),
        T(test_helper__greets_late),
        T(test_helper__starts_late),
        T(test_helper__dies_in_a_call),
        T(test_helper__always_dies),
        T(test_helper__is_no_program),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
