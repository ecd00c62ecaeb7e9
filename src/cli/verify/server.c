/* SPDX-License-Identifier: MIT */
/* The server, whose answer is believed when it has a good receipt. */
#include "cli/verify/log.h"
#include "os/clock.h"
#include "os/fd.h"

#define RECEIPT_US      INT64_C(10000000) /* until the log's head covers a new entry */
#define RECEIPT_PACE_US INT64_C(100000)

/* The head of the log follows its entries by a moment: what was signed just now has no receipt
 * yet. */
static enum chy_err receipt_ask(struct verify_file *f, uint64_t index, struct chy_log_receipt *ret,
                                struct chy_error *err)
{
    const struct chy_log_index asked = { index };
    int64_t deadline_us = chy_clock_monotonic_us() + RECEIPT_US;
    for (;;) {
        enum chy_err r =
            chy_client_call(f->v->cli->client, CHY_OP_LOG_RECEIPT, &asked, f->arena, ret, err);
        int64_t now_us = chy_clock_monotonic_us();
        if (r != CHY_E_STATE || now_us >= deadline_us)
            return r;
        CHY_IGNORE(chy_fd_wait(-1, 0, now_us + RECEIPT_PACE_US, NULL)); /* it is a pause */
    }
}

static enum chy_err row_take(struct verify_file *f, const struct chy_log_row *row,
                             bool *ret_is_found, struct chy_error *err)
{
    struct verify *v = f->v;
    struct chy_entry e;
    struct verify_receipt receipt;
    struct chy_log_receipt answer;
    if (chy_schema_decode(&chy_entry_schema, row->entry, f->arena, &e, NULL) != CHY_OK ||
        !verify_is_of_file(f, &e))
        return CHY_OK;
    CHY_TRY(receipt_ask(f, row->index, &answer, err));
    CHY_TRY(verify_receipt_prove(v, answer.receipt, f->arena, &receipt, err));
    if (receipt.index != row->index || !verify_is_of_file(f, &receipt.entry))
        return chy_fail(err, CHY_E_INTEGRITY, "the server's receipt is of another entry");
    verify_log_set(f, &receipt.entry, receipt.index, CHY_STR("server"), (struct chy_str){ 0 });
    *ret_is_found = true;
    return CHY_OK;
}

/* Newest first: what is verified was signed lately, as a rule. */
static enum chy_err ask_server(struct verify_file *f, const struct chy_verify_signer *s,
                               bool *ret_is_found, struct chy_error *err)
{
    struct chy_log_query query = { .digest = s->digest, .newest_first = true };
    do {
        struct chy_log_page page;
        CHY_TRY(chy_client_call(f->v->cli->client, CHY_OP_LOG_LIST, &query, f->arena, &page, err));
        for (size_t i = 0; i < page.entries.n && !*ret_is_found; i++)
            CHY_TRY(row_take(f, &page.entries.p[i], ret_is_found, err));
        query.before = page.next;
    } while (!*ret_is_found && query.before != 0);
    return CHY_OK;
}

bool verify_has_profile(const struct verify *v)
{
    const struct chy_settings *s = &v->cli->settings;
    return s->profile.url.n != 0 || s->agent_socket.n != 0;
}

void verify_server_give_up(struct verify_file *f, const struct chy_error *why)
{
    f->row.log_detail = chy_arena_printf(f->arena, "the server cannot be asked: %s", why->text);
    f->v->server_trouble = chy_arena_str(&f->v->cli->arena, f->row.log_detail);
}

void verify_find_at_server(struct verify_file *f)
{
    struct verify *v = f->v;
    struct chy_error why;
    bool is_found = false;
    f->row.log_detail = v->server_trouble;
    if (v->server_trouble.n != 0)
        return;
    enum chy_err r = chy_cli_client(v->cli, v->args, &why);
    const struct chy_verify_signer *s;
    for (size_t i = 0; r == CHY_OK && !is_found && (s = verify_candidate(f, i)) != NULL; i++) {
        if (verify_is_known(s))
            r = ask_server(f, s, &is_found, &why);
    }
    if (r == CHY_E_INTEGRITY)
        verify_say(f, VERIFY_BAD, NULL, "%s", why.text);
    else if (r != CHY_OK)
        verify_server_give_up(f, &why);
    else if (!is_found)
        f->row.log_detail = CHY_STR("the server's log has no such signature");
}
