# SPDX-License-Identifier: MIT
"""Row 13: who is root on the server cuts, edits and reorders the log, or puts back an old disk.
Either the server does not start on it, or who reads the log finds out; and who kept a receipt finds
even what nobody else can."""

import contextlib
import pathlib
import shutil
import sqlite3
import subprocess

import pytest

from api import item, ok, running_world
from conftest import SOON, Client

SIGNED = 300  # two entries each: more than a tile holds


@pytest.fixture(scope="module")
def signed():
    """(world, an auditor's command, a receipt of the newest entry); it does not run."""
    with running_world() as world:
        world.admin.key("k")
        world.admin.policy()
        world.person("auditor", roles=["auditor"])
        command = Client(world.folder / "auditor-home", world.server.url)
        command.enroll(world.code_for("auditor"))
        for start in range(0, SIGNED, 50):
            ok(world.admin.sign_items([item("k", b"%d" % n) for n in range(start, start + 50)]))
        receipt = world.folder / "receipt"
        receipt.write_text(ok(world.admin.sign("k", receipt="full"))["results"][0]["receipt"])
        world.stop()
        copy(world.server.data, world.folder / "kept")
        yield world, command, receipt
        world.server.start()  # running_world() stops it


def copy(source, target):
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-a", source, target], check=True)


@pytest.fixture(autouse=True)
def untouched(signed):
    """Each test has the disk as it was."""
    world, _, _ = signed
    yield
    if world.server.process is not None:
        world.server.drop()
    copy(world.folder / "kept", world.server.data)


@contextlib.contextmanager
def database(world):
    """As root writes it, without the server."""
    owner = world.store.stat()
    with contextlib.closing(sqlite3.connect(world.store)) as db:
        yield db
        db.commit()
    shutil.chown(world.store, owner.st_uid, owner.st_gid)


def start(world):
    """What the server said when it did not start, or None."""
    world.server.launch()
    line = world.server.wait_any("signer.ready", "signer.failed")
    if line["event"] == "signer.failed":
        world.server.drop()
        return line["error_text"]
    ready = world.server.wait_event("server.ready")
    world.server.url = "https://" + ready["address"].split()[0]
    world.server.wait_ready()
    return None


def verify(world, command, *known):
    """Export the log from the server that runs, and verify that by the profile's key."""
    folder = pathlib.Path(command.home) / "export"
    shutil.rmtree(folder, ignore_errors=True)
    command.at(world.server.url)
    done = command.run("log", "export", folder, check=False)
    if done.returncode == 0:
        done = command.run("log", "verify", folder,
                           *[word for file in known for word in ("--known", file)], check=False)
    return done


def is_found_out(world, command):
    """At the start, or by a reader."""
    if start(world) is not None:
        return True
    done = verify(world, command)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 1 and done.stdout != ""


def test_an_honest_log_is_believed(signed):
    """Or nothing below would prove anything."""
    world, command, receipt = signed
    assert start(world) is None
    done = verify(world, command, receipt)
    assert done.returncode == 0, done.stdout + done.stderr


def size_of(db):
    return db.execute("SELECT count(*) FROM leaf").fetchone()[0]


@pytest.mark.parametrize("count", [1, 2, 40, 560])
# row 13
def test_the_last_entries_are_cut_off(signed, count):
    world, command, _ = signed
    with database(world) as db:
        db.execute("DELETE FROM leaf WHERE idx >= ?", (size_of(db) - count,))
        db.execute("DELETE FROM tile WHERE (idx + 1) * 256 > ?", (size_of(db),))
    assert "older copy" in start(world)
    (world.server.data / "anchor/checkpoint").unlink()  # and what remembers it
    assert is_found_out(world, command)


def flip(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]


@pytest.mark.parametrize("column", ["entry", "detail"])
@pytest.mark.parametrize("where", ["first tile", "newest"])
# row 13
def test_an_entry_is_edited(signed, column, where):
    world, command, _ = signed
    with database(world) as db:
        last = size_of(db) if where == "newest" else 200
        index, content = db.execute(
            f"SELECT idx, {column} FROM leaf WHERE idx < ? AND length({column}) > 0 "
            "ORDER BY idx DESC LIMIT 1", (last,)).fetchone()
        db.execute(f"UPDATE leaf SET {column} = ? WHERE idx = ?",
                   (flip(content, len(content) - 1), index))
    assert is_found_out(world, command)


@pytest.mark.parametrize("first,second", [(100, 101), (100, 400), (-2, -1)])
# row 13
def test_entries_are_exchanged(signed, first, second):
    world, command, _ = signed
    with database(world) as db:
        first, second = (at % size_of(db) for at in (first, second))
        db.execute("UPDATE leaf SET idx = -1 WHERE idx = ?", (first,))
        db.execute("UPDATE leaf SET idx = ? WHERE idx = ?", (first, second))
        db.execute("UPDATE leaf SET idx = ? WHERE idx = -1", (second,))
    assert is_found_out(world, command)


# row 13
def test_an_entry_is_taken_out_of_the_middle(signed):
    world, command, _ = signed
    with database(world) as db:
        db.execute("DELETE FROM leaf WHERE idx = 300")
        db.execute("UPDATE leaf SET idx = idx - 1 WHERE idx > 300")
    assert is_found_out(world, command)


def test_a_tile_is_edited(signed):
    world, command, _ = signed
    with database(world) as db:
        hashes = db.execute("SELECT hashes FROM tile WHERE level = 0 AND idx = 0").fetchone()[0]
        db.execute("UPDATE tile SET hashes = ? WHERE level = 0 AND idx = 0", (flip(hashes, 3200),))
    assert is_found_out(world, command)


# row 13
def test_an_old_disk_is_put_back_whole(signed):
    """Store, anchor and all: on the machine itself nothing is left that knows better. Who kept a
    receipt of what was forgotten knows; so does he when the log has grown past it again."""
    world, command, _ = signed
    assert start(world) is None
    newer = world.folder / "newer"
    result = ok(world.admin.sign("k", b"to be forgotten", receipt="full"))["results"][0]
    newer.write_text(result["receipt"])
    world.admin.close()
    world.server.stop()
    copy(world.folder / "kept", world.server.data)
    assert start(world) is None
    done = verify(world, command)
    assert done.returncode == 0, "nobody can know without a receipt"
    assert verify(world, command, newer).returncode == 1
    for number in range(3):  # the fork
        ok(world.admin.sign("k", b"instead %d" % number, receipt="full"))
    world.admin.close()
    assert verify(world, command).returncode == 0
    done = verify(world, command, newer)
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_forced_start_on_an_older_store_is_in_the_log(signed):
    """`--accept-older-store` is for disasters: it leaves an entry, and the receipt tells the
    rest."""
    world, command, receipt = signed
    with database(world) as db:
        db.execute("DELETE FROM leaf WHERE idx >= ?", (size_of(db) - 2,))
    world.server.start("--accept-older-store")
    ok(world.admin.sign("k", b"after", receipt="full"))
    world.admin.close()
    kinds = [entry["kind"] for entry, _ in world.entries()]
    assert "recovery" in kinds
    done = verify(world, command, receipt)
    assert done.returncode == 1, done.stdout
    world.server.signal(2)
    world.server.process.wait(timeout=SOON)
    world.server.wait_end()
