# SPDX-License-Identifier: MIT
"""The agent's door, spoken by another program than ours: frames and canonical forms by the comments
of src/codec/frame.h, src/codec/schema.h and src/proto/door.h, written down here as tables.

    Door      one conversation, over a socket of the agent's or a socket pair
    Failed    FAILED, as an exception
    Helper    a private helper, started as the module starts it
"""

import array
import contextlib
import os
import pathlib
import queue
import signal
import socket
import struct
import subprocess
import threading
import time

from conftest import CHANCERY, SOON, environment

VERSION = 1
(HELLO, WELCOME, FAILED, KEYS, KEY_PAGE, SIGN, SIGNED, VERIFY, VERIFIED, HASH_ADD, HASH_ADDED,
 HASH_END, HASHED, CALL, CALLED, WATCH, WATCHING, EVENT, UNWATCH, UNWATCHED, STATUS,
 STATUS_REPLY) = range(512, 534)
ADOPT, LISTEN, LISTENING = range(768, 771)

RSA_PKCS1, RSA_PSS, ECDSA, ED25519 = range(1, 5)
SHA256, SHA384, SHA512 = range(1, 4)
HASHES = {SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}

FIELDS = {
    "Empty": [("unused", "bool")],
    "Label": [("name", "text"), ("value", "text")],
    "Leaf": [("index", "u64")],
    "Hello": [("version", "u32"), ("software", "text"), ("naming", "enum"), ("keys", "texts"),
              ("reason", "text"), ("receipts", "text"), ("labels", "list Label"),
              ("tag", "bytes")],
    "Welcome": [("version", "u32"), ("software", "text")],
    "Failure": [("code", "u32"), ("text", "text"), ("request_id", "text"), ("rules", "texts")],
    "Keys": [("label", "text"), ("id", "bytes"), ("revision", "u64"), ("after", "text")],
    "Certificate": [("label", "text"), ("id", "bytes"), ("der", "bytes"), ("subject", "bytes"),
                    ("issuer", "bytes"), ("serial", "bytes")],
    "Key": [("name", "text"), ("label", "text"), ("id", "bytes"), ("type", "enum"),
            ("public_key", "bytes"), ("modulus", "bytes"), ("public_exponent", "bytes"),
            ("ec_params", "bytes"), ("ec_point", "bytes"),
            ("certificate", "option Certificate")],
    "KeyPage": [("revision", "u64"), ("is_unchanged", "bool"), ("keys", "list Key"),
                ("authorities", "list Certificate"), ("next", "text")],
    "Input": [("key", "text"), ("scheme", "enum"), ("hash", "enum"), ("is_message", "bool"),
              ("data", "bytes"), ("stream", "u64")],
    "Sign": [("input", "struct Input")],
    "Signed": [("signature", "bytes")],
    "Verify": [("input", "struct Input"), ("signature", "bytes")],
    "HashAdd": [("stream", "u64"), ("hash", "enum"), ("data", "bytes")],
    "Stream": [("stream", "u64")],
    "Hashed": [("digest", "bytes")],
    "Call": [("op", "u32"), ("request", "bytes")],
    "Called": [("response", "bytes"), ("request_id", "text")],
    "Watch": [("tag", "bytes")],
    "Event": [("key", "text"), ("algorithm", "enum"), ("digest", "bytes"),
              ("application", "text"), ("is_signed", "bool"), ("problem", "text"),
              ("detail", "text"), ("rules", "texts"), ("request_id", "text"),
              ("intent", "option Leaf"), ("outcome", "option Leaf"), ("receipt_file", "text")],
    "Status": [("software", "text"), ("profile", "text"), ("url", "text"), ("principal", "text"),
               ("expires", "u64"), ("states_facts", "bool"), ("trouble", "text"),
               ("started", "u64"), ("connections", "u64"), ("signatures", "u64"),
               ("refusals", "u64")],
    "Listen": [("path", "text")],
    # Of proto/api.h, for CALL.
    "Fact": [("name", "text"), ("value", "text"), ("basis", "enum")],
    "Artifact": [("digest", "bytes"), ("hash", "enum"), ("size_bytes", "u64"), ("type", "text"),
                 ("name", "text")],
    "SignItem": [("key", "text"), ("algorithm", "enum"), ("digest", "bytes"),
                 ("message", "bytes"), ("content", "bytes"), ("hashed_by", "enum"),
                 ("artifact", "option Artifact"), ("facts", "list Fact")],
    "SignRequest": [("items", "list SignItem"), ("reason", "text"), ("facts", "list Fact"),
                    ("labels", "list Label"), ("receipt", "enum")],
    "SignResult": [("is_signed", "bool"), ("signature", "bytes"), ("problem", "text"),
                   ("detail", "text"), ("rules", "texts"), ("intent", "option Leaf"),
                   ("outcome", "option Leaf"), ("receipt", "text")],
    "SignResponse": [("results", "list SignResult"), ("policy_number", "u64")],
    "Whoami": [("principal", "text"), ("method", "enum"), ("groups", "texts"), ("roles", "texts"),
               ("expires", "u64"), ("is_agent", "bool")],
}
SIZES = {"bool": 1, "enum": 2, "u32": 4, "u64": 8}
EMPTY = {"text": "", "bytes": b"", "texts": [], "list": [], "option": None}

