# SPDX-License-Identifier: MIT
"""The agent and the private helper, against a real server, asked by tests/system/door.py."""

import base64
import ctypes
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

import door
import logformat
from conftest import SOON, SOURCE, environment, run
from door import ECDSA, ED25519, RSA_PKCS1, RSA_PSS, SHA256, SHA384, SHA512, Agent, Failed

KINDS = {"rsa": "rsa-3072", "p256": "p256", "p384": "p384", "p521": "p521", "ed": "ed25519"}
DIGEST_INFO = {
    SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
    SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
    SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
}
PY_HASH = {SHA256: hashes.SHA256(), SHA384: hashes.SHA384(), SHA512: hashes.SHA512()}
DATA = b"what is signed"


def digest_of(hash_id, data=DATA):
    return hashlib.new(door.HASHES[hash_id], data).digest()


@pytest.fixture(name="full")
def fixture_full(admin):
    """An administrator whose server has a key of every type, and lets everybody sign."""
    for name, kind in KINDS.items():
        admin.run("keys", "create", name, "--type", kind)
        admin.run("certs", "development", name)
    admin.policy()
    return admin


@pytest.fixture(name="agent")
def fixture_agent(full):
    running = Agent(full).start()
    yield running
    if running.process is not None:
        running.stop()


def verify(key, signature, hash_id, data=DATA, pss=False):
    """With the public key as the door gave it, by another program."""
    public = serialization.load_der_public_key(key["public_key"])
    if isinstance(public, rsa.RSAPublicKey):
        scheme = padding.PKCS1v15()
        if pss:
            scheme = padding.PSS(padding.MGF1(PY_HASH[hash_id]), PY_HASH[hash_id].digest_size)
        public.verify(signature, data, scheme, PY_HASH[hash_id])
    elif isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        assert half == (public.curve.key_size + 7) // 8
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(PY_HASH[hash_id]))
    else:
        assert isinstance(public, ed25519.Ed25519PublicKey)
        public.verify(signature, data)


def test_sign__every_key_type_and_scheme(agent):
    with agent.door(keys=["*"]) as tool:
        keys = tool.keys()
        assert set(keys) == set(KINDS)
        for hash_id in (SHA256, SHA384, SHA512):
            digest = digest_of(hash_id)
            info = DIGEST_INFO[hash_id] + digest
            verify(keys["rsa"], tool.sign("rsa", RSA_PKCS1, info), hash_id)
            verify(keys["rsa"], tool.sign("rsa", RSA_PKCS1, DATA, hash=hash_id, is_message=1),
                   hash_id)
            verify(keys["rsa"], tool.sign("rsa", RSA_PSS, digest, hash=hash_id), hash_id, pss=True)
            verify(keys["rsa"], tool.sign("rsa", RSA_PSS, DATA, hash=hash_id, is_message=1),
                   hash_id, pss=True)
            for name in ("p256", "p384", "p521"):
                verify(keys[name], tool.sign(name, ECDSA, digest), hash_id)
                verify(keys[name], tool.sign(name, ECDSA, DATA, hash=hash_id, is_message=1),
                       hash_id)
        verify(keys["ed"], tool.sign("ed", ED25519, DATA), SHA256)


# --- what is refused ---


def failure(call, *arguments, **more):
    with pytest.raises(Failed) as caught:
        call(*arguments, **more)
    return caught.value


def test_sign__what_is_no_digest(agent):
    with agent.door() as tool:
        # RFC 8017 section 9.2 has NULL parameters; without them it is another signature.
        short = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest_of(SHA256)
        assert failure(tool.sign, "rsa", RSA_PKCS1, short).code == 23
        assert failure(tool.sign, "p256", ECDSA, b"x" * 20).code == 2
        assert failure(tool.sign, "p256", ECDSA, DATA, is_message=1).code == 2
        assert failure(tool.sign, "rsa", RSA_PSS, b"x" * 31, hash=SHA256).code == 2
        assert failure(tool.sign, "ed", ED25519, b"").code == 2
        assert failure(tool.sign, "ed", ED25519, DATA, hash=SHA256).code == 2
        # A key of another kind, and none.
        assert failure(tool.sign, "p256", RSA_PSS, digest_of(SHA256), hash=SHA256).code == 2
        gone = failure(tool.sign, "none", ECDSA, digest_of(SHA256))
        assert gone.code == 5
        assert '"none"' in gone.text
        # The connection is as good as before.
        assert tool.sign("p256", ECDSA, digest_of(SHA256))


