# SPDX-License-Identifier: MIT
"""Certificates and API tokens: expired, foreign, revoked, of a principal that was disabled. And how
one gets them: enrolment codes and renewal."""

import datetime
import hashlib
import os
import re
import sqlite3
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api import Api, Identity, item, ok, pem_of, refused, softhsm, world

SIGN = {"items": [item("k")]}


# --- certificates that the server did not issue, or not so ---


def build(
    subject, issuer, key, starts_hours=-1, ends_hours=24, usage=ExtendedKeyUsageOID.CLIENT_AUTH
):
    now = datetime.datetime.utcnow()
    hour = datetime.timedelta(hours=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts_hours * hour)
        .not_valid_after(now + ends_hours * hour)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.ExtendedKeyUsage([usage]), False)
    )


def der(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    length = (
        bytes([n])
        if n < 128
        else bytes([0x80 | (n.bit_length() + 7) // 8])
        + n.to_bytes((n.bit_length() + 7) // 8, "big")
    )
    return bytes([tag]) + length + content


def sign_with_client_ca(world, certificate):
    """The worst case: a certificate that the CA's own key has signed, and the server never
    issued."""
    tbs = certificate.tbs_certificate_bytes
    digest, raw = world.folder / "tbs.digest", world.folder / "tbs.sig"
    digest.write_bytes(hashlib.sha256(tbs).digest())
    listed = softhsm(world.server, "-O", "--type", "privkey")
    key_id = re.search(r"label: +@client-ca\n +ID: +([0-9a-f]+)", listed).group(1)
    softhsm(world.server, "--sign", "--mechanism", "ECDSA", "--id", key_id, "-i", digest, "-o", raw)
    half = raw.read_bytes()
    signature = utils.encode_dss_signature(
        int.from_bytes(half[:32], "big"), int.from_bytes(half[32:], "big")
    )
    algorithm = der(0x30, bytes.fromhex("06082a8648ce3d040302"))
    made = x509.load_der_x509_certificate(der(0x30, tbs, algorithm, der(3, b"\0", signature)))
    world.client_ca().public_key().verify(signature, tbs, ec.ECDSA(hashes.SHA256()))
    return made


@pytest.fixture(scope="module")
def forge(world):
    """Certificates in the client CA's name, for a new key."""
    issuer = world.admin.identity.certificate.issuer
    count = []

    def make(subject="admin", by_ca=True, issued_by=issuer, **times):
        count.append(0)
        identity = Identity(world.folder, f"forged-{len(count)}")
        # The signature of cryptography is thrown away when the CA signs; its key may be anybody's.
        certificate = build(subject, issued_by, identity.key.public_key(), **times).sign(
            ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
        )
        if by_ca:
            certificate = sign_with_client_ca(world, certificate)
        identity.take(pem_of(certificate))
        return Api(world, identity)

    return make


def attempts(world, client, status, kind):
    """Nothing that needs a credential is answered, and nothing is left behind."""
    with world.unchanged():
        problem = refused(client.post("/v1/sign", SIGN), status, kind)
        refused(client.get("/v1/whoami"), status, kind)
        refused(client.get("/v1/keys"), status, kind)
        assert client.get("/healthz").status == 200
        client.close()
    return problem


def test_no_credential(world):
    attempts(world, world.nobody, 401, "unauthenticated")


def test_a_certificate_of_the_ca_that_was_never_issued(world, forge):
    """The store decides, not the CA's signature: a stolen CA key alone lets nobody in."""
    problem = attempts(world, forge(), 401, "unauthenticated")
    assert "knows no such" in problem["detail"]


def test_an_expired_certificate(world, forge):
    problem = attempts(world, forge(starts_hours=-48, ends_hours=-1), 401, "expired")
    assert "enrol" in problem["detail"]


def test_a_certificate_of_the_future(world, forge):
    attempts(world, forge(starts_hours=2, ends_hours=24), 401, "unauthenticated")


def test_a_certificate_for_servers(world, forge):
    attempts(world, forge(usage=ExtendedKeyUsageOID.SERVER_AUTH), 401, "unauthenticated")


def test_a_foreign_certificate_in_the_cas_name(world, forge):
    attempts(world, forge(by_ca=False), 401, "unauthenticated")


def test_a_foreign_certificate(world, forge):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Another CA")])
    attempts(world, forge(by_ca=False, issued_by=name), 401, "unauthenticated")


def test_a_certificate_signed_by_a_client(world):
    """A leaf is no CA: a client cannot make clients."""
    parent = world.person("parent").identity
    identity = Identity(world.folder, "child")
    made = build("admin", parent.certificate.subject, identity.key.public_key()).sign(
        parent.key, hashes.SHA256()
    )
    identity.take(pem_of(made) + pem_of(parent.certificate))
    attempts(world, Api(world, identity), 401, "unauthenticated")


def test_nothing_public_hides_behind_a_bad_certificate(world, forge):
    client = forge(starts_hours=-48, ends_hours=-1)
    assert client.get("/v1/hello").status == 200
    assert client.get("/log/checkpoint").status == 200
    client.close()


# --- API tokens ---


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "chyt_",
        "chyt_" + "00" * 32,
        "chyt_" + "00" * 31,
        "CHYT_" + "00" * 32,
        "a" * 256,
        "a" * 257,
        "a" * 5000,
        "Bearer x",
        "' OR 1=1 --",
    ],
)
def test_tokens_that_are_none(world, token):
    attempts(world, Api(world, token=token), 401, "unauthenticated")


@pytest.mark.parametrize(
    "value", ["Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "Negotiate x", "x", ""]
)
def test_other_ways_to_say_who_one_is(world, value):
    with world.unchanged():
        refused(
            world.nobody.post("/v1/sign", SIGN, headers={"Authorization": value}),
            401,
            "unauthenticated",
        )


def test_a_token_beside_a_certificate_is_what_counts(world):
    """Whoever shows both is known by the token alone: a bad one is not made good by the
    certificate."""
    client = Api(world, world.admin.identity, token="chyt_" + "00" * 32)
    attempts(world, client, 401, "unauthenticated")


def test_two_tokens_at_once(world):
    world.person("plain")
    client, _ = world.token_for("plain", ["sign"])
    raw = client.tls()
    body = b'{"items":[]}'
    raw.sendall(
        b"POST /v1/sign HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nAuthorization: Bearer x\r\nContent-Length: %d\r\n"
        b"Connection: close\r\n\r\n" % (client.token.encode(), len(body)) + body
    )
    data = b""
    while chunk := raw.recv(65536):
        data += chunk
    raw.close()
    assert data.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")), data[:200]


def test_a_token_signs_and_is_named_in_the_log(world):
    world.person("plain")
    client, info = world.token_for("plain", ["sign"], description="for the build", valid_days=1)
    with world.logged("sign.intent", "sign.outcome") as logged:
        ok(client.sign("k"))
    assert logged[0][0]["method"] == "api-token" and logged[0][0]["principal"] == "plain"
    shown = ok(world.admin.get("/v1/users/plain"))
    mine = [t for t in shown["api_tokens"] if t["id"] == info["id"]]
    assert len(mine) == 1 and mine[0]["description"] == "for the build"
    assert client.token not in str(shown)


def test_a_revoked_token(world):
    world.person("plain")
    client, info = world.token_for("plain", ["sign", "whoami", "keys.*"])
    ok(client.sign("k"))
    with world.logged("user"):
        ok(world.admin.delete(f"/v1/users/plain/api-tokens/{info['id']}"))
    problem = attempts(world, client, 401, "unauthenticated")
    assert "revoked" in problem["detail"]
    with world.unchanged():
        refused(world.admin.delete(f"/v1/users/admin/api-tokens/{info['id']}"), 404, "not-found")


def test_a_token_is_stored_by_its_hash_alone(world):
    world.person("plain")
    client, _ = world.token_for("plain", ["sign"])
    raw = world.store.read_bytes() + world.store.with_name("chancery.db-wal").read_bytes()
    assert client.token.encode() not in raw and client.token[5:].encode() not in raw
    assert bytes.fromhex(client.token[5:]) not in raw
    assert hashlib.sha256(client.token.encode()).hexdigest().encode() in raw
    assert client.token not in world.server.log()


# --- time ---


def expire(world, name):
    """Let a principal's credentials end an hour ago, in the store of a server that is stopped."""
    with sqlite3.connect(world.store) as db:
        rows = db.execute("SELECT name, body FROM object WHERE kind = 3").fetchall()
        changed = 0
        for key, body in rows:
            if name.encode() not in body:
                continue
            changed += 1
            assert (
                db.execute(
                    "UPDATE object SET body = ? WHERE kind = 3 AND name = ?", (aged(body), key)
                ).rowcount
                == 1
            )
        assert changed > 0
    db.close()
    for part in (world.store, *world.store.parent.iterdir()):
        if os.geteuid() == 0:
            info = world.store.parent.stat()
            os.chown(part, info.st_uid, info.st_gid)


def aged(body):
    """A credential record whose `expires` is an hour ago: principal, method, then what is told of a
    token."""
    n = int.from_bytes(body[:4], "big")
    at = 4 + n + 2 + 16  # principal, method, id
    at += 4 + int.from_bytes(body[at : at + 4], "big")  # description
    for _ in range(2):  # scopes, keys
        count = int.from_bytes(body[at : at + 4], "big")
        at += 4
        for _ in range(count):
            at += 4 + int.from_bytes(body[at : at + 4], "big")
    at += 8  # created
    then = int((time.time() - 3600) * 1e6)
    assert int.from_bytes(body[at : at + 8], "big") > then
    return body[:at] + then.to_bytes(8, "big") + body[at + 8 :]


# row 7
def test_credentials_that_have_expired(world):
    person = world.person("passing")
    token, _ = world.token_for("passing", ["sign", "whoami", "keys.*"])
    ok(person.sign("k"))
    ok(token.sign("k"))
    world.stop()
    token.close()
    expire(world, "passing")
    world.server.start()
    problem = attempts(world, token, 401, "expired")
    assert "API token" in problem["detail"]
    problem = attempts(world, person, 401, "expired")
    assert "enrolment code" in problem["detail"]
    with world.unchanged():  # too late to renew
        refused(person.post("/v1/renew", {"csr": person.identity.csr()}), 401, "expired")
    again = Api(world, world.enroll("passing", world.code_for("passing")))
    ok(again.sign("k"))
    world.people["passing"] = again


# --- principals that were disabled ---


def test_a_disabled_principal(world):
    person = world.person("leaving")
    token, _ = world.token_for("leaving", ["sign", "whoami", "keys.*"])
    code = world.code_for("leaving")
    ok(person.sign("k"))
    ok(token.sign("k"))
    with world.logged("user"):
        ok(world.admin.put("/v1/users/leaving", {"is_disabled": {"value": True}}))
    problem = attempts(world, person, 401, "unauthenticated")
    assert "disabled" in problem["detail"]
    attempts(world, token, 401, "unauthenticated")
    identity = Identity(world.folder, "leaving-again")
    with world.unchanged():
        refused(
            world.nobody.post("/v1/enroll", {"code": code.split(".")[2], "csr": identity.csr()}),
            401,
            "unauthenticated",
        )
        refused(person.post("/v1/renew", {"csr": person.identity.csr()}), 401, "unauthenticated")
    ok(world.admin.put("/v1/users/leaving", {"is_disabled": {"value": False}}))
    ok(person.sign("k"))


# --- enrolment ---


def enroll(world, code, csr):
    return world.nobody.post("/v1/enroll", {"code": code, "csr": csr})


def test_a_code_works_once(world):
    world.person("plain")
    code = world.code_for("plain").split(".")[2]
    identity = Identity(world.folder, "once")
    with world.unchanged():  # a request that is wrong does not use it up
        refused(enroll(world, code, "no PEM"), 400, "malformed")
    with world.logged("key.intent", "user") as logged:
        answer = ok(enroll(world, code, identity.csr()))
    identity.take(answer["certificate"])
    fingerprint = identity.certificate.fingerprint(hashes.SHA256()).hex()
    assert logged[1][0]["action"] == "user.enroll" and logged[1][0]["subject"] == "plain"
    assert logged[1][0]["result_sha256"] == fingerprint
    assert ok(Api(world, identity).get("/v1/whoami"))["principal"] == "plain"
    with world.unchanged():
        refused(enroll(world, code, identity.csr()), 401, "unauthenticated")


@pytest.mark.parametrize("code", ["", "x", "A" * 27, "A" * 128, "a b", "\0"])
def test_codes_that_are_none(world, code):
    with world.unchanged():
        answer = enroll(world, code, Identity(world.folder, "none").csr())
        assert answer.status in (400, 401), answer


def csr_of(key, algorithm=None):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    return pem_of(made.sign(key, algorithm or hashes.SHA256()))


def test_the_subject_is_what_the_server_says(world):
    """A request in the administrator's name makes nobody an administrator."""
    world.person("plain")
    code = world.code_for("plain").split(".")[2]
    identity = Identity(world.folder, "pretender")
    answer = ok(enroll(world, code, csr_of(identity.key)))
    identity.take(answer["certificate"])
    assert identity.certificate.subject.rfc4514_string() == "CN=plain"
    assert ok(Api(world, identity).get("/v1/whoami"))["principal"] == "plain"


def test_requests_that_are_wrong(world):
    world.person("plain")
    code = world.code_for("plain").split(".")[2]
    good = Identity(world.folder, "good").csr()
    lines = good.splitlines()
    lines[2] = lines[2].swapcase()
    wrong = [
        "",
        good[:100],
        "\n".join(lines),
        good + good,
        good.replace("REQUEST", "X"),
        csr_of(rsa.generate_private_key(65537, 1024)),
        csr_of(ec.generate_private_key(ec.SECP192R1())),
        "x" * 100000,
    ]
    for csr in wrong:
        with world.unchanged():
            answer = enroll(world, code, csr)
            assert answer.status in (400, 413), (csr[:60], answer)
    ok(enroll(world, code, good))


def renewed(world, api, name):
    """The same key with a new certificate."""
    fresh = Identity(world.folder, name)
    fresh.key = api.identity.key
    return Api(world, fresh.take(ok(api.post("/v1/renew", {"csr": fresh.csr()}))["certificate"]))


def test_renewal(world):
    person = world.person("renewing", groups=["g"])
    with world.logged("key.intent", "user") as logged:
        fresh = renewed(world, person, "renewed")
    assert logged[1][0]["action"] == "user.renew"
    assert ok(fresh.get("/v1/whoami"))["principal"] == "renewing"
    ok(person.get("/v1/whoami"))  # the old one lives to its end
    ok(renewed(world, fresh, "renewed-again").get("/v1/whoami"))
    agent = renewed(world, world.person("agent-2", is_agent=True), "agent-renewed")
    assert ok(agent.get("/v1/whoami"))["is_agent"] is True


def test_renewal_is_for_the_same_key(world):
    """Whoever can speak in a caller's name for a moment gets no certificate to keep."""
    person = world.person("renewing-2")
    with world.unchanged():
        answer = person.post("/v1/renew", {"csr": Identity(world.folder, "another").csr()})
        refused(answer, 403, "forbidden")


def test_codes_are_for_those_who_are_there(world):
    with world.unchanged():
        refused(world.admin.post("/v1/users/no-one/enrolment-codes", {}), 404, "not-found")
        answer = world.admin.post("/v1/users/admin/enrolment-codes", {"valid_minutes": 10081})
        refused(answer, 413, "over-limit")
