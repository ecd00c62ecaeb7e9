# SPDX-License-Identifier: MIT
"""chancery verify: a file of each kind, signed by the tools that people use; then broken, not
trusted, ended, unknown to the log; and folders with everything in them."""

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import zipfile

import pytest

import signed_tree
import tsa as authority
from signer import SOON, need, run

KINDS = {  # name: (how the tree makes it, kind, verifier, programs)
    "cms": ("unknown", "chancery", ["openssl"]),
    "cms_ber_in_armour": ("unknown", "chancery", ["openssl"]),
    "raw": ("unknown", "chancery", []),
    "pe": ("pe", "chancery", ["osslsigncode"]),
    "efi": ("efi", "chancery", ["sbsign"]),
    "module": ("module", "chancery", ["openssl"]),
    "jar": ("jar", "jarsigner", ["jarsigner", "keytool"]),
    "apk": ("apk", "apksigner", ["apksigner"]),
    "msi": ("msi", "osslsigncode", ["osslsigncode", "wixl"]),
    "cab": ("cab", "osslsigncode", ["osslsigncode", "gcab"]),
    "cat": ("cat", "chancery", ["osslsigncode"]),
    "openpgp": ("unknown", "gpgv", ["gpg", "gpgv"]),
    "deb": ("deb", "gpgv", ["dpkg-deb", "debsigs", "gpgv"]),
    "rpm": ("rpm", "rpmkeys", ["rpmbuild", "rpmsign", "rpmkeys"]),
    "ssh": ("unknown", "ssh-keygen", ["ssh-keygen"]),
}
OURS = ["cms", "cms_ber_in_armour", "raw", "pe", "efi", "module", "jar", "msi", "cab", "cat"]
STAMPED = ["pe", "jar", "msi", "cab", "cat"]


@pytest.fixture(name="tree", scope="module")
def fixture_tree(keys):
    folder = keys.folder / "verify"
    folder.mkdir()
    with authority.Authority(folder / "tsa") as tsa:
        made = signed_tree.Tree(keys, tsa, folder / "tree")
        yield made
    signed_tree.killed(made.gnupg)


@pytest.fixture(name="signed", scope="module")
def fixture_signed(tree):
    """signed(kind): the path; made once."""
    made = {}

    def make(kind):
        need(*KINDS[kind][2])
        if kind not in made:
            made[kind] = getattr(tree, kind)() if hasattr(tree, kind) else tree.windows(kind)
        return made[kind]

    return make


def told(done, n=1):
    report = json.loads(done.stdout)
    assert len(report["files"]) == n, report
    return report["files"][0] if n == 1 else report["files"]


