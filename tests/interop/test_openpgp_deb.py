# SPDX-License-Identifier: MIT
"""Debian: debsigs signs packages and debsig-verify verifies them; apt reads a repository whose
InRelease or Release.gpg is by chancery-gpg."""

import pathlib
import shutil
import subprocess

import pytest

from openpgp import CHANCERY_GPG, break_byte, signed_digest
from packages import tiny_deb, tiny_source
from signer import CHANCERY, POLICY, need

POLICY_XML = """\
<?xml version="1.0"?>
<!DOCTYPE Policy SYSTEM "https://www.debian.org/debsig/1.0/policy.dtd">
<Policy xmlns="https://www.debian.org/debsig/1.0/">
  <Origin Name="Example" id="{id}" Description="Example"/>
  <Selection><Required Type="origin" File="release.pgp" id="{id}"/></Selection>
  <Verification MinOptional="0">
    <Required Type="origin" File="release.pgp" id="{id}"/>
  </Verification>
</Policy>
"""


@pytest.fixture(name="unsigned", scope="module")
def fixture_unsigned(pgp):
    need("dpkg-deb", "debsigs", "debsig-verify", "ar", "apt-get", "apt-ftparchive")
    return tiny_deb(pgp.keys.home)


@pytest.fixture(name="package")
def fixture_package(pgp, unsigned):
    return shutil.copy(unsigned, pgp.keys.home / "package.deb")


# --- packages ---

@pytest.fixture(name="root", scope="module")
def fixture_root(pgp):
    """debsig-verify's policies and keyrings, for two keys."""
    root = pgp.keys.home / "debsig"
    for key in ("r3", "p256"):
        name = pgp.fingerprints[key][-16:]
        for kind in ("policies", "keyrings"):
            (root / kind / name).mkdir(parents=True)
        (root / "policies" / name / "release.pol").write_text(POLICY_XML.format(id=name))
        shutil.copy(pgp.keys.home / f"{key}.pgp", root / "keyrings" / name / "release.pgp")
    return root


def verify(pgp, root, package, good=True):
    done = pgp.keys.run("debsig-verify", "--policies-dir", root / "policies", "--keyrings-dir",
                        root / "keyrings", package, check=False)
    assert (done.returncode == 0) is good, done.stdout + done.stderr


def member(package, name):
    return subprocess.run(["ar", "p", package, name], check=True, capture_output=True).stdout


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_debsigs(pgp, package, root, key):
    done = pgp.keys.exec("debsigs", "--sign=origin", "-k", key, package)
    assert f"chancery: signed: key {key}, " in done.stderr
    verify(pgp, root, package)
    names = subprocess.run(["ar", "t", package], check=True, capture_output=True,
                           text=True).stdout.split()
    data = b"".join(member(package, name) for name in names[:3])
    found = pgp.logged(key, signed_digest(member(package, "_gpgorigin"), data))
    assert "artifact_type:       deb" in pgp.detail(found[0])
    at = package.read_bytes().index(member(package, names[2])) + 40
    verify(pgp, root, break_byte(package, at), good=False)


def test_a_package_without_signature(pgp, package, root):
    verify(pgp, root, package, good=False)


def test_signed_already(pgp, package, root):
    """debsigs says so by itself, and what is there stays good."""
    for _ in range(2):
        pgp.keys.exec("debsigs", "--sign=origin", "-k", "r3", package, check=False)
    verify(pgp, root, package)


@pytest.mark.parametrize("length", [40, 72, 100, -10])
def test_truncated(pgp, package, root, length):
    """What debsigs signs of it does not verify, and chancery sign has it not signed at all."""
    path = pathlib.Path(package)
    path.write_bytes(path.read_bytes()[:length])
    before = path.read_bytes()
    done = pgp.keys.run(CHANCERY, "sign", "--key", "r3", path, check=False)
    assert (done.returncode, path.read_bytes()) == (3, before), done.stderr
    pgp.keys.exec("debsigs", "--sign=origin", "-k", "r3", package, check=False)
    verify(pgp, root, package, good=False)


@pytest.mark.parametrize("field,text", [(48, b"99999999  "), (48, b"-1        "),
                                        (48, b"          "), (58, b"xx")])
def test_a_member_that_lies(pgp, package, root, field, text):
    """Its size is past the end, less than nothing or not there, or its header's end is."""
    path = pathlib.Path(package)
    content = bytearray(path.read_bytes())
    at = content.index(b"control.tar") + field
    content[at:at + len(text)] = text
    path.write_bytes(content)
    pgp.keys.exec("debsigs", "--sign=origin", "-k", "r3", package, check=False)
    verify(pgp, root, package, good=False)


def test_policy_refuses(pgp, package, root):
    pgp.keys.admin.policy(POLICY + "  - name: no-packages-today\n    effect: deny\n"
                                   "    match: {key: r3}\n")
    try:
        done = pgp.keys.exec("debsigs", "--sign=origin", "-k", "r3", package, check=False)
    finally:
        pgp.keys.admin.policy(POLICY)
    assert done.returncode != 0
    assert "chancery-gpg: key r3: refused by rule no-packages-today" in done.stderr
    verify(pgp, root, package, good=False)


