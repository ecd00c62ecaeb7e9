# SPDX-License-Identifier: MIT
"""JAR, WAR and EAR by jarsigner with a time stamp, APK by apksigner in each of its schemes."""

import hashlib
import struct
import zipfile

import pytest

import cms
from evidence import broken, logged
from signer import MODULE, need
from test_cosign import hash_of, machine, policy
from test_pkcs11_java import JDKS, binary_manifest

CONTENT = {
    "jar": {"app/App.txt": "what the JAR holds\n"},
    "war": {"WEB-INF/web.xml": "<web-app/>\n", "index.html": "<p>what the WAR holds</p>\n"},
    "ear": {"META-INF/application.xml": "<application/>\n", "app.war": "what the EAR holds\n"},
}
STAMP = "2a864886f70d010910020e"  # id-aa-timeStampToken, in hex


@pytest.fixture(name="java", scope="module")
def fixture_java(keys, tsa):
    """The tools of the newest JDK; the roots that they trust are in trust.p12."""
    if not JDKS:
        pytest.skip("no JDK is installed")
    place = JDKS[-1] / "bin"
    for alias, path in (("ca", keys.home / "ca.pem"), ("stamps", tsa.ca)):
        keys.run(place / "keytool", "-importcert", "-noprompt", "-alias", alias, "-file", path,
                 "-keystore", "roots.p12", "-storepass", "changeit")
    return place


def archive(keys, kind, name):
    path = keys.home / f"{name}.{kind}"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        for entry, content in CONTENT[kind].items():
            made.writestr(entry, content)
    return path


def verify_jar(keys, java, path):
    """With -strict a warning is an error: no chain, no time stamp, an entry not signed."""
    return keys.run(java / "jarsigner", "-verify", "-strict", "-keystore", "roots.p12",
                    "-storepass", "changeit", "-verbose:summary", "-certs", path.name, check=False)


@pytest.mark.parametrize("key", ["r3", "p256"])
@pytest.mark.parametrize("kind", CONTENT)
def test_jarsigner(keys, java, tsa, kind, key):
    path = archive(keys, kind, f"stamped-{key}")
    before = tsa.stamps
    done = keys.exec(java / "jarsigner", "-tsa", tsa.url, path.name, key)
    assert f"chancery: signed: key {key}, " in done.stderr
    assert tsa.stamps == before + 1
    done = verify_jar(keys, java, path)
    assert (done.returncode, "jar verified." in done.stdout) == (0, True), done.stdout
    assert "without a timestamp" not in done.stdout
    with zipfile.ZipFile(path) as made:
        block = next(n for n in made.namelist() if n.endswith((".RSA", ".EC")))
        signed = cms.Signed(made.read(block))
        text = made.read(f"META-INF/{key.upper()}.SF")
    assert STAMP in signed.unsigned_attributes()[0]
    logged(keys, key, signed.digests(text)[0], "jarsigner", path.name)
    spoilt = keys.file(f"spoilt.{kind}", broken(path, f"what the {kind.upper()}".encode()))
    assert verify_jar(keys, java, spoilt).returncode != 0


ONLY_JARSIGNER = """\
version: 1
rules:
  - name: only-this-jarsigner
    effect: allow
    match:
      application: {path: %s, sha256: %s}
"""


def test_jarsigner__only_this_one(keys, java):
    """By facts of the agent: neither the same classes in another program, nor one who can only say
    that he is jarsigner, may sign."""
    program = (java / "jarsigner").resolve()
    classes = [java / "java", "-m", "jdk.jartool/sun.security.tools.jarsigner.Main", "-addprovider",
               "SunPKCS11", "-providerArg", keys.file("only.cfg", f"name = Chancery\nlibrary = "
                                                      f"{MODULE}\nslotListIndex = 0\n"),
               "-keystore", "NONE", "-storetype", "PKCS11", "-protected"]
    home = {"HOME": str(machine(keys, "java-host").home)}
    path = archive(keys, "jar", "only-this")
    before = path.read_bytes()
    with policy(keys, ONLY_JARSIGNER % (program, hash_of(program))):
        for words, env in ((classes, home), ([program], None)):
            done = keys.exec(*words, path.name, "r3", env=env, check=False)
            assert done.returncode != 0 and path.read_bytes() == before
            assert "no rule allows this" in done.stderr and "only-this-jarsigner" in done.stderr
        done = keys.exec(program, path.name, "r3", env=home)
        assert keys.logged(done, "r3", program)["application"]["basis"] == "agent"
    assert "jar verified" in keys.run(java / "jarsigner", "-verify", path.name).stdout


def test_jarsigner__an_authority_that_does_not_answer(keys, java, tsa):
    path = archive(keys, "jar", "not-stamped")
    before = path.read_bytes()
    tsa.is_down = True
    try:
        done = keys.exec(java / "jarsigner", "-tsa", tsa.url, path.name, "r3", check=False)
    finally:
        tsa.is_down = False
    assert done.returncode == 1
    assert path.read_bytes() == before


# --- APK ---

V4_IS_RIGHT = "Verified using v4 scheme (APK Signature Scheme v4): true"
OLDEST = {1: 18, 2: 24, 3: 28}  # Android API level that knows the scheme


def apk(keys, name):
    path = keys.home / name
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("AndroidManifest.xml", binary_manifest())
        made.writestr("classes.dex", "what the APK holds\n")
    return path


def sequence(data):
    """What is in a run of values that each stand behind their length of 32 bits."""
    found = []
    at = 0
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return found


