# SPDX-License-Identifier: MIT
"""The agent and the private helper, against a real server, asked by tests/system/door.py."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

import door
from door import ECDSA, ED25519, RSA_PKCS1, RSA_PSS, SHA256, SHA384, SHA512, Agent, Failed

KINDS = {"rsa": "rsa-3072", "p256": "p256", "p384": "p384", "p521": "p521", "ed": "ed25519"}
DIGEST_INFO = {
    SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
    SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
    SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
}
PY_HASH = {SHA256: hashes.SHA256(), SHA384: hashes.SHA384(), SHA512: hashes.SHA512()}
DATA = b"what is signed"


def digest_of(hash_id, data=DATA):
    return hashlib.new(door.HASHES[hash_id], data).digest()


@pytest.fixture(name="full")
def fixture_full(admin):
    """An administrator whose server has a key of every type, and lets everybody sign."""
    for name, kind in KINDS.items():
        admin.run("keys", "create", name, "--type", kind)
        admin.run("certs", "development", name)
    admin.policy()
    return admin


@pytest.fixture(name="agent")
def fixture_agent(full):
    running = Agent(full).start()
    yield running
    if running.process is not None:
        running.stop()


def verify(key, signature, hash_id, data=DATA, pss=False):
    """With the public key as the door gave it, by another program."""
    public = serialization.load_der_public_key(key["public_key"])
    if isinstance(public, rsa.RSAPublicKey):
        scheme = padding.PKCS1v15()
        if pss:
            scheme = padding.PSS(padding.MGF1(PY_HASH[hash_id]), PY_HASH[hash_id].digest_size)
        public.verify(signature, data, scheme, PY_HASH[hash_id])
    elif isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        assert half == (public.curve.key_size + 7) // 8
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(PY_HASH[hash_id]))
    else:
        assert isinstance(public, ed25519.Ed25519PublicKey)
        public.verify(signature, data)


def test_sign__every_key_type_and_scheme(agent):
    with agent.door(keys=["*"]) as tool:
        keys = tool.keys()
        assert set(keys) == set(KINDS)
        for hash_id in (SHA256, SHA384, SHA512):
            digest = digest_of(hash_id)
            info = DIGEST_INFO[hash_id] + digest
            verify(keys["rsa"], tool.sign("rsa", RSA_PKCS1, info), hash_id)
            verify(keys["rsa"], tool.sign("rsa", RSA_PKCS1, DATA, hash=hash_id, is_message=1),
                   hash_id)
            verify(keys["rsa"], tool.sign("rsa", RSA_PSS, digest, hash=hash_id), hash_id, pss=True)
            verify(keys["rsa"], tool.sign("rsa", RSA_PSS, DATA, hash=hash_id, is_message=1),
                   hash_id, pss=True)
            for name in ("p256", "p384", "p521"):
                verify(keys[name], tool.sign(name, ECDSA, digest), hash_id)
                verify(keys[name], tool.sign(name, ECDSA, DATA, hash=hash_id, is_message=1),
                       hash_id)
        verify(keys["ed"], tool.sign("ed", ED25519, DATA), SHA256)
