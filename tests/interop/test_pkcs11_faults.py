# SPDX-License-Identifier: MIT
"""What goes wrong around a tool: the agent or the helper dies, the server restarts, policy refuses,
processes fork, somebody else owns the socket. p11.py, a program of its own, is the tool."""

import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from evidence import nobodys_socket
from signer import CHANCERY, MODULE, POLICY, SOON, Signer
from test_pkcs11_java import JDKS, jar

HERE = pathlib.Path(__file__).resolve().parent
DIGEST = "5a" * 32
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Tool:
    """p11.py, step by step."""

    def __init__(self, keys, **env):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "p11.py"), str(MODULE)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=keys.home,
            env=keys.env(**env))

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return line.split()

    def do(self, *words):
        """What C_... returned, and what it gave."""
        self.tell(*words)
        return self.answer()

    def ok(self, *words):
        answer = self.do(*words)
        assert answer[0] == "OK", (words, answer)
        return answer[1:]

    def ready(self, key="p256"):
        self.ok("init")
        self.ok("find", key)
        return self

    def sign(self):
        self.ok("begin")
        return self.ok("sign", DIGEST)[0]

    def end(self):
        self.tell("quit")
        _, err = self.process.communicate(timeout=SOON)
        assert self.process.returncode == 0, err
        assert err == ""  # the module says nothing in a tool's name


@pytest.fixture(name="tool")
def fixture_tool(keys):
    started = []

    def start(**env):
        started.append(Tool(keys, **env))
        return started[-1]

    yield start
    for tool in started:
        if tool.process.poll() is None:
            tool.process.kill()
        tool.process.communicate()


class Agent:
    def __init__(self, keys, path):
        self.keys = keys
        self.path = path
        self.process = None

    def start(self):
        self.process = subprocess.Popen([str(CHANCERY), "agent", "--socket", str(self.path)],
                                        env=self.keys.env(), stderr=subprocess.DEVNULL)
        wait_until(self.answers)
        return self

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.path))
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=SOON) == 0


def wait_until(what):
    deadline = time.monotonic() + SOON
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(name="agent")
def fixture_agent(keys):
    agent = Agent(keys, keys.folder / "faults.sock").start()
    yield agent
    if agent.process.poll() is None:
        agent.stop()


def is_good(keys, signature, key="p256"):
    """r and s of a signature of DIGEST."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    raw = bytes.fromhex(signature)
    half = len(raw) // 2
    der = utils.encode_dss_signature(*(int.from_bytes(part, "big")
                                       for part in (raw[:half], raw[half:])))
    public = serialization.load_pem_public_key(keys.public_key(key).read_bytes())
    public.verify(der, bytes.fromhex(DIGEST), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    return True


# --- agents and helpers ---

def test_the_agent_dies_between_init_and_sign(keys, tool, agent):
    """Its successor signs: nothing was asked of the first yet."""
    t = tool(CHANCERY_AGENT_SOCK=str(agent.path)).ready()
    t.ok("begin")
    agent.kill()
    agent.start()
    assert is_good(keys, t.ok("sign", DIGEST)[0])
    t.end()


def test_the_agent_is_away_while_a_tool_signs(keys, tool, agent):
    """The call waits for it, as long as it may."""
    t = tool(CHANCERY_AGENT_SOCK=str(agent.path)).ready()
    t.ok("begin")
    agent.kill()
    t.tell("sign", DIGEST)
    agent.start()
    assert is_good(keys, t.answer()[1])
    t.end()


def test_the_agent_ends_and_comes_back(keys, tool, agent):
    t = tool(CHANCERY_AGENT_SOCK=str(agent.path)).ready()
    for _ in range(3):
        assert is_good(keys, t.sign())
        agent.stop()
        agent.start()
    t.ok("threads", 8, 2)
    t.end()


def helpers_of(keys):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"@helper" in (entry / "cmdline").read_bytes().split(b"\0") and \
                    f"HOME={keys.home}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill(pid):
    """And wait until it has let go of its sockets too: its command line goes before them."""
    held = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        ready, _, _ = select.select([held], [], [], SOON)
        assert ready, f"process {pid} does not end"
    finally:
        os.close(held)


@needs_root
def test_the_helper_is_killed(keys, tool):
    t = tool(CHANCERY_AGENT_SOCK="none").ready()
    assert is_good(keys, t.sign())
    for _ in range(2):
        for pid in helpers_of(keys):
            kill(pid)
        assert is_good(keys, t.sign())
    t.end()
    wait_until(lambda: not helpers_of(keys))


@needs_root
def test_finalize_leaves_no_helper(keys, tool):
    t = tool(CHANCERY_AGENT_SOCK="none").ready()
    assert helpers_of(keys)
    t.ok("final")
    wait_until(lambda: not helpers_of(keys))
    t.ready()
    assert is_good(keys, t.sign())
    t.end()


@needs_root
def test_a_socket_of_somebody_else_is_not_spoken_to(keys, tool):
    with nobodys_socket(keys.folder) as path:
        t = tool(CHANCERY_AGENT_SOCK=str(path))
        t.ok("init")
        assert t.do("find", "p256")[0] != "OK"
        t.end()


# --- many at once ---

def test_32_threads(keys, tool):
    t = tool(CHANCERY_AGENT_SOCK="none").ready()
    assert t.ok("threads", 32, 8) == ["256"]
    t.end()


def test_two_processes_of_32_threads_at_one_agent(keys, tool, agent):
    both = [tool(CHANCERY_AGENT_SOCK=str(agent.path)).ready() for _ in range(2)]
    for t in both:
        t.tell("threads", 32, 8)
    for t in both:
        assert t.answer() == ["OK", "256"]
        t.end()


@pytest.mark.parametrize("socket_name", ["none", "agent"])
def test_fork_in_the_middle(keys, tool, agent, socket_name):
    path = str(agent.path) if socket_name == "agent" else "none"
    t = tool(CHANCERY_AGENT_SOCK=path).ready()
    t.ok("begin")
    t.tell("fork", "sign", DIGEST)
    answers = [t.answer(), t.answer()]
    assert [a[0] for a in answers] == ["OK", "OK"], answers
    assert all(is_good(keys, a[1]) for a in answers)
    t.ok("begin")
    t.ok("sign", DIGEST)
    t.tell("fork", "threads", 4, 4)
    assert [t.answer(), t.answer()] == [["OK", "16"], ["OK", "16"]]
    t.end()


# --- the server ---

@pytest.fixture(name="own", scope="module")
def fixture_own(tmp_path_factory):
    """A server of these tests alone, which they restart; at the same address each time."""
    folder = pathlib.Path("/tmp") / f"chancery-interop-{os.getpid()}"
    folder.mkdir(mode=0o755)
    signer = None
    import shutil
    try:
        signer = Signer(folder)
        port = signer.admin.url.rsplit(":", 1)[1]
        config = signer.server.config.read_text()
        signer.server.config.write_text(config.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        yield signer
        signer.server.stop()
    finally:
        if signer is not None:
            signer.server.drop()
        shutil.rmtree(folder)


def test_the_server_restarts(own):
    t = Tool(own, CHANCERY_AGENT_SOCK="none").ready()
    assert is_good(own, t.sign())
    own.server.stop()
    own.server.start()
    assert is_good(own, t.sign())
    t.end()


def test_the_server_is_away(own):
    """The tool is told at once or in a while, and signs again when the server is back."""
    t = Tool(own, CHANCERY_AGENT_SOCK="none").ready()
    own.server.stop()
    try:
        t.ok("begin")
        assert t.do("sign", DIGEST)[0] == "DEVICE_ERROR"
    finally:
        own.server.start()
    assert is_good(own, t.sign())
    t.end()


# --- policy ---

# A key that policy never lets sign is not shown to tools; with a reason these would.
FROZEN = POLICY + """\
  - name: frozen
    effect: require
    requirement: reason
    match: {key: [p256, r3]}
