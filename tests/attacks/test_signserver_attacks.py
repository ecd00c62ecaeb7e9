# SPDX-License-Identifier: MIT
"""SignServer's door is no way round anything: what POST /v1/sign refuses, it refuses, and what may
not be seen it does not show."""

import base64
import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from api import Api, ok, running_world

HASHED = {"USING_CLIENTSUPPLIED_HASH": "true", "CLIENTSIDE_HASHDIGESTALGORITHM": "SHA-256"}
POLICY = """\
version: 1
rules:
  - {name: the-team, effect: allow, match: {key: "team-*", group: team}}
  - {name: the-others, effect: allow, match: {key: "others-*", group: others}}
  - name: no-certificates
    effect: deny
    match: {key: team-strict, fact: {content.type: {value: x509-tbs, basis: server}}}
"""


@pytest.fixture(name="world", scope="module")
def fixture_world():
    with running_world(enabled="true") as world:
        for name in ("team-key", "team-strict", "others-key"):
            world.admin.key(name)
            ok(world.admin.post(f"/v1/keys/{name}/development-certificate",
                                {"subject": f"CN={name}"}))
        world.admin.policy(POLICY)
        world.person("mine", groups=["team"])
        yield world


def ask(client, worker, body, **options):
    return client.post(f"/rest/v1/workers/{worker}/process", body, **options)


def digest_body(data=b"x", **more):
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"data": digest, "encoding": "BASE64", "metaData": {**HASHED, **more}}


def data_body(data):
    return {"data": base64.b64encode(data).decode(), "encoding": "BASE64"}


def shows_nothing(answer):
    assert answer.status in (401, 403, 404), answer
    assert list(answer.json) == ["error"]


def test_a_worker_of_other_people(world):
    """Row 7: neither a signature nor the certificate, and no other answer than for no worker."""
    mine = world.person("mine")
    ok(ask(mine, "team-key", digest_body()))
    ok(ask(mine, "team-key", {"data": ""}))
    for body in (digest_body(), data_body(b"x"), {"data": ""}, digest_body(b"")):
        with world.unchanged():
            shows_nothing(ask(mine, "others-key", body))
        theirs, none = ask(mine, "others-key", body).json, ask(mine, "no-key", body).json
        assert theirs["error"].replace("others-key", "no-key") == none["error"]


def test_a_token_for_other_keys(world):
    """Row 7: a token that is limited to some keys is so here, and as a password."""
    client, _ = world.token_for("mine", ["sign", "keys.show"], keys=["team-strict"])
    words = base64.b64encode(f"admin:{client.token}".encode()).decode()
    for headers in ({"Authorization": f"Bearer {client.token}"},
                    {"Authorization": f"Basic {words}"}):
        for body in (digest_body(), {"data": ""}):
            with world.unchanged():
                shows_nothing(ask(Api(world), "team-key", body, headers=headers))


def test_the_name_before_the_password_is_nobody(world):
    """Row 7: who asks is whose token it is, whatever name stands before it."""
    client, _ = world.token_for("mine", ["sign", "keys.show"])
    words = base64.b64encode(f"admin:{client.token}".encode()).decode()
    with world.logged("sign.intent", "sign.outcome") as logged:
        ok(ask(Api(world), "team-key", digest_body(), headers={"Authorization": f"Basic {words}"}))
    assert logged[0][0]["principal"] == "mine"


def test_a_certificate_is_not_signed_in_disguise(world):
    """Row 11: a rule that looks at what is signed sees it here, and a bare digest, in which there
    is nothing to see, is not believed to be anything else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a CA of mine")])
    ends = datetime.datetime(2026, 1, 1), datetime.datetime(2027, 1, 1)
    request = x509.CertificateBuilder(name, name, key.public_key(), 1, *ends)
    body = request.sign(key, hashes.SHA256()).tbs_certificate_bytes
    mine = world.person("mine")
    for asked in (data_body(body), digest_body(body)):
        with world.logged("sign.intent") as logged:
            shows_nothing(ask(mine, "team-strict", asked))
        assert logged[0][0]["decision"] == "denied"
        assert logged[0][0]["rules"] == ["no-certificates"]
    ok(ask(mine, "team-strict", data_body(b"what is not a certificate")))


def test_facts_are_no_better_than_declared(world):
    """Row 11: what a client says of itself in its User-Agent is its own word, and metadata states
    no fact."""
    world.admin.policy(POLICY + "  - {name: only-jsign, effect: allow, match: {key: others-key, "
                                "application: {path: /usr/bin/jsign}}}\n")
    try:
        for metadata in ({}, {"application.path": "/usr/bin/jsign"}, {"basis": "agent"}):
            shows_nothing(ask(world.person("mine"), "others-key",
                              digest_body(**metadata), headers={"User-Agent": "/usr/bin/jsign"}))
    finally:
        world.admin.policy(POLICY)


def test_weak_hashes(world):
    """Row 28: MD5 and SHA-1 are refused by their names, and by their lengths."""
    for name, size in (("MD5", 16), ("SHA-1", 20), ("SHA1", 20), ("SHA-224", 28), ("", 32)):
        body = data_body(bytes(size))
        body["metaData"] = {**HASHED, "CLIENTSIDE_HASHDIGESTALGORITHM": name}
        with world.unchanged():
            assert ask(world.person("mine"), "team-key", body).status == 400
        body["metaData"] = HASHED
        if size != 32:
            with world.unchanged():
                assert ask(world.person("mine"), "team-key", body).status == 400


def test_too_much(world):
    """Row 17: bodies that are too long, too deep or not what they say; and the server goes on."""
    mine = world.person("mine")
    ok(ask(mine, "team-key", data_body(bytes(3 * 1024 * 1024 - 1024))))
    path = "/rest/v1/workers/team-key/process"
    for raw in (b'{"data":"' + b"a" * 4 * 1024 * 1024 + b'"}', b"[" * 100000,
                b'{"metaData":' + b'{"a":' * 20 + b"1" + b"}" * 21, b'{"data":"\xff"}',
                b'{"data":"\\u0000"}', b'{"data":"a","data":"b"}', b"\0" * 1000):
        with world.unchanged():
            assert mine.post(path, raw=raw).status in (400, 413)
    for worker in ("%00", "%ff", "a" * 129, "%2f%2f", "team-key%20", "..;", "*"):
        with world.unchanged():
            assert ask(mine, worker, digest_body()).status in (400, 404, 413)
