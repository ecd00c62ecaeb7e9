# SPDX-License-Identifier: MIT
"""Keys from their first day to their last, with OpenSSL as the judge of what they sign and of their
certificates, and OpenSC as a stranger in the same token."""

import base64
import datetime
import hashlib
import os
import re
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api import ok, openssl, pem_of, refused, softhsm, world

ALGORITHMS = {
    "rsa": [
        "rsa-pkcs1-sha256",
        "rsa-pkcs1-sha384",
        "rsa-pkcs1-sha512",
        "rsa-pss-sha256",
        "rsa-pss-sha384",
        "rsa-pss-sha512",
    ],
    "p": ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"],
    "ed25519": ["ed25519"],
}
TYPES = {
    "rsa-2048": "rsa",
    "rsa-3072": "rsa",
    "rsa-4096": "rsa",
    "p256": "p",
    "p384": "p",
    "p521": "p",
    "ed25519": "ed25519",
}
SIGNATURE_BYTES = {"rsa-2048": 256, "rsa-3072": 384, "rsa-4096": 512, "ed25519": 64}


# --- a CA of our own ---


class Ca:
    """A root, an intermediate, and what they issue."""

    def __init__(self):
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self.issue("Test root", self.root_key.public_key(), None, is_ca=True)
        self.intermediate = self.issue("Test issuer", self.key.public_key(), self.root, is_ca=True)

    def issue(
        self,
        name,
        key,
        issuer,
        is_ca=False,
        starts=-1,
        ends=400,
        usage=ExtendedKeyUsageOID.CODE_SIGNING,
        algorithm=None,
    ):
        now = datetime.datetime.utcnow()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by_root = issuer is None or issuer is getattr(self, "root", None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer is not None else subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=starts))
            .not_valid_after(now + datetime.timedelta(days=ends))
            .add_extension(x509.BasicConstraints(is_ca, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    (self.root_key if by_root else self.key).public_key()
                ),
                False,
            )
            .add_extension(
                x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False),
                True,
            )
        )
        if not is_ca and usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        return builder.sign(self.root_key if by_root else self.key, algorithm or hashes.SHA256())

    def leaf(self, key, **more):
        return self.issue("Example Corp", key, self.intermediate, **more)

    def chain(self, leaf):
        return pem_of(leaf) + pem_of(self.intermediate) + pem_of(self.root)


@pytest.fixture(scope="module")
def ca():
    return Ca()


def public_key(world, name):
    return serialization.load_der_public_key(world.public_keys[name])


# --- a life ---


