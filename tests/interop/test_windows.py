# SPDX-License-Identifier: MIT
"""What Windows signs, signed on Linux by jsign and osslsigncode, and verified by others: by
osslsigncode what it knows, the rest by OpenSSL and the format's own digests."""

import base64
import hashlib
import re
import struct
import zipfile

import pytest

import cms
import windows_samples
from evidence import broken, logged
from signer import MODULE, artifact, need, run

OSSLSIGNCODE = ["exe", "dll", "msi", "cab", "cat"]  # what Debian's release knows
OTHERS = ["msix", "appx", "ps1", "nupkg"]
MAKERS = {"msi": "wixl", "cab": "gcab"}
# Object identifiers of time stamps, in hex: Authenticode's, and that of RFC 3161 in NuGet.
AUTHENTICODE_STAMP, STAMP = "2b060104018237030301", "2a864886f70d010910020e"


BREAK_AT = {
    "exe": b"\x31\xc0\xc3", "dll": b"\x31\xc0\xc3", "msi": b"MSCF", "cab": b"app.txt",
    "cat": windows_samples.CATALOG[0], "msix": b"\x31\xc0\xc3",
    "appx": b"\x31\xc0\xc3", "ps1": b"the script", "nupkg": b"\x31\xc0\xc3",
}


def sample(keys, kind, key="r3", name="app"):
    if kind in MAKERS:
        need(MAKERS[kind])
    folder = keys.home / "windows"
    publisher = f"OU=development\\, not trusted,CN=Test {key}"  # jsign wants the certificate's name
    return keys.file(f"{name}.{kind}", windows_samples.make(kind, folder, publisher))


def of_kinds(kinds):
    return pytest.mark.parametrize("kind", kinds)


@pytest.fixture(name="jsign", scope="module")
def fixture_jsign():
    need("java")
    return ["java", "-jar", artifact("jsign")]


@pytest.fixture(name="by_jsign", scope="module")
def fixture_by_jsign(keys, jsign, tsa):
    """One file of each kind, signed with a time stamp in one run of jsign."""
    paths = {kind: sample(keys, kind, name="by-jsign") for kind in OSSLSIGNCODE + OTHERS}
    done = keys.exec(*jsign, "--alias", "r3", "--tsaurl", tsa.url, "--tsmode", "RFC3161",
                     *(path.name for path in paths.values()))
    assert done.stderr.count("chancery: signed: key r3, rsa-pkcs1-sha256") == len(paths)
    return paths


# --- verifiers ---

def osslsigncode(keys, path, *words, check=True):
    return keys.run("osslsigncode", "verify", "-CAfile", keys.home / "ca.pem", *words, "-in", path,
                    check=check)


def taken_out(content, name):
    """A zip file's bytes as they were before its last entry, `name`, was added."""
    end = content.rindex(b"PK\5\6")
    entries, size, start = struct.unpack("<HII", content[end + 10:end + 20])
    directory = content[start:start + size]
    last = directory.rindex(b"PK\1\2")
    assert directory[last + 46:].startswith(name.encode())
    at, = struct.unpack("<I", directory[last + 42:last + 46])
    tail = bytearray(content[end:])
    struct.pack_into("<HHII", tail, 8, entries - 1, entries - 1, last, at)
    return content[:at], directory[:last] + bytes(tail)


def package_digest(archive, content):
    """APPX: the digests of what is signed, one behind the other with their names. [MS-APPXPKG]"""
    before, behind = taken_out(content, "AppxSignature.p7x")
    parts = {"AXPC": before, "AXCD": behind, "AXCT": archive.read("[Content_Types].xml"),
             "AXBM": archive.read("AppxBlockMap.xml")}
    return b"APPX" + b"".join(name.encode() + hashlib.sha256(part).digest()
                              for name, part in parts.items())


def signature_and_digest(kind, path):
    """The CMS in a signed file, and what it should say of the file as that stands."""
    content = path.read_bytes()
    if kind == "ps1":
        text, rest = content.decode().split("\r\n# SIG # Begin signature block\r\n")
        lines = rest.split("# SIG # End")[0]
        return (base64.b64decode(lines.replace("# ", "").replace("\r\n", "")),
                hashlib.sha256(text.encode("utf-16-le")).digest())
    with zipfile.ZipFile(path) as archive:
        if kind == "nupkg":
            digest = hashlib.sha256(b"".join(taken_out(content, ".signature.p7s"))).digest()
            return archive.read(".signature.p7s"), digest
        return (archive.read("AppxSignature.p7x").removeprefix(b"PKCX"),
                package_digest(archive, content))


def digest_in(kind, signed):
    if kind == "nupkg":
        found = re.fullmatch(rb"Version:1\n\n2\.16\.840\.1\.101\.3\.4\.2\.1-Hash:(\S+)\n\n",
                             signed.content)
        return base64.b64decode(found[1])
    digest_info = cms.values(signed.content)[1][1]  # of SpcIndirectDataContent
    return cms.values(digest_info)[1][1]


def verify(keys, kind, path):
    """Whether the signature is right, and is of this file."""
    der, digest = signature_and_digest(kind, path)
    signed = cms.Signed(der)
    content = keys.file("content.bin", signed.content)
    signature = keys.file("detached.der", signed.without_content())
    done = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", signature,
               "-content", content, "-CAfile", keys.home / "ca.pem", "-purpose", "any", "-out",
               "/dev/null", check=False)
    return done.returncode == 0 and digest_in(kind, signed) == digest


# --- jsign through PKCS#11 ---

