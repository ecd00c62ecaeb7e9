# SPDX-License-Identifier: MIT
"""Row 15: a disk that has become read-only, and one that takes writes and does not come back from
them. No signature leaves meanwhile; what waits is not forgotten, and what was answered stays."""

import os
import subprocess
import threading

import pytest

from api import Api
from checker import Load, check
from conftest import SLOW
from faults import unmount, wait_gone
from test_disk import loop_disk, world_in

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="no loop devices"),
]


class frozen:
    """What writes to the file system waits in the kernel until it thaws."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        subprocess.run(["fsfreeze", "--freeze", self.folder], check=True)

    def __exit__(self, *_):
        subprocess.run(["fsfreeze", "--unfreeze", self.folder], check=True)


# row 15
def test_a_disk_that_hangs(folder):
    """Who asks meanwhile waits or is refused; nobody gets a signature."""
    with loop_disk(folder) as (_, above):
        place = above / "server"
        place.mkdir()
        with world_in(place) as world, Load(world) as load:
            load.more()
            answers = []
            late = threading.Thread(target=lambda: answers.append(
                Api(world, world.admin.identity).sign("k", b"while it stands still")))
            with frozen(above):
                late.start()
                # What was on its way out when it froze may still arrive; then nothing more.
                late.join(timeout=2 * SLOW)
                count = load.count()
                late.join(timeout=1 * SLOW)
                assert load.count() == count, "signed, and nothing was written"
                assert not answers or answers[0].status >= 500, answers
                assert world.nobody.get("/healthz").status == 200, "front hangs as well"
            late.join()
            load.more()
            load.stop()
            check(world, load)


# row 15
def test_a_disk_that_becomes_read_only(folder):
    """As ext4 does after an error. The server says why it stops, and works on a good disk."""
    with loop_disk(folder) as (below, above):
        place = above / "server"
        place.mkdir()
        with world_in(place) as world, Load(world) as load:
            load.more()
            os.sync()  # the clients' certificates are there as well
            subprocess.run(["mount", "-o", "remount,abort", above], check=False,
                           capture_output=True)
            failed = world.server.wait_event("signer.failed")
            assert failed["error"] == "E_STORE", failed
            # What was on its way out when it failed still arrives; then nothing more.
            refusals = load.refusals()
            load.until(lambda: load.refusals() > refusals + 40, "it never refuses")
            count, refusals = load.count(), load.refusals()
            load.until(lambda: load.refusals() > refusals + 40, "it never refuses")
            assert load.count() == count, "signed on a disk that cannot be written"
            pids = [*world.server.processes()]
            world.server.drop()
            wait_gone(pids)
            unmount(above)
            subprocess.run(["mount", "-o", "loop", below / "image", above], check=True)
            world.server.start()
            load.more()
            load.stop()
            check(world, load)
