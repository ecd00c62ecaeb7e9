# SPDX-License-Identifier: MIT
"""`chancery sign FILE…`: each kind by the tool that is installed, and what becomes of files when
something goes wrong."""

import base64
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import zipfile

import pytest

import tiny_pe
import windows_samples
from evidence import broken
from openpgp import CHANCERY_GPG
from signer import CHANCERY, MODULE, POLICY, SOON, artifact, need
from test_pkcs11_java import apk, jar, verify as verify_jar

# The name in the certificate, which a package must repeat for jsign.
PUBLISHER = "OU=development\\, not trusted,CN=Test r3"
FROZEN = """\
version: 1
rules:
  - name: everybody-signs
    effect: allow
  - name: no-archives
    effect: deny
    match: {artifact_type: {value: jar, basis: declared}}
"""


@pytest.fixture(name="place")
def fixture_place(keys, tmp_path_factory):
    """A folder for the files of one test."""
    folder = tmp_path_factory.mktemp("sign")
    (folder / "run").mkdir(mode=0o700)
    return folder


@pytest.fixture(name="jsign", scope="module")
def fixture_jsign(tmp_path_factory):
    """jsign as its package installs it: a program of that name."""
    need("java")
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "jsign"
    program.write_text(f'#!/bin/sh\nexec java -jar {artifact("jsign")} "$@"\n')
    program.chmod(0o755)
    return folder


def env_in(keys, place, **more):
    """Private folders go to the test's own."""
    return {**keys.env(CHANCERY_MODULE=str(MODULE), **more), "XDG_RUNTIME_DIR": str(place / "run")}


