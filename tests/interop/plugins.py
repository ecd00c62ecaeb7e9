# SPDX-License-Identifier: MIT
"""Tools that sign through a plug-in of ours: where they find it, and what the log says of it."""

import base64
import contextlib

import logformat
from signer import BUILD, CHANCERY, POLICY, artifact, run

PLUGINS = BUILD / "src/plugin"
KMS = PLUGINS / "sigstore-kms-chancery"
NOTATION = PLUGINS / "notation-chancery"


def place(folder, **links):
    """A folder of links to programs, for PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in {"chancery": CHANCERY, KMS.name: KMS, NOTATION.name: NOTATION,
                       **links}.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(path)
    return folder


class Tool:
    """cosign, or notation: run with our plug-ins in its PATH."""

    def __init__(self, keys, name, source=None):
        self.keys = keys
        self.name = name
        self.path = artifact(source or name)
        self.bin = place(keys.folder / f"bin-{source or name}", **{name: self.path})

    def env(self, **more):
        env = self.keys.env(**more)
        env["PATH"] = f"{self.bin}:{env['PATH']}"
        return env

    def run(self, *words, env=None, **options):
        return run(self.bin / self.name, *words, env=self.env(**(env or {})), cwd=self.keys.home,
                   **options)

    def exec(self, *words, options=(), env=None, **more):
        return run(CHANCERY, "exec", *options, "--", self.name, *words,
                   env=self.env(**(env or {})), cwd=self.keys.home, **more)


def asked(keys, digest):
    """The requests to sign this digest: facts as {name: (value, basis)}, oldest first."""
    rows = keys.log(kind="sign.intent", digest=digest)
    assert rows, f"{digest} is not in the log"
    found = []
    for row in rows:
        parts = logformat.record(*(base64.b64decode(row[part]) for part in ("entry", "detail")))
        found.append({fact["name"]: (fact["value"], fact["basis"])
                      for part in parts for fact in part["facts"]})
    return found


@contextlib.contextmanager
def policy(keys, text):
    """This policy for a while."""
    keys.admin.policy(text)
    try:
        yield
    finally:
        keys.admin.policy(POLICY)


def other_byte(path):
    """A copy of the file with one byte changed."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    other = path.with_name(f"{path.name}.other")
    other.write_bytes(content)
    return other
