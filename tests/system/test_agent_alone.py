# SPDX-License-Identifier: MIT
"""The agent against a server that answers as a test says: what it does while nobody asks it
anything, and while the server does not answer."""

import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import door
from client_stub import Stub, key_pem, pem_of
from conftest import SOON, Client
from door import Agent

GIVES_UP_S = 25  # a call that only reads, after 30 s
LIFE_S = 90
LEFT_S = LIFE_S / 3 + 4  # it becomes due while the agent runs: less than a third is left then


@pytest.fixture(name="stub")
def fixture_stub(folder):
    running = Stub(folder)
    yield running
    running.close()


@pytest.fixture(name="client")
def fixture_client(folder, stub):
    client = Client(folder / "home", stub.url)
    client.enroll(stub.code())
    stub.requests.clear()
    return client


@pytest.fixture(name="agent")
def fixture_agent(client):
    agent = Agent(client)
    yield agent
    agent.drop()


def put_certificate(client, stub, **times):
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = stub.ca.issue(key.public_key(), "alice", **times)
    path = client.home / ".config/chancery/default.pem"
    path.write_text(key_pem(key) + pem_of(leaf))
    path.chmod(0o600)
    return path


# --- on its timer ---

def test_renewal_when_nobody_asks(stub, client, agent):
    """Nothing is asked of the agent: its timer renews, and what it asks then shows the new one."""
    path = put_certificate(client, stub, starts_hours=(LEFT_S - LIFE_S) / 3600,
                           ends_hours=LEFT_S / 3600)
    before = path.read_text()
    renew, is_known = stub.renew, threading.Event()
    told = stub.answers["GET /v1/whoami"]

    def whoami(request):
        answer = told(request)
        if stub.asked("POST /v1/renew"):
            is_known.set()
        return answer
    stub.answers["GET /v1/whoami"] = whoami
    stub.answers["POST /v1/renew"] = renew
    agent.start()
    assert is_known.wait(SOON), [r.path for r in stub.requests]
    after = path.read_text()
    assert after != before
    assert after.split("-----BEGIN CERTIFICATE")[0] == before.split("-----BEGIN CERTIFICATE")[0]
    asked = [r for r in stub.requests if r.path == "/v1/renew"]
    assert len(asked) == 1
    assert asked[0].principal == "alice"
    assert stub.requests[-1].serial != asked[0].serial
    agent.stop()


def test_renewal_that_fails_is_told_once_and_tried_again(stub, client, agent):
    """An agent with a certificate that is due, and a server that does not renew at first."""
    put_certificate(client, stub, starts_hours=-20, ends_hours=2)
    renew, tries = stub.renew, []
    is_renewed = threading.Event()

    def fail_first(request):
        tries.append(request)
        if len(tries) == 1:
            return 503, {"type": "urn:chancery:problem:busy", "title": "x", "status": 503,
                         "detail": "not now"}, {"Content-Type": "application/problem+json"}
        is_renewed.set()
        return renew(request)
    stub.answers["POST /v1/renew"] = fail_first
    agent.start()
    agent.wait_event("agent.upkeep_failed")
    assert is_renewed.wait(SOON)
    assert len(tries) == 2
    agent.stop()


# --- a server that does not answer ---

def test_calls_that_hang_hold_up_nobody(stub, client, agent):
    """More calls hang than the agent has threads for at once; another is answered all the same."""
    release = threading.Event()

    def hang(request):
        release.wait(SOON)
        return 200, {"users": []}, {}
    stub.answers["GET /v1/users"] = hang
    agent.start()
    asking = [agent.door() for _ in range(6)]
    for one in asking:
        one.send(door.CALL, "Call", op=door.OP_USERS_LIST, request=door.encode("Empty"))
    try:
        began = time.monotonic()
        with agent.door() as other:
            whoami = other.call(door.OP_WHOAMI, "Empty", "Whoami")
        assert whoami["principal"] == "alice"
        assert time.monotonic() - began < GIVES_UP_S  # it did not wait for one of them to end
        assert len(stub.asked("GET /v1/users")) >= 4
    finally:
        release.set()
        for one in asking:
            one.close()
    agent.stop()
