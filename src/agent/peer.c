/* SPDX-License-Identifier: MIT */
#include "agent/peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "agent/redact.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "os/fd.h"
#include "os/proc.h"
#include "os/user.h"
#include "policy/facts.h"

/* The rows of chy_peer_facts() are of the machine, then of the program, then of its parent. */
enum {
    ROWS_OF_PLACE = 2,
    ROWS_OF_PROGRAM = 5
};
#define FACTS_JSON    ((size_t)1700)                  /* names, bases, user, host, hashes */
#define COMMAND_BYTES ((size_t)CHY_LIMIT_COMMAND * 2) /* that are read: some of it is taken out */

/* A process, and the program that it ran when it was looked at. */
struct seen {
    int proc_fd;    /* -1: it had ended */
    int program_fd; /* -1: not ours to read; closed once it was hashed */
    struct chy_file_stamp program;
    struct chy_buf path;
    char sha256[CHY_HEX_SIZE(CHY_HASH_BYTES)]; /* "": not hashed yet, or cannot be */
};

struct chy_peer {
    atomic_uint refs;
    const struct chy_peer_place *place;
    struct chy_socket_cred cred;
    struct seen self;
    struct seen parent;
    struct chy_buf command;
    pthread_mutex_t mutex; /* of both hashes, and program_fd */
};

static void seen_init(struct seen *s)
{
    s->proc_fd = s->program_fd = -1;
    chy_buf_init(&s->path, CHY_LIMIT_PATH);
}

static void seen_done(struct seen *s)
{
    chy_fd_closep(&s->proc_fd);
    chy_fd_closep(&s->program_fd);
    chy_buf_done(&s->path);
}

/* --- taking it --- */

/* A text that no fact may have is not known. */
static void keep_plain(struct chy_buf *b)
{
    if (chy_buf_check(b, NULL) != CHY_OK || !chy_text_is_plain(chy_buf_str(b)))
        chy_buf_clear(b);
}

static void learn_command(struct chy_peer *p)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf words;
    chy_buf_init(&words, COMMAND_BYTES);
    if (chy_proc_command(p->self.proc_fd, &words, NULL) == CHY_OK)
        CHY_IGNORE(chy_command_redact(chy_buf_bytes(&words), &p->command)); /* looked at below */
    keep_plain(&p->command);
}

/* False: its program cannot be looked at, and nothing is said of it. */
static bool learn_program(struct seen *s)
{
    if (chy_proc_program_open(s->proc_fd, &s->program_fd, &s->program, NULL) != CHY_OK)
        return false;
    CHY_IGNORE(chy_proc_program_path(s->proc_fd, &s->path, NULL)); /* unknown then */
    keep_plain(&s->path);
    return true;
}

static void learn(struct chy_peer *p)
{
    if (!learn_program(&p->self))
        return;
    learn_command(p);
    if (chy_proc_open_parent(p->self.proc_fd, &p->parent.proc_fd, NULL) == CHY_OK)
        CHY_IGNORE(learn_program(&p->parent)); /* unknown then */
}

void chy_peer_place_init(struct chy_peer_place *place, struct chy_programs *programs)
{
    place->programs = programs;
    place->user[0] = '\0';
    CHY_IGNORE(chy_user_name(geteuid(), place->user, NULL)); /* unknown then */
    if (!chy_text_is_plain(chy_str_of(place->user)))
        place->user[0] = '\0';
    chy_host_name(place->host);
}

