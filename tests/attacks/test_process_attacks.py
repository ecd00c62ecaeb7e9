# SPDX-License-Identifier: MIT
"""An intruder inside each process of a running server: what the kernel lets it do, and what its
peers believe. docs/security.md says the same in words; a row there that is not true fails here."""

import hashlib
import importlib.util
import os
import pathlib
import platform
import random
import socket
import struct
import subprocess
import threading
import time

import pytest

import process_peer as peer
from process_inject import Intruder, Killed

_spec = importlib.util.spec_from_file_location(
    "system_conftest", pathlib.Path(__file__).resolve().parent.parent / "system/conftest.py")
_system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_system)
folder, make_server, server = _system.folder, _system.make_server, _system.server
admin, signing = _system.admin, _system.signing

EACCES, EISDIR = -13, -21
ROLES = ("front", "query", "inspect", "signer", "token")
AF_INET, SOCK_STREAM = 2, 1
PROT_READ_EXEC, MAP_PRIVATE_ANONYMOUS = 5, 0x22
SIGCHLD = 17
CLONE_NEWUSER = 0x10000000
F_SETOWN, F_SETSIG = 8, 10
MSG_FASTOPEN = 0x20000000
SHUT_RDWR = 2
PTRACE_ATTACH = 16
OP_HELLO, OP_ENROLL, OP_RENEW, OP_SIGN, OP_USERS_CREATE = 1, 2, 3, 5, 8
DENIED, UNAUTHENTICATED, MALFORMED = 8, 10, 3

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or platform.machine() != "x86_64",
    reason="puts system calls into running processes: root, x86-64")


@pytest.fixture(autouse=True)
def real_sandbox(server):
    if server.is_loose:
        pytest.skip("a loose build has no seccomp filter")


def result_of(pid, name, *arguments):
    """-errno or a value; the name of the signal that killed it."""
    try:
        with Intruder(pid) as intruder:
            return intruder.call(name, *arguments)
    except Killed as killed:
        return str(killed)


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def fds_of(pid):
    return {int(name): os.readlink(f"/proc/{pid}/fd/{name}")
            for name in os.listdir(f"/proc/{pid}/fd")}


# --- what each process is and holds ---


def test_each_process_has_a_user_of_its_own_and_no_rights(server):
    users = {}
    for pid, role in server.processes().items():
        status = status_of(pid)
        user = status["Uid"].split()[0]
        assert user not in ("0", *(u for r, u in users.items() if r != role)), role
        users[role] = user
        for name in ("Uid", "Gid"):
            assert len(set(status[name].split())) == 1, f"{role}: {name} {status[name]}"
        assert status["Groups"] == "", role
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, f"{role}: {name} {status[name]}"
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), role
        assert status["Umask"] == ("0027" if role == "signer" else "0077"), role
    assert sorted(users) == sorted(ROLES)


def test_the_supervisor_keeps_four_capabilities(server):
    status = status_of(server.process.pid)
    kept = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7  # DAC_READ_SEARCH, KILL, SETGID, SETUID
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == kept, name
    assert int(status["CapInh"], 16) == 0 and status["NoNewPrivs"] == "1"


def test_no_process_leaves_a_core_or_lets_its_user_read_its_memory(server):
    for pid in (server.process.pid, *server.processes()):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        # The files of a process that is not dumpable belong to root.
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0


def test_a_process_that_crashes_leaves_no_core(server, signing):
    """Row 1: memory that goes to a file is memory that somebody finds. The kernel would put it
    where the pattern says, or in the process's own folder."""
    signing.sign()
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|"):
        pytest.skip("the kernel gives cores to a program")
    places = {server.data, *server.data.rglob("*/"), pathlib.Path("/"), pathlib.Path.cwd()}
    if "/" in pattern:
        places.add(pathlib.Path(pattern).parent)
    before = {path for place in places if place.is_dir() for path in place.glob("*core*")}
    for role in ROLES:
        pid = server.pid_of(role)
        places.add(pathlib.Path(f"/proc/{pid}/cwd").resolve())
        os.kill(pid, 11)
        wait_for(server, role, {pid})
    after = {path for place in places if place.is_dir() for path in place.glob("*core*")}
    assert not [path for path in after - before if path.is_file()]
    server.wait_ready()


