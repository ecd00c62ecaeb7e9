# SPDX-License-Identifier: MIT
"""The command against a server that answers as a test says."""

import base64
import hashlib
import json
import os
import pathlib
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from client_stub import LOG_KEY, Stub, key_pem, pem_of, problem

BUILD = pathlib.Path(os.environ["CHANCERY_BUILD"])
SECONDS = 60 * int(os.environ.get("CHANCERY_SLOW", "1"))
DONE, REFUSED, USE, TROUBLE = range(4)


class Client:
    def __init__(self, home):
        self.home = home
        self.dir = home / ".config" / "chancery"
        self.pem = self.dir / "default.pem"
        self.env = {}

    def start(self, *words, stdin=subprocess.DEVNULL, cwd=None):
        keep = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        return subprocess.Popen([str(BUILD / "src/cli/chancery"), *map(str, words)],
                                env={**keep, "HOME": str(self.home), **self.env}, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)

    def __call__(self, *words, code=DONE, text=None, cwd=None):
        process = self.start(*words, stdin=subprocess.PIPE if text else subprocess.DEVNULL, cwd=cwd)
        out, err = process.communicate(text, timeout=SECONDS)
        assert process.returncode == code, (out, err)
        self.err = err
        return out


@pytest.fixture(name="stub")
def fixture_stub(tmp_path):
    stub = Stub(tmp_path)
    yield stub
    stub.close()


