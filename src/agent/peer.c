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

#define FACTS_MAX     8
#define FACTS_JSON    ((size_t)1500)                  /* names, bases, user, host, hash */
#define COMMAND_BYTES ((size_t)CHY_LIMIT_COMMAND * 2) /* that are read: some of it is taken out */

struct chy_peer {
    atomic_uint refs;
    const struct chy_peer_place *place;
    struct chy_socket_cred cred;
    int proc_fd;    /* -1: it had ended */
    int program_fd; /* -1: not ours to read; closed once it was hashed */
    struct chy_file_stamp program;
    struct chy_buf path;
    struct chy_buf command;
    struct chy_buf parent;
    pthread_mutex_t mutex; /* of what follows, and program_fd */
    bool is_hashed;        /* or cannot be */
    char sha256[CHY_HEX_SIZE(CHY_HASH_BYTES)];
};

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
    if (chy_proc_command(p->proc_fd, &words, NULL) == CHY_OK)
        CHY_IGNORE(chy_command_redact(chy_buf_bytes(&words), &p->command)); /* looked at below */
    keep_plain(&p->command);
}

static void learn_parent(struct chy_peer *p)
{
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    if (chy_proc_open_parent(p->proc_fd, &fd, NULL) == CHY_OK)
        CHY_IGNORE(chy_proc_program_path(fd, &p->parent, NULL)); /* unknown then */
    keep_plain(&p->parent);
}

static void learn(struct chy_peer *p)
{
    if (chy_proc_program_open(p->proc_fd, &p->program_fd, &p->program, NULL) != CHY_OK)
        return;
    CHY_IGNORE(chy_proc_program_path(p->proc_fd, &p->path, NULL)); /* unknown then */
    keep_plain(&p->path);
    learn_command(p);
    learn_parent(p);
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
    p->proc_fd = p->program_fd = -1;
    CHY_ASSERT(pthread_mutex_init(&p->mutex, NULL) == 0);
    chy_buf_init(&p->path, CHY_LIMIT_PATH);
    chy_buf_init(&p->command, CHY_LIMIT_COMMAND);
    chy_buf_init(&p->parent, CHY_LIMIT_PATH);
    CHY_CLEANUP(chy_peer_unrefp) struct chy_peer *owned = p;
    enum chy_err r = chy_proc_open_peer(socket, &p->cred, &p->proc_fd, err);
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
    chy_fd_closep(&p->proc_fd);
    chy_fd_closep(&p->program_fd);
    chy_buf_done(&p->path);
    chy_buf_done(&p->command);
    chy_buf_done(&p->parent);
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
    return FACTS_JSON + 2 * (p->path.n + p->command.n + p->parent.n);
}

struct chy_str chy_peer_path(const struct chy_peer *p)
{
    return chy_buf_str(&p->path);
}

/* --- telling it --- */

static bool is_unchanged(const struct chy_peer *p)
{
    struct chy_file_stamp now;
    return p->proc_fd >= 0 && chy_proc_program(p->proc_fd, &now, NULL) == CHY_OK &&
           now.device == p->program.device && now.inode == p->program.inode;
}

static void hash_program(struct chy_peer *p)
{
    uint8_t digest[CHY_HASH_BYTES];
    CHY_ASSERT(pthread_mutex_lock(&p->mutex) == 0);
    if (!p->is_hashed && p->program_fd >= 0 &&
        chy_programs_sha256(p->place->programs, p->program_fd, digest, NULL) == CHY_OK)
        chy_hex_encode((struct chy_bytes){ digest, sizeof digest }, p->sha256);
    p->is_hashed = true;
    chy_fd_closep(&p->program_fd);
    CHY_ASSERT(pthread_mutex_unlock(&p->mutex) == 0);
}

enum chy_err chy_peer_facts(struct chy_peer *p, enum chy_basis basis, struct chy_arena *arena,
                            struct chy_facts *ret_facts, struct chy_error *err)
{
    hash_program(p);
    bool has_application = is_unchanged(p);
    const char *user = p->cred.uid == geteuid() ? p->place->user : "root";
    const struct chy_fact all[] = {
        { CHY_STR(CHY_FACT_HOST), chy_str_of(p->place->host), basis },
        { CHY_STR(CHY_FACT_USER), chy_str_of(user), basis },
        { CHY_STR(CHY_FACT_APPLICATION_PATH), chy_buf_str(&p->path), basis },
        { CHY_STR(CHY_FACT_APPLICATION_SHA256), chy_str_of(p->sha256), basis },
        { CHY_STR(CHY_FACT_APPLICATION_COMMAND), chy_buf_str(&p->command), basis },
        { CHY_STR(CHY_FACT_APPLICATION_PARENT), chy_buf_str(&p->parent), basis },
    };
    _Static_assert(CHY_ARRAY_LEN(all) <= FACTS_MAX, "room for all");
    struct chy_fact *facts = chy_arena_array(arena, struct chy_fact, CHY_ARRAY_LEN(all));
    size_t n = 0;
    if (facts == NULL)
        return chy_fail(err, CHY_E_NOMEM, "no memory for facts");
    for (size_t i = 0; i < (has_application ? CHY_ARRAY_LEN(all) : 2); i++) {
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