@pytest.mark.parametrize("kind", TYPES)
def test_a_life(world, ca, kind):
    admin = world.admin
    name = f"life-{kind}"
    with world.logged("key.intent", "key") as logged:
        made = admin.key(
            name, kind, purpose="test", groups=["g1"], allow_rsa_2048=kind == "rsa-2048"
        )
    key_hash = hashlib.sha256(world.public_keys[name]).hexdigest()
    assert logged[1][0]["action"] == "key.create" and logged[1][0]["key_sha256"] == key_hash
    assert made["type"] == kind and made["state"] == "active" and made["origin"] == "generated"
    assert made["token_is_software"] is True and "software" in made["evidence"]
    assert any("software" in warning for warning in made["warnings"])

    # A request for a certificate, which OpenSSL finds in order.
    with world.logged("key.intent", "key"):
        csr = ok(
            admin.post(
                f"/v1/keys/{name}/csr",
                {"subject": "CN=Example Corp,O=Example,C=DE", "sans": ["email:a@example.org"]},
            )
        )["csr"]
    path = world.folder / "request.pem"
    path.write_text(csr)
    said = openssl("req", "-in", path, "-verify", "-noout", "-subject", "-text").stdout.decode()
    assert "Example Corp" in said and "email:a@example.org" in said
    request = x509.load_pem_x509_csr(csr.encode())
    assert (
        request.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        == world.public_keys[name]
    )

    # A certificate of the development CA, which says what it is.
    with world.logged("key.intent", "key", "key"):
        made = ok(admin.post(f"/v1/keys/{name}/development-certificate", {"valid_days": 30}))
    leaf = made["certificates"][0]
    assert leaf["is_development"] and any("nobody outside" in w for w in made["warnings"])
    assert any("days" in w for w in made["warnings"])  # it ends within 90 days
    ca_file, leaf_file = world.folder / "dev-ca.pem", world.folder / "leaf.pem"
    ca_file.write_text(ok(world.nobody.get("/v1/development-ca"))["pem"])
    leaf_file.write_text(pem_of(x509.load_der_x509_certificate(base64.b64decode(leaf["der"]))))
    openssl("verify", "-x509_strict", "-CAfile", ca_file, leaf_file)
    assert "Code Signing" in openssl("x509", "-in", leaf_file, "-noout", "-text").stdout.decode()

    # A certificate of a CA outside takes its place; the key's name stays.
    issued = ca.leaf(public_key(world, name))
    with world.logged("key"):
        made = ok(admin.put(f"/v1/keys/{name}/certificate", {"chain": ca.chain(issued)}))
    assert [c["subject"] for c in made["certificates"]] == [
        "CN=Example Corp",
        "CN=Test issuer",
        "CN=Test root",
    ]
    assert not made["certificates"][0].get("is_development") and made["name"] == name

    # Every algorithm, each signature judged by OpenSSL, and not taken for one of other data.
    for algorithm in ALGORITHMS[TYPES[kind]]:
        data = algorithm.encode() * 100
        result = ok(admin.sign(name, data, algorithm))["results"][0]
        assert world.verifies(name, data, result["signature"], algorithm), algorithm
        assert not world.verifies(name, data + b"!", result["signature"], algorithm)
        size = len(base64.b64decode(result["signature"]))
        assert size == SIGNATURE_BYTES.get(kind, size)

    # Off and on.
    signing = dict(key=name, algorithm=ALGORITHMS[TYPES[kind]][0])
    with world.logged("key"):
        assert ok(admin.post(f"/v1/keys/{name}/disable"))["state"] == "disabled"
    with world.unchanged():
        refused(admin.sign(**signing), 409, "wrong-state")
    with world.logged("key"):
        assert ok(admin.post(f"/v1/keys/{name}/enable"))["state"] == "active"
    ok(admin.sign(**signing))

    # The end, once it is confirmed.
    for wrong in ({}, {"confirm": ""}, {"confirm": name.upper()}, {"confirm": "k"}):
        with world.unchanged():
            answer = admin.post(f"/v1/keys/{name}/destroy", wrong)
            assert answer.status == 400, answer
    ok(admin.sign(**signing))
    with world.logged("key.intent", "key") as logged:
        made = ok(admin.post(f"/v1/keys/{name}/destroy", {"confirm": name}))
    assert made["state"] == "destroyed" and logged[1][0]["outcome"] == "done"
    with world.unchanged():
        refused(admin.sign(**signing), 409, "wrong-state")
        for verb in ("enable", "disable"):
            refused(admin.post(f"/v1/keys/{name}/{verb}"), 409, "wrong-state")
        refused(
            admin.put(f"/v1/keys/{name}/certificate", {"chain": ca.chain(issued)}),
            409,
            "wrong-state",
        )
        refused(admin.post("/v1/keys", {"name": name, "type": "p256"}), 409, "exists")
    assert name not in softhsm(world.server, "-O")


# --- making ---


def test_rsa_2048_only_where_the_key_says_so(world):
    with world.unchanged():
        problem = refused(
            world.admin.post("/v1/keys", {"name": "short", "type": "rsa-2048"}), 400, "bad-argument"
        )
        assert "allow_rsa_2048" in problem["detail"]
        refused(
            world.admin.post(
                "/v1/keys", {"name": "short", "type": "rsa-2048", "allow_rsa_2048": False}
            ),
            400,
            "bad-argument",
        )
    assert "short" not in softhsm(world.server, "-O")


@pytest.mark.parametrize(
    "kind", ["rsa-1024", "rsa-512", "dsa", "p192", "secp256k1", "RSA-3072", "", "none", "ed448", 4]
)
def test_types_that_are_not_made(world, kind):
    with world.unchanged():
        answer = world.admin.post("/v1/keys", {"name": "odd", "type": kind})
        assert answer.status == 400, answer


