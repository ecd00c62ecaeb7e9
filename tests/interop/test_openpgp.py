# SPDX-License-Identifier: MIT
"""chancery-gpg: what it signs, gpg, gpgv and Sequoia verify; and what it refuses."""

import hashlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from openpgp import CHANCERY_GPG, break_byte, signed_digest, user_id
from signer import CHANCERY, EC, KINDS, POLICY, SOON, SOURCE, need

TEXT = b"what is signed\n- a dash\ntrailing blanks  \t\n\nno end of the last line"


@pytest.fixture(name="data")
def fixture_data(keys):
    return keys.file("pgp.in", TEXT)


def out_of(data, name):
    path = data.with_name(name)
    path.unlink(missing_ok=True)
    return path


# --- the forms ---

@pytest.mark.parametrize("key", KINDS)
def test_detached(pgp, data, key):
    signature = out_of(data, "pgp.in.sig")
    pgp.run("-u", key, "--detach-sign", data)
    assert user_id(key) in pgp.verify(signature, data)
    pgp.keys.run("gpgv", "--keyring", pgp.keys.home / f"{key}.pgp", signature, data)
    found = pgp.logged(key, signed_digest(signature.read_bytes(), TEXT))
    detail = pgp.detail(found[0])
    assert hashlib.sha256(TEXT).hexdigest() in detail and "pgp.in" in detail
    assert "value: detached" in detail
    broken = break_byte(data, 3)
    pgp.verify(signature, broken, good=False)
    assert pgp.keys.run("gpgv", "--keyring", pgp.keys.home / f"{key}.pgp", signature, broken,
                        check=False).returncode != 0


@pytest.mark.parametrize("key", KINDS)
def test_clear_signed(pgp, data, key):
    signed = out_of(data, "pgp.in.asc")
    pgp.run("-u", key, "--clear-sign", data)
    assert user_id(key) in pgp.verify(signed)
    text = signed.read_bytes()
    assert text.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA")
    pgp.verify(break_byte(signed, text.index(b"what is")), good=False)


@pytest.mark.parametrize("key", KINDS)
def test_message(pgp, data, key):
    signed = out_of(data, "pgp.in.gpg")
    pgp.run("-u", key, "--sign", data)
    assert user_id(key) in pgp.verify(signed)
    out = out_of(data, "pgp.out")
    pgp.real("--output", out, "--decrypt", signed)
    assert out.read_bytes() == TEXT
    pgp.verify(break_byte(signed, signed.read_bytes().index(b"what is")), good=False)


@pytest.mark.parametrize("content", [
    b"", b"\n", b"\n\n", b"a\r\nb \r\n", b"-----BEGIN PGP SIGNATURE-----\n\nFrom x\n",
    b"\0\1\2\xff\n", b"x" * 19900,
], ids=["empty", "blank", "two-blanks", "crlf", "armor-inside", "bytes", "longest-line"])
def test_texts_that_are_odd(pgp, content):
    pgp.keys.file("odd", content)
    for words in (["--clear-sign"], ["--sign"], ["--sign", "--armor"]):
        out_of(pgp.keys.home / "odd", "odd.signed")
        pgp.run("-u", "p256", *words, "-o", "odd.signed", "odd")
        pgp.verify("odd.signed")


def test_a_line_that_gpg_could_not_verify_is_refused(pgp):
    data = pgp.keys.file("odd", b"x" * 19901)
    out = out_of(data, "odd.asc")
    done = pgp.run("-u", "p256", "--clear-sign", data, check=False)
    assert done.returncode == 2 and "19900" in done.stderr and not out.exists()


def test_large_data_goes_through_in_parts(pgp):
    """300 MB with 200 MB of memory to have."""
    data = pgp.keys.home / "large"
    with open(data, "wb") as large:
        large.truncate(300 * 1000 * 1000)
    out = out_of(data, "large.gpg")
    try:
        limit = () if pgp.keys.server.is_loose else ("prlimit", "--data=200000000")
        pgp.keys.run(*limit, CHANCERY_GPG, "-u", "r3", "--sign", data,
                     env={"GNUPGHOME": str(pgp.home)})
        pgp.verify(out)
    finally:
        data.unlink()
        out.unlink(missing_ok=True)


