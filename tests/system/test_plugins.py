# SPDX-License-Identifier: MIT
"""The plug-ins of cosign and notation against a server that lies, refuses or is not there; the
tools themselves are in tests/interop."""

import base64
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from client_stub import Stub, problem
from conftest import BUILD, CHANCERY, SOON

REFUSED, USE, TROUBLE = 1, 2, 3
DIGEST = bytes(range(32))
SIGNED = {"is_signed": True, "rules": ["all"], "intent": {"index": 100}, "outcome": {"index": 200}}


def signed(key, digest):
    """A result with the signature that OpenSSL makes."""
    made = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    return {**SIGNED, "signature": base64.b64encode(made).decode()}


def spki(key):
    made = key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(made).decode()


class Plugin:
    """A plug-in of somebody who is enrolled at the stub."""

    def __init__(self, home, stub):
        self.stub = stub
        self.env = {"HOME": str(home), **{k: v for k, v in os.environ.items()
                                          if k.endswith("SAN_OPTIONS")}}
        home.mkdir()
        self.run([CHANCERY, "enroll"], stub.code() + "\n")
        stub.requests.clear()

    def run(self, words, text):
        return subprocess.run([str(word) for word in words], input=text, env=self.env,
                              capture_output=True, text=True, timeout=SOON, check=False)

    def kms(self, method="signMessage", **more):
        """Exit code and answer."""
        options = {"messageOptions": {"digest": base64.b64encode(DIGEST).decode()}}
        question = {"initOptions": {"protocolVersion": "v1", "keyResourceID": "release",
                                    "hashFunc": 5, **more}, "methodName": method,
                    "signMessage": {"signOptions": options}}
        done = self.run([BUILD / "src/plugin/sigstore-kms-chancery", "v1", json.dumps(question)],
                        "")
        return done.returncode, json.loads(done.stdout)

    def notation(self, command="generate-signature", **more):
        question = {"contractVersion": "1.0", "keyId": "release", "keySpec": "EC-256",
                    "hashAlgorithm": "SHA-256", "payload": "aGVsbG8=", **more}
        done = self.run([BUILD / "src/plugin/notation-chancery", command], json.dumps(question))
        return done.returncode, json.loads(done.stderr if done.returncode else done.stdout)


@pytest.fixture(name="stub")
def fixture_stub(tmp_path):
    stub = Stub(tmp_path)
    stub.signs = ec.generate_private_key(ec.SECP256R1())
    stub.results = None  # the signatures that are asked for
    stub.shown = {"name": "release", "type": "p256", "certificates": [{"der": "AQID"}],
                  "public_key": spki(stub.signs)}
    stub.answers["GET /v1/keys/release"] = lambda r: (200, stub.shown, {})

    def sign(request):
        results = stub.results
        if results is None:
            results = [signed(stub.signs, bytes.fromhex(item["digest"]))
                       for item in request.body["items"]]
        return 200, {"results": results, "policy_number": 1}, {}

    stub.answers["POST /v1/sign"] = sign
    yield stub
    stub.close()


@pytest.fixture(name="plugin")
def fixture_plugin(stub, tmp_path):
    return Plugin(tmp_path / "home", stub)


