# SPDX-License-Identifier: MIT
"""Who may do what: every operation asked by everybody, with certificates and with API tokens. The
table below is the promise; the table in src/proto/ops.c is what keeps it."""

import pytest

from api import ROLES, item, ok, refused, world

ALL = frozenset(ROLES)
ANYBODY = "anybody"  # also without a credential
KNOWN = "known"  # every principal
READ_POLICY = ALL
READ_LOG = frozenset({"administrator", "auditor"})

# operation: (method, path, body, who). Each asks for something that is not there or is malformed
# deeper
# inside, so that being let in changes nothing.
OPERATIONS = {
    "hello": ("GET", "/v1/hello", None, ANYBODY),
    "enroll": ("POST", "/v1/enroll", {"code": "x", "csr": "x"}, ANYBODY),
    "renew": ("POST", "/v1/renew", {"csr": "x"}, KNOWN),
    "whoami": ("GET", "/v1/whoami", None, KNOWN),
    "sign": ("POST", "/v1/sign", {"items": [item("no-key")]}, KNOWN),
    "users.list": ("GET", "/v1/users", None, READ_LOG),
    "users.show": ("GET", "/v1/users/no-one", None, READ_LOG),
    "users.create": ("POST", "/v1/users", {"name": "admin"}, {"administrator"}),
    "users.update": ("PUT", "/v1/users/no-one", {}, {"administrator"}),
    "users.enrolment-code": ("POST", "/v1/users/no-one/enrolment-codes", {}, {"administrator"}),
    "users.api-token-create": (
        "POST",
        "/v1/users/no-one/api-tokens",
        {"scopes": ["sign"]},
        {"administrator"},
    ),
    "users.api-token-revoke": (
        "DELETE",
        "/v1/users/no-one/api-tokens/" + "ab" * 16,
        None,
        {"administrator"},
    ),
    "tokens.list": ("GET", "/v1/tokens", None, READ_POLICY),
    "keys.list": ("GET", "/v1/keys", None, KNOWN),
    "keys.show": ("GET", "/v1/keys/no-key", None, KNOWN),
    "keys.create": ("POST", "/v1/keys", {"name": "k", "type": "p256"}, {"key-manager"}),
    "keys.adopt": ("POST", "/v1/keys/adopt", {"name": "k", "label": "k"}, {"key-manager"}),
    "keys.enable": ("POST", "/v1/keys/no-key/enable", None, {"key-manager"}),
    "keys.disable": ("POST", "/v1/keys/no-key/disable", None, {"key-manager"}),
    "keys.destroy": ("POST", "/v1/keys/no-key/destroy", {"confirm": "no-key"}, {"key-manager"}),
    "keys.guard": ("PUT", "/v1/keys/no-key/guard", {"guard": "- principal: x"}, KNOWN),
    "certs.csr": ("POST", "/v1/keys/no-key/csr", {"subject": "CN=x"}, {"key-manager"}),
    "certs.import": ("PUT", "/v1/keys/no-key/certificate", {"chain": "x"}, {"key-manager"}),
    "certs.development": ("POST", "/v1/keys/no-key/development-certificate", {}, {"key-manager"}),
    "certs.development-ca": ("GET", "/v1/development-ca", None, ANYBODY),
    "policies.list": ("GET", "/v1/policies", None, READ_POLICY),
    "policies.show": ("GET", "/v1/policies/0", None, READ_POLICY),
    "policies.apply": ("POST", "/v1/policies", {"policy": "wrong"}, {"policy-author"}),
    "policies.test": (
        "POST",
        "/v1/policies/test",
        {"request": {"items": [item("k")]}},
        READ_POLICY,
    ),
    "log.list": ("GET", "/v1/log", None, READ_LOG),
    "log.show": ("GET", "/v1/log/0", None, READ_LOG),
    "log.receipt": ("GET", "/v1/log/0/receipt", None, KNOWN),
    "log.checkpoint": ("GET", "/log/checkpoint", None, ANYBODY),
    "log.tile": ("GET", "/log/tile/0/999", None, ANYBODY),
    "log.entries": ("GET", "/log/tile/entries/999", None, READ_LOG),
}
WHO = ("nobody", "plain", *ROLES)


