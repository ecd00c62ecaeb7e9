# SPDX-License-Identifier: MIT
"""The store is replaced by yesterday's copy: the server refuses, for what was answered since would
be forgotten."""

import subprocess

from api import running_world
from checker import Load, check
from conftest import SOON


def copy(source, target):
    """With owners, modes and nothing left of what was there."""
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def refuses(server, words):
    server.launch()
    failed = server.wait_event("signer.failed")
    assert words in failed["error_text"], failed
    assert server.process.wait(timeout=SOON) != 0
    server.wait_end()


# row 13
def test_yesterdays_store_is_refused():
    with running_world() as world:
        store, anchor = world.store.parent, world.server.data / "anchor"
        yesterday, today = world.folder / "yesterday", world.folder / "today"
        world.admin.key("k")
        world.admin.policy()
        with Load(world) as first:
            first.more()
        world.stop()
        copy(store, yesterday)
        world.server.start()
        with Load(world) as second:
            second.more()
        world.stop()
        copy(store, today)
        copy(yesterday, store)
        refuses(world.server, "it is an older copy")
        anchor_file = anchor / "checkpoint"
        anchor_file.rename(world.folder / "checkpoint")
        refuses(world.server, "is gone or empty")
        (world.folder / "checkpoint").rename(anchor_file)
        copy(today, store)
        world.server.start()
        with Load(world) as third:
            third.more()
        check(world, first, second, third)