def test_sign__bytes_that_are_no_digest_info(full, agent):
    """SHA-1's, as old tools make it: where a policy names that, and nowhere else."""
    old = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(DATA).digest()
    with agent.door() as tool:
        assert failure(tool.sign, "rsa", RSA_PKCS1, old).code == 8
        full.policy("version: 1\nrules:\n  - name: old\n    effect: allow\n"
                    "    match: {algorithm: rsa-pkcs1-raw}\n")
        signature = tool.sign("rsa", RSA_PKCS1, old)
        public = serialization.load_der_public_key(tool.keys()["rsa"]["public_key"])
        public.verify(signature, DATA, padding.PKCS1v15(), hashes.SHA1())
        tool.verify("rsa", RSA_PKCS1, signature, old)
        assert failure(tool.verify, "rsa", RSA_PKCS1, signature, old[:-1]).code == 22


def test_sign__policy_refuses(full, agent):
    full.policy("version: 1\nrules:\n  - {name: nobody, effect: deny}\n"
                "  - {name: all, effect: allow}\n")
    with agent.door() as tool:
        why = failure(tool.sign, "p256", ECDSA, digest_of(SHA256))
    assert why.code == 8
    assert why.rules == ["nobody"]
    assert len(why.request_id) == 32
    assert agent.wait_status(lambda s: s["refusals"] == 1)["signatures"] == 0


def test_verify(agent):
    with agent.door() as tool:
        digest = digest_of(SHA256)
        for name, scheme, more in (("p256", ECDSA, {}), ("rsa", RSA_PSS, {"hash": SHA256}),
                                   ("rsa", RSA_PKCS1, {"hash": SHA256}), ("p521", ECDSA, {})):
            good = tool.sign(name, scheme, digest, **more)
            tool.verify(name, scheme, good, digest, **more)
            assert failure(tool.verify, name, scheme, good, digest_of(SHA256, b"other"),
                           **more).code == 22
            assert failure(tool.verify, name, scheme, good[:-1], digest, **more).code == 22
    with agent.door() as tool:  # the whole message, of a key that nothing is known of yet
        good = tool.sign("ed", ED25519, DATA)
        tool.verify("ed", ED25519, good, DATA)
        assert failure(tool.verify, "ed", ED25519, good, b"other").code == 22
        assert failure(tool.verify, "none", ED25519, good, b"other").code == 5


def test_streams(agent):
    part = b"a part of it\n" * 80000
    with agent.door() as tool:
        for _ in range(3):
            tool.ask(door.HASH_ADD, "HashAdd", stream=7, hash=SHA384, data=part)
        ended = tool.ask(door.HASH_END, "Stream", stream=7)
        assert ended["digest"] == digest_of(SHA384, part * 3)
        assert tool.ask(door.HASH_END, "Stream", stream=7)["digest"] == b""
        tool.ask(door.HASH_ADD, "HashAdd", stream=8, hash=SHA256, data=part)
        assert failure(tool.ask, door.HASH_ADD, "HashAdd", stream=8, hash=SHA384,
                       data=part).code == 2
        key = tool.keys()["p256"]
        verify(key, tool.sign("p256", ECDSA, hash=SHA256, stream=8), SHA256, part)
        assert failure(tool.sign, "p256", ECDSA, hash=SHA256, stream=8).code == 2
        # At the limit and one past it.
        for number in range(1, 65):
            tool.ask(door.HASH_ADD, "HashAdd", stream=number, hash=SHA256, data=b"x")
        assert failure(tool.ask, door.HASH_ADD, "HashAdd", stream=65, hash=SHA256,
                       data=b"x").code == 13
        tool.ask(door.HASH_END, "Stream", stream=1)
        tool.ask(door.HASH_ADD, "HashAdd", stream=65, hash=SHA256, data=b"x")


# --- keys ---


