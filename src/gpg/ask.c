/* SPDX-License-Identifier: MIT */
/* One signature of the server, with what is known of who wants it. */
#include <fcntl.h>

#include "base/limits.h"
#include "gpg/gpg.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/proc.h"
#include "os/user.h"
#include "policy/facts.h"

#define FACTS_MAX 4
#define FACT_FORM "openpgp.form"

uint32_t chy_gpg_time(const struct chy_gpg_key *key)
{
    int64_t now_unix_s = chy_clock_realtime_us() / 1000000;
    bool fits = now_unix_s >= key->openpgp.created_unix_s && now_unix_s <= UINT32_MAX;
    return fits ? (uint32_t)now_unix_s : key->openpgp.created_unix_s;
}

/* --- facts --- */

struct facts {
    struct chy_fact p[FACTS_MAX];
    size_t n;
};

static void add(struct facts *facts, struct chy_gpg *g, const char *name, struct chy_str value)
{
    struct chy_str own = chy_arena_str(&g->arena, value);
    CHY_ASSERT(facts->n < FACTS_MAX);
    if (own.n != 0 && own.n <= CHY_LIMIT_TEXT && chy_text_is_plain(own))
        facts->p[facts->n++] = (struct chy_fact){ .name = chy_str_of(name), .value = own };
}

static void add_path(struct facts *facts, struct chy_gpg *g, const char *name, int proc_fd)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf path;
    chy_buf_init(&path, CHY_LIMIT_PATH);
    if (chy_proc_program_path(proc_fd, &path, NULL) == CHY_OK)
        add(facts, g, name, chy_buf_str(&path));
}

/* What an agent would see; without one we can only declare it. What cannot be learnt is left
 * out. */
static void add_ours(struct facts *facts, struct chy_gpg *g)
{
    CHY_CLEANUP(chy_fd_closep) int self = -1;
    CHY_CLEANUP(chy_fd_closep) int parent = -1;
    char host[CHY_HOST_NAME_BYTES];
    if (chy_client_is_agent(g->client))
        return;
    chy_host_name(host);
    add(facts, g, CHY_FACT_HOST, chy_str_of(host));
    if (chy_dir_open(AT_FDCWD, "/proc/self", &self, NULL) != CHY_OK)
        return;
    add_path(facts, g, CHY_FACT_APPLICATION_PATH, self);
    if (chy_proc_open_parent(self, &parent, NULL) == CHY_OK)
        add_path(facts, g, CHY_FACT_APPLICATION_PARENT, parent);
}

/* --- asking --- */

static struct chy_sign_item item_of(const struct chy_gpg_signing *s)
{
    enum chy_sign_alg alg = chy_openpgp_sign_alg(s->key->key.type, s->hash);
    struct chy_sign_item item = {
        .key = s->key->key.name,
        .algorithm = alg,
        .artifact = s->artifact,
    };
    if (chy_sign_alg_takes_message(alg)) {
        item.message = s->digest;
        item.hashed_by = CHY_HASHED_BY_NOBODY;
        return item;
    }
    item.digest = s->digest;
    item.content = s->content;
    item.hashed_by = CHY_HASHED_BY_CLIENT;
    return item;
}

enum chy_err chy_gpg_ask(struct chy_gpg *g, const struct chy_gpg_signing *signing,
                         struct chy_bytes *ret_signature, struct chy_error *err)
{
    struct facts facts = { .n = 0 };
    const struct chy_signing s = chy_gpg_server(g);
    const struct chy_sign_item item = item_of(signing);
    const struct chy_sign_result *result = NULL;
    struct chy_sign_request request = { .items = { &item, 1 } };
    add(&facts, g, FACT_FORM, chy_str_of(signing->form));
    add_ours(&facts, g);
    request.facts.p = facts.p;
    request.facts.n = facts.n;
    CHY_TRY(chy_signing_ask(&s, &signing->key->key, &request, &result, err));
    if (g->options.is_verbose)
        chy_gpg_say(g, "signed: key %.*s, log entry %llu", CHY_STR_ARG(signing->key->key.name),
                    result->outcome != NULL ? (unsigned long long)result->outcome->index : 0);
    *ret_signature = result->signature;
    return CHY_OK;
}
