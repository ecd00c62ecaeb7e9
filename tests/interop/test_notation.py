# SPDX-License-Identifier: MIT
"""notation signs images through notation-chancery, in both of its envelopes."""

import base64
import hashlib
import json
import os
import subprocess

import pytest

import plugins
from plugins import NOTATION, asked, policy
from signer import CHANCERY, POLICY, SOON, run

TRUST = {"version": "1.0", "trustPolicies": [{
    "name": "ours", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
    "trustStores": ["ca:ours"], "trustedIdentities": ["*"]}]}
FROZEN = POLICY + """\
  - name: frozen
    effect: deny
    description: nothing is signed before the audit
    match: {key: p256}
"""


@pytest.fixture(name="notation", scope="module")
def fixture_notation(keys):
    """notation, which has our plug-in and trusts our CA."""
    tool = plugins.Tool(keys, "notation")
    tool.run("plugin", "install", "--force", "--file", NOTATION)
    tool.run("certificate", "add", "--type", "ca", "--store", "ours", "ca.pem")
    keys.file("trust.json", json.dumps(TRUST))
    tool.run("policy", "import", "--force", "trust.json")
    return tool


def installed(keys):
    return keys.home / ".config/notation/plugins/chancery/notation-chancery"


def sign(tool, image, key="p256", *words, how=None, **options):
    return (how or tool.run)("sign", "--plugin", "chancery", "--id", key, "--insecure-registry",
                             *words, image, **options)


def verify(tool, image, **options):
    return tool.run("verify", "--insecure-registry", image, **options)


def newest(keys):
    """The facts of the newest request."""
    row = keys.log(kind="sign.intent")[-1]
    entry = plugins.logformat.record(*(base64.b64decode(row[part])
                                       for part in ("entry", "detail")))
    return {fact["name"]: (fact["value"], fact["basis"]) for part in entry
            for fact in part["facts"]}


def envelope(tool, image):
    """The newest JWS over the image, from its registry."""
    listed = tool.run("inspect", "--insecure-registry", "--output", "json", image)
    digest = json.loads(listed.stdout)["Signatures"][-1]["digest"]
    place = f"docker://{image.split('@')[0]}"
    manifest = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false",
                              f"{place}@{digest}").stdout)
    layer = manifest["layers"][0]["digest"]
    host, name = image.split("@")[0].split("/")
    return json.loads(run("curl", "-sfS", f"http://{host}/v2/{name}/blobs/{layer}").stdout)


@pytest.mark.parametrize("key", ["p256", "p384", "p521", "r3", "r4"])
@pytest.mark.parametrize("kind", ["jws", "cose"])
def test_image(keys, notation, registry, key, kind):
    image = registry.push(f"notation-{key}-{kind}", f"what {key} signs\n".encode())
    assert verify(notation, image, check=False).returncode != 0
    sign(notation, image, key, "--signature-format", kind)
    assert "Successfully verified signature" in verify(notation, image).stdout
    other = registry.push(f"notation-{key}-{kind}", f"what {key} Signs\n".encode())
    assert verify(notation, other, check=False).returncode != 0
    facts = newest(keys)
    assert facts["application.path"] == (str(installed(keys)), "declared")
    assert facts["application.parent"] == (str(notation.path), "declared")


def test_what_is_signed_is_in_the_log(keys, notation, registry):
    image = registry.push("notation-log", b"what is logged\n")
    sign(notation, image)
    jws = envelope(notation, image)
    digest = hashlib.sha256(f"{jws['protected']}.{jws['payload']}".encode()).hexdigest()
    facts, = asked(keys, digest)
    assert facts["application.sha256"][0] == hashlib.sha256(NOTATION.read_bytes()).hexdigest()


def test_a_broken_signature_is_refused(keys, notation, registry):
    """One byte of the envelope in the registry's store is another."""
    image = registry.push("notation-broken", b"what is broken\n")
    sign(notation, image)
    signature = envelope(notation, image)["signature"].encode()
    blob, = [path for path in (registry.folder / "data").rglob("data")
             if path.is_file() and signature in path.read_bytes()]
    content = blob.read_bytes()
    at = content.index(signature) + 10
    blob.write_bytes(content[:at] + (b"A" if content[at:at + 1] != b"A" else b"B")
                     + content[at + 1:])
    refused = verify(notation, image, check=False)
    assert refused.returncode != 0, refused.stdout


def test_exec(notation, registry):
    image = registry.push("notation-exec", b"what exec signs\n")
    done = sign(notation, image, how=notation.exec)
    assert "chancery: signed: key p256, ecdsa-sha256, log entry " in done.stderr
    verify(notation, image)


