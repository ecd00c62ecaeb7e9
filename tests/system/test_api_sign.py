# SPDX-License-Identifier: MIT
"""POST /v1/sign as its callers use it, and as they get it wrong: what is refused leaves no trace,
and the server goes on."""

import base64
import hashlib

import pytest

from api import ALLOW_ALL, item, ok, openssl, refused, world
import logformat

DIGEST = hashlib.sha256(b"what is signed").hexdigest()


@pytest.fixture
def admin(world):
    return world.admin


# --- what is right ---


def test_a_signature_is_answered_and_logged(world, admin):
    with world.logged("sign.intent", "sign.outcome") as logged:
        answer = ok(admin.sign("k", reason="because", facts=[{"name": "host", "value": "build-1"}]))
    result = answer["results"][0]
    signature = base64.b64decode(result["signature"])
    (intent, why), (outcome, _) = logged
    assert result["is_signed"] and result["rules"] == ["everybody"]
    assert outcome["result_sha256"] == hashlib.sha256(signature).hexdigest()
    assert outcome["intent_index"] == result["intent"]["index"]
    assert outcome["digest"] == intent["digest"] == DIGEST
    assert intent["principal"] == "admin" and intent["method"] == "certificate"
    assert intent["policy_number"] == answer["policy_number"]
    assert intent["facts"] == [{"name": "host", "value": "build-1", "basis": "declared"}]
    assert (intent["hashed_by"], intent["decision"]) == ("client", "allowed")
    assert why["reason"] == "because" and why["address"] == "127.0.0.1"
    assert world.verifies("k", b"what is signed", result["signature"])


def test_private_facts_stand_in_the_detail_record(world, admin):
    facts = [
        {"name": "application.command", "value": "jarsigner -x a.jar"},
        {"name": "ci.branch", "value": "main"},
        {"name": "user", "value": "alice"},
    ]
    artifact = {
        "digest": "aa" * 32,
        "hash": "sha256",
        "size_bytes": 12,
        "type": "jar",
        "name": "a.jar",
    }
    with world.logged("sign.intent", "sign.outcome") as logged:
        ok(admin.sign("k", facts=facts, artifact=artifact, labels={"branch": "main"}))
    intent, detail = logged[0]
    assert [f["name"] for f in intent["facts"]] == ["ci.branch"]
    assert [f["name"] for f in detail["facts"]] == ["application.command", "user"]
    assert detail["artifact_name"] == "a.jar" and "a.jar" not in str(intent)
    assert (intent["artifact_digest"], intent["artifact_type"], intent["artifact_size_bytes"]) == (
        "aa" * 32,
        "jar",
        12,
    )
    assert intent["labels"] == [{"name": "branch", "value": "main"}]


def test_content_that_hashes_to_the_digest_is_hashed_by_the_server(world, admin):
    content = base64.b64encode(b"what is signed").decode()
    with world.logged("sign.intent", "sign.outcome") as logged:
        ok(admin.sign("k", content=content))
    intent = logged[0][0]
    assert intent["hashed_by"] == "server"
    facts = {f["name"]: (f["value"], f["basis"]) for f in intent["facts"]}
    assert facts["content.sha256"] == (DIGEST, "server")
    assert facts["content.type"] == ("other", "server")


def test_1000_items_are_signed_and_1001_are_not(world, admin):
    files = [b"file %d" % i for i in range(1000)]
    size = world.log_size()
    results = ok(admin.sign_items([item("k", data) for data in files]))["results"]
    assert len(results) == 1000 and all(r["is_signed"] for r in results)
    assert world.log_size() == size + 2000
    assert len({r["outcome"]["index"] for r in results}) == 1000
    for i in (0, 499, 999):  # each signature is of its own item
        assert world.verifies("k", files[i], results[i]["signature"])
    with world.unchanged():
        refused(
            admin.sign_items([item("k", data) for data in files + [b"one more"]]), 413, "over-limit"
        )


def test_no_items_are_refused(world, admin):
    with world.unchanged():
        refused(admin.sign_items([]), 400, "malformed")


def test_one_item_that_fails_leaves_the_others(world, admin):
    with world.logged("sign.intent", "sign.outcome"):
        results = ok(admin.sign_items([item("nothing"), item("k")]))["results"]
    assert not results[0].get("is_signed") and results[0]["problem"] == "not-found"
    assert "signature" not in results[0]
    assert results[1]["is_signed"]


# --- what is wrong ---


@pytest.mark.parametrize("key", ["nothing", "@log", "@client-ca", "@development-ca", "K"])
def test_an_unknown_key_or_one_of_the_server(world, admin, key):
    with world.unchanged():
        answer = admin.sign(key)
        refused(answer, 404, "not-found")
        assert answer.result[0]["problem"] == "not-found"