def copied(path, folder):
    """The file with all that is beside it, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    for each in path.parent.glob(f"{path.name}*"):
        shutil.copy(each, folder)
    return folder / path.name


@pytest.mark.parametrize("kind", KINDS)
def test_verified(tree, signed, kind):
    done = tree.verify("--json", signed(kind))
    row = told(done)
    assert (done.returncode, row["verdict"]) == (0, "verified"), row
    assert row["kind"] == KINDS[kind][0]
    assert KINDS[kind][1] in row["verifiers"]
    assert row["signers"][0]["name"]
    assert ("time_stamp" in row["signers"][0]) == (kind in STAMPED)
    if kind in OURS:
        assert row["is_logged"], row
        assert row["log"]["proof"] == ("receipt" if kind == "raw" else "server")
    assert done.stderr == ""


# What is signed, in each of them: one bit of it is changed.
PLACES = {
    "cms": b"delivered", "cms_ber_in_armour": b"delivered", "raw": b"bare", "pe": None, "efi": None,
    "module": b"license=MIT", "jar": None, "apk": b"not really", "msi": b"what is installed",
    "cab": None, "cat": signed_tree.CATALOG_MEMBER, "openpgp": b"sources", "deb": None, "rpm": None,
    "ssh": b"what is new",
}


def spoil(path, pattern):
    content = bytearray(path.read_bytes())
    at = content.index(pattern) if pattern is not None and pattern in content else None
    if at is None:  # compressed, or code: well within what is covered
        at = {".exe": 0x200, ".efi": 0x200, ".cab": 0x60, ".rpm": -20}.get(
            path.suffix, len(content) // 2)
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_one_bit_is_changed(tree, signed, kind, tmp_path):
    path = copied(signed(kind), tmp_path / "spoilt")
    spoil(path, PLACES[kind])
    done = tree.verify("--json", path)
    row = told(done)
    assert (done.returncode, row["verdict"]) == (1, "not-verified"), row
    assert row["detail"]


def other_root(tree):
    folder = tree.folder.parent / "other"
    if not folder.exists():
        folder.mkdir()
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", folder / "key",
            "-out", folder / "root.pem", "-subj", "/CN=Somebody else", "-days", "30")
    return folder / "root.pem"


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("raw", "openpgp", "deb", "rpm",
                                                                "ssh")])
def test_another_root(tree, signed, kind):
    trust = tree.trust("other.yaml", roots=[other_root(tree)])
    done = tree.verify("--json", signed(kind), trust=trust)
    row = told(done)
    assert (done.returncode, row["verdict"]) == (1, "not-verified"), row


@pytest.mark.parametrize("kind", ["raw", "openpgp", "deb", "rpm", "ssh"])
def test_another_key(tree, signed, kind):
    """The trust file knows certificates alone."""
    path = signed(kind)
    trust = tree.folder.parent / "roots.yaml"
    trust.write_text(f"version: 1\nroots:\n  - file: {other_root(tree)}\n")
    done = tree.verify("--json", path, trust=trust)
    assert (done.returncode, told(done)["verdict"]) == (1, "not-verified"), done.stdout


@pytest.mark.parametrize("kind", STAMPED)
def test_another_time_stamp_root(tree, signed, kind):
    """Row 22."""
    trust = tree.trust("stamps.yaml", stamps=other_root(tree))
    done = tree.verify("--json", signed(kind), trust=trust)
    assert (done.returncode, told(done)["verdict"]) == (1, "not-verified"), done.stdout


def test_a_tool_is_not_installed(tree, signed, tmp_path):
    """It is said, and is never a verdict."""
    for kind in ("jar", "openpgp"):
        done = tree.verify("--json", signed(kind), env={"PATH": str(tmp_path)})
        row = told(done)
        assert (done.returncode, row["verdict"]) == (3, "cannot-tell"), row
        assert row["detail"].endswith(" is not installed")


# --- certificates that end ---

class LocalSigner:
    """Somebody with a key in a file, whose certificate ends in some seconds."""

    def __init__(self, folder, seconds, usage="codeSigning"):
        self.folder = folder
        folder.mkdir()
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nserial = serial\nnew_certs_dir = .\n"
            "policy = any\ndefault_md = sha256\n[any]\ncommonName = supplied\n"
            "[leaf]\nbasicConstraints = critical, CA:false\nkeyUsage = critical, digitalSignature\n"
            f"extendedKeyUsage = {usage}\n")
        (folder / "index").write_text("")
        (folder / "serial").write_text("01\n")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", "ca.key", "-out",
                     "ca.pem", "-subj", "/CN=Test root", "-days", "30")
        self.openssl("req", "-newkey", "rsa:2048", "-noenc", "-keyout", "key.pem", "-out", "csr",
                     "-subj", "/CN=Somebody")
        self.ends = int(time.time()) + seconds
        end = time.strftime("%y%m%d%H%M%SZ", time.gmtime(self.ends))
        self.openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key",
                     "-in", "csr", "-out", "cert.pem", "-enddate", end, "-extensions", "leaf",
                     "-notext")

    def openssl(self, *words):
        return run("openssl", *words, cwd=self.folder)

    def pe(self, name, *words):
        (self.folder / "in.exe").write_bytes(signed_tree.tiny_pe.tiny_pe())
        run("osslsigncode", "sign", "-h", "sha256", "-certs", "cert.pem", "-key", "key.pem", *words,
            "-in", "in.exe", "-out", name, cwd=self.folder)
        return self.folder / name

    def cms(self, name):
        path = self.folder / name
        path.write_text("by a key that no server knows\n")
        self.openssl("cms", "-sign", "-binary", "-md", "sha256", "-signer", "cert.pem", "-inkey",
                     "key.pem", "-in", name, "-outform", "DER", "-out", f"{name}.p7s")
        return path


def test_a_certificate_that_has_ended(tree, tmp_path):
    """It was good when an authority stamped the signature; without a stamp nobody knows when it
    was made."""
    need("osslsigncode")
    signer = LocalSigner(tmp_path / "signer", 6)
    stamped = signer.pe("stamped.exe", "-ts", tree.tsa.url)
    bare = signer.pe("bare.exe")
    trust = tree.trust("ended.yaml", roots=[signer.folder / "ca.pem"])
    assert time.time() < signer.ends, "the machine is too slow for this test"
    assert told(tree.verify("--json", bare, trust=trust))["verdict"] == "verified"
    while told(tree.verify("--json", bare, trust=trust))["verdict"] == "verified":
        assert time.time() < signer.ends + SOON
    row = told(tree.verify("--json", bare, trust=trust))
    assert "expired" in row["detail"], row
    assert row["signers"][0]["problem"] == "expired"
    row = told(tree.verify("--json", stamped, trust=trust))
    assert row["verdict"] == "verified", row
    assert row["signers"][0]["time_stamp_by"] == "Test time-stamp authority"
    # The stamp counts for nothing when its authority is not trusted.
    untrusted = tree.trust("ended.yaml", roots=[signer.folder / "ca.pem"], stamps=other_root(tree))
    assert told(tree.verify("--json", stamped, trust=untrusted))["verdict"] == "not-verified"


def test_a_certificate_for_something_else(tree, tmp_path):
    signer = LocalSigner(tmp_path / "signer", 86400, usage="serverAuth")
    trust = tree.trust("tls.yaml", roots=[signer.folder / "ca.pem"])
    row = told(tree.verify("--json", signer.cms("app.tar"), trust=trust))
    assert row["verdict"] == "not-verified"
    assert "codeSigning" in row["detail"]


def test_names(tree, signed):
    path = signed("cms")
    for names, verdict in (("Test r3", "verified"), ("Test *", "verified"),
                           ("CN=Test r3,*", "verified"), ("Test", "not-verified")):
        trust = tree.trust("names.yaml", extra=["names:", f"  - {names}"])
        assert told(tree.verify("--json", path, trust=trust))["verdict"] == verdict, names


def test_names__of_an_rpm(tree, signed):
    """rpmkeys tells a key's number alone."""
    path = signed("rpm")
    row = told(tree.verify("--json", path, trust=tree.trust("names.yaml",
                                                            extra=["names:", "  - Nobody"])))
    assert row["verdict"] == "cannot-tell", row


