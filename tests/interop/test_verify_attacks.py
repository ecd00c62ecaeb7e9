# SPDX-License-Identifier: MIT
"""chancery verify against somebody who may write where the files are: who puts another file there
while it is looked at."""

import json
import os
import shutil
import stat
import struct
import zipfile
import zlib

import pytest

import signed_tree
import tsa as authority
from signer import need

# kind: the tool that looks at it
TOOLS = {"jar": "jarsigner", "apk": "apksigner", "msi": "osslsigncode", "cab": "osslsigncode",
         "deb": "gpgv", "openpgp": "gpgv", "rpm": "rpmkeys", "ssh": "ssh-keygen"}


@pytest.fixture(name="tree", scope="module")
def fixture_tree(keys):
    folder = keys.folder / "attacks"
    folder.mkdir()
    with authority.Authority(folder / "tsa") as tsa:
        made = signed_tree.Tree(keys, tsa, folder / "tree")
        yield made
    signed_tree.killed(made.gnupg)


@pytest.fixture(name="signed", scope="module")
def fixture_signed(tree):
    made = {}

    def make(kind):
        need(TOOLS[kind])
        if kind not in made:
            made[kind] = getattr(tree, kind)() if hasattr(tree, kind) else tree.windows(kind)
        return made[kind]

    return make


def verdict(done):
    return json.loads(done.stdout)["files"][0]["verdict"]