def test_kms__what_is_asked(plugin, stub):
    plugin.env["CHANCERY_REASON"] = "nightly"
    code, answer = plugin.kms()
    made = base64.b64decode(answer["signMessage"]["signature"])
    stub.signs.public_key().verify(made, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    assert code == 0
    request, = stub.asked("POST /v1/sign")
    assert request.body["reason"] == "nightly"
    item, = request.body["items"]
    assert (item["key"], item["algorithm"], item["digest"], item["hashed_by"]) == (
        "release", "ecdsa-sha256", DIGEST.hex(), "tool")
    facts = {fact["name"]: (fact["value"], fact["basis"]) for fact in request.body["facts"]}
    assert facts["application.path"][0].endswith("/sigstore-kms-chancery")
    assert {basis for _, basis in facts.values()} == {"declared"}


def test_kms__facts_of_an_agents_login(plugin, stub):
    good = stub.answers["GET /v1/whoami"]

    def whoami(request):
        status, body, headers = good(request)
        return status, {**body, "is_agent": True}, headers

    stub.answers["GET /v1/whoami"] = whoami
    assert plugin.kms()[0] == 0
    request, = stub.asked("POST /v1/sign")
    assert {fact["basis"] for fact in request.body["facts"]} == {"agent"}


def test_kms__a_token_for_signing_alone(plugin, stub):
    """It may not ask who it is, and is no agent's."""
    stub.answers["GET /v1/whoami"] = lambda r: problem(403, "forbidden", "scopes")
    assert plugin.kms()[0] == 0
    request, = stub.asked("POST /v1/sign")
    assert {fact["basis"] for fact in request.body["facts"]} == {"declared"}


@pytest.mark.parametrize("results,said", [
    ([], "one signature was asked for, 0 answers came"),
    ([SIGNED, SIGNED], "one signature was asked for, 2 answers came"),
    ([{"is_signed": True}], "the server says that it signed and gives no signature"),
])
def test_answers_that_do_not_fit(plugin, stub, results, said):
    stub.results = results
    assert plugin.kms() == (TROUBLE, {"errorMessage": said})
    assert plugin.notation() == (TROUBLE, {"errorCode": "ERROR", "errorMessage": said})


def test_refused(plugin, stub):
    stub.results = [{"is_signed": False, "problem": "denied-by-policy", "detail": "not on Sundays",
                     "rules": ["no-sundays", "never"], "intent": {"index": 100}}]
    said = ("key release: refused by rule no-sundays, never: not on Sundays "
            f"(request {'ab' * 16})")
    assert plugin.kms() == (REFUSED, {"errorMessage": said})
    assert plugin.notation() == (REFUSED, {"errorCode": "ACCESS_DENIED", "errorMessage": said})


@pytest.mark.parametrize("status,kind,code", [
    (404, "not-found", "VALIDATION_ERROR"), (403, "forbidden", "ACCESS_DENIED"),
    (401, "unauthenticated", "ACCESS_DENIED"), (429, "rate-limited", "THROTTLED"),
    (504, "timeout", "TIMEOUT"), (500, "internal", "ERROR"),
])
def test_notation__code_of_a_problem(plugin, stub, status, kind, code):
    stub.answers["POST /v1/sign"] = lambda r: problem(status, kind, "because")
    _, answer = plugin.notation()
    assert answer["errorCode"] == code
    assert "because" in answer["errorMessage"]
    assert "because" in plugin.kms()[1]["errorMessage"]


@pytest.mark.parametrize("receipt", ["", "c2sp.org/tlog-proof@v1\nindex 200\n\nforged\n"])
def test_a_bad_receipt_gives_no_signature(plugin, stub, tmp_path, receipt):
    plugin.env["CHANCERY_RECEIPTS"] = str(tmp_path)
    stub.results = [{**signed(stub.signs, DIGEST), "receipt": receipt}]
    code, answer = plugin.kms()
    assert code != 0 and "the receipt is not good" in answer["errorMessage"]
    assert not list(tmp_path.glob("*.receipt"))
    assert stub.asked("POST /v1/sign")[0].body["receipt"] == "full"


def none_of_it(stub):
    """By what a server may say that it signed, when it did not."""
    good = signed(stub.signs, DIGEST)
    return {
        "no signature": {**SIGNED, "signature": base64.b64encode(b"a signature").decode()},
        "of something else": signed(stub.signs, bytes(32)),
        "by another key": signed(ec.generate_private_key(ec.SECP256R1()), DIGEST),
        "cut": {**good, "signature": base64.b64encode(
            base64.b64decode(good["signature"])[:-1]).decode()},
    }


@pytest.mark.parametrize("lie", ["no signature", "of something else", "by another key", "cut"])
def test_a_signature_that_is_none(plugin, stub, tmp_path, lie):
    plugin.env["CHANCERY_RECEIPTS"] = str(tmp_path)
    stub.results = [none_of_it(stub)[lie]]
    said = "the server's signature is none by key release"
    assert plugin.kms() == (REFUSED, {"errorMessage": said})
    assert plugin.notation() == (REFUSED, {"errorCode": "ERROR", "errorMessage": said})
    assert not list(tmp_path.glob("*.receipt"))


def test_a_key_that_was_not_asked_for(plugin, stub):
    stub.shown = {**stub.shown, "name": "other"}
    code, answer = plugin.kms()
    assert code == TROUBLE and "the server showed another" in answer["errorMessage"]
    assert not stub.asked("POST /v1/sign")


def test_notation__a_key_of_another_kind(plugin, stub):
    stub.shown = {**stub.shown, "type": "p384"}
    code, answer = plugin.notation()
    assert (code, answer["errorCode"]) == (USE, "VALIDATION_ERROR")
    assert "not what keySpec says" in answer["errorMessage"]
    assert not stub.asked("POST /v1/sign")


def test_the_server_is_not_there(plugin, stub):
    stub.close()
    code, answer = plugin.kms()
    assert code == TROUBLE and "connect" in answer["errorMessage"]
    assert plugin.notation()[1]["errorCode"] == "ERROR"


def test_kms__a_deadline_that_is_over(plugin, stub):
    code, answer = plugin.kms(ctxDeadline="2020-01-01T00:00:00Z")
    assert code == TROUBLE and "the time that was given" in answer["errorMessage"]
    assert not stub.requests
