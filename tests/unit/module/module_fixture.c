/* SPDX-License-Identifier: MIT */
#include "module_fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define READY_MS 60000

struct fixture fx;

const CK_RSA_PKCS_PSS_PARAMS pss_256 = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
const CK_RSA_PKCS_PSS_PARAMS pss_384 = { CKM_SHA384, CKG_MGF1_SHA384, 48 };
const CK_RSA_PKCS_PSS_PARAMS pss_512 = { CKM_SHA512, CKG_MGF1_SHA512, 64 };

static const char *path_in(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fx.folder, name);
    return path;
}

static void environment_clear(void)
{
    static const char *const names[] = {
        "CHANCERY_AGENT_SOCK", "CHANCERY_HELPER",  "CHANCERY_LOG",
        "CHANCERY_KEYS",       "CHANCERY_REASON",  "CHANCERY_RECEIPTS",
        "CHANCERY_EXEC_TAG",   "CHANCERY_PROFILE", "CHANCERY_URL",
        "CHANCERY_TOKEN",      "CHANCERY_CERT",    "CHANCERY_TOKEN_FILE",
        "XDG_RUNTIME_DIR",     "XDG_CONFIG_HOME",  "HOME",
    };
    for (size_t i = 0; i < CHY_ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

static void folder_remove(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(path);
}

static char cache[] = "/tmp/chancery-module-keys-XXXXXX";

int fixture_begin(void **state)
{
    (void)state;
    return mkdtemp(cache) != NULL ? setenv("FAKE_AGENT_CACHE", cache, 1) : -1;
}

int fixture_end(void **state)
{
    (void)state;
    folder_remove(cache);
    return 0;
}

int fixture_setup(void **state)
{
    (void)state;
    fx = (struct fixture){ .folder = "/tmp/chancery-module-XXXXXX", .stdin_fd = -1 };
    if (mkdtemp(fx.folder) == NULL || chmod(fx.folder, 0777) != 0)
        return -1;
    snprintf(fx.socket, sizeof fx.socket, "%s/agent.sock", fx.folder);
    environment_clear();
    setenv("FAKE_AGENT_DIR", fx.folder, 1);
    setenv("HOME", fx.folder, 1);
    setenv("CHANCERY_HELPER", "/nonexistent/chancery", 1);
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    if (fx.library != NULL)
        module_unload();
    agent_stop();
    folder_remove(fx.folder);
    return 0;
}

static void ready_wait(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char line[16];
    assert_int_equal(poll(&p, 1, READY_MS), 1);
    assert_int_equal(read(fd, line, sizeof line), 6);
}

void agent_start(void)
{
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fx.agent = fork();
    assert_true(fx.agent >= 0);
    if (fx.agent == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        const char *program = getenv("CHANCERY_FAKE_AGENT"); /* checksrc: a test's own variable */
        execl(program, program, "--listen", fx.socket, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    fx.stdin_fd = in[1];
    ready_wait(out[0]);
    close(out[0]);
    setenv("CHANCERY_AGENT_SOCK", fx.socket, 1);
}

void agent_stop(void)
{
    if (fx.agent == 0)
        return;
    close(fx.stdin_fd);
    assert_int_equal(waitpid(fx.agent, NULL, 0), fx.agent);
    fx.agent = 0;
}

void helper_use(void)
{
    setenv("CHANCERY_AGENT_SOCK", "none", 1);
    setenv("CHANCERY_HELPER", getenv("CHANCERY_FAKE_AGENT"), /* checksrc: a test's own variable */
           1);
}

void module_load(void)
{
    const char *path = getenv("CHANCERY_TEST_MODULE"); /* checksrc: a test's own variable */
    CK_C_GetInterface *get = NULL;
    CK_INTERFACE *interface = NULL;
    CK_VERSION version = { 3, 0 };
    fx.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (fx.library == NULL)
        fail_msg("%s", dlerror());
    void *symbol = dlsym(fx.library, "C_GetInterface");
    memcpy(&get, &symbol, sizeof get);
    assert_rv(get(NULL, &version, &interface, 0), CKR_OK);
    fx.f = interface->pFunctionList;
}

void module_unload(void)
{
    CK_RV rv = fx.f->C_Finalize(NULL);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_int_equal(dlclose(fx.library), 0);
    fx.library = NULL;
}

void module_open(void)
{
    module_load();
    assert_rv(fx.f->C_Initialize(NULL), CKR_OK);
    assert_rv(fx.f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &fx.session), CKR_OK);
}

void folder_write(const char *name, const char *text)
{
    const char *path = path_in(name);
    if (text[0] == '\0') {
        unlink(path);
        return;
    }
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

size_t log_count(const char *start)
{
    char line[512];
    size_t n = 0;
    FILE *file = fopen(path_in("log"), "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        n += strncmp(line, start, strlen(start)) == 0;
    if (file != NULL)
        fclose(file);
    return n;
}

void log_clear(void)
{
    unlink(path_in("log"));
}

void assert_rv_at(CK_RV got, CK_RV wanted, const char *file, int line)
{
    if (got == wanted)
        return;
    print_error("got 0x%lx, expected 0x%lx\n", got, wanted);
    _fail(file, line);
}

size_t objects_find(CK_ATTRIBUTE *attrs, size_t n, CK_OBJECT_HANDLE *handles, size_t max)
{
    CK_ULONG got = 0;
    assert_rv(fx.f->C_FindObjectsInit(fx.session, attrs, n), CKR_OK);
    assert_rv(fx.f->C_FindObjects(fx.session, handles, max, &got), CKR_OK);
    assert_rv(fx.f->C_FindObjectsFinal(fx.session), CKR_OK);
    return got;
}

CK_OBJECT_HANDLE object_find(CK_OBJECT_CLASS class, const char *label)
{
    CK_OBJECT_HANDLE handles[2];
    CK_ATTRIBUTE attrs[] = { { CKA_CLASS, &class, sizeof class },
                             { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) } };
    assert_int_equal(objects_find(attrs, 2, handles, 2), 1);
    return handles[0];
}

struct chy_bytes attribute_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    static CK_BYTE value[32768];
    CK_ATTRIBUTE attr = { type, value, sizeof value };
    assert_rv(fx.f->C_GetAttributeValue(fx.session, object, &attr, 1), CKR_OK);
    return (struct chy_bytes){ value, attr.ulValueLen };
}

CK_ULONG number_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG number;
    struct chy_bytes value = attribute_of(object, type);
    assert_int_equal(value.n, sizeof number);
    memcpy(&number, value.p, sizeof number);
    return number;
}

CK_RV sign_with(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct chy_bytes data,
                struct signature *ret_signature)
{
    CK_RV rv = fx.f->C_SignInit(fx.session, mechanism, key);
    ret_signature->n = sizeof ret_signature->bytes;
    if (rv != CKR_OK)
        return rv;
    return fx.f->C_Sign(fx.session, (CK_BYTE *)(uintptr_t)data.p, data.n, ret_signature->bytes,
                        &ret_signature->n);
}

/* --- OpenSSL's word --- */

static EVP_PKEY *public_key(const char *label)
{
    struct chy_bytes der = attribute_of(object_find(CKO_PUBLIC_KEY, label), CKA_PUBLIC_KEY_INFO);
    const unsigned char *p = der.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der.n);
    assert_non_null(key);
    return key;
}

static struct signature der_of(const struct signature *raw)
{
    struct signature der;
    unsigned char *p = der.bytes;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int half = (int)raw->n / 2;
    assert_int_equal(ECDSA_SIG_set0(sig, BN_bin2bn(raw->bytes, half, NULL),
                                    BN_bin2bn(raw->bytes + half, half, NULL)),
                     1);
    der.n = (CK_ULONG)i2d_ECDSA_SIG(sig, &p);
    ECDSA_SIG_free(sig);
    return der;
}

static bool verify_ed(EVP_PKEY *key, struct chy_bytes data, const struct signature *signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key), 1);
    int r = EVP_DigestVerify(ctx, signature->bytes, signature->n, data.p, data.n);
    EVP_MD_CTX_free(ctx);
    return r == 1;
}

