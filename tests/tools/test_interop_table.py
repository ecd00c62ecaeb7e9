# SPDX-License-Identifier: MIT
"""tests/interop/README.md: each row of the README's table, and each fault, has tests that are
there."""

import os
import pathlib
import re

import pytest

SOURCE = pathlib.Path(os.environ.get("CHANCERY_SOURCE", ".")).resolve()
INTEROP = SOURCE / "tests/interop"
CELLS = 3


def tables():
    """[[(row, file, tests)]], one list a table; a row without a name goes on with the one above."""
    found = []
    for line in (INTEROP / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != CELLS:
            continue
        if cells[1] == "file":
            found.append([])
        elif not cells[1].startswith("-"):
            name = cells[0] or found[-1][-1][0]
            found[-1].append((name, cells[1].strip("`"), re.findall(r"`(\w+)`", cells[2])))
    return found


def test_the_readmes_rows_in_their_order():
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    _, table = readme.split("## What signs, and what verifies it")
    rows = re.findall(r"^\| ([^|]+) \|.*\| ([^|]+) \|$", table, re.M)[2:]
    wanted = {name: re.findall(r"`(\w+\.py)`", files) for name, files in rows}
    kept = {}
    for name, file, _ in tables()[0]:
        kept.setdefault(name, []).append(file)
    assert list(kept.items()) == list(wanted.items())


@pytest.mark.parametrize("row,file,tests", [row for table in tables() for row in table])
def test_each_is_there(row, file, tests):
    text = (INTEROP / file).read_text(encoding="utf-8")
    assert tests, row
    for test in tests:
        assert re.search(rf"^def {test}\(", text, re.M), f"{file} has no {test}"