def by_jsign_itself(keys, jsign, path):
    """The signature, as jsign itself reads it."""
    keys.run(*jsign, "extract", "--format", "DER", path.name)
    return (keys.home / f"{path.name}.sig").read_bytes()


@of_kinds(OSSLSIGNCODE)
def test_jsign(keys, jsign, by_jsign, tsa, kind):
    need("osslsigncode")
    path = by_jsign[kind]
    done = osslsigncode(keys, path, "-TSA-CAfile", tsa.ca)
    assert "Signature verification: ok" in done.stdout
    assert "Timestamp Server Signature verification: ok" in done.stdout
    signed = cms.Signed(by_jsign_itself(keys, jsign, path))
    logged(keys, "r3", signed.digests()[0], "java", "jsign")
    spoilt = keys.file(f"spoilt.{kind}", broken(path, BREAK_AT[kind]))
    assert osslsigncode(keys, spoilt, check=False).returncode != 0


@of_kinds(OTHERS)
def test_jsign__packages_and_scripts(keys, by_jsign, kind):
    path = by_jsign[kind]
    assert verify(keys, kind, path)
    signed = cms.Signed(signature_and_digest(kind, path)[0])
    assert {AUTHENTICODE_STAMP, STAMP} & set(signed.unsigned_attributes()[0])
    logged(keys, "r3", signed.digests()[0], "java", "jsign")
    assert not verify(keys, kind, keys.file(f"spoilt.{kind}", broken(path, BREAK_AT[kind])))


def test_jsign__without_exec(keys, jsign):
    path = sample(keys, "ps1", name="alone")
    config = keys.file("jsign.cfg", f"name = Chancery\nlibrary = {MODULE}\nslotListIndex = 0\n")
    keys.run(*jsign, "--storetype", "PKCS11", "--keystore", config, "--storepass", "none",
             "--alias", "p256", path.name)
    assert verify(keys, "ps1", path)
    digest = cms.Signed(signature_and_digest("ps1", path)[0]).digests()[0]
    logged(keys, "p256", digest, "java", "jsign")


def test_jsign__by_the_command_of_its_package(keys, jsign):
    """/usr/bin/jsign is a script that starts Java."""
    command = keys.file("jsign", "#!/bin/sh\nexec java -jar '%s' \"$@\"\n" % jsign[-1])
    command.chmod(0o755)
    path = sample(keys, "ps1", name="command")
    done = keys.exec(command, "--alias", "p384", path.name)
    assert "chancery: signed: key p384, ecdsa-sha256" in done.stderr
    assert verify(keys, "ps1", path)


# --- osslsigncode through the engine ---

def osslsigncode_release(keys):
    text = keys.run("osslsigncode", "--version", check=False).stdout
    return tuple(int(part) for part in re.search(r"osslsigncode (\d+)\.(\d+)", text).groups())


@of_kinds(["msix", "appx", "ps1"])
def test_jsign__verified_by_a_newer_osslsigncode(keys, by_jsign, kind):
    """Releases from 2.8 on know them; Debian 12's does not, and says so."""
    need("osslsigncode")
    done = osslsigncode(keys, by_jsign[kind], check=False)
    if osslsigncode_release(keys) < (2, 8):
        assert done.returncode != 0
        return
    assert "Signature verification: ok" in done.stdout
    spoilt = keys.file(f"spoilt.{kind}", broken(by_jsign[kind], BREAK_AT[kind]))
    assert osslsigncode(keys, spoilt, check=False).returncode != 0


def osslsigncode_signs(keys, tsa, kind):
    need("osslsigncode")
    path = sample(keys, kind)
    out = keys.home / f"by-osslsigncode.{kind}"
    out.unlink(missing_ok=True)
    done = keys.exec("osslsigncode", "sign", "-h", "sha256", "-pkcs11cert",
                     "pkcs11:object=r3;type=cert", "-key", "pkcs11:object=r3;type=private", "-ts",
                     tsa.url, "-in", path.name, "-out", out.name)
    assert "chancery: signed: key r3, rsa-pkcs1-sha256" in done.stderr
    return out


@of_kinds(OSSLSIGNCODE)
def test_osslsigncode(keys, jsign, tsa, kind):
    out = osslsigncode_signs(keys, tsa, kind)
    done = osslsigncode(keys, out, "-TSA-CAfile", tsa.ca)
    assert "Signature verification: ok" in done.stdout
    assert "Timestamp Server Signature verification: ok" in done.stdout
    signed = cms.Signed(by_jsign_itself(keys, jsign, out))
    assert AUTHENTICODE_STAMP in signed.unsigned_attributes()[0]
    logged(keys, "r3", signed.digests()[0], "osslsigncode", "-pkcs11cert")
    spoilt = keys.file(f"spoilt.{kind}", broken(out, BREAK_AT[kind]))
    assert osslsigncode(keys, spoilt, check=False).returncode != 0


def test_osslsigncode__scripts(keys, tsa):
    """Not MSIX: what 2.9 writes into the package has a wrong CRC."""
    need("osslsigncode")
    if osslsigncode_release(keys) < (2, 8):
        assert osslsigncode(keys, sample(keys, "ps1"), check=False).returncode != 0
        return
    out = osslsigncode_signs(keys, tsa, "ps1")
    assert verify(keys, "ps1", out)
    digest = cms.Signed(signature_and_digest("ps1", out)[0]).digests()[0]
    logged(keys, "r3", digest, "osslsigncode", "-pkcs11cert")
    assert not verify(keys, "ps1", keys.file("spoilt.ps1", broken(out, BREAK_AT["ps1"])))
