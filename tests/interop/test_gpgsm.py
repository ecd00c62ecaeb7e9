# SPDX-License-Identifier: MIT
"""chancery-gpgsm: git signs with certificates (gpg.format=x509); OpenSSL and gpgsm read it, too."""

import base64
import hashlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest

import cms
from evidence import nobodys_socket
from git_tools import Repository
from signer import BUILD, POLICY, SOON, need, run
from ssh_tools import Agent

GPGSM = BUILD / "src/gpgsm/chancery-gpgsm"
TEXT = b"what is delivered\n"
SIGNERS = {"r3": "sha256", "p256": "sha256", "p384": "sha384", "p521": "sha512"}


@pytest.fixture(autouse=True)
def fixture_tools():
    need("git", "openssl", "gpgsm")


def unless_gone(_function, _path, error):
    """gpg-agent takes its sockets away as it ends, which it goes on with after gpgconf."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


@pytest.fixture(name="place")
def fixture_place(keys):
    path = pathlib.Path(tempfile.mkdtemp(prefix="chancery-gpgsm-", dir="/tmp"))
    path.chmod(0o755)
    (path / "trust.yaml").write_text(
        f"version: 1\nroots:\n  - file: {keys.home / 'ca.pem'}\n")
    yield path
    shutil.rmtree(path, onerror=unless_gone)


def trust(place):
    return {"CHANCERY_TRUST": str(place / "trust.yaml")}


def sign(keys, key, content=TEXT, check=True, options=(), **env):
    """The detached signature, in PEM, by chancery exec as git asks for it."""
    done = keys.exec(GPGSM, "--status-fd=2", "-bsau", key, keys.file("gpgsm.data", content),
                     check=check, options=options, env=env)
    out = keys.file("gpgsm.pem", done.stdout)
    return out, done


def verify(keys, place, signature, content=TEXT, **env):
    return keys.run(GPGSM, "--status-fd=1", "--verify", signature, "-", check=False,
                    input=content.decode(), env={**trust(place), **env})


# --- signatures, read by three programs ---

@pytest.mark.parametrize("key", SIGNERS)
def test_sign__openssl_and_we_read_it(keys, place, key):
    content = TEXT + key.encode()
    signature, done = sign(keys, key, content)
    assert "[GNUPG:] SIG_CREATED D " in done.stderr
    assert f"chancery: signed: key {key}, " in done.stderr
    data = keys.file("openssl.data", content)
    words = ["openssl", "cms", "-verify", "-inform", "PEM", "-in", keys.home / "gpgsm.cms",
             "-content", data, "-binary", "-CAfile", keys.home / "ca.pem", "-purpose", "any",
             "-out", keys.home / "openssl.out"]
    (keys.home / "gpgsm.cms").write_text(
        signature.read_text().replace("SIGNED MESSAGE", "CMS"))
    keys.run(*words)
    keys.run(*words, "-cades")  # the signer's certificate is signed as well
    keys.file("openssl.data", content[:-1] + b"X")
    assert keys.run(*words, check=False).returncode != 0
    good = verify(keys, place, signature, content)
    assert good.returncode == 0 and "\n[GNUPG:] GOODSIG " in good.stdout
    assert "TRUST_FULLY" in good.stdout
    bad = verify(keys, place, signature, content + b"X")
    assert bad.returncode == 1 and "\n[GNUPG:] BADSIG " in bad.stdout
    assert "GOODSIG" not in bad.stdout and "TRUST" not in bad.stdout
    # What the log has is the digest of the attributes, whose maker it names.
    der = keys.run("openssl", "cms", "-cmsout", "-in", keys.home / "gpgsm.cms", "-inform", "PEM",
                   "-outform", "DER", "-out", keys.home / "gpgsm.der")
    assert der.returncode == 0
    signed = cms.Signed((keys.home / "gpgsm.der").read_bytes())
    entry = keys.log(digest=signed.digests()[0], kind="sign.intent")[0]
    assert entry["key"] == key
    assert entry["application"]["value"] == str(GPGSM)
    artifact = hashlib.new(SIGNERS[key], content).digest()
    assert artifact in base64.b64decode(entry["entry"]) + base64.b64decode(entry["detail"])


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_sign__gpgsm_reads_it(keys, place, key):
    home = place / "gnupg"
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home)}
    signature, _ = sign(keys, key)
    data = keys.file("gpgsm.data", TEXT)
    root = keys.run("openssl", "x509", "-in", "ca.pem", "-noout", "-fingerprint").stdout
    (home / "trustlist.txt").write_text(root.split("=")[1].strip() + " S relax\n")
    try:
        keys.run("gpgsm", "--batch", "--import", "ca.pem", env=env)
        words = ["gpgsm", "--batch", "--disable-crl-checks", "--status-fd=1", "--verify",
                 signature]
        done = keys.run(*words, data, env=env)
        assert "GOODSIG" in done.stdout and "TRUST_FULLY" in done.stdout, done.stderr
        done = keys.run(*words, keys.file("gpgsm.bad", TEXT + b"X"), env=env, check=False)
        assert done.returncode != 0 and "BADSIG" in done.stdout
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=keys.env(**env), check=False)


def test_verify__what_openssl_made(keys, place):
    """RSA with PSS and subject key identifiers, with the key of a CA of its own."""
    for name, more in (("ca", []), ("leaf", [])):
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN=other {name}",
            "-keyout", place / f"{name}.key", "-out", place / f"{name}.csr", *more)
    (place / "ext").write_text("basicConstraints=critical,CA:true\n")
    (place / "leaf.ext").write_text("extendedKeyUsage=codeSigning\nsubjectKeyIdentifier=hash\n")
    run("openssl", "x509", "-req", "-in", place / "ca.csr", "-signkey", place / "ca.key",
        "-extfile", place / "ext", "-out", place / "ca.pem")
    run("openssl", "x509", "-req", "-in", place / "leaf.csr", "-CA", place / "ca.pem", "-CAkey",
        place / "ca.key", "-CAcreateserial", "-extfile", place / "leaf.ext", "-out",
        place / "leaf.pem")
    data = keys.file("gpgsm.data", TEXT)
    run("openssl", "cms", "-sign", "-binary", "-in", data, "-signer", place / "leaf.pem", "-inkey",
        place / "leaf.key", "-keyid", "-keyopt", "rsa_padding_mode:pss", "-outform", "PEM", "-out",
        place / "made.pem")
    done = verify(keys, place, place / "made.pem")
    # Good, and of nobody whom the trust file knows: not verified.
    assert done.returncode == 1 and "\n[GNUPG:] GOODSIG " in done.stdout
    assert "TRUST_NEVER" in done.stdout and "not trusted" in done.stderr
    (place / "trust.yaml").write_text("version: 1\nroots:\n  - file: ca.pem\n")
    done = verify(keys, place, place / "made.pem")
    assert done.returncode == 0 and "TRUST_FULLY" in done.stdout, done.stderr
    (place / "trust.yaml").write_text("version: 1\nroots:\n  - file: ca.pem\nnames: [somebody]\n")
    done = verify(keys, place, place / "made.pem")
    assert done.returncode == 1 and "TRUST_NEVER" in done.stdout


# --- git ---

def repository_of(keys, place, key="r3", bare=False):
    repository = Repository(keys, place, {"gpg.format": "x509", "gpg.x509.program": GPGSM,
                                          "user.signingKey": key}, bare=bare)
    repository.env.update(trust(place))
    return repository


def test_git__commit_and_tag(keys, place):
    repository = repository_of(keys, place)
    done = repository.sign("commit", "-q", "-S", "--allow-empty", "-m", "signed")
    assert "chancery: signed: key r3, rsa-pkcs1-sha256" in done.stderr
    repository.sign("tag", "-s", "-m", "signed", "v1")
    assert "good signature of CN=Test r3" in repository.git("verify-commit", "HEAD").stderr
    repository.git("verify-tag", "v1")
    shown = repository.git("log", "-1", "--format=%G? %GT %GS").stdout
    assert shown.startswith("G fully CN=Test r3"), shown
    for words in (["verify-commit", repository.broken("HEAD", "commit")],
                  ["verify-tag", repository.broken("v1", "tag")]):
        done = repository.git(*words, check=False)
        assert done.returncode != 0, done.stderr
    broken = repository.broken("HEAD", "commit")
    assert repository.git("log", "-1", "--format=%G?", broken).stdout.strip() == "B"


def test_git__bare_repository_and_an_agent(keys, place):
    repository = repository_of(keys, place, "p256", bare=True)
    agent = Agent(keys, place)
    commit = repository.commit_in_bare(env={"CHANCERY_AGENT_SOCK": str(agent.socket)})
    agent.stop()
    repository.git("verify-commit", commit)
    repository.git("verify-tag", "v1")
    assert repository.git("verify-commit", repository.broken(commit, "commit"),
                          check=False).returncode != 0


def test_git__without_an_agent(keys, place):
    """The log names the tool all the same, as declared."""
    repository = repository_of(keys, place, "p384")
    repository.git("commit", "-q", "-S", "--allow-empty", "-m", "signed")
    repository.git("verify-commit", "HEAD")
    application = keys.log(key="p384", kind="sign.intent")[-1]["application"]
    assert application == {"name": "application.path", "value": str(GPGSM), "basis": "declared"}


def test_git__a_policy_that_refuses(keys, place):
    repository = repository_of(keys, place, "p521")
    keys.admin.policy(POLICY + "  - {name: no-commits, effect: deny, "
                               "match: {key: p521, application: {path: '*/chancery-gpgsm'}}}\n")
    try:
        done = repository.sign("commit", "-q", "-S", "--allow-empty", "-m", "x", check=False)
    finally:
        keys.admin.policy(POLICY)
    assert done.returncode != 0 and "no-commits" in done.stderr, done.stderr
    assert "gpg failed to sign the data" in done.stderr
    assert repository.git("rev-parse", "HEAD", check=False).returncode != 0


# --- what goes wrong ---

def test_sign__a_key_without_a_certificate(keys, place):
    keys.admin.run("keys", "create", "bare-key", "--type", "p256")
    repository = repository_of(keys, place, "bare-key")
    done = repository.sign("commit", "-q", "-S", "--allow-empty", "-m", "x", check=False)
    assert done.returncode != 0 and "gpg failed to sign the data" in done.stderr
    _, done = sign(keys, "bare-key", check=False)  # git 2.39 keeps for itself what it was told
    assert done.returncode != 0
    assert 'key "bare-key" has no certificate: have a CA issue one' in done.stderr, done.stderr
    _, done = sign(keys, "nobody", check=False)
    assert done.returncode == 1 and 'there is no key "nobody"' in done.stderr
    assert done.stdout == "" and "SIG_CREATED" not in done.stderr
    _, done = sign(keys, "ed", check=False)
    assert done.returncode == 2 and "use an RSA or elliptic-curve key" in done.stderr, done.stderr
    keys.admin.run("keys", "disable", "bare-key")


def ending_certificate(keys, place, name, days):
    """A certificate of a key of ours by a CA of openssl's, which ends in so many days."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=short CA",
        "-keyout", place / "short.key", "-out", place / "short.pem", "-days", "30")
    csr = keys.admin.run("certs", "csr", name, "--subject", f"CN={name}").stdout
    (place / "csr").write_text(csr)
    (place / "ext").write_text("extendedKeyUsage=codeSigning\nkeyUsage=digitalSignature\n")
    run("openssl", "x509", "-req", "-in", place / "csr", "-CA", place / "short.pem", "-CAkey",
        place / "short.key", "-CAcreateserial", "-extfile", place / "ext", "-days", str(days),
        "-out", place / "leaf.pem")
    keys.admin.run("certs", "import", name, place / "leaf.pem")
    (place / "trust.yaml").write_text("version: 1\nroots:\n  - file: short.pem\n")


