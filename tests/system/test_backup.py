# SPDX-License-Identifier: MIT
"""Backup of a server that runs, and what restores from it."""

import hashlib
import json
import os
import pathlib
import shutil
import stat
import threading

import pytest

from conftest import Server, chanceryd

AS_ROOT = os.geteuid() == 0


def backup(server, to, *arguments):
    return json.loads(chanceryd("backup", "--data", server.data, "--to", to, "--json",
                                *arguments).stdout)


def restore(copy, data, **options):
    return chanceryd("restore", "--from", copy, "--data", data, "--json", **options)


@pytest.fixture
def copy(server, signing, folder):
    """A backup of a server that signed."""
    signing.sign()
    backup(server, folder / "copy")
    return folder / "copy"


def test_restored_elsewhere_it_signs_with_the_same_keys(server, signing, copy, folder, make_server):
    entries = signing.json("log", "list")["entries"]
    server.stop()
    shutil.move(server.data, folder / "lost")  # nothing may lead back there
    result = json.loads(restore(copy, folder / "elsewhere").stdout)
    assert result["config"] == str(folder / "elsewhere/chanceryd.yaml")
    assert result.get("problem", "") == ""
    other = Server.existing(folder / "other", folder / "elsewhere")
    make_server.adopt(other)
    other.start()
    signing.at(other.url)
    signing.sign()  # with the public key that the first server showed
    again = signing.json("log", "list")["entries"]
    assert again[:len(entries)] == entries
    other.stop()


def test_backup__while_it_signs(server, signing, folder, make_server):
    """The copy is whole whatever happens meanwhile: its store is not older than its anchor."""
    stop = threading.Event()
    failures = []

    def sign():
        while not stop.is_set():
            if signing.run("sign", "--raw", "--key", "k", "--digest", "ab" * 32, "--out",
                           signing.home / "out", check=False).returncode != 0:
                failures.append(1)

    thread = threading.Thread(target=sign)
    thread.start()
    try:
        for number in range(3):
            backup(server, folder / f"copy-{number}")
    finally:
        stop.set()
        thread.join()
    assert not failures
    server.stop()
    for number in range(3):
        restore(folder / f"copy-{number}", folder / f"data-{number}")
        other = Server.existing(folder, folder / f"data-{number}")
        make_server.adopt(other)
        other.start()
        signing.at(other.url)
        signing.sign()
        other.stop()


