# SPDX-License-Identifier: MIT
"""The PKCS#11 module in the hands of somebody who would take keys out of it (row 1) or have them
sign by what is no longer worth anything (row 28). OpenSC's pkcs11-tool asks; a server answers whose
policy allows everything."""

import hashlib
import pathlib
import shutil
import sys

import pytest

from api import ok, softhsm, world  # noqa: F401
from conftest import BUILD, CHANCERY, Client, environment, run

MODULE = BUILD / "src/module/chancery-pkcs11.so"
THIEF = pathlib.Path(__file__).resolve().parent / "p11_thief.py"
DIGEST_INFO_SHA1 = bytes.fromhex("3021300906052b0e03021a05000414")
DIGEST_INFO_MD5 = bytes.fromhex("3020300c06082a864886f70d020505000410")
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
DIGEST = hashlib.sha256(b"what is signed").digest()

IS_SANITIZED = any(name in MODULE.read_bytes() for name in (b"libasan.so", b"libtsan.so"))


@pytest.fixture(scope="module")
def thief(world):  # noqa: F811
    """A principal at whose machine pkcs11-tool runs."""
    if shutil.which("pkcs11-tool") is None:
        pytest.skip("pkcs11-tool is not installed")
    if IS_SANITIZED:
        pytest.skip("a sanitizer's module loads into no other program")
    world.person("thief")
    client = Client(world.folder / "thief-home", world.server.url)
    client.enroll(world.code_for("thief"))
    client.ids = {name: ok(world.admin.get(f"/v1/keys/{name}"))["id"] for name in ("k", "r")}
    return client


def tool_environment(thief):
    return environment(HOME=str(thief.home), CHANCERY_HELPER=str(CHANCERY),
                       CHANCERY_AGENT_SOCK="none", CHANCERY_KEYS="*")


def tool(thief, *words):
    return run("pkcs11-tool", "--module", MODULE, *words, check=False, cwd=thief.home,
               env=tool_environment(thief))


def sign(thief, key, mechanism, data, *more):
    """Whether anything came out."""
    out = thief.home / "signature"
    out.unlink(missing_ok=True)
    done = tool(thief, "--sign", "--id", thief.ids[key], "--mechanism", mechanism, "--input-file",
                thief.file("to-sign", data), "--output-file", out, *more)
    return done.returncode == 0 and out.exists() and out.stat().st_size > 0


def test_it_signs_what_it_should(thief):
    """Or the refusals below would prove nothing."""
    assert sign(thief, "r", "SHA256-RSA-PKCS", b"what is signed")
    assert sign(thief, "r", "RSA-PKCS", SHA256_INFO + DIGEST)
    assert sign(thief, "r", "RSA-PKCS-PSS", DIGEST, "--hash-algorithm", "SHA256", "--mgf",
                "MGF1-SHA256", "--salt-len", "32")
    assert sign(thief, "k", "ECDSA-SHA256", b"what is signed")
    assert sign(thief, "k", "ECDSA", DIGEST)


PSS = ("--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256", "--salt-len")


@pytest.mark.parametrize("key,mechanism,data,more", [
    ("r", "SHA1-RSA-PKCS", b"message", ()),
    ("r", "MD5-RSA-PKCS", b"message", ()),
    ("r", "SHA224-RSA-PKCS", b"message", ()),
    ("r", "RIPEMD160-RSA-PKCS", b"message", ()),
    ("r", "SHA1-RSA-PKCS-PSS", b"message", ("--hash-algorithm", "SHA-1", "--mgf", "MGF1-SHA1")),
    ("r", "RSA-X-509", DIGEST.rjust(384, b"\1"), ()),
    ("r", "RSA-9796", b"message", ()),
    ("r", "RSA-PKCS", DIGEST_INFO_SHA1 + hashlib.sha1(b"message").digest(), ()),
    ("r", "RSA-PKCS", DIGEST_INFO_MD5 + hashlib.md5(b"message").digest(), ()),
    ("r", "RSA-PKCS", hashlib.sha1(b"message").digest(), ()),
    ("r", "RSA-PKCS", b"message", ()),
    ("r", "RSA-PKCS-PSS", hashlib.sha1(b"message").digest(),
     ("--hash-algorithm", "SHA-1", "--mgf", "MGF1-SHA1", "--salt-len", "20")),
    ("r", "RSA-PKCS-PSS", DIGEST, (*PSS, "0")),
    ("r", "RSA-PKCS-PSS", DIGEST, (*PSS, "20")),
    ("r", "RSA-PKCS-PSS", DIGEST, (*PSS, "31")),
    ("r", "RSA-PKCS-PSS", DIGEST,
     ("--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA1", "--salt-len", "32")),
    ("k", "ECDSA-SHA1", b"message", ()),
    ("k", "ECDSA-SHA224", b"message", ()),
    ("k", "ECDSA", hashlib.sha1(b"message").digest(), ()),
    ("k", "ECDSA", hashlib.md5(b"message").digest(), ()),
    ("k", "SHA256-RSA-PKCS", b"message", ()),
    ("r", "ECDSA-SHA256", b"message", ()),
])
def test_weak_signatures_are_refused_whatever_they_are_called(
        world, thief, key, mechanism, data, more):  # noqa: F811
    """Row 28, by PKCS#11: nothing comes out, and nothing of it was signed."""
    size = world.log_size()
    assert not sign(thief, key, mechanism, data, *more)
    assert not [entry for entry, _ in world.entries(size)
                if entry["kind"] == "sign.outcome" and entry["outcome"] == "done"]