@pytest.mark.parametrize(
    "name", ["", "@log", "@x", "a b", "a\\b", ".hidden", "-x", "é", "a" * 129, 'a"b']
)
def test_names_that_are_none(world, name):
    with world.unchanged():
        answer = world.admin.post("/v1/keys", {"name": name, "type": "p256"})
        assert answer.status in (400, 413), answer


# row 21
def test_a_token_that_is_not_there_is_not_replaced(world):
    """Nobody gets a software key who asked for a hardware one (threat 21)."""
    with world.unchanged():
        refused(
            world.admin.post("/v1/keys", {"name": "hsm-1", "type": "p256", "token": "hsm"}),
            404,
            "not-found",
        )


def test_a_name_is_given_once(world):
    with world.unchanged():
        refused(world.admin.post("/v1/keys", {"name": "k", "type": "p256"}), 409, "exists")
        refused(world.admin.post("/v1/keys/adopt", {"name": "k", "label": "k"}), 409, "exists")


def test_no_private_key_can_be_read_from_the_token(world):
    listed = softhsm(world.server, "-O", "--type", "privkey")
    accesses = [line for line in listed.splitlines() if "Access:" in line]
    assert accesses and all(
        "sensitive" in line and "never extractable" in line for line in accesses
    )


# --- adoption ---


def into_token(world, label, key_id, key=None, certificate=None, make=None, extractable=False):
    """As a stranger's tool would: generate, or write objects."""
    if make is not None:
        softhsm(world.server, "--keypairgen", "--key-type", make, "--label", label, "--id", key_id)
    if key is not None:
        path = world.folder / "key.der"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        softhsm(
            world.server,
            "--write-object",
            path,
            "--type",
            "privkey",
            "--label",
            label,
            "--id",
            key_id,
            "--usage-sign",
            *(["--extractable"] if extractable else []),
        )
        path.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        softhsm(
            world.server,
            "--write-object",
            path,
            "--type",
            "pubkey",
            "--label",
            label,
            "--id",
            key_id,
        )
    if certificate is not None:
        path = world.folder / "certificate.der"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        softhsm(
            world.server, "--write-object", path, "--type", "cert", "--label", label, "--id", key_id
        )
    if os.geteuid() == 0:  # the guest was root; the files are the token process's
        folder = world.server.data / "tokens/soft"
        info = folder.stat()
        for place, _, files in os.walk(folder):
            for name in files:
                os.chown(os.path.join(place, name), info.st_uid, info.st_gid)


def spki_in_token(world, kind, key_id):
    if kind.startswith("rsa"):
        path = world.folder / "token.pub"
        softhsm(world.server, "--read-object", "--type", "pubkey", "--id", key_id, "-o", path)
        return path.read_bytes()
    listed = softhsm(world.server, "-O", "--type", "pubkey").split("Public Key Object")
    mine = [part for part in listed if re.search(f"ID: +{key_id}\n", part)]
    point = bytes.fromhex(re.search("EC_POINT: +([0-9a-f]+)", mine[0]).group(1))
    point = point[point.index(4, 1) :]  # behind the OCTET STRING's head
    curve = ec.SECP256R1() if kind == "p256" else ec.SECP384R1()
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    "make,key_id,kind,algorithm",
    [
        ("EC:prime256v1", "c1", "p256", "ecdsa-sha256"),
        ("EC:secp384r1", "c2", "p384", "ecdsa-sha384"),
        ("RSA:3072", "c3", "rsa-3072", "rsa-pss-sha256"),
    ],
)
def test_a_key_that_is_in_the_token_is_adopted_with_its_certificate(
    world, ca, make, key_id, kind, algorithm
):
    name = f"old-{kind}"
    into_token(world, name, key_id, make=make)
    spki = spki_in_token(world, kind, key_id)
    into_token(world, name, key_id, certificate=ca.leaf(serialization.load_der_public_key(spki)))
    with world.logged("key.intent", "key") as logged:
        made = ok(world.admin.post("/v1/keys/adopt", {"name": f"adopted-{kind}", "label": name}))
    assert logged[1][0]["action"] == "key.adopt"
    assert made["origin"] == "adopted" and made["type"] == kind and made["object_id"] == key_id
    assert base64.b64decode(made["public_key"]) == spki
    assert [c["subject"] for c in made["certificates"]] == ["CN=Example Corp"]
    world.public_keys[f"adopted-{kind}"] = spki
    result = ok(world.admin.sign(f"adopted-{kind}", algorithm=algorithm))["results"][0]
    assert world.verifies(f"adopted-{kind}", b"what is signed", result["signature"], algorithm)