def test_a_disabled_and_a_destroyed_key(world, admin):
    admin.key("dying")
    ok(admin.post("/v1/keys/dying/disable"))
    with world.unchanged():
        refused(admin.sign("dying"), 409, "wrong-state")
    ok(admin.post("/v1/keys/dying/enable"))
    ok(admin.sign("dying"))
    ok(admin.post("/v1/keys/dying/destroy", {"confirm": "dying"}))
    with world.unchanged():
        refused(admin.sign("dying"), 409, "wrong-state")


@pytest.mark.parametrize("digest", ["", DIGEST[:-2], DIGEST + "00", "aa" * 20, "aa" * 48])
def test_a_digest_of_the_wrong_length(world, admin, digest):
    with world.unchanged():
        problem = refused(admin.sign("k", digest=digest), 400, "malformed")
        assert "items[0]" in problem["detail"] and "digest" in problem["detail"]


@pytest.mark.parametrize("digest", ["xx" * 32, DIGEST[:-1], " " + DIGEST[1:], "0x" + DIGEST[2:]])
def test_a_digest_that_is_no_hex(world, admin, digest):
    with world.unchanged():
        refused(admin.sign("k", digest=digest), 400, "malformed")


@pytest.mark.parametrize(
    "name",
    [
        "sha1",
        "rsa-pkcs1-sha1",
        "ecdsa-sha1",
        "rsa-pkcs1-md5",
        "rsa-raw",
        "rsa-pss-sha1",
        "ecdsa",
        "ECDSA-SHA256",
        "rsassa-pkcs1-v1_5",
        "none",
        "",
        "7",
        "1.2.840.113549.1.1.5",
    ],
)
# row 28
def test_sha1_and_its_like_by_any_name(world, admin, name):
    for key in ("k", "r"):
        with world.unchanged():
            refused(
                admin.sign_items(
                    [{"key": key, "algorithm": name, "digest": "aa" * 20, "hashed_by": "client"}]
                ),
                400,
                "malformed",
            )
            refused(
                admin.sign_items(
                    [{"key": key, "algorithm": name, "digest": DIGEST, "hashed_by": "client"}]
                ),
                400,
                "malformed",
            )


@pytest.mark.parametrize(
    "key,algorithm",
    [
        ("k", "rsa-pkcs1-sha256"),
        ("k", "rsa-pss-sha512"),
        ("k", "ed25519"),
        ("r", "ecdsa-sha256"),
        ("r", "ed25519"),
        ("e", "ecdsa-sha256"),
        ("e", "rsa-pkcs1-sha256"),
    ],
)
def test_an_algorithm_of_another_type_of_key(world, admin, key, algorithm):
    with world.unchanged():
        answer = admin.sign(key, algorithm=algorithm)
        refused(answer, 400, "malformed")
        assert answer.result[0]["problem"] == "malformed"


@pytest.mark.parametrize("who", ["nobody", "server", "somebody", ""])
def test_a_digest_says_who_made_it(world, admin, who):
    with world.unchanged():
        refused(admin.sign("k", hashed_by=who), 400, "malformed")
    with world.unchanged():
        refused(
            admin.sign_items([{"key": "k", "algorithm": "ecdsa-sha256", "digest": DIGEST}]),
            400,
            "malformed",
        )


def test_ed25519_takes_the_message_alone(world, admin):
    message = base64.b64encode(b"m").decode()
    wrong = [
        {"digest": DIGEST},
        {"message": "", "digest": DIGEST},
        {"message": ""},
        {"hashed_by": "client"},
        {"content": message},
    ]
    for more in wrong:
        with world.unchanged():
            refused(admin.sign_items([{**item("e", b"m", "ed25519"), **more}]), 400, "malformed")
    with world.unchanged():
        refused(admin.sign("k", message=message), 400, "malformed")
    with world.unchanged():
        refused(admin.sign("e", b"x" * 65537, "ed25519"), 413, "over-limit")
    ok(admin.sign("e", b"x" * 65536, "ed25519"))


# --- PKCS#1 v1.5 around bytes as they are ---

RAW_POLICY = """\
version: 1
rules:
  - name: everybody
    effect: allow
  - name: raw
    effect: allow
    match: {key: r, algorithm: rsa-pkcs1-raw}
"""


def raw(message, key="r", **more):
    return {
        "key": key,
        "algorithm": "rsa-pkcs1-raw",
        "hashed_by": "nobody",
        "message": base64.b64encode(message).decode(),
        **more,
    }