def attacker(folder, tool, before, after):
    """PATH, on which the tool does something before it looks, and behind it."""
    folder.mkdir()
    script = folder / tool
    script.write_text(
        f'#!/bin/sh\n{before}\n{shutil.which(tool)} "$@"\nend=$?\n{after}\nexit $end\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def spoilt(path, to):
    content = bytearray(path.read_bytes())
    content[-20 if path.suffix == ".rpm" else len(content) // 2] ^= 1
    to.write_bytes(content)


WAYS = {
    "another file": "cp {from_} {path}.new && mv {path}.new {path}",
    "another content": "cat {from_} >{path}",
    "a link": "ln -sf {from_} {path}",
}


@pytest.fixture(name="files")
def fixture_files(signed, tmp_path):
    """files(kind): a spoilt file in a folder, and a good and a bad one of the same elsewhere."""

    def make(kind):
        good = signed(kind)
        victim = tmp_path / "shared" / good.name
        elsewhere = tmp_path / "elsewhere"
        victim.parent.mkdir()
        elsewhere.mkdir()
        for each in good.parent.glob(f"{good.name}.*"):
            shutil.copy(each, victim.parent)
        shutil.copy(good, elsewhere / "good")
        spoilt(good, elsewhere / "bad")
        return victim, elsewhere / "good", elsewhere / "bad"

    return make


# Who is given a copy sees none of this; those who read the file itself, from us, get each.
CASES = [("jar", "another file"), ("apk", "another content"), ("msi", "a link"),
         ("deb", "another content"), ("rpm", "another file"),
         *((kind, way) for kind in ("openpgp", "ssh") for way in WAYS)]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_a_good_file_is_there_while_the_tool_looks(tree, files, kind, way, tmp_path):
    victim, good, bad = files(kind)
    shutil.copy(bad, victim)
    path = attacker(tmp_path / "bin", TOOLS[kind], WAYS[way].format(from_=good, path=victim),
                    WAYS[way].format(from_=bad, path=victim))
    done = tree.verify("--json", victim, env=path)
    assert done.returncode in (1, 3)
    assert verdict(done) in ("not-verified", "cannot-tell"), done.stdout


@pytest.mark.parametrize(("kind", "way"), [("jar", "another file"),
                                           *(("openpgp", way) for way in WAYS)])
def test_a_bad_file_is_put_there(tree, files, kind, way, tmp_path):
    """It stays, behind a good verdict."""
    victim, good, bad = files(kind)
    shutil.copy(good, victim)
    path = attacker(tmp_path / "bin", TOOLS[kind], WAYS[way].format(from_=bad, path=victim), "")
    done = tree.verify("--json", victim, env=path)
    row = json.loads(done.stdout)["files"][0]
    assert (done.returncode, row["verdict"]) in ((3, "cannot-tell"), (1, "not-verified")), row
    assert row["verdict"] == "not-verified" or "was changed while it was looked at" in row["detail"]


@pytest.mark.parametrize("kind", ["openpgp", "ssh"])
def test_another_signature_is_put_there(tree, files, kind, tmp_path):
    """The tool gets the one that we have read."""
    victim, good, _ = files(kind)
    shutil.copy(good, victim)
    beside = next(victim.parent.glob(f"{victim.name}.*"))
    signature = beside.read_bytes()
    beside.write_bytes(signature.replace(b"\n\n", b"\n\nAAAA", 1) if kind == "openpgp"
                       else signature.replace(b"SIGNATURE-----\n", b"SIGNATURE-----\nAAAA", 1))
    whole = tmp_path / "whole"
    whole.write_bytes(signature)
    path = attacker(tmp_path / "bin", TOOLS[kind], f"cp {whole} {beside}", "")
    assert verdict(tree.verify("--json", victim, env=path)) == "not-verified"


# --- JARs ---

def rebuilt(jar, to, leave=(), change=lambda name, content: content, more=()):
    with zipfile.ZipFile(jar) as from_, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as made:
        for info in from_.infolist():
            if info.filename not in leave:
                made.writestr(info, change(info.filename, from_.read(info)))
        for name, content in more:
            made.writestr(name, content)
    return to


def entry_of(jar):
    with zipfile.ZipFile(jar) as opened:
        return next(n for n in opened.namelist() if not n.startswith("META-INF/"))


def row_of(tree, path):
    done = tree.verify("--json", path)
    return done.returncode, json.loads(done.stdout)["files"][0]


def test_a_jar__as_it_is(tree, signed, tmp_path):
    """What the others change is what is refused in them."""
    code, row = row_of(tree, rebuilt(signed("jar"), tmp_path / "same.jar"))
    assert (code, row["verdict"]) == (0, "verified"), row


def test_a_jar__an_entry_is_taken_out(tree, signed, tmp_path):
    """jarsigner -strict warns of it, and verifies: whoever takes out a file that checks something
    has changed the program."""
    jar = signed("jar")
    gone = entry_of(jar)
    code, row = row_of(tree, rebuilt(jar, tmp_path / "less.jar", leave=[gone]))
    assert (code, row["verdict"]) == (1, "not-verified"), row
    assert row["detail"] == f"{gone} is signed, and is not in it any more"


def test_a_jar__an_entry_is_taken_out_and_out_of_the_manifest(tree, signed, tmp_path):
    jar = signed("jar")
    gone = entry_of(jar)

    def change(name, content):
        if name != "META-INF/MANIFEST.MF":
            return content
        sections = content.split(b"\r\n\r\n")
        return b"\r\n\r\n".join(s for s in sections if gone.encode() not in s)

    code, row = row_of(tree, rebuilt(jar, tmp_path / "less.jar", leave=[gone], change=change))
    assert (code, row["verdict"]) == (1, "not-verified"), row


@pytest.mark.parametrize("name", ["Added.class", "META-INF/services/added", "../added"])
def test_a_jar__an_entry_is_added(tree, signed, name, tmp_path):
    code, row = row_of(tree, rebuilt(signed("jar"), tmp_path / "more.jar",
                                     more=[(name, b"added\n")]))
    assert (code, row["verdict"]) == (1, "not-verified"), row


def test_a_jar__two_manifests(tree, signed, tmp_path):
    """Which of them counts, each reader decides for itself."""
    code, row = row_of(tree, rebuilt(signed("jar"), tmp_path / "two.jar",
                                     more=[("META-INF/manifest.mf", b"Manifest-Version: 1.0\n")]))
    assert (code, row["verdict"]) == (1, "not-verified"), row


@pytest.mark.parametrize("section", [b"Name: signed/\r\nSealed: false", b"Name: x\r\nX: y"])
def test_a_jar__a_section_is_added_to_the_manifest(tree, signed, section, tmp_path):
    """jarsigner goes by what is left: each section whose digest was signed."""

    def change(name, content):
        return content + section + b"\r\n\r\n" if name == "META-INF/MANIFEST.MF" else content

    code, row = row_of(tree, rebuilt(signed("jar"), tmp_path / "more.jar", change=change))
    assert (code, row["verdict"]) == (1, "not-verified"), row
    assert row["detail"] == "its manifest is none that a signature is of"


@pytest.mark.parametrize("more", [0, 1])
def test_a_jar__as_many_files_of_signatures_as_there_may_be(tree, signed, more, tmp_path):
    """Each is compared with all names; 65,000 took a minute. The JAR has three."""
    files = [(f"META-INF/X{i}.SF", b"") for i in range(128 - 3 + more)]
    code, row = row_of(tree, rebuilt(signed("jar"), tmp_path / "many.jar", more=files))
    assert (code, row["verdict"]) == ((3, "cannot-tell") if more else (0, "verified")), row
    if more:
        assert row["detail"] == "more than 128 files of signatures in META-INF"


# --- archives that read one way by their directory, and another from their front ---

class Archive:
    """Members as bytes, and the directory; written with the right places."""

    def __init__(self, path):
        content = path.read_bytes()
        with zipfile.ZipFile(path) as opened:
            infos = opened.infolist()
            at = opened.start_dir
        starts = [i.header_offset for i in infos] + [at]
        self.members = [content[a:b] for a, b in zip(starts, starts[1:])]
        self.entries = []
        for _ in infos:
            n, extra, comment = struct.unpack_from("<HHH", content, at + 28)
            end = at + 46 + n + extra + comment
            self.entries.append(bytearray(content[at:end]))
            at = end

    def number(self, name):
        return next(i for i, e in enumerate(self.entries) if e[46:].startswith(name.encode()))

    def write(self, path):
        data, directory = b"", b""
        for member, entry in zip(self.members, self.entries):
            entry[42:46] = struct.pack("<I", len(data))
            data += member
            directory += entry
        n = len(self.entries)
        path.write_bytes(data + directory + struct.pack(
            "<4s4xHHIIH", b"PK\5\6", n, n, len(directory), len(data), 0))
        return path


def streamed(content, name=b"Evil.class"):
    """A member that no directory has."""
    return struct.pack("<4sHHHIIIIHH", b"PK\3\4", 20, 0, 0, 0, zlib.crc32(content), len(content),
                       len(content), len(name), 0) + name + content


def gap(archive, i):
    archive.members[i] += streamed(b"evil")


def another_name(archive, i):
    archive.members[i] = archive.members[i].replace(archive.name, b"E" * len(archive.name), 1)


def other_sizes(archive, i):
    """The front's readers stop within, and go on with what they take for a head."""
    head = bytearray(archive.members[i])
    head[18:26] = bytes(8)
    archive.members[i] = bytes(head)


def behind_deflated_data(archive, i):
    """What was deflated is signed; behind its end, and within the member, is one more."""
    entry = archive.entries[i]
    crc, = struct.unpack_from("<I", entry, 16)
    compress = zlib.compressobj(wbits=-15)
    good = compress.compress(archive.content) + compress.flush()
    size = len(archive.content)
    hidden = struct.pack("<4sIII", b"PK\7\10", crc, len(good), size) + streamed(b"evil")
    data = good + hidden
    entry[8:12] = struct.pack("<HH", 8, 8)
    entry[20:28] = struct.pack("<II", len(data), size)
    entry[28:34] = struct.pack("<HHH", len(archive.name), 0, 0)
    archive.entries[i] = entry[:46] + archive.name
    archive.members[i] = struct.pack("<4sHHHIIIIHH", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0,
                                     len(archive.name), 0) + archive.name + data + struct.pack(
        "<4sIII", b"PK\7\10", crc, len(data), size)


def a_name_twice(archive, i):
    """jarsigner looks at one of them as often as there are."""
    archive.members.insert(i, archive.members[i])
    archive.entries.insert(i, bytearray(archive.entries[i]))


FROM_THE_FRONT = "something else to who reads the archive from its front"
STREAMED = {gap: FROM_THE_FRONT, another_name: FROM_THE_FRONT, other_sizes: FROM_THE_FRONT,
            behind_deflated_data: "does not end where its directory says",
            a_name_twice: "a name is there twice"}


def opened(jar, plain):
    """`plain`: its members have their sizes in their heads."""
    archive = Archive(rebuilt(jar, plain))
    archive.name = entry_of(jar).encode()
    with zipfile.ZipFile(jar) as signed_jar:
        archive.content = signed_jar.read(archive.name.decode())
    return archive


def test_a_jar__taken_apart_and_put_together(tree, signed, tmp_path):
    """What the next ones do without an attack; and as jarsigner writes it, with descriptors."""
    path = opened(signed("jar"), tmp_path / "plain.jar").write(tmp_path / "same.jar")
    code, row = row_of(tree, path)
    assert (code, row["verdict"]) == (0, "verified"), row
    code, row = row_of(tree, Archive(signed("jar")).write(tmp_path / "again.jar"))
    assert (code, row["verdict"]) == (0, "verified"), row


@pytest.mark.parametrize("attack", STREAMED, ids=lambda attack: attack.__name__)
def test_a_jar__two_readings(tree, signed, attack, tmp_path):
    archive = opened(signed("jar"), tmp_path / "plain.jar")
    attack(archive, archive.number(archive.name.decode()))
    path = archive.write(tmp_path / "two.jar")
    code, row = row_of(tree, path)
    assert (code, row["verdict"]) == (1, "not-verified"), row
    assert STREAMED[attack] in row["detail"], row


def test_a_signed_jar_within_one_that_is_not(tree, signed, tmp_path):
    """It is not looked into: what is run is the one outside."""
    outer = tmp_path / "outer.jar"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        archive.write(signed("jar"), "lib/app.jar")
    code, row = row_of(tree, outer)
    assert (code, row["verdict"], row["detail"]) == (1, "unsigned", "it has no signature"), row
    assert "signers" not in row or row["signers"] == []


def test_nothing_stays_of_the_copies(tree, files, tmp_path):
    """Of each file that a tool looked at, as soon as it has."""
    victim, good, _ = files("jar")
    shutil.copy(good, victim)
    for i in range(2):
        shutil.copy(good, victim.with_name(f"more{i}.jar"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen = tmp_path / "seen"
    env = attacker(tmp_path / "bin", "jarsigner",
                   f"find {scratch} -name 'copy*' | wc -l >>{seen}", "")
    done = tree.verify("--json", victim.parent, env={**env, "TMPDIR": str(scratch)})
    assert done.returncode == 0
    assert seen.read_text().split() == ["1"] * 3
    assert not list(scratch.iterdir())


def test_a_folder_becomes_a_link_during_the_walk(tree, signed, tmp_path):
    """The file behind the link is good, the one in the folder that was walked is not."""
    good = signed("jar")
    for folder in ("walked/sub", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("a.jar", "b.jar"):
            shutil.copy(good, tmp_path / folder / name)
    sub = tmp_path / "walked" / "sub"
    spoilt(good, sub / "b.jar")
    env = attacker(tmp_path / "bin", "jarsigner",
                   f"test -L {sub} || {{ mv {sub} {tmp_path}/moved && "
                   f"ln -s {tmp_path}/elsewhere {sub}; }}", "")
    done = tree.verify("--json", sub.parent, env=env)
    rows = {os.path.basename(row["file"]): row for row in json.loads(done.stdout)["files"]}
    assert sub.is_symlink() and done.returncode == 3
    assert rows["b.jar"]["verdict"] == "cannot-tell", rows["b.jar"]
    assert rows["b.jar"]["detail"] == "it was changed while it was looked at"


# --- two files in one ---

@pytest.mark.parametrize("name", ["app.jar", "APP.JAR", "app.nupkg", "app.zip"])
def test_an_archive_behind_a_signed_installer(tree, signed, name, tmp_path):
    """Windows' signature of an MSI covers its streams, and nothing behind them; java reads an
    archive from its end (CVE-2020-1464)."""
    both = tmp_path / name
    shutil.copy(signed("msi"), both)
    with zipfile.ZipFile(both, "a") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: Evil\r\n")
        archive.writestr("Evil.class", b"evil")
    code, row = row_of(tree, both)
    assert (code, row["verdict"]) == (1, "not-verified"), row
    assert row["detail"] == "by its name it is an archive, which begins otherwise"


@pytest.mark.parametrize("kind", ["msi", "cab", "pe"])
@pytest.mark.parametrize("what", ["archive", "byte", "zeros"])
def test_something_behind_a_signature(tree, signed, kind, what, tmp_path):
    """Under its own name, which a JAR has no need of (CVE-2020-1464)."""
    both = tmp_path / f"app.{kind}"
    good = tree.pe() if kind == "pe" else signed(kind)
    shutil.copy(good, both)
    code, row = row_of(tree, both)
    assert (code, row["verdict"]) == (0, "verified"), row
    if what == "archive":
        with zipfile.ZipFile(both, "a") as archive:
            archive.writestr("Evil.class", b"evil")
    else:
        both.write_bytes(both.read_bytes() + (b"x" if what == "byte" else bytes(512)))
    code, row = row_of(tree, both)
    assert (code, row["verdict"]) == (1, "not-verified"), row
    assert any(text in row["detail"] for text in ("lies behind its", "follow its signatures")), row


# --- names ---

@pytest.mark.parametrize("name", [b"a\nverified good.bin: unknown, by gpgv", b"a\n", b"\x1b[2Ka",
                                  b"\xff", b"a\x7f", b"a\rb"])
def test_a_name_that_is_no_text(tree, signed, name, tmp_path):
    """It is shown on one line, it is not said to be verified, and it does not keep others from
    being looked at."""
    good = signed("openpgp")
    folder = tmp_path / "delivered"
    folder.mkdir()
    for to in (os.fsencode(good.name), name):
        for ending in (b"", *(os.fsencode(p.name)[len(good.name):]
                              for p in good.parent.glob(f"{good.name}.*"))):
            shutil.copy(os.fsencode(good) + ending, os.fsencode(folder) + b"/" + to + ending)
    done = tree.verify("--json", folder)
    rows = json.loads(done.stdout)["files"]
    assert {row["verdict"] for row in rows if row["file"].endswith(good.name)} == {"verified"}
    others = [row for row in rows if not row["file"].endswith(good.name)]
    assert done.returncode == 3 and others
    assert {row["verdict"] for row in others} == {"cannot-tell"}, others
    shown = tree.verify(folder)
    titles = [line for line in shown.stdout.splitlines() if line.startswith("verified ")]
    assert len(titles) == 1 and good.name in titles[0], shown.stdout
    assert "\x1b" not in shown.stdout and "\ufffd" not in shown.stdout


def test_a_member_whose_name_is_no_text(tree, signed, tmp_path):
    """It stands in the reason, on one line."""
    archive = opened(signed("jar"), tmp_path / "plain.jar")
    i = archive.number(archive.name.decode())
    name = b"\nverified \x1b[2Ka"
    archive.members.append(streamed(b"evil", name) + b"gap")
    archive.entries.append(bytearray(
        archive.entries[i][:16] + struct.pack("<IIIHHH", zlib.crc32(b"evil"), 4, 4, len(name), 0, 0)
        + bytes(12) + name))
    archive.entries[-1][8:12] = bytes(4)
    path = archive.write(tmp_path / "named.jar")
    code, row = row_of(tree, path)
    assert (code, row["verdict"]) == (1, "not-verified"), row
    shown = tree.verify(path)
    assert not [line for line in shown.stdout.splitlines() if line.startswith("verified ")]
    for text in (row["detail"], shown.stdout.replace("\n", "")):
        assert text.isprintable(), text


def test_a_certificate_whose_name_is_no_text(tree, tmp_path):
    """Such a name is not taken, from anybody."""
    path, key, certificate = (tmp_path / name for name in ("app.bin", "key.pem", "certificate.pem"))
    path.write_text("app\n")
    tree.keys.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                  "-days", "2", "-utf8", "-subj", "/CN=Me\nverified other.bin: jar\x1b[2K")
    tree.keys.run("openssl", "cms", "-sign", "-binary", "-signer", certificate, "-inkey", key,
                  "-in", path, "-outform", "DER", "-out", f"{path}.p7s")
    code, row = row_of(tree, path)
    assert (code, row["verdict"]) == (1, "not-verified"), row
    assert row["detail"] == "a common name is empty, too long or not plain text"
    shown = tree.verify(path)
    assert not [line for line in shown.stdout.splitlines() if line.startswith("verified ")]
    assert shown.stdout.replace("\n", "").isprintable(), shown.stdout


def test_a_receipt_whose_name_is_no_text(tree, signed, tmp_path):
    (tmp_path / "a\nchancery: all is well.receipt").write_text("no receipt\n")
    done = tree.verify("--receipts", tmp_path, signed("openpgp"))
    assert "whose name is no text" in done.stderr and "all is well" not in done.stderr
