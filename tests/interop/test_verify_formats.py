# SPDX-License-Identifier: MIT
"""chancery verify: what others' verifiers look at in part only, or not in every release: FIT
images, XML, and the packages and scripts of Windows."""

import json
import os
import re

import pytest

import signed_tree
import test_firmware
import test_xml as xml_samples
import windows_samples
from signer import SOURCE, artifact, need, run


@pytest.fixture(name="tree", scope="module")
def fixture_tree(keys, tsa):
    folder = keys.folder / "verify-formats"
    folder.mkdir()
    return signed_tree.Tree(keys, tsa, folder / "tree")


def verdict(tree, path, *extra, env=None):
    """(exit code, verdict, detail)"""
    done = tree.verify("--json", "--offline", path, trust=tree.trust("formats.yaml", extra=extra),
                       env=env)
    row, = json.loads(done.stdout)["files"]
    assert done.returncode == {"verified": 0, "cannot-tell": 3}.get(row["verdict"], 1), row
    return row["verdict"], row.get("detail", "")


def spoilt(path, pattern):
    content = path.read_bytes()
    assert pattern in content
    other = path.with_name(f"spoilt-{path.name}")
    other.write_bytes(content.replace(pattern, bytes([pattern[0] ^ 1]) + pattern[1:], 1))
    return other


# --- U-Boot ---

class Fit:
    """Images, and the trees of keys that were made with them."""

    def __init__(self, tree, folder):
        self.tree = tree
        folder.mkdir()
        (folder / "fit_check_sign").symlink_to(artifact("fit_check_sign"))
        self.env = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def sign(self, what, name, **how):
        _, image, control = test_firmware.fit_signed(self.tree.keys, what, name=name, **how)
        return image, control

    def verdict(self, image, *controls, env=None):
        extra = [f"  - file: {control}" for control in controls]
        return verdict(self.tree, image, *(["fit_keys:", *extra] if controls else []),
                       env=env or self.env)


@pytest.fixture(name="fit", scope="module")
def fixture_fit(tree):
    return Fit(tree, tree.folder / "bin")


CONFIGURATION = test_firmware.CONFIGURATION


def test_fit(fit):
    image, control = fit.sign(CONFIGURATION, "good")
    assert fit.verdict(image, control) == ("verified", "")
    for place in (b"a kernel", test_firmware.signature_of(image, CONFIGURATION)):
        said = fit.verdict(spoilt(image, place), control)
        assert said[0] == "not-verified" and "fit_check_sign does not verify it" in said[1]


def test_fit__no_key_and_no_tool(fit, tmp_path):
    image, control = fit.sign(CONFIGURATION, "alone")
    assert fit.verdict(image) == ("not-verified", "the trust file has no fit_keys")
    assert fit.verdict(image, control, env={"PATH": str(tmp_path)}) == \
        ("cannot-tell", "fit_check_sign is not installed")


def test_fit__another_key(fit):
    """One of the trees is enough."""
    image, control = fit.sign(CONFIGURATION, "ours")
    _, other = fit.sign(CONFIGURATION, "theirs", key="r4", bits=4096)
    assert fit.verdict(image, other)[0] == "not-verified"
    assert fit.verdict(image, other, control) == ("verified", "")


@pytest.mark.parametrize("what,required", [(CONFIGURATION, ()), (test_firmware.IMAGE, ()),
                                           (test_firmware.IMAGE, ("-r",))])
def test_fit__nothing_is_required_of_a_configuration(fit, what, required):
    """Of such trees fit_check_sign finds a changed image good, or one with nothing signed in it."""
    image, control = fit.sign(what, "lax", required=required)
    for path in (image, spoilt(image, b"a kernel")):
        said = fit.verdict(path, control)
        assert said[0] == "cannot-tell" and "must have signed a configuration" in said[1]


def test_fit__a_configuration_more(fit):
    """Not only the default one, which is all that fit_check_sign looks at by itself."""
    image, control = fit.sign(CONFIGURATION, "more", more='d { kernel = "kernel"; };')
    fit.tree.keys.run(artifact("fit_check_sign"), "-f", image, "-k", control)
    assert fit.verdict(image, control)[0] == "not-verified"


def test_fit__an_image_that_is_not_looked_at(fit):
    image, control = fit.sign(CONFIGURATION, "loads", loads='loadables = "kernel";')
    said = fit.verdict(image, control)
    assert said[0] == "cannot-tell" and "there is more" in said[1]
    assert fit.verdict(spoilt(image, b"a kernel"), control)[0] == "not-verified"


