# SPDX-License-Identifier: MIT
"""The commands of the documentation that are marked to be followed are followed, word for word."""

import datetime
import re
import shutil
import signal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from conftest import CHANCERY, SOURCE, environment, run

PAGES = [SOURCE / "docs/client.md", SOURCE / "docs/operations.md", SOURCE / "docs/tools/README.md"]
SERVER = "https://sign.example.org:8443"


def commands_of(walk):
    """The marked blocks of one walk, in their order."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    found = re.findall(rf"<!-- walk: {walk} -->\n```sh\n(.*?)```\n", text, re.DOTALL)
    assert found, f"no page has a walk {walk}"
    return "".join(found)


def follow(server, home, walk, text=""):
    """What a person in `home` sees who types all of it; a command that fails ends it."""
    home.mkdir(exist_ok=True)
    env = environment(HOME=str(home), CHANCERY_URL=server.url)
    env["PATH"] = f"{CHANCERY.parent}:{env['PATH']}"
    script = commands_of(walk).replace(SERVER, server.url)
    done = run("bash", "-euc", script, env=env, cwd=home, input=text, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="administrator")
def fixture_administrator(server):
    """The home of somebody who followed the first walk, and what he saw."""
    home = server.folder / "administrator"
    return home, follow(server, home, "first", server.made["enrolment_code"] + "\n")


def test_walk__from_a_code_to_a_verified_signature(administrator):
    home, seen = administrator
    assert 'You are "admin" at ' in seen
    assert "Policy 1 is in force: 1 rule" in seen
    assert "Verified OK\n" in seen
    assert "release.pem: OK\n" in seen
    assert seen.count("verified ") == 1
    # What was imported comes out as it went in.
    assert (home / "release.pem").read_text() == (home / "chain.pem").read_text()


def test_walk__what_the_pages_about_tools_begin_with(server):
    home = server.folder / "reader"
    follow(server, home, "tools", server.made["enrolment_code"] + "\n")
    run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", home / "app.tar.p7s",
        "-content", home / "app.tar", "-CAfile", home / "ca.pem", "-purpose", "any", "-out",
        home / "verified")
    assert run("openssl", "x509", "-in", home / "release.pem", "-noout", "-pubkey").stdout == \
        (home / "release.pub").read_text()


def test_walk__a_build_job_signs_by_a_token(server, administrator):
    home, _ = administrator
    follow(server, home, "token")
    job = server.folder / "job"
    job.mkdir()
    shutil.copy(home / "ci.token", job)
    shutil.copy(server.data / "tls/certificate.pem", job / "server.pem")
    (job / "app.tar").write_text("what the build made\n")
    assert "signed app.tar: key release, ecdsa-sha256" in follow(server, job, "job")
    run("openssl", "dgst", "-sha256", "-verify", home / "release.pub", "-signature",
        job / "app.tar.sig", job / "app.tar")


def write_ended_certificate(path):
    """What is in the place of a client's certificate is one that ended yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin")])
    now = datetime.datetime.utcnow()
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
                   .public_key(key.public_key()).not_valid_before(now - datetime.timedelta(8))
                   .not_valid_after(now - datetime.timedelta(1)).sign(key, hashes.SHA256()))
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                       serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption())
                     + certificate.public_bytes(serialization.Encoding.PEM))


def test_walk__the_administrator_comes_back_too_late(server, admin):
    follow(server, admin.home, "safe")
    write_ended_certificate(admin.home / ".config/chancery/default.pem")
    assert "ended" in admin.run("whoami", check=False).stderr
    assert 'You are "admin"' in follow(server, admin.home, "locked out")
    assert admin.run("whoami").stdout.startswith("principal: admin\n")
    assert not (admin.home / "code").exists()


def test_walk__the_server_has_a_new_key(server, admin):
    tls = server.data / "tls"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=localhost", "-keyout", tls / "key.pem", "-out", tls / "certificate.pem")
    server.signal(signal.SIGHUP)
    server.wait_event("server.new_tls_key")
    assert "not the pinned one" in admin.run("whoami", check=False).stderr
    shutil.copy(tls / "certificate.pem", admin.home / "server.pem")
    assert follow(server, admin.home, "pin").startswith("principal: admin\n")


def test_a_private_key_is_never_sent(administrator):
    home, _ = administrator
    (home / "both.pem").write_text((home / "leaf.pem").read_text() + (home / "ca.key").read_text())
    done = run(CHANCERY, "certs", "import", "release", "both.pem", check=False, cwd=home,
               env=environment(HOME=str(home)))
    assert done.returncode == 2
    assert done.stderr == ("chancery: there is a private key in both.pem: nothing of it was "
                           "sent\n")


def test_certs_import__what_is_no_pem_is_told(administrator):
    home, _ = administrator
    run("openssl", "x509", "-in", home / "leaf.pem", "-outform", "DER", "-out", home / "leaf.der")
    for name, text in (("leaf.der", "leaf.der is no text in UTF-8; a certificate must be PEM"),
                       ("release.csr", "there is no certificate in it: neither PEM")):
        done = run(CHANCERY, "certs", "import", "release", name, check=False, cwd=home,
                   env=environment(HOME=str(home)))
        assert done.returncode == 2
        assert text in done.stderr


def test_certs_show__none_yet(signing):
    done = signing.run("certs", "show", "k", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'key "k" has no certificate yet' in done.stderr


def test_keys_public__is_what_openssl_reads(signing):
    shown = signing.run("keys", "public", "k").stdout
    assert shown == signing.public_key("k").read_text()
    assert signing.json("keys", "public", "k") == {"pem": shown}
    assert run("openssl", "pkey", "-pubin", "-noout", input=shown).stdout == ""