REPLIES = {WELCOME: "Welcome", FAILED: "Failure", KEY_PAGE: "KeyPage", SIGNED: "Signed",
           VERIFIED: "Empty", HASH_ADDED: "Empty", HASHED: "Hashed", CALLED: "Called",
           WATCHING: "Empty", EVENT: "Event", UNWATCHED: "Empty", STATUS_REPLY: "Status",
           LISTENING: "Empty"}
OP_RENEW, OP_WHOAMI, OP_SIGN, OP_USERS_LIST = 3, 4, 5, 6


def encode_value(kind, value):
    if kind in SIZES:
        return int(value or 0).to_bytes(SIZES[kind], "big")
    if kind in ("text", "bytes"):
        data = value.encode() if kind == "text" else value
        return struct.pack(">I", len(data)) + data
    if kind == "texts":
        return struct.pack(">I", len(value)) + b"".join(encode_value("text", v) for v in value)
    how, name = kind.split(" ")
    if how == "struct":
        return encode(name, **value)
    if how == "option":
        return b"\0" if value is None else b"\1" + encode(name, **value)
    return struct.pack(">I", len(value)) + b"".join(encode(name, **v) for v in value)


def encode(message, /, **values):
    known = dict(FIELDS[message])
    assert set(values) <= set(known), f"{message} has no {set(values) - set(known)}"
    return b"".join(encode_value(kind, values.get(field, EMPTY.get(kind.split(" ")[0], 0)))
                    for field, kind in FIELDS[message])


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "cut off"
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def value(self, kind):
        if kind in SIZES:
            return self.number(SIZES[kind])
        if kind == "bytes":
            return self.take(self.number(4))
        if kind == "text":
            return self.take(self.number(4)).decode()
        if kind == "texts":
            return [self.value("text") for _ in range(self.number(4))]
        how, name = kind.split(" ")
        if how == "option":
            return self.struct(name) if self.number(1) else None
        if how == "struct":
            return self.struct(name)
        return [self.struct(name) for _ in range(self.number(4))]

    def struct(self, name):
        return {field: self.value(kind) for field, kind in FIELDS[name]}


def decode(name, data):
    reader = _Reader(data)
    value = reader.struct(name)
    assert reader.at == len(data), "bytes left over"
    return value


def frame(kind, number, body):
    return struct.pack(">IHHQ", len(body) + 12, kind, 0, number) + body


class Failed(Exception):
    def __init__(self, failure):
        super().__init__(f"{failure['code']}: {failure['text']}")
        self.__dict__.update(failure)


class Closed(Exception):
    """The agent has closed the connection."""


