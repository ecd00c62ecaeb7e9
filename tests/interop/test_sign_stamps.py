# SPDX-License-Identifier: MIT
"""Time stamps and receipts in the signatures that `chancery sign` makes itself; what authorities
that lie do to it; and what is left when it is ended half-way."""

import json
import os
import signal
import subprocess
import threading

import pytest

import cms
import signed_tree
import tsa as authority
from signer import CHANCERY, SOON, need, run
from test_sign_files import (  # noqa: F401  (pytest finds the fixture here)
    env_in, fixture_place, leftovers, sample, sign, verify_cms)

TIME_STAMP = "060b2a864886f70d010910020e"  # id-aa-timeStampToken, with its header
AT_ONCE = 8  # CHY_LIMIT_STAMPS_AT_ONCE
MANY = 20
SHA256_HEAD = bytes.fromhex("0420")  # the digest of a request follows it


def notes(place, name="notes.txt"):
    path = place / name
    path.write_text(f"what is delivered as {name}\n")
    return path


def stamp_of(der):
    """The token of the only signer of a CMS, and the signature that it is over."""
    signer = cms.Signed(der).signers[0]
    signature = next(body for tag, body, _ in signer if tag == 0x04)
    found = [body for tag, body, _ in signer if tag == 0xA1]
    if not found:
        return None, signature
    (_, attribute, _), = cms.values(found[0])
    kind, inside = cms.values(attribute)
    assert kind[2].hex() == TIME_STAMP
    return inside[1], signature


def verify_token(tsa, place, token, signature):
    (place / "token").write_bytes(token)
    (place / "signature").write_bytes(signature)
    return run("openssl", "ts", "-verify", "-token_in", "-in", place / "token", "-data",
               place / "signature", "-CAfile", tsa.ca, check=False).returncode == 0


@pytest.fixture(name="tree")
def fixture_tree(keys, tsa, place):
    return signed_tree.Tree(keys, tsa, place / "trust")


# --- in the signature ---

@pytest.mark.parametrize("key", ["r3", "p384"])
def test_stamped(keys, place, tsa, key):
    path = notes(place)
    done = sign(keys, place, "--timestamp-url", tsa.url, path, key=key)
    assert "NO TIME STAMPS" not in done.stderr
    assert verify_cms(keys, f"{path}.p7s", path).returncode == 0
    token, signature = stamp_of((place / "notes.txt.p7s").read_bytes())
    assert verify_token(tsa, place, token, signature)
    assert not verify_token(tsa, place, token, signature[:-1] + bytes([signature[-1] ^ 1]))


def test_stamped__chancery_verify(keys, place, tsa, tree):
    path = notes(place)
    sign(keys, place, path, CHANCERY_TIMESTAMP_URL=tsa.url)
    trust = tree.trust(extra=["require_time_stamp: true"])
    row = json.loads(tree.verify("--json", path, trust=trust).stdout)["files"][0]
    assert row["verdict"] == "verified", row
    assert row["signers"][0]["time_stamp_by"] == "Test time-stamp authority"
    # One bit of the token is another, and it is no stamp any more.
    der = bytearray((place / "notes.txt.p7s").read_bytes())
    token, _ = stamp_of(bytes(der))
    der[bytes(der).index(token) + len(token) - 1] ^= 1
    (place / "notes.txt.p7s").write_bytes(der)
    row = json.loads(tree.verify("--json", path, trust=trust).stdout)["files"][0]
    assert row["verdict"] == "not-verified", row


def test_not_stamped(keys, place, tsa):
    path = notes(place)
    before = tsa.stamps
    done = sign(keys, place, "--no-timestamp", path, CHANCERY_TIMESTAMP_URL=tsa.url)
    assert "NO TIME STAMPS" not in done.stderr
    assert "NO TIME STAMPS" in sign(keys, place, "--force", path).stderr
    assert tsa.stamps == before
    assert stamp_of((place / "notes.txt.p7s").read_bytes())[0] is None


def test_not_stamped__kernel_module(keys, place, tsa):
    need("cc")
    path = sample(keys, place, "module", "m.ko")
    before = tsa.stamps
    sign(keys, place, path, CHANCERY_TIMESTAMP_URL=tsa.url)
    assert tsa.stamps == before and bytes.fromhex(TIME_STAMP) not in path.read_bytes()