def test_keys__objects(agent):
    with agent.door() as tool:
        page = tool.page()
    assert [key["name"] for key in page["keys"]] == ["p256", "p384", "p521", "rsa"]
    assert page["revision"] != 0
    for key in page["keys"]:
        public = serialization.load_der_public_key(key["public_key"])
        certificate = x509.load_der_x509_certificate(key["certificate"]["der"])
        assert certificate.public_key().public_numbers() == public.public_numbers()
        assert key["label"] == key["certificate"]["label"] == key["name"]
        assert len(key["id"]) == 16
        assert key["id"] == key["certificate"]["id"]
        assert key["certificate"]["subject"] == certificate.subject.public_bytes()
        assert key["certificate"]["issuer"] == certificate.issuer.public_bytes()
        serial = certificate.serial_number.to_bytes(21, "big").lstrip(b"\0")
        assert key["certificate"]["serial"] in (bytes([2, len(serial)]) + serial,
                                                bytes([2, len(serial) + 1, 0]) + serial)
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            assert int.from_bytes(key["modulus"], "big") == numbers.n
            assert key["modulus"][0] != 0
            assert int.from_bytes(key["public_exponent"], "big") == numbers.e
            assert key["ec_point"] == b""
        else:
            point = public.public_bytes(serialization.Encoding.X962,
                                        serialization.PublicFormat.UncompressedPoint)
            assert key["ec_point"].endswith(point)
            head = key["ec_point"][:-len(point)]
            assert head in (bytes([4, len(point)]), bytes([4, 0x81, len(point)]))
            assert key["ec_params"][0] == 6
    # Each CA once, named by its own public key.
    assert len(page["authorities"]) == 1
    ca = page["authorities"][0]
    certificate = x509.load_der_x509_certificate(ca["der"])
    spki = certificate.public_key().public_bytes(serialization.Encoding.DER,
                                                 serialization.PublicFormat.SubjectPublicKeyInfo)
    assert ca["id"] == hashlib.sha256(spki).digest()[:16]
    name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    assert ca["label"] == name


def test_keys__ed25519_only_when_named(agent):
    with agent.door() as tool:
        assert "ed" not in tool.keys()
        assert tool.page(label="ed")["keys"] == []
    with agent.door(keys=["e?", "rsa"]) as tool:
        assert set(tool.keys()) == {"ed", "rsa"}
        key = tool.page(label="ed")["keys"][0]
        assert key["ec_params"] == b"\x13\x0cedwards25519"
        assert key["ec_point"][:2] == b"\x04\x20"
        assert tool.page(label="p256")["keys"] == []


def test_keys__one_by_label_or_id(full, agent):
    with agent.door() as tool:
        key = tool.page(label="p384")["keys"][0]
        assert tool.page(id=key["id"])["keys"] == [key]
        assert tool.page(id=key["id"], label="p384")["keys"] == [key]
        assert tool.page(id=key["id"], label="p256")["keys"] == []
        assert tool.page(label="none")["keys"] == []
        assert tool.page(id=b"x" * 16)["keys"] == []
        assert tool.page(id=b"x" * 20)["keys"] == []
        # And the same from the list of all, once that is there.
        assert set(tool.keys()) == set(KINDS) - {"ed"}
        assert tool.page(id=key["id"])["keys"] == [key]
        assert tool.page(id=key["id"], label="p256")["keys"] == []
    full.run("keys", "disable", "p384")
    agent.stop()
    agent.start()
    with agent.door() as tool:
        assert tool.page(label="p384")["keys"] == []


