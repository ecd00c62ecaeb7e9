# SPDX-License-Identifier: MIT
"""tests/attacks/README.md: each threat has tests, each of them is there and says its row."""

import os
import pathlib
import re

import pytest

SOURCE = pathlib.Path(os.environ.get("CHANCERY_SOURCE", ".")).resolve()
TESTS = SOURCE / "tests"
# What has been built can be attacked by these; the others wait for what they attack.
ROWS = {1, 6, 7, 11, 13, 15, 16, 17, 18, 19, 20, 21, 22, 27, 28, 30, 32, 33}
NEAR = 400  # characters of a test in which its docstring begins


def table():
    """[(row, file, test)]"""
    found, row = [], None
    for line in (TESTS / "attacks/README.md").read_text().splitlines():
        cells = re.fullmatch(r"\| (\d*) \| [^|]* \| `([^`]+)` `(test_\w+)` \|", line)
        if cells:
            row = int(cells[1]) if cells[1] else row
            found.append((row, cells[2], cells[3]))
    return found


def test_every_row_has_tests():
    assert {row for row, _, _ in table()} == ROWS


@pytest.mark.parametrize("row,file,test", table())
def test_each_is_there_and_says_its_row(row, file, test):
    text = (TESTS / file).read_text()
    start = re.search(rf"^(def|static void) {test}\(", text, re.MULTILINE)
    assert start, f"{file} has no {test}"
    above = text[:start.start()].rstrip("\n").rpartition("\n")[2]
    said = above + "\n" + text[start.start():start.start() + NEAR]
    assert re.search(rf"\brow {row}\b", said, re.IGNORECASE), f"{test} does not say row {row}"


def test_every_file_of_attacks_is_in_the_table():
    listed = {pathlib.Path(file).name for _, file, _ in table()}
    assert {path.name for path in (TESTS / "attacks").glob("test_*.py")} <= listed
