# SPDX-License-Identifier: MIT
"""What the log holds of a tool's signature, and how a file is spoilt."""

import base64
import pathlib


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
