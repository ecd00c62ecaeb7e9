# SPDX-License-Identifier: MIT
"""GnuTLS: p11tool lists, exports and tries keys; certtool signs with them."""

import pytest

from signer import EC, KINDS, MODULE, RSA, need


@pytest.fixture(autouse=True)
def fixture_tool():
    need("p11tool", "certtool")


def p11tool(keys, *words, shown="*", **options):
    return keys.run("p11tool", "--provider", MODULE, "--batch", *words,
                    env={"CHANCERY_KEYS": shown}, **options)


def url(key, kind="private"):
    return f"pkcs11:token=Chancery;object={key};type={kind}"


def test_lists__all_objects(keys):
    text = p11tool(keys, "--list-all", "pkcs11:token=Chancery").stdout
    for name in KINDS:
        assert f"object={name};" in text, text


def test_lists__private_keys(keys):
    text = p11tool(keys, "--list-privkeys", "pkcs11:token=Chancery").stdout
    assert text.count("type=private") == len(KINDS)


def test_exports__a_certificate(keys):
    everything = p11tool(keys, "--list-all-certs", "pkcs11:token=Chancery").stdout
    assert everything.count("type=cert") == len(KINDS) + 1, everything  # and the CA's
    text = p11tool(keys, "--export", url("r3", "cert")).stdout
    own = keys.certificate("r3").read_text().split("-----END CERTIFICATE-----")[0]
    assert own.split("-----BEGIN CERTIFICATE-----")[1].split() == \
        text.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].split()


@pytest.mark.parametrize("key", RSA + EC)  # p11tool has no test for Ed25519
def test_tries__each_key(keys, key):
    done = p11tool(keys, "--test-sign", url(key))
    assert "Verifying against public key in the token... ok" in done.stdout + done.stderr, done


@pytest.mark.parametrize("key", ["r3", "p256", "p521", "ed"])
def test_certtool__signs_a_request(keys, key):
    template = keys.file("request.tmpl", 'cn = "Of GnuTLS"\n')
    out = keys.home / "gnutls.csr"
    keys.run("certtool", "--generate-request", "--provider", MODULE, "--load-privkey", url(key),
             "--load-pubkey", url(key, "public"), "--template", template, "--outfile", out,
             env={"CHANCERY_KEYS": key})
    done = keys.run("openssl", "req", "-in", out, "-verify", "-noout")
    assert "verify OK" in done.stdout + done.stderr


def test_exec__adds_the_provider(keys):
    done = keys.exec("p11tool", "--batch", "--list-privkeys", "pkcs11:token=Chancery")
    assert "object=p256" in done.stdout
    assert "asked for no signature" in done.stderr
