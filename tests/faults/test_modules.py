# SPDX-License-Identifier: MIT
"""A PKCS#11 module that lies, dies or blocks while clients sign: what is wrong never leaves."""

import os
import signal

import pytest

from checker import Load, check
from conftest import BUILD, SLOW
from faults import fault, faulty

SIGN_ALL = (("k", "ecdsa-sha256"), ("r", "rsa-pss-sha256"), ("e", "ed25519"),
            ("r", "rsa-pkcs1-sha256"))


@pytest.fixture(scope="module")
def world():
    with faulty(BUILD, token_timeout_ms=int(1500 * SLOW)) as made:
        yield made


def end_tokens(world):
    """What is in quarantine is so for as long as its process lives."""
    for pid, role in world.server.processes().items():
        if role == "token":
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("lie", ["wrong-signature", "truncated-signature", "other-key"])
# row 30
def test_a_module_that_lies_under_load(world, lie):
    with Load(world, keys=SIGN_ALL) as load:
        load.more()
        lines = len(world.server.lines)
        with fault(world, lie):
            world.server.wait_event("token.key_quarantined", after=lines)
            refusals = load.refusals()
            load.until(lambda: load.refusals() > refusals + 10, "it is believed")
        end_tokens(world)
        load.more()
    world.server.wait_ready()
    check(world, load)


def test_a_module_that_crashes_under_load(world):
    with Load(world, keys=SIGN_ALL) as load:
        load.more()
        lines = len(world.server.lines)
        with fault(world, "crash"):
            world.server.wait_event("process.ended", after=lines)
            refusals = load.refusals()
            load.until(lambda: load.refusals() > refusals, "nobody is told")
        load.more()
    world.server.wait_ready()
    check(world, load)


@pytest.mark.parametrize("lie", ["crash-at-load", "hang-at-load"])
def test_a_module_that_does_not_load_under_load(world, lie):
    """Nothing is signed meanwhile, and everything works when it loads again."""
    with Load(world, keys=SIGN_ALL) as load:
        load.more()
        with fault(world, lie):
            end_tokens(world)
            refusals = load.refusals()
            load.until(lambda: load.refusals() > refusals + 20, "nobody is told")
            count = load.count()
            refusals = load.refusals()
            load.until(lambda: load.refusals() > refusals + 10, "nobody is told")
            assert load.count() == count, "signed without a token"
        if lie == "hang-at-load":
            end_tokens(world)  # they would be given a minute to start
        load.more()
    world.server.wait_ready()
    check(world, load)