def test_rsa_of_1024_bits_is_made_by_no_name(world):  # noqa: F811
    """Row 28: neither made nor adopted (tests/system/test_api_keys.py adopts)."""
    for kind in ("rsa-1024", "rsa-2047", "rsa1024", "RSA-1024", "rsa-512"):
        with world.unchanged():
            answer = world.admin.post("/v1/keys", {"name": "weak", "type": kind})
            assert answer.status == 400, answer


@pytest.mark.parametrize("member", ["salt_length", "saltLength", "hash", "padding", "mgf", "salt"])
def test_no_member_of_a_request_weakens_pss(world, member):  # noqa: F811
    """Row 28, by REST: the salt is as long as the digest, and there is no way to say otherwise."""
    one = {"key": "r", "algorithm": "rsa-pss-sha256", "digest": DIGEST.hex(),
           "hashed_by": "client"}
    ok(world.admin.sign_items([one]))
    with world.unchanged():
        answer = world.admin.sign_items([{**one, member: 0}])
        assert answer.status == 400, answer


@pytest.mark.parametrize("words", [
    ("--wrap", "--mechanism", "AES-KEY-WRAP-PAD", "--id", "00", "--application-label", "k"),
    ("--derive", "--mechanism", "ECDH1-DERIVE", "--label", "k"),
    ("--decrypt", "--mechanism", "RSA-PKCS", "--label", "r", "--input-file", "to-sign"),
    ("--keypairgen", "--key-type", "EC:prime256v1", "--label", "mine"),
    ("--keygen", "--key-type", "aes:32", "--label", "mine"),
    ("--write-object", "to-sign", "--type", "data", "--label", "mine"),
    ("--delete-object", "--type", "privkey", "--label", "k"),
    ("--set-id", "01", "--type", "privkey", "--label", "k"),
    ("--init-token", "--label", "mine", "--so-pin", "12345678"),
    ("--init-pin", "--so-pin", "12345678", "--new-pin", "12345678"),
])
def test_the_module_gives_and_changes_no_key(world, thief, words):  # noqa: F811
    """Row 1: whatever PKCS#11 has to read, wrap, derive, make, change or remove keys fails."""
    thief.file("to-sign", DIGEST.rjust(384, b"\1"))
    out = thief.home / "stolen"
    with world.unchanged():
        done = tool(thief, *words, "--output-file", out)
        assert not out.exists() or out.stat().st_size == 0, words
        assert done.returncode != 0 or "error" in done.stderr.lower(), (words, done)


def steal(module, *words, **options):
    """What p11_thief.py got; it says how many keys it asked."""
    done = run(sys.executable, THIEF, module, *words, **options)
    *got, keys = done.stdout.splitlines()
    return got, int(keys.split()[1])


def test_no_secret_part_of_a_key_is_an_attribute_of_the_module(thief):
    """Row 1: each of them is asked for, alone and together, and for wrapped copies."""
    got, keys = steal(MODULE, env=tool_environment(thief))
    assert got == [] and keys >= 2


def test_no_secret_part_is_an_attribute_of_the_token(world):  # noqa: F811
    """Row 1: nor of the token itself, for who has its PIN and a key to wrap with."""
    pin = (world.server.data / "secrets/soft.pin").read_text()
    softhsm(world.server, "--keygen", "--key-type", "aes:32", "--label", "wraps", "--id", "dd")
    config = world.server.data / "tokens/soft/softhsm2.conf"
    got, keys = steal("/usr/lib/softhsm/libsofthsm2.so", "-", input=pin,
                      env=environment(SOFTHSM2_CONF=str(config)))
    softhsm(world.server, "--delete-object", "--type", "secrkey", "--id", "dd")
    assert got == [] and keys >= 4


def test_the_servers_own_keys_are_not_shown(thief):
    """Row 1: neither the log's key nor the client CA's is an object anywhere."""
    shown = tool(thief, "--list-objects").stdout
    labels = {line.split(":", 1)[1].strip() for line in shown.splitlines() if "label:" in line}
    assert {"k", "r"} <= labels and not any(label.startswith("@") for label in labels), labels
