# SPDX-License-Identifier: MIT
"""Clients that remember all they asked and were told, and a check of that against the log.

    Load       clients that sign in threads while a test breaks things; a context
    check()    every answered signature is right and in the log exactly once; every intent has one
               outcome; what a client was refused has no signature that left; nothing else is there

A client asks for a digest once and never again: what it lost stays lost, and the log tells what
became of it.
"""

import base64
import http.client
import json
import secrets
import ssl
import threading
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from api import Api, item, sha256
from conftest import SOON
from test_api_log import check_complete

BROKEN = (OSError, http.client.HTTPException, ssl.SSLError)
REFUSALS = {429, 500, 502, 503, 504}  # what a server that is being broken may say
ITEMS = 3
PAUSE_S = 0.02  # after a refusal, so that a server that is down is not flooded


class Client:
    """One connection and its history; one thread."""

    def __init__(self, world, number, keys):
        self.world = world
        self.name = f"{secrets.token_hex(6)}/{number}"  # no other load asks for the same
        self.keys = keys
        self.api = Api(world, world.admin.identity)
        self.asked = 0
        self.answered = []  # (key, algorithm, data, signature, index of the outcome)
        self.unanswered = []  # (data, status; None when the connection was lost)
        self.problems = []

    def _post(self, items):
        """Without Api's second try: a digest is asked for once."""
        connection = self.api._open()  # pylint: disable=protected-access
        connection.request("POST", "/v1/sign", json.dumps({"items": items}).encode(),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()

    def data_of(self, request):
        return [f"{self.name}/{request}/{n}".encode() for n in range(ITEMS)]

    def ask(self):
        key, algorithm = self.keys[self.asked % len(self.keys)]
        data = self.data_of(self.asked)
        self.asked += 1
        try:
            status, _, body = self._post([item(key, d, algorithm) for d in data])
        except BROKEN:
            self.api.close()
            self.unanswered += [(d, None) for d in data]
            return False
        if status == 200:
            self._take(key, algorithm, data, body)
            return True
        self.unanswered += [(d, status) for d in data]
        if status not in REFUSALS:
            self.problems.append((status, body[:300]))
        if b'"signature"' in body:
            self.problems.append(("a refusal carries a signature", body[:300]))
        return False

    def _take(self, key, algorithm, data, body):
        for one, result in zip(data, json.loads(body)["results"]):
            if result.get("is_signed"):
                signature = base64.b64decode(result["signature"])
                self.answered.append((key, algorithm, one, signature, result["outcome"]["index"]))
            else:
                self.unanswered.append((one, 200))


class Load:
    """So many clients that ask without an end. Waits are for events: `more()` signatures."""

    def __init__(self, world, clients=4, keys=(("k", "ecdsa-sha256"),)):
        self.world = world
        self.clients = [Client(world, number, keys) for number in range(clients)]
        self.stopping = threading.Event()
        self.threads = []

    def __enter__(self):
        self.threads = [threading.Thread(target=self._run, args=(client,), daemon=True)
                        for client in self.clients]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=SOON)
            assert not thread.is_alive(), "a client waits for ever"
        for client in self.clients:
            client.api.close()

    def _run(self, client):
        while not self.stopping.is_set():
            if not client.ask():
                self.stopping.wait(PAUSE_S)

    def count(self):
        return sum(len(client.answered) for client in self.clients)

    def refusals(self):
        return sum(1 for client in self.clients for _, status in client.unanswered
                   if status is not None)

    def more(self, number=30):
        """Until so many more signatures were answered."""
        self.until(lambda target=self.count() + number: self.count() >= target, "no signatures")

    def until(self, done, what):
        deadline = time.monotonic() + SOON
        while not done():
            assert time.monotonic() < deadline, f"{what}\n{self.world.server.log()[-4000:]}"
            time.sleep(0.01)


# --- the check ---


def public_keys(world):
    return {name: serialization.load_der_public_key(spki)
            for name, spki in world.public_keys.items()}


def is_right(key, algorithm, data, signature):
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, sha256(data), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        elif isinstance(key, rsa.RSAPublicKey):
            pad = padding.PKCS1v15() if algorithm.startswith("rsa-pkcs1") else \
                padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, data, pad, hashes.SHA256())
        else:
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _check_answers(keys, client, entries, done):
    for key, algorithm, data, signature, index in client.answered:
        assert is_right(keys[key], algorithm, data, signature), (key, data)
        found = done.pop(sha256(data).hex(), [])
        assert found == [index], f"{data}: told {index}, the log has {found}"
        assert entries[index]["result_sha256"] == sha256(signature).hex(), data


def check(world, *loads):
    """The server runs, and is quiet. The entries of the log, and how many were signed but not
    answered."""
    clients = [client for load in loads for client in load.clients]
    assert not [problem for client in clients for problem in client.problems]
    entries = check_complete(world, [])
    keys = public_keys(world)
    asked = {sha256(data).hex() for client in clients for request in range(client.asked)
             for data in client.data_of(request)}
    done = {}
    for index, entry in enumerate(entries):
        if entry["kind"] != "sign.outcome" or entry["digest"] not in asked:
            continue
        if entry["outcome"] == "done":
            done.setdefault(entry["digest"], []).append(index)
    for client in clients:
        _check_answers(keys, client, entries, done)
    # Signed and logged, but the answer was lost on its way: each at most once.
    for digest, found in done.items():
        assert len(found) == 1, f"{digest}: signed twice, {found}"
    unanswered = {sha256(data).hex() for client in clients for data, _ in client.unanswered}
    assert set(done) <= unanswered
    return entries, len(done)
