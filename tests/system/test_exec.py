# SPDX-License-Identifier: MIT
"""`chancery exec`: what a tool gets, what is handed through, and what is told at its end.

The tool is a shell, or `chancery sign`, which asks the agent it is given as the module does.
"""

import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from conftest import BUILD, CHANCERY, POLICY, SOON, environment

FROZEN = POLICY + """\
  - name: frozen
    effect: deny
    description: nothing is signed before the audit
    match: {key: k}
"""


@pytest.fixture(name="place")
def fixture_place(signing):
    """Where private folders go: a folder of this test alone."""
    place = signing.home / "run"
    place.mkdir(mode=0o700)
    return place


def env_of(client, **more):
    return environment(HOME=str(client.home), XDG_RUNTIME_DIR=str(client.home / "run"), **more)


def execute(client, *words, options=(), env=None, **more):
    """The finished process."""
    return subprocess.run(
        [str(word) for word in (CHANCERY, "exec", *options, "--", *words)], capture_output=True,
        text=True, timeout=SOON, check=False, cwd=client.home, env=env_of(client, **(env or {})),
        **more)


def sign(client, *more, options=(), env=None):
    client.file("to-sign", "what is signed\n")
    return execute(client, CHANCERY, "sign", "--raw", "--key", "k", "to-sign", *more,
                   options=options, env=env)


