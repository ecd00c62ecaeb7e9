# SPDX-License-Identifier: MIT
"""ssh-keygen and ssh sign through the agent's second socket, which is an SSH agent."""

import base64
import hashlib
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import pytest

from signer import CHANCERY, POLICY, SOON, Signer, need, run
from ssh_tools import (EXTENSION, EXTENSION_RESPONSE, FAILURE, IDENTITIES, ME, SHA2_256, SHA2_512,
                       SIGN, SIGNED, Agent, Sshd, Wire, ssh_public, string, take_string)

TEXT = b"what is delivered\n"
NAMES = {"r3": "ssh-rsa", "r4": "ssh-rsa", "p256": "ecdsa-sha2-nistp256",
         "p384": "ecdsa-sha2-nistp384", "p521": "ecdsa-sha2-nistp521", "ed": "ssh-ed25519"}
# What ssh-keygen asks of each for SSHSIG: RSA's hash is its own choice.
SIGNATURE_HASHES = {"rsa-sha2-256": "sha256", "rsa-sha2-512": "sha512", "ssh-ed25519": "sha256",
                    "ecdsa-sha2-nistp256": "sha256", "ecdsa-sha2-nistp384": "sha384"}
HASHES = {"r3": "sha512", "r4": "sha512", "p256": "sha256", "p384": "sha384", "p521": "sha512",
          "ed": "sha256"}  # of Ed25519's message the log has SHA-256
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def fixture_tools():
    need("ssh-keygen", "ssh", "ssh-add")