@pytest.fixture(scope="module")
def clients(world):
    people = {role: world.person(f"only-{role}", roles=[role]) for role in ROLES}
    return {"nobody": world.nobody, "plain": world.person("plain"), **people}


def is_let_in(who, promise):
    return promise == ANYBODY or who != "nobody" and (promise == KNOWN or who in promise)


def ask(client, name):
    method, path, body, _ = OPERATIONS[name]
    return client.call(method, path, body)


def judge(answer, who, name, let_in):
    """Let in is whoever gets the operation's own answer: not 401, nor 403 for want of a role or
    scope."""
    kind = answer.json["type"] if answer.status >= 400 else None
    if let_in:
        assert answer.status != 403, (who, name, answer)
        if name != "enroll":  # a code that is not known answers 401 to everybody
            assert answer.status != 401, (who, name, answer)
    elif who == "nobody":
        assert answer.status == 401 and kind.endswith(":unauthenticated"), (who, name, answer)
    else:
        assert answer.status == 403 and kind.endswith(":forbidden"), (who, name, answer)


def test_the_table_has_every_operation(world):
    document = ok(world.nobody.get("/openapi.json"))
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["operationId"]] = (method.upper(), path)
    assert found.keys() == OPERATIONS.keys()
    for name, (method, path) in found.items():
        pattern = path.replace("/log/tile/{path}", "/log/tile/0/999").replace(
            "entries/{path}", "entries/999"
        )
        asked = OPERATIONS[name][1].split("/")
        assert OPERATIONS[name][0] == method
        assert all(
            want == got or want.startswith("{")
            for want, got in zip(pattern.split("/"), asked, strict=True)
        ), name


def test_the_document_says_what_needs_no_credential(world):
    document = ok(world.nobody.get("/openapi.json"))
    free = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation.get("security") == []
    }
    assert free == {name for name, row in OPERATIONS.items() if row[3] == ANYBODY}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("who", WHO)
def test_by_certificate(world, clients, who, name):
    size, objects = world.log_size(), world.objects()
    judge(ask(clients[who], name), who, name, is_let_in(who, OPERATIONS[name][3]))
    assert world.log_size() == size and world.objects() == objects


@pytest.fixture(scope="module")
def tokens(world, clients):
    """An API token for everything, of each principal."""
    assert clients
    return {
        who: world.token_for("plain" if who == "plain" else f"only-{who}", ["*"])[0]
        for who in WHO
        if who != "nobody"
    }


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("who", WHO[1:])
def test_by_api_token(world, tokens, who, name):
    if name == "renew":
        refused(ask(tokens[who], name), 403, "forbidden")  # there is no certificate to renew
        return
    judge(ask(tokens[who], name), who, name, is_let_in(who, OPERATIONS[name][3]))


@pytest.mark.parametrize(
    "scope", [*OPERATIONS, "users.*", "keys.*", "certs.*", "policies.*", "log.*", "tokens.*"]
)
def test_an_api_token_may_what_its_scopes_say(world, scope):
    """The administrator has every role; the token has one scope."""
    client, info = world.token_for("admin", [scope])
    for name, row in OPERATIONS.items():
        covered = scope == name or scope.endswith(".*") and name.startswith(scope[:-1])
        if name == "renew" and covered:
            continue
        judge(ask(client, name), "admin", name, covered or row[3] == ANYBODY)
    client.close()
    ok(world.admin.delete(f"/v1/users/admin/api-tokens/{info['id']}"))


@pytest.mark.parametrize(
    "scopes",
    [
        [],
        ["everything"],
        ["keys"],
        ["sign", "no.such"],
        ["key*"],
        [""],
        ["KEYS.LIST"],
        [" sign"],
        ["log.*.*"],
    ],
)
def test_scopes_that_cover_nothing(world, scopes):
    with world.unchanged():
        answer = world.admin.post("/v1/users/admin/api-tokens", {"scopes": scopes})
        assert answer.status == 400, answer