@pytest.fixture
def raw_allowed(world, admin):
    admin.policy(RAW_POLICY)
    yield
    admin.policy()


def recovered(world, signature):
    """What OpenSSL finds in the padding."""
    path = world.folder / "raw.sig"
    path.write_bytes(base64.b64decode(signature))
    return openssl(
        "pkeyutl", "-verifyrecover", "-pubin", "-inkey", world.public_key("r"), "-in", path
    ).stdout


@pytest.mark.parametrize("size", [1, 36, 384 - 11])
def test_raw_bytes_are_in_the_signature(world, admin, raw_allowed, size):
    message = bytes(range(256))[:size] + bytes(max(0, size - 256))
    with world.logged("sign.intent", "sign.outcome") as logged:
        signed = ok(admin.sign_items([raw(message)]))["results"][0]
    assert recovered(world, signed["signature"]) == message
    assert signed["rules"] == ["raw"]
    for entry, _ in logged:
        assert entry["algorithm"] == "rsa-pkcs1-raw" and entry["hashed_by"] == "nobody"
        assert entry["digest"] == hashlib.sha256(message).hexdigest()


# row 28
def test_raw_bytes_only_where_a_rule_names_them(world, admin):
    answer = admin.sign_items([raw(b"m")])
    refused(answer, 403, "denied-by-policy")
    assert "algorithm" in answer.result[0]["detail"]


@pytest.mark.parametrize("size", [384 - 10, 65536])
def test_raw_bytes_that_are_longer_than_the_key(world, admin, raw_allowed, size):
    with world.unchanged():
        refused(admin.sign_items([raw(bytes(size))]), 413, "over-limit")


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("with_null", [True, False])
def test_raw_bytes_are_no_digest_of_another_algorithm(world, admin, raw_allowed, name, with_null):
    digest = hashlib.new(name, b"what is signed").digest()
    last = {"sha256": 1, "sha384": 2, "sha512": 3}[name]
    oid = bytes.fromhex("0609608648016503040200")[:-1] + bytes([last])
    inner = oid + (b"\x05\x00" if with_null else b"")
    body = b"\x30" + bytes([len(inner)]) + inner + b"\x04" + bytes([len(digest)]) + digest
    with world.unchanged():
        refused(admin.sign_items([raw(b"\x30" + bytes([len(body)]) + body)]), 400, "malformed")
    # A digest that has no algorithm here is what this is for.
    sha1 = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(b"m").digest()
    signed = ok(admin.sign_items([raw(sha1)]))["results"][0]
    assert recovered(world, signed["signature"]) == sha1


def test_raw_bytes_alone(world, admin, raw_allowed):
    message = base64.b64encode(b"m").decode()
    for more in [{"digest": DIGEST}, {"message": ""}, {"hashed_by": "tool"}, {"content": message}]:
        with world.unchanged():
            refused(admin.sign_items([{**raw(b"m"), **more}]), 400, "malformed")
    for key in ("k", "e"):
        with world.unchanged():
            refused(admin.sign_items([raw(b"m", key=key)]), 400, "malformed")


@pytest.mark.parametrize("content", [b"what is signe", b"what is signed\n", b"other"])
def test_bytes_that_do_not_hash_to_the_digest(world, admin, content):
    with world.unchanged():
        answer = admin.sign_items(
            [item("k", b"first"), item("k", content=base64.b64encode(content).decode())]
        )
        problem = refused(answer, 400, "malformed")
        assert "items[1]" in problem["detail"]


def test_content_over_its_limit(world, admin):
    with world.unchanged():
        refused(admin.sign("k", content=base64.b64encode(b"x" * 65537).decode()), 413, "over-limit")
    data = b"y" * 65536
    ok(admin.sign("k", data, content=base64.b64encode(data).decode()))


@pytest.mark.parametrize("basis", ["server", "agent"])
def test_facts_that_only_others_may_state(world, admin, basis):
    fact = [{"name": "host", "value": "build-1", "basis": basis}]
    with world.unchanged():
        problem = refused(admin.sign("k", facts=fact), 400, "malformed")
        assert "host" in problem["detail"]
    with world.unchanged():
        refused(admin.sign_items([item("k")], facts=fact), 400, "malformed")


