# SPDX-License-Identifier: MIT
"""chancery-gpg at the machine of signer.py's administrator, and what its verifiers need."""

import hashlib
import pathlib
import struct
import subprocess

from signer import BUILD, CHANCERY, KINDS

CHANCERY_GPG = BUILD / "src/gpg/chancery-gpg"
HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}


def user_id(key):
    return f"Test {key} <{key}@example.org>"


class OpenPGP:
    """Our gpg with a user id for every key, and the real one that knows their public keys."""

    def __init__(self, keys):
        self.keys = keys
        self.home = keys.home / "gnupg"
        self.home.mkdir(mode=0o700)
        self.fingerprints = {}
        for key in KINDS:
            self.run("--quiet", "--quick-certify", key, user_id(key))
            self.run("--output", f"{key}.pgp", "--export", key)
            self.real("--import", f"{key}.pgp")
            lines = self.run("--with-colons", "--list-keys", key).stdout.splitlines()
            self.fingerprints[key] = next(l.split(":")[9] for l in lines if l[:3] == "fpr")

    def env(self, **more):
        return self.keys.env(GNUPGHOME=str(self.home), **more)

    def run(self, *words, check=True, **options):
        """chancery-gpg."""
        return self.keys.run(CHANCERY_GPG, *words, check=check,
                             env={"GNUPGHOME": str(self.home), **options.pop("env", {})},
                             **options)

    def real(self, *words, check=True, **options):
        return self.keys.run("gpg", "--batch", *words, check=check,
                             env={"GNUPGHOME": str(self.home)}, **options)

    def bytes(self, *words, data=b"", env=None):
        """chancery-gpg between two pipes."""
        done = subprocess.run([str(CHANCERY_GPG), *map(str, words)], cwd=self.keys.home,
                              input=data, capture_output=True, check=False,
                              env=self.env(**(env or {})))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def verify(self, *files, good=True):
        """Whether gpg takes it."""
        done = self.real("--verify", *files, check=False)
        assert (done.returncode == 0) is good, done.stderr
        assert ("Good signature" in done.stderr) is good, done.stderr
        return done.stderr

    def logged(self, key, digest):
        """The log's last two entries about this digest, intent and outcome, which name the tool.
        The same file signed within one second has the same digest."""
        found = self.keys.log(key=key, digest=digest)[-2:]
        assert [e["kind"] for e in found] == ["sign.intent", "sign.outcome"], found
        assert all(e["application"]["value"] == str(CHANCERY_GPG) for e in found)
        return found

    def detail(self, entry):
        return self.keys.admin.run("log", "show", entry["index"]).stdout


def break_byte(path, at):
    """A copy with one byte changed."""
    content = bytearray(pathlib.Path(path).read_bytes())
    content[at] ^= 1
    broken = pathlib.Path(path).with_name(f"broken-{pathlib.Path(path).name}")
    broken.write_bytes(content)
    return broken


def signed_digest(packet, data):
    """What the server was asked to sign: the digest of the data and the signature's own fields;
    of Ed25519, whose message it is, its SHA-256. `packet` has a length of two bytes."""
    assert packet[0] == 0x89, packet[:3]
    body = packet[3:]
    hashed = 6 + struct.unpack(">H", body[4:6])[0]
    tail = body[:hashed] + b"\x04\xff" + struct.pack(">I", hashed)
    digest = hashlib.new(HASHES[body[3]], data + tail)
    assert digest.digest()[:2] == body[hashed + 12:hashed + 14]
    if body[2] == 22:
        return hashlib.sha256(digest.digest()).hexdigest()
    return digest.hexdigest()


__all__ = ["CHANCERY", "CHANCERY_GPG", "OpenPGP", "break_byte", "signed_digest", "user_id"]