def sign(keys, place, *words, key="r3", code=0, path=None, **env):
    """`chancery sign` in `place`; what it said."""
    given = env_in(keys, place, **env)
    if path is not None:
        given["PATH"] = f"{path}:{given['PATH']}"
    done = subprocess.run([str(w) for w in (CHANCERY, "sign", "--key", key, *words)], cwd=place,
                          env=given, capture_output=True, text=True, timeout=4 * SOON, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def leftovers(place):
    return [path.name for path in [*place.iterdir(), *(place / "run").iterdir()]
            if "chancery-" in path.name]


def sample(keys, place, kind, name):
    """A small valid file of a kind."""
    path = place / name
    if kind == "jar":
        shutil.copy(jar(keys, f"made-{name}"), path)
    elif kind in ("war", "ear"):
        member = {"war": "WEB-INF/web.xml", "ear": "META-INF/application.xml"}[kind]
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
            archive.writestr(member, "<app/>\n")
    elif kind == "apk":
        shutil.copy(apk(keys), path)
    elif kind == "efi":
        content = bytearray(tiny_pe.tiny_pe())
        content[64 + 24 + 68] = 10  # the subsystem: an EFI application
        path.write_bytes(content)
    elif kind == "module":
        (place / "m.c").write_text(
            'char info[] __attribute__((section(".modinfo"))) = "license=GPL";\n')
        subprocess.run(["cc", "-c", "-o", path, "m.c"], cwd=place, check=True)
    else:
        path.write_bytes(windows_samples.make(kind, place / "made", PUBLISHER))
    return path


def signed_digests(report):
    return [event["digest"] for file in report["files"] for event in file["signatures"]]


# --- each kind ---

def verify_authenticode(keys, path):
    return keys.run("osslsigncode", "verify", "-CAfile", keys.home / "ca.pem", "-in", path,
                    check=False)


KINDS = {  # kind: the tool, and what must be installed
    "jar": ("jarsigner", ["jarsigner"]),
    "war": ("jarsigner", ["jarsigner"]),
    "ear": ("jarsigner", ["jarsigner"]),
    "apk": ("apksigner", ["apksigner"]),
    "exe": ("osslsigncode", ["osslsigncode"]),
    "msi": ("osslsigncode", ["osslsigncode", "wixl"]),
    "cab": ("osslsigncode", ["osslsigncode", "gcab"]),
    "cat": ("osslsigncode", ["osslsigncode"]),
    "efi": ("sbsign", ["sbsign"]),
    "ps1": ("jsign", ["java"]),
    "nupkg": ("jsign", ["java"]),
    "msix": ("jsign", ["java"]),
}
BREAK_AT = {"exe": b"\x31\xc0\xc3", "msi": b"MSCF", "cab": b"app.txt",
            "cat": windows_samples.CATALOG[0]}
NAMES = {"exe": "pe", "ps1": "powershell", "nupkg": "nuget"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(keys, place, jsign, kind):
    tool, programs = KINDS[kind]
    need(*programs)
    path = sample(keys, place, kind, f"app.{kind}")
    before = path.read_bytes()
    os.chmod(path, 0o640)
    done = sign(keys, place, "--json", path.name, path=jsign)
    report = json.loads(done.stdout)["files"][0]
    assert report["state"] == "signed" and report["tool"] == tool
    assert report["kind"] == NAMES.get(kind, kind)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not leftovers(place)
    # The log has the digest, the program that asked, and the file that it is about.
    rows = keys.log(digest=report["signatures"][-1]["digest"])
    intent = [row for row in rows if row["kind"] == "sign.intent"][-1]
    assert pathlib.Path(intent["application"]["value"]).name in (tool, "java", "jarsigner")
    about = keys.log(digest=hashlib.sha256(before).hexdigest())
    assert intent["index"] in [row["index"] for row in about]
    assert path.name.encode() in base64.b64decode(intent["detail"])
    # And by the tool's own verifier, or by what holds what it made.
    if tool == "jarsigner":
        shutil.copy(path, keys.home / path.name)
        verify_jar(keys, pathlib.Path("/usr"), keys.home / path.name)
    elif tool == "apksigner":
        keys.run("apksigner", "verify", path)
        path.write_bytes(broken(path, b"not really"))
        assert keys.run("apksigner", "verify", path, check=False).returncode != 0
    elif tool == "osslsigncode":
        assert verify_authenticode(keys, path).returncode == 0
        path.write_bytes(broken(path, BREAK_AT[kind]))
        assert verify_authenticode(keys, path).returncode != 0
    elif tool == "sbsign":
        keys.run("sbverify", "--cert", keys.certificate("r3"), path)
        path.write_bytes(broken(path, b"\x31\xc0\xc3"))
        done = keys.run("sbverify", "--cert", keys.certificate("r3"), path, check=False)
        assert done.returncode != 0
    # Recognised as signed from now on.
    assert "signed already" in sign(keys, place, path.name, code=3, path=jsign).stderr


SPEC = """\
Name: app
Version: 1
Release: 1
Summary: what is delivered
License: MIT
BuildArch: noarch
%description
What is delivered.
%files
"""


def test_rpm(keys, place, pgp):
    need("rpmbuild", "rpmsign", "rpmkeys")
    (place / "app.spec").write_text(SPEC)
    keys.run("rpmbuild", "-bb", "--define", f"_topdir {place}/made", place / "app.spec")
    path = shutil.move(next((place / "made/RPMS").rglob("*.rpm")), place / "app.rpm")
    given = {"GNUPGHOME": str(pgp.home), "path": CHANCERY_GPG.parent}
    report = json.loads(sign(keys, place, "--json", path, **given).stdout)["files"][0]
    assert (report["kind"], report["tool"], report["state"]) == ("rpm", "rpmsign", "signed")
    pgp.run("--armor", "--yes", "--output", "r3.asc", "--export", "r3")
    database = ["rpmkeys", "--dbpath", place / "db"]
    keys.run(*database, "--import", keys.home / "r3.asc")
    assert "signatures OK" in keys.run(*database, "--checksig", path).stdout
    bad = place / "bad.rpm"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    bad.write_bytes(content)
    assert keys.run(*database, "--checksig", bad, check=False).returncode != 0
    assert "signed already" in sign(keys, place, path, code=3, **given).stderr
    sign(keys, place, "--force", path, **given)


def test_deb(keys, place, pgp):
    need("dpkg-deb", "debsigs", "ar")
    (place / "app/DEBIAN").mkdir(parents=True)
    (place / "app/DEBIAN/control").write_text(
        "Package: app\nVersion: 1\nArchitecture: all\nMaintainer: X <x@example.org>\n"
        "Description: what is delivered\n")
    keys.run("dpkg-deb", "--root-owner-group", "--build", place / "app", place / "app.deb")
    given = {"GNUPGHOME": str(pgp.home), "path": CHANCERY_GPG.parent}
    report = json.loads(sign(keys, place, "--json", "app.deb", **given).stdout)["files"][0]
    assert (report["kind"], report["tool"], report["state"]) == ("deb", "debsigs", "signed")
    members = subprocess.run(["ar", "t", "app.deb"], cwd=place, check=True, capture_output=True,
                             text=True).stdout.split()
    assert members[-1] == "_gpgorigin"
    subprocess.run(["ar", "x", "app.deb"], cwd=place, check=True)
    content = b"".join((place / name).read_bytes() for name in members[:-1])
    (place / "content").write_bytes(content)
    pgp.verify(place / "_gpgorigin", place / "content")
    (place / "content").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    pgp.verify(place / "_gpgorigin", place / "content", good=False)
    assert "signed already" in sign(keys, place, "app.deb", code=3, **given).stderr


def test_time_stamps(keys, place, tsa):
    need("jarsigner", "osslsigncode")
    files = [sample(keys, place, "jar", "a.jar"), sample(keys, place, "exe", "a.exe")]
    done = sign(keys, place, *files, CHANCERY_TIMESTAMP_URL=tsa.url)
    assert "NO TIME STAMPS" not in done.stderr
    done = keys.run("osslsigncode", "verify", "-CAfile", keys.home / "ca.pem", "-TSA-CAfile",
                    tsa.ca, "-in", files[1])
    assert "Timestamp time" in done.stdout or "timestamped" in done.stdout.lower()
    with zipfile.ZipFile(files[0]) as archive:
        block = archive.read("META-INF/R3.RSA")
    assert bytes.fromhex("060b2a864886f70d010910020e") in block  # id-aa-timeStampToken


def test_time_stamps__their_absence_is_said(keys, place):
    path = sample(keys, place, "exe", "a.exe")
    assert "NO TIME STAMPS" in sign(keys, place, path).stderr
    assert "NO TIME STAMPS" not in sign(keys, place, "--no-timestamp", "--force", path).stderr


def test_time_stamps__authority_that_is_not_there(keys, place):
    path = sample(keys, place, "exe", "a.exe")
    before = path.read_bytes()
    done = sign(keys, place, "--timestamp-url", "http://127.0.0.1:9", path, code=3)
    assert "FAILED" in done.stderr
    assert path.read_bytes() == before and not leftovers(place)


# --- signatures of our own ---

def verify_cms(keys, signature, content):
    return subprocess.run(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in",
                           signature, "-content", content, "-CAfile", keys.home / "ca.pem",
                           "-purpose", "any", "-out", "/dev/null"], check=False,
                          capture_output=True, text=True)


@pytest.mark.parametrize("key", ["r3", "p256", "p384", "p521"])
def test_detached(keys, place, key):
    path = place / "notes.txt"
    path.write_text("what is delivered\n")
    report = json.loads(sign(keys, place, "--json", path.name, key=key).stdout)["files"][0]
    assert report["tool"] == "cms" and report["output"] == f"{path}.p7s"
    assert path.read_text() == "what is delivered\n"
    done = verify_cms(keys, f"{path}.p7s", path)
    assert done.returncode == 0, done.stderr
    rows = keys.log(digest=report["signatures"][0]["digest"])
    assert {row["kind"] for row in rows} == {"sign.intent", "sign.outcome"}
    path.write_text("what is deliverED\n")
    assert verify_cms(keys, f"{path}.p7s", path).returncode != 0
    assert "signed already" in sign(keys, place, path.name, key=key, code=3).stderr
    sign(keys, place, "--force", path.name, key=key)
    assert verify_cms(keys, f"{path}.p7s", path).returncode == 0


def test_detached__of_what_has_a_format(keys, place):
    path = sample(keys, place, "exe", "a.exe")
    before = path.read_bytes()
    sign(keys, place, "--detached", path)
    assert path.read_bytes() == before
    assert verify_cms(keys, f"{path}.p7s", path).returncode == 0


def test_detached__key_that_makes_none(keys, place):
    (place / "notes.txt").write_text("text\n")
    done = sign(keys, place, "notes.txt", key="ed", code=2)
    assert "no CMS signature" in done.stderr
    assert not (place / "notes.txt.p7s").exists()


@pytest.mark.parametrize("way", ["option", "environment"])
def test_receipts__of_what_this_program_signs(keys, place, way):
    need("cc")
    names = ["notes.txt", sample(keys, place, "module", "m.ko").name]
    (place / "notes.txt").write_text("what is delivered\n")
    (place / "receipts").mkdir()
    words, env = ((["--receipts", "receipts"], {}) if way == "option"
                  else ([], {"CHANCERY_RECEIPTS": "receipts"}))
    done = sign(keys, place, "--json", *words, *names, **env)
    events = [file["signatures"][0] for file in json.loads(done.stdout)["files"]]
    assert len({event["receipt_file"] for event in events}) == len(names)
    for event in events:
        path = place / event["receipt_file"]
        assert path.name == f"{event['outcome']['index']}.receipt"
        assert f"index {event['outcome']['index']}" in path.read_text().splitlines()
    assert len(list((place / "receipts").iterdir())) == len(names)


@pytest.mark.parametrize("folder", ["nowhere", "notes.txt", "/proc"])
def test_receipts__have_nowhere_to_go(keys, place, folder):
    """That is said before anything is signed."""
    (place / "notes.txt").write_text("what is delivered\n")
    path = sample(keys, place, "exe", "a.exe")
    before, logged = path.read_bytes(), keys.log()
    for words in (["--receipts", folder, "notes.txt", path], ["--raw", "notes.txt"]):
        done = sign(keys, place, *words, code=3, CHANCERY_RECEIPTS=folder)
        assert "no receipt can be kept" in done.stderr and folder in done.stderr
    assert keys.log() == logged and path.read_bytes() == before
    assert not [*place.glob("*.p7s"), *place.glob("*.sig")] and not leftovers(place)


def test_places__where_nothing_can_be_written(keys, place):
    """Said before anything is signed; the others are."""
    (place / "notes.txt").write_text("what is delivered\n")
    path = sample(keys, place, "exe", "a.exe")
    (place / "out/a.exe").mkdir(parents=True)
    logged = keys.log()
    for out in ("out", "/proc/", "out/a.exe/none/a.exe"):
        assert "FAILED" in sign(keys, place, "--out", out, path, code=3).stderr
    for words in (["--out", "/proc/a"], ["--out", "none/a"], ["--out", "out"],
                  ["--receipt", "none/r"]):
        sign(keys, place, "--raw", *words, "notes.txt", code=3)
    assert keys.log() == logged and not leftovers(place)
    done = sign(keys, place, "--out", "out", path, "notes.txt", code=3)
    assert "1 signed, 1 FAILED" in done.stderr
    assert list((place / "out/a.exe").iterdir()) == []


def test_module(keys, place):
    need("cc")
    path = sample(keys, place, "module", "m.ko")
    before = path.read_bytes()
    sign(keys, place, path)
    after = path.read_bytes()
    mark = b"~Module signature appended~\n"
    assert after.startswith(before) and after.endswith(mark)
    info = after[-len(mark) - 12:-len(mark)]
    size = int.from_bytes(info[8:], "big")
    assert info[:8] == bytes([0, 0, 2, 0, 0, 0, 0, 0])
    assert len(after) == len(before) + size + 12 + len(mark)
    (place / "cms").write_bytes(after[len(before):len(before) + size])
    (place / "content").write_bytes(before)
    words = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", place / "cms",
             "-content", place / "content", "-certfile", keys.certificate("r3"), "-CAfile",
             keys.home / "ca.pem", "-purpose", "any", "-out", "/dev/null"]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    (place / "content").write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert subprocess.run(words, check=False, capture_output=True).returncode != 0
    assert "signed already" in sign(keys, place, path, code=3).stderr


