# SPDX-License-Identifier: MIT
"""Signing Windows and Java files when something is not as it should be: a file that is signed
already, a certificate that has ended, a tool that is killed or that policy refuses, files that are
broken. What the tools do then is theirs; ours must say what became of the signatures, and live."""

import datetime
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time
import zipfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import plugins
import signed_tree
import tiny_pe
from evidence import nobodys_socket
from openpgp import CHANCERY_GPG
from signer import BUILD, CHANCERY, POLICY, SOON, artifact, need
from test_java_archives import archive, sign_apk
from test_windows import osslsigncode, sample

ENDS_AFTER_S = 10  # time enough to import a certificate
HAS_ENDED = "has ended"
OSSLSIGNCODE = ["osslsigncode", "sign", "-h", "sha256", "-pkcs11cert"]


@pytest.fixture(name="jsign", scope="module")
def fixture_jsign():
    need("java")
    return ["java", "-jar", artifact("jsign")]


def by_osslsigncode(keys, name, out, *words, key="r3", **options):
    need("osslsigncode")
    (keys.home / out).unlink(missing_ok=True)
    return keys.exec(*OSSLSIGNCODE, f"pkcs11:object={key};type=cert", "-key",
                     f"pkcs11:object={key};type=private", *words, "-in", name, "-out", out,
                     **options)


def count_of(keys, path):
    """How many signatures osslsigncode finds right."""
    return osslsigncode(keys, path).stdout.count("Signature verification: ok")


# --- a file that is signed already ---


def test_signed_already__jarsigner_adds(keys):
    need("jarsigner")
    path = archive(keys, "jar", "twice")
    for key in ("r3", "p256"):
        keys.exec("jarsigner", path.name, key)
    with zipfile.ZipFile(path) as made:
        assert {"META-INF/R3.SF", "META-INF/P256.SF"} <= set(made.namelist())
    assert "jar verified" in keys.run("jarsigner", "-verify", path.name).stdout


def test_signed_already__jsign_adds_or_replaces(keys, jsign):
    need("osslsigncode")
    path = sample(keys, "exe", name="twice")
    for _ in range(2):
        keys.exec(*jsign, "--alias", "r3", path.name)
    assert count_of(keys, path) == 2
    keys.exec(*jsign, "--alias", "p256", "--replace", path.name)
    assert count_of(keys, path) == 1
    assert "CN=Test p256" in osslsigncode(keys, path).stdout


def test_signed_already__osslsigncode_replaces_or_adds(keys):
    sample(keys, "exe", name="one")
    by_osslsigncode(keys, "one.exe", "two.exe")
    by_osslsigncode(keys, "two.exe", "three.exe", key="p256")
    assert count_of(keys, keys.home / "three.exe") == 1
    assert "CN=Test p256" in osslsigncode(keys, "three.exe").stdout
    by_osslsigncode(keys, "two.exe", "both.exe", "-nest", key="p256")
    assert count_of(keys, keys.home / "both.exe") == 2


def test_signed_already__apksigner_replaces(keys):
    need("apksigner")
    path, _ = sign_apk(keys, [2, 3], "r3")
    keys.exec("apksigner", "sign", "--ks-key-alias", "p256", "--min-sdk-version", "24", path.name)
    done = keys.run("apksigner", "verify", "--min-sdk-version", "24", "--print-certs", path.name)
    assert "CN=Test p256" in done.stdout
    assert "CN=Test r3" not in done.stdout


# --- a certificate that has ended ---


def chain_for(public, seconds):
    """A certificate that ends so soon, and that of the CA that issued it."""
    ca = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(subject, key, ends, *critical):
        subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
                           for text in (subject, "Test ended CA"))
        made = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(),
                                       now - datetime.timedelta(days=1), ends, [])
        for extension in critical:
            made = made.add_extension(extension, critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False)
        return made.sign(ca, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    return (certificate("Test ended", public, now + datetime.timedelta(seconds=seconds),
                        x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]),
                        x509.KeyUsage(*(at == 0 for at in range(9)))),  # signatures alone
            certificate("Test ended CA", ca.public_key(), now + datetime.timedelta(days=1),
                        x509.BasicConstraints(True, None),
                        x509.KeyUsage(*(at == 5 for at in range(9)))))  # certificates alone


