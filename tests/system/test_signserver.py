# SPDX-License-Identifier: MIT
"""SignServer's door: programs that were made for it get their signatures from us, by the same
policy and with the same log. That jsign does is shown in tests/interop/test_jsign_signserver.py."""

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from api import Api, ok, refused, running_world

DATA = b"what is signed"
HASHED = {"USING_CLIENTSUPPLIED_HASH": "true", "CLIENTSIDE_HASHDIGESTALGORITHM": "SHA-256"}


@pytest.fixture(name="world", scope="module")
def fixture_world():
    with running_world(enabled="true") as world:
        for name, kind in (("k", "p256"), ("r", "rsa-3072"), ("e", "ed25519"), ("bare", "p256"),
                           ("p384", "p384")):
            world.admin.key(name, kind)
            if name != "bare":
                ok(world.admin.post(f"/v1/keys/{name}/development-certificate",
                                    {"subject": f"CN=Test {name}"}))
        world.admin.policy()
        yield world


def text_of(data):
    return base64.b64encode(data).decode()


def path_of(worker):
    return f"/rest/v1/workers/{worker}/process"


def process(client, worker, data, metadata=None, encoding="BASE64", **options):
    body = {"data": text_of(data) if encoding == "BASE64" else data, "encoding": encoding}
    if metadata is not None:
        body["metaData"] = metadata
    return client.post(path_of(worker), body, **options)


def hashed(client, worker, data=DATA, name="SHA-256", **more):
    digest = hashlib.new(name.replace("-", ""), data).digest()
    return process(client, worker, digest,
                   {**HASHED, "CLIENTSIDE_HASHDIGESTALGORITHM": name, **more})


