# SPDX-License-Identifier: MIT
"""A real server for tests of the whole: made by `chanceryd init`, started as its users start it,
spoken to by the command `chancery`, and ended by SIGTERM, which must answer with exit 0.

    server        a running server
    admin         a client of it that is enrolled as its administrator
    make_server   makes servers that are not started: for a second one, or none that runs

When the tests run as root the processes change to their own users, as in production.
"""

import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

BUILD = pathlib.Path(os.environ.get("CHANCERY_BUILD", "build/release")).resolve()
SOURCE = pathlib.Path(os.environ.get("CHANCERY_SOURCE", ".")).resolve()
CHANCERYD = BUILD / "src/supervisor/chanceryd"
CHANCERY = BUILD / "src/cli/chancery"
SLOW = float(os.environ.get("CHANCERY_SLOW", "1"))
SOON = 60 * SLOW  # seconds; never reached by a test that passes
SANITIZERS = ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")

POLICY = """\
version: 1
rules:
  - name: everybody-signs
    effect: allow
"""


def environment(**more):
    """What programs under test get of ours: a search path and the sanitizers' options."""
    kept = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", **kept, **more}


def run(*command, check=True, **options):
    """Run a program to its end; its output is text."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=SOON, check=False, env=options.pop("env", environment()),
                          **options)
    if check:
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def chanceryd(*arguments, **options):
    return run(CHANCERYD, *arguments, **options)


class Client:
    """The command `chancery` with a home of its own."""

    def __init__(self, home, url):
        self.home = pathlib.Path(home)
        self.url = url
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(self, *arguments, check=True, **options):
        return run(CHANCERY, *arguments, check=check, cwd=self.home,
                   env=environment(HOME=str(self.home)), **options)

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "--json").stdout)

    def enroll(self, code, check=True):
        return self.run("enroll", "--url", self.url, check=check, input=code + "\n")

    def at(self, url):
        """The same client for the same server on another port."""
        config = self.home / ".config/chancery/config.yaml"
        config.write_text(config.read_text().replace(self.url, url))
        self.url = url
        return self

    def file(self, name, content):
        path = self.home / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def policy(self, text=POLICY):
        return self.run("policies", "apply", self.file("policy.yaml", text))

    def key(self, name="k", kind="p256"):
        self.run("keys", "create", name, "--type", kind)
        return self.public_key(name)

    def public_key(self, name):
        """Its public key in a PEM file."""
        shown = self.json("keys", "show", name)
        lines = [shown["public_key"][at:at + 64] for at in range(0, len(shown["public_key"]), 64)]
        return self.file(f"{name}.pub", "\n".join(["-----BEGIN PUBLIC KEY-----", *lines,
                                                   "-----END PUBLIC KEY-----", ""]))

    def sign(self, key="k", content=b"what is signed\n", check=True):
        """Sign, and verify with OpenSSL; the answer is the finished process."""
        path = self.file("to-sign", content)
        signature = self.home / "to-sign.sig"
        signature.unlink(missing_ok=True)
        done = self.run("sign", "--raw", "--key", key, path, check=check)
        if done.returncode == 0:
            run("openssl", "dgst", "-sha256", "-verify", self.home / f"{key}.pub", "-signature",
                signature, path)
        return done


class Server:
    """A data directory, and the server in it while it runs."""

    def __init__(self, folder, *init_arguments, user=None, program=CHANCERYD):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.config = self.data / "chanceryd.yaml"
        self.user = user
        self.program = program
        self.process = None
        self.lines = []  # of its log, as JSON where they are
        self.url = None
        if init_arguments is not None:
            done = run(program, "init", "--data", self.data, "--listen", "127.0.0.1:0", "--json",
                       *init_arguments, user=user)
            self.made = json.loads(done.stdout)

    @classmethod
    def existing(cls, folder, data, **options):
        server = cls.__new__(cls)
        server.__dict__.update(folder=pathlib.Path(folder), data=pathlib.Path(data), user=None,
                               config=pathlib.Path(data) / "chanceryd.yaml", process=None, lines=[],
                               url=None, program=CHANCERYD, made=None)
        server.__dict__.update(options)
        return server

    # --- configuration ---

    def set(self, name, value):
        """Set a setting that `init` wrote as a comment; `name` is the last part."""
        text = self.config.read_text()
        lines = text.splitlines()
        found = [at for at, line in enumerate(lines) if line.lstrip(" #").startswith(f"{name}:")]
        assert len(found) == 1, f"{name} stands {len(found)} times in the configuration"
        at = found[0]
        indent = len(lines[at]) - len(lines[at].lstrip(" "))
        lines[at] = f"{' ' * indent}{name}: {value}"
        for above in range(at - 1, -1, -1):  # its section may be commented out
            body = lines[above].lstrip(" ")
            if indent > 0 and len(lines[above]) - len(body) == 0 and body.startswith("#") \
                    and body.endswith(":") and " " not in body:
                lines[above] = body[1:]
                break
            if indent > 0 and body == lines[above] and body.endswith(":") and body[:1] != "#":
                break
        self.config.write_text("\n".join(lines) + "\n")

    # --- running ---

    def launch(self, *arguments):
        assert self.process is None
        self.lines = []
        self.news = queue.Queue()
        self.process = subprocess.Popen(
            [str(self.program), "--config", str(self.config), *arguments], user=self.user,
            env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace")
        threading.Thread(target=self._read, args=(self.process.stderr, self.news),
                         daemon=True).start()

    @staticmethod
    def _read(stream, news):  # of this very process: an earlier one's may still be read
        for line in stream:
            news.put(line)
        news.put(None)

    def _next(self, deadline):
        line = self.news.get(timeout=max(0.001, deadline - time.monotonic()))
        if line is None:
            self.news.put(None)
            return None
        try:
            self.lines.append(json.loads(line))
        except ValueError:
            self.lines.append({"text": line.rstrip("\n")})
        return self.lines[-1]

    def wait_event(self, event, after=0, **fields):
        """The first line of the log with this event and these fields, from line `after` on."""
        deadline = time.monotonic() + SOON
        at = after
        while True:
            while at < len(self.lines):
                line = self.lines[at]
                at += 1
                if line.get("event") == event and fields.items() <= line.items():
                    return line
            try:
                line = self._next(deadline)
            except queue.Empty:
                line = None
            assert line is not None, f"no {event} {fields} in the log:\n{self.log()}"

    def wait_any(self, *events):
        """The first line of the log with one of these events."""
        deadline = time.monotonic() + SOON
        at = 0
        while True:
            for line in self.lines[at:]:
                if line.get("event") in events:
                    return line
            at = len(self.lines)
            try:
                line = self._next(deadline)
            except queue.Empty:
                line = None
            assert line is not None, f"none of {events} in the log:\n{self.log()}"

    def log(self):
        """All of the log so far, as text."""
        if self.process is not None:
            while not self.news.empty() and self._next(time.monotonic() + 1) is not None:
                pass
        return "\n".join(json.dumps(line) for line in self.lines)

    def start(self, *arguments):
        self.launch(*arguments)
        ready = self.wait_event("server.ready")
        self.url = "https://" + ready["address"].split()[0]
        self.wait_ready()
        return self

    def wait_ready(self):
        """Until the server says that it can sign."""
        deadline = time.monotonic() + SOON
        while True:
            done = run("curl", "-sk", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}",
                       f"{self.url}/readyz", check=False)
            if done.stdout == "200":
                return
            assert self.process.poll() is None, f"the server ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"never ready:\n{self.log()}"
            time.sleep(0.05)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_end(self):
        code = self.process.wait(timeout=SOON)
        self.log()
        self.process.stderr.close()
        self.process = None
        return code

    def stop(self):
        self.signal(signal.SIGTERM)
        code = self.wait_end()
        assert code == 0, f"exit {code}:\n{self.log()}"

    def drop(self):
        """For clean-up after a test that failed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def is_loose(self):
        """Built with sanitizers: the sandbox is looser."""
        return self.wait_event("server.starting")["loose_build"]

    def processes(self):
        """What the supervisor has started: {pid: role}, in the order of their start."""
        found = {}
        for entry in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
            try:
                status = (entry / "status").read_text()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"PPid:\t{self.process.pid}\n" in status and len(words) > 1:
                found[int(entry.name)] = words[1].decode().lstrip("@")
        return found

    def pid_of(self, role):
        return next(pid for pid, name in self.processes().items() if name == role)

    # --- clients ---

    def client(self, name="client"):
        return Client(self.folder / name, self.url)

    def admin(self, name="admin"):
        client = self.client(name)
        client.enroll(self.made["enrolment_code"])
        return client


@pytest.fixture
def folder():
    """A folder that the server's users may enter; pytest's own are for the caller alone."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="chancery-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make_server(folder):
    made = []

    def make(*arguments, name=None, **options):
        place = folder / (name or f"server-{len(made)}")
        place.mkdir()
        if options.get("user"):
            shutil.chown(place, options["user"])
        made.append(Server(place, *arguments, **options))
        return made[-1]

    make.adopt = made.append
    yield make
    for server in made:
        server.drop()


@pytest.fixture
def server(make_server):
    running = make_server().start()
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture
def admin(server):
    return server.admin()


@pytest.fixture
def signing(admin):
    """An administrator whose server has the P-256 key "k" and lets everybody sign."""
    admin.key()
    admin.policy()
    return admin
