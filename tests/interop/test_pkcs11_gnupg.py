# SPDX-License-Identifier: MIT
"""GnuPG's agent signs with the module's keys; gnupg-pkcs11-scd stands for its card daemon."""

import pathlib
import re

import pytest

from signer import MODULE, need


@pytest.fixture(name="gnupg", scope="module")
def fixture_gnupg(keys):
    """Runs a program of GnuPG with a home whose agent has learnt the card."""
    need("gpg", "gpgsm", "gnupg-pkcs11-scd", "gpg-connect-agent")
    home = keys.folder / "gnupg"
    home.mkdir(mode=0o700)
    (home / "gpg-agent.conf").write_text("scdaemon-program /usr/bin/gnupg-pkcs11-scd\n")
    (home / "gnupg-pkcs11-scd.conf").write_text(
        f"providers chancery\nprovider-chancery-library {MODULE}\n")
    (home / "gpgsm.conf").write_text("disable-crl-checks\n")
    shown = keys.run("openssl", "x509", "-in", "ca.pem", "-noout", "-fingerprint").stdout
    (home / "trustlist.txt").write_text(shown.split("=")[1].strip() + " S relax\n")

    def run(*words, **options):
        return keys.run(*words, env={"GNUPGHOME": str(home), "CHANCERY_KEYS": "r3,r4"}, **options)

    run("gpgsm", "--batch", "--import", "ca.pem")
    run("gpgsm", "--learn-card")
    yield run
    run("gpgconf", "--kill", "all")


def keygrip(gnupg, name):
    text = gnupg("gpgsm", "--list-secret-keys", "--with-keygrip", "--with-colons",
                 f"CN=Test {name}").stdout
    return re.search("^grp:+([0-9A-F]{40})", text, re.M).group(1)


@pytest.mark.parametrize("key", ["r3", "r4"])
def test_gpgsm(keys, gnupg, key):
    keys.file("gnupg.in", "what GnuPG signs\n")
    gnupg("gpgsm", "--batch", "--yes", "--sign", "-u", f"CN=Test {key}", "-o", "gnupg.p7",
          "gnupg.in")
    done = gnupg("gpgsm", "--batch", "--verify", "gnupg.p7")
    assert f"Good signature from \"/CN=Test {key}" in done.stderr
    last = keys.log(key=key)[-1]
    assert last["kind"] == "sign.outcome"


def test_gpg(keys, gnupg):
    data = keys.file("gnupg.in", "what GnuPG signs\n")
    keys.file("gnupg.key", f"Key-Type: RSA\nKey-Grip: {keygrip(gnupg, 'r3')}\nKey-Usage: sign\n"
                           "Name-Email: r3@example.org\nExpire-Date: 0\n%commit\n")
    gnupg("gpg", "--batch", "--gen-key", "gnupg.key")
    gnupg("gpg", "--batch", "--yes", "--detach-sign", "-u", "r3@example.org", data)
    done = gnupg("gpg", "--verify", f"{data}.sig", data)
    assert "Good signature from \"r3@example.org\"" in done.stderr
    last = keys.log(key="r3")[-1]
    assert pathlib.Path(last["application"]["value"]).name == "gnupg-pkcs11-scd"
    data.write_bytes(b"something else\n")
    assert gnupg("gpg", "--verify", f"{data}.sig", data, check=False).returncode != 0
