# SPDX-License-Identifier: MIT
"""chancery verify with lists of revoked certificates, as openssl ca makes them: what was signed and
stamped before stays good, unless the key was in the wrong hands."""

import json
import time

import pytest

import signed_tree
import tsa as authority
from signer import need
from test_verify import LocalSigner


@pytest.fixture(name="tree", scope="module")
def fixture_tree(keys):
    folder = keys.folder / "revoked"
    folder.mkdir()
    with authority.Authority(folder / "tsa") as tsa:
        yield signed_tree.Tree(keys, tsa, folder / "tree")


@pytest.fixture(name="signer", scope="module")
def fixture_signer(tree):
    """Somebody with a stamped and a bare PE, a stamp of which is older than what comes."""
    need("osslsigncode")
    signer = LocalSigner(tree.folder.parent / "signer", 86400)
    signer.stamped = signer.pe("stamped.exe", "-ts", tree.tsa.url)
    signer.bare = signer.pe("bare.exe")
    signer.made = int(time.time())
    return signer


def crl(signer, name, *revoke):
    """A list; `revoke`: why, in the words of openssl ca. The index is put back."""
    index = signer.folder / "index"
    before = index.read_text()
    while int(time.time()) <= signer.made:  # a second behind the stamp
        pass
    if revoke:
        signer.openssl("ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key",
                       "-revoke", "cert.pem", *revoke)
    signer.openssl("ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl",
                   "-crldays", "1", "-out", name)
    index.write_text(before)
    return signer.folder / name


def verdict(tree, signer, path, *lists):
    trust = tree.trust("revoked.yaml", roots=[signer.folder / "ca.pem"],
                       extra=["crls:", *(f"  - file: {each}" for each in lists)])
    done = tree.verify("--json", path, trust=trust)
    row = json.loads(done.stdout)["files"][0]
    return row["verdict"], row.get("detail", "")


def test_nobody_is_revoked(tree, signer):
    empty = crl(signer, "empty.pem")
    assert verdict(tree, signer, signer.bare, empty)[0] == "verified"
    der = signer.folder / "empty.crl"
    signer.openssl("crl", "-in", empty, "-outform", "DER", "-out", der)
    assert verdict(tree, signer, signer.stamped, der)[0] == "verified"


@pytest.mark.parametrize("reason", ["superseded", "cessationOfOperation", "unspecified"])
def test_revoked_later(tree, signer, reason):
    later = crl(signer, f"{reason}.pem", "-crl_reason", reason)
    assert verdict(tree, signer, signer.stamped, later)[0] == "verified"
    said = verdict(tree, signer, signer.bare, later)
    assert said == ("not-verified", "the signer's certificate, at depth 0, is revoked")


@pytest.mark.parametrize("words", [("-crl_reason", "keyCompromise"),
                                   ("-crl_compromise", "20200101000000Z")])
def test_the_key_was_in_the_wrong_hands(tree, signer, words):
    """The stamp tells when it signed, not who."""
    lost = crl(signer, "lost.pem", *words)
    for path in (signer.stamped, signer.bare):
        said = verdict(tree, signer, path, lost)
        assert said[0] == "not-verified" and "in the wrong hands" in said[1]


def test_another_authority(tree, signer, tmp_path):
    """Its list says nothing of this signer; that is said."""
    other = LocalSigner(tmp_path / "other", 86400)
    (other.folder / "ca.cnf").write_text((signer.folder / "ca.cnf").read_text())
    other.made = 0
    said = verdict(tree, signer, signer.bare, crl(other, "other.pem"))
    assert said[0] == "not-verified" and "signed by somebody else" in said[1]


def test_out_of_date(tree, signer):
    signer.openssl("ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl",
                   "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z",
                   "-out", "old.pem")
    said = verdict(tree, signer, signer.stamped, signer.folder / "old.pem")
    assert said[0] == "not-verified" and said[1].endswith("is out of date")


def test_no_list_in_it(tree, signer):
    """The trust file is wrong, and nothing is verified."""
    trust = tree.trust("wrong.yaml", extra=["crls:", f"  - file: {signer.folder}/ca.pem"])
    done = tree.verify("--json", signer.bare, trust=trust)
    assert done.returncode == 2
    assert "no list of revoked certificates" in done.stderr