# --- what is given ---

def test_places(keys, place):
    names = ["a.txt", "b.txt"]
    for name in names:
        (place / name).write_text(name)
    (place / "out").mkdir()
    sign(keys, place, "--out", "out", *names)
    assert sorted(path.name for path in (place / "out").iterdir()) == ["a.txt.p7s", "b.txt.p7s"]
    sign(keys, place, "--out", "one.p7s", "a.txt")
    assert verify_cms(keys, place / "one.p7s", place / "a.txt").returncode == 0
    path = sample(keys, place, "exe", "a.exe")
    before = path.read_bytes()
    sign(keys, place, "--out", "out/", path)
    assert path.read_bytes() == before
    assert verify_authenticode(keys, place / "out/a.exe").returncode == 0


def test_places__that_get_in_each_others_way(keys, place):
    for folder in ("x", "y"):
        (place / folder).mkdir()
        (place / folder / "a.txt").write_text(folder)
    (place / "out").mkdir()
    done = sign(keys, place, "--out", "out", "x/a.txt", "y/a.txt", code=2)
    assert "would both become" in done.stderr
    assert "would both become" in sign(keys, place, "x/a.txt", "./x/a.txt", code=2).stderr
    assert not list((place / "out").iterdir())
    assert "No such file" in sign(keys, place, "--out", "none/", "x/a.txt", code=3).stderr