def test_no_process_holds_a_descriptor_that_it_does_not_need(server, signing):
    signing.sign()
    store = str(server.data / "store/")
    anchor = str(server.data / "anchor/")
    for pid, role in server.processes().items():
        held = fds_of(pid)
        assert held[0] == held[1] == "/dev/null", role
        files = {path for number, path in held.items() if path.startswith("/") and number > 1}
        if role == "token":
            files = {path for path in files if not path.startswith("/memfd:pkcs11-module")}
        allowed = {"signer": (store, anchor), "query": (store, anchor),
                   "token": (str(server.data / "tokens/"),)}.get(role, ())
        assert all(path.startswith(allowed or ("\0",)) for path in files), f"{role} holds {files}"
        if role == "query":
            for number, path in held.items():
                if path.startswith(store):
                    flags = pathlib.Path(f"/proc/{pid}/fdinfo/{number}").read_text()
                    mode = next(line for line in flags.splitlines() if line.startswith("flags:"))
                    assert int(mode.split()[1], 8) & 3 == os.O_RDONLY, f"query writes {path}"
        sockets = sum(path.startswith("socket:") for path in held.values())
        # to the supervisor; peers of docs/architecture.md; of front the listener
        peers = {"front": 2 + 1, "query": 2, "inspect": 2, "token": 1,
                 "signer": 2 + sum(r == "token" for r in server.processes().values())}[role]
        assert sockets == 1 + peers, f"{role} holds {held}"


# row 19
def test_neither_arguments_nor_environment_nor_log_tell_a_secret(server, signing):
    secrets = [path.read_text().strip() for path in (server.data / "secrets").iterdir()]
    secrets.append(server.made["enrolment_code"].rsplit(".", 1)[-1])
    secrets.append(signing.json("users", "add-token", "admin", "--scope", "sign")["token"])
    for pid, role in server.processes().items():
        arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        assert arguments == b"chanceryd\0@" + role.encode() + b"\0"
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        names = {entry.split(b"=")[0] for entry in environment if entry}
        assert names <= {b"SOFTHSM2_CONF", b"GLIBC_TUNABLES"}, role
    log = server.log()
    for secret in secrets:
        assert len(secret) >= 8 and secret not in log


# --- what the kernel lets an intruder do ---


def refused_files(server):
    data = str(server.data).encode()
    every = {b"/etc/passwd", data + b"/chanceryd.yaml", data + b"/secrets/soft.pin",
             data + b"/tls/key.pem", b"/proc/%d/mem" % server.process.pid, b"/proc/self/mem", b"/"}
    store, token = data + b"/store/chancery.db", data + b"/tokens/soft/softhsm2.conf"
    return {"front": every | {store, token}, "inspect": every | {store, token},
            "query": every | {token}, "signer": every | {token}, "token": every | {store}}


# row 17
def test_no_process_opens_a_file_that_is_not_its_own(server):
    for role, paths in refused_files(server).items():
        # Who may write files hears from the kernel itself that "/" is a folder.
        no = (EACCES, EISDIR) if role in ("signer", "token") else (EACCES,)
        with Intruder(server.pid_of(role)) as intruder:
            for path in sorted(paths):
                assert intruder.call("openat", -100, path, os.O_RDONLY) in no, (role, path)
                assert intruder.call("openat", -100, path, os.O_RDWR) in no, (role, path)
            new = str(server.data / "store/planted").encode()
            if role != "signer":
                flags = os.O_WRONLY | os.O_CREAT
                assert intruder.call("openat", -100, new, flags, 0o600) == EACCES
    with Intruder(server.pid_of("query")) as intruder:
        store = str(server.data / "store/chancery.db").encode()
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
            assert intruder.call("openat", -100, store, flags) == EACCES


def deadly(server):
    """Calls after which there is no process: each is tried where it may not be made."""
    parent = server.process.pid
    return [
        ("socket", (AF_INET, SOCK_STREAM, 0), ()),
        ("execve", (b"/bin/sh", 0, 0), ()),
        ("clone", (SIGCHLD, 0, 0, 0, 0), ("inspect",)),  # it has a reader for every document
        ("ptrace", (PTRACE_ATTACH, parent, 0, 0), ()),
        ("mmap", (0, 4096, PROT_READ_EXEC, MAP_PRIVATE_ANONYMOUS, -1, 0), ("token",)),  # a module
        ("tgkill", (parent, parent, 9), ("inspect",)),
        ("fcntl", (3, F_SETOWN, parent), ()),
    ]


