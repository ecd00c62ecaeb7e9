/* SPDX-License-Identifier: MIT */
/* Whether a signature is in our log: by a receipt, or by asking the server. */
#include "cli/verify/log.h"

/* --- the file, where what was signed is not known --- */

/* Weaker: it tells that somebody had the server sign something of this file, not that this is that
 * signature. */
static bool artifact_say(struct verify_file *f, const struct chy_entry *e, uint64_t index,
                         struct chy_bytes digest, const char *by)
{
    if (!verify_is_done(e) || !chy_bytes_equal(e->artifact_digest, digest))
        return false;
    f->row.log_detail = chy_arena_printf(
        f->arena,
        "%s a file of this digest was signed, which is less than this signature: log entry "
        "%llu, %.*s with key %.*s",
        by, (unsigned long long)index, CHY_STR_ARG(e->principal), CHY_STR_ARG(e->subject));
    return true;
}

static bool artifact_in_folder(struct verify_file *f, struct chy_bytes digest)
{
    const struct verify *v = f->v;
    for (size_t i = 0; i < v->n_receipts; i++) {
        if (artifact_say(f, &v->receipts[i].entry, v->receipts[i].index, digest,
                         "a receipt proves that"))
            return true;
    }
    return false;
}

static enum chy_err artifact_ask(struct verify_file *f, struct chy_bytes digest,
                                 struct chy_error *err)
{
    const struct chy_log_query query = { .digest = digest, .newest_first = true };
    struct chy_log_page page;
    CHY_TRY(chy_cli_client(f->v->cli, f->v->args, err));
    CHY_TRY(chy_client_call(f->v->cli->client, CHY_OP_LOG_LIST, &query, f->arena, &page, err));
    for (size_t i = 0; i < page.entries.n; i++) {
        const struct chy_log_row *row = &page.entries.p[i];
        struct chy_entry e;
        if (chy_schema_decode(&chy_entry_schema, row->entry, f->arena, &e, NULL) == CHY_OK &&
            artifact_say(f, &e, row->index, digest, "the server says that"))
            break;
    }
    return CHY_OK;
}

static void find_artifact(struct verify_file *f)
{
    struct verify *v = f->v;
    struct chy_bytes digest;
    struct chy_error why;
    if (f->row.log_detail.n == 0)
        f->row.log_detail = CHY_STR("what was signed is not known, so the log cannot be searched");
    enum chy_err r = verify_file_digest(f, &digest, &why);
    if (r != CHY_OK || artifact_in_folder(f, digest))
        return;
    if (v->is_offline || !verify_has_profile(v) || v->server_trouble.n != 0)
        return;
    r = artifact_ask(f, digest, &why);
    if (r != CHY_OK)
        verify_server_give_up(f, &why);
}

/* --- one file --- */

void verify_find_in_log(struct verify_file *f)
{
    if (verify_find_beside(f) || verify_find_in_folder(f))
        return;
    if (!verify_has_known(f))
        find_artifact(f);
    else if (f->v->is_offline || !verify_has_profile(f->v))
        f->row.log_detail = CHY_STR("there is no receipt of it, and no server is asked");
    else
        verify_find_at_server(f);
}