def test_certificate__that_has_ended(keys, place):
    """Neither signed with nor believed; the clock of a program alone is another one."""
    need("faketime")
    keys.admin.run("keys", "create", "short", "--type", "p256")
    ending_certificate(keys, place, "short", 1)
    repository = repository_of(keys, place, "short")
    repository.sign("commit", "-q", "-S", "--allow-empty", "-m", "signed")
    repository.git("verify-commit", "HEAD")
    late = place / "late"
    late.write_text(f"#!/bin/sh\nexec faketime '+3 days' {GPGSM} \"$@\"\n")
    late.chmod(0o755)
    repository.git("config", "gpg.x509.program", late)
    assert repository.git("verify-commit", "HEAD", check=False).returncode != 0
    assert repository.git("log", "-1", "--format=%G?").stdout.strip() == "Y"
    done = repository.sign("commit", "-q", "-S", "--allow-empty", "-m", "late", check=False)
    assert done.returncode != 0
    done = keys.exec(late, "-bsau", "short", keys.home / "gpgsm.data", check=False)
    assert done.returncode != 0 and "has ended: have a CA issue another\n" in done.stderr
    keys.admin.run("keys", "disable", "short")


@pytest.mark.parametrize("content", [b"", b"no signature\n",
                                     b"-----BEGIN SIGNED MESSAGE-----\nMA==\n",
                                     b"-----BEGIN SIGNED MESSAGE-----\nMAA=\n"
                                     b"-----END SIGNED MESSAGE-----\n"])