def deadly_to_all(server):
    """What no process's list has, and is tried in one of them; in all by `make full`, since each
    death is a start."""
    parent = server.process.pid
    local = struct.pack("=HHI8x", AF_INET, 0x5000, 0x0100007f)
    return [
        ("connect", (3, local, 16)),
        ("mprotect", (0, 4096, PROT_READ_EXEC)),
        ("process_vm_readv", (parent, 0, 0, 0, 0, 0)),
        ("symlink", (b"/etc/shadow", b"planted")),
        ("mknod", (b"planted", 0o60600, 0x0800)),  # a disk
        ("pidfd_getfd", (3, 0, 0)),
        ("setuid", (0,)),
        ("bind", (3, local, 16)),
        ("chroot", (b"/",)),
        ("mount", (b"/", b"/", b"", 0, 0)),
        ("unshare", (CLONE_NEWUSER,)),
        ("bpf", (0, 0, 0)),
        ("io_uring_setup", (1, 0)),
        ("userfaultfd", (0,)),
        ("keyctl", (0, 0, 0, 0, 0)),
        ("init_module", (0, 0, 0)),
    ]


def deadly_to(server, role):
    """(name, arguments) of what `role` does not survive."""
    mine = [(name, arguments) for name, arguments, allowed in deadly(server) if role not in allowed]
    for at, (name, arguments) in enumerate(deadly_to_all(server)):
        is_its_turn = "CHANCERY_FULL" in os.environ or ROLES[at % len(ROLES)] == role
        if is_its_turn and (name, role) != ("mprotect", "token"):  # it loads a module
            mine.append((name, arguments))
    return mine


def is_at_work(pid):
    """Past the start: its sandbox is entered."""
    try:
        return status_of(pid)["Seccomp"] == "2"
    except (OSError, KeyError):
        return False  # it has ended meanwhile


def wait_for(server, role, but):
    deadline = time.monotonic() + _system.SOON
    while time.monotonic() < deadline:
        for pid, name in server.processes().items():
            if name == role and pid not in but and is_at_work(pid):
                return pid
        time.sleep(0.02)
    raise AssertionError(f"{role} did not come back")


def attack(server, role, results):
    used = set()
    for name, arguments in deadly_to(server, role):
        pid = wait_for(server, role, used)
        used.add(pid)
        results.append((role, name, result_of(pid, name, *arguments)))


@pytest.mark.parametrize("role", ROLES)
# row 17
def test_what_no_process_needs_kills_it(server, role):
    results = []
    attack(server, role, results)
    assert len(results) >= 5 + 3
    assert [row for row in results if row[2] != "SIGSYS"] == []
    server.wait_ready()


def test_inspect_may_signal_but_the_kernel_knows_whom(server):
    for target in (server.process.pid, server.pid_of("signer"), server.pid_of("front")):
        assert result_of(server.pid_of("inspect"), "kill", target, 9) == -1  # EPERM
    assert server.process.poll() is None


def test_front_cannot_call_out_through_its_listener(server):
    """Shut down, a listener is a fresh socket, and MSG_FASTOPEN connects while it sends."""
    pid = server.pid_of("front")
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1)
        port = trap.getsockname()[1]
        address = struct.pack("<H", AF_INET) + \
            struct.pack(">H4s8x", port, socket.inet_aton("127.0.0.1"))
        listener = next(number for number, path in fds_of(pid).items() if path.startswith("socket:")
                        and is_listener(pid, number))
        with pytest.raises(Killed, match="SIGSYS"), Intruder(pid) as intruder:
            assert intruder.call("shutdown", listener, SHUT_RDWR) == 0
            intruder.call("sendto", listener, b"stolen", 6, MSG_FASTOPEN, address, 16)
        with pytest.raises(TimeoutError):
            trap.accept()


def is_listener(pid, number):
    with socket.socket(fileno=peer.copy_fd(pid, number)) as copy:
        return copy.family == socket.AF_INET and \
            copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


# --- what peers believe ---


def signer_link(links):
    """Of front's two: the one that answers for a write."""
    answers = []
    for link in links:
        peer.send(link, peer.CALL, 1, peer.call(OP_SIGN, b""))
        while True:
            kind, _, body = peer.receive(link)
            if kind == peer.REPLY:
                break
        answers.append(peer.reply_of(body))
        if "is not query's" not in answers[-1][1]:
            return link
    raise AssertionError(answers)


