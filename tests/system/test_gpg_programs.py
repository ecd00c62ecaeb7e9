# SPDX-License-Identifier: MIT
"""chancery-gpg and chancery-gpgsm against a server that lies; what they sign for an honest one is
in tests/interop. What is wrong is not handed out, and no status line says that it was."""

import base64
import hashlib
import os
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from client_stub import Authority, Stub
from conftest import BUILD, CHANCERY, SOON

PROGRAMS = {"gpg": BUILD / "src/gpg/chancery-gpg", "gpgsm": BUILD / "src/gpgsm/chancery-gpgsm"}
REFUSED, TROUBLE = 1, 3


def der_of(thing):
    return base64.b64encode(thing.public_bytes(
        serialization.Encoding.DER, *([serialization.PublicFormat.SubjectPublicKeyInfo]
                                      if isinstance(thing, ec.EllipticCurvePublicKey) else [])
    )).decode()


class Signer(Stub):
    """Signs as it is asked to, until a test changes one of these."""

    def __init__(self, folder):
        super().__init__(folder)
        self.signer = ec.generate_private_key(ec.SECP256R1())
        leaf = Authority("signing CA").issue(self.signer.public_key(), "release")
        self.shown = {
            "name": "release", "type": "p256", "state": "active", "created": "2026-01-02T03:04:05Z",
            "public_key": der_of(self.signer.public_key()),
            "certificates": [{"der": der_of(leaf), "subject": "CN=release", "serial": "01",
                              "issuer": "CN=signing CA", "not_after": "2099-01-01T00:00:00Z",
                              "sha256": hashlib.sha256(leaf.public_bytes(
                                  serialization.Encoding.DER)).hexdigest()}]}
        self.answers["GET /v1/keys/release"] = lambda r: (200, self.shown, {})
        self.answers["POST /v1/sign"] = self.sign
        self.results = lambda result: [result]

    def sign(self, request):
        digest = bytes.fromhex(request.body["items"][0]["digest"])
        signature = self.signer.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        result = {"is_signed": True, "signature": base64.b64encode(signature).decode(),
                  "rules": ["all"], "intent": {"index": 100}, "outcome": {"index": 200}}
        return 200, {"results": self.results(result), "policy_number": 1}, {}


@pytest.fixture(name="stub")
def fixture_stub(tmp_path):
    stub = Signer(tmp_path)
    yield stub
    stub.close()


@pytest.fixture(name="run", params=PROGRAMS)
def fixture_run(stub, tmp_path, request):
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}

    def run(*words, program=PROGRAMS[request.param], text=b"what is signed"):
        return subprocess.run([str(word) for word in (program, *words)], input=text, env=env,
                              capture_output=True, timeout=SOON, check=False)

    run("enroll", program=CHANCERY, text=stub.code().encode() + b"\n")
    return run


def sign(run):
    return run("--status-fd=2", "-bsau", "release")


def refused(done, code, why):
    assert done.returncode == code, done.stderr
    assert done.stdout == b""
    assert why.encode() in done.stderr and b"FAILURE sign" in done.stderr
    assert b"SIG_CREATED" not in done.stderr


def test_an_honest_one(run):
    done = sign(run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"-----BEGIN ") and b"\n[GNUPG:] SIG_CREATED D 19" in (
        b"\n" + done.stderr)


def test_a_signature_by_another_key(run, stub):
    stub.signer = ec.generate_private_key(ec.SECP256R1())
    refused(sign(run), REFUSED, "the server's signature is none by key release")


def test_a_signature_of_something_else(run, stub):
    first = []

    def always_the_first(result):
        first.append(result)
        return first[:1]

    stub.results = always_the_first
    assert sign(run).returncode == 0
    refused(run("--status-fd=2", "-bsau", "release", text=b"another"), REFUSED,
            "the server's signature is none by key release")


@pytest.mark.parametrize("results,said", [
    (lambda result: [], "one signature was asked for, 0 answers came"),
    (lambda result: [result, result], "one signature was asked for, 2 answers came"),
    (lambda result: [{"is_signed": True}], "says that it signed and gives no signature"),
    (lambda result: [{**result, "signature": "AQID"}], "none by key release"),
], ids=["none", "two", "empty", "short"])
def test_answers_that_do_not_fit(run, stub, results, said):
    stub.results = results
    done = sign(run)
    refused(done, done.returncode, said)
    assert done.returncode in (REFUSED, TROUBLE)


def test_another_key_is_shown(run, stub):
    stub.shown = {**stub.shown, "name": "somebody-else-s"}
    refused(sign(run), TROUBLE, "asked for key release, the server showed another")
    assert not stub.asked("POST /v1/sign")


def test_a_refusal(run, stub):
    stub.results = lambda result: [
        {"is_signed": False, "problem": "denied-by-policy", "rules": ["no-sundays", "never"],
         "detail": "not on Sundays\n[GNUPG:] SIG_CREATED D 1 8 00 1 F", "intent": {"index": 100}}]
    done = sign(run)
    assert done.returncode != 0 and done.stdout == b""
    assert b"\n[GNUPG:] SIG_CREATED" not in b"\n" + done.stderr


def test_a_refusal_names_the_rules(run, stub):
    stub.results = lambda result: [
        {"is_signed": False, "problem": "denied-by-policy", "rules": ["no-sundays", "never"],
         "detail": "not on Sundays", "intent": {"index": 100}}]
    refused(sign(run), REFUSED,
            "key release: refused by rule no-sundays, never: not on Sundays (request " + "ab" * 16)