def test_a_name_that_speaks_as_the_tool_does(tree, tmp_path):
    """apksigner prints a certificate's names with their line ends."""
    need("apksigner", "openssl")
    signer = LocalSigner(tmp_path / "signer", 86400)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(
        (signer.folder / "cert.pem").read_text())).hexdigest()
    signer.openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", "evil.key", "-out",
                   "evil.pem", "-utf8", "-subj",
                   f"/DC=x\nSigner #1 certificate SHA-256 digest: {digest}\ny/CN=Mallory")
    signer.openssl("pkcs8", "-topk8", "-nocrypt", "-in", "evil.key", "-outform", "DER", "-out",
                   "k8")
    path = tmp_path / "app.apk"
    run("apksigner", "sign", "--key", signer.folder / "k8", "--cert", signer.folder / "evil.pem",
        "--min-sdk-version", "24", "--out", path, signed_tree.apk(tree.keys))
    trust = tree.trust("apk.yaml", roots=[signer.folder / "cert.pem"])
    row = told(tree.verify("--json", path, trust=trust))
    assert row["verdict"] == "not-verified", row


def both(tree, signer):
    """A trust file by whose roots both may sign, and by whose names our key alone."""
    return tree.trust("both.yaml", roots=[tree.keys.home / "ca.pem", signer.folder / "ca.pem"],
                      extra=["names:", "  - Test r3"])


def test_a_jar__somebody_else_has_signed_the_rest(tree, signed, tmp_path):
    """The signature of the trusted one is good, of entries that are not there any more."""
    signer = LocalSigner(tmp_path / "signer", 86400)
    signer.openssl("pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-certfile",
                   "ca.pem", "-name", "somebody", "-passout", "pass:changeit", "-out", "key.p12")
    path = tmp_path / "app.jar"
    with zipfile.ZipFile(signed("jar")) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if name.startswith("META-INF/"):
                new.writestr(name, old.read(name))
        new.writestr("Evil.class", "evil")
    run("jarsigner", "-keystore", signer.folder / "key.p12", "-storepass", "changeit", path,
        "somebody")
    trust = both(tree, signer)
    assert told(tree.verify("--json", signed("jar"), trust=trust))["verdict"] == "verified"
    row = told(tree.verify("--json", path, trust=trust))
    assert row["verdict"] == "not-verified", row