def test_second_opinion(pgp, data):
    """Sequoia reads OpenPGP by itself."""
    need("sq", "sqv")
    for key in KINDS:
        signer = f"{key}.pgp"
        detached, signed = out_of(data, "pgp.in.sig"), out_of(data, "pgp.in.asc")
        pgp.run("-u", key, "-b", data)
        pgp.run("-u", key, "--clear-sign", data)
        shown = pgp.keys.run("sqv", "--keyring", signer, detached, data).stdout
        assert shown.split() == [pgp.fingerprints[key]]
        pgp.keys.run("sq", "verify", "--signer-cert", signer, signed)
        broken = break_byte(data, 3)
        assert pgp.keys.run("sqv", "--keyring", signer, detached, broken,
                            check=False).returncode != 0


# --- options ---

def test_between_pipes_as_git_calls_it(pgp):
    done = pgp.run("--status-fd=2", "-bsau", "r3", input=TEXT.decode())
    lines = done.stderr.splitlines()
    assert lines[0] == "[GNUPG:] BEGIN_SIGNING H8"
    created = lines[1].split(" ")
    assert created[:6] == ["[GNUPG:]", "SIG_CREATED", "D", "1", "8", "00"]
    assert created[7] == pgp.fingerprints["r3"] and len(lines) == 2
    signature = pgp.keys.file("piped.asc", done.stdout)
    pgp.verify(signature, pgp.keys.file("pgp.in", TEXT))


@pytest.mark.parametrize("hash_", ["SHA256", "sha384", "SHA512"])
def test_digest_algo(pgp, data, hash_):
    signature = out_of(data, "pgp.in.sig")
    for key in ("r3", "p256", "ed"):
        pgp.run("-u", key, "--digest-algo", hash_, "--yes", "-b", data)
        pgp.verify(signature, data)
        assert signature.read_bytes()[6] == {"256": 8, "384": 9, "512": 10}[hash_[-3:]]


def test_hashes_that_nobody_would_take(pgp, data):
    out = out_of(data, "pgp.in.sig")
    for key, hash_, said in (("r3", "SHA1", "nothing is signed by that"),
                             ("p384", "SHA256", "needs SHA384"), ("p521", "SHA384", "SHA512")):
        done = pgp.run("-u", key, "--digest-algo", hash_, "-b", data, check=False)
        assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not out.exists()


def test_names_of_a_key(pgp, data):
    signature = out_of(data, "pgp.in.sig")
    for key in ("p256", "ed"):
        whole = pgp.fingerprints[key]
        for name in (key, whole, whole.lower(), f"0x{whole}", f"{whole}!", whole[-16:],
                     user_id(key), f"={user_id(key)}", f"<{key}@example.org>", f"TEST {key} <"):
            pgp.run("-u", name, "--yes", "-b", data)
            assert user_id(key) in pgp.verify(signature, data)


def test_names_of_no_key_and_of_several(pgp, data):
    out = out_of(data, "pgp.in.sig")
    for name in ("nobody", "<nobody@example.org>", "0" * 40, "0" * 16, "=Test p256"):
        done = pgp.run("--status-fd", "2", "-u", name, "-b", data, check=False)
        assert done.returncode == 1 and f"INV_SGNR 9 {name}" in done.stderr, done.stderr
        assert "FAILURE sign" in done.stderr
    done = pgp.run("-u", "example.org", "-b", data, check=False)
    assert done.returncode == 1 and "several keys" in done.stderr
    done = pgp.run("-b", data, check=False)
    assert done.returncode == 2 and "--local-user" in done.stderr
    assert not out.exists()


def test_an_output_that_is_there(pgp, data):
    out = out_of(data, "pgp.in.sig")
    out.write_text("precious")
    before = pgp.keys.log()[-1]["index"]
    done = pgp.run("-u", "r3", "-b", data, check=False)
    assert done.returncode == 1 and "--yes" in done.stderr
    assert out.read_text() == "precious" and pgp.keys.log()[-1]["index"] == before
    done = pgp.run("-u", "r3", "--yes", "-o", "/dev/null", "-b", data, check=False)
    assert done.returncode == 3 and pathlib.Path("/dev/null").is_char_device()
    pgp.run("-u", "r3", "--yes", "-b", data)
    pgp.verify(out, data)


def test_an_input_that_cannot_be_read(pgp):
    for name in ("no-such-file", "."):
        done = pgp.run("-u", "r3", "-o", "x.sig", "-b", name, check=False)
        assert done.returncode != 0 and not (pgp.keys.home / "x.sig").exists()


