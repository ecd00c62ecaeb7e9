# SPDX-License-Identifier: MIT
"""What tests of faults share: a module that lies on demand, waits for processes to end, small
disks."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

from api import running_world
from conftest import SOON


def wait_gone(pids):
    """Until none of them is more than a body that was not buried."""
    deadline = time.monotonic() + SOON
    while any(_is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"{pids} do not end"
        time.sleep(0.01)


def _is_alive(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


KEYS = (("k", "p256"), ("k2", "p256"), ("r", "rsa-3072"), ("e", "ed25519"))


@contextlib.contextmanager
def faulty(build, **settings):
    """A world whose token's module misbehaves as `fault` says; its keys are those of KEYS."""
    with running_world(**settings) as made:
        for name, kind in KEYS:
            made.admin.key(name, kind)
        made.admin.policy()
        made.stop()
        path = made.folder / "faulty_module.so"
        shutil.copy(build / "tests/faults/faulty_module.so", path)
        path.chmod(0o755)
        made.server.set("module", f'"{path}"')
        made.server.set("software", "true")
        made.server.set("verify_signatures", "true")
        made.server.start()
        yield made


@contextlib.contextmanager
def fault(world, text):
    """tests/faults/faulty_module.c has the names."""
    folder = world.server.data / "tokens/soft"
    path = folder / "softhsm2.conf.fault"
    fresh = folder / "softhsm2.conf.fault.new"
    fresh.write_text(text)
    if os.geteuid() == 0:
        info = folder.stat()
        os.chown(fresh, info.st_uid, info.st_gid)
    fresh.rename(path)
    try:
        yield
    finally:
        path.unlink()


def mounted(folder, *words):
    """Mount there; the answer unmounts."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *(str(word) for word in words), str(folder)], check=True,
                   capture_output=True)
    return lambda: unmount(folder)


def unmount(folder):
    """Once the last process that was killed has let go of it, be it one that nobody listed, since
    it was being started again."""
    deadline = time.monotonic() + SOON
    while subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, f"{folder} is in use"
        time.sleep(0.01)
