# SPDX-License-Identifier: MIT
"""libp11's engine: OpenSSL's commands, osslsigncode and others with every key type."""

import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import cms
import tiny_pe
from evidence import told
from signer import EC, MODULE, RSA, need

ENGINE = next(iter(pathlib.Path("/usr/lib").glob("*/engines-3/pkcs11.so")), None)
TOOLS_KEYS = RSA + EC  # an engine has no way to sign with Ed25519


@pytest.fixture(autouse=True)
def fixture_engine():
    if ENGINE is None:
        pytest.skip("libengine-pkcs11-openssl is not installed")


def uri(key, kind="private"):
    return f"pkcs11:object={key};type={kind}"


def text(keys, content="what OpenSSL signs\n"):
    return keys.file("openssl.in", content)


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("key", TOOLS_KEYS)
def test_dgst(keys, key, hash_name):
    data, out = text(keys), keys.home / "openssl.sig"
    keys.exec("openssl", "dgst", f"-{hash_name}", "-sign", uri(key), "-out", out, data)
    keys.verify(key, f"{'rsa-pkcs1' if key in RSA else 'ecdsa'}-{hash_name}", data, out)


@pytest.mark.parametrize("key", RSA)
def test_dgst__pss(keys, key):
    data, out = text(keys), keys.home / "openssl.sig"
    keys.exec("openssl", "dgst", "-sha256", "-sign", uri(key), "-sigopt", "rsa_padding_mode:pss",
              "-sigopt", "rsa_pss_saltlen:digest", "-out", out, data)
    keys.verify(key, "rsa-pss-sha256", data, out)


@pytest.mark.parametrize("key", TOOLS_KEYS)
def test_pkeyutl(keys, key):
    """A digest that was made elsewhere."""
    data, out = text(keys), keys.home / "openssl.sig"
    digest = keys.home / "openssl.digest"
    keys.run("openssl", "dgst", "-sha256", "-binary", "-out", digest, data)
    keys.exec("openssl", "pkeyutl", "-sign", "-inkey", uri(key), "-in", digest, "-pkeyopt",
              "digest:sha256", "-out", out)
    keys.verify(key, f"{'rsa-pkcs1' if key in RSA else 'ecdsa'}-sha256", data, out)


@pytest.mark.parametrize("key", TOOLS_KEYS)
def test_cms(keys, key):
    data, out = text(keys), keys.home / "openssl.p7s"
    done = keys.exec("openssl", "cms", "-sign", "-binary", "-md", "sha256", "-signer",
                     keys.certificate(key), "-inkey", uri(key), "-in", data, "-outform", "DER",
                     "-out", out)
    told(keys, done, key, "openssl", cms.Signed(out.read_bytes()).digests()[0])
    words = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", out, "-CAfile",
             keys.home / "ca.pem", "-purpose", "any", "-out", "/dev/null", "-content"]
    assert "successful" in keys.run(*words, data).stderr
    changed = keys.file("openssl.changed", data.read_bytes()[:-2] + b"?\n")
    assert keys.run(*words, changed, check=False).returncode != 0


def test_smime(keys):
    data, out = text(keys), keys.home / "openssl.eml"
    keys.exec("openssl", "smime", "-sign", "-signer", keys.certificate("r3"), "-inkey", uri("r3"),
              "-in", data, "-out", out)
    done = keys.run("openssl", "smime", "-verify", "-in", out, "-CAfile", keys.home / "ca.pem",
                    "-purpose", "any", "-out", "/dev/null")
    assert "successful" in done.stderr


@pytest.mark.parametrize("key", ["r3", "p384"])
def test_req(keys, key):
    """It needs the configuration that OpenSSL has without us as well."""
    out = keys.home / "openssl.csr"
    keys.exec("openssl", "req", "-new", "-key", uri(key), "-subj", "/CN=Of the engine", "-out",
              out)
    done = keys.run("openssl", "req", "-in", out, "-verify", "-noout")
    assert "verify OK" in done.stdout + done.stderr