def test_a_cabinet__somebody_else_has_signed_the_rest(tree, signed, tmp_path):
    """In front the signature of another file by the trusted one, in it one of somebody else."""
    signer = LocalSigner(tmp_path / "signer", 86400)
    good = signed("cab")
    (tmp_path / "evil.txt").write_text("evil\n")
    run("gcab", "--create", "in.cab", "evil.txt", cwd=tmp_path)
    run("osslsigncode", "extract-signature", "-in", good, "-out", "der", cwd=tmp_path)
    run("osslsigncode", "attach-signature", "-sigin", "der", "-in", "in.cab", "-out", "half.cab",
        cwd=tmp_path, check=False)
    run("osslsigncode", "sign", "-nest", "-h", "sha256", "-certs", signer.folder / "cert.pem",
        "-key", signer.folder / "key.pem", "-in", "half.cab", "-out", "evil.cab", cwd=tmp_path)
    trust = both(tree, signer)
    assert told(tree.verify("--json", good, trust=trust))["verdict"] == "verified"
    row = told(tree.verify("--json", tmp_path / "evil.cab", trust=trust))
    assert row["verdict"] == "not-verified", row


def test_require_time_stamp(tree, signed):
    bare = [signed(kind) for kind in ("cms", "raw", "openpgp", "ssh")]
    trust = tree.trust("stamp.yaml", extra=["require_time_stamp: true"])
    assert told(tree.verify("--json", signed("pe"), trust=trust))["verdict"] == "verified"
    for path in bare:
        row = told(tree.verify("--json", path, trust=trust))
        assert row["verdict"] == "not-verified", row
        assert "time stamp" in row["detail"], row


# --- the log ---

def test_not_in_the_log(tree, tmp_path):
    signer = LocalSigner(tmp_path / "signer", 86400)
    path = signer.cms("app.tar")
    trust = tree.trust("log.yaml", roots=[signer.folder / "ca.pem"])
    row = told(tree.verify("--json", path, trust=trust))
    assert (row["verdict"], row["is_logged"]) == ("verified", False)
    assert row["log_detail"] == "the server's log has no such signature"
    trust = tree.trust("log.yaml", roots=[signer.folder / "ca.pem"], extra=["require_log: true"])
    done = tree.verify("--json", path, trust=trust)
    assert (done.returncode, told(done)["verdict"]) == (1, "not-verified")


# By keys of the server, with tools whose verifiers tell nothing of digests: kind, key, programs.
LOGGED = {
    "openpgp": (["r3", "p384", "ed"], ["gpgv"]),
    "openpgp_bare": (["r3", "p256"], ["gpgv"]),
    "cleartext": (["r3", "p521", "ed"], ["gpgv"]),
    "cleartext_alone": (["r3"], ["gpgv"]),
    "deb": (["r3", "p256"], ["dpkg-deb", "debsigs", "gpgv"]),
    "rpm": (["r3", "ed"], ["rpmbuild", "rpmsign", "rpmkeys"]),
    "ssh": (["r4", "p384", "p521", "ed"], ["ssh-keygen"]),
    "apk": (["r3", "p256"], ["apksigner"]),
}
EACH = [(kind, key) for kind, (keys, _) in LOGGED.items() for key in keys]


@pytest.fixture(name="ours", scope="module")
def fixture_ours(tree, pgp):
    """ours(kind, key): a file and the trust file for it; made once."""
    maker, made = signed_tree.Ours(tree, pgp), {}

    def make(kind, key):
        need(*LOGGED[kind][1])
        if (kind, key) not in made:
            made[kind, key] = (getattr(maker, kind)(key), maker.trust(key))
        return made[kind, key]

    return make


def entry_digest(tree, row):
    rows = tree.keys.log(digest=row["signers"][0]["digest"], key=row["log"]["key"])
    return [each["kind"] for each in rows]


@pytest.mark.parametrize(("kind", "key"), EACH)
def test_what_a_tool_verifies_is_in_the_log(tree, ours, kind, key):
    path, trust = ours(kind, key)
    done = tree.verify("--json", path, trust=trust)
    row = told(done)
    assert (done.returncode, row["verdict"]) == (0, "verified"), row
    assert row["is_logged"], row
    assert (row["log"]["key"], row["log"]["proof"]) == (key, "server")
    assert entry_digest(tree, row) == ["sign.intent", "sign.outcome"]