def test_verify__what_is_no_signature(keys, place, content):
    done = verify(keys, place, keys.file("none.pem", content))
    assert done.returncode == 2, done
    assert "[GNUPG:] NODATA 4\n" in done.stdout and "GOODSIG" not in done.stdout


def test_verify__without_a_trust_file_nothing_is_good(keys, place):
    signature, _ = sign(keys, "r3")
    done = verify(keys, place, signature, CHANCERY_TRUST=str(place / "none.yaml"))
    assert done.returncode == 2 and "GOODSIG" not in done.stdout
    assert "none.yaml" in done.stderr
    done = keys.run(GPGSM, "--status-fd=1", "--verify", signature, "-", check=False,
                    input=TEXT.decode())
    assert done.returncode == 2 and "there is no trust file" in done.stderr, done.stderr


def test_words_that_are_not_understood(keys):
    for words in (["-bsau"], ["--frobnicate"], ["-sx"], ["--sign", "--verify", "x"], ["--verify"],
                  ["--status-fd=77", "-bsau", "r3"], ["--status-fd=x", "-bsau", "r3"], [],
                  ["-sau", "r3"], ["-bsau", "r3", "a", "b"]):
        done = keys.run(GPGSM, *words, check=False, input="")
        assert done.returncode == 2 and done.stderr.startswith("chancery-gpgsm: "), (words, done)
    assert "--status-fd" in keys.run(GPGSM, "--help").stdout
    assert "Chancery" in keys.run(GPGSM, "--version").stdout


