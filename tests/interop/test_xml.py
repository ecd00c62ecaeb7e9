# SPDX-License-Identifier: MIT
"""XML-DSig: what a Java program of 60 lines signs, xmlsec1 verifies. xmlsec1 itself cannot sign."""

import base64
import re

import pytest

from evidence import recovered, told
from signer import SOURCE, need

PROGRAM = SOURCE / "examples/xml/SignXml.java"
TEMPLATE = """\
<?xml version="1.0"?>
<release version="1.0"><file name="app.tar"/>
<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>
<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
<Reference URI=""><Transforms>
<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></Transforms>
<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue/></Reference>
</SignedInfo><SignatureValue/></Signature></release>
"""


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_java_signs_and_xmlsec1_verifies(keys, key):
    need("java", "xmlsec1")
    keys.file("release.xml", '<?xml version="1.0"?>\n<release><file name="app.tar"/></release>\n')
    done = keys.exec("java", PROGRAM, key, "release.xml", "signed.xml")
    check = ["xmlsec1", "--verify", "--trusted-pem", keys.home / "ca.pem"]
    keys.run(*check, "signed.xml")
    text = (keys.home / "signed.xml").read_bytes()
    keys.file("broken.xml", text.replace(b"app.tar", b"bpp.tar"))
    assert keys.run(*check, "broken.xml", check=False).returncode != 0
    keys.logged(done, key, "java")
    if key == "r3":
        value = re.search(rb"<(?:\w+:)?SignatureValue>([^<]+)<", text)[1]
        signature = base64.b64decode(re.sub(rb"&#13;|\s", b"", value))
        told(keys, done, key, "java", recovered(keys, signature))


@pytest.mark.parametrize("words", [
    ["--privkey-pem", "chancery:r3"],
    ["--privkey-openssl-engine", "pkcs11;pkcs11:object=r3"],
], ids=["provider", "engine"])
def test_xmlsec1_does_not_sign(keys, words):
    """1.2.37 opens a key by fopen(), and takes an engine's key for a public one. When this fails,
    docs/tools/xml.md may say more."""
    need("xmlsec1")
    keys.file("template.xml", TEMPLATE)
    done = keys.exec("xmlsec1", "--sign", *words, "--output", "never.xml", "template.xml",
                     check=False)
    assert done.returncode != 0
    assert "asked for no signature" in done.stderr, done.stderr
