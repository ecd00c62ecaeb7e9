# SPDX-License-Identifier: MIT
"""cosign signs blobs, images and attestations through sigstore-kms-chancery."""

import base64
import hashlib
import json
import os
import pwd
import shutil
import subprocess

import pytest

import plugins
from plugins import KMS, asked, other_byte, policy
from signer import CHANCERY, MODULE, POLICY, SOON, environment, run

OFFLINE = ("--trusted-root", "trusted.json")
SIGN = ("--yes", "--signing-config", "signing.json", *OFFLINE)
VERIFY = ("--insecure-ignore-tlog", *OFFLINE)
FROZEN = POLICY + """\
  - name: frozen
    effect: deny
    description: nothing is signed before the audit
    match: {key: p256}
"""


def no_services(tool, folder):
    """Neither a public log, nor an authority, nor the list of both that cosign would fetch."""
    run(tool.path, "signing-config", "create", "--out", folder / "signing.json", cwd=folder,
        env=tool.env())
    run(tool.path, "trusted-root", "create", "--out", folder / "trusted.json", cwd=folder,
        env=tool.env())


@pytest.fixture(name="cosign", scope="module")
def fixture_cosign(keys):
    tool = plugins.Tool(keys, "cosign")
    no_services(tool, keys.home)
    return tool


@pytest.fixture(name="blob")
def fixture_blob(keys, request):
    """A file that no other test signs, and its hash."""
    path = keys.file(f"{request.node.name.translate(str.maketrans('[]', '--'))}.blob",
                     f"what {request.node.name} signs\n")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def sign_blob(tool, blob, key="p256", how=None, **options):
    return (how or tool.run)("sign-blob", "--key", f"chancery://{key}", *SIGN, "--bundle",
                             f"{blob}.json", blob, **options)


def verify_blob(tool, blob, key, bundle=None, **options):
    return tool.run("verify-blob", "--key", key, *VERIFY, "--bundle", bundle or f"{blob}.json",
                    blob, **options)


def assert_told(facts, tool, basis):
    """The log names the plug-in, and cosign which started it."""
    assert facts["application.path"] == (str(KMS), basis)
    assert facts["application.parent"] == (str(tool.path), basis)
    digest = hashlib.sha256(tool.path.read_bytes()).hexdigest()
    assert facts["application.parent.sha256"] == (digest, basis)


# --- what is signed ---


@pytest.mark.parametrize("key", ["p256", "r3", "r4"])
def test_blob(keys, cosign, blob, key):
    path, digest = blob
    sign_blob(cosign, path, key)
    for known in (f"chancery://{key}", f"{key}.pub"):
        assert "Verified OK" in verify_blob(cosign, path, known).stderr
        refused = verify_blob(cosign, other_byte(path), known, f"{path}.json", check=False)
        assert refused.returncode != 0
    refused = verify_blob(cosign, path, "p384.pub", check=False)
    assert refused.returncode != 0
    assert_told(asked(keys, digest)[-1], cosign, "declared")


def signed_digest(envelope):
    """What is signed of an attestation: DSSE's encoding of the statement."""
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    return hashlib.sha256(encoded).hexdigest()


def test_image(keys, cosign, registry):
    image = registry.push("image", b"what is shipped\n")
    cosign.run("sign", "--key", "chancery://p256", *SIGN, "--bundle", "image.json", image)
    for known in ("chancery://p256", "p256.pub"):
        told = json.loads(cosign.run("verify", "--key", known, *VERIFY, image).stdout)
        assert told[0]["critical"]["image"]["docker-manifest-digest"] == image.split("@")[1]
    envelope = json.loads((keys.home / "image.json").read_text())["dsseEnvelope"]
    assert_told(asked(keys, signed_digest(envelope))[-1], cosign, "declared")
    assert cosign.run("verify", "--key", "p384.pub", *VERIFY, image, check=False).returncode != 0
    other = registry.push("image", b"what is Shipped\n")
    assert other != image
    for name in (other, f"{registry.address}/image:1"):
        refused = cosign.run("verify", "--key", "p256.pub", *VERIFY, name, check=False)
        assert refused.returncode != 0, refused.stdout