def helpers(client):
    """Private helpers whose home is the client's."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"@helper" in words and f"HOME={client.home}".encode() in \
                    (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until(what):
    """A helper ends by itself, soon after its work."""
    done = threading.Event()
    for _ in range(int(SOON * 20)):
        if what():
            return
        done.wait(0.05)
    raise AssertionError("it never came to be")


# --- the tool is run as without us ---

@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_tools(signing, place, code):
    assert execute(signing, "sh", "-c", f"exit {code}").returncode == code


def test_a_signal_that_ended_it(signing, place):
    assert execute(signing, "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_input_and_output_are_the_tools(signing, place):
    done = execute(signing, "sh", "-c", "cat; echo of the tool >&2", input="through it\n")
    assert done.stdout == "through it\n"
    assert done.stderr.startswith("of the tool\nchancery: ")


def test_its_arguments_are_not_touched(signing, place):
    words = ["printf", "<%s>", "a b", "--json", "", "--", "-x", "é"]
    assert execute(signing, *words).stdout == "<a b><--json><><--><-x><é>"


def test_descriptors_are_handed_on(signing, place):
    read_end, write_end = os.pipe()
    os.write(write_end, b"by a descriptor\n")
    os.close(write_end)
    done = execute(signing, "bash", "-c", f"cat <&{read_end}", pass_fds=[read_end])
    os.close(read_end)
    assert done.stdout == "by a descriptor\n"


def test_a_tool_that_is_not_there(signing, place):
    done = execute(signing, "no-such-tool")
    assert done.returncode == 2
    assert "no-such-tool" in done.stderr
    assert not list(place.iterdir())


def test_nothing_is_left_behind(signing, place):
    assert sign(signing).returncode == 0
    assert not list(place.iterdir())
    wait_until(lambda: not helpers(signing))


def test_the_private_folder_is_private(signing, place):
    done = execute(signing, "sh", "-c", "stat -c '%a %n' $XDG_RUNTIME_DIR/* "
                                        "$(dirname $CHANCERY_AGENT_SOCK)/*")
    modes = dict(reversed(line.split(" ", 1)) for line in done.stdout.splitlines())
    for name, mode in modes.items():
        assert mode == ("700" if re.search("chancery-exec-[0-9a-f]{16}$", name) else "600"), modes
    assert {"agent.sock", "openssl.cnf", "pkcs11.cfg"} <= {os.path.basename(n) for n in modes}


# --- signals and terminals ---

def start(client, script):
    os.mkfifo(client.home / "fifo")
    return subprocess.Popen([str(CHANCERY), "exec", "--", "sh", "-c", script],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, cwd=client.home,
                            env=env_of(client), start_new_session=True)


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "USR2", "INT", "QUIT"])
def test_signals_reach_the_tool(signing, place, name):
    process = start(signing, f"trap 'echo got it; exit 9' {name}; echo ready; "
                             "while :; do read -r x <&3 || exit 8; done 3<>fifo")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (9, "got it\n"), err


def test_the_keyboards_signal_comes_once(signing, place):
    """At a terminal the kernel tells every process of the group; we do not tell it again."""
    os.mkfifo(signing.home / "fifo")
    script = ("n=0; trap 'n=$((n+1)); echo got $n' INT; trap 'echo all $n; exit 0' USR1; "
              "echo ready $$; while :; do read -r x <&3; done 3<>fifo")
    main, side = pty.openpty()
    process = subprocess.Popen([str(CHANCERY), "exec", "--", "bash", "-c", script], stdin=side,
                               stdout=side, stderr=side, env=env_of(signing), cwd=signing.home,
                               start_new_session=True,
                               preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0))
    os.close(side)
    seen = read_until(main, rb"ready (\d+)")
    os.write(main, b"\x03")
    read_until(main, rb"got 1")
    os.kill(int(seen.group(1)), signal.SIGUSR1)
    assert read_until(main, rb"all (\d+)").group(1) == b"1"
    assert process.wait(timeout=SOON) == 0
    os.close(main)


def read_until(descriptor, pattern):
    seen = b""
    while True:
        try:
            seen += os.read(descriptor, 4096)
        except OSError:  # the terminal is gone
            raise AssertionError(seen) from None
        found = re.search(pattern, seen)
        if found:
            return found


# --- credentials ---

def test_a_token_is_the_helpers_and_not_the_tools(server, signing, place):
    signing.run("users", "create", "ci")
    made = signing.json("users", "add-token", "ci", "--scope", "sign", "--scope", "keys.*")
    ca = server.data / "tls/certificate.pem"
    login = {"CHANCERY_TOKEN": made["token"], "CHANCERY_URL": signing.url, "CHANCERY_CA": str(ca)}
    done = execute(signing, "env", env=login)
    assert made["token"] not in done.stdout
    assert not re.search("CHANCERY_(TOKEN|URL|CA|CERT|KEY)=", done.stdout)
    done = sign(signing, env=login)
    assert done.returncode == 0, done.stderr
    index = re.search("log entry ([0-9]+)", done.stderr).group(1)
    assert signing.json("log", "show", index)["principal"] == "ci"


def test_the_tools_environment(signing, place):
    done = execute(signing, "env", env={"CHANCERY_TOKEN_FILE": "", "MINE": "stays"})
    names = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert names["MINE"] == "stays"
    assert re.fullmatch("[0-9a-f]{32}", names["CHANCERY_EXEC_TAG"])
    for name in ("TOKEN", "TOKEN_FILE", "CERT", "KEY", "URL", "CA", "PROFILE"):
        assert f"CHANCERY_{name}" not in names


def test_no_server_is_named(folder):
    (folder / "run").mkdir()
    done = subprocess.run([str(CHANCERY), "exec", "--", "true"], env=environment(HOME=str(folder)),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "chancery enroll" in done.stderr


# --- what is told ---

def test_told__a_signature(signing, place):
    done = sign(signing)
    found = re.search("chancery: signed: key k, ecdsa-sha256, log entry ([0-9]+)\n", done.stderr)
    assert found, done.stderr
    assert signing.json("log", "show", found.group(1))["key"] == "k"


def test_told__a_refusal_with_rule_and_request(signing, place):
    signing.policy(FROZEN)
    done = sign(signing)
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("chancery: ")]
    text = "\n".join(told)
    assert "chancery: REFUSED: key k, ecdsa-sha256, log entry " in text
    assert "denied-by-policy" in text
    assert "decided by rule frozen" in text
    assert re.search("request [0-9a-f]{32}", text)


def test_told__nothing_was_asked_for(signing, place):
    assert execute(signing, "true").stderr == "chancery: true asked for no signature\n"


def test_told__the_server_is_away(server, signing, place):
    server.stop()
    done = sign(signing)
    assert done.returncode == 3
    assert done.stderr.count("asked for no signature") + done.stderr.count("REFUSED") == 1
    assert f"port {signing.url.rsplit(':', 1)[1]}" in done.stderr
    assert '"level":' not in done.stderr  # the helper's own log


def test_report(signing, place):
    signing.policy(FROZEN)
    sign(signing, options=["--report", "report.json"])
    report = json.loads((signing.home / "report.json").read_text())
    assert report["exit_code"] == 1
    refusal = report["signatures"][0]
    assert refusal["is_signed"] is False
    assert refusal["rules"] == ["frozen"]
    assert refusal["application"] == str(CHANCERY)
    signing.policy()
    sign(signing, options=["--report", "report.json"])
    report = json.loads((signing.home / "report.json").read_text())
    assert report["signatures"][0]["is_signed"] is True
    assert report["signatures"][0]["outcome"]["index"] > 0


def test_report__cannot_be_written(signing, place):
    """It is said before the tool runs."""
    for report in ("/no/such/report", "/proc/report", "."):
        done = execute(signing, "echo", "ran", options=["--report", report])
        assert done.returncode == 3 and "chancery: " in done.stderr, done.stderr
        assert done.stdout == "" and not list(place.iterdir())


def test_receipts__cannot_be_kept(signing, place):
    """It is said before the tool runs."""
    for folder in ("/no/such", "/proc", "notes.txt"):
        (signing.home / "notes.txt").write_text("no folder\n")
        done = execute(signing, "echo", "ran", options=["--receipts", folder])
        assert done.returncode == 3 and "no receipt can be kept" in done.stderr, done.stderr
        assert done.stdout == "" and not list(place.iterdir())


def test_json__is_for_a_dry_run_alone(signing, place):
    done = execute(signing, "true", options=["--json"])
    assert done.returncode == 2
    assert "--report" in done.stderr


def test_the_reason_is_logged(signing, place):
    signing.policy(POLICY + "  - {name: say-why, effect: require, requirement: reason}\n")
    assert sign(signing).returncode == 1
    done = sign(signing, options=["--reason", "release 1.0"])
    assert done.returncode == 0, done.stderr


# --- a dry run ---

def test_dry_run__runs_nothing(signing, place):
    done = execute(signing, "touch", "made", options=["--dry-run"])
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "touch made"
    assert not (signing.home / "made").exists()
    assert not list(place.iterdir())


def test_dry_run__is_a_script(signing, place):
    """What it prints sets what the tool would get."""
    done = execute(signing, "env", options=["--dry-run", "--reason", "it's \"1.0\""])
    seen = subprocess.run(["sh", "-c", done.stdout], capture_output=True, text=True, check=True,
                          env=env_of(signing)).stdout
    assert "CHANCERY_REASON=it's \"1.0\"\n" in seen


def test_dry_run__json(signing, place):
    done = execute(signing, "openssl", "version", options=["--dry-run", "--json"])
    plan = json.loads(done.stdout)
    assert plan["argv"] == ["openssl", "version"]
    assert any(line.startswith("CHANCERY_AGENT_SOCK=") for line in plan["set"])


def test_dry_run__an_installation_that_was_moved(signing, place):
    """The module and the provider are where the environment says."""
    moved = signing.home / "moved"
    moved.mkdir(exist_ok=True)
    for path in ("module/chancery-pkcs11.so", "provider/chancery.so"):
        shutil.copy(BUILD / "src" / path, moved)
    env = {"CHANCERY_MODULE": str(moved / "chancery-pkcs11.so"),
           "CHANCERY_PROVIDER": str(moved / "chancery.so")}
    shown = execute(signing, "openssl", "version", options=["--dry-run"], env=env).stdout
    assert f"module = {moved}/chancery.so\n" in shown


def test_wrong_use(signing, place):
    for words in ([], ["--nonsense", "--", "true"], ["true", "-x"]):
        done = subprocess.run([str(CHANCERY), "exec", *words], capture_output=True, text=True,
                              check=False, env=env_of(signing))
        assert done.returncode == 2, words


# --- agents ---

@pytest.fixture(name="agent")
def fixture_agent(signing, place):
    socket = place / "own.sock"
    process = subprocess.Popen([str(CHANCERY), "agent", "--socket", str(socket)],
                               env=env_of(signing), stderr=subprocess.DEVNULL)
    wait_until(socket.exists)
    yield process, socket
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=SOON)


def test_an_agent_that_runs_is_used(signing, agent):
    _, socket = agent
    done = sign(signing, env={"CHANCERY_AGENT_SOCK": str(socket)})
    assert done.returncode == 0, done.stderr
    assert "chancery: signed: key k" in done.stderr
    assert not helpers(signing)


def test_an_agent_that_was_named_and_is_away(signing, place):
    done = execute(signing, "true", env={"CHANCERY_AGENT_SOCK": "/no/such/agent.sock"})
    assert done.returncode == 3
    assert "/no/such/agent.sock" in done.stderr


def test_the_agent_is_lost_meanwhile(signing, agent):
    process, socket = agent
    done = execute(signing, "sh", "-c", f"kill -KILL {process.pid}; exit 4",
                   env={"CHANCERY_AGENT_SOCK": str(socket)})
    assert done.returncode == 4
    assert "the agent was lost" in done.stderr


def test_the_helper_is_lost_meanwhile(signing, place):
    if os.geteuid() != 0:
        pytest.skip("only root finds the helper of a test")
    process = start(signing, "echo ready; read -r x <fifo; exit 4")
    assert process.stdout.readline() == "ready\n"
    for pid in helpers(signing):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not helpers(signing))
    (signing.home / "fifo").write_text("go on\n")
    _, err = process.communicate(timeout=SOON)
    assert process.returncode == 4
    assert "the agent was lost" in err


def test_exec_is_killed__its_helper_ends(signing, place):
    if os.geteuid() != 0:
        pytest.skip("only root finds the helper of a test")
    process = start(signing, "echo ready; read -r x <fifo; echo went on")
    assert process.stdout.readline() == "ready\n"
    assert helpers(signing)
    process.kill()
    wait_until(lambda: not helpers(signing))
    (signing.home / "fifo").write_text("go on\n")  # the tool is left alone
    assert process.stdout.readline() == "went on\n"
    process.communicate(timeout=SOON)


def test_exec_is_killed__the_next_one_tidies_up(signing, place):
    """But nothing that is in use, by exec or by a tool that outlives it, and nothing of a moment
    ago."""
    process = start(signing, "echo ready; read -r x <fifo")
    assert process.stdout.readline() == "ready\n"
    used, = place.iterdir()
    os.utime(used, (1, 1))
    assert execute(signing, "true").returncode == 0
    assert used.exists()
    process.kill()
    process.wait(timeout=SOON)
    wait_until(lambda: not (used / "agent.sock").exists())  # the helper's end changes the folder
    os.utime(used, (1, 1))
    assert execute(signing, "true").returncode == 0
    assert used.exists()  # the tool runs
    (signing.home / "fifo").write_text("go on\n")
    process.communicate(timeout=SOON)
    used.touch()
    assert execute(signing, "true").returncode == 0
    assert used.exists()
    os.utime(used, (1, 1))
    assert execute(signing, "true").returncode == 0
    assert not list(place.iterdir())


def test_exec_within_exec(signing, place):
    done = sign_in(signing, [CHANCERY, "exec", "--"])
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("chancery: signed: key k") == 1  # told once, by the inner one


def sign_in(client, before):
    client.file("to-sign", "what is signed\n")
    return execute(client, *before, CHANCERY, "sign", "--raw", "--key", "k", "to-sign")


# --- agents that are none ---

class FakeAgent:
    """Answers each frame that comes by the next of `answers`: bytes, or None for nothing."""

    WELCOME, FAILED, WATCHING, EVENT, SSH_OPENED = 513, 514, 528, 529, 537  # proto/door.h

    def __init__(self, path, answers):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.answers = answers
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.socket.accept()
        for answer in self.answers:
            head = connection.recv(4, socket.MSG_WAITALL)
            if len(head) < 4:
                return
            connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
            if answer is not None:
                connection.sendall(answer)
        self.last = connection

    @staticmethod
    def frame(kind, number, body=b""):
        return struct.pack(">IHHQ", 12 + len(body), kind, 0, number) + body


WELCOME = FakeAgent.frame(FakeAgent.WELCOME, 1, struct.pack(">I", 1) + struct.pack(">I", 1) + b"x")
WATCHING = FakeAgent.frame(FakeAgent.WATCHING, 1, b"\0")
SSH_OPENED = FakeAgent.frame(FakeAgent.SSH_OPENED, 1, b"\0")  # for scripts


def exec_at(client, place, answers, *words):
    path = place / "fake.sock"
    fake = FakeAgent(path, answers)
    done = execute(client, *words, env={"CHANCERY_AGENT_SOCK": str(path)})
    fake.socket.close()
    return done


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10,
    b"\0" * 64,
    b"\xff" * 64,
    FakeAgent.frame(FakeAgent.WELCOME, 7, WELCOME[16:]),  # to nobody's question
    FakeAgent.frame(FakeAgent.FAILED, 1, b"\0\0"),
    FakeAgent.frame(9999, 1),
], ids=["http", "zeros", "ones", "other-id", "bad-failure", "unknown-kind"])
def test_an_agent_that_talks_nonsense_runs_no_tool(signing, place, answer):
    done = exec_at(signing, place, [answer], "touch", "made")
    assert done.returncode in (2, 3), done
    assert not (signing.home / "made").exists()


def test_an_agent_of_another_version_says_so(signing, place):
    text = b"speak version 9"
    body = struct.pack(">I", 23) + struct.pack(">I", len(text)) + text + struct.pack(">II", 0, 0)
    done = exec_at(signing, place, [FakeAgent.frame(FakeAgent.FAILED, 1, body)], "true")
    assert done.returncode == 2
    assert "speak version 9" in done.stderr


def test_an_agent_that_never_answers(signing, place):
    """It is given ten seconds."""
    done = exec_at(signing, place, [None], "touch", "made")
    assert done.returncode == 3
    assert not (signing.home / "made").exists()


@pytest.mark.parametrize("noise", [b"\xff" * 64, FakeAgent.frame(FakeAgent.EVENT, 0, b"\xff" * 9),
                                   FakeAgent.frame(9999, 0)],
                         ids=["ones", "bad-event", "unknown-kind"])
def test_an_agent_that_goes_mad_does_not_disturb_the_tool(signing, place, noise):
    done = exec_at(signing, place, [WELCOME, WATCHING, SSH_OPENED + noise],
                   "sh", "-c", "echo done; exit 6")
    assert (done.returncode, done.stdout) == (6, "done\n")
    assert "the agent was lost" in done.stderr
