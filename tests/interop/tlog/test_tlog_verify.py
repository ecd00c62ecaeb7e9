# SPDX-License-Identifier: MIT
"""The independent verifier itself: it takes the log that Tessera wrote, and no changed one."""

import base64
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
GO = "/usr/bin/go"  # Debian's, whose packages of x/mod lie under GOPATH
GO_ENV = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


@pytest.fixture(scope="session", name="verifier")
def fixture_verifier(tmp_path_factory):
    if not pathlib.Path(GO).exists():
        pytest.skip("golang-go is not installed")
    folder = tmp_path_factory.mktemp("go")
    subprocess.run([GO, "build", "-o", str(folder / "verify"), str(HERE / "verify.go")], check=True,
                   env={**os.environ, **GO_ENV, "GOCACHE": str(folder / "cache")})
    return folder / "verify"


@pytest.fixture(name="log")
def fixture_log(tmp_path):
    samples = os.environ.get("CHANCERY_SAMPLES")
    if not samples or not pathlib.Path(samples, "tlog").is_dir():
        pytest.skip("samples folder absent")
    shutil.copytree(pathlib.Path(samples, "tlog/tessera-log"), tmp_path / "log")
    return tmp_path / "log"


def verify(verifier, *arguments):
    return subprocess.run([str(verifier), *map(str, arguments)], check=False,
                          capture_output=True, text=True)


def receipt(log, size, index, hashes):
    """A receipt for an entry of the log as it was at `size`."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}"]
    lines += [base64.b64encode(h).decode() for h in hashes]
    path = log.parent / "entry.tlog-proof"
    path.write_text("\n".join(lines) + "\n\n" + (log / f"checkpoint.{size}").read_text())
    return path


def leaf_hash(log, index):
    return (log / "tile/0/000.p/15").read_bytes()[32 * index:32 * index + 32]


def test_log_is_verified(verifier, log):
    done = verify(verifier, log, VKEY)
    assert done.returncode == 0, done.stderr
    assert "15 entries, 1 tiles and 0 receipts" in done.stdout


def test_receipts_are_verified(verifier, log):
    assert verify(verifier, log, VKEY, receipt(log, 1, 0, [])).returncode == 0
    assert verify(verifier, log, VKEY, receipt(log, 2, 1, [leaf_hash(log, 0)])).returncode == 0


def test_wrong_receipts_are_refused(verifier, log):
    for size, index, hashes in [(2, 0, [leaf_hash(log, 0)]), (2, 1, []), (1, 1, []), (1, 99, []),
                                (2, 1, [leaf_hash(log, 0)[:31]])]:
        assert verify(verifier, log, VKEY, receipt(log, size, index, hashes)).returncode == 1


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000.p/15", "tile/entries/000.p/15"])
def test_any_changed_byte_is_found(verifier, log, name):
    path = log / name
    whole = path.read_bytes()
    for i in range(0, len(whole), 11):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1:])
        assert verify(verifier, log, VKEY).returncode == 1, f"byte {i} of {name}"
    path.write_bytes(whole[:-1])
    assert verify(verifier, log, VKEY).returncode == 1


def test_another_key_is_refused(verifier, log):
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert verify(verifier, log, other).returncode == 1
