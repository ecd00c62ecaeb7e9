# SPDX-License-Identifier: MIT
"""Threat 1, a key is stolen: after a thousand signatures neither the private key nor the PIN is in
the memory of any process but the token's, nor on the disk in the clear, nor in a log.

The key is one that the test knows: it is written into the token from outside, and adopted."""

import os
import pathlib
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api import item, ok, running_world, softhsm

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def memory_of(pid):
    """Every readable page of a process, region by region."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(
        f"/proc/{pid}/mem", "rb", 0
    ) as mem:
        for line in maps:
            start, end, mode, path = re.match(
                r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line
            ).groups()
            if mode[0] != "r" or path in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            at, stop = int(start, 16), int(end, 16)
            if stop - at > 1 << 30:
                continue  # a sanitizer's shadow: terabytes of it, and it holds no data
            carry = b""
            while at < stop:
                mem.seek(at)
                try:
                    part = mem.read(min(1 << 24, stop - at))
                except OSError:
                    break  # a page that nobody ever wrote to
                if not part:
                    break
                yield carry + part
                carry = part[-128:]
                at += len(part)


def finds(blocks, secrets):
    return sorted({name for block in blocks for name, secret in secrets.items() if secret in block})


@pytest.fixture(scope="module")
def signed():
    """A server that has signed a thousand times with a key that the test knows, and its secrets."""
    with running_world() as world:
        key = ec.generate_private_key(ec.SECP256R1())
        scalar = key.private_numbers().private_value.to_bytes(32, "big")
        path = world.folder / "known.der"
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
            "known",
            "--id",
            "ee",
            "--usage-sign",
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
            "known",
            "--id",
            "ee",
        )
        world.public_keys["known"] = path.read_bytes()
        path.unlink()
        tokens = world.server.data / "tokens/soft"
        info = tokens.stat()
        for place, _, files in os.walk(tokens):
            for name in files:
                os.chown(os.path.join(place, name), info.st_uid, info.st_gid)
        ok(world.admin.post("/v1/keys/adopt", {"name": "known", "label": "known"}))
        world.admin.policy()
        results = ok(world.admin.sign_items([item("known", b"%d" % i) for i in range(1000)]))[
            "results"
        ]
        assert all(result["is_signed"] for result in results)
        assert world.verifies("known", b"0", results[0]["signature"])
        pin = (world.server.data / "secrets/soft.pin").read_bytes().strip()
        so_pin = (world.server.data / "secrets/soft.so-pin").read_bytes().strip()
        yield world, {
            "key": scalar,
            "key, turned": scalar[::-1],
            "key, in hex": scalar.hex().encode(),
            "PIN": pin,
            "SO PIN": so_pin,
        }


@needs_root
def test_the_search_finds_what_is_there(signed):
    """A search that finds nothing proves nothing unless it could: the public key is in the signer's
    memory."""
    world, _ = signed
    public = world.public_keys["known"][-64:]
    assert finds(memory_of(world.server.pid_of("signer")), {"public key": public}) == ["public key"]


@needs_root
# row 1
def test_no_process_but_the_tokens_has_key_or_pin_in_memory(signed):
    world, secrets = signed
    found = {}
    for pid, role in [*world.server.processes().items(), (world.server.process.pid, "supervisor")]:
        found.setdefault(role, set()).update(finds(memory_of(pid), secrets))
    token = found.pop("token")
    assert found.keys() == {"front", "query", "inspect", "signer", "supervisor"}
    assert found == {role: set() for role in found}
    assert not {name for name in token if "PIN" in name}, "the PIN is wiped after the login"


# row 1
def test_neither_is_on_the_disk_in_the_clear(signed):
    world, secrets = signed
    for path in sorted(world.server.data.rglob("*")):
        if path.is_file() and path.parent.name != "secrets":
            assert finds([path.read_bytes()], secrets) == [], path
    assert finds([world.server.log().encode()], secrets) == []


# row 1
def test_neither_is_in_an_argument_or_an_environment(signed):
    world, secrets = signed
    for pid in [*world.server.processes(), world.server.process.pid]:
        for name in ("cmdline", "environ"):
            assert finds([pathlib.Path(f"/proc/{pid}/{name}").read_bytes()], secrets) == []


def test_secrets_are_their_owners_alone(signed):
    world, _ = signed
    for path in (world.server.data / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert (world.server.data / "tls/key.pem").stat().st_mode & 0o077 == 0
    for path in (world.server.data / "tokens/soft").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_answer_holds_a_secret(signed):
    world, secrets = signed
    texts = [
        world.admin.get(path).body
        for path in (
            "/v1/keys",
            "/v1/keys/known",
            "/v1/tokens",
            "/v1/users",
            "/v1/users/admin",
            "/v1/log?limit=1000",
            "/v1/policies",
            "/metrics",
            "/openapi.json",
            "/v1/hello",
        )
    ]
    assert finds(texts, secrets) == []


def test_the_token_gives_no_private_key_away(signed):
    """Not to somebody who has the PIN either: neither read, nor wrapped, and no attribute can be
    turned back."""
    world, secrets = signed
    made = ok(world.admin.post("/v1/keys", {"name": "generated", "type": "p256"}))
    out = world.folder / "stolen"
    softhsm(world.server, "--keygen", "--key-type", "aes:32", "--label", "wrapping", "--id", "dd")
    for object_id in ("ee", made["object_id"]):
        for words in (
            ["--read-object", "--type", "privkey", "--id", object_id, "-o", out],
            [
                "--wrap",
                "-m",
                "AES-KEY-WRAP-PAD",
                "--id",
                "dd",
                "--application-id",
                object_id,
                "-o",
                out,
            ],
        ):
            try:
                softhsm(world.server, *words)
            except AssertionError:
                pass
            assert (
                not out.exists()
                or finds([out.read_bytes()], secrets) == []
                and out.stat().st_size == 0
            ), words
    listed = softhsm(world.server, "-O", "--type", "privkey").split("Private Key Object")
    mine = [part for part in listed if made["object_id"] in part]
    assert len(mine) == 1 and "sensitive, always sensitive, never extractable" in mine[0]
    softhsm(world.server, "--delete-object", "--type", "secrkey", "--id", "dd")
