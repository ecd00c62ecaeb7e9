/* SPDX-License-Identifier: MIT */
/* bench-raw: how fast a PKCS#11 module signs for programs that are linked to it.
 *
 *     bench-raw --module FILE --token LABEL --pin-file FILE --key LABEL --algorithm p256
 *               --processes 2 --threads 1 --copy 1 --warm-up-ms 200 --run-ms 1000
 *
 * Each process loads the module for itself and logs in, one after the other; each thread has a
 * session and the key's handle, and signs a 32-byte digest as often as it can. With --copy 1 the
 * key is copied to a session object first. Prints one JSON object. Without a PIN file nobody logs
 * in. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "histogram.h"
#include "options.h"
#include "proto/pkcs11.h"

enum {
    WORKERS_MAX = 64,
    SLOTS_MAX = 64,
    DIGEST_BYTES = 32,
    SIGNATURE_MAX = 1024,
};

struct settings {
    const char *module;
    const char *token;
    const char *pin_file;
    const char *key;
    const char *algorithm;
    unsigned processes;
    unsigned threads;
    unsigned copy;
    unsigned warm_up_ms;
    unsigned run_ms;
};

/* What is put before the digest: PKCS#1 v1.5 signs a DigestInfo (RFC 8017 section 9.2, note 1). */
struct algorithm {
    const char *name;
    CK_MECHANISM_TYPE mechanism;
    size_t prefix_n;
    CK_BYTE prefix[19];
};

static const struct algorithm algorithms[] = {
    { "p256", CKM_ECDSA, 0, { 0 } },
    { "rsa3072",
      CKM_RSA_PKCS,
      19,
      { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20 } },
    { "ed25519", CKM_EDDSA, 0, { 0 } },
};

struct worker {
    struct histogram latency;
    uint64_t begin_ns; /* when the first call began that is counted */
    uint64_t end_ns;
};

struct run {
    struct settings settings;
    const struct algorithm *algorithm;
    struct worker *workers; /* shared by all processes */
    int ready[2];           /* of one process: a byte for each of its workers that is ready */
    int go[2];              /* of all: a byte for each worker that may start */
    CK_FUNCTION_LIST *module;
    CK_SLOT_ID slot;
};

struct thread {
    struct run *run;
    struct worker *worker;
    pthread_t id;
};

static void must(CK_RV rv, const char *what)
{
    if (rv != CKR_OK)
        die("%s: 0x%lx", what, rv);
}

static CK_FUNCTION_LIST *module_load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, "C_GetFunctionList") : NULL;
    if (symbol == NULL)
        die("%s", dlerror());
    CK_C_GetFunctionList *get_list = NULL;
    memcpy(&get_list, &symbol, sizeof get_list);
    CK_FUNCTION_LIST *list = NULL;
    must(get_list(&list), "C_GetFunctionList");
    return list;
}

/* The first one when no label is given. */
static CK_SLOT_ID slot_find(CK_FUNCTION_LIST *f, const char *label)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    CK_UTF8CHAR wanted[32];
    memset(wanted, ' ', sizeof wanted);
    memcpy(wanted, label, CHY_MIN(strlen(label), sizeof wanted));
    must(f->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        must(f->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (label[0] == '\0')
            return slots[i];
        if (memcmp(info.label, wanted, sizeof wanted) == 0)
            return slots[i];
    }
    die("there is no token %s", label);
}

static void log_in(const struct run *r)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_UTF8CHAR pin[256];
    FILE *file = fopen(r->settings.pin_file, "re");
    size_t n = file != NULL ? fread(pin, 1, sizeof pin, file) : 0;
    if (n == 0)
        die("there is no PIN in %s", r->settings.pin_file);
    fclose(file);
    while (n > 0 && pin[n - 1] == '\n')
        n--;
    /* It stays open: what it logged in ends with the last session. */
    must(r->module->C_OpenSession(r->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                  &session),
         "C_OpenSession");
    must(r->module->C_Login(session, CKU_USER, pin, n), "C_Login");
    explicit_bzero(pin, sizeof pin);
}

static CK_OBJECT_HANDLE key_find(const struct run *r, CK_SESSION_HANDLE session)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_UTF8CHAR label[128];
    size_t n = CHY_MIN(strlen(r->settings.key), sizeof label);
    memcpy(label, r->settings.key, n);
    CK_ATTRIBUTE query[] = { { CKA_CLASS, &class, sizeof class }, { CKA_LABEL, label, n } };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ULONG found = 0;
    must(r->module->C_FindObjectsInit(session, query, CHY_ARRAY_LEN(query)), "C_FindObjectsInit");
    must(r->module->C_FindObjects(session, &key, 1, &found), "C_FindObjects");
    must(r->module->C_FindObjectsFinal(session), "C_FindObjectsFinal");
    if (found != 1)
        die("there is no key %s", r->settings.key);
    if (r->settings.copy != 0) {
        CK_BBOOL no = CK_FALSE;
        CK_ATTRIBUTE change = { CKA_TOKEN, &no, sizeof no };
        must(r->module->C_CopyObject(session, key, &change, 1, &key), "C_CopyObject");
    }
    return key;
}

static void wait_for_go(const struct run *r)
{
    char byte = 'r';
    if (write(r->ready[1], &byte, 1) != 1 || read(r->go[0], &byte, 1) != 1)
        die("the other workers are gone");
}

