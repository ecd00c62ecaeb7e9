# SPDX-License-Identifier: MIT
"""What tests of the SSH agent's socket share: an agent with its events, its protocol spoken by
another program than ours, and an sshd that serves one connection (sshd -i)."""

import contextlib
import json
import os
import pathlib
import pwd
import queue
import socket
import struct
import subprocess
import threading
import time

from cryptography.hazmat.primitives import serialization

from signer import CHANCERY, SOON, SOURCE, artifact, run

FAILURE, IDENTITIES, IDENTITIES_ANSWER, SIGN, SIGNED = 5, 11, 12, 13, 14
EXTENSION, EXTENSION_RESPONSE = 27, 29
SHA2_256, SHA2_512 = 2, 4
ME = pwd.getpwuid(os.geteuid()).pw_name


def ssh_public(keys, name):
    """The file of a key as SSH has it, made by a program that is not ours."""
    path = keys.home / f"{name}.ssh.pub"
    if not path.exists():
        public = serialization.load_pem_public_key(keys.public_key(name).read_bytes())
        line = public.public_bytes(serialization.Encoding.OpenSSH,
                                   serialization.PublicFormat.OpenSSH)
        path.write_bytes(line + b"\n")
    return path


class Agent:
    """`chancery agent` with its sockets in a folder of its own."""

    def __init__(self, keys, folder, *words, home=None):
        self.socket = folder / "agent.sock"
        env = dict(keys.env())
        if home is not None:
            env["HOME"] = str(home)
        self.process = subprocess.Popen(
            [str(CHANCERY), "agent", "--socket", str(self.socket), *map(str, words)], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.news = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.wait_event("agent.ready")
        self.ssh = self.ready["ssh_socket"]

    def _read(self):
        for line in self.process.stderr:
            self.news.put(json.loads(line))
        self.news.put(None)

    def wait_event(self, event):
        deadline = time.monotonic() + SOON
        while True:
            line = self.news.get(timeout=max(0.001, deadline - time.monotonic()))
            assert line is not None, "the agent ended"
            if line.get("event") == event:
                return line

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=SOON) == 0
        assert not pathlib.Path(self.ssh or self.socket).exists()
        while self.news.get(timeout=SOON) is not None:
            pass
        self.process.stderr.close()


def string(content):
    return struct.pack(">I", len(content)) + content


def take_string(data):
    n = struct.unpack(">I", data[:4])[0]
    assert len(data) >= 4 + n
    return data[4:4 + n], data[4 + n:]


class Wire:
    """One connection to an SSH agent."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SOON)
        self.socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, contents=b""):
        self.socket.sendall(string(bytes([kind]) + contents))

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                return None
            data += part
        return data

    def receive(self):
        """Its type and contents; None at the end."""
        with contextlib.suppress(ConnectionResetError):
            head = self._exactly(4)
            if head is not None:
                message = self._exactly(struct.unpack(">I", head)[0])
                return message[0], message[1:]
        return None

    def ask(self, kind, contents=b""):
        self.send(kind, contents)
        return self.receive()

    def keys(self):
        kind, data = self.ask(IDENTITIES)
        assert kind == IDENTITIES_ANSWER
        found = {}
        count, data = struct.unpack(">I", data[:4])[0], data[4:]
        for _ in range(count):
            blob, data = take_string(data)
            name, data = take_string(data)
            found[name.decode()] = blob
        assert data == b""
        return found

    def sign(self, blob, data, flags=0):
        return self.ask(SIGN, string(blob) + string(data) + struct.pack(">I", flags))


class Sshd:
    """sshd -i: one connection over a pipe, with a configuration of its own and no port at all."""

    def __init__(self, folder):
        self.folder = folder
        self.program = artifact("sshd")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where root's sshd goes to
        self.host_key = folder / "host"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.host_key)

    def config(self, **options):
        lines = {"HostKey": self.host_key, "AuthorizedKeysFile": "none", "UsePAM": "no",
                 "PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no",
                 "StrictModes": "no", "LogLevel": "VERBOSE", **options}
        path = self.folder / "sshd_config"
        path.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        return path

    def ssh(self, config, *options, known_hosts, env=None, command="echo in"):
        """What `ssh host COMMAND` says; it uses no configuration of the machine."""
        proxy = f"{self.program} -i -e -f {config}"
        words = ["ssh", "-F", "none", "-o", f"ProxyCommand={proxy}",
                 "-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=none",
                 "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
                 "-o", "PreferredAuthentications=publickey", *options, f"{ME}@host", command]
        return words if env is None else run(*words, check=False, env=env, cwd=self.folder)

    def trust_host(self):
        """A file of known hosts that has its key."""
        path = self.folder / "known_hosts"
        path.write_text("host " + (self.folder / "host.pub").read_text())
        return path