def test_a_key_is_adopted_by_its_id(world):
    into_token(world, "by-id", "c4", make="EC:prime256v1")
    made = ok(world.admin.post("/v1/keys/adopt", {"name": "by-id", "object_id": "c4"}))
    assert made["object_id"] == "c4" and made["certificates"] == []


@pytest.mark.parametrize(
    "body,status",
    [
        ({"label": "no such"}, 404),
        ({"object_id": "ffff"}, 404),
        ({}, 400),
        ({"label": "by-id", "object_id": "c4"}, 400),
        ({"object_id": "zz"}, 400),
        ({"label": "by-id", "token": "hsm"}, 404),
    ],
)
def test_adoptions_that_are_refused(world, body, status):
    objects = world.objects()
    answer = world.admin.post("/v1/keys/adopt", {"name": "adopt-wrong", **body})
    assert answer.status == status, answer
    assert {k: v for k, v in world.objects().items() if k[0] == 1} == {
        k: v for k, v in objects.items() if k[0] == 1
    }
    world.works()


# row 28
def test_short_rsa_and_extractable_keys_are_not_adopted(world):
    into_token(world, "rsa-short", "c5", make="RSA:2048")
    refused(
        world.admin.post("/v1/keys/adopt", {"name": "rsa-short", "label": "rsa-short"}),
        400,
        "bad-argument",
    )
    into_token(world, "loose", "c6", key=ec.generate_private_key(ec.SECP256R1()), extractable=True)
    answer = world.admin.post("/v1/keys/adopt", {"name": "loose", "label": "loose"})
    refused(answer, 409, "wrong-state")
    assert "extractable" in answer.json["detail"]
    assert not [key for key in world.objects() if key[1] in ("loose", "rsa-short")]


def test_the_servers_own_keys_are_not_adopted(world):
    """The log's key must never sign anything else (and a CA's key no code)."""
    for label in ("@log", "@client-ca", "@development-ca", "k"):
        answer = world.admin.post("/v1/keys/adopt", {"name": "stolen", "label": label})
        assert answer.status in (400, 403, 404, 409), (label, answer)
        assert not [key for key in world.objects() if key[1] == "stolen"], label


# --- chains that are wrong ---


@pytest.fixture(scope="module")
def certified(world):
    world.admin.key("certified")
    return public_key(world, "certified")


