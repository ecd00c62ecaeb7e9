# SPDX-License-Identifier: MIT
"""Takes the place of a running process towards its peers: root stops it and takes copies of its
sockets (pidfd_getfd), then speaks frames over them as an intruder in it would. The layout of frames
is in src/codec/frame.h, of what is in them in src/codec/schema.h and src/proto/internal.h."""

import contextlib
import ctypes
import os
import select
import signal
import socket
import struct

CALL, REPLY, STATUS, STATUS_REPLY = 16, 17, 19, 20
TOKEN_SIGN, TOKEN_SIGN_REPLY = 32, 33
INSPECT, INSPECT_REPLY = 48, 49
NONE, CERTIFICATE, API_TOKEN, SERVER = range(4)  # enum chy_auth_method
SUPERVISOR_FD = 3
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
SOON = 20  # seconds; never reached by a test that passes

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _syscall(*arguments):
    result = _libc.syscall(*(ctypes.c_long(argument) for argument in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def copy_fd(pid, number):
    pidfd = _syscall(SYS_PIDFD_OPEN, pid, 0)
    try:
        return _syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)


@contextlib.contextmanager
def in_place_of(pid):
    """[its sockets to other processes]; the process is killed at the end, and started anew."""
    os.kill(pid, signal.SIGSTOP)
    links = []
    try:
        for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
            if int(name) == SUPERVISOR_FD or \
                    not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            link = socket.socket(fileno=copy_fd(pid, int(name)))
            if link.family != socket.AF_UNIX:
                link.close()
                continue
            link.settimeout(SOON)
            links.append(link)
        yield links
    finally:
        for link in links:
            link.close()
        os.kill(pid, signal.SIGKILL)


def send(link, kind, number, body):
    """The sockets do not block, as the process that has them wants it."""
    frame = struct.pack(">IHHQ", 12 + len(body), kind, 0, number) + body
    link.settimeout(SOON)
    link.sendall(frame)


def _take(link, size):
    content = b""
    while len(content) < size:
        part = link.recv(size - len(content))
        if not part:
            raise EOFError("the peer closed the connection")
        content += part
    return content


def receive(link):
    """(type, id, body); EOFError when the peer has enough of us."""
    link.settimeout(SOON)
    try:
        length, kind, _, number = struct.unpack(">IHHQ", _take(link, 16))
    except ConnectionError as broken:
        raise EOFError from broken
    return kind, number, _take(link, length - 12)


def receive_any(links):
    readable, _, _ = select.select(links, [], [], SOON)
    assert readable, "no peer says anything"
    return readable[0], *receive(readable[0])


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value


def call(op, request, method=NONE, credential=bytes(32), deadline=0):
    return struct.pack(">I", op) + os.urandom(16) + struct.pack(">q", deadline) + \
        struct.pack(">H", method) + credential + text("192.0.2.1") + text("an intruder") + \
        text(request)


def sign_request(key, digest, hashed_by=2, facts=()):
    """POST /v1/sign of one digest by ecdsa-sha256."""
    item = text(key) + struct.pack(">H", 7) + text(digest) + text(b"") + text(b"") + \
        struct.pack(">H", hashed_by) + b"\0" + _facts(facts)
    return struct.pack(">I", 1) + item + text("") + _facts(()) + struct.pack(">I", 0) + \
        struct.pack(">H", 0)


def _facts(facts):
    return struct.pack(">I", len(facts)) + b"".join(
        text(name) + text(value) + struct.pack(">H", basis) for name, value, basis in facts)


def reply_of(body):
    """(code, text, rest)"""
    code, n = struct.unpack(">II", body[:8])
    return code, body[8:8 + n].decode(), body[8 + n:]


def inspect_reply(made=b"", code=0, why=""):
    return struct.pack(">I", code) + text(why) + text(made) + text(b"") + text("") + \
        struct.pack(">II", 0, 0)
