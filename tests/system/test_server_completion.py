# SPDX-License-Identifier: MIT
"""The completion of chanceryd knows what its --help names, and nothing else."""

import re
import subprocess

import pytest
from conftest import SOURCE, chanceryd

FOLDER = SOURCE / "packaging/completion"


def words_of_help():
    text = chanceryd("--help").stdout
    return (set(re.findall(r"--[a-z][a-z-]*", text)),
            set(re.findall(r"^  chanceryd ([a-z]+) ", text, re.MULTILINE)))


@pytest.mark.parametrize("name", ["chanceryd.bash", "_chanceryd", "chanceryd.fish"])
def test_completion__knows_what_help_names(name):
    options, commands = words_of_help()
    text = (FOLDER / name).read_text()
    known = set(re.findall(r"--[a-z][a-z-]*", text))
    if name.endswith(".fish"):
        known = {"--" + word for word in re.findall(r" -l ([a-z-]+)", text)}
    assert known == options
    assert len(commands) == 5
    for command in commands:
        assert re.search(rf"\b{command}\b", text), command


@pytest.mark.parametrize("typed, wanted", [
    (["chanceryd", "re"], ["restore"]),
    (["chanceryd", "init", "--l"], ["--listen"]),
    (["chanceryd", "backup", "--"], ["--data", "--config", "--to", "--json"]),
    (["chanceryd", "--config", "x", "--a"], ["--accept-older-store"]),
])
def test_completion__answers_in_bash(typed, wanted):
    script = (f"source '{FOLDER}/chanceryd.bash'; COMP_WORDS=({' '.join(typed)}); "
              f"COMP_CWORD={len(typed) - 1}; _chanceryd; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == wanted