def test_an_agent_states_facts_of_basis_agent_and_no_more(world):
    agent = world.person("agent-1", is_agent=True)
    with world.logged("sign.intent", "sign.outcome") as logged:
        ok(agent.sign("k", facts=[{"name": "host", "value": "b", "basis": "agent"}]))
    assert logged[0][0]["facts"] == [{"name": "host", "value": "b", "basis": "agent"}]
    with world.unchanged():
        refused(
            agent.sign("k", facts=[{"name": "host", "value": "b", "basis": "server"}]),
            400,
            "malformed",
        )
    token, _ = world.token_for("agent-1", ["sign"])
    with world.unchanged():  # the certificate is the agent's, not the principal
        refused(
            token.sign("k", facts=[{"name": "host", "value": "b", "basis": "agent"}]),
            400,
            "malformed",
        )


@pytest.mark.parametrize("name", ["Host", "9a", "a b", "host\n", "é", "x" * 129])
def test_names_of_facts(world, admin, name):
    with world.unchanged():
        answer = admin.sign("k", facts=[{"name": name, "value": "v"}])
        assert answer.status in (400, 413), answer
        refused(answer, answer.status, "malformed" if answer.status == 400 else "over-limit")


def test_more_facts_than_fit(world, admin):
    facts = [{"name": f"f{i}", "value": "v"} for i in range(65)]
    with world.unchanged():
        refused(admin.sign("k", facts=facts), 413, "over-limit")
    big = [{"name": f"ci.f{i}", "value": "v" * 8000} for i in range(10)]
    with world.unchanged():  # each is in bounds, together they pass what a log entry holds
        problem = refused(admin.sign("k", facts=big), 413, "over-limit")
        assert "65535" in problem["detail"] or "log" in problem["detail"]


def test_an_artifact_whose_digest_is_not_of_its_algorithm(world, admin):
    for artifact in (
        {"digest": "aa" * 20, "hash": "sha256"},
        {"digest": "aa" * 32},
        {"hash": "sha256"},
        {"digest": "aa" * 20, "hash": "sha1"},
    ):
        with world.unchanged():
            refused(admin.sign("k", artifact=artifact), 400, "malformed")


# --- receipts ---


def test_receipts_none_index_and_full(world, admin):
    vkey = ok(admin.get("/v1/hello"))["log_vkey"]
    none = ok(admin.sign("k", receipt="none"))["results"][0]
    assert none["is_signed"] and not {"intent", "outcome", "receipt"} & none.keys()
    index = ok(admin.sign("k", receipt="index"))["results"][0]
    assert index["outcome"]["index"] > index["intent"]["index"] and "receipt" not in index
    full = ok(admin.sign("k", receipt="full"))["results"][0]
    entry = world.leaf(full["outcome"]["index"])
    at, size = logformat.check_receipt(full["receipt"], entry, vkey)
    assert at == full["outcome"]["index"] < size
    with pytest.raises(AssertionError):
        logformat.check_receipt(full["receipt"], world.leaf(full["intent"]["index"]), vkey)
    with world.unchanged():
        refused(admin.sign("k", receipt="maybe"), 400, "malformed")


def test_full_receipts_of_many_items_at_once(world, admin):
    vkey = ok(admin.get("/v1/hello"))["log_vkey"]
    results = ok(admin.sign_items([item("k", b"%d" % i) for i in range(100)], receipt="full"))
    sizes = set()
    for result in results["results"]:
        at, size = logformat.check_receipt(
            result["receipt"], world.leaf(result["outcome"]["index"]), vkey
        )
        assert at == result["outcome"]["index"]
        sizes.add(size)
    assert len(sizes) == 1


# --- nobody is exempt, nothing is allowed by itself ---


def test_without_a_rule_nothing_is_signed(world, admin):
    admin.policy("version: 1\nrules: []\n")
    try:
        with world.logged("sign.intent") as logged:
            answer = admin.sign("k")
        refused(answer, 403, "denied-by-policy")
        assert logged[0][0]["decision"] == "denied" and logged[0][0]["rules"] == []
        assert answer.result[0]["intent"] and "outcome" not in answer.result[0]
    finally:
        admin.policy(ALLOW_ALL)
    ok(admin.sign("k"))


def test_a_reason_that_is_required(world, admin):
    admin.policy(
        ALLOW_ALL + "  - name: say-why\n    effect: require\n    requirement: reason\n"
        "    description: name the release\n"
    )
    try:
        with world.logged("sign.intent") as logged:
            answer = admin.sign("k")
        problem = refused(answer, 403, "denied-by-policy")
        assert "say-why" in problem["detail"]
        assert logged[0][0]["decision"] == "held" and answer.result[0]["rules"] == ["say-why"]
        with world.logged("sign.intent"):
            refused(admin.sign("k", reason=""), 403, "denied-by-policy")
        signed = ok(admin.sign("k", reason="release 1.0"))["results"][0]
        assert signed["rules"] == ["everybody", "say-why"]
    finally:
        admin.policy(ALLOW_ALL)
