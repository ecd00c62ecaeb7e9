# SPDX-License-Identifier: MIT
"""Our OpenSSL provider: OpenSSL's commands with keys and certificates named chancery:NAME, each
held against the command's own verifier, with one byte broken, and found in the log."""

import concurrent.futures
import datetime
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import cms
from evidence import told
from signer import BUILD, CHANCERY, EC, POLICY, RSA, SOON

PROVIDERS = ["-provider-path", BUILD / "src/provider", "-provider", "default", "-provider",
             "chancery"]
FROZEN = POLICY + """\
  - name: frozen
    effect: require
    requirement: reason
    match: {key: p256}
"""


@pytest.fixture(name="data")
def fixture_data(keys):
    return keys.file("provider.in", f"what the provider signs in {os.urandom(8).hex()}\n")


def broken(path, at=-2):
    """The same file with one byte broken."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    other = path.with_name(f"{path.name}.broken")
    other.write_bytes(content)
    return other


def refuses(keys, *words):
    done = keys.run(*words, check=False)
    assert done.returncode != 0, done
    return done


# --- each command ---

@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("key", RSA + EC)
def test_dgst(keys, data, key, hash_name):
    out = keys.home / "provider.sig"
    done = keys.exec("openssl", "dgst", f"-{hash_name}", "-sign", f"chancery:{key}", "-out", out,
                     data)
    keys.verify(key, f"{'rsa-pkcs1' if key in RSA else 'ecdsa'}-{hash_name}", data, out)
    refuses(keys, "openssl", "dgst", f"-{hash_name}", "-verify", keys.public_key(key),
            "-signature", out, broken(data))
    entry = keys.logged(done, key, "openssl")
    digest = hashlib.new(hash_name, data.read_bytes()).hexdigest()
    assert entry["index"] in [row["index"] for row in keys.log(digest=digest)]


def test_dgst__pss(keys, data):
    out = keys.home / "provider.sig"
    done = keys.exec("openssl", "dgst", "-sha384", "-sign", "chancery:r3", "-sigopt",
                     "rsa_padding_mode:pss", "-out", out, data)
    keys.verify("r3", "rsa-pss-sha384", data, out)
    keys.logged(done, "r3", "openssl")


@pytest.mark.parametrize("key", RSA + EC)
def test_pkeyutl(keys, data, key):
    out, digest = keys.home / "provider.sig", keys.home / "provider.digest"
    digest.write_bytes(hashlib.sha256(data.read_bytes()).digest())
    done = keys.exec("openssl", "pkeyutl", "-sign", "-inkey", f"chancery:{key}", "-in", digest,
                     "-pkeyopt", "digest:sha256", "-out", out)
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys.public_key(key), "-pkeyopt",
             "digest:sha256", "-sigfile", out, "-in"]
    assert "Successfully" in keys.run(*check, digest).stdout
    refuses(keys, *check, broken(digest))
    keys.logged(done, key, "openssl")


def test_pkeyutl__ed25519(keys, data):
    """No engine can do this."""
    out = keys.home / "provider.sig"
    done = keys.exec("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "chancery:ed", "-in", data,
                     "-out", out)
    keys.verify("ed", "ed25519", data, out)
    refuses(keys, "openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey",
            keys.public_key("ed"), "-sigfile", out, "-in", broken(data))
    keys.logged(done, "ed", "openssl")


@pytest.mark.parametrize("key", RSA + EC)
def test_cms(keys, data, key):
    """The certificate comes by the same URI."""
    out = keys.home / "provider.p7s"
    done = keys.exec("openssl", "cms", "-sign", "-binary", "-signer", f"chancery:{key}", "-inkey",
                     f"chancery:{key}", "-in", data, "-outform", "DER", "-out", out)
    check = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", out, "-CAfile",
             keys.home / "ca.pem", "-purpose", "any", "-out", "/dev/null", "-content"]
    assert "successful" in keys.run(*check, data).stderr
    refuses(keys, *check, broken(data))
    told(keys, done, key, "openssl", cms.Signed(out.read_bytes()).digests()[0])


def test_cms__pss(keys, data):
    out = keys.home / "provider.p7s"
    keys.exec("openssl", "cms", "-sign", "-binary", "-signer", "chancery:r3", "-inkey",
              "chancery:r3", "-keyopt", "rsa_padding_mode:pss", "-in", data, "-outform", "DER",
              "-out", out)
    keys.run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", out, "-CAfile",
             keys.home / "ca.pem", "-purpose", "any", "-out", "/dev/null", "-content", data)


def test_smime(keys, data):
    out = keys.home / "provider.eml"
    done = keys.exec("openssl", "smime", "-sign", "-signer", "chancery:r3", "-inkey",
                     "chancery:r3", "-in", data, "-out", out)
    check = ["openssl", "smime", "-verify", "-CAfile", keys.home / "ca.pem", "-purpose", "any",
             "-out", "/dev/null", "-in"]
    assert "successful" in keys.run(*check, out).stderr
    text = out.read_bytes()
    refuses(keys, *check, broken(out, text.index(b"what the provider")))
    keys.logged(done, "r3", "openssl")


@pytest.mark.parametrize("key", ["r3", "p384", "ed"])
def test_req(keys, key):
    out = keys.home / "provider.csr"
    done = keys.exec("openssl", "req", "-new", "-key", f"chancery:{key}", "-subj",
                     "/CN=Of the provider", "-outform", "DER", "-out", out)
    check = ["openssl", "req", "-inform", "DER", "-verify", "-noout", "-in"]
    shown = keys.run(*check, out)
    assert "verify OK" in shown.stdout + shown.stderr
    shown = keys.run(*check, broken(out, 30), check=False)
    assert "verify OK" not in shown.stdout + shown.stderr
    keys.logged(done, key, "openssl")


def make_request(keys):
    request, key = keys.home / "leaf.csr", keys.home / "leaf.key"
    keys.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", key, "-subj", "/CN=leaf", "-out", request)
    return request


def test_x509__as_a_ca(keys):
    root, leaf = keys.home / "root.pem", keys.home / "leaf.pem"
    keys.exec("openssl", "req", "-x509", "-new", "-key", "chancery:p256", "-subj", "/CN=Root",
              "-out", root)
    done = keys.exec("openssl", "x509", "-req", "-in", make_request(keys), "-CA", root, "-CAkey",
                     "chancery:p256", "-set_serial", "1", "-days", "1", "-outform", "DER", "-out",
                     leaf)
    assert "OK" in keys.run("openssl", "verify", "-CAfile", root, leaf).stdout
    refuses(keys, "openssl", "verify", "-CAfile", root, broken(leaf))
    keys.logged(done, "p256", "openssl")


def issue(keys, key, days, usage=None):
    """A certificate of another CA for a key of the server, valid from now on or, if `days` is
    negative, no more; and the CA's. It is no certificate that the server knows."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Another CA")])
    ca = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    day = datetime.timedelta(days=1)

    def build(subject, public):
        return x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(
            public).serial_number(x509.random_serial_number()).not_valid_before(now - 9 * day)

    public = serialization.load_pem_public_key(keys.public_key(key).read_bytes())
    leaf = build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key)]), public)
    leaf = leaf.not_valid_after(now + days * day).add_extension(
        x509.BasicConstraints(False, None), critical=True)
    if usage is not None:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    root = build(name, ca.public_key()).not_valid_after(now + 9 * day).add_extension(
        x509.BasicConstraints(True, None), critical=True)
    made = [c.sign(ca, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            for c in (leaf, root)]
    return keys.file("issued.pem", made[0]), keys.file("issued-ca.pem", made[1])


def test_ts__takes_a_file_alone(keys, data):
    """OpenSSL 3.0's time-stamp authority opens its key as a file, by whatever name: when this
    fails, docs/tools/openssl.md may say more."""
    conf = keys.file("tsa.cnf", "[tsa]\ndefault_tsa = one\n[one]\nserial = tsa.serial\n"
                     "default_policy = 1.2.3.4\ndigests = sha256\nsigner_digest = sha256\n")
    keys.file("tsa.serial", "01\n")
    certificate, _ = issue(keys, "r3", 1, usage=ExtendedKeyUsageOID.TIME_STAMPING)
    query = keys.home / "ts.query"
    keys.run("openssl", "ts", "-query", "-data", data, "-sha256", "-out", query)
    done = keys.exec("openssl", "ts", "-reply", "-config", conf, "-queryfile", query, "-signer",
                     certificate, "-inkey", "chancery:r3", "-out", "ts.reply", check=False)
    assert done.returncode != 0
    assert "calling fopen(chancery:r3" in done.stderr


# --- without exec ---

@pytest.mark.parametrize("order", [("default", "chancery"), ("chancery", "default")])
def test_without_exec(keys, data, order):
    out = keys.home / "provider.sig"
    words = [word for name in order for word in ("-provider", name)]
    keys.run("openssl", "dgst", *PROVIDERS[:2], *words, "-sha256", "-sign", "chancery:p256",
             "-out", out, data)
    keys.verify("p256", "ecdsa-sha256", data, out)


def test_storeutl__lists_keys(keys):
    shown = keys.run("openssl", "storeutl", *PROVIDERS, "chancery:").stdout
    assert "chancery:ed\n" in shown
    assert "chancery:r3\n" in shown


def test_the_private_key_does_not_come_out(keys):
    done = keys.run("openssl", "pkey", *PROVIDERS, "-in", "chancery:p256", check=False)
    assert "PRIVATE" not in done.stdout
    assert done.returncode != 0
    public = keys.run("openssl", "pkey", *PROVIDERS, "-in", "chancery:p256", "-pubout").stdout
    assert public.strip() == keys.public_key("p256").read_text().strip()


# --- what goes wrong ---

@pytest.fixture(name="frozen")
def fixture_frozen(keys):
    keys.admin.policy(FROZEN)
    yield keys
    keys.admin.policy(POLICY)


def test_refused_by_policy(frozen, data):
    """OpenSSL's own error queue says why, with the rule, and exec does; the file is not there."""
    out = frozen.home / "provider.never"
    words = ["openssl", "cms", "-sign", "-binary", "-signer", "chancery:p256", "-inkey",
             "chancery:p256", "-in", data, "-outform", "DER", "-out", out]
    done = frozen.exec(*words, check=False)
    assert done.returncode != 0
    assert re.search("error:[0-9A-F]+:chancery::.*frozen", done.stderr), done.stderr
    assert "REFUSED: key p256, ecdsa-sha256" in done.stderr
    assert not out.exists() or out.stat().st_size == 0
    done = frozen.exec(*words, options=("--reason", "a release"))
    frozen.logged(done, "p256", "openssl")


def test_a_certificate_that_expired(keys, data):
    """The key signs: what its certificate is good for, the verifier says."""
    certificate, ca = issue(keys, "p256", -1)
    out = keys.home / "expired.p7s"
    keys.exec("openssl", "cms", "-sign", "-binary", "-signer", certificate, "-inkey",
              "chancery:p256", "-in", data, "-outform", "DER", "-out", out)
    done = refuses(keys, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", out,
                   "-CAfile", ca, "-purpose", "any", "-content", data, "-out", "/dev/null")
    assert "certificate has expired" in done.stderr


def test_a_key_that_is_not_there(keys, data):
    done = keys.exec("openssl", "dgst", "-sha256", "-sign", "chancery:none", "-out", "/dev/null",
                     data, check=False)
    assert done.returncode != 0
    assert 'there is no key "none"' in done.stderr


def test_two_at_once(keys, data):
    """And more: each with a helper of its own, and all of them one key."""
    def sign(i):
        out = keys.home / f"at-once.{i}"
        keys.exec("openssl", "dgst", "-sha256", "-sign", "chancery:p256", "-out", out, data)
        keys.verify("p256", "ecdsa-sha256", data, out)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(sign, range(8)))