def keep_receipt(tree, index, path):
    """As soon as a checkpoint covers the entry."""
    deadline = time.monotonic() + SOON
    words = ("log", "receipt", index, "--out", path)
    while tree.keys.admin.run(*words, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"no checkpoint covers entry {index}"


@pytest.mark.parametrize("kind", LOGGED)
def test_what_a_tool_verifies__a_receipt_proves_it(tree, ours, kind, tmp_path):
    """Offline. One of another signature proves nothing."""
    path, trust = ours(kind, "ed" if kind in ("rpm", "ssh") else "r3")
    row = told(tree.verify("--json", path, trust=trust))
    for name, index in (("right", row["log"]["index"]), ("other", 0)):
        folder = tmp_path / name
        folder.mkdir()
        if name == "other":
            rows = tree.keys.log(key=row["log"]["key"])
            index = min(each["index"] for each in rows if each["kind"] == "sign.outcome"
                        and each["index"] != row["log"]["index"])
        keep_receipt(tree, index, folder / "one.receipt")
        done = tree.verify("--json", "--offline", "--receipts", folder, path, trust=trust)
        assert told(done)["is_logged"] == (name == "right"), done.stdout


@pytest.mark.parametrize("kind", ["openpgp", "deb", "rpm", "ssh"])
def test_what_a_tool_verifies__by_another_key(tree, signed, kind):
    """Good by the trust file, and no server's signature."""
    row = told(tree.verify("--json", signed(kind)))
    assert (row["verdict"], row["is_logged"]) == ("verified", False), row
    if kind == "deb":  # debsigs has gpg sign SHA-1, which no key of a server does
        assert row["log_detail"].startswith("what was signed is not known (OpenPGP's algorithm 1 ")
    else:
        assert row["log_detail"] == "the server's log has no such signature"
        assert row["signers"][0]["digest"]


def test_what_a_tool_verifies__the_same_file_by_another_key(tree, ours, tmp_path):
    """The log has the file, and its digest, by a key of the server: not this signature."""
    path, _ = ours("openpgp", "r3")
    tree.openpgp_key()
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    tree.gpg("gpg", "--batch", "--armor", "--detach-sign", copy)
    row = told(tree.verify("--json", copy))
    assert (row["verdict"], row["is_logged"]) == ("verified", False), row
    run("ssh-keygen", "-Y", "sign", "-n", "file", "-f", tree.ssh_key(), copy)
    copy.with_name("SUMS.asc").unlink()
    row = told(tree.verify("--json", copy))
    assert (row["verdict"], row["is_logged"]) == ("verified", False), row
    assert row["log_detail"] == "the server's log has no such signature"


def test_what_a_tool_verifies__an_apk_by_another_key(tree, tmp_path):
    need("apksigner", "openssl")
    signer = LocalSigner(tmp_path / "signer", 86400)
    path = tmp_path / "app.apk"
    signer.openssl("pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER", "-out", "k8")
    run("apksigner", "sign", "--key", signer.folder / "k8", "--cert", signer.folder / "cert.pem",
        "--min-sdk-version", "24", "--out", path, signed_tree.apk(tree.keys))
    trust = tree.trust("apk.yaml", roots=[signer.folder / "cert.pem"])
    row = told(tree.verify("--json", path, trust=trust))
    assert (row["verdict"], row["is_logged"]) == ("verified", False), row
    assert row["log_detail"] == "the server's log has no such signature"


@pytest.mark.parametrize("schemes", [(1,), (1, 2), (3,)])
def test_what_a_tool_verifies__an_apk_by_other_schemes(tree, ours, pgp, schemes):
    """v1 is that of a JAR."""
    _, trust = ours("apk", "r3")
    path = signed_tree.Ours(tree, pgp).apk("r3", schemes)
    row = told(tree.verify("--json", path, trust=trust))
    assert (row["verdict"], row["is_logged"]) == ("verified", True), row
    assert row["verifiers"] == ["apksigner", "chancery"]
    root = tree.trust("apk-root.yaml", roots=[tree.keys.home / "ca.pem"])
    row = told(tree.verify("--json", path, trust=root))
    assert (row["verdict"], row["detail"]) == \
        ("not-verified", "the signer's certificate is not in the trust file"), row


@pytest.mark.parametrize("kind", LOGGED)
def test_what_a_tool_verifies__changed(tree, ours, kind, tmp_path):
    """What has one bit changed is in no log either."""
    path, trust = ours(kind, "ed" if kind in ("rpm", "ssh") else "r3")
    path = copied(path, tmp_path / "changed")
    spoil(path, {"deb": None, "rpm": None, "apk": b"not really"}.get(kind, b"what is signed"))
    row = told(tree.verify("--json", path, trust=trust))
    assert row["verdict"] == "not-verified", row
    # Of an RPM it is in the payload: the header, which was signed, is what it was.
    assert row["is_logged"] == (kind == "rpm"), row


def test_cleartext__another_text_beside_it(tree, ours, tmp_path):
    """gpgv finds the signed text good, which is not the file's."""
    path, trust = ours("cleartext", "r3")
    path = copied(path, tmp_path / "other")
    path.write_text("another text\n")
    row = told(tree.verify("--json", path, trust=trust))
    assert row["verdict"] == "not-verified", row
    assert row["detail"] == "the clear-signed text is another than the file's"


def test_cleartext__blanks_beside_it(tree, ours, tmp_path):
    """They are not signed, and in some languages they mean something."""
    path, trust = ours("cleartext", "r3")
    path = copied(path, tmp_path / "blanks")
    path.write_bytes(path.read_bytes().replace(b"\n", b"  \n", 1))
    done = tree.verify("--json", path, trust=trust)
    row = told(done)
    assert (done.returncode, row["verdict"]) == (3, "cannot-tell"), row
    assert "differ in blanks" in row["detail"]


@pytest.mark.parametrize("how", ["before", "behind", "header"])
def test_cleartext__something_that_nobody_signed(tree, ours, how, tmp_path):
    """gpgv passes over it: a reader would not."""
    path, trust = ours("cleartext_alone", "r3")
    text = path.read_text()
    copy = tmp_path / "InRelease.asc"
    header = text.replace("\nHash: ", "\nHash: SHA256\x1b unsigned\nHash: ")
    copy.write_text({"before": "unsigned\n" + text, "behind": text + "unsigned\n",
                     "header": header}[how])
    done = tree.verify("--json", copy, trust=trust)
    assert (done.returncode, told(done)["verdict"]) == (1, "not-verified"), done.stdout


def test_a_digest_that_we_cannot_compute(tree, pgp, tmp_path):
    """Then the log is asked for the file's digest, and says less."""
    need("gpg", "gpgv")
    tree.openpgp_key()
    path = tmp_path / "notes.txt"
    path.write_text("of this file the log knows the digest\n")
    words = ("gpg", "--batch", "--yes", "--armor", "--textmode", "--detach-sign", path)
    tree.gpg(*words)
    row = told(tree.verify("--json", path))
    assert (row["verdict"], row["is_logged"]) == ("verified", False), row
    assert row["log_detail"].startswith("what was signed is not known")
    pgp.run("-u", "r3", "--yes", "-o", tmp_path / "elsewhere", "--detach-sign", path)
    row = told(tree.verify("--json", path))
    assert not row["is_logged"] and "log" not in row
    assert row["log_detail"].startswith("the server says that a file of this digest was signed, "
                                        "which is less than this signature: log entry "), row
    assert row["log_detail"].endswith(" with key r3")
    strict = tree.trust("strict.yaml", extra=["require_log: true"])
    assert told(tree.verify("--json", path, trust=strict))["verdict"] == "not-verified"
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    index = row["log_detail"].split("log entry ")[1].split(",")[0]
    keep_receipt(tree, index, receipts / "one.receipt")
    row = told(tree.verify("--json", "--offline", "--receipts", receipts, path))
    assert not row["is_logged"]
    assert row["log_detail"].startswith("a receipt proves that a file of this digest was signed, ")


def test_receipts_in_a_folder(tree, tmp_path):
    """Offline, by the log's key alone: of a tool that knows nothing of receipts."""
    path = tmp_path / "app.txt"
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    path.write_text("proved offline\n")
    tree.keys.exec(*signed_tree.OPENSSL, "-signer", tree.keys.certificate("r3"), "-in", path,
                   "-outform", "DER", "-out", f"{path}.p7s", options=("--receipts", receipts))
    trust = tree.trust("log.yaml", extra=["require_log: true"])
    done = tree.verify("--json", "--offline", path, trust=trust)
    assert (done.returncode, told(done)["is_logged"]) == (1, False)
    done = tree.verify("--json", "--offline", "--receipts", receipts, path, trust=trust,
                       env={"HOME": str(tmp_path)})
    row = told(done)
    assert (done.returncode, row["verdict"], row["log"]["proof"]) == (0, "verified", "receipt")
    assert row["log"]["key"] == "r3"
    assert row["log"]["principal"] == tree.keys.admin.json("whoami")["principal"]
    alone = tree.verify("--json", "--offline", next(receipts.iterdir()), trust=trust)
    assert (alone.returncode, told(alone)["kind"]) == (0, "receipt")


def test_a_public_key_is_no_signature(tree, tmp_path):
    """People keep release.asc beside what it verifies; anything else by that name is one."""
    key = tmp_path / "release.asc"
    key.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n")
    done = tree.verify("--json", key)
    assert (done.returncode, told(done)["verdict"]) == (1, "unsigned")
    key.write_text("-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n")
    done = tree.verify("--json", key)
    assert (done.returncode, told(done)["verdict"]) == (1, "not-verified")


def forged(text, how):
    lines = text.split("\n")
    if how == "index":
        lines = [f"index {int(x[6:]) - 1}" if x.startswith("index ") else x for x in lines]
    elif how == "entry":
        at = len("extra ") + 40
        lines = [x[:at] + ("A" if x[at] != "A" else "B") + x[at + 1:] if x.startswith("extra ")
                 else x for x in lines]
    elif how == "no entry":
        lines = [x for x in lines if not x.startswith("extra ")]
    else:
        at = lines.index("") + 2  # size of the checkpoint
        lines[at] = str(int(lines[at]) + 1)
    return "\n".join(lines)


@pytest.mark.parametrize("how", ["index", "entry", "no entry", "checkpoint"])
def test_a_receipt_is_forged(tree, signed, how, tmp_path):
    path = copied(signed("raw"), tmp_path / "forged")
    receipt = path.with_name(path.name + ".receipt")
    receipt.write_text(forged(receipt.read_text(), how))
    for file in (path, receipt):
        done = tree.verify("--json", "--offline", file)
        row = told(done)
        assert (done.returncode, row["verdict"]) == (1, "not-verified"), row
        assert "receipt" in row["detail"]


def test_a_receipt_of_another_signature(tree, signed, tmp_path):
    path = copied(signed("raw"), tmp_path / "other")
    path.write_bytes(b"another content\n")
    tree.keys.admin.run("sign", "--raw", "--key", "p256", path)
    row = told(tree.verify("--json", "--offline", path))
    assert (row["verdict"], row["detail"]) == ("not-verified",
                                               "its receipt is of another signature")


def test_another_log(tree, signed):
    other = "other.example.org+3d4c1f0d+AQ=="
    done = tree.verify(signed("raw"), trust=tree.trust("log.yaml", extra=[f"  - {other}"]))
    assert done.returncode == 2  # no key at all: nothing is believed by mistake


# --- folders and strange files ---

def test_a_folder_of_everything(tree, signed, tmp_path):
    top = tmp_path / "release"
    (top / "deep/er").mkdir(parents=True)
    for kind in ("cms", "pe", "raw"):
        copied(signed(kind), top / "deep")
    (top / "README").write_text("not signed\n")
    (top / "deep/er/app.tar.p7s").write_bytes(b"a signature of nothing")
    (top / "deep/link.exe").symlink_to("app.exe")
    (top / "deep/round").symlink_to("..")
    (top / "loop").symlink_to("loop")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    done = tree.verify("--json", top)
    rows = {row["file"].removeprefix(f"{top}/"): row["verdict"] for row in told(done, 10)}
    assert rows == {
        "README": "unsigned", "deep/app.bin": "verified", "deep/app.exe": "verified",
        "deep/app.tar": "verified", "deep/er/app.tar.p7s": "not-verified",
        "deep/link.exe": "verified", "deep/round": "cannot-tell", "fifo": "cannot-tell",
        "loop": "cannot-tell", "socket": "cannot-tell",
    }
    assert done.returncode == 1
    assert json.loads(done.stdout)["counts"] == {
        "verified": 4, "not_verified": 1, "unsigned_files": 1, "cannot_tell": 4}
    shutil.rmtree(top / "deep/er")
    for name in ("deep/round", "fifo", "loop", "socket"):
        (top / name).unlink()
    done = tree.verify("--skip-unsigned", top)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("4 verified, 0 not verified, 0 unsigned, 0 cannot tell\n")


def test_a_folder__a_file_named_as_the_signature_of_a_folder(tree, tmp_path):
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup.sig").write_text("runs, and nobody has signed it\n")
    (tmp_path / "gone.sig").write_text("likewise\n")
    (tmp_path / "gone").symlink_to("nothing")
    done = tree.verify("--json", tmp_path)
    rows = {row["file"].removeprefix(f"{tmp_path}/"): row["verdict"] for row in told(done, 3)}
    assert rows == {"setup.sig": "not-verified", "gone.sig": "not-verified", "gone": "cannot-tell"}


def test_the_name_of_a_signature_stands_for_its_file(tree, signed):
    path = signed("cms")
    assert told(tree.verify("--json", f"{path}.p7s"))["file"] == str(path)


def test_two_signatures_beside_a_file(tree, signed, tmp_path):
    """Each of them must be good."""
    path = copied(signed("cms"), tmp_path / "two")
    tree.keys.admin.run("sign", "--raw", "--key", "p256", path)
    assert told(tree.verify("--json", path))["verdict"] == "verified"
    path.with_name(path.name + ".sig").write_bytes(b"0" * 70)
    assert told(tree.verify("--json", path))["verdict"] == "not-verified"


def test_a_huge_file(tree, signed, tmp_path):
    path = copied(signed("cms"), tmp_path / "huge")
    os.truncate(path, 2 ** 36 + 1)
    done = tree.verify("--json", path)
    assert (done.returncode, told(done)["verdict"]) == (3, "cannot-tell")
    assert "the most" in told(done)["detail"]


def test_an_unreadable_file(tree, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "app.exe").write_text("")
    if os.geteuid() == 0:  # may read whatever it likes, but not what is not there any more
        path = f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/nothing"
    else:
        path = folder / "app.exe"
        path.chmod(0)
    done = tree.verify("--json", path)
    assert (done.returncode, told(done)["verdict"]) == (3, "cannot-tell"), done.stdout


@pytest.mark.parametrize("content", [b"", b"0", b"\x30\x80" * 4000, b"\x30\x84\xff\xff\xff\xff" * 9,
                                     b"-----BEGIN CMS-----\n", bytes(2 ** 20 + 1)])
def test_a_hostile_signature(tree, content, tmp_path):
    path = tmp_path / "app.tar"
    path.write_bytes(b"what is delivered\n")
    path.with_name("app.tar.p7s").write_bytes(content)
    done = tree.verify("--json", path)
    assert done.returncode in (1, 3)
    assert told(done)["verdict"] in ("not-verified", "cannot-tell")


def test_a_file_whose_name_is_an_option(tree, signed, tmp_path):
    folder = tmp_path / "names"
    path = copied(signed("openpgp"), folder)
    for name in (path.name, path.name + ".asc"):
        (folder / name).rename(folder / name.replace("source.tar", "--version"))
    env = tree.keys.env()
    done = subprocess.run([signed_tree.CHANCERY, "verify", "--trust", str(tree.trust()), "--json",
                           "--", "--version"], cwd=folder, env=env, capture_output=True, text=True,
                          check=False, timeout=SOON)
    assert told(done)["verdict"] == "verified", done.stdout


def test_the_json_is_what_it_was(tree, signed):
    """Scripts read these names."""
    row = told(tree.verify("--json", signed("pe")))
    assert set(row) == {"file", "kind", "verdict", "verifiers", "signers", "is_logged", "log"}
    assert set(row["signers"][0]) == {
        "is_good", "name", "subject", "issuer", "not_after", "certificate_sha256", "key_sha256",
        "algorithm", "digest", "signature_sha256", "time_stamp", "time_stamp_by"}
    assert set(row["log"]) == {"index", "time", "principal", "key", "proof"}


def test_wrong_use(tree, tmp_path):
    (tmp_path / "empty").mkdir()
    assert tree.verify().returncode == 2
    assert tree.verify(tmp_path / "empty").returncode == 2
    assert tree.verify(__file__, trust=tmp_path / "none.yaml").returncode == 2
    done = run(signed_tree.CHANCERY, "verify", __file__, check=False, env=tree.keys.env())
    assert done.returncode == 2
    assert "there is no trust file: give one with --trust" in done.stderr


def test_for_people(tree, signed):
    done = tree.verify(signed("pe"))
    lines = done.stdout.splitlines()
    assert lines[0].endswith("app.exe: pe, by chancery")
    assert lines[1].startswith("  signed by Test r3, issued by ")
    assert "  time-stamped 20" in lines[2] and lines[2].endswith(" by Test time-stamp authority")
    assert lines[3].startswith("  log entry ")
    assert lines[4] == "1 verified, 0 not verified, 0 unsigned, 0 cannot tell"


def test_nothing_is_left_behind(tree, signed, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tree.verify(signed("openpgp"), env={"TMPDIR": str(scratch)})
    assert not list(scratch.iterdir())
