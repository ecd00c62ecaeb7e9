# SPDX-License-Identifier: MIT
"""A small HTTPS server that answers as a test says, with TLS 1.3 and client certificates.

It stands for the server where a test needs answers that a good one does not give.
"""

import base64
import datetime
import hashlib
import http.server
import json
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOG_KEY = "log.example+ffffffff+" + base64.b64encode(b"\x01" + bytes(32)).decode()


def name_of(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def pem_of(thing):
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def pin_of(key):
    spki = key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


class Authority:
    """A CA of clients, and the maker of the server's own certificate."""

    def __init__(self, common_name="client CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(common_name)
        self.certificate = self.issue(self.key.public_key(), common_name, is_ca=True)

    def issue(self, public_key, common_name, is_ca=False, starts_hours=-1, ends_hours=24):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(name_of(common_name))
                   .issuer_name(self.name).public_key(public_key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(hours=starts_hours))
                   .not_valid_after(now + datetime.timedelta(hours=ends_hours))
                   .add_extension(x509.BasicConstraints(is_ca, None), True))
        if not is_ca:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH,
                                       ExtendedKeyUsageOID.SERVER_AUTH]), False)
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        return builder.sign(self.key, hashes.SHA256())


class Request:
    def __init__(self, handler, body):
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers)
        self.body = json.loads(body) if body else None
        certificate = handler.connection.getpeercert()
        subject = dict(pair[0] for pair in certificate["subject"]) if certificate else {}
        self.principal = subject.get("commonName")
        self.serial = certificate["serialNumber"] if certificate else None


def problem(status, name, detail):
    body = {"type": f"urn:chancery:problem:{name}", "title": "x", "status": status,
            "detail": detail, "request_id": "00" * 16}
    return status, body, {"Content-Type": "application/problem+json"}


class Stub:
    """`answers` maps "METHOD /path" to a function: of a request to (status, body, headers)."""

    def __init__(self, folder, tls="1.3"):
        self.ca = Authority()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.requests = []
        self.answers = {
            "GET /v1/hello": lambda r: (200, self.hello(), {}),
            "GET /v1/whoami": self.whoami,
            "POST /v1/enroll": self.enroll,
            "POST /v1/renew": self.renew,
        }
        certificate = self.ca.issue(self.key.public_key(), "server")
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_text(pem_of(self.ca.certificate))
        chain = folder / "server.pem"
        chain.write_text(key_pem(self.key) + pem_of(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.load_verify_locations(self.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        if tls == "1.3":
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        else:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                request = Request(self, self.rfile.read(length))
                stub.requests.append(request)
                path = request.path.split("?")[0]
                make = stub.answers.get(f"{request.method} {path}")
                status, body, headers = (make(request) if make else
                                         problem(404, "not-found", "there is no such thing"))
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for key, value in {"Content-Type": "application/json",
                                   "Chancery-Request-Id": "ab" * 16, **headers}.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that breaks off is what some tests want

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def asked(self, line):
        """The requests of one kind: "GET /v1/whoami"."""
        return [r for r in self.requests if f"{r.method} {r.path.split('?')[0]}" == line]

    def code(self, secret=b"s" * 20, url=None, pin=None):
        def encode(raw):
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")
        parts = ["chy1", encode(pin or pin_of(self.key)), encode(secret)]
        return ".".join(parts + [encode((self.url if url is None else url).encode())])

    @staticmethod
    def hello(low=1, high=1):
        return {"server": "9.9.9", "api_min": low, "api_max": high,
                "time": "2026-01-01T00:00:00Z", "log_vkey": LOG_KEY}

    def certificate_for(self, csr, common_name="alice", **times):
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        leaf = self.ca.issue(request.public_key(), common_name, **times)
        return {"principal": common_name, "certificate": pem_of(leaf) + pem_of(self.ca.certificate),
                "not_after": leaf.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "field_of_a_newer_server": 1}

    def enroll(self, request):
        if request.body["code"] != base64.urlsafe_b64encode(b"s" * 20).decode().rstrip("="):
            return problem(401, "unauthenticated", "this code is not known")
        return 200, self.certificate_for(request.body["csr"]), {}

    def renew(self, request):
        if request.principal is None:
            return problem(401, "unauthenticated", "a certificate is needed")
        return 200, self.certificate_for(request.body["csr"]), {}

    @staticmethod
    def whoami(request):
        token = request.headers.get("Authorization")
        principal = request.principal or (token and "by-token")
        if principal is None:
            return problem(401, "unauthenticated", "nobody knows you")
        return 200, {"principal": principal, "method": "certificate", "groups": ["dev"],
                     "roles": []}, {}