def ask(link, op, request, number=7, **options):
    peer.send(link, peer.CALL, number, peer.call(op, request, **options))
    while True:
        kind, answered, body = peer.receive(link)
        if kind == peer.REPLY and answered == number:
            return peer.reply_of(body)


def signatures(client):
    return [row for row in client.json("log", "list")["entries"]
            if row["kind"] == "sign-outcome"]


# row 18
def test_front_cannot_be_anybody_without_a_credential(server, signing):
    pid = server.pid_of("front")
    signer = server.pid_of("signer")
    request = peer.sign_request("k", bytes(32))
    with peer.in_place_of(pid) as links:
        link = signer_link(links)
        for method in (peer.NONE, peer.CERTIFICATE, peer.API_TOKEN, peer.SERVER):
            for credential in (bytes(32), b"\xff" * 32, b"@signer".ljust(32, b"\0")):
                code, why, rest = ask(link, OP_SIGN, request, method=method, credential=credential)
                assert code == UNAUTHENTICATED, (method, code, why)
                assert b"@signer" not in rest
        assert ask(link, OP_USERS_CREATE, b"", method=peer.SERVER)[0] != 0
        assert ask(link, OP_RENEW, peer.text("x"), method=peer.NONE)[0] == UNAUTHENTICATED
        assert ask(link, OP_ENROLL, peer.text("x") + peer.text("x"))[0] == UNAUTHENTICATED
    wait_for(server, "front", {pid})
    assert server.pid_of("signer") == signer
    server.wait_ready()
    assert signatures(signing) == []


def certificate_hash(client):
    """The credential that front would hand over for this client."""
    pem = next((client.home / ".config/chancery").glob("*.pem")).read_text()
    der = subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem.encode(),
                         capture_output=True, check=True).stdout
    return hashlib.sha256(der).digest()


# row 18
def test_front_with_a_callers_credential_gets_what_policy_allows_and_no_more(server, signing):
    signing.policy("version: 1\nrules:\n  - name: nobody\n    effect: deny\n"
                   "  - name: everybody\n    effect: allow\n")
    credential = {"method": peer.CERTIFICATE, "credential": certificate_hash(signing)}
    pid = server.pid_of("front")
    signer = server.pid_of("signer")
    digest = bytes(range(32))
    with peer.in_place_of(pid) as links:
        link = signer_link(links)
        assert ask(link, OP_SIGN, peer.sign_request("k", digest), **credential)[0] == DENIED
        for basis in (1, 2, 3, 0xffff):  # agent's and server's facts, and what there is not
            facts = [("host.name", "build", basis)]
            assert ask(link, OP_SIGN, peer.sign_request("k", digest, facts=facts),
                       **credential)[0] == MALFORMED, basis
        assert ask(link, OP_SIGN, peer.sign_request("k", digest, hashed_by=4),
                   **credential)[0] == MALFORMED
        for key in ("@log", "@client-ca", "@development-ca", "log", "client-ca", "\0", "../k",
                    "k" * 300):
            code = ask(link, OP_SIGN, peer.sign_request(key, digest), **credential)[0]
            assert code not in (0, DENIED), key
        for deadline, answer in ((-2 ** 63, MALFORMED), (-1, MALFORMED), (1, DENIED),
                                 (2 ** 63 - 1, DENIED)):
            assert ask(link, OP_SIGN, peer.sign_request("k", digest), deadline=deadline,
                       **credential)[0] == answer, deadline
        for op in (0, 36, 10000, 0xffffffff, 0x80000000):
            assert ask(link, op, b"", **credential)[0] != 0
        for number in (9, 9, 9):  # one id for several calls at once: each is answered
            peer.send(link, peer.CALL, number, peer.call(OP_SIGN, peer.sign_request("k", digest),
                                                         **credential))
        assert [peer.receive(link)[1] for _ in range(3)] == [9, 9, 9]
        mutate_calls(link, credential)
    wait_for(server, "front", {pid})
    assert server.pid_of("signer") == signer, server.log()
    server.wait_ready()
    assert signatures(signing) == []


