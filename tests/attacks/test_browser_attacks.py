# SPDX-License-Identifier: MIT
"""A page of somebody else's in the browser of a person whose client certificate, or name and token,
that browser has. It may send a form, or have a script send a body of any simple type, and the
browser adds the credential; what it cannot do is hide where it comes from."""

import pytest

from api import ok, refused, running_world

STRANGE = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
           {"Sec-Fetch-Site": "SAME-ORIGIN"}, {"Origin": "https://other.example"},
           {"Origin": "null"}, {"Origin": ""},
           {"Sec-Fetch-Site": "cross-site", "Origin": "own"}]
OWN = [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "own"}, {"Origin": "own"},
       {"Sec-Fetch-Site": "none"}]


@pytest.fixture(name="world", scope="module")
def fixture_world():
    with running_world(enabled="true") as world:
        world.admin.key("k")
        ok(world.admin.post("/v1/keys/k/development-certificate", {"subject": "CN=Test"}))
        world.admin.policy()
        yield world


def fields(world, given):
    """With the origin that a page of this server's would have."""
    return {name: value.replace("own", world.server.url) for name, value in given.items()}


@pytest.mark.parametrize("given", STRANGE, ids=str)
def test_a_page_of_another_site_asks_in_a_persons_name(world, given):
    """Row 33: a form without fields is a whole request to the operations that need no body."""
    with world.unchanged():
        form = {**fields(world, given), "Content-Type": "application/x-www-form-urlencoded"}
        refused(world.admin.post("/v1/keys/k/disable", raw=b"", headers=form), 403, "forbidden")
        answer = world.admin.post("/rest/v1/workers/k/process", {"data": "x"},
                                  headers=fields(world, given))
        assert (answer.status, answer.json.get("data")) == (403, None)
    # Reading does nothing, and the answer is not shown to that page.
    assert ok(world.admin.get("/v1/keys/k", **fields(world, given)))["state"] == "active"


@pytest.mark.parametrize("given", OWN, ids=str)
def test_who_is_no_browser_or_at_home(world, given):
    headers = fields(world, given)
    ok(world.admin.post("/v1/keys/k/disable", headers=headers))
    ok(world.admin.post("/v1/keys/k/enable", headers=headers))
    answer = world.admin.post("/rest/v1/workers/k/process", {"data": "x"}, headers=headers)
    assert ok(answer)["data"]
