# SPDX-License-Identifier: MIT
"""Reads the log by what docs/formats/log.md says, and nothing else: its tables are the decoder's
tables. So a page that is wrong fails here, as it would for somebody who writes a verifier from
it."""

import base64
import hashlib
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from conftest import SOURCE

PAGE = (SOURCE / "docs/formats/log.md").read_text()
ENUM_OF_FIELD = {
    "kind": "entry kind",
    "method": "authentication method",
    "decision": "decision",
    "algorithm": "signature algorithm",
    "hashed_by": "hashed_by",
    "basis": "basis",
    "outcome": "outcome",
}


def _section(name):
    return PAGE.split(f"\n### {name}\n", 1)[1].split("\n#", 1)[0]


def _rows(name):
    rows = [line for line in _section(name).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


def _fields(name):
    return [(row[0].strip("`"), row[1]) for row in _rows(name)]


FIELDS = {name: _fields(name) for name in ("Entry", "EntryDetail", "Fact", "Label")}
NUMBERS = {
    row[0]: {int(n): text for n, text in re.findall(r"(\d+) `([^`]+)`", row[1])}
    for row in _rows("Numbers")
}


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        assert self.at + n <= len(self.data), "cut off"
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def value(self, field, kind):
        if kind in ("u32", "u64", "time"):
            return self.number(4 if kind == "u32" else 8)
        if kind == "enum":
            return NUMBERS[ENUM_OF_FIELD[field]][self.number(2)]
        if kind in ("id", "hash"):
            return self.take(16 if kind == "id" else 32).hex()
        if kind in ("text", "long text"):
            text = self.take(self.number(4)).decode()
            assert kind == "long text" or not re.search("[\x00-\x1f\x7f]", text)
            return text
        if kind == "bytes":
            return self.take(self.number(4)).hex()
        count = self.number(4)
        if kind == "texts":
            return [self.value(field, "text") for _ in range(count)]
        assert kind.startswith("list of ")
        return [self.struct(kind[len("list of ") :]) for _ in range(count)]

    def struct(self, name):
        return {field: self.value(field, kind) for field, kind in FIELDS[name]}


def decode(name, data):
    reader = _Reader(data)
    value = reader.struct(name)
    assert reader.at == len(data), "bytes left over"
    return value


def record(entry, detail):
    """A leaf and its detail record, None when there is none; the commitment is checked."""
    made = decode("Entry", entry)
    if not detail:
        return made, None
    assert made["detail_sha256"] == hashlib.sha256(detail).hexdigest()
    return made, decode("EntryDetail", detail)


def example():
    """The bytes of the page's example, and the leaf hash that it states."""
    text = _section("Example")
    lines = text.split("```text\n")[1].split("```")[0].splitlines()
    digits = "".join(re.match("(?:[0-9a-f]+ ?)+", line).group().replace(" ", "") for line in lines)
    return bytes.fromhex(digits), re.search("`([0-9a-f]{64})`", text).group(1)


# --- RFC 6962 and C2SP ---


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves):
    """The root over leaf hashes, by the recursive definition of RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def root_by_proof(index, size, leaf, proof):
    """RFC 9162 section 2.1.3.2."""
    assert index < size
    at, last, made = index, size - 1, leaf
    for other in proof:
        assert last > 0, "the proof is too long"
        if at & 1 or at == last:
            made = node_hash(other, made)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            made = node_hash(made, other)
        at, last = at >> 1, last >> 1
    assert last == 0, "the proof is too short"
    return made


def checkpoint(note, vkey):
    """(size, root) of a signed checkpoint, whose signature is checked."""
    name, key_id, key = vkey.split("+", 2)
    raw = base64.b64decode(key, validate=True)
    assert raw[0] == 1 and len(raw) == 33
    assert hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() == key_id
    text, signatures = note.split("\n\n", 1)
    text += "\n"
    origin, size, root = text.splitlines()
    assert origin == name
    line = re.fullmatch(f"— {re.escape(name)} ([A-Za-z0-9+/=]+)\n", signatures)
    signature = base64.b64decode(line.group(1), validate=True)
    assert signature[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[4:], text.encode())
    return int(size), base64.b64decode(root, validate=True)


def check_receipt(receipt, entry, vkey):
    """The index at which a receipt proves `entry`, and the size of the log that it speaks of."""
    head, note = receipt.split("\n\n", 1)
    first, extra, index_line, *proof = head.splitlines()
    assert first == "c2sp.org/tlog-proof@v1"
    assert extra == "extra " + base64.b64encode(entry).decode()
    index = int(re.fullmatch("index (0|[1-9][0-9]*)", index_line).group(1))
    size, root = checkpoint(note, vkey)
    hashes = [base64.b64decode(line, validate=True) for line in proof]
    assert root_by_proof(index, size, leaf_hash(entry), hashes) == root
    return index, size


def tile_path(level, index, width=256):
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/" + "/".join(parts) + (f".p/{width}" if width < 256 else "")


def bundle(data):
    entries = []
    while data:
        n = int.from_bytes(data[:2], "big")
        entries.append(data[2 : 2 + n])
        assert len(entries[-1]) == n
        data = data[2 + n :]
    return entries