def test_one_connection_stamps_many(keys, place, tsa):
    paths = [notes(place, f"{i}.txt") for i in range(20)]
    before = tsa.stamps
    sign(keys, place, *paths, CHANCERY_TIMESTAMP_URL=tsa.url)
    assert tsa.stamps == before + 20
    for path in paths:
        token, signature = stamp_of((place / f"{path.name}.p7s").read_bytes())
        assert token is not None
    assert verify_token(tsa, place, token, signature)


def test_asked_side_by_side(keys, place, liar):
    """None is answered before all of them have come."""
    together = threading.Barrier(AT_ONCE)

    def twist(query, tsa):
        together.wait(SOON)
        return tsa.reply(query)
    liar.twist = twist
    paths = [notes(place, f"{i}.txt") for i in range(2 * AT_ONCE)]
    sign(keys, place, *paths, CHANCERY_TIMESTAMP_URL=liar.url)
    for path in paths:
        token, signature = stamp_of((place / f"{path.name}.p7s").read_bytes())
        assert verify_token(liar, place, token, signature), path


def test_error_of_one_among_many(keys, place, liar):
    """The others get theirs."""
    first = threading.Lock()
    liar.twist = lambda query, tsa: REFUSED if first.acquire(blocking=False) else tsa.reply(query)
    paths = [notes(place, f"{i}.txt") for i in range(AT_ONCE)]
    done = sign(keys, place, *paths, code=3, CHANCERY_TIMESTAMP_URL=liar.url)
    assert f"{AT_ONCE - 1} signed, 1 FAILED" in done.stderr
    made = list(place.glob("*.p7s"))
    assert len(made) == AT_ONCE - 1
    for path in made:
        assert verify_token(liar, place, *stamp_of(path.read_bytes())), path


# --- authorities that lie ---

def other_digest(query, tsa):
    at = query.index(SHA256_HEAD) + 2
    return tsa.reply(query[:at] + bytes([query[at] ^ 1]) + query[at + 1:])


def other_nonce(query, tsa):
    return tsa.reply(query[:-4] + bytes([query[-4] ^ 1]) + query[-3:])


def old_answer():
    """The answer to another request: the nonce and the digest are another's."""
    kept = []

    def twist(query, tsa):
        kept.append(tsa.reply(query))
        return kept[0]
    return twist


def no_certificate(query, tsa):
    """As if it had not been asked for: certReq, the last value, is left out."""
    assert query.endswith(b"\x01\x01\xff") and query[1] < 128
    return tsa.reply(bytes([query[0], query[1] - 3]) + query[2:-3])


def wrong_signature(query, tsa):
    answer = tsa.reply(query)
    return answer[:-1] + bytes([answer[-1] ^ 1])


REFUSED = cms.value(0x30, cms.value(0x30, cms.value(0x02, b"\2") + cms.value(
    0x30, cms.value(0x0C, b"not today"))))
HOSTILE = {  # what it answers: what is said of it
    "digest": (other_digest, "not the one that was asked for"),
    "nonce": (other_nonce, "not the one that was asked for"),
    "certificate": (no_certificate, "no certificate of one signer"),
    "ended": (lambda query, tsa: tsa.reply(query, "ended.pem"), "certificate verify error"),
    "signature": (wrong_signature, "signature of the time stamp is wrong"),
    "refusal": (lambda *_: REFUSED, "PKIStatus 2): not today"),
    "ugly": (lambda *_: REFUSED.replace(b"not today", b"not\033today"), "cannot be shown"),
    "granted": (lambda *_: bytes.fromhex("30053003020100"), "no time stamp"),
    "nothing": (lambda *_: b"", "no time stamp"),
    "page": (lambda *_: (200, "text/html", b"<html>"), "text/html"),
    "error": (lambda *_: (500, authority.REPLY, b"x"), "HTTP status 500"),
    "elsewhere": (lambda *_: (302, authority.REPLY, b"x"), "HTTP status 302"),
    "huge": (lambda *_: b"0" * 65537, "longer than 65536"),
    "largest": (lambda *_: b"0" * 65536, "no time stamp"),
}


@pytest.fixture(name="liar")
def fixture_liar(tsa):
    yield tsa
    tsa.twist = None


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile(keys, place, liar, kind):
    """Row 22."""
    liar.twist, said = HOSTILE[kind]
    path = notes(place)
    done = sign(keys, place, "--timestamp-url", liar.url, path, code=3)
    assert "FAILED" in done.stderr and "no time stamp of http" in done.stderr
    assert said in done.stderr, done.stderr
    assert not (place / "notes.txt.p7s").exists() and not leftovers(place)
    sign(keys, place, "--no-timestamp", path)


