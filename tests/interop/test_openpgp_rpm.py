# SPDX-License-Identifier: MIT
"""rpmsign signs with chancery-gpg; rpm verifies against a database of its own."""

import base64
import shutil

import pytest

from openpgp import CHANCERY_GPG, break_byte, signed_digest
from packages import header_of, tiny_rpm
from signer import POLICY, need


@pytest.fixture(name="unsigned", scope="module")
def fixture_unsigned(pgp):
    need("rpm", "rpmbuild", "rpmsign", "rpmkeys")
    return tiny_rpm(pgp.keys.home)


@pytest.fixture(name="package")
def fixture_package(pgp, unsigned):
    return shutil.copy(unsigned, pgp.keys.home / "package.rpm")


@pytest.fixture(name="database", scope="module")
def fixture_database(pgp, unsigned):
    """Knows the keys that rpm can import."""
    assert unsigned.exists()
    for key in ("r3", "ed"):
        pgp.run("--armor", "--yes", "-o", f"{key}.asc", "--export", key)
        pgp.keys.run("rpm", "--dbpath", pgp.keys.home / "rpmdb", "--import", f"{key}.asc")
    return pgp.keys.home / "rpmdb"


def sign(pgp, package, key, *words, check=True, **more):
    return pgp.keys.exec("rpmsign", "--addsign", f"--key-id={key}", *words, package, check=check,
                         **more)


def verify(pgp, database, package, good=True):
    done = pgp.keys.run("rpmkeys", "--dbpath", database, "--checksig", "-v", package, check=False)
    assert (done.returncode == 0) is good, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("key", ["r3", "ed"])
def test_rpmsign(pgp, package, database, key):
    done = sign(pgp, package, key)
    assert f"chancery: signed: key {key}, " in done.stderr
    shown = verify(pgp, database, package)
    assert "Signature, key ID" in shown and "NOKEY" not in shown and shown.count("Signature") == 1
    tag = "RSAHEADER" if key == "r3" else "DSAHEADER"
    packet = base64.b64decode(pgp.keys.run("rpm", "-qp", "--qf", f"%{{{tag}:base64}}",
                                           package).stdout)
    at, header = header_of(package)
    found = pgp.logged(key, signed_digest(packet, header))
    detail = pgp.detail(found[0])
    assert "artifact_type:       rpm" in detail and "application.parent" in detail
    assert shutil.which("rpmsign") in detail  # who started chancery-gpg
    verify(pgp, database, break_byte(package, at + header.index(b"A tiny")), good=False)
    verify(pgp, database, break_byte(package, -1), good=False)


def test_rpmsign__without_exec(pgp, package, database):
    pgp.keys.run("rpmsign", "--addsign", "--define", f"__gpg {CHANCERY_GPG}", "--define",
                 f"_gpg_name {pgp.fingerprints['r3']}", "--define", "_gpg_digest_algo sha512",
                 package)
    assert "RSA/SHA512 Signature" in verify(pgp, database, package)


def test_rpmsign__by_user_id(pgp, package, database):
    sign(pgp, package, "<r3@example.org>")
    verify(pgp, database, package)


def test_signed_already(pgp, package, database):
    """Another signature takes the place of the first; --delsign takes it away."""
    sign(pgp, package, "r3")
    sign(pgp, package, "ed")
    shown = verify(pgp, database, package)
    assert "EdDSA" in shown and "RSA" not in shown
    done = pgp.keys.exec("rpmsign", "--delsign", package)
    assert "chancery: signed" not in done.stderr
    assert "Signature" not in verify(pgp, database, package)


def test_policy_refuses(pgp, package, database):
    before = package.read_bytes()
    pgp.keys.admin.policy(POLICY + "  - name: no-packages-today\n    effect: deny\n"
                                   "    match: {key: r3}\n")
    try:
        done = sign(pgp, package, "r3", check=False)
    finally:
        pgp.keys.admin.policy(POLICY)
    assert done.returncode != 0
    assert "chancery-gpg: key r3: refused by rule no-packages-today" in done.stderr
    assert "gpg exec failed (1)" in done.stderr  # what rpmsign says
    assert package.read_bytes() == before
    assert "Signature" not in verify(pgp, database, package)


@pytest.mark.parametrize("length", [0, 50, 100, 400, -10])
def test_truncated(pgp, package, length):
    """rpmsign refuses what is no package; what lacks the end of its payload it signs, and then it
    does not verify."""
    content = package.read_bytes()
    package.write_bytes(content[:length])
    done = sign(pgp, package, "r3", check=False)
    if length >= 0:
        assert done.returncode != 0 and "chancery: signed" not in done.stderr
    verify(pgp, pgp.keys.home / "rpmdb", package, good=False)


def test_elliptic_curves_are_not_rpm_s(pgp, package):
    """As docs/tools/rpm.md says: of 4.18's own reader, not ours."""
    before = package.read_bytes()
    done = sign(pgp, package, "p256", check=False)
    assert done.returncode != 0 and "Unsupported PGP signature" in done.stderr
    assert package.read_bytes() == before