def mutate_calls(link, credential):
    """Calls with bytes changed, cut and repeated; every one is answered, none is signed."""
    chance = random.Random(20)
    plain = peer.call(OP_SIGN, peer.sign_request("k", bytes(32), facts=[("host.name", "h", 0)]),
                      **credential)
    for number in range(100, 1100):
        body = bytearray(plain)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(body))
            what = chance.randrange(4)
            if what == 0:
                body[at] = chance.choice((0, 1, 0x7f, 0x80, 0xff))
            elif what == 1:
                body[at] ^= 1 << chance.randrange(8)
            elif what == 2 and len(body) > 4:
                del body[at:at + chance.randrange(1, 5)]
            else:
                body[at:at] = bytes(body[at:at + chance.randrange(1, 40)])
            if not body:
                body = bytearray(b"\0")
        peer.send(link, peer.CALL, number, bytes(body))
        kind, answered, reply = peer.receive(link)
        assert (kind, answered) == (peer.REPLY, number)
        code, _, _ = peer.reply_of(reply)
        assert code != 0 or struct.unpack(">I", body[:4])[0] != OP_SIGN, bytes(body)


@pytest.mark.parametrize("kind, body", [
    (1, b""), (2, b""), (4, b"\0"), (peer.REPLY, b"\0" * 40), (18, b"\0" * 4),
    (peer.TOKEN_SIGN, b""),
    (peer.TOKEN_SIGN_REPLY, b""), (peer.INSPECT_REPLY, b"\0" * 40), (0, b""), (0xffff, b"x"),
])
# row 18
def test_a_frame_that_front_has_no_business_to_send_ends_the_connection(server, kind, body):
    pid = server.pid_of("front")
    others = {role: server.pid_of(role) for role in ("signer", "query")}
    with peer.in_place_of(pid) as links:
        for link in links:
            peer.send(link, kind, 1, body)
            with pytest.raises(EOFError):
                while True:
                    peer.receive(link)
    wait_for(server, "front", {pid})
    server.wait_ready()
    assert others == {role: server.pid_of(role) for role in ("signer", "query")}


@pytest.mark.parametrize("head", [
    struct.pack(">IHHQ", 0xffffffff, peer.CALL, 0, 1), struct.pack(">IHHQ", 11, peer.CALL, 0, 1),
    struct.pack(">IHHQ", 0, peer.CALL, 0, 1), struct.pack(">IHHQ", 12, peer.CALL, 1, 1),
])
# row 18
def test_a_frame_of_a_wrong_size_or_with_flags_ends_the_connection(server, head):
    pid = server.pid_of("front")
    others = {role: server.pid_of(role) for role in ("signer", "query")}
    with peer.in_place_of(pid) as links:
        for link in links:
            link.sendall(head)
            with pytest.raises(EOFError):
                while True:
                    peer.receive(link)
    wait_for(server, "front", {pid})
    server.wait_ready()
    assert others == {role: server.pid_of(role) for role in ("signer", "query")}


def as_inspect(server, made, command):
    """Run a command whose document the intruder answers with `made`; the finished process."""
    pid = server.pid_of("inspect")
    done = []
    with peer.in_place_of(pid) as links:
        thread = threading.Thread(target=lambda: done.append(command()))
        thread.start()
        link, kind, number, _ = peer.receive_any(links)
        assert kind == peer.INSPECT
        peer.send(link, peer.INSPECT_REPLY, number, peer.inspect_reply(made))
        thread.join(_system.SOON)
    wait_for(server, "inspect", {pid})
    return done[0]


def der(tag, body):
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + struct.pack(">H", size)
    return bytes([tag]) + length + body


@pytest.mark.parametrize("made", [
    b"anything that a release key should not sign",
    # signed attributes of CMS
    der(0x31, der(0x30, der(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"))),
    der(0x30, der(0x02, b"\0") + der(0x30, b"")),  # begins as a request, without the key
    # another key
    der(0x30, der(0x02, b"\0") + der(0x30, b"") + der(0x30, b"\x05\x00" * 8) + b"\xa0\0"),
])
# row 17
def test_inspect_cannot_have_a_key_sign_something_else_for_a_request(server, signing, made):
    """What inspect builds is signed without policy, so it must be what was asked for."""
    done = as_inspect(server, made, lambda: signing.run(
        "certs", "csr", "k", "--subject", "CN=k", check=False))
    assert done.returncode != 0, done.stdout
    assert "BEGIN" not in done.stdout
    server.wait_ready()
    entries = signing.json("log", "list")["entries"]
    # Neither an intent nor an outcome: no token was asked.
    assert not any("certificate.request" in row["text"] for row in entries)
