# SPDX-License-Identifier: MIT
"""The agent and the private helper, against a real server, asked by tests/system/door.py."""

import base64
import ctypes
import datetime
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

import door
import logformat
from conftest import CHANCERY, SOON, SOURCE, Client, Server, environment, run
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


@pytest.fixture(scope="module", name="shared")
def fixture_shared():
    """One server for most tests: RSA keys take long to make."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="chancery-test-", dir="/tmp"))
    place.chmod(0o755)
    server = Server(place)
    try:
        server.start()
        server.administrator = server.admin()
        for name, kind in KINDS.items():
            server.administrator.run("keys", "create", name, "--type", kind)
            server.administrator.run("certs", "development", name)
        yield server
        server.stop()
    finally:
        server.drop()
        shutil.rmtree(place)


@pytest.fixture(name="full")
def fixture_full(shared):
    """The administrator of a server that has a key of every type, and lets everybody sign."""
    shared.administrator.policy()
    return shared.administrator


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
    full.run("keys", "enable", "p384")


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
    full.run("keys", "destroy", "new", "--confirm", "new")


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
def fixture_trusted(shared, full):
    """An agent with an agent's certificate."""
    client = shared.client("machine")
    if not (client.home / ".config").exists():
        full.run("users", "create", "machine")
        client.enroll(full.json("users", "code", "machine", "--agent")["code"])
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
    digest = hashlib.sha256(pathlib.Path(PYTHON).read_bytes()).hexdigest()
    assert facts["application.parent.sha256"] == (digest, "agent")
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
    assert len(set(asked[-128:])) < 64


# --- life ---


@pytest.fixture(name="own")
def fixture_own(signing):
    """An agent whose server may be stopped: it has the P-256 key "k"."""
    running = Agent(signing).start()
    yield running
    if running.process is not None:
        running.stop()


def test_server_is_restarted(server, own):
    """Whoever signs meanwhile waits for it."""
    own.wait_status(lambda s: s["principal"] == "admin")
    port = int(server.url.rsplit(":", 1)[1])
    server.set("listen", f"[127.0.0.1:{port}]")
    with own.door() as tool:
        tool.sign("k", ECDSA, digest_of(SHA256))
        server.stop()
        number = tool.start_sign("k", ECDSA, digest_of(SHA256))
        with own.door() as other:
            assert other.status()["connections"] == 2
        server.start()
        assert tool.answer(number)["signature"]
        assert tool.sign("k", ECDSA, digest_of(SHA256))


def test_server_is_not_there(server, signing):
    """Not at the start of the agent; then it comes."""
    port = int(server.url.rsplit(":", 1)[1])
    server.set("listen", f"[127.0.0.1:{port}]")
    server.stop()
    agent = Agent(signing).start()
    try:
        status = agent.wait_status(lambda s: s["trouble"])
        assert status["principal"] == ""
        assert status["url"] == server.url
        with agent.door() as tool:
            assert failure(tool.sign, "k", ECDSA, digest_of(SHA256)).code == 17
            assert failure(tool.page).code == 17
            server.start()
            assert tool.sign("k", ECDSA, digest_of(SHA256))
        assert agent.wait_status(lambda s: s["principal"] == "admin")["trouble"] == ""
    finally:
        agent.stop()


def test_nobody_is_enrolled(server, signing):
    """An agent may run before its machine is enrolled, and takes the login up by itself."""
    client = server.client("late")
    agent = Agent(client).start()
    try:
        with agent.door() as tool:
            why = failure(tool.page)
            assert "names no server. Enrol with chancery enroll" in why.text
            signing.run("users", "create", "late")
            client.enroll(signing.json("users", "code", "late")["code"])
            assert "k" in tool.keys()
        assert agent.wait_status(lambda s: s["principal"])["principal"] == "late"
    finally:
        agent.stop()


def test_what_is_in_flight_is_finished(own):
    """SIGTERM: no connections any more, but an answer to what was asked."""
    with own.door() as tool:
        numbers = [tool.start_sign("k", ECDSA, digest_of(SHA256)) for _ in range(50)]
        tool.status()  # it has them
        own.process.send_signal(signal.SIGTERM)
        assert all(tool.answer(number)["signature"] for number in numbers)
    assert own.wait_end() == 0
    assert not own.socket.exists()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        own.door()


def test_agent_is_killed(own):
    """The socket that it leaves is replaced by the next one."""
    with own.door() as tool:
        own.process.kill()
        assert tool.is_closed()
    own.drop()
    assert own.socket.exists()
    own.start()
    with own.door() as tool:
        assert tool.sign("k", ECDSA, digest_of(SHA256))


def test_two_agents_on_one_socket(signing, own):
    second = run(CHANCERY, "agent", "--socket", own.socket, check=False,
                 env=environment(HOME=str(signing.home)))
    assert second.returncode == 1
    assert f"an agent listens on {own.socket} already" in second.stderr
    with own.door() as tool:
        assert tool.status()["connections"] == 1


