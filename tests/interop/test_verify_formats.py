# SPDX-License-Identifier: MIT
"""chancery verify: what others' verifiers look at in part only, or not in every release: FIT
images, XML, and the packages and scripts of Windows."""

import json
import os
import re
import zipfile

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
    """xml(key): a document that Java has signed."""
    need("java", "xmlsec1")
    path = tree.folder / "release.xml"
    path.write_text('<release><file name="app.tar"/>whatever</release>\n')

    def make(key):
        signed = tree.folder / f"signed-{key}.xml"
        if not signed.exists():
            tree.keys.exec("java", SOURCE / "examples/xml/SignXml.java", key, path, signed)
        return signed

    return make


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_xml(tree, xml, key):
    done = tree.verify("--json", xml(key))
    row, = json.loads(done.stdout)["files"]
    assert (done.returncode, row["verdict"], row["is_logged"]) == (0, "verified", True), row
    assert row["verifiers"] == ["chancery", "xmlsec1"]
    assert row["log"]["key"] == key
    assert verdict(tree, spoilt(xml(key), b"app.tar")) == \
        ("not-verified", "the document is not what was signed")
    value = re.search(rb"<SignatureValue>[^<]*?([b-y][^<\s]{8})", xml(key).read_bytes()).group(1)
    assert verdict(tree, spoilt(xml(key), value)) == ("not-verified", "the signature is wrong")


def test_xml__not_believed(tree, xml):
    row, = json.loads(tree.verify("--json", "--offline", xml("r3"), trust=tree.trust(
        "xml.yaml", roots=[tree.tsa.ca])).stdout)["files"]
    assert row["verdict"] == "not-verified" and row["verifiers"] == ["chancery"], row
    assert verdict(tree, xml("r3"), "names:", "  - Nobody") == \
        ("not-verified", "Test r3 is none of the names that the trust file allows")


def test_xml__without_its_tool(tree, xml, tmp_path):
    assert verdict(tree, xml("r3"), env={"PATH": str(tmp_path)}) == \
        ("cannot-tell", "xmlsec1 is not installed")


SIGNATURE = re.compile(r"<Signature.*</Signature>", re.S)


def hidden(text):
    """What was signed, where xmlsec1 finds it; in its place something else."""
    return text.replace("</Signature>", "<Object><release>evil</release></Object></Signature>")


ATTACKS = {  # what is done to a document; what is said
    "in_the_signature": (hidden, "not SignedInfo, SignatureValue and KeyInfo alone"),
    "text_in_the_signature": (lambda text: text.replace("</Signature>", "evil</Signature>"),
                              "not SignedInfo, SignatureValue and KeyInfo alone"),
    "in_key_info": (lambda text: text.replace("</KeyInfo>", "<release/></KeyInfo>"),
                    "something unknown stands in KeyInfo"),
    "a_comment": (lambda text: text.replace("what", "what<!-- -->"), "it has a comment"),
    "two": (lambda text: text.replace("</release>", SIGNATURE.search(text)[0] + "</release>"),
            "there are two"),
    "a_type": (lambda text: text.replace("<release>", "<!DOCTYPE release><release>", 1),
               "it has a document type"),
    "another_certificate": (None, "the signature is wrong"),
    "wrapped": (lambda text: re.sub("<release>(.*?)<Sig", r"<release><release><a>\1</a><Sig", text,
                                    count=1, flags=re.S) + "</release>",
                "the document is not what was signed"),
    "pieces": (lambda text: text.replace("whatever", "what<![CDATA[ever]]>"), "a text in pieces"),
    "signature_in_a_text": (lambda text: SIGNATURE.sub("", text).replace(
        "whatever", "what" + SIGNATURE.search(text)[0] + "ever"), "a text in pieces"),
    "another_version": (lambda text: '<?xml version="1.1"?>' + re.sub(r"^<\?.*?\?>", "", text),
                        "XML of another version"),
    "around": (lambda text: SIGNATURE.search(text)[0].replace(
        "</KeyInfo>", "</KeyInfo><Object><release/></Object>"), "it is around what is signed"),
    "deep": (lambda text: text.replace("whatever", "<a>" * 250 + "</a>" * 250), "deeper than"),
    "big": (lambda text: text.replace("whatever", "whatever" + " " * 8388608), "are the most"),
    "no_xml": (lambda text: text.replace("</release>", ""), "it is not well-formed XML"),
    "no_signature": (lambda text: SIGNATURE.sub("<!-- http://www.w3.org/2000/09/xmldsig# -->",
                                                text), "it has a comment"),
    "another_root": (lambda text: text.replace('URI=""', 'URI="#whatever"'),
                     "it is not of the whole document"),
    "another_transform": (lambda text: text.replace(
        "2000/09/xmldsig#enveloped-signature", "TR/1999/REC-xslt-19991116"),
                          "its first transform is not enveloped-signature"),
    "a_weak_hash": (lambda text: text.replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"),
                    "its digest is none of"),
}
TOLD = ["another_certificate", "wrapped", "no_xml"]  # the rest cannot be told