@pytest.fixture(name="ended", scope="module")
def fixture_ended(keys):
    """A key whose certificate, of a CA of its own, has ended since it was imported."""
    public = serialization.load_pem_public_key(keys.admin.key("ended", "rsa-3072").read_bytes())
    leaf, root = chain_for(public, -1)
    done = keys.admin.run("certs", "import", "ended", keys.file("ended.pem", leaf + root),
                          check=False)
    assert (done.returncode, "has expired" in done.stderr) == (1, True)
    leaf, root = chain_for(public, ENDS_AFTER_S)
    keys.file("ended-ca.pem", root)
    keys.admin.run("certs", "import", "ended", keys.file("ended.pem", leaf + root))
    deadline = time.monotonic() + SOON
    # Within its last second it is good to tools that count in seconds.
    behind = time.time() + ENDS_AFTER_S + 1
    while time.time() < behind or not any(
            HAS_ENDED in warning for warning in
            keys.admin.json("keys", "show", "ended").get("warnings", [])):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield "ended"
    keys.admin.run("keys", "disable", "ended")


def test_ended_certificate__jarsigner_warns_and_strict_refuses(keys, ended):
    need("jarsigner")
    path = archive(keys, "jar", "ended")
    done = keys.exec("jarsigner", path.name, ended)
    assert "expired" in done.stdout
    done = keys.run("jarsigner", "-verify", "-strict", path.name, check=False)
    assert done.returncode != 0
    assert "expired" in done.stdout


def test_ended_certificate__chancery_sign_signs_nothing(keys, ended):
    """By itself, and by tools that it hands the certificate, or that ask for it. What boots has
    no use for its dates."""
    need("jarsigner", "osslsigncode", "sbsign")
    paths = [keys.file("ended.txt", "ended\n"), sample(keys, "exe", name="ended-sign"),
             archive(keys, "jar", "ended-sign")]
    before = keys.log(key=ended)[-1]["index"]
    for path in paths:
        done = keys.run(CHANCERY, "sign", "--key", ended, path, check=False)
        assert done.returncode != 0
        assert f'the certificate of key "{ended}" has ended, on 20' in done.stderr, done.stderr
        assert "NO TIME STAMP" not in done.stderr
    assert keys.log(key=ended)[-1]["index"] == before
    keys.run(CHANCERY, "sign", "--key", ended, keys.file("ended.efi", signed_tree.efi()))


def test_ended_certificate__notation_refuses(keys, ended, registry):
    """By what the plug-in answers: the signature was made, and stays at notation."""
    notation = plugins.Tool(keys, "notation")
    notation.run("plugin", "install", "--force", "--file", plugins.NOTATION)
    image = registry.push("ended", b"what a certificate that has ended signs\n")
    done = notation.run("sign", "--plugin", "chancery", "--id", ended, "--insecure-registry", image,
                        check=False)
    assert done.returncode != 0
    assert "was invalid at signing time" in done.stderr
    listed = notation.run("list", "--insecure-registry", image)
    assert "no associated signature" in listed.stdout + listed.stderr


def test_ended_certificate__osslsigncode_does_not_verify(keys, ended):
    sample(keys, "exe", name="ended")
    by_osslsigncode(keys, "ended.exe", "ended-signed.exe", key=ended)
    done = keys.run("osslsigncode", "verify", "-CAfile", "ended-ca.pem", "-in", "ended-signed.exe",
                    check=False)
    assert done.returncode != 0
    assert "expired" in done.stdout + done.stderr


# --- a tool that is killed half-way ---