def test_the_server_is_restarted(keys, data):
    out = keys.home / "provider.sig"
    keys.restart()
    keys.exec("openssl", "dgst", "-sha256", "-sign", "chancery:p256", "-out", out, data)
    keys.verify("p256", "ecdsa-sha256", data, out)


@pytest.fixture(name="half_way")
def fixture_half_way(keys, data):
    """openssl that has its key and waits for what it is to sign: it opens its file after that, and
    a pipe is open when both sides have opened it."""
    pipe, out = keys.home / "provider.pipe", keys.home / "provider.half"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    started = subprocess.Popen(
        [CHANCERY, "exec", "--", "openssl", "dgst", "-sha256", "-sign", "chancery:p256", "-out",
         out, pipe], cwd=keys.home, env=keys.env(), stderr=subprocess.PIPE, text=True)
    with open(pipe, "wb") as to:
        yield started, to, out
    if started.poll() is None:
        started.kill()
    started.communicate()


def test_the_server_is_restarted_while_a_tool_has_its_key(keys, data, half_way):
    started, to, out = half_way
    keys.restart()
    to.write(data.read_bytes())
    to.close()
    _, err = started.communicate(timeout=SOON)
    assert started.returncode == 0, err
    keys.verify("p256", "ecdsa-sha256", data, out)