def test_hostile__old_answer(keys, place, liar):
    """Row 22."""
    liar.twist = old_answer()
    sign(keys, place, "--timestamp-url", liar.url, notes(place, "a"))
    sign(keys, place, "--timestamp-url", liar.url, notes(place, "b"), code=3)
    assert (place / "a.p7s").exists() and not (place / "b.p7s").exists()


def test_slow(keys, place, liar):
    """Row 22."""
    go_on = threading.Event()
    liar.twist = lambda query, tsa: go_on.wait(4 * SOON) and b""
    try:
        done = sign(keys, place, "--timestamp-url", liar.url, notes(place), code=3)
    finally:
        go_on.set()
    assert "FAILED" in done.stderr and not (place / "notes.txt.p7s").exists()


def test_not_there(keys, place):
    """Row 22. It is not asked for ever."""
    paths = [notes(place, f"{i}.txt") for i in range(AT_ONCE + 3)]
    done = sign(keys, place, "--timestamp-url", "http://127.0.0.1:9/", *paths, code=3)
    assert done.stderr.count("FAILED") >= AT_ONCE + 3
    assert 3 <= done.stderr.count("is not asked again") <= AT_ONCE
    assert not list(place.glob("*.p7s"))
    assert "no time stamp of ftp" in sign(keys, place, "--timestamp-url", "ftp://127.0.0.1/",
                                          paths[0], code=3).stderr


# --- receipts ---

def test_receipts(keys, place, tree):
    need("cc")
    (place / "receipts").mkdir()
    paths = [notes(place), sample(keys, place, "module", "m.ko")]
    report = json.loads(sign(keys, place, "--json", "--no-timestamp", "--receipts", "receipts",
                             *paths).stdout)
    for file in report["files"]:
        event = file["signatures"][0]
        assert event["receipt_file"] == f"{place}/receipts/{event['outcome']['index']}.receipt"
    assert len(list((place / "receipts").iterdir())) == 2
    words = ["--json", "--offline", "--receipts", place / "receipts"]
    rows = json.loads(tree.verify(*words, *paths).stdout)["files"]
    assert [row["verdict"] for row in rows] == ["verified"] * 2
    assert [row["log"]["proof"] for row in rows] == ["receipt"] * 2


def test_receipts__without_their_folder(keys, place):
    path = notes(place)
    sign(keys, place, "--receipts", "none", path, code=3)
    assert not (place / "notes.txt.p7s").exists()


# --- ended half-way ---

def heed():
    """Whoever runs the tests may have these ignored, as nohup does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(keys, place, liar, number):
    """chancery sign of MANY files, ended when the stamps after the first AT_ONCE are asked for."""
    asked, go_on = threading.Event(), threading.Event()

    def twist(query, tsa):
        if tsa.stamps == before + AT_ONCE:
            asked.set()
            go_on.wait(SOON)
        return tsa.reply(query)
    before = liar.stamps
    liar.twist = twist
    paths = [notes(place, f"{i:02}.txt") for i in range(MANY)]
    process = subprocess.Popen([str(CHANCERY), "sign", "--key", "r3", "--timestamp-url", liar.url,
                                *map(str, paths)], cwd=place, env=env_in(keys, place), text=True,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, preexec_fn=heed)
    assert asked.wait(SOON)
    os.kill(process.pid, number)
    go_on.set()
    said = process.communicate(timeout=SOON)[1]
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended(keys, place, liar, number):
    """What is under way is finished, and nothing lies about."""
    code, said = ended(keys, place, liar, number)
    assert code == 3 and "a signal ended the run" in said, said
    made = sorted(path.name for path in place.glob("*.p7s"))
    assert made == [f"{i:02}.txt.p7s" for i in range(len(made))]
    assert len(made) in (AT_ONCE, 2 * AT_ONCE)
    for name in made:
        assert verify_cms(keys, place / name, place / name[:-4]).returncode == 0
    assert f"{len(made)} signed, {MANY - len(made)} FAILED" in said
    assert not leftovers(place)


def test_killed(keys, place, liar):
    """No half of a file, and none beside the others."""
    code, _ = ended(keys, place, liar, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert [path.name for path in place.iterdir() if path.name.startswith(".")] == []
    assert verify_cms(keys, place / "00.txt.p7s", place / "00.txt").returncode == 0