def broken(certificate):
    """As PEM, with one bit of its signature changed."""
    der = bytearray(certificate.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return ssl.DER_cert_to_PEM_cert(bytes(der))


def chains(ca, key):
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    stranger = Ca()
    good = ca.leaf(key)
    return {
        "of another key": (ca.chain(ca.leaf(other)), 409, "conflict"),
        "in the wrong order": (
            pem_of(good) + pem_of(ca.root) + pem_of(ca.intermediate),
            409,
            "conflict",
        ),
        "upside down": (pem_of(ca.root) + pem_of(ca.intermediate) + pem_of(good), 409, "conflict"),
        "with a gap": (pem_of(good) + pem_of(ca.root), 409, "conflict"),
        "of two CAs": (pem_of(good) + pem_of(stranger.intermediate), 409, "conflict"),
        "the leaf twice": (pem_of(good) * 2, 409, "conflict"),
        "expired": (ca.chain(ca.leaf(key, starts=-30, ends=-1)), 409, "conflict"),
        "not yet valid": (ca.chain(ca.leaf(key, starts=2)), 409, "conflict"),
        "with a signature that is wrong": (
            broken(good) + pem_of(ca.intermediate),
            400,
            "malformed",
        ),
        "for servers": (
            ca.chain(ca.leaf(key, usage=ExtendedKeyUsageOID.SERVER_AUTH)),
            400,
            "unsupported",
        ),
        "without a purpose": (ca.chain(ca.leaf(key, usage=None)), 400, "unsupported"),
        "signed with SHA-1": (ca.chain(ca.leaf(key, algorithm=hashes.SHA1())), 400, "unsupported"),
        "a CA's certificate": (
            pem_of(ca.issue("x", key, ca.intermediate, is_ca=True)),
            400,
            "unsupported",
        ),
        "no PEM": ("hello", 400, "malformed"),
        "nothing": ("", 400, "malformed"),
        "cut off": (pem_of(good)[:300], 400, "malformed"),
        "a key in the place": (
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout").stdout.decode(),
            400,
            "malformed",
        ),
        "too many": (pem_of(good) + pem_of(ca.intermediate) * 8, 413, "over-limit"),
    }


@pytest.mark.parametrize("name", chains(Ca(), ec.generate_private_key(ec.SECP256R1()).public_key()))
def test_a_chain_that_is_wrong(world, ca, certified, name):
    chain, status, kind = chains(ca, certified)[name]
    with world.unchanged():
        problem = refused(
            world.admin.put("/v1/keys/certified/certificate", {"chain": chain}), status, kind
        )
        assert problem["detail"]


def test_a_leaf_alone_and_a_chain_without_its_root(world, ca, certified):
    leaf = ca.leaf(certified)
    for chain in (pem_of(leaf), pem_of(leaf) + pem_of(ca.intermediate)):
        ok(world.admin.put("/v1/keys/certified/certificate", {"chain": chain}))


def test_renewal_keeps_the_name(world, ca, certified):
    first, second = ca.leaf(certified, ends=20), ca.leaf(certified, ends=460)
    made = ok(world.admin.put("/v1/keys/certified/certificate", {"chain": ca.chain(first)}))
    assert any("renew" in warning for warning in made["warnings"])
    made = ok(world.admin.put("/v1/keys/certified/certificate", {"chain": ca.chain(second)}))
    assert not any("renew" in warning for warning in made.get("warnings", ()))
    assert base64.b64decode(made["certificates"][0]["der"]) == second.public_bytes(
        serialization.Encoding.DER
    )
    shown = ok(world.admin.get("/v1/keys/certified"))
    assert shown["certificates"] == made["certificates"]
    ok(world.admin.sign("certified"))


@pytest.mark.parametrize(
    "body,status",
    [
        ({}, 400),
        ({"subject": ""}, 400),
        ({"subject": "nonsense"}, 400),
        ({"subject": "XX=y"}, 400),
        ({"subject": "CN=a,C=Germany"}, 400),
        ({"subject": "CN=x", "sans": ["ftp:x"]}, 400),
        ({"subject": "CN=x", "sans": ["email:"]}, 400),
        ({"subject": "CN=x", "sans": ["dns:x"] * 33}, 413),
        ({"subject": "CN=" + "x" * 2000}, 413),
    ],
)
def test_requests_with_a_wrong_subject(world, certified, body, status):
    assert certified
    with world.unchanged():
        answer = world.admin.post("/v1/keys/certified/csr", body)
        assert answer.status == status, answer


def test_a_development_certificate_is_not_for_ever(world, certified):
    assert certified
    with world.unchanged():
        refused(
            world.admin.post("/v1/keys/certified/development-certificate", {"valid_days": 461}),
            413,
            "over-limit",
        )
        answer = world.admin.post("/v1/keys/certified/development-certificate", {"subject": "CN"})
        assert answer.status == 400, answer


def test_tokens_say_what_they_are(world):
    tokens = ok(world.admin.get("/v1/tokens"))["tokens"]
    assert [token["name"] for token in tokens] == ["soft"]
    assert tokens[0]["is_software"] and tokens[0]["is_ready"] and tokens[0]["workers"] >= 1
    assert set(tokens[0]["mechanisms"]) == {*sum(ALGORITHMS.values(), []), "rsa-pkcs1-raw"}
