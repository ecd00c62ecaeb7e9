# SPDX-License-Identifier: MIT
"""A time-stamp authority for tests: `openssl ts` behind HTTP on loopback.

    with tsa.Authority(folder) as authority:
        ... authority.url, authority.ca (PEM of its root) ...

Source: RFC 3161, section 3.4.
"""

import http.server
import pathlib
import subprocess
import threading

QUERY_BYTES = 64 * 1024
REPLY = "application/timestamp-reply"
CONFIG = """\
[ca]
distinguished_name = name
x509_extensions = ca_extensions
prompt = no
[name]
CN = Test time-stamp root
[ca_extensions]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[tsa_extensions]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = authority
[authority]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = ca.pem
signer_digest = sha256
ess_cert_id_alg = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = yes
"""


class Authority:
    """Stamps what it is asked for, and remembers how often. `is_down` makes it refuse. `twist`
    makes it hostile: a function of the query and the authority that answers the body, or status,
    type and body."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        self.stamps = 0
        self.is_down = False
        self.twist = None
        self._make_keys()
        self._lock = threading.Lock()  # of the file with the serial number
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _openssl(self, *words, **options):
        return subprocess.run(["openssl", *words], cwd=self.folder, check=True,
                              capture_output=True, timeout=60, **options)

    def _make_keys(self):
        (self.folder / "tsa.cnf").write_text(CONFIG)
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", "ca.key", "-out",
                      "ca.pem", "-days", "3650", "-config", "tsa.cnf", "-section", "ca")
        self._openssl("req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", "tsa.key", "-out",
                      "tsa.csr", "-subj", "/CN=Test time-stamp authority", "-config", "tsa.cnf",
                      "-section", "ca")
        self._certify("tsa.pem", serial=2, days=3650)
        self._certify("ended.pem", serial=3, days=-1)

    def _certify(self, name, serial, days):
        self._openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-set_serial", str(serial), "-days", str(days), "-extfile", "tsa.cnf",
                      "-extensions", "tsa_extensions", "-out", name)

    def reply(self, query, certificate="tsa.pem"):
        """The DER of the answer to a DER query. "ended.pem" is a certificate that is over."""
        with self._lock:
            (self.folder / "query").write_bytes(query)
            self.stamps += 1
            return self._openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile",
                                 "query", "-signer", certificate).stdout

    @staticmethod
    def answer(query, authority):
        """What it answers when nothing twists it."""
        return authority.reply(query)

    def _handler(authority):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection; there are many at once."""

            timeout = 30

            def do_POST(self):  # pylint: disable=invalid-name
                length = int(self.headers.get("Content-Length", 0))
                if authority.is_down or length > QUERY_BYTES:
                    self.send_error(503)
                    return
                query = self.rfile.read(length)
                answer = (authority.twist or Authority.answer)(query, authority)
                status, kind, body = (200, REPLY, answer) if isinstance(answer, bytes) else answer
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # whoever asked waits no more

            def log_message(self, *_):
                pass

        return Handler
