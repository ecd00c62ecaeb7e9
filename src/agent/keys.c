/* SPDX-License-Identifier: MIT */
/* KEYS. The list of all keys is kept for some seconds and, while it is asked for, made anew before
 * that time is over: a tool that enumerates waits for the server once. */
#include "agent/porter_internal.h"
#include "base/mem.h"
#include "os/clock.h"
#include "policy/glob.h"

#define FRESH_US   INT64_C(5000000)
#define REFRESH_US INT64_C(2500000)  /* asked for at this age: a new one is fetched meanwhile */
#define PAGES_US   INT64_C(60000000) /* pages that follow a first one come from the same list */
#define KNOWN_US   INT64_C(60000000) /* a key's type and public key are taken for what they were */
#define RECENT     32                /* keys that were asked for alone */
#define PAGE_BYTES ((size_t)CHY_LIMIT_FRAME / 2)

struct recent {
    struct chy_key_set *set; /* of one key */
    int64_t since_us;
};

struct keys {
    struct chy_porter *porter;
    struct chy_key_set *all; /* NULL: not fetched yet */
    int64_t since_us;
    bool is_fetching;
    struct keys_request *waiting; /* for it */
    struct recent recent[RECENT];
    size_t next_recent;
};

struct keys_request {
    struct request request;
    struct chy_door_keys asked;
    struct chy_key_set *set;
    struct keys_request *next;
};