@pytest.fixture(name="silent")
def fixture_silent():
    """A time-stamp authority that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOON)
        yield listener


def child_of(pid, name):
    """Any thread of a program can have started it: a tool in Go leaves that to chance."""
    children = [child for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (thread / "children").read_text().split()]
    return next(int(child) for child in children
                if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == name)


@pytest.mark.parametrize("name", ["jarsigner", "java", "osslsigncode"])
def test_killed(keys, jsign, silent, name):
    """Its signature is made, it waits for the time stamp, and is killed: the file is as it was, and
    we say what was signed."""
    need(name)
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    path = archive(keys, "jar", "killed") if name == "jarsigner" else sample(keys, "exe",
                                                                             name="killed")
    words = {
        "jarsigner": ["jarsigner", "-tsa", url, path.name, "r3"],
        "java": [*jsign, "--alias", "r3", "--tsaurl", url, "--tsmode", "RFC3161", path.name],
        "osslsigncode": [*OSSLSIGNCODE, "pkcs11:object=r3;type=cert", "-key",
                         "pkcs11:object=r3;type=private", "-ts", url, "-in", path.name, "-out",
                         "killed-out.exe"],
    }[name]
    before = path.read_bytes()
    with subprocess.Popen([str(word) for word in (CHANCERY, "exec", "--", *words)], cwd=keys.home,
                          env=keys.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as tool:
        connection, _ = silent.accept()
        os.kill(child_of(tool.pid, name), signal.SIGKILL)
        told = tool.communicate(timeout=SOON)[1]
        connection.close()
    assert tool.returncode == 128 + signal.SIGKILL
    assert "chancery: signed: key r3, rsa-pkcs1-sha256" in told
    assert path.read_bytes() == before
    keys.exec("jarsigner", archive(keys, "jar", "after").name, "r3")


def test_killed__a_plug_in(keys, tmp_path):
    """cosign's plug-in has asked the agent, waits for it, and is killed: cosign says that it
    failed, and there is no bundle."""
    cosign = plugins.Tool(keys, "cosign")
    cosign.run("signing-config", "create", "--out", "killed-config.json")
    cosign.run("trusted-root", "create", "--out", "killed-root.json")
    keys.file("killed.blob", "what is not signed\n")
    bundle = keys.home / "killed.bundle"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent.sock"))
        agent.listen()
        agent.settimeout(SOON)
        with subprocess.Popen(
                [cosign.bin / "cosign", "sign-blob", "--key", "chancery://r3", "--signing-config",
                 "killed-config.json", "--trusted-root", "killed-root.json", "--yes", "--bundle",
                 bundle, "killed.blob"], cwd=keys.home, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                env=cosign.env(CHANCERY_AGENT_SOCK=str(tmp_path / "agent.sock"))) as tool:
            connection, _ = agent.accept()
            with connection:
                assert connection.recv(1)
                os.kill(child_of(tool.pid, plugins.KMS.name[:15]), signal.SIGKILL)
                told = tool.communicate(timeout=SOON)[1]
    assert tool.returncode != 0
    assert "killed" in told
    assert not bundle.exists()


# --- several tools at once on one key ---


def test_three_tools_at_once_on_one_key(keys, jsign):
    need("jarsigner", "osslsigncode")
    paths = [archive(keys, "jar", "at-once"), sample(keys, "exe", name="at-once"),
             sample(keys, "dll", name="at-once")]
    words = [["jarsigner", paths[0].name, "r3"],
             [*OSSLSIGNCODE, "pkcs11:object=r3;type=cert", "-key", "pkcs11:object=r3;type=private",
              "-in", paths[1].name, "-out", "at-once-signed.exe"],
             [*jsign, "--alias", "r3", paths[2].name]]
    (keys.home / "at-once-signed.exe").unlink(missing_ok=True)
    started = [subprocess.Popen([str(word) for word in (CHANCERY, "exec", "--", *tool)],
                                cwd=keys.home, env=keys.env(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for tool in words]
    for tool in started:
        shown, said = tool.communicate(timeout=SOON)
        assert tool.returncode == 0, shown + said
        assert said.count("chancery: signed: key r3, ") == 1
    assert "jar verified" in keys.run("jarsigner", "-verify", paths[0].name).stdout
    for path in (keys.home / "at-once-signed.exe", paths[2]):
        assert count_of(keys, path) == 1


# --- an agent's socket that is somebody else's ---


DOORS = {
    "kms plug-in": [plugins.KMS, "v1", '{"initOptions": {"protocolVersion": "v1", "keyResourceID": '
                                       '"chancery://r3"}, "methodName": "publicKey"}'],
    "notation plug-in": [plugins.NOTATION, "describe-key"],
    "provider": ["openssl", "dgst", "-provider-path", BUILD / "src/provider", "-provider",
                 "chancery", "-provider", "default", "-sha256", "-sign", "chancery:r3",
                 "theirs.txt"],
    "chancery-gpg": [CHANCERY_GPG, "-u", "r3", "--detach-sign", "-o", "-", "theirs.txt"],
    "chancery sign": [CHANCERY, "sign", "--raw", "--key", "r3", "theirs.txt"],
    "chancery exec": [CHANCERY, "exec", "--", "openssl", "dgst", "-sha256", "-sign", "chancery:r3",
                      "theirs.txt"],
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("door", DOORS)
def test_an_agent_of_somebody_else(keys, door):
    """It gets not a byte, and nothing is signed in another way."""
    keys.file("theirs.txt", "what is for our agent alone\n")
    before = keys.admin.json("log", "list", "--newest", "--limit", "1")["size"]
    with nobodys_socket(keys.folder) as path:
        done = keys.run(*DOORS[door], check=False, env={"CHANCERY_AGENT_SOCK": str(path)},
                        input='{"contractVersion": "1.0", "keyId": "r3"}')
    assert done.returncode != 0, done.stdout
    assert keys.admin.json("log", "list", "--newest", "--limit", "1")["size"] == before


# --- a policy that refuses the tool ---


@pytest.fixture(name="refusing")
def fixture_refusing(keys):
    keys.admin.policy(POLICY + """\
  - name: no-osslsigncode
    effect: deny
    match: {application: {path: "*/osslsigncode"}}
  - name: no-jsign
    effect: deny
    match: {application: {command: '.*/jsign-[0-9.]*\\.jar .*'}}
