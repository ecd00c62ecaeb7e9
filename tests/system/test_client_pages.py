# SPDX-License-Identifier: MIT
"""What the build makes from the client's table: completion that completes, pages that format."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["CHANCERY_BUILD"])
COMPLETION = BUILD / "packaging/completion"


def complete(*words):
    """What bash offers for the last of the words."""
    script = f"""
        . '{COMPLETION}/chancery'
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _chancery
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-euc", script, "bash", "chancery", *words], check=True,
                          capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash__nouns_and_verbs():
    assert complete("ke") == ["keys"]
    assert {"keys", "sign", "log", "enroll"} <= set(complete(""))
    assert complete("keys", "cr") == ["create"]
    assert set(complete("log", "")) == {"list", "show", "receipt", "export", "verify"}


def test_bash__options_and_values():
    assert complete("keys", "create", "k", "--ty") == ["--type"]
    assert "--json" in complete("whoami", "--")
    assert complete("keys", "create", "k", "--type", "p2") == ["p256"]
    assert complete("sign", "--algorithm", "ed") == ["ed25519"]
    assert complete("sign", "--digest", "x") == []


def test_bash__files(tmp_path, monkeypatch):
    (tmp_path / "app file").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert complete("sign", "app") == ["app", "file"]  # one answer, split here


def test_zsh_and_fish__are_made():
    zsh = (COMPLETION / "_chancery").read_text()
    assert zsh.startswith("#compdef chancery\n")
    assert zsh.count("_arguments") > 20
    fish = (COMPLETION / "chancery.fish").read_text()
    assert all(line.startswith(("complete -c chancery ", "#")) for line in fish.splitlines())


@pytest.mark.parametrize("page", ["chancery.1", "chancery-config.5"])
def test_man__formats(page):
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", BUILD / "man" / page],
                          check=False, capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout
    text = subprocess.run(["mandoc", "-T", "man", BUILD / "man" / page], check=True,
                          capture_output=True, text=True).stdout
    assert '.SH "NAME"' in text
