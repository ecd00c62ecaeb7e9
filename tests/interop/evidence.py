# SPDX-License-Identifier: MIT
"""What the log holds of a tool's signature, and how a file is spoilt."""

import base64
import contextlib
import os
import pathlib
import pwd
import subprocess
import sys


def logged(keys, key, digest, application, command=""):
    """Asserts that the log has the signed digest, and with it the program that asked, whose
    command line held `command`. The answer is the row of the intent."""
    rows = keys.log(digest=digest, key=key)[-2:]  # others may have signed the same sample
    assert {row["kind"] for row in rows} == {"sign.intent", "sign.outcome"}, digest
    assert {pathlib.Path(row["application"]["value"]).name for row in rows} == {application}
    intent = next(row for row in rows if row["kind"] == "sign.intent")
    assert command.encode() in base64.b64decode(intent["detail"])
    return intent


def broken(path, pattern):
    """The content with one bit changed, in the first byte of `pattern`."""
    content = bytearray(path.read_bytes())
    content[content.index(pattern)] ^= 1
    return bytes(content)


def told(keys, done, key, program, digest):
    """Asserts that the signature which exec told last is in the log, over this digest and with the
    program that asked."""
    row = keys.logged(done, key, program)
    assert row["index"] in [other["index"] for other in keys.log(digest=digest, key=key)]


def recovered(keys, signature):
    """The digest that an RSA signature of r3's is over: openssl takes out the DigestInfo, of which
    the first 19 bytes name SHA-2 (RFC 8017, section 9.2)."""
    return subprocess.run(
        ["openssl", "pkeyutl", "-verifyrecover", "-pubin", "-inkey", keys.public_key("r3"), "-in",
         keys.file("recovered.sig", signature), "-pkeyopt", "rsa_padding_mode:pkcs1"], check=True,
        capture_output=True).stdout[19:].hex()


LISTENER = """
import os, socket, sys
path, user, group = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.setgid(group)
os.setuid(user)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o777)
listener.listen()
print("ready", flush=True)
print(len(listener.accept()[0].recv(1000)), flush=True)
"""


@contextlib.contextmanager
def nobodys_socket(folder):
    """An agent's socket that is another user's; only root can make it so. At the end somebody must
    have connected, found out whose it is, and gone without a word."""
    path = folder / "theirs.sock"
    nobody = pwd.getpwnam("nobody")
    mode = folder.stat().st_mode
    folder.chmod(0o777)
    with subprocess.Popen([sys.executable, "-c", LISTENER, path, str(nobody.pw_uid),
                           str(nobody.pw_gid)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "ready\n"
            yield path
            assert other.stdout.readline() == "0\n"
        finally:
            other.kill()
            folder.chmod(mode & 0o7777)
            os.unlink(path)