@pytest.mark.parametrize("key", ["p256", "r3"])
def test_attestation(keys, cosign, registry, key):
    image = registry.push(f"attested-{key}", b"what is attested\n")
    keys.file("predicate.json", '{"builder": "ours"}\n')
    cosign.run("attest", "--key", f"chancery://{key}", *SIGN, "--type", "custom", "--predicate",
               "predicate.json", image)
    told = cosign.run("verify-attestation", "--key", f"{key}.pub", "--type", "custom", *VERIFY,
                      image)
    envelope = json.loads(told.stdout.splitlines()[0])
    assert b"builder" in base64.b64decode(envelope["payload"])
    assert_told(asked(keys, signed_digest(envelope))[-1], cosign, "declared")
    refused = cosign.run("verify-attestation", "--key", "p384.pub", "--type", "custom", *VERIFY,
                         image, check=False)
    assert refused.returncode != 0
    # One letter of the signature in the registry's store is another.
    signature = envelope["signatures"][0]["sig"].encode()
    blob, = [path for path in (registry.folder / "data").rglob("data")
             if path.is_file() and signature in path.read_bytes()]
    content = blob.read_bytes()
    at = content.index(signature) + 10
    blob.write_bytes(content[:at] + (b"B" if content[at:at + 1] == b"A" else b"A")
                     + content[at + 1:])
    refused = cosign.run("verify-attestation", "--key", f"{key}.pub", "--type", "custom", *VERIFY,
                         image, check=False)
    assert refused.returncode != 0


def test_exec(keys, cosign, blob):
    path, digest = blob
    done = sign_blob(cosign, path, how=cosign.exec)
    assert "chancery: signed: key p256, ecdsa-sha256, log entry " in done.stderr
    verify_blob(cosign, path, "p256.pub")
    assert_told(asked(keys, digest)[-1], cosign, "declared")


def test_receipt(keys, cosign, blob):
    folder = keys.home / "kms-receipts"
    folder.mkdir()
    sign_blob(cosign, blob[0], env={"CHANCERY_RECEIPTS": str(folder), "CHANCERY_REASON": "a test"})
    receipt, = folder.iterdir()
    assert receipt.read_text().startswith("c2sp.org/tlog-proof@v1\n")


def test_pkcs11(keys, blob):
    """The build of cosign that loads the module, and a key without a certificate."""
    tool = plugins.Tool(keys, "cosign", "cosign-pkcs11")
    no_services(tool, keys.home)
    path, digest = blob
    keys.admin.run("keys", "create", "bare", "--type", "p256")
    keys.admin.public_key("bare")
    done = tool.exec("sign-blob", "--key", "pkcs11:token=Chancery;object=bare", *SIGN, "--bundle",
                     f"{path}.json", path, env={"CHANCERY_MODULE": str(MODULE)})
    assert "chancery: signed: key bare, ecdsa-sha256, log entry " in done.stderr
    verify_blob(tool, path, "bare.pub")
    refused = verify_blob(tool, other_byte(path), "bare.pub", f"{path}.json", check=False)
    assert refused.returncode != 0
    assert asked(keys, digest)[-1]["application.path"][0] == str(tool.path)
    keys.admin.run("keys", "disable", "bare")


EXTENSIONS = """\
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = email:release@example.org
"""


def give_certificate(keys, name):
    """A CA of our own issues what cosign wants: with an alternative name."""
    def openssl(*words):
        run("openssl", *words, cwd=keys.home)
    keys.admin.run("keys", "create", name, "--type", "p256")
    keys.admin.run("certs", "csr", name, "--subject", "CN=Release", "--san",
                   "email:release@example.org", "--out", f"{name}.csr")
    keys.file("extensions", EXTENSIONS)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "own-ca.key", "-out",
            "own-ca.pem", "-subj", "/CN=Own CA", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "own-ca.pem", "-CAkey", "own-ca.key",
            "-CAcreateserial", "-extfile", "extensions", "-out", f"{name}.pem")
    chain = (keys.home / f"{name}.pem").read_text() + (keys.home / "own-ca.pem").read_text()
    keys.admin.run("certs", "import", name, keys.file(f"{name}-chain.pem", chain))


def test_pkcs11__with_a_certificate(keys, blob):
    """It goes into the bundle, and is verified in the place of one of Sigstore's."""
    tool = plugins.Tool(keys, "cosign", "cosign-pkcs11")
    no_services(tool, keys.home)
    path, _ = blob
    give_certificate(keys, "named")
    tool.run("trusted-root", "create", "--out", "own.json", "--fulcio",
             "url=https://ca.example,certificate-chain=own-ca.pem,start-time=2020-01-01T00:00:00Z")
    sign = ("sign-blob", "--key", "pkcs11:token=Chancery;object=named", "--yes",
            "--signing-config", "signing.json", "--bundle", f"{path}.json", path)
    env = {"CHANCERY_MODULE": str(MODULE)}
    tool.exec(*sign, "--trusted-root", "own.json", env=env)
    verify = ("verify-blob", "--certificate-oidc-issuer-regexp", ".*", "--insecure-ignore-tlog",
              "--insecure-ignore-sct", "--trusted-root", "own.json", "--bundle", f"{path}.json",
              "--certificate-identity")
    assert "Verified OK" in tool.run(*verify, "release@example.org", path).stderr
    for words in (("release@example.org", other_byte(path)), ("other@example.org", path)):
        assert tool.run(*verify, *words, check=False).returncode != 0
    refused = tool.exec(*sign, *OFFLINE, env=env, check=False)
    assert "leaf certificate verification failed" in refused.stderr
    keys.admin.run("keys", "disable", "named")