# --- XML ---

@pytest.fixture(name="xml", scope="module")
def fixture_xml(tree):
    need("java", "xmlsec1")
    path = tree.folder / "release.xml"
    path.write_text('<release><file name="app.tar"/></release>\n')
    signed = tree.folder / "signed.xml"
    tree.keys.exec("java", SOURCE / "examples/xml/SignXml.java", "r3", path, signed)
    return signed


def test_xml(tree, xml):
    said = verdict(tree, xml)
    assert said[0] == "cannot-tell" and "does not say who" in said[1]
    said = verdict(tree, spoilt(xml, b"app.tar"))
    assert said[0] == "not-verified" and "xmlsec1 does not verify it" in said[1]


PART = (xml_samples.TEMPLATE
        .replace('<release', '<!DOCTYPE release [<!ATTLIST part id ID #REQUIRED>]>\n<release', 1)
        .replace('<file name="app.tar"/>', '<part id="part">app.tar</part>whatever')
        .replace('URI=""', 'URI="#part"')
        .replace("<SignatureValue/>", "<SignatureValue/><KeyInfo><X509Data/></KeyInfo>"))


def test_xml__a_part_of_it_is_signed(tree, tmp_path):
    """Around it may stand what nobody signed: to xmlsec1 alone it is good."""
    need("xmlsec1")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", "key.pem", "-out",
        "root.pem", "-subj", "/CN=Somebody", "-days", "30", cwd=tmp_path)
    (tmp_path / "template.xml").write_text(PART)
    signed = tmp_path / "signed.xml"
    run("xmlsec1", "--sign", "--privkey-pem", "key.pem,root.pem", "--output", signed,
        "template.xml", cwd=tmp_path)
    spoilt_around = spoilt(signed, b"whatever")
    run("xmlsec1", "--verify", "--trusted-pem", "root.pem", spoilt_around, cwd=tmp_path)
    trust = tmp_path / "trust.yaml"
    trust.write_text("version: 1\nroots:\n  - file: root.pem\n")
    for path in (signed, spoilt_around):
        row, = json.loads(tree.verify("--json", "--offline", path, trust=trust).stdout)["files"]
        assert row["verdict"] == "not-verified", row
    signed.write_text(PART.replace("#part", ""))
    run("xmlsec1", "--sign", "--privkey-pem", "key.pem,root.pem", "--output", signed, signed,
        cwd=tmp_path)
    row, = json.loads(tree.verify("--json", "--offline", signed, trust=trust).stdout)["files"]
    assert row["verdict"] == "cannot-tell", row


# --- Windows ---

@pytest.fixture(name="by_jsign", scope="module")
def fixture_by_jsign(tree):
    need("java")

    def make(kind):
        keys = tree.keys
        path = tree.folder / f"app.{kind}"
        path.write_bytes(windows_samples.make(kind, tree.folder / "made",
                                              "OU=development\\, not trusted,CN=Test r3"))
        keys.exec("java", "-jar", artifact("jsign"), "--alias", "r3", path)
        return path

    return make


def knows_packages(tree):
    text = tree.keys.run("osslsigncode", "--version", check=False).stdout
    return tuple(map(int, re.search(r"osslsigncode (\d+)\.(\d+)", text).groups())) >= (2, 8)


CHANGED = {"msix": b"\x31\xc0\xc3", "appx": b"\x31\xc0\xc3", "ps1": b"the script"}


@pytest.mark.parametrize("kind", CHANGED)
def test_packages_and_scripts(tree, by_jsign, kind):
    """Debian's osslsigncode is older than what knows them: that is said, and is no verdict."""
    need("osslsigncode")
    path = by_jsign(kind)
    if knows_packages(tree):
        assert verdict(tree, path) == ("verified", "")
        assert verdict(tree, spoilt(path, CHANGED[kind]))[0] == "not-verified"
    else:
        for each in (path, spoilt(path, CHANGED[kind])):
            assert verdict(tree, each) == \
                ("cannot-tell", "this osslsigncode does not know such files")


def test_nuget(tree, by_jsign):
    assert verdict(tree, by_jsign("nupkg")) == \
        ("cannot-tell", "dotnet nuget verify verifies such files, and is not asked from here")