static void sign_on(const struct run *r, struct worker *w, CK_SESSION_HANDLE session,
                    CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = { r->algorithm->mechanism, NULL, 0 };
    CK_BYTE input[sizeof r->algorithm->prefix + DIGEST_BYTES] = { 0 };
    CK_BYTE signature[SIGNATURE_MAX];
    size_t n = r->algorithm->prefix_n + DIGEST_BYTES;
    memcpy(input, r->algorithm->prefix, r->algorithm->prefix_n);
    uint64_t begin = clock_ns();
    uint64_t warm = begin + (uint64_t)r->settings.warm_up_ms * 1000000;
    uint64_t end = warm + (uint64_t)r->settings.run_ms * 1000000;
    for (uint64_t i = 0; begin < end; i++) {
        CK_ULONG signature_n = sizeof signature;
        memcpy(input + n - sizeof i, &i, sizeof i);
        must(r->module->C_SignInit(session, &mechanism, key), "C_SignInit");
        must(r->module->C_Sign(session, input, n, signature, &signature_n), "C_Sign");
        uint64_t now = clock_ns();
        if (begin >= warm) {
            w->begin_ns = w->latency.count == 0 ? begin : w->begin_ns;
            w->end_ns = now;
            histogram_add(&w->latency, now - begin);
        }
        begin = now;
    }
}

static void *thread_run(void *arg)
{
    const struct thread *t = arg;
    const struct run *r = t->run;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    must(r->module->C_OpenSession(r->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                  &session),
         "C_OpenSession");
    CK_OBJECT_HANDLE key = key_find(r, session);
    wait_for_go(r);
    sign_on(r, t->worker, session, key);
    return NULL;
}

static void process_run(struct run *r, struct worker *workers)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    struct thread threads[WORKERS_MAX];
    r->module = module_load(r->settings.module);
    must(r->module->C_Initialize(&args), "C_Initialize");
    r->slot = slot_find(r->module, r->settings.token);
    if (r->settings.pin_file[0] != '\0')
        log_in(r);
    for (unsigned i = 0; i < r->settings.threads; i++) {
        threads[i] = (struct thread){ .run = r, .worker = &workers[i] };
        if (pthread_create(&threads[i].id, NULL, thread_run, &threads[i]) != 0)
            die("cannot start a thread");
    }
    for (unsigned i = 0; i < r->settings.threads; i++)
        pthread_join(threads[i].id, NULL);
    /* Without C_Finalize and handlers of exit(): modules are known to crash in both. */
    _exit(0);
}

/* Log-ins of SoftHSM in two processes at once may lose sight of the token: one after the other. */
static void processes_start(struct run *r)
{
    char byte;
    for (unsigned i = 0; i < r->settings.processes; i++) {
        pid_t child = pipe(r->ready) == 0 ? fork() : -1;
        if (child < 0)
            die("cannot start a process");
        if (child == 0)
            process_run(r, r->workers + i * r->settings.threads);
        close(r->ready[1]); /* so that a child that dies is an end of the file */
        for (unsigned k = 0; k < r->settings.threads; k++)
            if (read(r->ready[0], &byte, 1) != 1)
                die("a worker did not start");
        close(r->ready[0]);
    }
}

static void processes_wait(void)
{
    int status = 0;
    while (wait(&status) > 0)
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            die("a worker failed");
}

static void report(const struct run *r, unsigned n)
{
    struct histogram all = { 0 };
    double per_second = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct worker *w = &r->workers[i];
        if (w->latency.count == 0)
            die("a worker made no signature in %u ms", r->settings.run_ms);
        histogram_merge(&all, &w->latency);
        per_second += (double)w->latency.count * 1e9 / (double)(w->end_ns - w->begin_ns);
    }
    printf("{\"per_second\": %.1f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"signatures\": %llu}\n",
           per_second, (double)histogram_percentile(&all, 50) / 1e6,
           (double)histogram_percentile(&all, 99) / 1e6, (unsigned long long)all.count);
}

static const struct algorithm *algorithm_find(const char *name)
{
    for (size_t i = 0; i < CHY_ARRAY_LEN(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    die("there is no algorithm %s", name);
}

int main(int count, char **arguments)
{
    struct run r = { .settings = { .token = "",
                                   .pin_file = "",
                                   .algorithm = "p256",
                                   .processes = 1,
                                   .threads = 1,
                                   .warm_up_ms = 200,
                                   .run_ms = 1000 } };
    struct settings *s = &r.settings;
    const struct option_row rows[] = {
        { "module", &s->module, NULL },         { "token", &s->token, NULL },
        { "pin-file", &s->pin_file, NULL },     { "key", &s->key, NULL },
        { "algorithm", &s->algorithm, NULL },   { "processes", NULL, &s->processes },
        { "threads", NULL, &s->threads },       { "copy", NULL, &s->copy },
        { "warm-up-ms", NULL, &s->warm_up_ms }, { "run-ms", NULL, &s->run_ms },
    };
    options_read(count, arguments, rows, CHY_ARRAY_LEN(rows));
    r.algorithm = algorithm_find(s->algorithm);
    unsigned n = s->processes * s->threads;
    if (s->processes == 0 || s->threads == 0 || s->processes > WORKERS_MAX ||
        s->threads > WORKERS_MAX || n > WORKERS_MAX)
        die("%d workers are the most", WORKERS_MAX);
    r.workers = mmap(NULL, n * sizeof *r.workers, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.workers == MAP_FAILED || pipe(r.go) != 0)
        die("no memory or no descriptors");
    processes_start(&r);
    for (unsigned i = 0; i < n; i++)
        if (write(r.go[1], "g", 1) != 1)
            die("cannot let the workers start");
    processes_wait();
    report(&r, n);
    return 0;
}