def test_link_is_followed(keys, place):
    path = sample(keys, place, "exe", "a.exe")
    (place / "link.exe").symlink_to("a.exe")
    sign(keys, place, "link.exe")
    assert (place / "link.exe").is_symlink()
    assert verify_authenticode(keys, path).returncode == 0


def test_hard_links_are_broken(keys, place):
    """The signed file is a new one: its other names keep what was there. --force signs again."""
    path = sample(keys, place, "exe", "a.exe")
    before = path.read_bytes()
    os.link(path, place / "b.exe")
    sign(keys, place, "a.exe")
    assert (place / "b.exe").read_bytes() == before
    assert path.stat().st_nlink == (place / "b.exe").stat().st_nlink == 1
    assert verify_authenticode(keys, path).returncode == 0
    os.link(path, place / "c.exe")
    signed = path.read_bytes()
    assert "it is signed already; with --force" in sign(keys, place, "a.exe", code=3).stderr
    assert path.stat().st_nlink == 2
    sign(keys, place, "--force", "a.exe")
    assert (place / "c.exe").read_bytes() == signed and path.stat().st_nlink == 1
    assert verify_authenticode(keys, path).returncode == 0 and not leftovers(place)


def test_file_that_may_only_be_read(keys, place):
    """It is replaced all the same, as by mv, and may only be read then too. Where nothing may be
    put beside it nothing is signed: tests/unit/cli/test_sign_inputs.c."""
    path = sample(keys, place, "exe", "a.exe")
    path.chmod(0o444)
    sign(keys, place, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert verify_authenticode(keys, path).returncode == 0 and not leftovers(place)


def test_some_cannot_be_signed(keys, place):
    """The others are."""
    (place / "good.txt").write_text("good\n")
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    (place / "cut.jar").write_bytes(jar(keys).read_bytes()[:40])
    done = sign(keys, place, "--json", "none", "folder", "pipe", "cut.jar", "good.txt", code=3)
    report = json.loads(done.stdout)
    told = {file["file"]: file.get("detail", "") for file in report["files"]}
    assert "No such file" in told["none"]
    assert "folder" in told["folder"]
    assert "regular" in told["pipe"] or "file" in told["pipe"]
    assert "directory is not there" in told["cut.jar"]
    assert report["n_signed"] == 1 and report["n_failed"] == 4
    assert verify_cms(keys, place / "good.txt.p7s", place / "good.txt").returncode == 0
    assert sorted(path.name for path in place.iterdir()) == [
        "cut.jar", "folder", "good.txt", "good.txt.p7s", "pipe", "run"]


def test_file_that_may_not_be_read(keys, place):
    """Root reads every file, so for root that one is signed."""
    (place / "secret").write_text("x")
    (place / "secret").chmod(0)
    words = ["good.txt", "secret"]
    (place / "good.txt").write_text("good\n")
    done = sign(keys, place, *words, code=0 if os.geteuid() == 0 else 3)
    assert ("FAILED secret" in done.stderr) == (os.geteuid() != 0)


@pytest.mark.parametrize("head", [
    b"MZ", b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"MSCF\0\0\0\0", b"\xed\xab\xee\xdb",
    b"!<arch>\ndebian-binary", b"\x7fELF", b"\xd0\x0d\xfe\xed", b"\x30\x84\xff\xff\xff\xff"])
def test_hostile_headers(keys, place, head):
    """Ends of every length, of ones and of zeros: nothing crashes, nothing is put in the place."""
    names = []
    for fill in (b"\0", b"\xff"):
        for n in (0, 30, 500, 70000):
            name = f"{fill.hex()}-{n}"
            (place / name).write_bytes(head + fill * n)
            names.append(name)
    before = {name: (place / name).read_bytes() for name in names}
    done = subprocess.run([str(CHANCERY), "sign", "--key", "r3", "--dry-run", "--json", *names],
                          cwd=place, env=env_in(keys, place),
                          capture_output=True, text=True, timeout=SOON, check=False)
    assert done.returncode in (0, 3), done.stderr
    planned = json.loads(done.stdout)["files"]
    assert [file["file"] for file in planned] == names
    assert {name: (place / name).read_bytes() for name in names} == before


def test_wrong_use(keys, place):
    (place / "a.txt").write_text("a\n")
    for words in (["--jobs", "0"], ["--jobs", "33"], ["--jobs", "x"], ["--hash", "sha256"],
                  ["--detached", "--tool", "jsign"], ["--raw", "--force"], ["--type", "nothing"]):
        sign(keys, place, *words, "a.txt", code=2)
    sign(keys, place, code=2)
    assert "not known to sign" in sign(keys, place, "--tool", "jarsigner", "a.txt", code=3).stderr
    assert not (place / "a.txt.p7s").exists()


# --- what is run ---

def fake_tool(place, name, script):
    folder = place / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    return folder


def without_names(words):
    """What is random in a command line."""
    return [re.sub(r"chancery-(exec-)?[0-9a-f]{16}", "chancery-X", word) for word in words]


def test_dry_run_is_what_is_run(keys, place):
    path = sample(keys, place, "jar", "a b'.jar")
    real = shutil.which("jarsigner")
    folder = fake_tool(place, "jarsigner",
                       f'printf "%s\\0" jarsigner "$@" >{place}/seen; exec {real} "$@"')
    words = ["--timestamp-url", "http://127.0.0.1:9/tsa"]
    planned = json.loads(sign(keys, place, *words, "--dry-run", "--json", path.name,
                              path=folder).stdout)["files"][0]
    printed = sign(keys, place, *words, "--dry-run", path.name, path=folder).stdout
    assert not (place / "seen").exists() and not leftovers(place)
    sign(keys, place, *words, path.name, path=folder, code=3)
    seen = (place / "seen").read_text().split("\0")[:-1]
    assert without_names(planned["argv"]) == without_names(seen)
    shell = subprocess.run(["bash", "-c", f"printf '%s\\0' {printed.splitlines()[1]}"],
                           capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert without_names(shell) == without_names(seen)


def test_tool_that_fails(keys, place):
    path = sample(keys, place, "jar", "a.jar")
    before = path.read_bytes()
    folder = fake_tool(place, "jarsigner", "echo half >\"$4\"; echo it broke >&2; exit 7")
    done = sign(keys, place, path, code=3, path=folder)
    assert "jarsigner ended with 7" in done.stderr and "it broke" in done.stderr
    assert path.read_bytes() == before and not leftovers(place)


def test_tool_that_signs_elsewhere(keys, place):
    """It ends well and asked for nothing: what it made is not taken."""
    path = sample(keys, place, "jar", "a.jar")
    before = path.read_bytes()
    folder = fake_tool(place, "jarsigner", "exit 0")
    assert "asked for no signature" in sign(keys, place, path, code=3, path=folder).stderr
    assert path.read_bytes() == before and not leftovers(place)


def test_file_that_changes_meanwhile(keys, place):
    path = sample(keys, place, "jar", "a.jar")
    real = shutil.which("jarsigner")
    folder = fake_tool(place, "jarsigner", f'{real} "$@" || exit; echo more >>{path}')
    assert "was changed while it was signed" in sign(keys, place, path, code=3, path=folder).stderr
    assert path.read_bytes().endswith(b"more\n") and not leftovers(place)


def hanging(keys, place, count=1):
    """chancery sign with tools that wait for their end; answers the process when they run."""
    paths = [sample(keys, place, "jar", f"{i}.jar") for i in range(count)]
    fifo = place / "fifo"
    os.mkfifo(fifo)
    folder = fake_tool(place, "jarsigner", f'echo $$ >{fifo}; exec sleep 1000')
    env = env_in(keys, place)
    env["PATH"] = f"{folder}:{env['PATH']}"
    process = subprocess.Popen([str(CHANCERY), "sign", "--key", "r3", "--jobs", "1",
                                *map(str, paths)], cwd=place, env=env, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, text=True, start_new_session=True)
    with open(fifo, encoding="ascii") as end:
        pid = int(end.readline())
    return process, pid, paths


def test_tool_killed_half_way(keys, place):
    process, pid, paths = hanging(keys, place)
    before = paths[0].read_bytes()
    os.kill(pid, signal.SIGKILL)
    said = process.communicate(timeout=SOON)[1]
    assert process.returncode == 3 and "jarsigner ended with 137" in said
    assert paths[0].read_bytes() == before and not leftovers(place)


def test_ended_half_way(keys, place):
    process, _, paths = hanging(keys, place, 3)
    before = [path.read_bytes() for path in paths]
    process.terminate()
    said = process.communicate(timeout=SOON)[1]
    assert process.returncode == 3
    assert "jarsigner ended with 143" in said and said.count("it was not begun") == 2
    assert [path.read_bytes() for path in paths] == before and not leftovers(place)


def test_killed_half_way(keys, place):
    """Nothing tidies up then, but the file is whole; the next run removes what lies about, once
    nobody works in it."""
    process, pid, paths = hanging(keys, place)
    before = paths[0].read_bytes()
    process.kill()
    process.communicate(timeout=SOON)
    left, = [path for path in place.iterdir() if path.name.startswith(".chancery-")]
    os.utime(left, (1, 1))
    sign(keys, place, "--no-timestamp", sample(keys, place, "jar", "other.jar"))
    assert left.exists()  # the tool still works in it
    tool = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([tool], [], [], SOON)[0]
    os.close(tool)
    left.touch()
    assert paths[0].read_bytes() == before
    left, = [path for path in place.iterdir() if path.name.startswith(".chancery-")]
    sign(keys, place, "--no-timestamp", paths[0])
    assert left.exists()  # not yet: it is new
    os.utime(left, (1, 1))
    sign(keys, place, "--no-timestamp", "--force", paths[0])
    assert not left.exists()


def test_others_that_run_are_left_alone(keys, place):
    process, pid, _ = hanging(keys, place)
    used, = [path for path in place.iterdir() if path.name.startswith(".chancery-")]
    os.utime(used, (1, 1))
    sign(keys, place, "--no-timestamp", sample(keys, place, "jar", "other.jar"))
    assert used.exists()
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=SOON)
    assert not used.exists()


def test_refused_by_policy(keys, place):
    files = [sample(keys, place, "jar", "a.jar"), place / "a.txt"]
    files[1].write_text("a\n")
    before = files[0].read_bytes()
    keys.admin.policy(FROZEN)
    try:
        done = sign(keys, place, *files, code=1)
        assert "REFUSED" in done.stderr and "by rule no-archives" in done.stderr
        assert "1 signed, 1 REFUSED" in done.stderr
    finally:
        keys.admin.policy(POLICY)
    assert files[0].read_bytes() == before and not leftovers(place)
    assert verify_cms(keys, f"{files[1]}.p7s", files[1]).returncode == 0


def test_unknown_key(keys, place):
    path = sample(keys, place, "jar", "a.jar")
    before = path.read_bytes()
    done = sign(keys, place, path, key="none-such", code=1)
    assert 'there is no key "none-such" that you may see' in done.stderr
    assert "NO TIME STAMP" not in done.stderr
    assert path.read_bytes() == before


def test_two_hundred_at_once(keys, place):
    names = [f"{i}.exe" for i in range(40)] + [f"{i}.txt" for i in range(160)]
    for name in names:
        program = tiny_pe.tiny_pe()[:-8] + name.encode().ljust(8, b"\0")
        (place / name).write_bytes(program if name.endswith("exe") else name.encode())
    done = sign(keys, place, "--json", "--no-timestamp", *names)
    report = json.loads(done.stdout)
    assert report["n_signed"] == 200
    digests = signed_digests(report)
    assert len(digests) == len(set(digests)) == 200  # each to its own file
    assert not leftovers(place)
    for name in ("0.exe", "39.exe"):
        assert verify_authenticode(keys, place / name).returncode == 0
    for name in ("0.txt", "159.txt"):
        assert verify_cms(keys, place / f"{name}.p7s", place / name).returncode == 0
    assert keys.log(digest=digests[0])
    # One request for all that this program signs itself.
    first, *_, last = (file["signatures"][0]["intent"]["index"] for file in report["files"]
                       if file["tool"] == "cms")
    requests = [re.search(r"^request_id: +(\w+)$", keys.admin.run("log", "show", at).stdout, re.M)
                for at in (first, last)]
    assert first != last and requests[0].group(1) == requests[1].group(1)


def test_tools_run_side_by_side(keys, place):
    """None ends before all of them have begun."""
    paths = [sample(keys, place, "jar", f"{i}.jar") for i in range(3)]
    for name in ("begun", "go"):
        os.mkfifo(place / name)
    begun, go = (os.open(place / name, os.O_RDWR) for name in ("begun", "go"))
    real = shutil.which("jarsigner")
    folder = fake_tool(place, "jarsigner",
                       f'echo >{place}/begun; read -r _ <{place}/go; exec {real} "$@"')
    env = env_in(keys, place)
    env["PATH"] = f"{folder}:{env['PATH']}"
    process = subprocess.Popen([str(CHANCERY), "sign", "--key", "r3", "--jobs", "3",
                                "--no-timestamp", *map(str, paths)], cwd=place, env=env,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    said = b""
    while said.count(b"\n") < 3:
        assert select.select([begun], [], [], SOON)[0], said
        said += os.read(begun, 3)
    os.write(go, b"\n\n\n")
    assert "3 signed" in process.communicate(timeout=SOON)[1]
    assert process.returncode == 0
    os.close(begun)
    os.close(go)


def test_bar_on_a_terminal_only(keys, place):
    for i in range(3):
        (place / f"{i}.txt").write_text(str(i))
    assert "[" not in sign(keys, place, "0.txt").stderr
    master, slave = pty.openpty()
    process = subprocess.Popen([str(CHANCERY), "sign", "--key", "r3", "1.txt", "2.txt"], cwd=place,
                               env=env_in(keys, place), stderr=slave,
                               stdin=subprocess.DEVNULL)
    os.close(slave)
    said = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(master)
    assert process.wait(timeout=SOON) == 0
    assert b"2 of 2" in said and b"\r\x1b[K" in said and said.rstrip().endswith(b"2 signed")
