# SPDX-License-Identifier: MIT
"""Lists of keys over HTTP: pages, what may be used, one by its id; and 10,000 of them, with the
figures printed (pytest -s)."""

import sqlite3
import time
import urllib.parse

import pytest

from api import ok, refused, world

COUNT = 10_000
POLICY = """\
version: 1
rules:
  - name: user-signs
    effect: allow
    match: {principal: user, key: [n*, template]}
  - name: but-not-these
    effect: deny
    match: {key: n00*}
"""


def copies(world, count):
    """Records like that of the key "template", with its certificate, under names and ids of their
    own: what `count` keys would leave in the store. No token holds them."""
    with sqlite3.connect(world.store) as db:
        (body,) = db.execute(
            "SELECT body FROM object WHERE kind = 1 AND name = 'template'").fetchone()
        # The canonical form begins with the name, then the id (src/proto/api.c).
        rest = body[4 + len(b"template") + 16:]
        rows = []
        for number in range(count):
            name = f"n{number:05d}"
            head = len(name).to_bytes(4, "big") + name.encode() + key_id(number)
            rows.append((1, name, head + rest))
        db.executemany("INSERT INTO object (kind, name, body) VALUES (?, ?, ?)", rows)


def key_id(number):
    return number.to_bytes(15, "little") + b"\x01"


@pytest.fixture(scope="module")
def many(world):
    world.admin.key("template", "rsa-3072")
    ok(world.admin.post("/v1/keys/template/development-certificate", {}))
    world.admin.policy(POLICY)
    copies(world, COUNT)
    return world


def pages(api, **query):
    """All keys that a query gives, and how many answers it took."""
    found, answers = [], 0
    while True:
        page = ok(api.get("/v1/keys?" + urllib.parse.urlencode(query)))
        found += page["keys"]
        answers += 1
        if not page.get("next"):
            return found, answers
        query["after"] = page["next"]


def timed(what, call):
    start = time.monotonic()
    result = call()
    print(f"\n{what}: {(time.monotonic() - start) * 1000:.1f} ms", end="")
    return result


def test_one_page_after_another(many):
    found, answers = timed("all of 10,000 keys", lambda: pages(many.admin))
    names = [key["name"] for key in found]
    assert len(names) >= COUNT and names == sorted(names)
    assert answers >= COUNT // 500
    few, _ = pages(many.admin, limit=3, after="n09996")
    assert [key["name"] for key in few if key["name"][0] == "n"] == ["n09997", "n09998", "n09999"]


def test_usable_is_what_policy_might_allow(many):
    user = many.person("user")
    found, _ = timed("usable ones of 10,000 keys", lambda: pages(user, usable="true"))
    names = [key["name"] for key in found]
    assert names == [f"n{number:05d}" for number in range(1000, COUNT)] + ["template"]
    assert all(key["state"] == "active" for key in found)
    nobody, _ = timed("usable ones of 10,000, of which there are none",
                      lambda: pages(many.admin, usable="true"))
    assert nobody == []  # a role lets nobody sign


def test_one_by_its_id_and_by_its_name(many):
    def by_id(number):
        return ok(many.admin.get(f"/v1/keys?id={key_id(number).hex()}"))["keys"]

    first = timed("by its id, for the first time", lambda: by_id(7))
    assert [key["name"] for key in first] == ["n00007"]
    for number in (4321, 9999):
        assert timed("by its id", lambda n=number: by_id(n))[0]["name"] == f"n{number:05d}"
    assert timed("by an id that is none", lambda: by_id(COUNT)) == []
    assert timed("by its name", lambda: ok(many.admin.get("/v1/keys/n05000")))["id"] \
        == key_id(5000).hex()


def test_a_page_of_one_too_many(many):
    refused(many.admin.get("/v1/keys?limit=501"), 413, "over-limit")
    assert len(ok(many.admin.get("/v1/keys?limit=500"))["keys"]) == 500


@pytest.mark.parametrize("query", ["limit=-1", "id=00", "usable=maybe", "x=y"])
def test_queries_that_are_none(many, query):
    refused(many.admin.get(f"/v1/keys?{query}"), 400, "malformed")


def test_keys_list_has_them_all(many):
    many.person("viewer", roles=["auditor"])
    client = many.server.client("viewer-client")
    client.enroll(many.code_for("viewer"))
    assert len(client.json("keys", "list")["keys"]) >= COUNT
    assert client.json("keys", "list", "--usable")["keys"] == []