def signing_block(content):
    """The values of the block before the central directory, by number. Source: Android's pages on
    APK signature scheme v2."""
    end = content.rindex(b"PK\5\6")
    directory, = struct.unpack_from("<I", content, end + 16)
    assert content[directory - 16:directory] == b"APK Sig Block 42"
    size, = struct.unpack_from("<Q", content, directory - 24)
    block = content[directory - size:directory - 24]
    values, at = {}, 0
    while at < len(block):
        length, number = struct.unpack_from("<QI", block, at)
        values[number] = block[at + 12:at + 8 + length]
        at += 8 + length
    return values


def digest_of_block(content, number):
    signer = sequence(sequence(signing_block(content)[number])[0])[0]
    signed_data, = struct.unpack_from("<I", signer)
    return hashlib.sha256(signer[4:4 + signed_data]).hexdigest()


def digest_of_v1(path):
    with zipfile.ZipFile(path) as made:
        block = next(n for n in made.namelist() if n.endswith((".RSA", ".EC")))
        text = made.read(block.rsplit(".", 1)[0] + ".SF")
        return cms.Signed(made.read(block)).digests(text)[0]


def digest_of_v4(path):
    """What an .idsig signs. Source: Android's pages on APK signature scheme v4."""
    _, hashing, signing = (lambda d: (d[:4], *sequence(d[4:])[:2]))(
        path.with_name(path.name + ".idsig").read_bytes())
    taken = signing
    for _ in range(3):  # APK digest, certificate, additional data; then come key and signature
        taken = taken[4 + struct.unpack_from("<I", taken)[0]:]
    body = struct.pack("<Q", path.stat().st_size) + hashing + signing[:len(signing) - len(taken)]
    return hashlib.sha256(struct.pack("<I", len(body) + 4) + body).hexdigest()


def digest_of(scheme, path):
    if scheme in (2, 3):
        return digest_of_block(path.read_bytes(), {2: 0x7109871a, 3: 0xf05368c0}[scheme])
    return digest_of_v1(path) if scheme == 1 else digest_of_v4(path)


def sign_apk(keys, schemes, key):
    apk(keys, "app.apk")
    out = keys.home / "signed.apk"
    for path in (out, keys.home / "signed.apk.idsig"):
        path.unlink(missing_ok=True)
    switches = [word for scheme in (1, 2, 3, 4)
                for word in (f"--v{scheme}-signing-enabled", str(scheme in schemes).lower())]
    oldest = str(OLDEST[min(schemes)])
    done = keys.exec("apksigner", "sign", "--ks-key-alias", key, "--min-sdk-version", oldest,
                     *switches, "--out", out.name, "app.apk")
    assert done.stderr.count(f"chancery: signed: key {key}, ") == len(schemes), done.stderr
    return out, oldest


def verify_apk(keys, path, oldest, schemes):
    sidecar = ["--v4-signature-file", "signed.apk.idsig"] if 4 in schemes else []
    return keys.run("apksigner", "verify", "--verbose", "--print-certs", "--min-sdk-version",
                    oldest, *sidecar, path.name, check=False)


@pytest.mark.parametrize("key", ["r3", "p256"])
@pytest.mark.parametrize("schemes", [[1], [2], [3], [1, 2, 3]], ids=str)
def test_apksigner(keys, schemes, key):
    need("apksigner")
    path, oldest = sign_apk(keys, schemes, key)
    done = verify_apk(keys, path, oldest, schemes)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"CN=Test {key}" in done.stdout
    for scheme in schemes:
        logged(keys, key, digest_of(scheme, path), "java", "apksigner")
        if scheme == max(schemes):  # of the others apksigner tells what it had to look at
            assert f"Verified using v{scheme} scheme" in done.stdout
    spoilt = keys.file("spoilt.apk", broken(path, b"what the APK"))
    assert verify_apk(keys, spoilt, oldest, schemes).returncode != 0


@pytest.fixture(name="android", scope="module")
def fixture_android(keys):
    """A key whose certificate it signed itself, as is the custom on Android: with a chain apksigner
    makes no .idsig."""
    need("apksigner", "openssl")
    keys.admin.run("keys", "create", "apk", "--type", "rsa-3072")
    keys.exec("openssl", "req", "-x509", "-new", "-key", "pkcs11:object=apk;type=private",
              "-subj", "/CN=Test apk", "-days", "10000", "-addext",
              "extendedKeyUsage=codeSigning", "-addext", "keyUsage=digitalSignature", "-out",
              "apk.pem")
    keys.admin.run("certs", "import", "apk", "apk.pem")
    yield "apk"
    keys.admin.run("keys", "disable", "apk")


def test_apksigner__v4(keys, android):
    path, oldest = sign_apk(keys, [2, 3, 4], android)
    sidecar = keys.home / "signed.apk.idsig"
    done = verify_apk(keys, path, oldest, [4])
    assert done.returncode == 0, done.stdout + done.stderr
    assert V4_IS_RIGHT in done.stdout
    for scheme in (2, 3, 4):
        logged(keys, android, digest_of(scheme, path), "java", "apksigner")
    spoilt = keys.file("spoilt.apk", broken(path, b"what the APK"))
    assert verify_apk(keys, spoilt, oldest, [4]).returncode != 0
    content = bytearray(sidecar.read_bytes())
    content[30] ^= 1  # in the root hash of the file
    sidecar.write_bytes(content)
    # It ends with 0 all the same, since v2 and v3 are right.
    assert V4_IS_RIGHT not in verify_apk(keys, path, oldest, [4]).stdout


def test_apksigner__v4_needs_a_certificate_that_stands_alone(keys):
    need("apksigner")
    apk(keys, "app.apk")
    done = keys.exec("apksigner", "sign", "--ks-key-alias", "r3", "--min-sdk-version", "28",
                     "--v4-signing-enabled", "true", "--out", "signed.apk", "app.apk", check=False)
    assert done.returncode == 1
    assert "Should only have one certificate" in done.stderr
