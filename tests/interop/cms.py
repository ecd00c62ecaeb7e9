# SPDX-License-Identifier: MIT
"""What is in a CMS SignedData that a tool made: which digest was signed, over which content.

Source: RFC 5652, sections 5.1 to 5.4.
"""

import hashlib

SHA = {
    "608648016503040201": "sha256", "608648016503040202": "sha384", "608648016503040203": "sha512",
}


def value(tag, body):
    """One value of the encoding DER."""
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    head = size if len(body) < 0x80 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + head + body


def values(body):
    """The values that stand one behind the other in `body`: (tag, content, all of it)."""
    found = []
    at = 0
    while at < len(body):
        tag, size, start = body[at], body[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(body[at + 2:start], "big")
        assert start + size <= len(body)
        found.append((tag, body[start:start + size], body[at:start + size]))
        at = start + size
    return found


class Signed:
    """A SignedData: `content` is that of eContent, without its header; None when it is detached."""

    def __init__(self, der):
        _, [_, body, _] = values(values(der)[0][1])
        self.parts = values(values(body)[0][1])
        inner = values(self.parts[2][1])
        self.type = inner[0]
        self.content = values(inner[1][1])[0][1] if len(inner) > 1 else None
        self.signers = [values(signer) for _, signer, _ in values(self.parts[-1][1])]

    def digests(self, detached=None):
        """For each signer the digest that its signature is over."""
        made = []
        for signer in self.signers:
            name = SHA[values(signer[2][1])[0][1].hex()]
            attributes = [body for tag, body, _ in signer if tag == 0xA0]
            # Signed attributes are hashed as the SET that they are.
            signed = value(0x31, attributes[0]) if attributes else self.content or detached
            made.append(hashlib.new(name, signed).hexdigest())
        return made

    def unsigned_attributes(self):
        """Their object identifiers, in hex, signer by signer."""
        return [[values(one)[0][1].hex() for _, one, _ in values(body)]
                for signer in self.signers for tag, body, _ in signer if tag == 0xA1]

    def without_content(self):
        """The same as a detached signature: OpenSSL reads no content that is no OCTET STRING."""
        parts = [whole for _, _, whole in self.parts]
        parts[2] = value(0x30, self.type[2])
        signed_data = value(0x30, b"".join(parts))
        kind = bytes.fromhex("06092a864886f70d010702")
        return value(0x30, kind + value(0xA0, signed_data))
