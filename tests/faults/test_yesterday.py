# SPDX-License-Identifier: MIT
"""The store is replaced by yesterday's copy: the server refuses, for what was answered since would
be forgotten."""

import subprocess

from api import ok, running_world
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


# row 13
def test_an_anchor_that_is_damaged_or_lost():
    """What docs/operations.md tells to do then: put it aside, and go on once, which is logged."""
    with running_world() as world:
        anchor = world.server.data / "anchor" / "checkpoint"
        world.admin.key("k")
        world.admin.policy()
        with Load(world) as first:
            first.more()
        world.stop()
        whole = anchor.read_bytes()
        anchor.write_bytes(bytes(byte ^ 1 for byte in whole))
        refuses(world.server, "whole")
        anchor.rename(world.folder / "damaged")
        refuses(world.server, "is gone or empty")
        world.server.start("--accept-older-store")
        with Load(world) as second:
            second.more()
        world.stop()
        world.server.start()  # once was enough
        entries = ok(world.admin.get("/v1/log?kind=recovery"))["entries"]
        assert len(entries) == 1, entries
        with Load(world) as third:
            third.more()
        check(world, first, second, third)