@pytest.mark.parametrize("name", [b"two\nlines", b"\xff", b"n" * 250],
                         ids=["line-end", "no-utf8", "long"])
def test_a_name_that_no_fact_may_have(pgp, name):
    """The file is signed, and the log has no name for it, or this one."""
    path = pgp.keys.home / os.fsdecode(name)
    signature = pgp.keys.home / "odd-name.sig"
    signature.unlink(missing_ok=True)
    path.write_bytes(TEXT)
    pgp.run("-u", "p256", "-o", signature, "-b", path)
    path.unlink()
    pgp.verify(signature, pgp.keys.file("pgp.in", TEXT))


def test_reading_is_the_real_gpg_s(pgp, data):
    """Also where chancery-gpg itself stands as `gpg` in PATH."""
    out_of(data, "pgp.in.sig")
    pgp.run("-u", "r3", "-b", data)
    stand_in = pgp.keys.home / "stand-in"
    stand_in.mkdir(exist_ok=True)
    if not (stand_in / "gpg").exists():
        (stand_in / "gpg").symlink_to(CHANCERY_GPG)
    path = f"{stand_in}:/usr/bin:/bin"
    done = pgp.keys.run(stand_in / "gpg", "--status-fd=1", "--verify", "pgp.in.sig", data,
                        env={"GNUPGHOME": str(pgp.home), "PATH": path})
    assert "[GNUPG:] GOODSIG" in done.stdout
    done = pgp.keys.run(stand_in / "gpg", "--verify", "pgp.in.sig", data, check=False,
                        env={"PATH": str(stand_in)})
    assert done.returncode == 1 and "Debian: gpg" in done.stderr
    script = pgp.keys.home / "script"
    script.mkdir(exist_ok=True)
    (script / "gpg").write_text(f'#!/bin/sh\nexec {CHANCERY_GPG} "$@"\n')
    (script / "gpg").chmod(0o755)
    for path, said in ((f"{script}:/usr/bin:/bin", "[GNUPG:] GOODSIG"), (script, "")):
        done = pgp.keys.run(script / "gpg", "--status-fd=1", "--verify", "pgp.in.sig", data,
                            check=False, env={"GNUPGHOME": str(pgp.home), "PATH": str(path)})
        assert said in done.stdout and (done.returncode == 0) == bool(said)
    done = pgp.run("--export-secret-keys", check=False)
    assert done.returncode == 2 and "--export-secret-keys" in done.stderr


# --- user ids ---

def test_list_keys(pgp):
    shown = pgp.run("--list-keys").stdout
    for key in KINDS:
        assert f"      {pgp.fingerprints[key]}\nuid   {user_id(key)}\nkey   {key}\n" in shown
    real = pgp.real("--with-colons", "--list-keys").stdout
    ours = pgp.run("--with-colons", "--list-keys").stdout
    # Type, length, algorithm, key id, creation; fingerprint; user id.
    for line in ours.splitlines():
        fields = line.split(":")
        same = {"pub": (0, 2, 3, 4, 5), "fpr": (0, 9), "uid": (0, 9)}[fields[0]]
        assert any([f[i] for i in same] == [fields[i] for i in same]
                   for f in (r.split(":") for r in real.splitlines()) if f[0] == fields[0]), line
    secret = pgp.run("--with-colons", "--list-secret-keys", "r3").stdout
    assert secret.startswith("sec:u:3072:1:")


def test_a_user_id_is_given_once(pgp):
    before = pgp.run("--armor", "--export", "p256").stdout
    done = pgp.run("--quick-certify", "p256", "Another", check=False)
    assert done.returncode == 1 and user_id("p256") in done.stderr
    assert pgp.run("--armor", "--export", "p256").stdout == before
    assert "value: certification" in "".join(
        pgp.detail(e) for e in pgp.keys.log(key="p256") if e["kind"] == "sign.intent")
    for wrong in ("", "x" * 256, "two\nlines"):
        done = pgp.run("--yes", "--quick-certify", "p256", wrong, check=False)
        assert done.returncode == 2, wrong


