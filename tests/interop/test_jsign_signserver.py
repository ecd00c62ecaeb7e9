# SPDX-License-Identifier: MIT
"""jsign --storetype SIGNSERVER, which was made for another server, signs through ours with no word
changed but the address."""

import json

import pytest

import cms
from evidence import broken, logged
from signer import POLICY, artifact, need, run
from test_windows import BREAK_AT, osslsigncode, sample, signature_and_digest, verify


@pytest.fixture(name="jsign", scope="module")
def fixture_jsign(keys):
    """jsign that trusts the server's TLS certificate. What it sends are a name and an API token, or
    a client certificate; nothing of ours is on its side."""
    need("java", "keytool")
    run("keytool", "-importcert", "-noprompt", "-alias", "server", "-file",
        keys.server.data / "tls/certificate.pem", "-keystore", keys.home / "tls.p12", "-storepass",
        "changeit")
    return ["java", "-Djavax.net.ssl.trustStore=tls.p12",
            "-Djavax.net.ssl.trustStorePassword=changeit", "-jar", artifact("jsign"),
            "--storetype", "SIGNSERVER", "--keystore", f"{keys.server.url}/signserver"]


@pytest.fixture(name="token", scope="module")
def fixture_token(keys):
    """Of the principal "jsign", in a file that jsign reads: no secret is an argument."""
    keys.admin.run("users", "create", "jsign")
    made = keys.admin.json("users", "add-token", "jsign", "--scope", "sign", "--scope",
                           "keys.show")
    keys.file("storepass", f"jsign|{made['token']}").chmod(0o600)
    return ["--storepass", "file:storepass"]


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_a_program_by_api_token(keys, jsign, token, key):
    need("osslsigncode")
    path = sample(keys, "exe", name=f"signserver-{key}")
    keys.run(*jsign, *token, "--alias", key, path.name)
    assert "Signature verification: ok" in osslsigncode(keys, path).stdout
    keys.run("java", "-jar", jsign[4], "extract", "--format", "DER", path.name)
    digest = cms.Signed((keys.home / f"{path.name}.sig").read_bytes()).digests()[0]
    row = logged(keys, key, digest, "Jsign")
    assert row["principal"] == "jsign"
    spoilt = keys.file("spoilt.exe", broken(path, BREAK_AT["exe"]))
    assert osslsigncode(keys, spoilt, check=False).returncode != 0


def test_hashed_by_the_server(keys, jsign, token):
    path = sample(keys, "ps1", name="serverside")
    keys.run(*jsign, *token, "--alias", "p384|serverside", path.name)
    assert verify(keys, "ps1", path)
    digest = cms.Signed(signature_and_digest("ps1", path)[0]).digests()[0]
    logged(keys, "p384", digest, "Jsign")


def test_a_client_certificate(keys, jsign):
    run("openssl", "pkcs12", "-export", "-in", keys.home / ".config/chancery/default.pem", "-out",
        keys.home / "client.p12", "-passout", "pass:changeit")
    path = sample(keys, "nupkg", name="client-certificate")
    keys.run(*jsign, "--storepass", "client.p12", "--keypass", "changeit", "--alias", "r3",
             path.name)
    assert verify(keys, "nupkg", path)
    digest = cms.Signed(signature_and_digest("nupkg", path)[0]).digests()[0]
    assert logged(keys, "r3", digest, "Jsign")["principal"] == "admin"


@pytest.mark.parametrize("words,said", [
    (["--storepass", "job|chyt_wrong", "--alias", "r3"], "Unable to retrieve"),
    (["--storepass", "file:storepass", "--alias", "none-such"], "none-such"),
    (["--alias", "r3"], "Unable to retrieve"),
])
def test_refused(keys, jsign, token, words, said):
    path = sample(keys, "ps1", name="refused")
    before = path.read_bytes()
    done = keys.run(*jsign, *words, path.name, check=False)
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
    assert path.read_bytes() == before


def test_refused__by_policy(keys, jsign, token):
    """The certificate may be had, the signature not; jsign shows what the server says."""
    keys.admin.policy(POLICY + "  - name: frozen\n    effect: deny\n"
                      "    match: {key: r4, algorithm: rsa-pkcs1-sha256}\n")
    try:
        path = sample(keys, "ps1", key="r4", name="frozen")
        done = keys.run(*jsign, *token, "--alias", "r4", path.name, check=False)
        assert done.returncode == 1
        assert "frozen" in done.stdout + done.stderr
        denied = [row for row in keys.log(key="r4") if row["decision"] == "denied"]
        assert denied[-1]["rules"] == ["frozen"], json.dumps(denied)
    finally:
        keys.admin.policy(POLICY)
