# SPDX-License-Identifier: MIT
"""OpenSC's pkcs11-tool: its own test, and each of its signing calls."""

import hashlib

import pytest

from signer import EC, KINDS, MODULE, RSA, need

TEXT = b"what OpenSC signs\n"
# SHA-256, SHA-384 and SHA-512 before a digest in a DigestInfo (RFC 8017 section 9.2, note 1).
PREFIX = {
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}
HASHES = sorted(PREFIX)


@pytest.fixture(autouse=True)
def fixture_tool():
    need("pkcs11-tool")


def tool(keys, *words, shown="*", **options):
    return keys.run("pkcs11-tool", "--module", MODULE, *words, env={"CHANCERY_KEYS": shown},
                    **options)


def sign(keys, key, mechanism, content, *words):
    """The signature's file."""
    data = keys.file("opensc.in", content)
    out = keys.home / "opensc.sig"
    out.unlink(missing_ok=True)
    tool(keys, "--sign", "--id", keys.ids[key], "--mechanism", mechanism, "--input-file", data,
         "--output-file", out, *words)
    return data, out


def test_its_own_test(keys):
    done = tool(keys, "--test", shown="r3,p256")
    assert done.stdout.rstrip().endswith("No errors"), done.stdout + done.stderr


def test_objects__all_of_them(keys):
    text = tool(keys, "--list-objects").stdout
    for name in KINDS:
        assert text.count(f"label:      {name}\n") == 3, text  # both keys and the certificate
    assert "label:      @log" not in text


def test_objects__ed25519_is_hidden_unless_named(keys):
    text = keys.run("pkcs11-tool", "--module", MODULE, "--list-objects").stdout
    assert "label:      p256\n" in text
    assert "label:      ed\n" not in text


def test_objects__certificate_and_public_key(keys):
    out = keys.home / "opensc.der"
    tool(keys, "--read-object", "--type", "cert", "--label", "r3", "--output-file", out)
    shown = keys.run("openssl", "x509", "-inform", "DER", "-in", out, "-noout", "-fingerprint")
    same = keys.run("openssl", "x509", "-in", keys.certificate("r3"), "-noout", "-fingerprint")
    assert shown.stdout == same.stdout
    for key in ("r4", "p521"):
        tool(keys, "--read-object", "--type", "pubkey", "--label", key, "--output-file", out)
        pem = keys.run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", out, "-pubout").stdout
        assert pem == keys.public_key(key).read_text()


def test_token__is_there_without_a_pin(keys):
    text = tool(keys, "--list-slots").stdout
    assert "token label        : Chancery" in text
    mechanisms = tool(keys, "--list-mechanisms").stdout
    for name in ("RSA-PKCS,", "SHA256-RSA-PKCS,", "RSA-PKCS-PSS,", "ECDSA,", "EDDSA,"):
        assert name in mechanisms, mechanisms


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("key", RSA)
def test_rsa__digest_info(keys, key, hash_name):
    digest = hashlib.new(hash_name, TEXT).digest()
    _, out = sign(keys, key, "RSA-PKCS", bytes.fromhex(PREFIX[hash_name]) + digest)
    keys.verify(key, f"rsa-pkcs1-{hash_name}", keys.file("text", TEXT), out)


@pytest.mark.parametrize("hash_name", HASHES)
def test_rsa__hashed_inside(keys, hash_name):
    data, out = sign(keys, "r3", f"{hash_name.upper()}-RSA-PKCS", TEXT)
    keys.verify("r3", f"rsa-pkcs1-{hash_name}", data, out)


@pytest.mark.parametrize("hash_name", HASHES)
def test_rsa__pss(keys, hash_name):
    data, out = sign(keys, "r3", f"{hash_name.upper()}-RSA-PKCS-PSS", TEXT)
    keys.verify("r3", f"rsa-pss-{hash_name}", data, out)
    _, out = sign(keys, "r3", "RSA-PKCS-PSS", hashlib.new(hash_name, TEXT).digest(),
                  "--hash-algorithm", hash_name.upper())
    keys.verify("r3", f"rsa-pss-{hash_name}", keys.file("text", TEXT), out)


@pytest.mark.parametrize("key", EC)
def test_ecdsa__digest(keys, key):
    for hash_name in HASHES:
        digest = hashlib.new(hash_name, TEXT).digest()
        _, out = sign(keys, key, "ECDSA", digest, "--signature-format", "openssl")
        keys.verify(key, f"ecdsa-{hash_name}", keys.file("text", TEXT), out)


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("key", EC)
def test_ecdsa__hashed_inside(keys, key, hash_name):
    data, out = sign(keys, key, f"ECDSA-{hash_name.upper()}", TEXT, "--signature-format",
                     "openssl")
    keys.verify(key, f"ecdsa-{hash_name}", data, out)


def test_ed25519(keys):
    data, out = sign(keys, "ed", "EDDSA", TEXT)
    keys.verify("ed", "ed25519", data, out)


def test_a_long_file_is_hashed_in_parts(keys):
    content = bytes(range(256)) * 4096 * 5  # 5 MiB
    data, out = sign(keys, "r3", "SHA256-RSA-PKCS", content)
    keys.verify("r3", "rsa-pkcs1-sha256", data, out)


def test_verify__by_the_module(keys):
    data, out = sign(keys, "p256", "ECDSA-SHA256", TEXT)
    words = ("--verify", "--id", keys.ids["p256"], "--mechanism", "ECDSA-SHA256",
             "--signature-file", out)
    assert "Signature is valid" in tool(keys, *words, "--input-file", data).stdout
    other = keys.file("other", b"something else")
    done = tool(keys, *words, "--input-file", other, check=False)
    assert "Invalid signature" in done.stdout + done.stderr, done


def test_random_and_digest(keys):
    out = keys.home / "opensc.bin"
    tool(keys, "--generate-random", "64", "--output-file", out)
    assert len(out.read_bytes()) == 64
    data = keys.file("opensc.in", TEXT)
    tool(keys, "--hash", "--mechanism", "SHA384", "--input-file", data, "--output-file", out)
    assert out.read_bytes() == hashlib.sha384(TEXT).digest()


def test_no_secret_part_is_given(keys):
    done = tool(keys, "--list-objects", "--type", "privkey")
    assert done.stdout.count("Access:     sensitive") == len(KINDS), done.stdout


def test_what_is_not_ours_to_do_is_refused(keys):
    for words in (["--keypairgen", "--key-type", "EC:prime256v1", "--label", "new"],
                  ["--init-token", "--label", "x", "--so-pin", "12345678"],
                  ["--delete-object", "--type", "privkey", "--label", "r3"]):
        assert tool(keys, *words, check=False).returncode != 0
    assert keys.admin.json("keys", "show", "r3")["state"] == "active"


def test_exec__adds_the_module(keys):
    done = keys.exec("pkcs11-tool", "--list-objects", "--type", "cert")
    assert "label:      p256" in done.stdout
