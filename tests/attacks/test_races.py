# SPDX-License-Identifier: MIT
"""What changes while a request waits counts (threat 32), and what cannot be logged is not signed
(threat 15)."""

import base64
import hashlib
import os
import signal
import subprocess
import threading
import time

import pytest

from api import Api, Identity, World, item, ok, refused, running_world
from conftest import SOON, Server
from test_api_log import check_complete

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def world():
    with running_world(token_timeout_ms=30000) as made:
        made.admin.key("k")
        made.admin.policy()
        yield made


class stopped_tokens:
    """The token processes stand still: whatever is asked of them waits."""

    def __init__(self, world):
        self.pids = [pid for pid, role in world.server.processes().items() if role == "token"]

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


def sign_while_stopped(world, key, algorithm, change):
    """Ask for signatures, make the change while they wait for the token, and let the token go
    on."""
    answers = []
    before = world.log_size()

    def ask():
        api = Api(world, world.admin.identity)
        answers.append(api.sign_items([item(key, b"%d" % i, algorithm) for i in range(400)]))
        api.close()

    thread = threading.Thread(target=ask)
    with stopped_tokens(world):
        thread.start()
        deadline = time.monotonic() + SOON
        while world.log_size() < before + 400:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)  # the intents are durable; let the first batches reach the tokens
        change()
    thread.join()
    return answers[0], [entry for entry, _ in world.entries(before)]


@pytest.mark.parametrize(
    "kind,algorithm", [("p256", "ecdsa-sha256"), ("rsa-3072", "rsa-pkcs1-sha256")]
)
# row 32
def test_a_key_that_is_disabled_while_requests_wait(world, kind, algorithm):
    """When `disable` has been answered, no signature leaves, not even of what the token has in
    hand."""
    name = f"raced-{kind}"
    world.admin.key(name, kind)
    changed = []

    def disable():
        changed.append(ok(world.admin.post(f"/v1/keys/{name}/disable"))["state"])

    answer, entries = sign_while_stopped(world, name, algorithm, disable)
    assert changed == ["disabled"]
    refused(answer, 409, "wrong-state")
    assert not any(result.get("is_signed") or "signature" in result for result in answer.result)
    outcomes = [entry["outcome"] for entry in entries if entry["kind"] == "sign.outcome"]
    assert outcomes == ["failed"] * 400
    ok(world.admin.post(f"/v1/keys/{name}/enable"))
    ok(world.admin.sign(name, algorithm=algorithm))


# row 32
def test_a_key_that_is_destroyed_while_requests_wait(world):
    world.admin.key("doomed")
    answers = []

    def ask():
        answers.append(world.admin.post("/v1/keys/doomed/destroy", {"confirm": "doomed"}))

    destroying = threading.Thread(target=ask)

    def destroy():
        """It is answered when every token process has dropped the key: they stand still."""
        size = world.log_size()
        destroying.start()
        deadline = time.monotonic() + SOON
        while world.log_size() == size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not answers

    answer, entries = sign_while_stopped(world, "doomed", "ecdsa-sha256", destroy)
    destroying.join()
    assert ok(answers[0])["state"] == "destroyed"
    refused(answer, 409, "wrong-state")
    assert {entry["outcome"] for entry in entries if entry["kind"] == "sign.outcome"} == {"failed"}
    refused(world.admin.sign("doomed"), 409, "wrong-state")


# row 32
def test_who_is_disabled_is_out_at_once(world):
    person = world.person("racer")
    for _ in range(10):
        ok(world.admin.put("/v1/users/racer", {"is_disabled": {"value": True}}))
        refused(person.sign("k"), 401, "unauthenticated")
        ok(world.admin.put("/v1/users/racer", {"is_disabled": {"value": False}}))
        ok(person.sign("k"))


def test_one_code_makes_one_client(world):
    """Two who come at the same moment with the same code: one of them gets in."""
    world.person("twins")
    for _ in range(5):
        code = world.code_for("twins").split(".")[2]
        answers, barrier = [], threading.Barrier(6)

        def enroll(number, code=code, answers=answers, barrier=barrier):
            api = Api(world)
            csr = Identity(world.folder, f"twin-{number}").csr()
            barrier.wait()
            answers.append(api.post("/v1/enroll", {"code": code, "csr": csr}).status)
            api.close()

        threads = [threading.Thread(target=enroll, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers.count(200) == 1 and set(answers) <= {200, 401, 409}, answers


def test_one_name_makes_one_key(world):
    answers, barrier = [], threading.Barrier(6)

    def create():
        api = Api(world, world.admin.identity)
        barrier.wait()
        answers.append(api.post("/v1/keys", {"name": "contested", "type": "p256"}))
        api.close()

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200, 409, 409, 409, 409, 409], answers


def test_two_policies_at_once_have_two_numbers(world):
    answers, barrier = [], threading.Barrier(4)
    number = ok(world.admin.get("/v1/policies/0"))["number"]

    def apply(n):
        api = Api(world, world.admin.identity)
        barrier.wait()
        text = f"version: 1\nrules:\n  - name: by-{n}\n    effect: allow\n"
        answers.append(api.post("/v1/policies", {"policy": text, "expected_number": number}))
        api.close()

    threads = [threading.Thread(target=apply, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [answer for answer in answers if answer.status == 200]
    assert len(won) == 1 and won[0].json["number"] == number + 1
    assert all(answer.status in (200, 409) for answer in answers), answers
    world.admin.policy()


# --- the log cannot be written (15) ---


@needs_root
# row 15
def test_a_full_disk_stops_signing(tmp_path):
    """Nothing is signed that cannot be logged, and it goes on when there is room again."""
    folder = tmp_path / "small"
    folder.mkdir()
    for place in (folder, *folder.parents):
        if str(place).startswith("/tmp/") and place != tmp_path.parents[-2]:
            place.chmod(place.stat().st_mode | 0o011)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0755", "none", folder], check=True)
    server = None
    try:
        server = Server(folder)
        server.set("denials_per_minute", 1000000)
        world = World(server.start())
        world.admin.key("k")
        world.admin.policy()
        ok(world.admin.sign("k"))
        filler = folder / "filler"
        with open(filler, "wb") as out:
            try:
                while True:
                    out.write(b"x" * 65536)
                    out.flush()
            except OSError:
                pass
        signed, refusals = [], 0
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and refusals < 5:
            try:
                answer = world.admin.sign_items([item("k", b"%d" % i) for i in range(200)])
            except OSError:
                world.admin.close()
                continue
            if answer.status == 200:
                signed += [
                    (base64.b64decode(r["signature"]), r["outcome"]["index"])
                    for r in answer.json["results"]
                ]
            else:
                assert answer.status in (500, 503), answer
                assert "signature\":" not in answer.body.decode()
                refusals += 1
                time.sleep(0.2)
        assert refusals >= 5, "the disk never got full"
        filler.unlink()
        server.wait_ready()
        deadline = time.monotonic() + SOON
        while (answer := world.admin.sign("k")).status != 200:
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.2)
        entries = check_complete(world, [])
        for signature, index in signed:
            assert entries[index]["result_sha256"] == hashlib.sha256(signature).hexdigest()
        world.stop()
    finally:
        if server is not None:
            server.drop()
        time.sleep(0.2)
        subprocess.run(["umount", "-l", folder], check=True)