def test_another_machine(pgp, data):
    """It has the same fingerprints by itself, and the user ids by import."""
    folder = pgp.keys.home / "elsewhere"
    env = {"CHANCERY_OPENPGP": str(folder)}
    done = pgp.run("--export", "r3", env=env, check=False)
    assert done.returncode == 1 and "--quick-certify" in done.stderr
    pgp.run("-u", pgp.fingerprints["r3"], "--yes", "-b", data, env=env)
    pgp.verify(f"{data}.sig", data)
    pgp.run("--import", "r3.pgp", env=env)
    pgp.run("--import", env=env, input=pgp.run("--armor", "--export", "ed").stdout)
    for key in ("r3", "ed"):
        assert pgp.run("--armor", "--export", key, env=env).stdout == \
            pgp.run("--armor", "--export", key).stdout
    pgp.run("-u", "<r3@example.org>", "--yes", "-b", data, env=env)
    done = pgp.run("--import", "r3.pgp", env=env, check=False)
    assert done.returncode == 1  # it is there


def test_certificates_that_are_not_ours(pgp):
    """Hostile ones are refused, whether imported or put into the folder."""
    folder = pgp.keys.home / "pgp-hostile"
    folder.mkdir()
    env = {"CHANCERY_OPENPGP": str(folder)}
    good = pathlib.Path(pgp.keys.home / "p256.pgp").read_bytes()
    pgp.real("--passphrase", "", "--quick-gen-key", "Mallory", "ed25519", "sign", "never")
    foreign = pgp.keys.home / "mallory.pgp"
    pgp.real("--yes", "-o", foreign, "--export", "Mallory")
    for content in (b"", b"\x99", good[:-1], good + b"\0", good * 2, os.urandom(9000),
                    b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", foreign.read_bytes()):
        done = pgp.run("--import", pgp.keys.file("bad.pgp", content), env=env, check=False)
        assert done.returncode in (1, 2), done.stderr
    assert not list(folder.iterdir())
    place = folder / f"{pgp.fingerprints['p256']}.asc"
    at = good.index(b"Test p256")
    place.write_bytes(good[:at] + b"Tess" + good[at + 4:])
    for words in (["--export", "p256"], ["-u", "Tess p256", "-o", "-", "-b", "p256.pgp"]):
        done = pgp.run(*words, env=env, check=False)
        assert done.returncode == 1 and "is not good" in done.stderr, done.stderr
        assert done.stdout == ""


def test_manual_page(pgp):
    """It is well-formed, and has every option of --help."""
    need("mandoc")
    page = SOURCE / "man/chancery-gpg.1"
    pgp.keys.run("mandoc", "-T", "lint", "-W", "warning", page)
    text = page.read_text(encoding="utf-8")
    options = re.findall(r"^  --([a-z-]+)", pgp.run("--help").stdout, re.MULTILINE)
    assert len(options) >= 20
    for option in options:
        assert f"Fl -{option}" in text, option


# --- refused, interrupted, at once ---

DENY = POLICY + """\
  - name: no-openpgp-by-r4
    effect: deny
    match: {key: r4, application: {path: "*/chancery-gpg"}}
"""


def test_policy_refuses(pgp, data):
    out = out_of(data, "pgp.in.sig")
    pgp.keys.admin.policy(DENY)
    try:
        done = pgp.run("--status-fd=2", "-u", "r4", "-b", data, check=False)
        bare = pgp.run("-u", "r4", "-o", "-", "--clear-sign", data, check=False)
    finally:
        pgp.keys.admin.policy(POLICY)
    assert done.returncode == 1 and not out.exists()
    assert "key r4: refused by rule no-openpgp-by-r4" in done.stderr
    assert "[GNUPG:] FAILURE sign" in done.stderr and "SIG_CREATED" not in done.stderr
    assert bare.returncode == 1 and bare.stdout == ""  # nothing of the text went out before


def test_receipts(pgp, data):
    folder = pgp.keys.home / "pgp-receipts"
    folder.mkdir()
    pgp.run("-u", "r3", "--yes", "-b", data, env={"CHANCERY_RECEIPTS": str(folder)})
    digest = signed_digest(pathlib.Path(f"{data}.sig").read_bytes(), TEXT)
    outcome = pgp.logged("r3", digest)[-1]
    assert [p.name for p in folder.iterdir()] == [f"{outcome['index']}.receipt"]


def test_api_token(pgp, data):
    """What a build job has; without the scope it is told which one it lacks."""
    admin = pgp.keys.admin
    admin.run("users", "create", "pgp-ci")
    server = {"CHANCERY_URL": admin.url,
              "CHANCERY_CA": str(pgp.keys.server.data / "tls/certificate.pem")}
    for scopes, code in ((["sign"], 1), (["sign", "keys.show"], 0)):
        name = f"token-{len(scopes)}"
        admin.run("users", "add-token", "pgp-ci", *(w for s in scopes for w in ("--scope", s)),
                  "--days", "1", "--out", name)
        done = pgp.run("-u", "r3", "--yes", "-b", data, check=False,
                       env={**server, "CHANCERY_TOKEN_FILE": name})
        assert done.returncode == code, done.stderr
    assert "token" not in done.stderr
    pgp.verify(f"{data}.sig", data)


def test_a_key_that_is_disabled(pgp, data):
    pgp.keys.admin.run("keys", "create", "tired", "--type", "p256")
    pgp.keys.admin.run("keys", "disable", "tired")
    done = pgp.run("-u", "tired", "-b", data, check=False)
    assert done.returncode == 1 and "disabled" in done.stderr


def test_a_key_without_a_certificate_of_x509(pgp, data):
    """OpenPGP has its own: neither the lack nor the end of another is of any matter."""
    pgp.keys.admin.run("keys", "create", "bare-pgp", "--type", "p256")
    pgp.run("--quick-certify", "bare-pgp", "Bare <bare@example.org>")
    pgp.keys.file("bare.pgp", pgp.bytes("--export", "bare-pgp"))
    pgp.real("--import", "bare.pgp")
    pgp.run("-u", "bare-pgp", "--yes", "-b", data)
    assert "Bare <bare@example.org>" in pgp.verify(f"{data}.sig", data)
    pgp.keys.admin.run("keys", "disable", "bare-pgp")  # others count the keys that sign


def test_killed_half_way(pgp):
    place = pgp.keys.home / "killed"
    place.mkdir()
    with subprocess.Popen([str(CHANCERY_GPG), "--status-fd", "2", "-u", "r3", "--sign", "-o",
                           str(place / "out.gpg")], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=pgp.env(), cwd=pgp.keys.home) as process:
        assert b"BEGIN_SIGNING" in process.stderr.readline()
        process.stdin.write(os.urandom(1000000))  # more than a pipe holds: it reads and writes
        process.stdin.flush()
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=SOON) == -signal.SIGKILL
        process.stdin.close()
    assert not (place / "out.gpg").exists()