def test_reload(server, signing, own):
    config = signing.home / ".config/chancery/config.yaml"
    good = config.read_text()
    own.wait_status(lambda s: s["principal"])
    config.write_text("profiles: [")
    own.process.send_signal(signal.SIGHUP)
    own.wait_event("agent.not_reloaded")
    with own.door() as tool:  # it goes on as it was
        assert tool.sign("k", ECDSA, digest_of(SHA256))
    config.write_text(good.replace('profile: "default"', 'profile: "default" '))
    own.process.send_signal(signal.SIGHUP)
    own.wait_event("agent.reloaded")
    with own.door() as tool:
        assert tool.sign("k", ECDSA, digest_of(SHA256))
    assert server.process.poll() is None


def put_certificate(client, days):
    """Another certificate of the client's key into its file, which ends in so many days."""
    path = client.home / ".config/chancery/default.pem"
    pem = path.read_bytes()
    key = serialization.load_pem_private_key(pem.split(b"-----BEGIN CERT")[0], None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(days=9))
    made = made.not_valid_after(now + datetime.timedelta(days=days)).public_key(key.public_key())
    text = pem.split(b"-----BEGIN CERT")[0] + made.sign(key, hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM)
    other = path.with_suffix(".new")
    other.touch(mode=0o600)
    other.write_bytes(text)
    other.rename(path)
    return pem


def test_credential_has_ended(signing, own):
    """The agent says so everywhere, and goes on once the machine is enrolled again."""
    with own.door() as tool:
        assert tool.sign("k", ECDSA, digest_of(SHA256))
        good = put_certificate(signing, days=-1)
        for ask in (lambda: tool.sign("k", ECDSA, digest_of(SHA256)), tool.page,
                    lambda: tool.call(door.OP_WHOAMI, "Empty", "Whoami")):
            why = failure(ask)
            assert why.code == 11
            assert 'certificate of profile "default" ended' in why.text
            assert why.text.endswith("Enrol again: ask an administrator for a new code.")
        trouble = tool.status()["trouble"]
        assert "ended" in trouble
        assert "Enrol again" in trouble
        (signing.home / ".config/chancery/default.pem").write_bytes(good)
        assert tool.sign("k", ECDSA, digest_of(SHA256))
        assert tool.status()["trouble"] == ""


# --- whose socket ---


def test_socket_is_for_its_user_alone(own):
    assert stat.S_IMODE(own.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.socket.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_connection_of_another_user(own):
    """It gets through where somebody has opened the folder, and is closed unheard."""
    own.socket.parent.chmod(0o755)
    own.socket.chmod(0o666)
    for parent in own.socket.parents[1:3]:
        parent.chmod(0o755)
    script = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
              "sys.stdout.write(repr(s.recv(1)))\n")
    assert run(PYTHON, "-c", script, own.socket, user="nobody").stdout == "b''"
    own.wait_event("agent.turned_away")


def test_folder_that_others_may_write(signing, tmp_path):
    tmp_path.chmod(0o777)
    done = run(CHANCERY, "agent", "--socket", tmp_path / "agent.sock", check=False,
               env=environment(HOME=str(signing.home)))
    assert done.returncode == 1
    assert "others may write the folder" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_command__socket_of_another_user(signing, folder):
    """It is told nothing: whoever made it could ask for anything in our name."""
    path = folder / "theirs.sock"
    script = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\n"
              "s.listen()\nprint(flush=True)\nc = s.accept()[0]\nprint(repr(c.recv(1)))\n")
    folder.chmod(0o777)
    with subprocess.Popen([PYTHON, "-c", script, path], user="nobody", stdout=subprocess.PIPE,
                          text=True) as other:
        other.stdout.readline()
        path.chmod(0o666)
        done = run(CHANCERY, "whoami", check=False,
                   env=environment(HOME=str(signing.home), CHANCERY_AGENT_SOCK=str(path)))
        assert done.returncode == 1
        assert "not ours: it is told nothing" in done.stderr
        assert other.stdout.readline() == "b''\n"
        other.wait(timeout=SOON)


# --- the command through the agent ---


def through(client, agent, *words, check=True, **env):
    return run(CHANCERY, *words, check=check, cwd=client.home,
               env=environment(HOME=str(client.home), CHANCERY_AGENT_SOCK=str(agent.socket), **env))


