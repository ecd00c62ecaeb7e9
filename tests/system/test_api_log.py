# SPDX-License-Identifier: MIT
"""The log as others read it: checkpoints, tiles, entries, receipts and pages, by this folder's own
reader, by the Go verifier and by `chancery log verify`; that it is complete; and that it survives a
crash."""

import base64
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import pytest

from api import ALLOW_ALL, Api, item, ok, refused, running_world, world
from conftest import SOON, SOURCE, Client, environment
import logformat

GO = "/usr/bin/go"  # Debian's, whose packages of x/mod lie under GOPATH


@pytest.fixture(scope="module")
def vkey(world):
    return ok(world.nobody.get("/v1/hello"))["log_vkey"]


def checkpoint(world, vkey):
    answer = world.nobody.get("/log/checkpoint")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain"), answer
    return logformat.checkpoint(answer.body.decode(), vkey)


def wait_published(world, vkey, at_least=None):
    """Until the checkpoint covers the log as it is now."""
    want = world.log_size() if at_least is None else at_least
    deadline = time.monotonic() + SOON
    while (found := checkpoint(world, vkey))[0] < want:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_the_page_describes_its_own_example():
    data, leaf = logformat.example()
    assert logformat.leaf_hash(data).hex() == leaf
    assert logformat.decode("Entry", data)["subject"] == "k1"


# --- what everybody may read ---


def test_the_checkpoint_grows_and_is_of_what_is_stored(world, vkey):
    before, _ = checkpoint(world, vkey)
    ok(world.admin.sign("k"))
    size, root = wait_published(world, vkey)
    assert size > before
    leaves = [logformat.leaf_hash(world.leaf(i)) for i in range(size)]
    assert logformat.root_of(leaves) == root


def test_the_anchor_holds_the_newest_checkpoint(world, vkey):
    ok(world.admin.sign("k"))
    size, _ = wait_published(world, vkey)
    anchor = (world.server.data / "anchor/checkpoint").read_bytes()
    slots = []
    for at in (0, 4096):
        slot = anchor[at : at + 4096]
        if slot[:8] != b"CHYANCH1":
            continue
        n = int.from_bytes(slot[16:20], "big")
        assert slot[20:52] == hashlib.sha256(slot[8:20] + slot[52 : 52 + n]).digest()
        slots.append((int.from_bytes(slot[8:16], "big"), slot[52 : 52 + n]))
        assert slots[-1][0] % 2 == at // 4096
    assert logformat.checkpoint(max(slots)[1].decode(), vkey)[0] >= size