def test_many_at_once(pgp, data):
    """On one key all are signed; of those that want one name, one gets it."""
    out = out_of(data, "at-once.sig")
    jobs = []
    for n in range(8):
        target = out if n % 2 else out_of(data, f"at-once-{n}.sig")
        jobs.append(subprocess.Popen([str(CHANCERY_GPG), "-u", "p256", "-o", str(target), "-b",
                                      str(data)], env=pgp.env(), stderr=subprocess.DEVNULL))
    codes = [job.wait(timeout=SOON) for job in jobs]
    assert codes[::2] == [0] * 4 and sorted(codes[1::2]) == [0, 1, 1, 1]
    for target in (out, *(data.with_name(f"at-once-{n}.sig") for n in range(0, 8, 2))):
        pgp.verify(target, data)


def test_no_server(pgp, data):
    out = out_of(data, "pgp.in.sig")
    done = pgp.run("-u", "r3", "-b", data, check=False,
                   env={"CHANCERY_URL": "https://127.0.0.1:9", "CHANCERY_TOKEN": "x"})
    assert done.returncode == 3 and not out.exists()


def test_by_exec_and_with_a_reason(pgp, data):
    out_of(data, "pgp.in.sig")
    done = pgp.keys.exec(CHANCERY_GPG, "-u", "r3", "--yes", "-b", data,
                         options=("--reason", "release 1"))
    assert "chancery: signed: key r3, rsa-pkcs1-sha256" in done.stderr
    found = pgp.logged("r3", signed_digest((data.parent / "pgp.in.sig").read_bytes(), TEXT))
    assert "release 1" in pgp.detail(found[0])
    assert f"value: {CHANCERY.resolve()}" in pgp.detail(found[0])  # who started it


def test_elliptic_signatures_of_any_length(pgp, data):
    """Numbers of a signature lose their leading zeros; gpg must take each."""
    for key in (*EC, "ed"):
        for n in range(12):
            pgp.keys.file("pgp.in", TEXT + bytes([n]))
            pgp.run("-u", key, "--yes", "-b", data)
            pgp.verify(f"{data}.sig", data)