def test_backup__is_for_its_owner_alone(copy):
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    for path in copy.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_backup__lists_what_it_holds(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    files = {str(path.relative_to(copy)): path for path in copy.rglob("*") if path.is_file()}
    del files["manifest.json"]
    assert [entry["path"] for entry in manifest["files"]] == sorted(files)
    for entry in manifest["files"]:
        content = files[entry["path"]].read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["size_bytes"] == len(content)
    for name in ("chanceryd.yaml", "store/chancery.db", "anchor/checkpoint", "secrets/soft.pin",
                 "tls/key.pem", "tokens/soft/softhsm2.conf"):
        assert name in files
    for name in ("lock", "tokens/soft/lock", "store/chancery.db-wal", "store/chancery.db-shm"):
        assert name not in files


def test_backup__by_a_configuration_elsewhere(server, folder):
    elsewhere = folder / "server.yaml"
    shutil.copy(server.config, elsewhere)
    chanceryd("backup", "--config", elsewhere, "--to", folder / "copy")
    assert (folder / "copy/chanceryd.yaml").read_bytes() == elsewhere.read_bytes()


def test_backup__says_what_is_not_in_it(server, folder):
    shutil.copytree(server.data / "tls", folder / "tls")
    server.set("certificate", json.dumps(str(folder / "tls/certificate.pem")))
    server.set("key", json.dumps(str(folder / "tls/key.pem")))
    result = backup(server, folder / "copy")
    assert result["left_out"] == [str(folder / "tls/certificate.pem"), str(folder / "tls/key.pem")]


@pytest.mark.parametrize("place", ["inside", "full"])
def test_backup__refuses_a_place(server, folder, place):
    to = server.data / "copy" if place == "inside" else folder / "full"
    if place == "full":
        to.mkdir()
        (to / "something").write_text("precious")
    done = chanceryd("backup", "--data", server.data, "--to", to, check=False)
    assert done.returncode in (1, 2)
    assert ("in the data directory" if place == "inside" else "is not empty") in done.stderr
    if place == "full":
        assert (to / "something").read_text() == "precious"
    else:
        assert not to.exists()


@pytest.mark.parametrize("harm, text", [
    ("change", "is not what the backup's manifest lists"),
    ("remove", "files and has"),
    ("add", "which its manifest does not list"),
    ("link", "which its manifest does not list"),
    ("no manifest", "manifest.json"),
    ("broken manifest", "manifest.json"),
    ("outside", "no file below its folder"),
    ("later", "has format 2"),
])
def test_restore__a_backup_that_is_not_whole_is_refused(copy, folder, harm, text):
    manifest = copy / "manifest.json"
    pin = copy / "secrets/soft.pin"
    if harm == "change":
        pin.write_bytes(pin.read_bytes()[:-1] + b"!")
    elif harm == "remove":
        pin.unlink()
    elif harm == "add":
        (copy / "store/extra").write_text("x")
    elif harm == "link":
        (copy / "store/extra").symlink_to("/etc/passwd")
    elif harm == "no manifest":
        manifest.unlink()
    elif harm == "broken manifest":
        manifest.write_text(manifest.read_text()[:-20])
    elif harm == "outside":
        manifest.write_text(manifest.read_text().replace("anchor/checkpoint", "../checkpoint"))
    elif harm == "later":
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    done = restore(copy, folder / "data", check=False)
    assert done.returncode in (1, 2)
    assert text in done.stderr
    assert not (folder / "data").exists()


def untouched(server):
    """When each file was written, but for those that the running server writes."""
    return {path: path.stat().st_mtime_ns for path in server.data.rglob("*")
            if not {"store", "anchor"} & set(path.parts)}


def test_restore__never_over_what_is_there(server, copy):
    before = untouched(server)
    done = restore(copy, server.data, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert before == untouched(server)


def test_restore__gives_all_to_whom_it_belongs(server, copy, folder):
    restore(copy, folder / "data")

    def rights(top):
        return {str(path.relative_to(top)): (path.stat().st_uid, path.stat().st_gid,
                                             path.stat().st_mode)
                for path in pathlib.Path(top).rglob("*")
                if path.name not in ("lock", "chancery.db-wal", "chancery.db-shm")}

    assert rights(folder / "data") == rights(server.data)


def test_restore__tells_what_the_new_machine_lacks(server, copy, folder):
    shutil.copytree(server.data / "tls", folder / "tls")
    server.set("certificate", json.dumps(str(folder / "tls/certificate.pem")))
    server.set("key", json.dumps(str(folder / "tls/key.pem")))
    backup(server, folder / "copy-2")
    shutil.rmtree(folder / "tls")
    result = json.loads(restore(folder / "copy-2", folder / "data").stdout)
    assert str(folder / "tls") in result["problem"]


def test_restore__an_older_store_is_refused_by_the_anchor(server, signing, copy):
    """A store put back by hand, without `restore`, is noticed."""
    signing.sign()
    server.stop()
    for name in ("chancery.db-wal", "chancery.db-shm"):
        (server.data / "store" / name).unlink(missing_ok=True)
    database = server.data / "store/chancery.db"
    owner = database.stat()
    database.write_bytes((copy / "store/chancery.db").read_bytes())
    os.chown(database, owner.st_uid, owner.st_gid)
    server.launch()
    assert server.wait_end() != 0
    assert "older" in server.log()
    server.start("--accept-older-store")
    signing.at(server.url)
    signing.sign()