class Door:
    def __init__(self, where, hello=True, **values):
        if isinstance(where, socket.socket):
            self.socket = where
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(str(where))
        self.socket.settimeout(SOON)
        self.last = 0
        self.events = []
        self.answers = {}
        if hello:
            self.hello(**values)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def hello(self, **values):
        given = {"version": VERSION, "software": "test 1", **values}
        return self.ask(HELLO, "Hello", **given)

    # --- frames ---

    def send(self, kind, message, **values):
        self.last += 1
        self.socket.sendall(frame(kind, self.last, encode(message, **values)))
        return self.last

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            try:
                part = self.socket.recv(n - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed()
            data += part
        return data

    def receive(self):
        """The next frame: its kind, its number, its decoded body."""
        length, kind, flags, number = struct.unpack(">IHHQ", self._exactly(16))
        assert flags == 0
        return kind, number, decode(REPLIES[kind], self._exactly(length - 12))

    def answer(self, number):
        """Of that frame; what comes meanwhile is kept."""
        while number not in self.answers:
            kind, to, value = self.receive()
            if kind == EVENT:
                assert to == 0
                self.events.append(value)
            else:
                self.answers[to] = kind, value
        kind, value = self.answers.pop(number)
        if kind == FAILED:
            raise Failed(value)
        return value

    def ask(self, kind, message, **values):
        return self.answer(self.send(kind, message, **values))

    def is_closed(self):
        try:
            self.receive()
        except Closed:
            return True
        return False

    # --- what is asked ---

    def page(self, **values):
        return self.ask(KEYS, "Keys", **values)

    def keys(self, **values):
        """All pages of the keys, by name."""
        found, after = {}, ""
        while True:
            page = self.page(after=after, **values)
            found.update({key["name"]: key for key in page["keys"]})
            after = page["next"]
            if not after:
                return found

    def start_sign(self, key, scheme, data=b"", **more):
        return self.send(SIGN, "Sign", input={"key": key, "scheme": scheme, "data": data, **more})

    def sign(self, key, scheme, data=b"", **more):
        return self.answer(self.start_sign(key, scheme, data, **more))["signature"]

    def verify(self, key, scheme, signature, data=b"", **more):
        self.ask(VERIFY, "Verify", signature=signature,
                 input={"key": key, "scheme": scheme, "data": data, **more})

    def call(self, op, message, reply, **values):
        return decode(reply, self.ask(CALL, "Call", op=op,
                                      request=encode(message, **values))["response"])

    def status(self):
        return self.ask(STATUS, "Empty")

    def watch(self, tag):
        self.ask(WATCH, "Watch", tag=tag)

    def unwatch(self):
        """All events until now."""
        self.ask(UNWATCH, "Empty")
        events, self.events = self.events, []
        return events


class Agent:
    """`chancery agent` of a client (conftest.Client)."""

    def __init__(self, client, *arguments, user=None, socket_path=None, **env):
        self.client = client
        self.socket = pathlib.Path(socket_path or client.home / "agent" / "agent.sock")
        self.arguments = arguments
        self.env = env
        self.user = user
        self.process = None
        self.lines = []

    def start(self):
        self.launch()
        self.wait_event("agent.ready")
        return self

    def launch(self):
        import json
        self.news = queue.Queue()
        self.lines = []
        self.process = subprocess.Popen(
            [str(CHANCERY), "agent", "--socket", str(self.socket), *map(str, self.arguments)],
            env=environment(HOME=str(self.client.home), **self.env), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, user=self.user)

        def read(stream, news):
            for line in stream:
                try:
                    news.put(json.loads(line))
                except ValueError:
                    news.put({"text": line.rstrip("\n")})
            news.put(None)
        threading.Thread(target=read, args=(self.process.stderr, self.news), daemon=True).start()

    def wait_event(self, event):
        deadline = time.monotonic() + SOON
        while True:
            line = self.news.get(timeout=max(0.001, deadline - time.monotonic()))
            assert line is not None, f"the agent ended: {self.lines}"
            self.lines.append(line)
            if line.get("event") == event:
                return line

    def door(self, **values):
        return Door(self.socket, **values)

    def wait_status(self, true):
        """Until its status is so."""
        deadline = time.monotonic() + SOON
        while True:
            with self.door() as door:
                status = door.status()
            if true(status):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.05)

    def wait_end(self):
        code = self.process.wait(timeout=SOON)
        while True:
            line = self.news.get(timeout=SOON)
            if line is None:
                break
            self.lines.append(line)
        self.process.stderr.close()
        self.process = None
        text = str(self.lines)
        assert "Sanitizer" not in text and "runtime error:" not in text, text
        return code

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_end()
        assert code == 0, (code, self.lines)
        assert not self.socket.exists()

    def drop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Helper:
    """A private helper: its control socket here."""

    def __init__(self, client, **env):
        self.control, theirs = socket.socketpair()
        self.control.settimeout(SOON)
        place = theirs.detach()

        def as_three():
            if place != 3:
                os.dup2(place, 3)
            os.set_inheritable(3, True)

        with contextlib.ExitStack() as stack:
            stack.callback(os.close, place)
            self.starter = subprocess.Popen(
                ["chancery", "@helper"], executable=str(CHANCERY), close_fds=False,
                preexec_fn=as_three, env=environment(HOME=str(client.home), **env),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.last = 0

    def adopt(self, **values):
        """A new connection."""
        mine, theirs = socket.socketpair()
        self.last += 1
        self.control.sendmsg([frame(ADOPT, self.last, encode("Empty"))],
                             [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                               array.array("i", [theirs.fileno()]))])
        theirs.close()
        return Door(mine, **values)

    def listen(self, path):
        control = Door(self.control, hello=False)
        control.last = self.last
        control.ask(LISTEN, "Listen", path=str(path))
        self.last = control.last

    def is_over(self):
        """Whether the helper has closed its side."""
        return self.control.recv(1) == b""