def openssl_of(pid):
    """The child of exec that is openssl; others may end meanwhile."""
    wanted = os.path.realpath(shutil.which("openssl"))
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if os.readlink(f"/proc/{child}/exe") == wanted:
                return int(child)
        except OSError:
            continue
    raise AssertionError("exec runs no openssl")


def test_a_tool_is_killed_half_way(keys, half_way):
    started, _, out = half_way
    before = keys.log(key="p256")[-1]["index"]
    os.kill(openssl_of(started.pid), signal.SIGKILL)
    _, err = started.communicate(timeout=SOON)
    assert started.returncode == 128 + signal.SIGKILL, err
    assert "asked for no signature" in err
    assert keys.log(key="p256")[-1]["index"] == before
    assert not out.exists() or out.stat().st_size == 0


def test_an_installation_that_was_moved(keys, tmp_path):
    """exec has openssl load the provider that the environment names."""
    moved = shutil.copy(BUILD / "src/provider/chancery.so", tmp_path)
    words = ["openssl", "pkey", "-pubin", "-in", "chancery:p256", "-noout"]
    keys.exec(*words, env={"CHANCERY_PROVIDER": str(moved)})
    done = keys.exec(*words, env={"CHANCERY_PROVIDER": str(tmp_path / "none.so")}, check=False)
    assert done.returncode != 0 and "scheme=chancery" in done.stderr, done.stderr