@pytest.mark.parametrize("attack", ATTACKS)
def test_xml__attacked(tree, xml, tmp_path, attack):
    change, said = ATTACKS[attack]
    text = xml("r3").read_text()
    if attack == "another_certificate":
        other = re.search(r"<X509Data>.*</X509Data>", xml("p256").read_text(), re.S)[0]
        text = re.sub(r"<X509Data>.*</X509Data>", other, text, flags=re.S)
    else:
        assert change(text) != text
        text = change(text)
    path = tmp_path / "attacked.xml"
    path.write_text(text)
    result = verdict(tree, path)
    assert result[0] == ("not-verified" if attack in TOLD else "cannot-tell"), result
    assert said in result[1]


@pytest.mark.parametrize("attack", ["in_the_signature", "a_comment", "pieces",
                                    "signature_in_a_text"])
def test_xml__what_its_tool_would_take(tree, xml, tmp_path, attack):
    """Else the tests above would show nothing."""
    path = tmp_path / "attacked.xml"
    path.write_text(ATTACKS[attack][0](xml("r3").read_text()))
    run("xmlsec1", "--verify", "--trusted-pem", tree.keys.home / "ca.pem", path)


def test_xml__xmlsec1_signs(tree, tmp_path):
    """Another writer of XML, with certificates of its own."""
    need("xmlsec1")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", "key.pem", "-out",
        "root.pem", "-subj", "/CN=Somebody", "-addext", "extendedKeyUsage=codeSigning", "-days",
        "30", cwd=tmp_path)
    template = tmp_path / "signed.xml"
    template.write_text(xml_samples.TEMPLATE.replace(
        "<SignatureValue/>", "<SignatureValue/><KeyInfo><X509Data/></KeyInfo>"))
    run("xmlsec1", "--sign", "--privkey-pem", "key.pem,root.pem", "--output", template, template,
        cwd=tmp_path)
    trust = tmp_path / "trust.yaml"
    trust.write_text("version: 1\nroots:\n  - file: root.pem\n")
    row, = json.loads(tree.verify("--json", "--offline", template, trust=trust).stdout)["files"]
    assert row["verdict"] == "verified", row


# --- Windows ---

@pytest.fixture(name="by_jsign", scope="module")
def fixture_by_jsign(tree, tsa):
    """by_jsign(kind): signed by jsign, with a time stamp; made once."""
    need("java")
    made = {}

    def make(kind, content=None, name="app"):
        keys = tree.keys
        path = tree.folder / f"{name}.{kind}"
        if path not in made:
            path.write_bytes(content or windows_samples.make(
                kind, tree.folder / "made", "OU=development\\, not trusted,CN=Test r3"))
            keys.exec("java", "-jar", artifact("jsign"), "--alias", "r3", "--tsaurl", tsa.url,
                      "--tsmode", "RFC3161", path)
            made[path] = path
        return path

    return make


CHANGED = {"msix": b"\x31\xc0\xc3", "appx": b"\x31\xc0\xc3", "ps1": b"the script",
           "nupkg": b"\x31\xc0\xc3"}
NOT_SIGNED = ("not-verified", "the file is not what was signed")


@pytest.mark.parametrize("kind", CHANGED)
def test_packages_and_scripts(tree, by_jsign, kind):
    path = by_jsign(kind)
    done = tree.verify("--json", path)
    row, = json.loads(done.stdout)["files"]
    assert (done.returncode, row["verdict"], row["is_logged"]) == (0, "verified", True), row
    assert row["verifiers"] == ["chancery"] and row["log"]["key"] == "r3"
    assert row["signers"][0]["time_stamp"]
    assert verdict(tree, spoilt(path, CHANGED[kind])) == NOT_SIGNED


@pytest.mark.parametrize("kind", CHANGED)
def test_packages_and_scripts__not_believed(tree, by_jsign, kind):
    """By an authority that is not known; by a name that is not."""
    trust = tree.trust("packages.yaml", roots=[tree.tsa.ca])
    done = tree.verify("--json", "--offline", by_jsign(kind), trust=trust)
    row, = json.loads(done.stdout)["files"]
    assert (row["verdict"], row["signers"][0]["problem"]) == ("not-verified", "forbidden"), row
    assert verdict(tree, by_jsign(kind), "names:", "  - Nobody")[0] == "not-verified"