@pytest.fixture(name="place")
def fixture_place():
    """A folder with a short path, as sockets want it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="chancery-ssh-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(name="agent")
def fixture_agent(keys, place):
    running = Agent(keys, place)
    yield running
    running.stop()


def ssh_signature(keys, key, content=TEXT, namespace="file", check=True, **options):
    """ssh-keygen -Y sign by chancery exec; the file, its signature, and what was said."""
    data = keys.file(f"{key}.data", content)
    out = pathlib.Path(f"{data}.sig")
    out.unlink(missing_ok=True)
    done = keys.exec("ssh-keygen", "-Y", "sign", "-f", ssh_public(keys, key), "-n", namespace,
                     data, check=check, **options)
    return data, out, done


def allowed(keys, key):
    return keys.file(f"{key}.allowed", "signer@example.org " + ssh_public(keys, key).read_text())


def verify(keys, key, data, signature, namespace="file"):
    return keys.run("ssh-keygen", "-Y", "verify", "-f", allowed(keys, key), "-I",
                    "signer@example.org", "-n", namespace, "-s", signature, check=False,
                    input=data.read_text())


def signed_bytes(content, namespace=b"file", inner=b"sha512"):
    """What SSHSIG has a key sign (OpenSSH's PROTOCOL.sshsig, section 3)."""
    digest = hashlib.new(inner.decode(), content).digest()
    return b"SSHSIG" + string(namespace) + string(b"") + string(inner) + string(digest)


# --- ssh-keygen ---

def test_list__every_key_as_ssh_keygen_has_it(keys):
    lines = keys.exec("ssh-add", "-L").stdout.splitlines()
    shown = {line.split()[2]: line.split()[:2] for line in lines}
    for name, kind in NAMES.items():
        assert shown[name] == ssh_public(keys, name).read_text().split(), name
        assert shown[name][0] == kind
    assert "@log" not in shown


def test_list__the_keys_that_are_asked_for(keys):
    lines = keys.exec("ssh-add", "-L", options=["--key", "p*"]).stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["p256", "p384", "p521"]


@pytest.mark.parametrize("key", NAMES)
def test_sign__and_ssh_keygen_verifies(keys, key):
    content = TEXT + key.encode()
    data, signature, done = ssh_signature(keys, key, content)
    assert f"chancery: signed: key {key}, " in done.stderr
    good = verify(keys, key, data, signature)
    assert good.returncode == 0 and "Good" in good.stdout, good.stderr
    digest = hashlib.new(HASHES[key], signed_bytes(content)).hexdigest()
    entries = keys.log(digest=digest, kind="sign.intent")
    assert [entry["key"] for entry in entries] == [key]
    assert entries[0]["application"]["value"] == os.path.realpath("/usr/bin/ssh-keygen")
    # One byte of the file, one of the signature, another purpose.
    assert verify(keys, key, keys.file("broken", content[:-1] + b"X"), signature).returncode != 0
    raw = bytearray(base64.b64decode("".join(signature.read_text().splitlines()[1:-1])))
    raw[-1] ^= 1
    lines = base64.encodebytes(raw).decode()
    broken = keys.file("broken.sig", "-----BEGIN SSH SIGNATURE-----\n" + lines +
                       "-----END SSH SIGNATURE-----\n")
    assert verify(keys, key, data, broken).returncode != 0
    assert verify(keys, key, data, signature, namespace="git").returncode != 0


def test_sign__without_exec(keys, agent):
    data = keys.file("plain.data", TEXT)
    pathlib.Path(f"{data}.sig").unlink(missing_ok=True)
    keys.run("ssh-keygen", "-Y", "sign", "-f", ssh_public(keys, "p256"), "-n", "file", data,
             env={"SSH_AUTH_SOCK": agent.ssh})
    assert verify(keys, "p256", data, pathlib.Path(f"{data}.sig")).returncode == 0


def test_socket__is_private_and_where_it_is_told(keys, place):
    own = Agent(keys, place, "--ssh-socket", place / "mine" / "s")
    assert own.ssh == str(place / "mine" / "s")
    assert os.stat(own.ssh).st_mode & 0o777 == 0o600
    assert os.stat(place / "mine").st_mode & 0o777 == 0o700
    own.stop()
    usual = Agent(keys, place)
    assert usual.ssh == str(place / "agent.ssh.sock")
    usual.stop()
    none = Agent(keys, place, "--ssh-socket", "none")
    assert none.ssh == ""
    none.stop()
    done = run(CHANCERY, "agent", "--socket", place / "agent.sock", "--ssh-socket", "relative",
               check=False, env=keys.env())
    assert done.returncode == 2 and "must be absolute" in done.stderr, done.stderr


def test_exec__says_the_reason_and_keeps_the_receipt(keys, place):
    """What SSH has no words for is what exec was told."""
    words = {"options": ["--reason", "the third of May", "--receipts", place]}
    ssh_signature(keys, "p256", TEXT + b"reason", **words)
    assert list(place.glob("*.receipt"))
    digest = hashlib.sha256(signed_bytes(TEXT + b"reason")).hexdigest()
    entry = keys.log(digest=digest, kind="sign.intent")[0]
    assert b"the third of May" in base64.b64decode(entry["detail"])


# --- certificates ---

def ca_sign(keys, ca, way, *words):
    """A certificate by a CA key of ours: by the SSH agent, or by PKCS#11."""
    public = ssh_public(keys, ca)
    option = ["-Us", public] if way == "agent" else ["-s", public]
    return keys.exec("ssh-keygen", *option, "-I", "somebody", *words)


def user_certificate(keys, place, ca, way):
    key = place / "user"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    done = ca_sign(keys, ca, way, "-n", ME, f"{key}.pub")
    assert f"chancery: signed: key {ca}, " in done.stderr
    return key, place / "user-cert.pub"


def signed_part(certificate):
    """All of a certificate but the CA's signature, which is its last field, and the name of that
    signature's kind (OpenSSH's PROTOCOL.certkeys)."""
    blob = base64.b64decode(certificate.read_text().split()[1])
    at, kind = max((blob.rfind(string(name.encode())), name) for name in SIGNATURE_HASHES)
    assert int.from_bytes(blob[at - 4:at], "big") == len(blob) - at
    return blob[:at - 4], kind


def break_certificate(path):
    """Its last byte is one of the CA's signature."""
    kind, text, *rest = path.read_text().split()
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1
    path.write_text(" ".join([kind, base64.b64encode(raw).decode(), *rest]) + "\n")


WAYS = [("p256", "agent"), ("r3", "agent"), ("ed", "agent"), ("p384", "pkcs11"), ("r3", "pkcs11")]


@pytest.mark.parametrize("ca,way", WAYS)
def test_certificate__of_a_user_lets_ssh_in(keys, place, ca, way):
    sshd = Sshd(place)
    key, certificate = user_certificate(keys, place, ca, way)
    config = sshd.config(TrustedUserCAKeys=ssh_public(keys, ca))
    login = ["-o", "IdentitiesOnly=yes", "-i", str(key)]
    done = sshd.ssh(config, *login, known_hosts=sshd.trust_host(), env=keys.env())
    assert done.returncode == 0 and done.stdout == "in\n", done.stderr
    content, kind = signed_part(certificate)
    digest = hashlib.new(SIGNATURE_HASHES[kind], content).hexdigest()
    entry, = keys.log(digest=digest, kind="sign.intent")
    assert entry["key"] == ca
    assert entry["application"]["value"] == os.path.realpath("/usr/bin/ssh-keygen")
    break_certificate(certificate)
    done = sshd.ssh(config, *login, known_hosts=sshd.trust_host(), env=keys.env())
    assert done.returncode != 0 and "Permission denied" in done.stderr, done.stderr


@pytest.mark.parametrize("ca,way", WAYS[:1] + WAYS[-1:])
def test_certificate__of_a_host_is_believed(keys, place, ca, way):
    sshd = Sshd(place)
    key = place / "user"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    ca_sign(keys, ca, way, "-h", "-n", "host", f"{sshd.host_key}.pub")
    certificate = place / "host-cert.pub"
    known = place / "known"
    known.write_text("@cert-authority host " + ssh_public(keys, ca).read_text())
    config = sshd.config(HostCertificate=certificate, AuthorizedKeysFile=f"{key}.pub")
    login = ["-o", "IdentitiesOnly=yes", "-i", str(key)]
    done = sshd.ssh(config, *login, known_hosts=known, env=keys.env())
    assert done.returncode == 0 and done.stdout == "in\n", done.stderr
    break_certificate(certificate)
    done = sshd.ssh(config, *login, known_hosts=known, env=keys.env())
    assert done.returncode != 0 and "in\n" not in done.stdout, done.stderr


def test_ssh__logs_in_by_a_key_of_ours(keys, place):
    sshd = Sshd(place)
    config = sshd.config(AuthorizedKeysFile=ssh_public(keys, "r4"))
    words = sshd.ssh(config, known_hosts=sshd.trust_host())
    done = keys.exec(*words, options=["--key", "r4"])
    assert done.stdout == "in\n", done.stderr
    assert "chancery: signed: key r4, rsa-pkcs1-sha512" in done.stderr


@pytest.mark.parametrize("command", ["ssh-add -L", "ssh-keygen -Y sign -f {key} -n file {data}"])
def test_ssh__forwards_no_key(keys, place, command):
    """With `ssh -A` the other machine may ask; it would be our ssh that signs."""
    sshd = Sshd(place)
    key = ssh_public(keys, "r4")
    words = sshd.ssh(sshd.config(AuthorizedKeysFile=key), "-A", known_hosts=sshd.trust_host(),
                     command=command.format(key=key, data=keys.file("there", "x")))
    done = keys.exec(*words, options=["--key", "r4"], check=False)
    assert done.returncode != 0 and "ssh-rsa" not in done.stdout
    assert done.stderr.count("chancery: signed: key r4") == 1, done.stderr  # the login
    assert not pathlib.Path(keys.home / "there.sig").exists()


# --- the protocol, by another program ---

def test_wire__what_is_not_served_is_refused_and_the_connection_lives(keys, agent):
    with Wire(agent.ssh) as wire:
        for kind in (1, 9, 17, 18, 19, 20, 21, 22, 23, 25, 26, 255):
            assert wire.ask(kind, b"whatever") == (FAILURE, b""), kind
        assert wire.ask(EXTENSION, string(b"query")) == \
            (EXTENSION_RESPONSE, string(b"query") + string(b"query"))
        assert wire.ask(EXTENSION, string(b"session-bind@openssh.com") + b"xyz") == (FAILURE, b"")
        assert wire.ask(EXTENSION, b"\0\0\0\xff") == (FAILURE, b"")
        assert wire.ask(IDENTITIES, b"more") == (FAILURE, b"")
        assert wire.ask(SIGN, b"\0\0") == (FAILURE, b"")
        shown = wire.keys()
        assert wire.sign(shown["r3"], TEXT) == (FAILURE, b"")  # ssh-rsa is SHA-1
        assert wire.sign(shown["r3"], TEXT, 8) == (FAILURE, b"")
        assert wire.sign(shown["p256"], TEXT, SHA2_256) == (FAILURE, b"")
        assert wire.sign(shown["p256"], b"") == (FAILURE, b"")
        assert wire.sign(shown["p256"] + b"x", TEXT) == (FAILURE, b"")
        assert wire.sign(shown["ed"], b"x" * 65537) == (FAILURE, b"")
        for key, flags in (("r3", SHA2_256), ("r3", SHA2_512), ("ed", 0), ("p521", 0)):
            kind, answer = wire.sign(shown[key], TEXT, flags)
            assert kind == SIGNED
            name, _ = take_string(take_string(answer)[0])
            expected = {SHA2_256: b"rsa-sha2-256", SHA2_512: b"rsa-sha2-512"}
            assert name == expected.get(flags, NAMES[key].encode())


def test_wire__many_requests_at_once_are_answered_in_their_order(keys, agent):
    with Wire(agent.ssh) as wire:
        blob = wire.keys()["p256"]
        body = string(blob) + string(TEXT) + b"\0\0\0\0"
        wire.socket.sendall(b"".join(string(bytes([kind]) + contents) for kind, contents in [
            (SIGN, body), (200, b""), (IDENTITIES, b""), (SIGN, body)]))
        assert [wire.receive()[0] for _ in range(4)] == [SIGNED, FAILURE, 12, SIGNED]


@pytest.mark.parametrize("length", [0, 262145, 0xffffffff])
def test_wire__lengths_that_no_message_has_end_it(agent, length):
    with Wire(agent.ssh) as wire:
        wire.socket.sendall(length.to_bytes(4, "big") + b"\x0b")
        assert wire.receive() is None


@needs_root
def test_another_user_is_refused(keys, agent):
    nobody = pwd.getpwnam("nobody")
    path = pathlib.Path(agent.ssh)
    path.chmod(0o777)
    script = ("import os, socket, sys; os.setgid({1}); os.setuid({0}); s = socket.socket(1); "
              "s.connect(sys.argv[1]); s.sendall(b'\\0\\0\\0\\1\\x0b'); print(s.recv(100))"
              ).format(nobody.pw_uid, nobody.pw_gid)
    done = run(sys.executable, "-c", script, path, check=False)
    # It is closed before the request, between the two, or when that was not read.
    assert done.stdout == "b''\n" or "BrokenPipe" in done.stderr or "Reset" in done.stderr
    assert "another user" in str(agent.wait_event("agent.turned_away"))


# --- policy and faults ---

@pytest.fixture(name="own")
def fixture_own(keys):
    """The server, which these tests may restart: at the same address each time."""
    port = keys.admin.url.rsplit(":", 1)[1]
    config = keys.server.config.read_text()
    keys.server.config.write_text(config.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    yield keys
    keys.admin.policy(POLICY)


ONLY_THAT = """\
version: 1
rules:
  - name: only-that-program
    effect: allow
    match:
      application: {{path: {path}}}
"""


def test_policy__only_this_ssh_keygen(own, place):
    """What the kernel said of the program that asks, with the basis `agent`."""
    machine = own.server.client("machine")
    own.admin.run("users", "create", "machine")
    machine.enroll(own.admin.json("users", "code", "machine", "--agent")["code"])
    other = place / "ssh-keygen"
    shutil.copy("/usr/bin/ssh-keygen", other)
    own.admin.policy(ONLY_THAT.format(path=os.path.realpath("/usr/bin/ssh-keygen")))
    agent = Agent(own, place, home=machine.home)
    data = own.file("policy.data", TEXT)
    words = ["-Y", "sign", "-f", ssh_public(own, "p256"), "-n", "file", data]
    try:
        refused = own.run(other, *words, check=False, env={"SSH_AUTH_SOCK": agent.ssh})
        assert refused.returncode != 0
        assert "agent refused operation" in refused.stderr, refused.stderr
        event = agent.wait_event("agent.ssh_refused")
        assert event["key"] == "p256" and event["application"] == str(other), event
        assert event["level"] == "warning" and event["text"]
        own.run("ssh-keygen", *words, env={"SSH_AUTH_SOCK": agent.ssh})
        assert verify(own, "p256", data, pathlib.Path(f"{data}.sig")).returncode == 0
    finally:
        agent.stop()
        own.admin.policy(POLICY)


FILES_ALONE = POLICY + """\
  - name: files-alone
    effect: deny
    match:
      key: p256
      fact:
        content.type: {value: [ssh-login, ssh-certificate], basis: server}
"""


def test_policy__a_key_for_files_neither_logs_in_nor_certifies(own, place):
    """The server looks at what is to be signed."""
    sshd = Sshd(place)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "user")
    words = sshd.ssh(sshd.config(AuthorizedKeysFile=ssh_public(own, "p256")),
                     known_hosts=sshd.trust_host())
    own.admin.policy(FILES_ALONE)
    done = own.exec(*words, options=["--key", "p256"], check=False)
    assert done.returncode != 0 and "files-alone" in done.stderr, done.stderr
    for option in (["-Us", ssh_public(own, "p256")], ["-s", ssh_public(own, "p256")]):
        done = own.exec("ssh-keygen", *option, "-I", "x", "-n", ME, place / "user.pub", check=False)
        assert done.returncode != 0 and "files-alone" in done.stderr, done.stderr
    data, signature, _ = ssh_signature(own, "p256", TEXT + b"alone")
    assert verify(own, "p256", data, signature).returncode == 0
    own.admin.policy(POLICY)
    assert own.exec(*words, options=["--key", "p256"]).stdout == "in\n"


def test_policy__exec_says_who_refused(own):
    own.admin.policy(POLICY + "  - {name: no-night, effect: deny, "
                              "match: {key: p384, application: {path: '**/ssh-keygen'}}}\n")
    try:
        _, out, done = ssh_signature(own, "p384", check=False)
        assert done.returncode != 0 and not out.exists()
        assert "no-night" in done.stderr and "refused" in done.stderr, done.stderr
    finally:
        own.admin.policy(POLICY)


def test_the_server_restarts_while_a_tool_holds_its_connection(own, place):
    agent = Agent(own, place)
    with Wire(agent.ssh) as wire:
        blob = wire.keys()["p256"]
        assert wire.sign(blob, TEXT)[0] == SIGNED
        own.server.stop()
        own.server.start()
        assert wire.sign(blob, TEXT)[0] == SIGNED
    agent.stop()


def test_two_tools_at_once_on_one_key(keys, agent):
    def sign(name):
        data = keys.file(f"{name}.both", TEXT + name.encode())
        pathlib.Path(f"{data}.sig").unlink(missing_ok=True)
        keys.run("ssh-keygen", "-Y", "sign", "-f", ssh_public(keys, "r3"), "-n", "file", data,
                 env={"SSH_AUTH_SOCK": agent.ssh})
    ssh_public(keys, "r3")
    threads = [threading.Thread(target=sign, args=(name,)) for name in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("a", "b", "c", "d"):
        data = keys.home / f"{name}.both"
        assert verify(keys, "r3", data, pathlib.Path(f"{data}.sig")).returncode == 0


def test_a_tool_that_is_killed_half_way(keys, agent):
    """What it asked for is decided and logged; the agent goes on."""
    content = os.urandom(16)
    with Wire(agent.ssh) as wire:
        blob = wire.keys()["p256"]
        wire.send(SIGN, string(blob) + string(content) + b"\0\0\0\0")
        wire.socket.sendall(b"\0\0")  # and the beginning of another
    with Wire(agent.ssh) as wire:
        assert wire.sign(blob, TEXT)[0] == SIGNED
    digest = hashlib.sha256(content).hexdigest()
    assert [e["kind"] for e in keys.log(digest=digest)] == ["sign.intent", "sign.outcome"]


@needs_root
def test_a_socket_of_somebody_else_is_not_listened_at(keys, place):
    """Neither in a folder of theirs, nor in the place of what stands there."""
    theirs = place / "theirs"
    theirs.mkdir()
    os.chown(theirs, pwd.getpwnam("nobody").pw_uid, -1)
    done = run(CHANCERY, "agent", "--socket", place / "agent.sock", "--ssh-socket",
               theirs / "ssh.sock", check=False, env=keys.env())
    assert done.returncode != 0 and str(theirs) in done.stderr, done.stderr
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(place / "taken.sock"))
        taken.listen()
        done = run(CHANCERY, "agent", "--socket", place / "agent.sock", "--ssh-socket",
                   place / "taken.sock", check=False, env=keys.env())
    assert done.returncode != 0 and "taken.sock" in done.stderr, done.stderr
