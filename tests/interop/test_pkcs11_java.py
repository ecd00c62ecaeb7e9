# SPDX-License-Identifier: MIT
"""SunPKCS11 in each JDK that is here: a program with threads, jarsigner, keytool, apksigner."""

import pathlib
import shutil
import struct
import zipfile

import pytest

from signer import EC, MODULE, RSA, need

HERE = pathlib.Path(__file__).resolve().parent
JDKS = sorted({path.resolve().parent.parent for path in
               [*pathlib.Path("/usr/lib/jvm").glob("*/bin/jarsigner")]})


@pytest.fixture(name="jdk", params=JDKS or [None], ids=lambda p: p.name if p else "none")
def fixture_jdk(request):
    if request.param is None:
        pytest.skip("no JDK is installed")
    return request.param


@pytest.fixture(name="program", scope="module")
def fixture_program(tmp_path_factory):
    """The test program, compiled for the oldest JDK."""
    if not JDKS:
        pytest.skip("no JDK is installed")
    folder = tmp_path_factory.mktemp("java")
    from signer import run
    run(JDKS[0] / "bin/javac", "--release", "11", "-d", folder, HERE / "SignInThreads.java")
    return folder


def config(keys):
    return keys.file("pkcs11.cfg", f"name = Chancery\nlibrary = {MODULE}\nslotListIndex = 0\n")


def jar(keys, name="app.jar"):
    path = keys.home / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        archive.writestr("app.txt", "what the jar holds\n")
    return path


def test_program__many_threads(keys, jdk, program):
    done = keys.run(jdk / "bin/java", "-cp", program, "SignInThreads", config(keys), 32, 4)
    n = 4 * (len(RSA) * 6 + len(EC) * 3)
    assert done.stdout.endswith(f"{n} signatures\n"), done.stdout + done.stderr
    assert done.stdout.count("chain of 2") == len(RSA) + len(EC)


def test_program__by_exec(keys, jdk, program):
    done = keys.exec(jdk / "bin/java", "-cp", program, "SignInThreads", config(keys), 2, 1,
                     env={"CHANCERY_KEYS": "p256"})
    assert "chancery: signed: key p256, ecdsa-sha512, log entry " in done.stderr


@pytest.mark.parametrize("key", ["r3", "p256", "p384"])
def test_jarsigner(keys, jdk, key):
    path = jar(keys)
    done = keys.exec(jdk / "bin/jarsigner", path.name, key, options=("--reason", "release 1.0"))
    assert "jar signed" in done.stdout
    assert f"chancery: signed: key {key}, " in done.stderr
    verify(keys, jdk, path)
    with zipfile.ZipFile(path) as archive:
        assert any(name.startswith(f"META-INF/{key.upper()}.") for name in archive.namelist())


def verify(keys, jdk, path):
    trust = keys.home / "trust.p12"
    trust.unlink(missing_ok=True)
    keys.run(jdk / "bin/keytool", "-importcert", "-noprompt", "-alias", "ca", "-file",
             keys.home / "ca.pem", "-keystore", trust, "-storepass", "changeit")
    done = keys.run(jdk / "bin/jarsigner", "-verify", "-keystore", trust, "-storepass", "changeit",
                    path.name)
    assert "jar verified." in done.stdout, done.stdout


def test_jarsigner__without_exec(keys, jdk):
    path = jar(keys)
    keys.run(jdk / "bin/jarsigner", "-addprovider", "SunPKCS11", "-providerArg", config(keys),
             "-keystore", "NONE", "-storetype", "PKCS11", "-protected", path.name, "p256")
    verify(keys, jdk, path)


def test_jarsigner__a_changed_jar_is_refused(keys, jdk):
    path = jar(keys)
    keys.exec(jdk / "bin/jarsigner", path.name, "p256")
    changed = keys.home / "changed.jar"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:-2] + b"X\n" if name == "app.txt" else content)
    done = keys.run(jdk / "bin/jarsigner", "-verify", changed.name, check=False)
    assert "jar verified" not in done.stdout
    assert "SHA" in done.stdout + done.stderr


def test_jarsigner__no_such_key(keys, jdk):
    path = jar(keys)
    done = keys.exec(jdk / "bin/jarsigner", path.name, "none-such", check=False)
    assert done.returncode == 1
    assert "asked for no signature" in done.stderr


def test_keytool__lists_the_keys(keys, jdk):
    done = keys.exec(jdk / "bin/keytool", "-list")
    for key in RSA + EC:
        assert f"{key}, PrivateKeyEntry" in done.stdout, done.stdout


def test_keytool__makes_a_request(keys, jdk):
    keys.exec(jdk / "bin/keytool", "-certreq", "-alias", "r3", "-file", "java.csr")
    done = keys.run("openssl", "req", "-in", "java.csr", "-verify", "-noout")
    assert "verify OK" in done.stdout + done.stderr


def binary_manifest():
    """AndroidManifest.xml as apksigner reads it: one element <manifest/> in Android's binary XML
    (frameworks/base, ResourceTypes.h)."""
    def chunk(kind, head, body=b""):
        return struct.pack("<HHI", kind, 8 + len(head), 8 + len(head) + len(body)) + head + body
    name = "manifest".encode("utf-16-le")
    strings = struct.pack("<I", 0) + struct.pack("<H", len(name) // 2) + name + bytes(4)
    none = 0xFFFFFFFF
    pool = chunk(0x0001, struct.pack("<IIIII", 1, 0, 0, 28 + 4, 0), strings)
    start = chunk(0x0102, struct.pack("<II", 1, none),
                  struct.pack("<IIHHHHHH", none, 0, 20, 20, 0, 0, 0, 0))
    end = chunk(0x0103, struct.pack("<II", 1, none), struct.pack("<II", none, 0))
    return chunk(0x0003, b"", pool + start + end)


def apk(keys):
    path = keys.home / "app.apk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AndroidManifest.xml", binary_manifest())
        archive.writestr("classes.dex", "not really\n")
    return path


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_apksigner(keys, key):
    need("apksigner")
    apk(keys)
    words = ["apksigner", "sign", "--ks-key-alias", key, "--min-sdk-version", "24", "--out",
             "signed.apk", "app.apk"]
    done = keys.exec(*words)
    assert f"chancery: signed: key {key}, " in done.stderr
    done = keys.run("apksigner", "verify", "--min-sdk-version", "24", "--print-certs",
                    "signed.apk")
    assert f"CN=Test {key}" in done.stdout
    shutil.move(keys.home / "signed.apk", keys.home / "changed.apk")
    content = bytearray((keys.home / "changed.apk").read_bytes())
    content[content.index(b"not really")] ^= 1
    (keys.home / "changed.apk").write_bytes(content)
    assert keys.run("apksigner", "verify", "--min-sdk-version", "24", "changed.apk",
                    check=False).returncode != 0
