# SPDX-License-Identifier: MIT
"""What the rows of the benchmark run against: servers of the build, and the token without one.

    Bench      all of it, in a folder of its own; measure() runs one row once
    Token      a SoftHSM token for those who are linked to the module
    Remote     the same token behind p11-kit's remoting
    Target     a server and its administrator, as the tests of the whole make them
    Agent      the agent of that administrator, for tools that share it
"""

import contextlib
import functools
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(os.environ.get("CHANCERY_SOURCE",
                                     pathlib.Path(__file__).resolve().parent.parent))
BUILD = pathlib.Path(os.environ.get("CHANCERY_BUILD", SOURCE / "build/release")).resolve()
os.environ["CHANCERY_BUILD"] = str(BUILD)
sys.path.insert(0, str(SOURCE / "tests/system"))

from api import World  # pylint: disable=wrong-import-position
from conftest import Server, environment  # pylint: disable=wrong-import-position

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
P11_KIT_CLIENT = "/usr/lib/{}/pkcs11/p11-kit-client.so"
P11_KIT_SERVER = "/usr/libexec/p11-kit/p11-kit-server"
WARM_UP_MS = 200
LIMIT_S = 60  # of one measurement; never reached
STATUS_S = 0.6  # front asks the signer for its figures four times a second

# name: key type of the server, its algorithm, pkcs11-tool's name of the type
ALGORITHMS = {
    "p256": ("p256", "ecdsa-sha256", "EC:prime256v1"),
    "rsa3072": ("rsa-3072", "rsa-pkcs1-sha256", "rsa:3072"),
    "ed25519": ("ed25519", "ed25519", "EC:edwards25519"),
}


def policy(rules):
    """Everybody may sign, but with the key "refused"; the others match nothing that is asked."""
    lines = ["version: 1", "rules:",
             "  - name: all-may", "    effect: allow",
             "  - name: not-with-this", "    effect: deny", "    match: {key: refused}"]
    for number in range(rules - 1):
        lines += [f"  - name: rule-{number}", "    effect: allow",
                  f"    match: {{key: product-{number}-*, principal: builder-{number}}}"]
    return "\n".join(lines) + "\n"


def run_json(program, env=None, at_begin=None, **options):
    """One of the load programs; its answer. `at_begin` is called when it begins to measure."""
    words = [word for name, value in options.items()
             for word in (f"--{name.replace('_', '-')}", str(value))]
    with subprocess.Popen([str(program), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=environment(**(env or {}))) as process:
        if at_begin is not None and process.stdout.readline() == "begin\n":
            at_begin()
        out, error = process.communicate(timeout=LIMIT_S)
    if process.returncode != 0:
        raise RuntimeError(f"{program}: {error}")
    return json.loads(out)


class Token:
    """Keys are named like the algorithm."""

    def __init__(self, folder):
        self.folder = folder
        self.pin_file = folder / "pin"
        (folder / "tokens").mkdir(parents=True)
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
        self.env = {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}
        pin = secrets.token_hex(8)
        self.pin_file.write_text(pin)
        self.pin_file.chmod(0o600)
        self._tool("softhsm2-util", "--init-token", "--free", "--label", "bench", "--pin", pin,
                   "--so-pin", pin)
        for name, (_, _, kind) in ALGORITHMS.items():
            self._tool("pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", pin,
                       "--keypairgen", "--key-type", kind, "--label", name)

    def _tool(self, *words):
        subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_S,
                       env=environment(**self.env))