@pytest.mark.parametrize("kind", ["msix", "ps1"])
def test_packages_and_scripts__a_newer_osslsigncode_agrees(tree, by_jsign, kind):
    """2.8 and later know them."""
    need("osslsigncode")
    text = tree.keys.run("osslsigncode", "--version", check=False).stdout
    if tuple(map(int, re.search(r"osslsigncode (\d+)\.(\d+)", text).groups())) < (2, 8):
        return
    for path, code in ((by_jsign(kind), 0), (spoilt(by_jsign(kind), CHANGED[kind]), 1)):
        done = tree.keys.run("osslsigncode", "verify", "-CAfile", tree.keys.home / "ca.pem",
                             "-TSA-CAfile", tree.tsa.ca, "-in", path, check=False)
        assert (done.returncode != 0) == code, done.stdout


SIGNATURES = {"nupkg": ".signature.p7s", "msix": "AppxSignature.p7x"}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_packages__added_and_removed(tree, by_jsign, kind, tmp_path):
    path = tmp_path / f"app.{kind}"
    path.write_bytes(by_jsign(kind).read_bytes())
    with zipfile.ZipFile(path, "a") as archive:  # behind the signature
        archive.writestr("evil.dll", b"evil")
    assert verdict(tree, path) == \
        ("cannot-tell", f"{SIGNATURES[kind]} is not the last in the archive")
    with zipfile.ZipFile(by_jsign(kind)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    evil = (zipfile.ZipInfo("evil.dll"), b"evil")
    for number, kept in enumerate([members[1:], [evil, *members]]):
        path = tmp_path / f"{number}.{kind}"
        with zipfile.ZipFile(path, "w") as archive:
            for info, content in kept:
                archive.writestr(zipfile.ZipInfo(info.filename), content)
        assert verdict(tree, path) == NOT_SIGNED
    path.write_bytes(by_jsign(kind).read_bytes() + b"behind")
    assert verdict(tree, path)[0] == "not-verified"


def test_packages__two_signatures(tree, by_jsign, tmp_path):
    path = tmp_path / "app.nupkg"
    path.write_bytes(by_jsign("nupkg").read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(".signature.p7s", archive.read(".signature.p7s"))
    assert verdict(tree, path) == ("not-verified", "the archive has two of .signature.p7s")


def test_nuget__signed_by_others(tree):
    """A package of NuGet's own tests: what was signed is the file; who signed it nobody knows."""
    samples = os.environ.get("CHANCERY_SAMPLES")
    if samples is None or not os.path.isdir(samples):
        pytest.skip("samples folder absent")
    done = tree.verify("--json", "--offline",
                       f"{samples}/nuget/TestPackage.AuthorSigned.1.0.0.nupkg")
    row, = json.loads(done.stdout)["files"]
    assert (row["verdict"], row["kind"]) == ("not-verified", "nuget"), row
    assert row["signers"][0]["problem"] == "forbidden", row


SCRIPTS = {  # name, how it is written
    "wide": ("ps1", "\ufeffWrite-Output 'Grüße, 🙂'\r\n".encode("utf-16-le")),
    "marked": ("psm1", "\ufeffWrite-Output 'Grüße, 🙂'\r\n".encode()),
    "bare": ("psd1", "@{ Name = 'Grüße, 🙂' }\r\n".encode()),
    "xml": ("ps1xml", b"<Types>\r\n</Types>\r\n"),
    "empty_line": ("ps1", b"\r\n"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts__how_they_are_written(tree, by_jsign, name):
    kind, content = SCRIPTS[name]
    path = by_jsign(kind, content, name)
    assert verdict(tree, path) == ("verified", "")
    signed = path.read_bytes()
    assert signed.startswith(content)
    other = path.with_name(f"spoilt-{path.name}")
    at = 4 if len(content) > 4 else 0  # behind a mark
    other.write_bytes(signed[:at] + b"x" + signed[at + 1:])
    assert verdict(tree, other)[0] == "not-verified"


def test_scripts__attacked(tree, by_jsign, tmp_path):
    text = by_jsign("ps1").read_bytes().decode()
    path = tmp_path / "app.ps1"
    for attack, said in {
            text + "evil": ("not-verified", "something follows its signature"),
            text + text: ("cannot-tell", "it has two signatures"),
            "evil\r\n" + text: NOT_SIGNED,
            text.replace("\r\n", "\n"): ("not-verified",
                                        "its signature does not begin on a line of its own"),
            text.replace("# SIG # End", "evil\r\n# SIG # End"):
                ("not-verified", "its signature has no end")}.items():
        path.write_bytes(attack.encode())
        assert verdict(tree, path) == said
