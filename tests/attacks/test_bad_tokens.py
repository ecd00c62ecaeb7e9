# SPDX-License-Identifier: MIT
"""Tokens that are gone, that are not the one they were, that hang, die or lie: never another key in
their place, never a signature that is not verified and logged (threats 19, 20, 21, 28, 30)."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from api import Api, item, ok, refused, running_world
from conftest import BUILD, SOON, environment
from test_api_log import check_complete

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


def give_to(folder, like):
    """Everything in a folder belongs to whom `like` belongs to."""
    if os.geteuid() != 0:
        return
    info = like.stat() if hasattr(like, "stat") else like
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            os.chown(os.path.join(place, name), info.st_uid, info.st_gid)


@pytest.fixture
def world():
    with running_world() as made:
        made.admin.key("k")
        made.admin.policy()
        yield made


# --- the token is gone (21) ---


# row 21
def test_a_token_that_is_gone_is_not_replaced(world):
    ok(world.admin.sign("k"))
    world.stop()
    tokens = world.server.data / "tokens/soft/tokens"
    away = world.folder / "away"
    shutil.move(tokens, away)
    tokens.mkdir(mode=0o700)
    give_to(tokens.parent, world.server.data / "tokens/soft")
    world.server.launch()
    world.server.wait_event("server.starting")
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        entries = world.entries()
        assert not any(
            e["kind"] == "sign.outcome" and e["outcome"] == "done" and e["time"] / 1e6 > time.time()
            for e, _ in entries
        )
        assert list(tokens.iterdir()) == [], "a token was made in the place of the one that is gone"
        time.sleep(0.5)
    world.server.signal(signal.SIGTERM)
    world.server.wait_end()
    tokens.rmdir()
    shutil.move(away, tokens)
    world.server.start()
    ok(world.admin.sign("k"))


# row 21
def test_a_token_of_the_same_name_with_other_keys_signs_nothing(world):
    """Somebody puts a token of his own in the place: same label, same PIN. It is not the one."""
    ok(world.admin.sign("k"))
    world.stop()
    folder = world.server.data / "tokens/soft"
    pins = [
        (world.server.data / f"secrets/soft.{name}").read_text().strip()
        for name in ("pin", "so-pin")
    ]
    owner = folder.stat()
    shutil.move(folder / "tokens", world.folder / "away")
    (folder / "tokens").mkdir(mode=0o700)
    subprocess.run(
        [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            "soft",
            "--pin",
            pins[0],
            "--so-pin",
            pins[1],
        ],
        check=True,
        capture_output=True,
        timeout=SOON,
        env=environment(SOFTHSM2_CONF=str(folder / "softhsm2.conf")),
    )
    give_to(folder, owner)
    world.server.launch()
    ready = world.server.wait_event("server.ready")
    world.server.url = "https://" + ready["address"].split()[0]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            answer = world.admin.sign("k")
        except OSError:
            world.admin.close()
            time.sleep(0.2)
            continue
        assert answer.status >= 500, answer
        assert "signature" not in str(answer.json.get("result", ""))
        if answer.status != 503:
            break
        time.sleep(0.2)
    listed = subprocess.run(
        ["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", pins[0], "-O"],
        check=True,
        capture_output=True,
        text=True,
        timeout=SOON,
        env=environment(SOFTHSM2_CONF=str(folder / "softhsm2.conf")),
    ).stdout
    assert (
        "@log" not in listed and "@client-ca" not in listed
    ), "keys were made anew in a strange token"
    world.admin.close()
    world.server.signal(signal.SIGKILL)
    world.server.wait_end()
    shutil.rmtree(folder / "tokens")
    shutil.move(world.folder / "away", folder / "tokens")
    give_to(folder, owner)
    world.server.start()
    ok(world.admin.sign("k"))


# row 30
def test_a_module_with_another_hash_is_not_loaded(world):
    """What would run in the token process is what the administrator looked at (30)."""
    world.stop()
    world.server.set("module_sha256", hashlib.sha256(b"another module").hexdigest())
    world.server.launch()
    time.sleep(3)
    log = world.server.log()
    assert "SHA-256" in log or "sha256" in log, log
    world.server.signal(signal.SIGTERM)
    world.server.wait_end()
    with open(SOFTHSM, "rb") as module:
        world.server.set("module_sha256", hashlib.sha256(module.read()).hexdigest())
    world.server.start()
    ok(world.admin.sign("k"))


@pytest.fixture
def two_tokens(world):
    """A second token, "hsm", by a module in a file of its own, holds key "x"; afterwards "soft" has
    all of its keys as well, as a clone has."""
    world.stop()
    tokens, folder = world.server.data / "tokens", world.server.data / "tokens/hsm"
    subprocess.run(["cp", "-a", tokens / "soft", folder], check=True)
    conf = folder / "softhsm2.conf"
    conf.write_text(conf.read_text().replace(str(tokens / "soft"), str(folder)))
    module = world.folder / "libhsm.so"
    shutil.copy(SOFTHSM, module)
    text = world.server.config.read_text()
    entry = f'''-
  name: "hsm"
  module: "{module}"
  slot_label: "soft"
  pin_file: "{world.server.data}/secrets/soft.pin"
  directory: "{folder}"
  software: true

'''
    place = text.index("# Where a new key is made when nothing is said.")
    world.server.config.write_text(text[:place] + entry + text[place:])
    world.server.start()
    world.admin.key("x", token="hsm")
    ok(world.admin.sign("x"))
    world.stop()
    shutil.rmtree(tokens / "soft/tokens")
    subprocess.run(["cp", "-a", folder / "tokens", tokens / "soft/tokens"], check=True)
    return world, module


def test_a_module_that_is_gone_is_not_replaced_by_another_token(two_tokens):
    """Row 21: the key of the token whose module is gone signs nothing, though another token holds
    the very same key; what is the other token's goes on."""
    world, module = two_tokens
    away = module.with_suffix(".away")
    module.rename(away)
    world.server.launch()  # nobody is told that all is well
    assert world.server.wait_event("token.start_failed")["token"] == "hsm"
    assert world.server.wait_end() != 0
    away.rename(module)
    world.server.start()
    ok(world.admin.sign("x"))
    module.rename(away)  # while it runs, it is needed again when its processes end
    for pid, role in world.server.processes().items():
        if role == "token":
            os.kill(pid, signal.SIGKILL)
    world.server.wait_event("token.start_failed")
    deadline = time.monotonic() + SOON
    while (answer := world.admin.sign("k")).status != 200:
        assert answer.status in (502, 503, 504) and time.monotonic() < deadline, answer
        time.sleep(0.1)
    size = world.log_size()
    for _ in range(3):
        answer = world.admin.sign("x")
        assert answer.status in (502, 503, 504), answer
        assert b'"signature"' not in answer.body
    assert not [e for e, _ in world.entries(size) if e.get("outcome") == "done"]
    away.rename(module)
    deadline = time.monotonic() + SOON
    while (answer := world.admin.sign("x")).status != 200:
        assert answer.status in (502, 503, 504) and time.monotonic() < deadline, answer
        time.sleep(0.1)