"""
HIDDEN = POLICY + "  - {name: hidden, effect: deny, match: {key: r3}}\n"


@pytest.fixture(name="frozen")
def fixture_frozen(own):
    own.admin.policy(FROZEN)
    yield own
    own.admin.policy(POLICY)


def told(done):
    return [line for line in done.stderr.splitlines() if line.startswith("chancery: ")]


def check_told(done, key, algorithm):
    text = "\n".join(told(done))
    assert done.returncode != 0
    assert re.search(f"REFUSED: key {key}, {algorithm}, log entry [0-9]+", text), done.stderr
    assert "decided by rule frozen" in text
    assert re.search("request [0-9a-f]{32}", text)


def test_refused__the_module_says_so(frozen):
    t = Tool(frozen, CHANCERY_AGENT_SOCK="none").ready()
    t.ok("begin")
    assert t.do("sign", DIGEST)[0] in ("ACTION_PROHIBITED", "FUNCTION_REJECTED")
    t.end()


def test_refused__a_key_that_never_signs_is_not_shown(own):
    own.admin.policy(HIDDEN)
    own.file("in", "x\n")
    try:
        done = own.exec("openssl", "dgst", "-sha256", "-sign", "pkcs11:object=r3", "-out", "out",
                        "in", check=False)
    finally:
        own.admin.policy(POLICY)
    assert done.returncode != 0
    assert "asked for no signature" in told(done)[-2]
    assert "chancery keys list --usable" in told(done)[-1]


def test_refused__openssl(frozen):
    frozen.file("in", "x\n")
    done = frozen.exec("openssl", "dgst", "-sha256", "-sign", "pkcs11:object=r3", "-out", "out",
                       "in", check=False)
    check_told(done, "r3", "rsa-pkcs1-sha256")


def test_refused__pkcs11_tool(frozen):
    frozen.file("in", "x\n")
    done = frozen.exec("pkcs11-tool", "--sign", "--id", frozen.ids["p256"], "--mechanism",
                       "ECDSA-SHA256", "--input-file", "in", "--output-file", "out", check=False)
    check_told(done, "p256", "ecdsa-sha256")


@pytest.mark.skipif(not JDKS, reason="no JDK is installed")
def test_refused__jarsigner(frozen):
    done = frozen.exec(JDKS[0] / "bin/jarsigner", jar(frozen).name, "p256", check=False)
    check_told(done, "p256", "ecdsa-sha256")
    assert "jar signed" not in done.stdout
