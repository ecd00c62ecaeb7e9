# SPDX-License-Identifier: MIT
"""More than there is: ten times the load, and no descriptors left."""

import os
import pathlib
import resource
import subprocess
import time

import pytest

from api import Api, item, ok, running_world
from checker import Load, check
from conftest import BUILD, SLOW, environment

LIMIT = 16  # calls of one principal at once
TIMES = 10


@pytest.fixture
def world():
    with running_world(max_calls_per_principal=LIMIT) as made:
        made.admin.key("k")
        made.admin.policy()
        yield made


def rss_mb(world):
    pages = [int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
             for pid in world.server.processes()]
    return sum(pages) * resource.getpagesize() / 1048576


def crowd(world, principal, seconds):
    """Ten times as many connections as calls that one principal may have at once."""
    host, port = world.address
    return subprocess.Popen(
        [BUILD / "bench/bench-load", "--address", f"{host}:{port}", "--ca", world.ca,
         "--identity", principal.identity.file, "--key", "k",
         "--connections", str(TIMES * LIMIT), "--run-ms", str(int(seconds * 1000))],
        stdout=subprocess.PIPE, text=True, env=environment())


# row 27
def test_ten_times_the_load(world):
    greedy = world.person("greedy")
    ok(greedy.sign("k"))
    with Load(world, clients=2) as load:  # as administrator: another principal
        load.more()
        before = rss_mb(world)
        process = crowd(world, greedy, 3 * SLOW)
        assert process.stdout.readline() == "begin\n"
        count, began = load.count(), time.monotonic()
        load.more(60)  # it keeps its share while the others come in crowds
        assert process.poll() is None, "the crowd was gone before it was measured"
        rate = (load.count() - count) / (time.monotonic() - began)
        during = rss_mb(world)
        out, _ = process.communicate(timeout=120 * SLOW)
    assert process.returncode == 0
    assert load.refusals() == 0, "a second client pays for the first"
    assert '"429"' in out and '"200"' in out and '"lost": 0' in out, out
    # A sanitizer keeps what was freed.
    assert world.server.is_loose or during < before + 64, "memory grows with the load"
    assert rate > 0
    check_log(world, load)


def check_log(world, load):
    """The crowd's signatures are in the log as well, and whole."""
    world.server.wait_ready()
    check(world, load)


# row 27
def test_who_is_refused_is_told_when_to_come_again(world):
    greedy = world.person("greedy")
    process = crowd(world, greedy, 2 * SLOW)
    assert process.stdout.readline() == "begin\n"
    api = Api(world, greedy.identity)
    answers = [api.sign_items([item("k", b"%d" % n)]) for n in range(40)]
    process.communicate(timeout=120 * SLOW)
    refused = [answer for answer in answers if answer.status != 200]
    assert refused, "never over its limit"
    for answer in refused:
        assert answer.status in (429, 503), answer
        assert int(answer.headers["retry-after"]) > 0, answer
    api.close()


class few_descriptors:
    """A process may open none beyond those that it has."""

    def __init__(self, world, role, spare=0):
        self.pid = world.server.pid_of(role)
        self.spare = spare

    def __enter__(self):
        used = [int(fd.name) for fd in pathlib.Path(f"/proc/{self.pid}/fd").iterdir()]
        limits = pathlib.Path(f"/proc/{self.pid}/limits").read_text().splitlines()
        self.before = next(line.split()[3] for line in limits if line.startswith("Max open files"))
        self._set(max(used) + 1 + self.spare)

    def __exit__(self, *_):
        self._set(self.before)

    def _set(self, number):
        """As the process's own user, who may, when the others are not ours."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        user, group = (int(status.split(f"{name}:")[1].split()[0]) for name in ("Uid", "Gid"))
        own = {} if user == os.geteuid() else {"user": user, "group": group, "extra_groups": []}
        subprocess.run(["prlimit", "--pid", str(self.pid), f"--nofile={number}:"], check=True,
                       capture_output=True, **own)


def test_no_descriptors_for_connections(world):
    """Those who are in go on; who comes waits until there is room."""
    with Load(world) as load:
        load.more()
        late = Api(world, world.admin.identity)
        with few_descriptors(world, "front"):
            connecting = subprocess.Popen(
                ["curl", "-sk", "--max-time", str(int(60 * SLOW)), "-o", "/dev/null", "-w",
                 "%{http_code}", f"{world.server.url}/healthz"],
                stdout=subprocess.PIPE, text=True, env=environment())
            world.server.wait_event("accept.failed")
            load.more()
        assert connecting.communicate(timeout=60 * SLOW)[0] == "200"
        ok(late.sign("k"))
        late.close()
    assert load.refusals() == 0
    check(world, load)


@pytest.mark.parametrize("role", ["signer", "token", "query", "inspect"])
def test_no_descriptors_for_the_others(world, role):
    """What has all it needs goes on; what inspect cannot read is refused, and read later."""
    content = item("k", b"shown", content="c2hvd24=")
    with Load(world) as load:
        load.more()
        with few_descriptors(world, role):
            load.more()
            answer = world.admin.sign_items([content])
            assert answer.status in ((503,) if role == "inspect" else (200,)), answer
            assert world.nobody.get("/healthz").status == 200
        ok(world.admin.sign_items([content]))
        load.more()
    assert load.refusals() == 0
    check(world, load)
