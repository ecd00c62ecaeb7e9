# SPDX-License-Identifier: MIT
"""A disk that is full, or that loses what it was given, while the log is written: no signature
leaves that is not on it, the server says why, and goes on when there is room."""

import contextlib
import os
import signal
import subprocess

import pytest

from api import World
from checker import Load, check
from conftest import Server
from faults import mounted, unmount, wait_gone

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
TMPFS = ("-t", "tmpfs", "-o", "size=24m,mode=0755", "none")


class Filler:
    """All the room that there is on a file system, taken and given back."""

    def __init__(self, folder):
        self.path = folder / "filler"

    def take(self):
        with open(self.path, "ab", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(b"x" * 65536):
                pass

    def give(self):
        self.path.unlink()


@contextlib.contextmanager
def world_in(folder):
    server = Server(folder)
    try:
        world = World(server.start())
        world.admin.key("k")
        world.admin.policy()
        yield world
        world.stop()
    finally:
        left = list(server.processes()) if server.process is not None else []
        server.drop()
        wait_gone(left)  # before the disk goes


def fill_until_nothing_is_signed(filler, load):
    """What was on its way may still arrive, and a new signer finds the room that it gives back
    itself; whether all that is in the log, check() sees. But it must come to an end."""
    for _ in range(50):
        filler.take()
        count, refusals = load.count(), load.refusals()
        load.until(lambda n=refusals: load.refusals() > n + 20, "it never refuses")
        if load.count() == count:
            return
    pytest.fail("signed on a full disk")


def test_a_disk_that_fills_up_under_load(folder):
    small = folder / "small"
    unmount = mounted(small, *TMPFS)
    try:
        with world_in(small) as world, Load(world) as load:
            filler = Filler(small)
            for _ in range(2):
                load.more()
                filler.take()
                world.server.wait_event("signer.failed", after=len(world.server.lines))
                fill_until_nothing_is_signed(filler, load)
                filler.give()
                world.server.wait_ready()
                load.more()
            load.stop()
            check(world, load)
    finally:
        unmount()


@contextlib.contextmanager
def loop_disk(folder):
    """An ext4 file system in a file on a small tmpfs. When the tmpfs is full, what is written to
    the file system is lost behind its back, and fsync(2) says so, once."""
    below, above = folder / "below", folder / "above"
    with contextlib.ExitStack() as stack:
        stack.callback(mounted(below, *TMPFS))
        image = below / "image"
        with open(image, "wb") as out:
            out.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], check=True)
        stack.callback(mounted(above, "-o", "loop", image))
        above.chmod(0o755)
        yield below, above


@pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="no loop devices")
# row 15
def test_a_disk_that_loses_what_it_took(folder):
    """After fsync(2) has failed, the kernel takes the pages for clean: a later success says
    nothing about them. What is answered must be there when they are read from the disk."""
    with loop_disk(folder) as (below, above):
        place = above / "server"
        place.mkdir()
        filler = Filler(below)
        with world_in(place) as world, Load(world) as load:
            load.more()
            filler.take()
            world.server.wait_event("signer.failed")
            filler.give()
            world.server.wait_ready()
            load.more()
            load.stop()
            check(world, load)
            world.server.signal(signal.SIGKILL)
            world.server.wait_end()
            # What the disk has, and not what the kernel remembers.
            unmount(above)
            subprocess.run(["mount", "-o", "loop", below / "image", above], check=True)
            world.server.start()
            check(world, load)