""")
    yield
    keys.admin.policy(POLICY)


def test_refused_by_policy(keys, jsign, refusing):
    path = sample(keys, "exe", name="refused")
    before = path.read_bytes()
    done = by_osslsigncode(keys, path.name, "refused-out.exe", check=False)
    assert done.returncode != 0
    assert "chancery: REFUSED: key r3, " in done.stderr
    assert "decided by rule no-osslsigncode" in done.stderr
    assert not (keys.home / "refused-out.exe").exists()
    done = keys.exec(*jsign, "--alias", "r3", path.name, check=False)
    assert done.returncode != 0
    assert "decided by rule no-jsign" in done.stderr
    assert path.read_bytes() == before
    denied = [row for row in keys.log(key="r3") if row["decision"] == "denied"][-2:]
    assert [row["rules"] for row in denied] == [["no-osslsigncode"], ["no-jsign"]]
    keys.exec("jarsigner", archive(keys, "jar", "allowed").name, "r3")


# --- files that are broken ---


def zip_that_lies(change):
    def make(keys):
        content = bytearray(archive(keys, "jar", "lies").read_bytes())
        change(content)
        return bytes(content)
    return make


def directory_is_elsewhere(content):
    struct.pack_into("<I", content, content.rindex(b"PK\5\6") + 16, 0xFFFFFFF0)


def directory_is_long(content):
    struct.pack_into("<I", content, content.rindex(b"PK\5\6") + 12, 0xFFFFFFF0)


def name_is_long(content):
    struct.pack_into("<H", content, content.index(b"PK\1\2") + 28, 0xFFFF)


def changed_pe(at, size, value):
    content = bytearray(tiny_pe.tiny_pe())
    content[at:at + size] = value.to_bytes(size, "little")
    return bytes(content)


HOSTILE = {
    "empty": lambda keys: b"",
    "cut-pe": lambda keys: tiny_pe.tiny_pe()[:100],
    "pe-header-is-far": lambda keys: changed_pe(60, 4, 0xFFFFFFF0),
    "pe-header-is-itself": lambda keys: changed_pe(60, 4, 0),
    "certificates-are-far": lambda keys: changed_pe(64 + 24 + 112 + 4 * 8, 8, 0xFFFFFFF0FFFFFFF0),
    "cut-zip": lambda keys: archive(keys, "jar", "cut").read_bytes()[:-30],
    "directory-is-elsewhere": zip_that_lies(directory_is_elsewhere),
    "directory-is-long": zip_that_lies(directory_is_long),
    "name-is-long": zip_that_lies(name_is_long),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file(keys, name):
    """The tool may fail as it likes, and mostly asks for nothing; what it asked for is told."""
    need("jarsigner", "osslsigncode")
    path = keys.file("hostile", HOSTILE[name](keys))
    before = keys.admin.json("log", "list", "--newest", "--limit", "1")["size"]
    commands = [["jarsigner", path.name, "r3"]]
    if "zip" not in name and "directory" not in name and name != "name-is-long":
        commands.append([*OSSLSIGNCODE, "pkcs11:object=r3;type=cert", "-key",
                         "pkcs11:object=r3;type=private", "-in", path.name, "-out", "hostile-out"])
    for words in commands:
        (keys.home / "hostile-out").unlink(missing_ok=True)
        done = keys.exec(*words, check=False)
        assert "chancery: " in done.stderr
        signed = done.stderr.count("chancery: signed: ")
        assert done.returncode != 0 or signed == 1, done.stdout
        after = keys.admin.json("log", "list", "--newest", "--limit", "1")["size"]
        assert after - before == 2 * signed
        before = after