def test_x509__as_a_ca(keys):
    request = keys.home / "openssl.csr"
    keys.run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout",
             keys.home / "leaf.key", "-subj", "/CN=leaf", "-out", request)
    out = keys.home / "leaf.pem"
    keys.exec("openssl", "x509", "-req", "-in", request, "-CA", keys.certificate("p256"),
              "-CAkey", uri("p256"), "-set_serial", "1", "-days", "1", "-out", out)
    leaf = x509.load_pem_x509_certificate(out.read_bytes())
    signer = x509.load_pem_x509_certificate(keys.certificate("p256").read_bytes())
    signer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes,
                               ec.ECDSA(leaf.signature_hash_algorithm))


def plain_environment(keys, shown):
    """As libp11's own pages have it: no exec, a configuration by hand."""
    conf = keys.file("engine.cnf", f"""\
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
dynamic_path = {ENGINE}
MODULE_PATH = {MODULE}
init = 0
""")
    return {"OPENSSL_CONF": str(conf), **({"CHANCERY_KEYS": shown} if shown else {})}


def engine_sign(keys, key, shown):
    data, out = text(keys), keys.home / "openssl.sig"
    return keys.run("openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256",
                    "-sign", uri(key), "-out", out, data, env=plain_environment(keys, shown),
                    check=False)


def test_without_exec(keys):
    assert engine_sign(keys, "r3", None).returncode == 0


def test_an_ed25519_object_breaks_libp11(keys):
    """Why they are hidden: libp11 0.4.12 gives up on all keys of a token that has one of a type
    that it does not know, whichever was asked for. When this fails, they may be shown to it."""
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}",
                              "libengine-pkcs11-openssl"], check=False, capture_output=True,
                             text=True).stdout
    if not version.startswith("0.4.12"):
        pytest.skip(f"libp11 {version} is another")
    assert engine_sign(keys, "r3", "r3,p256").returncode == 0
    for key in ("r3", "p256"):
        done = engine_sign(keys, key, "r3,p256,ed")
        assert done.returncode != 0, done


@pytest.mark.parametrize("key", ["r3", "p256"])
def test_osslsigncode(keys, key):
    need("osslsigncode")
    keys.file("app.exe", tiny_pe.tiny_pe())
    out = keys.home / "app-signed.exe"
    out.unlink(missing_ok=True)
    done = keys.exec("osslsigncode", "sign", "-pkcs11cert", uri(key, "cert"), "-key", uri(key),
                     "-h", "sha256", "-n", "An app", "-in", "app.exe", "-out", out)
    assert f"chancery: signed: key {key}, " in done.stderr
    words = ["osslsigncode", "verify", "-CAfile", keys.home / "ca.pem", "-in"]
    done = keys.run(*words, out)
    assert "Signature verification: ok" in done.stdout
    changed = bytearray(out.read_bytes())
    changed[0x200] ^= 1  # its first instruction
    changed = keys.file("app-changed.exe", bytes(changed))
    assert keys.run(*words, changed, check=False).returncode != 0


def test_ssh_keygen__certifies_by_a_ca_key(keys):
    need("ssh-keygen")
    ca = keys.run("ssh-keygen", "-i", "-m", "PKCS8", "-f", keys.public_key("r3")).stdout
    keys.file("ca.ssh.pub", ca)
    for path in keys.home.glob("user_key*"):
        path.unlink()
    keys.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "user_key")
    done = keys.exec("ssh-keygen", "-s", "ca.ssh.pub", "-I", "somebody", "-n", "root",
                     "user_key.pub")
    assert "chancery: signed: key r3, rsa-pkcs1-sha512" in done.stderr
    shown = keys.run("ssh-keygen", "-L", "-f", "user_key-cert.pub").stdout
    assert "Key ID: \"somebody\"" in shown


def test_a_key_that_is_no_uri_is_none_of_ours(keys):
    done = keys.exec("openssl", "pkey", "-pubin", "-in", keys.public_key("p256"), "-noout")
    assert "asked for no signature" in done.stderr
