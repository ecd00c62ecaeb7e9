# SPDX-License-Identifier: MIT
"""A client of the HTTP interface for tests: it can be wrong in every way that the command
`chancery` cannot.

    Api          one credential (a client certificate, an API token, none), one kept-open connection
    Answer       status, headers, body
    World        a running server with an administrator, and what tests need of it
    logformat    beside this file: entries, receipts and tiles, read by another program than ours
"""

import base64
import contextlib
import hashlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import logformat
from conftest import SOON, Server, environment

PROBLEM = "urn:chancery:problem:"
ROLES = ("administrator", "key-manager", "policy-author", "auditor")

ALLOW_ALL = "version: 1\nrules:\n  - name: everybody\n    effect: allow\n"


def sha256(data):
    return hashlib.sha256(data).digest()


def pem_of(thing):
    """Of a certificate or a request."""
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def pem_of_spki(spki):
    text = base64.encodebytes(spki).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def result(self):
        """What came of the items when none was signed."""
        return self.json["result"]["results"]

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def refused(answer, status, kind):
    """The form of a problem document (RFC 9457), and that it is this one."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json", answer
    problem = answer.json
    assert problem["type"] == PROBLEM + kind, answer
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    assert re.fullmatch("[0-9a-f]{32}", problem["request_id"])
    assert answer.headers["chancery-request-id"] == problem["request_id"]
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    return problem


class Identity:
    """A client's own key and what the server certified of it."""

    def __init__(self, folder, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name.replace('/', '_')}.pem"
        self.certificate = None

    def csr(self):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anything")])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return pem_of(request.sign(self.key, hashes.SHA256()))

    def take(self, chain):
        """Keep key and certificates in one file, as Python's ssl wants them."""
        self.certificate = x509.load_pem_x509_certificate(chain.encode())
        self.file.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + chain.encode()
        )
        self.file.chmod(0o600)
        return self


