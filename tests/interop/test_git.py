# SPDX-License-Identifier: MIT
"""git signs commits and tags, and verifies them by itself."""

import hashlib
import pathlib
import shutil
import tempfile

import pytest

from git_tools import AUTHOR, Repository
from signer import POLICY, need
from ssh_tools import Agent, ssh_public, string


@pytest.fixture(autouse=True)
def fixture_tools():
    need("git", "ssh-keygen")


@pytest.fixture(name="place")
def fixture_place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="chancery-git-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def repository_of(keys, place, key="p256", bare=False):
    """One with SSH signatures."""
    signers = place / "allowed_signers"
    signers.write_text(f"{AUTHOR} " + ssh_public(keys, key).read_text())
    return Repository(keys, place, {"gpg.format": "ssh", "user.signingKey": ssh_public(keys, key),
                                    "gpg.ssh.allowedSignersFile": signers}, bare=bare)


def signed_bytes(content):
    """What git and ssh-keygen have a key sign (OpenSSH's PROTOCOL.sshsig, section 3)."""
    return (b"SSHSIG" + string(b"git") + string(b"") + string(b"sha512") +
            string(hashlib.sha512(content).digest()))


@pytest.mark.parametrize("key,hash_name", [("p256", "sha256"), ("r3", "sha512"), ("ed", "sha256")])
def test_ssh__commit_and_tag(keys, place, key, hash_name):
    repository = repository_of(keys, place, key)
    done = repository.sign("commit", "-q", "-S", "--allow-empty", "-m", f"{key} signed")
    assert f"chancery: signed: key {key}, " in done.stderr
    repository.sign("tag", "-s", "-m", "signed", "v1")
    assert "Good" in repository.git("verify-commit", "HEAD").stderr
    assert "Good" in repository.git("verify-tag", "v1").stderr
    for verify, broken in (("verify-commit", repository.broken("HEAD", "commit")),
                           ("verify-tag", repository.broken("v1", "tag"))):
        done = repository.git(verify, broken, check=False)
        assert done.returncode != 0 and "Good" not in done.stderr, done.stderr
    # The log has the digest, and names the tool that git starts.
    commit = repository.git("cat-file", "commit", "HEAD").stdout
    head, _, rest = commit.partition("gpgsig ")
    unsigned = head + rest[rest.index("-----END SSH SIGNATURE-----") + 28:]
    digest = hashlib.new(hash_name, signed_bytes(unsigned.encode())).hexdigest()
    entry = keys.log(digest=digest, kind="sign.intent")[0]
    assert entry["key"] == key
    assert pathlib.Path(entry["application"]["value"]).name == "ssh-keygen"


def test_ssh__bare_repository_and_no_exec(keys, place):
    """A server that signs what it makes, by an agent that runs."""
    repository = repository_of(keys, place, bare=True)
    agent = Agent(keys, place)
    commit = repository.commit_in_bare(env={"SSH_AUTH_SOCK": agent.ssh})
    agent.stop()
    repository.git("verify-commit", commit)
    repository.git("verify-tag", "v1")
    assert repository.git("verify-commit", repository.broken(commit, "commit"),
                          check=False).returncode != 0


def test_ssh__a_policy_that_refuses(keys, place):
    repository = repository_of(keys, place, "p384")
    keys.admin.policy(POLICY + "  - {name: no-commits, effect: deny, "
                               "match: {key: p384, application: {path: '*/ssh-keygen'}}}\n")
    try:
        done = repository.sign("commit", "-q", "-S", "--allow-empty", "-m", "x", check=False)
    finally:
        keys.admin.policy(POLICY)
    assert done.returncode != 0
    assert "agent refused operation" in done.stderr and "no-commits" in done.stderr, done.stderr
    assert repository.git("rev-parse", "HEAD", check=False).returncode != 0