def test_a_token_never_has_more_than_its_principal(world):
    world.person("plain")
    client, _ = world.token_for("plain", ["*"])
    with world.unchanged():
        refused(
            client.post("/v1/users", {"name": "mallory", "roles": ["administrator"]}),
            403,
            "forbidden",
        )
        refused(
            client.post("/v1/policies", {"policy": "version: 1\nrules: []\n"}), 403, "forbidden"
        )


def test_keys_of_an_api_token(world):
    world.person("plain")
    world.admin.key("team-a-1")
    world.admin.key("team-b-1")
    client, info = world.token_for("plain", ["sign", "keys.*"], keys=["team-a-*", "k?"])
    assert info["keys"] == ["team-a-*", "k?"]
    ok(client.sign("team-a-1"))
    for key in (
        "team-b-1",
        "k",
        "team-a",
        "no-such-key",
    ):  # which of them are there it does not learn
        with world.unchanged():
            answer = client.sign(key)
            refused(answer, 403, "forbidden")
            assert answer.result[0]["problem"] == "forbidden"
    names = [key["name"] for key in ok(client.get("/v1/keys"))["keys"]]
    assert names == ["team-a-1"]
    refused(client.get("/v1/keys/team-b-1"), 404, "not-found")


def test_keys_are_listed_to_those_who_may_use_them(world):
    plain = world.person("plain")
    admin_sees = [key["name"] for key in ok(world.admin.get("/v1/keys"))["keys"]]
    assert not [name for name in admin_sees if name.startswith("@")]
    world.admin.policy(
        "version: 1\nrules:\n  - name: one\n    effect: allow\n    match:\n"
        "      key: k\n      principal: plain\n"
    )
    try:
        assert [key["name"] for key in ok(plain.get("/v1/keys"))["keys"]] == ["k"]
        refused(plain.get("/v1/keys/r"), 404, "not-found")
        assert [key["name"] for key in ok(world.admin.get("/v1/keys"))["keys"]] == admin_sees
    finally:
        world.admin.policy()


# --- principals ---


def test_the_last_administrator_stays(world):
    world.person("only-administrator", roles=["administrator"])
    ok(world.admin.put("/v1/users/only-administrator", {"roles": {"values": []}}))
    for change in (
        {"is_disabled": {"value": True}},
        {"roles": {"values": ["auditor"]}},
        {"roles": {"values": []}},
    ):
        with world.unchanged():
            refused(world.admin.put("/v1/users/admin", change), 409, "wrong-state")
    ok(world.admin.put("/v1/users/only-administrator", {"roles": {"values": ["administrator"]}}))


def test_roles_and_names_that_are_none(world):
    for body in (
        {"name": "x", "roles": ["root"]},
        {"name": "x", "roles": ["Administrator"]},
        {"name": "../x"},
        {"name": "@signer"},
        {"name": "a b"},
        {"name": ""},
        {"name": "x" * 129},
        {"name": "x", "groups": ["a b"]},
        {"name": "é"},
    ):
        with world.unchanged():
            answer = world.admin.post("/v1/users", body)
            assert answer.status in (400, 413), (body, answer)
    with world.unchanged():
        refused(world.admin.post("/v1/users", {"name": "admin"}), 409, "exists")


def test_changes_of_a_principal_hold_at_once(world):
    user = world.person("changing")
    refused(user.get("/v1/log"), 403, "forbidden")
    with world.logged("user"):
        ok(
            world.admin.put(
                "/v1/users/changing",
                {"roles": {"values": ["auditor"]}, "groups": {"values": ["a", "b"]}},
            )
        )
    ok(user.get("/v1/log"))
    me = ok(user.get("/v1/whoami"))
    assert (me["principal"], me["roles"], me["groups"]) == ("changing", ["auditor"], ["a", "b"])
    with world.logged("user"):
        ok(world.admin.put("/v1/users/changing", {"roles": {"values": []}}))
    refused(user.get("/v1/log"), 403, "forbidden")
    assert ok(user.get("/v1/whoami"))["groups"] == ["a", "b"]
