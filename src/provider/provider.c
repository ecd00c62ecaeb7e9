/* SPDX-License-Identifier: MIT */
#include "provider/provider.h"

#include <fcntl.h>
#include <stdarg.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "guest/guest.h"
#include "os/fd.h"
#include "os/file_stream.h"
#include "os/log.h"

#define SOFTWARE "chancery-openssl " CHY_VERSION
#define LOG_MODE 0600

/* The only mutable state of the provider. */
static struct {
    struct chy_guest guest;
    size_t users; /* library contexts that loaded it; guarded by the guest's mutex */
} process = { .guest = CHY_GUEST_INITIALIZER(NULL) };

/* --- the guest --- */

static enum chy_err config_read(struct chy_guest_config *config, struct chy_error *err)
{
    /* All keys: OpenSSL asks for one by its name, and has no trouble with Ed25519. */
    enum chy_err r = chy_guest_config_read(config, SOFTWARE, "*", err);
    if (r != CHY_OK)
        chy_guest_config_done(config);
    return r;
}

static enum chy_err start(struct chy_guest *g, struct chy_error *err)
{
    struct chy_guest_config config;
    CHY_TRY(chy_guest_watch_forks(g, err));
    CHY_TRY(config_read(&config, err));
    chy_guest_lock(g);
    chy_guest_settle_locked(g);
    if (g->phase == CHY_GUEST_DOWN)
        chy_guest_start_locked(g, &config);
    chy_guest_unlock(g);
    chy_guest_config_done(&config);
    return CHY_OK;
}

static bool enter(struct chy_guest *g)
{
    chy_guest_lock(g);
    bool is_in = chy_guest_enter_locked(g);
    chy_guest_unlock(g);
    return is_in;
}

static void leave(struct chy_guest *g)
{
    chy_guest_lock(g);
    CHY_IGNORE(chy_guest_leave_locked(g)); /* OpenSSL ends nothing that is in use */
    chy_guest_unlock(g);
}

enum chy_err chy_prov_ask(struct chy_guest_ask *ask, struct chy_guest_answer *answer,
                          void *ret_reply, struct chy_error *err)
{
    struct chy_guest *g = &process.guest;
    while (!enter(g))
        CHY_TRY(start(g, err));
    enum chy_err r = chy_guest_ask(g, ask, answer, ret_reply, err);
    leave(g);
    return r;
}

static void user_add(void)
{
    chy_guest_lock(&process.guest);
    process.users++;
    chy_guest_unlock(&process.guest);
}

static void user_remove(void)
{
    struct chy_guest *g = &process.guest;
    chy_guest_lock(g);
    chy_guest_settle_locked(g);
    if (--process.users == 0 && g->phase == CHY_GUEST_UP) {
        chy_guest_stop_locked(g);
        chy_guest_release_locked(g);
    }
    chy_guest_unlock(g);
}

/* --- errors --- */

/* Reasons are numbered as our codes are, without the sign. */
static const OSSL_ITEM *reasons(void *provctx)
{
    (void)provctx;
    static OSSL_ITEM items[] = {
#define X(name, code, http, ckr, exit, type, title) { (unsigned)-(code), CHY_UNCONST(char, title) },
        CHY_ERR_LIST(X)
#undef X
            { 0, NULL }
    };
    return items + 1; /* behind CHY_OK, which would be the end */
}

static void log_failure(const struct chy_error *error)
{
    struct chy_guest_config config;
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    /* As it is now: this may be why there is no guest. */
    CHY_IGNORE(chy_guest_config_read(&config, SOFTWARE, "*", NULL)); /* the log was read first */
    if (config.log != NULL &&
        chy_file_open_append(AT_FDCWD, config.log, LOG_MODE, &fd, NULL) == CHY_OK) {
        struct chy_log lg;
        chy_log_init(&lg, fd, CHY_LOG_ERROR, "provider", false);
        chy_log(&lg, CHY_LOG_ERROR, "provider.failed",
                CHY_L_CSTR("code", chy_err_type(error->code)), CHY_L_CSTR("text", error->text));
    }
    chy_guest_config_done(&config);
}

CHY_PRINTF(3, 4)
static void error_set(const struct chy_prov *prov, enum chy_err code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    prov->vset_error(prov->core, (uint32_t)-code, fmt, args);
    va_end(args);
}

void chy_prov_raise(const struct chy_prov *prov, const struct chy_error *err)
{
    log_failure(err);
    if (prov->new_error == NULL || prov->set_error_debug == NULL || prov->vset_error == NULL)
        return;
    prov->new_error(prov->core);
    prov->set_error_debug(prov->core, err->where, 0, "");
    error_set(prov, err->code, "%s", err->text);
}

/* --- the provider --- */

static const OSSL_PARAM *gettable_params(void *provctx)
{
    (void)provctx;
    static const OSSL_PARAM params[] = { OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
                                         OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
                                         OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
                                         OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
                                         OSSL_PARAM_END };
    return params;
}

static int get_params(void *provctx, OSSL_PARAM params[])
{
    (void)provctx;
    static const struct {
        const char *name;
        const char *value;
    } texts[] = { { OSSL_PROV_PARAM_NAME, "Chancery" },
                  { OSSL_PROV_PARAM_VERSION, CHY_VERSION },
                  { OSSL_PROV_PARAM_BUILDINFO, SOFTWARE } };
    for (size_t i = 0; i < CHY_ARRAY_LEN(texts); i++) {
        OSSL_PARAM *p = OSSL_PARAM_locate(params, texts[i].name);
        if (p != NULL && !OSSL_PARAM_set_utf8_ptr(p, texts[i].value))
            return 0;
    }
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    return status == NULL || OSSL_PARAM_set_int(status, 1);
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *ret_no_cache)
{
    (void)provctx;
    *ret_no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return chy_prov_keymgmts;
    if (operation == OSSL_OP_SIGNATURE)
        return chy_prov_signatures;
    return operation == OSSL_OP_STORE ? chy_prov_stores : NULL;
}

static void teardown(void *provctx)
{
    struct chy_prov *prov = provctx;
    OSSL_LIB_CTX_free(prov->hashes);
    chy_free(prov);
    user_remove();
}

static const OSSL_DISPATCH functions[] = {
    CHY_PROV_FUNCTION(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
    CHY_PROV_FUNCTION(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, gettable_params),
    CHY_PROV_FUNCTION(OSSL_FUNC_PROVIDER_GET_PARAMS, get_params),
    CHY_PROV_FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
    CHY_PROV_FUNCTION(OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, reasons),
    CHY_PROV_FUNCTIONS_END,
};

static void core_read(struct chy_prov *prov, const OSSL_DISPATCH *in)
{
    for (; in->function_id != 0; in++) {
        if (in->function_id == OSSL_FUNC_CORE_NEW_ERROR)
            prov->new_error = OSSL_FUNC_core_new_error(in);
        else if (in->function_id == OSSL_FUNC_CORE_SET_ERROR_DEBUG)
            prov->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
        else if (in->function_id == OSSL_FUNC_CORE_VSET_ERROR)
            prov->vset_error = OSSL_FUNC_core_vset_error(in);
    }
}

CHY_PUBLIC int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                                  const OSSL_DISPATCH **out, void **provctx)
{
    struct chy_prov *prov = chy_new(struct chy_prov);
    if (prov == NULL)
        return 0;
    prov->core = handle;
    core_read(prov, in);
    prov->hashes = OSSL_LIB_CTX_new();
    if (prov->hashes == NULL) {
        chy_free(prov);
        return 0;
    }
    user_add();
    *out = functions;
    *provctx = prov;
    return 1;
}
