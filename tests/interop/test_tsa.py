# SPDX-License-Identifier: MIT
"""The time-stamp authority of these tests is one: OpenSSL takes its stamps, and no other."""

from signer import run


def ask(tsa, folder, name, content):
    (folder / name).write_bytes(content)
    run("openssl", "ts", "-query", "-data", folder / name, "-sha256", "-cert", "-out",
        folder / f"{name}.tsq")
    return run("curl", "-sS", "--data-binary", f"@{folder / name}.tsq", "-H",
               "Content-Type: application/timestamp-query", "-o", folder / f"{name}.tsr", "-w",
               "%{http_code} %{content_type}", tsa.url).stdout


def verify(tsa, folder, name, of):
    return run("openssl", "ts", "-verify", "-in", folder / f"{name}.tsr", "-data", folder / of,
               "-CAfile", tsa.ca, check=False)


def test_stamp(tsa, tmp_path):
    assert ask(tsa, tmp_path, "one", b"one\n") == "200 application/timestamp-reply"
    assert verify(tsa, tmp_path, "one", "one").returncode == 0
    assert ask(tsa, tmp_path, "two", b"two\n").startswith("200")
    assert verify(tsa, tmp_path, "two", "one").returncode != 0


def test_stamp__not_when_it_is_down(tsa, tmp_path):
    tsa.is_down = True
    try:
        assert ask(tsa, tmp_path, "one", b"one\n").startswith("503")
    finally:
        tsa.is_down = False