def test_a_key_by_name(notation, registry):
    """The plug-in and the key under a name of notation's."""
    image = registry.push("notation-name", b"what a name signs\n")
    notation.run("key", "add", "--plugin", "chancery", "--id", "r3", "ours")
    notation.run("sign", "--key", "ours", "--insecure-registry", image)
    verify(notation, image)


# --- what goes wrong ---


@pytest.mark.parametrize("how", ["run", "exec"])
def test_refused_by_policy(keys, notation, registry, how):
    image = registry.push(f"notation-refused-{how}", b"what is refused\n")
    with policy(keys, FROZEN):
        done = sign(notation, image, how=getattr(notation, how), check=False)
    assert done.returncode != 0
    assert "failed to sign with the plugin chancery: key p256: refused" in done.stderr
    assert "frozen" in done.stderr
    assert verify(notation, image, check=False).returncode != 0


def test_no_agent(keys, notation, registry):
    image = registry.push("notation-no-agent", b"what no agent signs\n")
    done = sign(notation, image, env={"CHANCERY_AGENT_SOCK": str(keys.home / "none")}, check=False)
    assert done.returncode != 0
    assert "the agent of CHANCERY_AGENT_SOCK: " in done.stderr


@pytest.mark.parametrize("key,said", [("nokey", 'there is no key "nokey"'),
                                      ("ed", "key ed is ed25519"),
                                      ("bare-n", "key bare-n has no certificate")])
def test_keys_that_do_not_sign(keys, notation, registry, key, said):
    if key == "bare-n":
        keys.admin.run("keys", "create", key, "--type", "p256")
    image = registry.push(f"notation-{key}", b"what is not signed\n")
    done = sign(notation, image, key, check=False)
    assert done.returncode != 0
    assert said in done.stderr
    if key == "bare-n":
        keys.admin.run("keys", "disable", key)


def test_server_restarted(keys, notation, registry):
    """The agent stays, and finds the server again."""
    image = registry.push("notation-restart", b"what is signed twice\n")
    socket = keys.home / "notation-agent.sock"
    with subprocess.Popen([CHANCERY, "agent", "--socket", socket], env=notation.env(),
                          stderr=subprocess.PIPE, text=True) as agent:
        try:
            assert "agent.ready" in agent.stderr.readline()
            env = {"CHANCERY_AGENT_SOCK": str(socket)}
            sign(notation, image, env=env)
            keys.server.stop()
            keys.server.start()
            sign(notation, image, env=env)
            verify(notation, image)
        finally:
            agent.terminate()
            agent.wait(timeout=SOON)


def test_two_at_once(keys, notation, registry):
    images = [registry.push(f"notation-at-once-{i}", f"one of two, {i}\n".encode())
              for i in range(2)]
    started = [subprocess.Popen([notation.bin / "notation", "sign", "--plugin", "chancery", "--id",
                                 "p256", "--insecure-registry", image], cwd=keys.home,
                                env=notation.env(), stderr=subprocess.PIPE, text=True)
               for image in images]
    for process, image in zip(started, images):
        _, said = process.communicate(timeout=SOON)
        assert process.returncode == 0, said
        verify(notation, image)


@pytest.mark.parametrize("command,text,code", [
    ("generate-envelope", "{}", "VALIDATION_ERROR"),
    ("describe-key", "", "VALIDATION_ERROR"),
    ("describe-key", "[" * 2000, "VALIDATION_ERROR"),
    ("describe-key", '{"contractVersion": "2.0", "keyId": "p256"}',
     "UNSUPPORTED_CONTRACT_VERSION"),
    ("describe-key", '{"contractVersion": "1.0", "keyId": "%s"}' % ("k" * 129),
     "VALIDATION_ERROR"),
    ("generate-signature", '{"contractVersion": "1.0", "keyId": "p256", "keySpec": "RSA-3072", '
                           '"hashAlgorithm": "SHA-256", "payload": "aGVsbG8="}',
     "VALIDATION_ERROR"),
    ("describe-key", '{"contractVersion": "1.0", "keyId": "p256"}' + " " * 4194304,
     "VALIDATION_ERROR"),
])
def test_hostile_questions(notation, command, text, code):
    done = run(NOTATION, command, env=notation.env(), input=text, check=False)
    assert done.returncode != 0 and done.stdout == ""
    assert json.loads(done.stderr)["errorCode"] == code


def test_not_enrolled(tmp_path):
    done = run(NOTATION, "describe-key", input='{"contractVersion": "1.0", "keyId": "p256"}',
               env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == 1
    assert "Enrol with chancery enroll" in json.loads(done.stderr)["errorMessage"]