enum chy_err chy_peer_new(int socket, const struct chy_peer_place *place,
                          struct chy_peer **ret_peer, struct chy_error *err)
{
    struct chy_peer *p = chy_new(struct chy_peer);
    if (p == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for what is known of a peer");
    atomic_init(&p->refs, 1);
    p->place = place;
    CHY_ASSERT(pthread_mutex_init(&p->mutex, NULL) == 0);
    seen_init(&p->self);
    seen_init(&p->parent);
    chy_buf_init(&p->command, CHY_LIMIT_COMMAND);
    CHY_CLEANUP(chy_peer_unrefp) struct chy_peer *owned = p;
    enum chy_err r = chy_proc_open_peer(socket, &p->cred, &p->self.proc_fd, err);
    if (r == CHY_E_NETWORK || r == CHY_E_NOMEM)
        return r;
    if (r == CHY_OK)
        learn(p);
    *ret_peer = CHY_TAKE(owned);
    return CHY_OK;
}

struct chy_peer *chy_peer_ref(struct chy_peer *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void chy_peer_unref(struct chy_peer *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    seen_done(&p->self);
    seen_done(&p->parent);
    chy_buf_done(&p->command);
    CHY_ASSERT(pthread_mutex_destroy(&p->mutex) == 0);
    chy_free(p);
}

void chy_peer_unrefp(struct chy_peer **p)
{
    chy_peer_unref(*p);
}

bool chy_peer_is_ours(const struct chy_peer *p)
{
    return p->cred.uid == geteuid() || p->cred.uid == 0;
}

size_t chy_peer_bytes(const struct chy_peer *p)
{
    /* A character of a plain text becomes two at most: it is escaped by a backslash. */
    return FACTS_JSON + 2 * (p->self.path.n + p->command.n + p->parent.path.n);
}

struct chy_str chy_peer_path(const struct chy_peer *p)
{
    return chy_buf_str(&p->self.path);
}

/* --- telling it --- */

static bool is_unchanged(const struct seen *s)
{
    struct chy_file_stamp now;
    return s->proc_fd >= 0 && chy_proc_program(s->proc_fd, &now, NULL) == CHY_OK &&
           now.device == s->program.device && now.inode == s->program.inode;
}

static void hash_program(struct chy_peer *p, struct seen *s)
{
    uint8_t digest[CHY_HASH_BYTES];
    CHY_ASSERT(pthread_mutex_lock(&p->mutex) == 0);
    if (s->program_fd >= 0 &&
        chy_programs_sha256(p->place->programs, s->program_fd, digest, NULL) == CHY_OK)
        chy_hex_encode((struct chy_bytes){ digest, sizeof digest }, s->sha256);
    chy_fd_closep(&s->program_fd);
    CHY_ASSERT(pthread_mutex_unlock(&p->mutex) == 0);
}

enum chy_err chy_peer_facts(struct chy_peer *p, enum chy_basis basis, struct chy_arena *arena,
                            struct chy_facts *ret_facts, struct chy_error *err)
{
    hash_program(p, &p->self);
    hash_program(p, &p->parent);
    bool has_application = is_unchanged(&p->self);
    bool has_parent = has_application && is_unchanged(&p->parent);
    const char *user = p->cred.uid == geteuid() ? p->place->user : "root";
    const struct chy_fact all[] = {
        { CHY_STR(CHY_FACT_HOST), chy_str_of(p->place->host), basis },
        { CHY_STR(CHY_FACT_USER), chy_str_of(user), basis },
        { CHY_STR(CHY_FACT_APPLICATION_PATH), chy_buf_str(&p->self.path), basis },
        { CHY_STR(CHY_FACT_APPLICATION_SHA256), chy_str_of(p->self.sha256), basis },
        { CHY_STR(CHY_FACT_APPLICATION_COMMAND), chy_buf_str(&p->command), basis },
        { CHY_STR(CHY_FACT_APPLICATION_PARENT), chy_buf_str(&p->parent.path), basis },
        { CHY_STR(CHY_FACT_APPLICATION_PARENT_SHA256), chy_str_of(p->parent.sha256), basis },
    };
    struct chy_fact *facts = chy_arena_array(arena, struct chy_fact, CHY_ARRAY_LEN(all));
    size_t known = has_parent        ? CHY_ARRAY_LEN(all)
                   : has_application ? ROWS_OF_PROGRAM
                                     : ROWS_OF_PLACE;
    size_t n = 0;
    if (facts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    for (size_t i = 0; i < known; i++) {
        if (all[i].value.n == 0)
            continue;
        facts[n] = all[i];
        facts[n].value = chy_arena_str(arena, all[i].value);
        if (facts[n++].value.p == NULL)
            return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    }
    *ret_facts = (struct chy_facts){ facts, n };
    return CHY_OK;
}
