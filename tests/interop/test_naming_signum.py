# SPDX-License-Identifier: MIT
"""CHANCERY_NAMING=signum: scripts that name a key by its certificate's thumbprint, as Signum's
agent shows it, go on as they are."""

import hashlib
import subprocess

import pytest

import tiny_pe
from signer import MODULE, need
from test_pkcs11_java import JDKS, jar

KEY = "r3"


@pytest.fixture(name="thumbprint", scope="module")
def fixture_thumbprint(keys):
    der = subprocess.run(["openssl", "x509", "-in", keys.certificate(KEY), "-outform", "DER"],
                         check=True, capture_output=True).stdout
    return hashlib.sha1(der).hexdigest()


def objects(keys, naming, *words):
    return keys.run("pkcs11-tool", "--module", MODULE, "--list-objects", *words,
                    env={"CHANCERY_NAMING": naming}).stdout


def test_pkcs11_tool__lists(keys, thumbprint):
    need("pkcs11-tool")
    said = objects(keys, "signum")
    assert f"{thumbprint.upper()} - Certificate" in said
    assert f"{thumbprint.upper()} - Private key" in said
    assert f"ID:         {thumbprint}" in said
    assert f"label:      {KEY}\n" not in said
    assert f"label:      {KEY}\n" in objects(keys, "plain")


def test_pkcs11_tool__signs(keys, thumbprint):
    """By the id alone: pkcs11-tool signs with no label."""
    need("pkcs11-tool")
    keys.file("data", "what is signed\n")
    keys.run("pkcs11-tool", "--module", MODULE, "--sign", "--mechanism", "SHA256-RSA-PKCS",
             "--id", thumbprint, "--input-file", "data", "--output-file", "data.sig",
             env={"CHANCERY_NAMING": "signum"})
    keys.verify(KEY, "rsa-pkcs1-sha256", keys.home / "data", keys.home / "data.sig")


def test_pkcs11_tool__no_such_key(keys, thumbprint):
    need("pkcs11-tool")
    other = f"{int(thumbprint, 16) ^ 1:040x}"
    done = keys.run("pkcs11-tool", "--module", MODULE, "--sign", "--mechanism", "SHA256-RSA-PKCS",
                    "--id", other, "--input-file", keys.file("data", "x"),
                    env={"CHANCERY_NAMING": "signum"}, check=False)
    assert done.returncode != 0


def test_jarsigner(keys, thumbprint):
    """The alias is the certificate's label."""
    if not JDKS:
        pytest.skip("no JDK is installed")
    path = jar(keys, "signum.jar")
    done = keys.exec("jarsigner", path.name, f"{thumbprint.upper()} - Certificate",
                     options=("--naming", "signum"))
    assert f"chancery: signed: key {KEY}, " in done.stderr


def test_osslsigncode(keys, thumbprint):
    need("osslsigncode")
    (keys.home / "signum.exe").write_bytes(tiny_pe.tiny_pe())
    (keys.home / "signum-signed.exe").unlink(missing_ok=True)
    uri = "pkcs11:id=" + "".join(f"%{thumbprint[i:i + 2]}" for i in range(0, 40, 2))
    keys.exec("osslsigncode", "sign", "-h", "sha256", "-pkcs11cert", f"{uri};type=cert", "-key",
              f"{uri};type=private", "-in", "signum.exe", "-out", "signum-signed.exe",
              options=("--naming", "signum"))
    keys.run("osslsigncode", "verify", "-CAfile", keys.home / "ca.pem", "-in", "signum-signed.exe")


def test_another_naming(keys):
    done = keys.run("pkcs11-tool", "--module", MODULE, "--list-objects",
                    env={"CHANCERY_NAMING": "other"}, check=False)
    assert done.returncode != 0 or "Private Key" not in done.stdout
    assert keys.exec("true", options=("--naming", "other"), check=False).returncode == 2