def test_killed_half_way_and_two_at_once(keys, place):
    """Killed while it reads, it has signed nothing; two sign with one key at once."""
    words = [str(GPGSM), "--status-fd=2", "-bsau", "r3"]
    agent = Agent(keys, place)
    env = keys.env(CHANCERY_AGENT_SOCK=str(agent.socket))
    before = keys.log(key="r3")[-1]["index"]
    killed = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=env)
    killed.stdin.write(b"the beginning")
    killed.stdin.flush()
    killed.send_signal(signal.SIGKILL)
    assert killed.communicate(timeout=SOON)[0] == b""
    assert keys.log(key="r3")[-1]["index"] == before
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=env) for _ in range(2)]
    for i, process in enumerate(both):
        out, err = process.communicate(f"data {i}".encode(), timeout=SOON)
        assert process.returncode == 0, err
        done = verify(keys, place, keys.file(f"both{i}.pem", out), f"data {i}".encode())
        assert done.returncode == 0, done.stderr
    agent.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_agent_of_somebody_else_is_told_nothing(keys, place):
    with nobodys_socket(place) as path:
        done = keys.run(GPGSM, "--status-fd=2", "-bsau", "r3", check=False, input="data",
                        env={"CHANCERY_AGENT_SOCK": str(path)})
    assert done.returncode != 0 and done.stdout == ""
    assert f"{path} is user {pwd.getpwnam('nobody').pw_uid}'s, not ours" in done.stderr