def tree_hashes(leaves):
    """Hashes of all whole subtrees: level by level."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append(
            [logformat.node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        )
    return levels


def test_tiles_are_those_of_the_specification(world, vkey):
    """Over 65,536 entries would be needed for level 2; levels 0 and 1 are here, full and
    partial."""
    while world.log_size() < 600:
        ok(world.admin.sign_items([item("k", b"%d" % i) for i in range(200)], receipt="none"))
    size, _ = wait_published(world, vkey)
    entries = [world.leaf(i) for i in range(size)]
    levels = tree_hashes([logformat.leaf_hash(entry) for entry in entries])
    for level in (0, 1):
        hashes = levels[8 * level]
        for index in range(len(hashes) // 256 + 1):
            want = hashes[256 * index : 256 * index + 256]
            if not want:
                continue
            for width in {len(want), 1}:
                path = "/log/" + logformat.tile_path(level, index, width)
                answer = world.nobody.get(path)
                assert answer.status == 200, (path, answer)
                assert answer.body == b"".join(want[:width]), path
                if width == 256:
                    assert "max-age" in answer.headers["cache-control"]
    for index in range(size // 256 + 1):
        want = entries[256 * index : 256 * index + 256]
        if want:
            path = "/log/" + logformat.tile_path("entries", index, len(want))
            answer = world.admin.get(path)
            assert answer.status == 200 and logformat.bundle(answer.body) == want, path


@pytest.mark.parametrize(
    "path",
    [
        "0/999",
        "0/000.p/0",
        "0/000.p/256",
        "0/0",
        "0/00000",
        "00/000",
        "9/000",
        "8/000",
        "-1/000",
        "0/x000/000",
        "0/x001",
        "0/999.p/1",
        "entries/999",
        "0/000/",
        "0/000.p/01",
        "0//000",
        "0/000.p",
        "x",
        "0/../0/000",
        "0/000?x=1",
    ],
)
def test_tiles_that_are_none(world, path):
    answer = world.admin.get("/log/tile/" + path)
    assert answer.status in (400, 404), (path, answer)


def test_nothing_past_the_checkpoint_is_served(world, vkey):
    size, _ = wait_published(world, vkey)
    index, width = divmod(size, 256)
    answer = world.nobody.get("/log/" + logformat.tile_path(0, index, width + 1))
    if width + 1 < 256:
        assert answer.status == 404, answer
    refused(world.admin.get(f"/v1/log/{size + 1000}"), 404, "not-found")
    refused(world.admin.get(f"/v1/log/{size + 1000}/receipt"), 404, "not-found")


# --- what needs the right ---


def test_entries_need_the_right(world):
    plain, auditor = world.person("plain"), world.person("auditor", roles=["auditor"])
    for path in ("/log/tile/entries/000.p/1", "/v1/log", "/v1/log/0"):
        assert auditor.get(path).status == 200
        refused(plain.get(path), 403, "forbidden")
        refused(world.nobody.get(path), 401, "unauthenticated")


def test_pages_are_the_leaves(world, vkey):
    ok(world.admin.sign("k", reason="for the page"))
    wait_published(world, vkey)
    page = ok(world.admin.get("/v1/log?limit=5"))
    assert [row["index"] for row in page["entries"]] == [0, 1, 2, 3, 4] and page["next"] == 5
    found, after = [], 0
    while True:
        page = ok(world.admin.get(f"/v1/log?after={after}&limit=1000"))
        found += page["entries"]
        after = page["next"]
        if after >= page["size"]:
            break
    assert [row["index"] for row in found] == list(range(len(found)))
    for row in found:
        assert base64.b64decode(row["entry"]) == world.leaf(row["index"])
        entry, detail = logformat.record(
            base64.b64decode(row["entry"]), base64.b64decode(row.get("detail", ""))
        )
        assert row["kind"] == entry["kind"] and row.get("principal", "") == entry["principal"]
        assert (detail is None) == (entry["detail_sha256"] == "0" * 64)
    assert any(
        "for the page" in str(row)
        or "for the page"
        in str(
            logformat.record(
                base64.b64decode(row["entry"]), base64.b64decode(row.get("detail", ""))
            )
        )
        for row in found[-3:]
    )


def test_filters(world, vkey):
    digest = hashlib.sha256(b"looked for").hexdigest()
    ok(world.admin.sign("k", b"looked for"))
    ok(world.person("plain").sign("e", b"by plain", "ed25519"))
    wait_published(world, vkey)

    def rows(query):
        found, after = [], 0
        while True:
            page = ok(world.admin.get(f"/v1/log?limit=1000&after={after}&{query}"))
            found += page["entries"]
            after = page["next"]
            if after >= page["size"]:
                return found

    found = rows(f"digest={digest}")
    assert [row["kind"] for row in found] == ["sign.intent", "sign.outcome"]
    everything = world.entries()
    for query, name, value in (
        ("key=e", "subject", "e"),
        ("principal=plain", "principal", "plain"),
        ("kind=policy", "kind", "policy"),
    ):
        want = [i for i, (entry, _) in enumerate(everything) if entry[name] == value]
        if name == "subject":
            want = [
                i
                for i in want
                if everything[i][0]["kind"] in ("sign.intent", "sign.outcome", "key", "key.intent")
            ]
        got = [row["index"] for row in rows(query)]
        assert got == want, query


@pytest.mark.parametrize(
    "query",
    [
        "limit=0x5",
        "limit=1001",
        "after=-1",
        "after=x",
        "kind=nothing",
        "digest=xyz",
        "color=red",
        "limit=5&limit=6",
        "after=9223372036854775808",
    ],
)
def test_queries_that_are_wrong(world, query):
    answer = world.admin.get("/v1/log?" + query)
    assert answer.status in (400, 413), answer


# --- receipts ---


def test_receipts_are_for_whom_they_concern(world, vkey):
    plain = world.person("plain")
    result = ok(plain.sign("k"))["results"][0]
    index = result["outcome"]["index"]
    wait_published(world, vkey)
    for who in (plain, world.admin, world.person("auditor", roles=["auditor"])):
        receipt = ok(who.get(f"/v1/log/{index}/receipt"))["receipt"]
        at, _ = logformat.check_receipt(receipt, world.leaf(index), vkey)
        assert at == index
    refused(world.person("stranger").get(f"/v1/log/{index}/receipt"), 404, "not-found")
    refused(plain.get("/v1/log/0/receipt"), 404, "not-found")
    for entry in (world.leaf(index - 1), world.leaf(index) + b"\0", world.leaf(index)[:-1]):
        with pytest.raises(AssertionError):
            logformat.check_receipt(receipt, entry, vkey)


def test_an_old_receipt_stays_good(world, vkey):
    first = ok(world.admin.sign("k", receipt="full"))["results"][0]
    ok(world.admin.sign_items([item("k", b"%d" % i) for i in range(300)]))
    wait_published(world, vkey)
    logformat.check_receipt(first["receipt"], world.leaf(first["outcome"]["index"]), vkey)


# --- all of it, by other programs ---


@pytest.fixture(scope="module")
def command(world):
    """`chancery` as an auditor, with profile and pinned log key of its own."""
    world.person("exporter", roles=["auditor"])
    client = Client(world.folder / "exporter-home", world.server.url)
    client.enroll(world.code_for("exporter"))
    return client


@pytest.fixture
def export(world, command, vkey):
    wait_published(world, vkey)
    folder = world.folder / "export"
    shutil.rmtree(folder, ignore_errors=True)
    command.run("log", "export", folder)
    return folder


def test_the_command_verifies_an_export_offline(world, command, export, tmp_path):
    done = command.run("log", "verify", export, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    receipt = tmp_path / "receipt"
    receipt.write_text(ok(world.admin.sign("k", receipt="full"))["results"][0]["receipt"])
    done = command.run("log", "verify", export, "--known", receipt, check=False)
    assert done.returncode == 1, "the receipt is of a log that is longer: the export lacks its tail"
    for path in sorted(export.rglob("*")):
        if path.is_file() and "entries" in str(path):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
            break
    done = command.run("log", "verify", export, check=False)
    assert done.returncode == 1, done.stdout


def test_the_go_verifier_agrees(world, export, vkey, tmp_path):
    """golang.org/x/mod knows nothing of us (tests/interop/tlog)."""
    if not pathlib.Path(GO).exists():
        pytest.skip("golang-go is not installed")
    receipts = []
    for n, index in enumerate((0, 1, checkpoint_of(export) - 1)):
        receipts.append(tmp_path / f"receipt-{n}")
        receipts[-1].write_text(ok(world.admin.get(f"/v1/log/{index}/receipt"))["receipt"])
    program = tmp_path / "verify"
    go = environment(
        GO111MODULE="off",
        GOPATH="/usr/share/gocode",
        GOFLAGS="",
        HOME=str(tmp_path),
        GOCACHE=str(tmp_path / "cache"),
    )
    for words in (
        [GO, "build", "-o", program, SOURCE / "tests/interop/tlog/verify.go"],
        [program, export, vkey, *receipts],
    ):
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            check=False,
            timeout=SOON * 5,
            env=go,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "3 receipts" in done.stdout


def checkpoint_of(export):
    return int((export / "checkpoint").read_text().splitlines()[1])


# --- completeness ---


def check_complete(world, answered):
    """Every answered signature stands in the log once, every allowed intent has one outcome."""
    entries = [entry for entry, _ in world.entries()]
    outcomes, signatures = {}, {}
    for index, entry in enumerate(entries):
        if entry["outcome"] == "none":
            continue
        intent = entries[entry["intent_index"]]
        assert entry["intent_index"] < index
        assert entry["intent_index"] not in outcomes, f"{index}: a second outcome"
        outcomes[entry["intent_index"]] = index
        assert intent["kind"] in ("sign.intent", "key.intent") and intent["decision"] == "allowed"
        if entry["kind"] == "sign.outcome":
            for name in (
                "request_id",
                "item",
                "subject",
                "key_sha256",
                "algorithm",
                "digest",
                "principal",
            ):
                assert entry[name] == intent[name], (index, name)
            if entry["outcome"] == "done":
                signatures.setdefault(entry["result_sha256"], []).append(index)
    for index, entry in enumerate(entries):
        is_owed = entry["kind"] in ("sign.intent", "key.intent") and entry["decision"] == "allowed"
        assert (index in outcomes) == is_owed, (index, entry)
    times = [entry["time"] for entry in entries]
    assert times == sorted(times)
    for digest, signature, index in answered:
        found = signatures[hashlib.sha256(signature).hexdigest()]
        assert found == [index] and entries[index]["digest"] == digest
    return entries


def test_the_log_is_complete(world):
    """Many at once, of everything: signatures of all kinds, refusals, administration."""
    world.admin.key("short-lived")
    answered, lock, failures = [], threading.Lock(), []

    def sign_some(number):
        api = Api(world, world.admin.identity)
        try:
            for i in range(15):
                data = b"%d/%d" % (number, i)
                key, algorithm = (("k", "ecdsa-sha256"), ("e", "ed25519"), ("r", "rsa-pss-sha256"))[
                    (number + i) % 3
                ]
                items = [item(key, data + b"%d" % n, algorithm) for n in range(1 + i % 4)]
                items.append(item("nothing", data))
                answer = api.sign_items(items)
                for n, result in enumerate(ok(answer)["results"][:-1]):
                    digest = hashlib.sha256(data + b"%d" % n).hexdigest()
                    with lock:
                        answered.append(
                            (
                                digest,
                                base64.b64decode(result["signature"]),
                                result["outcome"]["index"],
                            )
                        )
        except Exception as problem:
            failures.append(problem)
        finally:
            api.close()

    threads = [threading.Thread(target=sign_some, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for i in range(6):
        ok(world.admin.post("/v1/keys/short-lived/disable"))
        world.admin.sign("short-lived")
        ok(world.admin.post("/v1/keys/short-lived/enable"))
        world.admin.policy(ALLOW_ALL)
        ok(world.admin.post("/v1/keys/k/development-certificate", {}))
        world.admin.post("/v1/users", {"name": f"made-{i}"})
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len(answered) == 6 * sum(1 + i % 4 for i in range(15))
    check_complete(world, answered)


# row 16
def test_the_log_is_complete_after_a_crash(vkey):
    """The signer is killed again and again while it signs; what was answered is in the log, and
    what was begun is closed."""
    assert vkey
    with running_world() as made:
        made.admin.key("k")
        made.admin.policy()
        answered, stop, lock = [], threading.Event(), threading.Lock()

        def sign_on(number):
            api, i = Api(made, made.admin.identity), 0
            while not stop.is_set():
                i += 1
                data = b"%d:%d" % (number, i)
                try:
                    answer = api.sign_items([item("k", data + b"%d" % n) for n in range(5)])
                except OSError:
                    api.close()
                    continue
                if answer.status != 200:
                    assert answer.status in (503, 504), answer
                    stop.wait(0.02)
                    continue
                with lock:
                    for n, result in enumerate(answer.json["results"]):
                        if result.get("is_signed"):
                            answered.append(
                                (
                                    hashlib.sha256(data + b"%d" % n).hexdigest(),
                                    base64.b64decode(result["signature"]),
                                    result["outcome"]["index"],
                                )
                            )
            api.close()

        threads = [threading.Thread(target=sign_on, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            count = len(answered)
            deadline = time.monotonic() + SOON
            while len(answered) < count + 50 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(answered) >= count + 50, made.server.log()
            os.kill(made.server.pid_of("signer"), signal.SIGKILL)
            made.server.wait_ready()
        stop.set()
        for thread in threads:
            thread.join()
        made.server.wait_ready()
        entries = check_complete(made, answered)
        assert sum(entry["kind"] == "server.start" for entry in entries) == 5


# --- the store is put back to an older one ---


def test_an_older_store_is_refused(vkey):
    assert vkey
    with running_world() as made:
        made.admin.key("k")
        made.admin.policy()
        made.stop()
        older = made.folder / "older.db"
        shutil.copy2(made.store, older)
        made.server.start()
        ok(made.admin.sign("k", receipt="full"))
        made.stop()
        newest = made.folder / "newest.db"
        shutil.copy2(made.store, newest)
        owner = made.store.stat()

        def put(path):
            for part in made.store.parent.iterdir():
                part.unlink()
            shutil.copy2(path, made.store)
            if os.geteuid() == 0:
                os.chown(made.store, owner.st_uid, owner.st_gid)

        put(older)
        made.server.launch()
        line = made.server.wait_event("signer.failed")
        assert "older copy" in str(line) and "--accept-older-store" in str(line)
        made.server.signal(signal.SIGTERM)
        made.server.wait_end()
        put(newest)
        made.server.start()
        ok(made.admin.sign("k"))
