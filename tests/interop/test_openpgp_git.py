# SPDX-License-Identifier: MIT
"""git signs commits and tags with chancery-gpg, and verifies them with the gpg behind it."""

import re
import shutil

import pytest

from openpgp import CHANCERY_GPG, signed_digest
from signer import POLICY, need


class Repository:
    def __init__(self, pgp):
        self.pgp = pgp
        self.place = pgp.keys.home / "git"
        self.git("init", "-q", "-b", "main", self.place, at=pgp.keys.home)
        for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.org"),
                            ("gpg.format", "openpgp"), ("gpg.program", CHANCERY_GPG)):
            self.git("config", name, value)

    def git(self, *words, at=None, by_exec=False, **options):
        words = ("git", "-C", at or self.place, *words)
        env = {"GNUPGHOME": str(self.pgp.home)}
        if by_exec:
            return self.pgp.keys.exec(*words, env=env, **options)
        return self.pgp.keys.run(*words, env=env, **options)

    def commit(self, key, text, **options):
        (self.place / "file").write_text(text)
        self.git("add", "file")
        return self.git("commit", "-q", f"-S{key}", "-m", text, **options)


@pytest.fixture(name="repository")
def fixture_repository(pgp):
    need("git")
    made = Repository(pgp)
    yield made
    shutil.rmtree(made.place)


def split(signed):
    """What git signed of an object, and the signature's packets."""
    found = re.search(r"-----BEGIN PGP SIGNATURE-----.*?-----END PGP SIGNATURE-----\n", signed,
                      re.DOTALL)
    return signed.replace(found[0], ""), found[0]


def packets(pgp, armored):
    pgp.keys.file("git.asc", "\n".join(line.strip() for line in armored.splitlines()) + "\n")
    pgp.real("--yes", "-o", "git.sig", "--dearmor", "git.asc")
    return (pgp.keys.home / "git.sig").read_bytes()


@pytest.mark.parametrize("key", ["r3", "p256", "ed"])
def test_commit(pgp, repository, key):
    done = repository.commit(key, "one", by_exec=True)
    assert f"chancery: signed: key {key}, " in done.stderr
    done = repository.git("verify-commit", "--raw", "HEAD")
    assert f"[GNUPG:] VALIDSIG {pgp.fingerprints[key]}" in done.stderr
    shown = repository.git("log", "-1", "--format=%GK %GS").stdout.strip()
    assert shown == f"{pgp.fingerprints[key][-16:]} Test {key} <{key}@example.org>"
    raw = repository.git("cat-file", "commit", "HEAD").stdout
    data = re.sub(r"gpgsig .*?END PGP SIGNATURE-----\n(?: \n)?", "", raw, flags=re.DOTALL)
    armored = re.search(r"gpgsig (-----BEGIN.*?END PGP SIGNATURE-----)", raw, re.DOTALL)[1]
    found = pgp.logged(key, signed_digest(packets(pgp, armored), data.encode()))
    detail = pgp.detail(found[0])
    assert "artifact_type:       git-commit" in detail and "/git" in detail
    # One byte changed: another object, with the same signature.
    broken = pgp.keys.file("broken", raw.replace("\n\none\n", "\n\nonf\n"))
    other = repository.git("hash-object", "-t", "commit", "-w", broken).stdout.strip()
    done = repository.git("verify-commit", other, check=False)
    assert done.returncode != 0 and "BAD signature" in done.stderr


def test_tag(pgp, repository):
    repository.commit("r3", "one")
    repository.git("config", "user.signingKey", pgp.fingerprints["r3"])
    repository.git("tag", "-s", "-m", "first", "v1")
    assert "Good signature" in repository.git("verify-tag", "v1").stderr
    data, armored = split(repository.git("cat-file", "tag", "v1").stdout)
    found = pgp.logged("r3", signed_digest(packets(pgp, armored), data.encode()))
    assert "artifact_type:       git-tag" in pgp.detail(found[0])


def test_policy_refuses(pgp, repository):
    pgp.keys.admin.policy(POLICY + "  - name: no-commits-today\n    effect: deny\n"
                                   "    match: {key: r3}\n")
    try:
        done = repository.commit("r3", "refused", check=False, by_exec=True)
    finally:
        pgp.keys.admin.policy(POLICY)
    assert done.returncode == 128 and "gpg failed to sign the data" in done.stderr
    # Git 2.39 keeps to itself what gpg says; exec tells it.
    assert "no-commits-today" in done.stderr
    assert repository.git("rev-parse", "-q", "--verify", "HEAD", check=False).returncode != 0