static bool verify_digest(EVP_PKEY *key, const char *digest, bool is_pss, struct chy_bytes hash,
                          const struct signature *signature)
{
    struct signature sig = EVP_PKEY_get_id(key) == EVP_PKEY_EC ? der_of(signature) : *signature;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(digest)), 1);
    if (EVP_PKEY_get_id(key) == EVP_PKEY_RSA) {
        assert_int_equal(
            EVP_PKEY_CTX_set_rsa_padding(ctx, is_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING),
            1);
        if (is_pss)
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    int r = EVP_PKEY_verify(ctx, sig.bytes, sig.n, hash.p, hash.n);
    EVP_PKEY_CTX_free(ctx);
    return r == 1;
}

bool is_good(const char *label, const char *digest, bool is_pss, bool is_digested,
             struct chy_bytes data, const struct signature *signature)
{
    EVP_PKEY *key = public_key(label);
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t n = 0;
    bool r;
    if (digest == NULL) {
        r = verify_ed(key, data, signature);
    } else {
        if (!is_digested) {
            assert_int_equal(EVP_Q_digest(NULL, digest, NULL, data.p, data.n, hash, &n), 1);
            data = (struct chy_bytes){ hash, n };
        }
        r = verify_digest(key, digest, is_pss, data, signature);
    }
    EVP_PKEY_free(key);
    return r;
}
