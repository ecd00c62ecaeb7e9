# SPDX-License-Identifier: MIT
"""Processes that are killed, stopped or hung while clients sign; the whole server killed again and
again. Nothing answered is lost, nothing is signed that is not in the log."""

import os
import signal

import pytest

from api import running_world
from checker import Load, check
from conftest import BUILD, SLOW, SOON
from faults import faulty, fault, wait_gone

FULL = bool(os.environ.get("CHANCERY_FULL")) and SLOW == 1
SERVER_KILLS = 100 if FULL else 4


@pytest.fixture
def world():
    with running_world(token_timeout_ms=int(1500 * SLOW)) as made:
        made.admin.key("k")
        made.admin.policy()
        yield made


def kill_all(world, role, number):
    pids = [pid for pid, name in world.server.processes().items() if name == role]
    for pid in pids:
        os.kill(pid, number)
    return pids


@pytest.mark.parametrize("role", ["front", "query", "inspect", "signer", "token"])
# row 16
def test_a_process_that_is_killed_under_load(world, role):
    with Load(world) as load:
        for _ in range(3):
            load.more()
            pids = kill_all(world, role, signal.SIGKILL)
            wait_gone(pids)
            load.more()
    world.server.wait_ready()
    check(world, load)


# row 20
def test_one_of_the_token_processes_is_killed_under_load(world):
    with Load(world) as load:
        for _ in range(4):
            load.more()
            os.kill(world.server.pid_of("token"), signal.SIGKILL)
        load.more()
    world.server.wait_ready()
    check(world, load)


# row 20
def test_token_processes_that_stand_still_are_replaced(world):
    """All of them, so that no other does their work; what they held goes to those that come."""
    with Load(world) as load:
        load.more()
        pids = kill_all(world, "token", signal.SIGSTOP)
        world.server.wait_event("process.hung")
        wait_gone(pids)
        load.more()
    world.server.wait_ready()
    check(world, load)


def test_a_module_that_hangs_under_load():
    with faulty(BUILD, token_timeout_ms=int(1500 * SLOW)) as world:
        with Load(world) as load:
            load.more()
            with fault(world, "hang"):
                world.server.wait_event("process.hung")
            load.more()
        world.server.wait_ready()
        check(world, load)


# row 16
def test_a_server_that_is_killed_again_and_again(world):
    """What the disk holds when all processes die at the same moment is whole."""
    with Load(world) as load:
        for _ in range(SERVER_KILLS):
            load.more(10)
            pids = [world.server.process.pid, *world.server.processes()]
            world.server.signal(signal.SIGKILL)
            world.server.process.wait(timeout=SOON)
            wait_gone(pids[1:])
            world.server.drop()
            world.server.start()
        load.more(10)
    check(world, load)