def test_keys__revision(full, agent):
    with agent.door() as tool:
        page = tool.page()
        same = tool.page(revision=page["revision"])
        assert same["is_unchanged"] == 1
        assert same["keys"] == []
        assert same["revision"] == page["revision"]
        agent.stop()
    agent.start()
    with agent.door() as tool:  # it is of the content, so another agent's is the same
        assert tool.page(revision=page["revision"])["is_unchanged"] == 1
        full.run("keys", "create", "new", "--type", "p256")
        deadline = time.monotonic() + SOON
        while tool.page(revision=page["revision"])["is_unchanged"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "new" in tool.keys()


# --- who asks ---


def entries(full, kind="sign.intent"):
    """Entries of the log of a kind with their detail records, oldest first."""
    rows = full.json("log", "list", "--kind", kind, "--limit", "1000")["entries"]
    return [logformat.record(*(base64.b64decode(row[part]) for part in ("entry", "detail")))
            for row in rows]


def last_facts(full):
    """{name: (value, basis)} of the newest request for a signature."""
    return {fact["name"]: (fact["value"], fact["basis"])
            for part in entries(full)[-1] for fact in part["facts"]}


@pytest.fixture(name="trusted")
def fixture_trusted(server, full):
    """An agent with an agent's certificate."""
    full.run("users", "create", "machine")
    code = full.json("users", "code", "machine", "--agent")["code"]
    client = server.client("machine")
    client.enroll(code)
    running = Agent(client).start()
    yield running
    if running.process is not None:
        running.stop()


PYTHON = os.path.realpath("/proc/self/exe")
ONLY_PYTHON = f"""\
version: 1
rules:
  - name: only-this-program
    effect: allow
    match:
      application:
        path: {PYTHON}
        sha256: {hashlib.sha256(open("/proc/self/exe", "rb").read()).hexdigest()}
"""


def test_facts__of_basis_agent_are_believed(full, trusted):
    full.policy(ONLY_PYTHON)
    with trusted.door() as tool:
        assert tool.sign("p256", ECDSA, digest_of(SHA256))
    assert trusted.wait_status(lambda s: s["principal"])["states_facts"] == 1


def test_facts__of_another_login_are_declared(full, agent):
    full.policy(ONLY_PYTHON)
    with agent.door() as tool:
        assert failure(tool.sign, "p256", ECDSA, digest_of(SHA256)).code == 8
    assert agent.wait_status(lambda s: s["principal"] == "admin")["states_facts"] == 0


SIGNER = """\
import sys
sys.path.insert(0, sys.argv[2])
import door
with door.Door(sys.argv[1]) as tool:
    print(tool.sign("p256", door.ECDSA, bytes(32)).hex())
"""


def test_facts__what_is_seen(full, trusted, tmp_path):
    """A program of its own, with secrets in its command line."""
    copy = tmp_path / "a tool"
    shutil.copy(PYTHON, copy)
    words = [str(copy), "-c", SIGNER, trusted.socket, SOURCE / "tests/system", "-storepass",
             "s3cret", "--pin=1234", "pkcs11:object=x?pin-value=9876", "-tsa", "https://u:pw@tsa/"]
    run(*words, env=environment())
    facts = last_facts(full)
    assert facts["application.path"] == (str(copy), "agent")
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert facts["application.sha256"] == (digest, "agent")
    assert facts["application.parent"] == (PYTHON, "agent")
    assert facts["user"] == (pwd.getpwuid(os.geteuid()).pw_name, "agent")
    assert facts["host"] == (socket.gethostname().lower(), "agent")
    command, basis = facts["application.command"]
    assert basis == "agent"
    assert command.startswith(f"'{copy}' -c ")
    assert command.endswith("-storepass *** --pin=*** pkcs11:object=x?pin-value=*** "
                            "-tsa https://u:***@tsa/")


def test_facts__of_who_runs_something_else_now(full, trusted):
    """A process that asks and then becomes another program is neither of the two."""
    script = ("import sys, os, socket\nsys.path.insert(0, sys.argv[2])\nimport door\n"
              "tool = door.Door(sys.argv[1])\n"
              "os.set_inheritable(tool.socket.fileno(), True)\n"
              "os.execv('/bin/sh', ['sh', '-c', 'read line; exec cat', str(tool.socket.fileno())])")
    with subprocess.Popen([PYTHON, "-c", script, str(trusted.socket), SOURCE / "tests/system"],
                          stdin=subprocess.PIPE, env=environment()) as process:
        deadline = time.monotonic() + SOON
        while os.path.realpath(f"/proc/{process.pid}/exe") == PYTHON:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        descriptors = [name for name in os.listdir(f"/proc/{process.pid}/fd")
                       if os.readlink(f"/proc/{process.pid}/fd/{name}").startswith("socket:")]
        pidfd = os.pidfd_open(process.pid)
        other = socket.socket(fileno=_pidfd_getfd(pidfd, int(descriptors[0])))
        os.close(pidfd)
        with door.Door(other, hello=False) as tool:
            assert tool.sign("p256", ECDSA, digest_of(SHA256))
        process.stdin.close()
        process.wait(timeout=SOON)
    facts = last_facts(full)
    assert "user" in facts
    assert not [name for name in facts if name.startswith("application.")]


def _pidfd_getfd(pidfd, number):
    libc = ctypes.CDLL(None, use_errno=True)
    got = libc.syscall(438, pidfd, number, 0)
    assert got >= 0, os.strerror(ctypes.get_errno())
    return got


def test_call__facts_of_ours_are_added(full, trusted):
    digest = digest_of(SHA256)
    item = {"key": "p256", "algorithm": 7, "digest": digest, "hashed_by": 1}
    with trusted.door() as tool:
        answer = tool.call(door.OP_SIGN, "SignRequest", "SignResponse", items=[item],
                           facts=[{"name": "ci.job", "value": "7", "basis": 0}])
        assert answer["results"][0]["is_signed"] == 1
        lie = [{"name": "application.path", "value": "/usr/bin/jarsigner", "basis": 1}]
        assert failure(tool.call, door.OP_SIGN, "SignRequest", "SignResponse", items=[item],
                       facts=lie).code == 9
        assert failure(tool.call, door.OP_SIGN, "SignRequest", "SignResponse",
                       items=[{**item, "facts": lie}]).code == 9
        assert failure(tool.call, door.OP_RENEW, "Empty", "Empty").code == 9
        assert failure(tool.call, 9999, "Empty", "Empty").code == 23
        whoami = tool.call(door.OP_WHOAMI, "Empty", "Whoami")
        assert whoami["principal"] == "machine"
    facts = last_facts(full)
    assert facts["ci.job"] == ("7", "declared")
    assert facts["application.path"] == (PYTHON, "agent")


# --- events ---


def test_events(full, agent, tmp_path):
    tag = os.urandom(16)
    with agent.door() as watcher, agent.door(tag=tag, receipts=str(tmp_path)) as tool, \
            agent.door(tag=os.urandom(16)) as other:
        watcher.watch(tag)
        tool.sign("p256", ECDSA, digest_of(SHA256))
        other.sign("p256", ECDSA, digest_of(SHA256))
        full.policy("version: 1\nrules:\n  - {name: nobody, effect: deny}\n")
        failure(tool.sign, "rsa", RSA_PKCS1, DATA, hash=SHA512, is_message=1)
        events = watcher.unwatch()
        assert len(events) == 2
        good, bad = events
        assert (good["key"], good["algorithm"], good["is_signed"]) == ("p256", 7, 1)
        assert good["digest"] == digest_of(SHA256)
        assert good["application"] == PYTHON
        assert good["outcome"]["index"] > good["intent"]["index"]
        receipt = tmp_path / f"{good['outcome']['index']}.receipt"
        assert good["receipt_file"] == str(receipt)
        assert receipt.read_text().startswith("c2sp.org/tlog-proof@v1\n")
        assert (bad["key"], bad["algorithm"], bad["is_signed"]) == ("rsa", 3, 0)
        assert bad["problem"] == "denied-by-policy"
        assert bad["rules"] == ["nobody"]
        assert len(bad["request_id"]) == 32
        assert bad["outcome"] is None
        assert bad["intent"] is not None
        failure(tool.sign, "rsa", RSA_PKCS1, DATA, hash=SHA512, is_message=1)
        assert watcher.unwatch() == []


# --- connections ---


# row 18
def test_conversation__out_of_turn(agent):
    with door.Door(agent.socket, hello=False) as tool:
        tool.send(door.STATUS, "Empty")
        assert tool.is_closed()
    with agent.door() as tool:
        tool.send(door.HELLO, "Hello", version=1)
        assert tool.is_closed()
    with agent.door() as tool:
        tool.send(door.SIGNED, "Signed")
        assert tool.is_closed()
    with agent.door() as tool:
        tool.socket.sendall(door.frame(door.SIGN, 1, b"garbage"))
        assert tool.is_closed()
    with agent.door() as tool:
        tool.socket.sendall(b"\xff" * 64)
        assert tool.is_closed()
    with door.Door(agent.socket, hello=False) as tool:
        assert failure(tool.hello, version=2).code == 23
    with door.Door(agent.socket, hello=False) as tool:
        assert failure(tool.hello, receipts="not/absolute").code == 2
    with door.Door(agent.socket, hello=False) as tool:
        assert failure(tool.hello, tag=b"short").code == 2
    with agent.door() as tool:  # half a frame holds nobody up
        tool.socket.sendall(door.frame(door.STATUS, 1, b"\0")[:9])
        with agent.door() as other:
            assert other.status()["connections"] == 2


def test_connections__as_many_as_allowed(agent):
    """At the limit, and one past it."""
    doors = []
    try:
        for _ in range(1024):
            doors.append(agent.door())
        late = door.Door(agent.socket, hello=False)
        with late:
            kind, number, value = late.receive()
            assert (kind, number, value["code"]) == (door.FAILED, 0, 13)
        doors.pop().close()
        deadline = time.monotonic() + SOON
        while True:
            try:
                doors.append(agent.door())
                break
            except (door.Closed, AssertionError, KeyError, BrokenPipeError):
                assert time.monotonic() < deadline
        assert doors[0].status()["connections"] == 1024
    finally:
        for tool in doors:
            tool.close()


def test_many_at_once_go_together(full, agent):
    """Fewer requests to the server than signatures."""
    doors = [agent.door() for _ in range(32)]
    started = [[tool.start_sign("p256", ECDSA, digest_of(SHA256)) for _ in range(4)]
               for tool in doors]
    signatures = [tool.answer(number)["signature"]
                  for tool, numbers in zip(doors, started) for number in numbers]
    assert len(set(signatures)) == 128
    for tool in doors:
        tool.close()
    assert agent.wait_status(lambda s: s["connections"] == 1)["signatures"] == 128
    asked = [entry["request_id"] for entry, _ in entries(full)]
    assert len(asked) == 128
    assert len(set(asked)) < 64
