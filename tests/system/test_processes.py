# SPDX-License-Identifier: MIT
"""The processes: what each may do, and what becomes of the server when one dies or hangs."""

import fcntl
import json
import os
import pathlib
import pwd
import re
import signal
import time

import pytest

from conftest import SOON

ROLES = ("front", "query", "inspect", "signer", "token")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def logged(make_server):
    """A server that logs what each process says when it is ready."""
    server = make_server()
    server.set("log_level", "info")
    return server.start()


def test_every_role_runs(server):
    roles = list(server.processes().values())
    assert set(roles) == set(ROLES)
    for role in ROLES[:-1]:
        assert roles.count(role) == 1
    assert roles.count("token") >= 1


@needs_root
def test_each_runs_as_its_own_user(server):
    for pid, role in server.processes().items():
        user = pwd.getpwnam(f"chancery-{role}")
        status = status_of(pid)
        assert status["Uid"] == [str(user.pw_uid)] * 4, role
        assert status["Gid"] == [str(user.pw_gid)] * 4, role
        assert set(status["Groups"]) <= {str(user.pw_gid)}, role
        for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert int(status[kind][0], 16) == 0, f"{role} {kind}"


@needs_root
def test_the_supervisor_keeps_four_capabilities(server):
    status = status_of(server.process.pid)
    # DAC_READ_SEARCH, KILL, SETGID, SETUID
    expected = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7
    for kind in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[kind][0], 16) == expected, kind
    assert status["NoNewPrivs"] == ["1"]


def test_each_is_locked_in(logged):
    landlock = logged.wait_event("server.starting")["landlock"]
    for pid, role in logged.processes().items():
        status = status_of(pid)
        assert status["NoNewPrivs"] == ["1"], role
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.M), role
        if not logged.is_loose:
            assert status["Seccomp"] == ["2"], role
            if landlock:
                logged.wait_event("process.ready", child=pid)
                # Each says in words of its own what holds, in its line or the supervisor's.
                told = [json.dumps(line) for line in logged.lines
                        if pid in (line.get("pid"), line.get("child"))]
                assert re.search(f'Landlock ABI {landlock}|"landlock(_abi)?": {landlock}|files 1',
                                 "\n".join(told)), f"{role}:\n{told}"


def test_no_process_can_be_traced(server):
    """/proc/PID belongs to root when a process is not dumpable."""
    if server.is_loose:
        return  # a leak checker traces its own process: the loose profile lets it
    for pid, role in server.processes().items():
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, role


def test_the_environment_is_almost_empty(server):
    allowed = {"SOFTHSM2_CONF", "GLIBC_TUNABLES", "JOURNAL_STREAM", "ASAN_OPTIONS", "LSAN_OPTIONS",
               "TSAN_OPTIONS", "UBSAN_OPTIONS"}
    for pid, role in server.processes().items():
        words = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        names = {word.partition(b"=")[0].decode() for word in words if word}
        assert names <= allowed, role
        assert b"GLIBC_TUNABLES=glibc.malloc.tcache_count=127" in words, role
        assert ("SOFTHSM2_CONF" in names) == (role == "token")


def test_no_secret_is_shown(server, signing):
    """Neither the PIN nor the key of TLS is in an argument, an environment or the log."""
    signing.sign()
    pin = (server.data / "secrets/soft.pin").read_text().strip()
    so_pin = (server.data / "secrets/soft.so-pin").read_text().strip()
    key = (server.data / "tls/key.pem").read_text().splitlines()[1]
    assert len(pin) >= 8 and len(so_pin) >= 8 and pin != so_pin
    places = [server.log()]
    for pid in [server.process.pid, *server.processes()]:
        for name in ("environ", "cmdline", "comm"):
            places.append(pathlib.Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"))
    for place in places:
        for secret in (pin, so_pin, key, server.made["enrolment_code"]):
            assert secret not in place


# --- deaths ---

@pytest.mark.parametrize("role", ROLES)
def test_a_killed_process_is_replaced(server, signing, role):
    signing.sign()
    before = server.processes()
    victim = server.pid_of(role)
    lines = len(server.log().splitlines())
    os.kill(victim, signal.SIGKILL)
    server.wait_event("process.ended", after=lines)
    deadline = time.monotonic() + SOON
    while sorted(server.processes().values()) != sorted(before.values()):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)
    server.wait_ready()
    signing.sign()
    signing.run("keys", "list")
    # The others have stayed.
    after = server.processes()
    assert victim not in after
    assert set(before) - {victim} <= set(after)


def test_all_processes_are_killed_at_once(server, signing):
    lines = len(server.log().splitlines())
    for pid in server.processes():
        os.kill(pid, signal.SIGKILL)
    server.wait_event("process.ended", after=lines)
    deadline = time.monotonic() + SOON
    while set(server.processes().values()) != set(ROLES):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)
    server.wait_ready()
    signing.sign()


def test_a_token_process_that_hangs_is_replaced(make_server):
    server = make_server()
    server.set("workers", "1")
    server.set("token_timeout_ms", str(int(1000 * float(os.environ.get("CHANCERY_SLOW", "1")))))
    server.start()
    admin = server.admin()
    admin.key()
    admin.policy()
    admin.sign()
    hung = server.pid_of("token")
    os.kill(hung, signal.SIGSTOP)
    admin.sign(check=False)  # this one may be answered with an error: it is "unknown"
    server.wait_event("process.hung")
    server.wait_ready()
    assert hung not in server.processes()
    admin.sign()
    server.stop()


def test_a_supervisor_that_is_killed_takes_all_with_it(make_server):
    server = make_server().start()
    pids = list(server.processes())
    server.signal(signal.SIGKILL)
    server.process.wait(timeout=SOON)
    deadline = time.monotonic() + SOON
    while any(pathlib.Path(f"/proc/{pid}").exists() and status_of(pid)["State"][0] != "Z"
              for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.drop()
    server.start()
    server.stop()


def test_a_start_that_is_killed_at_any_time_does_not_lose_the_token(server, signing):
    """SoftHSM writes the token's file in place when it logs in: a kill in between tears it."""
    signing.sign()
    server.stop()
    token_file = next((server.data / "tokens/soft/tokens").glob("*/token.object"))
    whole = token_file.read_bytes()
    for part in (0, 1, len(whole) // 2, len(whole) - 1):
        owner = token_file.stat()
        token_file.write_bytes(whole[:part])
        os.chown(token_file, owner.st_uid, owner.st_gid)
        server.start()
        assert any(line.get("event") == "token.restored" for line in server.lines)
        signing.at(server.url).sign()
        server.stop()
    for _ in range(10):
        server.launch()
        server.wait_event("server.starting")
        server.drop()
        with open(server.data / "lock", "rb+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)  # held on for a moment by a child before its execve
    server.start()
    signing.at(server.url).sign()