enum chy_err keys_new(struct chy_porter *p, struct keys **ret_keys, struct chy_error *err)
{
    struct keys *k = chy_new(struct keys);
    if (k == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for the list of keys");
    k->porter = p;
    *ret_keys = k;
    return CHY_OK;
}

void keys_free(struct keys *k)
{
    if (k == NULL)
        return;
    chy_key_set_free(k->all);
    for (size_t i = 0; i < RECENT; i++)
        chy_key_set_free(k->recent[i].set);
    chy_free(k);
}

/* --- which are shown --- */

/* With patterns: what they name, whatever its type; else all but Ed25519 keys, of which one alone
 * keeps libp11 from loading any other. SSH has no such trouble. */
static bool is_shown(const struct conn *c, const struct chy_held_key *held)
{
    const struct chy_strs *patterns = &c->hello.keys;
    for (size_t i = 0; i < patterns->n; i++) {
        if (chy_glob_match(patterns->p[i], held->door.name))
            return true;
    }
    return patterns->n == 0 && (held->door.type != CHY_KEY_ED25519 || c->ssh != NULL);
}

/* --- pages --- */

struct page {
    const struct chy_key_set *set;
    struct chy_door_key *keys;
    struct chy_door_certificate *authorities;
    bool *has; /* by place in the set */
    size_t n;
    size_t n_authorities;
    size_t bytes;
};

static bool page_init(struct page *page, const struct chy_key_set *set, struct chy_arena *arena)
{
    size_t n = CHY_MIN(set->n, (size_t)CHY_LIMIT_KEY_PAGE);
    size_t authorities = CHY_MIN(set->n_authorities, n * CHY_LIMIT_CHAIN);
    *page = (struct page){
        .set = set,
        .keys = chy_arena_array(arena, struct chy_door_key, n),
        .authorities = chy_arena_array(arena, struct chy_door_certificate, authorities),
        .has = chy_arena_array(arena, bool, set->n_authorities),
    };
    return page->keys != NULL && page->authorities != NULL && page->has != NULL;
}

/* False when the page is full. */
static bool page_add(struct page *page, const struct chy_held_key *held,
                     enum chy_door_naming naming)
{
    size_t bytes = held->bytes;
    for (size_t i = 0; i < held->n; i++) {
        if (!page->has[held->authorities[i]])
            bytes += 2 * page->set->authorities[held->authorities[i]].der.n + CHY_LIMIT_NAME;
    }
    if (page->n == CHY_LIMIT_KEY_PAGE || (page->n != 0 && page->bytes + bytes > PAGE_BYTES))
        return false;
    page->bytes += bytes;
    page->keys[page->n++] = *chy_held_key_named(held, naming);
    for (size_t i = 0; i < held->n; i++) {
        uint32_t place = held->authorities[i];
        if (!page->has[place])
            page->authorities[page->n_authorities++] = page->set->authorities[place];
        page->has[place] = true;
    }
    return true;
}

static void page_send(struct conn *c, uint64_t frame_id, const struct page *page, uint64_t revision,
                      struct chy_str next)
{
    const struct chy_door_key_page answer = {
        .revision = revision,
        .keys = { page->keys, page->n },
        .authorities = { page->authorities, page->n_authorities },
        .next = next,
    };
    conn_reply(c, frame_id, CHY_DOOR_KEY_PAGE, &chy_door_key_page_schema, &answer);
}

static void answer_all(struct conn *c, uint64_t frame_id, const struct chy_door_keys *asked,
                       const struct chy_key_set *set, struct chy_arena *arena)
{
    struct page page;
    struct chy_error err;
    struct chy_str next = { 0 };
    if (asked->after.n == 0 && asked->revision == set->revision) {
        const struct chy_door_key_page same = { .revision = set->revision, .is_unchanged = true };
        conn_reply(c, frame_id, CHY_DOOR_KEY_PAGE, &chy_door_key_page_schema, &same);
        return;
    }
    if (!page_init(&page, set, arena)) {
        CHY_IGNORE(chy_fail(&err, CHY_E_NOMEM, "no memory for a page of keys"));
        conn_fail(c, frame_id, &err);
        return;
    }
    for (size_t i = chy_key_set_after(set, asked->after); i < set->n && next.n == 0; i++) {
        if (is_shown(c, &set->keys[i]) && !page_add(&page, &set->keys[i], c->hello.naming))
            next = page.keys[page.n - 1].name;
    }
    page_send(c, frame_id, &page, set->revision, next);
}

static void answer_one(struct conn *c, uint64_t frame_id, const struct chy_door_keys *asked,
                       const struct chy_key_set *set, struct chy_arena *arena)
{
    struct page page;
    struct chy_error err;
    const struct chy_held_key *held = c->hello.naming == CHY_DOOR_NAMING_SIGNUM
                                          ? chy_key_set_find_signum(set, asked->label, asked->id)
                                          : chy_key_set_find(set, asked->label, asked->id);
    if (!page_init(&page, set, arena)) {
        CHY_IGNORE(chy_fail(&err, CHY_E_NOMEM, "no memory for a key"));
        conn_fail(c, frame_id, &err);
        return;
    }
    if (held != NULL && is_shown(c, held))
        CHY_IGNORE(page_add(&page, held, c->hello.naming)); /* it is the first */
    page_send(c, frame_id, &page, 0, (struct chy_str){ 0 });
}

/* --- one key --- */

void keys_remember(struct keys *k, struct chy_key_set *set)
{
    struct recent *r = &k->recent[k->next_recent];
    if (set == NULL || set->n != 1) {
        chy_key_set_free(set);
        return;
    }
    k->next_recent = (k->next_recent + 1) % RECENT;
    chy_key_set_free(r->set);
    *r = (struct recent){ set, chy_clock_monotonic_us() };
}

/* The newest that fits and is not older than that. */
static const struct chy_key_set *recent_find(const struct keys *k, struct chy_str label,
                                             struct chy_bytes id, int64_t age_us)
{
    const struct recent *found = NULL;
    int64_t oldest_us = chy_clock_monotonic_us() - age_us;
    for (size_t i = 0; i < RECENT; i++) {
        const struct recent *r = &k->recent[i];
        if (r->set != NULL && r->since_us >= oldest_us &&
            (found == NULL || r->since_us > found->since_us) &&
            chy_key_set_find(r->set, label, id) != NULL)
            found = r;
    }
    return found != NULL ? found->set : NULL;
}

static void one_run(struct chy_work *first, struct chy_worker *w)
{
    struct keys_request *q = (struct keys_request *)first;
    struct chy_error err;
    enum chy_err r = chy_key_set_fetch_one(w, q->asked.label, q->asked.id, &q->set, &err);
    chy_worker_finish(w, first, r, &err);
}

static void one_done(struct chy_work *work)
{
    struct keys_request *q = (struct keys_request *)work;
    if (work->code != CHY_OK) {
        request_fail(q);
        return;
    }
    answer_one(q->request.conn, q->request.frame_id, &q->asked, q->set, &q->request.arena);
    keys_remember(q->request.conn->porter->keys, q->set);
    request_free(q);
}

static const struct chy_work_kind one_kind = { .run = one_run, .done = one_done };

/* --- all keys --- */

struct fetch {
    struct chy_work work;
    struct keys *keys;
    struct chy_key_set *set;
};

static void fetch_run(struct chy_work *first, struct chy_worker *w)
{
    struct fetch *f = (struct fetch *)first;
    struct chy_error err;
    enum chy_err r = chy_key_set_fetch(w, &f->set, &err);
    chy_worker_finish(w, first, r, &err);
}

static bool is_single(const struct chy_door_keys *asked)
{
    return asked->label.n != 0 || asked->id.n != 0;
}

static void answer_waiting(struct keys *k, const struct chy_work *work)
{
    struct keys_request *q = CHY_TAKE(k->waiting);
    while (q != NULL) {
        struct keys_request *next = q->next;
        if (work->code == CHY_OK) {
            struct conn *c = q->request.conn;
            (is_single(&q->asked) ? answer_one : answer_all)(c, q->request.frame_id, &q->asked,
                                                             k->all, &q->request.arena);
            request_free(q);
        } else {
            q->request.work.error = work->error;
            q->request.work.mend = work->mend;
            chy_copy(q->request.work.request_id, work->request_id, sizeof work->request_id);
            request_fail(q);
        }
        q = next;
    }
}

static void fetch_done(struct chy_work *work)
{
    struct fetch *f = (struct fetch *)work;
    struct keys *k = f->keys;
    k->is_fetching = false;
    if (work->code == CHY_OK) {
        chy_key_set_free(k->all);
        k->all = f->set;
        k->since_us = chy_clock_monotonic_us();
        if (f->set->left_out != 0 || f->set->is_cut)
            chy_log(k->porter->options.log, CHY_LOG_WARNING, "agent.keys_left_out",
                    CHY_L_U64("count", f->set->left_out), CHY_L_BOOL("too_many", f->set->is_cut));
    }
    answer_waiting(k, work);
    chy_free(f);
}

static const struct chy_work_kind fetch_kind = { .run = fetch_run, .done = fetch_done };

static enum chy_err fetch_start(struct keys *k, struct chy_error *err)
{
    if (k->is_fetching)
        return CHY_OK;
    CHY_CLEANUP(chy_freep) struct fetch *f = chy_new(struct fetch);
    if (f == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory to ask for keys");
    f->keys = k;
    f->work.kind = &fetch_kind;
    f->work.deadline_us = chy_clock_monotonic_us() + PORTER_WAIT_US;
    CHY_TRY(chy_workers_add(k->porter->options.workers, &f->work, err));
    CHY_IGNORE(CHY_TAKE(f)); /* the workers' until it is done */
    k->is_fetching = true;
    return CHY_OK;
}

/* --- being asked --- */

static bool is_younger(const struct keys *k, int64_t age_us)
{
    return k->all != NULL && chy_clock_monotonic_us() - k->since_us < age_us;
}

const struct chy_held_key *keys_known(const struct keys *k, struct chy_str name)
{
    const struct chy_bytes any = { 0 };
    const struct chy_key_set *one = recent_find(k, name, any, KNOWN_US);
    if (one != NULL)
        return chy_key_set_find(one, name, any);
    return is_younger(k, KNOWN_US) ? chy_key_set_find(k->all, name, any) : NULL;
}

/* The server knows no thumbprints: one key is then looked for among all. */
static bool is_by_thumbprint(const struct conn *c)
{
    return c->hello.naming == CHY_DOOR_NAMING_SIGNUM;
}

/* What can be answered from here; false: the server must be asked. */
static bool answer_now(struct conn *c, uint64_t frame_id, const struct chy_door_keys *asked)
{
    struct keys *k = c->porter->keys;
    bool is_one = is_single(asked);
    bool is_fresh = is_younger(k, asked->after.n != 0 && !is_one ? PAGES_US : FRESH_US);
    if (is_fresh && !is_younger(k, REFRESH_US))
        CHY_IGNORE(fetch_start(k, NULL)); /* the next one asks again */
    if (is_one) {
        const struct chy_key_set *one = is_fresh ? k->all : NULL;
        if (one == NULL && !is_by_thumbprint(c))
            one = recent_find(k, asked->label, asked->id, FRESH_US);
        if (one != NULL)
            answer_one(c, frame_id, asked, one, &c->porter->scratch);
        return one != NULL;
    }
    if (is_fresh)
        answer_all(c, frame_id, asked, k->all, &c->porter->scratch);
    return is_fresh;
}

void on_keys(struct conn *c, uint64_t frame_id, const void *value)
{
    const struct chy_door_keys *asked = value;
    struct keys *k = c->porter->keys;
    struct keys_request *q = NULL;
    struct chy_error err;
    bool is_one = is_single(asked) && !is_by_thumbprint(c);
    if (answer_now(c, frame_id, asked))
        return;
    enum chy_err r = request_new(c, frame_id, sizeof *q, &one_kind, &q, &err);
    if (r == CHY_OK)
        r = chy_schema_copy(&chy_door_keys_schema, asked, &q->request.arena, &q->asked, &err);
    if (r == CHY_OK && !is_one)
        r = fetch_start(k, &err);
    if (r != CHY_OK) {
        conn_fail(c, frame_id, &err);
        request_free(q);
    } else if (is_one) {
        request_send(q);
    } else {
        q->next = k->waiting;
        k->waiting = q;
    }
}