# --- who is believed ---

ONLY_COSIGN = """\
version: 1
rules:
  - name: only-cosign
    effect: allow
    match:
      application: {sha256: %s}
      fact: {application.parent.sha256: %s}
"""


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def machine(keys, name, user=None):
    """A client with an agent's certificate, and a home that is `user`'s."""
    client = keys.server.client(name)
    keys.admin.run("users", "create", name)
    client.enroll(keys.admin.json("users", "code", name, "--agent")["code"])
    if user is not None:
        for path in (client.home, *client.home.rglob("*")):
            os.chown(path, user, user)
    return client


def test_only_this_cosign(keys, cosign, blob):
    """The same plug-in signs for the cosign that a rule names, and for nobody else."""
    path, digest = blob
    home = {"HOME": str(machine(keys, "oci-host").home)}
    question = json.dumps({"initOptions": {"protocolVersion": "v1", "keyResourceID": "p256",
                                           "hashFunc": 5}, "methodName": "signMessage"})
    with policy(keys, ONLY_COSIGN % (hash_of(KMS), hash_of(cosign.path))):
        for how in (cosign.run, cosign.exec):
            sign_blob(cosign, path, how=how, env=home)
            verify_blob(cosign, path, "p256.pub")
            assert_told(asked(keys, digest)[-1], cosign, "agent")
        by_hand = run(KMS, "v1", question, env=cosign.env(**home), input="x", check=False)
        assert by_hand.returncode == 1
        assert json.loads(by_hand.stdout)["errorMessage"].startswith(
            "key p256: refused: no rule allows this")
        by_other_login = sign_blob(cosign, path, check=False)  # which can only declare
        assert "plugin returned error: key p256: refused" in by_other_login.stderr