def test_dpkg_buildpackage(pgp):
    """It clear-signs the .dsc, .buildinfo and .changes by itself."""
    need("dpkg-buildpackage", "dpkg-source", "make")
    place = pgp.keys.home / "source"
    source = tiny_source(place)
    done = pgp.keys.exec("sh", "-c", 'cd "$1" && shift && exec dpkg-buildpackage "$@"', "sh",
                         source, "-S", "-d", "-nc", f"--sign-command={CHANCERY_GPG}",
                         "--sign-key=<r3@example.org>", "--force-sign",
                         env={"GNUPGHOME": str(pgp.home)})
    assert done.stderr.count("chancery: signed: key r3, ") == 3
    for name in ("tiny_1.dsc", "tiny_1_source.buildinfo", "tiny_1_source.changes"):
        pgp.verify(place / name)
    text = (place / "tiny_1.dsc").read_bytes()
    pgp.verify(break_byte(place / "tiny_1.dsc", text.index(b"Example")), good=False)


# --- a repository ---

@pytest.fixture(name="repository")
def fixture_repository(pgp, unsigned):
    place = pgp.keys.home / "repository"
    dists = place / "dists/stable"
    (dists / "main/binary-amd64").mkdir(parents=True)
    (place / "pool").mkdir()
    shutil.copy(unsigned, place / "pool")
    packages = subprocess.run(["apt-ftparchive", "packages", "pool"], cwd=place, check=True,
                              capture_output=True).stdout
    (dists / "main/binary-amd64/Packages").write_bytes(packages)
    settings = [w for name, value in (("Suite", "stable"), ("Codename", "stable"),
                                      ("Components", "main"), ("Architectures", "amd64"))
                for w in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    release = subprocess.run(["apt-ftparchive", *settings, "release", "dists/stable"], cwd=place,
                             check=True, capture_output=True).stdout
    (dists / "Release").write_bytes(release)
    yield dists
    shutil.rmtree(place)


class Apt:
    """An apt that knows this repository and nothing else of the machine."""

    def __init__(self, pgp, repository, key):
        self.pgp = pgp
        self.root = pgp.keys.home / "apt"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.root / name).mkdir(parents=True)
        shutil.copy(pgp.keys.home / f"{key}.pgp", self.root / "release.gpg")
        (self.root / "sources.list").write_text(
            f"deb [signed-by={self.root}/release.gpg] file:{repository.parents[1]} stable main\n")

    def run(self, *words, **options):
        settings = {"Dir::State": self.root / "state", "Dir::Cache": self.root / "cache",
                    "Dir::Etc::SourceList": self.root / "sources.list",
                    "Dir::Etc::SourceParts": "/dev/null", "Dir::State::status": "/dev/null",
                    "APT::Sandbox::User": "root", "APT::Architecture": "amd64",
                    "APT::Update::Error-Mode": "any"}
        return self.pgp.keys.run("apt-get",
                                 *(w for k, v in settings.items() for w in ("-o", f"{k}={v}")),
                                 *words, **options)

    def update(self, good=True):
        done = self.run("update", check=False)
        assert (done.returncode == 0) is good, done.stdout + done.stderr
        return done.stderr

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)


@pytest.mark.parametrize("key", ["r3", "p384", "ed"])
def test_in_release(pgp, repository, key):
    release = repository / "Release"
    pgp.run("--batch", "-u", key, "--clearsign", "-o", repository / "InRelease", release)
    with Apt(pgp, repository, key) as apt:
        apt.update()
        apt.run("download", "tiny")
    newest = pgp.keys.admin.json("log", "list", "--newest", "--limit", "1",
                                 "--key", key)["entries"][0]
    assert newest["application"]["value"].endswith("/chancery-gpg")
    release.unlink()
    (repository / "InRelease").write_text(
        (repository / "InRelease").read_text().replace("Suite: stable", "Suite: stablf"))
    with Apt(pgp, repository, key) as apt:
        assert "invalid" in apt.update(good=False)


def test_release_gpg(pgp, repository):
    release = repository / "Release"
    done = pgp.keys.exec(CHANCERY_GPG, "--batch", "-u", "r3", "-abo", repository / "Release.gpg",
                         release)
    assert "chancery: signed: key r3" in done.stderr
    with Apt(pgp, repository, "r3") as apt:
        apt.update()
    pgp.real("--yes", "-o", "release.sig", "--dearmor", repository / "Release.gpg")
    packet = (pgp.keys.home / "release.sig").read_bytes()
    found = pgp.logged("r3", signed_digest(packet, release.read_bytes()))
    assert "artifact_type:       apt-release" in pgp.detail(found[0])
    release.write_text(release.read_text().replace("Codename: stable", "Codename: stablf"))
    with Apt(pgp, repository, "r3") as apt:
        assert "invalid" in apt.update(good=False)


def test_another_key_is_not_enough(pgp, repository):
    pgp.run("--batch", "-u", "r3", "--clearsign", "-o", repository / "InRelease",
            repository / "Release")
    with Apt(pgp, repository, "r4") as apt:
        assert "NO_PUBKEY" in apt.update(good=False)