def error(answer, status, part):
    """SignServer's shape of a refusal."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["error"]
    assert part in answer.json["error"], answer
    return answer


def spki_of(answer):
    certificate = x509.load_der_x509_certificate(base64.b64decode(answer["signerCertificate"]))
    return certificate.public_key().public_bytes(serialization.Encoding.DER,
                                                 serialization.PublicFormat.SubjectPublicKeyInfo)


# --- what is right ---


@pytest.mark.parametrize("key,name,algorithm", [
    ("k", "SHA-256", "ecdsa-sha256"), ("k", "SHA-384", "ecdsa-sha384"),
    ("r", "SHA-256", "rsa-pkcs1-sha256"), ("r", "sha512", "rsa-pkcs1-sha512"),
])
def test_a_digest_is_signed(world, key, name, algorithm):
    with world.logged("sign.intent", "sign.outcome") as logged:
        answer = ok(hashed(world.admin, key, name=name))
    assert world.verifies(key, DATA, answer["data"], algorithm)
    assert spki_of(answer) == world.public_keys[key]
    (intent, _), (outcome, _) = logged
    assert (intent["principal"], intent["key" if "key" in intent else "subject"]) == ("admin", key)
    assert (intent["algorithm"], intent["hashed_by"]) == (algorithm, "tool")
    assert outcome["result_sha256"] == hashlib.sha256(base64.b64decode(answer["data"])).hexdigest()
    assert int(answer["archiveId"]) == world.log_size() - 1
    assert answer["requestId"] == intent["request_id"]


@pytest.mark.parametrize("key,algorithm", [("k", "ecdsa-sha256"), ("r", "rsa-pkcs1-sha256"),
                                           ("p384", "ecdsa-sha256"), ("e", "ed25519")])
def test_data_is_hashed_here(world, key, algorithm):
    answer = ok(process(world.admin, key, DATA))
    assert world.verifies(key, DATA, answer["data"], algorithm)
    answer = ok(process(world.admin, key, DATA.decode(), {"USING_CLIENTSUPPLIED_HASH": "false"},
                        encoding="NONE"))
    assert world.verifies(key, DATA, answer["data"], algorithm)
    answer = ok(world.admin.post(path_of(key), {"data": DATA.decode()}))
    assert world.verifies(key, DATA, answer["data"], algorithm)


@pytest.mark.parametrize("size,hashed_by", [(65536, "server"), (65537, "client")])
def test_what_is_short_is_looked_at(world, size, hashed_by):
    """Up to 64 KiB it goes on to those who find out what it is."""
    with world.logged("sign.intent", "sign.outcome") as logged:
        ok(process(world.admin, "k", b"x" * size))
    assert logged[0][0]["hashed_by"] == hashed_by


def test_ed25519_signs_64_kib_at_most(world):
    ok(process(world.admin, "e", b"x" * 65536))
    error(process(world.admin, "e", b"x" * 65537), 413, "at most 65536 bytes")


def test_a_key_without_a_certificate_signs_all_the_same(world):
    answer = ok(hashed(world.admin, "bare"))
    assert not answer.get("signerCertificate")
    assert world.verifies("bare", DATA, answer["data"])


def test_below_signserver_too(world):
    body = {"data": text_of(DATA), "encoding": "BASE64"}
    answer = ok(world.admin.post("/signserver" + path_of("k"), body))
    assert world.verifies("k", DATA, answer["data"])


def test_the_tool_is_in_the_log(world):
    answer = process(world.admin, "k", DATA, {}, headers={"User-Agent": "Jsign (https://x)"})
    row = ok(world.admin.get(f"/v1/log/{ok(answer)['archiveId']}"))
    assert row["application"] == {"name": "application.path", "value": "Jsign",
                                  "basis": "declared"}
    assert 'with "Jsign" (declared)' in row["text"]


def test_a_reason_may_go_along(world):
    world.admin.policy("version: 1\nrules:\n  - {name: all, effect: allow}\n"
                       "  - {name: say-why, effect: require, requirement: reason}\n")
    try:
        error(hashed(world.admin, "k"), 403, "")
        ok(hashed(world.admin, "k", REASON="release 1.0"))
    finally:
        world.admin.policy()


# --- the certificate ---


EMPTY = [({"data": ""}), ({}), ({"data": "", "encoding": "BASE64", "metaData": {}}),
         ({"data": text_of(hashlib.sha256(b"").digest()), "encoding": "BASE64",
           "metaData": HASHED}),
         ({"data": text_of(hashlib.sha512(b"").digest()), "encoding": "BASE64",
           "metaData": {**HASHED, "CLIENTSIDE_HASHDIGESTALGORITHM": "SHA-512"}})]


@pytest.mark.parametrize("body", EMPTY)
def test_nothing_to_sign_asks_for_the_certificate(world, body):
    with world.unchanged():
        answer = ok(world.admin.post(path_of("k"), body))
    assert spki_of(answer) == world.public_keys["k"]
    assert not answer.get("data") and not answer.get("archiveId")


def test_there_is_no_certificate(world):
    with world.unchanged():
        error(world.admin.post(path_of("bare"), {"data": ""}), 404, "has no certificate")


# --- who asks ---


def basic(world, user, password, worker="k"):
    words = base64.b64encode(f"{user}:{password}".encode()).decode()
    return hashed(Api(world), worker) if user is None else process(
        Api(world), worker, hashlib.sha256(DATA).digest(), HASHED,
        headers={"Authorization": f"Basic {words}"})


def test_an_api_token_is_the_password(world):
    world.person("job")
    client, _ = world.token_for("job", ["sign", "keys.show"])
    with world.logged("sign.intent", "sign.outcome") as logged:
        answer = ok(basic(world, "anybody", client.token))
    assert world.verifies("k", DATA, answer["data"])
    assert (logged[0][0]["principal"], logged[0][0]["method"]) == ("job", "api-token")
    ok(hashed(client, "k"))  # as Bearer


@pytest.mark.parametrize("scopes", [["sign"], ["keys.show"], ["log.*"]])
def test_a_token_needs_both_scopes(world, scopes):
    world.person("job")
    client, _ = world.token_for("job", scopes)
    with world.unchanged():
        error(basic(world, "job", client.token), 403, "")


@pytest.mark.parametrize("value", [
    "Basic", "Basic ", "Basic !", "Basic eDp5", "Basic eA==", "Basic " + "eDp5" * 200,
    "Digest x", "Bearer x", "Basic " + base64.b64encode(b"x:" + b"y" * 257).decode(),
])
def test_wrong_credentials(world, value):
    with world.unchanged():
        answer = process(Api(world), "k", DATA, headers={"Authorization": value})
        error(answer, 401, "")
    assert answer.headers["www-authenticate"] == 'Basic realm="chancery"'


def test_nobody(world):
    with world.unchanged():
        error(process(world.nobody, "k", DATA), 401, "needed")


# --- what is wrong ---


WRONG = [
    ({"data": "x", "encoding": "BASE64"}, 400, "BASE64"),
    ({"data": "eA", "encoding": "BASE64"}, 400, "BASE64"),
    ({"data": "x", "encoding": "HEX"}, 400, "encoding"),
    ({"data": "x", "encoding": "base64"}, 400, "encoding"),
    ({"data": 1}, 400, "data"),
    ({"data": None}, 400, "data"),
    ({"data": "x", "metaData": []}, 400, "metaData"),
    ({"data": "x", "metaData": {"a": 1}}, 400, "metaData"),
    ({"data": "x", "metaData": {"a" * 129: ""}}, 413, "metaData"),
    ({"data": "x", "metaData": {str(i): "" for i in range(33)}}, 413, "metaData"),
    ({"data": "x", "more": ""}, 400, "more"),
    ([], 400, ""),
    ({"data": "x", "metaData": {"USING_CLIENTSUPPLIED_HASH": "yes"}}, 400, "not true or false"),
    ({"data": "x", "metaData": {"USING_CLIENTSUPPLIED_HASH": "true"}}, 400, "SHA-256"),
    ({"data": text_of(b"x" * 20), "encoding": "BASE64",
      "metaData": {**HASHED, "CLIENTSIDE_HASHDIGESTALGORITHM": "SHA-1"}}, 400, '"SHA-1"'),
    ({"data": text_of(b"x" * 31), "encoding": "BASE64", "metaData": HASHED}, 400, "31 bytes"),
    ({"data": text_of(b"x" * 33), "encoding": "BASE64", "metaData": HASHED}, 400, "33 bytes"),
    ({"data": "", "encoding": "BASE64", "metaData": HASHED}, 400, "0 bytes"),
]


@pytest.mark.parametrize("body,status,part", WRONG)
def test_wrong_bodies(world, body, status, part):
    with world.unchanged():
        error(world.admin.post(path_of("k"), body), status, part)


def test_a_body_that_is_no_json(world):
    with world.unchanged():
        error(world.admin.post(path_of("k"), raw=b"{"), 400, "")
        error(world.admin.post(path_of("k"), raw=b'{"data":"","data":""}'), 400, "")
        error(world.admin.post(path_of("k"), raw=b"x",
                               headers={"Content-Type": "multipart/form-data; boundary=x"}),
              415, "application/json")


def test_other_methods(world):
    answer = error(world.admin.get(path_of("k")), 405, "POST")
    assert answer.headers["allow"] == "POST"
    refused(world.admin.post("/rest/v1/workers", {}), 404, "not-found")
    refused(world.admin.post("/rest/v1/workers/k", {}), 404, "not-found")


def test_no_such_worker(world):
    with world.unchanged():
        error(hashed(world.admin, "none-such"), 404, "none-such")
        error(hashed(world.admin, "a%2Fb"), 404, "a/b")
        refused(hashed(world.admin, "%2e%2e"), 400, "malformed")


def test_an_ed25519_key_signs_no_digest(world):
    with world.unchanged():
        error(hashed(world.admin, "e"), 400, "USING_CLIENTSUPPLIED_HASH=false")


def test_a_key_that_is_disabled(world):
    ok(world.admin.post("/v1/keys/p384/disable"))
    try:
        error(hashed(world.admin, "p384"), 409, "disabled")
    finally:
        ok(world.admin.post("/v1/keys/p384/enable"))


# --- that it is closed unless somebody opens it ---


def test_closed_unless_configured():
    with running_world() as closed:
        refused(closed.admin.post(path_of("k"), {"data": ""}), 404, "not-found")
        assert path_of("{name}") not in closed.admin.get("/openapi.json").json["paths"]


def test_openapi_has_it(world):
    operation = world.nobody.get("/openapi.json").json["paths"][path_of("{name}")]["post"]
    assert operation["operationId"] == "signserver.process"
