/* SPDX-License-Identifier: MIT */
#include "agent_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/socket.h"

struct listening {
    struct fixture f;
    int fd;
};

static void on_accept(void *ctx, uint32_t events)
{
    struct listening *l = ctx;
    char peer[CHY_SOCKET_TEXT_BYTES];
    int fd = -1;
    (void)events;
    if (chy_socket_accept(l->fd, &fd, peer, NULL) == CHY_OK && fd >= 0)
        chy_porter_admit(l->f.porter, fd);
}

/* `ready` is told when whoever connects is answered at once. */
CHY_NORETURN static void serve(int fd, int ready, void (*prepare)(void))
{
    struct listening l = { .fd = fd };
    struct chy_watch *watch = NULL;
    CHY_ASSERT(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    fixture_init(&l.f);
    prepare();
    CHY_ASSERT(chy_watch_new(l.f.loop, fd, EPOLLIN, on_accept, &l, &watch, NULL) == CHY_OK);
    CHY_ASSERT(write(ready, "", 1) == 1);
    CHY_ASSERT(chy_loop_run(l.f.loop, NULL) == CHY_OK);
    _exit(1);
}

void agent_server_start(struct agent_server *s, const char *path, void (*prepare)(void))
{
    char address[128];
    char byte;
    int ready[2];
    CHY_CLEANUP(chy_fd_closep) int fd = -1;
    (void)snprintf(address, sizeof address, "unix:%s", path);
    CHY_ASSERT(chy_socket_listen(chy_str_of(address), 0600, &fd, NULL) == CHY_OK);
    CHY_ASSERT(pipe2(ready, O_CLOEXEC) == 0);
    s->pid = fork();
    CHY_ASSERT(s->pid >= 0);
    if (s->pid == 0)
        serve(fd, ready[1], prepare);
    (void)close(ready[1]);
    CHY_ASSERT(read(ready[0], &byte, 1) == 1); /* its end, where it died before */
    (void)close(ready[0]);
}

void agent_server_end(struct agent_server *s)
{
    CHY_ASSERT(kill(s->pid, SIGKILL) == 0);
    CHY_ASSERT(waitpid(s->pid, NULL, 0) == s->pid);
}