@pytest.fixture(name="client")
def fixture_client(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Client(home)


@pytest.fixture(name="enrolled")
def fixture_enrolled(stub, client):
    client("enroll", text=stub.code() + "\n")
    stub.requests.clear()
    return client


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- enrolment ---

def test_enroll__makes_a_profile(stub, client):
    out = client("enroll", text=stub.code() + "\n")
    assert out == f'You are "alice" at {stub.url} (profile "default").\n'
    assert mode_of(client.pem) == 0o600
    assert mode_of(client.dir / "config.yaml") == 0o600
    assert mode_of(client.dir) == 0o700
    assert "BEGIN PRIVATE KEY" in client.pem.read_text()
    assert LOG_KEY in (client.dir / "config.yaml").read_text()
    assert client("whoami").startswith("principal: alice\n")


def test_enroll__code_from_standard_input(stub, client):
    client("enroll", text=stub.code() + "\n")
    assert client.pem.exists()


def test_enroll__sends_no_private_key(stub, client):
    client("enroll", text=stub.code() + "\n")
    body = json.dumps(stub.asked("POST /v1/enroll")[0].body)
    assert "PRIVATE" not in body
    assert "BEGIN CERTIFICATE REQUEST" in body


def test_enroll__another_server_gets_nothing(stub, client):
    client("enroll", code=REFUSED, text=stub.code(pin=bytes(32)) + "\n")
    assert "not the pinned one" in client.err
    assert not stub.requests
    assert not client.pem.exists()


def test_enroll__wrong_code(stub, client):
    client("enroll", code=REFUSED, text=stub.code(secret=b"t" * 20) + "\n")
    assert "this code is not known (request abab" in client.err
    assert "Enrol this machine" not in client.err  # that is what was tried
    assert not client.pem.exists()


@pytest.mark.parametrize("code", ["chy1.x.y", "hello", "chy1." + "A" * 43 + "." + "A" * 27 + ".?"])
def test_enroll__no_code(client, code):
    client("enroll", code=USE, text=code + "\n")
    assert "enrolment code" in client.err


def test_enroll__url_of_the_command_line(stub, client):
    client("enroll", "--url", stub.url, text=stub.code(url="https://127.0.0.1:1") + "\n")
    assert client("whoami")


def test_enroll__certificate_of_another_key(stub, client):
    other = ec.generate_private_key(ec.SECP256R1())
    leaf = pem_of(stub.ca.issue(other.public_key(), "alice"))
    stub.answers["POST /v1/enroll"] = lambda r: (200, {
        "principal": "alice", "certificate": leaf, "not_after": "2030-01-01T00:00:00Z"}, {})
    client("enroll", code=TROUBLE, text=stub.code() + "\n")
    assert "another key" in client.err
    assert not client.pem.exists()


def test_enroll__second_profile_keeps_the_first(stub, enrolled):
    enrolled("enroll", "--profile", "other", text=stub.code() + "\n")
    text = (enrolled.dir / "config.yaml").read_text()
    assert text.count("url:") == 2
    assert 'profile: "default"' in text
    assert enrolled("whoami", "--profile", "other")
    enrolled("enroll", "--profile", "other", text=stub.code() + "\n")
    assert (enrolled.dir / "config.yaml").read_text() == text


# --- credentials ---

def test_key_that_others_can_read(enrolled):
    enrolled.pem.chmod(0o640)
    enrolled("whoami", code=REFUSED)
    assert "default.pem" in enrolled.err


def test_nobody(stub, client):
    client.env["CHANCERY_CA"] = str(stub.ca_file)
    client.env["CHANCERY_URL"] = stub.url.replace("127.0.0.1", "localhost")
    client("whoami", code=REFUSED)
    assert "nobody knows you" in client.err
    assert "chancery enroll" in client.err


def test_certificate_of_the_environment(stub, client, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "c.pem").write_text(pem_of(stub.ca.issue(key.public_key(), "robot")))
    (tmp_path / "k.pem").write_text(key_pem(key))
    (tmp_path / "k.pem").chmod(0o600)
    client.env = {"CHANCERY_URL": stub.url.replace("127.0.0.1", "localhost"),
                  "CHANCERY_CA": str(stub.ca_file), "CHANCERY_CERT": str(tmp_path / "c.pem"),
                  "CHANCERY_KEY": str(tmp_path / "k.pem")}
    assert client("whoami").startswith("principal: robot\n")
    del client.env["CHANCERY_KEY"]
    client("whoami", code=USE)


def test_ca__name_must_fit(stub, client):
    client.env = {"CHANCERY_URL": stub.url, "CHANCERY_CA": str(stub.ca_file)}
    client("whoami", code=REFUSED)
    assert not stub.requests


def test_ca__system_does_not_know_the_server(stub, client):
    client("whoami", "--url", stub.url, code=REFUSED)
    assert "CHANCERY_CA" in client.err
    assert not stub.requests


def test_token__file_and_environment(stub, enrolled, tmp_path):
    file = tmp_path / "token"
    file.write_text("secret-token\n")
    file.chmod(0o600)
    enrolled.env = {"CHANCERY_TOKEN_FILE": str(file), "CHANCERY_TOKEN": "other"}
    enrolled("whoami")
    enrolled.env = {"CHANCERY_TOKEN": "other"}
    enrolled("whoami")
    first, second = stub.asked("GET /v1/whoami")
    assert first.headers["Authorization"] == "Bearer secret-token"
    assert second.headers["Authorization"] == "Bearer other"
    assert first.principal is None  # one credential, not two


def test_token__file_that_others_can_read(stub, enrolled, tmp_path):
    (tmp_path / "token").write_text("secret-token")
    (tmp_path / "token").chmod(0o644)
    enrolled.env = {"CHANCERY_TOKEN_FILE": str(tmp_path / "token")}
    enrolled("whoami", code=REFUSED)
    assert "secret-token" not in enrolled.err
    assert not stub.requests


def test_profile__credential_stays_with_its_server(stub, enrolled, tmp_path):
    (tmp_path / "second").mkdir()
    other = Stub(tmp_path / "second")
    try:
        enrolled.env = {"CHANCERY_URL": other.url.replace("127.0.0.1", "localhost"),
                        "CHANCERY_CA": str(other.ca_file)}
        enrolled("whoami", code=REFUSED)
        assert other.asked("GET /v1/whoami")[0].principal is None
        assert not stub.requests
    finally:
        other.close()


def test_pin__a_server_with_a_new_key(stub, enrolled, tmp_path):
    (tmp_path / "second").mkdir()
    other = Stub(tmp_path / "second")
    try:
        config = enrolled.dir / "config.yaml"
        config.write_text(config.read_text().replace(stub.url, other.url))
        enrolled("whoami", code=REFUSED)
        assert "not the pinned one" in enrolled.err
        assert "enrol again with a new code" in enrolled.err
        assert not other.requests
    finally:
        other.close()


# --- renewal ---

def put_certificate(stub, client, **times):
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = stub.ca.issue(key.public_key(), "alice", **times)
    client.pem.write_text(key_pem(key) + pem_of(leaf))
    client.pem.chmod(0o600)
    return client.pem.read_text()


def test_renew__in_the_last_third(stub, enrolled):
    before = put_certificate(stub, enrolled, starts_hours=-20, ends_hours=8)
    enrolled("whoami")
    after = enrolled.pem.read_text()
    assert after != before
    assert mode_of(enrolled.pem) == 0o600
    assert stub.asked("POST /v1/renew")[0].principal == "alice"
    enrolled("whoami")
    assert len(stub.asked("POST /v1/renew")) == 1


def test_renew__not_before(stub, enrolled):
    before = put_certificate(stub, enrolled, starts_hours=-10, ends_hours=8)
    enrolled("whoami")
    assert enrolled.pem.read_text() == before
    assert not stub.asked("POST /v1/renew")


def test_renew__failure_is_told_and_does_not_stop(stub, enrolled):
    before = put_certificate(stub, enrolled, starts_hours=-20, ends_hours=2)
    stub.answers["POST /v1/renew"] = lambda r: problem(500, "internal", "no")
    assert "alice" in enrolled("whoami")
    assert "could not be renewed" in enrolled.err
    assert enrolled.pem.read_text() == before


def test_renew__one_process_alone(stub, enrolled):
    put_certificate(stub, enrolled, starts_hours=-20, ends_hours=2)
    running = [enrolled.start("whoami") for _ in range(6)]
    for process in running:
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == DONE, err
        assert "alice" in out
    assert len(stub.asked("POST /v1/renew")) == 1


def test_expired(stub, enrolled):
    put_certificate(stub, enrolled, starts_hours=-20, ends_hours=-1)
    enrolled("whoami", code=REFUSED)
    assert "ended" in enrolled.err
    assert "ask an administrator for a new code" in enrolled.err
    assert not stub.requests


# --- answers ---

@pytest.mark.parametrize("status, name, code", [
    (403, "forbidden", REFUSED), (403, "denied-by-policy", REFUSED), (404, "not-found", REFUSED),
    (409, "conflict", REFUSED), (400, "malformed", USE), (413, "over-limit", USE),
    (500, "internal", TROUBLE), (502, "token", TROUBLE), (418, "never-heard-of", USE)])
def test_problem(stub, enrolled, status, name, code):
    stub.answers["GET /v1/keys"] = lambda r: problem(status, name, "so \u001b[2J it is")
    out = enrolled("keys", "list", code=code)
    assert out == ""
    assert enrolled.err.startswith("chancery: so ?[2J it is (request " + "ab" * 16 + ")")


def test_busy__asked_again(stub, enrolled):
    answers = [problem(503, "busy", "busy"), problem(429, "rate-limited", "slower")]
    stub.answers["GET /v1/keys"] = lambda r: answers.pop() if answers else (200, {"keys": []}, {})
    enrolled("keys", "list")
    assert len(stub.asked("GET /v1/keys")) == 3


def test_busy__never_twice_what_writes(stub, enrolled):
    stub.answers["POST /v1/keys"] = lambda r: problem(503, "busy", "busy")
    enrolled("keys", "create", "k", "--type", "p256", code=TROUBLE)
    assert len(stub.asked("POST /v1/keys")) == 1


def test_busy__gives_up(stub, enrolled):
    stub.answers["GET /v1/keys"] = lambda r: problem(503, "busy", "busy")
    enrolled("keys", "list", code=TROUBLE)
    assert len(stub.asked("GET /v1/keys")) == 5


@pytest.mark.parametrize("low, high, word", [(2, 3, "newer"), (0, 0, "older")])
def test_versions(stub, enrolled, low, high, word):
    stub.answers["GET /v1/keys"] = lambda r: problem(400, "unsupported", "no such version")
    stub.answers["GET /v1/hello"] = lambda r: (200, stub.hello(low, high), {})
    enrolled("keys", "list", code=USE)
    assert f"speaks versions {low} to {high}" in enrolled.err
    assert f"use a {word} chancery" in enrolled.err


def test_version__shown(stub, enrolled):
    assert json.loads(enrolled("version", "--json"))["server"] == "9.9.9"
    assert stub.requests[0].headers["Chancery-Api"] == "1"
    assert stub.requests[0].headers["User-Agent"].startswith("chancery/")


@pytest.mark.parametrize("body, headers", [
    (b"<html>", {"Content-Type": "text/html"}),
    (b'{"principal":"a"', {}),
    (b'{"principal":"a","principal":"b"}', {}),
    (b'{"principal":7}', {}),
    (b"[" * 10000, {}),
    (b"", {})])
def test_answer__wrong(stub, enrolled, body, headers):
    stub.answers["GET /v1/whoami"] = lambda r: (200, body, headers)
    assert enrolled("whoami", code=TROUBLE) == ""
    assert enrolled.err.count("\n") == 1


def test_answer__endless(stub, enrolled):
    stub.answers["GET /v1/whoami"] = lambda r: (200, b" " * (33554432 + 1), {})
    enrolled("whoami", code=USE)
    assert "longer than" in enrolled.err


def test_old_tls(tmp_path, client):
    stub = Stub(tmp_path, tls="1.2")
    try:
        client("enroll", code=TROUBLE, text=stub.code() + "\n")
        assert not stub.requests
    finally:
        stub.close()


def test_no_server(enrolled, stub):
    stub.close()
    stub.close = lambda: None
    enrolled("whoami", code=TROUBLE)
    assert "onnect" in enrolled.err


@pytest.mark.parametrize("url", ["http://127.0.0.1", "https://a/b", "https://u@a", "ftp://a",
                                 "https://"])
def test_url__https_alone(client, url):
    client("whoami", "--url", url, code=USE)


def test_request__in_path_and_body(stub, enrolled):
    stub.answers["POST /v1/keys/a%20b/destroy"] = lambda r: problem(404, "not-found", "none")
    stub.answers["PUT /v1/users/bob"] = lambda r: (200, {"name": "bob"}, {})
    enrolled("users", "update", "bob", "--role", "auditor", "--role", "key-manager", "--disable")
    assert stub.asked("PUT /v1/users/bob")[0].body == {
        "roles": {"values": ["auditor", "key-manager"]}, "is_disabled": {"value": True}}


# --- signing ---

@pytest.fixture(name="signer")
def fixture_signer(stub, enrolled):
    key = ec.generate_private_key(ec.SECP256R1())
    stub.key_file = enrolled.home / "public.pem"
    stub.key_file.write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    stub.signs, stub.refuse = key, False

    def sign_item(index, item):
        if stub.refuse:
            return {"is_signed": False, "problem": "denied-by-policy", "detail": "not on Sundays",
                    "rules": ["no-sundays"], "intent": {"index": 100 + index}}
        signature = stub.signs.sign(bytes.fromhex(item["digest"]),
                             ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return {"is_signed": True, "signature": base64.b64encode(signature).decode(),
                "rules": ["all"], "intent": {"index": 100 + index},
                "outcome": {"index": 200 + index}}

    def sign(request):
        return 200, {"results": [sign_item(*pair) for pair in enumerate(request.body["items"])],
                     "policy_number": 3}, {}

    stub.answers["POST /v1/sign"] = sign
    show(stub, "p256", key)
    return enrolled


def show(stub, kind, key):
    """The stub's only key."""
    spki = key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)
    der = stub.ca.issue(key.public_key(), "release").public_bytes(serialization.Encoding.DER)
    shown = {"name": "release", "type": kind, "public_key": base64.b64encode(spki).decode(),
             "certificates": [{"der": base64.b64encode(der).decode()}]}
    stub.answers["GET /v1/keys/release"] = lambda r: (200, shown, {})


def answer_signature(stub, signature):
    stub.answers["POST /v1/sign"] = lambda r: (200, {"results": [
        {"is_signed": True, "signature": base64.b64encode(signature).decode()}],
        "policy_number": 1}, {})


def test_sign__a_file(stub, signer, tmp_path):
    file = tmp_path / "app.bin"
    file.write_bytes(os.urandom(200000))
    out = signer("sign", "--raw", "--key", "release", "--reason", "because", "--label", "a=b=c",
                 "--fact", "ci.branch=main", file)
    assert out == (f"signed {file}: key release, ecdsa-sha256, log entry 200, "
                   f"written to {file}.sig\n")
    verified = subprocess.run(["openssl", "dgst", "-sha256", "-verify", stub.key_file, "-signature",
                               f"{file}.sig", file], capture_output=True, check=False)
    assert verified.returncode == 0, verified.stderr
    body = stub.asked("POST /v1/sign")[0].body
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert body["reason"] == "because"
    assert body["labels"] == {"a": "b=c"}
    assert {"name": "ci.branch", "value": "main", "basis": "declared"} in body["facts"]
    assert "host" in [fact["name"] for fact in body["facts"]]
    item = body["items"][0]
    assert item["digest"] == digest
    assert item["hashed_by"] == "client"
    assert item["artifact"] == {"digest": digest, "hash": "sha256", "size_bytes": 200000,
                                "name": "app.bin"}


def test_sign__refused(stub, signer, tmp_path):
    file = tmp_path / "app.bin"
    file.write_text("x")
    stub.refuse = True
    out = signer("sign", "--raw", "--key", "release", file, code=REFUSED)
    assert out == (f"REFUSED {file}: key release, ecdsa-sha256, log entry 100\n"
                   "  denied-by-policy: not on Sundays\n  by rule no-sundays\n")
    assert not pathlib.Path(f"{file}.sig").exists()


def test_sign__json(stub, signer, tmp_path):
    file = tmp_path / "app.bin"
    file.write_text("x")
    report = json.loads(signer("sign", "--raw", "--key", "release", "--json", file,
                               "--out", tmp_path / "s"))
    assert report["policy_number"] == 3
    item = report["items"][0]
    assert item["is_signed"] is True
    assert item["outcome"] == {"index": 200}
    assert base64.b64decode(item["signature"]) == (tmp_path / "s").read_bytes()
    stub.refuse = True
    report = json.loads(signer("sign", "--raw", "--key", "release", "--json", file, code=REFUSED))
    assert report["items"][0]["rules"] == ["no-sundays"]


def test_sign__digest(stub, signer, tmp_path):
    signer("sign", "--raw", "--key", "release", "--digest", "ab" * 32, "--out", tmp_path / "s")
    assert (tmp_path / "s").stat().st_size > 60
    item = stub.asked("POST /v1/sign")[0].body["items"][0]
    assert item["hashed_by"] == "tool"
    assert item["digest"] == "ab" * 32
    signer("sign", "--raw", "--key", "release", "--digest", "ab" * 31, "--out", "s", code=USE)
    assert "64 hex digits" in signer.err


def test_sign__1001_files_in_two_requests(stub, signer, tmp_path):
    names = [f"f{i}" for i in range(1001)]
    for name in names:
        (tmp_path / name).write_text(name)
    out = signer("sign", "--raw", "--key", "release", *names, cwd=tmp_path)
    assert out.count("signed ") == 1001
    assert [len(r.body["items"]) for r in stub.asked("POST /v1/sign")] == [1000, 1]
    assert len(list(tmp_path.glob("f*.sig"))) == 1001


def test_sign__ed25519_sends_the_message(stub, signer, tmp_path):
    file = tmp_path / "note"
    file.write_bytes(b"m" * 65536)
    key = ed25519.Ed25519PrivateKey.generate()
    show(stub, "ed25519", key)
    answer_signature(stub, key.sign(file.read_bytes()))
    signer("sign", "--raw", "--key", "release", "--algorithm", "ed25519", file)
    item = stub.asked("POST /v1/sign")[0].body["items"][0]
    assert base64.b64decode(item["message"]) == file.read_bytes()
    assert item["hashed_by"] == "nobody"
    assert "digest" not in item
    file.write_bytes(b"m" * 65537)
    signer("sign", "--raw", "--key", "release", "--algorithm", "ed25519", file, code=USE)


def test_sign__raw_rsa_sends_the_message(stub, signer, tmp_path):
    file = tmp_path / "note"
    file.write_bytes(b"m" * 373)
    # A token that may sign and not ask for keys: nothing is known to check this by.
    stub.answers["GET /v1/keys/release"] = lambda r: problem(403, "forbidden", "scopes")
    answer_signature(stub, b"s" * 384)
    words = ("sign", "--raw", "--key", "release", "--algorithm", "rsa-pkcs1-raw")
    signer(*words, file)
    item = stub.asked("POST /v1/sign")[0].body["items"][0]
    assert base64.b64decode(item["message"]) == file.read_bytes()
    assert (item["algorithm"], item["hashed_by"]) == ("rsa-pkcs1-raw", "nobody")
    signer(*words, "--digest", "00" * 32, "--json", code=USE)
    assert "rsa-pkcs1-raw signs a file, not a digest" in signer.err


@pytest.mark.parametrize("words", [[], ["--algorithm", "ecdsa-sha256"]])
def test_sign__a_signature_that_is_none(stub, signer, tmp_path, words):
    """By another key than is shown: nothing of it is handed on."""
    file = tmp_path / "app.bin"
    file.write_text("x")
    stub.signs = ec.generate_private_key(ec.SECP256R1())
    for more in ([], ["--json"]):
        out = signer("sign", "--raw", "--key", "release", *words, *more, file, "--receipt",
                     tmp_path / "r", code=REFUSED)
        assert "the server's signature is none by key release" in signer.err and out == ""
    assert not (tmp_path / "r").exists() and not pathlib.Path(f"{file}.sig").exists()
    # So it is for what this program makes of it.
    signer("sign", "--key", "release", "--no-timestamp", file, code=TROUBLE)
    assert "the server's signature is none by key release" in signer.err
    assert not pathlib.Path(f"{file}.p7s").exists()


def test_sign__answers_that_do_not_fit(stub, signer, tmp_path):
    file = tmp_path / "app.bin"
    file.write_text("x")
    for results in ([], [{"is_signed": True}]):
        stub.answers["POST /v1/sign"] = lambda r, n=results: (
            200, {"results": n, "policy_number": 1}, {})
        signer("sign", "--raw", "--key", "release", file, code=TROUBLE)
        assert not pathlib.Path(f"{file}.sig").exists()


def test_sign__bad_receipt_gives_no_signature(stub, signer, tmp_path):
    file = tmp_path / "app.bin"
    file.write_text("x")
    good = stub.answers["POST /v1/sign"]

    def sign(request):
        status, body, headers = good(request)
        body["results"][0]["receipt"] = "c2sp.org/tlog-proof@v1\nindex 200\n\nforged\n"
        return status, body, headers

    stub.answers["POST /v1/sign"] = sign
    signer("sign", "--raw", "--key", "release", file, "--receipt", tmp_path / "r",
           code=USE)  # malformed
    assert "receipt" in signer.err
    assert not pathlib.Path(f"{file}.sig").exists()
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("words", [
    ["sign", "--raw", "--key", "release"],
    ["sign", "--raw", "f"], ["sign", "--raw", "--key", "release", "f", "g", "--out", "x"],
    ["sign", "--raw", "--key", "release", "f", "--hash", "sha1"],
    ["sign", "--raw", "--key", "release", "f", "--algorithm", "ecdsa-sha256", "--hash", "sha384"],
    ["sign", "--raw", "--key", "release", "f", "--label", "nothing"]])
def test_sign__wrong_use(stub, signer, tmp_path, words):
    (tmp_path / "f").write_text("x")
    (tmp_path / "g").write_text("x")
    signer(*words, code=USE, cwd=tmp_path)
    assert not stub.asked("POST /v1/sign")


def test_sign__no_such_file(stub, signer):
    signer("sign", "--raw", "--key", "release", "/no/such", code=REFUSED)
    assert "/no/such" in signer.err
    assert not stub.asked("POST /v1/sign")


def test_sign__reason_of_the_environment(stub, signer, tmp_path):
    (tmp_path / "f").write_text("x")
    signer.env = {"CHANCERY_REASON": "nightly"}
    signer("sign", "--raw", "--key", "release", "f", cwd=tmp_path)
    assert stub.asked("POST /v1/sign")[0].body["reason"] == "nightly"


# --- policies, certificates, the log ---

def test_policy_test__explains(stub, enrolled):
    answer = {"policy_number": 4, "items": [{
        "key": "release", "decision": "denied", "summary": "no allow matches", "rules": [
            {"rule": "only-ci", "effect": "allow", "applies": False, "matched": "no",
             "reasons": ["network: 10.0.0.1 is not in 192.0.2.0/24"]}]}]}
    stub.answers["POST /v1/policies/test"] = lambda r: (200, answer, {})
    out = enrolled("policies", "test", "--key", "release", "--algorithm", "ecdsa-sha384",
                   "--principal", "bob", "--address", "10.0.0.1", "--time", "2026-01-01T00:00:00Z",
                   "--policy", "-", "--label", "a=b", code=REFUSED, text="rules: []\n")
    assert "release: denied. no allow matches" in out
    assert "    allow only-ci: no\n      network: 10.0.0.1 is not in" in out
    body = stub.asked("POST /v1/policies/test")[0].body
    assert body["policy"] == "rules: []\n"
    assert body["principal"] == "bob"
    assert body["time"] == "2026-01-01T00:00:00Z"
    assert len(body["request"]["items"][0]["digest"]) == 96
    answer["items"][0]["decision"] = "allowed"
    enrolled("policies", "test", "--key", "release", "--algorithm", "ed25519")


def test_policy_show__can_be_applied_again(stub, enrolled, tmp_path):
    text = "# a comment\nrules: []\n"
    stub.answers["GET /v1/policies/0"] = lambda r: (200, {"number": 2, "policy": text}, {})
    assert enrolled("policies", "show") == text
    (tmp_path / "p.yaml").write_text(text)
    stub.answers["POST /v1/policies"] = lambda r: (
        200, {"number": 3, "rules": 0, "hash": "ab" * 32}, {})
    out = enrolled("policies", "apply", tmp_path / "p.yaml", "--expected", "2", "--comment", "c")
    assert out == f"Policy 3 is in force: 0 rules, hash {'ab' * 32}.\n"
    assert stub.asked("POST /v1/policies")[0].body == {
        "policy": text, "comment": "c", "expected_number": 2}


def test_csr__to_a_file(stub, enrolled, tmp_path):
    pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
    stub.answers["POST /v1/keys/k/csr"] = lambda r: (200, {"csr": pem}, {})
    words = ["certs", "csr", "k", "--subject", "CN=a", "--san", "dns:b"]
    assert enrolled(*words) == pem
    assert enrolled(*words, "--out", tmp_path / "csr") == ""
    assert (tmp_path / "csr").read_text() == pem


def test_log_list__asks_by_query(stub, enrolled):
    row = {"index": 7, "time": "2026-01-01T00:00:00Z", "kind": "sign.intent", "principal": "alice",
           "key": "release", "decision": "allowed", "text": "alice may sign\u202e"}
    stub.answers["GET /v1/log"] = lambda r: (200, {"entries": [row], "size": 8, "next": 8}, {})
    out = enrolled("log", "list", "--after", "7", "--key", "a&b", "--limit", "5")
    assert "sign.intent" in out
    assert stub.asked("GET /v1/log")[0].path == "/v1/log?after=7&limit=5&key=a%26b"
    enrolled("log", "list", "--newest", "--before", "9")
    assert stub.asked("GET /v1/log")[1].path == "/v1/log?newest_first=true&before=9"


def test_log_show__entry_that_cannot_be_read(stub, enrolled):
    stub.answers["GET /v1/log/0"] = lambda r: (200, {
        "index": 0, "time": "2026-01-01T00:00:00Z", "kind": "key", "decision": "none",
        "entry": base64.b64encode(b"nonsense").decode()}, {})
    assert "cannot be read" in enrolled("log", "show", "0")


def test_log_show__with_which_program(stub, enrolled):
    fact = {"name": "application.path", "value": "/usr/bin/jarsigner", "basis": "agent"}
    stub.answers["GET /v1/log/0"] = lambda r: (200, {
        "index": 0, "time": "2026-01-01T00:00:00Z", "kind": "sign.outcome", "decision": "none",
        "application": fact, "entry": base64.b64encode(b"nonsense").decode()}, {})
    assert "signed with\nname:  application.path\nvalue: /usr/bin/jarsigner" in \
        enrolled("log", "show", "0")
    assert json.loads(enrolled("log", "show", "0", "--json"))["application"] == fact


def test_log_export__server_that_leaves_out(stub, enrolled, tmp_path):
    stub.answers["GET /log/checkpoint"] = lambda r: (200, b"nonsense", {})
    enrolled("log", "export", tmp_path / "e", code=USE)
    assert not (tmp_path / "e" / "checkpoint").exists()


def record(raw):
    return len(raw).to_bytes(2, "big") + raw


def test_log_export__partial_tiles_may_be_gone(stub, enrolled, tmp_path):
    """A server that has the full tile need not keep the partial one: c2sp.org/tlog-tiles."""
    root = base64.b64encode(bytes(32)).decode()
    signature = base64.b64encode(bytes(68)).decode()
    note = f"log\n2\n{root}\n\n\u2014 log {signature}\n".encode()
    tile = os.urandom(256 * 32)
    entries = [bytes([i]) * (i + 1) for i in range(256)]
    stub.answers["GET /log/checkpoint"] = lambda r: (200, note, {})
    stub.answers["GET /log/tile/0/000"] = lambda r: (200, tile, {})
    stub.answers["GET /log/tile/entries/000"] = lambda r: (
        200, b"".join(map(record, entries)), {})

    def rows(request):
        assert request.path == "/v1/log?limit=2"
        return 200, {"entries": [
            {"index": i, "decision": "none", "detail": base64.b64encode(b"d" * i).decode()}
            for i in range(2)], "size": 2, "next": 2}, {}

    stub.answers["GET /v1/log"] = rows
    folder = tmp_path / "e"
    assert json.loads(enrolled("log", "export", folder, "--json"))["entries"] == 2
    assert (folder / "checkpoint").read_bytes() == note
    assert (folder / "tile/0/000.p/2").read_bytes() == tile[:64]
    assert (folder / "tile/entries/000.p/2").read_bytes() == b"".join(map(record, entries[:2]))
    assert (folder / "details/000.p/2").read_bytes() == record(b"") + record(b"d")


def test_log_export__list_that_leaves_out(stub, enrolled, tmp_path):
    test_log_export__partial_tiles_may_be_gone(stub, enrolled, tmp_path)
    stub.answers["GET /v1/log"] = lambda r: (200, {"entries": [
        {"index": 1, "decision": "none"}], "size": 2, "next": 2}, {})
    enrolled("log", "export", tmp_path / "f", code=TROUBLE)
    assert "leaves some out" in enrolled.err
    assert not (tmp_path / "f" / "checkpoint").exists()


def test_log_verify__needs_the_key_of_the_profile(stub, enrolled):
    enrolled("log", "verify", "--server", code=USE)  # the stub's is none
    assert "key of the log" in enrolled.err


# --- output ---

def test_keys__software_token_is_called_one(stub, enrolled):
    key = {"name": "k", "type": "p256", "state": "active", "origin": "generated", "token": "soft",
           "token_is_software": True, "warnings": ["ends soon"]}
    stub.answers["GET /v1/keys"] = lambda r: (200, {"keys": [key]}, {})
    out = enrolled("keys", "list")
    assert "soft (software)" in out
    assert out.splitlines()[1].endswith(" 1")  # warnings
    assert json.loads(enrolled("keys", "list", "--json"))["keys"][0]["name"] == "k"


def test_keys_list__all_pages(stub, enrolled):
    pages = {"": (["a", "b"], "b"), "after=b": (["c"], "c"), "after=c": ([], "")}

    def page(request):
        names, following = pages[request.path.partition("?")[2]]
        return 200, {"keys": [{"name": name, "state": "active", "origin": "generated"}
                              for name in names], "next": following}, {}
    stub.answers["GET /v1/keys"] = page
    listed = json.loads(enrolled("keys", "list", "--json"))
    assert [key["name"] for key in listed["keys"]] == ["a", "b", "c"]
    assert not listed.get("next")
    assert len(enrolled("keys", "list").splitlines()) == 4


def test_keys_list__usable(stub, enrolled):
    stub.answers["GET /v1/keys"] = lambda r: (200, {"keys": []}, {})
    assert "no keys" in enrolled("keys", "list", "--usable")
    assert stub.asked("GET /v1/keys")[-1].path == "/v1/keys?usable=true"


@pytest.mark.parametrize("following", ["a", "b"])
def test_keys_list__a_server_that_goes_in_circles(stub, enrolled, following):
    stub.answers["GET /v1/keys"] = lambda r: (200, {
        "keys": [], "next": "b" if r.path == "/v1/keys" else following}, {})
    enrolled("keys", "list", code=TROUBLE)
    assert "does not go on" in enrolled.err
    assert len(stub.asked("GET /v1/keys")) == 2


def test_secret_to_a_file(stub, enrolled, tmp_path):
    stub.answers["POST /v1/users/ci/api-tokens"] = lambda r: (200, {
        "token": "tok-secret", "info": {"id": "11" * 16, "expires": "2030-01-01T00:00:00Z"}}, {})
    out = enrolled("users", "add-token", "ci", "--scope", "sign", "--out", tmp_path / "t")
    assert out.splitlines()[0] == str(tmp_path / "t")
    assert "tok-secret" not in out
    assert (tmp_path / "t").read_text() == "tok-secret"
    assert mode_of(tmp_path / "t") == 0o600
    assert "tok-secret" in enrolled("users", "add-token", "ci", "--scope", "sign")


def test_sign__a_key_that_may_not_be_asked_for_its_type(stub, enrolled, tmp_path):
    stub.answers["GET /v1/keys/k"] = lambda r: problem(403, "forbidden", "scopes")
    (tmp_path / "f").write_text("x")
    enrolled("sign", "--raw", "--key", "k", tmp_path / "f", code=REFUSED)
    assert "give --algorithm, or use a token with the scope keys.show too" in enrolled.err


def test_full_output_is_trouble(enrolled):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([str(BUILD / "src/cli/chancery"), "roles", "list"], stdout=full,
                              stderr=subprocess.PIPE, check=False,
                              env={"HOME": str(enrolled.home)})
    assert done.returncode == TROUBLE
