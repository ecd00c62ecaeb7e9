# SPDX-License-Identifier: MIT
"""A server that holds every key type, and an administrator at whose machine other people's tools
run. What tests take of tests/system is here too."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

SYSTEM = pathlib.Path(__file__).resolve().parent.parent / "system"
sys.path.insert(0, str(SYSTEM))
_spec = importlib.util.spec_from_file_location("system_conftest", SYSTEM / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update(
    {name: value for name, value in vars(_module).items() if not name.startswith("__")}
)

MODULE = BUILD / "src/module/chancery-pkcs11.so"  # noqa: F821  (of tests/system)
KINDS = {  # name: type; the name tells the type to who reads a failure
    "r3": "rsa-3072", "r4": "rsa-4096", "p256": "p256", "p384": "p384", "p521": "p521",
    "ed": "ed25519",
}
RSA = [name for name, kind in KINDS.items() if kind.startswith("rsa")]
EC = [name for name, kind in KINDS.items() if kind.startswith("p")]

# OpenSC's own test signs bytes that are no DigestInfo: that needs a rule that names it.
POLICY = """\
version: 1
rules:
  - name: everybody-signs
    effect: allow
  - name: whatever-bytes
    effect: allow
    match: {key: r3, algorithm: rsa-pkcs1-raw}
"""


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def artifact(name):
    """The path of what tools/fetch-artifacts has by this name."""
    done = subprocess.run([SOURCE / "tools/fetch-artifacts", name],  # noqa: F821
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{name} is not to be had: {done.stderr.strip()[-200:]}")
    return pathlib.Path(done.stdout.strip())


class Signer:
    """An administrator of a server, at whose machine tools run."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        place = self.folder / "server"
        place.mkdir()
        self.server = Server(place)  # noqa: F821
        self.server.set("denials_per_minute", 1000000)
        self.server.set("enabled", "true")  # SignServer's door
        self.server.start()
        # Restarted, it must be where it was: clients know one address.
        self.server.set("listen", f"[{self.server.url.removeprefix('https://')}]")
        self.admin = self.server.admin()
        self.home = self.admin.home
        for name, kind in KINDS.items():
            self.admin.run("keys", "create", name, "--type", kind)
            self.admin.run("certs", "development", name, "--subject", f"CN=Test {name}")
            self.admin.run("certs", "show", name, "--out", f"{name}.pem")
            self.admin.public_key(name)
        self.ids = {name: self.admin.json("keys", "show", name)["id"] for name in KINDS}
        self.admin.run("certs", "ca", "--out", "ca.pem")
        self.admin.policy(POLICY)

    def restart(self):
        """Again at the address that clients know."""
        port = self.admin.url.rsplit(":", 1)[1]
        config = self.server.config.read_text()
        self.server.config.write_text(config.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        self.server.stop()
        self.server.start()

    def env(self, **more):
        """A tool's environment: the module starts the program that was built."""
        return environment(**{"HOME": str(self.home),  # noqa: F821
                              "CHANCERY_HELPER": str(CHANCERY),  # noqa: F821
                              "XDG_RUNTIME_DIR": str(self.folder), **more})

    def run(self, *words, env=None, **options):
        """A tool with no help of ours but the module."""
        return run(*words, env=self.env(**(env or {})), cwd=self.home, **options)  # noqa: F821

    def exec(self, *words, options=(), env=None, **more):
        """A tool by chancery exec."""
        return self.run(CHANCERY, "exec", *options, "--", *words, env=env, **more)  # noqa: F821

    def certificate(self, key):
        return self.home / f"{key}.pem"

    def public_key(self, key):
        return self.home / f"{key}.pub"

    def file(self, name, content):
        return self.admin.file(name, content)

    def log(self, **query):
        """The newest thousand of the entries, in their order."""
        words = [word for name, value in query.items() for word in (f"--{name}", str(value))]
        found = self.admin.json("log", "list", "--newest", "--limit", "1000", *words)["entries"]
        return found[::-1]

    def logged(self, done, key, program):
        """The entry that exec told last of this key's signatures; it names the program."""
        told = re.findall(rf"^chancery: signed: key {key}, .*log entry (\d+)", done.stderr, re.M)
        assert told, done.stderr
        row = next(row for row in self.log(key=key) if row["index"] == int(told[-1]))
        assert row["kind"] == "sign.outcome", row
        assert os.path.realpath(row["application"]["value"]) == \
            os.path.realpath(shutil.which(program)), row
        return row

    def verify(self, key, algorithm, data, signature):
        """Whether OpenSSL takes `signature` (a file) for one of `data` (a file)."""
        if algorithm == "ed25519":
            words = ["pkeyutl", "-verify", "-pubin", "-inkey", self.public_key(key), "-rawin",
                     "-in", data, "-sigfile", signature]
        else:
            kind, digest = algorithm.rsplit("-", 1)
            words = ["dgst", f"-{digest}", "-verify", self.public_key(key), "-signature",
                     signature]
            if kind == "rsa-pss":
                words += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest",
                          "-sigopt", f"rsa_mgf1_md:{digest}"]
            words.append(data)
        done = subprocess.run(["openssl", *map(str, words)], check=False, capture_output=True)
        assert done.returncode == 0, (key, algorithm, done.stdout, done.stderr)