class Remote:
    """p11-kit's server in front of the token; it ends when its standard input does."""

    def __init__(self, token):
        self.socket = token.folder / "p11-kit.sock"
        self.process = subprocess.Popen(
            [P11_KIT_SERVER, "--foreground", "--name", str(self.socket), "--provider", SOFTHSM,
             "pkcs11:token=bench"],
            env=environment(**token.env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + LIMIT_S
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("p11-kit-server did not start")
            time.sleep(0.01)
        self.env = {"P11_KIT_SERVER_ADDRESS": f"unix:path={self.socket}"}

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=LIMIT_S)


class Target:
    """A server with one key of each kind, and "refused", which policy lets nobody use."""

    def __init__(self, build, folder, settings):
        folder.mkdir()
        folder.chmod(0o755)
        self.server = Server(folder, program=build / "src/supervisor/chanceryd")
        for name, value in {"denials_per_minute": 1000000, **settings}.items():
            self.server.set(name, value)
        try:
            self._prepare()
        except BaseException:
            self.server.drop()
            raise

    def _prepare(self):
        self.world = World(self.server.start())
        for name, (kind, _, _) in ALGORITHMS.items():
            self.world.admin.key(name, kind)
        self.world.admin.key("refused", "p256")
        self.rules = None
        self.counted = self.counters()

    def use_policy(self, rules):
        if self.rules != rules:
            self.world.admin.policy(policy(rules))
            self.rules = rules
            self.counted = self.counters()

    def counters(self):
        """Log entries and commits, as the signer last told front."""
        time.sleep(STATUS_S)
        text = self.world.admin.get("/metrics").body.decode()
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
        return [int(found[f"chancery_{name}"]) for name in ("log_entries", "commits_total")]

    def records_per_commit(self):
        before, self.counted = self.counted, self.counters()
        entries, commits = (after - at for after, at in zip(self.counted, before))
        return entries / commits if commits else 0.0

    def pids(self):
        return {self.server.process.pid: "supervisor", **self.server.processes()}

    def memory_mb(self):
        """(RSS, PSS) of all processes; pages that several share count once in PSS."""
        sums = {"Rss": 0, "Pss": 0}
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in sums:
                    sums[name] += int(value.split()[0])
        return sums["Rss"] / 1024, sums["Pss"] / 1024

    def cpu_ns(self):
        spent = {}
        for pid, role in self.pids().items():
            spent.setdefault(role, 0)
            spent[role] += int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        return spent

    def stop(self):
        self.world.stop()


class Agent:
    """`chancery agent`; its log ends when it does, so that reading it is waiting for that."""

    def __init__(self, build, folder, env):
        self.socket = folder / "agent" / "agent.sock"
        self.process = subprocess.Popen(
            [str(build / "src/cli/chancery"), "agent", "--socket", str(self.socket)],
            env=environment(**env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if '"agent.ready"' in line:
                return
        raise RuntimeError(f"the agent did not start: {lines}")

    def stop(self):
        self.process.terminate()
        self.process.stderr.read()
        self.process.wait(timeout=LIMIT_S)


class Bench:
    """A context; each part is made when a row first needs it, and all is gone at the end."""

    def __init__(self, build, folder, run_ms, settings):
        self.settings = settings
        self.build = build
        self.run_ms = run_ms
        self.parent = folder
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="chancery-bench-", dir=self.parent))
        self.stack.callback(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _kept(self, made):
        self.stack.callback(made.stop)
        return made

    @functools.cached_property
    def token(self):
        return Token(self.folder / "token")

    @functools.cached_property
    def remote(self):
        return self._kept(Remote(self.token))

    @functools.cached_property
    def default(self):
        return self._kept(Target(self.build, self.folder / "default", self.settings))

    @functools.cached_property
    def verifying(self):
        return self._kept(Target(self.build, self.folder / "verifying",
                                 {**self.settings, "verify_signatures": "true"}))

    def at_rest(self):
        rss, pss = self.default.memory_mb()
        return {"name": "at-rest", "algorithm": None, "via": "at-rest", "connections": 0,
                "batch": 0, "verify_after_sign": False, "per_second": 0, "p50_ms": 0, "p99_ms": 0,
                "rss_mb": rss, "pss_mb": pss, "ratio_to_raw": None, "ratio_to_limit": None}

    def measure(self, row):
        return {"raw": self._raw, "limit": self._limit, "p11-kit": self._p11_kit,
                "https": self._https, "refused": self._https, "module": self._module,
                "agent": self._through_agent}[row.via](row)

    # --- without a server ---

    def _sign(self, row, module, processes, threads, **more):
        made = run_json(self.build / "bench/bench-raw", module=module, key=row.algorithm,
                        algorithm=row.algorithm, processes=processes, threads=threads,
                        warm_up_ms=WARM_UP_MS, run_ms=self.run_ms, **more)
        del made["signatures"]
        return {**made, "rss_mb": 0.0}

    def _raw(self, row):
        return self._sign(row, SOFTHSM, 1, row.connections, token="bench",
                          pin_file=self.token.pin_file, env=self.token.env)

    def _limit(self, row):
        return self._sign(row, SOFTHSM, row.connections, 1, copy=1, token="bench",
                          pin_file=self.token.pin_file, env=self.token.env)

    def _p11_kit(self, row):
        triplet = subprocess.run(["gcc", "-print-multiarch"], check=True, capture_output=True,
                                 text=True).stdout.strip()
        return self._sign(row, P11_KIT_CLIENT.format(triplet), row.connections, 1, token="bench",
                          pin_file=self.token.pin_file, env=self.remote.env)

    # --- through a server ---

    def _target(self, row):
        target = self.verifying if row.is_verified else self.default
        target.use_policy(row.rules)
        return target

    def _https(self, row):
        target = self._target(row)
        host, port = target.world.address
        before = {}
        made = run_json(self.build / "bench/bench-load", address=f"{host}:{port}",
                        ca=target.world.ca, identity=target.world.admin.identity.file,
                        at_begin=lambda: before.update(target.cpu_ns()),
                        key="refused" if row.via == "refused" else row.algorithm,
                        algorithm=ALGORITHMS[row.algorithm][1], connections=row.connections,
                        batch=row.batch, warm_up_ms=WARM_UP_MS, run_ms=self.run_ms)
        spent = {role: ns - before[role] for role, ns in target.cpu_ns().items()}
        expected = {"403"} if row.via == "refused" else {"200"}
        if set(made["answers"]) != expected or made["lost"]:
            raise RuntimeError(f"{row.name}: {made}")
        return self._https_figures(row, target, made, spent)

    def _https_figures(self, row, target, made, spent):
        asked = made["per_second"] * self.run_ms / 1000
        cpu = {f"cpu_us_{role}": spent[role] / 1000 / asked
               for role in ("front", "signer", "token")}
        rss, pss = target.memory_mb()
        return {"per_second": made["per_second"], "p50_ms": made["p50_ms"],
                "p99_ms": made["p99_ms"], "rss_mb": rss, "pss_mb": pss,
                "records_per_commit": target.records_per_commit(), **cpu,
                "cpu_us_client": made["client_cpu_us"] / row.batch}

    def _client_env(self, target):
        identity = str(target.world.admin.identity.file)
        return {"HOME": str(self.folder), "CHANCERY_HELPER": str(self.build / "src/cli/chancery"),
                "CHANCERY_URL": target.server.url, "CHANCERY_CA": str(target.world.ca),
                "CHANCERY_CERT": identity, "CHANCERY_KEY": identity}

    def _by_module(self, row, target, processes, threads, env):
        made = self._sign(row, self.build / "src/module/chancery-pkcs11.so", processes, threads,
                          env=env)
        rss, pss = target.memory_mb()
        return {**made, "rss_mb": rss, "pss_mb": pss,
                "records_per_commit": target.records_per_commit()}

    def _module(self, row):
        """Threads of one program that is linked to ours, which starts its private helper."""
        target = self._target(row)
        return self._by_module(row, target, 1, row.connections, self._client_env(target))

    @functools.cached_property
    def agent(self):
        return self._kept(Agent(self.build, self.folder, self._client_env(self.default)))

    def _through_agent(self, row):
        """Programs that are linked to ours, and share an agent that runs."""
        target = self._target(row)
        env = {"HOME": str(self.folder), "CHANCERY_AGENT_SOCK": str(self.agent.socket)}
        return self._by_module(row, target, row.connections, 1, env)
