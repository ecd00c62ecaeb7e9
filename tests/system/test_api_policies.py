# SPDX-License-Identifier: MIT
"""Policies and guards: what is loaded and what is refused, that a change holds at once, that the
explanation agrees with what happens, and that denials do not flood the log."""

import base64
import hashlib
import random

import pytest

from api import ALLOW_ALL, item, ok, refused, running_world, world


def rule(name, effect="allow", more=""):
    return f"  - name: {name}\n    effect: {effect}\n{more}"


def policy(*rules):
    return "version: 1\nrules:" + (" []\n" if not rules else "\n" + "".join(rules))


def rules_of(count):
    return policy(*(rule(f"r{i}", "allow", f"    match:\n      key: k{i}\n") for i in range(count)))


MATCH = "    match:\n      "
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi")
)
WRONG = {
    "no YAML": ("a: [", 400, "malformed", None),
    "nothing": ("", 400, "malformed", None),
    "a list": ("- x\n", 400, "malformed", None),
    "no version": ("rules: []\n", 400, "malformed", None),
    "another version": ("version: 2\nrules: []\n", 400, None, None),
    "an unknown member": ("version: 1\nrules: []\nmore: 1\n", 400, "malformed", "line 3"),
    "a member twice": ("version: 1\nversion: 1\nrules: []\n", 400, "malformed", "line 2"),
    "an unknown matcher": (
        policy(rule("r", "allow", MATCH + "keys: k\n")),
        400,
        "malformed",
        "line 6",
    ),
    "an unknown effect": (policy(rule("r", "permit")), 400, "malformed", "line 4"),
    "a rule without a name": ("version: 1\nrules:\n  - effect: allow\n", 400, "malformed", None),
    "two rules of a name": (policy(rule("r"), rule("r", "deny")), 400, "malformed", "r"),
    "an empty list": (policy(rule("r", "allow", MATCH + "key: []\n")), 400, "malformed", None),
    "an allow with unless": (
        policy(rule("r", "allow", "    unless:\n      key: k\n")),
        400,
        "malformed",
        None,
    ),
    "an unknown type": (
        policy(rule("r", "allow", MATCH + "key_type: rsa-1024\n")),
        400,
        "malformed",
        None,
    ),
    "an unknown algorithm": (
        policy(rule("r", "allow", MATCH + "algorithm: ecdsa-sha1\n")),
        400,
        "malformed",
        None,
    ),
    "an unknown role": (policy(rule("r", "allow", MATCH + "role: root\n")), 400, "malformed", None),
    "a wrong network": (
        policy(rule("r", "allow", MATCH + "network: 10.0.0.1/8\n")),
        400,
        "malformed",
        None,
    ),
    "a network past its bits": (
        policy(rule("r", "allow", MATCH + "network: 10.0.0.0/33\n")),
        400,
        "malformed",
        None,
    ),
    "a hash that is none": (
        policy(rule("r", "allow", MATCH + "application:\n        sha256: abc\n")),
        400,
        "malformed",
        None,
    ),
    "an expression that is none": (
        policy(rule("r", "allow", MATCH + "application:\n        command: '(a'\n")),
        400,
        "malformed",
        None,
    ),
    "a wrong time zone": (
        policy(rule("r", "allow", MATCH + "window: {zone: Mars/Olympus}\n")),
        400,
        "malformed",
        "Mars/Olympus",
    ),
    "a time zone out of its folder": (
        policy(rule("r", "allow", MATCH + "window: {zone: ../../../etc/passwd}\n")),
        400,
        "malformed",
        None,
    ),
    "a wrong day": (
        policy(rule("r", "allow", MATCH + "window: {zone: UTC, days: someday}\n")),
        400,
        "malformed",
        None,
    ),
    "a wrong hour": (
        policy(rule("r", "allow", MATCH + "window: {zone: UTC, from: '25:00'}\n")),
        400,
        "malformed",
        None,
    ),
    "a requirement that is not built": (
        policy(rule("r", "require", "    requirement: approvals\n")),
        400,
        "unsupported",
        "approvals",
    ),
    "another that is not built": (
        policy(rule("r", "require", "    requirement: scan\n")),
        400,
        "unsupported",
        "scan",
    ),
    "an unknown requirement": (
        policy(rule("r", "require", "    requirement: luck\n")),
        400,
        "malformed",
        None,
    ),
    "a require without one": (policy(rule("r", "require")), 400, "malformed", None),
    "an alias bomb": (BOMB + "version: 1\nrules: []\n", 400, None, None),
    "an anchor": ("version: 1\nrules: &x []\n", 400, "malformed", None),
    "a tag": ("version: !!python/object 1\nrules: []\n", 400, "malformed", None),
    "two documents": (
        "version: 1\nrules: []\n---\nversion: 1\nrules: []\n",
        400,
        "malformed",
        None,
    ),
    "a tab": ("version: 1\nrules:\n\t- name: r\n", 400, "malformed", None),
    "nested too deep": ("version: 1\nrules: " + "[" * 5000 + "]" * 5000, 400, None, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_policy_that_is_wrong(world, name):
    text, status, kind, word = WRONG[name]
    with world.unchanged():
        answer = world.admin.post("/v1/policies", {"policy": text})
        if kind is None:
            assert answer.status in (status, 413), answer
        else:
            problem = refused(answer, status, kind)
            assert word is None or word in problem["detail"], problem
    ok(world.admin.sign("k"))


def test_10000_rules_pass_and_10001_do_not(world):
    number = world.admin.policy(rules_of(10000))
    assert number["rules"] == 10000
    with world.unchanged():
        refused(world.admin.post("/v1/policies", {"policy": rules_of(10001)}), 413, "over-limit")
    refused(world.admin.sign("k"), 403, "denied-by-policy")
    assert ok(world.admin.get("/v1/policies/0"))["number"] == number["number"]
    world.admin.policy()


def test_versions_are_numbered_and_logged(world):
    before = world.admin.policy()
    with world.logged("policy") as logged:
        after = ok(
            world.admin.post(
                "/v1/policies",
                {
                    "policy": policy(rule("other")),
                    "comment": "why",
                    "expected_number": before["number"],
                },
            )
        )
    entry, detail = logged[0]
    assert after["number"] == before["number"] + 1 and after["author"] == "admin"
    assert entry["policy_number"] == after["number"] and entry["policy_hash"] == after["hash"]
    assert entry["result_sha256"] == after["hash"] and detail["text"] == "why"
    with world.unchanged():
        refused(
            world.admin.post(
                "/v1/policies", {"policy": ALLOW_ALL, "expected_number": before["number"]}
            ),
            409,
            "conflict",
        )
        refused(world.admin.get(f"/v1/policies/{after['number'] + 1}"), 404, "not-found")
        refused(world.admin.get("/v1/policies/x"), 400, "malformed")
        refused(world.admin.get("/v1/policies/-1"), 400, "malformed")
    shown = ok(world.admin.get(f"/v1/policies/{after['number']}"))
    assert shown["policy"] == policy(rule("other")) and shown["comment"] == "why"
    listed = ok(world.admin.get("/v1/policies"))["policies"]
    assert [p["number"] for p in listed[:2]] == [after["number"], before["number"]]
    world.admin.policy()


def test_the_hash_is_of_the_meaning(world):
    one = "version: 1\nrules:\n" + rule("b", "deny", MATCH + "key: [x, y]\n") + rule("a")
    two = (
        "# other words\nrules:\n"
        + rule("a")
        + rule("b", "deny", MATCH + "key: ['y', \"x\"]\n")
        + "version: 1\n"
    )
    three = "version: 1\nrules:\n" + rule("b", "deny", MATCH + "key: [x, z]\n") + rule("a")
    hashes = [world.admin.policy(text)["hash"] for text in (one, two, three)]
    assert hashes[0] == hashes[1] != hashes[2]
    world.admin.policy()


def test_a_change_holds_at_once(world):
    for _ in range(5):
        world.admin.policy(policy())
        refused(world.admin.sign("k"), 403, "denied-by-policy")
        world.admin.policy()
        ok(world.admin.sign("k"))


def test_a_deny_is_enough_and_is_named(world):
    world.admin.policy(
        ALLOW_ALL
        + rule("not-here", "deny", "    description: use the other key\n" + MATCH + "key: k\n")
    )
    answer = world.admin.sign("k")
    problem = refused(answer, 403, "denied-by-policy")
    assert answer.result[0]["rules"] == ["not-here"]
    assert "not-here" in problem["detail"] and "use the other key" in problem["detail"]
    ok(world.admin.sign("r", algorithm="rsa-pkcs1-sha256"))
    world.admin.policy()


# row 11
def test_a_purpose_is_not_another(world):
    """A test key is not used for a release, nor the reverse (threat 11)."""
    world.admin.key("key-for-tests", purpose="test")
    world.admin.key("key-for-releases", purpose="release")
    world.admin.policy(
        policy(
            rule(
                "tests",
                "allow",
                MATCH + "purpose: test\n      label:\n        "
                "stage: {value: test, basis: declared}\n",
            ),
            rule(
                "releases",
                "allow",
                MATCH + "purpose: release\n      label:\n        "
                "stage: {value: release, basis: declared}\n",
            ),
        )
    )
    for key, stage, signs in (
        ("key-for-tests", "test", True),
        ("key-for-tests", "release", False),
        ("key-for-releases", "release", True),
        ("key-for-releases", "test", False),
        ("k", "test", False),
    ):
        answer = world.admin.sign(key, labels={"stage": stage})
        assert answer.status == (200 if signs else 403), (key, stage, answer)
    refused(world.admin.sign("key-for-tests"), 403, "denied-by-policy")
    world.admin.policy()


def test_certificates_are_not_signed_with_a_signing_key(world):
    """No signing oracle: what is shown is recognised, what is not shown is refused (threat 12)."""
    world.admin.policy(
        ALLOW_ALL
        + rule(
            "no-certificates",
            "deny",
            MATCH + "fact:\n        content.type:\n"
            "          value: [x509-*, csr-info]\n          basis: server\n",
        )
    )
    tbs = world.admin.identity.certificate.tbs_certificate_bytes
    answer = world.admin.sign("k", tbs, content=base64.b64encode(tbs).decode())
    refused(answer, 403, "denied-by-policy")
    refused(world.admin.sign("k", tbs), 403, "denied-by-policy")
    declared = [{"name": "content.type", "value": "other"}]
    refused(world.admin.sign("k", tbs, facts=declared), 403, "denied-by-policy")
    refused(
        world.admin.sign("k", tbs, facts=declared, content=base64.b64encode(tbs).decode()),
        403,
        "denied-by-policy",
    )
    ok(world.admin.sign("k", b"text", content=base64.b64encode(b"text").decode()))
    world.admin.policy()


# --- guards ---

GUARD = "- principal: owner\n"


@pytest.fixture
def guarded(world):
    """A key that `owner` and the group "keepers" own."""
    owner = world.person("owner")
    keeper = world.person("keeper", groups=["keepers"])
    if "guarded" not in world.public_keys:
        world.admin.key("guarded", owners=["owner", "group:keepers"])
    ok(owner.put("/v1/keys/guarded/guard", {"guard": ""}))
    return owner, keeper


def test_a_guard_narrows(world, guarded):
    owner, keeper = guarded
    for who in (owner, keeper, world.admin):
        ok(who.sign("guarded"))
    with world.logged("key") as logged:
        made = ok(owner.put("/v1/keys/guarded/guard", {"guard": GUARD}))
    assert logged[0][0]["action"] == "key.guard" and logged[0][0]["principal"] == "owner"
    assert made["guard"] == GUARD
    ok(owner.sign("guarded"))
    for who in (keeper, world.admin):
        with world.logged("sign.intent"):
            refused(who.sign("guarded"), 403, "denied-by-policy")
    world.admin.policy(policy())
    refused(owner.sign("guarded"), 403, "denied-by-policy")  # a guard grants nothing
    world.admin.policy()
    ok(keeper.put("/v1/keys/guarded/guard", {"guard": "- group: keepers\n- principal: owner\n"}))
    for who, signs in ((owner, True), (keeper, True), (world.admin, False)):
        assert (who.sign("guarded").status == 200) is signs
    with world.logged("key") as logged:
        made = ok(owner.put("/v1/keys/guarded/guard", {"guard": ""}))
    assert "guard" not in made
    assert logged[0][0]["result_sha256"] == hashlib.sha256().hexdigest()
    ok(world.admin.sign("guarded"))


def test_a_guard_is_its_owners_alone(world, guarded):
    owner, _ = guarded
    manager = world.person("manager", roles=["key-manager"])
    plain = world.person("plain")
    ok(owner.put("/v1/keys/guarded/guard", {"guard": GUARD}))
    for who in (world.admin, manager, plain):  # administrators as well
        with world.unchanged():
            refused(who.put("/v1/keys/guarded/guard", {"guard": ""}), 403, "forbidden")
    with world.unchanged():
        refused(plain.put("/v1/keys/k/guard", {"guard": ""}), 403, "forbidden")
    ok(manager.put("/v1/keys/k/guard", {"guard": GUARD}))  # nobody owns k
    refused(world.admin.sign("k"), 403, "denied-by-policy")
    ok(manager.put("/v1/keys/k/guard", {"guard": ""}))
    ok(world.admin.sign("k"))


GUARDS_WRONG = [
    "principal: x\n",
    "- principals: x\n",
    "[]\n",
    "- principal: []\n",
    "version: 1\nrules: []\n",
    "- window: {zone: Mars/Olympus}\n",
    BOMB,
    "- principal: x\n" * 33,
]


@pytest.mark.parametrize("number", range(len(GUARDS_WRONG)))
def test_guards_that_are_wrong(world, guarded, number):
    owner, _ = guarded
    with world.unchanged():
        answer = owner.put("/v1/keys/guarded/guard", {"guard": GUARDS_WRONG[number]})
        assert answer.status in (400, 413), answer


def test_guards_hold_after_a_restart(world, guarded):
    owner, _ = guarded
    ok(owner.put("/v1/keys/guarded/guard", {"guard": GUARD}))
    number = ok(world.admin.get("/v1/policies/0"))["number"]
    world.restart()
    refused(world.admin.sign("guarded"), 403, "denied-by-policy")
    ok(owner.sign("guarded"))
    assert ok(world.admin.get("/v1/policies/0"))["number"] == number


# --- the explanation and what happens ---

MIXED = policy(
    rule("tests", "allow", MATCH + "purpose: test\n"),
    rule("agents-host", "allow", MATCH + "key: mixed-2\n      host: build-*\n"),
    rule(
        "nightly",
        "allow",
        MATCH + "label:\n        branch: {value: [main, 'release/*'], basis: declared}\n",
    ),
    rule("no-laptops", "deny", MATCH + "host: laptop-*\n    unless:\n      principal: admin\n"),
    rule("office", "deny", MATCH + "network: 192.0.2.0/24\n"),
    rule("p384-never", "deny", MATCH + "algorithm: ecdsa-sha384\n      purpose: release\n"),
    rule("reason", "require", "    requirement: reason\n" + MATCH + "purpose: release\n"),
    rule("tokens-say-why", "require", "    requirement: reason\n" + MATCH + "method: api-token\n"),
)


def random_request(rng):
    made = {
        "key": rng.choice(["mixed-1", "mixed-2", "k"]),
        "algorithm": rng.choice(["ecdsa-sha256", "ecdsa-sha384"]),
    }
    more = {}
    if rng.random() < 0.6:
        more["facts"] = [
            {
                "name": "host",
                "value": rng.choice(["build-1", "laptop-1", "pc"]),
                "basis": rng.choice(["declared", "agent"]),
            }
            for _ in range(rng.choice([1, 1, 2]))
        ]
    if rng.random() < 0.5:
        more["labels"] = {"branch": rng.choice(["main", "test", "release/1"])}
    if rng.random() < 0.5:
        more["reason"] = "because"
    return made, more


def test_the_explanation_agrees_with_what_sign_does(world):
    """Two processes decide, from the same policy: query explains, the signer acts."""
    admin = world.admin
    admin.key("mixed-1", purpose="test")
    admin.key("mixed-2", purpose="release")
    people = [world.person("agent-p", is_agent=True), world.person("agent-q", is_agent=True)]
    admin.policy(MIXED)
    number = ok(admin.get("/v1/policies/0"))["number"]
    rng = random.Random(7)
    seen = set()
    for _ in range(150):
        who = rng.choice(people)
        of_item, more = random_request(rng)
        name = "agent-p" if who is people[0] else "agent-q"
        asked = item(of_item["key"], b"x", of_item["algorithm"])
        tested = ok(
            admin.post(
                "/v1/policies/test", {"principal": name, "request": {"items": [asked], **more}}
            )
        )
        said = tested["items"][0]
        answer = who.sign_items([asked], **more)
        assert tested["policy_number"] == number
        result = answer.json["results"][0] if answer.status == 200 else answer.result[0]
        entry = world.entries(result["intent"]["index"])[0][0]
        assert said["decision"] == entry["decision"], (of_item, more, said, answer)
        assert (answer.status == 200) == (said["decision"] == "allowed")
        told = [r["rule"] for r in said["rules"] if r["applies"]]
        assert set(result["rules"]) <= set(told), (said, result)
        seen.add(said["decision"])
    assert seen == {"allowed", "denied", "held"}
    admin.policy()


def test_a_draft_is_tested_without_being_in_force(world):
    with world.unchanged():
        tested = ok(
            world.admin.post(
                "/v1/policies/test",
                {
                    "policy": policy(rule("only-x", "allow", MATCH + "principal: x\n")),
                    "request": {"items": [item("k")]},
                },
            )
        )
        assert tested["policy_number"] == 0 and tested["items"][0]["decision"] == "denied"
        explained = tested["items"][0]["rules"][0]
        assert explained["rule"] == "only-x" and explained["matched"] == "no"
        assert any("principal" in reason and "admin" in reason for reason in explained["reasons"])
        refused(
            world.admin.post(
                "/v1/policies/test", {"policy": "x", "request": {"items": [item("k")]}}
            ),
            400,
            "malformed",
        )
        refused(world.admin.post("/v1/policies/test", {"request": {"items": []}}), 400, "malformed")
    ok(world.admin.sign("k"))


def test_windows_of_time_by_the_explanation(world):
    text = policy(
        rule(
            "hours",
            "allow",
            MATCH + "window: {zone: Europe/Berlin, days: mon-fri, from: '08:00', " "to: '18:00'}\n",
        )
    )
    # Both days are winter time in Berlin, and within the 400 days that windows are known for.
    for time, decision in (
        ("2026-11-30T07:30:00Z", "allowed"),
        ("2026-11-30T06:30:00Z", "denied"),
        ("2026-11-29T07:30:00Z", "denied"),
        ("2026-11-30T17:00:00Z", "denied"),
    ):
        tested = ok(
            world.admin.post(
                "/v1/policies/test",
                {"policy": text, "time": time, "request": {"items": [item("k")]}},
            )
        )
        assert tested["items"][0]["decision"] == decision, (time, tested)


# --- many denials ---


def test_denials_past_the_rate_make_no_leaves():
    with running_world(denials_per_minute=5) as small:
        small.admin.key("k")
        small.admin.policy(policy())
        other = small.person("other")
        for _ in range(5):
            with small.logged("sign.intent"):
                refused(small.admin.sign("k"), 403, "denied-by-policy")
        for _ in range(3):
            with small.unchanged():
                answer = small.admin.sign("k")
                refused(answer, 429, "rate-limited")
                assert int(answer.headers["retry-after"]) >= 1
        with small.logged("sign.intent"):  # another principal has a rate of his own
            refused(other.sign("k"), 403, "denied-by-policy")
        with small.logged("policy"):  # administration goes on
            small.admin.policy()
        ok(small.admin.sign("k"))  # and what is allowed is signed
        small.admin.policy(policy())
        size = small.log_size()
        answer = other.sign_items([item("k")] * 100)  # one request does not get around it
        assert answer.status in (403, 429), answer
        assert small.log_size() <= size + 5
        kinds = {result["problem"] for result in answer.result}
        assert "rate-limited" in kinds