def test_command__through_the_agent(server, signing, own):
    nobody = server.client("nobody")  # without a login of its own
    assert "principal: admin" in through(nobody, own, "whoami").stdout
    assert "k" in through(nobody, own, "keys", "list").stdout
    nobody.file("app", b"what is signed\n")
    done = through(nobody, own, "sign", "--raw", "--key", "k", "app", "--receipt", "app.receipt")
    assert done.stdout.startswith("signed app: key k, ecdsa-sha256")
    run("openssl", "dgst", "-sha256", "-verify", signing.public_key("k"), "-signature",
        nobody.home / "app.sig", nobody.home / "app")
    shown = through(nobody, own, "agent", "status")
    assert re.search("^principal: +admin$", shown.stdout, re.M)
    assert json.loads(through(nobody, own, "agent", "status", "--json").stdout)["signatures"] == 1
    signing.policy("version: 1\nrules:\n  - {name: nobody, effect: deny}\n")
    done = through(nobody, own, "sign", "--raw", "--key", "k", "app", check=False)
    assert done.returncode == 1
    assert "by rule nobody" in done.stdout
    gone = through(nobody, own, "keys", "show", "none", check=False)
    assert "request " in gone.stderr
    # Without an agent there: a named one is not replaced.
    own.stop()
    done = through(nobody, own, "whoami", check=False)
    assert done.returncode == 3
    assert "CHANCERY_AGENT_SOCK" in done.stderr


def test_command__finds_the_agent(signing, tmp_path):
    """In the runtime folder, unless something says who else to be."""
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    agent = Agent(signing, socket_path=tmp_path / "chancery/agent.sock", **env)
    tmp_path.chmod(0o700)
    agent.start()
    try:
        def calls(*words, **more):
            run(CHANCERY, *words, env=environment(HOME=str(signing.home), **env, **more))
            return len(agent.lines), agent.wait_status(lambda s: True)["signatures"]

        signing.file("f", b"x")
        words = ("sign", "--raw", "--key", "k", signing.home / "f")
        assert calls(*words)[1] == 1
        assert calls(*words, CHANCERY_AGENT_SOCK="none")[1] == 1
        assert calls(*words, CHANCERY_PROFILE="default")[1] == 1
        assert calls(*words, "--profile", "default")[1] == 1
        assert calls(*words)[1] == 2
    finally:
        agent.stop()
    signing.run("whoami")  # nobody listens: it goes by itself


# --- the private helper ---


def test_helper(signing, tmp_path):
    helper = door.Helper(signing)
    assert helper.starter.wait(timeout=SOON) == 0  # it has left its parent
    with helper.adopt(reason="because") as tool:
        assert tool.sign("k", ECDSA, digest_of(SHA256))
        helper.listen(tmp_path / "helper.sock")
        with door.Door(tmp_path / "helper.sock") as other:
            assert other.status()["connections"] == 2
            assert other.sign("k", ECDSA, digest_of(SHA256))
        with helper.adopt() as third:
            assert "k" in third.keys()
            numbers = [third.start_sign("k", ECDSA, digest_of(SHA256)) for _ in range(20)]
            third.status()
            helper.control.close()  # in flight is finished
            assert all(third.answer(number)["signature"] for number in numbers)
            assert third.is_closed()
        assert tool.is_closed()
    assert not (tmp_path / "helper.sock").exists()
    reasons = [detail["reason"] for _, detail in entries(signing)]
    assert reasons[0] == "because"


def test_helper__with_a_token(server, signing):
    """A build job's: everything is in its environment."""
    signing.run("users", "create", "ci")
    signing.run("users", "add-token", "ci", "--scope", "sign", "--scope", "keys.*", "--out", "t")
    helper = door.Helper(server.client("job"), CHANCERY_URL=server.url,
                         CHANCERY_CA=str(server.data / "tls/certificate.pem"),
                         CHANCERY_TOKEN=(signing.home / "t").read_text().strip())
    with helper.adopt() as tool:
        assert set(tool.keys()) == {"k"}
        assert tool.sign("k", ECDSA, digest_of(SHA256))
    helper.control.close()
    entry, detail = entries(signing)[-1]
    assert entry["principal"] == "ci"
    bases = {fact["basis"] for part in (entry, detail) for fact in part["facts"]}
    assert "agent" not in bases


def test_helper__nonsense_ends_it(signing):
    helper = door.Helper(signing)
    helper.control.sendall(door.frame(door.SIGN, 1, b""))
    assert helper.is_over()
    helper = door.Helper(signing)
    helper.control.sendall(door.frame(door.ADOPT, 1, b""))  # without a descriptor
    assert helper.is_over()
    helper = door.Helper(signing)
    with pytest.raises(Failed) as caught:
        helper.listen("not/absolute")
    assert caught.value.code == 2
    helper.control.close()


def test_memory_of_the_agent_is_its_own(shared, full, folder):
    """Who has the same user can neither read it nor trace it, and it leaves no core: it is not
    dumpable, so that its files in /proc are root's."""
    if shared.is_loose:
        return  # a leak checker must see its memory
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    home = folder / "home"
    shutil.copytree(full.home, home)
    for path in (home, *home.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    folder.chmod(0o755)
    other = Agent(Client(home, full.url), user=user.pw_name).start()
    try:
        pid = other.process.pid
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{user.pw_uid}\s", status, re.M)
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        script = f"open('/proc/{pid}/mem', 'rb')"
        refused = run(PYTHON, "-c", script, user=user.pw_name, check=False)
        assert refused.returncode != 0 and "PermissionError" in refused.stderr
    finally:
        other.stop()