class Api:
    def __init__(self, world, identity=None, token=None):
        self.world = world
        self.identity = identity
        self.token = token
        self._connection = None
        self._url = None

    def context(self):
        context = ssl.create_default_context(cafile=str(self.world.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if self.identity is not None:
            context.load_cert_chain(self.identity.file)
        return context

    def tls(self, alpn=("http/1.1",)):
        """A connection of its own, for bytes that no client would send."""
        context = self.context()
        context.set_alpn_protocols(list(alpn))
        raw = socket.create_connection(self.world.address, timeout=SOON)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _open(self):
        if self._connection is None or self._url != self.world.server.url:
            self.close()
            self._url = self.world.server.url
            host, port = self.world.address
            self._connection = http.client.HTTPSConnection(
                host, port, context=self.context(), timeout=SOON
            )
        return self._connection

    def call(self, method, path, body=None, headers=None, raw=None):
        """`body` is made JSON; `raw` is sent as it is."""
        content = json.dumps(body).encode() if body is not None else raw
        fields = {"Content-Type": "application/json"} if content is not None else {}
        if self.token is not None:
            fields["Authorization"] = f"Bearer {self.token}"
        fields.update(headers or {})
        for attempt in (1, 2):  # a kept-open connection may have been closed meanwhile
            connection = self._open()
            was_used = connection.sock is not None
            try:
                connection.request(method, path, content, fields)
                response = connection.getresponse()
                data = response.read()
                break
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
                self.close()
                if not was_used or attempt == 2:
                    raise
        found = {name.lower(): value for name, value in response.getheaders()}
        if found.get("connection", "").lower() == "close":
            self.close()
        return Answer(response.status, found, data)

    def get(self, path, **headers):
        return self.call("GET", path, headers=headers)

    def post(self, path, body=None, **options):
        return self.call(
            "POST", path, {} if body is None and "raw" not in options else body, **options
        )

    def put(self, path, body=None, **options):
        return self.call(
            "PUT", path, body if body is not None or "raw" in options else {}, **options
        )

    def delete(self, path):
        return self.call("DELETE", path)

    # --- operations that many tests use ---

    def key(self, name, kind="p256", **more):
        made = ok(self.post("/v1/keys", {"name": name, "type": kind, **more}))
        self.world.public_keys[name] = base64.b64decode(made["public_key"])
        return made

    def policy(self, text=ALLOW_ALL):
        return ok(self.post("/v1/policies", {"policy": text}))

    def sign_items(self, items, **more):
        return self.post("/v1/sign", {"items": items, **more})

    def sign(self, key, data=b"what is signed", algorithm="ecdsa-sha256", **more):
        """One item, hashed here; `more` goes to the request, but for the members of an item."""
        of_item = {
            name: more.pop(name)
            for name in ("facts", "artifact", "content", "digest", "message", "hashed_by")
            if name in more
        }
        return self.sign_items([item(key, data, algorithm, **of_item)], **more)


def item(key, data=b"what is signed", algorithm="ecdsa-sha256", **more):
    if algorithm == "ed25519":
        made = {
            "key": key,
            "algorithm": algorithm,
            "hashed_by": "nobody",
            "message": base64.b64encode(data).decode(),
        }
    else:
        digest = hashlib.new(algorithm.rsplit("-", 1)[1], data).hexdigest()
        made = {"key": key, "algorithm": algorithm, "hashed_by": "client", "digest": digest}
    made.update(more)
    return {name: value for name, value in made.items() if value is not None}


class World:
    """A server that runs; its administrator is `admin`."""

    def __init__(self, server):
        self.server = server
        self.folder = server.folder
        self.ca = server.data / "tls/certificate.pem"
        self.store = server.data / "store/chancery.db"
        self.people = {}
        self.public_keys = {}  # DER, of the keys that tests made
        self.nobody = Api(self)
        code = server.made["enrolment_code"]
        self.admin = Api(self, self.enroll("admin", code))

    @property
    def address(self):
        parts = urllib.parse.urlsplit(self.server.url)
        return parts.hostname, parts.port

    def enroll(self, name, code):
        identity = Identity(self.folder, name)
        answer = ok(
            self.nobody.post("/v1/enroll", {"code": code.split(".")[2], "csr": identity.csr()})
        )
        assert answer["principal"] == name
        return identity.take(answer["certificate"])

    def client_ca(self):
        """It comes behind each client's certificate."""
        pem = self.admin.identity.file.read_bytes().split(b"-----BEGIN CERTIFICATE-----")
        return x509.load_pem_x509_certificate(b"-----BEGIN CERTIFICATE-----" + pem[2])

    def code_for(self, name, **more):
        return ok(self.admin.post(f"/v1/users/{name}/enrolment-codes", more))["code"]

    def person(self, name, roles=(), groups=(), is_agent=False):
        """A principal with a client certificate; made the first time it is asked for."""
        if name not in self.people:
            ok(
                self.admin.post(
                    "/v1/users", {"name": name, "roles": list(roles), "groups": list(groups)}
                )
            )
            identity = self.enroll(name, self.code_for(name, is_agent=is_agent))
            self.people[name] = Api(self, identity)
        return self.people[name]

    def token_for(self, name, scopes, **more):
        """An API token of a principal: a client that uses it, and what the server says of it."""
        made = ok(self.admin.post(f"/v1/users/{name}/api-tokens", {"scopes": scopes, **more}))
        return Api(self, token=made["token"]), made["info"]

    def public_key(self, name):
        """A file for OpenSSL."""
        path = self.folder / f"{name}.pub.pem"
        path.write_text(pem_of_spki(self.public_keys[name]))
        return path

    def verifies(self, key, data, signature, algorithm="ecdsa-sha256"):
        """Whether OpenSSL takes `signature` for one of `data`."""
        data_file, signature_file = self.folder / "signed", self.folder / "signed.sig"
        data_file.write_bytes(data)
        signature_file.write_bytes(base64.b64decode(signature))
        if algorithm == "ed25519":
            words = [
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                self.public_key(key),
                "-rawin",
                "-in",
                data_file,
                "-sigfile",
                signature_file,
            ]
        else:
            name = algorithm.rsplit("-", 1)[1]
            words = [
                "dgst",
                f"-{name}",
                "-verify",
                self.public_key(key),
                "-signature",
                signature_file,
            ]
            if algorithm.startswith("rsa-pss"):
                words += [
                    "-sigopt",
                    "rsa_padding_mode:pss",
                    "-sigopt",
                    "rsa_pss_saltlen:digest",
                    "-sigopt",
                    f"rsa_mgf1_md:{name}",
                ]
            words.append(data_file)
        return openssl(*words, check=False).returncode == 0

    # --- the store, as it is on the disk ---

    def _read(self, query):
        with contextlib.closing(
            sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=SOON)
        ) as db:
            return db.execute(query).fetchall()

    def log_size(self):
        return self._read("SELECT count(*) FROM leaf")[0][0]

    def entries(self, after=0):
        """(entry, detail) from an index on, decoded by the page docs/formats/log.md."""
        rows = self._read(f"SELECT entry, detail FROM leaf WHERE idx >= {after} ORDER BY idx")
        return [logformat.record(entry, detail) for entry, detail in rows]

    def leaf(self, index):
        return self._read(f"SELECT entry FROM leaf WHERE idx = {index}")[0][0]

    def objects(self):
        """Everything that is stored beside the log."""
        rows = self._read("SELECT kind, name, body FROM object ORDER BY kind, name")
        return {(kind, name): sha256(body) for kind, name, body in rows}

    @contextlib.contextmanager
    def unchanged(self):
        """Nothing is logged, nothing is stored, and the server still serves."""
        size, objects = self.log_size(), self.objects()
        yield
        assert self.log_size() == size, [e for e, _ in self.entries(size)]
        assert self.objects() == objects
        self.works()

    @contextlib.contextmanager
    def logged(self, *kinds):
        """Exactly entries of these kinds are written."""
        size = self.log_size()
        found = []
        yield found
        found.extend(self.entries(size))
        assert [entry["kind"] for entry, _ in found] == list(kinds), found

    def works(self):
        answer = self.nobody.get("/readyz")
        assert answer.status == 200, answer

    def stop(self):
        self.admin.close()
        self.nobody.close()
        for person in self.people.values():
            person.close()
        self.server.stop()
        log = self.server.log()  # a process may have ended badly, and another taken its place
        assert "Sanitizer" not in log and "runtime error:" not in log, log

    def restart(self):
        self.stop()
        self.server.start()


# --- other people's programs: OpenSSL as the judge, OpenSC as a guest in the token ---


def softhsm(server, *words):
    """pkcs11-tool in the server's soft token, as whoever has its PIN could."""
    pin = (server.data / "secrets/soft.pin").read_text().strip()
    done = subprocess.run(
        [
            "pkcs11-tool",
            "--module",
            "/usr/lib/softhsm/libsofthsm2.so",
            "--login",
            "--pin",
            pin,
            *(str(word) for word in words),
        ],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
        env=environment(SOFTHSM2_CONF=str(server.data / "tokens/soft/softhsm2.conf")),
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def openssl(*words, check=True, **options):
    done = subprocess.run(
        ["openssl", *(str(word) for word in words)],
        capture_output=True,
        timeout=SOON,
        check=False,
        env=environment(),
        **options,
    )
    if check:
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done


@contextlib.contextmanager
def running_world(**settings):
    """A server of its own, and what is known of it; at the end it must stop with exit 0."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chancery-test-", dir="/tmp"))
    folder.chmod(0o755)
    server = None
    try:
        server = Server(folder)
        for name, value in {"denials_per_minute": 1000000, **settings}.items():
            server.set(name, value)
        made = World(server.start())
        yield made
        made.stop()
    finally:
        if server is not None:
            server.drop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def world():
    """One server for the tests of a file: the keys k (P-256), r (RSA 3072) and e (Ed25519), and a
    policy by which everybody may sign."""
    with running_world() as made:
        made.admin.key("k")
        made.admin.key("r", "rsa-3072")
        made.admin.key("e", "ed25519")
        made.admin.policy()
        yield made