def test_an_ordinary_user(keys, cosign, blob):
    """Its agent may look at the plug-in although the plug-in may have secrets."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    user = pwd.getpwnam("nobody").pw_uid
    home = machine(keys, "oci-user", user).home
    folder = keys.folder / "of-nobody"
    folder.mkdir()
    for program in (CHANCERY, KMS, cosign.path):
        shutil.copy(program, folder / program.name.split("-v")[0])
    (home / "run").mkdir(mode=0o700)
    os.chown(home / "run", user, user)
    for name, source in (("signing.json", keys.home / "signing.json"),
                         ("trusted.json", keys.home / "trusted.json"), ("blob", blob[0])):
        shutil.copy(source, home / name)
        os.chown(home / name, user, user)
    env = environment(HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"))
    env["PATH"] = f"{folder}:{env['PATH']}"
    for words in (["cosign"], ["chancery", "exec", "--", "cosign"]):
        done = subprocess.run([*words, "sign-blob", "--key", "chancery://p256", *SIGN, "--bundle",
                               "out.json", "blob"], cwd=home, env=env, user=user, group=user,
                              extra_groups=[], capture_output=True, text=True, timeout=SOON,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        facts = asked(keys, blob[1])[-1]
        assert facts["application.path"] == (str(folder / KMS.name), "agent")
        assert facts["application.parent"] == (str(folder / "cosign"), "agent")
        assert facts["user"] == ("nobody", "agent")


# --- what goes wrong ---


@pytest.mark.parametrize("how", ["run", "exec"])
def test_refused_by_policy(keys, cosign, blob, how):
    path, digest = blob
    with policy(keys, FROZEN):
        done = sign_blob(cosign, path, how=getattr(cosign, how), check=False)
    assert done.returncode != 0
    assert "plugin returned error: key p256: refused" in done.stderr
    assert "frozen" in done.stderr
    assert ("chancery: REFUSED: key p256" in done.stderr) == (how == "exec")
    row, = keys.log(kind="sign.intent", digest=digest)
    assert row["decision"] == "denied"


def test_no_agent(keys, cosign, blob):
    done = sign_blob(cosign, blob[0], env={"CHANCERY_AGENT_SOCK": str(keys.home / "none")},
                     check=False)
    assert done.returncode != 0
    assert "plugin returned error: the agent of CHANCERY_AGENT_SOCK: " in done.stderr


def test_unknown_key(cosign, blob):
    done = sign_blob(cosign, blob[0], "nokey", check=False)
    assert done.returncode != 0
    assert 'plugin returned error: there is no key "nokey"' in done.stderr


def test_keys_are_not_made(keys, cosign):
    done = cosign.run("generate-key-pair", "--kms", "chancery://new", check=False)
    assert done.returncode != 0
    assert "keys are not made by cosign" in done.stderr
    assert keys.admin.run("keys", "show", "new", check=False).returncode == 1


def test_server_restarted(keys, cosign, blob):
    """The agent stays, and finds the server again."""
    path, _ = blob
    socket = keys.home / "kms-agent.sock"
    with subprocess.Popen([CHANCERY, "agent", "--socket", socket], env=cosign.env(),
                          stderr=subprocess.PIPE, text=True) as agent:
        try:
            assert "agent.ready" in agent.stderr.readline()
            env = {"CHANCERY_AGENT_SOCK": str(socket)}
            sign_blob(cosign, path, env=env)
            keys.server.stop()
            keys.server.start()
            sign_blob(cosign, path, env=env)
            verify_blob(cosign, path, "p256.pub")
        finally:
            agent.terminate()
            agent.wait(timeout=SOON)


def test_two_at_once(keys, cosign):
    blobs = [keys.file(f"at-once-{i}.blob", f"one of two, {i}\n") for i in range(2)]
    started = [subprocess.Popen([cosign.bin / "cosign", "sign-blob", "--key", "chancery://p256",
                                 *SIGN, "--bundle", f"{path}.json", path], cwd=keys.home,
                                env=cosign.env(), stderr=subprocess.PIPE, text=True)
               for path in blobs]
    for process, path in zip(started, blobs):
        _, said = process.communicate(timeout=SOON)
        assert process.returncode == 0, said
        verify_blob(cosign, path, "p256.pub")


@pytest.mark.parametrize("version,text,said", [
    ("v2", "{}", 'protocol version "v2"'),
    ("v1", "", "JSON"),
    ("v1", "[" * 2000, "deep"),
    ("v1", '{"initOptions": {"protocolVersion": "v1", "keyResourceID": "%s"}, '
           '"methodName": "publicKey"}' % ("k" * 1025), "keyResourceID"),
    ("v1", '{"initOptions": {"protocolVersion": "v1", "keyResourceID": "%s"}, '
           '"methodName": "publicKey"}' % ("k" * 129), "name"),
    ("v1", '{"initOptions": {"protocolVersion": "v1", "keyResourceID": "../ed"}, '
           '"methodName": "publicKey"}', "key"),
    ("v1", '{"initOptions": {"protocolVersion": "v1", "keyResourceID": "p256", "hashFunc": 5}, '
           '"methodName": "signMessage", "signMessage": {"signOptions": {"messageOptions": '
           '{"digest": "AAAA"}}}}', "a digest of 3 bytes was given, ecdsa-sha256 signs 32"),
])
def test_hostile_questions(cosign, version, text, said):
    done = run(KMS, version, text, env=cosign.env(), input="", check=False)
    assert done.returncode != 0
    answer = json.loads(done.stdout)
    assert list(answer) == ["errorMessage"] and said in answer["errorMessage"], answer


def ask(tool, key, content, method="signMessage", **more):
    question = {"initOptions": {"protocolVersion": "v1", "keyResourceID": key, "hashFunc": 5},
                "methodName": method, **({method: more} if more else {})}
    done = subprocess.run([KMS, "v1", json.dumps(question)], input=content, env=tool.env(),
                          capture_output=True, timeout=SOON, check=False)
    return json.loads(done.stdout)


@pytest.mark.parametrize("key", ["p256", "r3", "ed"])
@pytest.mark.parametrize("size", [1, 65536])
def test_message_on_standard_input(keys, cosign, key, size):
    """cosign hands over digests; sigstore's library may hand over the message."""
    content = b"m" * size
    signature = ask(cosign, key, content)["signMessage"]["signature"]
    algorithm = {"p256": "ecdsa-sha256", "r3": "rsa-pkcs1-sha256", "ed": "ed25519"}[key]
    data = keys.file("message", content)
    keys.verify(key, algorithm, data, keys.file("message.sig", base64.b64decode(signature)))
    assert ask(cosign, key, content, "verifySignature", signature=signature) == {
        "verifySignature": {}}
    broken = content[:-1] + b"x"
    assert "errorMessage" in ask(cosign, key, broken, "verifySignature", signature=signature)


def test_message_that_is_long(keys, cosign):
    content = b"m" * 5000000
    signature = ask(cosign, "p256", content)["signMessage"]["signature"]
    keys.verify("p256", "ecdsa-sha256", keys.file("message", content),
                keys.file("message.sig", base64.b64decode(signature)))
    assert "ed25519 signs 65536 bytes at most" in ask(cosign, "ed", content)["errorMessage"]