# --- the PIN (19) ---


# row 19
def test_a_wrong_pin_is_tried_once(world):
    """A token that locks itself after some tries must not be locked by restarts."""
    world.stop()
    pin = world.server.data / "secrets/soft.pin"
    right = pin.read_bytes()
    pin.write_bytes(b"00000000000000000000000000000000")
    world.server.launch()
    world.server.wait_event("server.starting")
    time.sleep(5)
    log = world.server.log()
    starts = log.count('"login.failed"') + log.count("CKR_PIN_INCORRECT")
    workers = len([1 for role in world.server.processes().values() if role == "token"])
    assert workers == 0, "a token process is there, with a PIN that is wrong"
    assert 1 <= starts <= (os.cpu_count() or 1), log
    assert b"0000000000" not in log.encode()
    world.server.signal(signal.SIGTERM)
    world.server.wait_end()
    pin.write_bytes(right)
    world.server.start()
    ok(world.admin.sign("k"))


# --- the token dies or hangs (20) ---


# row 20
def test_tokens_that_are_killed_under_load(world):
    """Errors, then recovery; nothing is signed twice, nothing is lost from the log."""
    answered, stop, lock = [], threading.Event(), threading.Lock()

    def sign_on(number):
        api, i = Api(world, world.admin.identity), 0
        while not stop.is_set():
            i += 1
            data = b"%d:%d" % (number, i)
            answer = api.sign_items([item("k", data + b"%d" % n) for n in range(5)])
            assert answer.status in (200, 502, 503, 504), answer
            results = answer.json["results"] if answer.status == 200 else []
            with lock:
                answered.extend(
                    (
                        hashlib.sha256(data + b"%d" % n).hexdigest(),
                        base64.b64decode(result["signature"]),
                        result["outcome"]["index"],
                    )
                    for n, result in enumerate(results)
                    if result.get("is_signed")
                )
        api.close()

    threads = [threading.Thread(target=sign_on, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            count = len(answered)
            deadline = time.monotonic() + SOON
            while len(answered) < count + 30:
                assert time.monotonic() < deadline, world.server.log()
                time.sleep(0.02)
            for pid, role in world.server.processes().items():
                if role == "token":
                    os.kill(pid, signal.SIGKILL)
            world.server.wait_ready()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    check_complete(world, answered)
    assert world.server.log().count('"signer.ready"') == 1, "the signer went down with the tokens"


# --- the token lies (30) ---


@pytest.fixture(scope="module")
def liar():
    """A server whose module does as SoftHSM does, but for the fault that a file names."""
    module = BUILD / "tests/faults/faulty_module.so"
    with running_world(token_timeout_ms=1500) as made:
        for name, kind in (("k", "p256"), ("k2", "p256"), ("r", "rsa-3072"), ("e", "ed25519")):
            made.admin.key(name, kind)
        made.admin.policy()
        made.stop()
        path = made.folder / "faulty_module.so"
        shutil.copy(module, path)
        path.chmod(0o755)
        made.server.set("module", f'"{path}"')
        made.server.set("software", "true")
        made.server.set("verify_signatures", "true")
        made.server.start()
        yield made


class fault:
    def __init__(self, world, text):
        folder = world.server.data / "tokens/soft"
        self.path = folder / "softhsm2.conf.fault"
        self.text = text
        self.folder = folder

    def __enter__(self):
        self.path.write_text(self.text)
        if os.geteuid() == 0:
            info = self.folder.stat()
            os.chown(self.path, info.st_uid, info.st_gid)

    def __exit__(self, *_):
        self.path.unlink()


ALGORITHMS = {"k": "ecdsa-sha256", "r": "rsa-pss-sha256", "e": "ed25519"}


def test_the_liar_is_honest_without_a_fault(liar):
    for key, algorithm in ALGORITHMS.items():
        result = ok(liar.admin.sign(key, algorithm=algorithm))["results"][0]
        assert liar.verifies(key, b"what is signed", result["signature"], algorithm)


def fresh_tokens(world):
    """A key whose signature was wrong is in quarantine for as long as the process lives."""
    for pid, role in world.server.processes().items():
        if role == "token":
            os.kill(pid, signal.SIGKILL)
    signs_again(world)


def signs_again(world):
    deadline = time.monotonic() + SOON
    for key, algorithm in ALGORITHMS.items():
        while (answer := world.admin.sign(key, algorithm=algorithm, receipt="full")).status != 200:
            assert answer.status in (502, 503, 504) and time.monotonic() < deadline, answer
            time.sleep(0.1)
    world.server.wait_ready()


@pytest.mark.parametrize(
    "lie",
    [
        "wrong-signature",
        "truncated-signature",
        "empty-signature",
        "other-key",
        "function-failed",
        "long-signature",
    ],
)
# row 30
def test_a_wrong_signature_never_leaves(liar, lie):
    size = liar.log_size()
    keys = (
        ["k"] if lie == "other-key" else list(ALGORITHMS)
    )  # there is one other key, of the type of k
    with fault(liar, lie):
        answers = [liar.admin.sign(key, algorithm=ALGORITHMS[key]) for key in keys]
    for answer in answers:
        assert answer.status in (500, 502), answer
        assert "signature\":" not in answer.body.decode(), answer
    entries = [entry for entry, _ in liar.entries(size)]
    assert [e["kind"] for e in entries] == ["sign.intent", "sign.outcome"] * len(keys)
    assert all(e["result_sha256"] == "0" * 64 for e in entries)
    assert {e["outcome"] for e in entries if e["kind"] == "sign.outcome"} == {"failed"}
    fresh_tokens(liar)


# row 30
def test_a_key_that_gave_a_wrong_signature_is_in_quarantine(liar):
    """One fault in RSA gives the key away to who has a right signature and the wrong one."""
    workers = ok(liar.admin.get("/v1/tokens"))["tokens"][0]["workers"]
    with fault(liar, "wrong-signature"):
        answer = liar.admin.sign_items(
            [item("r", b"%d" % i, "rsa-pss-sha256") for i in range(50 * workers)]
        )
        assert answer.status in (500, 502), answer
    for _ in range(3):
        answer = liar.admin.sign("r", algorithm="rsa-pss-sha256")
        assert answer.status == 500 and "quarantine" in str(answer.result), answer
    assert '"token.key_quarantined"' in liar.server.log()
    fresh_tokens(liar)


@pytest.mark.parametrize("lie", ["crash", "hang"])
def test_a_module_that_ends_or_hangs_while_it_signs(liar, lie):
    with fault(liar, lie):
        answer = liar.admin.sign("k")
        assert answer.status in (502, 503, 504), answer
        assert liar.nobody.get("/healthz").status == 200
    signs_again(liar)
    check_complete(liar, [])


def test_keys_that_say_they_are_extractable_are_not_taken(liar):
    with fault(liar, "extractable"):
        answer = liar.admin.post("/v1/keys", {"name": "loose", "type": "p256"})
        assert answer.status >= 400, answer
    fresh_tokens(liar)
    assert not [key for key in liar.objects() if key[1] == "loose"]


# row 30
def test_a_module_that_does_more_than_sign(liar):
    """It runs where it can start no program and open no connection: who tries is killed, and
    replaced."""
    if liar.server.is_loose:
        return
    for lie in ("exec", "socket"):
        with fault(liar, lie):
            answer = liar.admin.sign("k")
            assert answer.status in (502, 503, 504), (lie, answer)
        signs_again(liar)
    refused(liar.nobody.get("/v1/keys"), 401, "unauthenticated")
