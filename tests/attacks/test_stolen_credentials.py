# SPDX-License-Identifier: MIT
"""Row 7: the API token of a build job is stolen. It signs with that job's keys from where the job
runs, until it is revoked, and every try stands in the log. (Tokens that identity providers issue
come later; what a job's token is today is what users add-token makes.)"""

import os
import pathlib
import shutil

import pytest

from api import ok, refused, running_world
from conftest import Client
from door import Agent

POLICY = """\
version: 1
rules:
  - name: project-x-signs-its-own
    effect: allow
    match:
      principal: ci-x
      key: x-*
  - name: project-y-signs-its-own
    effect: allow
    match:
      principal: ci-y
      key: y-*
      network: {network}
"""


@pytest.fixture(scope="module")
def world():
    with running_world() as made:
        for name in ("x-release", "y-release"):
            made.admin.key(name)
        for name in ("ci-x", "ci-y"):
            made.person(name)
        made.admin.policy(POLICY.format(network="127.0.0.0/8"))
        yield made


def denied(world, client, key):
    """It is refused, and who tried what with which token is in the log."""
    with world.logged("sign.intent") as found:
        refused(client.sign(key), 403, "denied-by-policy")
    entry, _ = found[0]
    assert (entry["decision"], entry["subject"], entry["method"]) == ("denied", key, "api-token")
    return entry


# row 7
def test_a_token_of_one_project_for_the_key_of_another(world):
    stolen, _ = world.token_for("ci-x", ["sign"])
    ok(stolen.sign("x-release"))
    assert denied(world, stolen, "y-release")["principal"] == "ci-x"


# row 7
def test_a_token_that_is_held_to_keys_does_not_reach_policy(world):
    """A policy that is too wide does not widen the token: here it would allow."""
    stolen, _ = world.token_for("ci-x", ["sign"], keys=["x-test"])
    with world.unchanged():
        refused(stolen.sign("x-release"), 403, "forbidden")


# row 7
def test_a_token_that_is_used_from_elsewhere(world):
    stolen, _ = world.token_for("ci-y", ["sign"])
    ok(stolen.sign("y-release"))
    world.admin.policy(POLICY.format(network="192.0.2.0/24"))
    denied(world, stolen, "y-release")
    for forged in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        answer = stolen.call("POST", "/v1/sign", headers={forged: "192.0.2.1"}, body={
            "items": [{"key": "y-release", "algorithm": "ecdsa-sha256", "digest": "ab" * 32,
                       "hashed_by": "client"}]})
        refused(answer, 403, "denied-by-policy")
    world.admin.policy(POLICY.format(network="127.0.0.0/8"))


def test_a_token_does_nothing_but_sign(world):
    stolen, info = world.token_for("ci-x", ["sign"])
    with world.unchanged():
        for method, path, body in (
                ("POST", "/v1/users/ci-x/api-tokens", {"scopes": ["sign"]}),
                ("POST", "/v1/users/ci-x/enrolment-codes", {}),
                ("POST", "/v1/policies", {"policy": "version: 1\nrules: []\n"}),
                ("POST", "/v1/keys", {"name": "mine", "type": "p256"}),
                ("DELETE", f"/v1/users/ci-x/api-tokens/{info['id']}", None),
                ("POST", "/v1/renew", {"csr": world.admin.identity.csr()})):
            answer = stolen.call(method, path, body=body)
            assert answer.status in (401, 403), (path, answer)


# row 7
def test_a_token_that_is_found_out(world):
    """Revoked, it is nothing at once; what it did is found by its principal."""
    stolen, info = world.token_for("ci-x", ["sign"])
    index = ok(stolen.sign("x-release", b"malware"))["results"][0]["outcome"]["index"]
    ok(world.admin.delete(f"/v1/users/ci-x/api-tokens/{info['id']}"))
    with world.unchanged():
        refused(stolen.sign("x-release"), 401, "unauthenticated")
    found = ok(world.admin.get("/v1/log?principal=ci-x&limit=1000"))["entries"]
    assert index in [row["index"] for row in found]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_an_agents_memory_is_not_for_its_users_other_programs(world):
    """The login of a person is in it: it can be used through the socket, and not be read out, nor
    from a core, which a process that is not dumpable does not leave."""
    if world.server.is_loose:
        pytest.skip("a loose build has no seccomp filter")
    world.person("worker")
    client = Client(world.folder / "worker-home", world.server.url)
    client.enroll(world.code_for("worker"))
    for path in (client.home, *client.home.rglob("*")):
        shutil.chown(path, "nobody")
    agent = Agent(client, user="nobody").start()
    try:
        for name in ("mem", "environ", "maps"):
            path = pathlib.Path(f"/proc/{agent.process.pid}/{name}")
            assert path.stat().st_uid == 0, "who is not dumpable is root's to look at"
    finally:
        agent.stop()
